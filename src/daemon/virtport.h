// SPDX-License-Identifier: Apache-2.0
/*
 * Virtual ports of libvirt, <virtualport type='802.1Qbg'>: answers it by netlink in the place of
 * lldpad, so that the VSI of a guest on a macvtap device is associated by the uplink of ours that
 * stands on the same device. libvirt looks for a port ID of netlink in a file, where lldpad writes
 * its process ID. Control thread.
 *
 *   libvirt ── associate ──▶ virtport ── plane_vsi_request ──▶ agents ──▶ adjacent bridge
 *      ◀── response, when asked ──┘  ◀── outcome ────────────────┘
 *      ◀── ended, unasked ────────┘
 *
 * A VSI is known here from the request until its end was reported; what stands when evbd ends is
 * forgotten, and the bridge lets go of it in time.
 */
#ifndef EVB_DAEMON_VIRTPORT_H
#define EVB_DAEMON_VIRTPORT_H

#include "err.h"
#include "log.h"
#include "loop.h"
#include "plane.h"

struct virtport_service;

/*
 * Begin to answer, and write the port ID to the file at `path`; NULL with `e` set (lldpad runs, the
 * file cannot be written). The arguments must outlive it.
 */
struct virtport_service *virtport_new(struct loop *loop, struct plane *plane, const struct log *log,
				      const char *path, struct err *e);

/* Removes the file. NULL is legal. Before plane_free(). */
void virtport_free(struct virtport_service *s);

#endif
