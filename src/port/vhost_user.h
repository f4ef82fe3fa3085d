// SPDX-License-Identifier: Apache-2.0
/*
 * vhost-user ports: the guest's virtqueues lie in memory that its VMM shares with us, so a frame is
 * read where one guest wrote it and written where another will read it, without a system call.
 * This is the device as the daemon sees it: one connection at a time to the VMM's front-end, which
 * configures memory and rings by messages (QEMU docs/interop/vhost-user.rst; vhost_session.c).
 * Frames go through virtq_split.c and virtq_packed.c.
 *
 *   control thread: everything declared here         worker: the port_ops
 *
 * Whatever a message changes of what a worker reads is changed while the queues concerned are
 * stopped and every worker has passed a quiescent point (hooks.quiesce). A front-end or guest that
 * breaks the rules loses its own port, nothing else: a message that cannot be, ends the connection;
 * a ring that cannot be, makes the port faulty until the guest or its VMM sets it up anew.
 */
#ifndef EVB_PORT_VHOST_USER_H
#define EVB_PORT_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "port.h"
#include "types.h"

enum {
	VHOST_USER_PAIRS_MAX = 16,   /* queue pairs of a port */
	VHOST_USER_STATE_SIZE = 4096 /* octets of the file behind spec.state_fd */
};

/* What the device asks of the daemon. All are called on the control thread. */
struct vhost_user_hooks {
	void *aux;

	/* Return when no worker is inside a turn that began before the call. */
	void (*quiesce)(void *aux);

	/* Have the port's worker look at the port when `fd` becomes readable (edge), or no more. */
	int (*watch)(void *aux, int fd);
	void (*unwatch)(void *aux, int fd);

	/*
	 * Link state, fault, or p->offload differ from before. The view must follow before this
	 * returns: the queues that may need it are started afterwards.
	 */
	void (*changed)(void *aux);

	/* The VMM asks to announce the guest's address (SEND_RARP). */
	void (*announce)(void *aux, struct mac mac);
};

/* What can change while the port lives. */
struct vhost_user_settings {
	struct mac mac; /* told to a front-end that asks by GET_CONFIG; zero: none */
	uint32_t mtu;	/* likewise; the longest MTU that NET_SET_MTU may ask for */
	bool offload;	/* offer checksum and segmentation offloads to new guests */
};

struct vhost_user_spec {
	uint16_t pairs_max; /* queue pairs served: 1..VHOST_USER_PAIRS_MAX; 1: no multiqueue */
	bool has_config;    /* offer GET_CONFIG: cloud-hypervisor and crosvm; QEMU warns of it */
	int state_fd;	    /* file of VHOST_USER_STATE_SIZE octets that outlives us, for packed
			     * rings; the port does not take it, it maps it; -1: none */
	struct vhost_user_settings settings;
	struct vhost_user_hooks hooks;
};

/* A port without a connection. p->fd is its own eventfd. NULL: errno. */
struct port *vhost_user_port_new(const struct vhost_user_spec *s, unsigned n_workers);

void vhost_user_set(struct port *p, const struct vhost_user_settings *s);

/* Is a front-end connected? */
bool vhost_user_is_attached(const struct port *p);

/*
 * A front-end is connected by the stream socket `fd`, which the port takes (it makes it
 * non-blocking). There must be none yet. 0 or -errno (the socket is closed then).
 */
int vhost_user_attach(struct port *p, int fd_take);

/*
 * The socket is readable: handle the messages that are there, but not more than a few, so that
 * nobody has the control thread for himself. False: the connection is over, `why` says why (code 0:
 * the front-end closed it, message ""), everything it had set up is gone and the port has called
 * hooks.changed(). The caller stops watching the socket before he calls, or its number may be
 * another's: the descriptor is closed by then.
 */
bool vhost_user_input(struct port *p, struct err *why);

/* End the connection, if there is one. */
void vhost_user_detach(struct port *p);

/* After a worker reported a fault of the port: stop its rings and tell the front-end (ERR). */
void vhost_user_faulted(struct port *p);

enum vhost_user_link {
	VHOST_USER_UNATTACHED, /* no front-end is connected */
	VHOST_USER_WAITS,      /* connected, and the guest's driver has not set up its rings */
	VHOST_USER_RUNS,
	VHOST_USER_FAULTY /* the guest or its VMM broke the rules: why tells */
};

struct vhost_user_state {
	enum vhost_user_link link;
	struct err why; /* FAULTY: reason and hint; RUNS: code != 0 is a complaint (say, queues that
			 * are not served) with which the port works all the same */
};

void vhost_user_state(const struct port *p, struct vhost_user_state *out);

/* Counters of a port since it was made, and what it has negotiated. For `port show -s`. */
struct vhost_user_ring_info {
	bool is_running, is_enabled;
	uint16_t size, fill; /* entries; of those, how many the driver has made available */
};

struct vhost_user_info {
	uint64_t features;	    /* virtio feature bits in force; 0: none negotiated */
	uint64_t protocol_features; /* likewise, of vhost-user */
	bool is_packed, is_logging;
	uint16_t
		n_rings; /* of `ring`; 2 * i is receive of the guest's pair i, 2 * i + 1 transmit */
	struct vhost_user_ring_info ring[VHOST_USER_PAIRS_MAX * 2];
	uint32_t n_regions; /* of guest memory */
	uint64_t memory;    /* octets of them together */
	uint64_t sessions;  /* connections so far */
	uint64_t faults;
	uint64_t calls_sent, calls_suppressed; /* notifications to the guest */
	uint64_t kicks;			       /* times we asked the guest to wake us up */
	uint64_t tx_gso;		       /* GSO frames given to the guest whole */
	uint64_t tx_size
		[4]; /* frames copied to the guest, by size: <= 128, <= 1518, <= 9018, more */
};

void vhost_user_info(const struct port *p, struct vhost_user_info *out);

/* Name of a virtio-net feature bit, or NULL: static. */
const char *vhost_user_feature_name(unsigned bit);
const char *vhost_user_protocol_feature_name(unsigned bit);

#endif
