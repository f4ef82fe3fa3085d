// SPDX-License-Identifier: Apache-2.0
#include "virtport.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"
#include "virtport_vsis.h"

enum {
	TRIES = 16,	   /* for a port ID that nobody has */
	MESSAGES_MAX = 64, /* taken in before other work has its turn */
	WARNINGS_MAX = 10, /* a second */
};

struct virtport_service {
	struct loop *loop;
	struct loop_watch *watch;
	struct plane *plane;
	const struct log *log;
	struct virtport_vsis *vsis;
	const char *pid_file; /* NULL: it was not written */
	int fd;
	uint32_t port_id;
	uint32_t n_warned; /* since: */
	tstamp warned_since;
};

static void warn(struct virtport_service *s, const char *dev, int err)
{
	const char *why = err == -ENODEV ? " (no uplink there speaks EVB)" :
			  err == -EEXIST ? " (another guest or port has the instance)" :
					   "";

	if (loop_now(s->loop) - s->warned_since > NS_PER_S) {
		s->warned_since = loop_now(s->loop);
		s->n_warned = 0;
	}
	if (s->n_warned++ < WARNINGS_MAX)
		log_warning(s->log, "libvirt: VSI on %s refused: %s%s", dev, strerror(-err), why);
}

static struct nlmsghdr *set_link(struct virtport_service *s, void *buf, const struct nlmsghdr *nlh)
{
	struct virtport_kept asked = { .port_id = nlh->nlmsg_pid, .seq = nlh->nlmsg_seq };
	int err = virtport_parse(nlh, &asked.port);
	const struct link_info *link = NULL;

	if (!err && !asked.port.dev[0])
		link = netlink_by_index(plane_links(s->plane), asked.port.ifindex);
	if (link)
		memcpy(asked.port.dev, link->name, sizeof(asked.port.dev));
	if (!err)
		err = virtport_vsis_request(s->vsis, &asked);
	if (err)
		warn(s, err != -EINVAL && asked.port.dev[0] ? asked.port.dev : "?", err);
	return virtport_error(buf, nlh, err);
}

static struct nlmsghdr *get_link(struct virtport_service *s, void *buf, const struct nlmsghdr *nlh)
{
	const struct link_info *link =
		netlink_by_index(plane_links(s->plane), virtport_parse_get(nlh));
	struct nlmsghdr *out;

	if (!link)
		return virtport_error(buf, nlh, -ENODEV);
	out = virtport_get_begin(buf, nlh);
	virtport_vsis_list(s->vsis, link->name, out);
	virtport_get_end(out);
	return out;
}

static void answer(struct virtport_service *s, const struct nlmsghdr *nlh,
		   const struct sockaddr_nl *to)
{
	alignas(struct nlmsghdr) char buf[VIRTPORT_MESSAGE_MAX];
	const struct nlmsghdr *out;

	if (nlh->nlmsg_type == RTM_SETLINK)
		out = set_link(s, buf, nlh);
	else if (nlh->nlmsg_type == RTM_GETLINK)
		out = get_link(s, buf, nlh);
	else
		out = virtport_error(buf, nlh, -EOPNOTSUPP);
	sendto(s->fd, out, out->nlmsg_len, MSG_DONTWAIT, (const struct sockaddr *)to, sizeof(*to));
}

static void on_readable(void *aux, uint32_t events)
{
	struct virtport_service *s = aux;
	alignas(struct nlmsghdr) char buf[VIRTPORT_MESSAGE_MAX];

	for (unsigned i = 0; i < MESSAGES_MAX; i++) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)(const void *)buf;
		struct sockaddr_nl from;
		socklen_t len = sizeof(from);
		ssize_t size = recvfrom(s->fd, buf, sizeof(buf) - MNL_ALIGNTO, MSG_DONTWAIT,
					(struct sockaddr *)&from, &len);

		if (size < 0)
			return;
		memset(buf + size, 0, MNL_ALIGNTO);
		/* The kernel, which has nothing to say here, is 0. */
		if (from.nl_pid && mnl_nlmsg_ok(nlh, (int)size) && nlh->nlmsg_type != NLMSG_ERROR)
			answer(s, nlh, &from);
	}
}

/* To who asked for it. */
static int tell_ended(void *aux, const struct virtport_kept *v)
{
	const struct virtport_service *s = aux;
	alignas(struct nlmsghdr) char buf[VIRTPORT_MESSAGE_MAX];
	const struct nlmsghdr *nlh = virtport_ended(buf, &v->port, s->port_id, v->seq);
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = v->port_id };

	if (!to.nl_pid) /* the kernel, which would take it for a request */
		return -ECONNREFUSED;
	return sendto(s->fd, nlh, nlh->nlmsg_len, MSG_DONTWAIT, (struct sockaddr *)&to,
		      sizeof(to)) < 0 ?
		       -errno :
		       0;
}

/* ---- begin and end ---- */

/* Is the process in the file lldpad, and alive? */
static bool is_lldpad(const char *path)
{
	char name[64], comm[32] = "";
	FILE *f = fopen(path, "re");
	int pid = 0;

	if (!f)
		return false;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	snprintf(name, sizeof(name), "/proc/%d/comm", pid);
	f = pid > 0 ? fopen(name, "re") : NULL;
	if (!f)
		return false;
	if (!fgets(comm, sizeof(comm), f))
		comm[0] = 0;
	fclose(f);
	return !strcmp(comm, "lldpad\n");
}

static int write_file(const struct virtport_service *s, const char *path)
{
	FILE *f = fopen(path, "we");
	bool ok;

	if (!f)
		return -errno;
	ok = fprintf(f, "%u\n", s->port_id) > 0; /* libvirt wants the end of the line */
	return fclose(f) == 0 && ok ? 0 : -EIO;
}

/* A port ID that libvirt's buffer of ten octets has room for, its end of line included. */
static int open_socket(struct virtport_service *s)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK };

	s->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (s->fd < 0)
		return -errno;
	for (uint32_t i = 1; i <= TRIES; i++) {
		addr.nl_pid = (uint32_t)getpid() + i * 10000000u;
		if (bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
			s->port_id = addr.nl_pid;
			return 0;
		}
	}
	return -errno;
}

static int open_all(struct virtport_service *s, const struct virtport_files *files)
{
	int err = open_socket(s);

	if (err)
		return err;
	s->watch = loop_watch(s->loop, s->fd, EPOLLIN, on_readable, s);
	err = s->watch ? write_file(s, files->pid) : -errno;
	if (err)
		return err;
	s->pid_file = files->pid;
	s->vsis = virtport_vsis_new(s->loop, s->plane, s->log, files->folder,
				    (struct virtport_teller){ tell_ended, s });
	return s->vsis ? 0 : -ENOMEM;
}

struct virtport_service *virtport_new(struct loop *loop, struct plane *plane, const struct log *log,
				      const struct virtport_files *files, struct err *e)
{
	struct virtport_service *s;
	int err;

	if (is_lldpad(files->pid)) {
		err_set(e, EBUSY, "lldpad runs, and libvirt speaks to it (%s)", files->pid);
		err_hint(e, "stop lldpad first: systemctl disable --now lldpad.service");
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	s->loop = loop;
	s->plane = plane;
	s->log = log;
	err = open_all(s, files);
	if (!err)
		return s;
	err_set(e, -err, "cannot answer libvirt (%s): %s", files->pid, strerror(-err));
	err_hint(e, "the file must be where libvirt looks for that of lldpad: /run/lldpad.pid");
	virtport_free(s);
	return NULL;
}

void virtport_free(struct virtport_service *s)
{
	if (!s)
		return;
	if (s->pid_file)
		unlink(s->pid_file);
	virtport_vsis_free(s->vsis);
	loop_unwatch(s->watch);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}
