// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "packet.h"
#include "plane_internal.h"
#include "xdp.h"

enum { LEARN_ROOM_MAX = UINT16_MAX };

/* ---- shapes ---- */

bool shape_init(const struct plane *p, struct plane_shape *s, struct model *model_take, uint32_t n)
{
	s->model = *model_take;
	s->n = n;
	s->gates = &p->gates;
	s->port = calloc(n + 1, sizeof(*s->port));
	s->uplink = calloc(s->model.n_bridges + 1, sizeof(*s->uplink));
	s->first_uplink = calloc(s->model.n_bridges + 1, sizeof(*s->first_uplink));
	s->next_uplink = calloc(n + 1, sizeof(*s->next_uplink));
	if (!s->port || !s->uplink || !s->first_uplink || !s->next_uplink) {
		shape_free(s);
		return false;
	}
	for (uint32_t b = 0; b < s->model.n_bridges; b++)
		s->uplink[b] = s->first_uplink[b] = PORT_NONE;
	for (uint32_t i = s->model.n_ports; i-- > 0;) {
		const struct port_config *c = shape_config(s, i);

		if (!c || c->role != FWD_UPLINK)
			continue;
		s->next_uplink[i] = s->first_uplink[c->bridge];
		s->uplink[c->bridge] = s->first_uplink[c->bridge] = (port_id)i;
	}
	return true;
}

void shape_free(struct plane_shape *s)
{
	model_free(&s->model);
	free(s->port);
	free(s->uplink);
	free(s->first_uplink);
	free(s->next_uplink);
	memset(s, 0, sizeof(*s));
}

const struct port_config *shape_config(const struct plane_shape *s, uint32_t id)
{
	return id < s->model.n_ports && s->model.port[id].name[0] ? &s->model.port[id] : NULL;
}

bool shape_has_link(const struct port_config *c)
{
	return c->kind == KIND_PACKET || (c->kind == KIND_TAP && c->guest_is_vm);
}

bool shape_is_up(const struct port_config *c, const struct plane_port *pp)
{
	return pp->is_open && (!shape_has_link(c) || link_is_running(&pp->link)) &&
	       (!c->channel || pp->svid != VID_NONE) &&
	       (c->kind != KIND_VHOST_USER || plane_vhost_is_up(pp));
}

vid_t shape_svid(const struct port_config *c, const struct plane_port *pp)
{
	return c->channel ? pp->svid : c->svlan;
}

enum device_driver shape_driver(const struct plane_shape *s, port_id id)
{
	const struct port_config *c = &s->model.port[id];

	/* XDP has one program on a device, for one port, and takes what the kernel forwards. */
	return c->driver == DRIVER_AUTO && (s->model.bridge[c->bridge].is_kernel ||
					    model_shares_device(&s->model, id)) ?
		       DRIVER_PACKET :
		       (enum device_driver)c->driver;
}

/* MTU of a packet port's device, or MTU_DEFAULT while that is unknown. */
static uint32_t device_mtu(const struct plane_port *pp)
{
	return pp && pp->mtu_seen ? pp->mtu_seen : MTU_DEFAULT;
}

/* What a port that is no station may send: with an S-tag there are two tags on top of it. */
static uint32_t wire_mtu(const struct port_config *c, const struct plane_port *pp)
{
	if (c->mtu)
		return c->mtu;
	return device_mtu(pp) - (c->svlan == VID_NONE && !c->channel ? 0 : 2 * ETH_TAG_SIZE);
}

/*
 * The smallest of the uplinks, since any of them may become the active one; those whose device was
 * never seen do not count beside others.
 */
static uint32_t uplinks_mtu(const struct plane_shape *s, bridge_id b)
{
	uint32_t mtu = MTU_DEFAULT;
	bool has_any = false, has_known = false;

	for (port_id i = s->first_uplink[b]; i != PORT_NONE; i = s->next_uplink[i]) {
		const struct port_config *c = &s->model.port[i];
		const struct plane_port *pp = s->port[i];
		uint32_t own = wire_mtu(c, pp);
		bool is_known = c->mtu || (pp && pp->mtu_seen);

		if (!has_any || is_known > has_known || (is_known == has_known && own < mtu))
			mtu = own;
		has_any = true;
		has_known |= is_known;
	}
	return mtu;
}

uint32_t shape_mtu(const struct plane_shape *s, port_id id)
{
	const struct port_config *c = &s->model.port[id];
	const struct plane_port *pp = s->port[id];
	uint32_t mtu;

	if (c->mtu)
		return c->mtu;
	if (c->role != FWD_STATION)
		return wire_mtu(c, pp);
	mtu = uplinks_mtu(s, c->bridge);
	/* The device of a packet port is the host's: its MTU is not ours to raise. */
	if (pp && pp->mtu_seen && pp->mtu_seen < mtu)
		mtu = pp->mtu_seen;
	return mtu;
}

/* ---- owners ---- */

vid_t shape_owner_vid(const struct plane_shape *s, port_id id)
{
	const struct port_config *c = &s->model.port[id];
	const struct plane_port *pp = s->port[id];

	if (c->has_trunk)
		return VID_NONE;
	return pp && c->vsi.is_set && pp->vsi.vid ? pp->vsi.vid : c->vlan;
}

uint32_t shape_learn_room(const struct port_config *c, uint32_t n_learned)
{
	uint32_t room = c->maclimit;

	if (c->role == FWD_UPLINK)
		return 0;
	if (c->role == FWD_RELAY_PORT)
		room = c->maclimit ? c->maclimit : LEARN_ROOM_MAX;
	else if (!c->macs.n && c->kind != KIND_HOST) /* its first source is its own */
		room++;
	return room > n_learned ? room - n_learned : 0;
}

static vid_t native_vid(const struct port_config *c)
{
	return c->has_trunk || c->role == FWD_UPLINK ? c->native : c->vlan;
}

static bool has_mac(const struct mac_list *list, struct mac mac)
{
	for (uint16_t i = 0; i < list->n; i++)
		if (mac_equal(list->mac[i], mac))
			return true;
	return false;
}

static uint32_t add_port_macs(const struct plane_shape *s, port_id id, struct owner *to)
{
	const struct port_config *c = &s->model.port[id];
	struct mac host = c->kind == KIND_HOST ? shape_host_address(s, id) : (struct mac){ { 0 } };
	bool is_relay = c->role == FWD_RELAY_PORT;
	vid_t vid = is_relay ? native_vid(c) : shape_owner_vid(s, id);
	uint32_t n = 0;

	if (c->role == FWD_UPLINK || (is_relay && vid == VID_NONE))
		return 0;
	for (; n < c->macs.n; n++)
		to[n] = (struct owner){ .mac = c->macs.mac[n],
					.port = id,
					.fid = owners_fid(c->bridge, is_relay ? vid : VID_NONE),
					.vid = vid,
					.flags = OWNER_STATIC };
	if (!mac_is_zero(host) && !has_mac(&c->macs, host))
		to[n++] = (struct owner){ .mac = host,
					  .port = id,
					  .fid = owners_fid(c->bridge, VID_NONE),
					  .vid = vid,
					  .flags = OWNER_STATIC };
	return n;
}

struct owner *shape_provisioned(const struct plane_shape *s, uint32_t *n)
{
	const struct model *m = &s->model;
	const struct port_config *c;
	size_t max = m->n_fdb + s->gates->n_entries;
	struct gates_out gated;
	struct owner *to;
	uint32_t used = 0;

	for (uint32_t i = 0; i < m->n_ports; i++)
		max += (c = shape_config(s, i)) ? c->macs.n + (c->kind == KIND_HOST) : 0;
	to = malloc((max + 1) * sizeof(*to));
	gated = (struct gates_out){ .pair = to };
	if (!to)
		return NULL;
	shape_gate_owners(s, &gated);
	used = gated.n_pairs;
	for (uint32_t i = 0; i < m->n_ports; i++) {
		c = shape_config(s, i);
		if (c && !c->standby)
			used += add_port_macs(s, (port_id)i, to + used);
	}
	for (uint32_t i = 0; i < m->n_fdb; i++) {
		const struct fdb_config *f = &m->fdb[i];

		to[used++] = (struct owner){ .mac = f->mac,
					     .port = f->port,
					     .fid = owners_fid(f->bridge, f->vid),
					     .vid = f->vid,
					     .flags = OWNER_STATIC };
	}
	*n = used;
	return to;
}

/* Provisioned and learned ones together. */
static struct owner *all_owners(const struct plane_shape *s, struct learn *learned, uint32_t *n)
{
	uint32_t n_learned = learn_size(learned), used;
	struct owner *to = shape_provisioned(s, &used), *more;

	if (!to)
		return NULL;
	more = realloc(to, (used + (size_t)n_learned + 1) * sizeof(*to));
	if (!more) {
		free(to);
		return NULL;
	}
	for (uint32_t i = 0; i < n_learned; i++) {
		const struct learned *l = learn_at(learned, i);
		const struct port_config *c = shape_config(s, l->port);

		if (!c || c->standby)
			continue;
		more[used++] = (struct owner){ .mac = l->mac,
					       .port = l->port,
					       .fid = l->fid,
					       .vid = l->vid,
					       .flags = OWNER_LEARNED };
	}
	*n = used;
	return more;
}

/* Source-mode lists. */
static struct owner *all_listed(const struct plane_shape *s, uint32_t *n)
{
	const struct port_config *c;
	struct owner *to;
	size_t max = 0;
	uint32_t used = 0;

	for (uint32_t i = 0; i < s->model.n_ports; i++)
		max += (c = shape_config(s, i)) ? c->source.n : 0;
	to = malloc((max + 1) * sizeof(*to));
	for (uint32_t i = 0; to && i < s->model.n_ports; i++) {
		c = shape_config(s, i);
		if (!c || c->mode != FWD_SOURCE || c->role != FWD_STATION)
			continue;
		for (unsigned k = 0; k < c->source.n; k++)
			to[used++] = (struct owner){ .mac = c->source.mac[k],
						     .port = (port_id)i,
						     .fid = owners_fid(c->bridge, VID_NONE),
						     .vid = shape_owner_vid(s, (port_id)i),
						     .flags = OWNER_STATIC };
	}
	*n = used;
	return to;
}

/* ---- the view ---- */

static uint16_t view_flags(const struct plane_shape *s, port_id id)
{
	const struct port_config *c = &s->model.port[id];
	const struct plane_port *pp = s->port[id];
	bool is_trunk = c->has_trunk || c->role == FWD_UPLINK;
	bool is_up = shape_is_up(c, pp) && (c->kind != KIND_HOST || plane_host_is_up(s, id));
	bool is_backup = c->role == FWD_UPLINK && s->uplink[c->bridge] != id;

	return (uint16_t)((c->standby ? VIEW_STANDBY : 0) | (c->spoof_guard ? VIEW_GUARD : 0) |
			  (c->promisc ? VIEW_PROMISC : 0) |
			  (shape_reflects(s, id) ? VIEW_REFLECT : 0) | (c->nodst ? VIEW_NODST : 0) |
			  (is_up ? VIEW_UP : 0) | (shape_has_agents(c) ? VIEW_PUNTS : 0) |
			  (is_trunk ? VIEW_TRUNK : 0) | (c->maclimit ? VIEW_HAS_MACLIMIT : 0) |
			  (is_backup ? VIEW_BACKUP : 0));
}

/* Only what is associated passes at the port: `vlans` is where its VLANs come to be. */
static void close_port(const struct plane_shape *s, port_id id, struct view_port *v,
		       struct vlan_set *vlans)
{
	bool any = gates_vlans(s->gates, id, vlans);

	for (size_t i = 0; v->vlans && i < ARRAY_SIZE(vlans->w); i++)
		vlans->w[i] &= v->vlans->w[i];
	if (v->pvid != VID_NONE && !vlan_set_has(vlans, v->pvid))
		v->pvid = VID_NONE;
	if (v->vlans)
		v->vlans = vlans;
	if (!any)
		v->learn_room = 0;
	v->flags |= VIEW_VDP | (any ? VIEW_VDP_ANY : 0);
}

/* The limits of a port; returns the VIEW_METERED_* flags they make. */
static uint16_t view_limits(const struct plane_shape *s, port_id id, struct meter_limits *to)
{
	const struct port_config *c = &s->model.port[id];

	if (c->vdp)
		to->set = gates_metered(s->gates, id);
	for (unsigned i = 0; i < METERS_N; i++) {
		uint64_t burst = i == METER_RATE_IN  ? c->burst_in :
				 i == METER_RATE_OUT ? c->burst_out :
						       0;

		if (!c->limit[i])
			continue;
		to->set |= 1u << i;
		to->of[i] = meter_limit_of((enum meter_id)i, c->limit[i], burst);
	}
	return (uint16_t)((to->set & (METERS_IN | METERS_STORM | METERS_VSI_IN) ? VIEW_METERED_IN :
										  0) |
			  (to->set & (METERS_OUT | METERS_VSI_OUT) ? VIEW_METERED_OUT : 0));
}

static struct view_port view_port_of(const struct plane_shape *s, port_id id, uint32_t n_learned)
{
	const struct port_config *c = &s->model.port[id];
	struct port *port = s->port[id]->device.port;
	uint32_t room = shape_learn_room(c, n_learned);
	struct view_port v;

	v = (struct view_port){
		.port = port,
		.vlans = c->has_trunk ? &c->trunk : NULL,
		.size_max = shape_mtu(s, id) + ETH_HEADER_SIZE,
		.bridge = c->bridge,
		.pvid = native_vid(c),
		.reserved = c->reserved,
		.learn_room = (uint16_t)(room < LEARN_ROOM_MAX ? room : LEARN_ROOM_MAX),
		.role = c->role,
		.mode = shape_mode(s, c),
		.pcp = c->pcp,
		.flags = view_flags(s, id),
		.offload = c->offload ? port->offload : 0,
	};
	if (c->role != FWD_STATION)
		v.svid = shape_svid(c, s->port[id]);
	if (c->role == FWD_STATION && !c->has_trunk)
		v.pvid = shape_owner_vid(s, id);
	if (c->vsi.is_set && !s->port[id]->vsi.is_open)
		v.mode = FWD_GATED;
	return v;
}

/* Room for the VLANs of the ports under VDP control; NULL without memory. */
static struct vlan_set *new_vlans(const struct model *m)
{
	size_t n = 0;

	for (uint32_t i = 0; i < m->n_ports; i++)
		n += m->port[i].name[0] && m->port[i].vdp;
	return calloc(n + 1, sizeof(struct vlan_set));
}

/* What struct view_spec has as `any` and `vsi`, to be freed; false without memory. */
static bool all_gated(const struct plane_shape *s, struct gates_out *out)
{
	size_t max = s->gates->n_entries + 1;

	*out = (struct gates_out){ .any = malloc(max * sizeof(*out->any)),
				   .vsi = malloc(max * sizeof(*out->vsi)) };
	if (!out->any || !out->vsi)
		return false;
	shape_gate_owners(s, out);
	return true;
}

/* The ports and their limits; true if there are any limits. */
static bool fill_ports(const struct plane_shape *s, struct learn *learned, struct view_port *port,
		       struct meter_limits *limit, struct vlan_set *vlans)
{
	unsigned metered = 0;

	for (uint32_t i = 0; i < s->model.n_ports; i++) {
		if (!shape_config(s, i) || !s->port[i])
			continue;
		port[i] = view_port_of(s, (port_id)i, learn_count(learned, (port_id)i));
		port[i].flags |= view_limits(s, (port_id)i, &limit[i]);
		if (s->model.port[i].vdp)
			close_port(s, (port_id)i, &port[i], vlans++);
		metered |= limit[i].set;
	}
	return metered != 0;
}

struct fwd_view *shape_view(const struct plane *p, const struct plane_shape *s, uint64_t generation)
{
	const struct model *m = &s->model;
	struct view_port *port = calloc(m->n_ports + 1, sizeof(*port));
	struct meter_limits *limit = calloc(m->n_ports + 1, sizeof(*limit));
	struct mac *peer = calloc(m->n_ports + 1, sizeof(*peer));
	bool *is_learning = calloc(m->n_bridges + 1, sizeof(*is_learning));
	port_id *host = calloc(m->n_bridges + 1, sizeof(*host));
	bool *snoops = calloc(m->n_bridges + 1, sizeof(*snoops));
	struct view_spec spec = { .generation = generation,
				  .seed = p->seed,
				  .n_ports = m->n_ports,
				  .n_bridges = m->n_bridges,
				  .port = port,
				  .peer = peer,
				  .bridge_is_learning = is_learning,
				  .host = host,
				  .bridge_snoops = snoops };
	struct owner *owner = all_owners(s, p->learn, &spec.n_owners);
	struct owner *listed = all_listed(s, &spec.n_listed);
	struct owner *group = plane_groups_owners(p, s, &spec.n_groups);
	struct gates_out gated;
	bool has_gated = all_gated(s, &gated);
	struct vlan_set *vlans = new_vlans(m);
	struct fwd_view *v = NULL;

	for (uint32_t i = 0; peer && i < m->n_ports; i++) {
		if (s->port[i])
			peer[i] = s->port[i]->peer;
	}
	if (port && limit && peer && is_learning && host && snoops && owner && listed && group &&
	    has_gated && vlans) {
		if (fill_ports(s, p->learn, port, limit, vlans))
			spec.limit = limit;
		for (uint32_t b = 0; b < m->n_bridges; b++) {
			is_learning[b] = m->bridge[b].is_learning;
			host[b] = model_host(m, (bridge_id)b);
			snoops[b] = m->bridge[b].snooping;
		}
		spec.owner = owner;
		spec.listed = listed;
		spec.group = group;
		spec.any = gated.any;
		spec.n_any = gated.n_any;
		spec.vsi = gated.vsi;
		spec.n_vsis = gated.n_vsis;
		v = view_build(&spec);
	}
	free(port);
	free(limit);
	free(peer);
	free(is_learning);
	free(host);
	free(snoops);
	free(owner);
	free(listed);
	free(group);
	free(gated.any);
	free(gated.vsi);
	free(vlans);
	return v;
}

/* ---- what devices listen to ---- */

/* What the stations of each bridge want of the device of its uplink. */
static void survey_wants(const struct plane_shape *s, enum xdp_wants *wants)
{
	for (uint32_t i = 0; i < s->model.n_ports; i++) {
		const struct port_config *c = shape_config(s, i);

		if (!c || c->role != FWD_STATION || c->standby)
			continue;
		if (c->mode == FWD_PASSTHRU)
			wants[c->bridge] = XDP_WANTS_ALL;
		else if (wants[c->bridge] == XDP_WANTS_OWNED &&
			 (c->promisc || c->mode == FWD_SOURCE))
			wants[c->bridge] = XDP_WANTS_COPIES;
	}
}

/* An owner whose frames are not the host's anyway. */
static bool is_listened_to(const struct owner *o, const struct plane_shape *s)
{
	return o->port != PORT_NONE && o->fid >> 12 < s->model.n_bridges &&
	       s->model.port[o->port].kind != KIND_HOST;
}

/* Sort the owners by bridge: those of bridge b are mac[start[b]]..mac[start[b + 1] - 1]. */
static struct mac *macs_by_bridge(const struct plane_shape *s, const struct owners *o,
				  uint32_t *start)
{
	struct mac *mac = malloc((o->n + (size_t)1) * sizeof(*mac));
	uint32_t n = s->model.n_bridges;

	if (!mac)
		return NULL;
	for (uint32_t i = 0; i <= o->mask; i++)
		if (is_listened_to(&o->slot[i], s))
			start[(o->slot[i].fid >> 12) + 2]++;
	for (uint32_t b = 2; b < n + 2; b++)
		start[b] += start[b - 1];
	for (uint32_t i = 0; i <= o->mask; i++)
		if (is_listened_to(&o->slot[i], s))
			mac[start[(o->slot[i].fid >> 12) + 1]++] = o->slot[i].mac;
	return mac;
}

/* Do ports share a device anywhere? Mostly not, and then nobody has to look for whom. */
static bool has_stags(const struct model *m)
{
	uint32_t i = 0;

	while (i < m->n_ports && m->port[i].svlan == VID_NONE && !m->port[i].channel &&
	       !m->port[i].cdcp)
		i++;
	return i < m->n_ports;
}

/*
 * Have a packet port hear its S-channel only. Alone on its device it hears all, so that frames with
 * a wrong S-tag are counted.
 */
static int set_stag(const struct plane_shape *s, port_id id, bool may_share)
{
	const struct port_config *c = &s->model.port[id];
	const struct plane_port *pp = s->port[id];
	vid_t svid = shape_svid(c, pp);
	enum packet_stag stag = svid != VID_NONE ? PACKET_STAG_ONE :
				c->channel	 ? PACKET_STAG_DEAF :
						   PACKET_STAG_NONE;

	if (!may_share || !model_shares_device(&s->model, id))
		stag = PACKET_STAG_ANY;
	if (s->model.bridge[c->bridge].is_kernel)
		stag = PACKET_CONTROL;
	return packet_port_set_stag(xdp_port_rest(pp->device.port), stag, svid);
}

void shape_listen(const struct plane_shape *s, const struct fwd_view *v, const struct log *log)
{
	uint32_t *start = calloc(s->model.n_bridges + (size_t)3, sizeof(*start));
	enum xdp_wants *wants = calloc(s->model.n_bridges + (size_t)1, sizeof(*wants));
	struct mac *mac = start ? macs_by_bridge(s, v->owners, start) : NULL;
	bool may_share = has_stags(&s->model);

	if (wants && mac)
		survey_wants(s, wants);
	for (uint32_t i = 0; wants && mac && i < s->model.n_ports; i++) {
		const struct port_config *c = shape_config(s, i);
		int err, stag;

		if (!c || c->kind != KIND_PACKET || !s->port[i]->is_open)
			continue;
		stag = set_stag(s, (port_id)i, may_share);
		/* Only an uplink shares its device with the host; the others are all ours. */
		if (c->role == FWD_UPLINK)
			err = xdp_port_listen(s->port[i]->device.port, mac + start[c->bridge],
					      start[c->bridge + 1] - start[c->bridge],
					      wants[c->bridge]);
		else
			err = xdp_port_listen(s->port[i]->device.port, NULL, 0,
					      s->model.bridge[c->bridge].is_kernel ?
						      XDP_WANTS_OWNED :
						      XDP_WANTS_ALL);
		if (stag)
			log_warning(log, "%s: frames with other S-tags of %s are heard, too: %s",
				    c->name, c->dev, strerror(-stag));
		if (err)
			log_warning(log, "%s: device %s cannot listen to all addresses: %s",
				    c->name, c->dev, strerror(-err));
	}
	free(start);
	free(wants);
	free(mac);
}
