// SPDX-License-Identifier: Apache-2.0
/*
 * Without memory, or without what the kernel has to give: the Nth allocation, mapping or descriptor
 * that the port asks for fails, for N = 1 until nothing fails any more. The port lives, says no or
 * ends the connection, and works when there is memory again; nothing leaks.
 */
#include "vhost_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
	bool armed;
	unsigned left, failed;
} fault;

static bool fails(void)
{
	if (!fault.armed || fault.failed || fault.left--)
		return false;
	fault.failed++;
	errno = ENOMEM;
	return true;
}

/* The linker puts these in the place of the C library's. */
#define WRAP(type, bad, name, params, args)                                                        \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fails() ? (bad) : __real_##name args;                                       \
	}

WRAP(void *, NULL, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, NULL, realloc, (void *p, size_t size), (p, size))
WRAP(void *, NULL, aligned_alloc, (size_t align, size_t size), (align, size))
WRAP(int, -1, eventfd, (unsigned count, int flags), (count, flags))
WRAP(int, -1, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(int, -1, ftruncate64, (int fd, off_t size), (fd, size))
WRAP(void *, MAP_FAILED, mmap64, (void *at, size_t size, int prot, int flags, int fd, off_t offset),
     (at, size, prot, flags, fd, offset))

/* Only what the port does can fail. */
static void step(void *vx)
{
	fault.armed = true;
	vx_step(vx);
	fault.armed = false;
}

static struct vx_config config(bool slots)
{
	struct vx_config c = { .pairs = 2,
			       .has_state = true,
			       .dev = { .mem = { .size = 4 << 20, .n_regions = 2, .hole = 4096 },
					.n_pairs = 2,
					.rx_size = 16,
					.tx_size = 16,
					.rx_buf = 64,
					.need_reply = true,
					.add_regions = slots,
					.protocol = FRONT_PROTOCOL_USUAL | FRONT_P_INFLIGHT_SHMFD |
						    FRONT_P_CONFIGURE_MEM_SLOTS,
					.features =
						FRONT_FEATURES_LEAST | FRONT_BIT(FRONT_F_MQ) } };

	return c;
}

/* Everything that can allocate; stops at the first refusal. */
static int set_up(struct vx *v)
{
	struct front_mem_range range = { 0 };
	int fd, err;

	vx_connect(v);
	v->dev.sock.step = step;
	v->dev.sock.timeout_ms = 1000;
	err = front_dev_negotiate(&v->dev);
	if (!err)
		err = front_dev_make(&v->dev);
	if (!err)
		front_dev_clear(&v->dev);
	if (!err)
		err = front_get_inflight(&v->dev.sock, 4, 16, &range, &fd);
	if (!err) {
		struct front_msg m = {
			.request = FRONT_SET_INFLIGHT_FD, .size = 20, .n_fds = 1, .fds = { fd }
		};

		m.u.inflight.size = range.size;
		m.u.inflight.n_queues = 4;
		m.u.inflight.queue_size = 16;
		err = front_call(&v->dev.sock, &m);
		close(fd);
	}
	if (!err)
		err = front_dev_steps(&v->dev, v->dev.c.order);
	return err ? err : front_dev_log_start(&v->dev);
}

static void test_setting_up(void **state)
{
	for (int slots = 0; slots < 2; slots++) {
		unsigned n = 0;

		do {
			struct vx_config c = config(slots);
			struct vx *v = vx_new(&c);
			int err;

			assert_true(n < 200);
			v->post_size = 128;
			fault.left = n++;
			fault.failed = 0;
			err = set_up(v);
			if (err && !fault.failed)
				fail_msg("%d: %s", err, v->dev.error);
			if (err && v->is_up) /* refused: the operator can read why */
				assert_true(vx_state(v).link != VHOST_USER_RUNS ||
					    vx_state(v).why.code != 0);
			vx_take(v);
			vx_give(v, v->scratch, 60);
			/* With memory again, by a new connection. */
			if (fault.failed) {
				fault.left = UINT32_MAX;
				vx_free(v);
				v = vx_new(&c);
				v->post_size = 128;
				assert_int_equal(set_up(v), 0);
			}
			assert_true(vx_runs(v));
			vx_free(v);
		} while (fault.failed);
		assert_true(n > 8);
	}
}

/* The same port, after each failure: it takes the next connection as if nothing had been. */
static void test_next_connection(void **state)
{
	struct vx_config c = config(false);
	struct vx *v = vx_new(&c);
	unsigned n = 0;

	v->post_size = 128;
	do {
		int err;

		fault.left = n++;
		fault.failed = 0;
		err = set_up(v);
		if (!err && !fault.failed)
			break;
		front_sock_close(&v->dev.sock);
		vx_step(v);
	} while (n < 200);
	assert_in_range(n, 5, 199);
	assert_true(vx_runs(v));
	vx_free(v);
}

static void test_port_new(void **state)
{
	struct vhost_user_spec s = { .pairs_max = 1, .state_fd = -1 };
	struct port *p;
	unsigned n = 0;

	do {
		fault.left = n++;
		fault.failed = 0;
		fault.armed = true;
		p = vhost_user_port_new(&s, 2);
		fault.armed = false;
		assert_true(p || fault.failed);
		if (p)
			vhost_user_detach(p);
		port_free(p);
	} while (fault.failed);
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VX_TEST(test_setting_up),
		VX_TEST(test_next_connection),
		VX_TEST(test_port_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
