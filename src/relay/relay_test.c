// SPDX-License-Identifier: Apache-2.0
/*
 * The relay with its threads: frames flow, views are swapped under load, nothing that was removed
 * is used again, no wake-up is lost, and an idle worker sleeps. To be run with the address and the
 * thread sanitizer, too. Ports are socket pairs, whose far ends are the tests' own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "eth.h"
#include "relay.h"

enum {
	PORTS = 16,
	FRAME_SIZE = 64,
	WAIT_S = 20, /* for what has to come; only a bug lets anyone wait so long */
	SWAPS = 1000,
	PINGS = 100000,
};

/* ---- ports that are socket pairs ---- */

/* Stands for the rings of a virtqueue: the worker writes here until the control thread frees it. */
struct rings {
	uint64_t used;
	bool is_gone;
};

/*
 * A plain pair wakes the worker whenever a frame comes. An armed one is like a virtqueue: it does
 * so only if it was asked to since the last time, and then through a descriptor of its own.
 */
struct pair {
	struct port port;
	_Atomic(struct rings *) rings; /* what the control thread replaces under traffic */
	int block;		       /* flush() blocks in reading this; -1: it does not */
	_Atomic unsigned interrupted;  /* how often that was interrupted */
	int near, far;
	_Atomic bool breaks;	  /* rx() fails from now on */
	_Atomic bool is_armed;	  /* the next frame writes to port.fd */
	_Atomic uintptr_t sender; /* thread between tx() and flush(); 0: none */
	uint8_t late[FRAME_SIZE]; /* a frame that comes while the worker arms the port */
	_Atomic bool has_late;
};

static void pair_close(struct port *p)
{
	struct pair *k = (struct pair *)p;

	close(k->near);
	close(k->far);
	if (p->fd != k->near)
		close(p->fd);
}

static unsigned pair_rx(struct port *p, struct burst *b, unsigned max)
{
	struct pair *k = (struct pair *)p;
	struct rings *rings = atomic_load(&k->rings);
	unsigned n = 0;

	if (atomic_load(&k->breaks)) {
		atomic_store(&p->fault, PORT_FAULT_BROKEN);
		return 0;
	}
	for (; n < max; n++) {
		ssize_t size = recv(k->near, burst_slot(b, n), FRAME_SIZE_MAX, MSG_DONTWAIT);

		if (size <= 0)
			break;
		b->iov[n][0] = (struct iovec){ burst_slot(b, n), (size_t)size };
		b->frame[n] =
			(struct frame){ .iov = b->iov[n], .n_iov = 1, .size = (uint32_t)size };
	}
	b->more = n == max;
	if (rings) {
		rings->used += n;
		if (rings->is_gone) {
			fprintf(stderr, "port %u uses rings that are gone\n", p->id);
			abort();
		}
	}
	return n;
}

/* From tx() to flush() a port is one worker's. No assertion of cmocka's: this is another thread. */
static uint64_t pair_tx(struct port *p, const struct frame *const *f, unsigned n)
{
	struct pair *k = (struct pair *)p;
	uintptr_t nobody = 0, self = (uintptr_t)pthread_self();
	uint64_t taken = 0;

	if (!atomic_compare_exchange_strong(&k->sender, &nobody, self) && nobody != self) {
		fprintf(stderr, "two workers send to port %u at once\n", p->id);
		abort();
	}
	for (unsigned i = 0; i < n; i++) {
		struct iovec iov[FRAME_IOV_MAX + 2];
		struct msghdr m = { .msg_iov = iov, .msg_iovlen = f[i]->n_iov };

		memcpy(iov, f[i]->iov, f[i]->n_iov * sizeof(*iov));
		if (sendmsg(k->near, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			taken |= UINT64_C(1) << i;
	}
	return taken;
}

static void pair_flush(struct port *p)
{
	struct pair *k = (struct pair *)p;
	char octet;

	atomic_store(&k->sender, 0);
	if (k->block >= 0 && read(k->block, &octet, 1) < 0 && errno == EINTR)
		atomic_fetch_add(&k->interrupted, 1);
}

static bool pair_arm(struct port *p)
{
	struct pair *k = (struct pair *)p;
	char octet;

	if (atomic_load(&k->has_late)) { /* as if it came just now: nobody wakes the worker */
		atomic_store(&k->has_late, false);
		(void)!send(k->far, k->late, sizeof(k->late), MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	atomic_store(&k->is_armed, true);
	return recv(k->near, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static const struct port_ops pair_ops = {
	.kind = "pair", .close = pair_close, .rx = pair_rx, .tx = pair_tx, .flush = pair_flush
};

static const struct port_ops armed_ops = { .kind = "armed",
					   .close = pair_close,
					   .rx = pair_rx,
					   .tx = pair_tx,
					   .flush = pair_flush,
					   .arm = pair_arm };

static struct pair *pair_new(const struct port_ops *ops, port_id id, unsigned n_workers)
{
	struct timeval wait = { .tv_sec = WAIT_S };
	struct pair *k = calloc(1, sizeof(*k));
	int fd[2];

	assert_non_null(k);
	assert_true(port_init(&k->port, ops, n_workers));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(setsockopt(fd[1], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
	k->near = fd[0];
	k->far = fd[1];
	k->port.fd = ops->arm ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : k->near;
	assert_true(k->port.fd >= 0);
	atomic_init(&k->is_armed, ops->arm);
	k->block = -1;
	k->port.id = id;
	return k;
}

/* ---- the bed: a learning relay, or an edge relay, of pairs ---- */

struct bed {
	struct relay *relay;
	unsigned n_workers;
	const struct port_ops *ops;
	struct pair *pair[PORTS];
	struct view_port port[PORTS];
	struct owner owner[PORTS];
	uint32_t n_owners;
	bool is_learning;
	uint64_t generation;
	struct port_counters gone; /* of ports that were removed */
};

static struct mac mac_of(unsigned id)
{
	return (struct mac){ { 2, 0, 0, 0, (uint8_t)(id >> 8), (uint8_t)id } };
}

static void bed_make(struct bed *b, const struct port_ops *ops, unsigned n_workers)
{
	*b = (struct bed){
		.ops = ops, .n_workers = n_workers, .is_learning = true, .generation = 1
	};
	b->relay = relay_new(n_workers);
	assert_non_null(b->relay);
	assert_int_equal(relay_n_workers(b->relay), n_workers);
}

static void bed_free(struct bed *b)
{
	relay_free(b->relay);
	for (unsigned i = 0; i < PORTS; i++) {
		if (b->pair[i])
			port_free(&b->pair[i]->port);
	}
}

/* Slot `id` of the next view gets a port, which owns the MAC of its number. */
static void bed_add(struct bed *b, port_id id)
{
	struct pair *k = pair_new(b->ops, id, b->n_workers);

	b->pair[id] = k;
	b->port[id] = (struct view_port){ .port = &k->port,
					  .size_max = 1514,
					  .pvid = VID_DEFAULT,
					  .role = FWD_RELAY_PORT,
					  .flags = VIEW_UP | VIEW_METERED_IN | VIEW_METERED_OUT };
}

static void bed_show(struct bed *b)
{
	/* More than there will be, so that meters run, in all workers, and nothing is refused. */
	static struct meter_limits limit[PORTS];
	struct view_spec s = { .generation = ++b->generation,
			       .seed = b->generation,
			       .n_ports = PORTS,
			       .n_bridges = 1,
			       .port = b->port,
			       .limit = limit,
			       .bridge_is_learning = &b->is_learning,
			       .owner = b->owner };
	struct fwd_view *v;

	b->n_owners = 0;
	for (port_id i = 0; i < PORTS; i++) {
		limit[i].set = (1u << METERS_N) - 1;
		for (unsigned m = 0; m < METERS_N; m++)
			limit[i].of[m] = meter_limit_of((enum meter_id)m, UINT64_C(1) << 40, 0);
		if (b->port[i].port)
			b->owner[b->n_owners++] = (struct owner){ .mac = mac_of(i),
								  .port = i,
								  .fid = owners_fid(0, VID_DEFAULT),
								  .vid = VID_DEFAULT,
								  .flags = OWNER_LEARNED };
	}
	s.n_owners = b->n_owners;
	v = view_build(&s);
	assert_non_null(v);
	relay_set_view(b->relay, v);
	assert_ptr_equal(relay_view(b->relay), v);
}

/* Ports 0..n-1, watched. */
static void bed_fill(struct bed *b, unsigned n)
{
	for (port_id i = 0; i < n; i++)
		bed_add(b, i);
	bed_show(b);
	for (port_id i = 0; i < n; i++)
		assert_int_equal(relay_watch(b->relay, &b->pair[i]->port), 0);
}

static void bed_sum(const struct bed *b, struct port_counters *sum)
{
	struct port_counters one;

	*sum = b->gone;
	for (unsigned i = 0; i < PORTS; i++) {
		if (!b->pair[i])
			continue;
		port_counters_sum(&b->pair[i]->port, b->n_workers, &one);
		port_counters_add(sum, &one);
	}
}

/* To be called when the workers have stopped. */
static void bed_conserves(const struct bed *b)
{
	struct port_counters sum;
	uint64_t dropped = 0;

	bed_sum(b, &sum);
	for (int r = 0; r < DROP_REASONS_N; r++)
		dropped += sum.drops[r];
	assert_int_equal(sum.rx_frames + sum.replicated + sum.originated,
			 sum.tx_frames + sum.punted + dropped);
}

/* Stop the workers, and keep the ports to look at their counters. */
static void bed_stop(struct bed *b)
{
	relay_free(b->relay);
	b->relay = NULL;
}

/* ---- frames ---- */

struct frame_head {
	struct mac dst, src;
	uint8_t type[2];
	uint8_t pad[2];
	uint32_t number;
};

static void make_frame(uint8_t *octets, struct mac dst, struct mac src, uint32_t number)
{
	struct frame_head h = { .dst = dst, .src = src, .type = { 8, 0 }, .number = number };

	memset(octets, 0, FRAME_SIZE);
	memcpy(octets, &h, sizeof(h));
}

static bool send_frame(struct pair *k, struct mac dst, struct mac src, uint32_t number)
{
	uint8_t octets[FRAME_SIZE];

	make_frame(octets, dst, src, number);
	if (send(k->far, octets, sizeof(octets), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(octets))
		return false;
	if (atomic_exchange(&k->is_armed, false))
		(void)!write(k->port.fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	return true;
}

/* The next frame at a far end; false if there is none (after WAIT_S, unless `flags` says). */
static bool get_frame(struct pair *k, struct frame_head *h, int flags)
{
	uint8_t octets[2048];
	ssize_t size = recv(k->far, octets, sizeof(octets), flags);

	if (size < (ssize_t)sizeof(*h))
		return false;
	assert_int_equal(size, FRAME_SIZE);
	memcpy(h, octets, sizeof(*h));
	return true;
}

static const struct mac broadcast = { { 255, 255, 255, 255, 255, 255 } };

/* ---- start, stop ---- */

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_start_stop(void **state)
{
	unsigned before = count_fds();
	struct relay *r;

	relay_free(NULL);
	for (unsigned i = 0; i < 50; i++) {
		r = relay_new(1 + i % 4);
		assert_non_null(r);
		assert_int_equal(relay_view(r)->n_ports, 0);
		assert_int_equal(relay_seen(r, 0), 0);
		relay_free(r);
	}
	assert_int_equal(count_fds(), before);
}

/* ---- traffic through several workers ---- */

struct sender {
	struct bed *b;
	port_id from;
	_Atomic bool *stop;
	uint32_t n_ports, sent[PORTS]; /* by destination */
};

/* Send numbered frames to the others in turn, until told to stop; what is refused is lost. */
static void *send_all(void *arg)
{
	struct sender *s = arg;
	struct pair *k = s->b->pair[s->from];

	for (uint32_t i = 0; !atomic_load(s->stop); i++) {
		unsigned to = i % s->n_ports;

		if (to == s->from)
			continue;
		if (send_frame(k, mac_of(to), mac_of(s->from), s->sent[to]))
			s->sent[to]++;
		else
			sched_yield();
	}
	return NULL;
}

/* Take what waits at the far end of `port`; numbers rise by source. Returns how many. */
static uint32_t take_all(struct bed *b, port_id port, uint32_t *next)
{
	struct frame_head h;
	uint32_t n = 0;

	while (get_frame(b->pair[port], &h, MSG_DONTWAIT)) {
		unsigned src = h.src.b[5];

		assert_true(mac_equal(h.dst, mac_of(port)));
		assert_in_range(src, 0, PORTS - 1);
		assert_true(h.number >= next[src]); /* order; the queue may have been full */
		next[src] = h.number + 1;
		n++;
	}
	return n;
}

/* Wait until the relay has taken all that was sent at the far ends. */
static void wait_taken(const struct bed *b)
{
	for (unsigned i = 0; i < PORTS; i++) {
		int left = b->pair[i] ? 1 : 0;

		for (unsigned ms = 0; left; ms++) {
			assert_int_equal(ioctl(b->pair[i]->far, SIOCOUTQ, &left), 0);
			if (left && ms >= WAIT_S * 1000)
				fail_msg("port %u: %d octets wait, and the worker sleeps", i, left);
			if (left)
				nanosleep(&(struct timespec){ .tv_nsec = NS_PER_MS }, NULL);
		}
	}
}

/* Every frame sent was received by the relay, and is delivered or counted as dropped. */
static void run_traffic(const struct port_ops *ops, unsigned n_workers)
{
	enum { N = 6, ENOUGH = 20000 };
	static uint32_t next[N][PORTS];
	_Atomic bool stop = false;
	struct sender sender[N] = { 0 };
	pthread_t thread[N];
	struct bed b;
	struct port_counters sum;
	uint64_t received = 0, sent = 0;

	memset(next, 0, sizeof(next));
	bed_make(&b, ops, n_workers);
	bed_fill(&b, N);
	for (port_id i = 0; i < N; i++) {
		sender[i] = (struct sender){ .b = &b, .from = i, .stop = &stop, .n_ports = N };
		assert_int_equal(pthread_create(&thread[i], NULL, send_all, &sender[i]), 0);
	}
	while (received < ENOUGH)
		for (port_id i = 0; i < N; i++)
			received += take_all(&b, i, next[i]);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < N; i++) {
		pthread_join(thread[i], NULL);
		for (unsigned to = 0; to < N; to++)
			sent += sender[i].sent[to];
	}
	wait_taken(&b);
	bed_stop(&b);
	for (port_id i = 0; i < N; i++)
		received += take_all(&b, i, next[i]);
	bed_conserves(&b);
	bed_sum(&b, &sum);
	assert_int_equal(sum.rx_frames, sent);
	assert_int_equal(sum.tx_frames, received);
	assert_int_equal(sum.drops[DROP_queue_full], sent - received);
	bed_free(&b);
}

static void test_traffic(void **state)
{
	for (unsigned n = 1; n <= 4; n++)
		run_traffic(&pair_ops, n);
	run_traffic(&armed_ops, 2);
}

/* ---- no wake-up is lost ---- */

/* A frame there, a frame back: each has to wake a worker that may be going to sleep just now. */
static void run_ping(const struct port_ops *ops, unsigned n_workers, unsigned n)
{
	struct bed b;
	struct frame_head h;
	uint64_t x = 88172645463325252;

	bed_make(&b, ops, n_workers);
	bed_fill(&b, 2);
	for (uint32_t i = 0; i < n; i++) {
		unsigned from = i & 1;

		assert_true(send_frame(b.pair[from], mac_of(!from), mac_of(from), i));
		if (!get_frame(b.pair[!from], &h, 0))
			fail_msg("frame %u never came: the worker sleeps", i);
		assert_int_equal(h.number, i);
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		for (uint64_t pause = x % 4096 * !(x >> 63); pause; pause--)
			__builtin_ia32_pause();
	}
	bed_stop(&b);
	bed_conserves(&b);
	bed_free(&b);
}

static void test_ping_pong(void **state)
{
	run_ping(&pair_ops, 1, PINGS);
	run_ping(&pair_ops, 2, PINGS / 4);
	run_ping(&armed_ops, 1, PINGS / 4);
}

/* A frame that comes between the last look at a port and its arming is taken, too. */
static void test_late_frame(void **state)
{
	struct bed b;
	struct frame_head h;

	bed_make(&b, &armed_ops, 1);
	bed_fill(&b, 2);
	for (uint32_t i = 0; i < 1000; i += 2) {
		make_frame(b.pair[0]->late, mac_of(1), mac_of(0), i + 1);
		atomic_store(&b.pair[0]->has_late, true);
		assert_true(send_frame(b.pair[0], mac_of(1), mac_of(0), i));
		/* The late one is first if the port was armed before the other was sent. */
		for (unsigned k = 0, seen = 0; k < 2; k++) {
			if (!get_frame(b.pair[1], &h, 0))
				fail_msg("frame after %u never came: the worker sleeps", i);
			assert_in_range(h.number, i, i + 1);
			assert_false(seen & 1u << (h.number - i));
			seen |= 1u << (h.number - i);
		}
	}
	bed_free(&b);
}

/* What waits when the port is first watched is taken, too. */
static void test_watch_finds_what_waits(void **state)
{
	struct bed b;
	struct frame_head h;

	bed_make(&b, &pair_ops, 1);
	bed_add(&b, 0);
	bed_add(&b, 1);
	for (uint32_t i = 0; i < 100; i++)
		assert_true(send_frame(b.pair[0], mac_of(1), mac_of(0), i));
	bed_show(&b);
	assert_int_equal(relay_watch(b.relay, &b.pair[0]->port), 0);
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(get_frame(b.pair[1], &h, 0));
		assert_int_equal(h.number, i);
	}
	bed_free(&b);
}

/* ---- views are swapped under load ---- */

/* Ports 0..3 stay and have senders; a port of the other slots goes, another comes. */
static void swap_one(struct bed *b, uint64_t *x)
{
	struct frame_head h;
	struct port_counters c;
	port_id id;

	*x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
	id = (port_id)(4 + *x % (PORTS - 4));
	if (b->pair[id]) {
		struct pair *old = b->pair[id];

		relay_unwatch(b->relay, &old->port);
		b->port[id].port = NULL;
		b->pair[id] = NULL;
		bed_show(b);
		port_counters_sum(&old->port, b->n_workers, &c);
		port_counters_add(&b->gone, &c);
		port_free(&old->port);
		if (*x >> 40 & 1)
			return;
	}
	bed_add(b, id);
	bed_show(b);
	assert_int_equal(relay_watch(b->relay, &b->pair[id]->port), 0);
	for (unsigned i = 0; i < 3; i++) {
		send_frame(b->pair[id], broadcast, mac_of(id), i);
		send_frame(b->pair[id], mac_of(*x >> (8 * i) & 15), mac_of(id), i);
	}
	for (port_id i = 0; i < PORTS; i++)
		while (b->pair[i] && get_frame(b->pair[i], &h, MSG_DONTWAIT))
			;
}

static void run_swaps(const struct port_ops *ops, unsigned n_workers, unsigned n)
{
	enum { STAY = 4 };
	_Atomic bool stop = false;
	struct sender sender[STAY];
	pthread_t thread[STAY];
	struct port_counters sum;
	uint64_t x = 2463534242 + n_workers;
	struct bed b;

	bed_make(&b, ops, n_workers);
	bed_fill(&b, STAY);
	for (port_id i = 0; i < STAY; i++) { /* they send to all slots: known, unknown, just gone */
		sender[i] = (struct sender){ .b = &b, .from = i, .stop = &stop, .n_ports = PORTS };
		assert_int_equal(pthread_create(&thread[i], NULL, send_all, &sender[i]), 0);
	}
	for (unsigned i = 0; i < n; i++)
		swap_one(&b, &x);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < STAY; i++)
		pthread_join(thread[i], NULL);
	bed_stop(&b);
	bed_conserves(&b);
	bed_sum(&b, &sum);
	assert_true(sum.tx_frames && sum.replicated);
	bed_free(&b);
}

static void test_swaps(void **state)
{
	run_swaps(&pair_ops, 1, SWAPS);
	run_swaps(&pair_ops, 3, SWAPS / 2);
	run_swaps(&armed_ops, 2, SWAPS / 2);
}

/* ---- the control thread waits for workers ---- */

/* What a port uses is replaced under traffic, and what was used before is used no more. */
static void run_quiesce(const struct port_ops *ops, unsigned n_workers)
{
	enum { N = 3, ROUNDS = 2000 };
	static uint32_t next[N][PORTS];
	_Atomic bool stop = false;
	struct sender sender[N];
	pthread_t thread[N];
	struct rings *gone = NULL; /* not freed at once, so that a late user sees that it is */
	struct bed b;

	memset(next, 0, sizeof(next));
	bed_make(&b, ops, n_workers);
	bed_fill(&b, N);
	for (port_id i = 0; i < N; i++) {
		sender[i] = (struct sender){ .b = &b, .from = i, .stop = &stop, .n_ports = N };
		assert_int_equal(pthread_create(&thread[i], NULL, send_all, &sender[i]), 0);
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct rings *fresh = calloc(1, sizeof(*fresh)), *old;
		port_id id = (port_id)(round % N);

		assert_non_null(fresh);
		old = atomic_exchange(&b.pair[id]->rings, fresh);
		relay_quiesce(b.relay);
		free(gone);
		gone = old;
		if (gone)
			gone->is_gone = true;
		take_all(&b, id, next[id]);
	}
	free(gone);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < N; i++)
		pthread_join(thread[i], NULL);
	bed_stop(&b);
	bed_conserves(&b);
	for (unsigned i = 0; i < N; i++)
		free(atomic_load(&b.pair[i]->rings));
	bed_free(&b);
}

static void test_quiesce(void **state)
{
	struct bed b;

	run_quiesce(&pair_ops, 1);
	run_quiesce(&armed_ops, 2);
	bed_make(&b, &pair_ops, 2); /* all asleep */
	for (unsigned i = 0; i < 1000; i++)
		relay_quiesce(b.relay);
	bed_free(&b);
}

/* Have the worker of port 0 block in the flush() of port 1, once more. */
static void block_worker(struct bed *b, uint32_t number)
{
	struct frame_head h;

	assert_true(send_frame(b->pair[0], mac_of(1), mac_of(0), number));
	assert_true(get_frame(b->pair[1], &h, 0));
	assert_int_equal(h.number, number);
}

/* A port that blocks in a system call holds up neither the control thread nor, for long, itself. */
static void test_worker_is_stuck(void **state)
{
	struct pair *stuck;
	unsigned waited = 0;
	struct bed b;
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	bed_make(&b, &pair_ops, 1);
	bed_fill(&b, 2);
	stuck = b.pair[1];
	stuck->block = fd[0];
	for (uint32_t i = 1; i <= 10; i++) {
		block_worker(&b, i);
		if (i & 1)
			relay_quiesce(b.relay);
		else
			bed_show(&b);
		assert_int_equal(atomic_load(&stuck->interrupted), i);
	}
	block_worker(&b, 11);
	while (atomic_load(&stuck->interrupted) < 11) {
		assert_true(waited++ < WAIT_S * 100);
		relay_watchdog(b.relay);
		nanosleep(&(struct timespec){ .tv_nsec = 10 * NS_PER_MS }, NULL);
	}
	block_worker(&b, 12);
	bed_stop(&b);
	assert_int_equal(atomic_load(&stuck->interrupted), 12);
	bed_conserves(&b);
	bed_free(&b);
	close(fd[0]);
	close(fd[1]);
}

/* ---- further descriptors ---- */

static void test_watch_fd(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint8_t octets[FRAME_SIZE];
	struct frame_head h;
	struct bed b;

	assert_true(fd >= 0);
	bed_make(&b, &armed_ops, 2);
	bed_fill(&b, 3);
	assert_int_equal(relay_watch_fd(b.relay, 1, fd), 0);
	assert_int_equal(relay_watch_fd(b.relay, 1, fd), -EEXIST);
	assert_int_equal(relay_watch_fd(b.relay, 1, -1), -EBADF);
	for (uint32_t i = 0; i < 100; i++) { /* nobody reads it: only the edge counts */
		make_frame(octets, mac_of(2), mac_of(1), i);
		assert_int_equal(send(b.pair[1]->far, octets, FRAME_SIZE, 0), FRAME_SIZE);
		assert_int_equal(write(fd, &(uint64_t){ 1 }, sizeof(uint64_t)), sizeof(uint64_t));
		assert_true(get_frame(b.pair[2], &h, 0));
		assert_int_equal(h.number, i);
		if (i % 8 == 0) /* until the worker sleeps */
			nanosleep(&(struct timespec){ .tv_nsec = NS_PER_MS }, NULL);
	}
	nanosleep(&(struct timespec){ .tv_nsec = 20 * NS_PER_MS }, NULL);
	relay_unwatch_fd(b.relay, 1, fd);
	assert_int_equal(send(b.pair[1]->far, octets, FRAME_SIZE, 0), FRAME_SIZE);
	assert_int_equal(write(fd, &(uint64_t){ 1 }, sizeof(uint64_t)), sizeof(uint64_t));
	nanosleep(&(struct timespec){ .tv_nsec = 20 * NS_PER_MS }, NULL);
	assert_false(get_frame(b.pair[2], &h, MSG_DONTWAIT));
	assert_true(
		send_frame(b.pair[1], mac_of(2), mac_of(1), 100)); /* the port's own still does */
	for (uint32_t i = 99; i <= 100; i++) {
		assert_true(get_frame(b.pair[2], &h, 0));
		assert_int_equal(h.number, i);
	}
	bed_free(&b);
	close(fd);
}

/* ---- reports ---- */

static bool report_waits(const struct bed *b, int timeout_ms)
{
	struct pollfd p = { .fd = relay_report_fd(b->relay), .events = POLLIN };

	return poll(&p, 1, timeout_ms) > 0;
}

/* The next report; it has to come. */
static struct report report_next(struct bed *b)
{
	struct report r;

	while (!relay_report_get(b->relay, &r))
		assert_true(report_waits(b, WAIT_S * 1000));
	return r;
}

static void test_reports(void **state)
{
	struct frame_head h;
	struct bed b;
	struct report r;

	bed_make(&b, &pair_ops, 3);
	for (port_id i = 0; i < 6; i++) {
		bed_add(&b, i);
		b.port[i].learn_room = 100;
	}
	bed_show(&b);
	for (port_id i = 0; i < 6; i++)
		assert_int_equal(relay_watch(b.relay, &b.pair[i]->port), 0);
	assert_false(relay_report_get(b.relay, &r));
	for (unsigned round = 0; round < 50; round++) { /* an unknown source, now here, now there */
		unsigned from = round % 6;

		assert_true(send_frame(b.pair[from], mac_of(0), mac_of(1000 + round), round));
		r = report_next(&b);
		assert_int_equal(r.kind, REPORT_LEARN);
		assert_int_equal(r.port, from);
		assert_int_equal(r.bridge, 0);
		assert_int_equal(r.vid, VID_DEFAULT);
		assert_true(mac_equal(r.mac, mac_of(1000 + round)));
	}
	assert_false(relay_report_get(b.relay, &r));
	/* A fault is told of once, and by whoever meets it. */
	atomic_store(&b.pair[4]->breaks, true);
	for (unsigned i = 0; i < 20; i++)
		send_frame(b.pair[4], mac_of(0), mac_of(4), i);
	r = report_next(&b);
	assert_int_equal(r.kind, REPORT_FAULT);
	assert_int_equal(r.port, 4);
	for (unsigned i = 0; i < 20; i++) {
		assert_true(send_frame(b.pair[0], mac_of(4), mac_of(0), i));
		assert_true(get_frame(b.pair[4], &h, 0));
	}
	assert_false(relay_report_get(b.relay, &r));
	assert_false(report_waits(&b, 0));
	bed_free(&b);
}

static void test_seen(void **state)
{
	struct frame_head h;
	struct bed b;
	const struct owners *o;
	struct timespec ts;
	tstamp before, seen = 0;

	bed_make(&b, &pair_ops, 1);
	bed_fill(&b, 2);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	before = (tstamp)ts.tv_sec * NS_PER_S;
	assert_true(send_frame(b.pair[0], mac_of(1), mac_of(0), 0));
	assert_true(get_frame(b.pair[1], &h, 0));
	o = relay_view(b.relay)->owners;
	for (uint32_t s = 0; s <= o->mask; s++) {
		tstamp t = relay_seen(b.relay, s);

		if (o->slot[s].port == 0)
			seen = t;
		else
			assert_int_equal(t, 0);
	}
	assert_true(seen >= before && seen < before + 60 * NS_PER_S);
	assert_int_equal(relay_seen(b.relay, o->mask + 1), 0);
	bed_free(&b);
}

/* ---- inject ---- */

static void test_inject(void **state)
{
	uint8_t octets[SEND_SIZE_MAX + 1] = { 0 };
	struct frame_head h = { .dst = broadcast, .src = mac_of(2), .type = { 0x80, 0x35 } };
	struct port_counters c;
	struct bed b;

	bed_make(&b, &pair_ops, 2);
	bed_fill(&b, 4);
	for (uint32_t i = 0; i < 500; i++) {
		struct frame_head got;

		h.number = i;
		memcpy(octets, &h, sizeof(h));
		assert_true(relay_inject(b.relay, 2, octets, FRAME_SIZE));
		for (unsigned to = 0; to < 4; to++) {
			if (to == 2)
				continue;
			assert_true(get_frame(b.pair[to], &got, 0));
			assert_int_equal(got.number, i);
		}
	}
	assert_false(relay_inject(b.relay, 2, octets, INJECT_SIZE_MAX + 1));
	/* To slots that are empty: to no effect. */
	assert_true(relay_inject(b.relay, 9, octets, FRAME_SIZE));
	assert_true(relay_inject(b.relay, PORT_NONE, octets, FRAME_SIZE));
	assert_true(relay_inject(b.relay, 2, octets, INJECT_SIZE_MAX));
	/* Out of the port, and nowhere else. */
	h.number = 77;
	memcpy(octets, &h, sizeof(h));
	assert_true(relay_send(b.relay, 2, octets, FRAME_SIZE));
	assert_true(get_frame(b.pair[2], &h, 0));
	assert_int_equal(h.number, 77);
	assert_false(relay_send(b.relay, 2, octets, SEND_SIZE_MAX + 1));
	assert_true(relay_send(b.relay, PORT_NONE, octets, FRAME_SIZE));
	bed_stop(&b);
	bed_conserves(&b);
	port_counters_sum(&b.pair[2]->port, 2, &c);
	assert_in_range(c.rx_frames, 500, 501);
	bed_free(&b);
}

/* ---- idle ---- */

/* Of all workers: how often they slept, and for how long they ran, in clock ticks. */
struct usage {
	unsigned n;
	unsigned long switches, ticks;
};

static void usage_of(const char *task, struct usage *u)
{
	char path[64], line[512];
	unsigned long n, user, sys;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/status", task);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	if (strstr(line, "evb-worker")) {
		u->n++;
		while (fgets(line, sizeof(line), f)) {
			if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1 ||
			    sscanf(line, "nonvoluntary_ctxt_switches: %lu", &n) == 1)
				u->switches += n;
		}
		fclose(f);
		snprintf(path, sizeof(path), "/proc/self/task/%.16s/stat", task);
		f = fopen(path, "r");
		assert_non_null(f);
		assert_non_null(fgets(line, sizeof(line), f));
		assert_int_equal(sscanf(strrchr(line, ')'),
					") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
					&user, &sys),
				 2);
		u->ticks += user + sys;
	}
	fclose(f);
}

static struct usage usage_now(void)
{
	DIR *d = opendir("/proc/self/task");
	struct usage u = { 0 };
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.')
			usage_of(e->d_name, &u);
	}
	closedir(d);
	return u;
}

static void run_idle(const struct port_ops *ops)
{
	struct timespec half_second = { .tv_nsec = 500 * NS_PER_MS };
	struct frame_head h;
	struct usage before, after;
	struct bed b;

	bed_make(&b, ops, 2);
	bed_fill(&b, 4);
	for (unsigned round = 0; round < 3; round++) {
		assert_true(send_frame(b.pair[0], mac_of(1), mac_of(0), 0));
		assert_true(get_frame(b.pair[1], &h, 0));
		nanosleep(&half_second, NULL);
		before = usage_now();
		nanosleep(&half_second, NULL);
		for (unsigned i = 0; i < 3; i++)
			relay_watchdog(b.relay);
		after = usage_now();
		assert_int_equal(before.n, 2);
		assert_int_equal(after.switches, before.switches);
		assert_int_equal(after.ticks, before.ticks);
	}
	bed_free(&b);
}

/* A worker without work is not scheduled at all. */
static void test_idle(void **state)
{
	run_idle(&pair_ops);
	run_idle(&armed_ops);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_stop),
		cmocka_unit_test(test_traffic),
		cmocka_unit_test(test_ping_pong),
		cmocka_unit_test(test_late_frame),
		cmocka_unit_test(test_watch_finds_what_waits),
		cmocka_unit_test(test_swaps),
		cmocka_unit_test(test_quiesce),
		cmocka_unit_test(test_worker_is_stuck),
		cmocka_unit_test(test_watch_fd),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_seen),
		cmocka_unit_test(test_inject),
		cmocka_unit_test(test_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
