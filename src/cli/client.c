// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	REQUEST_SIZE_MAX = 1 << 20, /* evbd reads no longer line */
	ANSWER_SIZE_MAX = 64 << 20,
	READ_SIZE = 64 << 10,
};

/* The connection is of no use any more. */
static int lose(const struct client *c, struct failure *f, int code, const char *what)
{
	f->exit = EXIT_NO_DAEMON;
	return err_set(&f->err, code, "%s: %s", c->path, what);
}

static int refuse_connect(const char *path, int code, struct failure *f)
{
	f->exit = EXIT_NO_DAEMON;
	err_set(&f->err, code, "cannot reach evbd at %.108s: %s", path, strerror(code));
	if (code == EACCES || code == EPERM)
		return err_hint(&f->err,
				"only root and members of group evb may: sudo adduser $USER evb");
	return err_hint(&f->err, "start it with: evbd -c " DEFAULT_CONFIG);
}

int client_open(struct client *c, const char *path, int timeout_ms, struct failure *f)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	*c = (struct client){ .path = path, .fd = -1, .timeout_ms = timeout_ms };
	*f = (struct failure){ 0 };
	if (strlen(path) >= sizeof(a.sun_path))
		return refuse_connect(path, ENAMETOOLONG, f);
	strcpy(a.sun_path, path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		int code = errno;

		client_close(c);
		return refuse_connect(path, code, f);
	}
	return 0;
}

void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->buf);
	c->buf = NULL;
	c->fd = -1;
}

static int wait_for(struct client *c, short events, int timeout_ms, struct failure *f)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	int n;

	do {
		n = poll(&p, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		return 0;
	lose(c, f, n < 0 ? errno : ETIMEDOUT, "evbd does not answer");
	return err_hint(&f->err, "see what it is doing: journalctl -u evbd");
}

static int send_all(struct client *c, const char *p, size_t size, struct failure *f)
{
	while (size > 0) {
		int err = wait_for(c, POLLOUT, c->timeout_ms, f);
		ssize_t n;

		if (err != 0)
			return err;
		n = send(c->fd, p, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		/* A daemon that closed may have said why: reading will tell. */
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return lose(c, f, errno, strerror(errno));
		if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

/* Read some more; 0, or -errno with `f` set. */
static int fill(struct client *c, int timeout_ms, struct failure *f)
{
	int err = wait_for(c, POLLIN, timeout_ms, f);
	ssize_t n;

	if (err != 0)
		return err;
	if (c->size - c->used < READ_SIZE) {
		size_t size = c->size * 2 + READ_SIZE;
		char *buf = size <= ANSWER_SIZE_MAX ? realloc(c->buf, size) : NULL;

		if (buf == NULL)
			return lose(c, f, EMSGSIZE, "the answer is too long");
		c->buf = buf;
		c->size = size;
	}
	n = recv(c->fd, c->buf + c->used, c->size - c->used, 0);
	if (n > 0) {
		c->used += (size_t)n;
		return 0;
	}
	lose(c, f, n < 0 ? errno : ECONNRESET, "evbd closed the connection");
	return err_hint(&f->err, "see why: journalctl -u evbd");
}

/* The next line as JSON; NULL with `f` set. */
static json_t *next(struct client *c, int timeout_ms, struct failure *f)
{
	size_t seen = 0;
	char *eol;
	json_t *v;

	if (c->line_size > 0) {
		c->used -= c->line_size;
		memmove(c->buf, c->buf + c->line_size, c->used);
		c->line_size = 0;
	}
	while ((eol = c->used > seen ? memchr(c->buf + seen, '\n', c->used - seen) : NULL) ==
	       NULL) {
		seen = c->used;
		if (fill(c, timeout_ms, f) != 0)
			return NULL;
	}
	c->line_size = (size_t)(eol + 1 - c->buf);
	v = json_loadb(c->buf, c->line_size, 0, NULL);
	if (!json_is_object(v)) {
		json_decref(v);
		lose(c, f, EPROTO, "the answer is not of evbd");
		return NULL;
	}
	return v;
}

static void copy(char *to, size_t size, const json_t *from)
{
	snprintf(to, size, "%s", json_is_string(from) ? json_string_value(from) : "");
}

static void refused(struct failure *f, const json_t *error)
{
	const json_t *data = json_object_get(error, "data");

	f->exit = EXIT_REFUSED;
	f->err.code = EIO;
	copy(f->err.message, sizeof(f->err.message), json_object_get(error, "message"));
	copy(f->err.hint, sizeof(f->err.hint), json_object_get(data, "hint"));
	copy(f->errno_name, sizeof(f->errno_name), json_object_get(data, "errno"));
	f->line = (int)json_integer_value(json_object_get(data, "line"));
}

static int request(struct client *c, const char *method, const json_t *params, struct failure *f)
{
	json_t *v = json_pack("{s:s, s:i, s:s, s:O*}", "jsonrpc", "2.0", "id", 1, "method", method,
			      "params", params);
	char *line = json_dumps(v, JSON_COMPACT);
	size_t size = line != NULL ? strlen(line) : 0;
	int err;

	json_decref(v);
	if (line == NULL)
		return lose(c, f, ENOMEM, "out of memory");
	if (size >= REQUEST_SIZE_MAX) {
		f->exit = EXIT_REFUSED;
		err_set(&f->err, EMSGSIZE, "the request is longer than 1 MiB");
		err = err_hint(&f->err, "load the file in parts, bridges first");
	} else {
		line[size] = '\n';
		err = send_all(c, line, size + 1, f);
	}
	free(line);
	return err;
}

json_t *client_call(struct client *c, const char *method, const json_t *params, struct failure *f)
{
	json_t *answer, *result, *error;

	*f = (struct failure){ 0 };
	if (request(c, method, params, f) != 0)
		return NULL;
	answer = next(c, c->timeout_ms, f);
	if (answer == NULL)
		return NULL;
	error = json_object_get(answer, "error");
	result = json_incref(json_object_get(answer, "result"));
	if (error != NULL)
		refused(f, error);
	else if (result == NULL)
		lose(c, f, EPROTO, "the answer has neither result nor error");
	json_decref(answer);
	return error != NULL ? NULL : result;
}

json_t *client_event(struct client *c, struct failure *f)
{
	*f = (struct failure){ 0 };
	for (;;) {
		json_t *v = next(c, -1, f), *params;

		if (v == NULL)
			return NULL;
		params = json_incref(json_object_get(v, "params"));
		json_decref(v);
		if (json_is_object(params))
			return params;
		json_decref(params);
	}
}
