// SPDX-License-Identifier: Apache-2.0
/*
 * Many guests at vhost-user sockets, each with memory, rings and receive buffers of its own. They
 * do nothing but be there ("ready" is printed when they are) until standard input ends; or, with
 * --flood, the first one sends multicast as fast as the switch takes it for so many seconds, and
 * all others take what they get and give the buffers back at once. That is done on the rings
 * directly, so that the guests, all in one thread, are not what limits. Prints one JSON object.
 *
 * usage: vhost_guests [--ring N] [--flood SECONDS [--size N] [--mac MAC]] PATH...
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "front_dev.h"

enum { FRAME_MAX = 1514, MEMORY = 2 << 20, SEND_RING = 64 };

struct guests {
	struct front_dev *dev;
	unsigned n, ring, size;
	double seconds; /* 0: do nothing */
	uint8_t mac[6];
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void guest_start(struct front_dev *d, const char *path, unsigned ring)
{
	struct front_dev_config c = {
		.mem = { .size = MEMORY, .sealed = true },
		.protocol = FRONT_P_MQ | FRONT_P_REPLY_ACK,
		.rx_size = ring,
		.tx_size = SEND_RING,
	};
	int err;

	front_dev_init(d, &c);
	d->sock.timeout_ms = 20000;
	err = front_dev_connect(d, path);
	if (!err)
		err = front_dev_start(d);
	if (err) {
		fprintf(stderr, "vhost_guests: %s: %s %s: %s\n", path, d->error, d->sock.error,
			strerror(-err));
		exit(1);
	}
}

static void wait_for_end(void)
{
	char c;

	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
}

/* Fill the sender's ring with frames, of which none is available yet. */
static void fill(struct guests *g)
{
	static const uint8_t group[6] = { 0x01, 0x00, 0x5e, 0x01, 0x02, 0x03 };
	uint8_t frame[FRAME_MAX] = { 0 };
	struct front_tx tx = { .data = frame, .size = g->size };

	memcpy(frame, group, 6);
	memcpy(frame + 6, g->mac, 6);
	frame[12] = 0x08;
	for (unsigned i = 0; i < SEND_RING; i++) {
		if (front_dev_queue(&g->dev[0], 0, &tx, 0)) {
			fprintf(stderr, "vhost_guests: %s\n", g->dev[0].error);
			exit(1);
		}
	}
}

static uint16_t used_idx(const struct front_ring *r)
{
	return __atomic_load_n(&r->used[1], __ATOMIC_ACQUIRE);
}

/* Everything in the ring up to `avail` is the device's: entries stay what they are from lap to lap,
 * as the device uses buffers in order. */
static void offer(struct front_ring *r, uint16_t avail)
{
	__atomic_store_n(&r->avail[1], avail, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(__atomic_load_n(&r->used[0], __ATOMIC_RELAXED) & 1))
		front_ring_kick_always(r);
}

static uint64_t drain(struct guests *g, uint16_t *seen)
{
	uint64_t copies = 0;

	for (unsigned i = 1; i < g->n; i++) {
		struct front_ring *r = &g->dev[i].pair[0].rx;
		uint16_t used = used_idx(r);

		if (used == seen[i])
			continue;
		copies += (uint16_t)(used - seen[i]);
		seen[i] = used;
		offer(r, (uint16_t)(used + g->ring));
	}
	return copies;
}

static void flood_for(struct guests *g, double seconds, bool print)
{
	struct front_ring *tx = &g->dev[0].pair[0].tx;
	uint16_t *seen = calloc(g->n, sizeof(*seen)), avail = used_idx(tx);
	uint64_t frames = 0, copies = 0;
	double start = now_s(), now = start;

	if (!seen)
		exit(1);
	for (unsigned i = 1; i < g->n; i++)
		seen[i] = used_idx(&g->dev[i].pair[0].rx);
	while (now < start + seconds) {
		uint16_t out = (uint16_t)(avail - used_idx(tx));

		copies += drain(g, seen);
		if (out < SEND_RING) {
			avail = (uint16_t)(avail + SEND_RING - out);
			frames += SEND_RING - out;
			offer(tx, avail);
		}
		now = now_s();
	}
	/* What is under way was sent in this time, and belongs to it. */
	while (used_idx(tx) != avail && now_s() < now + 2)
		copies += drain(g, seen);
	copies += drain(g, seen);
	now = now_s();
	if (print)
		printf("{\"bench\": \"flood\", \"receivers\": %u, \"size\": %u, \"frames\": %llu, "
		       "\"copies\": %llu, \"seconds\": %.6f}\n",
		       g->n - 1, g->size, (unsigned long long)frames, (unsigned long long)copies,
		       now - start);
	free(seen);
}

/* The device must have used the buffers of the last lap in the order in which they lie. */
static void check_order(const struct front_ring *r)
{
	const struct front_used_elem *e = (const struct front_used_elem *)(r->used + 2);

	for (unsigned i = 0; i < r->c.size && i < used_idx(r); i++) {
		if (e[i].id != r->avail[2 + i]) {
			fprintf(stderr, "vhost_guests: the switch uses buffers out of order\n");
			exit(1);
		}
	}
}

static void parse(struct guests *g, int argc, char **argv)
{
	static const struct option options[] = {
		{ "ring", 1, NULL, 'r' }, { "flood", 1, NULL, 'f' }, { "size", 1, NULL, 's' },
		{ "mac", 1, NULL, 'm' },  { NULL, 0, NULL, 0 },
	};
	uint8_t *m = g->mac;
	bool good = true;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			g->ring = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'f')
			g->seconds = strtod(optarg, NULL);
		else if (c == 's')
			g->size = (unsigned)strtoul(optarg, NULL, 10);
		else
			good &= c == 'm' && sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m,
						   m + 1, m + 2, m + 3, m + 4, m + 5) == 6;
	}
	g->n = (unsigned)(argc - optind);
	good &= g->n > 0 && g->size >= 14 && g->size <= FRAME_MAX && g->ring >= 1;
	if (!good || (g->seconds > 0 && (g->n < 2 || g->ring < 2 * SEND_RING))) {
		fprintf(stderr, "vhost_guests: see the comment on top of vhost_guests.c\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct guests g = { .ring = 256, .size = 64, .mac = { 0x52, 0x54, 0, 0, 0, 0x0a } };

	parse(&g, argc, argv);
	g.dev = calloc(g.n, sizeof(*g.dev));
	if (!g.dev)
		return 1;
	for (unsigned i = 0; i < g.n; i++)
		guest_start(&g.dev[i], argv[optind + (int)i], g.ring);
	if (g.seconds > 0) {
		fill(&g);
		flood_for(&g, 0.1, false);
		flood_for(&g, g.seconds, true);
		for (unsigned i = 1; i < g.n; i++)
			check_order(&g.dev[i].pair[0].rx);
	} else {
		wait_for_end();
	}
	for (unsigned i = 0; i < g.n; i++)
		front_dev_close(&g.dev[i]);
	free(g.dev);
	return 0;
}
