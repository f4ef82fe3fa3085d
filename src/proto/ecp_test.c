// SPDX-License-Identifier: Apache-2.0
/* ECP in virtual time: octets and times of frames, both generations, and two ends with loss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "ecp.h"
#include "hex_fixture.h"

#define MS NS_PER_MS

enum { FRAMES_MAX = 256 };

struct frame_seen {
	tstamp at;
	size_t size;
	uint8_t octets[80];
};

struct end {
	struct ecp e;
	tstamp now;
	unsigned n_sent;
	struct frame_seen sent[FRAMES_MAX];
	unsigned n_to_fill; /* PDUs that the upper layer has, numbered from n_filled */
	unsigned n_filled, n_delivered;
	uint8_t delivered[FRAMES_MAX]; /* the first octet of each */
};

static void on_send(void *ctx, const uint8_t *frame, size_t size)
{
	struct end *end = ctx;
	struct frame_seen *f = &end->sent[end->n_sent % FRAMES_MAX];

	assert_true(size <= sizeof(f->octets));
	*f = (struct frame_seen){ .at = end->now, .size = size };
	memcpy(f->octets, frame, size);
	end->n_sent++;
}

static bool on_fill(void *ctx, tstamp now, struct writer *w)
{
	struct end *end = ctx;

	if (end->n_filled == end->n_to_fill)
		return false;
	write_u8(w, (uint8_t)end->n_filled++);
	write_u8(w, 0xee);
	return true;
}

static void on_deliver(void *ctx, tstamp now, struct cursor payload)
{
	struct end *end = ctx;

	end->delivered[end->n_delivered++ % FRAMES_MAX] = cursor_u8(&payload);
}

static void start(struct end *end, uint16_t sequence)
{
	struct ecp_config config = { .src = { { 2, 0, 0, 0, 0, 1 } }, .sequence = sequence };
	struct ecp_hooks hooks = { on_send, on_fill, on_deliver, end };

	*end = (struct end){ .now = 1000 };
	ecp_init(&end->e, &config, &hooks);
	ecp_link(&end->e, true);
}

static void pass(struct end *end, tstamp until)
{
	tstamp at;

	while ((at = ecp_deadline(&end->e)) <= until) {
		if (at > end->now)
			end->now = at;
		ecp_run(&end->e, end->now);
		assert_true(ecp_deadline(&end->e) > end->now);
	}
	end->now = until;
}

static void offer(struct end *end, unsigned n)
{
	end->n_to_fill += n;
	ecp_wake(&end->e);
}

static bool hear(struct end *end, const char *text)
{
	struct hex h = hex_of(text);

	return ecp_received(&end->e, end->now, hex_cursor(&h));
}

static void assert_sent(struct end *end, unsigned i, const char *text)
{
	struct hex h = hex_of(text);

	assert_true(i < end->n_sent);
	assert_int_equal(end->sent[i].size, h.size);
	assert_memory_equal(end->sent[i].octets, h.octets, h.size);
}

#define US "0180c2000000 020000000001 8940"
#define PEER "0180c2000000 020000000002 8940"
#define DRAFT_US "0180c200000e 020000000001 88b7 001b3f 00 0000"
#define DRAFT_PEER "0180c200000e 020000000002 88b7 001b3f 00 0000"

static void requests_one_at_a_time_and_apart(void **state)
{
	struct end end;

	start(&end, 6);
	pass(&end, 100 * MS);
	assert_int_equal(end.n_sent, 0);
	offer(&end, 3);
	pass(&end, 100 * MS);
	assert_int_equal(end.n_sent, 1);
	assert_sent(&end, 0, US "1001 0007 00ee");
	ecp_wake(&end.e);
	ecp_run(&end.e, 120 * MS); /* for another machine's sake */
	assert_int_equal(end.n_sent, 1);
	assert_true(hear(&end, PEER "1401 0007")); /* 18 octets */
	pass(&end, 150 * MS);
	assert_int_equal(end.n_sent, 2);
	assert_true(end.sent[1].at - end.sent[0].at == ECP_GAP);
	assert_sent(&end, 1, US "1001 0008 01ee");
	assert_true(hear(&end, PEER "1401 0008 0000000000000000000000000000000000000000000000000000"
				    "00000000000000000000000000000000")); /* 60 octets */
	pass(&end, 200 * MS);
	assert_sent(&end, 2, US "1001 0009 02ee");
	assert_true(end.sent[2].at == 150 * MS); /* the gap was over */
	hear(&end, PEER "1401 0009");
	pass(&end, 5000 * MS);
	assert_int_equal(end.n_sent, 3);
	assert_int_equal(end.e.stats.acknowledged, 3);
	assert_true(ecp_deadline(&end.e) == TSTAMP_NEVER);
}

/* RTE 10, R 3: four frames at 0, 10.24, 20.48 and 30.72 ms, as the reference saw of lldpad. */
static void retransmissions_are_identical_and_counted(void **state)
{
	struct evb_timing t = evb_timing_of(EVB_RATIFIED, (struct evb_values){ 3, 10, 17, 20 });
	struct end end;

	start(&end, 0);
	ecp_agree(&end.e, EVB_RATIFIED, &t);
	offer(&end, 2);
	pass(&end, 30 * MS);
	hear(&end, PEER "1401 0002"); /* of none that we sent */
	hear(&end, PEER "1401 0000");
	assert_int_equal(end.e.stats.stray_acks, 2);
	pass(&end, 39 * MS);
	assert_int_equal(end.n_sent, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_sent(&end, i, US "1001 0001 00ee");
		assert_int_equal(end.sent[i].at - end.sent[0].at, i * 10240 * NS_PER_US);
	}
	pass(&end, 42 * MS); /* given up; the next one is sent at once */
	assert_int_equal(end.e.stats.given_up, 1);
	assert_int_equal(end.n_sent, 5);
	assert_sent(&end, 4, US "1001 0002 01ee");
	hear(&end, PEER "1401 0001"); /* too late */
	pass(&end, 60 * MS);
	assert_sent(&end, 5, US "1001 0002 01ee");
}

static void sequence_skips_0(void **state)
{
	struct end end;

	start(&end, 0xfffe);
	offer(&end, 2);
	pass(&end, MS);
	assert_sent(&end, 0, US "1001 ffff 00ee");
	hear(&end, PEER "1401 ffff");
	pass(&end, 10 * MS);
	assert_sent(&end, 1, US "1001 0001 01ee");
}

static void every_request_is_acknowledged_and_new_ones_delivered(void **state)
{
	static const struct {
		const char *sequence;
		unsigned delivered;
	} row[] = { { "0000", 1 }, { "0000", 1 }, { "0007", 2 }, { "0007", 2 },
		    { "0006", 3 }, { "ffff", 4 }, { "0000", 5 } };
	struct end end;

	start(&end, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
		char text[100];

		snprintf(text, sizeof(text), PEER "1001 %s 55", row[i].sequence);
		assert_true(hear(&end, text));
		snprintf(text, sizeof(text), US "1401 %s", row[i].sequence);
		assert_sent(&end, i, text);
		assert_int_equal(end.n_delivered, row[i].delivered);
	}
	assert_int_equal(end.e.stats.duplicates, 2);
	ecp_link(&end.e, false);
	assert_true(hear(&end, PEER "1001 0000 55"));
	assert_int_equal(end.n_sent, ARRAY_SIZE(row));
	ecp_link(&end.e, true);
	hear(&end, PEER "1001 0000 55"); /* the first after port-up is new */
	assert_int_equal(end.n_delivered, 6);
}

/* The Associate that lldpad was seen to send, 71 octets without an End TLV. */
static void the_worked_example(void **state)
{
	struct end end;

	start(&end, 0);
	assert_true(hear(&end, "0180c2000000 92f96989865a 8940 1001 0001"
			       "0a10 626c61626c6100000000000000000000"
			       "0621 00 000005 04 05 11111111222233334444555555555555 02 0001"
			       "520000112233 00c8"));
	assert_sent(&end, 0, US "1401 0001");
	assert_int_equal(end.n_delivered, 1);
	assert_int_equal(end.delivered[0], 0x0a);
}

static void what_is_not_taken(void **state)
{
	struct end end;

	start(&end, 0);
	assert_true(hear(&end, PEER "2001 0001 55"));
	assert_true(hear(&end, PEER "1002 0001 55"));
	assert_true(hear(&end, PEER "1801 0001 55"));
	assert_true(hear(&end, PEER "1001 00"));
	assert_false(hear(&end, "0180c200000e 020000000002 8940 1001 0001 55"));
	assert_false(hear(&end, "0180c2000000 020000000002 88cc 1001 0001 55"));
	assert_false(hear(&end, DRAFT_PEER "00 0001 55"));
	assert_false(hear(&end, "0180c2000000 0200"));
	assert_int_equal(end.n_sent + end.n_delivered, 0);
	assert_int_equal(end.e.stats.malformed[MALFORMED_version], 1);
	assert_int_equal(end.e.stats.malformed[MALFORMED_subtype], 1);
	assert_int_equal(end.e.stats.malformed[MALFORMED_operation], 1);
	assert_int_equal(end.e.stats.malformed[MALFORMED_truncated], 1);
}

/* Three transmissions 500 ms apart, each with a sequence of its own; the last one's ack counts. */
static void drafts(void **state)
{
	struct evb_timing t = evb_timing_of(EVB_DRAFT, (struct evb_values){ 3, 14, 17, 20 });
	struct end end;

	start(&end, 0);
	ecp_agree(&end.e, EVB_DRAFT, &t);
	offer(&end, 2);
	pass(&end, 1100 * MS);
	assert_int_equal(end.n_sent, 3);
	assert_sent(&end, 0, DRAFT_US "00 0001 00ee");
	assert_sent(&end, 1, DRAFT_US "00 0002 00ee");
	assert_sent(&end, 2, DRAFT_US "00 0003 00ee");
	assert_true(end.sent[1].at - end.sent[0].at == 500 * MS);
	hear(&end, DRAFT_PEER "01 0001");
	assert_int_equal(end.e.stats.acknowledged, 0);
	hear(&end, DRAFT_PEER "01 0003 00000000000000000000");
	assert_int_equal(end.e.stats.acknowledged, 1);
	hear(&end, DRAFT_PEER "00 0001 77");
	assert_sent(&end, 3, DRAFT_US "01 0001");
	assert_int_equal(end.delivered[0], 0x77);
	assert_false(hear(&end, PEER "1001 0001 55"));
}

static void a_link_that_went_down_forgets(void **state)
{
	struct end end;

	start(&end, 0);
	offer(&end, 1);
	pass(&end, MS);
	ecp_link(&end.e, false);
	assert_true(ecp_deadline(&end.e) == TSTAMP_NEVER);
	pass(&end, 1000 * MS);
	assert_int_equal(end.n_sent, 1);
	ecp_link(&end.e, true);
	pass(&end, 2000 * MS);
	assert_int_equal(end.n_sent, 1);
	offer(&end, 1);
	pass(&end, 2001 * MS);
	assert_sent(&end, 1, US "1001 0002 01ee");
}

static void another_address(void **state)
{
	struct end end;

	start(&end, 0);
	end.e.config.dst = (struct mac){ { 0x01, 0x80, 0xc2, 0, 0, 3 } };
	offer(&end, 1);
	pass(&end, MS);
	assert_sent(&end, 0, "0180c2000003 020000000001 8940 1001 0001 00ee");
	assert_false(hear(&end, PEER "1401 0001"));
	assert_true(hear(&end, "0180c2000003 020000000002 8940 1401 0001"));
	assert_int_equal(end.e.stats.acknowledged, 1);
}

/* What is given up is lost, and said so; everything else arrives, once and in order. */
static void two_ends_over_a_link_that_loses(void **state)
{
	enum { N = 200 };

	for (unsigned loss = 0; loss <= 50; loss += 10) {
		struct end a, b;
		uint32_t x = 12345 + loss;
		unsigned taken[2] = { 0, 0 }, last = 0;

		start(&a, 5);
		start(&b, 900);
		offer(&a, N);
		for (tstamp now = MS; now < 200000 * MS && ecp_deadline(&a.e) != TSTAMP_NEVER;
		     now += MS) {
			struct end *end[2] = { &a, &b };

			pass(&a, now);
			pass(&b, now);
			for (unsigned i = 0; i < 2; i++) {
				for (; taken[i] < end[i]->n_sent; taken[i]++) {
					struct frame_seen *f = &end[i]->sent[taken[i] % FRAMES_MAX];

					x = x * 1664525 + 1013904223;
					if ((x >> 16) % 100 >= loss)
						ecp_received(&end[1 - i]->e, now,
							     cursor_of(f->octets, f->size));
				}
			}
		}
		assert_int_equal(a.n_filled, N);
		assert_in_range(b.n_delivered, N - a.e.stats.given_up, N);
		for (unsigned i = 0; i < b.n_delivered; i++) {
			assert_true(i == 0 || b.delivered[i] > last);
			last = b.delivered[i];
		}
		assert_int_equal(a.e.stats.acknowledged + a.e.stats.given_up, N);
		if (!loss)
			assert_int_equal(a.e.stats.retransmitted, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_one_at_a_time_and_apart),
		cmocka_unit_test(retransmissions_are_identical_and_counted),
		cmocka_unit_test(sequence_skips_0),
		cmocka_unit_test(every_request_is_acknowledged_and_new_ones_delivered),
		cmocka_unit_test(the_worked_example),
		cmocka_unit_test(what_is_not_taken),
		cmocka_unit_test(drafts),
		cmocka_unit_test(a_link_that_went_down_forgets),
		cmocka_unit_test(another_address),
		cmocka_unit_test(two_ends_over_a_link_that_loses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
