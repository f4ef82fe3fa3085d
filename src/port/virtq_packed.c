// SPDX-License-Identifier: Apache-2.0
/*
 * Packed rings: VIRTIO 1.2, 2.8. Descriptors are returned in place, in the order they came. What is
 * returned is collected and written in one go, each descriptor as one word, so that the driver's
 * reads of the same cache lines are not disturbed all the time.
 */
#include "virtq_internal.h"

/* VIRTIO 1.2, 2.8.14 */
enum { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_DESC = 2 };

enum { SLOT_MASK = 0x7fff, WRAP_SHIFT = 15 };

/* A place in the ring. */
struct place {
	uint16_t slot;
	bool wrap;
};

static struct place place_after(const struct virtq *q, struct place at, unsigned n)
{
	unsigned slot = at.slot + n;

	if (slot < q->size)
		return (struct place){ (uint16_t)slot, at.wrap };
	return (struct place){ (uint16_t)(slot - q->size), !at.wrap };
}

static inline struct place place_next(const struct virtq *q)
{
	return (struct place){ q->next, q->wrap };
}

static inline uint16_t place_bits(struct place at)
{
	return (uint16_t)(at.slot | (at.wrap ? 1u << WRAP_SHIFT : 0));
}

/* VIRTIO 1.2, 2.8.1: the driver has made it available, and nobody has used it. */
static inline bool is_ready(uint16_t flags, bool wrap)
{
	return !!(flags & VIRTQ_DESC_AVAIL) == wrap && !!(flags & VIRTQ_DESC_USED) != wrap;
}

/* The descriptor at a place, if it is ready: its flags are read first, and with them the rest. */
static inline bool packed_load(const struct virtq *q, struct place at, struct virtq_desc *d)
{
	const struct virtq_desc *from = &q->desc[at.slot];

	d->rest = __atomic_load_n(&from->rest, __ATOMIC_ACQUIRE);
	if (!is_ready(packed_flags(*d), at.wrap))
		return false;
	d->addr = guest_load64(&from->addr);
	return true;
}

/* ---- start, stop ---- */

/*
 * Has no descriptor been used, so that what is saved is of another ring? Of odd laps used bits are
 * left; of even ones descriptors that are neither available nor as the driver zeroed them.
 */
static bool is_fresh(const struct virtq *q)
{
	for (uint16_t i = 0; i < q->size; i++) {
		uint64_t rest = guest_load64(&q->desc[i].rest);
		uint16_t flags = (uint16_t)(rest >> 48);

		if (flags & VIRTQ_DESC_USED)
			return false;
		if (!(flags & VIRTQ_DESC_AVAIL) && (rest || guest_load64(&q->desc[i].addr)))
			return false;
	}
	return true;
}

/* Where was the ring left by whoever served it before us? See struct virtq_saved. */
static struct place packed_resume(const struct virtq *q, uint32_t base)
{
	struct place at = { base & SLOT_MASK, base >> WRAP_SHIFT & 1 };
	struct virtq_saved s = *q->saved;
	uint16_t flags;

	if (s.size != q->size || (s.next & SLOT_MASK) >= q->size)
		return at;
	if (is_fresh(q))
		return (struct place){ 0, true };
	at = (struct place){ s.next & SLOT_MASK, s.next >> WRAP_SHIFT };
	flags = (uint16_t)(guest_load64(&q->desc[at.slot].rest) >> 48);
	/* Returned, and perhaps made available again for the lap to come. */
	if (s.n_slots && s.n_slots <= q->size && !is_ready(flags, at.wrap))
		at = place_after(q, at, s.n_slots);
	return at;
}

/* As one word, so that nobody ever sees half of it. */
static inline void packed_save(struct virtq_saved *saved, struct place at, uint16_t n_slots,
			       uint16_t size)
{
	uint64_t word = place_bits(at) | (uint64_t)n_slots << 16 | (uint64_t)size << 32;

	_Static_assert(sizeof(*saved) == sizeof(word), "next, n_slots, size, zero");
	__atomic_store_n((uint64_t *)(void *)saved, word, __ATOMIC_RELEASE);
}

void packed_start(struct virtq *q, uint32_t base)
{
	struct place at = packed_resume(q, base);

	if (at.slot >= q->size)
		at.slot = 0;
	q->next = at.slot;
	q->wrap = at.wrap;
	packed_save(q->saved, at, 0, q->size);
}

uint16_t packed_fill(const struct virtq *q)
{
	struct place at = place_next(q);
	struct virtq_desc d;
	uint16_t n = 0;

	while (n < q->size && packed_load(q, at, &d)) {
		at = place_after(q, at, 1);
		n++;
	}
	return n;
}

bool packed_has_work(const struct virtq *q)
{
	struct virtq_desc d;

	return packed_load(q, place_next(q), &d);
}

/* ---- notifications ---- */

static void packed_notify(struct virtq *q, bool wanted)
{
	uint16_t flags = q->has_event_idx ? EVENT_DESC : EVENT_ENABLE;

	q->is_armed = wanted;
	if (wanted && q->has_event_idx)
		guest_store16(&q->device_event->off_wrap, place_bits(place_next(q)));
	guest_store16_release(&q->device_event->flags, wanted ? flags : EVENT_DISABLE);
	log_ring(q, q->log_event, sizeof(*q->device_event));
}

void packed_mute(struct virtq *q)
{
	packed_notify(q, false);
}

bool packed_arm(struct virtq *q)
{
	packed_notify(q, true);
	q->count.armed++;
	full_barrier();
	return packed_has_work(q);
}

/* Does the driver want to know of what was returned since `before`? */
static bool packed_wants_call(struct virtq *q, uint16_t before)
{
	uint16_t flags, off_wrap, event;
	bool was_valid = q->signalled_valid;

	q->signalled = q->next;
	q->signalled_valid = true;
	full_barrier();
	flags = guest_load16_acquire(&q->driver_event->flags);
	if (flags != EVENT_DESC || !q->has_event_idx)
		return flags != EVENT_DISABLE;
	if (!was_valid)
		return true;
	off_wrap = guest_load16(&q->driver_event->off_wrap);
	event = off_wrap & SLOT_MASK;
	/* Count from the beginning of the present lap: what is of the one before is negative. */
	if (q->next <= before)
		before -= q->size;
	if (off_wrap >> WRAP_SHIFT != q->wrap)
		event -= q->size;
	return event_passed(event, q->next, before);
}

/* VIRTIO 1.2, 2.8.1: flags of a used descriptor, in their place. */
static inline uint64_t used_flags(bool wrap)
{
	return wrap ? (uint64_t)(VIRTQ_DESC_AVAIL | VIRTQ_DESC_USED) << 48 : 0;
}

/* Write what was collected, in order, and save after each where we are. */
static void packed_show(struct virtq *q)
{
	struct virtq_saved *saved = q->saved;
	struct virtq_desc *desc = q->desc;
	struct place at = place_next(q);
	uint16_t before = q->signalled, size = q->size, n = q->n_returns;
	uint64_t used = used_flags(at.wrap);

	for (uint16_t i = 0; i < n; i++) {
		const struct virtq_return r = q->returned[i];

		packed_save(saved, at, r.n_slots, size);
		__atomic_store_n(&desc[at.slot].rest, r.rest | used, __ATOMIC_RELEASE);
		log_ring(q, q->log_desc + at.slot * sizeof(*desc), sizeof(*desc));
		at.slot += r.n_slots;
		if (unlikely(at.slot >= size)) {
			at = (struct place){ at.slot - size, !at.wrap };
			used = used_flags(at.wrap);
		}
	}
	q->n_returns = 0;
	q->n_slots = 0;
	q->next = at.slot;
	q->wrap = at.wrap;
	packed_save(saved, at, 0, size);
	virtq_call(q, packed_wants_call(q, before));
}

/* Collect a buffer that got `len` octets. */
static inline void packed_return(struct virtq *q, uint16_t id, uint16_t n_slots, uint32_t len)
{
	uint64_t written = len ? (uint64_t)VIRTQ_DESC_WRITE << 48 : 0;

	q->returned[q->n_returns++] =
		(struct virtq_return){ .rest = written | (uint64_t)id << 32 | len,
				       .n_slots = n_slots };
	q->n_slots += n_slots;
}

/* Behind what was collected: where the next descriptor is expected. */
static inline struct place place_fresh(const struct virtq *q)
{
	return place_after(q, place_next(q), q->n_slots);
}

/* ---- chains ---- */

/* A chain that begins at `at` with `d`, which is ready. Its id is that of its last descriptor. */
static bool packed_chain(struct virtq *q, struct place at, struct virtq_desc d,
			 struct virtq_chain *c, struct virtq_return *out)
{
	bool write = out->rest; /* as the caller wants it; now it becomes what is returned */

	out->n_slots = 1;
	while (packed_flags(d) & VIRTQ_DESC_NEXT) {
		if (packed_flags(d) & VIRTQ_DESC_INDIRECT)
			return virtq_break(q, VIRTQ_FAULT_indirect);
		if (!chain_add(q, c, d.addr, desc_len(d), is_direction(packed_flags(d), write)))
			return false;
		if (out->n_slots == q->size)
			return virtq_break(q, VIRTQ_FAULT_chain);
		at = place_after(q, at, 1);
		/* VIRTIO 1.2, 2.8.6: the first one is made available last, so all must be there. */
		if (!packed_load(q, at, &d))
			return virtq_break(q, VIRTQ_FAULT_next);
		out->n_slots++;
	}
	out->rest = (uint64_t)packed_id(d) << 32;
	if (packed_flags(d) & VIRTQ_DESC_INDIRECT)
		return chain_add_indirect(q, c, d, write);
	return chain_add(q, c, d.addr, desc_len(d), is_direction(packed_flags(d), write));
}

/*
 * Ask for the memory of the next `n` descriptors all at once: it was another CPU's a moment ago.
 * What is read here only serves that; it is read again, and checked, when its turn comes.
 */
static void packed_prefetch(const struct virtq *q, unsigned n, bool write)
{
	const struct guest_region *hint = q->hint;
	struct place at = place_fresh(q);
	struct virtq_desc d;

	for (; n && packed_load(q, at, &d); n--) {
		uint64_t room;
		const uint8_t *p = guest_mem_at(q->mem, &hint, d.addr, &room);

		buffer_prefetch(p, write);
		at = place_after(q, at, 1);
	}
}

/* ---- take ---- */

static uint32_t packed_lend_chain(struct virtq *q, struct burst *b, unsigned i, struct place at,
				  struct virtq_desc d)
{
	struct virtq_return r = { .rest = false };
	struct virtq_chain c;

	chain_clear(&c);
	if (!packed_chain(q, at, d, &c, &r))
		return 0;
	q->returned[q->n_returns++] = r;
	q->n_slots += r.n_slots;
	return chain_lend(q, &c, b, i);
}

unsigned packed_take(struct virtq *q, struct burst *b, unsigned max)
{
	const struct virtq_lender lender = virtq_lender(q);
	struct place at = place_fresh(q);
	uint32_t octets = 0;
	unsigned i;

	packed_prefetch(q, max, false);
	for (i = 0; i < max && octets < b->octets_max && q->n_slots < q->size; i++) {
		const uint8_t *p;
		struct virtq_desc d;
		uint64_t room = 0;
		uint32_t len;

		if (!packed_load(q, at, &d))
			break;
		len = desc_len(d);
		p = guest_mem_at(q->mem, &q->hint, d.addr, &room);
		if (likely(is_simple(q, packed_flags(d), len, room))) {
			lend_one(lender, b, i, p, len);
			packed_return(q, packed_id(d), 1, 0);
			at = place_after(q, at, 1);
		} else if ((len = packed_lend_chain(q, b, i, at, d)) != 0) {
			at = place_fresh(q);
		} else {
			break;
		}
		octets += len;
	}
	b->more = i == max || octets >= b->octets_max;
	if (i && q->is_armed)
		packed_notify(q, false);
	return i;
}

void packed_give_back(struct virtq *q)
{
	if (q->n_returns)
		packed_show(q);
}

unsigned packed_discard(struct virtq *q, unsigned max)
{
	struct virtq_chain c;
	struct virtq_desc d;
	unsigned n = 0;

	for (; n < max && n < VIRTQ_RETURNS_MAX && q->n_slots < q->size; n++) {
		struct virtq_return r = { .rest = false };
		struct place at = place_fresh(q);

		chain_clear(&c);
		if (!packed_load(q, at, &d) || !packed_chain(q, at, d, &c, &r))
			break;
		q->returned[q->n_returns++] = r;
		q->n_slots += r.n_slots;
	}
	packed_give_back(q);
	return n;
}

/* ---- put ---- */

/* The general way: chains of any shape, and as many as the frame needs. False: no room. */
static bool packed_put_chains(struct virtq *q, const struct frame *f)
{
	uint64_t end[VIRTQ_BUFFERS_MAX], need = f->size + (uint64_t)q->header_size, from = 0;
	struct virtq_return r[VIRTQ_BUFFERS_MAX];
	unsigned n = 0, slots = q->n_slots;
	struct virtq_chain c;
	struct virtq_desc d;

	chain_clear(&c);
	do {
		struct place at = place_after(q, place_next(q), slots);

		if (n == VIRTQ_BUFFERS_MAX || (n && !q->is_mergeable) || slots >= q->size ||
		    !packed_load(q, at, &d))
			return false;
		r[n].rest = true;
		c.before = c.n;
		if (!packed_chain(q, at, d, &c, &r[n]))
			return false;
		if (!n && c.size < q->header_size)
			return virtq_break(q, VIRTQ_FAULT_small);
		slots += r[n].n_slots;
		end[n++] = c.size;
	} while (c.size < need);
	chain_fill(q, &c, f, (uint16_t)n);
	for (unsigned i = 0; i < n; i++) {
		uint64_t to = end[i] < need ? end[i] : need;

		packed_return(q, packed_id((struct virtq_desc){ .rest = r[i].rest }), r[i].n_slots,
			      (uint32_t)(to - from));
		from = to;
	}
	return true;
}

/* One frame into one descriptor; false: that does not fit, or there is none. */
static inline bool packed_put_one(struct virtq *q, const struct frame *f)
{
	uint32_t need = put_size(f, q->header_size);
	struct virtq_desc d;
	uint64_t room;
	uint8_t *p;

	if (unlikely(log_of(q) || q->n_slots >= q->size || !packed_load(q, place_fresh(q), &d)))
		return false;
	p = guest_mem_at(q->mem, &q->hint, d.addr, &room);
	if (unlikely(!p || desc_len(d) < need ||
		     !is_whole_buffer(packed_flags(d), desc_len(d), room)))
		return false;
	fill_one(q, p, f, q->header_size);
	packed_return(q, packed_id(d), 1, need);
	return true;
}

static bool packed_put_slow(struct virtq *q, const struct frame *f)
{
	if (q->fault || !packed_put_chains(q, f))
		return false;
	count_put(q, f);
	return true;
}

uint64_t packed_put(struct virtq *q, const struct frame *const *f, unsigned n)
{
	uint64_t missed = 0;

	packed_prefetch(q, n, true);
	for (unsigned i = 0; i < n; i++) {
		if (unlikely(q->n_returns > VIRTQ_RETURNS_MAX - VIRTQ_BUFFERS_MAX))
			packed_show(q);
		if (unlikely(!packed_put_one(q, f[i]) && !packed_put_slow(q, f[i])))
			missed |= UINT64_C(1) << i;
	}
	return mask_but(n, missed);
}

void packed_publish(struct virtq *q)
{
	if (q->n_returns)
		packed_show(q);
}
