// SPDX-License-Identifier: Apache-2.0
#include "front_ring.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int broken(struct front_ring *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int broken(struct front_ring *r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(r->error, sizeof(r->error), format, ap);
	va_end(ap);
	return -EPROTO;
}

static uint64_t driver_size(const struct front_ring *r)
{
	return r->c.packed ? sizeof(struct front_event) : 2 * (3 + (uint64_t)r->c.size);
}

static uint64_t device_size(const struct front_ring *r)
{
	return r->c.packed ? sizeof(struct front_event) : 6 + 8 * (uint64_t)r->c.size;
}

/* The three areas in guest memory; false if there is not enough. */
static bool areas_alloc(struct front_ring *r)
{
	uint64_t least = r->c.tight ? 4 : 64;
	uint64_t size = 16 * (uint64_t)r->c.size;

	r->gpa_desc = front_mem_alloc(r->mem, size, r->c.tight ? 16 : 64);
	/* An odd multiple of what is demanded, if no more than that is wanted. */
	r->gpa_driver = front_mem_alloc(r->mem, driver_size(r) + 2, least);
	if (r->c.tight && !r->c.packed)
		r->gpa_driver += 2;
	r->gpa_device = front_mem_alloc(r->mem, device_size(r), least);
	r->desc = front_mem_at(r->mem, r->gpa_desc, size);
	r->avail = front_mem_at(r->mem, r->gpa_driver, driver_size(r));
	r->used = front_mem_at(r->mem, r->gpa_device, device_size(r));
	return r->desc && r->avail && r->used;
}

int front_ring_open(struct front_ring *r, struct front_mem *mem, const struct front_ring_config *c)
{
	*r = (struct front_ring){ .c = *c, .mem = mem, .kick = -1, .call = -1 };
	if (!c->size || c->size > FRONT_RING_MAX || (!c->packed && (c->size & (c->size - 1))))
		return -EINVAL;
	if (!areas_alloc(r))
		return -ENOMEM;
	r->slot = calloc(c->size, sizeof(*r->slot));
	r->shadow = calloc(c->size, sizeof(*r->shadow));
	r->next_free = calloc(c->size, sizeof(*r->next_free));
	r->fifo = calloc(c->size, sizeof(*r->fifo));
	r->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!r->slot || !r->shadow || !r->next_free || !r->fifo || r->kick < 0 || r->call < 0) {
		front_ring_close(r);
		return -ENOMEM;
	}
	front_ring_reset(r);
	return 0;
}

void front_ring_close(struct front_ring *r)
{
	if (!r->mem)
		return;
	free(r->slot);
	free(r->shadow);
	free(r->next_free);
	free(r->fifo);
	if (r->kick >= 0)
		close(r->kick);
	if (r->call >= 0)
		close(r->call);
	*r = (struct front_ring){ .kick = -1, .call = -1 };
}

void front_ring_reset(struct front_ring *r)
{
	memset(r->desc, 0, 16 * (size_t)r->c.size);
	memset(r->avail, 0, driver_size(r));
	memset(r->used, 0, device_size(r));
	for (unsigned i = 0; i < r->c.size; i++) {
		r->slot[i].out = false;
		r->next_free[i] = (uint16_t)(i + 1);
		r->shadow[i] = (struct front_desc){ 0 };
	}
	r->first_free = 0;
	r->n_free = r->c.size;
	r->n_out = 0;
	r->seq_added = r->seq_used = 0;
	r->avail_idx = r->used_idx = 0;
	r->avail_wrap = r->used_wrap = true;
	r->n_added = r->n_unkicked = 0;
	r->in_batch = false;
	r->error[0] = '\0';
}

/* The indirect table of slot `id`, with room for n; NULL without memory. */
static void *table_of(struct front_ring *r, unsigned id, unsigned n)
{
	struct front_slot *s = &r->slot[id];

	if (s->table_room < n) {
		uint32_t room = s->table_room ? s->table_room : 4;

		while (room < n)
			room *= 2;
		s->table = front_mem_alloc(r->mem, room * UINT64_C(16), 16);
		s->table_room = s->table == FRONT_NO_GPA ? 0 : room;
	}
	return s->table_room ? front_mem_at(r->mem, s->table, s->table_room * UINT64_C(16)) : NULL;
}

static void table_fill(struct front_ring *r, void *table, const struct front_piece *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint16_t write = p[i].writable ? FRONT_WRITE : 0;

		if (r->c.packed)
			((struct front_packed_desc *)table)[i] =
				(struct front_packed_desc){ p[i].gpa, p[i].len, 0xbeef, write };
		else
			((struct front_desc *)table)[i] = (struct front_desc){
				p[i].gpa, p[i].len,
				(uint16_t)(write | (i + 1 < n ? FRONT_NEXT : 0)),
				(uint16_t)(i + 1 < n ? i + 1 : 0)
			};
	}
}

static void split_write(struct front_ring *r, unsigned at, struct front_desc d)
{
	r->shadow[at] = d;
	r->desc[at] = d;
}

/* One chain of n_desc descriptors, the last of which is the table's if there is one. */
static void split_add(struct front_ring *r, const struct front_chain *c, unsigned id,
		      unsigned n_desc)
{
	unsigned at = id;

	for (unsigned i = 0; i < n_desc; i++) {
		const struct front_piece *p = &c->piece[i];
		bool more = i + 1 < n_desc;
		unsigned next = r->c.in_order ? (at + 1) % r->c.size : r->next_free[at];
		struct front_desc d = { p->gpa, p->len, 0, more ? (uint16_t)next : 0 };

		d.flags = (uint16_t)((p->writable ? FRONT_WRITE : 0) | (more ? FRONT_NEXT : 0));
		if (!more && c->how != FRONT_DIRECT) {
			d.addr = r->slot[id].table;
			d.len = (c->n - i) * 16;
			d.flags = FRONT_INDIRECT;
		}
		split_write(r, at, d);
		at = next;
	}
	r->first_free = (uint16_t)at;
	front_store16(front_avail_entry(r, (r->avail_idx + r->n_added) & (r->c.size - 1)),
		      (uint16_t)id);
}

/* Descriptors go into the ring as they come; only the flags of the first one that is not yet
 * published are held back, since the device cannot look beyond it. */
static void packed_add(struct front_ring *r, const struct front_chain *c, unsigned id,
		       unsigned n_desc)
{
	for (unsigned i = 0; i < n_desc; i++) {
		const struct front_piece *p = &c->piece[i];
		struct front_packed_desc *d = &r->pdesc[r->avail_idx];
		bool more = i + 1 < n_desc;
		unsigned flags = r->avail_wrap ? FRONT_AVAIL : FRONT_USED;

		flags |= (p->writable ? FRONT_WRITE : 0) | (more ? FRONT_NEXT : 0);
		d->addr = p->gpa;
		d->len = p->len;
		d->id = (uint16_t)(more && r->c.id_last ? 0xbeef : id);
		if (c->how != FRONT_DIRECT) {
			d->addr = r->slot[id].table;
			d->len = c->n * 16;
			flags = (flags & (FRONT_AVAIL | FRONT_USED)) | FRONT_INDIRECT;
		}
		if (i == 0 && !r->n_added) {
			r->first_added = r->avail_idx;
			r->first_flags = (uint16_t)flags;
		} else {
			front_store16(&d->flags, (uint16_t)flags);
		}
		if (++r->avail_idx == r->c.size) {
			r->avail_idx = 0;
			r->avail_wrap = !r->avail_wrap;
		}
	}
	if (!r->c.in_order)
		r->first_free = r->next_free[id];
	r->n_unkicked += n_desc;
}

/* The id of the next chain. In order they follow the ring, else they come from the list. */
static unsigned next_id(const struct front_ring *r)
{
	return r->c.in_order && r->c.packed ? r->avail_idx : r->first_free;
}

int front_ring_add(struct front_ring *r, const struct front_chain *c)
{
	unsigned n_desc = c->how == FRONT_DIRECT ? c->n : c->how == FRONT_IN_TABLE ? 1 : 2;
	unsigned n_table = c->how == FRONT_DIRECT ? 0 : c->n - (n_desc - 1);
	unsigned id = next_id(r);
	struct front_slot *s = &r->slot[id];

	if (!c->n || c->n < n_desc || (r->c.packed && c->how == FRONT_TAIL_TABLE))
		return -EINVAL;
	if (n_desc > r->n_free)
		return -ENOSPC;
	if (n_table) {
		void *table = table_of(r, id, n_table);

		if (!table)
			return -ENOMEM;
		table_fill(r, table, c->piece + (n_desc - 1), n_table);
	}
	s->cookie = c->cookie;
	s->n_desc = (uint16_t)n_desc;
	s->out = true;
	s->seq = r->seq_added;
	s->writable = 0;
	for (unsigned i = 0; i < c->n; i++)
		s->writable += c->piece[i].writable ? c->piece[i].len : 0;
	if (r->c.packed)
		packed_add(r, c, id, n_desc);
	else
		split_add(r, c, id, n_desc);
	r->fifo[r->seq_added++ % r->c.size] = (uint16_t)id;
	r->n_free -= n_desc;
	r->n_out++;
	r->n_added++;
	return (int)id;
}

void front_ring_publish(struct front_ring *r)
{
	if (!r->n_added)
		return;
	if (r->c.packed) {
		front_store16(&r->pdesc[r->first_added].flags, r->first_flags);
	} else {
		r->avail_idx = (uint16_t)(r->avail_idx + r->n_added);
		r->n_unkicked += r->n_added;
		front_store16(front_avail_idx(r), r->avail_idx);
	}
	r->n_added = 0;
}

/* Virtio 1.2, 2.7.10.1: did the index go past the event? */
static bool need_event(uint16_t event, uint16_t now, uint16_t before)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

static bool split_wants_kick(const struct front_ring *r)
{
	if (!r->c.event_idx)
		return !(front_load16(&r->used[0]) & 1);
	return need_event(front_load16(front_avail_event(r)), r->avail_idx,
			  (uint16_t)(r->avail_idx - r->n_unkicked));
}

static bool packed_wants_kick(const struct front_ring *r)
{
	uint16_t flags = front_load16(&r->device->flags) & 3;
	uint16_t position = front_load16(&r->device->position);
	uint16_t event = position & 0x7fff;

	if (flags != FRONT_EV_DESC || !r->c.event_idx)
		return flags != FRONT_EV_DISABLE;
	if ((position >> 15) != r->avail_wrap)
		event = (uint16_t)(event - r->c.size);
	return need_event(event, r->avail_idx, (uint16_t)(r->avail_idx - r->n_unkicked));
}

void front_ring_kick_always(struct front_ring *r)
{
	uint64_t one = 1;

	r->n_unkicked = 0;
	if (r->kick >= 0 && write(r->kick, &one, sizeof(one)) == sizeof(one))
		r->n_kicks++;
}

bool front_ring_kick(struct front_ring *r)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!r->n_unkicked)
		return false;
	if (!(r->c.packed ? packed_wants_kick(r) : split_wants_kick(r))) {
		r->n_unkicked = 0;
		return false;
	}
	front_ring_kick_always(r);
	return true;
}

bool front_ring_has_used(const struct front_ring *r)
{
	uint16_t flags;

	if (!r->c.packed)
		return front_load16(front_used_idx(r)) != r->used_idx;
	if (r->in_batch)
		return true;
	flags = front_load16(&r->pdesc[r->used_idx].flags);
	return !!(flags & FRONT_AVAIL) == r->used_wrap && !!(flags & FRONT_USED) == r->used_wrap;
}

unsigned front_ring_outstanding(const struct front_ring *r)
{
	return r->n_out;
}

/* What the device says at the used position; -EPROTO if that cannot be. */
static int used_read(struct front_ring *r, struct front_used_elem *e)
{
	struct front_packed_desc *d;

	if (!r->c.packed) {
		uint16_t n = (uint16_t)(front_load16(front_used_idx(r)) - r->used_idx);
		const struct front_used_elem *u =
			front_used_entry(r, r->used_idx & (r->c.size - 1));

		if (n > r->n_out)
			return broken(r, "used index is %u ahead, %u buffers are out", n, r->n_out);
		e->id = __atomic_load_n(&u->id, __ATOMIC_RELAXED);
		e->len = __atomic_load_n(&u->len, __ATOMIC_RELAXED);
		return 0;
	}
	d = &r->pdesc[r->used_idx];
	e->id = front_load16(&d->id);
	/* The length says something only with the write flag (2.8.6). */
	e->len = front_load16(&d->flags) & FRONT_WRITE ?
			 __atomic_load_n(&d->len, __ATOMIC_RELAXED) :
			 0;
	return 0;
}

/* In order: does the device skip from the oldest buffer to `e`? Then it is one of those out. */
static int batch_begin(struct front_ring *r, const struct front_used_elem *e)
{
	uint32_t n = r->slot[e->id].seq - r->seq_used + 1;

	if (!r->c.packed && n > (uint16_t)(front_load16(front_used_idx(r)) - r->used_idx))
		return broken(r, "a batch of %u is beyond the used index", n);
	r->batch = *e;
	r->in_batch = true;
	return 0;
}

static void slot_free(struct front_ring *r, unsigned id)
{
	struct front_slot *s = &r->slot[id];

	s->out = false;
	r->n_free += s->n_desc;
	r->n_out--;
	r->seq_used = s->seq + 1;
	if (r->c.packed) {
		unsigned at = r->used_idx + s->n_desc;

		r->used_wrap ^= at >= r->c.size;
		r->used_idx = (uint16_t)(at >= r->c.size ? at - r->c.size : at);
		if (!r->c.in_order) {
			r->next_free[id] = r->first_free;
			r->first_free = (uint16_t)id;
		}
		return;
	}
	r->used_idx++;
	if (!r->c.in_order) {
		unsigned last = id;

		while (r->shadow[last].flags & FRONT_NEXT)
			last = r->shadow[last].next;
		r->next_free[last] = r->first_free;
		r->first_free = (uint16_t)id;
	}
}

int front_ring_get(struct front_ring *r, struct front_got *got)
{
	struct front_used_elem e = r->batch;
	struct front_slot *s;

	if (!front_ring_has_used(r))
		return 0;
	if (!r->in_batch && used_read(r, &e) < 0)
		return -EPROTO;
	if (e.id >= r->c.size || !r->slot[e.id].out)
		return broken(r, "id %u is used, but not out", e.id);
	if (e.len > r->slot[e.id].writable)
		return broken(r, "id %u has %u octets written, %u allowed", e.id, e.len,
			      r->slot[e.id].writable);
	*got = (struct front_got){ .id = (uint16_t)e.id, .len = e.len };
	if (r->slot[e.id].seq != r->seq_used) {
		r->n_out_of_order += !r->c.in_order;
		if (r->c.in_order) {
			if (!r->in_batch && batch_begin(r, &e) < 0)
				return -EPROTO;
			got->id = r->fifo[r->seq_used % r->c.size];
			got->skipped = true;
		}
	} else {
		r->in_batch = false;
	}
	s = &r->slot[got->id];
	got->cookie = s->cookie;
	if (got->skipped)
		got->len = s->writable; /* skipped means written fully (2.7.9, 2.8.9) */
	slot_free(r, got->id);
	return 1;
}

int front_ring_audit(struct front_ring *r)
{
	if (r->c.packed)
		return 0; /* there the device writes into the descriptors */
	for (unsigned i = 0; i < r->c.size; i++)
		if (memcmp(&r->desc[i], &r->shadow[i], sizeof(r->shadow[i])) != 0)
			return broken(r, "the device wrote to descriptor %u", i);
	if (front_load16(front_avail_idx(r)) != r->avail_idx)
		return broken(r, "the device wrote to the avail index");
	return 0;
}

void front_ring_interrupts(struct front_ring *r, bool on)
{
	if (r->c.packed) {
		front_store16(&r->driver->position,
			      (uint16_t)(r->used_idx | (r->used_wrap ? 1 << 15 : 0)));
		front_store16(&r->driver->flags, !on		? FRONT_EV_DISABLE :
						 r->c.event_idx ? FRONT_EV_DESC :
								  FRONT_EV_ENABLE);
	} else {
		/* With an event index the flag says nothing; the one just passed is farthest. */
		if (r->c.event_idx)
			front_store16(front_used_event(r),
				      (uint16_t)(on ? r->used_idx : r->used_idx - 1));
		front_store16(&r->avail[0], !on && !r->c.event_idx);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

uint64_t front_ring_calls(struct front_ring *r)
{
	uint64_t n = 0;

	if (r->call < 0 || read(r->call, &n, sizeof(n)) != sizeof(n))
		return 0;
	r->n_calls += n;
	return n;
}

uint32_t front_ring_base_used(const struct front_ring *r)
{
	uint32_t at = r->used_idx;

	if (!r->c.packed)
		return at;
	at |= r->used_wrap ? 1u << 15 : 0;
	return at | at << 16;
}

uint32_t front_ring_base_avail(const struct front_ring *r)
{
	uint32_t at = r->avail_idx;

	if (!r->c.packed)
		return at;
	at |= r->avail_wrap ? 1u << 15 : 0;
	return at | at << 16;
}
