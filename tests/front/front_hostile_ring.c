// SPDX-License-Identifier: Apache-2.0
/* Attacks by what stands in a ring, in indirect tables and in headers. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "front_hostile.h"

enum { BUFFER = 4096, TABLE_MAX = 8, DESCS_MAX = 4 };

/* Where a descriptor points to. */
enum place { GOOD, OUTSIDE, EDGE, TOP, TABLE, TABLE_ODD, TABLE_EDGE, TABLE_OUTSIDE };

/* Flags beyond those of a ring: in the direction of the queue, or against it. */
enum { WITH = 1 << 8, AGAINST = 1 << 9 };

/* Values that depend on the ring. */
enum { NEXT_SIZE = 0xfffe };
#define LEN_TABLE UINT32_C(0xfffffffe)

struct entry {
	enum place place;
	uint32_t len;
	uint16_t flags, next;
};

struct row {
	const char *name, *what;
	struct entry desc[DESCS_MAX];
	struct entry table[DESCS_MAX];
	enum { BOTH, SPLIT_ONLY, PACKED_ONLY } ring;
	enum { CHAIN, WHOLE_RING, WHOLE_RING_ENDLESS, AVAIL_IDX, AVAIL_ENTRY, USED_IDX, RACE } how;
	uint32_t value;
};

static const struct row rows[] = {
	{ "desc_outside", "a buffer outside of memory", { { OUTSIDE, 1514, WITH, 0 } } },
	{ "desc_edge", "a buffer that ends outside of memory", { { EDGE, 1514, WITH, 0 } } },
	{ "desc_wrap",
	  "a buffer that goes over the end of all addresses",
	  { { TOP, 1514, WITH, 0 } } },
	{ "desc_outside_empty",
	  "a buffer of no octets outside of memory",
	  { { OUTSIDE, 0, WITH, 0 } } },
	{ "desc_second_outside",
	  "a good header, then a frame outside",
	  { { GOOD, 12, WITH | FRONT_NEXT, 1 }, { OUTSIDE, 1514, WITH, 0 } } },
	{ "len_huge", "a buffer of 4 GiB", { { GOOD, UINT32_MAX, WITH, 0 } } },
	{ "len_sum",
	  "lengths whose sum is above 4 GiB",
	  { { GOOD, UINT32_MAX, WITH | FRONT_NEXT, 1 }, { GOOD, BUFFER, WITH, 0 } } },
	{ "len_zero", "a buffer of no octets", { { GOOD, 0, WITH, 0 } } },
	{ "len_zero_chain",
	  "a chain with a descriptor of no octets",
	  { { GOOD, 12, WITH | FRONT_NEXT, 1 },
	    { GOOD, 0, WITH | FRONT_NEXT, 2 },
	    { GOOD, 64, WITH, 0 } } },
	{ "too_small_4", "a chain smaller than the header", { { GOOD, 4, WITH, 0 } } },
	{ "too_small_12", "a chain as large as the header", { { GOOD, 12, WITH, 0 } } },
	{ "too_small_13", "a chain with one octet of frame", { { GOOD, 13, WITH, 0 } } },
	{ "too_small_25", "a chain with half an Ethernet header", { { GOOD, 25, WITH, 0 } } },
	{ "loop_self",
	  "a descriptor that is followed by itself",
	  { { GOOD, 64, WITH | FRONT_NEXT, 0 } },
	  .ring = SPLIT_ONLY },
	{ "loop",
	  "a chain that comes back to its start",
	  { { GOOD, 64, WITH | FRONT_NEXT, 1 }, { GOOD, 64, WITH | FRONT_NEXT, 0 } },
	  .ring = SPLIT_ONLY },
	{ "next_size",
	  "next is as large as the ring",
	  { { GOOD, 64, WITH | FRONT_NEXT, NEXT_SIZE } },
	  .ring = SPLIT_ONLY },
	{ "next_65535",
	  "next is 65535",
	  { { GOOD, 64, WITH | FRONT_NEXT, 0xffff } },
	  .ring = SPLIT_ONLY },
	{ "chain_long", "a chain of the whole ring", { { GOOD, 16, WITH, 0 } }, .how = WHOLE_RING },
	{ "chain_endless",
	  "a ring in which every descriptor has a next one",
	  { { GOOD, 16, WITH, 0 } },
	  .how = WHOLE_RING_ENDLESS },
	{ "wrong_direction", "buffers of the other direction", { { GOOD, 1514, AGAINST, 0 } } },
	{ "mixed_direction",
	  "a chain that changes its direction",
	  { { GOOD, 12, WITH | FRONT_NEXT, 1 }, { GOOD, 1514, AGAINST, 0 } } },
	{ "mixed_direction_first",
	  "a chain that begins in the other direction",
	  { { GOOD, 12, AGAINST | FRONT_NEXT, 1 }, { GOOD, 1514, WITH, 0 } } },
	{ "flags_unknown", "flags that do not exist", { { GOOD, 1514, WITH | 0x78, 0 } } },
	{ "indirect_nested",
	  "an indirect table in an indirect table",
	  { { TABLE, LEN_TABLE, FRONT_INDIRECT, 0 } },
	  { { TABLE, 16, FRONT_INDIRECT, 0 } } },
	{ "indirect_misaligned",
	  "an indirect table of 17 octets",
	  { { TABLE, 17, FRONT_INDIRECT, 0 } },
	  { { GOOD, 1514, WITH, 0 } } },
	{ "indirect_15",
	  "an indirect table of 15 octets",
	  { { TABLE, 15, FRONT_INDIRECT, 0 } },
	  { { GOOD, 1514, WITH, 0 } } },
	{ "indirect_zero",
	  "an indirect table of no octets",
	  { { TABLE, 0, FRONT_INDIRECT, 0 } },
	  { { GOOD, 1514, WITH, 0 } } },
	{ "indirect_long",
	  "an indirect table of 65537 entries",
	  { { TABLE, 16 * 65537, FRONT_INDIRECT, 0 } },
	  { { GOOD, 1, WITH | FRONT_NEXT, 0 } } },
	{ "indirect_huge",
	  "an indirect table of 4 GiB",
	  { { TABLE, 0xfffffff0, FRONT_INDIRECT, 0 } },
	  { { GOOD, 1514, WITH, 0 } } },
	{ "indirect_odd",
	  "an indirect table at an odd address",
	  { { TABLE_ODD, 16, FRONT_INDIRECT, 0 } },
	  { { GOOD, 1514, WITH, 0 } } },
	{ "indirect_edge",
	  "an indirect table that ends outside of memory",
	  { { TABLE_EDGE, 64, FRONT_INDIRECT, 0 } } },
	{ "indirect_outside",
	  "an indirect table outside of memory",
	  { { TABLE_OUTSIDE, 16, FRONT_INDIRECT, 0 } } },
	{ "indirect_next",
	  "an indirect table and a next descriptor",
	  { { TABLE, LEN_TABLE, FRONT_INDIRECT | FRONT_NEXT, 1 }, { GOOD, 64, WITH, 0 } },
	  { { GOOD, 1514, WITH, 0 } } },
	{ "indirect_write",
	  "an indirect table that is writable itself (which says nothing)",
	  { { TABLE, LEN_TABLE, FRONT_INDIRECT | FRONT_WRITE, 0 } },
	  { { GOOD, 1514, WITH, 0 } } },
	{ "indirect_loop",
	  "an indirect table that comes back to its start",
	  { { TABLE, LEN_TABLE, FRONT_INDIRECT, 0 } },
	  { { GOOD, 64, WITH | FRONT_NEXT, 1 }, { GOOD, 64, WITH | FRONT_NEXT, 0 } },
	  .ring = SPLIT_ONLY },
	{ "indirect_next_beyond",
	  "an indirect table with a next beyond its end",
	  { { TABLE, LEN_TABLE, FRONT_INDIRECT, 0 } },
	  { { GOOD, 64, WITH | FRONT_NEXT, 500 } },
	  .ring = SPLIT_ONLY },
	{ "indirect_entry_outside",
	  "an indirect table with a buffer outside of memory",
	  { { TABLE, LEN_TABLE, FRONT_INDIRECT, 0 } },
	  { { GOOD, 12, WITH | FRONT_NEXT, 1 }, { OUTSIDE, 1514, WITH, 0 } } },
	{ "avail_jump",
	  "the avail index jumps by more than the ring",
	  { { GOOD, 64, WITH, 0 } },
	  .ring = SPLIT_ONLY,
	  .how = AVAIL_IDX,
	  .value = NEXT_SIZE },
	{ "avail_jump_half",
	  "the avail index jumps by 32768",
	  { { GOOD, 64, WITH, 0 } },
	  .ring = SPLIT_ONLY,
	  .how = AVAIL_IDX,
	  .value = 0x8000 },
	{ "avail_back",
	  "the avail index goes back",
	  { { GOOD, 64, WITH, 0 } },
	  .ring = SPLIT_ONLY,
	  .how = AVAIL_IDX,
	  .value = 0xffff },
	{ "avail_entry_size",
	  "an avail entry as large as the ring",
	  { { GOOD, 64, WITH, 0 } },
	  .ring = SPLIT_ONLY,
	  .how = AVAIL_ENTRY,
	  .value = NEXT_SIZE },
	{ "avail_entry_65535",
	  "an avail entry of 65535",
	  { { GOOD, 64, WITH, 0 } },
	  .ring = SPLIT_ONLY,
	  .how = AVAIL_ENTRY,
	  .value = 0xffff },
	{ "used_idx",
	  "the driver writes the used index",
	  { { GOOD, 64, WITH, 0 } },
	  .ring = SPLIT_ONLY,
	  .how = USED_IDX,
	  .value = 0x1234 },
	{ "race_addr",
	  "the address changes while the device looks",
	  { { OUTSIDE, 64, WITH, 0 } },
	  .how = RACE },
	{ "race_len",
	  "the length changes while the device looks",
	  { { GOOD, UINT32_MAX, WITH, 0 } },
	  .how = RACE },
	{ "race_flags",
	  "the flags change while the device looks",
	  { { GOOD, 64, AGAINST | FRONT_NEXT, NEXT_SIZE } },
	  .how = RACE },
	{ "race_indirect",
	  "a buffer becomes an indirect table while the device looks",
	  { { TABLE, 0xfffffff0, FRONT_INDIRECT, 0 } },
	  { { OUTSIDE, 64, WITH, 0 } },
	  .how = RACE },
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

struct site { /* where an attack takes place */
	struct front_dev *d;
	struct front_ring *r;
	const struct row *row;
	uint64_t good, table, end;
	bool receive;
};

static uint64_t address(const struct site *s, enum place place)
{
	switch (place) {
	case GOOD:
		return s->good;
	case OUTSIDE:
	case TABLE_OUTSIDE:
		return s->end + (UINT64_C(1) << 30);
	case EDGE:
		return s->end - 8;
	case TOP:
		return UINT64_MAX - 15;
	case TABLE:
		return s->table;
	case TABLE_ODD:
		return s->table + 1;
	case TABLE_EDGE:
		return s->end - 16;
	}
	return 0;
}

static uint16_t flags_of(const struct site *s, const struct entry *e)
{
	uint16_t flags = e->flags & 0xff;

	if (e->flags & WITH && s->receive)
		flags |= FRONT_WRITE;
	if (e->flags & AGAINST && !s->receive)
		flags |= FRONT_WRITE;
	return flags;
}

static unsigned count(const struct entry *e)
{
	unsigned n = 0;

	while (n < DESCS_MAX && (e[n].flags || e[n].len))
		n++;
	return n;
}

static void write_table(const struct site *s)
{
	unsigned n = count(s->row->table);

	for (unsigned i = 0; i < n; i++) {
		const struct entry *e = &s->row->table[i];
		struct front_desc d = { address(s, e->place), e->len, flags_of(s, e), e->next };
		struct front_packed_desc p = { d.addr, d.len, 0, d.flags };
		uint64_t odd = s->row->desc[0].place == TABLE_ODD;

		front_mem_write(&s->d->mem, s->table + odd + 16 * i,
				s->r->c.packed ? (void *)&p : (void *)&d, 16);
	}
}

static uint32_t len_of(const struct site *s, const struct entry *e)
{
	return e->len == LEN_TABLE ? 16 * count(s->row->table) : e->len;
}

/* The whole table full of the chain, so that the device meets it whatever it takes next. */
static void write_split(const struct site *s)
{
	unsigned size = s->r->c.size, n = count(s->row->desc);
	bool whole = s->row->how == WHOLE_RING || s->row->how == WHOLE_RING_ENDLESS;

	for (unsigned i = 0; i + n <= size; i += n)
		for (unsigned k = 0; k < n; k++) {
			const struct entry *e = &s->row->desc[k];
			struct front_desc d = { address(s, e->place), len_of(s, e), flags_of(s, e),
						(uint16_t)(i + e->next) };

			if (e->next == NEXT_SIZE)
				d.next = (uint16_t)size;
			if (e->next == 0xffff)
				d.next = 0xffff;
			if (whole && (i + 1 < size || s->row->how == WHOLE_RING_ENDLESS)) {
				d.flags |= FRONT_NEXT;
				d.next = (uint16_t)((i + 1) % size);
			}
			s->r->desc[i + k] = d;
		}
	for (unsigned i = 0; i < size; i++)
		front_store16(front_avail_entry(s->r, i),
			      (uint16_t)(whole ? 0 : i % (size / n) * n));
}

/* `n` descriptors from position `at` on, whose wrap counter is `wrap`: flags of the first last. */
static void write_packed(const struct site *s, unsigned at, bool wrap, unsigned n)
{
	unsigned size = s->r->c.size, n_chain = count(s->row->desc), first = at;
	bool whole = s->row->how == WHOLE_RING || s->row->how == WHOLE_RING_ENDLESS;
	uint16_t first_flags = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct entry *e = &s->row->desc[i % n_chain];
		struct front_packed_desc *d = &s->r->pdesc[at];
		uint16_t flags = flags_of(s, e);

		if (whole && (i + 1 < n || s->row->how == WHOLE_RING_ENDLESS))
			flags |= FRONT_NEXT;
		flags = (uint16_t)((flags & ~(FRONT_AVAIL | FRONT_USED)) |
				   (wrap ? FRONT_AVAIL : FRONT_USED));
		d->addr = address(s, e->place);
		d->len = len_of(s, e);
		d->id = (uint16_t)at;
		if (i)
			front_store16(&d->flags, flags);
		else
			first_flags = flags;
		if (++at == size) {
			at = 0;
			wrap = !wrap;
		}
	}
	front_store16(&s->r->pdesc[first].flags, first_flags);
}

/* Spoil the ring and, for a transmit ring, make `n` chains available. */
static void spoil(const struct site *s, unsigned n)
{
	struct front_ring *r = s->r;
	bool whole = s->row->how == WHOLE_RING || s->row->how == WHOLE_RING_ENDLESS;

	write_table(s);
	if (r->c.packed) {
		unsigned n_desc = whole || s->receive ? r->c.size : n * count(s->row->desc);

		if (n_desc > r->c.size)
			n_desc = r->c.size;
		if (s->receive)
			write_packed(s, r->used_idx, r->used_wrap, n_desc);
		else
			write_packed(s, r->avail_idx, r->avail_wrap, n_desc);
		return;
	}
	write_split(s);
	if (s->row->how == AVAIL_ENTRY)
		for (unsigned i = 0; i < r->c.size; i++)
			front_store16(front_avail_entry(r, i),
				      (uint16_t)(s->row->value == NEXT_SIZE ? r->c.size :
									      s->row->value));
	if (s->row->how == USED_IDX)
		front_store16(front_used_idx(r), (uint16_t)s->row->value);
	if (s->row->how == AVAIL_IDX)
		n = s->row->value == NEXT_SIZE ? r->c.size + 1 : s->row->value;
	if (!s->receive || s->row->how == AVAIL_IDX)
		front_store16(front_avail_idx(r), (uint16_t)(r->avail_idx + n));
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* Both kinds of descriptor have address and length at the same place, flags not. */
static void race_write(const struct site *s, unsigned at, const struct front_desc *v)
{
	volatile struct front_desc *d = &s->r->desc[at];

	d->addr = v->addr;
	d->len = v->len;
	if (s->r->c.packed)
		return;
	d->flags = v->flags;
	d->next = v->next;
}

/* Good chains are offered again and again, and turn bad and good while the device may look. */
static void race(const struct site *s, int ms)
{
	const struct entry *e = &s->row->desc[0];
	struct front_desc good = { s->good, 64, s->receive ? FRONT_WRITE : 0, 0 };
	struct front_desc bad = { address(s, e->place), len_of(s, e), flags_of(s, e), e->next };
	uint64_t end = now_ms() + (uint64_t)ms;
	struct front_ring *r = s->r;
	struct front_piece piece = { s->good, 64, s->receive };
	struct front_chain chain = { .piece = &piece, .n = 1 };
	struct front_got got;

	write_table(s);
	while (now_ms() < end) {
		int id;

		while (front_ring_get(r, &got) > 0)
			;
		id = front_ring_add(r, &chain);
		front_ring_publish(r);
		front_ring_kick(r);
		for (unsigned i = 0; i < 2000; i++) {
			unsigned at = s->receive || id < 0 ? i % r->c.size : (unsigned)id;

			if (r->c.packed && !s->receive)
				at = (r->avail_idx ? r->avail_idx : r->c.size) - 1;
			race_write(s, at, i & 1 ? &bad : &good);
		}
	}
}

static unsigned used_since(const struct front_ring *r, uint16_t before)
{
	unsigned n = 0, at = r->used_idx;
	bool wrap = r->used_wrap;

	if (!r->c.packed)
		return (uint16_t)(front_load16(front_used_idx(r)) - before);
	for (; n < r->c.size; n++) {
		uint16_t flags = front_load16(&r->pdesc[at].flags);

		if (!!(flags & FRONT_AVAIL) != wrap || !!(flags & FRONT_USED) != wrap)
			break;
		if (++at == r->c.size) {
			at = 0;
			wrap = !wrap;
		}
	}
	return n;
}

static void settle(struct front_dev *d, int ms)
{
	uint64_t end = now_ms() + (uint64_t)ms;

	while (now_ms() < end) {
		if (d->sock.step)
			d->sock.step(d->sock.step_arg);
		else
			poll(NULL, 0, 1);
	}
}

static int site_of(struct site *s, struct front_dev *d, const char *name, unsigned idx)
{
	*s = (struct site){ .d = d, .r = front_dev_ring(d, idx), .receive = !(idx & 1) };
	for (unsigned i = 0; i < N_ROWS; i++)
		if (!strcmp(rows[i].name, name))
			s->row = &rows[i];
	if (!s->row)
		return -ENOENT;
	if (s->row->ring != BOTH && (s->row->ring == PACKED_ONLY) != s->r->c.packed)
		return -ENOTSUP;
	s->good = front_mem_alloc(&d->mem, BUFFER, 64);
	s->table = front_mem_alloc(&d->mem, 16 * (TABLE_MAX + 1), 16);
	s->end = front_mem_end(&d->mem);
	return s->good == FRONT_NO_GPA || s->table == FRONT_NO_GPA ? -ENOMEM : 0;
}

int front_attack_ring(struct front_dev *d, const char *name, const struct front_attack_args *args,
		      struct front_attack_result *result)
{
	int ms = args->wait_ms ? args->wait_ms : 50, err_fd;
	struct site s;
	uint16_t before;
	uint64_t n;
	int err = site_of(&s, d, name, args->idx);

	if (err)
		return err;
	result->what = s.row->what;
	if (!s.receive)
		front_dev_drain(d, args->idx / 2, 1000);
	err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	front_set_fd(&d->sock, FRONT_SET_VRING_ERR, args->idx, err_fd);
	before = s.r->c.packed ? 0 : front_load16(front_used_idx(s.r));
	if (s.row->how == USED_IDX)
		before = (uint16_t)s.row->value;
	if (s.row->how == RACE) {
		race(&s, ms);
	} else {
		spoil(&s, args->count ? args->count : 1);
		front_ring_kick_always(s.r);
		settle(d, ms);
	}
	result->n_used = used_since(s.r, before);
	result->err_signalled = err_fd >= 0 && read(err_fd, &n, sizeof(n)) == sizeof(n);
	if (err_fd >= 0)
		close(err_fd);
	return 0;
}

const char *front_attack_ring_name(unsigned i, const char **what)
{
	if (i >= N_ROWS)
		return NULL;
	*what = rows[i].what;
	return rows[i].name;
}
