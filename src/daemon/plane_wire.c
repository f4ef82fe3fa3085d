// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "plane_internal.h"

/*
 * Of the uplinks of a bridge one is active, and the others wait: their frames are dropped, and
 * nothing is sent by them. Which one is asked for every new view, so nothing has to be told that an
 * uplink came, went or changed.
 */

/*
 * The kernel holds back reports of carriers that change more than once a second (net/core/
 * link_watch.c), so where there are several uplinks they are looked at as well.
 */
#define LOOK_PERIOD (20 * NS_PER_MS)

/* Note since when each uplink of the bridge has worked. */
static void note_working(const struct plane_shape *s, uint32_t b, tstamp now)
{
	for (port_id i = s->first_uplink[b]; i != PORT_NONE; i = s->next_uplink[i]) {
		struct plane_port *pp = s->port[i];

		if (!shape_is_up(&s->model.port[i], pp) || pp->is_deaf)
			pp->working_since = 0;
		else if (!pp->working_since)
			pp->working_since = now;
	}
}

/* Is `a` to be preferred to `b`, which comes before it, or which is PORT_NONE? */
static bool is_better(const struct model *m, port_id a, port_id b)
{
	return b == PORT_NONE || m->port[a].priority > m->port[b].priority;
}

/*
 * While `active` works, another has to be better and to have worked for a while; else the best that
 * works. Where none does, all stays as it is: `active`, or the best of all.
 */
static port_id pick(const struct plane_shape *s, bridge_id b, port_id active, tstamp now)
{
	tstamp updelay = (tstamp)s->model.bridge[b].updelay_ms * NS_PER_MS;
	bool is_fine = active != PORT_NONE && s->port[active]->working_since;
	port_id best = is_fine ? active : PORT_NONE, any = PORT_NONE;

	for (port_id i = s->first_uplink[b]; i != PORT_NONE; i = s->next_uplink[i]) {
		tstamp since = s->port[i]->working_since;

		if (is_better(&s->model, i, any))
			any = i;
		if (since && (!is_fine || now - since >= updelay) && is_better(&s->model, i, best))
			best = i;
	}
	if (best != PORT_NONE)
		return best;
	return active != PORT_NONE ? active : any;
}

/* The active uplink, if it is still one of the bridge in shape `s`. */
static port_id active_still(const struct plane *p, const struct plane_shape *s, uint32_t b)
{
	port_id id = b < p->shape.model.n_bridges ? p->shape.uplink[b] : PORT_NONE;
	const struct port_config *c = id != PORT_NONE ? shape_config(s, id) : NULL;

	return c && c->role == FWD_UPLINK && c->bridge == b && p->shape.port[id] == s->port[id] ?
		       id :
		       PORT_NONE;
}

void plane_pick_uplinks(struct plane *p, struct plane_shape *s)
{
	tstamp now = loop_now(p->loop);

	for (uint32_t b = 0; b < s->model.n_bridges; b++) {
		port_id active = active_still(p, s, b);

		note_working(s, b, now);
		s->uplink[b] = pick(s, (bridge_id)b, active, now);
	}
}

/* ---- looking ---- */

static bool has_choice(const struct plane_shape *s, uint32_t b)
{
	return s->first_uplink[b] != PORT_NONE && s->next_uplink[s->first_uplink[b]] != PORT_NONE;
}

/* Have the timer run while there is a choice somewhere. */
static void tend_timer(struct plane *p)
{
	uint32_t b = 0;

	while (b < p->shape.model.n_bridges && !has_choice(&p->shape, b))
		b++;
	if (b == p->shape.model.n_bridges)
		loop_timer_stop(p->wire_timer);
	else if (!loop_timer_is_set(p->wire_timer))
		loop_timer_set(p->wire_timer, loop_now(p->loop) + LOOK_PERIOD, LOOK_PERIOD);
}

void plane_on_wire_timer(void *aux)
{
	struct plane *p = aux;
	struct plane_shape *s = &p->shape;
	tstamp now = loop_now(p->loop);
	bool is_due = false;

	for (uint32_t b = 0; b < s->model.n_bridges; b++) {
		if (!has_choice(s, b))
			continue;
		for (port_id i = s->first_uplink[b]; i != PORT_NONE; i = s->next_uplink[i])
			plane_look(p, i);
		note_working(s, b, now);
		is_due |= pick(s, (bridge_id)b, s->uplink[b], now) != s->uplink[b];
	}
	if (is_due)
		plane_view_now(p);
}

/* ---- telling ---- */

static void tell_uplink(struct plane *p, bridge_id b, const char *was, port_id was_id)
{
	const char *bridge = p->shape.model.bridge[b].name;
	const char *name = p->shape.model.port[p->shape.uplink[b]].name;
	const struct port_config *old = shape_config(&p->shape, was_id);
	struct plane_status st = { .reason = "" };

	if (!old || strcmp(old->name, was) != 0)
		snprintf(st.reason, sizeof(st.reason), "port %s was deleted", was);
	else
		plane_port_state(&p->shape, was_id, &st);
	if (!st.reason[0])
		snprintf(st.reason, sizeof(st.reason), "it has the higher priority");
	log_info(p->log, "%s: uplink %s takes over from %s: %s", bridge, name, was, st.reason);
	event_uplink(p->events, bridge, was, name, st.reason);
}

void plane_tell_uplinks(struct plane *p)
{
	tend_timer(p);
	for (uint32_t b = 0; b < BRIDGES_MAX; b++) {
		struct plane_wire *w = &p->wire[b], was = *w;
		port_id id = b < p->shape.model.n_bridges ? p->shape.uplink[b] : PORT_NONE;
		const struct port_config *c = id != PORT_NONE ? shape_config(&p->shape, id) : NULL;

		if (c ? w->id == id && !strcmp(w->name, c->name) : !w->name[0])
			continue;
		*w = (struct plane_wire){ .id = id };
		if (!c) {
			p->reflection_told[b] = (struct plane_told){ 0 };
			continue;
		}
		memcpy(w->name, c->name, sizeof(w->name));
		if (!was.name[0])
			continue;
		plane_announce_bridge(p, (bridge_id)b);
		tell_uplink(p, (bridge_id)b, was.name, was.id);
		plane_tell_reflection(p, (bridge_id)b); /* the other may have another at its end */
	}
}
