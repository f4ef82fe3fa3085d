// SPDX-License-Identifier: Apache-2.0
/*
 * The EVB TLV of LLDP, as ratified (IEEE 802.1Q-2022 D.2.12) and as the drafts had it: octets to
 * struct and back. What the values mean and whose are used is proto/evb.h's business. Pure.
 *
 *   ratified: FE 09 | 00-80-C2 | 0D |
 *      bridge status   7..3: 0,  2 BGID,  1 RRCAP,  0 RRCTR
 *      station status  7..4: 0,  3 SGID,  2 RRREQ,  1..0 RRSTAT
 *      7..5 R,  4..0 RTE
 *      7..6 EVB mode,  5 ROL,  4..0 RWD
 *      7..6: 0,        5 ROL,  4..0 RKA
 *
 *   draft: FE 0D | 00-1B-3F | 00 |
 *      supported mode | supported capabilities | configured mode | configured capabilities |
 *      VSIs supported 2 | VSIs configured 2 | RTE
 *
 * Never sent with another length: lldpad does not survive that. A longer one is taken by its first
 * octets, a shorter one rejected.
 */
#ifndef EVB_WIRE_EVB_TLV_H
#define EVB_WIRE_EVB_TLV_H

#include "malformed.h"
#include "tlv.h"

enum evb_mode { EVB_MODE_NONE, EVB_MODE_BRIDGE, EVB_MODE_STATION, EVB_MODE_NVO3 };

/* What the station sees of the bridge's reflective relay. 2 is reserved, and read as unknown. */
enum evb_rr_status { EVB_RR_OFF, EVB_RR_ON, EVB_RR_UNKNOWN = 3 };

enum {
	EVB_TLV_SUBTYPE = 0x0d,
	EVB_DRAFT_TLV_SUBTYPE = 0x00,
	EVB_RETRIES_MAX = 7,
	EVB_EXPONENT_MAX = 31,

	EVB_BRIDGE_GROUP_ID = 0x04, /* BGID: supports GroupID */
	EVB_BRIDGE_RR_CAP = 0x02,   /* RRCAP: can reflect */
	EVB_BRIDGE_RR_CTR = 0x01,   /* RRCTR: reflects */
	EVB_BRIDGE_BITS = 0x07,
	EVB_STATION_GROUP_ID = 0x08, /* SGID: supports GroupID */
	EVB_STATION_RR_REQ = 0x04,   /* RRREQ: wants reflective relay */
	EVB_STATION_RR_STAT = 0x03,  /* RRSTAT: enum evb_rr_status */
	EVB_STATION_BITS = 0x0f,

	EVB_DRAFT_STANDARD = 0x80, /* forwarding modes */
	EVB_DRAFT_REFLECT = 0x40,
	EVB_DRAFT_RTE = 0x04, /* capabilities */
	EVB_DRAFT_ECP = 0x02,
	EVB_DRAFT_VDP = 0x01,
};

/* An exponent and whose it is: 10 us << exponent (802.1Q-2022 D.2.12.6). */
struct evb_exponent {
	uint8_t value;
	bool remote; /* ROL: taken from the other side */
};

/* The status octets stay octets, for each side echoes the other's. Reserved bits are 0 here. */
struct evb_tlv {
	uint8_t bridge, station; /* EVB_BRIDGE_*, EVB_STATION_* */
	uint8_t retries;	 /* R */
	uint8_t rte;		 /* ECP acknowledgement timer; has no ROL */
	enum evb_mode mode;
	struct evb_exponent rwd; /* VDP resource wait delay */
	struct evb_exponent rka; /* VDP reinit keep-alive */
};

struct evb_draft_tlv {
	uint8_t modes, capabilities;			  /* supported */
	uint8_t configured_mode, configured_capabilities; /* in use */
	uint16_t vsis, configured_vsis;
	uint8_t rte;
};

/* `value` is what follows OUI and subtype, from tlv_is_of(). */
enum malformed evb_tlv_decode(struct cursor value, struct evb_tlv *evb);
enum malformed evb_draft_tlv_decode(struct cursor value, struct evb_draft_tlv *evb);

/* Write the whole TLV. Values are within their fields. */
void evb_tlv_encode(struct writer *w, const struct evb_tlv *evb);
void evb_draft_tlv_encode(struct writer *w, const struct evb_draft_tlv *evb);

static inline enum evb_rr_status evb_rr_status(uint8_t station)
{
	uint8_t v = station & EVB_STATION_RR_STAT;

	return v <= EVB_RR_ON ? (enum evb_rr_status)v : EVB_RR_UNKNOWN;
}

#endif
