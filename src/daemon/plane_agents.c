// SPDX-License-Identifier: Apache-2.0
/*
 * Ports that speak LLDP and EVB: which agents the model asks for, what becomes of frames for them,
 * and what follows for the relay from what they agree upon with the other end.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "plane_internal.h"

/* ---- what the model asks for ---- */

/* Is there a station whose frames are to go by the wire and back? */
static bool wants_reflection(const struct model *m, bridge_id b)
{
	for (uint32_t i = 0; i < m->n_ports; i++) {
		const struct port_config *c = &m->port[i];

		if (c->name[0] && c->bridge == b && c->role == FWD_STATION && c->mode == FWD_VEPA)
			return true;
	}
	return false;
}

/*
 * A locally administered address for a port whose device has none of its own (that of a tap is the
 * guest's, which may run LLDP too): the same on each start.
 */
static struct mac made_up_mac(const char *port)
{
	char host[256] = "";
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	struct mac mac = { { 2 } };

	gethostname(host, sizeof(host) - 1);
	for (const char *s = host; *s; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	for (const char *s = port; *s; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	memcpy(mac.b + 1, &h, sizeof(mac.b) - 1);
	return mac;
}

static struct agent_config config_of(const struct plane_shape *s, port_id id, struct mac mac)
{
	static const enum evb_dialect dialects[] = { [EVB_SPEECH_AUTO] = EVB_AUTO,
						     [EVB_SPEECH_RATIFIED] = EVB_RATIFIED_ONLY,
						     [EVB_SPEECH_DRAFT] = EVB_DRAFT_ONLY };
	const struct port_config *p = &s->model.port[id];
	bool is_station = p->role == FWD_UPLINK;
	struct agent_config c = agent_config_default(is_station ? EVB_STATION : EVB_BRIDGE);

	c.has_evb = p->evb != EVB_SPEECH_OFF;
	c.dialect = (uint8_t)dialects[p->evb];
	c.scopes = p->lldp;
	c.values = (struct evb_values){ p->evb_retries, p->evb_rte, p->evb_rwd, p->evb_rka };
	c.cap = p->evb_max;
	c.interval_s = p->lldp_interval;
	c.hold = p->lldp_hold;
	c.has_cdcp = p->cdcp;
	if (p->cdcp)
		shape_cdcp(s, id, &c.cdcp);
	c.reflective_relay =
		is_station ? wants_reflection(&s->model, p->bridge) : p->reflective_relay;
	c.mac = mac_is_zero(mac) || p->kind == KIND_TAP ? made_up_mac(p->name) : mac;
	memcpy(c.port, p->dev[0] ? p->dev : p->name, p->dev[0] ? sizeof(p->dev) : sizeof(p->name));
	return c;
}

bool shape_has_agents(const struct port_config *c)
{
	return c->evb != EVB_SPEECH_OFF || c->lldp || c->cdcp;
}

/* ---- what follows for the relay ---- */

static const struct evb *evb_of(const struct plane *p, port_id id)
{
	const struct evb_link *l = agents_evb(p->agents, id);

	return l ? &l->evb : NULL;
}

bool shape_reflects(const struct plane_shape *s, port_id id)
{
	const struct port_config *c = &s->model.port[id];
	const struct evb *e = evb_of(s->port[id]->plane, id);

	if (c->evb == EVB_SPEECH_OFF)
		return c->reflective_relay;
	return c->reflective_relay && e && e->wants_reflect;
}

enum plane_reflection shape_reflection(const struct plane_shape *s, bridge_id b)
{
	port_id uplink = s->uplink[b] != PORT_NONE ? s->uplink[b] : s->first_uplink[b];
	const struct evb *e;

	if (uplink == PORT_NONE || s->model.port[uplink].evb == EVB_SPEECH_OFF || !s->port[uplink])
		return PLANE_RR_UNASKED;
	e = evb_of(s->port[uplink]->plane, uplink);
	if (!e || !e->has_peer)
		return PLANE_RR_UNKNOWN;
	return e->status == EVB_RR_ON ? PLANE_RR_ON : PLANE_RR_OFF;
}

uint8_t shape_mode(const struct plane_shape *s, const struct port_config *c)
{
	enum plane_reflection r;

	if (c->role != FWD_STATION || c->mode != FWD_VEPA || !s->model.bridge[c->bridge].falls_back)
		return c->mode;
	r = shape_reflection(s, c->bridge);
	return r == PLANE_RR_UNKNOWN || r == PLANE_RR_OFF ? FWD_BRIDGE : FWD_VEPA;
}

enum plane_reflection plane_bridge_reflection(const struct plane *p, bridge_id b)
{
	return p->shape.model.bridge[b].is_learning ? PLANE_RR_UNASKED :
						      shape_reflection(&p->shape, b);
}

const char *plane_reflection_name(enum plane_reflection r)
{
	static const char *const name[] = { "not negotiated", "unknown", "off", "on" };

	return name[r];
}

const struct agents *plane_agents(const struct plane *p)
{
	return p->agents;
}

/* Is the adjacent bridge able to, so that it will as soon as it has heard that it is asked? */
static bool can_reflect(const struct plane *p, bridge_id b)
{
	const struct evb *e = evb_of(p, p->shape.uplink[b]);

	return e && e->has_peer && e->generation == EVB_RATIFIED &&
	       e->remote.bridge & EVB_BRIDGE_RR_CAP;
}

void plane_tell_reflection(struct plane *p, bridge_id b)
{
	const struct bridge_config *c = &p->shape.model.bridge[b];
	enum plane_reflection now = shape_reflection(&p->shape, b);
	bool is_amiss = now != PLANE_RR_ON && now != PLANE_RR_UNASKED &&
			wants_reflection(&p->shape.model, b);
	struct plane_told *told = &p->reflection_told[b], was = *told;
	bool is_alarm;
	const char *what = "";

	if ((now == was.reflection && is_amiss == was.is_amiss) || p->is_closing)
		return;
	*told = (struct plane_told){ (uint8_t)now, is_amiss };
	if (now == PLANE_RR_UNASKED)
		return;
	/* At first nobody knows, and who can has not been asked in time: no alarm. */
	is_alarm = is_amiss && was.reflection != PLANE_RR_UNASKED && !can_reflect(p, b) &&
		   (was.reflection != now || now == PLANE_RR_OFF);
	if (is_amiss)
		what = c->falls_back ? ": vepa ports are switched locally until it does" :
				       ": vepa ports do not reach each other until it does";
	log_line(p->log, is_alarm ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		 "%s: reflective relay of the adjacent bridge: %s%s", c->name,
		 plane_reflection_name(now), what);
	event_evb(p->events, c->name, plane_reflection_name(now), is_amiss ? what + 2 : "");
	if (c->falls_back)
		plane_view_soon(p);
}

/* ---- hooks of agents ---- */

static void on_send(void *ctx, port_id id, const uint8_t *frame, size_t size)
{
	struct plane *p = ctx;

	plane_gate_flush(p);				 /* what the frame says is so */
	relay_send(p->relay, id, frame, (uint32_t)size); /* no room: LLDP and ECP say it again */
}

/*
 * The same by a Linux bridge. What was on before is somebody else's, and stays. False: it does not
 * reflect.
 */
static bool set_hairpin(struct plane *p, port_id id, bool on)
{
	struct plane_port *pp = p->shape.port[id];
	const struct guard_item item = { .kind = GUARD_HAIRPIN, .ifindex = pp->device.ifindex };
	const char *name = p->shape.model.port[id].name;
	bool is_on = false, is_guarded = pp->is_hairpin_ours;
	int err;

	if (!on) {
		if (pp->is_hairpin_ours) {
			netlink_link_set_hairpin(item.ifindex, false);
			if (p->guard)
				guard_forget(p->guard, &item);
		}
		pp->is_hairpin_ours = false;
		return true;
	}
	err = netlink_link_get_hairpin(item.ifindex, &is_on);
	if (!err && is_on)
		return true;
	if (!err && p->guard && !is_guarded) {
		err = guard_add(p->guard, &item);
		is_guarded = !err;
	}
	if (!err)
		err = netlink_link_set_hairpin(item.ifindex, true);
	pp->is_hairpin_ours = !err;
	if (err && p->guard && is_guarded)
		guard_forget(p->guard, &item);
	if (err)
		log_warning(p->log, "%s: %s cannot reflect: %s", name, pp->device.dev,
			    err == -EOPNOTSUPP ? "it is no port of a Linux bridge" :
						 strerror(-err));
	return !err;
}

static void tell_reflects(struct plane *p, port_id id, bool on)
{
	tstamp *logged = &p->shape.port[id]->reflection_logged, now = loop_now(p->loop);

	agents_reflects(p->agents, id, on);
	/* A station that cannot decide shall not fill the log. */
	log_line(p->log, now - *logged < NS_PER_S ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
		 "%s: %s reflective relay, as the station asks", p->shape.model.port[id].name,
		 on ? "begins" : "ends");
	*logged = now;
}

/* A device that left its Linux bridge does not reflect, nor by itself when it joins one. */
static void follow_hairpin(struct plane *p, port_id id)
{
	const struct evb *e = evb_of(p, id);
	bool on;

	if (!e || !e->wants_reflect ||
	    !p->shape.model.bridge[p->shape.model.port[id].bridge].is_kernel ||
	    (!e->reflects && !p->shape.port[id]->link.master))
		return;
	on = set_hairpin(p, id, true);
	if (on != e->reflects)
		tell_reflects(p, id, on);
}

static void on_reflect(void *ctx, port_id id, bool on)
{
	struct plane *p = ctx;
	bool done;

	if (p->shape.model.bridge[p->shape.model.port[id].bridge].is_kernel)
		done = set_hairpin(p, id, on);
	else if (p->is_closing)
		return;
	else
		done = plane_view_now(p);
	if (done || !on)
		tell_reflects(p, id, on);
}

/* The other end would have us wait longer than we may, or no longer. */
static void tell_capped(struct plane *p, port_id id)
{
	const struct evb *e = evb_of(p, id);
	bool is_capped = e && evb_is_capped(e);

	if (is_capped && !p->shape.port[id]->is_capped)
		log_warning(p->log,
			    "%s: the other end asks for timers of more than 10 us * 2^%u: evb "
			    "port set %s evb-max N",
			    p->shape.model.port[id].name, e->config.cap,
			    p->shape.model.port[id].name);
	p->shape.port[id]->is_capped = is_capped;
}

static void on_changed(void *ctx, port_id id)
{
	struct plane *p = ctx;

	event_evb_port(p->events, p->shape.model.port[id].name, evb_of(p, id));
	tell_capped(p, id);
	if (p->shape.model.port[id].role == FWD_UPLINK)
		plane_tell_reflection(p, p->shape.model.port[id].bridge);
	plane_vsi_kick(p, id);
}

/* Whose LLDP the port listens to: the address it comes from; all zero: nobody's. */
static struct mac peer_of(const struct plane *p, port_id id)
{
	const struct lldp_neighbour *n = NULL;

	for (unsigned s = LLDP_SCOPES_N; s-- > 0 && !n;) { /* that of EVB first, then of CDCP */
		const struct lldp *l = agents_lldp(p->agents, id, (enum lldp_scope)s);

		n = l ? lldp_peer(l) : NULL;
	}
	return n ? n->src : (struct mac){ { 0 } };
}

static void on_neighbour(void *ctx, port_id id, enum lldp_scope scope, enum lldp_event event,
			 const struct lldp_neighbour *n)
{
	struct plane *p = ctx;

	struct mac peer = peer_of(p, id);

	event_lldp(p->events, p->shape.model.port[id].name, scope, event, n);
	if (p->is_closing || mac_equal(peer, p->shape.port[id]->peer))
		return;
	p->shape.port[id]->peer = peer;
	plane_view_later(p);
}

/* It may be within agents_set(), and ports that come up have agents of their own. */
static void on_channel(void *ctx, port_id id, uint16_t scid, vid_t svid)
{
	struct plane *p = ctx;

	loop_timer_set(p->channel_timer, loop_now(p->loop), 0);
}

static void on_ask(void *ctx, port_id id, struct vdp_ticket ticket, const struct vsi *v)
{
	plane_gate_ask(ctx, id, ticket, v);
}

static bool on_apply(void *ctx, port_id id, const struct vsi *v, const struct vdp_assoc *stands)
{
	return plane_gate_apply(ctx, id, v, stands);
}

static void on_outcome(void *ctx, port_id id, enum vdp_outcome outcome, const struct vsi *v,
		       uint8_t status)
{
	struct plane *p = ctx;

	if (!plane_vsi_outcome(p, id, outcome, v, status) && p->foreign_outcome)
		p->foreign_outcome(p->foreign_aux, id, outcome, v, status);
}

int plane_vsi_request(struct plane *p, port_id uplink, const struct vdp_assoc *want)
{
	return agents_vsi_request(p->agents, uplink, want);
}

void plane_on_foreign_outcome(struct plane *p, plane_outcome_cb *cb, void *aux)
{
	p->foreign_outcome = cb;
	p->foreign_aux = aux;
}

struct agents *plane_agents_new(struct plane *p)
{
	return agents_new(p->loop,
			  &(struct agents_hooks){ on_send, on_reflect, on_changed, on_neighbour,
						  on_channel, on_ask, on_apply, on_outcome, p });
}

/* ---- as ports come and go ---- */

void plane_agents_follow(struct plane *p, port_id id, const struct plane_status *status)
{
	const struct port_config *c = &p->shape.model.port[id];
	struct agent_config a;

	if (!shape_has_agents(c) && !agents_has(p->agents, id))
		return;
	a = config_of(&p->shape, id, status->address);
	if (agents_set(p->agents, id, &a) < 0)
		log_error(p->log, "%s: out of memory: it speaks no EVB and no LLDP", c->name);
	agents_link(p->agents, id, status->operstate == PLANE_UP);
	p->shape.port[id]->peer = peer_of(p, id);
	follow_hairpin(p, id);
	plane_vsi_soon(p);
	if (c->role == FWD_UPLINK)
		plane_tell_reflection(p, c->bridge);
}

void plane_agents_retire(struct plane *p, const struct plane_shape *next)
{
	bool any = false;

	p->is_closing = !next;
	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		const struct port_config *was = shape_config(&p->shape, i);
		const struct port_config *c = next ? shape_config(next, i) : NULL;

		if (!was || !agents_has(p->agents, (port_id)i) ||
		    (c && p->shape.port[i] == next->port[i] && !strcmp(was->name, c->name) &&
		     shape_has_agents(c)))
			continue;
		agents_set(p->agents, (port_id)i, NULL);
		any = true;
	}
	if (any)
		relay_settle_sends(p->relay);
}

/* What a port heard that was replaced since is none of its successor's business. */
void plane_agents_received(struct plane *p, const struct punt *punt)
{
	if (shape_config(&p->shape, punt->port) &&
	    punt->generation >= p->shape.port[punt->port]->first_view)
		agents_received(p->agents, punt->port, punt->octets, punt->size);
}
