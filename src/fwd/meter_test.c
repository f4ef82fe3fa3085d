// SPDX-License-Identifier: Apache-2.0
#include "meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { RATE = 1 << METER_RATE_IN, PPS = 1 << METER_PPS_IN };

static struct meter_limits limits(uint64_t rate, uint64_t burst, uint64_t pps)
{
	struct meter_limits l = { .set = (rate ? RATE : 0u) | (pps ? PPS : 0u) };

	l.of[METER_RATE_IN] = meter_limit_of(METER_RATE_IN, rate, burst);
	l.of[METER_PPS_IN] = meter_limit_of(METER_PPS_IN, pps, 0);
	return l;
}

/* If it may pass, it is charged to all, and METERS_N returned; else to none, and which refused. */
static enum meter_id meters_take(struct meters *m, unsigned which, uint64_t octets,
				 uint32_t packets)
{
	enum meter_id by = meters_ask(m, which);

	if (by == METERS_N)
		meters_charge(m, which, octets, packets);
	return by;
}

/* Offer a frame at `now`; true if it passes. */
static bool offer(struct meters *m, const struct meter_limits *l, uint64_t octets, tstamp now)
{
	unsigned which = meters_fill(m, l, METERS_IN, now);

	return meters_take(m, which, octets, 1) == METERS_N;
}

struct pace {
	tstamp step, time;
};

/* Offer frames every step ns for time ns; returns how many octets passed. */
static uint64_t flood(struct meters *m, const struct meter_limits *l, uint64_t octets, tstamp *now,
		      struct pace pace)
{
	tstamp end = *now + pace.time;
	uint64_t passed = 0;

	for (; *now < end; *now += pace.step)
		passed += offer(m, l, octets, *now) ? octets : 0;
	return passed;
}

/* In any time passes burst + rate * time, but for one frame; odd steps make odd fractions. */
static void test_exact(void **state)
{
	static const struct {
		uint64_t rate, octets;
		struct pace pace;
	} rows[] = {
		{ 1000, 64, { 100 * NS_PER_MS + 1, 1000 * NS_PER_S } },
		{ 1000, 65600, { 997 * NS_PER_MS, 1000 * NS_PER_S } },
		{ 100000000, 1514, { 100003, 1000 * NS_PER_S } },
		{ 33333333, 777, { 99991, 100 * NS_PER_S } },
		{ 10000000000, 1514, { 1009, NS_PER_S } },
		{ 400000000000, 64, { 1, 2 * NS_PER_MS } },
		{ 400000000000, 65600, { 613, NS_PER_S / 10 } },
		{ 1000000000000, 9014, { 61, 100 * NS_PER_MS } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct meter_limits l = limits(rows[i].rate, 40000, 0);
		struct meters m = { 0 };
		tstamp now = 5 * NS_PER_S;
		uint64_t burst = l.of[METER_RATE_IN].burst / 8, passed, due;

		passed = flood(&m, &l, rows[i].octets, &now, rows[i].pace);
		due = (uint64_t)((__int128)rows[i].rate * rows[i].pace.time / NS_PER_S / 8) + burst;
		assert_in_range(passed,
				due - rows[i].octets -
					rows[i].rate / 8 * (uint64_t)rows[i].pace.step / NS_PER_S -
					1,
				due + rows[i].octets);
	}
}

static void test_packets(void **state)
{
	struct meter_limits l = limits(0, 0, 3);
	struct meters m = { 0 };
	tstamp now = NS_PER_S;

	/* ten at once, and the one that goes into debt */
	assert_int_equal(flood(&m, &l, 1, &now, (struct pace){ 1, 1000 }), 11);
	assert_in_range(flood(&m, &l, 1, &now, (struct pace){ 7 * NS_PER_MS, 1000 * NS_PER_S }),
			2998, 3001);
	l = limits(0, 0, 1000000000);
	assert_int_equal(flood(&m, &l, 1, &now, (struct pace){ 1, NS_PER_MS }), NS_PER_MS);
}

static void test_burst(void **state)
{
	struct meter_limits l = limits(8000000, 3000, 0); /* a megaoctet a second */
	struct meters m = { 0 };
	tstamp now = NS_PER_S;

	assert_int_equal(l.of[METER_RATE_IN].burst, 24000);
	assert_int_equal(flood(&m, &l, 1000, &now, (struct pace){ 1, 100 }), 4000);
	/* an idle hour saves up no more than the burst */
	now += 3600 * NS_PER_S;
	assert_int_equal(flood(&m, &l, 1000, &now, (struct pace){ 1, 100 }), 4000);
}

static void test_default_burst(void **state)
{
	static const struct {
		enum meter_id id;
		uint64_t rate, burst, want;
	} rows[] = {
		{ METER_RATE_IN, 100000000, 0, 25000000 },
		{ METER_RATE_OUT, 1000, 0, 15140 * 8 },
		{ METER_RATE_OUT, 1000, 1, 8 },
		{ METER_RATE_IN, 1000000000000, 0, 250000000000 },
		{ METER_RATE_IN, 1000, 1 << 30, UINT64_C(8) << 30 },
		{ METER_PPS_IN, 1, 0, 10 },
		{ METER_BROADCAST, 1000, 0, 250 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(meter_limit_of(rows[i].id, rows[i].rate, rows[i].burst).burst,
				 rows[i].want);
}

/* A frame larger than the bucket passes, and the next waits until it is paid for. */
static void test_debt(void **state)
{
	struct meter_limits l = limits(8000, 1000, 0); /* 1000 octets a second */
	struct meters m = { 0 };
	tstamp now = NS_PER_S;

	assert_true(offer(&m, &l, 65000, now));
	assert_false(offer(&m, &l, 64, now + 64 * NS_PER_S));
	assert_true(offer(&m, &l, 64, now + 64 * NS_PER_S + 1));
}

/* Other settings keep what is in the bucket, as far as it is large enough. */
static void test_changes(void **state)
{
	struct meter_limits slow = limits(8000, 1000, 0), fast = limits(8000000, 2000, 0);
	struct meters m = { 0 };
	tstamp now = NS_PER_S;

	assert_true(offer(&m, &fast, 1500, now)); /* 500 left */
	assert_true(offer(&m, &slow, 400, now));  /* 100 left */
	assert_true(offer(&m, &fast, 200, now));  /* -100 */
	assert_false(offer(&m, &slow, 1, now + 100 * NS_PER_MS));
	assert_true(offer(&m, &fast, 1, now + 101 * NS_PER_MS)); /* the rate now counts */
	/* without a limit for an hour, then full */
	now += 3600 * NS_PER_S;
	assert_int_equal(flood(&m, &slow, 100, &now, (struct pace){ 1, 100 }), 1100);
	/* a smaller bucket holds less at once */
	m = (struct meters){ 0 };
	assert_true(offer(&m, &fast, 1, now));
	assert_int_equal(flood(&m, &slow, 100, &now, (struct pace){ 1, 100 }), 1100);
}

static void test_clock(void **state)
{
	struct meter_limits l = limits(8000000, 1000, 0);
	struct meters m = { 0 };
	tstamp now = 1000 * NS_PER_S;

	assert_int_equal(flood(&m, &l, 100, &now, (struct pace){ 1, 100 }), 1100);
	/* back: nothing is gained, nor twice when it comes again */
	assert_false(offer(&m, &l, 100, NS_PER_S));
	assert_false(offer(&m, &l, 100, 0));
	assert_false(offer(&m, &l, 100, now));
	/* to the end of time */
	assert_true(offer(&m, &l, 100, INT64_MAX));
	assert_int_equal(m.of[METER_RATE_IN].tokens, (__int128)900 * 8 * METER_UNIT);
	l = limits(1000000000000, 1 << 30, 0);
	m.of[METER_RATE_IN].last = 1;
	assert_true(offer(&m, &l, UINT32_MAX, INT64_MAX));
}

/* All limits or none are charged, and the one that refused is named. */
static void test_several(void **state)
{
	struct meter_limits l = limits(8000, 1000, 2);
	struct meters m = { 0 };
	unsigned which;
	tstamp now = NS_PER_S;

	assert_true(offer(&m, &l, 1000, now));
	which = meters_fill(&m, &l, METERS_IN | METERS_OUT | METERS_STORM, now);
	assert_int_equal(which, RATE | PPS);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(meters_take(&m, which, 1000, 1), METER_RATE_IN);
	/* the refused ones cost no packets: nine are left */
	assert_int_equal(m.of[METER_PPS_IN].tokens, (__int128)9 * METER_UNIT);
	assert_int_equal(meters_take(&m, PPS, 0, 44), METERS_N);
	assert_int_equal(meters_take(&m, PPS, 0, 1), METER_PPS_IN);
	assert_int_equal(meters_take(&m, 0, 1000, 1), METERS_N);
}

/* All at once is the same as one by one, where it says yes. */
static void test_take_all(void **state)
{
	struct meter_limits l = limits(8000, 1000, 2);
	struct meters m = { 0 }, one = { 0 };
	tstamp now = NS_PER_S;

	assert_int_equal(meters_fill(&m, &l, RATE | PPS, now), RATE | PPS);
	assert_false(meters_take_all(&m, RATE | PPS, 1001, 2)); /* would make a debt */
	assert_false(meters_take_all(&m, RATE | PPS, 500, 11));
	assert_true(meters_take_all(&m, RATE | PPS, 1000, 10));
	for (unsigned i = 0; i < 10; i++)
		assert_true(offer(&one, &l, 100, now));
	for (unsigned id = 0; id < METERS_N; id++)
		assert_true(m.of[id].tokens == one.of[id].tokens);
	assert_true(m.of[METER_RATE_IN].tokens == 0 && m.of[METER_PPS_IN].tokens == 0);
	assert_false(meters_take_all(&m, PPS, 0, 1));
	assert_true(meters_take_all(&m, 0, 1000, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),	 cmocka_unit_test(test_packets),
		cmocka_unit_test(test_burst),	 cmocka_unit_test(test_default_burst),
		cmocka_unit_test(test_debt),	 cmocka_unit_test(test_changes),
		cmocka_unit_test(test_clock),	 cmocka_unit_test(test_several),
		cmocka_unit_test(test_take_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
