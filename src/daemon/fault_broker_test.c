// SPDX-License-Identifier: Apache-2.0
/*
 * Opening devices when the Nth allocation or system call fails: an error with a message, the thread
 * is in its own network namespace, and no device and no descriptor are left behind, nor is a device
 * gone that was there before. Needs root; all devices are in two network namespaces of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "grammar.h"
#include "methods.h"
#include "plane_internal.h"

enum { CALLS_MAX = 2000 };

/* Our namespace, and that of a guest, as a path. */
struct places {
	int home, guest;
	char guest_path[NETNS_SIZE];
};

static int own_namespace(void)
{
	return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

static int setup(void **state)
{
	static struct places p;

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
		print_message("not root, or no /dev/net/tun: skipped\n");
		return 0;
	}
	p.guest = own_namespace();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	p.home = own_namespace();
	assert_true(p.guest >= 0 && p.home >= 0);
	snprintf(p.guest_path, sizeof(p.guest_path), "/proc/self/fd/%d", p.guest);
	*state = &p;
	return 0;
}

/* ---- what is there ---- */

static void list_devices(char *out, size_t size)
{
	struct if_nameindex *all = if_nameindex();

	assert_non_null(all);
	for (struct if_nameindex *i = all; i->if_index; i++) {
		size_t used = strlen(out);

		snprintf(out + used, size - used, "%s ", i->if_name);
	}
	if_freenameindex(all);
}

/* Descriptors, devices here and there, and that we are at home. */
struct inventory {
	unsigned n_fds;
	char home[512], guest[512];
};

static void take_inventory(const struct places *p, struct inventory *i)
{
	struct stat home, now;
	int fd = own_namespace();

	assert_int_equal(fstat(fd, &now) | fstat(p->home, &home), 0);
	close(fd);
	assert_int_equal(now.st_ino, home.st_ino);
	*i = (struct inventory){ .n_fds = fault_count("/proc/self/fd") };
	list_devices(i->home, sizeof(i->home));
	assert_int_equal(setns(p->guest, CLONE_NEWNET), 0);
	list_devices(i->guest, sizeof(i->guest));
	assert_int_equal(setns(p->home, CLONE_NEWNET), 0);
}

static void assert_inventory(const struct places *p, const struct inventory *before)
{
	struct inventory now;

	take_inventory(p, &now);
	assert_string_equal(now.home, before->home);
	assert_string_equal(now.guest, before->guest);
	assert_int_equal(now.n_fds, before->n_fds);
}

/* ---- one device ---- */

struct device {
	const char *name, *dev;
	bool is_packet, is_in_guest, is_for_vmm;
	const char *existing; /* alias of a tap that is there before; NULL: none is */
};

static const struct device devices[] = {
	{ .name = "tap for a VMM", .dev = "t0", .is_for_vmm = true },
	{ .name = "tap for a VMM that is there", .dev = "t1", .is_for_vmm = true, .existing = "" },
	{ .name = "orphan, a VMM's", .dev = "t2", .is_for_vmm = true, .existing = "evbd" },
	{ .name = "tap here", .dev = "t3" },
	{ .name = "tap here that is there", .dev = "t4", .existing = "" },
	{ .name = "orphan", .dev = "t5", .existing = "evbd" },
	{ .name = "tap in a namespace", .dev = "eth0", .is_in_guest = true },
	{ .name = "tap in a namespace that is there",
	  .dev = "eth1",
	  .is_in_guest = true,
	  .existing = "" },
	{ .name = "packet", .dev = "t6", .is_packet = true, .existing = "" },
};

/* Make a tap that stays, in the namespace of the thread. */
static void make_tap(const char *dev, const char *alias)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", dev);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1UL), 0);
	close(fd);
	if (*alias)
		assert_int_equal(netlink_link_set_alias((int)if_nametoindex(dev), alias), 0);
}

static void enter(const struct places *p, const struct device *d)
{
	assert_int_equal(setns(d->is_in_guest ? p->guest : p->home, CLONE_NEWNET), 0);
}

static void make_existing(const struct places *p, const struct device *d)
{
	enter(p, d);
	if (d->existing && !if_nametoindex(d->dev))
		make_tap(d->dev, d->existing);
	assert_int_equal(setns(p->home, CLONE_NEWNET), 0);
}

static void remove_device(const char *dev)
{
	if (if_nametoindex(dev))
		assert_int_equal(netlink_link_delete((int)if_nametoindex(dev)), 0);
}

static void remove_existing(const struct places *p, const struct device *d)
{
	enter(p, d);
	remove_device(d->dev);
	assert_int_equal(setns(p->home, CLONE_NEWNET), 0);
}

static int open_device(const struct places *p, const struct device *d, struct broker_device *out,
		       struct err *e)
{
	struct broker_tap t = { .is_for_vmm = d->is_for_vmm,
				.owner = 0,
				.group = 0,
				.offload = true,
				.mtu = 1400,
				.mac = { { 2, 0, 0, 0, 0, 1 } } };
	struct broker_netdev n = { .dev = d->dev, .driver = DRIVER_PACKET };

	if (d->is_packet)
		return broker_open_netdev(&n, 2, out, e);
	snprintf(t.dev, sizeof(t.dev), "%s", d->dev);
	if (d->is_in_guest)
		memcpy(t.netns, p->guest_path, sizeof(t.netns));
	return broker_open_tap(&t, 2, out, e);
}

static void fail_device(const struct places *p, const struct device *d)
{
	unsigned n = 0, n_failed = 1, n_refused = 0;
	struct broker_device out;
	struct inventory before;

	make_existing(p, d);
	take_inventory(p, &before);
	for (; n_failed && n < CALLS_MAX; n++) {
		struct err e = { .code = 0 };
		int err;

		fault_arm(FAULT_MEMORY | FAULT_SYSTEM, n);
		err = open_device(p, d, &out, &e);
		n_failed = fault_disarm();
		if (err) {
			n_refused++;
			assert_true(n_failed && e.code == -err && e.message[0]);
		} else {
			assert_non_null(out.port);
			broker_close(&out);
			make_existing(p, d); /* closing an orphan removes it */
		}
		assert_inventory(p, &before);
	}
	print_message("%s: %u calls, %u refused\n", d->name, n - 1, n_refused);
	assert_in_range(n_refused, 5, CALLS_MAX - 1);
	remove_existing(p, d);
}

static void test_devices(void **state)
{
	if (!*state)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		fail_device(*state, &devices[i]);
}

/* ---- a configuration ---- */

struct world {
	struct log log;
	struct events events;
	struct loop *loop;
	struct relay *relay;
	struct plane *plane;
};

static json_t *requests_of(const char *format, const struct places *p)
{
	char text[1024];
	struct err e;
	int line;
	json_t *requests;

	snprintf(text, sizeof(text), format, p->guest_path);
	requests = grammar_parse_file(text, strlen(text), &line, &e);
	if (!requests)
		fail_msg("line %d: %s", line, e.message);
	return requests;
}

static uint32_t mtu_of(const char *dev)
{
	struct link_info link;

	assert_int_equal(netlink_link_get(dev, &link), 0);
	return link.mtu;
}

static struct mac address_of(const char *dev)
{
	struct link_info link;

	assert_int_equal(netlink_link_get(dev, &link), 0);
	return link.mac;
}

static void apply(struct world *w, const json_t *requests)
{
	struct rpc_error error;

	if (methods_apply(w->plane, requests, false, &error) < 0)
		fail_msg("%s", error.err.message);
}

/* Ports that no worker wakes up for. */
static unsigned count_deaf(const struct world *w)
{
	const struct model *m = plane_model(w->plane);
	struct plane_status status;
	unsigned n = 0;

	for (uint32_t i = 0; i < m->n_ports; i++) {
		if (!m->port[i].name[0])
			continue;
		plane_port_status(w->plane, (port_id)i, &status);
		n += strstr(status.reason, "cannot wait") != NULL;
		assert_true(status.operstate == PLANE_UP || (status.reason[0] && status.hint[0]));
	}
	return n;
}

/* A port that could not be watched says so, and is watched a second later. */
static void hear_again(struct world *w)
{
	for (int i = 0; i < 500 && count_deaf(w); i++)
		loop_turn(w->loop, 20);
	assert_int_equal(count_deaf(w), 0);
}

/* The devices that stay are as they were. */
static void check_devices(const struct world *w, struct mac address)
{
	int e = model_find_port(plane_model(w->plane), "e");

	assert_int_equal(w->plane->shape.port[e]->device.port->offload, 0);
	assert_int_equal(mtu_of("a"), 1300);
	assert_true(mac_equal(address_of("e"), address));
}

/* Taps come and go, and one that stays has another MTU: all of it, or nothing. */
static void fail_configuration(const struct places *p, struct world *w, unsigned lasts)
{
	json_t *was = requests_of("bridge add br0 uplink u0\nport add a bridge br0 tap mtu 1300\n"
				  "port add b bridge br0 tap netns %s name eth0\n"
				  "port add e bridge br0 tap guest netns offload off\n",
				  p);
	json_t *next =
		requests_of("port set a mtu 1200\nport set e mac 02:00:00:00:00:0e offload on\n"
			    "port del b\nport add c bridge br0 tap\n"
			    "port add d bridge br0 tap netns %s name eth2 mtu 1100\n",
			    p);
	json_t *back = requests_of(
		"port del c\nport del d\nport set a mtu 1300\nport set e mac none offload off\n"
		"port add b bridge br0 tap netns %s name eth0\n",
		p);
	json_t *before, *now;
	unsigned n = 0, n_failed = 1, n_refused = 0, n_deaf;
	struct inventory inventory;
	struct mac address;
	struct rpc_error error;

	apply(w, was);
	address = address_of("e");
	before = model_requests(plane_model(w->plane));
	take_inventory(p, &inventory);
	for (; n_failed && n < CALLS_MAX; n++) {
		int err;

		fault_arm(FAULT_MEMORY | FAULT_SYSTEM | lasts, n);
		err = methods_apply(w->plane, next, false, &error);
		n_deaf = fault.n_deaf;
		n_failed = fault_disarm();
		if (!err) {
			assert_int_equal(count_deaf(w), n_deaf);
			if (!lasts)
				hear_again(w);
			assert_int_equal(mtu_of("a"), 1200);
			assert_int_equal(address_of("e").b[5], 0x0e);
			assert_true(if_nametoindex("c"));
			apply(w, back);
			check_devices(w, address);
			assert_inventory(p, &inventory);
			continue;
		}
		n_refused++;
		assert_true(n_failed && error.err.message[0]);
		if (lasts) /* nor could it be removed or set back */
			remove_device("c");
		else
			check_devices(w, address);
		assert_inventory(p, &inventory);
		now = model_requests(plane_model(w->plane));
		assert_true(json_equal(now, before));
		json_decref(now);
	}
	print_message("configuration%s: %u calls, %u refused\n", lasts ? " (lasting)" : "", n - 1,
		      n_refused);
	assert_in_range(n_refused, 20, CALLS_MAX - 1);
	json_decref(back);
	json_decref(before);
	json_decref(was);
	json_decref(next);
}

static void run_configuration(const struct places *p, unsigned lasts)
{
	struct world w = { .log = { .level = LOG_LEVEL_ERROR } };
	struct inventory before;
	struct err e;

	make_tap("u0", "");
	take_inventory(p, &before);
	w.loop = loop_new();
	w.relay = relay_new(1);
	w.plane = plane_new(w.loop, w.relay, &w.log, &w.events, &e);
	assert_non_null(w.plane);
	fail_configuration(p, &w, lasts);
	plane_free(w.plane);
	relay_free(w.relay);
	loop_free(w.loop);
	assert_inventory(p, &before);
	remove_device("u0");
}

static void test_configuration(void **state)
{
	if (!*state)
		skip();
	run_configuration(*state, 0);
	run_configuration(*state, FAULT_LASTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_configuration),
	};

	fault_begin();
	return cmocka_run_group_tests(tests, setup, NULL);
}
