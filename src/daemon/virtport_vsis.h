// SPDX-License-Identifier: Apache-2.0
/*
 * The VSIs that libvirt asked for: has them associated by the uplink of ours on their device, knows
 * what became of each until that was told, and keeps them in a file (virtport_file.h) for the next
 * evbd. It knows messages of netlink, but no socket. Control thread.
 *
 *   PENDING ─▶ STANDS ─▶ OVER ─▶ (forgotten)
 *      ▲         │
 *      └── DUE ◀─┘  evbd or the uplink began anew; or libvirt asked for an end too early, or was
 *                   not there to hear of one: it is ours to ask
 *
 * What we ask for by ourselves has to have a guest. One whose macvtap device is gone is
 * de-associated. Of one that never had one, libvirt is told of an end, and asks if it is there.
 */
#ifndef EVB_DAEMON_VIRTPORT_VSIS_H
#define EVB_DAEMON_VIRTPORT_VSIS_H

#include "log.h"
#include "loop.h"
#include "plane.h"
#include "virtport_file.h"

struct virtport_vsis;

struct virtport_teller {
	/* Tell who asked for it that it is over. 0; -EAGAIN: later; -errno: nobody is there. */
	int (*ended)(void *aux, const struct virtport_kept *v);
	void *aux;
};

/*
 * With what the last evbd left in `folder`, to be asked for again. NULL without memory. The
 * arguments must outlive it, but for `folder`.
 */
struct virtport_vsis *virtport_vsis_new(struct loop *loop, struct plane *plane,
					const struct log *log, const char *folder,
					struct virtport_teller teller);

/* The file stays. NULL is legal. */
void virtport_vsis_free(struct virtport_vsis *s);

/*
 * 0, or -errno as lldpad says it, and nothing has changed: -ENODEV: no uplink of ours on the
 * device speaks EVB; -EEXIST: another guest, or a port, has the instance; those of
 * vdp_station_request().
 */
int virtport_vsis_request(struct virtport_vsis *s, const struct virtport_kept *asked);

/* What has become of those of the device, as far as there is room, the last request in front. */
void virtport_vsis_list(struct virtport_vsis *s, const char *dev, struct nlmsghdr *answer);

#endif
