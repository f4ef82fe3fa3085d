// SPDX-License-Identifier: Apache-2.0
/*
 * The owner table against a list that is searched from front to back, its limits, and how far a
 * look-up has to go when the table is as full as it gets. That is counted in slots, not in time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "owners.h"

/* ---- the Nth allocation fails ---- */

static int allocations_left = -1; /* -1: no limit */

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	if (allocations_left == 0)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	return __real_aligned_alloc(alignment, size);
}

/* ---- helpers ---- */

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static struct mac mac_of(uint64_t v)
{
	struct mac m;

	for (int i = 5; i >= 0; i--, v >>= 8)
		m.b[i] = (uint8_t)v;
	return m;
}

static const struct owner *find(const struct owners *o, uint32_t fid, struct mac mac, uint64_t *at)
{
	*at = owners_hash(o->seed, fid, mac);
	owners_prefetch(o, *at);
	return owners_next(o, fid, mac, at);
}

/* ---- tests ---- */

static void empty_table_has_nobody(void **state)
{
	struct owners *o = owners_new(0, 1);
	uint64_t at;

	assert_non_null(o);
	assert_null(find(o, 0, mac_of(0), &at));
	assert_null(find(o, UINT32_MAX, mac_of(UINT64_MAX), &at));
	owners_free(o);
	owners_free(NULL);
}

/* A power of two, at least twice the entries and at least 16; the entries fit and not many more. */
static void size_follows_entries(void **state)
{
	static const struct {
		uint32_t n, slots;
	} row[] = { { 0, 16 },
		    { 1, 16 },
		    { 8, 16 },
		    { 9, 32 },
		    { 16, 32 },
		    { 17, 64 },
		    { MACS_MAX, 2 * MACS_MAX } };

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct owners *o = owners_new(row[i].n, 7);
		struct owner e = { .port = 1 };
		uint32_t n = 0;
		uint64_t at;

		assert_non_null(o);
		assert_int_equal(o->mask + 1, row[i].slots);
		assert_int_equal((uintptr_t)o->slot % 64, 0);
		for (; owners_add(o, e); n++)
			e.mac = mac_of(n + 1);
		assert_int_equal(n, row[i].slots / 2);
		assert_int_equal(o->n, n);
		assert_non_null(find(o, 0, mac_of(n - 1), &at));
		assert_null(find(o, 0, mac_of(n), &at));
		owners_free(o);
	}
}

static void seen_starts_at_never(void **state)
{
	struct owners *o = owners_new(100, 3);

	for (uint32_t i = 0; i <= o->mask; i++)
		assert_int_equal(o->seen[i], 0);
	o->seen[o->mask] = 1; /* the last one is ours to write */
	assert_int_equal(o->slot[o->mask].port, PORT_NONE);
	owners_free(o);
}

/* The same MAC in one fid: all found, in the order they came; and in another fid: not found. */
static void equal_keys_keep_their_order(void **state)
{
	struct owners *o = owners_new(600, 11);
	uint64_t x = 5, at = 0;
	struct mac mac = mac_of(0x020000000001);

	for (uint16_t i = 0; i < 300; i++) {
		struct owner same = { .mac = mac, .fid = 4096, .port = i, .vid = i };
		struct owner other = { .mac = mac_of(next_random(&x)), .fid = 4096, .port = 4000 };

		assert_true(owners_add(o, same));
		assert_true(owners_add(o, other));
	}
	assert_null(find(o, 8192, mac, &at));
	at = owners_hash(o->seed, 4096, mac);
	for (uint16_t i = 0; i < 300; i++) {
		const struct owner *e = owners_next(o, 4096, mac, &at);

		assert_non_null(e);
		assert_int_equal(e->port, i);
		assert_int_equal(e->vid, i);
	}
	assert_null(owners_next(o, 4096, mac, &at));
	owners_free(o);
}

/* Every key of a small space: exactly those entries of a plain list that have it, in its order. */
static void agrees_with_a_list(void **state)
{
	enum { N = 500, MACS = 64, FIDS = 8 };
	struct owner list[N];
	uint64_t x = 99;

	for (unsigned round = 0; round < 40; round++) {
		struct owners *o = owners_new(N, next_random(&x));

		for (unsigned i = 0; i < N; i++) {
			list[i] = (struct owner){ .mac = mac_of(next_random(&x) % MACS << 20),
						  .fid = (uint32_t)(next_random(&x) % FIDS) << 12,
						  .port = (port_id)(next_random(&x) % PORTS_MAX),
						  .vid = (vid_t)(next_random(&x) % 4095),
						  .flags = OWNER_STATIC };
			assert_true(owners_add(o, list[i]));
		}
		for (unsigned key = 0; key < MACS * FIDS; key++) {
			struct mac mac = mac_of((uint64_t)(key % MACS) << 20);
			uint32_t fid = key / MACS << 12;
			uint64_t at = owners_hash(o->seed, fid, mac);

			for (unsigned i = 0; i < N; i++) {
				if (list[i].fid != fid || !mac_equal(list[i].mac, mac))
					continue;
				assert_memory_equal(owners_next(o, fid, mac, &at), &list[i],
						    sizeof(list[i]));
			}
			assert_null(owners_next(o, fid, mac, &at));
		}
		owners_free(o);
	}
}

/* ---- how far a look-up goes ---- */

enum { PATTERNS_N = 6 };

/* The `i`-th key of a pattern as it is met in practice, or as it might be bad for a hash. */
static struct owner key_of(unsigned pattern, uint32_t i, uint64_t *x)
{
	struct owner e = { .port = (port_id)(i % PORTS_MAX), .fid = 4096 };

	switch (pattern) {
	case 0: /* counted up, as a VM manager does */
		e.mac = mac_of(UINT64_C(0x525400000000) + i);
		break;
	case 1: /* random behind a prefix */
		e.mac = mac_of(UINT64_C(0x525400000000) | (next_random(x) & 0xffffff));
		break;
	case 2: /* counted up in the upper octets */
		e.mac = mac_of(UINT64_C(0x020000000001) + ((uint64_t)i << 26));
		break;
	case 3: /* a few MACs in each VLAN of a learning relay */
		e.mac = mac_of(UINT64_C(0x020000000000) + i % 4);
		e.fid = owners_fid(1, (vid_t)(1 + i / 4 % VID_MAX));
		break;
	case 4: /* a few MACs on each of many bridges */
		e.mac = mac_of(UINT64_C(0x020000000000) + i % 16);
		e.fid = owners_fid((bridge_id)(i / 16), VID_NONE);
		break;
	default: /* in steps of 256 */
		e.mac = mac_of(UINT64_C(0x020000000000) + ((uint64_t)i << 8));
		break;
	}
	return e;
}

/* Slots looked at until the search for a key ends. */
static uint32_t probes(const struct owners *o, struct owner key)
{
	uint64_t at;

	find(o, key.fid, key.mac, &at);
	return (uint32_t)(at - owners_hash(o->seed, key.fid, key.mac));
}

/*
 * With the table as full as it gets: linear probing at load 1/2 expects 1.5 slots for a key that is
 * there and 2.5 for one that is not (Knuth, The Art of Computer Programming, volume 3, 6.4).
 */
static void look_ups_are_short(void **state)
{
	static const uint64_t seeds[] = { 0, 1, 2, 3, UINT64_C(0x123456789abcdef0), UINT64_MAX };

	for (unsigned pattern = 0; pattern < PATTERNS_N; pattern++) {
		for (size_t s = 0; s < ARRAY_SIZE(seeds); s++) {
			struct owners *o = owners_new(MACS_MAX, seeds[s]);
			uint64_t x = 1, y = 1, hits = 0, misses = 0;
			uint32_t hit_max = 0, miss_max = 0;

			for (uint32_t i = 0; i < MACS_MAX; i++)
				assert_true(owners_add(o, key_of(pattern, i, &x)));
			for (uint32_t i = 0; i < MACS_MAX; i++) {
				struct owner key = key_of(pattern, i, &y);
				uint32_t n = probes(o, key);

				hits += n;
				hit_max = n > hit_max ? n : hit_max;
				key.mac.b[0] ^= 0x80;
				n = probes(o, key);
				misses += n;
				miss_max = n > miss_max ? n : miss_max;
			}
			assert_in_range(hit_max, 1, 64);
			assert_in_range(miss_max, 1, 64);
			assert_in_range(hits, MACS_MAX, 2 * MACS_MAX);
			assert_in_range(misses, MACS_MAX, 3 * MACS_MAX);
			owners_free(o);
		}
	}
}

static void no_memory(void **state)
{
	allocations_left = 0;
	assert_null(owners_new(100, 1));
	allocations_left = -1;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_table_has_nobody),
		cmocka_unit_test(size_follows_entries),
		cmocka_unit_test(seen_starts_at_never),
		cmocka_unit_test(equal_keys_keep_their_order),
		cmocka_unit_test(agrees_with_a_list),
		cmocka_unit_test(look_ups_are_short),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
