// SPDX-License-Identifier: Apache-2.0
#include "vdp_tlv.h"

#include <assert.h>

enum { GROUP_SIZE = 4, MAC_SIZE = 6, VID_SIZE = 2 };
enum { STATUS_OFFSET = 0, DRAFT_STATUS_OFFSET = 5, DRAFT_HEAD_SIZE = 30 };

static bool has_group(uint8_t format)
{
	return format >= VDP_FILTER_GROUP_VID;
}

static bool has_mac(uint8_t format)
{
	return format == VDP_FILTER_MAC_VID || format == VDP_FILTER_GROUP_MAC_VID;
}

uint8_t vdp_filter_size(uint8_t format)
{
	if (format < VDP_FILTER_VID || format > VDP_FILTER_GROUP_MAC_VID)
		return 0;
	return (uint8_t)(VID_SIZE + (has_group(format) ? GROUP_SIZE : 0) +
			 (has_mac(format) ? MAC_SIZE : 0));
}

struct vdp_filter vdp_filter_at(const struct vdp_filters *f, uint16_t i)
{
	uint8_t size = vdp_filter_size(f->format);
	struct vdp_filter filter = { 0 };
	struct cursor c;

	assert(i < f->n);
	c = cursor_of(f->octets + (size_t)i * size, size);
	if (has_group(f->format))
		filter.group = cursor_u32(&c);
	if (has_mac(f->format))
		cursor_copy(&c, filter.mac.b, MAC_SIZE);
	filter.vid = cursor_u16(&c);
	return filter;
}

void vdp_filter_set(struct vdp_filters *f, uint16_t i, struct vdp_filter filter)
{
	uint8_t size = vdp_filter_size(f->format);
	struct writer w;

	assert(i < f->n && (size_t)(i + 1) * size <= sizeof(f->octets));
	w = writer_of(f->octets + (size_t)i * size, size);
	if (has_group(f->format))
		write_u32(&w, filter.group);
	if (has_mac(f->format))
		write_octets(&w, filter.mac.b, MAC_SIZE);
	write_u16(&w, filter.vid);
}

bool vdp_filter_add(struct vdp_filters *f, enum evb_generation g, struct vdp_filter filter)
{
	size_t head = g == EVB_DRAFT ? DRAFT_HEAD_SIZE : VDP_TLV_HEAD_SIZE;

	if (head + (f->n + 1u) * vdp_filter_size(f->format) > TLV_VALUE_MAX)
		return false;
	f->n++;
	vdp_filter_set(f, (uint16_t)(f->n - 1), filter);
	return true;
}

bool vdp_filters_equal(const struct vdp_filters *a, const struct vdp_filters *b)
{
	return a->format == b->format && a->n == b->n &&
	       !memcmp(a->octets, b->octets, (size_t)a->n * vdp_filter_size(a->format));
}

bool vdp_filters_fill(const struct vdp_filters *asked, const struct vdp_filters *got)
{
	if (asked->format != got->format || asked->n != got->n)
		return false;
	for (uint16_t i = 0; i < asked->n; i++) {
		struct vdp_filter a = vdp_filter_at(asked, i), g = vdp_filter_at(got, i);
		uint16_t fixed = (uint16_t)((a.vid & VDP_VID ? VDP_VID : 0) |
					    (a.vid & VDP_VID_PS ? VDP_VID_PS | VDP_VID_PCP : 0));

		if (a.group != g.group || !mac_equal(a.mac, g.mac) || (a.vid ^ g.vid) & fixed)
			return false;
	}
	return true;
}

/* 802.1Q-2022 41.2.9: of entries of VIDs alone, one at most leaves the VID to the bridge. */
enum malformed vdp_filters_check(const struct vdp_filters *f)
{
	unsigned n_zero = 0;

	for (uint16_t i = 0; i < f->n; i++) {
		struct vdp_filter filter = vdp_filter_at(f, i);
		uint16_t vid = filter.vid & VDP_VID;

		n_zero += !vid;
		if (vid > VID_MAX || (n_zero > 1 && f->format == VDP_FILTER_VID))
			return MALFORMED_vid;
		if (has_group(f->format) && !filter.group)
			return MALFORMED_group;
		if (has_mac(f->format) && (mac_is_group(filter.mac) || mac_is_zero(filter.mac)))
			return MALFORMED_mac;
	}
	return MALFORMED_none;
}

enum malformed vsi_id_check(const struct vsi_id *id)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }, zeroes[10];
	bool sound = id->format >= VSI_ID_IPV4 && id->format <= VSI_ID_UUID;

	if (id->format == VSI_ID_IPV4)
		sound = !memcmp(id->octets, mapped, sizeof(mapped));
	else if (id->format == VSI_ID_MAC)
		sound = !memcmp(id->octets, zeroes, sizeof(zeroes));
	return sound ? MALFORMED_none : MALFORMED_vsi_id;
}

enum vdp_request vdp_request_of(struct tlv tlv, enum evb_generation g)
{
	struct cursor value;
	uint8_t mode;

	if (g == EVB_RATIFIED)
		return tlv.type >= VDP_PRE_ASSOCIATE && tlv.type <= VDP_DE_ASSOCIATE ?
			       (enum vdp_request)tlv.type :
			       (enum vdp_request)0;
	if (!tlv_is_of(tlv, OUI_EVB_DRAFT, VDP_DRAFT_TLV_SUBTYPE, &value))
		return (enum vdp_request)0;
	mode = cursor_u8(&value);
	return !value.failed && mode < VDP_DE_ASSOCIATE ? (enum vdp_request)(mode + 1) :
							  (enum vdp_request)0;
}

static enum malformed filters_decode(struct cursor *value, enum vdp_request request,
				     struct vdp_filters *f)
{
	uint8_t size;

	f->format = cursor_u8(value);
	f->n = cursor_u16(value);
	size = vdp_filter_size(f->format);
	if (value->failed)
		return MALFORMED_truncated;
	if (!size)
		return MALFORMED_filter_format;
	/* Whether a De-Associate has to name filters the reference leaves open: it need not. */
	if (value->left != (size_t)f->n * size || (!f->n && request != VDP_DE_ASSOCIATE))
		return MALFORMED_filter_count;
	cursor_copy(value, f->octets, value->left);
	return vdp_filters_check(f);
}

enum malformed vdp_assoc_decode(struct tlv tlv, enum evb_generation g, struct vdp_assoc *assoc)
{
	struct cursor value = tlv.value;
	enum malformed wrong;

	assoc->request = vdp_request_of(tlv, g);
	if (!assoc->request)
		return MALFORMED_request;
	if (g == EVB_DRAFT) {
		cursor_part(&value, DRAFT_STATUS_OFFSET);
		assoc->status = cursor_u8(&value) & VDP_ERROR;
		assoc->manager = (struct vdp_manager){ .octets = { cursor_u8(&value) } };
	} else {
		assoc->status = cursor_u8(&value) & (VDP_ACK | VDP_KEEP | VDP_HARD | VDP_ERROR);
	}
	assoc->type_id = cursor_u24(&value);
	assoc->version = cursor_u8(&value);
	assoc->id.format = g == EVB_DRAFT ? VSI_ID_UUID : cursor_u8(&value);
	cursor_copy(&value, assoc->id.octets, sizeof(assoc->id.octets));
	if (value.failed)
		return MALFORMED_truncated;
	wrong = vsi_id_check(&assoc->id);
	if (wrong != MALFORMED_none)
		return wrong;
	wrong = filters_decode(&value, assoc->request, &assoc->filters);
	if (wrong == MALFORMED_none && g == EVB_DRAFT &&
	    assoc->filters.format != VDP_FILTER_MAC_VID)
		return MALFORMED_filter_format;
	return wrong;
}

void vdp_assoc_encode_as(struct writer *w, enum evb_generation g, const struct vdp_assoc *assoc,
			 enum vdp_request request, uint8_t status)
{
	const struct vdp_filters *f = &assoc->filters;
	size_t at;

	if (g == EVB_DRAFT) {
		at = tlv_begin_org(w, OUI_EVB_DRAFT, VDP_DRAFT_TLV_SUBTYPE);
		write_u8(w, (uint8_t)(request - 1));
		write_u8(w, status & VDP_ERROR);
		write_u8(w, assoc->manager.octets[0]);
	} else {
		at = tlv_begin(w, (uint8_t)request);
		write_u8(w, status);
	}
	write_u24(w, assoc->type_id);
	write_u8(w, assoc->version);
	if (g == EVB_RATIFIED)
		write_u8(w, assoc->id.format);
	write_octets(w, assoc->id.octets, sizeof(assoc->id.octets));
	write_u8(w, f->format);
	write_u16(w, f->n);
	write_octets(w, f->octets, (size_t)f->n * vdp_filter_size(f->format));
	tlv_end(w, at);
}

void vdp_assoc_encode(struct writer *w, enum evb_generation g, const struct vdp_assoc *assoc)
{
	vdp_assoc_encode_as(w, g, assoc, assoc->request, assoc->status);
}

bool vdp_reject_encode(struct writer *w, enum evb_generation g, struct tlv tlv, uint8_t status)
{
	size_t offset = g == EVB_DRAFT ? DRAFT_STATUS_OFFSET : STATUS_OFFSET;
	size_t at = w->size + TLV_HEADER_SIZE + offset;

	if (tlv.value.left <= offset)
		return false;
	tlv_write(w, tlv.type, tlv.value.at, tlv.value.left);
	if (!w->full)
		w->octets[at] = status;
	return true;
}

enum vdp_error vdp_error_of(enum malformed wrong, enum evb_generation g)
{
	bool content = wrong == MALFORMED_vid || wrong == MALFORMED_group || wrong == MALFORMED_mac;

	if (wrong == MALFORMED_none)
		return VDP_SUCCESS;
	return content && g == EVB_RATIFIED ? VDP_INVALID_FILTER : VDP_INVALID_FORMAT;
}
