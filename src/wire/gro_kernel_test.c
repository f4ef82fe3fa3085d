// SPDX-License-Identifier: Apache-2.0
/*
 * What we coalesce against what the kernel's GRO does, octet for octet. In namespaces of its own
 * the test makes a veth pair, sends a burst of segments into one end and reads what comes out of
 * GRO at the other. Frames of a connection are compared by sequence number: the kernel lets some
 * pass each other where we do not. Left out are the events that we treat otherwise on purpose, see
 * GRO_KERNEL_EVENTS and docs/forwarding.md.
 * Skipped without CAP_NET_ADMIN, ip(8) or ethtool(8).
 */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "eth.h"
#include "gro.h"
#include "gro_sample.h"

enum {
	/* The kernel keeps segments of one clock tick together; a burst may happen to meet the end
	 * of a tick, then it is sent again. */
	TRIES = 12,
	WAIT_MS = 600,
};

/* With the timeout GRO waits for more; else each frame sent would be a poll of its own. */
static const char set_up[] = "ip link add gro0 mtu 2000 type veth peer name gro1 mtu 2000 && "
			     "ethtool -K gro0 tso off && ethtool -K gro1 gro on && "
			     "echo 4000000 >/sys/class/net/gro1/gro_flush_timeout && "
			     "echo 1000 >/sys/class/net/gro1/napi_defer_hard_irqs && "
			     "ip link set gro0 up && ip link set gro1 up";

struct kernel {
	int a, b;
};

/* A frame that came out, ours or the kernel's. */
struct result {
	uint32_t seq, size;
	uint16_t port; /* of the sender: the connection */
	struct vnet_hdr vnet;
	uint8_t *octets; /* allocated */
};

struct results {
	unsigned n;
	struct result r[GRO_FRAMES_MAX * 2];
};

static struct burst {
	unsigned n;
	uint8_t octets[GRO_FRAMES_MAX][GRO_SEGMENT_MAX];
	struct iovec iov[GRO_FRAMES_MAX];
	struct frame frame[GRO_FRAMES_MAX];
	const struct frame *in[GRO_FRAMES_MAX];
	char events[GRO_FRAMES_MAX * 8];
} b;

static int packet_open(const char *dev, bool has_vnet)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_protocol = has_vnet ? htons(ETH_P_ALL) : 0,
				  .sll_ifindex = (int)if_nametoindex(dev) };
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = has_vnet, size = 8 << 20;

	if (s < 0 || setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
	    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
	    bind(s, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	return s;
}

static int kernel_open(void **state)
{
	static struct kernel k;

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL) < 0) {
		print_message("no namespaces: %s\n", strerror(errno));
		return 0;
	}
	if (system("sysctl -qw net.ipv6.conf.default.disable_ipv6=1") || system(set_up)) {
		print_message("no veth pair with GRO\n");
		return 0;
	}
	k.a = packet_open("gro0", false);
	k.b = packet_open("gro1", true);
	if (k.a < 0 || k.b < 0)
		return -1;
	*state = &k;
	return 0;
}

static struct kernel *kernel_or_skip(void **state)
{
	if (!*state)
		skip();
	return *state;
}

/* ---- results ---- */

static void result_add(struct results *all, struct vnet_hdr vnet, const uint8_t *octets,
		       uint32_t size)
{
	struct result *r = &all->r[all->n++];
	uint32_t l4 = eth_load16(octets + 12) == ETHERTYPE_IPV6 ? 54 : 34;

	assert_true(all->n <= GRO_FRAMES_MAX * 2);
	*r = (struct result){ .size = size, .vnet = vnet, .octets = malloc(size) };
	assert_non_null(r->octets);
	memcpy(r->octets, octets, size);
	r->port = eth_load16(octets + l4);
	/* The kernel tells how much of its buffer is in one piece. */
	if (vnet.gso_type)
		r->vnet.hdr_len = (uint16_t)(l4 + (octets[l4 + 12] >> 4) * 4u);
	r->seq = (uint32_t)eth_load16(octets + l4 + 4) << 16 | eth_load16(octets + l4 + 6);
}

static void results_free(struct results *all)
{
	while (all->n)
		free(all->r[--all->n].octets);
}

static int result_compare(const void *x, const void *y)
{
	const struct result *a = x, *c = y;

	if (a->port != c->port)
		return a->port < c->port ? -1 : 1;
	if (a->seq != c->seq)
		return (int32_t)(a->seq - c->seq) < 0 ? -1 : 1;
	if (a->size != c->size)
		return a->size < c->size ? -1 : 1;
	return memcmp(a->octets, c->octets, a->size);
}

static void run_ours(struct results *all)
{
	static struct gro gro;
	static uint8_t octets[FRAME_SIZE_MAX];
	unsigned n = gro_run(&gro, b.in, b.n, OFFLOAD_TSO4 | OFFLOAD_TSO6);

	for (unsigned i = 0; i < n; i++)
		result_add(all, gro.out[i]->vnet, octets, sample_flatten(gro.out[i], octets));
	qsort(all->r, all->n, sizeof(all->r[0]), result_compare);
}

/* How many segments a frame of the kernel's is made of. */
static unsigned segments(const struct result *r)
{
	uint32_t payload = r->size - r->vnet.hdr_len;

	return r->vnet.gso_type ? (payload + r->vnet.gso_size - 1) / r->vnet.gso_size : 1;
}

static void run_kernel(const struct kernel *k, struct results *all)
{
	static uint8_t octets[FRAME_SIZE_MAX + sizeof(struct vnet_hdr)];
	struct mmsghdr msg[GRO_FRAMES_MAX] = { 0 };
	struct pollfd p = { .fd = k->b, .events = POLLIN };
	struct vnet_hdr vnet;
	unsigned n = 0;

	for (unsigned i = 0; i < b.n; i++)
		msg[i].msg_hdr = (struct msghdr){ .msg_iov = &b.iov[i], .msg_iovlen = 1 };
	assert_int_equal(sendmmsg(k->a, msg, b.n, 0), b.n);
	while (n < b.n && poll(&p, 1, WAIT_MS) > 0) {
		ssize_t size = recv(k->b, octets, sizeof(octets), 0);

		assert_true(size > (ssize_t)sizeof(vnet));
		memcpy(&vnet, octets, sizeof(vnet));
		result_add(all, vnet, octets + sizeof(vnet), (uint32_t)size - sizeof(vnet));
		n += segments(&all->r[all->n - 1]);
	}
	assert_int_equal(n, b.n);
	qsort(all->r, all->n, sizeof(all->r[0]), result_compare);
}

/* What differs, or NULL. */
static const char *difference(const struct results *ours, const struct results *theirs)
{
	static char text[300];

	for (unsigned i = 0; i < ours->n || i < theirs->n; i++) {
		const struct result *a = &ours->r[i], *c = &theirs->r[i];

		if (i == ours->n || i == theirs->n || a->size != c->size ||
		    memcmp(a->octets, c->octets, a->size) != 0 ||
		    a->vnet.gso_type != c->vnet.gso_type ||
		    (a->vnet.gso_type && memcmp(&a->vnet, &c->vnet, sizeof(a->vnet)) != 0)) {
			uint32_t at = 0;

			while (i < ours->n && i < theirs->n && at < a->size && at < c->size &&
			       a->octets[at] == c->octets[at])
				at++;
			snprintf(text, sizeof(text),
				 "frame %u of %u, %u: %u octets, GSO %u of %u; the kernel has %u, "
				 "GSO %u of %u; octet %u",
				 i, ours->n, theirs->n, i < ours->n ? a->size : 0, a->vnet.gso_type,
				 a->vnet.gso_size, i < theirs->n ? c->size : 0, c->vnet.gso_type,
				 c->vnet.gso_size, at);
			return text;
		}
	}
	return NULL;
}

/* ---- bursts ---- */

static void burst_add(struct gro_walk *w, unsigned connection, enum gro_event event)
{
	struct gro_spec s = gro_walk_next(w, connection, event);
	uint32_t size = gro_sample_make(&s, b.octets[b.n]);

	b.iov[b.n] = (struct iovec){ b.octets[b.n], size };
	b.frame[b.n] = (struct frame){ .iov = &b.iov[b.n], .n_iov = 1, .size = size };
	b.in[b.n] = &b.frame[b.n];
	snprintf(b.events + strlen(b.events), 8, " %u:%u", connection, (unsigned)event);
	b.n++;
}

static void compare(const struct kernel *k)
{
	static struct results ours, theirs;
	const char *what = NULL;

	for (unsigned i = 0; i < TRIES; i++) {
		run_ours(&ours);
		run_kernel(k, &theirs);
		what = difference(&ours, &theirs);
		results_free(&ours);
		results_free(&theirs);
		if (!what)
			return;
	}
	fail_msg("connection:event%s: %s", b.events, what);
}

/* Every event in the first, a middle and the last segment of a run, and in all of them. */
static void test_events(void **state)
{
	static const unsigned at[] = { 0, 3, 6 };
	const struct kernel *k = kernel_or_skip(state);

	for (enum gro_event e = GRO_NOTHING; e < GRO_KERNEL_EVENTS; e++) {
		for (unsigned i = 0; i < 8; i++) {
			struct gro_walk w;

			b.n = 0;
			b.events[0] = 0;
			gro_walk_init(&w, 1000, e * 8 + i);
			for (unsigned n = 0; n < 7; n++)
				burst_add(&w, i % 2, i >= 6 || n == at[i / 2] ? e : GRO_NOTHING);
			compare(k);
		}
	}
}

/* Every combination of TCP flags in the middle. */
static void test_flags(void **state)
{
	const struct kernel *k = kernel_or_skip(state);

	for (unsigned flags = 0; flags < 256; flags++) {
		struct gro_walk w;
		uint8_t before;

		b.n = 0;
		b.events[0] = 0;
		gro_walk_init(&w, 500, flags);
		for (unsigned n = 0; n < 5; n++) {
			before = w.next[flags & 1].flags;
			if (n == 2)
				w.next[flags & 1].flags = (uint8_t)flags;
			burst_add(&w, flags & 1, GRO_NOTHING);
			w.next[flags & 1].flags = before;
		}
		compare(k);
	}
}

/* Sizes of segments and bursts, up to the longest frame there is. */
static void test_sizes(void **state)
{
	static const uint16_t sizes[] = { 1, 47, 1022, 1023, 1024, 1448 };
	static const unsigned counts[] = { 2, 9, 44, 45, 46, 64 };
	const struct kernel *k = kernel_or_skip(state);

	for (size_t i = 0; i < 36; i++) {
		struct gro_walk w;

		b.n = 0;
		b.events[0] = 0;
		gro_walk_init(&w, sizes[i / 6], (uint32_t)i);
		for (unsigned n = 0; n < counts[i % 6]; n++)
			burst_add(&w, i & 1, GRO_NOTHING);
		compare(k);
	}
}

/* Several connections, interleaved, with events of all kinds. */
static void test_random(void **state)
{
	const struct kernel *k = kernel_or_skip(state);

	for (uint32_t seed = 0; seed < 150; seed++) {
		uint32_t random = seed;
		unsigned n = 2 + sample_random(&random) % 40;
		unsigned connections = 1 + sample_random(&random) % GRO_CONNECTIONS;
		struct gro_walk w;

		b.n = 0;
		b.events[0] = 0;
		gro_walk_init(&w, (uint16_t)(1 + sample_random(&random) % 1448), seed);
		for (unsigned i = 0; i < n; i++) {
			bool is_event = sample_random(&random) % 6 == 0;
			unsigned event = sample_random(&random) % GRO_KERNEL_EVENTS;

			burst_add(&w, sample_random(&random) % connections,
				  is_event ? (enum gro_event)event : GRO_NOTHING);
		}
		compare(k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, kernel_open, NULL);
}
