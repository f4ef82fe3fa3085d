// SPDX-License-Identifier: Apache-2.0
/*
 * Offload headers from one guest to all others: a frame with any header, in any descriptors, goes
 * through a real vhost-user port and a turn of the relay to 32 receivers, one for each set of
 * offloads, and to other guests. Whatever header and frame are:
 *
 *   the sender gets through what it has negotiated, and no more;
 *   no receiver gets an offload that it did not ask for;
 *   one that takes it gets the frame as it was; the others, segments or a checksum that are right;
 *   a guest gets what a receiver with the same offloads gets;
 *   what came in, and the copies made of it, was delivered or is counted as dropped.
 *
 *   offset 0   bits: 0-1 which guest sends, 2 an indirect table, 3 a frame by description
 *          1   sizes of the first two descriptors; 0: all in one
 *          3   struct vnet_hdr; or a description: as gso_fuzz.c has it, without tags
 *         14   octets that follow those of the frame, 16 bits
 *         16   the frame
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "egress.h"
#include "eth.h"
#include "front_dev.h"
#include "gso.h"
#include "memory.h"
#include "sample.h"
#include "turn.h"
#include "vhost_user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	INPUT_SIZE = 16,
	SETS = 32, /* of offloads; port n takes set n */
	GUESTS = 4,
	PORTS = SETS + GUESTS,
	LONGEST = 9014, /* frame that is not GSO */
};

/* What came to one port. */
struct receiver {
	struct bridge *b;
	uint8_t can; /* OFFLOAD_* */
	unsigned n;
	uint32_t at; /* payload octets of the frame so far */
	uint64_t hash;
};

struct guest {
	struct port *port;
	struct front_dev *dev;
	uint8_t can;
};

struct bridge {
	struct turn *turn;
	struct fwd_view *view;
	struct port *port[PORTS];
	struct receiver receiver[SETS];
	struct guest guest[GUESTS];
	/* the frame as those are to get it that take it whole */
	struct vnet_hdr vnet;
	uint32_t size;
	uint8_t octets[FRAME_SIZE_MAX + 64];
	struct sample sample;
	const struct sample *by_description; /* NULL: it is not */
};

/* ---- checks ---- */

static uint64_t hash_octets(uint64_t h, const uint8_t *p, uint32_t n)
{
	for (; n; n--)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t hash_frame(uint64_t h, const void *vnet, const uint8_t *octets, uint32_t size)
{
	h = hash_octets(h, vnet, sizeof(struct vnet_hdr));
	h = hash_octets(h, (const uint8_t *)&size, sizeof(size));
	return hash_octets(h, octets, size);
}

static void check_allowed(const struct vnet_hdr *v, uint8_t can)
{
	static const uint8_t need[] = { [VNET_GSO_TCPV4] = OFFLOAD_TSO4,
					[VNET_GSO_TCPV6] = OFFLOAD_TSO6,
					[VNET_GSO_UDP_L4] = OFFLOAD_USO };
	uint8_t kind = v->gso_type & (uint8_t)~VNET_GSO_ECN;

	assert(can & OFFLOAD_CSUM || !v->flags);
	assert(!(v->flags & ~(VNET_F_NEEDS_CSUM | VNET_F_DATA_VALID)));
	assert(!(v->gso_type & VNET_GSO_ECN) || can & OFFLOAD_ECN);
	assert(!kind || (kind < sizeof(need) && need[kind] & can));
}

/* IPv4 and what is in it have the right sums: by RFC 1071, two octets at a time. */
static void check_sums(const uint8_t *octets, uint32_t size, uint32_t l4)
{
	const uint8_t *ip = octets + ETH_HEADER_SIZE;

	if (eth_load16(octets + 12) != ETHERTYPE_IPV4)
		return;
	assert(sample_sum(ip, (ip[0] & 15u) * 4, 0) == 0xffff);
	assert(eth_load16(ip + 2) == size - ETH_HEADER_SIZE);
	assert(sample_sum(octets + l4, size - l4, sample_sum(ip + 12, 8, ip[9] + (size - l4))) ==
	       0xffff);
}

/* Where the header of TCP or UDP is; 0: not behind IPv4, and the frame does not say. */
static uint32_t find_l4(const struct bridge *b)
{
	if (b->vnet.flags & VNET_F_NEEDS_CSUM)
		return b->vnet.csum_start;
	if (eth_load16(b->octets + 12) != ETHERTYPE_IPV4)
		return 0;
	return ETH_HEADER_SIZE + (b->octets[ETH_HEADER_SIZE] & 15u) * 4;
}

/* A segment of the frame; its payload is the next one. */
static void check_segment(struct receiver *r, const uint8_t *octets, uint32_t size)
{
	const struct bridge *b = r->b;
	uint32_t l4 = find_l4(b), headers = l4 + 8;

	assert(b->vnet.gso_type);
	if (b->by_description) {
		assert(!sample_check(b->by_description, r->n, octets, size, &r->at));
		return;
	}
	if (!l4)
		return;
	if ((b->vnet.gso_type & ~VNET_GSO_ECN) != VNET_GSO_UDP_L4)
		headers = l4 + (uint32_t)(b->octets[l4 + 12] >> 4) * 4;
	if (!r->n)
		r->at = headers;
	assert(size >= headers && size - headers <= b->vnet.gso_size);
	assert(!memcmp(octets, b->octets, ETH_HEADER_SIZE));
	assert(r->at + size - headers <= b->size);
	assert(!memcmp(octets + headers, b->octets + r->at, size - headers));
	r->at += size - headers;
	check_sums(octets, size, l4);
}

/* The frame as it was. */
static void check_whole(const struct bridge *b, const struct vnet_hdr *v, const uint8_t *octets,
			uint32_t size)
{
	assert(size == b->size && !memcmp(octets, b->octets, size));
	assert(v->flags == b->vnet.flags && v->gso_type == b->vnet.gso_type);
	assert(v->hdr_len <= size);
	if (v->gso_type)
		assert(v->gso_size == b->vnet.gso_size && v->flags & VNET_F_NEEDS_CSUM);
	if (v->flags)
		assert(v->csum_start == b->vnet.csum_start &&
		       v->csum_offset == b->vnet.csum_offset);
}

/* The frame with nothing offloaded that was. */
static void check_completed(const struct bridge *b, const uint8_t *octets, uint32_t size)
{
	uint32_t start = b->vnet.csum_start, field = start + b->vnet.csum_offset;
	uint16_t sum;

	assert(size == b->size);
	if (!(b->vnet.flags & VNET_F_NEEDS_CSUM)) {
		assert(!memcmp(octets, b->octets, size));
		return;
	}
	sum = (uint16_t)~sample_sum(b->octets + start, size - start, 0);
	assert(eth_load16(octets + field) == (sum ? sum : 0xffff));
	assert(!memcmp(octets, b->octets, field));
	assert(!memcmp(octets + field + 2, b->octets + field + 2, size - field - 2));
}

static bool receive(void *aux, const struct frame *f)
{
	static uint8_t octets[FRAME_SIZE_MAX + 64];
	struct receiver *r = aux;
	struct bridge *b = r->b;
	uint32_t size = sample_flatten(f, octets);

	assert(size == f->size && !f->tpid);
	check_allowed(&f->vnet, r->can);
	if (f->vnet.flags || f->vnet.gso_type) {
		assert(!r->n);
		check_whole(b, &f->vnet, octets, size);
	} else if (b->vnet.gso_type) {
		check_segment(r, octets, size);
	} else {
		check_completed(b, octets, size);
	}
	r->hash = hash_frame(r->hash, &f->vnet, octets, size);
	r->n++;
	return true;
}

/* Everything that came out of the turn. */
static void check_receivers(struct bridge *b, unsigned from)
{
	uint32_t whole = b->by_description ? b->by_description->spec.payload : b->size;
	unsigned n = 0;

	for (unsigned i = 0; i < SETS; i++) {
		const struct receiver *r = &b->receiver[i];

		/* Segments may be too long for a port; then none is sent. */
		assert(r->n <= 1 || r->at == whole || !find_l4(b));
		n += r->n != 0;
	}
	/* Nor are those completed that have their checksum far behind. */
	assert(!n || n == SETS || b->vnet.gso_type ||
	       b->vnet.csum_start + b->vnet.csum_offset + 2 > EGRESS_CSUM_HEAD_SIZE);
	if (n)
		check_allowed(&b->vnet, b->guest[from].can);
}

static void check_guests(struct bridge *b, unsigned from)
{
	static uint8_t octets[FRAME_SIZE_MAX + 64];

	for (unsigned i = 0; i < GUESTS; i++) {
		const struct receiver *like = &b->receiver[b->guest[i].can];
		uint64_t hash = 0;
		unsigned n = 0;
		int got;

		for (;;) {
			struct front_frame f = { .data = octets, .room = sizeof(octets) };

			got = front_dev_recv(b->guest[i].dev, 0, &f, 0);
			if (got <= 0)
				break;
			hash = hash_frame(hash, &f.hdr, octets, f.size);
			n++;
		}
		assert(got == 0 && !b->guest[i].port->fault);
		if (i == from)
			assert(!n);
		else
			assert(n == like->n && hash == like->hash);
	}
}

static void check_conservation(const struct bridge *b)
{
	struct port_counters sum = { 0 }, one;
	uint64_t drops = 0;

	for (unsigned i = 0; i < PORTS; i++) {
		port_counters_sum(b->port[i], 1, &one);
		port_counters_add(&sum, &one);
	}
	for (unsigned i = 0; i < DROP_REASONS_N; i++)
		drops += sum.drops[i];
	assert(sum.rx_frames + sum.replicated == sum.tx_frames + drops);
}

/* ---- the bridge ---- */

static void nobody(void *aux)
{
}

static int no_watch(void *aux, int fd)
{
	return 0;
}

static void no_unwatch(void *aux, int fd)
{
}

static void no_announce(void *aux, struct mac mac)
{
}

static void step(void *port)
{
	struct err why;

	assert(vhost_user_input(port, &why));
}

/* Guest `i` negotiates more than guest `i` - 1; every second one has packed rings. */
static void guest_make(struct guest *g, unsigned i)
{
	static const uint64_t more[GUESTS] = {
		FRONT_FEATURES_LEAST | FRONT_BIT(FRONT_F_INDIRECT) | FRONT_BIT(FRONT_F_MRG_RXBUF),
		FRONT_BIT(FRONT_F_CSUM) | FRONT_BIT(FRONT_F_GUEST_CSUM), FRONT_FEATURES_OFFLOAD,
		FRONT_BIT(54) | FRONT_BIT(55) | FRONT_BIT(56), /* UDP segmentation */
	};
	static const uint8_t can[GUESTS] = { 0, OFFLOAD_CSUM, OFFLOAD_ALL - OFFLOAD_USO,
					     OFFLOAD_ALL };
	struct vhost_user_spec s = { .pairs_max = 1,
				     .state_fd = -1,
				     .settings = { .mtu = 9000, .offload = true },
				     .hooks = { NULL, nobody, no_watch, no_unwatch, nobody,
						no_announce } };
	struct front_dev_config c = { .mem = { .size = 32 << 20 },
				      .rx_size = 4096,
				      .tx_size = 64,
				      .features = i & 1 ? FRONT_BIT(FRONT_F_PACKED) : 0,
				      .strict = true };
	int fd[2];

	for (unsigned k = 0; k <= i; k++)
		c.features |= more[k];
	g->can = can[i];
	g->port = vhost_user_port_new(&s, 1);
	g->dev = calloc(1, sizeof(*g->dev));
	assert(g->port && g->dev);
	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	assert(vhost_user_attach(g->port, fd[0]) == 0);
	front_dev_init(g->dev, &c);
	front_dev_attach_take(g->dev, fd[1]);
	g->dev->sock.step = step;
	g->dev->sock.step_arg = g->port;
	assert(front_dev_start(g->dev) == 0);
	for (unsigned k = 0; k < 8; k++)
		step(g->port);
	assert(g->port->offload == g->can);
}

static void view_make(struct bridge *b)
{
	static const bool is_learning[1] = { true };
	struct view_port port[PORTS];
	struct view_spec s = { .generation = 1,
			       .seed = 1,
			       .n_ports = PORTS,
			       .n_bridges = 1,
			       .port = port,
			       .bridge_is_learning = is_learning };

	for (unsigned i = 0; i < PORTS; i++) {
		b->port[i]->id = (port_id)i;
		port[i] = (struct view_port){ .port = b->port[i],
					      .size_max = LONGEST,
					      .pvid = VID_DEFAULT,
					      .role = FWD_RELAY_PORT,
					      .flags = VIEW_UP,
					      .learn_room = 1000,
					      .offload = b->port[i]->offload };
	}
	b->view = view_build(&s);
	assert(b->view);
}

static struct bridge *bridge_new(void)
{
	struct bridge *b = calloc(1, sizeof(*b));

	assert(b);
	for (unsigned i = 0; i < SETS; i++) {
		b->receiver[i] = (struct receiver){ .b = b, .can = (uint8_t)i };
		b->port[i] = memory_port_new(b->receiver[i].can, 1);
		assert(b->port[i]);
		memory_port_sink(b->port[i], receive, &b->receiver[i]);
	}
	for (unsigned i = 0; i < GUESTS; i++) {
		guest_make(&b->guest[i], i);
		b->port[SETS + i] = b->guest[i].port;
	}
	view_make(b);
	b->turn = turn_new(0);
	assert(b->turn);
	return b;
}

/* ---- frames ---- */

/* As gso_fuzz.c, but a tag: the ports are all untagged. False: it is too long. */
static bool describe(struct bridge *b, const uint8_t *data)
{
	struct sample_spec s = {
		.is_ipv6 = data[0] & 1,
		.is_udp = data[0] >> 1 & 1,
		.ecn = (data[0] >> 2 & 1) && !(data[0] >> 1 & 1),
		.tcp_flags = data[1],
		.ip_extra = (uint8_t)((data[2] >> 4) % 6 * (data[0] & 1 ? 8 : 4)),
		.ip_extra_type = 60,
		.gso_size = eth_load16(data + 3),
		.payload = eth_load16(data + 5),
	};

	s.tcp_options = s.is_udp ? 0 : (uint8_t)((data[2] & 15) % 11 * 4);
	if (s.payload > FRAME_SIZE_MAX - SAMPLE_HEADERS_MAX)
		return false;
	sample_make(&b->sample, &s, data[7]);
	b->by_description = &b->sample;
	return true;
}

static void layout_make(struct front_layout *l, const uint8_t *data)
{
	*l = (struct front_layout){ .how = data[0] & 4 ? FRONT_IN_TABLE : FRONT_DIRECT };
	for (unsigned i = 1; i < 3 && data[i]; i++)
		l->cut[l->n_cuts++] = data[i];
}

/* A priority tag is taken off, and what a header says that asks for nothing is not passed on. */
static void expect(struct bridge *b, const struct front_tx *tx, uint8_t can)
{
	const uint8_t *p = tx->data;
	uint32_t cut = tx->size > 18 && ethertype_is_tag(eth_load16(p + 12)) ? ETH_TAG_SIZE : 0;
	uint32_t n = tx->size > FRAME_SIZE_MAX ? FRAME_SIZE_MAX : tx->size;

	memcpy(&b->vnet, &tx->hdr, sizeof(b->vnet));
	b->vnet.flags &= VNET_F_NEEDS_CSUM;
	b->vnet.csum_start -= (uint16_t)cut;
	b->size = n - cut;
	memcpy(b->octets, p, n < 12 ? n : 12);
	if (n > 12)
		memcpy(b->octets + 12, p + 12 + cut, n - 12 - cut);
	if (!can)
		b->vnet.flags = b->vnet.gso_type = 0; /* the header is not read */
}

static void run(struct bridge *b, unsigned from, struct front_tx *tx)
{
	struct guest *g = &b->guest[from];
	struct report report;

	for (unsigned i = 0; i < SETS; i++) {
		b->receiver[i].n = b->receiver[i].at = 0;
		b->receiver[i].hash = 0;
	}
	expect(b, tx, g->can);
	assert(front_dev_send(g->dev, 0, tx, 1000) == 0);
	while (turn_run(b->turn, b->view, (port_id)(SETS + from), NS_PER_S))
		;
	while (turn_report_get(b->turn, &report))
		;
	assert(front_dev_drain(g->dev, 0, 1000) == 0);
	check_receivers(b, from);
	check_guests(b, from);
	check_conservation(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t octets[FRAME_SIZE_MAX + 1024];
	static struct bridge *b;
	struct front_layout layout;
	struct front_tx tx = { .data = octets, .layout = &layout };

	if (size < INPUT_SIZE)
		return 0;
	if (!b)
		b = bridge_new();
	b->by_description = NULL;
	layout_make(&layout, data);
	if (data[0] & 8) {
		if (!describe(b, data + 3))
			return 0;
		memcpy(&tx.hdr, &b->sample.vnet, sizeof(b->sample.vnet));
		tx.size = b->sample.size;
		memcpy(octets, b->sample.octets, tx.size);
	} else {
		uint32_t n = (uint32_t)size - INPUT_SIZE;

		memcpy(&tx.hdr, data + 3, sizeof(struct vnet_hdr));
		if (n > FRAME_SIZE_MAX)
			n = FRAME_SIZE_MAX;
		memcpy(octets, data + INPUT_SIZE, n);
		tx.size = n + eth_load16(data + 14);
		if (tx.size > FRAME_SIZE_MAX + 100)
			tx.size = FRAME_SIZE_MAX + 100;
		for (uint32_t i = n; i < tx.size; i++)
			octets[i] = (uint8_t)(i * 11);
	}
	octets[0] |= 1; /* to everybody */
	if (data[0] & 8)
		b->sample.octets[0] |= 1;
	if (tx.size)
		run(b, data[0] & 3, &tx);
	return 0;
}
