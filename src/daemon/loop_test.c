// SPDX-License-Identifier: Apache-2.0
/*
 * The loop with real descriptors and the real clock; order is asserted, durations are not.
 */
#include "loop.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

enum { N = 3 };

/* What a callback works on: it notes its letter, then does what the test wants. */
struct fixture {
	struct loop *loop;
	char trace[64];
	int fd[N];
	struct loop_watch *watch[N];
	struct loop_timer *timer[N];
};

struct callback {
	struct fixture *f;
	char letter;
	void (*then)(struct fixture *f);
};

static void note(struct fixture *f, char letter)
{
	size_t n = strlen(f->trace);

	assert_true(n + 1 < sizeof(f->trace));
	f->trace[n] = letter;
}

static void run(struct callback *c)
{
	note(c->f, c->letter);
	if (c->then)
		c->then(c->f);
}

static void fd_ready(void *aux, uint32_t events)
{
	assert_true(events & EPOLLIN);
	run(aux);
}

static void timer_fired(void *aux)
{
	run(aux);
}

static void signal_came(void *aux, int signo)
{
	assert_int_equal(signo, SIGUSR1);
	run(aux);
}

static void stop(struct fixture *f)
{
	loop_stop(f->loop);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->loop = loop_new();
	for (int i = 0; i < N; i++)
		f->fd[i] = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	*state = f;
	return f->loop && f->fd[N - 1] >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_free(f->loop);
	for (int i = 0; i < N; i++)
		assert_return_code(close(f->fd[i]), errno);
	free(f);
	return 0;
}

static void unwatch_all(struct fixture *f)
{
	for (int i = 0; i < N; i++) {
		loop_unwatch(f->watch[i]);
		f->watch[i] = NULL;
	}
}

/* Three descriptors are ready; whichever comes first removes all, and no other is called. */
static void test_unwatch_in_turn(void **state)
{
	struct fixture *f = *state;
	struct callback c = { f, 'r', unwatch_all };

	for (int i = 0; i < N; i++)
		f->watch[i] = loop_watch(f->loop, f->fd[i], EPOLLIN, fd_ready, &c);
	assert_int_equal(loop_turn(f->loop, 1000), 0);
	assert_string_equal(f->trace, "r");
	assert_int_equal(loop_turn(f->loop, 0), 0);
	assert_string_equal(f->trace, "r");
	/* The descriptors are free for a new watch. */
	for (int i = 0; i < N; i++)
		f->watch[i] = loop_watch(f->loop, f->fd[i], EPOLLIN, fd_ready, &c);
	assert_non_null(f->watch[N - 1]);
}

static void test_events(void **state)
{
	struct fixture *f = *state;
	struct callback c = { f, 'e', NULL };

	f->watch[0] = loop_watch(f->loop, f->fd[0], 0, fd_ready, &c);
	assert_int_equal(loop_turn(f->loop, 0), 0);
	assert_string_equal(f->trace, "");
	assert_int_equal(loop_watch_events(f->watch[0], EPOLLIN), 0);
	assert_int_equal(loop_turn(f->loop, 0), 0);
	assert_int_equal(loop_turn(f->loop, 0), 0); /* level-triggered */
	assert_string_equal(f->trace, "ee");
	assert_null(loop_watch(f->loop, f->fd[0], EPOLLIN, fd_ready, &c));
	assert_int_equal(errno, EEXIST);
	assert_null(loop_watch(f->loop, -1, EPOLLIN, fd_ready, &c));
	assert_int_equal(errno, EBADF);
}

static void test_timers_in_order(void **state)
{
	struct fixture *f = *state;
	struct callback a = { f, 'a', NULL }, b = { f, 'b', NULL }, c = { f, 'c', stop };
	tstamp now = loop_now(f->loop);

	f->timer[0] = loop_timer_new(f->loop, timer_fired, &a);
	f->timer[1] = loop_timer_new(f->loop, timer_fired, &b);
	f->timer[2] = loop_timer_new(f->loop, timer_fired, &c);
	loop_timer_set(f->timer[2], now + 30 * NS_PER_MS, 0);
	loop_timer_set(f->timer[0], now + 10 * NS_PER_MS, 0);
	loop_timer_set(f->timer[1], now + 20 * NS_PER_MS, 0);
	assert_true(loop_timer_is_set(f->timer[0]));
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->trace, "abc");
	assert_false(loop_timer_is_set(f->timer[0]));
	assert_true(loop_now(f->loop) >= now + 30 * NS_PER_MS);
}

static void test_timer_stopped(void **state)
{
	struct fixture *f = *state;
	struct callback a = { f, 'a', NULL }, b = { f, 'b', stop };
	tstamp now = loop_now(f->loop);

	f->timer[0] = loop_timer_new(f->loop, timer_fired, &a);
	f->timer[1] = loop_timer_new(f->loop, timer_fired, &b);
	loop_timer_set(f->timer[0], now, 0);
	loop_timer_stop(f->timer[0]);
	loop_timer_set(f->timer[1], now + NS_PER_S * 3600, 0);
	loop_timer_set(f->timer[1], now + NS_PER_MS, 0); /* the later setting counts */
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->trace, "b");
}

static void set_to_past(struct fixture *f)
{
	loop_timer_set(f->timer[0], 0, 0);
}

/* A timer that always wants to fire at once must not keep the loop from anything else. */
static void test_timer_in_past(void **state)
{
	struct fixture *f = *state;
	struct callback t = { f, 't', set_to_past }, r = { f, 'r', NULL };

	f->timer[0] = loop_timer_new(f->loop, timer_fired, &t);
	f->watch[0] = loop_watch(f->loop, f->fd[0], EPOLLIN, fd_ready, &r);
	set_to_past(f);
	assert_int_equal(loop_turn(f->loop, 0), 0);
	assert_int_equal(loop_turn(f->loop, 0), 0);
	assert_string_equal(f->trace, "trtr");
}

static void test_period(void **state)
{
	struct fixture *f = *state;
	struct callback t = { f, 't', NULL };
	tstamp now = loop_now(f->loop);

	f->timer[0] = loop_timer_new(f->loop, timer_fired, &t);
	/* 100 periods are over: it fires once for them, then in the future. */
	loop_timer_set(f->timer[0], now - 100 * NS_PER_S, NS_PER_S);
	assert_int_equal(loop_turn(f->loop, 0), 0);
	assert_int_equal(loop_turn(f->loop, 0), 0);
	assert_string_equal(f->trace, "t");
	assert_true(loop_timer_is_set(f->timer[0]));
	loop_timer_set(f->timer[0], now, NS_PER_MS);
	assert_int_equal(loop_turn(f->loop, 1000), 0);
	assert_int_equal(loop_turn(f->loop, 1000), 0);
	assert_string_equal(f->trace, "ttt");
}

static void free_timers(struct fixture *f)
{
	for (int i = 0; i < N; i++) {
		loop_timer_free(f->timer[i]);
		f->timer[i] = NULL;
	}
}

/* All are due in the same turn; the first frees itself and the others. */
static void test_timer_freed_in_turn(void **state)
{
	struct fixture *f = *state;
	struct callback t = { f, 't', free_timers };

	for (int i = 0; i < N; i++) {
		f->timer[i] = loop_timer_new(f->loop, timer_fired, &t);
		loop_timer_set(f->timer[i], 0, NS_PER_S);
	}
	assert_int_equal(loop_turn(f->loop, 0), 0);
	assert_string_equal(f->trace, "t");
}

static void test_signal(void **state)
{
	struct fixture *f = *state;
	struct callback s = { f, 's', stop };

	assert_non_null(loop_signal(f->loop, SIGUSR1, signal_came, &s));
	assert_return_code(kill(getpid(), SIGUSR1), errno);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->trace, "s");
	assert_null(loop_signal(f->loop, 12345, signal_came, &s));
	assert_int_equal(errno, EINVAL);
}

static void test_stop_before_run(void **state)
{
	struct fixture *f = *state;
	struct callback t = { f, 't', stop };

	loop_stop(f->loop);
	assert_int_equal(loop_run(f->loop), 0);
	/* That stopped one run, not the next one. */
	f->timer[0] = loop_timer_new(f->loop, timer_fired, &t);
	loop_timer_set(f->timer[0], 0, 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->trace, "t");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_unwatch_in_turn),	TEST(test_events),
		TEST(test_timers_in_order),	TEST(test_timer_stopped),
		TEST(test_timer_in_past),	TEST(test_period),
		TEST(test_timer_freed_in_turn), TEST(test_signal),
		TEST(test_stop_before_run),
	};

	alarm(30); /* a loop that hangs must not hang the tests */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
