// SPDX-License-Identifier: Apache-2.0
#include "virtport_vsis.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "netlink.h"
#include "unix_socket.h"

enum { BUCKETS = 1024 };

/* How long an end is kept for who asks for it; and once somebody, perhaps another, was told. */
#define KEEP_ENDED (15 * NS_PER_S)
#define KEEP_REPORTED (1 * NS_PER_S)
#define LOOK_AGAIN (1 * NS_PER_S)
#define ASK_AGAIN (5 * NS_PER_S) /* the bridge said no, or nothing, and libvirt is not there */
#define SAVE_AFTER (20 * NS_PER_MS)

/* The VSI of one guest. */
struct client {
	struct virtport_kept v; /* as asked for last */
	struct virtport held;	/* if it stands: as it was asked for then */
	port_id uplink;
	int response;		/* VIRTPORT_PENDING, or what is to be told */
	bool stands, is_polled; /* is_polled: since it was asked for */
	bool is_looked_for;	/* the macvtap, since it was asked for */
	bool is_due;		/* we are to ask, at `when` */
	bool is_over;		/* it is forgotten at `when` */
	tstamp when;
	TAILQ_ENTRY(client) order;
	LIST_ENTRY(client) chain; /* in its bucket */
};

LIST_HEAD(bucket, client);
TAILQ_HEAD(client_list, client);

struct virtport_vsis {
	struct loop *loop;
	struct loop_timer *look, *save;
	struct plane *plane;
	const struct log *log;
	struct virtport_teller teller;
	char file[UNIX_PATH_SIZE + 16];
	bool is_unsaved; /* and it was said */
	uint32_t n;
	struct client_list clients; /* what was asked for last in front */
	struct bucket bucket[BUCKETS];
};

static struct vsi_id id_of(const struct virtport *v)
{
	struct vsi_id id = { .format = VSI_ID_UUID };

	memcpy(id.octets, v->instance, sizeof(id.octets));
	return id;
}

static uint32_t hash(const uint8_t instance[16])
{
	uint32_t h = 0x811c9dc5; /* FNV-1a */

	for (unsigned i = 0; i < 16; i++)
		h = (h ^ instance[i]) * 0x01000193;
	return h % BUCKETS;
}

static bool has(const struct client *c, const uint8_t instance[16])
{
	return !memcmp(c->v.port.instance, instance, sizeof(c->v.port.instance));
}

static struct client *find(const struct virtport_vsis *s, const char *dev,
			   const uint8_t instance[16])
{
	struct client *c;

	LIST_FOREACH(c, &s->bucket[hash(instance)], chain)
	{
		if (has(c, instance) && !strcmp(c->v.port.dev, dev))
			break;
	}
	return c;
}

/* Whose VSI it is that stands, or was asked for, at an uplink. */
static struct client *find_at(const struct virtport_vsis *s, port_id uplink,
			      const struct vsi_id *id)
{
	struct client *c;

	LIST_FOREACH(c, &s->bucket[hash(id->octets)], chain)
	{
		if (has(c, id->octets) && c->uplink == uplink && !c->is_over)
			break;
	}
	return id->format == VSI_ID_UUID ? c : NULL;
}

static void forget(struct virtport_vsis *s, struct client *c)
{
	LIST_REMOVE(c, chain);
	TAILQ_REMOVE(&s->clients, c, order);
	s->n--;
	free(c);
}

/* The oldest of the ends that nobody asks for. */
static void forget_end(struct virtport_vsis *s)
{
	struct client *c;

	TAILQ_FOREACH_REVERSE(c, &s->clients, client_list, order)
	{
		if (!c->is_over)
			continue;
		forget(s, c);
		return;
	}
}

/* NULL: there is no room. */
static struct client *add(struct virtport_vsis *s, const struct virtport_kept *v)
{
	struct client *c;

	if (s->n == VIRTPORTS_MAX)
		forget_end(s);
	c = s->n < VIRTPORTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c)
		return NULL;
	c->v = *v;
	c->uplink = PORT_NONE;
	c->response = VIRTPORT_PENDING;
	LIST_INSERT_HEAD(&s->bucket[hash(v->port.instance)], c, chain);
	TAILQ_INSERT_HEAD(&s->clients, c, order);
	s->n++;
	if (!loop_timer_is_set(s->look))
		loop_timer_set(s->look, loop_now(s->loop) + LOOK_AGAIN, LOOK_AGAIN);
	return c;
}

/* ---- what outlives evbd ---- */

/* The file is written as soon as no more changes come at once. */
static void changed(struct virtport_vsis *s)
{
	if (!loop_timer_is_set(s->save))
		loop_timer_set(s->save, loop_now(s->loop) + SAVE_AFTER, 0);
}

/* Once by the time that the file is written, and then if it matters. */
static void look_for_tap(const struct virtport_vsis *s, struct client *c)
{
	const struct link_info *tap = NULL;

	if (!c->v.tap && c->v.port.has_mac)
		tap = netlink_by_mac(plane_links(s->plane), c->v.port.mac, "macvtap");
	if (tap)
		c->v.tap = tap->ifindex;
	c->is_looked_for = true;
}

static void on_save(void *aux)
{
	struct virtport_vsis *s = aux;
	struct virtport_kept *list = calloc(s->n + 1, sizeof(*list));
	uint32_t n = 0;
	struct client *c;
	int err = list ? 0 : -ENOMEM;

	TAILQ_FOREACH (c, &s->clients, order) {
		if (!list || c->is_over)
			continue;
		if (!c->is_looked_for)
			look_for_tap(s, c);
		list[n++] = c->v;
	}
	if (list)
		err = virtport_save(s->file, list, n);
	if (err && !s->is_unsaved)
		log_error(s->log, "cannot keep VSIs of libvirt in %s: %s", s->file, strerror(-err));
	s->is_unsaved = err;
	free(list);
}

/* ---- the uplink ---- */

/* The uplink of ours on a device, if it speaks EVB; or PORT_NONE. */
static port_id uplink_on(const struct plane *p, const char *dev)
{
	const struct model *m = plane_model(p);

	for (uint32_t i = 0; i < m->n_ports; i++) {
		const struct port_config *c = &m->port[i];

		if (c->name[0] && c->role == FWD_UPLINK && c->kind == KIND_PACKET && !c->channel &&
		    !strcmp(c->dev, dev) && agents_evb(plane_agents(p), (port_id)i))
			return (port_id)i;
	}
	return PORT_NONE;
}

/* Does the station there know of the VSI? */
static bool is_known(const struct virtport_vsis *s, port_id uplink, const struct virtport *v)
{
	const struct evb_link *l = agents_evb(plane_agents(s->plane), uplink);
	struct vsi_id id = id_of(v);

	return l && vsi_find(agents_vsis(l), &id);
}

static struct vdp_assoc assoc_of(const struct virtport *v)
{
	static const enum vdp_request requests[] = {
		[PORT_REQUEST_PREASSOCIATE] = VDP_PRE_ASSOCIATE,
		[PORT_REQUEST_PREASSOCIATE_RR] = VDP_PRE_ASSOCIATE_RR,
		[PORT_REQUEST_ASSOCIATE] = VDP_ASSOCIATE,
		[PORT_REQUEST_DISASSOCIATE] = VDP_DE_ASSOCIATE,
	};
	struct vdp_assoc a = { .request = requests[v->request],
			       .version = v->version,
			       .type_id = v->type_id,
			       .manager.octets[0] = v->manager,
			       .id = id_of(v) };
	struct vdp_filter f = { .mac = v->mac, .vid = v->vlan };

	a.filters.format = v->has_mac ? VDP_FILTER_MAC_VID : VDP_FILTER_VID;
	vdp_filter_add(&a.filters, EVB_RATIFIED, f);
	return a;
}

/* ---- what is over, and what is to be asked for by ourselves ---- */

static void end(struct virtport_vsis *s, struct client *c, int response)
{
	c->response = response;
	c->stands = c->is_due = false;
	c->is_over = true;
	c->when = loop_now(s->loop) + KEEP_ENDED;
	changed(s);
}

static void due(struct client *c, tstamp when)
{
	c->is_due = true;
	c->when = when;
}

/* Has the guest its macvtap? Of others (macvlan of a container) it cannot be told. */
static bool has_tap(const struct virtport_vsis *s, struct client *c)
{
	const struct link_info *tap;

	look_for_tap(s, c);
	tap = c->v.tap ? netlink_by_index(plane_links(s->plane), c->v.tap) : NULL;
	return tap && !strcmp(tap->kind, "macvtap");
}

/* libvirt is gone, and did not say that the guest is. */
static bool is_orphan(const struct virtport_vsis *s, struct client *c)
{
	return c->v.tap && c->v.port.request != PORT_REQUEST_DISASSOCIATE && !has_tap(s, c);
}

/* Ask for what nobody else would ask for any more. */
static void ask(struct virtport_vsis *s, struct client *c, port_id uplink)
{
	struct vdp_assoc a;
	int err;

	if (c->v.port.request != PORT_REQUEST_DISASSOCIATE && !has_tap(s, c)) {
		/* Who knows whether there is a guest? Those who have it ask. */
		if (s->teller.ended(s->teller.aux, &c->v) != -EAGAIN)
			end(s, c, VIRTPORT_ERROR);
		return;
	}
	a = assoc_of(&c->v.port);
	err = plane_vsi_request(s->plane, uplink, &a);
	if (err == -EBUSY || err == -ENOSPC)
		return;
	c->uplink = uplink;
	c->response = VIRTPORT_PENDING;
	c->is_due = c->is_polled = false;
	if (err)
		end(s, c, VIRTPORT_ERROR);
}

/* See to one; it may be forgotten. */
static void tend(struct virtport_vsis *s, struct client *c)
{
	port_id uplink;

	if (c->is_over) {
		if (c->when <= loop_now(s->loop))
			forget(s, c);
		return;
	}
	if (is_orphan(s, c)) {
		c->v.port.request = PORT_REQUEST_DISASSOCIATE;
		due(c, 0);
		changed(s);
	}
	if (!c->is_due && !is_known(s, c->uplink, &c->v.port)) {
		c->stands = false; /* the uplink, or what it speaks, was made anew */
		due(c, 0);
	}
	if (!c->is_due || c->when > loop_now(s->loop))
		return;
	uplink = uplink_on(s->plane, c->v.port.dev);
	if (uplink != PORT_NONE)
		ask(s, c, uplink);
	else if (c->v.port.request == PORT_REQUEST_DISASSOCIATE)
		end(s, c, PORT_VDP_RESPONSE_SUCCESS); /* nobody keeps it alive */
}

static void on_look(void *aux)
{
	struct virtport_vsis *s = aux;
	struct client *c, *next;

	for (c = TAILQ_FIRST(&s->clients); c; c = next) {
		next = TAILQ_NEXT(c, order);
		tend(s, c);
	}
	if (!s->n)
		loop_timer_stop(s->look);
}

static void on_outcome(void *aux, port_id uplink, enum vdp_outcome outcome, const struct vsi *v,
		       uint8_t status)
{
	struct virtport_vsis *s = aux;
	struct client *c = find_at(s, uplink, &v->id);
	bool is_unheard = outcome == VDP_REVOKED, stands;
	int err;

	if (!c)
		return;
	/*
	 * Nobody polls for a keep-alive that fails, nor for what libvirt asks by itself once it was
	 * told of an end. It asks again then, and again while the bridge is silent.
	 */
	if (outcome == VDP_TIMED_OUT || outcome == VDP_REFUSED)
		is_unheard = c->stands || (outcome == VDP_TIMED_OUT && !c->is_polled);
	stands = outcome == VDP_STANDS || outcome == VDP_KEPT;
	c->stands = stands;
	if (c->is_due) { /* its end was asked for meanwhile */
		loop_timer_set(s->look, loop_now(s->loop), LOOK_AGAIN);
		return;
	}
	if (outcome == VDP_STANDS)
		c->held = c->v.port;
	else if (outcome == VDP_KEPT)
		c->v.port = c->held;
	if (stands) {
		c->response = status & VDP_ERROR;
		changed(s);
		return;
	}
	/* Who ends one does not want it back. */
	if (is_unheard && c->v.port.request != PORT_REQUEST_DISASSOCIATE) {
		err = s->teller.ended(s->teller.aux, &c->v);
		if (err == -EAGAIN || (err && has_tap(s, c))) {
			due(c, loop_now(s->loop) + ASK_AGAIN);
			return;
		}
	}
	end(s, c,
	    outcome == VDP_ENDED     ? PORT_VDP_RESPONSE_SUCCESS :
	    outcome == VDP_TIMED_OUT ? VIRTPORT_ERROR :
				       status & VDP_ERROR);
}

/* ---- requests ---- */

/* The VSI of another guest, or of a port of ours: a mistake, at which nobody's may end. */
static bool is_taken(const struct virtport_vsis *s, const struct client *c, port_id uplink,
		     const struct virtport *v)
{
	if (!c || c->is_over)
		return is_known(s, uplink, v);
	return c->v.port.has_mac && v->has_mac && !mac_equal(c->v.port.mac, v->mac);
}

int virtport_vsis_request(struct virtport_vsis *s, const struct virtport_kept *asked)
{
	const struct virtport *v = &asked->port;
	bool ends = v->request == PORT_REQUEST_DISASSOCIATE;
	port_id uplink = uplink_on(s->plane, v->dev);
	struct client *c = find(s, v->dev, v->instance);
	struct vdp_assoc a = assoc_of(v);
	bool is_new = !c;
	int err;

	if (uplink == PORT_NONE) {
		if (!c || !ends)
			return -ENODEV;
		end(s, c, PORT_VDP_RESPONSE_SUCCESS); /* nobody keeps it alive */
		return 0;
	}
	if (is_taken(s, c, uplink, v))
		return -EEXIST;
	if (is_new)
		c = add(s, asked);
	if (!c)
		return -ENOMEM;
	err = plane_vsi_request(s->plane, uplink, &a);
	if (err && is_new)
		forget(s, c);
	/* libvirt does not ask for an end again: it comes when it can. */
	if (err && (is_new || c->is_over || err != -EBUSY || !ends))
		return err;
	c->v = *asked;
	c->uplink = uplink;
	c->response = VIRTPORT_PENDING;
	c->is_over = c->is_polled = c->is_looked_for = false;
	c->is_due = err;
	c->when = 0;
	TAILQ_REMOVE(&s->clients, c, order);
	TAILQ_INSERT_HEAD(&s->clients, c, order);
	changed(s);
	return 0;
}

void virtport_vsis_list(struct virtport_vsis *s, const char *dev, struct nlmsghdr *answer)
{
	tstamp soon = loop_now(s->loop) + KEEP_REPORTED;
	struct client *c;

	TAILQ_FOREACH (c, &s->clients, order) {
		if (strcmp(c->v.port.dev, dev) != 0)
			continue;
		if (!c->is_over)
			tend(s, c);
		if (!virtport_get_add(answer, c->v.port.instance, c->response))
			break;
		c->is_polled = true;
		/* Who polls may be after another. */
		if (c->is_over && c->when > soon)
			c->when = soon;
	}
}

/* ---- begin and end ---- */

/* In the next turn of the loop, none is known to its uplink. */
static void take_over(struct virtport_vsis *s)
{
	struct virtport_kept *list;
	struct err e;
	int n = virtport_load(s->file, &list, &e);

	if (n < 0)
		log_warning(s->log, "%s; %s", e.message, e.hint);
	while (n-- > 0) /* the first is the one asked for last */
		add(s, &list[n]);
	free(list);
	if (s->n)
		log_info(s->log, "libvirt: %u VSIs of before are asked for again", s->n);
	loop_timer_set(s->look, loop_now(s->loop), LOOK_AGAIN);
}

struct virtport_vsis *virtport_vsis_new(struct loop *loop, struct plane *plane,
					const struct log *log, const char *folder,
					struct virtport_teller teller)
{
	struct virtport_vsis *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = loop;
	s->plane = plane;
	s->log = log;
	s->teller = teller;
	TAILQ_INIT(&s->clients);
	snprintf(s->file, sizeof(s->file), "%s/libvirt-vsis", folder);
	s->look = loop_timer_new(loop, on_look, s);
	s->save = loop_timer_new(loop, on_save, s);
	if (!s->look || !s->save) {
		virtport_vsis_free(s);
		return NULL;
	}
	plane_on_foreign_outcome(plane, on_outcome, s);
	take_over(s);
	return s;
}

void virtport_vsis_free(struct virtport_vsis *s)
{
	struct client *c, *next;

	if (!s)
		return;
	plane_on_foreign_outcome(s->plane, NULL, NULL);
	if (s->save && loop_timer_is_set(s->save))
		on_save(s);
	loop_timer_free(s->save);
	loop_timer_free(s->look);
	for (c = TAILQ_FIRST(&s->clients); c; c = next) {
		next = TAILQ_NEXT(c, order);
		free(c);
	}
	free(s);
}
