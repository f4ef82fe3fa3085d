// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
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

/* An object of a list in the making. Without memory it is no object: nothing is shown in part. */
struct row {
	json_t *json;
	bool failed;
};

static struct row row_new(void)
{
	return (struct row){ .json = json_object() };
}

static void set(struct row *o, const char *key, json_t *value_take)
{
	o->failed |= json_object_set_new(o->json, key, value_take) < 0;
}

static void set_string(struct row *o, const char *key, const char *value)
{
	if (value[0])
		set(o, key, json_string(value));
}

static void set_number(struct row *o, const char *key, uint64_t value)
{
	set(o, key, json_integer((json_int_t)value));
}

/* A list whose objects are all there, or which failed as a whole. */
struct rows {
	json_t *list;
	bool failed;
};

static struct rows rows_new(void)
{
	return (struct rows){ .list = json_array() };
}

static void rows_add(struct rows *r, const struct row *o_take)
{
	r->failed |= o_take->failed || json_array_append(r->list, o_take->json) < 0;
	json_decref(o_take->json);
}

/* The list, owned by the caller; NULL without memory. */
static json_t *rows_take(const struct rows *r)
{
	if (!r->failed)
		return r->list;
	json_decref(r->list);
	return NULL;
}

static json_t *mac_json(struct mac mac)
{
	char word[VALUE_MAC_SIZE];

	return json_string(value_mac_format(mac, word));
}

static json_t *macs_json(const struct mac_list *list)
{
	struct rows a = rows_new();

	for (unsigned i = 0; i < list->n; i++)
		a.failed |= json_array_append_new(a.list, mac_json(list->mac[i])) < 0;
	return rows_take(&a);
}

static void set_vlans(struct row *o, const char *key, const struct vlan_set *s)
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

static void show_vlans(struct row *o, const struct port_config *c)
{
	if (c->has_trunk)
		set_vlans(o, "trunk", &c->trunk);
	else if (c->role != FWD_UPLINK)
		set_number(o, "vlan", c->vlan);
	if ((c->has_trunk || c->role == FWD_UPLINK) && c->native != VID_NONE)
		set_number(o, "native", c->native);
	if (c->svlan != VID_NONE)
		set_number(o, "svlan", c->svlan);
	if (c->channel)
		set_number(o, "channel", c->channel);
	if (c->cdcp)
		set(o, "cdcp", json_true());
}

static void show_kind(struct row *o, const struct port_config *c)
{
	char perm[8];

	set_string(o, "dev", c->dev);
	set_string(o, "path", c->path);
	set_string(o, "netns", c->netns);
	if (c->kind == KIND_TAP)
		set_string(o, "guest", c->guest_is_vm ? "vm" : "netns");
	set_string(o, "owner", c->owner);
	set_string(o, "group", c->group);
	if (c->kind != KIND_VHOST_USER)
		return;
	if (!c->is_client) {
		snprintf(perm, sizeof(perm), "%04o", model_perm(c));
		set_string(o, "perm", perm);
	}
	set(o, "client", json_boolean(c->is_client));
	set_number(o, "queues", c->queues);
	set(o, "config", json_boolean(c->has_config));
}

static void show_station(struct row *o, const struct port_config *c)
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

static void show_address(struct row *o, const struct port_config *c, const struct plane_status *st)
{
	json_t *a = macs_json(&c->macs);

	bool is_shown = (c->kind == KIND_PACKET && c->role != FWD_STATION) || c->kind == KIND_HOST;

	if (is_shown && !mac_is_zero(st->address))
		o->failed |= json_array_insert_new(a, 0, mac_json(st->address)) < 0;
	if (!a || json_array_size(a))
		set(o, "address", a);
	else
		json_decref(a);
}

static void show_stats(struct row *o, const struct port_counters *c)
{
	uint64_t rx_dropped = 0, tx_dropped = 0;
	struct row drops = row_new();

	for (unsigned r = 0; r < DROP_REASONS_N; r++) {
		*(drop_is_egress((enum drop_reason)r) ? &tx_dropped : &rx_dropped) += c->drops[r];
		if (c->drops[r])
			set_number(&drops, drop_name((enum drop_reason)r), c->drops[r]);
	}
	set(o, "stats64",
	    json_pack("{s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I}}", "rx", "packets",
		      (json_int_t)c->rx_frames, "bytes", (json_int_t)c->rx_octets, "dropped",
		      (json_int_t)rx_dropped, "multicast", (json_int_t)c->rx_group, "tx", "packets",
		      (json_int_t)c->tx_frames, "bytes", (json_int_t)c->tx_octets, "dropped",
		      (json_int_t)tx_dropped));
	set_number(o, "replicated", c->replicated);
	set_number(o, "originated", c->originated);
	set_number(o, "punted", c->punted);
	set_number(o, "segmented", c->tx_segmented);
	set_number(o, "coalesced", c->tx_coalesced);
	set_number(o, "csum", c->tx_csum);
	set_number(o, "to_wire", c->to_wire);
	set(o, "drops", drops.json);
	o->failed |= drops.failed;
}

static struct row show_port(const struct methods *m, port_id id, bool stats)
{
	const struct model *model = plane_model(m->plane);
	const struct port_config *c = &model->port[id];
	struct port_counters counters;
	struct vhost_user_info vhost;
	struct plane_status st;
	struct row o = row_new();
	json_t *lldp = json_array();

	plane_port_status(m->plane, id, &st);
	set_string(&o, "ifname", c->name);
	set_string(&o, "bridge", model->bridge[c->bridge].name);
	set_string(&o, "kind", model_port_kind(c));
	set_string(&o, "role", role_name((enum fwd_role)c->role));
	show_address(&o, c, &st);
	show_vlans(&o, c);
	set_number(&o, "mtu", st.mtu);
	set_string(&o, "operstate", plane_operstate_name((enum plane_operstate)st.operstate));
	set_string(&o, "reason", st.reason);
	set_string(&o, "hint", st.hint);
	show_kind(&o, c);
	if (c->kind == KIND_HOST)
		set_string(&o, "dev", model->port[model_uplink(model, c->bridge, -1)].dev);
	if (c->kind == KIND_PACKET)
		o.failed |= !show_driver(m, id, o.json);
	set(&o, "offload", json_boolean(c->offload));
	if (c->role != FWD_UPLINK)
		set(&o, "fastleave", json_boolean(c->fastleave));
	if (c->role == FWD_STATION) {
		show_station(&o, c);
		o.failed |= !show_policy(model, c, o.json);
	} else if (c->role == FWD_RELAY_PORT) {
		set(&o, "reflective-relay", json_boolean(c->reflective_relay));
		set_number(&o, "maclimit", c->maclimit);
	} else {
		set(&o, "active", json_boolean(!st.is_backup));
		set_number(&o, "priority", c->priority);
	}
	if (c->pcp)
		set_number(&o, "pcp", c->pcp);
	if (c->evb != EVB_SPEECH_OFF)
		set_string(&o, "evb", model_evb_name((enum evb_speech)c->evb));
	if (c->vdp)
		set(&o, "vdp", json_true());
	if (c->cdcp)
		set(&o, "cdcp", json_true());
	for (unsigned s = 0; c->lldp >> s; s++) {
		if (c->lldp >> s & 1)
			json_array_append_new(lldp, json_string(model_lldp_name(s)));
	}
	if (c->lldp)
		set(&o, "lldp", json_incref(lldp));
	json_decref(lldp);
	o.failed |= !model_limits_get(c, o.json);
	if (stats) {
		plane_port_counters(m->plane, id, &counters);
		show_stats(&o, &counters);
		if (plane_port_vhost(m->plane, id, &vhost))
			set(&o, "vhost", show_vhost(&vhost));
	}
	return o;
}

json_t *show_ports(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	const struct model *model = plane_model(m->plane);
	bool stats = json_is_true(json_object_get(params, "stats"));
	struct rows list;
	struct row o;
	int only, bridge;

	if (!params_port(model, params, "ifname", &only, error) ||
	    !params_bridge(model, params, "bridge", &bridge, error))
		return NULL;
	list = rows_new();
	for (uint32_t i = 0; i < model->n_ports; i++) {
		const struct port_config *c = &model->port[i];

		if (!c->name[0] || (only >= 0 && only != (int)i) ||
		    (bridge >= 0 && bridge != c->bridge))
			continue;
		o = show_port(m, (port_id)i, stats);
		rows_add(&list, &o);
	}
	return rows_take(&list);
}

/* What a port dropped, by reason; an empty list if nothing. NULL without memory. */
static json_t *drops_json(const struct port_counters *n)
{
	struct rows list = rows_new();

	for (unsigned r = 0; r < DROP_REASONS_N; r++) {
		struct row o;

		if (!n->drops[r])
			continue;
		o = row_new();
		set_string(&o, "reason", drop_name((enum drop_reason)r));
		set_number(&o, "n", n->drops[r]);
		set_string(&o, "text", drop_text((enum drop_reason)r));
		rows_add(&list, &o);
	}
	return rows_take(&list);
}

json_t *show_drops(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	const struct model *model = plane_model(m->plane);
	struct rows list;
	int only;

	if (!params_port(model, params, "port", &only, error))
		return NULL;
	list = rows_new();
	for (uint32_t i = 0; i < model->n_ports; i++) {
		const struct port_config *c = &model->port[i];
		struct port_counters n;
		struct row o;

		if (!c->name[0] || (only >= 0 && only != (int)i))
			continue;
		plane_port_counters(m->plane, (port_id)i, &n);
		o = row_new();
		set_string(&o, "ifname", c->name);
		set_string(&o, "bridge", model->bridge[c->bridge].name);
		set(&o, "drops", drops_json(&n));
		if (o.failed || json_array_size(json_object_get(o.json, "drops")))
			rows_add(&list, &o);
		else
			json_decref(o.json);
	}
	return rows_take(&list);
}

/* ---- addresses ---- */

struct fdb_list {
	const struct plane *plane;
	const struct model *model;
	struct rows rows;
	int bridge, port; /* -1: any */
};

/* An entry as it is shown, but for its age. */
static struct row fdb_row(const struct model *m, struct mac mac, port_id port, vid_t vid)
{
	const struct port_config *c = &m->port[port];
	struct row o = row_new();

	set(&o, "mac", mac_json(mac));
	set_string(&o, "ifname", c->name);
	set_string(&o, "bridge", m->bridge[c->bridge].name);
	if (vid != VID_NONE)
		set_number(&o, "vlan", vid);
	return o;
}

static bool fdb_wants(const struct fdb_list *f, port_id port)
{
	return (f->port < 0 || f->port == port) &&
	       (f->bridge < 0 || f->bridge == f->model->port[port].bridge);
}

/* Put an entry of the configuration into the list, if it is asked for. */
static void fdb_add(struct fdb_list *f, struct mac mac, port_id port, vid_t vid, const char *state)
{
	struct row o;

	if (!fdb_wants(f, port))
		return;
	o = fdb_row(f->model, mac, port, vid);
	set_string(&o, "state", state);
	rows_add(&f->rows, &o);
}

static void fdb_add_learned(void *aux, const struct plane_learned *l)
{
	struct fdb_list *f = aux;
	struct row o;

	if (!fdb_wants(f, l->port))
		return;
	o = fdb_row(f->model, l->mac, l->port, l->vid);
	set_string(&o, "state", "learned");
	if (l->ages)
		set_number(&o, "age", (uint64_t)(l->age / NS_PER_S));
	rows_add(&f->rows, &o);
}

static void fdb_add_associated(void *aux, const struct plane_learned *l)
{
	fdb_add(aux, l->mac, l->port, l->vid, "associated");
}

/* Addresses that the port was given. In standby it owns none. */
static void fdb_add_port(struct fdb_list *f, port_id id)
{
	const struct port_config *c = &f->model->port[id];
	struct plane_status st = { .address = { { 0 } } };
	vid_t vid = c->vlan;

	if (!c->name[0] || c->standby)
		return;
	if (c->has_trunk)
		vid = c->role == FWD_RELAY_PORT ? c->native : VID_NONE;
	for (unsigned i = 0; i < c->macs.n; i++)
		fdb_add(f, c->macs.mac[i], id, vid, "permanent");
	if (c->kind == KIND_HOST)
		plane_port_status(f->plane, id, &st);
	if (!mac_is_zero(st.address))
		fdb_add(f, st.address, id, vid, "permanent");
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
	struct fdb_list f = { .plane = m->plane, .model = plane_model(m->plane) };

	if (!params_bridge(f.model, params, "bridge", &f.bridge, error) ||
	    !params_port(f.model, params, "port", &f.port, error))
		return NULL;
	f.rows = rows_new();
	for (uint32_t i = 0; i < f.model->n_ports; i++)
		fdb_add_port(&f, (port_id)i);
	for (uint32_t i = 0; i < f.model->n_fdb; i++)
		fdb_add(&f, f.model->fdb[i].mac, f.model->fdb[i].port, f.model->fdb[i].vid,
			"static");
	plane_associated_each(m->plane, fdb_add_associated, &f);
	plane_learned_each(m->plane, fdb_add_learned, &f);
	return rows_take(&f.rows);
}

/* ---- groups ---- */

static void mdb_add(void *aux, port_id port, const struct group_entry *e, tstamp left)
{
	struct fdb_list *f = aux;
	const struct port_config *c = &f->model->port[port];
	struct row o = row_new();

	if (!fdb_wants(f, port))
		return json_decref(o.json);
	if (e) {
		o.failed |= json_object_update_new(o.json, event_group_keys(e)) < 0;
		set_number(&o, "vlan", e->fid & 0xfff);
		set_number(&o, "timer", (uint64_t)((left + NS_PER_S - 1) / NS_PER_S));
	} else {
		set_string(&o, "type", "all");
	}
	if (e && e->kind == GROUP_QUERIER)
		set(&o, "filters", json_boolean(e->heard != 0));
	set_string(&o, "ifname", c->name);
	set_string(&o, "bridge", f->model->bridge[c->bridge].name);
	rows_add(&f->rows, &o);
}

json_t *show_mdb(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	struct fdb_list f = { .model = plane_model(m->plane) };

	if (!params_bridge(f.model, params, "bridge", &f.bridge, error) ||
	    !params_port(f.model, params, "port", &f.port, error))
		return NULL;
	f.rows = rows_new();
	plane_groups_each(m->plane, mdb_add, &f);
	return rows_take(&f.rows);
}

/* ---- bridges ---- */

/* The active uplink of a bridge, then all, with what decides which it is. */
static void show_uplinks(struct row *bridge, const struct methods *m, bridge_id b)
{
	const struct model *model = plane_model(m->plane);
	port_id id = model_uplink(model, b, -1);
	struct rows list = rows_new();

	for (; id != PORT_NONE; id = model_uplink(model, b, id)) {
		const struct port_config *c = &model->port[id];
		struct plane_status st;
		struct row o = row_new();

		plane_port_status(m->plane, id, &st);
		if (!st.is_backup)
			set_string(bridge, "uplink", c->name);
		set_string(&o, "ifname", c->name);
		set(&o, "active", json_boolean(!st.is_backup));
		set_string(&o, "operstate",
			   plane_operstate_name((enum plane_operstate)st.operstate));
		set_number(&o, "priority", c->priority);
		rows_add(&list, &o);
	}
	set(bridge, "uplinks", rows_take(&list));
	set_number(bridge, "updelay", model->bridge[b].updelay_ms);
}

static struct row show_bridge(const struct methods *m, bridge_id b, uint32_t n_ports,
			      uint32_t n_macs)
{
	const struct model *model = plane_model(m->plane);
	const struct bridge_config *c = &model->bridge[b];
	struct plane_status st;
	struct row o = row_new();

	plane_bridge_status(m->plane, b, &st);
	set_string(&o, "ifname", c->name);
	set_string(&o, "type", c->is_kernel ? "kernel" : c->is_learning ? "learning" : "edge");
	if (!c->is_learning) {
		enum plane_reflection r = plane_bridge_reflection(m->plane, b);

		show_uplinks(&o, m, b);
		if (r != PLANE_RR_UNASKED)
			set_string(&o, "reflection", plane_reflection_name(r));
		set_string(&o, "vepa-fallback", c->falls_back ? "local" : "wait");
	}
	set_number(&o, "ageing", c->ageing_s);
	set(&o, "snooping", json_boolean(c->snooping));
	set_string(&o, "operstate", plane_operstate_name((enum plane_operstate)st.operstate));
	set_string(&o, "reason", st.reason);
	set_string(&o, "hint", st.hint);
	if (st.mtu)
		set_number(&o, "mtu", st.mtu);
	set_number(&o, "n_ports", n_ports);
	set_number(&o, "n_macs", n_macs);
	if (c->is_learning)
		set_number(&o, "n_moves", plane_bridge_moves(m->plane, b));
	return o;
}

json_t *show_bridges(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	const struct model *model = plane_model(m->plane);
	struct mac_count count = { .model = model };
	uint32_t n_ports[BRIDGES_MAX] = { 0 };
	struct rows list;
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
	list = rows_new();
	for (uint32_t b = 0; b < model->n_bridges; b++) {
		struct row o;

		if (!model->bridge[b].name[0] || (only >= 0 && only != (int)b))
			continue;
		o = show_bridge(m, (bridge_id)b, n_ports[b], count.n[b]);
		rows_add(&list, &o);
	}
	return rows_take(&list);
}
