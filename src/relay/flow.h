// SPDX-License-Identifier: Apache-2.0
/*
 * Flows: the frames of a burst of which the rules see the same, found by comparing octets, so that
 * parsing, looking up owners and deciding is done once for all of them. Called by turn.c only, on
 * the worker's thread.
 *
 * Frames of one flow have equal addresses and EtherTypes, no tag, no offload header and a size
 * within the port's limit. Any other frame is a flow of its own, so it loses time and nothing else.
 */
#ifndef EVB_RELAY_FLOW_H
#define EVB_RELAY_FLOW_H

#include <stdint.h>

#include "frame.h"
#include "port.h"

/* Where a header that a frame of this burst had is looked for. */
enum { FLOW_SLOTS = 64 };

struct flows {
	/* of the burst */
	uint32_t n_frames;
	uint32_t n;		    /* flows, in the order of their first frames */
	uint64_t octets;	    /* of all frames */
	uint64_t plain;		    /* bit i: frame i has no tag, no offload header */
	uint32_t plain_size_max;    /* octets of the longest of those, or more */
	uint8_t of[BURST_MAX];	    /* frame to flow */
	uint8_t first[BURST_MAX];   /* flow to first frame */
	uint64_t frames[BURST_MAX]; /* flow to frames, one bit each */

	/* private */
	struct flow_header {
		uint64_t front, back; /* octets 0..7, 6..13 */
	} header[BURST_MAX];	      /* by flow */
	uint8_t slot[FLOW_SLOTS];     /* hash of a header to flow */
};

/*
 * Sort the `n` (1..BURST_MAX) frames of a burst that came in on a port whose longest untagged frame
 * has `size_max` octets.
 */
void flows_sort(struct flows *fl, const struct frame *f, unsigned n, uint32_t size_max);

/* How many frames are in a set of them. */
static inline unsigned frames_count(uint64_t set)
{
	if (!(set & (set - 1)))
		return set != 0;
	return (unsigned)__builtin_popcountll(set);
}

#endif
