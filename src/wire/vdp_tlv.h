// SPDX-License-Identifier: Apache-2.0
/*
 * The association TLVs of VDP (IEEE 802.1Q-2022 41.2), as ratified and as the drafts had
 * them: octets to struct and back, and what is wrong with the octets. What is asked for and granted
 * is the business of proto/vdp_station.h and proto/vdp_bridge.h. Pure.
 *
 *   ratified: type 1..4 | length 25 + entries |
 *      Status | VSI Type ID 3 | Version | VSIID format | VSIID 16 | Filter format | entries 2 | ...
 *   draft:    FE LL | 00-1B-3F | 02 |
 *      mode | response | manager | VSI Type ID 3 | Version | UUID 16 | format = 2 | entries 2 | ...
 *
 *   entries: VID            vid16
 *            MAC/VID        MAC 6 | vid16
 *            GroupID/VID    GroupID 4 | vid16
 *            GroupID/MAC/VID
 *   vid16:   15 PS, 14..12 PCP, 11..0 VID
 */
#ifndef EVB_WIRE_VDP_TLV_H
#define EVB_WIRE_VDP_TLV_H

#include "ecp_pdu.h"
#include "tlv.h"

enum vdp_request { /* TLV type, table 41-1; the drafts' mode is one less */
		   VDP_PRE_ASSOCIATE = 1,
		   VDP_PRE_ASSOCIATE_RR,
		   VDP_ASSOCIATE,
		   VDP_DE_ASSOCIATE,
		   VDP_MANAGER, /* VSI Manager ID: vdp_pdu.h */
};

/*
 * The status octet (41.2.3, table 41-2). A draft TLV has but the error, with other meanings from 3
 * on, and no sign of being a response.
 */
enum {
	VDP_ACK = 0x40,	    /* it is a response */
	VDP_SUSPEND = 0x20, /* request: S, the VSI's user is suspended */
	VDP_KEEP = 0x20,    /* response with an error: what was before still stands */
	VDP_MIGRATE = 0x10, /* request: M, the VSI's user is migrating */
	VDP_HARD = 0x10,    /* response with an error: do not try again unchanged */
	VDP_ERROR = 0x0f,
};

enum vdp_error {
	VDP_SUCCESS,
	VDP_INVALID_FORMAT,
	VDP_NO_RESOURCES,
	VDP_NO_MANAGER, /* unable to contact the VSI manager */
	VDP_OTHER,
	VDP_INVALID_FILTER, /* VID, GroupID or MAC */
	VDP_DRAFT_UNUSED_TYPE = 3,
	VDP_DRAFT_TYPE_VIOLATION = 4,
	VDP_DRAFT_VERSION_VIOLATION = 5,
	VDP_DRAFT_OUT_OF_SYNC = 6,
};

enum vsi_id_format {		      /* table 41-4 */
		     VSI_ID_IPV4 = 1, /* IPv4-mapped, RFC 4291 2.5.5.2 */
		     VSI_ID_IPV6,
		     VSI_ID_MAC, /* in the last six octets */
		     VSI_ID_LOCAL,
		     VSI_ID_UUID, /* RFC 4122, network order; the drafts know no other */
};

enum vdp_filter_format { /* table 41-5 */
			 VDP_FILTER_VID = 1,
			 VDP_FILTER_MAC_VID,
			 VDP_FILTER_GROUP_VID,
			 VDP_FILTER_GROUP_MAC_VID,
};

enum {
	VDP_TLV_HEAD_SIZE = 25, /* ratified value before the entries; the draft's is longer */
	VDP_ENTRIES_SIZE_MAX = TLV_VALUE_MAX - VDP_TLV_HEAD_SIZE,
	VDP_DRAFT_TLV_SUBTYPE = 0x02,
	VDP_VID = 0x0fff,     /* of vid16 */
	VDP_VID_PCP = 0x7000, /* priority */
	VDP_VID_PS = 0x8000,  /* PCP is significant */
};

struct vdp_manager {
	uint8_t octets[16]; /* a key; all zero: the station knows none. Drafts: the first octet */
};

struct vsi_id {
	uint8_t octets[16];
	uint8_t format; /* enum vsi_id_format */
};

/* One filter. What the format does not have is zero. */
struct vdp_filter {
	uint32_t group;
	struct mac mac;
	uint16_t vid; /* VDP_VID*; VID 0: the bridge is to choose */
};

/* Filters as octets, so that hundreds of VSIs do not need a megabyte. See vdp_filter_at(). */
struct vdp_filters {
	uint8_t format; /* enum vdp_filter_format */
	uint16_t n;
	uint8_t octets[VDP_ENTRIES_SIZE_MAX];
};

struct vdp_assoc {
	enum vdp_request request; /* none but the four of associations */
	uint8_t status;
	uint8_t version;
	uint32_t type_id;	    /* 24 bits */
	struct vdp_manager manager; /* ratified: of the PDU, not of the TLV */
	struct vsi_id id;
	struct vdp_filters filters;
};

static inline bool vsi_id_equal(const struct vsi_id *a, const struct vsi_id *b)
{
	return a->format == b->format && !memcmp(a->octets, b->octets, sizeof(a->octets));
}

static inline bool vdp_manager_equal(const struct vdp_manager *a, const struct vdp_manager *b)
{
	return !memcmp(a->octets, b->octets, sizeof(a->octets));
}

/* Octets of an entry; 0 if there is no such format. */
uint8_t vdp_filter_size(uint8_t format);

/* Entry `i` of `f->n`. */
struct vdp_filter vdp_filter_at(const struct vdp_filters *f, uint16_t i);

/* Set entry `i` of `f->n`; what the format does not have is left out. */
void vdp_filter_set(struct vdp_filters *f, uint16_t i, struct vdp_filter filter);

/* Add one; false if there is no more room in a TLV of this generation. */
bool vdp_filter_add(struct vdp_filters *f, enum evb_generation g, struct vdp_filter filter);

bool vdp_filters_equal(const struct vdp_filters *a, const struct vdp_filters *b);

/*
 * Is `got` what `asked` says, in the same order, but for what it leaves open: a VID where it has 0,
 * PS and PCP where it has no PS (41.2.9)?
 */
bool vdp_filters_fill(const struct vdp_filters *asked, const struct vdp_filters *got);

/* What is wrong with the filters of a request: reserved VID, VID 0 twice, GroupID 0, group MAC. */
enum malformed vdp_filters_check(const struct vdp_filters *f);

/* What is wrong with the ID. */
enum malformed vsi_id_check(const struct vsi_id *id);

/* The association that a TLV asks for, without a look at the rest; 0 if it is of another kind. */
enum vdp_request vdp_request_of(struct tlv tlv, enum evb_generation g);

/*
 * Decode a TLV whose request is not 0. MALFORMED_none, or what is wrong with it; `assoc` is then
 * unspecified but for `request`. `assoc->manager` of a ratified TLV is left alone. Responses are
 * checked like requests.
 */
enum malformed vdp_assoc_decode(struct tlv tlv, enum evb_generation g, struct vdp_assoc *assoc);

/* Write the whole TLV; with another request and status than it has. */
void vdp_assoc_encode_as(struct writer *w, enum evb_generation g, const struct vdp_assoc *assoc,
			 enum vdp_request request, uint8_t status);
void vdp_assoc_encode(struct writer *w, enum evb_generation g, const struct vdp_assoc *assoc);

/*
 * Write a TLV that was malformed as its own answer: the same octets, with `status` in the status
 * octet. False, and nothing is written, if it is too short to have one.
 */
bool vdp_reject_encode(struct writer *w, enum evb_generation g, struct tlv tlv, uint8_t status);

/* The error that answers a malformed request: VDP_INVALID_FORMAT or VDP_INVALID_FILTER. */
enum vdp_error vdp_error_of(enum malformed wrong, enum evb_generation g);

#endif
