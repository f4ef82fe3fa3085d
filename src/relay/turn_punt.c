// SPDX-License-Identifier: Apache-2.0
/*
 * Frames for the bridge itself (LLDP, ECP) go up to the control thread. A stranger can send as many
 * as the wire holds, so that each port has so many in a time and no more; the others are dropped.
 *
 * Source, EtherType and the octet behind it say which two shares of that a frame may use, so that
 * one who floods hardly takes from anybody else, nor LLDP from ECP, nor acknowledgements that a
 * flood calls forth from requests: only where both shares are the same, and these are others each
 * time. 1,000 VSIs are about 25 PDUs of ECP each way within 130 ms, each with its
 * acknowledgement.
 *
 * Whom the agents of the port listen to has a share that is its own, and room in the ring, so that
 * it is heard however many others there are.
 */
#include <string.h>

#include "envelope.h"
#include "ring.h"
#include "turn_internal.h"

enum { PUNTS_PER_SHARE = 32, PUNTS_RESERVED = PUNTS_MAX / 4 };

#define PUNT_PERIOD (NS_PER_S / 4)

/* Does an agent want it: untagged, or tagged with a priority and no VLAN? */
static bool is_wanted(const struct eth_key *key)
{
	if (key->tpid && (key->tpid != ETHERTYPE_CTAG || (key->tci & 0xfff)))
		return false;
	return key->ethertype == ETHERTYPE_LLDP || key->ethertype == ETHERTYPE_ECP ||
	       key->ethertype == ETHERTYPE_ECP_DRAFT;
}

/* The octets of the frame, without a tag that it has. */
static void punt_copy(struct punt *p, const struct frame *f, const struct eth_key *key)
{
	uint16_t tag_at = 2 * sizeof(struct mac);

	p->size = 0;
	for (unsigned i = 0; i < f->n_iov; i++) {
		memcpy(p->octets + p->size, f->iov[i].iov_base, f->iov[i].iov_len);
		p->size = (uint16_t)(p->size + f->iov[i].iov_len);
	}
	if (key->type_offset > tag_at) {
		memmove(p->octets + tag_at, p->octets + key->type_offset,
			p->size - (size_t)key->type_offset);
		p->size = (uint16_t)(p->size - (key->type_offset - tag_at));
	}
}

static uint32_t period_of(const struct turn *t)
{
	return (uint32_t)(t->now / PUNT_PERIOD) + 1;
}

/* Is what the peer says within its own share? */
static bool is_within(struct turn *t)
{
	return turn_rate_count(&t->of_peer[t->in_id], period_of(t)) <= PUNTS_PER_SHARE;
}

/* Is it within its shares? */
static bool is_fair(struct turn *t, const struct frame *f, const struct eth_key *key)
{
	size_t at = key->type_offset + sizeof(key->ethertype);
	uint8_t first = at < f->iov[0].iov_len ? ((const uint8_t *)f->iov[0].iov_base)[at] : 0;
	uint32_t period = period_of(t);
	uint64_t hash = owners_hash(period, key->ethertype << 8 | first, key->src);
	struct turn_rate *share = t->punted[t->in_id];
	unsigned one = hash % PUNT_SHARES;
	unsigned two = (one + 1 + (hash >> 32) % (PUNT_SHARES - 1)) % PUNT_SHARES;

	return turn_rate_count(&share[one], period) <= PUNTS_PER_SHARE ||
	       turn_rate_count(&share[two], period) <= PUNTS_PER_SHARE;
}

/* False: it is too long, one too many, or there is no room. */
static bool punt_one(struct turn *t, const struct frame *f, const struct eth_key *key)
{
	const struct mac *peer = &t->view->peer[t->in_id];
	bool is_peer = mac_equal(key->src, *peer) && !mac_is_zero(*peer);
	struct punt p;

	if (f->size > PUNT_SIZE_MAX || !(is_fair(t, f, key) || (is_peer && is_within(t))) ||
	    !ring_has_room(t->punts, is_peer ? 1 : 1 + PUNTS_RESERVED))
		return false;
	p.generation = t->view->generation;
	p.port = t->in_id;
	punt_copy(&p, f, key);
	return ring_put(t->punts, &p);
}

uint64_t turn_punt(struct turn *t, unsigned k, uint64_t frames)
{
	unsigned n = 0, all = 0;

	if (!is_wanted(&t->key[k]))
		return frames;
	for (; frames; frames &= frames - 1, all++)
		n += punt_one(t, &t->burst.frame[__builtin_ctzll(frames)], &t->key[k]);
	t->has_reported |= n > 0;
	t->count->punted += n;
	t->count->drops[DROP_control] += all - n;
	return 0;
}
