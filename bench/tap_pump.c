// SPDX-License-Identifier: Apache-2.0
/*
 * What a VMM without vhost does between a guest and the host: reads frames from one tap and writes
 * them to another, whole, with their offload headers. Stands for the user-space half when evbd is
 * measured against the Linux bridge or macvtap.
 *
 * usage: tap_pump QUEUE1 QUEUE2 [QUEUE QUEUE ...]       (queues: see tap_fd.h); runs until killed
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "frame.h"
#include "tap_fd.h"

enum { PAIRS_MAX = 8, BATCH = 64 };

static void pump(int from, int to)
{
	static char frame[FRAME_SIZE_MAX + sizeof(struct vnet_hdr)];

	for (int i = 0; i < BATCH; i++) {
		ssize_t n = read(from, frame, sizeof(frame));

		if (n <= 0)
			return;
		if (write(to, frame, (size_t)n) < 0 && errno == EBADFD)
			exit(1);
	}
}

int main(int argc, char **argv)
{
	struct pollfd p[2 * PAIRS_MAX];
	unsigned n = 0;

	if (argc < 3 || argc % 2 == 0 || argc > 1 + 2 * PAIRS_MAX) {
		fprintf(stderr, "usage: tap_pump QUEUE QUEUE [QUEUE QUEUE ...]\n");
		return 2;
	}
	for (int i = 1; i < argc; i++)
		p[n++] = (struct pollfd){ tap_fd(argv[i]), POLLIN, 0 };
	printf("ready\n");
	fflush(stdout);
	while (poll(p, n, -1) > 0) {
		for (unsigned i = 0; i < n; i++) {
			if (p[i].revents & POLLIN)
				pump(p[i].fd, p[i ^ 1].fd);
			else if (p[i].revents)
				return 0;
		}
	}
	return 0;
}
