// SPDX-License-Identifier: Apache-2.0
/*
 * Two guests with small frames, as a VMM without vhost has them: one thread writes frames to the
 * first queue as fast as it can, another reads what comes out of the second. The frames are those
 * of connected UDP sockets of Linux: identifications that count up, and a checksum left to whoever
 * sends them on. Prints {"sent":N,"received":N,"mpps":X}; other frames are not counted.
 *
 * usage: tap_load SECONDS SIZE SOCKETS MAC-A MAC-B QUEUE-A QUEUE-B      (queues: see tap_fd.h)
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tap_fd.h"
#include "vnet.h"

enum {
	HEADER = sizeof(struct vnet_hdr),
	IP_AT = 14,
	HEADERS = HEADER + IP_AT + 28,
	SIZE_MAX_OCTETS = 1514,
	WARM_UP_MS = 200
};

static unsigned char frame[HEADER + SIZE_MAX_OCTETS];
static size_t frame_size;
static unsigned sockets, ip_sum; /* sum of the IPv4 header but its identification */
static atomic_ulong sent, received;
static atomic_bool stop;

static void store_be16(unsigned char *at, unsigned v)
{
	at[0] = (unsigned char)(v >> 8);
	at[1] = (unsigned char)v;
}

static unsigned fold(unsigned sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Ethernet addresses are there. */
static void make_frame(int size)
{
	struct vnet_hdr h = { .flags = VNET_F_NEEDS_CSUM,
			      .csum_start = IP_AT + 20,
			      .csum_offset = 6 };
	unsigned char *ip = frame + HEADER + IP_AT;
	unsigned len = (unsigned)size - IP_AT;

	memcpy(frame, &h, sizeof(h));
	ip[-2] = 8; /* IPv4 */
	ip[0] = 0x45;
	store_be16(ip + 2, len);
	ip[6] = 0x40; /* DF */
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, (unsigned char[]){ 192, 0, 2, 1, 192, 0, 2, 2 }, 8);
	for (unsigned i = 0; i < 20; i += 2)
		ip_sum += (unsigned)(ip[i] << 8 | ip[i + 1]);
	store_be16(ip + 22, 9);
	store_be16(ip + 24, len - 20);
	store_be16(ip + 26, fold(2 * (192 << 8) + 2 * (2 << 8) + 1 + 2 + 17 + len - 20));
}

static void stamp(unsigned seq)
{
	unsigned char *ip = frame + HEADER + IP_AT;

	store_be16(ip + 4, seq / sockets);
	store_be16(ip + 10, ~fold(ip_sum + (seq / sockets & 0xffff)));
	store_be16(ip + 20, 1024 + seq % sockets);
}

static void *writer(void *fd)
{
	for (unsigned seq = 0; !stop; seq++) {
		stamp(seq);
		if (write(*(int *)fd, frame, frame_size) == (ssize_t)frame_size)
			atomic_fetch_add_explicit(&sent, 1, memory_order_relaxed);
	}
	return NULL;
}

/* How many of our frames it is, which may come as one GSO frame. */
static size_t frames_in(const unsigned char *got, size_t size)
{
	struct vnet_hdr h;

	memcpy(&h, got, sizeof(h));
	if (memcmp(got + HEADER, frame + HEADER, IP_AT) != 0)
		return 0;
	if (h.gso_type != VNET_GSO_UDP_L4 || !h.gso_size)
		return size == frame_size;
	return (size - HEADERS + h.gso_size - 1) / h.gso_size;
}

static void *reader(void *fd)
{
	static unsigned char got[1 << 17];
	struct pollfd p = { *(int *)fd, POLLIN, 0 };

	while (!stop) {
		ssize_t n = read(p.fd, got, sizeof(got));

		if (n < 0)
			poll(&p, 1, 10);
		else if (n > HEADERS)
			atomic_fetch_add_explicit(&received, frames_in(got, (size_t)n),
						  memory_order_relaxed);
	}
	return NULL;
}

static void parse_mac(unsigned char *to, const char *word)
{
	if (sscanf(word, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", to, to + 1, to + 2, to + 3, to + 4,
		   to + 5) != 6) {
		fprintf(stderr, "tap_load: %s is no MAC\n", word);
		exit(2);
	}
}

static void rest(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	unsigned long sent_before, received_before, n;
	pthread_t thread[2];
	double start, seconds;
	int fd[2], size;

	size = argc == 8 ? atoi(argv[2]) : 0;
	sockets = argc == 8 ? (unsigned)atoi(argv[3]) : 0;
	if (!sockets || size < 60 || size > SIZE_MAX_OCTETS) {
		fprintf(stderr,
			"usage: tap_load SECONDS SIZE SOCKETS MAC-A MAC-B QUEUE-A QUEUE-B\n");
		return 2;
	}
	parse_mac(frame + HEADER, argv[5]);
	parse_mac(frame + HEADER + 6, argv[4]);
	make_frame(size);
	frame_size = HEADER + (size_t)size;
	fd[0] = tap_fd(argv[6]);
	fd[1] = tap_fd(argv[7]);
	pthread_create(&thread[0], NULL, writer, &fd[0]);
	pthread_create(&thread[1], NULL, reader, &fd[1]);
	rest(WARM_UP_MS);
	sent_before = sent;
	received_before = received;
	start = now();
	rest((long)(atof(argv[1]) * 1e3));
	n = received - received_before;
	seconds = now() - start;
	printf("{\"sent\":%lu,\"received\":%lu,\"mpps\":%.4f}\n", sent - sent_before, n,
	       (double)n / seconds / 1e6);
	stop = true;
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	return n == 0;
}
