// SPDX-License-Identifier: Apache-2.0
/*
 * The rules of docs/forwarding.md, row by row. Expectations are written from that document, not
 * from decide.h. What must hold for all combinations of facts is in decide_sweep_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "decide.h"
#include "types.h"

enum {
	UP = FWD_HAS_UPLINK | FWD_CARRIER,
	NOBODY = DROP_REASONS_N, /* the row says nothing of the reason if nobody is left */
};

static const char *const mode_name[] = { "private", "vepa", "bridge", "passthru", "source" };

/* What a row of the document says. */
struct expect {
	unsigned to;
	int why; /* reason if `to` is empty, or if nobody is left */
};

static void check(const char *row, const char *column, const struct fwd_facts *f, struct expect e)
{
	struct fwd_verdict v = fwd_decide(f);

	if (v.to != e.to)
		fail_msg("%s, %s: goes to %#x, not %#x (reason %s)", row, column, v.to, e.to,
			 drop_name((enum drop_reason)v.reason));
	if (e.why != NOBODY && v.reason != e.why)
		fail_msg("%s, %s: reason is %s, not %s", row, column,
			 drop_name((enum drop_reason)v.reason), drop_name((enum drop_reason)e.why));
}

/* ---- checks, in their order ---- */

/* One check: what makes a frame fail it, and the reason then. */
struct check {
	const char *name;
	unsigned flag; /* 0: the source is owned by another port */
	enum drop_reason why;
};

static const struct check station_checks[] = {
	{ "1 runt", FWD_RUNT, DROP_runt },
	{ "1 oversize", FWD_OVERSIZE, DROP_oversize },
	{ "1 offload header", FWD_BAD_OFFLOAD, DROP_offload },
	{ "2 MAC control", FWD_MAC_CONTROL, DROP_mac_control },
	{ "standby sends nothing", FWD_STANDBY, DROP_standby },
	{ "3 reserved", FWD_RESERVED, DROP_reserved },
	{ "4 VLAN", FWD_VLAN_DENIED, DROP_vlan },
	{ "5 bad source", FWD_BAD_SOURCE, DROP_bad_source },
	{ "6 spoof", 0, DROP_spoof },
};

static const struct check passthru_checks[] = {
	{ "1 runt", FWD_RUNT, DROP_runt },
	{ "1 oversize", FWD_OVERSIZE, DROP_oversize },
	{ "1 offload header", FWD_BAD_OFFLOAD, DROP_offload },
	{ "2 MAC control", FWD_MAC_CONTROL, DROP_mac_control },
	{ "standby sends nothing", FWD_STANDBY, DROP_standby },
	{ "5 bad source", FWD_BAD_SOURCE, DROP_bad_source },
};

static const struct check uplink_checks[] = {
	{ "runt", FWD_RUNT, DROP_runt },
	{ "oversize", FWD_OVERSIZE, DROP_oversize },
	{ "offload header", FWD_BAD_OFFLOAD, DROP_offload },
	{ "MAC control", FWD_MAC_CONTROL, DROP_mac_control },
	{ "reserved", FWD_RESERVED, DROP_control },
	{ "VLAN", FWD_VLAN_DENIED, DROP_vlan },
	{ "bad source", FWD_BAD_SOURCE, DROP_bad_source },
};

/* Of an uplink that waits: its own checks, then nothing gets further. */
static const struct check backup_checks[] = {
	{ "runt", FWD_RUNT, DROP_runt },
	{ "oversize", FWD_OVERSIZE, DROP_oversize },
	{ "offload header", FWD_BAD_OFFLOAD, DROP_offload },
	{ "MAC control", FWD_MAC_CONTROL, DROP_mac_control },
	{ "reserved", FWD_RESERVED, DROP_control },
	{ "backup", FWD_BACKUP, DROP_backup },
	{ "VLAN", FWD_VLAN_DENIED, DROP_backup },
	{ "bad source", FWD_BAD_SOURCE, DROP_backup },
};

static const struct check relay_checks[] = {
	{ "runt", FWD_RUNT, DROP_runt },
	{ "oversize", FWD_OVERSIZE, DROP_oversize },
	{ "offload header", FWD_BAD_OFFLOAD, DROP_offload },
	{ "MAC control", FWD_MAC_CONTROL, DROP_mac_control },
	{ "standby sends nothing", FWD_STANDBY, DROP_standby },
	{ "reserved", FWD_RESERVED, DROP_control },
	{ "VLAN", FWD_VLAN_DENIED, DROP_vlan },
	{ "bad source", FWD_BAD_SOURCE, DROP_bad_source },
};

/*
 * Frames that fail any set of the checks are dropped for the first of the set, and nothing is
 * learned from them. A destination that is reserved is a group address as well.
 */
static void check_order(const char *role, struct fwd_facts base, const struct check *c, unsigned n)
{
	for (unsigned set = 1; set < 1u << n; set++) {
		const struct check *first = &c[__builtin_ctz(set)];
		unsigned to = first->why == DROP_control && base.role == FWD_UPLINK &&
					      !(base.flags & FWD_BACKUP) ?
				      FWD_TO_RESERVED :
				      0;
		struct fwd_facts f = base;

		for (unsigned i = 0; i < n; i++) {
			if (!(set >> i & 1))
				continue;
			f.flags |= c[i].flag;
			if (c[i].flag == FWD_RESERVED)
				f.flags |= FWD_GROUP;
			if (c[i].flag == 0)
				f.src_owner = FWD_OWNER_OTHER;
		}
		check(role, first->name, &f, (struct expect){ to, first->why });
	}
}

static void order_of_checks(void **state)
{
	struct fwd_facts f = { .flags = UP | FWD_GUARD | FWD_LEARNS };

	for (uint8_t mode = 0; mode < FWD_MODES_N; mode++) {
		f.mode = mode;
		f.role = FWD_STATION;
		if (mode == FWD_PASSTHRU)
			check_order("passthru", f, passthru_checks, ARRAY_SIZE(passthru_checks));
		else
			check_order(mode_name[mode], f, station_checks, ARRAY_SIZE(station_checks));
	}
	f.role = FWD_UPLINK;
	check_order("uplink", f, uplink_checks, ARRAY_SIZE(uplink_checks));
	f.flags |= FWD_BACKUP;
	check_order("backup", f, backup_checks, ARRAY_SIZE(backup_checks));
	f.flags &= ~(unsigned)FWD_BACKUP;
	f.role = FWD_RELAY_PORT;
	check_order("learning relay", f, relay_checks, ARRAY_SIZE(relay_checks));
}

/* Check 3 with the bit set, for modes but passthru: to the uplink, and to it only. */
static void reserved_allowed_by_mask(void **state)
{
	struct fwd_facts f = { .role = FWD_STATION, .src_owner = FWD_OWNER_SELF };

	for (uint8_t mode = 0; mode < FWD_MODES_N; mode++) {
		f.mode = mode;
		f.flags = UP | FWD_GUARD | FWD_RESERVED | FWD_GROUP | FWD_RESERVED_OK;
		check("reserved, mask has the bit", mode_name[mode], &f,
		      (struct expect){ FWD_TO_UPLINK, NOBODY });
		f.flags &= ~(unsigned)FWD_CARRIER;
		check("reserved, no carrier", mode_name[mode], &f,
		      (struct expect){ 0, DROP_no_carrier });
	}
}

/* Check 6 and learning behind a station port. */
static void spoof_guard(void **state)
{
	// clang-format off
	static const struct {
		const char *name;
		unsigned flags;
		uint8_t src_owner;
		struct expect e;
	} row[] = {
		{ "own source", FWD_GUARD, FWD_OWNER_SELF, { FWD_TO_UPLINK, NOBODY } },
		{ "own source, room to learn", FWD_GUARD | FWD_LEARNS, FWD_OWNER_SELF,
		  { FWD_TO_UPLINK, NOBODY } },
		{ "unknown source, no maclimit", FWD_GUARD, FWD_OWNER_NONE, { 0, DROP_spoof } },
		{ "unknown source, maclimit used up", FWD_GUARD | FWD_HAS_MACLIMIT, FWD_OWNER_NONE,
		  { 0, DROP_maclimit } },
		{ "unknown source, within maclimit", FWD_GUARD | FWD_HAS_MACLIMIT | FWD_LEARNS,
		  FWD_OWNER_NONE, { FWD_TO_UPLINK | FWD_LEARN, NOBODY } },
		{ "port without mac owns its first source", FWD_GUARD | FWD_LEARNS, FWD_OWNER_NONE,
		  { FWD_TO_UPLINK | FWD_LEARN, NOBODY } },
		{ "source of another port", FWD_GUARD, FWD_OWNER_OTHER, { 0, DROP_spoof } },
		{ "source of another port is never learned over",
		  FWD_GUARD | FWD_HAS_MACLIMIT | FWD_LEARNS, FWD_OWNER_OTHER, { 0, DROP_spoof } },
		{ "guard off, source of another port", FWD_LEARNS, FWD_OWNER_OTHER,
		  { FWD_TO_UPLINK, NOBODY } },
		{ "guard off, unknown source", 0, FWD_OWNER_NONE, { FWD_TO_UPLINK, NOBODY } },
		{ "guard off, unknown source, room to learn", FWD_LEARNS, FWD_OWNER_NONE,
		  { FWD_TO_UPLINK | FWD_LEARN, NOBODY } },
	};
	// clang-format on

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		for (uint8_t mode = 0; mode < FWD_MODES_N; mode++) {
			struct fwd_facts f = { .flags = UP | row[i].flags,
					       .mode = mode,
					       .src_owner = row[i].src_owner };

			if (mode == FWD_PASSTHRU) /* skips check 6, and learns nothing */
				check(row[i].name, "passthru", &f,
				      (struct expect){ FWD_TO_UPLINK, NOBODY });
			else
				check(row[i].name, mode_name[mode], &f, row[i].e);
		}
	}
}

/* `passthru` skips 3, 4 and 6, all at once. */
static void passthru_skips_checks(void **state)
{
	struct fwd_facts f = { .mode = FWD_PASSTHRU,
			       .flags = UP | FWD_GUARD | FWD_RESERVED | FWD_GROUP | FWD_VLAN_DENIED,
			       .src_owner = FWD_OWNER_OTHER };

	check("skips 3, 4 and 6", "passthru", &f, (struct expect){ FWD_TO_UPLINK, NOBODY });
}

/* ---- where a frame from a station port goes ---- */

/* A destination and the cell of the column "bridge"; the other columns all say "uplink". */
// clang-format off
static const struct {
	const char *name;
	unsigned flags;
	uint8_t dst_owner, dst_mode;
	struct expect up, down; /* column bridge with carrier, and without */
} station_rows[] = {
	{ "own MAC of the sender", 0, FWD_OWNER_SELF, FWD_BRIDGE,
	  { 0, DROP_self }, { 0, DROP_self } },
	{ "another port in bridge mode", 0, FWD_OWNER_OTHER, FWD_BRIDGE,
	  { FWD_TO_OWNER, NOBODY }, { FWD_TO_OWNER, NOBODY } },
	{ "the bridge-mode port that owns the source too", 0, FWD_OWNER_SAME, FWD_BRIDGE,
	  { FWD_TO_OWNER, NOBODY }, { FWD_TO_OWNER, NOBODY } },
	{ "a port in vepa mode", 0, FWD_OWNER_OTHER, FWD_VEPA,
	  { FWD_TO_UPLINK, NOBODY }, { 0, DROP_no_carrier } },
	{ "a port in private mode", 0, FWD_OWNER_OTHER, FWD_PRIVATE,
	  { FWD_TO_UPLINK, NOBODY }, { 0, DROP_no_carrier } },
	{ "a port in source mode", 0, FWD_OWNER_OTHER, FWD_SOURCE,
	  { FWD_TO_UPLINK, NOBODY }, { 0, DROP_no_carrier } },
	{ "the host port in bridge mode", 0, FWD_OWNER_OTHER, FWD_BRIDGE,
	  { FWD_TO_OWNER, NOBODY }, { FWD_TO_OWNER, NOBODY } },
	{ "unknown unicast", 0, FWD_OWNER_NONE, 0,
	  { FWD_TO_UPLINK, NOBODY }, { 0, DROP_no_carrier } },
	{ "broadcast, multicast", FWD_GROUP, FWD_OWNER_NONE, 0,
	  { FWD_TO_UPLINK | FWD_TO_BRIDGES, NOBODY }, { FWD_TO_BRIDGES, DROP_no_carrier } },
};
// clang-format on

static void station_destinations(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(station_rows); i++) {
		for (uint8_t mode = 0; mode < FWD_MODES_N; mode++) {
			struct fwd_facts f = { .flags = UP | FWD_GUARD | station_rows[i].flags,
					       .mode = mode,
					       .src_owner = FWD_OWNER_SELF,
					       .src_mode = mode,
					       .dst_owner = station_rows[i].dst_owner,
					       .dst_mode = station_rows[i].dst_mode };
			struct expect up = { FWD_TO_UPLINK, NOBODY }, down = { 0, DROP_no_carrier };

			if (mode == FWD_BRIDGE) {
				up = station_rows[i].up;
				down = station_rows[i].down;
			}
			check(station_rows[i].name, mode_name[mode], &f, up);
			f.flags &= ~(unsigned)FWD_CARRIER;
			check(station_rows[i].name, mode_name[mode], &f, down);
			/* The same for a relay that has no uplink at all. */
			f.flags &= ~(unsigned)UP;
			if (down.why == DROP_no_carrier)
				down.why = DROP_no_uplink;
			check(station_rows[i].name, mode_name[mode], &f, down);
		}
	}
}

/* The host port: the kernel has sent its group frames itself, so they go to bridge ports only. */
static void from_host(void **state)
{
	for (uint8_t mode = 0; mode < FWD_PASSTHRU; mode++) {
		bool is_bridge = mode == FWD_BRIDGE;
		struct fwd_facts f = { .flags = UP | FWD_GUARD | FWD_FROM_HOST | FWD_GROUP,
				       .mode = mode,
				       .src_owner = FWD_OWNER_SELF,
				       .src_mode = mode };

		check("group from the host", mode_name[mode], &f,
		      (struct expect){ is_bridge ? FWD_TO_BRIDGES : 0, DROP_no_receiver });
		f.flags |= FWD_RESERVED | FWD_RESERVED_OK;
		check("reserved from the host", mode_name[mode], &f,
		      (struct expect){ 0, DROP_no_receiver });
		f.flags &= ~(unsigned)(FWD_RESERVED | FWD_RESERVED_OK | FWD_GROUP);
		check("unicast from the host, owner gone", mode_name[mode], &f,
		      (struct expect){ FWD_TO_UPLINK, NOBODY });
		f.dst_owner = FWD_OWNER_OTHER;
		f.dst_mode = FWD_BRIDGE;
		check("unicast from the host", mode_name[mode], &f,
		      (struct expect){ is_bridge ? FWD_TO_OWNER : FWD_TO_UPLINK, NOBODY });
	}
}

/* ---- a frame from the uplink ---- */

/* Columns: mode of Q, the owner of the destination. */
static const uint8_t q_mode[] = { FWD_PRIVATE, FWD_VEPA, FWD_BRIDGE, FWD_SOURCE };

/*
 * Rows: S, the owner of the source. First cell: nobody owns the destination. D delivered to Q,
 * U unknown_dst (promisc ports get it), P private, L looped, F source_filter.
 */
static const struct {
	const char *name;
	uint8_t src_owner, src_mode;
	const char *cells;
} uplink_rows[] = {
	{ "S none", FWD_OWNER_NONE, 0, "UDDDF" },
	{ "S private", FWD_OWNER_OTHER, FWD_PRIVATE, "UPPPP" },
	{ "S vepa", FWD_OWNER_OTHER, FWD_VEPA, "UPDDF" },
	{ "S bridge", FWD_OWNER_OTHER, FWD_BRIDGE, "UPDLF" },
	{ "S source", FWD_OWNER_OTHER, FWD_SOURCE, "UPDDF" },
};

static struct expect expect_of_cell(char cell)
{
	switch (cell) {
	case 'D':
		return (struct expect){ FWD_TO_OWNER, NOBODY };
	case 'U':
		return (struct expect){ FWD_TO_PROMISC, DROP_unknown_dst };
	case 'P':
		return (struct expect){ 0, DROP_private };
	case 'L':
		return (struct expect){ 0, DROP_looped };
	case 'F':
		return (struct expect){ 0, DROP_source_filter };
	default:
		fail_msg("no such cell: %c", cell);
		return (struct expect){ 0, NOBODY };
	}
}

/* A cell of the table; then with the frame on a source-mode port's list, without and with nodst. */
static void check_uplink(const char *row, const char *column, struct fwd_facts f, struct expect e)
{
	check(row, column, &f, e);
	f.flags |= FWD_LISTED;
	check(row, "listed", &f, (struct expect){ e.to | FWD_TO_LISTED, e.why });
	f.flags |= FWD_NODST;
	check(row, "listed, nodst", &f, (struct expect){ FWD_TO_LISTED, DROP_no_receiver });
	f.flags &= ~(unsigned)FWD_LISTED;
	check(row, "nodst, not listed", &f, e);
	f.flags |= FWD_HAS_PASSTHRU | FWD_LISTED;
	check(row, "a passthru port exists", &f,
	      (struct expect){ FWD_TO_PASSTHRU, DROP_no_receiver });
	f.flags |= FWD_VLAN_DENIED;
	check(row, "a passthru port exists, any VLAN", &f,
	      (struct expect){ FWD_TO_PASSTHRU, NOBODY });
}

static void uplink_unicast(void **state)
{
	for (size_t s = 0; s < ARRAY_SIZE(uplink_rows); s++) {
		const char *name = uplink_rows[s].name;
		struct fwd_facts f = { .flags = UP,
				       .role = FWD_UPLINK,
				       .src_owner = uplink_rows[s].src_owner,
				       .src_mode = uplink_rows[s].src_mode };

		check_uplink(name, "no Q", f, expect_of_cell(uplink_rows[s].cells[0]));
		for (size_t q = 0; q < ARRAY_SIZE(q_mode); q++) {
			f.dst_owner = FWD_OWNER_OTHER;
			f.dst_mode = q_mode[q];
			check_uplink(name, mode_name[q_mode[q]], f,
				     expect_of_cell(uplink_rows[s].cells[q + 1]));
		}
		if (f.src_owner == FWD_OWNER_NONE)
			continue;
		f.dst_owner = FWD_OWNER_SAME;
		f.dst_mode = f.src_mode;
		check_uplink(name, "S = Q", f, (struct expect){ 0, DROP_returned });
	}
}

static void uplink_group(void **state)
{
	// clang-format off
	static const struct {
		const char *name;
		uint8_t src_owner, src_mode;
		struct expect e;
	} row[] = {
		{ "S none", FWD_OWNER_NONE, 0,
		  { FWD_TO_PRIVATES | FWD_TO_VEPAS | FWD_TO_BRIDGES, DROP_no_receiver } },
		{ "S vepa", FWD_OWNER_OTHER, FWD_VEPA,
		  { FWD_TO_VEPAS | FWD_TO_BRIDGES, DROP_returned } },
		{ "S bridge", FWD_OWNER_OTHER, FWD_BRIDGE, { FWD_TO_VEPAS, DROP_looped } },
		{ "S private", FWD_OWNER_OTHER, FWD_PRIVATE, { 0, DROP_private } },
		{ "S source", FWD_OWNER_OTHER, FWD_SOURCE,
		  { FWD_TO_VEPAS | FWD_TO_BRIDGES, DROP_returned } },
	};
	// clang-format on

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct fwd_facts f = { .flags = UP | FWD_GROUP,
				       .role = FWD_UPLINK,
				       .src_owner = row[i].src_owner,
				       .src_mode = row[i].src_mode };

		check_uplink(row[i].name, "group", f, row[i].e);
	}
}

/* What the host has from the device: nobody gets its unicast, and of a group the others. */
static void uplink_to_host(void **state)
{
	for (size_t s = 0; s < ARRAY_SIZE(uplink_rows); s++) {
		struct fwd_facts f = { .flags = UP | FWD_HOST_HAS,
				       .role = FWD_UPLINK,
				       .src_owner = uplink_rows[s].src_owner,
				       .src_mode = uplink_rows[s].src_mode,
				       .dst_owner = FWD_OWNER_OTHER };
		struct fwd_verdict all;

		for (uint8_t mode = 0; mode < FWD_PASSTHRU; mode++) {
			f.dst_mode = mode;
			check_uplink(uplink_rows[s].name, "host", f,
				     (struct expect){ 0, DROP_host });
		}
		f.flags = UP | FWD_GROUP;
		f.dst_owner = FWD_OWNER_NONE;
		all = fwd_decide(&f);
		if (all.reason == DROP_returned || all.reason == DROP_no_receiver)
			all.reason = DROP_host;
		f.flags |= FWD_HOST_HAS;
		check(uplink_rows[s].name, "group, host", &f,
		      (struct expect){ all.to, all.reason });
	}
}

/* To the control plane, and to ports that asked; whatever its VLAN, source and lists. */
static void uplink_reserved(void **state)
{
	static const unsigned more[] = { 0, FWD_VLAN_DENIED, FWD_BAD_SOURCE, FWD_LISTED,
					 FWD_LISTED | FWD_NODST };

	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		struct fwd_facts f = { .flags = UP | FWD_GROUP | FWD_RESERVED | more[i],
				       .role = FWD_UPLINK };

		check("reserved", "uplink", &f, (struct expect){ FWD_TO_RESERVED, DROP_control });
		f.flags |= FWD_HAS_PASSTHRU;
		check("reserved, passthru", "uplink", &f,
		      (struct expect){ FWD_TO_PASSTHRU, DROP_control });
	}
}

/* ---- learning relay ---- */

static void learning_relay(void **state)
{
	// clang-format off
	static const struct {
		const char *name;
		unsigned flags;
		uint8_t dst_owner;
		struct expect e, reflecting; /* without and with reflective relay */
	} row[] = {
		{ "known unicast", 0, FWD_OWNER_OTHER,
		  { FWD_TO_OWNER, NOBODY }, { FWD_TO_OWNER, NOBODY } },
		{ "known unicast, to where its source was", 0, FWD_OWNER_SAME,
		  { FWD_TO_OWNER, NOBODY }, { FWD_TO_OWNER, NOBODY } },
		{ "known unicast on the ingress port", 0, FWD_OWNER_SELF,
		  { 0, DROP_same_port }, { FWD_TO_BACK, NOBODY } },
		{ "unknown unicast", 0, FWD_OWNER_NONE,
		  { FWD_TO_UNKNOWN, DROP_no_receiver },
		  { FWD_TO_UNKNOWN | FWD_TO_BACK, NOBODY } },
		{ "broadcast, multicast", FWD_GROUP, FWD_OWNER_NONE,
		  { FWD_TO_ALL, DROP_no_receiver }, { FWD_TO_ALL | FWD_TO_BACK, NOBODY } },
		{ "reserved", FWD_GROUP | FWD_RESERVED, FWD_OWNER_NONE,
		  { 0, DROP_control }, { 0, DROP_control } },
	};
	// clang-format off
	// clang-format on
	static const struct {
		const char *name;
		unsigned flags;
		uint8_t src_owner;
		unsigned learn;
	} source[] = {
		{ "source known here", FWD_LEARNS, FWD_OWNER_SELF, 0 },
		{ "new source", FWD_LEARNS, FWD_OWNER_NONE, FWD_LEARN },
		{ "source moved", FWD_LEARNS, FWD_OWNER_OTHER, FWD_LEARN },
		{ "new source beyond the limit", 0, FWD_OWNER_NONE, 0 },
		{ "moved beyond the limit", 0, FWD_OWNER_OTHER, 0 },
	};
	// clang-format on

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		for (size_t s = 0; s < ARRAY_SIZE(source); s++) {
			struct fwd_facts f = { .role = FWD_RELAY_PORT,
					       .flags = row[i].flags | source[s].flags,
					       .src_owner = source[s].src_owner,
					       .dst_owner = row[i].dst_owner };
			struct expect e = row[i].e, r = row[i].reflecting;
			unsigned learn = row[i].flags & FWD_RESERVED ? 0 : source[s].learn;

			e.to |= learn;
			r.to |= learn;
			check(row[i].name, source[s].name, &f, e);
			f.flags |= FWD_REFLECTS;
			check(row[i].name, "reflective relay", &f, r);
		}
	}
}

/* ---- the VSI gate ---- */

/* A station whose association does not stand sends nothing, in whatever mode it would be. */
static void gated_station(void **state)
{
	static const unsigned more[] = { 0, FWD_GROUP, FWD_VLAN_DENIED, FWD_BAD_SOURCE,
					 FWD_GROUP | FWD_RESERVED | FWD_RESERVED_OK };

	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		struct fwd_facts f = { .flags = UP | FWD_GUARD | FWD_LEARNS | more[i],
				       .mode = FWD_GATED };

		check("gated", "sends", &f, (struct expect){ 0, DROP_vsi });
		f.flags |= FWD_STANDBY;
		check("gated", "standby comes first", &f, (struct expect){ 0, DROP_standby });
		f.flags |= FWD_RUNT;
		check("gated", "a runt is a runt", &f, (struct expect){ 0, DROP_runt });
	}
}

/* What is for a gated station: its guest may be elsewhere yet. */
static void to_and_from_gated(void **state)
{
	struct fwd_facts local = { .flags = UP | FWD_GUARD,
				   .mode = FWD_BRIDGE,
				   .src_owner = FWD_OWNER_SELF,
				   .src_mode = FWD_BRIDGE,
				   .dst_owner = FWD_OWNER_OTHER,
				   .dst_mode = FWD_GATED };
	struct fwd_facts f = { .flags = UP, .role = FWD_UPLINK, .dst_mode = FWD_GATED };

	check("Q gated", "from bridge mode", &local, (struct expect){ FWD_TO_UPLINK, NOBODY });
	f.dst_owner = FWD_OWNER_OTHER;
	for (size_t s = 0; s < ARRAY_SIZE(uplink_rows); s++) {
		f.src_owner = uplink_rows[s].src_owner;
		f.src_mode = uplink_rows[s].src_mode;
		check_uplink(uplink_rows[s].name, "Q gated", f,
			     (struct expect){ FWD_TO_PROMISC, DROP_vsi });
	}
	f.src_owner = FWD_OWNER_OTHER;
	f.src_mode = FWD_GATED;
	for (size_t q = 0; q < ARRAY_SIZE(q_mode); q++) { /* as if S were nobody's */
		f.dst_mode = q_mode[q];
		check_uplink("S gated", mode_name[q_mode[q]], f,
			     expect_of_cell(uplink_rows[0].cells[q + 1]));
	}
	f.flags |= FWD_GROUP;
	f.dst_owner = FWD_OWNER_NONE;
	check_uplink("S gated", "group", f,
		     (struct expect){ FWD_TO_PRIVATES | FWD_TO_VEPAS | FWD_TO_BRIDGES,
				      DROP_no_receiver });
}

/* A port of a learning relay under VDP control. */
static void vdp_control(void **state)
{
	// clang-format off
	static const struct {
		const char *name;
		unsigned flags;
		uint8_t src_owner, dst_owner;
		struct expect e;
	} row[] = {
		{ "associated", 0, FWD_OWNER_SELF, FWD_OWNER_OTHER, { FWD_TO_OWNER, NOBODY } },
		{ "associated, group", FWD_GROUP, FWD_OWNER_SELF, FWD_OWNER_NONE,
		  { FWD_TO_ALL, DROP_no_receiver } },
		{ "associated, group, reflecting", FWD_GROUP | FWD_REFLECTS, FWD_OWNER_SELF,
		  FWD_OWNER_NONE, { FWD_TO_ALL | FWD_TO_BACK, NOBODY } },
		{ "associated, unknown unicast", 0, FWD_OWNER_SELF, FWD_OWNER_NONE,
		  { FWD_TO_UNKNOWN, DROP_no_receiver } },
		{ "unknown unicast is not reflected", FWD_REFLECTS,
		  FWD_OWNER_SELF, FWD_OWNER_NONE, { FWD_TO_UNKNOWN, DROP_no_receiver } },
		{ "both associated, reflecting", FWD_REFLECTS, FWD_OWNER_SELF, FWD_OWNER_SELF,
		  { FWD_TO_BACK, NOBODY } },
		{ "not associated", FWD_LEARNS, FWD_OWNER_NONE, FWD_OWNER_OTHER, { 0, DROP_vsi } },
		{ "not associated, group", FWD_LEARNS | FWD_GROUP, FWD_OWNER_NONE, FWD_OWNER_NONE,
		  { 0, DROP_vsi } },
		{ "associated elsewhere", FWD_LEARNS, FWD_OWNER_OTHER, FWD_OWNER_NONE,
		  { 0, DROP_vsi } },
		{ "VLAN of no associated VSI", FWD_VLAN_DENIED, FWD_OWNER_NONE, FWD_OWNER_NONE,
		  { 0, DROP_vsi } },
		{ "LLDP, ECP", FWD_GROUP | FWD_RESERVED | FWD_VLAN_DENIED, FWD_OWNER_NONE,
		  FWD_OWNER_NONE, { 0, DROP_control } },
		{ "any address of the VLAN", FWD_VDP_ANY | FWD_LEARNS | FWD_REFLECTS,
		  FWD_OWNER_NONE, FWD_OWNER_NONE,
		  { FWD_TO_UNKNOWN | FWD_TO_BACK | FWD_LEARN, NOBODY } },
		{ "private, both associated", FWD_ISOLATED | FWD_REFLECTS, FWD_OWNER_SELF,
		  FWD_OWNER_SELF, { 0, DROP_private } },
		{ "private, not reflecting", FWD_ISOLATED, FWD_OWNER_SELF, FWD_OWNER_SELF,
		  { 0, DROP_same_port } },
		{ "private, group", FWD_ISOLATED | FWD_REFLECTS | FWD_GROUP, FWD_OWNER_SELF,
		  FWD_OWNER_NONE, { FWD_TO_ALL, DROP_private } },
		{ "private, to another port", FWD_ISOLATED | FWD_REFLECTS, FWD_OWNER_SELF,
		  FWD_OWNER_OTHER, { FWD_TO_OWNER, NOBODY } },
		{ "private, unknown unicast", FWD_ISOLATED | FWD_REFLECTS | FWD_VDP_ANY,
		  FWD_OWNER_SELF, FWD_OWNER_NONE, { FWD_TO_UNKNOWN, DROP_private } },
		{ "any address, moved here", FWD_VDP_ANY | FWD_LEARNS, FWD_OWNER_OTHER,
		  FWD_OWNER_OTHER, { FWD_TO_OWNER | FWD_LEARN, NOBODY } },
	};
	// clang-format on

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct fwd_facts f = { .role = FWD_RELAY_PORT,
				       .flags = FWD_VDP | row[i].flags,
				       .src_owner = row[i].src_owner,
				       .dst_owner = row[i].dst_owner };

		check(row[i].name, "VDP control", &f, row[i].e);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_of_checks),	cmocka_unit_test(reserved_allowed_by_mask),
		cmocka_unit_test(spoof_guard),		cmocka_unit_test(passthru_skips_checks),
		cmocka_unit_test(station_destinations), cmocka_unit_test(uplink_unicast),
		cmocka_unit_test(uplink_group),		cmocka_unit_test(uplink_reserved),
		cmocka_unit_test(learning_relay),	cmocka_unit_test(from_host),
		cmocka_unit_test(uplink_to_host),	cmocka_unit_test(gated_station),
		cmocka_unit_test(to_and_from_gated),	cmocka_unit_test(vdp_control),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
