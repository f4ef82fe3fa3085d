// SPDX-License-Identifier: Apache-2.0
/*
 * The fields of a port that `port set` can change, as a table: which roles have the field, how a
 * value gets into struct port_config, and how it gets out again for `config show`.
 */
#include "model_field.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lldp.h"
#include "timing.h"
#include "value.h"

enum {
	HAS_STATION = 1 << FWD_STATION,
	HAS_UPLINK = 1 << FWD_UPLINK,
	HAS_RELAY_PORT = 1 << FWD_RELAY_PORT,
	HAS_ALL = HAS_STATION | HAS_UPLINK | HAS_RELAY_PORT,
};

static const char *const mode_names[FWD_MODES_N] = {
	[FWD_PRIVATE] = "private",   [FWD_VEPA] = "vepa",     [FWD_BRIDGE] = "bridge",
	[FWD_PASSTHRU] = "passthru", [FWD_SOURCE] = "source",
};

const char *model_mode_name(enum fwd_mode mode)
{
	return mode < FWD_MODES_N ? mode_names[mode] : "unknown";
}

enum fwd_mode model_mode(const char *word)
{
	unsigned mode = 0;

	while (mode < FWD_MODES_N && (!word || strcmp(mode_names[mode], word) != 0))
		mode++;
	return (enum fwd_mode)mode;
}

int field_misfit(const struct field_row *f, const struct port_config *p, struct err *e)
{
	return err_set(e, EINVAL, "%s: %s has a value that does not fit", p->name, f->key);
}

/* Generic: switches, numbers, lists of MACs. */

static void *at(struct port_config *p, size_t offset)
{
	return (char *)p + offset;
}

static const void *const_at(const struct port_config *p, size_t offset)
{
	return (const char *)p + offset;
}

static int set_switch(const struct field_row *f, struct port_config *p, const json_t *v,
		      struct err *e)
{
	if (v && !json_is_boolean(v))
		return field_misfit(f, p, e);
	*(bool *)at(p, f->offset) = v ? json_is_true(v) : f->initial;
	return 0;
}

static json_t *get_switch(const struct field_row *f, const struct port_config *p, bool *failed)
{
	bool is_on = *(const bool *)const_at(p, f->offset);

	return is_on == f->initial ? NULL : json_boolean(is_on);
}

static int64_t number_of(const struct field_row *f, const struct port_config *p, const json_t *v,
			 struct err *e)
{
	if (!v)
		return f->initial;
	if (!json_is_integer(v))
		return field_misfit(f, p, e);
	if (json_integer_value(v) < f->min || json_integer_value(v) > f->max) {
		err_set(e, ERANGE, "%s: %s %lld is out of range", p->name, f->key,
			(long long)json_integer_value(v));
		return err_hint(e, "%s is %lld to %lld", f->key, (long long)f->min,
				(long long)f->max);
	}
	return json_integer_value(v);
}

static json_t *number_json(int64_t n, int64_t initial, bool *failed)
{
	json_t *v = n == initial ? NULL : json_integer(n);

	*failed = n != initial && !v;
	return v;
}

/* Numbers are not negative: what is, is an error. */
static int set_number(const struct field_row *f, struct port_config *p, const json_t *v,
		      struct err *e)
{
	int64_t n = number_of(f, p, v, e);
	void *to = at(p, f->offset);

	if (n < 0)
		return (int)n;
	switch (f->size) {
	case sizeof(uint8_t):
		*(uint8_t *)to = (uint8_t)n;
		break;
	case sizeof(uint16_t):
		*(uint16_t *)to = (uint16_t)n;
		break;
	case sizeof(uint32_t):
		*(uint32_t *)to = (uint32_t)n;
		break;
	default:
		*(uint64_t *)to = (uint64_t)n;
	}
	return 0;
}

static json_t *get_number(const struct field_row *f, const struct port_config *p, bool *failed)
{
	const void *from = const_at(p, f->offset);

	switch (f->size) {
	case sizeof(uint8_t):
		return number_json(*(const uint8_t *)from, f->initial, failed);
	case sizeof(uint16_t):
		return number_json(*(const uint16_t *)from, f->initial, failed);
	case sizeof(uint32_t):
		return number_json(*(const uint32_t *)from, f->initial, failed);
	}
	return number_json((int64_t) * (const uint64_t *)from, f->initial, failed);
}

static int set_macs(const struct field_row *f, struct port_config *p, const json_t *v,
		    struct err *e)
{
	if (v && !json_is_array(v))
		return field_misfit(f, p, e);
	return model_macs_set(p->name, f->key, at(p, f->offset), v, e);
}

static json_t *get_macs(const struct field_row *f, const struct port_config *p, bool *failed)
{
	const struct mac_list *list = const_at(p, f->offset);
	json_t *v = list->n ? model_macs_json(list) : NULL;

	*failed = list->n && !v;
	return v;
}

/* Mode. Leaving source mode empties what only it has, as the kernel's macvlan does. */

static enum fwd_mode initial_mode(const struct port_config *p)
{
	return p->kind == KIND_HOST ? FWD_BRIDGE : FWD_VEPA;
}

static int set_mode(const struct field_row *f, struct port_config *p, const json_t *v,
		    struct err *e)
{
	enum fwd_mode mode = v ? model_mode(json_string_value(v)) : initial_mode(p);

	if (mode == FWD_MODES_N)
		return field_misfit(f, p, e);
	if (p->own_mode == FWD_SOURCE && mode != FWD_SOURCE) {
		p->source.n = 0;
		p->nodst = false;
	}
	p->own_mode = (uint8_t)mode;
	return 0;
}

static json_t *get_mode(const struct field_row *f, const struct port_config *p, bool *failed)
{
	bool is_initial = p->own_mode == initial_mode(p);
	json_t *v = is_initial ? NULL : json_string(mode_names[p->own_mode]);

	*failed = !is_initial && !v;
	return v;
}

/* VLANs: either `vlan`, or `trunk` with or without `native`; setting one replaces the other. */

static void make_access(struct port_config *p, vid_t vid)
{
	p->has_trunk = false;
	p->vlan = vid;
	p->native = VID_NONE;
	p->trunk = (struct vlan_set){ 0 };
}

static int set_vlan(const struct field_row *f, struct port_config *p, const json_t *v,
		    struct err *e)
{
	int64_t vid = number_of(f, p, v, e);

	if (vid < 0)
		return (int)vid;
	if (v || !p->has_trunk)
		make_access(p, (vid_t)vid);
	return 0;
}

static json_t *get_vlan(const struct field_row *f, const struct port_config *p, bool *failed)
{
	return p->has_trunk ? NULL : number_json(p->vlan, VID_DEFAULT, failed);
}

static int set_trunk(const struct field_row *f, struct port_config *p, const json_t *v,
		     struct err *e)
{
	struct vlan_set set;

	if (!v) {
		if (p->has_trunk)
			make_access(p, VID_DEFAULT);
		return 0;
	}
	if (!json_is_string(v) || !value_vlans(json_string_value(v), &set))
		return field_misfit(f, p, e);
	p->has_trunk = true;
	p->trunk = set;
	p->vlan = VID_NONE;
	return 0;
}

static json_t *get_trunk(const struct field_row *f, const struct port_config *p, bool *failed)
{
	char text[VALUE_VLANS_SIZE];
	json_t *v = p->has_trunk ? json_string(value_vlans_format(&p->trunk, text)) : NULL;

	*failed = p->has_trunk && !v;
	return v;
}

static int set_native(const struct field_row *f, struct port_config *p, const json_t *v,
		      struct err *e)
{
	int64_t vid = number_of(f, p, v, e);

	if (vid < 0)
		return (int)vid;
	if (v && !p->has_trunk && p->role != FWD_UPLINK) {
		err_set(e, EINVAL, "%s: native is for a trunk, and this is an access port",
			p->name);
		return err_hint(e, "say vlan %d for an access port, or give trunk as well",
				(int)vid);
	}
	p->native = (vid_t)vid;
	return 0;
}

/* `none` is the default on a trunk only: an uplink takes untagged frames if not told otherwise. */
static json_t *get_native(const struct field_row *f, const struct port_config *p, bool *failed)
{
	if (p->role == FWD_UPLINK && p->native == VID_NONE)
		return json_null();
	return number_json(p->native, p->role == FWD_UPLINK ? VID_DEFAULT : VID_NONE, failed);
}

#define OFFSET(member) .offset = offsetof(struct port_config, member)
#define SWITCH(def) .set = set_switch, .get = get_switch, .initial = (def)
#define NUMBER(member, least, most)                                                                \
	.set = set_number, .get = get_number, .min = (least), .max = (most),                       \
	.size = sizeof(((struct port_config *)0)->member), OFFSET(member)
#define LIMIT(member) NUMBER(member, 1, INT64_MAX) /* the default: none */
#define MACS .set = set_macs, .get = get_macs

static const char hint_mode[] =
	"modes are for stations of an edge bridge; a learning bridge has reflective-relay";
static const char hint_source[] = "it goes with mode source, on a station of an edge bridge";
static const char hint_svlan[] =
	"it is for ports on a wire; a station has vlan, or trunk and native";
static const char hint_pool[] = "the bridge at the other end chooses the S-tags";
static const char hint_evb[] =
	"it is for the link between a station and its adjacent bridge: an uplink at one end, "
	"a port of a learning bridge at the other";
static const char hint_unknown[] =
	"what a station sends to strangers leaves by the uplink, and nobody gets copies of it";
static const char hint_reflect[] =
	"it is for the adjacent bridge, which is one of type learning; stations have mode vepa";

static const char hint_vdp[] =
	"it is for a port of a learning bridge; a station has: evb vsi add PORT type T ...";

/* In the order in which they are applied: mode and trunk before what depends on them. */
static const struct field_row fields[] = {
	{ "mac", HAS_STATION | HAS_RELAY_PORT, MACS, OFFSET(macs) },
	{ "mode", HAS_STATION, .set = set_mode, .get = get_mode, .instead = hint_mode },
	{ "vlan", HAS_STATION | HAS_RELAY_PORT, .set = set_vlan, .get = get_vlan,
	  .initial = VID_DEFAULT, .min = 1, .max = VID_MAX },
	{ "trunk", HAS_STATION | HAS_RELAY_PORT, .set = set_trunk, .get = get_trunk },
	{ "native", HAS_ALL, .set = set_native, .get = get_native, .min = 1, .max = VID_MAX },
	{ "svlan", HAS_UPLINK | HAS_RELAY_PORT, NUMBER(svlan, 1, VID_MAX), .instead = hint_svlan },
	{ "reserved", HAS_STATION, NUMBER(own_reserved, 0, 0xffff) },
	{ "spoof-guard", HAS_STATION, SWITCH(true), OFFSET(spoof_guard) },
	{ "priority", HAS_UPLINK, NUMBER(priority, 0, 255) },
	{ "maclimit", HAS_STATION | HAS_RELAY_PORT, NUMBER(maclimit, 0, 4096) },
	{ "promisc", HAS_STATION, SWITCH(false), OFFSET(promisc) },
	{ "standby", HAS_STATION | HAS_RELAY_PORT, SWITCH(false), OFFSET(standby) },
	{ "source", HAS_STATION, MACS, OFFSET(source), .instead = hint_source },
	{ "nodst", HAS_STATION, SWITCH(false), OFFSET(nodst), .instead = hint_source },
	{ "mtu", HAS_ALL, NUMBER(mtu, 68, 65521) },
	{ "offload", HAS_ALL, SWITCH(true), OFFSET(offload) },
	{ "fastleave", HAS_STATION | HAS_RELAY_PORT, SWITCH(false), OFFSET(fastleave) },
	{ "reflective-relay", HAS_RELAY_PORT, SWITCH(false), OFFSET(reflective_relay),
	  .instead = hint_reflect },
	{ "evb", HAS_UPLINK | HAS_RELAY_PORT, .set = field_set_evb, .get = field_get_evb,
	  .instead = hint_evb },
	{ "evb-retries", HAS_UPLINK | HAS_RELAY_PORT, NUMBER(evb_retries, 0, 7),
	  .initial = EVB_RETRIES_DEFAULT, .instead = hint_evb },
	{ "evb-rte", HAS_UPLINK | HAS_RELAY_PORT, NUMBER(evb_rte, 0, 31),
	  .initial = EVB_RTE_DEFAULT, .instead = hint_evb },
	{ "evb-rwd", HAS_UPLINK | HAS_RELAY_PORT, NUMBER(evb_rwd, 0, 31),
	  .initial = EVB_RWD_DEFAULT, .instead = hint_evb },
	{ "evb-rka", HAS_UPLINK | HAS_RELAY_PORT, NUMBER(evb_rka, 0, 31),
	  .initial = EVB_RKA_DEFAULT, .instead = hint_evb },
	{ "evb-max", HAS_UPLINK | HAS_RELAY_PORT, NUMBER(evb_max, 0, 31),
	  .initial = EVB_CAP_DEFAULT, .instead = hint_evb },
	{ "lldp", HAS_UPLINK | HAS_RELAY_PORT, .set = field_set_lldp, .get = field_get_lldp,
	  .instead = hint_evb },
	{ "lldp-interval", HAS_UPLINK | HAS_RELAY_PORT, NUMBER(lldp_interval, 1, 3600),
	  .initial = LLDP_INTERVAL_S, .instead = hint_evb },
	{ "lldp-hold", HAS_UPLINK | HAS_RELAY_PORT, NUMBER(lldp_hold, 1, 100), .initial = LLDP_HOLD,
	  .instead = hint_evb },
	{ "vdp", HAS_RELAY_PORT, SWITCH(false), OFFSET(vdp), .instead = hint_vdp },
	{ "pcp", HAS_STATION, NUMBER(pcp, 0, 7) },
	{ "rate-in", HAS_ALL, LIMIT(limit[METER_RATE_IN]) },
	{ "rate-out", HAS_ALL, LIMIT(limit[METER_RATE_OUT]) },
	{ "burst-in", HAS_ALL, LIMIT(burst_in) },
	{ "burst-out", HAS_ALL, LIMIT(burst_out) },
	{ "pps-in", HAS_ALL, LIMIT(limit[METER_PPS_IN]) },
	{ "pps-out", HAS_ALL, LIMIT(limit[METER_PPS_OUT]) },
	{ "storm-broadcast", HAS_ALL, LIMIT(limit[METER_BROADCAST]) },
	{ "storm-multicast", HAS_ALL, LIMIT(limit[METER_MULTICAST]) },
	{ "storm-unknown", HAS_UPLINK | HAS_RELAY_PORT, LIMIT(limit[METER_UNKNOWN]),
	  .instead = hint_unknown },
	{ "channel", HAS_UPLINK | HAS_RELAY_PORT, NUMBER(channel, 2, CHANNEL_MAX),
	  .instead = hint_svlan },
	{ "cdcp", HAS_UPLINK | HAS_RELAY_PORT, SWITCH(false), OFFSET(cdcp), .instead = hint_evb },
	{ "svid-pool", HAS_RELAY_PORT, .set = field_set_pool, .get = field_get_pool,
	  .instead = hint_pool },
};

struct port_config model_port_default(bridge_id b, enum fwd_role role)
{
	return (struct port_config){
		.bridge = b,
		.role = (uint8_t)role,
		.mode = FWD_VEPA,
		.own_mode = FWD_VEPA,
		.vlan = role == FWD_UPLINK ? VID_NONE : VID_DEFAULT,
		.native = role == FWD_UPLINK ? VID_DEFAULT : VID_NONE,
		.spoof_guard = true,
		.offload = true,
		.queues = QUEUES_DEFAULT,
		.evb_retries = EVB_RETRIES_DEFAULT,
		.evb_rte = EVB_RTE_DEFAULT,
		.evb_rwd = EVB_RWD_DEFAULT,
		.evb_rka = EVB_RKA_DEFAULT,
		.evb_max = EVB_CAP_DEFAULT,
		.lldp_interval = LLDP_INTERVAL_S,
		.lldp_hold = LLDP_HOLD,
		.perm = PERM_DEFAULT,
		.svid_low = SVID_MIN,
		.svid_high = VID_MAX,
	};
}

static const char *role_text(uint8_t role)
{
	switch ((enum fwd_role)role) {
	case FWD_STATION:
		return "a station port";
	case FWD_UPLINK:
		return "an uplink";
	case FWD_RELAY_PORT:
		return "a port of a learning bridge";
	}
	return "this port";
}

static int refuse_field(const struct field_row *f, const struct port_config *p, struct err *e)
{
	char list[sizeof(e->hint) - NAME_SIZE] = "";
	size_t used = 0;

	err_set(e, EINVAL, "%s: %s does not apply to %s", p->name, f->key, role_text(p->role));
	if (f->instead)
		return err_hint(e, "%s", f->instead);
	for (size_t i = 0; i < ARRAY_SIZE(fields) && used < sizeof(list); i++) {
		if (fields[i].roles >> p->role & 1)
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
						 used ? ", " : "", fields[i].key);
	}
	return err_hint(e, "%s has: %s", role_text(p->role), list);
}

/* Is `key` there with a value? */
static bool is_given(const json_t *params, const char *key)
{
	const json_t *v = json_object_get(params, key);

	return v && !json_is_null(v);
}

int model_fields_set(struct port_config *p, const json_t *params, struct err *e)
{
	if (is_given(params, "vlan") && (is_given(params, "trunk") || is_given(params, "native"))) {
		err_set(e, EINVAL, "%s: vlan excludes trunk and native", p->name);
		return err_hint(e,
				"vlan VID is an access port; a trunk is trunk LIST [native VID]");
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field_row *f = &fields[i];
		const json_t *v = json_object_get(params, f->key);
		int err;

		if (!v)
			continue;
		if (!(f->roles >> p->role & 1))
			return refuse_field(f, p, e);
		err = f->set(f, p, json_is_null(v) ? NULL : v, e);
		if (err)
			return err;
	}
	return 0;
}

bool model_fields_get(const struct port_config *p, json_t *params)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field_row *f = &fields[i];
		bool failed = false;
		json_t *v = f->roles >> p->role & 1 ? f->get(f, p, &failed) : NULL;

		if (failed) {
			json_decref(v);
			return false;
		}
		if (v && json_object_set_new(params, f->key, v) < 0)
			return false;
	}
	return true;
}

/* The burst of a rate in octets, its default included. */
static bool put_burst(const struct port_config *p, const char *key, enum meter_id id,
		      uint64_t burst, json_t *params)
{
	struct meter_limit l = meter_limit_of(id, p->limit[id], burst);

	return !p->limit[id] ||
	       json_object_set_new(params, key, json_integer((json_int_t)l.burst / 8)) == 0;
}

static bool is_limit(const struct field_row *f)
{
	return f->set == set_number && f->size == sizeof(uint64_t);
}

bool model_limits_get(const struct port_config *p, json_t *params)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field_row *f = &fields[i];
		bool failed = false;
		json_t *v = is_limit(f) ? f->get(f, p, &failed) : NULL;

		if (failed || (v && json_object_set_new(params, f->key, v) < 0))
			return false;
	}
	return put_burst(p, "burst-in", METER_RATE_IN, p->burst_in, params) &&
	       put_burst(p, "burst-out", METER_RATE_OUT, p->burst_out, params);
}
