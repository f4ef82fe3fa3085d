/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs of a host port (host.bpf.c) share with evbd (host.c): plain C, for both.
 */
#ifndef EVB_BPF_HOST_MAP_H
#define EVB_BPF_HOST_MAP_H

#include <linux/types.h>

enum {
	/*
	 * The mark of frames on their way between the programs and evbd. Each program takes it off
	 * again, so that netfilter and routing of the host never see it.
	 */
	HOST_MARK = 0x65766264,
	HOST_VID_ANY = 0,	/* in a key: all VLANs of a trunk */
	HOST_VID_HOST = 0xffff, /* in a key: the address is the host's */
	HOST_KEYS_MAX = 1 << 16,
};

/* An address that a bridge-mode station owns in a VLAN, or one of the host's. */
struct host_key {
	__u8 mac[6];
	__u16 vid;
};

struct host_settings {
	__u32 device, tap; /* ifindex */
	__u16 native;	   /* VLAN of untagged frames; 0: they are of no concern */
	__u8 is_bridge;	   /* the host's frames are looked at */
	__u8 any_source;   /* and not only those of its own addresses */
	__u8 has_stations; /* group frames are copied */
	__u8 unused[3];
	__u64 vlans[64]; /* of the host port, one bit each */
};

#endif
