// SPDX-License-Identifier: Apache-2.0
/*
 * Notifications both ways: none is lost, whoever goes to sleep when; and none is sent that the
 * other side did not ask for.
 */
#include "vhost_fixture.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RING = 16, SIZE = 60 };

static struct vx *start(uint64_t features, unsigned ring)
{
	struct vx_config c = { .dev = { .mem = { .size = 4 << 20 },
					.rx_size = ring,
					.tx_size = ring,
					.rx_buf = 64,
					.features = FRONT_FEATURES_LEAST | features } };
	struct vx *v = vx_new(&c);

	v->post_size = 128;
	vx_start(v);
	front_ring_calls(&v->dev.pair[0].rx);
	front_ring_calls(&v->dev.pair[0].tx);
	return v;
}

static uint32_t random_below(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % n;
}

/* ---- to the guest ---- */

/* Have the driver ask for an interrupt when buffer number `event` (of all) has been used. */
static void ask_for(struct front_ring *r, uint64_t event)
{
	if (r->c.packed) {
		uint16_t wrap = event / r->c.size % 2 ? 0 : 1 << 15;

		front_store16(&r->driver->position, (uint16_t)(event % r->c.size | wrap));
		front_store16(&r->driver->flags, FRONT_EV_DESC);
	} else {
		front_store16(front_used_event(r), (uint16_t)event);
	}
}

/* With an event index: a call if and only if the event was passed, over all wraps. */
static void test_event_index_to_guest(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v;
		struct front_ring *r;
		uint32_t seed = 7, size;
		uint64_t used = 0;

		if (!(k->features & FRONT_BIT(FRONT_F_EVENT_IDX)))
			continue;
		v = start(k->features, RING);
		r = &v->dev.pair[0].rx;
		while (used < 70000) {
			unsigned n = 1 + random_below(&seed, RING);
			/* Near the place, before and behind it, within a lap. */
			uint64_t event = used + random_below(&seed, 2 * RING - 1);
			bool want = event >= used && event < used + n;

			event -= event >= RING - 1 && random_below(&seed, 2) ? RING - 1 : 0;
			want = !used || (event >= used && event < used + n);
			vx_post(v, 0, RING);
			ask_for(r, event);
			for (unsigned f = 0; f < n; f++)
				assert_true(vx_tx(v, v->scratch, SIZE, NULL));
			vx_flush(v);
			if (vx_called(v, 0) != want)
				fail_msg("%s: %u used from %llu on, event %llu: %scalled", k->name,
					 n, (unsigned long long)used, (unsigned long long)event,
					 want ? "not " : "");
			used += n;
			while (vx_get(v, 0, NULL, &size))
				;
		}
		vx_free(v);
	}
}

/* Whatever is negotiated: asked for, there is one call a flush; not asked for, there is none. */
static void test_calls_as_the_driver_asks(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start(k->features, RING);
		struct vhost_user_info info;
		uint64_t sent, calls = 0;
		uint32_t size;

		vx_ping(v, k->name); /* the first one after a start may be told in any case */
		front_ring_calls(&v->dev.pair[0].rx);
		front_ring_calls(&v->dev.pair[0].tx);
		vhost_user_info(v->port, &info);
		sent = info.calls_sent;
		for (unsigned n = 0; n < 300; n++) {
			bool on = n % 3;

			vx_post(v, 0, 5);
			front_ring_interrupts(&v->dev.pair[0].rx, on);
			front_ring_interrupts(&v->dev.pair[0].tx, on);
			for (unsigned f = 0; f < 3; f++) {
				assert_true(vx_tx(v, v->scratch, SIZE, NULL));
				vx_send(v, 0, v->scratch, SIZE, NULL);
			}
			vx_flush(v);
			assert_int_equal(front_ring_calls(&v->dev.pair[0].rx), on);
			assert_int_equal(vx_take(v), 3);
			assert_int_equal(front_ring_calls(&v->dev.pair[0].tx), on);
			calls += on ? 2 : 0;
			while (vx_get(v, 0, NULL, &size))
				;
			vx_ok(v, front_dev_drain(&v->dev, 0, 100));
			vx_forget(v);
		}
		vhost_user_info(v->port, &info);
		assert_int_equal(info.calls_sent - sent, calls);
		/* Nothing was put: nothing is told. */
		front_ring_interrupts(&v->dev.pair[0].rx, true);
		vx_flush(v);
		assert_false(vx_called(v, 0));
		vx_free(v);
	}
}

/* ---- from the guest ---- */

static bool add_and_kick(struct vx *v)
{
	struct front_tx tx = { .data = v->scratch, .size = SIZE };

	vx_ok(v, front_dev_queue(&v->dev, 0, &tx, 0));
	front_ring_publish(&v->dev.pair[0].tx);
	return front_ring_kick(&v->dev.pair[0].tx);
}

/* While it is polled nobody kicks; armed, the first frame does; over all wraps. */
static void test_kicks_only_when_armed(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start(k->features, RING);
		struct vhost_user_info info;

		add_and_kick(v);
		vx_take(v);
		for (unsigned n = 0; n < 14000; n++) {
			unsigned more = n % 5;

			assert_false(v->port->ops->arm(v->port));
			if (!add_and_kick(v))
				fail_msg("%s: asleep, and no kick for frame %u", k->name, n);
			assert_int_equal(vx_take(v), 1);
			for (unsigned f = 0; f < more; f++)
				if (add_and_kick(v))
					fail_msg("%s: awake, and kicked all the same", k->name);
			assert_int_equal(vx_take(v), more);
			vx_ok(v, front_dev_drain(&v->dev, 0, 100));
			vx_forget(v);
		}
		vhost_user_info(v->port, &info);
		assert_int_equal(info.kicks, 14000);
		vx_free(v);
	}
}

/* Of queues that are only filled nobody wants to hear. */
static void test_receive_queues_are_not_kicked(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start(k->features, RING);
		struct front_ring *r = &v->dev.pair[0].rx;
		uint64_t before;
		uint32_t size;

		vx_post(v, 0, RING);
		before = r->n_kicks;
		for (unsigned n = 0; n < 1000; n++) {
			assert_true(vx_give(v, v->scratch, SIZE));
			assert_true(vx_get(v, 0, NULL, &size));
			v->port->ops->arm(v->port);
			vx_post(v, 0, 1);
		}
		if (r->n_kicks != before)
			fail_msg("%s: %u kicks", k->name, (unsigned)(r->n_kicks - before));
		vx_free(v);
	}
}

/* ---- two threads ---- */

enum { CHANGES = 1000000 / 4, SECONDS = 3, WAIT_MS = 5000 };

struct driver {
	struct vx *v;
	unsigned n; /* frames it sent */
	const char *failed;
	_Atomic bool done;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* Wait until at most `left` are out, by interrupt: false if none comes. */
static bool driver_wait(struct front_ring *r, unsigned left)
{
	struct front_got got;

	while (front_ring_outstanding(r) > left) {
		struct pollfd p = { .fd = r->call, .events = POLLIN };
		int n = front_ring_get(r, &got);

		if (n < 0)
			return false;
		if (n > 0)
			continue;
		front_ring_interrupts(r, true);
		if (!front_ring_has_used(r)) {
			if (poll(&p, 1, WAIT_MS) != 1)
				return false;
			front_ring_calls(r);
		}
		front_ring_interrupts(r, false);
	}
	return true;
}

static void *drive(void *arg)
{
	struct driver *d = arg;
	struct front_ring *r = &d->v->dev.pair[0].tx;
	uint64_t gpa = front_mem_alloc(&d->v->dev.mem, 128, 64);
	struct front_piece p = { gpa, SIZE, false };
	struct front_chain chain = { .piece = &p, .n = 1 };
	int64_t end = now_ms() + SECONDS * 1000;
	uint32_t seed = 3;

	while (d->n < CHANGES && !d->failed && (d->n % 64 || now_ms() < end)) {
		unsigned n = 1 + random_below(&seed, 4) % 3;

		for (unsigned i = 0; i < n; i++, d->n++)
			if (front_ring_add(r, &chain) < 0)
				d->failed = "no room";
		front_ring_publish(r);
		if (seed & 256) /* where it hurts most to be somewhere else */
			sched_yield();
		front_ring_kick(r);
		if (!driver_wait(r, random_below(&seed, 3) ? 0 : 2))
			d->failed = "no interrupt came";
	}
	if (!d->failed && !driver_wait(r, 0))
		d->failed = "the last ones do not come back";
	atomic_store(&d->done, true);
	front_ring_kick_always(r);
	return NULL;
}

/*
 * One thread adds and kicks if it is asked to, and sleeps until it is called; the other takes, arms
 * and sleeps until it is kicked. Each time one of them is about to fall asleep the other one may be
 * about to do what would wake it up.
 */
static void test_nobody_sleeps_for_ever(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct driver d = { 0 };
		struct pollfd p = { .events = POLLIN };
		unsigned taken = 0, slept = 0;
		pthread_t thread;
		uint64_t n;

		if (k->features & FRONT_BIT(FRONT_F_IN_ORDER))
			continue;
		d.v = start(k->features, RING);
		p.fd = d.v->dev.pair[0].tx.kick;
		assert_int_equal(pthread_create(&thread, NULL, drive, &d), 0);
		while (!atomic_load(&d.done)) {
			unsigned got = vx_rx(d.v, BURST_MAX);

			vx_rx_done(d.v);
			vx_forget(d.v);
			taken += got;
			if (!got)
				sched_yield();
			if (got || d.v->port->ops->arm(d.v->port))
				continue;
			slept++;
			if (poll(&p, 1, WAIT_MS) != 1) {
				print_error("%s: no kick after %u frames\n", k->name, taken);
				break;
			}
			(void)!read(p.fd, &n, sizeof(n));
		}
		pthread_join(thread, NULL);
		taken += vx_take(d.v);
		if (d.failed)
			fail_msg("%s: %s, after %u frames", k->name, d.failed, d.n);
		assert_int_equal(taken, d.n);
		assert_true(slept > 0);
		vx_free(d.v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VX_TEST(test_event_index_to_guest),   VX_TEST(test_calls_as_the_driver_asks),
		VX_TEST(test_kicks_only_when_armed),  VX_TEST(test_receive_queues_are_not_kicked),
		VX_TEST(test_nobody_sleeps_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
