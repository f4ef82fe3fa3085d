// SPDX-License-Identifier: Apache-2.0
#include "ecp_pdu.h"

#include "tlv.h"

enum { VERSION = 1, VERSION_SHIFT = 12, OPERATION_SHIFT = 10, OPERATION = 3, SUBTYPE = 0x3ff };

bool ecp_generation(uint16_t ethertype, enum evb_generation *generation)
{
	if (ethertype != ETHERTYPE_ECP && ethertype != ETHERTYPE_ECP_DRAFT)
		return false;
	*generation = ethertype == ETHERTYPE_ECP ? EVB_RATIFIED : EVB_DRAFT;
	return true;
}

uint16_t ecp_ethertype(enum evb_generation generation)
{
	return generation == EVB_DRAFT ? ETHERTYPE_ECP_DRAFT : ETHERTYPE_ECP;
}

struct mac ecp_group(enum evb_generation generation)
{
	return envelope_group(generation == EVB_DRAFT ? 0xe : 0x0);
}

static enum malformed draft_decode(struct cursor *c, uint8_t *operation)
{
	uint32_t oui = cursor_u24(c);
	uint8_t zero = cursor_u8(c);
	uint16_t subtype = cursor_u16(c);

	*operation = cursor_u8(c);
	if (c->failed)
		return MALFORMED_truncated;
	if (oui != OUI_EVB_DRAFT || zero)
		return MALFORMED_foreign;
	return subtype ? MALFORMED_subtype : MALFORMED_none;
}

static enum malformed ratified_decode(struct cursor *c, uint8_t *operation)
{
	uint16_t word = cursor_u16(c);

	*operation = word >> OPERATION_SHIFT & OPERATION;
	if (c->failed)
		return MALFORMED_truncated;
	if (word >> VERSION_SHIFT != VERSION)
		return MALFORMED_version;
	return (word & SUBTYPE) == ECP_SUBTYPE_VDP ? MALFORMED_none : MALFORMED_subtype;
}

enum malformed ecp_pdu_decode(enum evb_generation generation, struct cursor octets,
			      struct ecp_pdu *pdu)
{
	enum malformed wrong;
	uint8_t operation;

	wrong = generation == EVB_DRAFT ? draft_decode(&octets, &operation) :
					  ratified_decode(&octets, &operation);
	if (wrong != MALFORMED_none)
		return wrong;
	if (operation > ECP_ACK)
		return MALFORMED_operation;
	pdu->operation = (enum ecp_operation)operation;
	pdu->sequence = cursor_u16(&octets);
	pdu->payload = octets;
	return octets.failed ? MALFORMED_truncated : MALFORMED_none;
}

void ecp_pdu_encode(struct writer *w, enum evb_generation generation, const struct ecp_pdu *pdu)
{
	if (generation == EVB_DRAFT) {
		write_u24(w, OUI_EVB_DRAFT);
		write_u8(w, 0);
		write_u16(w, 0);
		write_u8(w, (uint8_t)pdu->operation);
	} else {
		write_u16(w, (uint16_t)(VERSION << VERSION_SHIFT |
					(unsigned)pdu->operation << OPERATION_SHIFT |
					ECP_SUBTYPE_VDP));
	}
	write_u16(w, pdu->sequence);
	write_octets(w, pdu->payload.at, pdu->payload.left);
}
