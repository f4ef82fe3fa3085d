// SPDX-License-Identifier: Apache-2.0
/*
 * CDCP: which S-channels there are on a wire (IEEE 802.1Q-2022 42), either side. The station says
 * which it wants, by index; the bridge gives each a tag out of its pool; a channel exists while
 * both name it. Its TLV travels with the agent of the nearest non-TPMR bridge.
 *
 *   station  (1,1) (2,0)      ─▶                    wants channel 2
 *            ◀─ (1,1) (2,100)  bridge               has tag 100 for it
 *   station  (1,1) (2,100)    ─▶                    uses it
 *   station  (1,1)            ─▶                    uses it no longer: 100 is free again
 *
 * A bridge that was restarted names no channel until it has heard which there are; one that takes a
 * channel away names it without a tag. So a station keeps channels that are not named at all, and
 * says at once which tags they have, so that the bridge can give them again; but not for long.
 *
 * NOT_RUNNING is `has_peer` false: the other side is silent, gone, or of the same role. There is
 * the default channel then, (1,1), which has no tag, needs nobody's consent and never goes. Each
 * other one is its owner's to make and to remove (hook), with its own agent, EVB, ECP and VDP.
 */
#ifndef EVB_PROTO_CDCP_H
#define EVB_PROTO_CDCP_H

#include "cdcp_tlv.h"
#include "lldp_pdu.h"
#include "machine.h"

enum { CDCP_HOLD_S = 5 };

struct cdcp_config {
	enum cdcp_role role;
	bool s_component;
	uint16_t capacity; /* AdminChnCap: channels we can have, with the default one; 1 at least */
	/*
	 * Station: indices it wants, each once, without CDCP_DEFAULT, in order of importance.
	 * Bridge: those that it can serve; n_wanted 0: any.
	 */
	uint16_t wanted[CDCP_CHANNELS_MAX - 1];
	uint16_t n_wanted;
	/* Bridge: tags it may give, 2..4094. */
	uint16_t svid_low, svid_high;
};

struct cdcp_hooks {
	/* What cdcp_write_tlv() writes has changed. */
	void (*advertise)(void *ctx, tstamp now);
	/* Channel `scid` has this tag now; 0: it is gone. Another tag comes after a 0. */
	void (*channel)(void *ctx, tstamp now, uint16_t scid, uint16_t svid);
	void *ctx;
};

struct cdcp_stats {
	uint64_t taken, wrong_role, exhausted; /* exhausted: times that a channel got no tag */
	uint64_t malformed[MALFORMED_N];
};

struct cdcp {
	struct cdcp_config config;
	struct cdcp_hooks hooks;
	struct cdcp_stats stats;
	bool has_peer;		/* CDCP runs */
	struct cdcp_tlv remote; /* valid if so */
	tstamp hold_until;	/* station: keeps what the bridge forgot; TSTAMP_NEVER: nothing */
	/*
	 * The channels but the default one. Station: those wanted and within the capacity of both.
	 * Bridge: those asked for. svid 0: not granted.
	 */
	struct cdcp_channel channel[CDCP_CHANNELS_MAX - 1];
	uint16_t n_channels;
};

void cdcp_init(struct cdcp *c, const struct cdcp_config *config, const struct cdcp_hooks *hooks);

/* Other wishes, another pool or capacity; the role stays. Channels that may stay do. */
void cdcp_configure(struct cdcp *c, tstamp now, const struct cdcp_config *config);

/* Is that a peer? From lldp_hooks.is_wanted. */
bool cdcp_is_wanted(const struct cdcp *c, const struct lldp_pdu *pdu);

/* What the peer says now; NULL: there is none. From lldp_hooks.peer, non-TPMR scope. */
void cdcp_peer(struct cdcp *c, tstamp now, const struct lldp_pdu *pdu);

void cdcp_run(struct cdcp *c, tstamp now);
tstamp cdcp_deadline(const struct cdcp *c);

void cdcp_write_tlv(const struct cdcp *c, struct writer *w);

#endif
