// SPDX-License-Identifier: Apache-2.0
/*
 * Is a port as it may be: its fields among each other, and the port beside all others? Asked after
 * every change of a port, so that it does not matter in which request a conflict came about.
 */
#include "model_internal.h"

#include <errno.h>
#include <string.h>

#include "value.h"

typedef int port_check(const struct model *m, port_id id, struct err *e);

static bool is_live(const struct model *m, uint32_t id)
{
	return m->port[id].name[0] != '\0';
}

/* The next port of the bridge after `id` (-1: the first); PORT_NONE at the end. */
static port_id next_on_bridge(const struct model *m, bridge_id b, int id)
{
	for (uint32_t i = (uint32_t)(id + 1); i < m->n_ports; i++) {
		if (is_live(m, i) && m->port[i].bridge == b)
			return (port_id)i;
	}
	return PORT_NONE;
}

/* What it has of its own must be right, too: that is what it returns to. */
static bool has_mode(const struct port_config *p, enum fwd_mode mode)
{
	return p->mode == mode || p->own_mode == mode;
}

/* Whose the mode is, for messages. */
static const char *of_type(const struct port_config *p)
{
	return p->mode == p->own_mode ? "" : " of its VSI type";
}

/* Fields among each other. */

static int check_native(const struct model *m, port_id id, struct err *e)
{
	const struct port_config *p = &m->port[id];

	if (!p->has_trunk || p->native == VID_NONE || vlan_set_has(&p->trunk, p->native))
		return 0;
	err_set(e, EINVAL, "%s: native VLAN %u is not one of the trunk", p->name, p->native);
	return err_hint(e, "add %u to trunk, or say native none: untagged frames are refused then",
			p->native);
}

static int check_source_mode(const struct model *m, port_id id, struct err *e)
{
	const struct port_config *p = &m->port[id];

	if (p->role != FWD_STATION)
		return 0;
	if (p->own_mode != FWD_SOURCE && (p->source.n || p->nodst)) {
		err_set(e, EINVAL, "%s: %s goes with mode source, and the mode is %s", p->name,
			p->source.n ? "source" : "nodst",
			model_mode_name((enum fwd_mode)p->own_mode));
		return err_hint(e, "leave it out, or say: mode source");
	}
	if (p->mode == FWD_SOURCE && p->own_mode != FWD_SOURCE) {
		err_set(e, EINVAL, "%s: its VSI type says mode source, and the port has no sources",
			p->name);
		return err_hint(e, "give it some: evb port set %s mode source source MAC", p->name);
	}
	if (has_mode(p, FWD_SOURCE) && p->promisc) {
		err_set(e, EINVAL, "%s: promisc does not go with mode source", p->name);
		return err_hint(e, "only listed sources reach such a port: say promisc off");
	}
	return 0;
}

/* What a passthru port would not heed; NULL: nothing. */
static const char *unheeded_by_passthru(const struct port_config *p)
{
	if (p->has_trunk)
		return "trunk";
	if (p->vlan != VID_DEFAULT)
		return "vlan";
	if ((p->mode == FWD_PASSTHRU && p->reserved) ||
	    (p->own_mode == FWD_PASSTHRU && p->own_reserved))
		return "reserved";
	if (p->maclimit)
		return "maclimit";
	return p->promisc ? "promisc" : NULL;
}

static int check_passthru_fields(const struct model *m, port_id id, struct err *e)
{
	const struct port_config *p = &m->port[id];
	const char *field;

	if (p->role != FWD_STATION || !has_mode(p, FWD_PASSTHRU))
		return 0;
	field = unheeded_by_passthru(p);
	if (!field)
		return 0;
	err_set(e, EINVAL, "%s: %s does not go with mode passthru%s", p->name, field, of_type(p));
	return err_hint(e,
			"a passthru port gets every frame of every VLAN: leave it out, or say %s",
			p->promisc ? "promisc off" : "none for its value");
}

/* The port beside the others of its bridge. */

static int check_passthru_alone(const struct model *m, port_id id, struct err *e)
{
	const struct port_config *p = &m->port[id], *q;

	if (p->role != FWD_STATION)
		return 0;
	for (port_id i = next_on_bridge(m, p->bridge, -1); i != PORT_NONE;
	     i = next_on_bridge(m, p->bridge, i)) {
		q = &m->port[i];
		if (i == id || q->role != FWD_STATION)
			continue;
		if (has_mode(q, FWD_PASSTHRU)) {
			err_set(e, EBUSY,
				"%s: port %s has bridge %s for itself, in mode passthru%s", p->name,
				q->name, m->bridge[p->bridge].name, of_type(q));
			if (q->own_mode != FWD_PASSTHRU)
				return err_hint(e, "take another bridge, or change the type: see "
						   "evb vsitype show");
			return err_hint(e,
					"change it first (evb port set %s mode vepa), or take "
					"another bridge",
					q->name);
		}
		if (has_mode(p, FWD_PASSTHRU)) {
			err_set(e, EBUSY,
				"%s: mode passthru%s wants bridge %s for itself, and port %s "
				"is on it",
				p->name, of_type(p), m->bridge[p->bridge].name, q->name);
			return err_hint(e,
					"delete the other ports first, or give %s a bridge of "
					"its own",
					p->name);
		}
	}
	return 0;
}

/* The host port, its uplink, and the host port of another bridge on the same device. */

static int refuse_host(const struct port_config *host, const struct port_config *uplink,
		       struct err *e)
{
	if (host->role != FWD_STATION) {
		err_set(e, EINVAL, "%s: a host port is a station of an edge bridge", host->name);
		return err_hint(e, "the adjacent bridge has the host as: packet DEV");
	}
	if (host->mode == FWD_PASSTHRU || host->mode == FWD_SOURCE) {
		err_set(e, EINVAL, "%s: mode %s is not for a host port", host->name,
			model_mode_name((enum fwd_mode)host->mode));
		return err_hint(e, "it has bridge, vepa and private");
	}
	if (!uplink || !uplink->dev[0] || uplink->kind == KIND_TAP) {
		err_set(e, EINVAL, "%s: the bridge has no uplink on a device of the host",
			host->name);
		return err_hint(e, "the host is where it is, on the device of the uplink: add that "
				   "first, with role uplink");
	}
	return 0;
}

static int check_host_vlan(const struct port_config *host, const struct port_config *uplink,
			   struct err *e)
{
	vid_t native = uplink->native;

	if (uplink->svlan != VID_NONE || uplink->channel) {
		err_set(e, EINVAL,
			"%s: what the host sends has no S-tag, and on %s everything has that of "
			"%s %u",
			host->name, uplink->name, uplink->channel ? "channel" : "svlan",
			uplink->channel ? uplink->channel : uplink->svlan);
		return err_hint(e, "say %s none for the uplink, or have no host port",
				uplink->channel ? "channel" : "svlan");
	}
	if (model_pvid(host) == native)
		return 0;
	err_set(e, EINVAL,
		"%s: what the host sends untagged is of the native VLAN of the uplink, and %s has "
		"another one",
		host->name, uplink->name);
	if (native == VID_NONE)
		return err_hint(e, "add the host port with trunk LIST, without native");
	return err_hint(e, "add the host port with vlan %u, or with trunk LIST native %u", native,
			native);
}

static int check_host_alone(const struct model *m, port_id id, const struct port_config *uplink,
			    struct err *e)
{
	for (uint32_t i = 0; i < m->n_ports; i++) {
		const struct port_config *q = &m->port[i];
		port_id up;

		if (i == id || !is_live(m, i) || q->kind != KIND_HOST)
			continue;
		up = model_uplink(m, q->bridge, -1);
		if (up == PORT_NONE || strcmp(m->port[up].dev, uplink->dev) != 0)
			continue;
		err_set(e, EEXIST, "%s: the host on device %s is port %s of bridge %s",
			m->port[id].name, uplink->dev, q->name, m->bridge[q->bridge].name);
		return err_hint(e, "one is enough: leave it out");
	}
	return 0;
}

static int check_host(const struct model *m, port_id id, struct err *e)
{
	const struct port_config *p = &m->port[id], *uplink;
	port_id host = p->kind == KIND_HOST ? id : model_host(m, p->bridge);
	port_id up = model_uplink(m, p->bridge, -1);
	int err;

	if (host == PORT_NONE || (id != host && id != up))
		return 0;
	uplink = up == PORT_NONE ? NULL : &m->port[up];
	err = refuse_host(&m->port[host], uplink, e);
	if (err || !uplink) /* one says the other */
		return err;
	err = check_host_vlan(&m->port[host], uplink, e);
	return err ? err : check_host_alone(m, host, uplink, e);
}

/* "c1", "/run/netns/c1" and "/var/run/netns/c1" are one namespace. */
static const char *netns_name(const char *netns)
{
	static const char *const dirs[] = { "/run/netns/", "/var/run/netns/" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (strncmp(netns, dirs[i], strlen(dirs[i])) == 0)
			return netns + strlen(dirs[i]);
	}
	return netns;
}

static bool device_is_same(const struct port_config *p, const struct port_config *q)
{
	return p->dev[0] && strcmp(p->dev, q->dev) == 0 &&
	       strcmp(netns_name(p->netns), netns_name(q->netns)) == 0;
}

static int check_device(const struct model *m, port_id id, struct err *e)
{
	const struct port_config *p = &m->port[id], *q;

	for (uint32_t i = 0; i < m->n_ports; i++) {
		q = &m->port[i];
		if (i == id || !is_live(m, i) || !device_is_same(p, q))
			continue;
		if (p->kind == KIND_TAP && q->kind == KIND_TAP) {
			err_set(e, EEXIST, "%s: device %s is the tap of port %s", p->name, p->dev,
				q->name);
			return err_hint(e, "give the device another name with: name DEV");
		}
		if (p->bridge == q->bridge && p->svlan == q->svlan && p->channel == q->channel) {
			err_set(e, EEXIST, "%s: device %s is on bridge %s already, as port %s",
				p->name, p->dev, m->bridge[p->bridge].name, q->name);
			return err_hint(e,
					"a frame would go round: take another device, or another "
					"bridge");
		}
	}
	return 0;
}

static int check_path(const struct model *m, port_id id, struct err *e)
{
	const struct port_config *p = &m->port[id];

	for (uint32_t i = 0; p->path[0] && i < m->n_ports; i++) {
		if (i == id || !is_live(m, i) || strcmp(m->port[i].path, p->path) != 0)
			continue;
		err_set(e, EEXIST, "%s: socket %s is that of port %s", p->name, p->path,
			m->port[i].name);
		return err_hint(e, "each VM has a socket of its own: choose another path");
	}
	return 0;
}

static int check_n_macs(const struct model *m, port_id id, struct err *e)
{
	uint32_t n = m->n_fdb;

	for (uint32_t i = 0; i < m->n_ports; i++)
		n += is_live(m, i) ? m->port[i].macs.n : 0;
	if (n <= MACS_MAX)
		return 0;
	err_set(e, ENOSPC, "%s: with it, %u addresses are configured, and %d is the limit",
		m->port[id].name, n, MACS_MAX);
	return err_hint(e, "remove some that are not needed: evb fdb del MAC bridge BRIDGE");
}

/* Addresses: nobody else may own them where the port's VLANs are. */

/* An address that a port claims in one VLAN, or in all that it has (VID_NONE). */
struct claim {
	port_id port;
	vid_t vid;
	struct mac mac;
	int fdb_idx; /* the entry it comes from; -1: the list of the port */
};

static bool sets_meet(const struct vlan_set *a, const struct vlan_set *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(a->w); i++) {
		if (a->w[i] & b->w[i])
			return true;
	}
	return false;
}

/* Do VLAN `v` of port `p` and `w` of `q` meet? VID_NONE: any of the port. */
static bool vlans_meet(const struct port_config *p, vid_t v, const struct port_config *q, vid_t w)
{
	if (v != VID_NONE)
		return w != VID_NONE ? v == w : model_port_has_vlan(q, v);
	if (w != VID_NONE)
		return model_port_has_vlan(p, w);
	if (p->has_trunk && q->has_trunk)
		return sets_meet(&p->trunk, &q->trunk);
	return p->has_trunk ? vlan_set_has(&p->trunk, q->vlan) : model_port_has_vlan(q, p->vlan);
}

/* The VLAN in which a port owns the addresses of its list. */
static vid_t list_vid(const struct port_config *p)
{
	return p->role == FWD_RELAY_PORT ? model_pvid(p) : VID_NONE;
}

/* Who else claims the address; PORT_NONE: nobody. Ports in standby own nothing. */
static port_id rival(const struct model *m, const struct claim *c)
{
	const struct port_config *p = &m->port[c->port], *q;

	for (port_id i = next_on_bridge(m, p->bridge, -1); i != PORT_NONE;
	     i = next_on_bridge(m, p->bridge, i)) {
		q = &m->port[i];
		if (q->standby || (i == c->port && c->fdb_idx < 0))
			continue;
		if (model_macs_have(&q->macs, c->mac) && vlans_meet(p, c->vid, q, list_vid(q)))
			return i;
	}
	for (uint32_t i = 0; i < m->n_fdb; i++) {
		const struct fdb_config *f = &m->fdb[i];

		q = &m->port[f->port];
		if ((int)i != c->fdb_idx && f->bridge == p->bridge && !q->standby &&
		    mac_equal(f->mac, c->mac) && vlans_meet(p, c->vid, q, f->vid))
			return f->port;
	}
	return PORT_NONE;
}

static int check_claim(const struct model *m, const struct claim *c, struct err *e)
{
	const struct port_config *p = &m->port[c->port], *q;
	port_id other = rival(m, c);
	char text[VALUE_MAC_SIZE];

	if (other == PORT_NONE)
		return 0;
	q = &m->port[other];
	value_mac_format(c->mac, text);
	if (other == c->port) {
		err_set(e, EEXIST, "%s: it has MAC %s already", p->name, text);
		return err_hint(e, "nothing needs to be done");
	}
	err_set(e, EEXIST, "%s: MAC %s is owned by port %s", p->name, text, q->name);
	return err_hint(e,
			"choose another MAC or VLAN, or take it from %s: evb fdb del %s bridge %s",
			q->name, text, m->bridge[p->bridge].name);
}

static int check_macs(const struct model *m, port_id id, struct err *e)
{
	const struct port_config *p = &m->port[id];
	struct claim c = { .port = id, .vid = list_vid(p), .fdb_idx = -1 };
	int err = 0;

	if (p->macs.n && p->role == FWD_RELAY_PORT && c.vid == VID_NONE) {
		err_set(e, EINVAL,
			"%s: mac is for the VLAN of untagged frames, and the trunk has none",
			p->name);
		return err_hint(e,
				"say native VID as well, or use: evb fdb add MAC port %s vlan VID",
				p->name);
	}
	if (p->standby)
		return 0;
	for (uint16_t i = 0; !err && i < p->macs.n; i++) {
		c.mac = p->macs.mac[i];
		err = check_claim(m, &c, e);
	}
	return err;
}

static int check_static_entries(const struct model *m, port_id id, struct err *e)
{
	const struct port_config *p = &m->port[id];
	int err = 0;

	for (uint32_t i = 0; !err && i < m->n_fdb; i++) {
		const struct fdb_config *f = &m->fdb[i];
		struct claim c = { id, f->vid, f->mac, (int)i };
		char text[VALUE_MAC_SIZE];

		if (f->port != id)
			continue;
		if (!model_port_has_vlan(p, f->vid)) {
			value_mac_format(f->mac, text);
			err_set(e, EINVAL,
				"%s: it is not a member of VLAN %u, in which it has the "
				"static entry %s",
				p->name, f->vid, text);
			return err_hint(e,
					"keep that VLAN, or delete the entry first: evb fdb del "
					"%s bridge %s vlan %u",
					text, m->bridge[f->bridge].name, f->vid);
		}
		err = p->standby ? 0 : check_claim(m, &c, e);
	}
	return err;
}

/* What has addresses by association has no others. */
static int check_vdp(const struct model *m, port_id id, struct err *e)
{
	const struct port_config *p = &m->port[id];
	bool has_any = p->macs.n;

	for (uint32_t i = 0; i < m->n_fdb; i++)
		has_any |= m->fdb[i].port == id;
	if (!p->vdp || !(has_any || m->bridge[p->bridge].is_kernel))
		return 0;
	if (m->bridge[p->bridge].is_kernel) {
		err_set(e, EINVAL, "%s: the kernel's bridge forwards whatever VDP says", p->name);
		return err_hint(e, "leave out vdp, or take a bridge of type learning");
	}
	err_set(e, EINVAL, "%s: under VDP control, addresses come by association only", p->name);
	return err_hint(e, "leave them out, or say: vdp off");
}

/* A port of a Linux bridge: its device is there, and forwarding is the kernel's. */
static int check_kernel(const struct model *m, port_id id, struct err *e)
{
	const struct port_config *p = &m->port[id], is = model_port_default(p->bridge, p->role);

	if (!m->bridge[p->bridge].is_kernel)
		return 0;
	if (p->kind != KIND_PACKET || p->driver == DRIVER_XDP) {
		err_set(e, EINVAL, "%s: %s is of type kernel, which has ports of kind packet only",
			p->name, m->bridge[p->bridge].name);
		return err_hint(e, "name the port of the Linux bridge: packet DEV");
	}
	if (p->has_trunk || p->vlan != is.vlan || p->macs.n || p->maclimit || p->standby ||
	    p->vdp) {
		err_set(e, EINVAL,
			"%s: VLANs and addresses of a bridge of type kernel are the kernel's",
			p->name);
		return err_hint(e, "set them with bridge(8); evb, lldp and reflective-relay are "
				   "for this port");
	}
	return 0;
}

int model_check_port(struct model *m, port_id id, struct err *e)
{
	static port_check *const checks[] = {
		check_native,
		check_source_mode,
		check_passthru_fields,
		check_host,
		check_passthru_alone,
		check_device,
		check_path,
		check_n_macs,
		check_macs,
		check_static_entries,
		check_vdp,
		model_check_vsi,
		model_check_channel,
		check_kernel,
	};
	int err = 0;

	model_settle_port(m, &m->port[id]);
	for (size_t i = 0; !err && i < ARRAY_SIZE(checks); i++)
		err = checks[i](m, id, e);
	return err;
}
