// SPDX-License-Identifier: Apache-2.0
/*
 * S-channels: a port has the S-tag that CDCP gives to its channel, and is up while it has one. The
 * machine is an agent's of the wire, that is of the port on the default channel.
 */
#include <stdio.h>

#include "plane_internal.h"

/* What the machine of the wire has for channel `scid`; NULL: it is not on its list. */
static const struct cdcp_channel *find(const struct cdcp *c, uint16_t scid)
{
	for (uint16_t i = 0; c && i < c->n_channels; i++) {
		if (c->channel[i].scid == scid)
			return &c->channel[i];
	}
	return NULL;
}

static const struct cdcp *machine_of(const struct plane *p, const struct plane_shape *s, port_id id)
{
	port_id wire = model_wire(&s->model, id);

	return wire == PORT_NONE ? NULL : agents_cdcp(p->agents, wire);
}

static void set_svid(struct plane *p, port_id id, vid_t svid)
{
	const struct port_config *c = &p->shape.model.port[id];

	if (p->shape.port[id]->svid == svid)
		return;
	p->shape.port[id]->svid = svid;
	if (svid != VID_NONE)
		log_info(p->log, "%s: channel %u of %s has S-VLAN %u", c->name, c->channel, c->dev,
			 svid);
	event_channel(p->events, c->name, c->dev, c->channel, svid);
	if (!plane_view_now(p))
		plane_view_soon(p);
	plane_port_tell(p, id);
}

void plane_channels_settle(struct plane *p)
{
	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		const struct port_config *c = shape_config(&p->shape, i);
		const struct cdcp_channel *ch;
		vid_t svid;

		if (!c || !p->shape.port[i] || (!c->channel && !p->shape.port[i]->svid))
			continue;
		ch = c->channel ? find(machine_of(p, &p->shape, (port_id)i), c->channel) : NULL;
		svid = ch ? ch->svid : VID_NONE;
		/* Another tag is another channel: whoever speaks there starts anew. */
		if (svid != VID_NONE && p->shape.port[i]->svid != svid)
			set_svid(p, (port_id)i, VID_NONE);
		set_svid(p, (port_id)i, svid);
	}
}

void plane_on_channel_timer(void *aux)
{
	plane_channels_settle(aux);
}

#define SAY(field, ...) snprintf(out->field, sizeof(out->field), __VA_ARGS__)

/* Why the wire gives no tag to anybody. */
static void wire_state(const struct port_config *wire, const struct cdcp *m,
		       struct plane_status *out)
{
	bool is_alike = m && m->stats.wrong_role && m->remote.role == m->config.role;

	if (is_alike)
		SAY(reason, "the other end of %s is a %s of S-channels, too", wire->dev,
		    m->config.role == CDCP_STATION ? "station" : "bridge");
	else
		SAY(reason, "the other end of %s says nothing of S-channels", wire->dev);
	SAY(hint, "%s",
	    is_alike ? "an uplink of an edge bridge asks for channels, a port of a learning bridge "
		       "gives them" :
		       "let it speak CDCP, and see: evb channel show");
}

void plane_channel_state(const struct plane_shape *s, port_id id, struct plane_status *out)
{
	const struct port_config *c = &s->model.port[id];
	port_id wire = model_wire(&s->model, id);
	const struct cdcp *m = machine_of(s->port[id]->plane, s, id);
	const struct cdcp_channel *ch = find(m, c->channel);

	if (s->port[id]->svid != VID_NONE)
		return;
	out->operstate = PLANE_LOWERLAYERDOWN;
	if (wire == PORT_NONE) {
		SAY(reason, "no port speaks of the S-channels of %s with the other end", c->dev);
		SAY(hint, "say it of the port on the default channel: evb port set PORT cdcp on");
	} else if (!m || !m->has_peer) {
		wire_state(&s->model.port[wire], m, out);
	} else if (m->config.role == CDCP_STATION) {
		SAY(reason, "the bridge at the other end of %s has no S-VLAN for channel %u",
		    c->dev, c->channel);
		SAY(hint, ch ? "let it have a port for the channel, and S-VLANs enough" :
			       "it has room for fewer channels: evb channel show");
	} else if (ch) {
		SAY(reason, "no S-VLAN is left for channel %u of %s", c->channel, c->dev);
		SAY(hint, "let it have more: evb port set %s svid-pool LOW-HIGH",
		    s->model.port[wire].name);
	} else {
		SAY(reason, "the station at the other end of %s does not ask for channel %u",
		    c->dev, c->channel);
		SAY(hint, "the port comes up when it does");
	}
}

void shape_cdcp(const struct plane_shape *s, port_id wire, struct cdcp_config *to)
{
	const struct port_config *c = &s->model.port[wire];

	to->role = c->role == FWD_UPLINK ? CDCP_STATION : CDCP_BRIDGE;
	to->s_component = true;
	to->n_wanted = model_channels(&s->model, wire, to->wanted, ARRAY_SIZE(to->wanted));
	to->capacity = to->n_wanted ? CDCP_CHANNELS_MAX : 1;
	to->svid_low = c->svid_low;
	to->svid_high = c->svid_high;
}
