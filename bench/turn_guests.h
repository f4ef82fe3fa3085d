// SPDX-License-Identifier: Apache-2.0
/*
 * Guests for benchmarks of single turns: ports, guests and relay in one thread. Guest i has the
 * address turn_guest_mac(i), and is port i of one edge relay, in bridge mode with all checks on.
 */
#ifndef EVB_BENCH_TURN_GUESTS_H
#define EVB_BENCH_TURN_GUESTS_H

#include "front_dev.h"
#include "port.h"
#include "view.h"

enum { TURN_GUESTS_MAX = 8 };

struct turn_guests {
	unsigned n;
	struct port *port[TURN_GUESTS_MAX];
	struct front_dev dev[TURN_GUESTS_MAX];
	struct fwd_view *view;
};

/* Connect `n` guests of this kind, without interrupts; ends the program if that fails. */
void turn_guests_open(struct turn_guests *g, unsigned n, const struct front_dev_config *c);
void turn_guests_close(struct turn_guests *g);

struct mac turn_guest_mac(unsigned i);

/* Take in what guest `i` got, and give the buffers back: how many frames. */
unsigned turn_guest_receive(struct turn_guests *g, unsigned i);

int turn_compare(const void *a, const void *b); /* uint64_t, for qsort() */

#endif
