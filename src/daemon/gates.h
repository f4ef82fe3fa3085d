// SPDX-License-Identifier: Apache-2.0
/*
 * What is associated at the ports of this bridge, and what follows from it for the view: pairs of
 * address and VLAN, VLANs in which every address passes, the VLANs of a port. Of two ports that
 * have the same pair, the last association counts (a VSI that migrates is on both for a while).
 * Pure but for memory; control thread.
 */
#ifndef EVB_DAEMON_GATES_H
#define EVB_DAEMON_GATES_H

#include "owners.h"
#include "vdp_tlv.h"
#include "view.h"

struct gate {
	char port_name[NAME_SIZE]; /* who had the slot then: it may be another's now */
	port_id port;
	struct vdp_assoc assoc;
	struct meter_limits limit; /* of its type */
	struct vsi_meters *meters; /* gates_put() sees to it */
	bool is_private;	   /* its type says so: its frames do not return to the port */
};

struct gates {
	struct gate *gate; /* in the order of association */
	uint32_t n, max;
	uint32_t n_entries; /* of all filters */
};

void gates_free(struct gates *g);

/*
 * A VSI stands, or stands otherwise than before, and then with what was in its buckets. False
 * without memory or room (OWNER_VSIS_MAX VSIs, MACS_MAX entries): nothing changed.
 */
bool gates_put(struct gates *g, const struct gate *gate);

/* It stands no more; true if it did. */
bool gates_remove(struct gates *g, port_id port, const struct vsi_id *id);

/* That of a VSI, until the next call of the others; or NULL. */
const struct gate *gates_find(const struct gates *g, port_id port, const struct vsi_id *id);

/* Is it in VLAN `vid` by a filter without address? */
bool gates_any(const struct gates *g, port_id port, vid_t vid);

/* The VLANs in which something stands at the port; true if there is a filter without address. */
bool gates_vlans(const struct gates *g, port_id port, struct vlan_set *out);

/* In which directions are there VSIs at the port that have limits? METERS_VSI_*. */
unsigned gates_metered(const struct gates *g, port_id port);

/*
 * Entries for struct view_spec of what is associated at the ports that `bridge_of` says have a
 * gate (-1: none), the latest first: `pair`, `any` and `vsi` (those with limits) have room for
 * g->n_entries each, or are NULL.
 */
struct gates_out {
	struct owner *pair, *any;
	struct view_vsi *vsi;
	uint32_t n_pairs, n_any, n_vsis;
};

void gates_owners(const struct gates *g, int (*bridge_of)(const void *aux, const struct gate *gate),
		  const void *aux, struct gates_out *out);

#endif
