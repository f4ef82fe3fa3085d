// SPDX-License-Identifier: Apache-2.0
/*
 * The forwarding rules of both relays, as one pure function: facts about a frame in, verdict out.
 * No pointers, no look-ups, no loops, no libc, so that the same header compiles as BPF. The rules
 * are described row by row in docs/forwarding.md; fwd/decide_test.c has a case for each row.
 *
 * Edge relay: IEEE 802.1Q-2022 clause 40 (EVB) with the modes of kernel macvlan. Learning relay:
 * 802.1Q-2022 clause 8, reflective relay as in 8.6.1.
 */
#ifndef EVB_FWD_DECIDE_H
#define EVB_FWD_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "drop.h"

enum fwd_mode {
	FWD_PRIVATE,
	FWD_VEPA,
	FWD_BRIDGE,
	FWD_PASSTHRU,
	FWD_SOURCE,
	FWD_MODES_N,
	/* In its place: a station whose association does not stand. Nothing passes. */
	FWD_GATED = FWD_MODES_N
};

enum fwd_role {
	FWD_STATION,   /* edge relay: attaches a guest */
	FWD_UPLINK,    /* edge relay: the link to the adjacent bridge */
	FWD_RELAY_PORT /* learning relay: any port */
};

/* What is known of an address of the frame in its VLAN. */
enum fwd_owner {
	FWD_OWNER_NONE,	 /* nobody */
	FWD_OWNER_SELF,	 /* destination: the ingress port; source: the ingress port */
	FWD_OWNER_OTHER, /* another port, whose mode is dst_mode or src_mode */
	FWD_OWNER_SAME	 /* destination only: another port, which owns the source as well */
};

/* Facts that are yes or no. */
enum {
	/* of the frame, from its octets and the port's settings */
	FWD_RUNT = 1 << 0,
	FWD_OVERSIZE = 1 << 1,	  /* longer than the MTU, and not a GSO frame */
	FWD_BAD_OFFLOAD = 1 << 2, /* offload header does not fit */
	FWD_MAC_CONTROL = 1 << 3, /* EtherType 0x8808 */
	FWD_RESERVED = 1 << 4,	  /* destination 01-80-C2-00-00-00..0F */
	FWD_GROUP = 1 << 5,	  /* destination is broadcast or multicast (RESERVED is too) */
	FWD_VLAN_DENIED = 1 << 6, /* the port does not take the frame's VLAN, or it has an S-tag */
	FWD_BAD_SOURCE = 1 << 7,  /* source zero, broadcast or multicast */
	/* of the ingress port */
	FWD_STANDBY = 1 << 8,	    /* it waits for its guest to migrate in */
	FWD_RESERVED_OK = 1 << 9,   /* its mask has the bit of this reserved address */
	FWD_GUARD = 1 << 10,	    /* spoof guard is on */
	FWD_LEARNS = 1 << 11,	    /* it may own one more source MAC */
	FWD_HAS_MACLIMIT = 1 << 12, /* it was given a maclimit (selects the reason only) */
	FWD_REFLECTS = 1 << 13,	    /* reflective relay (learning relay) */
	/* of the relay */
	FWD_HAS_UPLINK = 1 << 14,
	FWD_CARRIER = 1 << 15, /* the uplink can send */
	FWD_HAS_PASSTHRU = 1 << 16,
	FWD_LISTED = 1 << 17, /* source MAC is on the list of a source-mode port */
	FWD_NODST = 1 << 18,  /* ... which has nodst */
	/* of the host port */
	FWD_FROM_HOST = 1 << 19, /* it is the ingress port */
	FWD_HOST_HAS = 1 << 20,	 /* from the uplink: the host's own stack gets it from the device */
	FWD_BACKUP = 1 << 21,	 /* the ingress port is an uplink, and not the active one */
	/* of a port of a learning relay */
	FWD_VDP = 1 << 22,     /* ingress: only the addresses of associated VSIs pass */
	FWD_VDP_ANY = 1 << 23, /* ... and in this VLAN that is every address */
	FWD_ISOLATED = 1 << 24 /* source or destination is there, of a VSI of a private type */
};

struct fwd_facts {
	uint32_t flags;		     /* the FWD_* bits above */
	uint8_t role;		     /* enum fwd_role of the ingress port */
	uint8_t mode;		     /* enum fwd_mode of the ingress port, if a station */
	uint8_t dst_owner, dst_mode; /* enum fwd_owner, enum fwd_mode */
	uint8_t src_owner, src_mode;
};

/*
 * Where a frame goes: a set. When the relay looks up who is meant, it takes out ports that are not
 * members of the frame's VLAN or in standby, the ingress port (but for TO_BACK), and the port that
 * owns the source of a frame from the uplink (but for TO_PASSTHRU): nobody gets its own frame back.
 */
enum {
	FWD_TO_OWNER = 1 << 0, /* the port that owns the destination */
	FWD_TO_UPLINK = 1 << 1,
	FWD_TO_PASSTHRU = 1 << 2, /* the passthru port of the relay */
	FWD_TO_PRIVATES = 1 << 3, /* every port in private mode */
	FWD_TO_VEPAS = 1 << 4,
	FWD_TO_BRIDGES = 1 << 5,
	FWD_TO_PROMISC = 1 << 6,  /* every port with the promisc flag */
	FWD_TO_LISTED = 1 << 7,	  /* every source-mode port that lists the source */
	FWD_TO_RESERVED = 1 << 8, /* every port whose mask asks for this reserved address */
	FWD_TO_ALL = 1 << 9,	  /* every port of the learning relay */
	FWD_TO_UNKNOWN = 1 << 12, /* likewise, that an address nobody owns may be behind */
	FWD_TO_BACK = 1 << 10,	  /* the ingress port itself (reflective relay) */
	FWD_LEARN = 1 << 11	  /* no destination: remember the source behind the ingress port */
};

struct fwd_verdict {
	uint16_t to;	/* set of FWD_TO_* and FWD_LEARN; no FWD_TO_* in it: drop */
	uint8_t reason; /* enum drop_reason if `to` names or turns out to mean nobody */
};

static inline struct fwd_verdict fwd_drop(enum drop_reason why)
{
	return (struct fwd_verdict){ .to = 0, .reason = (uint8_t)why };
}

static inline struct fwd_verdict fwd_to(unsigned to, enum drop_reason if_nobody)
{
	return (struct fwd_verdict){ .to = (uint16_t)to, .reason = (uint8_t)if_nobody };
}

/* To the wire, if there is one that works. */
static inline struct fwd_verdict fwd_wire(const struct fwd_facts *f)
{
	if (!(f->flags & FWD_HAS_UPLINK))
		return fwd_drop(DROP_no_uplink);
	if (!(f->flags & FWD_CARRIER))
		return fwd_drop(DROP_no_carrier);
	return fwd_to(FWD_TO_UPLINK, DROP_no_uplink);
}

/* The checks that no frame escapes, whatever the port. DROP_REASONS_N if it passes. */
static inline enum drop_reason fwd_check_frame(const struct fwd_facts *f)
{
	if (!(f->flags & (FWD_RUNT | FWD_OVERSIZE | FWD_BAD_OFFLOAD | FWD_MAC_CONTROL)))
		return DROP_REASONS_N;
	if (f->flags & FWD_RUNT)
		return DROP_runt;
	if (f->flags & FWD_OVERSIZE)
		return DROP_oversize;
	if (f->flags & FWD_BAD_OFFLOAD)
		return DROP_offload;
	return DROP_mac_control;
}

/* Who may use this source MAC: docs/forwarding.md, check 6. DROP_REASONS_N if it may. */
static inline enum drop_reason fwd_check_spoof(const struct fwd_facts *f)
{
	if (f->src_owner == FWD_OWNER_SELF || !(f->flags & FWD_GUARD))
		return DROP_REASONS_N;
	if (f->src_owner == FWD_OWNER_OTHER)
		return DROP_spoof;
	if (f->flags & FWD_LEARNS)
		return DROP_REASONS_N;
	return f->flags & FWD_HAS_MACLIMIT ? DROP_maclimit : DROP_spoof;
}

static inline struct fwd_verdict fwd_decide_bridge_mode(const struct fwd_facts *f)
{
	struct fwd_verdict v = fwd_wire(f);

	if (f->flags & FWD_GROUP)
		return fwd_to(v.to | FWD_TO_BRIDGES, (enum drop_reason)v.reason);
	if (f->dst_owner == FWD_OWNER_SELF)
		return fwd_drop(DROP_self);
	if (f->dst_owner != FWD_OWNER_NONE && f->dst_mode == FWD_BRIDGE)
		return fwd_to(FWD_TO_OWNER, DROP_no_receiver);
	return v;
}

/* May the frame go to other ports of the relay, or to the wire only? */
static inline bool fwd_takes_part(const struct fwd_facts *f)
{
	return f->mode == FWD_BRIDGE && !(f->flags & FWD_RESERVED);
}

static inline struct fwd_verdict fwd_decide_station(const struct fwd_facts *f)
{
	enum drop_reason why = fwd_check_frame(f);
	struct fwd_verdict v;

	if (why != DROP_REASONS_N)
		return fwd_drop(why);
	if (f->flags & FWD_STANDBY)
		return fwd_drop(DROP_standby);
	if (f->mode == FWD_GATED)
		return fwd_drop(DROP_vsi);
	if (f->mode == FWD_PASSTHRU)
		return f->flags & FWD_BAD_SOURCE ? fwd_drop(DROP_bad_source) : fwd_wire(f);
	if ((f->flags & (FWD_RESERVED | FWD_RESERVED_OK)) == FWD_RESERVED)
		return fwd_drop(DROP_reserved);
	if (f->flags & FWD_VLAN_DENIED)
		return fwd_drop(DROP_vlan);
	if (f->flags & FWD_BAD_SOURCE)
		return fwd_drop(DROP_bad_source);
	why = fwd_check_spoof(f);
	if (why != DROP_REASONS_N)
		return fwd_drop(why);

	/* The kernel has sent what came here as a copy. */
	if ((f->flags & (FWD_FROM_HOST | FWD_GROUP)) == (FWD_FROM_HOST | FWD_GROUP))
		v = fwd_to(fwd_takes_part(f) ? FWD_TO_BRIDGES : 0, DROP_no_receiver);
	else if (fwd_takes_part(f))
		v = fwd_decide_bridge_mode(f);
	else
		v = fwd_wire(f);
	if (f->src_owner == FWD_OWNER_NONE && (f->flags & FWD_LEARNS))
		v.to |= FWD_LEARN;
	return v;
}

/* Is the source a station of ours? One that is gated sends nothing: its guest is elsewhere yet. */
static inline bool fwd_is_ours(const struct fwd_facts *f)
{
	return f->src_owner != FWD_OWNER_NONE && f->src_mode != FWD_GATED;
}

static inline struct fwd_verdict fwd_uplink_unicast(const struct fwd_facts *f)
{
	bool known = fwd_is_ours(f);

	if (f->dst_owner == FWD_OWNER_NONE)
		return fwd_to(FWD_TO_PROMISC, DROP_unknown_dst);
	if (f->dst_mode == FWD_GATED)
		return fwd_to(FWD_TO_PROMISC, DROP_vsi);
	if (f->dst_owner == FWD_OWNER_SAME)
		return fwd_drop(DROP_returned);
	if (f->flags & FWD_HOST_HAS)
		return fwd_drop(DROP_host);
	if (f->dst_mode == FWD_PRIVATE && known)
		return fwd_drop(DROP_private);
	if (known && f->src_mode == FWD_PRIVATE)
		return fwd_drop(DROP_private);
	if (known && f->src_mode == FWD_BRIDGE && f->dst_mode == FWD_BRIDGE)
		return fwd_drop(DROP_looped);
	if (f->dst_mode == FWD_SOURCE)
		return fwd_drop(DROP_source_filter);
	return fwd_to(FWD_TO_OWNER, DROP_no_receiver);
}

static inline struct fwd_verdict fwd_uplink_group(const struct fwd_facts *f)
{
	bool host = f->flags & FWD_HOST_HAS;

	if (!fwd_is_ours(f))
		return fwd_to(FWD_TO_PRIVATES | FWD_TO_VEPAS | FWD_TO_BRIDGES,
			      host ? DROP_host : DROP_no_receiver);
	switch ((enum fwd_mode)f->src_mode) {
	case FWD_VEPA:
	case FWD_SOURCE:
		return fwd_to(FWD_TO_VEPAS | FWD_TO_BRIDGES, host ? DROP_host : DROP_returned);
	case FWD_BRIDGE:
		return fwd_to(FWD_TO_VEPAS, DROP_looped);
	case FWD_PRIVATE:
		return fwd_drop(DROP_private);
	case FWD_PASSTHRU:
	case FWD_MODES_N:
		break;
	}
	return fwd_drop(DROP_returned);
}

static inline struct fwd_verdict fwd_decide_uplink(const struct fwd_facts *f)
{
	enum drop_reason why = fwd_check_frame(f);
	struct fwd_verdict v;

	if (why != DROP_REASONS_N)
		return fwd_drop(why);
	/* Its neighbour is ours, but what comes from there comes by the active one as well. */
	if (f->flags & FWD_BACKUP)
		return fwd_drop(f->flags & FWD_RESERVED ? DROP_control : DROP_backup);
	if (f->flags & FWD_RESERVED)
		return f->flags & FWD_HAS_PASSTHRU ? fwd_to(FWD_TO_PASSTHRU, DROP_control) :
						     fwd_to(FWD_TO_RESERVED, DROP_control);
	/* A passthru port has the whole link, so its frames are not asked for a VLAN. */
	if ((f->flags & (FWD_VLAN_DENIED | FWD_HAS_PASSTHRU)) == FWD_VLAN_DENIED)
		return fwd_drop(DROP_vlan);
	if (f->flags & FWD_BAD_SOURCE)
		return fwd_drop(DROP_bad_source);
	if (f->flags & FWD_HAS_PASSTHRU)
		return fwd_to(FWD_TO_PASSTHRU, DROP_no_receiver);
	if ((f->flags & (FWD_LISTED | FWD_NODST)) == (FWD_LISTED | FWD_NODST))
		return fwd_to(FWD_TO_LISTED, DROP_no_receiver);
	v = f->flags & FWD_GROUP ? fwd_uplink_group(f) : fwd_uplink_unicast(f);
	if (f->flags & FWD_LISTED)
		v.to |= FWD_TO_LISTED;
	return v;
}

static inline struct fwd_verdict fwd_decide_relay_port(const struct fwd_facts *f)
{
	enum drop_reason why = fwd_check_frame(f);
	bool is_gated = (f->flags & (FWD_VDP | FWD_VDP_ANY)) == FWD_VDP;
	bool is_kept = (f->flags & FWD_REFLECTS) && (f->flags & FWD_ISOLATED);
	enum drop_reason nobody = is_kept ? DROP_private : DROP_no_receiver;
	unsigned learn, back;

	if (why != DROP_REASONS_N)
		return fwd_drop(why);
	if (f->flags & FWD_STANDBY)
		return fwd_drop(DROP_standby);
	if (f->flags & FWD_RESERVED)
		return fwd_drop(DROP_control);
	if (f->flags & FWD_VLAN_DENIED)
		return fwd_drop(f->flags & FWD_VDP ? DROP_vsi : DROP_vlan);
	if (f->flags & FWD_BAD_SOURCE)
		return fwd_drop(DROP_bad_source);
	if (is_gated && f->src_owner != FWD_OWNER_SELF)
		return fwd_drop(DROP_vsi);
	learn = f->src_owner != FWD_OWNER_SELF && (f->flags & FWD_LEARNS) ? FWD_LEARN : 0;
	back = f->flags & FWD_REFLECTS && !is_kept ? FWD_TO_BACK : 0;
	if (f->flags & FWD_GROUP)
		return fwd_to(FWD_TO_ALL | back | learn, nobody);
	if (f->dst_owner == FWD_OWNER_NONE)
		return fwd_to(FWD_TO_UNKNOWN | (is_gated ? 0 : back) | learn, nobody);
	if (f->dst_owner == FWD_OWNER_SELF)
		return fwd_to(back | learn, is_kept ? DROP_private : DROP_same_port);
	return fwd_to(FWD_TO_OWNER | learn, DROP_no_receiver);
}

/* The verdict on a frame. */
static inline struct fwd_verdict fwd_decide(const struct fwd_facts *f)
{
	switch ((enum fwd_role)f->role) {
	case FWD_STATION:
		return fwd_decide_station(f);
	case FWD_UPLINK:
		return fwd_decide_uplink(f);
	case FWD_RELAY_PORT:
		return fwd_decide_relay_port(f);
	}
	return fwd_drop(DROP_no_receiver);
}

#endif
