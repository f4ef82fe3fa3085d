// SPDX-License-Identifier: Apache-2.0
/*
 * A worker: one thread that polls its share of the ports and sleeps when there is nothing to do.
 * Made and stopped by relay.c, on the control thread.
 *
 * A port is hot while it has frames, and is polled every round; when it runs dry it goes cold, is
 * left to its wake-up descriptor (edge-triggered), and costs nothing. A worker without hot ports
 * sleeps in epoll.
 *
 *   cold ──── event ────▶ hot ──── dry for SPIN_NS, then arm() finds nothing ────▶ cold
 *
 * (a port without arm(): as soon as it is dry).
 */
#ifndef EVB_RELAY_WORKER_H
#define EVB_RELAY_WORKER_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "port.h"
#include "relay.h"
#include "turn.h"
#include "view.h"

struct worker;

/* What ends a system call in which a worker is stuck; relay.c installs a handler. */
enum { WORKER_SIGNAL = SIGURG };

/* What the workers of a relay share. */
struct worker_shared {
	_Atomic(struct fwd_view *) view;
	_Atomic uint64_t epoch; /* counts up from 1; a turn belongs to the one it began in */
	int report_fd;		/* eventfd: written after reports were made */
	atomic_bool stop;
};

/* Start worker number `idx`; NULL with errno. */
struct worker *worker_start(unsigned idx, struct worker_shared *shared);

/* Wait for its thread to end (shared->stop is set) and free it. NULL is legal. */
void worker_join(struct worker *w);

/* Wait until it is in no turn that began before `epoch`, which has begun. */
void worker_wait(struct worker *w, uint64_t epoch);

/* Signal it if it is still in the turn that it was in at the last call. */
void worker_watchdog(struct worker *w);

/* Have port `id` become hot when `fd` becomes readable; 0 or -errno. */
int worker_watch(struct worker *w, port_id id, int fd);
void worker_unwatch(struct worker *w, int fd);

/* Have `inject` called in a turn of its own, with up to INJECT_SIZE_MAX octets; false: no room. */
bool worker_inject(struct worker *w, turn_injector *inject, port_id port, const void *octets,
		   uint32_t size);
/* Have turn_send() called, with up to SEND_SIZE_MAX octets; false: no room. */
bool worker_send(struct worker *w, port_id port, const void *octets, uint32_t size);
void worker_settle_sends(struct worker *w);
bool worker_report_get(struct worker *w, struct report *out);
bool worker_punt_get(struct worker *w, struct punt *out);

#endif
