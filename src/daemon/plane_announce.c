// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "eth.h"
#include "plane_internal.h"

/*
 * A guest that has migrated in does not know it, and the bridges on the way still send its frames
 * to its old place. So each of its addresses sends a RARP request for itself (RFC 903), as QEMU
 * does: bridges learn from it, and nobody answers.
 */
enum {
	ROUNDS = 3,
	VLANS_MAX = 32, /* of a trunk that are announced in */
	RARP_SIZE = 60, /* shortest Ethernet frame, without FCS */
};

#define ROUND_PERIOD (100 * NS_PER_MS)

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

static bool announce_in(struct plane *p, port_id id, struct mac mac, vid_t vid)
{
	uint8_t frame[RARP_SIZE + ETH_TAG_SIZE];
	uint32_t size = rarp(frame, mac, vid);

	return relay_inject(p->relay, id, frame, size);
}

/* Announce one address in the VLANs of its port. */
void plane_announce_mac(struct plane *p, port_id id, struct mac mac)
{
	const struct port_config *c = &p->shape.model.port[id];
	unsigned n = 0;

	if (!c->has_trunk || c->native != VID_NONE)
		announce_in(p, id, mac, VID_NONE);
	if (!c->has_trunk)
		return;
	for (vid_t v = 1; v <= VID_MAX && n < VLANS_MAX; v++) {
		if (!vlan_set_has(&c->trunk, v) || v == c->native)
			continue;
		if (!announce_in(p, id, mac, v))
			return; /* too many wait: the next round goes on */
		n++;
	}
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
