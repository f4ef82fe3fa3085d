// SPDX-License-Identifier: Apache-2.0
/*
 * A sorted set of addresses that a device or a program was told of, replaced as a whole: whoever is
 * to be told hears of the differences only. Control thread.
 */
#ifndef EVB_PORT_MAC_SET_H
#define EVB_PORT_MAC_SET_H

#include <stdbool.h>

#include "types.h"

struct mac_set {
	struct mac *mac; /* sorted, one of each; NULL before the first mac_set_replace() */
	unsigned n;
};

/* An address comes in or goes. 0 or -errno. */
typedef int mac_set_cb(void *aux, struct mac mac, bool is_in);

/*
 * Make the set what `mac` lists, in any order, and call `cb` for what goes and then for what comes.
 * 0 or -errno: the first error of `cb`, which is called for all differences nevertheless and not
 * again for those that failed; or -ENOMEM, and nothing has changed.
 */
int mac_set_replace(struct mac_set *s, const struct mac *mac, unsigned n, mac_set_cb *cb,
		    void *aux);

void mac_set_free(struct mac_set *s);

#endif
