// SPDX-License-Identifier: Apache-2.0
/* What the program of an uplink and evbd both know of its maps. */
#ifndef EVB_BPF_UPLINK_MAP_H
#define EVB_BPF_UPLINK_MAP_H

enum {
	UPLINK_QUEUES_MAX = 64,
	UPLINK_MACS_MAX = 1 << 16,
};

/* A key without padding, which the verifier would have us clear. */
struct uplink_mac {
	unsigned char b[6];
	unsigned char zero[2];
};

#endif
