// SPDX-License-Identifier: Apache-2.0
#include "turn_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture *fx_new(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->turn = turn_new(0);
	assert_non_null(f->turn);
	f->arena = calloc(BURST_MAX, FX_SLOT_SIZE);
	assert_non_null(f->arena);
	f->now = 100 * NS_PER_S;
	return f;
}

static void fx_forget(struct fixture *f)
{
	for (uint32_t i = 0; i < f->n_got; i++)
		free(f->got[i].octets);
	f->n_got = 0;
}

void fx_free(struct fixture *f)
{
	fx_forget(f);
	free(f->got);
	for (uint32_t i = 0; i < f->n_ports; i++)
		port_free(f->port[i].port);
	view_free(f->view);
	for (uint32_t i = 0; i < f->n_vsis; i++) {
		assert_int_equal(f->vsi[i].meters->n_refs, 1);
		vsi_meters_put(f->vsi[i].meters);
	}
	turn_free(f->turn);
	free(f->arena);
	free(f);
}

/* ---- the bridge ---- */

bridge_id fx_bridge(struct fixture *f, bool is_learning)
{
	assert_in_range(f->n_bridges, 0, FX_BRIDGES - 1);
	f->is_learning[f->n_bridges] = is_learning;
	f->host[f->n_bridges] = PORT_NONE;
	return (bridge_id)f->n_bridges++;
}

/* Which of the frames sent a delivered one is made of: it shares memory with it. */
static uint16_t fx_origin(const struct fixture *f, const struct frame *frame)
{
	for (unsigned i = 0; i < frame->n_iov; i++) {
		const uint8_t *p = frame->iov[i].iov_base;

		if (p >= f->arena && p < f->arena + (size_t)BURST_MAX * FX_SLOT_SIZE)
			return (uint16_t)((size_t)(p - f->arena) / FX_SLOT_SIZE);
	}
	return FX_UNKNOWN;
}

static bool fx_take(void *aux, const struct frame *frame)
{
	struct fx_sink *sink = aux;
	struct fixture *f = sink->f;
	struct fx_delivery *d;
	uint32_t size = 0;

	assert_in_range(frame->n_iov, 1, FRAME_IOV_MAX + 2);
	for (unsigned i = 0; i < frame->n_iov; i++)
		size += (uint32_t)frame->iov[i].iov_len;
	assert_int_equal(size, frame->size);
	if (f->room[sink->port] == 1)
		return false;
	if (f->room[sink->port])
		f->room[sink->port]--;
	if (f->n_got == f->max_got) {
		f->max_got = f->max_got * 2 + 64;
		f->got = realloc(f->got, f->max_got * sizeof(*f->got));
		assert_non_null(f->got);
	}
	d = &f->got[f->n_got++];
	*d = (struct fx_delivery){ .port = sink->port,
				   .from = fx_origin(f, frame),
				   .n_iov = frame->n_iov,
				   .tpid = frame->tpid,
				   .vnet = frame->vnet,
				   .size = size,
				   .octets = malloc(size + 1) };
	assert_non_null(d->octets);
	assert_int_equal(frame_head_copy(frame, d->octets, size), size);
	return true;
}

static struct view_port *fx_port(struct fixture *f, port_id id, enum fwd_role role)
{
	struct view_port *p = &f->port[id];

	assert_true(id < PORTS_MAX && f->n_bridges && !p->port);
	*p = (struct view_port){ .port = memory_port_new(0, 1),
				 .size_max = 1514,
				 .bridge = (bridge_id)(f->n_bridges - 1),
				 .pvid = VID_DEFAULT,
				 .role = (uint8_t)role,
				 .flags = VIEW_UP | VIEW_GUARD };
	assert_non_null(p->port);
	p->port->id = id;
	f->sink[id] = (struct fx_sink){ f, id };
	memory_port_sink(p->port, fx_take, &f->sink[id]);
	if (id >= f->n_ports)
		f->n_ports = id + 1u;
	return p;
}

struct view_port *fx_station(struct fixture *f, port_id id, enum fwd_mode mode)
{
	struct view_port *p = fx_port(f, id, FWD_STATION);

	p->mode = (uint8_t)mode;
	return p;
}

struct view_port *fx_uplink(struct fixture *f, port_id id)
{
	struct view_port *p = fx_port(f, id, FWD_UPLINK);

	p->flags = VIEW_UP | VIEW_TRUNK;
	return p;
}

struct view_port *fx_relay_port(struct fixture *f, port_id id)
{
	struct view_port *p = fx_port(f, id, FWD_RELAY_PORT);

	p->flags = VIEW_UP;
	p->learn_room = 1000;
	return p;
}

void fx_offload(struct fixture *f, port_id id, uint8_t offload)
{
	f->port[id].offload = offload;
	f->port[id].port->offload = offload;
}

void fx_owner(struct fixture *f, port_id id, unsigned mac, vid_t vid)
{
	bridge_id b = f->port[id].bridge;

	f->owner[f->n_owners++] = (struct owner){ .mac = fx_mac(mac),
						  .port = id,
						  .fid = owners_fid(b, f->is_learning[b] ? vid : 0),
						  .vid = vid,
						  .flags = OWNER_STATIC };
}

void fx_listed(struct fixture *f, port_id id, unsigned mac)
{
	f->listed[f->n_listed++] = (struct owner){ .mac = fx_mac(mac),
						   .port = id,
						   .fid = owners_fid(f->port[id].bridge, 0) };
}

void fx_group(struct fixture *f, port_id id, vid_t vid, struct mac key)
{
	f->group[f->n_groups++] = (struct owner){ .mac = key,
						  .port = id,
						  .fid = owners_fid(f->port[id].bridge, vid) };
}

static void set_limit(struct meter_limits *l, enum meter_id meter, uint64_t rate, uint64_t burst)
{
	l->set = rate ? l->set | 1u << meter : l->set & ~(1u << meter);
	l->of[meter] = meter_limit_of(meter, rate, burst);
}

/* The port is asked for its limits if it has any. */
static void follow_limits(struct fixture *f, port_id id)
{
	unsigned set = f->limit[id].set;

	f->port[id].flags &= (uint16_t) ~(VIEW_METERED_IN | VIEW_METERED_OUT);
	f->port[id].flags |=
		(set & (METERS_IN | METERS_STORM | METERS_VSI_IN) ? VIEW_METERED_IN : 0) |
		(set & (METERS_OUT | METERS_VSI_OUT) ? VIEW_METERED_OUT : 0);
	f->has_limits = true;
}

void fx_limit(struct fixture *f, port_id id, enum meter_id meter, uint64_t rate, uint64_t burst)
{
	set_limit(&f->limit[id], meter, rate, burst);
	follow_limits(f, id);
}

unsigned fx_vsi(struct fixture *f, port_id id)
{
	assert_in_range(f->n_vsis, 0, ARRAY_SIZE(f->vsi) - 1);
	f->vsi_port[f->n_vsis] = id;
	f->vsi[f->n_vsis++].meters = vsi_meters_new();
	return f->n_vsis;
}

void fx_vsi_owns(struct owner *o, unsigned vsi)
{
	o->flags = (uint16_t)(OWNER_STATIC | vsi << OWNER_VSI_SHIFT);
}

void fx_vsi_limit(struct fixture *f, unsigned vsi, enum meter_id meter, uint64_t rate,
		  uint64_t burst)
{
	port_id id = f->vsi_port[vsi - 1];

	set_limit(&f->vsi[vsi - 1].limit, meter, rate, burst);
	f->limit[id].set |= METERS_OUT >> meter & 1 ? METERS_VSI_OUT : METERS_VSI_IN;
	follow_limits(f, id);
}

void fx_vdp(struct fixture *f, port_id id, vid_t vid)
{
	f->port[id].flags |= VIEW_VDP;
	f->port[id].learn_room = 0;
	if (vid == VID_NONE)
		return;
	f->port[id].flags |= VIEW_VDP_ANY;
	f->port[id].learn_room = 8;
	f->any[f->n_any++] = (struct owner){ .port = id, .fid = view_any_fid(id, vid), .vid = vid };
}

void fx_build(struct fixture *f)
{
	struct view_spec s = { .generation = ++f->generation,
			       .seed = UINT64_C(0x1234567) * f->generation,
			       .n_ports = f->n_ports,
			       .n_bridges = f->n_bridges,
			       .port = f->port,
			       .peer = f->peer,
			       .limit = f->has_limits ? f->limit : NULL,
			       .bridge_is_learning = f->is_learning,
			       .host = f->host,
			       .owner = f->owner,
			       .n_owners = f->n_owners,
			       .listed = f->listed,
			       .n_listed = f->n_listed,
			       .bridge_snoops = f->snoops,
			       .group = f->group,
			       .n_groups = f->n_groups,
			       .any = f->any,
			       .n_any = f->n_any,
			       .vsi = f->vsi,
			       .n_vsis = f->n_vsis };

	view_free(f->view);
	f->view = view_build(&s);
	assert_non_null(f->view);
}

/* ---- frames ---- */

struct mac fx_mac(unsigned n)
{
	switch (n & 0xff000000) {
	case FX_GROUP:
		return (struct mac){ { 1, 0, 0x5e, 0, 0, (uint8_t)n } };
	case FX_STREAM:
		return (struct mac){ { 1, 0, 0x5e, 1, 1, (uint8_t)n } };
	case FX_RESERVED:
		return (struct mac){ { 1, 0x80, 0xc2, 0, 0, (uint8_t)n } };
	case FX_BROADCAST:
		return (struct mac){ { 255, 255, 255, 255, 255, 255 } };
	}
	return n ? (struct mac){ { 2, 0, 0, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n } } :
		   (struct mac){ 0 };
}

uint8_t *fx_at(const struct frame *f)
{
	return f->iov[0].iov_base;
}

static struct frame *fx_slot(struct fixture *f, uint32_t size)
{
	uint32_t i = f->n_frames++;

	assert_in_range(i, 0, BURST_MAX - 1);
	assert_in_range(size, 0, FX_SLOT_SIZE);
	/* At the end of its slot, so that a read behind the frame shows. */
	f->iov[i][0] = (struct iovec){ f->arena + (size_t)(i + 1) * FX_SLOT_SIZE - size, size };
	f->frame[i] = (struct frame){ .iov = f->iov[i], .size = size, .n_iov = 1 };
	return &f->frame[i];
}

struct frame *fx_octets(struct fixture *f, const void *octets, uint32_t size)
{
	struct frame *frame = fx_slot(f, size);

	memcpy(fx_at(frame), octets, size);
	return frame;
}

struct frame *fx_frame(struct fixture *f, unsigned dst, unsigned src, const struct fx_tag *tags,
		       uint32_t size)
{
	struct frame *frame = fx_slot(f, size);
	struct mac d = fx_mac(dst), s = fx_mac(src);
	uint8_t *p = fx_at(frame), *end = p + size;

	assert_true(size >= ETH_HEADER_SIZE + FX_TAGS * ETH_TAG_SIZE);
	memcpy(p, d.b, 6);
	memcpy(p + 6, s.b, 6);
	p += 12;
	for (unsigned i = 0; tags && i < FX_TAGS && tags[i].tpid; i++) {
		*p++ = (uint8_t)(tags[i].tpid >> 8);
		*p++ = (uint8_t)tags[i].tpid;
		*p++ = (uint8_t)(tags[i].tci >> 8);
		*p++ = (uint8_t)tags[i].tci;
	}
	*p++ = ETHERTYPE_IPV4 >> 8;
	*p++ = ETHERTYPE_IPV4 & 0xff;
	for (uint8_t x = (uint8_t)(f->n_frames * 7); p < end; x = (uint8_t)(x + 5))
		*p++ = x;
	return frame;
}

/* ---- TCP and UDP ---- */

static void store16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)eth_load16(p) << 16 | eth_load16(p + 2);
}

/* RFC 1071 as the RFC has it, two octets at a time: not the code under test. */
static uint32_t sum16(const uint8_t *p, uint32_t size, uint32_t sum)
{
	for (uint32_t i = 0; i < size; i++) {
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static uint32_t pseudo_sum(const uint8_t *ip, uint32_t l4_size)
{
	if (ip[0] >> 4 == 6)
		return sum16(ip + 8, 32, ip[6] + l4_size % 65536 + l4_size / 65536);
	return sum16(ip + 12, 8, ip[9] + l4_size);
}

static uint32_t ip_header(uint8_t *ip, const struct fx_l4 *l4, uint32_t l4_size)
{
	uint8_t proto = l4->is_udp ? 17 : 6;

	for (uint8_t i = 0; i < (l4->is_ipv6 ? 40 : 20); i++)
		ip[i] = (uint8_t)(i * 3 + 1); /* addresses */
	if (l4->is_ipv6) {
		memcpy(ip, (uint8_t[8]){ 0x60, 0, 0, 0, 0, 0, proto, 64 }, 8);
		store16(ip + 4, l4_size > 65535 ? 0 : l4_size);
		return 40;
	}
	memcpy(ip, (uint8_t[12]){ 0x45, 0, 0, 0, 0xff, 0xf0, 0x40, 0, 64, proto }, 12);
	store16(ip + 2, 20 + l4_size > 65535 ? 0 : 20 + l4_size);
	store16(ip + 10, ~sum16(ip, 20, 0));
	return 20;
}

struct frame *fx_l4_frame(struct fixture *f, unsigned dst, unsigned src, const struct fx_tag *tags,
			  const struct fx_l4 *l4)
{
	uint32_t n_tags = 0, l4_header = l4->is_udp ? 8 : 32, l4_size = l4_header + l4->payload;
	uint32_t l3_header = l4->is_ipv6 ? 40 : 20, csum_offset = l4->is_udp ? 6 : 16, at, sum;
	struct frame *frame;
	uint8_t *p;

	while (tags && n_tags < FX_TAGS && tags[n_tags].tpid)
		n_tags++;
	at = ETH_HEADER_SIZE + n_tags * ETH_TAG_SIZE;
	frame = fx_frame(f, dst, src, tags, at + l3_header + l4_size);
	p = fx_at(frame);
	store16(p + at - 2, l4->is_ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	ip_header(p + at, l4, l4_size);
	sum = pseudo_sum(p + at, l4_size);
	at += l3_header;
	memset(p + at, 0, l4_header);
	/* Each is of a socket of its own, so that none are coalesced. */
	store16(p + at, 1000 + (uint32_t)(frame - f->frame));
	store16(p + at + 2, 2000);
	if (l4->is_udp) {
		store16(p + at + 4, l4_size);
	} else {
		store16(p + at + 4, 0xffff); /* the sequence number wraps */
		store16(p + at + 6, 0xfe00);
		p[at + 12] = 8 << 4;
		p[at + 13] = l4->tcp_flags;
		memset(p + at + 20, 1, 12); /* options: no operation */
	}
	if (l4->is_partial) {
		store16(p + at + csum_offset, sum);
		frame->vnet = (struct vnet_hdr){ .flags = VNET_F_NEEDS_CSUM,
						 .csum_start = (uint16_t)at,
						 .csum_offset = (uint16_t)csum_offset };
	} else {
		store16(p + at + csum_offset, ~sum16(p + at, l4_size, sum));
	}
	if (l4->gso_size) {
		frame->vnet.gso_type = l4->is_udp  ? VNET_GSO_UDP_L4 :
				       l4->is_ipv6 ? VNET_GSO_TCPV6 :
						     VNET_GSO_TCPV4;
		frame->vnet.gso_size = l4->gso_size;
		frame->vnet.hdr_len = (uint16_t)(at + l4_header);
	}
	return frame;
}

struct fx_l4_parts fx_l4_parse(const uint8_t *p, uint32_t size)
{
	struct fx_l4_parts x = { .l3 = ETH_HEADER_SIZE };
	uint32_t l4_size;

	assert_true(size > ETH_HEADER_SIZE + 20 + 8);
	for (; ethertype_is_tag(eth_load16(p + x.l3 - 2)); x.l3 += ETH_TAG_SIZE)
		x.n_tags++;
	if (eth_load16(p + x.l3 - 2) == ETHERTYPE_IPV6) {
		x.l4 = x.l3 + 40;
		l4_size = size - x.l4;
		assert_int_equal(eth_load16(p + x.l3 + 4), l4_size);
	} else {
		x.l4 = x.l3 + 20;
		l4_size = size - x.l4;
		assert_int_equal(eth_load16(p + x.l3 + 2), 20 + l4_size);
		assert_int_equal(sum16(p + x.l3, 20, 0), 0xffff);
		x.ip_id = eth_load16(p + x.l3 + 4);
	}
	assert_int_equal(sum16(p + x.l4, l4_size, pseudo_sum(p + x.l3, l4_size)), 0xffff);
	if (p[x.l3 + (p[x.l3] >> 4 == 6 ? 6 : 9)] == 17) {
		assert_int_equal(eth_load16(p + x.l4 + 4), l4_size);
		x.payload = x.l4 + 8;
	} else {
		x.seq = load32(p + x.l4 + 4);
		x.tcp_flags = p[x.l4 + 13];
		x.payload = x.l4 + 32;
	}
	return x;
}

/* Cut the memory of a frame into `n_iov` segments; the head stays whole. */
void fx_split(struct fixture *f, struct frame *frame, unsigned n_iov)
{
	struct iovec *iov = f->iov[frame - f->frame];
	uint8_t *p = fx_at(frame);
	uint32_t left = frame->size, part = FRAME_HEAD_SIZE;

	if (frame->size < FRAME_HEAD_SIZE + n_iov * 2)
		return;
	for (unsigned i = 0; i < n_iov; i++) {
		if (i + 1 == n_iov)
			part = left;
		iov[i] = (struct iovec){ p, part };
		p += part;
		left -= part;
		part = left / (n_iov - i) | 1; /* odd sizes, too */
	}
	frame->n_iov = (uint16_t)n_iov;
}

/* ---- the run ---- */

static void fx_sum(const struct fixture *f, struct port_counters *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (uint32_t i = 0; i < f->n_ports; i++) {
		if (f->port[i].port)
			port_counters_add(sum, &f->port[i].port->counters[0]);
	}
}

static void fx_conserves(struct fixture *f, uint32_t n_sent)
{
	struct port_counters sum;
	uint64_t dropped = 0;

	fx_sum(f, &sum);
	for (int r = 0; r < DROP_REASONS_N; r++) {
		dropped += sum.drops[r];
		f->drops[r] = sum.drops[r] - f->drops_before[r];
	}
	if (sum.rx_frames + sum.replicated + sum.originated != sum.tx_frames + sum.punted + dropped)
		fail_msg("%u frames sent, not conserved: rx %lu + copies %lu + own %lu != tx %lu + "
			 "drops %lu",
			 n_sent, sum.rx_frames, sum.replicated, sum.originated, sum.tx_frames,
			 dropped);
}

void fx_run(struct fixture *f, port_id id)
{
	struct port *p = f->port[id].port;
	struct port_counters before;
	unsigned taken = 0;

	fx_sum(f, &before);
	memcpy(f->drops_before, before.drops, sizeof(before.drops));
	fx_forget(f);
	memory_port_feed(p, f->frame, f->n_frames);
	while (memory_port_left(p))
		taken += turn_run(f->turn, f->view, id, f->now);
	assert_int_equal(taken, f->n_frames);
	assert_int_equal(turn_run(f->turn, f->view, id, f->now), 0);
	fx_conserves(f, f->n_frames);
	for (uint32_t i = 0; i < f->n_got; i++)
		assert_int_equal(f->got[i].tpid, 0);
	f->n_frames = 0;
}

const char *fx_receivers(const struct fixture *f, unsigned idx, char *text, size_t size)
{
	size_t n = 0;

	*text = 0;
	for (uint32_t id = 0; id < f->n_ports; id++) {
		for (uint32_t i = 0; i < f->n_got; i++) {
			const struct fx_delivery *d = &f->got[i];

			if (d->port == id && d->from == idx && n < size)
				n += (size_t)snprintf(text + n, size - n, n ? " %u" : "%u", id);
		}
	}
	return text;
}

const struct fx_delivery *fx_delivery(const struct fixture *f, port_id port, unsigned idx)
{
	const struct fx_delivery *found = NULL;

	for (uint32_t i = 0; i < f->n_got; i++) {
		if (f->got[i].port != port || f->got[i].from != idx)
			continue;
		assert_null(found);
		found = &f->got[i];
	}
	return found;
}

enum drop_reason fx_dropped(const struct fixture *f)
{
	enum drop_reason why = DROP_REASONS_N;

	for (int r = 0; r < DROP_REASONS_N; r++) {
		if (!f->drops[r])
			continue;
		if (why != DROP_REASONS_N)
			fail_msg("dropped as %s, and as %s", drop_name(why),
				 drop_name((enum drop_reason)r));
		why = (enum drop_reason)r;
	}
	return why;
}

struct port_counters *fx_count(const struct fixture *f, port_id id)
{
	return &f->port[id].port->counters[0];
}

uint32_t fx_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 16);
}
