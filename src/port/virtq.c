// SPDX-License-Identifier: Apache-2.0
#include "virtq.h"

#include <errno.h>
#include <unistd.h>

#include "virtq_internal.h"

const char *virtq_fault_text(enum virtq_fault f)
{
	static const char *const text[] = {
#define X(name, text) text,
		VIRTQ_FAULTS(X)
#undef X
	};

	return f < VIRTQ_FAULTS_N ? text[f] : "";
}

/* A descriptor of a chain takes as long as copying so many octets (bench/fairness_bench). */
enum { DESC_WEIGHT = 128 };

/* ---- chains ---- */

/* One buffer of so many pieces is nonsense; several that have them together are only too many. */
static bool chain_is_full(struct virtq *q, const struct virtq_chain *c)
{
	return c->before ? false : virtq_break(q, VIRTQ_FAULT_chain);
}

/* Add [gpa, gpa + len), piece by piece where regions meet. */
static bool chain_add_range(struct virtq *q, struct virtq_chain *c, uint64_t gpa, uint32_t len)
{
	while (len) {
		uint64_t room;
		uint8_t *p = guest_mem_at(q->mem, &q->hint, gpa, &room);
		uint32_t part;

		if (!p)
			return virtq_break(q, VIRTQ_FAULT_address);
		part = room < len ? (uint32_t)room : len;
		if (c->n == VIRTQ_SEGMENTS_MAX)
			return chain_is_full(q, c);
		c->span[c->n++] = (struct virtq_span){ p, part, gpa };
		c->size += part;
		gpa += part;
		len -= part;
	}
	return true;
}

bool chain_add(struct virtq *q, struct virtq_chain *c, uint64_t gpa, uint32_t len, bool is_right)
{
	uint64_t room;

	if (!is_right)
		return virtq_break(q, VIRTQ_FAULT_direction);
	if (len)
		return chain_add_range(q, c, gpa, len);
	/* Nothing is read there, but nonsense is not waved through; it uses up a place, too. */
	if (!guest_mem_at(q->mem, &q->hint, gpa, &room))
		return virtq_break(q, VIRTQ_FAULT_address);
	if (c->n == VIRTQ_SEGMENTS_MAX)
		return chain_is_full(q, c);
	c->span[c->n++] = (struct virtq_span){ NULL, 0, gpa };
	return true;
}

/* Entry `i` of a table at `gpa`, each half read once; entries may cross regions. */
static bool table_load(struct virtq *q, uint64_t gpa, unsigned i, struct virtq_desc *out)
{
	uint64_t half[2];

	gpa += (uint64_t)i * sizeof(*out);
	for (unsigned h = 0; h < 2; h++) {
		uint64_t room;
		const uint8_t *p = guest_mem_at(q->mem, &q->hint, gpa + h * 8, &room);

		if (!p || room < 8)
			return virtq_break(q, VIRTQ_FAULT_indirect);
		half[h] = guest_load64(p);
	}
	*out = (struct virtq_desc){ half[0], half[1] };
	return true;
}

/*
 * VIRTIO 1.2, 2.7.5.3: a chain within the table. 2.8.7: the table in its order, without chaining.
 */
bool chain_add_indirect(struct virtq *q, struct virtq_chain *c, struct virtq_desc d, bool write)
{
	uint32_t n = desc_len(d) / sizeof(struct virtq_desc), at = 0;

	if (!n || desc_len(d) % sizeof(struct virtq_desc) || n > VIRTQ_SIZE_MAX)
		return virtq_break(q, VIRTQ_FAULT_indirect);
	for (uint32_t steps = 0; steps < n; steps++) {
		struct virtq_desc e;
		uint16_t flags;

		if (!table_load(q, d.addr, at, &e))
			return false;
		flags = q->is_packed ? packed_flags(e) : split_flags(e);
		if (flags & VIRTQ_DESC_INDIRECT)
			return virtq_break(q, VIRTQ_FAULT_indirect);
		if (!chain_add(q, c, e.addr, desc_len(e), is_direction(flags, write)))
			return false;
		if (q->is_packed) {
			at++;
			continue;
		}
		if (!(flags & VIRTQ_DESC_NEXT))
			return true;
		at = split_next(e);
		if (at >= n)
			return virtq_break(q, VIRTQ_FAULT_next);
	}
	return q->is_packed ? true : virtq_break(q, VIRTQ_FAULT_chain);
}

/* ---- frames ---- */

struct vnet_hdr header_from_guest(const struct virtq *q, struct vnet_hdr h)
{
	static const uint8_t needs[] = { [VNET_GSO_TCPV4] = OFFLOAD_TSO4,
					 [VNET_GSO_TCPV6] = OFFLOAD_TSO6,
					 [VNET_GSO_UDP_L4] = OFFLOAD_USO };
	uint8_t kind = h.gso_type & (uint8_t)~VNET_GSO_ECN, need = 0;

	h.flags &= VNET_F_NEEDS_CSUM; /* DATA_VALID is for what a device says */
	if (h.flags)
		need |= OFFLOAD_CSUM;
	if (h.gso_type & VNET_GSO_ECN)
		need |= OFFLOAD_ECN;
	if (kind)
		need |= kind < sizeof(needs) && needs[kind] ? needs[kind] : 0x80;
	if (need & ~q->gso_allowed)
		h.gso_type = 0x7f; /* no type there is: the frame is dropped for its offload */
	return h;
}

/* Move over the first `n` octets of the chain from span `*at` on. */
static void chain_skip(struct virtq_chain *c, unsigned *at, uint64_t n)
{
	while (*at < c->n) {
		struct virtq_span *s = &c->span[*at];
		uint32_t part = n < s->size ? (uint32_t)n : s->size;

		if (part) {
			s->p += part;
			s->gpa += part;
			s->size -= part;
			n -= part;
		}
		if (s->size)
			return;
		(*at)++;
	}
}

/* Copy the next `n` octets of the chain out, as far as there are. Returns how many. */
static uint32_t chain_read(struct virtq_chain *c, unsigned *at, uint8_t *to, uint32_t n)
{
	uint32_t done = 0;

	while (done < n && *at < c->n) {
		struct virtq_span *s = &c->span[*at];
		uint32_t part = n - done < s->size ? n - done : s->size;

		if (part)
			memcpy(to + done, s->p, part);
		done += part;
		chain_skip(c, at, part);
	}
	return done;
}

uint32_t chain_lend(const struct virtq *q, struct virtq_chain *c, struct burst *b, unsigned i)
{
	struct frame *f = &b->frame[i];
	uint8_t header[VIRTQ_HEADER_SIZE] = { 0 };
	struct iovec *iov = b->iov[i];
	unsigned at = 0;
	uint64_t size = c->size > q->header_size ? c->size - q->header_size : 0;
	uint32_t weight =
		(size < FRAME_SIZE_MAX ? (uint32_t)size : FRAME_SIZE_MAX) + c->n * DESC_WEIGHT;

	*f = (struct frame){ .iov = iov, .n_iov = 1 };
	chain_read(c, &at, header, q->header_size);
	iov[0] = (struct iovec){ b->head[i], chain_read(c, &at, b->head[i], FRAME_HEAD_SIZE) };
	if (size > FRAME_SIZE_MAX) { /* with no offload it is too long for everybody */
		f->size = FRAME_SIZE_MAX + 1;
		return weight;
	}
	f->size = (uint32_t)size;
	if (q->has_offloads) {
		memcpy(&f->vnet, header, sizeof(f->vnet));
		f->vnet = header_from_guest(q, f->vnet);
	}
	for (; at < c->n && f->n_iov < FRAME_IOV_MAX; at++) {
		if (c->span[at].size)
			iov[f->n_iov++] = (struct iovec){ c->span[at].p, c->span[at].size };
	}
	if (at < c->n) { /* more pieces than a frame can have: the last one holds the rest */
		struct iovec *last = &iov[FRAME_IOV_MAX - 1];
		uint8_t *to = burst_slot(b, i);

		memcpy(to, last->iov_base, last->iov_len);
		last->iov_base = to;
		last->iov_len += chain_read(c, &at, to + last->iov_len,
					    FRAME_SIZE_MAX - (uint32_t)last->iov_len);
	}
	return weight;
}

/* Where chain_fill() writes next. */
struct fill {
	const struct virtq *q;
	const struct virtq_chain *c;
	unsigned at;
	uint32_t used; /* of span `at` */
};

static void fill_write(struct fill *w, const uint8_t *from, size_t n)
{
	while (n) {
		const struct virtq_span *s = &w->c->span[w->at];
		size_t part = s->size - w->used < n ? s->size - w->used : n;

		if (!part) {
			w->at++;
			w->used = 0;
			continue;
		}
		memmove(s->p + w->used, from, part);
		log_ring(w->q, s->gpa + w->used, part);
		from += part;
		n -= part;
		w->used += (uint32_t)part;
	}
}

void chain_fill(const struct virtq *q, const struct virtq_chain *c, const struct frame *f,
		uint16_t n_buffers)
{
	struct fill w = { .q = q, .c = c };
	uint8_t header[VIRTQ_HEADER_SIZE];

	memcpy(header, &f->vnet, sizeof(f->vnet));
	memcpy(header + sizeof(f->vnet), &n_buffers, sizeof(n_buffers));
	fill_write(&w, header, q->header_size);
	for (unsigned i = 0; i < f->n_iov; i++)
		fill_write(&w, f->iov[i].iov_base, f->iov[i].iov_len);
}

/* ---- notifications ---- */

void virtq_call(struct virtq *q, bool wanted)
{
	int fd = __atomic_load_n(&q->call_fd, __ATOMIC_ACQUIRE);

	if (!wanted || fd < 0) {
		q->count.calls_suppressed++;
		return;
	}
	q->count.calls_sent++;
	/*
	 * EAGAIN: so many wait that one more changes nothing. EINTR: the front-end made it a
	 * blocking one and filled it, and the watchdog got us out of there.
	 */
	if (write(fd, &(uint64_t){ 1 }, sizeof(uint64_t)) < 0 && errno == EINTR)
		virtq_break(q, VIRTQ_FAULT_call);
}

/* ---- either kind ---- */

void virtq_init(struct virtq *q)
{
	memset(q, 0, sizeof(*q));
	q->call_fd = -1;
	q->saved = &q->own_saved;
	q->inflight_used = &q->own_inflight_used;
}

void virtq_start(struct virtq *q, uint32_t base)
{
	q->hint = NULL;
	q->fault = VIRTQ_FAULT_none;
	q->n_taken = q->n_returns = 0;
	q->n_slots = 0;
	q->is_armed = true; /* a new ring asks for kicks until told otherwise */
	q->signalled_valid = false;
	if (q->is_packed)
		packed_start(q, base);
	else
		split_start(q);
}

uint32_t virtq_base(const struct virtq *q)
{
	uint32_t half = q->next | (uint32_t)q->wrap << 15;

	return q->is_packed ? half | half << 16 : q->next;
}

uint16_t virtq_fill(const struct virtq *q)
{
	return q->is_packed ? packed_fill(q) : split_fill(q);
}

bool virtq_has_work(const struct virtq *q)
{
	return q->is_packed ? packed_has_work(q) : guest_load16_acquire(&q->avail->idx) != q->next;
}

void virtq_mute(struct virtq *q)
{
	if (q->is_packed)
		packed_mute(q);
	else
		split_mute(q);
}

unsigned virtq_take(struct virtq *q, struct burst *b, unsigned max)
{
	return q->is_packed ? packed_take(q, b, max) : split_take(q, b, max);
}

void virtq_give_back(struct virtq *q)
{
	if (q->is_packed)
		packed_give_back(q);
	else
		split_give_back(q);
}

unsigned virtq_discard(struct virtq *q, unsigned max)
{
	return q->is_packed ? packed_discard(q, max) : split_discard(q, max);
}

uint64_t virtq_put(struct virtq *q, const struct frame *const *f, unsigned n)
{
	return q->is_packed ? packed_put(q, f, n) : split_put(q, f, n);
}

void virtq_publish(struct virtq *q)
{
	if (q->is_packed)
		packed_publish(q);
	else
		split_publish(q);
}

bool virtq_arm(struct virtq *q)
{
	return q->is_packed ? packed_arm(q) : split_arm(q);
}
