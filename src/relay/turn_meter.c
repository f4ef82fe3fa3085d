// SPDX-License-Identifier: Apache-2.0
#include "gso.h"
#include "turn_internal.h"

/* Does somebody want the frames of flow `k`, as far as the verdict says? */
static bool is_wanted(const struct turn *t, unsigned k)
{
	unsigned to = t->verdict[k].to & ~(unsigned)FWD_LEARN;

	return to != 0 && (to != FWD_TO_PROMISC || t->bridge->list[VIEW_LIST_PROMISC].n);
}

/* The storm limit that flow `k` counts for, as a bit; 0: none. Control frames storm nobody. */
static unsigned storm_of(const struct turn *t, unsigned k)
{
	if (t->flags[k] & FWD_RESERVED)
		return 0;
	if (t->flags[k] & FWD_GROUP)
		return mac_is_broadcast(t->key[k].dst) ? 1 << METER_BROADCAST :
							 1 << METER_MULTICAST;
	return t->in->role != FWD_STATION && !t->dst[k] ? 1 << METER_UNKNOWN : 0;
}

/* Is the whole burst within the limits? Often so, and found out at once; charged then. */
static bool takes_all(const struct turn *t, struct meters *m, unsigned set)
{
	const struct flows *fl = &t->flows;

	if ((set & (METERS_STORM | METERS_VSI_IN)) || frames_count(fl->plain) != fl->n_frames)
		return false;
	for (unsigned k = 0; k < fl->n; k++) {
		if (!is_wanted(t, k))
			return false;
	}
	return meters_take_all(m, set, fl->octets, fl->n_frames);
}

/* May frame `i` pass? It is charged to the port and to its VSI, or to neither. */
static enum meter_id take(struct turn *t, unsigned i, unsigned set)
{
	unsigned k = t->flows.of[i], which = set & (METERS_IN | storm_of(t, k));
	struct meters *m = &t->in->port->meters;
	const struct view_vsi *v =
		set & METERS_VSI_IN ? view_vsi(t->view, t->in_id, t->src[k], t->vid[k]) : NULL;
	enum meter_id by = meters_ask(m, which);
	uint32_t packets;
	uint64_t octets;

	if (by == METERS_N)
		by = view_vsi_ask(v, METERS_IN, t->now);
	if (by != METERS_N || (!which && !v))
		return by;
	octets = gso_wire_size(&t->burst.frame[i], &t->key[k], &packets);
	meters_charge(m, which, octets, packets);
	view_vsi_charge(v, METERS_IN, octets, packets);
	return METERS_N;
}

void turn_meter(struct turn *t)
{
	const struct meter_limits *l = &t->view->limit[t->in_id];
	struct meters *m = &t->in->port->meters;
	unsigned set = meters_fill(m, l, METERS_IN | METERS_STORM, t->now);

	set |= l->set & METERS_VSI_IN;
	if (takes_all(t, m, set))
		return;
	for (unsigned i = 0; i < t->flows.n_frames; i++) {
		unsigned k = t->flows.of[i];
		enum meter_id by = is_wanted(t, k) ? take(t, i, set) : METERS_N;

		if (by == METERS_N)
			continue;
		t->flows.frames[k] &= ~(UINT64_C(1) << i);
		t->count->drops[METERS_STORM >> by & 1 ? DROP_storm : DROP_rate]++;
		t->count->rx_group += (t->flags[k] & FWD_GROUP) != 0;
	}
}
