// SPDX-License-Identifier: Apache-2.0
/*
 * Of the frames that a device received, those that are for guests alone go to evbd's socket of the
 * queue; all others go up to the host, which evbd hears through a packet socket: group frames,
 * since both must have them and XDP cannot make two of one, and what a guest only watches.
 *
 * There are two programs, of which one is loaded: the first puts a VLAN tag that the device took
 * out of the octets back there, as far as driver and kernel (since Linux 6.8) tell of it.
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

extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *tpid,
					__u16 *tci) __ksym __weak;

static __always_inline int is_for_guests(const struct xdp_md *ctx)
{
	const __u8 *octets = (const void *)(long)ctx->data;
	struct uplink_mac to = {};

	if (octets + 14 > (const __u8 *)(long)ctx->data_end || octets[0] & 1)
		return 0;
	__builtin_memcpy(to.b, octets, sizeof(to.b));
	return takes_all || bpf_map_lookup_elem(&owned, &to);
}

/* False: there is no room for it. */
static __always_inline int put_tag(struct xdp_md *ctx, __be16 tpid, __u16 tci)
{
	__u8 macs[12];
	__u8 *octets;

	if (bpf_xdp_adjust_head(ctx, -4))
		return 0;
	octets = (void *)(long)ctx->data;
	if (octets + 18 > (__u8 *)(long)ctx->data_end)
		return 0;
	__builtin_memcpy(macs, octets + 4, sizeof(macs));
	__builtin_memcpy(octets, macs, sizeof(macs));
	__builtin_memcpy(octets + 12, &tpid, sizeof(tpid));
	octets[14] = tci >> 8;
	octets[15] = tci & 0xff;
	return 1;
}

SEC("xdp")
int evb_uplink_tag(struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index;
	__be16 tpid = 0;
	__u16 tci = 0;

	/* Without a socket, it goes up as it came: with the tag beside it. */
	if (!is_for_guests(ctx) || !bpf_map_lookup_elem(&sockets, &queue))
		return XDP_PASS;
	if (bpf_xdp_metadata_rx_vlan_tag(ctx, &tpid, &tci) == 0 && !put_tag(ctx, tpid, tci))
		return XDP_DROP; /* without its tag it would be in another VLAN */
	return bpf_redirect_map(&sockets, queue, XDP_PASS);
}

SEC("xdp")
int evb_uplink(struct xdp_md *ctx)
{
	if (!is_for_guests(ctx))
		return XDP_PASS;
	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}

char _license[] SEC("license") = "Dual BSD/GPL";
