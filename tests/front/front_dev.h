// SPDX-License-Identifier: Apache-2.0
/*
 * A whole virtio-net device as VMM and guest driver together see it: connects to a back-end,
 * negotiates, sets up queue pairs in the order of a VMM that is named, sends and receives frames,
 * stops, resumes, reconnects and resets. Functions return 0 or -errno (as front_proto.h) and leave
 * the reason in `error`. Nothing waits longer than its timeout. With `sock.step` set a back-end can
 * run in the same thread. Not thread-safe.
 */
#ifndef EVB_FRONT_DEV_H
#define EVB_FRONT_DEV_H

#include <stdbool.h>
#include <stdint.h>

#include "front_mem.h"
#include "front_proto.h"
#include "front_ring.h"

enum { FRONT_PAIRS_MAX = 128, FRONT_PIECES_MAX = 1024, FRONT_CUTS_MAX = 16, FRONT_GUARD = 64 };

/* Virtio feature bits, by number. */
enum {
	FRONT_F_CSUM = 0,
	FRONT_F_GUEST_CSUM = 1,
	FRONT_F_MTU = 3,
	FRONT_F_MAC = 5,
	FRONT_F_GUEST_TSO4 = 7,
	FRONT_F_GUEST_TSO6 = 8,
	FRONT_F_GUEST_ECN = 9,
	FRONT_F_GUEST_UFO = 10,
	FRONT_F_HOST_TSO4 = 11,
	FRONT_F_HOST_TSO6 = 12,
	FRONT_F_HOST_ECN = 13,
	FRONT_F_HOST_UFO = 14,
	FRONT_F_MRG_RXBUF = 15,
	FRONT_F_STATUS = 16,
	FRONT_F_CTRL_VQ = 17,
	FRONT_F_GUEST_ANNOUNCE = 21,
	FRONT_F_MQ = 22,
	FRONT_F_LOG_ALL = 26,
	FRONT_F_ANY_LAYOUT = 27,
	FRONT_F_INDIRECT = 28,
	FRONT_F_EVENT_IDX = 29,
	FRONT_F_PROTOCOL = 30,
	FRONT_F_VERSION_1 = 32,
	FRONT_F_PACKED = 34,
	FRONT_F_IN_ORDER = 35,
};

#define FRONT_BIT(feature) (UINT64_C(1) << (feature))
#define FRONT_FEATURES_LEAST                                                                       \
	(FRONT_BIT(FRONT_F_VERSION_1) | FRONT_BIT(FRONT_F_PROTOCOL) | FRONT_BIT(FRONT_F_ANY_LAYOUT))
#define FRONT_FEATURES_OFFLOAD                                                                     \
	(FRONT_BIT(FRONT_F_CSUM) | FRONT_BIT(FRONT_F_GUEST_CSUM) | FRONT_BIT(FRONT_F_GUEST_TSO4) | \
	 FRONT_BIT(FRONT_F_GUEST_TSO6) | FRONT_BIT(FRONT_F_GUEST_ECN) |                            \
	 FRONT_BIT(FRONT_F_HOST_TSO4) | FRONT_BIT(FRONT_F_HOST_TSO6) |                             \
	 FRONT_BIT(FRONT_F_HOST_ECN))
#define FRONT_PROTOCOL_USUAL                                                                       \
	(FRONT_P_MQ | FRONT_P_RARP | FRONT_P_REPLY_ACK | FRONT_P_NET_MTU | FRONT_P_LOG_SHMFD |     \
	 FRONT_P_STATUS | FRONT_P_RESET_DEVICE)

/*
 * Orders of setting up, as steps of letters. A step is run for each ring in turn.
 *   device: f SET_FEATURES, m memory, s DRIVER_OK (only if STATUS was negotiated)
 *   ring:   n NUM, b BASE, a ADDR, k KICK, c CALL, x CALL with an eventfd nobody listens to
 *           (masked), r ERR, e ENABLE
 */
#define FRONT_ORDER_QEMU "x,e,f,m,nbak,s,c"
#define FRONT_ORDER_CLOUD_HYPERVISOR "f,m,nabck,e,s"
#define FRONT_ORDER_CROSVM "f,m,nabcke,s"
#define FRONT_ORDER_VIRTIO_USER "x,f,m,nback,e,s"

/* The header before each frame, virtio 1.2, 5.1.6. */
struct front_hdr {
	uint8_t flags;	  /* 1 needs checksum, 2 data valid */
	uint8_t gso_type; /* 1 TCPv4, 3 UDP, 4 TCPv6, 5 UDP_L4; 0x80 ECN */
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
	uint16_t num_buffers; /* absent in the header of 10 octets */
};

/* How a buffer is cut into descriptors: cut[0] octets, cut[1] octets, …, then the rest. */
struct front_layout {
	uint32_t cut[FRONT_CUTS_MAX];
	unsigned n_cuts;  /* 0: one descriptor with header and frame together */
	bool repeat_last; /* cut[n_cuts - 1] until all is cut */
	bool straddle;	  /* across where regions `seam` and `seam`+1 touch, at half its size */
	unsigned seam;
	enum front_how how;
};

struct front_dev_config {
	struct front_mem_config mem;
	struct front_layout rx_layout;
	unsigned n_pairs;	   /* 0: 1 */
	unsigned rx_size, tx_size; /* of the rings; 0: 256 */
	uint32_t rx_buf;	   /* octets, header included; 0: 2048, or 68 KiB for offloads
				      * without mergeable buffers */
	uint64_t features;	   /* wanted; 0: FRONT_FEATURES_LEAST */
	uint64_t protocol;	   /* wanted; 0: FRONT_PROTOCOL_USUAL */
	const char *order;	   /* NULL: FRONT_ORDER_QEMU */
	bool strict;		   /* fail if a wanted feature is not offered */
	bool need_reply;	   /* ask for an acknowledgement wherever possible */
	bool add_regions;	   /* ADD_MEM_REG for each region, no SET_MEM_TABLE */
	bool no_call, no_kick;	   /* rings with "no fd": both sides poll */
	bool id_last, tight;	   /* see front_ring_config */
};

struct front_pool { /* buffers that are not in a ring */
	uint64_t *gpa;
	unsigned n, room;
};

struct front_pair {
	struct front_ring rx, tx;
	struct front_pool small, large; /* transmit */
	struct front_pool received;	/* to be made available again */
	uint64_t rx_frames, tx_frames, rx_octets, tx_octets;
	uint32_t base[2]; /* for SET_VRING_BASE */
	bool straddled;	  /* the buffer across the seam is out */
};

struct front_dev {
	struct front_dev_config c;
	struct front_sock sock;
	struct front_mem mem;
	struct front_pair *pair; /* c.n_pairs of them, once set up */
	uint64_t offered, features;
	uint64_t protocol_offered, protocol;
	uint64_t queue_num, mem_slots; /* 0: not asked */
	uint32_t header_size;	       /* 10 or 12 */
	int masked;		       /* eventfd nobody listens to */
	int listener;		       /* -1: none */
	char path[108];
	uint8_t *log; /* dirty log, mapped; NULL: none */
	uint64_t log_size;
	int log_fd;
	uint64_t n_lost_calls;	/* used buffers that no interrupt told of */
	uint64_t n_num_buffers; /* headers with num_buffers 0, or not 1 though not mergeable */
	char error[256];
};

struct front_tx {
	struct front_hdr hdr;
	const void *data;
	uint32_t size;
	const struct front_layout *layout; /* NULL: all in one descriptor */
};

struct front_frame {
	struct front_hdr hdr;
	uint8_t *data; /* the caller's, `room` octets */
	uint32_t room, size;
	unsigned n_buffers; /* used for it */
};

void front_dev_init(struct front_dev *d, const struct front_dev_config *c);
/* Another configuration, connected or not, as long as memory and rings are not made. */
void front_dev_configure(struct front_dev *d, const struct front_dev_config *c);
/* Close all; legal in any state after init. */
void front_dev_close(struct front_dev *d);

/* One of three ways to get a back-end: connect to it, listen and wait for it, or have it. */
int front_dev_connect(struct front_dev *d, const char *path);
int front_dev_listen(struct front_dev *d, const char *path);
int front_dev_accept(struct front_dev *d);
void front_dev_attach_take(struct front_dev *d, int fd);

/* Features, protocol features, queue number, owner. */
int front_dev_negotiate(struct front_dev *d);
/* Memory and rings, once; receive buffers; then all messages in the order configured. */
int front_dev_setup(struct front_dev *d);
/* Only memory and rings, without telling the back-end. */
int front_dev_make(struct front_dev *d);
/* Run steps of an order, e.g. "nbak". */
int front_dev_steps(struct front_dev *d, const char *steps);
/* One letter for ring `idx` (2i receives, 2i+1 transmits). */
int front_dev_step(struct front_dev *d, char letter, unsigned idx);
int front_dev_start(struct front_dev *d); /* negotiate and set up */

/* Ring of an index as on the wire; NULL if there is none. */
struct front_ring *front_dev_ring(struct front_dev *d, unsigned idx);
int front_dev_enable(struct front_dev *d, unsigned idx, bool on);

/* Disable and GET_VRING_BASE all rings; the answers are checked against the rings, and kept. */
int front_dev_stop(struct front_dev *d);

enum front_resume {
	FRONT_FROM_BASE,  /* where GET_VRING_BASE said */
	FRONT_FROM_USED,  /* QEMU after it lost the back-end: all that is not used again */
	FRONT_FROM_AVAIL, /* what was out is lost */
	FRONT_FROM_ZERO,  /* the guest began anew: rings are cleared */
};

/* Run the configured order again. */
int front_dev_resume(struct front_dev *d, enum front_resume from);
/* Drop the connection, get a new one the same way, negotiate the same features, and resume. */
int front_dev_reconnect(struct front_dev *d, enum front_resume from);

/* Add a frame to transmit queue `pair`; waits up to timeout_ms for room. */
int front_dev_queue(struct front_dev *d, unsigned pair, const struct front_tx *tx, int timeout_ms);
/* Publish what was added, and kick. */
void front_dev_flush(struct front_dev *d, unsigned pair);
/* Both. */
int front_dev_send(struct front_dev *d, unsigned pair, const struct front_tx *tx, int timeout_ms);
/* Take back transmit buffers that are used; how many, or -EPROTO. */
int front_dev_reap(struct front_dev *d, unsigned pair);
/* Wait until all of them are. */
int front_dev_drain(struct front_dev *d, unsigned pair, int timeout_ms);

/* Receive one frame and give the buffers back to the device: 1, 0 on timeout, or -errno. */
int front_dev_recv(struct front_dev *d, unsigned pair, struct front_frame *f, int timeout_ms);
/* The same without waiting and without giving back, as a guest that is slow. */
int front_dev_recv_keep(struct front_dev *d, unsigned pair, struct front_frame *f);
/* Give all receive buffers to the device that there are. */
int front_dev_refill(struct front_dev *d, unsigned pair);
/* Take all buffers out of the rings, which are cleared: only while the device does not run. */
void front_dev_clear(struct front_dev *d);

/* Dirty log: start, stop, is any page of [gpa, gpa+size) dirty, number of dirty pages, forget. */
int front_dev_log_start(struct front_dev *d);
int front_dev_log_stop(struct front_dev *d);
bool front_dev_log_dirty(const struct front_dev *d, uint64_t gpa, uint64_t size);
uint64_t front_dev_log_count(const struct front_dev *d);
void front_dev_log_clear(struct front_dev *d);

/* Pieces of a buffer by a layout; how many, at most FRONT_PIECES_MAX. */
unsigned front_cut(const struct front_layout *l, uint64_t gpa, uint32_t size,
		   struct front_piece *piece);

#endif
