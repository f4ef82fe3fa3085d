// SPDX-License-Identifier: Apache-2.0
/*
 * Messages of IGMP, MLD and PIM as in the drawings of their RFCs, octet by octet, with what they
 * say; then everything that may be wrong with them.
 */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csum.h"
#include "eth.h"
#include "mcast.h"

/* What is wrong with a frame, or unusual. */
enum {
	NO_ALERT = 1 << 0,
	TTL_2 = 1 << 1,
	BAD_SUM = 1 << 2,
	BAD_IP_SUM = 1 << 3,
	FRAGMENT = 1 << 4,
	OTHER_MAC = 1 << 5,
	PADDED = 1 << 6,
	TAGGED = 1 << 7,
	PARTIAL = 1 << 8,
	ALERT_LATE = 1 << 9, /* behind other options */
	ALERT_WRONG = 1 << 10,
	ALERT_LONG = 1 << 12,
	BAD_LENGTH = 1 << 11, /* the IP header tells of more than there is */
};

struct row {
	const char *name;
	const char *src, *dst; /* IPv6 if there is a colon */
	uint8_t protocol;      /* 0: IGMP, or MLD */
	const char *payload;   /* hexadecimal; the checksum at octet 2 is put in */
	unsigned flags;
	enum mcast_kind kind;
	const char *notes; /* "join 239.1.1.1, ..." */
};

#define GROUP6 "ff0e0000000000000000000000001234"
#define MAPPED6 "00000000000000000000ffffef010101" /* 239.1.1.1 */
#define NONE6 "00000000000000000000000000000000"

static const struct row rows[] = {
	/* queries */
	{ "IGMPv1 query", "10.0.0.1", "224.0.0.1", 0, "1100000000000000", NO_ALERT, MCAST_QUERY,
	  "all 125s 10000ms r2 v1" },
	{ "IGMPv2 query", "10.0.0.1", "224.0.0.1", 0, "1164000000000000", 0, MCAST_QUERY,
	  "all 125s 10000ms r2" },
	{ "IGMPv2 query, code is linear", "10.0.0.1", "224.0.0.1", 0, "11ff000000000000", 0,
	  MCAST_QUERY, "all 125s 25500ms r2" },
	{ "IGMPv2 query of a group", "10.0.0.1", "239.1.1.1", 0, "110a0000ef010101", 0, MCAST_QUERY,
	  "ask 239.1.1.1 1000ms r2" },
	{ "IGMPv3 query", "10.0.0.1", "224.0.0.1", 0, "116400000000000003200000", 0, MCAST_QUERY,
	  "all 32s 10000ms r3" },
	{ "IGMPv3 query, floats", "10.0.0.1", "224.0.0.1", 0, "118f000000000000078f0000", 0,
	  MCAST_QUERY, "all 248s 24800ms r7" },
	{ "IGMPv3 query that tells nothing", "10.0.0.1", "224.0.0.1", 0, "116400000000000000000000",
	  0, MCAST_QUERY, "all 125s 10000ms r2" },
	{ "IGMPv3 query of sources", "10.0.0.1", "239.1.1.1", 0, "110a0000ef010101027d00010a000002",
	  0, MCAST_QUERY, "ask 239.1.1.1 1000ms r2" },
	{ "MLDv1 query", "fe80::1", "ff02::1", 0, "8200000027100000" NONE6, 0, MCAST_QUERY,
	  "all 125s 10000ms r2" },
	{ "MLDv1 query of a group", "fe80::1", "ff0e::1234", 0, "8200000003e80000" GROUP6, 0,
	  MCAST_QUERY, "ask ff0e::1234 1000ms r2" },
	{ "MLDv2 query", "fe80::1", "ff02::1", 0, "8200000027100000" NONE6 "03200000", 0,
	  MCAST_QUERY, "all 32s 10000ms r3" },
	{ "MLDv2 query, floats", "fe80::1", "ff02::1", 0, "820000008fff0000" NONE6 "02ff0000", 0,
	  MCAST_QUERY, "all 31744s 65528ms r2" },
	{ "query padded to 60 octets", "10.0.0.1", "224.0.0.1", 0, "1164000000000000", PADDED,
	  MCAST_QUERY, "all 125s 10000ms r2" },
	{ "query with a tag", "10.0.0.1", "224.0.0.1", 0, "1164000000000000", TAGGED, MCAST_QUERY,
	  "all 125s 10000ms r2" },
	{ "alert behind other options", "fe80::1", "ff02::1", 0, "8200000027100000" NONE6,
	  ALERT_LATE, MCAST_QUERY, "all 125s 10000ms r2" },
	{ "alert behind others, IPv4", "10.0.0.1", "224.0.0.1", 0, "1164000000000000", ALERT_LATE,
	  MCAST_QUERY, "all 125s 10000ms r2" },
	{ "query of a proxy", "0.0.0.0", "224.0.0.1", 0, "1164000000000000", 0, MCAST_QUERY,
	  "all 125s 10000ms r2 nobody" },
	/* reports */
	{ "IGMPv1 report", "10.0.0.2", "239.1.1.1", 0, "12000000ef010101", NO_ALERT, MCAST_REPORT,
	  "join 239.1.1.1" },
	{ "IGMPv2 report", "10.0.0.2", "239.1.1.1", 0, "16000000ef010101", 0, MCAST_REPORT,
	  "join 239.1.1.1" },
	{ "IGMPv2 leave", "10.0.0.2", "224.0.0.2", 0, "17000000ef010101", 0, MCAST_REPORT,
	  "leave 239.1.1.1" },
	{ "IGMPv3: is exclude, to exclude", "10.0.0.2", "224.0.0.22", 0,
	  "2200000000000002"
	  "02000000ef010101"
	  "04000000ef010102",
	  0, MCAST_REPORT, "join 239.1.1.1, join 239.1.1.2" },
	{ "IGMPv3: exclude some", "10.0.0.2", "224.0.0.22", 0,
	  "2200000000000001"
	  "04000002ef010101"
	  "0a0000010a000003",
	  0, MCAST_REPORT, "join 239.1.1.1" },
	{ "IGMPv3: include, allow, to include", "10.0.0.2", "224.0.0.22", 0,
	  "2200000000000003"
	  "01000001ef010101"
	  "0a000001"
	  "05000001ef010102"
	  "0a000001"
	  "03000001ef010103"
	  "0a000001",
	  0, MCAST_REPORT, "join 239.1.1.1, join 239.1.1.2, join 239.1.1.3" },
	{ "IGMPv3: leave is to include nothing", "10.0.0.2", "224.0.0.22", 0,
	  "2200000000000001"
	  "03000000ef010101",
	  0, MCAST_REPORT, "leave 239.1.1.1" },
	{ "IGMPv3: block, unknown, is include nothing: no word", "10.0.0.2", "224.0.0.22", 0,
	  "2200000000000004"
	  "06000001ef010101"
	  "0a000001"
	  "09000000ef010101"
	  "01000000ef010101"
	  "05000000ef010101",
	  0, MCAST_REPORT, "" },
	{ "IGMPv3: auxiliary data, a unicast group between", "10.0.0.2", "224.0.0.22", 0,
	  "2200000000000003"
	  "02010000ef010101"
	  "01020304"
	  "020000000a000001"
	  "02000000ef010102",
	  0, MCAST_REPORT, "join 239.1.1.1, join 239.1.1.2" },
	{ "IGMPv3: nothing", "0.0.0.0", "224.0.0.22", 0, "2200000000000000", 0, MCAST_REPORT, "" },
	{ "checksum left to others", "10.0.0.2", "239.1.1.1", 0, "16000000ef010101",
	  BAD_SUM | PARTIAL, MCAST_REPORT, "join 239.1.1.1" },
	{ "MLDv1 report", "fe80::2", "ff0e::1234", 0, "8300000000000000" GROUP6, 0, MCAST_REPORT,
	  "join ff0e::1234" },
	{ "MLDv1 done", "fe80::2", "ff02::2", 0, "8400000000000000" GROUP6, 0, MCAST_REPORT,
	  "leave ff0e::1234" },
	{ "MLDv2 report without an address yet", "::", "ff02::16", 0,
	  "8f00000000000002"
	  "04000000" GROUP6 "03000000" GROUP6,
	  0, MCAST_REPORT, "join ff0e::1234, leave ff0e::1234" },
	{ "MLDv2: sources", "fe80::2", "ff02::16", 0,
	  "8f00000000000001"
	  "05000001" GROUP6 GROUP6,
	  0, MCAST_REPORT, "join ff0e::1234" },
	{ "MLDv2: a group of IPv4 is none", "fe80::2", "ff02::16", 0,
	  "8f00000000000002"
	  "04000000" MAPPED6 "04000000" GROUP6,
	  0, MCAST_REPORT, "join ff0e::1234" },
	/* routers */
	{ "PIM hello", "10.0.0.1", "224.0.0.13", 103,
	  "20000000"
	  "00010002"
	  "0069",
	  NO_ALERT, MCAST_HELLO, "router 105s" },
	{ "PIM hello, holdtime behind others", "10.0.0.1", "224.0.0.13", 103,
	  "20000000"
	  "00140004"
	  "00000001"
	  "00010002"
	  "001e",
	  NO_ALERT, MCAST_HELLO, "router 30s" },
	{ "PIM hello for ever", "10.0.0.1", "224.0.0.13", 103,
	  "20000000"
	  "00010002"
	  "ffff",
	  NO_ALERT, MCAST_HELLO, "router 3600s" },
	{ "PIM hello, IPv6", "fe80::1", "ff02::d", 103, "20000000", NO_ALERT, MCAST_HELLO,
	  "router 105s" },
	/* what is none */
	{ "report, TTL 2", "10.0.0.2", "239.1.1.1", 0, "16000000ef010101", TTL_2, 0, "" },
	{ "report, checksum", "10.0.0.2", "239.1.1.1", 0, "16000000ef010101", BAD_SUM, 0, "" },
	{ "report, IP checksum", "10.0.0.2", "239.1.1.1", 0, "16000000ef010101", BAD_IP_SUM, 0,
	  "" },
	{ "report, fragment", "10.0.0.2", "239.1.1.1", 0, "16000000ef010101", FRAGMENT, 0, "" },
	{ "report, IP length", "10.0.0.2", "239.1.1.1", 0, "16000000ef010101", BAD_LENGTH, 0, "" },
	{ "report of another group", "10.0.0.2", "239.1.1.2", 0, "16000000ef010101", 0, 0, "" },
	{ "report of no group", "10.0.0.2", "10.0.0.1", 0, "160000000a000001", 0, 0, "" },
	{ "leave without alert", "10.0.0.2", "224.0.0.2", 0, "17000000ef010101", NO_ALERT, 0, "" },
	{ "IGMPv3 report without alert", "10.0.0.2", "224.0.0.22", 0,
	  "2200000000000001"
	  "02000000ef010101",
	  NO_ALERT, 0, "" },
	{ "IGMPv3: one record too few", "10.0.0.2", "224.0.0.22", 0,
	  "2200000000000002"
	  "02000000ef010101",
	  0, 0, "" },
	{ "IGMPv3: sources cut", "10.0.0.2", "224.0.0.22", 0,
	  "2200000000000001"
	  "02000002ef010101"
	  "0a000001",
	  0, 0, "" },
	{ "IGMPv3: count of sources overflows", "10.0.0.2", "224.0.0.22", 0,
	  "2200000000000001"
	  "02ffffffef010101",
	  0, 0, "" },
	{ "IGMP, 7 octets", "10.0.0.2", "239.1.1.1", 0, "16000000ef0101", 0, 0, "" },
	{ "IGMP of another kind", "10.0.0.2", "224.0.0.4", 0, "1301000000000000", 0, 0, "" },
	{ "query without alert", "10.0.0.1", "224.0.0.1", 0, "1164000000000000", NO_ALERT, 0, "" },
	{ "query of 10 octets", "10.0.0.1", "224.0.0.1", 0, "11640000000000000000", 0, 0, "" },
	{ "general query to a group", "10.0.0.1", "239.1.1.1", 0, "1164000000000000", 0, 0, "" },
	{ "query of a group to all", "10.0.0.1", "224.0.0.1", 0, "110a0000ef010101", 0, 0, "" },
	{ "query to a MAC nobody listens to", "10.0.0.1", "224.0.0.1", 0, "1164000000000000",
	  OTHER_MAC, 0, "" },
	{ "IGMPv3 query, sources cut", "10.0.0.1", "239.1.1.1", 0,
	  "110a0000ef010101027d00020a000002", 0, 0, "" },
	{ "MLD query of a global source", "2001:db8::1", "ff02::1", 0, "8200000027100000" NONE6, 0,
	  0, "" },
	{ "MLD query of nobody", "::", "ff02::1", 0, "8200000027100000" NONE6, 0, 0, "" },
	{ "MLD, hop limit 2", "fe80::1", "ff02::1", 0, "8200000027100000" NONE6, TTL_2, 0, "" },
	{ "MLD without alert", "fe80::1", "ff02::1", 0, "8200000027100000" NONE6, NO_ALERT, 0, "" },
	{ "MLD, alert of RSVP", "fe80::1", "ff02::1", 0, "8200000027100000" NONE6, ALERT_WRONG, 0,
	  "" },
	{ "MLD, alert of 4 octets", "fe80::1", "ff02::1", 0, "8200000027100000" NONE6, ALERT_LONG,
	  0, "" },
	{ "IGMP, alert of 6 octets", "10.0.0.1", "224.0.0.1", 0, "1164000000000000", ALERT_LONG, 0,
	  "" },
	{ "MLD, checksum", "fe80::1", "ff02::1", 0, "8200000027100000" NONE6, BAD_SUM, 0, "" },
	{ "MLD query of 26 octets", "fe80::1", "ff02::1", 0, "8200000027100000" NONE6 "0000", 0, 0,
	  "" },
	{ "MLDv1 report cut", "fe80::2", "ff0e::1234", 0,
	  "8300000000000000"
	  "ff0e",
	  0, 0, "" },
	{ "MLDv1 done for a group of IPv4", "fe80::2", "ff02::2", 0, "8400000000000000" MAPPED6, 0,
	  0, "" },
	{ "MLD query of a group of IPv4", "fe80::1", "ff02::1", 0,
	  "8200000027100000"
	  "00000000000000000000ffff00000000",
	  0, 0, "" },
	{ "MLD to a group of IPv4", "fe80::2", "::ffff:239.1.1.1", 0, "8f00000000000000", 0, 0,
	  "" },
	{ "ICMPv6 of another kind", "fe80::2", "ff02::1", 0, "8000000000000000", 0, 0, "" },
	{ "PIM of another kind", "10.0.0.1", "224.0.0.13", 103, "23000000", NO_ALERT, 0, "" },
	{ "PIM, option cut", "10.0.0.1", "224.0.0.13", 103,
	  "20000000"
	  "00010002"
	  "00",
	  NO_ALERT, 0, "" },
	{ "PIM, checksum", "10.0.0.1", "224.0.0.13", 103, "20000000", NO_ALERT | BAD_SUM, 0, "" },
	{ "UDP", "10.0.0.1", "239.1.1.1", 17, "1600000000000000", 0, 0, "" },
};

/* ---- making ---- */

struct octets {
	uint8_t b[512];
	uint32_t size;
};

static void put(struct octets *o, const void *p, size_t size)
{
	memcpy(o->b + o->size, p, size);
	o->size += (uint32_t)size;
}

static void put16(struct octets *o, unsigned v)
{
	put(o, (const uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static void put_hex(struct octets *o, const char *hex)
{
	for (; *hex; hex += 2) {
		char two[3] = { hex[0], hex[1], 0 };
		uint8_t v = (uint8_t)strtoul(two, NULL, 16);

		put(o, &v, 1);
	}
}

static void put_addr(struct octets *o, bool is_ipv6, const char *text)
{
	uint8_t a[16];

	assert_int_equal(inet_pton(is_ipv6 ? AF_INET6 : AF_INET, text, a), 1);
	put(o, a, is_ipv6 ? 16 : 4);
}

static void set16(struct octets *o, uint32_t at, unsigned v)
{
	o->b[at] = (uint8_t)(v >> 8);
	o->b[at + 1] = (uint8_t)v;
}

static void put_ipv4(struct octets *o, const struct row *r, uint32_t payload)
{
	static const uint8_t late[] = { 1, 7, 3, 4, 148, 4, 0, 0 };
	static const uint8_t too_long[] = { 148, 6, 0, 0, 0, 0, 1, 1 };
	uint32_t at = o->size;
	uint32_t options = r->flags & NO_ALERT ? 0 : r->flags & (ALERT_LATE | ALERT_LONG) ? 8 : 4;

	put16(o, (4 << 12) | (5 + options / 4) << 8);
	put16(o, 20 + options + payload + (r->flags & BAD_LENGTH ? 1 : 0));
	put16(o, 1);
	put16(o, r->flags & FRAGMENT ? 0x2000 : 0x4000);
	put16(o, (r->flags & TTL_2 ? 2 : 1) << 8 | (r->protocol ? r->protocol : 2));
	put16(o, 0);
	put_addr(o, false, r->src);
	put_addr(o, false, r->dst);
	put(o, r->flags & ALERT_LONG ? too_long : options == 8 ? late : late + 4, options);
	set16(o, at + 10, csum_finish(csum_add(o->b + at, 20 + options, 0)));
	if (r->flags & BAD_IP_SUM)
		o->b[at + 10] ^= 1;
}

static void put_ipv6(struct octets *o, const struct row *r, uint32_t payload)
{
	uint8_t protocol = r->protocol ? r->protocol : 58;
	bool has_options = !(r->flags & NO_ALERT);

	put16(o, 6 << 12);
	put16(o, 0);
	put16(o, payload + (has_options ? 16 : 0) + (r->flags & BAD_LENGTH ? 1 : 0));
	put16(o, (unsigned)(has_options ? 0 : protocol) << 8 | (r->flags & TTL_2 ? 2 : 1));
	put_addr(o, true, r->src);
	put_addr(o, true, r->dst);
	if (!has_options)
		return;
	put16(o, (unsigned)protocol << 8 | 1);
	put_hex(o, r->flags & ALERT_LATE  ? "1e04010203040005020000010000" :
		   r->flags & ALERT_WRONG ? "0502000101080000000000000000" :
		   r->flags & ALERT_LONG  ? "0504000000000106000000000000" :
					    "0502000001080000000000000000");
}

static struct octets frame_of(const struct row *r)
{
	struct octets o = { .size = 0 }, payload = { .size = 0 };
	bool is_ipv6 = strchr(r->src, ':');
	struct mcast_addr dst = { { [10] = 0xff, [11] = 0xff } };
	uint32_t l3, l4, addresses;
	uint64_t sum = 0;
	struct mac mac;

	put_hex(&payload, r->payload);
	inet_pton(is_ipv6 ? AF_INET6 : AF_INET, r->dst, dst.b + (is_ipv6 ? 0 : 12));
	mac = mcast_mac(&dst);
	mac.b[5] ^= r->flags & OTHER_MAC ? 1 : 0;
	put(&o, mac.b, 6);
	put(&o, "\x02\0\0\0\0\x01", 6);
	if (r->flags & TAGGED)
		put(&o, "\x81\0\0\x0a", 4);
	put16(&o, is_ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	l3 = o.size;
	if (is_ipv6)
		put_ipv6(&o, r, payload.size);
	else
		put_ipv4(&o, r, payload.size);
	l4 = o.size;
	put(&o, payload.b, payload.size);
	addresses = is_ipv6 ? 32 : 0;
	sum = csum_add(o.b + l3 + 8, addresses,
		       is_ipv6 ? payload.size + (r->protocol ? r->protocol : 58u) : 0);
	set16(&o, l4 + 2,
	      csum_finish(csum_add(o.b + l4, payload.size, sum)) ^ (r->flags & BAD_SUM ? 1 : 0));
	if (r->flags & PADDED && o.size < 60)
		o.size = 60;
	return o;
}

/* ---- reading ---- */

static size_t offset_of_type(const struct row *r)
{
	return r->flags & TAGGED ? 16 : 12;
}

static const char *note_text(const struct mcast_note *n, char *text, size_t size)
{
	char group[MCAST_TEXT_SIZE];

	mcast_format(&n->group, group);
	switch ((enum mcast_what)n->what) {
	case MCAST_JOIN:
	case MCAST_LEAVE:
		snprintf(text, size, "%s %s", n->what == MCAST_JOIN ? "join" : "leave", group);
		break;
	case MCAST_ASK_ALL:
		snprintf(text, size, "all %us %ums r%u%s%s", n->interval_s, n->response_ms,
			 n->robustness, n->hears_leaves ? "" : " v1",
			 mcast_is_unspecified(&n->source) ? " nobody" : "");
		break;
	case MCAST_ASK:
		snprintf(text, size, "ask %s %ums r%u", group, n->response_ms, n->robustness);
		break;
	case MCAST_ROUTER:
		snprintf(text, size, "router %us", n->interval_s);
		break;
	}
	return text;
}

static void test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct octets o = frame_of(r);
		char all[512] = "", one[128];
		struct mcast_reader reader;
		struct mcast_note n;
		enum mcast_kind kind =
			mcast_open(&reader, o.b, o.size, offset_of_type(r), r->flags & PARTIAL);

		while (mcast_next(&reader, &n))
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
				 all[0] ? ", " : "", note_text(&n, one, sizeof(one)));
		if (kind != r->kind || strcmp(all, r->notes) != 0)
			fail_msg("%s: kind %d, \"%s\"; expected %d, \"%s\"", r->name, kind, all,
				 r->kind, r->notes);
	}
}

/* Cut anywhere, it is none; and nothing beyond the end is read (a sanitizer sees it). */
static void test_cut(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct octets o = frame_of(&rows[i]);

		if (rows[i].flags & PADDED)
			continue;
		for (uint32_t size = 0; size < o.size; size++) {
			uint8_t *copy = malloc(size + 1);
			struct mcast_reader r;

			assert_non_null(copy);
			memcpy(copy, o.b, size);
			assert_int_equal(mcast_open(&r, copy, size, offset_of_type(&rows[i]),
						    false),
					 MCAST_OTHER);
			free(copy);
		}
	}
}

/* A bit that changes is noticed: all octets are below a checksum, but for these. */
static void test_every_bit(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct octets o = frame_of(r);
		size_t l3 = offset_of_type(r) + 2;
		struct mcast_reader reader;

		if (r->kind == MCAST_OTHER || r->flags & (PADDED | PARTIAL) || strchr(r->src, ':'))
			continue;
		for (size_t bit = l3 * 8; bit < o.size * 8u; bit++) {
			o.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (mcast_open(&reader, o.b, o.size, offset_of_type(r), false) !=
			    MCAST_OTHER)
				fail_msg("%s: bit %zu", r->name, bit);
			o.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static void test_addresses(void **state)
{
	static const struct {
		struct mcast_addr group;
		struct mac mac;
		bool is_of_link;
	} cases[] = {
		{ { { [10] = 0xff, [11] = 0xff, 239, 255, 1, 2 } },
		  { { 1, 0, 0x5e, 0x7f, 1, 2 } },
		  false },
		{ { { 0xff, 0x02, [11] = 1, 0xff, 1, 2, 3 } },
		  { { 0x33, 0x33, 0xff, 1, 2, 3 } },
		  true },
		{ { { 0xff, 0x15, [15] = 7 } }, { { 0x33, 0x33, 0, 0, 0, 7 } }, false },
		{ { { 0xff, 0x11, [15] = 7 } }, { { 0x33, 0x33, 0, 0, 0, 7 } }, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(mac_equal(mcast_mac(&cases[i].group), cases[i].mac));
		assert_int_equal(mcast_is_of_link(&cases[i].group), cases[i].is_of_link);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
