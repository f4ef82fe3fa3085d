// SPDX-License-Identifier: Apache-2.0
/*
 * Type, length, value as LLDP and VDP have it (IEEE 802.1AB-2016 8.4, 802.1Q-2022 41.2.1), and the
 * head of organizationally specific TLVs (802.1AB-2016 8.6). Pure; the codecs are its callers.
 *
 *   |  type 7 bits | length 9 bits |  value, 0 to 511 octets  |
 *                                  |  OUI 3 | subtype 1 | ...  type 127
 */
#ifndef EVB_WIRE_TLV_H
#define EVB_WIRE_TLV_H

#include "cursor.h"
#include "writer.h"

enum {
	TLV_END = 0,
	TLV_ORG = 127,
	TLV_HEADER_SIZE = 2,
	TLV_VALUE_MAX = 511,
	TLV_SIZE_MAX = TLV_HEADER_SIZE + TLV_VALUE_MAX,
	OUI_8021 = 0x0080c2,	  /* IEEE 802.1 */
	OUI_EVB_DRAFT = 0x001b3f, /* of the drafts of 802.1Qbg */
};

struct tlv {
	uint8_t type;
	struct cursor value;
};

/* The next TLV. False at the end of the octets, or if it runs over it: `c->failed` tells. */
static inline bool tlv_read(struct cursor *c, struct tlv *tlv)
{
	uint16_t header;

	if (!c->left)
		return false;
	header = cursor_u16(c);
	*tlv = (struct tlv){ .type = (uint8_t)(header >> 9),
			     .value = cursor_part(c, header & TLV_VALUE_MAX) };
	return !c->failed;
}

/*
 * Take OUI and subtype from the value of a TLV of type TLV_ORG; `value` is what follows them. False
 * if it is another's, or too short to be anyone's.
 */
static inline bool tlv_is_of(struct tlv tlv, uint32_t oui, uint8_t subtype, struct cursor *value)
{
	*value = tlv.value;
	return tlv.type == TLV_ORG && cursor_u24(value) == oui && cursor_u8(value) == subtype &&
	       !value->failed;
}

/* Begin a TLV; returns where it is, for tlv_end(). */
static inline size_t tlv_begin(struct writer *w, uint8_t type)
{
	size_t at = w->size;

	write_u16(w, (uint16_t)(type << 9));
	return at;
}

/* Begin one of type TLV_ORG. */
static inline size_t tlv_begin_org(struct writer *w, uint32_t oui, uint8_t subtype)
{
	size_t at = tlv_begin(w, TLV_ORG);

	write_u24(w, oui);
	write_u8(w, subtype);
	return at;
}

/* End the TLV that began at `at`: write its length. A value that is too long is `full`. */
static inline void tlv_end(struct writer *w, size_t at)
{
	size_t size = w->size - at - TLV_HEADER_SIZE;

	if (w->full)
		return;
	if (size > TLV_VALUE_MAX) {
		w->full = true;
		return;
	}
	w->octets[at] |= (uint8_t)(size >> 8);
	w->octets[at + 1] = (uint8_t)size;
}

/* A whole TLV of `n` octets at `from`. */
static inline void tlv_write(struct writer *w, uint8_t type, const void *from, size_t n)
{
	size_t at = tlv_begin(w, type);

	write_octets(w, from, n);
	tlv_end(w, at);
}

#endif
