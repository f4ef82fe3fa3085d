// SPDX-License-Identifier: Apache-2.0
/*
 * What libvirt and lldpad say to each other by netlink about <virtualport type='802.1Qbg'>: the
 * attributes of rtnetlink for ports of virtual functions, from one process to another. Octets to
 * struct and back; integers in host order, the VSI type with the least octet first. Pure.
 *
 *   RTM_SETLINK  associate, de-associate        answered by NLMSG_ERROR at once
 *   RTM_GETLINK  what has become of it?         answered by NLMSG_DONE with all VSIs of the device
 *   RTM_SETLINK  towards libvirt: the bridge has ended one
 */
#ifndef EVB_DAEMON_VIRTPORT_MESSAGE_H
#define EVB_DAEMON_VIRTPORT_MESSAGE_H

#include <libmnl/libmnl.h>
#include <net/if.h>

#include "types.h"

enum {
	VIRTPORT_MESSAGE_MAX = 8192,
	VIRTPORT_PENDING = -1,	/* no response yet */
	VIRTPORT_ERROR = 0x105, /* PORT_PROFILE_RESPONSE_ERROR: no answer of the bridge */
};

/* One association as libvirt names it. */
struct virtport {
	char dev[IFNAMSIZ]; /* "": not named */
	int ifindex;
	struct mac mac;
	vid_t vlan; /* 0: the bridge is to choose */
	bool has_mac;
	uint8_t manager, version;
	uint32_t type_id; /* 24 bits */
	uint8_t instance[16];
	uint8_t request; /* PORT_REQUEST_* (linux/if_link.h) */
};

/* Is it what libvirt may say, whoever wrote it? */
bool virtport_is_valid(const struct virtport *v);

/*
 * Of messages whose octets can be read up to the next multiple of four, as libmnl does.
 *
 * An RTM_SETLINK. 0 or -EINVAL: not what libvirt sends for 802.1Qbg, or malformed.
 */
int virtport_parse(const struct nlmsghdr *nlh, struct virtport *out);

/* The device that an RTM_GETLINK asks for; 0 if it is malformed. */
int virtport_parse_get(const struct nlmsghdr *nlh);

/* The answers, in `buf`, which has VIRTPORT_MESSAGE_MAX octets. `to`: the request. */
struct nlmsghdr *virtport_error(void *buf, const struct nlmsghdr *to, int error);
struct nlmsghdr *virtport_get_begin(void *buf, const struct nlmsghdr *to);
/* False if there is no more room. `response`: VIRTPORT_PENDING or what libvirt is to be told. */
bool virtport_get_add(struct nlmsghdr *nlh, const uint8_t instance[16], int response);
void virtport_get_end(struct nlmsghdr *nlh);

/* To libvirt: it is over. `from`: port ID of the sender; `seq`: that of the request once. */
struct nlmsghdr *virtport_ended(void *buf, const struct virtport *v, uint32_t from, uint32_t seq);

#endif
