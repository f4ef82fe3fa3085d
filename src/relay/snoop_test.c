// SPDX-License-Identifier: Apache-2.0
/*
 * Snooping in a turn: who gets group frames, row by row as in docs/forwarding.md; what is reported
 * of what is said; and what becomes of a port that says more than can be taken in.
 */
#include "turn_fixture.h"

#include <stdio.h>
#include <string.h>

#include "csum.h"
#include "groups.h"
#include "mcast.h"
#include "snoop.h"

/* The edge relay: uplink, stations; and what they want. Ports of the learning relay from R1. */
enum { UP, VEPA, IDLE, BRIDGE, QUIET, PRIVATE, NOSY, TRUNK, R1, R2, R3, R4, PORTS };

/* Kinds of frames, to STREAM + 1 if IPv4, to 33:33:00:01:00:01 if IPv6. */
enum kind {
	DATA,	     /* to STREAM + 1, which some want */
	UNWANTED,    /* to STREAM + 9 */
	DATA6,	     /* to ff0e::1:1, which some want */
	UNWANTED6,   /* to ff0e::9:9 */
	LINK6,	     /* to ff02::1:1, an address of which somebody wants another group */
	LINK6_KNOWN, /* to ff02::5:5, which some want */
	MDNS,	     /* 224.0.0.251 */
	ALL_NODES6,  /* ff02::1 */
	NOT_IP,	     /* to STREAM + 9 */
	BROADCAST,
	REPORT,	   /* IGMPv2 report of STREAM + 1 */
	REPORT3,   /* IGMPv3 report, to 224.0.0.22 */
	QUERY,	   /* general */
	BAD_QUERY, /* its checksum is wrong */
};

/* ---- frames ---- */

static void put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/* IGMP or UDP in IPv4; an IGMP payload of `size` octets, checksummed. */
static uint32_t make_ipv4(uint8_t *o, const uint8_t dst[4], const uint8_t *igmp, uint32_t size)
{
	uint8_t *ip = o + 14;

	memcpy(o, (const uint8_t[]){ 1, 0, 0x5e, dst[1] & 0x7f, dst[2], dst[3] }, 6);
	put16(o + 12, ETHERTYPE_IPV4);
	memset(ip, 0, 24);
	ip[0] = 0x46;
	put16(ip + 2, 24 + size);
	ip[8] = 1;
	ip[9] = igmp ? 2 : 17;
	memcpy(ip + 12, (const uint8_t[]){ 10, 0, 0, 1 }, 4);
	memcpy(ip + 16, dst, 4);
	ip[20] = 148;
	ip[21] = 4;
	put16(ip + 10, csum_finish(csum_add(ip, 24, 0)));
	memset(ip + 24, 0, size);
	if (igmp) {
		memcpy(ip + 24, igmp, size);
		put16(ip + 26, csum_finish(csum_add(ip + 24, size, 0)));
	}
	return 38 + size;
}

/* UDP to ff0S::HIGH:LOW */
static uint32_t make_ipv6(uint8_t *o, uint8_t scope, uint8_t high, uint8_t low)
{
	memcpy(o, (const uint8_t[]){ 0x33, 0x33, 0, high, 0, low }, 6);
	put16(o + 12, ETHERTYPE_IPV6);
	memset(o + 14, 0, 60);
	o[14] = 0x60;
	put16(o + 18, 20);
	o[20] = 17;
	o[38] = 0xff;
	o[39] = scope;
	o[51] = high;
	o[53] = low;
	return 74;
}

static uint32_t make(uint8_t *o, enum kind kind)
{
	static const uint8_t query[8] = { 0x11, 100 }, report[8] = { 0x16, 0, 0, 0, 239, 1, 1, 1 };
	static const uint8_t report3[16] = { 0x22, [7] = 1, 4, [12] = 239, 1, 1, 2 };
	const uint8_t to[] = { 239, 1, 1, kind == UNWANTED || kind == NOT_IP ? 9 : 1 };

	switch (kind) {
	case DATA:
	case UNWANTED:
	case NOT_IP:
		make_ipv4(o, to, NULL, 22);
		if (kind == NOT_IP)
			put16(o + 12, 0x88b5);
		return 60;
	case DATA6:
		return make_ipv6(o, 0xe, 1, 1);
	case UNWANTED6:
		return make_ipv6(o, 0xe, 9, 9);
	case LINK6:
		return make_ipv6(o, 2, 1, 1);
	case LINK6_KNOWN:
		return make_ipv6(o, 2, 5, 5);
	case MDNS:
		return make_ipv4(o, (const uint8_t[]){ 224, 0, 0, 251 }, NULL, 22);
	case ALL_NODES6:
		return make_ipv6(o, 2, 0, 1);
	case BROADCAST:
		make_ipv4(o, to, NULL, 22);
		memset(o, 0xff, 6);
		return 60;
	case REPORT:
		return make_ipv4(o, to, report, sizeof(report));
	case REPORT3:
		return make_ipv4(o, (const uint8_t[]){ 224, 0, 0, 22 }, report3, sizeof(report3));
	case QUERY:
	case BAD_QUERY:
		make_ipv4(o, (const uint8_t[]){ 224, 0, 0, 1 }, query, sizeof(query));
		o[14 + 24 + 2] ^= kind == BAD_QUERY;
		return 46;
	}
	return 0;
}

/* Queue a frame of the port's own source; from the uplink, of nobody's. */
static void queue(struct fixture *f, port_id from, enum kind kind)
{
	uint8_t o[128];
	uint32_t size = make(o, kind);

	memcpy(o + 6, fx_mac(from == UP ? 100 : from + 1u).b, 6);
	fx_octets(f, o, size);
}

/* ---- the bridges ---- */

/* What the view knows, besides who wants what. */
enum { FILTER = 1, ROUTERS = 2, DOUBT = 4, REFLECT = 8, NO_WIRE = 16 };

static void want(struct fixture *f, port_id id)
{
	const struct mac stream6 = { { 0x33, 0x33, 0, 1, 0, 1 } };
	const struct mac link6 = { { 0x33, 0x33, 0, 5, 0, 5 } };

	fx_group(f, id, 1, fx_mac(FX_STREAM + 1));
	fx_group(f, id, 1, group_key(stream6, false));
	fx_group(f, id, 1, group_key(link6, true));
}

static struct fixture *world(unsigned what)
{
	static const enum fwd_mode modes[] = {
		[VEPA] = FWD_VEPA,    [IDLE] = FWD_VEPA,       [BRIDGE] = FWD_BRIDGE,
		[QUIET] = FWD_BRIDGE, [PRIVATE] = FWD_PRIVATE, [NOSY] = FWD_VEPA,
		[TRUNK] = FWD_VEPA
	};
	static const port_id members[] = { VEPA, BRIDGE, PRIVATE, R1, R2 };
	struct fixture *f = fx_new();

	fx_bridge(f, false);
	fx_uplink(f, UP);
	for (port_id id = VEPA; id <= TRUNK; id++)
		fx_station(f, id, modes[id]);
	f->port[TRUNK].pvid = 10; /* in another VLAN than all others */
	if (what & NO_WIRE)
		f->port[UP].flags = (uint16_t)(f->port[UP].flags & ~(unsigned)VIEW_UP);
	fx_bridge(f, true);
	for (port_id id = R1; id <= R4; id++)
		fx_relay_port(f, id)->flags |= what & REFLECT && id == R1 ? VIEW_REFLECT : 0;
	for (port_id id = VEPA; id < PORTS; id++)
		fx_owner(f, id, id + 1u, f->port[id].pvid);
	f->snoops[0] = f->snoops[1] = true;
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		want(f, members[i]);
	for (int is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
		if (what & FILTER) {
			fx_group(f, UP, 1, group_mark(GROUP_MARK_FILTER, is_ipv6));
			fx_group(f, R4, 1, group_mark(GROUP_MARK_FILTER, is_ipv6));
		}
		if (what & ROUTERS) {
			fx_group(f, IDLE, 1, group_mark(GROUP_MARK_ROUTER, is_ipv6));
			fx_group(f, R4, 1, group_mark(GROUP_MARK_ROUTER, is_ipv6));
		}
	}
	if (what & DOUBT) {
		fx_group(f, NOSY, VID_NONE, group_mark(GROUP_MARK_ALL, false));
		fx_group(f, TRUNK, VID_NONE, group_mark(GROUP_MARK_ALL, false));
		fx_group(f, R3, VID_NONE, group_mark(GROUP_MARK_ALL, false));
	}
	fx_build(f);
	return f;
}

/* ---- rows ---- */

enum { NOTHING = DROP_REASONS_N };

#define ALL_STATIONS "1 2 3 4 5 6"

static const struct row {
	const char *name;
	unsigned what;
	port_id from;
	enum kind kind;
	const char *to;
	int reason;
} rows[] = {
	{ "no querier: all", 0, UP, DATA, ALL_STATIONS, NOTHING },
	{ "no querier, not wanted: all", 0, UP, UNWANTED, ALL_STATIONS, NOTHING },
	{ "no querier, IPv6: all", 0, UP, UNWANTED6, ALL_STATIONS, NOTHING },
	{ "members", FILTER, UP, DATA, "1 3 5", NOTHING },
	{ "members, IPv6", FILTER, UP, DATA6, "1 3 5", NOTHING },
	{ "nobody wants it", FILTER, UP, UNWANTED, "", DROP_group },
	{ "nobody wants it, IPv6", FILTER, UP, UNWANTED6, "", DROP_group },
	{ "of the link, not known: all", FILTER, UP, LINK6, ALL_STATIONS, NOTHING },
	{ "of the link, known: members", FILTER, UP, LINK6_KNOWN, "1 3 5", NOTHING },
	{ "224.0.0.0/24: all", FILTER, UP, MDNS, ALL_STATIONS, NOTHING },
	{ "ff02::1: all", FILTER, UP, ALL_NODES6, ALL_STATIONS, NOTHING },
	{ "not IP: all", FILTER, UP, NOT_IP, ALL_STATIONS, NOTHING },
	{ "broadcast: all", FILTER, UP, BROADCAST, ALL_STATIONS, NOTHING },
	{ "a router gets all groups", FILTER | ROUTERS, UP, UNWANTED, "2", NOTHING },
	{ "members and a router", FILTER | ROUTERS, UP, DATA, "1 2 3 5", NOTHING },
	{ "a doubtful port gets all groups of its VLAN", FILTER | DOUBT, UP, UNWANTED, "6",
	  NOTHING },
	{ "the wire gets all groups", FILTER, IDLE, UNWANTED, "0", NOTHING },
	{ "bridge mode: members and the wire", FILTER, QUIET, DATA, "0 3", NOTHING },
	{ "bridge mode: the sender is a member", FILTER, BRIDGE, DATA, "0", NOTHING },
	{ "bridge mode, nobody wants it: the wire", FILTER, BRIDGE, UNWANTED, "0", NOTHING },
	{ "bridge mode, without a wire", FILTER | NO_WIRE, QUIET, DATA, "3", NOTHING },
	{ "bridge mode, nobody and no wire", FILTER | NO_WIRE, QUIET, UNWANTED, "", DROP_group },
	{ "vepa without a wire", FILTER | NO_WIRE, IDLE, DATA, "", DROP_no_carrier },
	/* what is said */
	{ "report: the wire", 0, QUIET, REPORT, "0", NOTHING },
	{ "report: the wire, and a router", ROUTERS, QUIET, REPORT, "0", NOTHING },
	{ "IGMPv3 report: the wire", FILTER, QUIET, REPORT3, "0", NOTHING },
	{ "report from the wire: nobody", 0, UP, REPORT, "", DROP_group },
	{ "report from the wire: a router", FILTER | ROUTERS, UP, REPORT, "2", NOTHING },
	{ "query: all", FILTER, UP, QUERY, ALL_STATIONS, NOTHING },
	{ "query, malformed: as its address says", FILTER, UP, BAD_QUERY, ALL_STATIONS, NOTHING },
	/* learning relay */
	{ "relay, no querier: all", 0, R4, UNWANTED, "8 9 10", NOTHING },
	{ "relay: members", FILTER, R4, DATA, "8 9", NOTHING },
	{ "relay: members but the sender", FILTER, R1, DATA, "9", NOTHING },
	{ "relay: reflected to a member", FILTER | REFLECT, R1, DATA, "8 9", NOTHING },
	{ "relay: reflected, but not wanted", FILTER | REFLECT, R1, UNWANTED, "", DROP_group },
	{ "relay: nobody wants it: routers", FILTER | ROUTERS, R1, UNWANTED, "11", NOTHING },
	{ "relay: a doubtful port", FILTER | DOUBT, R1, UNWANTED, "10", NOTHING },
	{ "relay: report, no router known: all", 0, R1, REPORT, "9 10 11", NOTHING },
	{ "relay: report: routers", FILTER | ROUTERS, R1, REPORT, "11", NOTHING },
	{ "relay: report of the router's port", ROUTERS, R4, REPORT, "", DROP_group },
	{ "relay: query: all", FILTER | ROUTERS, R4, QUERY, "8 9 10", NOTHING },
};

static void test_rows(void **state)
{
	char to[64];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct fixture *f = world(r->what);

		queue(f, r->from, r->kind);
		fx_run(f, r->from);
		fx_receivers(f, 0, to, sizeof(to));
		if (strcmp(to, r->to) != 0 || (int)fx_dropped(f) != r->reason)
			fail_msg("%s: to \"%s\", dropped %d; expected \"%s\", %d", r->name, to,
				 fx_dropped(f), r->to, r->reason);
		fx_free(f);
	}
}

/* Frames of one header that differ in what is behind it. */
static void test_flow_of_many_kinds(void **state)
{
	static const struct {
		enum kind kind;
		const char *to;
	} frames[] = { { DATA6, "1 3 5" }, { LINK6, ALL_STATIONS }, { DATA, "1 3 5" },
		       { REPORT, "" },	   { DATA6, "1 3 5" },	    { LINK6, ALL_STATIONS } };
	struct fixture *f = world(FILTER);
	char to[64];

	for (size_t i = 0; i < ARRAY_SIZE(frames); i++)
		queue(f, UP, frames[i].kind);
	fx_run(f, UP);
	for (unsigned i = 0; i < ARRAY_SIZE(frames); i++)
		assert_string_equal(fx_receivers(f, i, to, sizeof(to)), frames[i].to);
	assert_int_equal(f->drops[DROP_group], 1);
	fx_free(f);
}

/* Reflected: a member never gets its own frame back. */
static void test_reflected(void **state)
{
	struct fixture *f = world(FILTER);
	uint8_t o[128];
	uint32_t size = make(o, DATA);
	char to[64];

	memcpy(o + 6, fx_mac(VEPA + 1).b, 6);
	fx_octets(f, o, size);
	fx_run(f, UP);
	assert_string_equal(fx_receivers(f, 0, to, sizeof(to)), "3");
	fx_free(f);
}

/* A host port that is a member has what comes from the wire already. */
static void test_host(void **state)
{
	struct fixture *f = world(FILTER);
	char to[64];

	f->host[0] = BRIDGE;
	fx_build(f);
	queue(f, UP, DATA);
	fx_run(f, UP);
	assert_string_equal(fx_receivers(f, 0, to, sizeof(to)), "1 5");
	queue(f, QUIET, DATA);
	fx_run(f, QUIET);
	assert_string_equal(fx_receivers(f, 0, to, sizeof(to)), "0 3");
	fx_free(f);
}

/* What is known of a VLAN says nothing of another. */
static void test_another_vlan(void **state)
{
	struct fixture *f = world(FILTER);
	uint8_t o[128];
	uint32_t size = make(o, UNWANTED);
	char to[64];

	memcpy(o + 6, fx_mac(100).b, 6);
	memmove(o + 16, o + 12, size - 12);
	put16(o + 12, ETHERTYPE_CTAG);
	put16(o + 14, 10);
	fx_octets(f, o, size + 4);
	fx_run(f, UP);
	assert_string_equal(fx_receivers(f, 0, to, sizeof(to)), "7");
	fx_group(f, UP, 10, group_mark(GROUP_MARK_FILTER, false));
	fx_build(f);
	fx_octets(f, o, size + 4);
	fx_run(f, UP);
	assert_string_equal(fx_receivers(f, 0, to, sizeof(to)), "");
	fx_free(f);
}

static void test_without_snooping(void **state)
{
	struct fixture *f = world(FILTER);
	struct report r;
	char to[64];

	f->snoops[0] = false;
	fx_build(f);
	queue(f, UP, UNWANTED);
	queue(f, UP, REPORT);
	fx_run(f, UP);
	assert_string_equal(fx_receivers(f, 0, to, sizeof(to)), ALL_STATIONS);
	assert_string_equal(fx_receivers(f, 1, to, sizeof(to)), ALL_STATIONS);
	assert_false(turn_report_get(f->turn, &r));
	fx_free(f);
}

/* ---- reports ---- */

static void test_reports(void **state)
{
	struct fixture *f = world(NO_WIRE);
	struct report r;

	queue(f, IDLE, REPORT); /* although there is no wire */
	fx_run(f, IDLE);
	assert_true(turn_report_get(f->turn, &r));
	assert_int_equal(r.kind, REPORT_GROUP);
	assert_int_equal(r.port, IDLE);
	assert_int_equal(r.bridge, 0);
	assert_int_equal(r.vid, 1);
	assert_int_equal(r.note.what, MCAST_JOIN);
	assert_int_equal(r.note.group.b[12], 239);
	queue(f, UP, QUERY);
	queue(f, UP, BAD_QUERY);
	fx_run(f, UP);
	assert_true(turn_report_get(f->turn, &r));
	assert_int_equal(r.note.what, MCAST_ASK_ALL);
	assert_int_equal(r.port, UP);
	assert_false(turn_report_get(f->turn, &r));
	fx_free(f);
}

/* What a port may not send does not count. */
static void test_spoofed_report(void **state)
{
	struct fixture *f = world(0);
	struct report r;

	queue(f, IDLE, REPORT);
	fx_run(f, QUIET);
	assert_int_equal(fx_dropped(f), DROP_spoof);
	assert_false(turn_report_get(f->turn, &r));
	fx_free(f);
}

/* One that says too much: it is told once, and others are heard still. */
static void test_babbler(void **state)
{
	struct fixture *f = world(0);
	unsigned n_group = 0, n_deaf = 0;
	struct report r;

	for (unsigned i = 0; i < 2 * SNOOP_NOTES_MAX; i++) {
		queue(f, QUIET, REPORT);
		fx_run(f, QUIET);
	}
	while (turn_report_get(f->turn, &r)) {
		n_group += r.kind == REPORT_GROUP;
		n_deaf += r.kind == REPORT_DEAF && r.port == QUIET;
	}
	assert_int_equal(n_group, SNOOP_NOTES_MAX);
	assert_int_equal(n_deaf, 1);
	queue(f, IDLE, REPORT);
	fx_run(f, IDLE);
	assert_true(turn_report_get(f->turn, &r));
	assert_int_equal(r.port, IDLE);
	f->now += NS_PER_S;
	queue(f, QUIET, REPORT);
	fx_run(f, QUIET);
	assert_true(turn_report_get(f->turn, &r));
	assert_int_equal(r.kind, REPORT_GROUP);
	fx_free(f);
}

/* Nobody takes the reports: whoever does at last learns that some are missing. */
static void test_ring_full(void **state)
{
	struct fixture *f = world(0);
	unsigned n_deaf = 0;
	struct report r;

	for (unsigned i = 0; i < SNOOP_NOTES_MAX; i++)
		for (port_id id = VEPA; id <= PRIVATE; id++) {
			queue(f, id, REPORT);
			fx_run(f, id);
		}
	/* Its reader wakes once more, for it may be past the point where it asks for this. */
	assert_true(turn_has_reported(f->turn));
	f->now += NS_PER_S;
	queue(f, VEPA, REPORT);
	fx_run(f, VEPA);
	assert_true(turn_has_reported(f->turn));
	while (turn_report_get(f->turn, &r))
		n_deaf += r.kind == REPORT_DEAF && r.port == PORT_NONE;
	assert_int_equal(n_deaf, 1);
	fx_free(f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),	     cmocka_unit_test(test_flow_of_many_kinds),
		cmocka_unit_test(test_reflected),    cmocka_unit_test(test_host),
		cmocka_unit_test(test_another_vlan), cmocka_unit_test(test_without_snooping),
		cmocka_unit_test(test_reports),	     cmocka_unit_test(test_spoofed_report),
		cmocka_unit_test(test_babbler),	     cmocka_unit_test(test_ring_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
