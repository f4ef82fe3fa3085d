// SPDX-License-Identifier: Apache-2.0
/*
 * Ethernet headers (IEEE 802.3-2022 3.2, 802.1Q-2022 9): octets to key and back; nothing behind
 * the outermost tag. Pure; called by the worker for every frame, so the parser is inline.
 */
#ifndef EVB_WIRE_ETH_H
#define EVB_WIRE_ETH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "frame.h"
#include "types.h"

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_RARP = 0x8035,
	ETHERTYPE_CTAG = 0x8100, /* 802.1Q-2022 table 9-1, C-TAG */
	ETHERTYPE_STAG = 0x88a8, /* S-TAG */
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_MAC_CONTROL = 0x8808, /* 802.3-2022 annex 31A */
};

/* What the rules need to know of a frame. `tpid` is that of the outermost tag, wherever it is. */
struct eth_key {
	struct mac dst, src;
	uint16_t tpid;	     /* 0: untagged */
	uint16_t tci;	     /* of that tag */
	uint16_t ethertype;  /* behind that tag */
	uint8_t type_offset; /* where that EtherType is in the octets: 12, or 16 after a tag */
};

static inline uint16_t eth_load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline bool ethertype_is_tag(uint16_t t)
{
	return t == ETHERTYPE_CTAG || t == ETHERTYPE_STAG;
}

/* Does eth_key_parse()'s work on a frame whose first segment is shorter than a tagged header. */
bool eth_key_parse_scattered(const struct frame *f, struct eth_key *key);

/* The key from the first `avail` octets, 14 at least, of `f`. Private to the parsers. */
static inline bool eth_key_read(const struct frame *f, const uint8_t *p, size_t avail,
				struct eth_key *key)
{
	memcpy(key->dst.b, p, 6);
	memcpy(key->src.b, p + 6, 6);
	key->ethertype = eth_load16(p + 12);
	key->type_offset = 12;
	key->tpid = f->tpid;
	key->tci = f->tci;
	if (!f->tpid && ethertype_is_tag(key->ethertype)) {
		if (avail < ETH_HEADER_SIZE + ETH_TAG_SIZE)
			return false;
		key->tpid = key->ethertype;
		key->tci = eth_load16(p + 14);
		key->ethertype = eth_load16(p + 16);
		key->type_offset = 16;
	}
	return true;
}

/*
 * Read the key of a frame. False if it is too short for its headers (a runt); `key` is then
 * unspecified. A tag beside the octets is the outermost one.
 */
static inline bool eth_key_parse(const struct frame *f, struct eth_key *key)
{
	if (f->iov[0].iov_len < ETH_HEADER_SIZE + ETH_TAG_SIZE)
		return eth_key_parse_scattered(f, key);
	return eth_key_read(f, f->iov[0].iov_base, f->iov[0].iov_len, key);
}

/* 01-80-C2-00-00-00..0F, 802.1Q-2022 table 8-1. */
static inline bool mac_is_reserved(struct mac m)
{
	return (mac_to_u64(m) & ~UINT64_C(0xf)) == UINT64_C(0x0180c2000000);
}

static inline vid_t tci_vid(uint16_t tci)
{
	return tci & 0xfff;
}

/* The tags to be: one, and another one outside it. tpid 0: none. */
struct eth_tag {
	uint16_t tpid, tci;
	uint16_t outer_tpid, outer_tci;
};

/* Memory for a frame that gets other tags: in->n_iov + 2 segments, 2 * ETH_TAG_SIZE octets. */
struct eth_room {
	struct iovec *iov;
	uint8_t *octets;
};

/*
 * Make `out` the same frame with the outermost tag replaced by those of `tag`. `key` is that of
 * `in`.
 * Segments are shared with `in`; those and the octets that are new go to `room`, which must live as
 * long as `out`. Offsets of the offload header, which must be gso_valid(), move with the octets.
 *
 * The head of `in` is in its first segment. That of `out` lies in its first three: eth_key_parse(),
 * gso_start(), gso_segment_size_max() and gso_complete_csum() take it so, gso_valid() and this
 * function do not.
 */
void eth_retag(struct frame *out, const struct frame *in, const struct eth_key *key,
	       struct eth_room room, struct eth_tag tag);

/*
 * Take the outermost tag off `f`, which has one. If it is in the octets, those before it move, in
 * the memory of the head, and `iov` (room for f->n_iov) takes the place of f->iov, which it may be.
 * Offsets of the offload header, which need not be valid, move with the octets.
 */
void eth_strip(struct frame *f, struct iovec *iov);

#endif
