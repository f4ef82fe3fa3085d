// SPDX-License-Identifier: Apache-2.0
/*
 * The relay: workers that move frames between ports as the current view says. The control thread
 * makes it, gives it views, and reads what workers report. All functions here are for the control
 * thread; nothing but a turn (turn.h) touches a frame.
 *
 *                 view (atomic pointer)            reports (ring + eventfd)
 *   control  ───────────────────────────▶  worker ─────────────────────────▶  control
 */
#ifndef EVB_RELAY_RELAY_H
#define EVB_RELAY_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "mcast.h"
#include "port.h"
#include "types.h"
#include "view.h"

struct relay;

/* What a worker tells the control thread. */
enum report_kind {
	REPORT_LEARN, /* mac was a source in VLAN vid behind port, and the view does not know it */
	REPORT_FAULT, /* port->fault is set */
	REPORT_GROUP, /* `note` was said in VLAN vid behind port */
	REPORT_DEAF,  /* ... and more than could be reported; PORT_NONE: behind any port */
};

struct report {
	uint8_t kind; /* enum report_kind */
	port_id port;
	bridge_id bridge;
	vid_t vid;
	struct mac mac;
	struct mcast_note note;
};

/* A frame for the bridge itself, of the customer bridge scope or another, without a tag. */
enum {
	PUNT_SIZE_MAX = 1518,
	PUNTS_MAX = 256, /* of one worker, that wait for the control thread */
};

struct punt {
	uint64_t generation; /* of the view by which it came: the port may be another by now */
	port_id port;
	uint16_t size;
	uint8_t octets[PUNT_SIZE_MAX];
};

/* A relay of `n_workers` threads (1..WORKERS_MAX), started, with an empty view. NULL: errno. */
struct relay *relay_new(unsigned n_workers);

/* Stop the threads. Ports that are left are not closed. NULL is legal. */
void relay_free(struct relay *r);

unsigned relay_n_workers(const struct relay *r);

/*
 * Make `v` the view of all workers, and free the old one once nobody reads it; takes `v`. When
 * this returns, no worker uses a port that `v` does not have, so it may be closed.
 */
void relay_set_view(struct relay *r, struct fwd_view *v_take);

const struct fwd_view *relay_view(const struct relay *r);

/*
 * Wait until no worker is in a turn that began before the call; the view stays. What the control
 * thread wrote before the call is what every later turn reads, so what it replaced may be freed.
 *
 * Like relay_set_view(), it cannot be held up by a port whose flush() blocks (writing to an eventfd
 * whose counter the guest has filled): after 10 ms the worker gets a signal, so that the
 * system call returns EINTR, and again every 10 ms.
 */
void relay_quiesce(struct relay *r);

/*
 * To be called every 50 ms or so: gets a worker that is in the same turn as at the last call out of
 * the system call that may hold it.
 */
void relay_watchdog(struct relay *r);

/*
 * Let a worker wake up for the port / no longer. Call watch after the view that has the port
 * was set, unwatch before the view that lacks it.  0 or -errno.
 */
int relay_watch(struct relay *r, struct port *p);
void relay_unwatch(struct relay *r, struct port *p);

/* The same for a further descriptor of port `id` (the kick of a queue), before it is closed. */
int relay_watch_fd(struct relay *r, port_id id, int fd);
void relay_unwatch_fd(struct relay *r, port_id id, int fd);

/* Readable (poll) when reports wait. */
int relay_report_fd(const struct relay *r);

/* The oldest report; false if none waits. Clears relay_report_fd() when it returns false. */
bool relay_report_get(struct relay *r, struct report *out);

/* The oldest frame for the bridge itself; false if none waits. To be asked after reports. */
bool relay_punt_get(struct relay *r, struct punt *out);

/*
 * Have a frame enter the relay as if the guest of `port` had sent it (announcements). `size` up to
 * INJECT_SIZE_MAX. False if too many wait already.
 */
enum { INJECT_SIZE_MAX = 128 };
bool relay_inject(struct relay *r, port_id port, const void *octets, uint32_t size);

/* The same for a frame that goes to the uplink, if the rules say so, and to nobody else. */
bool relay_inject_wire(struct relay *r, port_id port, const void *octets, uint32_t size);

/*
 * Send a frame of the bridge itself out of the port, with its S-tag if it has one; `size` up to
 * SEND_SIZE_MAX. False if too many wait already.
 */
enum { SEND_SIZE_MAX = 1514 };
bool relay_send(struct relay *r, port_id port, const void *octets, uint32_t size);

/* Wait until workers have taken what relay_send() gave them, for 20 ms at most. */
void relay_settle_sends(struct relay *r);

/* When the address in slot `slot` of the current view's owners was last a source; 0: never. */
tstamp relay_seen(const struct relay *r, uint32_t slot);

#endif
