// SPDX-License-Identifier: Apache-2.0
#include "guard.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "netlink.h"
#include "types.h"
#include "uplink.h"

enum {
	GUARD_FD = 3, /* the guard's end of the socket */
	GUARD_ITEMS_MAX = 1024,
};

#define GUARD_RESTART_PAUSE NS_PER_S

/* What evbd tells. */
struct guard_order {
	enum { ORDER_ADD, ORDER_FORGET } what;
	struct guard_item item;
};

struct guard_list {
	unsigned n;
	struct guard_item item[GUARD_ITEMS_MAX];
	unsigned users[GUARD_ITEMS_MAX]; /* how often it was added */
};

struct guard {
	struct loop *loop;
	const struct log *log;
	struct loop_watch *watch;
	struct loop_timer *timer; /* the next start, after it ended too early */
	int fd;			  /* -1: it does not run */
	pid_t pid;
	struct guard_list list;
};

/* ---- lists, on both sides ---- */

static int list_find(const struct guard_list *l, const struct guard_item *item)
{
	for (unsigned i = 0; i < l->n; i++)
		if (!memcmp(&l->item[i], item, sizeof(*item)))
			return (int)i;
	return -1;
}

static int list_add(struct guard_list *l, const struct guard_item *item)
{
	if (list_find(l, item) >= 0)
		return -EEXIST;
	if (l->n == GUARD_ITEMS_MAX)
		return -ENOSPC;
	l->item[l->n] = *item;
	l->users[l->n++] = 1;
	return 0;
}

/* True if it is gone: it was not added more often. */
static bool list_remove(struct guard_list *l, const struct guard_item *item)
{
	int at = list_find(l, item);

	if (at < 0 || --l->users[at])
		return false;
	l->item[at] = l->item[--l->n];
	l->users[at] = l->users[l->n];
	return true;
}

/* ---- the process ---- */

/* Of evbd's privileges, what looking at programs and detaching them takes. */
static void drop_privileges(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { .effective = 0 } };
	const unsigned keep[] = { CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_DAC_OVERRIDE };

	for (unsigned i = 0; i < ARRAY_SIZE(keep); i++)
		data[keep[i] / 32].effective |= 1u << keep[i] % 32;
	for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
		data[i].permitted = data[i].effective;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_capset, &header, data);
}

static void take_down(const struct guard_item *item)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = item->ifindex, .attach_point = item->attach);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = item->handle, .priority = item->priority);

	switch ((enum guard_kind)item->kind) {
	case GUARD_XDP:
		uplink_bpf_remove_stale(item->ifindex);
		return;
	case GUARD_HAIRPIN:
		netlink_link_set_hairpin(item->ifindex, false);
		return;
	case GUARD_TC:
		bpf_tc_detach(&hook, &opts);
		return;
	}
}

static void be_guard(void)
{
	struct guard_list list = { .n = 0 };
	struct guard_order order;
	ssize_t size;

	do {
		size = recv(GUARD_FD, &order, sizeof(order), 0);
		if (size != sizeof(order))
			continue;
		if (order.what == ORDER_ADD)
			list_add(&list, &order.item);
		else
			list_remove(&list, &order.item);
	} while (size > 0 || (size < 0 && errno == EINTR));
	for (unsigned i = 0; i < list.n; i++)
		take_down(&list.item[i]);
}

void guard_main(char **argv)
{
	static const int ignored[] = {
		SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2
	};

	if (!argv[0] || strcmp(argv[0], GUARD_NAME) != 0)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	prctl(PR_SET_NAME, GUARD_NAME);
	drop_privileges();
	libbpf_set_print(NULL);
	libxdp_set_print(NULL);
	if (chdir("/") == 0)
		be_guard();
	exit(EXIT_SUCCESS);
}

/* ---- evbd's side ---- */

/* In a session of its own, so that what is typed at evbd's terminal does not reach it. */
static int spawn(int fd, pid_t *pid)
{
	char name[] = GUARD_NAME, *argv[] = { name, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int err;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	err = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	if (!err)
		err = posix_spawn_file_actions_adddup2(&actions, fd, GUARD_FD);
	if (!err)
		err = posix_spawn_file_actions_addclosefrom_np(&actions, GUARD_FD + 1);
	if (!err)
		err = posix_spawn(pid, "/proc/self/exe", &actions, &attr, argv,
				  environ); /* libxdp looks for its bpffs there */
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return -err;
}

static int tell(const struct guard *g, int what, const struct guard_item *item)
{
	struct guard_order order;

	memset(&order, 0, sizeof(order)); /* no octet that says nothing */
	order.what = what;
	order.item = *item;
	return send(g->fd, &order, sizeof(order), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void on_end(void *aux, uint32_t events);

static int start(struct guard *g)
{
	int pair[2], err = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	err = spawn(pair[1], &g->pid);
	close(pair[1]);
	g->fd = pair[0];
	if (err) {
		close(pair[0]);
		g->fd = -1;
		return err;
	}
	g->watch = loop_watch(g->loop, g->fd, EPOLLIN, on_end, g);
	if (!g->watch)
		err = -errno;
	for (unsigned i = 0; i < g->list.n && !err; i++)
		err = tell(g, ORDER_ADD, &g->list.item[i]);
	return err;
}

/* With everything it was told forgotten if `peacefully`. */
static void end(struct guard *g, bool peacefully)
{
	if (g->fd < 0)
		return;
	for (unsigned i = 0; peacefully && i < g->list.n; i++)
		tell(g, ORDER_FORGET, &g->list.item[i]);
	loop_unwatch(g->watch);
	g->watch = NULL;
	close(g->fd);
	g->fd = -1;
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

static void start_again(void *aux)
{
	struct guard *g = aux;
	int err = start(g);

	if (!err)
		return;
	end(g, true);
	log_warning(g->log, "cannot start %s: %s; it is tried again", GUARD_NAME, strerror(-err));
	loop_timer_set(g->timer, loop_now(g->loop) + GUARD_RESTART_PAUSE, 0);
}

/* It says nothing, so that it ended. */
static void on_end(void *aux, uint32_t events)
{
	struct guard *g = aux;

	log_warning(g->log, "%s (process %d) ended; another one is started", GUARD_NAME,
		    (int)g->pid);
	end(g, false);
	loop_timer_set(g->timer, loop_now(g->loop) + GUARD_RESTART_PAUSE, 0);
}

struct guard *guard_new(struct loop *loop, const struct log *log)
{
	struct guard *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->loop = loop;
	g->log = log;
	g->fd = -1;
	g->timer = loop_timer_new(loop, start_again, g);
	if (g->timer)
		return g;
	free(g);
	return NULL;
}

void guard_free(struct guard *g)
{
	if (!g)
		return;
	end(g, true);
	loop_timer_free(g->timer);
	free(g);
}

int guard_add(struct guard *g, const struct guard_item *item)
{
	int at = list_find(&g->list, item), err;

	if (at >= 0) {
		g->list.users[at]++;
		return 0;
	}
	err = list_add(&g->list, item);
	if (err)
		return err;
	if (g->fd < 0) { /* it is told of the list when it starts */
		loop_timer_stop(g->timer);
		err = start(g);
		if (err)
			end(g, true);
	} else {
		err = tell(g, ORDER_ADD, item);
	}
	if (err)
		list_remove(&g->list, item);
	return err;
}

void guard_forget(struct guard *g, const struct guard_item *item)
{
	if (list_remove(&g->list, item) && g->fd >= 0)
		tell(g, ORDER_FORGET, item);
}
