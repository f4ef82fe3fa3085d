// SPDX-License-Identifier: Apache-2.0
#include "vsi_table.h"

#include <assert.h>

void vsi_table_init(struct vsi_table *t, struct vsi *slot, uint32_t n)
{
	*t = (struct vsi_table){ .slot = slot, .n_slots = n };
	LIST_INIT(&t->free);
	TAILQ_INIT(&t->queue);
	for (uint32_t i = n; i-- > 0;) {
		slot[i].used = false;
		slot[i].queued = false;
		slot[i].due = TSTAMP_NEVER;
		slot[i].ticket = 0;
		LIST_INIT(&slot[i].bucket);
		LIST_INSERT_HEAD(&t->free, &slot[i], chain);
	}
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

struct vsi *vsi_new(struct vsi_table *t, const struct vsi_id *id)
{
	struct vsi *v = LIST_FIRST(&t->free);

	if (!v)
		return NULL;
	LIST_REMOVE(v, chain);
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

/* ---- timers: a heap of slot numbers, the earliest first ---- */

static struct vsi *at(const struct vsi_table *t, uint32_t place)
{
	return &t->slot[t->slot[place].heap];
}

static void put(struct vsi_table *t, uint32_t place, struct vsi *v)
{
	t->slot[place].heap = (uint32_t)(v - t->slot);
	v->heap_at = place;
}

/* Move `v`, which may be at any place, up or down from `place` to where it belongs. */
static void sift(struct vsi_table *t, uint32_t place, struct vsi *v)
{
	uint32_t child;

	while (place && v->due < at(t, (place - 1) / 2)->due) {
		put(t, place, at(t, (place - 1) / 2));
		place = (place - 1) / 2;
	}
	while ((child = 2 * place + 1) < t->n_timers) {
		if (child + 1 < t->n_timers && at(t, child + 1)->due < at(t, child)->due)
			child++;
		if (v->due <= at(t, child)->due)
			break;
		put(t, place, at(t, child));
		place = child;
	}
	put(t, place, v);
}

void vsi_timer(struct vsi_table *t, struct vsi *v, tstamp due)
{
	bool runs = v->due != TSTAMP_NEVER;
	struct vsi *last;

	v->due = due;
	if (due != TSTAMP_NEVER) {
		sift(t, runs ? v->heap_at : t->n_timers++, v);
	} else if (runs) {
		last = at(t, --t->n_timers);
		if (last != v)
			sift(t, v->heap_at, last);
	}
}

struct vsi *vsi_due(const struct vsi_table *t, tstamp now)
{
	return vsi_deadline(t) <= now ? at(t, 0) : NULL;
}

tstamp vsi_deadline(const struct vsi_table *t)
{
	return t->n_timers ? at(t, 0)->due : TSTAMP_NEVER;
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
	struct vdp_manager manager;
	struct vdp_assoc out;

	if (!v || !most)
		return false;
	packer->outgoing(packer->ctx, v, &out);
	manager = out.manager;
	w->room -= VDP_PDU_END_SIZE;
	vdp_pdu_begin(w, g, &manager);
	for (; v && most; v = next) {
		size_t size = w->size;

		next = TAILQ_NEXT(v, queue);
		packer->outgoing(packer->ctx, v, &out);
		if (g == EVB_RATIFIED && !vdp_manager_equal(&out.manager, &manager))
			continue;
		vdp_assoc_encode(w, g, &out);
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
