// SPDX-License-Identifier: Apache-2.0
/*
 * The programs of the host port, run by the kernel on one frame at a time (BPF_PROG_TEST_RUN), and
 * hung on devices by either hook. As root, in a network namespace of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host.h"

/* ---- devices ---- */

static struct fixture {
	int device_fd, tap_fd, device, tap;
} fx;

static int open_tap(const char *name, int *ifindex)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int ctl = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	ifr.ifr_flags = IFF_UP;
	assert_int_equal(ioctl(ctl, SIOCSIFFLAGS, &ifr), 0);
	close(ctl);
	*ifindex = (int)if_nametoindex(name);
	return fd;
}

static int setup(void **state)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		return 0;
	fx.device_fd = open_tap("eth0", &fx.device);
	fx.tap_fd = open_tap("evb-h", &fx.tap);
	return 0;
}

static void need_devices(void)
{
	if (!fx.device)
		skip();
}

/* Frames of ours that wait in the tap; the kernel's own are IPv6. */
static unsigned frames_in(int fd)
{
	uint8_t frame[2048];
	ssize_t size;
	unsigned n = 0;

	while ((size = read(fd, frame, sizeof(frame))) > 0)
		n += size >= 60 && frame[size - 1] == 0xee;
	return n;
}

/* ---- one frame ---- */

static const struct mac host = { { 2, 0, 0, 0, 0, 1 } }, guest = { { 2, 0, 0, 0, 0, 2 } },
			trunk = { { 2, 0, 0, 0, 0, 3 } }, other = { { 2, 0, 0, 0, 0, 9 } },
			all = { { 255, 255, 255, 255, 255, 255 } },
			mdns = { { 1, 0, 0x5e, 0, 0, 0xfb } },
			lldp = { { 1, 0x80, 0xc2, 0, 0, 0xe } };

struct outcome {
	int verdict;
	unsigned mark, copies;
};

/* The newest of that name: an evbd that runs on the machine may have one, too. */
static int program(const char *name)
{
	unsigned id = 0;
	int newest = -1;

	while (bpf_prog_get_next_id(id, &id) == 0) {
		int fd = bpf_prog_get_fd_by_id(id);
		struct bpf_prog_info info = { 0 };
		unsigned size = sizeof(info);
		bool is_one = fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
			      strcmp(info.name, name) == 0;

		close(is_one ? newest : fd);
		newest = is_one ? fd : newest;
	}
	if (newest < 0)
		fail_msg("program %s is not loaded", name);
	return newest;
}

/* `tag`: TPID and TCI; 0: untagged. */
static struct outcome run(const char *name, struct mac dst, struct mac src, uint32_t tag,
			  unsigned mark)
{
	uint8_t frame[64] = { 0 }, *type = frame + 12;
	struct __sk_buff ctx = { .mark = mark };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .ctx_out = &ctx,
		    .ctx_size_out = sizeof(ctx), .repeat = 1);
	int fd = program(name);

	memcpy(frame, dst.b, 6);
	memcpy(frame + 6, src.b, 6);
	for (int shift = 24; tag && shift >= 0; shift -= 8)
		*type++ = (uint8_t)(tag >> shift);
	type[0] = 0x88; /* local experimental: nobody in the kernel cares */
	type[1] = 0xb5;
	frame[sizeof(frame) - 1] = 0xee;
	frames_in(fx.tap_fd);
	assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
	close(fd);
	return (struct outcome){ (int)opts.retval, ctx.mark, frames_in(fx.tap_fd) };
}

struct row {
	const char *name;
	struct mac dst, src;
	uint32_t tag;
	unsigned mark;
	struct outcome want;
};

static void run_rows(const char *name, const struct row *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &row[i];
		struct outcome o = run(name, r->dst, r->src, r->tag, r->mark);

		if (memcmp(&o, &r->want, sizeof(o)) != 0)
			fail_msg("%s, %s: verdict %d, mark %#x, copies %u; not %d, %#x, %u", name,
				 r->name, o.verdict, o.mark, o.copies, r->want.verdict,
				 r->want.mark, r->want.copies);
	}
}

static struct host_key key(struct mac mac, uint16_t vid)
{
	struct host_key k = { .vid = vid };

	memcpy(k.mac, mac.b, sizeof(k.mac));
	return k;
}

/* Native VLAN 1, and 10 tagged; `guest` in VLAN 1, `trunk` in any. */
static struct host_bpf *open_set(struct host_settings *s, unsigned n)
{
	struct host_key keys[] = { key(host, HOST_VID_HOST), key(guest, 1),
				   key(trunk, HOST_VID_ANY) };
	struct host_bpf *b;

	*s = (struct host_settings){ .native = 1, .is_bridge = 1, .has_stations = 1 };
	s->vlans[0] = 1 << 1 | 1 << 10;
	assert_int_equal(host_bpf_open(fx.device, fx.tap, HOST_TCX, &b), 0);
	assert_int_equal(host_bpf_set(b, s, keys, n), 0);
	return b;
}

#define PASS                                                                                       \
	{                                                                                          \
		TC_ACT_UNSPEC, 0, 0                                                                \
	}
#define TAKEN                                                                                      \
	{                                                                                          \
		TC_ACT_REDIRECT, HOST_MARK, 0                                                      \
	}
#define COPIED                                                                                     \
	{                                                                                          \
		TC_ACT_UNSPEC, 0, 1                                                                \
	}
#define LOST                                                                                       \
	{                                                                                          \
		TC_ACT_SHOT, 0, 0                                                                  \
	}

enum { C10 = 0x8100000a, C11 = 0x8100000b, S10 = 0x88a8000a, PRIORITY = 0x8100a000u };

static void what_the_host_sends(void **state)
{
	const struct row rows[] = {
		{ "guest", guest, host, 0, 0, TAKEN },
		{ "guest, priority tag", guest, host, PRIORITY, 0, TAKEN },
		{ "guest, other VLAN", guest, host, C10, 0, PASS },
		{ "trunk", trunk, host, 0, 0, TAKEN },
		{ "trunk, VLAN 10", trunk, host, C10, 0, TAKEN },
		{ "trunk, VLAN the host port has not", trunk, host, C11, 0, PASS },
		{ "trunk, S-tag", trunk, host, S10, 0, PASS },
		{ "elsewhere", other, host, 0, 0, PASS },
		{ "itself", host, host, 0, 0, PASS },
		{ "guest, not of the host", guest, other, 0, 0, PASS },
		{ "broadcast", all, host, 0, 0, COPIED },
		{ "broadcast, VLAN 10", all, host, C10, 0, COPIED },
		{ "broadcast, VLAN 11", all, host, C11, 0, PASS },
		{ "broadcast, not of the host", all, other, 0, 0, PASS },
		{ "multicast", mdns, host, 0, 0, COPIED },
		{ "reserved", lldp, host, 0, 0, PASS },
		{ "the host's own mark stays", other, host, 0, 7, { TC_ACT_UNSPEC, 7, 0 } },
		{ "the host's own mark stays", all, host, 0, 7, { TC_ACT_UNSPEC, 7, 1 } },
		{ "evbd to the wire", guest, host, 0, HOST_MARK, PASS },
		{ "evbd to the wire", all, host, 0, HOST_MARK, PASS },
	};
	const struct row any[] = {
		{ "guest, not of the host", guest, other, 0, 0, TAKEN },
		{ "broadcast, not of the host", all, other, 0, 0, COPIED },
	};
	const struct row off[] = {
		{ "not in bridge mode", guest, host, 0, 0, PASS },
		{ "not in bridge mode", all, host, 0, 0, PASS },
	};
	struct host_settings s;
	struct host_bpf *b;

	need_devices();
	b = open_set(&s, 3);
	run_rows("evb_host_out", rows, ARRAY_SIZE(rows));
	s.any_source = 1;
	host_bpf_set(b, &s, (struct host_key[]){ key(guest, 1) }, 1);
	run_rows("evb_host_out", any, ARRAY_SIZE(any));
	assert_int_equal(run("evb_host_out", trunk, host, 0, 0).verdict, TC_ACT_UNSPEC);
	s.has_stations = 0;
	host_bpf_set(b, &s, NULL, 0);
	assert_int_equal(run("evb_host_out", all, host, 0, 0).copies, 0);
	assert_int_equal(run("evb_host_out", guest, host, 0, 0).verdict, TC_ACT_UNSPEC);
	host_bpf_close(b);
	b = open_set(&s, 3);
	s.is_bridge = 0;
	host_bpf_set(b, &s, NULL, 0);
	run_rows("evb_host_out", off, ARRAY_SIZE(off));
	host_bpf_close(b);
}

static void what_the_host_receives(void **state)
{
	const struct row rows[] = {
		{ "from evbd", host, guest, 0, HOST_MARK, PASS },
		{ "from evbd, broadcast", all, guest, 0, HOST_MARK, PASS },
		{ "wire", host, other, 0, 0, PASS },
		{ "wire, broadcast", all, other, 0, 0, PASS },
		{ "wire, broadcast, a mark of others", all, other, 0, 7, { TC_ACT_UNSPEC, 7, 0 } },
		{ "reflected, guest's broadcast", all, guest, 0, 0, LOST },
		{ "reflected, trunk's broadcast", all, trunk, C10, 0, LOST },
		{ "same address, other VLAN", all, guest, C10, 0, PASS },
		{ "same address, VLAN the host port has not", all, trunk, C11, 0, PASS },
		{ "reflected, guest's unicast", host, guest, 0, 0, PASS },
		{ "reflected, the host's broadcast", all, host, 0, 0, LOST },
		{ "reserved", lldp, guest, 0, 0, PASS },
	};
	struct host_settings s;
	struct host_bpf *b;

	need_devices();
	b = open_set(&s, 3);
	run_rows("evb_host_in", rows, ARRAY_SIZE(rows));
	s.is_bridge = 0;
	host_bpf_set(b, &s, (struct host_key[]){ key(host, HOST_VID_HOST) }, 1);
	assert_int_equal(run("evb_host_in", all, host, 0, 0).verdict, TC_ACT_SHOT);
	assert_int_equal(run("evb_host_in", all, guest, 0, 0).verdict, TC_ACT_UNSPEC);
	host_bpf_close(b);
}

static void what_evbd_sends(void **state)
{
	struct host_settings s;
	struct host_bpf *b;
	struct outcome o;

	need_devices();
	b = open_set(&s, 3);
	o = run("evb_host_tap", host, guest, 0, 0);
	assert_int_equal(o.verdict, TC_ACT_REDIRECT);
	assert_int_equal(o.mark, HOST_MARK);
	host_bpf_close(b);
}

/* ---- hooks ---- */

/* How many filters of ours are on the device, however they hang. */
static unsigned n_attached(int attach_point)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = fx.device, .attach_point = attach_point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HOST_TC_HANDLE, .priority = HOST_TC_PRIORITY);

	return bpf_tc_query(&hook, &opts) == 0;
}

/* Through the device itself: a broadcast of the host is copied to the tap by either hook. */
static void hooks_take_frames(void **state)
{
	struct host_key host_key = key(host, HOST_VID_HOST);
	struct host_settings s = { .native = 1, .is_bridge = 1, .has_stations = 1 };
	uint8_t frame[64] = { 0 };
	int fd;

	need_devices();
	memcpy(frame, all.b, 6);
	memcpy(frame + 6, host.b, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	frame[63] = 0xee;
	s.vlans[0] = 2;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	for (enum host_hook hook = HOST_TCX; hook <= HOST_CLSACT; hook++) {
		uint16_t to[10] = { AF_PACKET, 0, (uint16_t)fx.device }; /* struct sockaddr_ll */
		struct host_bpf *b, *second = NULL;

		assert_int_equal(host_bpf_open(fx.device, fx.tap, hook, &b), 0);
		assert_int_equal(host_bpf_hook(b), hook);
		assert_int_equal(host_bpf_set(b, &s, &host_key, 1), 0);
		assert_int_equal(n_attached(BPF_TC_EGRESS), hook == HOST_CLSACT);
		assert_int_equal(n_attached(BPF_TC_INGRESS), hook == HOST_CLSACT);
		frames_in(fx.tap_fd);
		assert_int_equal(sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)to,
					sizeof(to)),
				 sizeof(frame));
		assert_int_equal(frames_in(fx.tap_fd), 1);
		/* What a killed evbd left does not stop the next one. */
		if (hook == HOST_CLSACT) {
			assert_int_equal(host_bpf_open(fx.device, fx.tap, hook, &second), 0);
			host_bpf_close(b);
			assert_int_equal(n_attached(BPF_TC_EGRESS), 1);
			b = second;
		}
		host_bpf_close(b);
		assert_int_equal(n_attached(BPF_TC_EGRESS) + n_attached(BPF_TC_INGRESS), 0);
		sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)to, sizeof(to));
		assert_int_equal(frames_in(fx.tap_fd), 0);
	}
	close(fd);
	assert_true(host_bpf_open(9999, fx.tap, HOST_TCX, &(struct host_bpf *){ NULL }) < 0);
	assert_true(host_bpf_open(9999, fx.tap, HOST_CLSACT, &(struct host_bpf *){ NULL }) < 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_host_sends),
		cmocka_unit_test(what_the_host_receives),
		cmocka_unit_test(what_evbd_sends),
		cmocka_unit_test(hooks_take_frames),
	};

	libbpf_set_print(NULL);
	return cmocka_run_group_tests(tests, setup, NULL);
}
