// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "eth.h"
#include "plane_internal.h"

/*
 * A guest that has migrated in does not know it, and the bridges on the way still send its frames
 * to its old place. So each of its addresses sends a RARP request for itself (RFC 903), as QEMU
 * does: bridges learn from it, and nobody answers. The same is true of all guests of a bridge that
 * sends by another uplink from now on.
 */
enum {
	ROUNDS = 3,
	VLANS_MAX = 32, /* of a trunk that are announced in */
	RARP_SIZE = 60, /* shortest Ethernet frame, without FCS */
	/*
	 * What a sweep announces at a time: an adjacent bridge with reflective relay sends each
	 * back, for as many guests as there are.
	 */
	BATCH_MAX = 64,
	BATCH_COPIES = 2048,
};

#define ROUND_PERIOD (100 * NS_PER_MS)
#define BATCH_PERIOD NS_PER_MS

static uint8_t *put16(uint8_t *to, uint16_t v)
{
	*to++ = (uint8_t)(v >> 8);
	*to++ = (uint8_t)v;
	return to;
}

static uint8_t *put_mac(uint8_t *to, struct mac m)
{
	memcpy(to, m.b, sizeof(m.b));
	return to + sizeof(m.b);
}

/* The frame, tagged if `vid` is not VID_NONE. Returns its size. */
static uint32_t rarp(uint8_t frame[RARP_SIZE + ETH_TAG_SIZE], struct mac mac, vid_t vid)
{
	static const struct mac broadcast = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	uint8_t *to = frame;

	memset(frame, 0, RARP_SIZE + ETH_TAG_SIZE);
	to = put_mac(to, broadcast);
	to = put_mac(to, mac);
	if (vid != VID_NONE) {
		to = put16(to, ETHERTYPE_CTAG);
		to = put16(to, vid);
	}
	to = put16(to, ETHERTYPE_RARP);
	to = put16(to, 1);		/* hardware: Ethernet */
	to = put16(to, ETHERTYPE_IPV4); /* protocol */
	*to++ = 6;			/* sizes of their addresses */
	*to++ = 4;
	to = put16(to, 3);     /* request reverse */
	to = put_mac(to, mac); /* sender */
	to += 4;
	put_mac(to, mac); /* target: who am I? */
	return vid == VID_NONE ? RARP_SIZE : RARP_SIZE + ETH_TAG_SIZE;
}

/* relay_inject() or relay_inject_wire() */
typedef bool injector(struct relay *r, port_id port, const void *octets, uint32_t size);

static bool announce_in(const struct plane *p, injector *inject, port_id id, struct mac mac,
			vid_t vid)
{
	uint8_t frame[RARP_SIZE + ETH_TAG_SIZE];
	uint32_t size = rarp(frame, mac, vid);

	return inject(p->relay, id, frame, size);
}

/* Announce one address in the VLANs of its port. False if too many frames wait. */
static bool announce(const struct plane *p, injector *inject, port_id id, struct mac mac)
{
	const struct port_config *c = &p->shape.model.port[id];
	unsigned n = 0;

	if ((!c->has_trunk || c->native != VID_NONE) && !announce_in(p, inject, id, mac, VID_NONE))
		return false;
	for (vid_t v = 1; c->has_trunk && v <= VID_MAX && n < VLANS_MAX; v++) {
		if (!vlan_set_has(&c->trunk, v) || v == c->native)
			continue;
		if (!announce_in(p, inject, id, mac, v))
			return false;
		n++;
	}
	return true;
}

void plane_announce_mac(struct plane *p, port_id id, struct mac mac)
{
	announce(p, relay_inject, id, mac); /* if too many wait: the next round goes on */
}

static void announce_round(struct plane *p, port_id id)
{
	const struct port_config *c = &p->shape.model.port[id];

	for (unsigned i = 0; i < c->macs.n; i++)
		plane_announce_mac(p, id, c->macs.mac[i]);
}

void plane_announce(struct plane *p, port_id id)
{
	p->shape.port[id]->announce_left = ROUNDS - 1;
	announce_round(p, id);
	if (!loop_timer_is_set(p->announce_timer))
		loop_timer_set(p->announce_timer, loop_now(p->loop) + ROUND_PERIOD, ROUND_PERIOD);
}

void plane_announce_soon(struct plane *p, port_id id)
{
	p->shape.port[id]->announce_left = ROUNDS;
	if (!loop_timer_is_set(p->announce_timer))
		loop_timer_set(p->announce_timer, loop_now(p->loop) + 10 * NS_PER_MS, ROUND_PERIOD);
}

void plane_on_announce_timer(void *aux)
{
	struct plane *p = aux;
	bool more = false;

	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		struct plane_port *pp = shape_config(&p->shape, i) ? p->shape.port[i] : NULL;

		if (!pp || !pp->announce_left)
			continue;
		announce_round(p, (port_id)i);
		more |= --pp->announce_left > 0;
	}
	if (!more)
		loop_timer_stop(p->announce_timer);
}

/* ---- all addresses of a bridge ---- */

/* The addresses that stations of the marked bridges own by now. False without memory. */
static bool sweep_collect(struct plane *p)
{
	struct plane_sweep *s = &p->sweep;
	const struct fwd_view *v = relay_view(p->relay);
	const struct owners *o = v->owners;
	struct plane_address *list = realloc(s->list, (o->n + (size_t)1) * sizeof(*list));
	uint32_t n_stations = 0;
	bridge_id b;

	if (!list)
		return false;
	s->list = list;
	s->n = s->next = 0;
	for (uint32_t i = 0; i <= o->mask; i++) {
		const struct owner *e = &o->slot[i];

		if (e->port == PORT_NONE)
			continue;
		b = v->port[e->port].bridge;
		/* The host's own stack stays on the device that it has. */
		if (s->of_bridge[b] && v->bridge[b].host != e->port)
			list[s->n++] = (struct plane_address){ e->port, e->mac };
	}
	for (uint32_t i = 0; i < v->n_ports; i++)
		n_stations += v->port[i].port && v->port[i].role == FWD_STATION &&
			      s->of_bridge[v->port[i].bridge];
	s->batch = BATCH_COPIES / (n_stations + 1);
	s->batch = s->batch < 1 ? 1 : s->batch > BATCH_MAX ? BATCH_MAX : s->batch;
	return true;
}

/* Is the port still what it was when the addresses were collected? */
static bool is_swept(const struct plane *p, port_id id)
{
	const struct port_config *c = shape_config(&p->shape, id);

	return c && c->role == FWD_STATION && !c->standby && p->sweep.of_bridge[c->bridge];
}

void plane_on_sweep_timer(void *aux)
{
	struct plane *p = aux;
	struct plane_sweep *s = &p->sweep;
	tstamp now = loop_now(p->loop);

	for (uint32_t k = 0; k < s->batch && s->next < s->n; k++) {
		const struct plane_address *a = &s->list[s->next];

		if (is_swept(p, a->port) && !announce(p, relay_inject_wire, a->port, a->mac))
			break; /* too many wait: again from here */
		s->next++;
	}
	if (s->next < s->n) {
		loop_timer_set(p->sweep_timer, now + BATCH_PERIOD, 0);
	} else if (--s->rounds_left) {
		s->next = 0;
		loop_timer_set(p->sweep_timer, now + ROUND_PERIOD, 0);
	} else {
		memset(s->of_bridge, 0, sizeof(s->of_bridge));
	}
}

void plane_announce_bridge(struct plane *p, bridge_id b)
{
	p->sweep.of_bridge[b] = true;
	if (!sweep_collect(p)) {
		log_error(p->log, "out of memory: the guests' addresses are not announced");
		return;
	}
	p->sweep.rounds_left = ROUNDS;
	plane_on_sweep_timer(p);
}
