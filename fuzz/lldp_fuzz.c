// SPDX-License-Identifier: Apache-2.0
/*
 * A frame of LLDP as it comes from the wire, with the EVB, draft EVB and CDCP TLVs in it. Nothing
 * behind its end is read, what is accepted is within its fields, and written again says the same.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "cdcp_tlv.h"
#include "envelope.h"
#include "evb_tlv.h"
#include "lldp_pdu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 4096 };

/* The value of the one TLV that `w` has. */
static struct cursor value_of(const struct writer *w, uint32_t oui, uint8_t subtype)
{
	struct cursor c = cursor_of(w->octets, w->size), value;
	struct tlv tlv = { 0 };

	assert(!w->full && tlv_read(&c, &tlv) && !c.left);
	assert(tlv_is_of(tlv, oui, subtype, &value));
	return value;
}

static void check_evb(struct cursor value)
{
	uint8_t octets[TLV_SIZE_MAX];
	struct writer w = writer_of(octets, sizeof(octets));
	struct evb_tlv evb, back;

	if (evb_tlv_decode(value, &evb) != MALFORMED_none)
		return;
	evb_tlv_encode(&w, &evb);
	assert(w.size == 11);
	assert(evb_tlv_decode(value_of(&w, OUI_8021, EVB_TLV_SUBTYPE), &back) == MALFORMED_none);
	assert(back.bridge == evb.bridge && back.station == evb.station && back.rte == evb.rte);
	assert(back.retries == evb.retries && back.mode == evb.mode);
	assert(back.rwd.value == evb.rwd.value && back.rwd.remote == evb.rwd.remote);
	assert(back.rka.value == evb.rka.value && back.rka.remote == evb.rka.remote);
}

static void check_draft(struct cursor value)
{
	uint8_t octets[TLV_SIZE_MAX];
	struct writer w = writer_of(octets, sizeof(octets));
	struct evb_draft_tlv evb, back;

	if (evb_draft_tlv_decode(value, &evb) != MALFORMED_none)
		return;
	evb_draft_tlv_encode(&w, &evb);
	assert(w.size == 15 && !memcmp(octets + 6, value.at, 9));
	value = value_of(&w, OUI_EVB_DRAFT, EVB_DRAFT_TLV_SUBTYPE);
	assert(evb_draft_tlv_decode(value, &back) == MALFORMED_none);
}

static void check_cdcp(struct cursor value)
{
	uint8_t octets[TLV_SIZE_MAX];
	struct writer w = writer_of(octets, sizeof(octets));
	struct cdcp_tlv cdcp;

	if (cdcp_tlv_decode(value, &cdcp) != MALFORMED_none)
		return;
	assert(cdcp.n >= 1 && cdcp.n <= CDCP_CHANNELS_MAX);
	cdcp_tlv_encode(&w, &cdcp);
	assert(w.size == 2 + 8 + 3u * cdcp.n);
	assert(!memcmp(octets + 10, value.at + 4, 3u * cdcp.n));
}

static void check_again(const struct lldp_pdu *pdu)
{
	static uint8_t octets[ROOM];
	struct writer w = writer_of(octets, sizeof(octets));
	struct lldp_pdu back;

	lldp_pdu_encode(&w, pdu, cursor_of(NULL, 0));
	assert(!w.full);
	assert(lldp_pdu_decode(cursor_of(octets, w.size), &back) == MALFORMED_none);
	assert(lldp_id_equal(&back.chassis, &pdu->chassis));
	assert(lldp_id_equal(&back.port, &pdu->port));
	assert(back.ttl == pdu->ttl && back.address.size == pdu->address.size);
	assert(back.capabilities == pdu->capabilities);
	assert(back.system_name.left == pdu->system_name.left);
	assert(!pdu->system_name.left ||
	       !memcmp(back.system_name.at, pdu->system_name.at, pdu->system_name.left));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size), value;
	struct lldp_pdu pdu;
	struct tlv tlv;

	if (envelope_read(&c).ethertype != ETHERTYPE_LLDP ||
	    lldp_pdu_decode(c, &pdu) != MALFORMED_none)
		return 0;
	check_again(&pdu);
	while (tlv_read(&pdu.optional, &tlv)) {
		if (tlv_is_of(tlv, OUI_8021, EVB_TLV_SUBTYPE, &value))
			check_evb(value);
		else if (tlv_is_of(tlv, OUI_EVB_DRAFT, EVB_DRAFT_TLV_SUBTYPE, &value))
			check_draft(value);
		else if (tlv_is_of(tlv, OUI_8021, CDCP_TLV_SUBTYPE, &value))
			check_cdcp(value);
	}
	assert(!pdu.optional.failed);
	return 0;
}
