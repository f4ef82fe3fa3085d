// SPDX-License-Identifier: Apache-2.0
#include "netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
	BUFFER_SIZE = 32768,	       /* what the kernel uses for a dump at most */
	MONITOR_RCVBUF_SIZE = 1 << 20, /* some hundred reports */
	DUMP_TRIES = 8,
};

/* Links in the order of their ifindex. */
struct table {
	struct link_info *link;
	unsigned n, max;
};

struct netlink {
	struct mnl_socket *socket;
	netlink_cb *cb;
	void *aux;
	struct table table;
	bool is_stale; /* reports were lost, and the table was not read anew yet */
	bool is_out_of_memory;
	alignas(struct nlmsghdr) char buf[BUFFER_SIZE];
};

bool link_is_running(const struct link_info *link)
{
	return (link->flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}

/* From octets to struct link_info. */

static void copy_string(char *out, size_t size, const struct nlattr *attr)
{
	size_t len = strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));

	if (len >= size)
		len = size - 1;
	memcpy(out, mnl_attr_get_payload(attr), len);
	out[len] = '\0';
}

static int kind_attr(const struct nlattr *attr, void *aux)
{
	struct link_info *out = aux;

	if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
		copy_string(out->kind, sizeof(out->kind), attr);
	return MNL_CB_OK;
}

/* Attributes that are too short for their type are passed over, as if absent. */
static int link_attr(const struct nlattr *attr, void *aux)
{
	struct link_info *out = aux;
	uint16_t size = mnl_attr_get_payload_len(attr);

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		copy_string(out->name, sizeof(out->name), attr);
		break;
	case IFLA_ADDRESS:
		if (size == sizeof(out->mac.b))
			memcpy(out->mac.b, mnl_attr_get_payload(attr), size);
		break;
	case IFLA_MTU:
		if (size >= sizeof(uint32_t))
			out->mtu = mnl_attr_get_u32(attr);
		break;
	case IFLA_OPERSTATE:
		if (size >= sizeof(uint8_t))
			out->operstate = mnl_attr_get_u8(attr);
		break;
	case IFLA_MASTER:
		if (size >= sizeof(uint32_t))
			out->master = (int)mnl_attr_get_u32(attr);
		break;
	case IFLA_LINKINFO:
		mnl_attr_parse_nested(attr, kind_attr, out);
		break;
	case IFLA_WIRELESS:
		/* Such a report is about a radio and carries little of the link: not for us. */
		return MNL_CB_STOP;
	default:
		break;
	}
	return MNL_CB_OK;
}

/* False if the message is not a whole report on a link. */
static bool link_parse(const struct nlmsghdr *nlh, struct link_info *out)
{
	const struct ifinfomsg *ifi;

	if (nlh->nlmsg_type != RTM_NEWLINK && nlh->nlmsg_type != RTM_DELLINK)
		return false;
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return false;
	ifi = mnl_nlmsg_get_payload(nlh);
	/* AF_BRIDGE: a port joined or left a bridge, which is not the life of the link. */
	if (ifi->ifi_family != AF_UNSPEC)
		return false;
	*out = (struct link_info){
		.ifindex = ifi->ifi_index,
		.flags = ifi->ifi_flags,
		.type = ifi->ifi_type,
		.deleted = nlh->nlmsg_type == RTM_DELLINK,
	};
	return mnl_attr_parse(nlh, sizeof(*ifi), link_attr, out) == MNL_CB_OK;
}

/* Requests: a socket of their own each, in the namespace of the calling thread. */

static struct mnl_socket *socket_open(unsigned groups)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	/* The kernel answers before sendto() returns; this is for a kernel that does not. */
	struct timeval timeout = { .tv_sec = 1 };
	int saved;

	if (!s)
		return NULL;
	if (mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) == 0 &&
	    setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ==
		    0)
		return s;
	saved = errno;
	mnl_socket_close(s);
	errno = saved;
	return NULL;
}

/* Send the request and feed all answers to `cb` until the last one. 0 or -errno. */
static int exchange(struct nlmsghdr *nlh, mnl_cb_t cb, void *aux)
{
	char *buf = malloc(BUFFER_SIZE);
	struct mnl_socket *s = buf ? socket_open(0) : NULL;
	ssize_t size;
	int err = 0, more = MNL_CB_OK;

	if (!s) {
		err = -errno;
		goto out;
	}
	if (mnl_socket_sendto(s, nlh, nlh->nlmsg_len) < 0) {
		err = -errno;
		goto out;
	}
	while (more > MNL_CB_STOP) {
		size = mnl_socket_recvfrom(s, buf, BUFFER_SIZE);
		more = size < 0 ? MNL_CB_ERROR :
				  mnl_cb_run(buf, size, nlh->nlmsg_seq, mnl_socket_get_portid(s),
					     cb, aux);
		if (more == MNL_CB_ERROR)
			err = -errno;
	}
out:
	free(buf);
	if (s)
		mnl_socket_close(s);
	return err;
}

enum { REQUEST_SIZE = 1024 };

/* A request about link `ifindex` (0: by an attribute, or all). */
static struct nlmsghdr *request(char buf[REQUEST_SIZE], uint16_t type, int ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = ifindex;
	return nlh;
}

static int one_link(const struct nlmsghdr *nlh, void *aux)
{
	struct link_info link;

	if (link_parse(nlh, &link))
		*(struct link_info *)aux = link;
	return MNL_CB_OK;
}

static int link_get(struct nlmsghdr *nlh, struct link_info *out)
{
	struct link_info link = { 0 };
	int err;

	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	err = exchange(nlh, one_link, &link);
	if (err)
		return err;
	if (!link.ifindex)
		return -ENODEV;
	*out = link;
	return 0;
}

int netlink_link_get(const char *name, struct link_info *out)
{
	alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = request(buf, RTM_GETLINK, 0);

	if (strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return link_get(nlh, out);
}

int netlink_link_get_index(int ifindex, struct link_info *out)
{
	alignas(struct nlmsghdr) char buf[REQUEST_SIZE];

	/* The kernel takes an index of 0 for "by name" and answers EINVAL. */
	return ifindex > 0 ? link_get(request(buf, RTM_GETLINK, ifindex), out) : -ENODEV;
}

static int stats_attr(const struct nlattr *attr, void *aux)
{
	struct rtnl_link_stats64 stats;

	if (mnl_attr_get_type(attr) != IFLA_STATS64)
		return MNL_CB_OK;
	memset(&stats, 0, sizeof(stats));
	memcpy(&stats, mnl_attr_get_payload(attr),
	       mnl_attr_get_payload_len(attr) < sizeof(stats) ? mnl_attr_get_payload_len(attr) :
								sizeof(stats));
	*(uint64_t *)aux = stats.tx_dropped;
	return MNL_CB_OK;
}

static int stats_message(const struct nlmsghdr *nlh, void *aux)
{
	return mnl_attr_parse(nlh, sizeof(struct ifinfomsg), stats_attr, aux);
}

int netlink_link_tx_dropped(int ifindex, uint64_t *out)
{
	alignas(struct nlmsghdr) char buf[REQUEST_SIZE];

	if (ifindex <= 0)
		return -ENODEV;
	return exchange(request(buf, RTM_GETLINK, ifindex), stats_message, out);
}

int netlink_link_set_up(int ifindex)
{
	alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = request(buf, RTM_NEWLINK, ifindex);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	ifi->ifi_flags = IFF_UP;
	ifi->ifi_change = IFF_UP;
	return exchange(nlh, NULL, NULL);
}

int netlink_link_move(int ifindex, int netns, const char *name)
{
	alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = request(buf, RTM_NEWLINK, ifindex);

	if (strlen(name) >= IFNAMSIZ)
		return -ENAMETOOLONG;
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)netns);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return exchange(nlh, NULL, NULL);
}

int netlink_link_set_mtu(int ifindex, uint32_t mtu)
{
	alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = request(buf, RTM_NEWLINK, ifindex);

	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	return exchange(nlh, NULL, NULL);
}

int netlink_link_set_mac(int ifindex, struct mac mac)
{
	alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = request(buf, RTM_NEWLINK, ifindex);

	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(mac.b), mac.b);
	return exchange(nlh, NULL, NULL);
}

int netlink_link_set_alias(int ifindex, const char *alias)
{
	alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = request(buf, RTM_NEWLINK, ifindex);

	if (strlen(alias) >= LINK_ALIAS_SIZE)
		return -EINVAL;
	mnl_attr_put(nlh, IFLA_IFALIAS, strlen(alias), alias);
	return exchange(nlh, NULL, NULL);
}

static int alias_attr(const struct nlattr *attr, void *aux)
{
	if (mnl_attr_get_type(attr) == IFLA_IFALIAS)
		copy_string(aux, LINK_ALIAS_SIZE, attr);
	return MNL_CB_OK;
}

static int alias_message(const struct nlmsghdr *nlh, void *aux)
{
	return mnl_attr_parse(nlh, sizeof(struct ifinfomsg), alias_attr, aux);
}

int netlink_link_get_alias(int ifindex, char out[LINK_ALIAS_SIZE])
{
	alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	char alias[LINK_ALIAS_SIZE] = "";
	int err = ifindex > 0 ? exchange(request(buf, RTM_GETLINK, ifindex), alias_message, alias) :
				-ENODEV;

	if (!err)
		memcpy(out, alias, sizeof(alias));
	return err;
}

int netlink_link_addrgen_none(int ifindex)
{
	alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
	struct nlmsghdr *nlh = request(buf, RTM_NEWLINK, ifindex);
	struct nlattr *spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(nlh, AF_INET6);
	int err;

	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, inet6);
	mnl_attr_nest_end(nlh, spec);
	err = exchange(nlh, NULL, NULL);
	return err == -EAFNOSUPPORT ? 0 : err;
}

int netlink_link_delete(int ifindex)
{
	alignas(struct nlmsghdr) char buf[REQUEST_SIZE];

	/* Without an index the kernel would look for other attributes to choose by. */
	return ifindex > 0 ? exchange(request(buf, RTM_DELLINK, ifindex), NULL, NULL) : -ENODEV;
}

/* The table. */

/* Where `ifindex` is, or would have to be. */
static unsigned table_position(const struct table *t, int ifindex)
{
	unsigned low = 0, high = t->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (t->link[mid].ifindex < ifindex)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct link_info *table_find(const struct table *t, int ifindex)
{
	unsigned at = table_position(t, ifindex);

	return at < t->n && t->link[at].ifindex == ifindex ? &t->link[at] : NULL;
}

/* Insert or replace. False without memory. */
static bool table_put(struct table *t, const struct link_info *link)
{
	unsigned at = table_position(t, link->ifindex);
	unsigned max = t->max ? 2 * t->max : 16;
	struct link_info *grown;

	if (at < t->n && t->link[at].ifindex == link->ifindex) {
		t->link[at] = *link;
		return true;
	}
	if (t->n == t->max) {
		grown = reallocarray(t->link, max, sizeof(*grown));
		if (!grown)
			return false;
		t->link = grown;
		t->max = max;
	}
	memmove(&t->link[at + 1], &t->link[at], (t->n - at) * sizeof(*t->link));
	t->link[at] = *link;
	t->n++;
	return true;
}

static void table_remove(struct table *t, const struct link_info *link)
{
	unsigned at = (unsigned)(link - t->link);

	memmove(&t->link[at], &t->link[at + 1], (t->n - at - 1) * sizeof(*t->link));
	t->n--;
}

static bool link_equal(const struct link_info *a, const struct link_info *b)
{
	return a->ifindex == b->ifindex && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->kind, b->kind) == 0 && a->flags == b->flags && a->mtu == b->mtu &&
	       a->type == b->type && a->operstate == b->operstate && a->master == b->master &&
	       mac_equal(a->mac, b->mac);
}

/* Reading all links. */

struct dump {
	struct table table;
	bool failed; /* no memory */
};

static int dump_message(const struct nlmsghdr *nlh, void *aux)
{
	struct dump *d = aux;
	struct link_info link;

	if (!link_parse(nlh, &link) || table_put(&d->table, &link))
		return MNL_CB_OK;
	d->failed = true;
	return MNL_CB_STOP;
}

/*
 * All links of the namespace of `nl`'s socket, asked over a socket of this thread's namespace;
 * both are the same, as the monitor is only used where it was made. A dump that was interrupted
 * by a change (libmnl says EINTR on NLM_F_DUMP_INTR) may lack links: again.
 */
static int dump_links(struct table *out)
{
	int err = -EINTR;

	for (int i = 0; i < DUMP_TRIES && err == -EINTR; i++) {
		alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
		struct nlmsghdr *nlh = request(buf, RTM_GETLINK, 0);
		struct dump d = { .failed = false };

		nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		err = exchange(nlh, dump_message, &d);
		if (d.failed)
			err = -ENOMEM;
		if (!err)
			*out = d.table;
		else
			free(d.table.link);
	}
	return err;
}

/* Read all links anew and report how they differ from the table; what went comes first. */
static int resync(struct netlink *nl)
{
	struct table old = nl->table, fresh;
	int err = dump_links(&fresh);

	if (err)
		return err;
	nl->table = fresh;
	nl->is_stale = false;
	for (unsigned i = 0; i < old.n; i++) {
		struct link_info gone = old.link[i];

		gone.deleted = true;
		if (!table_find(&fresh, gone.ifindex))
			nl->cb(nl->aux, &gone, &old.link[i]);
	}
	for (unsigned i = 0; i < fresh.n; i++) {
		const struct link_info *before = table_find(&old, fresh.link[i].ifindex);

		if (!before || !link_equal(before, &fresh.link[i]))
			nl->cb(nl->aux, &fresh.link[i], before);
	}
	free(old.link);
	return 0;
}

/* The monitor. */

static int monitor_message(const struct nlmsghdr *nlh, void *aux)
{
	struct netlink *nl = aux;
	struct link_info link, before, *known;

	if (!link_parse(nlh, &link))
		return MNL_CB_OK;
	known = table_find(&nl->table, link.ifindex);
	if (known)
		before = *known;
	if (link.deleted) {
		if (!known)
			return MNL_CB_OK;
		table_remove(&nl->table, known);
	} else if (known && link_equal(known, &link)) {
		return MNL_CB_OK;
	} else if (!table_put(&nl->table, &link)) {
		nl->is_out_of_memory = true;
		return MNL_CB_STOP;
	}
	nl->cb(nl->aux, &link, known ? &before : NULL);
	return MNL_CB_OK;
}

/* One datagram without waiting: its size, or -errno. One that was cut short is as good as lost. */
static ssize_t receive(struct netlink *nl)
{
	ssize_t size = recv(mnl_socket_get_fd(nl->socket), nl->buf, sizeof(nl->buf),
			    MSG_DONTWAIT | MSG_TRUNC);

	if (size > (ssize_t)sizeof(nl->buf))
		return -ENOBUFS;
	return size < 0 ? -errno : size;
}

int netlink_read(struct netlink *nl)
{
	ssize_t size = 0;

	while (!nl->is_stale && (size = receive(nl)) >= 0) {
		if (mnl_cb_run(nl->buf, (size_t)size, 0, 0, monitor_message, nl) < MNL_CB_STOP ||
		    nl->is_out_of_memory)
			nl->is_stale = true;
		nl->is_out_of_memory = false;
	}
	if (size == -ENOBUFS)
		nl->is_stale = true;
	if (!nl->is_stale)
		return size == -EAGAIN ? 0 : (int)size;

	/*
	 * What still waits is older than what was lost, so it must not be applied after the dump:
	 * throw it away first.
	 */
	do {
		size = receive(nl);
	} while (size >= 0 || size == -ENOBUFS);
	return resync(nl);
}

struct netlink *netlink_new(netlink_cb *cb, void *aux)
{
	struct netlink *nl = calloc(1, sizeof(*nl));
	int size = MONITOR_RCVBUF_SIZE, err;

	if (!nl)
		return NULL;
	nl->cb = cb;
	nl->aux = aux;
	nl->socket = socket_open(RTMGRP_LINK);
	err = nl->socket ? dump_links(&nl->table) : -errno;
	if (err) {
		netlink_free(nl);
		errno = -err;
		return NULL;
	}
	/* Beyond net.core.rmem_max for those who may; for others, losses are mended anyway. */
	if (setsockopt(mnl_socket_get_fd(nl->socket), SOL_SOCKET, SO_RCVBUFFORCE, &size,
		       sizeof(size)) < 0)
		(void)setsockopt(mnl_socket_get_fd(nl->socket), SOL_SOCKET, SO_RCVBUF, &size,
				 sizeof(size));
	return nl;
}

void netlink_free(struct netlink *nl)
{
	if (!nl)
		return;
	if (nl->socket)
		mnl_socket_close(nl->socket);
	free(nl->table.link);
	free(nl);
}

int netlink_fd(const struct netlink *nl)
{
	return mnl_socket_get_fd(nl->socket);
}

const struct link_info *netlink_by_name(const struct netlink *nl, const char *name)
{
	for (unsigned i = 0; i < nl->table.n; i++) {
		if (strcmp(nl->table.link[i].name, name) == 0)
			return &nl->table.link[i];
	}
	return NULL;
}

const struct link_info *netlink_by_index(const struct netlink *nl, int ifindex)
{
	return table_find(&nl->table, ifindex);
}
