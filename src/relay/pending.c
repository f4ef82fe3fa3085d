// SPDX-License-Identifier: Apache-2.0
#include "pending.h"

void pending_compare(struct pendings *all, const struct fwd_view *v, uint32_t now_s)
{
	unsigned kept = 0;

	if (all->generation == v->generation && all->checked == now_s)
		return;
	all->generation = v->generation;
	all->checked = now_s;
	for (unsigned i = 0; i < all->n; i++) {
		struct pending *p = &all->item[i];
		const struct view_port *vp = &v->port[p->port];
		uint32_t fid;
		const struct owner *o;

		if (p->port >= v->n_ports || !vp->port)
			continue;
		fid = owners_fid(vp->bridge, v->bridge[vp->bridge].is_learning ? p->vid : VID_NONE);
		o = view_owner(v, fid, p->mac, p->vid, owners_hash(v->owners->seed, fid, p->mac));
		if (o && o->port == p->port)
			continue;
		if (now_s - p->since > PENDING_RETRY_S)
			continue;
		all->item[kept++] = *p;
	}
	all->n = kept;
}

/* Edge relays own addresses in all VLANs of the port, so one address is pending once. */
static bool pending_equal(const struct fwd_view *v, const struct pending *a,
			  const struct pending *b)
{
	return a->port == b->port && mac_equal(a->mac, b->mac) &&
	       (a->vid == b->vid || !v->bridge[v->port[a->port].bridge].is_learning);
}

bool pending_room(const struct pendings *all, const struct fwd_view *v, const struct pending *p)
{
	uint16_t room = v->port[p->port].learn_room;
	unsigned used = 0;

	if (v->owners_full || !room)
		return false;
	for (unsigned k = 0; k < all->n; k++) {
		if (all->item[k].port != p->port)
			continue;
		if (pending_equal(v, p, &all->item[k]))
			return true;
		used++;
	}
	return used < room && all->n < PENDING_MAX;
}

bool pending_add(struct pendings *all, const struct fwd_view *v, const struct pending *p)
{
	for (unsigned k = 0; k < all->n; k++) {
		if (pending_equal(v, p, &all->item[k]))
			return false;
	}
	if (all->n == PENDING_MAX)
		return false;
	all->item[all->n++] = *p;
	return true;
}
