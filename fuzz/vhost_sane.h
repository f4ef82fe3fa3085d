// SPDX-License-Identifier: Apache-2.0
/*
 * A front-end that keeps the rules, for a port that has seen others: it sets up a device, and a
 * frame goes each way, or the program ends. For the fuzzers; not part of evb.
 */
#ifndef EVB_FUZZ_VHOST_SANE_H
#define EVB_FUZZ_VHOST_SANE_H

#include <stdbool.h>

#include "port.h"

/*
 * With a port that has no front-end. `step(arg)` is called while it waits for the port, which has
 * to look at its socket then. In the end the socket is closed, and the port has noticed.
 */
void vhost_sane_session(struct port *p, struct burst *b, bool packed, void (*step)(void *),
			void *arg);

#endif
