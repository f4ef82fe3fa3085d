// SPDX-License-Identifier: Apache-2.0
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"
#include "turn.h"

enum {
	EVENTS_MAX = 64,
	INJECTS_MAX = 1024,
	LOOK_ROUNDS = 4,   /* busy rounds between two looks for ports that woke up */
	EMPTY_ROUNDS = 64, /* empty rounds before a port that needs arming goes cold */
	EVENT_WAKE = PORT_NONE,
};

/* No view is in use: the worker sleeps. */
#define OFFLINE UINT64_MAX

struct inject {
	port_id port;
	uint16_t size;
	uint8_t octets[INJECT_SIZE_MAX];
};

struct worker {
	struct worker_shared *shared;
	unsigned idx;
	pthread_t thread;
	struct turn *turn;
	struct ring *injects; /* control thread to worker */
	int epoll_fd, wake_fd;
	_Alignas(64) _Atomic uint64_t generation; /* of the view in use, 0: about to load one */

	_Alignas(64) unsigned n_hot;
	port_id hot[PORTS_MAX];
	bool is_hot[PORTS_MAX];
	uint8_t empty[PORTS_MAX]; /* rounds without a frame */
};

/* ---- the thread ---- */

static tstamp clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (tstamp)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/*
 * Take the newest view. The store of 0 comes before the load in the one order of all sequentially
 * consistent operations, so whoever swaps the view and then finds us OFFLINE knows that our load
 * comes later still, and gets the new one.
 */
static const struct fwd_view *worker_view(struct worker *w)
{
	const struct fwd_view *v;

	if (atomic_load_explicit(&w->generation, memory_order_relaxed) == OFFLINE)
		atomic_store(&w->generation, 0);
	v = atomic_load(&w->shared->view);
	atomic_store_explicit(&w->generation, v->generation, memory_order_release);
	return v;
}

static void worker_heat(struct worker *w, port_id id)
{
	if (id >= PORTS_MAX || w->is_hot[id])
		return;
	w->is_hot[id] = true;
	w->empty[id] = 0;
	w->hot[w->n_hot++] = id;
}

/* Collect the ports that woke up; sleep if `timeout_ms` is -1. */
static void worker_look(struct worker *w, int timeout_ms)
{
	struct epoll_event ev[EVENTS_MAX];
	int n = epoll_wait(w->epoll_fd, ev, EVENTS_MAX, timeout_ms);

	for (int i = 0; i < n; i++) {
		uint64_t count;

		if (ev[i].data.u32 != EVENT_WAKE)
			worker_heat(w, (port_id)ev[i].data.u32);
		else
			(void)!read(w->wake_fd, &count, sizeof(count));
	}
}

/* True if the port has nothing to do and will wake us when it has. */
static bool worker_cools(struct worker *w, const struct fwd_view *v, port_id id, unsigned frames)
{
	struct port *p = id < v->n_ports ? v->port[id].port : NULL;

	if (turn_has_more(w->turn))
		return false;
	if (!p || !p->ops->arm)
		return true;
	w->empty[id] = frames ? 0 : (uint8_t)(w->empty[id] + 1);
	if (w->empty[id] < EMPTY_ROUNDS)
		return false;
	w->empty[id] = 0;
	return !p->ops->arm(p);
}

/*
 * One burst of every hot port, each by the newest view: the control thread waits for the turn that
 * is under way and not for the round, which may be long.
 */
static void worker_round(struct worker *w, tstamp now)
{
	unsigned kept = 0;

	for (unsigned k = 0; k < w->n_hot; k++) {
		const struct fwd_view *v = worker_view(w);
		port_id id = w->hot[k];
		unsigned frames = turn_run(w->turn, v, id, now);

		if (worker_cools(w, v, id, frames))
			w->is_hot[id] = false;
		else
			w->hot[kept++] = id;
	}
	w->n_hot = kept;
}

static void worker_injects(struct worker *w, const struct fwd_view *v)
{
	struct inject in;

	while (ring_get(w->injects, &in))
		turn_inject(w->turn, v, in.port, in.octets, in.size);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	unsigned rounds = 0;

	while (!atomic_load_explicit(&w->shared->stop, memory_order_relaxed)) {
		worker_injects(w, worker_view(w));
		worker_round(w, clock_now());
		if (turn_has_reported(w->turn))
			(void)!write(w->shared->report_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
		if (!w->n_hot) {
			atomic_store(&w->generation, OFFLINE);
			worker_look(w, -1);
			rounds = 0;
		} else if (++rounds % LOOK_ROUNDS == 0) {
			worker_look(w, 0);
		}
	}
	atomic_store(&w->generation, OFFLINE);
	return NULL;
}

/* ---- for the control thread ---- */

static int worker_open(struct worker *w)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = EVENT_WAKE };

	w->turn = turn_new(w->idx);
	w->injects = ring_new(INJECTS_MAX, sizeof(struct inject));
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!w->turn || !w->injects)
		return -ENOMEM;
	if (w->epoll_fd < 0 || w->wake_fd < 0)
		return -errno;
	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &ev) < 0 ? -errno : 0;
}

static void worker_free(struct worker *w)
{
	turn_free(w->turn);
	ring_free(w->injects);
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	free(w);
}

/* The thread takes no signals: they are the control thread's. */
static int worker_spawn(struct worker *w)
{
	sigset_t all, old;
	char name[16];
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return -err;
	snprintf(name, sizeof(name), "evb-worker%u", w->idx);
	pthread_setname_np(w->thread, name);
	return 0;
}

struct worker *worker_start(unsigned idx, struct worker_shared *shared)
{
	size_t size = (sizeof(struct worker) + 63) & ~(size_t)63;
	struct worker *w = aligned_alloc(64, size);
	int err;

	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->idx = idx;
	w->shared = shared;
	w->epoll_fd = w->wake_fd = -1;
	atomic_init(&w->generation, OFFLINE);
	err = worker_open(w);
	if (!err)
		err = worker_spawn(w);
	if (err) {
		worker_free(w);
		errno = -err;
		return NULL;
	}
	return w;
}

static void worker_wake(struct worker *w)
{
	(void)!write(w->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

void worker_join(struct worker *w)
{
	if (!w)
		return;
	worker_wake(w);
	pthread_join(w->thread, NULL);
	worker_free(w);
}

void worker_wait_view(struct worker *w, uint64_t generation)
{
	for (unsigned spins = 0;; spins++) {
		uint64_t g = atomic_load(&w->generation);

		if (g >= generation) /* OFFLINE is the largest */
			return;
		if (spins < 100)
			sched_yield();
		else
			nanosleep(&(struct timespec){ .tv_nsec = 20 * NS_PER_US }, NULL);
	}
}

int worker_watch(struct worker *w, struct port *p)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u32 = p->id };

	if (p->fd < 0)
		return 0;
	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, p->fd, &ev) < 0 ? -errno : 0;
}

void worker_unwatch(struct worker *w, struct port *p)
{
	if (p->fd >= 0)
		epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, p->fd, NULL);
}

bool worker_inject(struct worker *w, port_id port, const void *octets, uint32_t size)
{
	struct inject in = { .port = port, .size = (uint16_t)size };

	if (size > sizeof(in.octets))
		return false;
	memcpy(in.octets, octets, size);
	if (!ring_put(w->injects, &in))
		return false;
	worker_wake(w);
	return true;
}

bool worker_report_get(struct worker *w, struct report *out)
{
	return turn_report_get(w->turn, out);
}
