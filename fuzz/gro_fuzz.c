// SPDX-License-Identifier: Apache-2.0
/*
 * Bursts of TCP segments, disturbed in every way and broken at any octet: coalesced, and cut again,
 * they are the same octets, and those of a connection in the same order. Frames lie in memory of
 * their own, exactly as long as they are.
 *
 *   offset 0   bits 0-1: octets of payload by sizes[]; 2-3: tags put on; 4-5: not TSO4, not TSO6
 *          1   seed
 *          2   three octets for each frame, 64 frames at most:
 *                0  bits 0-1: connection; 2-7: event, or nothing
 *                1  bits 0-3: octet n * 8 is changed by..., 4-7: in how many pieces, and where
 *                2  ...this
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gro.h"
#include "gro_sample.h"
#include "gso.h"

enum { HEADER_SIZE = 2, STEP_SIZE = 3, PIECES_MAX = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct burst {
	unsigned n;
	uint8_t *octets[GRO_FRAMES_MAX]; /* allocated */
	uint8_t tag[GRO_FRAMES_MAX][2 * ETH_TAG_SIZE];
	uint8_t key[GRO_FRAMES_MAX][64]; /* what makes a connection */
	bool came_out[GRO_FRAMES_MAX];
	struct iovec iov[GRO_FRAMES_MAX][PIECES_MAX], tagged_iov[GRO_FRAMES_MAX][PIECES_MAX + 2];
	struct frame frame[GRO_FRAMES_MAX];
	const struct frame *in[GRO_FRAMES_MAX];
} b;

/* In up to three pieces, of which the first has what a head must have. */
static void split(struct frame *f, struct iovec *iov, uint8_t *octets, unsigned how)
{
	uint32_t cut = FRAME_HEAD_SIZE + how * 9, more = cut + how;

	f->iov = iov;
	f->n_iov = 1;
	iov[0] = (struct iovec){ octets, f->size };
	if (!how || more >= f->size)
		return;
	iov[0].iov_len = cut;
	iov[1] = (struct iovec){ octets + cut, more - cut };
	iov[2] = (struct iovec){ octets + more, f->size - more };
	f->n_iov = 3;
}

static uint32_t find_ip(const uint8_t *p)
{
	uint32_t ip = 14;

	while (ip < 22 && ethertype_is_tag(eth_load16(p + ip - 2)))
		ip += ETH_TAG_SIZE;
	return ip;
}

/* All octets from the MACs to the ports that are the same in each frame of a connection. */
static void key_make(const struct frame *f, unsigned i)
{
	uint8_t p[FRAME_HEAD_SIZE - ETH_TAG_SIZE] = { 0 }, *key = b.key[i];
	uint32_t ip, addresses;

	frame_head_copy(f, p, sizeof(p));
	ip = find_ip(p);
	addresses = p[ip] >> 4 == 6 ? 32 : 8;
	memset(key, 0, sizeof(b.key[i]));
	memcpy(key, p, ip);
	key += ip;
	*key++ = p[ip + (addresses == 32 ? 6 : 9)];
	memcpy(key, p + ip + (addresses == 32 ? 8 : 12), addresses + 4);
}

static void add(struct gro_walk *w, const uint8_t *step, unsigned tag)
{
	static uint8_t octets[GRO_SEGMENT_MAX];
	enum gro_event event =
		step[0] >> 2 < GRO_EVENTS ? (enum gro_event)(step[0] >> 2) : GRO_NOTHING;
	struct gro_spec s = gro_walk_next(w, step[0] & 3, event);
	struct frame *f = &b.frame[b.n], plain = { .size = gro_sample_make(&s, octets) };
	struct eth_key key;

	if ((step[1] & 15) * 8u < plain.size)
		octets[(step[1] & 15) * 8] ^= step[2];
	b.octets[b.n] = malloc(plain.size);
	assert(b.octets[b.n]);
	memcpy(b.octets[b.n], octets, plain.size);
	split(&plain, b.iov[b.n], b.octets[b.n], step[1] >> 4);
	*f = plain;
	if (tag && eth_key_parse(&plain, &key))
		eth_retag(f, &plain, &key, (struct eth_room){ b.tagged_iov[b.n], b.tag[b.n] },
			  (struct eth_tag){ .tpid = tag & 1 ? ETHERTYPE_CTAG : 0,
					    .tci = 5,
					    .outer_tpid = tag & 2 ? ETHERTYPE_STAG : 0,
					    .outer_tci = 6 });
	key_make(f, b.n);
	b.came_out[b.n] = false;
	b.in[b.n++] = f;
}

/* All but an identification that means nothing, and the checksum over it. */
static bool is_same(const uint8_t *x, const uint8_t *y, uint32_t size)
{
	uint32_t ip = find_ip(x);

	if (eth_load16(x + ip - 2) == ETHERTYPE_IPV4 && x[ip + 6] == 0x40)
		return !memcmp(x, y, ip + 4) && !memcmp(x + ip + 6, y + ip + 6, 4) &&
		       !memcmp(x + ip + 12, y + ip + 12, size - ip - 12);
	return !memcmp(x, y, size);
}

/* A frame came out: one of those that went in, before all later ones of its connection. */
static void came_out(const struct frame *f)
{
	static uint8_t got[FRAME_SIZE_MAX], want[FRAME_SIZE_MAX];
	uint32_t size = sample_flatten(f, got);
	unsigned i;

	for (i = 0; i < b.n; i++) {
		if (b.came_out[i] || b.frame[i].size != size)
			continue;
		sample_flatten(&b.frame[i], want);
		if (is_same(got, want, size))
			break;
	}
	assert(i < b.n);
	for (unsigned k = i + 1; k < b.n; k++)
		assert(!b.came_out[k] || memcmp(b.key[i], b.key[k], sizeof(b.key[i])) != 0);
	b.came_out[i] = true;
}

static void check_out(const struct frame *f, unsigned n_of, uint8_t can)
{
	struct iovec iov[GRO_IOV_MAX + 1];
	uint8_t header[GSO_HEADERS_MAX];
	struct gso_cutter c;
	struct eth_key key;
	struct frame part;
	unsigned n = 0;

	if (n_of == 1) {
		came_out(f);
		return;
	}
	assert(f->n_iov <= GRO_IOV_MAX && eth_key_parse(f, &key) && gso_valid(f, &key));
	assert(gso_receiver_takes(&f->vnet, can | OFFLOAD_CSUM) && gso_start(&c, f, &key));
	for (; gso_next(&c, &part, iov, header); n++)
		came_out(&part);
	assert(n == n_of);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t sizes[] = { 1448, 1000, 20, 1 };
	static struct gro gro; /* too large for a stack */
	uint8_t can = 0;
	struct gro_walk w;
	unsigned n;

	if (size < HEADER_SIZE + STEP_SIZE)
		return 0;
	b.n = 0;
	gro_walk_init(&w, sizes[data[0] & 3], data[1]);
	for (size_t at = HEADER_SIZE; at + STEP_SIZE <= size && b.n < GRO_FRAMES_MAX;
	     at += STEP_SIZE)
		add(&w, data + at, data[0] >> 2 & 3);
	can |= data[0] & 16 ? 0 : OFFLOAD_TSO4;
	can |= data[0] & 32 ? 0 : OFFLOAD_TSO6;
	can |= data[0] & 64 ? 0 : OFFLOAD_USO;
	n = gro_run(&gro, b.in, b.n, can);
	for (unsigned i = 0; i < n; i++)
		check_out(gro.out[i], gro.n_of[i], can);
	for (unsigned i = 0; i < b.n; i++) {
		assert(b.came_out[i]);
		free(b.octets[i]);
	}
	return 0;
}
