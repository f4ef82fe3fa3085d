// SPDX-License-Identifier: Apache-2.0
/*
 * ECPDU (IEEE 802.1Q-2022 43.3), as ratified and as the drafts had it: octets to struct and back.
 * Pure; proto/ecp.h is its caller. What it carries is vdp_pdu.h's business.
 *
 *   ratified, EtherType 8940:  Version 4 bits = 1 | Operation 2 | Subtype 10 = 1 | Sequence 16 |
 *   draft, EtherType 88B7:     00-1B-3F | 00 | subtype 2 = 0 | mode 1 | Sequence 2 |
 *
 * Two generations of 802.1Qbg are in use, and a port speaks one of them only: EVB_DRAFT is that of
 * lldpad's modules evb, ecp and vdp and of switches before 2012.
 */
#ifndef EVB_WIRE_ECP_PDU_H
#define EVB_WIRE_ECP_PDU_H

#include "envelope.h"
#include "malformed.h"

enum evb_generation { EVB_RATIFIED, EVB_DRAFT };

enum ecp_operation { ECP_REQUEST, ECP_ACK };

enum {
	ECP_SUBTYPE_VDP = 1,	/* table 43-3; 2 is port extension, which we do not speak */
	ECP_PAYLOAD_MAX = 1491, /* 14 + 9 + 1491 = 1514; lldpad has room for 1493 */
};

struct ecp_pdu {
	enum ecp_operation operation;
	uint16_t sequence;
	struct cursor payload; /* with what padding the frame has */
};

/* The generation whose EtherType this is. False: ECP has nothing to do with it. */
bool ecp_generation(uint16_t ethertype, enum evb_generation *generation);

uint16_t ecp_ethertype(enum evb_generation generation);

/* Where requests and acknowledgements go to unless another address is configured. */
struct mac ecp_group(enum evb_generation generation);

/* Decode what stands behind the EtherType. MALFORMED_none, or why it is not taken. */
enum malformed ecp_pdu_decode(enum evb_generation generation, struct cursor octets,
			      struct ecp_pdu *pdu);

/* Write header and payload. */
void ecp_pdu_encode(struct writer *w, enum evb_generation generation, const struct ecp_pdu *pdu);

#endif
