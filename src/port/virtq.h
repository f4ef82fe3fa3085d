// SPDX-License-Identifier: Apache-2.0
/*
 * One virtqueue from the device's side (VIRTIO 1.2, 2.7 split, 2.8 packed), as virtio-net uses it:
 *
 *   transmit queue of the guest:  virtq_take() lends its frames, virtq_give_back() returns them
 *   receive queue of the guest:   virtq_put() copies frames in, virtq_publish() shows them
 *
 * All that is taken in a turn is returned in that turn, in the order it came, so the used index in
 * the guest's memory says where the queue stands: whoever comes after a killed evbd goes on there.
 * For a packed ring, which has no such index, it is kept in `saved`.
 *
 *       returned          taken, lent          next to take             driver's index
 *   ───────────────┴──────────────────────────┴────────────────────────┴──────▶
 *          split:    next - n_taken              next
 *          packed:   next                        next + n_slots
 *
 * One worker at a time takes, one puts (under the port's lock); the control thread touches a queue
 * only while it does not run and no worker is in a turn. A guest word is read once, checked, and
 * never read again; what does not fit breaks the queue (q->fault) and nothing else.
 */
#ifndef EVB_PORT_VIRTQ_H
#define EVB_PORT_VIRTQ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest_mem.h"
#include "port.h"

enum {
	VIRTQ_SIZE_MAX = 32768,	  /* VIRTIO 1.2, 2.7 and 2.8.10.1 */
	VIRTQ_SEGMENTS_MAX = 512, /* descriptors of one frame; drivers use some 20, or 256 */
	VIRTQ_HEADER_SIZE = 12,	  /* struct virtio_net_hdr_v1, VIRTIO 1.2 5.1.6 */
	VIRTQ_HEADER_SIZE_LEGACY = 10,
};

/* Flags of a descriptor; the last two are of packed rings only. */
enum {
	VIRTQ_DESC_NEXT = 1,
	VIRTQ_DESC_WRITE = 2,
	VIRTQ_DESC_INDIRECT = 4,
	VIRTQ_DESC_AVAIL = 1 << 7,
	VIRTQ_DESC_USED = 1 << 15,
};

/* How a driver can break its queue. */
#define VIRTQ_FAULTS(X)                                                                            \
	X(none, "")                                                                                \
	X(avail_index, "the driver's index jumped by more than the ring has entries")              \
	X(head, "the driver made a descriptor available that the ring does not have")              \
	X(next, "a descriptor names a next one that the ring does not have")                       \
	X(address, "a descriptor points outside of the guest's memory")                            \
	X(chain, "a descriptor chain is endless, or longer than any frame needs")                  \
	X(direction, "a descriptor is for reading where it must be for writing, or the reverse")   \
	X(indirect, "an indirect descriptor is nested, empty, misaligned or too long")             \
	X(small, "a receive buffer is too small for the header of a frame")                        \
	X(memory, "the guest's memory went away while it was in use")                              \
	X(call, "the eventfd for interrupts blocks")

enum virtq_fault {
#define X(name, text) VIRTQ_FAULT_##name,
	VIRTQ_FAULTS(X)
#undef X
		VIRTQ_FAULTS_N
};

/* One line for a person: static, never NULL. */
const char *virtq_fault_text(enum virtq_fault f);

/* VIRTIO 1.2, 2.7.5 and 2.8.13; `rest` is len, then flags and next, or id and flags. */
struct virtq_desc {
	uint64_t addr, rest;
};

struct virtq_avail {
	uint16_t flags, idx, ring[]; /* ring[size] is used_event */
};

struct virtq_used_elem {
	uint32_t id, len;
};

struct virtq_used {
	uint16_t flags, idx;
	struct virtq_used_elem ring[]; /* behind the last: avail_event */
};

struct virtq_event { /* of packed rings: VIRTIO 1.2, 2.8.14 */
	uint16_t off_wrap, flags;
};

/*
 * Where a packed ring stands, in a file that outlives us; written as one word. If descriptor `next`
 * turns out to be returned already, we were killed between the two, and `n_slots` are to be
 * skipped.
 */
struct virtq_saved {
	uint16_t next;	  /* slot; bit 15: wrap counter */
	uint16_t n_slots; /* of the descriptor that is being returned there */
	uint16_t size;	  /* of the ring; 0: nothing is saved */
	uint16_t zero;
};

/* A descriptor that was returned and is not shown yet (packed). */
struct virtq_return {
	uint64_t rest; /* len, id; flags are made when it is written */
	uint16_t n_slots;
};

enum { VIRTQ_RETURNS_MAX = 256 };

/* What the queue counted; written by the worker. */
struct virtq_counters {
	uint64_t calls_sent, calls_suppressed;
	uint64_t armed;	  /* times we asked to be kicked */
	uint64_t gso;	  /* frames put whole */
	uint64_t size[4]; /* frames put, by size: <= 128, <= 1518, <= 9018, more */
};

struct virtq {
	/* set by the control thread while the queue does not run */
	_Alignas(128) _Atomic bool is_running; /* may be used at all */
	_Atomic bool is_enabled;	       /* by the VMM (SET_VRING_ENABLE) */
	bool is_packed, has_event_idx, is_in_order, is_mergeable;
	bool has_offloads;   /* headers from the guest say something */
	uint8_t gso_allowed; /* OFFLOAD_* the guest may ask of us */
	uint8_t header_size;
	uint16_t size;
	struct virtq_desc *desc;
	union {
		struct {
			const struct virtq_avail *avail;
			struct virtq_used *used;
		};
		struct {
			const struct virtq_event *driver_event;
			struct virtq_event *device_event;
		};
	};
	const struct guest_mem *mem;
	const struct guest_log *log;		/* NULL: no migration is under way */
	uint64_t log_used, log_desc, log_event; /* gpa of what we write of the ring itself */
	int call_fd;				/* -1: none */
	struct virtq_saved *saved;		/* packed; never NULL */
	uint16_t *inflight_used;		/* split: a second place for the used index, for */
						/* front-ends with an inflight region; never NULL */
	struct virtq_saved own_saved; /* where these two point if there is no such thing */
	uint16_t own_inflight_used;

	/* the worker's, from here */
	_Alignas(128) const struct guest_region *hint; /* hit last */
	uint16_t next;				       /* index (split), slot (packed) */
	bool wrap;				       /* packed: wrap counter at `next` */
	bool is_armed;				       /* kicks are asked for */
	bool signalled_valid;
	uint8_t fault;	    /* enum virtq_fault; read by the control thread when it stopped */
	uint16_t signalled; /* `next` when notifications were decided on last */
	uint16_t seen;	    /* split: driver's index as read last */
	uint16_t n_taken;   /* split: chains lent, or put and not published */
	uint16_t n_returns; /* packed: likewise, in `returned` */
	uint32_t n_slots;   /* packed: descriptors they have together */
	uint16_t taken[BURST_MAX];			 /* split: their heads */
	struct virtq_return returned[VIRTQ_RETURNS_MAX]; /* packed */
	struct virtq_counters count;
};

/* A queue that does not run, with nothing set. */
void virtq_init(struct virtq *q);

/*
 * Begin at `base`, as SET_VRING_BASE has it (split: index; packed: bits 0-14 slot, 15 wrap counter,
 * 16-31 likewise of used), with all the fields above set. A driver's ring that says otherwise is
 * right. Control thread.
 */
void virtq_start(struct virtq *q, uint32_t base);

/* The base from which somebody else can go on: GET_VRING_BASE. Control thread, stopped. */
uint32_t virtq_base(const struct virtq *q);

/* Entries the driver has made available and we have not used. Any thread, roughly. */
uint16_t virtq_fill(const struct virtq *q);

/* Is there anything to take? */
bool virtq_has_work(const struct virtq *q);

/* Ask not to be kicked: of a queue that we only put into. */
void virtq_mute(struct virtq *q);

/*
 * Lend frames that wait, until virtq_give_back(): fills b->frame[0..n), sets b->more if it stopped
 * for `max` or b->octets_max. Returns n; 0 also if the queue is broken.
 */
unsigned virtq_take(struct virtq *q, struct burst *b, unsigned max);

/* Return what was taken, and notify the driver if it wants to know. */
void virtq_give_back(struct virtq *q);

/* Take and return, without looking: of a queue that the VMM disabled. Returns how many. */
unsigned virtq_discard(struct virtq *q, unsigned max);

/*
 * Copy frames [0, n) in; returns the mask of those that found room. The offload header of each is
 * one that the driver takes.
 */
uint64_t virtq_put(struct virtq *q, const struct frame *const *f, unsigned n);

/* Show what was put, and notify the driver if it wants to know. */
void virtq_publish(struct virtq *q);

/* Ask for kicks. True if something to take came in meanwhile. */
bool virtq_arm(struct virtq *q);

#endif
