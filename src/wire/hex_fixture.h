// SPDX-License-Identifier: Apache-2.0
/* Octets of tests, written as books write them: hexadecimal, with blanks and bars as you like. */
#ifndef EVB_WIRE_HEX_FIXTURE_H
#define EVB_WIRE_HEX_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "cursor.h"

struct hex {
	uint8_t octets[1600];
	size_t size;
};

static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What is no digit parts nothing and means nothing. */
static inline struct hex hex_of(const char *text)
{
	struct hex h = { .size = 0 };
	size_t n = 0;

	for (; *text && n < 2 * sizeof(h.octets); text++) {
		int digit = hex_digit(*text);

		if (digit < 0)
			continue;
		h.octets[n / 2] = (uint8_t)(h.octets[n / 2] << 4 | digit);
		n++;
	}
	h.size = n / 2;
	return h;
}

static inline struct cursor hex_cursor(const struct hex *h)
{
	return cursor_of(h->octets, h->size);
}

#endif
