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
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "server.h"

/* A server on a socket of its own, which echoes params, and fails for the method "no". */
struct fixture {
	char dir[64], path[96];
	struct log log;
	struct events events;
	struct loop *loop;
	struct server *server;
	unsigned n_calls;
};

static json_t *call(void *aux, struct server_client *client, const char *method,
		    const json_t *params, struct rpc_error *error)
{
	struct fixture *f = aux;

	f->n_calls++;
	if (!strcmp(method, "no")) {
		rpc_fail(error, RPC_REFUSED, EEXIST, "vm1: exists");
		err_hint(&error->err, "choose another");
		error->line = 7;
		return NULL;
	}
	if (!strcmp(method, "subscribe"))
		server_subscribe(f->server, client, 1u << EVENT_MODE);
	if (!strcmp(method, "large"))
		return json_sprintf("%0300000d", 0);
	return json_deep_copy(params);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	f->log = (struct log){ .level = LOG_LEVEL_ERROR };
	snprintf(f->dir, sizeof(f->dir), "/tmp/evb-server-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/sock", f->dir);
	f->loop = loop_new();
	f->server = server_new(f->loop, &f->log, &f->events, f->path, &e);
	assert_non_null(f->server);
	server_start(f->server, call, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	server_free(f->server);
	loop_free(f->loop);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* A client: our end of a socketpair whose other end the server has. */
static int client(struct fixture *f)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_true(server_adopt(f->server, pair[1]));
	return pair[0];
}

static void turns(struct fixture *f, int n)
{
	while (n--)
		assert_int_equal(loop_turn(f->loop, 0), 0);
}

static void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What the client gets within some turns, as a string; `*closed` says if that was all. */
static const char *get(struct fixture *f, int fd, bool *closed)
{
	static char text[1 << 20];
	size_t size = 0;

	*closed = false;
	for (int i = 0; i < 100; i++) {
		ssize_t n;

		turns(f, 1);
		n = recv(fd, text + size, sizeof(text) - size - 1, 0);
		if (n == 0)
			*closed = true;
		if (n > 0)
			size += (size_t)n;
	}
	text[size] = '\0';
	return text;
}

static void test_lines(void **state)
{
	static const struct {
		const char *name, *sent, *got;
		bool closed;
	} row[] = {
		{ "one", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":{\"a\":2}}\n",
		  "{\"jsonrpc\":\"2.0\",\"result\":{\"a\":2},\"id\":1}\n", false },
		{ "no params", "{\"jsonrpc\":\"2.0\",\"id\":\"s\",\"method\":\"x\"}\r\n",
		  "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":\"s\"}\n", false },
		{ "two and empty lines",
		  "\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n \n"
		  "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"x\"}\n",
		  "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":1}\n"
		  "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":2}\n",
		  false },
		{ "notification", "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n", "", false },
		{ "refused", "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"no\"}\n",
		  "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"vm1: exists\","
		  "\"data\":{\"hint\":\"choose another\",\"errno\":\"EEXIST\",\"line\":7}},"
		  "\"id\":3}\n",
		  false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		int fd = client(*state);
		bool closed;

		print_message("%s\n", row[i].name);
		put(fd, row[i].sent);
		assert_string_equal(get(*state, fd, &closed), row[i].got);
		assert_int_equal(closed, row[i].closed);
		close(fd);
	}
}

static void test_bad_requests(void **state)
{
	static const struct {
		const char *sent, *code;
	} row[] = {
		{ "nonsense\n", "-32700" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":1,\"method\":\"x\"}\n", "-32700" },
		{ "17\n", "-32700" },
		{ "[]\n", "-32600" },
		{ "{}\n", "-32600" },
		{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"x\"}\n", "-32600" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1}\n", "-32600" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}\n", "-32600" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"x\"}\n", "-32600" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":[1]}\n", "-32602" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		int fd = client(f);
		const char *got;
		bool closed;

		put(fd, row[i].sent);
		got = get(f, fd, &closed);
		print_message("%s", row[i].sent);
		assert_non_null(strstr(got, row[i].code));
		assert_non_null(strstr(got, "\"hint\":\""));
		assert_false(closed);
		assert_int_equal(f->n_calls, 0);
		close(fd);
	}
}

/* 100,000 opening brackets must not eat the stack. */
static void test_nesting(void **state)
{
	char *bomb = malloc(100002);
	bool closed;
	int fd = client(*state);

	memset(bomb, '[', 100000);
	strcpy(bomb + 100000, "\n");
	put(fd, bomb);
	assert_non_null(strstr(get(*state, fd, &closed), "-32700"));
	free(bomb);
	close(fd);
}

static void test_pieces(void **state)
{
	const char *request = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n";
	struct fixture *f = *state;
	int fd = client(f);
	bool closed;

	for (const char *c = request; *c; c++) {
		assert_int_equal(send(fd, c, 1, 0), 1);
		turns(f, 1);
	}
	assert_string_equal(get(f, fd, &closed), "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":1}\n");
	close(fd);
}

/* A client that has said all gets its answers, then the end. Its last line needs no newline. */
static void test_half_closed(void **state)
{
	struct fixture *f = *state;
	int fd = client(f);
	bool closed;

	for (int i = 0; i < 200; i++)
		put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n");
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":\"last\",\"method\":\"x\"}");
	shutdown(fd, SHUT_WR);
	assert_non_null(strstr(get(f, fd, &closed), "\"last\""));
	assert_true(closed);
	assert_int_equal(f->n_calls, 201);
	close(fd);
}

/* A client that is gone before its requests are carried out: they are, all the same. */
static void test_gone(void **state)
{
	struct fixture *f = *state;
	int fd = client(f);

	for (int i = 0; i < 200; i++)
		put(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n");
	close(fd);
	turns(f, 50);
	assert_int_equal(f->n_calls, 200);
}

static void test_too_long(void **state)
{
	struct fixture *f = *state;
	int fd = client(f);
	size_t left = RPC_LINE_MAX + 10;
	char *line = malloc(left);
	const char *got;
	bool closed;

	memset(line, 'x', left);
	for (int i = 0; i < 1000 && left; i++) {
		ssize_t n = send(fd, line, left, MSG_NOSIGNAL);

		left -= n > 0 ? (size_t)n : 0;
		turns(f, 1);
	}
	assert_int_equal(left, 0);
	got = get(f, fd, &closed);
	assert_non_null(strstr(got, "longer than 1 MiB"));
	assert_true(closed);
	free(line);
	close(fd);
}

/* A client that asks for much and reads nothing holds up neither the server nor the others. */
static void test_greedy(void **state)
{
	struct fixture *f = *state;
	int greedy = client(f), other = client(f);
	unsigned n;
	bool closed;

	for (int i = 0; i < 150; i++)
		put(greedy, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"large\"}\n");
	turns(f, 50);
	n = f->n_calls;
	assert_true(n > 0 && n < 10);
	put(other, "{\"jsonrpc\":\"2.0\",\"id\":\"me\",\"method\":\"x\"}\n");
	assert_non_null(strstr(get(f, other, &closed), "\"me\""));
	get(f, greedy, &closed);
	assert_true(f->n_calls > n + 1); /* and goes on when it reads */
	close(greedy);
	close(other);
}

static void test_events(void **state)
{
	struct fixture *f = *state;
	int fd = client(f), other = client(f);
	const char *got;
	bool closed;

	assert_int_equal(f->events.wanted, 0);
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\"}\n");
	get(f, fd, &closed);
	assert_int_equal(f->events.wanted, 1u << EVENT_MODE);
	event_mode(&f->events, "vm1", "vepa", "bridge");
	event_bridge(&f->events, "br0", "add"); /* not asked for */
	got = get(f, fd, &closed);
	assert_non_null(strstr(got, "\"method\":\"event\""));
	assert_non_null(strstr(got, "\"kind\":\"mode\""));
	assert_non_null(strstr(got, "\"to\":\"bridge\""));
	assert_null(strstr(got, "br0"));
	assert_string_equal(get(f, other, &closed), "");
	shutdown(fd, SHUT_WR); /* it still wants to hear */
	turns(f, 5);
	event_mode(&f->events, "vm2", "vepa", "bridge");
	assert_non_null(strstr(get(f, fd, &closed), "vm2"));
	assert_false(closed);
	close(fd);
	turns(f, 5);
	assert_int_equal(f->events.wanted, 0);
	close(other);
}

/* A subscriber that reads nothing is dropped before it has eaten our memory. */
static void test_deaf_subscriber(void **state)
{
	struct fixture *f = *state;
	int fd = client(f);
	char name[201];
	long n = 0;

	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\"}\n");
	turns(f, 5);
	memset(name, 'n', 200);
	name[200] = '\0';
	for (; f->events.wanted && n < 100000; n++)
		event_mode(&f->events, name, "vepa", "bridge");
	assert_true(n > 1000 && n < 50000);
	close(fd);
}

static int make_socket(const char *path, bool listens)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (listens)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void test_paths(void **state)
{
	struct fixture *f = *state;
	struct events events = { .wanted = 0 };
	char path[96], long_path[200];
	struct server *s;
	struct stat st;
	struct err e;
	int fd;

	/* One that answers, which is that of the fixture. */
	assert_int_equal(server_check(f->path, &e), -EADDRINUSE);
	assert_non_null(strstr(e.message, "listens on this socket"));
	assert_true(e.hint[0]);
	assert_null(server_new(f->loop, &f->log, &events, f->path, &e));
	assert_int_equal(access(f->path, F_OK), 0);

	/* A file that is none. */
	snprintf(path, sizeof(path), "%s/file", f->dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(server_check(path, &e), -EEXIST);
	assert_null(server_new(f->loop, &f->log, &events, path, &e));
	unlink(path);

	/* One that a killed evbd left. */
	fd = make_socket(path, true);
	close(fd);
	assert_int_equal(server_check(path, &e), 0);
	s = server_new(f->loop, &f->log, &events, path, &e);
	assert_non_null(s);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);

	/* Our file was replaced by a successor's: that one stays. */
	unlink(path);
	fd = make_socket(path, true);
	server_free(s);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	unlink(path);

	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(server_check(long_path, &e), -ENAMETOOLONG);
	assert_int_equal(server_check("", &e), -ENAMETOOLONG);
}

/* The real way in: connect, with our own credentials. */
static void test_connect(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct fixture *f = *state;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	bool closed;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n");
	assert_string_equal(get(f, fd, &closed), "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":1}\n");
	close(fd);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lines),	    TEST(test_bad_requests), TEST(test_nesting),
		TEST(test_pieces),	    TEST(test_half_closed),  TEST(test_gone),
		TEST(test_too_long),	    TEST(test_greedy),	     TEST(test_events),
		TEST(test_deaf_subscriber), TEST(test_paths),	     TEST(test_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
