// SPDX-License-Identifier: Apache-2.0
/*
 * Frames for the bridge itself (LLDP, ECP) go up to the control thread. A stranger can send as many
 * as the wire holds, so that each port has so many a second and no more; the others are dropped.
 * 1,000 VSIs are about 25 PDUs of ECP each way, each with its acknowledgement.
 */
#include <string.h>

#include "envelope.h"
#include "ring.h"
#include "turn_internal.h"

enum { PUNTS_PER_S = 256 };

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

/* False: it is too long, one too many, or there is no room. */
static bool punt_one(struct turn *t, const struct frame *f, const struct eth_key *key)
{
	struct punt p;

	if (f->size > PUNT_SIZE_MAX ||
	    turn_rate_count(&t->punted[t->in_id], t->now_s) > PUNTS_PER_S)
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
