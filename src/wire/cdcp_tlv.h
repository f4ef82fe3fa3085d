// SPDX-License-Identifier: Apache-2.0
/*
 * The CDCP TLV of LLDP (IEEE 802.1Q-2022 D.2.13): which S-channels a side wants or grants, and
 * how many it can have. Octets to struct and back; who gets which SVID is proto/cdcp.h's business.
 * Pure.
 *
 *   FE LL | 00-80-C2 | 0E |
 *      31 Role,  30..28: 0,  27 SComp,  26..12: 0,  11..0 ChnCap |
 *      n times: SCID 12 bits, SVID 12 bits; the first is (1,1), the default channel
 */
#ifndef EVB_WIRE_CDCP_TLV_H
#define EVB_WIRE_CDCP_TLV_H

#include "malformed.h"
#include "tlv.h"

/*
 * The bit of the role. Public decoders disagree about it; this is what the one that cites the
 * clause has, and it is said only here.
 */
enum cdcp_role { CDCP_BRIDGE = 0, CDCP_STATION = 1 };

enum {
	CDCP_TLV_SUBTYPE = 0x0e,
	CDCP_CHANNELS_MAX =
		167,	  /* 8 + 3 * 167 = 509 octets, and MIB's ieee8021BridgeEvbUAPSchCap */
	CDCP_DEFAULT = 1, /* SCID and SVID of the default channel, which has no tag */
	CDCP_SCID_MAX = 4094,
};

struct cdcp_channel {
	uint16_t scid; /* index of the channel on the wire, 1..4094 */
	uint16_t svid; /* its tag; 0: asked for, or not to be had */
};

struct cdcp_tlv {
	enum cdcp_role role;
	bool s_component;  /* the sender has an S-VLAN component */
	uint16_t capacity; /* ChnCap: channels the sender can have */
	uint16_t n;	   /* channels listed, the default one first */
	struct cdcp_channel channel[CDCP_CHANNELS_MAX];
};

/* `value` is what follows OUI and subtype, from tlv_is_of(). */
enum malformed cdcp_tlv_decode(struct cursor value, struct cdcp_tlv *cdcp);

/* Write the whole TLV; `n` is 1 at least. */
void cdcp_tlv_encode(struct writer *w, const struct cdcp_tlv *cdcp);

#endif
