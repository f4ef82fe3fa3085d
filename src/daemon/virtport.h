// SPDX-License-Identifier: Apache-2.0
/*
 * Virtual ports of libvirt, <virtualport type='802.1Qbg'>: answers it by netlink in the place of
 * lldpad, so that the VSI of a guest on a macvtap device is associated by the uplink of ours that
 * stands on the same device. libvirt looks for a port ID of netlink in a file, where lldpad writes
 * its process ID. Control thread.
 *
 *   libvirt ── associate ──▶ virtport ─▶ virtport_vsis ─ plane_vsi_request ─▶ agents ─▶ bridge
 *      ◀── response, when asked ──┘           ◀── outcome ───────────────────────┘
 *      ◀── ended, unasked ────────────────────┘
 */
#ifndef EVB_DAEMON_VIRTPORT_H
#define EVB_DAEMON_VIRTPORT_H

#include "err.h"
#include "log.h"
#include "loop.h"
#include "plane.h"

struct virtport_service;

struct virtport_files {
	const char *pid;    /* where libvirt looks for the port ID */
	const char *folder; /* for what is to outlive evbd: that of the control socket */
};

/*
 * Begin to answer, and write the port ID to its file; NULL with `e` set (lldpad runs, the file
 * cannot be written). The arguments must outlive it, but for `files` and `e`.
 */
struct virtport_service *virtport_new(struct loop *loop, struct plane *plane, const struct log *log,
				      const struct virtport_files *files, struct err *e);

/* Removes the file of the port ID, no VSI. NULL is legal. Before plane_free(). */
void virtport_free(struct virtport_service *s);

#endif
