// SPDX-License-Identifier: Apache-2.0
#include "vhost_user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "flow_hash.h"
#include "vhost_internal.h"

#define SAVED_MAGIC UINT64_C(0x31627665676e6972) /* "ringevb1" */

_Static_assert(sizeof(struct vhost_saved) <= VHOST_USER_STATE_SIZE, "fits the file");

/* ---- frames ---- */

static bool vhost_is_open(const struct vhost_user *v)
{
	return atomic_load_explicit(&v->is_open, memory_order_acquire) &&
	       !atomic_load_explicit(&v->port.fault, memory_order_relaxed);
}

/* Is the queue, or the memory it is in, of no use any more? */
static void vhost_check(struct vhost_user *v, struct virtq *q)
{
	if (__builtin_expect(atomic_load_explicit(&v->mem.is_lost, memory_order_relaxed), 0))
		q->fault = VIRTQ_FAULT_memory;
	if (__builtin_expect(q->fault, 0))
		atomic_store_explicit(&v->port.fault, PORT_FAULT_BROKEN, memory_order_relaxed);
}

static unsigned vhost_rx(struct port *p, struct burst *b, unsigned max)
{
	struct vhost_user *v = vhost_of(p);
	unsigned n = 0;

	b->more = false;
	if (!vhost_is_open(v))
		return 0;
	for (unsigned k = 0; k < v->n_take && !n; k++) {
		struct virtq *q = v->take[v->take_at];

		if (++v->take_at == v->n_take)
			v->take_at = 0;
		if (!atomic_load_explicit(&q->is_enabled, memory_order_relaxed)) {
			b->discarded += virtq_discard(q, max);
			vhost_check(v, q);
			continue;
		}
		n = virtq_take(q, b, max);
		v->taken = q;
		vhost_check(v, q);
	}
	b->more |= n && v->n_take > 1;
	return n;
}

static void vhost_rx_done(struct port *p)
{
	struct vhost_user *v = vhost_of(p);

	if (!v->taken)
		return;
	virtq_give_back(v->taken);
	vhost_check(v, v->taken);
	v->taken = NULL;
}

static uint64_t put(struct vhost_user *v, unsigned at, const struct frame *const *f, unsigned n)
{
	uint64_t taken = virtq_put(v->put[at], f, n);

	v->put_dirty |= UINT32_C(1) << at;
	vhost_check(v, v->put[at]);
	return taken;
}

/* Frames of a flow stay in one queue, and so in their order. */
static uint64_t put_spread(struct vhost_user *v, const struct frame *const *f, unsigned n)
{
	const struct frame *part[BURST_MAX];
	uint8_t where[BURST_MAX], idx[BURST_MAX];
	uint64_t taken = 0;

	for (unsigned i = 0; i < n; i++)
		where[i] = (uint8_t)(flow_hash(f[i]) % v->n_put);
	for (unsigned at = 0; at < v->n_put; at++) {
		uint64_t mask;
		unsigned k = 0;

		for (unsigned i = 0; i < n; i++) {
			part[k] = f[i];
			idx[k] = (uint8_t)i;
			k += where[i] == at;
		}
		mask = k ? put(v, at, part, k) : 0;
		for (; mask; mask &= mask - 1)
			taken |= UINT64_C(1) << idx[__builtin_ctzll(mask)];
	}
	return taken;
}

static uint64_t vhost_tx(struct port *p, const struct frame *const *f, unsigned n)
{
	struct vhost_user *v = vhost_of(p);

	if (!vhost_is_open(v) || !v->n_put) {
		p->tx_drop = DROP_port_down;
		return 0;
	}
	p->tx_drop = DROP_queue_full;
	return v->n_put == 1 ? put(v, 0, f, n) : put_spread(v, f, n);
}

static void vhost_flush(struct port *p)
{
	struct vhost_user *v = vhost_of(p);

	for (; v->put_dirty; v->put_dirty &= v->put_dirty - 1) {
		struct virtq *q = v->put[__builtin_ctz(v->put_dirty)];

		virtq_publish(q);
		vhost_check(v, q);
	}
}

static bool vhost_arm(struct port *p)
{
	struct vhost_user *v = vhost_of(p);
	bool has_work = false;

	if (!vhost_is_open(v))
		return false;
	for (unsigned k = 0; k < v->n_take; k++)
		has_work |= virtq_arm(v->take[k]);
	return has_work || v->is_polled;
}

/* ---- made, closed ---- */

static void nobody_asks(void *aux)
{
}

static void vhost_close(struct port *p)
{
	struct vhost_user *v = vhost_of(p);

	v->spec.hooks.changed = nobody_asks;
	vhost_user_detach(p);
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		free(v->ring[i].q);
	if (v->saved)
		munmap(v->saved, VHOST_USER_STATE_SIZE);
	if (p->fd >= 0)
		close(p->fd);
}

static const struct port_ops vhost_ops = {
	.kind = "vhost-user",
	.close = vhost_close,
	.rx = vhost_rx,
	.rx_done = vhost_rx_done,
	.tx = vhost_tx,
	.flush = vhost_flush,
	.arm = vhost_arm,
};

/* Without a file it is kept as long as we live: from one connection to the next. */
static struct vhost_saved *map_saved(int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	struct vhost_saved *s;

	s = mmap(NULL, VHOST_USER_STATE_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (s == MAP_FAILED)
		return NULL;
	if (s->magic != SAVED_MAGIC) {
		memset(s, 0, sizeof(*s));
		s->magic = SAVED_MAGIC;
	}
	return s;
}

struct port *vhost_user_port_new(const struct vhost_user_spec *s, unsigned n_workers)
{
	struct vhost_user *v = aligned_alloc(_Alignof(struct vhost_user), sizeof(*v));

	if (!v)
		return NULL;
	memset(v, 0, sizeof(*v));
	if (!port_init(&v->port, &vhost_ops, n_workers)) {
		free(v);
		errno = ENOMEM;
		return NULL;
	}
	v->spec = *s;
	v->session.fd = -1;
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		v->ring[i].kick_fd = v->ring[i].call_fd = v->ring[i].err_fd = -1;
	v->port.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->port.fd < 0) {
		int err = errno;

		port_free(&v->port);
		errno = err;
		return NULL;
	}
	v->saved = map_saved(s->state_fd);
	return &v->port;
}

void vhost_user_set(struct port *p, const struct vhost_user_settings *s)
{
	struct vhost_user *v = vhost_of(p);

	v->spec.settings = *s;
	if (v->complaint.code == EMSGSIZE)
		v->complaint = (struct err){ 0 };
}

/* ---- faults ---- */

void vhost_user_faulted(struct port *p)
{
	struct vhost_user *v = vhost_of(p);

	vhost_pause(v);
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++) {
		struct vhost_ring *r = &v->ring[i];

		if (!r->q || !atomic_load(&r->q->is_running) || !r->q->fault)
			continue;
		r->is_broken = true;
		v->faults++;
		if (r->err_fd >= 0)
			(void)!write(r->err_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	}
	/* From here on it is the rings that are broken, and not the port. */
	atomic_store(&p->fault, PORT_FAULT_NONE);
	atomic_store(&p->fault_told, false);
	vhost_settle(v);
}

/* ---- asked ---- */

/*
 * Has the driver never given a buffer to receive into? Then something is amiss, or not yet ready.
 */
static bool is_untouched(const struct vhost_user *v)
{
	const struct virtq *q = v->ring[0].q;

	if (!q || !atomic_load(&q->is_running))
		return false;
	if (q->is_packed)
		return !(guest_load64(&q->desc[0].rest) >> 48);
	return !guest_load16(&q->avail->idx) && !guest_load16(&q->used->idx);
}

void vhost_user_state(const struct port *p, struct vhost_user_state *out)
{
	const struct vhost_user *v = (const struct vhost_user *)p;

	*out = (struct vhost_user_state){ .link = VHOST_USER_UNATTACHED };
	if (v->session.fd < 0)
		return;
	if (vhost_fault(v, &out->why)) {
		out->link = VHOST_USER_FAULTY;
		return;
	}
	out->link = v->was_running ? VHOST_USER_RUNS : VHOST_USER_WAITS;
	out->why = v->complaint;
	if (out->why.code || out->link != VHOST_USER_RUNS || !is_untouched(v))
		return;
	err_set(&out->why, EAGAIN, "the guest has given no receive buffers yet");
	err_hint(&out->why, "is its interface up? If it is, guest memory is not shared: start QEMU "
			    "with share=on at the memory backend");
}

static void add_counters(struct vhost_user_info *out, const struct virtq_counters *c)
{
	out->calls_sent += c->calls_sent;
	out->calls_suppressed += c->calls_suppressed;
	out->kicks += c->armed;
	out->tx_gso += c->gso;
	for (unsigned i = 0; i < 4; i++)
		out->tx_size[i] += c->size[i];
}

void vhost_user_info(const struct port *p, struct vhost_user_info *out)
{
	const struct vhost_user *v = (const struct vhost_user *)p;

	*out = (struct vhost_user_info){ .features = v->has_features ? v->features : 0,
					 .protocol_features = v->protocol,
					 .is_packed = vhost_has(v, VIRTIO_F_RING_PACKED),
					 .is_logging = vhost_has(v, VHOST_F_LOG_ALL) && v->log,
					 .n_regions = v->mem.n,
					 .sessions = v->sessions,
					 .faults = v->faults };
	for (uint32_t i = 0; i < v->mem.n; i++)
		out->memory += v->mem.region[i].size;
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++) {
		const struct vhost_ring *r = &v->ring[i];
		struct vhost_user_ring_info *to = &out->ring[i];

		if (!r->q)
			continue;
		add_counters(out, &r->q->count);
		to->is_running = atomic_load(&r->q->is_running);
		to->is_enabled = atomic_load(&r->q->is_enabled);
		to->size = r->num;
		if (!to->is_running)
			continue;
		to->fill = virtq_fill(r->q);
		out->n_rings = (uint16_t)(i + 1);
	}
}
