// SPDX-License-Identifier: Apache-2.0
/*
 * Driver side of one virtqueue, split or packed (virtio 1.2, 2.7 and 2.8), of any size, in the
 * guest memory of front_mem.h: chains in, used buffers out, notifications both ways. All that the
 * device writes is checked, and a device that breaks the rules is reported as -EPROTO with text in
 * `error`. The ring itself is open to those who want to write something hostile into it. Not
 * thread-safe.
 */
#ifndef EVB_FRONT_RING_H
#define EVB_FRONT_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "front_mem.h"

enum { FRONT_RING_MAX = 32768, FRONT_CHAIN_MAX = 4096 };
enum { FRONT_NEXT = 1, FRONT_WRITE = 2, FRONT_INDIRECT = 4 };
enum { FRONT_AVAIL = 1 << 7, FRONT_USED = 1 << 15 };		       /* flags of a packed ring */
enum { FRONT_EV_ENABLE = 0, FRONT_EV_DISABLE = 1, FRONT_EV_DESC = 2 }; /* same, event areas */

struct front_desc { /* split */
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct front_packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};

struct front_used_elem {
	uint32_t id, len;
};

struct front_event { /* packed */
	uint16_t position, flags;
};

struct front_ring_config {
	unsigned size; /* a power of two unless packed */
	bool packed, event_idx, in_order;
	bool id_last; /* packed: only the last descriptor of a chain says the id, as is allowed */
	bool tight;   /* no more alignment than the standard demands, else 64 octets */
};

struct front_slot {
	uint64_t cookie;
	uint64_t table; /* its indirect table, and for how many descriptors that is */
	uint32_t table_room;
	uint32_t writable; /* octets that the device may write */
	uint32_t seq;	   /* in which order it was made available */
	uint16_t n_desc;
	bool out;
};

struct front_ring {
	struct front_ring_config c;
	struct front_mem *mem;
	uint64_t gpa_desc, gpa_driver, gpa_device; /* packed: the two event areas */
	union {
		struct front_desc *desc;
		struct front_packed_desc *pdesc;
	};
	union {
		uint16_t *avail;	    /* flags, idx, entries, used_event */
		struct front_event *driver; /* packed */
	};
	union {
		uint16_t *used; /* flags, idx, entries of 8 octets, avail_event */
		struct front_event *device;
	};
	int kick, call; /* eventfds, owned; -1 when there is none */

	/* The driver's own state, which the device cannot touch. */
	struct front_slot *slot;   /* by id */
	struct front_desc *shadow; /* split: what the table must look like */
	uint16_t *next_free;	   /* split: list of descriptors; packed: list of ids */
	uint16_t first_free;
	unsigned n_free; /* descriptors */
	uint16_t *fifo;	 /* ids in the order they were made available, by seq modulo size */
	uint32_t seq_added, seq_used;
	unsigned n_out;
	uint16_t avail_idx, used_idx; /* packed: positions */
	bool avail_wrap, used_wrap;
	unsigned n_added; /* not yet published */
	/* Published since the last look whether to kick; descriptors if packed. */
	unsigned n_unkicked;
	uint16_t first_added; /* packed: held back until all is written */
	uint16_t first_flags;
	struct front_used_elem batch; /* in order: says the last of a batch, while `in_batch` */
	bool in_batch;

	uint64_t n_kicks, n_calls, n_out_of_order;
	char error[160];
};

struct front_piece {
	uint64_t gpa;
	uint32_t len;
	bool writable; /* by the device */
};

enum front_how {
	FRONT_DIRECT,
	FRONT_IN_TABLE,	  /* all in an indirect table */
	FRONT_TAIL_TABLE, /* first piece direct, the others in a table (split only) */
};

struct front_chain {
	const struct front_piece *piece;
	unsigned n;
	enum front_how how;
	uint64_t cookie; /* comes back with the used buffer */
};

struct front_got {
	uint64_t cookie;
	uint32_t len; /* octets written by the device */
	uint16_t id;
	bool skipped; /* in order: the device did not say anything about this one */
};

/* Allocate the ring in guest memory, and its eventfds; 0 or -errno. */
int front_ring_open(struct front_ring *r, struct front_mem *mem, const struct front_ring_config *c);
void front_ring_close(struct front_ring *r);
/* All as after open: nothing available, nothing used. Outstanding buffers are forgotten. */
void front_ring_reset(struct front_ring *r);

/* Add a chain, invisible to the device until front_ring_publish(). Its id, or -ENOSPC. */
int front_ring_add(struct front_ring *r, const struct front_chain *chain);
void front_ring_publish(struct front_ring *r);
/* Kick unless the device asked not to be; true if kicked. */
bool front_ring_kick(struct front_ring *r);
void front_ring_kick_always(struct front_ring *r);

/* One used buffer: 1, 0 if there is none, -EPROTO. */
int front_ring_get(struct front_ring *r, struct front_got *got);
/* Is there one? */
bool front_ring_has_used(const struct front_ring *r);
unsigned front_ring_outstanding(const struct front_ring *r);
/* Look whether the device wrote what only the driver may write; 0 or -EPROTO. */
int front_ring_audit(struct front_ring *r);

/* Ask for an interrupt at the next used buffer, or for none. Look for used buffers afterwards. */
void front_ring_interrupts(struct front_ring *r, bool on);
/* Interrupts since the last time (the counter of the call eventfd is read). */
uint64_t front_ring_calls(struct front_ring *r);

/* Index for SET_VRING_BASE from what the driver knows: all used, as QEMU restores it after a
 * back-end was lost; or all that was made available, as a device that drained would say. */
uint32_t front_ring_base_used(const struct front_ring *r);
uint32_t front_ring_base_avail(const struct front_ring *r);

/* Read and write words that the device shares. */
static inline uint16_t front_load16(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void front_store16(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

/* Split ring: where the words are. */
static inline uint16_t *front_avail_idx(const struct front_ring *r)
{
	return r->avail + 1;
}

static inline uint16_t *front_avail_entry(const struct front_ring *r, unsigned i)
{
	return r->avail + 2 + i;
}

static inline uint16_t *front_used_event(const struct front_ring *r)
{
	return r->avail + 2 + r->c.size;
}

static inline uint16_t *front_used_idx(const struct front_ring *r)
{
	return r->used + 1;
}

static inline struct front_used_elem *front_used_entry(const struct front_ring *r, unsigned i)
{
	return (struct front_used_elem *)(void *)(r->used + 2) + i;
}

static inline uint16_t *front_avail_event(const struct front_ring *r)
{
	return r->used + 2 + 4 * (size_t)r->c.size;
}

#endif
