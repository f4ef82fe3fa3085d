// SPDX-License-Identifier: Apache-2.0
/*
 * Messages of rtnetlink about links: what netlink.c (the monitor), netlink_link.c (calls on one
 * link) and nic.c share. Nobody else uses this. Control thread.
 */
#ifndef EVB_DAEMON_NETLINK_MESSAGE_H
#define EVB_DAEMON_NETLINK_MESSAGE_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>

#include "netlink.h"

enum {
	/* More than the kernel uses for a dump, and for a NIC with 200 virtual functions. */
	NETLINK_BUFFER_SIZE = 65536,
	NETLINK_REQUEST_SIZE = 1024,
};

/* A string attribute, cut to `size` octets with its NUL. */
void netlink_copy_string(char *out, size_t size, const struct nlattr *attr);

/* The link a message tells of; false if it tells of none. */
bool netlink_parse(const struct nlmsghdr *nlh, struct link_info *out);

/* A socket in the namespace of the calling thread, subscribed to `groups`; NULL with errno. */
struct mnl_socket *netlink_socket(unsigned groups);

/* A request about link `ifindex` (0: by an attribute, or all) in `buf`. */
struct nlmsghdr *netlink_request(char buf[NETLINK_REQUEST_SIZE], uint16_t type, int ifindex);

/* Send a request on a socket of its own, feed all answers to `cb`. 0 or -errno. */
int netlink_exchange(struct nlmsghdr *nlh, mnl_cb_t cb, void *aux);

#endif
