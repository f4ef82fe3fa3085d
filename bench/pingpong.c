// SPDX-License-Identifier: Apache-2.0
/*
 * Round trip of one cache line between two CPUs. On machines that are shared it changes from one
 * second to the next and moves every other figure with it: measure it before and after each run.
 * Prints one line of JSON: the median of many short rounds, and their spread, in nanoseconds.
 *
 * usage: pingpong [CPU CPU]     (0 1)
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 201, TRIPS = 2000 };

static struct {
	_Alignas(128) uint32_t word; /* even: our turn, odd: the other's */
	_Alignas(128) int cpu[2];
} shared = { .cpu = { 0, 1 } };

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		fprintf(stderr, "pingpong: no CPU %d\n", cpu);
		exit(1);
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void wait_for(uint32_t value)
{
	while (__atomic_load_n(&shared.word, __ATOMIC_ACQUIRE) != value)
		__builtin_ia32_pause();
}

static void *answer(void *unused)
{
	pin(shared.cpu[1]);
	for (uint32_t i = 0; i < ROUNDS * TRIPS; i++) {
		wait_for(2 * i + 1);
		__atomic_store_n(&shared.word, 2 * i + 2, __ATOMIC_RELEASE);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static double ns[ROUNDS];
	uint32_t turn = 0;
	pthread_t other;

	if (argc == 3) {
		shared.cpu[0] = atoi(argv[1]);
		shared.cpu[1] = atoi(argv[2]);
	}
	pin(shared.cpu[0]);
	if (pthread_create(&other, NULL, answer, NULL))
		return 1;
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t begin = now_ns();

		for (unsigned i = 0; i < TRIPS; i++) {
			__atomic_store_n(&shared.word, ++turn, __ATOMIC_RELEASE);
			wait_for(++turn);
		}
		ns[r] = (double)(now_ns() - begin) / TRIPS;
	}
	pthread_join(other, NULL);
	qsort(ns, ROUNDS, sizeof(*ns), compare);
	printf("{\"rtt_ns\":%.1f,\"p10_ns\":%.1f,\"p90_ns\":%.1f}\n", ns[ROUNDS / 2],
	       ns[ROUNDS / 10], ns[ROUNDS * 9 / 10]);
	return 0;
}
