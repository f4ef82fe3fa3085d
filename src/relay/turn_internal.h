// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of a turn share; nobody else includes this.
 *
 *   turn.c        rx, parse, owners, decide, learning, reports
 *   turn_meter.c  limits of the ingress port
 *   turn_mark.c   verdicts to destinations
 *   turn_punt.c   frames for the bridge itself
 */
#ifndef EVB_RELAY_TURN_INTERNAL_H
#define EVB_RELAY_TURN_INTERNAL_H

#include "egress.h"
#include "eth.h"
#include "flow.h"
#include "pending.h"
#include "turn.h"

enum { PUNT_SHARES = 16 };

/* How many there were in a second, or another period. */
struct turn_rate {
	uint32_t period, n;
};

struct turn {
	struct burst burst; /* first: it wants the alignment of the whole */
	struct flows flows;

	/* what is known of each flow */
	struct eth_key key[BURST_MAX];
	vid_t vid[BURST_MAX];
	uint32_t flags[BURST_MAX];			     /* FWD_* of its frames */
	const struct owner *dst[BURST_MAX], *src[BURST_MAX]; /* NULL: nobody */
	struct fwd_verdict verdict[BURST_MAX];
	struct egress egress;

	const struct fwd_view *view;
	const struct view_port *in;
	port_id in_id;
	const struct view_bridge *bridge;
	bool only_wire;		     /* these frames are for the uplink only */
	struct port_counters *count; /* of the ingress port, ours */
	tstamp now;
	uint32_t now_s; /* coarse time, never 0 */
	unsigned worker;

	struct pendings pending;
	struct ring *reports;
	bool has_reported;
	vid_t heard_vid;		  /* of the flow that is snooped */
	_Atomic bool is_deaf;		  /* what was said of groups did not fit into `reports` */
	struct turn_rate said[PORTS_MAX]; /* notes */

	struct ring *punts;
	struct turn_rate punted[PORTS_MAX][PUNT_SHARES];
	struct turn_rate of_peer[PORTS_MAX];
};

/* Count one more of something in this period; returns the how-manyth it is. */
static inline uint32_t turn_rate_count(struct turn_rate *r, uint32_t period)
{
	if (r->period != period)
		*r = (struct turn_rate){ .period = period };
	return ++r->n;
}

/* False: there was no room, and nobody will hear of it. */
bool turn_report(struct turn *t, struct report r);

/*
 * Take frames beyond the limits of the ingress port out of their flows, in the order in which they
 * came, and count them.
 */
void turn_meter(struct turn *t);

/*
 * Take those of a flow that an agent of the ingress port wants to the control thread, and return
 * the others.
 */
uint64_t turn_punt(struct turn *t, unsigned k, uint64_t frames);

/* Mark the frames of the burst for their destinations, and count those that have none. */
void turn_mark(struct turn *t);

#endif
