// SPDX-License-Identifier: Apache-2.0
/*
 * XDP ports on one end of a veth pair: what goes by AF_XDP and what by the rest, to evbd and to the
 * host; queues; sizes; a successor that takes sockets and memory over. The neighbour is a packet
 * socket at the other end. Needs root; runs in a namespace of its own.
 */
#include "netns_fixture.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "eth.h"
#include "uplink.h"
#include "xdp.h"
#include "xsk.h"

struct bed {
	struct port *port; /* on va */
	struct burst *burst;
	int far;  /* on vb */
	int host; /* on va: what the host sees */
};

static const struct mac guest = { { 2, 0, 0, 0, 0, 0x51 } };
static const struct mac other = { { 2, 0, 0, 0, 0, 0x52 } };
static const struct mac device = { { 2, 0, 0, 0, 0, 0xa } };
static const struct mac broadcast = { { 255, 255, 255, 255, 255, 255 } };

static int open_port(struct bed *b, uint32_t mtu, bool must_gain, struct err *e)
{
	struct xdp_spec spec = { .ifindex = (int)if_nametoindex("va"),
				 .dev = "va",
				 .mtu = mtu,
				 .must_gain = must_gain };
	int fd = packet_open(spec.ifindex, "va", e), err;
	struct port *rest;

	assert_true(fd >= 0);
	rest = packet_port_new(fd, spec.ifindex, true, 1);
	err = xdp_port_new(&b->port, &spec, rest, 1, e);
	if (err)
		port_free(rest);
	return err;
}

static int setup_devices(void **state)
{
	static struct bed b;

	b.port = NULL;
	netns_run("ip link add va address 02:00:00:00:00:0a numrxqueues 4 numtxqueues 4 type veth "
		  "peer name vb numrxqueues 4 numtxqueues 4");
	netns_run("ip link set va up && ip link set vb up");
	netns_wait_up("va");
	netns_wait_up("vb");
	b.burst = burst_make();
	b.far = raw_open("vb", false);
	b.host = raw_open("va", false);
	*state = &b;
	return 0;
}

static int setup(void **state)
{
	struct bed *b;
	struct err e;

	setup_devices(state);
	b = *state;
	assert_int_equal(open_port(b, 1500, false, &e), 0);
	assert_string_equal(b->port->ops->kind, "xdp");
	assert_int_equal(xdp_port_listen(b->port, &guest, 1, XDP_WANTS_OWNED), 0);
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	port_free(b->port);
	burst_free(b->burst);
	close(b->far);
	close(b->host);
	if (if_nametoindex("vb"))
		netns_run("ip link del vb");
	return 0;
}

static uint32_t frame_to(uint8_t *octets, struct mac to, uint8_t number, uint32_t size)
{
	test_frame(octets, 1, number, size);
	memcpy(octets, to.b, sizeof(to.b));
	return size;
}

static void send_to(struct bed *b, struct mac to, uint8_t number)
{
	uint8_t octets[60];

	raw_send(b->far, NULL, octets, frame_to(octets, to, number, sizeof(octets)));
}

static unsigned rx_now(struct bed *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 20 && !n; i++) /* the rest is not asked each time */
		n = b->port->ops->rx(b->port, b->burst, BURST_MAX);
	return n;
}

static const uint8_t *octets_of(const struct bed *b, unsigned i)
{
	return b->burst->frame[i].iov[0].iov_base;
}

/* Everything that comes within a moment; returns how many. The last burst is left lent. */
static unsigned drain(struct bed *b)
{
	unsigned sum = 0;

	for (unsigned tries = 0; tries < 40; tries++) {
		sum += b->port->ops->rx(b->port, b->burst, BURST_MAX);
		b->port->ops->rx_done(b->port);
		usleep(500);
	}
	return sum;
}

static bool host_sees(struct bed *b, uint8_t number)
{
	static struct raw_frame got;

	while (raw_get(b->host, false, &got, 50))
		if (got.octets[14] == number)
			return true;
	return false;
}

/* ---- who gets what ---- */

static void test_who_gets_what(void **state)
{
	static const struct {
		const char *what;
		enum xdp_wants wants;
		const struct mac *to;
		bool evbd, host;
	} rows[] = {
		{ "a guest's", XDP_WANTS_OWNED, &guest, true, false },
		{ "somebody's", XDP_WANTS_OWNED, &other, true, true }, /* veth has no filter */
		{ "the host's", XDP_WANTS_OWNED, &device, false, true },
		{ "all", XDP_WANTS_OWNED, &broadcast, true, true },
		{ "a guest's, watched", XDP_WANTS_COPIES, &guest, true, false },
		{ "somebody's, watched", XDP_WANTS_COPIES, &other, true, true },
		{ "the host's, watched", XDP_WANTS_COPIES, &device, true, true },
		{ "all, watched", XDP_WANTS_COPIES, &broadcast, true, true },
		{ "a guest's, of all", XDP_WANTS_ALL, &guest, true, false },
		{ "somebody's, of all", XDP_WANTS_ALL, &other, true, false },
		{ "the host's, of all", XDP_WANTS_ALL, &device, true, false },
		{ "all, of all", XDP_WANTS_ALL, &broadcast, true, true },
		{ "the host's, back", XDP_WANTS_OWNED, &device, false, true },
	};
	struct bed *b = *state;

	netns_run("ip link set va promisc on"); /* somebody's reach the host's sockets, too */
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		bool evbd, host;

		assert_int_equal(xdp_port_listen(b->port, &guest, 1, rows[i].wants), 0);
		send_to(b, *rows[i].to, (uint8_t)(100 + i));
		evbd = drain(b) == 1;
		host = host_sees(b, (uint8_t)(100 + i));
		if (evbd != rows[i].evbd || host != rows[i].host)
			fail_msg("%s: evbd %d, host %d", rows[i].what, evbd, host);
	}
}

static void test_owners_come_and_go(void **state)
{
	const struct mac both[] = { other, guest, other }, none[1] = { { { 0 } } };
	struct bed *b = *state;

	send_to(b, other, 1);
	assert_true(host_sees(b, 1));
	assert_int_equal(xdp_port_listen(b->port, both, 3, XDP_WANTS_OWNED), 0);
	drain(b);
	send_to(b, other, 2);
	send_to(b, guest, 3);
	assert_int_equal(drain(b), 2);
	assert_false(host_sees(b, 3));
	assert_int_equal(xdp_port_listen(b->port, none, 0, XDP_WANTS_OWNED), 0);
	send_to(b, guest, 4);
	assert_true(host_sees(b, 4));
	send_to(b, other, 5);
	assert_true(host_sees(b, 5));
}

/* ---- frames ---- */

static void test_frames(void **state)
{
	struct bed *b = *state;
	uint8_t octets[1518];
	static struct raw_frame got;

	for (uint8_t i = 0; i < 21; i++) {
		uint32_t size = frame_to(octets, guest, i, 60 + i * 70u);

		if (i == 20) { /* a tag comes on top of the MTU, and stays where it is */
			size = sizeof(octets);
			memcpy(octets + 12, (uint8_t[]){ 0x81, 0, 0, 7, 0x88, 0xb5 }, 6);
		}
		raw_send(b->far, NULL, octets, size);
		assert_int_equal(rx_wait(b->port, b->burst), 1);
		assert_int_equal(b->burst->frame[0].size, size);
		assert_int_equal(b->burst->frame[0].tpid, 0);
		assert_int_equal(b->burst->frame[0].vnet.flags, 0);
		assert_memory_equal(octets_of(b, 0), octets, size);
		b->port->ops->rx_done(b->port);
		assert_true(tx_one(b->port, octets, size, NULL));
		b->port->ops->flush(b->port);
		assert_true(raw_get(b->far, false, &got, 2000));
		assert_memory_equal(got.octets, octets, 12);
		assert_memory_equal(got.octets + got.size - 40, octets + size - 40, 40);
	}
	assert_int_equal(drain(b), 0); /* what it sends it does not receive */
	assert_false(tx_one(b->port, octets, 3000, NULL));
	assert_int_equal(b->port->tx_drop, DROP_mtu);
}

/* Chunks and rings go round: many times as many frames as there are of either. */
static void test_many(void **state)
{
	static uint8_t octets[BURST_MAX][200];
	struct bed *b = *state;
	struct iovec iov[BURST_MAX];
	struct frame frame[BURST_MAX];
	const struct frame *list[BURST_MAX];
	unsigned sent = 0, back = 0;

	for (unsigned i = 0; i < BURST_MAX; i++) {
		iov[i] = (struct iovec){ octets[i], frame_to(octets[i], guest, (uint8_t)i, 200) };
		frame[i] = (struct frame){ .iov = &iov[i], .n_iov = 1, .size = 200 };
		list[i] = &frame[i];
	}
	for (unsigned round = 0; round < 4 * XSK_N_FILL / BURST_MAX; round++) {
		unsigned got = 0;

		for (unsigned i = 0; i < BURST_MAX; i++)
			raw_send(b->far, NULL, octets[i], 200);
		while (got < BURST_MAX) {
			unsigned n = rx_wait(b->port, b->burst);

			assert_int_not_equal(n, 0);
			for (unsigned i = 0; i < n; i++)
				assert_int_equal(octets_of(b, i)[14], got + i);
			got += n;
			b->port->ops->rx_done(b->port);
		}
		sent += (unsigned)__builtin_popcountll(b->port->ops->tx(b->port, list, BURST_MAX));
		b->port->ops->flush(b->port);
		for (struct raw_frame one; back < sent && raw_get(b->far, false, &one, 500); back++)
			assert_int_equal(one.octets[14], back % BURST_MAX);
	}
	assert_int_equal(sent, 4 * XSK_N_FILL);
	assert_int_equal(back, sent);
}

/* A burst ends with the frame that makes it large enough; nobody sleeps while frames wait. */
static void test_limits(void **state)
{
	struct bed *b = *state;
	struct pollfd fd = { .fd = b->port->fd, .events = POLLIN };

	assert_false(b->port->ops->arm(b->port));
	assert_int_equal(poll(&fd, 1, 0), 0);
	for (uint8_t i = 0; i < 10; i++)
		send_to(b, guest, i);
	assert_int_equal(poll(&fd, 1, 1000), 1);
	assert_true(b->port->ops->arm(b->port));
	b->burst->octets_max = 100;
	assert_int_equal(rx_now(b), 2);
	assert_true(b->burst->more);
	b->port->ops->rx_done(b->port);
	b->burst->octets_max = 1 << 20;
	assert_int_equal(b->port->ops->rx(b->port, b->burst, 3), 3);
	assert_true(b->burst->more);
	assert_int_equal(octets_of(b, 0)[14], 2);
	b->port->ops->rx_done(b->port);
	assert_int_equal(rx_now(b), 5);
	b->port->ops->rx_done(b->port);
	assert_false(b->port->ops->arm(b->port));
	send_to(b, broadcast, 1);
	assert_int_equal(poll(&fd, 1, 1000), 1);
	assert_true(b->port->ops->arm(b->port));
	assert_int_equal(rx_now(b), 1);
}

/* The rings are never so busy that the rest is not heard. */
static void test_fairness(void **state)
{
	struct bed *b = *state;
	bool heard = false;

	for (unsigned i = 0; i < 200; i++)
		send_to(b, guest, 1);
	send_to(b, broadcast, 2);
	for (unsigned i = 0; i < 10 && !heard; i++) {
		unsigned n = b->port->ops->rx(b->port, b->burst, 1);

		heard = n && octets_of(b, 0)[14] == 2;
		b->port->ops->rx_done(b->port);
	}
	assert_true(heard);
}

/* ---- devices ---- */

static void test_queues(void **state)
{
	struct bed *b = *state;
	struct xdp_info info;
	struct err e;

	netns_run("ethtool -L va rx 3 tx 3 && ethtool -L vb rx 3 tx 3");
	assert_int_equal(open_port(b, 1500, false, &e), 0);
	assert_int_equal(xdp_port_listen(b->port, &guest, 1, XDP_WANTS_OWNED), 0);
	assert_true(xdp_port_info(b->port, &info));
	assert_int_equal(info.n_queues, 3);
	assert_true(info.is_native);
	assert_false(info.is_zero_copy);
	assert_int_equal(info.dropped, 0);
	for (unsigned i = 0; i < 60; i++)
		send_to(b, guest, (uint8_t)i);
	assert_int_equal(drain(b), 60);
}

/* A queue without a socket: its frames come by the rest. */
static void test_queue_without_socket(void **state)
{
	struct bed *b = *state;

	netns_run("ethtool -L va rx 4 tx 4 && ethtool -L vb rx 4 tx 4");
	for (unsigned i = 0; i < 64; i++)
		send_to(b, guest, (uint8_t)i);
	assert_int_equal(drain(b), 64);
}

static void test_down_and_up(void **state)
{
	struct bed *b = *state;
	uint8_t octets[60];
	static struct raw_frame got;

	netns_run("ip link set va down");
	assert_int_equal(drain(b), 0);
	assert_int_equal(b->port->fault, PORT_FAULT_NONE);
	netns_run("ip link set va up");
	netns_wait_up("va");
	netns_wait_up("vb");
	send_to(b, guest, 1);
	send_to(b, broadcast, 2);
	assert_int_equal(drain(b), 2);
	assert_true(tx_one(b->port, octets, frame_to(octets, other, 3, 60), NULL));
	b->port->ops->flush(b->port);
	assert_true(raw_get(b->far, false, &got, 2000));
}

static void test_deleted(void **state)
{
	struct bed *b = *state;
	uint8_t octets[60];

	netns_run("ip link del va");
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(b->port->ops->rx(b->port, b->burst, BURST_MAX), 0);
	tx_one(b->port, octets, frame_to(octets, other, 3, 60), NULL);
	b->port->ops->flush(b->port);
}

static void test_refusals(void **state)
{
	struct bed *b = *state;
	struct err e;
	int sum;

	assert_int_equal(open_port(b, 9000, false, &e), -EMSGSIZE);
	assert_non_null(strstr(e.hint, "up to 3818"));
	assert_int_equal(open_port(b, 1500, true, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.message, "zero copy"));
	b->port = NULL;
	/* Nothing is left of either. */
	sum = atoi(netns_output("ip -d link show va | grep -c xdp; true"));
	assert_int_equal(sum, 0);
}

static void test_generic(void **state)
{
	struct bed *b = *state;
	struct xdp_info info;
	struct err e;
	struct xdp_spec spec = { .dev = "vm", .mtu = 1500 };
	struct port *rest;

	netns_run("ip link add vm link va type macvlan mode passthru && ip link set vm up");
	netns_wait_up("vm");
	spec.ifindex = (int)if_nametoindex("vm");
	rest = packet_port_new(packet_open(spec.ifindex, "vm", &e), spec.ifindex, true, 1);
	assert_int_equal(xdp_port_new(&b->port, &spec, rest, 1, &e), 0);
	assert_true(xdp_port_info(b->port, &info));
	assert_false(info.is_native);
	assert_int_equal(xdp_port_listen(b->port, &guest, 1, XDP_WANTS_OWNED), 0);
	send_to(b, guest, 1);
	send_to(b, broadcast, 2);
	assert_int_equal(drain(b), 2);
}

/* From now on frames that `dev` sends have a tag beside their octets, as a bridge puts it there. */
static void tag_on_egress(const char *dev, uint16_t tci)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = htons(0x8100) },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = tci },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_push },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(dev),
		    .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);

	opts.prog_fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "tagger", "GPL", code,
				     ARRAY_SIZE(code), NULL);
	assert_true(opts.prog_fd >= 0);
	assert_int_equal(bpf_tc_hook_create(&hook), 0);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
	close(opts.prog_fd);
}

/* XDP does not see such a tag, and whoever does not ask for it loses it. */
static void test_tag_beside(void **state)
{
	struct bed *b = *state;
	uint8_t sent[100];
	const uint8_t *octets;

	if (system("grep -q bpf_xdp_metadata_rx_vlan_tag /proc/kallsyms") != 0)
		skip(); /* before Linux 6.8 */
	tag_on_egress("vb", 7);
	frame_to(sent, guest, 3, sizeof(sent));
	raw_send(b->far, NULL, sent, sizeof(sent));
	assert_int_equal(rx_wait(b->port, b->burst), 1);
	octets = octets_of(b, 0);
	assert_int_equal(b->burst->frame[0].size, sizeof(sent) + 4);
	assert_memory_equal(octets, sent, 12);
	assert_memory_equal(octets + 12, ((uint8_t[]){ 0x81, 0, 0, 7 }), 4);
	assert_memory_equal(octets + 16, sent + 12, sizeof(sent) - 12);
	b->port->ops->rx_done(b->port);
	/* What the program passes has it still. */
	send_to(b, broadcast, 4);
	assert_int_equal(rx_wait(b->port, b->burst), 1);
	assert_int_equal(b->burst->frame[0].tpid, 0x8100);
	assert_int_equal(b->burst->frame[0].tci, 7);
}

/* As if the queues of the device had no sockets, because there are more than XDP_QUEUES_MAX. */
static void take_sockets_away(void)
{
	uint32_t id = 0;
	int newest = -1;

	while (bpf_map_get_next_id(id, &id) == 0) {
		struct bpf_map_info info = { 0 };
		uint32_t size = sizeof(info);
		int fd = bpf_map_get_fd_by_id(id);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
		    !strcmp(info.name, "sockets")) {
			close(newest);
			newest = fd;
		} else {
			close(fd);
		}
	}
	for (uint32_t queue = 0; queue < 4; queue++)
		assert_int_equal(bpf_map_delete_elem(newest, &queue), 0);
	close(newest);
}

/* By the rest, and with one tag. */
static void test_tag_beside_without_socket(void **state)
{
	struct bed *b = *state;

	tag_on_egress("vb", 7);
	take_sockets_away();
	send_to(b, guest, 5);
	assert_int_equal(rx_wait(b->port, b->burst), 1);
	assert_int_equal(b->burst->frame[0].size, 60);
	assert_int_equal(b->burst->frame[0].tpid, 0x8100);
	assert_int_equal(b->burst->frame[0].tci, 7);
	assert_int_equal(octets_of(b, 0)[12], 0x88);
}

/* A local sender leaves the checksum to its device, whose peer is ours. */
static void test_unfinished_checksum(void **state)
{
	struct bed *b = *state;
	static uint8_t octets[2000];
	struct vnet_hdr h;
	uint32_t size = tcp_frame(octets, 500, &h);
	int far = raw_open("vb", true);

	h.gso_type = 0;
	h.gso_size = h.hdr_len = 0;
	memcpy(octets, guest.b, sizeof(guest.b));
	raw_send(far, &h, octets, size);
	assert_int_equal(rx_wait(b->port, b->burst), 1);
	assert_int_equal(b->burst->frame[0].vnet.flags, VNET_F_NEEDS_CSUM);
	assert_int_equal(b->burst->frame[0].vnet.csum_start, 34);
	assert_int_equal(b->burst->frame[0].vnet.csum_offset, 16);
	close(far);
}

/* ---- a successor ---- */

static void send_fds(int to, const int *fd, unsigned n)
{
	char control[CMSG_SPACE(sizeof(int) * 4)] = { 0 }, one = 0;
	struct iovec iov = { &one, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = CMSG_SPACE(sizeof(int) * n) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(c), fd, sizeof(int) * n);
	assert_int_equal(sendmsg(to, &m, 0), 1);
}

static void get_fds(int from, int *fd, unsigned n)
{
	char control[CMSG_SPACE(sizeof(int) * 4)], one;
	struct iovec iov = { &one, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };

	if (recvmsg(from, &m, 0) == 1)
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int) * n);
}

/* Receive `n` frames numbered from `first`, and send each back; how many were right. */
static unsigned echo(struct xsk *x, uint8_t first, unsigned n)
{
	unsigned right = 0;

	for (unsigned tries = 0; tries < 2000 && right < n; tries++) {
		struct xsk_frame got[16];
		int64_t octets = 1 << 20;
		unsigned max = n - right < 16 ? n - right : 16, k = xsk_rx(x, got, max, &octets);

		for (unsigned i = 0; i < k; i++) {
			struct iovec iov = { got[i].octets, got[i].size };
			struct frame f = { .iov = &iov, .n_iov = 1, .size = got[i].size };

			if (got[i].octets[14] != (uint8_t)(first + right) || !xsk_tx(x, &f))
				return 0;
			right++;
		}
		xsk_rx_done(x);
		xsk_kick(x);
		if (!k)
			usleep(1000);
	}
	return right;
}

static void expect_echo(struct bed *b, unsigned n)
{
	static struct raw_frame got;

	for (unsigned i = 0; i < n; i++) {
		assert_true(raw_get(b->far, false, &got, 2000));
		assert_int_equal(got.octets[14], i);
	}
}

/*
 * The first process receives half of what has come, sends it, and dies; the second, which knows
 * only the two descriptors, goes on with the other half, and round all rings.
 */
static void test_successor(void **state)
{
	enum { N = 200, ROUNDS = 40 };
	struct bed *b = *state;
	struct xsk_spec spec = { .chunk_size = 2048, .ifindex = (int)if_nametoindex("va") };
	struct uplink_bpf *bpf;
	int pair[2], fd[2], status;
	struct xsk x;
	struct err e;
	pid_t pid;

	netns_run("ethtool -L vb rx 1 tx 1 && ethtool -L va rx 1 tx 1");
	assert_int_equal(uplink_bpf_attach(&bpf, spec.ifindex, "va", false, &e), 0);
	uplink_bpf_take_all(bpf, true);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	pid = fork();
	if (!pid) {
		spec.memory = xsk_memory(spec.chunk_size, 1);
		if (xsk_open(&x, &spec) || uplink_bpf_set_socket(bpf, 0, x.fd))
			_exit(1);
		send_fds(pair[1], (int[]){ spec.memory, x.fd }, 2);
		_exit(echo(&x, 0, N / 2) == N / 2 ? 0 : 2);
	}
	get_fds(pair[0], fd, 2);
	for (unsigned i = 0; i < N; i++)
		send_to(b, guest, (uint8_t)i);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	spec.memory = fd[0];
	assert_int_equal(xsk_adopt(&x, fd[1], &spec), 0);
	assert_int_equal(echo(&x, N / 2, N / 2), N / 2);
	expect_echo(b, N);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < N; i++)
			send_to(b, guest, (uint8_t)i);
		assert_int_equal(echo(&x, 0, N), N);
		expect_echo(b, N);
	}
	xsk_close(&x);
	uplink_bpf_free(bpf);
}

/* What the successor gets is no such memory: any words lie where the free chunks are told. */
static void test_no_successor(void **state)
{
	static const uint32_t wild[][2] = { { XSK_N_TX + 1, XSK_N_FILL },
					    { UINT32_MAX, XSK_N_FILL },
					    { 1, XSK_N_FILL - 1 },
					    { 1, XSK_N_FILL + XSK_N_TX } };
	static uint32_t word[XSK_N_TX + 2]; /* the number of chunks, the chunks, one more */
	struct xsk_spec spec = { .memory = xsk_memory(2048, 1), .chunk_size = 2048 };
	struct xsk x;

	for (unsigned i = 0; i < ARRAY_SIZE(wild); i++) {
		for (unsigned k = 0; k < ARRAY_SIZE(word); k++)
			word[k] = wild[i][k > 0];
		assert_int_equal(pwrite(spec.memory, word, sizeof(word), 0), sizeof(word));
		assert_int_equal(xsk_adopt(&x, dup(spec.memory), &spec), -EBADMSG);
	}
	close(spec.memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_gets_what, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owners_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fairness, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queues, setup_devices, teardown),
		cmocka_unit_test_setup_teardown(test_queue_without_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(test_down_and_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deleted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup_devices, teardown),
		cmocka_unit_test_setup_teardown(test_generic, setup_devices, teardown),
		cmocka_unit_test_setup_teardown(test_tag_beside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tag_beside_without_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unfinished_checksum, setup, teardown),
		cmocka_unit_test_setup_teardown(test_successor, setup_devices, teardown),
		cmocka_unit_test(test_no_successor),
	};

	if (!netns_enter())
		return NETNS_SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
