// SPDX-License-Identifier: Apache-2.0
#include "evb.h"

struct evb_config evb_config_default(enum evb_role role)
{
	return (struct evb_config){ .role = role,
				    .reflective_relay = true,
				    .values = evb_values_default(),
				    .cap = EVB_CAP_DEFAULT };
}

/* ---- what the peer said ---- */

struct heard {
	bool ratified, draft;
	struct evb_tlv tlv;
	struct evb_draft_tlv draft_tlv;
};

static bool accept(struct evb *e, enum malformed wrong)
{
	if (wrong == MALFORMED_none)
		e->stats.taken++;
	else
		e->stats.malformed[wrong]++;
	return wrong == MALFORMED_none;
}

/* The first TLV of each generation; one that is malformed is as good as none. */
static struct heard listen(struct evb *e, const struct lldp_pdu *pdu)
{
	struct heard h = { 0 };
	struct cursor c = pdu->optional, value;
	struct tlv tlv;

	while (tlv_read(&c, &tlv)) {
		if (!h.ratified && tlv_is_of(tlv, OUI_8021, EVB_TLV_SUBTYPE, &value))
			h.ratified = accept(e, evb_tlv_decode(value, &h.tlv));
		else if (!h.draft && tlv_is_of(tlv, OUI_EVB_DRAFT, EVB_DRAFT_TLV_SUBTYPE, &value))
			h.draft = accept(e, evb_draft_tlv_decode(value, &h.draft_tlv));
	}
	return h;
}

static enum evb_generation generation_of(const struct evb *e, const struct heard *h)
{
	if (e->config.dialect == EVB_AUTO)
		return h->draft && !h->ratified ? EVB_DRAFT : EVB_RATIFIED;
	return e->config.dialect == EVB_DRAFT_ONLY ? EVB_DRAFT : EVB_RATIFIED;
}

/* A draft TLV does not say which end its sender is. */
static bool is_peer(struct evb *e, const struct heard *h)
{
	enum evb_mode other = e->config.role == EVB_STATION ? EVB_MODE_BRIDGE : EVB_MODE_STATION;

	if (e->generation == EVB_DRAFT)
		return h->draft;
	if (h->ratified && h->tlv.mode != other)
		e->stats.wrong_role++;
	return h->ratified && h->tlv.mode == other;
}

/* ---- what follows from it ---- */

static uint8_t greater(uint8_t a, uint8_t b)
{
	return a > b ? a : b;
}

/* The function of each pair of values. */
static struct evb_values each(uint8_t (*f)(uint8_t, uint8_t), struct evb_values a,
			      struct evb_values b)
{
	return (struct evb_values){ .retries = f(a.retries, b.retries),
				    .rte = f(a.rte, b.rte),
				    .rwd = f(a.rwd, b.rwd),
				    .rka = f(a.rka, b.rka) };
}

/* In the drafts, who does not say that it has an RTE, or 0, does not negotiate it. */
struct evb_values evb_remote(const struct evb *e)
{
	const struct evb_tlv *r = &e->remote;
	bool has_rte = e->config.values.rte && e->draft.capabilities & EVB_DRAFT_RTE;

	if (e->generation == EVB_DRAFT)
		return (struct evb_values){ .rte = has_rte ? e->draft.rte & EVB_EXPONENT_MAX : 0 };
	return (struct evb_values){ r->retries, r->rte, r->rwd.value, r->rka.value };
}

static uint8_t smaller(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

/* What of the peer's values may be in use. */
static struct evb_values wanted(const struct evb *e)
{
	uint8_t cap = e->config.cap;

	return each(smaller, evb_remote(e), (struct evb_values){ UINT8_MAX, cap, cap, cap });
}

static bool negotiates(const struct evb *e)
{
	return e->has_peer && !e->config.manual;
}

static struct evb_values values_of(const struct evb *e)
{
	return negotiates(e) ? each(greater, e->config.values, wanted(e)) : e->config.values;
}

bool evb_is_capped(const struct evb *e)
{
	struct evb_values used = values_of(e), r = evb_remote(e);

	return negotiates(e) && (r.rte > used.rte || r.rwd > used.rwd || r.rka > used.rka);
}

/* What the peer wants of its own: 0 where it may just repeat us. */
static uint8_t beyond(uint8_t remote, uint8_t offered)
{
	return remote > offered ? remote : 0;
}

static struct evb_values own_of_peer(const struct evb *e)
{
	return negotiates(e) ? each(beyond, wanted(e), e->offered) : (struct evb_values){ 0 };
}

/* What was offered, now that the peer says `remote`: what it does not repeat is gone. */
static uint8_t still_offered(uint8_t offered, uint8_t own, uint8_t remote, bool is_peers)
{
	return is_peers || remote <= own ? own : offered;
}

/* At first, a value that is not the peer's own (ROL) may be of a life of ours before this one. */
static void hear_offered(struct evb *e, bool is_new)
{
	const struct evb_values *own = &e->config.values;
	struct evb_values r = evb_remote(e), *o = &e->offered;

	if (is_new)
		o->rwd = o->rka = EVB_EXPONENT_MAX;
	o->retries = still_offered(o->retries, own->retries, r.retries, false);
	o->rte = still_offered(o->rte, own->rte, r.rte, false);
	o->rwd = still_offered(o->rwd, own->rwd, r.rwd, !e->remote.rwd.remote);
	o->rka = still_offered(o->rka, own->rka, r.rka, !e->remote.rka.remote);
}

static uint8_t draft_modes(const struct evb *e)
{
	return (uint8_t)(EVB_DRAFT_STANDARD | (e->config.reflective_relay ? EVB_DRAFT_REFLECT : 0));
}

/* Both ends can do it; in the ratified form, the station also asks for it. */
static bool reflecting_is_agreed(const struct evb *e)
{
	if (!e->has_peer || !e->config.reflective_relay)
		return false;
	if (e->generation == EVB_DRAFT)
		return e->draft.modes & EVB_DRAFT_REFLECT;
	return e->remote.station & EVB_STATION_RR_REQ;
}

static enum evb_rr_status status_of(const struct evb *e)
{
	bool on;

	if (e->config.role == EVB_BRIDGE)
		return e->reflects ? EVB_RR_ON : EVB_RR_OFF;
	if (!e->has_peer)
		return EVB_RR_UNKNOWN;
	on = e->generation == EVB_DRAFT ? e->draft.configured_mode & EVB_DRAFT_REFLECT :
					  e->remote.bridge & EVB_BRIDGE_RR_CTR;
	return on ? EVB_RR_ON : EVB_RR_OFF;
}

static bool group_id_of(const struct evb *e)
{
	if (!e->has_peer || !e->config.group_id || e->generation == EVB_DRAFT)
		return false;
	return e->config.role == EVB_STATION ? e->remote.bridge & EVB_BRIDGE_GROUP_ID :
					       e->remote.station & EVB_STATION_GROUP_ID;
}

/*
 * Bring what is in use up to date, and say what is new; `before` is how it was. That the TLV is
 * another is seen on its octets, so nothing that it says can be forgotten here.
 */
static void settle(struct evb *e, tstamp now, const struct evb *before)
{
	uint8_t old_octets[TLV_SIZE_MAX], new_octets[TLV_SIZE_MAX];
	struct writer was = writer_of(old_octets, sizeof(old_octets));
	struct writer is = writer_of(new_octets, sizeof(new_octets));
	bool wants = e->config.role == EVB_BRIDGE && reflecting_is_agreed(e);

	e->values = values_of(e);
	e->group_id = group_id_of(e);
	e->draft_vdp = e->has_peer && e->generation == EVB_DRAFT &&
		       (e->draft.capabilities & (EVB_DRAFT_ECP | EVB_DRAFT_VDP)) ==
			       (EVB_DRAFT_ECP | EVB_DRAFT_VDP);
	if (wants != e->wants_reflect) {
		e->wants_reflect = wants;
		e->hooks.reflect(e->hooks.ctx, now, wants);
	}
	e->status = status_of(e);
	evb_write_tlv(before, &was);
	evb_write_tlv(e, &is);
	if (was.size != is.size || memcmp(old_octets, new_octets, is.size))
		e->hooks.advertise(e->hooks.ctx, now);
	if (before->has_peer != e->has_peer || before->generation != e->generation ||
	    before->group_id != e->group_id || before->status != e->status ||
	    before->draft_vdp != e->draft_vdp || evb_is_capped(before) != evb_is_capped(e) ||
	    before->values.retries != e->values.retries || before->values.rte != e->values.rte ||
	    before->values.rwd != e->values.rwd || before->values.rka != e->values.rka)
		e->hooks.changed(e->hooks.ctx, now);
}

void evb_init(struct evb *e, const struct evb_config *config, const struct evb_hooks *hooks)
{
	static const struct heard nothing;

	*e = (struct evb){ .config = *config, .hooks = *hooks, .offered = config->values };
	e->generation = generation_of(e, &nothing);
	e->values = values_of(e);
	e->status = status_of(e);
}

void evb_configure(struct evb *e, tstamp now, const struct evb_config *config)
{
	struct evb before = *e;

	e->config = *config;
	e->config.role = before.config.role;
	e->config.dialect = before.config.dialect;
	e->offered = each(greater, e->offered, config->values);
	settle(e, now, &before);
}

bool evb_is_wanted(const struct evb *e, const struct lldp_pdu *pdu)
{
	struct evb probe = *e; /* for what is counted */
	struct heard h = listen(&probe, pdu);

	probe.generation = generation_of(&probe, &h);
	return is_peer(&probe, &h);
}

void evb_peer(struct evb *e, tstamp now, const struct lldp_pdu *pdu)
{
	struct heard h = { 0 };
	struct evb before = *e;

	if (pdu)
		h = listen(e, pdu);
	e->generation = generation_of(e, &h);
	e->has_peer = is_peer(e, &h);
	e->remote = h.tlv;
	e->draft = h.draft_tlv;
	if (e->has_peer)
		hear_offered(e, !before.has_peer);
	settle(e, now, &before);
}

void evb_reflects(struct evb *e, tstamp now, bool on)
{
	struct evb before = *e;

	e->reflects = on;
	settle(e, now, &before);
}

/* ---- what we say ---- */

static struct evb_values said(const struct evb *e)
{
	return each(greater, e->config.values, own_of_peer(e));
}

/* Who is not heard has said 0; its octet is echoed whatever end it is. */
static void write_ratified(const struct evb *e, struct writer *w)
{
	struct evb_values v = said(e), peer = wanted(e);
	struct evb_tlv tlv = { .retries = v.retries,
			       .rte = v.rte,
			       .rwd = { v.rwd, negotiates(e) && v.rwd == peer.rwd },
			       .rka = { v.rka, negotiates(e) && v.rka == peer.rka } };

	if (e->config.role == EVB_STATION) {
		tlv.mode = EVB_MODE_STATION;
		tlv.bridge = e->has_peer ? e->remote.bridge : 0;
		tlv.station = (uint8_t)((e->config.group_id ? EVB_STATION_GROUP_ID : 0) |
					(e->config.reflective_relay ? EVB_STATION_RR_REQ : 0) |
					e->status);
	} else {
		tlv.mode = EVB_MODE_BRIDGE;
		tlv.station = e->has_peer ? e->remote.station : 0;
		tlv.bridge = (uint8_t)((e->config.group_id ? EVB_BRIDGE_GROUP_ID : 0) |
				       (e->config.reflective_relay ? EVB_BRIDGE_RR_CAP : 0) |
				       (e->wants_reflect && e->reflects ? EVB_BRIDGE_RR_CTR : 0));
	}
	evb_tlv_encode(w, &tlv);
}

/* What is configured is what both support (reference, 1.4); a bridge says so when it does. */
static void write_draft(const struct evb *e, struct writer *w)
{
	uint8_t own = EVB_DRAFT_RTE | EVB_DRAFT_ECP | EVB_DRAFT_VDP;
	bool reflect = reflecting_is_agreed(e) && (e->config.role == EVB_STATION || e->reflects);
	struct evb_draft_tlv tlv = {
		.modes = draft_modes(e),
		.capabilities = own,
		.configured_mode = reflect ? EVB_DRAFT_REFLECT : EVB_DRAFT_STANDARD,
		.configured_capabilities = e->has_peer ? own & e->draft.capabilities : 0,
		.vsis = EVB_DRAFT_VSIS,
		.configured_vsis = e->n_vsis,
		.rte = said(e).rte,
	};

	evb_draft_tlv_encode(w, &tlv);
}

void evb_write_tlv(const struct evb *e, struct writer *w)
{
	if (e->generation == EVB_DRAFT)
		write_draft(e, w);
	else
		write_ratified(e, w);
}
