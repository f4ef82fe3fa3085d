// SPDX-License-Identifier: Apache-2.0
/*
 * The rules of docs/forwarding.md end to end: octets go into one port, octets come out of others.
 * Offloads and egress errors are in egress_test.c, floods and random traffic in turn_random_test.c.
 */
#include "turn_fixture.h"

#include <stdio.h>
#include <string.h>

#define DELIVERED DROP_REASONS_N

/* Ports of the edge relay most tests use; a port's MAC has its number. */
enum {
	UPLINK = 0,
	BRIDGE_1 = 1,
	BRIDGE_2 = 2,
	VEPA_1 = 3,
	VEPA_2 = 4,
	PRIVATE_1 = 5,
	PRIVATE_2 = 6,
	SOURCE_1 = 7,
	HOST = 8,      /* a station port like any other */
	OUTSIDE = 100, /* a MAC on the wire */
	LISTED = 101,  /* another, on the list of SOURCE_1 */
	ELSEWHERE = 102,
};

static int setup_edge(void **state)
{
	static const enum fwd_mode mode[] = {
		[BRIDGE_1] = FWD_BRIDGE, [BRIDGE_2] = FWD_BRIDGE,   [VEPA_1] = FWD_VEPA,
		[VEPA_2] = FWD_VEPA,	 [PRIVATE_1] = FWD_PRIVATE, [PRIVATE_2] = FWD_PRIVATE,
		[SOURCE_1] = FWD_SOURCE, [HOST] = FWD_BRIDGE
	};
	struct fixture *f = fx_new();

	fx_bridge(f, false);
	fx_uplink(f, UPLINK);
	for (port_id id = 1; id < ARRAY_SIZE(mode); id++) {
		fx_station(f, id, mode[id]);
		fx_owner(f, id, id, VID_DEFAULT);
	}
	fx_listed(f, SOURCE_1, LISTED);
	fx_build(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fx_free(*state);
	return 0;
}

/* ---- rows: one frame, who gets it ---- */

struct row {
	const char *name;
	port_id from;
	unsigned src, dst;
	const char *to;
	enum drop_reason why;
};

static const char *why_name(enum drop_reason why)
{
	return why == DELIVERED ? "not at all" : drop_name(why);
}

/* The frame that was just sent, alone in its burst, got where the row says. */
static void check_row(const struct fixture *f, const char *name, const char *to,
		      enum drop_reason why)
{
	char text[64];

	if (strcmp(fx_receivers(f, 0, text, sizeof(text)), to) != 0)
		fail_msg("%s: delivered to \"%s\", not \"%s\" (%s)", name, text, to,
			 why_name(fx_dropped(f)));
	if (fx_dropped(f) != why)
		fail_msg("%s: dropped as %s, not %s", name, why_name(fx_dropped(f)), why_name(why));
}

static void run_rows(struct fixture *f, const struct row *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		fx_frame(f, row[i].dst, row[i].src, NULL, 60);
		fx_run(f, row[i].from);
		check_row(f, row[i].name, row[i].to, row[i].why);
	}
}

#define STATION(mode, port, dst, to, why)                                                          \
	{                                                                                          \
		mode " to " #dst, port, port, dst, to, why                                         \
	}

static void test_from_stations(void **state)
{
	static const struct row rows[] = {
		STATION("bridge", BRIDGE_1, BRIDGE_1, "", DROP_self),
		STATION("bridge", BRIDGE_1, BRIDGE_2, "2", DELIVERED),
		STATION("bridge", BRIDGE_1, VEPA_1, "0", DELIVERED),
		STATION("bridge", BRIDGE_1, PRIVATE_1, "0", DELIVERED),
		STATION("bridge", BRIDGE_1, SOURCE_1, "0", DELIVERED),
		STATION("bridge", BRIDGE_1, HOST, "8", DELIVERED),
		STATION("bridge", BRIDGE_1, OUTSIDE, "0", DELIVERED),
		STATION("bridge", BRIDGE_1, FX_BROADCAST, "0 2 8", DELIVERED),
		STATION("bridge", BRIDGE_1, FX_GROUP + 9, "0 2 8", DELIVERED),
		STATION("vepa", VEPA_1, VEPA_1, "0", DELIVERED),
		STATION("vepa", VEPA_1, BRIDGE_1, "0", DELIVERED),
		STATION("vepa", VEPA_1, VEPA_2, "0", DELIVERED),
		STATION("vepa", VEPA_1, HOST, "0", DELIVERED),
		STATION("vepa", VEPA_1, OUTSIDE, "0", DELIVERED),
		STATION("vepa", VEPA_1, FX_BROADCAST, "0", DELIVERED),
		STATION("private", PRIVATE_1, PRIVATE_1, "0", DELIVERED),
		STATION("private", PRIVATE_1, PRIVATE_2, "0", DELIVERED),
		STATION("private", PRIVATE_1, BRIDGE_1, "0", DELIVERED),
		STATION("private", PRIVATE_1, FX_BROADCAST, "0", DELIVERED),
		STATION("source", SOURCE_1, SOURCE_1, "0", DELIVERED),
		STATION("source", SOURCE_1, BRIDGE_1, "0", DELIVERED),
		STATION("source", SOURCE_1, OUTSIDE, "0", DELIVERED),
		STATION("source", SOURCE_1, FX_BROADCAST, "0", DELIVERED),
	};

	run_rows(*state, rows, ARRAY_SIZE(rows));
}

#define WIRE(name, src, dst, to, why)                                                              \
	{                                                                                          \
		"wire: " name, UPLINK, src, dst, to, why                                           \
	}

static void test_from_uplink(void **state)
{
	static const struct row rows[] = {
		WIRE("nobody owns it", OUTSIDE, ELSEWHERE, "", DROP_unknown_dst),
		WIRE("outside to bridge", OUTSIDE, BRIDGE_1, "1", DELIVERED),
		WIRE("outside to vepa", OUTSIDE, VEPA_1, "3", DELIVERED),
		WIRE("outside to private", OUTSIDE, PRIVATE_1, "5", DELIVERED),
		WIRE("outside to source", OUTSIDE, SOURCE_1, "", DROP_source_filter),
		WIRE("back to its sender", VEPA_1, VEPA_1, "", DROP_returned),
		WIRE("private to private", PRIVATE_1, PRIVATE_2, "", DROP_private),
		WIRE("private to vepa", PRIVATE_1, VEPA_1, "", DROP_private),
		WIRE("private to bridge", PRIVATE_1, BRIDGE_1, "", DROP_private),
		WIRE("vepa to private", VEPA_1, PRIVATE_1, "", DROP_private),
		WIRE("bridge to private", BRIDGE_1, PRIVATE_1, "", DROP_private),
		WIRE("bridge to bridge", BRIDGE_1, BRIDGE_2, "", DROP_looped),
		WIRE("bridge to host", BRIDGE_1, HOST, "", DROP_looped),
		WIRE("bridge to vepa", BRIDGE_1, VEPA_1, "3", DELIVERED),
		WIRE("vepa to bridge", VEPA_1, BRIDGE_1, "1", DELIVERED),
		WIRE("vepa to vepa", VEPA_1, VEPA_2, "4", DELIVERED),
		WIRE("vepa to host", VEPA_1, HOST, "8", DELIVERED),
		WIRE("source to vepa", SOURCE_1, VEPA_1, "3", DELIVERED),
		WIRE("outside to all", OUTSIDE, FX_BROADCAST, "1 2 3 4 5 6 8", DELIVERED),
		WIRE("outside to a group", OUTSIDE, FX_GROUP + 1, "1 2 3 4 5 6 8", DELIVERED),
		WIRE("vepa to all", VEPA_1, FX_BROADCAST, "1 2 4 8", DELIVERED),
		WIRE("bridge to all", BRIDGE_1, FX_BROADCAST, "3 4", DELIVERED),
		WIRE("private to all", PRIVATE_1, FX_BROADCAST, "", DROP_private),
		WIRE("source to all", SOURCE_1, FX_BROADCAST, "1 2 3 4 8", DELIVERED),
		WIRE("listed to nobody", LISTED, ELSEWHERE, "7", DELIVERED),
		WIRE("listed to source", LISTED, SOURCE_1, "7", DELIVERED),
		WIRE("listed to vepa", LISTED, VEPA_1, "3 7", DELIVERED),
		WIRE("listed to all", LISTED, FX_BROADCAST, "1 2 3 4 5 6 7 8", DELIVERED),
	};

	run_rows(*state, rows, ARRAY_SIZE(rows));
}

/* Checks 1, 2, 3, 5 and 6, from a station and, where they hold there, from the wire. */
static void test_checks(void **state)
{
	static const struct row rows[] = {
		{ "source zero", VEPA_1, 0, OUTSIDE, "", DROP_bad_source },
		{ "source broadcast", VEPA_1, FX_BROADCAST, OUTSIDE, "", DROP_bad_source },
		{ "source multicast", VEPA_1, FX_GROUP + 1, OUTSIDE, "", DROP_bad_source },
		{ "source of nobody", VEPA_1, ELSEWHERE, OUTSIDE, "", DROP_spoof },
		{ "source of another", VEPA_1, VEPA_2, OUTSIDE, "", DROP_spoof },
		{ "source of another, bridge", BRIDGE_1, BRIDGE_2, HOST, "", DROP_spoof },
		{ "LLDP from a guest", VEPA_1, VEPA_1, FX_RESERVED + 14, "", DROP_reserved },
		{ "LLDP from a bridge port", BRIDGE_1, BRIDGE_1, FX_RESERVED, "", DROP_reserved },
		{ "behind the reserved ones", VEPA_1, VEPA_1, FX_RESERVED + 16, "0", DELIVERED },
		{ "wire: source zero", UPLINK, 0, VEPA_1, "", DROP_bad_source },
		{ "wire: source group", UPLINK, FX_GROUP, VEPA_1, "", DROP_bad_source },
		{ "wire: LLDP", UPLINK, OUTSIDE, FX_RESERVED + 14, "", DROP_control },
	};
	struct fixture *f = *state;
	struct frame *frame;

	run_rows(f, rows, ARRAY_SIZE(rows));
	for (unsigned from = UPLINK; from <= VEPA_1; from += VEPA_1) {
		unsigned src = from == UPLINK ? OUTSIDE : from,
			 dst = from == UPLINK ? VEPA_1 : OUTSIDE;

		frame = fx_frame(f, dst, src, NULL, 60);
		fx_at(frame)[12] = ETHERTYPE_MAC_CONTROL >> 8;
		fx_at(frame)[13] = ETHERTYPE_MAC_CONTROL & 0xff;
		fx_run(f, (port_id)from);
		check_row(f, "PAUSE", "", DROP_mac_control);
		fx_frame(f, dst, src, NULL, 1515);
		fx_run(f, (port_id)from);
		check_row(f, "an octet too long", "", DROP_oversize);
		fx_frame(f, dst, src, NULL, 1514);
		fx_run(f, (port_id)from);
		check_row(f, "as long as can be", from == UPLINK ? "3" : "0", DELIVERED);
	}
}

static void test_runts(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[18] = { 2, 0, 0, 0, 0, OUTSIDE, 2, 0, 0, 0, 0, VEPA_1, 0x81, 0, 0, 0, 8, 0 };

	for (uint32_t size = 0; size < 18; size++) {
		fx_octets(f, octets, size);
		fx_run(f, VEPA_1);
		check_row(f, "cut tag", "", DROP_runt);
	}
	fx_octets(f, octets, 18);
	fx_run(f, VEPA_1);
	check_row(f, "priority tag and nothing else", "0", DELIVERED);
	octets[12] = 8;
	for (uint32_t size = 0; size < 14; size++) {
		fx_octets(f, octets, size)->tpid = size & 1 ? ETHERTYPE_CTAG : 0;
		fx_run(f, VEPA_1);
		check_row(f, "cut header", "", DROP_runt);
	}
	fx_octets(f, octets, 14);
	fx_run(f, VEPA_1);
	check_row(f, "header and nothing else", "0", DELIVERED);
}

static void test_guard_off(void **state)
{
	static const struct row rows[] = {
		{ "anything goes", VEPA_1, ELSEWHERE, OUTSIDE, "0", DELIVERED },
		{ "another's too", VEPA_1, VEPA_2, OUTSIDE, "0", DELIVERED },
		{ "but no bad source", VEPA_1, 0, OUTSIDE, "", DROP_bad_source },
	};
	struct fixture *f = *state;

	f->port[VEPA_1].flags &= (uint16_t)~VIEW_GUARD;
	fx_build(f);
	run_rows(f, rows, ARRAY_SIZE(rows));
}

static void test_reserved_mask(void **state)
{
	static const struct row rows[] = {
		{ "its bit is set", VEPA_1, VEPA_1, FX_RESERVED + 14, "0", DELIVERED },
		{ "its bit is not set", VEPA_1, VEPA_1, FX_RESERVED + 13, "", DROP_reserved },
		{ "a bridge port's goes to the wire only", BRIDGE_1, BRIDGE_1, FX_RESERVED + 2, "0",
		  DELIVERED },
		{ "spoofed", VEPA_1, VEPA_2, FX_RESERVED + 14, "", DROP_spoof },
		{ "wire: who asks for it", UPLINK, OUTSIDE, FX_RESERVED + 14, "1 3", DELIVERED },
		{ "wire: who asks for the other", UPLINK, OUTSIDE, FX_RESERVED + 2, "1",
		  DELIVERED },
		{ "wire: nobody does", UPLINK, OUTSIDE, FX_RESERVED + 1, "", DROP_control },
		{ "wire: not back to its sender", UPLINK, VEPA_1, FX_RESERVED + 14, "1",
		  DELIVERED },
	};
	struct fixture *f = *state;
	static const struct fx_tag stag[2] = { { ETHERTYPE_STAG, 7 } };

	f->port[VEPA_1].reserved = 1 << 14;
	f->port[BRIDGE_1].reserved = 1 << 14 | 1 << 2;
	fx_build(f);
	run_rows(f, rows, ARRAY_SIZE(rows));
	/* A frame of no VLAN of ours is for nobody, even a trunk that refuses untagged frames. */
	f->port[VEPA_1].flags |= VIEW_TRUNK;
	f->port[VEPA_1].vlans = &(struct vlan_set){ { 4 } };
	f->port[VEPA_1].pvid = VID_NONE;
	fx_build(f);
	fx_frame(f, FX_RESERVED + 14, OUTSIDE, stag, 60);
	fx_run(f, UPLINK);
	check_row(f, "S-tagged LLDP", "", DROP_control);
}

/* An untagged frame for a reserved address is the link's and not a VLAN's, both ways. */
static void test_reserved_and_vlans(void **state)
{
	struct fixture *f = *state;

	f->port[VEPA_1].reserved = f->port[BRIDGE_1].reserved = 1 << 14;
	f->port[VEPA_1].pvid = 100;
	fx_owner(f, VEPA_1, VEPA_1, 100);
	fx_build(f);
	fx_frame(f, FX_RESERVED + 14, OUTSIDE, NULL, 60);
	fx_run(f, UPLINK);
	check_row(f, "LLDP from the wire to a port of another VLAN", "1 3", DELIVERED);
	fx_frame(f, FX_RESERVED + 14, VEPA_1, NULL, 60);
	fx_run(f, UPLINK);
	check_row(f, "but not back to its sender", "1", DELIVERED);
	fx_frame(f, FX_RESERVED + 14, VEPA_1, NULL, 60);
	fx_run(f, VEPA_1);
	check_row(f, "LLDP to the wire", "0", DELIVERED);
	assert_int_equal(f->got[0].size, 60); /* without a tag of its VLAN */
}

static void test_promisc(void **state)
{
	static const struct row rows[] = {
		{ "unknown", UPLINK, OUTSIDE, ELSEWHERE, "3 6", DELIVERED },
		{ "unknown, from one of them", UPLINK, VEPA_1, ELSEWHERE, "6", DELIVERED },
		{ "known", UPLINK, OUTSIDE, BRIDGE_1, "1", DELIVERED },
		{ "listed", UPLINK, LISTED, ELSEWHERE, "3 6 7", DELIVERED },
	};
	struct fixture *f = *state;

	f->port[VEPA_1].flags |= VIEW_PROMISC;
	f->port[PRIVATE_2].flags |= VIEW_PROMISC;
	f->port[SOURCE_1].flags |= VIEW_PROMISC; /* to no effect */
	fx_build(f);
	run_rows(f, rows, ARRAY_SIZE(rows));
}

/* Several source-mode ports, some with the same address on their lists. */
static void test_source_lists(void **state)
{
	static const struct row several[] = {
		{ "two list it", UPLINK, LISTED, VEPA_1, "3 7 9", DELIVERED },
		{ "one lists it", UPLINK, OUTSIDE, ELSEWHERE, "9", DELIVERED },
		{ "own source on a list", UPLINK, SOURCE_1, ELSEWHERE, "9", DELIVERED },
	};
	static const struct row nodst[] = {
		{ "nodst: nowhere else", UPLINK, LISTED, VEPA_1, "7 9", DELIVERED },
		{ "nodst: no flood", UPLINK, LISTED, FX_BROADCAST, "7 9", DELIVERED },
		{ "nodst: not on its list", UPLINK, OUTSIDE, VEPA_1, "3 7", DELIVERED },
		{ "not listed at all", UPLINK, ELSEWHERE, VEPA_1, "3", DELIVERED },
	};
	struct fixture *f = *state;

	fx_station(f, 9, FWD_SOURCE);
	fx_owner(f, 9, 9, VID_DEFAULT);
	fx_listed(f, 9, LISTED);
	fx_listed(f, 9, OUTSIDE);
	fx_listed(f, 9, SOURCE_1);
	fx_listed(f, SOURCE_1, SOURCE_1);
	fx_build(f);
	run_rows(f, several, ARRAY_SIZE(several));
	f->n_listed = 0;
	fx_listed(f, 9, LISTED);
	fx_listed(f, SOURCE_1, LISTED);
	fx_listed(f, SOURCE_1, OUTSIDE);
	f->port[9].flags |= VIEW_NODST;
	fx_build(f);
	run_rows(f, nodst, ARRAY_SIZE(nodst));
}

static void test_standby(void **state)
{
	static const struct row rows[] = {
		{ "sends nothing", BRIDGE_2, BRIDGE_2, OUTSIDE, "", DROP_standby },
		{ "owns nothing", BRIDGE_1, BRIDGE_1, BRIDGE_2, "0", DELIVERED },
		{ "not even for the wire", UPLINK, OUTSIDE, BRIDGE_2, "", DROP_unknown_dst },
		{ "gets no flood", BRIDGE_1, BRIDGE_1, FX_BROADCAST, "0 8", DELIVERED },
		{ "gets no listed one", UPLINK, LISTED, ELSEWHERE, "", DROP_unknown_dst },
	};
	static const struct row after = { "active", BRIDGE_1, BRIDGE_1, BRIDGE_2, "2", DELIVERED };
	struct fixture *f = *state;

	f->port[BRIDGE_2].flags |= VIEW_STANDBY;
	f->port[SOURCE_1].flags |= VIEW_STANDBY;
	fx_build(f);
	run_rows(f, rows, ARRAY_SIZE(rows));
	f->port[BRIDGE_2].flags &= (uint16_t)~VIEW_STANDBY;
	fx_build(f);
	run_rows(f, &after, 1);
}

/* The gate of stations whose association does not stand: BRIDGE_2, SOURCE_1. */
static void test_gated(void **state)
{
	static const struct row rows[] = {
		{ "sends nothing", BRIDGE_2, BRIDGE_2, OUTSIDE, "", DROP_vsi },
		{ "no groups", BRIDGE_2, BRIDGE_2, FX_BROADCAST, "", DROP_vsi },
		{ "the guest may be elsewhere", BRIDGE_1, BRIDGE_1, BRIDGE_2, "0", DELIVERED },
		{ "gets nothing from the wire", UPLINK, OUTSIDE, BRIDGE_2, "", DROP_vsi },
		{ "sends from elsewhere", UPLINK, BRIDGE_2, BRIDGE_1, "1", DELIVERED },
		{ "nobody else may be it", VEPA_1, BRIDGE_2, OUTSIDE, "", DROP_spoof },
		{ "gets no flood", BRIDGE_1, BRIDGE_1, FX_BROADCAST, "0 8", DELIVERED },
		{ "no flood from the wire", UPLINK, OUTSIDE, FX_BROADCAST, "1 3 4 5 6 8",
		  DELIVERED },
		{ "gets no listed one", UPLINK, LISTED, ELSEWHERE, "", DROP_unknown_dst },
	};
	static const struct row after[] = {
		{ "stands", BRIDGE_1, BRIDGE_1, BRIDGE_2, "2", DELIVERED },
		{ "stands, wire", UPLINK, OUTSIDE, BRIDGE_2, "2", DELIVERED },
	};
	struct fixture *f = *state;

	f->port[BRIDGE_2].mode = FWD_GATED;
	f->port[SOURCE_1].mode = FWD_GATED;
	fx_build(f);
	run_rows(f, rows, ARRAY_SIZE(rows));
	f->port[BRIDGE_2].mode = FWD_BRIDGE;
	fx_build(f);
	run_rows(f, after, ARRAY_SIZE(after));
}

static void test_no_carrier(void **state)
{
	static const struct row down[] = {
		{ "local goes on", BRIDGE_1, BRIDGE_1, BRIDGE_2, "2", DELIVERED },
		{ "so does a flood", BRIDGE_1, BRIDGE_1, FX_BROADCAST, "2 8", DELIVERED },
		{ "to the wire", VEPA_1, VEPA_1, VEPA_2, "", DROP_no_carrier },
	};
	static const struct row none[] = {
		{ "no uplink: local goes on", BRIDGE_1, BRIDGE_1, BRIDGE_2, "2", DELIVERED },
		{ "no uplink", VEPA_1, VEPA_1, VEPA_2, "", DROP_no_uplink },
	};
	struct fixture *f = *state;
	struct view_port uplink;

	f->port[UPLINK].flags &= (uint16_t)~VIEW_UP;
	fx_build(f);
	run_rows(f, down, ARRAY_SIZE(down));
	uplink = f->port[UPLINK];
	f->port[UPLINK].port = NULL;
	fx_build(f);
	run_rows(f, none, ARRAY_SIZE(none));
	f->port[UPLINK] = uplink;
}

/* The host's stack has what comes from the uplink, and the kernel has sent its group frames. */
static void test_host(void **state)
{
	static const struct row rows[] = {
		{ "host to a bridge port", HOST, HOST, BRIDGE_1, "1", DELIVERED },
		{ "host to one that left bridge mode", HOST, HOST, VEPA_1, "0", DELIVERED },
		{ "host to one that is gone", HOST, HOST, OUTSIDE, "0", DELIVERED },
		{ "host to itself", HOST, HOST, HOST, "", DROP_self },
		{ "host to all", HOST, HOST, FX_BROADCAST, "1 2", DELIVERED },
		{ "host to reserved", HOST, HOST, FX_RESERVED + 1, "", DROP_no_receiver },
		{ "host with a guest's source", HOST, BRIDGE_1, BRIDGE_2, "", DROP_spoof },
		{ "bridge port to host", BRIDGE_1, BRIDGE_1, HOST, "8", DELIVERED },
		{ "bridge port to all", BRIDGE_1, BRIDGE_1, FX_BROADCAST, "0 2 8", DELIVERED },
		{ "vepa port to host", VEPA_1, VEPA_1, HOST, "0", DELIVERED },
		{ "wire to host", UPLINK, OUTSIDE, HOST, "", DROP_host },
		{ "wire to host, from vepa", UPLINK, VEPA_1, HOST, "", DROP_host },
		{ "wire to host, from private", UPLINK, PRIVATE_1, HOST, "", DROP_host },
		{ "wire to host, its own", UPLINK, HOST, HOST, "", DROP_returned },
		{ "wire to all", UPLINK, OUTSIDE, FX_BROADCAST, "1 2 3 4 5 6", DELIVERED },
		{ "wire to all, from vepa", UPLINK, VEPA_1, FX_BROADCAST, "1 2 4", DELIVERED },
		{ "wire to all, from bridge", UPLINK, BRIDGE_1, FX_BROADCAST, "3 4", DELIVERED },
		{ "wire to all, from host", UPLINK, HOST, FX_BROADCAST, "3 4", DELIVERED },
		{ "wire to vepa, from host", UPLINK, HOST, VEPA_1, "3", DELIVERED },
		{ "wire to bridge, from host", UPLINK, HOST, BRIDGE_1, "", DROP_looped },
		{ "wire to private, from host", UPLINK, HOST, PRIVATE_1, "", DROP_private },
		{ "wire to reserved", UPLINK, OUTSIDE, FX_RESERVED + 1, "1", DELIVERED },
	};
	static const struct row vepa[] = {
		{ "vepa: a copy that is late", HOST, HOST, FX_BROADCAST, "", DROP_no_receiver },
		{ "vepa: unicast that is late", HOST, HOST, BRIDGE_1, "0", DELIVERED },
		{ "vepa: bridge port to host", BRIDGE_1, BRIDGE_1, HOST, "0", DELIVERED },
		{ "vepa: bridge port to all", BRIDGE_1, BRIDGE_1, FX_BROADCAST, "0 2", DELIVERED },
		{ "vepa: reflected", UPLINK, HOST, BRIDGE_1, "1", DELIVERED },
		{ "vepa: reflected to all", UPLINK, HOST, FX_BROADCAST, "1 2 3 4", DELIVERED },
		{ "vepa: wire to host", UPLINK, OUTSIDE, HOST, "", DROP_host },
	};
	static const struct row alone[] = {
		{ "host alone, to all", HOST, HOST, FX_BROADCAST, "", DROP_no_receiver },
		{ "host alone, wire to all", UPLINK, OUTSIDE, FX_BROADCAST, "", DROP_host },
		{ "host alone, its own", UPLINK, HOST, FX_BROADCAST, "", DROP_looped },
		{ "host alone, reserved", UPLINK, OUTSIDE, FX_RESERVED + 1, "", DROP_control },
	};
	static const struct row standby[] = {
		{ "standby", HOST, HOST, FX_BROADCAST, "", DROP_standby },
		{ "standby, wire to host", UPLINK, OUTSIDE, HOST, "", DROP_unknown_dst },
	};
	struct fixture *f = *state;

	f->host[0] = HOST;
	f->port[HOST].reserved = f->port[BRIDGE_1].reserved = 2;
	fx_build(f);
	run_rows(f, rows, ARRAY_SIZE(rows));
	f->port[HOST].mode = FWD_VEPA;
	fx_build(f);
	run_rows(f, vepa, ARRAY_SIZE(vepa));
	f->port[HOST].mode = FWD_BRIDGE;
	for (port_id id = BRIDGE_1; id < HOST; id++)
		f->port[id].flags |= VIEW_STANDBY;
	fx_build(f);
	run_rows(f, alone, ARRAY_SIZE(alone));
	f->port[HOST].flags |= VIEW_STANDBY;
	fx_build(f);
	run_rows(f, standby, ARRAY_SIZE(standby));
}

/* ---- an uplink that waits ---- */

static void test_backup(void **state)
{
	enum { BACKUP = 9 };
	static const struct row rows[] = {
		{ "to a guest", BACKUP, OUTSIDE, BRIDGE_1, "", DROP_backup },
		{ "the second of a flood", BACKUP, OUTSIDE, FX_BROADCAST, "", DROP_backup },
		{ "from a listed source", BACKUP, LISTED, BRIDGE_1, "", DROP_backup },
		{ "from a guest, flooded by the wire", BACKUP, VEPA_1, FX_BROADCAST, "",
		  DROP_backup },
		{ "LLDP of its neighbour", BACKUP, OUTSIDE, FX_RESERVED + 14, "", DROP_control },
		{ "guests send by the active one", VEPA_1, VEPA_1, VEPA_2, "0", DELIVERED },
		{ "the active one", UPLINK, OUTSIDE, BRIDGE_1, "1", DELIVERED },
	};
	static const struct row other[] = {
		{ "to a guest", BACKUP, OUTSIDE, BRIDGE_1, "1", DELIVERED },
		{ "guests send by it", VEPA_1, VEPA_1, VEPA_2, "9", DELIVERED },
		{ "the first waits now", UPLINK, OUTSIDE, BRIDGE_1, "", DROP_backup },
	};
	struct fixture *f = *state;

	f->port[VEPA_2].reserved = 1 << 14;
	fx_uplink(f, BACKUP)->flags |= VIEW_BACKUP;
	fx_build(f);
	assert_int_equal(f->view->bridge[0].uplink, UPLINK);
	run_rows(f, rows, ARRAY_SIZE(rows));
	f->port[UPLINK].flags |= VIEW_BACKUP;
	f->port[BACKUP].flags &= (uint16_t)~VIEW_BACKUP;
	fx_build(f);
	run_rows(f, other, ARRAY_SIZE(other));
}

/* ---- bridges and empty slots ---- */

static void test_two_relays(void **state)
{
	static const struct row rows[] = {
		{ "the other's MAC is nobody's", BRIDGE_1, BRIDGE_1, 21, "0", DELIVERED },
		{ "floods stay", BRIDGE_1, BRIDGE_1, FX_BROADCAST, "0 2 8", DELIVERED },
		{ "also there", 21, 21, FX_BROADCAST, "20 22", DELIVERED },
		{ "same MAC in both", 22, BRIDGE_1, 21, "21", DELIVERED },
		{ "wire", 20, OUTSIDE, BRIDGE_1, "22", DELIVERED },
		{ "first wire", UPLINK, OUTSIDE, BRIDGE_1, "1", DELIVERED },
	};
	struct fixture *f = *state;

	fx_bridge(f, false);
	fx_uplink(f, 20);
	fx_station(f, 21, FWD_BRIDGE);
	fx_owner(f, 21, 21, VID_DEFAULT);
	fx_station(f, 22, FWD_BRIDGE);
	fx_owner(f, 22, BRIDGE_1, VID_DEFAULT);
	fx_build(f);
	run_rows(f, rows, ARRAY_SIZE(rows));
	assert_int_equal(turn_run(f->turn, f->view, 10, f->now), 0);
	assert_int_equal(turn_run(f->turn, f->view, PORTS_MAX - 1, f->now), 0);
	assert_int_equal(turn_run(f->turn, f->view, PORT_NONE, f->now), 0);
}

/* ---- passthru ---- */

static int setup_passthru(void **state)
{
	struct fixture *f = fx_new();

	fx_bridge(f, false);
	fx_uplink(f, 0)->pvid = VID_NONE;
	fx_station(f, 1, FWD_PASSTHRU);
	fx_owner(f, 1, 1, VID_NONE);
	fx_build(f);
	*state = f;
	return 0;
}

static void test_passthru_rows(void **state)
{
	static const struct row rows[] = {
		{ "anybody's source", 1, ELSEWHERE, OUTSIDE, "0", DELIVERED },
		{ "LLDP", 1, 1, FX_RESERVED + 14, "0", DELIVERED },
		{ "bad source", 1, FX_GROUP, OUTSIDE, "", DROP_bad_source },
		{ "own MAC", 1, 1, 1, "0", DELIVERED },
		{ "wire: to anybody", 0, OUTSIDE, ELSEWHERE, "1", DELIVERED },
		{ "wire: to all", 0, OUTSIDE, FX_BROADCAST, "1", DELIVERED },
		{ "wire: reflected", 0, 1, 1, "1", DELIVERED },
		{ "wire: LLDP", 0, OUTSIDE, FX_RESERVED, "1", DELIVERED },
		{ "wire: bad source", 0, 0, 1, "", DROP_bad_source },
	};

	run_rows(*state, rows, ARRAY_SIZE(rows));
}

/* ---- tags ---- */

#define C(tci)                                                                                     \
	{                                                                                          \
		ETHERTYPE_CTAG, (tci)                                                              \
	}
#define S(tci)                                                                                     \
	{                                                                                          \
		ETHERTYPE_STAG, (tci)                                                              \
	}
#define PCP(n) ((n) << 13)
enum { DEI = 1 << 12 };

/* A frame with tags, and what `port` gets: nothing if `why` says so. */
struct tag_row {
	const char *name;
	port_id from, port;
	struct fx_tag in[FX_TAGS], out[FX_TAGS];
	enum drop_reason why;
};

/* Octets of the frame `sent` as they should look with tags `out` instead of `in`. */
static uint32_t retagged(const uint8_t *sent, uint32_t size, const struct tag_row *r, uint8_t *to)
{
	uint32_t n = 12, behind = 12;

	memcpy(to, sent, 12);
	for (unsigned i = 0; i < FX_TAGS && r->out[i].tpid; i++) {
		to[n++] = (uint8_t)(r->out[i].tpid >> 8);
		to[n++] = (uint8_t)r->out[i].tpid;
		to[n++] = (uint8_t)(r->out[i].tci >> 8);
		to[n++] = (uint8_t)r->out[i].tci;
	}
	for (unsigned i = 0; i < FX_TAGS && r->in[i].tpid; i++)
		behind += ETH_TAG_SIZE;
	memcpy(to + n, sent + behind, size - behind);
	return n + size - behind;
}

/* The outermost tag of a frame moves from its octets to beside them. */
static void put_beside(struct fixture *f, struct frame *frame)
{
	uint8_t *p = fx_at(frame);

	frame->tpid = eth_load16(p + 12);
	frame->tci = eth_load16(p + 14);
	memmove(p + 4, p, 12);
	f->iov[frame - f->frame][0].iov_base = p + 4;
	f->iov[frame - f->frame][0].iov_len -= 4;
	frame->size -= 4;
}

static void run_tag_row(struct fixture *f, const struct tag_row *r, unsigned n_iov, bool beside)
{
	uint8_t sent[1024], want[1024];
	const struct fx_delivery *d;
	unsigned dst = r->from == 0 ? r->port : r->port == 0 ? OUTSIDE : r->port;
	struct frame *frame = fx_frame(f, dst, r->from ? r->from : OUTSIDE, r->in, 700);
	uint32_t size;

	memcpy(sent, fx_at(frame), 700);
	size = retagged(sent, 700, r, want);
	if (beside)
		put_beside(f, frame);
	fx_split(f, frame, n_iov);
	fx_run(f, r->from);
	if (fx_dropped(f) != r->why)
		fail_msg("%s: dropped as %s", r->name, why_name(fx_dropped(f)));
	d = fx_delivery(f, r->port, 0);
	if (!d != (r->why != DELIVERED))
		fail_msg("%s: %sdelivered", r->name, d ? "" : "not ");
	if (d && (d->size != size || memcmp(d->octets, want, size) != 0))
		fail_msg("%s%s: delivered with wrong octets: %u, not %u; type %02x%02x %02x%02x",
			 r->name, beside ? ", beside" : "", d->size, size, d->octets[12],
			 d->octets[13], d->octets[14], d->octets[15]);
}

/* Each row in one piece and in many, with the outermost tag in the octets and beside them. */
static void run_tag_rows(struct fixture *f, const struct tag_row *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		run_tag_row(f, &row[i], 1, false);
		run_tag_row(f, &row[i], FRAME_IOV_MAX, false);
		if (!row[i].in[0].tpid)
			continue;
		run_tag_row(f, &row[i], 1, true);
		run_tag_row(f, &row[i], FRAME_IOV_MAX, true);
	}
}

/*
 * 1: access 10   2: access 10   3: trunk 10, 20, native 30   4: trunk 10, 20, 30, no native
 * 5: access 1    6: access 20   0: uplink, native 1          all in bridge mode
 */
static int setup_tags(void **state)
{
	static struct vlan_set trunk_3, trunk_4;
	static const vid_t pvid[] = { 1, 10, 10, 30, VID_NONE, 1, 20 };
	struct fixture *f = fx_new();

	vlan_set_add(&trunk_3, 10);
	vlan_set_add(&trunk_3, 20);
	vlan_set_add(&trunk_4, 10);
	vlan_set_add(&trunk_4, 20);
	vlan_set_add(&trunk_4, 30);
	fx_bridge(f, false);
	fx_uplink(f, 0);
	for (port_id id = 1; id < ARRAY_SIZE(pvid); id++) {
		struct view_port *p = fx_station(f, id, FWD_BRIDGE);

		p->pvid = pvid[id];
		if (id == 3 || id == 4) {
			p->vlans = id == 3 ? &trunk_3 : &trunk_4;
			p->flags |= VIEW_TRUNK;
		}
		fx_owner(f, id, id, p->vlans ? VID_NONE : pvid[id]);
	}
	fx_build(f);
	*state = f;
	return 0;
}

static void test_tags(void **state)
{
	static const struct tag_row rows[] = {
		{ "access to access", 1, 2, {}, {}, DELIVERED },
		{ "access to wire", 1, 0, {}, { C(10) }, DELIVERED },
		{ "access to native wire", 5, 0, {}, {}, DELIVERED },
		{ "access to trunk", 1, 3, {}, { C(10) }, DELIVERED },
		{ "priority tag into access", 1, 0, { C(PCP(5)) }, { C(PCP(5) | 10) }, DELIVERED },
		{ "DEI too", 1, 3, { C(PCP(3) | DEI) }, { C(PCP(3) | DEI | 10) }, DELIVERED },
		{ "priority tag to access", 1, 2, { C(PCP(7)) }, {}, DELIVERED },
		{ "priority tag to native wire", 5, 0, { C(PCP(6)) }, { C(PCP(6)) }, DELIVERED },
		{ "empty priority tag to native wire", 5, 0, { C(0) }, {}, DELIVERED },
		{ "access takes no tag", 1, 0, { C(20) }, {}, DROP_vlan },
		{ "not even its own", 1, 0, { C(10) }, {}, DROP_vlan },
		{ "no S-tag", 1, 0, { S(10) }, {}, DROP_vlan },
		{ "no S-tag from a trunk", 3, 0, { S(10) }, {}, DROP_vlan },
		{ "no S-tag of no VLAN", 1, 0, { S(0) }, {}, DROP_vlan },
		{ "VID 4095", 3, 0, { C(4095) }, {}, DROP_vlan },
		{ "trunk to wire", 3, 0, { C(PCP(1) | 20) }, { C(PCP(1) | 20) }, DELIVERED },
		{ "trunk to trunk", 3, 4, { C(PCP(2) | 20) }, { C(PCP(2) | 20) }, DELIVERED },
		{ "trunk to access", 4, 6, { C(PCP(4) | 20) }, {}, DELIVERED },
		{ "trunk, VLAN not listed", 3, 0, { C(40) }, {}, DROP_vlan },
		{ "trunk, native VLAN tagged", 3, 0, { C(30) }, {}, DROP_vlan },
		{ "native to wire", 3, 0, {}, { C(30) }, DELIVERED },
		{ "native to a tagged member", 3, 4, {}, { C(30) }, DELIVERED },
		{ "tagged to a native member", 4, 3, { C(30) }, {}, DELIVERED },
		{ "tagged with priority, to a native one",
		  4,
		  3,
		  { C(PCP(2) | 30) },
		  { C(PCP(2)) },
		  DELIVERED },
		{ "priority tag of a native one",
		  3,
		  4,
		  { C(PCP(2)) },
		  { C(PCP(2) | 30) },
		  DELIVERED },
		{ "trunk without native: untagged", 4, 0, {}, {}, DROP_vlan },
		{ "trunk without native: priority", 4, 0, { C(PCP(1)) }, {}, DROP_vlan },
		{ "wire to access", 0, 1, { C(PCP(5) | 10) }, {}, DELIVERED },
		{ "wire to trunk", 0, 3, { C(PCP(5) | 20) }, { C(PCP(5) | 20) }, DELIVERED },
		{ "wire to native", 0, 3, { C(30) }, {}, DELIVERED },
		{ "native wire to access", 0, 5, {}, {}, DELIVERED },
		{ "priority tag from the wire", 0, 5, { C(PCP(5)) }, {}, DELIVERED },
		{ "wire, other VLAN than the owner's", 0, 1, { C(20) }, {}, DROP_unknown_dst },
		{ "wire, S-tag", 0, 1, { S(10) }, {}, DROP_vlan },
		{ "tag behind a tag stays", 3, 0, { C(10), C(77) }, { C(10), C(77) }, DELIVERED },
		{ "and goes to access", 0, 1, { C(10), C(77) }, { C(77) }, DELIVERED },
		{ "S-tag behind a tag stays", 0, 3, { C(20), S(7) }, { C(20), S(7) }, DELIVERED },
		/* The inner tag of a frame of the native VLAN must not become its VLAN. */
		{ "hop by a priority tag", 5, 0, { C(0), C(20) }, { C(0), C(20) }, DELIVERED },
		{ "hop with priority",
		  5,
		  0,
		  { C(PCP(1)), C(20) },
		  { C(PCP(1)), C(20) },
		  DELIVERED },
		{ "hop by an S-tag", 5, 0, { C(0), S(20) }, { C(0), S(20) }, DELIVERED },
		{ "hop to a trunk", 4, 3, { C(30), C(20) }, { C(0), C(20) }, DELIVERED },
	};

	run_tag_rows(*state, rows, ARRAY_SIZE(rows));
}

/* Floods stay in their VLAN, and each member gets its own tag. */
/* An uplink in an S-VLAN takes frames with its S-tag, and no other tag of that number. */
static void test_svlan(void **state)
{
	static const struct {
		const char *name;
		struct fx_tag in[3];
		const char *to;
		enum drop_reason drop;
	} rows[] = {
		{ "its S-tag", { { ETHERTYPE_STAG, 77 } }, "5", DELIVERED },
		{ "with a C-tag in it", { { ETHERTYPE_STAG, 77 }, C(10) }, "1 2 3 4", DELIVERED },
		{ "a C-tag of that number", { C(77) }, "", DROP_vlan },
		{ "another S-tag", { { ETHERTYPE_STAG, 78 } }, "", DROP_vlan },
		{ "no tag", { { 0 } }, "", DROP_vlan },
	};
	struct fixture *f = *state;

	f->port[0].svid = 77;
	fx_build(f);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fx_frame(f, FX_BROADCAST, OUTSIDE, rows[i].in, 100);
		fx_run(f, 0);
		check_row(f, rows[i].name, rows[i].to, rows[i].drop);
	}
}

static void test_tag_floods(void **state)
{
	static const struct {
		const char *name;
		port_id from;
		struct fx_tag in[2];
		const char *to;
	} rows[] = {
		{ "10 from access", 1, {}, "0 2 3 4" },
		{ "10 from trunk", 4, { C(10) }, "0 1 2 3" },
		{ "20 from trunk", 3, { C(20) }, "0 4 6" },
		{ "30 from native", 3, {}, "0 4" },
		{ "10 from the wire", 0, { C(10) }, "1 2 3 4" },
		{ "1 from the wire", 0, {}, "5" },
	};
	struct fixture *f = *state;
	const struct fx_delivery *d;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fx_frame(f, FX_BROADCAST, rows[i].from ? rows[i].from : OUTSIDE, rows[i].in, 100);
		fx_run(f, rows[i].from);
		check_row(f, rows[i].name, rows[i].to, DELIVERED);
	}
	fx_frame(f, FX_BROADCAST, OUTSIDE, (struct fx_tag[2]){ C(99) }, 100);
	fx_run(f, 0);
	check_row(f, "a VLAN without members", "", DROP_no_receiver);
	fx_frame(f, FX_BROADCAST, 1, (struct fx_tag[2]){ C(PCP(3)) }, 100);
	fx_run(f, 1);
	d = fx_delivery(f, 2, 0);
	assert_true(d && d->size == 96 && eth_load16(d->octets + 12) == ETHERTYPE_IPV4);
	d = fx_delivery(f, 4, 0);
	assert_true(d && d->size == 100 && eth_load16(d->octets + 14) == (PCP(3) | 10));
}

/* The MTU does not count the tag, wherever it is; it does count a second one. */
static void test_tag_and_mtu(void **state)
{
	static const struct {
		const char *name;
		port_id from;
		struct fx_tag in[3];
		uint32_t size;
		enum drop_reason why;
	} rows[] = {
		{ "tagged and full", 3, { C(20) }, 1518, DELIVERED },
		{ "tagged and too long", 3, { C(20) }, 1519, DROP_oversize },
		{ "untagged and full", 3, {}, 1514, DELIVERED },
		{ "two tags", 3, { C(20), C(7) }, 1518, DELIVERED },
		{ "two tags, too long", 3, { C(20), C(7) }, 1519, DROP_oversize },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (unsigned beside = 0; beside <= (rows[i].in[0].tpid != 0); beside++) {
			struct frame *frame = fx_frame(f, 88, 3, rows[i].in, rows[i].size);

			if (beside)
				put_beside(f, frame);
			fx_run(f, 3);
			check_row(f, rows[i].name, rows[i].why == DELIVERED ? "0" : "",
				  rows[i].why);
		}
	}
}

/* Owners are those of a VLAN: the same MAC may be another's elsewhere. */
static void test_owners_by_vlan(void **state)
{
	struct fixture *f = *state;

	fx_owner(f, 6, 2, 20); /* MAC 2 is port 2's in VLAN 10, and port 6's in 20 */
	fx_build(f);
	fx_frame(f, 2, 4, (struct fx_tag[2]){ C(10) }, 60);
	fx_run(f, 4);
	check_row(f, "VLAN 10", "2", DELIVERED);
	fx_frame(f, 2, 4, (struct fx_tag[2]){ C(20) }, 60);
	fx_run(f, 4);
	check_row(f, "VLAN 20", "6", DELIVERED);
	fx_frame(f, 77, 2, NULL, 60);
	fx_run(f, 6);
	check_row(f, "source in VLAN 20", "0", DELIVERED);
	/* An entry whose port has left the VLAN opens no way out of it. */
	fx_owner(f, 5, 50, 10);
	fx_build(f);
	fx_frame(f, 50, 1, NULL, 60);
	fx_run(f, 1);
	check_row(f, "owner outside its VLAN", "0", DELIVERED);
}

static void test_passthru_tags(void **state)
{
	static const struct tag_row rows[] = {
		{ "C-tag out", 1, 0, { C(PCP(1) | 7) }, { C(PCP(1) | 7) }, DELIVERED },
		{ "S-tag out", 1, 0, { S(7) }, { S(7) }, DELIVERED },
		{ "S- and C-tag out", 1, 0, { S(7), C(8) }, { S(7), C(8) }, DELIVERED },
		{ "priority tag out", 1, 0, { C(0) }, { C(0) }, DELIVERED },
		{ "C-tag in", 0, 1, { C(PCP(1) | 7) }, { C(PCP(1) | 7) }, DELIVERED },
		{ "native in", 0, 1, {}, {}, DELIVERED },
		{ "S-tag in", 0, 1, { S(7) }, { S(7) }, DELIVERED },
		{ "VID 4095 in", 0, 1, { C(4095) }, { C(4095) }, DELIVERED },
		{ "three tags in", 0, 1, { S(7), C(8), C(9) }, { S(7), C(8), C(9) }, DELIVERED },
	};
	struct fixture *f = *state;

	run_tag_rows(f, rows, ARRAY_SIZE(rows));
	f->port[0].pvid = VID_DEFAULT;
	fx_build(f);
	run_tag_rows(f, rows, ARRAY_SIZE(rows));
}

/* ---- learning on an edge relay ---- */

static unsigned reports(struct fixture *f, struct report *first)
{
	struct report r = { 0 };
	unsigned n = 0;

	while (turn_report_get(f->turn, &r)) {
		if (!n++ && first)
			*first = r;
	}
	return n;
}

/* The control thread learns an address. */
static void learned(struct fixture *f, port_id id, unsigned mac, vid_t vid)
{
	fx_owner(f, id, mac, vid);
	f->owner[f->n_owners - 1].flags = OWNER_LEARNED;
	if (f->port[id].learn_room)
		f->port[id].learn_room--;
}

/* A port without a MAC owns the first source it sends, and no other. */
static void test_first_source(void **state)
{
	static const struct row rows[] = {
		{ "first", 9, 50, OUTSIDE, "0", DELIVERED },
		{ "first again", 9, 50, OUTSIDE, "0", DELIVERED },
		{ "second", 9, 51, OUTSIDE, "", DROP_spoof },
		{ "another's", 9, VEPA_1, OUTSIDE, "", DROP_spoof },
		{ "first once more", 9, 50, FX_BROADCAST, "0", DELIVERED },
	};
	struct fixture *f = *state;
	struct report r = { 0 };

	fx_station(f, 9, FWD_VEPA)->learn_room = 1;
	fx_build(f);
	assert_false(turn_has_reported(f->turn));
	run_rows(f, rows, ARRAY_SIZE(rows));
	assert_true(turn_has_reported(f->turn));
	assert_false(turn_has_reported(f->turn));
	assert_int_equal(reports(f, &r), 1);
	assert_int_equal(r.kind, REPORT_LEARN);
	assert_int_equal(r.port, 9);
	assert_int_equal(r.bridge, 0);
	assert_int_equal(r.vid, VID_DEFAULT);
	assert_true(mac_equal(r.mac, fx_mac(50)));
	learned(f, 9, 50, VID_DEFAULT);
	fx_build(f);
	run_rows(f, rows, ARRAY_SIZE(rows));
	assert_int_equal(reports(f, NULL), 0);
	f->now += 10 * NS_PER_S;
	run_rows(f, rows, ARRAY_SIZE(rows));
	assert_int_equal(reports(f, NULL), 0);
}

/* Sources `first`..`first + n - 1`, each in a frame of its own; how many passed. */
static unsigned send_sources(struct fixture *f, port_id id, unsigned first, unsigned n)
{
	uint64_t before = fx_count(f, 0)->tx_frames;

	for (unsigned i = 0; i < n; i++) {
		fx_frame(f, OUTSIDE, first + i, NULL, 60);
		if (f->n_frames == BURST_MAX || i + 1 == n)
			fx_run(f, id);
	}
	return (unsigned)(fx_count(f, 0)->tx_frames - before);
}

static void test_maclimit(void **state)
{
	struct fixture *f = *state;
	struct view_port *p = &f->port[VEPA_1];

	p->learn_room = 20;
	p->flags |= VIEW_HAS_MACLIMIT;
	fx_build(f);
	/* A hostile guest: 10,000 sources in one view. */
	assert_int_equal(send_sources(f, VEPA_1, 0x10000, 10000), 20);
	assert_int_equal(fx_dropped(f), DROP_maclimit);
	assert_int_equal(reports(f, NULL), 20);
	/* Those that passed go on to pass, the others go on not to. */
	assert_int_equal(send_sources(f, VEPA_1, 0x10000, 20), 20);
	assert_int_equal(send_sources(f, VEPA_1, 0x10014, 20), 0);
	assert_int_equal(send_sources(f, VEPA_1, VEPA_2, 1), 0);
	assert_int_equal(fx_dropped(f), DROP_spoof);
	assert_int_equal(send_sources(f, VEPA_1, VEPA_1, 1), 1);
	/* The view gets to know half of them, then all. */
	for (unsigned i = 0; i < 10; i++)
		learned(f, VEPA_1, 0x10000 + i, VID_DEFAULT);
	fx_build(f);
	assert_int_equal(send_sources(f, VEPA_1, 0x10000, 10000), 20);
	for (unsigned i = 10; i < 20; i++)
		learned(f, VEPA_1, 0x10000 + i, VID_DEFAULT);
	fx_build(f);
	assert_int_equal(p->learn_room, 0);
	assert_int_equal(send_sources(f, VEPA_1, 0x10000, 10000), 20);
}

/* The limit holds when nobody takes the reports, and nobody gets round it with many VLANs. */
static void test_maclimit_without_reports(void **state)
{
	struct fixture *f = *state;
	struct report r = { 0 };

	f->port[VEPA_1].learn_room = 64;
	fx_build(f);
	for (unsigned i = 0; i < 32; i++) { /* the ring has room for 1024 */
		f->now += 10 * NS_PER_S;
		assert_in_range(send_sources(f, VEPA_1, 0x10000 + i * 64, 64), 1, 64);
	}
	f->port[VEPA_1].learn_room = 3;
	f->port[VEPA_1].flags |= VIEW_HAS_MACLIMIT;
	fx_build(f);
	f->now += 10 * NS_PER_S;
	assert_int_equal(send_sources(f, VEPA_1, 0x20000, 1000), 3);
	while (turn_report_get(f->turn, &r))
		;
	/* Then they are told after all. */
	f->now += 10 * NS_PER_S;
	assert_int_equal(send_sources(f, VEPA_1, 0x20000, 3), 3);
	assert_int_equal(reports(f, NULL), 3);
}

static void test_maclimit_many_vlans(void **state)
{
	static struct vlan_set all;
	struct fixture *f = *state;
	uint64_t before;

	for (vid_t v = 1; v <= VID_MAX; v++)
		vlan_set_add(&all, v);
	f->port[VEPA_1].vlans = &all;
	f->port[VEPA_1].flags |= VIEW_TRUNK | VIEW_HAS_MACLIMIT;
	f->port[VEPA_1].learn_room = 1;
	f->port[VEPA_2].learn_room = 1;
	fx_build(f);
	before = fx_count(f, 0)->tx_frames;
	for (unsigned i = 1; i <= 1000; i++) {
		fx_frame(f, OUTSIDE, 0x10000, (struct fx_tag[2]){ C((uint16_t)i) }, 60);
		if (f->n_frames == BURST_MAX || i == 1000)
			fx_run(f, VEPA_1);
	}
	assert_int_equal(fx_count(f, 0)->tx_frames - before, 1000);
	assert_int_equal(reports(f, NULL), 1);
	/* It takes nothing from another port. */
	assert_int_equal(send_sources(f, VEPA_2, 0x30000, 5), 1);
	assert_int_equal(reports(f, NULL), 1);
}

/* A report that came to nothing is made again, once a second. */
static void test_report_again(void **state)
{
	struct fixture *f = *state;

	f->port[VEPA_1].learn_room = 1;
	fx_build(f);
	assert_int_equal(send_sources(f, VEPA_1, 50, 1), 1);
	assert_int_equal(reports(f, NULL), 1);
	assert_int_equal(send_sources(f, VEPA_1, 50, 1), 1);
	assert_int_equal(reports(f, NULL), 0);
	f->now += 3 * NS_PER_S;
	assert_int_equal(send_sources(f, VEPA_1, 50, 1), 1);
	assert_int_equal(reports(f, NULL), 1);
}

static void test_owners_full(void **state)
{
	struct fixture *f = *state;

	f->port[VEPA_1].learn_room = 5;
	while (f->n_owners < MACS_MAX)
		fx_owner(f, PRIVATE_1, 0x40000 + f->n_owners, VID_DEFAULT);
	fx_build(f);
	assert_true(f->view->owners_full);
	assert_int_equal(send_sources(f, VEPA_1, 50, 10), 0);
	assert_int_equal(reports(f, NULL), 0);
	assert_int_equal(send_sources(f, VEPA_1, VEPA_1, 1), 1);
	f->n_owners--;
	fx_build(f);
	assert_int_equal(send_sources(f, VEPA_1, 50, 10), 5);
}

/* A learned source is seen; a provisioned one needs not to be. */
static void test_seen(void **state)
{
	struct fixture *f = *state;
	const struct owners *o;
	unsigned n = 0;

	learned(f, VEPA_1, 50, VID_DEFAULT);
	fx_build(f);
	f->now = 12345 * NS_PER_S + 1;
	send_sources(f, VEPA_1, 50, 1);
	send_sources(f, VEPA_1, VEPA_1, 1);
	o = f->view->owners;
	for (uint32_t s = 0; s <= o->mask; s++) {
		if (!o->seen[s])
			continue;
		n++;
		assert_true(mac_equal(o->slot[s].mac, fx_mac(50)));
		assert_int_equal(o->seen[s], 12346);
	}
	assert_int_equal(n, 1);
}

/* ---- inject ---- */

static void test_inject(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[60] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, BRIDGE_1, 0x80, 0x35 };
	uint64_t before = fx_count(f, BRIDGE_1)->rx_frames;

	turn_inject(f->turn, f->view, BRIDGE_1, octets, sizeof(octets));
	assert_int_equal(f->n_got, 3); /* uplink, BRIDGE_2, HOST */
	turn_inject_wire(f->turn, f->view, BRIDGE_1, octets, sizeof(octets));
	assert_int_equal(f->n_got, 4);
	assert_int_equal(f->got[3].port, UPLINK);
	turn_inject(f->turn, f->view, BRIDGE_1, octets, sizeof(octets));
	assert_int_equal(f->n_got, 7);
	turn_inject(f->turn, f->view, 4000, octets, sizeof(octets));
	assert_int_equal(fx_count(f, BRIDGE_1)->rx_frames, before + 3);
	turn_inject(f->turn, f->view, VEPA_1, octets, sizeof(octets));
	assert_int_equal(fx_count(f, VEPA_1)->drops[DROP_spoof], 1);
	turn_inject(f->turn, f->view, VEPA_1, octets, 3);
	assert_int_equal(fx_count(f, VEPA_1)->drops[DROP_runt], 1);
	fx_run(f, BRIDGE_1);
}

/* What the bridge itself has to say goes out, reserved destination or not, and nowhere else. */
static void test_send(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[60] = { 0x01, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, UPLINK, 0x88, 0xcc };
	uint64_t before = fx_count(f, UPLINK)->tx_frames;

	turn_send(f->turn, f->view, UPLINK, octets, sizeof(octets));
	assert_int_equal(f->n_got, 1);
	assert_int_equal(f->got[0].port, UPLINK);
	assert_int_equal(f->got[0].size, sizeof(octets));
	assert_int_equal(fx_count(f, UPLINK)->tx_frames, before + 1);
	assert_int_equal(fx_count(f, UPLINK)->rx_frames, 0);
	turn_send(f->turn, f->view, 4000, octets, sizeof(octets));
	assert_int_equal(f->n_got, 1);
	fx_run(f, UPLINK);
}

/* Frames for the bridge itself go up, without a priority tag, if the port has an agent. */
static void test_punt(void **state)
{
	static const struct {
		uint8_t scope;
		const char *type; /* with the tag before it */
		size_t size;
		bool is_punted;
	} row[] = {
		{ 0x0, "88cc", 60, true },
		{ 0x3, "88cc", 60, true },
		{ 0xe, "88cc", 60, true },
		{ 0x0, "8940", 1514, true },
		{ 0x0, "88b7", 60, true },
		{ 0x0,
		  "8100e000"
		  "88cc",
		  64, true },
		{ 0x0,
		  "81000001"
		  "88cc",
		  64, false },
		{ 0x0,
		  "88a80000"
		  "88cc",
		  64, false },
		{ 0x2, "8809", 60, false }, /* LACP: nobody listens */
		{ 0xe, "88f7", 60, false },
	};
	struct fixture *f = *state;
	struct punt p;

	assert_false(turn_punt_get(f->turn, &p));
	for (unsigned punts = 0; punts < 2; punts++) {
		f->port[UPLINK].flags |= punts ? VIEW_PUNTS : 0;
		fx_build(f);
		for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
			uint8_t octets[1514] = { 0x01, 0x80, 0xc2, 0, 0, row[i].scope, 2 };
			uint64_t drops = fx_count(f, UPLINK)->drops[DROP_control];
			size_t n = strlen(row[i].type) / 2;

			for (size_t k = 0; k < n; k++)
				sscanf(row[i].type + 2 * k, "%2hhx", &octets[12 + k]);
			octets[12 + n] = 0x77;
			fx_octets(f, octets, (uint32_t)row[i].size);
			fx_run(f, UPLINK);
			assert_int_equal(fx_count(f, UPLINK)->drops[DROP_control] - drops,
					 !(punts && row[i].is_punted));
			if (!(punts && row[i].is_punted)) {
				assert_false(turn_punt_get(f->turn, &p));
				continue;
			}
			assert_true(turn_has_reported(f->turn));
			assert_true(turn_punt_get(f->turn, &p));
			assert_int_equal(p.port, UPLINK);
			assert_int_equal(p.size, row[i].size - (n - 2));
			assert_memory_equal(p.octets + 12, octets + 12 + n - 2, p.size - 12);
		}
	}
}

/* Does LLDP that came to the port go up, and to nobody else? */
static bool goes_up(struct fixture *f, port_id id, uint32_t size)
{
	uint8_t octets[PUNT_SIZE_MAX + 1] = { 0x01, 0x80, 0xc2, [12] = 0x88, [13] = 0xcc };
	struct mac src = fx_mac(id ? id : OUTSIDE);
	uint64_t before = fx_count(f, id)->punted;
	struct punt p;
	bool is_up;

	memcpy(octets + sizeof(src), &src, sizeof(src));
	fx_octets(f, octets, size);
	fx_run(f, id);
	is_up = turn_punt_get(f->turn, &p);
	assert_int_equal(fx_count(f, id)->punted - before, is_up);
	if (is_up) {
		assert_int_equal(p.port, id);
		assert_int_equal(p.size, size);
		check_row(f, "punted", "", DELIVERED);
	}
	return is_up;
}

/* From the wire, by whatever uplink, and never from a guest. */
static void test_punt_edge(void **state)
{
	enum { BACKUP = 9 };
	struct fixture *f = *state;

	f->port[UPLINK].flags |= VIEW_PUNTS;
	f->port[UPLINK].size_max = 9014;
	f->port[BRIDGE_1].flags |= VIEW_PUNTS;
	f->port[VEPA_1].flags |= VIEW_PUNTS;
	f->port[VEPA_1].reserved = 1;
	f->port[VEPA_2].reserved = 1; /* the agent has precedence */
	fx_uplink(f, BACKUP)->flags |= VIEW_BACKUP | VIEW_PUNTS;
	fx_build(f);
	assert_true(goes_up(f, UPLINK, 60));
	assert_true(goes_up(f, BACKUP, 60));
	assert_true(goes_up(f, UPLINK, PUNT_SIZE_MAX));
	assert_false(goes_up(f, UPLINK, PUNT_SIZE_MAX + 1));
	check_row(f, "too long", "", DROP_control);
	assert_false(goes_up(f, BRIDGE_1, 60));
	check_row(f, "guest", "", DROP_reserved);
	assert_false(goes_up(f, VEPA_1, 60));
	check_row(f, "guest that may", "0", DELIVERED);
}

/* A passthru port gets what no agent of the uplink wants. */
static void test_punt_passthru(void **state)
{
	struct fixture *f = *state;

	assert_false(goes_up(f, 0, 60));
	check_row(f, "no agent", "1", DELIVERED);
	f->port[0].flags |= VIEW_PUNTS;
	f->port[1].flags |= VIEW_PUNTS;
	fx_build(f);
	assert_true(goes_up(f, 0, 60));
	assert_false(goes_up(f, 1, 60));
	check_row(f, "from its guest", "0", DELIVERED);
	fx_frame(f, FX_RESERVED, OUTSIDE, NULL, 60);
	fx_run(f, 0);
	check_row(f, "not for an agent", "1", DELIVERED);
}

static void test_punt_relay(void **state)
{
	struct fixture *f = *state;

	for (port_id i = 0; i < 4; i++)
		f->port[i].flags |= VIEW_PUNTS;
	f->port[1].flags |= VIEW_STANDBY;
	fx_vdp(f, 3, VID_NONE);
	fx_build(f);
	assert_true(goes_up(f, 0, 60));
	assert_false(goes_up(f, 1, 60));
	check_row(f, "standby", "", DROP_standby);
	assert_true(goes_up(f, 2, 60));
	assert_true(goes_up(f, 3, 60)); /* how else would it ask? */
	assert_false(goes_up(f, 4, 60));
	check_row(f, "no agent", "", DROP_control);
}

/* A flood is cut to what an agent can bear; the next second begins anew. */
/* LLDP or ECP from source `src`, so many times; how many go up. */
static unsigned punts_of(struct fixture *f, uint8_t ethertype_low, unsigned src, unsigned times)
{
	uint8_t octets[60] = { 0x01,
			       0x80,
			       0xc2,
			       [6] = 2,
			       [10] = (uint8_t)(src >> 8),
			       [11] = (uint8_t)src,
			       [12] = ethertype_low == 0x40 ? 0x89 : 0x88,
			       [13] = ethertype_low };
	struct punt p;
	unsigned n = 0;

	while (times--) {
		fx_octets(f, octets, sizeof(octets));
		fx_run(f, UPLINK);
		n += turn_punt_get(f->turn, &p);
	}
	return n;
}

/* Who floods has a share, not all: in most periods others are heard, and no one is shut out. */
static void test_punt_flood(void **state)
{
	enum { PERIODS = 200, SHARES = 64, ALL = 512 };
	struct fixture *f = *state;
	unsigned other = 0, ecp = 0, all = 0;

	f->port[UPLINK].flags |= VIEW_PUNTS;
	fx_build(f);
	for (unsigned i = 0; i < PERIODS; i++) {
		f->now += NS_PER_S / 4;
		assert_int_equal(punts_of(f, 0xcc, 1, 200), SHARES);
		other += punts_of(f, 0xcc, 2, 1);
		ecp += punts_of(f, 0x40, 1, 1);
	}
	assert_in_range(other, PERIODS * 9 / 10, PERIODS);
	assert_in_range(ecp, PERIODS * 9 / 10, PERIODS);
	f->now += NS_PER_S / 4;
	for (unsigned i = 0; i < 3000; i++)
		all += punts_of(f, 0xcc, i, 1);
	assert_int_equal(all, ALL);
	all += PERIODS * SHARES + other + ecp;
	assert_int_equal(fx_count(f, UPLINK)->punted, all);
	assert_int_equal(fx_count(f, UPLINK)->drops[DROP_control], PERIODS * 202 + 3000 - all);
	for (unsigned i = 0; i < 5; i++) {
		f->now += NS_PER_S / 4;
		for (unsigned k = 0; k < 200; k++) { /* nobody takes them */
			fx_octets(f, (uint8_t[60]){ 1, 0x80, 0xc2, [12] = 0x88, [13] = 0xcc }, 60);
			fx_run(f, UPLINK);
		}
	}
	assert_int_equal(fx_count(f, UPLINK)->punted, all + PUNTS_MAX * 3 / 4);
}

/* The peer of the agents is heard through it, and may not say without end, either. */
static void test_punt_peer(void **state)
{
	struct fixture *f = *state;
	uint8_t octets[60] = { 1, 0x80, 0xc2, [12] = 0x88, [13] = 0xcc };
	unsigned n = 0;

	f->port[UPLINK].flags |= VIEW_PUNTS;
	f->peer[UPLINK] = (struct mac){ { 2, [4] = 0x77 } };
	fx_build(f);
	f->now += NS_PER_S;
	for (unsigned i = 0; i < 3000; i++)
		n += punts_of(f, 0xcc, i, 1);
	assert_int_equal(n, 512);
	assert_int_equal(punts_of(f, 0xcc, 0x7700, 10), 10);
	assert_int_equal(punts_of(f, 0x40, 0x7700, 100), 22);
	f->now += NS_PER_S / 4;
	assert_int_equal(punts_of(f, 0xcc, 0x7700, 200), 64 + 32);
	n = (unsigned)fx_count(f, UPLINK)->punted;
	for (unsigned i = 0; i < 3000; i++) { /* nobody takes them: a quarter is the peer's */
		f->now += i % 10 ? 0 : NS_PER_S / 4;
		octets[7] = (uint8_t)i;
		fx_octets(f, octets, sizeof(octets));
		fx_run(f, UPLINK);
	}
	assert_int_equal(fx_count(f, UPLINK)->punted - n, PUNTS_MAX * 3 / 4);
	memcpy(octets + 6, f->peer[UPLINK].b, 6);
	fx_octets(f, octets, sizeof(octets));
	fx_run(f, UPLINK);
	assert_int_equal(fx_count(f, UPLINK)->punted - n, PUNTS_MAX * 3 / 4 + 1);
}

/* ---- the learning relay ---- */

/* 0, 1: access 1   2: access 1, reflective relay   3: trunk 1 native, 20   4: access 20 */
static int setup_relay(void **state)
{
	static struct vlan_set trunk;
	struct fixture *f = fx_new();

	vlan_set_add(&trunk, 20);
	fx_bridge(f, true);
	fx_relay_port(f, 0);
	fx_relay_port(f, 1);
	fx_relay_port(f, 2)->flags |= VIEW_REFLECT;
	fx_relay_port(f, 3)->flags |= VIEW_TRUNK;
	f->port[3].vlans = &trunk;
	fx_relay_port(f, 4)->pvid = 20;
	fx_owner(f, 0, 10, 1);
	fx_owner(f, 1, 11, 1);
	fx_owner(f, 2, 12, 1);
	fx_owner(f, 2, 13, 1);
	fx_owner(f, 4, 14, 20);
	fx_build(f);
	*state = f;
	return 0;
}

static void test_relay(void **state)
{
	static const struct row rows[] = {
		{ "known", 0, 10, 11, "1", DELIVERED },
		{ "same port", 0, 10, 10, "", DROP_same_port },
		{ "same port, reflected", 2, 12, 13, "2", DELIVERED },
		{ "reflected to itself", 2, 12, 12, "2", DELIVERED },
		{ "to another from a reflective one", 2, 12, 10, "0", DELIVERED },
		{ "unknown", 0, 10, 99, "1 2 3", DELIVERED },
		{ "broadcast", 0, 10, FX_BROADCAST, "1 2 3", DELIVERED },
		{ "broadcast, reflected", 2, 12, FX_BROADCAST, "0 1 2 3", DELIVERED },
		{ "unknown, reflected", 2, 12, 99, "0 1 2 3", DELIVERED },
		{ "known in another VLAN only", 0, 10, 14, "1 2 3", DELIVERED },
		{ "LLDP", 0, 10, FX_RESERVED + 14, "", DROP_control },
		{ "LLDP, reflected", 2, 12, FX_RESERVED, "", DROP_control },
		{ "bad source", 0, 0, 11, "", DROP_bad_source },
		{ "alone in its VLAN but for a trunk", 4, 14, FX_BROADCAST, "3", DELIVERED },
	};
	struct fixture *f = *state;

	run_rows(f, rows, ARRAY_SIZE(rows));
	fx_frame(f, FX_BROADCAST, 14, (struct fx_tag[2]){ C(20) }, 60);
	fx_run(f, 3);
	check_row(f, "VLAN 20 from the trunk", "4", DELIVERED);
	fx_frame(f, 10, 12, (struct fx_tag[2]){ C(20) }, 60);
	fx_run(f, 3);
	check_row(f, "VLAN 20 is learned apart", "4", DELIVERED);
	f->port[3].flags |= VIEW_STANDBY;
	fx_build(f);
	fx_frame(f, FX_BROADCAST, 14, NULL, 60);
	fx_run(f, 4);
	check_row(f, "nobody left", "", DROP_no_receiver);
}

/* Port 2, which reflects, is under VDP control: 12 and 13 are associated there in VLAN 1. */
static void test_relay_vdp(void **state)
{
	static const struct row rows[] = {
		{ "to an associated one", 0, 10, 12, "2", DELIVERED },
		{ "unknown stays out", 0, 10, 99, "1 3", DELIVERED },
		{ "group of the VLAN", 0, 10, FX_BROADCAST, "1 2 3", DELIVERED },
		{ "from an associated one", 2, 12, 10, "0", DELIVERED },
		{ "between them", 2, 12, 13, "2", DELIVERED },
		{ "unknown, not reflected", 2, 12, 99, "0 1 3", DELIVERED },
		{ "from one that is not", 2, 50, 10, "", DROP_vsi },
		{ "group from one that is not", 2, 50, FX_BROADCAST, "", DROP_vsi },
		{ "from one that is elsewhere", 2, 10, 11, "", DROP_vsi },
	};
	static const struct row any[] = {
		{ "any: unknown gets in", 0, 10, 99, "1 2 3", DELIVERED },
		{ "any: from anybody", 2, 50, 10, "0", DELIVERED },
		{ "any: unknown, reflected", 2, 50, 99, "0 1 2 3", DELIVERED },
	};
	struct fixture *f = *state;

	fx_vdp(f, 2, VID_NONE);
	fx_build(f);
	run_rows(f, rows, ARRAY_SIZE(rows));
	assert_int_equal(reports(f, NULL), 0);
	f->port[2].pvid = VID_NONE; /* no VSI stands */
	fx_build(f);
	fx_frame(f, 10, 12, NULL, 60);
	fx_run(f, 2);
	check_row(f, "no VSI", "", DROP_vsi);
	fx_frame(f, FX_BROADCAST, 10, NULL, 60);
	fx_run(f, 0);
	check_row(f, "no VSI: nor do groups", "1 3", DELIVERED);
	f->port[2].pvid = VID_DEFAULT;
	fx_vdp(f, 2, VID_DEFAULT);
	fx_build(f);
	run_rows(f, any, ARRAY_SIZE(any));
	fx_build(f);
	fx_frame(f, 99, 10, (struct fx_tag[2]){ C(20) }, 60);
	fx_run(f, 3);
	check_row(f, "any, in that VLAN only", "4", DELIVERED);
	f->port[2].flags &= (uint16_t)~VIEW_REFLECT;
	fx_build(f);
	fx_frame(f, 99, 50, NULL, 60);
	fx_run(f, 2);
	check_row(f, "any, without reflective relay", "0 1 3", DELIVERED);
}

/* The same, and 12 is of a private type: then every address of the VLAN, but for 13. */
static void test_relay_private(void **state)
{
	static const struct row rows[] = {
		{ "from it, to one beside it", 2, 12, 13, "", DROP_private },
		{ "to it, from one beside it", 2, 13, 12, "", DROP_private },
		{ "group from it", 2, 12, FX_BROADCAST, "0 1 3", DELIVERED },
		{ "group from one beside it", 2, 13, FX_BROADCAST, "0 1 2 3", DELIVERED },
		{ "to another port", 2, 12, 10, "0", DELIVERED },
		{ "from another port", 0, 10, 12, "2", DELIVERED },
	};
	static const struct row any[] = {
		{ "from an address that nobody knows", 2, 50, 13, "", DROP_private },
		{ "group from there", 2, 51, FX_BROADCAST, "0 1 3", DELIVERED },
		{ "unknown from there", 2, 52, 99, "0 1 3", DELIVERED },
		{ "from one with an entry of its own", 2, 13, 13, "2", DELIVERED },
		{ "group from that one", 2, 13, FX_BROADCAST, "0 1 2 3", DELIVERED },
		{ "from one that is another port's", 2, 10, 13, "", DROP_private },
	};
	struct fixture *f = *state;

	assert_true(mac_equal(f->owner[2].mac, fx_mac(12)));
	f->owner[2].flags |= OWNER_PRIVATE;
	fx_vdp(f, 2, VID_NONE);
	fx_build(f);
	run_rows(f, rows, ARRAY_SIZE(rows));
	f->owner[2].flags = OWNER_LEARNED;
	fx_vdp(f, 2, VID_DEFAULT);
	f->any[0].flags = OWNER_PRIVATE;
	fx_build(f);
	run_rows(f, any, ARRAY_SIZE(any));
	fx_frame(f, 12, 13, NULL, 60);
	fx_run(f, 2);
	check_row(f, "to a learned one", "", DROP_private);
}

static void test_relay_learns(void **state)
{
	struct fixture *f = *state;
	struct report r = { 0 };

	reports(f, NULL);
	fx_frame(f, 99, 50, NULL, 60);
	fx_frame(f, 98, 50, NULL, 60);
	fx_run(f, 0);
	assert_int_equal(reports(f, &r), 1);
	assert_int_equal(r.port, 0);
	assert_int_equal(r.vid, 1);
	assert_true(mac_equal(r.mac, fx_mac(50)));
	/* Known, and on its port: nothing to tell. On another: it has moved. */
	fx_frame(f, 99, 11, NULL, 60);
	fx_run(f, 1);
	assert_int_equal(reports(f, NULL), 0);
	fx_frame(f, 99, 11, NULL, 60);
	fx_run(f, 0);
	check_row(f, "from where it was not", "1 2 3", DELIVERED);
	assert_int_equal(reports(f, &r), 1);
	assert_int_equal(r.port, 0);
	/* Until the view knows, it is told no more, though the view has it elsewhere. */
	fx_build(f);
	fx_frame(f, 99, 11, NULL, 60);
	fx_run(f, 0);
	assert_int_equal(reports(f, NULL), 0);
	/* In another VLAN it is another address. */
	fx_frame(f, 99, 50, (struct fx_tag[2]){ C(20) }, 60);
	fx_run(f, 3);
	assert_int_equal(reports(f, &r), 1);
	assert_int_equal(r.vid, 20);
	fx_frame(f, 99, 50, NULL, 60);
	fx_run(f, 3);
	assert_int_equal(reports(f, &r), 1);
	assert_int_equal(r.vid, 1);
	/* No room: relayed all the same, but not learned. */
	f->port[0].learn_room = 0;
	fx_build(f);
	fx_frame(f, 99, 60, NULL, 60);
	fx_run(f, 0);
	check_row(f, "beyond the limit", "1 2 3", DELIVERED);
	assert_int_equal(reports(f, NULL), 0);
}

/* ---- counters ---- */

static void test_counters(void **state)
{
	struct fixture *f = *state;
	const struct port_counters *c = fx_count(f, BRIDGE_1);

	fx_frame(f, FX_BROADCAST, BRIDGE_1, NULL, 100); /* to the uplink and two ports */
	fx_frame(f, OUTSIDE, BRIDGE_1, NULL, 200);
	fx_frame(f, BRIDGE_2, BRIDGE_1, NULL, 300);
	fx_frame(f, BRIDGE_1, BRIDGE_1, NULL, 400);
	fx_run(f, BRIDGE_1);
	assert_int_equal(c->rx_frames, 4);
	assert_int_equal(c->rx_octets, 1000);
	assert_int_equal(c->rx_group, 1);
	assert_int_equal(c->replicated, 2);
	assert_int_equal(c->to_wire, 2);
	assert_int_equal(c->drops[DROP_self], 1);
	assert_int_equal(fx_count(f, UPLINK)->tx_frames, 2);
	assert_int_equal(fx_count(f, UPLINK)->tx_octets, 300);
	assert_int_equal(fx_count(f, BRIDGE_2)->tx_octets, 400);
}

#define EDGE(t) cmocka_unit_test_setup_teardown(t, setup_edge, teardown)
#define TAGS(t) cmocka_unit_test_setup_teardown(t, setup_tags, teardown)
#define PASS(t) cmocka_unit_test_setup_teardown(t, setup_passthru, teardown)
#define RELAY(t) cmocka_unit_test_setup_teardown(t, setup_relay, teardown)

/* ---- frames that the kind throws away ---- */

static struct {
	const struct port_ops *ops; /* of the port below */
	unsigned discards, n_done;
} discarder;

static unsigned discarder_rx(struct port *p, struct burst *b, unsigned max)
{
	assert_int_equal(b->discarded, 0);
	assert_int_equal((uintptr_t)b->head % 64, 0);
	b->discarded = discarder.discards;
	return discarder.ops->rx(p, b, max);
}

static void discarder_done(struct port *p)
{
	discarder.n_done++;
}

/* Counted as received and dropped, whether the turn has frames besides or not. */
static void test_discarded(void **state)
{
	struct fixture *f = *state;
	struct port *p = f->port[BRIDGE_1].port;
	const struct port_counters *c = fx_count(f, BRIDGE_1);
	struct port_ops ops = *p->ops;

	discarder.ops = p->ops;
	discarder.n_done = 0;
	ops.rx = discarder_rx;
	ops.rx_done = discarder_done;
	p->ops = &ops;

	discarder.discards = 5;
	assert_int_equal(turn_run(f->turn, f->view, BRIDGE_1, f->now), 5);
	assert_int_equal(discarder.n_done, 1);
	fx_frame(f, BRIDGE_2, BRIDGE_1, NULL, 100);
	fx_frame(f, BRIDGE_2, BRIDGE_1, NULL, 100);
	memory_port_feed(p, f->frame, f->n_frames);
	assert_int_equal(turn_run(f->turn, f->view, BRIDGE_1, f->now), 7);
	assert_int_equal(discarder.n_done, 2);
	discarder.discards = 0;
	assert_int_equal(turn_run(f->turn, f->view, BRIDGE_1, f->now), 0);
	assert_int_equal(discarder.n_done, 2);
	assert_int_equal(c->rx_frames, 12);
	assert_int_equal(c->rx_octets, 200);
	assert_int_equal(c->drops[DROP_disabled], 10);
	assert_int_equal(fx_count(f, BRIDGE_2)->tx_frames, 2);
	p->ops = discarder.ops;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		EDGE(test_from_stations),
		EDGE(test_from_uplink),
		EDGE(test_backup),
		EDGE(test_checks),
		EDGE(test_runts),
		EDGE(test_guard_off),
		EDGE(test_reserved_mask),
		EDGE(test_reserved_and_vlans),
		EDGE(test_promisc),
		EDGE(test_source_lists),
		EDGE(test_standby),
		EDGE(test_gated),
		EDGE(test_no_carrier),
		EDGE(test_host),
		EDGE(test_two_relays),
		PASS(test_passthru_rows),
		TAGS(test_tags),
		TAGS(test_svlan),
		TAGS(test_tag_floods),
		TAGS(test_tag_and_mtu),
		TAGS(test_owners_by_vlan),
		PASS(test_passthru_tags),
		EDGE(test_first_source),
		EDGE(test_maclimit),
		EDGE(test_maclimit_without_reports),
		EDGE(test_maclimit_many_vlans),
		EDGE(test_report_again),
		EDGE(test_owners_full),
		EDGE(test_seen),
		EDGE(test_inject),
		EDGE(test_send),
		EDGE(test_punt),
		EDGE(test_punt_edge),
		PASS(test_punt_passthru),
		RELAY(test_punt_relay),
		EDGE(test_punt_flood),
		EDGE(test_punt_peer),
		RELAY(test_relay),
		RELAY(test_relay_vdp),
		RELAY(test_relay_private),
		RELAY(test_relay_learns),
		EDGE(test_counters),
		EDGE(test_discarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
