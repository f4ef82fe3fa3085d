// SPDX-License-Identifier: Apache-2.0
#include "vsi_table.h"

#include <assert.h>

void vsi_table_init(struct vsi_table *t, struct vsi *slot, uint32_t n)
{
	*t = (struct vsi_table){ .slot = slot, .n_slots = n };
	LIST_INIT(&t->free);
	TAILQ_INIT(&t->queue);
	for (unsigned i = 0; i < VSI_TIMERS_N; i++)
		TAILQ_INIT(&t->timers[i]);
}

/* ---- by ID ---- */

/* FNV-1a. A peer that makes its own VSIs collide has a slow port, bounded by the table. */
static struct vsi *bucket_of(const struct vsi_table *t, const struct vsi_id *id)
{
	uint32_t h = (2166136261u ^ id->format) * 16777619u;

	for (size_t i = 0; i < sizeof(id->octets); i++)
		h = (h ^ id->octets[i]) * 16777619u;
	return &t->slot[(h ^ h >> 15) % t->n_slots];
}

struct vsi *vsi_find(const struct vsi_table *t, const struct vsi_id *id)
{
	struct vsi *v;

	if (!t->n_slots)
		return NULL;
	LIST_FOREACH(v, &bucket_of(t, id)->bucket, chain)
	{
		if (vsi_id_equal(&v->id, id))
			return v;
	}
	return NULL;
}

/* One that was in use goes first, so that memory is touched only as far as it is needed. */
static struct vsi *take(struct vsi_table *t)
{
	struct vsi *v = LIST_FIRST(&t->free);

	if (v) {
		LIST_REMOVE(v, chain);
	} else if (t->n_begun < t->n_slots) {
		v = &t->slot[t->n_begun++];
		v->due = TSTAMP_NEVER;
	}
	return v;
}

struct vsi *vsi_new(struct vsi_table *t, const struct vsi_id *id)
{
	struct vsi *v = take(t);

	if (!v)
		return NULL;
	v->id = *id;
	v->used = true;
	v->asked.request = v->held.request = (enum vdp_request)0;
	v->frees = false;
	v->state = 0;
	v->sent_at = TSTAMP_NEVER;
	t->n_used++;
	LIST_INSERT_HEAD(&bucket_of(t, id)->bucket, v, chain);
	return v;
}

void vsi_free(struct vsi_table *t, struct vsi *v)
{
	assert(v->used);
	vsi_timer(t, v, TSTAMP_NEVER);
	vsi_unqueue(t, v);
	LIST_REMOVE(v, chain);
	v->used = false;
	t->n_used--;
	LIST_INSERT_HEAD(&t->free, v, chain);
}

/* ---- timers ---- */

static struct vsi *last_of(struct vsi_table *t, unsigned list)
{
	return TAILQ_LAST(&t->timers[list], vsi_queue);
}

/* The list that ends closest before `due`; else an empty one, or at worst the first. */
static uint8_t list_for(struct vsi_table *t, tstamp due)
{
	const struct vsi *last, *best = NULL;
	uint8_t list = 0, empty = 0;

	for (unsigned i = 0; i < VSI_TIMERS_N; i++) {
		last = last_of(t, i);
		if (!last) {
			empty = (uint8_t)i;
		} else if (last->due <= due && (!best || last->due > best->due)) {
			best = last;
			list = (uint8_t)i;
		}
	}
	return best ? list : empty;
}

static void insert(struct vsi_table *t, struct vsi *v)
{
	struct vsi *before;

	v->timers = list_for(t, v->due);
	before = last_of(t, v->timers);
	while (before && before->due > v->due)
		before = TAILQ_PREV(before, vsi_queue, timer);
	if (before)
		TAILQ_INSERT_AFTER(&t->timers[v->timers], before, v, timer);
	else
		TAILQ_INSERT_HEAD(&t->timers[v->timers], v, timer);
}

void vsi_timer(struct vsi_table *t, struct vsi *v, tstamp due)
{
	if (v->due != TSTAMP_NEVER)
		TAILQ_REMOVE(&t->timers[v->timers], v, timer);
	v->due = due;
	if (due != TSTAMP_NEVER)
		insert(t, v);
}

/* The one whose timer is the next, or NULL. */
static struct vsi *next_of(const struct vsi_table *t)
{
	struct vsi *next = NULL, *first;

	for (unsigned i = 0; i < VSI_TIMERS_N; i++) {
		first = TAILQ_FIRST(&t->timers[i]);
		if (first && (!next || first->due < next->due))
			next = first;
	}
	return next;
}

struct vsi *vsi_due(const struct vsi_table *t, tstamp now)
{
	struct vsi *v = next_of(t);

	return v && v->due <= now ? v : NULL;
}

tstamp vsi_deadline(const struct vsi_table *t)
{
	const struct vsi *v = next_of(t);

	return v ? v->due : TSTAMP_NEVER;
}

/* ---- the queue ---- */

void vsi_queue_first(struct vsi_table *t, struct vsi *v)
{
	if (v->queued)
		return;
	if (t->last_first)
		TAILQ_INSERT_AFTER(&t->queue, t->last_first, v, queue);
	else
		TAILQ_INSERT_HEAD(&t->queue, v, queue);
	t->last_first = v;
	v->queued = true;
}

void vsi_queue(struct vsi_table *t, struct vsi *v)
{
	if (!v->queued)
		TAILQ_INSERT_TAIL(&t->queue, v, queue);
	v->queued = true;
}

void vsi_unqueue(struct vsi_table *t, struct vsi *v)
{
	if (v->queued && v == t->last_first)
		t->last_first = TAILQ_PREV(v, vsi_queue, queue);
	if (v->queued)
		TAILQ_REMOVE(&t->queue, v, queue);
	v->queued = false;
}

bool vsi_pack(struct vsi_table *t, tstamp now, enum evb_generation g,
	      const struct vsi_packer *packer, struct writer *w)
{
	struct vsi *v = TAILQ_FIRST(&t->queue), *next;
	uint32_t most = packer->most;
	const struct vdp_assoc *out;
	struct vdp_manager manager;
	enum vdp_request request;
	uint8_t status;

	if (!v || !most)
		return false;
	manager = packer->outgoing(packer->ctx, v, &request, &status)->manager;
	w->room -= VDP_PDU_END_SIZE;
	vdp_pdu_begin(w, g, &manager);
	for (; v && most; v = next) {
		size_t size = w->size;

		next = TAILQ_NEXT(v, queue);
		out = packer->outgoing(packer->ctx, v, &request, &status);
		if (g == EVB_RATIFIED && !vdp_manager_equal(&out->manager, &manager))
			continue;
		vdp_assoc_encode_as(w, g, out, request, status);
		if (w->full) {
			writer_rewind(w, size);
			break;
		}
		vsi_unqueue(t, v);
		packer->sent(packer->ctx, now, v);
		most--;
	}
	w->room += VDP_PDU_END_SIZE;
	vdp_pdu_end(w);
	return true;
}
