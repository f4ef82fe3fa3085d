// SPDX-License-Identifier: Apache-2.0
/*
 * evbd is killed at any moment and comes again: it goes on in the same guest memory where the other
 * one was. Nothing that the guest sent is lost or out of order; at most what had been taken and not
 * returned comes twice. What the guest gets is whole, and in order.
 */
#include "vhost_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vhost_internal.h"

enum { SIZE = 60, MEMORY = 1 << 20 };

static uint32_t random_below(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % n;
}

static struct vx *start(const struct vx_kind *k, unsigned ring_size)
{
	struct vx_config c = { .has_state = true,
			       .dev = { .mem = { .size = MEMORY },
					.rx_size = ring_size,
					.tx_size = ring_size,
					.rx_buf = 64,
					.features = FRONT_FEATURES_LEAST | k->features |
						    FRONT_BIT(FRONT_F_INDIRECT) } };
	struct vx *v = vx_new(&c);

	v->post_size = 128;
	vx_start(v);
	return v;
}

static uint32_t number_of(const uint8_t *octets)
{
	uint32_t n;

	memcpy(&n, octets + 20, sizeof(n));
	return n;
}

static void number(uint8_t *octets, uint32_t n)
{
	vx_fill(octets, SIZE, n);
	memcpy(octets + 20, &n, sizeof(n));
}

/* The port dies, and memory is as it was: what it does at its end it does not do to the guest. */
static void kill_port(struct vx *v, uint8_t *before, enum front_resume from)
{
	memcpy(before, v->dev.mem.region[0].host, MEMORY);
	vx_kill(v);
	assert_memory_equal(before, v->dev.mem.region[0].host, MEMORY);
	vx_resume(v, from);
}

/*
 * What the front-end says of where a ring is when it has lost its back-end: QEMU takes the used
 * index of a split ring; of a packed one it knows nothing, and says what it heard last, or all that
 * was made available.
 */
static const enum front_resume froms[] = { FRONT_FROM_USED, FRONT_FROM_AVAIL, FRONT_FROM_BASE };

/* ---- the guest sends ---- */

static void walk_take(const struct vx_kind *k, unsigned ring_size, uint32_t seed)
{
	static const struct front_layout shapes[] = {
		{ .how = FRONT_DIRECT },
		{ .cut = { 12, 30 }, .n_cuts = 2, .how = FRONT_DIRECT },
		{ .cut = { 12, 30 }, .n_cuts = 2, .how = FRONT_IN_TABLE },
	};
	struct vx *v = start(k, ring_size);
	uint8_t *before = malloc(MEMORY), octets[SIZE];
	uint32_t sent = 0, returned = 0, lent = 0; /* numbers from which on */
	unsigned kills = 0;

	for (int step = 0; step < 250; step++) {
		switch (random_below(&seed, 5)) {
		case 0:
		case 1:
			for (unsigned n = random_below(&seed, ring_size + 1); n; n--) {
				struct front_tx tx = { .data = octets, .size = SIZE };

				tx.layout = &shapes[random_below(&seed, 3)];
				/* In a full ring a chain across its end cannot be told from a new
				 * ring that is full. */
				if (ring_size < 64 && tx.layout == &shapes[1])
					tx.layout = &shapes[0];
				number(octets, sent);
				vx_ok(v, front_dev_reap(&v->dev, 0) < 0);
				if (v->dev.pair[0].tx.n_free < 4)
					break;
				vx_ok(v, front_dev_queue(&v->dev, 0, &tx, 0));
				sent++;
			}
			front_dev_flush(&v->dev, 0);
			break;
		case 2:
			if (lent != returned)
				break;
			vx_forget(v);
			lent += vx_rx(v, 1 + random_below(&seed, BURST_MAX));
			for (unsigned i = 0; i < v->n_got; i++)
				if (number_of(v->got[i].octets) != returned + i)
					fail_msg("%s of %u: frame %u instead of %u", k->name,
						 ring_size, number_of(v->got[i].octets),
						 returned + i);
			break;
		case 3:
			vx_rx_done(v);
			returned = lent;
			break;
		default:
			if (random_below(&seed, 4))
				break;
			kill_port(v, before, froms[random_below(&seed, ARRAY_SIZE(froms))]);
			lent = returned; /* what was not returned comes again */
			kills++;
			break;
		}
	}
	vx_rx_done(v);
	returned = lent;
	vx_forget(v);
	vx_take(v);
	if (returned + v->n_got != sent)
		fail_msg("%s of %u: %u frames returned, %u taken, %u sent", k->name, ring_size,
			 returned, v->n_got, sent);
	for (unsigned i = 0; i < v->n_got; i++)
		assert_int_equal(number_of(v->got[i].octets), returned + i);
	vx_ok(v, front_dev_drain(&v->dev, 0, 1000));
	assert_int_equal(v->dev.pair[0].tx.n_out_of_order, 0);
	assert_true(kills > 1);
	free(before);
	vx_free(v);
}

static void test_killed_while_the_guest_sends(void **state)
{
	static const unsigned sizes[] = { 4, 8, 64 };
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++)
		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
			for (uint32_t seed = 1; seed <= 2; seed++)
				walk_take(k, sizes[s], seed * 77 + i);
}

/* ---- the guest receives ---- */

static void walk_put(const struct vx_kind *k, unsigned ring_size, uint32_t seed, bool mergeable)
{
	struct vx_kind with = { k->name,
				k->features | (mergeable ? FRONT_BIT(FRONT_F_MRG_RXBUF) : 0) };
	struct vx *v = start(&with, ring_size);
	uint8_t *before = malloc(MEMORY), octets[SIZE];
	uint32_t next = 0, shown = 0, want = 0, size; /* put next; flushed up to; got up to */
	unsigned kills = 0;

	if (mergeable)
		v->post_size = 40; /* a frame takes two */
	for (int step = 0; step < 250; step++) {
		switch (random_below(&seed, 6)) {
		case 0:
			vx_post(v, 0, random_below(&seed, ring_size + 1));
			break;
		case 1:
		case 2:
			/* A packed ring shows some before it is flushed, if there are many. */
			for (unsigned n = random_below(&seed, 20); n && next - shown < 40; n--) {
				number(octets, next);
				if (!vx_tx(v, octets, SIZE, NULL))
					break;
				next++;
			}
			break;
		case 3:
			vx_flush(v);
			shown = next;
			break;
		case 4:
			while (vx_get(v, 0, NULL, &size)) {
				assert_int_equal(size, SIZE);
				if (number_of(v->scratch) != want)
					fail_msg("%s of %u: frame %u instead of %u", k->name,
						 ring_size, number_of(v->scratch), want);
				number(octets, want++);
				assert_memory_equal(octets, v->scratch, SIZE);
			}
			assert_true(want <= shown);
			break;
		default:
			if (random_below(&seed, 4))
				break;
			/* Frames that were put and not shown are gone with who put them; buffers
			 * are dirty where nobody looks. */
			kill_port(v, before, froms[random_below(&seed, ARRAY_SIZE(froms))]);
			next = shown = shown > want ? shown : want;
			kills++;
			break;
		}
	}
	vx_flush(v);
	while (vx_get(v, 0, NULL, &size))
		assert_int_equal(number_of(v->scratch), want++);
	assert_int_equal(want, next);
	vx_post(v, 0, 8);
	number(octets, next);
	assert_true(vx_give(v, octets, SIZE));
	assert_true(vx_get(v, 0, NULL, &size));
	assert_int_equal(number_of(v->scratch), next);
	assert_int_equal(v->dev.pair[0].rx.n_out_of_order, 0);
	assert_true(kills > 1);
	free(before);
	vx_free(v);
}

static void test_killed_while_the_guest_receives(void **state)
{
	static const unsigned sizes[] = { 8, 64 };
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++)
		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
			for (uint32_t seed = 1; seed <= 2; seed++)
				for (int mergeable = 0; mergeable < 2; mergeable++)
					walk_put(k, sizes[s], seed * 77 + i, mergeable);
}

/* ---- killed between two stores ---- */

/* When evbd died: of a flush that began at descriptor `from`, `n` were saved, and the last of them
 * was returned or not. */
struct moment {
	unsigned from, n;
	bool returned;
};

/* The words of a packed ring as they would be then. */
static void undo(struct vx *v, struct vhost_saved *saved, const struct front_packed_desc *before,
		 struct moment at)
{
	struct front_ring *r = &v->dev.pair[0].rx;
	unsigned size = r->c.size, last = at.from + at.n - 1;

	for (unsigned i = at.n; i < size; i++) /* not written yet */
		r->pdesc[(at.from + i) % size] = before[(at.from + i) % size];
	saved->ring[0] = (struct virtq_saved){
		.next = (uint16_t)(last % size | (last / size % 2 ? 0 : 0x8000)),
		.n_slots = 1,
		.size = (uint16_t)size,
	};
	if (!at.returned)
		r->pdesc[last % size] = before[last % size];
}

/*
 * A packed ring has no index in memory, so what is saved tells which descriptor is being returned:
 * before it is, after it is, and after the driver has made it available once more.
 */
static void test_killed_within_a_flush(void **state)
{
	enum { RING = 8 };
	const struct vx_kind *k;
	uint32_t size;

	for (unsigned i = 4; (k = vx_kind(i)); i++)
		for (unsigned from = 0; from < 2 * RING; from++)
			for (unsigned n = 1; n <= 4; n++)
				for (int how = 0; how < 3; how++) {
					struct vx *v = start(k, RING);
					struct front_packed_desc before[RING];
					struct vhost_saved *saved =
						mmap(NULL, VHOST_USER_STATE_SIZE,
						     PROT_READ | PROT_WRITE, MAP_SHARED,
						     v->state_fd, 0);
					uint8_t octets[SIZE];
					uint32_t next = 0, want = 0, lost;

					for (unsigned f = 0; f < from; f++) {
						vx_post(v, 0, RING);
						number(octets, next++);
						assert_true(vx_give(v, octets, SIZE));
						assert_true(vx_get(v, 0, NULL, &size));
						want++;
					}
					vx_post(v, 0, RING);
					memcpy(before, v->dev.pair[0].rx.pdesc, sizeof(before));
					for (unsigned f = 0; f < 4; f++) {
						number(octets, next++);
						assert_true(vx_tx(v, octets, SIZE, NULL));
					}
					vx_flush(v);
					undo(v, saved, before, (struct moment){ from, n, how > 0 });
					lost = want + n - (how == 0);
					vx_kill(v);
					if (how ==
					    2) { /* the driver was faster than we came again */
						while (vx_get(v, 0, NULL, &size))
							assert_int_equal(number_of(v->scratch),
									 want++);
						assert_int_equal(want, lost);
						vx_post(v, 0, RING);
					}
					vx_resume(v, FRONT_FROM_AVAIL);
					next = lost;
					for (unsigned f = 0; f < 20; f++) {
						vx_post(v, 0, RING);
						number(octets, next++);
						if (!vx_give(v, octets, SIZE))
							fail_msg("%s: stuck from %u, %u, %d",
								 k->name, from, n, how);
						while (vx_get(v, 0, NULL, &size))
							assert_int_equal(number_of(v->scratch),
									 want++);
					}
					assert_int_equal(want, next);
					munmap(saved, VHOST_USER_STATE_SIZE);
					vx_free(v);
				}
}

/* A file of something else, or of a ring of another size, is not believed. */
static void test_state_that_cannot_be(void **state)
{
	static const struct virtq_saved rows[] = {
		{ .next = 0x7fff, .n_slots = 0, .size = 16 },
		{ .next = 16, .n_slots = 0, .size = 16 },
		{ .next = 5, .n_slots = 0xffff, .size = 16 },
		{ .next = 5, .n_slots = 3, .size = 100 },
		{ .next = 0xffff, .n_slots = 0xffff, .size = 0xffff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vx *v = start(vx_kind(4), 16);
		struct vhost_saved *saved =
			mmap(NULL, VHOST_USER_STATE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			     v->state_fd, 0);

		for (int n = 0; n < 3; n++)
			vx_ping(v, "before");
		saved->ring[0] = saved->ring[1] = rows[i];
		vx_kill(v);
		vx_resume(v, FRONT_FROM_USED);
		if (i != 2) /* that one is plausible, and wrong */
			vx_ping(v, "after");
		vx_take(v);
		vx_give(v, v->scratch, 60);
		munmap(saved, VHOST_USER_STATE_SIZE);
		vx_free(v);
	}
}

/* The used index of a split ring never says more than what is there. */
static void test_used_ring_at_every_instant(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct vx *v = start(vx_kind(i), 64);
		struct front_ring *rx = &v->dev.pair[0].rx, *tx = &v->dev.pair[0].tx;
		uint8_t octets[SIZE];

		vx_post(v, 0, 64);
		for (unsigned n = 0; n < 10; n++) {
			number(octets, n);
			vx_send(v, 0, octets, SIZE, NULL);
			assert_true(vx_tx(v, octets, SIZE, NULL));
			assert_int_equal(*front_used_idx(rx), 0);
		}
		assert_int_equal(vx_rx(v, 7), 7);
		assert_int_equal(*front_used_idx(tx), 0);
		vx_rx_done(v);
		assert_int_equal(*front_used_idx(tx), 7);
		vx_rx_done(v); /* nothing is lent */
		assert_int_equal(*front_used_idx(tx), 7);
		assert_int_equal(*front_used_idx(rx), 0);
		vx_flush(v);
		assert_int_equal(*front_used_idx(rx), 10);
		vx_flush(v);
		assert_int_equal(*front_used_idx(rx), 10);
		vx_free(v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VX_TEST(test_killed_while_the_guest_sends),
		VX_TEST(test_killed_while_the_guest_receives),
		VX_TEST(test_killed_within_a_flush),
		VX_TEST(test_state_that_cannot_be),
		VX_TEST(test_used_ring_at_every_instant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
