// SPDX-License-Identifier: Apache-2.0
#include "events.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lldp_json.h"
#include "value.h"
#include "vsi_text.h"

static const char *const kind_names[EVENT_KINDS_N] = {
	[EVENT_PORT] = "port",	   [EVENT_BRIDGE] = "bridge", [EVENT_MODE] = "mode",
	[EVENT_LINK] = "link",	   [EVENT_FAULT] = "fault",   [EVENT_FDB] = "fdb",
	[EVENT_UPLINK] = "uplink", [EVENT_MDB] = "mdb",	      [EVENT_LLDP] = "lldp",
	[EVENT_EVB] = "evb",	   [EVENT_VSI] = "vsi",	      [EVENT_CHANNEL] = "channel",
};

enum event_kind event_kind_find(const char *name)
{
	unsigned k;

	for (k = 0; k < EVENT_KINDS_N; k++)
		if (!strcmp(name, kind_names[k]))
			break;
	return (enum event_kind)k;
}

const char *event_kind_names(void)
{
	return "port, bridge, mode, link, fault, fdb, uplink, mdb, lldp, evb, vsi, channel";
}

static bool is_wanted(const struct events *ev, enum event_kind kind)
{
	return ev->sink && ev->wanted >> kind & 1;
}

/*
 * The wall clock as RFC 3339 with milliseconds. It is read here because nothing is decided by it:
 * it is only shown.
 */
static void format_time(char *buf, size_t size)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, size - n, ".%03ldZ", ts.tv_nsec / 1000000);
}

/* Deliver one event with the further keys of `keys`, which it takes (NULL: without memory). */
static void emit(const struct events *ev, enum event_kind kind, json_t *keys)
{
	char now[48];
	json_t *event;

	format_time(now, sizeof(now));
	event = json_pack("{s:s, s:s, s:{s:s, s:s}}", "jsonrpc", "2.0", "method", "event", "params",
			  "kind", kind_names[kind], "time", now);
	if (event && keys) {
		json_object_update(json_object_get(event, "params"), keys);
		ev->sink(ev->aux, kind, event);
	}
	json_decref(event);
	json_decref(keys);
}

void event_port(const struct events *ev, const char *ifname, const char *bridge, const char *action)
{
	if (is_wanted(ev, EVENT_PORT))
		emit(ev, EVENT_PORT,
		     json_pack("{s:s, s:s, s:s}", "ifname", ifname, "bridge", bridge, "action",
			       action));
}

void event_bridge(const struct events *ev, const char *ifname, const char *action)
{
	if (is_wanted(ev, EVENT_BRIDGE))
		emit(ev, EVENT_BRIDGE, json_pack("{s:s, s:s}", "ifname", ifname, "action", action));
}

void event_mode(const struct events *ev, const char *ifname, const char *from, const char *to)
{
	if (is_wanted(ev, EVENT_MODE))
		emit(ev, EVENT_MODE,
		     json_pack("{s:s, s:s, s:s}", "ifname", ifname, "from", from, "to", to));
}

void event_link(const struct events *ev, const char *ifname, const char *operstate,
		const char *reason)
{
	if (is_wanted(ev, EVENT_LINK))
		emit(ev, EVENT_LINK,
		     json_pack("{s:s, s:s, s:s*}", "ifname", ifname, "operstate", operstate,
			       "reason", *reason ? reason : NULL));
}

void event_fault(const struct events *ev, const char *ifname, const char *reason, const char *hint)
{
	if (is_wanted(ev, EVENT_FAULT))
		emit(ev, EVENT_FAULT,
		     json_pack("{s:s, s:s, s:s}", "ifname", ifname, "reason", reason, "hint",
			       hint));
}

void event_uplink(const struct events *ev, const char *ifname, const char *from, const char *to,
		  const char *reason)
{
	if (is_wanted(ev, EVENT_UPLINK))
		emit(ev, EVENT_UPLINK,
		     json_pack("{s:s, s:s, s:s, s:s}", "ifname", ifname, "from", from, "to", to,
			       "reason", reason));
}

void event_channel(const struct events *ev, const char *ifname, const char *dev, uint16_t channel,
		   vid_t svid)
{
	json_t *keys;

	if (!is_wanted(ev, EVENT_CHANNEL))
		return;
	keys = json_pack("{s:s, s:s, s:i, s:s}", "ifname", ifname, "dev", dev, "channel", channel,
			 "action", svid != VID_NONE ? "add" : "del");
	if (keys && svid != VID_NONE)
		json_object_set_new(keys, "svid", json_integer(svid));
	emit(ev, EVENT_CHANNEL, keys);
}

void event_fdb(const struct events *ev, struct mac mac, const char *ifname, vid_t vid,
	       const char *action)
{
	char word[VALUE_MAC_SIZE];
	json_t *keys;

	if (!is_wanted(ev, EVENT_FDB))
		return;
	keys = json_pack("{s:s, s:s, s:s}", "mac", value_mac_format(mac, word), "ifname", ifname,
			 "action", action);
	if (keys && vid != VID_NONE)
		json_object_set_new(keys, "vlan", json_integer(vid));
	emit(ev, EVENT_FDB, keys);
}

void event_vsi(const struct events *ev, const char *ifname, const struct vsi_id *id,
	       const struct vsi_change *change)
{
	char text[VSI_TEXT_SIZE];

	if (is_wanted(ev, EVENT_VSI))
		emit(ev, EVENT_VSI,
		     json_pack("{s:s, s:s, s:s, s:s, s:s*}", "ifname", ifname, "instance",
			       vsi_id_format(id, text), "from", change->from, "to", change->to,
			       "reason", change->reason[0] ? change->reason : NULL));
}

json_t *event_group_keys(const struct group_entry *e)
{
	static const char *const types[] = {
		[GROUP_MEMBER] = "member", [GROUP_ROUTER] = "router", [GROUP_QUERIER] = "querier"
	};
	char text[MCAST_TEXT_SIZE];
	json_t *keys = json_pack("{s:s, s:s}", "type", types[e->kind], "family",
				 e->is_ipv6 ? "ipv6" : "ipv4");

	mcast_format(&e->group, text);
	if (keys && e->kind == GROUP_MEMBER)
		json_object_set_new(keys, "group", json_string(text));
	if (keys && e->kind == GROUP_QUERIER)
		json_object_set_new(keys, "querier", json_string(text));
	return keys;
}

void event_mdb(const struct events *ev, const struct group_entry *e, const char *ifname,
	       const char *bridge, const char *action)
{
	json_t *keys = is_wanted(ev, EVENT_MDB) ? event_group_keys(e) : NULL, *more;

	if (!keys)
		return;
	more = json_pack("{s:s, s:s, s:i, s:s}", "ifname", ifname, "bridge", bridge, "vlan",
			 (int)(e->fid & 0xfff), "action", action);
	if (more)
		json_object_update(keys, more);
	json_decref(more);
	emit(ev, EVENT_MDB, keys);
}

void event_lldp(const struct events *ev, const char *ifname, enum lldp_scope scope,
		enum lldp_event event, const struct lldp_neighbour *n)
{
	static const char *const action[] = { [LLDP_NEW] = "add",
					      [LLDP_CHANGED] = "set",
					      [LLDP_AGED] = "age",
					      [LLDP_SHUTDOWN] = "shutdown",
					      [LLDP_LINK_LOST] = "link-lost",
					      [LLDP_DISPLACED] = "displaced" };
	json_t *keys = is_wanted(ev, EVENT_LLDP) ? lldp_neighbour_json(n, scope, -1) : NULL, *more;

	if (!keys)
		return;
	more = json_pack("{s:s, s:s}", "ifname", ifname, "action", action[event]);
	if (more)
		json_object_update(keys, more);
	json_decref(more);
	emit(ev, EVENT_LLDP, keys);
}

void event_evb(const struct events *ev, const char *bridge, const char *reflection,
	       const char *reason)
{
	if (is_wanted(ev, EVENT_EVB))
		emit(ev, EVENT_EVB,
		     json_pack("{s:s, s:s, s:s}", "ifname", bridge, "reflection", reflection,
			       "reason", reason));
}

void event_evb_port(const struct events *ev, const char *ifname, const struct evb *e)
{
	if (is_wanted(ev, EVENT_EVB))
		emit(ev, EVENT_EVB,
		     json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i}", "ifname", ifname, "peer",
			       e->has_peer ? "alive" : "none", "generation",
			       e->generation == EVB_DRAFT ? "draft" : "ratified", "reflection",
			       e->status == EVB_RR_ON  ? "on" :
			       e->status == EVB_RR_OFF ? "off" :
							 "unknown",
			       "retries", e->values.retries, "rte", e->values.rte, "rwd",
			       e->values.rwd, "rka", e->values.rka));
}
