// SPDX-License-Identifier: Apache-2.0
/*
 * Unix stream sockets that have a name: made, found and removed so that nobody else's file is
 * touched and nobody meets a socket of ours that is not ready or has the wrong permissions. The
 * folder may belong to a user who is not trusted. Used for the control socket and by the broker.
 * Control thread.
 */
#ifndef EVB_DAEMON_UNIX_SOCKET_H
#define EVB_DAEMON_UNIX_SOCKET_H

#include <sys/stat.h>
#include <sys/types.h>

#include "err.h"

enum { UNIX_PATH_SIZE = 108 }; /* of sun_path, with the NUL */

struct unix_spec {
	const char *path;
	mode_t perm;
	uid_t owner; /* (uid_t)-1: our own */
	gid_t group;
	const char *elsewhere; /* how to choose another path, as the end of a hint */
};

/* A listening socket, non-blocking. */
struct unix_listener {
	int fd;
	char path[UNIX_PATH_SIZE];
	dev_t dev; /* of the file, so that we never remove that of a successor */
	ino_t ino;
};

enum unix_found {
	UNIX_NOTHING,
	UNIX_STALE, /* a socket that nobody listens on any more */
	UNIX_LIVE,
	UNIX_OTHER, /* a file that is no socket */
};

/* The folder of a path, as a string. */
void unix_folder(const char *path, char out[UNIX_PATH_SIZE]);

/* What is at `path`: an enum unix_found, or -errno with `e` set if that cannot be told. */
int unix_look(const char *path, struct err *e);

/*
 * Refuse what must not be replaced: a live socket, a file that is none, a path too long. 0 or
 * -errno with `e` set; nothing is changed.
 */
int unix_check(const struct unix_spec *s, struct err *e);

/* Listen. What stands at the path is replaced if it is stale. 0 or -errno with `e` set. */
int unix_listen(struct unix_listener *l, const struct unix_spec *s, struct err *e);

/* Stop, and remove the file if it is still ours. */
void unix_unlisten(struct unix_listener *l);

/* Connect, non-blocking: the descriptor, or -errno. EAGAIN: later. */
int unix_connect(const char *path);

#endif
