// SPDX-License-Identifier: Apache-2.0
#include "gates.h"

#include <stdlib.h>
#include <string.h>

void gates_free(struct gates *g)
{
	for (uint32_t i = 0; i < g->n; i++)
		vsi_meters_put(g->gate[i].meters);
	free(g->gate);
	*g = (struct gates){ .n = 0 };
}

static int find(const struct gates *g, port_id port, const struct vsi_id *id)
{
	for (uint32_t i = g->n; i-- > 0;) {
		if (g->gate[i].port == port && vsi_id_equal(&g->gate[i].assoc.id, id))
			return (int)i;
	}
	return -1;
}

const struct gate *gates_find(const struct gates *g, port_id port, const struct vsi_id *id)
{
	int i = find(g, port, id);

	return i < 0 ? NULL : &g->gate[i];
}

static void remove_at(struct gates *g, uint32_t i)
{
	g->n--;
	g->n_entries -= g->gate[i].assoc.filters.n;
	memmove(&g->gate[i], &g->gate[i + 1], (g->n - i) * sizeof(*g->gate));
}

bool gates_put(struct gates *g, const struct gate *gate)
{
	int i = find(g, gate->port, &gate->assoc.id);
	uint32_t had = i < 0 ? 0 : g->gate[i].assoc.filters.n;
	struct vsi_meters *meters;

	if (g->n_entries - had + gate->assoc.filters.n > MACS_MAX ||
	    (i < 0 && g->n == OWNER_VSIS_MAX))
		return false;
	if (g->n == g->max) {
		uint32_t max = g->max ? 2 * g->max : 16;
		struct gate *larger = reallocarray(g->gate, max, sizeof(*larger));

		if (!larger)
			return false;
		g->gate = larger;
		g->max = max;
	}
	meters = i < 0 ? vsi_meters_new() : g->gate[i].meters;
	if (!meters)
		return false;
	if (i >= 0)
		remove_at(g, (uint32_t)i);
	g->gate[g->n] = *gate;
	g->gate[g->n++].meters = meters;
	g->n_entries += gate->assoc.filters.n;
	return true;
}

bool gates_remove(struct gates *g, port_id port, const struct vsi_id *id)
{
	int i = find(g, port, id);

	if (i < 0)
		return false;
	vsi_meters_put(g->gate[i].meters);
	remove_at(g, (uint32_t)i);
	return true;
}

static bool names_macs(const struct gate *gate)
{
	uint8_t format = gate->assoc.filters.format;

	return format == VDP_FILTER_MAC_VID || format == VDP_FILTER_GROUP_MAC_VID;
}

/* Entry `k` of a gate that lets frames pass. */
static bool entry_at(const struct gate *gate, uint16_t k, struct vdp_filter *f)
{
	if (gate->assoc.request != VDP_ASSOCIATE || k >= gate->assoc.filters.n)
		return false;
	*f = vdp_filter_at(&gate->assoc.filters, k);
	f->vid &= VDP_VID;
	return true;
}

bool gates_vlans(const struct gates *g, port_id port, struct vlan_set *out)
{
	struct vdp_filter f;
	bool any = false;

	*out = (struct vlan_set){ { 0 } };
	for (uint32_t i = 0; i < g->n; i++) {
		if (g->gate[i].port != port)
			continue;
		for (uint16_t k = 0; entry_at(&g->gate[i], k, &f); k++) {
			vlan_set_add(out, f.vid);
			any |= !names_macs(&g->gate[i]);
		}
	}
	return any;
}

bool gates_any(const struct gates *g, port_id port, vid_t vid)
{
	struct vdp_filter f;

	for (uint32_t i = 0; i < g->n; i++) {
		if (g->gate[i].port != port || names_macs(&g->gate[i]))
			continue;
		for (uint16_t k = 0; entry_at(&g->gate[i], k, &f); k++) {
			if (f.vid == vid)
				return true;
		}
	}
	return false;
}

/* Does it let frames pass, within limits of its own? */
static bool is_metered(const struct gate *gate)
{
	struct vdp_filter f;

	return gate->limit.set && entry_at(gate, 0, &f);
}

unsigned gates_metered(const struct gates *g, port_id port)
{
	unsigned set = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		if (g->gate[i].port == port && is_metered(&g->gate[i]))
			set |= g->gate[i].limit.set;
	}
	return (set & METERS_IN ? METERS_VSI_IN : 0) | (set & METERS_OUT ? METERS_VSI_OUT : 0);
}

static void swap(struct owner *a, struct owner *b)
{
	struct owner was = *a;

	*a = *b;
	*b = was;
}

void gates_owners(const struct gates *g, int (*bridge_of)(const void *aux, const struct gate *gate),
		  const void *aux, struct gates_out *out)
{
	struct vdp_filter f;
	uint32_t n_private = 0; /* in front: of a VLAN's entries the first counts */

	out->n_pairs = out->n_any = out->n_vsis = 0;
	for (uint32_t i = g->n; i-- > 0;) {
		const struct gate *gate = &g->gate[i];
		int bridge = bridge_of(aux, gate);
		uint32_t vsi = 0;

		if (bridge >= 0 && is_metered(gate)) {
			if (out->vsi)
				out->vsi[out->n_vsis] =
					(struct view_vsi){ gate->limit, gate->meters };
			vsi = ++out->n_vsis;
		}
		for (uint16_t k = 0; bridge >= 0 && entry_at(gate, k, &f); k++) {
			struct owner o = { .mac = f.mac,
					   .port = gate->port,
					   .fid = owners_fid((bridge_id)bridge, f.vid),
					   .vid = f.vid,
					   .flags = (uint16_t)(OWNER_STATIC |
							       vsi << OWNER_VSI_SHIFT) };

			o.flags |= gate->is_private ? OWNER_PRIVATE : 0;
			if (!names_macs(gate))
				o.fid = view_any_fid(gate->port, f.vid);
			if (names_macs(gate) && out->pair)
				out->pair[out->n_pairs++] = o;
			if (names_macs(gate) || !out->any)
				continue;
			out->any[out->n_any++] = o;
			if (gate->is_private)
				swap(&out->any[out->n_any - 1], &out->any[n_private++]);
		}
	}
}
