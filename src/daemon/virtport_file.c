// SPDX-License-Identifier: Apache-2.0
#include "virtport_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char head[VIRTPORT_HEAD_SIZE - 2] = "EVBL\1"; /* with the version */

/* ---- octets ---- */

/* What is written of each, without what a compiler puts between; in the order of this machine. */
#define FIELD(f)                                                                                   \
	{                                                                                          \
		offsetof(struct virtport_kept, f), sizeof(((struct virtport_kept *)0)->f)          \
	}

static const struct {
	size_t at, size;
} fields[] = {
	FIELD(port.dev),     FIELD(port.ifindex),  FIELD(port.mac),	FIELD(port.vlan),
	FIELD(port.has_mac), FIELD(port.manager),  FIELD(port.version), FIELD(port.request),
	FIELD(port.type_id), FIELD(port.instance), FIELD(port_id),	FIELD(seq),
	FIELD(tap),
};

void virtport_encode(const struct virtport_kept *v, uint32_t n, uint8_t *out)
{
	uint16_t count = (uint16_t)n;

	memcpy(out, head, sizeof(head));
	memcpy(out + sizeof(head), &count, sizeof(count));
	out += VIRTPORT_HEAD_SIZE;
	for (uint32_t i = 0; i < n; i++) {
		for (size_t f = 0; f < ARRAY_SIZE(fields); f++) {
			memcpy(out, (const uint8_t *)&v[i] + fields[f].at, fields[f].size);
			out += fields[f].size;
		}
	}
}

/* False: it says what cannot be. */
static bool get(const uint8_t *octets, struct virtport_kept *k)
{
	const struct virtport *v = &k->port;
	uint8_t has_mac;

	memset(k, 0, sizeof(*k));
	for (size_t f = 0; f < ARRAY_SIZE(fields); f++) {
		memcpy((uint8_t *)k + fields[f].at, octets, fields[f].size);
		octets += fields[f].size;
	}
	memcpy(&has_mac, &v->has_mac, 1); /* as a bool it can be 0 or 1 only */
	return has_mac <= 1 && v->dev[0] && virtport_is_valid(v) && k->tap >= 0;
}

static bool is_same(const struct virtport *a, const struct virtport *b)
{
	return !memcmp(a->instance, b->instance, sizeof(a->instance)) && !strcmp(a->dev, b->dev);
}

const char *virtport_decode(const uint8_t *octets, size_t size, struct virtport_kept *out,
			    uint32_t *n)
{
	uint16_t count = 0;

	if (size < VIRTPORT_HEAD_SIZE || memcmp(octets, head, sizeof(head)) != 0)
		return "it is none of this version of evbd";
	memcpy(&count, octets + sizeof(head), sizeof(count));
	if (count > VIRTPORTS_MAX ||
	    size != VIRTPORT_HEAD_SIZE + (size_t)count * VIRTPORT_KEPT_SIZE)
		return "it has another size than it says";
	octets += VIRTPORT_HEAD_SIZE;
	for (uint32_t i = 0; i < count; i++, octets += VIRTPORT_KEPT_SIZE) {
		if (!get(octets, &out[i]))
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
