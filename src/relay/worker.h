// SPDX-License-Identifier: Apache-2.0
/*
 * A worker: one thread that polls its share of the ports and sleeps when there is nothing to do.
 * Made and stopped by relay.c, on the control thread.
 *
 * A port is hot while it has frames, and is polled every round; when it runs dry it goes cold, is
 * left to its wake-up descriptor (edge-triggered), and costs nothing. A worker without hot ports
 * sleeps in epoll.
 *
 *   cold ──── event ────▶ hot ──── `empty rounds`, then arm() finds nothing ────▶ cold
 */
#ifndef EVB_RELAY_WORKER_H
#define EVB_RELAY_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "port.h"
#include "relay.h"
#include "view.h"

struct worker;

/* What the workers of a relay share. */
struct worker_shared {
	_Atomic(struct fwd_view *) view;
	int report_fd; /* eventfd: written after reports were made */
	atomic_bool stop;
};

/* Start worker number `idx`; NULL with errno. */
struct worker *worker_start(unsigned idx, struct worker_shared *shared);

/* Wait for its thread to end (shared->stop is set) and free it. NULL is legal. */
void worker_join(struct worker *w);

/* Wait until it has let go of every view before `generation`. */
void worker_wait_view(struct worker *w, uint64_t generation);

int worker_watch(struct worker *w, struct port *p);
void worker_unwatch(struct worker *w, struct port *p);

bool worker_inject(struct worker *w, port_id port, const void *octets, uint32_t size);
bool worker_report_get(struct worker *w, struct report *out);

#endif
