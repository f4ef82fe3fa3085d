// SPDX-License-Identifier: Apache-2.0
#include "model_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

static const char *const kind_names[] = {
	[KIND_TAP] = "tap",	  [KIND_PACKET] = "packet",
	[KIND_MEMORY] = "memory", [KIND_VHOST_USER] = "vhost-user",
	[KIND_HOST] = "host",
};

static const char *const driver_names[] = {
	[DRIVER_PACKET] = "packet",
	[DRIVER_XDP] = "xdp",
	[DRIVER_AUTO] = "auto",
};

const char *model_driver_name(enum device_driver driver)
{
	return driver_names[driver];
}

enum device_driver model_driver(const char *word, enum device_driver initial)
{
	for (unsigned i = 0; i < ARRAY_SIZE(driver_names); i++)
		if (!strcmp(driver_names[i], word))
			return (enum device_driver)i;
	return initial;
}

const char *model_port_kind(const struct port_config *p)
{
	return p->kind == KIND_PACKET && p->driver == DRIVER_XDP ? driver_names[DRIVER_XDP] :
								   kind_names[p->kind];
}

/* The kind, and what only a new port can be told. */

enum { TAP = 1 << KIND_TAP, PACKET = 1 << KIND_PACKET, VHOST_USER = 1 << KIND_VHOST_USER };

static const struct {
	const char *key;
	unsigned kinds; /* that have it */
} kind_fields[] = {
	{ "dev", PACKET },
	{ "driver", PACKET },
	{ "name", TAP },
	{ "netns", TAP },
	{ "guest", TAP },
	{ "owner", TAP | VHOST_USER },
	{ "group", TAP | VHOST_USER },
	{ "path", VHOST_USER },
	{ "client", VHOST_USER },
	{ "queues", VHOST_USER },
	{ "config", VHOST_USER },
	{ "perm", VHOST_USER },
};

static int refuse_kind_field(const struct port_config *p, const char *key, unsigned kinds,
			     struct err *e)
{
	static const char *const for_kinds[] = { [TAP] = "a tap",
						 [PACKET] = "a packet port",
						 [VHOST_USER] = "a vhost-user port",
						 [TAP | VHOST_USER] = "a tap or vhost-user port" };

	err_set(e, EINVAL, "%s: %s is for %s, and this is a %s port", p->name, key,
		for_kinds[kinds], model_port_kind(p));
	if (!strcmp(key, "dev") && p->kind == KIND_TAP)
		return err_hint(e, "the device of a tap is given as: name DEV");
	if (p->kind == KIND_PACKET)
		return err_hint(e, "leave it out: such a port takes the device as it is, in "
				   "evbd's own network namespace");
	return err_hint(e, "leave it out, or make the port %s", for_kinds[kinds]);
}

/* Refuse what other kinds have. */
static int check_kind_fields(const struct port_config *p, const json_t *params, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(kind_fields); i++)
		if (!(kind_fields[i].kinds >> p->kind & 1) &&
		    json_object_get(params, kind_fields[i].key))
			return refuse_kind_field(p, kind_fields[i].key, kind_fields[i].kinds, e);
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

	if (strlen(owner) >= USER_SIZE || strlen(group) >= USER_SIZE)
		return err_set(e, EINVAL, "%s: a user or group has %d characters at most", p->name,
			       USER_SIZE - 1);
	model_word(p->owner, sizeof(p->owner), owner);
	model_word(p->group, sizeof(p->group), group);
	return 0;
}

static const char *user_key(const struct port_config *p)
{
	return p->owner[0] ? "owner" : p->group[0] ? "group" : NULL;
}

static int set_tap(struct port_config *p, const json_t *params, struct err *e)
{
	const char *dev = model_string(params, "name");
	int err;

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
	if (!err)
		err = set_users(p, params, e);
	if (err || p->guest_is_vm || !user_key(p))
		return err;
	err_set(e, EINVAL, "%s: %s goes with guest vm, not with guest netns", p->name, user_key(p));
	return err_hint(e, "leave it out: nobody but evbd opens the tap of a namespace");
}

static int set_packet(struct port_config *p, const json_t *params, struct err *e)
{
	const char *dev = model_string(params, "dev"), *driver = model_string(params, "driver");

	if (!value_device(dev)) {
		err_set(e, EINVAL, "%s: a packet port needs a device", p->name);
		return err_hint(e, "say: packet DEV");
	}
	if (driver[0] && p->driver == DRIVER_XDP) {
		err_set(e, EINVAL, "%s: driver goes with packet %s", p->name, dev);
		return err_hint(e, "leave it out: xdp %s is packet %s driver xdp", dev, dev);
	}
	p->driver = (uint8_t)model_driver(driver, (enum device_driver)p->driver);
	model_word(p->dev, sizeof(p->dev), dev);
	return 0;
}

static int set_vhost_user(struct port_config *p, const json_t *params, struct err *e)
{
	const char *path = model_string(params, "path"), *perm = model_string(params, "perm");
	json_int_t queues = json_integer_value(json_object_get(params, "queues"));
	unsigned mode;
	int err = set_users(p, params, e);

	if (err)
		return err;
	if (path[0] != '/' || strlen(path) >= SOCKET_PATH_SIZE) {
		err_set(e, EINVAL, "%s: a vhost-user port needs the path of a socket", p->name);
		return err_hint(e, "say: vhost-user PATH, absolute and of at most %d characters",
				SOCKET_PATH_SIZE - 1);
	}
	model_word(p->path, sizeof(p->path), path);
	p->is_client = json_is_true(json_object_get(params, "client"));
	p->has_config = json_is_true(json_object_get(params, "config"));
	if (queues >= 1 && queues <= QUEUES_DEFAULT)
		p->queues = (uint16_t)queues;
	if (value_perm(perm, &mode))
		p->perm = (uint16_t)mode;
	if (!p->is_client || (!user_key(p) && !perm[0]))
		return 0;
	err_set(e, EINVAL, "%s: %s does not go with client", p->name,
		perm[0] ? "perm" : user_key(p));
	return err_hint(e, "leave it out: the VMM makes the socket, and evbd only connects to it");
}

int model_kind_set(struct port_config *p, const json_t *params, struct err *e)
{
	const char *word = model_string(params, "kind");
	uint8_t kind = 0;
	int err;

	if (!strcmp(word, driver_names[DRIVER_XDP])) {
		kind = KIND_PACKET;
		p->driver = DRIVER_XDP;
	}
	while (kind < ARRAY_SIZE(kind_names) && strcmp(kind_names[kind], word) != 0 &&
	       p->driver != DRIVER_XDP)
		kind++;
	if (kind == ARRAY_SIZE(kind_names)) {
		err_set(e, EINVAL, "%s: it has no kind", p->name);
		return err_hint(e, "say tap, packet DEV, xdp DEV, vhost-user PATH, host or memory");
	}
	p->kind = kind;
	err = check_kind_fields(p, params, e);
	if (err)
		return err;
	switch ((enum port_kind)kind) {
	case KIND_TAP:
		return set_tap(p, params, e);
	case KIND_PACKET:
		return set_packet(p, params, e);
	case KIND_VHOST_USER:
		return set_vhost_user(p, params, e);
	case KIND_HOST:
		p->own_mode = FWD_BRIDGE;
		break;
	case KIND_MEMORY:
		break;
	}
	return 0;
}

unsigned model_perm(const struct port_config *p)
{
	if (p->perm != PERM_DEFAULT)
		return p->perm;
	return user_key(p) ? 0660 : 0600;
}

static bool put_string(json_t *params, const char *key, const char *s)
{
	return json_object_set_new(params, key, json_string(s)) == 0;
}

static bool get_tap(const struct port_config *p, json_t *params)
{
	bool ok = true;

	if (strcmp(p->dev, p->name) != 0)
		ok = put_string(params, "name", p->dev);
	if (p->netns[0])
		return ok && put_string(params, "netns", p->netns);
	return ok && (p->guest_is_vm || put_string(params, "guest", "netns"));
}

static bool get_vhost_user(const struct port_config *p, json_t *params)
{
	char perm[8];
	bool ok = put_string(params, "path", p->path);

	snprintf(perm, sizeof(perm), "%04o", p->perm);
	if (p->is_client)
		ok = ok && json_object_set_new(params, "client", json_true()) == 0;
	if (p->has_config)
		ok = ok && json_object_set_new(params, "config", json_true()) == 0;
	if (p->queues != QUEUES_DEFAULT)
		ok = ok && json_object_set_new(params, "queues", json_integer(p->queues)) == 0;
	return ok && (p->perm == PERM_DEFAULT || put_string(params, "perm", perm));
}

bool model_kind_get(const struct port_config *p, json_t *params)
{
	bool ok = put_string(params, "kind", model_port_kind(p));

	switch ((enum port_kind)p->kind) {
	case KIND_TAP:
		ok = ok && get_tap(p, params);
		break;
	case KIND_PACKET:
		ok = ok && put_string(params, "dev", p->dev);
		if (p->driver == DRIVER_AUTO)
			ok = ok && put_string(params, "driver", driver_names[DRIVER_AUTO]);
		break;
	case KIND_VHOST_USER:
		ok = ok && get_vhost_user(p, params);
		break;
	case KIND_HOST:
	case KIND_MEMORY:
		break;
	}
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
	port_id host;
	int id = model_need_port(m, model_string(params, "ifname"), e);

	if (id < 0)
		return id;
	host = model_host(m, m->port[id].bridge);
	if (m->port[id].role == FWD_UPLINK && host != PORT_NONE) {
		err_set(e, EBUSY, "%s: port %s is the host's own stack on its device",
			m->port[id].name, m->port[host].name);
		return err_hint(e, "delete that one first: evb port del %s", m->port[host].name);
	}
	model_drop_port(m, (port_id)id);
	return 0;
}
