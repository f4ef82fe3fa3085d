// SPDX-License-Identifier: Apache-2.0
#include "egress.h"
#include "gso.h"
#include "priority.h"

static const struct eth_key *key_of(const struct egress *e, unsigned i)
{
	return &e->key[e->flows->of[i]];
}

static void count_refused(const struct egress *e, port_id id, enum drop_reason why, uint64_t frames)
{
	e->view->port[id].port->counters[e->worker].drops[why] += frames_count(frames);
}

/* May frame `i` go to `id`? It is charged to the port and to its VSI there, or to neither. */
static bool take(const struct egress *e, unsigned i, port_id id, unsigned set)
{
	struct meters *m = &e->view->port[id].port->meters;
	const struct eth_key *key = key_of(e, i);
	const struct view_vsi *v = NULL;
	unsigned k = e->flows->of[i];
	uint32_t packets;
	uint64_t octets;

	if (set & METERS_VSI_OUT && !mac_is_group(key->dst))
		v = view_vsi(e->view, id, e->dst[k], e->vid[k]);
	if (meters_ask(m, set & METERS_OUT) != METERS_N ||
	    view_vsi_ask(v, METERS_OUT, e->now) != METERS_N)
		return false;
	octets = gso_wire_size(&e->frame[i], key, &packets);
	meters_charge(m, set & METERS_OUT, octets, packets);
	view_vsi_charge(v, METERS_OUT, octets, packets);
	return true;
}

uint64_t egress_meter(const struct egress *e, uint64_t frames, port_id id)
{
	struct meters *m = &e->view->port[id].port->meters;
	const struct meter_limits *l = &e->view->limit[id];
	unsigned set = meters_fill(m, l, METERS_OUT, e->now) | (l->set & METERS_VSI_OUT);
	const struct flows *fl = e->flows;
	uint64_t passed = frames;

	if (frames == fl->plain && frames_count(frames) == fl->n_frames &&
	    !(set & METERS_VSI_OUT) && meters_take_all(m, set, fl->octets, fl->n_frames))
		return frames;
	for (uint64_t left = frames; left; left &= left - 1) {
		if (!take(e, (unsigned)__builtin_ctzll(left), id, set))
			passed &= ~(left & -left);
	}
	count_refused(e, id, DROP_rate_out, frames ^ passed);
	return passed;
}

static uint64_t cost_of(const struct port_queue *q, uint32_t n, uint64_t octets)
{
	return (uint64_t)n * q->per_frame + octets * q->per_octet;
}

/* What frame `i` takes of the queue of `to`: all its segments, if it has to be cut. */
static uint64_t frame_cost(const struct egress *e, const struct view_port *to, unsigned i)
{
	const struct frame *f = &e->frame[i];
	uint32_t n = 1;
	uint64_t octets = f->size;

	if (f->vnet.gso_type && !gso_receiver_takes(&f->vnet, to->offload))
		octets = gso_wire_size(f, key_of(e, i), &n);
	return cost_of(&to->port->queue, n, octets);
}

/* What these frames take at most; mostly, what the whole burst takes is near enough. */
static uint64_t frames_cost(const struct egress *e, const struct view_port *to, uint64_t frames)
{
	uint64_t cost = 0;

	if (!(frames & ~e->flows->plain) || to->offload == OFFLOAD_ALL)
		return cost_of(&to->port->queue, e->flows->n_frames, e->flows->octets);
	for (; frames; frames &= frames - 1)
		cost += frame_cost(e, to, (unsigned)__builtin_ctzll(frames));
	return cost;
}

/*
 * Nobody but the port fills its queue, so that it cannot be fuller than it was and what was sent
 * since: below the least threshold there is nothing to ask for.
 */
uint64_t egress_prioritise(const struct egress *e, uint64_t frames, port_id id)
{
	const struct view_port *to = &e->view->port[id];
	struct port_queue *q = &to->port->queue;
	uint64_t cost = frames_cost(e, to, frames), passed = frames;

	if (!q->size || q->used + cost > priority_limit(PRIORITY_LEAST, q->size)) {
		to->port->ops->ask_queue(to->port);
		cost = frames_cost(e, to, frames);
	}
	if (q->used + cost <= priority_limit(PRIORITY_LEAST, q->size)) {
		q->used += cost;
		return frames;
	}
	for (uint64_t left = frames; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);
		unsigned pcp = egress_priority(e, key_of(e, i)) >> 13;

		if (q->used <= priority_limit(pcp, q->size))
			q->used += frame_cost(e, to, i);
		else
			passed &= ~(left & -left);
	}
	count_refused(e, id, DROP_congested, frames ^ passed);
	return passed;
}
