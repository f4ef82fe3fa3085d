// SPDX-License-Identifier: Apache-2.0
#include "port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

bool port_init(struct port *p, const struct port_ops *ops, unsigned n_workers)
{
	size_t size = (sizeof(*p->counters) * n_workers + 63) & ~(size_t)63;

	p->ops = ops;
	p->fd = -1;
	p->id = PORT_NONE;
	p->offload = 0;
	p->tx_drop = DROP_queue_full;
	atomic_init(&p->fault, PORT_FAULT_NONE);
	atomic_init(&p->fault_told, false);
	atomic_flag_clear(&p->tx_lock);
	p->tx_is_shared = n_workers > 1;
	memset(&p->meters, 0, sizeof(p->meters));
	p->tx_is_dear = false;
	memset(&p->queue, 0, sizeof(p->queue));
	p->counters = aligned_alloc(64, size);
	if (!p->counters)
		return false;
	memset(p->counters, 0, size);
	return true;
}

/* UDP segmentation in the header is of Linux 6.2; a packet socket cannot be asked for it. */
uint8_t port_kernel_offload(void)
{
	struct utsname u;
	unsigned major = 0, minor = 0;

	if (uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	    (major < 6 || (major == 6 && minor < 2)))
		return OFFLOAD_ALL & ~OFFLOAD_USO;
	return OFFLOAD_ALL;
}

void port_free(struct port *p)
{
	if (!p)
		return;
	p->ops->close(p);
	free(p->counters);
	free(p);
}

void port_counters_add(struct port_counters *sum, const struct port_counters *c)
{
	sum->rx_frames += c->rx_frames;
	sum->rx_octets += c->rx_octets;
	sum->tx_frames += c->tx_frames;
	sum->tx_octets += c->tx_octets;
	sum->rx_group += c->rx_group;
	sum->replicated += c->replicated;
	sum->punted += c->punted;
	sum->originated += c->originated;
	sum->tx_segmented += c->tx_segmented;
	sum->tx_coalesced += c->tx_coalesced;
	sum->tx_csum += c->tx_csum;
	sum->to_wire += c->to_wire;
	for (int r = 0; r < DROP_REASONS_N; r++)
		sum->drops[r] += c->drops[r];
}

void port_counters_sum(const struct port *p, unsigned n_workers, struct port_counters *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned w = 0; w < n_workers; w++)
		port_counters_add(sum, &p->counters[w]);
}
