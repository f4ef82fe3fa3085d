// SPDX-License-Identifier: Apache-2.0
#include "lldp_pdu.h"

#include <assert.h>

struct lldp_id lldp_id_of(uint8_t subtype, const void *octets, size_t size)
{
	struct lldp_id id = { .subtype = subtype, .size = (uint8_t)size };

	assert(size >= 1 && size <= LLDP_ID_SIZE_MAX);
	memcpy(id.octets, octets, size);
	return id;
}

bool lldp_id_equal(const struct lldp_id *a, const struct lldp_id *b)
{
	return a->subtype == b->subtype && a->size == b->size &&
	       !memcmp(a->octets, b->octets, a->size);
}

/* Subtype and 1 to 255 octets (8.5.2, 8.5.3). */
static bool id_decode(struct cursor value, struct lldp_id *id)
{
	size_t size = value.left - 1;

	if (value.left < 2 || size > LLDP_ID_SIZE_MAX)
		return false;
	*id = lldp_id_of(value.at[0], value.at + 1, size);
	return true;
}

/* The three that each LLDPDU begins with. */
static enum malformed mandatory_decode(struct cursor *c, struct lldp_pdu *pdu)
{
	struct tlv tlv;

	for (unsigned type = LLDP_CHASSIS_ID; type <= LLDP_TTL; type++) {
		if (!tlv_read(c, &tlv))
			return c->failed ? MALFORMED_tlv_overrun : MALFORMED_tlv_order;
		if (tlv.type != type)
			return MALFORMED_tlv_order;
		if (type == LLDP_TTL) {
			if (tlv.value.left != 2)
				return MALFORMED_tlv_size;
			pdu->ttl = cursor_u16(&tlv.value);
		} else if (!id_decode(tlv.value,
				      type == LLDP_CHASSIS_ID ? &pdu->chassis : &pdu->port)) {
			return MALFORMED_tlv_size;
		}
	}
	return MALFORMED_none;
}

static void text_decode(struct cursor value, struct cursor *text)
{
	if (!text->at && value.left <= LLDP_TEXT_SIZE_MAX)
		*text = value;
}

/* | n = 1 + address | subtype | address | port subtype | port number 4 | OID size | OID | */
static void address_decode(struct cursor value, struct lldp_address *address)
{
	struct lldp_address a = { .size = cursor_u8(&value) };

	if (address->size || a.size < 2 || a.size > 1 + LLDP_ADDRESS_SIZE_MAX)
		return;
	a.size--;
	a.subtype = cursor_u8(&value);
	cursor_copy(&value, a.octets, a.size);
	a.port_subtype = cursor_u8(&value);
	a.port_number = cursor_u32(&value);
	cursor_part(&value, cursor_u8(&value));
	if (!value.failed)
		*address = a;
}

static void optional_decode(struct tlv tlv, struct lldp_pdu *pdu)
{
	switch (tlv.type) {
	case LLDP_PORT_DESCRIPTION:
		text_decode(tlv.value, &pdu->port_description);
		break;
	case LLDP_SYSTEM_NAME:
		text_decode(tlv.value, &pdu->system_name);
		break;
	case LLDP_SYSTEM_DESCRIPTION:
		text_decode(tlv.value, &pdu->system_description);
		break;
	case LLDP_SYSTEM_CAPABILITIES:
		if (tlv.value.left == 4) {
			pdu->capabilities = cursor_u16(&tlv.value);
			pdu->enabled = cursor_u16(&tlv.value);
		}
		break;
	case LLDP_MANAGEMENT_ADDRESS:
		address_decode(tlv.value, &pdu->address);
		break;
	default:
		break;
	}
}

enum malformed lldp_pdu_decode(struct cursor octets, struct lldp_pdu *pdu)
{
	enum malformed wrong;
	struct cursor rest;
	struct tlv tlv;

	*pdu = (struct lldp_pdu){ 0 };
	wrong = mandatory_decode(&octets, pdu);
	rest = octets;
	if (wrong != MALFORMED_none || !pdu->ttl)
		return wrong;
	while (tlv_read(&rest, &tlv)) {
		if (tlv.type == TLV_END && tlv.value.left)
			return MALFORMED_tlv_size;
		if (tlv.type == TLV_END)
			break;
		if (tlv.type <= LLDP_TTL)
			return MALFORMED_tlv_order;
		optional_decode(tlv, pdu);
		pdu->optional.left = (size_t)(rest.at - octets.at);
	}
	pdu->optional.at = octets.at;
	return rest.failed ? MALFORMED_tlv_overrun : MALFORMED_none;
}

static void id_encode(struct writer *w, enum lldp_tlv_type type, const struct lldp_id *id)
{
	size_t at = tlv_begin(w, (uint8_t)type);

	write_u8(w, id->subtype);
	write_octets(w, id->octets, id->size);
	tlv_end(w, at);
}

static void text_encode(struct writer *w, enum lldp_tlv_type type, struct cursor text)
{
	if (text.left > LLDP_TEXT_SIZE_MAX)
		w->full = true;
	else if (text.left)
		tlv_write(w, (uint8_t)type, text.at, text.left);
}

static void address_encode(struct writer *w, const struct lldp_address *a)
{
	size_t at = tlv_begin(w, LLDP_MANAGEMENT_ADDRESS);

	write_u8(w, (uint8_t)(1 + a->size));
	write_u8(w, a->subtype);
	write_octets(w, a->octets, a->size);
	write_u8(w, a->port_subtype);
	write_u32(w, a->port_number);
	write_u8(w, 0); /* no OID */
	tlv_end(w, at);
}

static void optional_encode(struct writer *w, const struct lldp_pdu *pdu)
{
	size_t at;

	text_encode(w, LLDP_PORT_DESCRIPTION, pdu->port_description);
	text_encode(w, LLDP_SYSTEM_NAME, pdu->system_name);
	text_encode(w, LLDP_SYSTEM_DESCRIPTION, pdu->system_description);
	if (pdu->capabilities) {
		at = tlv_begin(w, LLDP_SYSTEM_CAPABILITIES);
		write_u16(w, pdu->capabilities);
		write_u16(w, pdu->enabled);
		tlv_end(w, at);
	}
	if (pdu->address.size)
		address_encode(w, &pdu->address);
}

void lldp_pdu_encode(struct writer *w, const struct lldp_pdu *pdu, struct cursor more)
{
	size_t at;

	id_encode(w, LLDP_CHASSIS_ID, &pdu->chassis);
	id_encode(w, LLDP_PORT_ID, &pdu->port);
	at = tlv_begin(w, LLDP_TTL);
	write_u16(w, pdu->ttl);
	tlv_end(w, at);
	if (pdu->ttl) {
		optional_encode(w, pdu);
		write_octets(w, more.at, more.left);
	}
	write_u16(w, 0); /* End */
}
