// SPDX-License-Identifier: Apache-2.0
/*
 * How fast csum_add() is, by size, with the octets in the first two caches or beyond: the best of
 * several rounds, in GB/s, beside memcpy() of the same octets.
 *
 * usage: csum_bench
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "csum.h"
#include "types.h"

enum { ROUNDS = 7, OCTETS = 64 << 20, ROOM = 4 << 20 };

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t use_csum(uint8_t *from, uint8_t *to, size_t size, uint64_t last)
{
	return csum_add(from, size, last & 1);
}

static uint64_t use_copy(uint8_t *from, uint8_t *to, size_t size, uint64_t last)
{
	memcpy(to, from, size);
	__asm__ volatile("" ::"r"(to) : "memory");
	return last;
}

static double measure(uint64_t (*use)(uint8_t *, uint8_t *, size_t, uint64_t), uint8_t *p,
		      size_t size)
{
	size_t n = OCTETS / size;
	double best = 0;

	for (int r = 0; r < ROUNDS; r++) {
		double start = now_s(), rate;
		volatile uint64_t sink;
		uint64_t sum = 0;

		for (size_t i = 0; i < n; i++)
			sum = use(p + i % 2 * 2, p + ROOM / 2, size, sum);
		sink = sum;
		(void)sink;
		rate = (double)(n * size) / (now_s() - start) / 1e9;
		if (rate > best)
			best = rate;
	}
	return best;
}

int main(void)
{
	static const size_t sizes[] = { 20, 64, 128, 384, 1024, 1448, 9000, 65536, 1 << 20 };
	uint8_t *p = malloc(ROOM);

	if (!p)
		return 1;
	memset(p, 0xa5, ROOM);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		printf("%8zu octets  csum %6.1f GB/s   copy %6.1f GB/s\n", sizes[i],
		       measure(use_csum, p, sizes[i]), measure(use_copy, p, sizes[i]));
	free(p);
	return 0;
}
