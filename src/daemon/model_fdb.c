// SPDX-License-Identifier: Apache-2.0
/*
 * Addresses that are fixed to a port. On an edge bridge they are the port's own list, as `mac`
 * gives it; on a learning bridge, beside that list, entries of the FDB with a VLAN of their own.
 */
#include "model_internal.h"

#include <errno.h>
#include <string.h>

#include "value.h"

/* The VLAN of the request; VID_NONE: it names none. */
static vid_t vlan_of(const json_t *params)
{
	return (vid_t)json_integer_value(json_object_get(params, "vlan"));
}

static int add_to_list(struct model *m, port_id id, struct mac mac, vid_t vid, struct err *e)
{
	struct port_config *p = &m->port[id];
	char text[VALUE_MAC_SIZE];

	if (p->role == FWD_UPLINK) {
		err_set(e, EINVAL, "%s: an uplink owns no addresses", p->name);
		return err_hint(e, "what is not behind another port is behind the uplink");
	}
	if (vid != VID_NONE && (p->has_trunk || vid != p->vlan)) {
		err_set(e, EINVAL, "%s: an address of a station counts in every VLAN of its port",
			p->name);
		return err_hint(e, "leave out vlan");
	}
	if (model_macs_have(&p->macs, mac)) {
		err_set(e, EEXIST, "%s: it has MAC %s already", p->name,
			value_mac_format(mac, text));
		return err_hint(e, "nothing needs to be done");
	}
	if (p->macs.n == PORT_MACS_MAX) {
		err_set(e, ENOSPC, "%s: it has %d addresses, which is the limit", p->name,
			PORT_MACS_MAX);
		return err_hint(e, "let it learn further ones: evb port set %s maclimit N",
				p->name);
	}
	p->macs.mac[p->macs.n++] = mac;
	return model_check_port(m, id, e);
}

static int add_entry(struct model *m, port_id id, struct mac mac, vid_t vid, struct err *e)
{
	const struct port_config *p = &m->port[id];
	struct fdb_config entry = { p->bridge, id, vid ? vid : model_pvid(p), mac };
	int err;

	if (entry.vid == VID_NONE) {
		err_set(e, EINVAL, "%s: a trunk without native VLAN has no default VLAN", p->name);
		return err_hint(e, "say in which one: vlan VID");
	}
	if (!model_port_has_vlan(p, entry.vid)) {
		err_set(e, EINVAL, "%s: it is not a member of VLAN %u", p->name, entry.vid);
		if (p->has_trunk)
			return err_hint(e, "choose a VLAN of its trunk, or add this one to it");
		return err_hint(e, "it is an access port of VLAN %u", p->vlan);
	}
	err = model_fdb_append(m, &entry, e);
	return err ? err : model_check_port(m, id, e);
}

int model_fdb_add(struct model *m, const json_t *params, struct err *e)
{
	const char *word = model_string(params, "mac");
	int id = model_need_port(m, model_string(params, "port"), e);
	struct mac mac;
	int err = id < 0 ? id : model_mac(m->port[id].name, word, &mac, e);

	if (err)
		return err;
	if (m->port[id].role == FWD_RELAY_PORT)
		return add_entry(m, (port_id)id, mac, vlan_of(params), e);
	return add_to_list(m, (port_id)id, mac, vlan_of(params), e);
}

/* Where an address was found: an entry of the FDB, or (fdb_idx < 0) the list of a port. */
struct found {
	unsigned n;
	port_id port, other; /* the last two */
	int fdb_idx;
};

static void found_add(struct found *f, port_id port, int fdb_idx)
{
	f->n++;
	f->other = f->port;
	f->port = port;
	f->fdb_idx = fdb_idx;
}

/* Is the address of the list of `p` meant, if the request says `vid`? */
static bool list_has(const struct port_config *p, struct mac mac, vid_t vid)
{
	if (!model_macs_have(&p->macs, mac))
		return false;
	if (vid == VID_NONE)
		return true;
	return p->role == FWD_RELAY_PORT ? model_pvid(p) == vid : model_port_has_vlan(p, vid);
}

static struct found find_mac(const struct model *m, bridge_id b, struct mac mac, vid_t vid)
{
	struct found f = { .port = PORT_NONE, .other = PORT_NONE };

	for (uint32_t id = 0; id < m->n_ports; id++) {
		const struct port_config *p = &m->port[id];

		if (p->name[0] && p->bridge == b && list_has(p, mac, vid))
			found_add(&f, (port_id)id, -1);
	}
	for (uint32_t i = 0; i < m->n_fdb; i++) {
		const struct fdb_config *c = &m->fdb[i];

		if (c->bridge == b && mac_equal(c->mac, mac) && (!vid || c->vid == vid))
			found_add(&f, c->port, (int)i);
	}
	return f;
}

static void remove_from_list(struct mac_list *list, struct mac mac)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < list->n; i++) {
		if (!mac_equal(list->mac[i], mac))
			list->mac[n++] = list->mac[i];
	}
	list->n = n;
}

static int refuse_ambiguous(const struct model *m, const struct found *f, const json_t *params,
			    struct err *e)
{
	const char *word = model_string(params, "mac");

	err_set(e, EINVAL, "%s: it is there %u times on bridge %s, with ports %s and %s", word,
		f->n, model_string(params, "bridge"), m->port[f->other].name,
		m->port[f->port].name);
	if (vlan_of(params) == VID_NONE)
		return err_hint(e, "say which one with: vlan VID");
	return err_hint(e, "change the list of the port instead: evb port set NAME mac LIST");
}

int model_fdb_del(struct model *m, const json_t *params, struct err *e)
{
	const char *bridge = model_string(params, "bridge"), *word = model_string(params, "mac");
	int b = model_need_bridge(m, bridge, e);
	struct found f;
	struct mac mac;

	if (b < 0)
		return b;
	if (!value_mac(word, &mac))
		return err_set(e, EINVAL, "%.32s is not a MAC address", word);
	f = find_mac(m, (bridge_id)b, mac, vlan_of(params));
	if (!f.n) {
		err_set(e, ENOENT, "%s: bridge %s has no such static address%s", word, bridge,
			vlan_of(params) ? " in that VLAN" : "");
		return err_hint(e,
				"see: evb fdb show bridge %s; learned ones go with evb fdb flush",
				bridge);
	}
	if (f.n > 1)
		return refuse_ambiguous(m, &f, params, e);
	if (f.fdb_idx >= 0)
		model_fdb_remove(m, (uint32_t)f.fdb_idx);
	else
		remove_from_list(&m->port[f.port].macs, mac);
	return model_check_port(m, f.port, e); /* a VSI may need it */
}
