// SPDX-License-Identifier: Apache-2.0
#include "model_internal.h"

#include <errno.h>
#include <string.h>

#include "value.h"

/* The port that `uplink DEV` stands for: a packet port of the device's name. */
static int add_uplink(struct model *m, bridge_id b, const char *dev, struct err *e)
{
	struct port_config p = model_port_default(b, FWD_UPLINK);
	int id = model_find_port(m, dev);

	if (id >= 0) {
		err_set(e, EEXIST, "%s: a port of that name exists, on bridge %s", dev,
			m->bridge[m->port[id].bridge].name);
		return err_hint(e,
				"leave out uplink, and then: evb port add NAME bridge %s packet "
				"%s role uplink",
				m->bridge[b].name, dev);
	}
	id = model_take_port(m, dev, e);
	if (id < 0)
		return id;
	p.kind = KIND_PACKET;
	model_word(p.name, sizeof(p.name), dev);
	model_word(p.dev, sizeof(p.dev), dev);
	m->port[id] = p;
	return model_check_port(m, (port_id)id, e);
}

int model_bridge_add(struct model *m, const json_t *params, struct err *e)
{
	const char *name = model_string(params, "bridge"), *dev = model_string(params, "uplink");
	bool is_learning = strcmp(model_string(params, "type"), "learning") == 0;
	const json_t *ageing = json_object_get(params, "ageing");
	int b;

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
	if (dev[0] && !value_name(dev)) {
		err_set(e, EINVAL, "%s: device %s cannot lend its name to the uplink port", name,
			dev);
		return err_hint(e,
				"leave out uplink, and then: evb port add NAME bridge %s packet "
				"%s role uplink",
				name, dev);
	}
	b = model_take_bridge(m, name, e);
	if (b < 0)
		return b;
	m->bridge[b] = (struct bridge_config){
		.is_learning = is_learning,
		.ageing_s = ageing ? (uint32_t)json_integer_value(ageing) : AGEING_DEFAULT,
	};
	model_word(m->bridge[b].name, sizeof(m->bridge[b].name), name);
	return dev[0] ? add_uplink(m, (bridge_id)b, dev, e) : 0;
}

int model_bridge_set(struct model *m, const json_t *params, struct err *e)
{
	const json_t *ageing = json_object_get(params, "ageing");
	int b = model_need_bridge(m, model_string(params, "bridge"), e);

	if (b < 0)
		return b;
	if (json_is_null(ageing))
		m->bridge[b].ageing_s = AGEING_DEFAULT;
	else if (ageing)
		m->bridge[b].ageing_s = (uint32_t)json_integer_value(ageing);
	return 0;
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
	uplink = model_uplink(m, (bridge_id)b);
	if (uplink != PORT_NONE)
		model_drop_port(m, uplink);
	model_drop_bridge(m, (bridge_id)b);
	return 0;
}
