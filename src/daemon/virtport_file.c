// SPDX-License-Identifier: Apache-2.0
#include "virtport_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cursor.h"
#include "writer.h"

static const char magic[4] = "EVBL";

enum { VERSION = 1 };

/* ---- octets ---- */

static void put(struct writer *w, const struct virtport_kept *k)
{
	const struct virtport *v = &k->port;

	write_octets(w, v->dev, sizeof(v->dev));
	write_number(w, (uint32_t)v->ifindex, 4);
	write_octets(w, v->mac.b, sizeof(v->mac.b));
	write_u16(w, v->vlan);
	write_u8(w, v->has_mac);
	write_u8(w, v->manager);
	write_u8(w, v->version);
	write_u8(w, v->request);
	write_number(w, v->type_id, 4);
	write_octets(w, v->instance, sizeof(v->instance));
	write_number(w, k->port_id, 4);
	write_number(w, k->seq, 4);
	write_number(w, (uint32_t)k->tap, 4);
}

void virtport_encode(const struct virtport_kept *v, uint32_t n, uint8_t *out)
{
	struct writer w = writer_of(out, VIRTPORT_HEAD_SIZE + (size_t)n * VIRTPORT_KEPT_SIZE);

	write_octets(&w, magic, sizeof(magic));
	write_u16(&w, VERSION);
	write_u16(&w, (uint16_t)n);
	for (uint32_t i = 0; i < n; i++)
		put(&w, &v[i]);
}

/* False: it says what cannot be. */
static bool get(struct cursor *c, struct virtport_kept *k)
{
	struct virtport *v = &k->port;
	uint8_t has_mac;

	cursor_copy(c, v->dev, sizeof(v->dev));
	v->ifindex = (int)cursor_u32(c);
	cursor_copy(c, v->mac.b, sizeof(v->mac.b));
	v->vlan = cursor_u16(c);
	has_mac = cursor_u8(c);
	v->has_mac = has_mac;
	v->manager = cursor_u8(c);
	v->version = cursor_u8(c);
	v->request = cursor_u8(c);
	v->type_id = cursor_u32(c);
	cursor_copy(c, v->instance, sizeof(v->instance));
	k->port_id = cursor_u32(c);
	k->seq = cursor_u32(c);
	k->tap = (int)cursor_u32(c);
	return v->dev[0] && virtport_is_valid(v) && has_mac <= 1 && v->ifindex >= 0 &&
	       k->tap >= 0 && k->port_id;
}

static bool is_same(const struct virtport *a, const struct virtport *b)
{
	return !memcmp(a->instance, b->instance, sizeof(a->instance)) && !strcmp(a->dev, b->dev);
}

const char *virtport_decode(const uint8_t *octets, size_t size, struct virtport_kept *out,
			    uint32_t *n)
{
	struct cursor c = cursor_of(octets, size);
	const uint8_t *head = cursor_take(&c, sizeof(magic));
	uint16_t version = cursor_u16(&c);
	uint32_t count = cursor_u16(&c);

	if (!head || memcmp(head, magic, sizeof(magic)) != 0)
		return "it is none of evbd";
	if (version != VERSION)
		return "it is of another version of evbd";
	if (c.failed || count > VIRTPORTS_MAX || c.left != count * VIRTPORT_KEPT_SIZE)
		return "it has another size than it says";
	for (uint32_t i = 0; i < count; i++) {
		memset(&out[i], 0, sizeof(out[i]));
		if (!get(&c, &out[i]))
			return "it has a VSI that cannot be";
		for (uint32_t j = 0; j < i; j++) {
			if (is_same(&out[i].port, &out[j].port))
				return "it has a VSI twice";
		}
	}
	*n = count;
	return NULL;
}

/* ---- files ---- */

int virtport_save(const char *path, const struct virtport_kept *v, uint32_t n)
{
	size_t size = VIRTPORT_HEAD_SIZE + (size_t)n * VIRTPORT_KEPT_SIZE;
	char aside[PATH_MAX];
	uint8_t *octets;
	int fd, err = 0;

	if (!n)
		return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
	octets = malloc(size);
	if (!octets)
		return -ENOMEM;
	virtport_encode(v, n, octets);
	snprintf(aside, sizeof(aside), "%s.new", path);
	unlink(aside); /* of one that was killed */
	fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		err = -errno;
	else if (write(fd, octets, size) != (ssize_t)size)
		err = -ENOSPC;
	if (fd >= 0 && close(fd) < 0 && !err)
		err = -errno;
	if (!err && rename(aside, path) < 0)
		err = -errno;
	if (err && fd >= 0)
		unlink(aside);
	free(octets);
	return err;
}

/* Nobody else can have written it. */
static const char *untrusted(int fd, size_t *size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is no file";
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return "others may write to it";
	if (st.st_size > VIRTPORT_FILE_MAX)
		return "it is too long";
	*size = (size_t)st.st_size;
	return NULL;
}

int virtport_load(const char *path, struct virtport_kept **out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	uint8_t *octets = NULL;
	const char *wrong = NULL;
	size_t size = 0;
	uint32_t n = 0;

	*out = NULL;
	if (fd < 0 && errno == ENOENT)
		return 0;
	wrong = fd < 0 ? strerror(errno) : untrusted(fd, &size);
	if (!wrong) {
		octets = malloc(VIRTPORT_FILE_MAX);
		*out = calloc(VIRTPORTS_MAX, sizeof(**out));
		if (!octets || !*out)
			wrong = "out of memory";
		else if (read(fd, octets, size) != (ssize_t)size)
			wrong = "it cannot be read";
		else
			wrong = virtport_decode(octets, size, *out, &n);
	}
	if (fd >= 0)
		close(fd);
	free(octets);
	if (!wrong)
		return (int)n;
	free(*out);
	*out = NULL;
	err_set(e, EINVAL, "VSIs of libvirt are not taken over from %s: %s", path, wrong);
	return err_hint(e, "if guests stay cut off, detach and attach their interfaces");
}
