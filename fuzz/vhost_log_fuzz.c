// SPDX-License-Identifier: Apache-2.0
/*
 * The dirty log of live migration: mapped from a file wherever the front-end says, and marked with
 * ranges of guest memory. Exactly the pages of a range are marked that the log covers, and no octet
 * outside of it is touched.
 *
 *   offset 0   octets of the file, 24 bits
 *          3   offset of the log in it, 64 bits;   11: its size, 64 bits
 *         19   octets of the log that is marked, 16 bits
 *         21   ranges: gpa and size, 64 bits each
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest_mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_SIZE = 21, LOG_MAX = 4096, RANGES_MAX = 64 };

static uint64_t load(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	memcpy(&v, p, n);
	return v;
}

/* A file of `octets`, and a log somewhere in it, or elsewhere. */
static void check_map(uint64_t octets, uint64_t offset, uint64_t size)
{
	static int fd = -1;
	_Atomic bool is_lost = false;
	struct guest_map m = { 0 };
	uint8_t octet = 0;
	bool fits = size && size <= octets && offset <= octets - size;

	if (fd < 0)
		fd = memfd_create("log", MFD_CLOEXEC);
	assert(ftruncate(fd, 0) == 0 && ftruncate(fd, (off_t)octets) == 0);
	assert((guest_map_open(&m, fd, offset, size, &is_lost) == 0) == fits);
	if (!fits) {
		assert(!m.base);
		return;
	}
	m.data[0] |= 1;
	m.data[size - 1] |= 2;
	assert(pread(fd, &octet, 1, (off_t)offset) == 1 && octet & 1);
	assert(pread(fd, &octet, 1, (off_t)(offset + size - 1)) == 1 && octet & 2);
	assert(m.data >= m.base && m.data + size <= m.base + m.size);
	guest_map_close(&m);
	assert(!m.base && !is_lost);
}

/* Does the range have an octet in this page? */
static bool is_in(uint64_t page, uint64_t gpa, uint64_t size)
{
	uint64_t first = page << GUEST_PAGE_SHIFT, last = first + (1 << GUEST_PAGE_SHIFT) - 1;

	return size && gpa + (size - 1) >= gpa && gpa <= last && gpa + (size - 1) >= first;
}

static void check_mark(uint8_t *octets, uint64_t size, uint64_t gpa, uint64_t range)
{
	struct guest_log l = { .map = { .data = octets }, .size = size };
	uint8_t before[LOG_MAX];

	memcpy(before, octets, size);
	guest_log_mark(&l, gpa, range);
	for (uint64_t i = 0; i < size; i++) {
		uint8_t expected = before[i];

		for (unsigned bit = 0; bit < 8; bit++)
			expected |= (uint8_t)(is_in(i * 8 + bit, gpa, range) << bit);
		/* One that wraps around is none that a guest can have: it may be left out. */
		assert(octets[i] == expected || (gpa + range < gpa && octets[i] == before[i]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *octets;
	uint64_t n;

	if (size < INPUT_SIZE)
		return 0;
	check_map(load(data, 3), load(data + 3, 8), load(data + 11, 8));
	n = 1 + load(data + 19, 2) % LOG_MAX;
	octets = calloc(1, n); /* no larger, so that a sanitizer sees what is beyond it */
	assert(octets);
	data += INPUT_SIZE;
	size -= INPUT_SIZE;
	for (unsigned i = 0; i < RANGES_MAX && size >= 16; i++, data += 16, size -= 16)
		check_mark(octets, n, load(data, 8), load(data + 8, 8));
	free(octets);
	return 0;
}
