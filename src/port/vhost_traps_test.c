// SPDX-License-Identifier: Apache-2.0
/*
 * What front-ends do in which order, and what has gone wrong with it in other back-ends: one test
 * for each of twenty traps. Of those that concern a front-end, the back-end's side is tested.
 */
#include "vhost_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vhost_msg.h"

/* Small, for it is made many times. */
static struct vx_config small(uint64_t features)
{
	return (struct vx_config){ .dev = { .mem = { .size = 4 << 20 },
					    .rx_size = 16,
					    .tx_size = 16,
					    .rx_buf = 256,
					    .features = FRONT_FEATURES_LEAST | features } };
}

static struct vx *start(uint64_t features)
{
	struct vx_config c = small(features);
	struct vx *v = vx_new(&c);

	v->post_size = 256;
	vx_start(v);
	return v;
}

static bool ring_runs(const struct vx *v, unsigned idx)
{
	struct vhost_user_info info;

	vhost_user_info(v->port, &info);
	return info.ring[idx].is_running;
}

/* Every message has been handled. */
static void settle(struct vx *v)
{
	uint64_t sync;

	vx_ok(v, front_get_u64(&v->dev.sock, FRONT_GET_FEATURES, &sync));
}

/* ---- 1 ---- */

/* Letters said so far: does a ring run with that? */
static bool is_complete(const char *said)
{
	return strchr(said, 'n') && strchr(said, 'a') && strchr(said, 'k');
}

/* Say the letters one by one; a ring runs as soon as it can, and nothing is ever called faulty. */
static void say(const char *letters)
{
	struct vx_config c = small(0);
	struct vx *v = vx_new(&c);
	char said[16] = "";

	v->post_size = 256;
	vx_make(v);
	vx_ok(v, front_dev_steps(&v->dev, "f,m"));
	for (const char *l = letters; *l; l++) {
		for (unsigned idx = 0; idx < 2; idx++)
			vx_ok(v, front_dev_step(&v->dev, *l, idx));
		settle(v);
		said[strlen(said)] = *l;
		for (unsigned idx = 0; idx < 2; idx++)
			if (ring_runs(v, idx) != is_complete(said))
				fail_msg("%s: ring %u %s after '%s'", letters, idx,
					 ring_runs(v, idx) ? "runs" : "does not run", said);
		if (vx_state(v).link == VHOST_USER_FAULTY)
			fail_msg("%s: faulty after '%s': %s", letters, said,
				 vx_state(v).why.message);
	}
	vx_ping(v, letters);
	vx_free(v);
}

static void permute(char *letters, unsigned n)
{
	if (n == 1) {
		say(letters);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		char swap = letters[i];

		letters[i] = letters[n - 1];
		letters[n - 1] = swap;
		permute(letters, n - 1);
		letters[n - 1] = letters[i];
		letters[i] = swap;
	}
}

static void trap_01_kick_before_call(void **state)
{
	static const struct {
		const char *name, *order;
	} rows[] = {
		{ "QEMU", FRONT_ORDER_QEMU },
		{ "cloud-hypervisor", FRONT_ORDER_CLOUD_HYPERVISOR },
		{ "crosvm", FRONT_ORDER_CROSVM },
		{ "virtio-user", FRONT_ORDER_VIRTIO_USER },
		{ "memory last", "f,nbacke,m" },
		{ "features last", "m,nbacke,f" },
		{ "no call", "f,m,nbake" },
		{ "no base", "f,m,nacke" },
	};
	char letters[] = "nbakce";

	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		struct vx_config c = small(0);
		struct vx *v;

		c.dev.order = rows[r].order;
		v = vx_new(&c);
		v->post_size = 256;
		vx_start(v);
		vx_ping(v, rows[r].name);
		vx_free(v);
	}
	permute(letters, 6);
}

/* A ring that is not complete yet is no reason to complain. */
static void test_waits_while_something_is_missing(void **state)
{
	static const struct {
		const char *name, *steps;
	} rows[] = {
		{ "nothing", "" },
		{ "features", "f" },
		{ "all but features", "m,nbacke" },
		{ "all but size", "f,m,backe" },
		{ "all but addresses", "f,m,nbcke" },
		{ "all but kick", "f,m,nbace" },
	};

	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		struct vx_config c = small(0);
		struct vx *v = vx_new(&c);

		vx_make(v);
		vx_ok(v, front_dev_steps(&v->dev, rows[r].steps));
		settle(v);
		if (vx_state(v).link != VHOST_USER_WAITS)
			fail_msg("%s: link %d, %s", rows[r].name, vx_state(v).link,
				 vx_state(v).why.message);
		vx_free(v);
	}
}

/* ---- 2 ---- */

static void trap_02_no_descriptor_is_not_the_same_as_not_told(void **state)
{
	static const struct {
		const char *name;
		bool no_kick, no_call;
	} rows[] = {
		{ "neither", true, true },
		{ "no kick", true, false },
		{ "no call", false, true },
	};

	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		struct vx_config c = small(0);
		struct vx *v;

		c.dev.no_kick = rows[r].no_kick;
		c.dev.no_call = rows[r].no_call;
		v = vx_new(&c);
		v->post_size = 256;
		vx_start(v);
		vx_ping(v, rows[r].name);
		/* Who does not kick must be polled: the worker may not sleep. */
		if (v->port->ops->arm(v->port) != rows[r].no_kick)
			fail_msg("%s: may sleep: %d", rows[r].name, !rows[r].no_kick);
		assert_int_equal(v->n_watched, rows[r].no_kick ? 0 : 1);
		vx_free(v);
	}
}

/* A kick descriptor that cannot be watched leaves the port awake, not deaf. */
static void test_polls_what_cannot_be_watched(void **state)
{
	struct vx_config c = small(0);
	struct vx *v = vx_new(&c);

	v->post_size = 256;
	v->deaf = true;
	vx_start(v);
	vx_ping(v, "deaf");
	assert_true(v->port->ops->arm(v->port));
	vx_free(v);
}

/* ---- 3 ---- */

static void trap_03_swapped_call_is_signalled_once(void **state)
{
	struct vx *v = start(0);
	struct front_ring *r = &v->dev.pair[0].rx;
	unsigned fds = vx_count_fds(), quiesced = v->n_quiesce;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t n;

	vx_ok(v, front_set_fd(&v->dev.sock, FRONT_SET_VRING_CALL, 0, fd));
	settle(v);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n)); /* what the old one may have missed */
	assert_true(v->n_quiesce > quiesced); /* nobody writes to the old one any more */
	assert_int_equal(vx_count_fds(), fds + 1);
	front_ring_calls(r);
	front_ring_interrupts(r, true);
	vx_post(v, 0, 1);
	vx_give(v, v->scratch, 60);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	assert_false(vx_called(v, 0));
	close(fd);
	vx_free(v);
}

/* ---- 4 ---- */

/* A start finds what waits, though the kick for it was read by whoever was before us. */
static void trap_04_start_without_kick(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx_config c = small(k->features);
		struct vx *v = vx_new(&c);
		uint32_t size;
		uint64_t n;

		v->post_size = 256;
		vx_make(v);
		vx_fill(v->scratch, 60, 1);
		vx_send(v, 0, v->scratch, 60, NULL);
		vx_post(v, 0, 4);
		(void)!read(v->dev.pair[0].tx.kick, &n, sizeof(n));
		(void)!read(v->dev.pair[0].rx.kick, &n, sizeof(n));
		vx_ok(v, front_dev_steps(&v->dev, FRONT_ORDER_QEMU));
		settle(v);
		assert_true(vx_woken(v));
		assert_int_equal(vx_take(v), 1);
		vx_fill(v->scratch, 60, 2);
		assert_true(vx_give(v, v->scratch, 60));
		assert_true(vx_get(v, 0, NULL, &size));
		vx_check(k->name, v->scratch, size, 60, 2);
		vx_free(v);
	}
}

/* ---- 5 ---- */

static void trap_05_event_index_behind_after_restart(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx_config c = small(k->features);
		struct vx *v;

		c.has_state = true;
		v = vx_new(&c);
		v->post_size = 256;
		vx_start(v);
		assert_false(v->port->ops->arm(v->port));
		for (unsigned n = 0; n < 4; n++) { /* the last ones pass the event without a kick */
			vx_fill(v->scratch, 60, n);
			vx_send(v, 0, v->scratch, 60, NULL);
		}
		vx_kill(v);
		vx_resume(v, FRONT_FROM_USED);
		assert_true(vx_woken(v));
		assert_int_equal(vx_take(v), 4);
		for (unsigned n = 0; n < 4; n++)
			vx_check(k->name, v->got[n].octets, v->got[n].size, 60, n);
		assert_false(v->port->ops->arm(v->port));
		vx_ok(v, front_dev_queue(&v->dev, 0,
					 &(struct front_tx){ .data = v->scratch, .size = 60 }, 0));
		front_ring_publish(&v->dev.pair[0].tx);
		if (!front_ring_kick(&v->dev.pair[0].tx))
			fail_msg("%s: the guest does not kick any more", k->name);
		vx_free(v);
	}
}

/* ---- 6 ---- */

static void trap_06_arm_looks_again(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start(k->features);

		vx_ping(v, k->name);
		assert_false(v->port->ops->arm(v->port));
		vx_ping(v, k->name); /* not armed any more */
		vx_fill(v->scratch, 60, 1);
		vx_send(v, 0, v->scratch, 60,
			NULL); /* the guest may have found it not to be armed */
		if (!v->port->ops->arm(v->port))
			fail_msg("%s: sleeps while a frame waits", k->name);
		assert_int_equal(vx_take(v), 1);
		assert_false(v->port->ops->arm(v->port));
		vx_free(v);
	}
}

/* ---- 7 ---- */

static void trap_07_enabled_without_protocol_features(void **state)
{
	struct vx_config c = small(0);
	struct vx *v;

	/* Without bit 30 there is no ENABLE, and another KICK must not take it back. */
	c.dev.features = FRONT_BIT(FRONT_F_VERSION_1) | FRONT_BIT(FRONT_F_ANY_LAYOUT);
	v = vx_new(&c);
	v->post_size = 256;
	vx_start(v);
	vx_ping(v, "no protocol features");
	vx_ok(v, front_dev_steps(&v->dev, "k"));
	settle(v);
	vx_ping(v, "kicked again");
	vx_free(v);

	/* With it: ENABLE(0) comes before GET_VRING_BASE, and KICK does not enable. */
	v = start(0);
	vx_ping(v, "enabled");
	vx_stop(v);
	assert_int_equal(vx_state(v).link, VHOST_USER_WAITS);
	vx_ok(v, front_dev_steps(&v->dev, "nbak"));
	settle(v);
	vx_post(v, 0, 1);
	assert_false(vx_give(v, v->scratch, 60));
	vx_ok(v, front_dev_steps(&v->dev, "e"));
	settle(v);
	assert_true(vx_give(v, v->scratch, 60));
	vx_free(v);
}

/* ---- 8 ---- */

static void trap_08_base_is_told_before_it_is_reset(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start(k->features);
		uint32_t rx, tx;

		for (int n = 0; n < 21; n++)
			vx_ping(v, k->name);
		vx_stop(v);
		assert_true(v->dev.pair[0].base[0] == front_ring_base_avail(&v->dev.pair[0].rx));
		assert_true(v->dev.pair[0].base[1] == front_ring_base_avail(&v->dev.pair[0].tx));
		assert_int_equal(v->n_watched, 0);

		/* Addresses are forgotten: kicked and enabled alone, nothing runs. */
		vx_ok(v, front_dev_steps(&v->dev, "ke"));
		settle(v);
		assert_false(ring_runs(v, 0) || ring_runs(v, 1));
		assert_int_equal(vx_state(v).link, VHOST_USER_WAITS);

		/* Stopped once more, it does not say something else. */
		vx_ok(v, front_get_base(&v->dev.sock, 0, &rx));
		vx_ok(v, front_get_base(&v->dev.sock, 1, &tx));
		if (rx != v->dev.pair[0].base[0] || tx != v->dev.pair[0].base[1])
			fail_msg("%s: stopped at %x and %x, and again at %x and %x", k->name,
				 v->dev.pair[0].base[0], v->dev.pair[0].base[1], rx, tx);

		/* Go on there. */
		vx_ok(v, front_dev_steps(&v->dev, "nbak,e"));
		settle(v);
		vx_ping(v, k->name);

		/* After a reboot the guest begins at 0, also if nobody stopped the rings. */
		vx_stop(v);
		front_dev_clear(&v->dev);
		v->dev.pair[0].base[0] = front_ring_base_used(&v->dev.pair[0].rx);
		v->dev.pair[0].base[1] = front_ring_base_used(&v->dev.pair[0].tx);
		v->pool[0].n = 0;
		vx_ok(v, front_dev_steps(&v->dev, "nbak,e"));
		settle(v);
		vx_ping(v, k->name);
		vx_free(v);
	}
}

/* A ring that was never mentioned, or is beyond what is served, has a base, too. */
static void test_base_of_rings_that_never_were(void **state)
{
	static const uint32_t rings[] = { 0, 1, 2, 3, 31, 32, 255, 256, 70000, UINT32_MAX };
	struct vx_config c = small(0);
	struct vx *v = vx_new(&c);

	vx_negotiate(v);
	for (size_t i = 0; i < ARRAY_SIZE(rings); i++) {
		uint32_t base = 1;

		vx_ok(v, front_get_base(&v->dev.sock, rings[i], &base));
		assert_int_equal(base, 0);
	}
	vx_free(v);
}

/* ---- 9 ---- */

static void trap_09_enabled_or_started_but_not_both(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start(k->features);
		uint8_t octets[60];

		vx_fill(octets, sizeof(octets), 1);
		vx_post(v, 0, 4);
		vx_ok(v, front_dev_enable(&v->dev, 0, false));
		vx_ok(v, front_dev_enable(&v->dev, 1, false));
		settle(v);
		assert_int_equal(vx_state(v).link, VHOST_USER_RUNS);
		for (int n = 0; n < 5; n++)
			vx_send(v, 0, octets, sizeof(octets), NULL);
		assert_int_equal(vx_take(v), 0);
		assert_int_equal(v->discarded, 5); /* drained, counted, not forwarded */
		vx_ok(v, front_dev_drain(&v->dev, 0, 1000));
		assert_false(vx_give(v, octets, sizeof(octets)));
		assert_int_equal(v->port->tx_drop, DROP_port_down);
		assert_false(front_ring_has_used(&v->dev.pair[0].rx));
		/* Enabled again, nothing of that comes after. */
		vx_ok(v, front_dev_enable(&v->dev, 0, true));
		vx_ok(v, front_dev_enable(&v->dev, 1, true));
		settle(v);
		vx_send(v, 0, octets, sizeof(octets), NULL);
		assert_int_equal(vx_take(v), 1);
		assert_true(vx_give(v, octets, sizeof(octets)));
		vx_free(v);
	}
}

/* Of several pairs, those that are not enabled stay idle, and get no flows. */
static void trap_09_pairs_that_are_not_enabled(void **state)
{
	struct vx_config c = small(FRONT_BIT(FRONT_F_MQ));
	uint8_t octets[60];
	struct vx *v;

	c.pairs = 4;
	c.dev.n_pairs = 4;
	c.dev.order = "x,f,m,nbak,c"; /* and no ENABLE */
	v = vx_new(&c);
	v->post_size = 256;
	vx_start(v);
	vx_fill(octets, sizeof(octets), 1);
	for (unsigned pair = 0; pair < 4; pair++)
		vx_post(v, pair, 16);
	assert_false(vx_give(v, octets, sizeof(octets)));
	vx_ok(v, front_dev_enable(&v->dev, 4, true));
	settle(v);
	for (unsigned n = 0; n < 16; n++) {
		octets[5] = (uint8_t)n; /* another flow */
		assert_true(vx_give(v, octets, sizeof(octets)));
	}
	assert_true(front_ring_has_used(&v->dev.pair[2].rx));
	vx_free(v);
}

/* ---- 10 ---- */

static void trap_10_answers_after_the_data_path_has_switched(void **state)
{
	struct vx *v = start(0);
	unsigned quiesced;

	v->dev.sock.ask_reply = true;
	vx_post(v, 0, 4);
	quiesced = v->n_quiesce;
	vx_ok(v, front_dev_enable(&v->dev, 0, false));
	assert_true(v->n_quiesce > quiesced);
	assert_false(vx_give(v, v->scratch, 60));
	vx_ok(v, front_dev_enable(&v->dev, 0, true));
	assert_true(vx_give(v, v->scratch, 60));
	quiesced = v->n_quiesce;
	vx_ok(v, front_dev_enable(&v->dev, 0, true)); /* nothing new: nobody is disturbed */
	assert_int_equal(v->n_quiesce, quiesced);
	vx_free(v);
}

/* ---- 11 ---- */

static void trap_11_features_again_do_not_restart(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start(k->features);
		unsigned changed;

		vx_ping(v, k->name);
		vx_woken(v);
		changed = v->n_changed;
		vx_ok(v, front_set_u64(&v->dev.sock, FRONT_SET_FEATURES, v->dev.features));
		vx_ok(v, front_dev_log_start(&v->dev));
		settle(v);
		vx_ping(v, k->name);
		vx_ok(v, front_dev_log_stop(&v->dev));
		settle(v);
		vx_ping(v, k->name);
		assert_false(vx_woken(v)); /* a start would */
		assert_int_equal(v->n_changed, changed);
		vx_free(v);
	}
}

/* ---- 12 ---- */

static void trap_12_packed_base_in_both_halves(void **state)
{
	static const struct {
		const char *name;
		uint32_t mask;
	} rows[] = { { "both halves, as QEMU", UINT32_MAX }, { "the lower, as DPDK", 0xffff } };

	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		struct vx *v = start(FRONT_BIT(FRONT_F_PACKED));

		for (int n = 0; n < 21; n++) /* into the second lap */
			vx_ping(v, rows[r].name);
		vx_stop(v);
		for (unsigned i = 0; i < 2; i++) {
			uint32_t *base = &v->dev.pair[0].base[i];

			assert_int_equal(*base >> 16, *base & 0xffff);
			assert_int_equal(*base & 0xffff, 21 - 16); /* wrap counter 0 */
			*base &= rows[r].mask;
		}
		vx_ok(v, front_dev_steps(&v->dev, "nbak,e"));
		settle(v);
		vx_ping(v, rows[r].name);
		vx_free(v);
	}
}

/* The front-end's word counts for a ring that was stopped: a snapshot may have been loaded. */
static void trap_12_packed_base_goes_back(void **state)
{
	for (int has_state = 0; has_state < 2; has_state++) {
		struct vx_config c = small(FRONT_BIT(FRONT_F_PACKED));
		static uint8_t before[4 << 20];
		struct vx_pool pool;
		struct front_pair pair;
		struct vx *v;

		c.has_state = has_state;
		v = vx_new(&c);
		v->post_size = 256;
		vx_start(v);
		for (int n = 0; n < 5; n++)
			vx_ping(v, "before");
		vx_stop(v);
		memcpy(before, v->dev.mem.region[0].host, sizeof(before));
		pair = v->dev.pair[0];
		pool = v->pool[0];
		vx_ok(v, front_dev_steps(&v->dev, "nbak,e"));
		settle(v);
		for (int n = 0; n < 4; n++)
			vx_ping(v, "after");
		vx_stop(v);
		/* Load the snapshot. Lists of free ids are the same, in another order. */
		memcpy(v->dev.mem.region[0].host, before, sizeof(before));
		v->dev.pair[0].rx.avail_idx = pair.rx.avail_idx;
		v->dev.pair[0].rx.used_idx = pair.rx.used_idx;
		v->dev.pair[0].tx.avail_idx = pair.tx.avail_idx;
		v->dev.pair[0].tx.used_idx = pair.tx.used_idx;
		v->dev.pair[0].base[0] = pair.base[0];
		v->dev.pair[0].base[1] = pair.base[1];
		assert_int_equal(v->pool[0].n, pool.n);
		vx_ok(v, front_dev_steps(&v->dev, "nbak,e"));
		settle(v);
		vx_ping(v, has_state ? "gone back, with a state file" : "gone back");
		vx_free(v);
	}
}

/* A socket pair made by another process, which is the peer then. */
static void foreign_pair(int fd[2])
{
	union {
		char octets[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	char octet = 0;
	struct iovec iov = { &octet, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	int carrier[2], status;
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, carrier), 0);
	child = fork();
	if (!child) {
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
			_exit(1);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(2 * sizeof(int));
		memcpy(CMSG_DATA(c), fd, 2 * sizeof(int));
		_exit(sendmsg(carrier[1], &m, 0) != 1);
	}
	assert_int_equal(recvmsg(carrier[0], &m, MSG_CMSG_CLOEXEC), 1);
	memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), 2 * sizeof(int));
	waitpid(child, &status, 0);
	close(carrier[0]);
	close(carrier[1]);
}

/* Another VMM with a ring of the same size: what was saved of the first one's is not its. */
static void trap_12_packed_base_of_another_front_end(void **state)
{
	for (int has_state = 0; has_state < 2; has_state++) {
		struct vx_config c = small(FRONT_BIT(FRONT_F_PACKED));
		struct vx *v, *w;
		int fd[2];

		c.has_state = has_state;
		v = vx_new(&c);
		v->post_size = 256;
		vx_start(v);
		w = vx_new(&c);
		w->post_size = 256;
		vx_start(w);
		for (int n = 0; n < 7; n++)
			vx_ping(v, "the first");
		for (int n = 0; n < 5; n++)
			vx_ping(w, "the other, elsewhere");
		vx_stop(w);
		/* It migrates to where the first one was until now. */
		foreign_pair(fd);
		vhost_user_detach(v->port);
		vhost_user_detach(w->port);
		assert_int_equal(vhost_user_attach(v->port, fd[0]), 0);
		front_dev_attach_take(&w->dev, fd[1]);
		w->dev.sock.step_arg = v;
		vx_ok(w, front_dev_negotiate(&w->dev));
		vx_ok(w, front_dev_steps(&w->dev, w->dev.c.order));
		settle(w);
		vx_fill(w->scratch, 60, 3);
		vx_send(w, 0, w->scratch, 60, NULL);
		if (vx_take(v) != 1)
			fail_msg("state file %d: began where the first one was", has_state);
		vx_check("here", v->got[0].octets, v->got[0].size, 60, 3);
		vx_free(v);
		vx_free(w);
	}
}

/* ---- 13 ---- */

static void trap_13_features_after_a_restart(void **state)
{
	struct vx_config c = small(FRONT_FEATURES_OFFLOAD);
	struct vhost_user_settings off = { .mtu = 1500 };
	uint64_t offered, all;
	struct vx *v;

	c.offload = true;
	v = vx_new(&c);
	v->post_size = 256;
	vx_start(v);
	all = v->dev.offered;
	assert_true((all & FRONT_FEATURES_OFFLOAD) == FRONT_FEATURES_OFFLOAD);
	/* What the guest has negotiated is offered to it for ever, whatever is configured. */
	vhost_user_set(v->port, &off);
	vx_resume(v, FRONT_FROM_USED);
	vx_ok(v, front_get_u64(&v->dev.sock, FRONT_GET_FEATURES, &offered));
	assert_true((offered & v->dev.features) == v->dev.features);
	/* Another evbd offers the same. */
	vx_kill(v);
	vx_resume(v, FRONT_FROM_USED);
	assert_true(v->dev.offered == all);
	vx_free(v);
}

/* ---- 14 ---- */

static void trap_14_used_index_in_memory_is_right(void **state)
{
	static const int wrong[] = { -3, -1, 1, 5, 1000 };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct vx *v = start(0);

		for (int n = 0; n < 7; n++)
			vx_ping(v, "before");
		vx_fill(v->scratch, 60, 9);
		vx_send(v, 0, v->scratch, 60, NULL); /* made available, not used yet */
		vx_stop(v);
		for (unsigned r = 0; r < 2; r++)
			v->dev.pair[0].base[r] =
				(uint16_t)(v->dev.pair[0].base[r] + (uint16_t)wrong[i]);
		vx_ok(v, front_dev_steps(&v->dev, "nbak,e"));
		settle(v);
		assert_int_equal(vx_take(v), 1);
		vx_check("after", v->got[0].octets, v->got[0].size, 60, 9);
		vx_ok(v, front_dev_drain(&v->dev, 0, 1000));
		vx_ping(v, "after");
		vx_free(v);
	}
}

/* ---- 15 ---- */

static int send_inflight(struct vx *v, const struct front_mem_range *range, uint16_t n_queues,
			 uint16_t queue_size, int fd)
{
	struct front_msg m = { .request = FRONT_SET_INFLIGHT_FD, .size = 20, .n_fds = 1 };

	m.u.inflight.size = range->size;
	m.u.inflight.offset = range->offset;
	m.u.inflight.n_queues = n_queues;
	m.u.inflight.queue_size = queue_size;
	m.fds[0] = fd;
	return front_call(&v->dev.sock, &m);
}

static void trap_15_inflight_before_queues(void **state)
{
	struct vx_config c = small(0);
	struct front_mem_range range;
	struct vx *v;
	int fd;

	c.dev.protocol = FRONT_PROTOCOL_USUAL | FRONT_P_INFLIGHT_SHMFD;
	v = vx_new(&c);
	v->post_size = 256;
	vx_make(v);
	vx_ok(v, front_get_inflight(&v->dev.sock, 2, 16, &range, &fd));
	vx_ok(v, send_inflight(v, &range, 2, 16, fd));
	vx_ok(v, front_dev_steps(&v->dev, FRONT_ORDER_CLOUD_HYPERVISOR));
	settle(v);
	vx_ping(v, "with inflight region");
	/* A connection with the region of before, whose content is old: nothing is sent again. */
	front_dev_clear(&v->dev);
	v->pool[0].n = 0;
	vx_negotiate(v);
	vx_ok(v, send_inflight(v, &range, 2, 16, fd));
	vx_ok(v, front_dev_steps(&v->dev, FRONT_ORDER_CLOUD_HYPERVISOR));
	settle(v);
	assert_int_equal(vx_take(v), 0);
	vx_ping(v, "with an old inflight region");
	/* And another one, while rings run. */
	vx_ok(v, send_inflight(v, &range, 2, 16, fd));
	settle(v);
	vx_ping(v, "another");
	close(fd);
	vx_free(v);
}

/* ---- 16 ---- */

/* QEMU 2.7 to 2.9 got it wrong; ours: no acknowledgement that was not negotiated. */
static void trap_16_no_acknowledgement_without_the_feature(void **state)
{
	struct vx_config c = small(0);
	struct front_msg m = { .request = FRONT_SET_OWNER,
			       .flags = FRONT_VERSION | FRONT_NEED_REPLY };
	struct vx *v;

	c.dev.protocol = FRONT_P_STATUS;
	v = vx_new(&c);
	vx_negotiate(v);
	vx_ok(v, front_send(&v->dev.sock, &m));
	settle(v); /* whose answer would be taken for the one that is too many */
	vx_free(v);
}

/* ---- 17 ---- */

static void trap_17_call_never_blocks(void **state)
{
	struct vx *v = start(0);
	struct front_ring *r = &v->dev.pair[0].rx;
	uint64_t full = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_CLOEXEC); /* one that blocks */

	vx_ok(v, front_set_fd(&v->dev.sock, FRONT_SET_VRING_CALL, 0, fd));
	settle(v);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	(void)!read(fd, &(uint64_t){ 0 }, sizeof(uint64_t));
	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	front_ring_interrupts(r, true);
	vx_post(v, 0, 2);
	alarm(10); /* instead of hanging */
	assert_true(vx_give(v, v->scratch, 60));
	alarm(0);
	assert_int_equal(v->port->fault, PORT_FAULT_NONE);
	assert_true(front_ring_has_used(r));
	close(fd);
	vx_free(v);
}

/* ---- 18 ---- */

static void trap_18_control_is_answered_under_load(void **state)
{
	struct front_msg m = { .request = FRONT_GET_FEATURES, .flags = FRONT_VERSION };
	struct vx *v = start(0);
	struct pollfd p = { .fd = v->dev.sock.fd, .events = POLLIN };
	unsigned rounds = 0, answers = 0;

	/* Frames wait, buffers are full: an answer comes at the first look. */
	for (int n = 0; n < 16; n++)
		vx_send(v, 0, v->scratch, 60, NULL);
	vx_ok(v, front_send(&v->dev.sock, &m));
	vx_step(v);
	assert_int_equal(poll(&p, 1, 0), 1);
	vx_ok(v, front_recv(&v->dev.sock, &m));
	assert_int_equal(m.flags, FRONT_VERSION | FRONT_REPLY);

	/* Who sends a thousand messages does not get the control thread for all of them. */
	for (int n = 0; n < 100; n++) {
		m = (struct front_msg){ .request = FRONT_GET_FEATURES, .flags = FRONT_VERSION };
		vx_ok(v, front_send(&v->dev.sock, &m));
	}
	while (answers < 100) {
		unsigned now = 0;

		vx_step(v);
		assert_true(v->is_up);
		while (poll(&p, 1, 0) == 1) {
			vx_ok(v, front_recv(&v->dev.sock, &m));
			now++;
		}
		assert_in_range(now, 1, 40);
		answers += now;
		rounds++;
	}
	assert_true(rounds > 2);
	vx_free(v);
}

/* ---- 19 ---- */

static void trap_19_queue_num(void **state)
{
	for (unsigned pairs = 1; pairs <= VHOST_USER_PAIRS_MAX; pairs++) {
		struct vx_config c = small(0);
		struct vx *v;
		uint64_t n;

		c.pairs = pairs;
		v = vx_new(&c);
		vx_negotiate(v);
		/* Some compare it with pairs, some with rings. */
		vx_ok(v, front_get_u64(&v->dev.sock, FRONT_GET_QUEUE_NUM, &n));
		assert_int_equal(n, 128);
		/* Some make exactly as many: they get no MQ if there is one pair only. */
		assert_true(!!(v->dev.protocol_offered & FRONT_P_MQ) == (pairs > 1));
		assert_true(!!(v->dev.offered & FRONT_BIT(FRONT_F_MQ)) == (pairs > 1));
		vx_free(v);
	}
}

/* ---- 20 ---- */

static void trap_20_rings_that_are_not_served(void **state)
{
	struct vx_config c = small(FRONT_BIT(FRONT_F_MQ));
	struct vx *v;
	unsigned fds;

	c.pairs = 2;
	c.dev.n_pairs = 5;
	c.dev.mem.size = 8 << 20;
	v = vx_new(&c);
	v->post_size = 256;
	vx_make(v);
	fds = vx_count_fds();
	vx_ok(v, front_dev_steps(&v->dev, FRONT_ORDER_QEMU));
	settle(v);
	assert_true(vx_runs(v));
	/* The operator is told; the rest works, and descriptors of the others are not kept. */
	assert_int_equal(vx_state(v).why.code, E2BIG);
	assert_non_null(strstr(vx_state(v).why.hint, "queues=2"));
	assert_int_equal(vx_count_fds(), fds + 2 * 2 * 2);
	vx_ping(v, "two of five");
	for (unsigned idx = 0; idx < 10; idx++)
		assert_true(ring_runs(v, idx < 4 ? idx : 0));
	vx_stop(v);
	vx_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VX_TEST(trap_01_kick_before_call),
		VX_TEST(test_waits_while_something_is_missing),
		VX_TEST(trap_02_no_descriptor_is_not_the_same_as_not_told),
		VX_TEST(test_polls_what_cannot_be_watched),
		VX_TEST(trap_03_swapped_call_is_signalled_once),
		VX_TEST(trap_04_start_without_kick),
		VX_TEST(trap_05_event_index_behind_after_restart),
		VX_TEST(trap_06_arm_looks_again),
		VX_TEST(trap_07_enabled_without_protocol_features),
		VX_TEST(trap_08_base_is_told_before_it_is_reset),
		VX_TEST(test_base_of_rings_that_never_were),
		VX_TEST(trap_09_enabled_or_started_but_not_both),
		VX_TEST(trap_09_pairs_that_are_not_enabled),
		VX_TEST(trap_10_answers_after_the_data_path_has_switched),
		VX_TEST(trap_11_features_again_do_not_restart),
		VX_TEST(trap_12_packed_base_in_both_halves),
		VX_TEST(trap_12_packed_base_goes_back),
		VX_TEST(trap_12_packed_base_of_another_front_end),
		VX_TEST(trap_13_features_after_a_restart),
		VX_TEST(trap_14_used_index_in_memory_is_right),
		VX_TEST(trap_15_inflight_before_queues),
		VX_TEST(trap_16_no_acknowledgement_without_the_feature),
		VX_TEST(trap_17_call_never_blocks),
		VX_TEST(trap_18_control_is_answered_under_load),
		VX_TEST(trap_19_queue_num),
		VX_TEST(trap_20_rings_that_are_not_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
