// SPDX-License-Identifier: Apache-2.0
/*
 * The front-end against a device of a hundred lines that reads its rings by the book and gives back
 * what is transmitted, in the same thread (front_sock.step), and against answers that are wrong.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "front_hostile.h"

enum { ROOM = 1 << 17 };

struct fake_ring { /* the device's side of a ring */
	uint16_t avail, used;
	bool avail_wrap, used_wrap;
};

struct fake {
	int fd;
	struct front_dev *dev;
	uint64_t features;
	bool refuse;	      /* acknowledge with 1 */
	uint32_t reply_flags; /* 0: 5 */
	uint32_t n_messages, last_request;
	unsigned n_fds;
	struct fake_ring ring[2];
	bool running;
	unsigned skip; /* in order: say only every n-th buffer */
	uint8_t frame[ROOM];
};

struct chain {
	struct front_piece piece[FRONT_PIECES_MAX];
	unsigned n, n_desc, id;
};

static void fake_table(const struct fake *f, struct chain *c, struct front_desc d, bool packed)
{
	unsigned n = d.len / 16, at = 0;

	for (unsigned i = 0; i < n; i++) {
		union {
			struct front_desc split;
			struct front_packed_desc packed;
		} e;
		uint16_t flags;

		assert_true(front_mem_read(&f->dev->mem, d.addr + 16 * at, &e, 16));
		flags = packed ? e.packed.flags : e.split.flags;
		c->piece[c->n++] =
			(struct front_piece){ e.split.addr, e.split.len, flags & FRONT_WRITE };
		if (!packed && !(flags & FRONT_NEXT))
			break;
		at = packed ? at + 1 : e.split.next;
	}
}

static bool fake_next_split(struct fake *f, unsigned idx, struct chain *c)
{
	struct front_ring *r = front_dev_ring(f->dev, idx);
	struct fake_ring *own = &f->ring[idx];
	struct front_desc d;

	if (own->avail == front_load16(front_avail_idx(r)))
		return false;
	c->id = *front_avail_entry(r, own->avail++ & (r->c.size - 1));
	c->n = c->n_desc = 0;
	d.next = (uint16_t)c->id;
	do {
		d = r->desc[d.next];
		c->n_desc++;
		if (d.flags & FRONT_INDIRECT)
			fake_table(f, c, d, false);
		else
			c->piece[c->n++] =
				(struct front_piece){ d.addr, d.len, d.flags & FRONT_WRITE };
	} while (d.flags & FRONT_NEXT);
	return true;
}

static bool fake_next_packed(struct fake *f, unsigned idx, struct chain *c)
{
	struct front_ring *r = front_dev_ring(f->dev, idx);
	struct fake_ring *own = &f->ring[idx];
	struct front_packed_desc d = r->pdesc[own->avail];

	if (!!(d.flags & FRONT_AVAIL) != own->avail_wrap ||
	    !!(d.flags & FRONT_USED) == own->avail_wrap)
		return false;
	c->n = c->n_desc = 0;
	do {
		d = r->pdesc[own->avail];
		c->n_desc++;
		c->id = d.id;
		if (d.flags & FRONT_INDIRECT)
			fake_table(f, c, (struct front_desc){ d.addr, d.len, 0, 0 }, true);
		else
			c->piece[c->n++] =
				(struct front_piece){ d.addr, d.len, d.flags & FRONT_WRITE };
		if (++own->avail == r->c.size) {
			own->avail = 0;
			own->avail_wrap = !own->avail_wrap;
		}
	} while (d.flags & FRONT_NEXT);
	return true;
}

static bool fake_next(struct fake *f, unsigned idx, struct chain *c)
{
	return front_dev_ring(f->dev, idx)->c.packed ? fake_next_packed(f, idx, c) :
						       fake_next_split(f, idx, c);
}

/* `n` is how many buffers this entry stands for, n_desc how many descriptors. */
static void fake_use(struct fake *f, unsigned idx, const struct chain *c, uint32_t len, unsigned n)
{
	struct front_ring *r = front_dev_ring(f->dev, idx);
	struct fake_ring *own = &f->ring[idx];
	uint64_t one = 1;

	if (r->c.packed) {
		struct front_packed_desc *d = &r->pdesc[own->used];

		d->id = (uint16_t)c->id;
		d->len = len;
		front_store16(&d->flags,
			      (uint16_t)((own->used_wrap ? FRONT_AVAIL | FRONT_USED : 0) |
					 (len ? FRONT_WRITE : 0)));
		own->used = (uint16_t)(own->used + c->n_desc);
		if (own->used >= r->c.size) {
			own->used = (uint16_t)(own->used - r->c.size);
			own->used_wrap = !own->used_wrap;
		}
	} else {
		*front_used_entry(r, own->used & (r->c.size - 1)) =
			(struct front_used_elem){ c->id, len };
		own->used = (uint16_t)(own->used + n);
		front_store16(front_used_idx(r), own->used);
	}
	assert_int_equal(write(r->call, &one, sizeof(one)), sizeof(one));
}

static uint32_t gather(const struct fake *f, const struct chain *c, uint8_t *data)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < c->n; i++) {
		assert_false(c->piece[i].writable);
		assert_true(
			front_mem_read(&f->dev->mem, c->piece[i].gpa, data + n, c->piece[i].len));
		n += c->piece[i].len;
	}
	return n;
}

static uint32_t scatter(const struct fake *f, const struct chain *c, const uint8_t *data,
			uint32_t size)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < c->n && n < size; i++) {
		uint32_t len = c->piece[i].len < size - n ? c->piece[i].len : size - n;

		assert_true(c->piece[i].writable);
		assert_true(front_mem_write(&f->dev->mem, c->piece[i].gpa, data + n, len));
		n += len;
	}
	return n;
}

/* A frame back to the driver, over as many buffers as it needs. */
static void fake_deliver(struct fake *f, uint32_t size)
{
	static struct chain c[64];
	struct front_hdr h;
	uint32_t len[64], at = 0;
	unsigned n = 0;

	while (at < size && n < 64 && fake_next(f, 0, &c[n])) {
		len[n] = scatter(f, &c[n], f->frame + at, size - at);
		at += len[n++];
	}
	if (!n)
		return; /* no room: lost, as on any wire */
	assert_int_equal(at, size);
	memcpy(&h, f->frame, sizeof(h));
	h.num_buffers = (uint16_t)n;
	scatter(f, &c[0], (const uint8_t *)&h, f->dev->header_size);
	for (unsigned i = 0; i < n; i++)
		fake_use(f, 0, &c[i], len[i], 1);
}

static void fake_rings(struct fake *f)
{
	static struct chain c;
	unsigned n = 0, n_desc = 0;

	while (f->running && fake_next(f, 1, &c)) {
		n++;
		n_desc += c.n_desc;
		fake_deliver(f, gather(f, &c, f->frame));
		if (n < f->skip)
			continue;
		c.n_desc = n_desc;
		fake_use(f, 1, &c, 0, n);
		n = n_desc = 0;
	}
	if (n) { /* what is left over of a batch */
		c.n_desc = n_desc;
		fake_use(f, 1, &c, 0, n);
	}
}

static void fake_start(struct fake *f, unsigned idx, uint32_t base)
{
	bool packed = f->features & FRONT_BIT(FRONT_F_PACKED);
	struct fake_ring *own = &f->ring[idx & 1];

	own->avail = (uint16_t)(packed ? base & 0x7fff : base);
	own->used = own->avail;
	own->avail_wrap = own->used_wrap = base >> 15 & 1;
}

static void fake_answer(struct fake *f, struct front_msg *m)
{
	struct front_sock s = { .fd = f->fd,
				.timeout_ms = 0 }; /* who does not listen goes without */
	bool ack = m->flags & FRONT_NEED_REPLY;

	m->n_fds = 0;
	m->flags = f->reply_flags ? f->reply_flags : FRONT_VERSION | FRONT_REPLY;
	switch (m->request) {
	case FRONT_GET_FEATURES:
		m->u.u64 = f->features;
		break;
	case FRONT_GET_PROTOCOL_FEATURES:
		m->u.u64 = FRONT_PROTOCOL_USUAL | FRONT_P_CONFIGURE_MEM_SLOTS;
		break;
	case FRONT_GET_QUEUE_NUM:
	case FRONT_GET_MAX_MEM_SLOTS:
		m->u.u64 = 8;
		break;
	case FRONT_GET_STATUS:
		m->u.u64 = 0;
		break;
	case FRONT_GET_VRING_BASE: {
		const struct fake_ring *r = &f->ring[m->u.state.idx & 1];

		m->u.state.num = r->avail;
		if (f->features & FRONT_BIT(FRONT_F_PACKED))
			m->u.state.num |= (uint32_t)r->avail_wrap << 15;
		f->running = false;
		break;
	}
	default:
		if (!ack && m->request != FRONT_SET_LOG_BASE)
			return;
		m->u.u64 = f->refuse;
	}
	m->size = 8;
	front_send(&s, m);
}

static void fake_step(void *arg)
{
	struct fake *f = arg;
	struct front_sock s = { .fd = f->fd, .timeout_ms = 0 };
	struct front_msg m = { 0 };

	while (f->fd >= 0 && !front_recv(&s, &m)) {
		f->n_messages++;
		f->n_fds = m.n_fds;
		f->last_request = m.request;
		front_msg_close_fds(&m);
		if (m.request == FRONT_SET_VRING_BASE)
			fake_start(f, m.u.state.idx, m.u.state.num);
		if (m.request == FRONT_SET_VRING_ENABLE)
			f->running = m.u.state.num;
		fake_answer(f, &m);
	}
	if (f->running && f->dev)
		fake_rings(f);
}

static void open_pair(struct fake *f, struct front_dev *d, const struct front_dev_config *c)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	*f = (struct fake){ .fd = fd[1], .dev = d, .features = c->features };
	front_dev_init(d, c);
	front_dev_attach_take(d, fd[0]);
	d->sock.timeout_ms = 1000;
	d->sock.step = fake_step;
	d->sock.step_arg = f;
}

static void close_pair(struct fake *f, struct front_dev *d)
{
	front_dev_close(d);
	if (f->fd >= 0)
		close(f->fd);
}

static void memory_has_the_layout_wanted(void **state)
{
	struct front_mem_config c = { .size = 12 << 20, .n_regions = 3, .base = 1 << 20 };
	struct front_mem m;
	uint8_t in[300], out[300];
	uint64_t gpa;

	assert_int_equal(front_mem_open(&m, &c), 0);
	assert_int_equal(m.n_regions, 3);
	assert_int_equal(m.region[1].gpa, m.region[0].gpa + (4 << 20));
	assert_true(m.region[1].uva < m.region[0].uva);
	gpa = front_mem_straddle(&m, 1, 100);
	assert_null(front_mem_at(&m, gpa, 300));
	memset(in, 0x77, sizeof(in));
	assert_true(front_mem_write(&m, gpa, in, sizeof(in)));
	assert_true(front_mem_read(&m, gpa, out, sizeof(out)));
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(*(uint8_t *)front_mem_at(&m, m.region[2].gpa, 1), 0x77);
	assert_false(front_mem_write(&m, front_mem_end(&m) - 10, in, 20));
	while ((gpa = front_mem_alloc(&m, 100000, 64)) != FRONT_NO_GPA)
		assert_non_null(front_mem_at(&m, gpa, 100000));
	assert_int_equal(front_mem_shrink(&m, 2, 0), 0);
	front_mem_close(&m);
	c.hole = 4096;
	c.sealed = c.one_file = true;
	assert_int_equal(front_mem_open(&m, &c), 0);
	assert_int_equal(m.region[1].offset, 4 << 20);
	assert_int_equal(front_mem_straddle(&m, 0, 100), FRONT_NO_GPA);
	assert_int_equal(front_mem_shrink(&m, 0, 0), -EPERM);
	front_mem_close(&m);
}

static void messages_look_as_the_protocol_says(void **state)
{
	static const uint32_t wanted[] = { FRONT_SET_VRING_NUM, 1, 8, 3, 256 };
	struct front_sock s;
	struct front_msg m;
	uint32_t got[25];
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	front_sock_init_take(&s, fd[0]);
	assert_int_equal(front_set_vring(&s, FRONT_SET_VRING_NUM, 3, 256), 0);
	assert_int_equal(read(fd[1], got, sizeof(got)), sizeof(wanted));
	assert_memory_equal(got, wanted, sizeof(wanted));
	assert_int_equal(front_set_fd(&s, FRONT_SET_VRING_KICK, 2, fd[1]), 0);
	assert_int_equal(front_set_fd(&s, FRONT_SET_VRING_CALL, 2, -1), 0);
	front_sock_init_take(&s, fd[1]);
	assert_int_equal(front_recv(&s, &m), 0);
	assert_int_equal(m.n_fds, 1);
	assert_int_equal(m.u.u64, 2);
	front_msg_close_fds(&m);
	assert_int_equal(front_recv(&s, &m), 0);
	assert_int_equal(m.n_fds, 0);
	assert_int_equal(m.u.u64, 0x102);
	s.timeout_ms = 10;
	assert_int_equal(front_recv(&s, &m), -ETIMEDOUT);
	close(fd[0]);
	assert_int_equal(front_recv(&s, &m), -ECONNRESET);
	close(fd[1]);
	assert_int_equal(front_request_id("get_queue_num"), 17);
}

static void wrong_answers_are_reported(void **state)
{
	struct front_dev_config c = { .features = FRONT_FEATURES_LEAST, .need_reply = true };
	struct front_dev d;
	struct fake *f = calloc(1, sizeof(*f));

	open_pair(f, &d, &c);
	f->refuse = true;
	assert_int_equal(front_dev_negotiate(&d), -EREMOTEIO);
	assert_string_equal(d.error, "SET_OWNER was refused");
	f->reply_flags = 1;
	assert_int_equal(front_dev_negotiate(&d), -EPROTO);
	close(f->fd);
	f->fd = -1;
	assert_int_equal(front_dev_negotiate(&d), -ECONNRESET);
	close_pair(f, &d);
	free(f);
}

static const struct kind {
	const char *name;
	uint64_t features;
	unsigned size, skip;
	uint32_t rx_buf;
	bool id_last;
} kinds[] = {
	{ "split", 0, 64, 1, 2048 },
	{ "split, event index", FRONT_BIT(FRONT_F_EVENT_IDX), 64, 1, 2048 },
	{ "split, in order", FRONT_BIT(FRONT_F_IN_ORDER), 64, 1, 2048 },
	{ "split, in order, skipping", FRONT_BIT(FRONT_F_IN_ORDER), 64, 3, 2048 },
	{ "split, small buffers", 0, 256, 1, 100 },
	{ "split of 2", 0, 2, 1, 2048 },
	{ "packed", FRONT_BIT(FRONT_F_PACKED), 64, 1, 2048 },
	{ "packed of 5", FRONT_BIT(FRONT_F_PACKED), 5, 1, 2048 },
	{ "packed, id in the last", FRONT_BIT(FRONT_F_PACKED), 77, 1, 2048, true },
	{ "packed, event index", FRONT_BIT(FRONT_F_PACKED) | FRONT_BIT(FRONT_F_EVENT_IDX), 64, 1,
	  2048 },
	{ "packed, in order, skipping", FRONT_BIT(FRONT_F_PACKED) | FRONT_BIT(FRONT_F_IN_ORDER), 61,
	  4, 2048 },
	{ "packed, small buffers", FRONT_BIT(FRONT_F_PACKED), 255, 1, 100 },
};

static const struct front_layout layouts[] = {
	{ .n_cuts = 0 },
	{ .n_cuts = 1, .cut = { 12 } },
	{ .n_cuts = 2, .cut = { 12, 100 }, .repeat_last = true, .how = FRONT_IN_TABLE },
	{ .n_cuts = 1, .cut = { 700 }, .repeat_last = true },
	{ .n_cuts = 1, .cut = { 12 }, .how = FRONT_TAIL_TABLE },
	{ .straddle = true },
};

static void echo(struct front_dev *d, const struct kind *k, unsigned i)
{
	static uint8_t sent[3000], got[3000];
	const struct front_layout *l = &layouts[i % 6];
	uint32_t size = k->size < 8 ? 200 : 14 + (i * 37) % 1400;
	struct front_tx tx = { .data = sent, .size = size, .layout = l };
	struct front_frame f = { .data = got, .room = sizeof(got) };

	if (l->how == FRONT_TAIL_TABLE && (k->features & FRONT_BIT(FRONT_F_PACKED)))
		return;
	for (uint32_t n = 0; n < size; n++)
		sent[n] = (uint8_t)(n + i);
	tx.hdr.csum_start = (uint16_t)i;
	assert_int_equal(front_dev_send(d, 0, &tx, 1000), 0);
	if (front_dev_recv(d, 0, &f, 1000) != 1)
		fail_msg("%s, frame %u: %s", k->name, i, d->error);
	assert_int_equal(f.size, size);
	assert_memory_equal(sent, got, size);
	assert_int_equal(f.hdr.csum_start, i);
	assert_int_equal(front_ring_audit(&d->pair[0].tx), 0);
}

static void echo_kind(const struct kind *k)
{
	struct front_dev_config c = { .features = FRONT_FEATURES_LEAST | k->features |
						  FRONT_BIT(FRONT_F_MRG_RXBUF) |
						  FRONT_BIT(FRONT_F_INDIRECT),
				      .rx_size = k->size,
				      .tx_size = k->size,
				      .rx_buf = k->rx_buf,
				      .id_last = k->id_last,
				      .mem.n_regions = 2 };
	struct front_dev d;
	struct fake *f = calloc(1, sizeof(*f));
	enum front_resume from[] = { FRONT_FROM_BASE, FRONT_FROM_USED, FRONT_FROM_ZERO };

	open_pair(f, &d, &c);
	f->skip = k->skip;
	if (front_dev_start(&d))
		fail_msg("%s: %s", k->name, d.error);
	for (unsigned i = 0; i < 400; i++) {
		echo(&d, k, i);
		if (i % 100)
			continue;
		assert_int_equal(front_dev_drain(&d, 0, 1000), 0);
		if (front_dev_stop(&d) || front_dev_resume(&d, from[i / 100 % 3]))
			fail_msg("%s: %s", k->name, d.error);
	}
	assert_int_equal(d.n_lost_calls, 0);
	close_pair(f, &d);
	free(f);
}

static void frames_come_back_as_they_went(void **state)
{
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		echo_kind(&kinds[i]);
}

static void batches_come_back_in_order(void **state)
{
	static const uint8_t octets[60];
	struct front_dev_config c = { .features =
					      FRONT_FEATURES_LEAST | FRONT_BIT(FRONT_F_IN_ORDER) };
	struct front_tx tx = { .data = octets, .size = sizeof(octets) };
	uint8_t got[100];
	struct front_frame frame = { .data = got, .room = sizeof(got) };

	for (unsigned packed = 0; packed < 2; packed++) {
		struct fake *f = calloc(1, sizeof(*f));
		struct front_dev d;

		c.features |= packed ? FRONT_BIT(FRONT_F_PACKED) : 0;
		open_pair(f, &d, &c);
		f->skip = 4;
		assert_int_equal(front_dev_start(&d), 0);
		for (unsigned i = 0; i < 500; i++)
			assert_int_equal(front_dev_queue(&d, 0, &tx, 1000), 0);
		front_dev_flush(&d, 0);
		assert_int_equal(front_dev_drain(&d, 0, 1000), 0);
		while (front_dev_recv(&d, 0, &frame, 0) > 0)
			;
		close_pair(f, &d);
		free(f);
	}
}

/* A device that lies is told so. */
static void lies_in_used_rings_are_seen(void **state)
{
	struct front_ring_config c = { .size = 8 };
	struct front_mem_config mc = { .size = 1 << 20 };
	struct front_piece p = { 8192, 64, true };
	struct front_chain chain = { .piece = &p, .n = 1 };
	struct front_mem m;
	struct front_ring r;
	struct front_got got;

	assert_int_equal(front_mem_open(&m, &mc), 0);
	assert_int_equal(front_ring_open(&r, &m, &c), 0);
	assert_int_equal(front_ring_add(&r, &chain), 0);
	front_ring_publish(&r);
	assert_int_equal(front_ring_get(&r, &got), 0);
	front_store16(front_used_idx(&r), 2);
	assert_int_equal(front_ring_get(&r, &got), -EPROTO);
	front_store16(front_used_idx(&r), 1);
	*front_used_entry(&r, 0) = (struct front_used_elem){ 1, 0 };
	assert_int_equal(front_ring_get(&r, &got), -EPROTO);
	*front_used_entry(&r, 0) = (struct front_used_elem){ 0, 65 };
	assert_int_equal(front_ring_get(&r, &got), -EPROTO);
	r.desc[0].len = 1;
	assert_int_equal(front_ring_audit(&r), -EPROTO);
	*front_used_entry(&r, 0) = (struct front_used_elem){ 0, 64 };
	assert_int_equal(front_ring_get(&r, &got), 1);
	front_ring_close(&r);
	front_mem_close(&m);
}

static void kicks_follow_the_event(void **state)
{
	static const struct {
		unsigned n, event;
		bool kick;
	} rows[] = { { 1, 0, true }, { 1, 0, false }, { 3, 3, true }, { 2, 9, false } };
	struct front_ring_config c = { .size = 16, .event_idx = true };
	struct front_mem_config mc = { .size = 1 << 20 };
	struct front_piece p = { 8192, 64, false };
	struct front_chain chain = { .piece = &p, .n = 1 };

	for (unsigned packed = 0; packed < 2; packed++) {
		struct front_mem m;
		struct front_ring r;

		c.packed = packed;
		assert_int_equal(front_mem_open(&m, &mc), 0);
		assert_int_equal(front_ring_open(&r, &m, &c), 0);
		for (unsigned i = 0; i < 4; i++) {
			if (packed)
				*r.device =
					(struct front_event){ (uint16_t)(rows[i].event | 1 << 15),
							      FRONT_EV_DESC };
			else
				*front_avail_event(&r) = (uint16_t)rows[i].event;
			for (unsigned k = 0; k < rows[i].n; k++)
				front_ring_add(&r, &chain);
			front_ring_publish(&r);
			assert_int_equal(front_ring_kick(&r), rows[i].kick);
		}
		front_ring_close(&r);
		front_mem_close(&m);
	}
}

/* Every attack runs to its end against a peer that only answers, and none has a name twice. */
static void attacks_run(void **state)
{
	struct front_dev_config c = { .features = FRONT_FEATURES_LEAST, .mem.size = 8 << 20 };
	struct front_attack_args args = { .idx = 1, .wait_ms = 1 };
	struct front_attack_result result;
	const char *name, *what, *other, *unused;

	for (unsigned i = 0; (name = front_attack_name(i, &what)); i++) {
		struct fake *f = calloc(1, sizeof(*f));
		struct front_dev d;
		int err;

		for (unsigned k = 0; k < i && (other = front_attack_name(k, &unused)); k++)
			assert_string_not_equal(name, other);
		if (i % 2)
			c.features |= FRONT_BIT(FRONT_F_PACKED);
		else
			c.features &= ~FRONT_BIT(FRONT_F_PACKED);
		open_pair(f, &d, &c);
		assert_int_equal(front_dev_start(&d), 0);
		/* The device here is no judge of rings. */
		f->running = false;
		f->dev = NULL;
		d.sock.timeout_ms = 20;
		err = front_attack(&d, name, &args, &result);
		if (err && err != -ENOTSUP && err != -EMSGSIZE)
			fail_msg("%s (%s): %s", name, what, strerror(-err));
		close_pair(f, &d);
		free(f);
	}
	assert_null(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_has_the_layout_wanted),
		cmocka_unit_test(messages_look_as_the_protocol_says),
		cmocka_unit_test(wrong_answers_are_reported),
		cmocka_unit_test(frames_come_back_as_they_went),
		cmocka_unit_test(batches_come_back_in_order),
		cmocka_unit_test(lies_in_used_rings_are_seen),
		cmocka_unit_test(kicks_follow_the_event),
		cmocka_unit_test(attacks_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
