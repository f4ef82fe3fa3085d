// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server_socket.h"

enum {
	CLIENTS_MAX = 256,
	READ_SIZE = 64 << 10,	 /* taken from a client before others have their turn */
	LINES_MAX = 32,		 /* carried out for a client before others have their turn */
	ANSWERS_MAX = 256 << 10, /* octets of unread answers from which on we read no requests */
	EVENTS_MAX = 4 << 20,	 /* octets of unread output at which a subscriber is dropped */
	ACCEPT_MAX = 16,
	REFUSED_MAX = 32, /* unwelcome peers that may take their time to read why */
};

#define ACCEPT_PAUSE (1 * NS_PER_S) /* without descriptors to accept with */

/* Octets that wait at `at`..`size` of `data`. */
struct buffer {
	char *data;
	size_t at, size, max;
};

struct server_client {
	TAILQ_ENTRY(server_client) entry;
	struct server *server;
	int fd;
	struct loop_watch *watch;
	struct buffer in, out;
	size_t scanned;	 /* octets behind in.at that are known to have no newline */
	uint32_t kinds;	 /* events it asked for */
	bool is_eof;	 /* it sends no more */
	bool is_closing; /* to be closed when its output is sent; reads no more */
	bool is_refused; /* to be closed when it has sent something, and so could read why */
	bool is_dead;	 /* closed; freed by the housekeeping */
	bool is_behind;	 /* has whole lines that wait for their turn */
};

struct server {
	struct loop *loop;
	const struct log *log;
	struct events *events;
	struct server_socket socket;
	struct loop_watch *listener;
	struct loop_timer *housekeeping; /* lines that wait, clients to free, pause of accept */
	server_call *call;
	void *aux;
	TAILQ_HEAD(client_list, server_client) clients;
	unsigned n_clients, n_refused; /* those that are not dead */
};

static bool buffer_reserve(struct buffer *b, size_t size)
{
	size_t max = b->max ? b->max : 4096;
	char *data;

	if (b->at) {
		memmove(b->data, b->data + b->at, b->size - b->at);
		b->size -= b->at;
		b->at = 0;
	}
	while (max < b->size + size)
		max *= 2;
	if (max == b->max)
		return true;
	data = realloc(b->data, max);
	if (!data)
		return false;
	b->data = data;
	b->max = max;
	return true;
}

static void buffer_consume(struct buffer *b, size_t size)
{
	b->at += size;
	if (b->at < b->size)
		return;
	b->at = b->size = 0;
	if (b->max > 2 * READ_SIZE) { /* do not keep the memory of one large message */
		free(b->data);
		b->data = NULL;
		b->max = 0;
	}
}

static size_t buffer_left(const struct buffer *b)
{
	return b->size - b->at;
}

static void wake_housekeeping(struct server *s)
{
	loop_timer_set(s->housekeeping, loop_now(s->loop), 0);
}

static void update_wanted(struct server *s)
{
	struct server_client *c;

	s->events->wanted = 0;
	TAILQ_FOREACH (c, &s->clients, entry)
		if (!c->is_dead)
			s->events->wanted |= c->kinds;
}

/* Close, but keep the memory: somebody up the stack may still hold the pointer. */
static void client_kill(struct server_client *c)
{
	if (c->is_dead)
		return;
	loop_unwatch(c->watch);
	close(c->fd);
	c->is_dead = true;
	*(c->is_refused ? &c->server->n_refused : &c->server->n_clients) -= 1;
	update_wanted(c->server);
	wake_housekeeping(c->server);
}

/* Wait for what the client can do next, or close it if that is nothing. */
static void client_settle(struct server_client *c)
{
	uint32_t events = 0;

	if (c->is_dead)
		return;
	if (c->is_refused) {
		loop_watch_events(c->watch, EPOLLIN);
		return;
	}
	if (!buffer_left(&c->out) && (c->is_closing || (c->is_eof && !c->is_behind && !c->kinds))) {
		client_kill(c);
		return;
	}
	if (buffer_left(&c->out))
		events |= EPOLLOUT;
	if (!c->is_eof && !c->is_closing && !c->is_behind && buffer_left(&c->out) <= ANSWERS_MAX)
		events |= EPOLLIN;
	if (loop_watch_events(c->watch, events) < 0)
		client_kill(c);
	else if (c->is_behind && buffer_left(&c->out) <= ANSWERS_MAX)
		wake_housekeeping(c->server);
}

static void client_flush(struct server_client *c)
{
	while (!c->is_dead && buffer_left(&c->out)) {
		ssize_t n = send(c->fd, c->out.data + c->out.at, buffer_left(&c->out),
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			client_kill(c);
		else
			buffer_consume(&c->out, (size_t)n);
	}
}

/* Queue a line, which it takes; without memory for it the client is lost. */
static void client_send(struct server_client *c, char *line_take)
{
	size_t size = line_take ? strlen(line_take) : 0;

	if (!c->is_dead) {
		if (line_take && buffer_reserve(&c->out, size)) {
			memcpy(c->out.data + c->out.size, line_take, size);
			c->out.size += size;
		} else {
			log_error(c->server->log, "control socket: out of memory, client closed");
			client_kill(c);
		}
	}
	free(line_take);
}

static void client_refuse(struct server_client *c, const char *message, const char *hint)
{
	struct rpc_error error;

	rpc_fail(&error, RPC_REQUEST, EMSGSIZE, "%s", message);
	err_hint(&error.err, "%s", hint);
	client_send(c, rpc_answer_error(NULL, &error));
	c->is_closing = true;
}

/* Carry out one line. */
static void client_line(struct server_client *c, const char *line, size_t size)
{
	struct server *s = c->server;
	struct rpc_error error = { .code = RPC_REFUSED };
	struct rpc_request req;
	json_t *result;

	if (size && line[size - 1] == '\r')
		size--;
	if (strspn(line, " \t\r\n") >= size)
		return;
	if (rpc_parse(line, size, &req, &error) < 0) {
		client_send(c, rpc_answer_error(req.id, &error));
	} else {
		result = s->call(s->aux, c, req.method, req.params, &error);
		if (req.id)
			client_send(c, result ? rpc_answer(req.id, result) :
						rpc_answer_error(req.id, &error));
		else
			json_decref(result);
	}
	json_decref(req.root);
}

/* Carry out the lines that have come in, up to a turn's worth. */
static void client_lines(struct server_client *c)
{
	unsigned n = 0;

	c->is_behind = false;
	while (!c->is_dead && !c->is_closing && buffer_left(&c->in)) {
		char *start = c->in.data + c->in.at;
		size_t left = buffer_left(&c->in);
		char *end = memchr(start + c->scanned, '\n', left - c->scanned);
		size_t size = end ? (size_t)(end - start) : left;

		if (size > RPC_LINE_MAX) {
			client_refuse(c, "the request is longer than 1 MiB",
				      "split it into several requests");
			break;
		}
		if (!end && !c->is_eof) {
			c->scanned = left;
			break;
		}
		if (n++ == LINES_MAX || buffer_left(&c->out) > ANSWERS_MAX) {
			c->is_behind = true;
			break;
		}
		start[size] = '\0'; /* the newline, or the octet kept free behind the last line */
		client_line(c, start, size);
		c->scanned = 0;
		buffer_consume(&c->in, size + (end != NULL));
	}
	client_flush(c);
	client_settle(c);
}

static void client_read(struct server_client *c)
{
	ssize_t n;

	if (!buffer_reserve(&c->in, READ_SIZE + 1)) {
		client_kill(c);
		return;
	}
	n = recv(c->fd, c->in.data + c->in.size, READ_SIZE, MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		client_kill(c);
		return;
	}
	if (n > 0)
		c->in.size += (size_t)n;
	if (n == 0)
		c->is_eof = true;
	client_lines(c);
}

static void client_event(void *aux, uint32_t events)
{
	struct server_client *c = aux;

	if (c->is_refused) {
		char ignored[4096];

		/* Unread octets would make the close a reset, which overtakes our answer. */
		if (recv(c->fd, ignored, sizeof(ignored), MSG_DONTWAIT) < (ssize_t)sizeof(ignored))
			client_kill(c);
		return;
	}
	if (events & EPOLLOUT)
		client_flush(c);
	if (!c->is_dead && events & EPOLLIN && !c->is_eof && !c->is_closing && !c->is_behind)
		client_read(c);
	else if (!c->is_dead && events & (EPOLLHUP | EPOLLERR) && !c->is_behind)
		client_kill(c); /* nobody is left to read the rest */
	else
		client_settle(c);
}

static struct server_client *client_new(struct server *s, int fd_take)
{
	struct server_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->server = s;
	c->fd = fd_take;
	c->watch = loop_watch(s->loop, fd_take, s->call ? EPOLLIN : 0, client_event, c);
	if (!c->watch) {
		free(c);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&s->clients, c, entry);
	s->n_clients++;
	return c;
}

bool server_adopt(struct server *s, int fd_take)
{
	return client_new(s, fd_take) != NULL;
}

static void refuse_peer(struct server *s, struct server_client *c, const char *message,
			const char *hint)
{
	struct rpc_error error;

	rpc_fail(&error, RPC_REFUSED, EACCES, "%s", message);
	err_hint(&error.err, "%s", hint);
	client_send(c, rpc_answer_error(NULL, &error));
	log_warning(s->log, "control socket: %s", message);
	client_flush(c);
	if (c->is_dead)
		return;
	shutdown(c->fd, SHUT_WR);
	c->is_refused = true;
	s->n_clients--;
	if (++s->n_refused > REFUSED_MAX)
		client_kill(c);
	client_settle(c);
}

/* Close the clients that have hung up and left nothing to do, ahead of their turn. */
static void make_room(struct server *s)
{
	struct server_client *c;

	TAILQ_FOREACH (c, &s->clients, entry) {
		struct pollfd p = { .fd = c->fd };
		char octet;

		if (!c->is_dead && !c->is_behind && poll(&p, 1, 0) == 1 && p.revents & POLLHUP &&
		    recv(c->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
			client_kill(c);
	}
}

static void accept_one(struct server *s, int fd)
{
	struct server_client *c = client_new(s, fd);

	if (!c) {
		close(fd);
		return;
	}
	if (!server_socket_trusts(&s->socket, fd))
		refuse_peer(s, c, "permission denied",
			    "only root, members of group evb and the user evbd runs as may");
	else if (s->n_clients > CLIENTS_MAX)
		make_room(s);
	if (!c->is_dead && !c->is_refused && s->n_clients > CLIENTS_MAX)
		refuse_peer(s, c, "too many connections", "close some of them first");
}

static void listener_event(void *aux, uint32_t events)
{
	struct server *s = aux;

	for (int i = 0; i < ACCEPT_MAX; i++) {
		int fd = accept4(s->socket.listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			accept_one(s, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			log_warning(s->log, "control socket: cannot accept: %s", strerror(errno));
			loop_watch_events(s->listener, 0);
			loop_timer_set(s->housekeeping, loop_now(s->loop) + ACCEPT_PAUSE, 0);
		}
		return;
	}
}

static void client_free(struct server_client *c)
{
	TAILQ_REMOVE(&c->server->clients, c, entry);
	free(c->in.data);
	free(c->out.data);
	free(c);
}

static void housekeep(void *aux)
{
	struct server *s = aux;
	struct server_client *c, *next;

	loop_watch_events(s->listener, EPOLLIN);
	for (c = TAILQ_FIRST(&s->clients); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->is_dead)
			client_free(c);
		else if (c->is_behind)
			client_lines(c);
	}
}

/* Give an event to all who asked for its kind. */
static void publish(void *aux, enum event_kind kind, const json_t *event)
{
	struct server *s = aux;
	struct server_client *c;
	char *line = rpc_line(event);

	if (!line)
		return;
	TAILQ_FOREACH (c, &s->clients, entry) {
		if (c->is_dead || c->is_closing || !(c->kinds >> kind & 1))
			continue;
		if (buffer_left(&c->out) > EVENTS_MAX) {
			log_warning(s->log, "control socket: a subscriber does not read its "
					    "events and was dropped");
			client_kill(c);
			continue;
		}
		client_send(c, strdup(line));
		client_flush(c);
		client_settle(c);
	}
	free(line);
}

int server_check(const char *path, struct err *e)
{
	return server_socket_check(path, e);
}

struct server *server_new(struct loop *loop, const struct log *log, struct events *ev,
			  const char *path, struct err *e)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	*s = (struct server){ .loop = loop, .log = log, .events = ev };
	TAILQ_INIT(&s->clients);
	if (server_socket_open(&s->socket, path, e) < 0) {
		free(s);
		return NULL;
	}
	s->listener = loop_watch(loop, s->socket.listener.fd, 0, listener_event, s);
	s->housekeeping = loop_timer_new(loop, housekeep, s);
	if (!s->listener || !s->housekeeping) {
		err_set(e, ENOMEM, "out of memory");
		server_free(s);
		return NULL;
	}
	ev->sink = publish;
	ev->aux = s;
	return s;
}

void server_start(struct server *s, server_call *call, void *aux)
{
	s->call = call;
	s->aux = aux;
	loop_watch_events(s->listener, EPOLLIN);
}

void server_free(struct server *s)
{
	struct server_client *c, *next;

	if (!s)
		return;
	s->events->sink = NULL;
	for (c = TAILQ_FIRST(&s->clients); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		client_flush(c);
		client_kill(c);
		client_free(c);
	}
	loop_unwatch(s->listener);
	loop_timer_free(s->housekeeping);
	server_socket_close(&s->socket);
	free(s);
}

void server_subscribe(struct server *s, struct server_client *client, uint32_t mask)
{
	client->kinds |= mask;
	update_wanted(s);
}
