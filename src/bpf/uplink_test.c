// SPDX-License-Identifier: Apache-2.0
/* The program on a veth device. Needs root; runs in a namespace of its own. */
#include "uplink.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int make_device(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		skip();
	assert_int_equal(system("ip link add ua type veth peer name ub"), 0);
	return (int)if_nametoindex("ua");
}

static uint32_t attached_id(int ifindex)
{
	uint32_t id = 0;

	assert_int_equal(bpf_xdp_query_id(ifindex, 0, &id), 0);
	return id;
}

static int load_foreign(const char *name)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, name, "GPL", code, ARRAY_SIZE(code), NULL);
}

static void it_comes_and_goes(void **state)
{
	int ifindex = make_device();
	struct uplink_bpf *u = NULL;
	struct mac mac = { { 2, 0, 0, 0, 0, 1 } };
	struct err e;

	assert_int_equal(uplink_bpf_attach(&u, ifindex, "ua", true, &e), 0);
	assert_true(uplink_bpf_is_native(u));
	assert_int_not_equal(attached_id(ifindex), 0);
	assert_int_equal(uplink_bpf_own(u, mac, true), 0);
	assert_int_equal(uplink_bpf_own(u, mac, true), 0);
	assert_int_equal(uplink_bpf_own(u, mac, false), 0);
	assert_int_equal(uplink_bpf_own(u, mac, false), -ENOENT);
	uplink_bpf_free(u);
	assert_int_equal(attached_id(ifindex), 0);
}

static void a_foreign_program_is_named(void **state)
{
	int ifindex = make_device();
	struct uplink_bpf *u = NULL;
	struct err e;

	assert_int_equal(bpf_xdp_attach(ifindex, load_foreign("firewall"), 0, NULL), 0);
	assert_int_equal(uplink_bpf_attach(&u, ifindex, "ua", false, &e), -EBUSY);
	assert_non_null(strstr(e.message, "ua: XDP program firewall"));
	assert_non_null(strstr(e.hint, "ip link set ua xdp off"));
	assert_int_equal(uplink_bpf_remove_stale(ifindex), 0);
	assert_int_not_equal(attached_id(ifindex), 0);
}

static void what_a_killed_evbd_left_is_replaced(void **state)
{
	int ifindex = make_device();
	struct uplink_bpf *u = NULL;
	uint32_t stale;
	struct err e;

	assert_int_equal(bpf_xdp_attach(ifindex, load_foreign(UPLINK_PROGRAM), 0, NULL), 0);
	stale = attached_id(ifindex);
	assert_int_equal(uplink_bpf_attach(&u, ifindex, "ua", false, &e), 0);
	assert_int_not_equal(attached_id(ifindex), stale);
	uplink_bpf_free(u);
}

static void without_native_it_is_generic(void **state)
{
	int ifindex = make_device();
	struct uplink_bpf *u = NULL;
	struct err e;

	assert_int_equal(system("ip link add um link ua type macvlan mode bridge"), 0);
	ifindex = (int)if_nametoindex("um");
	assert_int_equal(uplink_bpf_attach(&u, ifindex, "um", true, &e), -EOPNOTSUPP);
	assert_int_equal(uplink_bpf_attach(&u, ifindex, "um", false, &e), 0);
	assert_false(uplink_bpf_is_native(u));
	uplink_bpf_free(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_comes_and_goes),
		cmocka_unit_test(a_foreign_program_is_named),
		cmocka_unit_test(what_a_killed_evbd_left_is_replaced),
		cmocka_unit_test(without_native_it_is_generic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
