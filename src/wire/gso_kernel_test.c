// SPDX-License-Identifier: Apache-2.0
/*
 * Our segments against the kernel's, octet for octet. In a network namespace of its own the test
 * makes a tap whose reader takes no offloads, and sends the same GSO frame out of it through a
 * packet socket: what can be read from the tap then was cut by the kernel.
 * Skipped without CAP_NET_ADMIN or without taps.
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
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gso.h"
#include "sample.h"
#include "types.h"

enum {
	QUEUE_MAX = 2500, /* segments of one frame that may wait in the tap */
	WAIT_MS = 2000,	  /* for a segment that should have come */
};

struct kernel {
	int tap, packet;
};

static struct sample sample; /* too large for a stack */

/* ---- the tap and the socket ---- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

static int tap_up(int tap, int *ifindex)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = "gso0" };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ok;

	ok = s >= 0 && ioctl(tap, TUNSETIFF, &ifr) == 0 && ioctl(tap, TUNSETOFFLOAD, 0) == 0;
	ifr.ifr_qlen = QUEUE_MAX;
	ok = ok && ioctl(s, SIOCSIFTXQLEN, &ifr) == 0;
	ifr.ifr_flags = IFF_UP | IFF_NOARP;
	ok = ok && ioctl(s, SIOCSIFFLAGS, &ifr) == 0;
	ok = ok && ioctl(s, SIOCGIFINDEX, &ifr) == 0;
	*ifindex = ifr.ifr_ifindex;
	if (s >= 0)
		close(s);
	return ok ? 0 : -1;
}

static int packet_open(int ifindex)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = ifindex };
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;

	if (s >= 0 && setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) == 0 &&
	    bind(s, (struct sockaddr *)&to, sizeof(to)) == 0)
		return s;
	if (s >= 0)
		close(s);
	return -1;
}

static int kernel_open(void **state)
{
	static struct kernel k = { .tap = -1, .packet = -1 };
	int ifindex;

	if (unshare(CLONE_NEWNET) < 0) {
		print_message("no network namespace: %s\n", strerror(errno));
		return 0;
	}
	/* No frames of the kernel's own. */
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	k.tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (k.tap < 0) {
		print_message("no taps: %s\n", strerror(errno));
		return 0;
	}
	if (tap_up(k.tap, &ifindex) < 0)
		return -1;
	k.packet = packet_open(ifindex);
	if (k.packet < 0)
		return -1;
	*state = &k;
	return 0;
}

static int kernel_close(void **state)
{
	struct kernel *k = *state;

	if (k) {
		close(k->packet);
		close(k->tap);
	}
	return 0;
}

/* The next frame from the tap; 0 if none comes in time. */
static uint32_t kernel_read(const struct kernel *k, uint8_t *to, int wait_ms)
{
	struct pollfd p = { .fd = k->tap, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, wait_ms) <= 0)
		return 0;
	n = read(k->tap, to, FRAME_SIZE_MAX);
	return n > 0 ? (uint32_t)n : 0;
}

static bool kernel_send(const struct kernel *k, const struct sample *s)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)&s->vnet, sizeof(s->vnet) },
				{ (void *)(uintptr_t)s->octets, s->size } };

	return writev(k->packet, iov, 2) == (ssize_t)(s->size + sizeof(s->vnet));
}

/* ---- comparing ---- */

static void compare(const struct sample *s, unsigned idx, const struct frame *ours,
		    const uint8_t *theirs, uint32_t size)
{
	static uint8_t octets[FRAME_SIZE_MAX];
	uint32_t n = sample_flatten(ours, octets), at;

	for (at = 0; at < n && at < size && octets[at] == theirs[at]; at++)
		;
	if (n != size || at < n)
		fail_msg("%s, payload %u, gso_size %u, flags %02x: segment %u: "
			 "kernel has %u octets, we have %u; octet %u differs (L3 %u, L4 %u)",
			 s->spec.name, s->spec.payload, s->spec.gso_size, s->spec.tcp_flags, idx,
			 size, n, at, s->l3, s->l4);
}

/*
 * Kernels count TCP options as payload when they look whether a frame is worth cutting, and not
 * when they cut: they drop what is in between. We send it as one segment.
 */
static bool kernel_drops(const struct sample *s)
{
	return s->spec.payload <= s->spec.gso_size &&
	       s->spec.payload + s->spec.tcp_options > s->spec.gso_size;
}

static unsigned compare_segments(const struct kernel *k, const struct sample *s)
{
	static uint8_t theirs[FRAME_SIZE_MAX];
	struct iovec iov[SAMPLE_IOV_MAX], out_iov[SAMPLE_IOV_MAX + 1];
	uint8_t header[GSO_HEADERS_MAX];
	struct frame f, out;
	struct gso_cutter c;
	struct eth_key key;
	unsigned idx = 0;

	if (kernel_drops(s))
		return 0;
	sample_frame_split(s, &f, iov, s->size);
	assert_true(eth_key_parse(&f, &key) && gso_valid(&f, &key) && gso_start(&c, &f, &key));
	if (!kernel_send(k, s))
		fail_msg("%s: the kernel refuses it: %s", s->spec.name, strerror(errno));
	for (; gso_next(&c, &out, out_iov, header); idx++)
		compare(s, idx, &out, theirs, kernel_read(k, theirs, WAIT_MS));
	if (kernel_read(k, theirs, 0))
		fail_msg("%s: the kernel makes more than %u segments", s->spec.name, idx);
	return idx;
}

static const struct kernel *kernel_or_skip(void **state)
{
	if (!*state)
		skip();
	return *state;
}

/* What is cut in every way below. */
static const struct sample_spec protocols[] = {
	{ .name = "TCPv4" },
	{ "TCPv4, options", .ip_extra = 8, .tcp_options = 12 },
	{ "TCPv4, C-tag", .tpid = 0x8100, .tcp_options = 12 },
	{ "TCPv4, S-tag", .tpid = 0x88a8 },
	{ "TCPv4, S-tag and C-tag", .tpid = 0x88a8, .inner_tpid = 0x8100 },
	{ "TCPv6", .is_ipv6 = true, .tcp_options = 12 },
	{ "TCPv6, C-tag", .is_ipv6 = true, .tpid = 0x8100 },
	{ "TCPv6, hop-by-hop options", .is_ipv6 = true, .ip_extra = 8 },
	{ "TCPv6, destination options", .is_ipv6 = true, .ip_extra = 16, .ip_extra_type = 60 },
	{ "TCPv6, routing header", .is_ipv6 = true, .ip_extra = 24, .ip_extra_type = 43 },
	{ "UDPv4", .is_udp = true },
	{ "UDPv4, options, C-tag", .is_udp = true, .ip_extra = 4, .tpid = 0x8100 },
	{ "UDPv6", .is_ipv6 = true, .is_udp = true },
	{ "UDPv6, S-tag", .is_ipv6 = true, .is_udp = true, .tpid = 0x88a8 },
	{ "UDPv6, routing header", .is_ipv6 = true, .is_udp = true, .ip_extra = 24,
	  .ip_extra_type = 43 },
};

static void test_sizes(void **state)
{
	static const struct {
		uint16_t gso_size;
		uint32_t payload;
	} sizes[] = { { 1448, 65160 },	    { 1448, 64000 }, { 1460, 1461 }, { 1460, 1460 },
		      { 1460, 700 },	    { 1460, 0 },     { 333, 10000 }, { 8948, 65000 },
		      { 512, 65535 - 300 }, { 100, 201 } };
	const struct kernel *k = kernel_or_skip(state);
	unsigned n = 0;

	for (size_t p = 0; p < ARRAY_SIZE(protocols); p++) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			struct sample_spec spec = protocols[p];

			if (!spec.is_udp)
				spec.tcp_flags = 0x18;
			spec.gso_size = sizes[i].gso_size;
			spec.payload = sizes[i].payload;
			sample_make(&sample, &spec, (uint32_t)(p * 100 + i));
			n += compare_segments(k, &sample);
		}
	}
	print_message("%u segments are the same as the kernel's\n", n);
}

/* Every combination of TCP flags, with and without ECN. */
static void test_tcp_flags(void **state)
{
	const struct kernel *k = kernel_or_skip(state);

	for (unsigned flags = 0; flags < 256; flags++) {
		for (unsigned ecn = 0; ecn < 2; ecn++) {
			struct sample_spec spec = { .is_ipv6 = flags & 1,
						    .gso_size = 1000,
						    .payload = 3100 };

			spec.name = ecn ? "flags with ECN" : "flags";
			spec.tcp_flags = (uint8_t)flags;
			spec.ecn = ecn;
			sample_make(&sample, &spec, flags);
			compare_segments(k, &sample);
		}
	}
}

static void test_random(void **state)
{
	const struct kernel *k = kernel_or_skip(state);
	struct sample_spec spec;
	unsigned n = 0;

	for (uint32_t seed = 0; seed < 1500; seed++) {
		sample_spec_random(&spec, seed);
		sample_make(&sample, &spec, seed);
		n += compare_segments(k, &sample);
	}
	print_message("%u segments are the same as the kernel's\n", n);
}

/* Datagrams whose checksum comes out as 0. */
static void test_udp_zero_checksum(void **state)
{
	const struct kernel *k = kernel_or_skip(state);

	for (unsigned i = 0; i < 4; i++) {
		struct sample_spec spec = { "UDP, checksum 0", .is_udp = true, .gso_size = 100 };
		uint8_t *p = sample.octets, header[GSO_HEADERS_MAX];
		struct iovec iov, out_iov[2];
		struct gso_cutter c;
		struct frame f, out;
		struct eth_key key;
		uint32_t sum, end;

		spec.is_ipv6 = i & 1;
		spec.payload = i & 2 ? 100 : 300; /* one datagram takes another way in the kernel */
		sample_make(&sample, &spec, i);
		sample_frame(&sample, &f, &iov);
		assert_true(eth_key_parse(&f, &key) && gso_start(&c, &f, &key) &&
			    gso_next(&c, &out, out_iov, header));
		end = sample.headers + 98u;
		sum = sample_sum(header + sample.l4 + 6, 2, (uint32_t)p[end] << 8 | p[end + 1]);
		p[end] = (uint8_t)(sum >> 8);
		p[end + 1] = (uint8_t)sum;
		assert_true(gso_start(&c, &f, &key) && gso_next(&c, &out, out_iov, header));
		assert_memory_equal(header + sample.l4 + 6, "\xff\xff", 2);
		compare_segments(k, &sample);
	}
}

/* Frames with a partial checksum and no GSO. */
static void test_partial_checksum(void **state)
{
	static uint8_t theirs[FRAME_SIZE_MAX], head[FRAME_SIZE_MAX];
	const struct kernel *k = kernel_or_skip(state);
	struct iovec iov[SAMPLE_IOV_MAX], out_iov[SAMPLE_IOV_MAX + 2];
	struct frame f, out;

	for (size_t p = 0; p < ARRAY_SIZE(protocols); p++) {
		for (uint32_t payload = 1; payload < 1300; payload = payload * 3 + 1) {
			struct sample_spec spec = protocols[p];

			spec.payload = payload;
			sample_make(&sample, &spec, payload);
			sample.vnet.gso_type = VNET_GSO_NONE;
			sample.vnet.hdr_len = 0;
			sample_frame_split(&sample, &f, iov, payload);
			assert_true(gso_complete_csum(&out, &f, out_iov, head));
			if (!kernel_send(k, &sample))
				fail_msg("%s: the kernel refuses it: %s", spec.name,
					 strerror(errno));
			compare(&sample, 0, &out, theirs, kernel_read(k, theirs, WAIT_MS));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_tcp_flags),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_udp_zero_checksum),
		cmocka_unit_test(test_partial_checksum),
	};

	return cmocka_run_group_tests(tests, kernel_open, kernel_close);
}
