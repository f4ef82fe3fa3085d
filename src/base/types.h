// SPDX-License-Identifier: Apache-2.0
/*
 * The small types every layer shares: MAC addresses, VLAN IDs, port and bridge numbers, time.
 * Host byte order everywhere; only wire/ knows what the octets look like. No function here
 * allocates, fails or keeps state.
 */
#ifndef EVB_BASE_TYPES_H
#define EVB_BASE_TYPES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A MAC address, octets in transmission order. */
struct mac {
	uint8_t b[6];
};

/* A VLAN ID: 1..4094 (IEEE 802.1Q-2022 table 9-2); VID_NONE where there is none. */
typedef uint16_t vid_t;

/* Index of a port among the ports of a daemon: 0..PORTS_MAX-1, or PORT_NONE. */
typedef uint16_t port_id;

/* Index of a bridge among the bridges of a daemon: 0..BRIDGES_MAX-1. */
typedef uint16_t bridge_id;

/* Monotonic time in nanoseconds. Only the daemon's loop and the worker read a clock. */
typedef int64_t tstamp;

enum {
	PORTS_MAX = 4096,   /* ports of a daemon */
	BRIDGES_MAX = 1024, /* bridges of a daemon */
	MACS_MAX = 16384,   /* MAC addresses of all bridges, provisioned and learned */
	NAME_SIZE = 32,	    /* name of a port or bridge, with its NUL */
	VID_NONE = 0,
	VID_DEFAULT = 1, /* default PVID, IEEE 802.1Q-2022 table 9-2 */
	VID_MAX = 4094,
	PORT_NONE = 0xffff,
};

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The address as a number in whatever order the machine loads it: for comparing and hashing. */
static inline uint64_t mac_bits(struct mac m)
{
	uint32_t low;
	uint16_t high;

	memcpy(&low, m.b, sizeof(low));
	memcpy(&high, m.b + 4, sizeof(high));
	return (uint64_t)high << 32 | low;
}

static inline bool mac_equal(struct mac a, struct mac b)
{
	return mac_bits(a) == mac_bits(b);
}

static inline bool mac_is_zero(struct mac m)
{
	return mac_bits(m) == 0;
}

/* Group address (IEEE 802-2014, 8.2.2): multicast or broadcast. */
static inline bool mac_is_group(struct mac m)
{
	return m.b[0] & 1;
}

static inline bool mac_is_broadcast(struct mac m)
{
	return mac_bits(m) == UINT64_C(0xffffffffffff);
}

/* The address as a number, first octet most significant. */
static inline uint64_t mac_to_u64(struct mac m)
{
	uint64_t v = 0;

	for (int i = 0; i < 6; i++)
		v = v << 8 | m.b[i];
	return v;
}

/* A set of VLAN IDs, one bit each. */
struct vlan_set {
	uint64_t w[64];
};

static inline bool vlan_set_has(const struct vlan_set *s, vid_t v)
{
	return s->w[(v >> 6) & 63] >> (v & 63) & 1;
}

static inline void vlan_set_add(struct vlan_set *s, vid_t v)
{
	s->w[(v >> 6) & 63] |= UINT64_C(1) << (v & 63);
}

#endif
