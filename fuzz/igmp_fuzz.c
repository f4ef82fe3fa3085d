// SPDX-License-Identifier: Apache-2.0
/*
 * Raw frames of hostile guests and routers, by way of the decoder into the table of groups. Nothing
 * outside a frame is read, whatever is noted is about a group, the table stays within its limits
 * and in order, and everything in it ends some day. The input is a list of
 *
 *   offset 0   bits 0-2: port; 3: checksum is left to others; 4: that of IPv4 is put right;
 *              5: joins and leaves count; 6: queries count; 7: leaves are fast
 *          1   seconds that pass before
 *          2   size of the frame, big-endian
 *          4   the frame
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "csum.h"
#include "cursor.h"
#include "eth.h"
#include "groups.h"
#include "mcast.h"
#include "snoop.h"

enum { PORTS = 8, FRAMES_MAX = 64, FID = 3 << 12 | 7 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int n_entries;

static void on_group(void *aux, const struct group_entry *e, bool is_added)
{
	n_entries += is_added ? 1 : -1;
	assert(e->port < PORTS && e->fid == FID);
}

static bool is_group(const struct mcast_addr *a)
{
	return mcast_is_ipv4(a) ? a->b[12] >> 4 == 0xe : a->b[0] == 0xff;
}

static void check(const struct groups *g, tstamp now)
{
	unsigned members[PORTS] = { 0 };

	assert((int)groups_size(g) == n_entries);
	for (uint32_t i = 0; i < groups_size(g); i++) {
		const struct group_entry *e = groups_at(g, i);
		struct owner o;

		assert(e->until > now);
		assert(e->kind != GROUP_QUERIER || e->heard <= now);
		if (e->kind != GROUP_MEMBER)
			continue;
		members[e->port]++;
		assert(is_group(&e->group) && groups_owner(e, &o) && mac_is_group(o.mac));
		assert(!group_is_for_all(mcast_mac(&e->group)));
	}
	for (unsigned p = 0; p < PORTS; p++)
		assert(members[p] <= GROUPS_PER_PORT_MAX);
	assert(!groups_size(g) == !groups_deadline(g));
}

/* What one note must be like. */
static void check_note(const struct mcast_note *n)
{
	assert(n->what <= MCAST_ROUTER && n->robustness >= 1 && n->robustness <= 7);
	assert(n->interval_s <= 31744 && n->response_ms <= 8387584);
	if (n->what == MCAST_JOIN || n->what == MCAST_LEAVE || n->what == MCAST_ASK)
		assert(is_group(&n->group) && mcast_is_ipv4(&n->group) == !n->is_ipv6);
}

/* So that most of what is found is behind the checksum. */
static void repair(uint8_t *octets, size_t size, size_t l3)
{
	size_t header = size > l3 ? (octets[l3] & 0xfu) * 4 : 0;
	uint16_t sum;

	if (header < 20 || size < l3 + header)
		return;
	octets[l3 + 10] = octets[l3 + 11] = 0;
	sum = csum_finish(csum_add(octets + l3, header, 0));
	octets[l3 + 10] = (uint8_t)(sum >> 8);
	octets[l3 + 11] = (uint8_t)sum;
}

static void take(struct groups *g, uint8_t how, tstamp now, struct cursor in)
{
	struct group_place at = { .fid = FID,
				  .port = how & 7,
				  .now = now,
				  .has_members = how & 0x20,
				  .has_queriers = how & 0x40,
				  .leaves_fast = how & 0x80 };
	struct iovec iov = { malloc(in.left + 1), in.left }; /* a sanitizer sees its end */
	struct frame f = { .iov = &iov, .n_iov = 1, .size = (uint32_t)in.left };
	struct mcast_reader r;
	struct mcast_note n;
	struct eth_key key;
	unsigned n_notes = 0;

	assert(iov.iov_base);
	memcpy(iov.iov_base, in.at, in.left);
	iov.iov_base = realloc(iov.iov_base, in.left ? in.left : 1);
	if (eth_key_parse(&f, &key) && snoop_concerns(&key)) {
		if (how & 0x10 && key.ethertype == ETHERTYPE_IPV4)
			repair(iov.iov_base, in.left, key.type_offset + 2u);
		mcast_open(&r, iov.iov_base, in.left, key.type_offset, how & 8);
		while (mcast_next(&r, &n)) {
			check_note(&n);
			groups_note(g, &at, &n);
			n_notes++;
		}
		assert(n_notes <= in.left / 8); /* the smallest record */
	}
	free(iov.iov_base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct groups *g; /* one for all, since it is empty in the end */
	struct cursor c = cursor_of(data, size);
	tstamp now = NS_PER_S;

	if (!g)
		g = groups_new(1, on_group, NULL);
	assert(g && !n_entries);
	for (int i = 0; i < FRAMES_MAX && c.left >= 4; i++) {
		uint8_t how = cursor_u8(&c);
		uint16_t frame_size;

		now += cursor_u8(&c) * NS_PER_S;
		frame_size = cursor_u16(&c);
		groups_age(g, now);
		take(g, how, now, cursor_part(&c, frame_size < c.left ? frame_size : c.left));
		groups_age(g, now);
		check(g, now);
	}
	now += 400000 * NS_PER_S; /* 7 * 31744 s and some */
	groups_age(g, now);
	assert(groups_size(g) == 0);
	return 0;
}
