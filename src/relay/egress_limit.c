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

uint64_t egress_meter(const struct egress *e, uint64_t frames, port_id id)
{
	struct meters *m = &e->view->port[id].port->meters;
	unsigned which = meters_fill(m, &e->view->limit[id], METERS_OUT, e->now);
	const struct flows *fl = e->flows;
	uint64_t passed = frames;

	if (frames == fl->plain && frames_count(frames) == fl->n_frames &&
	    meters_take_all(m, which, fl->octets, fl->n_frames))
		return frames;
	for (uint64_t left = frames; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);
		uint32_t packets;
		uint64_t octets = gso_wire_size(&e->frame[i], key_of(e, i), &packets);

		if (meters_take(m, which, octets, packets) != METERS_N)
			passed &= ~(left & -left);
	}
	count_refused(e, id, DROP_rate_out, frames ^ passed);
	return passed;
}

static uint64_t cost_of(const struct port_queue *q, unsigned n, uint64_t octets)
{
	return (uint64_t)n * q->per_frame + octets * q->per_octet;
}

/*
 * Nobody but the port fills its queue, so that it cannot be fuller than it was and what was sent
 * since: below the least threshold there is nothing to ask for.
 */
uint64_t egress_prioritise(const struct egress *e, uint64_t frames, port_id id)
{
	struct port *p = e->view->port[id].port;
	struct port_queue *q = &p->queue;
	uint64_t cost = cost_of(q, e->flows->n_frames, e->flows->octets), passed = frames;

	if (!q->size || q->used + cost > priority_limit(PRIORITY_LEAST, q->size)) {
		p->ops->ask_queue(p);
		cost = cost_of(q, e->flows->n_frames, e->flows->octets);
	}
	if (q->used + cost <= priority_limit(PRIORITY_LEAST, q->size)) {
		q->used += cost;
		return frames;
	}
	for (uint64_t left = frames; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);
		unsigned pcp = egress_priority(e, key_of(e, i)) >> 13;

		if (q->used <= priority_limit(pcp, q->size))
			q->used += cost_of(q, 1, e->frame[i].size);
		else
			passed &= ~(left & -left);
	}
	count_refused(e, id, DROP_congested, frames ^ passed);
	return passed;
}
