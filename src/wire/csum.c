// SPDX-License-Identifier: Apache-2.0
#include "csum.h"

#include <stdbool.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "sums of native words are swapped once");

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* One's complement addition; every compiler makes add and adc of it. */
static inline uint64_t add_carry(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

static inline uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/*
 * Where it pays, 32 octets at a time are added as lanes of 64 bits, twice: whole, where carries are
 * lost, and their upper halves, which cannot overflow. What the lower halves make is the
 * difference. Three instructions for 32 octets, and no carry to wait for.
 */
typedef uint64_t lanes __attribute__((vector_size(32)));

enum {
	STEP = 4 * sizeof(lanes),
	STEPS_MIN = 3, /* fewer do not pay for the sum of the lanes */
};

#ifdef __x86_64__
#define WITH_LANES __attribute__((target("avx2")))
static bool has_lanes(void)
{
	return __builtin_cpu_supports("avx2");
}
#else
#define WITH_LANES
static bool has_lanes(void)
{
	return false;
}
#endif

/* Sum of `n` (< 2^30) times STEP octets, as native words, not folded. */
WITH_LANES static uint64_t add_steps(const uint8_t *p, size_t n)
{
	lanes all[4] = { 0 }, high[4] = { 0 };
	uint64_t sum = 0;

	for (; n; n--, p += STEP) {
/* Without it gcc -O2 keeps the sums in memory, and is ten times slower. */
#pragma GCC unroll 4
		for (size_t i = 0; i < 4; i++) {
			lanes v;

			memcpy(&v, p + i * sizeof(v), sizeof(v));
			all[i] += v;
			high[i] += v >> 32;
		}
	}
#pragma GCC unroll 4
	for (size_t i = 0; i < 4; i++) {
		lanes part = all[i] - (high[i] << 32) + high[i];

		for (size_t k = 0; k < sizeof(part) / sizeof(part[0]); k++)
			sum += part[k];
	}
	return sum;
}

uint64_t csum_add(const void *data, size_t size, uint64_t sum)
{
	const uint8_t *p = data;
	uint64_t s[4] = { 0 };
	uint64_t tail = 0;

	/*
	 * One's complement sums do not care for the order of octets (RFC 1071, 2 B), so this adds
	 * native words and swaps the result. Four chains of add and adc run at 15 octets a cycle,
	 * better than SSE2, and AVX2 at more than twice that (bench/csum_bench).
	 */
	if (size >= STEPS_MIN * STEP && has_lanes()) {
		size_t n = size / STEP;

		s[0] = add_steps(p, n);
		p += n * STEP;
		size -= n * STEP;
	}
	for (; size >= 32; size -= 32, p += 32)
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++)
			s[i] = add_carry(s[i], load64(p + 8 * i));
	s[0] = add_carry(add_carry(s[0], s[1]), add_carry(s[2], s[3]));
	for (; size >= 8; size -= 8, p += 8)
		s[0] = add_carry(s[0], load64(p));
	if (size) {
		memcpy(&tail, p, size);
		s[0] = add_carry(s[0], tail);
	}
	return sum + __builtin_bswap16(fold(s[0]));
}

uint64_t csum_add_iov(const struct iovec *iov, size_t n_iov, size_t from, size_t size, uint64_t sum)
{
	bool odd = false;

	for (; n_iov && size; iov++, n_iov--) {
		size_t n;
		uint16_t part;

		if (from >= iov->iov_len) {
			from -= iov->iov_len;
			continue;
		}
		n = iov->iov_len - from < size ? iov->iov_len - from : size;
		part = (uint16_t)csum_add((const uint8_t *)iov->iov_base + from, n, 0);
		/* Behind an odd number of octets, high and low octets change places. */
		sum += odd ? __builtin_bswap16(part) : part;
		odd ^= n & 1;
		size -= n;
		from = 0;
	}
	return sum;
}

uint16_t csum_finish(uint64_t sum)
{
	return (uint16_t)~fold(sum);
}
