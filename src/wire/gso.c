// SPDX-License-Identifier: Apache-2.0
#include "gso.h"

#include <string.h>

#include "csum.h"
#include "ip.h"

enum {
	/* Headers end inside the head of a frame, to which eth_retag() may have added tags. */
	CHAIN_MAX = FRAME_HEAD_SIZE + 2 * ETH_TAG_SIZE,
};

_Static_assert((int)CHAIN_MAX <= (int)GSO_HEADERS_MAX, "accepted headers fit a header buffer");

/* Where the headers of a GSO frame are. */
struct layout {
	uint16_t l3_offset, l4_offset, header_size;
	bool is_ipv6, is_udp;
	bool is_extended; /* IPv6 with extension headers */
};

static uint8_t gso_kind(const struct vnet_hdr *h)
{
	return h->gso_type & (uint8_t)~VNET_GSO_ECN;
}

/* Below, `p` holds the first `avail` octets of the frame, CHAIN_MAX at most. */

static bool layout_ipv4(const uint8_t *p, uint32_t avail, struct layout *l, uint8_t *proto)
{
	const uint8_t *ip = p + l->l3_offset;
	uint16_t size;

	if (avail < (uint32_t)l->l3_offset + IPV4_HEADER_SIZE || ip[0] >> 4 != 4)
		return false;
	size = (ip[0] & 15) * 4;
	/* More fragments, or a fragment offset: there is no L4 header to repeat. */
	if (size < IPV4_HEADER_SIZE || eth_load16(ip + 6) & 0x3fff)
		return false;
	*proto = ip[9];
	l->l4_offset = (uint16_t)(l->l3_offset + size);
	return true;
}

static bool layout_ipv6(const uint8_t *p, uint32_t avail, struct layout *l, uint8_t *proto)
{
	const uint8_t *ip = p + l->l3_offset;
	uint32_t at = (uint32_t)l->l3_offset + IPV6_HEADER_SIZE;
	uint8_t next;

	if (avail < at || ip[0] >> 4 != 6)
		return false;
	next = ip[6];
	while (ipv6_is_extension(next)) {
		if (avail < at + 8)
			return false;
		l->is_extended = true;
		next = p[at];
		at += (p[at + 1] + 1u) * 8;
	}
	*proto = next;
	l->l4_offset = (uint16_t)at; /* CHAIN_MAX and 2 KiB at most; may be beyond `avail` */
	return true;
}

static bool layout_l4(const uint8_t *p, uint32_t avail, struct layout *l)
{
	uint32_t end = l->l4_offset + UDP_HEADER_SIZE;

	if (!l->is_udp) {
		uint32_t size;

		if (avail < (uint32_t)l->l4_offset + TCP_HEADER_SIZE)
			return false;
		size = (p[l->l4_offset + 12] >> 4) * 4u;
		if (size < TCP_HEADER_SIZE)
			return false;
		end = l->l4_offset + size;
	}
	l->header_size = (uint16_t)end;
	return end <= avail;
}

/* Find the headers, and check that they are those which gso_type tells of. */
static bool layout_find(const uint8_t *p, uint32_t avail, const struct eth_key *key,
			const struct vnet_hdr *h, struct layout *l)
{
	uint8_t kind = gso_kind(h), proto;
	uint32_t at = key->type_offset + 2u;
	uint16_t type = key->ethertype;

	/* Tags behind the outermost one. */
	for (; ethertype_is_tag(type); at += ETH_TAG_SIZE) {
		if (avail < at + ETH_TAG_SIZE)
			return false;
		type = eth_load16(p + at + 2);
	}
	*l = (struct layout){ .l3_offset = (uint16_t)at, .is_udp = kind == VNET_GSO_UDP_L4 };
	if (type == ETHERTYPE_IPV4 && kind != VNET_GSO_TCPV6) {
		if (!layout_ipv4(p, avail, l, &proto))
			return false;
	} else if (type == ETHERTYPE_IPV6 && kind != VNET_GSO_TCPV4) {
		l->is_ipv6 = true;
		if (!layout_ipv6(p, avail, l, &proto))
			return false;
	} else {
		return false;
	}
	return proto == (l->is_udp ? PROTO_UDP : PROTO_TCP) && layout_l4(p, avail, l);
}

static bool gso_type_is_known(uint8_t type)
{
	return type == VNET_GSO_UDP_L4 || (type & ~VNET_GSO_ECN) == VNET_GSO_TCPV4 ||
	       (type & ~VNET_GSO_ECN) == VNET_GSO_TCPV6;
}

/* Payload is not more than its segments can carry, nor its segments more than we make. */
static bool gso_payload_fits(const struct frame *f, const struct layout *l)
{
	uint32_t payload, segment, n_max;

	if (f->size < l->header_size || f->size > FRAME_SIZE_MAX)
		return false;
	payload = f->size - l->header_size;
	segment = l->header_size - l->l3_offset + min32(payload, f->vnet.gso_size);
	n_max = l->is_udp ? GSO_UDP_SEGMENTS_MAX : GSO_TCP_SEGMENTS_MAX;
	return segment - (l->is_ipv6 ? IPV6_HEADER_SIZE : 0) <= IP_LENGTH_MAX &&
	       payload <= n_max * f->vnet.gso_size;
}

/* Does the offload header of a GSO frame fit it? `l` is filled if so. */
static bool gso_check(const uint8_t *p, uint32_t avail, const struct frame *f,
		      const struct eth_key *key, struct layout *l)
{
	const struct vnet_hdr *h = &f->vnet;

	if (!gso_type_is_known(h->gso_type) || !h->gso_size || !layout_find(p, avail, key, h, l))
		return false;
	/*
	 * Senders set NEEDS_CSUM with GSO (VIRTIO 1.2, 5.1.6.2.1), but what a NIC coalesced may
	 * come from a tap or packet socket as TCP without it, its checksum verified. Behind IPv6
	 * extension headers we need it: see pseudo_sum().
	 */
	if (!(h->flags & VNET_F_NEEDS_CSUM))
		return !l->is_udp && !l->is_extended && gso_payload_fits(f, l);
	return h->csum_start == l->l4_offset &&
	       h->csum_offset == (l->is_udp ? UDP_CSUM_OFFSET : TCP_CSUM_OFFSET) &&
	       gso_payload_fits(f, l);
}

/* A partial checksum without GSO: the field lies in the frame, behind its MAC and IP headers. */
static bool csum_valid(const struct frame *f, const struct eth_key *key)
{
	const struct vnet_hdr *h = &f->vnet;
	uint32_t from = key->type_offset + 2u;

	if (key->ethertype == ETHERTYPE_IPV4)
		from += IPV4_HEADER_SIZE;
	else if (key->ethertype == ETHERTYPE_IPV6)
		from += IPV6_HEADER_SIZE;
	/* A tag or two may still be added, and csum_start has 16 bits. */
	return h->csum_start >= from && h->csum_start <= UINT16_MAX - 2 * ETH_TAG_SIZE &&
	       (uint32_t)h->csum_start + h->csum_offset + 2 <= f->size;
}

bool gso_valid(const struct frame *f, const struct eth_key *key)
{
	const struct vnet_hdr *h = &f->vnet;
	struct layout l;

	/* Taps and packet sockets refuse a frame shorter than its hdr_len, offloads or not. */
	if (h->hdr_len > f->size)
		return false;
	if (h->gso_type == VNET_GSO_NONE)
		return !(h->flags & VNET_F_NEEDS_CSUM) || csum_valid(f, key);
	return gso_check(f->iov[0].iov_base, min32(FRAME_HEAD_SIZE, (uint32_t)f->iov[0].iov_len), f,
			 key, &l);
}

bool gso_receiver_takes(const struct vnet_hdr *h, uint8_t can)
{
	uint8_t needs = 0;

	if (h->flags)
		needs |= OFFLOAD_CSUM;
	if (h->gso_type == VNET_GSO_NONE)
		return (needs & ~can) == 0;
	/* VIRTIO 1.2, 5.1.6.4.1: to a driver, GSO comes with NEEDS_CSUM. */
	if (!(h->flags & VNET_F_NEEDS_CSUM))
		return false;
	if (h->gso_type & VNET_GSO_ECN)
		needs |= OFFLOAD_ECN;
	switch (gso_kind(h)) {
	case VNET_GSO_TCPV4:
		needs |= OFFLOAD_TSO4;
		break;
	case VNET_GSO_TCPV6:
		needs |= OFFLOAD_TSO6;
		break;
	case VNET_GSO_UDP_L4:
		needs |= OFFLOAD_USO;
		break;
	default:
		return false;
	}
	return (needs & ~can) == 0;
}

uint32_t gso_segment_size_max(const struct frame *f, const struct eth_key *key)
{
	uint8_t head[CHAIN_MAX];
	struct layout l;

	if (f->vnet.gso_type == VNET_GSO_NONE ||
	    !gso_check(head, frame_head_copy(f, head, sizeof(head)), f, key, &l))
		return f->size;
	return min32(f->size, (uint32_t)l.header_size + f->vnet.gso_size);
}

uint64_t gso_wire_size(const struct frame *f, const struct eth_key *key, uint32_t *segments)
{
	uint8_t head[CHAIN_MAX];
	struct layout l;

	*segments = 1;
	if (f->vnet.gso_type == VNET_GSO_NONE ||
	    !gso_check(head, frame_head_copy(f, head, sizeof(head)), f, key, &l) ||
	    f->size <= (uint32_t)l.header_size + f->vnet.gso_size)
		return f->size;
	*segments = (f->size - l.header_size + f->vnet.gso_size - 1) / f->vnet.gso_size;
	return f->size + (uint64_t)(*segments - 1) * l.header_size;
}

bool gso_complete_csum(struct frame *out, const struct frame *in, struct iovec *iov, uint8_t *head)
{
	const struct vnet_hdr *h = &in->vnet;
	uint32_t start = h->csum_start;
	uint32_t end = start + h->csum_offset + 2;
	uint16_t idx = 0, n = 0, csum;
	size_t offset = 0;

	if (h->gso_type != VNET_GSO_NONE)
		return false;
	if (h->flags & VNET_F_NEEDS_CSUM) {
		if (start < ETH_HEADER_SIZE || end > in->size || end > FRAME_SIZE_MAX)
			return false;
		frame_head_copy(in, head, end);
		iov[n++] = (struct iovec){ head, end };
		frame_seek(in, &idx, &offset, end);
	}
	n = (uint16_t)(n + frame_slice(in, &idx, &offset, SIZE_MAX, iov + n));
	if (h->flags & VNET_F_NEEDS_CSUM) {
		/* The field holds the sum of the pseudo-header, so it is summed, too. */
		csum = csum_finish(csum_add_iov(iov, n, start, in->size - start, 0));
		/* 0 would say "no checksum" if this is UDP, and is the same number if not. */
		store16(head + end - 2, csum ? csum : 0xffff);
	}
	*out = (struct frame){
		.iov = iov, .size = in->size, .n_iov = n, .tpid = in->tpid, .tci = in->tci
	};
	return true;
}

/*
 * The pseudo-header without its length: from the IP header. Behind IPv6 extension headers the
 * address that counts may be in one of them (RFC 8200 8.1: routing header; RFC 6275 11.3.1: home
 * address), and the sender has seen to it: its checksum field has that sum, with the length.
 */
static uint32_t pseudo_sum(const uint8_t *p, const struct layout *l, uint32_t size)
{
	const uint8_t *ip = p + l->l3_offset;
	const uint8_t *l4 = p + l->l4_offset;
	uint32_t proto = l->is_udp ? PROTO_UDP : PROTO_TCP;
	uint32_t l4_size = size - l->l4_offset;

	if (l->is_extended)
		return eth_load16(l4 + (l->is_udp ? UDP_CSUM_OFFSET : TCP_CSUM_OFFSET)) +
		       csum_finish(l4_size);
	if (l->is_ipv6)
		return (uint32_t)csum_add(ip + 8, 32, proto);
	return (uint32_t)csum_add(ip + 12, 8, proto);
}

bool gso_start(struct gso_cutter *c, const struct frame *f, const struct eth_key *key)
{
	uint8_t head[CHAIN_MAX];
	struct layout l;

	if (f->vnet.gso_type == VNET_GSO_NONE ||
	    !gso_check(head, frame_head_copy(f, head, sizeof(head)), f, key, &l))
		return false;
	*c = (struct gso_cutter){
		.f = f,
		.payload_offset = l.header_size,
		.pseudo_sum = pseudo_sum(head, &l, f->size),
		.l3_offset = l.l3_offset,
		.l4_offset = l.l4_offset,
		.header_size = l.header_size,
		.is_ipv6 = l.is_ipv6,
		.is_udp = l.is_udp,
	};
	frame_seek(f, &c->iov_idx, &c->iov_offset, l.header_size);
	return true;
}

static void segment_ip(const struct gso_cutter *c, uint8_t *ip, uint32_t size)
{
	uint32_t header_size = (uint32_t)c->l4_offset - c->l3_offset;

	if (c->is_ipv6) {
		store16(ip + 4, size - c->l3_offset - IPV6_HEADER_SIZE);
		return;
	}
	store16(ip + 2, size - c->l3_offset);
	store16(ip + 4, (uint32_t)eth_load16(ip + 4) + c->idx);
	store16(ip + 10, 0);
	store16(ip + 10, csum_finish(csum_add(ip, header_size, 0)));
}

static void segment_tcp(const struct gso_cutter *c, uint8_t *tcp, bool is_last)
{
	uint32_t seq = load32(tcp + 4) + c->payload_offset - c->header_size;

	store16(tcp + 4, seq >> 16);
	store16(tcp + 6, seq);
	if (!is_last)
		tcp[13] &= (uint8_t) ~(TCP_FLAG_FIN | TCP_FLAG_PSH);
	/* RFC 3168 6.1.2: the first segment after the window was reduced says so, and only it. */
	if (c->idx)
		tcp[13] &= (uint8_t)~TCP_FLAG_CWR;
}

/* Fill in the L4 checksum of segment `out`, whose other fields are final. */
static void segment_csum(const struct gso_cutter *c, const struct frame *out, uint8_t *l4)
{
	uint8_t *field = l4 + (c->is_udp ? UDP_CSUM_OFFSET : TCP_CSUM_OFFSET);
	uint32_t size = out->size - c->l4_offset;
	uint16_t csum;

	store16(field, 0);
	csum = csum_finish(csum_add_iov(out->iov, out->n_iov, c->l4_offset, size,
					(uint64_t)c->pseudo_sum + size));
	if (c->is_udp && !csum)
		csum = 0xffff; /* RFC 768: 0 means that there is none */
	store16(field, csum);
}

bool gso_next(struct gso_cutter *c, struct frame *out, struct iovec *iov, uint8_t *header)
{
	const struct frame *f = c->f;
	uint32_t left = f->size - c->payload_offset;
	uint32_t size = min32(left, f->vnet.gso_size);
	uint8_t *l4 = header + c->l4_offset;

	if (c->idx && !left)
		return false;
	frame_head_copy(f, header, c->header_size);
	iov[0] = (struct iovec){ header, c->header_size };
	*out = (struct frame){
		.iov = iov,
		.size = c->header_size + size,
		.n_iov = (uint16_t)(1 + frame_slice(f, &c->iov_idx, &c->iov_offset, size, iov + 1)),
		.tpid = f->tpid,
		.tci = f->tci,
	};
	segment_ip(c, header + c->l3_offset, out->size);
	if (c->is_udp)
		store16(l4 + 4, out->size - c->l4_offset);
	else
		segment_tcp(c, l4, size == left);
	segment_csum(c, out, l4);
	c->payload_offset += size;
	c->idx++;
	return true;
}
