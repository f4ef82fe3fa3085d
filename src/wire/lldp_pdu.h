// SPDX-License-Identifier: Apache-2.0
/*
 * LLDPDU (IEEE 802.1AB-2016 8): octets to struct and back. What it knows it puts into fields;
 * organizationally specific TLVs are left to whoever knows them (evb_tlv.h, cdcp_tlv.h). Pure, no
 * allocation; the LLDP agent (proto/lldp.h) and fuzzers are its callers.
 *
 *   | Chassis ID | Port ID | TTL | optional TLVs, any order ... | End 00 00 | zeroes up to 60 |
 *
 * A PDU is rejected as a whole if it does not begin with these three, has one of them twice, or has
 * a TLV that runs over its end (9.2.7.7). An optional TLV that has not the form of its type is left
 * out, and the rest counts. lldpad also rejects PDUs with an empty TLV; we take them, because the
 * standard allows empty texts (8.5.5 to 8.5.7), but send none. Nor do we miss an End where the
 * octets end: there is nothing left that it could keep apart.
 */
#ifndef EVB_WIRE_LLDP_PDU_H
#define EVB_WIRE_LLDP_PDU_H

#include "malformed.h"
#include "tlv.h"

enum lldp_tlv_type { /* 802.1AB-2016 table 8-1 */
		     LLDP_CHASSIS_ID = 1,
		     LLDP_PORT_ID,
		     LLDP_TTL,
		     LLDP_PORT_DESCRIPTION,
		     LLDP_SYSTEM_NAME,
		     LLDP_SYSTEM_DESCRIPTION,
		     LLDP_SYSTEM_CAPABILITIES,
		     LLDP_MANAGEMENT_ADDRESS,
};

enum {
	LLDP_ID_SIZE_MAX = 255,
	LLDP_TEXT_SIZE_MAX = 255,
	LLDP_ADDRESS_SIZE_MAX = 31,
	LLDP_CHASSIS_MAC = 4, /* subtype, table 8-2 */
	LLDP_PORT_MAC = 3,    /* subtype, table 8-3 */
	LLDP_PORT_NAME = 5,   /* subtype: interface name, table 8-3 */
};

/* Chassis ID or Port ID. */
struct lldp_id {
	uint8_t subtype;
	uint8_t size; /* 1 at least */
	uint8_t octets[LLDP_ID_SIZE_MAX];
};

/* Management Address (8.5.9); `size` 0: none. */
struct lldp_address {
	uint8_t subtype; /* IANA address family: 1 IPv4, 2 IPv6, 6 MAC */
	uint8_t size;
	uint8_t octets[LLDP_ADDRESS_SIZE_MAX];
	uint8_t port_subtype; /* 2: ifIndex */
	uint32_t port_number;
};

/* Texts have no NUL, may be of 0 octets, and lie in the octets that were decoded. */
struct lldp_pdu {
	struct lldp_id chassis, port;
	uint16_t ttl; /* seconds; 0: the neighbour says good-bye */
	struct cursor port_description, system_name, system_description;
	uint16_t capabilities, enabled; /* 8.5.8: bit 2 bridge, bit 7 station */
	struct lldp_address address;	/* the first, if there are several */
	struct cursor optional;		/* all that stands between TTL and End, for tlv_read() */
};

/* An ID of `size` octets, 1 to LLDP_ID_SIZE_MAX. */
struct lldp_id lldp_id_of(uint8_t subtype, const void *octets, size_t size);

bool lldp_id_equal(const struct lldp_id *a, const struct lldp_id *b);

/*
 * Decode what stands behind the EtherType. MALFORMED_none, or why the whole is rejected; `pdu` is
 * then unspecified. With TTL 0 only the mandatory TLVs count (9.2.7.7.4).
 */
enum malformed lldp_pdu_decode(struct cursor octets, struct lldp_pdu *pdu);

/*
 * Write `pdu` without `optional`, then `more`, which are whole TLVs, and End. What is empty is not
 * written; with TTL 0 only the mandatory TLVs are, as a shutdown LLDPDU has to be (9.1.2).
 * `w->full` if that does not fit or a text is too long.
 */
void lldp_pdu_encode(struct writer *w, const struct lldp_pdu *pdu, struct cursor more);

#endif
