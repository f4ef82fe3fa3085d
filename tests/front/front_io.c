// SPDX-License-Identifier: Apache-2.0
/* Frames of front_dev.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "front_dev.h"

enum { SMALL = 2048, LARGE = 68 << 10, GUARD_OCTET = 0x5c };

/* What a transmit buffer's cookie says beside its gpa, which is aligned. */
enum { COOKIE_LARGE = 1, COOKIE_STRADDLE = 2, COOKIE_FLAGS = 63 };

static int failed(struct front_dev *d, int err, const char *text)
{
	snprintf(d->error, sizeof(d->error), "%s", text);
	return err;
}

static int ring_failed(struct front_dev *d, const char *name, const struct front_ring *r)
{
	snprintf(d->error, sizeof(d->error), "%s ring: %s", name, r->error);
	return -EPROTO;
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* Wait for a used buffer, by interrupt if there is one: 1, or 0 when `end` has come. */
static int wait_used(struct front_dev *d, struct front_ring *r, int64_t end)
{
	while (!front_ring_has_used(r)) {
		int64_t left = end - now_us();

		if (left <= 0)
			return 0;
		if (d->sock.step) {
			d->sock.step(d->sock.step_arg);
			continue;
		}
		if (d->c.no_call) {
			poll(NULL, 0, 1);
			continue;
		}
		front_ring_calls(r);
		front_ring_interrupts(r, true);
		if (front_ring_has_used(r))
			break;
		if (!front_wait_fd(&d->sock, r->call, POLLIN, (int)(left / 1000) + 1) &&
		    front_ring_has_used(r))
			d->n_lost_calls++;
		front_ring_calls(r);
	}
	front_ring_interrupts(r, false);
	return 1;
}

unsigned front_cut(const struct front_layout *l, uint64_t gpa, uint32_t size,
		   struct front_piece *piece)
{
	unsigned n = 0;

	while (size && n < FRONT_PIECES_MAX - 1) {
		uint32_t len = size;

		if (n < l->n_cuts)
			len = l->cut[n];
		else if (l->repeat_last && l->n_cuts)
			len = l->cut[l->n_cuts - 1];
		if (len > size || !len)
			len = size;
		piece[n++] = (struct front_piece){ .gpa = gpa, .len = len };
		gpa += len;
		size -= len;
	}
	if (size)
		piece[n++] = (struct front_piece){ .gpa = gpa, .len = size };
	return n;
}

/* A buffer with a guard behind it, to see whether the device writes on. */
static uint64_t buffer_new(struct front_dev *d, uint32_t size)
{
	uint64_t gpa = front_mem_alloc(&d->mem, size + FRONT_GUARD, 64);

	if (gpa != FRONT_NO_GPA)
		memset(front_mem_at(&d->mem, gpa + size, FRONT_GUARD), GUARD_OCTET, FRONT_GUARD);
	return gpa;
}

static int guard_check(struct front_dev *d, uint64_t gpa, uint32_t size)
{
	const uint8_t *guard = front_mem_at(&d->mem, gpa + size, FRONT_GUARD);

	for (unsigned i = 0; guard && i < FRONT_GUARD; i++)
		if (guard[i] != GUARD_OCTET)
			return failed(d, -EPROTO, "the device wrote beyond a buffer");
	return 0;
}

static uint64_t pool_get(struct front_pool *p)
{
	return p->n ? p->gpa[--p->n] : FRONT_NO_GPA;
}

static void pool_put(struct front_pool *p, uint64_t gpa)
{
	if (p->n == p->room) {
		unsigned room = p->room ? 2 * p->room : 64;
		uint64_t *more = realloc(p->gpa, room * sizeof(*more));

		if (!more)
			return; /* the buffer is lost, nothing else */
		p->gpa = more;
		p->room = room;
	}
	p->gpa[p->n++] = gpa;
}

/* A transmit buffer for `size` octets, as a cookie; FRONT_NO_GPA if there is none now. */
static uint64_t tx_buffer(struct front_dev *d, struct front_pair *p, uint32_t size,
			  const struct front_layout *l)
{
	bool large = size > SMALL;
	uint64_t gpa;

	if (l->straddle) {
		gpa = front_mem_straddle(&d->mem, l->seam, size / 2 & ~(uint64_t)63);
		if (gpa == FRONT_NO_GPA || p->straddled)
			return FRONT_NO_GPA;
		p->straddled = true;
		return gpa | COOKIE_STRADDLE;
	}
	gpa = pool_get(large ? &p->large : &p->small);
	if (gpa == FRONT_NO_GPA)
		gpa = buffer_new(d, large ? LARGE : SMALL);
	return gpa == FRONT_NO_GPA ? gpa : gpa | (large ? COOKIE_LARGE : 0);
}

static void tx_buffer_put(struct front_pair *p, uint64_t cookie)
{
	if (cookie & COOKIE_STRADDLE)
		p->straddled = false;
	else
		pool_put(cookie & COOKIE_LARGE ? &p->large : &p->small,
			 cookie & ~(uint64_t)COOKIE_FLAGS);
}

int front_dev_reap(struct front_dev *d, unsigned pair)
{
	struct front_pair *p = &d->pair[pair];
	struct front_got got;
	int n = 0, got_one;

	while ((got_one = front_ring_get(&p->tx, &got)) > 0) {
		uint64_t gpa = got.cookie & ~(uint64_t)COOKIE_FLAGS;
		int err = got.cookie & COOKIE_STRADDLE ?
				  0 :
				  guard_check(d, gpa, got.cookie & COOKIE_LARGE ? LARGE : SMALL);

		tx_buffer_put(p, got.cookie);
		if (err)
			return err;
		n++;
	}
	return got_one < 0 ? ring_failed(d, "transmit", &p->tx) : n;
}

int front_dev_drain(struct front_dev *d, unsigned pair, int timeout_ms)
{
	struct front_ring *r = &d->pair[pair].tx;
	int64_t end = now_us() + timeout_ms * INT64_C(1000);

	for (;;) {
		int n = front_dev_reap(d, pair);

		if (n < 0)
			return n;
		if (!front_ring_outstanding(r))
			return 0;
		if (!wait_used(d, r, end)) {
			snprintf(d->error, sizeof(d->error), "%u transmit buffers do not come back",
				 front_ring_outstanding(r));
			return -ETIMEDOUT;
		}
	}
}

/* Try once: 0, -ENOSPC if there is no room now, or another -errno. */
static int try_queue(struct front_dev *d, struct front_pair *p, const struct front_tx *tx)
{
	static const struct front_layout together;
	const struct front_layout *l = tx->layout ? tx->layout : &together;
	struct front_piece piece[FRONT_PIECES_MAX];
	struct front_chain chain = { .piece = piece, .how = l->how };
	uint32_t size = d->header_size + tx->size;
	uint64_t gpa;
	int id;

	if (size > LARGE)
		return -EMSGSIZE;
	chain.cookie = tx_buffer(d, p, size, l);
	if (chain.cookie == FRONT_NO_GPA)
		return -ENOSPC;
	gpa = chain.cookie & ~(uint64_t)COOKIE_FLAGS;
	front_mem_write(&d->mem, gpa, &tx->hdr, d->header_size);
	front_mem_write(&d->mem, gpa + d->header_size, tx->data, tx->size);
	chain.n = front_cut(l, gpa, size, piece);
	id = front_ring_add(&p->tx, &chain);
	if (id < 0) {
		tx_buffer_put(p, chain.cookie);
		return id;
	}
	p->tx_frames++;
	p->tx_octets += tx->size;
	return 0;
}

int front_dev_queue(struct front_dev *d, unsigned pair, const struct front_tx *tx, int timeout_ms)
{
	struct front_pair *p = &d->pair[pair];
	int64_t end = now_us() + timeout_ms * INT64_C(1000);

	for (;;) {
		int err = front_dev_reap(d, pair);

		if (err < 0)
			return err;
		err = try_queue(d, p, tx);
		if (!err)
			return 0;
		if (err != -ENOSPC || !front_ring_outstanding(&p->tx))
			return failed(d, err, strerror(-err));
		front_dev_flush(d, pair);
		if (!wait_used(d, &p->tx, end))
			return failed(d, -ETIMEDOUT, "the transmit ring stays full");
	}
}

void front_dev_flush(struct front_dev *d, unsigned pair)
{
	front_ring_publish(&d->pair[pair].tx);
	front_ring_kick(&d->pair[pair].tx);
}

int front_dev_send(struct front_dev *d, unsigned pair, const struct front_tx *tx, int timeout_ms)
{
	int err = front_dev_queue(d, pair, tx, timeout_ms);

	front_dev_flush(d, pair);
	return err;
}

static int rx_post(struct front_dev *d, struct front_pair *p, uint64_t gpa)
{
	struct front_piece piece[FRONT_PIECES_MAX];
	struct front_chain chain = {
		.piece = piece,
		.how = d->c.rx_layout.how,
		.cookie = gpa,
		.n = front_cut(&d->c.rx_layout, gpa, d->c.rx_buf, piece),
	};

	for (unsigned i = 0; i < chain.n; i++)
		piece[i].writable = true;
	return front_ring_add(&p->rx, &chain);
}

int front_dev_refill(struct front_dev *d, unsigned pair)
{
	struct front_pair *p = &d->pair[pair];
	int id = 0;

	while (p->rx.n_free && id >= 0) {
		uint64_t gpa = pool_get(&p->received);

		if (gpa == FRONT_NO_GPA)
			gpa = buffer_new(d, d->c.rx_buf);
		if (gpa == FRONT_NO_GPA)
			return failed(d, -ENOMEM, "no guest memory for receive buffers");
		id = rx_post(d, p, gpa);
		if (id < 0)
			pool_put(&p->received, gpa);
	}
	front_ring_publish(&p->rx);
	front_ring_kick(&p->rx);
	return id >= 0 || id == -ENOSPC ? 0 : failed(d, id, strerror(-id));
}

void front_dev_clear(struct front_dev *d)
{
	for (unsigned i = 0; d->pair && i < d->c.n_pairs; i++) {
		struct front_pair *p = &d->pair[i];

		for (unsigned id = 0; id < p->rx.c.size; id++)
			if (p->rx.slot[id].out)
				pool_put(&p->received, p->rx.slot[id].cookie);
		for (unsigned id = 0; id < p->tx.c.size; id++)
			if (p->tx.slot[id].out)
				tx_buffer_put(p, p->tx.slot[id].cookie);
		front_ring_reset(&p->rx);
		front_ring_reset(&p->tx);
		front_ring_interrupts(&p->rx, false);
		front_ring_interrupts(&p->tx, false);
	}
}

/* Take one used buffer into the frame, without its first `skip` octets: 1, 0 or -errno. */
static int rx_take(struct front_dev *d, struct front_pair *p, struct front_frame *f, bool first)
{
	uint32_t skip = first ? d->header_size : 0;
	struct front_got got;
	int n = front_ring_get(&p->rx, &got);

	if (n <= 0)
		return n < 0 ? ring_failed(d, "receive", &p->rx) : 0;
	pool_put(&p->received, got.cookie);
	if (guard_check(d, got.cookie, d->c.rx_buf))
		return -EPROTO;
	if (got.len < skip)
		return failed(d, -EPROTO, "a received buffer is shorter than the header");
	if (first)
		front_mem_read(&d->mem, got.cookie, &f->hdr, d->header_size);
	if (got.len - skip > f->room - f->size)
		return failed(d, -EMSGSIZE, "the frame is larger than the room for it");
	front_mem_read(&d->mem, got.cookie + skip, f->data + f->size, got.len - skip);
	f->size += got.len - skip;
	f->n_buffers++;
	return 1;
}

int front_dev_recv_keep(struct front_dev *d, unsigned pair, struct front_frame *f)
{
	bool merge = d->features & FRONT_BIT(FRONT_F_MRG_RXBUF);
	struct front_pair *p = &d->pair[pair];
	unsigned n = 1;
	int got;

	f->size = 0;
	f->n_buffers = 0;
	f->hdr = (struct front_hdr){ .num_buffers = 1 };
	got = rx_take(d, p, f, true);
	if (got <= 0)
		return got;
	if (f->hdr.num_buffers != 1 && (!merge || !f->hdr.num_buffers))
		d->n_num_buffers++;
	else
		n = f->hdr.num_buffers;
	while (f->n_buffers < n) {
		got = rx_take(d, p, f, false);
		if (got < 0)
			return got;
		if (!got) {
			snprintf(d->error, sizeof(d->error), "num_buffers is %u, but %u are used",
				 n, f->n_buffers);
			return -EPROTO;
		}
	}
	p->rx_frames++;
	p->rx_octets += f->size;
	return 1;
}

int front_dev_recv(struct front_dev *d, unsigned pair, struct front_frame *f, int timeout_ms)
{
	struct front_ring *r = &d->pair[pair].rx;
	int64_t end = now_us() + timeout_ms * INT64_C(1000);
	int got = front_dev_recv_keep(d, pair, f), err;

	if (!got && timeout_ms > 0 && wait_used(d, r, end))
		got = front_dev_recv_keep(d, pair, f);
	if (got <= 0)
		return got;
	err = front_dev_refill(d, pair);
	return err ? err : got;
}
