// SPDX-License-Identifier: Apache-2.0
#include "drop.h"

static const struct {
	const char *name, *text;
} reasons[DROP_REASONS_N] = {
#define X(name, text) { #name, text },
	DROP_REASONS(X)
#undef X
};

const char *drop_name(enum drop_reason r)
{
	return r < DROP_REASONS_N ? reasons[r].name : "?";
}

const char *drop_text(enum drop_reason r)
{
	return r < DROP_REASONS_N ? reasons[r].text : "?";
}
