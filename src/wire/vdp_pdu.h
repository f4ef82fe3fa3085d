// SPDX-License-Identifier: Apache-2.0
/*
 * What ECP carries for VDP (IEEE 802.1Q-2022 41.2): several association TLVs in one PDU. Read and
 * written TLV by TLV, so that a PDU of forty VSIs needs no room for forty. Pure.
 *
 *   ratified:  Manager ID (type 5) | association TLV, its organizational TLVs | ... | End 00 00
 *   draft:     association TLV | ... | End 00 00
 *
 * VSIs of different managers go into different PDUs. We always write the End: lldpad reads on
 * behind the octets it was sent until it finds one.
 */
#ifndef EVB_WIRE_VDP_PDU_H
#define EVB_WIRE_VDP_PDU_H

#include "vdp_tlv.h"

struct vdp_pdu {
	enum evb_generation generation;
	struct vdp_manager manager; /* ratified */
	struct cursor rest;
};

/* An association TLV as it stands in a PDU, and what belongs to it. */
struct vdp_pdu_item {
	struct tlv tlv;
	struct cursor more; /* the organizational TLVs behind it, for tlv_read() */
};

/*
 * Begin to read. MALFORMED_none, or why the whole is rejected: ratified, it has not exactly one
 * Manager ID, in front; or a TLV runs over the end. A PDU of no association is well formed.
 */
enum malformed vdp_pdu_open(struct vdp_pdu *pdu, enum evb_generation g, struct cursor octets);

/* The next association; TLVs of other kinds are skipped. False at the end. */
bool vdp_pdu_next(struct vdp_pdu *pdu, struct vdp_pdu_item *item);

/* Begin to write; ratified, with `manager`. */
void vdp_pdu_begin(struct writer *w, enum evb_generation g, const struct vdp_manager *manager);

/* End it. There is room for that, if `w->room` was VDP_PDU_END_SIZE less before. */
void vdp_pdu_end(struct writer *w);

enum { VDP_PDU_END_SIZE = TLV_HEADER_SIZE };

#endif
