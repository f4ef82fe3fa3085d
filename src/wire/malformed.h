// SPDX-License-Identifier: Apache-2.0
/*
 * What is wrong with a PDU or a TLV that a decoder of wire/ rejects. One line here makes the enum,
 * the key of the counter and the text a person reads, so that whoever debugs a switch sees why its
 * frames are not taken.
 */
#ifndef EVB_WIRE_MALFORMED_H
#define EVB_WIRE_MALFORMED_H

#define MALFORMED_REASONS(X)                                                                       \
	X(none, "well formed")                                                                     \
	X(truncated, "ends within a field")                                                        \
	X(oversize, "longer than a frame of the protocol may be")                                  \
	X(tlv_overrun, "a TLV is longer than what is left of the PDU")                             \
	X(tlv_order, "does not begin with Chassis ID, Port ID and TTL, or has one of them twice")  \
	X(tlv_size, "a TLV has not the length that its type demands")                              \
	X(foreign, "not of the protocol: OUI, subtype or EtherType")                               \
	X(version, "version of ECP is not 1")                                                      \
	X(operation, "operation is neither request nor acknowledgement")                           \
	X(subtype, "ECP carries a protocol that is not VDP")                                       \
	X(mode, "EVB mode, forwarding mode or role is none that is defined")                       \
	X(channels, "S-channels: the first is not (1,1), an index is 0 or 4095, or one is twice")  \
	X(manager, "VDP does not begin with exactly one VSI Manager ID of 16 octets")              \
	X(request, "VDP request type is unknown")                                                  \
	X(vsi_id, "VSI ID format is unknown, or the ID does not suit it")                          \
	X(filter_format, "filter information format is unknown, or GroupID is not agreed upon")    \
	X(filter_count, "number of filter entries does not fit the length, or is 0")               \
	X(vid, "VID is reserved, or 0 more than once")                                             \
	X(group, "GroupID is 0")                                                                   \
	X(mac, "MAC address is zero, multicast or broadcast")

enum malformed {
#define X(name, text) MALFORMED_##name,
	MALFORMED_REASONS(X)
#undef X
		MALFORMED_N
};

/* Key of the reason in JSON and in tables: static, never NULL. */
const char *malformed_name(enum malformed m);

/* One line for a person: static, never NULL. */
const char *malformed_text(enum malformed m);

#endif
