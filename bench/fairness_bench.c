// SPDX-License-Identifier: Apache-2.0
/*
 * Fairness: a modest guest that sends bursts of 64-octet frames beside a greedy one that fills its
 * ring with the most laborious thing it can think of. Both take turns at one worker. Prints how
 * long a turn of the greedy guest keeps the modest one waiting, and how much of its rate when alone
 * is left to the modest one. All in one thread, as vhost_turn_bench.
 *
 * usage: fairness_bench [TURNS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "turn.h"
#include "turn_guests.h"

enum { MODEST, MODEST_TO, GREEDY, GREEDY_TO, GUESTS, TURNS_MAX = 100000, HEADERS = 54 };

struct greed {
	const char *name;
	uint32_t size;
	bool is_gso;
	bool is_to_nobody; /* not for the other guest: the frame is dropped */
	struct front_layout layout;
};

static const struct greed greeds[] = {
	{ .name = "nothing" },
	{ .name = "64 octets", .size = 64 },
	{ .name = "1514 octets", .size = 1514 },
	{ .name = "64 KiB GSO, whole", .size = 65226, .is_gso = true },
	{ .name = "64 KiB GSO in pages",
	  .size = 65226,
	  .is_gso = true,
	  .layout = { .cut = { 12, 4096 }, .n_cuts = 2, .repeat_last = true } },
	{ .name = "512 descriptors of 2 octets",
	  .size = 1012,
	  .is_to_nobody = true,
	  .layout = { .cut = { 2 }, .n_cuts = 1, .repeat_last = true, .how = FRONT_IN_TABLE } },
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* IPv4 and TCP in front of the payload, as far as a relay looks. */
static void write_headers(uint8_t *o, unsigned from, unsigned to, uint32_t size)
{
	struct mac src = turn_guest_mac(from), dst = turn_guest_mac(to);
	uint32_t ip = size - 14;

	memset(o, 0, HEADERS);
	memcpy(o, dst.b, 6);
	memcpy(o + 6, src.b, 6);
	o[12] = 0x08;
	o[14] = 0x45;
	o[16] = (uint8_t)(ip >> 8);
	o[17] = (uint8_t)ip;
	o[22] = 64;
	o[23] = 6;
	o[46] = 0x50;
}

/* Fill the transmit ring. */
static void fill(struct turn_guests *g, unsigned from, unsigned to, const struct greed *what)
{
	static uint8_t octets[65536];
	struct front_tx tx = { .data = octets, .size = what->size, .layout = &what->layout };

	if (what->is_gso)
		tx.hdr = (struct front_hdr){ .flags = 1,
					     .gso_type = 1,
					     .hdr_len = HEADERS,
					     .gso_size = 1448,
					     .csum_start = 34,
					     .csum_offset = 16 };
	write_headers(octets, from, to, what->size > HEADERS ? what->size : HEADERS);
	front_dev_reap(&g->dev[from], 0);
	for (unsigned i = 0; i < BURST_MAX; i++)
		if (front_dev_queue(&g->dev[from], 0, &tx, 0) < 0)
			break;
	front_dev_flush(&g->dev[from], 0);
}

/* ns that a turn of port `from` took. */
static uint64_t timed_turn(struct turn *t, struct turn_guests *g, unsigned from)
{
	uint64_t start = now_ns();

	turn_run(t, g->view, (port_id)from, 0);
	return now_ns() - start;
}

static double run(const struct greed *greed, unsigned turns, double alone)
{
	static const struct greed modest = { .name = "modest", .size = 64 };
	static struct turn_guests g;
	struct front_dev_config c = { .features = FRONT_FEATURES_LEAST | FRONT_FEATURES_OFFLOAD |
						  FRONT_BIT(FRONT_F_INDIRECT),
				      .mem = { .size = 256 << 20 } };
	uint64_t *wait = calloc(turns, sizeof(*wait)), *own = calloc(turns, sizeof(*own));
	uint64_t frames = 0;
	struct turn *t = turn_new(0);
	double rate;

	memset(&g, 0, sizeof(g));
	turn_guests_open(&g, GUESTS, &c);
	for (unsigned k = 0; k < turns; k++) {
		fill(&g, MODEST, MODEST_TO, &modest);
		if (greed->size)
			fill(&g, GREEDY, greed->is_to_nobody ? GREEDY : GREEDY_TO, greed);
		wait[k] = timed_turn(t, &g, GREEDY);
		own[k] = timed_turn(t, &g, MODEST);
		frames += turn_guest_receive(&g, MODEST_TO);
		turn_guest_receive(&g, GREEDY_TO);
	}
	qsort(wait, turns, sizeof(*wait), turn_compare);
	qsort(own, turns, sizeof(*own), turn_compare);
	rate = (double)frames * 1e3 / turns / (double)(wait[turns / 2] + own[turns / 2]);
	printf("fair  beside %-28s waits %6.1f us (p99 %6.1f)  modest guest %6.2f Mpps, x %.2f\n",
	       greed->name, (double)wait[turns / 2] / 1e3, (double)wait[turns * 99 / 100] / 1e3,
	       rate, alone > 0 ? rate / alone : 1);
	turn_guests_close(&g);
	turn_free(t);
	free(wait);
	free(own);
	return rate;
}

int main(int argc, char **argv)
{
	unsigned turns = argc > 1 ? (unsigned)atoi(argv[1]) : 2000;
	double alone = 0;

	if (!turns || turns > TURNS_MAX) {
		fprintf(stderr, "usage: fairness_bench [TURNS]   (1..%d)\n", TURNS_MAX);
		return 2;
	}
	for (size_t i = 0; i < ARRAY_SIZE(greeds); i++) {
		double rate = run(&greeds[i], turns, alone);

		if (!i)
			alone = rate;
	}
	return 0;
}
