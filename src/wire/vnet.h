// SPDX-License-Identifier: Apache-2.0
/*
 * The offload header that travels with a frame: struct virtio_net_hdr of the kernel and of VIRTIO
 * 1.2 (5.1.6), little endian, which is host order on every machine we build for. A frame whose
 * header is all zero has nothing offloaded.
 */
#ifndef EVB_WIRE_VNET_H
#define EVB_WIRE_VNET_H

#include <stdint.h>

enum {
	VNET_F_NEEDS_CSUM = 1, /* csum_start, csum_offset: the checksum is still to be completed */
	VNET_F_DATA_VALID = 2, /* checksum was verified by the sender's side */
};

enum {
	VNET_GSO_NONE = 0,
	VNET_GSO_TCPV4 = 1,
	VNET_GSO_TCPV6 = 4,
	VNET_GSO_UDP_L4 = 5, /* USO: many datagrams of gso_size, v4 or v6 */
	VNET_GSO_ECN = 0x80, /* flag beside TCPV4/6: CWR only in the first segment */
};

struct vnet_hdr {
	uint8_t flags;	      /* VNET_F_* */
	uint8_t gso_type;     /* VNET_GSO_* */
	uint16_t hdr_len;     /* octets of all headers; a hint, never trusted */
	uint16_t gso_size;    /* payload octets per segment */
	uint16_t csum_start;  /* octet of the frame where the checksum starts */
	uint16_t csum_offset; /* from csum_start to the checksum field */
};

/* What a receiver takes without software help; a frame that needs more is completed first. */
enum {
	OFFLOAD_CSUM = 1,
	OFFLOAD_TSO4 = 2,
	OFFLOAD_TSO6 = 4,
	OFFLOAD_ECN = 8,
	OFFLOAD_USO = 16,
	OFFLOAD_ALL = 31,
};

_Static_assert(sizeof(struct vnet_hdr) == 10, "virtio_net_hdr is 10 octets");

#endif
