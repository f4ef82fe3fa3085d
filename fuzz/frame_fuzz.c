// SPDX-License-Identifier: Apache-2.0
/*
 * A raw frame with its offload header, as a guest may hand it over: parsed, checked, given another
 * tag, and cut or completed. Whatever the octets are, nothing outside the frame is read, what comes
 * out is what went in but for the fields that must change, and what gso_valid() accepts can be
 * carried out.
 *
 *   offset 0   struct vnet_hdr
 *         10   bit 0: a tag beside the octets; bits 1-2: new tag (keep, none, C, S)
 *         11   TCI of either tag
 *         13   octets of the first segment beyond FRAME_HEAD_SIZE
 *         14   size of the second segment; the third has the rest
 *         16   the frame
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gso.h"
#include "sample.h"
#include "unfinished.h"

enum { INPUT_HEADER_SIZE = 16, SEGMENTS = 3, OCTETS_MAX = FRAME_SIZE_MAX + ETH_TAG_SIZE };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	struct frame frame;
	struct iovec iov[SEGMENTS];
	uint16_t tpid, tci;
	bool retag;
};

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Each segment is an allocation of its own, so that a sanitizer sees every octet read too many. */
static void input_make(struct input *in, const uint8_t *data, uint32_t size)
{
	static const uint16_t tpids[] = { 0, 0, ETHERTYPE_CTAG, ETHERTYPE_STAG };
	const uint8_t *octets = data + INPUT_HEADER_SIZE;
	uint32_t n = size - INPUT_HEADER_SIZE, parts[SEGMENTS], at = 0;

	parts[0] = min32(FRAME_HEAD_SIZE + (uint32_t)data[13], n);
	parts[1] = min32(eth_load16(data + 14), n - parts[0]);
	parts[2] = n - parts[0] - parts[1];
	for (int i = 0; i < SEGMENTS; i++) {
		in->iov[i] = (struct iovec){ malloc(parts[i] ? parts[i] : 1), parts[i] };
		assert(in->iov[i].iov_base);
		memcpy(in->iov[i].iov_base, octets + at, parts[i]);
		at += parts[i];
	}
	in->frame = (struct frame){ .iov = in->iov, .n_iov = SEGMENTS, .size = n };
	memcpy(&in->frame.vnet, data, sizeof(in->frame.vnet));
	in->tci = eth_load16(data + 11);
	in->tpid = tpids[data[10] >> 1 & 3];
	in->retag = data[10] >> 1 & 3;
	if (data[10] & 1) {
		in->frame.tpid = ETHERTYPE_CTAG;
		in->frame.tci = in->tci;
	}
}

/* Cut `f`: payload is conserved, MAC addresses and tags stay, sizes are those promised. */
static void check_cut(const struct frame *f, const struct eth_key *key, bool must)
{
	static uint8_t whole[OCTETS_MAX], part[OCTETS_MAX];
	uint32_t longest = gso_segment_size_max(f, key), at = 0, header_size;
	struct iovec iov[SEGMENTS + 3];
	uint8_t header[GSO_HEADERS_MAX];
	struct gso_cutter c;
	struct frame out;
	unsigned n;

	if (!gso_start(&c, f, key)) {
		assert(!must);
		return;
	}
	sample_flatten(f, whole);
	for (n = 0; gso_next(&c, &out, iov, header); n++) {
		header_size = (uint32_t)out.iov[0].iov_len;
		if (!n)
			at = header_size;
		assert(out.iov[0].iov_base == header && header_size <= sizeof(header));
		assert(out.n_iov <= f->n_iov + 1 && out.size <= longest);
		assert(!out.vnet.flags && !out.vnet.gso_type);
		assert(out.tpid == f->tpid && out.tci == f->tci);
		assert(sample_flatten(&out, part) == out.size);
		assert(!memcmp(part, whole, key->type_offset + 2u));
		assert(out.size - header_size <= f->vnet.gso_size);
		assert(at + out.size - header_size <= f->size);
		assert(!memcmp(part + header_size, whole + at, out.size - header_size));
		at += out.size - header_size;
		assert(n < GSO_TCP_SEGMENTS_MAX);
	}
	assert(n && at == f->size);
}

/* Complete `f`: no octet changes but the field, and the field has the sum of all. */
static void check_complete(const struct frame *f, bool must)
{
	static uint8_t head[OCTETS_MAX], before[OCTETS_MAX], after[OCTETS_MAX];
	uint32_t start = f->vnet.csum_start, field = start + f->vnet.csum_offset;
	struct iovec iov[SEGMENTS + 4];
	uint16_t sum;
	struct frame out;

	if (!gso_complete_csum(&out, f, iov, head)) {
		assert(!must);
		return;
	}
	assert(!out.vnet.flags && !out.vnet.gso_type && out.n_iov <= f->n_iov + 2);
	assert(sample_flatten(f, before) == f->size && out.size == f->size);
	assert(sample_flatten(&out, after) == out.size);
	if (f->vnet.flags & VNET_F_NEEDS_CSUM) {
		sum = (uint16_t)~sample_sum(before + start, f->size - start, 0);
		assert(eth_load16(after + field) == (sum ? sum : 0xffff));
		memcpy(before + field, after + field, 2);
	}
	assert(!memcmp(before, after, f->size));
}

static void check_offload(const struct frame *f, const struct eth_key *key, bool valid)
{
	if (f->vnet.gso_type != VNET_GSO_NONE)
		check_cut(f, key, valid);
	else
		check_complete(f, valid);
}

/* Another tag: nothing but the tag differs, and the key tells of it. */
static void check_retag(const struct input *in, const struct eth_key *key, bool valid)
{
	static uint8_t before[OCTETS_MAX], after[OCTETS_MAX];
	uint32_t tag_size = in->tpid ? ETH_TAG_SIZE : 0, from = key->type_offset;
	struct iovec iov[SEGMENTS + 2];
	struct eth_key out_key;
	struct frame out;
	uint8_t tag[4];

	eth_retag(&out, &in->frame, key, (struct eth_room){ iov, tag },
		  (struct eth_tag){ .tpid = in->tpid, .tci = in->tci });
	sample_flatten(&in->frame, before);
	assert(sample_flatten(&out, after) == out.size);
	assert(out.size == in->frame.size - (from - 12) + tag_size);
	assert(!memcmp(before, after, 12));
	assert(!memcmp(before + from, after + 12 + tag_size, in->frame.size - from));
	assert(out.vnet.hdr_len <= out.size);
	if (!eth_key_parse(&out, &out_key)) {
		/* An inner tag came to light, and is cut off. */
		assert(!in->tpid && ethertype_is_tag(key->ethertype));
		return;
	}
	if (in->tpid)
		assert(out_key.tpid == in->tpid && out_key.tci == in->tci &&
		       out_key.ethertype == key->ethertype);
	check_offload(&out, &out_key, valid);
}

/* As an XDP port gets it: octets without any header, of which none behind the last is read. */
static void check_unfinished(const uint8_t *octets, uint32_t size)
{
	uint8_t *exact = malloc(size ? size : 1);
	struct vnet_hdr h;

	assert(exact);
	memcpy(exact, octets, size);
	if (unfinished_csum(exact, size, &h))
		assert(h.csum_start + h.csum_offset + 2u <= size);
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in;
	struct eth_key key;
	bool valid;

	if (size <= INPUT_HEADER_SIZE || size > INPUT_HEADER_SIZE + FRAME_SIZE_MAX)
		return 0;
	input_make(&in, data, (uint32_t)size);
	if (eth_key_parse(&in.frame, &key)) {
		valid = gso_valid(&in.frame, &key);
		in.frame.n_iov = 1; /* the head has all it needs to tell */
		assert(gso_valid(&in.frame, &key) == valid);
		in.frame.n_iov = SEGMENTS;
		check_offload(&in.frame, &key, valid);
		if (in.retag)
			check_retag(&in, &key, valid);
	} else {
		assert(in.frame.size < ETH_HEADER_SIZE + ETH_TAG_SIZE);
	}
	check_unfinished(data + INPUT_HEADER_SIZE, in.frame.size);
	for (int i = 0; i < SEGMENTS; i++)
		free(in.iov[i].iov_base);
	return 0;
}
