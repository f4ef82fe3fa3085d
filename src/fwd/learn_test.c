// SPDX-License-Identifier: Apache-2.0
/*
 * Learned addresses: the rules of both relays, and long random histories against a plain array that
 * is searched from front to back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "learn.h"

/* ---- the Nth allocation fails ---- */

static int allocations_left = -1; /* until one fails; -1: none will */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	if (allocations_left >= 0 && allocations_left-- == 0)
		return NULL;
	return __real_calloc(n, size);
}

/* ---- helpers ---- */

static uint32_t next_random(uint64_t *x, uint32_t n)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (uint32_t)(*x * UINT64_C(0x2545f4914f6cdd1d) >> 32) % n;
}

static struct mac mac_of(uint32_t v)
{
	return (struct mac){ { 2, 0, (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
			       (uint8_t)v } };
}

/* The entry of MAC number `mac` in `fid` and `vid`, or NULL. */
static const struct learned *entry(struct learn *l, uint32_t fid, uint32_t mac, vid_t vid)
{
	for (uint32_t i = 0; i < learn_size(l); i++) {
		const struct learned *e = learn_at(l, i);

		if (e->fid == fid && e->vid == vid && mac_equal(e->mac, mac_of(mac)))
			return e;
	}
	return NULL;
}

/* ---- the rules ---- */

enum { EDGE = 1, SWITCH = 2 }; /* bridge_id */

static void known_is_refreshed(void **state)
{
	struct learn *l = learn_new(10, 1);
	struct learned e = { .mac = mac_of(1), .port = 3, .fid = owners_fid(SWITCH, 7), .vid = 7 };

	e.seen = 100;
	assert_int_equal(learn_add(l, e, true), LEARN_ADDED);
	e.seen = 200;
	assert_int_equal(learn_add(l, e, true), LEARN_KNOWN);
	assert_int_equal(learn_size(l), 1);
	assert_int_equal(learn_count(l, 3), 1);
	assert_int_equal(learn_at(l, 0)->seen, 200);
	learn_free(l);
	learn_free(NULL);
}

static void address_moves_on_a_learning_relay(void **state)
{
	struct learn *l = learn_new(10, 1);
	struct learned e = { .mac = mac_of(1), .port = 3, .fid = owners_fid(SWITCH, 7), .vid = 7 };

	assert_int_equal(learn_add(l, e, true), LEARN_ADDED);
	e.port = 4;
	e.seen = 9;
	assert_int_equal(learn_add(l, e, true), LEARN_MOVED);
	assert_int_equal(learn_size(l), 1);
	assert_int_equal(learn_count(l, 3), 0);
	assert_int_equal(learn_count(l, 4), 1);
	assert_int_equal(learn_at(l, 0)->port, 4);
	assert_int_equal(learn_at(l, 0)->seen, 9);
	learn_free(l);
}

static void address_stays_with_its_owner_on_an_edge_relay(void **state)
{
	struct learn *l = learn_new(10, 1);
	struct learned e = { .mac = mac_of(1), .port = 3, .fid = owners_fid(EDGE, VID_NONE) };

	assert_int_equal(learn_add(l, e, false), LEARN_ADDED);
	e.port = 4;
	e.seen = 9;
	assert_int_equal(learn_add(l, e, false), LEARN_REFUSED);
	assert_int_equal(learn_at(l, 0)->port, 3);
	assert_int_equal(learn_at(l, 0)->seen, 0);
	assert_int_equal(learn_count(l, 4), 0);
	learn_free(l);
}

/* Behind different ports, one MAC in different VLANs is two addresses; VID_NONE meets them all. */
static void vlans_are_apart_on_an_edge_relay(void **state)
{
	struct learn *l = learn_new(10, 1);
	struct learned e = { .mac = mac_of(1), .port = 3, .fid = owners_fid(EDGE, VID_NONE) };

	e.vid = 10;
	assert_int_equal(learn_add(l, e, false), LEARN_ADDED);
	e.vid = 20;
	assert_int_equal(learn_add(l, e, false), LEARN_ADDED);
	e.port = 4;
	assert_int_equal(learn_add(l, e, false), LEARN_REFUSED);
	e.vid = VID_NONE;
	assert_int_equal(learn_add(l, e, false), LEARN_REFUSED);
	e.vid = 30;
	assert_int_equal(learn_add(l, e, false), LEARN_ADDED);
	assert_int_equal(learn_count(l, 3), 2);
	assert_int_equal(learn_count(l, 4), 1);

	e = (struct learned){ .mac = mac_of(2), .port = 5, .fid = e.fid, .vid = VID_NONE };
	assert_int_equal(learn_add(l, e, false), LEARN_ADDED);
	e.vid = 10;
	assert_int_equal(learn_add(l, e, false), LEARN_KNOWN);
	e.port = 6;
	assert_int_equal(learn_add(l, e, false), LEARN_REFUSED);
	learn_free(l);
}

static void fids_are_apart(void **state)
{
	struct learn *l = learn_new(10, 1);
	struct learned e = { .mac = mac_of(1), .port = 3, .fid = owners_fid(SWITCH, 7), .vid = 7 };

	assert_int_equal(learn_add(l, e, true), LEARN_ADDED);
	e.fid = owners_fid(SWITCH, 8);
	assert_int_equal(learn_add(l, e, true), LEARN_ADDED);
	e.fid = owners_fid(SWITCH + 1, 8);
	assert_int_equal(learn_add(l, e, true), LEARN_ADDED);
	assert_int_equal(learn_size(l), 3);
	learn_free(l);
}

/* A full table still refreshes and moves, and takes a new one once another is gone. */
static void full_table(void **state)
{
	struct learn *l = learn_new(100, 1);
	struct learned e = { .port = 3, .fid = owners_fid(SWITCH, 7), .vid = 7 };

	for (uint32_t i = 0; i < 100; i++) {
		e.mac = mac_of(i);
		assert_int_equal(learn_add(l, e, true), LEARN_ADDED);
	}
	e.mac = mac_of(100);
	assert_int_equal(learn_add(l, e, true), LEARN_FULL);
	assert_int_equal(learn_size(l), 100);
	assert_int_equal(learn_count(l, 3), 100);
	e.mac = mac_of(50);
	assert_int_equal(learn_add(l, e, true), LEARN_KNOWN);
	e.port = 4;
	assert_int_equal(learn_add(l, e, true), LEARN_MOVED);
	assert_true(learn_forget(l, e.fid, e.mac));
	e.mac = mac_of(100);
	assert_int_equal(learn_add(l, e, true), LEARN_ADDED);
	learn_free(l);

	l = learn_new(0, 1);
	assert_int_equal(learn_add(l, e, true), LEARN_FULL);
	learn_free(l);
}

/* Only its bridge, only what is older than the deadline, and never what is sticky. */
static void ageing(void **state)
{
	struct learn *l = learn_new(20, 1);
	struct learned e = { .mac = mac_of(1), .port = 3, .fid = owners_fid(SWITCH, 7), .vid = 7 };

	e.seen = 100;
	learn_add(l, e, true);
	e.mac = mac_of(2);
	e.seen = 101;
	learn_add(l, e, true);
	e.mac = mac_of(3);
	e.seen = 50;
	e.is_sticky = true;
	learn_add(l, e, true);
	e.is_sticky = false;
	e.fid = owners_fid(EDGE, VID_NONE);
	learn_add(l, e, true);

	assert_int_equal(learn_age(l, SWITCH, 100), 0);
	assert_int_equal(learn_age(l, SWITCH, 101), 1);
	assert_null(entry(l, owners_fid(SWITCH, 7), 1, 7));
	assert_non_null(entry(l, owners_fid(SWITCH, 7), 2, 7));
	assert_non_null(entry(l, owners_fid(SWITCH, 7), 3, 7));
	assert_int_equal(learn_age(l, SWITCH, INT64_MAX), 1);
	assert_int_equal(learn_age(l, EDGE, INT64_MAX), 1);
	assert_int_equal(learn_count(l, 3), 1);
	learn_free(l);
}

static void sticky_never_moves(void **state)
{
	struct learn *l = learn_new(10, 1);
	struct learned e = { .mac = mac_of(1), .port = 3, .fid = 4096, .is_sticky = true };

	learn_add(l, e, false);
	e.port = 4;
	e.is_sticky = false;
	assert_int_equal(learn_add(l, e, true), LEARN_REFUSED);
	assert_int_equal(learn_at(l, 0)->port, 3);
	learn_free(l);
}

/* With a VLAN in the fid only that; without one, the address in all VLANs of the bridge. */
static void forgetting_an_address(void **state)
{
	struct learn *l = learn_new(20, 1);
	struct learned e = { .mac = mac_of(1), .port = 3 };

	for (vid_t vid = 7; vid <= 9; vid++) {
		e.vid = vid;
		e.fid = owners_fid(SWITCH, vid);
		learn_add(l, e, true);
		e.fid = owners_fid(EDGE, VID_NONE);
		learn_add(l, e, true);
	}
	assert_false(learn_forget(l, owners_fid(SWITCH, 8), mac_of(2)));
	assert_false(learn_forget(l, owners_fid(SWITCH, 6), mac_of(1)));
	assert_true(learn_forget(l, owners_fid(SWITCH, 8), mac_of(1)));
	assert_int_equal(learn_size(l), 5);
	assert_null(entry(l, owners_fid(SWITCH, 8), 1, 8));
	assert_true(learn_forget(l, owners_fid(SWITCH, VID_NONE), mac_of(1)));
	assert_int_equal(learn_size(l), 3);
	assert_false(learn_forget(l, owners_fid(SWITCH, VID_NONE), mac_of(1)));
	assert_true(learn_forget(l, owners_fid(EDGE, VID_NONE), mac_of(1)));
	assert_int_equal(learn_size(l), 0);
	assert_int_equal(learn_count(l, 3), 0);
	learn_free(l);
}

static void forgetting_a_port(void **state)
{
	struct learn *l = learn_new(1000, 1);
	struct learned e = { .fid = owners_fid(EDGE, VID_NONE) };

	for (uint32_t i = 0; i < 1000; i++) {
		e.mac = mac_of(i);
		e.port = (port_id)(i % 3);
		learn_add(l, e, false);
	}
	assert_true(learn_flush_port(l, 1));
	assert_false(learn_flush_port(l, 1));
	assert_false(learn_flush_port(l, PORTS_MAX - 1));
	assert_int_equal(learn_size(l), 667);
	assert_int_equal(learn_count(l, 0), 334);
	assert_int_equal(learn_count(l, 1), 0);
	assert_int_equal(learn_count(l, PORT_NONE), 0);
	for (uint32_t i = 0; i < 1000; i++)
		assert_true((entry(l, e.fid, i, VID_NONE) != NULL) == (i % 3 != 1));
	learn_free(l);
}

/* Only the address of that port, and only forwards. */
static void refreshing_an_address(void **state)
{
	struct learn *l = learn_new(20, 1);
	uint32_t fid = owners_fid(EDGE, VID_NONE);
	struct learned e = { .fid = fid, .seen = 100 };

	for (vid_t vid = 10; vid <= 12; vid++) {
		e.vid = vid;
		e.port = vid;
		e.mac = mac_of(1);
		learn_add(l, e, false);
		e.mac = mac_of(2);
		learn_add(l, e, false);
	}
	e.fid = owners_fid(SWITCH, VID_NONE);
	e.mac = mac_of(1);
	learn_add(l, e, false);

	learn_refresh(l, fid, mac_of(1), 11, 200);
	learn_refresh(l, fid, mac_of(1), 11, 150);
	learn_refresh(l, fid, mac_of(3), 11, 300);
	learn_refresh(l, fid, mac_of(1), 13, 300);
	for (uint32_t i = 0; i < learn_size(l); i++) {
		const struct learned *o = learn_at(l, i);
		bool is_it = o->fid == fid && o->port == 11 && mac_equal(o->mac, mac_of(1));

		assert_int_equal(o->seen, is_it ? 200 : 100);
	}
	learn_free(l);
}

/* From the front, the middle and the end: that one goes, and the others are still found. */
static void removing_by_index(void **state)
{
	struct learn *l = learn_new(40, 1);
	struct learned e = { .port = 3, .fid = owners_fid(SWITCH, 7), .vid = 7 };
	bool is_gone[40] = { false };

	for (uint32_t i = 0; i < 40; i++) {
		e.mac = mac_of(i);
		learn_add(l, e, true);
	}
	for (uint32_t n = 40; n > 0; n--) {
		uint32_t idx = n % 3 == 0 ? 0 : n % 3 == 1 ? n / 2 : n - 1;

		is_gone[learn_at(l, idx)->mac.b[5]] = true;
		learn_remove_at(l, idx);
		assert_int_equal(learn_size(l), n - 1);
		assert_int_equal(learn_count(l, 3), n - 1);
		for (uint32_t i = 0; i < 40; i++)
			assert_true((entry(l, e.fid, i, 7) == NULL) == is_gone[i]);
	}
	for (uint32_t i = 0; i < 40; i++) /* nothing is left in the hash */
		assert_false(learn_forget(l, e.fid, mac_of(i)));
	learn_free(l);
}

/* All the addresses a daemon has room for, on the last port there is. */
static void many_entries(void **state)
{
	struct learn *l = learn_new(MACS_MAX, 77);
	struct learned e = { .port = PORTS_MAX - 1, .fid = owners_fid(SWITCH, 1), .vid = 1 };

	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < MACS_MAX; i++) {
			e.mac = mac_of(i);
			e.seen = round;
			assert_int_equal(learn_add(l, e, true), round ? LEARN_KNOWN : LEARN_ADDED);
		}
	}
	assert_int_equal(learn_count(l, PORTS_MAX - 1), MACS_MAX);
	for (uint32_t i = 0; i < MACS_MAX; i += 2)
		assert_true(learn_forget(l, e.fid, mac_of(i)));
	assert_int_equal(learn_age(l, SWITCH, 2), MACS_MAX / 2);
	assert_int_equal(learn_size(l), 0);
	learn_free(l);
}

/* ---- random histories ---- */

enum { ROOM = 60, BRIDGES = 3, VIDS = 3, MACS = 20, PORTS = 5 };

/* The same in the plainest way. Bridge 0 is an edge relay, the others learn. */
struct naive {
	struct learned e[ROOM];
	uint32_t n;
};

static enum learn_result naive_add(struct naive *a, struct learned e, bool can_move)
{
	struct learned *other = NULL;
	bool is_known = false;

	for (struct learned *o = a->e; o < a->e + a->n; o++) {
		bool same_vlan = o->vid == e.vid || o->vid == VID_NONE;

		if (o->fid != e.fid || !mac_equal(o->mac, e.mac))
			continue;
		if (o->port == e.port && same_vlan) {
			o->seen = e.seen;
			is_known = true;
		}
		if (o->port != e.port && (same_vlan || e.vid == VID_NONE))
			other = o;
	}
	if (is_known)
		return LEARN_KNOWN;
	if (other && (!can_move || other->is_sticky))
		return LEARN_REFUSED;
	if (other) {
		*other = e;
		return LEARN_MOVED;
	}
	if (a->n == ROOM)
		return LEARN_FULL;
	a->e[a->n++] = e;
	return LEARN_ADDED;
}

enum removal { BY_PORT, BY_ADDRESS, BY_AGE };

static uint32_t naive_remove(struct naive *a, enum removal by, struct learned e)
{
	uint32_t kept = 0, before = a->n;

	for (uint32_t i = 0; i < a->n; i++) {
		const struct learned *o = &a->e[i];
		bool is_bridge = o->fid / 4096 == e.fid / 4096;
		bool goes = (by == BY_PORT && o->port == e.port) ||
			    (by == BY_ADDRESS && mac_equal(o->mac, e.mac) &&
			     (o->fid == e.fid || (e.fid % 4096 == 0 && is_bridge))) ||
			    (by == BY_AGE && is_bridge && !o->is_sticky && o->seen < e.seen);

		if (!goes)
			a->e[kept++] = *o;
	}
	a->n = kept;
	return before - kept;
}

static void check_same(struct learn *l, const struct naive *a)
{
	uint32_t count[PORTS] = { 0 };

	assert_int_equal(learn_size(l), a->n);
	for (const struct learned *o = a->e; o < a->e + a->n; o++) {
		bool is_there = false;

		count[o->port]++;
		for (uint32_t i = 0; i < a->n; i++) {
			const struct learned *e = learn_at(l, i);

			is_there |= e->fid == o->fid && mac_equal(e->mac, o->mac) &&
				    e->vid == o->vid && e->port == o->port && e->seen == o->seen &&
				    e->is_sticky == o->is_sticky;
		}
		assert_true(is_there);
	}
	for (port_id p = 0; p < PORTS; p++)
		assert_int_equal(learn_count(l, p), count[p]);
}

static void agrees_with_a_plain_array(void **state)
{
	static struct naive a;
	struct learn *l = learn_new(ROOM, 4711);
	uint64_t x = 2463534242;
	uint32_t results[5] = { 0 };

	for (tstamp now = 1; now < 100000; now++) {
		bridge_id b = (bridge_id)next_random(&x, BRIDGES);
		vid_t vid = (vid_t)next_random(&x, VIDS);
		struct learned e = { .mac = mac_of(next_random(&x, MACS)),
				     .port = (port_id)next_random(&x, PORTS),
				     .fid = owners_fid(b, b ? vid : VID_NONE),
				     .vid = vid,
				     .is_sticky = next_random(&x, 8) == 0,
				     .seen = now };
		uint32_t dice = next_random(&x, 1000);

		if (dice < 1) {
			assert_true(learn_flush_port(l, e.port) == !!naive_remove(&a, BY_PORT, e));
		} else if (dice < 40) {
			assert_true(learn_forget(l, e.fid, e.mac) ==
				    !!naive_remove(&a, BY_ADDRESS, e));
		} else if (dice < 42) {
			e.seen -= next_random(&x, 500);
			assert_int_equal(learn_age(l, b, e.seen), naive_remove(&a, BY_AGE, e));
		} else {
			enum learn_result r = learn_add(l, e, b != 0);

			assert_int_equal(r, naive_add(&a, e, b != 0));
			results[r]++;
		}
		if (now % 16 == 0)
			check_same(l, &a);
	}
	for (size_t i = 0; i < ARRAY_SIZE(results); i++) /* the history was worth its name */
		assert_in_range(results[i], 500, 100000);
	learn_free(l);
}

static void no_memory(void **state)
{
	struct learn *l = NULL;
	int n = 0;

	for (; !l; n++) {
		allocations_left = n;
		l = learn_new(10, 1);
	}
	allocations_left = -1;
	assert_in_range(n, 2, 100);
	assert_int_equal(learn_add(l, (struct learned){ .mac = mac_of(1) }, true), LEARN_ADDED);
	learn_free(l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_is_refreshed),
		cmocka_unit_test(address_moves_on_a_learning_relay),
		cmocka_unit_test(address_stays_with_its_owner_on_an_edge_relay),
		cmocka_unit_test(vlans_are_apart_on_an_edge_relay),
		cmocka_unit_test(fids_are_apart),
		cmocka_unit_test(full_table),
		cmocka_unit_test(ageing),
		cmocka_unit_test(sticky_never_moves),
		cmocka_unit_test(forgetting_an_address),
		cmocka_unit_test(forgetting_a_port),
		cmocka_unit_test(refreshing_an_address),
		cmocka_unit_test(removing_by_index),
		cmocka_unit_test(many_entries),
		cmocka_unit_test(agrees_with_a_plain_array),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
