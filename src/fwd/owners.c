// SPDX-License-Identifier: Apache-2.0
#include "owners.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 16, CACHE_LINE = 64 };

static_assert(sizeof(struct owner) == 16, "four to a cache line");
static_assert(offsetof(struct owners, slot) % CACHE_LINE == 0, "slots do not straddle lines");
static_assert(PORT_NONE == 0xffff, "owners_new() makes empty slots by setting all bits");

/*
 * Slots are at least twice the entries, so that a probe for a key that is not there ends soon and
 * always ends: half of the slots stay empty.
 */
static size_t slots_for(uint32_t n)
{
	size_t slots = SLOTS_MIN;

	while (slots < (size_t)n * 2)
		slots *= 2;
	return slots;
}

struct owners *owners_new(uint32_t n, uint64_t seed)
{
	size_t slots = slots_for(n);
	size_t slots_size = slots * sizeof(struct owner);
	size_t seen_size = slots * sizeof(_Atomic uint32_t);
	struct owners *o;

	if (slots > UINT32_MAX)
		return NULL;
	/* At least 16 slots of both: each part is a multiple of the alignment. */
	o = aligned_alloc(CACHE_LINE, sizeof(*o) + slots_size + seen_size);
	if (!o)
		return NULL;
	o->seed = seed;
	o->mask = (uint32_t)(slots - 1);
	o->n = 0;
	memset(o->slot, 0xff, slots_size);
	o->seen = (_Atomic uint32_t *)(void *)(o->slot + slots);
	memset((void *)(o->slot + slots), 0, seen_size);
	return o;
}

void owners_free(struct owners *o)
{
	free(o);
}

bool owners_add(struct owners *o, struct owner e)
{
	uint64_t at = owners_hash(o->seed, e.fid, e.mac);

	assert(e.port != PORT_NONE);
	if (o->n > o->mask / 2)
		return false;
	while (o->slot[at & o->mask].port != PORT_NONE)
		at++;
	o->slot[at & o->mask] = e;
	o->n++;
	return true;
}
