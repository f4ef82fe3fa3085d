// SPDX-License-Identifier: Apache-2.0
#include "unfinished.h"

#include "csum.h"
#include "ip.h"

/* A packet without its L2 header. */
struct packet {
	uint32_t l4, l4_size; /* from the start of the frame */
	uint8_t proto;
	uint64_t sum; /* of the pseudo-header */
};

static bool parse_ipv4(const uint8_t *octets, uint32_t at, uint32_t size, struct packet *p)
{
	const uint8_t *ip = octets + at;
	uint32_t header = (ip[0] & 15) * 4u, total;

	if (size < at + IPV4_HEADER_SIZE || ip[0] >> 4 != 4 || eth_load16(ip + 6) & 0x3fff)
		return false;
	total = eth_load16(ip + 2);
	if (header < IPV4_HEADER_SIZE || total < header || total > size - at)
		return false;
	*p = (struct packet){ .l4 = at + header, .l4_size = total - header, .proto = ip[9] };
	p->sum = csum_add(ip + 12, 8, 0);
	return true;
}

static bool parse_ipv6(const uint8_t *octets, uint32_t at, uint32_t size, struct packet *p)
{
	const uint8_t *ip = octets + at;
	uint32_t payload;

	if (size < at + IPV6_HEADER_SIZE || ip[0] >> 4 != 6)
		return false;
	payload = eth_load16(ip + 4);
	if (payload > size - at - IPV6_HEADER_SIZE)
		return false;
	*p = (struct packet){ .l4 = at + IPV6_HEADER_SIZE, .l4_size = payload, .proto = ip[6] };
	p->sum = csum_add(ip + 8, 32, 0);
	return true;
}

static bool parse(const uint8_t *octets, uint32_t size, struct packet *p)
{
	uint32_t at = ETH_HEADER_SIZE;

	while (size > at + ETH_TAG_SIZE && ethertype_is_tag(eth_load16(octets + at - 2)))
		at += ETH_TAG_SIZE;
	if (size <= at)
		return false;
	switch (eth_load16(octets + at - 2)) {
	case ETHERTYPE_IPV4:
		return parse_ipv4(octets, at, size, p);
	case ETHERTYPE_IPV6:
		return parse_ipv6(octets, at, size, p);
	}
	return false;
}

bool unfinished_csum(const uint8_t *octets, uint32_t size, struct vnet_hdr *h)
{
	struct packet p;
	uint32_t offset;
	uint16_t pseudo;

	if (size < ETH_HEADER_SIZE || !parse(octets, size, &p))
		return false;
	if (p.proto == PROTO_TCP && p.l4_size >= TCP_HEADER_SIZE)
		offset = TCP_CSUM_OFFSET;
	else if (p.proto == PROTO_UDP && p.l4_size >= UDP_HEADER_SIZE)
		offset = UDP_CSUM_OFFSET;
	else
		return false;
	pseudo = (uint16_t)~csum_finish(p.sum + p.proto + p.l4_size);
	if (eth_load16(octets + p.l4 + offset) != pseudo)
		return false;
	/* Whoever completes it sums up to the end of the frame: only zeros may be there. */
	for (uint32_t i = p.l4 + p.l4_size; i < size; i++)
		if (octets[i])
			return false;
	*h = (struct vnet_hdr){ .flags = VNET_F_NEEDS_CSUM,
				.csum_start = (uint16_t)p.l4,
				.csum_offset = (uint16_t)offset };
	return true;
}
