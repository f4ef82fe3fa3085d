// SPDX-License-Identifier: Apache-2.0
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <string.h>

#include "gso.h"
#include "sample.h"
#include "types.h"

enum { FIN = 0x01, SYN = 0x02, PSH = 0x08, ACK = 0x10, URG = 0x20, ECE = 0x40, CWR = 0x80 };

static struct sample sample; /* too large for a stack */
static uint8_t segment_octets[FRAME_SIZE_MAX];

/* ---- cutting ---- */

static const struct sample_spec cut_rows[] = {
	{ "TCPv4", .tcp_flags = ACK, .gso_size = 1448, .payload = 65160 - 1448 },
	{ "TCPv4, PSH, FIN", .tcp_flags = ACK | PSH | FIN, .gso_size = 1460, .payload = 5000 },
	{ "TCPv4, CWR with ECN", .tcp_flags = ACK | CWR | ECE, .ecn = true, .gso_size = 1000,
	  .payload = 3500 },
	{ "TCPv4, CWR without ECN", .tcp_flags = ACK | CWR, .gso_size = 1000, .payload = 3500 },
	{ "TCPv4, URG", .tcp_flags = ACK | URG, .gso_size = 1000, .payload = 3500 },
	{ "TCPv4, timestamps", .tcp_flags = ACK, .tcp_options = 12, .gso_size = 1448,
	  .payload = 14480 },
	{ "TCPv4, all options that fit", .tcp_flags = ACK, .tcp_options = 36, .ip_extra = 36,
	  .gso_size = 500, .payload = 1111 },
	{ "TCPv4, last segment of one octet", .tcp_flags = ACK, .gso_size = 100, .payload = 201 },
	{ "TCPv4, odd gso_size", .tcp_flags = ACK, .gso_size = 333, .payload = 1000 },
	{ "TCPv4, gso_size of one", .tcp_flags = ACK | PSH, .gso_size = 1, .payload = 2048 },
	{ "TCPv4, payload is gso_size", .tcp_flags = ACK | PSH, .gso_size = 1000, .payload = 1000 },
	{ "TCPv4, payload less than gso_size", .tcp_flags = ACK | PSH | CWR, .gso_size = 1000,
	  .payload = 999 },
	{ "TCPv4, no payload", .tcp_flags = ACK | FIN, .gso_size = 1000 },
	{ "TCPv4, longest", .tcp_flags = ACK, .gso_size = 1448, .payload = 65535 - 40 },
	{ "TCPv4, C-tag", .tpid = 0x8100, .tcp_flags = ACK, .gso_size = 1448, .payload = 4000 },
	{ "TCPv4, S-tag", .tpid = 0x88a8, .tcp_flags = ACK, .gso_size = 1448, .payload = 4000 },
	{ "TCPv4, S-tag and C-tag", .tpid = 0x88a8, .inner_tpid = 0x8100, .tcp_flags = ACK,
	  .gso_size = 1448, .payload = 4000 },
	{ "TCPv6", .is_ipv6 = true, .tcp_flags = ACK | PSH, .gso_size = 1428, .payload = 64000 },
	{ "TCPv6, CWR with ECN", .is_ipv6 = true, .tcp_flags = ACK | CWR, .ecn = true,
	  .gso_size = 1001, .payload = 7000 },
	{ "TCPv6, C-tag", .is_ipv6 = true, .tpid = 0x8100, .tcp_flags = ACK, .gso_size = 1428,
	  .payload = 4000 },
	{ "TCPv6, hop-by-hop options", .is_ipv6 = true, .ip_extra = 8, .tcp_flags = ACK,
	  .gso_size = 1400, .payload = 4000 },
	{ "TCPv6, destination options", .is_ipv6 = true, .ip_extra = 16, .ip_extra_type = 60,
	  .tcp_flags = ACK, .gso_size = 1400, .payload = 4000 },
	{ "TCPv6, routing header", .is_ipv6 = true, .ip_extra = 24, .ip_extra_type = 43,
	  .tcp_flags = ACK, .gso_size = 1400, .payload = 4000 },
	{ "UDPv4", .is_udp = true, .gso_size = 1472, .payload = 14720 },
	{ "UDPv4, short last datagram", .is_udp = true, .gso_size = 1200, .payload = 12001 },
	{ "UDPv4, 128 datagrams", .is_udp = true, .gso_size = 99, .payload = 128 * 99 },
	{ "UDPv4, IP options, C-tag", .is_udp = true, .ip_extra = 8, .tpid = 0x8100,
	  .gso_size = 1001, .payload = 4000 },
	{ "UDPv4, one datagram", .is_udp = true, .gso_size = 1472, .payload = 700 },
	{ "UDPv6", .is_ipv6 = true, .is_udp = true, .gso_size = 1452, .payload = 14520 },
	{ "UDPv6, odd sizes, S-tag", .is_ipv6 = true, .is_udp = true, .tpid = 0x88a8,
	  .gso_size = 777, .payload = 7001 },
	{ "UDPv6, routing header", .is_ipv6 = true, .is_udp = true, .ip_extra = 24,
	  .ip_extra_type = 43, .gso_size = 1200, .payload = 4000 },
};

static const char *cut_next(struct gso_cutter *c, const struct sample *s, unsigned idx,
			    uint32_t *from)
{
	static uint8_t header[GSO_HEADERS_MAX];
	struct iovec iov[SAMPLE_IOV_MAX + 4];
	struct frame out;
	uint32_t size;

	if (!gso_next(c, &out, iov, header))
		return "is missing";
	if (out.n_iov > c->f->n_iov + 1)
		return "has too many pieces";
	if (out.vnet.flags || out.vnet.gso_type)
		return "has offloads";
	if (out.tpid != c->f->tpid || out.tci != c->f->tci)
		return "lost the tag beside it";
	size = sample_flatten(&out, segment_octets);
	if (size != out.size)
		return "does not know its size";
	return sample_check(s, idx, segment_octets, size, from);
}

/* Cut `f`, which has the octets of `s`, and compare every segment. */
static void cut_check(const struct frame *f, const struct sample *s)
{
	uint32_t from = 0, longest = s->size;
	struct iovec iov[SAMPLE_IOV_MAX + 4];
	uint8_t header[GSO_HEADERS_MAX];
	struct gso_cutter c;
	struct eth_key key;
	struct frame out;
	unsigned idx = 0;

	assert_true(eth_key_parse(f, &key));
	if (s->spec.payload > s->spec.gso_size)
		longest = s->headers + s->spec.gso_size;
	if (gso_segment_size_max(f, &key) != longest)
		fail_msg("%s: longest segment is said to be %u", s->spec.name,
			 gso_segment_size_max(f, &key));
	if (!gso_start(&c, f, &key))
		fail_msg("%s: is refused", s->spec.name);
	do {
		const char *wrong = cut_next(&c, s, idx, &from);

		if (wrong)
			fail_msg("%s, payload %u, gso_size %u: segment %u: %s", s->spec.name,
				 s->spec.payload, s->spec.gso_size, idx, wrong);
		idx++;
	} while (from < s->spec.payload);
	if (gso_next(&c, &out, iov, header))
		fail_msg("%s: a segment too many", s->spec.name);
}

static bool sample_valid(const struct frame *f)
{
	struct eth_key key;

	return eth_key_parse(f, &key) && gso_valid(f, &key);
}

static void test_cut(void **state)
{
	struct iovec iov[SAMPLE_IOV_MAX];
	struct frame f;

	for (size_t i = 0; i < ARRAY_SIZE(cut_rows); i++) {
		sample_make(&sample, &cut_rows[i], (uint32_t)i);
		sample_frame(&sample, &f, iov);
		if (!sample_valid(&f))
			fail_msg("%s: is not valid", cut_rows[i].name);
		cut_check(&f, &sample);
	}
}

static void test_cut_with_tag_beside(void **state)
{
	struct iovec iov[SAMPLE_IOV_MAX];
	struct frame f;

	for (size_t i = 0; i < ARRAY_SIZE(cut_rows); i++) {
		sample_make(&sample, &cut_rows[i], (uint32_t)i);
		sample_frame(&sample, &f, iov);
		f.tpid = 0x88a8;
		f.tci = 0x2345;
		assert_true(sample_valid(&f));
		cut_check(&f, &sample);
	}
}

/* The segments of the frame may end anywhere. */
static void test_cut_split_anywhere(void **state)
{
	static const struct sample_spec specs[] = {
		{ "TCPv4 in three", .tcp_flags = ACK, .gso_size = 61, .payload = 300 },
		{ "UDPv6 in three", .is_ipv6 = true, .is_udp = true, .gso_size = 60,
		  .payload = 301 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		sample_make(&sample, &specs[i], 7);
		for (uint32_t a = FRAME_HEAD_SIZE; a <= sample.size; a++) {
			for (uint32_t b = a; b <= sample.size; b += 7) {
				uint8_t *p = sample.octets;
				struct iovec iov[] = { { p, a },
						       { p + a, b - a },
						       { p + b, sample.size - b } };
				struct frame f = { .iov = iov,
						   .n_iov = 3,
						   .size = sample.size,
						   .vnet = sample.vnet };

				assert_true(sample_valid(&f));
				cut_check(&f, &sample);
			}
		}
	}
}

static void test_cut_random(void **state)
{
	struct iovec iov[SAMPLE_IOV_MAX];
	struct sample_spec spec;
	struct frame f;

	for (uint32_t seed = 0; seed < 1500; seed++) {
		sample_spec_random(&spec, seed);
		sample_make(&sample, &spec, seed);
		sample_frame_split(&sample, &f, iov, seed);
		if (!sample_valid(&f))
			fail_msg("seed %u: is not valid", seed);
		cut_check(&f, &sample);
	}
}

/* A frame that got or lost its tag is cut like one that was made so. */
static void test_cut_after_retag(void **state)
{
	static const uint16_t tpids[] = { 0, 0x8100, 0x88a8 };
	struct iovec iov[SAMPLE_IOV_MAX], tagged_iov[SAMPLE_IOV_MAX + 2] = { 0 };
	struct sample_spec spec;
	struct frame f, tagged;
	struct eth_key key;
	uint8_t tag[4] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cut_rows) * 3; i++) {
		spec = cut_rows[i / 3];
		if (spec.inner_tpid)
			continue;
		sample_make(&sample, &spec, (uint32_t)i);
		sample_frame_split(&sample, &f, iov, (uint32_t)i);
		assert_true(sample_valid(&f) && eth_key_parse(&f, &key));
		eth_retag(&tagged, &f, &key, (struct eth_room){ tagged_iov, tag },
			  (struct eth_tag){ .tpid = tpids[i % 3], .tci = 0x6064 });
		/* `tagged` still points into the octets: they must not be made anew. */
		static struct sample want;

		spec.tpid = tpids[i % 3];
		sample_make(&want, &spec, (uint32_t)i);
		cut_check(&tagged, &want);
	}
}

/* ---- what is refused ---- */

static void sample_put16(struct sample *s, uint32_t at, uint32_t v)
{
	s->octets[at] = (uint8_t)(v >> 8);
	s->octets[at + 1] = (uint8_t)v;
}

/* Frames to be spoilt (or not) by the rows below. */
static const struct sample_spec tcp4 = { "TCPv4", .tcp_flags = ACK, .gso_size = 100,
					 .payload = 500 };
static const struct sample_spec tcp6 = { "TCPv6", .is_ipv6 = true, .tcp_flags = ACK,
					 .gso_size = 100, .payload = 500 };
static const struct sample_spec udp4 = { "UDPv4", .is_udp = true, .gso_size = 100, .payload = 500 };
static const struct sample_spec udp6 = { "UDPv6", .is_ipv6 = true, .is_udp = true, .gso_size = 100,
					 .payload = 500 };
static const struct sample_spec dst6 = { "TCPv6 with options", .is_ipv6 = true,	 .ip_extra = 8,
					 .ip_extra_type = 60,  .tcp_flags = ACK, .gso_size = 100,
					 .payload = 500 };
static const struct sample_spec tags4 = { "TCPv4 with tags", .tpid = 0x88a8,  .inner_tpid = 0x8100,
					  .tcp_flags = ACK,  .gso_size = 100, .payload = 500 };

enum { L3 = 14, L4 = 34, L4_V6 = 54 };
enum field { OCTETS, FLAGS, TYPE, HDR_LEN, GSO_SIZE, CSUM_START, CSUM_OFFSET, SIZE, IHL };

static const struct change_row {
	const char *name;
	const struct sample_spec *spec;
	enum field field;
	uint32_t value;
	uint32_t at; /* OCTETS: these 16 bits */
	bool ok;
} change_rows[] = {
	{ "type 0 with the rest of a GSO header", &tcp4, TYPE, 0, 0, true },
	{ "UFO", &udp4, TYPE, 3, 0, false },
	{ "unknown type", &tcp4, TYPE, 2, 0, false },
	{ "type of ECN alone", &tcp4, TYPE, VNET_GSO_ECN, 0, false },
	{ "UDP with ECN", &udp4, TYPE, VNET_GSO_UDP_L4 | VNET_GSO_ECN, 0, false },
	{ "v4 frame, v6 type", &tcp4, TYPE, VNET_GSO_TCPV6, 0, false },
	{ "v6 frame, v4 type", &tcp6, TYPE, VNET_GSO_TCPV4, 0, false },
	{ "TCP frame, UDP type", &tcp4, TYPE, VNET_GSO_UDP_L4, 0, false },
	{ "UDP frame, TCP type", &udp4, TYPE, VNET_GSO_TCPV4, 0, false },
	{ "UDPv6 frame, TCP type", &udp6, TYPE, VNET_GSO_TCPV6, 0, false },
	{ "unknown flags are ignored", &tcp4, FLAGS, 0xfd, 0, true },
	{ "TCP without NEEDS_CSUM, verified", &tcp4, FLAGS, VNET_F_DATA_VALID, 0, true },
	{ "TCP behind IPv6 options, without NEEDS_CSUM", &dst6, FLAGS, 0, 0, false },
	{ "UDP without NEEDS_CSUM", &udp4, FLAGS, 0, 0, false },
	{ "hdr_len 0", &tcp4, HDR_LEN, 0, 0, true },
	{ "hdr_len is all of the frame", &tcp4, HDR_LEN, 554, 0, true },
	{ "hdr_len beyond the frame", &tcp4, HDR_LEN, 555, 0, false },
	{ "gso_size 0", &tcp4, GSO_SIZE, 0, 0, false },
	{ "gso_size 0, UDP", &udp6, GSO_SIZE, 0, 0, false },
	{ "gso_size 1", &tcp4, GSO_SIZE, 1, 0, true },
	{ "129 datagrams", &udp4, GSO_SIZE, 3, 0, false },
	{ "gso_size 65535", &tcp4, GSO_SIZE, 65535, 0, true },
	{ "csum_start in the IP header", &tcp4, CSUM_START, L4 - 2, 0, false },
	{ "csum_start odd", &tcp4, CSUM_START, L4 + 1, 0, false },
	{ "csum_start 65535", &tcp4, CSUM_START, 65535, 0, false },
	{ "csum_offset of UDP", &tcp4, CSUM_OFFSET, 6, 0, false },
	{ "csum_offset of TCP", &udp4, CSUM_OFFSET, 16, 0, false },
	{ "csum_offset 65535", &tcp6, CSUM_OFFSET, 65535, 0, false },
	{ "ends before IPv4", &tcp4, SIZE, L3, 0, false },
	{ "ends in IPv4", &tcp4, SIZE, L4 - 1, 0, false },
	{ "ends before TCP", &tcp4, SIZE, L4, 0, false },
	{ "ends in TCP", &tcp4, SIZE, L4 + 19, 0, false },
	{ "ends with TCP", &tcp4, SIZE, L4 + 20, 0, true },
	{ "ends before IPv6", &tcp6, SIZE, L3, 0, false },
	{ "ends in IPv6", &tcp6, SIZE, L4_V6 - 1, 0, false },
	{ "ends in front of IPv6 options", &dst6, SIZE, L4_V6, 0, false },
	{ "ends in IPv6 options", &dst6, SIZE, L4_V6 + 7, 0, false },
	{ "ends with the EtherType of a second tag", &tags4, SIZE, 18, 0, false },
	{ "ends in the second tag", &tags4, SIZE, 21, 0, false },
	{ "ends with the second tag", &tags4, SIZE, 22, 0, false },
	{ "ends in UDP", &udp4, SIZE, L4 + 7, 0, false },
	{ "ends with UDP", &udp4, SIZE, L4 + 8, 0, true },
	{ "EtherType ARP", &tcp4, OCTETS, 0x0806, 12, false },
	{ "EtherType IPv6 on IPv4", &tcp4, OCTETS, 0x86dd, 12, false },
	{ "version 6 in IPv4", &tcp4, OCTETS, 0x6500, L3, false },
	{ "version 4 in IPv6", &tcp6, OCTETS, 0x4000, L3, false },
	{ "IHL 4", &tcp4, OCTETS, 0x4400, L3, false },
	{ "IHL 4, and UDP where it would end", &udp4, IHL, 4, 0, false },
	{ "IHL 6, and UDP where it ends", &udp4, IHL, 6, 0, true },
	{ "IHL too long", &tcp4, OCTETS, 0x4f00, L3, false },
	{ "IPv4 length 0 (BIG TCP)", &tcp4, OCTETS, 0, L3 + 2, true },
	{ "IPv4 length wrong", &tcp4, OCTETS, 17, L3 + 2, true },
	{ "more fragments", &tcp4, OCTETS, 0x2000, L3 + 6, false },
	{ "fragment offset", &udp4, OCTETS, 0x0001, L3 + 6, false },
	{ "DF", &udp4, OCTETS, 0x4000, L3 + 6, true },
	{ "protocol SCTP", &tcp4, OCTETS, 64 << 8 | 132, L3 + 8, false },
	{ "IPv6 length 0 (BIG TCP)", &tcp6, OCTETS, 0, L3 + 4, true },
	{ "IPv6 fragment", &tcp6, OCTETS, 44 << 8 | 64, L3 + 6, false },
	{ "IPv6 authentication header", &tcp6, OCTETS, 51 << 8 | 64, L3 + 6, false },
	{ "IPv6 without next header", &tcp6, OCTETS, 59 << 8 | 64, L3 + 6, false },
	{ "IPv6 hop-by-hop, in truth TCP", &tcp6, OCTETS, 64, L3 + 6, false },
	{ "IPv6 options beyond the head", &dst6, OCTETS, 6 << 8 | 9, L4_V6, false },
	{ "IPv6 options of 2 KiB", &dst6, OCTETS, 6 << 8 | 255, L4_V6, false },
	{ "fragment behind IPv6 options", &dst6, OCTETS, 44 << 8, L4_V6, false },
	{ "TCP header of 16", &tcp4, OCTETS, 0x4010, L4 + 12, false },
	{ "TCP header of 60", &tcp4, OCTETS, 0xf010, L4 + 12, true },
	{ "UDP length wrong", &udp4, OCTETS, 1, L4 + 4, true },
};

static void change_apply(struct sample *s, const struct change_row *row)
{
	uint16_t v = (uint16_t)row->value;

	switch (row->field) {
	case OCTETS:
		sample_put16(s, row->at, row->value);
		return;
	case FLAGS:
		s->vnet.flags = (uint8_t)v;
		return;
	case TYPE:
		s->vnet.gso_type = (uint8_t)v;
		return;
	case HDR_LEN:
		s->vnet.hdr_len = v;
		return;
	case GSO_SIZE:
		s->vnet.gso_size = v;
		return;
	case CSUM_START:
		s->vnet.csum_start = v;
		return;
	case CSUM_OFFSET:
		s->vnet.csum_offset = v;
		return;
	case SIZE:
		s->size = row->value;
		s->vnet.hdr_len = 0;
		return;
	case IHL:
		s->octets[L3] = (uint8_t)(0x40 | v);
		s->vnet.csum_start = (uint16_t)(L3 + 4 * v);
		return;
	}
}

/* gso_start() and gso_valid() agree, and neither reads beyond the octets there are. */
static void test_refuse(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(change_rows); i++) {
		const struct change_row *row = &change_rows[i];
		struct gso_cutter c;
		struct eth_key key;
		struct iovec iov;
		struct frame f;
		uint8_t *p;

		sample_make(&sample, row->spec, 1);
		change_apply(&sample, row);
		p = malloc(sample.size);
		assert_non_null(p);
		memcpy(p, sample.octets, sample.size);
		sample_frame(&sample, &f, &iov);
		iov.iov_base = p;
		assert_true(eth_key_parse(&f, &key));
		if (gso_valid(&f, &key) != row->ok)
			fail_msg("%s: %s", row->name, row->ok ? "is refused" : "is accepted");
		if (row->field != TYPE && row->field != HDR_LEN &&
		    gso_start(&c, &f, &key) != row->ok)
			fail_msg("%s: %s for cutting", row->name,
				 row->ok ? "is refused" : "is accepted");
		free(p);
	}
}

/* Headers must end in the first FRAME_HEAD_SIZE octets, however much lies in the first segment. */
static void test_refuse_headers_beyond_the_head(void **state)
{
	static const struct {
		uint8_t ip_extra, tcp_options;
		bool ok;
	} rows[] = { { 40, 32, false }, { 36, 36, true }, { 40, 40, false } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sample_spec spec = tcp4;
		struct iovec iov;
		struct frame f;

		spec.ip_extra = rows[i].ip_extra;
		spec.tcp_options = rows[i].tcp_options;
		sample_make(&sample, &spec, 1);
		assert_int_equal(sample.headers <= FRAME_HEAD_SIZE, rows[i].ok || i == 0);
		sample_frame(&sample, &f, &iov);
		assert_int_equal(sample_valid(&f), sample.headers <= FRAME_HEAD_SIZE);
	}
}

/* An IP packet has at most 65535 octets, and we make at most so many segments. */
static void test_refuse_sizes(void **state)
{
	static const struct {
		const char *name;
		bool is_ipv6, is_udp;
		uint16_t gso_size;
		uint32_t payload;
		bool ok;
	} rows[] = {
		{ "v4, one packet of 65535", false, false, 65535, 65495, true },
		{ "v4, one packet of 65536", false, false, 65535, 65496, false },
		{ "v4, BIG TCP", false, false, 1448, 65500, true },
		{ "v6, one packet of 65535", true, false, 65535, 65515, true },
		{ "v6, one packet of 65536", true, false, 65535, 65516, false },
		{ "v4, no payload, gso_size 0", false, false, 0, 0, false },
		{ "v6, no datagram, gso_size 0", true, true, 0, 0, false },
		{ "v4, 2048 segments", false, false, 31, 31 * 2048, true },
		{ "v4, 2049 segments", false, false, 31, 31 * 2048 + 1, false },
		{ "UDP, 128 datagrams", true, true, 100, 12800, true },
		{ "UDP, 129 datagrams", true, true, 100, 12801, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sample_spec spec = { .is_ipv6 = rows[i].is_ipv6, .is_udp = rows[i].is_udp };
		struct iovec iov;
		struct frame f;

		spec.gso_size = rows[i].gso_size;
		spec.payload = rows[i].payload;
		sample_make(&sample, &spec, 1);
		sample_frame(&sample, &f, &iov);
		if (sample_valid(&f) != rows[i].ok)
			fail_msg("%s: %s", rows[i].name, rows[i].ok ? "is refused" : "is accepted");
	}
}

/* Lengths that the sender left out or made up are those of the frame in the segments. */
static void test_lengths_are_not_believed(void **state)
{
	struct iovec iov[SAMPLE_IOV_MAX];
	struct frame f;

	for (int v6 = 0; v6 < 2; v6++) {
		for (int udp = 0; udp < 2; udp++) {
			sample_make(&sample, v6 ? udp ? &udp6 : &tcp6 : udp ? &udp4 : &tcp4, 1);
			sample_put16(&sample, v6 ? L3 + 4 : L3 + 2, 0);
			if (udp)
				sample_put16(&sample, sample.l4 + 4u, 77);
			sample_frame(&sample, &f, iov);
			cut_check(&f, &sample);
		}
	}
}

/* A TCP frame that a NIC coalesced has a full checksum, which is not believed either. */
static void test_cut_without_partial_checksum(void **state)
{
	struct iovec iov[SAMPLE_IOV_MAX];
	struct frame f;

	sample_make(&sample, &tcp6, 1);
	sample.vnet.flags = VNET_F_DATA_VALID;
	sample_put16(&sample, sample.l4 + 16u, 0xbeef);
	sample_frame(&sample, &f, iov);
	assert_true(sample_valid(&f));
	cut_check(&f, &sample);
}

/* A datagram whose checksum comes out as 0 says ffff: 0 would mean that it has none. */
static void test_udp_zero_checksum(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct sample_spec spec = v6 ? udp6 : udp4;
		uint8_t header[GSO_HEADERS_MAX], *p = sample.octets;
		struct iovec iov, out_iov[3];
		uint32_t from = 0, end;
		struct gso_cutter c;
		struct eth_key key;
		struct frame f, out;

		sample_make(&sample, &spec, 1);
		/* Of the first datagram, choose two octets so that all others add up with them. */
		sample_frame(&sample, &f, &iov);
		assert_true(eth_key_parse(&f, &key) && gso_start(&c, &f, &key) &&
			    gso_next(&c, &out, out_iov, header));
		end = sample.headers + 98u;
		sample_put16(&sample, end,
			     sample_sum(header + sample.l4 + 6, 2,
					(uint32_t)p[end] << 8 | p[end + 1]));
		assert_true(gso_start(&c, &f, &key) && gso_next(&c, &out, out_iov, header));
		assert_memory_equal(header + sample.l4 + 6, "\xff\xff", 2);
		sample_flatten(&out, segment_octets);
		assert_null(sample_check(&sample, 0, segment_octets, out.size, &from));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cut_with_tag_beside),
		cmocka_unit_test(test_cut_split_anywhere),
		cmocka_unit_test(test_cut_random),
		cmocka_unit_test(test_cut_after_retag),
		cmocka_unit_test(test_refuse),
		cmocka_unit_test(test_refuse_headers_beyond_the_head),
		cmocka_unit_test(test_refuse_sizes),
		cmocka_unit_test(test_lengths_are_not_believed),
		cmocka_unit_test(test_cut_without_partial_checksum),
		cmocka_unit_test(test_udp_zero_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
