// SPDX-License-Identifier: Apache-2.0
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 64 }; /* of one epoll_wait(); more wait for the next turn */

struct loop_watch {
	LIST_ENTRY(loop_watch) entry;
	struct loop *loop;
	int fd;
	bool is_dead; /* unwatched, but an event of this turn may still point here */
	loop_fd_cb *cb;
	void *aux;
};

struct loop_timer {
	LIST_ENTRY(loop_timer) entry;
	struct loop *loop;
	bool is_set;
	tstamp when, period;
	loop_timer_cb *cb;
	void *aux;
};

struct loop_signal {
	LIST_ENTRY(loop_signal) entry;
	int signo;
	loop_signal_cb *cb;
	void *aux;
};

LIST_HEAD(watch_list, loop_watch);
LIST_HEAD(timer_list, loop_timer);
LIST_HEAD(signal_list, loop_signal);

struct loop {
	int epoll;
	int signal_fd; /* -1: no signal is watched */
	bool is_stopped;
	tstamp now;
	sigset_t signal_set;
	struct watch_list watches, dead;
	struct timer_list timers; /* set, by time */
	struct timer_list due;	  /* set, to fire in this turn */
	struct timer_list idle;	  /* not set */
	struct signal_list signals;
};

static tstamp clock_read(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->signal_fd = -1;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		free(l);
		return NULL;
	}
	sigemptyset(&l->signal_set);
	l->now = clock_read();
	return l;
}

static void bury_dead(struct loop *l)
{
	struct loop_watch *w;

	while ((w = LIST_FIRST(&l->dead))) {
		LIST_REMOVE(w, entry);
		free(w);
	}
}

/* The list itself goes with the loop, so nothing is taken out of it. */
static void free_timers(struct timer_list *list)
{
	struct loop_timer *t = LIST_FIRST(list), *next;

	for (; t; t = next) {
		next = LIST_NEXT(t, entry);
		free(t);
	}
}

void loop_free(struct loop *l)
{
	struct loop_signal *s;

	if (!l)
		return;
	while (!LIST_EMPTY(&l->watches))
		loop_unwatch(LIST_FIRST(&l->watches));
	bury_dead(l);
	free_timers(&l->timers);
	free_timers(&l->due);
	free_timers(&l->idle);
	while ((s = LIST_FIRST(&l->signals))) {
		LIST_REMOVE(s, entry);
		free(s);
	}
	if (l->signal_fd >= 0)
		close(l->signal_fd);
	close(l->epoll);
	free(l);
}

tstamp loop_now(const struct loop *l)
{
	return l->now;
}

void loop_stop(struct loop *l)
{
	l->is_stopped = true;
}

/* Descriptors. */

struct loop_watch *loop_watch(struct loop *l, int fd, uint32_t events, loop_fd_cb *cb, void *aux)
{
	struct loop_watch *w = malloc(sizeof(*w));
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (!w)
		return NULL;
	*w = (struct loop_watch){ .loop = l, .fd = fd, .cb = cb, .aux = aux };
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		free(w);
		return NULL;
	}
	LIST_INSERT_HEAD(&l->watches, w, entry);
	return w;
}

int loop_watch_events(struct loop_watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	return epoll_ctl(w->loop->epoll, EPOLL_CTL_MOD, w->fd, &ev) < 0 ? -errno : 0;
}

void loop_unwatch(struct loop_watch *w)
{
	if (!w)
		return;
	epoll_ctl(w->loop->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	LIST_REMOVE(w, entry);
	w->is_dead = true;
	LIST_INSERT_HEAD(&w->loop->dead, w, entry);
}

/* Timers. */

struct loop_timer *loop_timer_new(struct loop *l, loop_timer_cb *cb, void *aux)
{
	struct loop_timer *t = malloc(sizeof(*t));

	if (!t)
		return NULL;
	*t = (struct loop_timer){ .loop = l, .cb = cb, .aux = aux };
	LIST_INSERT_HEAD(&l->idle, t, entry);
	return t;
}

void loop_timer_set(struct loop_timer *t, tstamp when, tstamp period)
{
	struct timer_list *list = &t->loop->timers;
	struct loop_timer *before = NULL, *i;

	LIST_REMOVE(t, entry);
	t->is_set = true;
	t->when = when;
	t->period = period;
	LIST_FOREACH(i, list, entry)
	{
		if (i->when > when)
			break;
		before = i;
	}
	if (before)
		LIST_INSERT_AFTER(before, t, entry);
	else
		LIST_INSERT_HEAD(list, t, entry);
}

void loop_timer_stop(struct loop_timer *t)
{
	LIST_REMOVE(t, entry);
	t->is_set = false;
	LIST_INSERT_HEAD(&t->loop->idle, t, entry);
}

bool loop_timer_is_set(const struct loop_timer *t)
{
	return t->is_set;
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	LIST_REMOVE(t, entry);
	free(t);
}

/* Set or stop the timer that fires now, before its callback may want something else. */
static void timer_advance(struct loop_timer *t, tstamp now)
{
	tstamp next = t->when + t->period;

	if (!t->period) {
		loop_timer_stop(t);
		return;
	}
	if (next <= now)
		next += ((now - next) / t->period + 1) * t->period;
	loop_timer_set(t, next, t->period);
}

/*
 * Fire what is due. It is moved to a list of its own first, so that a timer which its callback
 * sets to the past waits for the next turn, and descriptors are not starved.
 */
static void run_timers(struct loop *l)
{
	struct loop_timer *t, *last = NULL;

	while ((t = LIST_FIRST(&l->timers)) && t->when <= l->now) {
		LIST_REMOVE(t, entry);
		if (last)
			LIST_INSERT_AFTER(last, t, entry);
		else
			LIST_INSERT_HEAD(&l->due, t, entry);
		last = t;
	}
	while ((t = LIST_FIRST(&l->due))) {
		timer_advance(t, l->now);
		t->cb(t->aux);
	}
}

/* Signals. */

static void signal_ready(void *aux, uint32_t events)
{
	struct loop *l = aux;
	struct signalfd_siginfo info;
	struct loop_signal *s;

	if (read(l->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	LIST_FOREACH(s, &l->signals, entry)
	{
		if (s->signo == (int)info.ssi_signo) {
			s->cb(s->aux, s->signo);
			return;
		}
	}
}

struct loop_signal *loop_signal(struct loop *l, int signo, loop_signal_cb *cb, void *aux)
{
	struct loop_signal *s = malloc(sizeof(*s));
	sigset_t set = l->signal_set;
	int fd = -1;

	if (!s)
		return NULL;
	*s = (struct loop_signal){ .signo = signo, .cb = cb, .aux = aux };
	if (sigaddset(&set, signo) < 0 || pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		goto fail;
	fd = signalfd(l->signal_fd, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		goto fail;
	if (l->signal_fd < 0 && !loop_watch(l, fd, EPOLLIN, signal_ready, l)) {
		close(fd);
		goto fail;
	}
	l->signal_fd = fd;
	l->signal_set = set;
	LIST_INSERT_HEAD(&l->signals, s, entry);
	return s;
fail:
	free(s);
	return NULL;
}

/* The turn. */

/* `limit` in ms (-1: none), shortened to the next timer; rounded up, so that it is due then. */
static int wait_ms(const struct loop *l, int limit)
{
	const struct loop_timer *t = LIST_FIRST(&l->timers);
	tstamp left;

	if (!t)
		return limit;
	left = t->when - clock_read();
	if (left <= 0)
		return 0;
	left = (left + NS_PER_MS - 1) / NS_PER_MS;
	if (limit >= 0 && left > limit)
		return limit;
	return left > INT32_MAX ? INT32_MAX : (int)left;
}

int loop_turn(struct loop *l, int timeout_ms)
{
	struct epoll_event ev[EVENTS_MAX];
	int n = epoll_wait(l->epoll, ev, EVENTS_MAX, wait_ms(l, timeout_ms));

	if (n < 0 && errno != EINTR)
		return -errno;
	l->now = clock_read();
	run_timers(l);
	for (int i = 0; i < n; i++) {
		struct loop_watch *w = ev[i].data.ptr;

		if (!w->is_dead)
			w->cb(w->aux, ev[i].events);
	}
	bury_dead(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int err = 0;

	while (!l->is_stopped && !err)
		err = loop_turn(l, -1);
	l->is_stopped = false;
	return err;
}
