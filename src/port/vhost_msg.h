// SPDX-License-Identifier: Apache-2.0
/*
 * The vhost-user protocol on the wire (QEMU docs/interop/vhost-user.rst): requests, payloads,
 * feature bits. Native byte order. Private to vhost_*.c.
 */
#ifndef EVB_PORT_VHOST_MSG_H
#define EVB_PORT_VHOST_MSG_H

#include <stdint.h>

/* Requests of the front-end that a network device has use for. */
enum vhost_request {
	VHOST_GET_FEATURES = 1,
	VHOST_SET_FEATURES = 2,
	VHOST_SET_OWNER = 3,
	VHOST_RESET_OWNER = 4,
	VHOST_SET_MEM_TABLE = 5,
	VHOST_SET_LOG_BASE = 6,
	VHOST_SET_LOG_FD = 7,
	VHOST_SET_VRING_NUM = 8,
	VHOST_SET_VRING_ADDR = 9,
	VHOST_SET_VRING_BASE = 10,
	VHOST_GET_VRING_BASE = 11,
	VHOST_SET_VRING_KICK = 12,
	VHOST_SET_VRING_CALL = 13,
	VHOST_SET_VRING_ERR = 14,
	VHOST_GET_PROTOCOL_FEATURES = 15,
	VHOST_SET_PROTOCOL_FEATURES = 16,
	VHOST_GET_QUEUE_NUM = 17,
	VHOST_SET_VRING_ENABLE = 18,
	VHOST_SEND_RARP = 19,
	VHOST_NET_SET_MTU = 20,
	VHOST_GET_CONFIG = 24,
	VHOST_SET_CONFIG = 25,
	VHOST_GET_INFLIGHT_FD = 31,
	VHOST_SET_INFLIGHT_FD = 32,
	VHOST_RESET_DEVICE = 34,
	VHOST_GET_MAX_MEM_SLOTS = 36,
	VHOST_ADD_MEM_REG = 37,
	VHOST_REM_MEM_REG = 38,
	VHOST_SET_STATUS = 39,
	VHOST_GET_STATUS = 40,
	VHOST_REQUESTS_N
};

/* Flags of the header. */
enum {
	VHOST_VERSION = 1,
	VHOST_VERSION_MASK = 3,
	VHOST_REPLY = 4,
	VHOST_NEED_REPLY = 8,
};

/* Bits of the features; names are in vhost_names.c. */
enum {
	VIRTIO_NET_F_CSUM = 0,
	VIRTIO_NET_F_GUEST_CSUM = 1,
	VIRTIO_NET_F_MTU = 3,
	VIRTIO_NET_F_MAC = 5,
	VIRTIO_NET_F_GSO = 6, /* of before VIRTIO 1.0: all of HOST_TSO4, 6 and ECN */
	VIRTIO_NET_F_GUEST_TSO4 = 7,
	VIRTIO_NET_F_GUEST_TSO6 = 8,
	VIRTIO_NET_F_GUEST_ECN = 9,
	VIRTIO_NET_F_HOST_TSO4 = 11,
	VIRTIO_NET_F_HOST_TSO6 = 12,
	VIRTIO_NET_F_HOST_ECN = 13,
	VIRTIO_NET_F_MRG_RXBUF = 15,
	VIRTIO_NET_F_STATUS = 16,
	VIRTIO_NET_F_CTRL_VQ = 17,
	VIRTIO_NET_F_GUEST_ANNOUNCE = 21,
	VIRTIO_NET_F_MQ = 22,
	VHOST_F_LOG_ALL = 26,
	VIRTIO_F_ANY_LAYOUT = 27,
	VIRTIO_F_INDIRECT_DESC = 28,
	VIRTIO_F_EVENT_IDX = 29,
	VHOST_F_PROTOCOL_FEATURES = 30,
	VIRTIO_F_VERSION_1 = 32,
	VIRTIO_F_IOMMU_PLATFORM = 33,
	VIRTIO_F_RING_PACKED = 34,
	VIRTIO_F_IN_ORDER = 35,
	VIRTIO_NET_F_GUEST_USO4 = 54,
	VIRTIO_NET_F_GUEST_USO6 = 55,
	VIRTIO_NET_F_HOST_USO = 56,
};

enum {
	VHOST_P_MQ = 0,
	VHOST_P_LOG_SHMFD = 1,
	VHOST_P_RARP = 2,
	VHOST_P_REPLY_ACK = 3,
	VHOST_P_NET_MTU = 4,
	VHOST_P_CONFIG = 9,
	VHOST_P_INFLIGHT_SHMFD = 12,
	VHOST_P_RESET_DEVICE = 13,
	VHOST_P_CONFIGURE_MEM_SLOTS = 15,
	VHOST_P_STATUS = 16,
};

#define VHOST_BIT(n) (UINT64_C(1) << (n))

enum {
	VHOST_TABLE_MAX = 8,	/* regions of SET_MEM_TABLE */
	VHOST_FDS_MAX = 8,	/* descriptors of a message */
	VHOST_CONFIG_MAX = 256, /* octets of GET_CONFIG */
	VHOST_QUEUE_NUM = 128,	/* answer to GET_QUEUE_NUM: some ask for pairs, some for rings */
	VHOST_NO_FD = 1 << 8,	/* in KICK, CALL, ERR: none is given */
	VHOST_VRING_F_LOG = 1 << 0, /* SET_VRING_ADDR: log writes of the used ring */
};

struct vhost_header {
	uint32_t request, flags, size;
};

struct vhost_region {
	uint64_t gpa, size, uva, offset;
};

struct vhost_mem_table {
	uint32_t n, padding;
	struct vhost_region region[VHOST_TABLE_MAX];
};

struct vhost_mem_reg {
	uint64_t padding;
	struct vhost_region region;
};

struct vhost_log_base {
	uint64_t size, offset;
};

struct vhost_vring_state {
	uint32_t idx, num;
};

struct vhost_vring_addr {
	uint32_t idx, flags;
	uint64_t desc, used, avail, log; /* the front-end's addresses; log: guest-physical */
};

struct vhost_config {
	uint32_t offset, size, flags;
	uint8_t octets[VHOST_CONFIG_MAX];
};

struct vhost_inflight {
	uint64_t size, offset;
	uint16_t n_queues, queue_size;
	uint32_t padding;
};

union vhost_payload {
	uint64_t u64;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct vhost_mem_table table;
	struct vhost_mem_reg reg;
	struct vhost_log_base log;
	struct vhost_config config;
	struct vhost_inflight inflight;
};

/* VIRTIO 1.2, 5.1.4: struct virtio_net_config, as far as we know something to say. */
struct vhost_net_config {
	uint8_t mac[6];
	uint16_t status, max_pairs, mtu;
};

/* Inflight region of a split ring: vhost-user.rst, "Inflight I/O tracking". */
struct vhost_inflight_split {
	uint64_t features;
	uint16_t version, desc_num, last_batch_head, used_idx;
	/* then 16 octets a descriptor */
};

#endif
