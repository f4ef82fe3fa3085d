// SPDX-License-Identifier: Apache-2.0
/*
 * The two ends of a wire under events in any order: TLVs of the fuzzer's making and of each other,
 * silence, other wishes. Whatever comes, each end makes a channel once and removes it once, gives
 * no tag twice or out of its pool, says what it does, and tells when that has changed. In the end
 * they hear each other, and agree.
 *
 *   until the end: octet with bit 0 which end, bits 1-2 the event, and what it needs
 *     0 LLDP with TLVs: size 1, then TLVs   1 it hears the other end   2 silence
 *     3 configure: capacity 1, pool 2 octets, number 1, indices 1 each
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cdcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TLVS_MAX = 600, EXCHANGES = 8 };

struct end {
	struct cdcp c;
	uint16_t svid[CDCP_SCID_MAX + 1]; /* as the data plane knows it, by index; 0: none */
	uint16_t n_made;
	bool is_told; /* that what it says has changed */
};

static void on_advertise(void *ctx, tstamp now)
{
	((struct end *)ctx)->is_told = true;
}

static void on_channel(void *ctx, tstamp now, uint16_t scid, uint16_t svid)
{
	struct end *e = ctx;

	assert(scid > CDCP_DEFAULT && scid <= CDCP_SCID_MAX && svid != CDCP_DEFAULT);
	assert(!svid != !e->svid[scid]);
	e->n_made = (uint16_t)(e->n_made + (svid ? 1 : -1));
	e->svid[scid] = svid;
}

static void configure(struct cdcp_config *to, enum cdcp_role role, struct cursor *c)
{
	uint16_t pool;
	uint8_t n;

	*to = (struct cdcp_config){ .role = role, .s_component = true };
	to->capacity = cursor_u8(c);
	pool = cursor_u16(c);
	n = cursor_u8(c) & 31;
	to->svid_low = 2 + (pool >> 4) % 4000;
	to->svid_high = (uint16_t)(to->svid_low + (pool & 15));
	for (unsigned i = 0; i < n; i++) {
		uint16_t scid = 2 + cursor_u8(c) % 40, k = 0;

		while (k < to->n_wanted && to->wanted[k] != scid)
			k++;
		if (k == to->n_wanted)
			to->wanted[to->n_wanted++] = scid;
	}
}

static struct cdcp_tlv said(const struct end *e, uint8_t *octets, size_t *size)
{
	struct writer w = writer_of(octets, TLVS_MAX);
	struct cursor c, value;
	struct cdcp_tlv out;
	struct tlv tlv;

	cdcp_write_tlv(&e->c, &w);
	*size = w.size;
	c = cursor_of(octets, w.size);
	assert(tlv_read(&c, &tlv) && tlv_is_of(tlv, OUI_8021, CDCP_TLV_SUBTYPE, &value));
	assert(cdcp_tlv_decode(value, &out) == MALFORMED_none);
	assert(!c.left);
	return out;
}

static void check(struct end *e, const uint8_t *before, size_t size_before)
{
	uint8_t octets[TLVS_MAX];
	uint16_t n = 0;
	size_t size;
	struct cdcp_tlv t = said(e, octets, &size);

	assert(e->is_told == (size != size_before || memcmp(octets, before, size) != 0) ||
	       e->c.hold_until != TSTAMP_NEVER);
	e->is_told = false;
	assert(t.n <= 1 + (e->c.config.capacity ? e->c.config.capacity - 1 : 0));
	for (uint16_t i = 1; i < t.n; i++) {
		uint16_t svid = t.channel[i].svid;

		assert(e->svid[t.channel[i].scid] == svid);
		n = (uint16_t)(n + (svid != 0));
		if (svid && e->c.config.role == CDCP_BRIDGE)
			assert(svid >= e->c.config.svid_low && svid <= e->c.config.svid_high);
		for (uint16_t k = 1; svid && k < i; k++)
			assert(t.channel[k].svid != svid);
	}
	assert(n == e->n_made); /* nothing is there that it does not say */
	assert(!n || e->c.has_peer);
}

static void hear(struct end *e, const uint8_t *octets, size_t size)
{
	struct lldp_pdu pdu = { .optional = cursor_of(octets, size) };

	cdcp_peer(&e->c, 0, &pdu);
}

static void event(struct end *ends, struct cursor *c)
{
	uint8_t octet = cursor_u8(c), before[TLVS_MAX], octets[TLVS_MAX];
	struct end *e = &ends[octet & 1];
	struct cdcp_config config;
	size_t size_before, size;
	struct cursor tlvs;

	said(e, before, &size_before);
	switch (octet >> 1 & 3) {
	case 0:
		tlvs = cursor_part(c, cursor_u8(c));
		if (!c->failed)
			hear(e, tlvs.at, tlvs.left);
		break;
	case 1:
		said(&ends[!(octet & 1)], octets, &size);
		hear(e, octets, size);
		break;
	case 2:
		if (octet & 8)
			cdcp_run(&e->c, cdcp_deadline(&e->c));
		else
			cdcp_peer(&e->c, 0, NULL);
		break;
	case 3:
		configure(&config, e->c.config.role, c);
		cdcp_configure(&e->c, 0, &config);
		break;
	}
	check(e, before, size_before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct end ends[2];
	struct cursor c = cursor_of(data, size), talk;

	memset(ends, 0, sizeof(ends));
	for (unsigned i = 0; i < 2; i++) {
		struct cdcp_config config = { .role = i ? CDCP_STATION : CDCP_BRIDGE,
					      .capacity = CDCP_CHANNELS_MAX,
					      .svid_low = 2,
					      .svid_high = 9 };

		cdcp_init(&ends[i].c, &config,
			  &(struct cdcp_hooks){ on_advertise, on_channel, &ends[i] });
	}
	while (c.left && !c.failed)
		event(ends, &c);
	for (unsigned i = 0; i < EXCHANGES; i++) {
		const uint8_t to_either[] = { 2 | (i & 1) };

		talk = cursor_of(to_either, sizeof(to_either));
		event(ends, &talk);
	}
	assert(!memcmp(ends[0].svid, ends[1].svid, sizeof(ends[0].svid)));
	return 0;
}
