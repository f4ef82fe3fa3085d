// SPDX-License-Identifier: Apache-2.0
/*
 * VSIs of station ports, which the adjacent bridge is to associate, and the VSI types by which this
 * bridge decides on the VSIs of others.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model_internal.h"
#include "value.h"
#include "vsi_text.h"

/* Words of the grammar, by their values. */
struct word {
	const char *word;
	uint8_t value;
};

static const struct word requests[] = {
	{ "associate", VDP_ASSOCIATE },
	{ "pre-associate", VDP_PRE_ASSOCIATE },
	{ "pre-associate-rr", VDP_PRE_ASSOCIATE_RR },
	{ NULL, VDP_ASSOCIATE },
};

static const struct word hints[] = {
	{ "suspend", VDP_SUSPEND },
	{ "migrate", VDP_MIGRATE },
	{ NULL, 0 },
};

static const struct word refusals[] = { { "soft", false }, { "hard", true }, { NULL, false } };
static const struct word filters[] = { { "mac-vid", false }, { "vid", true }, { NULL, false } };

/* The value of the word that `v` is, or that of no word. */
static uint8_t value_of(const struct word *w, const json_t *v)
{
	while (w->word && (!json_is_string(v) || strcmp(w->word, json_string_value(v)) != 0))
		w++;
	return w->value;
}

/* NULL: the default. */
static json_t *word_of(const struct word *w, uint8_t value)
{
	while (w->word && w->value != value)
		w++;
	return w->word ? json_string(w->word) : NULL;
}

static int bad_word(const char *name, const char *what, const char *word, const char *right,
		    struct err *e)
{
	err_set(e, EINVAL, "%s: %.64s is no %s", name, word, what);
	return err_hint(e, "%s", right);
}

/* Set the manager as params say; null and, at first, nothing is all zeroes. */
static int set_manager(const char *name, struct vdp_manager *to, const json_t *params,
		       struct err *e)
{
	const json_t *v = json_object_get(params, "manager");

	if (json_is_null(v))
		*to = (struct vdp_manager){ .octets = { 0 } };
	if (!json_is_string(v) || vdp_manager_parse(json_string_value(v), to))
		return 0;
	return bad_word(name, "VSI manager", json_string_value(v),
			"it is a number from 0 to 255, or an IPv4 or IPv6 address", e);
}

static bool put(json_t *params, const char *key, json_t *v_take)
{
	return json_object_set_new(params, key, v_take) == 0;
}

static bool put_manager(json_t *params, const struct vdp_manager *m)
{
	static const struct vdp_manager none;
	char text[VSI_TEXT_SIZE];

	return vdp_manager_equal(m, &none) ||
	       put(params, "manager", json_string(vdp_manager_format(m, text)));
}

static int set_list(const char *name, struct mac_list *to, const json_t *v, struct err *e)
{
	return v ? model_macs_set(name, "mac", to, json_is_null(v) ? NULL : v, e) : 0;
}

static bool put_list(json_t *params, const struct mac_list *list)
{
	return !list->n || put(params, "mac", model_macs_json(list));
}

/* ---- VSIs of station ports ---- */

/* Add an entry for each address in the VLAN; without addresses, for the VLAN. */
static bool add_vlan(struct vdp_filters *f, const struct vsi_config *v, const struct mac_list *macs,
		     vid_t vid)
{
	struct vdp_filter filter = { .group = v->gid, .vid = vid };

	if (v->by_vlan)
		return vdp_filter_add(f, EVB_RATIFIED, filter);
	for (uint16_t i = 0; i < macs->n; i++) {
		filter.mac = macs->mac[i];
		if (!vdp_filter_add(f, EVB_RATIFIED, filter))
			return false;
	}
	return true;
}

bool model_vsi_filters(const struct port_config *p, struct vdp_filters *out)
{
	const struct vsi_config *v = &p->vsi;
	const struct mac_list *macs = v->macs.n ? &v->macs : &p->macs;
	bool ok = true;

	*out = (struct vdp_filters){ .format = v->gid ? VDP_FILTER_GROUP_MAC_VID :
							VDP_FILTER_MAC_VID };
	if (v->by_vlan)
		out->format = v->gid ? VDP_FILTER_GROUP_VID : VDP_FILTER_VID;
	if (v->vlan != VSI_VLAN_OF_PORT || !p->has_trunk)
		return add_vlan(out, v, macs, v->vlan == VSI_VLAN_OF_PORT ? p->vlan : v->vlan);
	for (vid_t vid = 1; ok && vid <= VID_MAX; vid++) {
		if (vlan_set_has(&p->trunk, vid))
			ok = add_vlan(out, v, macs, vid);
	}
	return ok;
}

/* The other port that has a VSI of the same ID as that of port `of`, or PORT_NONE. */
static port_id find_rival(const struct model *m, port_id of)
{
	for (uint32_t i = 0; i < m->n_ports; i++) {
		const struct port_config *p = &m->port[i];

		if (i != of && p->name[0] && p->vsi.is_set &&
		    vsi_id_equal(&p->vsi.id, &m->port[of].vsi.id))
			return (port_id)i;
	}
	return PORT_NONE;
}

static int refuse_place(const struct port_config *p, struct err *e)
{
	if (p->kind == KIND_HOST) {
		err_set(e, EINVAL, "%s: the host's own stack is no VSI", p->name);
		return err_hint(e, "its frames pass whatever evbd does: give it a tap instead");
	}
	err_set(e, EINVAL, "%s: a VSI is of a station port, and this is %s", p->name,
		p->role == FWD_UPLINK ? "an uplink" : "a port of a learning bridge");
	if (p->role == FWD_UPLINK)
		return err_hint(e, "name the port of the guest");
	return err_hint(e, "such a port has: evb port set %s vdp on", p->name);
}

int model_check_vsi(const struct model *m, port_id id, struct err *e)
{
	const struct port_config *p = &m->port[id];
	struct vdp_filters f;
	char text[VSI_TEXT_SIZE];
	port_id other;

	if (!p->vsi.is_set)
		return 0;
	if (p->role != FWD_STATION || p->kind == KIND_HOST)
		return refuse_place(p, e);
	other = find_rival(m, id);
	if (other != PORT_NONE) {
		err_set(e, EEXIST, "%s: port %s has VSI %s already", p->name, m->port[other].name,
			vsi_id_format(&p->vsi.id, text));
		return err_hint(e, "each VSI has an instance ID of its own: see uuidgen(1)");
	}
	if (p->has_trunk && p->vsi.vlan == VID_NONE) {
		err_set(e, EINVAL, "%s: the bridge chooses one VLAN, and the port is a trunk",
			p->name);
		return err_hint(
			e,
			"for all VLANs of the trunk: vlan none; for the one that the bridge "
			"chooses: evb port set %s vlan VID",
			p->name);
	}
	if (!model_vsi_filters(p, &f)) {
		err_set(e, ENOSPC, "%s: a VSI has no room for so many addresses and VLANs",
			p->name);
		return err_hint(e, "name fewer (mac, vlan), or say: filter vid");
	}
	if (f.n)
		return 0;
	err_set(e, EINVAL, "%s: a VSI needs an address, and the port has none", p->name);
	return err_hint(e, "say mac MAC, or give it to the port: evb port set %s mac MAC", p->name);
}

static int set_instance(const char *name, struct vsi_id *to, const json_t *params, struct err *e)
{
	const json_t *v = json_object_get(params, "instance");

	if (!v || vsi_id_parse(json_string_value(v), to))
		return 0;
	return bad_word(name, "instance ID", json_string_value(v),
			"it is a UUID, a MAC, IPv4 or IPv6 address, or local: and 32 hex digits",
			e);
}

static int64_t number_of(const json_t *params, const char *key, int64_t now, int64_t initial)
{
	const json_t *v = json_object_get(params, key);

	if (!v)
		return now;
	return json_is_integer(v) ? json_integer_value(v) : initial;
}

static int vsi_fields(struct port_config *p, const json_t *params, struct err *e)
{
	struct vsi_config *v = &p->vsi;
	const json_t *w;
	int err = set_manager(p->name, &v->manager, params, e);

	if (!err)
		err = set_instance(p->name, &v->id, params, e);
	if (!err)
		err = set_list(p->name, &v->macs, json_object_get(params, "mac"), e);
	if (err)
		return err;
	v->type = (uint32_t)number_of(params, "type", v->type, 0);
	v->version = (uint8_t)number_of(params, "version", v->version, 0);
	v->vlan = (uint16_t)number_of(params, "vlan", v->vlan, VSI_VLAN_OF_PORT);
	v->gid = (uint32_t)number_of(params, "gid", v->gid, 0);
	if ((w = json_object_get(params, "request")))
		v->request = value_of(requests, w);
	if ((w = json_object_get(params, "hint")))
		v->hint = value_of(hints, w);
	if ((w = json_object_get(params, "filter")))
		v->by_vlan = value_of(filters, w);
	return 0;
}

int model_vsi_add(struct model *m, const json_t *params, struct err *e)
{
	int id = model_need_port(m, model_string(params, "ifname"), e), err;
	struct port_config *p;

	if (id < 0)
		return id;
	p = &m->port[id];
	if (p->vsi.is_set) {
		err_set(e, EEXIST, "%s: it has a VSI already", p->name);
		return err_hint(e, "change it with: evb vsi set %s ...", p->name);
	}
	p->vsi = (struct vsi_config){ .is_set = true,
				      .request = VDP_ASSOCIATE,
				      .vlan = VSI_VLAN_OF_PORT };
	err = vsi_fields(p, params, e);
	return err ? err : model_check_port(m, (port_id)id, e);
}

/* The port named by `params`, which has a VSI; or -errno. */
static int need_vsi(const struct model *m, const json_t *params, struct err *e)
{
	int id = model_need_port(m, model_string(params, "ifname"), e);

	if (id < 0 || m->port[id].vsi.is_set)
		return id;
	err_set(e, ENOENT, "%s: the port has no VSI", m->port[id].name);
	return err_hint(e, "give it one: evb vsi add %s type T instance UUID", m->port[id].name);
}

int model_vsi_set(struct model *m, const json_t *params, struct err *e)
{
	int id = need_vsi(m, params, e);
	int err = id < 0 ? id : vsi_fields(&m->port[id], params, e);

	return err ? err : model_check_port(m, (port_id)id, e);
}

int model_vsi_del(struct model *m, const json_t *params, struct err *e)
{
	int id = need_vsi(m, params, e);

	if (id < 0)
		return id;
	m->port[id].vsi = (struct vsi_config){ .is_set = false };
	return model_check_port(m, (port_id)id, e);
}

/* Put a word that is not the default. */
static bool put_word(json_t *params, const char *key, const struct word *w, uint8_t value,
		     uint8_t initial)
{
	return value == initial || put(params, key, word_of(w, value));
}

static bool put_number(json_t *params, const char *key, uint64_t n, uint64_t initial)
{
	return n == initial || put(params, key, json_integer((json_int_t)n));
}

json_t *model_vsi_params(const struct port_config *p)
{
	const struct vsi_config *v = &p->vsi;
	json_t *params = json_object();
	char text[VSI_TEXT_SIZE];
	bool ok = put(params, "ifname", json_string(p->name)) && put_manager(params, &v->manager) &&
		  put(params, "type", json_integer(v->type)) &&
		  put_number(params, "version", v->version, 0) &&
		  put(params, "instance", json_string(vsi_id_format(&v->id, text))) &&
		  put_word(params, "request", requests, v->request, VDP_ASSOCIATE) &&
		  put_word(params, "hint", hints, v->hint, 0) &&
		  put_word(params, "filter", filters, v->by_vlan, false) &&
		  put_number(params, "vlan", v->vlan, VSI_VLAN_OF_PORT) &&
		  put_list(params, &v->macs) && put_number(params, "gid", v->gid, 0);

	if (ok)
		return params;
	json_decref(params);
	return NULL;
}

/* ---- VSI types ---- */

const char *model_vsi_limit(enum meter_id id)
{
	static const char *const name[METERS_N] = {
		[METER_RATE_IN] = "rate-in",
		[METER_PPS_IN] = "pps-in",
		[METER_RATE_OUT] = "rate-out",
		[METER_PPS_OUT] = "pps-out",
	};

	return name[id];
}

/* The type of that key, or -1. */
static int find_type(const struct model *m, const struct vsitype_config *key)
{
	for (uint32_t i = 0; i < m->n_vsitypes; i++) {
		const struct vsitype_config *t = &m->vsitype[i];

		if (t->id == key->id && t->version == key->version &&
		    t->has_manager == key->has_manager &&
		    (!t->has_manager || vdp_manager_equal(&t->manager, &key->manager)))
			return (int)i;
	}
	return -1;
}

const struct vsitype_config *model_vsitype(const struct model *m, const struct vdp_assoc *of)
{
	struct vsitype_config key = { .id = of->type_id,
				      .version = of->version,
				      .has_manager = true,
				      .manager = of->manager };
	int i = find_type(m, &key);

	key.has_manager = false;
	if (i < 0)
		i = find_type(m, &key);
	return i < 0 ? NULL : &m->vsitype[i];
}

const struct vsitype_config *model_port_vsitype(const struct model *m, const struct port_config *p)
{
	struct vdp_assoc a = { .type_id = p->vsi.type,
			       .version = p->vsi.version,
			       .manager = p->vsi.manager };

	return p->vsi.is_set ? model_vsitype(m, &a) : NULL;
}

bool model_settle_port(const struct model *m, struct port_config *p)
{
	const struct vsitype_config *t = model_port_vsitype(m, p);
	uint8_t mode = t && t->mode != FWD_MODES_N ? t->mode : p->own_mode;
	uint16_t reserved = t && t->has_reserved ? t->reserved : p->own_reserved;
	bool is_other = mode != p->mode || reserved != p->reserved;

	p->mode = mode;
	p->reserved = reserved;
	return is_other;
}

/* The types have changed: so do the ports that have them, if every one can. */
static int settle_ports(struct model *m, const char *name, struct err *e)
{
	struct err why = { .code = 0 };

	for (uint32_t i = 0; i < m->n_ports; i++) {
		struct port_config *p = &m->port[i];

		if (!p->name[0] || !model_settle_port(m, p) ||
		    !model_check_port(m, (port_id)i, &why))
			continue;
		err_set(e, why.code, "%s: %s", name, why.message);
		return err_hint(e, "%s", why.hint);
	}
	return 0;
}

static int key_of(struct vsitype_config *t, const json_t *params, char name[NAME_SIZE],
		  struct err *e)
{
	*t = (struct vsitype_config){ .id = (uint32_t)number_of(params, "id", 0, 0),
				      .version = (uint8_t)number_of(params, "version", 0, 0),
				      .mode = FWD_MODES_N,
				      .has_manager =
					      json_is_string(json_object_get(params, "manager")) };
	snprintf(name, NAME_SIZE, "VSI type %u version %u", t->id, t->version);
	return set_manager(name, &t->manager, params, e);
}

static int type_fields(struct vsitype_config *t, const char *name, const json_t *params,
		       struct err *e)
{
	const json_t *vlan = json_object_get(params, "vlan"), *v;
	int err = set_list(name, &t->macs, json_object_get(params, "mac"), e);

	if (err)
		return err;
	if (vlan)
		value_vlans(json_is_string(vlan) ? json_string_value(vlan) : "all", &t->vlans);
	t->vlan = (vid_t)number_of(params, "default-vlan", t->vlan, VID_NONE);
	for (unsigned i = 0; i < METERS_N; i++) {
		const char *key = model_vsi_limit((enum meter_id)i);

		if (key)
			t->limit[i] = (uint64_t)number_of(params, key, (int64_t)t->limit[i], 0);
	}
	if ((v = json_object_get(params, "refusal")))
		t->refuses_hard = value_of(refusals, v);
	if ((v = json_object_get(params, "mode")))
		t->mode = (uint8_t)model_mode(json_string_value(v));
	if ((v = json_object_get(params, "reserved")))
		t->has_reserved = json_is_integer(v);
	t->reserved = (uint16_t)number_of(params, "reserved", t->reserved, 0);
	if (t->mode == FWD_PASSTHRU && t->reserved) {
		err_set(e, EINVAL, "%s: reserved does not go with mode passthru", name);
		return err_hint(e, "a passthru port gets every frame: leave it out, or say none");
	}
	if (t->vlan == VID_NONE || vlan_set_has(&t->vlans, t->vlan))
		return 0;
	err_set(e, EINVAL, "%s: default-vlan %u is not one of its VLANs", name, t->vlan);
	return err_hint(e, "add it to vlan, or choose one of those");
}

int model_vsitype_add(struct model *m, const json_t *params, struct err *e)
{
	struct vsitype_config t;
	char name[NAME_SIZE];
	int err = key_of(&t, params, name, e);

	value_vlans("all", &t.vlans);
	if (!err)
		err = type_fields(&t, name, params, e);
	if (err)
		return err;
	if (find_type(m, &t) < 0) {
		err = model_vsitype_append(m, &t, e);
		return err ? err : settle_ports(m, name, e);
	}
	err_set(e, EEXIST, "%s: there is such a type already", name);
	return err_hint(e, "change it with: evb vsitype set %u version %u ...", t.id, t.version);
}

/* Index of the type that `params` name, or -errno. */
static int need_type(const struct model *m, const json_t *params, char name[NAME_SIZE],
		     struct err *e)
{
	struct vsitype_config t;
	int err = key_of(&t, params, name, e), i = err ? -1 : find_type(m, &t);

	if (err || i >= 0)
		return err ? err : i;
	err_set(e, ENOENT, "%s: there is no such type", name);
	return err_hint(e, "evb vsitype show lists them, with version and manager where one is");
}

int model_vsitype_set(struct model *m, const json_t *params, struct err *e)
{
	char name[NAME_SIZE];
	int i = need_type(m, params, name, e);
	int err = i < 0 ? i : type_fields(&m->vsitype[i], name, params, e);

	return err ? err : settle_ports(m, name, e);
}

int model_vsitype_del(struct model *m, const json_t *params, struct err *e)
{
	char name[NAME_SIZE];
	int i = need_type(m, params, name, e);

	if (i < 0)
		return i;
	m->n_vsitypes--;
	memmove(&m->vsitype[i], &m->vsitype[i + 1],
		(m->n_vsitypes - (uint32_t)i) * sizeof(*m->vsitype));
	return settle_ports(m, name, e);
}

json_t *model_vsitype_params(const struct vsitype_config *t)
{
	json_t *params = json_object();
	char vlans[VALUE_VLANS_SIZE], text[VSI_TEXT_SIZE];
	bool ok = put(params, "id", json_integer(t->id)) &&
		  put_number(params, "version", t->version, 0);

	if (t->has_manager)
		ok = ok &&
		     put(params, "manager", json_string(vdp_manager_format(&t->manager, text)));
	ok = ok && put(params, "vlan", json_string(value_vlans_format(&t->vlans, vlans))) &&
	     put_number(params, "default-vlan", t->vlan, VID_NONE) && put_list(params, &t->macs) &&
	     put_word(params, "refusal", refusals, t->refuses_hard, false);
	for (unsigned i = 0; ok && i < METERS_N; i++)
		ok = put_number(params, model_vsi_limit((enum meter_id)i), t->limit[i], 0);
	if (t->mode != FWD_MODES_N)
		ok = ok &&
		     put(params, "mode", json_string(model_mode_name((enum fwd_mode)t->mode)));
	if (t->has_reserved)
		ok = ok && put(params, "reserved", json_integer(t->reserved));
	if (ok)
		return params;
	json_decref(params);
	return NULL;
}
