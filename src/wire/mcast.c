// SPDX-License-Identifier: Apache-2.0
#include "mcast.h"

#include <arpa/inet.h>
#include <string.h>

#include "csum.h"
#include "eth.h"

enum {
	IPPROTO_HOP_BY_HOP = 0,
	IPPROTO_IGMP_ = 2,
	IPPROTO_ICMPV6_ = 58,
	IPPROTO_PIM_ = 103,
	IPV4_OPTION_END = 0,
	IPV4_OPTION_NOP = 1,
	IPV4_OPTION_ALERT = 148, /* RFC 2113 */
	IPV6_OPTION_PAD1 = 0,
	IPV6_OPTION_ALERT = 5, /* RFC 2711 */
	IGMP_QUERY = 0x11,
	IGMP_REPORT_V1 = 0x12,
	IGMP_REPORT_V2 = 0x16,
	IGMP_LEAVE = 0x17,
	IGMP_REPORT_V3 = 0x22,
	MLD_QUERY = 130,
	MLD_REPORT_V1 = 131,
	MLD_DONE = 132,
	MLD_REPORT_V2 = 143,
	PIM_VERSION_AND_HELLO = 0x20,
	PIM_OPTION_HOLDTIME = 1,
	/* Defaults of RFC 3376 8 and RFC 3810 9, for those that do not tell. */
	ROBUSTNESS_DEFAULT = 2,
	INTERVAL_DEFAULT_S = 125,
	RESPONSE_DEFAULT_MS = 10000,
	HOLDTIME_DEFAULT_S = 105, /* RFC 7761 4.11 */
	HOLDTIME_MAX_S = 3600,	  /* "for ever" ends too, if nothing is heard any more */
};

/* An IP packet as far as messages need it. */
struct packet {
	struct mcast_addr src, dst;
	struct cursor payload;
	uint64_t pseudo; /* checksum of the pseudo header */
	uint8_t protocol;
	bool is_ipv6, has_alert, is_partial;
};

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static struct mcast_addr ipv4_addr(const uint8_t *octets)
{
	struct mcast_addr a;

	memcpy(a.b, mapped, sizeof(mapped));
	memcpy(a.b + 12, octets, 4);
	return a;
}

/* a.b.c.d as one number */
static struct mcast_addr ipv4_known(uint32_t n)
{
	return ipv4_addr((const uint8_t[]){ (uint8_t)(n >> 24), (uint8_t)(n >> 16),
					    (uint8_t)(n >> 8), (uint8_t)n });
}

/* ff02::n */
static struct mcast_addr ipv6_known(uint8_t n)
{
	return (struct mcast_addr){ { [0] = 0xff, [1] = 0x02, [15] = n } };
}

const char *mcast_format(const struct mcast_addr *a, char text[MCAST_TEXT_SIZE])
{
	bool is_ipv4 = mcast_is_ipv4(a);

	text[0] = 0;
	inet_ntop(is_ipv4 ? AF_INET : AF_INET6, a->b + (is_ipv4 ? sizeof(mapped) : 0), text,
		  MCAST_TEXT_SIZE);
	return text;
}

bool mcast_addr_equal(const struct mcast_addr *a, const struct mcast_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool mcast_is_ipv4(const struct mcast_addr *a)
{
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

bool mcast_is_unspecified(const struct mcast_addr *a)
{
	static const struct mcast_addr zero;

	return mcast_addr_equal(a, &zero) || (mcast_is_ipv4(a) && !memcmp(a->b + 12, zero.b, 4));
}

static bool is_multicast(const struct mcast_addr *a)
{
	return mcast_is_ipv4(a) ? a->b[12] >> 4 == 0xe : a->b[0] == 0xff;
}

struct mac mcast_mac(const struct mcast_addr *g)
{
	if (mcast_is_ipv4(g))
		return (struct mac){ { 0x01, 0x00, 0x5e, g->b[13] & 0x7f, g->b[14], g->b[15] } };
	return (struct mac){ { 0x33, 0x33, g->b[12], g->b[13], g->b[14], g->b[15] } };
}

bool mcast_is_of_link(const struct mcast_addr *g)
{
	return g->b[0] == 0xff && (g->b[1] & 0xf) <= 2;
}

/* ---- IP ---- */

static bool options_have_alert(struct cursor c)
{
	while (c.left && !c.failed) {
		uint8_t type = cursor_u8(&c), size;

		if (type == IPV4_OPTION_END)
			return false;
		if (type == IPV4_OPTION_NOP)
			continue;
		size = cursor_u8(&c);
		if (type == IPV4_OPTION_ALERT && size == 4)
			return c.left >= 2;
		if (size < 2)
			return false;
		cursor_take(&c, size - 2u);
	}
	return false;
}

/* Whole, unfragmented, TTL 1 (RFC 3376 4), header checksum right. */
static bool ipv4_read(struct cursor c, struct packet *p)
{
	const uint8_t *h = cursor_take(&c, 20);
	size_t header, total;

	if (!h || h[0] >> 4 != 4)
		return false;
	header = (h[0] & 0xfu) * 4;
	total = eth_load16(h + 2);
	if (header < 20 || total < header || total - 20 > c.left)
		return false;
	if (csum_finish(csum_add(h, header, 0)) || (eth_load16(h + 6) & 0x3fff) || h[8] != 1)
		return false;
	p->protocol = h[9];
	p->src = ipv4_addr(h + 12);
	p->dst = ipv4_addr(h + 16);
	p->has_alert = options_have_alert(cursor_part(&c, header - 20));
	p->payload = cursor_part(&c, total - header);
	return !p->payload.failed;
}

/* The options of a hop-by-hop header: router alert, value 0 (MLD)? */
static bool hop_options_have_alert(struct cursor c)
{
	while (c.left && !c.failed) {
		uint8_t type = cursor_u8(&c), size;

		if (type == IPV6_OPTION_PAD1)
			continue;
		size = cursor_u8(&c);
		if (type == IPV6_OPTION_ALERT && size == 2)
			return cursor_u16(&c) == 0 && !c.failed;
		cursor_take(&c, size);
	}
	return false;
}

/* Whole, hop limit 1 (RFC 3810 5), at most a hop-by-hop header before the message. */
static bool ipv6_read(struct cursor c, struct packet *p)
{
	const uint8_t *h = cursor_take(&c, 40);
	struct cursor rest;
	uint16_t size;

	if (!h || h[0] >> 4 != 6 || h[7] != 1)
		return false;
	size = eth_load16(h + 4);
	rest = cursor_part(&c, size);
	memcpy(p->src.b, h + 8, 16);
	memcpy(p->dst.b, h + 24, 16);
	p->protocol = h[6];
	if (p->protocol == IPPROTO_HOP_BY_HOP) {
		size_t options;

		p->protocol = cursor_u8(&rest);
		options = cursor_u8(&rest) * 8u + 6;
		p->has_alert = hop_options_have_alert(cursor_part(&rest, options));
	}
	p->payload = rest;
	p->pseudo = csum_add(h + 8, 32, rest.left + p->protocol);
	return !rest.failed && !mcast_is_ipv4(&p->dst);
}

static bool checksum_is_right(const struct packet *p)
{
	return p->is_partial ||
	       !csum_finish(csum_add(p->payload.at, p->payload.left, p->is_ipv6 ? p->pseudo : 0));
}

/* ---- messages ---- */

/* False if there is none, or an IPv6 packet names one of IPv4 in its mapped form. */
static bool group_read(struct cursor *c, bool is_ipv6, struct mcast_addr *group)
{
	uint8_t ipv4[4];

	if (is_ipv6) {
		cursor_copy(c, group->b, sizeof(group->b));
	} else {
		cursor_copy(c, ipv4, sizeof(ipv4));
		*group = ipv4_addr(ipv4);
	}
	return !c->failed && mcast_is_ipv4(group) != is_ipv6;
}

/* RFC 3376 4.1.1, RFC 3810 5.1.3: `bits` 8 or 16; above half of the range it is a float. */
static uint32_t float_code(uint32_t code, unsigned bits)
{
	unsigned mantissa = bits - 4;

	if (code < 1u << (bits - 1))
		return code;
	return ((code & ((1u << mantissa) - 1)) | 1u << mantissa) << ((code >> mantissa & 7) + 3);
}

/* What IGMPv3 and MLDv2 queries have behind the group: S, QRV, QQIC, sources. */
static bool query_read_rest(struct cursor *c, struct mcast_note *n)
{
	uint8_t robustness = cursor_u8(c) & 7;
	uint32_t interval_s = float_code(cursor_u8(c), 8);

	if (robustness)
		n->robustness = robustness;
	if (interval_s)
		n->interval_s = interval_s;
	cursor_take(c, cursor_u16(c) * (n->is_ipv6 ? 16u : 4u));
	return !c->failed;
}

/*
 * A query concerns all stations only if all hear it: general ones go to all nodes, others to their
 * group. `plain_size`: octets of a message of the version that tells nothing of the querier.
 */
static bool query_check(const struct packet *p, struct mcast_note *n, size_t plain_size)
{
	struct mcast_addr all = p->is_ipv6 ? ipv6_known(1) : ipv4_known(0xe0000001);
	bool is_general = mcast_is_unspecified(&n->group);

	if (p->payload.left != plain_size && p->payload.left < plain_size + 4)
		return false;
	if (!p->has_alert && n->hears_leaves) /* only IGMPv1 queries have none */
		return false;
	n->what = is_general ? MCAST_ASK_ALL : MCAST_ASK;
	return mcast_addr_equal(&p->dst, is_general ? &all : &n->group) && is_multicast(&p->dst);
}

static bool igmp_query(struct mcast_reader *r, const struct packet *p, struct cursor c)
{
	struct mcast_note *n = &r->note;
	uint8_t code = cursor_u8(&c);

	cursor_u16(&c);
	if (!group_read(&c, false, &n->group))
		return false;
	n->hears_leaves = code != 0 || p->payload.left > 8;
	n->response_ms = p->payload.left > 8 ? float_code(code, 8) * 100 : code * 100u;
	if (!n->hears_leaves)
		n->response_ms = RESPONSE_DEFAULT_MS;
	return query_check(p, n, 8) && (p->payload.left == 8 || query_read_rest(&c, n));
}

static bool mld_query(struct mcast_reader *r, const struct packet *p, struct cursor c)
{
	struct mcast_note *n = &r->note;

	cursor_take(&c, 3);
	n->response_ms = cursor_u16(&c);
	if (p->payload.left > 24)
		n->response_ms = float_code(n->response_ms, 16);
	cursor_u16(&c);
	if (!group_read(&c, true, &n->group))
		return false;
	n->hears_leaves = true;
	return query_check(p, n, 24) && (p->payload.left == 24 || query_read_rest(&c, n));
}

/*
 * IGMPv1, IGMPv2, MLDv1: one group each. A report goes to its group, a leave to all routers or, of
 * some old hosts, to the group.
 */
static bool single_read(struct mcast_reader *r, const struct packet *p, struct cursor c,
			bool is_join)
{
	struct mcast_note *n = &r->note;

	cursor_take(&c, p->is_ipv6 ? 7 : 3);
	n->what = is_join ? MCAST_JOIN : MCAST_LEAVE;
	if (!group_read(&c, p->is_ipv6, &n->group) || !is_multicast(&n->group))
		return false;
	return is_join ? mcast_addr_equal(&p->dst, &n->group) : p->has_alert;
}

/* One group record of IGMPv3 or MLDv2. True if it says something; RFC 3376 4.2.12, 5.1. */
static bool record_read(struct cursor *c, bool is_ipv6, struct mcast_note *n)
{
	uint8_t type = cursor_u8(c), aux = cursor_u8(c);
	uint16_t sources = cursor_u16(c);
	bool is_group = group_read(c, is_ipv6, &n->group) && is_multicast(&n->group);

	cursor_take(c, sources * (is_ipv6 ? 16u : 4u) + aux * 4u);
	if (c->failed || !is_group)
		return false;
	switch (type) {
	case 1: /* MODE_IS_INCLUDE */
	case 5: /* ALLOW_NEW_SOURCES */
		n->what = MCAST_JOIN;
		return sources > 0;
	case 2: /* MODE_IS_EXCLUDE */
	case 4: /* CHANGE_TO_EXCLUDE_MODE */
		n->what = MCAST_JOIN;
		return true;
	case 3: /* CHANGE_TO_INCLUDE_MODE */
		n->what = sources ? MCAST_JOIN : MCAST_LEAVE;
		return true;
	}
	return false; /* BLOCK_OLD_SOURCES, or one to come */
}

/* All of it must be sound before any of it counts. */
static bool records_check(struct mcast_reader *r, const struct packet *p, struct cursor c)
{
	struct cursor all;
	struct mcast_note n;

	cursor_take(&c, 5);
	r->left = cursor_u16(&c);
	r->records = all = c;
	for (uint32_t i = 0; i < r->left && !all.failed; i++)
		record_read(&all, p->is_ipv6, &n);
	return !all.failed && p->has_alert;
}

static enum mcast_kind igmp_open(struct mcast_reader *r, const struct packet *p)
{
	struct cursor c = p->payload;

	if (c.left < 8 || !checksum_is_right(p))
		return MCAST_OTHER;
	switch (cursor_u8(&c)) {
	case IGMP_QUERY:
		return igmp_query(r, p, c) ? MCAST_QUERY : MCAST_OTHER;
	case IGMP_REPORT_V1:
	case IGMP_REPORT_V2:
		return single_read(r, p, c, true) ? MCAST_REPORT : MCAST_OTHER;
	case IGMP_LEAVE:
		return single_read(r, p, c, false) ? MCAST_REPORT : MCAST_OTHER;
	case IGMP_REPORT_V3:
		return records_check(r, p, c) ? MCAST_REPORT : MCAST_OTHER;
	}
	return MCAST_OTHER;
}

/* A source of MLD is link-local, or unspecified in a report (RFC 3810 5.1.14, 5.2.13). */
static bool mld_source_is_right(const struct packet *p, uint8_t type)
{
	if (p->src.b[0] == 0xfe && (p->src.b[1] & 0xc0) == 0x80)
		return true;
	return type != MLD_QUERY && mcast_is_unspecified(&p->src);
}

static enum mcast_kind mld_open(struct mcast_reader *r, const struct packet *p)
{
	struct cursor c = p->payload;
	uint8_t type = cursor_u8(&c);

	if (c.failed || !p->has_alert || !mld_source_is_right(p, type) || !checksum_is_right(p))
		return MCAST_OTHER;
	switch (type) {
	case MLD_QUERY:
		return mld_query(r, p, c) ? MCAST_QUERY : MCAST_OTHER;
	case MLD_REPORT_V1:
		return single_read(r, p, c, true) ? MCAST_REPORT : MCAST_OTHER;
	case MLD_DONE:
		return single_read(r, p, c, false) ? MCAST_REPORT : MCAST_OTHER;
	case MLD_REPORT_V2:
		return records_check(r, p, c) ? MCAST_REPORT : MCAST_OTHER;
	}
	return MCAST_OTHER;
}

static enum mcast_kind pim_open(struct mcast_reader *r, const struct packet *p)
{
	struct mcast_addr routers = p->is_ipv6 ? ipv6_known(13) : ipv4_known(0xe000000d);
	struct cursor c = p->payload;

	if (cursor_u8(&c) != PIM_VERSION_AND_HELLO || !mcast_addr_equal(&p->dst, &routers) ||
	    !checksum_is_right(p))
		return MCAST_OTHER;
	cursor_take(&c, 3);
	r->note.interval_s = HOLDTIME_DEFAULT_S;
	while (c.left && !c.failed) {
		uint16_t type = cursor_u16(&c);
		struct cursor value = cursor_part(&c, cursor_u16(&c));

		if (type == PIM_OPTION_HOLDTIME && value.left == 2)
			r->note.interval_s = cursor_u16(&value);
	}
	if (r->note.interval_s > HOLDTIME_MAX_S)
		r->note.interval_s = HOLDTIME_MAX_S;
	r->note.what = MCAST_ROUTER;
	return c.failed ? MCAST_OTHER : MCAST_HELLO;
}

enum mcast_kind mcast_open(struct mcast_reader *r, const uint8_t *octets, size_t size,
			   size_t type_offset, bool is_partial)
{
	struct cursor c = cursor_of(octets, size);
	struct packet p = { .is_partial = is_partial };
	struct mac dst = { { 0 } };

	*r = (struct mcast_reader){ .left = 1 };
	cursor_copy(&c, dst.b, sizeof(dst.b));
	cursor_take(&c, type_offset - sizeof(dst.b));
	p.is_ipv6 = cursor_u16(&c) == ETHERTYPE_IPV6;
	if (c.failed || !(p.is_ipv6 ? ipv6_read(c, &p) : ipv4_read(c, &p)))
		return MCAST_OTHER;
	/* Else those who listen to the group would not hear it. */
	if (!is_multicast(&p.dst) || !mac_equal(dst, mcast_mac(&p.dst)))
		return MCAST_OTHER;
	r->note = (struct mcast_note){ .is_ipv6 = p.is_ipv6,
				       .robustness = ROBUSTNESS_DEFAULT,
				       .interval_s = INTERVAL_DEFAULT_S,
				       .source = p.src };
	if (p.protocol == IPPROTO_PIM_)
		r->kind = pim_open(r, &p);
	else if (p.protocol == IPPROTO_IGMP_ && !p.is_ipv6)
		r->kind = igmp_open(r, &p);
	else if (p.protocol == IPPROTO_ICMPV6_ && p.is_ipv6)
		r->kind = mld_open(r, &p);
	return r->kind;
}

bool mcast_next(struct mcast_reader *r, struct mcast_note *out)
{
	if (r->kind == MCAST_OTHER || !r->left)
		return false;
	if (!r->records.at) {
		*out = r->note;
		r->left--;
		return true;
	}
	while (r->left) {
		r->left--;
		if (record_read(&r->records, r->note.is_ipv6, &r->note)) {
			*out = r->note;
			return true;
		}
	}
	return false;
}
