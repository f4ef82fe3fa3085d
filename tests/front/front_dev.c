// SPDX-License-Identifier: Apache-2.0
/* The control side of front_dev.h; frames are in front_io.c. */
#include "front_dev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LOG_PAGE = 4096, DRIVER_OK = 1 | 2 | 4 | 8 /* and all that comes before it */ };

static bool has(const struct front_dev *d, unsigned feature)
{
	return d->features & FRONT_BIT(feature);
}

/* Keep the text of whoever failed below. */
static int failed(struct front_dev *d, int err)
{
	if (err < 0)
		snprintf(d->error, sizeof(d->error), "%s", d->sock.error);
	return err;
}

void front_dev_configure(struct front_dev *d, const struct front_dev_config *c)
{
	d->c = *c;
	if (!d->c.n_pairs)
		d->c.n_pairs = 1;
	if (!d->c.rx_size)
		d->c.rx_size = 256;
	if (!d->c.tx_size)
		d->c.tx_size = 256;
	if (!d->c.features)
		d->c.features = FRONT_FEATURES_LEAST;
	if (!d->c.protocol)
		d->c.protocol = FRONT_PROTOCOL_USUAL;
	if (!d->c.order)
		d->c.order = FRONT_ORDER_QEMU;
}

void front_dev_init(struct front_dev *d, const struct front_dev_config *c)
{
	*d = (struct front_dev){ .masked = -1, .listener = -1, .log_fd = -1 };
	front_dev_configure(d, c);
	front_sock_init_take(&d->sock, -1);
}

void front_dev_close(struct front_dev *d)
{
	struct front_dev_config c;

	front_sock_close(&d->sock);
	if (d->listener >= 0) {
		close(d->listener);
		unlink(d->path);
	}
	for (unsigned i = 0; d->pair && i < d->c.n_pairs; i++) {
		front_ring_close(&d->pair[i].rx);
		front_ring_close(&d->pair[i].tx);
		free(d->pair[i].small.gpa);
		free(d->pair[i].large.gpa);
		free(d->pair[i].received.gpa);
	}
	free(d->pair);
	if (d->log)
		munmap(d->log, d->log_size);
	if (d->log_fd >= 0)
		close(d->log_fd);
	if (d->masked >= 0)
		close(d->masked);
	front_mem_close(&d->mem);
	c = d->c;
	front_dev_init(d, &c);
}

int front_dev_connect(struct front_dev *d, const char *path)
{
	snprintf(d->path, sizeof(d->path), "%s", path);
	return failed(d, front_sock_connect(&d->sock, path));
}

int front_dev_listen(struct front_dev *d, const char *path)
{
	snprintf(d->path, sizeof(d->path), "%s", path);
	d->listener = front_sock_listen(&d->sock, path);
	return failed(d, d->listener < 0 ? d->listener : 0);
}

int front_dev_accept(struct front_dev *d)
{
	return failed(d, front_sock_accept(&d->sock, d->listener));
}

void front_dev_attach_take(struct front_dev *d, int fd)
{
	front_sock_close(&d->sock);
	d->sock.fd = fd;
}

static int negotiate_protocol(struct front_dev *d)
{
	struct front_sock *s = &d->sock;
	int err = front_get_u64(s, FRONT_GET_PROTOCOL_FEATURES, &d->protocol_offered);

	if (err)
		return err;
	d->protocol = d->protocol_offered & d->c.protocol;
	err = front_set_u64(s, FRONT_SET_PROTOCOL_FEATURES, d->protocol);
	if (!err && (d->protocol & FRONT_P_MQ))
		err = front_get_u64(s, FRONT_GET_QUEUE_NUM, &d->queue_num);
	if (!err && (d->protocol & FRONT_P_MQ) && d->queue_num < d->c.n_pairs)
		err = front_fail(s, -EPROTO, "the back-end has %llu queues, %u pairs wanted",
				 (unsigned long long)d->queue_num, d->c.n_pairs);
	if (!err && (d->protocol & FRONT_P_CONFIGURE_MEM_SLOTS))
		err = front_get_u64(s, FRONT_GET_MAX_MEM_SLOTS, &d->mem_slots);
	return err;
}

int front_dev_negotiate(struct front_dev *d)
{
	struct front_sock *s = &d->sock;
	uint64_t offered, missing;
	int err;

	s->ask_reply = d->c.need_reply;
	err = front_get_u64(s, FRONT_GET_FEATURES, &offered);
	if (err)
		return failed(d, err);
	d->offered = offered;
	missing = d->c.features & ~offered;
	if (missing && d->c.strict)
		return failed(d, front_fail(s, -EPROTO, "features 0x%llx are not offered",
					    (unsigned long long)missing));
	d->features = d->c.features & offered;
	d->header_size = has(d, FRONT_F_MRG_RXBUF) || has(d, FRONT_F_VERSION_1) ? 12 : 10;
	if (has(d, FRONT_F_PROTOCOL))
		err = negotiate_protocol(d);
	if (!err)
		err = front_set_empty(s, FRONT_SET_OWNER);
	return failed(d, err);
}

struct front_ring *front_dev_ring(struct front_dev *d, unsigned idx)
{
	if (!d->pair || idx / 2 >= d->c.n_pairs)
		return NULL;
	return idx & 1 ? &d->pair[idx / 2].tx : &d->pair[idx / 2].rx;
}

static int make_rings(struct front_dev *d)
{
	struct front_ring_config c = {
		.packed = has(d, FRONT_F_PACKED),
		.event_idx = has(d, FRONT_F_EVENT_IDX),
		.in_order = has(d, FRONT_F_IN_ORDER),
		.id_last = d->c.id_last,
		.tight = d->c.tight,
	};

	for (unsigned i = 0; i < 2 * d->c.n_pairs; i++) {
		int err;

		c.size = i & 1 ? d->c.tx_size : d->c.rx_size;
		err = front_ring_open(front_dev_ring(d, i), &d->mem, &c);
		if (err)
			return front_fail(&d->sock, err, "ring %u of %u: %s", i, c.size,
					  strerror(-err));
		front_ring_interrupts(front_dev_ring(d, i), false);
		if (c.packed)
			d->pair[i / 2].base[i & 1] = 1u << 15 | 1u << 31;
	}
	return 0;
}

static int make(struct front_dev *d)
{
	bool offload =
		d->features & (FRONT_BIT(FRONT_F_GUEST_TSO4) | FRONT_BIT(FRONT_F_GUEST_TSO6));
	int err;

	if (!d->c.rx_buf)
		d->c.rx_buf = offload && !has(d, FRONT_F_MRG_RXBUF) ? 68 << 10 : 2048;
	if (!d->c.mem.size)
		d->c.mem.size = (UINT64_C(64) << 20) +
				(uint64_t)d->c.n_pairs * d->c.rx_size * (d->c.rx_buf + 128);
	err = front_mem_open(&d->mem, &d->c.mem);
	if (err)
		return front_fail(&d->sock, err, "guest memory: %s", strerror(-err));
	d->pair = calloc(d->c.n_pairs, sizeof(*d->pair));
	d->masked = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!d->pair || d->masked < 0)
		return front_fail(&d->sock, -ENOMEM, "no memory");
	return make_rings(d);
}

int front_dev_make(struct front_dev *d)
{
	int err = d->pair ? 0 : make(d);

	if (err)
		return failed(d, err);
	for (unsigned i = 0; !err && i < d->c.n_pairs; i++)
		err = front_dev_refill(d, i);
	return err;
}

static int send_memory(struct front_dev *d)
{
	int err = 0;

	if (!d->c.add_regions)
		return front_set_mem_table(&d->sock, &d->mem);
	for (unsigned i = 0; !err && i < d->mem.n_regions; i++)
		err = front_add_region(&d->sock, &d->mem.region[i]);
	return err;
}

static int send_addr(struct front_dev *d, unsigned idx)
{
	const struct front_ring *r = front_dev_ring(d, idx);
	struct front_vring_addr a = {
		.idx = idx,
		.flags = d->log ? 1 : 0,
		.desc = front_mem_uva(&d->mem, r->gpa_desc),
		.used = front_mem_uva(&d->mem, r->gpa_device),
		.avail = front_mem_uva(&d->mem, r->gpa_driver),
		/* A packed ring is used in the descriptors (2.8), so they are what gets dirty. */
		.log = r->c.packed ? r->gpa_desc : r->gpa_device,
	};

	return front_set_addr(&d->sock, &a);
}

int front_dev_enable(struct front_dev *d, unsigned idx, bool on)
{
	if (!has(d, FRONT_F_PROTOCOL))
		return 0;
	return failed(d, front_set_vring(&d->sock, FRONT_SET_VRING_ENABLE, idx, on));
}

/* Add bits to the device's status, or reset it with 0 (virtio 1.2, 2.1). */
static int set_status(struct front_dev *d, uint64_t bits)
{
	uint64_t status;
	int err;

	if (!(d->protocol & FRONT_P_STATUS))
		return 0;
	err = front_get_u64(&d->sock, FRONT_GET_STATUS, &status);
	if (err)
		return err;
	return front_set_u64(&d->sock, FRONT_SET_STATUS, bits ? status | bits : 0);
}

static int step(struct front_dev *d, char letter, unsigned idx)
{
	struct front_sock *s = &d->sock;
	struct front_ring *r = front_dev_ring(d, idx);

	switch (letter) {
	case 'f':
		return front_set_u64(s, FRONT_SET_FEATURES,
				     d->features | (d->log ? FRONT_BIT(FRONT_F_LOG_ALL) : 0));
	case 'm':
		return send_memory(d);
	case 's':
		return set_status(d, DRIVER_OK);
	case 'n':
		return front_set_vring(s, FRONT_SET_VRING_NUM, idx, r->c.size);
	case 'b':
		return front_set_vring(s, FRONT_SET_VRING_BASE, idx,
				       d->pair[idx / 2].base[idx & 1]);
	case 'a':
		return send_addr(d, idx);
	case 'k':
		return front_set_fd(s, FRONT_SET_VRING_KICK, idx, d->c.no_kick ? -1 : r->kick);
	case 'c':
		return front_set_fd(s, FRONT_SET_VRING_CALL, idx, d->c.no_call ? -1 : r->call);
	case 'x':
		return front_set_fd(s, FRONT_SET_VRING_CALL, idx, d->masked);
	case 'r':
		return front_set_fd(s, FRONT_SET_VRING_ERR, idx, d->masked);
	case 'e':
		return front_dev_enable(d, idx, true);
	}
	return front_fail(s, -EINVAL, "'%c' is no step", letter);
}

int front_dev_step(struct front_dev *d, char letter, unsigned idx)
{
	if (letter != 'f' && letter != 's' && !front_dev_ring(d, idx))
		return failed(d, front_fail(&d->sock, -EINVAL, "there is no ring %u", idx));
	return failed(d, step(d, letter, idx));
}

/* The letters of one step, for each ring. */
static int step_run(struct front_dev *d, const char *letters, size_t n)
{
	bool device = n == 1 && strchr("fms", letters[0]);

	for (unsigned idx = 0; idx < (device ? 1 : 2 * d->c.n_pairs); idx++)
		for (size_t i = 0; i < n; i++) {
			int err = front_dev_step(d, letters[i], idx);

			if (err)
				return err;
		}
	return 0;
}

int front_dev_steps(struct front_dev *d, const char *steps)
{
	while (*steps) {
		size_t n = strcspn(steps, ",");
		int err = step_run(d, steps, n);

		if (err)
			return err;
		steps += n + (steps[n] == ',');
	}
	return 0;
}

int front_dev_setup(struct front_dev *d)
{
	int err = front_dev_make(d);

	if (!err)
		err = front_dev_steps(d, d->c.order);
	if (!err) /* an answer says that all before it was read (1.7, trap 10) */
		err = failed(d, front_get_u64(&d->sock, FRONT_GET_FEATURES, &d->offered));
	for (unsigned i = 0; !err && i < d->c.n_pairs; i++)
		front_ring_kick_always(&d->pair[i].rx);
	return err;
}

int front_dev_start(struct front_dev *d)
{
	int err = front_dev_negotiate(d);

	return err ? err : front_dev_setup(d);
}

/* Is what GET_VRING_BASE said within what is out? Packed: position and wrap of the low half. */
static bool base_plausible(const struct front_ring *r, uint32_t base)
{
	unsigned at = base & 0x7fff, span;

	if (!r->c.packed)
		return base <= UINT16_MAX &&
		       (uint16_t)(base - r->used_idx) <= (uint16_t)(r->avail_idx - r->used_idx);
	span = r->c.size - r->n_free;
	if (at >= r->c.size)
		return false;
	/* Distance from the oldest that is out, over the end of the ring if the wrap says so. */
	if (!!(base & 1u << 15) != r->used_wrap)
		at += r->c.size;
	return at >= r->used_idx && at - r->used_idx <= span;
}

int front_dev_stop(struct front_dev *d)
{
	for (unsigned i = 0; i < 2 * d->c.n_pairs; i++) {
		int err = front_dev_enable(d, i, false);

		if (err)
			return err;
	}
	for (unsigned i = 0; i < 2 * d->c.n_pairs; i++) {
		uint32_t *base = &d->pair[i / 2].base[i & 1];
		int err = front_get_base(&d->sock, i, base);

		if (err)
			return failed(d, err);
		if (!base_plausible(front_dev_ring(d, i), *base))
			return failed(d, front_fail(&d->sock, -EPROTO,
						    "ring %u stopped at 0x%x, which is not out", i,
						    *base));
	}
	return failed(d, set_status(d, 0));
}

int front_dev_resume(struct front_dev *d, enum front_resume from)
{
	if (from == FRONT_FROM_ZERO)
		front_dev_clear(d);
	for (unsigned i = 0; i < 2 * d->c.n_pairs; i++) {
		struct front_ring *r = front_dev_ring(d, i);
		uint32_t *base = &d->pair[i / 2].base[i & 1];

		switch (from) {
		case FRONT_FROM_BASE:
			break;
		case FRONT_FROM_USED:
		case FRONT_FROM_ZERO:
			*base = front_ring_base_used(r);
			break;
		case FRONT_FROM_AVAIL:
			*base = front_ring_base_avail(r);
			break;
		}
	}
	return front_dev_setup(d);
}

int front_dev_reconnect(struct front_dev *d, enum front_resume from)
{
	uint64_t features = d->features;
	int err;

	front_sock_close(&d->sock);
	err = d->listener >= 0 ? front_dev_accept(d) :
				 failed(d, front_sock_connect(&d->sock, d->path));
	if (!err)
		err = front_dev_negotiate(d);
	if (err)
		return err;
	if (d->features != features)
		return failed(d, front_fail(&d->sock, -EPROTO,
					    "features were 0x%llx, now only 0x%llx are offered",
					    (unsigned long long)features,
					    (unsigned long long)d->features));
	return front_dev_resume(d, from);
}

int front_dev_log_start(struct front_dev *d)
{
	int err;

	if (!d->log) {
		void *log;

		d->log_size = (front_mem_end(&d->mem) / LOG_PAGE + 7) / 8;
		d->log_fd = memfd_create("front-log", MFD_CLOEXEC);
		if (d->log_fd < 0 || ftruncate(d->log_fd, (off_t)d->log_size))
			return failed(d, front_fail(&d->sock, -errno, "log: %s", strerror(errno)));
		log = mmap(NULL, d->log_size, PROT_READ | PROT_WRITE, MAP_SHARED, d->log_fd, 0);
		if (log == MAP_FAILED)
			return failed(d, front_fail(&d->sock, -errno, "log: %s", strerror(errno)));
		d->log = log;
	}
	err = failed(d, front_set_log_base(&d->sock, d->log_size, 0, d->log_fd));
	return err ? err : front_dev_steps(d, "f,a");
}

int front_dev_log_stop(struct front_dev *d)
{
	if (d->log)
		munmap(d->log, d->log_size);
	if (d->log_fd >= 0)
		close(d->log_fd);
	d->log = NULL;
	d->log_fd = -1;
	return front_dev_steps(d, "f,a");
}

bool front_dev_log_dirty(const struct front_dev *d, uint64_t gpa, uint64_t size)
{
	for (uint64_t page = gpa / LOG_PAGE; d->log && page * LOG_PAGE < gpa + size; page++)
		if (page / 8 < d->log_size && (d->log[page / 8] >> (page % 8) & 1))
			return true;
	return false;
}

uint64_t front_dev_log_count(const struct front_dev *d)
{
	uint64_t n = 0;

	for (uint64_t i = 0; d->log && i < d->log_size; i++)
		n += (uint64_t)__builtin_popcount(d->log[i]);
	return n;
}

void front_dev_log_clear(struct front_dev *d)
{
	for (uint64_t i = 0; d->log && i < d->log_size; i++)
		__atomic_store_n(&d->log[i], 0, __ATOMIC_RELAXED);
}
