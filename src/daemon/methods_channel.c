// SPDX-License-Identifier: Apache-2.0
/* S-channels, as they are shown. Without memory it is as in methods_evb.c. */
#include "methods.h"

static json_t *pairs_json(const struct cdcp_channel *c, unsigned n)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:i, s:i}", "channel", c[i].scid, "svid",
						      c[i].svid));
	return list;
}

static const char *role_name(enum cdcp_role role)
{
	return role == CDCP_STATION ? "station" : "bridge";
}

/* What the other end said last; JSON null: nothing. */
static json_t *remote_json(const struct cdcp *c)
{
	if (!c->has_peer)
		return json_null();
	return json_pack("{s:s, s:b, s:i, s:o}", "role", role_name(c->remote.role), "s_component",
			 c->remote.s_component, "capacity", (int)c->remote.capacity, "channels",
			 pairs_json(c->remote.channel, c->remote.n));
}

static json_t *local_json(const struct cdcp *c)
{
	return json_pack("{s:i, s:o}", "capacity", (int)c->config.capacity, "channels",
			 pairs_json(c->channel, c->n_channels));
}

/* A channel, and the port that has it, if there is one. */
static json_t *channel_json(const struct methods *m, uint16_t scid, vid_t svid, port_id id)
{
	const struct model *model = plane_model(m->plane);
	struct plane_status st;
	json_t *o = json_pack("{s:i}", "channel", scid);

	if (svid != VID_NONE)
		json_object_set_new(o, "svid", json_integer(svid));
	if (id == PORT_NONE)
		return o;
	plane_port_status(m->plane, id, &st);
	json_object_set_new(o, "port", json_string(model->port[id].name));
	json_object_set_new(o, "bridge", json_string(model->bridge[model->port[id].bridge].name));
	json_object_set_new(o, "operstate",
			    json_string(plane_operstate_name((enum plane_operstate)st.operstate)));
	if (st.reason[0])
		json_object_set_new(o, "reason", json_string(st.reason));
	if (st.hint[0])
		json_object_set_new(o, "hint", json_string(st.hint));
	return o;
}

static vid_t svid_of(const struct cdcp *c, uint16_t scid)
{
	for (uint16_t i = 0; i < c->n_channels; i++) {
		if (c->channel[i].scid == scid)
			return c->channel[i].svid;
	}
	return VID_NONE;
}

/* The default channel, those with a port, and those that a station asks for in vain. */
static json_t *channels_json(const struct methods *m, port_id wire, const struct cdcp *c)
{
	const struct model *model = plane_model(m->plane);
	uint16_t scid[CDCP_CHANNELS_MAX];
	uint16_t n = model_channels(model, wire, scid, ARRAY_SIZE(scid));
	json_t *list = json_array();

	json_array_append_new(list, channel_json(m, CDCP_DEFAULT, VID_NONE, wire));
	for (uint16_t i = 0; i < n; i++)
		json_array_append_new(list, channel_json(m, scid[i], svid_of(c, scid[i]),
							 model_channel(model, wire, scid[i])));
	for (uint16_t i = 0; i < c->n_channels; i++) {
		if (model_channel(model, wire, c->channel[i].scid) == PORT_NONE)
			json_array_append_new(list, channel_json(m, c->channel[i].scid, VID_NONE,
								 PORT_NONE));
	}
	return list;
}

static json_t *stats_json(const struct cdcp *c)
{
	const struct counter n[] = { { "taken", c->stats.taken },
				     { "wrong_role", c->stats.wrong_role },
				     { "exhausted", c->stats.exhausted } };

	return show_counters(n, ARRAY_SIZE(n), c->stats.malformed);
}

static json_t *wire_json(const struct methods *m, port_id wire, bool stats)
{
	const struct port_config *p = &plane_model(m->plane)->port[wire];
	const struct cdcp *c = agents_cdcp(plane_agents(m->plane), wire);

	return json_pack("{s:s, s:s, s:s, s:b, s:o*, s:o, s:o, s:o, s:o*}", "ifname", p->name,
			 "dev", p->dev, "role", role_name(c->config.role), "peer", c->has_peer,
			 "svid-pool",
			 c->config.role == CDCP_BRIDGE ?
				 json_sprintf("%d-%d", p->svid_low, p->svid_high) :
				 NULL,
			 "local", local_json(c), "remote", remote_json(c), "channels",
			 channels_json(m, wire, c), "stats", stats ? stats_json(c) : NULL);
}

static void add_wire(const struct methods *m, port_id id, bool stats, json_t *list)
{
	if (agents_cdcp(plane_agents(m->plane), id))
		json_array_append_new(list, wire_json(m, id, stats));
}

json_t *show_channels(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	return show_of_ports(m, params, model_wire, add_wire, error);
}
