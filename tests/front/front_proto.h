// SPDX-License-Identifier: Apache-2.0
/*
 * The vhost-user protocol as a front-end (VMM) speaks it, after QEMU's docs/interop/vhost-user.rst:
 * messages with descriptors of files out, replies in, and raw octets for those who mean harm.
 * Nothing waits longer than the socket's timeout. Functions return 0 or -errno and leave the reason
 * as text in `error`: -ETIMEDOUT no answer, -ECONNRESET the peer closed, -EPROTO a wrong answer,
 * -EREMOTEIO the peer refused. Not thread-safe.
 */
#ifndef EVB_FRONT_PROTO_H
#define EVB_FRONT_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "front_mem.h"

enum { FRONT_FDS_MAX = 253, FRONT_PAYLOAD_MAX = 4096, FRONT_TIMEOUT_MS = 5000 };

/* Message id, name, and whether the protocol always has a reply to it. */
#define FRONT_REQUESTS(X)                                                                          \
	X(1, GET_FEATURES, 1)                                                                      \
	X(2, SET_FEATURES, 0)                                                                      \
	X(3, SET_OWNER, 0)                                                                         \
	X(4, RESET_OWNER, 0)                                                                       \
	X(5, SET_MEM_TABLE, 0)                                                                     \
	X(6, SET_LOG_BASE, 0)                                                                      \
	X(7, SET_LOG_FD, 0)                                                                        \
	X(8, SET_VRING_NUM, 0)                                                                     \
	X(9, SET_VRING_ADDR, 0)                                                                    \
	X(10, SET_VRING_BASE, 0)                                                                   \
	X(11, GET_VRING_BASE, 1)                                                                   \
	X(12, SET_VRING_KICK, 0)                                                                   \
	X(13, SET_VRING_CALL, 0)                                                                   \
	X(14, SET_VRING_ERR, 0)                                                                    \
	X(15, GET_PROTOCOL_FEATURES, 1)                                                            \
	X(16, SET_PROTOCOL_FEATURES, 0)                                                            \
	X(17, GET_QUEUE_NUM, 1)                                                                    \
	X(18, SET_VRING_ENABLE, 0)                                                                 \
	X(19, SEND_RARP, 0)                                                                        \
	X(20, NET_SET_MTU, 0)                                                                      \
	X(21, SET_BACKEND_REQ_FD, 0)                                                               \
	X(22, IOTLB_MSG, 0)                                                                        \
	X(23, SET_VRING_ENDIAN, 0)                                                                 \
	X(24, GET_CONFIG, 1)                                                                       \
	X(25, SET_CONFIG, 0)                                                                       \
	X(28, POSTCOPY_ADVISE, 1)                                                                  \
	X(29, POSTCOPY_LISTEN, 0)                                                                  \
	X(30, POSTCOPY_END, 1)                                                                     \
	X(31, GET_INFLIGHT_FD, 1)                                                                  \
	X(32, SET_INFLIGHT_FD, 0)                                                                  \
	X(34, RESET_DEVICE, 0)                                                                     \
	X(35, VRING_KICK, 0)                                                                       \
	X(36, GET_MAX_MEM_SLOTS, 1)                                                                \
	X(37, ADD_MEM_REG, 0)                                                                      \
	X(38, REM_MEM_REG, 0)                                                                      \
	X(39, SET_STATUS, 0)                                                                       \
	X(40, GET_STATUS, 1)                                                                       \
	X(41, GET_SHARED_OBJECT, 1)                                                                \
	X(42, SET_DEVICE_STATE_FD, 1)                                                              \
	X(43, CHECK_DEVICE_STATE, 1)                                                               \
	X(44, GET_SHMEM_CONFIG, 1)

enum front_request {
#define X(id, name, reply) FRONT_##name = id,
	FRONT_REQUESTS(X)
#undef X
};

enum { FRONT_VERSION = 1, FRONT_REPLY = 4, FRONT_NEED_REPLY = 8, FRONT_NO_FD = 1 << 8 };

/* Protocol features, as bits. */
enum {
	FRONT_P_MQ = 1 << 0,
	FRONT_P_LOG_SHMFD = 1 << 1,
	FRONT_P_RARP = 1 << 2,
	FRONT_P_REPLY_ACK = 1 << 3,
	FRONT_P_NET_MTU = 1 << 4,
	FRONT_P_BACKEND_REQ = 1 << 5,
	FRONT_P_CONFIG = 1 << 9,
	FRONT_P_INFLIGHT_SHMFD = 1 << 12,
	FRONT_P_RESET_DEVICE = 1 << 13,
	FRONT_P_CONFIGURE_MEM_SLOTS = 1 << 15,
	FRONT_P_STATUS = 1 << 16,
};

struct front_vring_state {
	uint32_t idx, num;
};

struct front_vring_addr {
	uint32_t idx, flags;
	uint64_t desc, used, avail, log; /* front-end addresses; log is a gpa */
};

struct front_mem_range {
	uint64_t gpa, size, uva, offset;
};

struct front_msg {
	uint32_t unused; /* so that the payload follows the header without a gap */
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		struct front_vring_state state;
		struct front_vring_addr addr;
		struct {
			uint32_t n, pad;
			struct front_mem_range range[FRONT_REGIONS_MAX];
		} table;
		struct {
			uint64_t pad;
			struct front_mem_range range;
		} slot;
		struct {
			uint64_t size, offset;
		} log;
		struct {
			uint64_t size, offset;
			uint16_t n_queues, queue_size;
		} __attribute__((packed)) inflight;
		struct {
			uint32_t offset, size, flags;
			uint8_t octets[256];
		} config;
		uint8_t octets[FRONT_PAYLOAD_MAX];
	} u;
	int fds[FRONT_FDS_MAX];
	unsigned n_fds;
};

struct front_sock {
	int fd;		   /* -1: not connected */
	int timeout_ms;	   /* for each answer */
	uint64_t protocol; /* protocol features in force */
	bool ask_reply;	   /* set NEED_REPLY wherever the protocol allows it */
	/* Run again and again instead of sleeping, for a back-end in this thread. */
	void (*step)(void *);
	void *step_arg;
	uint64_t n_sent;
	char error[200];
};

/* Take over a connected socket. */
void front_sock_init_take(struct front_sock *s, int fd);
/* Connect, trying for timeout_ms; or listen and accept one. */
int front_sock_connect(struct front_sock *s, const char *path);
int front_sock_listen(struct front_sock *s, const char *path);
int front_sock_accept(struct front_sock *s, int listener);
void front_sock_close(struct front_sock *s);

/* Note an error as text; returns `err`. */
int front_fail(struct front_sock *s, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Wait for poll events, running `step` meanwhile; 1, 0 on timeout, or -errno. */
int front_wait_fd(struct front_sock *s, int fd, short events, int timeout_ms);

const char *front_request_name(uint32_t request);
/* Id of a name, with any case; 0 if there is none. */
uint32_t front_request_id(const char *name);
/* Does the peer answer this request, with what is negotiated, without being asked? */
bool front_has_reply(const struct front_sock *s, uint32_t request);

/* Octets as they are, with the fds at the first one. The fds stay the caller's. */
int front_send_raw(struct front_sock *s, const void *data, size_t size, const int *fds,
		   unsigned n_fds);
/* A message as it is: header fields are the caller's, also wrong ones. */
int front_send(struct front_sock *s, const struct front_msg *m);
/* One message from the peer; its fds become the caller's. */
int front_recv(struct front_sock *s, struct front_msg *m);
void front_msg_close_fds(struct front_msg *m);

/* Send with version 1, and NEED_REPLY if wanted, then read the reply if there must be one and check
 * it: afterwards `m` is the reply. -EREMOTEIO if the peer says no. */
int front_call(struct front_sock *s, struct front_msg *m);

int front_get_u64(struct front_sock *s, enum front_request request, uint64_t *value);
int front_set_u64(struct front_sock *s, enum front_request request, uint64_t value);
int front_set_empty(struct front_sock *s, enum front_request request);
int front_set_vring(struct front_sock *s, enum front_request request, uint32_t idx, uint32_t num);
/* Stop ring idx and learn where it was. */
int front_get_base(struct front_sock *s, uint32_t idx, uint32_t *base);
int front_set_addr(struct front_sock *s, const struct front_vring_addr *addr);
/* KICK, CALL or ERR of ring idx; fd -1: "no fd". */
int front_set_fd(struct front_sock *s, enum front_request request, uint32_t idx, int fd);
/* A message whose payload is empty and that has one fd, as SET_LOG_FD and SET_BACKEND_REQ_FD. */
int front_send_fd(struct front_sock *s, enum front_request request, int fd);
int front_set_mem_table(struct front_sock *s, const struct front_mem *mem);
int front_add_region(struct front_sock *s, const struct front_region *r);
int front_remove_region(struct front_sock *s, const struct front_region *r);
int front_set_log_base(struct front_sock *s, uint64_t size, uint64_t offset, int fd);
/* Device config space. */
int front_get_config(struct front_sock *s, uint32_t offset, uint32_t size, uint8_t *octets);
/* *fd becomes the caller's. */
int front_get_inflight(struct front_sock *s, uint16_t n_queues, uint16_t queue_size,
		       struct front_mem_range *range, int *fd);

#endif
