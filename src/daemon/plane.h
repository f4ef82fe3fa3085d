// SPDX-License-Identifier: Apache-2.0
/*
 * The plane: makes the ports and bridges of a model real and keeps them so. It opens and closes
 * devices through the broker, builds the view that workers forward by, learns addresses from what
 * workers report, follows devices as they come, go, change and fail, and mends what can be mended.
 * It does not parse requests (methods.c), check a configuration (model.c) or touch a frame.
 * Control thread; it runs from callbacks of the loop and from plane_apply().
 *
 *   request ─▶ model copy ─▶ plane_apply ─▶ broker opens ─▶ view ─▶ relay
 *   netlink ─▶ state of a port ──────────────────────────▶ view     │ reports: learned, fault
 *                     ▲                                             ▼
 *                     └──────────── learned addresses, faults ◀─────┘
 */
#ifndef EVB_DAEMON_PLANE_H
#define EVB_DAEMON_PLANE_H

#include <stdbool.h>
#include <stdint.h>

#include "agents.h"
#include "err.h"
#include "events.h"
#include "groups.h"
#include "guard.h"
#include "log.h"
#include "loop.h"
#include "model.h"
#include "netlink.h"
#include "port.h"
#include "relay.h"
#include "types.h"
#include "vhost_user.h"
#include "xdp.h"

struct plane;

/* A plane with an empty model; NULL with `e` set. The arguments must outlive it. */
struct plane *plane_new(struct loop *loop, struct relay *relay, const struct log *log,
			const struct events *ev, struct err *e);

/*
 * Where files go that must outlive evbd: the folder of the control socket. Without it, there are
 * none. Must outlive the plane.
 */
void plane_set_run_dir(struct plane *p, const char *run_dir);

/* Who sees to it that nothing stays on devices of the host. Must outlive the plane. */
void plane_set_guard(struct plane *p, struct guard *g);

/* Close all ports and remove the devices made for them. NULL is legal. */
void plane_free(struct plane *p);

/* The model as it is now; valid until the next turn of the loop or plane_apply(). */
const struct model *plane_model(const struct plane *p);

/*
 * Become like `target`, or refuse with `e` set and nothing changed. `at_boot`: ports whose device
 * or namespace does not exist are accepted and wait for it.
 */
int plane_apply(struct plane *p, const struct model *target, bool at_boot, struct err *e);

/* What iproute2 calls operstate. */
/* FAULTY is ours: the guest broke the rules. */
enum plane_operstate { PLANE_UP, PLANE_DOWN, PLANE_LOWERLAYERDOWN, PLANE_STANDBY, PLANE_FAULTY };

const char *plane_operstate_name(enum plane_operstate s);

struct plane_status {
	uint8_t operstate;  /* enum plane_operstate */
	char reason[256];   /* why it is not up, or what does not work all the same; or "" */
	char hint[512];	    /* what to do about it */
	uint32_t mtu;	    /* in force */
	struct mac address; /* of the device; zero if unknown */
	bool is_backup;	    /* an uplink that is not the active one of its bridge */
};

/* State of a port or bridge that is in plane_model(). */
void plane_port_status(const struct plane *p, port_id id, struct plane_status *out);
void plane_bridge_status(const struct plane *p, bridge_id id, struct plane_status *out);

/* What the port counted since it was added, reopenings included. */
void plane_port_counters(const struct plane *p, port_id id, struct port_counters *out);

/* How an XDP port works, or false: it is none. `why`: why not, or what it lacks; or "". */
bool plane_port_xdp(const struct plane *p, port_id id, struct xdp_info *out, char why[256]);

/* What a vhost-user port has agreed upon and counted. False: it is not one. */
bool plane_port_vhost(const struct plane *p, port_id id, struct vhost_user_info *out);

/* How the VSI of a station port does. */
struct plane_vsi_info {
	const char *state; /* a word */
	bool is_open, is_waiting;
	port_id uplink; /* by which it is associated; PORT_NONE */
	tstamp retry;	/* is_waiting: until it is asked for again */
	const char *reason, *hint;
	const struct vdp_assoc *asked;
	const struct vdp_filters *filters; /* that stand, or else were asked for */
};

/* The limits of a VSI at a port under VDP control, and the frames beyond them. */
struct plane_vsi_limits {
	struct meter_limits limit;
	uint64_t dropped_in, dropped_out;
};

/* False: it has none, or does not stand. */
bool plane_vsi_limits(const struct plane *p, port_id id, const struct vsi_id *vsi,
		      struct plane_vsi_limits *out);

/* False: the port has none. Pointers are valid until the next turn of the loop. */
bool plane_vsi_status(const struct plane *p, port_id id, struct plane_vsi_info *out);

/*
 * What a port of a bridge refused last, and has not accepted since; `retry`: how long ago that was.
 * False: nothing.
 */
bool plane_gate_refused(const struct plane *p, port_id id, struct plane_vsi_info *out);

/* The switch in the NIC of a device was set: see what that means for ports. */
void plane_nic_changed(struct plane *p, const char *dev);

/* Does the adjacent bridge of an edge bridge send back what belongs here? As EVB says. */
enum plane_reflection { PLANE_RR_UNASKED, PLANE_RR_UNKNOWN, PLANE_RR_OFF, PLANE_RR_ON };

enum plane_reflection plane_bridge_reflection(const struct plane *p, bridge_id b);
const char *plane_reflection_name(enum plane_reflection r);

/* What speaks LLDP, EVB, ECP and VDP on ports of plane_model(). */
const struct agents *plane_agents(const struct plane *p);

/* The devices of the network namespace. */
const struct netlink *plane_links(const struct plane *p);

/*
 * For who associates VSIs that no port has (virtport_vsis.h): agents_vsi_request() on an uplink,
 * and what becomes of them. `cb` NULL: nobody.
 */
int plane_vsi_request(struct plane *p, port_id uplink, const struct vdp_assoc *want);

typedef void plane_outcome_cb(void *aux, port_id uplink, enum vdp_outcome outcome,
			      const struct vsi *v, uint8_t status);
void plane_on_foreign_outcome(struct plane *p, plane_outcome_cb *cb, void *aux);

/* How often an address moved between ports of the bridge. */
uint64_t plane_bridge_moves(const struct plane *p, bridge_id id);

/* A learned line of the forwarding database. What is provisioned stands in the model. */
struct plane_learned {
	struct mac mac;
	port_id port;
	vid_t vid;  /* VID_NONE: every VLAN of the port */
	bool ages;  /* it is not the first address of a port that was given none */
	tstamp age; /* since it was last a source, exact to a second */
};

typedef void plane_learned_cb(void *aux, const struct plane_learned *entry);

/* Call `cb` for each learned address. */
void plane_learned_each(struct plane *p, plane_learned_cb *cb, void *aux);

/* Call `cb` for each address that is associated at a port under VDP control. */
void plane_associated_each(const struct plane *p, plane_learned_cb *cb, void *aux);

/*
 * What is known of multicast groups; `e` NULL: the port gets all groups, for it is not known what
 * is wanted there, or it is promiscuous. `left`: until it ends.
 */
typedef void plane_group_cb(void *aux, port_id port, const struct group_entry *e, tstamp left);
void plane_groups_each(const struct plane *p, plane_group_cb *cb, void *aux);

/* Forget what was learned: on a port, or PORT_NONE for all ports of `bridge`, -1 for all. */
void plane_fdb_flush(struct plane *p, int bridge, port_id port);

#endif
