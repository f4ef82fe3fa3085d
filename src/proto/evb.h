// SPDX-License-Identifier: Apache-2.0
/*
 * What the two ends of an EVB link agree upon by LLDP (IEEE 802.1Q-2022 40.4, D.2.12): whether the
 * bridge reflects, which values ECP and VDP use, whether GroupIDs are allowed, and which generation
 * of the standard is spoken. For one port or S-channel, either end; it has no timer of its own.
 *
 *   bridge:   a station asks (RRREQ) and we may (RRCAP)  ─▶ hook reflect(true)
 *             the data plane does: evb_reflects(true)    ─▶ RRCTR = 1, not before
 *             it asks no more, says good-bye, ages, link ─▶ reflect(false), RRCTR = 0 at once
 *   station:  no live bridge: RRSTAT = 3 unknown;  else RRSTAT is the bridge's RRCTR
 *
 * R, RTE, RWD and RKA in use are the greater of both ends', and that is what is sent; so what one
 * end hears of a value may be its own, which the other repeats, and each would hold up the other's
 * for ever. ROL does not tell: lldpad sets it when both are equal, too, and we do the same; R and
 * RTE have none. Hence an end that lowers a value says its own, and repeats nothing up to what it
 * had said before, until the peer says no more than that, or (ROL 0) that the value is its own.
 * What the peer says counts for what is in use all the same.
 *
 * Exponents in use stay below a bound, unless one's own is beyond it: 31 would be six hours.
 */
#ifndef EVB_PROTO_EVB_H
#define EVB_PROTO_EVB_H

#include "evb_tlv.h"
#include "lldp_pdu.h"
#include "timing.h"

enum evb_role { EVB_STATION, EVB_BRIDGE };

/* Which TLV is sent. EVB_AUTO: ratified, unless the peer sends the drafts' and no other. */
enum evb_dialect { EVB_AUTO, EVB_RATIFIED_ONLY, EVB_DRAFT_ONLY };

enum {
	EVB_DRAFT_VSIS = 3295,
};

struct evb_config {
	enum evb_role role;
	enum evb_dialect dialect;
	bool reflective_relay; /* station: RRREQ; bridge: RRCAP */
	bool group_id;	       /* SGID, BGID */
	bool manual;	       /* own values only, whatever the peer's are */
	struct evb_values values;
	uint8_t cap; /* of exponents that the peer wants; 0: own values only, but for R */
};

struct evb_hooks {
	/* What evb_write_tlv() writes has changed. */
	void (*advertise)(void *ctx, tstamp now);
	/* Bridge: begin or end to reflect on this port, then call evb_reflects(), even here. */
	void (*reflect)(void *ctx, tstamp now, bool on);
	/* Something below `in use` has changed. */
	void (*changed)(void *ctx, tstamp now);
	void *ctx;
};

struct evb_stats {
	uint64_t taken;	     /* TLVs, of either generation */
	uint64_t wrong_role; /* the peer is a bridge like us, or a station like us */
	uint64_t malformed[MALFORMED_N];
};

struct evb {
	struct evb_config config;
	struct evb_hooks hooks;
	struct evb_stats stats;
	/* The peer: */
	bool has_peer;		    /* it is alive, of the other role, and speaks our generation */
	struct evb_tlv remote;	    /* valid if so, and ratified */
	struct evb_draft_tlv draft; /* valid if so, and draft */
	struct evb_values offered;  /* what a peer may have from us: at least our own */
	/* In use: */
	enum evb_generation generation;
	struct evb_values values;
	bool group_id;		   /* both support it */
	enum evb_rr_status status; /* station: what it sees; bridge: what it does */
	bool draft_vdp;		   /* draft: both support ECP and VDP */
	/* Bridge: */
	bool wants_reflect, reflects;
	uint16_t n_vsis; /* draft: VSIs that are associated, for evb_write_tlv() */
};

struct evb_config evb_config_default(enum evb_role role);

/* What the peer wants; of a draft, what it does not say is 0. Valid if there is one. */
struct evb_values evb_remote(const struct evb *e);

/* Does the peer want more than config.cap lets it have? */
bool evb_is_capped(const struct evb *e);

void evb_init(struct evb *e, const struct evb_config *config, const struct evb_hooks *hooks);

/* Take another configuration; role and dialect stay. */
void evb_configure(struct evb *e, tstamp now, const struct evb_config *config);

/* Is that a peer? From lldp_hooks.is_wanted. */
bool evb_is_wanted(const struct evb *e, const struct lldp_pdu *pdu);

/* What the peer says now; NULL: there is none. From lldp_hooks.peer, customer bridge scope. */
void evb_peer(struct evb *e, tstamp now, const struct lldp_pdu *pdu);

/* Bridge: the data plane reflects now, or does no longer. */
void evb_reflects(struct evb *e, tstamp now, bool on);

/* Write our TLV, of the generation in use: never both. */
void evb_write_tlv(const struct evb *e, struct writer *w);

#endif
