// SPDX-License-Identifier: Apache-2.0
/*
 * Source MACs that were learned: who is behind which port, until when. The control thread owns
 * it and feeds it what workers report; each change asks for a new view. Pure: time is a parameter.
 *
 * One table serves both relays. A learning relay ages its entries, and an address that turns up on
 * another port moves there. An edge relay never lets an address move from its owner, and the
 * first address of a port without provisioned MAC stays for good.
 */
#ifndef EVB_FWD_LEARN_H
#define EVB_FWD_LEARN_H

#include <stdbool.h>
#include <stdint.h>

#include "owners.h"
#include "types.h"

struct learned {
	struct mac mac;
	port_id port;
	uint32_t fid;
	vid_t vid;	/* VID_NONE: any VLAN of the port */
	bool is_sticky; /* never ages, never moves */
	tstamp seen;	/* last time it was a source */
};

struct learn;

/* Room for `max` addresses. NULL without memory. */
struct learn *learn_new(uint32_t max, uint64_t seed);
void learn_free(struct learn *l);

enum learn_result { LEARN_KNOWN, LEARN_ADDED, LEARN_MOVED, LEARN_FULL, LEARN_REFUSED };

/*
 * Address `e` was seen. Entries of one fid and MAC are apart if their VLANs are; VID_NONE meets
 * every VLAN. `can_move`: an entry on another port moves here, else `e` is refused. Refreshes
 * `seen` of a known one.
 */
enum learn_result learn_add(struct learn *l, struct learned e, bool can_move);

/* Addresses behind a port. */
uint32_t learn_count(const struct learn *l, port_id port);

/*
 * Forget the addresses of a port; one address of a fid (if its VLAN is VID_NONE: in all fids of
 * the bridge, each entry looked at). True if any went.
 */
bool learn_flush_port(struct learn *l, port_id port);
bool learn_forget(struct learn *l, uint32_t fid, struct mac mac);

/* Forget all of a bridge that was last seen before `deadline`; returns how many. */
uint32_t learn_age(struct learn *l, bridge_id bridge, tstamp deadline);

/* A known address was seen (again) at `seen`; nothing happens if it is not behind `port`. */
void learn_refresh(struct learn *l, uint32_t fid, struct mac mac, port_id port, tstamp seen);

/*
 * Entries in no order: index 0..learn_size()-1 of a dense array, valid until the next change.
 * The caller may update `seen` and nothing else.
 */
uint32_t learn_size(const struct learn *l);
struct learned *learn_at(struct learn *l, uint32_t idx);

/* Forget entry `idx`; the last one takes its place. */
void learn_remove_at(struct learn *l, uint32_t idx);

#endif
