// SPDX-License-Identifier: Apache-2.0
#include "evb_tlv.h"

#include <assert.h>

enum { ROL = 0x20, MODE_SHIFT = 6, RETRIES_SHIFT = 5, EXPONENT = 0x1f };

static struct evb_exponent exponent_read(uint8_t octet)
{
	return (struct evb_exponent){ .value = octet & EXPONENT, .remote = octet & ROL };
}

static uint8_t exponent_octet(struct evb_exponent e)
{
	assert(e.value <= EVB_EXPONENT_MAX);
	return (uint8_t)(e.value | (e.remote ? ROL : 0));
}

enum malformed evb_tlv_decode(struct cursor value, struct evb_tlv *evb)
{
	uint8_t r, mode;

	*evb = (struct evb_tlv){ .bridge = cursor_u8(&value) & EVB_BRIDGE_BITS,
				 .station = cursor_u8(&value) & EVB_STATION_BITS };
	r = cursor_u8(&value);
	mode = cursor_u8(&value);
	evb->retries = r >> RETRIES_SHIFT;
	evb->rte = r & EXPONENT;
	evb->mode = (enum evb_mode)(mode >> MODE_SHIFT);
	evb->rwd = exponent_read(mode);
	evb->rka = exponent_read(cursor_u8(&value));
	return value.failed ? MALFORMED_truncated : MALFORMED_none;
}

void evb_tlv_encode(struct writer *w, const struct evb_tlv *evb)
{
	size_t at = tlv_begin_org(w, OUI_8021, EVB_TLV_SUBTYPE);

	assert(evb->retries <= EVB_RETRIES_MAX && evb->rte <= EVB_EXPONENT_MAX);
	write_u8(w, evb->bridge & EVB_BRIDGE_BITS);
	write_u8(w, evb->station & EVB_STATION_BITS);
	write_u8(w, (uint8_t)(evb->retries << RETRIES_SHIFT | evb->rte));
	write_u8(w, (uint8_t)(evb->mode << MODE_SHIFT | exponent_octet(evb->rwd)));
	write_u8(w, exponent_octet(evb->rka));
	tlv_end(w, at);
}

enum malformed evb_draft_tlv_decode(struct cursor value, struct evb_draft_tlv *evb)
{
	evb->modes = cursor_u8(&value);
	evb->capabilities = cursor_u8(&value);
	evb->configured_mode = cursor_u8(&value);
	evb->configured_capabilities = cursor_u8(&value);
	evb->vsis = cursor_u16(&value);
	evb->configured_vsis = cursor_u16(&value);
	evb->rte = cursor_u8(&value);
	if (value.failed)
		return MALFORMED_truncated;
	/* lldpad rejects one that supports neither, and so do we: it says nothing. */
	return evb->modes & (EVB_DRAFT_STANDARD | EVB_DRAFT_REFLECT) ? MALFORMED_none :
								       MALFORMED_mode;
}

void evb_draft_tlv_encode(struct writer *w, const struct evb_draft_tlv *evb)
{
	size_t at = tlv_begin_org(w, OUI_EVB_DRAFT, EVB_DRAFT_TLV_SUBTYPE);

	write_u8(w, evb->modes);
	write_u8(w, evb->capabilities);
	write_u8(w, evb->configured_mode);
	write_u8(w, evb->configured_capabilities);
	write_u16(w, evb->vsis);
	write_u16(w, evb->configured_vsis);
	write_u8(w, evb->rte);
	tlv_end(w, at);
}
