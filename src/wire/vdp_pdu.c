// SPDX-License-Identifier: Apache-2.0
#include "vdp_pdu.h"

/* All TLVs up to the end are whole, and no second one is the manager's. */
static enum malformed rest_check(struct cursor c, enum evb_generation g)
{
	struct tlv tlv;

	while (tlv_read(&c, &tlv)) {
		if (tlv.type == TLV_END)
			return MALFORMED_none;
		if (g == EVB_RATIFIED && tlv.type == VDP_MANAGER)
			return MALFORMED_manager;
	}
	return c.failed ? MALFORMED_tlv_overrun : MALFORMED_none;
}

enum malformed vdp_pdu_open(struct vdp_pdu *pdu, enum evb_generation g, struct cursor octets)
{
	struct tlv tlv;

	*pdu = (struct vdp_pdu){ .generation = g, .rest = octets };
	if (g == EVB_RATIFIED) {
		if (!tlv_read(&pdu->rest, &tlv))
			return pdu->rest.failed ? MALFORMED_tlv_overrun : MALFORMED_manager;
		if (tlv.type != VDP_MANAGER || tlv.value.left != sizeof(pdu->manager.octets))
			return MALFORMED_manager;
		cursor_copy(&tlv.value, pdu->manager.octets, sizeof(pdu->manager.octets));
	}
	return rest_check(pdu->rest, g);
}

bool vdp_pdu_next(struct vdp_pdu *pdu, struct vdp_pdu_item *item)
{
	struct cursor ahead;
	struct tlv tlv;

	do {
		if (!tlv_read(&pdu->rest, &item->tlv) || item->tlv.type == TLV_END) {
			pdu->rest.left = 0; /* also of the padding */
			return false;
		}
	} while (!vdp_request_of(item->tlv, pdu->generation));
	item->more = cursor_of(pdu->rest.at, 0);
	ahead = pdu->rest;
	while (tlv_read(&ahead, &tlv) && tlv.type == TLV_ORG &&
	       !vdp_request_of(tlv, pdu->generation))
		item->more.left = (size_t)(ahead.at - item->more.at);
	return true;
}

void vdp_pdu_begin(struct writer *w, enum evb_generation g, const struct vdp_manager *manager)
{
	if (g == EVB_RATIFIED)
		tlv_write(w, VDP_MANAGER, manager->octets, sizeof(manager->octets));
}

void vdp_pdu_end(struct writer *w)
{
	write_u16(w, TLV_END);
}
