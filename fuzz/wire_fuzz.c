// SPDX-License-Identifier: Apache-2.0
/*
 * Frames from the wire: any octets with any metadata come by a packet socket or by AF_XDP, through
 * the code of these ports and turns of the relay, to stations in every mode with and without
 * offloads, to a learning relay's ports, and back to the wire. The kernel's side is
 * wire_kernel.c. Whatever the frames are:
 *
 *   every one is taken; delivered, handed up, or counted as dropped, with all copies;
 *   nobody gets a frame longer than it allows, or an offload that it did not ask for;
 *   nothing is read but what was received, and every chunk is given back once.
 *
 *   offset 0   SETTINGS, 16 bits, little-endian
 *          2   frames: RECORD bits; how many octets, 16 bits; how many zeros follow them, 16 bits;
 *              if it has them, 10 octets of offload header, 6 octets of auxiliary data; the octets
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "eth.h"
#include "groups.h"
#include "memory.h"
#include "packet.h"
#include "turn.h"
#include "uplink.h"
#include "wire_kernel.h"
#include "xdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	SET_XDP = 1 << 0,
	SET_ZERO_COPY = 1 << 1,
	SET_SNOOPS = 1 << 2,
	SET_SVLAN = 1 << 3,
	SET_PASSTHRU = 1 << 4,
	SET_LEARNING = 1 << 5,
	SET_HOST = 1 << 6,
	SET_JUMBO = 1 << 7,
	SET_PUNTS = 1 << 8,
	SET_VIEWS = 1 << 9, /* the bits above make a view */
	SET_JAMMED = 1 << 9,
	SET_SENDS = 1 << 10, /* the bridge sends the first frame itself */

	RECORD_VNET = 1 << 0,
	RECORD_AUX = 1 << 1,
	RECORD_ERROR = 1 << 2,
	RECORD_CUT = 1 << 3,
	RECORD_RING = 1 << 4, /* by AF_XDP, if the port is such; else to its rest */
	RECORD_QUEUE = 1 << 5,

	SVID = 77,
	WIRES = 3, /* packet; xdp that copies; xdp with zero copy */
	PORTS = WIRES + 8,
	PASSTHRU = PORTS - 1,
	OCTETS_MAX = 2 << 20, /* of all frames of an input */
};

/* Stations in an edge relay. */
static const struct {
	uint8_t mode, offload;
	uint16_t flags;
} guests[PORTS - WIRES] = {
	{ FWD_VEPA, OFFLOAD_ALL, 0 },
	{ FWD_VEPA, 0, 0 },
	{ FWD_BRIDGE, OFFLOAD_ALL, VIEW_TRUNK },
	{ FWD_BRIDGE, OFFLOAD_CSUM, VIEW_METERED_OUT },
	{ FWD_PRIVATE, OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6, 0 },
	{ FWD_SOURCE, 0, VIEW_TRUNK },
	{ FWD_BRIDGE, OFFLOAD_ALL, VIEW_PROMISC }, /* or the host */
	{ FWD_PASSTHRU, OFFLOAD_ALL - OFFLOAD_USO, 0 },
};

enum { HOST = PASSTHRU - 1, SOURCE = PASSTHRU - 2 };

static struct {
	struct turn *turn;
	struct port *port[PORTS];
	struct fwd_view *view[SET_VIEWS];
	const struct fwd_view *now_view;
	tstamp now;
	uint8_t octets[OCTETS_MAX];
	uint32_t used;
	struct wire_frame frame[WIRE_WAITING_MAX];
	unsigned n_frames;
} bridge;

/* ---- the XDP program, which is not here ---- */

int uplink_bpf_attach(struct uplink_bpf **out, int ifindex, const char *dev, bool native_only,
		      struct err *e)
{
	*out = NULL;
	return 0;
}

void uplink_bpf_free(struct uplink_bpf *u)
{
}

bool uplink_bpf_is_native(const struct uplink_bpf *u)
{
	return true;
}

bool uplink_bpf_sees_tags(const struct uplink_bpf *u)
{
	return true;
}

int uplink_bpf_set_socket(struct uplink_bpf *u, unsigned queue, int fd)
{
	return 0;
}

int uplink_bpf_own(struct uplink_bpf *u, struct mac mac, bool is_owned)
{
	return 0;
}

void uplink_bpf_take_all(struct uplink_bpf *u, bool all)
{
}

/* ---- checks ---- */

static void check_delivered(port_id id, const struct vnet_hdr *v, uint32_t size)
{
	static const uint8_t need[] = { [VNET_GSO_TCPV4] = OFFLOAD_TSO4,
					[VNET_GSO_TCPV6] = OFFLOAD_TSO6,
					[VNET_GSO_UDP_L4] = OFFLOAD_USO };
	const struct view_port *to = &bridge.now_view->port[id];
	uint8_t kind = v->gso_type & (uint8_t)~VNET_GSO_ECN;
	uint32_t tags = 2 * ETH_TAG_SIZE;

	if (to->role == FWD_STATION && to->mode != FWD_PASSTHRU)
		tags = to->flags & VIEW_TRUNK ? ETH_TAG_SIZE : 0;
	assert(size >= ETH_HEADER_SIZE);
	assert(size <= (kind ? (uint32_t)FRAME_SIZE_MAX : to->size_max) + tags);
	assert(!(v->flags & ~(VNET_F_NEEDS_CSUM | VNET_F_DATA_VALID)));
	assert(to->offload & OFFLOAD_CSUM || !v->flags);
	assert(!(v->gso_type & VNET_GSO_ECN) || to->offload & OFFLOAD_ECN);
	assert(!kind || (kind < sizeof(need) && need[kind] & to->offload));
	if (v->flags & VNET_F_NEEDS_CSUM)
		assert((uint32_t)v->csum_start + v->csum_offset + 2 <= size);
}

static bool receive(void *aux, const struct frame *f)
{
	static uint8_t octets[FRAME_SIZE_MAX + 64];
	const port_id *id = aux;
	uint32_t size = 0;

	for (unsigned i = 0; i < f->n_iov; i++) {
		assert(f->iov[i].iov_len <= sizeof(octets) - size);
		memcpy(octets + size, f->iov[i].iov_base, f->iov[i].iov_len);
		size += (uint32_t)f->iov[i].iov_len;
	}
	assert(size == f->size && !f->tpid);
	check_delivered(*id, &f->vnet, size);
	return true;
}

/* What left, by a ring, or by a packet socket behind its offload header. */
static void sent(const uint8_t *octets, uint32_t size)
{
	struct vnet_hdr v = { 0 };
	port_id id = 0;

	while (!bridge.now_view->port[id].port)
		id++;
	if (id == 0) {
		memcpy(&v, octets, sizeof(v));
		size -= (uint32_t)sizeof(v);
	}
	check_delivered(id, &v, size);
}

static uint64_t check_conservation(void)
{
	struct port_counters sum = { 0 }, one;
	uint64_t drops = 0;

	for (unsigned i = 0; i < PORTS; i++) {
		port_counters_sum(bridge.port[i], 1, &one);
		port_counters_add(&sum, &one);
	}
	for (unsigned i = 0; i < DROP_REASONS_N; i++)
		drops += sum.drops[i];
	assert(sum.rx_frames + sum.replicated + sum.originated ==
	       sum.tx_frames + sum.punted + drops);
	return sum.rx_frames;
}

/* ---- the bridge ---- */

static struct mac mac_of(unsigned id)
{
	return (struct mac){ { 2, 0, 0, 0, 0, (uint8_t)id } };
}

static void guest_port(struct view_port *p, unsigned id, unsigned set)
{
	unsigned g = id - WIRES;

	*p = (struct view_port){ .port = bridge.port[id],
				 .size_max = ETH_HEADER_SIZE + (set & SET_JUMBO ? 9000 : 1500),
				 .pvid = VID_DEFAULT,
				 .role = FWD_STATION,
				 .mode = guests[g].mode,
				 .flags = guests[g].flags | VIEW_UP | VIEW_GUARD,
				 .learn_room = 100,
				 .offload = guests[g].offload };
	if (set & SET_LEARNING) {
		p->role = FWD_RELAY_PORT;
		p->mode = 0;
		p->svid = VID_NONE;
		p->flags |= set & SET_PUNTS ? VIEW_PUNTS : 0;
	}
}

static void wire_port(struct view_port *p, unsigned id, unsigned set)
{
	guest_port(p, WIRES, set);
	p->port = bridge.port[id];
	p->offload = p->port->offload;
	p->svid = set & SET_SVLAN ? SVID : VID_NONE;
	p->flags = VIEW_UP | VIEW_TRUNK | VIEW_METERED_IN;
	p->flags |= set & SET_PUNTS ? VIEW_PUNTS : 0;
	p->role = set & SET_LEARNING ? FWD_RELAY_PORT : FWD_UPLINK;
	p->mode = 0;
}

static port_id wire_of(unsigned set)
{
	return set & SET_XDP ? set & SET_ZERO_COPY ? 2 : 1 : 0;
}

/* In VLAN 1 groups are filtered; one has a member, and one port hears all. */
static unsigned make_groups(struct owner *to, port_id wire, unsigned set)
{
	const struct mac group = { { 1, 0, 0x5e, 1, 1, 1 } };
	uint32_t fid = owners_fid(0, VID_DEFAULT), any = owners_fid(0, VID_NONE);
	const struct owner all[] = {
		{ .mac = group_mark(GROUP_MARK_FILTER, false), .port = wire, .fid = fid },
		{ .mac = group_mark(GROUP_MARK_FILTER, true), .port = wire, .fid = fid },
		{ .mac = group_mark(GROUP_MARK_ROUTER, false), .port = WIRES, .fid = fid },
		{ .mac = group_mark(GROUP_MARK_ALL, false), .port = WIRES + 1, .fid = any },
		{ .mac = group, .port = WIRES + 2, .fid = fid },
	};

	memcpy(to, all, sizeof(all));
	return set & SET_SNOOPS ? ARRAY_SIZE(all) : 0;
}

static struct fwd_view *view_make(unsigned set)
{
	const bool is_learning = set & SET_LEARNING, snoops = set & SET_SNOOPS;
	const port_id host = set & SET_HOST && !is_learning ? HOST : PORT_NONE;
	const struct owner listed = { .mac = mac_of(99),
				      .port = SOURCE,
				      .fid = owners_fid(0, VID_NONE) };
	struct view_port port[PORTS] = { 0 };
	struct meter_limits limit[PORTS] = { 0 };
	struct owner owner[PORTS], group[8];
	struct vlan_set trunk = { 0 };
	struct view_spec s = { .generation = set + 1u,
			       .seed = 1,
			       .n_ports = PORTS,
			       .n_bridges = 1,
			       .port = port,
			       .limit = limit,
			       .bridge_is_learning = &is_learning,
			       .host = &host,
			       .owner = owner,
			       .listed = &listed,
			       .n_listed = !is_learning,
			       .bridge_snoops = &snoops,
			       .group = group };
	struct fwd_view *v;

	vlan_set_add(&trunk, 10);
	wire_port(&port[wire_of(set)], wire_of(set), set);
	for (unsigned i = WIRES; i < PORTS; i++) {
		if (i == PASSTHRU && !(set & (SET_PASSTHRU | SET_LEARNING)))
			continue;
		guest_port(&port[i], i, set);
		if (port[i].flags & VIEW_TRUNK)
			port[i].vlans = &trunk;
		owner[s.n_owners++] = (struct owner){
			.mac = mac_of(i),
			.port = (port_id)i,
			.fid = owners_fid(0, is_learning ? VID_DEFAULT : VID_NONE),
			.vid = is_learning ? VID_DEFAULT : VID_NONE,
			.flags = OWNER_STATIC,
		};
	}
	for (unsigned i = 0; i < PORTS; i++) {
		enum meter_id id = i < WIRES ? METER_MULTICAST : METER_PPS_OUT;

		limit[i].set = 1u << id;
		limit[i].of[id] = meter_limit_of(id, 20, 20);
	}
	s.n_groups = make_groups(group, wire_of(set), set);
	v = view_build(&s);
	assert(v);
	return v;
}

static void bridge_make(void)
{
	static port_id id[PORTS];
	struct err e;

	wire_kernel_sent(sent);
	bridge.turn = turn_new(0);
	assert(bridge.turn);
	bridge.port[0] = packet_port_new(eventfd(0, EFD_CLOEXEC), 1, true, 1);
	for (int i = 1; i < WIRES; i++) {
		struct xdp_spec s = { .ifindex = i, .dev = "wire", .mtu = i == 1 ? 1500 : 3500 };
		struct port *rest = packet_port_new(eventfd(0, EFD_CLOEXEC), i, false, 1);

		wire_kernel_zero_copy(i == 2);
		assert(rest && xdp_port_new(&bridge.port[i], &s, rest, 1, &e) == 0);
	}
	for (unsigned i = WIRES; i < PORTS; i++)
		bridge.port[i] = memory_port_new(guests[i - WIRES].offload, 1);
	for (unsigned i = 0; i < PORTS; i++) {
		assert(bridge.port[i]);
		bridge.port[i]->id = id[i] = (port_id)i;
		if (i >= WIRES)
			memory_port_sink(bridge.port[i], receive, &id[i]);
	}
}

/* ---- frames ---- */

/* Cut the next `n` octets off the input; false: it has fewer. */
static bool get(const uint8_t **data, size_t *size, void *to, size_t n)
{
	if (*size < n)
		return false;
	memcpy(to, *data, n);
	*data += n;
	*size -= n;
	return true;
}

/* Give the next frame to a ring, or make it the next of the socket. */
static bool feed(unsigned set, const uint8_t **data, size_t *size)
{
	uint8_t *octets = bridge.octets + bridge.used, how;
	struct wire_frame f = { .octets = octets };
	uint16_t sizes[2], aux[3] = { 0 };

	if (!get(data, size, &how, 1) || !get(data, size, sizes, sizeof(sizes)))
		return false;
	if (how & RECORD_VNET && !get(data, size, &f.vnet, sizeof(f.vnet)))
		return false;
	if (how & RECORD_AUX && !get(data, size, aux, sizeof(aux)))
		return false;
	if (sizes[0] > *size)
		sizes[0] = (uint16_t)*size;
	f.size = (uint32_t)sizes[0] + sizes[1];
	if (f.size > OCTETS_MAX - bridge.used)
		return false;
	bridge.used += f.size;
	get(data, size, octets, sizes[0]);
	memset(octets + sizes[0], 0, sizes[1]);
	if (how & RECORD_RING && wire_of(set))
		return wire_kernel_xdp(wire_of(set), how & RECORD_QUEUE ? 1 : 0, octets, f.size);
	f.has_aux = how & RECORD_AUX;
	f.status = aux[0];
	f.tci = aux[1];
	f.tpid = aux[2];
	f.is_error = how & RECORD_ERROR;
	f.cut = how & RECORD_CUT ? (uint8_t)(1 + f.size % sizeof(f.vnet)) : 0;
	bridge.frame[bridge.n_frames++] = f;
	return true;
}

/* Turns until all is taken: one that does not look at the right place is followed by others. */
static void take(port_id wire, uint64_t until)
{
	for (unsigned turns = 0; check_conservation() < until; turns++) {
		struct report report;
		struct punt punt;

		assert(turns < 1000);
		turn_run(bridge.turn, bridge.now_view, wire, bridge.now);
		while (turn_report_get(bridge.turn, &report))
			;
		while (turn_punt_get(bridge.turn, &punt))
			assert(punt.size >= ETH_HEADER_SIZE && punt.size <= PUNT_SIZE_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned n = 0, set;
	uint8_t bits[2];
	uint64_t before;

	if (!bridge.turn)
		bridge_make();
	if (!get(&data, &size, bits, sizeof(bits)))
		return 0;
	set = bits[0] | (unsigned)bits[1] << 8;
	if (!bridge.view[set % SET_VIEWS])
		bridge.view[set % SET_VIEWS] = view_make(set);
	bridge.now_view = bridge.view[set % SET_VIEWS];
	bridge.now += NS_PER_S;
	bridge.used = bridge.n_frames = 0;
	before = check_conservation();
	while (n < WIRE_WAITING_MAX && feed(set, &data, &size))
		n++;
	wire_kernel_queue(bridge.frame, bridge.n_frames);
	wire_kernel_jam(set & SET_JAMMED);
	take(wire_of(set), before + n);
	wire_kernel_settle();
	if (set & SET_SENDS && bridge.n_frames && bridge.frame[0].size >= ETH_HEADER_SIZE &&
	    bridge.frame[0].size <= SEND_SIZE_MAX)
		turn_send(bridge.turn, bridge.now_view, wire_of(set), bridge.frame[0].octets,
			  bridge.frame[0].size);
	wire_kernel_settle();
	check_conservation();
	return 0;
}
