// SPDX-License-Identifier: Apache-2.0
/*
 * The Ethernet header of a control frame: LLDP and ECP travel in Ethernet II frames to a reserved
 * group address (IEEE 802.1Q-2022 table 8-1), whose last digit says how far. No tag: that of an
 * S-channel is put around the frame by whoever sends it. Pure; the machines of proto/ write it.
 */
#ifndef EVB_WIRE_ENVELOPE_H
#define EVB_WIRE_ENVELOPE_H

#include "cursor.h"
#include "types.h"
#include "writer.h"

enum {
	ETHERTYPE_LLDP = 0x88cc,      /* 802.1AB-2016 7.4 */
	ETHERTYPE_ECP = 0x8940,	      /* 802.1Q-2022 43.3 */
	ETHERTYPE_ECP_DRAFT = 0x88b7, /* OUI extended EtherType, as the drafts used it */
	ENVELOPE_SIZE = 14,
	ENVELOPE_FRAME_MIN = 60,   /* without FCS, 802.3-2022 3.2.8 */
	ENVELOPE_FRAME_MAX = 1514, /* what peers have room for */
};

struct envelope {
	struct mac dst, src;
	uint16_t ethertype;
};

/* 01-80-C2-00-00-0X: 0x0 nearest customer bridge, 0x3 nearest non-TPMR, 0xe nearest bridge. */
static inline struct mac envelope_group(uint8_t x)
{
	return (struct mac){ { 0x01, 0x80, 0xc2, 0x00, 0x00, x } };
}

/* Take the header; `c->failed` if the frame is shorter. */
static inline struct envelope envelope_read(struct cursor *c)
{
	struct envelope e = { .ethertype = 0 };

	cursor_copy(c, e.dst.b, sizeof(e.dst.b));
	cursor_copy(c, e.src.b, sizeof(e.src.b));
	e.ethertype = cursor_u16(c);
	return e;
}

static inline void envelope_write(struct writer *w, struct envelope e)
{
	write_octets(w, e.dst.b, sizeof(e.dst.b));
	write_octets(w, e.src.b, sizeof(e.src.b));
	write_u16(w, e.ethertype);
}

#endif
