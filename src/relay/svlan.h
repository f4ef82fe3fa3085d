// SPDX-License-Identifier: Apache-2.0
/*
 * The S-VLAN of a port on a wire, on the way in: of a burst only frames with its S-tag are taken,
 * and lose it before the rules see them (the way out is egress.c's). Called by turn.c only, on the
 * worker's thread.
 */
#ifndef EVB_RELAY_SVLAN_H
#define EVB_RELAY_SVLAN_H

#include "port.h"
#include "types.h"

/*
 * Take the S-tag of VLAN `svid` off the first `n` frames of the burst. Those without it leave the
 * burst, counted in `c` as received and dropped; runts stay, for the rules to count. Returns how
 * many frames are left; their order is kept.
 */
unsigned svlan_strip(struct burst *b, unsigned n, vid_t svid, struct port_counters *c);

#endif
