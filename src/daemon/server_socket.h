// SPDX-License-Identifier: Apache-2.0
/*
 * The listening socket of the control socket: made, guarded and removed; and who may speak on it.
 * Called by server.c only.
 */
#ifndef EVB_DAEMON_SERVER_SOCKET_H
#define EVB_DAEMON_SERVER_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"
#include "unix_socket.h"

struct server_socket {
	struct unix_listener listener;
	gid_t group; /* who may connect beside root and our own user; (gid_t)-1: nobody */
};

/* Could we listen on `path`? 0 or -errno with `e` set; nothing is changed. */
int server_socket_check(const char *path, struct err *e);

/*
 * Listen on `path`, which is replaced if it is a socket that nobody listens on. Mode 0660, group
 * evb if there is one. 0 or -errno with `e` set.
 */
int server_socket_open(struct server_socket *s, const char *path, struct err *e);
void server_socket_close(struct server_socket *s);

/* May the peer of the connected socket `fd` give us orders? */
bool server_socket_trusts(const struct server_socket *s, int fd);

#endif
