// SPDX-License-Identifier: Apache-2.0
/*
 * Links at random: requests, refusals, revocations, cuts, configurations, on wires that lose,
 * delay, double and reorder. Then all is well for a while, and both ends must agree on everything;
 * nothing is left in a queue, no VSI is without a timer, and no timer is overdue. `sim_random_test
 * SEEDS` for more than the few that every build tries.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim_fixture.h"

enum { VSIS = 12, STEPS = 100 };

static unsigned n_seeds = 500;

static void request(struct sim *sim, struct sim_node *s)
{
	static const uint16_t vids[] = { 0, 100, 200 };
	struct vdp_assoc a = sim_vsi((enum vdp_request)(1 + sim_lot(sim) % 4),
				     1 + (unsigned)(sim_lot(sim) % VSIS), vids[sim_lot(sim) % 3]);

	if (sim_lot(sim) % 4 == 0)
		a.manager.octets[0] = 1;
	if (sim_lot(sim) % 8 == 0)
		a.type_id = 6;
	vdp_station_request(&s->link.station, sim->now, &a); /* or it is refused */
}

static void step(struct sim *sim)
{
	static const char *const commands[] = {
		"manager b accept vid 77",
		"manager b refuse 2; run 1s; manager b accept vid 77",
		"manager b refuse 4 keep; run 1s; manager b accept vid 77",
		"manager b silent; run 4s; manager b accept vid 77",
		"cut s; run 2s; join s",
		"cut s; run 25s; join s",
		"cut s; join s",
		"stop s; start s",
		"stop b; start b",
		"set s rr 0",
		"set s rr 1",
		"set b rr 0",
		"set b rr 1",
		"set s gid 1",
		"set b gid 1",
		"mute s; run 3s; unmute s",
		"mute b; run 3s; unmute b",
		"mute s; run 30s; unmute s",
		"mute b; run 30s; unmute b",
		"set s rka 19",
		"set b rte 11",
		"set s rka 21 rwd 19",
		"set b rka 22 rwd 21 rte 16",
		"set b rka 18 rwd 17 rte 12",
		"manager b silent",
		"set s channels 2,3,4",
		"set s channels 4,5",
		"set s channels",
		"set b pool 100-102",
		"set b pool 101-110",
		"reborn b",
		"reborn b; mute b; run 2s; unmute b",
		"reborn s",
		"run 40s",
	};
	struct sim_node *s = sim_node(sim, "s"), *b = sim_node(sim, "b");
	struct vsi_id id;

	switch (sim_lot(sim) % 6) {
	case 0:
		sim_play(sim, "random", commands[sim_lot(sim) % ARRAY_SIZE(commands)]);
		break;
	case 1:
		id = sim_vsi(VDP_ASSOCIATE, 1 + (unsigned)(sim_lot(sim) % VSIS), 1).id;
		vdp_bridge_revoke(&b->link.bridge, sim->now, &id);
		break;
	default:
		request(sim, s);
		break;
	}
	sim_run(sim, sim->now + (tstamp)(sim_lot(sim) % 10 ? sim_lot(sim) % (200 * NS_PER_MS) :
							     sim_lot(sim) % (20 * NS_PER_S)));
}

static void check_table(const struct vsi_table *t, tstamp now)
{
	const struct vsi *v;
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n_slots; i++) {
		n += t->slot[i].used;
		assert_true(!t->slot[i].used || (t->slot[i].due > now && !t->slot[i].queued &&
						 t->slot[i].due != TSTAMP_NEVER));
	}
	assert_int_equal(n, t->n_used);
	for (unsigned i = 0; i < VSI_TIMERS_N; i++) {
		TAILQ_FOREACH (v, &t->timers[i], timer)
			n--;
	}
	assert_int_equal(n, 0);
	assert_null(TAILQ_FIRST(&t->queue));
}

static void check_vsi(struct sim_node *s, struct sim_node *b, unsigned x)
{
	struct vsi_id id = sim_vsi(VDP_ASSOCIATE, x, 1).id;
	const struct vsi *at_s = vsi_find(&s->link.station.table, &id);
	const struct vsi *at_b = vsi_find(&b->link.bridge.table, &id);

	assert_int_equal(!at_s, !at_b);
	assert_int_equal(b->open[x], at_b && at_b->held.request == VDP_ASSOCIATE);
	if (!at_s)
		return;
	assert_int_equal(at_s->held.request, at_b->held.request);
	assert_int_equal(at_s->held.type_id, at_b->held.type_id);
	assert_true(vdp_manager_equal(&at_s->held.manager, &at_b->held.manager));
	assert_true(vdp_filters_equal(&at_s->held.filters, &at_b->held.filters));
}

static int greater(int a, int b)
{
	return a > b ? a : b;
}

static void check_agreement(struct sim *sim)
{
	struct sim_node *s = sim_node(sim, "s"), *b = sim_node(sim, "b");
	const struct evb *es = &s->link.evb, *eb = &b->link.evb;

	check_table(&s->link.station.table, sim->now);
	check_table(&b->link.bridge.table, sim->now);
	for (unsigned x = 1; x <= VSIS; x++)
		check_vsi(s, b, x);
	assert_true(es->has_peer && eb->has_peer);
	assert_int_equal(es->status, eb->reflects ? EVB_RR_ON : EVB_RR_OFF);
	assert_int_equal(eb->reflects, es->config.reflective_relay && eb->config.reflective_relay);
	assert_int_equal(es->generation, eb->generation);
	assert_int_equal(es->values.rte, greater(es->config.values.rte, eb->config.values.rte));
	assert_int_equal(es->values.rte, eb->values.rte);
	if (es->generation == EVB_RATIFIED) { /* drafts negotiate no other */
		assert_memory_equal(&es->values, &eb->values, sizeof(es->values));
		assert_int_equal(es->values.rka,
				 greater(es->config.values.rka, eb->config.values.rka));
		assert_int_equal(es->values.rwd,
				 greater(es->config.values.rwd, eb->config.values.rwd));
	}
	assert_int_equal(es->group_id, eb->group_id);
	assert_int_equal(s->n_channels, b->n_channels);
	assert_memory_equal(s->svid, b->svid, sizeof(s->svid));
	assert_false(s->link.ecp.waits || b->link.ecp.waits);
}

static void one_seed(unsigned seed)
{
	static const char *const starts[] = {
		"station s channels 2,3; bridge b pool 100-110",
		"station s channels 2,3; bridge b pool 100-110",
		"station s dialect draft channels 2; bridge b pool 100-110",
		"station s channels 2; bridge b dialect draft pool 100-110",
	};
	struct sim *sim = sim_new(seed);
	char text[200];

	sim_play(sim, "random", starts[seed % ARRAY_SIZE(starts)]);
	snprintf(text, sizeof(text), "link s b delay %u jitter %u loss %u twice %u",
		 (unsigned)(sim_lot(sim) % 5), (unsigned)(sim_lot(sim) % 30),
		 (unsigned)(sim_lot(sim) % 40), (unsigned)(sim_lot(sim) % 20));
	sim_play(sim, "random", text);
	sim_play(sim, "random", "manager b accept vid 77; run 1s");
	for (unsigned i = 0; i < STEPS; i++)
		step(sim);
	sim_play(sim, "random",
		 "set s loss 0 twice 0 jitter 0; unmute s; unmute b; join s; run 1s\n"
		 "manager b accept vid 77; run 300s\n");
	if (sim_node(sim, "s")->link.ecp.waits || sim_node(sim, "b")->link.ecp.waits)
		sim_run(sim, sim->now + NS_PER_S); /* a keep-alive is on its way */
	check_agreement(sim);
	sim_free(sim);
}

static void links_agree_in_the_end(void **state)
{
	for (unsigned seed = 1; seed <= n_seeds; seed++) {
		printf("seed %u\r", seed);
		fflush(stdout);
		one_seed(seed);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_agree_in_the_end),
	};

	if (argc > 1)
		n_seeds = (unsigned)strtoul(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
