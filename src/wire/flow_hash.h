// SPDX-License-Identifier: Apache-2.0
/*
 * Which flow a frame belongs to: for spreading frames over queues without changing the order within
 * a flow. Pure; called by the worker, for receivers that have several queues.
 */
#ifndef EVB_WIRE_FLOW_HASH_H
#define EVB_WIRE_FLOW_HASH_H

#include "frame.h"

/*
 * A hash of addresses, protocol and ports of TCP and UDP over IPv4 and IPv6; without ports for
 * fragments (all of which must take the same way) and other protocols; of the MAC addresses for
 * all the rest. Looks behind up to two tags, and at the head only.
 */
uint32_t flow_hash(const struct frame *f);

#endif
