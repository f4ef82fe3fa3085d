// SPDX-License-Identifier: Apache-2.0
/*
 * What gso.c and gro.c know of IP, TCP and UDP headers: sizes, offsets, flags. Private to wire/.
 */
#ifndef EVB_WIRE_IP_H
#define EVB_WIRE_IP_H

#include <stdint.h>

#include "eth.h"

enum {
	IPV4_HEADER_SIZE = 20, /* RFC 791 3.1, without options */
	IPV6_HEADER_SIZE = 40, /* RFC 8200 3 */
	IP_LENGTH_MAX = 65535,
	UDP_HEADER_SIZE = 8,  /* RFC 768 */
	TCP_HEADER_SIZE = 20, /* RFC 9293 3.1, without options */
	TCP_CSUM_OFFSET = 16,
	UDP_CSUM_OFFSET = 6,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	TCP_FLAG_FIN = 0x01,
	TCP_FLAG_SYN = 0x02,
	TCP_FLAG_RST = 0x04,
	TCP_FLAG_PSH = 0x08,
	TCP_FLAG_URG = 0x20,
	TCP_FLAG_CWR = 0x80,
};

static inline void store16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline uint32_t load32(const uint8_t *p)
{
	return (uint32_t)eth_load16(p) << 16 | eth_load16(p + 2);
}

static inline uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline bool ipv6_is_extension(uint8_t next)
{
	/* Hop-by-hop, routing, destination options: those the kernel segments behind. */
	return next == 0 || next == 43 || next == 60;
}

#endif
