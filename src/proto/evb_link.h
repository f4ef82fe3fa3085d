// SPDX-License-Identifier: Apache-2.0
/*
 * One end of an EVB link: the machines of one port or S-channel, connected with each other. What
 * its owner has to do is to hand over frames, the state of the link, and the time; and to send, to
 * reflect, to decide, and to carry out. S-channels have one each, and the tag is put around by the
 * owner.
 *
 *                 evb ◀── peer ── lldp (nearest customer bridge) ◀─┐
 *                  │ values in use                                 ├── frames
 *                  ▼                                               │
 *   client ──▶ vdp_station or vdp_bridge ◀── fill, deliver ── ecp ◀─┘
 *
 * VDP does not wait for EVB: lldpad's station begins a second after the link is up, whatever the
 * bridge has said, and so may ours. Once the values in use or the generation change, both follow.
 */
#ifndef EVB_PROTO_EVB_LINK_H
#define EVB_PROTO_EVB_LINK_H

#include "ecp.h"
#include "evb.h"
#include "lldp.h"
#include "vdp_bridge.h"
#include "vdp_station.h"

struct evb_link_config {
	struct evb_config evb;
	struct lldp_config lldp; /* its scope is set here */
	struct ecp_config ecp;
	struct vsi *slots; /* room for VSIs, zero; lent as long as the link is */
	uint32_t n_slots;
};

struct evb_link_hooks {
	machine_send *send;
	/* Of lldp.h, evb.h: for those who watch; `changed` after all machines have followed. */
	void (*neighbour)(void *ctx, enum lldp_event event, const struct lldp_neighbour *n);
	void (*changed)(void *ctx, tstamp now);
	/* Bridge: of evb.h and vdp_bridge.h. A station's may be NULL. */
	void (*reflect)(void *ctx, tstamp now, bool on);
	void (*ask)(void *ctx, tstamp now, struct vdp_ticket ticket, const struct vsi *v);
	bool (*apply)(void *ctx, tstamp now, const struct vsi *v, const struct vdp_assoc *stands);
	/* Station: of vdp_station.h. A bridge's may be NULL. */
	void (*outcome)(void *ctx, tstamp now, enum vdp_outcome outcome, const struct vsi *v,
			uint8_t status);
	void *ctx;
};

struct evb_link {
	struct evb_link_hooks hooks;
	struct lldp lldp;
	struct evb evb;
	struct ecp ecp;
	union { /* by evb.config.role */
		struct vdp_station station;
		struct vdp_bridge bridge;
	};
};

/* `l` stays where it is: its machines know it. Starts with the link down. */
void evb_link_init(struct evb_link *l, const struct evb_link_config *config,
		   const struct evb_link_hooks *hooks);

void evb_link_up(struct evb_link *l, tstamp now, bool up);

/* A frame came, without tag. False if it is for none of the machines. */
bool evb_link_received(struct evb_link *l, tstamp now, struct cursor frame);

/* Say good-bye by LLDP. VSIs stay as they are: the bridge lets go of them when it hears no more. */
void evb_link_stop(struct evb_link *l, tstamp now);

void evb_link_run(struct evb_link *l, tstamp now);
tstamp evb_link_deadline(const struct evb_link *l);

#endif
