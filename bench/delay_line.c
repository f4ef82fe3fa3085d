// SPDX-License-Identifier: Apache-2.0
/*
 * A wire between two devices that holds every frame for a time, in both directions: what netem does
 * where the kernel has it. For untagged frames of a plain Ethernet; when one came the kernel says,
 * so that only what happens at the far end is as late as this process gets a CPU. It asks for
 * SCHED_FIFO, for a wire does not wait for one.
 *
 * usage: delay_line DEV DEV MICROSECONDS            says "ready"; ends by a signal     (root)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

enum { FRAME = 2048, FLIGHT = 8192 };

#define NS_PER_S 1000000000

struct frame {
	int64_t due;
	size_t size;
	uint8_t octets[FRAME];
};

/* One end; `flight` holds what came in by it, the oldest first. */
static struct end {
	int fd;
	uint64_t head, tail;
	struct frame *flight;
} end[2];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t ns_of(struct timespec t)
{
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Of the clock by which the kernel dates frames. */
static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return ns_of(t);
}

static void attach(struct end *e, const char *dev)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(dev) };
	struct packet_mreq all = { .mr_ifindex = at.sll_ifindex, .mr_type = PACKET_MR_PROMISC };
	int on = 1, size = 64 << 20;

	e->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	e->flight = calloc(FLIGHT, sizeof(*e->flight));
	if (e->fd < 0 || !e->flight || !at.sll_ifindex ||
	    setsockopt(e->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
	    setsockopt(e->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) < 0 ||
	    setsockopt(e->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0 ||
	    setsockopt(e->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0 ||
	    setsockopt(e->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
	    bind(e->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die(dev);
}

/* Take in one frame, due `delay` after the kernel had it. False: there is none, or no room. */
static bool take(struct end *e, int64_t delay)
{
	struct frame *f = &e->flight[e->head % FLIGHT];
	struct iovec iov = { f->octets, sizeof(f->octets) };
	union {
		struct cmsghdr align;
		uint8_t octets[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct timespec came;
	struct cmsghdr *c;
	ssize_t n;

	if (e->head - e->tail == FLIGHT)
		return false;
	n = recvmsg(e->fd, &msg, MSG_TRUNC);
	if (n < 0)
		return false;
	if ((size_t)n > sizeof(f->octets)) /* of no wire whose frames have 1500 octets */
		return true;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_type == SO_TIMESTAMPNS) {
		memcpy(&came, CMSG_DATA(c), sizeof(came));
		f->due = ns_of(came) + delay;
	} else {
		f->due = now_ns() + delay;
	}
	f->size = (size_t)n;
	e->head++;
	return true;
}

/* Send what is due, and return when the next will be, or 0. */
static int64_t give(struct end *from, const struct end *to)
{
	int64_t now = now_ns();

	for (; from->head != from->tail; from->tail++) {
		const struct frame *f = &from->flight[from->tail % FLIGHT];

		if (f->due > now)
			return f->due;
		if (send(to->fd, f->octets, f->size, 0) < 0 && errno != EAGAIN &&
		    errno != ENETDOWN && errno != ENOBUFS)
			die("send");
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct sched_param first = { .sched_priority = 1 };
	int64_t delay = argc == 4 ? atoll(argv[3]) * 1000 : -1;

	if (delay < 0) {
		fprintf(stderr, "usage: delay_line DEV DEV MICROSECONDS\n");
		return 2;
	}
	prctl(PR_SET_TIMERSLACK, 1);
	sched_setscheduler(0, SCHED_FIFO, &first); /* if it may not, it is less exact */
	for (unsigned i = 0; i < 2; i++)
		attach(&end[i], argv[1 + i]);
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct pollfd p[2] = { { end[0].fd, POLLIN, 0 }, { end[1].fd, POLLIN, 0 } };
		int64_t a, b, next, left;
		struct timespec t;

		for (unsigned i = 0; i < 2; i++) {
			for (unsigned n = 0; n < 64 && take(&end[i], delay); n++)
				;
		}
		a = give(&end[0], &end[1]);
		b = give(&end[1], &end[0]);
		next = !a || (b && b < a) ? b : a;
		left = next ? next - now_ns() : 0;
		t = (struct timespec){ left > 0 ? left / NS_PER_S : 0,
				       left > 0 ? left % NS_PER_S : 0 };
		ppoll(p, 2, next ? &t : NULL, NULL);
	}
}
