// SPDX-License-Identifier: Apache-2.0
/*
 * What ports say and hear by LLDP, EVB and ECP. Without memory, the functions here return NULL, or
 * objects that json_pack() refuses to take: in the end the whole is NULL.
 */
#include <errno.h>
#include <string.h>

#include "lldp_json.h"
#include "methods.h"
#include "value.h"

/* Those that are not 0. */
static json_t *counters_json(const struct counter *c, size_t n)
{
	json_t *o = json_object();

	for (size_t i = 0; i < n; i++) {
		if (c[i].n)
			json_object_set_new(o, c[i].key, json_integer((json_int_t)c[i].n));
	}
	return o;
}

json_t *show_counters(const struct counter *c, size_t n, const uint64_t *malformed)
{
	json_t *o = counters_json(c, n);

	for (unsigned i = 0; i < MALFORMED_N; i++) {
		if (malformed[i])
			json_object_set_new(o, malformed_name((enum malformed)i),
					    json_integer((json_int_t)malformed[i]));
	}
	return o;
}

json_t *show_of_ports(const struct methods *m, const json_t *params, port_instead *instead,
		      port_rows *add, struct rpc_error *error)
{
	const struct model *model = plane_model(m->plane);
	bool stats = json_is_true(json_object_get(params, "stats"));
	json_t *list;
	int only;

	if (!params_port(model, params, "port", &only, error))
		return NULL;
	if (only >= 0 && instead)
		only = instead(model, (port_id)only);
	list = json_array();
	for (uint32_t i = 0; i < model->n_ports; i++) {
		if (only < 0 || (uint32_t)only == i)
			add(m, (port_id)i, stats, list);
	}
	return list;
}

/* ---- LLDP ---- */

static json_t *neighbours_json(const struct lldp *l, enum lldp_scope scope, tstamp now)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < l->n_neighbours; i++) {
		const struct lldp_neighbour *n = &l->neighbour[i];
		tstamp left = n->expires > now ? (n->expires - now) / NS_PER_S : 0;

		json_array_append_new(list, lldp_neighbour_json(n, scope, (int)left));
	}
	return list;
}

static json_t *lldp_stats(const struct lldp *l)
{
	const struct lldp_stats *s = &l->stats;
	const struct counter c[] = {
		{ "sent", s->sent },	 { "received", s->received },
		{ "aged", s->aged },	 { "forgotten", s->forgotten },
		{ "looped", s->looped }, { "delayed", s->delayed },
	};

	return show_counters(c, ARRAY_SIZE(c), s->malformed);
}

static json_t *lldp_json(const struct methods *m, port_id id, enum lldp_scope scope, bool stats)
{
	const struct model *model = plane_model(m->plane);
	const struct lldp *l = agents_lldp(plane_agents(m->plane), id, scope);

	return json_pack("{s:s, s:s, s:s, s:i, s:o, s:o, s:i, s:b, s:o, s:o*}", "ifname",
			 model->port[id].name, "bridge", model->bridge[model->port[id].bridge].name,
			 "scope", model_lldp_name(scope), "hold", (int)l->config.hold, "chassis",
			 lldp_id_json(&l->config.self.chassis, true), "port",
			 lldp_id_json(&l->config.self.port, false), "interval",
			 (int)l->config.interval_s, "link", l->link_up, "neighbours",
			 neighbours_json(l, scope, loop_now(m->loop)), "stats",
			 stats ? lldp_stats(l) : NULL);
}

static void add_lldp(const struct methods *m, port_id id, bool stats, json_t *list)
{
	for (enum lldp_scope s = LLDP_NEAREST_BRIDGE; s < LLDP_SCOPES_N; s++) {
		if (agents_lldp(plane_agents(m->plane), id, s))
			json_array_append_new(list, lldp_json(m, id, s, stats));
	}
}

json_t *show_lldp(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	return show_of_ports(m, params, NULL, add_lldp, error);
}

/* ---- EVB and ECP ---- */

/* The status octets of either end, bit by bit. */
static json_t *status_json(uint8_t bridge, uint8_t station)
{
	return json_pack("{s:b, s:b, s:b, s:b, s:b}", "rr_capable",
			 (bridge & EVB_BRIDGE_RR_CAP) != 0, "rr_control",
			 (bridge & EVB_BRIDGE_RR_CTR) != 0, "rr_request",
			 (station & EVB_STATION_RR_REQ) != 0, "bridge_group_id",
			 (bridge & EVB_BRIDGE_GROUP_ID) != 0, "station_group_id",
			 (station & EVB_STATION_GROUP_ID) != 0);
}

static json_t *values_json(struct evb_values v)
{
	return json_pack("{s:i, s:i, s:i, s:i}", "retries", v.retries, "rte", v.rte, "rwd", v.rwd,
			 "rka", v.rka);
}

static json_t *draft_json(const struct evb_draft_tlv *d)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "modes", d->modes, "capabilities",
			 d->capabilities, "configured_mode", d->configured_mode,
			 "configured_capabilities", d->configured_capabilities, "vsis", d->vsis,
			 "configured_vsis", d->configured_vsis, "rte", d->rte);
}

/* What is configured, and may or is asked for. */
static json_t *local_json(const struct evb *e)
{
	json_t *o = values_json(e->config.values);

	if (o)
		json_object_set_new(o, e->config.role == EVB_STATION ? "rr_request" : "rr_capable",
				    json_boolean(e->config.reflective_relay));
	return o;
}

/* What the other end said last; JSON null: nothing. */
static json_t *remote_json(const struct evb *e)
{
	json_t *o;

	if (!e->has_peer)
		return json_null();
	if (e->generation == EVB_DRAFT)
		return draft_json(&e->draft);
	o = status_json(e->remote.bridge, e->remote.station);
	if (o)
		json_object_update_new(o, values_json(evb_remote(e)));
	return o;
}

/* A value in use: whose it is, if it is not both ends'; or the limit of what the other wants. */
static const char *whose(uint8_t used, uint8_t local, uint8_t remote, bool has_remote)
{
	if (!has_remote || (used == local && used != remote))
		return "local";
	if (used == local)
		return "both";
	return used < remote ? "limit" : "remote";
}

static json_t *used_json(const struct evb *e)
{
	bool has = e->has_peer && e->generation == EVB_RATIFIED && !e->config.manual;
	const struct evb_values *own = &e->config.values, *v = &e->values;
	struct evb_values r = evb_remote(e);
	json_t *o = values_json(*v);

	if (o)
		json_object_set_new(o, "of",
				    json_pack("{s:s, s:s, s:s, s:s}", "retries",
					      whose(v->retries, own->retries, r.retries, has),
					      "rte", whose(v->rte, own->rte, r.rte, has), "rwd",
					      whose(v->rwd, own->rwd, r.rwd, has), "rka",
					      whose(v->rka, own->rka, r.rka, has)));
	return o;
}

json_t *show_ecp_stats(const struct ecp_stats *s)
{
	const struct counter c[] = {
		{ "sent", s->sent },
		{ "retransmitted", s->retransmitted },
		{ "acknowledged", s->acknowledged },
		{ "given_up", s->given_up },
		{ "received", s->received },
		{ "duplicates", s->duplicates },
		{ "acks_sent", s->acks_sent },
		{ "stray_acks", s->stray_acks },
	};

	return show_counters(c, ARRAY_SIZE(c), s->malformed);
}

static json_t *evb_stats(const struct evb_link *l)
{
	const struct counter evb[] = { { "taken", l->evb.stats.taken },
				       { "wrong_role", l->evb.stats.wrong_role } };
	json_t *o = json_pack("{s:o}", "evb",
			      show_counters(evb, ARRAY_SIZE(evb), l->evb.stats.malformed));

	if (o)
		json_object_update_new(o, show_vdp_stats(l));
	return o;
}

/* ---- why the ends do not agree ---- */

struct why show_no_peer(const struct evb_link *l)
{
	const struct evb *e = &l->evb;

	if (e->has_peer)
		return (struct why){ NULL, NULL };
	if (!l->lldp.link_up)
		return (struct why){ "the port is not up", "see: evb port show" };
	if (!l->lldp.n_neighbours)
		return (struct why){ "nobody is heard at the other end",
				     "let it speak EVB, which is LLDP to 01:80:c2:00:00:00" };
	if (e->generation == EVB_DRAFT ? e->remote.mode != 0 : e->draft.modes != 0)
		return (struct why){ "the other end speaks another generation of EVB",
				     "let the port follow it: evb port set ... evb auto" };
	if ((uint8_t)e->remote.mode ==
	    (e->config.role == EVB_STATION ? EVB_MODE_STATION : EVB_MODE_BRIDGE))
		return (struct why){ e->config.role == EVB_STATION ?
					     "the other end is a station, too" :
					     "the other end is a bridge, too",
				     "an uplink is a station, a port of a learning bridge a "
				     "bridge: one of each" };
	return (struct why){ "the other end says nothing of EVB in its LLDP",
			     "is EVB on there? who it is: evb lldp show" };
}

/* Does the other end, if it is a station, ask for reflection, or can it reflect, if a bridge? */
static bool other_reflects(const struct evb *e)
{
	if (e->generation == EVB_DRAFT)
		return e->draft.modes & EVB_DRAFT_REFLECT;
	return e->config.role == EVB_STATION ? e->remote.bridge & EVB_BRIDGE_RR_CAP :
					       e->remote.station & EVB_STATION_RR_REQ;
}

/* There is a peer, but not all is well. */
static struct why less_than_wanted(const struct evb *e)
{
	bool is_station = e->config.role == EVB_STATION, other = other_reflects(e);

	if (e->generation == EVB_DRAFT && !e->draft_vdp)
		return (struct why){ "the other end does not speak ECP and VDP",
				     "VSIs need both; lldpad: capabilities=rte,ecp,vdp" };
	if (evb_is_capped(e))
		return (struct why){
			"the other end asks for timers beyond evb-max",
			"allow them, or lower them there: evb port set ... evb-max 31"
		};
	if (e->status == EVB_RR_ON || (is_station ? !e->config.reflective_relay : !other))
		return (struct why){ NULL, NULL };
	if (is_station && !other)
		return (struct why){ "the bridge may not reflect",
				     "allow it there: evb port set ... reflective-relay on" };
	if (!is_station && !e->config.reflective_relay)
		return (struct why){ "the station asks for reflection, which the port may not do",
				     "allow it: evb port set ... reflective-relay on" };
	return (struct why){ "the bridge is to reflect, but does not yet",
			     "with type kernel: is the device a port of a Linux bridge?" };
}

static const char *reflection(const struct evb *e)
{
	if (!e->has_peer && e->config.role == EVB_STATION)
		return "unknown";
	return e->status == EVB_RR_ON ? "on" : e->status == EVB_RR_OFF ? "off" : "unknown";
}

static json_t *evb_json(const struct methods *m, port_id id, bool stats)
{
	const struct model *model = plane_model(m->plane);
	const struct port_config *c = &model->port[id];
	const struct evb_link *l = agents_evb(plane_agents(m->plane), id);
	const struct evb *e = &l->evb;
	struct why why = e->has_peer ? less_than_wanted(e) : show_no_peer(l);

	return json_pack(
		"{s:s, s:i, s:s, s:s, s:s, s:s, s:b, s:s, s:b, s:i, s:o, s:o, s:o, s:s*, s:s*, "
		"s:o*}",
		"ifname", c->name, "max", e->config.cap, "bridge", model->bridge[c->bridge].name,
		"role", e->config.role == EVB_STATION ? "station" : "bridge", "evb",
		model_evb_name((enum evb_speech)c->evb), "generation",
		e->generation == EVB_DRAFT ? "draft" : "ratified", "peer", e->has_peer,
		"reflection", reflection(e), "group_id", e->group_id, "vsis",
		(int)agents_vsis(l)->n_used, "local", local_json(e), "remote", remote_json(e),
		"used", used_json(e), "reason", why.reason, "hint", why.hint, "stats",
		stats ? evb_stats(l) : NULL);
}

static void add_evb(const struct methods *m, port_id id, bool stats, json_t *list)
{
	if (agents_evb(plane_agents(m->plane), id))
		json_array_append_new(list, evb_json(m, id, stats));
}

json_t *show_evb(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	return show_of_ports(m, params, NULL, add_evb, error);
}
