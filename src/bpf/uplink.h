// SPDX-License-Identifier: Apache-2.0
/*
 * The XDP program of an uplink: which frames of a device go to evbd's AF_XDP sockets, and which to
 * the host. It hangs on a link, that is on a descriptor of this process, so that it goes when
 * evbd goes, whatever way; but if others have programs on the device by the dispatcher of libxdp
 * (as xdp-loader attaches them), it is one of these, and somebody has to remove it if evbd is
 * killed (daemon/guard.h). Control thread only.
 */
#ifndef EVB_BPF_UPLINK_H
#define EVB_BPF_UPLINK_H

#include <stdbool.h>

#include "err.h"
#include "types.h"
#include "uplink_map.h"

/* By the start of their names programs of evbd are known on a device. */
#define UPLINK_PROGRAM "evb_uplink"

/* After programs that ask for no place (50): a filter comes first, and what it passes is ours. */
#define UPLINK_PRIORITY 100

struct uplink_bpf;

/*
 * Load the program and attach it to a device of the thread's network namespace: in the driver, or,
 * if the driver cannot, in the stack, where it is slower (`native_only`: refuse that). Frames go
 * to the host for now. 0, or -errno with `e` set; -EBUSY: there is a program of somebody else,
 * which leaves no room for ours.
 */
int uplink_bpf_attach(struct uplink_bpf **out, int ifindex, const char *dev, bool native_only,
		      struct err *e);

/* Are there programs by the dispatcher of libxdp, beside which it would be? */
bool uplink_bpf_is_dispatched(int ifindex);

/* Detach it. NULL is legal. */
void uplink_bpf_free(struct uplink_bpf *u);

/* Does it run in the driver? */
bool uplink_bpf_is_native(const struct uplink_bpf *u);

/* Does it put tags back that the device took out of the octets? Else they are lost. */
bool uplink_bpf_sees_tags(const struct uplink_bpf *u);

/* The AF_XDP socket of a queue. 0 or -errno. */
int uplink_bpf_set_socket(struct uplink_bpf *u, unsigned queue, int fd);

/* Is the address a guest's, or no more? 0 or -errno. */
int uplink_bpf_own(struct uplink_bpf *u, struct mac mac, bool is_owned);

/* Do guests get every unicast frame? */
void uplink_bpf_take_all(struct uplink_bpf *u, bool all);

/*
 * Detach what an evbd that was killed left on the device: its programs are known by their name.
 * How many there were, or -errno.
 */
int uplink_bpf_remove_stale(int ifindex);

#endif
