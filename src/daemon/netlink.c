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

#include "netlink_message.h"
#include "nic.h"

enum {
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
	alignas(struct nlmsghdr) char buf[NETLINK_BUFFER_SIZE];
};

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

bool link_equal(const struct link_info *a, const struct link_info *b)
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

	if (!netlink_parse(nlh, &link) || table_put(&d->table, &link))
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
		alignas(struct nlmsghdr) char buf[NETLINK_REQUEST_SIZE];
		struct nlmsghdr *nlh = netlink_request(buf, RTM_GETLINK, 0);
		struct dump d = { .failed = false };

		nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		err = netlink_exchange(nlh, dump_message, &d);
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

/* The switch in a NIC was set: the link is as before, but who cares should look at it. */
static void tell_hwmode(struct netlink *nl, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct link_info *known;

	if (nic_parse_hwmode(nlh) == NIC_NO_SWITCH)
		return;
	known = table_find(&nl->table, ifi->ifi_index);
	if (known)
		nl->cb(nl->aux, known, known);
}

static int monitor_message(const struct nlmsghdr *nlh, void *aux)
{
	struct netlink *nl = aux;
	struct link_info link, before, *known;

	if (!netlink_parse(nlh, &link)) {
		tell_hwmode(nl, nlh);
		return MNL_CB_OK;
	}
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
	nl->socket = netlink_socket(RTMGRP_LINK);
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

const struct link_info *netlink_by_mac(const struct netlink *nl, struct mac mac, const char *kind)
{
	for (unsigned i = 0; i < nl->table.n; i++) {
		const struct link_info *link = &nl->table.link[i];

		if (mac_equal(link->mac, mac) && strcmp(link->kind, kind) == 0)
			return link;
	}
	return NULL;
}
