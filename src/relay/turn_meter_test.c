// SPDX-License-Identifier: Apache-2.0
/*
 * Limits of ports, in virtual time: which frames of a burst pass, under which reason the others are
 * counted, and that the conservation law (the fixture's) holds whatever is refused.
 */
#include <string.h>

#include "turn_fixture.h"

enum { UPLINK, A, B, C, OUTSIDE = 100, STRANGER };

static int setup(void **state)
{
	struct fixture *f = fx_new();

	fx_bridge(f, false);
	fx_uplink(f, UPLINK);
	for (port_id id = A; id <= C; id++) {
		fx_station(f, id, FWD_BRIDGE);
		fx_owner(f, id, id, VID_DEFAULT);
	}
	fx_build(f);
	*state = f;
	return 0;
}

static int setup_relay(void **state)
{
	struct fixture *f = fx_new();

	fx_bridge(f, true);
	for (port_id id = A; id <= C; id++) {
		fx_relay_port(f, id);
		fx_owner(f, id, id, VID_DEFAULT);
	}
	fx_build(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fx_free(*state);
	return 0;
}

/* Send `n` equal frames (64 octets) from `from`; returns how many deliveries they made. */
static uint32_t send(struct fixture *f, port_id from, unsigned src, unsigned dst, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fx_frame(f, dst, src, NULL, 64);
	fx_run(f, from);
	return f->n_got;
}

/* A burst of 64 is metered frame by frame: the first ones pass, up to the one that makes a debt. */
static void test_burst(void **state)
{
	static const struct {
		enum meter_id meter;
		port_id port, from;
		uint64_t rate, burst;
		unsigned passes;
		enum drop_reason why;
	} rows[] = {
		{ METER_RATE_IN, A, A, 8000, 640, 10, DROP_rate },
		{ METER_RATE_IN, A, A, 8000, 641, 11, DROP_rate },
		{ METER_PPS_IN, A, A, 1, 7, 7, DROP_rate },
		{ METER_RATE_OUT, B, A, 8000, 64, 1, DROP_rate_out },
		{ METER_PPS_OUT, B, A, 1, 20, 20, DROP_rate_out },
		{ METER_RATE_IN, B, A, 8000, 64, 64, DROP_REASONS_N }, /* the other direction */
		{ METER_PPS_OUT, A, A, 1, 1, 64, DROP_REASONS_N },
		{ METER_PPS_IN, C, A, 1, 1, 64, DROP_REASONS_N }, /* another port */
		{ METER_BROADCAST, A, A, 1, 1, 64, DROP_REASONS_N },
		{ METER_MULTICAST, A, A, 1, 1, 64, DROP_REASONS_N },
		{ METER_PPS_IN, UPLINK, UPLINK, 1, 5, 5, DROP_rate },
		{ METER_RATE_OUT, B, UPLINK, 8000, 640, 10, DROP_rate_out },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		port_id from = rows[i].from;

		fx_limit(f, rows[i].port, rows[i].meter, rows[i].rate, rows[i].burst);
		fx_build(f);
		f->now += NS_PER_S * 1000;
		assert_int_equal(send(f, from, from == UPLINK ? OUTSIDE : from, B, 64),
				 rows[i].passes);
		for (unsigned k = 0; k < f->n_got; k++)
			assert_int_equal(f->got[k].from, k);
		assert_int_equal(fx_dropped(f), rows[i].why);
		if (rows[i].why != DROP_REASONS_N)
			assert_int_equal(f->drops[rows[i].why], 64 - rows[i].passes);
		fx_limit(f, rows[i].port, rows[i].meter, 0, 0);
	}
}

/* A thousand seconds of too much traffic, in turns of different sizes. */
static void test_rate(void **state)
{
	struct fixture *f = *state;
	uint64_t passed = 0, n = 0;

	fx_limit(f, A, METER_RATE_IN, 33333, 1514);
	fx_limit(f, B, METER_PPS_OUT, 3, 1);
	fx_build(f);
	for (tstamp end = f->now + 1000 * NS_PER_S; f->now < end; f->now += 97 * NS_PER_MS) {
		passed += send(f, A, A, FX_GROUP + 1, 3);
		passed += send(f, A, A, C, 1 + n++ % 60);
	}
	/* a multicast goes to B, C and the uplink: count what was taken from A instead */
	assert_in_range(fx_count(f, A)->rx_frames - fx_count(f, A)->drops[DROP_rate],
			33333 * 1000 / 8 / 64 - 10, 33333 * 1000 / 8 / 64 + 26);
	assert_in_range(fx_count(f, B)->tx_frames, 2990, 3002);
	assert_true(passed > fx_count(f, B)->tx_frames);
}

/* What another rule drops costs nothing, nor does what the control thread sends. */
static void test_not_charged(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[64] = { 2, 0, 0, 0, 0, B, 2, 0, 0, 0, 0, A, 0x08 };

	fx_limit(f, A, METER_PPS_IN, 1, 5);
	fx_limit(f, UPLINK, METER_PPS_IN, 1, 5);
	fx_build(f);
	assert_int_equal(send(f, A, STRANGER, B, 64), 0);
	assert_int_equal(fx_dropped(f), DROP_spoof);
	for (unsigned i = 0; i < 20; i++)
		turn_inject(f->turn, f->view, A, octets, sizeof(octets));
	assert_int_equal(fx_count(f, A)->drops[DROP_rate], 0);
	assert_int_equal(send(f, A, A, B, 64), 5);
	/* frames of the wire that are for nobody here */
	assert_int_equal(send(f, UPLINK, OUTSIDE, STRANGER, 64), 0);
	assert_int_equal(fx_dropped(f), DROP_unknown_dst);
	assert_int_equal(send(f, UPLINK, OUTSIDE, A, 64), 5);
}

/* A GSO frame costs what its segments are on the wire, and is never stuck. */
static void test_gso(void **state)
{
	static const struct fx_l4 big = { .is_partial = true, .gso_size = 1000, .payload = 60000 };
	struct fixture *f = *state;
	const uint32_t headers = 14 + 20 + 32;

	for (port_id id = A; id <= C; id++)
		fx_offload(f, id, OFFLOAD_ALL);
	fx_limit(f, A, METER_RATE_IN, 8 * 60 * (1000 + headers), 1);
	fx_limit(f, C, METER_PPS_OUT, 60, 10);
	fx_build(f);
	for (unsigned second = 0; second < 10; second++) {
		/* the first makes a debt of just a second, for both */
		for (unsigned i = 0; i < 3; i++)
			fx_l4_frame(f, second & 1 ? C : B, A, NULL, &big);
		fx_run(f, A);
		assert_int_equal(f->n_got, 1);
		assert_int_equal(fx_dropped(f), DROP_rate);
		f->now += NS_PER_S - 20 * NS_PER_US;
		assert_int_equal(send(f, A, A, B, 1), 0);
		f->now += 20 * NS_PER_US;
	}
	/* 50 of 60 segments are owed at C, and only these */
	fx_limit(f, A, METER_RATE_IN, 0, 0);
	fx_build(f);
	f->now += 1000 * NS_PER_S;
	fx_l4_frame(f, C, A, NULL, &big);
	fx_run(f, A);
	f->now += 50 * NS_PER_S / 60;
	assert_int_equal(send(f, A, A, C, 1), 0);
	assert_int_equal(fx_dropped(f), DROP_rate_out);
	f->now += 1;
	assert_int_equal(send(f, A, A, C, 1), 1);
}

/* Only what goes to the receiver is charged to it, whatever else is in the burst. */
static void test_part_of_burst(void **state)
{
	static const struct fx_l4 partial = { .is_partial = true, .payload = 100 };
	struct fixture *f = *state;

	fx_limit(f, C, METER_PPS_OUT, 1, 25);
	fx_build(f);
	for (unsigned i = 0; i < 10; i++) {
		fx_frame(f, C, A, NULL, 64);
		fx_l4_frame(f, B, A, NULL, &partial);
	}
	fx_run(f, A);
	assert_int_equal(f->n_got, 20);
	assert_int_equal(send(f, A, A, C, 20), 15);
}

/* A storm of one sort is held, and nothing else is. */
static void test_storm(void **state)
{
	struct fixture *f = *state;

	fx_limit(f, A, METER_BROADCAST, 10, 2);
	fx_limit(f, A, METER_MULTICAST, 10, 3);
	fx_build(f);
	for (unsigned i = 0; i < 60; i++)
		fx_frame(f, (const unsigned[]){ FX_BROADCAST, FX_GROUP + 1, B }[i % 3], A, NULL,
			 64);
	fx_run(f, A);
	assert_int_equal(f->n_got, (2 + 3) * 3 + 20);
	assert_int_equal(fx_dropped(f), DROP_storm);
	assert_int_equal(f->drops[DROP_storm], 18 + 17);
	assert_int_equal(fx_count(f, A)->rx_group, 40);
	f->now += NS_PER_S;
	assert_int_equal(send(f, A, A, FX_BROADCAST, 64), 2 * 3);
	assert_int_equal(send(f, B, B, FX_BROADCAST, 64), 64 * 3);
	/* control frames are no storm */
	f->port[A].reserved = 1 << 3;
	fx_build(f);
	assert_int_equal(send(f, A, A, FX_RESERVED + 3, 10), 10);
	/* beyond storm limits a frame costs no rate */
	fx_limit(f, A, METER_PPS_IN, 1, 4);
	fx_build(f);
	assert_int_equal(send(f, A, A, FX_BROADCAST, 64), 0);
	assert_int_equal(send(f, A, A, B, 64), 4);
}

static void test_storm_from_wire(void **state)
{
	struct fixture *f = *state;

	fx_limit(f, UPLINK, METER_UNKNOWN, 10, 4);
	fx_build(f);
	assert_int_equal(send(f, UPLINK, OUTSIDE, STRANGER, 64), 0);
	assert_int_equal(fx_dropped(f), DROP_unknown_dst);
	f->port[C].flags |= VIEW_PROMISC;
	fx_build(f);
	assert_int_equal(send(f, UPLINK, OUTSIDE, STRANGER, 64), 4);
	assert_int_equal(fx_dropped(f), DROP_storm);
	assert_int_equal(send(f, UPLINK, OUTSIDE, A, 64), 64);
	assert_int_equal(send(f, UPLINK, OUTSIDE, FX_BROADCAST, 64), 64 * 3);
	/* for the uplink all is known that a station sends */
	fx_limit(f, A, METER_UNKNOWN, 10, 4);
	fx_build(f);
	assert_int_equal(send(f, A, A, STRANGER, 64), 64);
}

static void test_storm_of_relay(void **state)
{
	struct fixture *f = *state;

	fx_limit(f, A, METER_UNKNOWN, 10, 4);
	fx_build(f);
	assert_int_equal(send(f, A, A, STRANGER, 64), 4 * 2);
	assert_int_equal(fx_dropped(f), DROP_storm);
	assert_int_equal(send(f, A, A, B, 64), 64);
	assert_int_equal(send(f, A, A, FX_GROUP + 3, 64), 64 * 2);
	assert_int_equal(send(f, B, B, STRANGER, 64), 64 * 2);
}

/* New views change limits and keep what is in the buckets. */
static void test_views(void **state)
{
	struct fixture *f = *state;

	fx_limit(f, A, METER_PPS_IN, 10, 20);
	fx_build(f);
	assert_int_equal(send(f, A, A, B, 5), 5);
	fx_limit(f, C, METER_PPS_IN, 10, 20);
	fx_build(f);
	assert_int_equal(send(f, A, A, B, 64), 15);
	fx_limit(f, A, METER_PPS_IN, 1000, 20);
	fx_build(f);
	assert_int_equal(send(f, A, A, B, 64), 0);
	f->now += 10 * NS_PER_MS; /* at the new rate */
	assert_int_equal(send(f, A, A, B, 64), 10);
	fx_limit(f, A, METER_PPS_IN, 0, 0);
	fx_build(f);
	assert_int_equal(send(f, A, A, B, 64), 64);
}

/* ---- VSIs with limits of their own ---- */

/* At A: two VSIs, of which the first has two pairs; whatever else is there is of no VSI. */
enum { FIRST = 11, ALSO_FIRST, SECOND, NO_VSI };

static int setup_vsis(void **state)
{
	static const unsigned macs[] = { FIRST, ALSO_FIRST, SECOND, NO_VSI };
	static const unsigned of[] = { 1, 1, 2, 0 };
	struct fixture *f;

	setup_relay(state);
	f = *state;
	f->port[A].flags |= VIEW_REFLECT;
	fx_vdp(f, A, VID_NONE);
	assert_int_equal(fx_vsi(f, A), 1);
	assert_int_equal(fx_vsi(f, A), 2);
	for (size_t i = 0; i < ARRAY_SIZE(macs); i++) {
		fx_owner(f, A, macs[i], VID_DEFAULT);
		fx_vsi_owns(&f->owner[f->n_owners - 1], of[i]);
	}
	fx_build(f);
	return 0;
}

/* What one VSI sends and gets counts for it, by all of its pairs, and for no other. */
static void test_vsi(void **state)
{
	static const struct {
		enum meter_id meter;
		uint64_t rate, burst;
		port_id from;
		unsigned src, dst, passes;
	} rows[] = {
		{ METER_PPS_IN, 1, 7, A, FIRST, B, 7 },
		{ METER_RATE_IN, 8000, 640, A, ALSO_FIRST, B, 10 },
		{ METER_PPS_OUT, 1, 5, B, B, FIRST, 5 },
		{ METER_RATE_OUT, 8000, 641, B, B, ALSO_FIRST, 11 },
		{ METER_PPS_IN, 1, 7, A, SECOND, B, 64 }, /* another VSI, another direction */
		{ METER_PPS_IN, 1, 7, A, NO_VSI, B, 64 },
		{ METER_PPS_IN, 1, 7, B, B, FIRST, 64 },
		{ METER_PPS_OUT, 1, 7, A, FIRST, B, 64 },
		{ METER_PPS_OUT, 1, 7, B, B, SECOND, 64 },
		{ METER_PPS_IN, 1, 3, A, FIRST, FX_BROADCAST, 3 * 3 }, /* it sends groups, */
		{ METER_PPS_OUT, 1, 3, B, B, FX_BROADCAST,
		  64 * 2 },				     /* but gets them as others do */
		{ METER_PPS_IN, 1, 3, A, FIRST, SECOND, 3 }, /* sent back by the port */
		{ METER_PPS_OUT, 1, 4, A, SECOND, FIRST, 4 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool is_out = METERS_OUT >> rows[i].meter & 1;
		bool all_pass = rows[i].passes >= 64;
		struct vsi_meters *m = f->vsi[0].meters;

		fx_vsi_limit(f, 1, rows[i].meter, rows[i].rate, rows[i].burst);
		fx_build(f);
		f->now += NS_PER_S * 1000;
		m->dropped_in = m->dropped_out = 0;
		if (send(f, rows[i].from, rows[i].src, rows[i].dst, 64) != rows[i].passes)
			fail_msg("row %zu: %u", i, f->n_got);
		assert_int_equal(fx_dropped(f), all_pass ? DROP_REASONS_N :
						is_out	 ? DROP_rate_out :
							   DROP_rate);
		assert_int_equal(m->dropped_in, !all_pass && !is_out ? f->drops[DROP_rate] : 0);
		assert_int_equal(m->dropped_out, is_out ? f->drops[DROP_rate_out] : 0);
		/* the buckets are shared */
		if (!all_pass && rows[i].src == FIRST)
			assert_int_equal(send(f, A, ALSO_FIRST, B, 9), 0);
		fx_vsi_limit(f, 1, rows[i].meter, 0, 0);
	}
}

/* One floods; the other, in the same bursts, keeps its rate. */
static void test_vsi_flood(void **state)
{
	struct fixture *f = *state;
	unsigned got[2] = { 0 };

	fx_vsi_limit(f, 1, METER_PPS_IN, 100, 10);
	fx_vsi_limit(f, 2, METER_PPS_IN, 200, 10);
	fx_build(f);
	for (tstamp end = f->now + 10 * NS_PER_S; f->now < end; f->now += 50 * NS_PER_MS) {
		for (unsigned i = 0; i < 60; i++)
			fx_frame(f, B, i % 6 ? FIRST + i % 2 : SECOND, NULL, 64);
		fx_run(f, A);
		for (unsigned i = 0; i < f->n_got; i++)
			got[f->got[i].from % 6 == 0]++;
	}
	assert_in_range(got[0], 1000, 1011);
	assert_in_range(got[1], 2000, 2011);
	assert_int_equal(f->vsi[0].meters->dropped_in, 200 * 50 - got[0]);
	assert_int_equal(f->vsi[1].meters->dropped_in, 200 * 10 - got[1]);
}

/* A frame is charged to the port and to its VSI, or to neither. */
static void test_vsi_beside_port(void **state)
{
	struct fixture *f = *state;

	fx_limit(f, A, METER_PPS_IN, 1, 10);
	fx_limit(f, A, METER_PPS_OUT, 1, 10);
	fx_vsi_limit(f, 1, METER_PPS_IN, 1, 5);
	fx_vsi_limit(f, 1, METER_PPS_OUT, 1, 5);
	fx_build(f);
	assert_int_equal(send(f, A, FIRST, B, 64), 5);
	assert_int_equal(send(f, A, SECOND, B, 64), 5);
	assert_int_equal(send(f, B, B, FIRST, 64), 5);
	assert_int_equal(send(f, B, B, NO_VSI, 64), 5);
	assert_int_equal(f->vsi[0].meters->dropped_in, 59);
	assert_int_equal(f->vsi[0].meters->dropped_out, 59);
	/* now the port refuses */
	f->now += 3 * NS_PER_S;
	assert_int_equal(send(f, A, NO_VSI, B, 64), 3);
	assert_int_equal(send(f, A, FIRST, B, 64), 0);
	assert_int_equal(send(f, B, B, NO_VSI, 64), 3);
	assert_int_equal(send(f, B, B, FIRST, 64), 0);
	assert_int_equal(f->vsi[0].meters->dropped_in, 59);
	assert_int_equal(f->vsi[0].meters->dropped_out, 59);
	fx_limit(f, A, METER_PPS_IN, 0, 0);
	fx_limit(f, A, METER_PPS_OUT, 0, 0);
	fx_build(f);
	assert_int_equal(send(f, A, FIRST, B, 64), 3);
	assert_int_equal(send(f, B, B, FIRST, 64), 3);
	/* what the bridge itself says is for no VSI, whoever was meant before */
	turn_send(f->turn, f->view, A, (const uint8_t[64]){ 2, 0, 0, 0, 0, FIRST, 2 }, 64);
	assert_int_equal(fx_count(f, A)->drops[DROP_rate_out], 64 * 5 - 16);
}

/* GSO frames cost what they are on the wire. */
static void test_vsi_gso(void **state)
{
	static const struct fx_l4 big = { .is_partial = true, .gso_size = 1000, .payload = 60000 };
	struct fixture *f = *state;

	fx_offload(f, A, OFFLOAD_ALL);
	fx_offload(f, B, OFFLOAD_ALL);
	fx_vsi_limit(f, 1, METER_PPS_IN, 60, 10);
	fx_vsi_limit(f, 2, METER_PPS_OUT, 60, 10);
	fx_build(f);
	for (unsigned i = 0; i < 2; i++) {
		fx_l4_frame(f, B, FIRST, NULL, &big);
		fx_run(f, A);
		assert_int_equal(f->n_got, i == 0);
		fx_l4_frame(f, SECOND, B, NULL, &big);
		fx_run(f, B);
		assert_int_equal(f->n_got, i == 0);
	}
	f->now += 50 * NS_PER_S / 60;
	assert_int_equal(send(f, A, FIRST, B, 1), 0);
	assert_int_equal(send(f, B, B, SECOND, 1), 0);
	f->now += 1;
	assert_int_equal(send(f, A, FIRST, B, 1), 1);
	assert_int_equal(send(f, B, B, SECOND, 1), 1);
}

/* A VSI that has a VLAN as a whole: what is learned there, and what nobody knows, is its own. */
static void test_vsi_of_vlan(void **state)
{
	struct fixture *f = *state;
	unsigned vsi = fx_vsi(f, A);

	fx_vdp(f, A, VID_DEFAULT);
	fx_vsi_owns(&f->any[0], vsi);
	fx_owner(f, A, 50, VID_DEFAULT);
	f->owner[f->n_owners - 1].flags = OWNER_LEARNED;
	fx_vsi_limit(f, vsi, METER_PPS_IN, 1, 6);
	fx_vsi_limit(f, vsi, METER_PPS_OUT, 1, 8);
	fx_build(f);
	assert_int_equal(send(f, A, 50, B, 4), 4);
	assert_int_equal(send(f, A, 51, B, 64), 2);
	assert_int_equal(send(f, A, FIRST, B, 64), 64);
	assert_int_equal(send(f, A, NO_VSI, B, 64), 64);
	assert_int_equal(send(f, B, B, 50, 5), 5);
	assert_int_equal(send(f, B, B, STRANGER, 64), 3 + 64); /* and at C */
	assert_int_equal(send(f, B, B, FIRST, 64), 64);
	assert_int_equal(send(f, B, B, FX_BROADCAST, 64), 64 * 2);
	assert_int_equal(f->vsi[2].meters->dropped_in, 62);
	assert_int_equal(f->vsi[2].meters->dropped_out, 61);
}

/* A new view leaves what is in the buckets, also if the VSI has another number there. */
static void test_vsi_views(void **state)
{
	struct fixture *f = *state;
	struct view_vsi first;

	fx_vsi_limit(f, 1, METER_PPS_IN, 10, 20);
	fx_vsi_limit(f, 2, METER_PPS_IN, 10, 30);
	fx_build(f);
	assert_int_equal(send(f, A, FIRST, B, 5), 5);
	first = f->vsi[0];
	f->vsi[0] = f->vsi[1];
	f->vsi[1] = first;
	for (uint32_t i = 0; i < f->n_owners; i++) {
		if (owner_vsi(&f->owner[i]))
			fx_vsi_owns(&f->owner[i], 3 - owner_vsi(&f->owner[i]));
	}
	fx_build(f);
	assert_int_equal(send(f, A, FIRST, B, 64), 15);
	assert_int_equal(send(f, A, SECOND, B, 64), 30);
	fx_vsi_limit(f, 2, METER_PPS_IN, 1000, 20);
	fx_build(f);
	assert_int_equal(send(f, A, FIRST, B, 64), 0);
	f->now += 10 * NS_PER_MS; /* at the new rate */
	assert_int_equal(send(f, A, FIRST, B, 64), 10);
}

/* ---- an uplink whose queue is filling ---- */

static struct {
	const struct port_ops *ops;
	uint64_t used;
	unsigned asked;
} congested;

/* A queue of 160 frames; its thresholds are ten apart: 90 for PCP 1, ..., 160 for PCP 7. */
static void ask_queue(struct port *p)
{
	p->queue = (struct port_queue){ .used = congested.used, .size = 160, .per_frame = 1 };
	congested.asked++;
}

static void send_tagged(struct fixture *f, unsigned pcp, unsigned n)
{
	struct fx_tag tags[FX_TAGS] = { { 0x8100, (uint16_t)(pcp << 13 | 1) } };

	while (n--)
		fx_frame(f, OUTSIDE, A, tags, 100);
}

static void test_priority(void **state)
{
	static const unsigned limit[] = { 100, 90, 110, 120, 130, 140, 150, 160 };
	struct fixture *f = *state;
	struct port *p = f->port[UPLINK].port;
	struct port_ops ops = *p->ops;
	static struct vlan_set one;

	congested.ops = p->ops;
	ops.ask_queue = ask_queue;
	p->ops = &ops;
	vlan_set_add(&one, 1);
	f->port[A].flags |= VIEW_TRUNK;
	f->port[A].vlans = &one;
	fx_build(f);
	/* not asked before it may matter, and all pass */
	congested.used = congested.asked = 0;
	for (unsigned i = 0; i < 9; i++) {
		send_tagged(f, 1, 10);
		fx_run(f, A);
		assert_int_equal(f->n_got, 10);
	}
	assert_int_equal(congested.asked, 1);
	/* each priority up to its threshold and the frame on it */
	for (unsigned pcp = 0; pcp < 8; pcp++) {
		for (int at = -5; at <= 5; at++) {
			unsigned passes = at > 0 ? 0 : (unsigned)(1 - at);

			congested.used = (unsigned)((int)limit[pcp] + at);
			p->queue.size = 0;
			send_tagged(f, pcp, 20);
			fx_run(f, A);
			assert_int_equal(f->n_got, passes < 20 ? passes : 20);
			assert_int_equal(fx_count(f, A)->drops[DROP_congested], 0);
			assert_int_equal(fx_dropped(f), DROP_congested);
		}
	}
	/* in one burst: what the low ones leave is for the high ones behind them */
	congested.used = 80;
	p->queue.size = 0;
	send_tagged(f, 1, 30);
	send_tagged(f, 0, 20);
	send_tagged(f, 5, 14);
	fx_run(f, A);
	assert_int_equal(f->n_got, 11 + 10 + 14);
	for (unsigned i = 0; i < 14; i++)
		assert_non_null(fx_delivery(f, UPLINK, 50 + i));
	/* stations are not asked, nor do untagged frames of a port with a priority count as 0 */
	congested.used = 130;
	p->queue.size = 0;
	assert_int_equal(send(f, A, A, B, 64), 64);
	f->port[A].pcp = 6;
	f->port[A].pvid = VID_DEFAULT;
	fx_build(f);
	assert_int_equal(send(f, A, A, OUTSIDE, 10), 10);
	assert_int_equal(send(f, C, C, OUTSIDE, 10), 0);
	p->ops = congested.ops;
}

/* A GSO frame that has to be cut takes the place of all its segments. */
static void test_priority_gso(void **state)
{
	static const struct fx_l4 l4 = { .is_partial = true, .gso_size = 100, .payload = 2000 };
	static const struct {
		uint8_t offload;
		unsigned passes;
	} rows[] = { { 0, 3 }, { OFFLOAD_ALL & ~OFFLOAD_TSO4, 3 }, { OFFLOAD_ALL, 20 } };
	struct fixture *f = *state;
	struct port *p = f->port[UPLINK].port;
	struct port_ops ops = *p->ops;

	congested.ops = p->ops;
	ops.ask_queue = ask_queue;
	p->ops = &ops;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fx_offload(f, UPLINK, rows[i].offload);
		fx_build(f);
		congested.used = 60;
		p->queue.size = 0;
		for (unsigned k = 0; k < 20; k++)
			fx_l4_frame(f, OUTSIDE, A, NULL, &l4);
		fx_run(f, A);
		assert_int_equal(fx_count(f, UPLINK)->drops[DROP_congested],
				 i < 2 ? 17 * (i + 1) : 34);
	}
	p->ops = congested.ops;
}

#define EDGE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define RELAY(test) cmocka_unit_test_setup_teardown(test, setup_relay, teardown)
#define VSIS(test) cmocka_unit_test_setup_teardown(test, setup_vsis, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		EDGE(test_burst),
		EDGE(test_rate),
		EDGE(test_not_charged),
		EDGE(test_gso),
		EDGE(test_part_of_burst),
		EDGE(test_storm),
		EDGE(test_storm_from_wire),
		RELAY(test_storm_of_relay),
		VSIS(test_vsi),
		VSIS(test_vsi_flood),
		VSIS(test_vsi_beside_port),
		VSIS(test_vsi_gso),
		VSIS(test_vsi_of_vlan),
		VSIS(test_vsi_views),
		EDGE(test_views),
		EDGE(test_priority),
		EDGE(test_priority_gso),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
