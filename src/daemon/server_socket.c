// SPDX-License-Identifier: Apache-2.0
#include "server_socket.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64, GROUPS_MAX = 1024 };

#define GROUP_NAME "evb"

static bool address_of(const char *path, struct sockaddr_un *a)
{
	size_t size = strlen(path);

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (size == 0 || size >= sizeof(a->sun_path))
		return false;
	memcpy(a->sun_path, path, size);
	return true;
}

static int path_error(struct err *e)
{
	err_set(e, ENAMETOOLONG, "path of the socket is empty or too long");
	return err_hint(e, "choose a path of less than %zu octets with -S",
			sizeof(((struct sockaddr_un *)0)->sun_path));
}

/*
 * What is in the way: 0 for nothing, 1 for the socket of a daemon that is gone, or -errno with `e`
 * set for all else.
 */
static int look_at_path(const struct sockaddr_un *a, struct err *e)
{
	const char *path = a->sun_path;
	struct stat st;
	int fd, code;

	if (lstat(path, &st) < 0)
		return 0; /* if it is not that nothing is there, bind() will say what it is */
	if (!S_ISSOCK(st.st_mode)) {
		err_set(e, EEXIST, "%s: exists and is not a socket", path);
		return err_hint(e, "choose another path with -S, or move that file away");
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, errno, "cannot make a socket: %s", strerror(errno));
	code = connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 ? errno : 0;
	close(fd);
	if (code == ECONNREFUSED)
		return 1;
	if (code == 0 || code == EAGAIN) {
		err_set(e, EADDRINUSE, "%s: another evbd answers on this socket", path);
		return err_hint(e, "stop that evbd first, or give this one its own socket with -S");
	}
	err_set(e, code, "%s: cannot tell who has this socket: %s", path, strerror(code));
	return err_hint(e, "choose another path with -S");
}

int server_socket_check(const char *path, struct err *e)
{
	struct sockaddr_un a;
	int found;

	if (!address_of(path, &a))
		return path_error(e);
	found = look_at_path(&a, e);
	return found < 0 ? found : 0;
}

int server_socket_open(struct server_socket *s, const char *path, struct err *e)
{
	struct sockaddr_un a;
	struct group *g;
	struct stat st;
	mode_t mask;
	int err;

	if (!address_of(path, &a))
		return path_error(e);
	err = look_at_path(&a, e);
	if (err < 0)
		return err;
	if (err)
		unlink(path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return err_set(e, errno, "cannot make a socket: %s", strerror(errno));
	mask = umask(0117);
	err = bind(s->fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0;
	umask(mask);
	if (err || listen(s->fd, BACKLOG) < 0 || lstat(path, &st) < 0) {
		if (!err) { /* the file is ours already */
			err = errno;
			unlink(path);
		}
		close(s->fd);
		err_set(e, err, "%s: cannot listen: %s", path, strerror(err));
		return err_hint(e, "check that its directory exists and evbd may write there");
	}
	g = getgrnam(GROUP_NAME);
	s->group = g ? g->gr_gid : (gid_t)-1;
	if (g && chown(path, (uid_t)-1, s->group) < 0)
		s->group = (gid_t)-1; /* not root: the group cannot get in then */
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	memcpy(s->path, a.sun_path, sizeof(s->path));
	return 0;
}

void server_socket_close(struct server_socket *s)
{
	struct stat st;

	close(s->fd);
	if (lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path);
}

bool server_socket_trusts(const struct server_socket *s, int fd)
{
	struct ucred peer;
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	if (s->group == (gid_t)-1)
		return false;
	if (peer.gid == s->group)
		return true;
	size = sizeof(groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(groups[0]); i++)
		if (groups[i] == s->group)
			return true;
	return false;
}
