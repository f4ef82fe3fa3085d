// SPDX-License-Identifier: Apache-2.0
/*
 * What the fuzzers of split and of packed virtqueues do: guest A sends, guest B receives, and the
 * input is what both have in their memory and which calls are made. Whatever that is:
 *
 *   nothing outside of guest memory is touched, and of that nothing is written that the driver did
 *   not make writable; all that is written is in the log of migration;
 *   what is lent lies in guest memory or in the burst, is as long as it says, and is what the
 *   driver's descriptors say (by virtq_guest.c); no offload that was not negotiated gets through;
 *   what was put is in the buffers that the used ring says, header and octets;
 *   a queue stops at the first chain that is not sound.
 *
 * If the input names words to flip, a second thread does so while both queues work, over and over;
 * or they are flipped whenever they were read. The rules of memory, sizes and offloads hold still.
 *
 *   offset 0   bits: 0 event index of A, 1 in order, 2 mergeable, 3 VIRTIO 1, 4-7 the same of B
 *          1   bits: 0 log, 1 a call eventfd, 2 words are flipped, 3 whenever they were read
 *          2   size of the ring of A: 2^(n % 9), or n + 1 if packed;   3: of B
 *          4   OFFLOAD_* that A may ask for
 *          5   octets of a burst at most, times 256; 0: 256 KiB
 *          6   base of A, 8: of B, 16 bits each
 *         10   operations: a number, then arguments; see operations[] in virtq_harness.c
 */
#ifndef EVB_FUZZ_VIRTQ_HARNESS_H
#define EVB_FUZZ_VIRTQ_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void virtq_harness_run(bool packed, const uint8_t *data, size_t size);

#endif
