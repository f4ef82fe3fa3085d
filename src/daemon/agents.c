// SPDX-License-Identifier: Apache-2.0
#include "agents.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

/* One port. Where it lies it stays, for its machines know it. */
struct agent {
	struct agents *all;
	port_id port;
	struct agent_config config;
	bool is_up;
	struct evb_link *evb;		  /* NULL: none */
	struct vsi *slots;		  /* its VSIs */
	struct cdcp *cdcp;		  /* NULL: none */
	struct lldp *lldp[LLDP_SCOPES_N]; /* NULL: none; EVB has one of its own */
	struct scope_ctx {		  /* of the hooks of `lldp` */
		struct agent *agent;
		enum lldp_scope scope;
	} scope[LLDP_SCOPES_N];
};

struct agents {
	struct loop *loop;
	struct loop_timer *timer;
	struct agents_hooks hooks;
	char system_name[HOST_NAME_MAX + 1], system_description[256];
	uint32_t n;	   /* places of `of` */
	struct agent **of; /* [n], by port; NULL: none */
};

struct agent_config agent_config_default(enum evb_role role)
{
	return (struct agent_config){ .role = (uint8_t)role,
				      .dialect = EVB_AUTO,
				      .values = evb_config_default(role).values,
				      .cap = EVB_CAP_DEFAULT,
				      .interval_s = LLDP_INTERVAL_S,
				      .hold = LLDP_HOLD };
}

static struct agent *agent_at(const struct agents *a, port_id port)
{
	return port < a->n ? a->of[port] : NULL;
}

/* ---- time ---- */

static tstamp agent_deadline(const struct agent *g)
{
	tstamp t = g->evb ? evb_link_deadline(g->evb) : TSTAMP_NEVER;

	if (g->cdcp)
		t = tstamp_earlier(t, cdcp_deadline(g->cdcp));
	for (unsigned s = 0; s < LLDP_SCOPES_N; s++)
		t = g->lldp[s] ? tstamp_earlier(t, lldp_deadline(g->lldp[s])) : t;
	return t;
}

static void set_timer(struct agents *a)
{
	tstamp t = TSTAMP_NEVER;

	for (uint32_t i = 0; i < a->n; i++)
		t = a->of[i] ? tstamp_earlier(t, agent_deadline(a->of[i])) : t;
	if (t == TSTAMP_NEVER)
		loop_timer_stop(a->timer);
	else
		loop_timer_set(a->timer, t, 0);
}

static void agent_run(struct agent *g)
{
	tstamp now = loop_now(g->all->loop);

	if (g->cdcp)
		cdcp_run(g->cdcp, now);
	for (unsigned s = 0; s < LLDP_SCOPES_N; s++) {
		if (g->lldp[s])
			lldp_run(g->lldp[s], now);
	}
	if (g->evb)
		evb_link_run(g->evb, now);
}

/* Something happened to `g`: what follows from it goes out at once. */
static void settle(struct agent *g)
{
	agent_run(g);
	set_timer(g->all);
}

/* It may be within a machine: what follows goes out in the next turn of the loop. */
static void settle_soon(struct agents *a)
{
	loop_timer_set(a->timer, loop_now(a->loop), 0);
}

static void on_timer(void *aux)
{
	struct agents *a = aux;

	for (uint32_t i = 0; i < a->n; i++) {
		if (a->of[i] && agent_deadline(a->of[i]) <= loop_now(a->loop))
			agent_run(a->of[i]);
	}
	set_timer(a);
}

/* ---- hooks of the machines ---- */

/* Not every device fills up short frames, such as acknowledgements of ECP. */
static void send_frame(struct agent *g, const uint8_t *frame, size_t size)
{
	uint8_t padded[ENVELOPE_FRAME_MIN] = { 0 };

	if (size < sizeof(padded)) {
		memcpy(padded, frame, size);
		frame = padded;
		size = sizeof(padded);
	}
	g->all->hooks.send(g->all->hooks.ctx, g->port, frame, size);
}

static void on_lldp_send(void *ctx, const uint8_t *frame, size_t size)
{
	send_frame(((struct scope_ctx *)ctx)->agent, frame, size);
}

/* CDCP is told to the nearest bridge that is no TPMR, and nobody else (D.2.13). */
static struct cdcp *cdcp_of(const struct scope_ctx *s)
{
	return s->scope == LLDP_NON_TPMR ? s->agent->cdcp : NULL;
}

static void on_lldp_tlvs(void *ctx, struct writer *w)
{
	struct cdcp *c = cdcp_of(ctx);

	if (c)
		cdcp_write_tlv(c, w);
}

static bool on_lldp_wanted(void *ctx, const struct lldp_pdu *pdu)
{
	return cdcp_of(ctx) && cdcp_is_wanted(cdcp_of(ctx), pdu);
}

static void on_lldp_peer(void *ctx, tstamp now, const struct lldp_pdu *pdu)
{
	struct cdcp *c = cdcp_of(ctx);

	if (c)
		cdcp_peer(c, now, pdu);
}

static void on_advertise(void *ctx, tstamp now)
{
	struct agent *g = ctx;

	lldp_changed(g->lldp[LLDP_NON_TPMR], now);
}

static void on_channel(void *ctx, tstamp now, uint16_t scid, uint16_t svid)
{
	struct agent *g = ctx;

	g->all->hooks.channel(g->all->hooks.ctx, g->port, scid, svid);
}

static void on_lldp_event(void *ctx, enum lldp_event event, const struct lldp_neighbour *n)
{
	const struct scope_ctx *s = ctx;
	struct agents *a = s->agent->all;

	a->hooks.neighbour(a->hooks.ctx, s->agent->port, s->scope, event, n);
}

static void on_send(void *ctx, const uint8_t *frame, size_t size)
{
	send_frame(ctx, frame, size);
}

static void on_neighbour(void *ctx, enum lldp_event event, const struct lldp_neighbour *n)
{
	struct agent *g = ctx;

	g->all->hooks.neighbour(g->all->hooks.ctx, g->port, LLDP_CUSTOMER_BRIDGE, event, n);
}

static void on_changed(void *ctx, tstamp now)
{
	struct agent *g = ctx;

	g->all->hooks.changed(g->all->hooks.ctx, g->port);
}

static void on_reflect(void *ctx, tstamp now, bool on)
{
	struct agent *g = ctx;

	g->all->hooks.reflect(g->all->hooks.ctx, g->port, on);
}

static void on_ask(void *ctx, tstamp now, struct vdp_ticket ticket, const struct vsi *v)
{
	struct agent *g = ctx;

	g->all->hooks.ask(g->all->hooks.ctx, g->port, ticket, v);
}

static bool on_apply(void *ctx, tstamp now, const struct vsi *v, const struct vdp_assoc *stands)
{
	struct agent *g = ctx;

	return g->all->hooks.apply(g->all->hooks.ctx, g->port, v, stands);
}

static void on_outcome(void *ctx, tstamp now, enum vdp_outcome outcome, const struct vsi *v,
		       uint8_t status)
{
	struct agent *g = ctx;

	g->all->hooks.outcome(g->all->hooks.ctx, g->port, outcome, v, status);
}

/* ---- made, changed, gone ---- */

/* What LLDP says of us, on the customer bridge scope or another. */
static struct lldp_config lldp_config_of(const struct agent *g, enum lldp_scope scope)
{
	enum { CAPABLE_BRIDGE = 1 << 2, CAPABLE_STATION = 1 << 7 };
	const struct agent_config *c = &g->config;
	struct lldp_config l = lldp_config_default();
	uint16_t capable =
		c->role == EVB_STATION ? CAPABLE_STATION | CAPABLE_BRIDGE : CAPABLE_BRIDGE;

	l.scope = scope;
	l.interval_s = c->interval_s;
	l.hold = c->hold;
	l.src = c->mac;
	l.self.chassis = lldp_id_of(LLDP_CHASSIS_MAC, c->mac.b, sizeof(c->mac.b));
	l.self.port = lldp_id_of(LLDP_PORT_NAME, c->port, strlen(c->port));
	l.self.port_description = cursor_of(c->port, strlen(c->port));
	l.self.system_name = cursor_of(g->all->system_name, strlen(g->all->system_name));
	l.self.system_description =
		cursor_of(g->all->system_description, strlen(g->all->system_description));
	l.self.capabilities = l.self.enabled = capable;
	return l;
}

static bool make_evb(struct agent *g)
{
	const struct evb_link_hooks hooks = { on_send, on_neighbour, on_changed, on_reflect,
					      on_ask,  on_apply,     on_outcome, g };
	struct evb_link_config c = { .evb = { .role = (enum evb_role)g->config.role,
					      .dialect = (enum evb_dialect)g->config.dialect,
					      .reflective_relay = g->config.reflective_relay,
					      .values = g->config.values,
					      .cap = g->config.cap },
				     .lldp = lldp_config_of(g, LLDP_CUSTOMER_BRIDGE),
				     .ecp = { .src = g->config.mac },
				     .n_slots = AGENT_VSIS_MAX };

	g->evb = calloc(1, sizeof(*g->evb));
	g->slots = c.slots = calloc(c.n_slots, sizeof(*c.slots));
	if (!g->evb || !g->slots)
		return false;
	if (getrandom(&c.ecp.sequence, sizeof(c.ecp.sequence), GRND_NONBLOCK) < 0)
		c.ecp.sequence = (uint16_t)(loop_now(g->all->loop) >> 10);
	evb_link_init(g->evb, &c, &hooks);
	return true;
}

static bool make_lldp(struct agent *g, enum lldp_scope scope)
{
	struct lldp_config c = lldp_config_of(g, scope);

	g->lldp[scope] = calloc(1, sizeof(*g->lldp[scope]));
	if (!g->lldp[scope])
		return false;
	g->scope[scope] = (struct scope_ctx){ g, scope };
	lldp_init(g->lldp[scope], &c,
		  &(struct lldp_hooks){ on_lldp_send, on_lldp_tlvs, on_lldp_wanted, on_lldp_peer,
					on_lldp_event, &g->scope[scope] });
	return true;
}

/* The plain LLDP agents. */
static unsigned scopes_of(const struct agent_config *c)
{
	return c->scopes | (c->has_cdcp ? 1u << LLDP_NON_TPMR : 0);
}

static bool make_cdcp(struct agent *g)
{
	g->cdcp = calloc(1, sizeof(*g->cdcp));
	if (!g->cdcp)
		return false;
	cdcp_init(g->cdcp, &g->config.cdcp, &(struct cdcp_hooks){ on_advertise, on_channel, g });
	return true;
}

static void agent_free(struct agent *g)
{
	if (!g)
		return;
	for (unsigned s = 0; s < LLDP_SCOPES_N; s++)
		free(g->lldp[s]);
	free(g->evb);
	free(g->slots);
	free(g->cdcp);
	free(g);
}

static struct agent *agent_new(struct agents *a, port_id port, const struct agent_config *c)
{
	struct agent *g = calloc(1, sizeof(*g));
	bool ok = g;

	if (!ok)
		return NULL;
	g->all = a;
	g->port = port;
	g->config = *c;
	if (c->has_evb)
		ok = make_evb(g);
	if (ok && c->has_cdcp)
		ok = make_cdcp(g);
	for (unsigned s = 0; s < LLDP_SCOPES_N && ok; s++) {
		if (scopes_of(c) >> s & 1 && !(c->has_evb && s == LLDP_CUSTOMER_BRIDGE))
			ok = make_lldp(g, (enum lldp_scope)s);
	}
	if (ok)
		return g;
	agent_free(g);
	return NULL;
}

/* Say good-bye, while the port is still there. What stood at a bridge stands no more. */
static void agent_stop(struct agent *g)
{
	tstamp now = loop_now(g->all->loop);
	const struct vsi_table *t = g->evb ? agents_vsis(g->evb) : NULL;

	for (uint32_t i = 0; t && g->config.role == EVB_BRIDGE && i < t->n_slots; i++) {
		const struct vsi *v = &t->slot[i];

		if (v->used && v->held.request)
			g->all->hooks.apply(g->all->hooks.ctx, g->port, v, NULL);
	}
	if (!g->is_up)
		return;
	for (unsigned s = 0; s < LLDP_SCOPES_N; s++) {
		if (g->lldp[s])
			lldp_stop(g->lldp[s], now);
	}
	if (g->evb)
		evb_link_stop(g->evb, now);
}

/* Can what is `a` become `b` without starting anew? */
static bool is_compatible(const struct agent_config *a, const struct agent_config *b)
{
	return a->has_evb == b->has_evb && a->scopes == b->scopes && a->role == b->role &&
	       a->dialect == b->dialect && mac_equal(a->mac, b->mac) && !strcmp(a->port, b->port) &&
	       a->has_cdcp == b->has_cdcp && a->cdcp.role == b->cdcp.role;
}

static bool is_same_cdcp(const struct cdcp_config *a, const struct cdcp_config *b)
{
	return a->role == b->role && a->s_component == b->s_component &&
	       a->capacity == b->capacity && a->n_wanted == b->n_wanted &&
	       !memcmp(a->wanted, b->wanted, a->n_wanted * sizeof(*a->wanted)) &&
	       a->svid_low == b->svid_low && a->svid_high == b->svid_high;
}

static bool is_same_values(struct evb_values a, struct evb_values b)
{
	return a.retries == b.retries && a.rte == b.rte && a.rwd == b.rwd && a.rka == b.rka;
}

static bool is_same(const struct agent_config *a, const struct agent_config *b)
{
	return is_compatible(a, b) && a->reflective_relay == b->reflective_relay &&
	       a->cap == b->cap && a->interval_s == b->interval_s && a->hold == b->hold &&
	       is_same_values(a->values, b->values) && is_same_cdcp(&a->cdcp, &b->cdcp);
}

static void reconfigure(struct agent *g, const struct agent_config *c)
{
	tstamp now = loop_now(g->all->loop);
	struct evb_config e;

	if (is_same(&g->config, c))
		return;
	g->config = *c;
	if (g->evb) {
		e = g->evb->evb.config;
		e.reflective_relay = c->reflective_relay;
		e.values = c->values;
		e.cap = c->cap;
		evb_configure(&g->evb->evb, now, &e);
		lldp_configure(&g->evb->lldp, now, c->interval_s, c->hold);
	}
	if (g->cdcp)
		cdcp_configure(g->cdcp, now, &c->cdcp);
	for (unsigned s = 0; s < LLDP_SCOPES_N; s++) {
		if (g->lldp[s])
			lldp_configure(g->lldp[s], now, c->interval_s, c->hold);
	}
	settle(g);
}

static bool make_room(struct agents *a, port_id port)
{
	uint32_t n = port + 1u;
	struct agent **of = port < a->n ? a->of : realloc(a->of, n * sizeof(struct agent *));

	if (!of)
		return false;
	a->of = of;
	for (; a->n < n; a->n++)
		of[a->n] = NULL;
	return true;
}

int agents_set(struct agents *a, port_id port, const struct agent_config *c)
{
	struct agent *was = agent_at(a, port), *now = NULL;

	if (c && !c->has_evb && !scopes_of(c))
		c = NULL;
	if (was && c && is_compatible(&was->config, c)) {
		reconfigure(was, c);
		return 0;
	}
	if (!was && !c)
		return 0;
	if (c) {
		now = make_room(a, port) ? agent_new(a, port, c) : NULL;
		if (!now)
			return -ENOMEM;
	}
	if (was)
		agent_stop(was);
	a->of[port] = now;
	agent_free(was);
	set_timer(a);
	return 0;
}

struct agents *agents_new(struct loop *loop, const struct agents_hooks *hooks)
{
	struct agents *a = calloc(1, sizeof(*a));
	struct utsname u;

	if (!a)
		return NULL;
	a->loop = loop;
	a->hooks = *hooks;
	a->timer = loop_timer_new(loop, on_timer, a);
	if (gethostname(a->system_name, sizeof(a->system_name) - 1) < 0)
		a->system_name[0] = 0;
	uname(&u);
	snprintf(a->system_description, sizeof(a->system_description),
		 "evb " EVB_VERSION " on %s %s", u.sysname, u.release);
	if (a->timer)
		return a;
	free(a);
	return NULL;
}

void agents_free(struct agents *a)
{
	if (!a)
		return;
	for (uint32_t i = 0; i < a->n; i++)
		agent_free(a->of[i]);
	loop_timer_free(a->timer);
	free(a->of);
	free(a);
}

/* ---- what happens ---- */

bool agents_has(const struct agents *a, port_id port)
{
	return agent_at(a, port) != NULL;
}

void agents_link(struct agents *a, port_id port, bool up)
{
	struct agent *g = agent_at(a, port);
	tstamp now = loop_now(a->loop);

	if (!g || g->is_up == up)
		return;
	g->is_up = up;
	for (unsigned s = 0; s < LLDP_SCOPES_N; s++) {
		if (g->lldp[s])
			lldp_link(g->lldp[s], now, up);
	}
	if (g->evb)
		evb_link_up(g->evb, now, up);
	settle(g);
}

bool agents_received(struct agents *a, port_id port, const uint8_t *frame, size_t size)
{
	struct agent *g = agent_at(a, port);
	tstamp now = loop_now(a->loop);
	bool taken;

	if (!g || !g->is_up)
		return false;
	taken = g->evb && evb_link_received(g->evb, now, cursor_of(frame, size));
	for (unsigned s = 0; s < LLDP_SCOPES_N && !taken; s++)
		taken = g->lldp[s] && lldp_received(g->lldp[s], now, cursor_of(frame, size));
	settle(g);
	return taken;
}

/* The EVB agent of a port, if it is of that end. */
static struct agent *evb_of(const struct agents *a, port_id port, enum evb_role role)
{
	struct agent *g = agent_at(a, port);

	return g && g->evb && g->config.role == role ? g : NULL;
}

void agents_reflects(struct agents *a, port_id port, bool on)
{
	struct agent *g = evb_of(a, port, EVB_BRIDGE);

	if (!g)
		return;
	evb_reflects(&g->evb->evb, loop_now(a->loop), on);
	settle_soon(a);
}

int agents_vsi_request(struct agents *a, port_id port, const struct vdp_assoc *want)
{
	struct agent *g = evb_of(a, port, EVB_STATION);
	int err = g ? vdp_station_request(&g->evb->station, loop_now(a->loop), want) : -ENODEV;

	if (!err)
		settle(g);
	return err;
}

void agents_decide(struct agents *a, port_id port, struct vdp_ticket ticket,
		   const struct vdp_decision *d)
{
	struct agent *g = evb_of(a, port, EVB_BRIDGE);

	if (!g)
		return;
	vdp_bridge_decide(&g->evb->bridge, loop_now(a->loop), ticket, d);
	settle_soon(a);
}

bool agents_revoke(struct agents *a, port_id port, const struct vsi_id *id)
{
	struct agent *g = evb_of(a, port, EVB_BRIDGE);
	bool was = g && vdp_bridge_revoke(&g->evb->bridge, loop_now(a->loop), id);

	if (was)
		settle_soon(a);
	return was;
}

const struct evb_link *agents_evb(const struct agents *a, port_id port)
{
	const struct agent *g = agent_at(a, port);

	return g ? g->evb : NULL;
}

const struct cdcp *agents_cdcp(const struct agents *a, port_id port)
{
	const struct agent *g = agent_at(a, port);

	return g ? g->cdcp : NULL;
}

const struct lldp *agents_lldp(const struct agents *a, port_id port, enum lldp_scope scope)
{
	const struct agent *g = agent_at(a, port);

	if (g && g->evb && scope == LLDP_CUSTOMER_BRIDGE)
		return &g->evb->lldp;
	return g ? g->lldp[scope] : NULL;
}
