// SPDX-License-Identifier: Apache-2.0
#include "cdcp_tlv.h"

#include <assert.h>

static_assert(4 + 4 + 3 * CDCP_CHANNELS_MAX <= TLV_VALUE_MAX, "as many as fit");

enum { ROLE_BIT = 31, S_COMPONENT_BIT = 27, CHANNEL_SIZE = 3, TWELVE_BITS = 0xfff };

/* Indices are 1..4094, each once, and the default channel comes first. */
static bool channels_are_sound(const struct cdcp_tlv *cdcp)
{
	uint64_t seen[64] = { 0 };

	if (cdcp->channel[0].scid != CDCP_DEFAULT || cdcp->channel[0].svid != CDCP_DEFAULT)
		return false;
	for (uint16_t i = 0; i < cdcp->n; i++) {
		uint16_t scid = cdcp->channel[i].scid;

		if (!scid || scid > CDCP_SCID_MAX || seen[scid >> 6] >> (scid & 63) & 1 ||
		    cdcp->channel[i].svid == TWELVE_BITS)
			return false;
		seen[scid >> 6] |= UINT64_C(1) << (scid & 63);
	}
	return true;
}

enum malformed cdcp_tlv_decode(struct cursor value, struct cdcp_tlv *cdcp)
{
	uint32_t word = cursor_u32(&value);

	if (value.failed)
		return MALFORMED_truncated;
	if (!value.left || value.left % CHANNEL_SIZE)
		return MALFORMED_tlv_size;
	cdcp->role = word >> ROLE_BIT ? CDCP_STATION : CDCP_BRIDGE;
	cdcp->s_component = word >> S_COMPONENT_BIT & 1;
	cdcp->capacity = word & TWELVE_BITS;
	cdcp->n = (uint16_t)(value.left / CHANNEL_SIZE); /* 167 at most, in 511 octets */
	if (cdcp->n > CDCP_CHANNELS_MAX)
		return MALFORMED_tlv_size;
	for (uint16_t i = 0; i < cdcp->n; i++) {
		uint32_t pair = cursor_u24(&value);

		cdcp->channel[i].scid = (uint16_t)(pair >> 12);
		cdcp->channel[i].svid = pair & TWELVE_BITS;
	}
	return channels_are_sound(cdcp) ? MALFORMED_none : MALFORMED_channels;
}

void cdcp_tlv_encode(struct writer *w, const struct cdcp_tlv *cdcp)
{
	size_t at = tlv_begin_org(w, OUI_8021, CDCP_TLV_SUBTYPE);

	assert(cdcp->n >= 1 && cdcp->n <= CDCP_CHANNELS_MAX);
	write_u32(w, (uint32_t)cdcp->role << ROLE_BIT |
			     (uint32_t)cdcp->s_component << S_COMPONENT_BIT |
			     (cdcp->capacity & TWELVE_BITS));
	for (uint16_t i = 0; i < cdcp->n; i++)
		write_u24(w, (uint32_t)(cdcp->channel[i].scid & TWELVE_BITS) << 12 |
				     (cdcp->channel[i].svid & TWELVE_BITS));
	tlv_end(w, at);
}
