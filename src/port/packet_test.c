// SPDX-License-Identifier: Apache-2.0
/*
 * Packet ports on one end of a veth pair: frames both ways, tags beside the octets, offloads, what
 * the device listens to, and what happens when it goes down or away. The neighbour is a packet
 * socket at the other end. Needs root; runs in a namespace of its own.
 */
#include "netns_fixture.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "eth.h"
#include "packet.h"

/* ---- errors that the kernel tells of behind good frames: the linker puts these in front ---- */

static int stop_rx_after; /* > 0: recvmmsg() takes so many, and leaves an error; < 0: it fails */

int __real_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t);
int __wrap_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size);

int __wrap_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t)
{
	if (stop_rx_after < 0) {
		stop_rx_after++;
		errno = EINVAL;
		return -1;
	}
	if (stop_rx_after > 0 && (unsigned)stop_rx_after < n)
		n = (unsigned)stop_rx_after;
	return __real_recvmmsg(fd, m, n, flags, t);
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	if (name == SO_ERROR && stop_rx_after > 0) {
		*(int *)value = EINVAL;
		stop_rx_after = 0;
		return 0;
	}
	return __real_getsockopt(fd, level, name, value, size);
}

/* ---- the bed ---- */

struct bed {
	struct port *port; /* on va */
	struct burst *burst;
	int far; /* on vb */
};

static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 0xa };

static int setup_with(void **state, bool vnet)
{
	static struct bed b;
	struct err e;
	int fd;

	netns_run("ip link add va address 02:00:00:00:00:0a type veth peer name vb");
	netns_run("ip link set va up && ip link set vb up");
	netns_wait_up("va");
	netns_wait_up("vb");
	fd = packet_open((int)if_nametoindex("va"), "va", &e);
	assert_true(fd >= 0);
	b.port = packet_port_new(fd, (int)if_nametoindex("va"), true, 1);
	assert_non_null(b.port);
	assert_string_equal(b.port->ops->kind, "packet");
	b.burst = burst_make();
	b.far = raw_open("vb", vnet);
	stop_rx_after = 0;
	*state = &b;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, false);
}

static int setup_vnet(void **state)
{
	return setup_with(state, true);
}

static int teardown(void **state)
{
	struct bed *b = *state;

	port_free(b->port);
	burst_free(b->burst);
	close(b->far);
	if (if_nametoindex("vb"))
		netns_run("ip link del vb");
	return 0;
}

static const uint8_t *octets_of(const struct frame *f)
{
	return f->iov[0].iov_base;
}

static unsigned rx_now(struct bed *b)
{
	return b->port->ops->rx(b->port, b->burst, BURST_MAX);
}

/* ---- frames ---- */

static void test_frames(void **state)
{
	struct bed *b = *state;
	uint8_t octets[1514];
	static struct raw_frame got;

	for (uint8_t i = 0; i < 20; i++) {
		uint32_t size = test_frame(octets, 1, i, 60 + i * 70u);

		raw_send(b->far, NULL, octets, size);
		assert_int_equal(rx_wait(b->port, b->burst), 1);
		assert_false(b->burst->more);
		assert_int_equal(b->burst->frame[0].size, size);
		assert_int_equal(b->burst->frame[0].tpid, 0);
		assert_memory_equal(octets_of(&b->burst->frame[0]), octets, size);
		assert_true(tx_one(b->port, octets, size, NULL));
		assert_true(raw_get(b->far, false, &got, 2000));
		assert_int_equal(got.size, size);
		assert_memory_equal(got.octets, octets, size);
	}
	/* Neither what the port sends is received again, nor what the host sends. */
	assert_int_equal(rx_now(b), 0);
	netns_run("ip neigh add 10.9.9.9 lladdr 02:00:00:00:00:99 dev va");
	netns_run("ip addr add 10.9.9.1/24 dev va && ping -q -c 1 -W 1 10.9.9.9 >/dev/null; true");
	assert_int_equal(rx_now(b), 0);
	assert_true(raw_get(b->far, false, &got, 2000));
}

/* A batch in, in order, with the limits of a burst; a batch out. */
static void test_batches(void **state)
{
	struct bed *b = *state;
	static uint8_t octets[BURST_MAX][1000];
	static struct raw_frame got;
	struct iovec iov[BURST_MAX], many[FRAME_IOV_MAX + 2];
	struct frame frame[BURST_MAX];
	const struct frame *list[BURST_MAX];
	unsigned last = ARRAY_SIZE(many) - 1;

	for (unsigned i = 0; i < BURST_MAX; i++) {
		iov[i] = (struct iovec){ octets[i], test_frame(octets[i], 1, (uint8_t)i, 1000) };
		frame[i] = (struct frame){ .iov = &iov[i], .n_iov = 1, .size = 1000 };
		list[i] = &frame[i];
		raw_send(b->far, NULL, octets[i], 1000);
	}
	for (unsigned i = 0; i < 40; i++)
		raw_send(b->far, NULL, octets[i], 1000);
	assert_int_equal(rx_now(b), BURST_MAX);
	assert_true(b->burst->more);
	for (unsigned i = 0; i < BURST_MAX; i++)
		assert_memory_equal(octets_of(&b->burst->frame[i]), octets[i], 1000);
	b->burst->octets_max = 1000;
	assert_int_equal(rx_now(b), 16); /* the smallest step */
	assert_true(b->burst->more);
	b->burst->octets_max = 1 << 20;
	assert_int_equal(rx_now(b), 24);
	assert_false(b->burst->more);
	assert_int_equal(rx_now(b), 0);
	assert_false(b->burst->more);

	for (unsigned k = 0; k <= last; k++)
		many[k] = (struct iovec){ octets[7] + 40 * k, k < last ? 40 : 1000 - 40 * last };
	frame[7].iov = many;
	frame[7].n_iov = ARRAY_SIZE(many);
	assert_true(b->port->ops->tx(b->port, list, BURST_MAX) == UINT64_MAX);
	for (unsigned i = 0; i < BURST_MAX; i++) {
		assert_true(raw_get(b->far, false, &got, 2000));
		assert_int_equal(got.size, 1000);
		assert_memory_equal(got.octets, octets[i], 1000);
	}
}

/* Behind an error frames may wait, and no wake-up tells of them. */
static void test_errors_between(void **state)
{
	struct bed *b = *state;
	uint8_t octets[60];

	for (uint8_t i = 0; i < 10; i++)
		raw_send(b->far, NULL, octets, test_frame(octets, 1, i, 60));
	stop_rx_after = 4;
	assert_int_equal(rx_now(b), 10);
	assert_false(b->burst->more);
	for (uint8_t i = 0; i < 10; i++)
		raw_send(b->far, NULL, octets, test_frame(octets, 1, i, 60));
	stop_rx_after = -1000;
	assert_int_equal(rx_now(b), 0);
	assert_true(b->burst->more);
	stop_rx_after = -3;
	assert_int_equal(rx_now(b), 10);
	assert_false(b->burst->more);
}

static void test_tags(void **state)
{
	static const uint8_t tags[][8] = { { 0x81, 0, 0xe0, 7, 0x88, 0xb5 },
					   { 0x81, 0, 0x60, 0, 0x88, 0xb5 },
					   { 0x88, 0xa8, 0x10, 9, 0x88, 0xb5 },
					   { 0x88, 0xa8, 0, 9, 0x81, 0, 0, 7 } };
	struct bed *b = *state;
	uint8_t octets[100];
	static struct raw_frame got;
	uint32_t size = test_frame(octets, 1, 1, 100);

	assert_int_equal(packet_port_listen(b->port, NULL, 0, true), 0);
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		uint16_t tpid = eth_load16(tags[i]), tci = eth_load16(tags[i] + 2);
		const struct frame *f = &b->burst->frame[0];

		memcpy(octets + 12, tags[i], sizeof(tags[i]));
		raw_send(b->far, NULL, octets, size);
		assert_int_equal(rx_wait(b->port, b->burst), 1);
		assert_int_equal(f->tpid, tpid);
		assert_int_equal(f->tci, tci);
		assert_int_equal(f->size, size - 4);
		assert_memory_equal(octets_of(f), octets, 12);
		assert_memory_equal(octets_of(f) + 12, octets + 16, size - 16);

		assert_true(tx_one(b->port, octets, size, NULL));
		assert_true(raw_get(b->far, false, &got, 2000));
		assert_int_equal(got.tpid, tpid);
		assert_int_equal(got.tci, tci);
		assert_int_equal(got.size, size - 4);
		assert_memory_equal(got.octets + 12, octets + 16, size - 16);
	}
	/* The next one without a tag has none left over. */
	size = test_frame(octets, 1, 1, 100);
	raw_send(b->far, NULL, octets, size);
	assert_int_equal(rx_wait(b->port, b->burst), 1);
	assert_int_equal(b->burst->frame[0].tpid, 0);
}

static void check_gso(struct bed *b, const uint8_t *octets, uint32_t size, const struct vnet_hdr *h)
{
	static struct raw_frame got;
	const struct frame *f = &b->burst->frame[0];
	uint32_t tag = ethertype_is_tag(eth_load16(octets + 12)) ? 4 : 0;

	raw_send(b->far, h, octets, size);
	assert_int_equal(rx_wait(b->port, b->burst), 1);
	assert_int_equal(f->size, size - tag);
	assert_int_equal(!!f->tpid, !!tag);
	assert_memory_equal(octets_of(f) + 12, octets + 12 + tag, size - 12 - tag);
	assert_int_equal(f->vnet.gso_type, VNET_GSO_TCPV4);
	assert_int_equal(f->vnet.gso_size, 1000);
	assert_int_equal(f->vnet.flags, VNET_F_NEEDS_CSUM);
	assert_int_equal(f->vnet.csum_start, 34); /* does not count the tag beside */

	assert_true(tx_one(b->port, octets, size, h));
	assert_true(raw_get(b->far, true, &got, 2000));
	assert_int_equal(got.size, size - tag);
	assert_int_equal(!!got.tpid, !!tag);
	assert_memory_equal(got.octets + 12, octets + 12 + tag, size - 12 - tag);
	assert_int_equal(got.vnet.gso_type, VNET_GSO_TCPV4);
	assert_int_equal(got.vnet.gso_size, 1000);
	assert_int_equal(got.vnet.csum_start, 34);
}

/* 60,000 octets pass in one piece, tagged or not. */
static void test_gso(void **state)
{
	struct bed *b = *state;
	static uint8_t octets[FRAME_SIZE_MAX];
	struct vnet_hdr h;
	uint32_t size = tcp_frame(octets, 60000, &h);

	check_gso(b, octets, size, &h);
	memmove(octets + 16, octets + 12, size - 12);
	memcpy(octets + 12, (uint8_t[]){ 0x81, 0, 0, 7 }, 4);
	h.csum_start += 4;
	h.hdr_len += 4;
	check_gso(b, octets, size + 4, &h);
	/* So does a partial checksum alone. */
	size = tcp_frame(octets, 500, &h);
	h.gso_type = 0;
	h.gso_size = h.hdr_len = 0;
	raw_send(b->far, &h, octets, size);
	assert_int_equal(rx_wait(b->port, b->burst), 1);
	assert_int_equal(b->burst->frame[0].vnet.flags, VNET_F_NEEDS_CSUM);
	assert_int_equal(b->burst->frame[0].vnet.csum_offset, 16);
}

/* ---- what it does not take ---- */

static void test_too_long(void **state)
{
	struct bed *b = *state;
	uint8_t octets[3][1600];
	struct iovec iov[3];
	struct frame frame[3];
	const struct frame *list[3];
	static struct raw_frame got;

	for (uint8_t i = 0; i < 3; i++) {
		uint32_t size = test_frame(octets[i], 1, i, i == 1 ? 1515 : 1514);

		iov[i] = (struct iovec){ octets[i], size };
		frame[i] = (struct frame){ .iov = &iov[i], .n_iov = 1, .size = size };
		list[i] = &frame[i];
	}
	assert_int_equal(b->port->ops->tx(b->port, list, 3), 1 << 0 | 1 << 2);
	assert_int_equal(b->port->tx_drop, DROP_mtu);
	assert_true(raw_get(b->far, false, &got, 2000));
	assert_int_equal(got.octets[14], 0);
	assert_true(raw_get(b->far, false, &got, 2000));
	assert_int_equal(got.octets[14], 2);
	/* A tag does not count. */
	memcpy(octets[1] + 12, (uint8_t[]){ 0x81, 0, 0, 7 }, 4);
	assert_true(tx_one(b->port, octets[1], 1518, NULL));
	assert_false(tx_one(b->port, octets[1], 1519, NULL));
	assert_int_equal(b->port->tx_drop, DROP_mtu);
}

/* BIG TCP: the kernel may hand over more than any frame of ours can have. */
static void test_longer_than_any(void **state)
{
	struct bed *b = *state;
	static uint8_t octets[100000];
	static const uint8_t start[] = { 0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 6, 64 };
	const struct vnet_hdr h = { .flags = VNET_F_NEEDS_CSUM,
				    .gso_type = VNET_GSO_TCPV6,
				    .hdr_len = 74,
				    .gso_size = 1000,
				    .csum_start = 54,
				    .csum_offset = 16 };

	netns_run("ip link set va gso_max_size 200000; ip link set vb gso_max_size 200000");
	test_frame(octets, 1, 0, 60);
	memcpy(octets + 12, start, sizeof(start));
	octets[66] = 5 << 4;
	raw_send(b->far, &h, octets, sizeof(octets));
	assert_int_equal(rx_wait(b->port, b->burst), 1);
	assert_int_equal(b->burst->frame[0].size, FRAME_SIZE_MAX);
	assert_int_equal(b->burst->frame[0].vnet.gso_type, VNET_GSO_NONE);
}

static void test_down_and_up(void **state)
{
	struct bed *b = *state;
	uint8_t octets[60];
	struct pollfd fd = { .fd = b->port->fd, .events = POLLIN };
	static struct raw_frame got;

	for (uint8_t i = 0; i < 3; i++)
		raw_send(b->far, NULL, octets, test_frame(octets, 1, i, 60));
	netns_run("ip link set va down");
	assert_int_equal(poll(&fd, 1, 0), 1);
	assert_int_equal(rx_now(b), 3); /* they came before */
	assert_int_equal(rx_now(b), 0);
	assert_false(b->burst->more);
	assert_int_equal(b->port->fault, PORT_FAULT_NONE);
	assert_false(tx_one(b->port, octets, 60, NULL));
	assert_int_equal(b->port->tx_drop, DROP_port_down);
	netns_run("ip link set va up");
	netns_wait_up("va");
	netns_wait_up("vb");
	assert_true(tx_one(b->port, octets, 60, NULL));
	assert_true(raw_get(b->far, false, &got, 2000));
	raw_send(b->far, NULL, octets, 60);
	assert_int_equal(rx_wait(b->port, b->burst), 1);
}

/*
 * A frame that the kernel refuses for what it is, or that a filter drops, says nothing of a queue:
 * else a guest could make the uplink look congested to all others.
 */
static void test_refused_is_not_full(void **state)
{
	/* The kernel wants a checksum to start behind an IP header, were the packet one. */
	static const struct vnet_hdr odd = { .flags = VNET_F_NEEDS_CSUM, .csum_start = 14 };
	struct bed *b = *state;
	struct port_queue *q = &b->port->queue;
	uint8_t octets[60];
	uint32_t size = test_frame(octets, 1, 1, sizeof(octets));
	uint64_t whole;

	b->port->ops->ask_queue(b->port);
	whole = q->size;
	assert_true(whole > 100000);
	assert_false(tx_one(b->port, octets, size, &odd));
	assert_int_equal(b->port->tx_drop, DROP_queue_full);
	b->port->ops->ask_queue(b->port);
	assert_int_equal(q->size, whole);
	netns_run("tc qdisc add dev va root pfifo limit 0");
	assert_false(tx_one(b->port, octets, size, NULL));
	assert_int_equal(b->port->tx_drop, DROP_queue_full);
	b->port->ops->ask_queue(b->port);
	assert_int_equal(q->size, whole);
}

static void test_deleted(void **state)
{
	struct bed *b = *state;
	uint8_t octets[60];

	netns_run("ip link del va");
	assert_false(tx_one(b->port, octets, test_frame(octets, 1, 1, 60), NULL));
	assert_int_equal(b->port->tx_drop, DROP_port_down);
	assert_int_equal(rx_now(b), 0);
	assert_false(b->burst->more);
}

static void test_open_errors(void **state)
{
	struct err e;

	assert_int_equal(packet_open(99999, "nowhere", &e), -ENODEV);
	assert_non_null(strstr(e.message, "nowhere"));
}

/* ---- what the device listens to ---- */

static bool has_mac(const char *mac)
{
	return strstr(netns_output("bridge fdb show dev va"), mac);
}

static bool says(const char *word)
{
	return strstr(netns_output("ip -d link show va"), word);
}

static void test_listen(void **state)
{
	static const struct mac mac[3] = { { { 2, 0, 0, 0, 1, 3 } },
					   { { 2, 0, 0, 0, 1, 1 } },
					   { { 2, 0, 0, 0, 1, 2 } } };
	static const struct mac twice[3] = { { { 2, 0, 0, 0, 1, 1 } },
					     { { 2, 0, 0, 0, 1, 2 } },
					     { { 2, 0, 0, 0, 1, 1 } } };
	struct bed *b = *state;

	assert_int_equal(packet_port_listen(b->port, mac, 2, false), 0);
	assert_true(has_mac("02:00:00:00:01:01") && has_mac("02:00:00:00:01:03"));
	assert_false(has_mac("02:00:00:00:01:02"));
	assert_true(says("allmulti 1"));
	assert_int_equal(packet_port_listen(b->port, mac + 1, 2, false), 0);
	assert_true(has_mac("02:00:00:00:01:01") && has_mac("02:00:00:00:01:02"));
	assert_false(has_mac("02:00:00:00:01:03"));
	assert_int_equal(packet_port_listen(b->port, twice, 3, false), 0);
	assert_int_equal(packet_port_listen(b->port, twice, 1, false), 0);
	assert_true(has_mac("02:00:00:00:01:01"));
	assert_false(has_mac("02:00:00:00:01:02"));
	assert_int_equal(packet_port_listen(b->port, NULL, 0, false), 0);
	assert_false(has_mac("02:00:00:00:01:01"));
	assert_true(says("allmulti 1"));
	/* A veth has no filter of its own: without addresses it is not promiscuous, though. */
	assert_true(says("promiscuity 0"));
	assert_int_equal(packet_port_listen(b->port, NULL, 0, true), 0);
	assert_true(says("promiscuity 1"));
	assert_int_equal(packet_port_listen(b->port, NULL, 0, true), 0);
	assert_true(says("promiscuity 1"));
	assert_int_equal(packet_port_listen(b->port, NULL, 0, false), 0);
	assert_true(says("promiscuity 0"));
}

/* What the port listens to is given back with it. */
static void test_listen_ends_with_port(void **state)
{
	static const struct mac mac = { { 2, 0, 0, 0, 1, 3 } };
	struct bed *b = *state;
	struct err e;
	int fd = packet_open((int)if_nametoindex("va"), "va", &e);
	struct port *p = packet_port_new(fd, (int)if_nametoindex("va"), false, 1);

	assert_non_null(p);
	assert_int_equal(p->offload, 0);
	assert_int_equal(packet_port_listen(p, &mac, 1, true), 0);
	assert_true(has_mac("02:00:00:00:01:03"));
	port_free(p);
	assert_false(has_mac("02:00:00:00:01:03"));
	assert_true(says("promiscuity 0") && says("allmulti 0"));
	assert_int_equal(rx_now(b), 0);
}

/* Send one frame to `dst`; does the port get it? */
static bool hears(struct bed *b, const uint8_t *dst)
{
	uint8_t octets[60];

	test_frame(octets, 1, 1, sizeof(octets));
	memcpy(octets, dst, 6);
	raw_send(b->far, NULL, octets, sizeof(octets));
	return rx_now(b) == 1; /* a veth delivers within the call, or not at all */
}

/* The host's own unicast frames stay with the host, unless everything is asked for. */
static void test_host_frames(void **state)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 },
			     group[6] = { 1, 0, 0x5e, 1 };
	static const struct mac guest = { { 2, 0, 0, 0, 1, 1 } };
	struct bed *b = *state;

	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(packet_port_listen(b->port, &guest, 1, false), 0);
		assert_false(hears(b, mac_a));
		assert_true(hears(b, guest.b));
		assert_true(hears(b, all));
		assert_true(hears(b, group));
		assert_int_equal(packet_port_listen(b->port, &guest, 1, true), 0);
		assert_true(hears(b, mac_a));
		assert_true(hears(b, guest.b));
		assert_true(hears(b, (const uint8_t[6]){ 2, 7, 7, 7, 7, 7 }));
	}
}

/* Of the frames on a device each port gets those of its S-channel, whatever is inside the tag. */
static void test_stag(void **state)
{
	static const uint8_t tags[][8] = {
		{ 0x08, 0x00 },			       /* 0: no tag */
		{ 0x81, 0, 0, 100 },		       /* 1: C-tag */
		{ 0x88, 0xa8, 0, 100 },		       /* 2: S-tag */
		{ 0x88, 0xa8, 0xf0, 100 },	       /* 3: with priority */
		{ 0x88, 0xa8, 0, 100, 0x81, 0, 0, 7 }, /* 4: with a C-tag inside */
		{ 0x88, 0xa8, 0, 101 },		       /* 5: another one */
		{ 0x88, 0xa8, 0x01, 100 },	       /* 6: VID 356 */
		{ 0x88, 0xa8, 0, 0 },		       /* 7: of no VLAN */
		{ 0x81, 0, 0, 7, 0x88, 0xa8, 0, 100 }, /* 8: S-tag inside */
	};
	static const struct {
		enum packet_stag stag;
		vid_t svid;
		unsigned want;
	} rows[] = {
		{ PACKET_STAG_ONE, 100, 1 << 2 | 1 << 3 | 1 << 4 },
		{ PACKET_STAG_NONE, VID_NONE, 1 << 0 | 1 << 1 | 1 << 8 },
		{ PACKET_STAG_ONE, 101, 1 << 5 },
		{ PACKET_STAG_DEAF, VID_NONE, 0 },
		{ PACKET_STAG_ANY, VID_NONE, 0x1ff },
	};
	struct bed *b = *state;

	for (unsigned round = 0; round < 2 * ARRAY_SIZE(rows); round++) {
		unsigned r = round % ARRAY_SIZE(rows), got = 0;
		uint8_t octets[60];

		assert_int_equal(packet_port_set_stag(b->port, rows[r].stag, rows[r].svid), 0);
		if (round == ARRAY_SIZE(rows)) /* first or last, it does not matter */
			assert_int_equal(packet_port_listen(b->port, NULL, 0, true), 0);
		for (unsigned i = 0; i < ARRAY_SIZE(tags); i++) {
			test_frame(octets, 1, 1, sizeof(octets));
			memset(octets, 0xff, 6);
			memcpy(octets + 12, tags[i], sizeof(tags[i]));
			raw_send(b->far, NULL, octets, sizeof(octets));
			got |= (unsigned)(rx_now(b) == 1) << i;
		}
		assert_int_equal(got, rows[r].want);
	}
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_frames),
		TEST(test_batches),
		TEST(test_errors_between),
		TEST(test_tags),
		cmocka_unit_test_setup_teardown(test_gso, setup_vnet, teardown),
		cmocka_unit_test_setup_teardown(test_longer_than_any, setup_vnet, teardown),
		TEST(test_too_long),
		TEST(test_down_and_up),
		TEST(test_refused_is_not_full),
		TEST(test_deleted),
		cmocka_unit_test(test_open_errors),
		TEST(test_listen),
		TEST(test_listen_ends_with_port),
		TEST(test_host_frames),
		TEST(test_stag),
	};

	if (!netns_enter())
		return NETNS_SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
