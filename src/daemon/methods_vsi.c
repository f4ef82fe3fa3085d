// SPDX-License-Identifier: Apache-2.0
/*
 * `vsi show`, at both ends, and `vsitype show`. A row of VSIs says why it does not stand; with
 * counters, what the link that carries it sent, got and ignored.
 */
#include <stdio.h>
#include <string.h>

#include "methods.h"
#include "value.h"
#include "vsi_text.h"

static void put(json_t *o, const char *key, json_t *v_take)
{
	json_object_set_new(o, key, v_take);
}

static void put_text(json_t *o, const char *key, const char *text)
{
	if (text[0])
		put(o, key, json_string(text));
}

static void put_seconds(json_t *o, const char *key, tstamp left)
{
	put(o, key, json_real((double)(left > 0 ? left : 0) / NS_PER_S));
}

/* One filter: MAC/VID, VID, with @GROUP behind it. */
static json_t *filter_json(const struct vdp_filters *f, uint16_t i)
{
	struct vdp_filter filter = vdp_filter_at(f, i);
	char mac[VALUE_MAC_SIZE], text[64];
	int n = 0;

	if (!mac_is_zero(filter.mac))
		n = snprintf(text, sizeof(text), "%s/", value_mac_format(filter.mac, mac));
	n += snprintf(text + n, sizeof(text) - (size_t)n, "%d", filter.vid & VDP_VID);
	if (filter.vid & VDP_VID_PS)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ":%d",
			      (filter.vid & VDP_VID_PCP) >> 12);
	if (filter.group)
		snprintf(text + n, sizeof(text) - (size_t)n, "@%u", filter.group);
	return json_string(text);
}

/* What was asked for or stands. */
static void put_assoc(json_t *o, const struct vdp_assoc *a, const struct vdp_filters *f)
{
	char text[VSI_TEXT_SIZE];
	json_t *list = json_array();

	for (uint16_t i = 0; i < f->n; i++)
		json_array_append_new(list, filter_json(f, i));
	put(o, "instance", json_string(vsi_id_format(&a->id, text)));
	put(o, "manager", json_string(vdp_manager_format(&a->manager, text)));
	put(o, "type", json_integer(a->type_id));
	put(o, "version", json_integer(a->version));
	put(o, "request", json_string(vdp_request_name(a->request)));
	put(o, "filters", list);
}

/* ---- counters ---- */

static json_t *station_counters(const struct vdp_station_stats *s)
{
	const struct counter c[] = {
		{ "requests", s->requests },   { "keep_alives", s->keep_alives },
		{ "responses", s->responses }, { "mismatched", s->mismatched },
		{ "ignored", s->ignored },
	};

	return show_counters(c, ARRAY_SIZE(c), s->malformed);
}

static json_t *bridge_counters(const struct vdp_bridge_stats *s)
{
	const struct counter c[] = {
		{ "requests", s->requests },
		{ "keep_alives", s->keep_alives },
		{ "accepted", s->accepted },
		{ "refused", s->refused },
		{ "kept", s->kept },
		{ "timed_out", s->timed_out },
		{ "undecided", s->undecided },
		{ "revoked", s->revoked },
		{ "ignored", s->ignored },
		{ "full", s->full },
		{ "unanswered", s->unanswered },
	};

	return show_counters(c, ARRAY_SIZE(c), s->malformed);
}

json_t *show_vdp_stats(const struct evb_link *l)
{
	bool is_station = l->evb.config.role == EVB_STATION;

	return json_pack("{s:o, s:o}", "vdp",
			 is_station ? station_counters(&l->station.stats) :
				      bridge_counters(&l->bridge.stats),
			 "ecp", show_ecp_stats(&l->ecp.stats));
}

/* The link that carries the VSI: what ails it, and its counters. */
static void put_link(json_t *o, const struct evb_link *l, bool stats)
{
	struct why why = show_no_peer(l);

	if (why.reason)
		put(o, "link", json_string(why.reason));
	if (stats)
		put(o, "stats", show_vdp_stats(l));
}

/* ---- rows ---- */

/* What the VSI at a port of a bridge may send and get, and what was beyond that. */
static void put_limits(json_t *stats, const struct plane_vsi_limits *l)
{
	json_t *limits = json_object();

	for (unsigned i = 0; i < METERS_N; i++) {
		if (l->limit.set >> i & 1)
			put(limits, model_vsi_limit((enum meter_id)i),
			    json_integer((json_int_t)l->limit.of[i].rate));
	}
	put(stats, "limits", limits);
	put(stats, "dropped",
	    json_pack("{s:I, s:I}", "rate", (json_int_t)l->dropped_in, "rate_out",
		      (json_int_t)l->dropped_out));
}

struct vsi_list {
	const struct methods *m;
	const struct model *model;
	json_t *rows;
	bool stats;
};

static json_t *row_new(const struct vsi_list *l, port_id id, const char *role)
{
	const struct port_config *c = &l->model->port[id];

	return json_pack("{s:s, s:s, s:s}", "ifname", c->name, "bridge",
			 l->model->bridge[c->bridge].name, "role", role);
}

static const char *const station_states[] = { "asking", "stands", "refreshing" };
static const char *const bridge_states[] = { "deciding", "attached", "leaving" };

/* What the machine says of the VSI: is a question open, and how long until its timer runs out? */
static void put_machine(json_t *o, const struct vsi_list *l, const struct vsi *v, bool is_station)
{
	put(o, "machine", json_string((is_station ? station_states : bridge_states)[v->state]));
	put(o, "outstanding",
	    json_boolean(is_station ? v->state != VSI_STANDS : v->state == VSI_DECIDING));
	if (v->due != TSTAMP_NEVER)
		put_seconds(o, "timer", v->due - loop_now(l->m->loop));
}

static void add_station(const struct vsi_list *l, port_id id)
{
	struct plane_vsi_info info;
	const struct evb_link *link;
	struct vdp_assoc asked;
	const struct vsi *v;
	json_t *o;

	if (!plane_vsi_status(l->m->plane, id, &info))
		return;
	asked = *info.asked;
	asked.id = l->model->port[id].vsi.id;
	asked.request = (enum vdp_request)l->model->port[id].vsi.request;
	o = row_new(l, id, "station");
	put(o, "state", json_string(info.state));
	put(o, "open", json_boolean(info.is_open));
	put_assoc(o, &asked, info.filters);
	put_text(o, "reason", info.reason);
	put_text(o, "hint", info.hint);
	if (info.is_waiting)
		put_seconds(o, "retry", info.retry);
	link = info.uplink == PORT_NONE ? NULL : agents_evb(plane_agents(l->m->plane), info.uplink);
	if (link) {
		put(o, "uplink", json_string(l->model->port[info.uplink].name));
		v = vsi_find(agents_vsis(link), &asked.id);
		if (v)
			put_machine(o, l, v, true);
		put_link(o, link, l->stats);
	}
	json_array_append_new(l->rows, o);
}

/* Has a port of ours it? Else it is one of libvirt (virtport.h). */
static bool is_of_port(const struct model *m, const struct vsi_id *id)
{
	for (uint32_t i = 0; i < m->n_ports; i++) {
		if (m->port[i].name[0] && m->port[i].vsi.is_set &&
		    vsi_id_equal(&m->port[i].vsi.id, id))
			return true;
	}
	return false;
}

/* Is nothing held back at a port of a bridge, though it could be? */
static bool is_ungated(const struct model *m, port_id id)
{
	return !m->port[id].vdp && !m->bridge[m->port[id].bridge].is_kernel;
}

/* All VSIs of a link, but those of ports of ours, which have rows of their own. */
static void add_on_link(const struct vsi_list *l, port_id id, const struct evb_link *link)
{
	const struct vsi_table *t = agents_vsis(link);
	bool is_station = link->evb.config.role == EVB_STATION;

	for (uint32_t i = 0; i < t->n_slots; i++) {
		const struct vsi *v = &t->slot[i];
		const struct vdp_assoc *a = v->held.request ? &v->held : &v->asked;
		struct plane_vsi_limits limits;
		json_t *o;

		if (!v->used || (is_station && is_of_port(l->model, &v->id)))
			continue;
		o = row_new(l, id, is_station ? "station" : "bridge");
		put(o, "state",
		    json_string(v->held.request == VDP_ASSOCIATE ?
					"associated" :
					vdp_request_name(v->held.request)));
		put(o, "open", json_boolean(v->held.request == VDP_ASSOCIATE));
		put_assoc(o, a, &a->filters);
		put_machine(o, l, v, is_station);
		if (!is_station && is_ungated(l->model, id)) {
			put_text(o, "reason", "the port passes what is not associated, too");
			put_text(o, "hint", "let it not: evb port set ... vdp on");
		}
		put_link(o, link, l->stats);
		if (l->stats && plane_vsi_limits(l->m->plane, id, &v->id, &limits))
			put_limits(json_object_get(o, "stats"), &limits);
		json_array_append_new(l->rows, o);
	}
}

/* Who debugs the bridge sees what it refused last, and why. */
static void add_refused(const struct vsi_list *l, port_id id, const struct evb_link *link)
{
	struct plane_vsi_info info;
	json_t *o;

	if (!l->stats || !plane_gate_refused(l->m->plane, id, &info))
		return;
	o = row_new(l, id, "bridge");
	put(o, "state", json_string(info.state));
	put(o, "open", json_false());
	put_assoc(o, info.asked, info.filters);
	put_text(o, "reason", info.reason);
	put_text(o, "hint", info.hint);
	put_seconds(o, "ago", info.retry);
	put_link(o, link, true);
	json_array_append_new(l->rows, o);
}

json_t *show_vsis(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	struct vsi_list l = { .m = m,
			      .model = plane_model(m->plane),
			      .stats = json_is_true(json_object_get(params, "stats")) };
	int port;

	if (!params_port(l.model, params, "ifname", &port, error))
		return NULL;
	l.rows = json_array();
	for (uint32_t i = 0; l.rows && i < l.model->n_ports; i++) {
		const struct port_config *c = &l.model->port[i];
		const struct evb_link *link;

		if (!c->name[0] || (port >= 0 && port != (int)i))
			continue;
		add_station(&l, (port_id)i);
		link = agents_evb(plane_agents(m->plane), (port_id)i);
		if (!link)
			continue;
		add_on_link(&l, (port_id)i, link);
		add_refused(&l, (port_id)i, link);
	}
	return l.rows;
}

bool show_policy(const struct model *m, const struct port_config *c, json_t *port)
{
	const struct vsitype_config *t = model_port_vsitype(m, c);
	json_t *key;

	if (!t || (t->mode == FWD_MODES_N && !t->has_reserved))
		return true;
	key = json_pack("{s:i, s:i}", "id", (int)t->id, "version", t->version);
	if (t->mode != FWD_MODES_N)
		put_text(port, "own-mode", model_mode_name((enum fwd_mode)c->own_mode));
	if (t->has_reserved)
		put(port, "own-reserved", json_integer(c->own_reserved));
	return json_object_set_new(port, "vsitype", key) == 0;
}

json_t *show_vsitypes(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	const struct model *model = plane_model(m->plane);
	json_t *rows = json_array();
	bool failed = !rows;

	for (uint32_t i = 0; i < model->n_vsitypes; i++)
		failed |= json_array_append_new(rows, model_vsitype_params(&model->vsitype[i])) < 0;
	if (!failed)
		return rows;
	json_decref(rows);
	return NULL;
}
