// SPDX-License-Identifier: Apache-2.0
/* The socket below front_proto.h: connecting, waiting, octets and fds. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "front_proto.h"

enum { HEADER = 12, RETRY_MS = 10 };

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

void front_sock_init_take(struct front_sock *s, int fd)
{
	*s = (struct front_sock){ .fd = fd, .timeout_ms = FRONT_TIMEOUT_MS };
}

void front_sock_close(struct front_sock *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->protocol = 0;
}

static int address_of(struct front_sock *s, const char *path, struct sockaddr_un *sun)
{
	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(sun->sun_path))
		return front_fail(s, -ENAMETOOLONG, "%s: too long for a socket", path);
	strcpy(sun->sun_path, path);
	return 0;
}

int front_sock_connect(struct front_sock *s, const char *path)
{
	int64_t end = now_ms() + s->timeout_ms;
	struct sockaddr_un sun;
	int err = address_of(s, path, &sun);

	if (err)
		return err;
	front_sock_close(s);
	do {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return front_fail(s, -errno, "socket: %s", strerror(errno));
		if (!connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
			s->fd = fd;
			return 0;
		}
		err = -errno;
		close(fd);
		if (s->step)
			s->step(s->step_arg);
		poll(NULL, 0, RETRY_MS);
	} while ((err == -ENOENT || err == -ECONNREFUSED) && now_ms() < end);
	return front_fail(s, err, "connect %s: %s", path, strerror(-err));
}

int front_sock_listen(struct front_sock *s, const char *path)
{
	struct sockaddr_un sun;
	int fd, err = address_of(s, path, &sun);

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return front_fail(s, -errno, "socket: %s", strerror(errno));
	unlink(path);
	if (!bind(fd, (struct sockaddr *)&sun, sizeof(sun)) && !listen(fd, 1))
		return fd;
	err = -errno;
	close(fd);
	return front_fail(s, err, "listen %s: %s", path, strerror(-err));
}

int front_sock_accept(struct front_sock *s, int listener)
{
	int got = front_wait_fd(s, listener, POLLIN, s->timeout_ms), fd;

	if (got <= 0)
		return front_fail(s, got ? got : -ETIMEDOUT, "nobody connected");
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return front_fail(s, -errno, "accept: %s", strerror(errno));
	front_sock_close(s);
	s->fd = fd;
	return 0;
}

int front_wait_fd(struct front_sock *s, int fd, short events, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t end = now_ms() + timeout_ms;

	for (;;) {
		int64_t left = end - now_ms();
		int n = poll(&p, 1, s->step || left < 0 ? 0 : (int)left);

		if (n > 0)
			return 1;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (left <= 0)
			return 0;
		if (s->step)
			s->step(s->step_arg);
	}
}

static int wait_peer(struct front_sock *s, short events)
{
	int n = front_wait_fd(s, s->fd, events, s->timeout_ms);

	if (n == 0)
		return front_fail(s, -ETIMEDOUT, "the peer does not answer within %d ms",
				  s->timeout_ms);
	return n < 0 ? front_fail(s, n, "poll: %s", strerror(-n)) : 0;
}

int front_send_raw(struct front_sock *s, const void *data, size_t size, const int *fds,
		   unsigned n_fds)
{
	union {
		struct cmsghdr header;
		char octets[CMSG_SPACE(FRONT_FDS_MAX * sizeof(int))];
	} control = { 0 };
	const char *at = data;

	if (s->fd < 0)
		return front_fail(s, -ENOTCONN, "not connected");
	while (size) {
		char *octets = (char *)(uintptr_t)at;
		struct iovec iov = { octets, size };
		struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;
		int err;

		if (n_fds) {
			h.msg_control = &control;
			h.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
			control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
			control.header.cmsg_level = SOL_SOCKET;
			control.header.cmsg_type = SCM_RIGHTS;
			memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
		}
		n = sendmsg(s->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == ETOOMANYREFS)) {
			err = wait_peer(s, POLLOUT);
			if (err)
				return err;
			continue;
		}
		if (n < 0 && errno != EINTR) {
			err = errno == EPIPE ? -ECONNRESET : -errno;
			return front_fail(s, err, "send: %s", strerror(-err));
		}
		if (n > 0) {
			at += n;
			size -= (size_t)n;
			n_fds = 0;
		}
	}
	s->n_sent++;
	return 0;
}

static void take_fds(struct msghdr *h, struct front_msg *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		unsigned n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(m->fds + m->n_fds, CMSG_DATA(c), n * sizeof(int));
		m->n_fds += n;
	}
}

static int read_fully(struct front_sock *s, void *data, size_t size, struct front_msg *m)
{
	char *at = data;

	while (size) {
		char control[CMSG_SPACE(FRONT_FDS_MAX * sizeof(int))]
			__attribute__((aligned(__alignof__(struct cmsghdr))));
		struct iovec iov = { at, size };
		struct msghdr h = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = m->n_fds ? NULL : control,
				    .msg_controllen = m->n_fds ? 0 : sizeof(control) };
		ssize_t n;
		int err = wait_peer(s, POLLIN);

		if (err)
			return err;
		n = recvmsg(s->fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n > 0) {
			if (h.msg_controllen)
				take_fds(&h, m);
			at += n;
			size -= (size_t)n;
		} else if (n == 0 || errno == ECONNRESET) {
			return front_fail(s, -ECONNRESET, "the peer closed the connection");
		} else if (errno != EAGAIN && errno != EINTR) {
			return front_fail(s, -errno, "receive: %s", strerror(errno));
		}
	}
	return 0;
}

int front_recv(struct front_sock *s, struct front_msg *m)
{
	int err;

	m->n_fds = 0;
	if (s->fd < 0)
		return front_fail(s, -ENOTCONN, "not connected");
	err = read_fully(s, (char *)m + offsetof(struct front_msg, request), HEADER, m);
	if (!err && m->size > FRONT_PAYLOAD_MAX)
		err = front_fail(s, -EPROTO, "a message of %u octets", m->size);
	if (!err)
		err = read_fully(s, &m->u, m->size, m);
	if (err)
		front_msg_close_fds(m);
	return err;
}

void front_msg_close_fds(struct front_msg *m)
{
	for (unsigned i = 0; i < m->n_fds; i++)
		close(m->fds[i]);
	m->n_fds = 0;
}
