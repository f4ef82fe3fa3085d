// SPDX-License-Identifier: Apache-2.0
/*
 * One LLDP agent: one scope of one port (IEEE 802.1AB-2016 9). When to transmit, whom it has heard,
 * and for how long that counts. What the organizational TLVs say is others' business (evb.h,
 * cdcp.h): they are asked for theirs before each transmission, and told what the peer said.
 *
 * Of several neighbours the peer is the oldest of those that say what is looked for (hook), or else
 * the oldest: a link of EVB has two ends, and one that talks to whoever spoke last would toggle.
 * When it goes, the next becomes the peer. Where there is no room, who says what is looked for
 * takes the place of a stranger, never a stranger that of anybody.
 *
 *              changed, link up, start                    every second, n times
 *   quiet ──────────────────────────▶ transmit ─┬─▶ fast ───────────▶ quiet
 *     ▲                               (if there │  (after a new neighbour)
 *     └──── every msgTxInterval ────   is credit)
 */
#ifndef EVB_PROTO_LLDP_H
#define EVB_PROTO_LLDP_H

#include "envelope.h"
#include "lldp_pdu.h"
#include "machine.h"

/* How far a PDU goes: the destination, 802.1AB-2016 table 7-1. */
enum lldp_scope { LLDP_NEAREST_BRIDGE, LLDP_NON_TPMR, LLDP_CUSTOMER_BRIDGE, LLDP_SCOPES_N };

enum {
	LLDP_NEIGHBOURS_MAX = 4,
	LLDP_PDU_SIZE_MAX = 1500,
	LLDP_INTERVAL_S = 30, /* msgTxInterval, 9.2.5.7 */
	LLDP_HOLD = 4,	      /* msgTxHold, 9.2.5.6 */
	LLDP_FAST_N = 4,      /* txFastInit, 9.2.5.19, at msgFastTx = 1 s */
	LLDP_CREDIT_MAX = 5,  /* txCreditMax, 9.2.5.17 */
	LLDP_REINIT_S = 2,    /* reinitDelay, 9.2.5.10 */
};

struct lldp_config {
	enum lldp_scope scope;
	struct mac src;
	struct lldp_pdu self; /* without ttl and optional; texts are lent as long as the agent is */
	bool transmits, receives; /* adminStatus */
	uint16_t interval_s, hold;
	uint8_t fast_n, credit_max;
};

struct lldp_neighbour {
	struct lldp_id chassis, port;
	struct mac src;
	tstamp since, expires;
	uint16_t ttl;
	bool is_wanted; /* it says what is looked for */
	uint16_t size;
	uint8_t octets[LLDP_PDU_SIZE_MAX]; /* as received, for lldp_pdu_decode() */
};

enum lldp_event {
	LLDP_NEW,
	LLDP_CHANGED,
	LLDP_AGED,     /* its TTL is over */
	LLDP_SHUTDOWN, /* it said good-bye */
	LLDP_LINK_LOST,
	LLDP_DISPLACED, /* its place was needed */
};

struct lldp_hooks {
	machine_send *send;
	/* Write organizational TLVs. May be called at any time; 1000 octets are welcome. */
	void (*write_tlvs)(void *ctx, struct writer *w);
	/* Does it say what is looked for at the other end? */
	bool (*is_wanted)(void *ctx, const struct lldp_pdu *pdu);
	/* The peer said something new, or (NULL) there is none. May call lldp_changed(). */
	void (*peer)(void *ctx, tstamp now, const struct lldp_pdu *pdu);
	/* For those who watch; comes before what the peer said. */
	void (*event)(void *ctx, enum lldp_event event, const struct lldp_neighbour *n);
	void *ctx;
};

struct lldp_stats {
	uint64_t sent, received;
	uint64_t malformed[MALFORMED_N];
	uint64_t aged, forgotten; /* neighbours; forgotten: there was no room for another */
	uint64_t looped;	  /* frames of our own */
	uint64_t delayed;	  /* transmissions that had to wait for credit */
};

struct lldp {
	struct lldp_config config;
	struct lldp_hooks hooks;
	struct lldp_stats stats;
	struct lldp_neighbour neighbour[LLDP_NEIGHBOURS_MAX]; /* the oldest first */
	uint8_t n_neighbours;
	bool link_up, started;
	uint8_t credit, fast_left;
	bool waits_for_credit;
	tstamp credit_at;   /* when the next comes, if there are fewer than credit_max */
	tstamp transmit_at; /* when the next PDU is due */
	tstamp not_before;  /* end of reinitDelay */
};

/* Defaults of the standard; the caller fills in scope, src and self. */
struct lldp_config lldp_config_default(void);

/* Starts with the link down. */
void lldp_init(struct lldp *l, const struct lldp_config *config, const struct lldp_hooks *hooks);

/* Other times: msgTxInterval, msgTxHold. What we said before is said again, with the new TTL. */
void lldp_configure(struct lldp *l, tstamp now, uint16_t interval_s, uint16_t hold);

/* Destination address of a scope. */
struct mac lldp_scope_address(enum lldp_scope scope);

/* NULL: there is none. Valid until the next call of another function. */
const struct lldp_neighbour *lldp_peer(const struct lldp *l);

void lldp_link(struct lldp *l, tstamp now, bool up);

/* Something that we say has changed: say it as soon as there is credit. */
void lldp_changed(struct lldp *l, tstamp now);

/*
 * A frame came. False if it is not of this scope, or no LLDP at all: nothing has happened, and
 * another agent may want it. A PDU that says what it said before only lives longer.
 */
bool lldp_received(struct lldp *l, tstamp now, struct cursor frame);

/* Say good-bye and forget everybody: the port or the daemon goes, or adminStatus is disabled. */
void lldp_stop(struct lldp *l, tstamp now);

/* Go on after that, not before reinitDelay is over. */
void lldp_start(struct lldp *l, tstamp now);

void lldp_run(struct lldp *l, tstamp now);
tstamp lldp_deadline(const struct lldp *l);

#endif
