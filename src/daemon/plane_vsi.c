// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plane_internal.h"
#include "vsi_text.h"

/*
 * VDP at the station: has the adjacent bridge associate the VSIs of station ports, and lets frames
 * pass only while they stand. All requests are made from one timer, so that none is made from
 * within what a machine tells.
 *
 *   IDLE ──▶ ASKED ──▶ STANDS ──▶ WAITS (refused, not answered, revoked) ──▶ ASKED
 *                │                 ▲ │
 *                └─────────────────┘ └── HARD: until something changes
 */

#define PAUSE_MIN (1 * NS_PER_S)
#define PAUSE_MAX (32 * NS_PER_S)
#define PAUSE_BUSY (100 * NS_PER_MS)

/* ---- what is wanted ---- */

static void want(const struct port_config *c, struct vdp_assoc *out)
{
	*out = (struct vdp_assoc){ .request = (enum vdp_request)c->vsi.request,
				   .status = c->vsi.hint,
				   .version = c->vsi.version,
				   .type_id = c->vsi.type,
				   .manager = c->vsi.manager,
				   .id = c->vsi.id };
	model_vsi_filters(c, &out->filters);
}

static bool is_same(const struct vdp_assoc *a, const struct vdp_assoc *b)
{
	return a->request == b->request && a->status == b->status && a->version == b->version &&
	       a->type_id == b->type_id && vdp_manager_equal(&a->manager, &b->manager) &&
	       vsi_id_equal(&a->id, &b->id) && vdp_filters_equal(&a->filters, &b->filters);
}

/* ---- those that are to end ---- */

/* VSIs that no port has any more; they are tried until the station takes the request. */
struct plane_orphan {
	port_id uplink;
	struct vsi_id id;
};

/* False: the station is busy with it. */
static bool end_orphan(const struct plane *p, const struct plane_orphan *o)
{
	struct vdp_assoc a = { .request = VDP_DE_ASSOCIATE, .id = o->id };

	return agents_vsi_request(p->agents, o->uplink, &a) != -EBUSY;
}

static void orphan(struct plane *p, const struct plane_vsi *v)
{
	struct plane_orphan *list;

	if (v->uplink == PORT_NONE || !v->is_asked)
		return;
	list = reallocarray(p->orphan, p->n_orphans + 1, sizeof(*list));
	if (!list) /* the bridge lets go of it when it hears no more */
		return;
	p->orphan = list;
	list[p->n_orphans++] = (struct plane_orphan){ v->uplink, v->asked.id };
}

/* Has a port come to have it meanwhile? */
static bool is_adopted(const struct plane *p, const struct plane_orphan *o)
{
	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		const struct port_config *c = shape_config(&p->shape, i);

		if (c && c->vsi.is_set && vsi_id_equal(&c->vsi.id, &o->id) &&
		    p->shape.port[i]->vsi.uplink == o->uplink)
			return true;
	}
	return false;
}

static void end_orphans(struct plane *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n_orphans; i++) {
		if (!is_adopted(p, &p->orphan[i]) && !end_orphan(p, &p->orphan[i]))
			p->orphan[n++] = p->orphan[i];
	}
	p->n_orphans = n;
}

/* ---- states ---- */

static const char *state_name(const struct plane_vsi *v)
{
	if (v->is_open)
		return "associated";
	if (v->stands)
		return vdp_request_name(v->stands);
	switch ((enum plane_vsi_state)v->state) {
	case PLANE_VSI_IDLE:
		return "idle";
	case PLANE_VSI_ASKED:
		return "asking";
	case PLANE_VSI_STANDS:
		break;
	case PLANE_VSI_WAITS:
		return "waiting";
	case PLANE_VSI_HARD:
		return "refused";
	}
	return "stands";
}

static void set_why(struct plane_vsi *v, const char *reason, const char *hint)
{
	snprintf(v->reason, sizeof(v->reason), "%s", reason);
	snprintf(v->hint, sizeof(v->hint), "%s", hint);
}

/* Tell of a change of state, if it is one. */
static void tell(struct plane *p, port_id id)
{
	struct plane_vsi *v = &p->shape.port[id]->vsi;
	const struct port_config *c = &p->shape.model.port[id];
	const char *now = state_name(v), *was = v->told ? v->told : "none";

	if (!strcmp(was, now) && !strcmp(v->told_reason, v->reason))
		return;
	event_vsi(p->events, c->name, &c->vsi.id, &(struct vsi_change){ was, now, v->reason });
	if (v->reason[0] && strcmp(v->told_reason, v->reason) != 0)
		log_warning(p->log, "%s: VSI %s: %s", c->name, now, v->reason);
	v->told = now;
	memcpy(v->told_reason, v->reason, sizeof(v->told_reason));
}

/* What stands of it now: nothing if `held` is NULL. */
static void stand(struct plane *p, port_id id, const struct vdp_assoc *held)
{
	struct plane_vsi *v = &p->shape.port[id]->vsi;
	const struct port_config *c = &p->shape.model.port[id];
	bool is_open = held && held->request == VDP_ASSOCIATE;
	vid_t vid = c->vsi.vlan == VID_NONE ? v->vid : VID_NONE; /* what was chosen last */

	v->stands = held ? held->request : (enum vdp_request)0;
	if (held)
		v->held = held->filters;
	if (held && c->vsi.vlan == VID_NONE)
		vid = vdp_filter_at(&held->filters, 0).vid & VDP_VID;
	if (is_open == v->is_open && vid == v->vid)
		return;
	p->has_other_owners |= vid != v->vid;
	if (is_open && !v->is_open)
		plane_announce_soon(p, id);
	v->is_open = is_open;
	v->vid = vid;
	plane_view_soon(p);
}

/* Ask again after a pause that grows. */
static void wait(struct plane *p, struct plane_vsi *v)
{
	v->pause = !v->pause ? PAUSE_MIN : 2 * v->pause > PAUSE_MAX ? PAUSE_MAX : 2 * v->pause;
	v->state = PLANE_VSI_WAITS;
	v->retry_at = loop_now(p->loop) + v->pause;
}

/* ---- asking ---- */

/* The uplink by which the port's VSI is associated, if it speaks EVB; or PORT_NONE. */
static port_id uplink_of(const struct plane *p, port_id id)
{
	port_id uplink = p->shape.uplink[p->shape.model.port[id].bridge];
	const struct evb_link *l = uplink == PORT_NONE ? NULL : agents_evb(p->agents, uplink);

	return l && l->evb.config.role == EVB_STATION ? uplink : PORT_NONE;
}

/* Nothing is asked for, and nothing stands. */
static void begin_anew(struct plane *p, port_id id)
{
	struct plane_vsi *v = &p->shape.port[id]->vsi;

	v->is_asked = false;
	v->state = PLANE_VSI_IDLE;
	stand(p, id, NULL);
}

static void idle(struct plane *p, port_id id)
{
	struct plane_vsi *v = &p->shape.port[id]->vsi;
	port_id uplink = p->shape.uplink[p->shape.model.port[id].bridge];
	char hint[128];

	begin_anew(p, id);
	v->uplink = PORT_NONE;
	if (uplink == PORT_NONE) {
		set_why(v, "its bridge has no uplink", "give it one: evb port add ... role uplink");
	} else {
		snprintf(hint, sizeof(hint), "evb port set %s evb auto",
			 p->shape.model.port[uplink].name);
		set_why(v, "the uplink does not speak EVB", hint);
	}
	tell(p, id);
}

static void ask(struct plane *p, port_id id, const struct vdp_assoc *a)
{
	struct plane_vsi *v = &p->shape.port[id]->vsi;
	int err = agents_vsi_request(p->agents, v->uplink, a);

	v->is_doubtful = false;
	if (err == -EBUSY) { /* with what was asked before: that first */
		v->state = PLANE_VSI_WAITS;
		v->retry_at = loop_now(p->loop) + PAUSE_BUSY;
		return;
	}
	if (!err) {
		v->asked = *a;
		v->state = PLANE_VSI_ASKED;
		v->is_asked = true;
		return;
	}
	if (err == -EINVAL && v->is_asked) { /* less than stands: from the start */
		end_orphan(p, &(struct plane_orphan){ v->uplink, v->asked.id });
		v->is_asked = false;
		stand(p, id, NULL);
		v->state = PLANE_VSI_WAITS;
		v->retry_at = loop_now(p->loop) + PAUSE_BUSY;
		return;
	}
	if (err == -EOPNOTSUPP)
		set_why(v, "the adjacent bridge knows no such filters or IDs",
			"leave out gid; drafts of the standard have UUIDs and mac-vid only");
	else
		set_why(v, err == -ENOSPC ? "the uplink has no room for more VSIs" : strerror(-err),
			"see: evb vsi show -s");
	v->asked = *a;
	wait(p, v);
	tell(p, id);
}

/* The link came up, or the bridge is another: what it said before does not count. */
static void refresh(struct plane *p, port_id id)
{
	struct plane_vsi *v = &p->shape.port[id]->vsi;
	bool is_up = v->uplink != PORT_NONE &&
		     shape_is_up(&p->shape.model.port[v->uplink], p->shape.port[v->uplink]);

	if (is_up && !v->was_up && (v->state == PLANE_VSI_WAITS || v->state == PLANE_VSI_HARD)) {
		v->state = PLANE_VSI_WAITS;
		v->pause = 0;
		v->retry_at = loop_now(p->loop);
	}
	v->was_up = is_up;
}

/* Does the station of the uplink still know of it? */
static bool is_known(const struct plane *p, const struct plane_vsi *v)
{
	const struct evb_link *l = agents_evb(p->agents, v->uplink);

	return l && vsi_find(agents_vsis(l), &v->asked.id);
}

/* Do what is to be done of one VSI; returns when next. */
static tstamp tend(struct plane *p, port_id id)
{
	struct plane_vsi *v = &p->shape.port[id]->vsi;
	port_id uplink = uplink_of(p, id);
	struct vdp_assoc a;

	if (v->uplink != uplink && v->uplink != PORT_NONE) {
		orphan(p, v);
		begin_anew(p, id);
	}
	v->uplink = uplink;
	if (v->is_asked && uplink != PORT_NONE && !is_known(p, v)) /* its agents began anew */
		begin_anew(p, id);
	if (uplink == PORT_NONE) {
		idle(p, id);
		return TSTAMP_NEVER;
	}
	refresh(p, id);
	want(&p->shape.model.port[id], &a);
	if (v->is_asked && !vsi_id_equal(&a.id, &v->asked.id)) {
		orphan(p, v);
		begin_anew(p, id);
	}
	if (v->state == PLANE_VSI_IDLE || v->is_doubtful || !is_same(&a, &v->asked) ||
	    (v->state == PLANE_VSI_WAITS && v->retry_at <= loop_now(p->loop)))
		ask(p, id, &a);
	tell(p, id);
	return v->state == PLANE_VSI_WAITS ? v->retry_at : TSTAMP_NEVER;
}

/* The port has no VSI any more. */
static void drop(struct plane *p, port_id id)
{
	struct plane_vsi *v = &p->shape.port[id]->vsi;

	orphan(p, v);
	if (v->told)
		event_vsi(p->events, p->shape.model.port[id].name, &v->asked.id,
			  &(struct vsi_change){ v->told, "none", "" });
	if (v->vid)
		p->has_other_owners = true;
	*v = (struct plane_vsi){ .uplink = PORT_NONE };
	plane_view_soon(p);
}

void plane_on_vsi_timer(void *aux)
{
	struct plane *p = aux;
	tstamp next = TSTAMP_NEVER;

	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		const struct port_config *c = shape_config(&p->shape, i);

		if (c && c->vsi.is_set)
			next = tstamp_earlier(next, tend(p, (port_id)i));
		else if (c && p->shape.port[i]->vsi.told)
			drop(p, (port_id)i);
	}
	end_orphans(p);
	if (p->n_orphans)
		next = tstamp_earlier(next, loop_now(p->loop) + PAUSE_BUSY);
	if (next != TSTAMP_NEVER)
		loop_timer_set(p->vsi_timer, next, 0);
}

void plane_vsi_soon(struct plane *p)
{
	loop_timer_set(p->vsi_timer, loop_now(p->loop), 0);
}

void plane_vsi_kick(struct plane *p, port_id uplink)
{
	const struct evb_link *l = agents_evb(p->agents, uplink);

	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		struct plane_vsi *v = shape_config(&p->shape, i) ? &p->shape.port[i]->vsi : NULL;

		if (!v || !p->shape.model.port[i].vsi.is_set || v->uplink != uplink)
			continue;
		v->was_up = false;
		/* A bridge that was not there before may have begun anew. */
		if (l && l->evb.has_peer && !v->had_peer)
			v->is_doubtful = v->state == PLANE_VSI_STANDS;
		v->had_peer = l && l->evb.has_peer;
	}
	plane_vsi_soon(p);
}

/* ---- what became of it ---- */

/* The port whose VSI was asked for by that uplink, or PORT_NONE. */
static port_id port_of(const struct plane *p, port_id uplink, const struct vsi_id *id)
{
	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		const struct port_config *c = shape_config(&p->shape, i);
		const struct plane_vsi *v = c ? &p->shape.port[i]->vsi : NULL;

		if (v && c->vsi.is_set && v->is_asked && v->uplink == uplink &&
		    vsi_id_equal(&v->asked.id, id))
			return (port_id)i;
	}
	return PORT_NONE;
}

static void explain(struct plane_vsi *v, enum vdp_outcome outcome, uint8_t status)
{
	static const char *const texts[] = {
		[VDP_INVALID_FORMAT] = "it finds the request malformed",
		[VDP_NO_RESOURCES] = "it has no resources for it",
		[VDP_NO_MANAGER] = "it cannot reach its VSI manager",
		[VDP_OTHER] = "it does not allow VSIs of the type",
		[VDP_INVALID_FILTER] = "it does not allow the VLAN or the address",
	};
	uint8_t error = status & VDP_ERROR;
	const char *text =
		error && error < ARRAY_SIZE(texts) ? texts[error] : "it does not say why";
	const char *hint = status & VDP_HARD ?
				   "it is asked again when the VSI or its port is changed, or the "
				   "link comes up anew" :
				   "see the VSI types of the bridge: evb vsitype show, there";
	char reason[sizeof(v->reason)];

	switch (outcome) {
	case VDP_STANDS:
	case VDP_ENDED:
		set_why(v, "", "");
		break;
	case VDP_KEPT:
		snprintf(reason, sizeof(reason), "the bridge refused the change: %s", text);
		set_why(v, reason, "what stood before stands; see the VSI types of the bridge");
		break;
	case VDP_REFUSED:
		snprintf(reason, sizeof(reason), "the bridge refused it: %s", text);
		set_why(v, reason, hint);
		break;
	case VDP_TIMED_OUT:
		set_why(v, "the bridge does not answer",
			"does it speak VDP, and has the link a carrier? see: evb evb show");
		break;
	case VDP_REVOKED:
		set_why(v, "the bridge ended it", "its VSI type was changed, or somebody said so");
		break;
	}
}

bool plane_vsi_outcome(struct plane *p, port_id uplink, enum vdp_outcome outcome,
		       const struct vsi *of, uint8_t status)
{
	port_id id = port_of(p, uplink, &of->id);
	struct plane_vsi *v;

	if (id == PORT_NONE)
		return false;
	v = &p->shape.port[id]->vsi;
	explain(v, outcome, status);
	if (outcome == VDP_STANDS || outcome == VDP_KEPT) {
		stand(p, id, &of->held);
	} else {
		stand(p, id, NULL);
		v->is_asked = false;
	}
	if (outcome == VDP_STANDS) {
		v->state = PLANE_VSI_STANDS;
		v->pause = 0;
	} else if (status & VDP_HARD && (outcome == VDP_REFUSED || outcome == VDP_KEPT)) {
		v->state = PLANE_VSI_HARD;
	} else {
		wait(p, v);
	}
	tell(p, id);
	plane_vsi_soon(p);
	return true;
}

/* ---- ports that come and go ---- */

static void inherit(struct plane *p, port_id id, const struct plane_vsi *from)
{
	p->shape.port[id]->vsi = *from;
	p->has_other_owners |= from->vid != VID_NONE;
	if (from->is_open)
		plane_view_later(p);
}

void plane_vsi_inherit(struct plane *p, const struct plane_shape *was)
{
	for (uint32_t i = 0; i < was->n; i++) {
		const struct port_config *old = shape_config(was, i),
					 *c = shape_config(&p->shape, i);

		if (!old || !old->vsi.is_set || !was->port[i] ||
		    (i < p->shape.n && was->port[i] == p->shape.port[i]))
			continue;
		if (c && c->vsi.is_set && !strcmp(c->name, old->name))
			inherit(p, (port_id)i, &was->port[i]->vsi);
		else
			orphan(p, &was->port[i]->vsi);
	}
	plane_vsi_soon(p);
}

bool plane_vsi_status(const struct plane *p, port_id id, struct plane_vsi_info *out)
{
	const struct plane_vsi *v = &p->shape.port[id]->vsi;
	tstamp left = v->retry_at - loop_now(p->loop);

	*out = (struct plane_vsi_info){ .state = state_name(v),
					.is_open = v->is_open,
					.is_waiting = v->state == PLANE_VSI_WAITS,
					.uplink = v->uplink,
					.retry = left > 0 ? left : 0,
					.reason = v->reason,
					.hint = v->hint,
					.asked = &v->asked,
					.filters = v->stands ? &v->held : &v->asked.filters };
	return p->shape.model.port[id].vsi.is_set;
}
