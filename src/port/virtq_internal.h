// SPDX-License-Identifier: Apache-2.0
/*
 * What split and packed rings have in common: descriptors to memory, memory to frames and back.
 * Only virtq*.c include it. Worker.
 */
#ifndef EVB_PORT_VIRTQ_INTERNAL_H
#define EVB_PORT_VIRTQ_INTERNAL_H

#include <string.h>

#include "virtq.h"

enum { VIRTQ_BUFFERS_MAX = 128 }; /* receive buffers that one frame may fill */

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* One piece of guest memory, checked. */
struct virtq_span {
	uint8_t *p;
	uint32_t size;
	uint64_t gpa;
};

/* A descriptor chain, checked: of one buffer, or of all buffers that one frame takes. */
struct virtq_chain {
	unsigned n;
	unsigned before; /* of those, pieces of earlier buffers */
	uint64_t size;	 /* octets of all spans */
	struct virtq_span span[VIRTQ_SEGMENTS_MAX];
};

static inline uint32_t desc_len(struct virtq_desc d)
{
	return (uint32_t)d.rest;
}

/* Flags of a split descriptor (in bits 32-47), and the index of the next one (48-63). */
static inline uint16_t split_flags(struct virtq_desc d)
{
	return (uint16_t)(d.rest >> 32);
}

static inline uint16_t split_next(struct virtq_desc d)
{
	return (uint16_t)(d.rest >> 48);
}

/* A packed one has them the other way round: id in bits 32-47, flags in 48-63. */
static inline uint16_t packed_id(struct virtq_desc d)
{
	return (uint16_t)(d.rest >> 32);
}

static inline uint16_t packed_flags(struct virtq_desc d)
{
	return (uint16_t)(d.rest >> 48);
}

static inline struct virtq_desc desc_load(const struct virtq_desc *d)
{
	return (struct virtq_desc){ .addr = guest_load64(&d->addr),
				    .rest = guest_load64(&d->rest) };
}

/* The queue is of no use any more until it is set up anew. Returns false. */
static inline bool virtq_break(struct virtq *q, enum virtq_fault why)
{
	q->fault = (uint8_t)why;
	return false;
}

/* All that we stored is visible before what we load next. */
static inline void full_barrier(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

/* VIRTIO 1.2, 2.7.10: was `event` passed on the way from `before` to `now`? */
static inline bool event_passed(uint16_t event, uint16_t now, uint16_t before)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

/* Forget the pieces of the last chain. */
static inline void chain_clear(struct virtq_chain *c)
{
	c->n = c->before = 0;
	c->size = 0;
}

/* Does a descriptor say that we are to write there (`write`), or to read? */
static inline bool is_direction(uint16_t flags, bool write)
{
	return !!(flags & VIRTQ_DESC_WRITE) == write;
}

/*
 * Add a descriptor to the chain; `is_right`: it is for reading or writing as it must be. False: it
 * is not what it should be, and the queue is broken; or all buffers together have too many pieces.
 */
bool chain_add(struct virtq *q, struct virtq_chain *c, uint64_t gpa, uint32_t len, bool is_right);

/* Add the table that an indirect descriptor points to. */
bool chain_add_indirect(struct virtq *q, struct virtq_chain *c, struct virtq_desc d, bool write);

/*
 * Frame `i` of the burst from a chain that the guest made: header, local head, the rest in place.
 * Returns what it counts for in the budget, never 0: reading many small descriptors takes time,
 * too.
 */
uint32_t chain_lend(const struct virtq *q, struct virtq_chain *c, struct burst *b, unsigned i);

/* Copy frame `f` with its header into a chain of `n_buffers`, which is large enough. */
void chain_fill(const struct virtq *q, const struct virtq_chain *c, const struct frame *f,
		uint16_t n_buffers);

/* The offload header of a guest, once read: nothing it did not negotiate gets through. */
struct vnet_hdr header_from_guest(const struct virtq *q, struct vnet_hdr h);

/* Exactly `size` octets, 128 at most: in overlapping moves of a fixed size. */
static inline void copy_small(uint8_t *to, const uint8_t *from, uint32_t size)
{
	if (size >= 64) {
		uint8_t first[64], last[64];

		memcpy(first, from, 64);
		memcpy(last, from + size - 64, 64);
		memcpy(to, first, 64);
		memcpy(to + size - 64, last, 64);
	} else if (size >= 32) {
		uint8_t first[32], last[32];

		memcpy(first, from, 32);
		memcpy(last, from + size - 32, 32);
		memcpy(to, first, 32);
		memcpy(to + size - 32, last, 32);
	} else {
		memcpy(to, from, size);
	}
}

/* What a loop over frames needs of its queue: in locals, out of the way of what is stored. */
struct virtq_lender {
	const struct virtq *q;
	unsigned header_size;
	bool has_offloads;
};

static inline struct virtq_lender virtq_lender(const struct virtq *q)
{
	return (struct virtq_lender){ q, q->header_size, q->has_offloads };
}

/*
 * Frame `i` of the burst from one descriptor of `len` octets at `p`, which is_simple() approved of.
 * The head is copied in blocks of 64 octets: what is beyond the frame is the guest's own, and is
 * never given to anybody.
 */
static inline void lend_one(struct virtq_lender l, struct burst *b, unsigned i, const uint8_t *p,
			    uint32_t len)
{
	const uint8_t *data = p + l.header_size;
	uint32_t size = len - l.header_size, local = size;
	struct frame *f = &b->frame[i];
	struct iovec *iov = b->iov[i];
	uint8_t *head = b->head[i];

	memcpy(head, data, 64);
	*f = (struct frame){ .iov = iov, .size = size, .n_iov = 1 };
	if (size > 64) {
		memcpy(head + 64, data + 64, 64);
		if (size > FRAME_HEAD_SIZE) {
			local = FRAME_HEAD_SIZE;
			iov[1] = (struct iovec){ (void *)(uintptr_t)(data + FRAME_HEAD_SIZE),
						 size - FRAME_HEAD_SIZE };
			f->n_iov = 2;
		}
	}
	iov[0] = (struct iovec){ head, local };
	if (l.has_offloads) {
		struct {
			uint64_t front;
			uint16_t back;
		} once = { guest_load64(p), *(const guest_half *)(p + 8) };

		memcpy(&f->vnet, &once, sizeof(f->vnet));
		if (unlikely(f->vnet.flags | f->vnet.gso_type))
			f->vnet = header_from_guest(l.q, f->vnet);
	}
}

/*
 * Is one descriptor of `len` octets, of which `room` are mapped, a frame with its header, and may
 * its head be copied as lend_one() does?
 */
static inline bool is_simple(const struct virtq *q, uint16_t flags, uint32_t len, uint64_t room)
{
	return !(flags & (VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE | VIRTQ_DESC_INDIRECT)) &&
	       len <= room && room >= VIRTQ_HEADER_SIZE + FRAME_HEAD_SIZE &&
	       len - q->header_size <= FRAME_SIZE_MAX;
}

/* Ask for the first two cache lines of a buffer, as the header and a short frame take them. */
static inline void buffer_prefetch(const uint8_t *p, bool write)
{
	if (!p)
		return;
	if (write) {
		__asm__ volatile("prefetchw %0" : : "m"(*p));
		__asm__ volatile("prefetchw %0" : : "m"(p[64]));
	} else {
		__builtin_prefetch(p);
		__builtin_prefetch(p + 64);
	}
}

/* Is one descriptor of `len` octets, of which `mapped` are in one piece, a receive buffer? */
static inline bool is_whole_buffer(uint16_t flags, uint32_t len, uint64_t mapped)
{
	return len <= mapped && (flags & (VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE |
					  VIRTQ_DESC_INDIRECT)) == VIRTQ_DESC_WRITE;
}

/* Octets of header and frame; the header is `header_size`. */
static inline uint32_t put_size(const struct frame *f, unsigned header_size)
{
	return f->size + header_size;
}

static inline void count_put(struct virtq *q, const struct frame *f)
{
	q->count.size[(f->size > 128) + (f->size > 1518) + (f->size > 9018)]++;
	q->count.gso += f->vnet.gso_type != 0;
}

/* Copy `f` into one buffer at `p` that is large enough. */
static inline void fill_one(struct virtq *q, uint8_t *p, const struct frame *f,
			    unsigned header_size)
{
	/* num_buffers is 1, where there is such a field. */
	uint32_t tail = f->vnet.csum_offset | UINT32_C(1) << 16;

	memcpy(p, &f->vnet, 8);
	memcpy(p + 8, &tail, header_size == VIRTQ_HEADER_SIZE ? 4 : 2);
	p += header_size;
	if (likely(f->size <= FRAME_HEAD_SIZE && f->n_iov == 1)) {
		copy_small(p, f->iov[0].iov_base, f->size);
		q->count.size[0]++;
		return;
	}
	for (unsigned i = 0; i < f->n_iov; i++) {
		/*
		 * memmove: a guest may get its own frame back, in the buffer that it was sent
		 * from.
		 */
		memmove(p, f->iov[i].iov_base, f->iov[i].iov_len);
		p += f->iov[i].iov_len;
	}
	count_put(q, f);
}

/* The dirty log, if there is one: the control thread can change that while the queue runs. */
static inline const struct guest_log *log_of(const struct virtq *q)
{
	return __atomic_load_n(&q->log, __ATOMIC_ACQUIRE);
}

static inline void log_ring(const struct virtq *q, uint64_t gpa, uint64_t size)
{
	const struct guest_log *log = log_of(q);

	if (unlikely(log != NULL))
		guest_log_mark(log, gpa, size);
}

/* What put() returns: of `n` frames, all but those missed. */
static inline uint64_t mask_but(unsigned n, uint64_t missed)
{
	return n ? UINT64_MAX >> (BURST_MAX - n) & ~missed : 0;
}

/* Wake the driver up: by its eventfd, if it has given one. */
void virtq_call(struct virtq *q, bool wanted);

/* ---- the two kinds; virtq.c chooses ---- */

void split_start(struct virtq *q);
uint16_t split_fill(const struct virtq *q);
void split_mute(struct virtq *q);
unsigned split_take(struct virtq *q, struct burst *b, unsigned max);
void split_give_back(struct virtq *q);
unsigned split_discard(struct virtq *q, unsigned max);
uint64_t split_put(struct virtq *q, const struct frame *const *f, unsigned n);
void split_publish(struct virtq *q);
bool split_arm(struct virtq *q);

void packed_start(struct virtq *q, uint32_t base);
uint16_t packed_fill(const struct virtq *q);
void packed_mute(struct virtq *q);
bool packed_has_work(const struct virtq *q);
unsigned packed_take(struct virtq *q, struct burst *b, unsigned max);
void packed_give_back(struct virtq *q);
unsigned packed_discard(struct virtq *q, unsigned max);
uint64_t packed_put(struct virtq *q, const struct frame *const *f, unsigned n);
void packed_publish(struct virtq *q);
bool packed_arm(struct virtq *q);

#endif
