// SPDX-License-Identifier: Apache-2.0
/* Frames with a partial checksum and no GSO, and which frames a receiver takes as they are. */
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

static struct sample sample;

/* ---- completing a checksum ---- */

static const struct sample_spec csum_rows[] = {
	{ "TCPv4", .tcp_flags = 0x18, .payload = 1000 },
	{ "TCPv4, odd", .tcp_flags = 0x18, .payload = 1001 },
	{ "TCPv4, no payload", .tcp_flags = 0x18 },
	{ "TCPv4, C-tag", .tpid = 0x8100, .tcp_flags = 0x18, .payload = 1001 },
	{ "TCPv4, two tags, options", .tpid = 0x88a8, .inner_tpid = 0x8100, .ip_extra = 8,
	  .tcp_flags = 0x18, .tcp_options = 12, .payload = 77 },
	{ "TCPv6, routing header", .is_ipv6 = true, .ip_extra = 24, .ip_extra_type = 43,
	  .tcp_flags = 0x18, .payload = 333 },
	{ "TCPv6, field beyond the head", .is_ipv6 = true, .ip_extra = 80, .ip_extra_type = 60,
	  .tcp_flags = 0x18, .payload = 333 },
	{ "UDPv4", .is_udp = true, .payload = 1 },
	{ "UDPv6", .is_ipv6 = true, .is_udp = true, .payload = 1452 },
};

/* `f` has the octets of `s`: complete it, and compare with `s` but for the field. */
static void complete_check(const struct frame *f, const struct sample *s)
{
	static uint8_t head[FRAME_SIZE_MAX], got[FRAME_SIZE_MAX];
	struct iovec iov[SAMPLE_IOV_MAX + 4];
	uint32_t from = 0, field = (uint32_t)s->vnet.csum_start + s->vnet.csum_offset;
	const char *wrong;
	struct frame out;

	memset(head, 0xee, sizeof(head));
	if (!gso_complete_csum(&out, f, iov, head))
		fail_msg("%s: is refused", s->spec.name);
	assert_true(out.n_iov <= f->n_iov + 2);
	assert_int_equal(out.vnet.flags | out.vnet.gso_type, 0);
	assert_int_equal(out.tpid, f->tpid);
	assert_int_equal(out.tci, f->tci);
	assert_int_equal(sample_flatten(&out, got), out.size);
	assert_int_equal(head[field + 2], 0xee); /* no more of `head` is used than was promised */
	wrong = sample_check(s, 0, got, out.size, &from);
	if (wrong)
		fail_msg("%s: %s", s->spec.name, wrong);
}

static void make_partial(const struct sample_spec *row, uint32_t seed)
{
	struct sample_spec spec = *row;

	spec.gso_size = 65535;
	sample_make(&sample, &spec, seed);
	sample.vnet.gso_type = VNET_GSO_NONE;
	sample.vnet.gso_size = 0;
	sample.vnet.hdr_len = 0;
}

static void test_complete(void **state)
{
	struct iovec iov[SAMPLE_IOV_MAX];
	struct eth_key key;
	struct frame f;

	for (size_t i = 0; i < ARRAY_SIZE(csum_rows); i++) {
		make_partial(&csum_rows[i], (uint32_t)i);
		for (uint32_t seed = 0; seed < 50; seed++) {
			sample_frame_split(&sample, &f, iov, seed);
			f.tpid = seed % 2 ? 0x88a8 : 0;
			f.tci = 9;
			assert_true(eth_key_parse(&f, &key));
			if (!gso_valid(&f, &key))
				fail_msg("%s: is not valid", csum_rows[i].name);
			assert_int_equal(gso_segment_size_max(&f, &key), f.size);
			complete_check(&f, &sample);
		}
	}
}

/* The first segment may be shorter than the headers: what eth_retag() made, cut anywhere. */
static void test_complete_split_anywhere(void **state)
{
	make_partial(&csum_rows[1], 3);
	for (uint32_t a = 0; a <= sample.size; a++) {
		uint8_t *p = sample.octets;
		struct iovec iov[] = { { p, a }, { p, 0 }, { p + a, sample.size - a } };
		struct frame f = {
			.iov = iov, .n_iov = 3, .size = sample.size, .vnet = sample.vnet
		};

		complete_check(&f, &sample);
	}
}

static void test_complete_after_retag(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(csum_rows); i++) {
		struct sample_spec spec = csum_rows[i];
		struct iovec iov[SAMPLE_IOV_MAX], tagged_iov[SAMPLE_IOV_MAX + 2];
		static struct sample before;
		struct frame f, tagged;
		struct eth_key key;
		uint8_t tag[4];

		if (spec.inner_tpid)
			continue;
		make_partial(&spec, 5);
		before = sample;
		sample_frame_split(&before, &f, iov, 5);
		assert_true(eth_key_parse(&f, &key));
		eth_retag(&tagged, &f, &key, (struct eth_room){ tagged_iov, tag },
			  (struct eth_tag){ .tpid = spec.tpid ? 0 : 0x8100, .tci = 0x6064 });
		spec.tpid = spec.tpid ? 0 : 0x8100;
		make_partial(&spec, 5);
		complete_check(&tagged, &sample);
	}
}

static void test_complete_nothing(void **state)
{
	struct iovec iov[3], out_iov[5];
	uint8_t p[64] = { 0 }, head[1];
	struct frame f = { .iov = iov, .n_iov = 2, .size = 64, .tpid = 0x8100, .tci = 3 }, out;

	f.vnet.flags = VNET_F_DATA_VALID;
	f.vnet.csum_start = 60000; /* means nothing without NEEDS_CSUM */
	iov[0] = (struct iovec){ p, 40 };
	iov[1] = (struct iovec){ p + 40, 24 };
	assert_true(gso_complete_csum(&out, &f, out_iov, head));
	assert_int_equal(out.vnet.flags, 0);
	assert_int_equal(out.vnet.csum_start, 0);
	assert_int_equal(out.size, 64);
	assert_int_equal(out.n_iov, 2);
	assert_ptr_equal(out.iov[0].iov_base, p);
	assert_ptr_equal(out.iov[1].iov_base, p + 40);
	assert_int_equal(out.tpid, 0x8100);
}

/* A checksum of 0 is sent as ffff, since 0 means "none" if this is UDP. */
static void test_complete_zero(void **state)
{
	struct iovec iov, out_iov[3];
	struct frame f, out;
	uint8_t head[128], *p = sample.octets;
	uint16_t sum;

	make_partial(&csum_rows[8], 1);
	memset(p + sample.size - 2, 0, 2);
	sum = sample_sum(p + sample.l4, sample.size - sample.l4, 0);
	p[sample.size - 2] = (uint8_t)((0xffff - sum) >> 8);
	p[sample.size - 1] = (uint8_t)(0xffff - sum);
	sample_frame(&sample, &f, &iov);
	assert_true(gso_complete_csum(&out, &f, out_iov, head));
	assert_memory_equal(head + sample.l4 + 6, "\xff\xff", 2);
}

/* ---- which partial checksums are valid ---- */

static const struct valid_row {
	const char *name;
	uint32_t size; /* of the frame */
	uint16_t csum_start, csum_offset, ethertype;
	bool ok;
	bool can_complete; /* gso_complete_csum() knows no EtherType: it only stays in bounds */
} valid_rows[] = {
	{ "UDPv4", 60, 34, 6, 0x0800, true, true },
	{ "SCTP-like offset", 60, 34, 8, 0x0800, true, true },
	{ "last two octets", 60, 34, 24, 0x0800, true, true },
	{ "last octet only", 60, 34, 25, 0x0800, false, false },
	{ "start in the MAC addresses", 60, 0, 2, 0x0800, false, false },
	{ "start in the EtherType", 60, 13, 4, 0x0800, false, false },
	{ "start in the IPv4 header", 60, 33, 6, 0x0800, false, true },
	{ "start in the IPv6 header", 90, 53, 6, 0x86dd, false, true },
	{ "behind the IPv6 header", 90, 54, 6, 0x86dd, true, true },
	{ "other protocol, behind the EtherType", 60, 14, 2, 0x88b5, true, true },
	{ "start beyond the end", 60, 60, 0, 0x0800, false, false },
	{ "sum of both wraps 16 bits", 60, 65535, 65535, 0x0800, false, false },
	{ "offset wraps 16 bits", 60, 34, 65535, 0x0800, false, false },
	{ "start that a tag would wrap", 65600, 65533, 0, 0x0800, false, true },
	{ "farthest start", 65600, 65527, 71, 0x0800, true, true },
	{ "farthest start, field beyond the end", 65600, 65527, 72, 0x0800, false, false },
};

static void test_valid(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(valid_rows); i++) {
		const struct valid_row *row = &valid_rows[i];
		uint8_t *p = calloc(1, row->size), *head = malloc(FRAME_SIZE_MAX);
		struct iovec iov = { p, row->size }, out_iov[3];
		struct frame out, f = { .iov = &iov, .n_iov = 1, .size = row->size };
		struct eth_key key;

		assert_true(p && head);
		p[12] = (uint8_t)(row->ethertype >> 8);
		p[13] = (uint8_t)row->ethertype;
		f.vnet.flags = VNET_F_NEEDS_CSUM;
		f.vnet.csum_start = row->csum_start;
		f.vnet.csum_offset = row->csum_offset;
		assert_true(eth_key_parse(&f, &key));
		if (gso_valid(&f, &key) != row->ok)
			fail_msg("%s: %s", row->name, row->ok ? "is refused" : "is accepted");
		if (gso_complete_csum(&out, &f, out_iov, head) != row->can_complete)
			fail_msg("%s: %s for completing", row->name,
				 row->can_complete ? "is refused" : "is accepted");
		f.vnet.flags = 0;
		assert_true(gso_valid(&f, &key));
		f.vnet.hdr_len = (uint16_t)(row->size > 65535 ? 65535 : row->size);
		assert_true(gso_valid(&f, &key));
		f.vnet.hdr_len++;
		assert_int_equal(gso_valid(&f, &key), row->size > 65535);
		free(p);
		free(head);
	}
}

static void test_gso_is_not_completed(void **state)
{
	struct sample_spec spec = csum_rows[0];
	struct iovec iov, out_iov[3];
	struct frame f, out;
	uint8_t head[128];

	spec.gso_size = 100;
	sample_make(&sample, &spec, 1);
	sample_frame(&sample, &f, &iov);
	assert_false(gso_complete_csum(&out, &f, out_iov, head));
}

/* ---- receivers ---- */

static const struct takes_row {
	const char *name;
	uint8_t flags, gso_type;
	uint8_t needs; /* the offloads that are needed, all of them; 0xff: none help */
} takes_rows[] = {
	{ "nothing offloaded", 0, 0, 0 },
	{ "partial checksum", VNET_F_NEEDS_CSUM, 0, OFFLOAD_CSUM },
	{ "verified checksum", VNET_F_DATA_VALID, 0, OFFLOAD_CSUM },
	{ "TCPv4", VNET_F_NEEDS_CSUM, VNET_GSO_TCPV4, OFFLOAD_CSUM | OFFLOAD_TSO4 },
	{ "TCPv4 with ECN", VNET_F_NEEDS_CSUM, VNET_GSO_TCPV4 | VNET_GSO_ECN,
	  OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_ECN },
	{ "TCPv6", VNET_F_NEEDS_CSUM, VNET_GSO_TCPV6, OFFLOAD_CSUM | OFFLOAD_TSO6 },
	{ "TCPv6 with ECN", VNET_F_NEEDS_CSUM, VNET_GSO_TCPV6 | VNET_GSO_ECN,
	  OFFLOAD_CSUM | OFFLOAD_TSO6 | OFFLOAD_ECN },
	{ "UDP", VNET_F_NEEDS_CSUM, VNET_GSO_UDP_L4, OFFLOAD_CSUM | OFFLOAD_USO },
	{ "TCPv4 without partial checksum", VNET_F_DATA_VALID, VNET_GSO_TCPV4, 0xff },
	{ "unknown type", VNET_F_NEEDS_CSUM, 3, 0xff },
};

/* With every set of offloads a receiver may have. */
static void test_receiver_takes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(takes_rows); i++) {
		const struct takes_row *row = &takes_rows[i];
		struct vnet_hdr h = { .flags = row->flags, .gso_type = row->gso_type };

		for (unsigned can = 0; can <= OFFLOAD_ALL; can++) {
			bool want = (row->needs & ~can) == 0;

			if (gso_receiver_takes(&h, (uint8_t)can) != want)
				fail_msg("%s: receiver with %u %s", row->name, can,
					 want ? "refuses it" : "takes it");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_complete_split_anywhere),
		cmocka_unit_test(test_complete_after_retag),
		cmocka_unit_test(test_complete_nothing),
		cmocka_unit_test(test_complete_zero),
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_gso_is_not_completed),
		cmocka_unit_test(test_receiver_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
