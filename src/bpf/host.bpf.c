// SPDX-License-Identifier: Apache-2.0
/*
 * The host port: traffic between the host's own stack on a device and the relay, through a tap that
 * evbd holds.
 *
 *   host's stack ── egress of the device ──┬──────────────────────────────▶ wire
 *                        evb_host_out      └─▶ tap ─▶ evbd: to a bridge-mode station, or a group
 *
 *   host's stack ◀── ingress of the device ◀──┬──────────────────────────── wire
 *                        evb_host_in          └─ evb_host_tap ◀─ tap ◀─ evbd
 *
 * Packet sockets see a received frame before evb_host_in and a sent one after evb_host_out.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "host_map.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, 1 /* BPF_F_NO_PREALLOC */);
	__uint(max_entries, HOST_KEYS_MAX);
	__type(key, struct host_key);
	__type(value, __u8);
} addresses SEC(".maps");

struct host_settings settings;

struct head {
	__u8 dst[6], src[6];
	__be16 type, tci;
};

static __always_inline int is_listed(const __u8 *mac, __u16 vid)
{
	struct host_key key = { .vid = vid };

	__builtin_memcpy(key.mac, mac, sizeof(key.mac));
	return bpf_map_lookup_elem(&addresses, &key) != 0;
}

static __always_inline int has_station(const __u8 *mac, __u16 vid)
{
	return is_listed(mac, vid) || is_listed(mac, HOST_VID_ANY);
}

/* The VLAN of the frame if the host port is a member of it; else 0. */
static __always_inline __u16 vlan_of(const struct __sk_buff *skb, const struct head *h)
{
	__u16 vid = settings.native;

	if (skb->vlan_present) {
		if (skb->vlan_proto != bpf_htons(ETH_P_8021Q))
			return 0;
		vid = skb->vlan_tci & 0xfff ?: vid;
	} else if (h->type == bpf_htons(ETH_P_8021Q)) {
		vid = bpf_ntohs(h->tci) & 0xfff ?: vid;
	} else if (h->type == bpf_htons(ETH_P_8021AD)) {
		return 0;
	}
	vid &= 0xfff;
	return settings.vlans[vid >> 6] >> (vid & 63) & 1 ? vid : 0;
}

/* 01-80-C2-00-00-00..0F concerns the link, not the relay. */
static __always_inline int is_reserved(const __u8 *mac)
{
	return mac[0] == 0x01 && mac[1] == 0x80 && mac[2] == 0xc2 && !(mac[3] | mac[4]) &&
	       mac[5] < 16;
}

SEC("tc")
int evb_host_out(struct __sk_buff *skb)
{
	__u32 mark = skb->mark;
	struct head h;
	__u16 vid;

	if (mark == HOST_MARK) { /* evbd sends it, for a guest */
		skb->mark = 0;
		return TC_ACT_UNSPEC;
	}
	if (!settings.is_bridge || bpf_skb_load_bytes(skb, 0, &h, sizeof(h)) < 0)
		return TC_ACT_UNSPEC;
	vid = vlan_of(skb, &h);
	if (!vid || !(settings.any_source || is_listed(h.src, HOST_VID_HOST)))
		return TC_ACT_UNSPEC;
	if (!(h.dst[0] & 1)) {
		if (!has_station(h.dst, vid))
			return TC_ACT_UNSPEC;
		skb->mark = HOST_MARK;
		return (int)bpf_redirect(settings.tap, 0);
	}
	if (!settings.has_stations || is_reserved(h.dst))
		return TC_ACT_UNSPEC;
	skb->mark = HOST_MARK;
	bpf_clone_redirect(skb, settings.tap, 0);
	skb->mark = mark;
	return TC_ACT_UNSPEC;
}

SEC("tc")
int evb_host_in(struct __sk_buff *skb)
{
	struct head h;
	__u16 vid;

	if (skb->mark == HOST_MARK) { /* from evbd */
		skb->mark = 0;
		return TC_ACT_UNSPEC;
	}
	if (bpf_skb_load_bytes(skb, 0, &h, sizeof(h)) < 0)
		return TC_ACT_UNSPEC;
	/* Reflected by the adjacent bridge: what the host sent, and what it got from evbd. */
	if (is_listed(h.src, HOST_VID_HOST))
		return TC_ACT_SHOT;
	vid = vlan_of(skb, &h);
	if (h.dst[0] & 1 && vid && !is_reserved(h.dst) && has_station(h.src, vid))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

SEC("tc")
int evb_host_tap(struct __sk_buff *skb)
{
	skb->mark = HOST_MARK;
	return (int)bpf_redirect(settings.device, BPF_F_INGRESS);
}

char _license[] SEC("license") = "Dual BSD/GPL";
