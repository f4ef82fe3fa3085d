// SPDX-License-Identifier: Apache-2.0
#include "unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64, TRIES = 8 };

_Static_assert(UNIX_PATH_SIZE == sizeof(((struct sockaddr_un *)0)->sun_path), "as the kernel");

/* ---- what is there ---- */

/* What stands at a path, and who listens on it. */
struct found {
	enum unix_found what;
	dev_t dev;
	ino_t ino;
	pid_t pid; /* of the listener; 0: unknown */
};

static bool address_of(const char *path, struct sockaddr_un *a)
{
	size_t size = strlen(path);

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (size == 0 || size >= sizeof(a->sun_path))
		return false;
	memcpy(a->sun_path, path, size);
	return true;
}

int unix_connect(const char *path)
{
	struct sockaddr_un a;
	int fd, err;

	if (!address_of(path, &a))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/* Whoever called listen() on the other side; 0 if that cannot be told. */
static pid_t listener_of(int fd)
{
	struct ucred peer = { .pid = 0 };
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

static int look(const char *path, struct found *f, struct err *e)
{
	struct stat st;
	int fd;

	*f = (struct found){ .what = UNIX_NOTHING };
	if (lstat(path, &st) < 0)
		return 0; /* if it is not that nothing is there, bind() will say what it is */
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->what = UNIX_OTHER;
	if (!S_ISSOCK(st.st_mode))
		return 0;
	f->what = UNIX_LIVE;
	fd = unix_connect(path);
	if (fd >= 0) {
		f->pid = listener_of(fd);
		close(fd);
		return 0;
	}
	/* EAGAIN: its queue is full; EPROTOTYPE: it is of another type. */
	if (fd == -EAGAIN || fd == -EPROTOTYPE)
		return 0;
	f->what = fd == -ENOENT ? UNIX_NOTHING : UNIX_STALE;
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return 0;
	return err_set(e, -fd, "%s: cannot tell who has this socket: %s", path, strerror(-fd));
}

int unix_look(const char *path, struct err *e)
{
	struct found f;
	int err = look(path, &f, e);

	return err ? err : (int)f.what;
}

static void name_of(pid_t pid, char *name, int size)
{
	char path[32];
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	in = fopen(path, "re");
	if (!in || !fgets(name, size, in))
		snprintf(name, (size_t)size, "unknown");
	name[strcspn(name, "\n")] = '\0';
	if (in)
		fclose(in);
}

static int refuse_live(const struct unix_spec *s, pid_t pid, struct err *e)
{
	char name[32];

	if (pid == getpid()) {
		err_set(e, EADDRINUSE, "%s: evbd listens on this socket already", s->path);
		return err_hint(e, "%s", s->elsewhere);
	}
	if (!pid) {
		err_set(e, EADDRINUSE, "%s: another process listens on this socket", s->path);
		return err_hint(e, "stop it first, or %s", s->elsewhere);
	}
	name_of(pid, name, sizeof(name));
	err_set(e, EADDRINUSE, "%s: process %d (%s) listens on this socket", s->path, pid, name);
	return err_hint(e, "stop it first, or %s", s->elsewhere);
}

static int refuse_found(const struct unix_spec *s, const struct found *f, struct err *e)
{
	if (f->what == UNIX_LIVE)
		return refuse_live(s, f->pid, e);
	if (f->what != UNIX_OTHER)
		return 0;
	err_set(e, EEXIST, "%s: exists and is not a socket", s->path);
	return err_hint(e, "move that file away, or %s", s->elsewhere);
}

int unix_check(const struct unix_spec *s, struct err *e)
{
	struct sockaddr_un a;
	struct found f;
	int err;

	if (!address_of(s->path, &a)) {
		err_set(e, ENAMETOOLONG, "path of the socket is empty or too long");
		return err_hint(e, "%s, of less than %d octets", s->elsewhere, UNIX_PATH_SIZE);
	}
	err = look(s->path, &f, e);
	return err ? err : refuse_found(s, &f, e);
}

/* ---- listening ---- */

void unix_folder(const char *path, char out[UNIX_PATH_SIZE])
{
	const char *slash = strrchr(path, '/');
	int size = slash ? (int)(slash - path) : 0;

	if (size)
		snprintf(out, UNIX_PATH_SIZE, "%.*s", size, path);
	else
		strcpy(out, slash ? "/" : ".");
}

/*
 * A socket in the making. It is bound under a name of its own and renamed when it is ready: who
 * finds it can connect, if he may. All goes by way of the descriptor of the folder, so that it does
 * not matter what becomes of the path meanwhile.
 */
struct making {
	const struct unix_spec *spec;
	int dir, fd;
	const char *base;
	char folder[UNIX_PATH_SIZE], temp[48];
};

static int refuse_folder(const struct making *m, int code, struct err *e)
{
	err_set(e, code, "%s: cannot make a socket in %s: %s", m->spec->path, m->folder,
		strerror(code));
	return err_hint(e, "evbd has to be allowed to write there, by its unit too; or %s",
			m->spec->elsewhere);
}

static int open_folder(struct making *m, struct err *e)
{
	const char *slash = strrchr(m->spec->path, '/');

	m->base = slash ? slash + 1 : m->spec->path;
	unix_folder(m->spec->path, m->folder);
	m->dir = open(m->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (m->dir >= 0)
		return 0;
	if (errno != ENOENT)
		return refuse_folder(m, errno, e);
	err_set(e, ENOENT, "folder %s does not exist", m->folder);
	return err_hint(e, "make it with: mkdir -p %s", m->folder);
}

/* Under the name in m->temp. The mode is right from the start. */
static int bind_aside(struct making *m)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t mask;
	int err;

	snprintf(m->temp, sizeof(m->temp), ".evbd-%d-%d", getpid(), m->fd);
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", m->dir, m->temp);
	unlinkat(m->dir, m->temp, 0); /* of a namesake that was killed */
	mask = umask(0777 & ~m->spec->perm);
	err = bind(m->fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	umask(mask);
	return err;
}

/* Give the open file to its owner, if it is the one that bind() made. */
static int give_away(const struct unix_spec *s, int fd, struct unix_listener *l)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
		return -EPERM;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	if (s->owner == (uid_t)-1 && s->group == (gid_t)-1)
		return 0;
	return fchownat(fd, "", s->owner, s->group, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/*
 * The file could have been exchanged in the meantime by whoever may write to the folder, so it is
 * looked at, and given away, through a descriptor.
 */
static int settle_owner(const struct making *m, struct unix_listener *l)
{
	int fd = openat(m->dir, m->temp, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int err = fd < 0 ? -errno : give_away(m->spec, fd, l);

	if (fd >= 0)
		close(fd);
	return err;
}

/* Some file systems know nothing of the flags of renameat2(). */
static int move_into_place(const struct making *m, unsigned flags)
{
	if (renameat2(m->dir, m->temp, m->dir, m->base, flags) == 0)
		return 0;
	if (errno == EINVAL && renameat(m->dir, m->temp, m->dir, m->base) == 0)
		return 0;
	return -errno;
}

/* Take the place of a stale socket, unless it has become another one meanwhile: false then. */
static bool replace_stale(const struct making *m, const struct found *f)
{
	struct stat st;

	if (move_into_place(m, RENAME_EXCHANGE) < 0)
		return false;
	if (fstatat(m->dir, m->temp, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return true; /* it was renamed after all */
	if (st.st_dev == f->dev && st.st_ino == f->ino) {
		unlinkat(m->dir, m->temp, 0);
		return true;
	}
	move_into_place(m, RENAME_EXCHANGE);
	return false;
}

/* Two evbd may want the same path at the same time: one of them finds the other's socket live. */
static int put_in_place(const struct making *m, struct err *e)
{
	int err = -EBUSY;

	for (int i = 0; i < TRIES; i++) {
		struct found f;

		err = look(m->spec->path, &f, e);
		if (!err)
			err = refuse_found(m->spec, &f, e);
		if (err)
			return err;
		if (f.what == UNIX_STALE && replace_stale(m, &f))
			return 0;
		err = f.what == UNIX_STALE ? -EBUSY : move_into_place(m, RENAME_NOREPLACE);
		if (!err)
			return 0;
		if (err != -EEXIST && err != -EBUSY)
			break;
	}
	return refuse_folder(m, -err, e);
}

static int make(struct making *m, struct unix_listener *l, struct err *e)
{
	int err;

	m->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (m->fd < 0)
		return err_set(e, errno, "cannot make a socket: %s", strerror(errno));
	err = bind_aside(m);
	if (!err && listen(m->fd, BACKLOG) < 0)
		err = -errno;
	if (!err)
		err = settle_owner(m, l);
	err = err ? refuse_folder(m, -err, e) : put_in_place(m, e);
	if (!err) {
		l->fd = m->fd;
		return 0;
	}
	unlinkat(m->dir, m->temp, 0);
	close(m->fd);
	return err;
}

int unix_listen(struct unix_listener *l, const struct unix_spec *s, struct err *e)
{
	struct making m = { .spec = s };
	int err = unix_check(s, e);

	if (!err)
		err = open_folder(&m, e);
	if (err)
		return err;
	err = make(&m, l, e);
	close(m.dir);
	if (!err)
		snprintf(l->path, sizeof(l->path), "%s", s->path);
	return err;
}

void unix_unlisten(struct unix_listener *l)
{
	struct stat st;

	close(l->fd);
	if (lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->path);
}
