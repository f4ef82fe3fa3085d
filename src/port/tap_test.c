// SPDX-License-Identifier: Apache-2.0
/*
 * Taps as the kernel has them: opening, taking over, leaving to a VMM, and frames both ways. The
 * guest is a packet socket on the tap's device. Needs root; runs in a namespace of its own.
 */
#include "netns_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static struct tap_spec spec_of(const char *dev)
{
	struct tap_spec s = { .owner = (uid_t)-1, .group = (gid_t)-1, .offload = true };

	strncpy(s.dev, dev, sizeof(s.dev) - 1);
	return s;
}

static struct port *tap_make(const char *dev, bool offload)
{
	struct tap_spec s = spec_of(dev);
	struct tap_opened o;
	struct err e;
	struct port *p;

	s.offload = offload;
	assert_int_equal(tap_open(&s, &o, &e), 0);
	p = tap_port_new(o.fd, offload, 1);
	assert_non_null(p);
	netns_run("ip link set %s up", dev);
	return p;
}

/* ---- opening ---- */

static void test_create(void **state)
{
	struct tap_spec s = spec_of("t0");
	struct tap_opened o;
	struct err e;
	struct port *p;

	assert_int_equal(tap_open(&s, &o, &e), 0);
	assert_true(o.created && o.fd >= 0);
	assert_true(fcntl(o.fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(o.fd, F_GETFL) & O_NONBLOCK);
	p = tap_port_new(o.fd, true, 2);
	assert_non_null(p);
	assert_string_equal(p->ops->kind, "tap");
	assert_int_equal(p->offload, OFFLOAD_ALL);
	assert_true(if_nametoindex("t0"));
	port_free(p);
	assert_false(if_nametoindex("t0"));
}

static void test_take_over(void **state)
{
	struct tap_spec s = spec_of("t0");
	struct tap_opened o, again = { .fd = -2 };
	struct err e;

	netns_run("ip tuntap add t0 mode tap");
	assert_int_equal(tap_open(&s, &o, &e), 0);
	assert_true(!o.created && o.fd >= 0);
	assert_int_equal(tap_open(&s, &again, &e), -EBUSY);
	assert_int_equal(again.fd, -2);
	assert_int_equal(e.code, EBUSY);
	assert_non_null(strstr(e.message, "t0"));
	assert_true(e.hint[0]);
	close(o.fd);
	assert_true(if_nametoindex("t0"));
	assert_int_equal(tap_open(&s, &o, &e), 0);
	close(o.fd);
	netns_run("ip link del t0");
}

/* A device that is no tap is refused, whoever the tap is for. */
static void test_other_devices(void **state)
{
	static const char *const dev[] = { "v0", "tun0", "lo", "a/b", "" };
	struct tap_opened o;
	struct err e;

	netns_run("ip link add v0 type veth peer name v1");
	netns_run("ip tuntap add tun0 mode tun");
	for (size_t i = 0; i < ARRAY_SIZE(dev) - 1; i++) {
		struct tap_spec s = spec_of(dev[i]);

		if (tap_open(&s, &o, &e) != -EINVAL)
			fail_msg("\"%s\" was taken for a tap", dev[i]);
		assert_non_null(strstr(e.message, dev[i]));
		assert_true(e.hint[0]);
		s.is_for_vmm = true;
		if (tap_open(&s, &o, &e) != -EINVAL)
			fail_msg("\"%s\" was taken for a VMM's tap", dev[i]);
		assert_non_null(strstr(e.message, dev[i]));
	}
	netns_run("ip link del v0");
	netns_run("ip link del tun0");
}

/* May a process of this user open the queue of `dev`? -errno if not. */
static int attach_as(uid_t uid, gid_t gid, const char *dev)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), status;
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	pid_t pid;

	assert_true(fd >= 0);
	strncpy(ifr.ifr_name, dev, IFNAMSIZ - 1);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (setgid(gid) < 0 || setuid(uid) < 0)
			_exit(255);
		_exit(ioctl(fd, TUNSETIFF, &ifr) == 0 ? 0 : errno);
	}
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void test_for_vmm(void **state)
{
	struct tap_spec s = spec_of("t0");
	struct tap_opened o;
	struct err e;

	s.is_for_vmm = true;
	s.owner = 4711;
	assert_int_equal(tap_open(&s, &o, &e), 0);
	assert_int_equal(o.fd, -1);
	assert_true(o.created);
	assert_non_null(strstr(netns_output("ip -d link show t0"), "persist on user 4711"));
	assert_int_equal(attach_as(4711, 4711, "t0"), 0);
	assert_int_equal(attach_as(4712, 4712, "t0"), -EPERM);
	/* It is there already: the VMM's. */
	assert_int_equal(tap_open(&s, &o, &e), 0);
	assert_int_equal(o.fd, -1);
	assert_false(o.created);
	netns_run("ip link del t0");
	s.owner = (uid_t)-1;
	s.group = 815;
	assert_int_equal(tap_open(&s, &o, &e), 0);
	assert_int_equal(attach_as(4712, 815, "t0"), 0);
	assert_int_equal(attach_as(4712, 816, "t0"), -EPERM);
	netns_run("ip link del t0");
}

/* ---- frames ---- */

static void test_frames(void **state)
{
	struct port *p = tap_make("t0", true);
	struct burst *b = burst_make();
	int guest = raw_open("t0", false);
	uint8_t octets[2000];
	static struct raw_frame got;

	for (uint8_t i = 0; i < 20; i++) {
		uint32_t size = test_frame(octets, 1, i, 60 + i * 70u);

		raw_send(guest, NULL, octets, size);
		assert_int_equal(rx_wait(p, b), 1);
		assert_false(b->more);
		assert_int_equal(b->frame[0].size, size);
		assert_int_equal(b->frame[0].n_iov, 1);
		assert_int_equal(b->frame[0].tpid, 0);
		assert_memory_equal(b->frame[0].iov[0].iov_base, octets, size);
		assert_int_equal(b->frame[0].vnet.flags | b->frame[0].vnet.gso_type, 0);

		assert_true(tx_one(p, octets, size, NULL));
		assert_true(raw_get(guest, false, &got, 2000));
		assert_int_equal(got.size, size);
		assert_memory_equal(got.octets, octets, size);
	}
	assert_int_equal(p->ops->rx(p, b, BURST_MAX), 0);
	assert_int_equal(p->fault, PORT_FAULT_NONE);
	close(guest);
	burst_free(b);
	port_free(p);
}

/* A batch of frames, one of them in as many segments as can be. */
static void test_batch(void **state)
{
	struct port *p = tap_make("t0", true);
	int guest = raw_open("t0", false);
	static uint8_t octets[BURST_MAX][1400];
	static struct raw_frame got;
	struct iovec iov[BURST_MAX], many[FRAME_IOV_MAX + 2];
	struct frame frame[BURST_MAX];
	const struct frame *list[BURST_MAX];
	unsigned last = ARRAY_SIZE(many) - 1;

	for (unsigned i = 0; i < BURST_MAX; i++) {
		iov[i] = (struct iovec){ octets[i], test_frame(octets[i], 1, (uint8_t)i, 1400) };
		frame[i] = (struct frame){ .iov = &iov[i], .n_iov = 1, .size = 1400 };
		list[i] = &frame[i];
	}
	for (unsigned k = 0; k <= last; k++)
		many[k] = (struct iovec){ octets[7] + 60 * k, k < last ? 60 : 1400 - 60 * last };
	frame[7].iov = many;
	frame[7].n_iov = ARRAY_SIZE(many);
	assert_true(p->ops->tx(p, list, BURST_MAX) == UINT64_MAX);
	for (unsigned i = 0; i < BURST_MAX; i++) {
		assert_true(raw_get(guest, false, &got, 2000));
		assert_int_equal(got.size, 1400);
		assert_memory_equal(got.octets, octets[i], 1400);
	}
	close(guest);
	port_free(p);
}

/* More frames than a burst, and more octets than its budget. */
static void test_burst_limits(void **state)
{
	struct port *p = tap_make("t0", true);
	struct burst *b = burst_make();
	int guest = raw_open("t0", false);
	uint8_t octets[1000];

	for (uint8_t i = 0; i < 100; i++)
		raw_send(guest, NULL, octets, test_frame(octets, 1, i, 1000));
	assert_int_equal(p->ops->rx(p, b, BURST_MAX), 64);
	assert_true(b->more);
	b->octets_max = 2500;
	for (uint8_t at = 64; at < 100; at += 3) {
		assert_int_equal(p->ops->rx(p, b, BURST_MAX), 3);
		for (uint8_t i = 0; i < 3; i++)
			assert_int_equal(((uint8_t *)b->frame[i].iov[0].iov_base)[14], at + i);
		assert_true(b->more);
	}
	assert_int_equal(p->ops->rx(p, b, BURST_MAX), 0);
	assert_false(b->more);
	close(guest);
	burst_free(b);
	port_free(p);
}

/* 0x8100 in the octets both ways: a tap has no tag beside them. */
static void test_tag(void **state)
{
	struct port *p = tap_make("t0", true);
	struct burst *b = burst_make();
	int guest = raw_open("t0", false);
	uint8_t octets[100];
	static struct raw_frame got;
	uint32_t size = test_frame(octets, 1, 1, 100);

	memcpy(octets + 12, (uint8_t[]){ 0x81, 0, 0xa0, 7, 0x88, 0xb5 }, 6);
	raw_send(guest, NULL, octets, size);
	assert_int_equal(rx_wait(p, b), 1);
	assert_int_equal(b->frame[0].size, 100);
	assert_memory_equal(b->frame[0].iov[0].iov_base, octets, size);
	assert_true(tx_one(p, octets, size, NULL));
	assert_true(raw_get(guest, false, &got, 2000));
	assert_int_equal(got.tpid, 0x8100);
	assert_int_equal(got.tci, 0xa007);
	assert_int_equal(got.size, 96);
	close(guest);
	burst_free(b);
	port_free(p);
}

/* GSO goes through whole, or is cut by the kernel if the port does not take it. */
static void test_gso(void **state)
{
	struct port *p = tap_make("t0", true);
	struct burst *b = burst_make();
	int guest = raw_open("t0", true);
	static uint8_t octets[FRAME_SIZE_MAX];
	static struct raw_frame got;
	struct vnet_hdr h;
	uint32_t size = tcp_frame(octets, 60000, &h), payload = 0;
	unsigned n = 0;

	raw_send(guest, &h, octets, size);
	assert_int_equal(rx_wait(p, b), 1);
	assert_int_equal(b->frame[0].size, size);
	assert_memory_equal(b->frame[0].iov[0].iov_base, octets, size);
	assert_int_equal(b->frame[0].vnet.gso_type, VNET_GSO_TCPV4);
	assert_int_equal(b->frame[0].vnet.gso_size, 1000);
	assert_int_equal(b->frame[0].vnet.flags, VNET_F_NEEDS_CSUM);
	assert_int_equal(b->frame[0].vnet.csum_start, 34);

	assert_true(tx_one(p, octets, size, &h));
	assert_true(raw_get(guest, true, &got, 2000));
	assert_int_equal(got.size, size);
	assert_memory_equal(got.octets, octets, size);
	assert_int_equal(got.vnet.gso_type, VNET_GSO_TCPV4);
	assert_int_equal(got.vnet.gso_size, 1000);

	assert_int_equal(tap_port_set_offload(p, false), 0);
	assert_int_equal(p->offload, 0);
	size = tcp_frame(octets, 5000, &h);
	raw_send(guest, &h, octets, size);
	while (payload < 5000 && (n = rx_wait(p, b)) > 0) {
		for (unsigned i = 0; i < n; i++) {
			const struct frame *f = &b->frame[i];

			assert_int_equal(f->vnet.flags | f->vnet.gso_type, 0);
			assert_int_equal(f->size, 1054);
			assert_memory_equal((uint8_t *)f->iov[0].iov_base + 54,
					    octets + 54 + payload, 1000);
			payload += f->size - 54;
		}
	}
	assert_int_equal(payload, 5000);
	assert_int_equal(tap_port_set_offload(p, true), 0);
	assert_int_equal(p->offload, OFFLOAD_ALL);
	close(guest);
	burst_free(b);
	port_free(p);
}

/* ---- when it does not work ---- */

static void test_down(void **state)
{
	struct port *p = tap_make("t0", true);
	struct burst *b = burst_make();
	uint8_t octets[60];
	struct frame f = { .iov = &(struct iovec){ octets, sizeof(octets) },
			   .n_iov = 1,
			   .size = 60 };
	const struct frame *list[3] = { &f, &f, &f };

	test_frame(octets, 1, 1, sizeof(octets));
	assert_int_equal(p->ops->tx(p, list, 3), 7);
	netns_run("ip link set t0 down");
	assert_int_equal(p->ops->tx(p, list, 3), 0);
	assert_int_equal(p->tx_drop, DROP_port_down);
	assert_int_equal(p->ops->rx(p, b, BURST_MAX), 0);
	assert_int_equal(p->fault, PORT_FAULT_NONE);
	netns_run("ip link set t0 up");
	assert_int_equal(p->ops->tx(p, list, 3), 7);
	burst_free(b);
	port_free(p);
}

/* The device goes: whoever sleeps on the descriptor is told, and both ways say so. */
static void test_deleted(void **state)
{
	uint8_t octets[60];

	test_frame(octets, 1, 1, sizeof(octets));
	for (unsigned by_tx = 0; by_tx < 2; by_tx++) {
		struct port *p = tap_make("t0", true);
		struct burst *b = burst_make();
		struct pollfd fd = { .fd = p->fd, .events = POLLIN };

		assert_int_equal(p->ops->rx(p, b, BURST_MAX), 0);
		assert_int_equal(poll(&fd, 1, 0), 0);
		netns_run("ip link del t0");
		assert_int_equal(poll(&fd, 1, 2000), 1);
		if (by_tx) {
			assert_false(tx_one(p, octets, sizeof(octets), NULL));
			assert_int_equal(p->tx_drop, DROP_port_down);
		} else {
			assert_int_equal(p->ops->rx(p, b, BURST_MAX), 0);
			assert_false(b->more);
		}
		assert_int_equal(p->fault, PORT_FAULT_GONE);
		burst_free(b);
		port_free(p);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),	      cmocka_unit_test(test_take_over),
		cmocka_unit_test(test_other_devices), cmocka_unit_test(test_for_vmm),
		cmocka_unit_test(test_frames),	      cmocka_unit_test(test_batch),
		cmocka_unit_test(test_burst_limits),  cmocka_unit_test(test_tag),
		cmocka_unit_test(test_gso),	      cmocka_unit_test(test_down),
		cmocka_unit_test(test_deleted),
	};

	if (!netns_enter())
		return NETNS_SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
