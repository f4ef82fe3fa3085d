// SPDX-License-Identifier: Apache-2.0
/*
 * What a VMM without vhost does between a guest and the host: reads frames from one tap and writes
 * them to another, whole, with their offload headers. Stands for the user-space half when evbd is
 * measured against the Linux bridge.
 *
 * usage: tap_pump NETNS1:DEV1 DEV2 [NETNS:DEV DEV ...]     creates the taps; runs until killed
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"
#include "tap.h"

enum { PAIRS_MAX = 8, BATCH = 64 };

static int open_tap(const char *dev)
{
	struct tap_spec s = { .owner = (uid_t)-1, .group = (gid_t)-1, .offload = true };
	struct tap_opened o;
	struct err e;

	snprintf(s.dev, sizeof(s.dev), "%s", dev);
	if (tap_open(&s, &o, &e) < 0) {
		fprintf(stderr, "tap_pump: %s\n", e.message);
		exit(1);
	}
	return o.fd;
}

/* NETNS:DEV in that namespace, DEV in this one. */
static int open_in(char *spec)
{
	char path[128], *colon = strchr(spec, ':');
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), ns, fd;

	if (!colon)
		return open_tap(spec);
	*colon = '\0';
	snprintf(path, sizeof(path), "/run/netns/%s", spec);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0) {
		perror(path);
		exit(1);
	}
	fd = open_tap(colon + 1);
	if (setns(home, CLONE_NEWNET) < 0)
		abort();
	close(ns);
	close(home);
	return fd;
}

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
		fprintf(stderr, "usage: tap_pump NETNS:DEV DEV [NETNS:DEV DEV ...]\n");
		return 2;
	}
	for (int i = 1; i < argc; i++)
		p[n++] = (struct pollfd){ open_in(argv[i]), POLLIN, 0 };
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
