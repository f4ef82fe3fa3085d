// SPDX-License-Identifier: Apache-2.0
/*
 * What one turn between two vhost-user ports costs: both guests, both ports and the relay in one
 * thread, so that nothing but our own work is measured. Cache lines do not travel between CPUs here:
 * for that see vhost_user_bench.py. Under callgrind it tells which function takes what part.
 *
 * usage: vhost_turn_bench [--packed] [--size N] [--offload] [--mixed] [--ports] [--turns N]
 *   --mixed   two destinations in turn, instead of one
 *   --ports   the two ports alone, without the relay between: every frame goes to the second one
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <x86intrin.h>

#include "front_dev.h"
#include "turn.h"
#include "vhost_user.h"
#include "view.h"

enum { PORTS = 3, TURNS_MAX = 1 << 20 };

struct options {
	uint32_t size;
	unsigned turns;
	bool packed, offload, mixed, ports;
};

static struct port *port[PORTS];
static struct front_dev dev[PORTS];

static void no_quiesce(void *aux)
{
}

static int no_watch(void *aux, int fd)
{
	return 0;
}

static void no_unwatch(void *aux, int fd)
{
}

static void no_announce(void *aux, struct mac mac)
{
}

/* The control thread's part, run while the front-end waits for an answer. */
static void step(void *aux)
{
	struct err why;

	if (vhost_user_is_attached(aux))
		vhost_user_input(aux, &why);
}

static struct mac mac_of(unsigned i)
{
	return (struct mac){ { 0x52, 0x54, 0, 0, 0, (uint8_t)(0x0a + i) } };
}

static void connect_guest(unsigned i, const struct options *o)
{
	struct front_dev_config c = { .features =
					      FRONT_FEATURES_LEAST | FRONT_BIT(FRONT_F_MRG_RXBUF) };
	struct vhost_user_spec spec = { .pairs_max = 1,
					.state_fd = -1,
					.settings = { .mtu = 1500, .offload = true },
					.hooks = { NULL, no_quiesce, no_watch, no_unwatch,
						   no_quiesce, no_announce } };
	int fd[2];

	if (o->packed)
		c.features |= FRONT_BIT(FRONT_F_PACKED);
	if (o->offload)
		c.features |= FRONT_FEATURES_OFFLOAD;
	port[i] = vhost_user_port_new(&spec, 1);
	if (!port[i] || socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0 ||
	    vhost_user_attach(port[i], fd[1]) < 0)
		abort();
	port[i]->id = (port_id)i;
	front_dev_init(&dev[i], &c);
	front_dev_attach_take(&dev[i], fd[0]);
	dev[i].sock.step = step;
	dev[i].sock.step_arg = port[i];
	if (front_dev_start(&dev[i]) < 0) {
		fprintf(stderr, "vhost_turn_bench: %s %s\n", dev[i].error, dev[i].sock.error);
		exit(1);
	}
	front_ring_interrupts(&dev[i].pair[0].rx, false);
	front_ring_interrupts(&dev[i].pair[0].tx, false);
}

static struct fwd_view *make_view(void)
{
	struct view_port vp[PORTS];
	struct owner o[PORTS];
	bool is_learning = false;

	for (unsigned i = 0; i < PORTS; i++) {
		vp[i] = (struct view_port){ .port = port[i],
					    .size_max = 1514,
					    .pvid = VID_DEFAULT,
					    .role = FWD_STATION,
					    .mode = FWD_BRIDGE,
					    .flags = VIEW_UP | VIEW_GUARD,
					    .offload = port[i]->offload };
		o[i] = (struct owner){ .mac = mac_of(i),
				       .port = (port_id)i,
				       .fid = owners_fid(0, VID_NONE),
				       .vid = VID_DEFAULT,
				       .flags = OWNER_STATIC };
	}
	return view_build(&(struct view_spec){ .generation = 1,
					       .seed = 0x243f6a8885a308d3,
					       .n_ports = PORTS,
					       .n_bridges = 1,
					       .port = vp,
					       .bridge_is_learning = &is_learning,
					       .owner = o,
					       .n_owners = PORTS });
}

static void send_burst(const struct options *o)
{
	static uint8_t octets[65536];
	struct front_tx tx = { .data = octets, .size = o->size };

	for (unsigned i = 0; i < BURST_MAX; i++) {
		struct mac dst = mac_of(o->mixed ? 1 + (i & 1) : 1), src = mac_of(0);

		memcpy(octets, dst.b, 6);
		memcpy(octets + 6, src.b, 6);
		octets[12] = 0x08;
		if (front_dev_queue(&dev[0], 0, &tx, 100) < 0)
			exit(1);
	}
	front_dev_flush(&dev[0], 0);
}

static unsigned receive_all(void)
{
	static uint8_t octets[65536];
	struct front_frame f = { .data = octets, .room = sizeof(octets) };
	unsigned n = 0;

	for (unsigned i = 1; i < PORTS; i++)
		while (front_dev_recv(&dev[i], 0, &f, 0) > 0)
			n++;
	front_dev_reap(&dev[0], 0);
	return n;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* What the ports do in a turn, and nothing else. */
static void turn_of_ports(void)
{
	static struct burst b;
	const struct frame *f[BURST_MAX];
	unsigned n;

	b.octets_max = 256 << 10;
	n = port[0]->ops->rx(port[0], &b, BURST_MAX);
	for (unsigned i = 0; i < n; i++)
		f[i] = &b.frame[i];
	port[1]->ops->tx(port[1], f, n);
	port[1]->ops->flush(port[1]);
	port[0]->ops->rx_done(port[0]);
}

static bool run(const struct options *o)
{
	uint64_t *cycles = calloc(o->turns, sizeof(*cycles)), received = 0;
	struct turn *t = turn_new(0);
	struct fwd_view *v = make_view();

	for (unsigned k = 0; k < o->turns; k++) {
		uint64_t start;

		send_burst(o);
		start = __rdtsc();
		if (o->ports)
			turn_of_ports();
		else
			turn_run(t, v, 0, 0);
		cycles[k] = __rdtsc() - start;
		received += receive_all();
	}
	qsort(cycles, o->turns, sizeof(*cycles), compare);
	printf("turn  %s %5u octets%s%s  %5.1f TSC cycles/frame  (p10 %.1f, p90 %.1f, %u turns)%s\n",
	       o->packed ? "packed" : "split ", o->size, o->offload ? " offload" : "",
	       o->mixed ? " mixed" :
	       o->ports ? " ports" :
			  "",
	       (double)cycles[o->turns / 2] / BURST_MAX, (double)cycles[o->turns / 10] / BURST_MAX,
	       (double)cycles[o->turns * 9 / 10] / BURST_MAX, o->turns,
	       received == (uint64_t)o->turns * BURST_MAX ? "" : "  FRAMES WERE LOST");
	turn_free(t);
	view_free(v);
	free(cycles);
	return received == (uint64_t)o->turns * BURST_MAX;
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
	struct options o = { .size = 64, .turns = 20000 };
	bool ok;

	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) >= 0;) {
		o.packed |= c == 'p';
		o.offload |= c == 'o';
		o.mixed |= c == 'm';
		o.ports |= c == 'P';
		if (c == 's')
			o.size = (uint32_t)atoi(optarg);
		if (c == 't')
			o.turns = (unsigned)atoi(optarg);
		if (c == '?')
			return 2;
	}
	if (o.size < 14 || o.size > 1514 || !o.turns || o.turns > TURNS_MAX) {
		fprintf(stderr, "vhost_turn_bench: sizes are 14..1514, turns 1..%d\n", TURNS_MAX);
		return 2;
	}
	for (unsigned i = 0; i < PORTS; i++)
		connect_guest(i, &o);
	ok = run(&o);
	for (unsigned i = 0; i < PORTS; i++) {
		front_dev_close(&dev[i]);
		port_free(port[i]);
	}
	return ok ? 0 : 1;
}
