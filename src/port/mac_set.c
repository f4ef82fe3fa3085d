// SPDX-License-Identifier: Apache-2.0
#include "mac_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int mac_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct mac));
}

static bool has(const struct mac_set *s, struct mac mac)
{
	return s->n && bsearch(&mac, s->mac, s->n, sizeof(mac), mac_compare);
}

/* Sort, and leave one of each: an address may be owned in several VLANs. */
static bool make(struct mac_set *s, const struct mac *mac, unsigned n)
{
	s->n = 0;
	s->mac = malloc((n + 1) * sizeof(*mac));
	if (!s->mac)
		return false;
	if (!n)
		return true;
	memcpy(s->mac, mac, n * sizeof(*mac));
	qsort(s->mac, n, sizeof(*mac), mac_compare);
	for (unsigned i = 0; i < n; i++)
		if (!s->n || !mac_equal(s->mac[s->n - 1], s->mac[i]))
			s->mac[s->n++] = s->mac[i];
	return true;
}

/* Call back for what is in `s` and not in `other`. */
static int each_only_in(const struct mac_set *s, const struct mac_set *other, bool is_in,
			mac_set_cb *cb, void *aux)
{
	int err = 0;

	for (unsigned i = 0; i < s->n; i++) {
		int one = has(other, s->mac[i]) ? 0 : cb(aux, s->mac[i], is_in);

		err = err ? err : one;
	}
	return err;
}

int mac_set_replace(struct mac_set *s, const struct mac *mac, unsigned n, mac_set_cb *cb, void *aux)
{
	struct mac_set next;
	int gone, come;

	if (!make(&next, mac, n))
		return -ENOMEM;
	gone = each_only_in(s, &next, false, cb, aux);
	come = each_only_in(&next, s, true, cb, aux);
	free(s->mac);
	*s = next;
	return gone ? gone : come;
}

void mac_set_free(struct mac_set *s)
{
	free(s->mac);
	*s = (struct mac_set){ .n = 0 };
}
