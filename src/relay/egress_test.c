// SPDX-License-Identifier: Apache-2.0
/*
 * What becomes of a frame on its way out: offloads carried out in software or left to the receiver,
 * offsets that move with a tag, frames that are too long, and receivers that take nothing.
 */
#include "turn_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "egress.h"

#define C(tci)                                                                                     \
	{                                                                                          \
		ETHERTYPE_CTAG, (tci)                                                              \
	}

enum {
	ALL = OFFLOAD_ALL,
	OUTSIDE = 100,
	TCP_ACK = 0x10,
	TCP_PSH = 0x08,
	TCP_FIN = 0x01,
	TCP_CWR = 0x80,
};

/*
 * 0: uplink, all offloads   1: the sender, bridge mode   2: no offloads   3: checksums only
 * 4: all offloads           5: trunk 10, native 1, no offloads
 */
static int setup(void **state)
{
	static struct vlan_set trunk;
	static const uint8_t offload[] = { ALL, ALL, 0, OFFLOAD_CSUM, ALL, 0 };
	struct fixture *f = fx_new();

	vlan_set_add(&trunk, 10);
	fx_bridge(f, false);
	fx_uplink(f, 0);
	for (port_id id = 1; id < ARRAY_SIZE(offload); id++) {
		fx_station(f, id, FWD_BRIDGE);
		fx_owner(f, id, id, id == 5 ? VID_NONE : VID_DEFAULT);
	}
	for (port_id id = 0; id < ARRAY_SIZE(offload); id++)
		fx_offload(f, id, offload[id]);
	f->port[5].flags |= VIEW_TRUNK;
	f->port[5].vlans = &trunk;
	fx_build(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fx_free(*state);
	return 0;
}

/* A copy of the frame that waits as number `idx`. */
struct sent {
	uint8_t octets[FX_SLOT_SIZE];
	uint32_t size;
	struct vnet_hdr vnet;
};

static struct sent *remember(const struct frame *f)
{
	static struct sent s; /* large; one at a time will do */

	s.size = frame_head_copy(f, s.octets, sizeof(s.octets));
	s.vnet = f->vnet;
	return &s;
}

static void check_whole(const struct fixture *f, port_id port, const struct sent *s)
{
	const struct fx_delivery *d = fx_delivery(f, port, 0);

	assert_non_null(d);
	assert_int_equal(d->size, s->size);
	assert_memory_equal(d->octets, s->octets, s->size);
	assert_memory_equal(&d->vnet, &s->vnet, sizeof(s->vnet));
}

/*
 * Port `port` got frame 0, which had `n_tags` tags, in segments whose payloads are, one behind the
 * other, that of the frame; each is right in itself and has the number of tags that is due.
 */
static unsigned check_cut(const struct fixture *f, port_id port, const struct sent *s,
			  uint32_t n_tags)
{
	static const struct vnet_hdr none;
	struct fx_l4_parts first = { 0 }, x;
	uint32_t at = 0, payload = 0;
	unsigned n = 0;

	for (uint32_t i = 0; i < f->n_got; i++) {
		const struct fx_delivery *d = &f->got[i];

		if (d->port != port)
			continue;
		assert_memory_equal(&d->vnet, &none, sizeof(none));
		x = fx_l4_parse(d->octets, d->size);
		if (n++ == 0) {
			first = x;
			/* Headers are as long as they were, but for the tags. */
			payload = s->size - x.payload;
			payload += x.n_tags * ETH_TAG_SIZE;
			payload -= n_tags * ETH_TAG_SIZE;
		}
		assert_int_equal(x.n_tags, first.n_tags);
		assert_int_equal(x.seq, first.seq ? (uint32_t)(first.seq + at) : 0);
		if (first.ip_id)
			assert_int_equal(x.ip_id, (uint16_t)(first.ip_id + n - 1));
		assert_memory_equal(d->octets, s->octets, 12);
		assert_in_range(d->size - x.payload, 1, s->vnet.gso_size);
		assert_memory_equal(d->octets + x.payload, s->octets + s->size - payload + at,
				    d->size - x.payload);
		at += d->size - x.payload;
		assert_int_equal(!!(x.tcp_flags & TCP_FIN), at == payload && first.seq);
	}
	assert_int_equal(at, payload);
	return n;
}

/* ---- GSO ---- */

static const struct fx_l4 tcp4 = {
	.is_partial = true, .gso_size = 1448, .payload = 20000, .tcp_flags = TCP_ACK | TCP_FIN
};
static const struct fx_l4 tcp6 = { .is_ipv6 = true,
				   .is_partial = true,
				   .gso_size = 1428,
				   .payload = 64000,
				   .tcp_flags = TCP_ACK | TCP_FIN };
static const struct fx_l4 udp4 = {
	.is_udp = true, .is_partial = true, .gso_size = 999, .payload = 12345
};
static const struct fx_l4 udp6 = {
	.is_udp = true, .is_ipv6 = true, .is_partial = true, .gso_size = 1000, .payload = 4001
};

static void test_gso(void **state)
{
	static const struct {
		const char *name;
		const struct fx_l4 *l4;
		uint8_t needs;
	} rows[] = {
		{ "TCP over IPv4", &tcp4, OFFLOAD_TSO4 },
		{ "TCP over IPv6", &tcp6, OFFLOAD_TSO6 },
		{ "UDP over IPv4", &udp4, OFFLOAD_USO },
		{ "UDP over IPv6", &udp6, OFFLOAD_USO },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct fx_l4 *l4 = rows[i].l4;
		unsigned want = (l4->payload + l4->gso_size - 1) / l4->gso_size, n;
		struct port_counters *c = fx_count(f, 2);
		struct sent *s;
		struct frame *frame;

		for (uint8_t can = 0; can <= OFFLOAD_ALL; can++) {
			struct port_counters before = *c;
			bool whole = (can & rows[i].needs) && (can & OFFLOAD_CSUM);

			fx_offload(f, 2, can);
			fx_build(f);
			frame = fx_l4_frame(f, 2, 1, NULL, l4);
			s = remember(frame);
			fx_split(f, frame, 1 + can % FRAME_IOV_MAX);
			fx_run(f, 1);
			assert_int_equal(fx_dropped(f), DROP_REASONS_N);
			if (whole) {
				check_whole(f, 2, s);
			} else {
				n = check_cut(f, 2, s, 0);
				if (n != want)
					fail_msg("%s: %u segments, not %u", rows[i].name, n, want);
			}
			assert_int_equal(c->tx_frames, before.tx_frames + 1);
			assert_int_equal(c->tx_octets, before.tx_octets + s->size);
			assert_int_equal(c->tx_segmented, before.tx_segmented + !whole);
			assert_int_equal(c->tx_csum, before.tx_csum);
		}
	}
}

/* CWR belongs into the first segment only; and a receiver has to know of it. */
static void test_gso_ecn(void **state)
{
	static const struct fx_l4 cwr = { .is_partial = true,
					  .gso_size = 1000,
					  .payload = 3000,
					  .tcp_flags = TCP_ACK | TCP_FIN | TCP_CWR };
	struct fixture *f = *state;
	struct sent *s;
	struct frame *frame;

	fx_offload(f, 4, ALL & ~OFFLOAD_ECN);
	fx_build(f);
	frame = fx_l4_frame(f, 4, 1, NULL, &cwr);
	frame->vnet.gso_type |= VNET_GSO_ECN;
	s = remember(frame);
	fx_run(f, 1);
	assert_int_equal(check_cut(f, 4, s, 0), 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(!!(f->got[i].octets[14 + 20 + 13] & TCP_CWR), i == 0);
	fx_offload(f, 4, ALL);
	fx_build(f);
	fx_l4_frame(f, 4, 1, NULL, &cwr)->vnet.gso_type |= VNET_GSO_ECN;
	fx_run(f, 1);
	check_whole(f, 4, s);
}

/* A flood: whole to those who can, cut for the others, one frame each in the counters. */
static void test_gso_mixed_flood(void **state)
{
	struct fixture *f = *state;
	uint64_t rx = fx_count(f, 1)->rx_frames;
	struct frame *frame = fx_l4_frame(f, FX_GROUP + 1, 1, NULL, &udp4);
	struct sent *s = remember(frame);

	fx_run(f, 1);
	check_whole(f, 0, s);
	check_whole(f, 4, s);
	assert_int_equal(check_cut(f, 2, s, 0), 13);
	assert_int_equal(check_cut(f, 3, s, 0), 13);
	assert_int_equal(check_cut(f, 5, s, 0), 13);
	assert_int_equal(fx_count(f, 1)->rx_frames - rx, 1);
	assert_int_equal(fx_count(f, 1)->replicated, 4);
}

/* More segments than a burst has room for, from memory in as many pieces as can be. */
static void test_gso_many_segments(void **state)
{
	static const struct fx_l4 small = {
		.is_partial = true, .gso_size = 48, .payload = 65000, .tcp_flags = TCP_FIN
	};
	struct fixture *f = *state;
	struct frame *frame = fx_l4_frame(f, 2, 1, NULL, &small);
	struct sent *s = remember(frame);

	fx_split(f, frame, FRAME_IOV_MAX);
	fx_run(f, 1);
	assert_int_equal(check_cut(f, 2, s, 0), (65000 + 47) / 48);
	/* 64 segments exactly fill one call. */
	frame = fx_l4_frame(f, 2, 1, NULL,
			    &(struct fx_l4){ .is_partial = true,
					     .gso_size = 100,
					     .payload = 6400,
					     .tcp_flags = TCP_FIN });
	s = remember(frame);
	fx_run(f, 1);
	assert_int_equal(check_cut(f, 2, s, 0), 64);
}

/* ---- coalescing ---- */

/* Six datagrams of one socket, of `payload` octets, from port 1 to the uplink. */
static void send_datagrams(struct fixture *f, uint32_t payload)
{
	struct fx_l4 udp = { .is_udp = true, .is_ipv6 = true, .is_partial = true };

	udp.payload = payload;
	for (unsigned i = 0; i < 6; i++) {
		struct frame *frame = fx_l4_frame(f, OUTSIDE, 1, NULL, &udp);

		memcpy(fx_at(frame) + ETH_HEADER_SIZE + 40, "\4\1", 2); /* their port */
	}
	fx_run(f, 1);
}

static void test_coalesce(void **state)
{
	static const struct {
		const char *name;
		uint8_t offload;
		bool is_dear;
		uint32_t payload;
		unsigned want;
	} rows[] = {
		{ "small frames to the kernel", ALL, true, 22, 1 },
		{ "small frames to a guest", ALL, false, 22, 6 },
		{ "large frames to a guest", ALL, false, 200, 1 },
		{ "to a kernel before 6.2", ALL & ~OFFLOAD_USO, true, 22, 6 },
		{ "without offloads", 0, true, 200, 6 },
	};
	struct fixture *f = *state;
	uint64_t octets;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct port_counters *c;
		struct port_counters before;

		fx_offload(f, 0, rows[i].offload);
		fx_build(f);
		c = fx_count(f, 0);
		before = *c;
		f->port[0].port->tx_is_dear = rows[i].is_dear;
		send_datagrams(f, rows[i].payload);
		if (f->n_got != rows[i].want)
			fail_msg("%s: %u frames", rows[i].name, f->n_got);
		assert_int_equal(c->tx_frames - before.tx_frames, 6);
		assert_int_equal(c->tx_coalesced - before.tx_coalesced, rows[i].want == 1 ? 6 : 0);
		assert_int_equal(f->got[0].vnet.gso_type, rows[i].want == 1 ? VNET_GSO_UDP_L4 : 0);
		assert_int_equal(f->got[0].size, 62 + rows[i].payload * (6 / rows[i].want));
	}
	/* All of them are dropped if the one is. */
	fx_offload(f, 0, ALL);
	fx_build(f);
	f->port[0].port->tx_is_dear = true;
	f->room[0] = 1;
	octets = fx_count(f, 0)->tx_octets;
	send_datagrams(f, 22);
	assert_int_equal(f->n_got, 0);
	assert_int_equal(f->drops[DROP_queue_full], 6);
	assert_int_equal(fx_count(f, 0)->tx_octets, octets);
}

/* ---- checksums ---- */

static void test_csum(void **state)
{
	static const struct fx_l4 rows[] = {
		{ .is_partial = true, .payload = 1000 },
		{ .is_partial = true, .payload = 1001, .is_ipv6 = true },
		{ .is_partial = true, .payload = 1400, .is_udp = true },
		{ .is_partial = true, .payload = 77, .is_udp = true, .is_ipv6 = true },
	};
	static const struct vnet_hdr none;
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (unsigned n_iov = 1; n_iov <= FRAME_IOV_MAX; n_iov++) {
			uint64_t csums = fx_count(f, 2)->tx_csum;
			struct frame *frame = fx_l4_frame(f, FX_BROADCAST, 1, NULL, &rows[i]);
			struct sent *s = remember(frame);
			const struct fx_delivery *d;
			uint32_t csum = (uint32_t)s->vnet.csum_start + s->vnet.csum_offset;

			fx_split(f, frame, n_iov);
			fx_run(f, 1);
			check_whole(f, 0, s);
			check_whole(f, 3, s);
			check_whole(f, 4, s);
			d = fx_delivery(f, 2, 0);
			assert_non_null(d);
			fx_l4_parse(d->octets, d->size);
			assert_memory_equal(&d->vnet, &none, sizeof(none));
			memcpy(s->octets + csum, d->octets + csum, 2);
			assert_int_equal(d->size, s->size);
			assert_memory_equal(d->octets, s->octets, s->size);
			assert_int_equal(fx_count(f, 2)->tx_csum, csums + 1);
			assert_int_equal(fx_count(f, 3)->tx_csum, 0);
		}
	}
}

/* What asks for nothing is delivered, and nothing of a header that says nothing is. */
static void test_header_without_offload(void **state)
{
	static const struct {
		const char *name;
		struct vnet_hdr in, plain, able;
	} rows[] = {
		{ "checked already",
		  { .flags = VNET_F_DATA_VALID },
		  {},
		  { .flags = VNET_F_DATA_VALID } },
		{ "checked, with leftovers",
		  { .flags = VNET_F_DATA_VALID, .csum_start = 65000, .csum_offset = 65000 },
		  {},
		  { .flags = VNET_F_DATA_VALID } },
		{ "unknown flags", { .flags = 0xfc }, {}, {} },
		{ "unknown and known flags",
		  { .flags = 0xfc | VNET_F_DATA_VALID },
		  {},
		  { .flags = VNET_F_DATA_VALID } },
		{ "header length only", { .hdr_len = 54 }, {}, {} },
		{ "header length behind the end", { .hdr_len = 50000 }, {}, {} },
		{ "leftovers", { .gso_size = 1448, .csum_start = 34, .csum_offset = 16 }, {}, {} },
	};
	static const struct fx_l4 l4 = { .payload = 600 };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frame *frame = fx_l4_frame(f, FX_BROADCAST, 1, NULL, &l4);
		struct sent *s = remember(frame);

		frame->vnet = rows[i].in;
		fx_run(f, 1);
		if (fx_dropped(f) != DROP_REASONS_N)
			fail_msg("%s: dropped as %s", rows[i].name, drop_name(fx_dropped(f)));
		s->vnet = rows[i].plain;
		check_whole(f, 2, s);
		s->vnet = rows[i].able;
		check_whole(f, 4, s);
	}
	assert_int_equal(fx_count(f, 2)->tx_csum, 0);
}

static void test_bad_header(void **state)
{
	static const struct {
		const char *name;
		struct vnet_hdr vnet;
	} rows[] = {
		{ "unknown GSO", { 1, 9, 66, 1000, 34, 16 } },
		{ "UFO", { 1, 3, 66, 1000, 34, 16 } },
		{ "no size", { 1, 1, 66, 0, 34, 16 } },
		{ "wrong family", { 1, 4, 66, 1000, 34, 16 } },
		{ "wrong protocol", { 1, 5, 66, 1000, 34, 6 } },
		{ "checksum in the IP header", { 1, 1, 66, 1000, 24, 16 } },
		{ "checksum field elsewhere", { 1, 1, 66, 1000, 34, 6 } },
		{ "header length behind the end", { 1, 1, 60000, 1000, 34, 16 } },
		{ "ECN alone", { 1, 0x80, 66, 1000, 34, 16 } },
		{ "checksum behind the end", { 1, 0, 0, 0, 34, 60000 } },
		{ "start behind the end", { 1, 0, 0, 0, 60000, 16 } },
		{ "start in the MAC header", { 1, 0, 0, 0, 4, 16 } },
		{ "start at the very end", { 1, 0, 0, 0, 65535, 0 } },
	};
	struct fixture *f = *state;
	uint8_t octets[60] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fx_l4_frame(f, 2, 1, NULL, &tcp4)->vnet = rows[i].vnet;
		if (!rows[i].vnet.gso_type)
			f->iov[0][0].iov_len = f->frame[0].size = 1000;
		fx_run(f, 1);
		if (fx_dropped(f) != DROP_offload || f->n_got)
			fail_msg("%s: went through", rows[i].name);
	}
	fx_octets(f, octets, sizeof(octets))->vnet = (struct vnet_hdr){ 1, 1, 54, 100, 34, 16 };
	fx_run(f, 1);
	assert_int_equal(fx_dropped(f), DROP_offload);
	assert_int_equal(fx_count(f, 1)->drops[DROP_offload], ARRAY_SIZE(rows) + 1);
	/* The checksum field is so far in that only a receiver with offloads can have it. */
	fx_l4_frame(f, FX_BROADCAST, 1, NULL, &(struct fx_l4){ .payload = 1000 })->vnet =
		(struct vnet_hdr){ 1, 0, 0, 0, 34, 600 };
	fx_run(f, 1);
	assert_int_equal(fx_dropped(f), DROP_offload);
	assert_int_equal(fx_count(f, 2)->drops[DROP_offload], 1);
	assert_int_equal(fx_count(f, 1)->drops[DROP_offload], ARRAY_SIZE(rows) + 1);
	assert_non_null(fx_delivery(f, 4, 0));
}

/* ---- tags and offloads ---- */

static void test_tag_moves_offsets(void **state)
{
	static const struct fx_tag tag_10[2] = { C(10) };
	struct fixture *f = *state;
	struct vnet_hdr want;
	const struct fx_delivery *d;
	struct frame *frame;
	struct sent *s;

	for (port_id id = 1; id <= 4; id++) {
		f->port[id].pvid = 10;
		f->owner[id - 1].vid = 10;
	}
	fx_build(f);
	/* The tag comes: to the wire, whole; to the trunk, cut. */
	frame = fx_l4_frame(f, FX_BROADCAST, 1, NULL, &tcp4);
	s = remember(frame);
	fx_split(f, frame, FRAME_IOV_MAX);
	fx_run(f, 1);
	want = s->vnet;
	want.csum_start += ETH_TAG_SIZE;
	want.hdr_len += ETH_TAG_SIZE;
	d = fx_delivery(f, 0, 0);
	assert_non_null(d);
	assert_memory_equal(&d->vnet, &want, sizeof(want));
	assert_int_equal(d->size, s->size + ETH_TAG_SIZE);
	assert_int_equal(check_cut(f, 5, s, 0), 14);
	assert_int_equal(check_cut(f, 2, s, 0), 14);
	assert_int_equal(f->got[0].port, 0);
	/* The tag goes: to access ports, whole and cut. */
	frame = fx_l4_frame(f, FX_BROADCAST, 5, tag_10, &tcp6);
	s = remember(frame);
	fx_run(f, 5);
	want = s->vnet;
	want.csum_start -= ETH_TAG_SIZE;
	want.hdr_len -= ETH_TAG_SIZE;
	d = fx_delivery(f, 4, 0);
	assert_non_null(d);
	assert_memory_equal(&d->vnet, &want, sizeof(want));
	check_whole(f, 0, s);
	assert_int_equal(check_cut(f, 2, s, 1), (64000 + 1427) / 1428);
	/* The same without GSO: the checksum is completed where it is by then. */
	frame = fx_l4_frame(f, FX_BROADCAST, 5, tag_10,
			    &(struct fx_l4){ .is_partial = true, .payload = 999 });
	fx_split(f, frame, FRAME_IOV_MAX);
	fx_run(f, 5);
	d = fx_delivery(f, 2, 0);
	assert_non_null(d);
	assert_int_equal(fx_l4_parse(d->octets, d->size).n_tags, 0);
	frame = fx_l4_frame(f, 5, 1, NULL, &(struct fx_l4){ .is_partial = true, .payload = 999 });
	fx_split(f, frame, FRAME_IOV_MAX);
	fx_run(f, 1);
	d = fx_delivery(f, 5, 0);
	assert_non_null(d);
	assert_int_equal(fx_l4_parse(d->octets, d->size).n_tags, 1);
}

/* ---- too long ---- */

static void test_mtu(void **state)
{
	static const struct fx_tag tag_10[2] = { C(10) };
	static const struct {
		const char *name;
		port_id from;
		struct fx_l4 l4;
		const struct fx_tag *tags;
		enum drop_reason why;
	} rows[] = {
		{ "fits", 1, { .payload = 934 }, NULL, DROP_REASONS_N },
		{ "an octet too long", 1, { .payload = 935 }, NULL, DROP_mtu },
		{ "to be completed", 1, { .payload = 935, .is_partial = true }, NULL, DROP_mtu },
		{ "segments fit",
		  1,
		  { .payload = 9000, .is_partial = true, .gso_size = 934 },
		  NULL,
		  DROP_REASONS_N },
		{ "segments do not",
		  1,
		  { .payload = 9000, .is_partial = true, .gso_size = 935 },
		  NULL,
		  DROP_mtu },
		{ "one short segment",
		  1,
		  { .payload = 90, .is_partial = true, .gso_size = 935 },
		  NULL,
		  DROP_REASONS_N },
		{ "fits with its tag", 5, { .payload = 934 }, tag_10, DROP_REASONS_N },
		{ "does not, tag or not", 5, { .payload = 935 }, tag_10, DROP_mtu },
	};
	struct fixture *f = *state;

	/* All but the sender: 14 + 20 + 32 + 934 octets and a tag. */
	for (port_id id = 0; id <= 4; id++)
		f->port[id].size_max = id == 1 ? 1514 : 1000;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		vid_t vid = rows[i].tags ? 10 : VID_DEFAULT;

		for (port_id to = 2; to <= 4; to++) {
			uint64_t before = fx_count(f, to)->drops[DROP_mtu];

			f->port[to].pvid = vid;
			f->owner[to - 1].vid = vid;
			fx_build(f);
			fx_l4_frame(f, to, rows[i].from, rows[i].tags, &rows[i].l4);
			fx_run(f, rows[i].from);
			if (fx_dropped(f) != rows[i].why)
				fail_msg("%s: %s", rows[i].name,
					 rows[i].why == DROP_mtu ? "went through" : "did not");
			assert_int_equal(fx_count(f, to)->drops[DROP_mtu] - before,
					 rows[i].why == DROP_mtu);
		}
	}
	/* To the wire, where it has a tag. */
	f->port[1].pvid = 10;
	f->owner[0].vid = 10;
	fx_build(f);
	fx_l4_frame(f, OUTSIDE, 1, NULL, &(struct fx_l4){ .payload = 934 });
	fx_l4_frame(f, OUTSIDE, 1, NULL, &(struct fx_l4){ .payload = 935 });
	fx_run(f, 1);
	assert_non_null(fx_delivery(f, 0, 0));
	assert_null(fx_delivery(f, 0, 1));
	assert_int_equal(fx_count(f, 0)->drops[DROP_mtu], 1);
}

/* ---- receivers that do not take ---- */

static void test_queue_full(void **state)
{
	struct fixture *f = *state;
	struct port_counters *c = fx_count(f, 2);

	f->room[2] = 4; /* takes 3 */
	for (unsigned i = 0; i < 10; i++)
		fx_frame(f, 2, 1, NULL, 60);
	fx_run(f, 1);
	assert_int_equal(c->tx_frames, 3);
	assert_int_equal(c->tx_octets, 180);
	assert_int_equal(c->drops[DROP_queue_full], 7);
	/* A frame of which only some segments were taken was not delivered. */
	f->room[2] = 4;
	fx_l4_frame(f, 2, 1, NULL, &tcp4);
	fx_run(f, 1);
	assert_int_equal(c->tx_frames, 3);
	assert_int_equal(c->tx_segmented, 0);
	assert_int_equal(c->drops[DROP_queue_full], 8);
	assert_int_equal(f->n_got, 3);
	/* Others of the flood are not concerned. */
	fx_frame(f, FX_BROADCAST, 1, NULL, 60);
	fx_run(f, 1);
	assert_int_equal(f->n_got, 4);
	assert_int_equal(c->drops[DROP_queue_full], 9);
	assert_int_equal(fx_count(f, 1)->drops[DROP_queue_full], 0);
	/* The kind knows a better reason. */
	f->port[2].port->tx_drop = DROP_mtu;
	fx_frame(f, 2, 1, NULL, 60);
	fx_run(f, 1);
	assert_int_equal(c->drops[DROP_mtu], 1);
}

/* A port's priority is that of its untagged frames, wherever a tag can carry it. */
static void test_port_pcp(void **state)
{
	static const struct {
		port_id from;
		vid_t pvid;
		struct fx_tag tag, wire;
	} rows[] = {
		{ 1, 10, { 0 }, { 0x8100, 5 << 13 | 10 } },
		{ 1, VID_DEFAULT, { 0 }, { 0x8100, 5 << 13 } },
		{ 1, 10, { 0x8100, 0 }, { 0x8100, 10 } }, /* its own tag says otherwise */
		{ 1, 10, { 0x8100, 3 << 13 }, { 0x8100, 3 << 13 | 10 } },
		{ 2, 10, { 0 }, { 0x8100, 10 } }, /* another port */
	};
	struct fixture *f = *state;

	f->port[1].pcp = 5;
	for (unsigned id = 1; id <= 2; id++)
		fx_owner(f, (port_id)id, id, 10);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fx_tag tags[FX_TAGS] = { rows[i].tag };
		const struct fx_delivery *d;

		f->port[1].pvid = f->port[2].pvid = rows[i].pvid;
		fx_build(f);
		fx_frame(f, 100, rows[i].from, tags, 100);
		fx_run(f, rows[i].from);
		d = fx_delivery(f, 0, 0);
		assert_non_null(d);
		assert_int_equal(eth_load16(d->octets + 12), rows[i].wire.tpid);
		assert_int_equal(eth_load16(d->octets + 14), rows[i].wire.tci);
	}
}

static void test_port_down(void **state)
{
	struct fixture *f = *state;

	f->port[2].flags &= (uint16_t)~VIEW_UP;
	fx_build(f);
	for (unsigned i = 0; i < 5; i++)
		fx_frame(f, i & 1 ? FX_BROADCAST : 2, 1, NULL, 60);
	fx_run(f, 1);
	assert_int_equal(fx_dropped(f), DROP_port_down);
	assert_int_equal(fx_count(f, 2)->drops[DROP_port_down], 5);
	assert_int_equal(fx_count(f, 2)->tx_frames, 0);
	assert_int_equal(f->n_got, 2 * 4);
}

/* ---- order ---- */

/* Whatever has to be done to them, frames leave in the order they came in. */
static void test_order(void **state)
{
	struct fixture *f = *state;
	unsigned last = 0;

	for (unsigned i = 0; i < 60; i++) {
		switch (i % 4) {
		case 0:
			fx_frame(f, 2, 1, NULL, 60 + i);
			break;
		case 1:
			fx_l4_frame(f, 2, 1, NULL, &udp6);
			break;
		case 2:
			fx_l4_frame(f, 2, 1, NULL,
				    &(struct fx_l4){ .is_partial = true, .payload = 100 });
			break;
		case 3:
			fx_frame(f, 2, 1, (struct fx_tag[2]){ C(5 << 13) }, 100);
			break;
		}
	}
	fx_run(f, 1);
	assert_int_equal(f->n_got, 15 * (1 + 5 + 1 + 1));
	for (uint32_t i = 0; i < f->n_got; i++) {
		assert_in_range(f->got[i].from, last, 59);
		last = f->got[i].from;
	}
	assert_int_equal(last, 59);
}

/* ---- faults ---- */

static unsigned fault_reports(struct fixture *f, unsigned *ports)
{
	struct report r;
	unsigned n = 0;

	*ports = 0;
	while (turn_report_get(f->turn, &r)) {
		assert_int_equal(r.kind, REPORT_FAULT);
		*ports |= 1u << r.port;
		n++;
	}
	return n;
}

/* Each port whose fault shows is told of once, also if several show in one flood. */
static void test_faults(void **state)
{
	struct fixture *f = *state;
	unsigned ports;

	atomic_store(&f->port[2].port->fault, PORT_FAULT_GONE);
	atomic_store(&f->port[3].port->fault, PORT_FAULT_GONE);
	atomic_store(&f->port[4].port->fault, PORT_FAULT_BROKEN);
	for (unsigned i = 0; i < 3; i++) {
		fx_frame(f, FX_BROADCAST, 1, NULL, 60);
		fx_run(f, 1);
	}
	assert_true(turn_has_reported(f->turn));
	assert_int_equal(fault_reports(f, &ports), 3);
	assert_int_equal(ports, 1 << 2 | 1 << 3 | 1 << 4);
	fx_frame(f, FX_BROADCAST, 1, NULL, 60);
	fx_run(f, 1);
	assert_false(turn_has_reported(f->turn));
	/* On the way in. */
	atomic_store(&f->port[1].port->fault, PORT_FAULT_GONE);
	fx_run(f, 1);
	fx_run(f, 1);
	assert_int_equal(fault_reports(f, &ports), 1);
	assert_int_equal(ports, 1 << 1);
}

/* ---- the table of destinations ---- */

/* A stamp of four billion bursts ago must not look new. */
static void test_stamp_wraps(void **state)
{
	struct egress *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	e->stamp = UINT32_MAX - 2;
	for (unsigned burst = 0; burst < 6; burst++) {
		if (burst == 0)
			e->where[7].stamp = 1; /* left by a burst long ago */
		egress_begin(e);
		assert_int_equal(e->n_slots, 0);
		assert_int_not_equal(e->stamp, 0);
		assert_int_not_equal(e->where[5].stamp, e->stamp);
		assert_int_not_equal(e->where[7].stamp, e->stamp);
		assert_true(egress_add(e, 1 << 3, 5));
		assert_true(egress_add(e, 1 << 4, 5));
		assert_false(egress_add(e, 1 << 3, 5));
		assert_true(egress_add(e, 1 << 3, PORTS_MAX - 1));
		assert_int_equal(e->n_slots, 2);
		assert_int_equal(e->slot[0].port, 5);
		assert_int_equal(e->slot[0].frames, 1 << 3 | 1 << 4);
		assert_int_equal(e->slot[1].port, PORTS_MAX - 1);
	}
	free(e);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_gso),
		TEST(test_gso_ecn),
		TEST(test_gso_mixed_flood),
		TEST(test_gso_many_segments),
		TEST(test_coalesce),
		TEST(test_csum),
		TEST(test_header_without_offload),
		TEST(test_bad_header),
		TEST(test_tag_moves_offsets),
		TEST(test_mtu),
		TEST(test_queue_full),
		TEST(test_port_pcp),
		TEST(test_port_down),
		TEST(test_order),
		TEST(test_faults),
		cmocka_unit_test(test_stamp_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
