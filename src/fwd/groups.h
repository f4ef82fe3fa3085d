// SPDX-License-Identifier: Apache-2.0
/*
 * Who wants which multicast group, where routers are, and whether that may be relied upon: what
 * IGMP and MLD messages (wire/mcast.h) amount to, with the timers of RFC 3376 8 and RFC 3810 9 and
 * the considerations of RFC 4541. The control thread owns it and feeds it what workers report; from
 * it follow entries of the view. Pure: time is a parameter.
 *
 * Nothing is to be lost, so it knows what it does not know. A group is filtered in a VLAN only
 * while a querier is heard there, and only after everybody has had the time to answer it. A port
 * that was added, or woke from standby, or said more than could be noted, gets all groups until a
 * later query was answered.
 */
#ifndef EVB_FWD_GROUPS_H
#define EVB_FWD_GROUPS_H

#include <stdbool.h>
#include <stdint.h>

#include "mcast.h"
#include "owners.h"
#include "types.h"

enum {
	GROUPS_PER_PORT_MAX = 512,
	GROUPS_MAX = 16384,
};

enum group_kind {
	GROUP_MEMBER,  /* `group` is wanted behind `port` */
	GROUP_ROUTER,  /* a router is behind `port`: it gets all groups and all reports */
	GROUP_QUERIER, /* who asks in this VLAN; heard last on `port` */
};

/* IPv4 or IPv6, of one VLAN of a bridge. */
struct group_entry {
	uint32_t fid; /* owners_fid() */
	port_id port;
	uint8_t kind; /* enum group_kind */
	bool is_ipv6;
	struct mcast_addr group; /* of a querier: its own address; of a router: unspecified */
	tstamp until;
	/* of a querier */
	bool hears_leaves;
	tstamp membership;     /* how long a report holds */
	tstamp asked, settles; /* a general query, and when all have answered it; 0: none open */
	tstamp heard;	       /* the last one that all have answered; 0: none, filter nothing */
};

struct groups;

/* An entry came or goes. Must not change the table. */
typedef void groups_cb(void *aux, const struct group_entry *e, bool is_added);

/* NULL without memory. */
struct groups *groups_new(uint64_t seed, groups_cb *cb, void *aux);
void groups_free(struct groups *g);

/* Where something was said, when, and what counts there. */
struct group_place {
	uint32_t fid;
	port_id port;
	bool has_members;  /* it may be a member: not the uplink, which gets all */
	bool has_queriers; /* queries from here reach everybody */
	bool leaves_fast;  /* one guest, so nobody else is left: no need to wait */
	tstamp now;
};

void groups_note(struct groups *g, const struct group_place *at, const struct mcast_note *note);

/* It is not known any more (or not yet) what is wanted behind the port. */
void groups_doubt(struct groups *g, port_id port, tstamp now);

/* Forget entries that `keep` does not want kept, and what ends by `now`. */
typedef bool groups_keep(void *aux, const struct group_entry *e);
void groups_prune(struct groups *g, groups_keep *keep, void *aux);
void groups_age(struct groups *g, tstamp now);

/* When groups_age() is due next; 0: never. */
tstamp groups_deadline(const struct groups *g);

/* Has anything changed that the view shows, since this was called last? */
bool groups_has_changed(struct groups *g);

/* Entries in no order: index 0..groups_size()-1, valid until the next change. */
uint32_t groups_size(const struct groups *g);
const struct group_entry *groups_at(const struct groups *g, uint32_t idx);

/* When groups_doubt() was last called for the port; 0: never. */
tstamp groups_doubted(const struct groups *g, port_id port);

/* How often something could not be noted for lack of room since the table was made. */
uint64_t groups_refused(const struct groups *g);

/*
 * What the view knows: entries of a struct owners, keyed by VLAN and one of these for an address.
 * They are no group addresses, so no frame has them.
 */
enum group_mark {
	GROUP_MARK_FILTER = 0x10, /* in this VLAN groups are filtered */
	GROUP_MARK_ROUTER = 0x20, /* ports with a router */
	GROUP_MARK_ALL = 0x30,	  /* under VID_NONE: ports that get all groups */
};

static inline struct mac group_mark(enum group_mark mark, bool is_ipv6)
{
	return (struct mac){ { 0, 0, 0, 0, 0, (uint8_t)(mark | (is_ipv6 ? 6 : 4)) } };
}

/*
 * The key of a group, from the address of the frame. Groups of an address are told apart only by
 * scope: those of the link are not filtered before they are known, others are.
 */
static inline struct mac group_key(struct mac mac, bool is_of_link)
{
	if (is_of_link)
		mac.b[1] = 0x32;
	return mac;
}

/* 224.0.0.0/24 and ff02::1 and what has their MAC addresses: for all, always. */
static inline bool group_is_for_all(struct mac mac)
{
	uint64_t m = mac_to_u64(mac);

	return (m & ~UINT64_C(0xff)) == UINT64_C(0x01005e000000) || m == UINT64_C(0x333300000001);
}

/* The entry of the view for `e`; false: it has none (yet). */
bool groups_owner(const struct group_entry *e, struct owner *to);

#endif
