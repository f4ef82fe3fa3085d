// SPDX-License-Identifier: Apache-2.0
/*
 * VSI types and what follows from them: how IDs are written, what the manager says to what is asked
 * for, and what is let through at ports by what stands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gates.h"
#include "grammar.h"
#include "manager.h"
#include "view.h"
#include "vsi_text.h"

/* ---- words ---- */

static void ids_are_read_and_written(void **state)
{
	static const struct {
		const char *word, *canonical;
		uint8_t format;
		const char *hex;
	} row[] = {
		{ "11223344-5566-7788-99AA-bbccddeeff00", "11223344-5566-7788-99aa-bbccddeeff00",
		  VSI_ID_UUID, "local:112233445566778899aabbccddeeff00" },
		{ "52:54:00:00:00:01", "52:54:00:00:00:01", VSI_ID_MAC,
		  "local:00000000000000000000525400000001" },
		{ "192.0.2.1", "192.0.2.1", VSI_ID_IPV4, "local:00000000000000000000ffffc0000201" },
		{ "2001:DB8::1", "2001:db8::1", VSI_ID_IPV6,
		  "local:20010db8000000000000000000000001" },
		{ "local:00112233445566778899aabbccddeeff",
		  "local:00112233445566778899aabbccddeeff", VSI_ID_LOCAL,
		  "local:00112233445566778899aabbccddeeff" },
	};
	static const char *const wrong[] = { "",
					     "1",
					     "11223344-5566-7788-99aa-bbccddeeff0",
					     "11223344-5566-7788-99aa-bbccddeeff000",
					     "1122334455667788-99aa-bbccddeeff00--",
					     "11223344-5566-7788-99aa-bbccddeeff0 ",
					     "+1223344-5566-7788-99aa-bbccddeeff00",
					     "local:",
					     "local:0011",
					     "192.0.2",
					     "52:54:00:00:00",
					     "eth0" };
	struct vsi_id id, local;
	char text[VSI_TEXT_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		assert_true(vsi_id_parse(row[i].word, &id));
		assert_int_equal(id.format, row[i].format);
		assert_int_equal(vsi_id_check(&id), MALFORMED_none);
		assert_string_equal(vsi_id_format(&id, text), row[i].canonical);
		assert_true(vsi_id_parse(row[i].hex, &local));
		assert_memory_equal(local.octets, id.octets, sizeof(id.octets));
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (vsi_id_parse(wrong[i], &id))
			fail_msg("\"%s\" is no instance ID", wrong[i]);
	}
}

static void managers_are_read_and_written(void **state)
{
	static const char *const word[] = { "0", "7", "255", "192.0.2.1", "2001:db8::1" };
	static const char *const wrong[] = { "", "256", "-1", "x", "1.2.3" };
	struct vdp_manager m;
	char text[VSI_TEXT_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(word); i++) {
		assert_true(vdp_manager_parse(word[i], &m));
		assert_string_equal(vdp_manager_format(&m, text), word[i]);
	}
	assert_true(vdp_manager_parse("7", &m));
	assert_int_equal(m.octets[0], 7); /* where lldpad has libvirt's */
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(vdp_manager_parse(wrong[i], &m));
}

/* ---- the manager ---- */

static void must(struct model *m, const char *text)
{
	struct err e;
	int line;
	json_t *list = grammar_parse_file(text, strlen(text), &line, &e);

	assert_non_null(list);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *request = json_array_get(list, i);

		if (model_apply(m, json_string_value(json_object_get(request, "method")),
				json_object_get(request, "params"), &e))
			fail_msg("%s: %s", text, e.message);
	}
	json_decref(list);
}

/* A request for type `type` with entries of the format: "MAC VID" by last octets, MAC 0: none. */
struct entry {
	unsigned mac, vid;
};

static struct vdp_assoc assoc_of(uint32_t type, uint8_t version, uint8_t manager, uint8_t format,
				 const struct entry *entry)
{
	struct vdp_assoc a = { .request = VDP_ASSOCIATE,
			       .type_id = type,
			       .version = version,
			       .manager = { .octets = { manager } },
			       .id = { .format = VSI_ID_UUID, .octets = { 1 } },
			       .filters = { .format = format } };

	for (; entry->mac || entry->vid; entry++) {
		struct vdp_filter f = { .group = format > 2 ? 9 : 0,
					.mac = { { 2, 0, 0, 0, 0, (uint8_t)entry->mac } },
					.vid = (uint16_t)(entry->vid & 0xffff) };

		assert_true(vdp_filter_add(&a.filters, EVB_RATIFIED, f));
	}
	return a;
}

static const char types[] = "vsitype add 5 vlan 10,20 default-vlan 20\n"
			    "vsitype add 5 version 1 vlan 30 mac 02:00:00:00:00:01\n"
			    "vsitype add 5 manager 7 vlan 40\n"
			    "vsitype add 6\n";

static void manager_decides(void **state)
{
	enum { PCP = 0xb000 };
	static const struct {
		const char *name;
		uint32_t type;
		uint8_t version, manager, format;
		struct entry entry[3], filled[3];
		enum vdp_error error;
	} row[] = {
		{ "allowed", 5, 0, 0, 2, { { 1, 10 } }, { { 1, 10 } }, VDP_SUCCESS },
		{ "two",
		  5,
		  0,
		  0,
		  2,
		  { { 1, 10 }, { 2, 20 } },
		  { { 1, 10 }, { 2, 20 } },
		  VDP_SUCCESS },
		{ "VLAN forbidden", 5, 0, 0, 2, { { 1, 30 } }, { { 0 } }, VDP_INVALID_FILTER },
		{ "one of two forbidden",
		  5,
		  0,
		  0,
		  2,
		  { { 1, 10 }, { 1, 30 } },
		  { { 0 } },
		  VDP_INVALID_FILTER },
		{ "left open", 5, 0, 0, 2, { { 1, 0 } }, { { 1, 20 } }, VDP_SUCCESS },
		{ "priority stays", 5, 0, 0, 2, { { 1, PCP } }, { { 1, PCP | 20 } }, VDP_SUCCESS },
		{ "by VLAN", 5, 0, 0, 1, { { 0, 10 } }, { { 0, 10 } }, VDP_SUCCESS },
		{ "group", 5, 0, 0, 4, { { 1, 10 } }, { { 1, 10 } }, VDP_SUCCESS },
		{ "no such type", 4, 0, 0, 2, { { 1, 10 } }, { { 0 } }, VDP_OTHER },
		{ "no such version", 5, 2, 0, 2, { { 1, 10 } }, { { 0 } }, VDP_OTHER },
		{ "address allowed", 5, 1, 0, 2, { { 1, 30 } }, { { 1, 30 } }, VDP_SUCCESS },
		{ "address forbidden", 5, 1, 0, 2, { { 2, 30 } }, { { 0 } }, VDP_INVALID_FILTER },
		{ "every address", 5, 1, 0, 1, { { 0, 30 } }, { { 0 } }, VDP_INVALID_FILTER },
		{ "no default VLAN", 5, 1, 0, 2, { { 1, 0 } }, { { 0 } }, VDP_INVALID_FILTER },
		{ "a manager's own", 5, 0, 7, 2, { { 1, 40 } }, { { 1, 40 } }, VDP_SUCCESS },
		{ "a manager's own only",
		  5,
		  0,
		  7,
		  2,
		  { { 1, 10 } },
		  { { 0 } },
		  VDP_INVALID_FILTER },
		{ "that of any manager",
		  6,
		  0,
		  7,
		  2,
		  { { 1, 4094 } },
		  { { 1, 4094 } },
		  VDP_SUCCESS },
	};
	static const struct vdp_assoc nothing;
	struct vdp_filters filters;
	struct model m;

	model_init(&m);
	must(&m, types);
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct vdp_assoc asked = assoc_of(row[i].type, row[i].version, row[i].manager,
						  row[i].format, row[i].entry);
		struct vdp_assoc want = assoc_of(row[i].type, row[i].version, row[i].manager,
						 row[i].format, row[i].filled);
		struct vdp_decision d = manager_decide(&m, &asked, &nothing, &filters);

		if (d.error != row[i].error || d.keep || d.hard)
			fail_msg("%s: error %u, keep %u", row[i].name, d.error, d.keep);
		if (!d.error && !vdp_filters_equal(d.filters, &want.filters))
			fail_msg("%s: filled in otherwise", row[i].name);
	}
	model_free(&m);
}

/* What stands goes on if the type still allows it, and the VID that was chosen stays. */
static void manager_knows_what_stands(void **state)
{
	static const struct entry ten[] = { { 1, 10 }, { 0 } }, thirty[] = { { 1, 30 }, { 0 } },
				  open[] = { { 1, 0 }, { 0 } };
	struct vdp_assoc held = assoc_of(5, 0, 0, 2, ten), asked = assoc_of(5, 0, 0, 2, thirty);
	struct vdp_filters filters;
	struct vdp_decision d;
	struct model m;

	model_init(&m);
	must(&m, types);
	d = manager_decide(&m, &asked, &held, &filters);
	assert_int_equal(d.error, VDP_INVALID_FILTER);
	assert_true(d.keep);
	asked = assoc_of(5, 0, 0, 2, open);
	d = manager_decide(&m, &asked, &held, &filters);
	assert_int_equal(d.error, VDP_SUCCESS);
	assert_int_equal(vdp_filter_at(d.filters, 0).vid, 10); /* not the default, 20 */
	must(&m, "vsitype set 5 vlan 20\n");
	asked = assoc_of(5, 0, 0, 2, thirty);
	d = manager_decide(&m, &asked, &held, &filters);
	assert_int_equal(d.error, VDP_INVALID_FILTER);
	assert_false(d.keep || d.hard);
	must(&m, "vsitype set 5 vlan 10,20 refusal hard\n");
	d = manager_decide(&m, &asked, &held, &filters);
	assert_true(d.keep && d.hard);
	d = manager_decide(&m, &held, &held, &filters);
	assert_int_equal(d.error, VDP_SUCCESS);
	assert_false(d.hard);
	must(&m, "vsitype del 5\n");
	d = manager_decide(&m, &held, &held, &filters);
	assert_int_equal(d.error, VDP_OTHER);
	assert_false(d.keep || d.hard);
	model_free(&m);
}

/* ---- gates ---- */

static struct gate gate_of(port_id port, uint8_t id, uint8_t format, const struct entry *entry)
{
	struct gate g = { .port_name = "p", .port = port };

	g.assoc = assoc_of(5, 0, 0, format, entry);
	g.assoc.id.octets[0] = id;
	return g;
}

static int bridge_of(const void *aux, const struct gate *g)
{
	return g->port == 9 ? -1 : 3;
}

static void gates_say_who_passes(void **state)
{
	static const struct entry a[] = { { 1, 10 }, { 2, 20 }, { 0 } }, b[] = { { 1, 10 }, { 0 } },
				  any[] = { { 0, 30 }, { 0 } };
	struct owner pair[16], all[16];
	struct view_vsi vsi[16];
	struct gates_out out = { .pair = pair, .any = all, .vsi = vsi };
	struct gates g = { .n = 0 };
	struct vsi_meters *held;
	struct gate one = gate_of(1, 1, 2, a), two = gate_of(2, 2, 2, b), v = gate_of(1, 3, 1, any),
		    pre = gate_of(2, 4, 2, a), open = gate_of(9, 5, 2, b);
	struct vlan_set vlans;

	pre.assoc.request = VDP_PRE_ASSOCIATE_RR;
	one.limit.set = 1 << METER_PPS_IN;
	v.limit.set = pre.limit.set = open.limit.set = 1 << METER_RATE_OUT;
	assert_true(gates_put(&g, &two) && gates_put(&g, &one) && gates_put(&g, &v) &&
		    gates_put(&g, &pre) && gates_put(&g, &open));
	assert_int_equal(g.n_entries, 7);
	gates_owners(&g, bridge_of, NULL, &out);
	assert_int_equal(out.n_pairs, 3);
	assert_int_equal(out.n_any, 1);
	assert_int_equal(pair[0].port, 1); /* the latest first */
	assert_int_equal(pair[0].fid, owners_fid(3, 10));
	assert_int_equal(pair[2].port, 2);
	assert_int_equal(all[0].fid, view_any_fid(1, 30));
	assert_true(gates_vlans(&g, 1, &vlans));
	assert_true(vlan_set_has(&vlans, 10) && vlan_set_has(&vlans, 20) &&
		    vlan_set_has(&vlans, 30));
	assert_false(gates_vlans(&g, 2, &vlans)); /* pre-associated: nothing passes */
	assert_true(vlan_set_has(&vlans, 10) && !vlan_set_has(&vlans, 20));
	assert_true(gates_any(&g, 1, 30) && !gates_any(&g, 1, 10) && !gates_any(&g, 2, 30));
	/* who has limits of its own, and what is its; pre-associated or without VDP: nothing */
	assert_int_equal(gates_metered(&g, 1), METERS_VSI_IN | METERS_VSI_OUT);
	assert_int_equal(gates_metered(&g, 2), 0);
	assert_int_equal(out.n_vsis, 2);
	assert_int_equal(vsi[owner_vsi(&all[0]) - 1].limit.set, v.limit.set);
	assert_int_equal(vsi[owner_vsi(&pair[0]) - 1].limit.set, one.limit.set);
	assert_int_equal(owner_vsi(&pair[1]), owner_vsi(&pair[0]));
	assert_int_equal(owner_vsi(&pair[2]), 0);
	held = vsi[owner_vsi(&pair[0]) - 1].meters;
	assert_ptr_equal(held, gates_find(&g, 1, &one.assoc.id)->meters);
	/* Associated anew, it is the latest; the same ID on another port is another VSI. */
	one.limit.set = 1 << METER_PPS_OUT;
	assert_true(gates_put(&g, &one) && gates_put(&g, &two));
	assert_int_equal(g.n, 5);
	assert_int_equal(gates_metered(&g, 1), METERS_VSI_OUT);
	assert_ptr_equal(held, gates_find(&g, 1, &one.assoc.id)->meters); /* not full again */
	assert_int_equal(held->n_refs, 1);
	assert_null(gates_find(&g, 2, &one.assoc.id));
	gates_owners(&g, bridge_of, NULL, &out);
	assert_int_equal(pair[0].port, 2);
	assert_false(gates_remove(&g, 1, &two.assoc.id));
	assert_true(gates_remove(&g, 2, &two.assoc.id));
	assert_int_equal(g.n_entries, 6);
	gates_free(&g);
}

/* Of the VSIs that have a VLAN of a port as a whole, a private one counts, whichever came last. */
static void gates_say_who_is_private(void **state)
{
	static const struct entry a[] = { { 1, 10 }, { 0 } }, b[] = { { 2, 10 }, { 0 } },
				  whole[] = { { 0, 30 }, { 0 } }, other[] = { { 0, 20 }, { 0 } };
	struct owner pair[4], any[4] = { { .vid = 0 } };
	struct gates_out out = { .pair = pair, .any = any };
	struct gates g = { .n = 0 };
	struct gate gate[] = { gate_of(1, 1, 2, a),	gate_of(1, 2, 2, b),
			       gate_of(1, 3, 1, other), gate_of(1, 4, 1, whole),
			       gate_of(1, 5, 1, whole), gate_of(1, 6, 1, whole) };

	gate[0].is_private = gate[4].is_private = true;
	for (size_t i = 0; i < ARRAY_SIZE(gate); i++)
		assert_true(gates_put(&g, &gate[i]));
	gates_owners(&g, bridge_of, NULL, &out);
	assert_int_equal(out.n_pairs, 2);
	assert_int_equal(pair[0].flags, OWNER_STATIC);
	assert_int_equal(pair[1].flags, OWNER_STATIC | OWNER_PRIVATE);
	assert_int_equal(out.n_any, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(any[i].flags & OWNER_PRIVATE, i ? 0 : OWNER_PRIVATE);
		assert_true(any[i].vid == 20 || any[i].vid == 30);
	}
	assert_int_equal(any[0].vid, 30);
	gates_free(&g);
}

static void gates_have_a_limit(void **state)
{
	struct entry many[51] = { { 0 } };
	struct gates g = { .n = 0 };
	struct gate gate;
	unsigned n = 0;

	for (unsigned i = 0; i < 50; i++)
		many[i] = (struct entry){ 1 + i, 10 };
	gate = gate_of(1, 0, 2, many);
	for (;; n++) {
		memcpy(gate.assoc.id.octets, &n, sizeof(n));
		if (!gates_put(&g, &gate))
			break;
	}
	assert_int_equal(n, MACS_MAX / 50);
	n = 0;
	memcpy(gate.assoc.id.octets, &n, sizeof(n));
	assert_true(gates_put(&g, &gate)); /* in place of what it had */
	gates_free(&g);
	/* and each needs an owner_vsi() */
	many[1] = (struct entry){ 0 };
	gate = gate_of(1, 0, 2, many);
	for (n = 0;; n++) {
		memcpy(gate.assoc.id.octets, &n, sizeof(n));
		if (!gates_put(&g, &gate))
			break;
	}
	assert_int_equal(n, OWNER_VSIS_MAX);
	assert_true(gates_remove(&g, 1, &g.gate[7].assoc.id));
	assert_true(gates_put(&g, &gate));
	gates_free(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_read_and_written),
		cmocka_unit_test(managers_are_read_and_written),
		cmocka_unit_test(manager_decides),
		cmocka_unit_test(manager_knows_what_stands),
		cmocka_unit_test(gates_say_who_passes),
		cmocka_unit_test(gates_say_who_is_private),
		cmocka_unit_test(gates_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
