// SPDX-License-Identifier: Apache-2.0
/*
 * Rings: what the front-end says of them, one message after the other and in any order, and when
 * all is there that makes one run. A ring runs when it has a size, addresses in shared memory, and
 * was kicked off (SET_VRING_KICK, with a descriptor or without); it is looked at once then, whether
 * the descriptor is readable or not, for a guest does not kick again what it kicked before.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhost_internal.h"

/* ---- workers out, workers in ---- */

void vhost_pause(struct vhost_user *v)
{
	if (v->is_paused)
		return;
	v->is_paused = true;
	if (!atomic_exchange(&v->is_open, false))
		return; /* no worker has anything to do here */
	v->spec.hooks.quiesce(v->spec.hooks.aux);
}

/* A new descriptor number could be read by a worker as the old one's: wait until none does. */
void vhost_ring_set_call(struct vhost_user *v, struct vhost_ring *r, int fd_take)
{
	int before = r->call_fd;

	r->call_fd = fd_take;
	if (r->q)
		__atomic_store_n(&r->q->call_fd, fd_take, __ATOMIC_RELEASE);
	if (atomic_load(&v->is_open))
		v->spec.hooks.quiesce(v->spec.hooks.aux);
	if (before >= 0)
		close(before);
	/* What was to be told by the old one may have got lost: one too many does no harm. */
	if (fd_take >= 0)
		(void)!write(fd_take, &(uint64_t){ 1 }, sizeof(uint64_t));
}

/* ---- where a ring is ---- */

/* Octets of the three parts: VIRTIO 1.2, 2.7 and 2.8. The event words are there in any case. */
static uint64_t avail_size(uint16_t num)
{
	return sizeof(struct virtq_avail) + (num + UINT64_C(1)) * sizeof(uint16_t);
}

static uint64_t used_size(uint16_t num)
{
	return sizeof(struct virtq_used) + num * sizeof(struct virtq_used_elem) + sizeof(uint16_t);
}

/* Turn the front-end's addresses into ours: false if memory does not have them, or not aligned. */
static bool ring_locate(const struct vhost_user *v, const struct vhost_ring *r)
{
	bool packed = vhost_has(v, VIRTIO_F_RING_PACKED);
	uint64_t desc_gpa, avail_gpa, used_gpa;
	uint8_t *desc, *avail, *used;
	struct virtq *q = r->q;

	if (!packed && r->num & (r->num - 1))
		return false; /* it was told when rings were to be packed */
	desc = guest_mem_at_uva(&v->mem, r->addr.desc, r->num * sizeof(struct virtq_desc),
				&desc_gpa);
	avail = guest_mem_at_uva(&v->mem, r->addr.avail,
				 packed ? sizeof(struct virtq_event) : avail_size(r->num),
				 &avail_gpa);
	used = guest_mem_at_uva(&v->mem, r->addr.used,
				packed ? sizeof(struct virtq_event) : used_size(r->num), &used_gpa);
	if (!desc || !avail || !used || (uintptr_t)desc % 16 || (uintptr_t)avail % 2 ||
	    (uintptr_t)used % 4)
		return false;
	q->desc = (struct virtq_desc *)(void *)desc;
	if (packed) {
		q->driver_event = (const struct virtq_event *)(void *)avail;
		q->device_event = (struct virtq_event *)(void *)used;
	} else {
		q->avail = (const struct virtq_avail *)(void *)avail;
		q->used = (struct virtq_used *)(void *)used;
	}
	q->log_desc = desc_gpa;
	q->log_event = used_gpa;
	q->log_used = r->addr.flags & VHOST_VRING_F_LOG ? r->addr.log : used_gpa;
	q->hint = NULL;
	return true;
}

/* Has the front-end said all that is needed? */
static bool ring_is_told(const struct vhost_ring *r)
{
	return r->q && r->num && r->has_addr && r->has_kick;
}

/* ---- start and stop ---- */

/* What the guest may ask of us: offloads of its frames. */
static uint8_t offloads_from(const struct vhost_user *v)
{
	bool legacy = vhost_has(v, VIRTIO_NET_F_GSO);

	return (uint8_t)((vhost_has(v, VIRTIO_NET_F_CSUM) ? OFFLOAD_CSUM : 0) |
			 (legacy || vhost_has(v, VIRTIO_NET_F_HOST_TSO4) ? OFFLOAD_TSO4 : 0) |
			 (legacy || vhost_has(v, VIRTIO_NET_F_HOST_TSO6) ? OFFLOAD_TSO6 : 0) |
			 (legacy || vhost_has(v, VIRTIO_NET_F_HOST_ECN) ? OFFLOAD_ECN : 0) |
			 (vhost_has(v, VIRTIO_NET_F_HOST_USO) ? OFFLOAD_USO : 0));
}

/* What the guest takes. */
static uint8_t offloads_to(const struct vhost_user *v)
{
	bool uso = vhost_has(v, VIRTIO_NET_F_GUEST_USO4) && vhost_has(v, VIRTIO_NET_F_GUEST_USO6);

	if (!vhost_has(v, VIRTIO_NET_F_GUEST_CSUM))
		return 0;
	return (uint8_t)(OFFLOAD_CSUM | (vhost_has(v, VIRTIO_NET_F_GUEST_TSO4) ? OFFLOAD_TSO4 : 0) |
			 (vhost_has(v, VIRTIO_NET_F_GUEST_TSO6) ? OFFLOAD_TSO6 : 0) |
			 (vhost_has(v, VIRTIO_NET_F_GUEST_ECN) ? OFFLOAD_ECN : 0) |
			 (uso ? OFFLOAD_USO : 0));
}

static void ring_apply_features(const struct vhost_user *v, struct virtq *q)
{
	q->is_packed = vhost_has(v, VIRTIO_F_RING_PACKED);
	q->has_event_idx = vhost_has(v, VIRTIO_F_EVENT_IDX);
	q->is_in_order = vhost_has(v, VIRTIO_F_IN_ORDER);
	q->is_mergeable = vhost_has(v, VIRTIO_NET_F_MRG_RXBUF);
	q->gso_allowed = offloads_from(v);
	q->has_offloads = q->gso_allowed != 0;
	/* VIRTIO 1.2, 5.1.6.1: only the legacy interface has a shorter one. */
	q->header_size = q->is_mergeable || vhost_has(v, VIRTIO_F_VERSION_1) ?
				 VIRTQ_HEADER_SIZE :
				 VIRTQ_HEADER_SIZE_LEGACY;
}

/* The used index of a ring also goes where the front-end's inflight region has it. */
static uint16_t *inflight_used(struct vhost_user *v, unsigned idx, uint16_t num)
{
	uint64_t stride =
		(sizeof(struct vhost_inflight_split) + v->inflight_size * 16u + 63) / 64 * 64;
	struct vhost_inflight_split *s;

	if (idx >= v->inflight_rings || num > v->inflight_size ||
	    vhost_has(v, VIRTIO_F_RING_PACKED))
		return NULL;
	s = (void *)(v->inflight.data + idx * stride);
	s->version = 1;
	s->desc_num = num;
	return &s->used_idx;
}

static void ring_start(struct vhost_user *v, unsigned idx)
{
	struct vhost_ring *r = &v->ring[idx];
	uint16_t *inflight = inflight_used(v, idx, r->num);
	struct virtq *q = r->q;

	ring_apply_features(v, q);
	q->size = r->num;
	q->mem = &v->mem;
	q->call_fd = r->call_fd;
	q->inflight_used = inflight ? inflight : &q->own_inflight_used;
	q->log = vhost_has(v, VHOST_F_LOG_ALL) ? v->log : NULL;
	virtq_start(q, r->base);
	if (!(idx & 1))
		virtq_mute(q); /* of receive queues we want to know nothing */
	atomic_store(&q->is_running, true);
}

/* Workers are out. */
void vhost_ring_stop(struct vhost_ring *r)
{
	if (!vhost_ring_is_running(r))
		return;
	atomic_store(&r->q->is_running, false);
	r->base = virtq_base(r->q);
}

void vhost_ring_unwatch(struct vhost_user *v, struct vhost_ring *r)
{
	if (r->is_watched)
		v->spec.hooks.unwatch(v->spec.hooks.aux, r->kick_fd);
	r->is_watched = false;
}

/* Forget that the ring was kicked off and where it is. Workers are out. */
void vhost_ring_forget(struct vhost_user *v, struct vhost_ring *r)
{
	vhost_ring_stop(r);
	vhost_ring_unwatch(v, r);
	vhost_close_fd(&r->kick_fd);
	r->has_kick = r->has_addr = r->is_polled = r->is_broken = false;
}

void vhost_rings_stop(struct vhost_user *v)
{
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		vhost_ring_stop(&v->ring[i]);
}

void vhost_rings_forget(struct vhost_user *v)
{
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		vhost_ring_forget(v, &v->ring[i]);
}

void vhost_rings_reset(struct vhost_user *v)
{
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++) {
		struct vhost_ring *r = &v->ring[i];

		vhost_ring_forget(v, r);
		r->base = 0;
		if (r->q)
			atomic_store(&r->q->is_enabled, false);
	}
}

void vhost_rings_clear(struct vhost_user *v)
{
	vhost_rings_reset(v);
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++) {
		struct vhost_ring *r = &v->ring[i];

		vhost_close_fd(&r->call_fd);
		vhost_close_fd(&r->err_fd);
		r->num = 0;
		if (r->q)
			r->q->call_fd = -1;
	}
}

void vhost_rings_locate(struct vhost_user *v)
{
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		if (vhost_ring_is_running(&v->ring[i]) && !ring_locate(v, &v->ring[i]))
			vhost_ring_stop(&v->ring[i]);
}

void vhost_rings_log(struct vhost_user *v)
{
	const struct guest_log *log = vhost_has(v, VHOST_F_LOG_ALL) ? v->log : NULL;

	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		if (v->ring[i].q)
			__atomic_store_n(&v->ring[i].q->log, log, __ATOMIC_RELEASE);
	if (atomic_load(&v->is_open))
		v->spec.hooks.quiesce(v->spec.hooks.aux);
}

/* ---- settle ---- */

static int memory_fault(struct err *why)
{
	err_set(why, EFAULT,
		"the queues are not in the memory that the VMM shares: guest memory "
		"is not shared");
	return err_hint(why, "start QEMU with -object memory-backend-memfd,id=m0,size=...,share=on "
			     "-machine memory-backend=m0; libvirt: <memoryBacking><source "
			     "type='memfd'/><access mode='shared'/></memoryBacking>");
}

bool vhost_fault(const struct vhost_user *v, struct err *why)
{
	if (v->refused.code) {
		*why = v->refused;
		return true;
	}
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++) {
		const struct vhost_ring *r = &v->ring[i];

		if (r->is_broken) {
			err_set(why, EPROTO, "%s queue %u: %s", i & 1 ? "transmit" : "receive",
				i / 2,
				virtq_fault_text(r->q->fault ? (enum virtq_fault)r->q->fault :
							       VIRTQ_FAULT_memory));
			err_hint(why, "reset or restart the guest; if it happens again, its "
				      "driver is faulty or hostile");
			return true;
		}
	}
	/* Of those that are well none runs while another is broken: that comes second. */
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++) {
		const struct vhost_ring *r = &v->ring[i];

		if (v->has_features && ring_is_told(r) && !vhost_ring_is_running(r)) {
			memory_fault(why);
			return true;
		}
	}
	return false;
}

/* Start what can run and does not yet; returns whether anything runs. */
static bool start_rings(struct vhost_user *v)
{
	bool any = false, broken = v->refused.code != 0;

	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		broken |= v->ring[i].is_broken;
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++) {
		struct vhost_ring *r = &v->ring[i];

		if (broken || !v->has_features)
			vhost_ring_stop(r);
		else if (ring_is_told(r) && !vhost_ring_is_running(r) && ring_locate(v, r))
			ring_start(v, i);
		any |= vhost_ring_is_running(r);
	}
	return any;
}

/* The lists that workers go by. */
static void list_rings(struct vhost_user *v)
{
	v->n_take = v->n_put = 0;
	v->is_polled = false;
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++) {
		struct vhost_ring *r = &v->ring[i];

		if (!vhost_ring_is_running(r))
			continue;
		if (i & 1)
			v->take[v->n_take++] = r->q;
		else if (atomic_load(&r->q->is_enabled))
			v->put[v->n_put++] = r->q;
		v->is_polled |= (i & 1) && r->is_polled;
	}
	v->take_at = 0; /* `taken` and `put_dirty` are clear after every turn */
}

static void watch_rings(struct vhost_user *v)
{
	for (unsigned i = 1; i < VHOST_RINGS_MAX; i += 2) {
		struct vhost_ring *r = &v->ring[i];

		if (vhost_ring_is_running(r) && !r->is_watched && r->kick_fd >= 0)
			r->is_watched = v->spec.hooks.watch(v->spec.hooks.aux, r->kick_fd) == 0;
		/* Without its kicks it would sleep for ever: better awake than deaf. */
		v->is_polled |= vhost_ring_is_running(r) && r->kick_fd >= 0 && !r->is_watched;
	}
}

/* Does any ring that does not run lack nothing, or a running one have changed sides? */
static bool has_changed(const struct vhost_user *v)
{
	bool broken = v->refused.code != 0;

	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		broken |= v->ring[i].is_broken;
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		if (!broken && v->has_features && ring_is_told(&v->ring[i]) &&
		    !vhost_ring_is_running(&v->ring[i]))
			return true;
	return false;
}

void vhost_settle(struct vhost_user *v)
{
	uint8_t offload = offloads_to(v);
	struct err fault;
	bool runs;

	if (!v->is_paused && !has_changed(v))
		return;
	vhost_pause(v);
	runs = start_rings(v);
	list_rings(v);
	watch_rings(v);
	if (!vhost_fault(v, &fault))
		fault = (struct err){ 0 };
	if (runs != v->was_running || offload != v->port.offload ||
	    strcmp(fault.message, v->fault_told) != 0) {
		v->port.offload = offload;
		v->was_running = runs;
		memcpy(v->fault_told, fault.message, sizeof(v->fault_told));
		v->spec.hooks.changed(v->spec.hooks.aux);
	}
	v->is_paused = false;
	if (!runs)
		return;
	atomic_store(&v->is_open, true);
	/* Work may have been waiting, for which no kick will come. */
	(void)!write(v->port.fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}
