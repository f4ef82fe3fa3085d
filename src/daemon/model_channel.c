// SPDX-License-Identifier: Apache-2.0
/* S-channels: several ports on one device, each with the frames of one S-tag, or of none. */
#include "model_internal.h"

#include <errno.h>
#include <string.h>

/* The next port on the device of `id` after `at` (-1: the first) but itself, or PORT_NONE. */
static port_id next_on_device(const struct model *m, port_id id, int at)
{
	const struct port_config *p = &m->port[id];

	for (uint32_t i = (uint32_t)(at + 1); i < m->n_ports && p->kind == KIND_PACKET; i++) {
		const struct port_config *q = &m->port[i];

		if (i != id && q->name[0] && q->kind == KIND_PACKET && !strcmp(p->dev, q->dev))
			return (port_id)i;
	}
	return PORT_NONE;
}

static bool has_stag(const struct port_config *p)
{
	return p->channel || p->svlan != VID_NONE;
}

bool model_shares_device(const struct model *m, port_id id)
{
	const struct port_config *p = &m->port[id];

	if (p->channel || p->cdcp)
		return true;
	for (port_id i = next_on_device(m, id, -1); i != PORT_NONE; i = next_on_device(m, id, i)) {
		if (has_stag(p) || has_stag(&m->port[i]))
			return true;
	}
	return false;
}

port_id model_wire(const struct model *m, port_id id)
{
	port_id i = m->port[id].cdcp ? id : next_on_device(m, id, -1);

	while (i != PORT_NONE && !m->port[i].cdcp)
		i = next_on_device(m, id, i);
	return i;
}

port_id model_channel(const struct model *m, port_id wire, uint16_t scid)
{
	port_id i = next_on_device(m, wire, -1);

	while (i != PORT_NONE && m->port[i].channel != scid)
		i = next_on_device(m, wire, i);
	return i;
}

uint16_t model_channels(const struct model *m, port_id wire, uint16_t *scid, uint16_t max)
{
	uint16_t n = 0;

	for (port_id i = next_on_device(m, wire, -1); i != PORT_NONE && n < max;
	     i = next_on_device(m, wire, i)) {
		if (m->port[i].channel)
			scid[n++] = m->port[i].channel;
	}
	return n;
}

static int check_fields(const struct port_config *p, struct err *e)
{
	const char *field = p->channel ? "channel" : "cdcp";

	if (!p->channel && !p->cdcp)
		return 0;
	if (p->kind != KIND_PACKET || p->driver == DRIVER_XDP) {
		err_set(e, EINVAL, "%s: %s is for packet ports, and this is %s %s", p->name, field,
			p->kind == KIND_PACKET ? "an" : "a", model_port_kind(p));
		return err_hint(e, "S-channels share a device by packet sockets: say packet DEV");
	}
	if (p->svlan != VID_NONE) {
		err_set(e, EINVAL, "%s: svlan does not go with %s", p->name, field);
		return err_hint(e, "with CDCP both ends agree on S-tags: say svlan none");
	}
	if (p->channel && p->cdcp) {
		err_set(e, EINVAL, "%s: cdcp is for the port on the default channel", p->name);
		return err_hint(e, "channel %u is one of those that it asks for", p->channel);
	}
	return 0;
}

/* Ports `p` and `q` on one device. */
static int check_pair(const struct port_config *p, const struct port_config *q, struct err *e)
{
	bool by_cdcp = p->channel || p->cdcp || q->channel || q->cdcp;

	if (p->driver == DRIVER_XDP || q->driver == DRIVER_XDP) {
		err_set(e, EBUSY, "%s: %s is used by port %s, and one of them by XDP", p->name,
			p->dev, q->name);
		return err_hint(e,
				"ports with S-tags share a device by packet sockets: say "
				"packet %s for both",
				p->dev);
	}
	if (by_cdcp && (p->svlan != VID_NONE || q->svlan != VID_NONE)) {
		err_set(e, EINVAL,
			"%s: the S-tags of %s are fixed by svlan or given by CDCP, "
			"and port %s has them the other way",
			p->name, p->dev, q->name);
		return err_hint(e, "use either svlan or channel for all ports of a device");
	}
	if (p->cdcp && q->cdcp) {
		err_set(e, EEXIST, "%s: port %s has cdcp on device %s", p->name, q->name, p->dev);
		return err_hint(e, "one is enough: say cdcp off for either");
	}
	if (p->channel != q->channel || p->svlan != q->svlan)
		return 0;
	if (p->channel)
		err_set(e, EEXIST, "%s: channel %u of %s is port %s", p->name, p->channel, p->dev,
			q->name);
	else if (p->svlan != VID_NONE)
		err_set(e, EEXIST, "%s: S-VLAN %u of %s is port %s", p->name, p->svlan, p->dev,
			q->name);
	else if (by_cdcp)
		err_set(e, EEXIST, "%s: the default channel of %s is port %s", p->name, p->dev,
			q->name);
	else
		return 0;
	return err_hint(e, "a channel has one port: choose another channel N");
}

int model_check_channel(const struct model *m, port_id id, struct err *e)
{
	const struct port_config *p = &m->port[id];
	int err = check_fields(p, e);

	for (port_id i = next_on_device(m, id, -1); !err && i != PORT_NONE;
	     i = next_on_device(m, id, i)) {
		const struct port_config *q = &m->port[i];

		if (has_stag(p) || has_stag(q) || p->cdcp || q->cdcp)
			err = check_pair(p, q, e);
	}
	return err;
}
