// SPDX-License-Identifier: Apache-2.0
/* What control_fuzz.c has in place of agents: none, so that no VSI is associated. */
#include "plane.h"

bool plane_vsi_status(const struct plane *p, port_id id, struct plane_vsi_info *out)
{
	static const struct vdp_assoc asked;

	*out = (struct plane_vsi_info){ .state = "idle",
					.uplink = PORT_NONE,
					.reason = "",
					.hint = "",
					.asked = &asked,
					.filters = &asked.filters };
	return plane_model(p)->port[id].vsi.is_set;
}

const struct agents *plane_agents(const struct plane *p)
{
	return NULL;
}

const struct evb_link *agents_evb(const struct agents *a, port_id id)
{
	return NULL;
}

const struct lldp *agents_lldp(const struct agents *a, port_id id, enum lldp_scope scope)
{
	return NULL;
}

enum plane_reflection plane_bridge_reflection(const struct plane *p, bridge_id b)
{
	return PLANE_RR_UNASKED;
}

const char *plane_reflection_name(enum plane_reflection r)
{
	return "not negotiated";
}

const struct vsi_table *agents_vsis(const struct evb_link *l)
{
	return NULL;
}
