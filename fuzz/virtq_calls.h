// SPDX-License-Identifier: Apache-2.0
/*
 * The calls that the harness of the virtqueue fuzzers makes, each with all that can be said about
 * it afterwards. Only virtq_harness.c uses it.
 */
#ifndef EVB_FUZZ_VIRTQ_CALLS_H
#define EVB_FUZZ_VIRTQ_CALLS_H

#include "virtq_guest.h"
#include "virtq_race.h"

struct harness {
	struct burst burst; /* first: it wants the alignment of the whole */
	struct vg a, b;
	bool packed;
	unsigned n_lent;
	uint16_t base_a, base_b;
	const uint8_t *at, *end; /* of the input */
	struct vg_race race[VG_RACES_MAX];
	unsigned n_races;
	struct vg_chain chain;
	/* frames of our own, and what is to arrive of frames put */
	struct frame own[BURST_MAX];
	struct iovec own_iov[BURST_MAX][FRAME_IOV_MAX];
	uint8_t *octets, *expected, *found;
};

/* Frame `i` of the burst is one that the relay can work with, whatever the guest does. */
void calls_check_lent(const struct harness *h, unsigned i);

/* Take from A, what is lent now if anything is given back before; and give it back. */
void calls_take(struct harness *h, unsigned max);
void calls_give_back(struct harness *h);

/* Put frames into B, and look at them if everything that is used is of these. */
void calls_put(struct harness *h, const struct frame *const *f, unsigned n, bool and_publish);
void calls_publish(struct harness *h);

/* Put what the relay would pass on of what is lent. */
void calls_forward(struct harness *h, bool and_publish);

/* `n` frames of `size` octets as egress makes them: tags and segments are pieces of their own. */
void calls_own_frames(struct harness *h, unsigned n, uint32_t size, unsigned pieces);

#endif
