// SPDX-License-Identifier: Apache-2.0
/*
 * What one core can copy between the memories of two guests: the bound of a switch that copies each
 * frame once. Frames of --size octets lie in --sources buffers of one memory file and are copied to
 * buffers of --into octets in another file of --room octets, round and round, by the CPU --cpu.
 * With --touch another thread, on --touch-cpu, writes each frame before and reads it after it was
 * copied, as the guests of vhost_load do. Prints one JSON object.
 *
 * usage: copy_bench [--size N] [--sources N] [--into N] [--room N] [--seconds S] [--cpu N]
 *                   [--touch] [--touch-cpu N] [--huge]
 */

#include <getopt.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { CACHE_LINE = 64, CLOCK_EVERY = 64 };

struct bench {
	/* Set before the threads start. */
	unsigned size, n_sources, into, cpu, touch_cpu;
	unsigned stride, n_rooms; /* a frame in whole buffers, and how many of them there are */
	size_t room;
	double seconds;
	bool touch, huge;
	uint8_t *from, *to;
	/* Frames written and read by the guests, and copied. Each has one writer. */
	_Alignas(128) _Atomic uint64_t written, read;
	_Alignas(128) _Atomic uint64_t copied;
	_Alignas(128) _Atomic bool stop;
	uint64_t sum; /* so that reading is not optimised away */
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static uint8_t *memory(size_t size, bool huge)
{
	const size_t page = huge ? 2 << 20 : 4096;
	int fd = memfd_create("guest", MFD_CLOEXEC | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0));
	uint8_t *p;

	size = (size + page - 1) / page * page;
	if (fd < 0 || ftruncate(fd, (off_t)size))
		die("memfd");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		die("mmap");
	close(fd);
	memset(p, 1, size);
	return p;
}

static uint64_t read_lines(const uint8_t *p, size_t size)
{
	uint64_t sum = 0;

	for (size_t i = 0; i + sizeof(sum) <= size; i += CACHE_LINE) {
		uint64_t word;

		memcpy(&word, p + i, sizeof(word));
		sum += word;
	}
	return sum;
}

/* The place of a frame among the rooms: frames lie in buffers of `into` octets, one after the
 * other, so that a frame that does not fill its last buffer leaves a gap. */
static uint8_t *room_of(const struct bench *b, uint64_t frame)
{
	return b->to + frame % b->n_rooms * (size_t)b->stride;
}

/* Both guests: write frames ahead of the copier, and read what it has copied. */
static void *guests(void *arg)
{
	struct bench *b = arg;
	uint64_t written = 0, seen = 0;

	pin(b->touch_cpu);
	while (!atomic_load_explicit(&b->stop, memory_order_relaxed)) {
		uint64_t copied = atomic_load_explicit(&b->copied, memory_order_acquire);

		if (seen < copied) {
			b->sum += read_lines(room_of(b, seen), b->size);
			atomic_store_explicit(&b->read, ++seen, memory_order_release);
		}
		if (written < copied + b->n_sources) {
			memset(b->from + written % b->n_sources * (size_t)b->size, (int)written,
			       b->size);
			atomic_store_explicit(&b->written, ++written, memory_order_release);
		}
	}
	return NULL;
}

static void copy_frame(const struct bench *b, uint64_t frame)
{
	const uint8_t *from = b->from + frame % b->n_sources * (size_t)b->size;
	uint8_t *to = room_of(b, frame);

	for (unsigned at = 0; at < b->size; at += b->into)
		memcpy(to + at, from + at, b->size - at < b->into ? b->size - at : b->into);
}

/* A frame is there, and the room it goes to was read. */
static bool may_copy(struct bench *b, uint64_t frame)
{
	return !b->touch ||
	       (frame < atomic_load_explicit(&b->written, memory_order_acquire) &&
		frame < atomic_load_explicit(&b->read, memory_order_acquire) + b->n_rooms);
}

/* Copy for that long; frames copied. `*s` is made the time that it took. */
static uint64_t copy_for(struct bench *b, uint64_t frame, double *s)
{
	double start = now_s(), end = start + *s, now = start;
	uint64_t first = frame;

	for (unsigned turn = 0; now < end; turn++) {
		if (may_copy(b, frame)) {
			copy_frame(b, frame++);
			atomic_store_explicit(&b->copied, frame, memory_order_release);
		}
		if (turn % CLOCK_EVERY == 0)
			now = now_s();
	}
	*s = now - start;
	return frame - first;
}

static void parse(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", 1, NULL, 'z' },  { "sources", 1, NULL, 'n' },	  { "into", 1, NULL, 'i' },
		{ "room", 1, NULL, 'r' },  { "seconds", 1, NULL, 's' },	  { "cpu", 1, NULL, 'c' },
		{ "touch", 0, NULL, 't' }, { "touch-cpu", 1, NULL, 'T' }, { "huge", 0, NULL, 'H' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		unsigned long n = optarg ? strtoul(optarg, NULL, 10) : 0;

		switch (c) {
		case 'z':
			b->size = (unsigned)n;
			break;
		case 'n':
			b->n_sources = (unsigned)n;
			break;
		case 'i':
			b->into = (unsigned)n;
			break;
		case 'r':
			b->room = n;
			break;
		case 's':
			b->seconds = strtod(optarg, NULL);
			break;
		case 'c':
			b->cpu = (unsigned)n;
			break;
		case 'T':
			b->touch_cpu = (unsigned)n;
			break;
		case 't':
			b->touch = true;
			break;
		case 'H':
			b->huge = true;
			break;
		default:
			exit(2);
		}
	}
	if (optind != argc || !b->size || !b->n_sources || !b->into || b->seconds <= 0) {
		fprintf(stderr, "copy_bench: see the comment on top of copy_bench.c\n");
		exit(2);
	}
	b->stride = (b->size + b->into - 1) / b->into * b->into;
	b->n_rooms = (unsigned)(b->room / b->stride);
	if (!b->n_rooms) {
		fprintf(stderr, "copy_bench: --room does not hold one frame\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct bench b = { .size = 65536,
				  .n_sources = 64,
				  .into = 65536,
				  .room = 4 << 20,
				  .cpu = 1,
				  .touch_cpu = 0,
				  .seconds = 1 };
	double warm_s = 0.05, s;
	pthread_t thread;
	uint64_t n;

	parse(&b, argc, argv);
	b.from = memory((size_t)b.size * b.n_sources, b.huge);
	b.to = memory(b.room, b.huge);
	pin(b.cpu);
	if (b.touch && pthread_create(&thread, NULL, guests, &b))
		die("pthread_create");
	n = copy_for(&b, 0, &warm_s);
	s = b.seconds;
	n = copy_for(&b, n, &s);
	atomic_store(&b.stop, true);
	if (b.touch)
		pthread_join(thread, NULL);
	printf("{\"bench\": \"copy\", \"size\": %u, \"touch\": %s, \"frames\": %llu, "
	       "\"seconds\": %.6f, \"gbit_s\": %.3f}\n",
	       b.size, b.touch ? "true" : "false", (unsigned long long)n, s,
	       (double)n * b.size * 8 / s / 1e9);
	return 0;
}
