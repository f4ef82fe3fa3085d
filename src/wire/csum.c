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

uint64_t csum_add(const void *data, size_t size, uint64_t sum)
{
	const uint8_t *p = data;
	uint64_t s[4] = { 0 };
	uint64_t tail = 0;

	/*
	 * One's complement sums do not care for the order of octets (RFC 1071, 2 B), so this adds
	 * native words and swaps the result. Four chains of add and adc run at 15 octets a cycle;
	 * neither SSE2 nor __int128 does better.
	 */
	for (; size >= 32; size -= 32, p += 32)
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
