// SPDX-License-Identifier: Apache-2.0
/*
 * All combinations of facts against what must hold whatever row of docs/forwarding.md applies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "decide.h"

enum {
	UP = FWD_HAS_UPLINK | FWD_CARRIER,
	FRAME_FAULTS = FWD_RUNT | FWD_OVERSIZE | FWD_BAD_OFFLOAD | FWD_MAC_CONTROL,
	FLAGS_ALL = (FWD_ISOLATED << 1) - 1,
	/* Facts that are of no concern to a frame of that ingress. */
	NOT_STATION = FWD_REFLECTS | FWD_HAS_PASSTHRU | FWD_LISTED | FWD_NODST | FWD_HOST_HAS |
		      FWD_BACKUP | FWD_VDP | FWD_VDP_ANY | FWD_ISOLATED,
	NOT_UPLINK = FWD_STANDBY | FWD_RESERVED_OK | FWD_GUARD | FWD_LEARNS | FWD_HAS_MACLIMIT |
		     FWD_REFLECTS | UP | FWD_FROM_HOST | FWD_VDP | FWD_VDP_ANY | FWD_ISOLATED,
	NOT_RELAY = FWD_RESERVED_OK | FWD_GUARD | FWD_HAS_MACLIMIT | UP | FWD_HAS_PASSTHRU |
		    FWD_LISTED | FWD_NODST | FWD_FROM_HOST | FWD_HOST_HAS | FWD_BACKUP,
};

#define HOLDS(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return #condition;                                                         \
	} while (0)

static bool implies(bool a, bool b)
{
	return !a || b;
}

/* `part` has nothing but what is in `whole`. */
static bool within(unsigned part, unsigned whole)
{
	return !(part & ~whole);
}

static const char *station_broken(const struct fwd_facts *f, unsigned to)
{
	bool is_guarded = f->flags & FWD_GUARD && f->mode != FWD_PASSTHRU;

	HOLDS(within(to, FWD_TO_UPLINK | FWD_TO_OWNER | FWD_TO_BRIDGES | FWD_LEARN));
	HOLDS(implies(f->mode != FWD_BRIDGE, within(to, FWD_TO_UPLINK | FWD_LEARN)));
	HOLDS(implies(f->flags & FWD_RESERVED, within(to, FWD_TO_UPLINK | FWD_LEARN)));
	HOLDS(implies(to & FWD_TO_UPLINK, (f->flags & UP) == UP));
	HOLDS(implies(to & FWD_TO_OWNER, !(to & FWD_TO_UPLINK)));
	HOLDS(implies(to & FWD_TO_OWNER, f->dst_mode == FWD_BRIDGE));
	HOLDS(implies(to & FWD_TO_BRIDGES, f->flags & FWD_GROUP));
	HOLDS(implies(is_guarded && f->src_owner == FWD_OWNER_OTHER, !to));
	HOLDS(implies(is_guarded && f->src_owner == FWD_OWNER_NONE && !(f->flags & FWD_LEARNS),
		      !to));
	HOLDS(implies(to & FWD_LEARN, f->flags & FWD_LEARNS && f->src_owner == FWD_OWNER_NONE));
	HOLDS(implies(to & FWD_LEARN, f->mode != FWD_PASSTHRU));
	HOLDS(implies(f->flags & FWD_FROM_HOST && f->flags & FWD_GROUP && f->mode != FWD_PASSTHRU,
		      !(to & FWD_TO_UPLINK)));
	HOLDS(implies(f->flags & FWD_STANDBY || f->mode == FWD_GATED, !to));
	HOLDS(implies(f->flags & FWD_VLAN_DENIED && f->mode != FWD_PASSTHRU, !to));
	return NULL;
}

static const char *uplink_broken(const struct fwd_facts *f, unsigned to)
{
	unsigned mode_sets = FWD_TO_PRIVATES | FWD_TO_VEPAS | FWD_TO_BRIDGES;
	bool known = f->src_owner != FWD_OWNER_NONE && f->src_mode != FWD_GATED;
	bool has_dst = f->dst_owner != FWD_OWNER_NONE && f->dst_mode != FWD_GATED;

	HOLDS(implies(f->flags & FWD_BACKUP, !to));
	HOLDS(!(to & (FWD_TO_UPLINK | FWD_TO_ALL | FWD_TO_BACK | FWD_LEARN)));
	HOLDS(implies(f->flags & FWD_RESERVED, within(to, FWD_TO_PASSTHRU | FWD_TO_RESERVED)));
	HOLDS(implies(to & FWD_TO_RESERVED, f->flags & FWD_RESERVED));
	HOLDS(implies(f->flags & FWD_HAS_PASSTHRU, within(to, FWD_TO_PASSTHRU)));
	HOLDS(implies(to & FWD_TO_PASSTHRU, f->flags & FWD_HAS_PASSTHRU));
	HOLDS(implies(to & FWD_TO_LISTED, f->flags & FWD_LISTED));
	HOLDS(implies(f->flags & FWD_LISTED && f->flags & FWD_NODST && to & ~FWD_TO_PASSTHRU,
		      within(to, FWD_TO_LISTED | FWD_TO_RESERVED)));
	HOLDS(implies(known && f->src_mode == FWD_PRIVATE, !(to & (mode_sets | FWD_TO_OWNER))));
	HOLDS(implies(to & FWD_TO_PRIVATES, !known));
	HOLDS(implies(to & FWD_TO_OWNER && known, f->dst_mode != FWD_PRIVATE));
	HOLDS(implies(to & FWD_TO_OWNER, has_dst && f->dst_owner != FWD_OWNER_SAME));
	HOLDS(implies(to & FWD_TO_OWNER, f->dst_mode != FWD_SOURCE));
	HOLDS(implies(known && f->src_mode == FWD_BRIDGE, !(to & FWD_TO_BRIDGES)));
	HOLDS(implies(to & FWD_TO_OWNER && known && f->src_mode == FWD_BRIDGE,
		      f->dst_mode != FWD_BRIDGE));
	HOLDS(implies(to & mode_sets, f->flags & FWD_GROUP));
	HOLDS(implies(to & FWD_TO_PROMISC, !(f->flags & FWD_GROUP) && !has_dst));
	HOLDS(implies(f->flags & FWD_VLAN_DENIED, within(to, FWD_TO_PASSTHRU | FWD_TO_RESERVED)));
	HOLDS(implies(f->flags & FWD_HOST_HAS, !(to & FWD_TO_OWNER)));
	return NULL;
}

static const char *relay_broken(const struct fwd_facts *f, unsigned to)
{
	bool is_gated = f->flags & FWD_VDP && !(f->flags & FWD_VDP_ANY);

	HOLDS(within(to, FWD_TO_OWNER | FWD_TO_ALL | FWD_TO_UNKNOWN | FWD_TO_BACK | FWD_LEARN));
	HOLDS(implies(to & FWD_TO_ALL, f->flags & FWD_GROUP));
	HOLDS(implies(to & FWD_TO_UNKNOWN, !(f->flags & FWD_GROUP) && !f->dst_owner));
	HOLDS(implies(is_gated && f->src_owner != FWD_OWNER_SELF, !to));
	HOLDS(implies(is_gated && to & FWD_TO_BACK,
		      f->flags & FWD_GROUP || f->dst_owner == FWD_OWNER_SELF));
	HOLDS(implies(f->flags & (FWD_RESERVED | FWD_VLAN_DENIED | FWD_STANDBY), !to));
	HOLDS(implies(to & FWD_TO_BACK, f->flags & FWD_REFLECTS && !(f->flags & FWD_ISOLATED)));
	HOLDS(implies(to & FWD_TO_OWNER, f->dst_owner != FWD_OWNER_SELF));
	HOLDS(implies(to & FWD_LEARN, f->flags & FWD_LEARNS && f->src_owner != FWD_OWNER_SELF));
	return NULL;
}

/* What must hold of any verdict; text of the first thing that does not, or NULL. */
static const char *broken(const struct fwd_facts *f, struct fwd_verdict v)
{
	HOLDS(v.reason < DROP_REASONS_N);
	HOLDS(implies(f->flags & FRAME_FAULTS, !v.to));
	HOLDS(implies(f->flags & FWD_BAD_SOURCE, within(v.to, FWD_TO_PASSTHRU | FWD_TO_RESERVED)));
	HOLDS(implies(v.to & FWD_TO_OWNER, f->dst_owner && !(f->flags & FWD_GROUP)));
	switch ((enum fwd_role)f->role) {
	case FWD_STATION:
		return station_broken(f, v.to);
	case FWD_UPLINK:
		return uplink_broken(f, v.to);
	case FWD_RELAY_PORT:
		return relay_broken(f, v.to);
	}
	return "role";
}

static void check_invariants(struct fwd_facts f)
{
	static const unsigned of_no_concern[] = { NOT_STATION, NOT_UPLINK, NOT_RELAY };
	struct fwd_verdict v, w;
	const char *what;

	if (f.flags & FWD_RESERVED)
		f.flags |= FWD_GROUP;
	if (f.flags & FWD_GROUP)
		f.dst_owner = FWD_OWNER_NONE;
	v = fwd_decide(&f);
	what = broken(&f, v);
	f.flags ^= of_no_concern[f.role];
	w = fwd_decide(&f);
	f.flags ^= of_no_concern[f.role];
	if (!what && (v.to != w.to || v.reason != w.reason))
		what = "facts that do not concern the ingress change nothing";
	if (what)
		fail_msg("flags %#x role %u mode %u dst %u/%u src %u/%u -> %#x, %u: not so: %s",
			 f.flags, f.role, f.mode, f.dst_owner, f.dst_mode, f.src_owner, f.src_mode,
			 v.to, v.reason, what);
}

/* The `n`-th combination of owners and modes; how many there are. */
enum { MODES = FWD_GATED + 1, COMBINATIONS = MODES * 4 * MODES * 3 * MODES };

static struct fwd_facts combination(unsigned n)
{
	struct fwd_facts f = { .mode = (uint8_t)(n % MODES) };

	n /= MODES;
	f.dst_owner = n % 4;
	n /= 4;
	f.dst_mode = (uint8_t)(n % MODES);
	n /= MODES;
	f.src_owner = n % 3; /* SAME is for destinations */
	f.src_mode = (uint8_t)(n / 3);
	return f;
}

/* Each set of the flags that concern the ingress, with each combination of owners and modes. */
static void invariants_hold_everywhere(void **state)
{
	static const unsigned concern[] = { FLAGS_ALL & ~NOT_STATION & ~FRAME_FAULTS,
					    FLAGS_ALL & ~NOT_UPLINK & ~FRAME_FAULTS,
					    FLAGS_ALL & ~NOT_RELAY & ~FRAME_FAULTS };

	for (uint8_t role = FWD_STATION; role <= FWD_RELAY_PORT; role++) {
		for (unsigned n = 0; n < COMBINATIONS; n++) {
			struct fwd_facts f = combination(n);
			unsigned set = 0;

			f.role = role;
			do { /* the next subset of `concern` */
				f.flags = set;
				check_invariants(f);
				set = (set - concern[role]) & concern[role];
			} while (set);
		}
	}
}

/* The same with all flags, which are too many to try each set of. */
static void invariants_hold_in_samples(void **state)
{
	uint64_t x = 88172645463325252u; /* xorshift64 */

	for (unsigned i = 0; i < 1000000; i++) {
		struct fwd_facts f;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		f = combination((unsigned)(x >> 40) % COMBINATIONS);
		f.role = (uint8_t)(x % 3);
		f.flags = (uint32_t)(x >> 8) & FLAGS_ALL;
		if (i & 1) /* half of them without what stops every frame */
			f.flags &= ~(unsigned)FRAME_FAULTS;
		check_invariants(f);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(invariants_hold_everywhere),
		cmocka_unit_test(invariants_hold_in_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
