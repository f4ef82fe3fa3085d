// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hex_fixture.h"
#include "sim_fixture.h"

/* ---- the world ---- */

uint64_t sim_lot(struct sim *sim)
{
	sim->lots ^= sim->lots << 13;
	sim->lots ^= sim->lots >> 7;
	sim->lots ^= sim->lots << 17;
	return sim->lots * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

struct sim *sim_new(uint64_t seed)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	assert_non_null(sim);
	sim->lots = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	sim->now = NS_PER_S;
	return sim;
}

void sim_free(struct sim *sim)
{
	for (unsigned i = 0; i < sim->n_nodes; i++)
		free(sim->node[i].slots);
	free(sim);
}

struct sim_node *sim_node(struct sim *sim, const char *name)
{
	for (unsigned i = 0; i < sim->n_nodes; i++) {
		if (!strcmp(sim->node[i].name, name))
			return &sim->node[i];
	}
	fail_msg("no node %s", name);
	return NULL;
}

struct vdp_assoc sim_vsi(enum vdp_request request, unsigned x, uint16_t vid)
{
	struct vdp_assoc a = { .request = request,
			       .type_id = 5,
			       .version = 1,
			       .id = { .format = VSI_ID_UUID,
				       .octets = { [14] = (uint8_t)(x >> 8), [15] = (uint8_t)x } },
			       .filters = { .format = VDP_FILTER_MAC_VID } };
	struct vdp_filter f = { .mac = { { 0x52, 0x54, 0, 0, (uint8_t)(x >> 8), (uint8_t)x } },
				.vid = vid };

	vdp_filter_add(&a.filters, EVB_RATIFIED, f);
	return a;
}

static unsigned number_of(const struct vsi *v)
{
	return (unsigned)v->id.octets[14] << 8 | v->id.octets[15];
}

static void append(char *log, char c)
{
	size_t n = strlen(log);

	if (n + 1 < SIM_LOG) {
		log[n] = c;
		log[n + 1] = 0;
	}
}

/* ---- wires ---- */

static enum sim_kind kind_of(const uint8_t *frame, size_t size)
{
	struct cursor c = cursor_of(frame, size);
	struct envelope e = envelope_read(&c);
	enum evb_generation g;
	struct ecp_pdu pdu;

	if (e.ethertype == ETHERTYPE_LLDP)
		return e.dst.b[5] == 3 ? SIM_CDCP : SIM_LLDP;
	assert_true(ecp_generation(e.ethertype, &g));
	assert_int_equal(ecp_pdu_decode(g, c, &pdu), MALFORMED_none);
	return pdu.operation == ECP_ACK ? SIM_ACK : SIM_ECP;
}

/* ---- what every frame of every scenario keeps to, read without the codecs ---- */

/* Type and length of the TLV at `o`, which ends before `end`. */
static unsigned tlv_at(const uint8_t *o, const uint8_t *end, unsigned *type)
{
	unsigned size = (o[0] & 1u) << 8 | o[1];

	assert_true(o + 2 + size <= end);
	*type = o[0] >> 1;
	return size;
}

/* Checklist 3 to 5: length, reserved bits, the end that it is. */
static void check_ratified_evb(const struct sim_node *n, const uint8_t *value, unsigned size)
{
	bool is_station = n->link.evb.config.role == EVB_STATION;

	assert_int_equal(size, 9);
	assert_int_equal(value[4] & 0xf8, 0);
	assert_int_equal(value[5] & 0xf0, 0);
	assert_int_equal(value[8] & 0xc0, 0);
	assert_int_equal(value[7] >> 6, is_station ? 2 : 1);
}

/* 21 */
static void check_cdcp(const uint8_t *value, unsigned size)
{
	assert_true(size > 8 && (size - 8) % 3 == 0 && (size - 8) / 3 <= 167);
	assert_memory_equal(value + 8, ((uint8_t[]){ 0x00, 0x10, 0x01 }), 3);
}

/* 1, 2, 17, 19, 20 */
static void check_lldp(const struct sim_node *n, enum sim_kind kind, const uint8_t *frame,
		       size_t size)
{
	static const uint8_t oui_8021[] = { 0x00, 0x80, 0xc2 }, oui_draft[] = { 0x00, 0x1b, 0x3f };
	const uint8_t *o = frame + 14, *end = frame + size;
	unsigned type, n_tlvs = 0, n_evb = 0, n_cdcp = 0, length, ttl = 1;

	for (;; o += 2 + length) {
		length = tlv_at(o, end, &type);
		if (!type)
			break;
		assert_true(n_tlvs < 3 ? type == n_tlvs + 1 : type > 3);
		n_tlvs++;
		if (type == 3)
			ttl = (unsigned)o[2] << 8 | o[3];
		if (type != 127)
			continue;
		if (!memcmp(o + 2, oui_8021, 3) && o[5] == 0x0d)
			n_evb++, check_ratified_evb(n, o + 2, length);
		else if (!memcmp(o + 2, oui_draft, 3) && o[5] == 0)
			n_evb++, assert_int_equal(length, 13);
		else if (!memcmp(o + 2, oui_8021, 3) && o[5] == 0x0e)
			n_cdcp++, check_cdcp(o + 2, length);
		else
			fail_msg("a TLV that nobody knows");
	}
	assert_int_equal(length, 0);
	for (o += 2; o < end; o++)
		assert_int_equal(*o, 0);
	assert_true(n_tlvs >= 3 && (ttl || n_tlvs == 3));
	assert_int_equal(n_evb, kind == SIM_LLDP && ttl);
	assert_int_equal(n_cdcp, kind == SIM_CDCP && ttl);
}

/* 30, 31, 39, 40, 42, 59: in ratified frames only; others are those of the drafts. */
static void check_ecp(const struct sim_node *n, enum sim_kind kind, const uint8_t *frame,
		      size_t size)
{
	const uint8_t *o = frame + 18, *end = frame + size;
	unsigned type, length, n_vsis = 0;

	if (frame[12] != 0x89)
		return;
	assert_memory_equal(frame, ((uint8_t[]){ 1, 0x80, 0xc2, 0, 0, 0 }), 6);
	assert_int_equal(frame[14], kind == SIM_ACK ? 0x14 : 0x10);
	assert_int_equal(frame[15], 1);
	assert_true(size <= 1514);
	if (kind == SIM_ACK) {
		assert_int_equal(size, 18);
		return;
	}
	length = tlv_at(o, end, &type);
	assert_true(type == 5 && length == 16);
	for (o += 2 + length; (length = tlv_at(o, end, &type)), type; o += 2 + length) {
		assert_in_range(type, 1, 4);
		assert_true(length >= 25);
		if (n->link.evb.config.role == EVB_STATION)
			assert_int_equal(o[2] & ~0x30, 0);
		else /* an answer, or a De-Associate of its own accord */
			assert_true(o[2] & 0x40 || (type == 4 && !o[2]));
		n_vsis++;
	}
	assert_true(!length && o + 2 == end && n_vsis);
}

static void fly(struct sim *sim, const struct sim_node *from, const uint8_t *frame, size_t size)
{
	struct sim_frame *f = &sim->flight[sim->n_flight++];

	assert_true(sim->n_flight < SIM_FLIGHT);
	f->at = sim->now + from->delay;
	if (from->jitter)
		f->at += (tstamp)(sim_lot(sim) % (uint64_t)from->jitter);
	f->order = sim->order++;
	f->to = from->peer;
	f->size = size;
	memcpy(f->octets, frame, size);
}

static void on_send(void *ctx, const uint8_t *frame, size_t size)
{
	struct sim_node *n = ctx;
	struct sim *sim = n->sim;
	enum sim_kind kind = kind_of(frame, size);

	assert_true(n->alive);
	assert_in_range(size, 18, ENVELOPE_FRAME_MAX);
	if (kind == SIM_LLDP || kind == SIM_CDCP)
		check_lldp(n, kind, frame, size);
	else
		check_ecp(n, kind, frame, size);
	if (kind == SIM_ECP) {
		if (n->sent[kind])
			n->least_gap = tstamp_earlier(n->least_gap, sim->now - n->last_request);
		n->last_request = sim->now;
	}
	n->sent[kind]++;
	memcpy(n->last[kind], frame, size);
	n->last_size[kind] = size;
	if (n->drop[kind]) {
		n->drop[kind]--;
		return;
	}
	if (n->mute || n->peer < 0 || sim_lot(sim) % 100 < n->loss)
		return;
	fly(sim, n, frame, size);
	if (sim_lot(sim) % 100 < n->twice)
		fly(sim, n, frame, size);
}

static int first_in_flight(const struct sim *sim)
{
	int first = -1;

	for (unsigned i = 0; i < sim->n_flight; i++) {
		const struct sim_frame *f = &sim->flight[i];
		const struct sim_frame *g = first < 0 ? NULL : &sim->flight[first];

		if (!g || f->at < g->at || (f->at == g->at && f->order < g->order))
			first = (int)i;
	}
	return first;
}

static void arrive(struct sim *sim, int i)
{
	struct sim_frame f = sim->flight[i];
	struct sim_node *n = &sim->node[f.to];
	uint8_t *exact = malloc(f.size); /* so that a sanitizer sees what is read beyond it */

	sim->flight[i] = sim->flight[--sim->n_flight];
	assert_non_null(exact);
	memcpy(exact, f.octets, f.size);
	if (n->alive &&
	    !(n->has_cdcp && lldp_received(&n->wire, sim->now, cursor_of(exact, f.size))))
		evb_link_received(&n->link, sim->now, cursor_of(exact, f.size));
	free(exact);
}

static tstamp node_deadline(const struct sim_node *n)
{
	if (!n->alive)
		return TSTAMP_NEVER;
	return tstamp_earlier(evb_link_deadline(&n->link),
			      n->has_cdcp ? tstamp_earlier(lldp_deadline(&n->wire),
							   cdcp_deadline(&n->cdcp)) :
					    TSTAMP_NEVER);
}

static void run_nodes(struct sim *sim)
{
	for (unsigned i = 0; i < sim->n_nodes; i++) {
		struct sim_node *n = &sim->node[i];

		if (node_deadline(n) > sim->now)
			continue;
		evb_link_run(&n->link, sim->now);
		if (n->has_cdcp) {
			cdcp_run(&n->cdcp, sim->now);
			lldp_run(&n->wire, sim->now);
		}
		assert_true(node_deadline(n) > sim->now); /* else it would never end */
	}
}

void sim_run(struct sim *sim, tstamp until)
{
	for (;;) {
		int first = first_in_flight(sim);
		tstamp at = first < 0 ? TSTAMP_NEVER : sim->flight[first].at;

		for (unsigned i = 0; i < sim->n_nodes; i++)
			at = tstamp_earlier(at, node_deadline(&sim->node[i]));
		if (at > until)
			break;
		if (at > sim->now)
			sim->now = at;
		if (first >= 0 && sim->flight[first].at <= sim->now)
			arrive(sim, first);
		run_nodes(sim);
	}
	sim->now = until;
}

/* ---- hooks of the machines ---- */

static void on_neighbour(void *ctx, enum lldp_event event, const struct lldp_neighbour *n)
{
}

static void on_changed(void *ctx, tstamp now)
{
}

static void on_reflect(void *ctx, tstamp now, bool on)
{
	struct sim_node *n = ctx;

	if (n->plane_slow)
		return;
	n->reflects = on;
	evb_reflects(&n->link.evb, now, on);
}

static void on_ask(void *ctx, tstamp now, struct vdp_ticket ticket, const struct vsi *v)
{
	struct sim_node *n = ctx;
	struct vdp_decision d = n->decision;
	struct vdp_filters filters = v->asked.filters;

	if (n->silent)
		return;
	for (uint16_t i = 0; i < filters.n; i++) {
		struct vdp_filter f = vdp_filter_at(&filters, i);

		if (!(f.vid & VDP_VID))
			f.vid |= n->vid;
		vdp_filter_set(&filters, i, f);
	}
	d.filters = &filters;
	vdp_bridge_decide(&n->link.bridge, now, ticket, &d);
}

static bool on_apply(void *ctx, tstamp now, const struct vsi *v, const struct vdp_assoc *stands)
{
	struct sim_node *n = ctx;
	unsigned x = number_of(v);

	append(n->plane[x], stands ? "prA"[stands->request - 1] : '-');
	n->open[x] = stands && stands->request == VDP_ASSOCIATE;
	return true;
}

static void on_outcome(void *ctx, tstamp now, enum vdp_outcome outcome, const struct vsi *v,
		       uint8_t status)
{
	append(((struct sim_node *)ctx)->told[number_of(v)], "SKERTV"[outcome]);
}

static void on_wire_tlvs(void *ctx, struct writer *w)
{
	cdcp_write_tlv(&((struct sim_node *)ctx)->cdcp, w);
}

static bool on_wire_wanted(void *ctx, const struct lldp_pdu *pdu)
{
	return cdcp_is_wanted(&((struct sim_node *)ctx)->cdcp, pdu);
}

static void on_wire_peer(void *ctx, tstamp now, const struct lldp_pdu *pdu)
{
	cdcp_peer(&((struct sim_node *)ctx)->cdcp, now, pdu);
}

static void on_wire_advertise(void *ctx, tstamp now)
{
	lldp_changed(&((struct sim_node *)ctx)->wire, now);
}

static void on_channel(void *ctx, tstamp now, uint16_t scid, uint16_t svid)
{
	struct sim_node *n = ctx;

	assert_true(!svid != !n->svid[scid]);
	n->svid[scid] = svid;
	if (svid)
		n->n_channels++;
	else
		n->n_channels--;
	n->n_lost += !svid;
}

/* ---- the language ---- */

enum { WORDS_MAX = 32 };

struct line {
	const char *scenario, *text;
	char buffer[200];
	char *word[WORDS_MAX];
	unsigned n;
};

static void wrong(const struct line *l, const char *what)
{
	fail_msg("%s: '%s': %s", l->scenario, l->text, what);
}

static long number(const struct line *l, unsigned i)
{
	char *end;
	long v = i < l->n ? strtol(l->word[i], &end, 10) : -1;

	if (i >= l->n || *end)
		wrong(l, "a number is missing");
	return v;
}

static tstamp time_of(const struct line *l, const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (!strcmp(end, "s"))
		return (tstamp)(v * NS_PER_S);
	if (!strcmp(end, "ms"))
		return (tstamp)(v * NS_PER_MS);
	if (strcmp(end, "us"))
		wrong(l, "a time is missing");
	return (tstamp)(v * NS_PER_US);
}

/* One KEY VALUE of EVB and CDCP; false if it is of something else. */
static bool set_protocol(const struct line *l, unsigned i, struct evb_config *evb,
			 struct cdcp_config *cdcp)
{
	static const char *const dialects[] = { "auto", "ratified", "draft" };
	const char *key = l->word[i], *value = i + 1 < l->n ? l->word[i + 1] : "";
	char *at;

	if (!strcmp(key, "rr"))
		evb->reflective_relay = number(l, i + 1);
	else if (!strcmp(key, "gid"))
		evb->group_id = number(l, i + 1);
	else if (!strcmp(key, "manual"))
		evb->manual = number(l, i + 1);
	else if (!strcmp(key, "cap"))
		evb->cap = (uint8_t)number(l, i + 1);
	else if (!strcmp(key, "retries"))
		evb->values.retries = (uint8_t)number(l, i + 1);
	else if (!strcmp(key, "rte"))
		evb->values.rte = (uint8_t)number(l, i + 1);
	else if (!strcmp(key, "rwd"))
		evb->values.rwd = (uint8_t)number(l, i + 1);
	else if (!strcmp(key, "rka"))
		evb->values.rka = (uint8_t)number(l, i + 1);
	else if (!strcmp(key, "chancap"))
		cdcp->capacity = (uint16_t)number(l, i + 1);
	else if (!strcmp(key, "pool"))
		sscanf(value, "%hu-%hu", &cdcp->svid_low, &cdcp->svid_high);
	else if (!strcmp(key, "channels")) {
		cdcp->n_wanted = 0;
		for (at = l->word[i + 1]; at && *at >= '0'; at += *at == ',')
			cdcp->wanted[cdcp->n_wanted++] = (uint16_t)strtol(at, &at, 10);
	} else if (!strcmp(key, "dialect")) {
		for (unsigned d = 0; d < ARRAY_SIZE(dialects); d++) {
			if (!strcmp(value, dialects[d]))
				evb->dialect = (enum evb_dialect)d;
		}
	} else {
		return false;
	}
	return true;
}

static void add_node(struct sim *sim, const struct line *l, enum evb_role role)
{
	unsigned x = sim->n_nodes++;
	struct sim_node *n = &sim->node[x];
	struct evb_link_config config = { .evb = evb_config_default(role),
					  .lldp = lldp_config_default(),
					  .n_slots = SIM_VSIS };
	struct cdcp_config cdcp = { .role = role == EVB_STATION ? CDCP_STATION : CDCP_BRIDGE,
				    .capacity = CDCP_CHANNELS_MAX,
				    .s_component = true };
	uint8_t mac[6] = { 2, 0, 0, 0, 0, (uint8_t)(x + 1) };

	assert_true(sim->n_nodes <= SIM_NODES && l->n >= 2);
	snprintf(n->name, sizeof(n->name), "%s", l->word[1]);
	config.ecp.sequence = (uint16_t)sim_lot(sim);
	for (unsigned i = 2; i < l->n; i += 2) {
		if (!strcmp(l->word[i], "hold"))
			config.lldp.hold = (uint16_t)number(l, i + 1);
		else if (!strcmp(l->word[i], "vsis"))
			config.n_slots = (uint32_t)number(l, i + 1);
		else if (!strcmp(l->word[i], "sequence"))
			config.ecp.sequence = (uint16_t)number(l, i + 1);
		else if (!set_protocol(l, i, &config.evb, &cdcp))
			wrong(l, "no such key");
		n->has_cdcp |= !strcmp(l->word[i], "channels") || !strcmp(l->word[i], "pool");
	}
	n->sim = sim;
	n->peer = -1;
	n->alive = true;
	n->least_gap = TSTAMP_NEVER;
	n->slots = calloc(config.n_slots ? config.n_slots : 1, sizeof(*n->slots));
	config.slots = n->slots;
	memcpy(config.ecp.src.b, mac, 6);
	memcpy(config.lldp.src.b, mac, 6);
	config.lldp.self.chassis = lldp_id_of(LLDP_CHASSIS_MAC, mac, 6);
	config.lldp.self.port = lldp_id_of(LLDP_PORT_MAC, mac, 6);
	evb_link_init(&n->link, &config,
		      &(struct evb_link_hooks){ on_send, on_neighbour, on_changed, on_reflect,
						on_ask, on_apply, on_outcome, n });
	config.lldp.scope = LLDP_NON_TPMR;
	cdcp_init(&n->cdcp, &cdcp, &(struct cdcp_hooks){ on_wire_advertise, on_channel, n });
	lldp_init(&n->wire, &config.lldp,
		  &(struct lldp_hooks){ on_send, on_wire_tlvs, on_wire_wanted, on_wire_peer,
					on_neighbour, n });
}

static void set_link(struct sim *sim, struct sim_node *n, bool up)
{
	evb_link_up(&n->link, sim->now, up);
	lldp_link(&n->wire, sim->now, up);
}

static void be_reborn(struct sim *sim, struct sim_node *n)
{
	struct cdcp cdcp = n->cdcp;
	struct lldp wire = n->wire;

	cdcp_init(&n->cdcp, &cdcp.config, &cdcp.hooks);
	lldp_init(&n->wire, &wire.config, &wire.hooks);
	memset(n->svid, 0, sizeof(n->svid));
	n->n_channels = 0;
	lldp_link(&n->wire, sim->now, wire.link_up);
}

static struct sim_node *peer_of(struct sim *sim, const struct line *l, struct sim_node *n)
{
	if (n->peer < 0)
		wrong(l, "has no link");
	return &sim->node[n->peer];
}

/* Keys of the wire, for both ways. */
static bool set_wire(struct sim *sim, const struct line *l, unsigned i, struct sim_node *a)
{
	struct sim_node *b = peer_of(sim, l, a);
	const char *key = l->word[i];

	if (!strcmp(key, "delay"))
		a->delay = b->delay = number(l, i + 1) * NS_PER_MS;
	else if (!strcmp(key, "jitter"))
		a->jitter = b->jitter = number(l, i + 1) * NS_PER_MS;
	else if (!strcmp(key, "loss"))
		a->loss = b->loss = (unsigned)number(l, i + 1);
	else if (!strcmp(key, "twice"))
		a->twice = b->twice = (unsigned)number(l, i + 1);
	else
		return false;
	return true;
}

static void connect_nodes(struct sim *sim, const struct line *l)
{
	struct sim_node *a = sim_node(sim, l->word[1]), *b = sim_node(sim, l->word[2]);

	a->peer = (int)(b - sim->node);
	b->peer = (int)(a - sim->node);
	for (unsigned i = 3; i < l->n; i += 2) {
		if (!set_wire(sim, l, i, a))
			wrong(l, "no such key");
	}
	set_link(sim, a, true);
	set_link(sim, b, true);
}

static void set(struct sim *sim, const struct line *l, struct sim_node *n)
{
	struct evb_config evb = n->link.evb.config;
	struct cdcp_config cdcp = n->cdcp.config;

	for (unsigned i = 2; i < l->n; i += 2) {
		if (!set_protocol(l, i, &evb, &cdcp) && !set_wire(sim, l, i, n))
			wrong(l, "no such key");
	}
	evb_configure(&n->link.evb, sim->now, &evb);
	cdcp_configure(&n->cdcp, sim->now, &cdcp);
}

static enum sim_kind kind_named(const struct line *l, const char *name)
{
	static const char *const kinds[] = { "lldp", "cdcp", "ecp", "ack" };

	for (unsigned k = 0; k < SIM_KINDS_N; k++) {
		if (!strncmp(name, kinds[k], strlen(kinds[k])))
			return (enum sim_kind)k;
	}
	wrong(l, "no such kind of frame");
	return SIM_LLDP;
}

static void manage(const struct line *l, struct sim_node *n)
{
	for (unsigned i = 2; i < l->n; i++) {
		const char *word = l->word[i];

		if (!strcmp(word, "accept")) {
			n->decision = (struct vdp_decision){ .error = VDP_SUCCESS };
			n->silent = false;
		} else if (!strcmp(word, "silent")) {
			n->silent = true;
		} else if (!strcmp(word, "refuse")) {
			n->decision =
				(struct vdp_decision){ .error = (enum vdp_error)number(l, ++i) };
			n->silent = false;
		} else if (!strcmp(word, "hard")) {
			n->decision.hard = true;
		} else if (!strcmp(word, "keep")) {
			n->decision.keep = true;
		} else if (!strcmp(word, "vid")) {
			n->vid = (uint16_t)number(l, ++i);
		} else {
			wrong(l, "no such word");
		}
	}
}

static void forget_counts(struct sim_node *n)
{
	memset(n->sent, 0, sizeof(n->sent));
	memset(n->told, 0, sizeof(n->told));
	memset(n->plane, 0, sizeof(n->plane));
	n->least_gap = TSTAMP_NEVER;
	n->n_lost = 0;
	n->link.ecp.stats = (struct ecp_stats){ 0 };
}

static void plane(struct sim *sim, const struct line *l, struct sim_node *n)
{
	n->plane_slow = !strcmp(l->word[2], "slow");
	if (!strcmp(l->word[2], "done")) {
		n->reflects = n->link.evb.wants_reflect;
		evb_reflects(&n->link.evb, sim->now, n->reflects);
	}
}

/* ---- what is expected ---- */

static const char *vsi_state(struct sim_node *n, unsigned x, uint16_t *vid)
{
	static const char *const names[] = { "wait", "pre", "prerr", "assoc" };
	bool is_station = n->link.evb.config.role == EVB_STATION;
	struct vdp_assoc a = sim_vsi(VDP_ASSOCIATE, x, 1);
	const struct vsi *v =
		vsi_find(is_station ? &n->link.station.table : &n->link.bridge.table, &a.id);

	*vid = 0;
	if (!v)
		return "none";
	if (v->held.request)
		*vid = vdp_filter_at(&v->held.filters, 0).vid;
	return names[v->held.request];
}

static bool contains(const uint8_t *octets, size_t size, const struct hex *h)
{
	return memmem(octets, size, h->octets, h->size);
}

static void expect_number(const struct line *l, unsigned i, uint64_t got)
{
	char text[40];

	snprintf(text, sizeof(text), "it is %llu", (unsigned long long)got);
	if ((uint64_t)number(l, i) != got)
		wrong(l, text);
}

static void expect_word(const struct line *l, unsigned i, const char *got)
{
	char text[100];

	snprintf(text, sizeof(text), "it is '%s'", got);
	if (strcmp(i < l->n ? l->word[i] : "", got))
		wrong(l, text);
}

static void expect_sent(const struct line *l, const struct sim_node *n)
{
	enum sim_kind kind = kind_named(l, l->word[3]);
	const char *most = strstr(l->word[3], "<=");
	char text[40];

	if (!most) {
		expect_number(l, 4, n->sent[kind]);
		return;
	}
	snprintf(text, sizeof(text), "it is %u", n->sent[kind]);
	if (n->sent[kind] > strtoul(most + 2, NULL, 10))
		wrong(l, text);
}

static void expect_last(const struct line *l, const struct sim_node *n)
{
	enum sim_kind kind = kind_named(l, l->word[3]);
	char all[200] = "", text[300];
	struct hex h;

	for (unsigned i = 4; i < l->n; i++)
		strncat(all, l->word[i], sizeof(all) - strlen(all) - 1);
	h = hex_of(all);
	for (size_t i = 0; i < n->last_size[kind] && i < 100; i++)
		snprintf(text + 2 * i, sizeof(text) - 2 * i, "%02x", n->last[kind][i]);
	if (!contains(n->last[kind], n->last_size[kind], &h))
		wrong(l, text);
}

/* Of the EVB link as a whole; false if it is of something else. */
static bool expect_link(const struct line *l, struct sim_node *n)
{
	static const char *const rr[] = { "off", "on", "2", "unknown" };
	const struct evb *e = &n->link.evb;
	const char *what = l->word[2];

	if (!strcmp(what, "rr"))
		expect_word(l, 3, rr[e->status]);
	else if (!strcmp(what, "reflect"))
		expect_number(l, 3, n->reflects);
	else if (!strcmp(what, "gen"))
		expect_word(l, 3, e->generation == EVB_DRAFT ? "draft" : "ratified");
	else if (!strcmp(what, "peer"))
		expect_number(l, 3, e->has_peer);
	else if (!strcmp(what, "gid"))
		expect_number(l, 3, e->group_id);
	else if (!strcmp(what, "retries"))
		expect_number(l, 3, e->values.retries);
	else if (!strcmp(what, "rte"))
		expect_number(l, 3, e->values.rte);
	else if (!strcmp(what, "rwd"))
		expect_number(l, 3, e->values.rwd);
	else if (!strcmp(what, "rka"))
		expect_number(l, 3, e->values.rka);
	else if (!strcmp(what, "channels"))
		expect_number(l, 3, n->n_channels);
	else if (!strcmp(what, "lost"))
		expect_number(l, 3, n->n_lost);
	else if (!strcmp(what, "channel"))
		expect_number(l, 4, n->svid[number(l, 3) & 0xfff]);
	else
		return false;
	return true;
}

static void expect(const struct line *l, struct sim_node *n)
{
	const char *what = l->word[2];
	unsigned x = l->n > 3 ? (unsigned)atoi(l->word[3]) % SIM_VSIS : 0;
	uint16_t vid;

	if (expect_link(l, n))
		return;
	if (!strcmp(what, "vsi"))
		expect_word(l, 4, vsi_state(n, x, &vid));
	else if (!strcmp(what, "vid"))
		vsi_state(n, x, &vid), expect_number(l, 4, vid);
	else if (!strcmp(what, "told"))
		expect_word(l, 4, n->told[x]);
	else if (!strcmp(what, "plane"))
		expect_word(l, 4, n->plane[x]);
	else if (!strcmp(what, "open"))
		expect_number(l, 4, n->open[x]);
	else if (!strcmp(what, "vsis"))
		expect_number(l, 3,
			      n->link.evb.config.role == EVB_STATION ?
				      n->link.station.table.n_used :
				      n->link.bridge.table.n_used);
	else if (!strcmp(what, "delivered"))
		expect_number(l, 3, n->link.ecp.stats.acks_sent - n->link.ecp.stats.duplicates);
	else if (!strcmp(what, "given_up"))
		expect_number(l, 3, n->link.ecp.stats.given_up);
	else if (!strcmp(what, "sent"))
		expect_sent(l, n);
	else if (!strcmp(what, "last"))
		expect_last(l, n);
	else if (!strncmp(what, "gap>=", 5)) {
		if (n->least_gap < time_of(l, what + 5))
			wrong(l, "it is less");
	} else
		wrong(l, "no such thing to expect");
}

/* ---- commands ---- */

static bool vsi_command(struct sim *sim, const struct line *l, struct sim_node *n)
{
	static const char *const requests[] = { "pre", "prerr", "assoc", "deassoc" };
	struct vdp_assoc a;

	for (unsigned r = 0; r < ARRAY_SIZE(requests); r++) {
		if (strcmp(l->word[0], requests[r]))
			continue;
		a = sim_vsi((enum vdp_request)(r + 1), (unsigned)number(l, 2),
			    (uint16_t)(l->n > 3 ? number(l, 3) : 0));
		if (vdp_station_request(&n->link.station, sim->now, &a))
			wrong(l, "the station refuses");
		return true;
	}
	return false;
}

static void node_command(struct sim *sim, const struct line *l, struct sim_node *n)
{
	const char *verb = l->word[0];
	struct vdp_assoc a;

	if (!strcmp(verb, "expect"))
		expect(l, n);
	else if (!strcmp(verb, "set"))
		set(sim, l, n);
	else if (!strcmp(verb, "cut") || !strcmp(verb, "join")) {
		set_link(sim, n, verb[0] == 'j');
		set_link(sim, peer_of(sim, l, n), verb[0] == 'j');
	} else if (!strcmp(verb, "mute") || !strcmp(verb, "unmute"))
		n->mute = verb[0] == 'm';
	else if (!strcmp(verb, "drop"))
		n->drop[kind_named(l, l->word[3])] = (unsigned)number(l, 2);
	else if (!strcmp(verb, "kill"))
		n->alive = false;
	else if (!strcmp(verb, "reborn"))
		be_reborn(sim, n);
	else if (!strcmp(verb, "stop")) {
		evb_link_stop(&n->link, sim->now);
		lldp_stop(&n->wire, sim->now);
	} else if (!strcmp(verb, "start")) {
		lldp_start(&n->link.lldp, sim->now);
		lldp_start(&n->wire, sim->now);
	} else if (!strcmp(verb, "manager"))
		manage(l, n);
	else if (!strcmp(verb, "plane"))
		plane(sim, l, n);
	else if (!strcmp(verb, "count"))
		forget_counts(n);
	else if (!strcmp(verb, "revoke")) {
		a = sim_vsi(VDP_ASSOCIATE, (unsigned)number(l, 2), 1);
		if (!vdp_bridge_revoke(&n->link.bridge, sim->now, &a.id))
			wrong(l, "there is no such VSI");
	} else if (!vsi_command(sim, l, n))
		wrong(l, "no such command");
}

static void command(struct sim *sim, const struct line *l)
{
	const char *verb = l->word[0];

	if (l->n < 2)
		wrong(l, "too short");
	else if (!strcmp(verb, "station") || !strcmp(verb, "bridge"))
		add_node(sim, l, verb[0] == 's' ? EVB_STATION : EVB_BRIDGE);
	else if (!strcmp(verb, "link"))
		connect_nodes(sim, l);
	else if (!strcmp(verb, "run"))
		sim_run(sim, sim->now + time_of(l, l->word[1]));
	else if (!strcmp(verb, "at"))
		sim_run(sim, NS_PER_S + time_of(l, l->word[1]));
	else
		node_command(sim, l, sim_node(sim, l->word[1]));
}

void sim_play(struct sim *sim, const char *name, const char *text)
{
	while (*text) {
		size_t size = strcspn(text, "\n;");
		struct line l = { .scenario = name, .text = l.buffer };
		char copy[sizeof(l.buffer)], *rest = copy, *word;

		assert_true(size < sizeof(copy));
		memcpy(copy, text, size);
		copy[size] = 0;
		memcpy(l.buffer, copy, size + 1);
		while ((word = strtok_r(rest, " \t", &rest)) && l.n < WORDS_MAX)
			l.word[l.n++] = word;
		if (l.n && l.word[0][0] != '#')
			command(sim, &l);
		text += size + (text[size] != 0);
	}
}
