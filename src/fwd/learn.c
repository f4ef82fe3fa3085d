// SPDX-License-Identifier: Apache-2.0
/*
 * A dense array of entries, and a chained hash of their indices over it:
 *
 *   bucket[hash(fid, mac)] ──▶ entry ──next──▶ entry ──next──▶ NONE
 *
 * Forgetting an entry moves the last one into its place, so that the array stays dense.
 */
#include "learn.h"

#include <assert.h>
#include <stdlib.h>

#define NONE UINT32_MAX

enum { BUCKETS_MIN = 16 };

struct learn {
	uint64_t seed;
	uint32_t mask; /* buckets - 1 */
	uint32_t n, max;
	uint32_t n_of_port[PORTS_MAX];
	struct learned *entry; /* [max], the first n in use */
	uint32_t *next;	       /* [max] index of the next entry of the bucket, or NONE */
	uint32_t *bucket;      /* index of its first entry, or NONE */
};

struct learn *learn_new(uint32_t max, uint64_t seed)
{
	struct learn *l = calloc(1, sizeof(*l));
	size_t n_buckets = BUCKETS_MIN;

	if (!l)
		return NULL;
	while (n_buckets < max)
		n_buckets *= 2;
	l->seed = seed;
	l->max = max;
	l->mask = (uint32_t)(n_buckets - 1);
	l->entry = calloc(max ? max : 1, sizeof(*l->entry));
	l->next = calloc(max ? max : 1, sizeof(*l->next));
	l->bucket = calloc(n_buckets, sizeof(*l->bucket));
	if (!l->entry || !l->next || !l->bucket) {
		learn_free(l);
		return NULL;
	}
	for (size_t i = 0; i < n_buckets; i++)
		l->bucket[i] = NONE;
	return l;
}

void learn_free(struct learn *l)
{
	if (!l)
		return;
	free(l->entry);
	free(l->next);
	free(l->bucket);
	free(l);
}

static uint32_t *bucket_of(struct learn *l, uint32_t fid, struct mac mac)
{
	return &l->bucket[owners_hash(l->seed, fid, mac) & l->mask];
}

/* The link that points to entry `idx`: its bucket, or `next` of the one before it. */
static uint32_t *link_to(struct learn *l, uint32_t idx)
{
	uint32_t *link = bucket_of(l, l->entry[idx].fid, l->entry[idx].mac);

	while (*link != idx) {
		assert(*link != NONE);
		link = &l->next[*link];
	}
	return link;
}

static void entry_remove(struct learn *l, uint32_t idx)
{
	uint32_t last = l->n - 1;

	l->n_of_port[l->entry[idx].port]--;
	*link_to(l, idx) = l->next[idx];
	if (idx != last) {
		*link_to(l, last) = idx;
		l->entry[idx] = l->entry[last];
		l->next[idx] = l->next[last];
	}
	l->n--;
}

static enum learn_result entry_add(struct learn *l, const struct learned *e)
{
	uint32_t *bucket = bucket_of(l, e->fid, e->mac);

	if (l->n == l->max)
		return LEARN_FULL;
	l->entry[l->n] = *e;
	l->next[l->n] = *bucket;
	*bucket = l->n++;
	l->n_of_port[e->port]++;
	return LEARN_ADDED;
}

static enum learn_result entry_move(struct learn *l, struct learned *old, const struct learned *e)
{
	l->n_of_port[old->port]--;
	l->n_of_port[e->port]++;
	*old = *e;
	return LEARN_MOVED;
}

enum learn_result learn_add(struct learn *l, struct learned e, bool can_move)
{
	struct learned *other = NULL;
	bool is_known = false;

	assert(e.port < PORTS_MAX);
	for (uint32_t i = *bucket_of(l, e.fid, e.mac); i != NONE; i = l->next[i]) {
		struct learned *o = &l->entry[i];

		if (o->fid != e.fid || !mac_equal(o->mac, e.mac))
			continue;
		if (o->port == e.port && (o->vid == e.vid || o->vid == VID_NONE)) {
			o->seen = e.seen;
			is_known = true;
		} else if (o->port != e.port &&
			   (o->vid == e.vid || o->vid == VID_NONE || e.vid == VID_NONE)) {
			other = o;
		}
	}
	if (is_known)
		return LEARN_KNOWN;
	if (!other)
		return entry_add(l, &e);
	if (!can_move || other->is_sticky)
		return LEARN_REFUSED;
	return entry_move(l, other, &e);
}

uint32_t learn_count(const struct learn *l, port_id port)
{
	return port < PORTS_MAX ? l->n_of_port[port] : 0;
}

bool learn_flush_port(struct learn *l, port_id port)
{
	uint32_t n = l->n;

	/* From the end, since an entry that goes is replaced by one that was looked at. */
	for (uint32_t i = n; i-- > 0 && learn_count(l, port);)
		if (l->entry[i].port == port)
			entry_remove(l, i);
	return l->n != n;
}

static uint32_t find(struct learn *l, uint32_t fid, struct mac mac)
{
	uint32_t i = *bucket_of(l, fid, mac);

	while (i != NONE && (l->entry[i].fid != fid || !mac_equal(l->entry[i].mac, mac)))
		i = l->next[i];
	return i;
}

/* Forget `mac` in every fid of a bridge. */
static bool forget_in_bridge(struct learn *l, uint32_t fid, struct mac mac)
{
	uint32_t n = l->n;

	for (uint32_t i = n; i-- > 0;)
		if (l->entry[i].fid >> 12 == fid >> 12 && mac_equal(l->entry[i].mac, mac))
			entry_remove(l, i);
	return l->n != n;
}

bool learn_forget(struct learn *l, uint32_t fid, struct mac mac)
{
	uint32_t n = l->n, i;

	if ((fid & 0xfff) == VID_NONE)
		return forget_in_bridge(l, fid, mac);
	for (i = find(l, fid, mac); i != NONE; i = find(l, fid, mac))
		entry_remove(l, i);
	return l->n != n;
}

uint32_t learn_age(struct learn *l, bridge_id bridge, tstamp deadline)
{
	uint32_t n = l->n;

	for (uint32_t i = n; i-- > 0;) {
		const struct learned *e = &l->entry[i];

		if (e->fid >> 12 == bridge && !e->is_sticky && e->seen < deadline)
			entry_remove(l, i);
	}
	return n - l->n;
}

uint32_t learn_size(const struct learn *l)
{
	return l->n;
}

struct learned *learn_at(struct learn *l, uint32_t idx)
{
	assert(idx < l->n);
	return &l->entry[idx];
}

void learn_remove_at(struct learn *l, uint32_t idx)
{
	assert(idx < l->n);
	entry_remove(l, idx);
}

void learn_refresh(struct learn *l, uint32_t fid, struct mac mac, port_id port, tstamp seen)
{
	for (uint32_t i = *bucket_of(l, fid, mac); i != NONE; i = l->next[i]) {
		struct learned *e = &l->entry[i];

		if (e->fid == fid && e->port == port && mac_equal(e->mac, mac) && e->seen < seen)
			e->seen = seen;
	}
}
