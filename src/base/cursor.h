// SPDX-License-Identifier: Apache-2.0
/*
 * Reading octets that somebody else sent: a place in them and what is left. A read beyond the end
 * gives zero and makes `failed` stick, so that a decoder reads on and asks once, at its end.
 * Network byte order becomes the host's. Pure, inline.
 */
#ifndef EVB_BASE_CURSOR_H
#define EVB_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static inline struct cursor cursor_of(const void *octets, size_t size)
{
	return (struct cursor){ .at = octets, .left = size };
}

/* The next `n` octets; NULL (and failed) if there are fewer. */
static inline const uint8_t *cursor_take(struct cursor *c, size_t n)
{
	const uint8_t *at = c->at;

	if (c->failed || n > c->left) {
		c->failed = true;
		return NULL;
	}
	if (n) /* none may be nowhere */
		c->at += n;
	c->left -= n;
	return at;
}

/* The number in the next `n` octets, 4 at most. */
static inline uint32_t cursor_number(struct cursor *c, size_t n)
{
	const uint8_t *at = cursor_take(c, n);
	uint32_t v = 0;

	for (size_t i = 0; at && i < n; i++)
		v = v << 8 | at[i];
	return v;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	return (uint8_t)cursor_number(c, 1);
}

static inline uint16_t cursor_u16(struct cursor *c)
{
	return (uint16_t)cursor_number(c, 2);
}

static inline uint32_t cursor_u24(struct cursor *c)
{
	return cursor_number(c, 3);
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	return cursor_number(c, 4);
}

/* The next `n` octets to `to`; zeroes if there are fewer. */
static inline void cursor_copy(struct cursor *c, void *to, size_t n)
{
	const uint8_t *p = cursor_take(c, n);

	if (p)
		memcpy(to, p, n);
	else
		memset(to, 0, n);
}

/* A cursor over the next `n` octets, behind which `c` goes on; failed if there are fewer. */
static inline struct cursor cursor_part(struct cursor *c, size_t n)
{
	const uint8_t *p = cursor_take(c, n);

	return (struct cursor){ .at = p, .left = p ? n : 0, .failed = !p };
}

#endif
