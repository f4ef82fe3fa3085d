// SPDX-License-Identifier: Apache-2.0
#include "relay.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "worker.h"

struct relay {
	struct worker_shared shared;
	unsigned n_workers;
	struct worker *worker[WORKERS_MAX];
};

static void on_signal(int signo)
{
}

/*
 * A signal that does nothing but end a blocking system call: without SA_RESTART. The default action
 * of this one is to do nothing as well, so that all other threads may block it or not.
 */
static int relay_signal(void)
{
	struct sigaction act = { .sa_handler = on_signal };

	return sigaction(WORKER_SIGNAL, &act, NULL) < 0 ? errno : 0;
}

struct relay *relay_new(unsigned n_workers)
{
	struct relay *r = calloc(1, sizeof(*r));
	struct fwd_view *empty = view_build(&(struct view_spec){ .generation = 1 });
	int err = ENOMEM;

	assert(n_workers >= 1 && n_workers <= WORKERS_MAX);
	if (!r || !empty)
		goto fail;
	atomic_init(&r->shared.view, empty);
	atomic_init(&r->shared.epoch, 1);
	err = relay_signal();
	if (err)
		goto fail;
	r->shared.report_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->shared.report_fd < 0) {
		err = errno;
		goto fail;
	}
	for (; r->n_workers < n_workers; r->n_workers++) {
		r->worker[r->n_workers] = worker_start(r->n_workers, &r->shared);
		if (!r->worker[r->n_workers]) {
			err = errno;
			relay_free(r);
			errno = err;
			return NULL;
		}
	}
	return r;
fail:
	view_free(empty);
	free(r);
	errno = err;
	return NULL;
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	atomic_store(&r->shared.stop, true);
	for (unsigned w = 0; w < r->n_workers; w++)
		worker_join(r->worker[w]);
	view_free(atomic_load(&r->shared.view));
	close(r->shared.report_fd);
	free(r);
}

unsigned relay_n_workers(const struct relay *r)
{
	return r->n_workers;
}

void relay_quiesce(struct relay *r)
{
	uint64_t epoch = atomic_fetch_add(&r->shared.epoch, 1) + 1;

	for (unsigned w = 0; w < r->n_workers; w++)
		worker_wait(r->worker[w], epoch);
}

/* The view is swapped before the epoch begins, so every turn of the new epoch has the new view. */
void relay_set_view(struct relay *r, struct fwd_view *v_take)
{
	struct fwd_view *old = atomic_exchange(&r->shared.view, v_take);

	assert(v_take->generation > old->generation);
	relay_quiesce(r);
	view_free(old);
}

void relay_watchdog(struct relay *r)
{
	for (unsigned w = 0; w < r->n_workers; w++)
		worker_watchdog(r->worker[w]);
}

const struct fwd_view *relay_view(const struct relay *r)
{
	return atomic_load(&r->shared.view);
}

/* The worker that polls a port. */
static struct worker *relay_worker(const struct relay *r, port_id id)
{
	return r->worker[id % r->n_workers];
}

int relay_watch(struct relay *r, struct port *p)
{
	return p->fd < 0 ? 0 : relay_watch_fd(r, p->id, p->fd);
}

void relay_unwatch(struct relay *r, struct port *p)
{
	if (p->fd >= 0)
		relay_unwatch_fd(r, p->id, p->fd);
}

int relay_watch_fd(struct relay *r, port_id id, int fd)
{
	return worker_watch(relay_worker(r, id), id, fd);
}

void relay_unwatch_fd(struct relay *r, port_id id, int fd)
{
	worker_unwatch(relay_worker(r, id), fd);
}

int relay_report_fd(const struct relay *r)
{
	return r->shared.report_fd;
}

bool relay_report_get(struct relay *r, struct report *out)
{
	uint64_t count;

	for (int again = 0; again < 2; again++) {
		for (unsigned w = 0; w < r->n_workers; w++) {
			if (worker_report_get(r->worker[w], out))
				return true;
		}
		/* Clear, then look once more: a report made in between is not lost. */
		if (!again)
			(void)!read(r->shared.report_fd, &count, sizeof(count));
	}
	return false;
}

bool relay_inject(struct relay *r, port_id port, const void *octets, uint32_t size)
{
	return worker_inject(relay_worker(r, port), turn_inject, port, octets, size);
}

bool relay_punt_get(struct relay *r, struct punt *out)
{
	for (unsigned w = 0; w < r->n_workers; w++) {
		if (worker_punt_get(r->worker[w], out))
			return true;
	}
	return false;
}

bool relay_send(struct relay *r, port_id port, const void *octets, uint32_t size)
{
	return worker_send(relay_worker(r, port), port, octets, size);
}

void relay_settle_sends(struct relay *r)
{
	for (unsigned i = 0; i < r->n_workers; i++)
		worker_settle_sends(r->worker[i]);
}

bool relay_inject_wire(struct relay *r, port_id port, const void *octets, uint32_t size)
{
	return worker_inject(relay_worker(r, port), turn_inject_wire, port, octets, size);
}

tstamp relay_seen(const struct relay *r, uint32_t slot)
{
	const struct fwd_view *v = relay_view(r);
	uint32_t seen;

	if (!v->owners || slot > v->owners->mask)
		return 0;
	seen = atomic_load_explicit(&v->owners->seen[slot], memory_order_relaxed);
	return seen ? (tstamp)(seen - 1) * NS_PER_S : 0;
}
