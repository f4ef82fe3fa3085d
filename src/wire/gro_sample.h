// SPDX-License-Identifier: Apache-2.0
/*
 * Bursts of TCP segments for the tests and the fuzzer of gro.h: a few connections that send one
 * segment after the other, and events that disturb them. Not part of evb.
 */
#ifndef EVB_WIRE_GRO_SAMPLE_H
#define EVB_WIRE_GRO_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "sample.h"

enum {
	GRO_CONNECTIONS = 4, /* odd ones are IPv6 */
	GRO_SEGMENT_MAX = 2048,
};

/* One segment; checksums are right unless it says otherwise. */
struct gro_spec {
	uint8_t connection;
	bool is_ipv6;
	uint16_t tpid; /* of a tag in the octets; 0: none */
	uint32_t seq, ack, timestamp, flow_label;
	uint16_t payload, window, urgent, id, id_step;
	uint8_t flags, tos, ttl, mac;
	bool has_df, has_sack, has_unknown; /* options: timestamps always, and these */
	bool bad_csum, bad_ip_csum, minus_zero, is_fragment, is_udp;
	uint8_t padding, ip_extra;
};

/* What is different about a segment; what is marked stays so for the connection. */
enum gro_event {
	GRO_NOTHING,
	GRO_PSH,
	GRO_FIN,
	GRO_SYN,
	GRO_RST,
	GRO_URG,
	GRO_CWR,
	GRO_ECE,
	GRO_SHORT,
	GRO_LONG,
	GRO_EMPTY,
	GRO_GAP,
	GRO_AGAIN,
	GRO_ACK,       /* stays */
	GRO_WINDOW,    /* stays */
	GRO_TIMESTAMP, /* stays */
	GRO_SACK,
	GRO_UNKNOWN,
	GRO_TOS,
	GRO_TTL,
	GRO_FLOW_LABEL,
	GRO_ID,
	GRO_FIXED_ID, /* stays */
	GRO_NO_DF,
	GRO_MAC,
	GRO_BAD_CSUM,
	GRO_BAD_IP_CSUM,
	GRO_PADDING,
	/* Those below the kernel treats in another way; see gro_kernel_test.c. */
	GRO_KERNEL_EVENTS,
	GRO_TAG = GRO_KERNEL_EVENTS,
	GRO_URGENT_POINTER,
	GRO_MINUS_ZERO,
	GRO_FRAGMENT,
	GRO_IP_EXTRA,
	GRO_UDP,
	GRO_EVENTS,
};

struct gro_walk {
	struct gro_spec next[GRO_CONNECTIONS];
};

void gro_walk_init(struct gro_walk *w, uint16_t payload, uint32_t seed);

/* The next segment of a connection, disturbed so. */
struct gro_spec gro_walk_next(struct gro_walk *w, unsigned connection, enum gro_event event);

/* Its octets, GRO_SEGMENT_MAX at most; returns how many. */
uint32_t gro_sample_make(const struct gro_spec *s, uint8_t *to);

#endif
