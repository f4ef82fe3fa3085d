// SPDX-License-Identifier: Apache-2.0
/*
 * The host port: it has a tap of its own and the programs of bpf/host.h, and both hang on the
 * device of the uplink; so it comes and goes with that. Of several uplinks it is the first one,
 * whichever is active: the host's stack does not change its device either.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "packet.h"
#include "plane_internal.h"

/* ---- opening ---- */

/* The uplink of the host port; NULL while its device is not there. */
static const struct plane_port *uplink_of(const struct plane_shape *s, port_id id)
{
	port_id uplink = s->first_uplink[s->model.port[id].bridge];
	const struct plane_port *pp = uplink == PORT_NONE ? NULL : s->port[uplink];

	return pp && pp->is_open ? pp : NULL;
}

bool plane_host_is_missing(const struct plane_shape *s, port_id id, struct err *why)
{
	port_id uplink = s->first_uplink[s->model.port[id].bridge];

	if (s->model.port[id].kind != KIND_HOST || uplink_of(s, id))
		return false;
	err_set(why, ENODEV, "device %s of the uplink is not there", s->model.port[uplink].dev);
	err_hint(why, "the port comes up when the uplink does: evb port show %s",
		 s->model.port[uplink].name);
	return true;
}

int plane_host_open(struct plane_port *pp, const struct plane_shape *s, struct broker_device *out,
		    struct err *e)
{
	const struct plane_port *uplink = uplink_of(s, pp->id);
	const struct port_config *c = &s->model.port[pp->id];
	struct broker_tap t = { .guard = pp->plane->guard,
				.offload = c->offload,
				.owner = (uid_t)-1,
				.group = (gid_t)-1,
				.mtu = shape_mtu(s, pp->id) };

	if (plane_host_is_missing(s, pp->id, e))
		return -e->code;
	/* The second name is for a port that takes the place of another. */
	for (unsigned i = 0; i < 2 && (!i || if_nametoindex(t.dev)); i++)
		snprintf(t.dev, sizeof(t.dev), "evb-h%d%s", uplink->device.ifindex, i ? "b" : "");
	t.host_ifindex = uplink->device.ifindex;
	return broker_open_host(&t, relay_n_workers(pp->plane->relay), out, e);
}

/* ---- with the uplink ---- */

/* The address of the host is that of the device: what was learned of it elsewhere is wrong. */
static void follow_address(struct plane *p)
{
	struct plane_adapted a;

	if (plane_learn_adapt(p, &p->shape, &a))
		plane_learn_settle(p, &a);
	plane_view_soon(p);
}

void plane_host_follow(struct plane *p, port_id uplink)
{
	const struct plane_port *up = p->shape.port[uplink];
	port_id id = model_host(&p->shape.model, p->shape.model.port[uplink].bridge);
	struct plane_port *pp = id == PORT_NONE ? NULL : p->shape.port[id];
	struct err why;

	if (!pp || uplink != p->shape.first_uplink[p->shape.model.port[id].bridge])
		return;
	if (pp->is_open && (!up->is_open || pp->device.host_ifindex != up->device.ifindex)) {
		if (!plane_host_is_missing(&p->shape, id, &why))
			err_set(&why, ENODEV, "the uplink has another device");
		plane_port_lose(p, id, WAIT_RETRY, &why);
	}
	if (up->is_open && !pp->is_open)
		plane_port_retry(p, id);
	follow_address(p);
	plane_port_tell(p, id);
}

struct mac shape_host_address(const struct plane_shape *s, port_id id)
{
	const struct plane_port *uplink = uplink_of(s, id);

	return uplink ? uplink->device.address : (struct mac){ { 0 } };
}

bool plane_host_is_up(const struct plane_shape *s, port_id id)
{
	const struct plane_port *uplink = uplink_of(s, id);

	return uplink && uplink->link.flags & IFF_UP;
}

void plane_host_state(const struct plane_shape *s, port_id id, struct plane_status *out)
{
	const struct plane_port *uplink = uplink_of(s, id);
	struct link_info master;

	if (!uplink)
		return;
	out->address = uplink->device.address;
	if (!plane_host_is_up(s, id)) {
		out->operstate = PLANE_DOWN;
		snprintf(out->reason, sizeof(out->reason), "device %s is down", uplink->device.dev);
		snprintf(out->hint, sizeof(out->hint), "set it up: ip link set %s up",
			 uplink->device.dev);
	} else if (uplink->link.master &&
		   netlink_link_get_index(uplink->link.master, &master) == 0) {
		snprintf(out->reason, sizeof(out->reason),
			 "device %s is a port of %s, and the host's addresses are usually there",
			 uplink->device.dev, master.name);
		snprintf(out->hint, sizeof(out->hint),
			 "make %s the uplink, or give its address with: evb port set %s mac MAC",
			 master.name, s->model.port[id].name);
	}
}

/* ---- what the programs know ---- */

static struct host_settings settings_of(const struct port_config *c, const struct fwd_view *v)
{
	struct host_settings s = {
		.native = c->has_trunk ? c->native : c->vlan,
		.is_bridge = c->mode == FWD_BRIDGE && !c->standby,
		.any_source = c->maclimit || !c->spoof_guard,
		.has_stations = v->bridge[c->bridge].list[VIEW_LIST_BRIDGE].n > 1,
	};

	_Static_assert(sizeof(s.vlans) == sizeof(c->trunk), "one bit for each VLAN");
	if (c->has_trunk)
		memcpy(s.vlans, c->trunk.w, sizeof(s.vlans));
	else
		s.vlans[c->vlan >> 6] |= UINT64_C(1) << (c->vlan & 63);
	return s;
}

/* What a program must know of an owner; false: nothing. */
static bool key_of(const struct fwd_view *v, const struct owner *o, port_id host, bool is_bridge,
		   struct host_key *key)
{
	const struct view_port *p;

	if (o->port == PORT_NONE || v->port[o->port].bridge != v->port[host].bridge)
		return false;
	p = &v->port[o->port];
	key->vid = o->port == host ? HOST_VID_HOST : o->vid;
	memcpy(key->mac, o->mac.b, sizeof(key->mac));
	return o->port == host || (is_bridge && p->role == FWD_STATION && p->mode == FWD_BRIDGE);
}

/* An entry may be there several times, in VLANs that do not matter here: once is enough. */
static int set_programs(const struct plane_shape *s, const struct fwd_view *v, port_id id)
{
	struct host_settings settings = settings_of(&s->model.port[id], v);
	struct host_key *key = malloc((v->owners->n + (size_t)1) * sizeof(*key));
	unsigned n = 0;
	int err;

	_Static_assert((int)MACS_MAX < (int)HOST_KEYS_MAX, "room for all owners");
	_Static_assert((int)VID_NONE == (int)HOST_VID_ANY, "an owner on a trunk");
	if (!key)
		return -ENOMEM;
	for (uint32_t i = 0; i <= v->owners->mask; i++)
		n += key_of(v, &v->owners->slot[i], id, settings.is_bridge, &key[n]);
	err = host_bpf_set(s->port[id]->device.host, &settings, key, n);
	free(key);
	return err;
}

/* Is the host on the device a port of any bridge? */
static bool has_host(const struct plane_shape *s, const char *dev)
{
	for (uint32_t i = 0; i < s->model.n_ports; i++) {
		const struct port_config *c = shape_config(s, i);

		if (c && c->kind == KIND_HOST && s->port[i]->is_open &&
		    !strcmp(s->model.port[s->first_uplink[c->bridge]].dev, dev))
			return true;
	}
	return false;
}

void shape_tell_hosts(const struct plane_shape *s, const struct fwd_view *v, const struct log *log)
{
	for (uint32_t i = 0; i < s->model.n_ports; i++) {
		const struct port_config *c = shape_config(s, i);
		int err = 0;

		if (!c || !s->port[i]->is_open)
			continue;
		if (c->kind == KIND_HOST)
			err = set_programs(s, v, (port_id)i);
		else if (c->role == FWD_UPLINK && c->kind == KIND_PACKET)
			err = packet_port_set_host(xdp_port_rest(s->port[i]->device.port),
						   has_host(s, c->dev));
		if (err)
			log_warning(log, "%s: the host is not reached everywhere: %s", c->name,
				    strerror(-err));
	}
}
