// SPDX-License-Identifier: Apache-2.0
/*
 * Tap ports. A tap has two ends: a network device, and a queue that a process holds open.
 *
 *   guest is a container or the host:  its stack uses the device, evbd holds the queue  (tap.c)
 *   guest is a VM:                     its VMM holds the queue, evbd uses the device    (packet.c)
 *
 * This file opens and creates taps for both, and moves frames for the first.
 */
#ifndef EVB_PORT_TAP_H
#define EVB_PORT_TAP_H

#include <net/if.h>
#include <stdbool.h>
#include <sys/types.h>

#include "err.h"
#include "port.h"

struct tap_spec {
	char dev[IFNAMSIZ];
	bool is_for_vmm; /* create it persistent and leave the queue to a VMM */
	uid_t owner;	 /* who may open the queue; (uid_t)-1: root only */
	gid_t group;	 /* likewise; (gid_t)-1: none */
	bool offload;	 /* accept GSO and partial checksums from the guest */
};

struct tap_opened {
	int fd;	      /* the queue; -1 if it is left to a VMM */
	bool created; /* the device did not exist before */
};

/*
 * Create the tap `s->dev` in the network namespace of the calling thread, or take over the one
 * that exists. Errors: the name is another kind of device, or its queue is in use.
 */
int tap_open(const struct tap_spec *s, struct tap_opened *out, struct err *e);

/* A port on the queue `fd`, which it takes. NULL without memory (fd is then still the caller's). */
struct port *tap_port_new(int fd_take, bool offload, unsigned n_workers);

/* Have such a port receive frames of this mark (SO_MARK) only; the others are lost. -errno. */
int tap_port_only_mark(struct port *p, uint32_t mark);

/* Take GSO and partial checksums from the guest of such a port from now on, or no more. -errno. */
int tap_port_set_offload(struct port *p, bool offload);

#endif
