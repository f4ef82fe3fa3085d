// SPDX-License-Identifier: Apache-2.0
#include "flow_hash.h"

#include "eth.h"

enum { PROTO_TCP = 6, PROTO_UDP = 17, IPV4_SIZE = 20, IPV6_SIZE = 40 };

static uint32_t mix(uint32_t h, uint32_t word)
{
	return (h ^ word) * UINT32_C(0x9e3779b1);
}

/* `n` octets, a multiple of 4. */
static uint32_t mix_octets(uint32_t h, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += 4) {
		uint32_t word;

		memcpy(&word, p + i, sizeof(word));
		h = mix(h, word) ^ h >> 15;
	}
	return h;
}

static uint32_t finish(uint32_t h)
{
	h ^= h >> 16;
	h *= UINT32_C(0x85ebca6b);
	return h ^ h >> 13;
}

static uint32_t mix_ports(uint32_t h, const uint8_t *l4, const uint8_t *end, uint8_t proto)
{
	if ((proto != PROTO_TCP && proto != PROTO_UDP) || end - l4 < 4)
		return h;
	return mix_octets(h, l4, 4);
}

static uint32_t hash_ipv4(const uint8_t *ip, const uint8_t *end)
{
	uint32_t h = mix_octets(ip[9], ip + 12, 8), size = (ip[0] & 15) * 4u;

	if (eth_load16(ip + 6) & 0x3fff || size < IPV4_SIZE || end - ip < (ptrdiff_t)size)
		return h; /* a fragment, or nonsense */
	return mix_ports(h, ip + size, end, ip[9]);
}

static uint32_t hash_ipv6(const uint8_t *ip, const uint8_t *end)
{
	uint32_t h = mix_octets(ip[6], ip + 8, 32);

	return mix_ports(h, ip + IPV6_SIZE, end, ip[6]);
}

uint32_t flow_hash(const struct frame *f)
{
	uint8_t head[FRAME_HEAD_SIZE];
	uint32_t size = frame_head_copy(f, head, sizeof(head)), at = 12;
	const uint8_t *end = head + size;
	uint16_t type;

	if (size < ETH_HEADER_SIZE)
		return 0;
	type = eth_load16(head + at);
	for (int tags = 0; tags < 2 && ethertype_is_tag(type) && size >= at + 6; tags++) {
		at += ETH_TAG_SIZE;
		type = eth_load16(head + at);
	}
	at += 2;
	if (type == ETHERTYPE_IPV4 && size >= at + IPV4_SIZE)
		return finish(hash_ipv4(head + at, end));
	if (type == ETHERTYPE_IPV6 && size >= at + IPV6_SIZE)
		return finish(hash_ipv6(head + at, end));
	return finish(mix_octets(0, head, 12));
}
