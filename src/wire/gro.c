// SPDX-License-Identifier: Apache-2.0
#include "gro.h"

#include <string.h>

#include "csum.h"
#include "ip.h"

enum {
	/* What is surely in stable memory: eth_retag() may have taken a tag out of the head. */
	HEAD_SIZE = FRAME_HEAD_SIZE - ETH_TAG_SIZE,
	IPV4_DF = 0x4000,
	ENDS = TCP_FLAG_FIN | TCP_FLAG_PSH,
	NEVER_JOIN = TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_URG | TCP_FLAG_CWR,
};

/* Segments are linked by `next`, in which 0 is the end: nothing is joined to the first frame. */
_Static_assert(GRO_FRAMES_MAX <= UINT8_MAX, "frames are counted in an octet");

/* What a frame is to the segments before it. */
enum kind {
	KIND_OTHER,   /* none of their business */
	KIND_SEGMENT, /* ends or continues its connection's run */
	KIND_UNCLEAR, /* perhaps a segment, and nobody looked of what connection: ends all runs */
};

/* ---- headers ---- */

/* Where IP starts; 0 if that is not within `avail` octets, or there are more than two tags. */
static uint8_t find_l3(const uint8_t *p, uint32_t avail, uint16_t *type)
{
	uint32_t at = 12;

	for (unsigned tags = 0; avail >= at + 2; at += ETH_TAG_SIZE, tags++) {
		*type = eth_load16(p + at);
		if (!ethertype_is_tag(*type))
			return (uint8_t)(at + 2);
		if (tags == 2)
			break;
	}
	return 0;
}

static bool parse_protocol(struct gro_segment *s, uint8_t protocol)
{
	s->is_udp = protocol == PROTO_UDP;
	return s->is_udp || protocol == PROTO_TCP;
}

/* Fill in what is known of the IP header; *size becomes the length it tells. */
static enum kind parse_ip(struct gro_segment *s, uint32_t avail, uint16_t type, uint32_t *size)
{
	const uint8_t *ip = s->head + s->l3;

	if (type == ETHERTYPE_IPV4) {
		if (avail < (uint32_t)s->l3 + IPV4_HEADER_SIZE || !parse_protocol(s, ip[9]))
			return KIND_OTHER;
		s->l4 = (uint8_t)(s->l3 + IPV4_HEADER_SIZE);
		*size = eth_load16(ip + 2);
		return ip[0] != 0x45 || eth_load16(ip + 6) & ~IPV4_DF ? KIND_UNCLEAR : KIND_SEGMENT;
	}
	if (type != ETHERTYPE_IPV6 || avail < (uint32_t)s->l3 + IPV6_HEADER_SIZE)
		return KIND_OTHER;
	if (!parse_protocol(s, ip[6]))
		return ipv6_is_extension(ip[6]) || ip[6] == 44 ? KIND_UNCLEAR : KIND_OTHER;
	s->is_ipv6 = true;
	s->l4 = (uint8_t)(s->l3 + IPV6_HEADER_SIZE);
	*size = eth_load16(ip + 4) + (uint32_t)IPV6_HEADER_SIZE;
	return ip[0] >> 4 != 6 ? KIND_UNCLEAR : KIND_SEGMENT;
}

/* What TCP or UDP say of their header. Returns octets of all headers; 0: the segment is alone. */
static uint32_t parse_l4(const struct gro_segment *s, uint32_t size)
{
	const uint8_t *l4 = s->head + s->l4;
	uint32_t headers = s->l4 + (uint32_t)UDP_HEADER_SIZE;

	if (s->is_udp) /* without a checksum is a promise that a GSO frame cannot make */
		return s->l4 + eth_load16(l4 + 4) == size && eth_load16(l4 + UDP_CSUM_OFFSET) ?
			       headers :
			       0;
	headers = s->l4 + (l4[12] >> 4) * 4u;
	return headers >= (uint32_t)s->l4 + TCP_HEADER_SIZE && !(l4[13] & NEVER_JOIN) ? headers : 0;
}

static uint16_t csum_offset(const struct gro_segment *s)
{
	return s->is_udp ? UDP_CSUM_OFFSET : TCP_CSUM_OFFSET;
}

/* Flags that end a run. */
static uint8_t ends_of(const struct gro_segment *s)
{
	return s->is_udp ? 0 : s->head[s->l4 + 13] & ENDS;
}

static enum kind parse(struct gro_segment *s, const struct frame *f, uint8_t *copy)
{
	const struct vnet_hdr *h = &f->vnet;
	uint32_t avail = min32((uint32_t)f->iov[0].iov_len, HEAD_SIZE), size, headers;
	enum kind kind;
	uint16_t type;

	*s = (struct gro_segment){ .head = f->iov[0].iov_base };
	if (h->gso_type || f->tpid)
		return KIND_UNCLEAR;
	if (f->n_iov > 1 && avail < HEAD_SIZE) {
		avail = frame_head_copy(f, copy, HEAD_SIZE);
		s->head = copy;
	}
	s->l3 = find_l3(s->head, avail, &type);
	kind = s->l3 ? parse_ip(s, avail, type, &size) : KIND_OTHER;
	if (kind != KIND_SEGMENT)
		return kind;
	if (avail < s->l4 + (uint32_t)(s->is_udp ? UDP_HEADER_SIZE : TCP_HEADER_SIZE))
		return KIND_UNCLEAR;
	headers = parse_l4(s, f->size);
	s->is_trusted = h->flags != 0;
	s->may_join = headers && headers <= avail && s->l3 + size == f->size && headers < f->size;
	/* A partial checksum is as good as a right one, if it is that of the segment. */
	if (h->flags & VNET_F_NEEDS_CSUM)
		s->may_join &= h->csum_start == s->l4 && h->csum_offset == csum_offset(s);
	if (s->may_join) {
		s->size = (uint8_t)headers;
		s->payload = (uint16_t)(f->size - headers);
	}
	return KIND_SEGMENT;
}

static uint64_t pseudo_sum(const struct gro_segment *s, uint32_t l4_size)
{
	const uint8_t *ip = s->head + s->l3;

	l4_size += s->is_udp ? PROTO_UDP : PROTO_TCP;
	return s->is_ipv6 ? csum_add(ip + 8, 32, l4_size) : csum_add(ip + 12, 8, l4_size);
}

/*
 * Is it the checksum that would be made anew? There are two zeros, of which one is made: 0xffff
 * with UDP, since 0 there means none (RFC 768).
 */
static bool csum_is(uint64_t sum, const uint8_t *field, bool is_udp)
{
	return csum_finish(sum) == 0 && eth_load16(field) != (is_udp ? 0 : 0xffff);
}

/* Are the checksums right? Found out once, and only when it matters. */
static bool check(struct gro_segment *s, const struct frame *f)
{
	const uint8_t *ip = s->head + s->l3;
	uint32_t l4_size = f->size - s->l4;

	if (s->is_checked)
		return s->may_join;
	s->is_checked = true;
	if (!s->is_ipv6)
		s->may_join = csum_is(csum_add(ip, IPV4_HEADER_SIZE, 0), ip + 10, false);
	if (!s->is_trusted)
		s->may_join &= csum_is(csum_add_iov(f->iov, f->n_iov, s->l4, l4_size,
						    pseudo_sum(s, l4_size)),
				       s->head + s->l4 + csum_offset(s), s->is_udp);
	return s->may_join;
}

/* ---- which belong together ---- */

static bool same_connection(const struct gro_segment *a, const struct gro_segment *b)
{
	/* Addresses and ports are side by side. */
	uint32_t addresses = a->is_ipv6 ? 32 : 8;

	return a->is_ipv6 == b->is_ipv6 && a->is_udp == b->is_udp && a->l3 == b->l3 &&
	       !memcmp(a->head + a->l4 - addresses, b->head + b->l4 - addresses, addresses + 4) &&
	       !memcmp(a->head, b->head, a->l3);
}

/* Do the IP headers allow `s` to follow? *fixed_id tells what is known after it. */
static bool ip_continues(const struct gro_segment *first, const struct gro_segment *s, uint8_t n,
			 bool *fixed_id)
{
	const uint8_t *a = first->head + first->l3, *b = s->head + s->l3;
	uint16_t step;

	if (first->is_ipv6) /* version, class, flow label; hop limit */
		return !memcmp(a, b, 4) && a[7] == b[7];
	if (a[1] != b[1] || a[8] != b[8] || a[6] != b[6])
		return false;
	step = (uint16_t)(eth_load16(b + 4) - eth_load16(a + 4));
	if (n == 1)
		*fixed_id = step == 0 && a[6];
	return *fixed_id ? step == 0 : step == n;
}

static bool tcp_continues(const struct gro_segment *first, const struct gro_segment *s,
			  uint32_t octets)
{
	const uint8_t *a = first->head + first->l4, *b = s->head + s->l4;

	if (first->is_udp)
		return true;
	/* Acknowledgment, data offset, flags, window, urgent pointer, options. */
	return load32(b + 4) == load32(a + 4) + octets && !memcmp(a + 8, b + 8, 5) &&
	       !((a[13] ^ b[13]) & ~ENDS) && !memcmp(a + 14, b + 14, 2) &&
	       !memcmp(a + 18, b + 18, first->size - first->l4 - 18u);
}

/* Join segment `i` to the flow, if that may be. */
static bool join(struct gro *g, struct gro_flow *w, unsigned i)
{
	struct gro_segment *first = &g->segment[w->first], *s = &g->segment[i];
	bool fixed_id = w->has_fixed_id;
	uint16_t n_iov = (uint16_t)(w->n_iov + g->in[i]->n_iov);

	if (!s->may_join || s->payload > first->payload || !tcp_continues(first, s, w->octets) ||
	    !ip_continues(first, s, w->n, &fixed_id) ||
	    first->size - first->l3 + w->octets + s->payload > IP_LENGTH_MAX ||
	    n_iov > GRO_IOV_MAX - 1 || !check(first, g->in[w->first]) || !check(s, g->in[i]))
		return false;
	g->segment[w->last].next = (uint8_t)i;
	first->n = ++w->n;
	s->n = 0;
	w->last = (uint8_t)i;
	w->octets += s->payload;
	w->n_iov = n_iov;
	w->has_fixed_id = fixed_id;
	if (s->payload < first->payload || ends_of(s))
		w->n = 0;
	return true;
}

/* A run that starts with segment `i`, in the place of flow `w` or of one that is closed. */
static void start(struct gro *g, struct gro_flow *w, unsigned i)
{
	const struct gro_segment *s = &g->segment[i];

	for (unsigned k = 0; !w && k < GRO_FLOWS_MAX; k++)
		if (k >= g->n_flows || !g->flow[k].n)
			w = &g->flow[k];
	if (!w)
		w = &g->flow[i % GRO_FLOWS_MAX];
	if (w == &g->flow[g->n_flows])
		g->n_flows++;
	*w = (struct gro_flow){ .first = (uint8_t)i,
				.last = (uint8_t)i,
				.n = 1,
				.n_iov = g->in[i]->n_iov,
				.octets = s->payload };
}

static uint8_t offload_of(const struct gro_segment *s)
{
	return s->is_udp ? OFFLOAD_USO : s->is_ipv6 ? OFFLOAD_TSO6 : OFFLOAD_TSO4;
}

static void take_segment(struct gro *g, unsigned i, uint8_t can)
{
	struct gro_segment *s = &g->segment[i];
	struct gro_flow *w = NULL;

	for (unsigned k = 0; k < g->n_flows && !w; k++)
		if (g->flow[k].n && same_connection(&g->segment[g->flow[k].first], s))
			w = &g->flow[k];
	if (w && join(g, w, i))
		return;
	if (w)
		w->n = 0;
	if (s->may_join && !ends_of(s) && can & offload_of(s))
		start(g, w, i);
}

/* ---- the frame of several ---- */

static void make_headers(struct gro *g, const struct gro_segment *first, uint32_t size, uint8_t *to,
			 uint8_t ends)
{
	uint8_t *ip = to + first->l3, *l4 = to + first->l4;
	uint32_t l4_size = size - first->l4;

	memcpy(to, first->head, first->size);
	if (first->is_ipv6) {
		store16(ip + 4, l4_size);
	} else {
		store16(ip + 2, size - first->l3);
		store16(ip + 10, 0);
		store16(ip + 10, csum_finish(csum_add(ip, IPV4_HEADER_SIZE, 0)));
	}
	if (first->is_udp)
		store16(l4 + 4, l4_size);
	else
		l4[13] |= ends;
	store16(l4 + csum_offset(first), (uint16_t)~csum_finish(pseudo_sum(first, l4_size)));
}

static const struct frame *make(struct gro *g, unsigned i)
{
	const struct gro_segment *first = &g->segment[i], *s;
	struct frame *out = &g->made[g->n_made];
	uint8_t *header = g->header[g->n_made++];
	struct iovec *iov = &g->iov[g->n_iov];
	uint32_t size = first->size;
	uint16_t n_iov = 1;

	for (unsigned k = i;; k = s->next) {
		uint16_t idx;
		size_t offset;

		s = &g->segment[k];
		frame_seek(g->in[k], &idx, &offset, s->size);
		n_iov = (uint16_t)(n_iov +
				   frame_slice(g->in[k], &idx, &offset, s->payload, iov + n_iov));
		size += s->payload;
		if (!s->next)
			break;
	}
	make_headers(g, first, size, header, ends_of(s));
	iov[0] = (struct iovec){ header, first->size };
	g->n_iov += n_iov;
	*out = (struct frame){
		.iov = iov,
		.n_iov = n_iov,
		.size = size,
		.vnet = { .flags = VNET_F_NEEDS_CSUM,
			  .gso_type = first->is_udp  ? VNET_GSO_UDP_L4 :
				      first->is_ipv6 ? VNET_GSO_TCPV6 :
						       VNET_GSO_TCPV4,
			  .hdr_len = first->size,
			  .gso_size = first->payload,
			  .csum_start = first->l4,
			  .csum_offset = csum_offset(first) },
	};
	return out;
}

unsigned gro_run(struct gro *g, const struct frame *const *in, unsigned n, uint8_t can)
{
	unsigned n_out = 0;

	g->in = in;
	g->n_flows = g->n_made = g->n_iov = 0;
	for (unsigned i = 0; i < n; i++) {
		enum kind kind = parse(&g->segment[i], in[i], g->copy[i]);

		g->segment[i].n = 1;
		if (kind == KIND_SEGMENT)
			take_segment(g, i, can);
		else if (kind == KIND_UNCLEAR)
			g->n_flows = 0;
	}
	for (unsigned i = 0; i < n; i++) {
		uint8_t n_of = g->segment[i].n;

		if (!n_of)
			continue;
		g->out[n_out] = n_of > 1 ? make(g, i) : in[i];
		g->n_of[n_out++] = n_of;
	}
	return n_out;
}
