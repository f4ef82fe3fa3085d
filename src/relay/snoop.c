// SPDX-License-Identifier: Apache-2.0
#include "snoop.h"

#include "groups.h"

enum { IPV4_HEADER_SIZE = 20, IPV6_HEADER_SIZE = 40, IPV6_DST_OFFSET = 24 };

static uint32_t fid_of(const struct snoop_flow *f)
{
	return owners_fid(f->bridge, f->vid);
}

static bool is_known(const struct snoop_flow *f, struct mac key)
{
	uint64_t at = owners_hash(f->view->groups->seed, fid_of(f), key);

	return owners_next(f->view->groups, fid_of(f), key, &at) != NULL;
}

/* What the frame says of groups, if anything. */
static enum mcast_kind hear(const struct snoop_flow *f, const struct frame *frame)
{
	uint8_t octets[MCAST_FRAME_SIZE_MAX];
	struct mcast_reader r;
	struct mcast_note n;
	enum mcast_kind kind =
		mcast_open(&r, octets, frame_head_copy(frame, octets, sizeof(octets)),
			   f->key->type_offset, frame->vnet.flags & VNET_F_NEEDS_CSUM);

	while (mcast_next(&r, &n))
		f->heard(f->aux, &n);
	return kind;
}

/* The IP header, if the frame has one in its head; else NULL. */
static const uint8_t *l3_of(const struct snoop_flow *f, const struct frame *frame)
{
	size_t at = f->key->type_offset + 2u;
	size_t size = f->key->ethertype == ETHERTYPE_IPV4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE;

	if (frame->iov[0].iov_len < at + size)
		return NULL;
	return (const uint8_t *)frame->iov[0].iov_base + at;
}

void snoop_sort(const struct snoop_flow *f, const struct frame *all, uint64_t frames,
		struct snoop_sets *out)
{
	bool is_ipv6 = f->key->ethertype == ETHERTYPE_IPV6;
	bool is_filtered = !group_is_for_all(f->key->dst) &&
			   is_known(f, group_mark(GROUP_MARK_FILTER, is_ipv6));
	bool has_link = is_filtered && is_known(f, group_key(f->key->dst, true));

	*out = (struct snoop_sets){ .key = group_key(f->key->dst, false),
				    .key_of_link = group_key(f->key->dst, true) };
	for (uint64_t left = frames; left; left &= left - 1) {
		const struct frame *frame = &all[__builtin_ctzll(left)];
		uint64_t bit = left & -left;
		const uint8_t *l3 = l3_of(f, frame);
		enum mcast_kind kind = MCAST_OTHER;

		if (!l3)
			continue;
		if (mcast_is_candidate(f->key->ethertype, l3))
			kind = hear(f, frame);
		if (kind == MCAST_REPORT)
			out->routers |= bit;
		else if (kind != MCAST_OTHER || !is_filtered)
			continue;
		else if (!is_ipv6 || (l3[IPV6_DST_OFFSET + 1] & 0xf) > 2)
			out->members |= bit;
		else if (has_link) /* not before it is known */
			out->members_of_link |= bit;
	}
	/* A learning relay that knows of no router asks all ports; the uplink leads to one. */
	if (f->to & FWD_TO_ALL && !is_known(f, group_mark(GROUP_MARK_ROUTER, is_ipv6)))
		out->routers = 0;
}

/* Does the verdict send group frames to ports like this one? */
static bool takes_part(const struct snoop_flow *f, port_id id)
{
	static const uint16_t sets[FWD_MODES_N + 1] = { [FWD_PRIVATE] = FWD_TO_PRIVATES,
							[FWD_VEPA] = FWD_TO_VEPAS,
							[FWD_BRIDGE] = FWD_TO_BRIDGES };
	const struct view_port *p = &f->view->port[id];

	if (!view_port_has_vlan(p, f->vid) || id == f->skip[0] || id == f->skip[1])
		return false;
	switch ((enum fwd_role)p->role) {
	case FWD_STATION:
		return id != f->in && f->to & sets[p->mode];
	case FWD_RELAY_PORT:
		return f->to & (id == f->in ? FWD_TO_BACK : FWD_TO_ALL);
	case FWD_UPLINK:
		break; /* it is asked for by itself */
	}
	return false;
}

static unsigned mark_key(const struct snoop_flow *f, struct egress *e, uint64_t frames,
			 uint32_t fid, struct mac key)
{
	const struct owners *groups = f->view->groups;
	uint64_t at = owners_hash(groups->seed, fid, key);
	const struct owner *o;
	unsigned n = 0;

	while ((o = owners_next(groups, fid, key, &at)) != NULL)
		n += takes_part(f, o->port) && egress_add(e, frames, o->port);
	return n;
}

unsigned snoop_mark(const struct snoop_flow *f, struct egress *e, uint64_t frames,
		    const struct mac *key)
{
	bool is_ipv6 = f->key->ethertype == ETHERTYPE_IPV6;
	unsigned n = mark_key(f, e, frames, fid_of(f), group_mark(GROUP_MARK_ROUTER, is_ipv6));

	if (!key)
		return n;
	n += mark_key(f, e, frames, fid_of(f), *key);
	return n + mark_key(f, e, frames, owners_fid(f->bridge, VID_NONE),
			    group_mark(GROUP_MARK_ALL, false));
}
