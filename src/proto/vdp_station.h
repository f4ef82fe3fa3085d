// SPDX-License-Identifier: Apache-2.0
/*
 * VDP at the station: tells the bridge which VSIs there are and what they need, and keeps that
 * alive (IEEE 802.1Q-2022 41.5.2), ratified and as the drafts had it. For one port or S-channel,
 * above ecp.h. A client (libvirt, a port of ours) makes requests and is told what became of them.
 *
 *             request                 success                  reinitKeepAlive
 *   (none) ────────────▶ ASKING ───────────────────▶ STANDS ───────────────────▶ REFRESHING
 *      ▲                  │  ▲   KEEP: what stood      │ ▲                          │  │
 *      │ refused, timeout │  └───── request ───────────┘ └──── success, KEEP ───────┘  │
 *      ├──────────────────┘                            │ revoked by the bridge         │
 *      └───────────────────────────────────────────────┴───────────────────────────────┘
 *
 * A VSI that is over is free at once, so that the next request for it is the first. What the client
 * has to know of it afterwards it keeps itself. KEEP to a keep-alive leaves the VSI as it is: that
 * is what KEEP says; lldpad de-associates then.
 *
 * respWaitDelay runs from when the TLV is handed to ECP. As long as it waits for its turn there,
 * and the link is up, there is no timeout.
 *
 * A bridge may acknowledge requests much faster than it answers them (lldpad: one VSI each
 * ackTimerInit), and what it answers after respWaitDelay it answers in vain. So only `window` VSIs
 * are with the bridge at a time: more as long as answers are about as quick as the quickest was,
 * fewer when they take half of respWaitDelay, or do not come.
 */
#ifndef EVB_PROTO_VDP_STATION_H
#define EVB_PROTO_VDP_STATION_H

#include "timing.h"
#include "vsi_table.h"

enum vdp_outcome {
	VDP_STANDS,    /* v->held stands, perhaps with VIDs filled in */
	VDP_KEPT,      /* the request was refused, and what stood before still stands */
	VDP_ENDED,     /* de-associated, as was asked for */
	VDP_REFUSED,   /* the bridge said no; it is over */
	VDP_TIMED_OUT, /* the bridge said nothing; it is over */
	VDP_REVOKED,   /* the bridge ended it */
};

enum vsi_station_state { VSI_ASKING, VSI_STANDS, VSI_REFRESHING };

struct vdp_station_hooks {
	/* There is something for vdp_station_fill(): ecp_wake(). */
	void (*wake)(void *ctx);
	/*
	 * What became of a VSI; `status` is that of the response, or 0. Unless it is VDP_STANDS or
	 * VDP_KEPT it is freed when this returns. Calls nothing of the station.
	 */
	void (*outcome)(void *ctx, tstamp now, enum vdp_outcome outcome, const struct vsi *v,
			uint8_t status);
	void *ctx;
};

struct vdp_station_stats {
	uint64_t requests, keep_alives, responses;
	uint64_t mismatched; /* responses to nothing that we asked, or that differ from it */
	uint64_t ignored;    /* requests of a bridge that only stations make */
	uint64_t malformed[MALFORMED_N];
};

struct vdp_station {
	struct vsi_table table;
	struct vdp_station_hooks hooks;
	struct vdp_station_stats stats;
	enum evb_generation generation;
	struct evb_timing timing;
	bool group_id, link_up;
	uint32_t window, n_sent; /* VSIs that may be, and that are with the bridge */
	tstamp quickest;	 /* answer since the link is up */
};

/* Room for `n` VSIs, as of vsi_table_init(). Starts with the link down. */
void vdp_station_init(struct vdp_station *s, struct vsi *slots, uint32_t n,
		      const struct vdp_station_hooks *hooks);

/* What evb.h has in use. Another generation repeats what stands. */
void vdp_station_agree(struct vdp_station *s, tstamp now, enum evb_generation g,
		       const struct evb_timing *timing, bool group_id);

/* Up: what stands is repeated at once. Down: it stands, and waits. */
void vdp_station_link(struct vdp_station *s, tstamp now, bool up);

/*
 * Ask for what `want` says; of its status, VDP_SUSPEND and VDP_MIGRATE count. A De-Associate names
 * the ID, and the rest is what stands; of what is not there, it says all, for a station that began
 * anew to end what its bridge still has. 0, then outcome() in time; or, and nothing has changed:
 *   -EINVAL   malformed; less than stands already; a De-Associate by ID of what is not there
 *   -EBUSY    the last request for it is not decided yet
 *   -ENOSPC   no room for another VSI
 *   -EOPNOTSUPP  the bridge has no GroupIDs, or the drafts have not that format of filter or ID
 */
int vdp_station_request(struct vdp_station *s, tstamp now, const struct vdp_assoc *want);

/* For ecp_hooks. */
bool vdp_station_fill(struct vdp_station *s, tstamp now, struct writer *w);
void vdp_station_deliver(struct vdp_station *s, tstamp now, struct cursor payload);

void vdp_station_run(struct vdp_station *s, tstamp now);
tstamp vdp_station_deadline(const struct vdp_station *s);

#endif
