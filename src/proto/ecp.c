// SPDX-License-Identifier: Apache-2.0
#include "ecp.h"

void ecp_init(struct ecp *e, const struct ecp_config *config, const struct ecp_hooks *hooks)
{
	*e = (struct ecp){ .config = *config,
			   .hooks = *hooks,
			   .sequence = config->sequence,
			   .timing = evb_timing_default() };
}

static struct mac address_of(const struct ecp *e)
{
	return mac_is_zero(e->config.dst) ? ecp_group(e->generation) : e->config.dst;
}

static void send_pdu(struct ecp *e, const struct ecp_pdu *pdu)
{
	uint8_t frame[ENVELOPE_FRAME_MAX];
	struct writer w = writer_of(frame, sizeof(frame));

	envelope_write(&w, (struct envelope){ address_of(e), e->config.src,
					      ecp_ethertype(e->generation) });
	ecp_pdu_encode(&w, e->generation, pdu);
	e->hooks.send(e->hooks.ctx, frame, w.size);
}

/* ---- transmitter ---- */

/* 0 is skipped, as lldpad does: its receiver may start from it. */
static void count_on(struct ecp *e)
{
	e->sequence = (uint16_t)(e->sequence + 1);
	if (!e->sequence)
		e->sequence = 1;
}

static void transmit(struct ecp *e, tstamp now)
{
	if (!e->n_sent || e->generation == EVB_DRAFT)
		count_on(e);
	e->stats.sent++;
	e->stats.retransmitted += e->n_sent > 0;
	e->n_sent++;
	e->waits = true;
	e->ack_due = now + e->timing.ack_wait;
	e->not_before = now + ECP_GAP;
	send_pdu(e, &(struct ecp_pdu){ .operation = ECP_REQUEST,
				       .sequence = e->sequence,
				       .payload = cursor_of(e->payload, e->size) });
}

static void transmit_next(struct ecp *e, tstamp now)
{
	struct writer w = writer_of(e->payload, sizeof(e->payload));

	e->wants = e->hooks.fill(e->hooks.ctx, now, &w);
	if (!e->wants)
		return;
	e->size = (uint16_t)w.size;
	e->n_sent = 0;
	transmit(e, now);
}

static void acknowledged(struct ecp *e, uint16_t sequence)
{
	if (!e->waits || sequence != e->sequence) {
		e->stats.stray_acks++;
		return;
	}
	e->stats.acknowledged++;
	e->waits = false;
}

void ecp_run(struct ecp *e, tstamp now)
{
	if (!e->link_up)
		return;
	if (e->waits && now >= e->ack_due) {
		if (e->n_sent < e->timing.transmissions) {
			transmit(e, now);
		} else {
			e->stats.given_up++;
			e->waits = false;
		}
	}
	if (e->wants && !e->waits && now >= e->not_before)
		transmit_next(e, now);
}

tstamp ecp_deadline(const struct ecp *e)
{
	if (!e->link_up)
		return TSTAMP_NEVER;
	if (e->waits)
		return e->ack_due;
	return e->wants ? e->not_before : TSTAMP_NEVER;
}

void ecp_wake(struct ecp *e)
{
	e->wants = true;
}

/* ---- receiver ---- */

/*
 * The acknowledgement repeats subtype and sequence, and has no payload. It goes before the PDU is
 * looked at: what we think of it is told by VDP, in requests of our own.
 */
static void requested(struct ecp *e, tstamp now, const struct ecp_pdu *pdu)
{
	bool is_new = !e->has_last || pdu->sequence != e->last;

	e->stats.acks_sent++;
	send_pdu(e, &(struct ecp_pdu){ .operation = ECP_ACK, .sequence = pdu->sequence });
	e->has_last = true;
	e->last = pdu->sequence;
	if (is_new)
		e->hooks.deliver(e->hooks.ctx, now, pdu->payload);
	else
		e->stats.duplicates++;
}

bool ecp_received(struct ecp *e, tstamp now, struct cursor frame)
{
	struct envelope envelope = envelope_read(&frame);
	enum malformed wrong;
	struct ecp_pdu pdu;

	if (frame.failed || envelope.ethertype != ecp_ethertype(e->generation) ||
	    !mac_equal(envelope.dst, address_of(e)))
		return false;
	if (!e->link_up)
		return true;
	wrong = ecp_pdu_decode(e->generation, frame, &pdu);
	if (wrong != MALFORMED_none) {
		e->stats.malformed[wrong]++;
		return true;
	}
	e->stats.received++;
	if (pdu.operation == ECP_ACK)
		acknowledged(e, pdu.sequence);
	else
		requested(e, now, &pdu);
	return true;
}

/* ---- the port ---- */

static void forget(struct ecp *e)
{
	e->waits = false;
	e->has_last = false;
	e->not_before = 0;
}

void ecp_agree(struct ecp *e, enum evb_generation g, const struct evb_timing *timing)
{
	if (g != e->generation)
		forget(e);
	e->generation = g;
	e->timing = *timing;
}

void ecp_link(struct ecp *e, bool up)
{
	if (up != e->link_up)
		forget(e);
	e->link_up = up;
}
