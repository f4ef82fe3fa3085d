// SPDX-License-Identifier: Apache-2.0
#include "eth.h"

#include <assert.h>

bool eth_key_parse_scattered(const struct frame *f, struct eth_key *key)
{
	uint8_t p[ETH_HEADER_SIZE + ETH_TAG_SIZE];
	uint32_t n = frame_head_copy(f, p, sizeof(p));

	return n >= ETH_HEADER_SIZE && eth_key_read(f, p, n, key);
}

static void vnet_shift(struct vnet_hdr *h, int by, uint32_t size)
{
	if (h->flags & VNET_F_NEEDS_CSUM)
		h->csum_start = (uint16_t)(h->csum_start + by);
	/*
	 * hdr_len is the sender's hint and may be anything up to the size of the frame. It must not
	 * pass the new size: taps and packet sockets refuse a frame shorter than its hdr_len.
	 */
	if (h->hdr_len) {
		int hdr_len = h->hdr_len + (h->gso_type ? by : 0);

		if (hdr_len > (int)size)
			hdr_len = (int)size;
		h->hdr_len = (uint16_t)(hdr_len < 0	     ? 0 :
					hdr_len > UINT16_MAX ? UINT16_MAX :
							       hdr_len);
	}
}

/* Returns where the next tag goes. */
static uint8_t *tag_write(uint8_t *to, uint16_t tpid, uint16_t tci)
{
	if (!tpid)
		return to;
	*to++ = (uint8_t)(tpid >> 8);
	*to++ = (uint8_t)tpid;
	*to++ = (uint8_t)(tci >> 8);
	*to++ = (uint8_t)tci;
	return to;
}

void eth_retag(struct frame *out, const struct frame *in, const struct eth_key *key,
	       struct eth_room room, struct eth_tag tag)
{
	uint8_t *head = in->iov[0].iov_base, *octets = room.octets;
	struct iovec *iov = room.iov;
	uint16_t n = 0;
	uint8_t *end =
		tag_write(tag_write(octets, tag.outer_tpid, tag.outer_tci), tag.tpid, tag.tci);
	int by = (int)(end - octets) - (key->type_offset - 12);

	assert(in->iov[0].iov_len >= (size_t)key->type_offset + 2);
	iov[n++] = (struct iovec){ head, 12 };
	if (end > octets)
		iov[n++] = (struct iovec){ octets, (size_t)(end - octets) };
	iov[n++] = (struct iovec){ head + key->type_offset, in->iov[0].iov_len - key->type_offset };
	for (uint16_t i = 1; i < in->n_iov; i++)
		iov[n++] = in->iov[i];
	*out = (struct frame){
		.iov = iov,
		.n_iov = n,
		.size = (uint32_t)((int)in->size + by),
		.vnet = in->vnet,
	};
	vnet_shift(&out->vnet, by, out->size);
}

void eth_strip(struct frame *f, struct iovec *iov)
{
	uint8_t *head = f->iov[0].iov_base;

	if (f->tpid) {
		f->tpid = f->tci = 0;
		return;
	}
	assert(f->iov[0].iov_len >= ETH_HEADER_SIZE + ETH_TAG_SIZE);
	memmove(head + ETH_TAG_SIZE, head, 12);
	memmove(iov, f->iov, f->n_iov * sizeof(*iov));
	iov[0] = (struct iovec){ head + ETH_TAG_SIZE, iov[0].iov_len - ETH_TAG_SIZE };
	f->iov = iov;
	f->size -= ETH_TAG_SIZE;
	vnet_shift(&f->vnet, -ETH_TAG_SIZE, f->size);
}
