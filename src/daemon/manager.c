// SPDX-License-Identifier: Apache-2.0
#include "manager.h"

static struct vdp_decision refuse(enum vdp_error error)
{
	return (struct vdp_decision){ .error = error };
}

static bool has_macs(uint8_t format)
{
	return format == VDP_FILTER_MAC_VID || format == VDP_FILTER_GROUP_MAC_VID;
}

/* Does the type allow the entry? A VID of 0 becomes the default VLAN. */
static bool admit(const struct vsitype_config *t, uint8_t format, struct vdp_filter *f)
{
	if (!(f->vid & VDP_VID))
		f->vid |= t->vlan;
	if (!(f->vid & VDP_VID) || !vlan_set_has(&t->vlans, f->vid & VDP_VID))
		return false;
	if (!t->macs.n)
		return true;
	/* A VLAN as a whole would be every address. */
	return has_macs(format) && model_macs_have(&t->macs, f->mac);
}

static bool admit_all(const struct vsitype_config *t, struct vdp_filters *filters)
{
	for (uint16_t i = 0; i < filters->n; i++) {
		struct vdp_filter f = vdp_filter_at(filters, i);

		if (!admit(t, filters->format, &f))
			return false;
		vdp_filter_set(filters, i, f);
	}
	return true;
}

/* The VIDs that were chosen for an entry stay, if the station leaves them open again. */
static void remember(struct vdp_filters *filters, const struct vdp_assoc *held)
{
	if (held->request && vdp_filters_fill(filters, &held->filters))
		*filters = held->filters;
}

static enum vdp_error judge(const struct model *m, const struct vdp_assoc *of,
			    struct vdp_filters *filters)
{
	const struct vsitype_config *t = model_vsitype(m, of);

	if (!t)
		return VDP_OTHER;
	return admit_all(t, filters) ? VDP_SUCCESS : VDP_INVALID_FILTER;
}

struct vdp_decision manager_decide(const struct model *m, const struct vdp_assoc *asked,
				   const struct vdp_assoc *held, struct vdp_filters *filters)
{
	const struct vsitype_config *t;
	struct vdp_decision d;
	struct vdp_filters stood;

	*filters = asked->filters;
	remember(filters, held);
	d = refuse(judge(m, asked, filters));
	if (d.error == VDP_SUCCESS) {
		d.filters = filters;
		return d;
	}
	t = model_vsitype(m, asked);
	d.hard = t && t->refuses_hard;
	stood = held->filters;
	d.keep = held->request && judge(m, held, &stood) == VDP_SUCCESS;
	return d;
}
