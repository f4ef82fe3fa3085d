// SPDX-License-Identifier: Apache-2.0
/*
 * The agents: what speaks LLDP, EVB, ECP and VDP (IEEE 802.1AB, 802.1Q clauses 40 to 43) on the
 * ports that are to. They hold the machines of proto/, tell them the time, and connect them with
 * the daemon. They know no model, socket or relay: the plane says which ports have agents and
 * hands over frames; hooks send, reflect, decide, carry out and tell. Control thread.
 *
 *   plane ── agents_set, agents_link, agents_received ──▶ agents ── hooks ──▶ plane, manager
 *   vsi, libvirt ── agents_vsi_request ──▶                       ── outcome ──▶ vsi, libvirt
 */
#ifndef EVB_DAEMON_AGENTS_H
#define EVB_DAEMON_AGENTS_H

#include "cdcp.h"
#include "err.h"
#include "evb_link.h"
#include "loop.h"

struct agents;

enum {
	AGENT_TEXT_SIZE = 128,
	AGENT_VSIS_MAX = 1024, /* of one port */
	AGENT_SCOPES_ALL = (1 << LLDP_SCOPES_N) - 1,
};

/* What a port speaks. */
struct agent_config {
	bool has_evb;	       /* EVB, ECP and VDP, with LLDP of the customer bridge scope */
	uint8_t scopes;	       /* bit per enum lldp_scope: plain LLDP agents, beside that of EVB */
	uint8_t role;	       /* enum evb_role */
	uint8_t dialect;       /* enum evb_dialect */
	bool reflective_relay; /* station: asks for it; bridge: may */
	struct mac mac;	       /* source of frames, chassis ID and, of EVB, port ID */
	char port[AGENT_TEXT_SIZE]; /* name of the interface: port ID of LLDP, port description */
	struct evb_values values;
	uint8_t cap;		   /* of EVB's exponents that the other end wants */
	uint16_t interval_s, hold; /* LLDP */
	bool has_cdcp;		   /* with LLDP of the non-TPMR scope */
	struct cdcp_config cdcp;
};

/* EVB's values of the standard, everything else zero or off. */
struct agent_config agent_config_default(enum evb_role role);

/*
 * Those of machines: see proto/. None may be NULL. None may call agents_set() or, but where it says
 * so, what makes a machine do something.
 */
struct agents_hooks {
	/* Send a frame out of the port, with the S-tag of its channel, if it has one. */
	void (*send)(void *ctx, port_id port, const uint8_t *frame, size_t size);
	/* Bridge: begin or end to reflect on the port, then agents_reflects(), even from here. */
	void (*reflect)(void *ctx, port_id port, bool on);
	/* What agents_evb() says of peer, values in use or reflection has changed. */
	void (*changed)(void *ctx, port_id port);
	void (*neighbour)(void *ctx, port_id port, enum lldp_scope scope, enum lldp_event event,
			  const struct lldp_neighbour *n);
	/* Channel `scid` of the port's wire has tag `svid` now; 0: it is gone. */
	void (*channel)(void *ctx, port_id port, uint16_t scid, uint16_t svid);
	/* Bridge: to be answered by agents_decide(), even from here. */
	void (*ask)(void *ctx, port_id port, struct vdp_ticket ticket, const struct vsi *v);
	/* Bridge: `v` has what `stands` says from now on; NULL: nothing. False: it cannot. */
	bool (*apply)(void *ctx, port_id port, const struct vsi *v, const struct vdp_assoc *stands);
	/* Station: what became of the VSI v->id. */
	void (*outcome)(void *ctx, port_id port, enum vdp_outcome outcome, const struct vsi *v,
			uint8_t status);
	void *ctx;
};

/* None at first; NULL without memory. `loop` and the context of hooks must outlive it. */
struct agents *agents_new(struct loop *loop, const struct agents_hooks *hooks);

/* Without good-bye. NULL is legal. */
void agents_free(struct agents *a);

/*
 * Let the port speak as `c` says; NULL or nothing to speak: not at all. What was there before says
 * good-bye, unless it can become what `c` says as it is. A new one starts with the link down, and
 * without channels; those of an old one are not told of.
 * 0, or -ENOMEM and the port has what it had.
 */
int agents_set(struct agents *a, port_id port, const struct agent_config *c);

/* Does the port have any? */
bool agents_has(const struct agents *a, port_id port);

/* The port can send and receive now, or no longer. */
void agents_link(struct agents *a, port_id port, bool up);

/* A frame for the bridge itself came, without S-tag. False if it is for none of the agents. */
bool agents_received(struct agents *a, port_id port, const uint8_t *frame, size_t size);

/* Bridge: the data plane reflects now, or does no longer. */
void agents_reflects(struct agents *a, port_id port, bool on);

/* Station: of vdp_station_request(); -ENODEV: the port has no EVB agent of a station. */
int agents_vsi_request(struct agents *a, port_id port, const struct vdp_assoc *want);

/* Bridge: the answer to hooks.ask. Too late, or for what is gone: nothing happens. */
void agents_decide(struct agents *a, port_id port, struct vdp_ticket ticket,
		   const struct vdp_decision *d);

/* Bridge: end an association. False if there is none. */
bool agents_revoke(struct agents *a, port_id port, const struct vsi_id *id);

/* To look at; NULL: the port has none. Valid until the next agents_set() of the port. */
const struct evb_link *agents_evb(const struct agents *a, port_id port);
const struct cdcp *agents_cdcp(const struct agents *a, port_id port);
const struct lldp *agents_lldp(const struct agents *a, port_id port, enum lldp_scope scope);

/* The table of VSIs of an EVB link, whichever end it is. */
static inline const struct vsi_table *agents_vsis(const struct evb_link *l)
{
	return l->evb.config.role == EVB_STATION ? &l->station.table : &l->bridge.table;
}

#endif
