// SPDX-License-Identifier: Apache-2.0
#include "sample.h"

#include <string.h>

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

uint32_t sample_random(uint32_t *seed)
{
	/* Numerical Recipes' generator; its low bits are poor. */
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

uint16_t sample_sum(const uint8_t *p, uint32_t size, uint32_t sum)
{
	for (uint32_t i = 0; i < size; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* Pseudo-header and length: RFC 9293 3.1, RFC 8200 8.1. */
static uint16_t pseudo_sum(const struct sample *s, const uint8_t *octets, uint32_t l4_size)
{
	const uint8_t *ip = octets + s->l3;
	uint32_t sum = (s->spec.is_udp ? 17u : 6u) + (l4_size >> 16) + (l4_size & 0xffff);
	const uint8_t *dst = ip + 24;

	if (!s->spec.is_ipv6)
		return sample_sum(ip + 12, 8, sum);
	if (s->spec.ip_extra && s->spec.ip_extra_type == 43)
		dst = ip + 40 + 8; /* the one address of the routing header */
	return sample_sum(dst, 16, sample_sum(ip + 8, 16, sum));
}

static uint16_t make_ipv4(struct sample *s, uint8_t *ip)
{
	const struct sample_spec *spec = &s->spec;
	uint16_t size = (uint16_t)(20 + spec->ip_extra);
	uint8_t src[8] = { 192, 0, 2, 1, 198, 51, 100, 2 };

	ip[0] = (uint8_t)(0x40 | size / 4);
	ip[8] = 64;
	ip[9] = spec->is_udp ? 17 : 6;
	ip[6] = 0x40; /* DF */
	memcpy(ip + 12, src, 8);
	memset(ip + 20, 1, spec->ip_extra); /* no operation */
	return size;
}

static uint16_t make_ipv6(struct sample *s, uint8_t *ip)
{
	const struct sample_spec *spec = &s->spec;
	uint8_t proto = spec->is_udp ? 17 : 6;
	uint8_t *ext = ip + 40;

	ip[0] = 0x60;
	ip[6] = proto;
	ip[7] = 64;
	memcpy(ip + 8, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	memcpy(ip + 24, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2", 16);
	if (!spec->ip_extra)
		return 40;
	ip[6] = spec->ip_extra_type;
	memset(ext, 0, spec->ip_extra);
	ext[0] = proto;
	ext[1] = (uint8_t)(spec->ip_extra / 8 - 1);
	if (spec->ip_extra_type == 43) { /* type 2: one address, one to go (RFC 6275 6.4) */
		ext[2] = 2;
		ext[3] = 1;
		memcpy(ext + 8, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\3", 16);
	} else {
		ext[2] = 1; /* PadN */
		ext[3] = (uint8_t)(spec->ip_extra - 4);
	}
	return (uint16_t)(40 + spec->ip_extra);
}

static uint16_t make_l4(struct sample *s, uint8_t *l4, uint32_t *seed)
{
	const struct sample_spec *spec = &s->spec;

	put16(l4, 1024 + sample_random(seed) % 60000);
	put16(l4 + 2, 443);
	if (spec->is_udp)
		return 8;
	put16(l4 + 4, sample_random(seed)); /* near enough to the end to wrap at times */
	put16(l4 + 6, sample_random(seed));
	if (sample_random(seed) % 4 == 0)
		put16(l4 + 4, 0xffff);
	put16(l4 + 8, sample_random(seed));
	l4[12] = (uint8_t)((20 + spec->tcp_options) / 4 << 4);
	l4[13] = spec->tcp_flags;
	put16(l4 + 14, 501);
	memset(l4 + 20, 1, spec->tcp_options);
	return (uint16_t)(20 + spec->tcp_options);
}

static uint16_t make_l2(struct sample *s, uint8_t *p)
{
	const struct sample_spec *spec = &s->spec;
	uint16_t at = 12;

	memcpy(p, "\x52\x54\0\0\0\2\x52\x54\0\0\0\1", 12);
	if (spec->tpid) {
		put16(p + at, spec->tpid);
		put16(p + at + 2, 0x6064);
		at += 4;
	}
	if (spec->inner_tpid) {
		put16(p + at, spec->inner_tpid);
		put16(p + at + 2, 0x00c8);
		at += 4;
	}
	put16(p + at, spec->is_ipv6 ? 0x86dd : 0x0800);
	return (uint16_t)(at + 2);
}

void sample_make(struct sample *s, const struct sample_spec *spec, uint32_t seed)
{
	uint8_t *p = s->octets;
	uint16_t csum_offset = spec->is_udp ? 6 : 16;

	s->spec = *spec;
	memset(p, 0, SAMPLE_HEADERS_MAX);
	s->l3 = make_l2(s, p);
	s->l4 = (uint16_t)(s->l3 +
			   (spec->is_ipv6 ? make_ipv6(s, p + s->l3) : make_ipv4(s, p + s->l3)));
	s->headers = (uint16_t)(s->l4 + make_l4(s, p + s->l4, &seed));
	s->size = s->headers + spec->payload;
	for (uint32_t i = s->headers; i < s->size; i++)
		p[i] = (uint8_t)sample_random(&seed);
	if (spec->is_ipv6) {
		put16(p + s->l3 + 4, s->size - s->l3 - 40);
	} else {
		put16(p + s->l3 + 2, s->size - s->l3);
		put16(p + s->l3 + 4, 0xfff0 + sample_random(&seed) % 16);
		put16(p + s->l3 + 10, (uint16_t)~sample_sum(p + s->l3, s->l4 - s->l3, 0));
	}
	if (spec->is_udp)
		put16(p + s->l4 + 4, s->size - s->l4);
	put16(p + s->l4 + csum_offset, pseudo_sum(s, p, s->size - s->l4));
	s->vnet = (struct vnet_hdr){
		.flags = VNET_F_NEEDS_CSUM,
		.gso_type = (uint8_t)(spec->is_udp  ? VNET_GSO_UDP_L4 :
				      spec->is_ipv6 ? VNET_GSO_TCPV6 :
						      VNET_GSO_TCPV4),
		.hdr_len = s->headers,
		.gso_size = spec->gso_size,
		.csum_start = s->l4,
		.csum_offset = csum_offset,
	};
	if (spec->ecn)
		s->vnet.gso_type |= VNET_GSO_ECN;
}

void sample_spec_random(struct sample_spec *spec, uint32_t seed)
{
	static const uint16_t tpids[] = { 0, 0, 0x8100, 0x88a8 };
	static const uint16_t sizes[] = { 1, 3, 48, 100, 536, 1000, 1448, 1460, 8960, 40000 };
	uint32_t segments;

	memset(spec, 0, sizeof(*spec));
	spec->name = "random";
	spec->is_ipv6 = sample_random(&seed) % 2;
	spec->is_udp = sample_random(&seed) % 2;
	spec->tpid = tpids[sample_random(&seed) % 4];
	if (spec->tpid && sample_random(&seed) % 4 == 0)
		spec->inner_tpid = 0x8100;
	if (sample_random(&seed) % 4 == 0)
		spec->ip_extra = spec->is_ipv6 ? 8 : 4;
	spec->ip_extra_type = sample_random(&seed) % 2 ? 0 : 60;
	if (!spec->is_udp) {
		spec->tcp_options = (uint8_t)(sample_random(&seed) % 5 * 4);
		spec->tcp_flags = (uint8_t)(sample_random(&seed) | 0x10);
		spec->ecn = sample_random(&seed) % 2;
	}
	spec->gso_size = sizes[sample_random(&seed) % 10];
	if (sample_random(&seed) % 2)
		spec->gso_size = (uint16_t)(1 + sample_random(&seed) % 9000);
	segments = sample_random(&seed) % 60;
	spec->payload = segments * spec->gso_size + sample_random(&seed) % spec->gso_size;
	if (spec->payload > 65000)
		spec->payload = 65000;
}

void sample_frame(const struct sample *s, struct frame *f, struct iovec *iov)
{
	iov[0] = (struct iovec){ (void *)(uintptr_t)s->octets, s->size };
	*f = (struct frame){ .iov = iov, .n_iov = 1, .size = s->size, .vnet = s->vnet };
}

void sample_frame_split(const struct sample *s, struct frame *f, struct iovec *iov, uint32_t seed)
{
	uint32_t at = 0, part = FRAME_HEAD_SIZE + sample_random(&seed) % 40, longest;
	uint16_t n = 0;

	longest = 1 + s->size / (1 + sample_random(&seed) % 20);
	sample_frame(s, f, iov);
	for (; n < SAMPLE_IOV_MAX && (at < s->size || !n); n++) {
		if (part > s->size - at || n == SAMPLE_IOV_MAX - 1)
			part = s->size - at;
		iov[n] = (struct iovec){ (void *)(uintptr_t)(s->octets + at), part };
		at += part;
		part = sample_random(&seed) % longest; /* empty segments, too */
	}
	f->n_iov = n;
}

uint32_t sample_flatten(const struct frame *f, uint8_t *to)
{
	uint32_t n = 0;

	for (uint16_t i = 0; i < f->n_iov; i++) {
		memcpy(to + n, f->iov[i].iov_base, f->iov[i].iov_len);
		n += (uint32_t)f->iov[i].iov_len;
	}
	return n;
}

/* Headers of the segment as they must be, but for the checksums. */
static void expected_headers(const struct sample *s, unsigned idx, uint32_t from, uint32_t payload,
			     uint8_t *want)
{
	uint32_t seq = get32(s->octets + s->l4 + 4) + from;
	uint8_t *l4 = want + s->l4;

	memcpy(want, s->octets, s->headers);
	if (s->spec.is_ipv6) {
		put16(want + s->l3 + 4, s->headers + payload - s->l3 - 40u);
	} else {
		put16(want + s->l3 + 2, s->headers + payload - s->l3);
		put16(want + s->l3 + 4, get16(s->octets + s->l3 + 4) + idx);
	}
	if (s->spec.is_udp) {
		put16(l4 + 4, s->headers + payload - s->l4);
		return;
	}
	put16(l4 + 4, seq >> 16);
	put16(l4 + 6, seq);
	if (from + payload < s->spec.payload)
		l4[13] &= 0xf6; /* neither FIN nor PSH before the last */
	if (idx)
		l4[13] &= 0x7f; /* CWR in the first only */
}

const char *sample_check(const struct sample *s, unsigned idx, const uint8_t *segment,
			 uint32_t size, uint32_t *from)
{
	uint32_t payload = s->spec.payload - *from;
	uint32_t field = (uint32_t)s->vnet.csum_start + s->vnet.csum_offset;
	uint8_t want[SAMPLE_HEADERS_MAX];

	if (payload > s->spec.gso_size)
		payload = s->spec.gso_size;
	if (size != s->headers + payload)
		return "size";
	expected_headers(s, idx, *from, payload, want);
	memcpy(want + field, segment + field, 2);
	if (!s->spec.is_ipv6)
		memcpy(want + s->l3 + 10, segment + s->l3 + 10, 2);
	if (memcmp(segment, want, s->headers))
		return "headers";
	if (memcmp(segment + s->headers, s->octets + s->headers + *from, payload))
		return "payload";
	if (!s->spec.is_ipv6 && sample_sum(segment + s->l3, s->l4 - s->l3, 0) != 0xffff)
		return "IPv4 header checksum";
	if (sample_sum(segment + s->l4, size - s->l4, pseudo_sum(s, segment, size - s->l4)) !=
	    0xffff)
		return "L4 checksum";
	if (s->spec.is_udp && get16(segment + s->l4 + 6) == 0)
		return "UDP checksum is missing";
	*from += payload;
	return NULL;
}
