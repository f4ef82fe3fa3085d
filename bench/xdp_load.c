// SPDX-License-Identifier: Apache-2.0
/*
 * Frames on a device, as fast as one thread sends them, or received by a port of evbd and dropped;
 * for xdp_bench.py.
 *
 * usage: xdp_load send DEV SECONDS [HEX]      prints frames sent, in millions a second; HEX: what
 *                                             the frame begins with, instead of a guest's address
 *        xdp_load xdp|xdp-all|packet DEV SECONDS      prints frames received, likewise     (root)
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "xdp.h"

enum { SIZE = 64 - 4 /* without the FCS */, BATCH = 64 };

static const struct mac guest = { { 0x52, 0x54, 0, 0, 0, 1 } };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Returns how many were sent. */
static double send_frames(const char *dev, double seconds, const char *head)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(dev) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1, size = 8 << 20;
	struct mmsghdr msg[BATCH] = { { .msg_len = 0 } };
	uint8_t octets[SIZE] = { 0 };
	struct iovec iov = { octets, SIZE };
	double end = now_s() + seconds, n = 0;

	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		die(dev);
	memcpy(octets, guest.b, sizeof(guest.b));
	octets[6] = 2;
	octets[12] = 0x88;
	octets[13] = 0xb5;
	for (unsigned i = 0; head[2 * i] && i < SIZE; i++)
		sscanf(head + 2 * i, "%2hhx", &octets[i]);
	for (unsigned i = 0; i < BATCH; i++)
		msg[i].msg_hdr = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1 };
	while (now_s() < end) {
		int sent = sendmmsg(fd, msg, BATCH, 0);

		n += sent > 0 ? sent : 0;
	}
	return n;
}

static struct port *open_port(const char *dev, bool xdp, enum xdp_wants wants)
{
	struct xdp_spec spec = { .ifindex = (int)if_nametoindex(dev), .dev = dev, .mtu = 1500 };
	struct err e = { .message = "out of memory" };
	int fd = packet_open(spec.ifindex, dev, &e);
	struct port *p = fd < 0 ? NULL : packet_port_new(fd, spec.ifindex, true, 1);

	if (!p || (xdp && xdp_port_new(&p, &spec, p, 1, &e) < 0) ||
	    xdp_port_listen(p, &guest, 1, wants) < 0) {
		fprintf(stderr, "%s\n", e.message);
		exit(1);
	}
	return p;
}

static unsigned receive(struct port *p, struct burst *b)
{
	unsigned n = p->ops->rx(p, b, BURST_MAX);

	if (p->ops->rx_done)
		p->ops->rx_done(p);
	return n;
}

/* Returns how many came. */
static double drop_frames(const char *dev, bool xdp, enum xdp_wants wants, double seconds)
{
	struct burst *b = calloc(1, sizeof(*b));
	struct port *p = open_port(dev, xdp, wants);
	double end, n = 0;

	if (!b)
		die("memory");
	b->octets_max = 96 << 10;
	b->arena = mmap(NULL, (size_t)BURST_MAX * ARENA_SLOT_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->arena == MAP_FAILED)
		die("memory");
	puts("ready");
	fflush(stdout);
	/* Time begins with the first frame: the sender has to start yet. */
	for (end = now_s() + 5; n == 0 && now_s() < end;)
		n += receive(p, b);
	for (end = now_s() + seconds; now_s() < end;) {
		for (unsigned i = 0; i < 16; i++)
			n += receive(p, b);
	}
	port_free(p);
	return n;
}

int main(int argc, char **argv)
{
	double seconds = argc == 4 || argc == 5 ? atof(argv[3]) : 0, n;

	if (seconds <= 0) {
		fprintf(stderr, "usage: xdp_load send|xdp|xdp-all|packet DEV SECONDS [HEX]\n");
		return 2;
	}
	n = strcmp(argv[1], "send") ?
		    drop_frames(argv[2], !strncmp(argv[1], "xdp", 3),
				strcmp(argv[1], "xdp-all") ? XDP_WANTS_OWNED : XDP_WANTS_ALL,
				seconds) :
		    send_frames(argv[2], seconds, argc == 5 ? argv[4] : "");
	printf("%.3f\n", n / seconds / 1e6);
	return 0;
}
