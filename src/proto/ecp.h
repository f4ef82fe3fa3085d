// SPDX-License-Identifier: Apache-2.0
/*
 * ECP: carries PDUs of VDP over one port or S-channel, each until it is acknowledged or given up
 * (IEEE 802.1Q-2022 43), ratified and as the drafts had it. A transmitter and a receiver, which
 * have nothing to do with each other but the port. Loss of a PDU is not reported upwards: VDP has a
 * timer of its own, and repeats what it still wants.
 *
 *   IDLE ── upper layer has something, gap is over ──▶ WAIT ── ack of our sequence ──▶ IDLE
 *                                                      │ ▲
 *                   ackTimerInit, transmissions left   └─┘ else: given up ──▶ IDLE
 *
 * The upper layer hands over nothing in advance: it is asked to fill a PDU when one can be sent, so
 * what it has by then travels together. Ratified, a retransmission is identical; the drafts count
 * the sequence on, since lldpad drops an identical frame without a word.
 *
 * Two requests are ECP_GAP apart, because lldpad loses one of two that come within 2 ms. The first
 * sequence is given by the owner, at random: a peer that remembers the last of our former life
 * would else acknowledge, and drop, the first of this one.
 */
#ifndef EVB_PROTO_ECP_H
#define EVB_PROTO_ECP_H

#include "timing.h"

#define ECP_GAP (5 * NS_PER_MS)

struct ecp_config {
	struct mac src;
	struct mac dst;	   /* zero: ecp_group(); some switches terminate another */
	uint16_t sequence; /* of the first request is one more; random */
};

struct ecp_hooks {
	machine_send *send;
	/* Write a payload of VDP, `w->room` octets at most. False: there is nothing to send. */
	bool (*fill)(void *ctx, tstamp now, struct writer *w);
	/* A request came that is new. May call ecp_wake(). */
	void (*deliver)(void *ctx, tstamp now, struct cursor payload);
	void *ctx;
};

struct ecp_stats {
	uint64_t sent, retransmitted, acknowledged, given_up;
	uint64_t received, duplicates, acks_sent;
	uint64_t stray_acks; /* of another sequence than the outstanding one */
	uint64_t malformed[MALFORMED_N];
};

struct ecp {
	struct ecp_config config;
	struct ecp_hooks hooks;
	struct ecp_stats stats;
	enum evb_generation generation;
	struct evb_timing timing;
	bool link_up;
	/* Transmitter: */
	bool wants;	   /* the upper layer has something */
	bool waits;	   /* a request is outstanding */
	uint16_t sequence; /* of the last request */
	uint8_t n_sent;	   /* transmissions of it */
	tstamp ack_due;	   /* when the acknowledgement is overdue */
	tstamp not_before; /* when the next request may be sent */
	uint16_t size;
	uint8_t payload[ECP_PAYLOAD_MAX];
	/* Receiver: */
	bool has_last; /* some request has come since the link is up */
	uint16_t last; /* its sequence */
};

/* Starts with the link down, ratified, and the default values of evb.h. */
void ecp_init(struct ecp *e, const struct ecp_config *config, const struct ecp_hooks *hooks);

/* Other values are in use; another generation also forgets what is outstanding. */
void ecp_agree(struct ecp *e, enum evb_generation g, const struct evb_timing *timing);

/* Down: what is outstanding is forgotten. Up: the next request that comes is a new one. */
void ecp_link(struct ecp *e, bool up);

/* The upper layer has something to send; it will be asked. */
void ecp_wake(struct ecp *e);

/* A frame came. False if it is no ECP of this generation: nothing has happened. */
bool ecp_received(struct ecp *e, tstamp now, struct cursor frame);

void ecp_run(struct ecp *e, tstamp now);
tstamp ecp_deadline(const struct ecp *e);

#endif
