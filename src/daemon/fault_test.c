// SPDX-License-Identifier: Apache-2.0
/*
 * Without memory, or without what the kernel has to give: the Nth allocation or system call fails,
 * for N = 1 until nothing fails any more; once alone, and once with all that follow. Whatever
 * failed is reported with a message, what was there before is still there, whole, and the same
 * request works when there is memory again. What leaks is for the leak sanitizer to see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault.h"

#include "grammar.h"
#include "methods.h"
#include "plane_internal.h"
#include "value.h"

enum {
	CALLS_MAX = 5000, /* more than anything here makes: the loop ends, or the test fails */
	TURNS_MAX = 1000,
};

static const unsigned how_long[] = { 0, FAULT_LASTS };

/* ---- a daemon with memory ports ---- */

struct world {
	struct log log;
	struct events events;
	struct loop *loop;
	struct relay *relay;
	struct plane *plane;
	struct methods methods;
	unsigned n_told; /* events */
};

/* Some of everything; b, c and q learn. */
static const char base[] =
	"bridge add br0\n"
	"port add up bridge br0 memory role uplink\n"
	"port add a bridge br0 memory mac 02:00:00:00:00:01,02:00:00:00:00:02 mode bridge\n"
	"port add b bridge br0 memory\n"
	"port add c bridge br0 memory mac 02:00:00:00:00:03 maclimit 3 trunk 1-10 native 1\n"
	"port add s bridge br0 memory mode source source 02:00:00:00:00:51\n"
	"port add w bridge br0 memory standby on mac 02:00:00:00:00:61\n"
	"bridge add sw0 type learning\n"
	"port add p bridge sw0 memory trunk 1-20 native 1 mac 02:00:00:00:00:70\n"
	"port add q bridge sw0 memory maclimit 8\n"
	"fdb add 02:00:00:00:00:71 port p vlan 7\n";

static const struct {
	const char *port;
	uint8_t mac;
} sources[] = { { "b", 0xb0 }, { "c", 0xc0 }, { "c", 0xc1 }, { "q", 0xd0 }, { "q", 0xd1 } };

/* Requests of the text of a configuration file. */
static json_t *requests_of(const char *text)
{
	struct err e;
	int line;
	json_t *requests = grammar_parse_file(text, strlen(text), &line, &e);

	if (!requests)
		fail_msg("line %d: %s", line, e.message);
	return requests;
}

static void hear(void *aux, enum event_kind kind, const json_t *event)
{
	struct world *w = aux;

	w->n_told++;
}

static void speak(struct world *w, const char *port, uint8_t mac)
{
	uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, mac, 0x88, 0xb5 };
	int id = model_find_port(plane_model(w->plane), port);

	assert_true(id >= 0);
	assert_true(relay_inject(w->relay, (port_id)id, frame, sizeof(frame)));
}

static void learn_sources(struct world *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		speak(w, sources[i].port, sources[i].mac);
	for (int i = 0; i < TURNS_MAX && learn_size(w->plane->learn) < ARRAY_SIZE(sources); i++)
		loop_turn(w->loop, 10);
	assert_int_equal(learn_size(w->plane->learn), ARRAY_SIZE(sources));
	assert_true(plane_view_now(w->plane));
}

static struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));
	json_t *requests = requests_of(base);
	struct rpc_error error;
	struct err e;

	w->log.level = LOG_LEVEL_ERROR;
	w->events = (struct events){ .wanted = ~0u, .sink = hear, .aux = w };
	w->loop = loop_new();
	w->relay = relay_new(1);
	w->plane = plane_new(w->loop, w->relay, &w->log, &w->events, &e);
	assert_non_null(w->plane);
	w->methods = (struct methods){ .plane = w->plane,
				       .loop = w->loop,
				       .relay = w->relay,
				       .log = &w->log,
				       .socket = "sock" };
	assert_int_equal(methods_apply(w->plane, requests, false, &error), 0);
	json_decref(requests);
	learn_sources(w);
	return w;
}

static void world_free(struct world *w)
{
	plane_free(w->plane);
	relay_free(w->relay);
	loop_free(w->loop);
	free(w);
}

/* ---- what is in force ---- */

/* Entries of a table: keys that say all of each. */
static json_t *table_json(const struct owners *table)
{
	json_t *all = json_object();
	char mac[VALUE_MAC_SIZE], key[64];

	for (uint32_t i = 0; i <= table->mask; i++) {
		const struct owner *o = &table->slot[i];

		if (o->port == PORT_NONE)
			continue;
		snprintf(key, sizeof(key), "%s %u %u %u", value_mac_format(o->mac, mac), o->fid,
			 o->vid, o->flags);
		json_object_set_new(all, key, json_integer(o->port));
	}
	return all;
}

/* The tables of a view. */
static json_t *owners_json(const struct fwd_view *v)
{
	return json_pack("[o, o]", table_json(v->owners), table_json(v->listed));
}

static json_t *view_json(const struct fwd_view *v)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < v->n_ports; i++) {
		const struct view_port *p = &v->port[i];

		json_array_append_new(all,
				      json_pack("[I, b, i, i, i, i, i, i, i, i]",
						(json_int_t)(uintptr_t)p->port, p->vlans != NULL,
						(int)p->size_max, p->bridge, p->pvid, p->reserved,
						p->learn_room, p->mode, p->flags, p->offload));
	}
	json_array_append_new(all, owners_json(v));
	return all;
}

static void add_learned(void *aux, const struct plane_learned *l)
{
	char mac[VALUE_MAC_SIZE], key[64];

	snprintf(key, sizeof(key), "%s %u", value_mac_format(l->mac, mac), l->vid);
	json_object_set_new(aux, key, json_pack("[i, b]", l->port, l->ages));
}

/* Model, view, states and learned addresses as they are now, and would be after a rebuild. */
static json_t *state_of(struct world *w)
{
	json_t *learned = json_object(), *none = json_object(), *now;
	struct rpc_error error;

	plane_learned_each(w->plane, add_learned, learned);
	now = view_json(relay_view(w->relay));
	assert_true(plane_view_now(w->plane));
	now = json_pack("[o, o, o, o, o]", now, view_json(relay_view(w->relay)), learned,
			model_requests(plane_model(w->plane)),
			show_ports(&w->methods, none, &error));
	assert_non_null(now);
	json_decref(none);
	return now;
}

static void assert_json_equal(const char *name, unsigned n, const json_t *a, const json_t *b)
{
	char *text[2];

	if (json_equal(a, b))
		return;
	text[0] = json_dumps(a, JSON_SORT_KEYS | JSON_INDENT(1));
	text[1] = json_dumps(b, JSON_SORT_KEYS | JSON_INDENT(1));
	print_error("%s\n---- instead of ----\n%s\n", text[0], text[1]);
	fail_msg("%s: not the same after failure %u", name, n);
}

/* ---- changes ---- */

struct change {
	const char *name, *text;
};

static const struct change changes[] = {
	{ "add a port", "port add d bridge br0 memory mac 02:00:00:00:00:04 vlan 5\n" },
	{ "add a bridge", "bridge add br1\nport add up1 bridge br1 memory role uplink\n" },
	{ "add vhost-user ports",
	  "port add v bridge br0 vhost-user /proc/self/cwd/evb-fault-test.sock\n"
	  "port add vc bridge br0 vhost-user /nowhere/v client\n" },
	{ "set a mode", "port set a mode private\n" },
	{ "set a trunk", "port set a trunk 5-9\n" },
	{ "an address for b, which had learned its own", "port set b mac 02:00:00:00:00:0b\n" },
	{ "a VLAN for b", "port set b vlan 20\n" },
	{ "less room for c", "port set c maclimit 1\n" },
	{ "a longer source list", "port set s source 02:00:00:00:00:51,02:00:00:00:00:52\n" },
	{ "out of standby", "port set w standby off\n" },
	{ "into standby", "port set b standby on\n" },
	{ "passthru", "bridge add br2\nport add x bridge br2 memory mode passthru\n" },
	{ "a VLAN for q", "port set q vlan 3\n" },
	{ "a static entry for what q learned", "fdb add 02:00:00:00:00:d0 port p\n" },
	{ "ageing", "bridge set sw0 ageing 20\n" },
	{ "delete c", "port del c\n" },
	{ "delete the last ports", "port del p\nport del q\nbridge del sw0\n" },
	{ "all anew", "port del a\nport del b\nport del c\nport del s\nport del w\nport del p\n"
		      "port del q\nport del up\nbridge del br0\nbridge del sw0\n"
		      "bridge add br9 type learning\nport add b bridge br9 memory\n"
		      "port add z bridge br9 memory mac 02:00:00:00:00:01\n" },
};

/* The state that the change leads to when nothing fails. Pointers of new ports differ: left out. */
static json_t *aim_of(const json_t *requests)
{
	struct world *w = world_new();
	struct rpc_error error;
	json_t *aim;

	assert_int_equal(methods_apply(w->plane, requests, false, &error), 0);
	aim = json_pack("[o, o]", model_requests(plane_model(w->plane)),
			owners_json(relay_view(w->relay)));
	world_free(w);
	return aim;
}

/* Refused: nothing has changed. Done: it is all there, whatever failed on the way. */
static void check_change(struct world *w, const struct change *c, unsigned n, const json_t *aim)
{
	json_t *now = json_pack("[o, o]", model_requests(plane_model(w->plane)),
				owners_json(relay_view(w->relay)));

	assert_json_equal(c->name, n, now, aim);
	json_decref(now);
}

static void fail_change(const struct change *c, unsigned lasts)
{
	json_t *requests = requests_of(c->text), *aim = aim_of(requests), *before, *now;
	struct world *w = world_new();
	unsigned n = 0, n_failed = 1, n_told, n_refused = 0;
	struct rpc_error error;
	int err;

	before = state_of(w);
	for (; n_failed && n < CALLS_MAX; n++) {
		const struct fwd_view *view = relay_view(w->relay);

		n_told = w->n_told;
		error = (struct rpc_error){ .code = 0 };
		fault_arm(FAULT_MEMORY | FAULT_SYSTEM | lasts, n);
		err = methods_apply(w->plane, requests, false, &error);
		n_failed = fault_disarm();
		if (err) {
			n_refused++;
			assert_true(n_failed && error.code == RPC_REFUSED);
			assert_true(error.err.code > 0 && error.err.message[0]);
			assert_int_equal(w->n_told, n_told);
			assert_ptr_equal(relay_view(w->relay), view);
			now = state_of(w);
			assert_json_equal(c->name, n, now, before);
			json_decref(now);
			continue;
		}
		check_change(w, c, n, aim);
		world_free(w);
		w = world_new();
		if (lasts) /* from here on it does not matter what fails */
			break;
		json_decref(before);
		before = state_of(w);
	}
	assert_in_range(n_refused, 8, CALLS_MAX - 1);
	print_message("%s%s: %u refused, %u done\n", c->name, lasts ? " (lasting)" : "", n_refused,
		      n - n_refused);
	world_free(w);
	json_decref(before);
	json_decref(aim);
	json_decref(requests);
}

static void test_changes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		for (size_t k = 0; k < ARRAY_SIZE(how_long); k++)
			fail_change(&changes[i], how_long[k]);
}

/* ---- learning ---- */

/* Let the loop run until the view has `n` owners. */
static bool await_owners(struct world *w, uint32_t n)
{
	for (int i = 0; i < TURNS_MAX && relay_view(w->relay)->owners->n != n; i++)
		loop_turn(w->loop, 10);
	return relay_view(w->relay)->owners->n == n;
}

/* A new address is reported without memory for it: in the end it is learned, and in the view. */
static void test_learning(void **state)
{
	unsigned n_failed = 1;

	for (unsigned n = 0; n_failed && n < CALLS_MAX; n++) {
		struct world *w = world_new();
		uint32_t n_owners = relay_view(w->relay)->owners->n;
		uint32_t n_learned = learn_size(w->plane->learn);

		speak(w, "c", 0xc2);
		fault_arm(FAULT_MEMORY | FAULT_SYSTEM, n);
		for (int i = 0; i < TURNS_MAX && learn_size(w->plane->learn) == n_learned; i++)
			loop_turn(w->loop, 10);
		for (int i = 0; i < 3; i++) /* the view is made anew some milliseconds later */
			loop_turn(w->loop, 10);
		n_failed = fault_disarm();
		assert_int_equal(learn_size(w->plane->learn), n_learned + 1);
		assert_true(await_owners(w, n_owners + 1));
		world_free(w);
	}
	assert_int_equal(n_failed, 0);
}

/* ---- parts that are made as a whole, or not at all ---- */

struct parts {
	struct loop *loop;
	struct relay *relay;
	struct log log;
	struct events events;
	char path[64];
};

static bool make_relay(struct parts *p)
{
	struct relay *r = relay_new(3);

	assert_true(r || errno);
	relay_free(r);
	return r;
}

static bool make_loop(struct parts *p)
{
	struct loop *l = loop_new();

	assert_true(l || errno);
	loop_free(l);
	return l;
}

static bool make_plane(struct parts *p)
{
	struct err e = { .code = 0 };
	struct plane *plane = plane_new(p->loop, p->relay, &p->log, &p->events, &e);

	assert_true(plane || (e.code > 0 && e.message[0]));
	plane_free(plane);
	return plane;
}

static bool make_server(struct parts *p)
{
	struct err e = { .code = 0 };
	struct server *s = server_new(p->loop, &p->log, &p->events, p->path, &e);

	assert_true(s || (e.code > 0 && e.message[0]));
	server_free(s);
	assert_int_equal(access(p->path, F_OK), -1);
	return s;
}

static bool make_view(struct parts *p)
{
	struct port *port = (struct port *)(void *)p; /* only carried */
	struct vlan_set vlans[2] = { { .w = { 7 } }, { .w = { 9 } } };
	struct view_port ports[3] = { { .port = port, .vlans = &vlans[0] },
				      { .port = port, .vlans = &vlans[1] },
				      { .port = port, .role = FWD_UPLINK } };
	struct owner owner = { .mac = { { 2 } }, .port = 1 };
	bool is_learning = false;
	struct fwd_view *v = view_build(&(struct view_spec){ .generation = 2,
							     .n_ports = 3,
							     .n_bridges = 1,
							     .port = ports,
							     .bridge_is_learning = &is_learning,
							     .owner = &owner,
							     .n_owners = 1,
							     .listed = &owner,
							     .n_listed = 1 });

	assert_true(!v || (v->owners->n == 1 && v->listed->n == 1 && v->bridge[0].uplink == 2));
	view_free(v);
	return v;
}

static bool make_requests(struct parts *p)
{
	struct err e = { .code = 0 };
	int line = -1;
	json_t *requests = grammar_parse_file(base, strlen(base), &line, &e);

	assert_true(requests ? json_array_size(requests) == 11 : e.code > 0 && e.message[0]);
	json_decref(requests);
	return requests;
}

static void fail_making(const char *name, bool (*make)(struct parts *), unsigned lasts)
{
	struct parts p = { .loop = loop_new(), .relay = relay_new(1) };
	char dir[] = "/tmp/evb-fault-test-XXXXXX";
	unsigned n = 0, n_failed = 1, n_fds, n_tasks;

	assert_non_null(mkdtemp(dir));
	snprintf(p.path, sizeof(p.path), "%s/sock", dir);
	assert_true(make(&p)); /* what the C library keeps for itself, it now has */
	n_fds = fault_count("/proc/self/fd");
	n_tasks = fault_count("/proc/self/task");
	for (; n_failed && n < CALLS_MAX; n++) {
		bool made;

		fault_arm(FAULT_MEMORY | FAULT_SYSTEM | lasts, n);
		made = make(&p);
		n_failed = fault_disarm();
		assert_true(made || n_failed);
		loop_turn(p.loop, 0); /* what was removed is freed at the end of a turn */
		assert_int_equal(fault_count("/proc/self/fd"), n_fds);
		assert_int_equal(fault_count("/proc/self/task"), n_tasks);
	}
	assert_in_range(n, 2, CALLS_MAX - 1);
	print_message("%s: %u calls\n", name, n - 1);
	assert_int_equal(rmdir(dir), 0);
	relay_free(p.relay);
	loop_free(p.loop);
}

static void test_making(void **state)
{
	static const struct {
		const char *name;
		bool (*make)(struct parts *p);
	} row[] = {
		{ "view", make_view },	 { "loop", make_loop },	    { "relay", make_relay },
		{ "plane", make_plane }, { "server", make_server }, { "requests", make_requests },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++)
		for (size_t k = 0; k < ARRAY_SIZE(how_long); k++)
			fail_making(row[i].name, row[i].make, how_long[k]);
}

/* All is taken down without memory: nothing of it can fail. */
static void test_taking_down(void **state)
{
	struct world *w = world_new();

	fault_arm(FAULT_MEMORY | FAULT_LASTS, 0);
	world_free(w);
	fault_disarm();
}

/* ---- requests ---- */

struct peer {
	struct world *world;
	struct server *server;
	char dir[64], path[96];
};

static const struct {
	const char *method, *params;
} requests[] = {
	{ "bridge.show", "{}" },
	{ "port.show", "{\"stats\":true}" },
	{ "port.show", "{\"ifname\":\"nobody\"}" },
	{ "fdb.show", "{}" },
	{ "drops.show", "{}" },
	{ "config.show", "{}" },
	{ "config.check", "{\"requests\":[{\"method\":\"bridge.add\","
			  "\"params\":{\"bridge\":\"br0\"}}]}" },
	{ "config.apply", "{\"requests\":[{\"method\":\"port.set\","
			  "\"params\":{\"ifname\":\"a\",\"mode\":\"vepa\"},\"line\":3}]}" },
	{ "config.apply", "{\"requests\":[{\"method\":\"port.set\","
			  "\"params\":{\"ifname\":\"nobody\"},\"line\":3}]}" },
	{ "port.set", "{\"ifname\":\"a\",\"mode\":\"bridge\"}" },
	{ "port.set", "{\"ifname\":\"a\",\"trunk\":\"2-3\"}" },
	{ "port.set", "{\"ifname\":\"a\",\"trunk\":null,\"mtu\":3}" },
	{ "fdb.flush", "{\"port\":\"q\"}" },
	{ "monitor.subscribe", "{\"kinds\":[\"mode\"]}" },
	{ "nonsense", "{}" },
};

static json_t *answer_call(void *aux, struct server_client *client, const char *method,
			   const json_t *params, struct rpc_error *error)
{
	return methods_call(&((struct world *)aux)->methods, client, method, params, error);
}

static void peer_start(struct peer *p)
{
	struct err e;

	p->world = world_new();
	strcpy(p->dir, "/tmp/evb-fault-test-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/sock", p->dir);
	p->server = server_new(p->world->loop, &p->world->log, &p->world->events, p->path, &e);
	assert_non_null(p->server);
	p->world->methods.server = p->server;
	server_start(p->server, answer_call, p->world);
}

static void peer_end(struct peer *p)
{
	server_free(p->server);
	assert_int_equal(rmdir(p->dir), 0);
	world_free(p->world);
}

/* Without what differs from one time to the next. */
static void strip(json_t *answer)
{
	json_t *result = json_object_get(answer, "result"), *entry;
	size_t i;

	json_array_foreach (result, i, entry)
		json_object_del(entry, "age");
}

/*
 * Send a line as a client of its own; `calls` of the server's go well. The answer, NULL if the
 * connection was closed without one. `*n_failed` is how many did not go well.
 */
static json_t *ask(struct peer *p, const char *line, unsigned kinds, unsigned n, unsigned *n_failed)
{
	static char text[1 << 18];
	size_t size = 0;
	int pair[2];
	json_t *answer;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(send(pair[0], line, strlen(line), MSG_NOSIGNAL), strlen(line));
	fault_arm(kinds, n);
	if (!server_adopt(p->server, pair[1]))
		close(pair[1]);
	for (int i = 0; i < 5; i++)
		loop_turn(p->world->loop, 0);
	*n_failed = fault_disarm();
	for (ssize_t got = 1; got > 0; size += got > 0 ? (size_t)got : 0)
		got = recv(pair[0], text + size, sizeof(text) - size, 0);
	close(pair[0]);
	for (int i = 0; i < 3; i++)
		loop_turn(p->world->loop, 0);
	if (!size)
		return NULL;
	assert_int_equal(text[size - 1], '\n');
	answer = json_loadb(text, size, 0, NULL);
	assert_non_null(answer);
	strip(answer);
	return answer;
}

/*
 * An error that is not quite the right answer: the right error, in a shorter message, or it says
 * that there is no memory. Nothing was done.
 */
static void check_error(struct peer *p, const json_t *error, const json_t *right,
			const json_t *before)
{
	const json_t *right_code = json_object_get(json_object_get(right, "error"), "code");
	const json_t *data = json_object_get(error, "data");
	json_t *now = model_requests(plane_model(p->world->plane));
	json_int_t code = json_integer_value(json_object_get(error, "code"));

	assert_true(json_string_length(json_object_get(error, "message")) > 0);
	assert_non_null(json_object_get(data, "hint"));
	if (code != json_integer_value(right_code)) {
		assert_int_equal(code, RPC_REFUSED);
		assert_string_equal(json_string_value(json_object_get(data, "errno")), "ENOMEM");
	}
	assert_json_equal("configuration", 0, now, before);
	json_decref(now);
}

/* A request whose Nth call fails gets its answer, an error, or a closed connection. */
static void fail_request(struct peer *p, const char *line)
{
	json_t *reset = requests_of("port set a mode private vlan 9 mtu 1400\n");
	json_t *right = NULL, *answer, *before;
	unsigned n = 0, n_failed = 1, n_errors = 0, n_closed = 0;
	struct rpc_error error;

	for (; n_failed && n < CALLS_MAX; n++) {
		assert_int_equal(methods_apply(p->world->plane, reset, false, &error), 0);
		before = model_requests(plane_model(p->world->plane));
		if (!right) {
			right = ask(p, line, 0, 0, &n_failed);
			assert_int_equal(methods_apply(p->world->plane, reset, false, &error), 0);
		}
		answer = ask(p, line, FAULT_MEMORY | FAULT_SYSTEM, n, &n_failed);
		n_closed += !answer;
		assert_true(n_failed || answer);
		if (answer && !json_equal(answer, right)) {
			n_errors++;
			if (!json_object_get(answer, "error"))
				assert_json_equal(line, n, answer, right);
			check_error(p, json_object_get(answer, "error"), right, before);
		}
		json_decref(answer);
		json_decref(before);
	}
	print_message("%s%u calls, %u errors, %u closed\n", line, n - 1, n_errors, n_closed);
	assert_in_range(n, 2, CALLS_MAX - 1);
	json_decref(right);
	json_decref(reset);
}

static void test_requests(void **state)
{
	struct peer p;
	char line[512];

	peer_start(&p);
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		snprintf(line, sizeof(line),
			 "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"%s\",\"params\":%s}\n",
			 requests[i].method, requests[i].params);
		fail_request(&p, line);
	}
	fail_request(&p, "nonsense\n");
	peer_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_making),	 cmocka_unit_test(test_taking_down),
		cmocka_unit_test(test_changes),	 cmocka_unit_test(test_learning),
		cmocka_unit_test(test_requests),
	};

	fault_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
