// SPDX-License-Identifier: Apache-2.0
/*
 * A port: one attachment of a relay, of some kind. This is all the relay knows of it. A kind is one
 * file that fills a struct port_ops; daemon/broker.c opens what a port of it needs.
 *
 * Threads: the control thread opens and closes; the one worker that polls the port calls rx,
 * rx_done and arm; any worker calls tx and flush, under the port's lock if there are
 * several. A port is closed only after every worker has let go of the view that held it.
 */
#ifndef EVB_PORT_PORT_H
#define EVB_PORT_PORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "drop.h"
#include "frame.h"
#include "meter.h"
#include "types.h"

enum {
	BURST_MAX = 64,	    /* frames of a port and turn; one bit each in a uint64_t */
	FRAME_IOV_MAX = 20, /* segments of a frame: 64 KiB in pages, with head and tail */
	/* Segments of a frame that is sent: TCP segments of a burst made one, or an rx() frame with
	 * tags. All frames of a tx() together have TX_IOVS_MAX at most. */
	TX_IOV_MAX = 72,
	TX_IOVS_MAX = BURST_MAX * (FRAME_IOV_MAX + 2),
	WORKERS_MAX = 16,
};

/*
 * What rx() fills. The worker owns it and everything it points to; `arena` is memory for kinds
 * whose frames must be read into something (BURST_MAX slots of ARENA_SLOT_SIZE octets). Nothing in
 * it outlives the turn, so all ports of a worker share one.
 */
struct burst {
	struct frame frame[BURST_MAX];
	struct iovec iov[BURST_MAX][FRAME_IOV_MAX];
	uint8_t *arena;
	uint32_t octets_max; /* rx() stops at the first frame that makes the burst as large */
	/*
	 * Frames that rx() took and threw away, for the VMM has disabled the queue: they are none
	 * of those it returns. 0 before rx().
	 */
	uint32_t discarded;
	bool more; /* rx() stopped for its limits, and not because no frame waits */
	/* A place for the heads of frames that lie in memory which a guest can write meanwhile. */
	_Alignas(64) uint8_t head[BURST_MAX][FRAME_HEAD_SIZE];
};

enum {
	/* A slot holds the longest frame, and is an odd number of cache lines, so that the heads of
	 * a burst do not fall into the same cache set. */
	ARENA_SLOT_SIZE = (FRAME_SIZE_MAX + 64 + 127) / 128 * 128 + 64,
};

static inline uint8_t *burst_slot(const struct burst *b, uint32_t idx)
{
	return b->arena + (size_t)idx * ARENA_SLOT_SIZE;
}

/*
 * Counters of a port as one worker sees them; only that worker writes, and whoever reads takes each
 * as it finds it. One set per worker, aligned, so that workers do not share cache lines.
 */
struct port_counters {
	uint64_t rx_frames, rx_octets; /* taken from the port; a GSO frame is one frame */
	uint64_t tx_frames, tx_octets; /* given to the port, likewise */
	uint64_t rx_group;	       /* broadcast and multicast among rx_frames */
	uint64_t replicated;	       /* copies beyond the first made of frames from this port */
	uint64_t punted;	       /* of rx_frames, those for the bridge itself that it took */
	uint64_t originated;	       /* frames of the bridge itself that were to leave by it */
	uint64_t tx_segmented;	       /* of tx_frames, cut into segments in software */
	uint64_t tx_coalesced;	       /* of tx_frames, given to the port several as one */
	uint64_t tx_csum;	       /* of tx_frames, checksum completed in software */
	uint64_t to_wire;	       /* of rx_frames, those that left by the uplink */
	uint64_t drops[DROP_REASONS_N];
};

/* Why a port does not work now; the daemon shows it and tries to mend it. */
enum port_fault {
	PORT_FAULT_NONE,
	PORT_FAULT_GONE,  /* device or its other end vanished (read or write says so) */
	PORT_FAULT_BROKEN /* the peer broke its protocol */
};

struct port;

/*
 * The queue behind tx(): how much of it is in use (or less), and how much there is; likewise what a
 * frame takes, and each of its octets. All 0: not known yet.
 */
struct port_queue {
	uint64_t used, size;
	uint32_t per_frame, per_octet;
};

struct port_ops {
	const char *kind; /* as in the grammar: "tap" */

	/* Release descriptors and memory of the kind, not `p` itself. Control thread. */
	void (*close)(struct port *p);

	/*
	 * Lend up to `max` (<= BURST_MAX) frames that wait, in order, until rx_done(). Returns how
	 * many, and sets b->more unless it saw that no further one waits: then the next one makes
	 * p->fd readable. Counts into b->discarded those that it takes and does not lend. Never
	 * blocks. A port that cannot be read any more stores its fault in
	 * p->fault and returns 0.
	 */
	unsigned (*rx)(struct port *p, struct burst *b, unsigned max);

	/* The frames of the last rx(), if it took any, are no longer used. May be NULL. */
	void (*rx_done)(struct port *p);

	/*
	 * Send `n` (<= BURST_MAX) frames, in order, each copied once; none has a tag beside its
	 * octets or an offload the port did not declare. Returns the mask of frames that were
	 * taken; the others are counted under p->tx_drop, which the kind may set. Never blocks.
	 */
	uint64_t (*tx)(struct port *p, const struct frame *const *f, unsigned n);

	/*
	 * Find out what is in p->queue now. NULL: there is no queue that outlasts the turn. On an
	 * uplink, the relay refuses frames of low priority when it is filling; it asks only when
	 * what it has sent since it asked last could make a difference.
	 */
	void (*ask_queue)(struct port *p);

	/* Publish and notify, once a turn after all tx(). May be NULL. */
	void (*flush)(struct port *p);

	/*
	 * The worker is about to sleep: enable wake-ups through p->fd. True if work came in
	 * meanwhile (the worker polls again). May be NULL: p->fd is then readable while frames
	 * wait.
	 */
	bool (*arm)(struct port *p);
};

struct port {
	const struct port_ops *ops;
	int fd; /* for the worker's epoll (edge-triggered); -1: none, or by relay_watch_fd() */
	port_id id;
	uint8_t offload;	 /* OFFLOAD_*: what the receiver takes */
	uint8_t tx_drop;	 /* enum drop_reason of what tx() did not take: queue_full */
	_Atomic uint8_t fault;	 /* enum port_fault; set by a worker, ends by reopening */
	_Atomic bool fault_told; /* a worker has reported it */
	atomic_flag tx_lock;	 /* held for one tx() and flush(); only with several workers */
	bool tx_is_shared;	 /* several workers may call tx(): take tx_lock */
	bool tx_is_dear;	 /* tx() makes a packet of the kernel of each frame */
	struct port_counters *counters; /* one per worker, cache-line aligned; see port_init() */
	/* Buckets: of METERS_OUT under tx_lock, the others by the worker that polls the port. */
	struct meters meters;
	struct port_queue queue; /* of a kind with ask_queue(); under tx_lock */
};

/*
 * Every kind embeds a struct port as its first member and makes it with this: no descriptor, no
 * fault, `n_workers` sets of zeroed counters. False without memory.
 */
bool port_init(struct port *p, const struct port_ops *ops, unsigned n_workers);

/* Close by the kind's close(), then free counters and `p`. NULL is legal. */
void port_free(struct port *p);

/* OFFLOAD_* that the running kernel takes of a frame with offload header. */
uint8_t port_kernel_offload(void);

/* Add `c` to `sum`. */
void port_counters_add(struct port_counters *sum, const struct port_counters *c);

/* Sum of what all workers counted. */
void port_counters_sum(const struct port *p, unsigned n_workers, struct port_counters *sum);

#endif
