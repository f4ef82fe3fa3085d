// SPDX-License-Identifier: Apache-2.0
/* What control_fuzz.c has in place of the plane: VSIs of which none is associated. */
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

bool plane_vsi_limits(const struct plane *p, port_id id, const struct vsi_id *vsi,
		      struct plane_vsi_limits *out)
{
	return false;
}

void plane_associated_each(const struct plane *p, plane_learned_cb *cb, void *aux)
{
}

bool plane_gate_refused(const struct plane *p, port_id id, struct plane_vsi_info *out)
{
	return plane_vsi_status(p, id, out);
}
