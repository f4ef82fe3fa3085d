// SPDX-License-Identifier: Apache-2.0
/*
 * The XDP program of an uplink: which frames of a device go to evbd and which to the host.
 * Control thread only.
 */
#ifndef EVB_BPF_UPLINK_H
#define EVB_BPF_UPLINK_H

/* By this name programs of evbd are known on a device. */
#define UPLINK_PROGRAM "evb_uplink"

struct uplink_bpf;

/* Load the program; freed by uplink_bpf_free(). 0, or -errno. */
int uplink_bpf_load(struct uplink_bpf **out);
void uplink_bpf_free(struct uplink_bpf *u);

/*
 * Detach what an evbd that was killed left on the device: its programs are known by their name.
 * How many there were, or -errno.
 */
int uplink_bpf_remove_stale(int ifindex);

#endif
