// SPDX-License-Identifier: Apache-2.0
/* Messages about rings: what is said is kept, and what follows from it is vhost_settle()'s. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhost_internal.h"

/* The ring a message is about; NULL: one that we do not serve, which is no reason to fail. */
static struct vhost_ring *ring_of(struct vhost_user *v, uint32_t idx, struct err *complaint)
{
	struct vhost_ring *r;

	if (idx >= v->spec.pairs_max * 2u)
		return NULL;
	r = &v->ring[idx];
	if (!r->q) {
		r->q = aligned_alloc(_Alignof(struct virtq), sizeof(*r->q));
		if (!r->q) {
			err_set(complaint, ENOMEM, "out of memory for a queue");
			return NULL;
		}
		virtq_init(r->q);
		if (v->saved)
			r->q->saved = &v->saved->ring[idx];
	}
	return r;
}

enum vhost_result vhost_set_vring_num(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct vhost_vring_state s = m->payload->state;
	struct vhost_ring *r = ring_of(v, s.idx, &v->complaint);
	bool packed = vhost_has(v, VIRTIO_F_RING_PACKED);

	if (!r)
		return VHOST_OK;
	if (!s.num || s.num > VIRTQ_SIZE_MAX || (!packed && s.num & (s.num - 1))) {
		err_set(e, EINVAL, "the VMM wants a queue of %u entries", s.num);
		err_hint(e, "the size is a power of two up to %d", VIRTQ_SIZE_MAX);
		return VHOST_BREACH;
	}
	if (s.num != r->num) {
		vhost_pause(v);
		vhost_ring_stop(r);
		r->num = (uint16_t)s.num;
	}
	return VHOST_OK;
}

enum vhost_result vhost_set_vring_addr(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	const struct vhost_vring_addr *a = &m->payload->addr;
	struct vhost_ring *r = ring_of(v, a->idx, &v->complaint);

	if (!r)
		return VHOST_OK;
	/* Sent again while the ring runs, only to have its writes logged: it must not restart. */
	if (vhost_ring_is_running(r) && r->addr.desc == a->desc && r->addr.avail == a->avail &&
	    r->addr.used == a->used) {
		r->addr = *a;
		if (a->flags & VHOST_VRING_F_LOG)
			__atomic_store_n(&r->q->log_used, a->log, __ATOMIC_RELAXED);
		return VHOST_OK;
	}
	if (vhost_ring_is_running(r)) {
		vhost_pause(v);
		vhost_ring_stop(r);
	}
	r->addr = *a;
	r->has_addr = true;
	return VHOST_OK;
}

enum vhost_result vhost_set_vring_base(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct vhost_vring_state s = m->payload->state;
	struct vhost_ring *r = ring_of(v, s.idx, &v->complaint);

	if (!r)
		return VHOST_OK;
	if (vhost_ring_is_running(r)) {
		vhost_pause(v);
		vhost_ring_stop(r);
	}
	/* DPDK gives the lower half of a packed ring's only; used is the same as available here. */
	r->base = s.num;
	return VHOST_OK;
}

enum vhost_result vhost_get_vring_base(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	uint32_t idx = m->payload->state.idx;
	struct vhost_ring *r = idx < v->spec.pairs_max * 2u ? &v->ring[idx] : NULL;

	m->payload->state.num = 0;
	if (r && r->q) {
		vhost_pause(v);
		vhost_ring_stop(r);
		m->payload->state.num = r->base;
		vhost_ring_forget(v, r);
		vhost_ring_set_call(v, r, -1);
		*r->q->saved = (struct virtq_saved){ 0 }; /* the front-end knows best from now on */
	}
	m->size = sizeof(struct vhost_vring_state);
	return VHOST_ANSWER;
}

bool vhost_is_eventfd(int fd)
{
	char path[32], name[32];
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name) - 1);
	if (n >= 0) {
		name[n] = '\0';
		return strcmp(name, "anon_inode:[eventfd]") == 0;
	}
	/* Without /proc: it is no file, pipe or socket, at least. */
	return fstat(fd, &st) == 0 && !(st.st_mode & S_IFMT);
}

/*
 * The descriptor of KICK, CALL or ERR: *fd becomes -1 if the front-end says that there is none, or
 * the ring is not served (the message keeps its descriptor then).
 * False: it is not what it should be.
 */
static bool take_eventfd(struct vhost_message *m, bool is_served, int *fd, struct err *e)
{
	int flags;

	*fd = -1;
	if (m->payload->u64 & VHOST_NO_FD)
		return true;
	if (m->n_fds != 1) {
		err_set(e, EPROTO, "the VMM sent message %u without its descriptor", m->request);
		return false;
	}
	if (!vhost_is_eventfd(m->fds[0])) {
		err_set(e, EPROTO, "the VMM sent something else than an eventfd for a queue");
		return false;
	}
	if (!is_served)
		return true;
	flags = fcntl(m->fds[0], F_GETFL);
	if (flags < 0 || fcntl(m->fds[0], F_SETFL, flags | O_NONBLOCK) < 0) {
		err_set(e, errno, "an eventfd of the VMM cannot be used: %s", strerror(errno));
		return false;
	}
	*fd = m->fds[0];
	m->fds[0] = -1;
	return true;
}

static uint32_t ring_idx(const struct vhost_message *m)
{
	return m->payload->u64 & 0xff;
}

enum vhost_result vhost_set_vring_kick(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct vhost_ring *r = ring_of(v, ring_idx(m), &v->complaint);
	int fd;

	if (!take_eventfd(m, r != NULL, &fd, e))
		return VHOST_BREACH;
	if (!r) {
		if (ring_idx(m) >= v->spec.pairs_max * 2u && !v->complaint.code) {
			err_set(&v->complaint, E2BIG,
				"the VMM uses %u queue pairs, and %u are served: frames in the "
				"others are stuck",
				ring_idx(m) / 2 + 1, v->spec.pairs_max);
			err_hint(&v->complaint, "start the VM with queues=%u, or fewer",
				 v->spec.pairs_max);
			v->spec.hooks.changed(v->spec.hooks.aux);
		}
		return VHOST_OK;
	}
	vhost_pause(v);
	vhost_ring_unwatch(v, r);
	vhost_close_fd(&r->kick_fd);
	r->kick_fd = fd;
	r->has_kick = true;
	r->is_polled = fd < 0;
	/* Without protocol features there is no ENABLE: the ring is enabled from the beginning. */
	if (!vhost_has(v, VHOST_F_PROTOCOL_FEATURES))
		atomic_store(&r->q->is_enabled, true);
	return VHOST_OK;
}

enum vhost_result vhost_set_vring_call(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct vhost_ring *r = ring_of(v, ring_idx(m), &v->complaint);
	int fd;

	if (!take_eventfd(m, r != NULL, &fd, e))
		return VHOST_BREACH;
	if (!r)
		return VHOST_OK;
	vhost_ring_set_call(v, r, fd);
	return VHOST_OK;
}

enum vhost_result vhost_set_vring_err(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct vhost_ring *r = ring_of(v, ring_idx(m), &v->complaint);
	int fd;

	if (!take_eventfd(m, r != NULL, &fd, e))
		return VHOST_BREACH;
	if (!r)
		return VHOST_OK;
	vhost_close_fd(&r->err_fd);
	r->err_fd = fd;
	return VHOST_OK;
}

enum vhost_result vhost_set_vring_enable(struct vhost_user *v, struct vhost_message *m,
					 struct err *e)
{
	struct vhost_vring_state s = m->payload->state;
	struct vhost_ring *r = ring_of(v, s.idx, &v->complaint);

	if (!r || atomic_load(&r->q->is_enabled) == (s.num != 0))
		return VHOST_OK;
	if (vhost_ring_is_running(r))
		vhost_pause(v);
	atomic_store(&r->q->is_enabled, s.num != 0);
	return VHOST_OK;
}
