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
#include "virtport_message.h"

enum {
	CLIENTS_MAX = 4096, /* VSIs */
	TRIES = 16,	    /* for a port ID that nobody has */
	MESSAGES_MAX = 64,  /* taken in before other work has its turn */
};

/* How long an end is kept for who asks for it. */
#define KEEP_ENDED (15 * NS_PER_S)

/* The VSI of one guest. */
struct client {
	struct virtport port; /* as asked for last */
	port_id uplink;
	int response;		/* VIRTPORT_PENDING, or what is to be told */
	bool stands, is_polled; /* is_polled: since it was asked for */
	bool is_over;		/* once that was told, it is forgotten */
	tstamp over_since;
	uint32_t port_id, seq; /* of netlink: who is told of an end */
};

struct virtport_service {
	struct loop *loop;
	struct loop_watch *watch;
	struct plane *plane;
	const struct log *log;
	const char *path;
	int fd;
	uint32_t port_id;
	uint32_t n;
	struct client *client; /* the newest last */
};

static struct vsi_id id_of(const struct virtport *v)
{
	struct vsi_id id = { .format = VSI_ID_UUID };

	memcpy(id.octets, v->instance, sizeof(id.octets));
	return id;
}

static struct client *find(struct virtport_service *s, port_id uplink, const struct vsi_id *id)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct vsi_id mine = id_of(&s->client[i].port);

		if (s->client[i].uplink == uplink && vsi_id_equal(&mine, id))
			return &s->client[i];
	}
	return NULL;
}

static void forget(struct virtport_service *s, struct client *c)
{
	memmove(c, c + 1, (size_t)(s->client + s->n - (c + 1)) * sizeof(*c));
	s->n--;
}

static struct client *add(struct virtport_service *s)
{
	struct client *more;

	for (uint32_t i = 0; i < s->n; i++) { /* ends that nobody asks for */
		if (s->client[i].is_over &&
		    loop_now(s->loop) - s->client[i].over_since > KEEP_ENDED)
			forget(s, &s->client[i--]);
	}
	more = s->n < CLIENTS_MAX ? realloc(s->client, (s->n + 1) * sizeof(*more)) : NULL;
	if (!more)
		return NULL;
	s->client = more;
	more[s->n] = (struct client){ .uplink = PORT_NONE };
	return &more[s->n++];
}

/* ---- requests ---- */

/* The uplink of ours on a device, if it speaks EVB; or PORT_NONE. */
static port_id uplink_on(const struct plane *p, const char *dev)
{
	const struct model *m = plane_model(p);

	for (uint32_t i = 0; i < m->n_ports; i++) {
		const struct port_config *c = &m->port[i];

		if (c->name[0] && c->role == FWD_UPLINK && c->kind == KIND_PACKET && !c->channel &&
		    !strcmp(c->dev, dev) && agents_evb(plane_agents(p), (port_id)i))
			return (port_id)i;
	}
	return PORT_NONE;
}

static struct vdp_assoc assoc_of(const struct virtport *v)
{
	static const enum vdp_request requests[] = {
		[PORT_REQUEST_PREASSOCIATE] = VDP_PRE_ASSOCIATE,
		[PORT_REQUEST_PREASSOCIATE_RR] = VDP_PRE_ASSOCIATE_RR,
		[PORT_REQUEST_ASSOCIATE] = VDP_ASSOCIATE,
		[PORT_REQUEST_DISASSOCIATE] = VDP_DE_ASSOCIATE,
	};
	struct vdp_assoc a = { .request = requests[v->request],
			       .version = v->version,
			       .type_id = v->type_id,
			       .manager.octets[0] = v->manager,
			       .id = id_of(v) };
	struct vdp_filter f = { .mac = v->mac, .vid = v->vlan };

	a.filters.format = v->has_mac ? VDP_FILTER_MAC_VID : VDP_FILTER_VID;
	vdp_filter_add(&a.filters, EVB_RATIFIED, f);
	return a;
}

/* 0 or -errno, as lldpad says it. */
static int request(struct virtport_service *s, const struct virtport *v, const struct nlmsghdr *nlh)
{
	port_id uplink = uplink_on(s->plane, v->dev);
	struct vdp_assoc a = assoc_of(v);
	struct client *c = uplink == PORT_NONE ? NULL : find(s, uplink, &a.id);
	struct client before;
	bool is_new = !c;
	int err;

	if (uplink == PORT_NONE)
		return -ENODEV;
	if (is_new)
		c = add(s);
	if (!c)
		return -ENOMEM;
	before = *c;
	*c = (struct client){ .port = *v,
			      .uplink = uplink,
			      .response = VIRTPORT_PENDING,
			      .stands = before.stands && !before.is_over,
			      .port_id = nlh->nlmsg_pid,
			      .seq = nlh->nlmsg_seq };
	err = plane_vsi_request(s->plane, uplink, &a);
	if (err == -EINVAL && v->request == PORT_REQUEST_DISASSOCIATE &&
	    (is_new || before.is_over)) {
		/* There is none any more: that is what was wanted. */
		c->response = PORT_VDP_RESPONSE_SUCCESS;
		c->is_over = true;
		c->over_since = loop_now(s->loop);
		return 0;
	}
	if (err && is_new)
		forget(s, c);
	else if (err)
		*c = before;
	return err;
}

static struct nlmsghdr *set_link(struct virtport_service *s, void *buf, const struct nlmsghdr *nlh)
{
	struct virtport v;
	struct link_info link;
	int err = virtport_parse(nlh, &v);

	if (!err && !v.dev[0] && netlink_link_get_index(v.ifindex, &link) == 0)
		memcpy(v.dev, link.name, sizeof(v.dev));
	if (!err)
		err = request(s, &v, nlh);
	if (err)
		log_warning(s->log, "libvirt: VSI on %s refused: %s%s", v.dev[0] ? v.dev : "?",
			    strerror(-err), err == -ENODEV ? " (no uplink there speaks EVB)" : "");
	return virtport_error(buf, nlh, err);
}

/* What is gone without a word, for the uplink was made anew, is over. */
static void check(const struct virtport_service *s, struct client *c)
{
	const struct evb_link *l = agents_evb(plane_agents(s->plane), c->uplink);
	struct vsi_id id = id_of(&c->port);

	if (c->is_over || (l && vsi_find(agents_vsis(l), &id)))
		return;
	c->response = VIRTPORT_ERROR;
	c->is_over = true;
	c->over_since = loop_now(s->loop);
}

static struct nlmsghdr *get_link(struct virtport_service *s, void *buf, const struct nlmsghdr *nlh)
{
	struct link_info link;
	struct nlmsghdr *answer;
	port_id uplink;

	if (netlink_link_get_index(virtport_parse_get(nlh), &link) < 0)
		return virtport_error(buf, nlh, -ENODEV);
	uplink = uplink_on(s->plane, link.name);
	answer = virtport_get_begin(buf, nlh);
	for (uint32_t i = s->n; i-- > 0;) { /* the newest first */
		struct client *c = &s->client[i];

		if (c->uplink != uplink)
			continue;
		check(s, c);
		c->is_polled = true;
		if (!virtport_get_add(answer, c->port.instance, c->response))
			break;
		if (c->is_over && c->response != VIRTPORT_PENDING)
			forget(s, c);
	}
	virtport_get_end(answer);
	return answer;
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

/* ---- what becomes of them ---- */

static void tell_ended(struct virtport_service *s, const struct client *c)
{
	alignas(struct nlmsghdr) char buf[VIRTPORT_MESSAGE_MAX];
	const struct nlmsghdr *nlh = virtport_ended(buf, &c->port, s->port_id, c->seq);
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = c->port_id };

	sendto(s->fd, nlh, nlh->nlmsg_len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
}

static void on_outcome(void *aux, port_id uplink, enum vdp_outcome outcome, const struct vsi *v,
		       uint8_t status)
{
	struct virtport_service *s = aux;
	struct client *c = find(s, uplink, &v->id);
	bool is_unheard = outcome == VDP_REVOKED;

	if (!c)
		return;
	/*
	 * Nobody polls for a keep-alive that fails, nor for what libvirt asks by itself once it was
	 * told of an end. It asks again then, and again while the bridge is silent.
	 */
	if (outcome == VDP_TIMED_OUT || outcome == VDP_REFUSED)
		is_unheard = c->stands || (outcome == VDP_TIMED_OUT && !c->is_polled);
	c->stands = outcome == VDP_STANDS || outcome == VDP_KEPT;
	c->response = status & VDP_ERROR;
	switch (outcome) {
	case VDP_STANDS:
	case VDP_KEPT:
		return;
	case VDP_ENDED:
		c->response = PORT_VDP_RESPONSE_SUCCESS;
		break;
	case VDP_TIMED_OUT:
		c->response = VIRTPORT_ERROR;
		break;
	case VDP_REFUSED:
	case VDP_REVOKED:
		break;
	}
	if (is_unheard)
		tell_ended(s, c);
	c->is_over = true;
	c->over_since = loop_now(s->loop);
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

static int write_file(const struct virtport_service *s)
{
	FILE *f = fopen(s->path, "we");
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

struct virtport_service *virtport_new(struct loop *loop, struct plane *plane, const struct log *log,
				      const char *path, struct err *e)
{
	struct virtport_service *s;
	int err;

	if (is_lldpad(path)) {
		err_set(e, EBUSY, "lldpad runs, and libvirt speaks to it (%s)", path);
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
	s->path = path;
	err = open_socket(s);
	if (!err)
		s->watch = loop_watch(loop, s->fd, EPOLLIN, on_readable, s);
	if (!err)
		err = s->watch ? write_file(s) : -errno;
	if (!err) {
		plane_on_foreign_outcome(plane, on_outcome, s);
		return s;
	}
	err_set(e, -err, "cannot answer libvirt (%s): %s", path, strerror(-err));
	err_hint(e, "the file must be where libvirt looks for that of lldpad: /run/lldpad.pid");
	s->path = NULL;
	virtport_free(s);
	return NULL;
}

void virtport_free(struct virtport_service *s)
{
	if (!s)
		return;
	plane_on_foreign_outcome(s->plane, NULL, NULL);
	if (s->path)
		unlink(s->path);
	loop_unwatch(s->watch);
	if (s->fd >= 0)
		close(s->fd);
	free(s->client);
	free(s);
}
