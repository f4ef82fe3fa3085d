// SPDX-License-Identifier: Apache-2.0
/*
 * Random requests on a small world, where conflicts are frequent. Whatever was accepted must keep
 * the invariants, and the configuration shown must make the same model from an empty one. What was
 * refused must say why and what to do.
 */
#include "model.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema.h"

enum { N_SEEDS = 150, N_REQUESTS = 400, N_VIDS = 4, N_MACS = 5 };

struct random {
	uint64_t state;
};

/* 0..n-1 (xorshift64*). */
static unsigned pick(struct random *r, unsigned n)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (unsigned)(r->state * UINT64_C(0x2545f4914f6cdd1d) >> 33) % n;
}

static bool one_in(struct random *r, unsigned n)
{
	return pick(r, n) == 0;
}

/* Values of the small world. */

static struct mac nth_mac(unsigned n)
{
	return (struct mac){ { 0x52, 0x54, 0, 0, 0, (uint8_t)(n + 1) } };
}

static json_t *random_mac(struct random *r)
{
	return json_sprintf("52:54:00:00:00:%02x", pick(r, N_MACS) + 1);
}

static json_t *random_macs(struct random *r)
{
	json_t *list = json_array();
	unsigned mask = pick(r, 1 << N_MACS);

	for (unsigned i = 0; i < N_MACS; i++) {
		if ((mask >> i & 1) || (!mask && i == 0))
			json_array_append_new(list, json_sprintf("52:54:00:00:00:%02x", i + 1));
	}
	return list;
}

static json_t *random_name(struct random *r, const char *stem)
{
	return json_sprintf("%s%u", stem, pick(r, 5));
}

static json_t *random_word(struct random *r, const char *const *words, unsigned n)
{
	return json_string(words[pick(r, n)]);
}

static json_t *random_vid(struct random *r)
{
	return json_integer(1 + pick(r, N_VIDS));
}

static void put(json_t *params, const char *key, json_t *v)
{
	assert_int_equal(json_object_set_new(params, key, v), 0);
}

/* Half of them are near the least, so that two are often equal. */
static json_t *random_number(struct random *r, const struct field *f)
{
	uint64_t range = (uint64_t)(f->max - f->min) + 1;
	uint64_t near = range < 4 ? range : 4;

	return json_integer(f->min + (json_int_t)(pick(r, 2) ? pick(r, (unsigned)near) :
							       pick(r, UINT_MAX) % range));
}

/* Any value that the schema allows, and some that it does not. */
static json_t *random_value(struct random *r, const struct field *f)
{
	static const char *const vlans[] = { "1", "1-2", "2,3", "2-4", "3", "all" };
	static const char *const scopes[] = { "nearest-bridge", "non-tpmr,customer-bridge", "foo" };
	unsigned n = 0;

	switch ((int)f->type) {
	case FIELD_MACS:
		return random_macs(r);
	case FIELD_SWITCH:
		return json_boolean(pick(r, 2));
	case FIELD_VID:
		return random_vid(r);
	case FIELD_VLANS:
		return random_word(r, vlans, ARRAY_SIZE(vlans));
	case FIELD_STRING: /* lldp */
		return random_word(r, scopes, ARRAY_SIZE(scopes));
	case FIELD_WORD:
		while (f->words[n])
			n++;
		return random_word(r, f->words, n);
	case FIELD_DEVICES:
		return json_sprintf(one_in(r, 2) ? "eth%u" : "eth%u,eth%u", pick(r, 4), pick(r, 4));
	default:
		return random_number(r, f);
	}
}

/*
 * One of the fields of a command from `first` on, whatever they are; now and then null. Of a port,
 * often one by which it depends on others.
 */
static void put_field(struct random *r, json_t *params, const char *method, const char *first)
{
	const struct command *c = schema_method(method);
	static const char *const ties[] = { "channel", "cdcp", "svlan", "svid-pool", "vdp" };
	size_t from = (size_t)(schema_field(c, first) - c->fields);
	const struct field *f = &c->fields[from + pick(r, (unsigned)(c->n_fields - from))];

	if (strncmp(method, "port.", 5) == 0 && one_in(r, 4))
		f = schema_field(c, ties[pick(r, ARRAY_SIZE(ties))]);
	if (f->flags & FIELD_NONE && one_in(r, 5))
		put(params, f->key, json_null());
	else
		put(params, f->key, random_value(r, f));
}

static void put_vhost_user(struct random *r, json_t *params)
{
	static const char *const paths[] = { "/run/v0", "/run/v1", "/run/a b", "/run/v3" };

	put(params, "kind", json_string("vhost-user"));
	put(params, "path", random_word(r, paths, ARRAY_SIZE(paths)));
	if (one_in(r, 3))
		put(params, "client", json_true());
	if (one_in(r, 3))
		put(params, "config", json_boolean(pick(r, 2)));
	if (one_in(r, 3))
		put(params, "queues", json_integer(1 + pick(r, 16)));
	if (one_in(r, 4))
		put(params, "perm", json_string("0666"));
	if (one_in(r, 4))
		put(params, "group", json_string("kvm"));
}

static void put_kind(struct random *r, json_t *params)
{
	static const char *const devs[] = { "p0", "p1", "eth0", "eth1" };
	static const char *const netns[] = { "c1", "/run/netns/c1", "c2" };
	static const char *const guests[] = { "vm", "netns" };

	switch (pick(r, 6)) {
	case 5:
		put(params, "kind", json_string("host"));
		break;
	case 3:
		put_vhost_user(r, params);
		break;
	case 0:
		put(params, "kind", json_string("memory"));
		break;
	case 1:
	case 4:
		put(params, "kind", json_string(one_in(r, 4) ? "xdp" : "packet"));
		put(params, "dev", random_word(r, devs, ARRAY_SIZE(devs)));
		break;
	case 2:
		put(params, "kind", json_string("tap"));
		if (one_in(r, 2))
			put(params, "name", random_word(r, devs, ARRAY_SIZE(devs)));
		if (one_in(r, 3))
			put(params, "netns", random_word(r, netns, ARRAY_SIZE(netns)));
		if (one_in(r, 3))
			put(params, "guest", random_word(r, guests, ARRAY_SIZE(guests)));
		if (one_in(r, 4))
			put(params, "owner", json_string("qemu"));
		break;
	}
}

static const char *random_bridge_request(struct random *r, json_t *params)
{
	const char *method = one_in(r, 3) ? "bridge.set" : "bridge.add";

	put(params, "bridge", random_name(r, "br"));
	if (one_in(r, 4))
		return "bridge.del";
	for (unsigned i = pick(r, 4); i > 0; i--)
		put_field(r, params, method, method[7] == 's' ? "ageing" : "type");
	return method;
}

static const char *random_fdb_request(struct random *r, json_t *params)
{
	put(params, "mac", random_mac(r));
	if (one_in(r, 2))
		put(params, "vlan", random_vid(r));
	if (one_in(r, 2)) {
		put(params, "bridge", random_name(r, "br"));
		return "fdb.del";
	}
	put(params, "port", random_name(r, "p"));
	return "fdb.add";
}

static void put_type(struct random *r, json_t *params, const char *key)
{
	put(params, key, json_integer(pick(r, 3)));
	if (one_in(r, 4))
		put(params, "version", json_integer(1));
	if (one_in(r, 4))
		put(params, "manager", json_string("7"));
}

static const char *random_vsi_request(struct random *r, json_t *params)
{
	put(params, "ifname", random_name(r, "p"));
	if (one_in(r, 5))
		return "vsi.del";
	put_type(r, params, "type");
	for (unsigned i = pick(r, 4); i > 0; i--)
		put_field(r, params, "vsi.add", "request");
	if (one_in(r, 3))
		return "vsi.set";
	put(params, "instance", json_sprintf("10.0.0.%u", pick(r, 5)));
	return "vsi.add";
}

static const char *random_vsitype_request(struct random *r, json_t *params)
{
	static const char *const methods[] = { "vsitype.add", "vsitype.add", "vsitype.set",
					       "vsitype.set", "vsitype.del" };
	const char *method = methods[pick(r, ARRAY_SIZE(methods))];

	put_type(r, params, "id");
	if (!strcmp(method, "vsitype.del"))
		return method;
	for (unsigned i = pick(r, 4); i > 0; i--)
		put_field(r, params, method, one_in(r, 2) ? "mode" : "vlan");
	return method;
}

static const char *random_request(struct random *r, json_t *params)
{
	unsigned n = pick(r, 16);

	if (n == 0)
		return random_bridge_request(r, params);
	if (n >= 12)
		return n < 14 ? random_vsi_request(r, params) : random_vsitype_request(r, params);
	if (n <= 2)
		return random_fdb_request(r, params);
	put(params, "ifname", random_name(r, one_in(r, 8) ? "eth" : "p"));
	if (n == 3)
		return "port.del";
	for (unsigned i = pick(r, 4); i > 0; i--)
		put_field(r, params, n > 6 ? "port.set" : "port.add", "mac");
	if (n > 6)
		return "port.set";
	put(params, "bridge", random_name(r, "br"));
	put_kind(r, params);
	if (one_in(r, 3))
		put(params, "role", json_string("uplink"));
	return "port.add";
}

/* Invariants, each from the documentation and without help of the model's own checks. */

static bool live(const struct model *m, uint32_t id)
{
	return m->port[id].name[0] != '\0';
}

static bool has_vlan(const struct port_config *p, vid_t vid)
{
	return p->has_trunk ? vlan_set_has(&p->trunk, vid) : p->vlan == vid;
}

static bool has_mac(const struct mac_list *list, struct mac mac)
{
	for (uint16_t i = 0; i < list->n; i++) {
		if (mac_equal(list->mac[i], mac))
			return true;
	}
	return false;
}

/* How often the port claims the address in the VLAN: 0 or 1, if all is well. */
static unsigned claims(const struct model *m, uint32_t id, struct mac mac, vid_t vid)
{
	const struct port_config *p = &m->port[id];
	bool is_learning = m->bridge[p->bridge].is_learning;
	vid_t pvid = p->has_trunk ? p->native : p->vlan;
	unsigned n = 0;

	if (has_mac(&p->macs, mac) && (is_learning ? vid == pvid : has_vlan(p, vid)))
		n++;
	for (uint32_t i = 0; i < m->n_fdb; i++) {
		if (m->fdb[i].port == id && m->fdb[i].vid == vid && mac_equal(m->fdb[i].mac, mac))
			n++;
	}
	return n;
}

static void check_owners(const struct model *m, uint32_t b)
{
	for (unsigned k = 0; k < N_MACS; k++) {
		for (vid_t vid = 1; vid <= N_VIDS; vid++) {
			unsigned n = 0;

			for (uint32_t id = 0; id < m->n_ports; id++) {
				if (live(m, id) && m->port[id].bridge == b && !m->port[id].standby)
					n += claims(m, id, nth_mac(k), vid);
			}
			assert_in_range(n, 0, 1);
		}
	}
}

static void check_bridge(const struct model *m, uint32_t b)
{
	unsigned n_passthru = 0, n_stations = 0;

	for (uint32_t id = 0; id < m->n_ports; id++) {
		const struct port_config *p = &m->port[id];

		if (!live(m, id) || p->bridge != b)
			continue;
		n_stations += p->role == FWD_STATION;
		n_passthru += p->role == FWD_STATION && p->mode == FWD_PASSTHRU;
		assert_int_equal(p->role == FWD_RELAY_PORT, m->bridge[b].is_learning);
	}
	assert_true(n_passthru == 0 || n_stations == 1);
	check_owners(m, b);
}

/* A port has what its VSI type says, that of its manager first, and else what is its own. */
static void check_policy(const struct model *m, const struct port_config *p)
{
	const struct vsitype_config *t = NULL;

	for (uint32_t i = 0; p->vsi.is_set && i < m->n_vsitypes; i++) {
		const struct vsitype_config *u = &m->vsitype[i];
		bool fits = u->id == p->vsi.type && u->version == p->vsi.version;

		if (fits && (u->has_manager ? vdp_manager_equal(&u->manager, &p->vsi.manager) : !t))
			t = u;
	}
	assert_int_equal(p->mode, t && t->mode != FWD_MODES_N ? t->mode : p->own_mode);
	assert_int_equal(p->reserved, t && t->has_reserved ? t->reserved : p->own_reserved);
}

/* What two ports must not have in common. */
static void check_pair(const struct port_config *p, const struct port_config *q)
{
	bool by_tag;

	assert_true(!p->path[0] || strcmp(p->path, q->path) != 0);
	assert_false(p->vsi.is_set && q->vsi.is_set && vsi_id_equal(&p->vsi.id, &q->vsi.id));
	if (p->kind != KIND_PACKET || q->kind != KIND_PACKET || strcmp(p->dev, q->dev) != 0)
		return;
	by_tag = p->channel || p->cdcp || p->svlan || q->channel || q->cdcp || q->svlan;
	if (by_tag || p->bridge == q->bridge)
		assert_true(p->channel != q->channel || p->svlan != q->svlan);
	assert_false(p->cdcp && q->cdcp);
	assert_false((p->channel || p->cdcp) && q->svlan);
	if (by_tag)
		assert_true(p->driver != DRIVER_XDP && q->driver != DRIVER_XDP);
}

static void check_wire(const struct model *m, const struct port_config *p)
{
	const struct bridge_config *b = &m->bridge[p->bridge];
	struct vdp_filters filters;

	assert_true(b->is_learning || !b->is_kernel);
	if (b->is_kernel)
		assert_true(p->kind == KIND_PACKET && !p->vdp && p->macs.n == 0);
	if (p->channel || p->cdcp)
		assert_true(p->kind == KIND_PACKET && p->svlan == VID_NONE &&
			    p->driver != DRIVER_XDP && !(p->channel && p->cdcp));
	assert_true(p->svid_low <= p->svid_high);
	if (p->role == FWD_STATION)
		assert_true(!p->evb && !p->lldp && !p->cdcp && !p->channel);
	if (p->role != FWD_RELAY_PORT)
		assert_true(!p->vdp && p->svid_low == SVID_MIN && !p->reflective_relay);
	if (p->vsi.is_set)
		assert_true(p->role == FWD_STATION && p->kind != KIND_HOST &&
			    model_vsi_filters(p, &filters) && filters.n);
}

static void check_port(const struct model *m, uint32_t id)
{
	const struct port_config *p = &m->port[id];

	assert_true(p->bridge < m->n_bridges && m->bridge[p->bridge].name[0]);
	assert_int_equal(model_find_port(m, p->name), id);
	if (p->role != FWD_UPLINK)
		assert_int_equal(p->has_trunk, p->vlan == VID_NONE);
	if (p->has_trunk && p->native != VID_NONE)
		assert_true(vlan_set_has(&p->trunk, p->native));
	if (p->own_mode != FWD_SOURCE)
		assert_true(p->source.n == 0 && !p->nodst && p->mode != FWD_SOURCE);
	if (p->mode == FWD_PASSTHRU && p->role == FWD_STATION)
		assert_true(!p->has_trunk && p->vlan == VID_DEFAULT && !p->maclimit &&
			    !p->reserved && !p->promisc);
	check_policy(m, p);
	if (p->netns[0])
		assert_true(p->kind == KIND_TAP && !p->guest_is_vm);
	assert_int_equal(p->kind == KIND_TAP || p->kind == KIND_PACKET, p->dev[0] != '\0');
	assert_int_equal(p->kind == KIND_VHOST_USER, p->path[0] != '\0');
	check_wire(m, p);
	for (uint32_t i = 0; i < id; i++) {
		if (live(m, i))
			check_pair(p, &m->port[i]);
	}
}

static void check_invariants(const struct model *m)
{
	for (uint32_t b = 0; b < m->n_bridges; b++) {
		if (m->bridge[b].name[0])
			check_bridge(m, b);
	}
	for (uint32_t id = 0; id < m->n_ports; id++) {
		if (live(m, id))
			check_port(m, id);
	}
	for (uint32_t i = 0; i < m->n_fdb; i++) {
		const struct fdb_config *f = &m->fdb[i];

		assert_true(f->port < m->n_ports && live(m, f->port));
		assert_int_equal(m->port[f->port].bridge, f->bridge);
		assert_true(m->bridge[f->bridge].is_learning);
		assert_true(has_vlan(&m->port[f->port], f->vid));
	}
}

/* Equality, slots apart. */

static void assert_macs_equal(const struct mac_list *a, const struct mac_list *b)
{
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->mac, b->mac, a->n * sizeof(a->mac[0]));
}

static void assert_wires_equal(const struct port_config *p, const struct port_config *q)
{
	assert_int_equal(p->driver, q->driver);
	assert_int_equal(p->svlan, q->svlan);
	assert_int_equal(p->channel, q->channel);
	assert_int_equal(p->svid_low, q->svid_low);
	assert_int_equal(p->svid_high, q->svid_high);
	assert_int_equal(p->priority, q->priority);
	assert_int_equal(p->fastleave, q->fastleave);
	assert_int_equal(p->cdcp, q->cdcp);
	assert_int_equal(p->vdp, q->vdp);
	assert_int_equal(p->pcp, q->pcp);
	assert_int_equal(p->evb_retries, q->evb_retries);
	assert_int_equal(p->evb_rte, q->evb_rte);
	assert_int_equal(p->evb_rwd, q->evb_rwd);
	assert_int_equal(p->evb_rka, q->evb_rka);
	assert_int_equal(p->evb_max, q->evb_max);
	assert_int_equal(p->lldp_hold, q->lldp_hold);
	assert_int_equal(p->lldp_interval, q->lldp_interval);
	assert_memory_equal(p->limit, q->limit, sizeof(p->limit));
	assert_int_equal(p->burst_in, q->burst_in);
	assert_int_equal(p->burst_out, q->burst_out);
}

static void assert_vsis_equal(const struct vsi_config *v, const struct vsi_config *w)
{
	assert_int_equal(v->is_set, w->is_set);
	if (!v->is_set)
		return;
	assert_true(vsi_id_equal(&v->id, &w->id));
	assert_true(vdp_manager_equal(&v->manager, &w->manager));
	assert_int_equal(v->by_vlan, w->by_vlan);
	assert_int_equal(v->version, w->version);
	assert_int_equal(v->request, w->request);
	assert_int_equal(v->hint, w->hint);
	assert_int_equal(v->vlan, w->vlan);
	assert_int_equal(v->type, w->type);
	assert_int_equal(v->gid, w->gid);
	assert_macs_equal(&v->macs, &w->macs);
}

static void assert_vsitypes_equal(const struct vsitype_config *t, const struct vsitype_config *u)
{
	assert_int_equal(t->id, u->id);
	assert_int_equal(t->version, u->version);
	assert_int_equal(t->has_manager, u->has_manager);
	assert_true(vdp_manager_equal(&t->manager, &u->manager));
	assert_int_equal(t->has_reserved, u->has_reserved);
	assert_int_equal(t->has_reserved * t->reserved, u->has_reserved * u->reserved);
	assert_int_equal(t->mode, u->mode);
	assert_int_equal(t->vlan, u->vlan);
	assert_memory_equal(&t->vlans, &u->vlans, sizeof(t->vlans));
	assert_memory_equal(t->limit, u->limit, sizeof(t->limit));
	assert_int_equal(t->refuses_hard, u->refuses_hard);
	assert_macs_equal(&t->macs, &u->macs);
}

static void assert_ports_equal(const struct port_config *p, const struct port_config *q)
{
	assert_int_equal(p->kind, q->kind);
	assert_int_equal(p->role, q->role);
	assert_int_equal(p->mode, q->mode);
	assert_int_equal(p->own_mode, q->own_mode);
	assert_int_equal(p->own_reserved, q->own_reserved);
	assert_string_equal(p->dev, q->dev);
	assert_string_equal(p->netns, q->netns);
	if (p->kind == KIND_TAP)
		assert_int_equal(p->guest_is_vm, q->guest_is_vm);
	assert_string_equal(p->owner, q->owner);
	assert_string_equal(p->group, q->group);
	assert_string_equal(p->path, q->path);
	assert_int_equal(p->is_client, q->is_client);
	assert_int_equal(p->has_config, q->has_config);
	assert_int_equal(p->queues, q->queues);
	assert_int_equal(p->perm, q->perm);
	assert_int_equal(p->has_trunk, q->has_trunk);
	assert_int_equal(p->vlan, q->vlan);
	assert_int_equal(p->native, q->native);
	assert_memory_equal(&p->trunk, &q->trunk, sizeof(p->trunk));
	assert_int_equal(p->reserved, q->reserved);
	assert_int_equal(p->maclimit, q->maclimit);
	assert_int_equal(p->spoof_guard, q->spoof_guard);
	assert_int_equal(p->promisc, q->promisc);
	assert_int_equal(p->standby, q->standby);
	assert_int_equal(p->nodst, q->nodst);
	assert_int_equal(p->offload, q->offload);
	assert_int_equal(p->reflective_relay, q->reflective_relay);
	assert_int_equal(p->evb, q->evb);
	assert_int_equal(p->lldp, q->lldp);
	assert_int_equal(p->mtu, q->mtu);
	assert_wires_equal(p, q);
	assert_vsis_equal(&p->vsi, &q->vsi);
	assert_macs_equal(&p->macs, &q->macs);
	assert_macs_equal(&p->source, &q->source);
}

static uint32_t count_ports(const struct model *m)
{
	uint32_t n = 0;

	for (uint32_t id = 0; id < m->n_ports; id++)
		n += live(m, id);
	return n;
}

static void assert_models_equal(const struct model *a, const struct model *b)
{
	for (uint32_t i = 0; i < a->n_bridges; i++) {
		int k = model_find_bridge(b, a->bridge[i].name);

		if (!a->bridge[i].name[0])
			continue;
		assert_in_range(k, 0, BRIDGES_MAX - 1);
		assert_int_equal(a->bridge[i].is_learning, b->bridge[k].is_learning);
		assert_int_equal(a->bridge[i].ageing_s, b->bridge[k].ageing_s);
		assert_int_equal(a->bridge[i].updelay_ms, b->bridge[k].updelay_ms);
		assert_int_equal(a->bridge[i].is_kernel, b->bridge[k].is_kernel);
		assert_int_equal(a->bridge[i].snooping, b->bridge[k].snooping);
		assert_int_equal(a->bridge[i].falls_back, b->bridge[k].falls_back);
	}
	assert_int_equal(a->n_vsitypes, b->n_vsitypes);
	for (uint32_t i = 0; i < a->n_vsitypes; i++)
		assert_vsitypes_equal(&a->vsitype[i], &b->vsitype[i]);
	assert_int_equal(count_ports(a), count_ports(b));
	for (uint32_t i = 0; i < a->n_ports; i++) {
		int k = model_find_port(b, a->port[i].name);

		if (!live(a, i))
			continue;
		assert_in_range(k, 0, PORTS_MAX - 1);
		assert_string_equal(a->bridge[a->port[i].bridge].name,
				    b->bridge[b->port[k].bridge].name);
		assert_ports_equal(&a->port[i], &b->port[k]);
	}
	assert_int_equal(a->n_fdb, b->n_fdb);
	for (uint32_t i = 0; i < a->n_fdb; i++) {
		assert_string_equal(a->port[a->fdb[i].port].name, b->port[b->fdb[i].port].name);
		assert_int_equal(a->fdb[i].vid, b->fdb[i].vid);
		assert_true(mac_equal(a->fdb[i].mac, b->fdb[i].mac));
	}
}

static void check_round_trip(const struct model *m)
{
	json_t *list = model_requests(m);
	struct model again;
	struct err e;

	model_init(&again);
	assert_non_null(list);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *r = json_array_get(list, i);
		const char *method = json_string_value(json_object_get(r, "method"));
		const json_t *params = json_object_get(r, "params");

		if (schema_check(schema_method(method), params, &e) ||
		    model_apply(&again, method, params, &e))
			fail_msg("%s: %s (%s)", method, e.message, e.hint);
	}
	assert_models_equal(m, &again);
	json_decref(list);
	model_free(&again);
}

struct tally {
	unsigned n_accepted, n_refused, n_malformed;
};

/* One request on a copy, which becomes the model if it is accepted. */
static void step(struct model *m, struct random *r, struct tally *t)
{
	json_t *params = json_object();
	const char *method = random_request(r, params);
	struct err e = { 0 };
	struct model copy;

	model_init(&copy);
	assert_true(model_copy(&copy, m));
	if (schema_check(schema_method(method), params, &e)) {
		t->n_malformed++;
		model_free(&copy);
	} else if (model_apply(&copy, method, params, &e)) {
		if (!e.code || !e.message[0] || !e.hint[0])
			fail_msg("%s: %d \"%s\" (\"%s\")", method, e.code, e.message, e.hint);
		t->n_refused++;
		model_free(&copy);
	} else {
		t->n_accepted++;
		model_free(m);
		*m = copy;
		check_invariants(m);
	}
	json_decref(params);
}

static void test_random(void **state)
{
	struct tally t = { 0 };

	for (unsigned seed = 1; seed <= N_SEEDS; seed++) {
		struct random r = { .state = seed * UINT64_C(0x9e3779b97f4a7c15) };
		struct model m;

		model_init(&m);
		for (unsigned i = 0; i < N_REQUESTS; i++) {
			step(&m, &r, &t);
			if (i % 8 == 0)
				check_round_trip(&m);
		}
		model_free(&m);
	}
	print_message("%u accepted, %u refused, %u malformed\n", t.n_accepted, t.n_refused,
		      t.n_malformed);
	/* Else the small world is not what it is meant to be. */
	assert_true(t.n_accepted > N_SEEDS * N_REQUESTS / 8);
	assert_true(t.n_refused > N_SEEDS * N_REQUESTS / 8);
}

/* model_requests() without memory: NULL, whichever allocation fails, and never half a list. */

static int allocations_left = -1; /* of jansson, which takes no argument for its functions */

static void *failing_malloc(size_t size)
{
	if (allocations_left == 0)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	return malloc(size);
}

static void test_requests_without_memory(void **state)
{
	struct random r = { .state = 4711 };
	struct tally t = { 0 };
	json_t *whole, *list = NULL;
	struct model m;
	unsigned n = 0;

	model_init(&m);
	while (m.n_fdb < 2 || m.n_ports < 4)
		step(&m, &r, &t);
	whole = model_requests(&m);
	json_set_alloc_funcs(failing_malloc, free);
	for (; !list; n++) {
		allocations_left = (int)n;
		list = model_requests(&m);
	}
	json_set_alloc_funcs(malloc, free);
	assert_true(n > 50);
	assert_true(json_equal(list, whole));
	json_decref(list);
	json_decref(whole);
	model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_requests_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
