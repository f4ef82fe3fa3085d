// SPDX-License-Identifier: Apache-2.0
/*
 * One end of an EVB link under events in any order: frames of the fuzzer's making, commands of
 * clients and managers, cuts, and time. Whatever comes, the machines hold to their bounds: frames
 * sent are well formed and short enough, no timer stays overdue, the tables are sound, the data
 * plane is told of each end once, and one event does not make more than so many frames.
 *
 *   octet 0    bit 0 bridge; bits 1-2 dialect; bit 3 GroupID; bit 4 the manager is silent
 *   then, until the end: an event and what it needs
 *     0 frame: size 2 octets, then octets   1 VDP in ECP of the right kind: size 1, then TLVs
 *     2 time: 1 octet, 10 us * 2^n          3 request: what, which, VID 2
 *     4 link up or down                     5 decide: error and more    6 revoke: which
 *     7 configure: 1 octet                  8 LLDP with TLVs: size 1, then TLVs
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "evb_link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VSIS = 8, IDS = 16, FRAMES_PER_EVENT = 300 };

struct world {
	struct evb_link link;
	struct vsi slots[VSIS];
	tstamp now;
	uint16_t sequence;
	bool silent;
	uint8_t decision;
	struct vdp_ticket ticket;
	bool stands[VSIS]; /* as the data plane knows it, by slot */
	unsigned n_frames; /* since the last event */
};

static void check_vdp(enum evb_generation g, struct cursor payload)
{
	struct vdp_pdu_item item;
	struct vdp_pdu pdu;

	assert(vdp_pdu_open(&pdu, g, payload) == MALFORMED_none);
	while (vdp_pdu_next(&pdu, &item))
		assert(item.tlv.value.left);
}

static void on_send(void *ctx, const uint8_t *frame, size_t size)
{
	struct world *w = ctx;
	struct cursor c = cursor_of(frame, size);
	struct envelope e = envelope_read(&c);
	enum evb_generation g;
	struct lldp_pdu lldp;
	struct ecp_pdu ecp;

	assert(size >= ENVELOPE_SIZE + 4 && size <= ENVELOPE_FRAME_MAX);
	assert(++w->n_frames < FRAMES_PER_EVENT);
	if (e.ethertype == ETHERTYPE_LLDP) {
		assert(lldp_pdu_decode(c, &lldp) == MALFORMED_none);
		return;
	}
	assert(ecp_generation(e.ethertype, &g) && g == w->link.evb.generation);
	assert(ecp_pdu_decode(g, c, &ecp) == MALFORMED_none);
	if (ecp.operation == ECP_REQUEST)
		check_vdp(g, ecp.payload);
	else
		assert(!ecp.payload.left);
}

static void on_neighbour(void *ctx, enum lldp_event event, const struct lldp_neighbour *n)
{
	assert(n->size <= LLDP_PDU_SIZE_MAX);
}

static void on_changed(void *ctx, tstamp now)
{
}

static void on_reflect(void *ctx, tstamp now, bool on)
{
	struct world *w = ctx;

	if (!w->silent)
		evb_reflects(&w->link.evb, now, on);
}

/* VIDs that are open become 5, but if the fuzzer wants a manager that forgets it. */
static void decide(struct world *w)
{
	struct vdp_decision d = { .error = (enum vdp_error)(w->decision & 7),
				  .hard = w->decision & 8,
				  .keep = w->decision & 16 };
	struct vdp_filters filters = w->slots[w->ticket.slot % VSIS].asked.filters;

	for (uint16_t i = 0; w->slots[w->ticket.slot % VSIS].used && i < filters.n; i++) {
		struct vdp_filter f = vdp_filter_at(&filters, i);

		f.vid |= f.vid & VDP_VID ? 0 : 5;
		vdp_filter_set(&filters, i, f);
	}
	d.filters = w->decision & 32 ? NULL : &filters;
	vdp_bridge_decide(&w->link.bridge, w->now, w->ticket, &d);
}

static void on_ask(void *ctx, tstamp now, struct vdp_ticket ticket, const struct vsi *v)
{
	struct world *w = ctx;

	assert(v == &w->slots[ticket.slot] && v->used && v->asked.filters.n);
	w->ticket = ticket;
	if (!w->silent)
		decide(w);
}

static bool on_apply(void *ctx, tstamp now, const struct vsi *v, const struct vdp_assoc *stands)
{
	struct world *w = ctx;
	size_t i = (size_t)(v - w->slots);

	assert(w->stands[i] == (v->held.request != 0));
	if (stands && w->decision & 64)
		return false;
	assert(stands || w->stands[i]);
	w->stands[i] = stands;
	return true;
}

static void on_outcome(void *ctx, tstamp now, enum vdp_outcome outcome, const struct vsi *v,
		       uint8_t status)
{
	assert(v->used);
	assert(outcome > VDP_KEPT || v->held.request);
}

static void check_table(const struct world *w, const struct vsi_table *t)
{
	uint32_t n = 0, n_queued = 0;
	const struct vsi *v;

	for (uint32_t i = 0; i < VSIS; i++) {
		v = &w->slots[i];
		n += v->used;
		assert(v->used || !v->queued);
		assert(v->used || v->due == (i < t->n_begun ? TSTAMP_NEVER : 0));
		assert(!v->used || vsi_find(t, &v->id) == v);
		n_queued += v->queued;
		if (w->link.evb.config.role == EVB_BRIDGE)
			assert(w->stands[i] == (v->used && v->held.request));
	}
	assert(n == t->n_used);
	TAILQ_FOREACH (v, &t->queue, queue)
		n_queued--;
	assert(!n_queued);
}

static void run(struct world *w, tstamp until)
{
	tstamp at;

	while ((at = evb_link_deadline(&w->link)) <= until) {
		w->now = at > w->now ? at : w->now;
		w->n_frames = 0;
		evb_link_run(&w->link, w->now);
		assert(evb_link_deadline(&w->link) > w->now);
	}
	w->now = until;
}

static void hear(struct world *w, const void *frame, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	assert(exact);
	if (size)
		memcpy(exact, frame, size);
	evb_link_received(&w->link, w->now, cursor_of(exact, size));
	free(exact);
}

static void hear_vdp(struct world *w, struct cursor tlvs)
{
	enum evb_generation g = w->link.evb.generation;
	uint8_t octets[600], payload[400];
	struct writer frame = writer_of(octets, sizeof(octets));
	struct writer vdp = writer_of(payload, sizeof(payload));

	vdp_pdu_begin(&vdp, g, &(struct vdp_manager){ { 1 } });
	write_octets(&vdp, tlvs.at, tlvs.left);
	envelope_write(&frame, (struct envelope){ ecp_group(g), { { 2, 2 } }, ecp_ethertype(g) });
	ecp_pdu_encode(&frame, g,
		       &(struct ecp_pdu){ ECP_REQUEST, ++w->sequence,
					  cursor_of(payload, vdp.size) });
	hear(w, octets, frame.size);
}

static void hear_lldp(struct world *w, struct cursor tlvs)
{
	struct lldp_pdu pdu = { .chassis = lldp_id_of(LLDP_CHASSIS_MAC, "\2\2\2\2\2\2", 6),
				.port = lldp_id_of(LLDP_PORT_MAC, "\2\2\2\2\2\2", 6),
				.ttl = 100 };
	uint8_t octets[600];
	struct writer frame = writer_of(octets, sizeof(octets));

	envelope_write(&frame,
		       (struct envelope){ envelope_group(0), { { 2, 2 } }, ETHERTYPE_LLDP });
	lldp_pdu_encode(&frame, &pdu, tlvs);
	hear(w, octets, frame.size);
}

static struct vsi_id id_of(uint8_t x)
{
	return (struct vsi_id){ .format = VSI_ID_UUID, .octets = { [15] = x % IDS } };
}

static void request(struct world *w, struct cursor *c)
{
	uint8_t what = cursor_u8(c), which = cursor_u8(c);
	struct vdp_assoc a = { .request = (enum vdp_request)(what & 7),
			       .status = what & 0xf8,
			       .id = id_of(which),
			       .manager = { { which >> 7 } },
			       .filters = { .format = (uint8_t)(1 + (which >> 4 & 3)) } };
	struct vdp_filter f = { .group = 1, .mac = { { 2, 1 } }, .vid = cursor_u16(c) };

	vdp_filter_add(&a.filters, EVB_RATIFIED, f);
	if (w->link.evb.config.role == EVB_STATION)
		vdp_station_request(&w->link.station, w->now, &a);
}

static void configure(struct world *w, uint8_t how)
{
	struct evb_config config = w->link.evb.config;

	config.reflective_relay = how & 1;
	config.group_id = how & 2;
	config.manual = how & 4;
	config.values.rka = 15 + (how >> 3 & 3);
	config.values.rte = 5 + (how >> 5);
	evb_configure(&w->link.evb, w->now, &config);
}

static void event(struct world *w, struct cursor *c)
{
	bool is_bridge = w->link.evb.config.role == EVB_BRIDGE;
	struct vsi_id id;
	struct cursor part;

	w->n_frames = 0;
	switch (cursor_u8(c) % 9) {
	case 0:
		part = cursor_part(c, cursor_u16(c) & 2047);
		hear(w, part.at, part.left);
		break;
	case 1:
		hear_vdp(w, cursor_part(c, cursor_u8(c)));
		break;
	case 2:
		run(w, w->now + (10 * NS_PER_US << (cursor_u8(c) & 23)));
		break;
	case 3:
		request(w, c);
		break;
	case 4:
		evb_link_up(&w->link, w->now, cursor_u8(c) & 1);
		break;
	case 5:
		w->decision = cursor_u8(c);
		if (is_bridge)
			decide(w);
		break;
	case 6:
		id = id_of(cursor_u8(c));
		if (is_bridge)
			vdp_bridge_revoke(&w->link.bridge, w->now, &id);
		break;
	case 7:
		configure(w, cursor_u8(c));
		break;
	default:
		hear_lldp(w, cursor_part(c, cursor_u8(c)));
		break;
	}
	run(w, w->now);
	check_table(w, is_bridge ? &w->link.bridge.table : &w->link.station.table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct evb_link_hooks hooks = { on_send, on_neighbour, on_changed, on_reflect,
					on_ask,	 on_apply,     on_outcome, &w };
	struct cursor c = cursor_of(data, size);
	uint8_t first = cursor_u8(&c);
	struct evb_link_config config = { .evb = evb_config_default(first & 1 ? EVB_BRIDGE :
										EVB_STATION),
					  .lldp = lldp_config_default(),
					  .slots = w.slots,
					  .n_slots = VSIS };

	memset(&w, 0, sizeof(w));
	w.now = NS_PER_S;
	w.silent = first & 16;
	config.evb.dialect = (enum evb_dialect)((first >> 1 & 3) % 3);
	config.evb.group_id = first & 8;
	config.evb.values = (struct evb_values){ 1, 8, 14, 17 };
	config.lldp.self.chassis = config.lldp.self.port = lldp_id_of(4, "\2\0\0\0\0\1", 6);
	evb_link_init(&w.link, &config, &hooks);
	evb_link_up(&w.link, w.now, true);
	while (c.left && !c.failed)
		event(&w, &c);
	return 0;
}
