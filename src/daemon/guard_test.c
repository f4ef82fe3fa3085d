// SPDX-License-Identifier: Apache-2.0
/*
 * A stand-in for evbd attaches an XDP program and a clsact filter to a device, tells its guard, and
 * is killed, or ends in peace. Needs root; runs in a namespace of its own.
 */
#include "guard.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "types.h"
#include "uplink.h"

static int load(enum bpf_prog_type type)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 2 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(type, UPLINK_PROGRAM, "GPL", code, ARRAY_SIZE(code), NULL);
}

static bool has_xdp(int ifindex)
{
	uint32_t id = 0;

	return bpf_xdp_query_id(ifindex, 0, &id) == 0 && id;
}

static bool has_filter(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 7, .priority = 9);

	return bpf_tc_query(&hook, &opts) == 0;
}

/* What the daemon tells, and attaches then. */
static void attach(struct guard *g, int ifindex)
{
	struct guard_item xdp = { .kind = GUARD_XDP, .ifindex = ifindex };
	struct guard_item filter = { .kind = GUARD_TC,
				     .ifindex = ifindex,
				     .attach = BPF_TC_INGRESS,
				     .handle = 7,
				     .priority = 9 };
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 7, .priority = 9);

	opts.prog_fd = load(BPF_PROG_TYPE_SCHED_CLS);
	assert_int_equal(guard_add(g, &xdp), 0);
	assert_int_equal(guard_add(g, &filter), 0);
	assert_int_equal(guard_add(g, &filter), 0);
	guard_forget(g, &filter); /* one of two, as when a host port takes the place of another */
	assert_int_equal(bpf_xdp_attach(ifindex, load(BPF_PROG_TYPE_XDP), 0, NULL), 0);
	assert_int_equal(bpf_tc_hook_create(&hook), 0);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
}

struct daemon {
	struct log log;
	struct loop *loop;
	struct guard *guard;
};

static void daemon_start(struct daemon *d)
{
	d->log = (struct log){ .level = LOG_LEVEL_ERROR };
	d->loop = loop_new();
	d->guard = guard_new(d->loop, &d->log);
	assert_non_null(d->guard);
}

static int child_of(int pid)
{
	char command[64];
	int child = 0;
	FILE *f;

	snprintf(command, sizeof(command), "pgrep -r DRS -P %d -x %s", pid, GUARD_NAME);
	f = popen(command, "r");
	if (!f || fscanf(f, "%d", &child) != 1)
		child = 0;
	if (f)
		pclose(f);
	return child;
}

/* The guard, once it has its name; 0: it gets none. */
static int named_child(void)
{
	int child = 0;

	for (unsigned i = 0; i < 100 && !child; i++, usleep(20 * 1000))
		child = child_of(getpid());
	return child;
}

/* Everything the guard is to ignore must not end it, and its death must not be noticed too late. */
static void torment_guard(struct daemon *d)
{
	int guard = named_child(), next = 0;

	assert_true(guard > 0);
	kill(guard, SIGTERM);
	kill(guard, SIGINT);
	usleep(50 * 1000);
	assert_int_equal(child_of(getpid()), guard);
	kill(guard, SIGKILL);
	for (unsigned i = 0; i < 40 && (!next || next == guard); i++) {
		loop_turn(d->loop, 100);
		next = child_of(getpid());
	}
	assert_true(next > 0 && next != guard);
}

static int make_device(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		skip();
	assert_int_equal(system("ip link add ga type veth peer name gb"), 0);
	return (int)if_nametoindex("ga");
}

static void what_a_killed_daemon_attached_goes(void **state)
{
	int ifindex = make_device(), status;
	pid_t pid = fork();

	if (!pid) {
		struct daemon d;

		daemon_start(&d);
		attach(d.guard, ifindex);
		torment_guard(&d);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	for (unsigned i = 0; i < 100 && (has_xdp(ifindex) || has_filter(ifindex)); i++)
		usleep(20 * 1000);
	assert_false(has_xdp(ifindex));
	assert_false(has_filter(ifindex));
}

static void what_was_forgotten_stays(void **state)
{
	int ifindex = make_device();
	struct guard_item xdp = { .kind = GUARD_XDP, .ifindex = ifindex };
	struct daemon d;

	daemon_start(&d);
	assert_int_equal(child_of(getpid()), 0); /* none before it is needed */
	attach(d.guard, ifindex);
	assert_true(named_child() > 0);
	guard_forget(d.guard, &xdp);
	guard_free(d.guard);
	loop_free(d.loop);
	assert_int_equal(child_of(getpid()), 0);
	assert_true(has_xdp(ifindex));
	assert_true(has_filter(ifindex));
	assert_int_equal(uplink_bpf_remove_stale(ifindex), 1);
	assert_false(has_xdp(ifindex));
	assert_int_equal(uplink_bpf_remove_stale(ifindex), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_killed_daemon_attached_goes),
		cmocka_unit_test(what_was_forgotten_stays),
	};

	guard_main(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
