// SPDX-License-Identifier: Apache-2.0
/*
 * What is beneath a network device: its driver, its virtual functions (SR-IOV), the switch in the
 * NIC that connects these with the wire, and an XDP program. Each call asks the kernel, in the
 * namespace that the thread is in. Control thread.
 */
#ifndef EVB_DAEMON_NIC_H
#define EVB_DAEMON_NIC_H

#include <libmnl/libmnl.h>
#include <stdint.h>

#include "netlink_message.h"

/* Does the NIC's own switch send a frame for one of its functions there, or to the wire? */
enum nic_hwmode { NIC_NO_SWITCH, NIC_VEB, NIC_VEPA };

struct nic {
	uint8_t hwmode;	   /* enum nic_hwmode */
	uint8_t xdp_mode;  /* XDP_ATTACHED_* (linux/if_link.h) */
	uint32_t xdp_prog; /* id of the program; 0: none, or several */
	uint32_t n_vfs;
	char driver[32]; /* "": unknown */
};

/* Ask for all of it; what the kernel does not tell is 0. */
void nic_get(const struct link_info *link, struct nic *out);

/* Of its switch only. */
enum nic_hwmode nic_get_hwmode(int ifindex);

/* `mode` is NIC_VEB or NIC_VEPA. 0 or -errno; -EOPNOTSUPP: it has no such switch. */
int nic_set_hwmode(int ifindex, enum nic_hwmode mode);

/*
 * Have the device leave VLAN tags in the octets of frames, for good: the host does without that
 * offload. 0 or -errno.
 */
int nic_leave_tags(const char *name);

/* The request that nic_set_hwmode() sends, in `buf`. */
struct nlmsghdr *nic_hwmode_request(char buf[NETLINK_REQUEST_SIZE], int ifindex,
				    enum nic_hwmode mode);

/* What a report of family AF_BRIDGE says of the switch of a NIC. */
enum nic_hwmode nic_parse_hwmode(const struct nlmsghdr *nlh);

/* What a report on a link says of virtual functions and XDP is put into `out`. */
int nic_parse(const struct nlmsghdr *nlh, void *out);

/* "veb", "vepa"; NULL without a switch. */
const char *nic_hwmode_name(enum nic_hwmode mode);

#endif
