// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the vhost-user port share; nobody else includes this.
 *
 *   vhost_user.c     the port: what workers call; made, asked, closed
 *   vhost_session.c  the connection: octets to messages, features, answers
 *   vhost_ring.c     rings: started and stopped; vhost_ring_message.c: set up
 *   vhost_memory.c   guest memory, dirty log, inflight region
 *   vhost_names.c    names of feature bits
 *
 * Workers see a vhost_user only while `is_open`; whoever changes what they read closes it and waits
 * until they are out (vhost_pause), and opens it again when all is well (vhost_settle).
 */
#ifndef EVB_PORT_VHOST_INTERNAL_H
#define EVB_PORT_VHOST_INTERNAL_H

#include <unistd.h>

#include "guest_mem.h"
#include "port.h"
#include "vhost_msg.h"
#include "vhost_user.h"
#include "virtq.h"

enum { VHOST_RINGS_MAX = VHOST_USER_PAIRS_MAX * 2 };

/* A ring as the front-end has set it up so far. Control thread. */
struct vhost_ring {
	struct virtq *q; /* NULL: never mentioned */
	uint32_t base;
	uint16_t num; /* 0: not told */
	struct vhost_vring_addr addr;
	bool has_addr, has_kick;
	bool is_polled; /* no descriptor for kicks: it is looked at all the time */
	bool is_broken;
	int kick_fd, call_fd, err_fd; /* -1: none */
	bool is_watched;
};

/* The connection. */
struct vhost_session {
	int fd;	      /* -1: none */
	uint32_t got; /* octets of header and payload that are here */
	struct vhost_header header;
	union vhost_payload payload;
	int fds[VHOST_FDS_MAX];
	unsigned n_fds;
};

/* What outlives us, in the file of the spec: see struct virtq_saved. */
struct vhost_saved {
	uint64_t magic;
	uint64_t pid; /* of the front-end; of another one all of it means nothing */
	struct virtq_saved ring[VHOST_RINGS_MAX];
};

struct vhost_user {
	struct port port;

	/* read by workers, changed while they are out */
	_Atomic bool is_open;
	bool is_polled;		/* some ring is */
	uint16_t n_take, n_put; /* queues that run: transmit and receive ones of the guest */
	struct virtq *take[VHOST_USER_PAIRS_MAX], *put[VHOST_USER_PAIRS_MAX];

	/* the worker's that polls the port */
	_Alignas(64) unsigned take_at;
	struct virtq *taken; /* frames of it are lent; NULL: none */

	/* whoever holds the port's lock */
	_Alignas(64) uint32_t put_dirty; /* queues to publish */

	/* the control thread's */
	_Alignas(64) struct vhost_user_spec spec;
	struct vhost_session session;
	struct guest_mem mem;
	struct guest_log *log; /* in use while LOG_ALL is on; NULL: none given */
	struct guest_map inflight;
	_Atomic bool inflight_is_lost;
	uint16_t inflight_rings, inflight_size; /* how many it has room for, entries of each */
	struct vhost_saved *saved;		/* mapped file, or memory of our own; NULL: none */
	struct vhost_ring ring[VHOST_RINGS_MAX];
	uint64_t features, protocol, acked_before;
	uint64_t status;
	bool has_features, is_paused, was_running;
	struct err refused;   /* the front-end wants what we have not: until it asks anew */
	struct err complaint; /* it works, but not as somebody expects */
	char fault_told[sizeof(((struct err *)NULL)->message)];
	uint64_t sessions, faults;
};

static inline struct vhost_user *vhost_of(struct port *p)
{
	return (struct vhost_user *)p;
}

static inline bool vhost_has(const struct vhost_user *v, unsigned bit)
{
	return v->features >> bit & 1;
}

/* A handler's view of a message; it takes a descriptor by setting it to -1. */
struct vhost_message {
	uint32_t request;
	uint32_t size;
	union vhost_payload *payload;
	int *fds;
	unsigned n_fds;
	int reply_fd; /* goes out with the reply and is closed then; -1: none */
};

/*
 * What came of a message. Only VHOST_BREACH ends the connection: no front-end that works does that.
 */
enum vhost_result {
	VHOST_OK,
	VHOST_REFUSED, /* answered by a 1, if an answer is wanted; `e` says why */
	VHOST_ANSWER,  /* payload and m->size are the answer */
	VHOST_BREACH
};

typedef enum vhost_result vhost_handler(struct vhost_user *v, struct vhost_message *m,
					struct err *e);

/* Keep workers out, until vhost_settle(). Costs nothing if no ring runs. */
void vhost_pause(struct vhost_user *v);

/* After any change: start and stop rings as they are set up by now, tell, and let workers in. */
void vhost_settle(struct vhost_user *v);

static inline bool vhost_ring_is_running(const struct vhost_ring *r)
{
	return r->q && atomic_load_explicit(&r->q->is_running, memory_order_relaxed);
}

/* Of one ring; workers are out. forget: that it was kicked off, and where it is. */
void vhost_ring_stop(struct vhost_ring *r);
void vhost_ring_forget(struct vhost_user *v, struct vhost_ring *r);
void vhost_ring_unwatch(struct vhost_user *v, struct vhost_ring *r);

/* Let the ring have this eventfd for interrupts (-1: none), which it takes; also while it runs. */
void vhost_ring_set_call(struct vhost_user *v, struct vhost_ring *r, int fd_take);

static inline void vhost_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Forget all rings: nothing runs, and descriptors are closed. Workers are out. */
void vhost_rings_clear(struct vhost_user *v);

/* Stop all rings: they start again by what is in force then, when all is settled. Likewise. */
void vhost_rings_stop(struct vhost_user *v);

/* Stop all rings; they are to be set up anew, but how far they had come is known. Likewise. */
void vhost_rings_forget(struct vhost_user *v);

/* Stop all rings; what is to be set up anew after a reset of the guest is forgotten. Likewise. */
void vhost_rings_reset(struct vhost_user *v);

/* Addresses of rings that run, after memory changed. Likewise. */
void vhost_rings_locate(struct vhost_user *v);

/* Write the log from now on, or no more, without stopping anything. */
void vhost_rings_log(struct vhost_user *v);

/* Why the port is faulty; false: it is not. */
bool vhost_fault(const struct vhost_user *v, struct err *why);

/* Forget memory, log and inflight region. Workers are out. */
void vhost_memory_clear(struct vhost_user *v);

/* Is `fd` an eventfd? Writing to something else could block for ever. */
bool vhost_is_eventfd(int fd);

vhost_handler vhost_set_mem_table, vhost_add_mem_reg, vhost_rem_mem_reg, vhost_set_log_base,
	vhost_get_inflight, vhost_set_inflight;
vhost_handler vhost_set_vring_num, vhost_set_vring_addr, vhost_set_vring_base, vhost_get_vring_base,
	vhost_set_vring_kick, vhost_set_vring_call, vhost_set_vring_err, vhost_set_vring_enable;

#endif
