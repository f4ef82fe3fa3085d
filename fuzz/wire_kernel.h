// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's side of packet sockets and AF_XDP sockets, in this process: the linker puts it in
 * front of the system calls (meson.build). It gives frames in, with any metadata, and checks how
 * the ports treat its rings. What a port may not read is poisoned, with AddressSanitizer.
 */
#ifndef EVB_FUZZ_WIRE_KERNEL_H
#define EVB_FUZZ_WIRE_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "vnet.h"

enum { WIRE_SOCKETS = 2, WIRE_WAITING_MAX = 64 };

/* A frame that waits on the wire, with what a packet socket says of it. */
struct wire_frame {
	const uint8_t *octets;
	uint32_t size;
	struct vnet_hdr vnet;
	uint16_t status, tci, tpid; /* of struct tpacket_auxdata */
	bool has_aux, is_error;	    /* error: recvmmsg() fails once in its place */
	uint8_t cut;		    /* so many octets of the offload header are missing */
};

/* Of AF_XDP sockets to be opened: do they say that they have zero copy? */
void wire_kernel_zero_copy(bool has);

/* The wire takes nothing / all that is sent. */
void wire_kernel_jam(bool is_jammed);

/* Called for every frame that leaves. */
typedef void wire_sent(const uint8_t *octets, uint32_t size);
void wire_kernel_sent(wire_sent *sent);

/* What every packet socket finds next; lent. */
void wire_kernel_queue(const struct wire_frame *f, unsigned n);
unsigned wire_kernel_left(void);

/* Receive a frame by queue `queue` of the device `ifindex`; false: no chunk to put it in. */
bool wire_kernel_xdp(int ifindex, unsigned queue, const uint8_t *octets, uint32_t size);

/* After a run: everything given to ports is theirs no more. */
void wire_kernel_settle(void);

#endif
