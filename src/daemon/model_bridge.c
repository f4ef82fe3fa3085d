// SPDX-License-Identifier: Apache-2.0
#include "model_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

/* What an uplink that is not as `uplink DEV` makes it is added with. */
static int hint_uplink(const char *bridge, const char *dev, struct err *e)
{
	return err_hint(e,
			"leave out uplink, and then: evb port add NAME bridge %s packet %s role "
			"uplink",
			bridge, dev);
}

/* The port that `uplink DEV` stands for: a port on the device, of its name. */
static int add_uplink(struct model *m, bridge_id b, const char *dev, enum device_driver driver,
		      struct err *e)
{
	struct port_config p = model_port_default(b, FWD_UPLINK);
	int id = model_find_port(m, dev);

	if (id >= 0) {
		err_set(e, EEXIST, "%s: a port of that name exists, on bridge %s", dev,
			m->bridge[m->port[id].bridge].name);
		return hint_uplink(m->bridge[b].name, dev, e);
	}
	if (!value_name(dev)) {
		err_set(e, EINVAL, "%s: device %s cannot lend its name to the uplink port",
			m->bridge[b].name, dev);
		return hint_uplink(m->bridge[b].name, dev, e);
	}
	id = model_take_port(m, dev, e);
	if (id < 0)
		return id;
	p.kind = KIND_PACKET;
	p.driver = (uint8_t)driver;
	model_word(p.name, sizeof(p.name), dev);
	model_word(p.dev, sizeof(p.dev), dev);
	m->port[id] = p;
	return model_check_port(m, (port_id)id, e);
}

/* One for each device of a list as in eth0,eth1. */
static int add_uplinks(struct model *m, bridge_id b, const json_t *params, struct err *e)
{
	enum device_driver driver = model_driver(model_string(params, "driver"), DRIVER_AUTO);
	const char *devs = model_string(params, "uplink");
	char dev[IFNAMSIZ];
	int err = 0;

	while (!err && *devs) {
		size_t size = strcspn(devs, ",");

		snprintf(dev, sizeof(dev), "%.*s", (int)size, devs);
		err = add_uplink(m, b, dev, driver, e);
		devs += size + (devs[size] == ',');
	}
	return err;
}

static void set_number(uint32_t *to, const json_t *v, uint32_t initial)
{
	if (v)
		*to = json_is_null(v) ? initial : (uint32_t)json_integer_value(v);
}

/* The fields that `bridge set` knows. */
static int set_fields(struct bridge_config *b, const json_t *params, struct err *e)
{
	const json_t *updelay = json_object_get(params, "updelay");
	const json_t *fallback = json_object_get(params, "vepa-fallback");

	if (json_is_integer(updelay) && b->is_learning) {
		err_set(e, EINVAL, "%s: updelay is for the uplinks of an edge bridge", b->name);
		return err_hint(e, "leave it out: a learning bridge has no uplink");
	}
	if (json_is_string(fallback) && b->is_learning) {
		err_set(e, EINVAL, "%s: vepa-fallback is for the stations of an edge bridge",
			b->name);
		return err_hint(e, "leave it out: a learning bridge has no vepa ports");
	}
	set_number(&b->ageing_s, json_object_get(params, "ageing"), AGEING_DEFAULT);
	set_number(&b->updelay_ms, updelay, UPDELAY_DEFAULT);
	if (fallback)
		b->falls_back =
			json_is_string(fallback) && !strcmp(json_string_value(fallback), "local");
	if (json_object_get(params, "snooping"))
		b->snooping = json_is_true(json_object_get(params, "snooping"));
	return 0;
}

int model_bridge_add(struct model *m, const json_t *params, struct err *e)
{
	const char *name = model_string(params, "bridge"), *dev = model_string(params, "uplink");
	bool is_kernel = strcmp(model_string(params, "type"), "kernel") == 0;
	bool is_learning = is_kernel || strcmp(model_string(params, "type"), "learning") == 0;
	int b, err;

	if (model_find_bridge(m, name) >= 0) {
		err_set(e, EEXIST, "%s: a bridge of that name exists", name);
		return err_hint(e, "choose another name, or delete it first: evb bridge del %s",
				name);
	}
	if (dev[0] && is_learning) {
		err_set(e, EINVAL, "%s: a learning bridge has no uplink", name);
		return err_hint(e,
				"leave out uplink, and then: evb port add %s bridge %s packet %s",
				dev, name, dev);
	}
	if (!dev[0] && json_object_get(params, "driver")) {
		err_set(e, EINVAL, "%s: driver is for the device of an uplink", name);
		return err_hint(e, "say: uplink DEV driver ...");
	}
	b = model_take_bridge(m, name, e);
	if (b < 0)
		return b;
	m->bridge[b] = (struct bridge_config){
		.is_learning = is_learning,
		.is_kernel = is_kernel,
		.ageing_s = AGEING_DEFAULT,
		.updelay_ms = UPDELAY_DEFAULT,
	};
	model_word(m->bridge[b].name, sizeof(m->bridge[b].name), name);
	err = set_fields(&m->bridge[b], params, e);
	return err ? err : add_uplinks(m, (bridge_id)b, params, e);
}

int model_bridge_set(struct model *m, const json_t *params, struct err *e)
{
	int b = model_need_bridge(m, model_string(params, "bridge"), e);

	return b < 0 ? b : set_fields(&m->bridge[b], params, e);
}

int model_bridge_del(struct model *m, const json_t *params, struct err *e)
{
	const char *name = model_string(params, "bridge");
	int b = model_need_bridge(m, name, e);
	char names[NAMES_SIZE];
	port_id uplink;

	if (b < 0)
		return b;
	if (model_list_ports(m, b, names)) {
		err_set(e, EBUSY, "%s: it still has ports: %s", name, names);
		return err_hint(e, "delete them first: evb port del NAME");
	}
	while ((uplink = model_uplink(m, (bridge_id)b, -1)) != PORT_NONE)
		model_drop_port(m, uplink);
	model_drop_bridge(m, (bridge_id)b);
	return 0;
}
