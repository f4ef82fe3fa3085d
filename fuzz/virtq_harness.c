// SPDX-License-Identifier: Apache-2.0
#include "virtq_harness.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "virtq_calls.h"

enum {
	INPUT_SIZE = 10,
	OPERATIONS_MAX = 256, /* of an input */
	RACE_ROUNDS = 50,
	TRAP_ROUNDS = 4,
	RACE_NS = 1000000,
};

/* ---- input ---- */

static uint8_t get8(struct harness *h)
{
	return h->at < h->end ? *h->at++ : 0;
}

static uint16_t get16(struct harness *h)
{
	uint8_t low = get8(h);

	return (uint16_t)(low | get8(h) << 8);
}

/* An address: one octet says near which interesting one, two how far from it. */
static uint64_t get_gpa(struct harness *h)
{
	static const uint64_t near[] = { 0x0,	  0x4000, 0x20000, 0x24000,
					 0x1c000, 0x7ff0, 0,	   UINT64_MAX - 0x1fff };
	uint8_t which = get8(h);
	uint16_t offset = get16(h);

	return (near[which & 7] + offset) - (which & 8 ? UINT64_C(0x4000) : 0);
}

static struct vg *get_guest(struct harness *h, uint8_t bits)
{
	return bits & 1 ? &h->b : &h->a;
}

/* The flags of a descriptor, in bits 0-2; packed: bit 3 available in lap 1, bit 4 in lap 0. */
static uint16_t get_flags(struct harness *h)
{
	uint8_t bits = get8(h);
	uint16_t flags = bits & 7;

	if (h->packed)
		flags |= (bits & 8 ? VIRTQ_DESC_AVAIL : 0) | (bits & 16 ? VIRTQ_DESC_USED : 0);
	return flags;
}

/* 9 octets: address, length, flags, next or id. */
static struct virtq_desc get_desc(struct harness *h)
{
	struct virtq_desc d = { .addr = get_gpa(h) };
	uint32_t len = get16(h), flags, other;

	len |= (uint32_t)get8(h) << 16;
	if (len >> 16 == 0xff)
		len |= 0xff000000; /* almost 4 GiB */
	flags = get_flags(h);
	other = get16(h);
	d.rest = len | (uint64_t)(h->packed ? other | flags << 16 : flags | other << 16) << 32;
	return d;
}

/* ---- operations: of the driver ---- */

static void op_desc(struct harness *h)
{
	struct vg *g = get_guest(h, get8(h));
	uint16_t slot = get8(h) % g->size;

	g->q.desc[slot] = get_desc(h);
}

static void op_desc_at(struct harness *h)
{
	struct vg *g = get_guest(h, get8(h));
	uint64_t gpa = get_gpa(h);
	struct virtq_desc d = get_desc(h);
	void *p = vg_at(g, gpa, sizeof(d));

	if (p)
		memcpy(p, &d, sizeof(d));
}

/* Make descriptor `head` available (split). */
static void op_avail(struct harness *h)
{
	struct vg *g = get_guest(h, get8(h));
	uint16_t head = get8(h), *avail = vg_at(g, g->gpa_driver, 4);

	if (head == 0xff)
		head = get16(h); /* one that there is not, perhaps */
	if (h->packed)
		return;
	avail[2 + (avail[1] & (g->size - 1))] = head;
	avail[1]++;
}

/* Flags and index of the available ring, or the two words of the driver's event area. */
static void op_driver_word(struct harness *h)
{
	uint8_t which = get8(h);
	struct vg *g = get_guest(h, which);
	uint16_t *words = vg_at(g, g->gpa_driver, 4), value = get16(h);

	if (which & 4 && !h->packed)
		words[2 + g->size] = value; /* used_event */
	else
		words[which >> 1 & 1] = value;
}

static void op_octets(struct harness *h)
{
	struct vg *g = get_guest(h, get8(h));
	uint64_t gpa = get_gpa(h);
	uint8_t n = get8(h), *p = vg_at(g, gpa, n);

	if (n > h->end - h->at)
		n = (uint8_t)(h->end - h->at);
	if (p)
		memcpy(p, h->at, n);
	h->at += n;
}

/* `n` buffers of `size` octets one after the other, each in one descriptor. */
static void op_buffers(struct harness *h)
{
	uint8_t which = get8(h), n = get8(h);
	struct vg *g = get_guest(h, which);
	uint64_t gpa = get_gpa(h);
	uint16_t size = get16(h), *avail = vg_at(g, g->gpa_driver, 4);
	uint64_t flags = g == &h->b ? VIRTQ_DESC_WRITE : 0;

	if (h->packed)
		flags |= which & 2 ? VIRTQ_DESC_USED : VIRTQ_DESC_AVAIL;
	for (unsigned i = 0; i < n && i < g->size; i++) {
		g->q.desc[i] = (struct virtq_desc){
			.addr = gpa, .rest = size | (h->packed ? i | flags << 16 : flags) << 32
		};
		gpa += size;
		if (!h->packed)
			avail[2 + (avail[1]++ & (g->size - 1))] = (uint16_t)i;
	}
}

/* ---- operations: of the device ---- */

static void op_take(struct harness *h)
{
	uint8_t how = get8(h);

	if (h->a.q.fault)
		return; /* a queue that is broken is not used again */
	calls_take(h, 1 + how % BURST_MAX);
	if (how & 64)
		calls_forward(h, how & 128);
	calls_give_back(h);
}

static void op_put(struct harness *h)
{
	uint8_t n = get8(h), pieces = get8(h);
	const struct frame *f[BURST_MAX];
	uint32_t size = get16(h) + (pieces & 32 ? FRAME_SIZE_MAX - 0xffff : 0);

	n = 1 + n % BURST_MAX;
	if (h->b.q.fault)
		return;
	calls_own_frames(h, n, size, 1 + pieces % 16);
	for (unsigned i = 0; i < n; i++)
		f[i] = &h->own[i];
	calls_put(h, f, n, pieces & 128);
}

static void op_publish(struct harness *h)
{
	calls_publish(h);
}

static void op_arm(struct harness *h)
{
	struct vg *g = get_guest(h, get8(h));
	bool has_work;

	vg_picture(g);
	has_work = virtq_arm(&g->q);
	assert(g == &h->b || has_work == virtq_has_work(&g->q));
	vg_check_written(g, false);
}

static void op_discard(struct harness *h)
{
	unsigned max = 1 + get8(h) % BURST_MAX, n;

	if (h->a.q.fault)
		return;
	vg_picture(&h->a);
	n = virtq_discard(&h->a.q, max);
	assert(n <= max);
	vg_check_written(&h->a, false);
}

static void op_look(struct harness *h)
{
	vg_picture(&h->b);
	virtq_mute(&h->b.q);
	vg_check_written(&h->b, false);
	assert(virtq_fill(&h->a.q) <= h->a.size && virtq_fill(&h->b.q) <= h->b.size);
	if (h->packed)
		assert((virtq_base(&h->b.q) & 0x7fff) < h->b.size);
}

/* Somebody else goes on where we are. */
static void op_restart(struct harness *h)
{
	struct vg *g = get_guest(h, get8(h));

	calls_give_back(h);
	calls_publish(h);
	virtq_start(&g->q, virtq_base(&g->q));
}

/* ---- operations: of the second thread ---- */

static void add_race(struct harness *h, const struct vg *g, uint64_t gpa, struct vg_race r)
{
	gpa -= gpa % r.width;
	r.p = vg_at(g, gpa, r.width);
	r.alias = vg_alias(g, gpa);
	if (r.p && r.flip && h->n_races < VG_RACES_MAX)
		h->race[h->n_races++] = r;
}

/* Flip bits of any word. */
static void op_race(struct harness *h)
{
	struct vg *g = get_guest(h, get8(h));
	uint64_t gpa = get_gpa(h);
	uint8_t width = (uint8_t)(1 << (get8(h) & 3));
	uint16_t bits = get16(h);

	add_race(h, g, gpa,
		 (struct vg_race){ .width = width, .flip = bits | (uint64_t)bits << 32 });
}

/* Flip between the descriptor that is there and another one: its first word, second, or both. */
static void op_race_desc(struct harness *h)
{
	uint8_t which = get8(h);
	struct vg *g = get_guest(h, which);
	uint64_t gpa = which & 8 ? get_gpa(h) :
				   g->gpa_desc + get8(h) % g->size * sizeof(struct virtq_desc);
	struct virtq_desc d = get_desc(h), now;
	const void *p;

	gpa -= gpa % sizeof(d);
	p = vg_at(g, gpa, sizeof(d));
	if (!p)
		return;
	memcpy(&now, p, sizeof(now));
	if (which & 2)
		add_race(h, g, gpa, (struct vg_race){ .width = 8, .flip = d.addr ^ now.addr });
	if (which & 4)
		add_race(h, g, gpa + 8, (struct vg_race){ .width = 8, .flip = d.rest ^ now.rest });
}

static const struct {
	void (*run)(struct harness *h);
	bool is_call; /* not before a race: that makes all calls */
} operations[] = {
	{ op_desc, false },	   { op_desc_at, false }, { op_avail, false },
	{ op_driver_word, false }, { op_octets, false },  { op_buffers, false },
	{ op_take, true },	   { op_put, true },	  { op_publish, true },
	{ op_arm, true },	   { op_discard, true },  { op_look, true },
	{ op_restart, true },	   { op_race, false },	  { op_race_desc, false },
};

/* ---- races ---- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* `trap`: which round with traps this is; -1: there is the second thread. */
static void race_round(struct harness *h, int trap)
{
	const struct frame *f[BURST_MAX];
	unsigned n, n_good = 0;

	vg_restore_ring(&h->a);
	vg_restore_ring(&h->b);
	vg_start(&h->a, h->base_a);
	vg_start(&h->b, h->base_b);
	if (trap >= 0)
		vg_trap_on(h->race, h->n_races, (unsigned)trap);
	n = virtq_take(&h->a.q, &h->burst, BURST_MAX);
	assert(n <= BURST_MAX);
	for (unsigned i = 0; i < n; i++) {
		calls_check_lent(h, i);
		if (h->burst.frame[i].size >= ETH_HEADER_SIZE &&
		    h->burst.frame[i].size <= FRAME_SIZE_MAX)
			f[n_good++] = &h->burst.frame[i];
	}
	if (n_good)
		virtq_put(&h->b.q, f, n_good);
	for (unsigned i = 0; i < 2; i++)
		f[i] = &h->own[i];
	if (!h->b.q.fault)
		virtq_put(&h->b.q, f, 2);
	virtq_publish(&h->b.q);
	virtq_give_back(&h->a.q);
	if (!h->a.q.fault)
		virtq_discard(&h->a.q, BURST_MAX);
	virtq_arm(&h->a.q);
	assert(virtq_fill(&h->a.q) <= h->a.size);
	if (trap >= 0)
		vg_trap_off();
}

static void race(struct harness *h, bool by_trap)
{
	uint64_t end = now_ns() + RACE_NS;

	calls_own_frames(h, 2, 60, 1);
	calls_own_frames(h, 1, 3000, 3);
	vg_picture(&h->a);
	vg_picture(&h->b);
	for (int i = 0; i < TRAP_ROUNDS && by_trap; i++)
		race_round(h, i);
	if (by_trap)
		return;
	vg_race_start(h->race, h->n_races);
	for (unsigned i = 0; i < RACE_ROUNDS && now_ns() < end; i++)
		race_round(h, -1);
	vg_race_stop();
}

/* ---- set up ---- */

static struct harness *harness_new(void)
{
	struct harness *h = aligned_alloc(_Alignof(struct harness), sizeof(*h));
	size_t arena = (size_t)BURST_MAX * ARENA_SLOT_SIZE;

	assert(h);
	memset(h, 0, sizeof(*h));
	h->burst.arena = malloc(arena);
	h->octets = malloc(FRAME_SIZE_MAX + BURST_MAX);
	h->expected = malloc(FRAME_SIZE_MAX);
	h->found = malloc(FRAME_SIZE_MAX + VIRTQ_HEADER_SIZE);
	assert(h->burst.arena && h->octets && h->expected && h->found);
	for (unsigned i = 0; i < FRAME_SIZE_MAX + BURST_MAX; i++)
		h->octets[i] = (uint8_t)(i * 7 + (i >> 8));
	h->a.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	h->b.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return h;
}

static void set_up(struct vg *g, uint8_t bits, uint8_t more)
{
	struct virtq *q = &g->q;

	q->has_event_idx = bits & 1;
	q->is_in_order = bits & 2;
	q->is_mergeable = bits & 4;
	q->header_size = bits & 12 ? VIRTQ_HEADER_SIZE : VIRTQ_HEADER_SIZE_LEGACY;
	q->log = more & 1 ? &g->log : NULL;
	q->call_fd = more & 2 ? g->call_fd : -1;
}

static uint16_t ring_size(bool packed, uint8_t code)
{
	return packed ? code + 1 : (uint16_t)(1 << (code % 9));
}

void virtq_harness_run(bool packed, const uint8_t *data, size_t size)
{
	static struct harness *h;

	if (size < INPUT_SIZE)
		return;
	if (!h)
		h = harness_new();
	h->packed = packed;
	h->at = data + INPUT_SIZE;
	h->end = data + size;
	h->n_lent = h->n_races = 0;
	vg_open(&h->a, packed, ring_size(packed, data[2]));
	vg_open(&h->b, packed, ring_size(packed, data[3]));
	set_up(&h->a, data[0], data[1]);
	set_up(&h->b, data[0] >> 4, data[1]);
	h->a.q.gso_allowed = data[4] & OFFLOAD_ALL;
	h->a.q.has_offloads = h->a.q.gso_allowed != 0;
	h->burst.octets_max = data[5] ? data[5] * 256u : 256 << 10;
	memcpy(&h->base_a, data + 6, 2);
	memcpy(&h->base_b, data + 8, 2);
	vg_start(&h->a, h->base_a);
	vg_start(&h->b, h->base_b);
	if (!packed) {
		*((uint16_t *)vg_at(&h->a, h->a.gpa_driver, 4) + 1) = h->base_a;
		*((uint16_t *)vg_at(&h->b, h->b.gpa_driver, 4) + 1) = h->base_b;
	}
	for (unsigned i = 0; i < OPERATIONS_MAX && h->at < h->end; i++) {
		uint8_t op = get8(h) % (sizeof(operations) / sizeof(operations[0]));

		if (operations[op].is_call && (data[1] & 4))
			break; /* what comes now is done by race_round() */
		operations[op].run(h);
	}
	calls_give_back(h);
	if (data[1] & 4 && h->n_races)
		race(h, data[1] & 8);
}
