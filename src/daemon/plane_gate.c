// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plane_internal.h"
#include "vsi_text.h"

/*
 * VDP at the bridge: stations ask, the VSI manager decides, and what stands is let through.
 *
 *   agents ── plane_gate_ask ──▶ manager ── agents_decide ──▶ agents ── plane_gate_apply ──▶ gates
 *   model changed ── plane_gate_recheck ── agents_revoke ──▶ agents ── plane_gate_apply ──▶ gates
 */

/* ---- for the view ---- */

/* The bridge of the port that a gate is of, if that is under VDP control; or -1. */
static int gate_bridge(const void *aux, const struct gate *g)
{
	const struct plane_shape *s = aux;
	const struct port_config *c = shape_config(s, g->port);

	return c && c->vdp && !c->standby && !strcmp(c->name, g->port_name) ? c->bridge : -1;
}

bool shape_gate_any(const struct plane_shape *s, port_id id, vid_t vid)
{
	return gates_any(s->gates, id, vid);
}

void shape_gate_owners(const struct plane_shape *s, struct gates_out *out)
{
	gates_owners(s->gates, gate_bridge, s, out);
}

/* ---- the manager that this bridge is itself ---- */

static void ask_types(void *ctx, const struct manager_question *q)
{
	const struct plane *p = ctx;
	struct vdp_filters filters;
	struct vdp_decision d = manager_decide(&p->shape.model, q->asked, q->held, &filters);

	q->answer(q->aux, q->port, q->ticket, &d);
}

void plane_gate_init(struct plane *p)
{
	p->manager = (struct manager){ ask_types, p };
}

/* ---- hooks of agents ---- */

/* Whoever watches the bridge sees what it refuses. */
static void tell_refusal(const struct plane *p, port_id port, struct vdp_ticket ticket,
			 enum vdp_error why)
{
	const struct port_config *c = shape_config(&p->shape, port);
	const struct evb_link *l = agents_evb(p->agents, port);
	const struct vsi *v;

	if (!c || !l || ticket.slot >= l->bridge.table.n_slots)
		return;
	v = &l->bridge.table.slot[ticket.slot];
	p->shape.port[port]->refused = (struct plane_refused){ v->asked, why, loop_now(p->loop) };
	event_vsi(p->events, c->name, &v->id,
		  &(struct vsi_change){ "asked", "refused", vdp_error_name(why) });
}

bool plane_gate_refused(const struct plane *p, port_id id, struct plane_vsi_info *out)
{
	const struct plane_refused *r = &p->shape.port[id]->refused;
	bool is_type = r->error == VDP_OTHER;

	*out = (struct plane_vsi_info){
		.state = "refused",
		.uplink = PORT_NONE,
		.retry = loop_now(p->loop) - r->at,
		.reason = is_type ? "there is no such type here, of that version and manager" :
			  r->error == VDP_INVALID_FILTER ?
				    "its type does not allow the VLAN or the address" :
				    vdp_error_name(r->error),
		.hint = is_type ? "allow it: evb vsitype add ..." : "see: evb vsitype show",
		.asked = &r->asked,
		.filters = &r->asked.filters
	};
	return r->asked.request;
}

static void on_answer(void *aux, port_id port, struct vdp_ticket ticket,
		      const struct vdp_decision *d)
{
	struct plane *p = aux;

	if (d->error)
		tell_refusal(p, port, ticket, d->error);
	agents_decide(p->agents, port, ticket, d);
}

void plane_gate_ask(struct plane *p, port_id id, struct vdp_ticket ticket, const struct vsi *v)
{
	p->manager.ask(p->manager.ctx, &(struct manager_question){ .port = id,
								   .ticket = ticket,
								   .asked = &v->asked,
								   .held = &v->held,
								   .answer = on_answer,
								   .aux = p });
}

/* `was` and `now`: what stands, 0 nothing. */
static void tell(const struct plane *p, port_id id, const struct vsi_id *vsi, enum vdp_request was,
		 enum vdp_request now)
{
	const struct port_config *c = shape_config(&p->shape, id);

	if (c && was != now)
		event_vsi(p->events, c->name, vsi,
			  &(struct vsi_change){ vdp_request_name(was), vdp_request_name(now), "" });
}

/* What the type that an association is of says for the relay. */
static void limit(const struct plane *p, struct gate *g)
{
	const struct vsitype_config *t = model_vsitype(&p->shape.model, &g->assoc);

	g->is_private = t && t->mode == FWD_PRIVATE;
	g->limit = (struct meter_limits){ .set = 0 };
	for (unsigned i = 0; t && i < METERS_N; i++) {
		if (!t->limit[i])
			continue;
		g->limit.set |= 1u << i;
		g->limit.of[i] = meter_limit_of((enum meter_id)i, t->limit[i], 0);
	}
}

static void gates_changed(struct plane *p)
{
	p->has_other_owners = true;
	plane_view_later(p);
}

bool plane_gate_apply(struct plane *p, port_id id, const struct vsi *v,
		      const struct vdp_assoc *stands)
{
	const struct port_config *c = shape_config(&p->shape, id);
	struct gate g = { .port = id };

	if (!stands) {
		gates_remove(&p->gates, id, &v->id);
	} else {
		memcpy(g.port_name, c ? c->name : "", c ? sizeof(g.port_name) : 1);
		g.assoc = *stands;
		limit(p, &g);
		if (p->provisioned->n + stands->filters.n > MACS_MAX || !gates_put(&p->gates, &g))
			return false;
	}
	if (stands && c && vsi_id_equal(&p->shape.port[id]->refused.asked.id, &v->id))
		p->shape.port[id]->refused.asked.request = (enum vdp_request)0;
	tell(p, id, &v->id, v->held.request, stands ? stands->request : (enum vdp_request)0);
	gates_changed(p);
	return true;
}

void plane_gate_flush(struct plane *p)
{
	if (p->has_other_owners)
		plane_view_now(p);
}

/* ---- the model has changed ---- */

/* Padding aside. */
static bool is_same_limits(const struct meter_limits *a, const struct meter_limits *b)
{
	return a->set == b->set && !memcmp(a->of, b->of, sizeof(a->of));
}

/* May what stands go on? `is_other`: it does so under other limits or in another mode. */
static bool review(struct plane *p, struct gate *g, bool *is_other)
{
	struct vdp_filters filters;
	struct gate was = *g;

	if (manager_decide(&p->shape.model, &g->assoc, &g->assoc, &filters).error)
		return false;
	limit(p, g);
	*is_other |= !is_same_limits(&g->limit, &was.limit) || g->is_private != was.is_private;
	return true;
}

/* Does the port still have an agent that could end it? */
static bool is_spoken_for(const struct plane *p, const struct gate *g)
{
	const struct port_config *c = shape_config(&p->shape, g->port);

	return c && !strcmp(c->name, g->port_name) && agents_has(p->agents, g->port);
}

void plane_gate_recheck(struct plane *p)
{
	bool is_other = false;

	for (uint32_t i = p->gates.n; i-- > 0;) {
		struct gate *g = &p->gates.gate[i];
		struct vsi_id id = g->assoc.id;
		port_id port = g->port;

		if (is_spoken_for(p, g) &&
		    (review(p, g, &is_other) || agents_revoke(p->agents, port, &id)))
			continue;
		if (gates_remove(&p->gates, port, &id))
			gates_changed(p);
	}
	if (is_other) /* in force when the command is answered */
		plane_view_now(p);
}

bool plane_vsi_limits(const struct plane *p, port_id id, const struct vsi_id *vsi,
		      struct plane_vsi_limits *out)
{
	const struct gate *g = gates_find(&p->gates, id, vsi);

	if (!g || !g->limit.set || gate_bridge(&p->shape, g) < 0)
		return false;
	*out = (struct plane_vsi_limits){ g->limit, g->meters->dropped_in, g->meters->dropped_out };
	return true;
}

void plane_associated_each(const struct plane *p, plane_learned_cb *cb, void *aux)
{
	struct owner *pair = malloc((p->gates.n_entries + 1) * sizeof(*pair));
	struct gates_out out = { .pair = pair };

	if (pair)
		shape_gate_owners(&p->shape, &out);
	for (uint32_t i = 0; i < out.n_pairs; i++)
		cb(aux, &(struct plane_learned){
				.mac = pair[i].mac, .port = pair[i].port, .vid = pair[i].vid });
	free(pair);
}
