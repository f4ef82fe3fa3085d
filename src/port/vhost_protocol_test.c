// SPDX-License-Identifier: Apache-2.0
/*
 * Messages of a front-end, right and wrong, whole and by half: what is answered, what ends the
 * connection, what the operator is told; and no descriptor is ever left open.
 */
#include "vhost_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vhost_msg.h"

enum { MIB = 1 << 20 };

static struct vx_config small(uint64_t features)
{
	return (struct vx_config){ .dev = { .mem = { .size = 4 * MIB },
					    .rx_size = 16,
					    .tx_size = 16,
					    .rx_buf = 256,
					    .features = FRONT_FEATURES_LEAST | features } };
}

static struct vx *start(uint64_t features)
{
	struct vx_config c = small(features);
	struct vx *v = vx_new(&c);

	v->post_size = 256;
	vx_start(v);
	return v;
}

static void settle(struct vx *v)
{
	uint64_t sync;

	vx_ok(v, front_get_u64(&v->dev.sock, FRONT_GET_FEATURES, &sync));
}

/* ---- one message ---- */

enum outcome {
	DONE,	/* acknowledged with 0 if wanted */
	NO,	/* with 1 */
	ANSWER, /* an answer of its own */
	ENDS,	/* the connection is over */
};

static const char *const outcome_name[] = { "done", "refused", "answered", "the connection ends" };

enum fd_kind { EVENT, MEMORY, LOG };

static int make_fd(enum fd_kind kind)
{
	int fd;

	if (kind == EVENT)
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fd = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, kind == MEMORY ? MIB : 4096), 0);
	return fd;
}

/* What came of a message that was sent: the answer, if any, is in `m`. */
static enum outcome look(struct vx *v, struct front_msg *m)
{
	struct pollfd p = { .fd = v->dev.sock.fd, .events = POLLIN };
	uint32_t request = m->request, flags = m->flags;

	m->n_fds = 0;
	vx_step(v);
	if (!v->is_up)
		return ENDS;
	if (poll(&p, 1, 0) != 1)
		return DONE;
	vx_ok(v, front_recv(&v->dev.sock, m));
	assert_int_equal(m->request, request);
	assert_int_equal(m->flags, FRONT_VERSION | FRONT_REPLY);
	front_msg_close_fds(m);
	assert_int_equal(poll(&p, 1, 0), 0); /* one answer, not two */
	if (front_has_reply(&v->dev.sock, request))
		return ANSWER;
	assert_true(flags & FRONT_NEED_REPLY);
	assert_int_equal(m->size, 8);
	assert_true(m->u.u64 <= 1);
	return m->u.u64 ? NO : DONE;
}

struct message_row {
	const char *name;
	uint32_t request, size;
	unsigned n_fds;
	enum fd_kind kind;
	enum outcome want;
	uint32_t answer; /* octets of it */
	union {
		uint64_t words[5];
		uint32_t halves[10];
	} u;
	bool has_config;
};

/* Send it to a port that has just been negotiated with; twice, as an acknowledgement is wanted. */
static void try_message(const struct message_row *row, bool need_reply)
{
	struct vx_config c = small(0);
	struct front_msg m = { .request = row->request,
			       .flags = FRONT_VERSION | (need_reply ? FRONT_NEED_REPLY : 0),
			       .size = row->size,
			       .n_fds = row->n_fds };
	unsigned fds = vx_count_fds();
	enum outcome got;
	struct vx *v;

	c.has_config = row->has_config;
	c.dev.protocol = UINT64_MAX;
	v = vx_new(&c);
	vx_negotiate(v);
	memcpy(m.u.octets, row->u.words, sizeof(row->u));
	for (unsigned i = 0; i < row->n_fds; i++)
		m.fds[i] = make_fd(row->kind);
	vx_ok(v, front_send(&v->dev.sock, &m));
	for (unsigned i = 0; i < row->n_fds; i++)
		close(m.fds[i]);
	got = look(v, &m);
	if (got != row->want && !(row->want == NO && got == DONE && !need_reply))
		fail_msg("%s: %s, not %s (%s)", row->name, outcome_name[got],
			 outcome_name[row->want], v->why.message);
	if (got == ANSWER && m.size != row->answer)
		fail_msg("%s: %u octets", row->name, m.size);
	if (got == ENDS) {
		assert_false(vhost_user_is_attached(v->port));
		assert_int_equal(vx_state(v).link, VHOST_USER_UNATTACHED);
		assert_true(v->why.code != 0 && v->why.message[0]);
	}
	vx_free(v);
	assert_int_equal(vx_count_fds(), fds);
}

#define RING(idx, num) .size = 8, .u.halves = { idx, num }

static const struct message_row messages[] = {
	{ .name = "GET_FEATURES", 1, .want = ANSWER, .answer = 8 },
	{ .name = "SET_FEATURES", 2, 8, .u.words = { FRONT_FEATURES_LEAST } },
	{ .name = "SET_FEATURES not offered", 2, 8, .want = NO, .u.words = { UINT64_C(1) << 33 } },
	{ .name = "SET_OWNER", 3 },
	{ .name = "RESET_OWNER", 4 },
	{ .name = "SET_MEM_TABLE of none", 5, 8 },
	{ .name = "SET_MEM_TABLE", 5, 40, 1, MEMORY, .u.words = { 1, 0, MIB, 1 << 30 } },
	{ .name = "SET_MEM_TABLE without descriptor",
	  5,
	  40,
	  .want = ENDS,
	  .u.words = { 1, 0, MIB, 1 << 30 } },
	{ .name = "SET_MEM_TABLE with two",
	  5,
	  40,
	  2,
	  MEMORY,
	  ENDS,
	  .u.words = { 1, 0, MIB, 1 << 30 } },
	{ .name = "SET_MEM_TABLE of two in the space of one",
	  5,
	  40,
	  2,
	  MEMORY,
	  ENDS,
	  .u.words = { 2, 0, MIB, 1 << 30 } },
	{ .name = "SET_MEM_TABLE of nine", 5, 264, 8, MEMORY, ENDS, .u.words = { 9 } },
	{ .name = "SET_MEM_TABLE of many", 5, 264, 8, MEMORY, ENDS, .u.words = { UINT32_MAX } },
	{ .name = "SET_MEM_TABLE of no memory",
	  5,
	  40,
	  1,
	  EVENT,
	  NO,
	  .u.words = { 1, 0, MIB, 1 << 30 } },
	{ .name = "SET_LOG_BASE", 6, 16, 1, LOG, ANSWER, 0, .u.words = { 4096 } },
	{ .name = "SET_LOG_BASE without descriptor", 6, 16, .want = ENDS, .u.words = { 4096 } },
	{ .name = "SET_LOG_BASE of 0", 6, 16, 1, LOG, ENDS },
	{ .name = "SET_LOG_BASE larger than its file", 6, 16, 1, LOG, ENDS, .u.words = { 4097 } },
	{ .name = "SET_LOG_BASE behind its file", 6, 16, 1, LOG, ENDS, .u.words = { 1, 4096 } },
	{ .name = "SET_LOG_BASE that wraps",
	  6,
	  16,
	  1,
	  LOG,
	  ENDS,
	  .u.words = { 4096, UINT64_MAX - 4000 } },
	{ .name = "SET_LOG_BASE in no memory", 6, 16, 1, EVENT, ENDS, .u.words = { 8 } },
	{ .name = "SET_LOG_FD", 7, 0, 1, EVENT },
	{ .name = "SET_VRING_NUM", 8, RING(0, 256) },
	{ .name = "SET_VRING_NUM 1", 8, RING(0, 1) },
	{ .name = "SET_VRING_NUM 32768", 8, RING(0, 32768) },
	{ .name = "SET_VRING_NUM 0", 8, RING(0, 0), .want = ENDS },
	{ .name = "SET_VRING_NUM 65536", 8, RING(0, 65536), .want = ENDS },
	{ .name = "SET_VRING_NUM 100 of a split ring", 8, RING(0, 100), .want = ENDS },
	{ .name = "SET_VRING_NUM of a ring not served", 8, RING(2, 100) },
	{ .name = "SET_VRING_NUM of ring -1", 8, RING(UINT32_MAX, 100) },
	{ .name = "SET_VRING_ADDR", 9, 40, .u.words = { 0, 4096, 8192, 12288 } },
	{ .name = "SET_VRING_ADDR of ring 77", 9, 40, .u.words = { 77, 4096, 8192, 12288 } },
	{ .name = "SET_VRING_BASE", 10, RING(0, 0) },
	{ .name = "SET_VRING_BASE of ring 77", 10, RING(77, 0) },
	{ .name = "GET_VRING_BASE", 11, RING(0, 0), .want = ANSWER, .answer = 8 },
	{ .name = "GET_VRING_BASE of ring 77", 11, RING(77, 0), .want = ANSWER, .answer = 8 },
	{ .name = "SET_VRING_KICK", 12, 8, 1, EVENT },
	{ .name = "SET_VRING_KICK none", 12, 8, .u.words = { 1 << 8 } },
	{ .name = "SET_VRING_KICK none, with one", 12, 8, 1, EVENT, .u.words = { 1 << 8 } },
	{ .name = "SET_VRING_KICK without", 12, 8, .want = ENDS },
	{ .name = "SET_VRING_KICK with a file", 12, 8, 1, MEMORY, ENDS },
	{ .name = "SET_VRING_KICK of ring 77", 12, 8, 1, EVENT, .u.words = { 77 } },
	{ .name = "SET_VRING_CALL", 13, 8, 1, EVENT },
	{ .name = "SET_VRING_CALL none", 13, 8, .u.words = { 1 << 8 } },
	{ .name = "SET_VRING_CALL without", 13, 8, .want = ENDS },
	{ .name = "SET_VRING_CALL with a file", 13, 8, 1, MEMORY, ENDS },
	{ .name = "SET_VRING_CALL of ring 77", 13, 8, 1, EVENT, .u.words = { 77 } },
	{ .name = "SET_VRING_ERR", 14, 8, 1, EVENT },
	{ .name = "SET_VRING_ERR none", 14, 8, .u.words = { 1 << 8 } },
	{ .name = "SET_VRING_ERR with a file", 14, 8, 1, MEMORY, ENDS },
	{ .name = "SET_VRING_ERR of ring 77", 14, 8, 1, EVENT, .u.words = { 77 } },
	{ .name = "GET_PROTOCOL_FEATURES", 15, .want = ANSWER, .answer = 8 },
	{ .name = "GET_QUEUE_NUM", 17, .want = ANSWER, .answer = 8 },
	{ .name = "SET_VRING_ENABLE", 18, RING(0, 1) },
	{ .name = "SET_VRING_ENABLE of ring 77", 18, RING(77, 1) },
	{ .name = "SEND_RARP", 19, 8, .u.words = { 2 } },
	{ .name = "NET_SET_MTU", 20, 8, .u.words = { 1500 } },
	{ .name = "NET_SET_MTU too large", 20, 8, .want = NO, .u.words = { 1501 } },
	{ .name = "GET_CONFIG",
	  24,
	  12 + 12,
	  .want = ANSWER,
	  .answer = 24,
	  .has_config = true,
	  .u.halves = { 0, 12 } },
	{ .name = "GET_CONFIG of all",
	  24,
	  12 + 256,
	  .want = ANSWER,
	  .answer = 12 + 256,
	  .has_config = true,
	  .u.halves = { 0, 256 } },
	{ .name = "GET_CONFIG beyond",
	  24,
	  12 + 6,
	  .want = ANSWER,
	  .answer = 0,
	  .has_config = true,
	  .u.halves = { 251, 6 } },
	{ .name = "GET_CONFIG that wraps",
	  24,
	  12 + 6,
	  .want = ANSWER,
	  .answer = 0,
	  .has_config = true,
	  .u.halves = { UINT32_MAX, 6 } },
	{ .name = "GET_CONFIG larger than its message",
	  24,
	  12 + 6,
	  .want = ANSWER,
	  .answer = 0,
	  .has_config = true,
	  .u.halves = { 0, 100 } },
	{ .name = "SET_CONFIG", 25, 12 + 6, .has_config = true, .u.halves = { 0, 6 } },
	{ .name = "GET_INFLIGHT_FD",
	  31,
	  20,
	  .want = ANSWER,
	  .answer = 20,
	  .u.words = { 0, 0, 2 | 256 << 16 } },
	{ .name = "GET_INFLIGHT_FD of 24 octets",
	  31,
	  24,
	  .want = ANSWER,
	  .answer = 24,
	  .u.words = { 0, 0, 2 | 256 << 16 } },
	{ .name = "GET_INFLIGHT_FD of no queue",
	  31,
	  20,
	  .want = ENDS,
	  .u.words = { 0, 0, 256 << 16 } },
	{ .name = "GET_INFLIGHT_FD of no entry", 31, 20, .want = ENDS, .u.words = { 0, 0, 2 } },
	{ .name = "GET_INFLIGHT_FD of 65535 queues",
	  31,
	  20,
	  .want = ENDS,
	  .u.words = { 0, 0, 65535 | 256 << 16 } },
	{ .name = "SET_INFLIGHT_FD", 32, 20, 1, MEMORY, .u.words = { 16384, 0, 2 | 256 << 16 } },
	{ .name = "SET_INFLIGHT_FD without descriptor",
	  32,
	  20,
	  .want = ENDS,
	  .u.words = { 16384, 0, 2 | 256 << 16 } },
	{ .name = "SET_INFLIGHT_FD too small",
	  32,
	  20,
	  1,
	  MEMORY,
	  ENDS,
	  .u.words = { 4096, 0, 2 | 256 << 16 } },
	{ .name = "SET_INFLIGHT_FD larger than its file",
	  32,
	  20,
	  1,
	  LOG,
	  ENDS,
	  .u.words = { 16384, 0, 2 | 256 << 16 } },
	{ .name = "SET_INFLIGHT_FD that wraps",
	  32,
	  20,
	  1,
	  LOG,
	  ENDS,
	  .u.words = { 16384, UINT64_MAX - 16000, 2 | 256 << 16 } },
	{ .name = "RESET_DEVICE", 34 },
	{ .name = "GET_MAX_MEM_SLOTS", 36, .want = ANSWER, .answer = 8 },
	{ .name = "ADD_MEM_REG", 37, 40, 1, MEMORY, .u.words = { 0, 0, MIB, 1 << 30 } },
	{ .name = "ADD_MEM_REG without descriptor",
	  37,
	  40,
	  .want = ENDS,
	  .u.words = { 0, 0, MIB, 1 << 30 } },
	{ .name = "ADD_MEM_REG with two",
	  37,
	  40,
	  2,
	  MEMORY,
	  ENDS,
	  .u.words = { 0, 0, MIB, 1 << 30 } },
	{ .name = "ADD_MEM_REG of no memory",
	  37,
	  40,
	  1,
	  EVENT,
	  NO,
	  .u.words = { 0, 0, MIB, 1 << 30 } },
	{ .name = "REM_MEM_REG of none there", 38, 40, .u.words = { 0, 0, MIB, 1 << 30 } },
	{ .name = "REM_MEM_REG with a stray descriptor",
	  38,
	  40,
	  1,
	  MEMORY,
	  DONE,
	  .u.words = { 0, 0, MIB, 1 << 30 } },
	{ .name = "SET_STATUS", 39, 8, .u.words = { 15 } },
	{ .name = "GET_STATUS", 40, .want = ANSWER, .answer = 8 },
};

static void test_messages(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
		for (int need_reply = 0; need_reply < 2; need_reply++)
			try_message(&messages[i], need_reply);
}

/* Every request that has a payload of one size, with all others; and descriptors where none are. */
static void test_messages_of_wrong_size(void **state)
{
	static const struct {
		uint32_t request, size, fds;
	} rows[] = {
		{ 1, 0, 0 },   { 2, 8, 0 },   { 3, 0, 0 },  { 4, 0, 0 },  { 6, 16, 1 },
		{ 8, 8, 0 },   { 9, 40, 0 },  { 10, 8, 0 }, { 11, 8, 0 }, { 12, 8, 1 },
		{ 13, 8, 1 },  { 14, 8, 1 },  { 15, 0, 0 }, { 16, 8, 0 }, { 17, 0, 0 },
		{ 18, 8, 0 },  { 19, 8, 0 },  { 20, 8, 0 }, { 34, 0, 0 }, { 36, 0, 0 },
		{ 37, 40, 1 }, { 38, 40, 1 }, { 39, 8, 0 }, { 40, 0, 0 },
	};
	char name[80];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct message_row row = { .name = name, .request = rows[i].request, .want = ENDS };

		for (uint32_t size = 0; size < 50; size += size % 8 < 2 || size % 8 == 7 ? 1 : 3) {
			row.size = size;
			row.n_fds = 0;
			snprintf(name, sizeof(name), "request %u with %u octets", row.request,
				 size);
			if (size != rows[i].size)
				try_message(&row, size & 1);
		}
		row.size = rows[i].size;
		for (row.n_fds = rows[i].fds + 1; row.n_fds < 20; row.n_fds += 4) {
			snprintf(name, sizeof(name), "request %u with %u descriptors", row.request,
				 row.n_fds);
			row.kind = EVENT;
			try_message(&row, false);
		}
	}
}

static void test_unknown_requests(void **state)
{
	static const uint32_t requests[] = { 0,	 21, 22, 23, 26, 27, 28, 29,	   30,	      33,
					     35, 41, 42, 43, 44, 45, 99, 1u << 31, UINT32_MAX };
	static const uint32_t sizes[] = { 0, 8, 12, 264 };
	struct message_row row = { .name = "unknown" };

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
			row.request = requests[i];
			row.size = sizes[s];
			row.n_fds = (unsigned)s;
			/* Some are answered always, if known; nobody sends those who reads that. */
			row.want = NO;
			if (front_has_reply(&(struct front_sock){ 0 }, row.request))
				continue;
			try_message(&row, false);
			try_message(&row, true);
		}
}

static void test_headers_that_cannot_be(void **state)
{
	static const struct {
		const char *name;
		uint32_t flags, size;
	} rows[] = {
		{ "version 0", 0, 0 },
		{ "version 2", 2, 0 },
		{ "version 3", 3, 0 },
		{ "a reply", FRONT_VERSION | FRONT_REPLY, 0 },
		{ "273 octets", FRONT_VERSION, 273 },
		{ "2 GiB", FRONT_VERSION, 1u << 31 },
		{ "4 GiB", FRONT_VERSION, UINT32_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (uint32_t request = 1; request < 50; request += 24) {
			struct vx_config c = small(0);
			struct vx *v = vx_new(&c);
			uint32_t header[3] = { request, rows[i].flags, rows[i].size };

			vx_negotiate(v);
			vx_ok(v, front_send_raw(&v->dev.sock, header, sizeof(header), NULL, 0));
			vx_step(v);
			if (v->is_up)
				fail_msg("%s, request %u: goes on", rows[i].name, request);
			assert_true(v->why.code != 0);
			vx_free(v);
		}
}

/* ---- by half ---- */

/* Everything that a start says, an octet at a time; descriptors come with the first octet. */
static void test_octet_by_octet(void **state)
{
	struct vx_config c = small(0);
	struct vx *v = vx_new(&c);
	int pair[2];

	/* The guest speaks to us, and we pass it on in octets. */
	v->post_size = 256;
	vx_make(v);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (int round = 0; round < 2; round++) {
		struct front_sock to = v->dev.sock, from;

		front_sock_init_take(&from, pair[0]);
		v->dev.sock.fd = pair[1];
		v->dev.sock.step = NULL;
		vx_ok(v, front_dev_steps(&v->dev, round ? "nbacke" : "f,m"));
		v->dev.sock = to;
		for (;;) {
			struct pollfd p = { .fd = pair[0], .events = POLLIN };
			struct front_msg m;
			const uint8_t *octets = (const uint8_t *)&m.request;

			if (poll(&p, 1, 0) != 1)
				break;
			assert_int_equal(front_recv(&from, &m), 0);
			for (unsigned i = 0; i < 12 + m.size; i++) {
				vx_ok(v, front_send_raw(&v->dev.sock, octets + i, 1, m.fds,
							i ? 0 : m.n_fds));
				vx_step(v);
				assert_true(v->is_up);
			}
			front_msg_close_fds(&m);
		}
	}
	close(pair[0]);
	close(pair[1]);
	assert_true(vx_runs(v));
	vx_ping(v, "octet by octet");
	vx_free(v);
}

/* The connection ends after every octet of a message with descriptors. */
static void test_end_within_a_message(void **state)
{
	struct {
		uint32_t header[3], n, pad;
		struct front_mem_range range[2];
	} table = {
		{ 5, FRONT_VERSION, 8 + 64 }, 2, 0, { { 0, MIB, MIB, 0 }, { MIB, MIB, 0, 0 } }
	};
	unsigned fds = vx_count_fds();

	for (unsigned n = 0; n <= sizeof(table); n++) {
		struct vx_config c = small(0);
		struct vx *v = vx_new(&c);
		int memory[2] = { make_fd(MEMORY), make_fd(MEMORY) };
		unsigned changed;

		vx_connect(v);
		changed = v->n_changed;
		if (n)
			vx_ok(v, front_send_raw(&v->dev.sock, &table, n, memory, 2));
		close(memory[0]);
		close(memory[1]);
		if (n & 1)
			vx_step(v);
		front_sock_close(&v->dev.sock);
		for (int i = 0; i < 3; i++)
			vx_step(v);
		assert_false(v->is_up);
		assert_int_equal(v->why.code, 0); /* the front-end closed it: no error */
		assert_string_equal(v->why.message, "");
		assert_true(v->n_changed > changed);
		assert_false(vhost_user_is_attached(v->port));
		vx_free(v);
		assert_int_equal(vx_count_fds(), fds);
	}
}

/* Who does not read answers wants none. */
static void test_front_end_that_does_not_read(void **state)
{
	struct vx *v = start(0);
	uint32_t header[3] = { 1, FRONT_VERSION, 0 };

	for (int i = 0; i < 100000 && v->is_up; i++) {
		(void)!send(v->dev.sock.fd, header, sizeof(header), MSG_DONTWAIT | MSG_NOSIGNAL);
		vx_step(v);
	}
	assert_false(v->is_up);
	assert_int_equal(v->why.code, EPROTO);
	assert_int_equal(v->n_watched, 0);
	vx_free(v);
}

static void test_attach_twice(void **state)
{
	struct vx *v = start(0);
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(vhost_user_attach(v->port, fd[0]), -EBUSY); /* and closes it */
	assert_int_equal(fcntl(fd[0], F_GETFD), -1);
	close(fd[1]);
	vx_ping(v, "the first connection");
	vhost_user_detach(v->port);
	vhost_user_detach(v->port);
	assert_int_equal(vx_state(v).link, VHOST_USER_UNATTACHED);
	assert_int_equal(v->n_watched, 0);
	vx_free(v);
}

/* ---- memory ---- */

/* SET_MEM_TABLE and ADD_MEM_REG that are refused: the VMM hears it, and the operator why. */
static void test_memory_that_cannot_be(void **state)
{
	static const struct {
		const char *name, *why;
		struct front_mem_range range[2];
		unsigned n;
	} rows[] = {
		{ "no octets", "empty", { { 0, 0, MIB, 0 } }, 1 },
		{ "gpa wraps", "wraps", { { UINT64_MAX - 4095, MIB, MIB, 0 } }, 1 },
		{ "uva wraps", "wraps", { { 0, MIB, UINT64_MAX - 4095, 0 } }, 1 },
		{ "offset wraps", "wraps", { { 0, MIB, MIB, UINT64_MAX - 4095 } }, 1 },
		{ "gpa within a page", "page", { { 8, MIB, MIB, 0 } }, 1 },
		{ "uva within a page", "page", { { 0, MIB, MIB + 1, 0 } }, 1 },
		{ "offset within a page", "page", { { 0, 4096, MIB, 16 } }, 1 },
		{ "larger than the file", "larger", { { 0, MIB + 4096, MIB, 0 } }, 1 },
		{ "an octet larger", "larger", { { 0, MIB + 1, MIB, 0 } }, 1 },
		{ "behind the file", "larger", { { 0, 4096, MIB, MIB } }, 1 },
		{ "partly behind the file", "larger", { { 0, MIB, MIB, 4096 } }, 1 },
		{ "huge", "larger", { { 0, UINT64_C(1) << 62, MIB, 0 } }, 1 },
		{ "gpa overlaps",
		  "overlaps",
		  { { 0, MIB, MIB, 0 }, { MIB - 4096, MIB, 8 * MIB, 0 } },
		  2 },
		{ "uva overlaps",
		  "overlaps",
		  { { 0, MIB, MIB, 0 }, { 8 * MIB, MIB, 4096, 0 } },
		  2 },
		{ "gpa of another size",
		  "overlaps",
		  { { 0, MIB, MIB, 0 }, { 0, 4096, 8 * MIB, 0 } },
		  2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (int slots = 0; slots < 2; slots++) {
			struct vx_config c = small(0);
			struct front_mem mem = { .n_regions = rows[i].n };
			struct vx *v = vx_new(&c);
			int err = 0, fd = make_fd(MEMORY);

			c.dev.protocol = FRONT_PROTOCOL_USUAL | FRONT_P_CONFIGURE_MEM_SLOTS;
			vx_negotiate(v);
			v->dev.sock.ask_reply = true;
			for (unsigned r = 0; r < rows[i].n; r++)
				mem.region[r] = (struct front_region){
					.gpa = rows[i].range[r].gpa,
					.size = rows[i].range[r].size,
					.uva = rows[i].range[r].uva,
					.offset = rows[i].range[r].offset,
					.fd = fd,
				};
			if (!slots)
				err = front_set_mem_table(&v->dev.sock, &mem);
			for (unsigned r = 0; slots && r < rows[i].n && !err; r++)
				err = front_add_region(&v->dev.sock, &mem.region[r]);
			close(fd);
			if (err != -EREMOTEIO)
				fail_msg("%s: %d", rows[i].name, err);
			if (vx_state(v).link != VHOST_USER_FAULTY ||
			    !strstr(vx_state(v).why.message, rows[i].why))
				fail_msg("%s: %s", rows[i].name, vx_state(v).why.message);
			vx_free(v);
		}
}

/* Descriptors that are no memory. */
static void test_memory_of_wrong_files(void **state)
{
	static const char *const rows[] = { "pipe",	 "socket",	"eventfd",
					    "/dev/zero", "/dev/null",	"/proc/self/mem",
					    "directory", "file on disk" };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vx_config c = small(0);
		struct front_region r = { .size = 4096, .uva = MIB };
		char path[] = "/var/tmp/evb-test-XXXXXX";
		int fd[2] = { -1, -1 }, err;
		struct vx *v;

		switch (i) {
		case 0:
			assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
			break;
		case 1:
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
			break;
		case 2:
			fd[0] = make_fd(EVENT);
			break;
		case 6:
			fd[0] = open("/tmp", O_RDONLY | O_CLOEXEC);
			break;
		case 7:
			fd[0] = mkostemp(path, O_CLOEXEC);
			assert_int_equal(ftruncate(fd[0], MIB), 0);
			unlink(path);
			break;
		default:
			fd[0] = open(rows[i], O_RDWR | O_CLOEXEC);
			break;
		}
		assert_true(fd[0] >= 0);
		v = vx_new(&c);
		vx_negotiate(v);
		v->dev.sock.ask_reply = true;
		r.fd = fd[0];
		err = front_add_region(&v->dev.sock, &r);
		if (err != -EREMOTEIO && i != 7) /* where that is may be a tmpfs */
			fail_msg("%s: %d", rows[i], err);
		if (err)
			vx_assert_faulty(v, "memory file");
		close(fd[0]);
		if (fd[1] >= 0)
			close(fd[1]);
		vx_free(v);
	}
}

static void test_memory_not_shared(void **state)
{
	struct vx_config c = small(0);
	struct vx *v = vx_new(&c);
	unsigned idx = 0;

	/* QEMU without share=on sends no regions, or not those of the rings. */
	vx_make(v);
	vx_ok(v, front_dev_steps(&v->dev, "f,nbacke"));
	settle(v);
	vx_assert_faulty(v, "not shared");
	assert_non_null(strstr(vx_state(v).why.hint, "share=on"));
	/* With memory it runs; each address is looked at. */
	vx_ok(v, front_dev_steps(&v->dev, "m"));
	settle(v);
	assert_true(vx_runs(v));
	for (int part = 0; part < 3; part++) {
		const struct front_ring *r = front_dev_ring(&v->dev, idx);
		uint64_t end = v->dev.mem.region[0].uva + v->dev.mem.region[0].size;
		struct front_vring_addr a = { .idx = idx,
					      .desc = front_mem_uva(&v->dev.mem, r->gpa_desc),
					      .used = front_mem_uva(&v->dev.mem, r->gpa_device),
					      .avail = front_mem_uva(&v->dev.mem, r->gpa_driver) };
		const uint64_t sizes[] = { 16 * 16, 4 + 8 * 16 + 2, 4 + 2 * 16 + 2 };
		const uint64_t aligned[] = { 16, 4, 2 };
		uint64_t *word = part == 0 ? &a.desc : part == 1 ? &a.used : &a.avail;
		uint64_t last = (end - sizes[part]) / aligned[part] * aligned[part], good = *word;
		const uint64_t bad[] = { 0, end, last + aligned[part], last - 1, UINT64_MAX };

		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			*word = bad[i];
			vx_ok(v, front_set_addr(&v->dev.sock, &a));
			settle(v);
			vx_assert_faulty(v, "not shared");
		}
		*word = last;
		vx_ok(v, front_set_addr(&v->dev.sock, &a));
		settle(v);
		assert_true(vx_runs(v));
		*word = good;
		vx_ok(v, front_set_addr(&v->dev.sock, &a));
		settle(v);
		assert_true(vx_runs(v));
	}
	vx_free(v);
}

/* Memory comes and goes while rings run; what is in it can be used from the acknowledgement on. */
static void test_slots_while_rings_run(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx_config c = small(k->features);
		uint8_t octets[100];
		uint32_t size;
		struct vx *v;

		c.dev.protocol = FRONT_PROTOCOL_USUAL | FRONT_P_CONFIGURE_MEM_SLOTS;
		c.dev.add_regions = true;
		c.dev.need_reply = true;
		v = vx_new(&c);
		v->post_size = 256;
		vx_start(v);
		assert_int_equal(v->dev.mem_slots, 509);
		vx_fill(octets, sizeof(octets), 5);
		for (unsigned n = 1; n <= 20; n++) { /* the list grows and moves */
			int at = front_mem_add(&v->dev.mem, (uint64_t)n * 64 * MIB, MIB);

			assert_int_equal(at, n);
			vx_ping(v, k->name);
			vx_ok(v, front_add_region(&v->dev.sock, &v->dev.mem.region[n]));
			vx_post_at(v, 0, (uint64_t)n * 64 * MIB + 512);
			front_ring_publish(&v->dev.pair[0].rx);
			assert_true(vx_give(v, octets, sizeof(octets)));
			assert_true(vx_get(v, 0, NULL, &size));
			vx_check(k->name, v->scratch, size, sizeof(octets), 5);
			v->pool[0].n--; /* not for later */
		}
		for (unsigned n = 20; n; n--) {
			vx_ok(v, front_remove_region(&v->dev.sock, &v->dev.mem.region[n]));
			front_mem_remove(&v->dev.mem, n);
			vx_ping(v, k->name);
		}
		/* Without the memory it is in, a ring stops; with it, it goes on. */
		vx_ok(v, front_remove_region(&v->dev.sock, &v->dev.mem.region[0]));
		vx_assert_faulty(v, "not shared");
		assert_int_equal(vx_take(v), 0);
		assert_false(vx_give(v, octets, sizeof(octets)));
		vx_ok(v, front_add_region(&v->dev.sock, &v->dev.mem.region[0]));
		assert_true(vx_runs(v));
		vx_ping(v, k->name);
		vx_free(v);
	}
}

/* QEMU before 8.0 says each once for every pair. */
static void test_slots_said_twice(void **state)
{
	struct vx_config c = small(0);
	struct vx *v;
	struct vhost_user_info info;

	c.dev.protocol = FRONT_PROTOCOL_USUAL | FRONT_P_CONFIGURE_MEM_SLOTS;
	c.dev.need_reply = true;
	c.dev.add_regions = true;
	c.dev.order = "x,e,f,m,m,nbak,c";
	v = vx_new(&c);
	v->post_size = 256;
	vx_start(v);
	vhost_user_info(v->port, &info);
	assert_int_equal(info.n_regions, 1);
	vx_ping(v, "twice");
	vx_stop(v);
	vx_ok(v, front_remove_region(&v->dev.sock, &v->dev.mem.region[0]));
	vx_ok(v, front_remove_region(&v->dev.sock, &v->dev.mem.region[0]));
	vhost_user_info(v->port, &info);
	assert_int_equal(info.n_regions, 0);
	vx_free(v);
}

static void test_as_many_slots_as_promised(void **state)
{
	struct vx_config c = small(0);
	struct vx *v = vx_new(&c);
	struct front_region r = { .size = 4096, .fd = make_fd(MEMORY) };
	struct vhost_user_info info;

	c.dev.protocol = FRONT_PROTOCOL_USUAL | FRONT_P_CONFIGURE_MEM_SLOTS;
	vx_negotiate(v);
	v->dev.sock.ask_reply = true;
	for (unsigned n = 0; n < 509; n++) {
		r.gpa = ((uint64_t)n * 7 % 509) * MIB; /* in no order */
		r.uva = (uint64_t)(n + 1) * 2 * MIB;
		vx_ok(v, front_add_region(&v->dev.sock, &r));
	}
	r.gpa = 600 * (uint64_t)MIB;
	r.uva = 2000 * (uint64_t)MIB;
	assert_int_equal(front_add_region(&v->dev.sock, &r), -EREMOTEIO);
	vhost_user_info(v->port, &info);
	assert_int_equal(info.n_regions, 509);
	assert_int_equal(info.memory, 509 * 4096);
	close(r.fd);
	vx_free(v);
}

static void test_table_again(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start(k->features);
		unsigned quiesced;

		vx_ping(v, k->name);
		vx_woken(v);
		quiesced = v->n_quiesce;
		/* The same, as at each start of a queue: nobody is disturbed. */
		vx_ok(v, front_set_mem_table(&v->dev.sock, &v->dev.mem));
		settle(v);
		assert_int_equal(v->n_quiesce, quiesced);
		assert_false(vx_woken(v));
		vx_ping(v, k->name);
		/* One more region: it goes on, with all of it. */
		assert_int_equal(front_mem_add(&v->dev.mem, 64 * MIB, MIB), 1);
		vx_ok(v, front_set_mem_table(&v->dev.sock, &v->dev.mem));
		settle(v);
		assert_true(v->n_quiesce > quiesced);
		vx_ping(v, k->name);
		/* Moved, without a word about the rings: they are elsewhere, for us. */
		v->dev.mem.region[0].uva += 1 << 30;
		vx_ok(v, front_set_mem_table(&v->dev.sock, &v->dev.mem));
		settle(v);
		vx_assert_faulty(v, "not shared");
		vx_ok(v, front_dev_steps(&v->dev, "a"));
		settle(v);
		vx_ping(v, k->name);
		vx_free(v);
	}
}

/* ---- the device as a whole ---- */

static void test_status(void **state)
{
	struct vx *v = start(0);
	uint64_t status;

	vx_ok(v, front_set_u64(&v->dev.sock, FRONT_SET_STATUS, 7));
	vx_ok(v, front_get_u64(&v->dev.sock, FRONT_GET_STATUS, &status));
	assert_int_equal(status, 7);
	vx_ping(v, "status 7");
	vx_ok(v, front_set_u64(&v->dev.sock, FRONT_SET_STATUS, 0)); /* VIRTIO 1.2, 2.1: reset */
	vx_ok(v, front_get_u64(&v->dev.sock, FRONT_GET_STATUS, &status));
	assert_int_equal(status, 0);
	assert_int_equal(vx_state(v).link, VHOST_USER_WAITS);
	assert_int_equal(v->n_watched, 0);
	vx_free(v);
}

/* QEMU before 8.0 asks where the rings were after it has set the status to 0. */
static void test_base_after_status_0(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start(k->features);
		uint32_t base;

		for (int n = 0; n < 5; n++)
			vx_ping(v, k->name);
		vx_ok(v, front_set_u64(&v->dev.sock, FRONT_SET_STATUS, 0));
		vx_ok(v, front_get_base(&v->dev.sock, 1, &base));
		assert_int_equal(base, front_ring_base_used(&v->dev.pair[0].tx));
		vx_free(v);
	}
}

/* Memory that the guest writes and we do not see looks like a guest that has not begun. */
static void test_untouched_ring(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start(k->features);
		struct front_ring *r = &v->dev.pair[0].rx;

		vx_post(v, 0, 1);
		assert_int_equal(vx_state(v).link, VHOST_USER_RUNS);
		assert_int_equal(vx_state(v).why.code, 0);
		front_ring_reset(r);
		assert_int_equal(vx_state(v).link, VHOST_USER_RUNS);
		assert_int_equal(vx_state(v).why.code, EAGAIN);
		assert_non_null(strstr(vx_state(v).why.hint, "share=on"));
		vx_free(v);
	}
}

static void test_reset_device(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start(k->features);
		struct vhost_user_info info;

		for (int n = 0; n < 5; n++)
			vx_ping(v, k->name);
		vx_ok(v, front_set_empty(&v->dev.sock, FRONT_RESET_DEVICE));
		settle(v);
		assert_int_equal(vx_state(v).link, VHOST_USER_WAITS);
		assert_int_equal(v->n_watched, 0);
		vhost_user_info(v->port, &info);
		assert_false(info.ring[0].is_enabled || info.ring[1].is_enabled);
		assert_int_equal(info.n_regions, 1); /* memory is the VMM's, not the guest's */
		front_dev_clear(&v->dev);
		v->pool[0].n = 0;
		v->dev.pair[0].base[0] = front_ring_base_used(&v->dev.pair[0].rx);
		v->dev.pair[0].base[1] = front_ring_base_used(&v->dev.pair[0].tx);
		vx_ok(v, front_dev_steps(&v->dev, "nback,e"));
		settle(v);
		vx_ping(v, k->name);
		vx_free(v);
	}
}

/* RESET_OWNER is of old: it must not take anything away. */
static void test_reset_owner(void **state)
{
	struct vx *v = start(0);

	vx_ok(v, front_set_empty(&v->dev.sock, FRONT_RESET_OWNER));
	settle(v);
	vx_ping(v, "after RESET_OWNER");
	vx_free(v);
}

static void test_rarp(void **state)
{
	static const struct {
		const char *name;
		uint8_t mac[8];
		bool announced;
	} rows[] = {
		{ "an address", { 2, 1, 2, 3, 4, 5 }, true },
		{ "with something behind it", { 2, 1, 2, 3, 4, 5, 9, 9 }, true },
		{ "a group", { 3, 1, 2, 3, 4, 5 }, false },
		{ "broadcast", { 255, 255, 255, 255, 255, 255 }, false },
		{ "none", { 0 }, false },
	};
	struct vx *v = start(0);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned before = v->n_announced;
		uint64_t word;

		memcpy(&word, rows[i].mac, sizeof(word));
		vx_ok(v, front_set_u64(&v->dev.sock, FRONT_SEND_RARP, word));
		settle(v);
		if ((v->n_announced != before) != rows[i].announced)
			fail_msg("%s: %u", rows[i].name, v->n_announced - before);
		if (rows[i].announced)
			assert_memory_equal(v->announced.b, rows[i].mac, 6);
	}
	vx_free(v);
}

static void test_mtu(void **state)
{
	struct vx *v = start(0);
	struct vhost_user_settings s = { .mtu = 9000 };

	vx_post(v, 0, 1);
	v->dev.sock.ask_reply = true;
	vx_ok(v, front_set_u64(&v->dev.sock, FRONT_NET_SET_MTU, 1500));
	assert_int_equal(vx_state(v).why.code, 0);
	assert_int_equal(front_set_u64(&v->dev.sock, FRONT_NET_SET_MTU, 9000), -EREMOTEIO);
	assert_true(vx_runs(v)); /* with a complaint */
	assert_int_equal(vx_state(v).why.code, EMSGSIZE);
	assert_non_null(strstr(vx_state(v).why.message, "9000"));
	vhost_user_set(v->port, &s);
	assert_int_equal(vx_state(v).why.code, 0);
	vx_ok(v, front_set_u64(&v->dev.sock, FRONT_NET_SET_MTU, 9000));
	vx_free(v);
}

static void test_config(void **state)
{
	struct vx_config c = small(0);
	const uint8_t want[12] = { 2, 0, 0, 0, 0, 9, 1, 0, 4, 0, 0x28, 0x23 };
	uint8_t got[256];
	struct vx *v;

	c.pairs = 4;
	c.has_config = true;
	c.mtu = 9000;
	c.mac = (struct mac){ { 2, 0, 0, 0, 0, 9 } };
	c.dev.protocol = UINT64_MAX;
	v = vx_new(&c);
	vx_negotiate(v);
	assert_true(v->dev.offered & FRONT_BIT(FRONT_F_MAC));
	vx_ok(v, front_get_config(&v->dev.sock, 0, 256, got));
	assert_memory_equal(got, want, sizeof(want));
	for (unsigned i = sizeof(want); i < 256; i++)
		assert_int_equal(got[i], 0); /* and not what was in memory */
	vx_ok(v, front_get_config(&v->dev.sock, 10, 2, got));
	assert_memory_equal(got, want + 10, 2);
	vx_free(v);

	/* QEMU warns of it: not offered unless it is asked for. */
	c.has_config = false;
	v = vx_new(&c);
	vx_negotiate(v);
	assert_false(v->dev.protocol_offered & FRONT_P_CONFIG);
	assert_false(v->dev.offered & FRONT_BIT(FRONT_F_MAC));
	vx_free(v);
}

/* ---- features ---- */

static void test_features_refused(void **state)
{
	static const struct {
		const char *name, *message, *hint;
		unsigned bit;
	} rows[] = {
		{ "iommu", "iommu_platform", "iommu_platform=on", 33 },
		{ "rss", "rss", "rss=off", 60 },
		{ "hash report", "hash_report", "hash_report=off", 57 },
		{ "notification data", "notification_data", "notification_data=off", 38 },
		{ "ring reset", "ring_reset", "ring_reset=off", 40 },
		{ "one without a name", "bit 50", "FEATURE", 50 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vx *v = start(0);
		uint64_t features = v->dev.features | UINT64_C(1) << rows[i].bit;

		v->dev.sock.ask_reply = true;
		assert_int_equal(front_set_u64(&v->dev.sock, FRONT_SET_FEATURES, features),
				 -EREMOTEIO);
		vx_assert_faulty(v, rows[i].message);
		assert_non_null(strstr(vx_state(v).why.hint, rows[i].hint));
		assert_int_equal(vx_take(v), 0);
		/* Without it all is well. */
		vx_ok(v, front_set_u64(&v->dev.sock, FRONT_SET_FEATURES, v->dev.features));
		assert_true(vx_runs(v));
		vx_ping(v, rows[i].name);
		vx_free(v);
	}
}

/* A front-end that changes its mind while rings run gets rings of the other kind, and no harm. */
static void test_features_change_while_running(void **state)
{
	const struct vx_kind *from, *to;

	for (unsigned i = 0; (from = vx_kind(i)); i++)
		for (unsigned j = 0; (to = vx_kind(j)); j++) {
			struct vx *v = start(from->features);
			struct vhost_user_info info;

			vx_ping(v, from->name);
			v->dev.features ^= from->features ^ to->features;
			vx_ok(v, front_set_u64(&v->dev.sock, FRONT_SET_FEATURES, v->dev.features));
			settle(v);
			vhost_user_info(v->port, &info);
			assert_true(info.is_packed == !!(to->features & FRONT_BIT(FRONT_F_PACKED)));
			/* Whatever is in memory, it is read as what was agreed on. */
			vx_take(v);
			vx_give(v, v->scratch, 60);
			vx_ok(v, front_set_mem_table(&v->dev.sock, &v->dev.mem));
			assert_int_equal(front_mem_add(&v->dev.mem, 64 * MIB, MIB), 1);
			vx_ok(v, front_set_mem_table(&v->dev.sock, &v->dev.mem));
			settle(v);
			vx_take(v);
			vx_give(v, v->scratch, 60);
			vx_free(v);
		}
}

/*
 * What a packed ring needs of its event areas is less than what a split ring needs of its own: one
 * that became the other must not be taken to be where it was.
 */
static void test_split_ring_at_the_end_of_memory(void **state)
{
	struct vx_config c = small(0);
	const struct front_region *region;
	const struct front_ring *r;
	struct front_mem cut;
	struct vx *v;

	c.dev.rx_size = 1024;
	v = vx_new(&c);
	v->post_size = 256;
	vx_start(v);
	vx_post(v, 0, 1024);
	vx_ok(v, front_set_u64(&v->dev.sock, FRONT_SET_FEATURES,
			       v->dev.features | FRONT_BIT(FRONT_F_PACKED)));
	/* Memory that ends within the used ring. */
	r = &v->dev.pair[0].rx;
	region = &v->dev.mem.region[0];
	cut = v->dev.mem;
	cut.region[0].size = (r->gpa_device - region->gpa + 8 + 4095) / 4096 * 4096;
	assert_true(cut.region[0].size < r->gpa_device - region->gpa + 8 * 1024);
	vx_ok(v, front_set_mem_table(&v->dev.sock, &cut));
	settle(v);
	for (int n = 0; n < 1024; n++)
		vx_give(v, v->scratch, 60);
	vx_take(v);
	/* Whatever it is now, it is no split ring: there are no used elements. */
	for (unsigned n = 0; n < 1024; n++)
		assert_int_equal(front_used_entry(r, n)->len, 0);
	vx_free(v);
}

/* A size that only packed rings may have, said before it is clear what they are. */
static void test_size_before_features(void **state)
{
	struct vx_config c = small(FRONT_BIT(FRONT_F_PACKED));
	struct vx *v;

	c.dev.rx_size = c.dev.tx_size = 100;
	v = vx_new(&c);
	v->post_size = 256;
	vx_make(v);
	vx_ok(v, front_dev_steps(&v->dev, "f,m,nbacke"));
	settle(v);
	vx_ping(v, "packed of 100");
	vx_ok(v, front_set_u64(&v->dev.sock, FRONT_SET_FEATURES, FRONT_FEATURES_LEAST));
	settle(v);
	assert_false(vx_runs(v)); /* there is no split ring of 100 */
	vx_free(v);
}

struct offload_row {
	const char *name;
	uint64_t features;
	uint8_t to, from; /* OFFLOAD_* that the guest takes, and may ask of us */
};

static const struct offload_row offload_rows[] = {
	{ "none", 0, 0, 0 },
	{ "csum", FRONT_BIT(0), 0, OFFLOAD_CSUM },
	{ "guest_csum", FRONT_BIT(1), OFFLOAD_CSUM, 0 },
	{ "guest_tso4 without guest_csum", FRONT_BIT(7), 0, 0 },
	{ "guest_tso4", FRONT_BIT(1) | FRONT_BIT(7), OFFLOAD_CSUM | OFFLOAD_TSO4, 0 },
	{ "guest_tso6", FRONT_BIT(1) | FRONT_BIT(8), OFFLOAD_CSUM | OFFLOAD_TSO6, 0 },
	{ "guest_ecn", FRONT_BIT(1) | FRONT_BIT(9), OFFLOAD_CSUM | OFFLOAD_ECN, 0 },
	{ "guest_uso4 alone", FRONT_BIT(1) | FRONT_BIT(54), OFFLOAD_CSUM, 0 },
	{ "guest_uso6 alone", FRONT_BIT(1) | FRONT_BIT(55), OFFLOAD_CSUM, 0 },
	{ "guest_uso4 and 6", FRONT_BIT(1) | FRONT_BIT(54) | FRONT_BIT(55),
	  OFFLOAD_CSUM | OFFLOAD_USO, 0 },
	{ "host_tso4", FRONT_BIT(0) | FRONT_BIT(11), 0, OFFLOAD_CSUM | OFFLOAD_TSO4 },
	{ "host_tso6", FRONT_BIT(0) | FRONT_BIT(12), 0, OFFLOAD_CSUM | OFFLOAD_TSO6 },
	{ "host_ecn", FRONT_BIT(0) | FRONT_BIT(11) | FRONT_BIT(13), 0,
	  OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_ECN },
	{ "host_uso", FRONT_BIT(0) | FRONT_BIT(56), 0, OFFLOAD_CSUM | OFFLOAD_USO },
	{ "gso, of before VIRTIO 1.0", FRONT_BIT(0) | FRONT_BIT(6), 0,
	  OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_ECN },
	{ "all", FRONT_FEATURES_OFFLOAD | FRONT_BIT(54) | FRONT_BIT(55) | FRONT_BIT(56),
	  OFFLOAD_ALL, OFFLOAD_ALL },
};

static const struct {
	const char *name;
	struct front_hdr hdr;
	uint8_t needs;
} header_rows[] = {
	{ "nothing", { 0 }, 0 },
	{ "checksum", { .flags = 1, .csum_start = 34, .csum_offset = 16 }, OFFLOAD_CSUM },
	{ "TSO4", { .flags = 1, .gso_type = 1, .gso_size = 1000 }, OFFLOAD_CSUM | OFFLOAD_TSO4 },
	{ "TSO6", { .flags = 1, .gso_type = 4, .gso_size = 1000 }, OFFLOAD_CSUM | OFFLOAD_TSO6 },
	{ "TSO4 with ECN",
	  { .flags = 1, .gso_type = 0x81, .gso_size = 1000 },
	  OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_ECN },
	{ "USO", { .flags = 1, .gso_type = 5, .gso_size = 1000 }, OFFLOAD_CSUM | OFFLOAD_USO },
	{ "UFO", { .flags = 1, .gso_type = 3, .gso_size = 1000 }, 0x80 },
	{ "type 2", { .flags = 1, .gso_type = 2, .gso_size = 1000 }, 0x80 },
	{ "type 6", { .flags = 1, .gso_type = 6, .gso_size = 1000 }, 0x80 },
	{ "type 127", { .flags = 1, .gso_type = 127, .gso_size = 1000 }, 0x80 },
	{ "type 255", { .flags = 1, .gso_type = 255, .gso_size = 1000 }, 0x80 },
};

/* What comes through of a header of the guest's. */
static void check_header(struct vx *v, const struct offload_row *row, unsigned h)
{
	struct front_tx tx = { .hdr = header_rows[h].hdr, .data = v->scratch, .size = 200 };
	static const struct front_layout separate = { .cut = { 12 }, .n_cuts = 1 };
	bool allowed = !(header_rows[h].needs & ~row->from);

	for (int i = 0; i < 2; i++) {
		const struct vx_frame *f;

		tx.layout = i ? &separate : NULL;
		tx.hdr.flags |= 2; /* DATA_VALID is nothing that a driver may say */
		vx_forget(v);
		vx_ok(v, front_dev_send(&v->dev, 0, &tx, 1000));
		assert_int_equal(vx_take(v), 1);
		f = &v->got[0];
		if (!row->from) {
			if (f->vnet.flags || f->vnet.gso_type)
				fail_msg("%s, %s: not negotiated, but not ignored", row->name,
					 header_rows[h].name);
			continue;
		}
		assert_false(f->vnet.flags & VNET_F_DATA_VALID);
		if (allowed && (f->vnet.gso_type != header_rows[h].hdr.gso_type ||
				f->vnet.flags != header_rows[h].hdr.flags ||
				f->vnet.gso_size != header_rows[h].hdr.gso_size))
			fail_msg("%s, %s: became type %u", row->name, header_rows[h].name,
				 f->vnet.gso_type);
		if (!allowed && f->vnet.gso_type != 0x7f)
			fail_msg("%s, %s: came through", row->name, header_rows[h].name);
	}
}

static void test_offloads(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(offload_rows); i++) {
		const struct offload_row *row = &offload_rows[i];
		struct vx_config c = small(row->features);
		struct vx *v;
		unsigned changed;

		c.offload = true;
		c.dev.strict = true;
		v = vx_new(&c);
		v->post_size = 256;
		changed = v->n_changed;
		vx_start(v);
		if (v->port->offload != row->to)
			fail_msg("%s: the port takes %x, not %x", row->name, v->port->offload,
				 row->to);
		assert_true(v->n_changed > changed);
		for (unsigned h = 0; h < ARRAY_SIZE(header_rows); h++)
			check_header(v, row, h);
		front_sock_close(&v->dev.sock);
		vx_step(v);
		assert_int_equal(v->port->offload, 0);
		vx_free(v);
	}
}

/* A header for the guest arrives as it is; 12 octets of it or 10. */
static void test_header_to_guest(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx_config c = small(k->features | FRONT_FEATURES_OFFLOAD);
		struct vnet_hdr h = { VNET_F_NEEDS_CSUM, VNET_GSO_TCPV4, 54, 100, 34, 16 };
		struct front_hdr got;
		uint32_t size;
		struct vx *v;

		c.offload = true;
		v = vx_new(&c);
		v->post_size = 512;
		vx_start(v);
		for (int shape = 0; shape < 2; shape++) {
			struct vhost_user_info info;

			v->post_layout =
				(struct front_layout){ .cut = { 12 }, .n_cuts = (unsigned)shape };
			vx_post(v, 0, 1);
			vx_fill(v->scratch, 400, 1);
			assert_true(vx_tx(v, v->scratch, 400, &h));
			vx_flush(v);
			assert_true(vx_get(v, 0, &got, &size));
			assert_memory_equal(&got, &h, sizeof(h));
			vhost_user_info(v->port, &info);
			assert_int_equal(info.tx_gso, shape + 1);
		}
		vx_free(v);
	}
}

static void test_names(void **state)
{
	assert_string_equal(vhost_user_feature_name(15), "mrg_rxbuf");
	assert_string_equal(vhost_user_feature_name(34), "ring_packed");
	assert_null(vhost_user_feature_name(50));
	assert_null(vhost_user_feature_name(64));
	assert_null(vhost_user_feature_name(UINT32_MAX));
	assert_string_equal(vhost_user_protocol_feature_name(3), "reply_ack");
	assert_null(vhost_user_protocol_feature_name(63));
}

static void test_info(void **state)
{
	struct vx *v = start(FRONT_BIT(FRONT_F_PACKED));
	struct vhost_user_info info;

	vx_ping(v, "one");
	vx_post(v, 0, 3);
	vhost_user_info(v->port, &info);
	assert_true(info.features == v->dev.features);
	assert_true(info.protocol_features == v->dev.protocol);
	assert_true(info.is_packed);
	assert_false(info.is_logging);
	assert_int_equal(info.n_rings, 2);
	assert_true(info.ring[0].is_running && info.ring[0].is_enabled);
	assert_int_equal(info.ring[0].size, 16);
	assert_int_equal(info.ring[0].fill, 3);
	assert_int_equal(info.ring[1].fill, 0);
	assert_int_equal(info.n_regions, 1);
	assert_int_equal(info.memory, 4 * MIB);
	assert_int_equal(info.sessions, 1);
	assert_int_equal(info.faults, 0);
	assert_int_equal(info.tx_size[0], 1);
	front_sock_close(&v->dev.sock);
	vx_step(v);
	vhost_user_info(v->port, &info);
	assert_int_equal(info.features, 0);
	assert_int_equal(info.n_rings, 0);
	assert_int_equal(info.n_regions, 0);
	assert_int_equal(info.tx_size[0], 1);
	vx_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VX_TEST(test_messages),
		VX_TEST(test_messages_of_wrong_size),
		VX_TEST(test_unknown_requests),
		VX_TEST(test_headers_that_cannot_be),
		VX_TEST(test_octet_by_octet),
		VX_TEST(test_end_within_a_message),
		VX_TEST(test_front_end_that_does_not_read),
		VX_TEST(test_attach_twice),
		VX_TEST(test_memory_that_cannot_be),
		VX_TEST(test_memory_of_wrong_files),
		VX_TEST(test_memory_not_shared),
		VX_TEST(test_slots_while_rings_run),
		VX_TEST(test_slots_said_twice),
		VX_TEST(test_as_many_slots_as_promised),
		VX_TEST(test_table_again),
		VX_TEST(test_status),
		VX_TEST(test_base_after_status_0),
		VX_TEST(test_untouched_ring),
		VX_TEST(test_reset_device),
		VX_TEST(test_reset_owner),
		VX_TEST(test_rarp),
		VX_TEST(test_mtu),
		VX_TEST(test_config),
		VX_TEST(test_features_refused),
		VX_TEST(test_features_change_while_running),
		VX_TEST(test_split_ring_at_the_end_of_memory),
		VX_TEST(test_size_before_features),
		VX_TEST(test_offloads),
		VX_TEST(test_header_to_guest),
		VX_TEST(test_names),
		VX_TEST(test_info),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
