// SPDX-License-Identifier: Apache-2.0
/*
 * The Internet checksum (RFC 1071) over scattered octets: sums, not what is summed (gso.h knows of
 * headers). Pure; called by the worker for frames whose offloads are carried out in software.
 */
#ifndef EVB_WIRE_CSUM_H
#define EVB_WIRE_CSUM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * Sum of `size` octets at `data` as big-endian 16-bit words, not folded, added to `sum`. `data` is
 * taken to start at an even position; a last odd octet is padded with zero.
 */
uint64_t csum_add(const void *data, size_t size, uint64_t sum);

/*
 * The same over octets [from, from + size) of a list of segments, which may split anywhere; `from`
 * counts as an even position. What lies beyond the list is not summed.
 */
uint64_t csum_add_iov(const struct iovec *iov, size_t n_iov, size_t from, size_t size,
		      uint64_t sum);

/* Fold to 16 bits and complement: the value of a checksum field, in host order. */
uint16_t csum_finish(uint64_t sum);

#endif
