// SPDX-License-Identifier: Apache-2.0
/*
 * Egress: the second half of a turn. Frames of one burst are marked for their destinations, any
 * number each; then every destination gets its frames in order, with tags and offloads as its
 * receiver needs them. Called by turn.c only, on the worker's thread.
 */
#ifndef EVB_RELAY_EGRESS_H
#define EVB_RELAY_EGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "eth.h"
#include "flow.h"
#include "frame.h"
#include "gro.h"
#include "port.h"
#include "types.h"
#include "view.h"

enum {
	EGRESS_CSUM_HEAD_SIZE = 512, /* a partial checksum must be in the first so many octets */
};

_Static_assert((int)GRO_FRAMES_MAX == (int)BURST_MAX && (int)GRO_IOV_MAX <= (int)TX_IOV_MAX,
	       "what is coalesced can be sent");

/* Memory for frames that are not sent as they came: new tags, checksums, segments, GSO frames. */
struct egress_scratch {
	struct frame frame[BURST_MAX];
	struct iovec iov[BURST_MAX][FRAME_IOV_MAX + 4];
	uint8_t tag[BURST_MAX][2 * ETH_TAG_SIZE];
	struct frame csum_frame[BURST_MAX];
	struct iovec csum_iov[BURST_MAX][FRAME_IOV_MAX + 6];
	uint8_t csum_head[BURST_MAX][EGRESS_CSUM_HEAD_SIZE];
	struct frame segment[BURST_MAX];
	struct iovec segment_iov[BURST_MAX][FRAME_IOV_MAX + 6];
	uint8_t segment_head[BURST_MAX][256];
	struct gro gro;
};

/* One destination of this burst. */
struct egress_slot {
	uint64_t frames; /* bit i: frame i goes there */
	port_id port;
};

struct egress {
	/* of the turn, set by it once */
	const struct frame *frame;	    /* [BURST_MAX] */
	const struct frame *all[BURST_MAX]; /* pointers to them */
	const struct flows *flows;	    /* of the burst */
	const struct eth_key *key;	    /* by flow */
	const vid_t *vid;		    /* by flow; VID_NONE: passes unchanged (passthru) */
	const struct owner *const *dst;	    /* by flow: who owns the destination; NULL: nobody */
	unsigned worker;		    /* whose counters to use */

	const struct fwd_view *view; /* of this burst, set by the turn */
	tstamp now;		     /* likewise */
	uint16_t untagged_tci;	     /* likewise: priority of untagged frames, as in a tag */

	/* destinations: slot[0..n_slots) in order of first use */
	uint32_t n_slots;
	struct egress_slot slot[PORTS_MAX];
	struct {
		uint32_t stamp; /* == egress.stamp: `slot` is valid in this burst */
		uint32_t slot;
	} where[PORTS_MAX];
	uint32_t stamp;

	/* told by egress_send(): a destination with a fault that was not reported yet */
	port_id faulty;

	struct egress_scratch scratch;
};

/* Forget the destinations of the last burst. */
void egress_begin(struct egress *e);

/* The frames of a flow go to `port`; false if they do already. */
static inline bool egress_add(struct egress *e, uint64_t frames, port_id port)
{
	uint32_t s;

	if (e->where[port].stamp != e->stamp) {
		s = e->n_slots++;
		e->where[port].stamp = e->stamp;
		e->where[port].slot = s;
		e->slot[s] = (struct egress_slot){ .frames = frames, .port = port };
		return true;
	}
	s = e->where[port].slot;
	if (e->slot[s].frames & frames)
		return false;
	e->slot[s].frames |= frames;
	return true;
}

/* Send to all destinations, notify each once, count. */
void egress_send(struct egress *e);

/* Priority (PCP) and drop eligibility of a frame, where a tag has them. */
static inline uint16_t egress_priority(const struct egress *e, const struct eth_key *key)
{
	return key->tpid ? key->tci & 0xf000 : e->untagged_tci;
}

/* egress_limit.c, called by egress.c only: which frames may go to `id`? The others are counted. */

/* Those within rate-out and pps-out, of the port and of the VSI there that they are for. */
uint64_t egress_meter(const struct egress *e, uint64_t frames, port_id id);

/* Those that are urgent enough for how full the queue of the uplink is; it has ask_queue(). */
uint64_t egress_prioritise(const struct egress *e, uint64_t frames, port_id id);

#endif
