// SPDX-License-Identifier: Apache-2.0
/*
 * Two guests with small frames, as a VMM without vhost has them: one thread writes frames to the
 * first queue as fast as it can, another reads what comes out of the second. Prints
 * {"sent":N,"received":N,"mpps":X}; a frame that is not one of ours is not counted.
 *
 * usage: tap_load SECONDS SIZE MAC-A MAC-B QUEUE-A QUEUE-B       (queues: see tap_fd.h)
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

enum { HEADER = sizeof(struct vnet_hdr), SIZE_MAX_OCTETS = 1514, WARM_UP_MS = 200 };

static unsigned char frame[HEADER + SIZE_MAX_OCTETS];
static size_t frame_size;
static atomic_ulong sent, received;
static atomic_bool stop;

static void *writer(void *fd)
{
	while (!stop) {
		if (write(*(int *)fd, frame, frame_size) == (ssize_t)frame_size)
			atomic_fetch_add_explicit(&sent, 1, memory_order_relaxed);
	}
	return NULL;
}

static void *reader(void *fd)
{
	struct pollfd p = { *(int *)fd, POLLIN, 0 };
	unsigned char got[2048];

	while (!stop) {
		ssize_t n = read(p.fd, got, sizeof(got));

		if (n < 0)
			poll(&p, 1, 10);
		else if ((size_t)n == frame_size && !memcmp(got + HEADER, frame + HEADER, 14))
			atomic_fetch_add_explicit(&received, 1, memory_order_relaxed);
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

	size = argc == 7 ? atoi(argv[2]) : 0;
	if (size < 60 || size > SIZE_MAX_OCTETS) {
		fprintf(stderr, "usage: tap_load SECONDS SIZE MAC-A MAC-B QUEUE-A QUEUE-B\n");
		return 2;
	}
	parse_mac(frame + HEADER, argv[4]);
	parse_mac(frame + HEADER + 6, argv[3]);
	frame[HEADER + 12] = 0x88; /* EtherType for experiments, IEEE 802 clause 9.2.3 */
	frame[HEADER + 13] = 0xb5;
	frame_size = HEADER + (size_t)size;
	fd[0] = tap_fd(argv[5]);
	fd[1] = tap_fd(argv[6]);
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
