// SPDX-License-Identifier: Apache-2.0
/* The file of VSIs that outlives evbd: there and back, and files that are not to be believed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "virtport_file.h"

enum { N = 3, SIZE = VIRTPORT_HEAD_SIZE + N * VIRTPORT_KEPT_SIZE };

static struct virtport_kept sample(unsigned i)
{
	return (struct virtport_kept){
		.port = { .dev = "eth0",
			  .ifindex = 3,
			  .mac = { { 0x52, 0x54, 0, 0, 0, (uint8_t)i } },
			  .vlan = 4094,
			  .has_mac = true,
			  .manager = 1,
			  .version = 4,
			  .type_id = 0x010203,
			  .instance = { 0x11, [15] = (uint8_t)i },
			  .request = PORT_REQUEST_ASSOCIATE },
		.port_id = 0x81234567,
		.seq = 7,
		.tap = 0x0a0b0c0d,
	};
}

static void fill(uint8_t octets[SIZE])
{
	struct virtport_kept v[N];

	for (unsigned i = 0; i < N; i++)
		v[i] = sample(i);
	virtport_encode(v, N, octets);
}

static struct virtport_kept *out;

static void assert_same(const struct virtport_kept *a, const struct virtport_kept *b)
{
	assert_string_equal(a->port.dev, b->port.dev);
	assert_int_equal(a->port.ifindex, b->port.ifindex);
	assert_true(mac_equal(a->port.mac, b->port.mac));
	assert_int_equal(a->port.vlan, b->port.vlan);
	assert_int_equal(a->port.has_mac, b->port.has_mac);
	assert_int_equal(a->port.manager, b->port.manager);
	assert_int_equal(a->port.version, b->port.version);
	assert_int_equal(a->port.type_id, b->port.type_id);
	assert_memory_equal(a->port.instance, b->port.instance, 16);
	assert_int_equal(a->port.request, b->port.request);
	assert_int_equal(a->port_id, b->port_id);
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->tap, b->tap);
}

static void there_and_back(void **state)
{
	uint8_t octets[SIZE];
	uint32_t n = 0;

	fill(octets);
	assert_null(virtport_decode(octets, SIZE, out, &n));
	assert_int_equal(n, N);
	for (unsigned i = 0; i < N; i++) {
		struct virtport_kept v = sample(i);

		assert_same(&out[i], &v);
	}
}

/* Places in the first VSI, behind the head. */
enum {
	DEV = VIRTPORT_HEAD_SIZE,
	IFINDEX = DEV + 16,
	MAC = IFINDEX + 4,
	VLAN = MAC + 6,
	HAS_MAC = VLAN + 2,
	REQUEST = HAS_MAC + 3,
	TYPE = REQUEST + 1,
	INSTANCE = TYPE + 4,
	TAP = INSTANCE + 16 + 8,
};

/* As this machine has it. */
#define U16(n) ((const char *)&(const uint16_t){ n })

static void malformed(void **state)
{
	const struct {
		const char *name;
		size_t at;
		const char *octets; /* instead of those there */
		size_t n;
		const char *wrong;
	} rows[] = {
		{ "no magic", 0, "EVBM", 4, "none of this version" },
		{ "another version", 4, "\2", 1, "none of this version" },
		{ "version 0", 4, "\0", 1, "none of this version" },
		{ "a version of two octets", 5, "\1", 1, "none of this version" },
		{ "one less than it says", 6, U16(4), 2, "another size" },
		{ "one more than it says", 6, U16(2), 2, "another size" },
		{ "none, it says", 6, U16(0), 2, "another size" },
		{ "more than there may be", 6, "\xff\xff", 2, "another size" },
		{ "no device", DEV, "\0", 1, "cannot be" },
		{ "a name without an end", DEV, "0123456789abcdef", 16, "cannot be" },
		{ "a name with a slash", DEV, "e/h0", 4, "cannot be" },
		{ "a name with an escape", DEV, "e\033h0", 4, "cannot be" },
		{ "a negative ifindex", IFINDEX, "\xff\xff\xff\xff", 4, "cannot be" },
		{ "a group address", MAC, "\1", 1, "cannot be" },
		{ "VLAN 4095", VLAN, U16(4095), 2, "cannot be" },
		{ "neither with nor without MAC", HAS_MAC, "\2", 1, "cannot be" },
		{ "a request that there is not", REQUEST, "\4", 1, "cannot be" },
		{ "a type of more than 24 bits", TYPE, "\1\1\1\1", 4, "cannot be" },
		{ "the instance of the third", INSTANCE + 15, "\2", 1, "twice" },
		{ "a negative macvtap", TAP, "\xff\xff\xff\xff", 4, "cannot be" },
	};
	uint8_t octets[SIZE];
	uint32_t n = 77;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *wrong;

		fill(octets);
		memcpy(octets + rows[i].at, rows[i].octets, rows[i].n);
		wrong = virtport_decode(octets, SIZE, out, &n);
		if (!wrong || !strstr(wrong, rows[i].wrong))
			fail_msg("%s: %s", rows[i].name, wrong ? wrong : "taken");
	}
	for (size_t size = 0; size < SIZE; size++) { /* a sanitizer sees its end */
		uint8_t *cut = malloc(size + !size);

		fill(octets);
		assert_non_null(cut);
		memcpy(cut, octets, size);
		assert_non_null(virtport_decode(cut, size, out, &n));
		free(cut);
	}
	assert_int_equal(n, 77);
}

/* ---- files ---- */

static char dir[] = "/tmp/evb-virtport-test-XXXXXX";
static char path[64], aside[64];

static void assert_refused(const char *why)
{
	struct virtport_kept *got = (void *)&got;
	struct err e;

	assert_true(virtport_load(path, &got, &e) < 0);
	assert_null(got);
	if (!strstr(e.message, why) || !strstr(e.message, path) || !e.hint[0])
		fail_msg("%s; not: %s", e.message, why);
}

static void saved_and_loaded(void **state)
{
	struct virtport_kept v = sample(1), *got;
	struct err e;

	assert_int_equal(virtport_load(path, &got, &e), 0);
	assert_null(got);
	assert_int_equal(close(open(aside, O_CREAT | O_WRONLY, 0600)), 0); /* of one killed */
	assert_int_equal(virtport_save(path, &v, 1), 0);
	assert_int_equal(access(aside, F_OK), -1);
	assert_int_equal(virtport_load(path, &got, &e), 1);
	assert_same(got, &v);
	free(got);
	/* What cannot be written leaves the one before. */
	assert_int_equal(mkdir(aside, 0700), 0);
	assert_int_equal(virtport_save(path, &v, 1), -EEXIST);
	assert_int_equal(rmdir(aside), 0);
	assert_int_equal(virtport_load(path, &got, &e), 1);
	free(got);
	assert_int_equal(virtport_save(path, NULL, 0), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(virtport_save(path, NULL, 0), 0);
}

static void not_to_be_believed(void **state)
{
	struct virtport_kept v = sample(1);

	assert_int_equal(virtport_save(path, &v, 1), 0);
	assert_int_equal(chmod(path, 0620), 0);
	assert_refused("others may write");
	assert_int_equal(chmod(path, 0602), 0);
	assert_refused("others may write");
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, 71), 0);
	assert_refused("another size");
	assert_int_equal(truncate(path, 0), 0);
	assert_refused("none of this version");
	assert_int_equal(truncate(path, (off_t)1 << 40), 0);
	assert_refused("too long");
	if (geteuid() == 0) {
		assert_int_equal(truncate(path, 72), 0);
		assert_int_equal(chown(path, 1, (gid_t)-1), 0);
		assert_refused("others may write");
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_refused("symbolic link");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0); /* it would wait for a writer */
	assert_refused("no file");
	assert_int_equal(unlink(path), 0);
}

static int begin(void **state)
{
	out = calloc(VIRTPORTS_MAX, sizeof(*out));
	if (!out || !mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/vsis", dir);
	snprintf(aside, sizeof(aside), "%s/vsis.new", dir);
	return 0;
}

static int finish(void **state)
{
	free(out);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(malformed),
		cmocka_unit_test(saved_and_loaded),
		cmocka_unit_test(not_to_be_believed),
	};

	return cmocka_run_group_tests(tests, begin, finish);
}
