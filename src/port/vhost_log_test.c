// SPDX-License-Identifier: Apache-2.0
/*
 * The dirty log of a live migration: each page of guest memory that differs from before is marked,
 * whoever looks; pages that are only read are not.
 */
#include "vhost_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest_mem.h"

enum { PAGE = 4096, MIB = 1 << 20, MEMORY = 4 * MIB };

static struct vx *start(uint64_t features)
{
	struct vx_config c = { .dev = { .mem = { .size = MEMORY },
					.rx_size = 256,
					.tx_size = 256,
					.rx_buf = 64,
					.features = FRONT_FEATURES_LEAST | features |
						    FRONT_BIT(FRONT_F_INDIRECT) } };
	struct vx *v = vx_new(&c);

	v->post_size = 2048;
	vx_start(v);
	return v;
}

static void settle(struct vx *v)
{
	uint64_t sync;

	vx_ok(v, front_get_u64(&v->dev.sock, FRONT_GET_FEATURES, &sync));
}

static uint8_t snapshot[MEMORY];

static void remember(const struct vx *v)
{
	memcpy(snapshot, v->dev.mem.region[0].host, MEMORY);
}

/* Each page that is not as remembered has its bit. Returns how many those are. */
static unsigned check_pages(const struct vx *v, const char *name)
{
	const uint8_t *now = v->dev.mem.region[0].host;
	unsigned n = 0;

	for (unsigned page = 0; page < MEMORY / PAGE; page++) {
		if (memcmp(now + page * PAGE, snapshot + page * PAGE, PAGE) == 0)
			continue;
		n++;
		if (!front_dev_log_dirty(&v->dev, (uint64_t)page * PAGE, 1))
			fail_msg("%s: page %u was written and is not marked", name, page);
	}
	return n;
}

static const struct front_layout shapes[] = {
	{ .how = FRONT_DIRECT },
	{ .cut = { 12 }, .n_cuts = 1 },
	{ .cut = { 100 }, .n_cuts = 1, .repeat_last = true, .how = FRONT_IN_TABLE },
};

static void receive_row(const struct vx_kind *k, bool mergeable, const struct front_layout *shape)
{
	struct vx *v = start(k->features | (mergeable ? FRONT_BIT(FRONT_F_MRG_RXBUF) : 0));
	static uint8_t octets[9000];
	uint32_t size;

	v->post_layout = *shape;
	v->post_size = mergeable ? 1000 : 9100;
	vx_fill(octets, sizeof(octets), 1);
	vx_post(v, 0, 3);
	vx_give(v, octets, 60); /* before there is a log */
	assert_true(vx_get(v, 0, NULL, &size));
	vx_ok(v, front_dev_log_start(&v->dev)); /* while it runs */
	settle(v);
	for (uint32_t n = 0; n < 40; n++) {
		uint32_t want = n % 4 ? 60 + n * 40 : 8999 - n;

		vx_post(v, 0, 12);
		remember(v);
		front_dev_log_clear(&v->dev);
		assert_true(vx_give(v, octets, want));
		assert_true(check_pages(v, k->name) > 0);
		assert_true(vx_get(v, 0, NULL, &size));
		assert_int_equal(size, want);
	}
	/* Off again: nothing is marked. */
	vx_ok(v, front_set_u64(&v->dev.sock, FRONT_SET_FEATURES, v->dev.features));
	settle(v);
	front_dev_log_clear(&v->dev);
	vx_post(v, 0, 12);
	assert_true(vx_give(v, octets, 60));
	assert_int_equal(front_dev_log_count(&v->dev), 0);
	vx_free(v);
}

static void test_receive_marks_what_is_written(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++)
		for (int mergeable = 0; mergeable < 2; mergeable++)
			for (size_t s = 0; s < ARRAY_SIZE(shapes); s++)
				receive_row(k, mergeable, &shapes[s]);
}

/* Of what the guest sends only the ring is written; of an enabled queue, and of a disabled one. */
static void test_transmit_marks_the_ring_only(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++)
		for (int disabled = 0; disabled < 2; disabled++) {
			struct vx *v = start(k->features);
			struct front_ring *r = &v->dev.pair[0].tx;
			uint64_t gpa = front_mem_alloc(&v->dev.mem, 8 * PAGE, PAGE);
			struct front_piece p = { gpa, 3 * PAGE, false };
			struct front_chain chain = { .piece = &p, .n = 1 };

			vx_ok(v, front_dev_log_start(&v->dev));
			vx_ok(v, front_dev_enable(&v->dev, 1, !disabled));
			settle(v);
			for (int n = 0; n < 600; n++) { /* over all of the ring, twice */
				struct front_got got;

				assert_true(front_ring_add(r, &chain) >= 0);
				front_ring_publish(r);
				remember(v);
				front_dev_log_clear(&v->dev);
				v->port->ops->arm(v->port);
				check_pages(v, k->name);
				assert_int_equal(vx_take(v), !disabled);
				assert_true(check_pages(v, k->name) > 0);
				assert_false(front_dev_log_dirty(&v->dev, gpa, 8 * PAGE));
				assert_in_range(front_dev_log_count(&v->dev), 1, 3);
				assert_int_equal(front_ring_get(r, &got), 1);
				vx_forget(v);
			}
			vx_free(v);
		}
}

/* A start writes, too: it asks for kicks or for none. */
static void test_start_with_a_log(void **state)
{
	const struct vx_kind *k;

	for (unsigned i = 0; (k = vx_kind(i)); i++) {
		struct vx *v = start(k->features);

		vx_ping(v, k->name);
		vx_ok(v, front_dev_log_start(&v->dev));
		settle(v);
		vx_stop(v);
		remember(v);
		front_dev_log_clear(&v->dev);
		vx_ok(v, front_dev_steps(&v->dev, "nback,e"));
		settle(v);
		v->port->ops->arm(v->port);
		check_pages(v, k->name);
		vx_free(v);
	}
}

/* The used ring of a split ring is logged where SET_VRING_ADDR says, which may be anywhere. */
static void test_used_ring_is_logged_elsewhere(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct vx *v = start(vx_kind(i)->features);
		struct front_ring *r = &v->dev.pair[0].rx;
		struct front_vring_addr a = { .flags = 1,
					      .desc = front_mem_uva(&v->dev.mem, r->gpa_desc),
					      .used = front_mem_uva(&v->dev.mem, r->gpa_device),
					      .avail = front_mem_uva(&v->dev.mem, r->gpa_driver),
					      .log = 3 * MIB };

		vx_ok(v, front_dev_log_start(&v->dev));
		vx_ok(v, front_set_addr(&v->dev.sock, &a));
		settle(v);
		assert_true(vx_runs(v));
		vx_post(v, 0, 1);
		front_dev_log_clear(&v->dev);
		assert_true(vx_give(v, v->scratch, 60));
		assert_true(front_dev_log_dirty(&v->dev, 3 * MIB, 1));
		vx_free(v);
	}
}

static int log_file(uint64_t size, uint8_t **map)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	*map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(*map != MAP_FAILED);
	return fd;
}

static void log_on(struct vx *v, uint64_t size, uint64_t offset, int fd)
{
	vx_ok(v, front_set_log_base(&v->dev.sock, size, offset, fd));
	vx_ok(v, front_set_u64(&v->dev.sock, FRONT_SET_FEATURES,
			       v->dev.features | FRONT_BIT(FRONT_F_LOG_ALL)));
	settle(v);
}

/* Sent anew, larger, while rings run; at an offset; and what a log has no room for is left out. */
static void test_log_is_replaced(void **state)
{
	struct vx *v = start(0);
	uint8_t *first, *second;
	int a = log_file(PAGE, &first), b = log_file(2 * PAGE, &second);
	unsigned fds = vx_count_fds();

	vx_post(v, 0, 20);
	log_on(v, 1, 0, a); /* pages 0 to 7 */
	assert_true(vx_give(v, v->scratch, 60));
	for (unsigned i = 1; i < PAGE; i++)
		assert_int_equal(first[i], 0);
	assert_true(first[0] != 0); /* the rings are there */
	first[0] = 0;
	log_on(v, MEMORY / PAGE / 8, 512, b);
	assert_true(vx_give(v, v->scratch, 60));
	assert_int_equal(first[0], 0);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(second[i], 0);
	assert_true(second[512] != 0);
	assert_int_equal(vx_count_fds(), fds); /* none is kept */
	munmap(first, PAGE);
	munmap(second, PAGE);
	close(a);
	close(b);
	vx_free(v);
}

static void test_log_is_cut_off(void **state)
{
	assert_int_equal(guest_fault_install(), 0);
	for (int packed = 0; packed < 2; packed++) {
		struct vx *v = start(packed ? FRONT_BIT(FRONT_F_PACKED) : 0);
		uint8_t *map;
		int fd = log_file(PAGE, &map);

		munmap(map, PAGE);
		log_on(v, PAGE, 0, fd);
		assert_int_equal(ftruncate(fd, 0), 0);
		vx_ping(v, "without its log"); /* the migration is lost, the guest is not */
		assert_true(vx_runs(v));
		close(fd);
		vx_free(v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VX_TEST(test_receive_marks_what_is_written),
		VX_TEST(test_transmit_marks_the_ring_only),
		VX_TEST(test_start_with_a_log),
		VX_TEST(test_used_ring_is_logged_elsewhere),
		VX_TEST(test_log_is_replaced),
		VX_TEST(test_log_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
