// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "eth.h"
#include "memory.h"
#include "nic.h"
#include "plane_internal.h"
#include "value.h"

/* A plane over a real relay, with memory ports: no device, no privilege. */
struct fixture {
	struct log log;
	struct events events;
	struct loop *loop;
	struct relay *relay;
	struct plane *plane;
	char told[4096]; /* events, one a line */
};

static void hear(void *aux, enum event_kind kind, const json_t *event)
{
	struct fixture *f = aux;
	const json_t *params = json_object_get(event, "params");
	size_t n = strlen(f->told);

	snprintf(f->told + n, sizeof(f->told) - n, "%s %s %s\n",
		 json_string_value(json_object_get(params, "kind")),
		 json_string_value(json_object_get(params, "ifname")),
		 json_string_value(json_object_get(params, kind == EVENT_LINK	? "operstate" :
							   kind == EVENT_MODE	? "to" :
							   kind == EVENT_UPLINK ? "to" :
										  "action")));
}

static int setup_workers(void **state, unsigned n_workers)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	f->log = (struct log){ .level = LOG_LEVEL_ERROR };
	f->events = (struct events){ .wanted = ~0u, .sink = hear, .aux = f };
	f->loop = loop_new();
	f->relay = relay_new(n_workers);
	f->plane = plane_new(f->loop, f->relay, &f->log, &f->events, &e);
	assert_non_null(f->plane);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_workers(state, 1);
}

static int setup_two_workers(void **state)
{
	return setup_workers(state, 2);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	plane_free(f->plane);
	relay_free(f->relay);
	loop_free(f->loop);
	free(f);
	return 0;
}

/* Apply one request: 0, or -errno with `e`. */
static int try_request(struct fixture *f, bool at_boot, const char *method, const char *params,
		       struct err *e)
{
	json_t *p = json_loads(params, 0, NULL);
	struct model m;
	int err;

	assert_non_null(p);
	model_init(&m);
	assert_true(model_copy(&m, plane_model(f->plane)));
	err = model_apply(&m, method, p, e);
	assert_int_equal(err, 0);
	err = plane_apply(f->plane, &m, at_boot, e);
	model_free(&m);
	json_decref(p);
	return err;
}

static void request(struct fixture *f, const char *method, const char *params)
{
	struct err e = { .code = 0 };

	if (try_request(f, false, method, params, &e) != 0)
		fail_msg("%s %s: %s", method, params, e.message);
}

static port_id id_of(const struct fixture *f, const char *name)
{
	int id = model_find_port(plane_model(f->plane), name);

	assert_true(id >= 0);
	return (port_id)id;
}

static const struct view_port *view_port(const struct fixture *f, const char *name)
{
	return &relay_view(f->relay)->port[id_of(f, name)];
}

static struct mac mac_of(const char *word)
{
	struct mac m;

	assert_true(value_mac(word, &m));
	return m;
}

/* Who owns the address in the view: name of the port, or "". */
static const char *owner_of(const struct fixture *f, int bridge, vid_t fid_vid, const char *mac)
{
	const struct owners *o = relay_view(f->relay)->owners;
	uint32_t fid = owners_fid((bridge_id)bridge, fid_vid);
	uint64_t at = owners_hash(o->seed, fid, mac_of(mac));
	const struct owner *e = owners_next(o, fid, mac_of(mac), &at);

	return e ? plane_model(f->plane)->port[e->port].name : "";
}

/* Have the guest of a port send a broadcast from `mac`. */
static void speak(struct fixture *f, const char *port, const char *mac)
{
	uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	memcpy(frame + 6, mac_of(mac).b, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	assert_true(relay_inject(f->relay, id_of(f, port), frame, sizeof(frame)));
}

static uint64_t received(const struct fixture *f, const char *port)
{
	struct port_counters c;

	plane_port_counters(f->plane, id_of(f, port), &c);
	return c.rx_frames;
}

/* Let the plane work until the port is the owner; false if that does not happen. */
static bool becomes_owner(struct fixture *f, const char *port, int bridge, vid_t vid,
			  const char *mac)
{
	for (int i = 0; i < 500; i++) {
		loop_turn(f->loop, 10);
		if (!strcmp(owner_of(f, bridge, vid, mac), port))
			return true;
	}
	return false;
}

/* Let the worker take in all that was sent by the port, and the plane what came of it. */
static void settle(struct fixture *f, const char *port, uint64_t n_received)
{
	for (int i = 0; i < 500 && received(f, port) < n_received; i++)
		loop_turn(f->loop, 10);
	assert_int_equal(received(f, port), n_received);
	for (int i = 0; i < 5; i++)
		loop_turn(f->loop, 5);
}

static const char edge[] = "{\"bridge\":\"br0\"}";

/* ---- the view ---- */

static void test_view_ports(void **state)
{
	struct fixture *f = *state;
	const struct view_port *p;

	request(f, "bridge.add", edge);
	request(f, "port.add",
		"{\"ifname\":\"up\",\"bridge\":\"br0\",\"kind\":\"memory\","
		"\"role\":\"uplink\",\"native\":7,\"mtu\":9000}");
	request(f, "port.add",
		"{\"ifname\":\"a\",\"bridge\":\"br0\",\"kind\":\"memory\","
		"\"vlan\":20,\"mode\":\"private\",\"reserved\":5,\"maclimit\":3,"
		"\"spoof-guard\":false,\"promisc\":true,\"offload\":false}");
	request(f, "port.add",
		"{\"ifname\":\"t\",\"bridge\":\"br0\",\"kind\":\"memory\","
		"\"trunk\":\"5,9\",\"native\":9,\"mtu\":1400,"
		"\"mac\":[\"02:00:00:00:00:01\"]}");
	p = view_port(f, "up");
	assert_int_equal(p->role, FWD_UPLINK);
	assert_int_equal(p->pvid, 7);
	assert_null(p->vlans);
	assert_int_equal(p->size_max, 9000 + 14);
	assert_int_equal(p->flags & (VIEW_UP | VIEW_TRUNK), VIEW_UP | VIEW_TRUNK);
	assert_int_equal(p->learn_room, 0);

	p = view_port(f, "a");
	assert_int_equal(p->mode, FWD_PRIVATE);
	assert_int_equal(p->pvid, 20);
	assert_int_equal(p->reserved, 5);
	assert_int_equal(p->size_max, 9000 + 14); /* as the uplink */
	assert_int_equal(p->learn_room, 4);	  /* the first is its own, and 3 more */
	assert_int_equal(p->flags, VIEW_PROMISC | VIEW_UP | VIEW_HAS_MACLIMIT);
	assert_int_equal(p->offload, 0);

	p = view_port(f, "t");
	assert_int_equal(p->pvid, 9);
	assert_true(vlan_set_has(p->vlans, 5));
	assert_false(vlan_set_has(p->vlans, 6));
	assert_int_equal(p->size_max, 1400 + 14);
	assert_int_equal(p->learn_room, 0);
	assert_int_equal(p->flags, VIEW_GUARD | VIEW_UP | VIEW_TRUNK);
	assert_int_equal(p->offload, OFFLOAD_ALL);
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:01"), "t");

	request(f, "port.set", "{\"ifname\":\"up\",\"mtu\":2000}");
	assert_int_equal(view_port(f, "a")->size_max, 2000 + 14);
	assert_int_equal(view_port(f, "t")->size_max, 1400 + 14);
	request(f, "port.del", "{\"ifname\":\"t\"}");
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:01"), "");
}

static void test_view_learning_relay(void **state)
{
	struct fixture *f = *state;

	request(f, "bridge.add", "{\"bridge\":\"sw0\",\"type\":\"learning\"}");
	request(f, "port.add",
		"{\"ifname\":\"p1\",\"bridge\":\"sw0\",\"kind\":\"memory\","
		"\"vlan\":20,\"reflective-relay\":true}");
	request(f, "port.add",
		"{\"ifname\":\"p2\",\"bridge\":\"sw0\",\"kind\":\"memory\","
		"\"vlan\":20,\"maclimit\":2}");
	request(f, "fdb.add", "{\"mac\":\"02:00:00:00:00:09\",\"port\":\"p1\"}");
	assert_true(view_port(f, "p1")->flags & VIEW_REFLECT);
	assert_int_equal(view_port(f, "p1")->role, FWD_RELAY_PORT);
	assert_int_equal(view_port(f, "p1")->learn_room, UINT16_MAX);
	assert_int_equal(view_port(f, "p2")->learn_room, 2);
	assert_string_equal(owner_of(f, 0, 20, "02:00:00:00:00:09"), "p1");
	assert_true(relay_view(f->relay)->bridge[0].is_learning);
}

/* ---- learning ---- */

static void test_first_source_is_owned(void **state)
{
	struct fixture *f = *state;
	uint64_t n = 0;

	request(f, "bridge.add", edge);
	request(f, "port.add", "{\"ifname\":\"a\",\"bridge\":\"br0\",\"kind\":\"memory\"}");
	request(f, "port.add", "{\"ifname\":\"b\",\"bridge\":\"br0\",\"kind\":\"memory\"}");
	speak(f, "a", "02:00:00:00:00:0a");
	assert_true(becomes_owner(f, "a", 0, VID_NONE, "02:00:00:00:00:0a"));
	assert_int_equal(view_port(f, "a")->learn_room, 0);
	assert_non_null(strstr(f->told, "fdb a learn\n"));

	speak(f, "a", "02:00:00:00:00:0b"); /* a second one is not its own */
	settle(f, "a", 2);
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:0b"), "");
	speak(f, "b", "02:00:00:00:00:0a"); /* nor is a neighbour's */
	settle(f, "b", ++n);
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:0a"), "a");

	plane_fdb_flush(f->plane, -1, id_of(f, "a"));
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:0a"), "");
	assert_int_equal(view_port(f, "a")->learn_room, 1);
	speak(f, "a", "02:00:00:00:00:0b");
	assert_true(becomes_owner(f, "a", 0, VID_NONE, "02:00:00:00:00:0b"));

	/* Told otherwise: what it learned is no longer its own, even if it may learn. */
	request(f, "port.set", "{\"ifname\":\"a\",\"mac\":[\"02:00:00:00:00:0c\"],\"maclimit\":5}");
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:0b"), "");
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:0c"), "a");
	request(f, "port.set", "{\"ifname\":\"a\",\"mac\":null,\"maclimit\":null}");
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:0c"), "");
	assert_int_equal(view_port(f, "a")->learn_room, 1); /* and it may learn anew */
}

static void test_maclimit(void **state)
{
	struct fixture *f = *state;

	request(f, "bridge.add", edge);
	request(f, "port.add",
		"{\"ifname\":\"a\",\"bridge\":\"br0\",\"kind\":\"memory\","
		"\"mac\":[\"02:00:00:00:00:01\"],\"maclimit\":2}");
	request(f, "port.add",
		"{\"ifname\":\"b\",\"bridge\":\"br0\",\"kind\":\"memory\","
		"\"mac\":[\"02:00:00:00:00:02\"]}");
	speak(f, "a", "02:00:00:00:00:02"); /* provisioned for b */
	speak(f, "a", "02:00:00:00:00:03");
	speak(f, "a", "02:00:00:00:00:04");
	speak(f, "a", "02:00:00:00:00:05");
	assert_true(becomes_owner(f, "a", 0, VID_NONE, "02:00:00:00:00:03"));
	assert_true(becomes_owner(f, "a", 0, VID_NONE, "02:00:00:00:00:04"));
	settle(f, "a", 4);
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:05"), "");
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:02"), "b");

	/* An address that is provisioned elsewhere from now on, and then a lower limit. */
	request(f, "fdb.add", "{\"mac\":\"02:00:00:00:00:03\",\"port\":\"b\"}");
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:03"), "b");
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:04"), "a");
	assert_int_equal(learn_count(f->plane->learn, id_of(f, "a")), 1);
	request(f, "port.set", "{\"ifname\":\"a\",\"maclimit\":0}");
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:04"), "");
	/* Another VLAN is another matter. */
	request(f, "port.set", "{\"ifname\":\"a\",\"maclimit\":5,\"vlan\":30}");
	speak(f, "a", "02:00:00:00:00:02");
	settle(f, "a", 5);
	assert_int_equal(learn_count(f->plane->learn, id_of(f, "a")), 1);
	assert_int_equal(relay_view(f->relay)->owners->n, 4);
	request(f, "port.set", "{\"ifname\":\"a\",\"vlan\":31}");
	assert_int_equal(relay_view(f->relay)->owners->n, 3);
}

static void test_moves(void **state)
{
	struct fixture *f = *state;

	request(f, "bridge.add", "{\"bridge\":\"sw0\",\"type\":\"learning\"}");
	for (int i = 1; i <= 3; i++) {
		char params[128];

		snprintf(params, sizeof(params),
			 "{\"ifname\":\"p%d\",\"bridge\":\"sw0\",\"kind\":\"memory\"}", i);
		request(f, "port.add", params);
	}
	speak(f, "p1", "02:00:00:00:00:0a");
	assert_true(becomes_owner(f, "p1", 0, 1, "02:00:00:00:00:0a"));
	speak(f, "p2", "02:00:00:00:00:0a");
	assert_true(becomes_owner(f, "p2", 0, 1, "02:00:00:00:00:0a"));
	assert_int_equal(plane_bridge_moves(f->plane, 0), 1);
	assert_non_null(strstr(f->told, "fdb p2 move\n"));
	/* A static entry wins, and nobody takes it away. */
	request(f, "fdb.add", "{\"mac\":\"02:00:00:00:00:0a\",\"port\":\"p3\"}");
	assert_string_equal(owner_of(f, 0, 1, "02:00:00:00:00:0a"), "p3");
	speak(f, "p1", "02:00:00:00:00:0a");
	settle(f, "p1", 2);
	assert_string_equal(owner_of(f, 0, 1, "02:00:00:00:00:0a"), "p3");
	assert_int_equal(plane_bridge_moves(f->plane, 0), 1);
}

static void test_ageing(void **state)
{
	struct fixture *f = *state;
	bool is_gone = false;

	request(f, "bridge.add", "{\"bridge\":\"sw0\",\"type\":\"learning\",\"ageing\":1}");
	request(f, "port.add", "{\"ifname\":\"p1\",\"bridge\":\"sw0\",\"kind\":\"memory\"}");
	request(f, "port.add", "{\"ifname\":\"p2\",\"bridge\":\"sw0\",\"kind\":\"memory\"}");
	speak(f, "p1", "02:00:00:00:00:0a");
	assert_true(becomes_owner(f, "p1", 0, 1, "02:00:00:00:00:0a"));
	for (int i = 0; i < 100 && !is_gone; i++) {
		loop_turn(f->loop, 100);
		is_gone = !*owner_of(f, 0, 1, "02:00:00:00:00:0a");
	}
	assert_true(is_gone);
	assert_non_null(strstr(f->told, "fdb p1 age\n"));
}

/* ---- transactions ---- */

static void test_refusal_changes_nothing(void **state)
{
	struct fixture *f = *state;
	uint64_t generation;
	struct err e;

	request(f, "bridge.add", edge);
	request(f, "port.add", "{\"ifname\":\"a\",\"bridge\":\"br0\",\"kind\":\"memory\"}");
	generation = relay_view(f->relay)->generation;
	f->told[0] = '\0';
	assert_int_equal(try_request(f, false, "port.add",
				     "{\"ifname\":\"x\",\"bridge\":\"br0\",\"kind\":\"packet\","
				     "\"dev\":\"nodev0\"}",
				     &e),
			 -ENODEV);
	assert_true(strncmp(e.message, "x: ", 3) == 0);
	assert_true(e.hint[0]);
	assert_int_equal(relay_view(f->relay)->generation, generation);
	assert_int_equal(model_find_port(plane_model(f->plane), "x"), -1);
	assert_string_equal(f->told, "");
}

static void test_waits_at_boot(void **state)
{
	struct fixture *f = *state;
	struct plane_status st;
	struct err e;

	request(f, "bridge.add", edge);
	assert_int_equal(try_request(f, true, "port.add",
				     "{\"ifname\":\"x\",\"bridge\":\"br0\",\"kind\":\"packet\","
				     "\"dev\":\"nodev0\",\"role\":\"uplink\"}",
				     &e),
			 0);
	assert_int_equal(try_request(f, true, "port.add",
				     "{\"ifname\":\"c\",\"bridge\":\"br0\",\"kind\":\"tap\","
				     "\"netns\":\"no-such-netns\"}",
				     &e),
			 0);
	plane_port_status(f->plane, id_of(f, "x"), &st);
	assert_int_equal(st.operstate, PLANE_DOWN);
	assert_string_equal(st.reason, "device nodev0 does not exist");
	assert_true(st.hint[0]);
	plane_port_status(f->plane, id_of(f, "c"), &st);
	assert_string_equal(st.reason, "network namespace no-such-netns does not exist");
	/* The uplink is there, but has no carrier. */
	assert_int_equal(relay_view(f->relay)->bridge[0].uplink, id_of(f, "x"));
	assert_false(view_port(f, "x")->flags & VIEW_UP);
	/* And it can be changed meanwhile. */
	request(f, "port.set", "{\"ifname\":\"c\",\"mode\":\"private\"}");
	assert_int_equal(view_port(f, "c")->mode, FWD_PRIVATE);
	request(f, "port.del", "{\"ifname\":\"c\"}");
}

static void test_events(void **state)
{
	struct fixture *f = *state;

	request(f, "bridge.add", edge);
	request(f, "port.add", "{\"ifname\":\"a\",\"bridge\":\"br0\",\"kind\":\"memory\"}");
	request(f, "port.set", "{\"ifname\":\"a\",\"mode\":\"bridge\"}");
	request(f, "port.set", "{\"ifname\":\"a\",\"mode\":\"bridge\"}"); /* no change, no event */
	request(f, "port.set", "{\"ifname\":\"a\",\"standby\":true}");
	request(f, "bridge.set", "{\"bridge\":\"br0\",\"ageing\":7}");
	request(f, "port.del", "{\"ifname\":\"a\"}");
	request(f, "bridge.del", "{\"bridge\":\"br0\"}");
	assert_string_equal(f->told, "bridge br0 add\nport a add\nlink a UP\nport a set\n"
				     "mode a bridge\nport a set\nlink a STANDBY\nbridge br0 set\n"
				     "port a del\nbridge br0 del\n");
}

/* ---- faults ---- */

static void test_counters_survive(void **state)
{
	struct fixture *f = *state;
	struct err why = { .code = ENODEV, .message = "gone", .hint = "wait" };
	struct plane_status st;

	request(f, "bridge.add", edge);
	request(f, "port.add", "{\"ifname\":\"a\",\"bridge\":\"br0\",\"kind\":\"memory\"}");
	speak(f, "a", "02:00:00:00:00:0a");
	settle(f, "a", 1);
	plane_port_lose(f->plane, id_of(f, "a"), WAIT_RETRY, &why);
	plane_port_status(f->plane, id_of(f, "a"), &st);
	assert_int_equal(st.operstate, PLANE_DOWN);
	assert_string_equal(st.reason, "gone");
	assert_false(view_port(f, "a")->flags & VIEW_UP);
	assert_int_equal(received(f, "a"), 1);
	assert_non_null(strstr(f->told, "fault a"));
	plane_port_retry(f->plane, id_of(f, "a"));
	plane_port_status(f->plane, id_of(f, "a"), &st);
	assert_int_equal(st.operstate, PLANE_UP);
	assert_true(view_port(f, "a")->flags & VIEW_UP);
	speak(f, "a", "02:00:00:00:00:0a");
	settle(f, "a", 2);
}

/* ---- standby ---- */

struct heard {
	unsigned n;
	struct eth_key key;
	uint8_t octets[64];
	uint32_t size;
};

static bool hear_frame(void *aux, const struct frame *f)
{
	struct heard *h = aux;
	uint32_t size = 0;

	eth_key_parse(f, &h->key);
	for (unsigned i = 0; i < f->n_iov && size < sizeof(h->octets); i++) {
		size_t n = f->iov[i].iov_len;

		n = n < sizeof(h->octets) - size ? n : sizeof(h->octets) - size;
		memcpy(h->octets + size, f->iov[i].iov_base, n);
		size += (uint32_t)n;
	}
	h->size = f->size;
	h->n++;
	return true;
}

static void test_standby(void **state)
{
	static const uint8_t rarp[] = { 0, 1, 8, 0, 6, 4, 0, 3, 2, 0, 0, 0, 0, 1,
					0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0 };
	struct fixture *f = *state;
	struct heard heard = { .n = 0 };

	request(f, "bridge.add", edge);
	request(f, "port.add",
		"{\"ifname\":\"b\",\"bridge\":\"br0\",\"kind\":\"memory\","
		"\"mac\":[\"02:00:00:00:00:02\"],\"mode\":\"bridge\"}");
	memory_port_sink(view_port(f, "b")->port, hear_frame, &heard);
	request(f, "port.add",
		"{\"ifname\":\"a\",\"bridge\":\"br0\",\"kind\":\"memory\","
		"\"mac\":[\"02:00:00:00:00:01\"],\"mode\":\"bridge\","
		"\"standby\":true}");
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:01"), "");
	assert_int_equal(heard.n, 0);
	request(f, "port.set", "{\"ifname\":\"a\",\"standby\":false}");
	assert_string_equal(owner_of(f, 0, VID_NONE, "02:00:00:00:00:01"), "a");
	for (int i = 0; i < 100 && received(f, "a") < 3; i++)
		loop_turn(f->loop, 100);
	settle(f, "a", 3);
	memory_port_sink(view_port(f, "b")->port, NULL, NULL);
	request(f, "port.set", "{\"ifname\":\"a\",\"standby\":true}"); /* the worker has let go */
	assert_int_equal(heard.n, 3);
	assert_int_equal(heard.size, 60);
	assert_int_equal(heard.key.ethertype, ETHERTYPE_RARP);
	assert_true(mac_is_group(heard.key.dst));
	assert_true(mac_equal(heard.key.src, mac_of("02:00:00:00:00:01")));
	assert_memory_equal(heard.octets + 14, rarp, sizeof(rarp));
}

/* ---- several uplinks ---- */

static const char *active(const struct fixture *f)
{
	port_id id = relay_view(f->relay)->bridge[0].uplink;

	return id == PORT_NONE ? "" : plane_model(f->plane)->port[id].name;
}

/* Take the device of a port away, or give it back. */
static void lose(struct fixture *f, const char *port)
{
	struct err why;

	err_set(&why, ENODEV, "device %s does not exist", port);
	plane_port_lose(f->plane, id_of(f, port), WAIT_LINK, &why);
}

static void give_back(struct fixture *f, const char *port)
{
	plane_port_retry(f->plane, id_of(f, port));
}

static void add_uplink(struct fixture *f, const char *name, int priority)
{
	char params[160];

	snprintf(params, sizeof(params),
		 "{\"ifname\":\"%s\",\"bridge\":\"br0\",\"kind\":\"memory\",\"role\":\"uplink\","
		 "\"priority\":%d}",
		 name, priority);
	request(f, "port.add", params);
}

static void test_uplink_choice(void **state)
{
	struct fixture *f = *state;

	request(f, "bridge.add", "{\"bridge\":\"br0\",\"updelay\":0}");
	assert_string_equal(active(f), "");
	add_uplink(f, "u1", 0);
	add_uplink(f, "u2", 0);
	assert_string_equal(active(f), "u1"); /* equals: the first */
	assert_true(view_port(f, "u2")->flags & VIEW_BACKUP);
	assert_false(view_port(f, "u1")->flags & VIEW_BACKUP);
	assert_null(strstr(f->told, "uplink "));

	lose(f, "u1");
	assert_string_equal(active(f), "u2");
	assert_non_null(strstr(f->told, "uplink br0 u2\n"));
	give_back(f, "u1");
	assert_string_equal(active(f), "u2"); /* no better: it does not move back */
	request(f, "port.set", "{\"ifname\":\"u1\",\"priority\":5}");
	assert_string_equal(active(f), "u1");
	lose(f, "u1");
	assert_string_equal(active(f), "u2");
	give_back(f, "u1");
	assert_string_equal(active(f), "u1");
	request(f, "port.set", "{\"ifname\":\"u1\",\"priority\":null}");
	assert_string_equal(active(f), "u1");

	lose(f, "u1");
	lose(f, "u2");
	assert_string_equal(active(f), "u2");
	give_back(f, "u1");
	give_back(f, "u2");
	assert_string_equal(active(f), "u1");
	lose(f, "u2");
	lose(f, "u1"); /* none works: it stays, and frames for it are no_carrier */
	assert_string_equal(active(f), "u1");
	assert_false(view_port(f, "u1")->flags & VIEW_UP);
	give_back(f, "u2");
	assert_string_equal(active(f), "u2");
	give_back(f, "u1");

	f->told[0] = '\0';
	request(f, "port.del", "{\"ifname\":\"u2\"}"); /* the active one */
	assert_string_equal(active(f), "u1");
	assert_non_null(strstr(f->told, "uplink br0 u1\n"));
	add_uplink(f, "u3", 9);
	assert_string_equal(active(f), "u3");
	request(f, "port.del", "{\"ifname\":\"u1\"}");
	request(f, "port.del", "{\"ifname\":\"u3\"}");
	assert_string_equal(active(f), "");

	/* The smallest MTU holds for the guests, whichever is active. */
	request(f, "port.add", "{\"ifname\":\"a\",\"bridge\":\"br0\",\"kind\":\"memory\"}");
	add_uplink(f, "u1", 0);
	add_uplink(f, "u2", 0);
	request(f, "port.set", "{\"ifname\":\"u1\",\"mtu\":9000}");
	assert_int_equal(view_port(f, "a")->size_max, 9000 + 14);
	request(f, "port.set", "{\"ifname\":\"u2\",\"mtu\":2000}");
	assert_int_equal(view_port(f, "a")->size_max, 2000 + 14);
	assert_int_equal(view_port(f, "u1")->size_max, 9000 + 14);
}

/* A better one takes over when it has worked for updelay; at once if nothing else works. */
static void test_uplink_takes_over(void **state)
{
	struct fixture *f = *state;
	tstamp since;

	request(f, "bridge.add", "{\"bridge\":\"br0\",\"updelay\":200}");
	add_uplink(f, "u1", 0);
	add_uplink(f, "u2", 7);
	assert_string_equal(active(f), "u1");
	since = loop_now(f->loop);
	while (strcmp(active(f), "u2") != 0 && loop_now(f->loop) - since < 10 * NS_PER_S)
		loop_turn(f->loop, 100);
	assert_string_equal(active(f), "u2");
	assert_true(loop_now(f->loop) - since >= 200 * NS_PER_MS);

	lose(f, "u2");
	give_back(f, "u2");
	assert_string_equal(active(f), "u1");
	lose(f, "u1");
	assert_string_equal(active(f), "u2");
	give_back(f, "u1");
	assert_string_equal(active(f), "u2");
}

/* A NIC that switches by itself, and a guest whose frames are for the adjacent bridge. */
static void test_switch_in_nic(void **state)
{
	static const struct {
		uint8_t hwmode;
		const char *mode;
		bool is_told;
	} rows[] = {
		{ NIC_NO_SWITCH, "vepa", false }, { NIC_VEPA, "vepa", false },
		{ NIC_VEB, "vepa", true },	  { NIC_VEB, "private", true },
		{ NIC_VEB, "bridge", false },
	};
	struct fixture *f = *state;
	struct plane_status st;
	struct port_config *c;

	request(f, "bridge.add", edge);
	add_uplink(f, "u1", 0);
	request(f, "port.add", "{\"ifname\":\"a\",\"bridge\":\"br0\",\"kind\":\"memory\"}");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char params[80];

		snprintf(params, sizeof(params), "{\"ifname\":\"a\",\"mode\":\"%s\"}",
			 rows[i].mode);
		request(f, "port.set", params);
		/* No device here has such a switch: let it be one. */
		c = &f->plane->shape.model.port[id_of(f, "u1")];
		f->plane->shape.port[id_of(f, "u1")]->hwmode = rows[i].hwmode;
		f->plane->shape.port[id_of(f, "u1")]->link.flags = ~0u;
		c->kind = KIND_PACKET;
		plane_port_state(&f->plane->shape, id_of(f, "u1"), &st);
		c->kind = KIND_MEMORY;
		assert_int_equal(st.operstate, PLANE_UP);
		assert_int_equal(st.reason[0] != '\0', rows[i].is_told);
		if (!rows[i].is_told)
			continue;
		assert_non_null(strstr(st.reason, "mode veb: frames of a"));
		assert_non_null(strstr(st.hint, "hwmode vepa"));
	}
}

/* Count the announcements that an uplink sends, by the last octet of the address. */
static bool take_rarp(void *aux, const struct frame *frame)
{
	_Atomic unsigned *seen = aux;
	uint8_t octets[60];
	uint32_t size = frame_head_copy(frame, octets, sizeof(octets));

	for (unsigned at = 12; at <= 16 && size == sizeof(octets); at += 4)
		if (octets[at] == 0x80 && octets[at + 1] == 0x35)
			atomic_fetch_add(&seen[octets[11]], 1);
	return true;
}

static void test_uplinks_announce(void **state)
{
	static _Atomic unsigned seen[256];
	struct fixture *f = *state;
	bool is_complete = false;

	request(f, "bridge.add", edge);
	add_uplink(f, "u1", 0);
	add_uplink(f, "u2", 0);
	for (int i = 1; i <= 100; i++) {
		char params[160];

		snprintf(params, sizeof(params),
			 "{\"ifname\":\"a%d\",\"bridge\":\"br0\",\"kind\":\"memory\","
			 "\"mode\":\"bridge\",\"mac\":[\"02:00:00:00:00:%02x\"]}",
			 i, i);
		request(f, "port.add", params);
	}
	request(f, "port.add",
		"{\"ifname\":\"b\",\"bridge\":\"br0\",\"kind\":\"memory\",\"vlan\":7}");
	request(f, "port.set", "{\"ifname\":\"a2\",\"standby\":true}");
	speak(f, "b", "02:00:00:00:00:c8"); /* learned */
	assert_true(becomes_owner(f, "b", 0, VID_NONE, "02:00:00:00:00:c8"));
	memory_port_sink(f->plane->shape.port[id_of(f, "u2")]->device.port, take_rarp, seen);
	lose(f, "u1");
	for (int i = 0; i < 1000 && !is_complete; i++) {
		loop_turn(f->loop, 10);
		is_complete = seen[200] >= 3;
		for (int k = 1; k <= 100; k++)
			is_complete &= seen[k] >= 3 || k == 2;
	}
	assert_true(is_complete);
	assert_int_equal(seen[2], 0); /* in standby */
	assert_int_equal(seen[1], 3);
	/* By the wire only: a hundred guests are not told of each other. */
	assert_int_equal(view_port(f, "a1")->port->counters[0].tx_frames, 0);
}

/* ---- frames for the bridge itself ---- */

static uint64_t punted(const struct fixture *f, const char *port)
{
	struct port_counters c;

	plane_port_counters(f->plane, id_of(f, port), &c);
	return c.punted;
}

/* Rings of several workers filled while the plane was busy: none of it waits for the next frame. */
static void test_punts_of_workers(void **state)
{
	static const char *const name[] = { "u1", "u2" };
	static const uint8_t lldp[60] = { 0x01, 0x80, 0xc2, 0, 0, 0, 2, [12] = 0x88, [13] = 0xcc };
	struct fixture *f = *state;
	struct punt p;

	request(f, "bridge.add", edge);
	for (unsigned i = 0; i < ARRAY_SIZE(name); i++) {
		add_uplink(f, name[i], 0);
		assert_int_equal(id_of(f, name[i]), i); /* each is another worker's */
	}
	request(f, "port.set", "{\"ifname\":\"u1\",\"lldp\":\"customer-bridge\"}");
	request(f, "port.set", "{\"ifname\":\"u2\",\"lldp\":\"customer-bridge\"}");
	for (unsigned i = 0; i < ARRAY_SIZE(name); i++) {
		for (uint64_t n = 1; n <= 60; n++) {
			assert_true(relay_inject(f->relay, (port_id)i, lldp, sizeof(lldp)));
			for (int ms = 0; ms < 5000 && punted(f, name[i]) < n; ms++)
				nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
			assert_int_equal(punted(f, name[i]), n);
		}
	}
	for (int i = 0; i < 5; i++)
		loop_turn(f->loop, 5);
	assert_false(relay_punt_get(f->relay, &p));
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_view_ports),
		TEST(test_view_learning_relay),
		TEST(test_first_source_is_owned),
		TEST(test_maclimit),
		TEST(test_moves),
		TEST(test_ageing),
		TEST(test_refusal_changes_nothing),
		TEST(test_waits_at_boot),
		TEST(test_events),
		TEST(test_counters_survive),
		TEST(test_standby),
		TEST(test_uplink_choice),
		TEST(test_uplink_takes_over),
		TEST(test_uplinks_announce),
		TEST(test_switch_in_nic),
		cmocka_unit_test_setup_teardown(test_punts_of_workers, setup_two_workers, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
