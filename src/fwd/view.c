// SPDX-License-Identifier: Apache-2.0
/*
 * A view is one block of memory and two owner tables:
 *
 *   struct fwd_view | view_port[n_ports] | vlan_set[different ones] | view_bridge[n_bridges] |
 *   meter_limits[n_ports, if there are any] | view_vsi[n_vsis] | port_id[members of all lists] |
 *   mac[n_ports]
 */
#include "view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "eth.h"

enum { CACHE_LINE = 64 };

/* The different VLAN sets of a spec: thousands of trunks mostly share a few. */
struct vlan_pool {
	const struct vlan_set **set; /* [n] as the spec has them */
	uint32_t *of_port;	     /* [n_ports] index into `set`; unused without vlans */
	uint32_t *slot;		     /* hash of index + 1 into `set`; 0: empty */
	uint32_t mask;		     /* slots - 1 */
	uint32_t n;
};

static bool pool_init(struct vlan_pool *pool, uint32_t n_ports)
{
	uint32_t slots = 16;

	while (slots < n_ports * 2)
		slots *= 2;
	pool->set = calloc(n_ports + 1, sizeof(*pool->set));
	pool->of_port = calloc(n_ports + 1, sizeof(*pool->of_port));
	pool->slot = calloc(slots, sizeof(*pool->slot));
	pool->mask = slots - 1;
	pool->n = 0;
	return pool->set && pool->of_port && pool->slot;
}

static void pool_free(struct vlan_pool *pool)
{
	free(pool->set);
	free(pool->of_port);
	free(pool->slot);
}

/* Not seeded: VLAN sets come from the operator, and a collision costs time and nothing else. */
static uint32_t vlan_set_hash(const struct vlan_set *s)
{
	uint64_t lane[4] = { 1, 2, 3,
			     4 }; /* four chains run at a time; one would wait for itself */
	uint64_t x = 0;

	for (size_t i = 0; i < ARRAY_SIZE(s->w); i += ARRAY_SIZE(lane)) {
		for (size_t k = 0; k < ARRAY_SIZE(lane); k++) {
			lane[k] = (lane[k] ^ s->w[i + k]) * UINT64_C(0x9e3779b97f4a7c15);
			lane[k] ^= lane[k] >> 32;
		}
	}
	for (size_t k = 0; k < ARRAY_SIZE(lane); k++)
		x = (x ^ lane[k]) * UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(x >> 32);
}

/* Index of a set equal to `s` in the pool, where it is put if it is not there. */
static uint32_t pool_index(struct vlan_pool *pool, const struct vlan_set *s)
{
	uint32_t at = vlan_set_hash(s) & pool->mask;

	for (; pool->slot[at]; at = (at + 1) & pool->mask) {
		uint32_t idx = pool->slot[at] - 1;

		if (pool->set[idx] == s || memcmp(pool->set[idx], s, sizeof(*s)) == 0)
			return idx;
	}
	pool->set[pool->n] = s;
	pool->slot[at] = ++pool->n;
	return pool->n - 1;
}

/* Does the port own anything? */
static bool port_is_active(const struct view_port *p)
{
	return p->port && !(p->flags & VIEW_STANDBY);
}

/* Does it take part in anything? */
static bool port_is_open(const struct view_port *p)
{
	return port_is_active(p) && !(p->role == FWD_STATION && p->mode == FWD_GATED);
}

static unsigned list_bit(bool is_member, enum view_list list)
{
	return (unsigned)is_member << list;
}

/* The lists of its bridge that a port is on: bit n is list n. */
static unsigned port_lists(const struct view_port *p)
{
	bool is_station = p->role == FWD_STATION;

	if (!port_is_open(p))
		return 0;
	return list_bit(is_station && p->mode == FWD_PRIVATE, VIEW_LIST_PRIVATE) |
	       list_bit(is_station && p->mode == FWD_VEPA, VIEW_LIST_VEPA) |
	       list_bit(is_station && p->mode == FWD_BRIDGE, VIEW_LIST_BRIDGE) |
	       list_bit(is_station && p->mode == FWD_SOURCE, VIEW_LIST_SOURCE) |
	       list_bit(is_station && p->mode != FWD_SOURCE && p->flags & VIEW_PROMISC,
			VIEW_LIST_PROMISC) |
	       list_bit(is_station && p->reserved, VIEW_LIST_RESERVED) |
	       list_bit(p->role == FWD_RELAY_PORT, VIEW_LIST_ALL) |
	       list_bit(p->role == FWD_RELAY_PORT && !(p->flags & VIEW_VDP), VIEW_LIST_OPEN) |
	       list_bit(p->role == FWD_RELAY_PORT && p->flags & VIEW_VDP_ANY, VIEW_LIST_VDP_ANY);
}

/* Where the parts of the block are. */
struct layout {
	size_t port, set, bridge, limit, vsi, id, peer, size; /* offsets in octets */
};

static size_t align(size_t size)
{
	return (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static struct layout layout_of(const struct view_spec *s, uint32_t n_sets)
{
	struct layout l;
	size_t n_ids = 0;

	for (uint32_t i = 0; i < s->n_ports; i++)
		n_ids += (unsigned)__builtin_popcount(port_lists(&s->port[i]));
	l.port = align(sizeof(struct fwd_view));
	l.set = align(l.port + s->n_ports * sizeof(struct view_port));
	l.bridge = l.set + n_sets * sizeof(struct vlan_set);
	l.limit = l.bridge + s->n_bridges * sizeof(struct view_bridge);
	l.vsi = l.limit + (s->limit ? s->n_ports * sizeof(struct meter_limits) : 0);
	l.id = l.vsi + s->n_vsis * sizeof(struct view_vsi);
	l.peer = l.id + n_ids * sizeof(port_id);
	l.size = align(l.peer + s->n_ports * sizeof(struct mac));
	return l;
}

static void copy_ports(struct view_port *to, struct vlan_set *sets, const struct view_spec *s,
		       const struct vlan_pool *pool)
{
	for (uint32_t i = 0; i < pool->n; i++)
		sets[i] = *pool->set[i];
	for (uint32_t i = 0; i < s->n_ports; i++) {
		to[i] = s->port[i];
		if (to[i].vlans)
			to[i].vlans = &sets[pool->of_port[i]];
	}
}

/* Uplink, passthru and host port of each bridge, and the size of its lists. */
static void survey_bridges(struct view_bridge *bridge, const struct view_spec *s)
{
	for (uint32_t b = 0; b < s->n_bridges; b++) {
		port_id host = s->host ? s->host[b] : PORT_NONE;

		if (host != PORT_NONE && !port_is_open(&s->port[host]))
			host = PORT_NONE;
		bridge[b].host = host;
		bridge[b].is_learning = s->bridge_is_learning[b];
		bridge[b].snoops = s->bridge_snoops && s->bridge_snoops[b];
		bridge[b].uplink = PORT_NONE;
		bridge[b].passthru = PORT_NONE;
	}
	for (uint32_t i = 0; i < s->n_ports; i++) {
		const struct view_port *p = &s->port[i];
		unsigned lists = port_lists(p);
		struct view_bridge *b;
		bool is_uplink;

		if (!p->port)
			continue;
		assert(p->bridge < s->n_bridges);
		b = &bridge[p->bridge];
		assert(b->is_learning == (p->role == FWD_RELAY_PORT));
		is_uplink = p->role == FWD_UPLINK && !(p->flags & VIEW_BACKUP);
		assert(!is_uplink || b->uplink == PORT_NONE);
		if (is_uplink)
			b->uplink = (port_id)i;
		if (p->role == FWD_STATION && p->mode == FWD_PASSTHRU && port_is_open(p))
			b->passthru = (port_id)i;
		for (unsigned l = 0; l < VIEW_LISTS_N; l++)
			b->list[l].n += lists >> l & 1;
	}
}

/* Put the ports into the lists, each bridge's list behind the other, in order of port_id. */
static void fill_lists(struct view_bridge *bridge, port_id *id, const struct view_spec *s)
{
	port_id *end = id;

	for (uint32_t b = 0; b < s->n_bridges; b++)
		for (unsigned l = 0; l < VIEW_LISTS_N; l++) {
			bridge[b].list[l].id = end;
			end += bridge[b].list[l].n;
			bridge[b].list[l].n = 0;
		}
	for (uint32_t i = 0; i < s->n_ports; i++) {
		unsigned lists = port_lists(&s->port[i]);

		for (; lists; lists &= lists - 1) {
			unsigned l = (unsigned)__builtin_ctz(lists);
			struct view_bridge *b = &bridge[s->port[i].bridge];

			id[b->list[l].id - id + b->list[l].n++] = (port_id)i;
		}
	}
}

/* A table of `n` entries, but for those whose port `has` none. */
static struct owners *copy_owners(const struct view_spec *s, const struct owner *e, uint32_t n,
				  bool (*has)(const struct view_port *p))
{
	struct owners *o = owners_new(n, s->seed);

	for (uint32_t i = 0; o && i < n; i++) {
		bool is_added;

		assert(e[i].port < s->n_ports);
		if (!has(&s->port[e[i].port]))
			continue;
		is_added = owners_add(o, e[i]);
		assert(is_added);
	}
	return o;
}

/* The one block of the view, with all but its owners. */
static struct fwd_view *build_block(const struct view_spec *s, const struct vlan_pool *pool)
{
	struct layout l = layout_of(s, pool->n);
	uint8_t *block = aligned_alloc(CACHE_LINE, l.size);
	struct fwd_view *v = (struct fwd_view *)(void *)block;
	struct view_bridge *bridge;

	if (!block)
		return NULL;
	memset(block, 0, sizeof(*v));
	memset(block + l.bridge, 0, l.size - l.bridge);
	bridge = (struct view_bridge *)(void *)(block + l.bridge);
	copy_ports((struct view_port *)(void *)(block + l.port),
		   (struct vlan_set *)(void *)(block + l.set), s, pool);
	survey_bridges(bridge, s);
	fill_lists(bridge, (port_id *)(void *)(block + l.id), s);
	v->generation = s->generation;
	v->n_ports = s->n_ports;
	v->n_bridges = s->n_bridges;
	v->port = (const struct view_port *)(void *)(block + l.port);
	v->bridge = bridge;
	if (s->limit)
		v->limit = memcpy(block + l.limit, s->limit, s->n_ports * sizeof(*s->limit));
	if (s->n_vsis)
		v->vsi = memcpy(block + l.vsi, s->vsi, s->n_vsis * sizeof(*s->vsi));
	v->n_vsis = s->n_vsis;
	for (uint32_t i = 0; i < v->n_vsis; i++)
		v->vsi[i].meters->n_refs++;
	v->peer = (const struct mac *)(const void *)(block + l.peer);
	if (s->peer)
		memcpy(block + l.peer, s->peer, s->n_ports * sizeof(*s->peer));
	return v;
}

struct vsi_meters *vsi_meters_new(void)
{
	struct vsi_meters *m = calloc(1, sizeof(*m));

	if (m)
		m->n_refs = 1;
	return m;
}

void vsi_meters_put(struct vsi_meters *m)
{
	if (m && !--m->n_refs)
		free(m);
}

struct fwd_view *view_build(const struct view_spec *s)
{
	struct vlan_pool pool;
	struct fwd_view *v = NULL;

	assert(s->n_ports <= PORTS_MAX && s->n_bridges <= BRIDGES_MAX);
	if (pool_init(&pool, s->n_ports)) {
		for (uint32_t i = 0; i < s->n_ports; i++)
			if (s->port[i].vlans)
				pool.of_port[i] = pool_index(&pool, s->port[i].vlans);
		v = build_block(s, &pool);
	}
	pool_free(&pool);
	if (!v)
		return NULL;
	v->owners = copy_owners(s, s->owner, s->n_owners, port_is_active);
	v->listed = copy_owners(s, s->listed, s->n_listed, port_is_open);
	v->owners_full = s->n_owners >= MACS_MAX;
	v->groups = copy_owners(s, s->group, s->n_groups, port_is_open);
	v->any = copy_owners(s, s->any, s->n_any, port_is_open);
	if (!v->owners || !v->listed || !v->groups || !v->any) {
		view_free(v);
		return NULL;
	}
	return v;
}

void view_free(struct fwd_view *v)
{
	if (!v)
		return;
	owners_free(v->owners);
	owners_free(v->listed);
	owners_free(v->groups);
	owners_free(v->any);
	for (uint32_t i = 0; i < v->n_vsis; i++)
		vsi_meters_put(v->vsi[i].meters);
	free(v);
}

/* VID 4095 is reserved and never carried in a frame (802.1Q-2022 table 9-2). */
vid_t view_port_classify(const struct view_port *p, uint16_t tpid, uint16_t tci)
{
	vid_t vid = tci_vid(tci);

	if (tpid == 0 || (tpid == ETHERTYPE_CTAG && vid == VID_NONE))
		return p->pvid;
	if (tpid != ETHERTYPE_CTAG || vid > VID_MAX)
		return VID_NONE;
	/* Being a trunk's native VLAN does not list it: its frames come untagged. */
	if (p->vlans)
		return vlan_set_has(p->vlans, vid) ? vid : VID_NONE;
	return p->role == FWD_UPLINK ? vid : VID_NONE;
}
