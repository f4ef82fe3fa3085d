// SPDX-License-Identifier: Apache-2.0
#include "vdp_bridge.h"

void vdp_bridge_init(struct vdp_bridge *b, struct vsi *slots, uint32_t n,
		     const struct vdp_bridge_hooks *hooks)
{
	*b = (struct vdp_bridge){ .hooks = *hooks, .timing = evb_timing_default() };
	vsi_table_init(&b->table, slots, n);
}

/* ---- what is said of a VSI ---- */

/* Queue `request` and `status` with the rest of what was asked, or of what is held. */
static void say(struct vdp_bridge *b, struct vsi *v, const struct vdp_assoc *of, uint8_t status)
{
	v->out_request = (uint8_t)of->request;
	v->out_status = status;
	v->out_is_held = of == &v->held;
	vsi_queue(&b->table, v);
	b->hooks.wake(b->hooks.ctx);
}

static void attached(struct vdp_bridge *b, tstamp now, struct vsi *v)
{
	v->state = VSI_ATTACHED;
	vsi_timer(&b->table, v, now + b->timing.keep_alive_timeout);
}

/* What say() has queued is the last word. */
static void leave(struct vdp_bridge *b, tstamp now, struct vsi *v)
{
	if (v->held.request)
		b->hooks.apply(b->hooks.ctx, now, v, NULL);
	v->held.request = (enum vdp_request)0;
	v->state = VSI_LEAVING;
	v->frees = true;
	v->ticket++;
	vsi_timer(&b->table, v, TSTAMP_NEVER);
}

/* De-Associate of our own accord: no ACK, with what stands, or what would have (3.6). */
static void dissolve(struct vdp_bridge *b, tstamp now, struct vsi *v)
{
	say(b, v, v->held.request ? &v->held : &v->asked, 0);
	v->out_request = VDP_DE_ASSOCIATE;
	leave(b, now, v);
}

/* The drafts have other errors; what the manager refuses is a type that may not be used. */
static uint8_t status_of(const struct vdp_bridge *b, enum vdp_error error, uint8_t bits)
{
	static const uint8_t draft[] = {
		[VDP_SUCCESS] = VDP_SUCCESS,	       [VDP_INVALID_FORMAT] = VDP_INVALID_FORMAT,
		[VDP_NO_RESOURCES] = VDP_NO_RESOURCES, [VDP_NO_MANAGER] = VDP_NO_RESOURCES,
		[VDP_OTHER] = VDP_DRAFT_UNUSED_TYPE,   [VDP_INVALID_FILTER] = VDP_INVALID_FORMAT
	};

	if (b->generation == EVB_DRAFT)
		return (size_t)error < ARRAY_SIZE(draft) ? draft[error] : VDP_INVALID_FORMAT;
	return (uint8_t)(VDP_ACK | bits | (error & VDP_ERROR));
}

/* ---- decisions ---- */

static void refuse(struct vdp_bridge *b, tstamp now, struct vsi *v,
		   const struct vdp_decision *decision)
{
	/* The drafts cannot say KEEP: the station takes any error for the end. */
	bool keep = decision->keep && v->held.request && b->generation == EVB_RATIFIED;

	say(b, v, &v->asked,
	    status_of(b, decision->error,
		      (uint8_t)((keep ? VDP_KEEP : 0) | (decision->hard ? VDP_HARD : 0))));
	if (keep) {
		b->stats.kept++;
		attached(b, now, v);
	} else {
		b->stats.refused++;
		leave(b, now, v);
	}
}

/* All is as asked but for what was left open, and nothing is left open. */
static bool is_filled_in(const struct vdp_filters *asked, const struct vdp_filters *got)
{
	if (!vdp_filters_fill(asked, got) || vdp_filters_check(got) != MALFORMED_none)
		return false;
	for (uint16_t i = 0; i < got->n; i++) {
		if (!(vdp_filter_at(got, i).vid & VDP_VID))
			return false;
	}
	return true;
}

static bool accept(struct vdp_bridge *b, tstamp now, struct vsi *v,
		   const struct vdp_filters *filters)
{
	struct vdp_assoc stands = v->asked;

	stands.status = 0;
	stands.filters = *filters;
	if (!b->hooks.apply(b->hooks.ctx, now, v, &stands))
		return false;
	b->stats.accepted++;
	v->held = stands;
	say(b, v, &v->held, status_of(b, VDP_SUCCESS, 0));
	attached(b, now, v);
	return true;
}

void vdp_bridge_decide(struct vdp_bridge *b, tstamp now, struct vdp_ticket ticket,
		       const struct vdp_decision *decision)
{
	static const struct vdp_decision no_vid = { .error = VDP_INVALID_FILTER, .keep = true };
	static const struct vdp_decision no_room = { .error = VDP_NO_RESOURCES, .keep = true };
	const struct vdp_filters *filters;
	struct vsi *v;

	if (ticket.slot >= b->table.n_slots)
		return;
	v = &b->table.slot[ticket.slot];
	if (!v->used || v->ticket != ticket.number || v->state != VSI_DECIDING)
		return;
	filters = decision->filters ? decision->filters : &v->asked.filters;
	if (decision->error)
		refuse(b, now, v, decision);
	else if (!is_filled_in(&v->asked.filters, filters))
		refuse(b, now, v, &no_vid);
	else if (!accept(b, now, v, filters))
		refuse(b, now, v, &no_room);
}

static void ask(struct vdp_bridge *b, tstamp now, struct vsi *v, const struct vdp_assoc *asked)
{
	struct vdp_ticket ticket = { (uint32_t)(v - b->table.slot), ++v->ticket };

	vsi_unqueue(&b->table, v); /* an answer to what was asked before is of no use now */
	v->asked = *asked;
	v->state = VSI_DECIDING;
	v->frees = false;
	vsi_timer(&b->table, v, now + b->timing.resource_wait);
	b->hooks.ask(b->hooks.ctx, now, ticket, v);
}

/* ---- answers without a VSI ---- */

static struct vdp_loose *loose_new(struct vdp_bridge *b, const struct vdp_manager *manager)
{
	struct vdp_loose *l = &b->loose[(b->loose_first + b->n_loose) % VDP_LOOSE_MAX];

	if (b->n_loose == VDP_LOOSE_MAX) {
		b->stats.unanswered++;
		return NULL;
	}
	b->n_loose++;
	l->manager = *manager;
	b->hooks.wake(b->hooks.ctx);
	return l;
}

/* The same octets, but the status. */
static void answer_loosely(struct vdp_bridge *b, const struct vdp_manager *manager, struct tlv tlv,
			   uint8_t status)
{
	struct vdp_loose *l = loose_new(b, manager);
	struct writer w;

	if (!l)
		return;
	w = writer_of(l->octets, sizeof(l->octets));
	if (vdp_reject_encode(&w, b->generation, tlv, status))
		l->size = (uint16_t)w.size;
	else
		b->n_loose--; /* not even a status: there is no answer to that */
}

static bool fill_loose(struct vdp_bridge *b, struct writer *w)
{
	struct vdp_manager manager;

	if (!b->n_loose)
		return false;
	manager = b->loose[b->loose_first].manager;
	vdp_pdu_begin(w, b->generation, &manager);
	while (b->n_loose) {
		const struct vdp_loose *l = &b->loose[b->loose_first];

		if (w->size + l->size + VDP_PDU_END_SIZE > w->room ||
		    !vdp_manager_equal(&l->manager, &manager))
			break;
		write_octets(w, l->octets, l->size);
		b->loose_first = (uint8_t)((b->loose_first + 1) % VDP_LOOSE_MAX);
		b->n_loose--;
	}
	vdp_pdu_end(w);
	return true;
}

/* ---- requests ---- */

/*
 * What stands is asked for again, by a station that knows the VIDs that were filled in, or by one
 * that does not and says 0 as it did at first.
 */
static bool is_repeated(const struct vsi *v, const struct vdp_assoc *got)
{
	const struct vdp_assoc *held = &v->held;

	return held->request == got->request && held->type_id == got->type_id &&
	       held->version == got->version && vdp_manager_equal(&held->manager, &got->manager) &&
	       vdp_filters_fill(&got->filters, &held->filters);
}

static bool is_same_question(const struct vdp_assoc *a, const struct vdp_assoc *b)
{
	return a->request == b->request && a->type_id == b->type_id && a->version == b->version &&
	       vdp_manager_equal(&a->manager, &b->manager) &&
	       vdp_filters_equal(&a->filters, &b->filters);
}

static void requested(struct vdp_bridge *b, tstamp now, struct tlv tlv, const struct vdp_assoc *got)
{
	struct vsi *v = vsi_find(&b->table, &got->id);

	b->stats.requests++;
	if (!v)
		v = vsi_new(&b->table, &got->id);
	if (!v) {
		b->stats.full++;
		answer_loosely(b, &got->manager, tlv, status_of(b, VDP_NO_RESOURCES, 0));
	} else if (v->held.request && v->state == VSI_ATTACHED && is_repeated(v, got)) {
		b->stats.keep_alives++;
		say(b, v, &v->held, status_of(b, VDP_SUCCESS, 0));
		attached(b, now, v);
	} else if (!v->asked.request || v->state != VSI_DECIDING ||
		   !is_same_question(&v->asked, got)) {
		ask(b, now, v, got);
	}
}

/* Answered like it came, whether there is such a VSI or not. */
static void de_associated(struct vdp_bridge *b, tstamp now, struct tlv tlv,
			  const struct vdp_assoc *got)
{
	struct vsi *v = vsi_find(&b->table, &got->id);

	if (!v) {
		/* A draft bridge opposite would take the answer for another request, and so on. */
		if (b->generation == EVB_RATIFIED)
			answer_loosely(b, &got->manager, tlv, status_of(b, VDP_SUCCESS, 0));
		return;
	}
	v->asked = *got;
	say(b, v, &v->asked, status_of(b, VDP_SUCCESS, 0));
	leave(b, now, v);
}

static enum malformed decode(const struct vdp_bridge *b, struct tlv tlv, struct vdp_assoc *got)
{
	enum malformed wrong = vdp_assoc_decode(tlv, b->generation, got);

	if (wrong == MALFORMED_none && got->filters.format >= VDP_FILTER_GROUP_VID && !b->group_id)
		return MALFORMED_filter_format;
	return wrong;
}

/* Of drafts, only those are known that tell of an error. */
static bool is_response(const struct vdp_bridge *b, struct tlv tlv)
{
	size_t at = b->generation == EVB_DRAFT ? 5 : 0;
	uint8_t bits = b->generation == EVB_DRAFT ? 0xff : VDP_ACK;

	return tlv.value.left > at && tlv.value.at[at] & bits;
}

static void received(struct vdp_bridge *b, tstamp now, struct tlv tlv,
		     const struct vdp_manager *manager)
{
	enum malformed wrong;
	struct vdp_assoc got;

	got.manager = *manager;
	wrong = decode(b, tlv, &got);
	if (is_response(b, tlv)) {
		b->stats.ignored++;
	} else if (wrong != MALFORMED_none) {
		b->stats.malformed[wrong]++;
		answer_loosely(b, manager, tlv,
			       status_of(b, vdp_error_of(wrong, b->generation), 0));
	} else if (got.request == VDP_DE_ASSOCIATE) {
		de_associated(b, now, tlv, &got);
	} else {
		requested(b, now, tlv, &got);
	}
}

void vdp_bridge_deliver(struct vdp_bridge *b, tstamp now, struct cursor payload)
{
	struct vdp_pdu_item item;
	struct vdp_pdu pdu;
	enum malformed wrong = vdp_pdu_open(&pdu, b->generation, payload);

	if (wrong != MALFORMED_none) {
		b->stats.malformed[wrong]++;
		return;
	}
	while (vdp_pdu_next(&pdu, &item))
		received(b, now, item.tlv, &pdu.manager);
}

/* ---- to ECP ---- */

static const struct vdp_assoc *outgoing(void *ctx, const struct vsi *v, enum vdp_request *request,
					uint8_t *status)
{
	*request = (enum vdp_request)v->out_request;
	*status = v->out_status;
	return v->out_is_held ? &v->held : &v->asked;
}

static void sent(void *ctx, tstamp now, struct vsi *v)
{
	struct vdp_bridge *b = ctx;

	if (v->frees)
		vsi_free(&b->table, v);
}

bool vdp_bridge_fill(struct vdp_bridge *b, tstamp now, struct writer *w)
{
	return fill_loose(b, w) ||
	       vsi_pack(&b->table, now, b->generation,
			&(struct vsi_packer){ UINT32_MAX, outgoing, sent, b }, w);
}

/* ---- time, policy, and the link ---- */

static void undecided(struct vdp_bridge *b, tstamp now, struct vsi *v)
{
	static const struct vdp_decision keep = { .error = VDP_NO_MANAGER, .keep = true };

	b->stats.undecided++;
	if (v->held.request == VDP_ASSOCIATE)
		refuse(b, now, v, &keep);
	else
		dissolve(b, now, v);
}

void vdp_bridge_run(struct vdp_bridge *b, tstamp now)
{
	struct vsi *v;

	while ((v = vsi_due(&b->table, now))) {
		if (v->state == VSI_DECIDING) {
			undecided(b, now, v);
		} else {
			b->stats.timed_out++;
			dissolve(b, now, v);
		}
	}
}

tstamp vdp_bridge_deadline(const struct vdp_bridge *b)
{
	return vsi_deadline(&b->table);
}

bool vdp_bridge_revoke(struct vdp_bridge *b, tstamp now, const struct vsi_id *id)
{
	struct vsi *v = vsi_find(&b->table, id);

	if (!v || v->state == VSI_LEAVING)
		return false;
	b->stats.revoked++;
	dissolve(b, now, v);
	return true;
}

void vdp_bridge_agree(struct vdp_bridge *b, tstamp now, enum evb_generation g,
		      const struct evb_timing *timing, bool group_id)
{
	if (g != b->generation) {
		b->n_loose = 0;
		for (uint32_t i = 0; i < b->table.n_slots; i++) {
			struct vsi *v = &b->table.slot[i];

			if (v->used && v->frees)
				vsi_free(&b->table, v);
			else if (v->used)
				vsi_unqueue(&b->table, v);
		}
	}
	b->generation = g;
	b->timing = *timing;
	b->group_id = group_id;
}
