// SPDX-License-Identifier: Apache-2.0
/*
 * Devices beneath ports. They are the host's, and are asked when somebody wants to know; only the
 * mode of a NIC's own switch is set here, and it is the NIC that keeps it.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

#include "broker.h"
#include "methods.h"
#include "netlink.h"
#include "nic.h"
#include "value.h"

static const char *operstate_name(uint8_t state)
{
	static const char *const name[] = { "UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN",
					    "TESTING", "DORMANT",    "UP" };

	return state < ARRAY_SIZE(name) ? name[state] : "UNKNOWN";
}

static const char *xdp_name(uint8_t mode)
{
	static const char *const name[] = { [XDP_ATTACHED_DRV] = "native",
					    [XDP_ATTACHED_SKB] = "generic",
					    [XDP_ATTACHED_HW] = "offload",
					    [XDP_ATTACHED_MULTI] = "several" };

	return mode < ARRAY_SIZE(name) ? name[mode] : NULL;
}

/* Does the port stand on a device that is there without it? */
static bool has_device(const struct port_config *c)
{
	return c->name[0] && c->dev[0] && c->kind != KIND_TAP;
}

/* Names of the ports that stand on the device. */
static json_t *ports_on(const struct model *m, const char *dev)
{
	json_t *list = json_array();

	for (uint32_t i = 0; list && i < m->n_ports; i++)
		if (has_device(&m->port[i]) && !strcmp(m->port[i].dev, dev))
			json_array_append_new(list, json_string(m->port[i].name));
	return list;
}

/* The first port on the device that has something to say of its switch. */
static const char *warning(const struct methods *m, const char *dev, struct plane_status *st)
{
	const struct model *model = plane_model(m->plane);

	for (uint32_t i = 0; i < model->n_ports; i++) {
		if (!has_device(&model->port[i]) || strcmp(model->port[i].dev, dev) != 0)
			continue;
		plane_port_status(m->plane, (port_id)i, st);
		if (st->operstate == PLANE_UP && st->reason[0])
			return st->reason;
	}
	return NULL;
}

static json_t *link_json(const struct methods *m, const struct link_info *link)
{
	char mac[VALUE_MAC_SIZE];
	struct plane_status st;
	struct nic nic;
	const char *xdp, *why = warning(m, link->name, &st);

	nic_get(link, &nic);
	xdp = xdp_name(nic.xdp_mode);
	return json_pack("{s:s, s:s*, s:s*, s:s, s:b, s:i, s:s, s:s*, s:i, s:o*, s:o, s:s*, s:s*}",
			 "ifname", link->name, "kind", link->kind[0] ? link->kind : NULL, "driver",
			 nic.driver[0] ? nic.driver : NULL, "operstate",
			 operstate_name(link->operstate), "carrier", link_is_running(link), "mtu",
			 (int)link->mtu, "address", value_mac_format(link->mac, mac), "hwmode",
			 nic_hwmode_name((enum nic_hwmode)nic.hwmode), "num_vf", (int)nic.n_vfs,
			 "xdp",
			 xdp ? json_pack("{s:s, s:i}", "mode", xdp, "id", (int)nic.xdp_prog) : NULL,
			 "ports", ports_on(plane_model(m->plane), link->name), "reason", why,
			 "hint", why ? st.hint : NULL);
}

/* Is this the first port on its device? */
static bool is_first_on(const struct model *m, uint32_t id)
{
	for (uint32_t i = 0; i < id; i++)
		if (has_device(&m->port[i]) && !strcmp(m->port[i].dev, m->port[id].dev))
			return false;
	return true;
}

json_t *show_links(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	const struct model *model = plane_model(m->plane);
	const char *only = json_string_value(json_object_get(params, "dev"));
	json_t *list = json_array();
	struct link_info link;

	if (only && netlink_link_get(only, &link) == 0) {
		json_array_append_new(list, link_json(m, &link));
	} else if (only) {
		json_decref(list);
		rpc_fail(error, RPC_REFUSED, ENODEV, "%s: there is no such device", only);
		err_hint(&error->err, "without a name, those that ports stand on are shown");
		return NULL;
	}
	for (uint32_t i = 0; !only && i < model->n_ports; i++)
		if (has_device(&model->port[i]) && is_first_on(model, i) &&
		    netlink_link_get(model->port[i].dev, &link) == 0)
			json_array_append_new(list, link_json(m, &link));
	return list;
}

json_t *set_link(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	const char *dev = json_string_value(json_object_get(params, "dev"));
	const char *word = json_string_value(json_object_get(params, "hwmode"));
	struct err e;
	int err = broker_set_hwmode(dev, strcmp(word, "vepa") == 0, &e);

	if (!err) {
		plane_nic_changed(m->plane, dev);
		return json_object();
	}
	error->code = RPC_REFUSED;
	error->err = e;
	return NULL;
}

bool show_driver(const struct methods *m, port_id id, json_t *port)
{
	const struct port_config *c = &plane_model(m->plane)->port[id];
	const char *driver = model_driver_name((enum device_driver)c->driver);
	struct xdp_info x;
	char why[256];
	bool is_xdp = plane_port_xdp(m->plane, id, &x, why), ok;
	json_t *o = json_pack("{s:s, s:s, s:s*}", "driver", driver, "uses",
			      is_xdp ? "xdp" : "packet", "uses-why", why[0] ? why : NULL);
	json_t *more = is_xdp ? json_pack("{s:s, s:s, s:i, s:I}", "xdp-mode",
					  x.is_native ? "native" : "generic", "xdp-copy",
					  x.is_zero_copy ? "zero-copy" : "copy", "xdp-queues",
					  (int)x.n_queues, "xdp-dropped", (json_int_t)x.dropped) :
				json_object();

	ok = json_object_update(port, o) == 0 && json_object_update(port, more) == 0;
	json_decref(o);
	json_decref(more);
	return ok;
}
