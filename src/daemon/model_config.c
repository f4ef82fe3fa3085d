// SPDX-License-Identifier: Apache-2.0
/*
 * The model as requests: bridges, then ports, then what names ports, so that each finds what it
 * names. Only what differs from its default is said.
 */
#include "model_internal.h"

#include <string.h>

#include "value.h"

static bool put(json_t *params, const char *key, json_t *v_take)
{
	return json_object_set_new(params, key, v_take) == 0;
}

/* Append the request; takes `params`, which may be NULL for want of memory. */
static bool append(json_t *list, const char *method, json_t *params_take)
{
	json_t *request = json_object();
	bool ok =
		put(request, "params", params_take) && put(request, "method", json_string(method));

	if (ok)
		return json_array_append_new(list, request) == 0;
	json_decref(request);
	return false;
}

/* Is `uplink DEV` of bridge.add all there is to say of the port? */
static bool is_plain_uplink(const struct port_config *p)
{
	json_t *fields = json_object();
	bool plain = p->role == FWD_UPLINK && p->kind == KIND_PACKET &&
		     strcmp(p->name, p->dev) == 0 && model_fields_get(p, fields) &&
		     json_object_size(fields) == 0;

	json_decref(fields);
	return plain;
}

/*
 * Is the port made by bridge.add? The uplinks before it must be, too, or they change places; and
 * there is one driver for all.
 */
static bool is_of_bridge(const struct model *m, port_id id)
{
	bridge_id b = m->port[id].bridge;

	for (port_id u = model_uplink(m, b, -1); u <= id; u = model_uplink(m, b, u)) {
		if (!is_plain_uplink(&m->port[u]) || m->port[u].driver != m->port[id].driver)
			return false;
		if (u == id)
			return true;
	}
	return false;
}

/* The devices of such uplinks, as in eth0,eth1. */
static bool put_uplinks(const struct model *m, bridge_id b, json_t *params)
{
	enum device_driver driver = DRIVER_AUTO;
	json_t *list = NULL, *longer;
	bool ok = true;

	for (port_id u = model_uplink(m, b, -1); ok && u != PORT_NONE && is_of_bridge(m, u);
	     u = model_uplink(m, b, u)) {
		longer = list ? json_sprintf("%s,%s", json_string_value(list), m->port[u].dev) :
				json_string(m->port[u].dev);
		ok = longer != NULL;
		driver = (enum device_driver)m->port[u].driver;
		json_decref(list);
		list = longer;
	}
	return ok && (!list || put(params, "uplink", list)) &&
	       (driver == DRIVER_AUTO ||
		put(params, "driver", json_string(model_driver_name(driver))));
}

static json_t *bridge_params(const struct model *m, bridge_id b)
{
	const struct bridge_config *c = &m->bridge[b];
	json_t *params = json_object();
	bool ok = put(params, "bridge", json_string(c->name));

	if (c->is_learning)
		ok = ok && put(params, "type", json_string(c->is_kernel ? "kernel" : "learning"));
	ok = ok && put_uplinks(m, b, params);
	if (c->ageing_s != AGEING_DEFAULT)
		ok = ok && put(params, "ageing", json_integer(c->ageing_s));
	if (c->updelay_ms != UPDELAY_DEFAULT)
		ok = ok && put(params, "updelay", json_integer(c->updelay_ms));
	if (c->falls_back)
		ok = ok && put(params, "vepa-fallback", json_string("local"));
	if (c->snooping)
		ok = ok && put(params, "snooping", json_true());
	if (ok)
		return params;
	json_decref(params);
	return NULL;
}

static json_t *port_params(const struct model *m, const struct port_config *p)
{
	json_t *params = json_object();
	bool ok = put(params, "ifname", json_string(p->name)) &&
		  put(params, "bridge", json_string(m->bridge[p->bridge].name)) &&
		  model_kind_get(p, params);

	if (p->role == FWD_UPLINK)
		ok = ok && put(params, "role", json_string("uplink"));
	if (ok && model_fields_get(p, params))
		return params;
	json_decref(params);
	return NULL;
}

static json_t *fdb_params(const struct model *m, const struct fdb_config *f)
{
	const struct port_config *p = &m->port[f->port];
	json_t *params = json_object();
	char text[VALUE_MAC_SIZE];
	bool ok = put(params, "mac", json_string(value_mac_format(f->mac, text))) &&
		  put(params, "port", json_string(p->name));

	if (f->vid != model_pvid(p))
		ok = ok && put(params, "vlan", json_integer(f->vid));
	if (ok)
		return params;
	json_decref(params);
	return NULL;
}

/* Those that are host ports, which want their uplink to be there, or the others. */
static bool append_ports(const struct model *m, json_t *list, bool host)
{
	bool ok = true;

	for (uint32_t id = 0; ok && id < m->n_ports; id++) {
		const struct port_config *p = &m->port[id];

		if (p->name[0] && (p->kind == KIND_HOST) == host && !is_of_bridge(m, (port_id)id))
			ok = append(list, "port.add", port_params(m, p));
	}
	return ok;
}

json_t *model_requests(const struct model *m)
{
	json_t *list = json_array();
	bool ok = list != NULL;

	for (uint32_t b = 0; ok && b < m->n_bridges; b++) {
		if (m->bridge[b].name[0])
			ok = append(list, "bridge.add", bridge_params(m, (bridge_id)b));
	}
	ok = ok && append_ports(m, list, false) && append_ports(m, list, true);
	for (uint32_t i = 0; ok && i < m->n_fdb; i++)
		ok = append(list, "fdb.add", fdb_params(m, &m->fdb[i]));
	for (uint32_t i = 0; ok && i < m->n_vsitypes; i++)
		ok = append(list, "vsitype.add", model_vsitype_params(&m->vsitype[i]));
	for (uint32_t id = 0; ok && id < m->n_ports; id++) {
		if (m->port[id].name[0] && m->port[id].vsi.is_set)
			ok = append(list, "vsi.add", model_vsi_params(&m->port[id]));
	}
	if (ok)
		return list;
	json_decref(list);
	return NULL;
}
