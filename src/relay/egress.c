// SPDX-License-Identifier: Apache-2.0
#include "egress.h"

#include "gso.h"

enum {
	/* Frames shorter than this, in the mean, are not tried to be coalesced for a guest. */
	COALESCE_SIZE_MIN = 128,
};

/* What is on its way to one destination. */
struct delivery {
	struct egress *e;
	const struct view_port *to;
	struct port_counters *count; /* of the destination, ours */
	const struct frame *out[BURST_MAX];
	unsigned n;
};

void egress_begin(struct egress *e)
{
	e->n_slots = 0;
	e->faulty = PORT_NONE;
	if (++e->stamp == 0) { /* wrapped: no old stamp may look new */
		memset(e->where, 0, sizeof(e->where));
		e->stamp = 1;
	}
}

/* ---- tags ---- */

/* Octets of a frame for `to`, with `key`, that do not count as its size there. */
static uint32_t tags_size(const struct view_port *to, const struct eth_key *key)
{
	bool has_both = view_port_svid(to) != VID_NONE && ethertype_is_tag(key->ethertype);

	return key->type_offset - 12u + (has_both ? ETH_TAG_SIZE : 0);
}

/* Not an access port: some of its frames may be tagged. */
static bool port_sees_tags(const struct view_port *p)
{
	return p->role == FWD_UPLINK || (p->flags & VIEW_TRUNK);
}

/* Some of its frames bear a tag on the wire. */
static bool port_bears_tags(const struct view_port *p)
{
	return port_sees_tags(p) || view_port_svid(p) != VID_NONE;
}

/*
 * The tag a frame of VLAN `vid` has at `to`: none in the VLAN that is untagged there, but a
 * priority tag if the port sees tags at all (802.1Q-2022 6.9.2), and the frame has a priority or
 * a second tag. Were that laid bare, the receiver would take it for the frame's VLAN, and the
 * sender could choose it.
 */
static uint16_t egress_tag(const struct delivery *d, const struct eth_key *key, vid_t vid,
			   uint16_t *tci)
{
	const struct view_port *to = d->to;
	uint16_t priority = egress_priority(d->e, key);
	bool sees_tags = port_sees_tags(to), has_second = ethertype_is_tag(key->ethertype);

	if (sees_tags && vid != to->pvid) {
		*tci = priority | vid;
		return ETHERTYPE_CTAG;
	}
	*tci = priority;
	return sees_tags && (priority || has_second) ? ETHERTYPE_CTAG : 0;
}

/* Frame `i` with the tag it must have at the destination. */
static const struct frame *egress_frame(struct delivery *d, unsigned i)
{
	struct egress *e = d->e;
	const struct frame *f = &e->frame[i];
	unsigned flow = e->flows->of[i];
	const struct eth_key *key = &e->key[flow];
	struct egress_scratch *s = &e->scratch;
	struct eth_tag tag = { .tpid = key->tpid, .tci = key->tci };
	vid_t svid = view_port_svid(d->to);

	if (e->vid[flow] != VID_NONE && d->to->mode != FWD_PASSTHRU)
		tag.tpid = egress_tag(d, key, e->vid[flow], &tag.tci);
	if (svid != VID_NONE) {
		tag.outer_tpid = ETHERTYPE_STAG;
		tag.outer_tci = egress_priority(e, key) | svid;
	} else if (!f->tpid && tag.tpid == key->tpid && (!tag.tpid || tag.tci == key->tci)) {
		return f;
	}
	eth_retag(&s->frame[i], f, key, (struct eth_room){ s->iov[i], s->tag[i] }, tag);
	return &s->frame[i];
}

/* ---- delivery ---- */

static void egress_drop(struct delivery *d, enum drop_reason why, unsigned n)
{
	d->count->drops[why] += n;
}

/* The mask of `n` (0..BURST_MAX) frames, which are all that tx() was given. */
static inline uint64_t mask_of(unsigned n)
{
	return n ? UINT64_MAX >> (BURST_MAX - n) : 0;
}

/*
 * Are there perhaps segments that are worth coalescing? A receiver that takes GSO frames then gets
 * one instead of many: a guest one chain of buffers, the kernel one packet to send. For the former,
 * small frames are not worth a look.
 */
static bool egress_may_coalesce(const struct view_port *to, unsigned n, uint64_t octets)
{
	return to->offload & (OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_USO) && n > 1 &&
	       (to->port->tx_is_dear || octets > (uint64_t)COALESCE_SIZE_MIN * n);
}

/* Send `n` frames, `octets` in all, as fewer if that can be; they count as those they were. */
static void egress_coalesce(struct delivery *d, const struct frame *const *in, unsigned n,
			    uint64_t octets)
{
	struct gro *g = &d->e->scratch.gro;
	struct port *p = d->to->port;
	unsigned n_out = gro_run(g, in, n, d->to->offload), n_left = 0;
	uint64_t taken = p->ops->tx(p, g->out, n_out);

	for (unsigned i = 0; i < n_out; i++) {
		const struct frame *f = g->out[i];
		unsigned n_of = g->n_of[i];

		if (taken >> i & 1) {
			d->count->tx_coalesced += n_of > 1 ? n_of : 0;
			continue;
		}
		n_left += n_of;
		octets -= f->size + (n_of - 1u) * (n_of > 1 ? f->vnet.hdr_len : 0u);
	}
	if (n_left)
		egress_drop(d, p->tx_drop, n_left);
	d->count->tx_frames += n - n_left;
	d->count->tx_octets += octets;
}

/* Send `n` frames, `octets` in all. */
static void egress_tx(struct delivery *d, const struct frame *const *out, unsigned n,
		      uint64_t octets)
{
	struct port *p = d->to->port;
	uint64_t left;
	unsigned n_left;

	if (egress_may_coalesce(d->to, n, octets)) {
		egress_coalesce(d, out, n, octets);
		return;
	}
	left = mask_of(n) & ~p->ops->tx(p, out, n);
	n_left = frames_count(left);
	if (left) {
		egress_drop(d, p->tx_drop, n_left);
		for (; left; left &= left - 1)
			octets -= out[__builtin_ctzll(left)]->size;
	}
	d->count->tx_frames += n - n_left;
	d->count->tx_octets += octets;
}

/* Send what was gathered. */
static void egress_flush(struct delivery *d)
{
	uint64_t octets = 0;

	if (!d->n)
		return;
	for (unsigned i = 0; i < d->n; i++)
		octets += d->out[i]->size;
	egress_tx(d, d->out, d->n, octets);
	d->n = 0;
}

/* Cut `f` and send the segments; it counts as one frame, delivered if all of them were. */
static void egress_segments(struct delivery *d, const struct frame *f, const struct eth_key *key)
{
	struct egress_scratch *s = &d->e->scratch;
	struct port *p = d->to->port;
	const struct frame *out[BURST_MAX];
	struct gso_cutter cutter;
	bool all = true, more;
	unsigned n;

	egress_flush(d); /* keep the order */
	if (!gso_start(&cutter, f, key)) {
		egress_drop(d, DROP_offload, 1);
		return;
	}
	do {
		for (n = 0; n < BURST_MAX; n++) {
			if (!gso_next(&cutter, &s->segment[n], s->segment_iov[n],
				      s->segment_head[n]))
				break;
			out[n] = &s->segment[n];
		}
		more = n == BURST_MAX;
		if (n)
			all &= p->ops->tx(p, out, n) == mask_of(n);
	} while (more && all);
	if (all) {
		d->count->tx_frames++;
		d->count->tx_octets += f->size;
		d->count->tx_segmented++;
	} else {
		egress_drop(d, p->tx_drop, 1);
	}
}

/* `f` with its checksum completed, or NULL. */
static const struct frame *egress_csum(struct delivery *d, unsigned i, const struct frame *f)
{
	struct egress_scratch *s = &d->e->scratch;
	uint32_t end = (uint32_t)f->vnet.csum_start + f->vnet.csum_offset + 2;

	/* Without NEEDS_CSUM there is a flag to clear, and both offsets are 0. */
	if (end > EGRESS_CSUM_HEAD_SIZE ||
	    !gso_complete_csum(&s->csum_frame[i], f, s->csum_iov[i], s->csum_head[i]))
		return NULL;
	d->count->tx_csum += f->vnet.flags & VNET_F_NEEDS_CSUM;
	return &s->csum_frame[i];
}

/* A frame with offloads, or one that may be too long. */
static void egress_one_slow(struct delivery *d, unsigned i, const struct frame *f)
{
	const struct eth_key *key = &d->e->key[d->e->flows->of[i]];
	struct eth_key retagged;

	if (f != &d->e->frame[i]) { /* new tag, so the key moved */
		if (!eth_key_parse(f, &retagged)) {
			egress_drop(d, DROP_runt, 1);
			return;
		}
		key = &retagged;
	}
	if (gso_segment_size_max(f, key) - tags_size(d->to, key) > d->to->size_max) {
		egress_drop(d, DROP_mtu, 1);
		return;
	}
	if (!gso_receiver_takes(&f->vnet, d->to->offload)) {
		if (f->vnet.gso_type) {
			egress_segments(d, f, key);
			return;
		}
		f = egress_csum(d, i, f);
		if (!f) {
			egress_drop(d, DROP_offload, 1);
			return;
		}
	}
	d->out[d->n++] = f;
}

/* Will the receiver get all of these frames as they came? */
static bool egress_is_plain(const struct delivery *d, uint64_t frames)
{
	const struct flows *fl = d->e->flows;

	return !(frames & ~fl->plain) && fl->plain_size_max <= d->to->size_max &&
	       !port_bears_tags(d->to);
}

static void egress_plain(struct delivery *d, uint64_t frames)
{
	struct egress *e = d->e;
	unsigned first = (unsigned)__builtin_ctzll(frames), n = 0;
	uint64_t octets = 0, run = frames >> first;

	if (!(run & (run + 1))) { /* one run of them, so pointers to them are there */
		n = frames_count(frames);
		if (n == e->flows->n_frames)
			octets = e->flows->octets;
		else
			for (unsigned i = 0; i < n; i++)
				octets += e->frame[first + i].size;
		egress_tx(d, e->all + first, n, octets);
		return;
	}
	for (uint64_t left = frames; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);

		d->out[n++] = &e->frame[i];
		octets += e->frame[i].size;
	}
	egress_tx(d, d->out, n, octets);
}

static void egress_mixed(struct delivery *d, uint64_t frames)
{
	const struct egress *e = d->e;
	bool bears_tags = port_bears_tags(d->to);

	for (; frames; frames &= frames - 1) {
		unsigned i = (unsigned)__builtin_ctzll(frames);
		const struct frame *f = &e->frame[i];

		if (bears_tags || e->key[e->flows->of[i]].tpid)
			f = egress_frame(d, i);
		if (!(f->vnet.flags | f->vnet.gso_type) && f->size <= d->to->size_max)
			d->out[d->n++] = f;
		else
			egress_one_slow(d, i, f);
	}
	egress_flush(d);
}

static void egress_slot_send(struct egress *e, const struct egress_slot *slot)
{
	const struct view_port *to = &e->view->port[slot->port];
	struct port *p = to->port;
	uint64_t frames = slot->frames;
	bool locked = p->tx_is_shared;
	struct delivery d; /* without an initialiser, which would clear all of `out` */

	d.e = e;
	d.to = to;
	d.count = &p->counters[e->worker];
	d.n = 0;
	if (!(to->flags & VIEW_UP)) {
		egress_drop(&d, DROP_port_down, frames_count(slot->frames));
		return;
	}
	while (locked && atomic_flag_test_and_set_explicit(&p->tx_lock, memory_order_acquire))
		__builtin_ia32_pause();
	if (to->flags & VIEW_METERED_OUT)
		frames = egress_meter(e, frames, slot->port);
	if (to->role == FWD_UPLINK && p->ops->ask_queue)
		frames = egress_prioritise(e, frames, slot->port);
	if (frames && egress_is_plain(&d, frames))
		egress_plain(&d, frames);
	else
		egress_mixed(&d, frames);
	if (p->ops->flush)
		p->ops->flush(p);
	if (locked)
		atomic_flag_clear_explicit(&p->tx_lock, memory_order_release);
	if (atomic_load_explicit(&p->fault, memory_order_relaxed) &&
	    !atomic_load_explicit(&p->fault_told, memory_order_relaxed))
		e->faulty = slot->port;
}

void egress_send(struct egress *e)
{
	for (uint32_t s = 0; s < e->n_slots; s++) {
		if (s + 1 < e->n_slots)
			__builtin_prefetch(&e->view->port[e->slot[s + 1].port]);
		egress_slot_send(e, &e->slot[s]);
	}
}
