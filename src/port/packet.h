// SPDX-License-Identifier: Apache-2.0
/*
 * Packet ports: AF_PACKET on any Ethernet device. The device stays the host's: its addresses,
 * routes and own traffic are not touched; evbd gets a copy of what is received, and its own
 * transmissions are not received again. Frames go through with their offload header both ways
 * (PACKET_VNET_HDR), in batches of recvmmsg and sendmmsg (ARCHITECTURE.md: why not rings).
 */
#ifndef EVB_PORT_PACKET_H
#define EVB_PORT_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "port.h"

/*
 * A packet socket bound to device `ifindex` of the calling thread's network namespace: the fd, or
 * -errno with `e` set. `dev` is for messages.
 */
int packet_open(int ifindex, const char *dev, struct err *e);

/*
 * A port on the socket `fd`, which it takes. `offload`: pass GSO and partial checksums to the
 * device (else the relay does them in software). NULL without memory.
 */
struct port *packet_port_new(int fd_take, int ifindex, bool offload, unsigned n_workers);

/*
 * The host's own stack on the device is a port of the relay, or is no more (bpf/host.h): frames
 * carry the mark that its programs know, and those that have it are not received. 0 or -errno.
 */
int packet_port_set_host(struct port *p, bool has_host);

/* Which frames of the device are the port's: S-channels share it with each other. */
enum packet_stag {
	PACKET_STAG_ANY,  /* all: the device is the port's alone */
	PACKET_STAG_NONE, /* those without an S-tag */
	PACKET_STAG_ONE,  /* those with the S-tag of one VLAN */
	PACKET_STAG_DEAF, /* none */
	PACKET_CONTROL,	  /* LLDP and ECP for the bridge itself: others forward the rest */
};

/* PACKET_STAG_ANY at first. `svid`: of PACKET_STAG_ONE. 0 or -errno. */
int packet_port_set_stag(struct port *p, enum packet_stag stag, vid_t svid);

/*
 * What the device must listen to beside its own address: the unicast addresses in `mac`, all
 * multicast, or everything (promiscuous). Differences to the last call are applied. 0 or -errno.
 */
int packet_port_listen(struct port *p, const struct mac *mac, unsigned n, bool everything);

#endif
