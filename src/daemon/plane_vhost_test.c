// SPDX-License-Identifier: Apache-2.0
/*
 * VMMs that come and go at vhost-user ports, as the plane sees them: here a VMM is a socket that
 * says nothing, or nonsense. What is said on it is for the tests of the port, and for
 * tests/test_vhost_user_daemon.py.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "grammar.h"
#include "methods.h"
#include "plane_internal.h"

struct fixture {
	struct log log;
	struct events events;
	struct loop *loop;
	struct relay *relay;
	struct plane *plane;
	char dir[64], path[96];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	f->log = (struct log){ .level = LOG_LEVEL_ERROR };
	f->loop = loop_new();
	f->relay = relay_new(1);
	f->plane = plane_new(f->loop, f->relay, &f->log, &f->events, &e);
	assert_non_null(f->plane);
	strcpy(f->dir, "/tmp/evb-vhost-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/v", f->dir);
	plane_set_run_dir(f->plane, f->dir);
	*state = f;
	return 0;
}

/* Nothing but the states of rings is left: they are for the next evbd. */
static int teardown(void **state)
{
	struct fixture *f = *state;
	char path[128];
	int err;

	plane_free(f->plane);
	relay_free(f->relay);
	loop_free(f->loop);
	snprintf(path, sizeof(path), "%s/rings/v", f->dir);
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	err = rmdir(f->dir);
	free(f);
	return err;
}

/* Apply lines in which %s stands for the path of the socket. 0 or -1 with `e` set. */
static int try_apply(struct fixture *f, bool at_boot, const char *lines, struct err *e)
{
	char text[1024];
	struct rpc_error error = { .line = 0 };
	json_t *requests;
	int line, err;

	/* cppcheck-suppress wrongPrintfScanfArgNum ; the text need not use both */
	snprintf(text, sizeof(text), lines, f->path, f->path);
	requests = grammar_parse_file(text, strlen(text), &line, e);
	if (!requests)
		fail_msg("%s: %s", text, e->message);
	err = methods_apply(f->plane, requests, at_boot, &error);
	*e = error.err;
	json_decref(requests);
	return err;
}

static void apply(struct fixture *f, const char *lines)
{
	struct err e;

	if (try_apply(f, false, lines, &e) < 0)
		fail_msg("%s: %s (%s)", lines, e.message, e.hint);
}

static struct plane_port *port_of(const struct fixture *f)
{
	int id = model_find_port(plane_model(f->plane), "v");

	assert_true(id >= 0);
	return f->plane->shape.port[id];
}

static uint64_t sessions(const struct fixture *f)
{
	struct vhost_user_info info;

	vhost_user_info(port_of(f)->device.port, &info);
	return info.sessions;
}

static bool is_attached(const struct fixture *f)
{
	return vhost_user_is_attached(port_of(f)->device.port);
}

/* Let the plane work until somebody is connected, or nobody is. */
static void wait_attached(struct fixture *f, bool want)
{
	for (int i = 0; i < 500 && is_attached(f) != want; i++)
		loop_turn(f->loop, 10);
	assert_int_equal(is_attached(f), want);
}

static void turns(struct fixture *f)
{
	for (int i = 0; i < 10; i++)
		loop_turn(f->loop, 5);
}

static struct plane_status status(const struct fixture *f)
{
	struct plane_status st;

	plane_port_status(f->plane, port_of(f)->id, &st);
	return st;
}

static int vmm_connect(const struct fixture *f)
{
	int fd = unix_connect(f->path);

	assert_true(fd >= 0);
	return fd;
}

static int vmm_listen(const struct fixture *f)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* Has the other end closed the connection? */
static bool is_over(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLRDHUP);
}

static const char server[] = "bridge add br0\nport add v bridge br0 vhost-user %s mac "
			     "52:54:00:00:00:01\n";
static const char client[] = "bridge add br0\nport add v bridge br0 vhost-user %s client\n";

/* ---- server ---- */

static void test_server(void **state)
{
	struct fixture *f = *state;
	struct plane_status st;
	int fd;

	apply(f, server);
	st = status(f);
	assert_int_equal(st.operstate, PLANE_DOWN);
	assert_non_null(strstr(st.reason, "no VMM is connected to /tmp/evb-vhost-"));
	assert_non_null(strstr(st.hint, "/v,reconnect=1 "));
	assert_non_null(strstr(st.hint, "mac=52:54:00:00:00:01"));
	assert_false(relay_view(f->relay)->port[0].flags & VIEW_UP);
	fd = vmm_connect(f);
	wait_attached(f, true);
	assert_non_null(strstr(status(f).reason, "driver has not set up its queues"));
	assert_true(loop_timer_is_set(f->plane->watchdog_timer));
	close(fd);
	wait_attached(f, false);
	assert_non_null(strstr(status(f).reason, "no VMM is connected"));
	turns(f);
	turns(f);
	assert_false(loop_timer_is_set(f->plane->watchdog_timer)); /* nothing runs for nobody */
}

/* A longest path and a longest hint are not cut. */
static void test_long_path(void **state)
{
	struct fixture *f = *state;
	size_t n = strlen(f->path);

	memset(f->path + n, 'x', sizeof(f->path) - 1 - n);
	f->path[sizeof(f->path) - 1] = '\0';
	apply(f, server);
	assert_non_null(strstr(status(f).hint, "mac=52:54:00:00:00:01"));
}

/* What one says that no VMM would say is the reason until the next one. */
static void test_nonsense(void **state)
{
	struct fixture *f = *state;
	struct plane_status st;
	int fd;

	apply(f, server);
	fd = vmm_connect(f);
	wait_attached(f, true);
	assert_int_equal(write(fd, "GET / HTTP/1.0\r\n\r\n", 18), 18);
	wait_attached(f, false);
	assert_true(is_over(fd));
	close(fd);
	st = status(f);
	assert_int_equal(st.operstate, PLANE_DOWN);
	assert_null(strstr(st.reason, "no VMM is connected"));
	assert_true(st.reason[0] != '\0');
	fd = vmm_connect(f);
	wait_attached(f, true);
	assert_string_equal(status(f).reason, st.reason); /* for a moment */
	close(fd);
	wait_attached(f, false);
	assert_non_null(strstr(status(f).reason, "no VMM is connected"));
}

static void test_one_at_a_time(void **state)
{
	struct fixture *f = *state;
	int first, second;

	apply(f, server);
	first = vmm_connect(f);
	wait_attached(f, true);
	second = vmm_connect(f);
	turns(f);
	assert_true(is_over(second));
	assert_false(is_over(first));
	assert_int_equal(sessions(f), 1);
	close(second);
	/* Both at once: the first is gone when the second comes. */
	close(first);
	first = vmm_connect(f);
	turns(f);
	assert_true(is_attached(f) && !is_over(first));
	assert_int_equal(sessions(f), 2);
	close(first);
}

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A VMM that died with messages unread, and its successor, in one turn of the loop. */
static void test_quick_restart(void **state)
{
	struct fixture *f = *state;
	unsigned n_fds;
	int old, new;

	apply(f, server);
	n_fds = count_fds();
	for (int i = 0; i < 20; i++) {
		old = vmm_connect(f);
		wait_attached(f, true);
		assert_int_equal(write(old, "half a message", 7), 7);
		close(old);
		new = vmm_connect(f);
		loop_turn(f->loop, 100);
		turns(f);
		assert_true(is_attached(f) && !is_over(new));
		close(new);
		wait_attached(f, false);
	}
	assert_int_equal(sessions(f), 40);
	assert_int_equal(count_fds(), n_fds);
}

/* Whatever changes but the socket leaves the VMM connected; so does a change that is refused. */
static void test_changes_keep_the_vmm(void **state)
{
	struct fixture *f = *state;
	struct plane_port *pp;
	struct err e;
	int fd;

	apply(f, server);
	fd = vmm_connect(f);
	wait_attached(f, true);
	pp = port_of(f);
	apply(f, "port set v mtu 1400 offload off mac 52:54:00:00:00:02 mode private vlan 7\n");
	apply(f, "bridge add br1 type learning\nport add m bridge br0 memory\n");
	assert_int_equal(try_apply(f, false,
				   "port set v mtu 9000\n"
				   "port add w bridge br0 vhost-user /nowhere/at/all\n",
				   &e),
			 -1);
	assert_non_null(strstr(e.message, "w: folder /nowhere/at does not exist"));
	assert_non_null(strstr(e.hint, "mkdir -p /nowhere/at"));
	turns(f);
	assert_ptr_equal(port_of(f), pp);
	assert_true(is_attached(f) && !is_over(fd));
	assert_int_equal(sessions(f), 1);
	assert_int_equal(status(f).mtu, 1400);
	apply(f, "port del v\n");
	assert_true(is_over(fd));
	close(fd);
	assert_int_equal(access(f->path, F_OK), -1);
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_ino : 0;
}

/* Deleted and added in one go: the socket stays, with all that waits in it. */
static void test_replaced_in_one_go(void **state)
{
	struct fixture *f = *state;
	ino_t before;
	struct err e;
	int fd;

	apply(f, server);
	before = inode_of(f->path);
	apply(f, "port del v\nport add v bridge br0 vhost-user %s queues 2\n");
	assert_int_equal(inode_of(f->path), before);
	assert_int_equal(f->plane->shape.model.port[0].queues, 2);
	/* In another slot. */
	apply(f, "port add m bridge br0 memory\nport del v\nport add x bridge br0 memory\n"
		 "port add v bridge br0 vhost-user %s\n");
	assert_int_equal(inode_of(f->path), before);
	fd = vmm_connect(f);
	wait_attached(f, true);
	/* Refused: the port that is there keeps socket and VMM. */
	assert_int_equal(try_apply(f, false,
				   "port del v\nport add v bridge br0 vhost-user %s queues 4\n"
				   "port add w bridge br0 vhost-user /nowhere/at/all\n",
				   &e),
			 -1);
	turns(f);
	assert_true(is_attached(f) && !is_over(fd));
	close(fd);
	wait_attached(f, false);
	/* Other permissions: that takes two steps, and it says what is in the way. */
	assert_int_equal(try_apply(f, false,
				   "port del v\nport add v bridge br0 vhost-user %s perm 0666\n",
				   &e),
			 -1);
	assert_non_null(strstr(e.message, "evbd listens on this socket already"));
	fd = vmm_connect(f);
	wait_attached(f, true);
	close(fd);
}

static void test_rings_are_kept(void **state)
{
	struct fixture *f = *state;
	char path[128];
	ino_t before;
	struct err e;

	snprintf(path, sizeof(path), "%s/rings/v", f->dir);
	apply(f, server);
	before = inode_of(path);
	assert_true(before != 0);
	plane_free(f->plane);
	assert_int_equal(inode_of(path), before);
	f->plane = plane_new(f->loop, f->relay, &f->log, &f->events, &e);
	plane_set_run_dir(f->plane, f->dir);
	/* A configuration that is refused does not cost what is known of its ports. */
	assert_int_equal(try_apply(f, true,
				   "bridge add br0\nport add v bridge br0 vhost-user %s\n"
				   "port add w bridge br0 vhost-user /proc/self/w\n",
				   &e),
			 -1);
	assert_int_equal(inode_of(path), before);
	apply(f, server);
	assert_int_equal(inode_of(path), before);
	apply(f, "port del v\n");
	assert_int_equal(inode_of(path), 0);
	/* What was made for a port that came to nothing is gone. */
	assert_int_equal(try_apply(f, false,
				   "port add v bridge br0 vhost-user %s\n"
				   "port add w bridge br0 vhost-user /nowhere/at/all\n",
				   &e),
			 -1);
	assert_int_equal(inode_of(path), 0);
	assert_int_equal(inode_of(f->path), 0);
}

static void test_waits_for_its_folder(void **state)
{
	struct fixture *f = *state;
	char folder[96];
	struct err e;
	int fd;

	snprintf(folder, sizeof(folder), "%s/q", f->dir);
	snprintf(f->path, sizeof(f->path), "%.80s/v", folder);
	assert_int_equal(try_apply(f, false, server, &e), -1);
	assert_non_null(strstr(e.message, "/q does not exist"));
	assert_int_equal(try_apply(f, true, server, &e), 0);
	assert_non_null(strstr(status(f).reason, "/q does not exist"));
	assert_non_null(strstr(status(f).hint, "mkdir -p"));
	assert_int_equal(mkdir(folder, 0700), 0);
	for (int i = 0; i < 300 && !inode_of(f->path); i++)
		loop_turn(f->loop, 20);
	fd = vmm_connect(f);
	wait_attached(f, true);
	close(fd);
	wait_attached(f, false);
	apply(f, "port del v\n");
	assert_int_equal(rmdir(folder), 0);
}

/* ---- client ---- */

static int vmm_accept(struct fixture *f, int listener)
{
	int fd = -1;

	for (int i = 0; i < 500 && fd < 0; i++) {
		loop_turn(f->loop, 10);
		fd = accept(listener, NULL, NULL);
	}
	assert_true(fd >= 0);
	wait_attached(f, true);
	return fd;
}

static void test_client(void **state)
{
	struct fixture *f = *state;
	int listener, fd;

	apply(f, client);
	turns(f);
	assert_non_null(strstr(status(f).reason, "no VMM listens on /tmp/evb-vhost-"));
	assert_non_null(strstr(status(f).hint, "/v,server=on "));
	listener = vmm_listen(f);
	fd = vmm_accept(f, listener);
	assert_non_null(strstr(status(f).reason, "driver has not set up"));
	close(fd); /* the VMM forgets us, and takes us again */
	fd = vmm_accept(f, listener);
	close(fd);
	close(listener);
	unlink(f->path);
	wait_attached(f, false);
	turns(f);
	assert_non_null(strstr(status(f).reason, "no VMM listens"));
	listener = vmm_listen(f);
	fd = vmm_accept(f, listener);
	close(fd);
	close(listener);
	/* The file is the VMM's: it is not removed with the port. */
	apply(f, "port del v\n");
	assert_true(inode_of(f->path) != 0);
	unlink(f->path);
}

/* The folder need not be there yet; then it is the timer that finds the socket. */
static void test_client_without_folder(void **state)
{
	struct fixture *f = *state;
	char folder[96];
	int listener, fd;

	snprintf(folder, sizeof(folder), "%s/q", f->dir);
	snprintf(f->path, sizeof(f->path), "%.80s/v", folder);
	apply(f, client);
	turns(f);
	assert_int_equal(mkdir(folder, 0700), 0);
	listener = vmm_listen(f);
	fd = vmm_accept(f, listener);
	close(fd);
	close(listener);
	unlink(f->path);
	rmdir(folder);
}

static void test_client_of_no_socket(void **state)
{
	struct fixture *f = *state;
	FILE *file = fopen(f->path, "we");

	fclose(file);
	apply(f, client);
	turns(f);
	assert_int_equal(status(f).operstate, PLANE_DOWN);
	assert_true(status(f).reason[0]);
	unlink(f->path);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_server),
		TEST(test_long_path),
		TEST(test_nonsense),
		TEST(test_one_at_a_time),
		TEST(test_quick_restart),
		TEST(test_changes_keep_the_vmm),
		TEST(test_replaced_in_one_go),
		TEST(test_rings_are_kept),
		TEST(test_waits_for_its_folder),
		TEST(test_client),
		TEST(test_client_without_folder),
		TEST(test_client_of_no_socket),
	};

	return cmocka_run_group_tests_name("plane_vhost", tests, NULL, NULL);
}
