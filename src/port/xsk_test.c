// SPDX-License-Identifier: Apache-2.0
/* Rings whose entries nobody vouches for, in plain memory; xdp_test.c has the kernel's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/if_xdp.h>
#include <string.h>

#include "types.h"
#include "xsk.h"

enum { CHUNK = 2048, TX_AT = XSK_N_FILL * CHUNK, END = TX_AT + XSK_N_TX * CHUNK };

/* As the kernel leaves them: `producer` entries are filled of rx and completion. */
static struct memory {
	_Atomic uint32_t producer[4], consumer[4], flags;
	struct xdp_desc rx[XSK_N_RX], tx[XSK_N_TX];
	uint64_t fill[XSK_N_FILL], completion[XSK_N_TX];
	uint32_t free[1 + XSK_N_TX];
	uint8_t umem[END];
} m;

static struct xsk_ring ring(unsigned i, void *entry, uint32_t size)
{
	return (struct xsk_ring){ .producer = &m.producer[i],
				  .consumer = &m.consumer[i],
				  .flags = &m.flags,
				  .entry = entry,
				  .mask = size - 1 };
}

static struct xsk make(void)
{
	memset(&m, 0, sizeof(m));
	return (struct xsk){ .fd = -1,
			     .umem = m.umem,
			     .free = (void *)m.free,
			     .chunk_size = CHUNK,
			     .rx = ring(0, m.rx, XSK_N_RX),
			     .tx = ring(1, m.tx, XSK_N_TX),
			     .fill = ring(2, m.fill, XSK_N_FILL),
			     .completion = ring(3, m.completion, XSK_N_TX) };
}

static void wild_frames_have_no_octets(void **state)
{
	static const struct {
		uint64_t at;
		uint32_t size;
		bool is_inside;
	} rows[] = {
		{ XSK_HEADROOM, 60, true },
		{ 0, CHUNK, true },
		{ TX_AT - 60, 60, true },
		{ TX_AT - 60, 61, false },
		{ TX_AT - 1, 1, true },
		{ TX_AT, 0, true },
		{ TX_AT, 1, false },
		{ TX_AT + 1, 0, false },
		{ END, 60, false },
		{ 0, TX_AT + 1, false },
		{ 0, UINT32_MAX, false },
		{ UINT64_MAX, 1, false },
		{ UINT64_MAX - 59, 60, false },
		{ (uint64_t)1 << 48 | XSK_HEADROOM, 60, false }, /* as of unaligned chunks */
	};
	struct xsk_frame got[ARRAY_SIZE(rows)];
	struct xsk x = make();
	int64_t octets = INT64_MAX, left = INT64_MAX;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		m.rx[i] = (struct xdp_desc){ .addr = rows[i].at, .len = rows[i].size };
	m.producer[0] = ARRAY_SIZE(rows);
	assert_int_equal(xsk_rx(&x, got, ARRAY_SIZE(rows), &octets), ARRAY_SIZE(rows));
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		left -= got[i].size;
		assert_int_equal(got[i].size, rows[i].is_inside ? rows[i].size : 0);
		assert_ptr_equal(got[i].octets, m.umem + (rows[i].is_inside ? rows[i].at : 0));
	}
	assert_int_equal(octets, left);
	xsk_rx_done(&x);
	assert_int_equal(m.consumer[0], ARRAY_SIZE(rows));
}

/* Else the next frame to be sent would be written to such a place. */
static void wild_completions_are_no_chunks(void **state)
{
	static const uint64_t at[] = { TX_AT - 1, END,	  UINT64_MAX, 0, (uint64_t)1 << 43 | TX_AT,
				       TX_AT,	  END - 1 };
	struct iovec iov = { (uint8_t[60]){ 1 }, 60 };
	struct frame f = { .iov = &iov, .n_iov = 1, .size = 60 };
	struct xsk x = make();

	memcpy(m.completion, at, sizeof(at));
	m.producer[3] = ARRAY_SIZE(at);
	assert_int_equal(xsk_tx_waiting(&x), XSK_N_TX - 2);
	assert_true(xsk_tx(&x, &f) && xsk_tx(&x, &f));
	assert_false(xsk_tx(&x, &f));
	assert_int_equal(m.tx[0].addr, END - CHUNK);
	assert_int_equal(m.tx[1].addr, TX_AT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wild_frames_have_no_octets),
		cmocka_unit_test(wild_completions_are_no_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
