// SPDX-License-Identifier: Apache-2.0
#include "model_internal.h"

#include <errno.h>
#include <string.h>

#include "value.h"

static const char *const kind_names[] = {
	[KIND_TAP] = "tap",
	[KIND_PACKET] = "packet",
	[KIND_MEMORY] = "memory",
};

const char *model_kind_name(enum port_kind kind)
{
	return (size_t)kind < ARRAY_SIZE(kind_names) ? kind_names[kind] : "unknown";
}

/* The kind, and what only a new port can be told. */

static const char *const tap_fields[] = { "name", "netns", "guest", "owner", "group" };

static int refuse_tap_fields(const struct port_config *p, const json_t *params, struct err *e)
{
	const char *kind = model_kind_name((enum port_kind)p->kind);

	for (size_t i = 0; i < ARRAY_SIZE(tap_fields); i++) {
		if (!json_object_get(params, tap_fields[i]))
			continue;
		err_set(e, EINVAL, "%s: %s is for a tap, and this is a %s port", p->name,
			tap_fields[i], kind);
		if (p->kind == KIND_PACKET)
			return err_hint(e, "leave it out: a packet port takes the device as it is, "
					   "in evbd's own network namespace");
		return err_hint(e, "leave it out, or make the port a tap");
	}
	return 0;
}

/* A name in /run/netns or an absolute path. */
static bool is_netns(const char *s)
{
	if (s[0] == '/')
		return strlen(s) < NETNS_SIZE;
	return s[0] && strlen(s) < NETNS_SIZE && !strchr(s, '/') && strcmp(s, ".") != 0 &&
	       strcmp(s, "..") != 0;
}

static int set_netns(struct port_config *p, const json_t *params, struct err *e)
{
	const char *netns = model_string(params, "netns"), *guest = model_string(params, "guest");

	p->guest_is_vm = guest[0] ? strcmp(guest, "vm") == 0 : !netns[0];
	if (!json_object_get(params, "netns"))
		return 0;
	if (p->guest_is_vm) {
		err_set(e, EINVAL, "%s: netns goes with guest netns, not with guest vm", p->name);
		return err_hint(e, "leave out netns: the tap of a VM is in evbd's own namespace, "
				   "where its VMM finds it");
	}
	if (!is_netns(netns)) {
		err_set(e, EINVAL, "%s: \"%.64s\" cannot be a network namespace", p->name, netns);
		return err_hint(e, "give its name as in `ip netns`, or an absolute path like "
				   "/proc/PID/ns/net");
	}
	model_word(p->netns, sizeof(p->netns), netns);
	return 0;
}

static int set_users(struct port_config *p, const json_t *params, struct err *e)
{
	const char *owner = model_string(params, "owner"), *group = model_string(params, "group");

	if ((owner[0] || group[0]) && !p->guest_is_vm) {
		err_set(e, EINVAL, "%s: %s goes with guest vm, not with guest netns", p->name,
			owner[0] ? "owner" : "group");
		return err_hint(e, "leave it out: nobody but evbd opens the tap of a namespace");
	}
	if (strlen(owner) >= USER_SIZE || strlen(group) >= USER_SIZE)
		return err_set(e, EINVAL, "%s: a user or group has %d characters at most", p->name,
			       USER_SIZE - 1);
	model_word(p->owner, sizeof(p->owner), owner);
	model_word(p->group, sizeof(p->group), group);
	return 0;
}

static int set_tap(struct port_config *p, const json_t *params, struct err *e)
{
	const char *dev = model_string(params, "name");
	int err;

	if (json_object_get(params, "dev")) {
		err_set(e, EINVAL, "%s: dev is for a packet port, and this is a tap", p->name);
		return err_hint(e, "the device of a tap is given as: name DEV");
	}
	if (!dev[0] && strlen(p->name) >= IFNAMSIZ) {
		err_set(e, EINVAL, "%s: the name is too long for a device, which has %d characters",
			p->name, IFNAMSIZ - 1);
		return err_hint(e, "give the device a shorter one with: name DEV");
	}
	model_word(p->dev, sizeof(p->dev), dev[0] ? dev : p->name);
	if (!value_device(p->dev)) {
		err_set(e, EINVAL, "%s: \"%s\" cannot be a device", p->name, p->dev);
		return err_hint(e, "choose 1 to %d characters, none of them / or white space",
				IFNAMSIZ - 1);
	}
	err = set_netns(p, params, e);
	return err ? err : set_users(p, params, e);
}

static int set_packet(struct port_config *p, const json_t *params, struct err *e)
{
	const char *dev = model_string(params, "dev");

	if (!value_device(dev)) {
		err_set(e, EINVAL, "%s: a packet port needs a device", p->name);
		return err_hint(e, "say: packet DEV");
	}
	model_word(p->dev, sizeof(p->dev), dev);
	return refuse_tap_fields(p, params, e);
}

int model_kind_set(struct port_config *p, const json_t *params, struct err *e)
{
	const char *word = model_string(params, "kind");
	uint8_t kind = 0;

	while (kind < ARRAY_SIZE(kind_names) && strcmp(kind_names[kind], word) != 0)
		kind++;
	p->kind = kind;
	switch ((enum port_kind)kind) {
	case KIND_TAP:
		return set_tap(p, params, e);
	case KIND_PACKET:
		return set_packet(p, params, e);
	case KIND_MEMORY:
		if (!json_object_get(params, "dev"))
			return refuse_tap_fields(p, params, e);
		err_set(e, EINVAL, "%s: a memory port has no device", p->name);
		return err_hint(e, "leave it out, or say: packet DEV");
	}
	err_set(e, EINVAL, "%s: it has no kind", p->name);
	return err_hint(e, "say tap, packet DEV or memory");
}

static bool put_string(json_t *params, const char *key, const char *s)
{
	return json_object_set_new(params, key, json_string(s)) == 0;
}

bool model_kind_get(const struct port_config *p, json_t *params)
{
	bool ok = put_string(params, "kind", kind_names[p->kind]);

	if (p->kind == KIND_PACKET)
		return ok && put_string(params, "dev", p->dev);
	if (p->kind != KIND_TAP)
		return ok;
	if (strcmp(p->dev, p->name) != 0)
		ok = ok && put_string(params, "name", p->dev);
	if (p->netns[0])
		ok = ok && put_string(params, "netns", p->netns);
	else if (!p->guest_is_vm)
		ok = ok && put_string(params, "guest", "netns");
	if (p->owner[0])
		ok = ok && put_string(params, "owner", p->owner);
	if (p->group[0])
		ok = ok && put_string(params, "group", p->group);
	return ok;
}

/* Requests. */

/* The role a new port of the bridge is asked to have, an enum fwd_role; or -errno. */
static int role_of(const struct model *m, int b, const json_t *params, struct err *e)
{
	const char *name = model_string(params, "ifname"), *role = model_string(params, "role");

	if (m->bridge[b].is_learning && role[0]) {
		err_set(e, EINVAL, "%s: role is for an edge bridge, and %s is of type learning",
			name, m->bridge[b].name);
		return err_hint(e, "leave it out: all ports of a learning bridge are alike");
	}
	if (m->bridge[b].is_learning)
		return FWD_RELAY_PORT;
	return strcmp(role, "uplink") == 0 ? FWD_UPLINK : FWD_STATION;
}

static int check_uplink_free(const struct model *m, int b, const char *name, struct err *e)
{
	port_id uplink = model_uplink(m, (bridge_id)b);

	if (uplink == PORT_NONE)
		return 0;
	err_set(e, EEXIST, "%s: bridge %s has an uplink already, port %s", name, m->bridge[b].name,
		m->port[uplink].name);
	return err_hint(e, "delete it first (evb port del %s), or make a bridge of its own for %s",
			m->port[uplink].name, name);
}

int model_port_add(struct model *m, const json_t *params, struct err *e)
{
	const char *name = model_string(params, "ifname");
	struct port_config p;
	int b, role, id, err;

	if (model_find_port(m, name) >= 0) {
		err_set(e, EEXIST, "%s: a port of that name exists", name);
		return err_hint(e, "choose another name, or change it with: evb port set %s ...",
				name);
	}
	b = model_need_bridge(m, model_string(params, "bridge"), e);
	if (b < 0)
		return b;
	role = role_of(m, b, params, e);
	if (role < 0)
		return role;
	err = role == FWD_UPLINK ? check_uplink_free(m, b, name, e) : 0;
	if (err)
		return err;
	p = model_port_default((bridge_id)b, (enum fwd_role)role);
	model_word(p.name, sizeof(p.name), name);
	err = model_kind_set(&p, params, e);
	if (!err)
		err = model_fields_set(&p, params, e);
	if (err)
		return err;
	id = model_take_port(m, name, e);
	if (id < 0)
		return id;
	m->port[id] = p;
	return model_check_port(m, (port_id)id, e);
}

int model_port_set(struct model *m, const json_t *params, struct err *e)
{
	int id = model_need_port(m, model_string(params, "ifname"), e);
	int err = id < 0 ? id : model_fields_set(&m->port[id], params, e);

	return err ? err : model_check_port(m, (port_id)id, e);
}

int model_port_del(struct model *m, const json_t *params, struct err *e)
{
	int id = model_need_port(m, model_string(params, "ifname"), e);

	if (id < 0)
		return id;
	model_drop_port(m, (port_id)id);
	return 0;
}
