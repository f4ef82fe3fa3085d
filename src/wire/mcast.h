// SPDX-License-Identifier: Apache-2.0
/*
 * What stations and routers say of multicast groups, read from a frame: IGMPv1 to v3 (RFC 1112,
 * 2236, 3376), MLDv1 and v2 (RFC 2710, 3810), and the hello of PIM routers (RFC 7761 4.9.2). It
 * decodes, checks and forgets: what follows from it is fwd/groups.h's business. Pure; called by the
 * worker, for few frames.
 *
 * Lists of sources are reduced to "is the group wanted": whoever wants some source of a group gets
 * the group. A BLOCK record says nothing then, for others may be left.
 */
#ifndef EVB_WIRE_MCAST_H
#define EVB_WIRE_MCAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cursor.h"
#include "types.h"

enum { MCAST_FRAME_SIZE_MAX = 9216 + 18 }; /* a longer report is not read */

/* An IPv6 address; one of IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
struct mcast_addr {
	uint8_t b[16];
};

enum mcast_kind {
	MCAST_OTHER,  /* a frame like any other; so is a malformed message */
	MCAST_QUERY,  /* a router asks who wants what */
	MCAST_REPORT, /* a station says what it wants, or wants no longer */
	MCAST_HELLO,  /* PIM: a router is there */
};

/* One thing that a message says. */
enum mcast_what {
	MCAST_JOIN,
	MCAST_LEAVE,
	MCAST_ASK_ALL, /* general query */
	MCAST_ASK,     /* query for one group, sources or not */
	MCAST_ROUTER,
};

struct mcast_note {
	uint8_t what; /* enum mcast_what */
	bool is_ipv6;
	bool hears_leaves;	  /* ASK_ALL: not IGMPv1 */
	uint8_t robustness;	  /* ASK*: the querier's variable, 2 if it does not tell */
	uint32_t interval_s;	  /* ASK_ALL: between its queries; ROUTER: time to live */
	uint32_t response_ms;	  /* ASK*: time to answer */
	struct mcast_addr group;  /* JOIN, LEAVE, ASK */
	struct mcast_addr source; /* who says it; may be unspecified */
};

/* A message and how far it was read. Private to mcast_open() and mcast_next(). */
struct mcast_reader {
	enum mcast_kind kind;
	struct mcast_note note; /* what all notes of the message have in common */
	struct cursor records;	/* of a version 3 or 2 report */
	uint32_t left;		/* notes */
};

/*
 * A frame of `size` octets, whose EtherType (IPv4 or IPv6) is at `type_offset`. `is_partial`: its
 * checksum is still to be completed, so it is not looked at. The octets must live as long as `r`.
 */
enum mcast_kind mcast_open(struct mcast_reader *r, const uint8_t *octets, size_t size,
			   size_t type_offset, bool is_partial);

/* The next thing it says; false if that was all. */
bool mcast_next(struct mcast_reader *r, struct mcast_note *out);

/* May an IP packet be such a message, as far as its first octets tell? `l3` has 20 or more. */
static inline bool mcast_is_candidate(uint16_t ethertype, const uint8_t *l3)
{
	uint8_t protocol = ethertype == 0x0800 ? l3[9] : l3[6];

	return protocol == (ethertype == 0x0800 ? 2 : 0) || protocol == 103;
}

/* As inet_ntop() writes it; returns `text`. */
enum { MCAST_TEXT_SIZE = 46 };
const char *mcast_format(const struct mcast_addr *a, char text[MCAST_TEXT_SIZE]);

bool mcast_addr_equal(const struct mcast_addr *a, const struct mcast_addr *b);
bool mcast_is_ipv4(const struct mcast_addr *a);

/* 0.0.0.0 or :: */
bool mcast_is_unspecified(const struct mcast_addr *a);

/* The group address of Ethernet it is sent to: RFC 1112 6.4, RFC 2464 7. */
struct mac mcast_mac(const struct mcast_addr *group);

/* IPv6 and of the link at most (RFC 4291 2.7), so that stations need not tell of it. */
bool mcast_is_of_link(const struct mcast_addr *group);

#endif
