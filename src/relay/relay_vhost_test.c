// SPDX-License-Identifier: Apache-2.0
/*
 * Two guests on vhost-user ports of a relay with real workers. The control thread, which is the
 * guests' VMM as well here, changes one thing after the other that a worker reads meanwhile, while
 * frames fly: every frame that arrives is whole, in order and comes once, and when the change is
 * over all of them arrive. Also under ThreadSanitizer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front_dev.h"
#include "relay.h"
#include "vhost_user.h"
#include "view.h"

enum { GUESTS = 2, FRAME = 200, ROUNDS = 400, WAIT_MS = 5000 };

struct lab;

struct guest {
	struct lab *lab;
	port_id id;
	struct port *port;
	struct front_dev dev;
	uint32_t sent, expected; /* sequence numbers */
};

struct lab {
	struct relay *relay;
	struct guest guest[GUESTS];
	uint64_t generation;
	unsigned n_changed;
};

/* ---- control thread ---- */

static struct mac mac_of(unsigned i)
{
	return (struct mac){ { 2, 0, 0, 0, 0, (uint8_t)(i + 1) } };
}

static bool is_up(const struct port *p)
{
	struct vhost_user_state s;

	if (!p)
		return false;
	vhost_user_state(p, &s);
	return s.link == VHOST_USER_RUNS;
}

static void set_view(struct lab *l)
{
	struct view_port vp[GUESTS] = { 0 };
	struct owner o[GUESTS];
	bool is_learning = false;

	for (unsigned i = 0; i < GUESTS; i++) {
		struct port *p = l->guest[i].port;

		vp[i] = (struct view_port){ .port = p,
					    .size_max = 1514,
					    .pvid = VID_DEFAULT,
					    .role = FWD_STATION,
					    .mode = FWD_BRIDGE,
					    .flags = (uint16_t)(VIEW_GUARD |
								(is_up(p) ? VIEW_UP : 0)),
					    .offload = p ? p->offload : 0 };
		o[i] = (struct owner){ .mac = mac_of(i),
				       .port = (port_id)i,
				       .fid = owners_fid(0, VID_NONE),
				       .vid = VID_DEFAULT,
				       .flags = OWNER_STATIC };
	}
	relay_set_view(l->relay, view_build(&(struct view_spec){ .generation = ++l->generation,
								 .seed = 1,
								 .n_ports = GUESTS,
								 .n_bridges = 1,
								 .port = vp,
								 .bridge_is_learning = &is_learning,
								 .owner = o,
								 .n_owners = GUESTS }));
}

static void on_quiesce(void *aux)
{
	relay_quiesce(((struct guest *)aux)->lab->relay);
}

static int on_watch(void *aux, int fd)
{
	struct guest *g = aux;

	return relay_watch_fd(g->lab->relay, g->id, fd);
}

static void on_unwatch(void *aux, int fd)
{
	struct guest *g = aux;

	relay_unwatch_fd(g->lab->relay, g->id, fd);
}

static void on_changed(void *aux)
{
	struct guest *g = aux;

	g->lab->n_changed++;
	set_view(g->lab);
}

static void on_announce(void *aux, struct mac mac)
{
}

static void step(void *aux)
{
	struct guest *g = aux;
	struct err why;

	if (vhost_user_is_attached(g->port))
		vhost_user_input(g->port, &why);
}

static void attach(struct guest *g)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(vhost_user_attach(g->port, fd[1]), 0);
	front_dev_attach_take(&g->dev, fd[0]);
	g->dev.sock.step = step;
	g->dev.sock.step_arg = g;
}

static void connect_guest(struct lab *l, unsigned i)
{
	struct guest *g = &l->guest[i];
	struct front_dev_config c = { .features = FRONT_FEATURES_LEAST |
						  FRONT_BIT(FRONT_F_MRG_RXBUF) |
						  FRONT_BIT(FRONT_F_LOG_ALL) |
						  FRONT_BIT(FRONT_F_EVENT_IDX),
				      .need_reply = true,
				      .mem = { .n_regions = 2, .size = 8 << 20 } };
	struct vhost_user_spec spec = { .pairs_max = 1,
					.state_fd = -1,
					.settings = { .mtu = 1500, .offload = true },
					.hooks = { g, on_quiesce, on_watch, on_unwatch, on_changed,
						   on_announce } };

	g->lab = l;
	g->id = (port_id)i;
	g->port = vhost_user_port_new(&spec, relay_n_workers(l->relay));
	assert_non_null(g->port);
	g->port->id = (port_id)i;
	set_view(l);
	assert_int_equal(relay_watch(l->relay, g->port), 0);
	front_dev_init(&g->dev, &c);
	attach(g);
	if (front_dev_start(&g->dev) < 0)
		fail_msg("%s %s", g->dev.error, g->dev.sock.error);
}

static int lab_setup(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));

	l->generation = 1;
	l->relay = relay_new(2);
	assert_non_null(l->relay);
	for (unsigned i = 0; i < GUESTS; i++)
		connect_guest(l, i);
	*state = l;
	return 0;
}

static int lab_teardown(void **state)
{
	struct lab *l = *state;
	struct port *p[GUESTS];

	for (unsigned i = 0; i < GUESTS; i++) {
		p[i] = l->guest[i].port;
		relay_unwatch(l->relay, p[i]);
		l->guest[i].port = NULL;
	}
	set_view(l);
	for (unsigned i = 0; i < GUESTS; i++) {
		front_dev_close(&l->guest[i].dev);
		port_free(p[i]);
	}
	relay_free(l->relay);
	free(l);
	return 0;
}

/* ---- traffic ---- */

/* A frame that tells its number everywhere. */
static void send_one(struct lab *l, unsigned from)
{
	struct guest *g = &l->guest[from];
	uint8_t octets[FRAME] = { [12] = 0x88, [13] = 0xb5 };
	struct mac dst = mac_of(1 - from), src = mac_of(from);
	struct front_tx tx = { .data = octets, .size = FRAME };

	memcpy(octets, dst.b, 6);
	memcpy(octets + 6, src.b, 6);
	for (unsigned i = 16; i + 4 <= FRAME; i += 4)
		memcpy(octets + i, &g->sent, 4);
	if (front_dev_queue(&g->dev, 0, &tx, 0) == 0)
		g->sent++;
	front_dev_flush(&g->dev, 0);
}

/* Take in what is there: numbers go up, all of a frame is of one number. Returns how many. */
static unsigned receive(struct lab *l, unsigned to)
{
	struct guest *g = &l->guest[to], *from = &l->guest[1 - to];
	uint8_t octets[2048];
	struct front_frame f = { .data = octets, .room = sizeof(octets) };
	unsigned n = 0;

	while (front_dev_recv(&g->dev, 0, &f, 0) > 0) {
		uint32_t number, other;

		assert_int_equal(f.size, FRAME);
		memcpy(&number, octets + 16, 4);
		for (unsigned i = 20; i + 4 <= FRAME; i += 4) {
			memcpy(&other, octets + i, 4);
			assert_int_equal(other, number);
		}
		assert_true(number >= from->expected && number < from->sent);
		from->expected = number + 1;
		n++;
	}
	assert_int_equal(g->dev.n_lost_calls, 0);
	return n;
}

static void traffic(struct lab *l)
{
	for (unsigned i = 0; i < GUESTS; i++) {
		for (unsigned k = 0; k < 8; k++)
			send_one(l, i);
		front_dev_reap(&l->guest[i].dev, 0);
	}
	for (unsigned i = 0; i < GUESTS; i++)
		receive(l, i);
}

/* Everything that is sent from now on arrives. */
static void all_arrives(struct lab *l)
{
	for (unsigned i = 0; i < GUESTS; i++) {
		struct guest *g = &l->guest[i];
		unsigned waited = 0;

		front_dev_drain(&g->dev, 0, WAIT_MS);
		usleep(1000);
		receive(l, 1 - i);
		for (unsigned k = 0; k < 20; k++)
			send_one(l, i);
		for (; g->expected < g->sent && waited < WAIT_MS; waited++) {
			receive(l, 1 - i);
			usleep(1000);
		}
		assert_int_equal(g->expected, g->sent);
		front_dev_reap(&g->dev, 0);
	}
}

/* ---- what changes ---- */

typedef void change(struct lab *l, unsigned round);

static struct front_dev *dev_of(struct lab *l, unsigned round)
{
	return &l->guest[round % GUESTS].dev;
}

static void change_call(struct lab *l, unsigned round)
{
	struct front_dev *d = dev_of(l, round);

	assert_int_equal(front_set_fd(&d->sock, FRONT_SET_VRING_CALL, round / 2 % 2,
				      round & 4 ? d->masked :
						  front_dev_ring(d, round / 2 % 2)->call),
			 0);
	if (!(round & 4))
		return;
	assert_int_equal(front_set_fd(&d->sock, FRONT_SET_VRING_CALL, round / 2 % 2,
				      front_dev_ring(d, round / 2 % 2)->call),
			 0);
}

static void change_enable(struct lab *l, unsigned round)
{
	struct front_dev *d = dev_of(l, round);

	assert_int_equal(front_dev_enable(d, round / 2 % 2, false), 0);
	traffic(l);
	assert_int_equal(front_dev_enable(d, round / 2 % 2, true), 0);
}

static void change_memory(struct lab *l, unsigned round)
{
	struct front_dev *d = dev_of(l, round);
	int region = front_mem_add(&d->mem, front_mem_end(&d->mem) + (1 << 20), 1 << 20);

	assert_true(region > 0);
	assert_int_equal(front_set_mem_table(&d->sock, &d->mem), 0);
	traffic(l);
	front_mem_remove(&d->mem, (unsigned)region);
	assert_int_equal(front_set_mem_table(&d->sock, &d->mem), 0);
}

static void change_log(struct lab *l, unsigned round)
{
	struct front_dev *d = dev_of(l, round);

	assert_int_equal(front_dev_log_start(d), 0);
	for (unsigned k = 0; k < 4; k++)
		traffic(l);
	assert_int_equal(front_dev_log_stop(d), 0);
}

static void change_stop(struct lab *l, unsigned round)
{
	struct front_dev *d = dev_of(l, round);

	assert_int_equal(front_dev_stop(d), 0);
	traffic(l);
	assert_int_equal(front_dev_resume(d, FRONT_FROM_BASE), 0);
}

static void change_connection(struct lab *l, unsigned round)
{
	struct guest *g = &l->guest[round % GUESTS];

	front_sock_close(&g->dev.sock);
	while (vhost_user_is_attached(g->port))
		step(g);
	attach(g);
	assert_int_equal(front_dev_negotiate(&g->dev), 0);
	assert_int_equal(front_dev_resume(&g->dev, FRONT_FROM_USED), 0);
}

static void run(void **state, change *c)
{
	struct lab *l = *state;

	all_arrives(l);
	for (unsigned round = 0; round < ROUNDS; round++) {
		traffic(l);
		c(l, round);
		traffic(l);
		if (round % 50 == 49)
			all_arrives(l);
	}
	all_arrives(l);
}

static void test_call_eventfds(void **state)
{
	run(state, change_call);
}

static void test_enable(void **state)
{
	run(state, change_enable);
}

static void test_memory(void **state)
{
	run(state, change_memory);
}

static void test_log(void **state)
{
	run(state, change_log);
}

static void test_stop_and_start(void **state)
{
	run(state, change_stop);
}

static void test_connections(void **state)
{
	run(state, change_connection);
}

/* Both sleep between frames: each of them needs its kick, and its interrupt. */
static void test_wake_ups(void **state)
{
	struct lab *l = *state;

	for (unsigned k = 0; k < ROUNDS; k++) {
		struct guest *g = &l->guest[k % GUESTS];
		uint8_t octets[2048];
		struct front_frame f = { .data = octets, .room = sizeof(octets) };

		send_one(l, k % GUESTS);
		assert_int_equal(front_dev_recv(&l->guest[1 - k % GUESTS].dev, 0, &f, WAIT_MS), 1);
		assert_int_equal(l->guest[1 - k % GUESTS].dev.n_lost_calls, 0);
		g->expected = g->sent;
		front_dev_reap(&g->dev, 0);
		usleep(k % 8 * 25); /* around the time after which a worker goes to sleep */
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_call_eventfds), TEST(test_enable),	     TEST(test_memory),
		TEST(test_log),		  TEST(test_stop_and_start), TEST(test_connections),
		TEST(test_wake_ups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
