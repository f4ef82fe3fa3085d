// SPDX-License-Identifier: Apache-2.0
/* Guest memory as the front-end hands it over, the dirty log, and the inflight region. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhost_internal.h"

static struct guest_region_spec spec_of(const struct vhost_region *r)
{
	return (struct guest_region_spec){
		.gpa = r->gpa, .size = r->size, .uva = r->uva, .offset = r->offset
	};
}

void vhost_memory_clear(struct vhost_user *v)
{
	guest_mem_clear(&v->mem);
	if (v->log) {
		guest_map_close(&v->log->map);
		free(v->log);
		v->log = NULL;
	}
	guest_map_close(&v->inflight);
	v->inflight_size = v->inflight_rings = 0;
}

/* SET_MEM_TABLE and ADD_MEM_REG that fail: nothing half done; the VMM hears it, and so does the
 * operator. */
static enum vhost_result refuse(struct vhost_user *v, const struct err *e)
{
	v->refused = *e;
	return VHOST_REFUSED;
}

/* The whole table anew. It comes at every start of a queue, mostly the same. */
enum vhost_result vhost_set_mem_table(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	const struct vhost_mem_table *t = &m->payload->table;
	struct guest_region_spec spec[VHOST_TABLE_MAX];
	int err = 0;

	if (t->n > VHOST_TABLE_MAX || m->size != 8 + t->n * sizeof(struct vhost_region) ||
	    m->n_fds != t->n) {
		err_set(e, EPROTO, "the VMM sent a memory table of %u regions with %u descriptors",
			t->n, m->n_fds);
		return VHOST_BREACH;
	}
	for (uint32_t i = 0; i < t->n; i++)
		spec[i] = spec_of(&t->region[i]);
	if (guest_mem_is(&v->mem, spec, t->n))
		return VHOST_OK;
	vhost_pause(v);
	guest_mem_clear(&v->mem);
	for (uint32_t i = 0; i < t->n && !err; i++)
		err = guest_mem_add(&v->mem, &spec[i], m->fds[i], e);
	if (err)
		guest_mem_clear(&v->mem);
	vhost_rings_locate(v);
	if (err)
		return refuse(v, e);
	v->refused = (struct err){ 0 };
	return VHOST_OK;
}

/* QEMU before 8.0 adds and removes each region once for every queue pair. */
enum vhost_result vhost_add_mem_reg(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct guest_region_spec spec = spec_of(&m->payload->reg.region);

	if (m->n_fds != 1) {
		err_set(e, EPROTO, "the VMM sent a memory region with %u descriptors", m->n_fds);
		return VHOST_BREACH;
	}
	if (guest_mem_has(&v->mem, &spec))
		return VHOST_OK;
	vhost_pause(v); /* the list may move; addresses of rings do not */
	if (guest_mem_add(&v->mem, &spec, m->fds[0], e) < 0)
		return refuse(v, e);
	vhost_rings_locate(v);
	return VHOST_OK;
}

/* It may come with a descriptor that nobody needs, and for a region that is no longer there. */
enum vhost_result vhost_rem_mem_reg(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct guest_region_spec spec = spec_of(&m->payload->reg.region);

	vhost_pause(v);
	if (guest_mem_remove(&v->mem, &spec) == 0)
		vhost_rings_locate(v);
	return VHOST_OK;
}

enum vhost_result vhost_set_log_base(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	const struct vhost_log_base *base = &m->payload->log;
	struct guest_log *log, *before = v->log;
	int err;

	if (m->n_fds != 1) {
		err_set(e, EPROTO, "the VMM sent no memory for the log of its migration");
		return VHOST_BREACH;
	}
	log = calloc(1, sizeof(*log));
	err = log ? guest_map_open(&log->map, m->fds[0], base->offset, base->size, &log->is_lost) :
		    -ENOMEM;
	if (err) {
		free(log);
		err_set(e, -err, "the log of the migration cannot be mapped: %s", strerror(-err));
		return VHOST_BREACH;
	}
	log->size = base->size;
	v->log = log;
	vhost_rings_log(v);
	if (before) {
		guest_map_close(&before->map);
		free(before);
	}
	m->size = 0; /* an empty answer is what all front-ends wait for */
	return VHOST_ANSWER;
}

/* ---- inflight region ---- */

static uint64_t inflight_octets(const struct vhost_inflight *f)
{
	uint64_t ring = sizeof(struct vhost_inflight_split) + f->queue_size * UINT64_C(16);

	return (ring + 63) / 64 * 64 * f->n_queues;
}

static bool inflight_is_sane(const struct vhost_inflight *f, struct err *e)
{
	if (f->n_queues && f->n_queues <= VHOST_QUEUE_NUM * 2 && f->queue_size &&
	    f->queue_size <= VIRTQ_SIZE_MAX)
		return true;
	err_set(e, EPROTO, "the VMM wants an inflight region for %u queues of %u entries",
		f->n_queues, f->queue_size);
	return false;
}

/* A new region, zeroed: whoever makes it fills in what is in it as rings start. */
enum vhost_result vhost_get_inflight(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct vhost_inflight *f = &m->payload->inflight;

	if (!inflight_is_sane(f, e))
		return VHOST_BREACH;
	f->size = inflight_octets(f);
	f->offset = 0;
	m->reply_fd = memfd_create("evb-inflight", MFD_CLOEXEC);
	if (m->reply_fd < 0 || ftruncate(m->reply_fd, (off_t)f->size) < 0) {
		err_set(e, errno, "no memory for the inflight region: %s", strerror(errno));
		return VHOST_BREACH;
	}
	return VHOST_ANSWER;
}

enum vhost_result vhost_set_inflight(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	const struct vhost_inflight *f = &m->payload->inflight;
	int err;

	if (!inflight_is_sane(f, e))
		return VHOST_BREACH;
	if (m->n_fds != 1 || f->size < inflight_octets(f) ||
	    f->offset % _Alignof(struct vhost_inflight_split)) {
		err_set(e, EPROTO, "the VMM sent an inflight region too small, or not aligned");
		return VHOST_BREACH;
	}
	vhost_pause(v);
	for (unsigned i = 0; i < VHOST_RINGS_MAX; i++)
		if (v->ring[i].q)
			v->ring[i].q->inflight_used = &v->ring[i].q->own_inflight_used;
	guest_map_close(&v->inflight);
	v->inflight_size = v->inflight_rings = 0;
	err = guest_map_open(&v->inflight, m->fds[0], f->offset, f->size, &v->inflight_is_lost);
	if (err) {
		err_set(e, -err, "the inflight region cannot be mapped: %s", strerror(-err));
		return VHOST_BREACH;
	}
	v->inflight_rings = f->n_queues;
	v->inflight_size = f->queue_size;
	return VHOST_OK;
}
