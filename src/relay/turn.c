// SPDX-License-Identifier: Apache-2.0
#include "turn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "egress.h"
#include "eth.h"
#include "gso.h"
#include "ring.h"

enum {
	OCTETS_MAX = 256 << 10, /* per burst: no port delays the others by more */
	REPORTS_MAX = 1024,
	PENDING_MAX = 64,    /* addresses reported but not yet in the view */
	PENDING_RETRY_S = 1, /* report again after so long */
};

/* An address this worker has let through because the view had room, until the view has it. */
struct pending {
	struct mac mac;
	port_id port;
	vid_t vid;
	uint32_t since; /* coarse time of the report */
};

struct turn {
	struct burst burst; /* first: it wants the alignment of the whole */
	struct eth_key key[BURST_MAX];
	vid_t vid[BURST_MAX];
	uint32_t flags[BURST_MAX];			     /* FWD_* of the frame */
	const struct owner *dst[BURST_MAX], *src[BURST_MAX]; /* NULL: nobody */
	struct fwd_verdict verdict[BURST_MAX];
	struct egress egress;

	const struct fwd_view *view;
	const struct view_port *in;
	port_id in_id;
	const struct view_bridge *bridge;
	struct port_counters *count; /* of the ingress port, ours */
	uint32_t now_s;		     /* coarse time, never 0 */
	unsigned worker;

	struct pending pending[PENDING_MAX];
	unsigned n_pending;
	uint64_t pending_generation; /* of the view `pending` was compared with, */
	uint32_t pending_checked;    /* and when */
	struct ring *reports;
	bool has_reported;
};

struct turn *turn_new(unsigned worker)
{
	struct turn *t = aligned_alloc(_Alignof(struct turn), sizeof(*t));
	size_t arena = (size_t)BURST_MAX * ARENA_SLOT_SIZE;

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->worker = worker;
	t->egress.worker = worker;
	t->reports = ring_new(REPORTS_MAX, sizeof(struct report));
	/* Pages are touched only as far as frames reach. */
	t->burst.arena = mmap(NULL, arena, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!t->reports || t->burst.arena == MAP_FAILED) {
		ring_free(t->reports);
		if (t->burst.arena != MAP_FAILED)
			munmap(t->burst.arena, arena);
		free(t);
		return NULL;
	}
	return t;
}

void turn_free(struct turn *t)
{
	if (!t)
		return;
	munmap(t->burst.arena, (size_t)BURST_MAX * ARENA_SLOT_SIZE);
	ring_free(t->reports);
	free(t);
}

bool turn_report_get(struct turn *t, struct report *out)
{
	return ring_get(t->reports, out);
}

bool turn_has_reported(struct turn *t)
{
	bool had = t->has_reported;

	t->has_reported = false;
	return had;
}

static bool turn_report(struct turn *t, struct report r)
{
	if (!ring_put(t->reports, &r))
		return false;
	t->has_reported = true;
	return true;
}

static void turn_report_fault(struct turn *t, port_id id)
{
	struct port *p = t->view->port[id].port;

	if (!atomic_exchange(&p->fault_told, true) &&
	    !turn_report(t, (struct report){ .kind = REPORT_FAULT, .port = id }))
		atomic_store(&p->fault_told, false); /* ring full: tell it next time */
}

/* ---- parse ---- */

/*
 * Leave of the offload header what we know of and what it says something about: a guest may have
 * put anything into the rest, and others would get it. True if it asks for something.
 */
static inline bool frame_has_offload(struct vnet_hdr *h)
{
	h->flags &= VNET_F_NEEDS_CSUM | VNET_F_DATA_VALID;
	if (!(h->flags | h->gso_type)) {
		*h = (struct vnet_hdr){ 0 };
		return false;
	}
	if (!h->gso_type)
		h->hdr_len = h->gso_size = 0;
	if (!(h->flags & VNET_F_NEEDS_CSUM))
		h->csum_start = h->csum_offset = 0;
	return true;
}

static uint32_t frame_flags(struct frame *f, const struct eth_key *key, const struct view_port *in)
{
	uint32_t flags = 0, size = f->size - (key->type_offset == 16 ? ETH_TAG_SIZE : 0);

	if (frame_has_offload(&f->vnet)) {
		if (!gso_valid(f, key))
			flags |= FWD_BAD_OFFLOAD;
		if (f->vnet.gso_type)
			size = 0;
	}
	if (size > in->size_max)
		flags |= FWD_OVERSIZE;
	if (key->ethertype == ETHERTYPE_MAC_CONTROL)
		flags |= FWD_MAC_CONTROL;
	if (mac_is_group(key->dst)) {
		flags |= FWD_GROUP;
		if (mac_is_reserved(key->dst)) {
			flags |= FWD_RESERVED;
			if (in->reserved >> (key->dst.b[5] & 0xf) & 1)
				flags |= FWD_RESERVED_OK;
		}
	}
	if (mac_is_group(key->src) || mac_is_zero(key->src))
		flags |= FWD_BAD_SOURCE;
	return flags;
}

static void turn_parse(struct turn *t, unsigned n)
{
	const struct view_port *in = t->in;
	bool is_transparent = in->mode == FWD_PASSTHRU && in->role == FWD_STATION;

	for (unsigned i = 0; i < n; i++) {
		struct frame *f = &t->burst.frame[i];
		struct eth_key *key = &t->key[i];

		t->vid[i] = VID_NONE;
		if (!eth_key_parse(f, key)) {
			memset(key, 0, sizeof(*key));
			t->flags[i] = FWD_RUNT;
			continue;
		}
		t->flags[i] = frame_flags(f, key, in);
		if (is_transparent)
			continue;
		t->vid[i] = key->tpid ? view_port_classify(in, key->tpid, key->tci) : in->pvid;
		if (t->vid[i] == VID_NONE)
			t->flags[i] |= FWD_VLAN_DENIED;
	}
}

/* ---- owners ---- */

static inline const struct owner *owner_find(const struct fwd_view *v, uint32_t fid, struct mac mac,
					     vid_t vid, uint64_t at)
{
	const struct owner *o;

	/* An entry of one VLAN is asked for its port, too: it must not lead out of the VLAN. */
	while ((o = owners_next(v->owners, fid, mac, &at)) != NULL) {
		if ((o->vid == vid || o->vid == VID_NONE) &&
		    view_port_has_vlan(&v->port[o->port], vid))
			return o;
	}
	return NULL;
}

/* Is this source that of the frame before? Nearly always so, for a guest's frames. */
static inline bool source_repeats(const struct turn *t, unsigned i)
{
	return i && t->vid[i] == t->vid[i - 1] && mac_equal(t->key[i].src, t->key[i - 1].src);
}

/* Addresses of frames that will be dropped are hashed too, to no effect: no branch in the loop. */
static void turn_owners(struct turn *t, unsigned n)
{
	const struct fwd_view *v = t->view;
	bool is_learning = t->bridge->is_learning;
	bool needs_dst = t->in->role != FWD_STATION || t->in->mode == FWD_BRIDGE;
	uint64_t hash[BURST_MAX], seed = v->owners->seed;

	for (unsigned i = 0; needs_dst && i < n; i++) {
		uint32_t fid = owners_fid(t->in->bridge, is_learning ? t->vid[i] : VID_NONE);

		hash[i] = owners_hash(seed, fid, t->key[i].dst);
		owners_prefetch(v->owners, hash[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		uint32_t fid = owners_fid(t->in->bridge, is_learning ? t->vid[i] : VID_NONE);

		t->src[i] = t->dst[i] = NULL;
		if (t->flags[i] & (FWD_RUNT | FWD_VLAN_DENIED | FWD_BAD_SOURCE))
			continue;
		if (source_repeats(t, i))
			t->src[i] = t->src[i - 1];
		else
			t->src[i] = owner_find(v, fid, t->key[i].src, t->vid[i],
					       owners_hash(seed, fid, t->key[i].src));
		if (needs_dst && !(t->flags[i] & FWD_GROUP))
			t->dst[i] = owner_find(v, fid, t->key[i].dst, t->vid[i], hash[i]);
	}
}

/* ---- learning ---- */

/* Drop from `pending` what the view knows by now. */
static void pending_compare(struct turn *t)
{
	unsigned kept = 0;

	if (t->pending_generation == t->view->generation && t->pending_checked == t->now_s)
		return;
	t->pending_generation = t->view->generation;
	t->pending_checked = t->now_s;
	for (unsigned i = 0; i < t->n_pending; i++) {
		struct pending *p = &t->pending[i];
		const struct view_port *vp = &t->view->port[p->port];
		uint32_t fid;
		const struct owner *o;

		if (p->port >= t->view->n_ports || !vp->port)
			continue;
		fid = owners_fid(vp->bridge,
				 t->view->bridge[vp->bridge].is_learning ? p->vid : VID_NONE);
		o = owner_find(t->view, fid, p->mac, p->vid,
			       owners_hash(t->view->owners->seed, fid, p->mac));
		if (o && o->port == p->port)
			continue;
		if (t->now_s - p->since > PENDING_RETRY_S)
			continue;
		t->pending[kept++] = *p;
	}
	t->n_pending = kept;
}

/* Edge relays own addresses in all VLANs of the port, so one address is pending once. */
static bool pending_is(const struct turn *t, const struct pending *p, unsigned i)
{
	return p->port == t->in_id && mac_equal(p->mac, t->key[i].src) &&
	       (p->vid == t->vid[i] || !t->bridge->is_learning);
}

/* May the ingress port own the source of frame `i` too, with what is pending counted? */
static bool pending_room(const struct turn *t, unsigned i)
{
	unsigned used = 0;

	if (t->view->owners_full || !t->in->learn_room)
		return false;
	for (unsigned k = 0; k < t->n_pending; k++) {
		if (t->pending[k].port != t->in_id)
			continue;
		if (pending_is(t, &t->pending[k], i))
			return true;
		used++;
	}
	return used < t->in->learn_room && t->n_pending < PENDING_MAX;
}

/*
 * Tell the control thread, and count the address as owned from now on, also if there is no room
 * for the report: it is made again when it is no longer pending.
 */
static void turn_learn(struct turn *t, unsigned i)
{
	struct pending p = { t->key[i].src, t->in_id, t->vid[i], t->now_s };
	struct report r = { .kind = REPORT_LEARN,
			    .port = t->in_id,
			    .bridge = t->in->bridge,
			    .vid = t->vid[i],
			    .mac = t->key[i].src };

	for (unsigned k = 0; k < t->n_pending; k++) {
		if (pending_is(t, &t->pending[k], i))
			return;
	}
	if (t->n_pending == PENDING_MAX)
		return;
	t->pending[t->n_pending++] = p;
	turn_report(t, r);
}

/* The source was used now; a plain store, and only once a second, so lines stay shared. */
static void turn_saw(struct turn *t, const struct owner *o)
{
	const struct owners *all = t->view->owners;
	_Atomic uint32_t *seen = &all->seen[o - all->slot];

	if (atomic_load_explicit(seen, memory_order_relaxed) != t->now_s)
		atomic_store_explicit(seen, t->now_s, memory_order_relaxed);
}

/* ---- decide ---- */

/* The facts that are the same for the whole burst. */
static uint32_t burst_flags(const struct turn *t)
{
	const struct view_port *in = t->in;
	const struct view_bridge *b = t->bridge;
	uint32_t flags = 0;

	flags |= in->flags & VIEW_STANDBY ? FWD_STANDBY : 0;
	flags |= in->flags & VIEW_GUARD ? FWD_GUARD : 0;
	flags |= in->flags & VIEW_HAS_MACLIMIT ? FWD_HAS_MACLIMIT : 0;
	flags |= in->flags & VIEW_REFLECT ? FWD_REFLECTS : 0;
	if (b->uplink != PORT_NONE) {
		flags |= FWD_HAS_UPLINK;
		flags |= t->view->port[b->uplink].flags & VIEW_UP ? FWD_CARRIER : 0;
	}
	flags |= b->passthru != PORT_NONE ? FWD_HAS_PASSTHRU : 0;
	return flags;
}

/* Source-mode ports that list the source of frame `i`. */
static uint32_t listed_flags(const struct turn *t, unsigned i)
{
	const struct fwd_view *v = t->view;
	uint32_t fid = owners_fid(t->in->bridge, VID_NONE), flags = 0;
	uint64_t at = owners_hash(v->listed->seed, fid, t->key[i].src);
	const struct owner *o;

	while ((o = owners_next(v->listed, fid, t->key[i].src, &at)) != NULL) {
		if (!view_port_has_vlan(&v->port[o->port], t->vid[i]))
			continue;
		flags |= FWD_LISTED;
		if (v->port[o->port].flags & VIEW_NODST)
			flags |= FWD_NODST;
	}
	return flags;
}

static void turn_decide(struct turn *t, unsigned n)
{
	const struct view_port *port = t->view->port;
	const struct view_port in = *t->in;
	port_id in_id = t->in_id;
	uint32_t common = burst_flags(t);
	bool has_lists = in.role == FWD_UPLINK && t->bridge->list[VIEW_LIST_SOURCE].n;

	for (unsigned i = 0; i < n; i++) {
		const struct owner *src = t->src[i], *dst = t->dst[i];
		struct fwd_facts f = { .flags = common | t->flags[i],
				       .role = in.role,
				       .mode = in.mode };

		if (src) {
			f.src_owner = src->port == in_id ? FWD_OWNER_SELF : FWD_OWNER_OTHER;
			f.src_mode = port[src->port].mode;
		}
		if (dst) {
			f.dst_owner = dst->port == in_id	    ? FWD_OWNER_SELF :
				      src && dst->port == src->port ? FWD_OWNER_SAME :
								      FWD_OWNER_OTHER;
			f.dst_mode = port[dst->port].mode;
		}
		if (f.src_owner != FWD_OWNER_SELF && in.role != FWD_UPLINK &&
		    !(f.flags & (FWD_RUNT | FWD_BAD_SOURCE | FWD_VLAN_DENIED)) &&
		    pending_room(t, i))
			f.flags |= FWD_LEARNS;
		if (has_lists)
			f.flags |= listed_flags(t, i);
		t->verdict[i] = fwd_decide(&f);
		if (t->verdict[i].to & FWD_LEARN)
			turn_learn(t, i);
		else if (f.src_owner == FWD_OWNER_SELF && (src->flags & OWNER_LEARNED))
			turn_saw(t, src);
	}
}

/* ---- mark destinations ---- */

/* Does the port own the source of frame `i` in any VLAN? Edge relay only. */
static bool owns_source(const struct turn *t, unsigned i, port_id id)
{
	const struct owners *all = t->view->owners;
	uint32_t fid = owners_fid(t->in->bridge, VID_NONE);
	uint64_t at = owners_hash(all->seed, fid, t->key[i].src);
	const struct owner *o;

	while ((o = owners_next(all, fid, t->key[i].src, &at)) != NULL) {
		if (o->port == id)
			return true;
	}
	return false;
}

/* Add the ports of a list that take part in the frame; returns how many. */
static unsigned mark_list(struct turn *t, unsigned i, enum view_list list)
{
	const struct view_port *port = t->view->port;
	const port_id *id = t->bridge->list[list].id;
	port_id sender = t->in->role == FWD_UPLINK && t->src[i] ? t->src[i]->port : PORT_NONE;
	bool is_of_link = list == VIEW_LIST_RESERVED && !t->key[i].tpid;
	unsigned added = 0;

	if (t->vid[i] == VID_NONE && !is_of_link) /* reserved, with a tag nobody has */
		return 0;
	for (uint32_t k = 0; k < t->bridge->list[list].n; k++) {
		if (id[k] == t->in_id || id[k] == sender)
			continue;
		if (is_of_link ? owns_source(t, i, id[k]) :
				 !view_port_has_vlan(&port[id[k]], t->vid[i]))
			continue;
		if (list == VIEW_LIST_RESERVED &&
		    !(port[id[k]].reserved >> (t->key[i].dst.b[5] & 0xf) & 1))
			continue;
		added += egress_add(&t->egress, i, id[k]);
	}
	return added;
}

static unsigned mark_listed(struct turn *t, unsigned i)
{
	const struct fwd_view *v = t->view;
	uint32_t fid = owners_fid(t->in->bridge, VID_NONE);
	uint64_t at = owners_hash(v->listed->seed, fid, t->key[i].src);
	const struct owner *o;
	unsigned added = 0;

	while ((o = owners_next(v->listed, fid, t->key[i].src, &at)) != NULL) {
		if (view_port_has_vlan(&v->port[o->port], t->vid[i]) &&
		    !(t->src[i] && t->src[i]->port == o->port))
			added += egress_add(&t->egress, i, o->port);
	}
	return added;
}

static unsigned mark_sets(struct turn *t, unsigned i, unsigned to)
{
	static const struct {
		unsigned to;
		enum view_list list;
	} sets[] = {
		{ FWD_TO_PRIVATES, VIEW_LIST_PRIVATE },	 { FWD_TO_VEPAS, VIEW_LIST_VEPA },
		{ FWD_TO_BRIDGES, VIEW_LIST_BRIDGE },	 { FWD_TO_PROMISC, VIEW_LIST_PROMISC },
		{ FWD_TO_RESERVED, VIEW_LIST_RESERVED }, { FWD_TO_ALL, VIEW_LIST_ALL },
	};
	unsigned n = 0;

	for (size_t s = 0; s < ARRAY_SIZE(sets); s++) {
		if (to & sets[s].to)
			n += mark_list(t, i, sets[s].list);
	}
	if (to & FWD_TO_LISTED)
		n += mark_listed(t, i);
	if (to & FWD_TO_PASSTHRU)
		n += egress_add(&t->egress, i, t->bridge->passthru);
	if (to & FWD_TO_BACK)
		n += egress_add(&t->egress, i, t->in_id);
	return n;
}

static void turn_mark(struct turn *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned to = t->verdict[i].to & ~(unsigned)FWD_LEARN, copies = 0;

		/*
		 * Untagged and reserved: it concerns the link and not a VLAN of it, so that it
		 * passes as it came (802.1Q-2022 8.6.3).
		 */
		if ((t->flags[i] & FWD_RESERVED) && !t->key[i].tpid)
			t->vid[i] = VID_NONE;
		if (to & FWD_TO_OWNER)
			copies += egress_add(&t->egress, i, t->dst[i]->port);
		if (to & FWD_TO_UPLINK) {
			copies += egress_add(&t->egress, i, t->bridge->uplink);
			t->count->to_wire++;
		}
		if (to & ~(unsigned)(FWD_TO_OWNER | FWD_TO_UPLINK))
			copies += mark_sets(t, i, to);
		if (copies == 0)
			t->count->drops[t->verdict[i].reason]++;
		else
			t->count->replicated += copies - 1;
	}
}

/* ---- the turn ---- */

static bool turn_begin(struct turn *t, const struct fwd_view *v, port_id id)
{
	if (id >= v->n_ports || !v->port[id].port)
		return false;
	t->view = v;
	t->in = &v->port[id];
	t->in_id = id;
	t->bridge = &v->bridge[t->in->bridge];
	t->count = &t->in->port->counters[t->worker];
	return true;
}

/* Frames 0..n of the burst. */
static void turn_relay(struct turn *t, unsigned n)
{
	struct egress *e = &t->egress;
	uint64_t octets = 0, group = 0;

	for (unsigned i = 0; i < n; i++) {
		octets += t->burst.frame[i].size;
		__builtin_prefetch(t->burst.frame[i].iov[0].iov_base);
	}
	if (t->n_pending)
		pending_compare(t);
	turn_parse(t, n);
	turn_owners(t, n);
	turn_decide(t, n);

	egress_begin(e);
	e->view = t->view;
	e->frame = t->burst.frame;
	e->key = t->key;
	e->vid = t->vid;
	turn_mark(t, n);
	for (unsigned i = 0; i < n; i++)
		group += !!(t->flags[i] & FWD_GROUP);
	t->count->rx_frames += n;
	t->count->rx_octets += octets;
	t->count->rx_group += group;
	egress_send(e);
	if (e->faulty != PORT_NONE)
		turn_report_fault(t, e->faulty);
}

unsigned turn_run(struct turn *t, const struct fwd_view *v, port_id id, tstamp now)
{
	struct port *p;
	unsigned n, discarded;

	t->burst.more = false;
	if (!turn_begin(t, v, id))
		return 0;
	p = t->in->port;
	t->now_s = (uint32_t)(now / NS_PER_S) + 1;
	t->burst.octets_max = OCTETS_MAX;
	t->burst.discarded = 0;
	n = p->ops->rx(p, &t->burst, BURST_MAX);
	discarded = t->burst.discarded;
	if (n)
		turn_relay(t, n);
	t->count->rx_frames += discarded;
	t->count->drops[DROP_disabled] += discarded;
	if (n + discarded && p->ops->rx_done)
		p->ops->rx_done(p);
	if (atomic_load_explicit(&p->fault, memory_order_relaxed))
		turn_report_fault(t, id);
	return n + discarded;
}

bool turn_has_more(const struct turn *t)
{
	return t->burst.more;
}

void turn_inject(struct turn *t, const struct fwd_view *v, port_id id, const void *octets,
		 uint32_t size)
{
	struct frame *f = &t->burst.frame[0];

	if (!turn_begin(t, v, id) || size > FRAME_SIZE_MAX)
		return;
	memcpy(burst_slot(&t->burst, 0), octets, size);
	t->burst.iov[0][0] = (struct iovec){ burst_slot(&t->burst, 0), size };
	*f = (struct frame){ .iov = t->burst.iov[0], .n_iov = 1, .size = size };
	turn_relay(t, 1);
}
