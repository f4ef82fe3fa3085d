// SPDX-License-Identifier: Apache-2.0
/*
 * A ring of fixed-size items between exactly one producer thread and one consumer thread, without
 * locks. The producer never waits: a full ring refuses the item, and the producer counts it.
 */
#ifndef EVB_BASE_RING_H
#define EVB_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring;

/* A ring of `n` items (a power of two) of `size` octets each; NULL without memory. */
struct ring *ring_new(uint32_t n, size_t size);
void ring_free(struct ring *r);

/* Producer: copy one item in; false if the ring is full. */
bool ring_put(struct ring *r, const void *item);

/* Producer: is there room for `n` more? */
bool ring_has_room(const struct ring *r, uint32_t n);

/* Consumer: copy the oldest item out; false if the ring is empty. */
bool ring_get(struct ring *r, void *item);

#endif
