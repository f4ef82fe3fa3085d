// SPDX-License-Identifier: Apache-2.0
/*
 * How long the first frame takes after a rest, and what of that is the machine's own. A guest on
 * one CPU rests, then gives a frame to the switch on the other CPU and waits for it at another
 * port: polling its ring, or asleep on its call eventfd. Without sockets the same is done by a
 * thread in the switch's place that only waits and answers. Prints one JSON object with the median
 * and the 99th percentile of each, in nanoseconds:
 *
 *   wake    the guest polls its ring     bare_wake    an eventfd wakes the thread, we poll memory
 *   both    the guest sleeps             bare_both    an eventfd wakes the thread, another one us
 *                                        bare_poll    both poll memory
 *   busy    the guest polls, after a     bare_busy    both poll memory, after the same rest
 *           rest so short that the
 *           switch still polls too
 *
 * usage: wakeup_bench [--rest-us N] [--short-us N] [--count N] [--rounds N] [--cpu N]
 *                     [--switch-cpu N] [--mac-a MAC] [--mac-b MAC] [PATH_A PATH_B]
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "front_dev.h"

enum { FRAME_SIZE = 64, PATIENCE_MS = 1000, LOST_MAX = 5, INTRODUCE_S = 20 };

enum how { BARE_WAKE, BARE_BOTH, BARE_POLL, BARE_BUSY, WAKE, BOTH, BUSY, HOWS };

static const char *const how_name[HOWS] = {
	"bare_wake", "bare_both", "bare_poll", "bare_busy", "wake", "both", "busy",
};

/* The thread in the switch's place. It runs only while it polls; else it sleeps on `kick`. */
struct other {
	pthread_t thread;
	int kick, call;
	_Alignas(128) uint64_t question;
	_Alignas(128) uint64_t answer;
	_Alignas(128) int polls, calls, ends;
};

struct bench {
	struct front_dev a, b;
	bool has_switch;
	struct other other;
	unsigned rest_us, short_us, count, rounds, cpu, switch_cpu;
	uint8_t mac_a[6], mac_b[6];
	uint64_t *took[HOWS]; /* ns, count * rounds */
	unsigned n[HOWS];
	uint64_t n_lost;
	int epoll;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static int epoll_on(int fd)
{
	struct epoll_event e = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
		die("epoll");
	return epoll;
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		die("eventfd");
}

static void clear_fd(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		die("eventfd");
}

/* ---- the thread in the switch's place ---- */

struct other_args {
	struct other *o;
	unsigned cpu;
};

static void answer(struct other *o)
{
	__atomic_store_n(&o->answer, __atomic_load_n(&o->question, __ATOMIC_ACQUIRE),
			 __ATOMIC_RELEASE);
	if (__atomic_load_n(&o->calls, __ATOMIC_RELAXED))
		signal_fd(o->call);
}

static void *other_run(void *arg)
{
	struct other_args *args = arg;
	struct other *o = args->o;
	int epoll = epoll_on(o->kick);
	struct epoll_event e;

	pin(args->cpu);
	while (!__atomic_load_n(&o->ends, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&o->polls, __ATOMIC_ACQUIRE)) {
			if (__atomic_load_n(&o->question, __ATOMIC_ACQUIRE) != o->answer)
				answer(o);
			continue;
		}
		if (epoll_wait(epoll, &e, 1, -1) == 1) {
			clear_fd(o->kick);
			answer(o);
		}
	}
	close(epoll);
	return NULL;
}

/* Make it poll, or sleep, and wait until it does. */
static void other_set(struct bench *b, bool polls, bool calls)
{
	struct other *o = &b->other;

	__atomic_store_n(&o->calls, calls, __ATOMIC_RELEASE);
	__atomic_store_n(&o->polls, polls, __ATOMIC_RELEASE);
	signal_fd(o->kick);
	usleep(2000);
	clear_fd(o->call);
}

/* ---- one sample ---- */

static bool late(uint64_t start)
{
	return now_ns() - start > PATIENCE_MS * UINT64_C(1000000);
}

static uint64_t ask_other(struct bench *b, enum how how)
{
	struct other *o = &b->other;
	struct epoll_event e;
	uint64_t start = now_ns(), q = o->question + 1;

	__atomic_store_n(&o->question, q, __ATOMIC_RELEASE);
	if (how == BARE_WAKE || how == BARE_BOTH)
		signal_fd(o->kick);
	if (how == BARE_BOTH && epoll_wait(b->epoll, &e, 1, PATIENCE_MS) == 1)
		clear_fd(o->call);
	while (__atomic_load_n(&o->answer, __ATOMIC_ACQUIRE) != q)
		if (late(start))
			return 0;
	return now_ns() - start;
}

static void check(const struct front_dev *d, int err)
{
	if (err >= 0)
		return;
	fprintf(stderr, "wakeup_bench: %s %s: %s\n", d->error, d->sock.error, strerror(-err));
	exit(1);
}

static void queue_frame(struct bench *b)
{
	uint8_t octets[FRAME_SIZE] = { 0 };
	struct front_tx tx = { .data = octets, .size = sizeof(octets) };

	memcpy(octets, b->mac_b, 6);
	memcpy(octets + 6, b->mac_a, 6);
	octets[12] = 0x08;
	check(&b->a, front_dev_queue(&b->a, 0, &tx, PATIENCE_MS));
}

static bool receive(struct bench *b, int timeout_ms)
{
	uint8_t room[2048];
	struct front_frame f = { .data = room, .room = sizeof(room) };
	int got = front_dev_recv(&b->b, 0, &f, timeout_ms);

	check(&b->b, got);
	return got > 0;
}

/* Until the switch has found its guests. */
static void introduce(struct bench *b)
{
	for (unsigned i = 0;; i++) {
		queue_frame(b);
		front_dev_flush(&b->a, 0);
		if (receive(b, PATIENCE_MS / 10))
			break;
		if (i == 10 * INTRODUCE_S) {
			fprintf(stderr, "wakeup_bench: no frame comes through\n");
			exit(1);
		}
	}
	while (receive(b, PATIENCE_MS / 10))
		;
}

static uint64_t ask_switch(struct bench *b, enum how how)
{
	struct front_ring *rx = &b->b.pair[0].rx;
	struct epoll_event e;
	uint64_t start, took;

	queue_frame(b);
	start = now_ns();
	front_dev_flush(&b->a, 0);
	if (how == BOTH && epoll_wait(b->epoll, &e, 1, PATIENCE_MS) == 1)
		front_ring_calls(rx);
	while (!front_ring_has_used(rx))
		if (late(start))
			return 0;
	took = now_ns() - start;
	receive(b, 0);
	return took;
}

static void rest(const struct bench *b, enum how how)
{
	unsigned us = how == BUSY || how == BARE_BUSY ? b->short_us : b->rest_us;
	uint64_t start = now_ns();

	/* Short rests must be exact: a sleep would be longer by the machine's own wake-up. */
	if (us < 1000)
		while (now_ns() - start < us * UINT64_C(1000))
			;
	else
		usleep(us);
}

static void set_up(struct bench *b, enum how how)
{
	bool bare = how < WAKE;

	if (bare)
		other_set(b, how == BARE_POLL || how == BARE_BUSY, how == BARE_BOTH);
	else
		front_ring_interrupts(&b->b.pair[0].rx, how == BOTH);
	if (how == BARE_BOTH || how == BOTH)
		b->epoll = epoll_on(bare ? b->other.call : b->b.pair[0].rx.call);
}

static void round_of(struct bench *b, enum how how)
{
	set_up(b, how);
	for (unsigned i = 0; i < b->count; i++) {
		uint64_t took;

		rest(b, how);
		took = how < WAKE ? ask_other(b, how) : ask_switch(b, how);
		if (!took && ++b->n_lost > LOST_MAX) {
			fprintf(stderr, "wakeup_bench: %s: no answer\n", how_name[how]);
			exit(1);
		}
		if (took && i) /* the first of a round comes from another state */
			b->took[how][b->n[how]++] = took;
	}
	if (how == BARE_BOTH || how == BOTH)
		close(b->epoll);
	if (how < WAKE)
		other_set(b, false, false);
}

/* ---- all together ---- */

static void guest_start(struct front_dev *d, const char *path)
{
	struct front_dev_config c = {
		.mem = { .size = 4 << 20, .sealed = true },
		.protocol = FRONT_P_MQ | FRONT_P_REPLY_ACK,
	};
	int err;

	front_dev_init(d, &c);
	d->sock.timeout_ms = 20000;
	err = front_dev_connect(d, path);
	check(d, err ? err : front_dev_start(d));
}

static int compare(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return (a > b) - (a < b);
}

static void print(struct bench *b)
{
	printf("{\"bench\": \"wakeup\", \"rest_us\": %u, \"short_us\": %u, \"lost\": %llu",
	       b->rest_us, b->short_us, (unsigned long long)b->n_lost);
	for (enum how how = 0; how < HOWS; how++) {
		uint64_t *t = b->took[how];
		unsigned n = b->n[how];

		if (!n)
			continue;
		qsort(t, n, sizeof(*t), compare);
		printf(", \"%s\": {\"p50\": %llu, \"p99\": %llu}", how_name[how],
		       (unsigned long long)t[n / 2], (unsigned long long)t[n * 99 / 100]);
	}
	puts("}");
}

static bool parse_mac(const char *s, uint8_t *m)
{
	return sscanf(s, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3, m + 4, m + 5) ==
	       6;
}

static void parse(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{ "rest-us", 1, NULL, 'r' }, { "short-us", 1, NULL, 's' },
		{ "count", 1, NULL, 'n' },   { "rounds", 1, NULL, 'k' },
		{ "cpu", 1, NULL, 'c' },     { "switch-cpu", 1, NULL, 'C' },
		{ "mac-a", 1, NULL, 'a' },   { "mac-b", 1, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned *const number[] = {
		['r'] = &b->rest_us, ['s'] = &b->short_us,   ['n'] = &b->count, ['k'] = &b->rounds,
		['c'] = &b->cpu,     ['C'] = &b->switch_cpu, ['a'] = NULL,	['b'] = NULL
	};
	bool good = true;
	int c;

	while (good && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'a' || c == 'b')
			good = parse_mac(optarg, c == 'a' ? b->mac_a : b->mac_b);
		else if (c == '?')
			good = false;
		else
			*number[c] = (unsigned)strtoul(optarg, NULL, 10);
	}
	b->has_switch = optind + 2 == argc;
	if (!good || (!b->has_switch && optind != argc) || b->count < 2 || !b->rounds) {
		fprintf(stderr, "wakeup_bench: see the comment on top of wakeup_bench.c\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct bench b = { .rest_us = 2000,
				  .short_us = 10,
				  .count = 50,
				  .rounds = 5,
				  .cpu = 0,
				  .switch_cpu = 1,
				  .mac_a = { 0x52, 0x54, 0, 0, 0, 0x0a },
				  .mac_b = { 0x52, 0x54, 0, 0, 0, 0x0b } };
	struct other_args args = { .o = &b.other };

	parse(&b, argc, argv);
	for (enum how how = 0; how < HOWS; how++)
		b.took[how] = calloc((size_t)b.count * b.rounds, sizeof(**b.took));
	if (b.has_switch) {
		guest_start(&b.a, argv[optind]);
		guest_start(&b.b, argv[optind + 1]);
		introduce(&b);
	}
	pin(b.cpu);
	b.other.kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	b.other.call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	args.cpu = b.switch_cpu;
	if (pthread_create(&b.other.thread, NULL, other_run, &args))
		die("pthread_create");
	for (unsigned i = 0; i < b.rounds; i++)
		for (enum how how = b.has_switch ? WAKE : 0; how < (b.has_switch ? HOWS : WAKE);
		     how++)
			round_of(&b, how);
	__atomic_store_n(&b.other.ends, 1, __ATOMIC_RELEASE);
	signal_fd(b.other.kick);
	pthread_join(b.other.thread, NULL);
	print(&b);
	if (b.has_switch) {
		front_dev_close(&b.a);
		front_dev_close(&b.b);
	}
	return 0;
}
