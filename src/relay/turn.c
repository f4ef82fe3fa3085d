// SPDX-License-Identifier: Apache-2.0
#include "turn_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "eth.h"
#include "gso.h"
#include "ring.h"
#include "svlan.h"

enum {
	OCTETS_MAX =
		96 << 10, /* per burst: 64 frames of 1500, and no port delays the others much */
	REPORTS_MAX = 1024,
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
	t->egress.frame = t->burst.frame;
	t->egress.key = t->key;
	t->egress.vid = t->vid;
	t->egress.dst = t->dst;
	t->egress.flows = &t->flows;
	for (unsigned i = 0; i < BURST_MAX; i++)
		t->egress.all[i] = &t->burst.frame[i];
	t->reports = ring_new(REPORTS_MAX, sizeof(struct report));
	/* Pages are touched only as far as frames reach. */
	t->burst.arena = mmap(NULL, arena, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	t->punts = ring_new(PUNTS_MAX, sizeof(struct punt));
	if (!t->reports || !t->punts || t->burst.arena == MAP_FAILED) {
		ring_free(t->reports);
		ring_free(t->punts);
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
	ring_free(t->punts);
	free(t);
}

bool turn_report_get(struct turn *t, struct report *out)
{
	if (ring_get(t->reports, out))
		return true;
	*out = (struct report){ .kind = REPORT_DEAF, .port = PORT_NONE };
	return atomic_exchange(&t->is_deaf, false);
}

bool turn_punt_get(struct turn *t, struct punt *out)
{
	return ring_get(t->punts, out);
}

bool turn_has_reported(struct turn *t)
{
	bool had = t->has_reported;

	t->has_reported = false;
	return had;
}

bool turn_report(struct turn *t, struct report r)
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
			if (in->role == FWD_STATION && in->reserved >> (key->dst.b[5] & 0xf) & 1)
				flags |= FWD_RESERVED_OK;
		}
	}
	if (mac_is_group(key->src) || mac_is_zero(key->src))
		flags |= FWD_BAD_SOURCE;
	return flags;
}

static void turn_parse(struct turn *t)
{
	const struct view_port *in = t->in;
	bool is_transparent = in->mode == FWD_PASSTHRU && in->role == FWD_STATION;

	for (unsigned k = 0; k < t->flows.n; k++) {
		struct frame *f = &t->burst.frame[t->flows.first[k]];
		struct eth_key *key = &t->key[k];

		t->vid[k] = VID_NONE;
		if (!eth_key_parse(f, key)) {
			memset(key, 0, sizeof(*key));
			t->flags[k] = FWD_RUNT;
			continue;
		}
		t->flags[k] = frame_flags(f, key, in);
		if (is_transparent)
			continue;
		t->vid[k] = key->tpid ? view_port_classify(in, key->tpid, key->tci) : in->pvid;
		if (t->vid[k] == VID_NONE)
			t->flags[k] |= FWD_VLAN_DENIED;
	}
}

/* ---- owners ---- */

/* Is this source that of the flow before? Nearly always so, for a guest's frames. */
static inline bool source_repeats(const struct turn *t, unsigned k)
{
	return k && t->vid[k] == t->vid[k - 1] && mac_equal(t->key[k].src, t->key[k - 1].src);
}

/* Addresses of frames that will be dropped are hashed too, to no effect: no branch in the loop. */
static void turn_owners(struct turn *t)
{
	const struct fwd_view *v = t->view;
	bool is_learning = t->bridge->is_learning;
	bool needs_dst = t->in->role != FWD_STATION || t->in->mode == FWD_BRIDGE;
	uint64_t hash[BURST_MAX], seed = v->owners->seed;
	unsigned n = t->flows.n;

	for (unsigned k = 0; needs_dst && k < n; k++) {
		uint32_t fid = owners_fid(t->in->bridge, is_learning ? t->vid[k] : VID_NONE);

		hash[k] = owners_hash(seed, fid, t->key[k].dst);
		owners_prefetch(v->owners, hash[k]);
	}
	for (unsigned k = 0; k < n; k++) {
		uint32_t fid = owners_fid(t->in->bridge, is_learning ? t->vid[k] : VID_NONE);

		t->src[k] = t->dst[k] = NULL;
		if (t->flags[k] & (FWD_RUNT | FWD_VLAN_DENIED | FWD_BAD_SOURCE))
			continue;
		if (source_repeats(t, k))
			t->src[k] = t->src[k - 1];
		else
			t->src[k] = view_owner(v, fid, t->key[k].src, t->vid[k],
					       owners_hash(seed, fid, t->key[k].src));
		if (needs_dst && !(t->flags[k] & FWD_GROUP))
			t->dst[k] = view_owner(v, fid, t->key[k].dst, t->vid[k], hash[k]);
	}
}

/* ---- learning ---- */

static struct pending source_of(const struct turn *t, unsigned k)
{
	return (struct pending){ t->key[k].src, t->in_id, t->vid[k], t->now_s };
}

/*
 * Tell the control thread, and count the address as owned from now on, also if there is no room
 * for the report: it is made again when it is no longer pending.
 */
static void turn_learn(struct turn *t, unsigned k)
{
	struct pending p = source_of(t, k);

	if (pending_add(&t->pending, t->view, &p))
		turn_report(t, (struct report){ .kind = REPORT_LEARN,
						.port = t->in_id,
						.bridge = t->in->bridge,
						.vid = p.vid,
						.mac = p.mac });
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
	flags |= in->flags & VIEW_BACKUP ? FWD_BACKUP : 0;
	flags |= in->flags & VIEW_VDP ? FWD_VDP : 0;
	if (b->uplink != PORT_NONE) {
		flags |= FWD_HAS_UPLINK;
		flags |= t->view->port[b->uplink].flags & VIEW_UP ? FWD_CARRIER : 0;
	}
	flags |= b->passthru != PORT_NONE ? FWD_HAS_PASSTHRU : 0;
	flags |= t->in_id == b->host ? FWD_FROM_HOST : 0;
	return flags;
}

/* Source-mode ports that list the source of flow `k`. */
static uint32_t listed_flags(const struct turn *t, unsigned k)
{
	const struct fwd_view *v = t->view;
	uint32_t fid = owners_fid(t->in->bridge, VID_NONE), flags = 0;
	uint64_t at = owners_hash(v->listed->seed, fid, t->key[k].src);
	const struct owner *o;

	while ((o = owners_next(v->listed, fid, t->key[k].src, &at)) != NULL) {
		if (!view_port_has_vlan(&v->port[o->port], t->vid[k]))
			continue;
		flags |= FWD_LISTED;
		if (v->port[o->port].flags & VIEW_NODST)
			flags |= FWD_NODST;
	}
	return flags;
}

/*
 * Does the host's own stack get flow `k`, which comes from the uplink, from the device? Not what it
 * sent itself: nobody gets its own frame back.
 */
static bool host_has(const struct turn *t, unsigned k)
{
	const struct owner *src = t->src[k], *dst = t->dst[k];
	port_id host = t->bridge->host;

	if (t->flags[k] & FWD_GROUP)
		return !src || src->port != host;
	return dst && dst->port == host;
}

/* Is an address of the ingress port that of a private VSI? `any` is the entry of its VLAN. */
static bool is_private(const struct turn *t, const struct owner *o, const struct owner *any)
{
	if (o && o->port == t->in_id && o->flags & OWNER_STATIC)
		any = o;
	return any && any->flags & OWNER_PRIVATE;
}

/* The facts of VDP control. */
static uint32_t vdp_flags(const struct turn *t, unsigned k)
{
	const struct owner *any = NULL, *src = t->src[k], *dst = t->dst[k];
	bool is_isolated;

	if (t->in->flags & VIEW_VDP_ANY)
		any = view_any(t->view, t->in_id, t->vid[k]);
	is_isolated = is_private(t, src, any) ||
		      (dst && dst->port == t->in_id && is_private(t, dst, any));
	return (any ? FWD_VDP_ANY : 0) | (is_isolated ? FWD_ISOLATED : 0);
}

/* What is asked for where a relay or a port has something that most have not. */
static uint32_t rare_flags(const struct turn *t, unsigned k)
{
	bool is_uplink = t->in->role == FWD_UPLINK;
	uint32_t flags = 0;

	if (is_uplink && t->bridge->list[VIEW_LIST_SOURCE].n)
		flags |= listed_flags(t, k);
	if (is_uplink && t->bridge->host != PORT_NONE && host_has(t, k))
		flags |= FWD_HOST_HAS;
	if (t->in->flags & VIEW_VDP)
		flags |= vdp_flags(t, k);
	return flags;
}

static void turn_decide(struct turn *t)
{
	const struct view_port *port = t->view->port;
	const struct view_port in = *t->in;
	port_id in_id = t->in_id;
	uint32_t common = burst_flags(t);
	bool is_rare = in.flags & VIEW_VDP ||
		       (in.role == FWD_UPLINK &&
			(t->bridge->list[VIEW_LIST_SOURCE].n || t->bridge->host != PORT_NONE));

	for (unsigned k = 0; k < t->flows.n; k++) {
		const struct owner *src = t->src[k], *dst = t->dst[k];
		struct fwd_facts f = { .flags = common | t->flags[k],
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
		    !(f.flags & (FWD_RUNT | FWD_BAD_SOURCE | FWD_VLAN_DENIED))) {
			struct pending p = source_of(t, k);

			f.flags |= pending_room(&t->pending, t->view, &p) ? FWD_LEARNS : 0;
		}
		if (is_rare)
			f.flags |= rare_flags(t, k);
		t->verdict[k] = fwd_decide(&f);
		if (t->verdict[k].to & FWD_LEARN)
			turn_learn(t, k);
		else if (f.src_owner == FWD_OWNER_SELF && (src->flags & OWNER_LEARNED))
			turn_saw(t, src);
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

static void turn_egress_begin(struct turn *t)
{
	struct egress *e = &t->egress;

	egress_begin(e);
	e->view = t->view;
	e->now = t->now;
	e->untagged_tci = (uint16_t)(t->in->pcp << 13);
}

static void turn_egress_send(struct turn *t)
{
	egress_send(&t->egress);
	if (t->egress.faulty != PORT_NONE)
		turn_report_fault(t, t->egress.faulty);
}

/* Frames 0..n of the burst. What the control thread says is within every limit. */
static void turn_relay(struct turn *t, unsigned n, bool is_injected)
{
	if (view_port_svid(t->in) != VID_NONE)
		n = svlan_strip(&t->burst, n, t->in->svid, t->count);
	if (!n)
		return;
	if (t->pending.n)
		pending_compare(&t->pending, t->view, t->now_s);
	flows_sort(&t->flows, t->burst.frame, n, t->in->size_max);
	turn_parse(t);
	turn_owners(t);
	turn_decide(t);
	for (unsigned k = 0; t->only_wire && k < t->flows.n; k++)
		t->verdict[k].to &= FWD_TO_UPLINK;
	if ((t->in->flags & VIEW_METERED_IN) && !is_injected)
		turn_meter(t);

	turn_egress_begin(t);
	turn_mark(t);
	t->count->rx_frames += n;
	t->count->rx_octets += t->flows.octets;
	turn_egress_send(t);
}

unsigned turn_run(struct turn *t, const struct fwd_view *v, port_id id, tstamp now)
{
	struct port *p;
	unsigned n, discarded;

	t->burst.more = false;
	if (!turn_begin(t, v, id))
		return 0;
	p = t->in->port;
	t->now = now;
	t->now_s = (uint32_t)(now / NS_PER_S) + 1;
	t->burst.octets_max = OCTETS_MAX;
	t->burst.discarded = 0;
	n = p->ops->rx(p, &t->burst, BURST_MAX);
	discarded = t->burst.discarded;
	if (n)
		turn_relay(t, n, false);
	if (discarded) {
		t->count->rx_frames += discarded;
		t->count->drops[DROP_disabled] += discarded;
	}
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

void turn_inject_wire(struct turn *t, const struct fwd_view *v, port_id id, const void *octets,
		      uint32_t size)
{
	t->only_wire = true;
	turn_inject(t, v, id, octets, size);
	t->only_wire = false;
}

/* What the control thread has to say is the burst. */
static bool turn_lend(struct turn *t, const struct fwd_view *v, port_id id, const void *octets,
		      uint32_t size)
{
	if (!turn_begin(t, v, id) || size > FRAME_SIZE_MAX)
		return false;
	memcpy(burst_slot(&t->burst, 0), octets, size);
	t->burst.iov[0][0] = (struct iovec){ burst_slot(&t->burst, 0), size };
	t->burst.frame[0] = (struct frame){ .iov = t->burst.iov[0], .n_iov = 1, .size = size };
	return true;
}

void turn_inject(struct turn *t, const struct fwd_view *v, port_id id, const void *octets,
		 uint32_t size)
{
	if (turn_lend(t, v, id, octets, size))
		turn_relay(t, 1, true);
}

void turn_send(struct turn *t, const struct fwd_view *v, port_id id, const void *octets,
	       uint32_t size)
{
	if (!turn_lend(t, v, id, octets, size))
		return;
	flows_sort(&t->flows, t->burst.frame, 1, t->in->size_max);
	turn_parse(t);
	t->dst[0] = NULL;
	turn_egress_begin(t);
	t->count->originated++;
	egress_add(&t->egress, 1, id);
	turn_egress_send(t);
}
