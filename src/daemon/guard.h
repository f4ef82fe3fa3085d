// SPDX-License-Identifier: Apache-2.0
/*
 * The guard: a small process that outlives evbd by a moment. What evbd attaches to a device of the
 * host by netlink stays there when evbd is killed, and so does an XDP program that libxdp
 * dispatches; the guard is told of it before, sees the end of the socket between the two, however
 * evbd ended, takes it all down and exits. (What hangs on a descriptor, as TCX programs and XDP
 * links do, goes by itself and needs no guard.)
 *
 * It is this program again, called GUARD_NAME, so that it shares nothing with evbd but the socket;
 * it is started by the first guard_add(), and anew if it ends before evbd. Control thread.
 */
#ifndef EVB_DAEMON_GUARD_H
#define EVB_DAEMON_GUARD_H

#include <stdint.h>

#include "log.h"
#include "loop.h"

#define GUARD_NAME "evbd-guard"

enum guard_kind {
	GUARD_XDP,     /* programs of evbd's uplinks on the device, known by their name */
	GUARD_HAIRPIN, /* reflection of a port of a Linux bridge */
	GUARD_TC,      /* a clsact filter; clsact itself stays, as it may be another's by then */
};

/* One thing that must not stay, on a device of evbd's own network namespace. */
struct guard_item {
	uint32_t kind; /* enum guard_kind */
	int ifindex;
	uint32_t attach;	   /* of a filter: BPF_TC_INGRESS or BPF_TC_EGRESS */
	uint32_t handle, priority; /* of a filter */
};

struct guard;

/* No process yet. NULL without memory. The arguments must outlive it. */
struct guard *guard_new(struct loop *loop, const struct log *log);

/* Let the guard end, without taking down anything, and wait for that. NULL is legal. */
void guard_free(struct guard *g);

/*
 * From now on the thing goes when evbd does; call it before it is attached. 0, or -errno: do not
 * attach it then. What is added twice, for one that takes the place of another, is to be forgotten
 * twice.
 */
int guard_add(struct guard *g, const struct guard_item *item);

/* Evbd has taken it down itself; call it after that. */
void guard_forget(struct guard *g, const struct guard_item *item);

/*
 * What main() must do first: if this process was started as a guard, be one, and exit; else return.
 */
void guard_main(char **argv);

#endif
