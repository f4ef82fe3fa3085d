// SPDX-License-Identifier: Apache-2.0
/*
 * A frame of ECP, ratified or draft, as it comes from the wire, and the VDP in it. Nothing behind
 * its end is read, what is accepted is within its fields, written again it is the same octets, and
 * what is rejected can be answered.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "vdp_pdu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All but reserved bits of what was read. */
static void check_again(const struct vdp_assoc *assoc, struct tlv tlv, enum evb_generation g)
{
	uint8_t octets[TLV_SIZE_MAX];
	struct writer w = writer_of(octets, sizeof(octets));
	size_t status = TLV_HEADER_SIZE + (g == EVB_DRAFT ? 5 : 0);

	vdp_assoc_encode(&w, g, assoc);
	assert(!w.full && w.size == TLV_HEADER_SIZE + tlv.value.left);
	octets[status] = tlv.value.at[status - TLV_HEADER_SIZE];
	assert(!memcmp(octets + TLV_HEADER_SIZE, tlv.value.at, tlv.value.left));
}

static void check_filters(const struct vdp_assoc *assoc, enum evb_generation g)
{
	struct vdp_filters copy = { .format = assoc->filters.format };

	for (uint16_t i = 0; i < assoc->filters.n; i++)
		assert(vdp_filter_add(&copy, g, vdp_filter_at(&assoc->filters, i)));
	assert(vdp_filters_equal(&copy, &assoc->filters));
	assert(vdp_filters_check(&copy) == MALFORMED_none);
}

static void check_item(struct vdp_pdu_item *item, enum evb_generation g)
{
	uint8_t octets[TLV_SIZE_MAX];
	struct writer w = writer_of(octets, sizeof(octets));
	struct vdp_assoc assoc = { 0 };
	enum malformed wrong = vdp_assoc_decode(item->tlv, g, &assoc);
	struct tlv tlv;

	assert(assoc.request >= VDP_PRE_ASSOCIATE && assoc.request <= VDP_DE_ASSOCIATE);
	while (tlv_read(&item->more, &tlv))
		assert(tlv.type == TLV_ORG);
	assert(!item->more.failed);
	if (wrong == MALFORMED_none) {
		check_again(&assoc, item->tlv, g);
		check_filters(&assoc, g);
		return;
	}
	assert(vdp_error_of(wrong, g) != VDP_SUCCESS);
	if (vdp_reject_encode(&w, g, item->tlv, VDP_ACK | VDP_INVALID_FORMAT))
		assert(!w.full && w.size == TLV_HEADER_SIZE + item->tlv.value.left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	uint16_t ethertype = envelope_read(&c).ethertype;
	struct vdp_pdu_item item;
	enum evb_generation g;
	struct vdp_pdu pdu;
	struct ecp_pdu ecp;

	if (!ecp_generation(ethertype, &g) || ecp_pdu_decode(g, c, &ecp) != MALFORMED_none ||
	    vdp_pdu_open(&pdu, g, ecp.payload) != MALFORMED_none)
		return 0;
	while (vdp_pdu_next(&pdu, &item))
		check_item(&item, g);
	assert(!pdu.rest.failed);
	return 0;
}
