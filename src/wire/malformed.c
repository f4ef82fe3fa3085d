// SPDX-License-Identifier: Apache-2.0
#include "malformed.h"

static const struct {
	const char *name, *text;
} reasons[MALFORMED_N] = {
#define X(name, text) { #name, text },
	MALFORMED_REASONS(X)
#undef X
};

const char *malformed_name(enum malformed m)
{
	return m < MALFORMED_N ? reasons[m].name : "?";
}

const char *malformed_text(enum malformed m)
{
	return m < MALFORMED_N ? reasons[m].text : "?";
}
