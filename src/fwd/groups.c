// SPDX-License-Identifier: Apache-2.0
/*
 * A dense array of entries, and a chained hash of their indices over it by VLAN and group, as in
 * learn.c: all ports of a group are in one chain.
 */
#include "groups.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

enum { BUCKETS = 8192, VLANS_MAX = 2048, ENTRIES_MAX = GROUPS_MAX + 2 * VLANS_MAX };

#define MEMBERSHIP_DEFAULT (260 * NS_PER_S) /* RFC 3376 8.4 */
#define LAST_MEMBER (2 * NS_PER_S)	    /* RFC 3376 8.8, 8.9 */
#define SETTLE_MARGIN NS_PER_S		    /* for a report on its way */

struct groups {
	groups_cb *cb;
	void *aux;
	uint64_t seed, n_refused;
	uint32_t n, n_vlans; /* entries; those of them that are no members */
	bool has_changed;
	uint16_t n_of_port[PORTS_MAX]; /* members */
	tstamp doubt[PORTS_MAX];       /* what is wanted is known since; 0: ever */
	uint32_t bucket[BUCKETS];
	uint32_t next[ENTRIES_MAX];
	struct group_entry entry[ENTRIES_MAX];
};

struct groups *groups_new(uint64_t seed, groups_cb *cb, void *aux)
{
	struct groups *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->seed = seed;
	g->cb = cb;
	g->aux = aux;
	memset(g->bucket, 0xff, sizeof(g->bucket));
	return g;
}

void groups_free(struct groups *g)
{
	free(g);
}

/* ---- the table ---- */

static uint32_t *bucket_of(struct groups *g, const struct group_entry *e)
{
	uint64_t x = g->seed ^ e->fid ^ (uint64_t)e->kind << 40 ^ (uint64_t)e->is_ipv6 << 48, word;

	for (unsigned i = 0; e->kind == GROUP_MEMBER && i < 2; i++) {
		memcpy(&word, e->group.b + i * sizeof(word), sizeof(word));
		x = (x ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		x ^= x >> 32;
	}
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	return &g->bucket[(x >> 32) % BUCKETS];
}

/* Same thing, on whatever port? */
static bool is_alike(const struct group_entry *a, const struct group_entry *b)
{
	return a->fid == b->fid && a->kind == b->kind && a->is_ipv6 == b->is_ipv6 &&
	       (a->kind != GROUP_MEMBER || mcast_addr_equal(&a->group, &b->group));
}

static struct group_entry *find(struct groups *g, const struct group_entry *key)
{
	for (uint32_t i = *bucket_of(g, key); i != NONE; i = g->next[i])
		if (is_alike(&g->entry[i], key) &&
		    (key->kind == GROUP_QUERIER || g->entry[i].port == key->port))
			return &g->entry[i];
	return NULL;
}

static struct group_entry *find_querier(struct groups *g, uint32_t fid, bool is_ipv6)
{
	return find(g,
		    &(struct group_entry){ .fid = fid, .kind = GROUP_QUERIER, .is_ipv6 = is_ipv6 });
}

/* The new entry; NULL if there is no room. */
static struct group_entry *add(struct groups *g, const struct group_entry *e)
{
	bool is_member = e->kind == GROUP_MEMBER;
	uint32_t *bucket = bucket_of(g, e);

	if (is_member ? g->n - g->n_vlans == GROUPS_MAX ||
				g->n_of_port[e->port] == GROUPS_PER_PORT_MAX :
			g->n_vlans == ENTRIES_MAX - GROUPS_MAX)
		return NULL;
	g->entry[g->n] = *e;
	g->next[g->n] = *bucket;
	*bucket = g->n;
	if (is_member)
		g->n_of_port[e->port]++;
	else
		g->n_vlans++;
	g->has_changed = true;
	g->cb(g->aux, e, true);
	return &g->entry[g->n++];
}

/* The link that points to entry `idx`. */
static uint32_t *link_to(struct groups *g, uint32_t idx)
{
	uint32_t *link = bucket_of(g, &g->entry[idx]);

	while (*link != idx) {
		assert(*link != NONE);
		link = &g->next[*link];
	}
	return link;
}

/* Forget entry `idx`; the last one takes its place. */
static void drop(struct groups *g, uint32_t idx)
{
	struct group_entry *e = &g->entry[idx];
	uint32_t last = g->n - 1;

	g->cb(g->aux, e, false);
	if (e->kind == GROUP_MEMBER)
		g->n_of_port[e->port]--;
	else
		g->n_vlans--;
	*link_to(g, idx) = g->next[idx];
	if (idx != last) {
		*link_to(g, last) = idx;
		g->entry[idx] = g->entry[last];
		g->next[idx] = g->next[last];
	}
	g->n--;
	g->has_changed = true;
}

/* ---- messages ---- */

/* Without room for it, the port gets all groups. */
static void add_or_doubt(struct groups *g, const struct group_entry *e, tstamp now)
{
	if (add(g, e))
		return;
	g->n_refused++;
	groups_doubt(g, e->port, now);
}

static void join(struct groups *g, const struct group_place *at, const struct mcast_note *note)
{
	const struct group_entry *q = find_querier(g, at->fid, note->is_ipv6);
	struct group_entry key = { .fid = at->fid,
				   .port = at->port,
				   .kind = GROUP_MEMBER,
				   .is_ipv6 = note->is_ipv6,
				   .group = note->group };
	struct group_entry *e = find(g, &key);

	if (!at->has_members || group_is_for_all(mcast_mac(&note->group)))
		return;
	key.until = at->now + (q ? q->membership : MEMBERSHIP_DEFAULT);
	if (e)
		e->until = key.until;
	else
		add_or_doubt(g, &key, at->now);
}

/* Somebody else behind the port has the time to object, unless a querier of IGMPv1 will not ask. */
static void leave(struct groups *g, const struct group_place *at, const struct mcast_note *note)
{
	const struct group_entry *q = find_querier(g, at->fid, note->is_ipv6);
	struct group_entry *e = find(g, &(struct group_entry){ .fid = at->fid,
							       .port = at->port,
							       .kind = GROUP_MEMBER,
							       .is_ipv6 = note->is_ipv6,
							       .group = note->group });

	if (!e)
		return;
	if (at->leaves_fast)
		drop(g, (uint32_t)(e - g->entry));
	else if ((!q || q->hears_leaves) && e->until > at->now + LAST_MEMBER)
		e->until = at->now + LAST_MEMBER;
}

static void router(struct groups *g, const struct group_place *at, bool is_ipv6, tstamp until)
{
	struct group_entry key = { .fid = at->fid,
				   .port = at->port,
				   .kind = GROUP_ROUTER,
				   .is_ipv6 = is_ipv6,
				   .until = until };
	struct group_entry *e = find(g, &key);

	if (!e)
		add_or_doubt(g, &key, at->now);
	else if (e->until < until)
		e->until = until;
}

/* Other querier present interval, group membership interval: RFC 3376 8.5, 8.4. */
static void ask_all(struct groups *g, const struct group_place *at, const struct mcast_note *note)
{
	tstamp response = note->response_ms * NS_PER_MS;
	tstamp interval = note->robustness * note->interval_s * NS_PER_S;
	struct group_entry key = {
		.fid = at->fid, .port = at->port, .kind = GROUP_QUERIER, .is_ipv6 = note->is_ipv6
	};
	struct group_entry *e;

	router(g, at, note->is_ipv6, at->now + interval + response / 2);
	if (!at->has_queriers)
		return;
	e = find(g, &key);
	key.group = note->source;
	if (!e)
		e = add(g, &key);
	if (!e)
		return;
	if (e->port != at->port)
		g->has_changed = true;
	e->port = at->port;
	e->group = note->source;
	e->until = at->now + interval + response / 2;
	e->membership = interval + response;
	e->hears_leaves = note->hears_leaves;
	if (!e->asked) {
		e->asked = at->now;
		e->settles = at->now + response + SETTLE_MARGIN;
	}
}

/* Members of the group who do not answer are none: RFC 3376 6.6.1, RFC 4541 2.1.1. */
static void ask(struct groups *g, const struct group_place *at, const struct mcast_note *note)
{
	struct group_entry key = {
		.fid = at->fid, .kind = GROUP_MEMBER, .is_ipv6 = note->is_ipv6, .group = note->group
	};
	tstamp until = at->now + note->robustness * (note->response_ms * NS_PER_MS);

	if (until < at->now + LAST_MEMBER)
		until = at->now + LAST_MEMBER;
	for (uint32_t i = *bucket_of(g, &key); at->has_queriers && i != NONE; i = g->next[i])
		if (is_alike(&g->entry[i], &key) && g->entry[i].until > until)
			g->entry[i].until = until;
}

void groups_note(struct groups *g, const struct group_place *at, const struct mcast_note *note)
{
	/* A switch that asks on behalf of others is no querier: RFC 4541 2.1.1. */
	bool is_proxy = mcast_is_unspecified(&note->source);

	assert(at->port < PORTS_MAX);
	switch ((enum mcast_what)note->what) {
	case MCAST_JOIN:
		join(g, at, note);
		break;
	case MCAST_LEAVE:
		leave(g, at, note);
		break;
	case MCAST_ASK_ALL:
		if (!is_proxy)
			ask_all(g, at, note);
		break;
	case MCAST_ASK:
		if (!is_proxy)
			ask(g, at, note);
		break;
	case MCAST_ROUTER:
		router(g, at, note->is_ipv6, at->now + note->interval_s * NS_PER_S);
		break;
	}
}

void groups_doubt(struct groups *g, port_id port, tstamp now)
{
	assert(port < PORTS_MAX);
	g->doubt[port] = now > 0 ? now : 1;
	g->has_changed = true;
}

/* ---- time ---- */

void groups_prune(struct groups *g, groups_keep *keep, void *aux)
{
	/* From the end, since an entry that goes is replaced by one that was looked at. */
	for (uint32_t i = g->n; i-- > 0;)
		if (!keep(aux, &g->entry[i]))
			drop(g, i);
}

void groups_age(struct groups *g, tstamp now)
{
	for (uint32_t i = g->n; i-- > 0;) {
		struct group_entry *e = &g->entry[i];

		if (e->until <= now) {
			drop(g, i);
		} else if (e->asked && e->settles <= now) {
			e->heard = e->asked;
			e->asked = 0;
			g->has_changed = true;
		}
	}
}

tstamp groups_deadline(const struct groups *g)
{
	tstamp first = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		const struct group_entry *e = &g->entry[i];
		tstamp due = e->asked && e->settles < e->until ? e->settles : e->until;

		if (!first || due < first)
			first = due;
	}
	return first;
}

bool groups_has_changed(struct groups *g)
{
	bool had = g->has_changed;

	g->has_changed = false;
	return had;
}

/* ---- for showing, and for the view ---- */

uint32_t groups_size(const struct groups *g)
{
	return g->n;
}

const struct group_entry *groups_at(const struct groups *g, uint32_t idx)
{
	assert(idx < g->n);
	return &g->entry[idx];
}

tstamp groups_doubted(const struct groups *g, port_id port)
{
	return port < PORTS_MAX ? g->doubt[port] : 0;
}

uint64_t groups_refused(const struct groups *g)
{
	return g->n_refused;
}

bool groups_owner(const struct group_entry *e, struct owner *to)
{
	*to = (struct owner){ .port = e->port, .fid = e->fid, .vid = VID_NONE };
	switch ((enum group_kind)e->kind) {
	case GROUP_MEMBER:
		to->mac = group_key(mcast_mac(&e->group), mcast_is_of_link(&e->group));
		return true;
	case GROUP_ROUTER:
		to->mac = group_mark(GROUP_MARK_ROUTER, e->is_ipv6);
		return true;
	case GROUP_QUERIER:
		to->mac = group_mark(GROUP_MARK_FILTER, e->is_ipv6);
		return e->heard != 0;
	}
	return false;
}
