// SPDX-License-Identifier: Apache-2.0
#include "model_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *method;
	int (*apply)(struct model *m, const json_t *params, struct err *e);
} requests[] = {
	{ "bridge.add", model_bridge_add },   { "bridge.set", model_bridge_set },
	{ "bridge.del", model_bridge_del },   { "port.add", model_port_add },
	{ "port.set", model_port_set },	      { "port.del", model_port_del },
	{ "fdb.add", model_fdb_add },	      { "fdb.del", model_fdb_del },
	{ "vsi.add", model_vsi_add },	      { "vsi.set", model_vsi_set },
	{ "vsi.del", model_vsi_del },	      { "vsitype.add", model_vsitype_add },
	{ "vsitype.set", model_vsitype_set }, { "vsitype.del", model_vsitype_del },
};

int model_apply(struct model *m, const char *method, const json_t *params, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		if (strcmp(requests[i].method, method) == 0)
			return requests[i].apply(m, params, e);
	}
	err_set(e, EINVAL, "%.64s does not change the configuration", method);
	return err_hint(
		e, "a configuration holds add, set and del of bridge, port, fdb, vsi, vsitype");
}

/* Memory. */

void model_init(struct model *m)
{
	*m = (struct model){ 0 };
}

void model_free(struct model *m)
{
	free(m->bridge);
	free(m->port);
	free(m->fdb);
	free(m->vsitype);
	model_init(m);
}

/* Copy of `n` items in `*out`, NULL for none; false without memory. */
static bool copy_array(void *out, const void *from, size_t n, size_t size)
{
	void *copy = n ? malloc(n * size) : NULL;

	if (n && !copy)
		return false;
	if (n)
		memcpy(copy, from, n * size);
	memcpy(out, &copy, sizeof(copy));
	return true;
}

bool model_copy(struct model *to, const struct model *from)
{
	struct model copy = {
		.n_bridges = from->n_bridges,
		.n_ports = from->n_ports,
		.n_fdb = from->n_fdb,
		.n_vsitypes = from->n_vsitypes,
		.max_bridges = from->n_bridges,
		.max_ports = from->n_ports,
		.max_fdb = from->n_fdb,
		.max_vsitypes = from->n_vsitypes,
	};

	if (!copy_array(&copy.bridge, from->bridge, from->n_bridges, sizeof(*copy.bridge)) ||
	    !copy_array(&copy.port, from->port, from->n_ports, sizeof(*copy.port)) ||
	    !copy_array(&copy.fdb, from->fdb, from->n_fdb, sizeof(*copy.fdb)) ||
	    !copy_array(&copy.vsitype, from->vsitype, from->n_vsitypes, sizeof(*copy.vsitype))) {
		model_free(&copy);
		return false;
	}
	model_free(to);
	*to = copy;
	return true;
}

/* Make room for one more; `array` is the address of the pointer. False without memory. */
static bool grow(void *array, uint32_t n, uint32_t *max, size_t size)
{
	uint32_t larger = *max ? 2 * *max : 8;
	void *old, *grown;

	if (n < *max)
		return true;
	memcpy(&old, array, sizeof(old));
	grown = reallocarray(old, larger, size);
	if (!grown)
		return false;
	memcpy(array, &grown, sizeof(grown));
	*max = larger;
	return true;
}

int model_no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}

/* Slots. */

int model_take_bridge(struct model *m, const char *name, struct err *e)
{
	uint32_t b = 0;

	while (b < m->n_bridges && m->bridge[b].name[0])
		b++;
	if (b == BRIDGES_MAX) {
		err_set(e, ENOSPC, "%s: there are %d bridges, which is the limit", name,
			BRIDGES_MAX);
		return err_hint(e, "delete one that is not needed: evb bridge del NAME");
	}
	if (!grow(&m->bridge, b, &m->max_bridges, sizeof(*m->bridge)))
		return model_no_memory(e);
	if (b == m->n_bridges)
		m->n_bridges++;
	return (int)b;
}

int model_take_port(struct model *m, const char *name, struct err *e)
{
	uint32_t id = 0;

	while (id < m->n_ports && m->port[id].name[0])
		id++;
	if (id == PORTS_MAX) {
		err_set(e, ENOSPC, "%s: there are %d ports, which is the limit", name, PORTS_MAX);
		return err_hint(e, "delete one that is not needed: evb port del NAME");
	}
	if (!grow(&m->port, id, &m->max_ports, sizeof(*m->port)))
		return model_no_memory(e);
	if (id == m->n_ports)
		m->n_ports++;
	return (int)id;
}

void model_drop_bridge(struct model *m, bridge_id b)
{
	m->bridge[b].name[0] = '\0';
	while (m->n_bridges && !m->bridge[m->n_bridges - 1].name[0])
		m->n_bridges--;
}

void model_drop_port(struct model *m, port_id id)
{
	for (uint32_t i = m->n_fdb; i-- > 0;) {
		if (m->fdb[i].port == id)
			model_fdb_remove(m, i);
	}
	m->port[id].name[0] = '\0';
	while (m->n_ports && !m->port[m->n_ports - 1].name[0])
		m->n_ports--;
}

int model_fdb_append(struct model *m, const struct fdb_config *entry, struct err *e)
{
	if (!grow(&m->fdb, m->n_fdb, &m->max_fdb, sizeof(*m->fdb)))
		return model_no_memory(e);
	m->fdb[m->n_fdb++] = *entry;
	return 0;
}

void model_fdb_remove(struct model *m, uint32_t idx)
{
	m->n_fdb--;
	memmove(&m->fdb[idx], &m->fdb[idx + 1], (m->n_fdb - idx) * sizeof(*m->fdb));
}

int model_vsitype_append(struct model *m, const struct vsitype_config *type, struct err *e)
{
	if (!grow(&m->vsitype, m->n_vsitypes, &m->max_vsitypes, sizeof(*m->vsitype)))
		return model_no_memory(e);
	m->vsitype[m->n_vsitypes++] = *type;
	return 0;
}

/* Looking up. */

int model_find_bridge(const struct model *m, const char *name)
{
	for (uint32_t b = 0; *name && b < m->n_bridges; b++) {
		if (strcmp(m->bridge[b].name, name) == 0)
			return (int)b;
	}
	return -1;
}

int model_find_port(const struct model *m, const char *name)
{
	for (uint32_t id = 0; *name && id < m->n_ports; id++) {
		if (strcmp(m->port[id].name, name) == 0)
			return (int)id;
	}
	return -1;
}

port_id model_uplink(const struct model *m, bridge_id b, int id)
{
	for (uint32_t i = (uint32_t)(id + 1); i < m->n_ports; i++) {
		const struct port_config *p = &m->port[i];

		if (p->name[0] && p->bridge == b && p->role == FWD_UPLINK)
			return (port_id)i;
	}
	return PORT_NONE;
}

port_id model_host(const struct model *m, bridge_id b)
{
	for (uint32_t id = 0; id < m->n_ports; id++) {
		const struct port_config *p = &m->port[id];

		if (p->name[0] && p->bridge == b && p->kind == KIND_HOST)
			return (port_id)id;
	}
	return PORT_NONE;
}

vid_t model_pvid(const struct port_config *p)
{
	return p->has_trunk || p->role == FWD_UPLINK ? p->native : p->vlan;
}

bool model_port_has_vlan(const struct port_config *p, vid_t vid)
{
	return p->has_trunk ? vlan_set_has(&p->trunk, vid) : p->vlan == vid;
}

/* Names for messages. */

enum { NAMES_MAX = 5 };

/* Append the n-th name of a list, 0 first, unless it is one too many. */
static void list_add(char out[NAMES_SIZE], unsigned n, const char *name)
{
	size_t used = strlen(out);

	if (n < NAMES_MAX)
		snprintf(out + used, NAMES_SIZE - used, "%s%s", n ? ", " : "", name);
}

static void list_end(char out[NAMES_SIZE], unsigned n)
{
	size_t used = strlen(out);

	if (n > NAMES_MAX)
		snprintf(out + used, NAMES_SIZE - used, " and %u more", n - NAMES_MAX);
}

_Static_assert(NAMES_SIZE >= NAMES_MAX * (NAME_SIZE + 2) + 20, "the longest list fits");

unsigned model_list_ports(const struct model *m, int b, char out[NAMES_SIZE])
{
	unsigned n = 0;

	out[0] = '\0';
	for (uint32_t id = 0; id < m->n_ports; id++) {
		const struct port_config *p = &m->port[id];

		if (p->name[0] && (b < 0 || (p->bridge == b && p->role != FWD_UPLINK)))
			list_add(out, n++, p->name);
	}
	list_end(out, n);
	return n;
}

static unsigned list_bridges(const struct model *m, char out[NAMES_SIZE])
{
	unsigned n = 0;

	out[0] = '\0';
	for (uint32_t b = 0; b < m->n_bridges; b++) {
		if (m->bridge[b].name[0])
			list_add(out, n++, m->bridge[b].name);
	}
	list_end(out, n);
	return n;
}

int model_need_bridge(const struct model *m, const char *name, struct err *e)
{
	int b = model_find_bridge(m, name);
	char names[NAMES_SIZE];

	if (b >= 0)
		return b;
	err_set(e, ENOENT, "%s: there is no such bridge", name);
	if (list_bridges(m, names))
		return err_hint(e, "there are: %s", names);
	return err_hint(e, "there is none yet; make it with: evb bridge add %s", name);
}

int model_need_port(const struct model *m, const char *name, struct err *e)
{
	int id = model_find_port(m, name);
	char names[NAMES_SIZE];

	if (id >= 0)
		return id;
	err_set(e, ENOENT, "%s: there is no such port", name);
	if (model_list_ports(m, -1, names))
		return err_hint(e, "there are: %s", names);
	return err_hint(e, "there is none yet; make it with: evb port add %s bridge BRIDGE tap",
			name);
}

const char *model_string(const json_t *params, const char *key)
{
	const char *s = json_string_value(json_object_get(params, key));

	return s ? s : "";
}

void model_word(char *out, size_t size, const char *word)
{
	snprintf(out, size, "%s", word);
}
