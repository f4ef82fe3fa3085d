// SPDX-License-Identifier: Apache-2.0
/*
 * A turn: one port's burst, from rx() to rx_done(), and nothing else in the project touches frames.
 *
 *   rx → parse → owners → decide → mark destinations → egress → rx_done
 *
 * The burst passes each stage as one straight loop. Works without threads: worker.c calls it in a
 * loop; tests and the benchmark call it directly, in virtual time.
 */
#ifndef EVB_RELAY_TURN_H
#define EVB_RELAY_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "relay.h"

struct turn;

/* State of worker number `worker`; NULL without memory. */
struct turn *turn_new(unsigned worker);
void turn_free(struct turn *t);

/*
 * Take one burst from port `id` (may be an empty slot of the view) and deliver it. Returns how many
 * frames the port took, with those that it discarded. `now` is the time, for the
 * meters and to say when an address was seen.
 */
unsigned turn_run(struct turn *t, const struct fwd_view *v, port_id id, tstamp now);

/* Did the last turn_run() leave frames waiting, as far as its port could see? */
bool turn_has_more(const struct turn *t);

/* The same for one frame of `size` octets made by the control thread, as if `id` had sent it. */
typedef void turn_injector(struct turn *t, const struct fwd_view *v, port_id id, const void *octets,
			   uint32_t size);
turn_injector turn_inject;
turn_injector turn_inject_wire; /* nobody gets it but the uplink */
turn_injector turn_send;	/* out of the port, whatever the rules say */

/* The oldest report; false if there is none. May be called by another thread than turn_run(). */
bool turn_report_get(struct turn *t, struct report *out);
bool turn_punt_get(struct turn *t, struct punt *out);

/* Did turn_run() make reports since this was called last? */
bool turn_has_reported(struct turn *t);

#endif
