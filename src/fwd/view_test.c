// SPDX-License-Identifier: Apache-2.0
/*
 * The view: what it makes of a specification, against the plainest reading of it; that it needs
 * nothing of the specification afterwards; and which VLAN a port takes a frame into.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "eth.h"
#include "view.h"

/* ---- the Nth allocation fails ---- */

static int allocations_left = -1; /* until one fails; -1: none will */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static bool may_allocate(void)
{
	return allocations_left < 0 || allocations_left-- != 0;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return may_allocate() ? __real_calloc(n, size) : NULL;
}

/* Filled, so that what the view forgets to set shows. */
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	void *p = may_allocate() ? __real_aligned_alloc(alignment, size) : NULL;

	return p ? memset(p, 0xa5, size) : NULL;
}

/* ---- a specification at random ---- */

enum { SETS = 4, BRIDGES = 6, MACS = 64 };

/* All a view is built from, in memory of its own. */
struct plan {
	struct view_spec spec;
	struct view_port port[PORTS_MAX];
	struct vlan_set vlans[PORTS_MAX]; /* of each port, as in the daemon's model */
	bool is_learning[BRIDGES_MAX];
	struct owner owner[MACS_MAX], listed[MACS_MAX];
};

static uint32_t next_random(uint64_t *x, uint32_t n)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (uint32_t)(*x * UINT64_C(0x2545f4914f6cdd1d) >> 32) % n;
}

/* Never followed, only carried. */
static struct port *fake_port(uint32_t i)
{
	return (struct port *)(uintptr_t)(4096 + 64 * i);
}

static struct vlan_set vlan_set_number(uint32_t n)
{
	struct vlan_set s = { { 0 } };

	for (vid_t v = 1; v <= VID_MAX; v++)
		if (n == 0 || v % (n + 1) == 0)
			vlan_set_add(&s, v);
	return s;
}

static struct mac mac_of(uint32_t v)
{
	return (struct mac){ { 2, 0, 0, 0, (uint8_t)(v >> 8), (uint8_t)v } };
}

static struct plan *plan_new(uint32_t n_ports, uint32_t n_bridges)
{
	struct plan *p = __real_calloc(1, sizeof(*p));

	assert_non_null(p);
	p->spec = (struct view_spec){ .generation = 42,
				      .seed = 7,
				      .n_ports = n_ports,
				      .n_bridges = n_bridges,
				      .port = p->port,
				      .bridge_is_learning = p->is_learning,
				      .owner = p->owner,
				      .listed = p->listed };
	return p;
}

static struct owner random_owner(const struct view_spec *s, uint64_t *x)
{
	struct owner e = { .mac = mac_of(next_random(x, MACS)),
			   .port = (port_id)next_random(x, s->n_ports) };

	e.vid = (vid_t)next_random(x, 3);
	e.fid = owners_fid(s->port[e.port].bridge, VID_NONE);
	e.flags = OWNER_STATIC;
	return e;
}

/* Ports of all kinds; empty slots among them, with rubbish left in. */
static struct plan *plan_random(uint32_t n_ports, uint64_t *x)
{
	struct plan *p = plan_new(n_ports, BRIDGES);
	bool has_uplink[BRIDGES] = { false };

	for (uint32_t b = 0; b < BRIDGES; b++)
		p->is_learning[b] = next_random(x, 3) == 0;
	for (uint32_t i = 0; i < n_ports; i++) {
		struct view_port *vp = &p->port[i];
		bool is_backup = false;

		vp->bridge = (bridge_id)next_random(x, BRIDGES);
		vp->port = next_random(x, 8) ? fake_port(i) : NULL;
		vp->role = p->is_learning[vp->bridge] ? FWD_RELAY_PORT : FWD_STATION;
		if (vp->role == FWD_STATION && vp->port && !has_uplink[vp->bridge]) {
			vp->role = FWD_UPLINK;
			has_uplink[vp->bridge] = true;
		} else if (vp->role == FWD_STATION && vp->port && !next_random(x, 8)) {
			vp->role = FWD_UPLINK;
			is_backup = true;
		}
		if (!vp->port)
			vp->role = (uint8_t)next_random(x, 3);
		vp->mode = (uint8_t)next_random(x, FWD_GATED + 1);
		vp->flags =
			(uint16_t)(next_random(x, 65536) & (next_random(x, 4) ? 0xfffe : 0xffff));
		if (vp->role == FWD_UPLINK)
			vp->flags = (uint16_t)((vp->flags & ~VIEW_BACKUP) |
					       (is_backup ? VIEW_BACKUP : 0));
		vp->reserved = next_random(x, 3) ? 0 : (uint16_t)next_random(x, 0x10000);
		vp->pvid = (vid_t)next_random(x, 5);
		vp->size_max = next_random(x, 65536);
		if (next_random(x, 2)) {
			p->vlans[i] = vlan_set_number(next_random(x, SETS));
			vp->vlans = &p->vlans[i];
		}
	}
	p->spec.n_owners = next_random(x, 200);
	p->spec.n_listed = next_random(x, 100);
	for (uint32_t i = 0; i < p->spec.n_owners; i++)
		p->owner[i] = random_owner(&p->spec, x);
	for (uint32_t i = 0; i < p->spec.n_listed; i++)
		p->listed[i] = random_owner(&p->spec, x);
	return p;
}

/* ---- against the plainest reading ---- */

static bool is_on_list(const struct view_port *p, bridge_id b, enum view_list list)
{
	bool is_station = p->role == FWD_STATION;

	if (!p->port || p->bridge != b || p->flags & VIEW_STANDBY ||
	    (is_station && p->mode == FWD_GATED))
		return false;
	switch (list) {
	case VIEW_LIST_PRIVATE:
		return is_station && p->mode == FWD_PRIVATE;
	case VIEW_LIST_VEPA:
		return is_station && p->mode == FWD_VEPA;
	case VIEW_LIST_BRIDGE:
		return is_station && p->mode == FWD_BRIDGE;
	case VIEW_LIST_SOURCE:
		return is_station && p->mode == FWD_SOURCE;
	case VIEW_LIST_PROMISC:
		return is_station && p->flags & VIEW_PROMISC && p->mode != FWD_SOURCE;
	case VIEW_LIST_RESERVED:
		return is_station && p->reserved != 0;
	case VIEW_LIST_ALL:
		return p->role == FWD_RELAY_PORT;
	case VIEW_LIST_OPEN:
		return p->role == FWD_RELAY_PORT && !(p->flags & VIEW_VDP);
	case VIEW_LIST_VDP_ANY:
		return p->role == FWD_RELAY_PORT && p->flags & VIEW_VDP_ANY;
	case VIEW_LISTS_N:
		break;
	}
	return false;
}

/* One of the ports of a bridge that are uplink or passthru port; PORT_NONE if there is none. */
static void check_one(const struct plan *p, bridge_id b, port_id id, bool is_uplink)
{
	bool is_there = false;

	for (uint32_t i = 0; i < p->spec.n_ports; i++) {
		const struct view_port *vp = &p->port[i];
		bool fits = vp->port && vp->bridge == b &&
			    (is_uplink ? vp->role == FWD_UPLINK && !(vp->flags & VIEW_BACKUP) :
					 vp->role == FWD_STATION && vp->mode == FWD_PASSTHRU &&
						 !(vp->flags & VIEW_STANDBY));

		is_there |= fits;
		if (i == id)
			assert_true(fits);
	}
	assert_true(is_there == (id != PORT_NONE));
}

static void check_bridges(const struct fwd_view *v, const struct plan *p)
{
	for (uint32_t b = 0; b < p->spec.n_bridges; b++) {
		const struct view_bridge *vb = &v->bridge[b];

		assert_true(vb->is_learning == p->is_learning[b]);
		check_one(p, (bridge_id)b, vb->uplink, true);
		check_one(p, (bridge_id)b, vb->passthru, false);
		for (unsigned l = 0; l < VIEW_LISTS_N; l++) {
			uint32_t n = 0;

			for (uint32_t i = 0; i < p->spec.n_ports; i++) {
				if (!is_on_list(&p->port[i], (bridge_id)b, (enum view_list)l))
					continue;
				assert_true(n < vb->list[l].n);
				assert_int_equal(vb->list[l].id[n], i);
				n++;
			}
			assert_int_equal(vb->list[l].n, n);
		}
	}
}

static void check_ports(const struct fwd_view *v, const struct plan *p)
{
	assert_int_equal((uintptr_t)v->port % 64, 0);
	for (uint32_t i = 0; i < p->spec.n_ports; i++) {
		struct view_port got = v->port[i], want = p->port[i];

		assert_true(!got.vlans == !want.vlans);
		if (got.vlans)
			assert_memory_equal(got.vlans, want.vlans, sizeof(*got.vlans));
		got.vlans = want.vlans = NULL;
		assert_memory_equal(&got, &want, sizeof(got));
	}
}

/* Each entry of the plan is found, in its order, unless its port is in standby or not there. */
static void check_owners(const struct owners *o, const struct plan *p, const struct owner *e,
			 uint32_t n, bool has_gated)
{
	for (bridge_id b = 0; b < BRIDGES; b++) {
		for (uint32_t m = 0; m < MACS; m++) {
			uint32_t fid = owners_fid(b, VID_NONE);
			uint64_t at = owners_hash(o->seed, fid, mac_of(m));

			for (uint32_t i = 0; i < n; i++) {
				const struct view_port *vp = &p->port[e[i].port];

				if (e[i].fid != fid || !mac_equal(e[i].mac, mac_of(m)) ||
				    !vp->port || vp->flags & VIEW_STANDBY ||
				    (!has_gated && vp->role == FWD_STATION &&
				     vp->mode == FWD_GATED))
					continue;
				assert_memory_equal(owners_next(o, fid, mac_of(m), &at), &e[i],
						    sizeof(e[i]));
			}
			assert_null(owners_next(o, fid, mac_of(m), &at));
		}
	}
}

static void agrees_with_its_specification(void **state)
{
	uint64_t x = 2463534242;

	for (unsigned round = 0; round < 300; round++) {
		struct plan *p = plan_random(1 + next_random(&x, 200), &x);
		struct plan *given = plan_new(0, 0);
		struct fwd_view *v;

		/* Build from a copy that is gone when the view is looked at. */
		*given = *p;
		given->spec.port = given->port;
		given->spec.bridge_is_learning = given->is_learning;
		given->spec.owner = given->owner;
		given->spec.listed = given->listed;
		for (uint32_t i = 0; i < p->spec.n_ports; i++)
			if (p->port[i].vlans)
				given->port[i].vlans = &given->vlans[i];
		v = view_build(&given->spec);
		assert_non_null(v);
		memset(given, 0x5a, sizeof(*given));
		free(given);

		assert_int_equal(v->generation, 42);
		assert_int_equal(v->n_ports, p->spec.n_ports);
		assert_int_equal(v->n_bridges, p->spec.n_bridges);
		assert_false(v->owners_full);
		check_ports(v, p);
		check_bridges(v, p);
		check_owners(v->owners, p, p->owner, p->spec.n_owners, true);
		check_owners(v->listed, p, p->listed, p->spec.n_listed, false);
		view_free(v);
		free(p);
	}
}

/* ---- limits ---- */

static void empty_view(void **state)
{
	struct view_spec s = { .seed = 1 };
	struct fwd_view *v = view_build(&s);
	uint64_t at = 0;

	assert_non_null(v);
	assert_int_equal(v->n_ports, 0);
	assert_int_equal(v->n_bridges, 0);
	assert_null(owners_next(v->owners, 0, mac_of(1), &at));
	assert_null(owners_next(v->listed, 0, mac_of(1), &at));
	view_free(v);
	view_free(NULL);
}

/* Everything there can be; trunks of 4096 ports share the few VLAN sets that differ. */
static void largest_view(void **state)
{
	struct plan *p = plan_new(PORTS_MAX, BRIDGES_MAX);
	const struct vlan_set *first[SETS] = { NULL };
	struct fwd_view *v;

	for (uint32_t i = 0; i < PORTS_MAX; i++) {
		p->vlans[i] = vlan_set_number(i % SETS);
		p->port[i] = (struct view_port){ .port = fake_port(i),
						 .vlans = &p->vlans[i],
						 .bridge = (bridge_id)(i % BRIDGES_MAX),
						 .mode = FWD_BRIDGE,
						 .flags = VIEW_PROMISC,
						 .reserved = 1 };
	}
	for (uint32_t i = 0; i < MACS_MAX; i++)
		p->owner[i] = p->listed[i] =
			(struct owner){ .mac = mac_of(i),
					.port = (port_id)(i % PORTS_MAX),
					.fid = owners_fid((bridge_id)(i % BRIDGES_MAX), VID_NONE) };
	p->spec.n_owners = MACS_MAX - 1;
	p->spec.n_listed = MACS_MAX;
	v = view_build(&p->spec);
	assert_non_null(v);
	assert_false(v->owners_full);
	assert_int_equal(v->owners->n, MACS_MAX - 1);
	assert_int_equal(v->listed->n, MACS_MAX);
	check_ports(v, p);
	for (uint32_t b = 0; b < BRIDGES_MAX; b++)
		assert_int_equal(v->bridge[b].list[VIEW_LIST_BRIDGE].n, PORTS_MAX / BRIDGES_MAX);
	for (uint32_t i = 0; i < PORTS_MAX; i++) {
		if (!first[i % SETS])
			first[i % SETS] = v->port[i].vlans;
		assert_ptr_equal(v->port[i].vlans, first[i % SETS]);
	}
	view_free(v);

	p->spec.n_owners = MACS_MAX;
	v = view_build(&p->spec);
	assert_true(v->owners_full);
	view_free(v);
	free(p);
}

/* A set for each port: nothing is shared that differs, be it in one bit. */
static void vlan_sets_that_differ(void **state)
{
	struct plan *p = plan_new(PORTS_MAX, 1);
	struct fwd_view *v;

	for (uint32_t i = 0; i < PORTS_MAX; i++) {
		vlan_set_add(&p->vlans[i], (vid_t)i);
		p->port[i] = (struct view_port){ .port = fake_port(i), .vlans = &p->vlans[i] };
	}
	v = view_build(&p->spec);
	assert_non_null(v);
	check_ports(v, p);
	check_bridges(v, p);
	view_free(v);
	free(p);
}

static void no_memory(void **state)
{
	uint64_t x = 3;
	struct plan *p = plan_random(50, &x);
	struct fwd_view *v = NULL;
	int n = 0;

	for (; !v; n++) {
		allocations_left = n;
		v = view_build(&p->spec);
	}
	allocations_left = -1;
	assert_in_range(n, 4, 100);
	check_bridges(v, p);
	check_owners(v->owners, p, p->owner, p->spec.n_owners, true);
	check_owners(v->listed, p, p->listed, p->spec.n_listed, false);
	view_free(v);
	free(p);
}

/* ---- VLANs ---- */

/* Check 4 of docs/forwarding.md, for an access port, trunks, and an uplink. */
static void classify(void **state)
{
	struct vlan_set set = { { 0 } };
	struct view_port access = { .pvid = 100 }, deaf = { .pvid = VID_NONE };
	struct view_port trunk = { .vlans = &set }, native = { .vlans = &set, .pvid = 100 };
	struct view_port uplink = { .role = FWD_UPLINK, .pvid = 1 };
	struct view_port tagged_uplink = { .role = FWD_UPLINK };
	const struct {
		const char *name;
		uint16_t tpid, tci;
		vid_t access, deaf, trunk, native, uplink, tagged_uplink;
	} row[] = {
		// clang-format off
		{ "untagged",		   0,		   0, 100, 0, 0, 100, 1, 0 },
		{ "no tag, rubbish in tci", 0,		10, 100, 0, 0, 100, 1, 0 },
		{ "priority-tagged",	   ETHERTYPE_CTAG, 0, 100, 0, 0, 100, 1, 0 },
		{ "priority 7, DEI",	   ETHERTYPE_CTAG, 0xf000, 100, 0, 0, 100, 1, 0 },
		{ "listed VID",		   ETHERTYPE_CTAG, 10, 0, 0, 10, 10, 10, 10 },
		{ "listed, priority 5",	   ETHERTYPE_CTAG, 0xa00a, 0, 0, 10, 10, 10, 10 },
		{ "VID not listed",	   ETHERTYPE_CTAG, 11, 0, 0, 0, 0, 11, 11 },
		{ "own VID, tagged",	   ETHERTYPE_CTAG, 100, 0, 0, 0, 0, 100, 100 },
		{ "first VID",		   ETHERTYPE_CTAG, 1, 0, 0, 1, 1, 1, 1 },
		{ "last VID",		   ETHERTYPE_CTAG, 4094, 0, 0, 4094, 4094, 4094, 4094 },
		{ "VID 4095",		   ETHERTYPE_CTAG, 4095, 0, 0, 0, 0, 0, 0 },
		{ "VID 4095, priority 7",  ETHERTYPE_CTAG, 0xffff, 0, 0, 0, 0, 0, 0 },
		{ "S-tag",		   ETHERTYPE_STAG, 10, 0, 0, 0, 0, 0, 0 },
		{ "priority S-tag",	   ETHERTYPE_STAG, 0, 0, 0, 0, 0, 0, 0 },
		{ "some other tag",	   0x9100,	   10, 0, 0, 0, 0, 0, 0 },
		// clang-format on
	};

	vlan_set_add(&set, 1);
	vlan_set_add(&set, 10);
	vlan_set_add(&set, 4094);
	vlan_set_add(&set, 4095); /* a set cannot make it a VLAN */
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		const struct {
			const char *name;
			struct view_port *p;
			vid_t vid;
		} column[] = {
			{ "access", &access, row[i].access },
			{ "no VLAN", &deaf, row[i].deaf },
			{ "trunk", &trunk, row[i].trunk },
			{ "trunk with native VLAN", &native, row[i].native },
			{ "uplink", &uplink, row[i].uplink },
			{ "uplink without native VLAN", &tagged_uplink, row[i].tagged_uplink },
		};

		for (size_t c = 0; c < ARRAY_SIZE(column); c++) {
			for (uint8_t round = 0; round < 2; round++) {
				struct view_port p = *column[c].p;
				vid_t vid;

				if (round && p.role == FWD_STATION)
					p.role = FWD_RELAY_PORT; /* the same rules */
				vid = view_port_classify(&p, row[i].tpid, row[i].tci);
				if (vid != column[c].vid)
					fail_msg("%s, %s: %u, not %u", row[i].name, column[c].name,
						 vid, column[c].vid);
			}
		}
	}
}

/* What a port takes in some VLAN, it is also given. */
static void membership(void **state)
{
	struct vlan_set set = { { 0 } };
	struct view_port access = { .pvid = 100 }, uplink = { .role = FWD_UPLINK };
	struct view_port native = { .vlans = &set, .pvid = 100 };

	vlan_set_add(&set, 10);
	for (vid_t vid = 1; vid <= VID_MAX; vid++) {
		assert_true(view_port_has_vlan(&access, vid) == (vid == 100));
		assert_true(view_port_has_vlan(&native, vid) == (vid == 100 || vid == 10));
		assert_true(view_port_has_vlan(&uplink, vid));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_its_specification),
		cmocka_unit_test(empty_view),
		cmocka_unit_test(largest_view),
		cmocka_unit_test(vlan_sets_that_differ),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(classify),
		cmocka_unit_test(membership),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
