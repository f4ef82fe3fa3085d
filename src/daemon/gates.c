// SPDX-License-Identifier: Apache-2.0
#include "gates.h"

#include <stdlib.h>
#include <string.h>

#include "view.h"

void gates_free(struct gates *g)
{
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

	if (g->n_entries - had + gate->assoc.filters.n > MACS_MAX)
		return false;
	if (g->n == g->max) {
		uint32_t max = g->max ? 2 * g->max : 16;
		struct gate *larger = reallocarray(g->gate, max, sizeof(*larger));

		if (!larger)
			return false;
		g->gate = larger;
		g->max = max;
	}
	if (i >= 0)
		remove_at(g, (uint32_t)i);
	g->gate[g->n++] = *gate;
	g->n_entries += gate->assoc.filters.n;
	return true;
}

bool gates_remove(struct gates *g, port_id port, const struct vsi_id *id)
{
	int i = find(g, port, id);

	if (i >= 0)
		remove_at(g, (uint32_t)i);
	return i >= 0;
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

void gates_rates(const struct gates *g, port_id port, uint64_t *in, uint64_t *out)
{
	bool no_in = false, no_out = false;

	*in = *out = 0;
	for (uint32_t i = 0; i < g->n; i++) {
		const struct gate *gate = &g->gate[i];

		if (gate->port != port || gate->assoc.request != VDP_ASSOCIATE)
			continue;
		*in += gate->rate_in;
		*out += gate->rate_out;
		no_in |= !gate->rate_in;
		no_out |= !gate->rate_out;
	}
	if (no_in)
		*in = 0;
	if (no_out)
		*out = 0;
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

	out->n_pairs = out->n_any = 0;
	for (uint32_t i = g->n; i-- > 0;) {
		const struct gate *gate = &g->gate[i];
		int bridge = bridge_of(aux, gate);

		for (uint16_t k = 0; bridge >= 0 && entry_at(gate, k, &f); k++) {
			struct owner o = { .mac = f.mac,
					   .port = gate->port,
					   .fid = owners_fid((bridge_id)bridge, f.vid),
					   .vid = f.vid,
					   .flags = OWNER_STATIC };

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
