// SPDX-License-Identifier: Apache-2.0
/*
 * XDP ports: AF_XDP on an Ethernet device, which stays the host's. An XDP program (bpf/uplink.h)
 * gives evbd the frames that are for guests alone, which lie in memory shared with the kernel, or
 * with the device if its driver can (zero copy). All others go to the host as ever, and a packet
 * port on the same device hears of them what guests must have, too: group frames; what comes in a
 * queue without a socket; what a guest only watches. Frames are sent by AF_XDP, without offloads.
 *
 *              ┌ owned unicast ─▶ AF_XDP sockets, one a queue ┐
 *   device ─▶ XDP                                             ├─▶ rx()
 *              └ the rest ─▶ host ─▶ (copies) packet port ────┘
 *
 * So two frames of one source, destination and VLAN come one way, and in order.
 */
#ifndef EVB_PORT_XDP_H
#define EVB_PORT_XDP_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "packet.h"
#include "port.h"

/* How the device is to be used. */
struct xdp_spec {
	int ifindex;
	const char *dev;
	uint32_t mtu;	/* of the device */
	bool must_gain; /* refuse what is no faster than a packet port: only zero copy will do */
};

/*
 * Attach to a device. `rest_take` is a packet port on it, which belongs to the new port, and to
 * the caller still if it fails. -errno with `e` set; nothing is left behind then.
 */
int xdp_port_new(struct port **out, const struct xdp_spec *spec, struct port *rest_take,
		 unsigned n_workers, struct err *e);

/* The packet port that hears the rest, for what else it can be told; `p` itself if it is one. */
struct port *xdp_port_rest(struct port *p);

/* What guests want of the device. */
enum xdp_wants {
	XDP_WANTS_OWNED,  /* frames for their addresses, and group frames */
	XDP_WANTS_COPIES, /* and copies of all others, which the host or nobody gets */
	XDP_WANTS_ALL,	  /* all unicast: the host gets none */
};

/* As packet_port_listen(), for either kind of port. 0 or -errno. */
int xdp_port_listen(struct port *p, const struct mac *mac, unsigned n, enum xdp_wants wants);

/* What came of it, to show. */
struct xdp_info {
	bool is_native, is_zero_copy;
	bool sees_tags;	   /* else a VLAN tag that the device takes out of the octets is lost */
	unsigned n_queues; /* with a socket */
	uint32_t mtu_max;  /* that its buffers have room for */
	uint64_t dropped;  /* by the kernel: the rings were full */
};

/* Fill `out`. False: it is no XDP port. */
bool xdp_port_info(const struct port *p, struct xdp_info *out);

#endif
