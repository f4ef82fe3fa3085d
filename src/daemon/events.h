// SPDX-License-Identifier: Apache-2.0
/*
 * Events for subscribers of the control socket: one function per kind of docs/control-protocol.md.
 * Builds the JSON only if somebody asked for that kind, and hands it to the sink (server.c). Does
 * not log, and does not know who listens. Control thread.
 */
#ifndef EVB_DAEMON_EVENTS_H
#define EVB_DAEMON_EVENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "evb.h"
#include "groups.h"
#include "lldp.h"
#include "types.h"
#include "vdp_tlv.h"

enum event_kind {
	EVENT_PORT,
	EVENT_BRIDGE,
	EVENT_MODE,
	EVENT_LINK,
	EVENT_FAULT,
	EVENT_FDB,
	EVENT_UPLINK,
	EVENT_MDB,
	EVENT_LLDP,
	EVENT_EVB,
	EVENT_CHANNEL,
	EVENT_VSI,
	EVENT_KINDS_N
};

struct events {
	uint32_t wanted; /* bit per enum event_kind; written by the server */
	/* Deliver `event`, which stays the caller's, to those who want the kind. May be NULL. */
	void (*sink)(void *aux, enum event_kind kind, const json_t *event);
	void *aux;
};

/* Kind by its name, or EVENT_KINDS_N. */
enum event_kind event_kind_find(const char *name);

/* Names of all kinds in one line, for hints: static. */
const char *event_kind_names(void);

/* `action`: "add", "set", "del". */
void event_port(const struct events *ev, const char *ifname, const char *bridge,
		const char *action);
void event_bridge(const struct events *ev, const char *ifname, const char *action);
void event_mode(const struct events *ev, const char *ifname, const char *from, const char *to);

/* Of a bridge: another uplink is the active one. */
void event_uplink(const struct events *ev, const char *ifname, const char *from, const char *to,
		  const char *reason);

/* `reason` may be empty. */
void event_link(const struct events *ev, const char *ifname, const char *operstate,
		const char *reason);
void event_fault(const struct events *ev, const char *ifname, const char *reason, const char *hint);

/* `action`: "learn", "move", "age", "flush"; vid VID_NONE: every VLAN of the port. */
void event_fdb(const struct events *ev, struct mac mac, const char *ifname, vid_t vid,
	       const char *action);

/* What is known of groups; `action`: "add", "del". */
void event_mdb(const struct events *ev, const struct group_entry *e, const char *ifname,
	       const char *bridge, const char *action);

/* A neighbour came, changed or is gone. */
void event_lldp(const struct events *ev, const char *ifname, enum lldp_scope scope,
		enum lldp_event event, const struct lldp_neighbour *n);

/* An edge bridge has learned whether its adjacent bridge reflects; `reason` may be empty. */
void event_evb(const struct events *ev, const char *bridge, const char *reflection,
	       const char *reason);

/* What a port and its peer have agreed upon has changed. */
void event_evb_port(const struct events *ev, const char *ifname, const struct evb *e);

/* Of a VSI, at either end; `reason` may be empty. */
struct vsi_change {
	const char *from, *to, *reason;
};

void event_vsi(const struct events *ev, const char *ifname, const struct vsi_id *id,
	       const struct vsi_change *change);

/* The port of an S-channel of `dev` has S-tag `svid` now; VID_NONE: none any more. */
void event_channel(const struct events *ev, const char *ifname, const char *dev, uint16_t channel,
		   vid_t svid);

/* The keys that say what `e` is: a new object, NULL without memory. */
json_t *event_group_keys(const struct group_entry *e);

#endif
