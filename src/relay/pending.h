// SPDX-License-Identifier: Apache-2.0
/*
 * Source addresses that a worker has let through because the view had room for them, and reported:
 * they count as owned until the view has them. Called by turn.c only, on the worker's thread.
 */
#ifndef EVB_RELAY_PENDING_H
#define EVB_RELAY_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "types.h"
#include "view.h"

enum {
	PENDING_MAX = 64,    /* addresses reported but not yet in the view */
	PENDING_RETRY_S = 1, /* report again after so long */
};

struct pending {
	struct mac mac;
	port_id port;
	vid_t vid;
	uint32_t since; /* coarse time of the report */
};

struct pendings {
	struct pending item[PENDING_MAX];
	unsigned n;
	uint64_t generation; /* of the view they were compared with, */
	uint32_t checked;    /* and when */
};

/* Forget those that view `v` knows by now, and those to be reported again. */
void pending_compare(struct pendings *all, const struct fwd_view *v, uint32_t now_s);

/* May port p->port own the address `p` too, with what is pending counted? */
bool pending_room(const struct pendings *all, const struct fwd_view *v, const struct pending *p);

/* Count `p` as owned; false if it is already, or there is no room: it is not to be reported. */
bool pending_add(struct pendings *all, const struct fwd_view *v, const struct pending *p);

#endif
