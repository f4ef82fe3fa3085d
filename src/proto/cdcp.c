// SPDX-License-Identifier: Apache-2.0
#include "cdcp.h"

static uint16_t smaller(uint16_t a, uint16_t b)
{
	return a < b ? a : b;
}

/* OperChnCap, without the default channel. */
static uint16_t capacity_of(const struct cdcp *c)
{
	uint16_t n = smaller(c->config.capacity, CDCP_CHANNELS_MAX);

	if (c->has_peer)
		n = smaller(n, c->remote.capacity);
	return n ? (uint16_t)(n - 1) : 0;
}

/* Its entry; NULL: it is not in the list. */
static const struct cdcp_channel *find(const struct cdcp_channel *list, uint16_t n, uint16_t scid)
{
	for (uint16_t i = 0; i < n; i++) {
		if (list[i].scid == scid)
			return &list[i];
	}
	return NULL;
}

static uint16_t svid_in(const struct cdcp_channel *list, uint16_t n, uint16_t scid)
{
	const struct cdcp_channel *ch = find(list, n, scid);

	return ch ? ch->svid : 0;
}

static bool is_given(const struct cdcp_channel *list, uint16_t n, uint16_t svid)
{
	for (uint16_t i = 0; i < n; i++) {
		if (list[i].svid == svid)
			return true;
	}
	return false;
}

/* ---- station ---- */

static bool is_forgotten(const struct cdcp *c, uint16_t scid)
{
	return c->has_peer && !find(c->remote.channel, c->remote.n, scid);
}

/* Begin to keep what the bridge has forgotten, or end it. */
static void hold(struct cdcp *c, tstamp now)
{
	bool any = false;

	for (uint16_t i = 0; i < c->n_channels; i++)
		any |= c->channel[i].svid && is_forgotten(c, c->channel[i].scid);
	if (any && c->hold_until == TSTAMP_NEVER) {
		c->hold_until = now + CDCP_HOLD_S * NS_PER_S;
		c->hooks.advertise(c->hooks.ctx, now);
	} else if (!any) {
		c->hold_until = TSTAMP_NEVER;
	}
}

/* Which tag the bridge has for `scid`, if that is one and no other channel has it already. */
static uint16_t granted(const struct cdcp *c, const struct cdcp_channel *list, uint16_t n,
			uint16_t scid)
{
	uint16_t svid = c->has_peer ? svid_in(c->remote.channel, c->remote.n, scid) : 0;

	if (c->hold_until != TSTAMP_NEVER && is_forgotten(c, scid))
		svid = svid_in(c->channel, c->n_channels, scid);

	return svid == CDCP_DEFAULT || is_given(list, n, svid) ? 0 : svid;
}

static uint16_t list_station(const struct cdcp *c, struct cdcp_channel *list)
{
	uint16_t n = smaller(c->config.n_wanted, capacity_of(c));

	for (uint16_t i = 0; i < n; i++) {
		uint16_t scid = c->config.wanted[i];

		list[i] = (struct cdcp_channel){ scid, granted(c, list, i, scid) };
	}
	return n;
}

/* ---- bridge ---- */

static bool is_in_pool(const struct cdcp *c, uint16_t svid)
{
	return svid > CDCP_DEFAULT && svid >= c->config.svid_low && svid <= c->config.svid_high;
}

static bool is_served(const struct cdcp *c, uint16_t scid)
{
	uint16_t i = 0;

	while (i < c->config.n_wanted && c->config.wanted[i] != scid)
		i++;
	return !c->config.n_wanted || i < c->config.n_wanted;
}

/* Give tags that are free to those without: only ones that they ask for, or else the lowest. */
static void give(struct cdcp *c, struct cdcp_channel *list, uint16_t n, bool as_asked)
{
	for (uint16_t i = 0; i < n; i++) {
		uint16_t svid = as_asked ? c->remote.channel[i + 1].svid : c->config.svid_low;

		if (list[i].svid || !is_served(c, list[i].scid))
			continue;
		while (!as_asked && is_in_pool(c, svid) && is_given(list, n, svid))
			svid++;
		if (is_in_pool(c, svid) && !is_given(list, n, svid))
			list[i].svid = svid;
		else
			c->stats.exhausted += !as_asked;
	}
}

/*
 * Those that have a tag keep it, so they come first: what one channel has is not given to another
 * that merely asks earlier for it. Then those that ask for a certain one, which they had before
 * we were restarted; then the rest.
 */
static uint16_t list_bridge(struct cdcp *c, struct cdcp_channel *list)
{
	uint16_t asked = c->has_peer ? (uint16_t)(c->remote.n - 1) : 0;
	uint16_t n = smaller(asked, capacity_of(c));

	for (uint16_t i = 0; i < n; i++) {
		uint16_t scid = c->remote.channel[i + 1].scid;
		uint16_t svid = svid_in(c->channel, c->n_channels, scid);

		list[i] = (struct cdcp_channel){ scid, is_in_pool(c, svid) && is_served(c, scid) ?
							       svid :
							       0 };
	}
	give(c, list, n, true);
	give(c, list, n, false);
	return n;
}

/* ---- both ---- */

/* Have the owner remove and make channels, until those in `list` are there. */
static void apply(struct cdcp *c, tstamp now, const struct cdcp_channel *list, uint16_t n)
{
	struct cdcp_channel old[ARRAY_SIZE(c->channel)];
	uint16_t n_old = c->n_channels;

	memcpy(old, c->channel, sizeof(old));
	memcpy(c->channel, list, n * sizeof(*list));
	c->n_channels = n;
	for (uint16_t i = 0; i < n_old; i++) {
		if (old[i].svid && svid_in(list, n, old[i].scid) != old[i].svid)
			c->hooks.channel(c->hooks.ctx, now, old[i].scid, 0);
	}
	for (uint16_t i = 0; i < n; i++) {
		if (list[i].svid && svid_in(old, n_old, list[i].scid) != list[i].svid)
			c->hooks.channel(c->hooks.ctx, now, list[i].scid, list[i].svid);
	}
}

/* `before` is how our TLV was. */
static void settle(struct cdcp *c, tstamp now, const struct writer *before)
{
	struct cdcp_channel list[ARRAY_SIZE(c->channel)];
	uint8_t octets[TLV_SIZE_MAX];
	struct writer w = writer_of(octets, sizeof(octets));
	uint16_t n;

	n = c->config.role == CDCP_STATION ? list_station(c, list) : list_bridge(c, list);
	apply(c, now, list, n);
	cdcp_write_tlv(c, &w);
	if (w.size != before->size || memcmp(w.octets, before->octets, w.size))
		c->hooks.advertise(c->hooks.ctx, now);
}

void cdcp_init(struct cdcp *c, const struct cdcp_config *config, const struct cdcp_hooks *hooks)
{
	*c = (struct cdcp){ .config = *config, .hooks = *hooks, .hold_until = TSTAMP_NEVER };
	if (config->role == CDCP_STATION)
		c->n_channels = list_station(c, c->channel);
}

void cdcp_configure(struct cdcp *c, tstamp now, const struct cdcp_config *config)
{
	uint8_t octets[TLV_SIZE_MAX];
	struct writer before = writer_of(octets, sizeof(octets));
	enum cdcp_role role = c->config.role;

	cdcp_write_tlv(c, &before);
	c->config = *config;
	c->config.role = role;
	settle(c, now, &before);
}

/* The first CDCP TLV; one that is malformed is as good as none. */
static bool listen(struct cdcp *c, const struct lldp_pdu *pdu)
{
	struct cursor rest = pdu->optional, value;
	enum malformed wrong;
	struct tlv tlv;

	while (tlv_read(&rest, &tlv)) {
		if (!tlv_is_of(tlv, OUI_8021, CDCP_TLV_SUBTYPE, &value))
			continue;
		wrong = cdcp_tlv_decode(value, &c->remote);
		if (wrong != MALFORMED_none) {
			c->stats.malformed[wrong]++;
			return false;
		}
		c->stats.taken++;
		c->stats.wrong_role += c->remote.role == c->config.role;
		return c->remote.role != c->config.role;
	}
	return false;
}

bool cdcp_is_wanted(const struct cdcp *c, const struct lldp_pdu *pdu)
{
	struct cdcp probe = *c; /* for what is counted */

	return listen(&probe, pdu);
}

void cdcp_peer(struct cdcp *c, tstamp now, const struct lldp_pdu *pdu)
{
	uint8_t octets[TLV_SIZE_MAX];
	struct writer before = writer_of(octets, sizeof(octets));

	cdcp_write_tlv(c, &before);
	c->has_peer = pdu && listen(c, pdu);
	if (c->config.role == CDCP_STATION)
		hold(c, now);
	settle(c, now, &before);
}

void cdcp_run(struct cdcp *c, tstamp now)
{
	uint8_t octets[TLV_SIZE_MAX];
	struct writer before = writer_of(octets, sizeof(octets));

	if (now < c->hold_until)
		return;
	cdcp_write_tlv(c, &before);
	c->hold_until = TSTAMP_NEVER;
	settle(c, now, &before);
}

tstamp cdcp_deadline(const struct cdcp *c)
{
	return c->hold_until;
}

void cdcp_write_tlv(const struct cdcp *c, struct writer *w)
{
	struct cdcp_tlv tlv = { .role = c->config.role,
				.s_component = c->config.s_component,
				.capacity = smaller(c->config.capacity, CDCP_CHANNELS_MAX),
				.n = (uint16_t)(1 + c->n_channels),
				.channel = { { CDCP_DEFAULT, CDCP_DEFAULT } } };

	memcpy(tlv.channel + 1, c->channel, c->n_channels * sizeof(c->channel[0]));
	cdcp_tlv_encode(w, &tlv);
}
