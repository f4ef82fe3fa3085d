// SPDX-License-Identifier: Apache-2.0
#include "snoop.h"
#include "turn_internal.h"

/* Does the port own the source of flow `k` in any VLAN? Edge relay only. */
static bool owns_source(const struct turn *t, unsigned k, port_id id)
{
	const struct owners *all = t->view->owners;
	uint32_t fid = owners_fid(t->in->bridge, VID_NONE);
	uint64_t at = owners_hash(all->seed, fid, t->key[k].src);
	const struct owner *o;

	while ((o = owners_next(all, fid, t->key[k].src, &at)) != NULL) {
		if (o->port == id)
			return true;
	}
	return false;
}

/* Add the ports of a list that take part, for some frames of the flow; returns how many. */
static unsigned mark_list(struct turn *t, unsigned k, uint64_t frames, enum view_list list)
{
	const struct view_port *port = t->view->port;
	const port_id *id = t->bridge->list[list].id;
	port_id sender = t->in->role == FWD_UPLINK && t->src[k] ? t->src[k]->port : PORT_NONE;
	port_id host = t->in->role == FWD_UPLINK ? t->bridge->host : PORT_NONE;
	bool is_of_link = list == VIEW_LIST_RESERVED && !t->key[k].tpid;
	unsigned added = 0;

	if (t->vid[k] == VID_NONE && !is_of_link) /* reserved, with a tag nobody has */
		return 0;
	for (uint32_t x = 0; x < t->bridge->list[list].n; x++) {
		if (id[x] == t->in_id || id[x] == sender || id[x] == host)
			continue;
		if (is_of_link ? owns_source(t, k, id[x]) :
				 !view_port_has_vlan(&port[id[x]], t->vid[k]))
			continue;
		if (list == VIEW_LIST_RESERVED &&
		    !(port[id[x]].reserved >> (t->key[k].dst.b[5] & 0xf) & 1))
			continue;
		added += egress_add(&t->egress, frames, id[x]);
	}
	return added;
}

static unsigned mark_listed(struct turn *t, unsigned k, uint64_t frames)
{
	const struct fwd_view *v = t->view;
	uint32_t fid = owners_fid(t->in->bridge, VID_NONE);
	uint64_t at = owners_hash(v->listed->seed, fid, t->key[k].src);
	const struct owner *o;
	unsigned added = 0;

	while ((o = owners_next(v->listed, fid, t->key[k].src, &at)) != NULL) {
		if (view_port_has_vlan(&v->port[o->port], t->vid[k]) &&
		    !(t->src[k] && t->src[k]->port == o->port))
			added += egress_add(&t->egress, frames, o->port);
	}
	return added;
}

/* Ports under VDP control where every address of the VLAN passes. */
static unsigned mark_any(struct turn *t, unsigned k, uint64_t frames)
{
	const port_id *id = t->bridge->list[VIEW_LIST_VDP_ANY].id;
	unsigned added = 0;

	for (uint32_t x = 0; x < t->bridge->list[VIEW_LIST_VDP_ANY].n; x++) {
		if (id[x] != t->in_id && view_any(t->view, id[x], t->vid[k]))
			added += egress_add(&t->egress, frames, id[x]);
	}
	return added;
}

static unsigned mark_sets(struct turn *t, unsigned k, uint64_t frames, unsigned to)
{
	static const struct {
		unsigned to;
		enum view_list list;
	} sets[] = {
		{ FWD_TO_PRIVATES, VIEW_LIST_PRIVATE },	 { FWD_TO_VEPAS, VIEW_LIST_VEPA },
		{ FWD_TO_BRIDGES, VIEW_LIST_BRIDGE },	 { FWD_TO_PROMISC, VIEW_LIST_PROMISC },
		{ FWD_TO_RESERVED, VIEW_LIST_RESERVED }, { FWD_TO_ALL, VIEW_LIST_ALL },
		{ FWD_TO_UNKNOWN, VIEW_LIST_OPEN },
	};
	unsigned n = 0;

	for (size_t s = 0; s < ARRAY_SIZE(sets); s++) {
		if (to & sets[s].to)
			n += mark_list(t, k, frames, sets[s].list);
	}
	if (to & FWD_TO_UNKNOWN)
		n += mark_any(t, k, frames);
	if (to & FWD_TO_LISTED)
		n += mark_listed(t, k, frames);
	if (to & FWD_TO_PASSTHRU)
		n += egress_add(&t->egress, frames, t->bridge->passthru);
	if (to & FWD_TO_BACK)
		n += egress_add(&t->egress, frames, t->in_id);
	return n;
}

/* Frames of a flow that went to `copies` ports each. */
static void count_copies(struct turn *t, uint64_t frames, unsigned copies, unsigned reason)
{
	unsigned n = frames_count(frames);

	if (copies == 0)
		t->count->drops[reason] += n;
	else
		t->count->replicated += (uint64_t)(copies - 1) * n;
}

/* Those of a flow that go wherever `to` says. */
static unsigned mark_frames(struct turn *t, unsigned k, uint64_t frames, unsigned to)
{
	unsigned copies = 0;

	if (to & FWD_TO_OWNER)
		copies += egress_add(&t->egress, frames, t->dst[k]->port);
	if (to & FWD_TO_UPLINK) {
		copies += egress_add(&t->egress, frames, t->bridge->uplink);
		t->count->to_wire += frames_count(frames);
	}
	if (to & ~(unsigned)(FWD_TO_OWNER | FWD_TO_UPLINK))
		copies += mark_sets(t, k, frames, to);
	return copies;
}

/* ---- group frames of a bridge that snoops ---- */

/* Report what was said on the ingress port; one that says too much is heard no longer. */
static void turn_heard(void *aux, const struct mcast_note *note)
{
	struct turn *t = aux;
	struct report r = { .kind = REPORT_GROUP,
			    .port = t->in_id,
			    .bridge = t->in->bridge,
			    .vid = t->heard_vid,
			    .note = *note };
	uint32_t n = turn_rate_count(&t->said[t->in_id], t->now_s);

	if (n > SNOOP_NOTES_MAX + 1)
		return;
	if (n == SNOOP_NOTES_MAX + 1)
		r.kind = REPORT_DEAF;
	if (turn_report(t, r))
		return;
	atomic_store(&t->is_deaf, true);
	t->has_reported = true; /* whoever is emptying the ring may have looked already */
}

/* Frames that only those get who want them: under `key`, or routers. */
static void mark_wanted(struct turn *t, unsigned k, const struct snoop_flow *f, uint64_t frames,
			const struct mac *key)
{
	const unsigned sets = FWD_TO_PRIVATES | FWD_TO_VEPAS | FWD_TO_BRIDGES | FWD_TO_PROMISC |
			      FWD_TO_ALL | FWD_TO_BACK;
	uint8_t reason = t->verdict[k].reason;
	unsigned copies;

	if (!frames)
		return;
	copies = mark_frames(t, k, frames, f->to & ~sets) + snoop_mark(f, &t->egress, frames, key);
	count_copies(t, frames, copies, f->to & sets && reason != DROP_host ? DROP_group : reason);
}

/* Mark those that are filtered, and return the others. */
static uint64_t turn_snoop(struct turn *t, unsigned k, unsigned to)
{
	uint64_t frames = t->flows.frames[k];
	bool is_from_uplink = t->in->role == FWD_UPLINK;
	uint8_t reason = t->verdict[k].reason;
	struct snoop_flow f = {
		.view = t->view,
		.key = &t->key[k],
		.bridge = t->in->bridge,
		.vid = t->vid[k],
		.in = t->in_id,
		.skip = { is_from_uplink && t->src[k] ? t->src[k]->port : PORT_NONE,
			  is_from_uplink ? t->bridge->host : PORT_NONE },
		.to = to,
		.heard = turn_heard,
		.aux = t,
	};
	struct snoop_sets s;

	/* Without a wire, a guest still says what it wants. */
	if (!to && reason != DROP_no_carrier && reason != DROP_no_uplink)
		return frames;
	t->heard_vid = f.vid;
	snoop_sort(&f, t->burst.frame, frames, &s);
	mark_wanted(t, k, &f, s.routers, NULL);
	mark_wanted(t, k, &f, s.members, &s.key);
	mark_wanted(t, k, &f, s.members_of_link, &s.key_of_link);
	return frames & ~(s.routers | s.members | s.members_of_link);
}

void turn_mark(struct turn *t)
{
	for (unsigned k = 0; k < t->flows.n; k++) {
		unsigned to = t->verdict[k].to & ~(unsigned)FWD_LEARN;
		uint64_t frames = t->flows.frames[k];

		if (!frames) /* all are beyond a limit */
			continue;
		/*
		 * Untagged and reserved: it concerns the link and not a VLAN of it, so that it
		 * passes as it came (802.1Q-2022 8.6.3).
		 */
		if ((t->flags[k] & FWD_RESERVED) && !t->key[k].tpid)
			t->vid[k] = VID_NONE;
		if (t->flags[k] & FWD_GROUP)
			t->count->rx_group += frames_count(frames);
		if (t->verdict[k].reason == DROP_control && (t->in->flags & VIEW_PUNTS))
			frames = turn_punt(t, k, frames);
		if (t->bridge->snoops && t->vid[k] != VID_NONE && snoop_concerns(&t->key[k]))
			frames = turn_snoop(t, k, to);
		if (frames)
			count_copies(t, frames, mark_frames(t, k, frames, to),
				     t->verdict[k].reason);
	}
}
