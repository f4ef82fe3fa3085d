// SPDX-License-Identifier: Apache-2.0
/*
 * What the relay costs per frame: receive, classify, decide and egress between memory ports, with
 * every check on. Prints nanoseconds and TSC cycles per frame, the median and the spread of several
 * runs, for relays of 2, 64 and 1,024 ports, to show that the cost does not grow with the ports.
 *
 *   near:   each port sends all frames to one other port
 *   pairs:  each port sends to two others in turn
 *   spread: each frame of a port goes to another port (64 receivers a burst)
 *   limits: as near, with a limit in bits and one in packets both ways, which nothing exceeds
 *
 * usage: relay_bench [RUNS [PATTERN]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <x86intrin.h>

#include "memory.h"
#include "turn.h"
#include "view.h"

enum { FRAMES_PER_RUN = 4 << 20, FRAME_SIZE = 64, RUNS_MAX = 99 };

/* Whom a port sends to. */
enum pattern { NEAR, PAIRS, SPREAD, LIMITS };
static const char *const pattern_name[] = { "near", "pairs", "spread", "limits" };

struct sender {
	struct frame frame[BURST_MAX];
	struct iovec iov[BURST_MAX];
	uint8_t octets[BURST_MAX][FRAME_SIZE];
};

static struct mac mac_of(unsigned port)
{
	return (struct mac){ { 0x52, 0x54, 0, 0, (uint8_t)(port >> 8), (uint8_t)port } };
}

static void fill(struct sender *s, unsigned port, unsigned n_ports, enum pattern pattern)
{
	for (unsigned i = 0; i < BURST_MAX; i++) {
		unsigned step = pattern == PAIRS  ? i % 2 :
				pattern == SPREAD ? i * 7 % (n_ports - 1) :
						    0;
		unsigned to = (port + 1 + step) % n_ports;
		struct mac dst = mac_of(to), src = mac_of(port);
		uint8_t *o = s->octets[i];

		memset(o, 0, FRAME_SIZE);
		memcpy(o, dst.b, 6);
		memcpy(o + 6, src.b, 6);
		o[12] = 0x08;
		s->iov[i] = (struct iovec){ o, FRAME_SIZE };
		s->frame[i] = (struct frame){ .iov = &s->iov[i], .n_iov = 1, .size = FRAME_SIZE };
	}
}

/* Limits that are never reached. */
static struct meter_limits limits_far(void)
{
	struct meter_limits l = { .set = METERS_IN | METERS_OUT };

	for (unsigned i = 0; i < METERS_N; i++)
		l.of[i] = meter_limit_of((enum meter_id)i, UINT64_C(1) << 50, 0);
	return l;
}

static struct fwd_view *make_view(struct port **port, unsigned n, enum pattern pattern)
{
	struct view_port *vp = calloc(n, sizeof(*vp));
	struct owner *o = calloc(n, sizeof(*o));
	struct meter_limits *limit = calloc(n, sizeof(*limit));
	bool is_learning = false;
	struct fwd_view *v;

	for (unsigned i = 0; i < n; i++) {
		vp[i] = (struct view_port){ .port = port[i],
					    .size_max = 1514,
					    .pvid = VID_DEFAULT,
					    .role = FWD_STATION,
					    .mode = FWD_BRIDGE,
					    .flags = VIEW_UP | VIEW_GUARD,
					    .offload = OFFLOAD_ALL };
		if (pattern == LIMITS) {
			vp[i].flags |= VIEW_METERED_IN | VIEW_METERED_OUT;
			limit[i] = limits_far();
		}
		o[i] = (struct owner){ .mac = mac_of(i),
				       .port = (port_id)i,
				       .fid = owners_fid(0, VID_NONE),
				       .vid = VID_DEFAULT,
				       .flags = OWNER_STATIC };
	}
	v = view_build(&(struct view_spec){ .generation = 1,
					    .seed = 0x243f6a8885a308d3,
					    .n_ports = n,
					    .n_bridges = 1,
					    .port = vp,
					    .limit = limit,
					    .bridge_is_learning = &is_learning,
					    .owner = o,
					    .n_owners = n });
	free(vp);
	free(limit);
	free(o);
	return v;
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* What a frame took. */
struct cost {
	double ns, cycles;
};

static struct cost run(struct turn *t, struct fwd_view *v, struct port **port, struct sender *s,
		       unsigned n_ports)
{
	unsigned frames = 0;
	static tstamp now = NS_PER_S;
	double start = now_ns();
	uint64_t tsc = __rdtsc();

	while (frames < FRAMES_PER_RUN) {
		for (unsigned p = 0; p < n_ports; p++) {
			memory_port_feed(port[p], s[p].frame, BURST_MAX);
			frames += turn_run(t, v, (port_id)p, now += 1000);
		}
	}
	tsc = __rdtsc() - tsc;
	return (struct cost){ (now_ns() - start) / frames, (double)tsc / frames };
}

static int compare(const void *a, const void *b)
{
	double x = ((const struct cost *)a)->ns, y = ((const struct cost *)b)->ns;

	return (x > y) - (x < y);
}

static bool all_delivered(struct port **port, unsigned n)
{
	uint64_t rx = 0, tx = 0;

	for (unsigned i = 0; i < n; i++) {
		struct port_counters c;

		port_counters_sum(port[i], 1, &c);
		rx += c.rx_frames;
		tx += c.tx_frames;
	}
	return rx == tx && rx > 0;
}

static bool bench(unsigned n_ports, enum pattern pattern, unsigned runs)
{
	struct port **port = calloc(n_ports, sizeof(struct port *));
	struct sender *s = calloc(n_ports, sizeof(*s));
	struct turn *t = turn_new(0);
	struct fwd_view *v;
	struct cost cost[RUNS_MAX];
	bool ok;

	for (unsigned i = 0; i < n_ports; i++) {
		port[i] = memory_port_new(OFFLOAD_ALL, 1);
		port[i]->id = (port_id)i;
		fill(&s[i], i, n_ports, pattern);
	}
	v = make_view(port, n_ports, pattern);
	run(t, v, port, s, n_ports); /* warm up */
	for (unsigned r = 0; r < runs; r++)
		cost[r] = run(t, v, port, s, n_ports);
	qsort(cost, runs, sizeof(*cost), compare);
	ok = all_delivered(port, n_ports);
	printf("relay  %5u ports  %-6s  %6.1f ns/frame  %6.1f cycles  (%.1f .. %.1f ns, %u runs)"
	       "%s\n",
	       n_ports, pattern_name[pattern], cost[runs / 2].ns, cost[runs / 2].cycles, cost[0].ns,
	       cost[runs - 1].ns, runs, ok ? "" : "  FRAMES WERE LOST");
	view_free(v);
	turn_free(t);
	for (unsigned i = 0; i < n_ports; i++)
		port_free(port[i]);
	free(port);
	free(s);
	return ok;
}

int main(int argc, char **argv)
{
	static const struct {
		unsigned n_ports;
		enum pattern pattern;
	} cases[] = {
		{ 2, NEAR },   { 2, LIMITS },	{ 64, NEAR },	{ 1024, NEAR },
		{ 64, PAIRS }, { 1024, PAIRS }, { 64, SPREAD }, { 1024, SPREAD },
	};
	unsigned runs = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
	bool ok = true;

	if (runs < 1 || runs > RUNS_MAX) {
		fprintf(stderr, "usage: relay_bench [RUNS [PATTERN]]   (1..%u)\n", RUNS_MAX);
		return 2;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		if (argc < 3 || !strcmp(argv[2], pattern_name[cases[i].pattern]))
			ok &= bench(cases[i].n_ports, cases[i].pattern, runs);
	}
	return ok ? 0 : 1;
}
