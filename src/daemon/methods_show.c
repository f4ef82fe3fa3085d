// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "methods.h"
#include "value.h"

/* ---- what the params name ---- */

bool params_port(const struct model *m, const json_t *params, const char *key, int *id,
		 struct rpc_error *error)
{
	const char *name = json_string_value(json_object_get(params, key));

	*id = name ? model_find_port(m, name) : -1;
	if (!name || *id >= 0)
		return true;
	rpc_fail(error, RPC_REFUSED, ENOENT, "%s: no such port", name);
	err_hint(&error->err, "`evb port show` lists the ports");
	return false;
}

bool params_bridge(const struct model *m, const json_t *params, const char *key, int *id,
		   struct rpc_error *error)
{
	const char *name = json_string_value(json_object_get(params, key));

	*id = name ? model_find_bridge(m, name) : -1;
	if (!name || *id >= 0)
		return true;
	rpc_fail(error, RPC_REFUSED, ENOENT, "%s: no such bridge", name);
	err_hint(&error->err, "`evb bridge show` lists the bridges");
	return false;
}

/* ---- values ---- */

static void set(json_t *o, const char *key, json_t *value_take)
{
	json_object_set_new(o, key, value_take);
}

static void set_string(json_t *o, const char *key, const char *value)
{
	if (value[0])
		set(o, key, json_string(value));
}

static void set_number(json_t *o, const char *key, uint64_t value)
{
	set(o, key, json_integer((json_int_t)value));
}

static json_t *mac_json(struct mac mac)
{
	char word[VALUE_MAC_SIZE];

	return json_string(value_mac_format(mac, word));
}

static json_t *macs_json(const struct mac_list *list)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < list->n; i++)
		json_array_append_new(a, mac_json(list->mac[i]));
	return a;
}

static void set_vlans(json_t *o, const char *key, const struct vlan_set *s)
{
	char word[VALUE_VLANS_SIZE];

	set(o, key, json_string(value_vlans_format(s, word)));
}

/* ---- ports ---- */

static const char *role_name(enum fwd_role role)
{
	switch (role) {
	case FWD_STATION:
		return "station";
	case FWD_UPLINK:
		return "uplink";
	case FWD_RELAY_PORT:
		break; /* on a learning relay all ports are alike */
	}
	return "";
}

static void show_vlans(json_t *o, const struct port_config *c)
{
	if (c->has_trunk)
		set_vlans(o, "trunk", &c->trunk);
	else if (c->role != FWD_UPLINK)
		set_number(o, "vlan", c->vlan);
	if ((c->has_trunk || c->role == FWD_UPLINK) && c->native != VID_NONE)
		set_number(o, "native", c->native);
}

static void show_kind(json_t *o, const struct port_config *c)
{
	if (c->kind == KIND_MEMORY)
		return;
	set_string(o, "dev", c->dev);
	if (c->kind != KIND_TAP)
		return;
	set_string(o, "netns", c->netns);
	set_string(o, "guest", c->guest_is_vm ? "vm" : "netns");
	set_string(o, "owner", c->owner);
	set_string(o, "group", c->group);
}

static void show_station(json_t *o, const struct port_config *c)
{
	set_string(o, "mode", model_mode_name((enum fwd_mode)c->mode));
	set(o, "spoof-guard", json_boolean(c->spoof_guard));
	set(o, "promisc", json_boolean(c->promisc));
	set(o, "standby", json_boolean(c->standby));
	set_number(o, "reserved", c->reserved);
	set_number(o, "maclimit", c->maclimit);
	if (c->mode != FWD_SOURCE)
		return;
	set(o, "source", macs_json(&c->source));
	set(o, "nodst", json_boolean(c->nodst));
}

static void show_address(json_t *o, const struct port_config *c, const struct plane_status *st)
{
	json_t *a = macs_json(&c->macs);

	if (c->kind == KIND_PACKET && c->role != FWD_STATION && !mac_is_zero(st->address))
		json_array_insert_new(a, 0, mac_json(st->address));
	if (json_array_size(a))
		set(o, "address", a);
	else
		json_decref(a);
}

/* Egress reasons are counted on the port that could not take the frame. */
static bool is_egress(enum drop_reason r)
{
	return r == DROP_port_down || r == DROP_mtu || r == DROP_queue_full;
}

static void show_stats(json_t *o, const struct port_counters *c)
{
	uint64_t rx_dropped = 0, tx_dropped = 0;
	json_t *drops = json_object();

	for (unsigned r = 0; r < DROP_REASONS_N; r++) {
		*(is_egress((enum drop_reason)r) ? &tx_dropped : &rx_dropped) += c->drops[r];
		if (c->drops[r])
			set_number(drops, drop_name((enum drop_reason)r), c->drops[r]);
	}
	set(o, "stats64",
	    json_pack("{s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I}}", "rx", "packets",
		      (json_int_t)c->rx_frames, "bytes", (json_int_t)c->rx_octets, "dropped",
		      (json_int_t)rx_dropped, "multicast", (json_int_t)c->rx_group, "tx", "packets",
		      (json_int_t)c->tx_frames, "bytes", (json_int_t)c->tx_octets, "dropped",
		      (json_int_t)tx_dropped));
	set_number(o, "replicated", c->replicated);
	set_number(o, "segmented", c->tx_segmented);
	set_number(o, "csum", c->tx_csum);
	set_number(o, "to_wire", c->to_wire);
	set(o, "drops", drops);
}

static json_t *show_port(const struct methods *m, port_id id, bool stats)
{
	const struct model *model = plane_model(m->plane);
	const struct port_config *c = &model->port[id];
	struct port_counters counters;
	struct plane_status st;
	json_t *o = json_object();

	plane_port_status(m->plane, id, &st);
	set_string(o, "ifname", c->name);
	set_string(o, "bridge", model->bridge[c->bridge].name);
	set_string(o, "kind", model_kind_name((enum port_kind)c->kind));
	set_string(o, "role", role_name((enum fwd_role)c->role));
	show_address(o, c, &st);
	show_vlans(o, c);
	set_number(o, "mtu", st.mtu);
	set_string(o, "operstate", plane_operstate_name((enum plane_operstate)st.operstate));
	set_string(o, "reason", st.reason);
	set_string(o, "hint", st.hint);
	show_kind(o, c);
	set(o, "offload", json_boolean(c->offload));
	if (c->role == FWD_STATION) {
		show_station(o, c);
	} else if (c->role == FWD_RELAY_PORT) {
		set(o, "reflective-relay", json_boolean(c->reflective_relay));
		set_number(o, "maclimit", c->maclimit);
	}
	if (stats) {
		plane_port_counters(m->plane, id, &counters);
		show_stats(o, &counters);
	}
	return o;
}

json_t *show_ports(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	const struct model *model = plane_model(m->plane);
	bool stats = json_is_true(json_object_get(params, "stats"));
	json_t *list;
	int only, bridge;

	if (!params_port(model, params, "ifname", &only, error) ||
	    !params_bridge(model, params, "bridge", &bridge, error))
		return NULL;
	list = json_array();
	for (uint32_t i = 0; i < model->n_ports; i++) {
		const struct port_config *c = &model->port[i];

		if (c->name[0] && (only < 0 || only == (int)i) &&
		    (bridge < 0 || bridge == c->bridge))
			json_array_append_new(list, show_port(m, (port_id)i, stats));
	}
	return list;
}

json_t *show_drops(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	const struct model *model = plane_model(m->plane);
	json_t *list;
	int only;

	if (!params_port(model, params, "port", &only, error))
		return NULL;
	list = json_array();
	for (uint32_t i = 0; i < model->n_ports; i++) {
		const struct port_config *c = &model->port[i];
		struct port_counters n;
		json_t *drops;

		if (!c->name[0] || (only >= 0 && only != (int)i))
			continue;
		drops = json_array();
		plane_port_counters(m->plane, (port_id)i, &n);
		for (unsigned r = 0; r < DROP_REASONS_N; r++)
			if (n.drops[r])
				json_array_append_new(drops,
						      json_pack("{s:s, s:I, s:s}", "reason",
								drop_name((enum drop_reason)r), "n",
								(json_int_t)n.drops[r], "text",
								drop_text((enum drop_reason)r)));
		if (json_array_size(drops))
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:O}", "ifname", c->name, "bridge",
						model->bridge[c->bridge].name, "drops", drops));
		json_decref(drops);
	}
	return list;
}

/* ---- addresses ---- */

struct fdb_list {
	const struct model *model;
	json_t *list;
	int bridge, port; /* -1: any */
};

/* Put an entry into the list, if it is asked for. Returns it, borrowed, or NULL. */
static json_t *fdb_add(struct fdb_list *f, struct mac mac, port_id port, vid_t vid,
		       const char *state)
{
	const struct port_config *c = &f->model->port[port];
	json_t *o;

	if ((f->port >= 0 && f->port != port) || (f->bridge >= 0 && f->bridge != c->bridge))
		return NULL;
	o = json_object();
	set(o, "mac", mac_json(mac));
	set_string(o, "ifname", c->name);
	set_string(o, "bridge", f->model->bridge[c->bridge].name);
	if (vid != VID_NONE)
		set_number(o, "vlan", vid);
	set_string(o, "state", state);
	return json_array_append_new(f->list, o) == 0 ? o : NULL;
}

static void fdb_add_learned(void *aux, const struct plane_learned *l)
{
	json_t *o = fdb_add(aux, l->mac, l->port, l->vid, "learned");

	if (o && l->ages)
		set_number(o, "age", (uint64_t)(l->age / NS_PER_S));
}

/* Addresses that the port was given. In standby it owns none. */
static void fdb_add_port(struct fdb_list *f, port_id id)
{
	const struct port_config *c = &f->model->port[id];
	vid_t vid = c->vlan;

	if (!c->name[0] || c->standby)
		return;
	if (c->has_trunk)
		vid = c->role == FWD_RELAY_PORT ? c->native : VID_NONE;
	for (unsigned i = 0; i < c->macs.n; i++)
		fdb_add(f, c->macs.mac[i], id, vid, "permanent");
}

/* How many addresses each bridge has. */
struct mac_count {
	const struct model *model;
	uint32_t n[BRIDGES_MAX];
};

static void count_learned(void *aux, const struct plane_learned *l)
{
	struct mac_count *count = aux;

	count->n[count->model->port[l->port].bridge]++;
}

json_t *show_fdb(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	struct fdb_list f = { .model = plane_model(m->plane) };

	if (!params_bridge(f.model, params, "bridge", &f.bridge, error) ||
	    !params_port(f.model, params, "port", &f.port, error))
		return NULL;
	f.list = json_array();
	for (uint32_t i = 0; i < f.model->n_ports; i++)
		fdb_add_port(&f, (port_id)i);
	for (uint32_t i = 0; i < f.model->n_fdb; i++)
		fdb_add(&f, f.model->fdb[i].mac, f.model->fdb[i].port, f.model->fdb[i].vid,
			"static");
	plane_learned_each(m->plane, fdb_add_learned, &f);
	return f.list;
}

/* ---- bridges ---- */

static json_t *show_bridge(const struct methods *m, bridge_id b, uint32_t n_ports, uint32_t n_macs)
{
	const struct model *model = plane_model(m->plane);
	const struct bridge_config *c = &model->bridge[b];
	port_id uplink = model_uplink(model, b);
	struct plane_status st;
	json_t *o = json_object();

	plane_bridge_status(m->plane, b, &st);
	set_string(o, "ifname", c->name);
	set_string(o, "type", c->is_learning ? "learning" : "edge");
	if (uplink != PORT_NONE)
		set_string(o, "uplink", model->port[uplink].name);
	set_number(o, "ageing", c->ageing_s);
	set_string(o, "operstate", plane_operstate_name((enum plane_operstate)st.operstate));
	if (st.mtu)
		set_number(o, "mtu", st.mtu);
	set_number(o, "n_ports", n_ports);
	set_number(o, "n_macs", n_macs);
	if (c->is_learning)
		set_number(o, "n_moves", plane_bridge_moves(m->plane, b));
	return o;
}

json_t *show_bridges(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	const struct model *model = plane_model(m->plane);
	struct mac_count count = { .model = model };
	uint32_t n_ports[BRIDGES_MAX] = { 0 };
	json_t *list;
	int only;

	if (!params_bridge(model, params, "bridge", &only, error))
		return NULL;
	for (uint32_t i = 0; i < model->n_ports; i++) {
		const struct port_config *c = &model->port[i];

		if (!c->name[0])
			continue;
		n_ports[c->bridge]++;
		count.n[c->bridge] += c->standby ? 0 : c->macs.n;
	}
	for (uint32_t i = 0; i < model->n_fdb; i++)
		count.n[model->fdb[i].bridge]++;
	plane_learned_each(m->plane, count_learned, &count);
	list = json_array();
	for (uint32_t b = 0; b < model->n_bridges; b++)
		if (model->bridge[b].name[0] && (only < 0 || only == (int)b))
			json_array_append_new(list,
					      show_bridge(m, (bridge_id)b, n_ports[b], count.n[b]));
	return list;
}
