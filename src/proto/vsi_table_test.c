// SPDX-License-Identifier: Apache-2.0
/* The table of VSIs against plain arrays: who is there, whose timer is first, who is queued. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "vsi_table.h"

enum { N = 64 };

static struct vsi slots[N];

static struct vsi_id id_of(uint32_t x)
{
	return (struct vsi_id){ .format = VSI_ID_LOCAL,
				.octets = { (uint8_t)(x >> 8), (uint8_t)x } };
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static void begin(struct vsi_table *t, uint32_t n)
{
	memset(slots, 0, sizeof(slots));
	vsi_table_init(t, slots, n);
}

static void an_empty_table(void **state)
{
	struct vsi_id id = id_of(1);
	struct vsi_table t;

	begin(&t, 0);
	assert_null(vsi_find(&t, &id));
	assert_null(vsi_new(&t, &id));
	assert_null(vsi_due(&t, INT64_MAX - 1));
	assert_true(vsi_deadline(&t) == TSTAMP_NEVER);
}

static void as_many_as_there_is_room_for(void **state)
{
	struct vsi_table t;
	struct vsi_id id;

	begin(&t, N);
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < N; i++) {
			id = id_of(i * 7 + round);
			assert_null(vsi_find(&t, &id));
			assert_non_null(vsi_new(&t, &id));
		}
		id = id_of(9999);
		assert_null(vsi_new(&t, &id));
		for (uint32_t i = 0; i < N; i++) {
			id = id_of(i * 7 + round);
			vsi_free(&t, vsi_find(&t, &id));
		}
		assert_int_equal(t.n_used, 0);
	}
}

/* A port has room for many VSIs, and mostly has few: no more is touched than was ever needed. */
static void what_is_free_is_used_again(void **state)
{
	struct vsi_id id;
	struct vsi_table t;

	begin(&t, N);
	for (uint32_t i = 0; i < 3 * N; i++) {
		id = id_of(i);
		vsi_free(&t, vsi_new(&t, &id));
	}
	assert_int_equal(t.n_begun, 1);
}

/* The format is part of the ID. */
static void an_id_is_octets_and_format(void **state)
{
	struct vsi_id a = id_of(5), b = a;
	struct vsi_table t;

	b.format = VSI_ID_UUID;
	begin(&t, N);
	vsi_new(&t, &a);
	assert_null(vsi_find(&t, &b));
	assert_ptr_not_equal(vsi_new(&t, &b), vsi_find(&t, &a));
}

/* The queue as a plain array, those with precedence in front. */
struct line {
	uint32_t n, n_first, of[N];
};

static void line_remove(struct line *l, uint32_t i)
{
	uint32_t at = 0;

	while (at < l->n && l->of[at] != i)
		at++;
	if (at == l->n)
		return;
	l->n--;
	l->n_first -= at < l->n_first;
	memmove(l->of + at, l->of + at + 1, (l->n - at) * sizeof(l->of[0]));
}

static void line_add(struct line *l, uint32_t i, bool first)
{
	uint32_t at = first ? l->n_first : l->n;

	for (uint32_t k = 0; k < l->n; k++) {
		if (l->of[k] == i)
			return; /* where it is, it stays */
	}
	memmove(l->of + at + 1, l->of + at, (l->n - at) * sizeof(l->of[0]));
	l->of[at] = i;
	l->n++;
	l->n_first += first;
}

static void check(const struct vsi_table *t, const tstamp *due, const struct line *line)
{
	tstamp earliest = TSTAMP_NEVER;
	const struct vsi *v;
	uint32_t n = 0, n_queued = 0;

	for (uint32_t i = 0; i < N; i++) {
		struct vsi_id id = id_of(i);

		v = vsi_find(t, &id);
		assert_true(!v || v->due == due[i]);
		assert_true(v || due[i] == TSTAMP_NEVER);
		earliest = tstamp_earlier(earliest, due[i]);
		n_queued += v && v->queued;
	}
	assert_true(vsi_deadline(t) == earliest);
	if (earliest != TSTAMP_NEVER) {
		assert_true(vsi_due(t, earliest)->due == earliest);
		assert_null(vsi_due(t, earliest - 1));
	}
	TAILQ_FOREACH (v, &t->queue, queue) {
		struct vsi_id id = id_of(line->of[n++]);

		assert_true(n <= line->n && vsi_id_equal(&v->id, &id));
	}
	assert_int_equal(n, line->n);
	assert_int_equal(n_queued, n);
}

static void at_random_like_plain_arrays(void **state)
{
	tstamp due[N];
	struct line line = { .n = 0 };
	struct vsi_table t;
	uint64_t x = 77;

	for (uint32_t i = 0; i < N; i++)
		due[i] = TSTAMP_NEVER;
	begin(&t, N);
	for (unsigned step = 0; step < 20000; step++) {
		uint32_t i = (uint32_t)(next_random(&x) % N);
		struct vsi_id id = id_of(i);
		struct vsi *v = vsi_find(&t, &id);

		switch (next_random(&x) % 7) {
		case 0:
			if (v) {
				vsi_free(&t, v);
				due[i] = TSTAMP_NEVER;
				line_remove(&line, i);
			}
			break;
		case 1:
			if (v)
				vsi_timer(&t, v, due[i] = TSTAMP_NEVER);
			break;
		case 2:
			if (v)
				vsi_queue(&t, v), line_add(&line, i, false);
			break;
		case 3:
			if (v)
				vsi_queue_first(&t, v), line_add(&line, i, true);
			break;
		case 4:
			if (v)
				vsi_unqueue(&t, v), line_remove(&line, i);
			break;
		default:
			if (!v)
				v = vsi_new(&t, &id);
			vsi_timer(&t, v, due[i] = (tstamp)(next_random(&x) % 50));
			break;
		}
		check(&t, due, &line);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_table),
		cmocka_unit_test(as_many_as_there_is_room_for),
		cmocka_unit_test(what_is_free_is_used_again),
		cmocka_unit_test(an_id_is_octets_and_format),
		cmocka_unit_test(at_random_like_plain_arrays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
