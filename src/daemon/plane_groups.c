// SPDX-License-Identifier: Apache-2.0
/*
 * Multicast groups of bridges that snoop: what workers report of them goes into the table
 * (fwd/groups.h), and from there into the view. The table follows the model as ports come, go and
 * change their VLANs.
 */
#include <stdlib.h>
#include <string.h>

#include "plane_internal.h"

#define WARN_PERIOD (60 * NS_PER_S)
#define AGE_MIN (100 * NS_PER_MS) /* between two looks for what has ended */

static bool snoops(const struct plane_shape *s, uint32_t bridge)
{
	return bridge < s->model.n_bridges && s->model.bridge[bridge].name[0] &&
	       s->model.bridge[bridge].snooping;
}

static bool has_vlan(const struct port_config *c, vid_t vid)
{
	return c->role == FWD_UPLINK || model_port_has_vlan(c, vid);
}

/* Is what is known of a group right in shape `s`, too? */
static bool holds(const struct plane *p, const struct plane_shape *s, const struct group_entry *e)
{
	const struct port_config *was = shape_config(&p->shape, e->port);
	const struct port_config *c = shape_config(s, e->port);

	return was && c && !strcmp(was->name, c->name) && c->bridge == e->fid >> 12 &&
	       snoops(s, c->bridge) && !c->standby && has_vlan(c, e->fid & 0xfff);
}

/*
 * When queriers were heard last for which all had the time to answer: the one of each bridge that
 * was heard longest ago; 0: none.
 */
static void survey_queriers(const struct plane *p, const struct plane_shape *s, tstamp *heard)
{
	for (uint32_t i = 0; i < groups_size(p->groups); i++) {
		const struct group_entry *e = groups_at(p->groups, i);
		tstamp *of = &heard[e->fid >> 12];

		if (e->kind == GROUP_QUERIER && e->heard && holds(p, s, e) &&
		    (!*of || e->heard < *of))
			*of = e->heard;
	}
}

/* Does the port get all groups, as far as they are filtered at all? */
static bool gets_all(const struct plane *p, const struct plane_shape *s, uint32_t id,
		     const tstamp *heard)
{
	const struct port_config *c = shape_config(s, id);

	if (!c || c->role == FWD_UPLINK || !snoops(s, c->bridge) || !heard[c->bridge])
		return false;
	return c->promisc || groups_doubted(p->groups, (port_id)id) >= heard[c->bridge];
}

struct owner *plane_groups_owners(const struct plane *p, const struct plane_shape *s, uint32_t *n)
{
	tstamp heard[BRIDGES_MAX] = { 0 };
	uint32_t size = groups_size(p->groups), used = 0;
	struct owner *to = malloc(((size_t)size + s->model.n_ports + 1) * sizeof(*to));

	if (!to)
		return NULL;
	for (uint32_t i = 0; i < size; i++) {
		const struct group_entry *e = groups_at(p->groups, i);

		if (holds(p, s, e) && groups_owner(e, &to[used]))
			used++;
	}
	survey_queriers(p, s, heard);
	for (uint32_t i = 0; i < s->model.n_ports; i++)
		if (gets_all(p, s, i, heard))
			to[used++] = (struct owner){
				.mac = group_mark(GROUP_MARK_ALL, false),
				.port = (port_id)i,
				.fid = owners_fid(s->model.port[i].bridge, VID_NONE),
			};
	*n = used;
	return to;
}

/* ---- the table ---- */

void plane_on_group(void *aux, const struct group_entry *e, bool is_added)
{
	struct plane *p = aux;
	const struct port_config *c = shape_config(&p->shape, e->port);

	if (c)
		event_mdb(p->events, e, c->name, p->shape.model.bridge[c->bridge].name,
			  is_added ? "add" : "del");
}

/* After the table may have changed. */
static void tend(struct plane *p)
{
	tstamp due = groups_deadline(p->groups), now = loop_now(p->loop);

	if (!due)
		loop_timer_stop(p->group_timer);
	else
		loop_timer_set(p->group_timer, due > now + AGE_MIN ? due : now + AGE_MIN, 0);
	if (groups_has_changed(p->groups))
		plane_view_soon(p);
}

void plane_on_group_timer(void *aux)
{
	struct plane *p = aux;

	groups_age(p->groups, loop_now(p->loop));
	tend(p);
}

static void doubt(struct plane *p, uint32_t id)
{
	const struct port_config *c = shape_config(&p->shape, id);

	if (c && snoops(&p->shape, c->bridge))
		groups_doubt(p->groups, (port_id)id, loop_now(p->loop));
}

void plane_groups_doubt(struct plane *p, port_id id)
{
	doubt(p, id);
	tend(p);
}

/* More was said than could be noted. A guest can do that at will, and the log is not its. */
static void warn(struct plane *p, const char *who)
{
	tstamp now = loop_now(p->loop);

	if (p->groups_warned && now - p->groups_warned < WARN_PERIOD)
		return;
	p->groups_warned = now;
	log_warning(p->log,
		    "%s: more is said of multicast groups than can be noted; all groups "
		    "go there until a querier has been answered",
		    who);
}

void plane_groups_report(struct plane *p, const struct report *r)
{
	const struct port_config *c = shape_config(&p->shape, r->port);
	uint64_t refused = groups_refused(p->groups);
	struct group_place at = { .fid = owners_fid(r->bridge, r->vid),
				  .port = r->port,
				  .now = loop_now(p->loop) };

	if (r->kind == REPORT_DEAF) {
		for (uint32_t i = 0; i < p->shape.model.n_ports; i++)
			if (r->port == PORT_NONE || r->port == i)
				doubt(p, i);
		warn(p, c ? c->name : "all ports");
		return;
	}
	if (!c || c->bridge != r->bridge || c->standby || !snoops(&p->shape, c->bridge) ||
	    !has_vlan(c, r->vid))
		return;
	at.has_members = c->role != FWD_UPLINK;
	at.has_queriers = c->role != FWD_STATION; /* a guest's does not reach all others */
	at.leaves_fast = c->fastleave;
	groups_note(p->groups, &at, &r->note);
	if (groups_refused(p->groups) != refused)
		warn(p, c->name);
}

void plane_groups_tend(struct plane *p)
{
	tend(p);
}

/* ---- the model changes ---- */

struct prune {
	const struct plane *p;
	const struct plane_shape *next;
};

static bool is_kept(void *aux, const struct group_entry *e)
{
	const struct prune *prune = aux;

	return holds(prune->p, prune->next, e);
}

/* May the guest of a port have joined groups of which nobody told us here? */
static bool is_moved(const struct port_config *was, const struct port_config *c)
{
	return !was || strcmp(was->name, c->name) != 0 || was->bridge != c->bridge ||
	       was->standby != c->standby || was->vlan != c->vlan || was->native != c->native ||
	       was->has_trunk != c->has_trunk ||
	       memcmp(&was->trunk, &c->trunk, sizeof(c->trunk)) != 0;
}

void plane_groups_settle(struct plane *p, const struct plane_shape *next)
{
	struct prune prune = { p, next };

	groups_prune(p->groups, is_kept, &prune);
	for (uint32_t i = 0; i < next->model.n_ports; i++) {
		const struct port_config *c = shape_config(next, i);

		if (c && snoops(next, c->bridge) && is_moved(shape_config(&p->shape, i), c))
			groups_doubt(p->groups, (port_id)i, loop_now(p->loop));
	}
}

/* ---- for showing ---- */

void plane_groups_each(const struct plane *p, plane_group_cb *cb, void *aux)
{
	const struct plane_shape *s = &p->shape;
	tstamp heard[BRIDGES_MAX] = { 0 };

	for (uint32_t i = 0; i < groups_size(p->groups); i++) {
		const struct group_entry *e = groups_at(p->groups, i);
		tstamp left = e->until - loop_now(p->loop);

		cb(aux, e->port, e, left > 0 ? left : 0);
	}
	survey_queriers(p, s, heard);
	for (uint32_t i = 0; i < s->model.n_ports; i++)
		if (gets_all(p, s, i, heard))
			cb(aux, (port_id)i, NULL, 0);
}
