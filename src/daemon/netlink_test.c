// SPDX-License-Identifier: Apache-2.0
/*
 * The monitor against the kernel, in a network namespace made for the test. Skipped without the
 * right to make one.
 */
#include "netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#include <cmocka.h>

/* The last call back of each sort, and how many. */
struct seen {
	unsigned n_new, n_changed, n_gone;
	struct link_info link, before;
};

static void on_link(void *aux, const struct link_info *link, const struct link_info *before)
{
	struct seen *s = aux;

	s->link = *link;
	if (before)
		s->before = *before;
	if (link->deleted)
		s->n_gone++;
	else if (before)
		s->n_changed++;
	else
		s->n_new++;
}

/* A tap that lives as long as the descriptor. */
static int make_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	assert_return_code(fd, errno);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_return_code(ioctl(fd, TUNSETIFF, &ifr), errno);
	return fd;
}

static void rename_link(const char *from, const char *to)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", from);
	snprintf(ifr.ifr_newname, sizeof(ifr.ifr_newname), "%s", to);
	assert_return_code(ioctl(fd, SIOCSIFNAME, &ifr), errno);
	close(fd);
}

static int index_of(const char *name)
{
	struct link_info link;

	assert_int_equal(netlink_link_get(name, &link), 0);
	return link.ifindex;
}

static int setup(void **state)
{
	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
		*state = NULL;
		return 0;
	}
	*state = calloc(1, sizeof(struct seen));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static struct seen *need(void **state)
{
	if (!*state)
		skip();
	return *state;
}

static void test_get(void **state)
{
	struct link_info link, same;
	char alias[LINK_ALIAS_SIZE];

	need(state);
	assert_int_equal(netlink_link_get("lo", &link), 0);
	assert_string_equal(link.name, "lo");
	assert_int_equal(link.type, ARPHRD_LOOPBACK);
	assert_string_equal(link.kind, "");
	assert_false(link_is_running(&link));
	assert_int_equal(netlink_link_get_index(link.ifindex, &same), 0);
	assert_string_equal(same.name, "lo");
	assert_int_equal(netlink_link_get("nowhere", &link), -ENODEV);
	assert_int_equal(netlink_link_get("a-name-beyond-any-device", &link), -ENODEV);
	assert_int_equal(netlink_link_get_index(4711, &link), -ENODEV);
	assert_int_equal(netlink_link_get_index(0, &link), -ENODEV);
	assert_int_equal(netlink_link_set_up(4711), -ENODEV);
	assert_int_equal(netlink_link_delete(0), -ENODEV);
	assert_int_equal(netlink_link_get_alias(4711, alias), -ENODEV);
	assert_string_equal(link.name, "lo"); /* out is written on success only */
}

static void test_change(void **state)
{
	const struct mac mac = { { 0x52, 0x54, 0, 0, 0, 1 } };
	char alias[LINK_ALIAS_SIZE], longest[LINK_ALIAS_SIZE + 1];
	struct link_info link;
	int fd, ifindex;

	need(state);
	fd = make_tap("t0");
	ifindex = index_of("t0");
	assert_int_equal(netlink_link_set_mtu(ifindex, 1400), 0);
	assert_int_equal(netlink_link_set_mac(ifindex, mac), 0);
	assert_int_equal(netlink_link_set_up(ifindex), 0);
	assert_int_equal(netlink_link_get("t0", &link), 0);
	assert_int_equal(link.mtu, 1400);
	assert_string_equal(link.kind, "tun");
	assert_int_equal(link.type, ARPHRD_ETHER);
	assert_true(mac_equal(link.mac, mac));
	assert_true(link_is_running(&link));
	assert_int_equal(netlink_link_set_mtu(ifindex, 10), -EINVAL);

	assert_int_equal(netlink_link_get_alias(ifindex, alias), 0);
	assert_string_equal(alias, "");
	memset(longest, 'x', sizeof(longest));
	longest[LINK_ALIAS_SIZE - 1] = '\0';
	assert_int_equal(netlink_link_set_alias(ifindex, longest), 0);
	assert_int_equal(netlink_link_get_alias(ifindex, alias), 0);
	assert_string_equal(alias, longest);
	longest[LINK_ALIAS_SIZE - 1] = 'x';
	longest[LINK_ALIAS_SIZE] = '\0';
	assert_int_equal(netlink_link_set_alias(ifindex, longest), -EINVAL);
	assert_int_equal(netlink_link_set_alias(ifindex, ""), 0);
	assert_int_equal(netlink_link_get_alias(ifindex, alias), 0);
	assert_string_equal(alias, "");

	assert_int_equal(netlink_link_delete(ifindex), 0);
	assert_int_equal(netlink_link_get("t0", &link), -ENODEV);
	close(fd);
}

/* Has the device an IPv6 address? */
static bool has_ipv6(const char *name)
{
	FILE *f = fopen("/proc/self/net/if_inet6", "r");
	char line[256], dev[32];
	bool found = false;

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %*s %*s %*s %*s %31s", dev) == 1 && strcmp(dev, name) == 0)
			found = true;
	}
	fclose(f);
	return found;
}

static void test_addrgen(void **state)
{
	int quiet, other;

	need(state);
	quiet = make_tap("quiet");
	other = make_tap("other");
	assert_int_equal(netlink_link_addrgen_none(index_of("quiet")), 0);
	assert_int_equal(netlink_link_set_up(index_of("quiet")), 0);
	assert_int_equal(netlink_link_set_up(index_of("other")), 0);
	assert_false(has_ipv6("quiet"));
	if (access("/proc/self/net/if_inet6", R_OK) == 0)
		assert_true(has_ipv6("other"));
	assert_int_equal(netlink_link_addrgen_none(4711), -ENODEV);
	close(quiet);
	close(other);
}

static void test_monitor(void **state)
{
	struct seen *s = need(state);
	struct netlink *nl = netlink_new(on_link, s);
	const struct link_info *link;
	int fd, ifindex;

	assert_non_null(nl);
	assert_non_null(netlink_by_name(nl, "lo"));
	assert_int_equal(s->n_new, 0); /* what was there before is in the table only */

	fd = make_tap("t0");
	ifindex = index_of("t0");
	assert_null(netlink_by_name(nl, "t0")); /* not before it is read */
	assert_int_equal(netlink_read(nl), 0);
	assert_int_equal(s->n_new, 1);
	link = netlink_by_name(nl, "t0");
	assert_non_null(link);
	assert_ptr_equal(link, netlink_by_index(nl, ifindex));
	assert_string_equal(link->kind, "tun");

	memset(s, 0, sizeof(*s));
	assert_int_equal(netlink_link_set_mtu(ifindex, 9000), 0);
	assert_int_equal(netlink_read(nl), 0);
	assert_int_equal(s->n_changed, 1);
	assert_int_equal(s->before.mtu, 1500);
	assert_int_equal(s->link.mtu, 9000);

	rename_link("t0", "t1");
	assert_int_equal(netlink_read(nl), 0);
	assert_null(netlink_by_name(nl, "t0"));
	assert_int_equal(netlink_by_name(nl, "t1")->ifindex, ifindex);
	assert_string_equal(s->before.name, "t0");

	assert_int_equal(netlink_link_set_up(ifindex), 0);
	assert_int_equal(netlink_read(nl), 0);
	assert_true(link_is_running(netlink_by_index(nl, ifindex)));

	close(fd); /* and with it goes the device */
	assert_int_equal(netlink_read(nl), 0);
	assert_int_equal(s->n_gone, 1);
	assert_true(s->link.deleted);
	assert_string_equal(s->link.name, "t1");
	assert_null(netlink_by_index(nl, ifindex));

	memset(s, 0, sizeof(*s));
	assert_int_equal(netlink_read(nl), 0); /* nothing waits: does not block, says nothing */
	assert_int_equal(s->n_new + s->n_changed + s->n_gone, 0);
	netlink_free(nl);
}

/* So many reports that the socket must lose some, and among them those that matter. */
static void test_overrun(void **state)
{
	struct seen *s = need(state);
	int stays = make_tap("stays"), goes = make_tap("goes"), comes, size = 1;
	struct netlink *nl = netlink_new(on_link, s);
	int ifindex = index_of("stays");

	assert_non_null(nl);
	assert_return_code(setsockopt(netlink_fd(nl), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)),
			   errno);
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(netlink_link_set_mtu(ifindex, 1000 + i), 0);
	close(goes);
	comes = make_tap("comes");
	assert_int_equal(netlink_link_set_mtu(ifindex, 1234), 0);
	assert_int_equal(netlink_read(nl), 0);
	assert_int_equal(netlink_by_index(nl, ifindex)->mtu, 1234);
	assert_null(netlink_by_name(nl, "goes"));
	assert_non_null(netlink_by_name(nl, "comes"));
	assert_int_equal(s->n_gone, 1);
	assert_int_equal(s->n_new, 1);
	assert_true(s->n_changed >= 1 && s->n_changed < 200);

	/* And it goes on from there. */
	memset(s, 0, sizeof(*s));
	assert_int_equal(netlink_link_set_mtu(ifindex, 1300), 0);
	assert_int_equal(netlink_read(nl), 0);
	assert_int_equal(s->n_changed, 1);
	assert_int_equal(netlink_by_index(nl, ifindex)->mtu, 1300);
	close(comes);
	close(stays);
	netlink_free(nl);
}

/* Leaving a bridge is told as RTM_DELLINK of family AF_BRIDGE; the device stays. */
static void test_bridge_member(void **state)
{
	struct seen *s = need(state);
	int tap = make_tap("t0"), fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), bridge;
	struct ifreq ifr = { .ifr_name = "br" };
	struct netlink *nl;

	if (ioctl(fd, SIOCBRADDBR, "br") < 0) {
		close(tap);
		close(fd);
		skip();
	}
	bridge = index_of("br");
	nl = netlink_new(on_link, s);
	ifr.ifr_ifindex = index_of("t0");
	assert_return_code(ioctl(fd, SIOCBRADDIF, &ifr), errno);
	assert_int_equal(netlink_read(nl), 0);
	assert_int_equal(netlink_by_name(nl, "t0")->master, bridge);
	assert_return_code(ioctl(fd, SIOCBRDELIF, &ifr), errno);
	assert_int_equal(netlink_read(nl), 0);
	assert_int_equal(s->n_gone, 0);
	assert_non_null(netlink_by_name(nl, "t0"));
	assert_int_equal(netlink_by_name(nl, "t0")->master, 0);
	close(tap);
	close(fd);
	netlink_free(nl);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_get),	    TEST(test_change),	TEST(test_addrgen),
		TEST(test_monitor), TEST(test_overrun), TEST(test_bridge_member),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
