// SPDX-License-Identifier: Apache-2.0
/*
 * Which frames may still go to an uplink whose queue is filling. Frames do not wait in the relay,
 * so they cannot overtake each other in it; what it can do is leave the rest of the queue to the
 * more urgent ones. Pure; relay/egress_limit asks.
 */
#ifndef EVB_FWD_PRIORITY_H
#define EVB_FWD_PRIORITY_H

#include <stdbool.h>
#include <stdint.h>

enum { PRIORITY_LEAST = 1 }; /* the PCP that is refused first */

/*
 * Priorities from the least urgent on: 1 (background), 0 (best effort), 2 to 7 (IEEE 802.1Q-2022
 * table I-2).
 */
static inline unsigned priority_rank(unsigned pcp)
{
	return pcp > 1 ? pcp : 1 - pcp;
}

/*
 * A frame of priority `pcp` (0..7) passes while no more of a queue of `size` is in use: 9/16 for
 * the least urgent, 10/16 for best effort, and all of it for the most urgent.
 */
static inline uint64_t priority_limit(unsigned pcp, uint64_t size)
{
	return size / 16 * (9 + priority_rank(pcp));
}

#endif
