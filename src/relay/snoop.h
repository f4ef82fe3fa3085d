// SPDX-License-Identifier: Apache-2.0
/*
 * Snooping in a turn: which frames of a flow may be filtered, by which key of view->groups, and who
 * gets those; and what stations and routers say, to be reported to the control thread. Called by
 * turn.c only, on the worker's thread, for group frames of bridges that snoop. The rules are those
 * of docs/forwarding.md; what is known comes with the view (fwd/groups.h).
 */
#ifndef EVB_RELAY_SNOOP_H
#define EVB_RELAY_SNOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "egress.h"
#include "eth.h"
#include "frame.h"
#include "mcast.h"
#include "types.h"
#include "view.h"

enum { SNOOP_NOTES_MAX = 512 }; /* of a port in a second: what it may be a member of */

/* Somebody said something in the flow. */
typedef void snoop_heard(void *aux, const struct mcast_note *note);

/* What is known of one flow. */
struct snoop_flow {
	const struct fwd_view *view;
	const struct eth_key *key;
	bridge_id bridge;
	vid_t vid;	 /* not VID_NONE */
	port_id in;	 /* the ingress port */
	port_id skip[2]; /* further ports that get nothing: PORT_NONE, or the owner of the source */
	unsigned to;	 /* of the verdict */
	snoop_heard *heard;
	void *aux;
};

/* Frames of the flow by what decides who gets them; any others are not filtered. */
struct snoop_sets {
	uint64_t routers; /* membership reports */
	uint64_t members; /* those who want the group, under `key` */
	struct mac key;
	/* More of the second kind, under another key: IPv6 groups of the link. */
	uint64_t members_of_link;
	struct mac key_of_link;
};

/* Must frames of these be looked at? Others are not IP, or for everybody. */
static inline bool snoop_concerns(const struct eth_key *key)
{
	uint64_t mac = mac_to_u64(key->dst);

	return (mac >> 23 == UINT64_C(0x01005e000000) >> 23 && key->ethertype == ETHERTYPE_IPV4) ||
	       (mac >> 32 == 0x3333 && key->ethertype == ETHERTYPE_IPV6);
}

/* Sort frames `frames` of the flow; f->heard is called for what is said in them. */
void snoop_sort(const struct snoop_flow *f, const struct frame *all, uint64_t frames,
		struct snoop_sets *out);

/*
 * Mark `frames` for the ports under `key` that the verdict allows, and for those with routers if it
 * is not NULL (NULL: for those only). Returns how many ports were added.
 */
unsigned snoop_mark(const struct snoop_flow *f, struct egress *e, uint64_t frames,
		    const struct mac *key);

#endif
