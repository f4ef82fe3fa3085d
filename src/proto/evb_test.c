// SPDX-License-Identifier: Apache-2.0
/*
 * EVB by LLDP: the dialogue of a station and a bridge to the octet, reflective relay, whose values
 * are in use, and the choice of the generation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "evb.h"
#include "hex_fixture.h"

/* One end, and what its hooks were told. */
struct end {
	struct evb e;
	unsigned n_advertise, n_changed;
	int reflect;	       /* what the data plane was told last; -1: nothing */
	bool plane_is_at_once; /* it does so within the hook */
	struct lldp_pdu pdu;
	uint8_t octets[64];
};

static void on_advertise(void *ctx, tstamp now)
{
	((struct end *)ctx)->n_advertise++;
}

static void on_changed(void *ctx, tstamp now)
{
	((struct end *)ctx)->n_changed++;
}

static void on_reflect(void *ctx, tstamp now, bool on)
{
	struct end *end = ctx;

	end->reflect = on;
	if (end->plane_is_at_once)
		evb_reflects(&end->e, now, on);
}

static void start(struct end *end, struct evb_config config)
{
	struct evb_hooks hooks = { on_advertise, on_reflect, on_changed, end };

	*end = (struct end){ .reflect = -1 };
	evb_init(&end->e, &config, &hooks);
}

static struct evb_config of(enum evb_role role)
{
	return evb_config_default(role);
}

/* The PDU that an end would send now. */
static const struct lldp_pdu *pdu_of(struct end *end)
{
	struct writer w = writer_of(end->octets, sizeof(end->octets));

	evb_write_tlv(&end->e, &w);
	end->pdu = (struct lldp_pdu){ .ttl = 120, .optional = cursor_of(w.octets, w.size) };
	return &end->pdu;
}

static void tell(struct end *from, struct end *to)
{
	evb_peer(&to->e, 0, pdu_of(from));
}

static void tell_octets(struct end *to, const char *text)
{
	struct hex h = hex_of(text);
	struct lldp_pdu pdu = { .ttl = 120, .optional = hex_cursor(&h) };

	evb_peer(&to->e, 0, &pdu);
}

static void assert_says(struct end *end, const char *text)
{
	struct hex h = hex_of(text);
	const struct lldp_pdu *pdu = pdu_of(end);

	assert_int_equal(pdu->optional.left, h.size);
	assert_memory_equal(pdu->optional.at, h.octets, h.size);
}

#define TLV "FE 09 00 80 C2 0D "

/* What lldpad and its peer were seen to say at start-up. */
static void the_dialogue_to_the_octet(void **state)
{
	struct evb_config station = of(EVB_STATION), bridge = of(EVB_BRIDGE);
	struct end s, b;

	station.values.rwd = bridge.values.rwd = 20;
	start(&s, station);
	start(&b, bridge);
	assert_says(&s, TLV "00 07 6E 94 14");
	assert_says(&b, TLV "02 00 6E 54 14");
	tell(&b, &s);
	assert_says(&s, TLV "02 04 6E B4 34");
	assert_int_equal(s.n_advertise, 1);
	assert_int_equal(s.e.status, EVB_RR_OFF);
	tell(&s, &b);
	assert_int_equal(b.reflect, 1);
	assert_says(&b, TLV "02 04 6E 74 34"); /* not before the data plane does */
	evb_reflects(&b.e, 0, true);
	assert_says(&b, TLV "03 04 6E 74 34");
	assert_int_equal(b.n_advertise, 2);
	tell(&b, &s);
	assert_says(&s, TLV "03 05 6E B4 34");
	assert_int_equal(s.e.status, EVB_RR_ON);
	tell(&s, &b);
	assert_says(&b, TLV "03 05 6E 74 34");
	tell(&b, &s);
	assert_int_equal(s.n_advertise, 2); /* nothing new */
}

static void reflecting_ends(void **state)
{
	enum how { GONE, RRREQ_0, NO_TLV, SHORT_TLV, IS_BRIDGE, CONFIGURED, HOWS_N };

	for (enum how how = GONE; how < HOWS_N; how++) {
		struct evb_config config = of(EVB_BRIDGE);
		struct end b;

		start(&b, config);
		b.plane_is_at_once = true;
		tell_octets(&b, TLV "02 04 6E B4 34");
		/* Values with ROL in the first TLV may be of a former life of ours. */
		assert_says(&b, TLV "03 04 6E 51 34");
		assert_int_equal(b.e.values.rwd, 20);
		config.reflective_relay = false;
		switch (how) {
		case GONE:
			evb_peer(&b.e, 0, NULL);
			break;
		case RRREQ_0:
			tell_octets(&b, TLV "03 01 6E B4 34");
			break;
		case NO_TLV:
			tell_octets(&b, "");
			break;
		case SHORT_TLV:
			tell_octets(&b, "FE 08 00 80 C2 0D 02 04 6E B4");
			assert_int_equal(b.e.stats.malformed[MALFORMED_truncated], 1);
			break;
		case IS_BRIDGE:
			tell_octets(&b, TLV "02 04 6E 74 34");
			assert_int_equal(b.e.stats.wrong_role, 1);
			break;
		case CONFIGURED:
			evb_configure(&b.e, 0, &config);
			break;
		case HOWS_N:
			break;
		}
		assert_int_equal(b.reflect, 0);
		assert_int_equal(pdu_of(&b)->optional.at[6] & EVB_BRIDGE_RR_CTR, 0);
		assert_int_equal(b.octets[6] & EVB_BRIDGE_RR_CAP, how == CONFIGURED ? 0 : 2);
		assert_int_equal(b.e.status, EVB_RR_OFF);
	}
}

/* RRCTR says less than the data plane while it still reflects, never more. */
static void the_octet_never_runs_ahead_of_the_data_plane(void **state)
{
	struct end b;

	start(&b, of(EVB_BRIDGE));
	tell_octets(&b, TLV "02 04 6E B4 34");
	evb_peer(&b.e, 0, NULL); /* before it did */
	evb_reflects(&b.e, 0, true);
	assert_says(&b, TLV "02 00 6E 51 14");
	assert_int_equal(b.e.status, EVB_RR_ON);
	evb_reflects(&b.e, 0, false);
	assert_int_equal(b.e.status, EVB_RR_OFF);
	assert_int_equal(b.reflect, 0);
}

static void a_station_without_a_bridge_does_not_know(void **state)
{
	struct end s;

	start(&s, of(EVB_STATION));
	tell_octets(&s, TLV "03 05 6E 74 34");
	assert_int_equal(s.e.status, EVB_RR_ON);
	evb_peer(&s.e, 0, NULL);
	assert_int_equal(s.e.status, EVB_RR_UNKNOWN);
	assert_says(&s, TLV "00 07 6E 91 14");
	tell_octets(&s, TLV "03 05 6E B4 34"); /* another station */
	assert_int_equal(s.e.status, EVB_RR_UNKNOWN);
	assert_says(&s, TLV "00 07 6E 91 14"); /* and no echo of it */
	start(&s, of(EVB_BRIDGE));
	tell_octets(&s, TLV "03 05 6E 74 34");
	assert_says(&s, TLV "02 00 6E 51 14");
}

static void the_greater_value_is_in_use_unless_manual(void **state)
{
	static const struct {
		bool manual;
		const char *heard, *says; /* octets 4..8 */
		struct evb_values values;
	} row[] = {
		{ false, "00 07 25 8A 0A", "02 07 6E 51 14", { 3, 14, 17, 20 } },
		{ false, "00 07 F5 9B 1B", "02 07 F5 7B 3B", { 7, 21, 27, 27 } },
		{ false, "00 07 FF 9F 1F", "02 07 FB 7B 3B", { 7, 27, 27, 27 } }, /* cap */
		{ false, "00 07 6F 8A 34", "02 07 6F 51 34", { 3, 15, 17, 20 } },
		{ true, "00 07 F5 9E 1E", "02 07 6E 51 14", { 3, 14, 17, 20 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct evb_config config = of(EVB_BRIDGE);
		char text[64];
		struct end b;

		config.manual = row[i].manual;
		start(&b, config);
		snprintf(text, sizeof(text), TLV "%s", row[i].heard);
		tell_octets(&b, text);
		assert_int_equal(evb_is_capped(&b.e), i == 2);
		snprintf(text, sizeof(text), TLV "%s", row[i].says);
		assert_says(&b, text);
		assert_memory_equal(&b.e.values, &row[i].values, sizeof(b.e.values));
	}
}

static void a_value_is_ours_again_when_the_neighbour_goes(void **state)
{
	struct end b;

	start(&b, of(EVB_BRIDGE));
	tell_octets(&b, TLV "00 07 F5 9E 1E");
	assert_int_equal(b.n_changed, 1);
	evb_peer(&b.e, 0, NULL);
	assert_int_equal(b.e.values.rka, 20);
	assert_int_equal(b.n_changed, 2);
	tell_octets(&b, TLV "00 07 6E 91 14");
	for (unsigned i = 0; i < 4; i++) { /* each value alone is worth a word, and nothing none */
		static const char *const more[] = { TLV "00 07 8E 91 14", TLV "00 07 8F 91 14",
						    TLV "00 07 8F 92 14", TLV "00 07 8F 92 15" };

		tell_octets(&b, more[i]);
		assert_int_equal(b.n_changed, 4 + i);
		tell_octets(&b, more[i]);
		assert_int_equal(b.n_changed, 4 + i);
	}
}

static void group_ids_need_both(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct evb_config config = of(EVB_STATION);
		struct end s;

		config.group_id = i & 1;
		start(&s, config);
		assert_false(s.e.group_id);
		tell_octets(&s, i & 2 ? TLV "06 07 6E 51 14" : TLV "02 07 6E 51 14");
		assert_int_equal(s.e.group_id, i == 3);
		tell_octets(&s, TLV "02 07 6E 51 14");
		assert_int_equal(s.n_changed, i == 3 ? 2 : 1);
		assert_int_equal(pdu_of(&s)->optional.at[7] & EVB_STATION_GROUP_ID, i & 1 ? 8 : 0);
	}
}

static void of_two_tlvs_the_first_counts(void **state)
{
	struct end s;

	start(&s, of(EVB_STATION));
	tell_octets(&s, TLV "03 05 6E 74 34" TLV "02 05 6E 74 34");
	assert_int_equal(s.e.status, EVB_RR_ON);
	tell_octets(&s, "FE 0B 00 80 C2 0D 02 05 6E 74 34 FF FF"); /* a longer one */
	assert_int_equal(s.e.status, EVB_RR_OFF);
}

#define DRAFT "FE 0D 00 1B 3F 00 "

static void drafts_are_met_in_kind(void **state)
{
	struct end b;

	start(&b, of(EVB_BRIDGE));
	b.plane_is_at_once = true;
	tell_octets(&b, DRAFT "40 07 80 00 0C DF 00 00 0F"); /* lldpad asks for reflection */
	assert_int_equal(b.e.generation, EVB_DRAFT);
	assert_int_equal(b.reflect, 1);
	assert_true(b.e.draft_vdp);
	assert_int_equal(b.e.values.rte, 15);
	assert_says(&b, DRAFT "C0 07 40 07 0C DF 00 00 0F");
	tell_octets(&b, DRAFT "80 06 80 06 0C DF 00 00 0F");
	assert_int_equal(b.reflect, 0);
	assert_false(b.e.draft_vdp);
	assert_says(&b, DRAFT "C0 07 80 06 0C DF 00 00 0F");
	tell_octets(&b, DRAFT "80 06 80 06 0C DF 00 00 0E");
	b.n_changed = 0; /* of all, the generation alone is another now */
	tell_octets(&b, DRAFT "80 06 80 06 0C DF 00 00 0F" TLV "02 00 6E B4 34");
	assert_int_equal(b.n_changed, 1);
	tell_octets(&b, DRAFT "80 06 80 06 0C DF 00 00 0F" TLV "02 04 6E B4 34");
	assert_int_equal(b.e.generation, EVB_RATIFIED); /* who speaks both is spoken to in that */
	assert_int_equal(b.reflect, 1);
	tell_octets(&b, DRAFT "3F 07 80 00 0C DF 00 00 0F"); /* no mode at all: as if silent */
	assert_int_equal(b.e.generation, EVB_RATIFIED);
	assert_int_equal(b.reflect, 0);
	assert_int_equal(b.e.stats.malformed[MALFORMED_mode], 1);
}

static void a_draft_bridge_says_what_it_does(void **state)
{
	struct end b;

	start(&b, of(EVB_BRIDGE));
	tell_octets(&b, DRAFT "40 07 80 00 0C DF 00 00 0F");
	assert_says(&b, DRAFT "C0 07 80 07 0C DF 00 00 0F");
	evb_reflects(&b.e, 0, true);
	assert_says(&b, DRAFT "C0 07 40 07 0C DF 00 00 0F");
}

static void a_fixed_dialect_does_not_follow(void **state)
{
	struct evb_config config = of(EVB_STATION);
	struct end s;

	config.dialect = EVB_RATIFIED_ONLY;
	start(&s, config);
	tell_octets(&s, DRAFT "C0 07 40 07 0C DF 00 00 0F");
	assert_false(s.e.has_peer);
	assert_says(&s, TLV "00 07 6E 91 14");
	config.dialect = EVB_DRAFT_ONLY;
	start(&s, config);
	assert_says(&s, DRAFT "C0 07 80 00 0C DF 00 00 0E");
	tell_octets(&s, TLV "03 05 6E 74 34");
	assert_false(s.e.has_peer);
	tell_octets(&s, DRAFT "40 07 40 07 0C DF 00 00 0F");
	assert_int_equal(s.e.status, EVB_RR_ON);
	assert_says(&s, DRAFT "C0 07 40 07 0C DF 00 00 0F");
}

/* Each formula of the reference at the values that were measured there. */
static void timers(void **state)
{
	struct evb_timing t = evb_timing_of(EVB_RATIFIED, (struct evb_values){ 3, 10, 17, 20 });

	assert_int_equal(evb_delay(8), 2560 * NS_PER_US);
	assert_int_equal(evb_delay(31), 21474836480 * NS_PER_US);
	assert_int_equal(t.transmissions, 4);
	assert_int_equal(t.response_wait / NS_PER_MS, 2073);
	t = evb_timing_of(EVB_RATIFIED, (struct evb_values){ 3, 14, 17, 20 });
	assert_int_equal(t.keep_alive / NS_PER_MS, 10485);
	assert_int_equal(t.keep_alive_timeout / NS_PER_MS, 17448);
	assert_true(t.response_wait < 10 * NS_PER_S); /* libvirt's patience */
	t = evb_timing_of(EVB_RATIFIED, (struct evb_values){ 7, 31, 31, 31 });
	assert_true(t.keep_alive_timeout > t.keep_alive);
	t = evb_timing_of(EVB_DRAFT, (struct evb_values){ 7, 31, 31, 31 });
	assert_int_equal(t.ack_wait, 500 * NS_PER_MS);
	assert_int_equal(t.transmissions, 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_dialogue_to_the_octet),
		cmocka_unit_test(reflecting_ends),
		cmocka_unit_test(the_octet_never_runs_ahead_of_the_data_plane),
		cmocka_unit_test(a_station_without_a_bridge_does_not_know),
		cmocka_unit_test(the_greater_value_is_in_use_unless_manual),
		cmocka_unit_test(a_value_is_ours_again_when_the_neighbour_goes),
		cmocka_unit_test(group_ids_need_both),
		cmocka_unit_test(of_two_tlvs_the_first_counts),
		cmocka_unit_test(drafts_are_met_in_kind),
		cmocka_unit_test(a_draft_bridge_says_what_it_does),
		cmocka_unit_test(a_fixed_dialect_does_not_follow),
		cmocka_unit_test(timers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
