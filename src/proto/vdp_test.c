// SPDX-License-Identifier: Apache-2.0
/*
 * VDP at both ends in virtual time, without ECP between them: a PDU arrives at once, or not at all.
 * The numbers are lines of the conformance checklist of the reference.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "hex_fixture.h"
#include "vdp_bridge.h"
#include "vdp_station.h"

#define MS NS_PER_MS
#define S NS_PER_S

enum { VSIS = 64, LOG_SIZE = 200 };

struct pair {
	struct vdp_station s;
	struct vdp_bridge b;
	struct vsi s_slots[VSIS], b_slots[VSIS];
	enum evb_generation generation;
	tstamp now;
	bool to_bridge, to_station; /* what the link lets through */
	/* The manager: */
	struct vdp_decision decision;
	bool is_silent, plane_is_full;
	uint16_t vid;		  /* that it fills in */
	struct vdp_ticket ticket; /* of the last question */
	unsigned n_questions;
	char plane
		[LOG_SIZE]; /* what the data plane was told: p pre-associated, r RR, A, - nothing */
	char told[LOG_SIZE];   /* what the client was told: S stands, K kept, E, R refused, T, V */
	uint8_t status;	       /* with it */
	struct vdp_assoc held; /* what the station held then */
	unsigned n_pdus;       /* from the bridge */
	uint8_t octets[ECP_PAYLOAD_MAX]; /* the last one */
	size_t size;
};

static void on_wake(void *ctx)
{
}

static void append(char *log, char c)
{
	size_t n = strlen(log);

	assert_true(n + 1 < LOG_SIZE);
	log[n] = c;
	log[n + 1] = 0;
}

static void on_outcome(void *ctx, tstamp now, enum vdp_outcome outcome, const struct vsi *v,
		       uint8_t status)
{
	struct pair *p = ctx;

	append(p->told, "SKERTV"[outcome]);
	p->status = status;
	p->held = v->held;
}

static void on_ask(void *ctx, tstamp now, struct vdp_ticket ticket, const struct vsi *v)
{
	struct pair *p = ctx;
	struct vdp_decision d = p->decision;
	struct vdp_filters filters = v->asked.filters;

	p->ticket = ticket;
	p->n_questions++;
	if (p->is_silent)
		return;
	for (uint16_t i = 0; p->vid && i < filters.n; i++) {
		struct vdp_filter f = vdp_filter_at(&filters, i);

		if (!(f.vid & VDP_VID))
			f.vid |= p->vid;
		vdp_filter_set(&filters, i, f);
	}
	d.filters = p->vid ? &filters : NULL;
	vdp_bridge_decide(&p->b, now, ticket, &d);
}

static bool on_apply(void *ctx, tstamp now, const struct vsi *v, const struct vdp_assoc *stands)
{
	struct pair *p = ctx;

	if (stands && p->plane_is_full)
		return false;
	append(p->plane, stands ? "prA"[stands->request - 1] : '-');
	return true;
}

static void start_generation(struct pair *p, enum evb_generation g)
{
	struct evb_timing timing = evb_timing_of(g, evb_values_default());
	struct vdp_station_hooks sh = { on_wake, on_outcome, p };
	struct vdp_bridge_hooks bh = { on_wake, on_ask, on_apply, p };

	memset(p, 0, sizeof(*p));
	p->to_bridge = p->to_station = true;
	p->generation = g;
	vdp_station_init(&p->s, p->s_slots, VSIS, &sh);
	vdp_bridge_init(&p->b, p->b_slots, VSIS, &bh);
	vdp_station_link(&p->s, 0, true);
	vdp_station_agree(&p->s, 0, g, &timing, false);
	vdp_bridge_agree(&p->b, 0, g, &timing, false);
}

static void start(struct pair *p)
{
	start_generation(p, EVB_RATIFIED);
}

/* PDUs go to and fro until nobody has any. */
static void exchange(struct pair *p)
{
	uint8_t octets[ECP_PAYLOAD_MAX];
	bool any;

	do {
		struct writer w = writer_of(octets, sizeof(octets));
		struct writer back = writer_of(p->octets, sizeof(p->octets));

		any = vdp_station_fill(&p->s, p->now, &w);
		if (any && p->to_bridge)
			vdp_bridge_deliver(&p->b, p->now, cursor_of(octets, w.size));
		if (!vdp_bridge_fill(&p->b, p->now, &back))
			continue;
		any = true;
		p->n_pdus++;
		p->size = back.size;
		if (p->to_station)
			vdp_station_deliver(&p->s, p->now, cursor_of(p->octets, p->size));
	} while (any);
}

static void pass(struct pair *p, tstamp until)
{
	tstamp at;

	exchange(p);
	while ((at = tstamp_earlier(vdp_station_deadline(&p->s), vdp_bridge_deadline(&p->b))) <=
	       until) {
		p->now = at;
		vdp_station_run(&p->s, at);
		vdp_bridge_run(&p->b, at);
		exchange(p);
	}
	p->now = until;
}

static struct vdp_assoc want(enum vdp_request request, uint8_t x, uint16_t vid)
{
	struct vdp_assoc a = { .request = request,
			       .type_id = 5,
			       .version = 4,
			       .manager = { { 11 } },
			       .id = { .format = VSI_ID_UUID, .octets = { 0x11, x } },
			       .filters = { .format = VDP_FILTER_MAC_VID } };
	struct vdp_filter f = { .mac = { { 0x52, 0, 0, 0, 0, x } }, .vid = vid };

	assert_true(vdp_filter_add(&a.filters, EVB_RATIFIED, f));
	return a;
}

static int request(struct pair *p, enum vdp_request r, uint8_t x, uint16_t vid)
{
	struct vdp_assoc a = want(r, x, vid);

	return vdp_station_request(&p->s, p->now, &a);
}

/* A request and its outcome. */
static void request_told(struct pair *p, enum vdp_request r, uint16_t vid, const char *told)
{
	p->told[0] = 0;
	assert_int_equal(request(p, r, 1, vid), 0);
	exchange(p);
	assert_string_equal(p->told, told);
}

/* Give the bridge a payload, and compare what it says. */
static void assert_answers(struct pair *p, const char *text, const char *answer)
{
	struct hex in = hex_of(text), out = hex_of(answer);
	struct writer w = writer_of(p->octets, sizeof(p->octets));

	vdp_bridge_deliver(&p->b, p->now, hex_cursor(&in));
	assert_int_equal(vdp_bridge_fill(&p->b, p->now, &w), out.size > 0);
	assert_int_equal(w.size, out.size);
	assert_memory_equal(p->octets, out.octets, out.size);
}

#define MANAGER "0a10 0b000000000000000000000000000000"
#define UUID "11010000000000000000000000000000"

/* 42, 50, 57: the octets both ways, and what the data plane is told. */
static void a_life_to_the_octet(void **state)
{
	static struct pair p;
	struct hex req =
		hex_of(MANAGER "0621 30 000005 04 05" UUID "02 0001 520000000001 00c8 0000");
	struct vdp_assoc a = want(VDP_ASSOCIATE, 1, 200);
	uint8_t octets[100];
	struct writer w = writer_of(octets, sizeof(octets));

	start(&p);
	a.status = VDP_SUSPEND | VDP_MIGRATE | VDP_ACK | VDP_OTHER; /* of these, the hints only */
	assert_int_equal(vdp_station_request(&p.s, 0, &a), 0);
	assert_true(vdp_station_fill(&p.s, 0, &w));
	assert_int_equal(w.size, req.size);
	assert_memory_equal(octets, req.octets, req.size);
	vdp_bridge_deliver(&p.b, 0, cursor_of(octets, w.size));
	assert_string_equal(p.plane, "A");
	exchange(&p);
	req.octets[20] = VDP_ACK;
	assert_memory_equal(p.octets, req.octets, req.size);
	assert_string_equal(p.told, "S");
	vdp_station_run(&p.s, p.s.timing.keep_alive);
	w = writer_of(octets, sizeof(octets));
	assert_true(vdp_station_fill(&p.s, p.s.timing.keep_alive, &w));
	assert_int_equal(octets[20], 0); /* hints are of the request, not of its repetition */
	vdp_bridge_deliver(&p.b, 0, cursor_of(octets, w.size));
	exchange(&p);
	request_told(&p, VDP_DE_ASSOCIATE, 200, "E");
	assert_string_equal(p.plane, "A-");
	assert_int_equal(p.s.table.n_used + p.b.table.n_used, 0);
	assert_true(vdp_station_deadline(&p.s) == TSTAMP_NEVER);
	assert_true(vdp_bridge_deadline(&p.b) == TSTAMP_NEVER);
}

/* A station that began anew ends what its bridge still has; and what it has not, either. */
static void de_associate_unknown(void **state)
{
	static struct pair p;
	struct vsi_id id = want(VDP_ASSOCIATE, 1, 5).id;

	start(&p);
	request_told(&p, VDP_ASSOCIATE, 5, "S");
	vsi_free(&p.s.table, vsi_find(&p.s.table, &id));
	request_told(&p, VDP_DE_ASSOCIATE, 5, "E");
	assert_string_equal(p.plane, "A-");
	request_told(&p, VDP_DE_ASSOCIATE, 5, "E");
	assert_int_equal(p.s.table.n_used + p.b.table.n_used, 0);
}

static void requests_that_are_not_made(void **state)
{
	static struct pair p;
	struct vdp_assoc a = want(VDP_ASSOCIATE, 1, 4095), by_id = want(VDP_DE_ASSOCIATE, 9, 1);

	start(&p);
	assert_int_equal(vdp_station_request(&p.s, 0, &a), -EINVAL);
	a = want(VDP_MANAGER, 1, 1);
	assert_int_equal(vdp_station_request(&p.s, 0, &a), -EINVAL);
	a = want(VDP_ASSOCIATE, 1, 1);
	a.type_id = 0x1000000;
	assert_int_equal(vdp_station_request(&p.s, 0, &a), -EINVAL);
	a = want(VDP_ASSOCIATE, 1, 1);
	a.filters.format = VDP_FILTER_GROUP_MAC_VID; /* 15 */
	a.filters.octets[0] = 1;
	memcpy(a.filters.octets + 4, "\x52\0\0\0\0\1\0\2", 8);
	assert_int_equal(vdp_station_request(&p.s, 0, &a), -EOPNOTSUPP);
	p.s.group_id = true;
	assert_int_equal(vdp_station_request(&p.s, 0, &a), 0);
	assert_int_equal(vdp_station_request(&p.s, 0, &a), -EBUSY);
	by_id.filters.n = 0;
	assert_int_equal(vdp_station_request(&p.s, 0, &by_id), -EINVAL);
	for (uint8_t x = 2; x <= VSIS; x++)
		assert_int_equal(request(&p, VDP_ASSOCIATE, x, 1), 0);
	assert_int_equal(request(&p, VDP_ASSOCIATE, VSIS + 1, 1), -ENOSPC);
	p.s.generation = EVB_DRAFT;
	assert_int_equal(vdp_station_request(&p.s, 0, &a), -EOPNOTSUPP);
}

/* Upwards only: 1 to 2 to 3, and never back. */
static void requests_grow(void **state)
{
	static struct pair p;

	start(&p);
	request_told(&p, VDP_PRE_ASSOCIATE, 200, "S");
	request_told(&p, VDP_PRE_ASSOCIATE_RR, 200, "S");
	assert_int_equal(request(&p, VDP_PRE_ASSOCIATE, 1, 200), -EINVAL);
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	assert_int_equal(request(&p, VDP_PRE_ASSOCIATE_RR, 1, 200), -EINVAL);
	request_told(&p, VDP_ASSOCIATE, 300, "S"); /* another VLAN */
	assert_string_equal(p.plane, "prAA");
	assert_int_equal(p.n_questions, 4);
}

/* 43 */
static void a_silent_bridge_is_a_timeout_and_a_retry_works(void **state)
{
	static struct pair p;

	start(&p);
	p.to_bridge = false;
	assert_int_equal(request(&p, VDP_ASSOCIATE, 1, 200), 0);
	pass(&p, p.s.timing.response_wait - 1);
	assert_string_equal(p.told, "");
	pass(&p, p.s.timing.response_wait);
	assert_string_equal(p.told, "T");
	assert_int_equal(p.s.table.n_used, 0);
	p.to_bridge = true;
	request_told(&p, VDP_ASSOCIATE, 200, "S");
}

/* As long as ECP has not taken it, and the link is up, the time does not count. */
static void waiting_for_ones_turn_is_no_timeout(void **state)
{
	static struct pair p;

	start(&p);
	request(&p, VDP_ASSOCIATE, 1, 200);
	vdp_station_run(&p.s, 60 * S);
	assert_string_equal(p.told, "");
	p.now = 60 * S;
	exchange(&p);
	assert_string_equal(p.told, "S");
	vdp_station_link(&p.s, p.now, false);
	request(&p, VDP_ASSOCIATE, 2, 200);
	vdp_station_run(&p.s, 120 * S);
	assert_string_equal(p.told, "ST");
}

/* 44, 56 */
static void keep_alives(void **state)
{
	static struct pair p;

	start(&p);
	p.vid = 77;
	request_told(&p, VDP_ASSOCIATE, 0, "S");
	pass(&p, 3600 * S);
	assert_int_equal(p.s.stats.keep_alives, 3600 * S / p.s.timing.keep_alive);
	assert_int_equal(p.b.stats.keep_alives, p.s.stats.keep_alives);
	assert_string_equal(p.plane, "A");
	assert_string_equal(p.told, "S");
	assert_int_equal(p.n_questions, 1);
	assert_memory_equal(p.octets + 49 - 4 + 6, "\0\x4d", 2); /* the VID, in the last response */
}

/* 49, 58 */
static void a_vid_is_filled_in_and_stays(void **state)
{
	static struct pair p;

	start(&p);
	p.vid = 77;
	request_told(&p, VDP_PRE_ASSOCIATE, 0, "S");
	assert_int_equal(vdp_filter_at(&p.held.filters, 0).vid, 77);
	request_told(&p, VDP_ASSOCIATE, 0, "S"); /* a client that does not know it */
	assert_int_equal(vdp_filter_at(&p.held.filters, 0).vid, 77);
	p.vid = 78;
	request_told(&p, VDP_ASSOCIATE, 0, "S"); /* nothing new: as before */
	assert_int_equal(vdp_filter_at(&p.held.filters, 0).vid, 77);
	request_told(&p, VDP_DE_ASSOCIATE, 0, "E");
	assert_string_equal(p.plane, "pA-");
	assert_memory_equal(p.octets + 51, "\0\x4d", 2); /* the bridge is told of what stood */
}

/* A manager that leaves VID 0 as it is, or changes what was not open, is not believed. */
static void a_manager_cannot_leave_it_open(void **state)
{
	static struct pair p;
	struct vdp_assoc other = want(VDP_ASSOCIATE, 1, 201);

	start(&p);
	request_told(&p, VDP_ASSOCIATE, 0, "R");
	assert_int_equal(p.status, VDP_ACK | VDP_INVALID_FILTER);
	assert_string_equal(p.plane, "");
	p.is_silent = true;
	request(&p, VDP_ASSOCIATE, 1, 200);
	exchange(&p);
	p.decision.filters = &other.filters;
	vdp_bridge_decide(&p.b, p.now, p.ticket, &p.decision);
	exchange(&p);
	assert_string_equal(p.told, "RR");
}

/* 45, 53 */
static void a_refusal_ends_it(void **state)
{
	static struct pair p;

	start(&p);
	p.decision = (struct vdp_decision){ .error = VDP_OTHER, .hard = true, .keep = true };
	request_told(&p, VDP_ASSOCIATE, 200, "R");
	assert_int_equal(p.status, VDP_ACK | VDP_HARD | VDP_OTHER); /* no KEEP: it is the first */
	assert_int_equal(p.s.table.n_used + p.b.table.n_used, 0);
	p.decision = (struct vdp_decision){ .error = VDP_SUCCESS };
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	p.decision.error = VDP_NO_RESOURCES;
	request_told(&p, VDP_ASSOCIATE, 300, "R"); /* another, without KEEP: the former goes, too */
	assert_string_equal(p.plane, "A-");
}

/* 46 */
static void keep_keeps(void **state)
{
	static struct pair p;

	start(&p);
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	p.decision = (struct vdp_decision){ .error = VDP_NO_RESOURCES, .keep = true };
	request_told(&p, VDP_ASSOCIATE, 300, "K");
	assert_int_equal(p.status, VDP_ACK | VDP_KEEP | VDP_NO_RESOURCES);
	request_told(&p, VDP_ASSOCIATE, 300, "K"); /* what was refused is no keep-alive */
	assert_int_equal(vdp_filter_at(&p.held.filters, 0).vid, 200);
	assert_string_equal(p.plane, "A");
	p.told[0] = 0;
	pass(&p, p.now + 60 * S);
	assert_string_equal(p.told, "");
	assert_int_equal(p.n_questions, 3);
	p.decision.error = VDP_SUCCESS;
	p.plane_is_full = true;
	request_told(&p, VDP_ASSOCIATE, 300, "K");
	request_told(&p, VDP_DE_ASSOCIATE, 0, "E");
	assert_string_equal(p.plane, "A-");
}

/* 47 */
static void the_bridge_revokes(void **state)
{
	static struct pair p;
	struct vsi_id id = want(VDP_ASSOCIATE, 1, 1).id;

	start(&p);
	assert_false(vdp_bridge_revoke(&p.b, 0, &id));
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	p.told[0] = 0;
	assert_true(vdp_bridge_revoke(&p.b, p.now, &id));
	assert_false(vdp_bridge_revoke(&p.b, p.now, &id)); /* it is leaving */
	assert_string_equal(p.plane, "A-");		   /* before it is told */
	exchange(&p);
	assert_string_equal(p.told, "V");
	assert_int_equal(p.octets[18] >> 1, VDP_DE_ASSOCIATE);
	assert_int_equal(p.octets[20], 0);
	assert_int_equal(p.s.table.n_used + p.b.table.n_used, 0);
	request_told(&p, VDP_ASSOCIATE, 200, "S"); /* as libvirt does then */
}

/* 48: each field of a response in turn is another. */
static void a_response_that_differs_is_ignored(void **state)
{
	static const struct {
		const char *name;
		uint8_t offset, flip;
		bool counts;
	} row[] = {
		{ "as it is", 0, 0, true },
		{ "manager", 3, 1, false },
		{ "type of request", 18, (VDP_ASSOCIATE ^ VDP_PRE_ASSOCIATE) << 1, false },
		{ "ACK", 20, VDP_ACK, false },
		{ "type ID", 23, 1, false },
		{ "version", 24, 1, false },
		{ "VSIID format", 25, 1, false },
		{ "VSIID", 26, 1, false },
		{ "filter format", 42, VDP_FILTER_MAC_VID ^ VDP_FILTER_VID, false },
		{ "number of entries", 44, 1 ^ 2, false },
		{ "MAC", 50, 1, false },
		{ "VID", 52, 1, false },
		{ "PS", 51, 0x80, true }, /* it had none, so the bridge may say */
	};
	static struct pair p;

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		start(&p);
		p.to_station = false;
		request(&p, VDP_ASSOCIATE, 1, 200);
		exchange(&p);
		p.octets[row[i].offset] ^= row[i].flip;
		vdp_station_deliver(&p.s, 0, cursor_of(p.octets, p.size));
		if (!p.told[0] == row[i].counts)
			fail_msg("%s: %s", row[i].name, p.told);
	}
}

/* 51 */
static void a_manager_that_says_nothing(void **state)
{
	static struct pair p;
	struct vdp_ticket late;

	start(&p);
	p.is_silent = true;
	request(&p, VDP_ASSOCIATE, 1, 200);
	pass(&p, p.b.timing.resource_wait - 1);
	assert_int_equal(p.n_pdus, 0);
	late = p.ticket;
	pass(&p, p.b.timing.resource_wait);
	assert_string_equal(p.told, "V"); /* De-Associate */
	vdp_bridge_decide(&p.b, p.now, late, &p.decision);
	assert_int_equal(p.b.table.n_used, 0);

	p.is_silent = false;
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	p.is_silent = true;
	p.told[0] = 0;
	request(&p, VDP_ASSOCIATE, 1, 300);
	pass(&p, p.now + p.b.timing.resource_wait);
	assert_string_equal(p.told, "K");
	assert_int_equal(p.status, VDP_ACK | VDP_KEEP | VDP_NO_MANAGER);
	assert_string_equal(p.plane, "A");
	vdp_bridge_decide(&p.b, p.now, p.ticket, &p.decision);
	assert_string_equal(p.plane, "A");

	start(&p);
	request_told(&p, VDP_PRE_ASSOCIATE, 200, "S"); /* KEEP is for associations only */
	p.is_silent = true;
	request(&p, VDP_ASSOCIATE, 1, 200);
	pass(&p, p.now + p.b.timing.resource_wait);
	assert_string_equal(p.told, "SV");
	assert_string_equal(p.plane, "p-");
}

/* Responses that our own bridge does not give, or not at that time. */
static void responses_out_of_turn(void **state)
{
	static const struct {
		const char *name;
		enum { FIRST, STANDING, QUEUED } when;
		uint8_t type, status;
		const char *told;
	} row[] = {
		{ "KEEP for what never stood", FIRST, VDP_ASSOCIATE, 0x62, "R" },
		{ "De-Associate as a refusal", FIRST, VDP_DE_ASSOCIATE, 0x40, "R" },
		{ "the same, with an error", FIRST, VDP_DE_ASSOCIATE, 0x44, "R" },
		{ "a refusal of what stands", STANDING, VDP_ASSOCIATE, 0x44, "S" },
		{ "before it was sent", QUEUED, VDP_ASSOCIATE, 0x44, "S" },
	};
	static struct pair p;

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		start(&p);
		request_told(&p, VDP_ASSOCIATE, 200, "S"); /* the slot has a past */
		request_told(&p, VDP_DE_ASSOCIATE, 200, "E");
		p.told[0] = 0;
		p.to_station = row[i].when != FIRST;
		request(&p, VDP_ASSOCIATE, 1, 200);
		exchange(&p);
		if (row[i].when == QUEUED)
			request(&p, VDP_ASSOCIATE, 1, 200);
		p.octets[18] = (uint8_t)(row[i].type << 1);
		p.octets[20] = row[i].status;
		vdp_station_deliver(&p.s, 0, cursor_of(p.octets, p.size));
		if (strcmp(p.told, row[i].told))
			fail_msg("%s: %s", row[i].name, p.told);
	}
}

/* Another type or version is another question, though the VSI is the same. */
static void what_is_no_repetition(void **state)
{
	static struct pair p;
	struct vdp_assoc a = want(VDP_ASSOCIATE, 1, 200);

	start(&p);
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	for (unsigned i = 0; i < 3; i++) {
		a.type_id += i == 0;
		a.version = (uint8_t)(a.version + (i == 1));
		a.manager.octets[1] = i == 2;
		assert_int_equal(vdp_station_request(&p.s, p.now, &a), 0);
		exchange(&p);
		assert_int_equal(p.n_questions, 2 + i);
	}
	assert_string_equal(p.plane, "AAAA");
	assert_int_equal(p.b.table.n_used, 1);
}

/* What was to be said of the former life of a VSI is not said in the next. */
static void a_new_question_replaces_an_old_answer(void **state)
{
	static struct pair p;
	struct hex again =
		hex_of(MANAGER "0621 00 000005 04 05" UUID "02 0001 520000000001 00c8 0000");
	struct writer w = writer_of(p.octets, sizeof(p.octets));

	start(&p);
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	assert_true(vdp_bridge_revoke(&p.b, p.now, &p.held.id));
	p.is_silent = true;
	vdp_bridge_deliver(&p.b, p.now, hex_cursor(&again));
	assert_false(vdp_bridge_fill(&p.b, p.now, &w));
	vdp_bridge_decide(&p.b, p.now, p.ticket, &p.decision);
	assert_true(vdp_bridge_fill(&p.b, p.now, &w));
	assert_int_equal(p.octets[20], VDP_ACK);
	assert_int_equal(p.b.table.n_used, 1); /* it is not over with that */
}

/* A manager that answers later, and one whose question has been replaced by another. */
static void decisions_come_later(void **state)
{
	static struct pair p;
	struct vdp_ticket first;
	struct vdp_assoc a = want(VDP_ASSOCIATE, 1, 300);
	uint8_t octets[100];
	struct writer w = writer_of(octets, sizeof(octets));

	start(&p);
	p.is_silent = true;
	request(&p, VDP_ASSOCIATE, 1, 200);
	exchange(&p);
	first = p.ticket;
	vdp_pdu_begin(&w, EVB_RATIFIED, &a.manager);
	vdp_assoc_encode(&w, EVB_RATIFIED, &a);
	for (unsigned i = 0; i < 3; i++) /* asked once, however often it is said */
		vdp_bridge_deliver(&p.b, 0, cursor_of(octets, w.size));
	assert_int_equal(p.n_questions, 2);
	vdp_bridge_decide(&p.b, 0, first, &p.decision);
	vdp_bridge_decide(&p.b, 0, (struct vdp_ticket){ 9999, 1 }, &p.decision);
	assert_string_equal(p.plane, "");
	vdp_bridge_decide(&p.b, 0, p.ticket, &p.decision);
	vdp_bridge_decide(&p.b, 0, p.ticket, &p.decision);
	assert_string_equal(p.plane, "A");
	assert_int_equal(vdp_filter_at(&p.b_slots[p.ticket.slot].held.filters, 0).vid, 300);
}

/* 52, 54, 59, and 15: what needs no VSI is answered all the same. */
static void answers_without_a_vsi(void **state)
{
	static const struct {
		const char *tlv, *answer;
	} row[] = {
		{ "0601 00", "0601 41" },
		{ "0600", "" },
		{ "061b 00 000005 04 06" UUID "01 0001 0002",
		  "061b 41 000005 04 06" UUID "01 0001 0002" },
		{ "061b 00 000005 04 05" UUID "05 0001 0002",
		  "061b 41 000005 04 05" UUID "05 0001 0002" },
		{ "021b 20 000005 04 05" UUID "01 0001 0fff",
		  "021b 45 000005 04 05" UUID "01 0001 0fff" },
		{ "0621 00 000005 04 05" UUID "02 0001 010000000001 0002",
		  "0621 45 000005 04 05" UUID "02 0001 010000000001 0002" },
		{ "061f 00 000005 04 05" UUID "03 0001 00000001 0002",
		  "061f 41 000005 04 05" UUID "03 0001 00000001 0002" },
		{ "081b 00 000005 04 05" UUID "01 0001 0002",
		  "081b 40 000005 04 05" UUID "01 0001 0002" },
		{ "061b 40 000005 04 05" UUID "01 0001 0002", "" },
		{ "061b 41 000005 04 05" UUID "01 0001 0fff", "" },
		{ "0c1b 00 000005 04 05" UUID "01 0001 0002", "" },
	};
	static struct pair p;

	start(&p);
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		char in[300], out[300];

		snprintf(in, sizeof(in), "%s %s 0000", MANAGER, row[i].tlv);
		snprintf(out, sizeof(out), "%s %s 0000", MANAGER, row[i].answer);
		assert_answers(&p, in, row[i].answer[0] ? out : "");
	}
	assert_int_equal(p.b.table.n_used, 0);
	assert_int_equal(p.n_questions, 0);
}

/* 50, 58: all fields and all entries in their order; what was left open is filled in. */
static void an_answer_repeats_the_question(void **state)
{
	static struct pair p;

	start(&p);
	assert_answers(&p, /* lldpad's Associate, which has no End TLV */
		       "0a10 626c61626c6100000000000000000000 0621 00 000005 04 05"
		       "11111111222233334444555555555555 02 0001 520000112233 00c8",
		       "0a10 626c61626c6100000000000000000000 0621 40 000005 04 05"
		       "11111111222233334444555555555555 02 0001 520000112233 00c8 0000");
	p.vid = 77;
	assert_answers(&p,
		       MANAGER "0631 20 000005 04 05" UUID
			       "02 0003 520000000009 00c8 520000000001 b0c9 520000000005 0000 0000",
		       MANAGER
		       "0631 40 000005 04 05" UUID
		       "02 0003 520000000009 00c8 520000000001 b0c9 520000000005 004d 0000");
	assert_answers(&p, /* as it was asked, and as it was answered */
		       MANAGER "0631 00 000005 04 05" UUID
			       "02 0003 520000000009 00c8 520000000001 b0c9 520000000005 0000 0000",
		       MANAGER
		       "0631 40 000005 04 05" UUID
		       "02 0003 520000000009 00c8 520000000001 b0c9 520000000005 004d 0000");
	assert_answers(&p,
		       MANAGER "0831 00 000005 04 05" UUID
			       "02 0003 520000000009 00c8 520000000001 b0c9 520000000005 004d 0000",
		       MANAGER
		       "0831 40 000005 04 05" UUID
		       "02 0003 520000000009 00c8 520000000001 b0c9 520000000005 004d 0000");
}

/* Nothing that comes makes the ring grow; managers are not mixed. */
static void the_ring_is_bounded(void **state)
{
	static struct pair p;
	struct hex bad = hex_of(MANAGER "0601 00 0000");
	unsigned n_pdus = 0;

	start(&p);
	for (unsigned i = 0; i < 2 * VDP_LOOSE_MAX; i++) {
		bad.octets[17] = (uint8_t)(i / 40);
		vdp_bridge_deliver(&p.b, 0, hex_cursor(&bad));
	}
	assert_int_equal(p.b.n_loose, VDP_LOOSE_MAX);
	assert_int_equal(p.b.stats.unanswered, VDP_LOOSE_MAX);
	for (;; n_pdus++) {
		struct writer w = writer_of(p.octets, sizeof(p.octets));

		if (!vdp_bridge_fill(&p.b, 0, &w))
			break;
	}
	assert_int_equal(n_pdus, 2);
}

static void a_full_table_says_so(void **state)
{
	static struct pair p;

	start(&p);
	vsi_table_init(&p.b.table, p.b_slots, 1);
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	assert_int_equal(request(&p, VDP_ASSOCIATE, 2, 200), 0);
	exchange(&p);
	assert_string_equal(p.told, "SR");
	assert_int_equal(p.status, VDP_ACK | VDP_NO_RESOURCES);
}

/* 55 */
static void a_station_that_went_away(void **state)
{
	static struct pair p;

	start(&p);
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	p.to_bridge = false;
	p.told[0] = 0;
	pass(&p, p.b.timing.keep_alive_timeout - 1);
	assert_string_equal(p.plane, "A");
	pass(&p, p.b.timing.keep_alive_timeout);
	assert_string_equal(p.plane, "A-");
	assert_int_equal(p.octets[20], 0); /* without ACK */
	assert_int_equal(p.octets[18] >> 1, VDP_DE_ASSOCIATE);
	assert_int_equal(p.b.table.n_used, 0);
}

/* A link that flaps costs nothing: what stood is repeated. */
static void a_link_that_flaps(void **state)
{
	static struct pair p;

	start(&p);
	for (uint8_t x = 1; x <= 40; x++)
		request(&p, VDP_ASSOCIATE, x, 200);
	exchange(&p);
	assert_int_equal(p.s.table.n_used, 40);
	vdp_station_link(&p.s, p.now, false);
	pass(&p, p.now + 5 * S);
	assert_true(vdp_station_deadline(&p.s) == TSTAMP_NEVER);
	vdp_station_link(&p.s, p.now, true);
	p.told[0] = p.plane[0] = 0;
	exchange(&p);
	assert_string_equal(p.told, "");
	assert_string_equal(p.plane, "");
	assert_int_equal(p.b.stats.keep_alives, 40);
}

/* 40, 60: many in one PDU, whatever order they were asked in; others' managers in others. */
static void many_are_packed(void **state)
{
	static struct pair p;

	start(&p);
	p.s.window = VSIS;
	for (uint8_t x = 1; x <= 60; x++) {
		struct vdp_assoc a = want(VDP_ASSOCIATE, x, 200);

		struct vdp_filter f = { .mac = { { 2 } }, .vid = 7 };

		a.manager.octets[0] = x % 3 ? 1 : 2;
		for (unsigned i = 0; i < x % 7;
		     i++) /* so that what is left is now more, now less */
			assert_true(vdp_filter_add(&a.filters, EVB_RATIFIED, f));
		assert_int_equal(vdp_station_request(&p.s, 0, &a), 0);
	}
	exchange(&p);
	assert_int_equal(p.n_pdus, 3);
	for (unsigned i = 1; i < MALFORMED_N; i++) /* nor is there half a TLV at the end of one */
		assert_int_equal(p.s.stats.malformed[i] + p.b.stats.malformed[i], 0);
	assert_int_equal(strlen(p.told), 60);
	assert_int_equal(strspn(p.told, "S"), 60);
}

/*
 * A bridge like lldpad's: it takes all that comes, answers one VSI each ackTimerInit, and lets go
 * of those that it has not heard of for toutKeepAlive.
 */
struct slow {
	struct pair p;
	struct vdp_assoc waits[4 * VSIS];
	uint32_t n_waits;
	tstamp heard[VSIS + 1]; /* by the number of the VSI */
};

static void slow_take(struct slow *b)
{
	uint8_t octets[ECP_PAYLOAD_MAX];
	struct writer w = writer_of(octets, sizeof(octets));
	struct vdp_pdu_item item;
	struct vdp_pdu pdu;

	if (!vdp_station_fill(&b->p.s, b->p.now, &w))
		return;
	assert_int_equal(vdp_pdu_open(&pdu, EVB_RATIFIED, cursor_of(octets, w.size)), 0);
	while (vdp_pdu_next(&pdu, &item)) {
		struct vdp_assoc *a = &b->waits[b->n_waits++];

		assert_true(b->n_waits < ARRAY_SIZE(b->waits));
		assert_int_equal(vdp_assoc_decode(item.tlv, EVB_RATIFIED, a), MALFORMED_none);
		a->manager = pdu.manager;
	}
}

static void slow_answer(struct slow *b)
{
	uint8_t octets[ECP_PAYLOAD_MAX];
	struct writer w = writer_of(octets, sizeof(octets));
	struct vdp_assoc a = b->waits[0];

	if (!b->n_waits)
		return;
	memmove(b->waits, b->waits + 1, --b->n_waits * sizeof(a));
	a.status = VDP_ACK;
	b->heard[a.id.octets[1]] = b->p.now;
	vdp_pdu_begin(&w, EVB_RATIFIED, &a.manager);
	vdp_assoc_encode(&w, EVB_RATIFIED, &a);
	vdp_pdu_end(&w);
	vdp_station_deliver(&b->p.s, b->p.now, cursor_of(octets, w.size));
}

/* As many as it can keep stand, and stay; the others wait for their turn. */
static void a_slow_bridge_loses_none(void **state)
{
	/* with 10.5 s between keep-alives, one answer each 164 ms or 650 ms: 64 or 16 */
	static const struct {
		uint8_t rte, n, least, most;
	} row[] = { { 14, 60, 60, 60 }, { 16, 60, 16, 27 }, { 16, 10, 10, 10 } };

	for (size_t r = 0; r < ARRAY_SIZE(row); r++) {
		static struct slow b;
		struct evb_values values = { EVB_RETRIES_DEFAULT, row[r].rte, EVB_RWD_DEFAULT,
					     EVB_RKA_DEFAULT };
		struct evb_timing t = evb_timing_of(EVB_RATIFIED, values);

		b = (struct slow){ .n_waits = 0 };
		start(&b.p);
		vdp_station_agree(&b.p.s, 0, EVB_RATIFIED, &t, false);
		for (uint8_t x = 1; x <= row[r].n; x++)
			assert_int_equal(request(&b.p, VDP_ASSOCIATE, x, 200), 0);
		for (; b.p.now < 300 * S; b.p.now += t.ack_wait) {
			for (unsigned i = 0; i < VSIS; i++)
				slow_take(&b);
			slow_answer(&b);
			vdp_station_run(&b.p.s, b.p.now);
			for (unsigned x = 1; x <= VSIS; x++)
				assert_true(!b.heard[x] ||
					    b.p.now - b.heard[x] < t.keep_alive_timeout);
		}
		assert_in_range(strlen(b.p.told), row[r].least, row[r].most);
		assert_int_equal(strspn(b.p.told, "S"), strlen(b.p.told));
		assert_int_equal(b.p.s.stats.mismatched, 0);
		assert_true(b.p.s.n_sent <= b.p.s.window);
	}
}

/* One that answers late but all at once is not slow: nothing but the manager takes its time. */
static void a_late_bridge_is_not_slow(void **state)
{
	static struct slow b;

	b = (struct slow){ .n_waits = 0 };
	start(&b.p);
	for (uint8_t x = 1; x <= 60; x++)
		assert_int_equal(request(&b.p, VDP_ASSOCIATE, x, 200), 0);
	for (unsigned round = 0; round < 4; round++, b.p.now += 3 * S / 2) {
		slow_take(&b);
		slow_take(&b);
		b.p.now += 1 * S;
		while (b.n_waits)
			slow_answer(&b);
	}
	assert_int_equal(strlen(b.p.told), 60);
	assert_int_equal(b.p.s.window, VSIS);
	b.p.s.timing.keep_alive = TSTAMP_NEVER / 2;
	/* No answers: one at a time is left, and a new link begins anew. */
	vdp_station_run(&b.p.s, b.p.now += 20 * S);
	slow_take(&b);
	slow_take(&b);
	vdp_station_run(&b.p.s, b.p.now += 20 * S);
	assert_true(b.p.s.window < VSIS);
	assert_int_equal(b.p.s.n_sent, 0);
	vdp_station_link(&b.p.s, b.p.now, false);
	vdp_station_link(&b.p.s, b.p.now, true);
	assert_int_equal(b.p.s.window, 8);
}

#define DRAFT_IDS "0b 000005 04" UUID

static void drafts_to_the_octet(void **state)
{
	static struct pair p;
	struct hex out = hex_of("fe26 001b3f02 02 00" DRAFT_IDS "02 0001 520000000001 00c8 0000");

	start_generation(&p, EVB_DRAFT);
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	assert_int_equal(p.size, out.size);
	assert_memory_equal(p.octets, out.octets, out.size); /* response 0: the same octets */
	pass(&p, 25 * S);
	assert_int_equal(p.b.stats.keep_alives, 2);
	p.decision.error = VDP_OTHER;
	p.decision.keep = true;
	request_told(&p, VDP_ASSOCIATE, 300, "R"); /* they know no KEEP */
	assert_int_equal(p.octets[7], VDP_DRAFT_UNUSED_TYPE);
	assert_string_equal(p.plane, "A-");
	p.decision.error = VDP_SUCCESS;
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	request_told(&p, VDP_DE_ASSOCIATE, 0, "E");
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	p.told[0] = 0;
	vdp_bridge_revoke(&p.b, p.now, &p.held.id);
	exchange(&p);
	assert_string_equal(p.told, "V");
	/* An answer among bridges, or a De-Associate of nothing: silence, or it would never end. */
	assert_answers(&p, "fe26 001b3f02 03 00" DRAFT_IDS "02 0001 520000000001 00c8 0000", "");
	assert_answers(&p, "fe26 001b3f02 02 02" DRAFT_IDS "02 0001 520000000001 00c8 0000", "");
	assert_answers(&p, "fe26 001b3f02 02 00" DRAFT_IDS "01 0001 520000000001 00c8 0000",
		       "fe26 001b3f02 02 01" DRAFT_IDS "01 0001 520000000001 00c8 0000");
	assert_answers(&p, "0000", ""); /* lldpad's greeting */
}

/* The other generation is spoken from now on: what stands is asked for again. */
static void another_generation(void **state)
{
	static struct pair p;
	struct evb_timing timing = evb_timing_of(EVB_DRAFT, evb_values_default());

	start(&p);
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	vdp_bridge_agree(&p.b, p.now, EVB_DRAFT, &timing, false);
	vdp_station_agree(&p.s, p.now, EVB_DRAFT, &timing, false);
	exchange(&p);
	assert_string_equal(p.plane, "A");
	assert_int_equal(p.b.stats.keep_alives, 1);
}

/* What only the other end may say, and what nobody may. */
static void a_station_ignores(void **state)
{
	static const char *const payloads[] = {
		MANAGER "0621 00 000005 04 05" UUID "02 0001 520000000001 00c8 0000",
		MANAGER "0601 40 0000",
		MANAGER "0821 00 000005 04 05 22" UUID "02 0001 520000000001 00 0000",
		"0a10 0c000000000000000000000000000000 0821 00 000005 04 05" UUID
		"02 0001 520000000001 00c8 0000", /* of another manager */
		"0601 40 0000",
		MANAGER "06ff",
	};
	static struct pair p;

	start(&p);
	request_told(&p, VDP_ASSOCIATE, 200, "S");
	for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
		struct hex h = hex_of(payloads[i]);

		vdp_station_deliver(&p.s, p.now, hex_cursor(&h));
	}
	assert_string_equal(p.told, "S");
	assert_int_equal(p.s.stats.ignored, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_life_to_the_octet),
		cmocka_unit_test(requests_that_are_not_made),
		cmocka_unit_test(de_associate_unknown),
		cmocka_unit_test(requests_grow),
		cmocka_unit_test(a_silent_bridge_is_a_timeout_and_a_retry_works),
		cmocka_unit_test(waiting_for_ones_turn_is_no_timeout),
		cmocka_unit_test(keep_alives),
		cmocka_unit_test(a_vid_is_filled_in_and_stays),
		cmocka_unit_test(a_manager_cannot_leave_it_open),
		cmocka_unit_test(a_refusal_ends_it),
		cmocka_unit_test(keep_keeps),
		cmocka_unit_test(the_bridge_revokes),
		cmocka_unit_test(a_response_that_differs_is_ignored),
		cmocka_unit_test(a_manager_that_says_nothing),
		cmocka_unit_test(responses_out_of_turn),
		cmocka_unit_test(what_is_no_repetition),
		cmocka_unit_test(a_new_question_replaces_an_old_answer),
		cmocka_unit_test(decisions_come_later),
		cmocka_unit_test(answers_without_a_vsi),
		cmocka_unit_test(an_answer_repeats_the_question),
		cmocka_unit_test(the_ring_is_bounded),
		cmocka_unit_test(a_full_table_says_so),
		cmocka_unit_test(a_station_that_went_away),
		cmocka_unit_test(a_link_that_flaps),
		cmocka_unit_test(many_are_packed),
		cmocka_unit_test(a_slow_bridge_loses_none),
		cmocka_unit_test(a_late_bridge_is_not_slow),
		cmocka_unit_test(drafts_to_the_octet),
		cmocka_unit_test(another_generation),
		cmocka_unit_test(a_station_ignores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
