// SPDX-License-Identifier: Apache-2.0
#include "guest_mem.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "types.h"

enum { PAGE = 4096 };

static int memory_file(uint64_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void add(struct guest_mem *m, uint64_t gpa, uint64_t pages, uint64_t uva)
{
	int fd = memory_file(pages * PAGE);
	struct guest_region_spec s = { gpa, pages * PAGE, uva, 0 };
	struct err e = { 0 };

	if (guest_mem_add(m, &s, fd, &e))
		fail_msg("%s", e.message);
	close(fd);
}

/* ---- addresses ---- */

static void test_translation(void **state)
{
	static const struct {
		const char *name;
		uint64_t gpa, room; /* 0: nowhere */
		unsigned region;
	} rows[] = {
		{ "before all", 0, 0, 0 },
		{ "last octet before", 2 * PAGE - 1, 0, 0 },
		{ "first octet", 2 * PAGE, 2 * PAGE, 0 },
		{ "within", 2 * PAGE + 5, 2 * PAGE - 5, 0 },
		{ "last octet", 4 * PAGE - 1, 1, 0 },
		{ "first of the next, which touches", 4 * PAGE, PAGE, 1 },
		{ "last of it", 5 * PAGE - 1, 1, 1 },
		{ "in the hole", 5 * PAGE, 0, 0 },
		{ "behind the hole", 9 * PAGE, PAGE, 2 },
		{ "behind all", 10 * PAGE, 0, 0 },
		{ "the last octet there is", UINT64_MAX, 0, 0 },
	};
	struct guest_mem m = { 0 };

	add(&m, 9 * PAGE, 1, 100 * PAGE); /* in no order */
	add(&m, 2 * PAGE, 2, 300 * PAGE);
	add(&m, 4 * PAGE, 1, 200 * PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (unsigned h = 0; h <= m.n; h++) {
			const struct guest_region *hint = h < m.n ? &m.region[h] : NULL;
			uint64_t room = 77;
			uint8_t *p = guest_mem_at(&m, &hint, rows[i].gpa, &room);

			if (!p != !rows[i].room || (p && room != rows[i].room))
				fail_msg("%s: %p, room %llu", rows[i].name, (void *)p,
					 (unsigned long long)room);
			if (!p)
				continue;
			assert_ptr_equal(hint, &m.region[rows[i].region]);
			assert_ptr_equal(p, hint->host + (rows[i].gpa - hint->gpa));
		}
	guest_mem_clear(&m);
	assert_int_equal(m.n, 0);
	assert_null(guest_mem_find(&m, 2 * PAGE));
}

static void test_front_end_addresses(void **state)
{
	static const struct {
		const char *name;
		uint64_t uva, size, gpa;
		bool found;
	} rows[] = {
		{ "all", 300 * PAGE, 2 * PAGE, 2 * PAGE, true },
		{ "one octet too many", 300 * PAGE, 2 * PAGE + 1, 0, false },
		{ "the end", 302 * PAGE - 1, 1, 4 * PAGE - 1, true },
		{ "behind", 302 * PAGE, 1, 0, false },
		{ "before", 300 * PAGE - 1, 2, 0, false },
		{ "a size that wraps", 300 * PAGE + 1, UINT64_MAX, 0, false },
		{ "nothing", 300 * PAGE, 0, 2 * PAGE, true },
		{ "across two that touch", 302 * PAGE - 8, 16, 0, false },
	};
	struct guest_mem m = { 0 };

	add(&m, 2 * PAGE, 2, 300 * PAGE);
	add(&m, 4 * PAGE, 1, 302 * PAGE + 1000 * PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t gpa = 0;
		uint8_t *p = guest_mem_at_uva(&m, rows[i].uva, rows[i].size, &gpa);

		if (!p == rows[i].found || (p && gpa != rows[i].gpa))
			fail_msg("%s: %p", rows[i].name, (void *)p);
	}
	guest_mem_clear(&m);
}

/* Many regions, against a search that cannot be wrong. */
static void test_many_regions(void **state)
{
	struct guest_mem m = { 0 };

	for (uint64_t i = 0; i < 100; i++)
		add(&m, (i * 37 % 100) * 3 * PAGE, 1 + i % 3, (i + 1) * 16 * PAGE);
	for (uint64_t gpa = 0; gpa < 310 * PAGE; gpa += PAGE / 2) {
		const struct guest_region *want = NULL;

		for (uint32_t i = 0; i < m.n; i++)
			if (gpa >= m.region[i].gpa && gpa < m.region[i].gpa + m.region[i].size)
				want = &m.region[i];
		assert_ptr_equal(guest_mem_find(&m, gpa), want);
	}
	for (uint64_t i = 0; i < 100; i += 2) {
		uint64_t gpa = (i * 37 % 100) * 3 * PAGE;
		struct guest_region_spec s = { gpa, (1 + i % 3) * PAGE, (i + 1) * 16 * PAGE, 0 };

		assert_true(guest_mem_has(&m, &s));
		assert_int_equal(guest_mem_remove(&m, &s), 0);
		assert_int_equal(guest_mem_remove(&m, &s), -ENOENT);
		assert_false(guest_mem_has(&m, &s));
		assert_null(guest_mem_find(&m, gpa));
	}
	assert_int_equal(m.n, 50);
	guest_mem_clear(&m);
}

static void test_same_table(void **state)
{
	const struct guest_region_spec is[2] = { { 0, PAGE, PAGE, 0 },
						 { PAGE, PAGE, 8 * PAGE, 0 } };
	const struct guest_region_spec turned[2] = { is[1], is[0] };
	struct guest_region_spec other[2] = { is[0], is[1] };
	struct guest_mem m = { 0 };

	assert_true(guest_mem_is(&m, is, 0));
	add(&m, 0, 1, PAGE);
	add(&m, PAGE, 1, 8 * PAGE);
	assert_true(guest_mem_is(&m, is, 2));
	assert_true(guest_mem_is(&m, turned, 2));
	assert_false(guest_mem_is(&m, is, 1));
	other[1].uva += PAGE;
	assert_false(guest_mem_is(&m, other, 2));
	atomic_store(&m.is_lost, true);
	assert_false(guest_mem_is(&m, is, 2));
	guest_mem_clear(&m);
}

/* ---- the log ---- */

static void test_log(void **state)
{
	static const struct {
		const char *name;
		uint64_t gpa, size;
		uint8_t want[3];
	} rows[] = {
		{ "nothing", 0, 0, { 0 } },
		{ "an octet", 0, 1, { 1, 0, 0 } },
		{ "a page", PAGE, PAGE, { 2, 0, 0 } },
		{ "the last octet of a page", 2 * PAGE - 1, 1, { 2, 0, 0 } },
		{ "across two", 2 * PAGE - 1, 2, { 6, 0, 0 } },
		{ "from page to page", 7 * PAGE + 5, PAGE, { 0x80, 1, 0 } },
		{ "three octets of the log", 7 * PAGE, 9 * PAGE + 1, { 0x80, 0xff, 1 } },
		{ "the last that fits", 23 * PAGE, PAGE, { 0, 0, 0x80 } },
		{ "partly beyond", 23 * PAGE, 100 * PAGE, { 0, 0, 0x80 } },
		{ "beyond", 24 * PAGE, PAGE, { 0 } },
		{ "far beyond", UINT64_MAX - PAGE, 5, { 0 } },
		{ "wraps", UINT64_MAX, 2, { 0 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t *bits = calloc(1, 3); /* so that a sanitizer sees what is behind */
		struct guest_log l = { .map = { .data = bits }, .size = 3 };

		guest_log_mark(&l, rows[i].gpa, rows[i].size);
		if (memcmp(bits, rows[i].want, 3) != 0)
			fail_msg("%s: %x %x %x", rows[i].name, bits[0], bits[1], bits[2]);
		bits[0] = 0x40; /* what others marked stays */
		guest_log_mark(&l, 0, 1);
		assert_int_equal(bits[0], 0x41);
		free(bits);
	}
}

/* ---- mappings ---- */

static void test_map(void **state)
{
	static const struct {
		const char *name;
		uint64_t offset, size;
		int err;
	} rows[] = {
		{ "all", 0, 3 * PAGE, 0 },
		{ "a part", PAGE, PAGE, 0 },
		{ "not from a page", 100, PAGE, 0 },
		{ "the last octet", 3 * PAGE - 1, 1, 0 },
		{ "nothing", 0, 0, -EINVAL },
		{ "an octet too many", 0, 3 * PAGE + 1, -EINVAL },
		{ "behind", 3 * PAGE, 1, -EINVAL },
		{ "wraps", 8, UINT64_MAX - 4, -EINVAL },
		{ "wraps to nothing", 1, UINT64_MAX, -EINVAL },
		{ "more than a file can have", 0, UINT64_C(1) << 63, -EINVAL },
	};
	int fd = memory_file(3 * PAGE), pipes[2];
	_Atomic bool lost = false;
	struct guest_map m;
	uint8_t octet;

	for (int i = 0; i < 3 * PAGE; i++) {
		octet = (uint8_t)(i / 7);
		assert_int_equal(pwrite(fd, &octet, 1, i), 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int err = guest_map_open(&m, fd, rows[i].offset, rows[i].size, &lost);

		if (err != rows[i].err)
			fail_msg("%s: %d", rows[i].name, err);
		if (err)
			continue;
		assert_int_equal(m.data[0], (uint8_t)(rows[i].offset / 7));
		assert_int_equal(m.data[rows[i].size - 1],
				 (uint8_t)((rows[i].offset + rows[i].size - 1) / 7));
		guest_map_close(&m);
		guest_map_close(&m);
	}
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(guest_map_open(&m, pipes[0], 0, 1, &lost), -EOPNOTSUPP);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	assert_false(atomic_load(&lost));
}

/* An access to what is no longer there finds zeroes, and the mapping is known to be lost. */
static void test_file_is_cut_off(void **state)
{
	struct guest_map m[3];
	_Atomic bool lost[3] = { false, false, false };
	int fd[3];

	assert_int_equal(guest_fault_install(), 0);
	for (int i = 0; i < 3; i++) {
		fd[i] = memory_file(4 * PAGE);
		assert_int_equal(guest_map_open(&m[i], fd[i], 0, 4 * PAGE, &lost[i]), 0);
		memset(m[i].data, 0xaa, 4 * PAGE);
	}
	assert_int_equal(ftruncate(fd[1], PAGE), 0);
	assert_int_equal(*(volatile uint8_t *)&m[1].data[5], 0xaa);
	assert_false(atomic_load(&lost[1]));
	errno = 5;
	assert_int_equal(*(volatile uint8_t *)&m[1].data[3 * PAGE], 0);
	assert_int_equal(errno, 5);
	assert_true(atomic_load(&lost[1]));
	m[1].data[2 * PAGE] = 7; /* it may be written, too */
	assert_false(atomic_load(&lost[0]) || atomic_load(&lost[2]));
	assert_int_equal(m[0].data[3 * PAGE], 0xaa);
	assert_int_equal(m[2].data[3 * PAGE], 0xaa);
	for (int i = 0; i < 3; i++) {
		guest_map_close(&m[i]);
		close(fd[i]);
	}
}

/* Elsewhere SIGBUS is what it always was. */
static void test_other_faults_kill(void **state)
{
	int status;
	pid_t child = fork();

	if (!child) {
		int fd = memory_file(PAGE);
		volatile uint8_t *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

		guest_fault_install();
		(void)!ftruncate(fd, 0);
		(void)p[0];
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_translation),
		cmocka_unit_test(test_front_end_addresses),
		cmocka_unit_test(test_many_regions),
		cmocka_unit_test(test_same_table),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_file_is_cut_off),
		cmocka_unit_test(test_other_faults_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
