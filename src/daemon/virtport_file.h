// SPDX-License-Identifier: Apache-2.0
/*
 * The file in which VSIs of libvirt outlive evbd, beside the control socket: what was asked for,
 * and who is to be told of an end. It is written whole and renamed into place, and what was read is
 * believed whole or not at all. Control thread; the codec is pure.
 *
 *   "EVBL" | version 1, 0: 2 octets | count: 2 octets | per VSI: VIRTPORT_KEPT_SIZE octets
 */
#ifndef EVB_DAEMON_VIRTPORT_FILE_H
#define EVB_DAEMON_VIRTPORT_FILE_H

#include "err.h"
#include "virtport_message.h"

enum {
	VIRTPORTS_MAX = 4096,
	VIRTPORT_HEAD_SIZE = 8,
	VIRTPORT_KEPT_SIZE = 64,
	VIRTPORT_FILE_MAX = VIRTPORT_HEAD_SIZE + VIRTPORTS_MAX * VIRTPORT_KEPT_SIZE,
};

/* A VSI as the next evbd has to know it. */
struct virtport_kept {
	struct virtport port;  /* as asked for last */
	uint32_t port_id, seq; /* of netlink: who is told of an end */
	int tap;	       /* ifindex of the guest's macvtap; 0: it is not known */
};

/* `n` of them to VIRTPORT_HEAD_SIZE + n * VIRTPORT_KEPT_SIZE octets. */
void virtport_encode(const struct virtport_kept *v, uint32_t n, uint8_t *out);

/*
 * The octets of a file to `out`, which has room for VIRTPORTS_MAX. NULL and `n` set, or what is
 * wrong with them.
 */
const char *virtport_decode(const uint8_t *octets, size_t size, struct virtport_kept *out,
			    uint32_t *n);

/* None: no file. 0 or -errno, and the file is as it was. */
int virtport_save(const char *path, const struct virtport_kept *v, uint32_t n);

/* `*out`, to be freed, and how many; 0 without a file; or -errno with `e` set. */
int virtport_load(const char *path, struct virtport_kept **out, struct err *e);

#endif
