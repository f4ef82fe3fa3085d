// SPDX-License-Identifier: Apache-2.0
#include "tap_fd.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tap.h"
#include "vnet.h"

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int open_tap(const char *dev)
{
	struct tap_spec s = { .owner = (uid_t)-1, .group = (gid_t)-1, .offload = true };
	struct tap_opened o;
	struct err e;

	snprintf(s.dev, sizeof(s.dev), "%s", dev);
	if (tap_open(&s, &o, &e) < 0) {
		fprintf(stderr, "%s\n", e.message);
		exit(1);
	}
	return o.fd;
}

static int open_macvtap(const char *path)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC), header = sizeof(struct vnet_hdr);

	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) < 0)
		die(path);
	return fd;
}

int tap_fd(char *spec)
{
	char path[128], *colon = strchr(spec, ':');
	int home, ns, fd;

	if (spec[0] == '/')
		return open_macvtap(spec);
	if (!colon)
		return open_tap(spec);
	*colon = '\0';
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/run/netns/%s", spec);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		die(path);
	fd = open_tap(colon + 1);
	if (setns(home, CLONE_NEWNET) < 0)
		abort();
	close(ns);
	close(home);
	return fd;
}
