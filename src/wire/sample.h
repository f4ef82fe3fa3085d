// SPDX-License-Identifier: Apache-2.0
/*
 * GSO frames for tests and fuzzers, made by a description, and what must become of them when they
 * are cut, written down a second time and without csum.h. Not part of evb.
 */
#ifndef EVB_WIRE_SAMPLE_H
#define EVB_WIRE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

enum {
	SAMPLE_IOV_MAX = 64,
	SAMPLE_HEADERS_MAX = 192,
};

struct sample_spec {
	const char *name;
	bool is_ipv6, is_udp;
	uint16_t tpid;	       /* of a tag in the octets; 0: none */
	uint16_t inner_tpid;   /* of a second one behind it; 0: none */
	uint8_t ip_extra;      /* octets of IPv4 options (times 4) or an IPv6 header (times 8) */
	uint8_t ip_extra_type; /* number of that IPv6 extension header */
	uint8_t tcp_options;   /* octets, times 4 */
	uint8_t tcp_flags;
	bool ecn; /* VNET_GSO_ECN */
	uint16_t gso_size;
	uint32_t payload; /* octets */
};

struct sample {
	struct sample_spec spec;
	struct vnet_hdr vnet;
	uint32_t size;
	uint16_t l3, l4, headers; /* offsets; size of all headers */
	uint8_t octets[FRAME_SIZE_MAX];
};

/* Numbers that look random and are the same every time. */
uint32_t sample_random(uint32_t *seed);

/* The frame of `spec`, its contents by `seed`, with the partial checksum a kernel would leave. */
void sample_make(struct sample *s, const struct sample_spec *spec, uint32_t seed);

/* A description by `seed`: any protocol, tags, options, sizes. */
void sample_spec_random(struct sample_spec *spec, uint32_t seed);

/* `s` as one segment. */
void sample_frame(const struct sample *s, struct frame *f, struct iovec *iov);

/* `s` in 1..SAMPLE_IOV_MAX segments, the first at least FRAME_HEAD_SIZE octets. */
void sample_frame_split(const struct sample *s, struct frame *f, struct iovec *iov, uint32_t seed);

/* Copy all octets of `f` to `to`; returns how many. */
uint32_t sample_flatten(const struct frame *f, uint8_t *to);

/* The sum of `size` octets and of `sum`, folded: two octets at a time, as RFC 1071 has it. */
uint16_t sample_sum(const uint8_t *p, uint32_t size, uint32_t sum);

/*
 * Is this segment number `idx` of `s`, whose payload starts at payload octet `from`? NULL if it is
 * in every octet, else what is wrong with it. Moves *from behind its payload.
 */
const char *sample_check(const struct sample *s, unsigned idx, const uint8_t *segment,
			 uint32_t size, uint32_t *from);

#endif
