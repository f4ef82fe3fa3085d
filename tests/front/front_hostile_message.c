// SPDX-License-Identifier: Apache-2.0
/* Attacks by single messages, and by octets that are none. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front_hostile.h"

enum file {
	NONE,
	EVENT,
	EVENT_FULL,
	PIPE,
	DEV_NULL,
	REGULAR,
	SOCKET,
	MEMFD,
	CLOSED_PIPE,
	DIRECTORY
};

enum { V = FRONT_VERSION, WORDS_MAX = 5, FILE_SIZE = 4096 };

/* A whole message: what is not said is 0, but for the version. */
struct row {
	const char *name, *what;
	uint32_t request, flags, size;
	uint64_t word[WORDS_MAX];
	enum file file;
	unsigned n_files; /* 0: 1, if there is a file at all */
	unsigned repeat;  /* 0: 1 */
};

/* Payload of a vring state. */
#define STATE(idx, num) ((uint64_t)(num) << 32 | (idx))
#define FAR UINT64_C(0x7000000000000000)

static const struct row rows[] = {
	{ "version_0", "a message of version 0", FRONT_SET_OWNER, 0x100 },
	{ "version_3", "a message of version 3", FRONT_SET_OWNER, 3 },
	{ "flag_reply", "a request that says it is a reply", FRONT_SET_OWNER, V | FRONT_REPLY },
	{ "flags_all", "all flags", FRONT_SET_OWNER, 0xfffffffd },
	{ "request_0", "request 0", 0, V },
	{ "request_100", "a request that does not exist", 100, V },
	{ "request_max", "request 4294967295", UINT32_MAX, V },
	{ "request_100_fd", "a request that does not exist, with a file", 100, V, 8, { 0 }, EVENT },
	{ "size_short", "a payload too short", FRONT_SET_VRING_NUM, V, 4 },
	{ "size_none", "no payload where there must be one", FRONT_SET_VRING_ADDR, V, 0 },
	{ "size_long", "a payload too long", FRONT_SET_VRING_NUM, V, 40 },
	{ "size_odd", "an odd payload", FRONT_SET_MEM_TABLE, V, 39, { 1 }, MEMFD },
	{ "num_0", "a ring of 0", FRONT_SET_VRING_NUM, V, 8, { STATE(0, 0) } },
	{ "num_1000", "a ring of 1000", FRONT_SET_VRING_NUM, V, 8, { STATE(0, 1000) } },
	{ "num_65535", "a ring of 65535", FRONT_SET_VRING_NUM, V, 8, { STATE(0, 65535) } },
	{ "num_65536", "a ring of 65536", FRONT_SET_VRING_NUM, V, 8, { STATE(0, 65536) } },
	{ "num_max", "a ring of 4294967295", FRONT_SET_VRING_NUM, V, 8, { STATE(0, UINT32_MAX) } },
	{ "num_larger",
	  "a larger ring while it runs",
	  FRONT_SET_VRING_NUM,
	  V,
	  8,
	  { STATE(1, 32768) } },
	{ "num_smaller",
	  "a smaller ring while it runs",
	  FRONT_SET_VRING_NUM,
	  V,
	  8,
	  { STATE(1, 2) } },
	{ "num_index_255", "NUM of ring 255", FRONT_SET_VRING_NUM, V, 8, { STATE(255, 256) } },
	{ "num_index_max",
	  "NUM of ring 4294967295",
	  FRONT_SET_VRING_NUM,
	  V,
	  8,
	  { STATE(UINT32_MAX, 256) } },
	{ "base_index_255", "BASE of ring 255", FRONT_SET_VRING_BASE, V, 8, { STATE(255, 0) } },
	{ "base_index_max",
	  "BASE of ring 4294967295",
	  FRONT_SET_VRING_BASE,
	  V,
	  8,
	  { STATE(UINT32_MAX, 0) } },
	{ "base_max",
	  "a base of 4294967295",
	  FRONT_SET_VRING_BASE,
	  V,
	  8,
	  { STATE(1, UINT32_MAX) } },
	{ "base_wrong",
	  "a base where nothing is",
	  FRONT_SET_VRING_BASE,
	  V,
	  8,
	  { STATE(1, 0x4321) } },
	{ "get_base_255",
	  "GET_VRING_BASE of ring 255",
	  FRONT_GET_VRING_BASE,
	  V,
	  8,
	  { STATE(255, 0) } },
	{ "get_base_max",
	  "GET_VRING_BASE of ring 4294967295",
	  FRONT_GET_VRING_BASE,
	  V,
	  8,
	  { STATE(UINT32_MAX, 0) } },
	{ "get_base_twice",
	  "GET_VRING_BASE of a ring that is stopped",
	  FRONT_GET_VRING_BASE,
	  V,
	  8,
	  { STATE(0, 0) },
	  .repeat = 3 },
	{ "enable_255", "ENABLE of ring 255", FRONT_SET_VRING_ENABLE, V, 8, { STATE(255, 1) } },
	{ "enable_max",
	  "ENABLE of ring 4294967295",
	  FRONT_SET_VRING_ENABLE,
	  V,
	  8,
	  { STATE(UINT32_MAX, 1) } },
	{ "enable_2", "ENABLE with 2", FRONT_SET_VRING_ENABLE, V, 8, { STATE(0, 2) } },
	{ "addr_255", "ADDR of ring 255", FRONT_SET_VRING_ADDR, V, 40, { 255 } },
	{ "addr_max", "ADDR of ring 4294967295", FRONT_SET_VRING_ADDR, V, 40, { UINT32_MAX } },
	{ "addr_zero", "ring addresses of 0", FRONT_SET_VRING_ADDR, V, 40, { 1 } },
	{ "addr_outside",
	  "ring addresses outside of memory",
	  FRONT_SET_VRING_ADDR,
	  V,
	  40,
	  { 1, FAR, FAR, FAR } },
	{ "addr_wrap",
	  "ring addresses at the end of all addresses",
	  FRONT_SET_VRING_ADDR,
	  V,
	  40,
	  { 1, UINT64_MAX - 15, UINT64_MAX - 3, UINT64_MAX - 1 } },
	{ "kick_255", "KICK of ring 255", FRONT_SET_VRING_KICK, V, 8, { 255 }, EVENT },
	{ "kick_no_file", "KICK that says there is a file", FRONT_SET_VRING_KICK, V, 8, { 0 } },
	{ "kick_no_fd_with_file",
	  "KICK that says there is no file, with one",
	  FRONT_SET_VRING_KICK,
	  V,
	  8,
	  { 0x100 },
	  EVENT },
	{ "kick_two", "KICK with two files", FRONT_SET_VRING_KICK, V, 8, { 1 }, EVENT, 2 },
	{ "kick_pipe", "a full pipe as KICK", FRONT_SET_VRING_KICK, V, 8, { 1 }, PIPE },
	{ "kick_closed_pipe",
	  "a pipe without writer as KICK",
	  FRONT_SET_VRING_KICK,
	  V,
	  8,
	  { 1 },
	  CLOSED_PIPE },
	{ "kick_null", "/dev/null as KICK", FRONT_SET_VRING_KICK, V, 8, { 1 }, DEV_NULL },
	{ "kick_file", "a regular file as KICK", FRONT_SET_VRING_KICK, V, 8, { 1 }, REGULAR },
	{ "kick_socket", "a socket as KICK", FRONT_SET_VRING_KICK, V, 8, { 1 }, SOCKET },
	{ "kick_directory", "a directory as KICK", FRONT_SET_VRING_KICK, V, 8, { 1 }, DIRECTORY },
	{ "kick_storm", "KICK again and again", FRONT_SET_VRING_KICK, V, 8, { 1 }, EVENT, 1, 2000 },
	{ "call_255", "CALL of ring 255", FRONT_SET_VRING_CALL, V, 8, { 255 }, EVENT },
	{ "call_pipe", "a full pipe as CALL", FRONT_SET_VRING_CALL, V, 8, { 0 }, PIPE },
	{ "call_null", "/dev/null as CALL", FRONT_SET_VRING_CALL, V, 8, { 0 }, DEV_NULL },
	{ "call_file", "a regular file as CALL", FRONT_SET_VRING_CALL, V, 8, { 0 }, REGULAR },
	{ "call_socket", "a socket as CALL", FRONT_SET_VRING_CALL, V, 8, { 0 }, SOCKET },
	{ "call_full_rx",
	  "a CALL of the receive ring that blocks, and is full",
	  FRONT_SET_VRING_CALL,
	  V,
	  8,
	  { 0 },
	  EVENT_FULL },
	{ "call_full_tx",
	  "a CALL of the transmit ring that blocks, and is full",
	  FRONT_SET_VRING_CALL,
	  V,
	  8,
	  { 1 },
	  EVENT_FULL },
	{ "call_storm", "CALL again and again", FRONT_SET_VRING_CALL, V, 8, { 0 }, EVENT, 1, 2000 },
	{ "err_pipe", "a full pipe as ERR", FRONT_SET_VRING_ERR, V, 8, { 0 }, PIPE },
	{ "err_255", "ERR of ring 255", FRONT_SET_VRING_ERR, V, 8, { 255 }, EVENT },
	{ "fd_flood",
	  "253 files with a message that has none",
	  FRONT_SET_OWNER,
	  V,
	  0,
	  { 0 },
	  EVENT,
	  253,
	  100 },
	{ "fd_flood_kick", "253 files as KICK", FRONT_SET_VRING_KICK, V, 8, { 1 }, EVENT, 253, 10 },
	{ "message_flood", "20000 messages at once", FRONT_SET_OWNER, V, .repeat = 20000 },
	{ "question_flood", "2000 questions at once", FRONT_GET_QUEUE_NUM, V, .repeat = 2000 },
	{ "log_no_file", "SET_LOG_BASE without file", FRONT_SET_LOG_BASE, V, 16, { FILE_SIZE, 0 } },
	{ "log_size_overflow",
	  "a log whose size and offset go over 64 bits",
	  FRONT_SET_LOG_BASE,
	  V,
	  16,
	  { UINT64_MAX - 4095, 8192 },
	  MEMFD },
	{ "log_offset_overflow",
	  "a log at the highest offset",
	  FRONT_SET_LOG_BASE,
	  V,
	  16,
	  { FILE_SIZE, UINT64_MAX - 4095 },
	  MEMFD },
	{ "log_offset_odd",
	  "a log at an odd offset",
	  FRONT_SET_LOG_BASE,
	  V,
	  16,
	  { 1000, 17 },
	  MEMFD },
	{ "log_beyond_file",
	  "a log larger than its file",
	  FRONT_SET_LOG_BASE,
	  V,
	  16,
	  { FILE_SIZE * 1000, 0 },
	  MEMFD },
	{ "log_zero", "a log of no octets", FRONT_SET_LOG_BASE, V, 16, { 0, 0 }, MEMFD },
	{ "log_pipe", "a full pipe as log", FRONT_SET_LOG_BASE, V, 16, { FILE_SIZE, 0 }, PIPE },
	{ "log_null", "/dev/null as log", FRONT_SET_LOG_BASE, V, 16, { FILE_SIZE, 0 }, DEV_NULL },
	{ "log_fd_many", "SET_LOG_FD with many files", FRONT_SET_LOG_FD, V, 0, { 0 }, EVENT, 8 },
	{ "inflight_huge",
	  "an inflight area for 65535 queues of 65535",
	  FRONT_GET_INFLIGHT_FD,
	  V,
	  20,
	  { 0, 0, 0xffffffff } },
	{ "inflight_zero",
	  "an inflight area for no queue",
	  FRONT_GET_INFLIGHT_FD,
	  V,
	  20,
	  { 0, 0, 0 } },
	{ "inflight_set_no_file",
	  "SET_INFLIGHT_FD without file",
	  FRONT_SET_INFLIGHT_FD,
	  V,
	  20,
	  { FILE_SIZE, 0, STATE(2, 256) } },
	{ "inflight_set_overflow",
	  "an inflight area that goes over 64 bits",
	  FRONT_SET_INFLIGHT_FD,
	  V,
	  20,
	  { UINT64_MAX - 4095, 8192, 256 << 16 | 2 },
	  MEMFD },
	{ "inflight_set_beyond",
	  "an inflight area larger than its file",
	  FRONT_SET_INFLIGHT_FD,
	  V,
	  20,
	  { FILE_SIZE * 1000, 0, 256 << 16 | 2 },
	  MEMFD },
	{ "features_all",
	  "features that were not offered",
	  FRONT_SET_FEATURES,
	  V,
	  8,
	  { UINT64_MAX } },
	{ "features_none", "no features at all", FRONT_SET_FEATURES, V, 8, { 0 } },
	{ "features_other_ring",
	  "another kind of ring while it runs",
	  FRONT_SET_FEATURES,
	  V,
	  8,
	  { FRONT_FEATURES_LEAST | FRONT_BIT(FRONT_F_PACKED) } },
	{ "protocol_all",
	  "protocol features that were not offered",
	  FRONT_SET_PROTOCOL_FEATURES,
	  V,
	  8,
	  { UINT64_MAX } },
	{ "mtu_0", "an MTU of 0", FRONT_NET_SET_MTU, V, 8, { 0 } },
	{ "mtu_max", "the largest MTU", FRONT_NET_SET_MTU, V, 8, { UINT64_MAX } },
	{ "rarp_group",
	  "SEND_RARP from a group address",
	  FRONT_SEND_RARP,
	  V,
	  8,
	  { UINT64_C(0xffffffffffff) } },
	{ "rarp_flood",
	  "10000 SEND_RARP",
	  FRONT_SEND_RARP,
	  V,
	  8,
	  { UINT64_C(0x0a0000005452) },
	  .repeat = 10000 },
	{ "backend_fd_none", "SET_BACKEND_REQ_FD without file", FRONT_SET_BACKEND_REQ_FD, V },
	{ "backend_fd_many",
	  "SET_BACKEND_REQ_FD again and again",
	  FRONT_SET_BACKEND_REQ_FD,
	  V,
	  0,
	  { 0 },
	  SOCKET,
	  1,
	  500 },
	{ "config_huge",
	  "GET_CONFIG beyond all config",
	  FRONT_GET_CONFIG,
	  V,
	  16,
	  { STATE(UINT32_MAX, UINT32_MAX), 0 } },
	{ "config_set",
	  "SET_CONFIG beyond all config",
	  FRONT_SET_CONFIG,
	  V,
	  16,
	  { STATE(0xfffffff0, 0x100), 0 } },
	{ "status_all", "all bits of status", FRONT_SET_STATUS, V, 8, { UINT64_MAX } },
	{ "iotlb", "an IOTLB message nobody negotiated", FRONT_IOTLB_MSG, V, 32, { 0, 4096, 0 } },
	{ "endian", "a change of endianness", FRONT_SET_VRING_ENDIAN, V, 8, { STATE(0, 1) } },
	{ "postcopy", "POSTCOPY_ADVISE nobody negotiated", FRONT_POSTCOPY_ADVISE, V },
	{ "reset_owner", "RESET_OWNER while rings run", FRONT_RESET_OWNER, V },
	{ "reset_device", "RESET_DEVICE while rings run", FRONT_RESET_DEVICE, V },
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

/* Octets that are no message: a header's first words, how much of it is sent, and then. */
static const struct half {
	const char *name, *what;
	uint32_t size; /* as the header says */
	uint32_t n;    /* octets sent */
	bool shut;     /* and no more will come */
} halves[] = {
	{ "half_header", "half a header", 8, 6, false },
	{ "half_payload", "a header and half the payload", 8, 16, false },
	{ "half_header_shut", "half a header, then the end", 8, 6, true },
	{ "half_payload_shut", "half a payload, then the end", 8, 16, true },
	{ "one_octet", "one octet", 8, 1, false },
	{ "size_max", "a payload of 4 GiB", UINT32_MAX, 64, false },
	{ "size_4097", "a payload of 4097 octets", 4097, 64, false },
	{ "size_64k", "a payload of 64 KiB", 65536, 64, false },
	{ "size_negative", "a payload of -1 as 31 bits", 0x7fffffff, 64, false },
};

enum { N_HALVES = sizeof(halves) / sizeof(halves[0]) };

/* A pipe that is full, so that who writes waits for ever, with both ends in one fd. */
static int full_pipe(void)
{
	static const char octets[4096];
	char path[32];
	int fd[2], both;

	if (pipe2(fd, O_CLOEXEC))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd[0]);
	both = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	close(fd[0]);
	close(fd[1]);
	while (both >= 0 && write(both, octets, sizeof(octets)) > 0)
		;
	if (both >= 0)
		fcntl(both, F_SETFL, 0);
	return both;
}

/* The reading end of a pipe that nobody writes to any more. */
static int closed_pipe(void)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		return -1;
	close(fd[1]);
	return fd[0];
}

static int socket_end(void)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		return -1;
	close(fd[1]);
	return fd[0];
}

static int file_open(enum file file)
{
	uint64_t full = UINT64_MAX - 1;
	int fd = -1;

	switch (file) {
	case NONE:
		break;
	case EVENT:
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	case EVENT_FULL: /* blocking, and one more does not fit */
		fd = eventfd(0, EFD_CLOEXEC);
		if (fd >= 0 && write(fd, &full, sizeof(full)) != sizeof(full))
			return -1;
		return fd;
	case PIPE:
		return full_pipe();
	case CLOSED_PIPE:
		return closed_pipe();
	case DEV_NULL:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case REGULAR:
		return open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	case DIRECTORY:
		return open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case SOCKET:
		return socket_end();
	case MEMFD:
		fd = memfd_create("hostile", MFD_CLOEXEC);
		if (fd >= 0 && ftruncate(fd, FILE_SIZE))
			return -1;
		return fd;
	}
	return fd;
}

/* An answer is wanted where the protocol has one for the asking, but not for floods. */
static uint32_t flags_of(const struct front_dev *d, const struct row *row)
{
	bool ask = row->flags == V && row->repeat <= 1 && (d->protocol & FRONT_P_REPLY_ACK) &&
		   !front_has_reply(&d->sock, row->request);

	return row->flags | (ask ? FRONT_NEED_REPLY : 0);
}

static int send_row(struct front_dev *d, const struct row *row)
{
	struct front_msg m = { .request = row->request, .size = row->size };
	unsigned n = row->n_files ? row->n_files : 1, timeout = (unsigned)d->sock.timeout_ms;
	int fd = file_open(row->file), err = 0;

	m.flags = flags_of(d, row);
	memcpy(m.u.octets, row->word, sizeof(row->word));
	if (fd >= 0)
		for (; m.n_fds < n; m.n_fds++)
			m.fds[m.n_fds] = fd;
	if (timeout > 1000)
		d->sock.timeout_ms = 1000;
	for (unsigned i = 0; !err && i < (row->repeat ? row->repeat : 1); i++) {
		err = front_send(&d->sock, &m);
		if (d->sock.step)
			d->sock.step(d->sock.step_arg);
	}
	d->sock.timeout_ms = (int)timeout;
	if (fd >= 0)
		close(fd);
	/* A flood that the back-end does not read any more has had its effect. */
	return err == -ETIMEDOUT && row->repeat > 1 ? 0 : err;
}

static int send_half(struct front_dev *d, const struct half *h)
{
	uint32_t words[16] = { FRONT_SET_VRING_NUM, V, h->size };
	int err = front_send_raw(&d->sock, words, h->n, NULL, 0);

	if (!err && h->shut)
		shutdown(d->sock.fd, SHUT_WR);
	return err;
}

int front_attack_message(struct front_dev *d, const char *name, struct front_attack_result *result)
{
	for (unsigned i = 0; i < N_ROWS; i++)
		if (!strcmp(rows[i].name, name)) {
			result->what = rows[i].what;
			return send_row(d, &rows[i]);
		}
	for (unsigned i = 0; i < N_HALVES; i++)
		if (!strcmp(halves[i].name, name)) {
			result->what = halves[i].what;
			return send_half(d, &halves[i]);
		}
	return -ENOENT;
}

const char *front_attack_message_name(unsigned i, const char **what)
{
	if (i < N_ROWS) {
		*what = rows[i].what;
		return rows[i].name;
	}
	i -= N_ROWS;
	if (i >= N_HALVES)
		return NULL;
	*what = halves[i].what;
	return halves[i].name;
}
