// SPDX-License-Identifier: Apache-2.0
/* CDCP: a station and a bridge agree on channels, to the octet; pools, capacities, and ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cdcp.h"
#include "hex_fixture.h"

struct side {
	struct cdcp c;
	uint16_t svid[CDCP_SCID_MAX + 1]; /* channels that were made and not removed */
	unsigned n_channels, n_advertise;
	uint8_t octets[TLV_SIZE_MAX];
	struct lldp_pdu pdu;
};

static void on_advertise(void *ctx, tstamp now)
{
	((struct side *)ctx)->n_advertise++;
}

static void on_channel(void *ctx, tstamp now, uint16_t scid, uint16_t svid)
{
	struct side *side = ctx;

	assert_in_range(scid, 2, CDCP_SCID_MAX);
	assert_true(!svid != !side->svid[scid]); /* made once, removed once */
	for (uint16_t i = 0; svid && i <= CDCP_SCID_MAX; i++)
		assert_int_not_equal(side->svid[i], svid);
	side->svid[scid] = svid;
	if (svid)
		side->n_channels++;
	else
		side->n_channels--;
}

static struct cdcp_config station(uint16_t n, const uint16_t *wanted)
{
	struct cdcp_config config = { .role = CDCP_STATION,
				      .s_component = true,
				      .capacity = CDCP_CHANNELS_MAX,
				      .n_wanted = n };

	memcpy(config.wanted, wanted, n * sizeof(*wanted));
	return config;
}

static struct cdcp_config bridge(uint16_t low, uint16_t high)
{
	return (struct cdcp_config){ .role = CDCP_BRIDGE,
				     .capacity = CDCP_CHANNELS_MAX,
				     .svid_low = low,
				     .svid_high = high };
}

static void start(struct side *side, struct cdcp_config config)
{
	struct cdcp_hooks hooks = { on_advertise, on_channel, side };

	*side = (struct side){ .n_channels = 0 };
	cdcp_init(&side->c, &config, &hooks);
}

static const struct lldp_pdu *pdu_of(struct side *side)
{
	struct writer w = writer_of(side->octets, sizeof(side->octets));

	cdcp_write_tlv(&side->c, &w);
	assert_false(w.full);
	side->pdu = (struct lldp_pdu){ .ttl = 120, .optional = cursor_of(w.octets, w.size) };
	return &side->pdu;
}

static void tell(struct side *from, struct side *to)
{
	cdcp_peer(&to->c, 0, pdu_of(from));
}

/* Both say what they have until neither has anything new. */
static void agree(struct side *a, struct side *b)
{
	unsigned before;

	do {
		before = a->n_advertise + b->n_advertise;
		tell(a, b);
		tell(b, a);
	} while (before != a->n_advertise + b->n_advertise);
	assert_int_equal(a->n_channels, b->n_channels);
	assert_memory_equal(a->svid, b->svid, sizeof(a->svid));
}

static void assert_says(struct side *side, const char *text)
{
	struct hex h = hex_of(text);
	const struct lldp_pdu *pdu = pdu_of(side);

	assert_int_equal(pdu->optional.left, h.size);
	assert_memory_equal(pdu->optional.at, h.octets, h.size);
}

static void a_channel_comes_and_goes_to_the_octet(void **state)
{
	static const uint16_t two = 2;
	struct cdcp_config none = station(0, &two);
	struct side s, b;

	start(&s, station(1, &two));
	start(&b, bridge(100, 200));
	assert_says(&s, "FE 0E 00 80 C2 0E | 88 00 00 A7 | 00 10 01 | 00 20 00");
	assert_says(&b, "FE 0B 00 80 C2 0E | 00 00 00 A7 | 00 10 01");
	tell(&b, &s);
	assert_int_equal(s.n_channels, 0);
	tell(&s, &b);
	assert_says(&b, "FE 0E 00 80 C2 0E | 00 00 00 A7 | 00 10 01 | 00 20 64");
	assert_int_equal(b.svid[2], 100);
	tell(&b, &s);
	assert_int_equal(s.svid[2], 100);
	assert_says(&s, "FE 0E 00 80 C2 0E | 88 00 00 A7 | 00 10 01 | 00 20 64");
	agree(&s, &b);
	cdcp_configure(&s.c, 0, &none);
	assert_int_equal(s.n_channels, 0);
	tell(&s, &b);
	assert_int_equal(b.n_channels, 0);
	assert_says(&b, "FE 0B 00 80 C2 0E | 00 00 00 A7 | 00 10 01");
}

static void tags_are_kept_and_reused(void **state)
{
	static const uint16_t first[] = { 2, 3, 4 }, then[] = { 9, 4, 2 };
	struct cdcp_config changed = station(3, then);
	struct side s, b;

	start(&s, station(3, first));
	start(&b, bridge(100, 102));
	agree(&s, &b);
	assert_int_equal(s.svid[2] * 1000000 + s.svid[3] * 1000 + s.svid[4], 100101102);
	cdcp_configure(&s.c, 0, &changed); /* 3 goes, 9 comes, and is asked for first */
	agree(&s, &b);
	assert_int_equal(s.svid[2], 100);
	assert_int_equal(s.svid[4], 102);
	assert_int_equal(s.svid[9], 101);
	assert_int_equal(s.svid[3], 0);
}

static void a_pool_is_exhausted_and_grows(void **state)
{
	static const uint16_t wanted[] = { 2, 3, 4 };
	struct cdcp_config larger = bridge(10, 20), elsewhere = bridge(30, 40);
	struct side s, b;

	start(&s, station(3, wanted));
	start(&b, bridge(10, 11));
	agree(&s, &b);
	assert_int_equal(s.n_channels, 2);
	assert_says(&b,
		    "FE 14 00 80 C2 0E | 00 00 00 A7 | 00 10 01 | 00 20 0A | 00 30 0B | 00 40 00");
	assert_true(b.c.stats.exhausted > 0);
	cdcp_configure(&b.c, 0, &larger);
	agree(&s, &b);
	assert_int_equal(s.svid[4], 12);
	cdcp_configure(&b.c, 0, &elsewhere); /* all get another tag */
	agree(&s, &b);
	assert_int_equal(s.n_channels, 3);
	assert_in_range(s.svid[2], 30, 40);
}

/* A restarted bridge gives each the tag that the station says it has, if it can. */
static void a_bridge_that_forgot_gives_the_same(void **state)
{
	static const uint16_t wanted[] = { 2, 3, 4 };
	struct side s, b;

	start(&s, station(3, wanted));
	start(&b, bridge(100, 200));
	agree(&s, &b);
	s.c.channel[0].svid = 150; /* as if it had been given by hand */
	s.svid[2] = 150;
	start(&b, bridge(100, 200));
	agree(&s, &b);
	assert_int_equal(b.svid[2], 150);
	assert_int_equal(b.svid[3], 101);
}

/* What is not named at all is kept for a while; a tag of 0 is an answer. */
static void a_station_keeps_what_a_bridge_forgot(void **state)
{
	static const uint16_t wanted[] = { 2, 3 };
	enum how { GRANTED, DENIED, SILENT, GONE, HOWS_N };

	for (enum how how = GRANTED; how < HOWS_N; how++) {
		struct hex first = hex_of("FE 0B 00 80 C2 0E | 00 00 00 A7 | 00 10 01");
		struct lldp_pdu pdu = { .ttl = 1, .optional = hex_cursor(&first) };
		struct side s, b;

		start(&s, station(2, wanted));
		start(&b, bridge(100, 200));
		agree(&s, &b);
		assert_int_equal(cdcp_deadline(&s.c), TSTAMP_NEVER);
		s.n_advertise = 0;
		cdcp_peer(&s.c, 7, &pdu);
		assert_int_equal(s.n_channels, 2);
		assert_int_equal(s.n_advertise, 1); /* so that the bridge hears of it */
		assert_says(&s, "FE 11 00 80 C2 0E | 88 00 00 A7 | 00 10 01 | 00 20 64 | 00 30 65");
		assert_int_equal(cdcp_deadline(&s.c), 7 + CDCP_HOLD_S * NS_PER_S);
		switch (how) {
		case DENIED:
			start(&b, bridge(100, 100));
			/* fall through */
		case GRANTED:
			agree(&s, &b);
			break;
		case SILENT:
			cdcp_peer(&s.c, 8, &pdu);
			cdcp_run(&s.c, 6 + CDCP_HOLD_S * NS_PER_S);
			assert_int_equal(s.n_channels, 2);
			cdcp_run(&s.c, 7 + CDCP_HOLD_S * NS_PER_S);
			assert_says(&s, "FE 11 00 80 C2 0E | 88 00 00 A7 | 00 10 01 | 00 20 00 |"
					"00 30 00");
			break;
		case GONE:
			cdcp_peer(&s.c, 8, NULL);
			break;
		case HOWS_N:
			break;
		}
		assert_int_equal(s.n_channels, how == GRANTED ? 2 : how == DENIED ? 1 : 0);
		assert_int_equal(cdcp_deadline(&s.c), TSTAMP_NEVER);
	}
}

static void a_bridge_serves_what_it_has(void **state)
{
	static const uint16_t wanted[] = { 2, 3, 4 };
	struct cdcp_config some = bridge(100, 200), other = some;
	struct side s, b;

	some.wanted[some.n_wanted++] = 4;
	other.wanted[other.n_wanted++] = 3;
	start(&s, station(3, wanted));
	start(&b, some);
	agree(&s, &b);
	assert_int_equal(s.n_channels, 1);
	assert_int_equal(s.svid[4], 100);
	assert_int_equal(b.c.stats.exhausted, 0);
	cdcp_configure(&b.c, 0, &other);
	agree(&s, &b);
	assert_int_equal(s.n_channels, 1);
	assert_int_equal(s.svid[3], 100);
}

static void the_smaller_capacity_counts(void **state)
{
	uint16_t wanted[CDCP_CHANNELS_MAX - 1];
	struct cdcp_config config = bridge(100, 1000);
	struct side s, b;

	for (uint16_t i = 0; i < ARRAY_SIZE(wanted); i++)
		wanted[i] = (uint16_t)(i + 2);
	start(&s, station(ARRAY_SIZE(wanted), wanted));
	start(&b, config);
	agree(&s, &b);
	assert_int_equal(s.n_channels, CDCP_CHANNELS_MAX - 1);
	config.capacity = 5;
	cdcp_configure(&b.c, 0, &config);
	agree(&s, &b);
	assert_int_equal(s.n_channels, 4);
	assert_int_equal(pdu_of(&s)->optional.left, 2 + 8 + 3 * 5); /* asks for no more, either */
	config.capacity = 0;					    /* nonsense, and no harm */
	cdcp_configure(&b.c, 0, &config);
	agree(&s, &b);
	assert_int_equal(s.n_channels, 0);
}

static void equal_roles_do_not_run(void **state)
{
	static const uint16_t two = 2;
	struct side a, b;

	start(&a, station(1, &two));
	start(&b, station(1, &two));
	agree(&a, &b);
	assert_false(a.c.has_peer || b.c.has_peer);
	assert_int_equal(a.n_channels, 0);
	start(&a, bridge(2, 9));
	start(&b, bridge(2, 9));
	agree(&a, &b);
	assert_false(a.c.has_peer || b.c.has_peer);
	assert_true(a.c.stats.wrong_role > 0);
}

static void all_channels_go_with_the_peer(void **state)
{
	static const uint16_t wanted[] = { 2, 3 };
	struct side s, b;

	start(&s, station(2, wanted));
	start(&b, bridge(100, 200));
	agree(&s, &b);
	cdcp_peer(&s.c, 0, NULL);
	cdcp_peer(&b.c, 0, NULL);
	assert_int_equal(s.n_channels + b.n_channels, 0);
	assert_says(&s, "FE 11 00 80 C2 0E | 88 00 00 A7 | 00 10 01 | 00 20 00 | 00 30 00");
	agree(&s, &b);
	assert_int_equal(s.n_channels, 2);
}

/* Whatever a bridge grants: no tag twice, none that is the default channel's. */
static void a_station_does_not_take_everything(void **state)
{
	static const uint16_t wanted[] = { 2, 3, 4, 5 };
	struct hex h = hex_of("FE 1A 00 80 C2 0E | 00 00 00 A7 | 00 10 01 | 00 20 64 | 00 30 64 |"
			      "00 40 01 | 00 50 00 | 00 60 65");
	struct lldp_pdu pdu = { .ttl = 1, .optional = hex_cursor(&h) };
	struct side s;

	start(&s, station(4, wanted));
	cdcp_peer(&s.c, 0, &pdu);
	assert_int_equal(s.n_channels, 1);
	assert_int_equal(s.svid[2], 100);
	h.octets[1] = 0x19; /* malformed, as if silent */
	pdu.optional.left--;
	cdcp_peer(&s.c, 0, &pdu);
	assert_int_equal(s.n_channels, 0);
	assert_int_equal(s.c.stats.malformed[MALFORMED_tlv_size], 1);
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

/* Wishes, pools, capacities and losses at random: in the end both sides have the same channels. */
static void random_changes_end_in_agreement(void **state)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		uint64_t x = seed;
		uint16_t wanted[20];
		struct side s, b;

		start(&s, station(0, wanted));
		start(&b, bridge(100, 110));
		for (unsigned step = 0; step < 40; step++) {
			struct cdcp_config config;
			uint16_t n = 0, low;

			for (uint16_t scid = 2; scid < 22; scid++)
				if (next_random(&x) % 3 == 0)
					wanted[n++] = scid;
			switch (next_random(&x) % 5) {
			case 0:
				config = station(n, wanted);
				config.capacity = (uint16_t)(next_random(&x) % 30);
				cdcp_configure(&s.c, 0, &config);
				break;
			case 1:
				low = (uint16_t)(95 + next_random(&x) % 10);
				config = bridge(low, (uint16_t)(low + next_random(&x) % 20));
				cdcp_configure(&b.c, 0, &config);
				break;
			case 2:
				tell(&s, &b);
				break;
			case 3:
				tell(&b, &s);
				break;
			default:
				cdcp_peer(next_random(&x) % 2 ? &s.c : &b.c, 0, NULL);
				break;
			}
		}
		agree(&s, &b);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_channel_comes_and_goes_to_the_octet),
		cmocka_unit_test(tags_are_kept_and_reused),
		cmocka_unit_test(a_pool_is_exhausted_and_grows),
		cmocka_unit_test(a_bridge_that_forgot_gives_the_same),
		cmocka_unit_test(a_station_keeps_what_a_bridge_forgot),
		cmocka_unit_test(a_bridge_serves_what_it_has),
		cmocka_unit_test(the_smaller_capacity_counts),
		cmocka_unit_test(equal_roles_do_not_run),
		cmocka_unit_test(all_channels_go_with_the_peer),
		cmocka_unit_test(a_station_does_not_take_everything),
		cmocka_unit_test(random_changes_end_in_agreement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
