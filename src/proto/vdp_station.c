// SPDX-License-Identifier: Apache-2.0
#include "vdp_station.h"

#include <errno.h>

enum { WINDOW_FIRST = 8 }; /* lldpad answers twelve in time, if R is 3 */

static void begin_pace(struct vdp_station *s)
{
	s->window = WINDOW_FIRST;
	s->quickest = TSTAMP_NEVER;
}

void vdp_station_init(struct vdp_station *s, struct vsi *slots, uint32_t n,
		      const struct vdp_station_hooks *hooks)
{
	*s = (struct vdp_station){ .hooks = *hooks, .timing = evb_timing_default() };
	vsi_table_init(&s->table, slots, n);
	begin_pace(s);
}

/* ---- pacing ---- */

/* It is no longer with the bridge, and another may be. */
static void came_back(struct vdp_station *s, struct vsi *v)
{
	if (v->sent_at == TSTAMP_NEVER)
		return;
	v->sent_at = TSTAMP_NEVER;
	s->n_sent--;
	if (!TAILQ_EMPTY(&s->table.queue))
		s->hooks.wake(s->hooks.ctx);
}

static void pace(struct vdp_station *s, tstamp took)
{
	s->quickest = tstamp_earlier(s->quickest, took);
	if (took - s->quickest < s->timing.response_wait / 4)
		s->window += s->window < s->table.n_slots;
	else if (took > s->timing.response_wait / 2)
		s->window -= s->window > 1;
}

static void tell(struct vdp_station *s, tstamp now, enum vdp_outcome outcome, const struct vsi *v,
		 uint8_t status)
{
	s->hooks.outcome(s->hooks.ctx, now, outcome, v, status);
}

static void end(struct vdp_station *s, tstamp now, enum vdp_outcome outcome, struct vsi *v,
		uint8_t status)
{
	tell(s, now, outcome, v, status);
	came_back(s, v);
	vsi_free(&s->table, v);
}

/*
 * Have it sent; the timer is set anew when that is done. What stands goes first: a bridge that
 * cannot keep up with all would else let go of those that it has.
 */
static void ask(struct vdp_station *s, tstamp now, struct vsi *v, enum vsi_station_state state)
{
	v->state = (uint8_t)state;
	came_back(s, v);
	if (state == VSI_REFRESHING)
		vsi_queue_first(&s->table, v);
	else
		vsi_queue(&s->table, v);
	vsi_timer(&s->table, v, now + s->timing.response_wait);
	s->hooks.wake(s->hooks.ctx);
}

static void stand(struct vdp_station *s, tstamp now, struct vsi *v)
{
	v->state = VSI_STANDS;
	vsi_unqueue(&s->table, v);
	came_back(s, v);
	vsi_timer(&s->table, v, s->link_up ? now + s->timing.keep_alive : TSTAMP_NEVER);
}

/* ---- requests of the client ---- */

/* `v`: the VSI that it names, or NULL. */
static int check_request(const struct vdp_station *s, const struct vsi *v,
			 const struct vdp_assoc *want)
{
	const struct vdp_filters *f = &want->filters;

	if (want->request < VDP_PRE_ASSOCIATE || want->request > VDP_DE_ASSOCIATE)
		return -EINVAL;
	if (v && want->request == VDP_DE_ASSOCIATE)
		return 0;
	if (want->type_id > 0xffffff || vsi_id_check(&want->id) != MALFORMED_none || !f->n ||
	    !vdp_filter_size(f->format) || vdp_filters_check(f) != MALFORMED_none)
		return -EINVAL;
	if (s->generation == EVB_DRAFT)
		return f->format == VDP_FILTER_MAC_VID && want->id.format == VSI_ID_UUID ?
			       0 :
			       -EOPNOTSUPP;
	return f->format >= VDP_FILTER_GROUP_VID && !s->group_id ? -EOPNOTSUPP : 0;
}

int vdp_station_request(struct vdp_station *s, tstamp now, const struct vdp_assoc *want)
{
	struct vsi *v = vsi_find(&s->table, &want->id);
	int error = check_request(s, v, want);

	if (error)
		return error;
	if (v && v->state == VSI_ASKING)
		return -EBUSY;
	if (v && want->request < v->held.request)
		return -EINVAL;
	if (!v)
		v = vsi_new(&s->table, &want->id);
	if (!v)
		return -ENOSPC;
	v->asked = want->request == VDP_DE_ASSOCIATE && v->held.request ? v->held : *want;
	v->asked.request = want->request;
	v->asked.status = want->status & (VDP_SUSPEND | VDP_MIGRATE);
	s->stats.requests++;
	ask(s, now, v, VSI_ASKING);
	return 0;
}

/* ---- to ECP ---- */

static const struct vdp_assoc *outgoing_of(const struct vsi *v)
{
	return v->state == VSI_ASKING ? &v->asked : &v->held;
}

static const struct vdp_assoc *outgoing(void *ctx, const struct vsi *v, enum vdp_request *request,
					uint8_t *status)
{
	const struct vdp_assoc *a = outgoing_of(v);

	*request = a->request;
	*status = a->status;
	return a;
}

static void sent(void *ctx, tstamp now, struct vsi *v)
{
	struct vdp_station *s = ctx;

	v->sent_at = now;
	s->n_sent++;
	vsi_timer(&s->table, v, now + s->timing.response_wait);
}

bool vdp_station_fill(struct vdp_station *s, tstamp now, struct writer *w)
{
	uint32_t most = s->window > s->n_sent ? s->window - s->n_sent : 0;

	return vsi_pack(&s->table, now, s->generation,
			&(struct vsi_packer){ most, outgoing, sent, s }, w);
}

/* ---- responses ---- */

/* A refusal may have the request's type or, as lldpad's bridge has it, De-Associate. */
static bool answers(const struct vdp_station *s, const struct vsi *v, const struct vdp_assoc *got)
{
	const struct vdp_assoc *asked = outgoing_of(v);

	if (v->state == VSI_STANDS || v->queued || asked->type_id != got->type_id ||
	    asked->version != got->version || !vdp_manager_equal(&asked->manager, &got->manager))
		return false;
	if (got->request != asked->request && got->request != VDP_DE_ASSOCIATE)
		return false;
	/* lldpad looks no further in drafts, and its peers may say less. */
	return s->generation == EVB_DRAFT || vdp_filters_fill(&asked->filters, &got->filters);
}

static void succeeded(struct vdp_station *s, tstamp now, struct vsi *v, const struct vdp_assoc *got)
{
	const struct vdp_filters *asked = &outgoing_of(v)->filters;
	bool fills_in =
		!vdp_filters_equal(asked, &got->filters) && vdp_filters_fill(asked, &got->filters);
	bool is_news = v->state == VSI_ASKING || fills_in;

	if (v->state == VSI_ASKING)
		v->held = v->asked;
	v->held.status = 0;
	if (fills_in)
		v->held.filters = got->filters;
	stand(s, now, v);
	if (is_news)
		tell(s, now, VDP_STANDS, v, got->status);
}

static void responded(struct vdp_station *s, tstamp now, struct vsi *v, const struct vdp_assoc *got)
{
	bool error = got->status & VDP_ERROR;
	bool keep = error && s->generation == EVB_RATIFIED && got->status & VDP_KEEP;
	enum vdp_request asked = outgoing_of(v)->request;

	s->stats.responses++;
	pace(s, now - v->sent_at);
	if (!error && asked == VDP_DE_ASSOCIATE)
		end(s, now, VDP_ENDED, v, got->status);
	else if (!error && got->request == asked)
		succeeded(s, now, v, got);
	else if (!keep || !v->held.request)
		end(s, now, VDP_REFUSED, v, got->status);
	else {
		stand(s, now, v);
		tell(s, now, VDP_KEPT, v, got->status);
	}
}

/* Is it a word of the bridge's own accord? Drafts do not mark responses. */
static bool is_unsolicited(const struct vdp_station *s, const struct vsi *v,
			   const struct vdp_assoc *got)
{
	if (s->generation == EVB_RATIFIED)
		return !(got->status & VDP_ACK);
	return got->request == VDP_DE_ASSOCIATE && v && outgoing_of(v)->request != VDP_DE_ASSOCIATE;
}

static void received(struct vdp_station *s, tstamp now, const struct vdp_assoc *got)
{
	struct vsi *v = vsi_find(&s->table, &got->id);

	if (is_unsolicited(s, v, got)) {
		if (got->request != VDP_DE_ASSOCIATE)
			s->stats.ignored++;
		else if (v && vdp_manager_equal(&outgoing_of(v)->manager, &got->manager))
			end(s, now, VDP_REVOKED, v, got->status);
		else
			s->stats.mismatched++;
	} else if (v && answers(s, v, got)) {
		responded(s, now, v, got);
	} else {
		s->stats.mismatched++;
	}
}

void vdp_station_deliver(struct vdp_station *s, tstamp now, struct cursor payload)
{
	struct vdp_pdu_item item;
	struct vdp_assoc got;
	struct vdp_pdu pdu;
	enum malformed wrong = vdp_pdu_open(&pdu, s->generation, payload);

	if (wrong != MALFORMED_none) {
		s->stats.malformed[wrong]++;
		return;
	}
	while (vdp_pdu_next(&pdu, &item)) {
		got.manager = pdu.manager;
		wrong = vdp_assoc_decode(item.tlv, s->generation, &got);
		if (wrong == MALFORMED_none)
			received(s, now, &got);
		else
			s->stats.malformed[wrong]++;
	}
}

/* ---- time and the link ---- */

void vdp_station_run(struct vdp_station *s, tstamp now)
{
	struct vsi *v;

	while ((v = vsi_due(&s->table, now))) {
		if (v->state == VSI_STANDS) {
			s->stats.keep_alives++;
			ask(s, now, v, VSI_REFRESHING);
		} else if (v->queued && s->link_up) {
			vsi_timer(&s->table, v, now + s->timing.response_wait);
		} else {
			s->window -= s->window / 2;
			end(s, now, VDP_TIMED_OUT, v, 0);
		}
	}
}

tstamp vdp_station_deadline(const struct vdp_station *s)
{
	return vsi_deadline(&s->table);
}

/* Repeat what stands, and what has not been answered. */
static void repeat_all(struct vdp_station *s, tstamp now)
{
	for (uint32_t i = 0; i < s->table.n_slots; i++) {
		struct vsi *v = &s->table.slot[i];

		if (v->used)
			ask(s, now, v, v->state == VSI_ASKING ? VSI_ASKING : VSI_REFRESHING);
	}
}

void vdp_station_link(struct vdp_station *s, tstamp now, bool up)
{
	if (s->link_up == up)
		return;
	s->link_up = up;
	if (up) {
		begin_pace(s);
		repeat_all(s, now);
		return;
	}
	for (uint32_t i = 0; i < s->table.n_slots; i++) {
		struct vsi *v = &s->table.slot[i];

		if (v->used && v->state != VSI_ASKING)
			stand(s, now, v);
	}
}

void vdp_station_agree(struct vdp_station *s, tstamp now, enum evb_generation g,
		       const struct evb_timing *timing, bool group_id)
{
	bool other = g != s->generation;

	s->generation = g;
	s->timing = *timing;
	s->group_id = group_id;
	if (other && s->link_up)
		repeat_all(s, now);
}
