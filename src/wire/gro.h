// SPDX-License-Identifier: Apache-2.0
/*
 * The inverse of gso.h: consecutive TCP segments, or datagrams of one UDP socket, become one GSO
 * frame, which cut again is the same, octet for octet. The rules are those of the kernel's GRO, and
 * stricter where a GSO frame cannot tell what the segments said; see gro_run(). Pure; called by
 * relay/egress.c for receivers that take GSO frames, on the worker's thread.
 */
#ifndef EVB_WIRE_GRO_H
#define EVB_WIRE_GRO_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

enum {
	GRO_FRAMES_MAX = 64, /* of one run */
	GRO_IOV_MAX = 72,    /* segments of memory in a frame that was made */
	GRO_FLOWS_MAX = 16,  /* connections whose segments may come interleaved */
};

/* Memory of a run; large. */
struct gro {
	/* The result, in the order of first segments: frames, and how many went into each. */
	const struct frame *out[GRO_FRAMES_MAX];
	uint8_t n_of[GRO_FRAMES_MAX];

	/* private */
	const struct frame *const *in;
	struct gro_segment {
		const uint8_t *head;
		uint16_t payload;
		uint8_t l3, l4, size; /* offsets; octets of all headers */
		uint8_t next;	      /* the segment that was joined to this one; 0: none */
		uint8_t n;	      /* how many are joined, here the first; 0: this is not */
		bool is_ipv6, is_udp;
		bool may_join; /* nothing in itself forbids it */
		bool is_checked, is_trusted;
	} segment[GRO_FRAMES_MAX];
	struct gro_flow {
		uint8_t first, last, n; /* n 0: closed */
		uint16_t n_iov;
		uint32_t octets; /* of payload */
		bool has_fixed_id;
	} flow[GRO_FLOWS_MAX];
	unsigned n_flows, n_made, n_iov;
	struct frame made[GRO_FRAMES_MAX / 2];
	struct iovec iov[GRO_FRAMES_MAX / 2 * GRO_IOV_MAX];
	uint8_t header[GRO_FRAMES_MAX / 2][FRAME_HEAD_SIZE];
	uint8_t copy[GRO_FRAMES_MAX][FRAME_HEAD_SIZE]; /* of heads in several pieces */
};

/*
 * Coalesce `n` (1..GRO_FRAMES_MAX) frames without a tag beside them, which may be eth_retag()'s,
 * for a receiver with offloads `can` (OFFLOAD_TSO4, OFFLOAD_TSO6, OFFLOAD_USO). Returns how many
 * frames are in g->out: those of `in`, and in the place of the first of several segments one GSO
 * frame, whose memory is that of `in` and of `g`. Segments of one connection never pass each
 * other; others may.
 *
 * A segment joins if all headers are those of the first but IP length, IPv4 identification (one
 * more each time; or always the same, with DF), sequence number (consecutive), PSH, FIN and
 * checksums, which are right; it is not longer than the first and not empty. PSH, FIN or a shorter
 * one is the last; CWR, SYN, RST, URG, IP options, extension headers, fragments, padding, UDP
 * without checksum and frames that are GSO already never join. In exception to the above, an
 * identification that was always the same counts up when the frame is cut again: a GSO frame cannot
 * say it, and with DF it means nothing (RFC 6864 4.1).
 */
unsigned gro_run(struct gro *g, const struct frame *const *in, unsigned n, uint8_t can);

#endif
