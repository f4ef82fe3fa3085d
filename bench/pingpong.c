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
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 201, TRIPS = 1000, AT_MOST_MS = 1000 };

#define STOP UINT32_MAX

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

/* False if it is time to stop. */
static bool wait_for(uint32_t value)
{
	for (;;) {
		uint32_t now = __atomic_load_n(&shared.word, __ATOMIC_ACQUIRE);

		if (now == value || now == STOP)
			return now == value;
		__builtin_ia32_pause();
	}
}

static void *answer(void *unused)
{
	pin(shared.cpu[1]);
	for (uint32_t i = 1; wait_for(i); i += 2)
		__atomic_store_n(&shared.word, i + 1, __ATOMIC_RELEASE);
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
	unsigned n = 0;
	uint64_t end;
	pthread_t other;

	if (argc == 3) {
		shared.cpu[0] = atoi(argv[1]);
		shared.cpu[1] = atoi(argv[2]);
	}
	pin(shared.cpu[0]);
	if (pthread_create(&other, NULL, answer, NULL))
		return 1;
	/* With the CPUs busy a trip takes time slices: then fewer rounds must do. */
	for (end = now_ns() + AT_MOST_MS * UINT64_C(1000000); n < ROUNDS && now_ns() < end; n++) {
		uint64_t begin = now_ns();

		for (unsigned i = 0; i < TRIPS; i++) {
			__atomic_store_n(&shared.word, ++turn, __ATOMIC_RELEASE);
			wait_for(++turn);
		}
		ns[n] = (double)(now_ns() - begin) / TRIPS;
	}
	__atomic_store_n(&shared.word, STOP, __ATOMIC_RELEASE);
	pthread_join(other, NULL);
	qsort(ns, n, sizeof(*ns), compare);
	printf("{\"rtt_ns\":%.1f,\"p10_ns\":%.1f,\"p90_ns\":%.1f,\"rounds\":%u}\n", ns[n / 2],
	       ns[n / 10], ns[n * 9 / 10], n);
	return 0;
}
