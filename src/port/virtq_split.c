// SPDX-License-Identifier: Apache-2.0
/*
 * Split rings: VIRTIO 1.2, 2.7. Everything is returned in order, so one index serves for the
 * driver's ring and for ours.
 */
#include "virtq_internal.h"

/* Flags of the two rings: VIRTIO 1.2, 2.7.7 and 2.7.10. */
enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };

/* A used element as one word. */
static inline uint64_t used_elem(uint16_t head, uint32_t len)
{
	return head | (uint64_t)len << 32;
}

/* Where avail_event is: behind the last used element. */
static inline uint16_t *avail_event(const struct virtq *q)
{
	return (uint16_t *)&q->used->ring[q->size];
}

static void log_used(const struct virtq *q, uint64_t offset, uint64_t size)
{
	log_ring(q, __atomic_load_n(&q->log_used, __ATOMIC_RELAXED) + offset, size);
}

static void log_elems(const struct virtq *q, uint16_t first, uint16_t n)
{
	if (likely(!log_of(q)))
		return;
	for (uint16_t k = 0; k < n; k++) {
		uint16_t slot = (uint16_t)(first + k) & (q->size - 1);

		log_used(q, sizeof(struct virtq_used) + slot * sizeof(struct virtq_used_elem),
			 sizeof(struct virtq_used_elem));
	}
}

/* Ask for kicks or not; with event index there is nothing to do for "not". */
static void split_notify(struct virtq *q, bool wanted)
{
	q->is_armed = wanted;
	if (q->has_event_idx) {
		if (!wanted)
			return;
		guest_store16(avail_event(q), q->next);
		log_used(q, sizeof(struct virtq_used) + q->size * sizeof(struct virtq_used_elem),
			 sizeof(uint16_t));
	} else {
		guest_store16(&q->used->flags, wanted ? 0 : USED_NO_NOTIFY);
		log_used(q, 0, sizeof(uint16_t));
	}
}

void split_start(struct virtq *q)
{
	/*
	 * The index in memory is right, whatever SET_VRING_BASE says: after a crash the front-end
	 * knows what it made available, and not how far we came.
	 */
	q->next = q->seen = guest_load16(&q->used->idx);
	*q->inflight_used = q->next;
}

uint16_t split_fill(const struct virtq *q)
{
	uint16_t n = guest_load16(&q->avail->idx) - guest_load16(&q->used->idx);

	return n < q->size ? n : q->size;
}

void split_mute(struct virtq *q)
{
	split_notify(q, false);
}

bool split_arm(struct virtq *q)
{
	split_notify(q, true);
	q->count.armed++;
	full_barrier();
	return guest_load16_acquire(&q->avail->idx) != q->next;
}

/* ---- notifications ---- */

/* Show all that was returned up to `next`, and notify. */
static void split_show(struct virtq *q)
{
	uint16_t before = q->signalled;
	bool wanted;

	guest_store16_release(&q->used->idx, q->next);
	*q->inflight_used = q->next;
	log_used(q, offsetof(struct virtq_used, idx), sizeof(uint16_t));
	full_barrier();
	if (q->has_event_idx) {
		wanted = !q->signalled_valid ||
			 event_passed(guest_load16(&q->avail->ring[q->size]), q->next, before);
		q->signalled = q->next;
		q->signalled_valid = true;
	} else {
		wanted = !(guest_load16(&q->avail->flags) & AVAIL_NO_INTERRUPT);
	}
	virtq_call(q, wanted);
}

/* ---- chains ---- */

/* The chain that begins with descriptor `d`. */
static bool split_chain(struct virtq *q, struct virtq_desc d, struct virtq_chain *c, bool write)
{
	for (uint16_t steps = 0;; steps++) {
		uint16_t flags = split_flags(d);

		if (flags & VIRTQ_DESC_INDIRECT)
			return flags & VIRTQ_DESC_NEXT ? virtq_break(q, VIRTQ_FAULT_indirect) :
							 chain_add_indirect(q, c, d, write);
		if (!chain_add(q, c, d.addr, desc_len(d), is_direction(flags, write)))
			return false;
		if (!(flags & VIRTQ_DESC_NEXT))
			return true;
		if (split_next(d) >= q->size)
			return virtq_break(q, VIRTQ_FAULT_next);
		if (steps >= q->size)
			return virtq_break(q, VIRTQ_FAULT_chain);
		d = desc_load(&q->desc[split_next(d)]);
	}
}

/*
 * Descriptors of a burst, read once: `n` chains from position `at` on. Returns how many have a
 * sound head; the queue is broken if that is fewer. In locals, since the compiler has to take it
 * that what is stored changes the queue.
 */
static inline unsigned split_load(struct virtq *q, uint16_t at, unsigned n, uint16_t *head,
				  struct virtq_desc *d)
{
	const uint16_t *ring = q->avail->ring;
	const struct virtq_desc *table = q->desc;
	unsigned size = q->size, mask = size - 1u;

	for (unsigned i = 0; i < n; i++) {
		unsigned h = guest_load16(&ring[(at + i) & mask]);

		if (unlikely(h >= size)) {
			virtq_break(q, VIRTQ_FAULT_head);
			return i;
		}
		head[i] = (uint16_t)h;
		d[i] = desc_load(&table[h]);
	}
	return n;
}

/* ---- take ---- */

static unsigned split_ready(struct virtq *q, unsigned max, bool *more)
{
	uint16_t n = guest_load16_acquire(&q->avail->idx) - q->next;

	*more = n > max;
	if (unlikely(n > q->size)) {
		virtq_break(q, VIRTQ_FAULT_avail_index);
		return 0;
	}
	if (n && q->is_armed)
		split_notify(q, false);
	return n < max ? n : max;
}

/* Lend a chain that is not just one descriptor: its weight, or 0 if the queue is broken. */
static uint32_t split_lend_chain(struct virtq *q, struct burst *b, unsigned i, struct virtq_desc d)
{
	struct virtq_chain c;

	chain_clear(&c);
	return split_chain(q, d, &c, false) ? chain_lend(q, &c, b, i) : 0;
}

unsigned split_take(struct virtq *q, struct burst *b, unsigned max)
{
	const struct virtq_lender lender = virtq_lender(q);
	const struct guest_region *hint = q->hint;
	struct virtq_desc d[BURST_MAX];
	const uint8_t *p[BURST_MAX];
	uint32_t octets = 0;
	bool more;
	unsigned n = split_ready(q, max, &more), i;

	if (!n)
		return 0;
	n = split_load(q, q->next, n, q->taken, d);
	for (i = 0; i < n; i++) {
		uint64_t room = 0;
		const uint8_t *at = guest_mem_at(q->mem, &hint, d[i].addr, &room);

		p[i] = is_simple(q, split_flags(d[i]), desc_len(d[i]), room) ? at : NULL;
		buffer_prefetch(at, false);
	}
	q->hint = hint;
	for (i = 0; i < n && octets < b->octets_max; i++) {
		uint32_t len = desc_len(d[i]);

		if (likely(p[i] != NULL))
			lend_one(lender, b, i, p[i], len);
		else if (!(len = split_lend_chain(q, b, i, d[i])))
			break;
		octets += len;
	}
	b->more = more || i < n;
	q->n_taken = (uint16_t)i;
	q->next += (uint16_t)i;
	return i;
}

void split_give_back(struct virtq *q)
{
	uint16_t first = q->next - q->n_taken, mask = q->size - 1;

	if (!q->n_taken)
		return;
	if (q->is_in_order) { /* VIRTIO 1.2, 2.7.9: the last one stands for all */
		guest_store64(&q->used->ring[first & mask], used_elem(q->taken[q->n_taken - 1], 0));
		log_elems(q, first, 1);
	} else {
		for (uint16_t i = 0; i < q->n_taken; i++)
			guest_store64(&q->used->ring[(uint16_t)(first + i) & mask],
				      used_elem(q->taken[i], 0));
		log_elems(q, first, q->n_taken);
	}
	q->n_taken = 0;
	split_show(q);
}

unsigned split_discard(struct virtq *q, unsigned max)
{
	struct virtq_desc d[BURST_MAX];
	bool more;
	unsigned n = split_ready(q, max < BURST_MAX ? max : BURST_MAX, &more);

	n = split_load(q, q->next, n, q->taken, d);
	q->n_taken = (uint16_t)n;
	q->next += (uint16_t)n;
	split_give_back(q);
	return n;
}

/* ---- put ---- */

/* How many chains are there from `at` on? The driver's index is read if `want` are not known of. */
static uint16_t split_room(struct virtq *q, uint16_t at, uint16_t want)
{
	uint16_t n = q->seen - at;

	if (n >= want && n <= q->size)
		return n;
	q->seen = guest_load16_acquire(&q->avail->idx);
	n = q->seen - at;
	if (unlikely(n > q->size || (uint16_t)(q->seen - (q->next - q->n_taken)) > q->size)) {
		virtq_break(q, VIRTQ_FAULT_avail_index);
		return 0;
	}
	return n;
}

/* One used element for a buffer that got `len` octets. */
static inline void split_put_used(struct virtq *q, uint16_t head, uint32_t len)
{
	guest_store64(&q->used->ring[q->next & (q->size - 1)], used_elem(head, len));
	log_elems(q, q->next, 1);
	q->next++;
	q->n_taken++;
}

/* The general way: chains of any shape, and as many as the frame needs. False: no room. */
static bool split_put_chains(struct virtq *q, const struct frame *f)
{
	struct virtq_chain c;
	uint16_t head[VIRTQ_BUFFERS_MAX];
	uint64_t end[VIRTQ_BUFFERS_MAX], need = f->size + (uint64_t)q->header_size, at = 0;
	uint16_t n = 0;

	chain_clear(&c);
	do {
		struct virtq_desc d;

		c.before = c.n;
		if (n == VIRTQ_BUFFERS_MAX || (n && !q->is_mergeable) ||
		    !split_room(q, q->next + n, 1) ||
		    !split_load(q, q->next + n, 1, &head[n], &d) || !split_chain(q, d, &c, true))
			return false;
		if (!n && c.size < q->header_size)
			return virtq_break(q, VIRTQ_FAULT_small);
		end[n++] = c.size;
	} while (c.size < need);
	chain_fill(q, &c, f, n);
	for (uint16_t i = 0; i < n; i++) {
		uint64_t to = end[i] < need ? end[i] : need;

		split_put_used(q, head[i], (uint32_t)(to - at));
		at = to;
	}
	return true;
}

/*
 * Which of `n` buffers are one whole piece, and where; none while writes are logged, which takes
 * the general way. They were another CPU's a moment ago: their lines are asked for all at once, and
 * not one after the other as they are written.
 */
static void split_find(struct virtq *q, const struct virtq_desc *d, unsigned n, uint8_t **p)
{
	const struct guest_region *hint = q->hint;
	bool is_logged = log_of(q) != NULL;

	for (unsigned k = 0; k < n; k++) {
		uint64_t mapped = 0;
		uint8_t *at = guest_mem_at(q->mem, &hint, d[k].addr, &mapped);

		buffer_prefetch(at, true);
		if (is_logged || !is_whole_buffer(split_flags(d[k]), desc_len(d[k]), mapped))
			at = NULL;
		p[k] = at;
	}
	q->hint = hint;
}

/* The general way for frame `f`; `*next` is the position, and moves on. */
static bool split_put_slow(struct virtq *q, const struct frame *f, uint16_t *next)
{
	bool ok;

	q->n_taken += *next - q->next;
	q->next = *next;
	ok = split_put_chains(q, f);
	*next = q->next;
	if (ok)
		count_put(q, f);
	return ok;
}

uint64_t split_put(struct virtq *q, const struct frame *const *f, unsigned n)
{
	struct virtq_used_elem *used = q->used->ring;
	unsigned header_size = q->header_size, mask = q->size - 1u, ready;
	uint16_t head[BURST_MAX], first = q->next, next = first, room;
	uint8_t *p[BURST_MAX]; /* buffers of one whole piece; NULL: others */
	struct virtq_desc d[BURST_MAX];
	uint64_t missed = 0;

	room = split_room(q, first, (uint16_t)n);
	ready = split_load(q, first, room < n ? room : n, head, d);
	split_find(q, d, ready, p);
	for (unsigned i = 0; i < n; i++) {
		uint16_t k = next - first; /* which of those loaded is next */
		uint32_t need = put_size(f[i], header_size);

		if (likely(k < ready && p[k] && desc_len(d[k]) >= need)) {
			fill_one(q, p[k], f[i], header_size);
			guest_store64(&used[next & mask], used_elem(head[k], need));
			next++;
		} else if (q->fault || !split_put_slow(q, f[i], &next)) {
			missed |= UINT64_C(1) << i;
		}
	}
	q->n_taken += next - q->next;
	q->next = next;
	return mask_but(n, missed);
}

void split_publish(struct virtq *q)
{
	if (!q->n_taken)
		return;
	q->n_taken = 0;
	split_show(q);
}
