// SPDX-License-Identifier: Apache-2.0
/*
 * A burst is a matter of speed and of nothing else: the same frames, each in a turn of its own and
 * in bursts of 64, make the same deliveries in the same order at each port, the same counters, the
 * same reports. Frames are mostly runs of equal headers, in which some differ in one thing or
 * other.
 */
#include "turn_fixture.h"

#include "groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WORLDS = 400,
	ROUNDS = 20, /* of a world */
	N_PORTS = 12,
	TEMPLATES = 4,
};

/* One bridge twice, and what became of the frames that went through each. */
struct side {
	struct fixture *f;
	uint64_t digest[N_PORTS]; /* of all deliveries to a port, in order */
	unsigned n[N_PORTS];
};

struct world {
	struct side burst, single;
	uint64_t number, seed;
	bool is_learning;
};

static unsigned below(struct world *w, unsigned n)
{
	return fx_random(&w->seed) % n;
}

/* ---- the bridge ---- */

/*
 * An edge relay of all modes, perhaps with a host port, or a learning relay; either may snoop; two
 * trunks, small MTUs, ports that learn, limits.
 */
static void side_build(struct side *s, struct world *w)
{
	static const uint8_t offloads[] = { 0, OFFLOAD_CSUM, OFFLOAD_ALL };
	struct fixture *f = fx_new();
	struct vlan_set vlans = { 0 };

	memset(s, 0, sizeof(*s));
	s->f = f;
	vlan_set_add(&vlans, 1);
	vlan_set_add(&vlans, 10);
	fx_bridge(f, w->is_learning);
	for (port_id id = 0; id < N_PORTS; id++) {
		struct view_port *p;

		if (w->is_learning)
			p = fx_relay_port(f, id);
		else if (id == N_PORTS - 1)
			p = fx_uplink(f, id);
		else
			p = fx_station(f, id, below(w, 2) ? FWD_BRIDGE : below(w, FWD_PASSTHRU));
		if (p->role == FWD_STATION && !below(w, 10))
			p->mode = FWD_GATED;
		if (w->is_learning && !below(w, 4))
			fx_vdp(f, id, below(w, 2) ? VID_NONE : 1);
		fx_offload(f, id, offloads[below(w, ARRAY_SIZE(offloads))]);
		p->size_max = below(w, 4) ? 1514 : 200;
		p->learn_room = below(w, 2) ? (uint16_t)below(w, 5) : 0;
		if (p->role != FWD_STATION)
			p->svid = p->learn_room == 4 ? 10 : VID_NONE;
		if (!below(w, 3)) {
			p->flags |= VIEW_TRUNK;
			p->vlans = &vlans;
		}
		if (!below(w, 6))
			p->pvid = 10;
		if (!below(w, 6))
			p->flags ^= 1u << below(w, 9);
		if (p->role == FWD_STATION && !below(w, 6))
			p->reserved = 1 << 3;
		if (!below(w, 3)) {
			unsigned meter = below(w, METERS_N);
			bool is_bits = METERS_BITS >> meter & 1;

			fx_limit(f, id, meter, is_bits ? 80000000 : 100000, is_bits ? 2000 : 20);
		}
		f->room[id] = below(w, 5) ? 0 : 1 + below(w, 200);
		fx_owner(f, id, id + 1, below(w, 2) ? VID_NONE : p->pvid);
		if (w->is_learning && !below(w, 3)) {
			unsigned vsi = fx_vsi(f, id);

			fx_vsi_owns(&f->owner[f->n_owners - 1], vsi);
			fx_vsi_limit(f, vsi, below(w, 2) ? METER_PPS_IN : METER_PPS_OUT, 100000,
				     20);
		}
	}
	if (!w->is_learning && w->number % 2)
		f->host[0] = 0;
	f->snoops[0] = w->number % 4 < 2;
	fx_group(f, N_PORTS - 1, 1, group_mark(GROUP_MARK_FILTER, false));
	for (unsigned n = 0; n < 2; n++)
		fx_group(f, (port_id)((w->number + n) % N_PORTS), 1, fx_mac(FX_STREAM));
	fx_build(f);
}

/* ---- frames ---- */

struct header {
	unsigned dst, src, n_tags;
	struct fx_tag tag[2];
};

static struct header random_header(struct world *w, port_id from)
{
	static const uint16_t tpids[] = { 0x8100, 0x8100, 0x8100, 0x88a8 };
	static const uint16_t tcis[] = { 0, 1, 10, 0xa00a, 0x6000, 20 };
	struct header h = { .dst = 1 + below(w, N_PORTS + 1), .src = from + 1u };

	switch (below(w, 10)) {
	case 0:
		h.dst = FX_BROADCAST;
		break;
	case 1:
		h.dst = (w->number % 8 < 4 ? FX_STREAM : FX_GROUP) + below(w, 2);
		break;
	case 2:
		h.dst = FX_RESERVED + 3 + below(w, 2);
		break;
	default:
		break;
	}
	if (!below(w, 6)) /* another's, nobody's, zero, group */
		h.src = below(w, 2) ? 1 + below(w, 3 * N_PORTS) : below(w, 2) ? 0 : FX_GROUP;
	if (!below(w, 4))
		h.n_tags = 1 + below(w, 2);
	for (unsigned i = 0; i < h.n_tags; i++)
		h.tag[i] = (struct fx_tag){ tpids[below(w, ARRAY_SIZE(tpids))],
					    tcis[below(w, ARRAY_SIZE(tcis))] };
	return h;
}

/* What only some frames of a run have. */
static void frame_deviate(struct world *w, struct frame *f)
{
	switch (below(w, 24)) {
	case 0: /* a tag beside the octets */
		f->tpid = below(w, 4) ? 0x8100 : 0x88a8;
		f->tci = (uint16_t)(below(w, 3) * 10);
		break;
	case 1: /* an offload header that asks for nothing, but has something in it */
		f->vnet.hdr_len = (uint16_t)below(w, 100);
		f->vnet.gso_size = (uint16_t)below(w, 100);
		break;
	case 2:
		f->vnet.csum_offset = 1;
		break;
	case 3:
		f->vnet.flags = (uint8_t)below(w, 8);
		break;
	case 4:
		f->vnet.gso_type = VNET_GSO_TCPV4;
		break;
	case 5: /* one octet of the header */
		fx_at(f)[below(w, ETH_HEADER_SIZE)] ^= (uint8_t)(1u << below(w, 8));
		break;
	case 6: { /* PAUSE */
		uint8_t *type = fx_at(f) + 12;

		type[0] = 0x88;
		type[1] = 0x08;
		break;
	}
	default:
		break;
	}
}

static struct frame *random_frame(struct world *w, struct fixture *f, const struct header *h)
{
	static const uint32_t sizes[] = { 60, 64, 100, 200, 201, 300, 1514, 1515, 1600 };
	struct fx_l4 l4 = { .payload = below(w, 600), .is_udp = below(w, 2) };
	uint32_t size = below(w, 8) ? 64 : sizes[below(w, ARRAY_SIZE(sizes))];
	struct fx_tag tags[FX_TAGS] = { h->tag[0], h->tag[1] };
	struct fx_tag *some = h->n_tags ? tags : NULL;
	uint8_t runt[20];
	struct frame *frame;

	if (!below(w, 20)) {
		l4.is_partial = below(w, 3);
		l4.gso_size = l4.is_partial && below(w, 2) ? 100 : 0;
		return fx_l4_frame(f, h->dst, h->src, some, &l4);
	}
	frame = fx_frame(f, h->dst, h->src, some, size);
	if (!below(w, 30)) { /* too short, or only just not, by its size or by its first segment */
		memcpy(runt, fx_at(frame), sizeof(runt));
		f->n_frames--;
		return fx_octets(f, runt, 10 + below(w, 11));
	}
	frame_deviate(w, frame);
	return frame;
}

/* ---- one world ---- */

/* Add what the last fx_run() delivered to the digests: FNV-1a. */
static void side_digest(struct side *s)
{
	for (uint32_t i = 0; i < s->f->n_got; i++) {
		const struct fx_delivery *d = &s->f->got[i];
		uint64_t x = s->digest[d->port];
		const uint8_t *v = (const uint8_t *)&d->vnet;

		x = (x ^ d->size) * UINT64_C(0x100000001b3);
		for (uint32_t k = 0; k < sizeof(d->vnet); k++)
			x = (x ^ v[k]) * UINT64_C(0x100000001b3);
		for (uint32_t k = 0; k < d->size; k++)
			x = (x ^ d->octets[k]) * UINT64_C(0x100000001b3);
		s->digest[d->port] = x;
		s->n[d->port]++;
	}
}

static void world_round(struct world *w)
{
	struct fixture *f = w->burst.f, *g = w->single.f;
	port_id from = (port_id)below(w, N_PORTS);
	struct header h[TEMPLATES];
	unsigned n = below(w, 4) ? BURST_MAX : 1 + below(w, BURST_MAX), t = 0;
	unsigned n_templates = 1 + below(w, TEMPLATES), sticks = 1 + below(w, 10);

	f->now = g->now = f->now + 300 * NS_PER_US;
	for (unsigned i = 0; i < n_templates; i++)
		h[i] = random_header(w, from);
	for (unsigned i = 0; i < n; i++) {
		const struct frame *a;
		struct frame *b;

		if (!below(w, sticks))
			t = below(w, n_templates);
		a = random_frame(w, f, &h[t]);
		b = fx_octets(g, fx_at(a), a->size);
		b->tpid = a->tpid;
		b->tci = a->tci;
		b->vnet = a->vnet;
		fx_run(g, from);
		side_digest(&w->single);
	}
	fx_run(f, from);
	side_digest(&w->burst);
}

static void world_compare(const struct world *w)
{
	struct report a, b;
	bool has;

	for (port_id id = 0; id < N_PORTS; id++) {
		const struct port_counters *c = fx_count(w->burst.f, id);

		if (w->burst.n[id] != w->single.n[id] ||
		    w->burst.digest[id] != w->single.digest[id])
			fail_msg("world %lu, port %u: %u and %u frames, or others", w->number, id,
				 w->burst.n[id], w->single.n[id]);
		if (memcmp(c, fx_count(w->single.f, id), sizeof(*c)) != 0)
			fail_msg("world %lu, port %u: other counters", w->number, id);
	}
	do {
		has = turn_report_get(w->burst.f->turn, &a);
		assert_int_equal(turn_report_get(w->single.f->turn, &b), has);
		if (has && (a.kind != b.kind || a.port != b.port || a.bridge != b.bridge ||
			    a.vid != b.vid || !mac_equal(a.mac, b.mac)))
			fail_msg("world %lu: other reports", w->number);
	} while (has);
}

static void test_burst_or_single(void **state)
{
	struct port_counters sum = { 0 };

	for (uint64_t number = 1; number <= WORLDS; number++) {
		struct world w = { .number = number, .is_learning = number % 3 == 0 };

		/* Both sides are made of the same numbers. */
		w.seed = number * UINT64_C(0x9e3779b97f4a7c15);
		side_build(&w.burst, &w);
		w.seed = number * UINT64_C(0x9e3779b97f4a7c15);
		side_build(&w.single, &w);
		for (unsigned round = 0; round < ROUNDS; round++) {
			world_round(&w);
			world_compare(&w);
		}
		for (port_id id = 0; id < N_PORTS; id++)
			port_counters_add(&sum, fx_count(w.burst.f, id));
		fx_free(w.burst.f);
		fx_free(w.single.f);
	}
	/* The worlds had everything in them. */
	assert_true(sum.tx_frames && sum.replicated && sum.tx_csum && sum.tx_segmented);
	for (int r = 0; r < DROP_REASONS_N; r++) {
		switch (r) {
		case DROP_no_uplink:
		case DROP_unknown_dst:
		case DROP_source_filter:
		case DROP_maclimit:
		case DROP_disabled:
		case DROP_congested:
			break;
		default:
			if (!sum.drops[r])
				fail_msg("nothing was dropped as %s",
					 drop_name((enum drop_reason)r));
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_or_single),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
