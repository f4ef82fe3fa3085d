// SPDX-License-Identifier: Apache-2.0
/*
 * VDP at the bridge: takes the requests of a station, has the VSI manager decide and the data plane
 * carry out, and answers (IEEE 802.1Q-2022 41.5.3), ratified and as the drafts had it. For one port
 * or S-channel, above ecp.h.
 *
 *            request                  accepted: data plane, answer
 *   (none) ───────────▶ DECIDING ──────────────────────────────────▶ STANDS ──┐ the same again:
 *      ▲                 │   ▲  ▲    refused, KEEP: answer            │ ▲  ▲   │ answer, timer anew
 *      │ refused: answer │   │  └─── another request ────────────────┘ │  └───┘
 *      ├─────────────────┘   └── resourceWaitDelay, associated: KEEP ──┘
 *      └── De-Associate: answer;  toutKeepAlive, revoked, resourceWaitDelay: De-Associate, no ACK
 *
 * The manager is whoever implements the hook `ask` and calls vdp_bridge_decide() then or later: the
 * one place where policy is known, which a shared store can take over. The data plane is the hook
 * `apply`. Traffic is let through for what stands as VDP_ASSOCIATE, and for nothing else.
 *
 * A VSI is in the table until its last word is handed to ECP. What needs no VSI (malformed
 * requests, a De-Associate of what is not there, no room) is answered from a small ring; beyond it,
 * the station gets no answer and asks again.
 */
#ifndef EVB_PROTO_VDP_BRIDGE_H
#define EVB_PROTO_VDP_BRIDGE_H

#include "timing.h"
#include "vsi_table.h"

enum vsi_bridge_state { VSI_DECIDING, VSI_ATTACHED, VSI_LEAVING };

/* A question to the manager: of which VSI, and which of its questions. */
struct vdp_ticket {
	uint32_t slot, number;
};

struct vdp_decision {
	enum vdp_error error; /* VDP_SUCCESS: accepted */
	bool hard;	      /* refused: do not ask again unchanged */
	bool keep;	      /* refused: what stands may go on */
	/* Accepted: filters with all VIDs filled in; NULL: as asked for. */
	const struct vdp_filters *filters;
};

struct vdp_bridge_hooks {
	/* There is something for vdp_bridge_fill(): ecp_wake(). */
	void (*wake)(void *ctx);
	/*
	 * Is v->asked acceptable? v->held is what stands (request 0: nothing). Answered by
	 * vdp_bridge_decide(), from here or before resourceWaitDelay is over.
	 */
	void (*ask)(void *ctx, tstamp now, struct vdp_ticket ticket, const struct vsi *v);
	/*
	 * Data plane: `v` has what `stands` says from now on (NULL: nothing), instead of v->held.
	 * False if that cannot be done; then nothing has changed. NULL always can.
	 */
	bool (*apply)(void *ctx, tstamp now, const struct vsi *v, const struct vdp_assoc *stands);
	void *ctx;
};

struct vdp_bridge_stats {
	uint64_t requests, keep_alives, accepted, refused, kept;
	uint64_t timed_out; /* VSIs not heard of for toutKeepAlive */
	uint64_t undecided; /* questions that the manager did not answer in time */
	uint64_t revoked;
	uint64_t ignored;    /* responses, which only stations get */
	uint64_t full;	     /* requests for VSIs beyond the table */
	uint64_t unanswered; /* what did not fit into the ring */
	uint64_t malformed[MALFORMED_N];
};

enum { VDP_LOOSE_MAX = 64 };

/* An answer without a VSI: a whole TLV. */
struct vdp_loose {
	struct vdp_manager manager;
	uint16_t size;
	uint8_t octets[TLV_SIZE_MAX];
};

struct vdp_bridge {
	struct vsi_table table;
	struct vdp_bridge_hooks hooks;
	struct vdp_bridge_stats stats;
	enum evb_generation generation;
	struct evb_timing timing;
	bool group_id;
	struct vdp_loose loose[VDP_LOOSE_MAX]; /* a ring */
	uint8_t loose_first, n_loose;
};

/* Room for `n` VSIs, as of vsi_table_init(). */
void vdp_bridge_init(struct vdp_bridge *b, struct vsi *slots, uint32_t n,
		     const struct vdp_bridge_hooks *hooks);

/* What evb.h has in use. What waits to be sent in another generation is dropped. */
void vdp_bridge_agree(struct vdp_bridge *b, tstamp now, enum evb_generation g,
		      const struct evb_timing *timing, bool group_id);

/* The manager's answer. One that comes too late, or for what is over, does nothing. */
void vdp_bridge_decide(struct vdp_bridge *b, tstamp now, struct vdp_ticket ticket,
		       const struct vdp_decision *decision);

/* End an association: policy has changed, or an operator says so. False if there is none. */
bool vdp_bridge_revoke(struct vdp_bridge *b, tstamp now, const struct vsi_id *id);

/* For ecp_hooks. */
bool vdp_bridge_fill(struct vdp_bridge *b, tstamp now, struct writer *w);
void vdp_bridge_deliver(struct vdp_bridge *b, tstamp now, struct cursor payload);

void vdp_bridge_run(struct vdp_bridge *b, tstamp now);
tstamp vdp_bridge_deadline(const struct vdp_bridge *b);

#endif
