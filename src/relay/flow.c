// SPDX-License-Identifier: Apache-2.0
#include "flow.h"

#include <string.h>

#include "eth.h"

_Static_assert(FLOW_SLOTS == 1 << 6, "flow_hash() makes six bits");
_Static_assert(sizeof(struct vnet_hdr) == 10, "frame_has_extras() reads eight octets and two");

/* The octets that both halves have differ: no frame has this header. */
static const struct flow_header no_header = { 0, UINT64_MAX };

static inline bool header_equal(struct flow_header a, struct flow_header b)
{
	return !((a.front ^ b.front) | (a.back ^ b.back));
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* A tag beside the octets, or an offload header that is not all zero. */
static inline bool frame_has_extras(const struct frame *f)
{
	uint64_t low;
	uint16_t high;

	memcpy(&low, &f->vnet, sizeof(low));
	memcpy(&high, (const uint8_t *)&f->vnet + sizeof(low), sizeof(high));
	return (low | high | f->tpid) != 0;
}

/* A guest can make headers collide, to no effect but that its own turns take longer. */
static inline unsigned flow_hash(struct flow_header h)
{
	return (unsigned)((h.front ^ h.back >> 16) * UINT64_C(0x9e3779b97f4a7c15) >> 58);
}

static inline bool header_has_tag(const uint8_t *head)
{
	return ethertype_is_tag(eth_load16(head + 12));
}

/* A new flow, of frame `i` so far. */
static inline unsigned flow_add(struct flows *fl, unsigned i)
{
	unsigned k = fl->n++;

	fl->first[k] = (uint8_t)i;
	fl->of[i] = (uint8_t)k;
	fl->frames[k] = UINT64_C(1) << i;
	return k;
}

/* The flow of frame `i` with header `h`, which is not that of the frame before. */
static unsigned flow_find(struct flows *fl, struct flow_header h, unsigned i)
{
	uint8_t *slot = &fl->slot[flow_hash(h)];
	unsigned k = *slot;

	if (header_equal(fl->header[k], h))
		return k;
	k = flow_add(fl, i);
	fl->header[k] = h;
	*slot = (uint8_t)k;
	return k;
}

/* Frames start..end-1 are of flow `k`; there may be none. */
static inline void flow_add_run(struct flows *fl, unsigned k, size_t start, size_t end)
{
	uint64_t run;

	if (start == end)
		return;
	run = UINT64_MAX >> (BURST_MAX - (end - start)) << start;
	fl->frames[k] |= run;
	fl->plain |= run;
}

/* Frames mostly come in runs of equal headers, so all but the comparison is left to their ends. */
void flows_sort(struct flows *fl, const struct frame *f, unsigned n, uint32_t size_max)
{
	struct flow_header last = no_header;
	uint64_t octets = 0;
	uint32_t plain_size_max = 0;
	unsigned k = 0;	  /* flow of the run */
	size_t start = 0; /* the first frame of the run */

	fl->n_frames = n;
	fl->n = 0;
	fl->plain = 0;
	fl->header[0] = no_header; /* which empty slots lead to */
	memset(fl->slot, 0, sizeof(fl->slot));
	for (size_t i = 0; i < n; i++) {
		const uint8_t *head = f[i].iov[0].iov_base;
		struct flow_header h = no_header;
		uint32_t size = f[i].size;
		bool is_plain = !frame_has_extras(&f[i]) && size <= size_max &&
				f[i].iov[0].iov_len >= ETH_HEADER_SIZE + ETH_TAG_SIZE;

		octets += size;
		if (is_plain)
			h = (struct flow_header){ load64(head), load64(head + 6) };
		if (!is_plain || !header_equal(h, last)) {
			bool is_alone = !is_plain || header_has_tag(head);

			flow_add_run(fl, k, start, i);
			last = is_alone ? no_header : h;
			start = is_alone ? i + 1 : i;
			k = is_alone ? flow_add(fl, (unsigned)i) : flow_find(fl, h, (unsigned)i);
			if (is_alone)
				continue;
		}
		fl->of[i] = (uint8_t)k;
		if (size > plain_size_max)
			plain_size_max = size;
	}
	flow_add_run(fl, k, start, n);
	fl->octets = octets;
	fl->plain_size_max = plain_size_max;
}
