// SPDX-License-Identifier: Apache-2.0
/*
 * The VSI manager: the one place where it is known what a VSI may do. The bridge's side of VDP
 * (proto/vdp_bridge.h, by way of plane_gate.c) asks; whoever implements `ask` answers, then or
 * before resourceWaitDelay is over, by the function that the question names. Here that is the VSI
 * types of the configuration, at once; a store that several bridges share can take its place.
 * Control thread.
 */
#ifndef EVB_DAEMON_MANAGER_H
#define EVB_DAEMON_MANAGER_H

#include "model.h"
#include "vdp_bridge.h"

struct manager_question {
	port_id port;
	struct vdp_ticket ticket;
	const struct vdp_assoc *asked; /* as long as `ask` runs, as is `held` */
	const struct vdp_assoc *held;  /* what stands of the VSI; request 0: nothing */
	void (*answer)(void *aux, port_id port, struct vdp_ticket ticket,
		       const struct vdp_decision *decision);
	void *aux;
};

struct manager {
	void (*ask)(void *ctx, const struct manager_question *q);
	void *ctx;
};

/*
 * What the types of a model say of a request, or of what stands: unknown types, addresses and
 * VLANs that the type does not allow, and VID 0 of a type without default VLAN are refused; then
 * what stood before ends if the type does not allow that either. Accepted: `filters` has all VIDs.
 * Refusals are hard only where the type says so: who configures the types may change his mind.
 */
struct vdp_decision manager_decide(const struct model *m, const struct vdp_assoc *asked,
				   const struct vdp_assoc *held, struct vdp_filters *filters);

#endif
