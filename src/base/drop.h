// SPDX-License-Identifier: Apache-2.0
/*
 * Why a frame went no further. One line here makes the enum, the counter, the JSON key and the
 * line of the manual. A frame that is not delivered is counted under exactly one reason, on the
 * port where that was decided: the ingress port, except for the EGRESS reasons, which are counted
 * on the port that could not take it, and come last.
 */
#ifndef EVB_BASE_DROP_H
#define EVB_BASE_DROP_H

#include <stdbool.h>

#define DROP_REASONS(X)                                                                            \
	X(runt, "shorter than an Ethernet header")                                                 \
	X(oversize, "longer than the MTU of the port")                                             \
	X(offload, "offload header (GSO, checksum) does not fit the frame")                        \
	X(mac_control, "MAC control frame (EtherType 0x8808, PAUSE)")                              \
	X(reserved, "reserved group address 01-80-C2-00-00-00..0F")                                \
	X(vlan, "VLAN not allowed on the port")                                                    \
	X(bad_source, "source MAC is zero, multicast or broadcast")                                \
	X(spoof, "source MAC is not owned by the port")                                            \
	X(maclimit, "source MAC beyond the port's maclimit")                                       \
	X(standby, "port is in standby")                                                           \
	X(vsi, "the association of the VSI does not stand")                                        \
	X(self, "destination is the sender itself")                                                \
	X(no_uplink, "the relay has no uplink")                                                    \
	X(no_carrier, "uplink has no carrier")                                                     \
	X(backup, "came in on an uplink that is not the active one")                               \
	X(unknown_dst, "no port owns the destination MAC")                                         \
	X(returned, "frame came back from the adjacent bridge to its own sender")                  \
	X(private, "private mode forbids local partners")                                          \
	X(looped, "both ports are in bridge mode, so the frame never needed the wire")             \
	X(source_filter, "source MAC is not on the list of the source-mode port")                  \
	X(same_port, "destination is on the ingress port, which has no reflective relay")          \
	X(no_receiver, "no port takes part in this broadcast or multicast")                        \
	X(group, "nobody here is a member of the multicast group")                                 \
	X(host, "for the host, whose own stack has it from the device")                            \
	X(control, "for the bridge itself, and no protocol listens")                               \
	X(disabled, "the VMM has disabled the queue")                                              \
	X(rate, "beyond the port's rate-in or pps-in")                                             \
	X(storm, "beyond the port's storm limit of such frames")                                   \
	X(port_down, "EGRESS: port is down")                                                       \
	X(mtu, "EGRESS: longer than the MTU of the receiver")                                      \
	X(queue_full, "EGRESS: queue of the receiver is full")                                     \
	X(rate_out, "EGRESS: beyond the receiver's rate-out or pps-out")                           \
	X(congested, "EGRESS: the uplink is congested, and more urgent frames go first")

enum drop_reason {
#define X(name, text) DROP_##name,
	DROP_REASONS(X)
#undef X
		DROP_REASONS_N
};

static inline bool drop_is_egress(enum drop_reason r)
{
	return r >= DROP_port_down;
}

/* Key of the reason in JSON and in tables: static, never NULL. */
const char *drop_name(enum drop_reason r);

/* One line for a person: static, never NULL. */
const char *drop_text(enum drop_reason r);

#endif
