// SPDX-License-Identifier: Apache-2.0
#include "flow_hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eth.h"

enum { SIZE = 120 };

/* A frame of a flow; zero is IPv4, UDP, the same hosts and ports. */
struct flow {
	const char *name;
	unsigned tags;
	bool ipv6;
	uint8_t proto;	   /* 0: UDP */
	uint8_t options;   /* of IPv4, in words */
	uint16_t fragment; /* flags and offset, IPv4 */
	uint16_t sport, dport;
	uint8_t host, mac, payload;
	uint16_t ethertype; /* 0: of IP */
};

static uint32_t make(uint8_t *octets, const struct flow *f)
{
	uint32_t at = 12, l4;

	memset(octets, f->payload, SIZE);
	memset(octets, 0, 12);
	octets[0] = octets[6] = 2;
	octets[11] = f->mac;
	for (unsigned i = 0; i < f->tags; i++, at += 4) {
		uint16_t tpid = i ? ETHERTYPE_CTAG : ETHERTYPE_STAG;

		octets[at] = (uint8_t)(tpid >> 8);
		octets[at + 1] = (uint8_t)tpid;
	}
	octets[at] = f->ethertype ? (uint8_t)(f->ethertype >> 8) : f->ipv6 ? 0x86 : 0x08;
	octets[at + 1] = f->ethertype ? (uint8_t)f->ethertype : f->ipv6 ? 0xdd : 0;
	at += 2;
	if (f->ipv6) {
		octets[at] = 0x60;
		octets[at + 6] = f->proto ? f->proto : 17;
		memset(octets + at + 8, 0x20, 32);
		octets[at + 23] = f->host;
		l4 = at + 40;
	} else {
		octets[at] = (uint8_t)(0x45 + f->options);
		octets[at + 6] = (uint8_t)(f->fragment >> 8);
		octets[at + 7] = (uint8_t)f->fragment;
		octets[at + 9] = f->proto ? f->proto : 17;
		memset(octets + at + 12, 10, 8);
		octets[at + 15] = f->host;
		l4 = at + 20 + f->options * 4u;
	}
	octets[l4] = (uint8_t)(f->sport >> 8);
	octets[l4 + 1] = (uint8_t)f->sport;
	octets[l4 + 2] = (uint8_t)(f->dport >> 8);
	octets[l4 + 3] = (uint8_t)f->dport;
	return SIZE;
}

static uint32_t hash_octets(const uint8_t *octets, uint32_t size)
{
	struct iovec iov = { (void *)(uintptr_t)octets, size };
	struct frame f = { .iov = &iov, .n_iov = 1, .size = size };

	return flow_hash(&f);
}

static uint32_t hash(const struct flow *f)
{
	uint8_t octets[SIZE];

	return hash_octets(octets, make(octets, f));
}

struct pair {
	const char *name;
	struct flow a, b;
	bool same;
};

static const struct pair pairs[] = {
	{ "the same", { .sport = 1 }, { .sport = 1 }, true },
	{ "another payload", { .sport = 1 }, { .sport = 1, .payload = 9 }, true },
	{ "another MAC address", { .sport = 1 }, { .sport = 1, .mac = 9 }, true },
	{ "another source port", { .sport = 1 }, { .sport = 2 }, false },
	{ "another destination port", { .dport = 1 }, { .dport = 2 }, false },
	{ "ports exchanged", { .sport = 1, .dport = 2 }, { .sport = 2, .dport = 1 }, false },
	{ "another host", { .host = 1 }, { .host = 2 }, false },
	{ "another protocol", { .proto = 6 }, { .proto = 17 }, false },
	{ "TCP ports", { .proto = 6, .sport = 1 }, { .proto = 6, .sport = 2 }, false },
	{ "what is no port", { .proto = 1, .sport = 1 }, { .proto = 1, .sport = 2 }, true },
	{ "behind options", { .options = 3, .sport = 1 }, { .options = 3, .sport = 2 }, false },
	{ "behind a tag", { .tags = 1, .sport = 1 }, { .tags = 1, .sport = 2 }, false },
	{ "behind two tags", { .tags = 2, .sport = 1 }, { .tags = 2, .sport = 2 }, false },
	{ "with a tag and without", { .sport = 1 }, { .tags = 1, .sport = 1 }, true },
	{ "behind three tags", { .tags = 3, .sport = 1 }, { .tags = 3, .sport = 2 }, true },
	{ "fragments, the first and another",
	  { .fragment = 0x2000, .sport = 1 },
	  { .fragment = 0x0010, .sport = 7 },
	  true },
	{ "may not be fragmented",
	  { .fragment = 0x4000, .sport = 1 },
	  { .fragment = 0x4000, .sport = 2 },
	  false },
	{ "IPv6 ports", { .ipv6 = true, .sport = 1 }, { .ipv6 = true, .sport = 2 }, false },
	{ "IPv6 hosts", { .ipv6 = true, .host = 1 }, { .ipv6 = true, .host = 2 }, false },
	{ "IPv6 fragments",
	  { .ipv6 = true, .proto = 44, .sport = 1 },
	  { .ipv6 = true, .proto = 44, .sport = 2 },
	  true },
	{ "neither IPv4 nor IPv6",
	  { .ethertype = 0x88b5, .sport = 1, .host = 1 },
	  { .ethertype = 0x88b5, .sport = 2, .host = 2 },
	  true },
	{ "likewise, another MAC address",
	  { .ethertype = 0x88b5, .mac = 1 },
	  { .ethertype = 0x88b5, .mac = 2 },
	  false },
};

static void test_pairs(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if ((hash(&pairs[i].a) == hash(&pairs[i].b)) != pairs[i].same)
			fail_msg("%s: %x and %x", pairs[i].name, hash(&pairs[i].a),
				 hash(&pairs[i].b));
}

/* However short it is cut, nothing beyond is read (the allocation ends there). */
static void test_cut_off(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		uint8_t octets[SIZE];

		make(octets, &pairs[i].a);
		for (uint32_t size = 0; size <= SIZE; size++) {
			uint8_t *exact = malloc(size ? size : 1);

			memcpy(exact, octets, size);
			hash_octets(exact, size);
			if (size < ETH_HEADER_SIZE)
				assert_int_equal(hash_octets(exact, size), 0);
			free(exact);
		}
	}
}

/* A header length that leads beyond the frame, or is too small, means no ports. */
static void test_header_lengths(void **state)
{
	uint8_t octets[SIZE];

	for (unsigned words = 0; words < 16; words++) {
		make(octets, &(struct flow){ .sport = 1 });
		octets[14] = (uint8_t)(0x40 | words);
		hash_octets(octets, 14 + 20);
		hash_octets(octets, SIZE);
	}
}

/* The same, in however many segments the head lies. */
static void test_segments(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		uint8_t octets[SIZE];
		uint32_t want;

		make(octets, &pairs[i].a);
		want = hash_octets(octets, SIZE);
		for (uint32_t cut = 1; cut < SIZE; cut++) {
			struct iovec iov[3] = { { octets, cut },
						{ octets + cut, 0 },
						{ octets + cut, SIZE - cut } };
			struct frame f = { .iov = iov, .n_iov = 3, .size = SIZE };

			assert_int_equal(flow_hash(&f), want);
		}
	}
}

/* Flows that differ in one port only are spread over any number of queues. */
static void test_spread(void **state)
{
	for (unsigned queues = 2; queues <= 16; queues++)
		for (int which = 0; which < 3; which++) {
			unsigned n[16] = { 0 }, flows = queues * 64;

			for (unsigned i = 0; i < flows; i++) {
				struct flow f = { .proto = 6 };

				f.sport = (uint16_t)(which == 0 ? 32768 + i : 443);
				f.dport = (uint16_t)(which == 1 ? 32768 + 2 * i : 80);
				f.ipv6 = which == 2;
				f.host = (uint8_t)i;
				if (which == 2)
					f.sport = (uint16_t)(i / 256);
				n[hash(&f) % queues]++;
			}
			for (unsigned q = 0; q < queues; q++)
				if (n[q] < 24 || n[q] > 128)
					fail_msg("%u of %u flows in queue %u of %u (%d)", n[q],
						 flows, q, queues, which);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),	       cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_header_lengths), cmocka_unit_test(test_segments),
		cmocka_unit_test(test_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
