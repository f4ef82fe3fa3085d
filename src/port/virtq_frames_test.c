// SPDX-License-Identifier: Apache-2.0
/*
 * Frames through virtqueues of every kind: each octet arrives, in order, and no other octet of the
 * receiver's memory is touched; whatever the shape of buffers and the size of rings.
 */
#include "vhost_fixture.h"

#include <stdio.h>
#include <string.h>

enum { MTU_SIZES = 2000, GSO_SIZE = 65550, PIECES_64K = 17 };

/* ---- shapes of buffers ---- */

struct shape {
	const char *name;
	struct front_layout layout;
	bool split_only;
};

#define DIRECT .how = FRONT_DIRECT
#define TABLE .how = FRONT_IN_TABLE

static const struct shape shapes[] = {
	{ .name = "together", .layout = { DIRECT } },
	{ .name = "header of 12 separate", .layout = { .cut = { 12 }, .n_cuts = 1, DIRECT } },
	{ .name = "header of 10 separate", .layout = { .cut = { 10 }, .n_cuts = 1, DIRECT } },
	{ .name = "header cut through", .layout = { .cut = { 5, 3 }, .n_cuts = 2, DIRECT } },
	{ .name = "header and a part of the frame",
	  .layout = { .cut = { 12 + 14 }, .n_cuts = 1, DIRECT } },
	{ .name = "head ends where a piece ends",
	  .layout = { .cut = { 12, 128 }, .n_cuts = 2, DIRECT } },
	{ .name = "pieces of 61",
	  .layout = { .cut = { 61 }, .n_cuts = 1, .repeat_last = true, DIRECT } },
	{ .name = "indirect, together", .layout = { TABLE } },
	{ .name = "indirect, header separate", .layout = { .cut = { 12 }, .n_cuts = 1, TABLE } },
	{ .name = "indirect, pieces of 7",
	  .layout = { .cut = { 7 }, .n_cuts = 1, .repeat_last = true, TABLE } },
	{ .name = "a table behind a descriptor",
	  .layout = { .cut = { 12 }, .n_cuts = 1, .how = FRONT_TAIL_TABLE },
	  .split_only = true },
	{ .name = "across regions", .layout = { .straddle = true, DIRECT } },
	{ .name = "across regions, indirect", .layout = { .straddle = true, TABLE } },
};

/* The kinds with neither and with both of event index and order, which shapes do not depend on. */
static unsigned next_kind(unsigned i)
{
	return i % 4 ? i + 1 : i + 3;
}

static bool is_packed(const struct vx_kind *k)
{
	return k->features & FRONT_BIT(FRONT_F_PACKED);
}

/* Sizes of interest: around the head, blocks of copies, and pages; else every `step`. */
static bool is_interesting(uint32_t size, uint32_t step)
{
	return size < 160 || size % step == 0 || size % 64 <= 1 || size % 64 == 63;
}

static const uint64_t two_regions = 32 << 20;

static struct vx *start_kind(const struct vx_kind *k, uint64_t more, struct vx_config c)
{
	struct vx *v;

	c.dev.features = k->features | more |
			 (c.dev.features ? c.dev.features : FRONT_FEATURES_LEAST) |
			 FRONT_BIT(FRONT_F_INDIRECT);
	c.dev.strict = true;
	if (!c.dev.mem.n_regions)
		c.dev.mem = (struct front_mem_config){ .size = two_regions, .n_regions = 2 };
	v = vx_new(&c);
	vx_start(v);
	return v;
}

/* ---- guest to port ---- */

static void take_sizes(const struct vx_kind *k, const struct shape *s, uint64_t base)
{
	struct vx_config c = { .dev.features = base };
	struct vx *v = start_kind(k, 0, c);
	uint8_t octets[MTU_SIZES];
	char name[160];

	for (uint32_t size = 14; size <= MTU_SIZES; size++) {
		if (!is_interesting(size, 37))
			continue;
		snprintf(name, sizeof(name), "%s, %s, %u octets, header %u", k->name, s->name, size,
			 v->dev.header_size);
		vx_fill(octets, size, size);
		vx_send(v, 0, octets, size, &s->layout);
		if (vx_take(v) != 1)
			fail_msg("%s: %u frames, fault %d", name, v->n_got, v->port->fault);
		vx_check(name, v->got[0].octets, v->got[0].size, size, size);
		vx_forget(v);
		vx_ok(v, front_dev_drain(&v->dev, 0, 1000));
		vx_ok(v, front_ring_audit(&v->dev.pair[0].tx));
	}
	vx_free(v);
}

static void test_take_every_size_in_every_shape(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i = next_kind(i))
		for (size_t s = 0; s < ARRAY_SIZE(shapes); s++)
			if (!is_packed(k) || !shapes[s].split_only)
				take_sizes(k, &shapes[s], 0);
}

/* Without VIRTIO_F_VERSION_1 the header is shorter. */
static void test_take_with_header_of_10(void **state)
{
	for (size_t s = 0; s < ARRAY_SIZE(shapes); s++)
		take_sizes(vx_kind(0), &shapes[s],
			   FRONT_BIT(FRONT_F_PROTOCOL) | FRONT_BIT(FRONT_F_ANY_LAYOUT));
}

/* A frame shorter than its headers is lent as it is: the relay counts it as a runt. */
static void test_take_of_runts(void **state)
{
	const struct vx_kind *k;
	uint8_t octets[14] = { 0 };

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start_kind(k, 0, (struct vx_config){ 0 });

		for (uint32_t size = 0; size < 14; size++) {
			vx_send(v, 0, octets, size, NULL);
			vx_send(v, 0, octets, size, &shapes[3].layout);
			assert_int_equal(vx_take(v), 2);
			assert_int_equal(v->got[0].size, size);
			assert_int_equal(v->got[1].size, size);
			vx_forget(v);
		}
		vx_free(v);
	}
}

/* Buffers that do not even hold the header are no reason to stop the guest. */
static void test_take_of_less_than_a_header(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start_kind(k, 0, (struct vx_config){ 0 });
		uint64_t gpa = front_mem_alloc(&v->dev.mem, 64, 64);

		for (uint32_t len = 0; len < 12; len++) {
			struct front_piece p = { gpa, len, false };
			struct front_chain chain = { .piece = &p, .n = 1 };
			struct front_got got;

			assert_true(front_ring_add(&v->dev.pair[0].tx, &chain) >= 0);
			front_ring_publish(&v->dev.pair[0].tx);
			assert_int_equal(vx_take(v), 1);
			assert_int_equal(v->got[0].size, 0);
			assert_int_equal(v->port->fault, PORT_FAULT_NONE);
			assert_int_equal(front_ring_get(&v->dev.pair[0].tx, &got), 1);
			vx_forget(v);
		}
		vx_free(v);
	}
}

static const struct shape large_shapes[] = {
	{ .name = "whole in one buffer", .layout = { DIRECT } },
	{ .name = "in 17 pieces",
	  .layout = { .cut = { 12, 4096 }, .n_cuts = 2, .repeat_last = true, DIRECT } },
	{ .name = "in 17 pieces, indirect",
	  .layout = { .cut = { 12, 4096 }, .n_cuts = 2, .repeat_last = true, TABLE } },
	{ .name = "in 19 pieces",
	  .layout = { .cut = { 3800 }, .n_cuts = 1, .repeat_last = true, DIRECT } },
	{ .name = "in 20 pieces",
	  .layout = { .cut = { 12 + 128, 3700 }, .n_cuts = 2, .repeat_last = true, DIRECT } },
	{ .name = "in 22 pieces",
	  .layout = { .cut = { 12 + 128, 3200 }, .n_cuts = 2, .repeat_last = true, DIRECT } },
	{ .name = "in 45 pieces",
	  .layout = { .cut = { 12, 1500 }, .n_cuts = 2, .repeat_last = true, DIRECT } },
	{ .name = "in 400 pieces",
	  .layout = { .cut = { 165 }, .n_cuts = 1, .repeat_last = true, TABLE } },
	{ .name = "across regions", .layout = { .straddle = true, DIRECT } },
};

static void test_take_of_64_KiB(void **state)
{
	static uint8_t octets[FRAME_SIZE_MAX];
	static const uint32_t sizes[] = { 4096, 9018, 40000, 65535, GSO_SIZE, FRAME_SIZE_MAX };
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start_kind(k, 0, (struct vx_config){ 0 });

		for (size_t s = 0; s < ARRAY_SIZE(large_shapes); s++)
			for (size_t j = 0; j < ARRAY_SIZE(sizes); j++) {
				uint32_t size = sizes[j];

				vx_fill(octets, size, size);
				vx_send(v, 0, octets, size, &large_shapes[s].layout);
				assert_int_equal(vx_take(v), 1);
				vx_check(large_shapes[s].name, v->got[0].octets, v->got[0].size,
					 size, size);
				vx_forget(v);
				vx_ok(v, front_dev_drain(&v->dev, 0, 1000));
			}
		vx_free(v);
	}
}

/* Longer than any frame: not lent as a frame that somebody could take. */
static void test_take_of_too_long(void **state)
{
	static uint8_t octets[FRAME_SIZE_MAX + 2000];
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start_kind(k, 0, (struct vx_config){ 0 });

		for (size_t s = 0; s < ARRAY_SIZE(large_shapes); s++) {
			vx_send(v, 0, octets, FRAME_SIZE_MAX + 1, &large_shapes[s].layout);
			assert_int_equal(vx_take(v), 1);
			assert_true(v->got[0].size > FRAME_SIZE_MAX);
			assert_int_equal(v->got[0].vnet.gso_type, 0);
			assert_int_equal(v->port->fault, PORT_FAULT_NONE);
			vx_forget(v);
			vx_ok(v, front_dev_drain(&v->dev, 0, 1000));
		}
		vx_free(v);
	}
}

/* The budget of a burst is kept, and the rest is still there: b->more. */
static void test_take_within_budget(void **state)
{
	static uint8_t octets[60000];
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start_kind(k, 0, (struct vx_config){ 0 });

		vx_fill(octets, sizeof(octets), 1);
		for (unsigned n = 0; n < 20; n++)
			vx_send(v, 0, octets, sizeof(octets), NULL);
		v->burst->octets_max = 150000;
		assert_int_equal(vx_rx(v, 64), 3);
		assert_true(v->burst->more);
		vx_rx_done(v);
		assert_int_equal(vx_rx(v, 2), 2);
		assert_true(v->burst->more);
		vx_rx_done(v);
		assert_int_equal(vx_take(v), 15);
		assert_false(v->burst->more);
		for (unsigned n = 0; n < 20; n++)
			vx_check(k->name, v->got[n].octets, v->got[n].size, sizeof(octets), 1);
		vx_free(v);
	}
}

/* ---- port to guest ---- */

/* Give frame `size` and get it back in the guest. */
static void give_and_get(struct vx *v, const char *name, uint32_t size)
{
	static uint8_t octets[FRAME_SIZE_MAX];
	struct front_hdr h;
	uint32_t got;

	vx_fill(octets, size, size);
	if (!vx_give(v, octets, size))
		fail_msg("%s: not taken, fault %d", name, v->port->fault);
	if (!vx_get(v, 0, &h, &got))
		fail_msg("%s: nothing came", name);
	vx_check(name, v->scratch, got, size, size);
	assert_int_equal(h.flags | h.gso_type | h.gso_size, 0);
	assert_false(front_ring_has_used(&v->dev.pair[0].rx));
}

static void put_sizes(const struct vx_kind *k, const struct shape *s, uint64_t more, uint64_t base)
{
	struct vx_config c = { .dev.features = base };
	struct vx *v = start_kind(k, more, c);
	bool mergeable = more & FRONT_BIT(FRONT_F_MRG_RXBUF);
	char name[160];

	v->post_layout = s->layout;
	v->post_size = MTU_SIZES + 12;
	if (mergeable)
		v->post_size = s->layout.how == FRONT_IN_TABLE ? 160 : 700;
	for (uint32_t size = 14; size <= MTU_SIZES; size++) {
		if (!is_interesting(size, 37))
			continue;
		snprintf(name, sizeof(name), "%s, %s, %u octets, header %u%s", k->name, s->name,
			 size, v->dev.header_size, mergeable ? ", mergeable" : "");
		if (s->layout.straddle) {
			uint64_t gpa = front_mem_straddle(&v->dev.mem, 0, size / 2 + 1);

			v->post_size = MTU_SIZES + 12;
			vx_post_at(v, 0, gpa);
			front_ring_publish(&v->dev.pair[0].rx);
		} else {
			vx_post(v, 0, 32);
		}
		give_and_get(v, name, size);
		if (front_ring_audit(&v->dev.pair[0].rx))
			fail_msg("%s: %s", name, v->dev.pair[0].rx.error);
	}
	vx_free(v);
}

static void test_put_every_size_in_every_shape(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i = next_kind(i))
		for (size_t s = 0; s < ARRAY_SIZE(shapes); s++)
			if (!is_packed(k) || !shapes[s].split_only)
				put_sizes(k, &shapes[s], 0, 0);
}

static void test_put_mergeable(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i = next_kind(i))
		for (size_t s = 0; s < ARRAY_SIZE(shapes); s++)
			if (!is_packed(k) || !shapes[s].split_only)
				put_sizes(k, &shapes[s], FRONT_BIT(FRONT_F_MRG_RXBUF), 0);
}

static void test_put_with_header_of_10(void **state)
{
	for (size_t s = 0; s < ARRAY_SIZE(shapes); s++)
		put_sizes(vx_kind(0), &shapes[s], 0,
			  FRONT_BIT(FRONT_F_PROTOCOL) | FRONT_BIT(FRONT_F_ANY_LAYOUT));
}

static void test_put_of_64_KiB(void **state)
{
	static const struct {
		const char *name;
		uint32_t post_size;
		bool mergeable;
		struct front_layout layout;
	} rows[] = {
		{ "whole in one buffer", 68 << 10, false, { DIRECT } },
		{ "in pages",
		  68 << 10,
		  false,
		  { .cut = { 4096 }, .n_cuts = 1, .repeat_last = true } },
		{ "in pages, indirect",
		  68 << 10,
		  false,
		  { .cut = { 4096 }, .n_cuts = 1, .repeat_last = true, TABLE } },
		{ "in 400 pieces, indirect",
		  68 << 10,
		  false,
		  { .cut = { 170 }, .n_cuts = 1, .repeat_last = true, TABLE } },
		{ "mergeable 1.5 KiB", 1536, true, { DIRECT } },
		{ "mergeable 1.5 KiB, header separate",
		  1536,
		  true,
		  { .cut = { 12 }, .n_cuts = 1 } },
		{ "mergeable 64 KiB", 65550 + 12, true, { DIRECT } },
		{ "mergeable 520", 520, true, { DIRECT } },
		{ "mergeable pages, indirect", 4096, true, { TABLE } },
	};
	const struct vx_kind *k;
	char name[160];

	for (unsigned i = 0; (k = vx_kind(i)); i++)
		for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
			struct vx *v =
				start_kind(k, rows[r].mergeable ? FRONT_BIT(FRONT_F_MRG_RXBUF) : 0,
					   (struct vx_config){ 0 });

			v->post_size = rows[r].post_size;
			v->post_layout = rows[r].layout;
			snprintf(name, sizeof(name), "%s, %s", k->name, rows[r].name);
			for (uint32_t size = GSO_SIZE - 3; size <= GSO_SIZE; size++) {
				vx_post(v, 0, rows[r].mergeable ? 200 : 2);
				give_and_get(v, name, size);
			}
			vx_free(v);
		}
}

/* What does not fit is not taken, and leaves no trace; what comes behind it may fit. */
static void test_put_without_room(void **state)
{
	const struct vx_kind *k;
	static uint8_t octets[4000];

	for (unsigned i = 0; (k = vx_kind(i)); i++)
		for (int mergeable = 0; mergeable < 2; mergeable++) {
			struct vx *v = start_kind(k, mergeable ? FRONT_BIT(FRONT_F_MRG_RXBUF) : 0,
						  (struct vx_config){ 0 });
			uint32_t size;

			vx_fill(octets, sizeof(octets), 1);
			assert_false(vx_give(v, octets, 100));
			assert_int_equal(v->port->tx_drop, DROP_queue_full);
			v->post_size = 1000;
			assert_int_equal(vx_post(v, 0, 3), 3);
			assert_false(vx_give(v, octets, 3 * 1000 - 12 + 1));
			assert_false(front_ring_has_used(&v->dev.pair[0].rx));
			assert_int_equal(v->port->fault, PORT_FAULT_NONE);
			for (int n = 0; n < 3; n++)
				assert_true(vx_give(v, octets, 1000 - 12));
			assert_false(vx_give(v, octets, 14));
			for (int n = 0; n < 3; n++) {
				assert_true(vx_get(v, 0, NULL, &size));
				vx_check(k->name, v->scratch, size, 1000 - 12, 1);
			}
			vx_free(v);
		}
}

/* More pieces than a frame can have are nobody's fault, if no single buffer has them. */
static void test_put_of_too_many_pieces(void **state)
{
	static uint8_t octets[64 << 10];
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start_kind(k, FRONT_BIT(FRONT_F_MRG_RXBUF), (struct vx_config){ 0 });

		v->post_size = 1536;
		v->post_layout = (struct front_layout){
			.cut = { 100 }, .n_cuts = 1, .repeat_last = true, TABLE
		};
		vx_fill(octets, sizeof(octets), 1);
		vx_post(v, 0, 200);
		assert_false(vx_give(v, octets, sizeof(octets)));
		assert_int_equal(v->port->fault, PORT_FAULT_NONE);
		assert_true(vx_give(v, octets, 40000));
		vx_free(v);
	}
}

/* ---- rings ---- */

struct ring_row {
	unsigned size;
	bool packed_only;
};

static const struct ring_row ring_rows[] = {
	{ 1, false },	{ 2, false },	 { 3, true },	  { 4, false },	    { 7, true },
	{ 8, false },	{ 64, false },	 { 65, true },	  { 100, true },    { 256, false },
	{ 1000, true }, { 1024, false }, { 32767, true }, { 32768, false },
};

/* Round and round: as many as the ring takes at a time, and a few less, and one. */
static void turn_take(struct vx *v, const char *name, unsigned size, unsigned total)
{
	uint8_t octets[96];
	unsigned sent = 0, step = 0;

	while (sent < total) {
		unsigned n = step++ % 3 == 0 ? size : step % 3 == 1 ? (size + 1) / 2 : 1;

		for (unsigned i = 0; i < n; i++) {
			struct front_tx tx = { .data = octets, .size = 60 + (sent + i) % 30 };

			vx_fill(octets, tx.size, sent + i);
			vx_ok(v, front_dev_queue(&v->dev, 0, &tx, 0));
		}
		front_dev_flush(&v->dev, 0);
		if (vx_take(v) != n)
			fail_msg("%s: %u frames instead of %u", name, v->n_got, n);
		for (unsigned i = 0; i < n; i++)
			vx_check(name, v->got[i].octets, v->got[i].size, 60 + (sent + i) % 30,
				 sent + i);
		vx_forget(v);
		vx_ok(v, front_dev_drain(&v->dev, 0, 1000));
		sent += n;
	}
	assert_int_equal(v->dev.pair[0].tx.n_out_of_order, 0);
}

static void turn_put(struct vx *v, const char *name, unsigned size, unsigned total)
{
	unsigned sent = 0, step = 0;
	uint8_t octets[96];
	uint32_t got;

	while (sent < total) {
		unsigned n = step++ % 3 == 0 ? size : step % 3 == 1 ? (size + 1) / 2 : 1;

		vx_post(v, 0, size);
		for (unsigned i = 0; i < n; i++) {
			vx_fill(octets, 60 + (sent + i) % 30, sent + i);
			if (!vx_tx(v, octets, 60 + (sent + i) % 30, NULL))
				fail_msg("%s: frame %u of %u was not taken", name, i, n);
			if (i % 64 == 63)
				vx_flush(v);
		}
		vx_flush(v);
		for (unsigned i = 0; i < n; i++) {
			assert_true(vx_get(v, 0, NULL, &got));
			vx_check(name, v->scratch, got, 60 + (sent + i) % 30, sent + i);
		}
		assert_false(front_ring_has_used(&v->dev.pair[0].rx));
		sent += n;
	}
	assert_int_equal(v->dev.pair[0].rx.n_out_of_order, 0);
}

static void test_rings_of_every_size(void **state)
{
	const struct vx_kind *k;
	char name[160];

	for (unsigned i = 0; (k = vx_kind(i)); i++)
		for (size_t r = 0; r < ARRAY_SIZE(ring_rows); r++) {
			unsigned size = ring_rows[r].size;
			struct vx_config c = { .dev.rx_size = size,
					       .dev.tx_size = size,
					       .dev.tight = r & 1,
					       .dev.id_last = r & 1,
					       .dev.mem.size = 128 << 20,
					       .dev.mem.n_regions = 1 };
			struct vx *v;

			if (!is_packed(k) && ring_rows[r].packed_only)
				continue;
			snprintf(name, sizeof(name), "%s of %u", k->name, size);
			/* The guest's own buffers are of no use here, and large. */
			c.dev.rx_buf = 64;
			v = start_kind(k, 0, c);
			v->post_size = 128;
			turn_take(v, name, size, size < 1000 ? 3 * size + 10 : size + 2);
			turn_put(v, name, size, size < 1000 ? 3 * size + 10 : size + 2);
			vx_free(v);
		}
}

/* Past 65536 buffers, where the indexes of split rings begin anew. */
static void test_indexes_wrap(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i = next_kind(i)) {
		struct vx *v = start_kind(k, 0, (struct vx_config){ 0 });

		v->post_size = 128;
		turn_take(v, k->name, 256, 66000);
		turn_put(v, k->name, 256, 66000);
		vx_free(v);
	}
}

/* ---- several pairs ---- */

static uint16_t flow_port(unsigned flow)
{
	return (uint16_t)(1000 + flow * 7);
}

/* A UDP frame of a flow, with its number. */
static void flow_frame(uint8_t *octets, unsigned flow, uint32_t number)
{
	static const uint8_t start[] = {
		2,  0, 0, 0, 0, 2,  2,	0, 0, 0,  0, 1, 8, 0,  0x45, 0, 0,
		46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0,    0, 2
	};
	uint16_t port = flow_port(flow);

	memset(octets, 0, 60);
	memcpy(octets, start, sizeof(start));
	octets[34] = (uint8_t)(port >> 8);
	octets[35] = (uint8_t)port;
	octets[37] = 53;
	memcpy(octets + 42, &flow, sizeof(flow));
	memcpy(octets + 46, &number, sizeof(number));
}

enum { PAIRS = 16, FLOWS = 64, FLOW_FRAMES = 20 };

/* Everything in all receive queues: each flow in one queue only, and in its order. */
static unsigned drain_flows(struct vx *v, int *queue_of, uint32_t *next)
{
	unsigned n = 0, size;

	for (unsigned pair = 0; pair < PAIRS; pair++)
		while (vx_get(v, pair, NULL, &size)) {
			uint32_t flow, number;

			memcpy(&flow, v->scratch + 42, 4);
			memcpy(&number, v->scratch + 46, 4);
			assert_true(flow < FLOWS);
			if (queue_of[flow] < 0)
				queue_of[flow] = (int)pair;
			assert_int_equal(queue_of[flow], pair);
			assert_int_equal(number, next[flow]);
			next[flow]++;
			n++;
		}
	return n;
}

static void test_pairs_spread_flows(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx_config c = { .pairs = PAIRS, .dev.n_pairs = PAIRS };
		struct vx *v = start_kind(k, FRONT_BIT(FRONT_F_MQ), c);
		static uint8_t octets[BURST_MAX][60];
		struct iovec iov[BURST_MAX];
		struct frame frame[BURST_MAX];
		const struct frame *list[BURST_MAX];
		int queue_of[FLOWS];
		uint32_t next[FLOWS] = { 0 };
		unsigned used = 0, got = 0;
		uint64_t queues = 0;

		memset(queue_of, -1, sizeof(queue_of));
		for (unsigned p = 0; p < PAIRS; p++)
			vx_post(v, p, 256);
		for (unsigned n = 0; n < FLOW_FRAMES; n++) {
			for (unsigned f = 0; f < FLOWS; f++) {
				flow_frame(octets[f], f, n);
				iov[f] = (struct iovec){ octets[f], 60 };
				frame[f] = (struct frame){ .iov = &iov[f], .n_iov = 1, .size = 60 };
				list[f] = &frame[f];
			}
			assert_true(v->port->ops->tx(v->port, list, FLOWS) == UINT64_MAX);
			vx_flush(v);
			if (n % 3 == 0)
				got += drain_flows(v, queue_of, next);
		}
		got += drain_flows(v, queue_of, next);
		assert_int_equal(got, FLOWS * FLOW_FRAMES);
		for (unsigned f = 0; f < FLOWS; f++)
			queues |= UINT64_C(1) << queue_of[f];
		used = (unsigned)__builtin_popcountll(queues);
		if (used < PAIRS / 2)
			fail_msg("%s: %u flows in only %u of %u queues", k->name, FLOWS, used,
				 PAIRS);
		vx_free(v);
	}
}

/* All queues of the guest are looked at in turn; none starves another. */
static void test_pairs_are_polled_in_turn(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx_config c = { .pairs = PAIRS, .dev.n_pairs = PAIRS };
		struct vx *v = start_kind(k, FRONT_BIT(FRONT_F_MQ), c);
		uint8_t octets[60];
		unsigned seen[PAIRS] = { 0 };

		for (uint32_t n = 0; n < 200; n++)
			for (unsigned p = 0; p < PAIRS; p++) {
				flow_frame(octets, p, n);
				vx_send(v, p, octets, sizeof(octets), NULL);
			}
		for (unsigned round = 0; round < PAIRS; round++) {
			uint32_t flow;

			vx_forget(v);
			assert_int_equal(vx_rx(v, 8), 8);
			assert_true(v->burst->more);
			vx_rx_done(v);
			memcpy(&flow, v->got[0].octets + 42, 4);
			seen[flow]++;
		}
		for (unsigned p = 0; p < PAIRS; p++)
			assert_int_equal(seen[p], 1);
		assert_int_equal(vx_take(v), PAIRS * (200 - 8));
		vx_free(v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VX_TEST(test_take_every_size_in_every_shape),
		VX_TEST(test_take_with_header_of_10),
		VX_TEST(test_take_of_runts),
		VX_TEST(test_take_of_less_than_a_header),
		VX_TEST(test_take_of_64_KiB),
		VX_TEST(test_take_of_too_long),
		VX_TEST(test_take_within_budget),
		VX_TEST(test_put_every_size_in_every_shape),
		VX_TEST(test_put_mergeable),
		VX_TEST(test_put_with_header_of_10),
		VX_TEST(test_put_of_64_KiB),
		VX_TEST(test_put_of_too_many_pieces),
		VX_TEST(test_put_without_room),
		VX_TEST(test_rings_of_every_size),
		VX_TEST(test_indexes_wrap),
		VX_TEST(test_pairs_spread_flows),
		VX_TEST(test_pairs_are_polled_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
