// SPDX-License-Identifier: Apache-2.0
#include "gro_sample.h"

#include <string.h>

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

void gro_walk_init(struct gro_walk *w, uint16_t payload, uint32_t seed)
{
	for (unsigned i = 0; i < GRO_CONNECTIONS; i++)
		w->next[i] = (struct gro_spec){ .connection = (uint8_t)i,
						.is_ipv6 = i & 1,
						.seq = UINT32_MAX - sample_random(&seed) % 8000,
						.ack = sample_random(&seed),
						.timestamp = sample_random(&seed),
						.payload = payload,
						.window = 501,
						.id = (uint16_t)(0xffff - sample_random(&seed) % 8),
						.id_step = 1,
						.flags = 0x10,
						.ttl = 64,
						.has_df = true };
}

/* Flags that an event sets. */
static const uint8_t event_flags[GRO_EVENTS] = {
	[GRO_PSH] = 0x08, [GRO_FIN] = 0x01, [GRO_SYN] = 0x02, [GRO_RST] = 0x04,
	[GRO_URG] = 0x20, [GRO_CWR] = 0x80, [GRO_ECE] = 0x40
};

/* Disturb `now`, and `next` if that is to stay. */
static void disturb(struct gro_spec *now, struct gro_spec *next, enum gro_event event)
{
	now->flags |= event_flags[event];
	now->payload = event == GRO_EMPTY ? 0 :
		       event == GRO_SHORT ? now->payload / 2 + 1u :
		       event == GRO_LONG  ? now->payload + 1u :
					    now->payload;
	now->seq += event == GRO_GAP ? now->payload : event == GRO_AGAIN ? -now->payload : 0;
	next->ack = now->ack += event == GRO_ACK;
	next->window = now->window ^= event == GRO_WINDOW;
	next->timestamp = now->timestamp += event == GRO_TIMESTAMP;
	if (event == GRO_FIXED_ID)
		next->id_step = 0;
	now->has_sack = event == GRO_SACK;
	now->has_unknown = event == GRO_UNKNOWN;
	now->tos = event == GRO_TOS;
	now->ttl -= event == GRO_TTL;
	now->flow_label = event == GRO_FLOW_LABEL;
	now->id ^= event == GRO_ID ? 0x100 : 0;
	now->has_df = event != GRO_NO_DF;
	now->mac = event == GRO_MAC;
	now->bad_csum = event == GRO_BAD_CSUM;
	now->bad_ip_csum = event == GRO_BAD_IP_CSUM;
	now->padding = event == GRO_PADDING ? 6 : 0;
	now->tpid = event == GRO_TAG ? 0x8100 : 0;
	now->urgent = event == GRO_URGENT_POINTER;
	now->minus_zero = event == GRO_MINUS_ZERO;
	now->is_fragment = event == GRO_FRAGMENT;
	now->ip_extra = event == GRO_IP_EXTRA ? 8 : 0;
	now->is_udp |= event == GRO_UDP;
}

struct gro_spec gro_walk_next(struct gro_walk *w, unsigned connection, enum gro_event event)
{
	struct gro_spec *next = &w->next[connection % GRO_CONNECTIONS], now = *next;

	disturb(&now, next, event);
	next->seq = now.seq + now.payload;
	next->id = (uint16_t)(next->id + next->id_step);
	return now;
}

static uint32_t make_ip(const struct gro_spec *s, uint8_t *ip, uint32_t l4_size)
{
	uint32_t size = s->is_ipv6 ? 40u + s->ip_extra : 20u + s->ip_extra;
	uint8_t proto = s->is_udp ? 17 : 6;

	memset(ip, 0, size);
	if (s->is_ipv6) {
		put32(ip, 6u << 28 | (uint32_t)s->tos << 20 | s->flow_label);
		put16(ip + 4, l4_size + s->ip_extra);
		ip[6] = s->ip_extra ? 60 : proto;
		ip[7] = s->ttl;
		memset(ip + 8, 0x20, 32);
		ip[23] = s->connection;
		memcpy(ip + 40, "\6\0\1\4\0\0\0\0", s->ip_extra);
		return size;
	}
	ip[0] = (uint8_t)(0x40 | size / 4);
	ip[1] = s->tos;
	put16(ip + 2, size + l4_size);
	put16(ip + 4, s->id);
	put16(ip + 6, (s->has_df ? 0x4000u : 0) | (s->is_fragment ? 0x2000u : 0));
	ip[8] = s->ttl;
	ip[9] = proto;
	memcpy(ip + 12, "\xc0\0\2\1\xc6\x33\x64\2", 8);
	ip[15] = s->connection;
	memset(ip + 20, 1, s->ip_extra);
	put16(ip + 10, (uint16_t)~sample_sum(ip, size, s->bad_ip_csum));
	return size;
}

static uint32_t make_l4(const struct gro_spec *s, uint8_t *p)
{
	uint32_t size = 32;

	put16(p, 1024u + s->connection);
	put16(p + 2, 443);
	if (s->is_udp) {
		put16(p + 4,
		      8u + s->payload + s->window - 501); /* another window: a wrong length */
		put16(p + 6, 0);
		return 8;
	}
	put32(p + 4, s->seq);
	put32(p + 8, s->ack);
	p[13] = s->flags;
	put16(p + 14, s->window);
	put16(p + 16, 0);
	put16(p + 18, s->urgent);
	memcpy(p + 20, "\1\1\10\12", 4); /* timestamps, RFC 7323 appendix A */
	put32(p + 24, s->timestamp);
	put32(p + 28, ~s->timestamp);
	if (s->has_sack) {
		memcpy(p + size, "\1\1\5\12\0\0\1\0\0\0\2\0", 12);
		size += 12;
	}
	if (s->has_unknown) {
		memcpy(p + size, "\xfd\4\x12\x34", 4); /* experiment, RFC 6994 */
		size += 4;
	}
	p[12] = (uint8_t)(size / 4 << 4);
	return size;
}

static void make_csum(const struct gro_spec *s, const uint8_t *ip, uint8_t *l4, uint32_t size)
{
	uint32_t sum = (s->is_udp ? 17 : 6) + size + s->bad_csum;
	uint8_t *field = l4 + (s->is_udp ? 6 : 16);
	uint16_t csum;

	if (s->is_udp && s->urgent) /* without a checksum */
		return;
	sum = s->is_ipv6 ? sample_sum(ip + 8, 32, sum) : sample_sum(ip + 12, 8, sum);
	csum = (uint16_t)~sample_sum(l4, size, sum);
	put16(field, csum ? csum : s->is_udp ? 0xffff : 0);
	if (!s->minus_zero || s->payload < 2)
		return;
	/* Two octets of payload that make the checksum 0, of which the other name is given. */
	put16(l4 + size / 2 * 2 - 2, 0);
	put16(field, 0);
	csum = (uint16_t)~sample_sum(l4, size, sum);
	put16(l4 + size / 2 * 2 - 2, csum);
	put16(field, 0xffff);
}

uint32_t gro_sample_make(const struct gro_spec *s, uint8_t *to)
{
	uint32_t at = 14, l3, l4, headers, seed = s->seq;
	uint8_t l4_head[64];

	memcpy(to, "\x52\x54\0\0\0\2\x52\x54\0\0\0\1", 12);
	to[11] = (uint8_t)(to[11] + s->mac);
	if (s->tpid) {
		put16(to + 12, s->tpid);
		put16(to + 14, 0x6064);
		at += 4;
	}
	put16(to + at - 2, s->is_ipv6 ? 0x86dd : 0x0800);
	l3 = at;
	headers = make_l4(s, l4_head);
	at += make_ip(s, to + at, headers + s->payload);
	l4 = at;
	memcpy(to + at, l4_head, headers);
	at += headers;
	for (uint32_t i = 0; i < s->payload; i++)
		to[at++] = (uint8_t)sample_random(&seed);
	make_csum(s, to + l3, to + l4, at - l4);
	memset(to + at, 0, s->padding);
	return at + s->padding;
}
