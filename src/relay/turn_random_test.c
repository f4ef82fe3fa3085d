// SPDX-License-Identifier: Apache-2.0
/*
 * What must hold for any frame on any bridge: random views and random frames against a short model
 * of isolation, tags, groups and offloads; floods to as many ports as there can be; no allocation.
 */
#include "groups.h"
#include "turn_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WORLDS = 150,
	RUNS = 60, /* of a world */
	MILLION = 1000 * 1000,
};

/* ---- allocations are counted: the linker puts these in front of the C library's ---- */

static unsigned long n_allocations; /* all tests are in one thread */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *p);

void *__wrap_malloc(size_t size)
{
	n_allocations++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	n_allocations++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	n_allocations++;
	return __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	n_allocations++;
	return __real_aligned_alloc(alignment, size);
}

void __wrap_free(void *p)
{
	n_allocations++;
	__real_free(p);
}

/* ---- a random world ---- */

struct world {
	struct fixture *f;
	uint64_t number; /* with which the world can be made again */
	uint64_t seed;
	port_id id[32]; /* ports, those of the edge relay first */
	unsigned n, n_edge;
	struct vlan_set trunk[32];
	uint8_t *copy; /* of the frames sent */
};

static unsigned random_below(struct world *w, unsigned n)
{
	return fx_random(&w->seed) % n;
}

static bool one_in(struct world *w, unsigned n)
{
	return random_below(w, n) == 0;
}

enum { SVID = 77 }; /* of uplinks that have one */

static const vid_t vids[] = { 1, 10, 20, 30 };

static vid_t random_vid(struct world *w)
{
	return vids[random_below(w, ARRAY_SIZE(vids))];
}

static void random_vlans(struct world *w, struct view_port *p, struct vlan_set *trunk)
{
	p->pvid = random_vid(w);
	if (!one_in(w, 3))
		return;
	p->flags |= VIEW_TRUNK;
	p->vlans = trunk;
	for (unsigned i = 0; i < ARRAY_SIZE(vids); i++)
		if (one_in(w, 2))
			vlan_set_add(trunk, vids[i]);
	if (one_in(w, 3))
		p->pvid = VID_NONE;
}

static port_id random_id(struct world *w)
{
	for (;;) {
		port_id id = one_in(w, 20) ? PORTS_MAX - 1 : (port_id)random_below(w, 64);

		if (!w->f->port[id].port)
			return id;
	}
}

/* MACs: four behind each port, by its id; above, MACs of nobody. */
static unsigned mac_of(port_id id, unsigned k)
{
	return id * 4u + k + 1;
}

static void random_port(struct world *w, enum fwd_role role, enum fwd_mode mode)
{
	struct fixture *f = w->f;
	port_id id = w->id[w->n] = random_id(w);
	struct view_port *p;

	if (role == FWD_UPLINK) {
		p = fx_uplink(f, id);
		p->pvid = one_in(w, 3) ? VID_NONE : random_vid(w);
		p->svid = one_in(w, 3) ? SVID : VID_NONE;
	} else {
		p = role == FWD_STATION ? fx_station(f, id, mode) : fx_relay_port(f, id);
		random_vlans(w, p, &w->trunk[w->n]);
		p->flags |= one_in(w, 8) ? VIEW_PROMISC : 0;
		p->flags |= one_in(w, 10) ? VIEW_STANDBY : 0;
		p->flags |= one_in(w, 3) ? VIEW_REFLECT : 0;
		p->flags |= one_in(w, 3) ? VIEW_NODST : 0;
		if (role == FWD_STATION)
			p->reserved = one_in(w, 5) ? (uint16_t)fx_random(&w->seed) : 0;
		else
			p->svid = one_in(w, 3) ? SVID : VID_NONE;
		p->learn_room = one_in(w, 2) ? (uint16_t)random_below(w, 4) : 0;
		for (unsigned k = 0; k < 3; k++) {
			vid_t vid = p->vlans ? random_vid(w) : p->pvid;

			if (role == FWD_STATION && p->vlans)
				vid = VID_NONE;
			fx_owner(f, id, mac_of(id, k), vid);
			if (role == FWD_RELAY_PORT && one_in(w, 6)) {
				unsigned vsi = fx_vsi(f, id);

				fx_vsi_owns(&f->owner[f->n_owners - 1], vsi);
				fx_vsi_limit(f, vsi, one_in(w, 2) ? METER_PPS_IN : METER_RATE_OUT,
					     1000, 100);
			}
		}
	}
	if (one_in(w, 10))
		p->flags &= (uint16_t)~VIEW_UP;
	if (one_in(w, 10))
		p->flags &= (uint16_t)~VIEW_GUARD;
	p->size_max = one_in(w, 3) ? 600 + random_below(w, 900) : 1514;
	fx_offload(f, id, (uint8_t)random_below(w, OFFLOAD_ALL + 1));
	f->room[id] = one_in(w, 8) ? 1 + random_below(w, 50) : 0;
	for (unsigned m = 0; m < METERS_N && one_in(w, 4); m++)
		fx_limit(f, id, (enum meter_id)random_below(w, METERS_N), 1000, 100);
	w->n++;
}

/* Who wants which of the groups, and is that known? */
static void random_groups(struct world *w)
{
	struct fixture *f = w->f;

	for (unsigned b = 0; b < f->n_bridges; b++)
		f->snoops[b] = one_in(w, 2);
	for (unsigned i = 0; i < 40; i++) {
		port_id id = w->id[random_below(w, w->n)];
		struct mac key = fx_mac(FX_STREAM + random_below(w, 3));

		if (i < 10)
			key = group_mark(GROUP_MARK_FILTER, false);
		else if (i < 15)
			key = group_mark(GROUP_MARK_ROUTER, false);
		else if (i == 15)
			key = group_mark(GROUP_MARK_ALL, false);
		fx_group(f, id, i == 15 ? VID_NONE : random_vid(w), key);
	}
}

static void world_make(struct world *w, uint64_t number)
{
	static const enum fwd_mode modes[] = { FWD_PRIVATE, FWD_VEPA, FWD_BRIDGE, FWD_BRIDGE,
					       FWD_SOURCE };
	struct fixture *f = fx_new();

	*w = (struct world){ .f = f,
			     .number = number,
			     .seed = number * UINT64_C(0x9e3779b97f4a7c15) + 1 };
	w->copy = malloc((size_t)BURST_MAX * FX_SLOT_SIZE);
	assert_non_null(w->copy);
	fx_bridge(f, false);
	if (!one_in(w, 20))
		random_port(w, FWD_UPLINK, FWD_VEPA);
	if (one_in(w, 6)) {
		random_port(w, FWD_STATION, FWD_PASSTHRU);
	} else {
		for (unsigned n = 1 + random_below(w, 10); n; n--)
			random_port(w, FWD_STATION, modes[random_below(w, ARRAY_SIZE(modes))]);
	}
	if (one_in(w, 3)) {
		port_id host = w->id[random_below(w, w->n)];
		const struct view_port *p = &f->port[host];

		if (p->role == FWD_STATION && p->mode != FWD_PASSTHRU && p->mode != FWD_SOURCE)
			f->host[0] = host;
	}
	if (f->port[w->id[0]].role == FWD_UPLINK && one_in(w, 2)) {
		random_port(w, FWD_UPLINK, FWD_VEPA);
		f->port[w->id[w->n - 1]].flags |= VIEW_BACKUP;
	}
	w->n_edge = w->n;
	for (unsigned i = 0; i < 10; i++) {
		port_id id = w->id[random_below(w, w->n)];

		if (f->port[id].role == FWD_STATION && f->port[id].mode == FWD_SOURCE)
			fx_listed(f, id, mac_of(w->id[random_below(w, w->n)], random_below(w, 4)));
	}
	fx_bridge(f, true);
	for (unsigned n = random_below(w, 8); n; n--)
		random_port(w, FWD_RELAY_PORT, FWD_VEPA);
	random_groups(w);
	fx_build(f);
}

static void world_free(struct world *w)
{
	fx_free(w->f);
	free(w->copy);
	w->f = NULL;
}

/* ---- random frames ---- */

static unsigned random_dst(struct world *w)
{
	switch (random_below(w, 8)) {
	case 0:
		return FX_BROADCAST;
	case 1:
		return (one_in(w, 2) ? FX_GROUP : FX_STREAM) + random_below(w, 4);
	case 2:
		return one_in(w, 2) ? FX_RESERVED + random_below(w, 18) : 5000;
	}
	return mac_of(w->id[random_below(w, w->n)], random_below(w, 4));
}

static unsigned random_src(struct world *w, port_id in)
{
	if (one_in(w, 20))
		return one_in(w, 2) ? 0 : FX_GROUP;
	if (one_in(w, 3) || w->f->port[in].role == FWD_UPLINK)
		return mac_of(w->id[random_below(w, w->n)], random_below(w, 4));
	return mac_of(in, random_below(w, 3));
}

static void random_tags(struct world *w, port_id in, struct fx_tag *tags)
{
	static const uint16_t more[] = { 0, 40, 4095, 0 };
	unsigned n = random_below(w, 3) * random_below(w, 2) + random_below(w, 2);

	for (unsigned i = 0; i < n && i < FX_TAGS; i++) {
		uint16_t vid = one_in(w, 3) ? more[random_below(w, 4)] : random_vid(w);

		tags[i].tpid = one_in(w, 6) ? ETHERTYPE_STAG : ETHERTYPE_CTAG;
		tags[i].tci = vid | (one_in(w, 2) ? fx_random(&w->seed) & 0xf000 : 0);
	}
	if (view_port_svid(&w->f->port[in]) && !one_in(w, 8)) {
		memmove(tags + 1, tags, (FX_TAGS - 1) * sizeof(*tags));
		tags[0] = (struct fx_tag){ ETHERTYPE_STAG,
					   SVID | (uint16_t)(fx_random(&w->seed) & 0xf000) };
	}
}

static void random_header(struct world *w, struct vnet_hdr *h)
{
	uint32_t x = fx_random(&w->seed), y = fx_random(&w->seed);

	switch (random_below(w, 7)) {
	case 0:
		h->flags = (uint8_t)x;
		break;
	case 1:
		h->gso_type = (uint8_t)x;
		break;
	case 2:
		h->gso_size = (uint16_t)(x % 3000);
		break;
	case 3:
		h->csum_start = (uint16_t)(x % 2000);
		break;
	case 4:
		h->csum_offset = (uint16_t)(x % 1000);
		break;
	case 5:
		h->hdr_len = (uint16_t)x;
		break;
	case 6:
		*h = (struct vnet_hdr){ (uint8_t)x,  (uint8_t)(x >> 8),	  (uint16_t)(x >> 16),
					(uint16_t)y, (uint16_t)(y >> 16), (uint16_t)x };
		break;
	}
}

static void put_beside(struct fixture *f, struct frame *frame, uint16_t tpid, uint16_t tci)
{
	uint32_t by = frame->vnet.csum_start >= ETH_TAG_SIZE ? ETH_TAG_SIZE : 0;

	memmove(fx_at(frame) + ETH_TAG_SIZE, fx_at(frame), 12);
	f->iov[frame - f->frame][0].iov_base = fx_at(frame) + ETH_TAG_SIZE;
	f->iov[frame - f->frame][0].iov_len -= ETH_TAG_SIZE;
	frame->size -= ETH_TAG_SIZE;
	frame->tpid = tpid;
	frame->tci = tci;
	frame->vnet.csum_start = (uint16_t)(frame->vnet.csum_start - by);
}

static void random_frame(struct world *w, port_id in)
{
	struct fixture *f = w->f;
	struct fx_tag tags[FX_TAGS] = { 0 };
	unsigned dst = random_dst(w), src = random_src(w, in), kind = random_below(w, 10);
	struct fx_l4 l4 = { .is_ipv6 = one_in(w, 2), .is_udp = one_in(w, 2), .is_partial = true };
	struct frame *frame;
	uint8_t octets[26];

	random_tags(w, in, tags);
	if (kind == 0) { /* a runt, or not much more */
		struct mac d = fx_mac(dst), s = fx_mac(src);

		for (size_t i = 0; i < sizeof(octets); i++)
			octets[i] = one_in(w, 4) ? 0x81 : 0;
		memcpy(octets, d.b, 6);
		memcpy(octets + 6, s.b, 6);
		fx_octets(f, octets, random_below(w, sizeof(octets) + 1));
		return;
	}
	if (kind < 6) {
		frame = fx_frame(f, dst, src, tags, 60 + random_below(w, 1500));
	} else {
		l4.payload = 1 + random_below(w, kind < 8 ? 1500 : 9000);
		l4.gso_size = kind < 8 ? 0 : (uint16_t)(100 + random_below(w, 1400));
		frame = fx_l4_frame(f, dst, src, tags, &l4);
	}
	if (one_in(w, 6))
		random_header(w, &frame->vnet);
	if (one_in(w, 10))
		fx_at(frame)[12] = 0x88, fx_at(frame)[13] = one_in(w, 2) ? 0x08 : 0xcc;
	else if (tags[0].tpid && one_in(w, 3))
		put_beside(f, frame, tags[0].tpid, tags[0].tci);
	/* A checksum at the very end has the whole frame copied: it would not be found again. */
	if ((uint32_t)frame->vnet.csum_start + frame->vnet.csum_offset + 2 == frame->size)
		frame->vnet.csum_start--;
	if (one_in(w, 2))
		fx_split(f, frame, 1 + random_below(w, FRAME_IOV_MAX));
}

/* ---- the model: what may be delivered, and what it must look like ---- */

static bool model_is_member(const struct view_port *p, vid_t vid)
{
	return p->role == FWD_UPLINK || p->pvid == vid || (p->vlans && vlan_set_has(p->vlans, vid));
}

/* The outermost tag of a frame and what is behind it. */
struct model_frame {
	const uint8_t *octets, *rest; /* rest: from the EtherType behind that tag */
	uint32_t rest_size;
	uint16_t tpid, tci;
};

static struct model_frame model_parse(const struct frame *f, const struct view_port *in)
{
	struct model_frame m = { .octets = f->iov[0].iov_base, .tpid = f->tpid, .tci = f->tci };
	uint32_t at = 12;

	assert_true(f->size >= 14);
	if (!m.tpid && ethertype_is_tag(eth_load16(m.octets + 12))) {
		assert_true(f->size >= 18);
		m.tpid = eth_load16(m.octets + 12);
		m.tci = eth_load16(m.octets + 14);
		at = 16;
	}
	if (view_port_svid(in)) {
		assert_int_equal(m.tpid, ETHERTYPE_STAG);
		assert_int_equal(m.tci & 0xfff, in->svid);
		m.tpid = m.tci = 0;
		if (ethertype_is_tag(eth_load16(m.octets + at))) {
			assert_true(f->size >= at + 6);
			m.tpid = eth_load16(m.octets + at);
			m.tci = eth_load16(m.octets + at + 2);
			at += 4;
		}
	}
	m.rest = m.octets + at;
	m.rest_size = f->size - at;
	return m;
}

static vid_t model_vlan(const struct view_port *in, const struct model_frame *m)
{
	vid_t vid = m->tci & 0xfff;

	if (!m->tpid || (m->tpid == ETHERTYPE_CTAG && !vid))
		return in->pvid;
	if (m->tpid != ETHERTYPE_CTAG || vid == 4095)
		return VID_NONE;
	return in->role == FWD_UPLINK || (in->vlans && vlan_set_has(in->vlans, vid)) ? vid :
										       VID_NONE;
}

/* Octets of `m` as port `p` should see them, in `to`; returns how many. */
static uint32_t model_octets(const struct model_frame *m, const struct view_port *p, vid_t vid,
			     uint8_t *to)
{
	bool sees_tags = p->role == FWD_UPLINK || (p->flags & VIEW_TRUNK);
	uint16_t tpid = m->tpid, tci = m->tci, pcp = m->tpid ? m->tci & 0xf000 : 0;
	uint32_t n = 12;

	if (vid != VID_NONE) {
		bool is_tagged = sees_tags &&
				 (vid != p->pvid || pcp || ethertype_is_tag(eth_load16(m->rest)));

		tpid = is_tagged ? ETHERTYPE_CTAG : 0;
		tci = vid != p->pvid ? pcp | vid : pcp;
	}
	memcpy(to, m->octets, 12);
	if (view_port_svid(p)) {
		to[n++] = ETHERTYPE_STAG >> 8;
		to[n++] = ETHERTYPE_STAG & 0xff;
		to[n++] = (uint8_t)((pcp | p->svid) >> 8);
		to[n++] = (uint8_t)p->svid;
	}
	if (tpid) {
		to[n++] = (uint8_t)(tpid >> 8);
		to[n++] = (uint8_t)tpid;
		to[n++] = (uint8_t)(tci >> 8);
		to[n++] = (uint8_t)tci;
	}
	memcpy(to + n, m->rest, m->rest_size);
	return n + m->rest_size;
}

/* Complete the checksum of octets in place, as slow as can be. */
static void model_csum(uint8_t *p, uint32_t size, uint32_t start, uint32_t offset)
{
	uint32_t sum = 0;

	for (uint32_t i = start; i < size; i++) {
		sum += (i - start) & 1 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	sum = sum == 0xffff ? 0xffff : ~sum;
	p[start + offset] = (uint8_t)(sum >> 8);
	p[start + offset + 1] = (uint8_t)sum;
}

/* Nothing in the offload header that the receiver did not ask for. */
static void check_header(const struct vnet_hdr *h, uint8_t can)
{
	uint8_t need = h->flags ? OFFLOAD_CSUM : 0;

	assert_int_equal(h->flags & ~(VNET_F_NEEDS_CSUM | VNET_F_DATA_VALID), 0);
	switch (h->gso_type & ~VNET_GSO_ECN) {
	case VNET_GSO_NONE:
		assert_int_equal(h->gso_type | h->gso_size | h->hdr_len, 0);
		break;
	case VNET_GSO_TCPV4:
		need |= OFFLOAD_TSO4;
		break;
	case VNET_GSO_TCPV6:
		need |= OFFLOAD_TSO6;
		break;
	case VNET_GSO_UDP_L4:
		need |= OFFLOAD_USO;
		break;
	default:
		fail_msg("GSO type %#x was delivered", h->gso_type);
	}
	need |= h->gso_type & VNET_GSO_ECN ? OFFLOAD_ECN : 0;
	assert_int_equal(need & ~can, 0);
	if (!(h->flags & VNET_F_NEEDS_CSUM))
		assert_int_equal(h->csum_start | h->csum_offset, 0);
}

/* Is it for a reserved address and without a tag: the link's, and of no VLAN? */
static bool model_is_of_link(const struct model_frame *m)
{
	return !m->tpid && memcmp(m->octets, "\x01\x80\xc2\0\0", 5) == 0 && m->octets[5] < 16;
}

/* Who owns the source on the edge relay, by the way the world was made; PORT_NONE: nobody. */
static port_id model_owner(const struct world *w, const struct model_frame *m, vid_t vid)
{
	for (uint32_t i = 0; i < w->f->n_owners; i++) {
		const struct owner *o = &w->f->owner[i];
		const struct view_port *p = &w->f->port[o->port];

		if (p->role == FWD_STATION && !(p->flags & VIEW_STANDBY) &&
		    memcmp(o->mac.b, m->octets + 6, 6) == 0 &&
		    (model_is_of_link(m) || o->vid == vid ||
		     (o->vid == VID_NONE && model_is_member(p, vid))))
			return o->port;
	}
	return PORT_NONE;
}

static bool has_group(const struct fixture *f, port_id id, uint32_t fid, struct mac key)
{
	for (uint32_t i = 0; i < f->n_groups; i++)
		if ((id == PORT_NONE || f->group[i].port == id) && f->group[i].fid == fid &&
		    mac_equal(f->group[i].mac, key) &&
		    !(f->port[f->group[i].port].flags & VIEW_STANDBY))
			return true;
	return false;
}

/* A stream that is filtered in VLAN `vid` goes to those who want it. */
static void check_group(const struct world *w, const struct model_frame *m, vid_t vid, port_id to)
{
	const struct view_port *p = &w->f->port[to];
	uint32_t fid = owners_fid(p->bridge, vid);
	struct mac dst;

	memcpy(dst.b, m->octets, sizeof(dst.b));
	if (memcmp(dst.b, "\x01\0\x5e\x01\x01", 5) != 0 || eth_load16(m->rest) != ETHERTYPE_IPV4 ||
	    !w->f->snoops[p->bridge] || p->role == FWD_UPLINK || m->rest_size < 40 ||
	    (p->role == FWD_STATION && (p->mode == FWD_SOURCE || p->mode == FWD_PASSTHRU)) ||
	    !has_group(w->f, PORT_NONE, fid, group_mark(GROUP_MARK_FILTER, false)))
		return;
	assert_true(has_group(w->f, to, fid, dst) ||
		    has_group(w->f, to, fid, group_mark(GROUP_MARK_ROUTER, false)) ||
		    has_group(w->f, to, owners_fid(p->bridge, VID_NONE),
			      group_mark(GROUP_MARK_ALL, false)));
}

/* May a frame of VLAN `vid` from `in` go to `to` at all? */
static void check_isolation(const struct world *w, const struct model_frame *m, vid_t vid,
			    port_id in, port_id to)
{
	const struct view_port *a = &w->f->port[in], *b = &w->f->port[to];
	port_id owner = model_owner(w, m, vid);

	assert_int_equal(a->bridge, b->bridge);
	assert_false((a->flags | b->flags) & VIEW_BACKUP);
	assert_true(a->role != FWD_UPLINK || to != w->f->host[a->bridge]);
	assert_true(b->role != FWD_UPLINK || in != w->f->host[a->bridge] || !(m->octets[0] & 1));
	check_group(w, m, vid, to);
	assert_false(b->flags & VIEW_STANDBY);
	assert_true(b->flags & VIEW_UP);
	/* What is for the bridge itself goes to who asked for it, whatever its source. */
	if (a->role != FWD_UPLINK || memcmp(m->octets, "\x01\x80\xc2\0\0", 5) != 0)
		assert_false(m->octets[6] & 1);
	if (a->role == FWD_RELAY_PORT) {
		assert_true(in != to || (a->flags & VIEW_REFLECT));
		assert_false(a->flags & VIEW_STANDBY);
		assert_true(model_is_member(b, vid));
		return;
	}
	assert_int_not_equal(in, to);
	if (a->role == FWD_STATION) {
		assert_false(a->flags & VIEW_STANDBY);
		assert_true(a->mode == FWD_BRIDGE || b->role == FWD_UPLINK);
		assert_true(b->role == FWD_UPLINK || b->mode == FWD_BRIDGE);
		if ((a->flags & VIEW_GUARD) && !a->learn_room && a->mode != FWD_PASSTHRU)
			assert_int_equal(owner, in);
	} else if (b->mode != FWD_PASSTHRU) {
		assert_int_not_equal(owner, to);
		if (b->mode == FWD_PRIVATE && !(b->flags & VIEW_PROMISC) && !b->reserved)
			assert_int_equal(owner, PORT_NONE);
	}
	if (a->mode != FWD_PASSTHRU && b->mode != FWD_PASSTHRU && !model_is_of_link(m))
		assert_true(model_is_member(b, vid));
}

/* Segments of frame `f` delivered one after the other: how far we are. */
struct progress {
	uint32_t done; /* octets of the payload */
};

static void check_segment(const struct fx_delivery *d, const uint8_t *want, uint32_t size,
			  struct progress *at)
{
	struct fx_l4_parts x = fx_l4_parse(d->octets, d->size);
	uint32_t n = d->size - x.payload;

	assert_memory_equal(d->octets, want, x.l3);
	assert_in_range(x.payload + at->done + n, 1, size);
	assert_memory_equal(d->octets + x.payload, want + x.payload + at->done, n);
	at->done += n;
}

/* One delivery; `seen` and `at` are of this frame and port. */
static void check_delivery(const struct world *w, port_id in, const struct fx_delivery *d,
			   unsigned *seen, struct progress *at)
{
	static uint8_t want[FX_SLOT_SIZE];
	const struct fixture *f = w->f;
	const struct frame *sent = &f->frame[d->from];
	const struct view_port *from = &f->port[in], *to = &f->port[d->port];
	struct model_frame m = model_parse(sent, from);
	bool is_transparent = from->mode == FWD_PASSTHRU && from->role == FWD_STATION;
	vid_t vid = is_transparent ? VID_NONE : model_vlan(from, &m);
	uint32_t size;

	if ((to->role == FWD_STATION && to->mode == FWD_PASSTHRU) || model_is_of_link(&m))
		is_transparent = true;
	check_isolation(w, &m, vid, in, d->port);
	size = model_octets(&m, to, is_transparent ? VID_NONE : vid, want);
	check_header(&d->vnet, to->offload);
	if (sent->vnet.gso_type && !d->vnet.gso_type) {
		check_segment(d, want, size, at);
		return;
	}
	assert_int_equal((*seen)++, 0);
	assert_int_equal(d->size, size);
	if ((sent->vnet.flags & VNET_F_NEEDS_CSUM) && !(d->vnet.flags & VNET_F_NEEDS_CSUM))
		model_csum(want, size, sent->vnet.csum_start + size - sent->size,
			   sent->vnet.csum_offset);
	assert_memory_equal(d->octets, want, size);
	if (d->vnet.flags & VNET_F_NEEDS_CSUM)
		assert_int_equal(d->vnet.csum_start, sent->vnet.csum_start + size - sent->size);
	if (!d->vnet.gso_type)
		assert_in_range(d->size, 14, to->size_max + 2 * ETH_TAG_SIZE);
}

static void check_run(const struct world *w, port_id in, unsigned n)
{
	static unsigned seen[BURST_MAX];
	static struct progress at[BURST_MAX];
	const struct fixture *f = w->f;

	for (unsigned k = 0; k < w->n; k++) {
		port_id id = w->id[k];
		unsigned last = 0;

		memset(seen, 0, sizeof(seen));
		memset(at, 0, sizeof(at));
		for (uint32_t i = 0; i < f->n_got; i++) {
			const struct fx_delivery *d = &f->got[i];

			if (d->port != id)
				continue;
			assert_in_range(d->from, last, n - 1); /* order, and known at all */
			last = d->from;
			check_delivery(w, in, d, &seen[last], &at[last]);
		}
	}
}

enum sender { SENDER_COPY, SENDER_COMPARE, SENDER_RESTORE };

/* Copy what waits, or compare it with the copy: nobody writes into a sender's memory. */
static void sender_memory(struct world *w, enum sender what, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct frame *f = &w->f->frame[i];
		uint8_t *to = w->copy + (size_t)i * FX_SLOT_SIZE;

		if (what == SENDER_COMPARE)
			assert_memory_equal(to, f->iov[0].iov_base, f->size);
		else if (what == SENDER_RESTORE)
			memcpy(f->iov[0].iov_base, to, f->size);
		else
			memcpy(to, f->iov[0].iov_base, f->size);
	}
}

static uint64_t world_run(struct world *w)
{
	uint64_t delivered = 0;
	struct report r = { 0 };

	for (unsigned run = 0; run < RUNS; run++) {
		port_id in = w->id[random_below(w, w->n)];
		unsigned n = 1 + random_below(w, BURST_MAX);

		for (unsigned i = 0; i < n; i++)
			random_frame(w, in);
		sender_memory(w, SENDER_COPY, n);
		fx_run(w->f, in);
		if (view_port_svid(&w->f->port[in]))
			sender_memory(w, SENDER_RESTORE, n); /* it lost its tag in place */
		sender_memory(w, SENDER_COMPARE, n);
		check_run(w, in, n);
		delivered += w->f->n_got;
		w->f->now += random_below(w, 2) * NS_PER_S;
		if (one_in(w, 10)) {
			while (turn_report_get(w->f->turn, &r))
				;
			fx_build(w->f);
		}
	}
	return delivered;
}

/* EVB_TEST_WORLD=n makes that one only, EVB_TEST_WORLDS=n so many. */
static void test_random(void **state)
{
	const char *only = getenv("EVB_TEST_WORLD"), *many = getenv("EVB_TEST_WORLDS");
	uint64_t first = only ? strtoull(only, NULL, 10) : 1;
	uint64_t n = only ? 1 : many ? strtoull(many, NULL, 10) : WORLDS;
	uint64_t delivered = 0;
	struct world *w = *state;

	for (uint64_t number = first; number < first + n; number++) {
		world_make(w, number);
		delivered += world_run(w);
		world_free(w);
	}
	print_message("%lu frames and segments were delivered\n", delivered);
	assert_true(delivered > 100 * n);
}

static int setup_random(void **state)
{
	static struct world w;

	*state = &w;
	return 0;
}

static int teardown_random(void **state)
{
	struct world *w = *state;

	if (w->f) { /* it did not come to its end */
		print_message("failed with EVB_TEST_WORLD=%lu\n", w->number);
		world_free(w);
	}
	return 0;
}

/* ---- floods ---- */

/* 1024 ports, ids up to the last: each gets each frame once, in order, as it can take it. */
static void test_flood_1024(void **state)
{
	static const struct fx_l4 gso = { .is_partial = true, .gso_size = 100, .payload = 300 };
	enum { PORTS = 1024, STEP = PORTS_MAX / PORTS, FRAMES = 6 };
	struct fixture *f = fx_new();
	unsigned *n = calloc(PORTS_MAX, sizeof(*n));
	port_id last = PORTS_MAX - 1;

	assert_non_null(n);
	fx_bridge(f, true);
	for (port_id id = STEP - 1; id <= last; id += STEP) {
		fx_relay_port(f, id);
		fx_offload(f, id, id & STEP ? OFFLOAD_ALL : 0);
	}
	fx_build(f);
	for (unsigned i = 0; i < FRAMES - 1; i++)
		fx_frame(f, FX_BROADCAST, 1, NULL, 60 + i);
	fx_l4_frame(f, FX_BROADCAST, 1, NULL, &gso);
	fx_run(f, last);
	assert_int_equal(fx_count(f, last)->replicated, FRAMES * (PORTS - 2));
	for (uint32_t i = 0; i < f->n_got; i++) {
		const struct fx_delivery *d = &f->got[i];

		assert_int_equal(d->port % STEP, STEP - 1);
		assert_int_not_equal(d->port, last);
		assert_int_equal(d->from, n[d->port] < FRAMES ? n[d->port] : FRAMES - 1);
		n[d->port]++;
	}
	for (port_id id = STEP - 1; id < last; id += STEP)
		assert_int_equal(n[id], id & STEP ? FRAMES : FRAMES + 2);
	free(n);
	fx_free(f);
}

/* The same through every slot of a view of one edge relay: the last port can be anything. */
static void test_last_port(void **state)
{
	struct fixture *f = fx_new();
	port_id last = PORTS_MAX - 1;

	fx_bridge(f, false);
	fx_uplink(f, last);
	fx_station(f, 0, FWD_BRIDGE);
	fx_station(f, last - 1, FWD_BRIDGE);
	fx_owner(f, 0, 1, 1);
	fx_owner(f, last - 1, 2, 1);
	fx_build(f);
	fx_frame(f, 9, 2, NULL, 60);
	fx_frame(f, 1, 2, NULL, 60);
	fx_run(f, last - 1);
	assert_non_null(fx_delivery(f, last, 0));
	assert_non_null(fx_delivery(f, 0, 1));
	fx_frame(f, 2, 9, NULL, 60);
	fx_run(f, last);
	assert_non_null(fx_delivery(f, last - 1, 0));
	fx_free(f);
}

/* ---- allocations ---- */

static void no_allocation_frames(struct fixture *f)
{
	static const struct fx_l4 gso = { .is_partial = true, .gso_size = 500, .payload = 1600 };
	static const struct fx_l4 csum = { .is_partial = true, .payload = 100, .is_ipv6 = true };
	static const struct fx_tag tag[2] = { { ETHERTYPE_CTAG, 0x6000 } };

	while (f->n_frames < BURST_MAX) {
		switch (f->n_frames % 16) {
		case 3:
			fx_frame(f, FX_BROADCAST, 1, NULL, 60);
			break;
		case 7:
			fx_l4_frame(f, 2, 1, NULL, &gso);
			break;
		case 9:
			fx_l4_frame(f, 2, 1, NULL, &csum);
			break;
		case 11:
			fx_frame(f, 2, 0x10000 + f->n_frames, NULL, 60); /* learned, or refused */
			break;
		case 13:
			fx_frame(f, 9, 1, tag, 60);
			break;
		default:
			fx_frame(f, 2, 1, NULL, 60);
		}
	}
}

static void test_no_allocation(void **state)
{
	struct fixture *f = fx_new();
	struct port_counters sum = { 0 };
	uint64_t dropped = 0;
	unsigned long before;

	fx_bridge(f, false);
	fx_uplink(f, 0)->pvid = 20;
	for (port_id id = 1; id <= 8; id++) {
		fx_station(f, id, FWD_BRIDGE)->learn_room = 2;
		fx_owner(f, id, id, 1);
	}
	for (port_id id = 0; id <= 8; id++)
		memory_port_sink(f->port[id].port, NULL, NULL);
	fx_build(f);
	no_allocation_frames(f);
	before = n_allocations;
	assert_true(before > 10); /* they are counted */
	for (unsigned n = 0; n < MILLION; n += BURST_MAX) {
		memory_port_feed(f->port[1].port, f->frame, BURST_MAX);
		assert_int_equal(turn_run(f->turn, f->view, 1, f->now), BURST_MAX);
		f->now += NS_PER_MS;
	}
	assert_int_equal(n_allocations, before);
	for (port_id id = 0; id <= 8; id++)
		port_counters_add(&sum, fx_count(f, id));
	for (int r = 0; r < DROP_REASONS_N; r++)
		dropped += sum.drops[r];
	assert_int_equal(sum.rx_frames, MILLION);
	assert_int_equal(sum.rx_frames + sum.replicated + sum.originated,
			 sum.tx_frames + sum.punted + dropped);
	assert_true(sum.tx_segmented && sum.tx_csum && dropped);
	fx_free(f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random, setup_random, teardown_random),
		cmocka_unit_test(test_flood_1024),
		cmocka_unit_test(test_last_port),
		cmocka_unit_test(test_no_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
