// SPDX-License-Identifier: Apache-2.0
#include "evb_link.h"

static bool is_station(const struct evb_link *l)
{
	return l->evb.config.role == EVB_STATION;
}

static struct vsi_table *table_of(struct evb_link *l)
{
	return is_station(l) ? &l->station.table : &l->bridge.table;
}

/* ---- LLDP and EVB ---- */

static void on_send(void *ctx, const uint8_t *frame, size_t size)
{
	struct evb_link *l = ctx;

	l->hooks.send(l->hooks.ctx, frame, size);
}

static void on_write_tlvs(void *ctx, struct writer *w)
{
	struct evb_link *l = ctx;

	l->evb.n_vsis = (uint16_t)table_of(l)->n_used;
	evb_write_tlv(&l->evb, w);
}

static bool on_is_wanted(void *ctx, const struct lldp_pdu *pdu)
{
	return evb_is_wanted(&((struct evb_link *)ctx)->evb, pdu);
}

static void on_peer(void *ctx, tstamp now, const struct lldp_pdu *pdu)
{
	evb_peer(&((struct evb_link *)ctx)->evb, now, pdu);
}

static void on_neighbour(void *ctx, enum lldp_event event, const struct lldp_neighbour *n)
{
	struct evb_link *l = ctx;

	l->hooks.neighbour(l->hooks.ctx, event, n);
}

static void on_advertise(void *ctx, tstamp now)
{
	lldp_changed(&((struct evb_link *)ctx)->lldp, now);
}

static void on_reflect(void *ctx, tstamp now, bool on)
{
	struct evb_link *l = ctx;

	l->hooks.reflect(l->hooks.ctx, now, on);
}

/* Bring the other machines to what is in use by now. */
static void agree(struct evb_link *l, tstamp now)
{
	const struct evb *e = &l->evb;
	struct evb_timing timing = evb_timing_of(e->generation, e->values);

	ecp_agree(&l->ecp, e->generation, &timing);
	if (is_station(l))
		vdp_station_agree(&l->station, now, e->generation, &timing, e->group_id);
	else
		vdp_bridge_agree(&l->bridge, now, e->generation, &timing, e->group_id);
}

static void on_changed(void *ctx, tstamp now)
{
	struct evb_link *l = ctx;

	agree(l, now);
	l->hooks.changed(l->hooks.ctx, now);
}

/* ---- ECP and VDP ---- */

static bool on_fill(void *ctx, tstamp now, struct writer *w)
{
	struct evb_link *l = ctx;

	return is_station(l) ? vdp_station_fill(&l->station, now, w) :
			       vdp_bridge_fill(&l->bridge, now, w);
}

static void on_deliver(void *ctx, tstamp now, struct cursor payload)
{
	struct evb_link *l = ctx;

	if (is_station(l))
		vdp_station_deliver(&l->station, now, payload);
	else
		vdp_bridge_deliver(&l->bridge, now, payload);
}

static void on_wake(void *ctx)
{
	ecp_wake(&((struct evb_link *)ctx)->ecp);
}

static void on_ask(void *ctx, tstamp now, struct vdp_ticket ticket, const struct vsi *v)
{
	struct evb_link *l = ctx;

	l->hooks.ask(l->hooks.ctx, now, ticket, v);
}

static bool on_apply(void *ctx, tstamp now, const struct vsi *v, const struct vdp_assoc *stands)
{
	struct evb_link *l = ctx;

	return l->hooks.apply(l->hooks.ctx, now, v, stands);
}

static void on_outcome(void *ctx, tstamp now, enum vdp_outcome outcome, const struct vsi *v,
		       uint8_t status)
{
	struct evb_link *l = ctx;

	l->hooks.outcome(l->hooks.ctx, now, outcome, v, status);
}

/* ---- all of them ---- */

void evb_link_init(struct evb_link *l, const struct evb_link_config *config,
		   const struct evb_link_hooks *hooks)
{
	struct lldp_config lldp = config->lldp;

	lldp.scope = LLDP_CUSTOMER_BRIDGE;
	l->hooks = *hooks;
	lldp_init(&l->lldp, &lldp,
		  &(struct lldp_hooks){ on_send, on_write_tlvs, on_is_wanted, on_peer, on_neighbour,
					l });
	evb_init(&l->evb, &config->evb,
		 &(struct evb_hooks){ on_advertise, on_reflect, on_changed, l });
	ecp_init(&l->ecp, &config->ecp, &(struct ecp_hooks){ on_send, on_fill, on_deliver, l });
	if (is_station(l))
		vdp_station_init(&l->station, config->slots, config->n_slots,
				 &(struct vdp_station_hooks){ on_wake, on_outcome, l });
	else
		vdp_bridge_init(&l->bridge, config->slots, config->n_slots,
				&(struct vdp_bridge_hooks){ on_wake, on_ask, on_apply, l });
	agree(l, 0);
}

void evb_link_up(struct evb_link *l, tstamp now, bool up)
{
	lldp_link(&l->lldp, now, up);
	ecp_link(&l->ecp, up);
	if (is_station(l))
		vdp_station_link(&l->station, now, up);
}

bool evb_link_received(struct evb_link *l, tstamp now, struct cursor frame)
{
	return lldp_received(&l->lldp, now, frame) || ecp_received(&l->ecp, now, frame);
}

void evb_link_stop(struct evb_link *l, tstamp now)
{
	lldp_stop(&l->lldp, now);
}

/* ECP last, so that what the others have to say goes at once. */
void evb_link_run(struct evb_link *l, tstamp now)
{
	lldp_run(&l->lldp, now);
	if (is_station(l))
		vdp_station_run(&l->station, now);
	else
		vdp_bridge_run(&l->bridge, now);
	ecp_run(&l->ecp, now);
}

tstamp evb_link_deadline(const struct evb_link *l)
{
	tstamp vdp =
		is_station(l) ? vdp_station_deadline(&l->station) : vdp_bridge_deadline(&l->bridge);

	return tstamp_earlier(tstamp_earlier(lldp_deadline(&l->lldp), ecp_deadline(&l->ecp)), vdp);
}
