// SPDX-License-Identifier: Apache-2.0
/*
 * GSO frames that make sense, of every shape: each segment must be right in every octet, checksums
 * included, wherever the segments of the frame end and whatever tag it gets before it is cut.
 *
 *   offset 0   bits: 0 IPv6, 1 UDP, 2 ECN, 3-4 tag (none, C, S, S and C), 5-6 new tag (keep, none,
 *              C, S)
 *          1   TCP flags
 *          2   bits: 0-3 TCP options, 4-7 IP options, both times 4; or IPv6 header, times 8
 *          3   gso_size, 16 bits
 *          5   payload, 16 bits
 *          7   seed, 32 bits
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gso.h"
#include "sample.h"

enum { INPUT_SIZE = 11 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void spec_make(struct sample_spec *s, const uint8_t *data)
{
	static const uint16_t tpids[] = { 0, ETHERTYPE_CTAG, ETHERTYPE_STAG, ETHERTYPE_STAG };
	static const uint8_t extensions[] = { 0, 60 };

	*s = (struct sample_spec){
		.is_ipv6 = data[0] & 1,
		.is_udp = data[0] >> 1 & 1,
		.ecn = data[0] >> 2 & 1,
		.tpid = tpids[data[0] >> 3 & 3],
		.inner_tpid = (data[0] >> 3 & 3) == 3 ? ETHERTYPE_CTAG : 0,
		.tcp_flags = data[1],
		.gso_size = eth_load16(data + 3),
		.payload = eth_load16(data + 5),
	};
	if (s->is_udp)
		s->ecn = false;
	else
		s->tcp_options = (uint8_t)((data[2] & 15) % 11 * 4);
	s->ip_extra = (uint8_t)((data[2] >> 4) % 11 * 4);
	if (s->is_ipv6) {
		s->ip_extra = (uint8_t)((data[2] >> 4) % 6 * 8);
		s->ip_extra_type = extensions[data[1] & 1];
		if (s->ip_extra == 24)
			s->ip_extra_type = 43;
	}
}

/* What gso_valid() promises to accept, in other words. */
static bool spec_fits(const struct sample *s)
{
	const struct sample_spec *spec = &s->spec;
	uint32_t n = spec->gso_size ? (spec->payload + spec->gso_size - 1u) / spec->gso_size : 0;
	uint32_t part = spec->payload < spec->gso_size ? spec->payload : spec->gso_size;

	return spec->gso_size && n <= (spec->is_udp ? 128 : 2048) && s->headers <= 128 &&
	       s->headers - s->l3 + part - (spec->is_ipv6 ? 40 : 0) <= 65535 &&
	       s->size <= FRAME_SIZE_MAX;
}

static void check_cut(const struct frame *f, const struct sample *s)
{
	static uint8_t octets[FRAME_SIZE_MAX];
	struct iovec iov[SAMPLE_IOV_MAX + 3];
	uint8_t header[GSO_HEADERS_MAX];
	struct gso_cutter c;
	struct eth_key key;
	struct frame out;
	uint32_t from = 0;
	unsigned idx;

	assert(eth_key_parse(f, &key));
	assert(gso_start(&c, f, &key));
	for (idx = 0; gso_next(&c, &out, iov, header); idx++) {
		assert(sample_flatten(&out, octets) == out.size);
		assert(!sample_check(s, idx, octets, out.size, &from));
	}
	assert(idx && from == s->spec.payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t tpids[] = { 0, 0, ETHERTYPE_CTAG, ETHERTYPE_STAG };
	static struct sample before, after; /* too large for a stack */
	struct iovec iov[SAMPLE_IOV_MAX], tagged_iov[SAMPLE_IOV_MAX + 2];
	struct frame f, tagged;
	struct sample_spec spec;
	struct eth_key key;
	uint8_t tag[4], new_tag;
	uint32_t seed;
	bool valid;

	if (size < INPUT_SIZE)
		return 0;
	spec_make(&spec, data);
	memcpy(&seed, data + 7, sizeof(seed));
	if (spec.payload > FRAME_SIZE_MAX - SAMPLE_HEADERS_MAX)
		return 0;
	sample_make(&before, &spec, seed);
	sample_frame_split(&before, &f, iov, seed);
	assert(eth_key_parse(&f, &key));
	valid = gso_valid(&f, &key);
	assert(valid == spec_fits(&before));
	if (!valid)
		return 0;
	check_cut(&f, &before);
	new_tag = data[0] >> 5 & 3;
	if (!new_tag || spec.inner_tpid)
		return 0;
	/* The tag of a sample: priority 3, VLAN 100. */
	eth_retag(&tagged, &f, &key, (struct eth_room){ tagged_iov, tag },
		  (struct eth_tag){ .tpid = tpids[new_tag], .tci = 0x6064 });
	spec.tpid = tpids[new_tag];
	sample_make(&after, &spec, seed);
	check_cut(&tagged, &after);
	return 0;
}
