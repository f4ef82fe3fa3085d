// SPDX-License-Identifier: Apache-2.0
#include "lldp.h"

#include <assert.h>

struct lldp_config lldp_config_default(void)
{
	return (struct lldp_config){ .transmits = true,
				     .receives = true,
				     .interval_s = LLDP_INTERVAL_S,
				     .hold = LLDP_HOLD,
				     .fast_n = LLDP_FAST_N,
				     .credit_max = LLDP_CREDIT_MAX };
}

struct mac lldp_scope_address(enum lldp_scope scope)
{
	static const uint8_t last[LLDP_SCOPES_N] = {
		[LLDP_NEAREST_BRIDGE] = 0xe, [LLDP_NON_TPMR] = 0x3, [LLDP_CUSTOMER_BRIDGE] = 0x0
	};

	assert(scope < LLDP_SCOPES_N);
	return envelope_group(last[scope]);
}

void lldp_init(struct lldp *l, const struct lldp_config *config, const struct lldp_hooks *hooks)
{
	*l = (struct lldp){ .config = *config,
			    .hooks = *hooks,
			    .started = true,
			    .credit = config->credit_max,
			    .transmit_at = TSTAMP_NEVER,
			    .credit_at = TSTAMP_NEVER };
}

/* ---- transmit ---- */

/* msgTxHold intervals and one second more (9.2.5.22), so that the last second counts, too. */
static uint16_t ttl_of(const struct lldp_config *c)
{
	uint32_t ttl = (uint32_t)c->interval_s * c->hold + 1;

	return ttl > UINT16_MAX ? UINT16_MAX : (uint16_t)ttl;
}

static void transmit(struct lldp *l, uint16_t ttl)
{
	uint8_t frame[ENVELOPE_FRAME_MAX], tlvs[1024];
	struct writer w = writer_of(frame, sizeof(frame)), more = writer_of(tlvs, sizeof(tlvs));
	struct lldp_pdu pdu = l->config.self;

	pdu.ttl = ttl;
	if (ttl)
		l->hooks.write_tlvs(l->hooks.ctx, &more);
	envelope_write(&w, (struct envelope){ lldp_scope_address(l->config.scope), l->config.src,
					      ETHERTYPE_LLDP });
	lldp_pdu_encode(&w, &pdu, cursor_of(more.octets, more.size));
	write_padding(&w, ENVELOPE_FRAME_MIN);
	/* Six texts of 255 octets and two IDs are beyond what is configured; but better silent. */
	if (w.full)
		return;
	l->stats.sent++;
	l->hooks.send(l->hooks.ctx, frame, w.size);
}

/* txCredit grows by one a second up to its maximum (9.2.8, txAddCredit). */
static void refill(struct lldp *l, tstamp now)
{
	while (l->credit < l->config.credit_max && now >= l->credit_at) {
		l->credit++;
		l->credit_at += NS_PER_S;
	}
}

static bool may_transmit(const struct lldp *l)
{
	return l->link_up && l->started && l->config.transmits;
}

static tstamp transmit_due(const struct lldp *l)
{
	if (!may_transmit(l))
		return TSTAMP_NEVER;
	return l->transmit_at > l->not_before ? l->transmit_at : l->not_before;
}

static void transmit_if_due(struct lldp *l, tstamp now)
{
	if (now < transmit_due(l))
		return;
	if (!l->credit) {
		l->stats.delayed += !l->waits_for_credit;
		l->waits_for_credit = true;
		l->transmit_at = l->credit_at;
		return;
	}
	if (l->credit-- == l->config.credit_max)
		l->credit_at = now + NS_PER_S;
	l->waits_for_credit = false;
	l->fast_left = (uint8_t)(l->fast_left - (l->fast_left > 0));
	l->transmit_at = now + (l->fast_left ? NS_PER_S : l->config.interval_s * NS_PER_S);
	transmit(l, ttl_of(&l->config));
}

void lldp_changed(struct lldp *l, tstamp now)
{
	if (l->transmit_at > now && !l->waits_for_credit)
		l->transmit_at = now;
}

void lldp_configure(struct lldp *l, tstamp now, uint16_t interval_s, uint16_t hold)
{
	if (l->config.interval_s == interval_s && l->config.hold == hold)
		return;
	l->config.interval_s = interval_s;
	l->config.hold = hold;
	lldp_changed(l, now);
}

/* ---- neighbours ---- */

const struct lldp_neighbour *lldp_peer(const struct lldp *l)
{
	for (uint8_t i = 0; i < l->n_neighbours; i++) {
		if (l->neighbour[i].is_wanted)
			return &l->neighbour[i];
	}
	return l->n_neighbours ? &l->neighbour[0] : NULL;
}

static void tell_peer(struct lldp *l, tstamp now)
{
	const struct lldp_neighbour *n = lldp_peer(l);
	struct lldp_pdu pdu;

	if (n && lldp_pdu_decode(cursor_of(n->octets, n->size), &pdu) == 0)
		l->hooks.peer(l->hooks.ctx, now, &pdu);
	else
		l->hooks.peer(l->hooks.ctx, now, NULL);
}

static void forget(struct lldp *l, tstamp now, uint8_t i, enum lldp_event why)
{
	const struct lldp_neighbour gone = l->neighbour[i];
	bool was_peer = lldp_peer(l) == &l->neighbour[i];

	l->n_neighbours--;
	memmove(&l->neighbour[i], &l->neighbour[i + 1],
		(size_t)(l->n_neighbours - i) * sizeof(l->neighbour[0]));
	l->hooks.event(l->hooks.ctx, why, &gone);
	if (was_peer)
		tell_peer(l, now);
}

static void forget_all(struct lldp *l, tstamp now)
{
	uint8_t n = l->n_neighbours;

	l->n_neighbours = 0; /* none becomes the peer on the way */
	for (uint8_t i = n; i-- > 0;)
		l->hooks.event(l->hooks.ctx, LLDP_LINK_LOST, &l->neighbour[i]);
	if (n)
		tell_peer(l, now);
}

static uint8_t find(const struct lldp *l, const struct lldp_pdu *pdu)
{
	uint8_t i = 0;

	while (i < l->n_neighbours && !(lldp_id_equal(&l->neighbour[i].chassis, &pdu->chassis) &&
					lldp_id_equal(&l->neighbour[i].port, &pdu->port)))
		i++;
	return i;
}

/* A neighbour is heard for the first time: let it hear us soon, and again (9.2.8). */
static void greet(struct lldp *l, tstamp now)
{
	if (!l->fast_left)
		l->fast_left = l->config.fast_n;
	lldp_changed(l, now);
}

/* Is there a place for another? */
static bool make_room(struct lldp *l, tstamp now, const struct lldp_pdu *pdu)
{
	uint8_t i = l->n_neighbours;

	if (i < LLDP_NEIGHBOURS_MAX)
		return true;
	while (i > 0 && l->neighbour[i - 1].is_wanted)
		i--;
	if (!i || !l->hooks.is_wanted(l->hooks.ctx, pdu)) {
		l->stats.forgotten++;
		return false;
	}
	forget(l, now, (uint8_t)(i - 1), LLDP_DISPLACED);
	return true;
}

static void remember(struct lldp *l, tstamp now, uint8_t i, const struct lldp_pdu *pdu,
		     struct cursor octets)
{
	const struct lldp_neighbour *peer = lldp_peer(l);
	struct lldp_neighbour *n = &l->neighbour[i];
	bool is_new = i == l->n_neighbours;
	bool is_same = !is_new && n->size == octets.left && !memcmp(n->octets, octets.at, n->size);

	n->ttl = pdu->ttl;
	n->expires = now + pdu->ttl * NS_PER_S;
	if (is_same)
		return;
	if (is_new) {
		n->chassis = pdu->chassis;
		n->port = pdu->port;
		n->since = now;
		l->n_neighbours++;
		greet(l, now);
	}
	n->size = (uint16_t)octets.left;
	memcpy(n->octets, octets.at, octets.left);
	n->is_wanted = l->hooks.is_wanted(l->hooks.ctx, pdu);
	l->hooks.event(l->hooks.ctx, is_new ? LLDP_NEW : LLDP_CHANGED, n);
	if (lldp_peer(l) == n || lldp_peer(l) != peer)
		tell_peer(l, now);
}

bool lldp_received(struct lldp *l, tstamp now, struct cursor frame)
{
	struct envelope e = envelope_read(&frame);
	struct lldp_pdu pdu;
	enum malformed wrong;
	uint8_t i;

	if (e.ethertype != ETHERTYPE_LLDP || !mac_equal(e.dst, lldp_scope_address(l->config.scope)))
		return false;
	if (!l->link_up || !l->started || !l->config.receives)
		return true;
	l->stats.received++;
	wrong = lldp_pdu_decode(frame, &pdu);
	if (wrong == MALFORMED_none && frame.left > LLDP_PDU_SIZE_MAX)
		wrong = MALFORMED_oversize;
	if (wrong != MALFORMED_none) {
		l->stats.malformed[wrong]++;
		return true;
	}
	if (lldp_id_equal(&pdu.chassis, &l->config.self.chassis) &&
	    lldp_id_equal(&pdu.port, &l->config.self.port)) {
		l->stats.looped++;
		return true;
	}
	i = find(l, &pdu);
	if (!pdu.ttl && i < l->n_neighbours)
		forget(l, now, i, LLDP_SHUTDOWN);
	if (!pdu.ttl || (i == l->n_neighbours && !make_room(l, now, &pdu)))
		return true;
	i = i < l->n_neighbours ? i : l->n_neighbours;
	l->neighbour[i].src = e.src;
	remember(l, now, i, &pdu, frame);
	return true;
}

/* ---- the link and time ---- */

void lldp_link(struct lldp *l, tstamp now, bool up)
{
	if (l->link_up == up)
		return;
	l->link_up = up;
	l->fast_left = 0;
	l->transmit_at = now;
	l->waits_for_credit = false;
	if (!up)
		forget_all(l, now);
}

void lldp_stop(struct lldp *l, tstamp now)
{
	if (may_transmit(l))
		transmit(l, 0);
	l->started = false;
	l->not_before = now + LLDP_REINIT_S * NS_PER_S;
	forget_all(l, now);
}

void lldp_start(struct lldp *l, tstamp now)
{
	l->started = true;
	l->transmit_at = now;
}

void lldp_run(struct lldp *l, tstamp now)
{
	refill(l, now);
	for (uint8_t i = l->n_neighbours; i-- > 0;) {
		if (now >= l->neighbour[i].expires) {
			l->stats.aged++;
			forget(l, now, i, LLDP_AGED);
		}
	}
	transmit_if_due(l, now);
}

tstamp lldp_deadline(const struct lldp *l)
{
	tstamp at = transmit_due(l);

	for (uint8_t i = 0; i < l->n_neighbours; i++)
		at = tstamp_earlier(at, l->neighbour[i].expires);
	return at;
}
