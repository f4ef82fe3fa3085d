// SPDX-License-Identifier: Apache-2.0
/*
 * Memory ports: frames in and out of arrays, for tests, replay of captures, and the benchmark. Not
 * for guests. The test owns the arrays and is the only one who touches them between turns.
 */
#ifndef EVB_PORT_MEMORY_H
#define EVB_PORT_MEMORY_H

#include "port.h"

/* A memory port. It has no descriptor: whoever drives the worker polls it. NULL without memory. */
struct port *memory_port_new(uint8_t offload, unsigned n_workers);

/* Frames that the next rx() calls lend, in order. The memory stays the caller's, and must live
 * until they are taken. Replaces what was not taken. */
void memory_port_feed(struct port *p, const struct frame *f, unsigned n);

/* How many of them are still to be taken. */
unsigned memory_port_left(const struct port *p);

/*
 * Called for each frame the relay sends to the port, which is lent for the call; false: "queue
 * full". NULL: frames are copied to a scratch buffer and forgotten (the benchmark's sink).
 */
typedef bool memory_sink(void *aux, const struct frame *f);
void memory_port_sink(struct port *p, memory_sink *sink, void *aux);

#endif
