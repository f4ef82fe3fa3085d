// SPDX-License-Identifier: Apache-2.0
/*
 * Octets to be sent, written from front to back in network order into room of a given size. A
 * write that does not fit writes nothing and sets `full`, which stays: an encoder writes all its
 * fields and asks once, at the end. Pure; the encoders of wire/ are its callers.
 */
#ifndef EVB_BASE_WRITER_H
#define EVB_BASE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct writer {
	uint8_t *octets;
	size_t size; /* octets written */
	size_t room; /* octets that there is room for */
	bool full;   /* something did not fit */
};

static inline struct writer writer_of(void *octets, size_t room)
{
	return (struct writer){ .octets = octets, .room = room };
}

static inline void write_octets(struct writer *w, const void *from, size_t n)
{
	if (w->full || n > w->room - w->size) {
		w->full = true;
		return;
	}
	if (n)
		memcpy(w->octets + w->size, from, n);
	w->size += n;
}

/* The low `n` octets, 4 at most, of `v`. */
static inline void write_number(struct writer *w, uint32_t v, size_t n)
{
	uint8_t octets[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
			      (uint8_t)v };

	write_octets(w, octets + 4 - n, n);
}

static inline void write_u8(struct writer *w, uint8_t v)
{
	write_number(w, v, 1);
}

static inline void write_u16(struct writer *w, uint16_t v)
{
	write_number(w, v, 2);
}

static inline void write_u24(struct writer *w, uint32_t v)
{
	write_number(w, v, 3);
}

static inline void write_u32(struct writer *w, uint32_t v)
{
	write_number(w, v, 4);
}

/* Zeroes until `size` octets are written. */
static inline void write_padding(struct writer *w, size_t size)
{
	while (!w->full && w->size < size)
		write_u8(w, 0);
}

/* Forget all that was written after `size`, and that it did not fit. */
static inline void writer_rewind(struct writer *w, size_t size)
{
	w->size = size;
	w->full = false;
}

#endif
