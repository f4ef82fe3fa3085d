// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plane_internal.h"

/* Taken in before other work has its turn. */
enum { REPORTS_MAX = 4096 };

/*
 * Rebuilding costs time in proportion to ports and addresses: spend at most a part of the control
 * thread on it, however many new addresses guests make up.
 */
#define REBUILD_MIN (2 * NS_PER_MS)
#define REBUILD_PER_ITEM 500
#define REBUILD_RETRY (100 * NS_PER_MS)

/* ---- who may own what ---- */

static bool vids_overlap(vid_t a, vid_t b)
{
	return a == b || a == VID_NONE || b == VID_NONE;
}

/* Does the model name an owner of the address? On a trunk any VLAN counts: the careful answer. */
static bool is_provisioned(const struct owners *o, uint32_t fid, struct mac mac, vid_t vid)
{
	uint64_t at = owners_hash(o->seed, fid, mac);
	const struct owner *e;

	while ((e = owners_next(o, fid, mac, &at)) != NULL)
		if (vids_overlap(e->vid, vid))
			return true;
	return false;
}

static bool port_has_vlan(const struct port_config *c, vid_t vid)
{
	if (c->has_trunk)
		return vlan_set_has(&c->trunk, vid) || c->native == vid;
	return c->vlan == vid;
}

/* May the port of the next shape still own what it learned in the present one? */
static bool may_keep(const struct plane *p, const struct plane_shape *next, const struct owners *o,
		     const struct learned *l)
{
	const struct port_config *was = shape_config(&p->shape, l->port);
	const struct port_config *c = shape_config(next, l->port);
	bool is_edge = (l->fid & 0xfff) == VID_NONE;

	if (!was || !c || strcmp(was->name, c->name) != 0 || c->bridge != l->fid >> 12 ||
	    c->standby || is_provisioned(o, l->fid, l->mac, l->vid))
		return false;
	if (!is_edge)
		return c->role == FWD_RELAY_PORT && port_has_vlan(c, l->vid) &&
		       (!c->vdp || shape_gate_any(next, l->port, l->vid));
	if (c->role != FWD_STATION || c->mode == FWD_PASSTHRU ||
	    l->vid != shape_owner_vid(next, l->port))
		return false;
	return !l->is_sticky || !c->macs.n;
}

/* Forget entry `idx`. */
static void forget(struct plane *p, uint32_t idx)
{
	const struct learned *l = learn_at(p->learn, idx);

	if (l->is_sticky)
		p->shape.port[l->port]->has_sticky = false;
	event_fdb(p->events, l->mac, p->shape.model.port[l->port].name, l->vid, "flush");
	learn_remove_at(p->learn, idx);
}

/* Forget entry `idx` for now: it can come back. */
static void set_aside(struct plane *p, uint32_t idx, struct plane_adapted *a)
{
	const struct learned *l = learn_at(p->learn, idx);

	if (l->is_sticky)
		p->shape.port[l->port]->has_sticky = false;
	a->aside[a->n++] = *l;
	learn_remove_at(p->learn, idx);
}

/* Has the port more than its limit by now? Then there is no telling which are right. */
static bool is_crowded(const struct plane *p, const struct plane_shape *next, port_id id)
{
	const struct port_config *c = shape_config(next, id);

	return !c || learn_count(p->learn, id) > shape_learn_room(c, 0);
}

static void set_aside_surplus(struct plane *p, const struct plane_shape *next,
			      struct plane_adapted *a)
{
	bool crowded[PORTS_MAX] = { 0 };

	for (uint32_t i = 0; i < p->shape.n; i++)
		crowded[i] = is_crowded(p, next, (port_id)i);
	for (uint32_t i = learn_size(p->learn); i-- > 0;)
		if (crowded[learn_at(p->learn, i)->port])
			set_aside(p, i, a);
}

bool plane_learn_adapt(struct plane *p, const struct plane_shape *next, struct plane_adapted *a)
{
	uint32_t n;
	struct owner *list = shape_provisioned(next, &n);
	struct owners *o = list ? owners_new(n, p->seed) : NULL;

	for (uint32_t i = 0; o && i < n; i++)
		owners_add(o, list[i]);
	free(list);
	a->n = 0;
	a->aside = malloc((learn_size(p->learn) + (size_t)1) * sizeof(*a->aside));
	if (!o || !a->aside) {
		free(a->aside);
		owners_free(o);
		return false;
	}
	for (uint32_t i = learn_size(p->learn); i-- > 0;)
		if (!may_keep(p, next, o, learn_at(p->learn, i)))
			set_aside(p, i, a);
	set_aside_surplus(p, next, a);
	a->before = p->provisioned;
	p->provisioned = o;
	return true;
}

void plane_learn_revert(struct plane *p, struct plane_adapted *a)
{
	for (uint32_t i = 0; i < a->n; i++) {
		const struct learned *l = &a->aside[i];

		learn_add(p->learn, *l, true);
		p->shape.port[l->port]->has_sticky |= l->is_sticky;
	}
	owners_free(p->provisioned);
	p->provisioned = a->before;
	free(a->aside);
}

void plane_learn_settle(struct plane *p, struct plane_adapted *a)
{
	for (uint32_t i = 0; i < a->n; i++) {
		const struct learned *l = &a->aside[i];

		event_fdb(p->events, l->mac, p->shape.model.port[l->port].name, l->vid, "flush");
	}
	owners_free(a->before);
	free(a->aside);
}

void plane_learn_flush(struct plane *p, port_id id)
{
	for (uint32_t i = learn_size(p->learn); i-- > 0 && learn_count(p->learn, id);)
		if (learn_at(p->learn, i)->port == id)
			forget(p, i);
}

void plane_fdb_flush(struct plane *p, int bridge, port_id port)
{
	plane_learn_harvest(p);
	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		const struct port_config *c = shape_config(&p->shape, i);

		if (c && (port == PORT_NONE || port == i) && (bridge < 0 || bridge == c->bridge))
			plane_learn_flush(p, (port_id)i);
	}
	plane_view_now(p);
}

/* ---- reports ---- */

static void learn_report(struct plane *p, const struct report *r, bool *changed)
{
	const struct port_config *c = shape_config(&p->shape, r->port);
	struct learned l = { .mac = r->mac, .port = r->port, .seen = loop_now(p->loop) };
	bool is_relay = c && c->role == FWD_RELAY_PORT;
	struct plane_port *pp;
	enum learn_result result;

	if (!c || c->bridge != r->bridge || c->standby ||
	    !shape_learn_room(c, learn_count(p->learn, r->port)) ||
	    (c->vdp && !shape_gate_any(&p->shape, r->port, r->vid)) ||
	    learn_size(p->learn) + p->provisioned->n >= MACS_MAX)
		return;
	pp = p->shape.port[r->port];
	l.vid = is_relay ? r->vid : shape_owner_vid(&p->shape, r->port);
	l.fid = owners_fid(c->bridge, is_relay ? r->vid : VID_NONE);
	l.is_sticky = !is_relay && !c->macs.n && !pp->has_sticky;
	if (is_provisioned(p->provisioned, l.fid, l.mac, l.vid))
		return;
	result = learn_add(p->learn, l, is_relay);
	if (result == LEARN_MOVED)
		p->moves[c->bridge]++;
	if (result != LEARN_MOVED && result != LEARN_ADDED)
		return;
	pp->has_sticky |= l.is_sticky;
	*changed = true;
	event_fdb(p->events, l.mac, c->name, l.vid, result == LEARN_MOVED ? "move" : "learn");
}

/* How often to look for addresses that are too old: a tenth of the shortest time that counts. */
static tstamp age_period(const struct plane *p)
{
	tstamp shortest = AGEING_DEFAULT * NS_PER_S;

	for (uint32_t b = 0; b < p->shape.model.n_bridges; b++) {
		const struct bridge_config *c = &p->shape.model.bridge[b];

		if (c->name[0] && c->ageing_s * NS_PER_S < shortest)
			shortest = c->ageing_s * NS_PER_S;
	}
	shortest /= 10;
	return shortest < NS_PER_S / 2 ? NS_PER_S / 2 : shortest;
}

/* Have the ageing timer run while there is something that ages. */
static void tend_age_timer(struct plane *p)
{
	if (!learn_size(p->learn))
		loop_timer_stop(p->age_timer);
	else if (!loop_timer_is_set(p->age_timer))
		loop_timer_set(p->age_timer, loop_now(p->loop) + age_period(p), 0);
}

void plane_on_reports(void *aux, uint32_t events)
{
	struct plane *p = aux;
	struct report r;
	struct punt punt;
	bool changed = false, heard = false;

	for (int n = 0; n < REPORTS_MAX && relay_report_get(p->relay, &r); n++) {
		switch ((enum report_kind)r.kind) {
		case REPORT_LEARN:
			learn_report(p, &r, &changed);
			break;
		case REPORT_FAULT:
			plane_port_faulted(p, r.port);
			break;
		case REPORT_GROUP:
		case REPORT_DEAF:
			plane_groups_report(p, &r);
			heard = true;
			break;
		}
	}
	/* All that waited when the descriptor was cleared; what came since has set it. */
	for (unsigned n = relay_n_workers(p->relay) * PUNTS_MAX;
	     n && relay_punt_get(p->relay, &punt); n--)
		plane_agents_received(p, &punt);
	if (heard)
		plane_groups_tend(p);
	if (changed)
		plane_view_soon(p);
}

/* ---- ageing ---- */

void plane_learn_harvest(struct plane *p)
{
	const struct fwd_view *v = relay_view(p->relay);
	tstamp now = loop_now(p->loop);

	for (uint32_t i = 0; v->owners && i <= v->owners->mask; i++) {
		const struct owner *o = &v->owners->slot[i];
		tstamp seen;

		if (o->port == PORT_NONE || !(o->flags & OWNER_LEARNED))
			continue;
		seen = relay_seen(p->relay, i);
		if (!seen)
			continue;
		seen += NS_PER_S; /* it is rounded down to a second */
		learn_refresh(p->learn, o->fid, o->mac, o->port, seen < now ? seen : now);
	}
}

/* Forget what is too old in a bridge; true if anything was. */
static bool age_bridge(struct plane *p, bridge_id b)
{
	tstamp deadline = loop_now(p->loop) - p->shape.model.bridge[b].ageing_s * NS_PER_S;

	for (uint32_t i = 0; i < learn_size(p->learn); i++) {
		const struct learned *l = learn_at(p->learn, i);

		if (!l->is_sticky && l->fid >> 12 == b && l->seen < deadline)
			event_fdb(p->events, l->mac, p->shape.model.port[l->port].name, l->vid,
				  "age");
	}
	return learn_age(p->learn, b, deadline) > 0;
}

void plane_on_age_timer(void *aux)
{
	struct plane *p = aux;
	bool changed = false;

	plane_learn_harvest(p);
	for (uint32_t b = 0; b < p->shape.model.n_bridges; b++)
		if (p->shape.model.bridge[b].name[0])
			changed |= age_bridge(p, (bridge_id)b);
	if (changed)
		plane_view_soon(p);
	tend_age_timer(p);
}

/* ---- the view ---- */

uint64_t plane_next_generation(struct plane *p)
{
	return ++p->generation;
}

void plane_view_install(struct plane *p, struct fwd_view *v_take)
{
	tstamp cost = (tstamp)(v_take->n_ports + v_take->owners->n + v_take->groups->n) *
		      REBUILD_PER_ITEM;

	relay_set_view(p->relay, v_take);
	shape_tell_hosts(&p->shape, v_take, p->log);
	shape_listen(&p->shape, v_take, p->log);
	loop_timer_stop(p->view_timer);
	p->view_next = loop_now(p->loop) + (cost < REBUILD_MIN ? REBUILD_MIN : cost);
	tend_age_timer(p);
}

/* Addresses were associated: whoever had learned them forgets them. False without memory. */
static bool follow_owners(struct plane *p)
{
	struct plane_adapted a;

	if (!p->has_other_owners)
		return true;
	if (!plane_learn_adapt(p, &p->shape, &a))
		return false;
	plane_learn_settle(p, &a);
	p->has_other_owners = false;
	return true;
}

bool plane_view_now(struct plane *p)
{
	struct fwd_view *v = NULL;

	plane_learn_harvest(p);
	plane_pick_uplinks(p, &p->shape);
	if (follow_owners(p))
		v = shape_view(p, &p->shape, plane_next_generation(p));
	if (!v) {
		log_error(p->log, "out of memory for a new view: still forwarding by the old one");
		loop_timer_set(p->view_timer, loop_now(p->loop) + REBUILD_RETRY, 0);
		return false;
	}
	plane_view_install(p, v);
	plane_tell_uplinks(p);
	plane_vsi_soon(p);
	return true;
}

void plane_view_later(struct plane *p)
{
	tstamp at = loop_now(p->loop) + REBUILD_MIN;

	if (!loop_timer_is_set(p->view_timer))
		loop_timer_set(p->view_timer, at > p->view_next ? at : p->view_next, 0);
}

void plane_view_soon(struct plane *p)
{
	if (loop_timer_is_set(p->view_timer))
		return;
	if (loop_now(p->loop) >= p->view_next)
		plane_view_now(p);
	else
		loop_timer_set(p->view_timer, p->view_next, 0);
}

void plane_on_view_timer(void *aux)
{
	plane_view_now(aux);
}
