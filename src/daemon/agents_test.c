// SPDX-License-Identifier: Apache-2.0
/*
 * Agents with a real loop and the real clock: a station and a bridge, each with agents of its own,
 * whose hooks carry frames to each other. The octets and times of the machines are tests of proto/.
 */
#include "agents.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lldp_json.h"

enum { PORT_ST = 3, PORT_BR = 0, FRAMES_MAX = 64, PATIENCE_S = 20 };

struct end {
	struct fixture *f;
	struct agents *agents;
	port_id port;
	struct end *other;
	unsigned sent, changed;
	bool reflects, stands;
	unsigned neighbours[LLDP_LINK_LOST + 1];
	unsigned outcomes[VDP_REVOKED + 1];
	struct frame_in {
		uint8_t octets[1518];
		size_t size;
	} in[FRAMES_MAX];
	unsigned n_in;
};

struct fixture {
	struct loop *loop;
	struct end st, br;
	enum vdp_error error; /* of the manager's decisions */
	bool answers;	      /* at once; false: when the test says so */
	bool refuses_apply;
	struct vdp_ticket ticket;
};

static void on_send(void *ctx, port_id port, const uint8_t *frame, size_t size)
{
	struct end *e = ctx, *to = e->other;

	assert_int_equal(port, e->port);
	assert_in_range(size, 60, 1518);
	assert_int_equal(frame[6], 2);
	e->sent++;
	if (to->n_in == FRAMES_MAX)
		return;
	memcpy(to->in[to->n_in].octets, frame, size);
	to->in[to->n_in++].size = size;
}

static void on_reflect(void *ctx, port_id port, bool on)
{
	struct end *e = ctx;

	assert_ptr_equal(e, &e->f->br);
	e->reflects = on;
	agents_reflects(e->agents, port, on);
}

static void on_changed(void *ctx, port_id port)
{
	((struct end *)ctx)->changed++;
}

static void on_neighbour(void *ctx, port_id port, enum lldp_scope scope, enum lldp_event event,
			 const struct lldp_neighbour *n)
{
	((struct end *)ctx)->neighbours[event]++;
}

static void on_channel(void *ctx, port_id port, uint16_t scid, uint16_t svid)
{
	fail_msg("no CDCP here");
}

static void on_ask(void *ctx, port_id port, struct vdp_ticket ticket, const struct vsi *v)
{
	struct end *e = ctx;
	struct vdp_decision d = { .error = e->f->error };

	e->f->ticket = ticket;
	if (e->f->answers)
		agents_decide(e->agents, port, ticket, &d);
}

static bool on_apply(void *ctx, port_id port, const struct vsi *v, const struct vdp_assoc *stands)
{
	struct end *e = ctx;

	if (stands && e->f->refuses_apply)
		return false;
	e->stands = stands;
	return true;
}

static void on_outcome(void *ctx, port_id port, enum vdp_outcome outcome, const struct vsi *v,
		       uint8_t status)
{
	((struct end *)ctx)->outcomes[outcome]++;
}

static struct agent_config config_of(const struct end *e)
{
	bool is_station = e == &e->f->st;
	struct agent_config c = agent_config_default(is_station ? EVB_STATION : EVB_BRIDGE);

	c.has_evb = true;
	c.reflective_relay = true;
	c.mac = (struct mac){ { 2, is_station } };
	snprintf(c.port, sizeof(c.port), "%s", is_station ? "eth0" : "p1");
	return c;
}

static void make_end(struct end *e, struct fixture *f, port_id port, struct end *other)
{
	struct agents_hooks hooks = { on_send,	    on_reflect, on_changed,
				      on_neighbour, on_channel, on_ask,
				      on_apply,	    on_outcome, e };

	*e = (struct end){ .f = f, .port = port, .other = other };
	e->agents = agents_new(f->loop, &hooks);
	assert_non_null(e->agents);
}

static void set(struct end *e, const struct agent_config *c)
{
	assert_int_equal(agents_set(e->agents, e->port, c), 0);
}

static void link_all(struct fixture *f, bool up)
{
	agents_link(f->st.agents, PORT_ST, up);
	agents_link(f->br.agents, PORT_BR, up);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct agent_config c;

	f->loop = loop_new();
	assert_non_null(f->loop);
	loop_turn(f->loop, 0);
	f->answers = true;
	make_end(&f->st, f, PORT_ST, &f->br);
	make_end(&f->br, f, PORT_BR, &f->st);
	c = config_of(&f->st);
	set(&f->st, &c);
	c = config_of(&f->br);
	set(&f->br, &c);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	agents_free(f->st.agents);
	agents_free(f->br.agents);
	loop_free(f->loop);
	free(f);
	return 0;
}

static void deliver(struct end *e)
{
	for (unsigned i = 0; i < e->n_in; i++)
		agents_received(e->agents, e->port, e->in[i].octets, e->in[i].size);
	e->n_in = 0;
}

/* Frames go to and fro until `*what` is `wanted`. */
static void until(struct fixture *f, const bool *what, bool wanted)
{
	tstamp end = loop_now(f->loop) + PATIENCE_S * NS_PER_S;

	while (*what != wanted) {
		assert_true(loop_now(f->loop) < end);
		deliver(&f->st);
		deliver(&f->br);
		loop_turn(f->loop, f->st.n_in || f->br.n_in ? 0 : 10);
	}
}

/* All that is to be said at once is said; ECP leaves gaps between its PDUs. */
static void rest(struct fixture *f)
{
	tstamp end = loop_now(f->loop) + 5 * ECP_GAP;

	while (loop_now(f->loop) < end) {
		deliver(&f->st);
		deliver(&f->br);
		loop_turn(f->loop, 1);
	}
}

static void agree(struct fixture *f)
{
	link_all(f, true);
	until(f, &f->br.reflects, true);
	rest(f);
}

static const struct evb *evb_at(const struct end *e)
{
	return &agents_evb(e->agents, e->port)->evb;
}

static void test_negotiation(void **state)
{
	struct fixture *f = *state;

	rest(f);
	assert_int_equal(f->st.sent + f->br.sent, 0); /* no link */
	agree(f);
	assert_true(evb_at(&f->st)->has_peer && evb_at(&f->br)->has_peer);
	assert_true(f->st.changed && f->br.changed);
	assert_int_equal(f->st.neighbours[LLDP_NEW], 1);
	assert_non_null(agents_lldp(f->st.agents, PORT_ST, LLDP_CUSTOMER_BRIDGE));
	assert_null(agents_lldp(f->st.agents, PORT_ST, LLDP_NEAREST_BRIDGE));
	assert_null(agents_lldp(f->st.agents, PORT_BR, LLDP_CUSTOMER_BRIDGE));
	assert_null(agents_evb(f->st.agents, UINT16_MAX));
	/* The link goes at both ends: nothing is left, and it comes again. */
	link_all(f, false);
	assert_false(f->br.reflects || evb_at(&f->st)->has_peer);
	assert_int_equal(f->st.neighbours[LLDP_LINK_LOST], 1);
	f->st.n_in = f->br.n_in = 0;
	agree(f);
	assert_int_equal(f->st.neighbours[LLDP_NEW], 2);
}

/* What changes only what is said keeps the link; anything else says good-bye and starts anew. */
static void test_set(void **state)
{
	struct fixture *f = *state;
	struct agent_config c = config_of(&f->st);

	agree(f);
	c.reflective_relay = false;
	set(&f->st, &c);
	until(f, &f->br.reflects, false);
	assert_int_equal(f->br.neighbours[LLDP_SHUTDOWN], 0);
	assert_true(evb_at(&f->br)->has_peer);
	c.reflective_relay = true;
	c.values.rka++;
	set(&f->st, &c);
	until(f, &f->br.reflects, true);
	assert_int_equal(f->br.neighbours[LLDP_SHUTDOWN], 0);
	c.mac.b[5] = 9;
	set(&f->st, &c);
	until(f, &f->br.reflects, false);
	assert_int_equal(f->br.neighbours[LLDP_SHUTDOWN], 1);
	agents_link(f->st.agents, PORT_ST, true);
	until(f, &f->br.reflects, true);
	c.dialect = EVB_DRAFT_ONLY;
	set(&f->st, &c);
	until(f, &f->br.reflects, false);
	agents_link(f->st.agents, PORT_ST, true);
	until(f, &f->br.reflects, true);
	assert_int_equal(evb_at(&f->br)->generation, EVB_DRAFT);
	/* Plain LLDP beside it, then alone, then nothing. */
	c.has_evb = false;
	c.scopes = AGENT_SCOPES_ALL;
	set(&f->st, &c);
	until(f, &f->br.reflects, false);
	assert_null(agents_evb(f->st.agents, PORT_ST));
	for (unsigned s = 0; s < LLDP_SCOPES_N; s++)
		assert_non_null(agents_lldp(f->st.agents, PORT_ST, (enum lldp_scope)s));
	c.scopes = 0;
	set(&f->st, &c);
	assert_false(agents_has(f->st.agents, PORT_ST));
	set(&f->st, NULL);
}

static struct vdp_assoc want(enum vdp_request request)
{
	struct vdp_assoc a = { .request = request,
			       .type_id = 5,
			       .id = { .format = VSI_ID_UUID, .octets = { 0x11 } },
			       .filters = { .format = VDP_FILTER_MAC_VID } };
	struct vdp_filter filter = { .mac = { { 0x52, 0, 0, 0, 0, 1 } }, .vid = 10 };

	assert_true(vdp_filter_add(&a.filters, EVB_RATIFIED, filter));
	return a;
}

static void test_vsi(void **state)
{
	struct fixture *f = *state;
	struct vdp_assoc a = want(VDP_ASSOCIATE);
	struct agent_config c = config_of(&f->br);

	agree(f);
	assert_int_equal(agents_vsi_request(f->br.agents, PORT_BR, &a), -ENODEV);
	assert_int_equal(agents_vsi_request(f->st.agents, PORT_ST + 1, &a), -ENODEV);
	assert_int_equal(agents_vsi_request(f->st.agents, PORT_ST, &a), 0);
	until(f, &f->br.stands, true);
	rest(f);
	assert_int_equal(f->st.outcomes[VDP_STANDS], 1);
	assert_int_equal(agents_vsis(agents_evb(f->br.agents, PORT_BR))->n_used, 1);

	assert_false(agents_revoke(f->st.agents, PORT_ST, &a.id)); /* that is the bridge's */
	assert_true(agents_revoke(f->br.agents, PORT_BR, &a.id));
	until(f, &f->br.stands, false);
	rest(f);
	assert_int_equal(f->st.outcomes[VDP_REVOKED], 1);
	assert_false(agents_revoke(f->br.agents, PORT_BR, &a.id));

	f->error = VDP_NO_RESOURCES;
	assert_int_equal(agents_vsi_request(f->st.agents, PORT_ST, &a), 0);
	rest(f);
	assert_int_equal(f->st.outcomes[VDP_REFUSED], 1);
	assert_false(f->br.stands);

	/* The data plane cannot; the manager answers late, and once more. */
	f->error = VDP_SUCCESS;
	f->refuses_apply = true;
	assert_int_equal(agents_vsi_request(f->st.agents, PORT_ST, &a), 0);
	rest(f);
	assert_int_equal(f->st.outcomes[VDP_REFUSED], 2);
	f->refuses_apply = f->answers = false;
	assert_int_equal(agents_vsi_request(f->st.agents, PORT_ST, &a), 0);
	rest(f);
	assert_false(f->br.stands);
	for (unsigned i = 0; i < 2; i++)
		agents_decide(f->br.agents, PORT_BR, f->ticket, &(struct vdp_decision){ 0 });
	rest(f);
	assert_true(f->br.stands);
	assert_int_equal(f->st.outcomes[VDP_STANDS], 2);

	/* The bridge's agent goes: what stood is taken away; answers to nobody do nothing. */
	set(&f->br, NULL);
	assert_false(f->br.stands);
	agents_decide(f->br.agents, PORT_BR, f->ticket, &(struct vdp_decision){ 0 });
	set(&f->br, &c);
	agents_decide(f->br.agents, PORT_BR, f->ticket, &(struct vdp_decision){ 0 });
	assert_false(f->br.stands);
}

/* Freed wherever it is: before a link, with frames and questions under way, after a change. */
static void test_free_anywhere(void **state)
{
	struct fixture *f = *state;
	struct vdp_assoc a = want(VDP_ASSOCIATE);

	for (unsigned steps = 0; steps < 8; steps++) {
		f->answers = false;
		agents_free(f->st.agents);
		make_end(&f->st, f, PORT_ST, &f->br);
		set(&f->st, &(struct agent_config){ 0 });
		if (steps > 0)
			set(&f->st, (struct agent_config[]){ config_of(&f->st) });
		if (steps > 1)
			link_all(f, true);
		if (steps > 2)
			deliver(&f->br);
		if (steps > 3)
			rest(f);
		if (steps > 4)
			agents_vsi_request(f->st.agents, PORT_ST, &a);
		if (steps > 5)
			rest(f);
		if (steps > 6)
			link_all(f, false);
		loop_turn(f->loop, 0);
	}
	agents_free(NULL);
}

/* Not LLDP, cut, for another scope, or while there is no link: for nobody, and nothing happens. */
static void test_strangers(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[1518] = { 1, 0x80, 0xc2, 0, 0, 0, 2, [11] = 7, 0x88, 0xcc };

	assert_false(agents_received(f->st.agents, PORT_ST, frame, 60));
	link_all(f, true);
	assert_false(agents_received(f->st.agents, UINT16_MAX, frame, 60));
	frame[5] = 0xe;
	assert_false(agents_received(f->st.agents, PORT_ST, frame, 60));
	frame[5] = 0;
	srandom(1);
	for (unsigned i = 0; i < 20000; i++) {
		size_t size = (size_t)random() % sizeof(frame);

		frame[13] = i & 1 ? 0xcc : 0x40;
		frame[12] = i & 1 ? 0x88 : 0x89;
		for (unsigned k = 14; k < 80; k++)
			frame[k] = (uint8_t)random();
		agents_received(i & 2 ? f->st.agents : f->br.agents, i & 2 ? PORT_ST : PORT_BR,
				frame, size);
	}
	until(f, &f->br.reflects, true);
}

/* ---- LLDP as JSON ---- */

static void is_json(json_t *v, const char *text)
{
	assert_non_null(v);
	assert_string_equal(json_string_value(v), text);
	json_decref(v);
}

static void test_texts(void **state)
{
	uint8_t all[2000];
	json_t *v;

	is_json(lldp_text_json("", 0), "");
	is_json(lldp_text_json("sw 1", 4), "sw 1");
	is_json(lldp_text_json("a\0b\\c\x1b[2J\xc3\xa4", 11), "a\\x00b\\x5cc\\x1b[2J\\xc3\\xa4");
	is_json(lldp_text_json("\x7f\"'", 3), "\\x7f\"'");
	memset(all, 0xff, sizeof(all));
	v = lldp_text_json(all, sizeof(all));
	assert_int_equal(json_string_length(v), 4 * 1500);
	json_decref(v);
}

static void test_ids(void **state)
{
	static const struct {
		bool is_chassis;
		uint8_t subtype;
		const char *octets;
		uint8_t size;
		const char *text;
	} row[] = {
		{ true, LLDP_CHASSIS_MAC, "\2\0\0\0\0\1", 6, "02:00:00:00:00:01" },
		{ true, LLDP_CHASSIS_MAC, "\2\0", 2, "0200" }, /* no MAC */
		{ false, LLDP_PORT_MAC, "\2\0\0\0\0\1", 6, "02:00:00:00:00:01" },
		{ false, LLDP_PORT_NAME, "eth0\n", 5, "eth0\\x0a" },
		{ true, 5, "\1\xc0\0\2\1", 5, "01c0000201" }, /* a network address */
		{ true, 255, "x", 1, "78" },
		{ false, 0, "x", 1, "78" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct lldp_id id = lldp_id_of(row[i].subtype, row[i].octets, row[i].size);

		is_json(lldp_id_json(&id, row[i].is_chassis), row[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_negotiation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vsi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_free_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strangers, setup, teardown),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
