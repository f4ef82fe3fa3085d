// SPDX-License-Identifier: Apache-2.0
/*
 * Network devices as the kernel's rtnetlink tells them: a monitor with a table of the links of one
 * network namespace, and calls that look at or change one link. It decides nothing: who cares for
 * a link is told of every change. Control thread.
 *
 * The monitor belongs to the namespace in which it was opened. Each netlink_link_*() call opens a
 * socket of its own for its duration, so that it works in whatever namespace the thread is in.
 */
#ifndef EVB_DAEMON_NETLINK_H
#define EVB_DAEMON_NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "types.h"

enum {
	LINK_KIND_SIZE = 16,
	LINK_ALIAS_SIZE = 256, /* IFALIASZ of the kernel */
};

struct link_info {
	int ifindex;
	char name[IFNAMSIZ];
	char kind[LINK_KIND_SIZE]; /* "tun", "veth", ... ; "" for hardware */
	uint32_t flags;		   /* IFF_UP, IFF_RUNNING, IFF_LOWER_UP (linux/if.h) */
	uint32_t mtu;
	uint16_t type;	   /* ARPHRD_ETHER, ... */
	uint8_t operstate; /* IF_OPER_UP, ... (linux/if.h) */
	bool deleted;	   /* in callbacks: the link is gone */
	int master;	   /* ifindex of the bridge or bond it is a member of; 0: none */
	struct mac mac;	   /* zero if it has none of 6 octets */
};

/* True if the link is administratively up and has carrier. */
bool link_is_running(const struct link_info *link);

/* Is all the same of two links, `deleted` left out? */
bool link_equal(const struct link_info *a, const struct link_info *b);

/*
 * A link appeared (`before` is NULL), changed (or the switch in its NIC did), or went
 * (`link->deleted`). A device that moved to another namespace went. Both are valid during the call
 * only.
 */
typedef void netlink_cb(void *aux, const struct link_info *link, const struct link_info *before);

struct netlink;

/*
 * A monitor of the calling thread's network namespace, with all its links in the table; the
 * callback is not called for these. NULL with errno set.
 */
struct netlink *netlink_new(netlink_cb *cb, void *aux);
void netlink_free(struct netlink *nl);

/* Readable when netlink_read() has work. */
int netlink_fd(const struct netlink *nl);

/*
 * Take in what the kernel reported, and call back for every link that differs from the table. If
 * reports were lost (ENOBUFS), all links are read anew and the differences reported. Never blocks
 * for more than a second. 0 or -errno; after an error, call again later.
 */
int netlink_read(struct netlink *nl);

/* From the table; NULL if there is none. Valid until the next netlink_read(). */
const struct link_info *netlink_by_name(const struct netlink *nl, const char *name);
const struct link_info *netlink_by_index(const struct netlink *nl, int ifindex);
const struct link_info *netlink_by_mac(const struct netlink *nl, struct mac mac, const char *kind);

/* Ask the kernel for one link. 0 or -errno (-ENODEV: there is none). */
int netlink_link_get(const char *name, struct link_info *out);
int netlink_link_get_index(int ifindex, struct link_info *out);

/* Frames to the device that it dropped, its queue being full. 0 or -errno. */
int netlink_link_tx_dropped(int ifindex, uint64_t *out);

/* Change one link. 0 or -errno. */
int netlink_link_set_up(int ifindex);
int netlink_link_move(int ifindex, int netns, const char *name); /* to a namespace, as `name` */
int netlink_link_set_mtu(int ifindex, uint32_t mtu);
int netlink_link_set_mac(int ifindex, struct mac mac);

/* The note that `ip link` shows: "" is none, longer than LINK_ALIAS_SIZE - 1 is -EINVAL. */
int netlink_link_set_alias(int ifindex, const char *alias);
int netlink_link_get_alias(int ifindex, char out[LINK_ALIAS_SIZE]);

/*
 * Of a port of a Linux bridge: may frames leave by the port that they came in by (reflective
 * relay)? 0 or -errno; -EOPNOTSUPP: the link is no port of a bridge.
 */
int netlink_link_get_hairpin(int ifindex, bool *is_on);
int netlink_link_set_hairpin(int ifindex, bool is_on);

/*
 * No IPv6 link-local address: the device belongs to a guest, the host must not speak on it. 0 also
 * where there is no IPv6.
 */
int netlink_link_addrgen_none(int ifindex);
int netlink_link_delete(int ifindex);

#endif
