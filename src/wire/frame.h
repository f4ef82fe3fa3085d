// SPDX-License-Identifier: Apache-2.0
/*
 * One frame as the relay handles it: a list of segments in the memory of whoever lent it, the
 * offload header, and a VLAN tag that travels beside the octets (as AF_PACKET hands it over).
 *
 * iov[0] is the head: at least the first min(size, FRAME_HEAD_SIZE) octets of the frame, in memory
 * that nobody else writes during the turn (a copy, when the source is a guest's memory). Checks
 * read the head only, and receivers get the head, so what was checked is what is delivered.
 */
#ifndef EVB_WIRE_FRAME_H
#define EVB_WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "vnet.h"

enum {
	FRAME_HEAD_SIZE = 128,
	FRAME_SIZE_MAX = 65536 + 64, /* largest GSO frame: 64 KiB of IP packet and its L2 header */
	ETH_HEADER_SIZE = 14,
	ETH_TAG_SIZE = 4,
};

struct frame {
	const struct iovec *iov; /* iov[0] is the head; lent until the end of the turn */
	struct vnet_hdr vnet;	 /* offsets count from iov[0], without the tag beside */
	uint16_t n_iov;		 /* 1 at least */
	uint32_t size;		 /* octets of all segments together */
	uint16_t tpid;		 /* EtherType of the tag beside the octets; 0: no such tag */
	uint16_t tci;		 /* its PCP, DEI and VID */
};

/*
 * Copy the first `size` octets of `f` to `to`, from as many segments as hold them; returns how
 * many there were.
 */
static inline uint32_t frame_head_copy(const struct frame *f, uint8_t *to, uint32_t size)
{
	uint32_t n = 0;

	for (uint16_t i = 0; i < f->n_iov && n < size; i++) {
		size_t part = f->iov[i].iov_len;

		if (part > size - n)
			part = size - n;
		memcpy(to + n, f->iov[i].iov_base, part);
		n += (uint32_t)part;
	}
	return n;
}

/*
 * The `size` octets of `f` from *offset of segment *idx on, or as many as there are, as segments in
 * `iov`; moves *idx and *offset behind them. Returns the number of segments.
 */
static inline uint16_t frame_slice(const struct frame *f, uint16_t *idx, size_t *offset,
				   size_t size, struct iovec *iov)
{
	uint16_t n = 0;

	while (size && *idx < f->n_iov) {
		const struct iovec *from = &f->iov[*idx];
		size_t part = from->iov_len - *offset;

		if (part > size)
			part = size;
		iov[n++] = (struct iovec){ (uint8_t *)from->iov_base + *offset, part };
		size -= part;
		*offset += part;
		if (*offset == from->iov_len) {
			*offset = 0;
			++*idx;
		}
	}
	return n;
}

/* Move *idx, *offset from the start of the frame to octet `at`. */
static inline void frame_seek(const struct frame *f, uint16_t *idx, size_t *offset, size_t at)
{
	*idx = 0;
	while (*idx < f->n_iov && at >= f->iov[*idx].iov_len)
		at -= f->iov[(*idx)++].iov_len;
	*offset = at;
}

#endif
