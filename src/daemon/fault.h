// SPDX-License-Identifier: Apache-2.0
/*
 * For tests: fails the Nth allocation or system call that the code under test makes. The linker
 * puts these functions in the place of the C library's (-Wl,--wrap, see meson.build), so whatever
 * is linked statically is caught: all of evbd, and jansson after fault_begin(); not what libraries
 * do on their own. Only calls of the thread that armed it fail. Included once a program.
 */
#ifndef EVB_DAEMON_FAULT_H
#define EVB_DAEMON_FAULT_H

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>

enum {
	FAULT_MEMORY = 1, /* ENOMEM */
	FAULT_SYSTEM = 2, /* ENOBUFS */
	FAULT_LASTS = 4,  /* all further calls fail as well, until fault_disarm() */
};

struct fault {
	unsigned n_deaf; /* descriptors that epoll_ctl() did not take */
	unsigned kinds;	 /* FAULT_*; 0: nothing fails */
	unsigned left;	 /* calls that still go well */
	unsigned n_failed;
};

static _Thread_local struct fault fault;

/* Let `n` calls of `kinds` go well, and the next fail. */
static void fault_arm(unsigned kinds, unsigned n)
{
	fault = (struct fault){ .kinds = kinds, .left = n };
}

/* Nothing fails any more. How many calls did? */
static unsigned fault_disarm(void)
{
	unsigned n = fault.n_failed;

	fault = (struct fault){ .kinds = 0 };
	return n;
}

static bool fault_hits(unsigned kind, int err)
{
	if (!(fault.kinds & kind))
		return false;
	if (fault.left) {
		fault.left--;
		return false;
	}
	if (fault.n_failed && !(fault.kinds & FAULT_LASTS))
		return false;
	fault.n_failed++;
	errno = err;
	return true;
}

/* The arguments of a variadic function are passed on as the longest that evbd gives it. */
#define FAULT_WRAP(kind, err, type, failed, name, params, args)                                    \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fault_hits(kind, err) ? (failed) : __real_##name args;                      \
	}

#define FAULT_ALLOC(name, params, args)                                                            \
	FAULT_WRAP(FAULT_MEMORY, ENOMEM, void *, NULL, name, params, args)
#define FAULT_CALL(name, params, args)                                                             \
	FAULT_WRAP(FAULT_SYSTEM, ENOBUFS, int, -1, name, params, args)

FAULT_ALLOC(malloc, (size_t size), (size))
FAULT_ALLOC(calloc, (size_t n, size_t size), (n, size))
FAULT_ALLOC(realloc, (void *p, size_t size), (p, size))
FAULT_ALLOC(reallocarray, (void *p, size_t n, size_t size), (p, n, size))
FAULT_ALLOC(aligned_alloc, (size_t align, size_t size), (align, size))
FAULT_WRAP(FAULT_MEMORY, ENOMEM, char *, NULL, strdup, (const char *s), (s))
FAULT_WRAP(FAULT_MEMORY, ENOMEM, FILE *, NULL, open_memstream, (char **text, size_t *size),
	   (text, size))
FAULT_WRAP(FAULT_MEMORY, ENOMEM, void *, MAP_FAILED, mmap64,
	   (void *at, size_t size, int prot, int flags, int fd, off_t offset),
	   (at, size, prot, flags, fd, offset))

FAULT_CALL(socket, (int domain, int type, int protocol), (domain, type, protocol))
FAULT_CALL(open64, (const char *path, int flags, mode_t mode), (path, flags, mode))
FAULT_CALL(ioctl, (int fd, unsigned long request, void *arg), (fd, request, arg))
FAULT_CALL(setsockopt, (int fd, int level, int name, const void *v, socklen_t size),
	   (fd, level, name, v, size))
FAULT_CALL(bind, (int fd, const struct sockaddr *a, socklen_t size), (fd, a, size))
FAULT_CALL(listen, (int fd, int backlog), (fd, backlog))
FAULT_CALL(epoll_create1, (int flags), (flags))
FAULT_CALL(eventfd, (unsigned count, int flags), (count, flags))
FAULT_CALL(signalfd, (int fd, const sigset_t *mask, int flags), (fd, mask, flags))

/* To remove a descriptor takes nothing that could be lacking. */
int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *ev);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *ev);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *ev)
{
	if (op == EPOLL_CTL_ADD && fault_hits(FAULT_SYSTEM, ENOSPC)) {
		fault.n_deaf++;
		return -1;
	}
	return __real_epoll_ctl(epoll, op, fd, ev);
}

/*
 * One call to whoever counts: when jansson 2.14 cannot grow the buffer for a string, it leaves out
 * an octet and goes on, and there is no telling.
 */
json_t *__real_json_loadb(const char *text, size_t size, size_t flags, json_error_t *error);
json_t *__wrap_json_loadb(const char *text, size_t size, size_t flags, json_error_t *error);
json_t *__wrap_json_loadb(const char *text, size_t size, size_t flags, json_error_t *error)
{
	bool fails = fault_hits(FAULT_MEMORY, ENOMEM);
	struct fault saved = fault;
	json_t *json;

	fault.kinds = 0;
	json = __real_json_loadb(text, fails ? 0 : size, flags, error);
	fault = saved;
	if (fails)
		error->text[0] = '\0'; /* as when the first allocation fails */
	return json;
}

struct mnl_socket;
FAULT_WRAP(FAULT_SYSTEM, ENOBUFS, struct mnl_socket *, NULL, mnl_socket_open2, (int bus, int flags),
	   (bus, flags))
FAULT_CALL(mnl_socket_bind, (struct mnl_socket * s, unsigned groups, pid_t pid), (s, groups, pid))
FAULT_WRAP(FAULT_SYSTEM, ENOBUFS, ssize_t, -1, mnl_socket_sendto,
	   (const struct mnl_socket *s, const void *buf, size_t size), (s, buf, size))
FAULT_WRAP(FAULT_SYSTEM, ENOBUFS, ssize_t, -1, mnl_socket_recvfrom,
	   (const struct mnl_socket *s, void *buf, size_t size), (s, buf, size))

/* Have jansson allocate by the functions above. Call it first of all. */
static void fault_begin(void)
{
	json_set_alloc_funcs(malloc, free);
}

/* Entries of a directory of /proc/self: "fd" or "task". */
static unsigned fault_count(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

#endif
