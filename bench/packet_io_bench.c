// SPDX-License-Identifier: Apache-2.0
/*
 * Batched calls or rings for AF_PACKET? One thread sends a batch into one end of a veth pair, in a
 * network namespace of its own, and receives it at the other end, by recvmmsg() or through a
 * TPACKET_V2 ring, both with the offload header. As everything happens on one CPU, its time per
 * frame has all that receiving costs, in system calls, in softirq and in user space; sending costs
 * the same in both. Median of several interleaved runs.
 *
 * usage: packet_io_bench [RUNS]     (root)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vnet.h"

enum {
	BATCH = 16,
	SLOT = 65536 + 256,
	RING_FRAME_SMALL = 2048,
	RING_FRAME_LARGE = 128 << 10, /* a GSO frame must fit into one ring frame */
	RING_SIZE = 8 << 20,
	RUN_FRAMES = 100000,
	RUNS_MAX = 99,
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double thread_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int packet_socket(const char *dev)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, size = RING_SIZE;

	to.sll_ifindex = (int)if_nametoindex(dev);
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0)
		die("packet socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("bind");
	return fd;
}

/* A batch of frames of `size` octets, GSO above the MTU. */
struct load {
	int fd;
	uint8_t octets[SLOT];
	struct vnet_hdr h;
	struct iovec iov[2];
	struct mmsghdr msg[BATCH];
};

static void load_init(struct load *l, const char *dev, size_t size)
{
	memset(l, 0, sizeof(*l));
	l->fd = packet_socket(dev);
	memset(l->octets, 0x02, 12);
	l->octets[12] = 0x08;
	if (size > 1514) { /* TCP over IPv4, enough for the kernel to accept the offload header */
		uint8_t *ip = l->octets + 14;

		ip[0] = 0x45;
		ip[2] = (uint8_t)((size - 14) >> 8);
		ip[3] = (uint8_t)(size - 14);
		ip[8] = 64;
		ip[9] = 6;
		ip[32] = 0x50;
		l->h = (struct vnet_hdr){ VNET_F_NEEDS_CSUM, VNET_GSO_TCPV4, 54, 1448, 34, 16 };
	}
	l->iov[0] = (struct iovec){ &l->h, sizeof(l->h) };
	l->iov[1] = (struct iovec){ l->octets, size };
	for (int i = 0; i < BATCH; i++) {
		l->msg[i].msg_hdr.msg_iov = l->iov;
		l->msg[i].msg_hdr.msg_iovlen = 2;
	}
}

static void load_send(struct load *l)
{
	if (sendmmsg(l->fd, l->msg, BATCH, 0) != BATCH)
		die("sendmmsg");
}

static double receive_calls(struct load *l, const char *dev)
{
	static uint8_t slot[BATCH][SLOT];
	struct vnet_hdr h[BATCH];
	struct iovec iov[BATCH][2];
	struct mmsghdr msg[BATCH];
	int fd = packet_socket(dev);
	double start = thread_cpu_ns();
	unsigned frames = 0;

	memset(msg, 0, sizeof(msg));
	for (int i = 0; i < BATCH; i++) {
		iov[i][0] = (struct iovec){ &h[i], sizeof(h[i]) };
		iov[i][1] = (struct iovec){ slot[i], SLOT };
		msg[i].msg_hdr.msg_iov = iov[i];
		msg[i].msg_hdr.msg_iovlen = 2;
	}
	while (frames < RUN_FRAMES) {
		load_send(l);
		for (int got = 0, n; got < BATCH; got += n) {
			n = recvmmsg(fd, msg, (unsigned)(BATCH - got), 0, NULL);
			if (n <= 0)
				die("recvmmsg");
		}
		frames += BATCH;
	}
	close(fd);
	return (thread_cpu_ns() - start) / frames;
}

/* Copy the frame in the ring's next place out, once it is there, and give the place back. */
static void ring_take(int fd, uint8_t *place, uint8_t *slot)
{
	struct tpacket2_hdr *t = (void *)place;
	struct pollfd p = { fd, POLLIN, 0 };

	while (!(__atomic_load_n(&t->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
		poll(&p, 1, 1000);
	memcpy(slot, place + t->tp_mac - sizeof(struct vnet_hdr),
	       t->tp_snaplen + sizeof(struct vnet_hdr));
	__atomic_store_n(&t->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

static double receive_ring(struct load *l, const char *dev, unsigned frame_size)
{
	static uint8_t slot[BATCH][SLOT];
	struct tpacket_req req = { .tp_block_size = frame_size < 4096 ? 4096 : frame_size,
				   .tp_frame_size = frame_size };
	int fd = packet_socket(dev), version = TPACKET_V2;
	unsigned frames = 0, at = 0;
	double start;
	uint8_t *ring;

	req.tp_block_nr = RING_SIZE / req.tp_block_size;
	req.tp_frame_nr = RING_SIZE / frame_size;
	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) < 0)
		die("ring");
	ring = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (ring == MAP_FAILED)
		die("mmap");
	start = thread_cpu_ns();
	while (frames < RUN_FRAMES) {
		load_send(l);
		for (int i = 0; i < BATCH; i++) {
			ring_take(fd, ring + (size_t)at * frame_size, slot[i]);
			at = (at + 1) % req.tp_frame_nr;
		}
		frames += BATCH;
	}
	start = (thread_cpu_ns() - start) / frames;
	munmap(ring, RING_SIZE);
	close(fd);
	return start;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void bench(size_t size, unsigned runs)
{
	static struct load load;
	double calls[RUNS_MAX], ring[RUNS_MAX], large[RUNS_MAX];

	load_init(&load, "a0", size);
	for (unsigned r = 0; r < runs; r++) {
		calls[r] = receive_calls(&load, "b0");
		ring[r] = size > 1514 ? 0 : receive_ring(&load, "b0", RING_FRAME_SMALL);
		large[r] = receive_ring(&load, "b0", RING_FRAME_LARGE);
	}
	close(load.fd);
	qsort(calls, runs, sizeof(*calls), compare);
	qsort(ring, runs, sizeof(*ring), compare);
	qsort(large, runs, sizeof(*large), compare);
	printf("packet send and receive %6zu octets: recvmmsg %6.0f ns", size, calls[runs / 2]);
	if (size <= 1514)
		printf("   ring of 2 KiB frames %6.0f ns (x %.2f)", ring[runs / 2],
		       ring[runs / 2] / calls[runs / 2]);
	printf("   ring of 128 KiB frames %6.0f ns (x %.2f)\n", large[runs / 2],
	       large[runs / 2] / calls[runs / 2]);
}

int main(int argc, char **argv)
{
	unsigned runs = argc > 1 ? (unsigned)atoi(argv[1]) : 5;

	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	if (runs < 1 || runs > RUNS_MAX || unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "usage: packet_io_bench [RUNS]   (1..%u, as root)\n", RUNS_MAX);
		return 2;
	}
	if (system("ip link add a0 type veth peer name b0 && "
		   "ip link set a0 addrgenmode none up && ip link set b0 addrgenmode none up") != 0)
		return 1;
	bench(64, runs);
	bench(1514, runs);
	bench(65000, runs);
	return 0;
}
