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
	SENDS_MAX = 128,
	CLOCK_ROUNDS = 4, /* busy rounds between two looks at the clock, which costs 30 ns */
	EVENT_WAKE = PORT_NONE,
};

/*
 * A port that has to be armed is polled for so long after its last frame: about what it costs, in
 * time and to the guest's notifications, to go to sleep and be woken (40 us on a VM).
 */
#define SPIN_NS (50 * NS_PER_US)

/*
 * So long between two looks for ports that woke up. A look costs up to a microsecond: little of
 * the time of a busy worker, and more of the time of one that only spins.
 */
#define LOOK_BUSY_NS (50 * NS_PER_US)
#define LOOK_EMPTY_NS (10 * NS_PER_US)

/* A worker that has not left a turn for so long may be stuck in a system call. */
#define STUCK_NS (10 * NS_PER_MS)

/* No view and no port is in use: the worker sleeps. */
#define OFFLINE UINT64_MAX

struct inject {
	turn_injector *inject;
	port_id port;
	uint16_t size;
	uint8_t octets[INJECT_SIZE_MAX];
};

struct send {
	port_id port;
	uint16_t size;
	uint8_t octets[SEND_SIZE_MAX];
};

struct worker {
	struct worker_shared *shared;
	unsigned idx;
	pthread_t thread;
	struct turn *turn;
	struct ring *injects, *sends; /* control thread to worker */
	int epoll_fd, wake_fd;
	uint64_t turns_watched; /* control thread: `turns` when it last looked */
	uint64_t n_sends;	/* control thread: put into `sends` */

	/* written by the worker once a turn */
	_Alignas(64) _Atomic uint64_t epoch; /* in which the turn began; 0: about to load it */
	_Atomic uint64_t turns;		     /* how many there have been */
	_Atomic uint64_t n_sent;	     /* taken from `sends` */

	_Alignas(64) tstamp now; /* a few rounds old at most */
	tstamp looked;		 /* for ports that woke up */
	unsigned n_hot;
	port_id hot[PORTS_MAX];
	bool is_hot[PORTS_MAX];
	tstamp last[PORTS_MAX]; /* when it had frames; 0: it has just become hot */
};

/* ---- the thread ---- */

static tstamp clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (tstamp)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/*
 * Begin a turn: the last one is over, and this one is of the newest epoch and view. The store of 0
 * comes before the loads in the one order of all sequentially consistent operations, so whoever
 * begins an epoch and then finds us OFFLINE knows that our loads come later still, and get what is
 * new. The view is loaded after the epoch, and swapped before it: it is that of the epoch or newer.
 */
static const struct fwd_view *worker_begin(struct worker *w)
{
	uint64_t epoch, turns = atomic_load_explicit(&w->turns, memory_order_relaxed);

	if (atomic_load_explicit(&w->epoch, memory_order_relaxed) == OFFLINE)
		atomic_store(&w->epoch, 0);
	epoch = atomic_load(&w->shared->epoch);
	atomic_store_explicit(&w->epoch, epoch, memory_order_release);
	atomic_store_explicit(&w->turns, turns + 1, memory_order_relaxed);
	return atomic_load(&w->shared->view);
}

static void worker_heat(struct worker *w, port_id id)
{
	if (id >= PORTS_MAX || w->is_hot[id])
		return;
	w->is_hot[id] = true;
	w->last[id] = 0;
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
	if (frames || !w->last[id])
		w->last[id] = w->now;
	if (w->now - w->last[id] < SPIN_NS)
		return false;
	w->last[id] = w->now;
	return !p->ops->arm(p);
}

/*
 * One burst of every hot port, each by the newest view: the control thread waits for the turn that
 * is under way and not for the round, which may be long. Returns how many frames there were.
 */
static unsigned worker_round(struct worker *w)
{
	unsigned kept = 0, sum = 0;

	for (unsigned k = 0; k < w->n_hot; k++) {
		const struct fwd_view *v = worker_begin(w);
		port_id id = w->hot[k];
		unsigned frames = turn_run(w->turn, v, id, w->now);

		if (worker_cools(w, v, id, frames))
			w->is_hot[id] = false;
		else
			w->hot[kept++] = id;
		sum += frames;
	}
	w->n_hot = kept;
	return sum;
}

static void worker_injects(struct worker *w)
{
	struct inject in;
	struct send out;

	while (ring_get(w->injects, &in))
		in.inject(w->turn, worker_begin(w), in.port, in.octets, in.size);
	while (ring_get(w->sends, &out)) {
		turn_send(w->turn, worker_begin(w), out.port, out.octets, out.size);
		atomic_store(&w->n_sent, atomic_load(&w->n_sent) + 1);
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	unsigned busy = 0; /* rounds since the clock was read */

	while (!atomic_load_explicit(&w->shared->stop, memory_order_relaxed)) {
		bool is_empty;

		if (busy % CLOCK_ROUNDS == 0)
			w->now = clock_now();
		worker_injects(w);
		is_empty = !worker_round(w);
		busy = is_empty ? 0 : busy + 1;
		if (turn_has_reported(w->turn))
			(void)!write(w->shared->report_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
		if (!w->n_hot) {
			atomic_store(&w->epoch, OFFLINE);
			worker_look(w, -1);
			busy = 0;
		} else if (w->now - w->looked >= (is_empty ? LOOK_EMPTY_NS : LOOK_BUSY_NS)) {
			worker_look(w, 0);
			w->looked = w->now;
		}
	}
	atomic_store(&w->epoch, OFFLINE);
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
	w->sends = ring_new(SENDS_MAX, sizeof(struct send));
	if (!w->turn || !w->injects || !w->sends)
		return -ENOMEM;
	if (w->epoll_fd < 0 || w->wake_fd < 0)
		return -errno;
	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &ev) < 0 ? -errno : 0;
}

static void worker_free(struct worker *w)
{
	turn_free(w->turn);
	ring_free(w->injects);
	ring_free(w->sends);
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	free(w);
}

/* The thread takes no signals but the one that is meant for it: they are the control thread's. */
static int worker_spawn(struct worker *w)
{
	sigset_t all, old;
	char name[16];
	int err;

	sigfillset(&all);
	sigdelset(&all, WORKER_SIGNAL);
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
	atomic_init(&w->epoch, OFFLINE);
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

/* How long the control thread has waited for a worker. */
struct patience {
	unsigned spins;
	tstamp ends; /* when the worker is signalled */
};

/*
 * Wait a little. The signal is repeated, for it may come just before the system call begins, and a
 * turn may make several such calls.
 */
static void worker_nudge(struct worker *w, struct patience *p)
{
	tstamp now;

	if (p->spins++ < 10) {
		sched_yield();
		return;
	}
	nanosleep(&(struct timespec){ .tv_nsec = 20 * NS_PER_US }, NULL);
	now = clock_now();
	if (p->ends && now >= p->ends)
		pthread_kill(w->thread, WORKER_SIGNAL);
	if (!p->ends || now >= p->ends)
		p->ends = now + STUCK_NS;
}

void worker_join(struct worker *w)
{
	struct patience p = { 0 };

	if (!w)
		return;
	worker_wake(w);
	while (pthread_tryjoin_np(w->thread, NULL) != 0)
		worker_nudge(w, &p);
	worker_free(w);
}

void worker_wait(struct worker *w, uint64_t epoch)
{
	struct patience p = { 0 };

	while (atomic_load(&w->epoch) < epoch) /* OFFLINE is the largest */
		worker_nudge(w, &p);
}

void worker_watchdog(struct worker *w)
{
	uint64_t turns = atomic_load_explicit(&w->turns, memory_order_relaxed);

	if (turns == w->turns_watched && atomic_load(&w->epoch) != OFFLINE)
		pthread_kill(w->thread, WORKER_SIGNAL);
	w->turns_watched = turns;
}

int worker_watch(struct worker *w, port_id id, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u32 = id };

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

void worker_unwatch(struct worker *w, int fd)
{
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

bool worker_inject(struct worker *w, turn_injector *inject, port_id port, const void *octets,
		   uint32_t size)
{
	struct inject in = { .inject = inject, .port = port, .size = (uint16_t)size };

	if (size > sizeof(in.octets))
		return false;
	memcpy(in.octets, octets, size);
	if (!ring_put(w->injects, &in))
		return false;
	worker_wake(w);
	return true;
}

bool worker_send(struct worker *w, port_id port, const void *octets, uint32_t size)
{
	struct send out = { .port = port, .size = (uint16_t)size };

	if (size > sizeof(out.octets))
		return false;
	memcpy(out.octets, octets, size);
	if (!ring_put(w->sends, &out))
		return false;
	w->n_sends++;
	worker_wake(w);
	return true;
}

void worker_settle_sends(struct worker *w)
{
	for (unsigned i = 0; i < 200 && atomic_load(&w->n_sent) != w->n_sends; i++)
		usleep(100);
}

bool worker_report_get(struct worker *w, struct report *out)
{
	return turn_report_get(w->turn, out);
}

bool worker_punt_get(struct worker *w, struct punt *out)
{
	return turn_punt_get(w->turn, out);
}
