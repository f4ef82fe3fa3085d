// SPDX-License-Identifier: Apache-2.0
/*
 * A vhost-user port from the first octet of its socket: a front-end that says anything in any
 * order, with descriptors of any kind, in any pieces, and memory that holds anything or goes away.
 * Between messages the port works as a worker makes it work; or a second thread does so all the
 * time. That:
 *
 *   quiesce() is called before anything goes that a worker may use, and never by a worker;
 *   what is watched is unwatched before it is closed; answers are whole, and answers;
 *   nothing is left open, mapped or allocated;
 *   whatever happened, the next front-end gets a device that works.
 *
 *   offset 0   bits: 0-1 queue pairs (1, 2, 16, 1), 2 GET_CONFIG, 3 offloads, 4 a state file,
 *              5 watch() fails, 6 the second thread, 7 packed rings in the session at the end
 *          1   operations: a number, then arguments; see operations[]
 */
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "guest_mem.h"
#include "vhost_sane.h"
#include "vhost_user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	FILES = 3, /* memory of the guest; the last one is for logs */
	FILE_SIZE = 0x40000,
	WATCHED_MAX = 64,
	FDS_MAX = 12, /* of a message; more than there may be */
	OPERATIONS_MAX = 200,
};

struct machine {
	struct burst burst; /* first: it wants the alignment of the whole */
	struct port *port;
	int file[FILES], state, null;
	int socket; /* the front-end's end; -1: none */
	int watched[WATCHED_MAX];
	unsigned n_watched;
	bool watch_fails;
	const uint8_t *at, *end; /* of the input */
	uint8_t *octets;	 /* of frames that are sent to the guest */
	uint64_t sum;		 /* of what was read of the guest's, so that it is read */

	/* the worker */
	bool is_threaded;
	pthread_t thread;
	bool is_started;
	int wake; /* eventfd */
	_Atomic bool in_turn;
	_Atomic bool run, is_running;
	_Atomic uint64_t n_turns;
};

static uint8_t get8(struct machine *m)
{
	return m->at < m->end ? *m->at++ : 0;
}

static uint16_t get16(struct machine *m)
{
	uint8_t low = get8(m);

	return (uint16_t)(low | get8(m) << 8);
}

/* ---- the worker ---- */

static void rx_turn(struct machine *m, unsigned max)
{
	struct port *p = m->port;
	unsigned n;

	m->burst.discarded = 0;
	n = p->ops->rx(p, &m->burst, max);
	assert(n <= max);
	for (unsigned i = 0; i < n; i++) {
		const struct frame *f = &m->burst.frame[i];

		assert(f->n_iov >= 1 && f->n_iov <= FRAME_IOV_MAX);
		for (unsigned k = 0; k < f->n_iov; k++) {
			const uint8_t *o = f->iov[k].iov_base;

			for (size_t at = 0; at < f->iov[k].iov_len; at += 61)
				m->sum += o[at];
		}
	}
	if (n + m->burst.discarded)
		p->ops->rx_done(p);
}

static void tx_turn(struct machine *m, unsigned n, uint32_t size)
{
	const struct frame *f[BURST_MAX];
	struct frame frame[BURST_MAX];
	struct iovec iov[BURST_MAX][2];

	for (unsigned i = 0; i < n; i++) {
		uint32_t head = size < FRAME_HEAD_SIZE ? size : FRAME_HEAD_SIZE;

		iov[i][0] = (struct iovec){ m->octets + 16 * i, head };
		iov[i][1] = (struct iovec){ m->octets + head, size - head };
		frame[i] =
			(struct frame){ .iov = iov[i], .size = size, .n_iov = size > head ? 2 : 1 };
		f[i] = &frame[i];
	}
	assert(n == BURST_MAX || !(m->port->ops->tx(m->port, f, n) >> n));
	m->port->ops->flush(m->port);
}

static void *worker(void *arg)
{
	struct machine *m = arg;

	for (;;) {
		if (!m->run) {
			m->is_running = false;
			assert(read(m->wake, &(uint64_t){ 0 }, sizeof(uint64_t)) > 0);
			continue;
		}
		m->is_running = true;
		m->in_turn = true;
		if (!m->run)
			m->in_turn = false;
		else {
			rx_turn(m, BURST_MAX);
			tx_turn(m, 3, m->n_turns % 3000 + 14);
			if (m->n_turns % 4 == 0)
				m->port->ops->arm(m->port);
			m->n_turns++;
			m->in_turn = false;
		}
		if (m->n_turns % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void worker_wait(struct machine *m)
{
	uint64_t before = m->n_turns;

	while (m->in_turn && m->n_turns == before)
		sched_yield();
}

static void worker_start(struct machine *m)
{
	if (!m->is_started)
		assert(pthread_create(&m->thread, NULL, worker, m) == 0);
	m->is_started = true;
	m->run = true;
	assert(write(m->wake, &(uint64_t){ 1 }, sizeof(uint64_t)) > 0);
}

static void worker_stop(struct machine *m)
{
	m->run = false;
	while (m->in_turn || (m->is_started && m->is_running))
		sched_yield();
}

/* ---- hooks ---- */

static void hook_quiesce(void *aux)
{
	struct machine *m = aux;

	assert(m->is_threaded || !m->in_turn);
	worker_wait(m);
}

static int hook_watch(void *aux, int fd)
{
	struct machine *m = aux;

	assert(fcntl(fd, F_GETFD) >= 0 && m->n_watched < WATCHED_MAX);
	if (m->watch_fails)
		return -1;
	for (unsigned i = 0; i < m->n_watched; i++)
		assert(m->watched[i] != fd);
	m->watched[m->n_watched++] = fd;
	return 0;
}

static void hook_unwatch(void *aux, int fd)
{
	struct machine *m = aux;
	unsigned i = 0;

	while (i < m->n_watched && m->watched[i] != fd)
		i++;
	assert(i < m->n_watched && fcntl(fd, F_GETFD) >= 0);
	m->watched[i] = m->watched[--m->n_watched];
}

static void hook_changed(void *aux)
{
	struct machine *m = aux;
	struct vhost_user_state s;

	vhost_user_state(m->port, &s);
	assert(s.link != VHOST_USER_FAULTY || (s.why.code && s.why.message[0]));
}

static void hook_announce(void *aux, struct mac mac)
{
	assert(!mac_is_group(mac) && !mac_is_zero(mac));
}

/* ---- the connection ---- */

static void connect_port(struct machine *m)
{
	int fd[2];

	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) == 0);
	assert(vhost_user_attach(m->port, fd[0]) == 0);
	m->socket = fd[1];
}

static void disconnect(struct machine *m)
{
	if (m->socket >= 0)
		close(m->socket);
	m->socket = -1;
}

/* Read the answers that are there: each is whole, and is one. */
static void read_answers(struct machine *m)
{
	uint8_t octets[8192];
	char control[CMSG_SPACE(sizeof(int) * 64)];

	for (;;) {
		struct iovec iov = { octets, sizeof(octets) };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(m->socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), at = 0;

		if (n <= 0)
			return;
		while (at < n) {
			uint32_t header[3];

			assert(n - at >= (ssize_t)sizeof(header));
			memcpy(header, octets + at, sizeof(header));
			assert(header[1] == 5 && header[2] <= 512);
			at += (ssize_t)sizeof(header) + header[2];
		}
		assert(at == n);
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
			int fd;

			assert(c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)));
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
			close(fd);
		}
	}
}

/* What the daemon does when the socket is readable, and when a worker reported a fault. */
static void daemon_looks(struct machine *m)
{
	struct err why;

	if (atomic_load(&m->port->fault)) {
		m->port->fault_told = true;
		vhost_user_faulted(m->port);
	}
	if (!vhost_user_is_attached(m->port) || vhost_user_input(m->port, &why))
		return;
	assert(!vhost_user_is_attached(m->port) && (!why.code || why.message[0]));
	disconnect(m);
}

/* ---- operations ---- */

static int make_fd(struct machine *m, uint8_t kind)
{
	int pair[2], fd;

	switch (kind % 12) {
	case 0:
	case 1:
	case 2:
		return dup(m->file[kind % 12]);
	case 3:
	case 4:
	case 5:
	case 6:
		fd = eventfd(0, EFD_CLOEXEC | (kind & 1 ? EFD_NONBLOCK : 0));
		if (kind % 12 == 6) /* full: who writes more, waits */
			assert(write(fd, &(uint64_t){ UINT64_MAX - 1 }, 8) == 8);
		return fd;
	case 7: /* a small file */
		fd = memfd_create("small", MFD_CLOEXEC);
		assert(ftruncate(fd, 0x1000) == 0);
		return fd;
	case 8:
		assert(pipe2(pair, O_CLOEXEC) == 0);
		close(pair[0]);
		return pair[1];
	case 9:
		return dup(m->null);
	case 10:
		return dup(m->socket);
	default:
		return open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	}
}

static void send_part(struct machine *m, const void *octets, size_t size, const int *fd, unsigned n)
{
	char control[CMSG_SPACE(sizeof(int) * FDS_MAX)] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)octets, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (n) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(c), fd, sizeof(int) * n);
	}
	if (size)
		(void)!sendmsg(m->socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/*
 * A message: request; bits 0-3 flags of the header, 4 in two pieces, 5 nobody looks yet, 6 nobody
 * reads the answers, 7 the size in the header is wrong by the next octet; how many descriptors, and
 * the kind of each; octets of payload, and the payload.
 */
static void op_message(struct machine *m)
{
	uint8_t request = get8(m), bits = get8(m), wrong = bits & 0x80 ? get8(m) : 0;
	uint8_t n_fds = get8(m) % FDS_MAX, octets[12 + 512];
	int fd[FDS_MAX];
	uint32_t n, header[3], first;

	for (unsigned i = 0; i < n_fds; i++)
		fd[i] = make_fd(m, get8(m));
	n = get16(m) % 513;
	if (n > m->end - m->at)
		n = (uint32_t)(m->end - m->at);
	header[0] = request;
	header[1] = bits & 15;
	header[2] = n + (uint32_t)(int8_t)wrong;
	memcpy(octets, header, sizeof(header));
	memcpy(octets + sizeof(header), m->at, n);
	m->at += n;
	n += sizeof(header);
	if (m->socket < 0 && !vhost_user_is_attached(m->port))
		connect_port(m);
	first = bits & 0x10 ? (request * 7u + bits) % n : n;
	send_part(m, octets, first ? first : n, fd, n_fds);
	if (first && first < n) {
		daemon_looks(m);
		if (m->socket >= 0)
			send_part(m, octets + first, n - first, NULL, 0);
	}
	for (unsigned i = 0; i < n_fds; i++)
		close(fd[i]);
	if (bits & 0x20)
		return;
	daemon_looks(m);
	if (m->socket >= 0 && !(bits & 0x40))
		read_answers(m);
}

/* The guest writes: which file, where (times 4), octets. By a call, as the file may be short. */
static void op_write(struct machine *m)
{
	int fd = m->file[get8(m) % FILES];
	off_t at = get16(m) * 4;
	uint8_t n = get8(m);

	if (n > m->end - m->at)
		n = (uint8_t)(m->end - m->at);
	(void)!pwrite(fd, m->at, n, at);
	m->at += n;
}

static void op_rx(struct machine *m)
{
	uint8_t how = get8(m);

	if (m->is_threaded)
		return;
	m->in_turn = true;
	rx_turn(m, 1 + how % BURST_MAX);
	if (how & 64)
		m->port->ops->arm(m->port);
	m->in_turn = false;
}

static void op_tx(struct machine *m)
{
	uint8_t n = get8(m);
	uint32_t size = get16(m);

	if (m->is_threaded)
		return;
	m->in_turn = true;
	tx_turn(m, 1 + n % BURST_MAX, size < ETH_HEADER_SIZE ? ETH_HEADER_SIZE : size);
	m->in_turn = false;
}

/* A file becomes shorter while it is mapped, or longer. */
static void op_truncate(struct machine *m)
{
	int fd = m->file[get8(m) % FILES];

	assert(ftruncate(fd, get8(m) % 65 * 0x1000) == 0);
}

/* What the operator asks and changes, and ways of the connection to end. */
static void op_control(struct machine *m)
{
	struct vhost_user_settings s = { .mac = { { 2, 0, 0, 0, 0, 1 } }, .mtu = 1500 };
	struct vhost_user_state state;
	struct vhost_user_info info;
	uint8_t what = get8(m);

	switch (what % 8) {
	case 0:
		s.mtu = what & 8 ? 9000 : 1500;
		s.offload = what & 16;
		vhost_user_set(m->port, &s);
		break;
	case 1:
		vhost_user_faulted(m->port);
		break;
	case 2:
		vhost_user_detach(m->port);
		disconnect(m);
		break;
	case 3:
		disconnect(m); /* by the front-end */
		break;
	case 4:
		if (m->socket >= 0)
			shutdown(m->socket, SHUT_WR);
		break;
	case 5:
		if (m->socket >= 0)
			read_answers(m);
		break;
	default:
		break;
	}
	vhost_user_state(m->port, &state);
	vhost_user_info(m->port, &info);
	assert(info.n_rings <= VHOST_USER_PAIRS_MAX * 2);
	for (unsigned i = 0; i < info.n_rings; i++)
		assert(info.ring[i].fill <= info.ring[i].size);
	daemon_looks(m);
}

static void (*const operations[])(struct machine *m) = {
	op_message, op_write, op_rx, op_tx, op_truncate, op_control, op_message, op_message,
};

/* ---- afterwards ---- */

/* The front-end that keeps the rules waits for an answer. */
static void sane_step(void *aux)
{
	daemon_looks(aux);
}

static unsigned count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 64; fd++) /* new ones get the lowest numbers */
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Memory files that are mapped; the state file is not one of them any more by now. */
static unsigned count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned n = 0;

	assert(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "/memfd:") != NULL;
	fclose(f);
	return n;
}

static struct machine *machine_new(void)
{
	struct machine *m = aligned_alloc(_Alignof(struct machine), sizeof(*m));

	assert(m);
	memset(m, 0, sizeof(*m));
	m->socket = -1;
	m->burst.arena = malloc((size_t)BURST_MAX * ARENA_SLOT_SIZE);
	m->burst.octets_max = 256 << 10;
	m->octets = malloc(0x10000 + 16 * BURST_MAX);
	assert(m->burst.arena && m->octets);
	for (unsigned i = 0; i < 0x10000 + 16 * BURST_MAX; i++)
		m->octets[i] = (uint8_t)(i * 7 + (i >> 8));
	for (unsigned i = 0; i < FILES; i++)
		m->file[i] = memfd_create("guest", MFD_CLOEXEC);
	m->state = memfd_create("state", MFD_CLOEXEC);
	m->wake = eventfd(0, EFD_CLOEXEC);
	m->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert(m->null >= 0);
	assert(guest_fault_install() == 0);
	return m;
}

static void port_make(struct machine *m, uint8_t bits)
{
	static const uint16_t pairs[] = { 1, 2, VHOST_USER_PAIRS_MAX, 1 };
	struct vhost_user_spec s = {
		.pairs_max = pairs[bits & 3],
		.has_config = bits & 4,
		.state_fd = bits & 16 ? m->state : -1,
		.settings = { .mac = { { 2, 0, 0, 0, 0, 1 } }, .mtu = 1500, .offload = bits & 8 },
		.hooks = { m, hook_quiesce, hook_watch, hook_unwatch, hook_changed, hook_announce },
	};

	for (unsigned i = 0; i < FILES; i++)
		assert(ftruncate(m->file[i], 0) == 0 && ftruncate(m->file[i], FILE_SIZE) == 0);
	assert(ftruncate(m->state, 0) == 0 && ftruncate(m->state, VHOST_USER_STATE_SIZE) == 0);
	m->port = vhost_user_port_new(&s, 1);
	assert(m->port);
	m->watch_fails = bits & 32;
	m->is_threaded = bits & 64;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct machine *m;
	unsigned n_fds, n_maps;

	if (size < 2)
		return 0;
	if (!m)
		m = machine_new();
	n_fds = count_fds();
	n_maps = count_maps();
	port_make(m, data[0]);
	m->at = data + 1;
	m->end = data + size;
	if (m->is_threaded)
		worker_start(m);
	for (unsigned i = 0; i < OPERATIONS_MAX && m->at < m->end; i++)
		operations[get8(m) % (sizeof(operations) / sizeof(operations[0]))](m);
	worker_stop(m);
	m->is_threaded = false;
	daemon_looks(m);
	vhost_user_detach(m->port);
	disconnect(m);
	m->watch_fails = false;
	assert(!m->n_watched);
	vhost_sane_session(m->port, &m->burst, data[0] & 128, sane_step, m);
	assert(!vhost_user_is_attached(m->port));
	assert(!m->n_watched);
	port_free(m->port);
	assert(count_fds() == n_fds);
	assert(count_maps() == n_maps);
	return 0;
}
