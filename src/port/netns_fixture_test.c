// SPDX-License-Identifier: Apache-2.0
#include "netns_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "eth.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

bool netns_enter(void)
{
	int fd;

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		printf("skipped: needs root, to make a network namespace\n");
		return false;
	}
	if (access("/dev/net/tun", R_OK | W_OK) < 0) {
		printf("skipped: no /dev/net/tun\n");
		return false;
	}
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "1", 1);
		close(fd);
	}
	netns_run("ip link set lo up");
	return true;
}

void netns_run(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

const char *netns_output(const char *fmt, ...)
{
	static char text[16384];
	char command[512];
	va_list ap;
	FILE *f;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	if (pclose(f) != 0)
		fail_msg("failed: %s", command);
	return text;
}

void netns_wait_up(const char *dev)
{
	for (unsigned tries = 0; tries < 100; tries++) {
		if (strstr(netns_output("ip link show %s", dev), "state UP"))
			return;
		usleep(20 * 1000);
	}
	fail_msg("%s does not come up", dev);
}

/* ---- the other side ---- */

int raw_open(const char *dev, bool vnet)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(dev) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0 && to.sll_ifindex > 0);
	if (vnet)
		assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

void raw_send(int fd, const struct vnet_hdr *h, const uint8_t *octets, uint32_t size)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)h, h ? sizeof(*h) : 0 },
				{ (void *)(uintptr_t)octets, size } };

	assert_int_equal(writev(fd, iov, 2), (ssize_t)(size + iov[0].iov_len));
}

static void raw_tag(struct raw_frame *f, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		f->tci = aux.tp_status & TP_STATUS_VLAN_VALID ? aux.tp_vlan_tci : 0;
		f->tpid = aux.tp_status & TP_STATUS_VLAN_VALID ? aux.tp_vlan_tpid : 0;
	}
}

bool raw_get(int fd, bool vnet, struct raw_frame *f, int ms)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char control[256];
		struct iovec iov[2] = { { &f->vnet, vnet ? sizeof(f->vnet) : 0 },
					{ f->octets, sizeof(f->octets) } };
		struct msghdr m = { .msg_iov = iov,
				    .msg_iovlen = 2,
				    .msg_control = control,
				    .msg_controllen = sizeof(control) };
		ssize_t size;
		uint16_t type;

		if (poll(&p, 1, ms) <= 0)
			return false;
		size = recvmsg(fd, &m, MSG_DONTWAIT);
		if (size < (ssize_t)(ETH_HEADER_SIZE + iov[0].iov_len))
			continue;
		f->size = (uint32_t)size - (uint32_t)iov[0].iov_len;
		raw_tag(f, &m);
		type = eth_load16(f->octets + 12);
		if (type == TEST_TYPE || type == ETHERTYPE_IPV4 || ethertype_is_tag(type))
			return true;
	}
}

/* ---- our side ---- */

struct burst *burst_make(void)
{
	struct burst *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->octets_max = 1 << 20;
	b->arena = mmap(NULL, (size_t)BURST_MAX * ARENA_SLOT_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(b->arena, MAP_FAILED);
	return b;
}

void burst_free(struct burst *b)
{
	munmap(b->arena, (size_t)BURST_MAX * ARENA_SLOT_SIZE);
	free(b);
}

unsigned rx_wait(struct port *p, struct burst *b)
{
	struct pollfd fd = { .fd = p->fd, .events = POLLIN };
	unsigned n = p->ops->rx(p, b, BURST_MAX);

	for (unsigned tries = 0; !n && tries < 20; tries++) {
		poll(&fd, 1, 100);
		n = p->ops->rx(p, b, BURST_MAX);
	}
	return n;
}

bool tx_one(struct port *p, const uint8_t *octets, uint32_t size, const struct vnet_hdr *h)
{
	struct iovec iov = { (void *)(uintptr_t)octets, size };
	struct frame f = { .iov = &iov, .n_iov = 1, .size = size };
	const struct frame *list = &f;

	if (h)
		f.vnet = *h;
	return p->ops->tx(p, &list, 1) == 1;
}

/* ---- frames ---- */

uint32_t test_frame(uint8_t *octets, uint8_t src, uint8_t number, uint32_t size)
{
	static const uint8_t head[14] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 0, 0, 0 };

	memcpy(octets, head, sizeof(head));
	octets[11] = src;
	octets[12] = TEST_TYPE >> 8;
	octets[13] = TEST_TYPE & 0xff;
	for (uint32_t i = 14; i < size; i++)
		octets[i] = (uint8_t)(number + i);
	octets[14] = number;
	return size;
}

static void store16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t sum16(const uint8_t *p, uint32_t size, uint32_t sum)
{
	for (uint32_t i = 0; i + 1 < size; i += 2)
		sum += eth_load16(p + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

uint32_t tcp_frame(uint8_t *octets, uint32_t payload, struct vnet_hdr *h)
{
	uint32_t size = test_frame(octets, 1, 0, 14 + 40 + payload);
	static const uint8_t headers[40] = { 0x45, 0, 0,    0,	  0,	1,	0x40, 0,  64,
					     6,	   0, 0,    10,	  0,	0,	1,    10, 0,
					     0,	   2, 0x12, 0x34, 0x56, 0x78,	0,    0,  0,
					     1,	   0, 0,    0,	  0,	5 << 4, 0x10, 4,  0 };

	store16(octets + 12, ETHERTYPE_IPV4);
	memcpy(octets + 14, headers, sizeof(headers));
	store16(octets + 16, 40 + payload);
	store16(octets + 24, ~sum16(octets + 14, 20, 0));
	store16(octets + 50, sum16(octets + 26, 8, 6 + 20 + payload));
	*h = (struct vnet_hdr){ .flags = VNET_F_NEEDS_CSUM,
				.gso_type = VNET_GSO_TCPV4,
				.hdr_len = 54,
				.gso_size = 1000,
				.csum_start = 34,
				.csum_offset = 16 };
	return size;
}
