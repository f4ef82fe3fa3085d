// SPDX-License-Identifier: Apache-2.0
/*
 * A guest that means harm: whatever it writes into its rings, it loses its own port, which says
 * why, and nobody else's; and it can begin anew.
 */
#include "vhost_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "eth.h"
#include "gso.h"
#include "guest_mem.h"
#include "virtq.h"

enum { RING = 16, MIB = 1 << 20 };

static struct vx *start(uint64_t features)
{
	struct vx_config c = { .offload = true,
			       .dev = { .mem = { .size = 4 * MIB },
					.rx_size = RING,
					.tx_size = RING,
					.rx_buf = 256,
					.protocol = FRONT_PROTOCOL_USUAL | FRONT_P_RESET_DEVICE,
					.features = FRONT_FEATURES_LEAST | features |
						    FRONT_BIT(FRONT_F_INDIRECT) } };
	struct vx *v = vx_new(&c);

	v->post_size = 256;
	vx_start(v);
	return v;
}

static void settle(struct vx *v)
{
	uint64_t sync;

	vx_ok(v, front_get_u64(&v->dev.sock, FRONT_GET_FEATURES, &sync));
}

/* ---- what an attacker writes ---- */

struct attack {
	struct vx *v;
	struct front_ring *r;
	uint16_t dir;	/* the flag that would be right: FRONT_WRITE or none */
	uint64_t good;	/* a place in memory, of 64 KiB */
	uint64_t table; /* another, for 1024 descriptors */
	unsigned n;	/* descriptors that are to be available */
};

/* Descriptor `at` behind those that are there. */
static void raw(struct attack *a, unsigned at, struct front_desc d)
{
	struct front_ring *r = a->r;

	if (!r->c.packed) {
		r->desc[at % RING] = d;
	} else {
		unsigned slot = r->avail_idx + at;
		bool wrap = r->avail_wrap ^ (slot / RING & 1);

		d.flags |= wrap ? FRONT_AVAIL : FRONT_USED;
		r->pdesc[slot % RING] =
			(struct front_packed_desc){ d.addr, d.len, (uint16_t)at, d.flags };
	}
	if (at >= a->n)
		a->n = at + 1;
}

/* Entry `at` of the table; a packed one has no link. */
static void entry(struct attack *a, unsigned at, struct front_desc d)
{
	struct front_packed_desc p = { d.addr, d.len, 0, d.flags };
	uint8_t *to = front_mem_at(&a->v->dev.mem, a->table + at * 16, 16);

	memcpy(to, a->r->c.packed ? (void *)&p : (void *)&d, 16);
}

static void avail(struct attack *a, uint16_t head, uint16_t step)
{
	struct front_ring *r = a->r;

	if (r->c.packed)
		return;
	front_store16(front_avail_entry(r, r->avail_idx % RING), head);
	front_store16(front_avail_idx(r), (uint16_t)(r->avail_idx + step));
}

static void one(struct attack *a, uint64_t addr, uint32_t len, uint16_t flags)
{
	raw(a, 0, (struct front_desc){ addr, len, flags, 0 });
	avail(a, 0, 1);
}

static void indirect(struct attack *a, uint64_t addr, uint32_t len, uint16_t flags)
{
	one(a, addr, len, (uint16_t)(FRONT_INDIRECT | flags));
}

static uint64_t end_of(const struct attack *a)
{
	return front_mem_end(&a->v->dev.mem);
}

static void at_nowhere(struct attack *a)
{
	one(a, UINT64_C(1) << 40, 100, a->dir);
}

static void at_zero_before_memory(struct attack *a)
{
	one(a, UINT64_MAX - 4095, 100, a->dir);
}

static void across_the_end(struct attack *a)
{
	one(a, end_of(a) - 10, 100, a->dir);
}

static void at_the_end(struct attack *a)
{
	one(a, end_of(a), 1, a->dir);
}

static void that_wraps(struct attack *a)
{
	one(a, UINT64_MAX - 7, 100, a->dir);
}

static void of_4_GiB(struct attack *a)
{
	one(a, a->good, UINT32_MAX, a->dir);
}

static void empty_at_nowhere(struct attack *a)
{
	raw(a, 0, (struct front_desc){ a->good, 5, (uint16_t)(a->dir | FRONT_NEXT), 1 });
	raw(a, 1, (struct front_desc){ UINT64_C(1) << 40, 0, a->dir, 0 });
	avail(a, 0, 1);
}

static void second_at_nowhere(struct attack *a)
{
	raw(a, 0, (struct front_desc){ a->good, 20, (uint16_t)(a->dir | FRONT_NEXT), 1 });
	raw(a, 1, (struct front_desc){ UINT64_C(1) << 40, 100, a->dir, 0 });
	avail(a, 0, 1);
}

static void wrong_direction(struct attack *a)
{
	one(a, a->good, 200, a->dir ^ FRONT_WRITE);
}

static void second_of_wrong_direction(struct attack *a)
{
	raw(a, 0, (struct front_desc){ a->good, 20, (uint16_t)(a->dir | FRONT_NEXT), 1 });
	raw(a, 1, (struct front_desc){ a->good, 200, a->dir ^ FRONT_WRITE, 0 });
	avail(a, 0, 1);
}

static void next_beyond_ring(struct attack *a)
{
	raw(a, 0, (struct front_desc){ a->good, 20, (uint16_t)(a->dir | FRONT_NEXT), RING });
	avail(a, 0, 1);
}

static void next_far_beyond_ring(struct attack *a)
{
	raw(a, 0, (struct front_desc){ a->good, 20, (uint16_t)(a->dir | FRONT_NEXT), 65535 });
	avail(a, 0, 1);
}

static void next_is_itself(struct attack *a)
{
	raw(a, 0, (struct front_desc){ a->good, 1, (uint16_t)(a->dir | FRONT_NEXT), 0 });
	avail(a, 0, 1);
}

static void next_goes_round(struct attack *a)
{
	for (unsigned i = 0; i < RING; i++)
		raw(a, i,
		    (struct front_desc){ a->good, i & 1, (uint16_t)(a->dir | FRONT_NEXT),
					 (uint16_t)((i + 1) % RING) });
	avail(a, 0, 1);
}

static void next_not_there(struct attack *a)
{
	raw(a, 0, (struct front_desc){ a->good, 20, (uint16_t)(a->dir | FRONT_NEXT), 1 });
}

static void index_jumps(struct attack *a)
{
	raw(a, 0, (struct front_desc){ a->good, 100, a->dir, 0 });
	avail(a, 0, RING + 1);
}

static void index_jumps_far(struct attack *a)
{
	raw(a, 0, (struct front_desc){ a->good, 100, a->dir, 0 });
	avail(a, 0, 0x8000);
}

static void index_goes_back(struct attack *a)
{
	avail(a, 0, (uint16_t)-1);
}

static void head_beyond_ring(struct attack *a)
{
	avail(a, RING, 1);
}

static void head_far_beyond_ring(struct attack *a)
{
	avail(a, 65535, 1);
}

static void table_empty(struct attack *a)
{
	indirect(a, a->table, 0, 0);
}

static void table_of_half_a_descriptor(struct attack *a)
{
	indirect(a, a->table, 8, 0);
}

static void table_misaligned(struct attack *a)
{
	entry(a, 0, (struct front_desc){ a->good, 100, a->dir, 0 });
	indirect(a, a->table, 17, 0);
}

static void table_too_long(struct attack *a)
{
	indirect(a, a->table, 32769 * 16, 0);
}

static void table_at_nowhere(struct attack *a)
{
	indirect(a, UINT64_C(1) << 40, 16, 0);
}

static void table_across_the_end(struct attack *a)
{
	indirect(a, end_of(a) - 8, 16, 0);
}

static void table_that_wraps(struct attack *a)
{
	indirect(a, UINT64_MAX - 15, 64, 0);
}

static void table_in_a_table(struct attack *a)
{
	entry(a, 0, (struct front_desc){ a->table, 16, FRONT_INDIRECT, 0 });
	indirect(a, a->table, 16, 0);
}

static void table_with_next(struct attack *a)
{
	entry(a, 0, (struct front_desc){ a->good, 100, a->dir, 0 });
	raw(a, 1, (struct front_desc){ a->good, 100, a->dir, 0 });
	raw(a, 0, (struct front_desc){ a->table, 16, FRONT_INDIRECT | FRONT_NEXT, 1 });
	avail(a, 0, 1);
}

static void table_goes_round(struct attack *a)
{
	entry(a, 0, (struct front_desc){ a->good, 1, (uint16_t)(a->dir | FRONT_NEXT), 1 });
	entry(a, 1, (struct front_desc){ a->good, 1, (uint16_t)(a->dir | FRONT_NEXT), 0 });
	indirect(a, a->table, 32, 0);
}

static void table_next_beyond(struct attack *a)
{
	entry(a, 0, (struct front_desc){ a->good, 1, (uint16_t)(a->dir | FRONT_NEXT), 2 });
	indirect(a, a->table, 32, 0);
}

static void table_of_nowhere(struct attack *a)
{
	entry(a, 0, (struct front_desc){ UINT64_C(1) << 40, 100, a->dir, 0 });
	indirect(a, a->table, 16, 0);
}

static void table_of_wrong_direction(struct attack *a)
{
	entry(a, 0, (struct front_desc){ a->good, 100, a->dir ^ FRONT_WRITE, 0 });
	indirect(a, a->table, 16, 0);
}

static void table_of_600(struct attack *a)
{
	for (unsigned i = 0; i < 600; i++)
		entry(a, i,
		      (struct front_desc){ a->good, 0,
					   (uint16_t)(a->dir | (i < 599 ? FRONT_NEXT : 0)),
					   (uint16_t)(i + 1) });
	indirect(a, a->table, 600 * 16, 0);
}

static void smaller_than_header(struct attack *a)
{
	one(a, a->good, 11, a->dir);
}

static void of_no_octets(struct attack *a)
{
	one(a, a->good, 0, a->dir);
}

enum { SPLIT = 1, PACKED = 2, SENDS = 4, GETS = 8, ANY = 15, EITHER = SPLIT | PACKED };

static const struct attack_row {
	const char *name;
	void (*carry_out)(struct attack *a);
	enum virtq_fault fault;
	unsigned where;
} attacks[] = {
	{ "buffer at nowhere", at_nowhere, VIRTQ_FAULT_address, ANY },
	{ "buffer at the top", at_zero_before_memory, VIRTQ_FAULT_address, ANY },
	{ "buffer across the end", across_the_end, VIRTQ_FAULT_address, ANY },
	{ "buffer at the end", at_the_end, VIRTQ_FAULT_address, ANY },
	{ "buffer that wraps", that_wraps, VIRTQ_FAULT_address, ANY },
	{ "buffer of 4 GiB", of_4_GiB, VIRTQ_FAULT_address, EITHER | SENDS },
	{ "empty piece at nowhere", empty_at_nowhere, VIRTQ_FAULT_address, ANY },
	{ "second piece at nowhere", second_at_nowhere, VIRTQ_FAULT_address, ANY },
	{ "wrong direction", wrong_direction, VIRTQ_FAULT_direction, ANY },
	{ "second of wrong direction", second_of_wrong_direction, VIRTQ_FAULT_direction, ANY },
	{ "next beyond ring", next_beyond_ring, VIRTQ_FAULT_next, SPLIT | SENDS | GETS },
	{ "next far beyond ring", next_far_beyond_ring, VIRTQ_FAULT_next, SPLIT | SENDS | GETS },
	{ "next is itself", next_is_itself, VIRTQ_FAULT_chain, SPLIT | SENDS | GETS },
	{ "next goes round", next_goes_round, VIRTQ_FAULT_chain, ANY },
	{ "next not there", next_not_there, VIRTQ_FAULT_next, PACKED | SENDS | GETS },
	{ "index jumps", index_jumps, VIRTQ_FAULT_avail_index, SPLIT | SENDS | GETS },
	{ "index jumps far", index_jumps_far, VIRTQ_FAULT_avail_index, SPLIT | SENDS | GETS },
	{ "index goes back", index_goes_back, VIRTQ_FAULT_avail_index, SPLIT | SENDS | GETS },
	{ "head beyond ring", head_beyond_ring, VIRTQ_FAULT_head, SPLIT | SENDS | GETS },
	{ "head far beyond ring", head_far_beyond_ring, VIRTQ_FAULT_head, SPLIT | SENDS | GETS },
	{ "table empty", table_empty, VIRTQ_FAULT_indirect, ANY },
	{ "table of half a descriptor", table_of_half_a_descriptor, VIRTQ_FAULT_indirect, ANY },
	{ "table misaligned", table_misaligned, VIRTQ_FAULT_indirect, ANY },
	{ "table too long", table_too_long, VIRTQ_FAULT_indirect, ANY },
	{ "table at nowhere", table_at_nowhere, VIRTQ_FAULT_indirect, ANY },
	{ "table across the end", table_across_the_end, VIRTQ_FAULT_indirect, ANY },
	{ "table that wraps", table_that_wraps, VIRTQ_FAULT_indirect, ANY },
	{ "table in a table", table_in_a_table, VIRTQ_FAULT_indirect, ANY },
	{ "table with next", table_with_next, VIRTQ_FAULT_indirect, ANY },
	{ "table goes round", table_goes_round, VIRTQ_FAULT_chain, SPLIT | SENDS | GETS },
	{ "table's next beyond", table_next_beyond, VIRTQ_FAULT_next, SPLIT | SENDS | GETS },
	{ "table of nowhere", table_of_nowhere, VIRTQ_FAULT_address, ANY },
	{ "table of wrong direction", table_of_wrong_direction, VIRTQ_FAULT_direction, ANY },
	{ "table of 600", table_of_600, VIRTQ_FAULT_chain, ANY },
	{ "smaller than header", smaller_than_header, VIRTQ_FAULT_small, EITHER | GETS },
	{ "of no octets", of_no_octets, VIRTQ_FAULT_small, EITHER | GETS },
};

/* ---- one attack, and what becomes of it ---- */

static void ways_back(struct vx *v, unsigned way, const char *name)
{
	switch (way) {
	case 0:
		vx_stop(v);
		break;
	case 1:
		vx_ok(v, front_set_empty(&v->dev.sock, FRONT_RESET_DEVICE));
		break;
	default:
		vx_negotiate(v);
		vx_ok(v, front_dev_steps(&v->dev, "f,m"));
		break;
	}
	settle(v);
	if (vx_state(v).link != VHOST_USER_WAITS)
		fail_msg("%s: way back %u: %s", name, way, vx_state(v).why.message);
	front_dev_clear(&v->dev);
	v->pool[0].n = 0;
	v->dev.pair[0].base[0] = front_ring_base_used(&v->dev.pair[0].rx);
	v->dev.pair[0].base[1] = front_ring_base_used(&v->dev.pair[0].tx);
	vx_ok(v, front_dev_steps(&v->dev, "nback,e"));
	settle(v);
	vx_ping(v, name);
}

static void try_attack(const struct attack_row *row, uint64_t features, bool sends, unsigned way,
		       struct vx *other)
{
	struct vx *v = start(features);
	struct attack a = { .v = v,
			    .r = sends ? &v->dev.pair[0].tx : &v->dev.pair[0].rx,
			    .dir = sends ? 0 : FRONT_WRITE,
			    .good = front_mem_alloc(&v->dev.mem, 65536, 64),
			    .table = front_mem_alloc(&v->dev.mem, 16384, 16) };
	int err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct vhost_user_info info;
	bool disabled = sends && way == 1;
	unsigned changed;
	uint64_t n;

	for (int i = 0; i < 3; i++)
		vx_ping(v, row->name);
	vx_ok(v, front_set_fd(&v->dev.sock, FRONT_SET_VRING_ERR, sends, err));
	if (disabled)
		vx_ok(v, front_dev_enable(&v->dev, 1, false));
	settle(v);
	row->carry_out(&a);
	if (sends)
		vx_take(v);
	else
		assert_false(vx_give(v, v->scratch, 200));
	/* Of a queue that is not enabled heads are enough, if they are sound. */
	if (disabled && v->port->fault == PORT_FAULT_NONE && v->discarded) {
		close(err);
		vx_free(v);
		return;
	}
	if (v->port->fault != PORT_FAULT_BROKEN)
		fail_msg("%s, %s%s: port fault %d", row->name, sends ? "transmit" : "receive",
			 disabled ? ", disabled" : "", v->port->fault);
	assert_int_equal(vx_take(v), 0);
	changed = v->n_changed;
	vhost_user_faulted(v->port);
	assert_true(v->n_changed > changed);
	assert_int_equal(v->port->fault, PORT_FAULT_NONE);
	vx_assert_faulty(v, virtq_fault_text(row->fault));
	assert_non_null(strstr(vx_state(v).why.message, sends ? "transmit" : "receive"));
	assert_int_equal(read(err, &n, sizeof(n)), sizeof(n));
	vhost_user_info(v->port, &info);
	assert_int_equal(info.faults, 1);
	assert_int_equal(vx_take(v), 0);
	assert_false(vx_give(v, v->scratch, 60));
	vx_ping(other, "another port");
	ways_back(v, way, row->name);
	close(err);
	vx_free(v);
}

static void test_attacks(void **state)
{
	static const uint64_t features[] = { 0, FRONT_BIT(FRONT_F_EVENT_IDX),
					     FRONT_BIT(FRONT_F_PACKED) };
	struct vx *other = start(0);

	for (size_t i = 0; i < ARRAY_SIZE(attacks); i++)
		for (size_t k = 0; k < ARRAY_SIZE(features); k++)
			for (unsigned way = 0; way < 3; way++) {
				unsigned where = attacks[i].where;

				if (!(where & (k < 2 ? SPLIT : PACKED)))
					continue;
				if (where & SENDS)
					try_attack(&attacks[i], features[k], true, way, other);
				if (where & GETS)
					try_attack(&attacks[i], features[k], false, way, other);
			}
	vx_free(other);
}

/* An index that goes back between two frames of a turn, over buffers that were filled already. */
static void test_index_goes_back_within_a_turn(void **state)
{
	struct vx *v = start(0);
	struct front_ring *r = &v->dev.pair[0].rx;

	vx_post(v, 0, 8);
	for (int n = 0; n < 5; n++)
		assert_true(vx_tx(v, v->scratch, 60, NULL));
	front_store16(front_avail_idx(r), 3);
	for (int n = 0; n < 10; n++)
		vx_tx(v, v->scratch, 60, NULL);
	assert_int_equal(v->port->fault, PORT_FAULT_BROKEN);
	vhost_user_faulted(v->port);
	vx_assert_faulty(v, virtq_fault_text(VIRTQ_FAULT_avail_index));
	vx_free(v);
}

/* ---- headers that lie ---- */

static void test_headers_that_lie(void **state)
{
	static const struct {
		const char *name;
		struct front_hdr hdr;
		uint64_t features; /* 0: all offloads */
	} rows[] = {
		{ "gso_size 0", { 1, 1, 54, 0, 34, 16, 0 }, 0 },
		{ "gso type unknown", { 1, 7, 54, 100, 34, 16, 0 }, 0 },
		{ "gso type 2", { 1, 2, 54, 100, 34, 16, 0 }, 0 },
		{ "UFO", { 1, 3, 42, 100, 34, 6, 0 }, 0 },
		{ "only ECN", { 1, 0x80, 54, 100, 34, 16, 0 }, 0 },
		{ "checksum beyond the frame", { 1, 0, 0, 0, 400, 16, 0 }, 0 },
		{ "checksum's place beyond the frame", { 1, 0, 0, 0, 34, 400, 0 }, 0 },
		{ "checksum wraps", { 1, 0, 0, 0, 65535, 65535, 0 }, 0 },
		{ "checksum in the MAC address", { 1, 0, 0, 0, 0, 0, 0 }, 0 },
		{ "headers beyond the frame", { 1, 1, 60000, 100, 34, 16, 0 }, 0 },
		{ "TSO of what is no TCP", { 1, 4, 54, 100, 34, 16, 0 }, 0 },
		{ "checksum not negotiated",
		  { 1, 0, 0, 0, 34, 16, 0 },
		  FRONT_BIT(FRONT_F_HOST_TSO4) },
		{ "TSO4 not negotiated", { 1, 1, 54, 100, 34, 16, 0 }, FRONT_BIT(FRONT_F_CSUM) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (int packed = 0; packed < 2; packed++)
			for (int pieces = 0; pieces < 2; pieces++) {
				static const struct front_layout cut = { .cut = { 3, 9, 40 },
									 .n_cuts = 3 };
				struct front_tx tx = { .hdr = rows[i].hdr, .size = 200 };
				uint64_t f = rows[i].features ? rows[i].features :
								FRONT_FEATURES_OFFLOAD;
				struct vx *v = start(f | (packed ? FRONT_BIT(FRONT_F_PACKED) : 0));
				struct eth_key key;
				struct frame *frame;

				vx_fill(v->scratch, 200, 1);
				tx.data = v->scratch;
				tx.layout = pieces ? &cut : NULL;
				vx_ok(v, front_dev_send(&v->dev, 0, &tx, 1000));
				assert_int_equal(vx_rx(v, 64), 1);
				frame = &v->burst->frame[0];
				assert_true(eth_key_parse(frame, &key));
				if (gso_valid(frame, &key)) /* else dropped under `offload` */
					fail_msg("%s: goes on", rows[i].name);
				vx_rx_done(v);
				assert_int_equal(v->port->fault, PORT_FAULT_NONE);
				vx_ping(v, rows[i].name);
				vx_free(v);
			}
}

/* What the guest writes into the frame while it is lent does not reach who checks the head. */
static void test_head_is_a_copy(void **state)
{
	static const struct front_layout shapes[] = {
		{ .how = FRONT_DIRECT },
		{ .cut = { 12 }, .n_cuts = 1 },
		{ .cut = { 7 }, .n_cuts = 1, .repeat_last = true, .how = FRONT_IN_TABLE },
	};

	for (size_t s = 0; s < ARRAY_SIZE(shapes); s++)
		for (int packed = 0; packed < 2; packed++) {
			struct vx *v = start(packed ? FRONT_BIT(FRONT_F_PACKED) : 0);
			struct front_mem *m = &v->dev.mem;
			uint8_t octets[300];

			vx_fill(octets, sizeof(octets), 4);
			vx_send(v, 0, octets, sizeof(octets), &shapes[s]);
			assert_int_equal(vx_rx(v, 64), 1);
			memset(m->region[0].host + 4096, 0xee, m->region[0].size - 4096);
			assert_memory_equal(v->burst->frame[0].iov[0].iov_base, octets,
					    FRAME_HEAD_SIZE);
			assert_int_equal(v->burst->frame[0].vnet.flags, 0);
			vx_free(v);
		}
}

/* ---- memory that goes away ---- */

static void test_memory_is_cut_off(void **state)
{
	struct vx *other = start(0);

	assert_int_equal(guest_fault_install(), 0);
	for (int packed = 0; packed < 2; packed++)
		for (int how = 0; how < 4; how++) {
			struct vx *v = start(packed ? FRONT_BIT(FRONT_F_PACKED) : 0);
			struct front_region *r = &v->dev.mem.region[0];
			uint8_t octets[2000];

			vx_fill(octets, sizeof(octets), 1);
			vx_post(v, 0, 8);
			vx_send(v, 0, octets, 200, NULL);
			if (how == 3)
				assert_int_equal(vx_rx(v, 64), 1);
			/* All of it, or but for the first pages, where rings are. */
			assert_int_equal(front_mem_shrink(&v->dev.mem, 0, how & 1 ? 0 : 16384), 0);
			switch (how) {
			case 0:
			case 1:
				vx_take(v);
				break;
			case 2:
				for (int n = 0; n < 8; n++)
					vx_tx(v, octets, 200, NULL);
				vx_flush(v);
				break;
			default:
				vx_rx_done(v); /* lent frames are gone, too */
				break;
			}
			if (v->port->fault == PORT_FAULT_NONE) { /* it has not been touched yet */
				assert_int_equal(how & 1, 0);
				vx_give(v, octets, 200);
				vx_take(v);
			}
			if (v->port->fault != PORT_FAULT_NONE) {
				vhost_user_faulted(v->port);
				vx_assert_faulty(v, virtq_fault_text(VIRTQ_FAULT_memory));
			} else {
				assert_int_equal(how & 1, 0);
			}
			vx_ping(other, "another port");
			/* With the file whole again, and told anew, it goes on. */
			assert_int_equal(front_mem_shrink(&v->dev.mem, 0, r->size), 0);
			vx_negotiate(v);
			front_dev_clear(&v->dev);
			v->pool[0].n = 0;
			v->dev.pair[0].small.n = 0; /* what guards them is gone */
			v->dev.pair[0].base[0] = front_ring_base_used(&v->dev.pair[0].rx);
			v->dev.pair[0].base[1] = front_ring_base_used(&v->dev.pair[0].tx);
			vx_ok(v, front_dev_steps(&v->dev, v->dev.c.order));
			settle(v);
			vx_ping(v, "whole again");
			vx_free(v);
		}
	vx_free(other);
}

/* ---- memory that changes while we look ---- */

struct racer {
	struct vx *v;
	_Atomic bool stop;
	uint64_t table;
};

/* Write nonsense, and things that are nearly right, wherever the port looks. */
static void *race(void *arg)
{
	struct racer *a = arg;
	uint32_t seed = 1;

	while (!atomic_load(&a->stop))
		for (unsigned idx = 0; idx < 2; idx++) {
			struct front_ring *r = front_dev_ring(&a->v->dev, idx);
			uint64_t end = front_mem_end(&a->v->dev.mem);
			struct front_desc d;
			uint32_t x;

			seed = seed * 1664525 + 1013904223;
			x = seed >> 8;
			/* Sound most of the time, or nothing would be taken. */
			d = (struct front_desc){ 65536 + (x & 4095), 1700, idx ? 0 : FRONT_WRITE,
						 0 };
			if (!(x & 0x3f00))
				d = (struct front_desc){ x & 1 ? a->table : end - x % 300,
							 x & 2 ? 200 : x, (uint16_t)(x >> 4 & 7),
							 (uint16_t)(x >> 7 & 31) };
			else if (!(x & 0xf))
				d = (struct front_desc){ a->table, x & 16 ? 64 : 16, FRONT_INDIRECT,
							 0 };
			if (r->c.packed) {
				struct front_packed_desc p = { d.addr, d.len, d.next, d.flags };

				p.flags |= x & 64 ? FRONT_AVAIL : FRONT_USED;
				memcpy(&r->pdesc[x % RING], &p, sizeof(p));
			} else {
				uint16_t head = x >> 5 & (x & 0x3f00 ? 15 : 31);

				memcpy(&r->desc[x % RING], &d, sizeof(d));
				front_store16(front_avail_entry(r, x % RING), head);
				front_store16(front_avail_idx(r),
					      (uint16_t)(front_load16(front_used_idx(r)) + x % 16));
			}
			memcpy(front_mem_at(&a->v->dev.mem, a->table + (x >> 3 & 63) * 16, 16), &d,
			       16);
			memcpy(front_mem_at(&a->v->dev.mem, 65536 + (x & 7), 4), &x, 4);
		}
	return NULL;
}

static void test_memory_changes_while_we_look(void **state)
{
	static const uint64_t features[] = { FRONT_FEATURES_OFFLOAD,
					     FRONT_FEATURES_OFFLOAD | FRONT_BIT(FRONT_F_MRG_RXBUF),
					     FRONT_FEATURES_OFFLOAD | FRONT_BIT(FRONT_F_PACKED),
					     FRONT_FEATURES_OFFLOAD | FRONT_BIT(FRONT_F_PACKED) |
						     FRONT_BIT(FRONT_F_MRG_RXBUF) };
	struct vx *other = start(0);
	unsigned taken = 0, given = 0, broken = 0;

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		struct vx *v = start(features[i]);
		struct racer a = { .v = v, .table = front_mem_alloc(&v->dev.mem, 1024, 16) };
		struct timespec from, now;
		pthread_t thread;

		clock_gettime(CLOCK_MONOTONIC, &from);
		assert_int_equal(pthread_create(&thread, NULL, race, &a), 0);
		do {
			for (int n = 0; n < 50; n++) {
				vx_forget(v);
				if (n & 1)
					taken += vx_rx(v, BURST_MAX);
				vx_rx_done(v);
				for (int k = 0; k < 4; k++)
					given += vx_tx(v, v->scratch, 60 + (unsigned)k * 500, NULL);
				vx_flush(v);
				v->port->ops->arm(v->port);
				if (v->port->fault == PORT_FAULT_NONE)
					continue;
				vhost_user_faulted(v->port);
				assert_int_equal(vx_state(v).link, VHOST_USER_FAULTY);
				broken++;
				vx_stop(v);
				vx_ok(v, front_dev_steps(&v->dev, "nback,e"));
				settle(v);
			}
			clock_gettime(CLOCK_MONOTONIC, &now);
		} while ((now.tv_sec - from.tv_sec) * 1000 +
				 (now.tv_nsec - from.tv_nsec) / 1000000 <
			 700);
		atomic_store(&a.stop, true);
		pthread_join(thread, NULL);
		vx_ping(other, "another port");
		vx_free(v);
	}
	vx_free(other);
	/* It was all to some purpose. */
	if (!taken || !given || !broken)
		fail_msg("%u taken, %u given, %u times broken", taken, given, broken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VX_TEST(test_attacks),		 VX_TEST(test_index_goes_back_within_a_turn),
		VX_TEST(test_headers_that_lie),	 VX_TEST(test_head_is_a_copy),
		VX_TEST(test_memory_is_cut_off), VX_TEST(test_memory_changes_while_we_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
