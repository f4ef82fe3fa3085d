// SPDX-License-Identifier: Apache-2.0
/* The LLDP agent in virtual time: when it transmits, whom it remembers, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lldp.h"

#define S NS_PER_S

enum { FRAMES_MAX = 64 };

struct fixture {
	struct lldp l;
	tstamp now;
	unsigned n_sent;
	tstamp sent_at[FRAMES_MAX];
	struct lldp_pdu last_sent;
	uint8_t last_frame[1514];
	size_t last_size;
	unsigned n_peer;     /* times that the peer said something */
	struct lldp_id peer; /* port ID of the peer */
	bool has_peer;
	char events[64]; /* N new, C changed, A aged, S shutdown, L link lost */
};

static void on_send(void *ctx, const uint8_t *frame, size_t size)
{
	struct fixture *f = ctx;
	struct cursor c = cursor_of(f->last_frame, size);

	memcpy(f->last_frame, frame, size);
	f->last_size = size;
	assert_int_equal(envelope_read(&c).ethertype, ETHERTYPE_LLDP);
	assert_int_equal(lldp_pdu_decode(c, &f->last_sent), MALFORMED_none);
	assert_true(f->n_sent < FRAMES_MAX);
	f->sent_at[f->n_sent++] = f->now;
}

static void on_write_tlvs(void *ctx, struct writer *w)
{
	write_octets(w, "\xfe\x04\x00\x80\xc2\x77", 6);
}

static bool on_is_wanted(void *ctx, const struct lldp_pdu *pdu)
{
	return pdu->system_name.left && pdu->system_name.at[0] == '!';
}

static void on_peer(void *ctx, tstamp now, const struct lldp_pdu *pdu)
{
	struct fixture *f = ctx;

	f->n_peer++;
	f->has_peer = pdu;
	if (pdu)
		f->peer = pdu->port;
}

static void on_event(void *ctx, enum lldp_event event, const struct lldp_neighbour *n)
{
	struct fixture *f = ctx;

	strncat(f->events, &"N\0C\0A\0S\0L\0D"[2 * event], 1);
}

static struct lldp_id id_of(uint8_t x)
{
	return lldp_id_of(LLDP_PORT_MAC, (uint8_t[]){ 2, 0, 0, 0, 0, x }, 6);
}

static void start(struct fixture *f)
{
	struct lldp_config config = lldp_config_default();
	struct lldp_hooks hooks = { on_send, on_write_tlvs, on_is_wanted, on_peer, on_event, f };

	*f = (struct fixture){ .now = 1000 * S };
	config.scope = LLDP_CUSTOMER_BRIDGE;
	config.src = (struct mac){ { 2, 0, 0, 0, 0, 1 } };
	config.self.chassis = config.self.port = id_of(1);
	config.self.system_name = cursor_of("host", 4);
	lldp_init(&f->l, &config, &hooks);
}

/* Let time pass, from deadline to deadline. */
static void pass(struct fixture *f, tstamp until)
{
	tstamp at;

	while ((at = lldp_deadline(&f->l)) <= until) {
		if (at > f->now)
			f->now = at;
		lldp_run(&f->l, f->now);
		assert_true(lldp_deadline(&f->l) > f->now);
	}
	f->now = until;
}

static void hear_text(struct fixture *f, uint8_t x, uint16_t ttl, const char *name)
{
	struct lldp_pdu pdu = { .chassis = id_of(x),
				.port = id_of(x),
				.ttl = ttl,
				.system_name = cursor_of(name, strlen(name)) };
	uint8_t frame[200];
	struct writer w = writer_of(frame, sizeof(frame));

	envelope_write(&w, (struct envelope){
				   envelope_group(0), { { 2, 0, 0, 0, 0, x } }, ETHERTYPE_LLDP });
	lldp_pdu_encode(&w, &pdu, cursor_of(NULL, 0));
	assert_true(lldp_received(&f->l, f->now, cursor_of(frame, w.size)));
}

static void hear(struct fixture *f, uint8_t x, uint16_t ttl)
{
	hear_text(f, x, ttl, "a");
}

static void quiet_until_the_link_is_up_then_every_interval(void **state)
{
	struct fixture f;

	start(&f);
	assert_true(lldp_deadline(&f.l) == TSTAMP_NEVER);
	pass(&f, 1100 * S);
	assert_int_equal(f.n_sent, 0);
	lldp_link(&f.l, f.now, true);
	pass(&f, 1195 * S);
	assert_int_equal(f.n_sent, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_true(f.sent_at[i] == (1100 + 30 * (tstamp)i) * S);
	assert_int_equal(f.last_size, ENVELOPE_FRAME_MIN);
	assert_int_equal(f.last_sent.ttl, 121);
	assert_int_equal(f.last_sent.optional.left, 6 + 6);
	assert_int_equal(f.last_frame[5], 0x00);
	lldp_link(&f.l, f.now, false);
	pass(&f, 1300 * S);
	assert_int_equal(f.n_sent, 4);
}

static void a_new_neighbour_is_answered_fast(void **state)
{
	/* txFastInit times at a second's distance, the first at once; then every interval. */
	static const tstamp at[] = { 0, 5, 6, 7, 8, 38, 68 };
	struct fixture f;

	start(&f);
	lldp_link(&f.l, f.now, true);
	pass(&f, 1005 * S);
	hear(&f, 2, 120);
	pass(&f, 1070 * S);
	hear(&f, 2, 120);
	pass(&f, 1080 * S);
	assert_int_equal(f.n_sent, ARRAY_SIZE(at));
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
		assert_true(f.sent_at[i] == (1000 + at[i]) * S);
	assert_string_equal(f.events, "N");
}

static void bursts_end_with_the_credit(void **state)
{
	struct fixture f;

	start(&f);
	lldp_link(&f.l, f.now, true);
	pass(&f, 1010 * S);
	for (unsigned i = 0; i < 100; i++) {
		lldp_changed(&f.l, f.now);
		pass(&f, f.now + NS_PER_MS);
	}
	assert_int_equal(f.n_sent, 1 + LLDP_CREDIT_MAX);
	pass(&f, 1015 * S); /* what was not said yet is said once there is credit, once */
	assert_int_equal(f.n_sent, 1 + LLDP_CREDIT_MAX + 1);
	assert_true(f.sent_at[f.n_sent - 1] == 1011 * S);
	assert_int_equal(f.l.stats.delayed, 1);
}

static void credit_comes_back_one_a_second(void **state)
{
	struct fixture f;

	start(&f);
	lldp_link(&f.l, f.now, true);
	for (unsigned i = 0; i < 200; i++) {
		lldp_changed(&f.l, f.now);
		pass(&f, f.now + 100 * NS_PER_MS);
	}
	assert_int_equal(f.n_sent, LLDP_CREDIT_MAX + 20);
	pass(&f, f.now + 3 * S); /* and three are saved */
	f.n_sent = 0;
	for (unsigned i = 0; i < 8; i++) {
		lldp_changed(&f.l, f.now);
		pass(&f, f.now + NS_PER_MS);
	}
	assert_int_equal(f.n_sent, 3);
}

static void changes_at_once_are_one_pdu(void **state)
{
	struct fixture f;

	start(&f);
	lldp_link(&f.l, f.now, true);
	pass(&f, 1001 * S);
	lldp_changed(&f.l, f.now);
	lldp_changed(&f.l, f.now);
	pass(&f, f.now);
	assert_int_equal(f.n_sent, 2);
}

static void neighbours_age_unless_they_go_on(void **state)
{
	struct fixture f;

	start(&f);
	lldp_link(&f.l, f.now, true);
	hear(&f, 2, 10);
	assert_int_equal(f.n_peer, 1);
	pass(&f, 1009 * S);
	hear(&f, 2, 10); /* the same again: lives on, and nobody is told */
	assert_int_equal(f.n_peer, 1);
	pass(&f, 1018 * S + 999 * NS_PER_MS);
	assert_true(f.has_peer);
	pass(&f, 1019 * S);
	assert_false(f.has_peer);
	assert_int_equal(f.l.stats.aged, 1);
	assert_string_equal(f.events, "NA");
}

static void a_change_is_told_and_a_good_bye(void **state)
{
	struct fixture f;

	start(&f);
	lldp_link(&f.l, f.now, true);
	hear_text(&f, 2, 10, "a");
	hear_text(&f, 2, 10, "b");
	assert_int_equal(f.n_peer, 2);
	hear(&f, 3, 0); /* of nobody we know */
	assert_true(f.has_peer);
	hear(&f, 2, 0);
	assert_false(f.has_peer);
	assert_string_equal(f.events, "NCS");
}

static void assert_peer(const struct fixture *f, uint8_t x)
{
	struct lldp_id id = id_of(x);

	assert_true(f->has_peer && lldp_id_equal(&f->peer, &id));
	assert_int_equal(lldp_peer(&f->l)->src.b[5], x);
}

/* However many strangers there are, before or after it. */
static void who_says_what_is_looked_for_is_the_peer(void **state)
{
	struct fixture f;

	start(&f);
	lldp_link(&f.l, f.now, true);
	assert_null(lldp_peer(&f.l));
	for (uint8_t x = 2; x < 10; x++)
		hear(&f, x, 100);
	assert_peer(&f, 2);
	hear_text(&f, 20, 100, "!");
	assert_peer(&f, 20);
	assert_int_equal(f.n_peer, 2);
	assert_int_equal(f.l.n_neighbours, LLDP_NEIGHBOURS_MAX);
	assert_string_equal(f.events, "NNNNDN"); /* the youngest made room */
	for (uint8_t x = 30; x < 40; x++)
		hear(&f, x, 100);
	hear(&f, 2, 0); /* one of the strangers goes, and another comes */
	hear(&f, 30, 100);
	for (uint8_t x = 40; x < 50; x++)
		hear_text(&f, x, 100, "!"); /* who says it later is not */
	assert_int_equal(f.n_peer, 2);
	assert_peer(&f, 20);
	hear_text(&f, 20, 100, "it does no longer");
	assert_peer(&f, 40);
	hear_text(&f, 20, 100, "!");
	assert_peer(&f, 20); /* it was there before */
	hear(&f, 20, 0);
	assert_peer(&f, 40);
	lldp_link(&f.l, f.now, false);
	assert_int_equal(f.n_peer, 6);
	assert_false(f.has_peer);
	assert_null(lldp_peer(&f.l));
}

/* Whoever was there first is the peer; others are heard, and one moves up when it goes. */
static void the_oldest_is_the_peer(void **state)
{
	struct fixture f;
	struct lldp_id second = id_of(3);

	start(&f);
	lldp_link(&f.l, f.now, true);
	for (uint8_t x = 2; x < 2 + LLDP_NEIGHBOURS_MAX + 2; x++)
		hear(&f, x, x == 2 ? 5 : 100);
	assert_int_equal(f.l.n_neighbours, LLDP_NEIGHBOURS_MAX);
	assert_int_equal(f.l.stats.forgotten, 2);
	assert_int_equal(f.n_peer, 1);
	hear_text(&f, 3, 100, "b");
	assert_int_equal(f.n_peer, 1);
	pass(&f, 1006 * S);
	assert_int_equal(f.n_peer, 2);
	assert_true(f.has_peer && lldp_id_equal(&f.peer, &second));
	lldp_link(&f.l, f.now, false);
	assert_int_equal(f.n_peer, 3);
	assert_false(f.has_peer);
	assert_string_equal(f.events, "NNNNCALLL");
}

static void stopping_says_good_bye_and_starting_waits(void **state)
{
	struct fixture f;

	start(&f);
	lldp_link(&f.l, f.now, true);
	pass(&f, 1001 * S);
	hear(&f, 2, 100);
	for (unsigned i = 0; i < 20; i++) { /* also without credit */
		lldp_changed(&f.l, f.now);
		pass(&f, f.now + NS_PER_MS);
	}
	lldp_stop(&f.l, f.now);
	assert_int_equal(f.last_sent.ttl, 0);
	assert_false(f.has_peer);
	f.n_sent = 0;
	hear(&f, 2, 100);
	assert_false(f.has_peer);
	lldp_start(&f.l, f.now);
	pass(&f, 1003 * S);
	assert_int_equal(f.n_sent, 0);
	pass(&f, 1004 * S);
	assert_int_equal(f.n_sent, 1);
	assert_int_equal(f.last_sent.ttl, 121);
}

static void frames_that_count_for_nothing(void **state)
{
	struct fixture f;

	start(&f);
	hear(&f, 2, 100); /* the link is down */
	assert_int_equal(f.l.n_neighbours, 0);
	lldp_link(&f.l, f.now, true);
	pass(&f, 1001 * S);
	assert_true(lldp_received(&f.l, f.now, cursor_of(f.last_frame, f.last_size)));
	assert_int_equal(f.l.stats.looped, 1);
	assert_true(lldp_received(&f.l, f.now, cursor_of(f.last_frame, 20)));
	assert_int_equal(f.l.stats.malformed[MALFORMED_tlv_overrun], 1);
	f.last_frame[5] = 0x0e; /* of another scope */
	assert_false(lldp_received(&f.l, f.now, cursor_of(f.last_frame, f.last_size)));
	assert_false(lldp_received(&f.l, f.now, cursor_of(f.last_frame, 13)));
	assert_int_equal(f.l.n_neighbours, 0);
	f.l.config.receives = false;
	hear(&f, 2, 100);
	assert_int_equal(f.l.n_neighbours, 0);
	f.l.config.transmits = false;
	assert_true(lldp_deadline(&f.l) == TSTAMP_NEVER);
}

static void a_jumbo_pdu_is_not_kept(void **state)
{
	static uint8_t frame[9000];
	struct fixture f;
	struct writer w = writer_of(frame, sizeof(frame));

	start(&f);
	lldp_link(&f.l, f.now, true);
	envelope_write(&w, (struct envelope){ envelope_group(0), { { 2 } }, ETHERTYPE_LLDP });
	lldp_pdu_encode(&w, &(struct lldp_pdu){ .chassis = id_of(2), .port = id_of(2), .ttl = 9 },
			cursor_of(NULL, 0));
	assert_true(lldp_received(&f.l, f.now, cursor_of(frame, sizeof(frame))));
	assert_int_equal(f.l.stats.malformed[MALFORMED_oversize], 1);
	assert_int_equal(f.l.n_neighbours, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(quiet_until_the_link_is_up_then_every_interval),
		cmocka_unit_test(a_new_neighbour_is_answered_fast),
		cmocka_unit_test(bursts_end_with_the_credit),
		cmocka_unit_test(credit_comes_back_one_a_second),
		cmocka_unit_test(changes_at_once_are_one_pdu),
		cmocka_unit_test(neighbours_age_unless_they_go_on),
		cmocka_unit_test(a_change_is_told_and_a_good_bye),
		cmocka_unit_test(the_oldest_is_the_peer),
		cmocka_unit_test(who_says_what_is_looked_for_is_the_peer),
		cmocka_unit_test(stopping_says_good_bye_and_starting_waits),
		cmocka_unit_test(frames_that_count_for_nothing),
		cmocka_unit_test(a_jumbo_pdu_is_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
