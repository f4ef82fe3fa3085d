// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "nic.h"
#include "plane_internal.h"

void plane_follow_mtu(struct plane *p, bridge_id b)
{
	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		const struct port_config *c = shape_config(&p->shape, i);
		const struct plane_port *pp = p->shape.port[i];
		uint32_t before;
		int err;

		if (!c || !pp || c->bridge != b || c->role != FWD_STATION)
			continue;
		before = pp->device.mtu;
		err = plane_port_sync_mtu(&p->shape, (port_id)i);
		if (err) {
			log_warning(p->log, "%s: cannot set the MTU of %s: %s", c->name, c->dev,
				    strerror(-err));
		} else if (pp->device.mtu != before) {
			log_info(p->log, "%s: MTU is %u, as on the uplink", c->name,
				 pp->device.mtu);
			event_port(p->events, c->name, p->shape.model.bridge[b].name, "set");
		}
	}
}

/* The device has another name now: so has the configuration, or a restart would lose it. */
static void follow_name(struct plane *p, struct port_config *c, struct plane_port *pp,
			const struct link_info *link)
{
	if (!strcmp(c->dev, link->name))
		return;
	log_info(p->log, "%s: device %s is now called %s", c->name, c->dev, link->name);
	memcpy(c->dev, link->name, sizeof(c->dev));
	memcpy(pp->device.dev, link->name, sizeof(pp->device.dev));
	event_port(p->events, c->name, p->shape.model.bridge[c->bridge].name, "set");
}

/* Frames of the device may not fit the buffers of an XDP port any more: open it anew. */
static void refit_buffers(struct plane *p, port_id id)
{
	const struct plane_port *pp = p->shape.port[id];
	struct xdp_info x;
	struct err why;

	if (!xdp_port_info(pp->device.port, &x) || pp->mtu_seen <= x.mtu_max)
		return;
	err_set(&why, EMSGSIZE, "device %s has a larger MTU now", pp->device.dev);
	plane_port_lose(p, id, WAIT_RETRY, &why);
	plane_port_retry(p, id);
}

static void take_link(struct plane *p, port_id id, const struct link_info *link)
{
	struct port_config *c = &p->shape.model.port[id];
	struct plane_port *pp = p->shape.port[id];
	bool was_up = shape_is_up(c, pp);

	follow_name(p, c, pp, link);
	pp->link = *link;
	pp->device.address = link->mac;
	if (c->role == FWD_UPLINK)
		pp->hwmode = (uint8_t)nic_get_hwmode(link->ifindex);
	/* Another wire may have to take over, and every frame until then is lost. */
	if (c->role == FWD_UPLINK && was_up != shape_is_up(c, pp))
		plane_view_now(p);
	if (c->kind == KIND_PACKET && pp->mtu_seen != link->mtu) {
		pp->device.mtu = pp->mtu_seen = link->mtu;
		if (c->role == FWD_UPLINK)
			plane_follow_mtu(p, c->bridge);
		refit_buffers(p, id);
	}
	plane_port_tell(p, id);
	if (c->role == FWD_UPLINK)
		plane_host_follow(p, id);
	plane_view_soon(p);
}

/*
 * The report may be older than what we know: the device was looked at when it was opened, and its
 * changes until then are still in the queue. So look again.
 */
static void device_changed(struct plane *p, port_id id, int ifindex)
{
	struct link_info link;

	if (netlink_link_get_index(ifindex, &link) == 0) /* else it went: that report follows */
		take_link(p, id, &link);
}

void plane_look(struct plane *p, port_id id)
{
	const struct plane_port *pp = p->shape.port[id];
	struct link_info link;

	if (pp->is_open && shape_has_link(&p->shape.model.port[id]) &&
	    netlink_link_get_index(pp->device.ifindex, &link) == 0 && !link_equal(&link, &pp->link))
		take_link(p, id, &link);
}

static void device_gone(struct plane *p, port_id id)
{
	const struct port_config *c = &p->shape.model.port[id];
	struct err why;

	err_set(&why, ENODEV, "device %s does not exist (it was removed)", c->dev);
	if (c->kind == KIND_PACKET) {
		err_hint(&why, "the port comes up again when the device does");
		plane_port_lose(p, id, WAIT_LINK, &why);
	} else {
		err_hint(&why, "evbd makes it again");
		plane_port_lose(p, id, WAIT_RETRY, &why);
	}
}

void plane_nic_changed(struct plane *p, const char *dev)
{
	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		const struct port_config *c = shape_config(&p->shape, i);
		struct plane_port *pp = c ? p->shape.port[i] : NULL;

		if (!pp || !pp->is_open || c->role != FWD_UPLINK || !shape_has_link(c) ||
		    strcmp(c->dev, dev) != 0)
			continue;
		pp->hwmode = (uint8_t)nic_get_hwmode(pp->device.ifindex);
		plane_port_tell(p, (port_id)i);
	}
}

void plane_on_link(void *aux, const struct link_info *link, const struct link_info *before)
{
	struct plane *p = aux;

	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		const struct port_config *c = shape_config(&p->shape, i);
		struct plane_port *pp = c ? p->shape.port[i] : NULL;

		if (!pp || !shape_has_link(c))
			continue;
		if (pp->is_open && pp->device.ifindex == link->ifindex) {
			if (link->deleted)
				device_gone(p, (port_id)i);
			else
				device_changed(p, (port_id)i, link->ifindex);
		} else if (!pp->is_open && !link->deleted && !strcmp(c->dev, link->name)) {
			plane_port_retry(p, (port_id)i);
		}
	}
}

void plane_on_netlink(void *aux, uint32_t events)
{
	struct plane *p = aux;
	int err = netlink_read(p->netlink);

	if (err)
		log_warning(p->log, "cannot read what became of network devices: %s",
			    strerror(-err));
}
