// SPDX-License-Identifier: Apache-2.0
/*
 * Groups in virtual time: the timers of the RFCs, when filtering of a VLAN begins and ends, what
 * happens at the limits; and long random histories, after which the table is as it must be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "groups.h"

enum { FID = 5 << 12 | 10, OTHER_FID = 5 << 12 | 11, WIRE = 9 };

static struct groups *g;
static tstamp now;
static int n_added, n_dropped;

static void count(void *aux, const struct group_entry *e, bool is_added)
{
	*(is_added ? &n_added : &n_dropped) += 1;
}

static int setup(void **state)
{
	now = 1000 * NS_PER_S;
	n_added = n_dropped = 0;
	g = groups_new(42, count, NULL);
	return g ? 0 : -1;
}

static int teardown(void **state)
{
	assert_int_equal(n_added - n_dropped, groups_size(g));
	groups_free(g);
	return 0;
}

/* 239.1.x.x or ff0e::x */
static struct mcast_addr group(unsigned n, bool is_ipv6)
{
	struct mcast_addr a = { { 0 } };

	if (is_ipv6) {
		a.b[0] = 0xff;
		a.b[1] = 0x0e;
	} else {
		a.b[10] = a.b[11] = 0xff;
		a.b[12] = 239;
		a.b[13] = 1;
	}
	a.b[14] = (uint8_t)(n >> 8);
	a.b[15] = (uint8_t)n;
	return a;
}

/* What `port` says: a station, or WIRE, where queries come from. `n`: 0 is no group. */
static void say(port_id port, enum mcast_what what, unsigned n)
{
	struct group_place at = { .fid = FID,
				  .port = port,
				  .has_members = port != WIRE,
				  .has_queriers = port == WIRE,
				  .now = now };
	struct mcast_note note = { .what = (uint8_t)what,
				   .hears_leaves = true,
				   .robustness = 2,
				   .interval_s = what == MCAST_ROUTER ? 105 : 125,
				   .response_ms = what == MCAST_ASK ? 1000 : 10000,
				   .group = group(n, false),
				   .source = group(1, false) };

	groups_note(g, &at, &note);
}

/* The time passes, and the table is asked when it wants to be. */
static void pass(tstamp duration)
{
	tstamp end = now + duration, due;

	while ((due = groups_deadline(g)) && due <= end) {
		assert_true(due > now);
		now = due;
		groups_age(g, now);
	}
	now = end;
	groups_age(g, now);
}

static unsigned entries(enum group_kind kind, port_id port)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < groups_size(g); i++)
		n += groups_at(g, i)->kind == kind && groups_at(g, i)->port == port;
	return n;
}

static bool filters(void)
{
	struct mac mark = group_mark(GROUP_MARK_FILTER, false);
	struct owner o;

	for (uint32_t i = 0; i < groups_size(g); i++)
		if (groups_owner(groups_at(g, i), &o) && mac_equal(o.mac, mark) && o.fid == FID)
			return true;
	return false;
}

/* ---- queriers ---- */

static void test_filter_begins_when_all_have_answered(void **state)
{
	assert_false(filters());
	say(WIRE, MCAST_ASK_ALL, 0);
	assert_int_equal(entries(GROUP_QUERIER, WIRE), 1);
	assert_int_equal(entries(GROUP_ROUTER, WIRE), 1);
	pass(11 * NS_PER_S - 1);
	assert_false(filters());
	groups_has_changed(g);
	pass(1);
	assert_true(filters());
	assert_true(groups_has_changed(g));
	assert_false(groups_has_changed(g));
}

/* More queries meanwhile do not put it off, or it would never begin. */
static void test_filter_begins_with_hasty_querier(void **state)
{
	for (int i = 0; i < 12; i++) {
		say(WIRE, MCAST_ASK_ALL, 0);
		pass(NS_PER_S);
	}
	assert_true(filters());
}

static void test_filter_ends_with_querier(void **state)
{
	say(WIRE, MCAST_ASK_ALL, 0);
	pass(255 * NS_PER_S - 1);
	assert_true(filters());
	pass(1);
	assert_false(filters());
	assert_int_equal(groups_size(g), 0);
	/* and begins anew, with patience */
	say(WIRE, MCAST_ASK_ALL, 0);
	assert_false(filters());
}

/* Intervals of the querier: 3 * 20 s + 4 s / 2, and memberships 3 * 20 s + 4 s. */
static void test_intervals_of_the_querier(void **state)
{
	struct mcast_note note = { .what = MCAST_ASK_ALL,
				   .robustness = 3,
				   .interval_s = 20,
				   .response_ms = 4000,
				   .hears_leaves = true,
				   .source = group(1, false) };

	groups_note(
		g,
		&(struct group_place){ .fid = FID, .port = WIRE, .has_queriers = true, .now = now },
		&note);
	say(1, MCAST_JOIN, 7);
	pass(5 * NS_PER_S);
	assert_true(filters());
	pass(57 * NS_PER_S - 1);
	assert_true(filters());
	pass(1);
	assert_false(filters());
	pass(2 * NS_PER_S - 1);
	assert_int_equal(entries(GROUP_MEMBER, 1), 1);
	pass(1);
	assert_int_equal(entries(GROUP_MEMBER, 1), 0);
}

static void test_proxy_is_no_querier(void **state)
{
	struct mcast_note note = { .what = MCAST_ASK_ALL,
				   .robustness = 2,
				   .interval_s = 125,
				   .response_ms = 10000,
				   .source = { { [10] = 0xff, [11] = 0xff } } };
	struct group_place at = { .fid = FID, .port = WIRE, .has_queriers = true, .now = now };

	groups_note(g, &at, &note);
	assert_int_equal(groups_size(g), 0);
}

/* A query of a guest reaches a part of the others only: a router, and no reason to filter. */
static void test_query_of_a_station(void **state)
{
	say(1, MCAST_ASK_ALL, 0);
	assert_int_equal(entries(GROUP_ROUTER, 1), 1);
	assert_int_equal(entries(GROUP_QUERIER, 1), 0);
	pass(20 * NS_PER_S);
	assert_false(filters());
}

static void test_querier_moves(void **state)
{
	struct group_place at = { .fid = FID, .port = 3, .has_queriers = true };
	struct mcast_note note = { .what = MCAST_ASK_ALL,
				   .robustness = 2,
				   .interval_s = 125,
				   .response_ms = 10000,
				   .source = group(2, false) };

	say(WIRE, MCAST_ASK_ALL, 0);
	pass(20 * NS_PER_S);
	groups_has_changed(g);
	at.now = now;
	groups_note(g, &at, &note);
	assert_true(groups_has_changed(g));
	assert_true(filters());
	assert_int_equal(entries(GROUP_QUERIER, 3), 1);
	assert_int_equal(entries(GROUP_QUERIER, WIRE), 0);
	assert_int_equal(entries(GROUP_ROUTER, 3) + entries(GROUP_ROUTER, WIRE), 2);
}

static void test_hello(void **state)
{
	say(2, MCAST_ROUTER, 0);
	pass(100 * NS_PER_S);
	say(2, MCAST_ROUTER, 0);
	pass(105 * NS_PER_S - 1);
	assert_int_equal(entries(GROUP_ROUTER, 2), 1);
	pass(1);
	assert_int_equal(groups_size(g), 0);
}

/* ---- members ---- */

static void test_membership_lasts(void **state)
{
	say(1, MCAST_JOIN, 7);
	say(1, MCAST_JOIN, 7);
	say(2, MCAST_JOIN, 7);
	say(WIRE, MCAST_JOIN, 7);
	assert_int_equal(groups_size(g), 2);
	pass(200 * NS_PER_S);
	say(2, MCAST_JOIN, 7);
	pass(60 * NS_PER_S - 1);
	assert_int_equal(entries(GROUP_MEMBER, 1), 1);
	pass(1);
	assert_int_equal(entries(GROUP_MEMBER, 1), 0);
	assert_int_equal(entries(GROUP_MEMBER, 2), 1);
}

static void test_leave(void **state)
{
	say(1, MCAST_JOIN, 7);
	say(2, MCAST_JOIN, 7);
	say(1, MCAST_LEAVE, 8);
	say(1, MCAST_LEAVE, 7);
	pass(2 * NS_PER_S - 1);
	assert_int_equal(entries(GROUP_MEMBER, 1), 1);
	pass(1);
	assert_int_equal(entries(GROUP_MEMBER, 1), 0);
	assert_int_equal(entries(GROUP_MEMBER, 2), 1);
}

static void test_leave_and_another_stays(void **state)
{
	say(1, MCAST_JOIN, 7);
	say(1, MCAST_LEAVE, 7);
	pass(NS_PER_S);
	say(1, MCAST_JOIN, 7);
	pass(259 * NS_PER_S);
	assert_int_equal(entries(GROUP_MEMBER, 1), 1);
}

/* Somebody who leaves again and again does not put it off. */
static void test_leave_twice(void **state)
{
	say(1, MCAST_JOIN, 7);
	say(1, MCAST_LEAVE, 7);
	pass(NS_PER_S);
	say(1, MCAST_LEAVE, 7);
	pass(NS_PER_S);
	assert_int_equal(groups_size(g), 0);
}

static void test_leave_fast(void **state)
{
	struct group_place at = { .fid = FID, .port = 1, .leaves_fast = true, .now = now };

	say(1, MCAST_JOIN, 7);
	groups_note(g, &at, &(struct mcast_note){ .what = MCAST_LEAVE, .group = group(7, false) });
	assert_int_equal(groups_size(g), 0);
}

/* An IGMPv1 querier does not ask who is left. */
static void test_leave_with_old_querier(void **state)
{
	struct group_place at = { .fid = FID, .port = WIRE, .has_queriers = true, .now = now };
	struct mcast_note note = { .what = MCAST_ASK_ALL,
				   .robustness = 2,
				   .interval_s = 125,
				   .response_ms = 10000,
				   .source = group(1, false) };

	groups_note(g, &at, &note);
	say(1, MCAST_JOIN, 7);
	say(1, MCAST_LEAVE, 7);
	pass(100 * NS_PER_S);
	assert_int_equal(entries(GROUP_MEMBER, 1), 1);
}

static void test_query_of_a_group(void **state)
{
	say(1, MCAST_JOIN, 7);
	say(2, MCAST_JOIN, 7);
	say(1, MCAST_JOIN, 8);
	say(3, MCAST_ASK, 7); /* a guest, whom not all hear */
	pass(5 * NS_PER_S);
	assert_int_equal(groups_size(g), 3);
	say(WIRE, MCAST_ASK, 7);
	say(2, MCAST_JOIN, 7);
	pass(2 * NS_PER_S);
	assert_int_equal(entries(GROUP_MEMBER, 1), 1);
	assert_int_equal(entries(GROUP_MEMBER, 2), 1);
}

static void test_group_for_all_is_no_member(void **state)
{
	static const uint8_t all[][4] = { { 224, 0, 0, 251 }, { 239, 128, 0, 1 } };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct mcast_note note = { .what = MCAST_JOIN, .group = group(0, false) };

		memcpy(note.group.b + 12, all[i], 4);
		groups_note(g,
			    &(struct group_place){
				    .fid = FID, .port = 1, .has_members = true, .now = now },
			    &note);
	}
	assert_int_equal(groups_size(g), 0);
	assert_true(group_is_for_all((struct mac){ { 1, 0, 0x5e, 0, 0, 1 } }));
	assert_false(group_is_for_all((struct mac){ { 1, 0, 0x5e, 0, 1, 1 } }));
	assert_true(group_is_for_all((struct mac){ { 0x33, 0x33, 0, 0, 0, 1 } }));
	assert_false(group_is_for_all((struct mac){ { 0x33, 0x33, 0, 0, 0, 2 } }));
}

/* Two groups of one address, of which one is of the link. */
static void test_keys(void **state)
{
	struct group_entry e = { .kind = GROUP_MEMBER, .group = group(7, true), .is_ipv6 = true };
	struct owner global, link;

	assert_true(groups_owner(&e, &global));
	e.group.b[1] = 0x02;
	assert_true(groups_owner(&e, &link));
	assert_true(mac_equal(global.mac, group_key(mcast_mac(&e.group), false)));
	assert_true(mac_equal(link.mac, group_key(mcast_mac(&e.group), true)));
	assert_false(mac_equal(link.mac, global.mac));
}

/* ---- limits ---- */

static void test_port_wants_too_much(void **state)
{
	for (unsigned n = 1; n <= GROUPS_PER_PORT_MAX; n++)
		say(1, MCAST_JOIN, n);
	assert_int_equal(groups_doubted(g, 1), 0);
	assert_int_equal(groups_refused(g), 0);
	say(1, MCAST_JOIN, 1); /* known already */
	assert_int_equal(groups_doubted(g, 1), 0);
	groups_has_changed(g);
	say(1, MCAST_JOIN, 10000);
	assert_int_equal(groups_doubted(g, 1), now);
	assert_int_equal(groups_refused(g), 1);
	assert_true(groups_has_changed(g));
	say(2, MCAST_JOIN, 10000);
	assert_int_equal(entries(GROUP_MEMBER, 2), 1);
}

static void test_all_want_too_much(void **state)
{
	unsigned n_ports = GROUPS_MAX / GROUPS_PER_PORT_MAX;

	for (unsigned p = 0; p < n_ports; p++)
		for (unsigned n = 1; n <= GROUPS_PER_PORT_MAX; n++)
			say((port_id)(100 + p), MCAST_JOIN, n);
	assert_int_equal(groups_size(g), GROUPS_MAX);
	say(1, MCAST_JOIN, 1);
	assert_int_equal(groups_doubted(g, 1), now);
	/* queriers have room of their own */
	say(WIRE, MCAST_ASK_ALL, 0);
	assert_int_equal(entries(GROUP_QUERIER, WIRE), 1);
	pass(300 * NS_PER_S);
	assert_int_equal(groups_size(g), 0);
}

/* ---- pruning ---- */

static bool is_not_of_port(void *aux, const struct group_entry *e)
{
	return e->port != *(port_id *)aux;
}

static void test_prune(void **state)
{
	port_id gone = 2;

	say(1, MCAST_JOIN, 7);
	say(2, MCAST_JOIN, 7);
	say(2, MCAST_JOIN, 8);
	say(3, MCAST_JOIN, 8);
	groups_prune(g, is_not_of_port, &gone);
	assert_int_equal(groups_size(g), 2);
	assert_int_equal(entries(GROUP_MEMBER, 2), 0);
}

/* ---- long histories ---- */

static uint32_t next_random(uint64_t *x, uint32_t n)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (uint32_t)(*x * UINT64_C(0x2545f4914f6cdd1d) >> 32) % n;
}

enum { PORTS = 6, NUMBERS = 12 };

/* Members against an array of times. */
static void test_random(void **state)
{
	tstamp until[PORTS][NUMBERS + 1] = { 0 };
	uint64_t seed = 7;

	for (int step = 0; step < 20000; step++) {
		port_id port = (port_id)next_random(&seed, PORTS);
		unsigned n = 1 + next_random(&seed, NUMBERS), alive = 0;

		if (next_random(&seed, 3)) {
			say(port, MCAST_JOIN, n);
			until[port][n] = now + 260 * NS_PER_S;
		} else {
			say(port, MCAST_LEAVE, n);
			if (until[port][n] > now + 2 * NS_PER_S)
				until[port][n] = now + 2 * NS_PER_S;
		}
		pass(next_random(&seed, 8) * NS_PER_S);
		for (port_id p = 0; p < PORTS; p++) {
			unsigned of_port = 0;

			for (unsigned k = 1; k <= NUMBERS; k++)
				of_port += until[p][k] > now;
			assert_int_equal(entries(GROUP_MEMBER, p), of_port);
			alive += of_port;
		}
		assert_int_equal(groups_size(g), alive);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(filter_begins_when_all_have_answered),
		TEST(filter_begins_with_hasty_querier),
		TEST(filter_ends_with_querier),
		TEST(intervals_of_the_querier),
		TEST(proxy_is_no_querier),
		TEST(query_of_a_station),
		TEST(querier_moves),
		TEST(hello),
		TEST(membership_lasts),
		TEST(leave),
		TEST(leave_and_another_stays),
		TEST(leave_twice),
		TEST(leave_fast),
		TEST(leave_with_old_querier),
		TEST(query_of_a_group),
		TEST(group_for_all_is_no_member),
		TEST(keys),
		TEST(port_wants_too_much),
		TEST(all_want_too_much),
		TEST(prune),
		TEST(random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
