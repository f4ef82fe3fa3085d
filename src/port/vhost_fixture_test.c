// SPDX-License-Identifier: Apache-2.0
#include "vhost_fixture.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SCRATCH = FRAME_SIZE_MAX + 4096 };

const struct vx_kind *vx_kind(unsigned i)
{
	static const struct vx_kind kinds[] = {
		{ "split", 0 },
		{ "split, event index", FRONT_BIT(FRONT_F_EVENT_IDX) },
		{ "split, in order", FRONT_BIT(FRONT_F_IN_ORDER) },
		{ "split, event index, in order",
		  FRONT_BIT(FRONT_F_EVENT_IDX) | FRONT_BIT(FRONT_F_IN_ORDER) },
		{ "packed", FRONT_BIT(FRONT_F_PACKED) },
		{ "packed, event index", FRONT_BIT(FRONT_F_PACKED) | FRONT_BIT(FRONT_F_EVENT_IDX) },
		{ "packed, in order", FRONT_BIT(FRONT_F_PACKED) | FRONT_BIT(FRONT_F_IN_ORDER) },
		{ "packed, event index, in order", FRONT_BIT(FRONT_F_PACKED) |
							   FRONT_BIT(FRONT_F_EVENT_IDX) |
							   FRONT_BIT(FRONT_F_IN_ORDER) },
	};

	return i < ARRAY_SIZE(kinds) ? &kinds[i] : NULL;
}

unsigned vx_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

int vx_setup(void **state)
{
	*state = (void *)(uintptr_t)vx_count_fds();
	return 0;
}

int vx_teardown(void **state)
{
	unsigned n = vx_count_fds();

	if (n != (uintptr_t)*state) {
		print_error("%u descriptors at the beginning, %u now\n",
			    (unsigned)(uintptr_t)*state, n);
		return -1;
	}
	return 0;
}

/* ---- hooks ---- */

static void hook_quiesce(void *aux)
{
	((struct vx *)aux)->n_quiesce++;
}

static int hook_watch(void *aux, int fd)
{
	struct vx *v = aux;

	if (v->deaf)
		return -1;
	assert_true(v->n_watched < VX_WATCHED_MAX);
	assert_false(vx_is_watched(v, fd));
	v->watched[v->n_watched++] = fd;
	return 0;
}

static void hook_unwatch(void *aux, int fd)
{
	struct vx *v = aux;

	assert_true(vx_is_watched(v, fd));
	for (unsigned i = 0; i < v->n_watched; i++)
		if (v->watched[i] == fd)
			v->watched[i--] = v->watched[--v->n_watched];
}

static void hook_changed(void *aux)
{
	((struct vx *)aux)->n_changed++;
}

static void hook_announce(void *aux, struct mac mac)
{
	struct vx *v = aux;

	v->n_announced++;
	v->announced = mac;
}

bool vx_is_watched(const struct vx *v, int fd)
{
	for (unsigned i = 0; i < v->n_watched; i++)
		if (v->watched[i] == fd)
			return true;
	return false;
}

/* ---- made, connected ---- */

static struct port *port_make(struct vx *v)
{
	struct vhost_user_spec s = {
		.pairs_max = (uint16_t)(v->c.pairs ? v->c.pairs : 1),
		.has_config = v->c.has_config,
		.state_fd = v->state_fd,
		.settings = { .mac = v->c.mac,
			      .mtu = v->c.mtu ? v->c.mtu : 1500,
			      .offload = v->c.offload },
		.hooks = { v, hook_quiesce, hook_watch, hook_unwatch, hook_changed, hook_announce },
	};
	struct port *p = vhost_user_port_new(&s, 1);

	assert_non_null(p);
	return p;
}

struct vx *vx_new(const struct vx_config *c)
{
	struct vx *v = calloc(1, sizeof(*v));

	assert_non_null(v);
	v->c = *c;
	v->state_fd = -1;
	v->post_size = 2048;
	if (c->has_state) {
		v->state_fd = memfd_create("state", MFD_CLOEXEC);
		assert_int_equal(ftruncate(v->state_fd, VHOST_USER_STATE_SIZE), 0);
	}
	v->burst = aligned_alloc(64, sizeof(*v->burst));
	v->scratch = malloc(SCRATCH);
	assert_non_null(v->burst);
	assert_non_null(v->scratch);
	memset(v->burst, 0, sizeof(*v->burst));
	v->burst->arena = malloc((size_t)BURST_MAX * ARENA_SLOT_SIZE);
	v->burst->octets_max = 256 << 10;
	v->port = port_make(v);
	v->c.dev.n_pairs = c->dev.n_pairs ? c->dev.n_pairs : 1;
	front_dev_init(&v->dev, &v->c.dev);
	return v;
}

void vx_free(struct vx *v)
{
	port_free(v->port);
	assert_int_equal(v->n_watched, 0);
	front_dev_close(&v->dev);
	vx_forget(v);
	for (unsigned i = 0; i < VHOST_USER_PAIRS_MAX; i++)
		free(v->pool[i].gpa);
	free(v->got);
	free(v->burst->arena);
	free(v->burst);
	free(v->scratch);
	if (v->state_fd >= 0)
		close(v->state_fd);
	free(v);
}

void vx_ok(const struct vx *v, int err)
{
	if (err)
		fail_msg("%d: %s / %s", err, v->dev.error, v->dev.sock.error);
}

void vx_step(void *vx)
{
	struct vx *v = vx;

	if (v->is_up)
		v->is_up = vhost_user_input(v->port, &v->why);
}

void vx_connect(struct vx *v)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	if (vhost_user_is_attached(v->port))
		vhost_user_detach(v->port);
	assert_int_equal(vhost_user_attach(v->port, fd[0]), 0);
	front_dev_attach_take(&v->dev, fd[1]);
	v->dev.sock.step = vx_step;
	v->dev.sock.step_arg = v;
	v->is_up = true;
}

void vx_negotiate(struct vx *v)
{
	vx_connect(v);
	vx_ok(v, front_dev_negotiate(&v->dev));
}

void vx_make(struct vx *v)
{
	vx_negotiate(v);
	vx_ok(v, front_dev_make(&v->dev));
	front_dev_clear(&v->dev);
	vx_step(v);
}

void vx_start(struct vx *v)
{
	uint64_t sync;

	vx_make(v);
	vx_ok(v, front_dev_steps(&v->dev, v->dev.c.order));
	vx_ok(v, front_get_u64(&v->dev.sock, FRONT_GET_FEATURES, &sync));
	if (!vx_runs(v))
		fail_msg("does not run: %s", vx_state(v).why.message);
}

void vx_stop(struct vx *v)
{
	for (unsigned i = 0; i < 2 * v->dev.c.n_pairs; i++)
		vx_ok(v, front_dev_enable(&v->dev, i, false));
	for (unsigned i = 0; i < 2 * v->dev.c.n_pairs; i++)
		vx_ok(v, front_get_base(&v->dev.sock, i, &v->dev.pair[i / 2].base[i & 1]));
}

void vx_kill(struct vx *v)
{
	port_free(v->port);
	assert_int_equal(v->n_watched, 0);
	v->port = port_make(v);
	v->is_up = false;
}

void vx_resume(struct vx *v, enum front_resume from)
{
	uint64_t features = v->dev.features, sync;

	vx_negotiate(v);
	assert_true(v->dev.features == features);
	for (unsigned i = 0; i < 2 * v->dev.c.n_pairs && from != FRONT_FROM_BASE; i++) {
		const struct front_ring *r = front_dev_ring(&v->dev, i);

		v->dev.pair[i / 2].base[i & 1] = from == FRONT_FROM_AVAIL ?
							 front_ring_base_avail(r) :
							 front_ring_base_used(r);
	}
	vx_ok(v, front_dev_steps(&v->dev, v->dev.c.order));
	vx_ok(v, front_get_u64(&v->dev.sock, FRONT_GET_FEATURES, &sync));
	assert_true(vx_runs(v));
}

struct vhost_user_state vx_state(const struct vx *v)
{
	struct vhost_user_state s;

	vhost_user_state(v->port, &s);
	return s;
}

bool vx_runs(const struct vx *v)
{
	return vx_state(v).link == VHOST_USER_RUNS;
}

void vx_assert_faulty(const struct vx *v, const char *part_of_reason)
{
	struct vhost_user_state s = vx_state(v);

	if (s.link != VHOST_USER_FAULTY || !strstr(s.why.message, part_of_reason))
		fail_msg("link %d, \"%s\", not faulty for \"%s\"", s.link, s.why.message,
			 part_of_reason);
	assert_true(s.why.code != 0);
	assert_true(s.why.hint[0] != '\0');
}

/* ---- the port's side ---- */

/* What a frame must be like for the relay (frame.h). */
static void check_frame(const struct vx *v, const struct frame *f)
{
	uint64_t sum = 0;

	assert_in_range(f->n_iov, 1, FRAME_IOV_MAX);
	assert_int_equal(f->tpid, 0);
	if (f->size > FRAME_SIZE_MAX)
		return;
	for (unsigned i = 0; i < f->n_iov; i++)
		sum += f->iov[i].iov_len;
	assert_int_equal(sum, f->size);
	assert_int_equal(f->iov[0].iov_len, f->size < FRAME_HEAD_SIZE ? f->size : FRAME_HEAD_SIZE);
	assert_true((uint8_t *)f->iov[0].iov_base >= &v->burst->head[0][0] &&
		    (uint8_t *)f->iov[0].iov_base < &v->burst->head[0][0] + sizeof(v->burst->head));
}

static void keep(struct vx *v, const struct frame *f)
{
	struct vx_frame *to;

	check_frame(v, f);
	if (v->n_got == v->max_got) {
		v->max_got = v->max_got ? 2 * v->max_got : 256;
		v->got = realloc(v->got, v->max_got * sizeof(*v->got));
		assert_non_null(v->got);
	}
	to = &v->got[v->n_got++];
	*to = (struct vx_frame){ .size = f->size, .n_iov = f->n_iov, .vnet = f->vnet };
	if (f->size > FRAME_SIZE_MAX)
		return;
	to->octets = malloc(f->size ? f->size : 1);
	assert_non_null(to->octets);
	assert_int_equal(frame_head_copy(f, to->octets, f->size), f->size);
}

unsigned vx_rx(struct vx *v, unsigned max)
{
	unsigned n;

	v->burst->discarded = 0;
	n = v->port->ops->rx(v->port, v->burst, max);
	assert_true(n <= max);
	v->discarded += v->burst->discarded;
	for (unsigned i = 0; i < n; i++)
		keep(v, &v->burst->frame[i]);
	return n;
}

void vx_rx_done(struct vx *v)
{
	v->port->ops->rx_done(v->port);
}

unsigned vx_take(struct vx *v)
{
	unsigned n = 0, k;

	do {
		k = vx_rx(v, BURST_MAX);
		vx_rx_done(v);
		n += k;
	} while (k || v->burst->discarded);
	return n;
}

void vx_forget(struct vx *v)
{
	for (unsigned i = 0; i < v->n_got; i++)
		free(v->got[i].octets);
	v->n_got = 0;
}

bool vx_tx(struct vx *v, const uint8_t *octets, uint32_t size, const struct vnet_hdr *hdr)
{
	uint32_t head = size < FRAME_HEAD_SIZE ? size : FRAME_HEAD_SIZE;
	struct iovec iov[2] = { { (void *)(uintptr_t)octets, head },
				{ (void *)(uintptr_t)(octets + head), size - head } };
	struct frame f = { .iov = iov, .n_iov = size > head ? 2 : 1, .size = size };
	const struct frame *one = &f;

	if (hdr)
		f.vnet = *hdr;
	return v->port->ops->tx(v->port, &one, 1) & 1;
}

void vx_flush(struct vx *v)
{
	v->port->ops->flush(v->port);
}

bool vx_give(struct vx *v, const uint8_t *octets, uint32_t size)
{
	bool taken = vx_tx(v, octets, size, NULL);

	vx_flush(v);
	return taken;
}

/* ---- the guest's side ---- */

void vx_post_at(struct vx *v, unsigned pair, uint64_t gpa)
{
	static _Thread_local struct front_piece piece[FRONT_PIECES_MAX];
	static const uint8_t pattern[4096] = { [0 ... 4095] = VX_PATTERN };
	struct front_chain chain = { .piece = piece, .how = v->post_layout.how, .cookie = gpa };
	int id;

	for (uint32_t at = 0; at < v->post_size; at += sizeof(pattern))
		assert_true(front_mem_write(
			&v->dev.mem, gpa + at, pattern,
			v->post_size - at < sizeof(pattern) ? v->post_size - at : sizeof(pattern)));
	chain.n = front_cut(&v->post_layout, gpa, v->post_size, piece);
	for (unsigned i = 0; i < chain.n; i++)
		piece[i].writable = true;
	id = front_ring_add(&v->dev.pair[pair].rx, &chain);
	if (id < 0)
		fail_msg("posting a buffer: %d", id);
}

/* Descriptors of the ring that a buffer takes. */
static unsigned descriptors_per_buffer(const struct vx *v)
{
	static _Thread_local struct front_piece piece[FRONT_PIECES_MAX];
	unsigned n = front_cut(&v->post_layout, 0, v->post_size, piece);

	return v->post_layout.how == FRONT_DIRECT   ? n :
	       v->post_layout.how == FRONT_IN_TABLE ? 1 :
						      2;
}

unsigned vx_post(struct vx *v, unsigned pair, unsigned n)
{
	struct front_ring *r = &v->dev.pair[pair].rx;
	struct vx_pool *pool = &v->pool[pair];
	unsigned posted = 0, each = descriptors_per_buffer(v);

	if (!pool->gpa)
		pool->gpa = calloc(VX_BUFFERS_MAX, sizeof(*pool->gpa));
	assert_non_null(pool->gpa);
	for (; posted < n && r->n_free >= each; posted++) {
		uint64_t gpa = pool->n ? pool->gpa[--pool->n] :
					 front_mem_alloc(&v->dev.mem, v->post_size, 64);

		assert_true(gpa != FRONT_NO_GPA);
		vx_post_at(v, pair, gpa);
	}
	front_ring_publish(r);
	front_ring_kick(r);
	return posted;
}

/* One used buffer: its octets are added to the scratch; false if there is none. */
static bool get_one(struct vx *v, unsigned pair, uint32_t *size)
{
	struct front_ring *r = &v->dev.pair[pair].rx;
	struct front_got got;
	int n = front_ring_get(r, &got);
	uint8_t tail[4096];

	if (n < 0)
		fail_msg("receive ring: %s", r->error);
	if (!n)
		return false;
	assert_true(got.len <= v->post_size && *size + got.len <= SCRATCH);
	assert_false(got.skipped); /* lengths of receive buffers have to be told */
	front_mem_read(&v->dev.mem, got.cookie, v->scratch + *size, got.len);
	*size += got.len;
	for (uint32_t at = got.len; at < v->post_size; at += sizeof(tail)) {
		uint32_t part = v->post_size - at;

		part = part < sizeof(tail) ? part : sizeof(tail);
		front_mem_read(&v->dev.mem, got.cookie + at, tail, part);
		for (uint32_t i = 0; i < part; i++)
			if (tail[i] != VX_PATTERN)
				fail_msg("octet %u of a buffer with %u was written", at + i,
					 got.len);
	}
	if (v->pool[pair].gpa)
		v->pool[pair].gpa[v->pool[pair].n++] = got.cookie;
	return true;
}

bool vx_get(struct vx *v, unsigned pair, struct front_hdr *h, uint32_t *size)
{
	struct front_hdr own = { 0 };
	uint32_t n = 0;

	h = h ? h : &own;
	*h = (struct front_hdr){ .num_buffers = 1 };
	if (!get_one(v, pair, &n))
		return false;
	assert_true(n >= v->dev.header_size);
	memcpy(h, v->scratch, v->dev.header_size);
	if (!(v->dev.features & FRONT_BIT(FRONT_F_MRG_RXBUF)))
		assert_int_equal(h->num_buffers, 1);
	assert_true(h->num_buffers >= 1);
	for (unsigned i = 1; i < h->num_buffers; i++)
		assert_true(get_one(v, pair, &n));
	*size = n - v->dev.header_size;
	memmove(v->scratch, v->scratch + v->dev.header_size, *size);
	return true;
}

void vx_send(struct vx *v, unsigned pair, const uint8_t *octets, uint32_t size,
	     const struct front_layout *l)
{
	struct front_tx tx = { .data = octets, .size = size, .layout = l };

	vx_ok(v, front_dev_send(&v->dev, pair, &tx, 2000));
}

bool vx_called(struct vx *v, unsigned idx)
{
	return front_ring_calls(front_dev_ring(&v->dev, idx)) != 0;
}

bool vx_woken(struct vx *v)
{
	uint64_t n;

	return read(v->port->fd, &n, sizeof(n)) == sizeof(n);
}

void vx_ping(struct vx *v, const char *name)
{
	uint8_t octets[100];
	uint32_t size = 0;

	vx_fill(octets, sizeof(octets), 77);
	vx_forget(v);
	vx_send(v, 0, octets, sizeof(octets), NULL);
	if (vx_take(v) != 1)
		fail_msg("%s: %u frames instead of 1", name, v->n_got);
	vx_check(name, v->got[0].octets, v->got[0].size, sizeof(octets), 77);
	vx_forget(v);
	vx_ok(v, front_dev_drain(&v->dev, 0, 1000));
	vx_post(v, 0, 1);
	if (!vx_give(v, octets, sizeof(octets)) || !vx_get(v, 0, NULL, &size))
		fail_msg("%s: no frame for the guest", name);
	vx_check(name, v->scratch, size, sizeof(octets), 77);
}

/* ---- frames ---- */

static uint8_t octet_of(uint32_t seed, uint32_t i)
{
	uint32_t h = (seed * UINT32_C(0x9e3779b1)) ^ (i * UINT32_C(0x85ebca6b));

	return (uint8_t)((h ^ h >> 15) * UINT32_C(0x2c1b3c6d) >> 24);
}

void vx_fill(uint8_t *octets, uint32_t size, uint32_t seed)
{
	static const uint8_t start[ETH_HEADER_SIZE] = { 2, 0, 0, 0, 0, 2,    2,
							0, 0, 0, 0, 1, 0x88, 0xb5 };

	for (uint32_t i = 0; i < size; i++)
		octets[i] = i < sizeof(start) ? start[i] : octet_of(seed, i);
}

void vx_check(const char *name, const uint8_t *octets, uint32_t size, uint32_t want, uint32_t seed)
{
	uint8_t start[ETH_HEADER_SIZE];

	if (size != want)
		fail_msg("%s: %u octets, not %u", name, size, want);
	vx_fill(start, sizeof(start), seed);
	for (uint32_t i = 0; i < size; i++)
		if (octets[i] != (i < sizeof(start) ? start[i] : octet_of(seed, i)))
			fail_msg("%s: octet %u of %u differs", name, i, size);
}
