// SPDX-License-Identifier: Apache-2.0
/*
 * The view: all that workers need to know of bridges, ports and MAC owners, built by the control
 * thread in one go and never changed afterwards. The control thread swaps a pointer to the newest
 * view and frees the old one when every worker has let go of it (relay/relay.h).
 */
#ifndef EVB_FWD_VIEW_H
#define EVB_FWD_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide.h"
#include "meter.h"
#include "owners.h"
#include "types.h"

struct port; /* fwd/ only carries the pointer */

enum {
	VIEW_STANDBY = 1 << 0,
	VIEW_GUARD = 1 << 1, /* spoof guard */
	VIEW_PROMISC = 1 << 2,
	VIEW_REFLECT = 1 << 3, /* reflective relay */
	VIEW_NODST = 1 << 4,
	VIEW_UP = 1 << 5,    /* can send and receive now; an uplink: has carrier */
	VIEW_TRUNK = 1 << 6, /* frames in other VLANs than the PVID are tagged; else dropped */
	VIEW_HAS_MACLIMIT = 1 << 7,
	VIEW_BACKUP = 1 << 8,	    /* an uplink that is not the active one of its bridge */
	VIEW_METERED_IN = 1 << 9,   /* it, or a VSI at it, has limits for frames from there */
	VIEW_METERED_OUT = 1 << 10, /* ... for frames to it */
	VIEW_VDP = 1 << 11,	    /* learning relay: only what owns an entry passes, in and out */
	VIEW_VDP_ANY = 1 << 12,	    /* ... and in VLANs of fwd_view.any every address */
	VIEW_PUNTS = 1 << 13,	    /* LLDP and ECP for the bridge go up to the control thread */
};

/* One port; two to a cache line. */
struct view_port {
	struct port *port;	      /* NULL: the slot is empty */
	const struct vlan_set *vlans; /* members of a trunk; NULL: access, or an uplink (all) */
	uint32_t size_max;	      /* octets of the longest frame that is not GSO, without tag */
	bridge_id bridge;
	vid_t pvid; /* VLAN of untagged frames; VID_NONE: they are refused */
	union {
		uint16_t reserved; /* station: bit n: 01-80-C2-00-00-0n may pass */
		vid_t svid;	   /* others: the S-VLAN; VID_NONE: no S-tag */
	};
	uint16_t learn_room; /* source MACs it may still own by learning */
	uint16_t flags;	     /* VIEW_* */
	uint8_t role : 2;    /* enum fwd_role */
	uint8_t mode : 3;    /* enum fwd_mode; FWD_GATED: nothing passes */
	uint8_t pcp : 3;     /* priority of untagged frames */
	uint8_t offload;     /* OFFLOAD_* the receiver takes */
};

_Static_assert(sizeof(struct view_port) == 32, "two to a cache line");

/* The S-VLAN whose tag is outside of all others of the port's frames, or VID_NONE. */
static inline vid_t view_port_svid(const struct view_port *p)
{
	return p->role == FWD_STATION ? VID_NONE : p->svid;
}

/* Ports of a bridge by what a flood asks for; index into view_bridge.list. */
enum view_list {
	VIEW_LIST_PRIVATE, /* station ports by mode, those in standby left out */
	VIEW_LIST_VEPA,
	VIEW_LIST_BRIDGE,
	VIEW_LIST_PROMISC, /* but for those in source mode, whom only listed sources reach */
	VIEW_LIST_SOURCE,
	VIEW_LIST_RESERVED, /* station ports whose mask is not empty */
	VIEW_LIST_ALL,	    /* ports of a learning relay */
	VIEW_LIST_OPEN,	    /* those that are not under VDP control */
	VIEW_LIST_VDP_ANY,  /* those that are, with an entry of fwd_view.any */
	VIEW_LISTS_N
};

struct view_bridge {
	bool is_learning;
	bool snoops;	  /* multicast goes to those who want it, as `groups` of the view says */
	port_id uplink;	  /* the active one; PORT_NONE: none */
	port_id passthru; /* PORT_NONE: none */
	port_id host;	  /* the host port, which gets nothing from the uplink; PORT_NONE: none */
	struct {
		const port_id *id;
		uint32_t n;
	} list[VIEW_LISTS_N];
};

/*
 * The buckets of a VSI, and what was beyond its limits. They outlive views, and ports share none:
 * so those of METERS_OUT are used under the port's tx_lock, the others by the worker that polls it.
 */
struct vsi_meters {
	struct meters meters;
	uint64_t dropped_in, dropped_out; /* frames; written with the buckets */
	uint32_t n_refs;		  /* control thread */
};

/* Full ones, for one holder; NULL without memory. The last holder who lets go frees them. */
struct vsi_meters *vsi_meters_new(void);
void vsi_meters_put(struct vsi_meters *m); /* NULL is legal */

/* A VSI with limits of its own. */
struct view_vsi {
	struct meter_limits limit; /* of rate and pps */
	struct vsi_meters *meters;
};

struct fwd_view {
	uint64_t generation;
	uint32_t n_ports, n_bridges;	  /* slots, some of them empty */
	const struct view_port *port;	  /* [n_ports], index: port_id */
	const struct view_bridge *bridge; /* [n_bridges], index: bridge_id */
	const struct meter_limits *limit; /* [n_ports]; NULL: no port is VIEW_METERED_* */
	const struct mac *peer;		  /* [n_ports] whom agents listen to; all zero: nobody */
	const struct view_vsi *vsi;	  /* [n_vsis] by owner_vsi() - 1; the view holds `meters` */
	uint32_t n_vsis;
	struct owners *owners; /* who owns a MAC */
	struct owners *listed; /* source-mode lists: source MAC -> port; many to one */
	struct owners *groups; /* who wants what: see groups.h for the keys */
	struct owners *any;    /* view_any_fid(): VLANs in which every address passes */
	bool owners_full;      /* MACS_MAX entries: no room to learn anything */
};

/* What view_build() makes a view of. Index of `port` is the port_id. */
struct view_spec {
	uint64_t generation, seed;
	uint32_t n_ports, n_bridges;
	const struct view_port *port;	  /* vlans may point to temporary memory: copied */
	const struct meter_limits *limit; /* [n_ports], or NULL: none */
	const struct mac *peer;		  /* [n_ports], or NULL: nobody */
	const bool *bridge_is_learning;	  /* [n_bridges] */
	const port_id *host;	   /* [n_bridges] PORT_NONE: it has no host port; NULL: none has */
	const struct owner *owner; /* fid as owners_fid() says */
	uint32_t n_owners;
	const struct owner *listed;
	uint32_t n_listed;
	const bool *bridge_snoops; /* [n_bridges]; NULL: none does */
	const struct owner *group; /* groups_owner() */
	uint32_t n_groups;
	const struct owner *any; /* of VIEW_VDP_ANY ports: mac zero, fid of view_any_fid() */
	uint32_t n_any;
	const struct view_vsi *vsi; /* [n_vsis] */
	uint32_t n_vsis;
};

/*
 * A view of `s`, which can be freed afterwards; NULL without memory. One call, one free.
 * Ports in standby get into no list and own nothing, nor do empty slots: their entries of
 * s->owner, s->listed and s->group are left out; FWD_GATED ones own their addresses, no more.
 * Ids in `s` are below n_ports and n_bridges.
 */
struct fwd_view *view_build(const struct view_spec *s);
void view_free(struct fwd_view *v);

/*
 * Is the port a member of VLAN `vid`, which is not VID_NONE? An uplink is one of all, a trunk
 * also of its native VLAN.
 */
static inline bool view_port_has_vlan(const struct view_port *p, vid_t vid)
{
	if (p->pvid == vid)
		return true;
	return p->vlans ? vlan_set_has(p->vlans, vid) : p->role == FWD_UPLINK;
}

/*
 * Who owns `mac` in VLAN `vid`; NULL: nobody. `at` is the owners_hash() of `fid` and `mac`. An
 * entry of one VLAN is asked for its port, too: it must not lead out of the VLAN.
 */
static inline const struct owner *view_owner(const struct fwd_view *v, uint32_t fid, struct mac mac,
					     vid_t vid, uint64_t at)
{
	const struct owner *o;

	while ((o = owners_next(v->owners, fid, mac, &at)) != NULL) {
		if ((o->vid == vid || o->vid == VID_NONE) &&
		    view_port_has_vlan(&v->port[o->port], vid))
			return o;
	}
	return NULL;
}

/* The key of a VLAN of a port under VDP control. */
static inline uint32_t view_any_fid(port_id id, vid_t vid)
{
	return (uint32_t)id << 12 | vid;
}

/* The entry by which every address passes in the VLAN, in and out of a VIEW_VDP port, or NULL. */
static inline const struct owner *view_any(const struct fwd_view *v, port_id id, vid_t vid)
{
	const struct mac none = { { 0 } };
	uint32_t fid = view_any_fid(id, vid);
	uint64_t at = owners_hash(v->any->seed, fid, none);

	return owners_next(v->any, fid, none, &at);
}

/*
 * The VSI with limits of its own that an address behind port `id` is of, whose owner is `o` (NULL:
 * nobody): that of its pair, else one that has the whole VLAN. NULL: none.
 */
static inline const struct view_vsi *view_vsi(const struct fwd_view *v, port_id id,
					      const struct owner *o, vid_t vid)
{
	if ((!o || o->port != id || !(o->flags & OWNER_STATIC)) && v->port[id].flags & VIEW_VDP_ANY)
		o = view_any(v, id, vid);
	return o && o->port == id && owner_vsi(o) ? &v->vsi[owner_vsi(o) - 1] : NULL;
}

/*
 * May a frame pass the buckets of the VSI of that direction (METERS_IN or METERS_OUT)? METERS_N if
 * so; else which one refuses, and that is counted. NULL is a VSI without limits.
 */
static inline enum meter_id view_vsi_ask(const struct view_vsi *v, unsigned which, tstamp now)
{
	enum meter_id by;

	if (!v)
		return METERS_N;
	by = meters_ask(&v->meters->meters, meters_fill(&v->meters->meters, &v->limit, which, now));
	if (by != METERS_N)
		(*(which & METERS_IN ? &v->meters->dropped_in : &v->meters->dropped_out))++;
	return by;
}

/* It passes: charge it. */
static inline void view_vsi_charge(const struct view_vsi *v, unsigned which, uint64_t octets,
				   uint32_t packets)
{
	if (v)
		meters_charge(&v->meters->meters, which & v->limit.set, octets, packets);
}

/*
 * The VLAN of a frame with tag `tpid`/`tci` (tpid 0: untagged) that comes in on `p`; VID_NONE if
 * the port does not take it (802.1Q-2022 6.9.1, with docs/forwarding.md check 4).
 */
vid_t view_port_classify(const struct view_port *p, uint16_t tpid, uint16_t tci);

#endif
