// SPDX-License-Identifier: Apache-2.0
/*
 * Messages about the switch in a NIC. No NIC at hand has one, so requests are compared with what
 * bridge(8) of iproute2 6.1 sends, and reports are made here as drivers make them.
 */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "nic.h"
#include "types.h"

/* strace of `bridge link set dev v0 hwmode vepa`, for device 3; sequence number 1. */
static const uint8_t set_vepa[] = {
	/* nlmsghdr: size, RTM_SETLINK, REQUEST | ACK, sequence, port */
	56, 0, 0, 0, 19, 0, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0,
	/* ifinfomsg: AF_BRIDGE, index */
	7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* IFLA_PROTINFO, nested and empty */
	4, 0, 12, 0x80,
	/* IFLA_AF_SPEC { IFLA_BRIDGE_FLAGS = SELF, IFLA_BRIDGE_MODE = VEPA } */
	20, 0, 26, 0, 6, 0, 0, 0, 2, 0, 0, 0, 6, 0, 1, 0, 1, 0, 0, 0
};

static void test_request(void **state)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	const struct nlmsghdr *nlh;
	uint8_t veb[sizeof(set_vepa)];

	memset(buf, 0xff, sizeof(buf));
	nlh = nic_hwmode_request(buf, 3, NIC_VEPA);
	assert_int_equal(nlh->nlmsg_len, sizeof(set_vepa));
	assert_memory_equal(nlh, set_vepa, sizeof(set_vepa));
	memcpy(veb, set_vepa, sizeof(veb));
	veb[sizeof(veb) - 4] = BRIDGE_MODE_VEB;
	nlh = nic_hwmode_request(buf, 3, NIC_VEB);
	assert_memory_equal(nlh, veb, sizeof(veb));
}

/* A report as ndo_dflt_bridge_getlink() makes it. */
struct report {
	const char *name;
	uint16_t type;
	uint8_t family;
	int mode;	     /* -1: not in it */
	uint16_t mode_size;  /* of the attribute's payload */
	bool is_in_protinfo; /* which is not where it belongs */
	enum nic_hwmode expect;
};

static void test_reports(void **state)
{
	static const struct report rows[] = {
		{ "veb", RTM_NEWLINK, AF_BRIDGE, BRIDGE_MODE_VEB, 2, false, NIC_VEB },
		{ "vepa", RTM_NEWLINK, AF_BRIDGE, BRIDGE_MODE_VEPA, 2, false, NIC_VEPA },
		{ "undefined", RTM_NEWLINK, AF_BRIDGE, BRIDGE_MODE_UNDEF, 2, false, NIC_NO_SWITCH },
		{ "port of a bridge", RTM_NEWLINK, AF_BRIDGE, -1, 0, false, NIC_NO_SWITCH },
		{ "too short", RTM_NEWLINK, AF_BRIDGE, BRIDGE_MODE_VEPA, 1, false, NIC_NO_SWITCH },
		{ "elsewhere", RTM_NEWLINK, AF_BRIDGE, BRIDGE_MODE_VEPA, 2, true, NIC_NO_SWITCH },
		{ "of the link", RTM_NEWLINK, AF_UNSPEC, BRIDGE_MODE_VEPA, 2, false,
		  NIC_NO_SWITCH },
		{ "gone", RTM_DELLINK, AF_BRIDGE, BRIDGE_MODE_VEPA, 2, false, NIC_NO_SWITCH },
	};
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct report *r = &rows[i];
		struct nlmsghdr *nlh = netlink_request(buf, r->type, 3);
		uint16_t mode = (uint16_t)r->mode;
		struct nlattr *nest;

		((struct ifinfomsg *)mnl_nlmsg_get_payload(nlh))->ifi_family = r->family;
		mnl_attr_put_strz(nlh, IFLA_IFNAME, "eth0");
		nest = mnl_attr_nest_start(nlh, r->is_in_protinfo ? IFLA_PROTINFO : IFLA_AF_SPEC);
		mnl_attr_put_u16(nlh, IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF);
		if (r->mode >= 0)
			mnl_attr_put(nlh, IFLA_BRIDGE_MODE, r->mode_size, &mode);
		mnl_attr_nest_end(nlh, nest);
		if (nic_parse_hwmode(nlh) != r->expect)
			fail_msg("%s: %d", r->name, nic_parse_hwmode(nlh));
	}
}

static void test_functions_and_xdp(void **state)
{
	alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
	struct nlmsghdr *nlh = netlink_request(buf, RTM_NEWLINK, 3);
	struct nic nic = { 0 };
	struct nlattr *xdp;

	mnl_attr_put_u32(nlh, IFLA_NUM_VF, 63);
	xdp = mnl_attr_nest_start(nlh, IFLA_XDP);
	mnl_attr_put_u8(nlh, IFLA_XDP_ATTACHED, XDP_ATTACHED_DRV);
	mnl_attr_put_u32(nlh, IFLA_XDP_DRV_PROG_ID, 42);
	mnl_attr_put_u32(nlh, IFLA_XDP_PROG_ID, 42);
	mnl_attr_nest_end(nlh, xdp);
	nic_parse(nlh, &nic);
	assert_int_equal(nic.n_vfs, 63);
	assert_int_equal(nic.xdp_mode, XDP_ATTACHED_DRV);
	assert_int_equal(nic.xdp_prog, 42);

	nlh = netlink_request(buf, RTM_NEWLINK, 3); /* cut short: as if they were not there */
	mnl_attr_put_u16(nlh, IFLA_NUM_VF, 63);
	nic = (struct nic){ 0 };
	nic_parse(nlh, &nic);
	assert_int_equal(nic.n_vfs, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_functions_and_xdp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
