// SPDX-License-Identifier: Apache-2.0
/*
 * Checksums that a local sender left to its device, in frames whose offload header got lost: XDP
 * sees octets only, and those of a veth peer, a container or a VM's tap may be such. Pure.
 */
#ifndef EVB_WIRE_UNFINISHED_H
#define EVB_WIRE_UNFINISHED_H

#include <stdbool.h>
#include <stdint.h>

#include "vnet.h"

/*
 * If the TCP or UDP checksum of a frame is the sum of the pseudo-header, as a sender leaves it for
 * its device to complete, say so in `h`. One right checksum in 65536 is the same by chance; to
 * complete it gives the same again. `octets` has any tags in place. Looks at no fragments, not
 * behind IPv6 extension headers, where senders finish checksums themselves, and at no packet with
 * anything but zeros behind it, which would be summed as well.
 */
bool unfinished_csum(const uint8_t *octets, uint32_t size, struct vnet_hdr *h);

#endif
