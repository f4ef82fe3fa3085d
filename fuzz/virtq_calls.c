// SPDX-License-Identifier: Apache-2.0
#include "virtq_calls.h"

#include <assert.h>
#include <string.h>

/* ---- checks of what is lent ---- */

static bool is_within(const void *p, size_t n, const void *from, size_t size)
{
	uintptr_t at = (uintptr_t)p - (uintptr_t)from;

	return at <= size && n <= size - at;
}

static bool is_lent_from(const struct harness *h, unsigned i, const struct iovec *v)
{
	if (is_within(v->iov_base, v->iov_len, burst_slot(&h->burst, i), ARENA_SLOT_SIZE))
		return true;
	for (unsigned r = 0; r < VG_REGIONS; r++)
		if (is_within(v->iov_base, v->iov_len, h->a.region[r].host, h->a.region[r].size))
			return true;
	return false;
}

/* Nothing that was not negotiated; what the relay throws away has a type that there is not. */
static void check_vnet(const struct virtq *q, const struct vnet_hdr *v)
{
	static const uint8_t need[] = { [VNET_GSO_TCPV4] = OFFLOAD_TSO4,
					[VNET_GSO_TCPV6] = OFFLOAD_TSO6,
					[VNET_GSO_UDP_L4] = OFFLOAD_USO };
	uint8_t kind = v->gso_type & (uint8_t)~VNET_GSO_ECN;

	assert(!(v->flags & ~VNET_F_NEEDS_CSUM));
	if (!q->gso_allowed)
		assert(!v->flags && !v->gso_type);
	if (v->gso_type == 0x7f)
		return;
	assert(!v->flags || q->gso_allowed & OFFLOAD_CSUM);
	assert(!(v->gso_type & VNET_GSO_ECN) || q->gso_allowed & OFFLOAD_ECN);
	assert(!kind || (kind < sizeof(need) && need[kind] & q->gso_allowed));
}

void calls_check_lent(const struct harness *h, unsigned i)
{
	const struct frame *f = &h->burst.frame[i];
	size_t sum = 0;

	assert(f->iov == h->burst.iov[i] && f->n_iov >= 1 && f->n_iov <= FRAME_IOV_MAX && !f->tpid);
	assert(f->iov[0].iov_base == h->burst.head[i]);
	for (unsigned k = 0; k < f->n_iov; k++)
		sum += f->iov[k].iov_len;
	check_vnet(&h->a.q, &f->vnet);
	assert(f->iov[0].iov_len == (f->size < FRAME_HEAD_SIZE ? f->size : FRAME_HEAD_SIZE));
	if (f->size > FRAME_SIZE_MAX) {
		assert(f->size == FRAME_SIZE_MAX + 1 && f->n_iov == 1 && !f->vnet.gso_type);
		return;
	}
	assert(sum == f->size);
	for (unsigned k = 1; k < f->n_iov; k++)
		assert(is_lent_from(h, i, &f->iov[k]));
}

static uint32_t flatten(const struct frame *f, uint8_t *to)
{
	return frame_head_copy(f, to, f->size);
}

/* The place `k` chains behind that where the queue stood; fills h->chain. False: none is there. */
struct walker {
	struct vg *g;
	uint16_t at, avail_idx;
	bool wrap;
};

static struct walker walker_begin(struct vg *g)
{
	return (struct walker){ .g = g,
				.at = g->q.next,
				.avail_idx = g->packed ? 0 : g->q.avail->idx,
				.wrap = g->q.wrap };
}

static bool walker_next(struct walker *w, bool write, struct vg_chain *c)
{
	const struct vg *g = w->g;

	if (!g->packed) {
		if (w->at == w->avail_idx)
			return false;
		vg_walk(g, g->q.avail->ring[w->at++ & (g->size - 1)], false, write, c);
		return true;
	}
	vg_walk(g, w->at, w->wrap, write, c);
	if (!c->n_slots)
		return false;
	w->at += c->n_slots;
	if (w->at >= g->size) {
		w->at -= g->size;
		w->wrap = !w->wrap;
	}
	return true;
}

/* Frame `i` is what the chain says. */
static void check_content(struct harness *h, unsigned i, const struct vg_chain *c)
{
	const struct frame *f = &h->burst.frame[i];
	uint32_t header = h->a.q.header_size, n;

	assert(c->is_sound);
	if (c->size > header + (uint64_t)FRAME_SIZE_MAX) {
		assert(f->size == FRAME_SIZE_MAX + 1);
		return;
	}
	assert(f->size == (c->size > header ? c->size - header : 0));
	if (vg_touches_ring(&h->a, c))
		return; /* notifications may have been written meanwhile */
	n = vg_gather(&h->a, c, header, h->expected, FRAME_SIZE_MAX);
	assert(n == f->size && flatten(f, h->found) == n);
	assert(!memcmp(h->expected, h->found, n));
}

/* ---- calls ---- */

void calls_give_back(struct harness *h)
{
	if (!h->n_lent)
		return;
	vg_picture(&h->a);
	virtq_give_back(&h->a.q);
	vg_check_written(&h->a, false);
	h->n_lent = 0;
}

static void check_found(struct harness *h, uint64_t header_at, const struct frame *f, uint32_t n)
{
	const struct virtq *q = &h->b.q;
	uint16_t n_buffers;

	assert(!memcmp(h->found, &f->vnet, sizeof(f->vnet)));
	if (q->header_size == VIRTQ_HEADER_SIZE) {
		memcpy(&n_buffers, h->found + sizeof(f->vnet), sizeof(n_buffers));
		assert(n_buffers == n);
	}
	assert(flatten(f, h->expected) == f->size);
	assert(!memcmp(h->found + header_at, h->expected, f->size));
}

/* The next used entry of B: how many octets are in it. */
static uint32_t used_len(const struct walker *w, const struct vg_chain *c, struct walker before)
{
	const struct vg *g = w->g;
	struct virtq_desc d;

	if (!g->packed) {
		const struct virtq_used_elem *e = &g->q.used->ring[before.at & (g->size - 1)];

		assert(e->id == c->id);
		return e->len;
	}
	d = g->q.desc[before.at];
	assert((uint16_t)(d.rest >> 32) == c->id);
	assert(!!(d.rest >> 48 & VIRTQ_DESC_AVAIL) == before.wrap &&
	       !!(d.rest >> 48 & VIRTQ_DESC_USED) == before.wrap);
	return (uint32_t)d.rest;
}

/* Frames that were taken are in the buffers that were used, from where `w` stands on. */
static void check_put(struct harness *h, struct walker w, const struct frame *const *f,
		      uint64_t taken)
{
	uint32_t header = h->b.q.header_size;

	for (; taken; taken &= taken - 1) {
		const struct frame *frame = f[__builtin_ctzll(taken)];
		uint32_t got = 0, n = 0;

		while (got < frame->size + header) {
			struct walker before = w;
			uint32_t len;

			assert(walker_next(&w, true, &h->chain) && h->chain.is_sound);
			len = used_len(&w, &h->chain, before);
			assert(len <= h->chain.size && got + len <= frame->size + header);
			assert(vg_gather(&h->b, &h->chain, 0, h->found + got, len) == len);
			got += len;
			n++;
		}
		check_found(h, header, frame, n);
	}
	assert(w.at == h->b.q.next && w.wrap == h->b.q.wrap);
}

/* Did the driver make a buffer available more than once? Then what it got first is gone. */
static bool uses_twice(struct harness *h, struct walker w)
{
	while (w.at != h->b.q.next || w.wrap != h->b.q.wrap) {
		assert(walker_next(&w, true, &h->chain) && h->chain.is_sound);
		if (!vg_use(&h->b, &h->chain))
			return true;
	}
	return false;
}

static bool has_pending(const struct virtq *q)
{
	return q->is_packed ? q->n_returns : q->n_taken;
}

void calls_publish(struct harness *h)
{
	vg_picture(&h->b);
	virtq_publish(&h->b.q);
	vg_check_written(&h->b, false);
}

/* Put frames into B; look at them if everything that is used is of these. */
void calls_put(struct harness *h, const struct frame *const *f, unsigned n, bool and_publish)
{
	struct walker w = walker_begin(&h->b);
	bool was_pending = has_pending(&h->b.q), is_sound;
	uint64_t taken;

	vg_picture(&h->b);
	is_sound = vg_map(&h->b);
	/* An index that jumped back by less than what is pending is not seen to be wrong. */
	if (!h->packed && (uint16_t)(w.avail_idx - w.at) > h->b.size)
		is_sound = false;
	taken = virtq_put(&h->b.q, f, n);
	assert(n == BURST_MAX || !(taken >> n));
	if (is_sound)
		vg_check_written(&h->b, true);
	if (!and_publish)
		return;
	virtq_publish(&h->b.q);
	if (!is_sound)
		return;
	vg_check_written(&h->b, true);
	if (!was_pending && !uses_twice(h, w))
		check_put(h, w, f, taken);
}

void calls_take(struct harness *h, unsigned max)
{
	struct walker w;
	unsigned n;

	calls_give_back(h);
	vg_picture(&h->a);
	w = walker_begin(&h->a);
	h->burst.more = false;
	n = virtq_take(&h->a.q, &h->burst, max);
	assert(n <= max);
	for (unsigned i = 0; i < n; i++) {
		calls_check_lent(h, i);
		assert(walker_next(&w, false, &h->chain));
		check_content(h, i, &h->chain);
	}
	vg_check_written(&h->a, false);
	h->n_lent = n;
	if (h->a.q.fault == VIRTQ_FAULT_avail_index || h->a.q.fault == VIRTQ_FAULT_head)
		return;
	if (h->a.q.fault) {
		assert(!walker_next(&w, false, &h->chain) || !h->chain.is_sound);
		return;
	}
	if (n < max && !h->burst.more)
		assert(!walker_next(&w, false, &h->chain));
}

/* What the relay would pass on of what is lent. */
void calls_forward(struct harness *h, bool and_publish)
{
	const struct frame *f[BURST_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < h->n_lent && !h->b.q.fault; i++) {
		const struct frame *frame = &h->burst.frame[i];

		if (frame->size >= ETH_HEADER_SIZE && frame->size <= FRAME_SIZE_MAX)
			f[n++] = frame;
	}
	if (n)
		calls_put(h, f, n, and_publish);
}

/* Frames as egress makes them: tags and segments are pieces of their own. */
void calls_own_frames(struct harness *h, unsigned n, uint32_t size, unsigned pieces)
{
	if (size < ETH_HEADER_SIZE)
		size = ETH_HEADER_SIZE;
	for (unsigned i = 0; i < n; i++) {
		struct frame *f = &h->own[i];
		struct iovec *iov = h->own_iov[i];
		uint32_t left = size, at = 0;

		*f = (struct frame){ .iov = iov, .size = size };
		while (left) {
			uint32_t part = at ? left / 2 + 1 : FRAME_HEAD_SIZE;

			if (part > left || f->n_iov + 1u == pieces)
				part = left;
			iov[f->n_iov++] = (struct iovec){ h->octets + at + i, part };
			at += part;
			left -= part;
		}
		f->vnet.flags = size & 1;
		f->vnet.gso_type = size & 2 ? VNET_GSO_TCPV4 : VNET_GSO_NONE;
		f->vnet.csum_start = (uint16_t)i;
	}
}
