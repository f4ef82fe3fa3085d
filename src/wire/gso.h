// SPDX-License-Identifier: Apache-2.0
/*
 * Software for receivers without offloads: complete a partial checksum, cut a GSO frame into
 * segments (TCP over IPv4 and IPv6, UDP L4), and tell whether an offload header fits its frame.
 * Pure; called by the worker on the way out (relay/egress) and, for the check, on the way in.
 */
#ifndef EVB_WIRE_GSO_H
#define EVB_WIRE_GSO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eth.h"
#include "frame.h"

enum {
	GSO_HEADERS_MAX = 256, /* L2 to L4 headers of a frame we segment; longer is refused */
	/*
	 * More segments than these are refused: else one frame with a gso_size of 1 would keep a
	 * worker busy for milliseconds. 64 KiB at the smallest MSS Linux sends with (48) make 1366;
	 * UDP_MAX_SEGMENTS of Linux is 128.
	 */
	GSO_TCP_SEGMENTS_MAX = 2048,
	GSO_UDP_SEGMENTS_MAX = 128,
};

/*
 * True if the offload header of `f` asks for nothing, or for something we can carry out: known
 * type, headers where it says, inside the frame, no IP fragment, checksum field inside the frame
 * and behind the IP header, gso_size not 0, not too many segments. hdr_len is not believed, only
 * kept from passing the size of the frame. `key` is that of `f`. Reads the head only, of which
 * FRAME_HEAD_SIZE octets suffice for every header chain accepted (a chain that does not end inside
 * the head is refused). Unknown flags are ignored (VIRTIO 1.2, 5.1.6.2.2).
 */
bool gso_valid(const struct frame *f, const struct eth_key *key);

/*
 * True if a receiver with offloads `can` (OFFLOAD_*) takes a frame with this header, which must be
 * gso_valid(), as it is. Without OFFLOAD_CSUM it takes no flags at all, not even DATA_VALID.
 */
bool gso_receiver_takes(const struct vnet_hdr *h, uint8_t can);

/* Octets of the longest segment `f` will be cut into; f->size if it is not a GSO frame. */
uint32_t gso_segment_size_max(const struct frame *f, const struct eth_key *key);

/*
 * Octets that `f` is on the wire, and in *segments (1 or more) how many frames: a GSO frame is as
 * it would be cut, each segment with its headers.
 */
uint64_t gso_wire_size(const struct frame *f, const struct eth_key *key, uint32_t *segments);

/*
 * Complete the partial checksum, if any, of a frame that is not GSO: `out` is `in` with nothing
 * offloaded. `iov` has room for in->n_iov + 2 segments, `head` for FRAME_SIZE_MAX octets at most of
 * which the first csum_start + csum_offset + 2 are used; both live as long as `out`.
 * False if the header does not fit the frame (see gso_valid()), or the frame is GSO.
 */
bool gso_complete_csum(struct frame *out, const struct frame *in, struct iovec *iov, uint8_t *head);

/* Cuts one GSO frame; made by gso_start(), lives no longer than the frame. Fields are private. */
struct gso_cutter {
	const struct frame *f;
	uint32_t payload_offset; /* next payload octet to send, from the start of the frame */
	uint32_t pseudo_sum;	 /* of the pseudo-header but its length */
	size_t iov_offset;	 /* that payload octet is in iov[iov_idx], here */
	uint16_t iov_idx;
	uint16_t l3_offset, l4_offset;
	uint16_t header_size; /* L2 to L4 */
	uint16_t idx;	      /* number of the segment */
	bool is_ipv6, is_udp;
};

/*
 * False if `f` cannot be cut: not a GSO frame or not gso_valid(). `f` may be what eth_retag() made:
 * headers may lie in several segments. `key` needs only ethertype and type_offset.
 */
bool gso_start(struct gso_cutter *c, const struct frame *f, const struct eth_key *key);

/*
 * The next segment, with nothing offloaded: lengths, IPv4 identification, TCP sequence number and
 * flags (FIN, PSH only in the last, CWR only in the first), and all checksums are those the kernel
 * would have made. A payload that fits one segment makes one; a tag beside the octets stays there.
 * `header` has room for GSO_HEADERS_MAX octets, `iov` for f->n_iov + 1 segments; both must live as
 * long as `out`. False when the frame is used up.
 */
bool gso_next(struct gso_cutter *c, struct frame *out, struct iovec *iov, uint8_t *header);

#endif
