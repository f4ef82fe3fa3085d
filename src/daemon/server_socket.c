// SPDX-License-Identifier: Apache-2.0
#include "server_socket.h"

#include <errno.h>
#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GROUPS_MAX = 1024 };

#define GROUP_NAME "evb"

static struct unix_spec spec_of(const char *path, gid_t group)
{
	return (struct unix_spec){ .path = path,
				   .perm = 0660,
				   .owner = (uid_t)-1,
				   .group = group,
				   .elsewhere = "choose another path with -S" };
}

int server_socket_check(const char *path, struct err *e)
{
	const struct unix_spec spec = spec_of(path, (gid_t)-1);

	return unix_check(&spec, e);
}

int server_socket_open(struct server_socket *s, const char *path, struct err *e)
{
	const struct group *g = getgrnam(GROUP_NAME);
	struct unix_spec spec = spec_of(path, g ? g->gr_gid : (gid_t)-1);
	int err = unix_listen(&s->listener, &spec, e);

	if (err == -EPERM && g) { /* not root: the group cannot get in then */
		spec.group = (gid_t)-1;
		err = unix_listen(&s->listener, &spec, e);
	}
	s->group = spec.group;
	return err;
}

void server_socket_close(struct server_socket *s)
{
	unix_unlisten(&s->listener);
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
