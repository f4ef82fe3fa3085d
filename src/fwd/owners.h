// SPDX-License-Identifier: Apache-2.0
/*
 * Who owns a MAC address: a hash table that is built once and then only read, so readers need no
 * lock. Built by the control thread as part of a view; read by workers, twice a frame.
 *
 * The key is (fid, MAC). An edge relay uses one fid for all its VLANs and matches the VLAN of the
 * entries it finds, so that a trunk port needs one entry per MAC and not one per VLAN. A learning
 * relay uses one fid per VLAN (independent learning, 802.1Q-2022 8.8.8).
 */
#ifndef EVB_FWD_OWNERS_H
#define EVB_FWD_OWNERS_H

#include <stdbool.h>
#include <stdint.h>

#include "types.h"

struct owners;

/* fid of an edge relay, and of one VLAN of a learning relay. */
static inline uint32_t owners_fid(bridge_id b, vid_t vid)
{
	return (uint32_t)b << 12 | vid;
}

/* One entry as readers see it; 16 octets, four to a cache line. */
struct owner {
	struct mac mac;
	port_id port; /* PORT_NONE: empty slot */
	uint32_t fid;
	vid_t vid;	/* VID_NONE: any VLAN the port is a member of */
	uint16_t flags; /* OWNER_*, and above them what owner_vsi() says */
};

enum {
	OWNER_STATIC = 1,
	OWNER_LEARNED = 2,
	OWNER_PRIVATE = 4, /* of a VSI whose frames do not return to its port */
	OWNER_VSI_SHIFT = 3,
	OWNER_VSIS_MAX = (1 << (16 - OWNER_VSI_SHIFT)) - 1,
};

/* The VSI with limits of its own that the entry is of: 1.. in fwd_view.vsi; 0: none. */
static inline unsigned owner_vsi(const struct owner *o)
{
	return o->flags >> OWNER_VSI_SHIFT;
}

/* Room for `n` entries; `seed` makes the hash unpredictable to guests. NULL without memory. */
struct owners *owners_new(uint32_t n, uint64_t seed);
void owners_free(struct owners *o);

/* Add an entry; those of equal key are found in the order they came. False if there is no room. */
bool owners_add(struct owners *o, struct owner e);

/* Hash of a key, for owners_prefetch() and owners_find(). */
static inline uint64_t owners_hash(uint64_t seed, uint32_t fid, struct mac mac)
{
	uint64_t x = (mac_bits(mac) ^ seed) * UINT64_C(0x9e3779b97f4a7c15);

	/* Two rounds with constants that mix well: some seeds would not, as a multiplier. */
	x = (x ^ (x >> 32) ^ fid) * UINT64_C(0xbf58476d1ce4e5b9);
	return x ^ (x >> 32);
}

/* The layout, for the inline look-up only. */
struct owners {
	uint64_t seed;
	uint32_t mask; /* slots - 1 */
	uint32_t n;
	_Atomic uint32_t *seen; /* per slot: coarse time of the last use as a source; see learn.h */
	_Alignas(64) struct owner slot[]; /* aligned, so that no entry is in two cache lines */
};

static inline void owners_prefetch(const struct owners *o, uint64_t hash)
{
	__builtin_prefetch(&o->slot[hash & o->mask]);
}

/*
 * The first entry of the key at or behind `*at`; NULL if there is none. `*at` starts as the hash
 * and moves behind the entry, so that calling again finds the next one.
 */
static inline const struct owner *owners_next(const struct owners *o, uint32_t fid, struct mac mac,
					      uint64_t *at)
{
	uint64_t wanted = mac_bits(mac);

	for (;;) {
		const struct owner *e = &o->slot[(*at)++ & o->mask];
		uint64_t mac_and_port; /* one load: the port is in the two highest octets */

		memcpy(&mac_and_port, e, sizeof(mac_and_port));
		if (mac_and_port >> 48 == PORT_NONE)
			return NULL;
		if (mac_and_port << 16 == wanted << 16 && e->fid == fid)
			return e;
	}
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "owners_next() loads MAC and port as one");

#endif
