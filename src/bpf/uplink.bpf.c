// SPDX-License-Identifier: Apache-2.0
/*
 * Of the frames that a device received, those that are for guests alone go to evbd's socket of the
 * queue; all others go up to the host, which evbd hears through a packet socket: group frames,
 * since both must have them and XDP cannot make two of one, and what a guest only watches.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "uplink_map.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, UPLINK_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, UPLINK_MACS_MAX);
	__type(key, struct uplink_mac);
	__type(value, __u8);
} owned SEC(".maps");

/* A guest in passthru mode has the device for itself: every unicast frame is its. */
volatile __u32 takes_all;

SEC("xdp")
int evb_uplink(struct xdp_md *ctx)
{
	const __u8 *octets = (const void *)(long)ctx->data;
	struct uplink_mac to = {};

	if (octets + 14 > (const __u8 *)(long)ctx->data_end || octets[0] & 1)
		return XDP_PASS;
	__builtin_memcpy(to.b, octets, sizeof(to.b));
	if (!takes_all && !bpf_map_lookup_elem(&owned, &to))
		return XDP_PASS;
	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}

char _license[] SEC("license") = "Dual BSD/GPL";
