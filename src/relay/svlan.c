// SPDX-License-Identifier: Apache-2.0
#include "svlan.h"

#include "eth.h"

unsigned svlan_strip(struct burst *b, unsigned n, vid_t svid, struct port_counters *c)
{
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++) {
		struct frame f = b->frame[i];
		struct eth_key key;
		bool has_header = eth_key_parse(&f, &key); /* else it is dropped as a runt */

		if (has_header && (key.tpid != ETHERTYPE_STAG || tci_vid(key.tci) != svid)) {
			c->rx_frames++;
			c->rx_octets += f.size;
			c->drops[DROP_vlan]++;
			continue;
		}
		if (has_header)
			eth_strip(&f, b->iov[i]);
		b->frame[left++] = f;
	}
	return left;
}
