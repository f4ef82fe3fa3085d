// SPDX-License-Identifier: Apache-2.0
#include "ring.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct ring {
	_Alignas(64) _Atomic uint32_t head; /* next to write; the producer's */
	_Alignas(64) _Atomic uint32_t tail; /* next to read; the consumer's */
	_Alignas(64) uint32_t mask;
	size_t size;
	uint8_t items[];
};

struct ring *ring_new(uint32_t n, size_t size)
{
	struct ring *r;
	size_t total = sizeof(*r) + n * size;

	assert(n && (n & (n - 1)) == 0);
	r = aligned_alloc(64, (total + 63) & ~(size_t)63);
	if (!r)
		return NULL;
	atomic_init(&r->head, 0);
	atomic_init(&r->tail, 0);
	r->mask = n - 1;
	r->size = size;
	return r;
}

void ring_free(struct ring *r)
{
	free(r);
}

bool ring_has_room(const struct ring *r, uint32_t n)
{
	uint32_t used = atomic_load_explicit(&r->head, memory_order_relaxed) -
			atomic_load_explicit(&r->tail, memory_order_acquire);

	return used + n <= r->mask + 1;
}

bool ring_put(struct ring *r, const void *item)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (head - atomic_load_explicit(&r->tail, memory_order_acquire) > r->mask)
		return false;
	memcpy(r->items + (head & r->mask) * r->size, item, r->size);
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return true;
}

bool ring_get(struct ring *r, void *item)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail == atomic_load_explicit(&r->head, memory_order_acquire))
		return false;
	memcpy(item, r->items + (tail & r->mask) * r->size, r->size);
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	return true;
}
