// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "types.h"
#include "unix_socket.h"

struct place {
	char folder[64], path[UNIX_PATH_SIZE];
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->folder, "/tmp/evb-unix-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->path, sizeof(p->path), "%s/s", p->folder);
	*state = p;
	return 0;
}

/* Whatever was made is gone by now: a folder that is not empty cannot be removed. */
static int teardown(void **state)
{
	struct place *p = *state;
	int err;

	unlink(p->path);
	err = rmdir(p->folder);
	free(p);
	return err;
}

static struct unix_spec spec(const char *path)
{
	return (struct unix_spec){ .path = path,
				   .perm = 0600,
				   .owner = (uid_t)-1,
				   .group = (gid_t)-1,
				   .elsewhere = "go elsewhere" };
}

/* A socket at the path: one that somebody listens on, or -1 after its owner died. */
static int other(const char *path, bool is_live)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (is_live && listen(fd, 1) == 0)
		return fd;
	close(fd);
	return -1;
}

static void assert_refused(const struct unix_spec *s, int code, const char *message,
			   const char *hint)
{
	struct unix_listener l;
	struct err e = { 0 };

	assert_int_equal(unix_listen(&l, s, &e), -code);
	if (e.code != code || !strstr(e.message, message) || !strstr(e.hint, hint))
		fail_msg("%d %s (%s)", e.code, e.message, e.hint);
}

static void test_listens(void **state)
{
	struct place *p = *state;
	struct unix_spec s = spec(p->path);
	struct unix_listener l;
	struct stat st;
	struct err e;
	int fd;

	assert_int_equal(unix_look(p->path, &e), UNIX_NOTHING);
	assert_int_equal(unix_connect(p->path), -ENOENT);
	assert_int_equal(unix_listen(&l, &s, &e), 0);
	assert_int_equal(unix_look(p->path, &e), UNIX_LIVE);
	assert_int_equal(lstat(p->path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	fd = unix_connect(p->path);
	assert_true(fd >= 0);
	close(fd);
	unix_unlisten(&l);
	assert_int_equal(access(p->path, F_OK), -1);
}

static void test_permissions(void **state)
{
	static const mode_t perms[] = { 0600, 0660, 0666, 0777, 0000 };
	struct place *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(perms); i++) {
		struct unix_spec s = spec(p->path);
		mode_t mask = umask(0), before;
		struct unix_listener l;
		struct stat st;
		struct err e;

		umask(mask);
		s.perm = perms[i];
		if (geteuid() == 0) {
			s.owner = 7;
			s.group = 9;
		}
		assert_int_equal(unix_listen(&l, &s, &e), 0);
		assert_int_equal(lstat(p->path, &st), 0);
		assert_int_equal(st.st_mode & 0777, perms[i]);
		if (geteuid() == 0)
			assert_true(st.st_uid == 7 && st.st_gid == 9);
		unix_unlisten(&l);
		before = umask(mask);
		assert_int_equal(before, mask); /* as it was */
	}
}

static void test_stale_is_replaced(void **state)
{
	struct place *p = *state;
	struct unix_spec s = spec(p->path);
	struct unix_listener l;
	struct err e;

	other(p->path, false);
	assert_int_equal(unix_look(p->path, &e), UNIX_STALE);
	assert_int_equal(unix_check(&s, &e), 0);
	assert_int_equal(unix_look(p->path, &e), UNIX_STALE); /* looking changes nothing */
	assert_int_equal(unix_listen(&l, &s, &e), 0);
	assert_int_equal(unix_look(p->path, &e), UNIX_LIVE);
	unix_unlisten(&l);
}

static void test_live_is_refused(void **state)
{
	struct place *p = *state;
	struct unix_spec s = spec(p->path);
	int fd = other(p->path, true), got;
	struct stat before, after;

	assert_int_equal(lstat(p->path, &before), 0);
	assert_refused(&s, EADDRINUSE, "listens on this socket", "go elsewhere");
	assert_int_equal(lstat(p->path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	while ((got = accept(fd, NULL, NULL)) >= 0) /* it still works */
		close(got);
	got = unix_connect(p->path);
	assert_true(got >= 0);
	close(got);
	close(fd);
}

static void test_other_process_is_named(void **state)
{
	struct place *p = *state;
	struct unix_spec s = spec(p->path);
	char text[32], octet;
	pid_t child;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		other(p->path, true);
		(void)!write(pipes[1], "x", 1);
		pause();
	}
	assert_int_equal(read(pipes[0], &octet, 1), 1);
	snprintf(text, sizeof(text), "process %d (unix_socket", child);
	assert_refused(&s, EADDRINUSE, text, "stop it first");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_other_files_are_left_alone(void **state)
{
	struct place *p = *state;
	struct unix_spec s = spec(p->path);
	struct stat st;
	int fd = open(p->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_refused(&s, EEXIST, "is not a socket", "move that file away");
	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_size, 8);
	unlink(p->path);
	assert_int_equal(symlink("/nowhere/at/all", p->path), 0);
	assert_refused(&s, EEXIST, "is not a socket", "move that file away");
}

static void test_folders(void **state)
{
	struct place *p = *state;
	char path[2 * UNIX_PATH_SIZE];
	struct unix_spec s = spec(path);

	snprintf(path, sizeof(path), "%s/a/b/s", p->folder);
	assert_refused(&s, ENOENT, "/a/b does not exist", "mkdir -p /tmp/evb-unix");
	snprintf(path, sizeof(path), "/proc/self/no-socket-here");
	assert_refused(&s, ENOENT, "cannot make a socket in /proc/self", "allowed to write");
	snprintf(path, sizeof(path), "%s/", p->folder);
	assert_refused(&s, EEXIST, "is not a socket", "go elsewhere");
	memset(path, 'x', UNIX_PATH_SIZE);
	path[0] = '/';
	path[UNIX_PATH_SIZE] = '\0';
	assert_refused(&s, ENAMETOOLONG, "too long", "less than 108 octets");
	path[0] = '\0';
	assert_refused(&s, ENAMETOOLONG, "empty", "go elsewhere");
}

/* The longest path there can be: the name under which it is made must not be longer. */
static void test_longest_path(void **state)
{
	struct place *p = *state;
	char path[UNIX_PATH_SIZE];
	struct unix_spec s = spec(path);
	struct unix_listener l;
	struct err e;
	size_t n = (size_t)snprintf(path, sizeof(path), "%s/", p->folder);

	memset(path + n, 'x', sizeof(path) - 1 - n);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(unix_listen(&l, &s, &e), 0);
	assert_int_equal(unix_look(path, &e), UNIX_LIVE);
	unix_unlisten(&l);
}

static void test_only_ours_is_removed(void **state)
{
	struct place *p = *state;
	struct unix_spec s = spec(p->path);
	struct unix_listener l;
	struct err e;
	int fd;

	assert_int_equal(unix_listen(&l, &s, &e), 0);
	assert_int_equal(unlink(p->path), 0);
	fd = other(p->path, true);
	unix_unlisten(&l);
	assert_int_equal(unix_look(p->path, &e), UNIX_LIVE);
	close(fd);
}

/* Many want one path at once, be it free or stale: one gets it, the others are told. */
static void test_race(void **state)
{
	enum { ROUNDS = 40, RIVALS = 6 };
	struct place *p = *state;

	for (int round = 0; round < ROUNDS; round++) {
		pid_t child[RIVALS];
		int n_won = 0, go[2], done[2];

		if (round % 2)
			other(p->path, false);
		assert_int_equal(pipe(go) | pipe(done), 0);
		for (int i = 0; i < RIVALS; i++) {
			struct unix_spec s = spec(p->path);
			struct unix_listener l;
			struct err e;
			char octet;
			int err;

			child[i] = fork();
			if (child[i])
				continue;
			close(go[1]);
			(void)!read(go[0], &octet, 1);
			err = unix_listen(&l, &s, &e);
			(void)!write(done[1], "x", 1);
			close(done[1]);
			while (read(done[0], &octet, 1) > 0) /* until all have tried */
				;
			_exit(err == 0 ? 0 : err == -EADDRINUSE || err == -EBUSY ? 1 : 2);
		}
		close(go[0]);
		close(go[1]);
		close(done[0]);
		close(done[1]);
		for (int i = 0; i < RIVALS; i++) {
			int status;

			waitpid(child[i], &status, 0);
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
			n_won += WEXITSTATUS(status) == 0;
		}
		assert_int_equal(n_won, 1);
		assert_int_equal(unlink(p->path), 0);
		assert_int_equal(rmdir(p->folder), 0); /* nothing else is left */
		assert_int_equal(mkdir(p->folder, 0700), 0);
	}
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_listens),
		TEST(test_permissions),
		TEST(test_stale_is_replaced),
		TEST(test_live_is_refused),
		TEST(test_other_process_is_named),
		TEST(test_other_files_are_left_alone),
		TEST(test_folders),
		TEST(test_longest_path),
		TEST(test_only_ours_is_removed),
		TEST(test_race),
	};

	return cmocka_run_group_tests_name("unix_socket", tests, NULL, NULL);
}
