// SPDX-License-Identifier: Apache-2.0
/*
 * What one turn between two vhost-user ports costs: both guests, both ports and the relay in one
 * thread, so that nothing but our own work is measured. Cache lines do not travel between CPUs
 * here: for that see vhost_user_bench.py. Under callgrind it tells which function takes what part.
 *
 * usage: vhost_turn_bench [--packed] [--size N] [--offload] [--mixed] [--ports] [--turns N]
 *   --mixed   two destinations in turn, instead of one
 *   --ports   the two ports alone, without the relay between: every frame goes to the second one
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include "turn.h"
#include "turn_guests.h"

enum { GUESTS = 3, TURNS_MAX = 1 << 20 };

struct options {
	uint32_t size;
	unsigned turns;
	bool packed, offload, mixed, ports;
};

static void send_burst(struct turn_guests *g, const struct options *o)
{
	uint8_t octets[1514] = { [12] = 0x08 };
	struct front_tx tx = { .data = octets, .size = o->size };
	struct mac src = turn_guest_mac(0);

	memcpy(octets + 6, src.b, 6);
	for (unsigned i = 0; i < BURST_MAX; i++) {
		struct mac dst = turn_guest_mac(o->mixed ? 1 + (i & 1) : 1);

		memcpy(octets, dst.b, 6);
		if (front_dev_queue(&g->dev[0], 0, &tx, 100) < 0)
			exit(1);
	}
	front_dev_flush(&g->dev[0], 0);
}

/* What the ports do in a turn, and nothing else. */
static void turn_of_ports(struct turn_guests *g)
{
	static struct burst b;
	struct port *from = g->port[0], *to = g->port[1];
	const struct frame *f[BURST_MAX];
	unsigned n;

	b.octets_max = UINT32_MAX;
	n = from->ops->rx(from, &b, BURST_MAX);
	for (unsigned i = 0; i < n; i++)
		f[i] = &b.frame[i];
	to->ops->tx(to, f, n);
	to->ops->flush(to);
	from->ops->rx_done(from);
}

static bool run(struct turn_guests *g, const struct options *o)
{
	uint64_t *cycles = calloc(o->turns, sizeof(*cycles)), received = 0;
	const char *what = o->mixed ? " mixed" : o->ports ? " ports" : "";
	struct turn *t = turn_new(0);
	bool all;

	for (unsigned k = 0; k < o->turns; k++) {
		uint64_t start;

		send_burst(g, o);
		start = __rdtsc();
		if (o->ports)
			turn_of_ports(g);
		else
			turn_run(t, g->view, 0, 0);
		cycles[k] = __rdtsc() - start;
		while (turn_run(t, g->view, 0, 0)) /* of long frames a turn takes fewer */
			cycles[k] = UINT64_MAX;
		received += turn_guest_receive(g, 1) + turn_guest_receive(g, 2);
		front_dev_reap(&g->dev[0], 0);
	}
	all = received == (uint64_t)o->turns * BURST_MAX;
	qsort(cycles, o->turns, sizeof(*cycles), turn_compare);
	printf("turn  %s %5u octets%s%s  %5.1f TSC cycles/frame  "
	       "(p10 %.1f, p90 %.1f, %u turns)%s\n",
	       o->packed ? "packed" : "split ", o->size, o->offload ? " offload" : "", what,
	       (double)cycles[o->turns / 2] / BURST_MAX, (double)cycles[o->turns / 10] / BURST_MAX,
	       (double)cycles[o->turns * 9 / 10] / BURST_MAX, o->turns,
	       all ? "" : "  FRAMES WERE LOST");
	turn_free(t);
	free(cycles);
	return all;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { { "packed", no_argument, NULL, 'p' },
					       { "size", required_argument, NULL, 's' },
					       { "offload", no_argument, NULL, 'o' },
					       { "mixed", no_argument, NULL, 'm' },
					       { "ports", no_argument, NULL, 'P' },
					       { "turns", required_argument, NULL, 't' },
					       { NULL, 0, NULL, 0 } };
	struct front_dev_config c = { .features =
					      FRONT_FEATURES_LEAST | FRONT_BIT(FRONT_F_MRG_RXBUF) };
	struct options o = { .size = 64, .turns = 20000 };
	static struct turn_guests guests;
	bool ok;

	for (int k; (k = getopt_long(argc, argv, "", longs, NULL)) >= 0;) {
		o.packed |= k == 'p';
		o.offload |= k == 'o';
		o.mixed |= k == 'm';
		o.ports |= k == 'P';
		if (k == 's')
			o.size = (uint32_t)atoi(optarg);
		if (k == 't')
			o.turns = (unsigned)atoi(optarg);
		if (k == '?')
			return 2;
	}
	if (o.size < 14 || o.size > 1514 || !o.turns || o.turns > TURNS_MAX) {
		fprintf(stderr, "vhost_turn_bench: sizes are 14..1514, turns 1..%d\n", TURNS_MAX);
		return 2;
	}
	if (o.packed)
		c.features |= FRONT_BIT(FRONT_F_PACKED);
	if (o.offload)
		c.features |= FRONT_FEATURES_OFFLOAD;
	turn_guests_open(&guests, GUESTS, &c);
	ok = run(&guests, &o);
	turn_guests_close(&guests);
	return ok ? 0 : 1;
}
