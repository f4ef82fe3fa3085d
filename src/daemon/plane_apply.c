// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "plane_internal.h"

/*
 * From one shape to the next:
 *
 *   prepare   open what is now, set what can be refused       may fail: undone, nothing changed
 *   commit    learned addresses, view, watch, close, tell     does not fail
 *
 * A device that stays is never closed: neither guest nor VMM notices anything.
 */
struct txn {
	struct plane *p;
	struct plane_shape next;
	struct plane_adapted adapted;
	bool at_boot;
	struct err *e;
};

static const struct port_config *config_before(const struct txn *t, uint32_t id)
{
	return shape_config(&t->p->shape, id);
}

/* Same port on the same device? What else changes does not need to open it anew. */
static bool is_same_device(const struct port_config *a, const struct port_config *b)
{
	return a && b && !strcmp(a->name, b->name) && a->kind == b->kind &&
	       !strcmp(a->dev, b->dev) && !strcmp(a->netns, b->netns) &&
	       a->guest_is_vm == b->guest_is_vm && !strcmp(a->owner, b->owner) &&
	       !strcmp(a->group, b->group) && !strcmp(a->path, b->path) &&
	       a->is_client == b->is_client && a->has_config == b->has_config &&
	       a->queues == b->queues && a->perm == b->perm;
}

/* Does what is open do for the driver of port `id`, if that is another one than before? */
static bool is_driver_met(const struct txn *t, port_id id)
{
	const struct plane_port *pp = t->p->shape.port[id];
	enum device_driver driver = shape_driver(&t->next, id);
	struct xdp_info x;

	if (shape_driver(&t->p->shape, id) == driver || !pp->is_open)
		return true;
	return driver != DRIVER_PACKET && xdp_port_info(pp->device.port, &x) &&
	       (driver == DRIVER_XDP || x.is_zero_copy);
}

/* Does the slot have another live port in the next shape than now? */
static bool is_replaced(const struct txn *t, uint32_t id)
{
	struct plane_port *now = id < t->p->shape.n ? t->p->shape.port[id] : NULL;

	return now != t->next.port[id];
}

/* Has the bridge of port `id` another first uplink, or that one another device? */
static bool has_moved(const struct txn *t, uint32_t id)
{
	bridge_id b = t->next.model.port[id].bridge;
	port_id first = t->next.first_uplink[b];

	return config_before(t, id)->bridge != b || t->p->shape.first_uplink[b] != first ||
	       is_replaced(t, first);
}

static void keep_ports(struct txn *t)
{
	for (uint32_t i = 0; i < t->next.model.n_ports; i++) {
		const struct port_config *was = config_before(t, i), *c = shape_config(&t->next, i);

		if (is_same_device(was, c) && is_driver_met(t, (port_id)i))
			t->next.port[i] = t->p->shape.port[i];
	}
	for (uint32_t i = 0; i < t->next.model.n_ports; i++) { /* it hangs on its uplink's device */
		const struct port_config *c = shape_config(&t->next, i);

		if (c && c->kind == KIND_HOST && t->next.port[i] && has_moved(t, i))
			t->next.port[i] = NULL;
	}
}

/* Open the new ports that are packet ports, or those that are not. */
static int open_ports(struct txn *t, bool packet)
{
	for (uint32_t i = 0; i < t->next.model.n_ports; i++) {
		const struct port_config *c = shape_config(&t->next, i);

		if (!c || t->next.port[i] || (c->kind == KIND_PACKET) != packet)
			continue;
		t->next.port[i] = plane_port_new(t->p, &t->next, (port_id)i, t->at_boot, t->e);
		if (!t->next.port[i])
			return -t->e->code;
	}
	return 0;
}

/* The address that the device of a container is to have; zero: its own. */
static struct mac first_mac(const struct port_config *c)
{
	return c->macs.n ? c->macs.mac[0] : (struct mac){ { 0 } };
}

/* Have one kept device follow the settings of the next shape. */
static int sync_device(struct txn *t, port_id id, const struct port_config *old,
		       const struct port_config *c)
{
	int err = plane_port_sync_mtu(&t->next, id);

	if (err) {
		err_set(t->e, -err, "%s: device %s does not take an MTU of %u: %s", c->name, c->dev,
			shape_mtu(&t->next, id), strerror(-err));
		return err_hint(t->e, "choose a smaller one");
	}
	/* Only if it changed: the guest may have given its device another address on purpose. */
	if (!mac_equal(first_mac(c), first_mac(old)))
		err = plane_port_sync_mac(&t->next, id);
	if (err)
		return err_set(t->e, -err, "%s: device %s does not take the address: %s", c->name,
			       c->dev, strerror(-err));
	if (old->offload != c->offload)
		err = plane_port_sync_offload(&t->next, id);
	if (err)
		return err_set(t->e, -err, "%s: cannot change the offloads of %s: %s", c->name,
			       c->dev, strerror(-err));
	return 0;
}

static int sync_devices(struct txn *t)
{
	for (uint32_t i = 0; i < t->next.model.n_ports; i++) {
		const struct port_config *c = shape_config(&t->next, i);
		int err = c && !is_replaced(t, i) ?
				  sync_device(t, (port_id)i, config_before(t, i), c) :
				  0;

		if (err)
			return err;
	}
	return 0;
}

/* Throw the next shape away, and let kept devices be as they were. */
static void undo(struct txn *t)
{
	plane_vhost_forget(&t->next, &t->p->shape, true);
	for (uint32_t i = 0; i < t->next.model.n_ports; i++) {
		if (!t->next.port[i])
			continue;
		if (is_replaced(t, i)) {
			plane_port_free(t->next.port[i]);
			continue;
		}
		plane_port_sync_mtu(&t->p->shape, (port_id)i);
		plane_port_sync_mac(&t->p->shape, (port_id)i);
		plane_port_sync_offload(&t->p->shape, (port_id)i);
	}
	shape_free(&t->next);
}

/* The view of the next shape, with learned addresses adapted to it. */
static struct fwd_view *prepare_view(struct txn *t)
{
	struct plane *p = t->p;
	struct fwd_view *v;

	plane_learn_harvest(p);
	plane_pick_uplinks(p, &t->next);
	if (!plane_learn_adapt(p, &t->next, &t->adapted))
		return NULL;
	v = shape_view(p, &t->next, plane_next_generation(p));
	if (!v)
		plane_learn_revert(p, &t->adapted);
	return v;
}

/* ---- telling ---- */

/* One is a copy of the other, padding included, but for what was configured since. */
static bool is_changed(const void *old, const void *now, size_t size)
{
	return memcmp(old, now, size) != 0;
}

static void tell_bridges(struct txn *t, const struct model *was)
{
	const struct model *m = &t->p->shape.model;
	uint32_t n = was->n_bridges > m->n_bridges ? was->n_bridges : m->n_bridges;

	for (uint32_t b = 0; b < n; b++) {
		const char *old = b < was->n_bridges ? was->bridge[b].name : "";
		const char *now = b < m->n_bridges ? m->bridge[b].name : "";

		if (!strcmp(old, now)) {
			if (*now && is_changed(&was->bridge[b], &m->bridge[b], sizeof(*m->bridge)))
				event_bridge(t->p->events, now, "set");
			continue;
		}
		if (*old)
			event_bridge(t->p->events, old, "del");
		if (*now)
			event_bridge(t->p->events, now, "add");
		t->p->moves[b] = 0;
	}
}

static void tell_changed_port(struct plane *p, const struct port_config *old,
			      const struct port_config *now)
{
	if (!is_changed(old, now, sizeof(*old)))
		return;
	event_port(p->events, now->name, p->shape.model.bridge[now->bridge].name, "set");
	if (old->mode != now->mode)
		event_mode(p->events, now->name, model_mode_name((enum fwd_mode)old->mode),
			   model_mode_name((enum fwd_mode)now->mode));
}

static void tell_ports(struct txn *t, const struct plane_shape *was)
{
	struct plane *p = t->p;

	for (uint32_t i = 0; i < t->next.n; i++) {
		const struct port_config *old = shape_config(was, i);
		const struct port_config *now = shape_config(&p->shape, i);

		if (old && now && !strcmp(old->name, now->name)) {
			tell_changed_port(p, old, now);
		} else {
			if (old)
				event_port(p->events, old->name,
					   was->model.bridge[old->bridge].name, "del");
			if (now)
				event_port(p->events, now->name,
					   p->shape.model.bridge[now->bridge].name, "add");
		}
		if (now)
			plane_port_tell(p, (port_id)i);
	}
}

/* ---- commit ---- */

static void unwatch_replaced(struct txn *t)
{
	for (uint32_t i = 0; i < t->p->shape.n; i++) {
		struct plane_port *pp = t->p->shape.port[i];

		if (pp && pp->is_open && is_replaced(t, i))
			relay_unwatch(t->p->relay, pp->device.port);
	}
}

/* A device that both the old and the new port of a slot use outlives the old one. */
static void hand_over(struct plane_port *old, struct plane_port *now)
{
	if (!now || old->device.ifindex != now->device.ifindex || !now->is_open ||
	    strcmp(old->device.netns, now->device.netns) != 0)
		return;
	now->device.created |= old->device.created;
	old->device.created = false;
}

/* Swap the shapes. The view must have let go of the old ports when this closes them. */
static void close_replaced(struct txn *t, struct plane_shape *was)
{
	for (uint32_t i = 0; i < was->n; i++) {
		struct plane_port *now = i < t->p->shape.n ? t->p->shape.port[i] : NULL;

		if (!was->port[i] || was->port[i] == now)
			continue;
		hand_over(was->port[i], now);
		plane_port_free(was->port[i]);
		was->port[i] = NULL;
	}
}

static void watch_new(struct txn *t, const bool *is_new)
{
	for (uint32_t i = 0; i < t->p->shape.model.n_ports; i++) {
		struct plane_port *pp = t->p->shape.port[i];

		if (pp && is_new[i] && pp->is_open)
			plane_port_watch(t->p, (port_id)i);
	}
}

static void announce_activated(struct txn *t, const struct plane_shape *was)
{
	for (uint32_t i = 0; i < t->p->shape.model.n_ports; i++) {
		const struct port_config *old = shape_config(was, i);
		const struct port_config *now = shape_config(&t->p->shape, i);

		if (old && now && !strcmp(old->name, now->name) && old->standby && !now->standby)
			plane_announce(t->p, (port_id)i);
	}
}

static void commit(struct txn *t, struct fwd_view *v_take)
{
	struct plane *p = t->p;
	struct plane_shape was = p->shape;
	bool is_new[PORTS_MAX] = { 0 };

	for (uint32_t i = 0; i < t->next.model.n_ports; i++)
		is_new[i] = is_replaced(t, i);
	plane_agents_retire(p, &t->next);
	unwatch_replaced(t);
	plane_learn_settle(p, &t->adapted);
	plane_groups_settle(p, &t->next);
	p->shape = t->next;
	v_take->generation = plane_next_generation(p); /* who said good-bye may have made views */
	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		if (is_new[i] && p->shape.port[i])
			p->shape.port[i]->first_view = v_take->generation;
	}
	loop_timer_stop(p->age_timer); /* ageing times may have changed */
	plane_view_install(p, v_take);
	plane_vhost_inherit(p, &was);
	watch_new(t, is_new);
	plane_vhost_forget(&was, &p->shape, false);
	plane_vsi_inherit(p, &was);
	close_replaced(t, &was);
	tell_bridges(t, &was.model);
	tell_ports(t, &was);
	plane_channels_settle(p);
	plane_tell_uplinks(p);
	announce_activated(t, &was);
	plane_groups_tend(p);
	plane_gate_recheck(p);
	shape_free(&was);
}

int plane_apply(struct plane *p, const struct model *target, bool at_boot, struct err *e)
{
	struct txn t = { .p = p, .at_boot = at_boot, .e = e };
	struct model copy;
	struct fwd_view *v;
	uint32_t n = target->n_ports > p->shape.n ? target->n_ports : p->shape.n;
	int err;

	model_init(&copy);
	if (!model_copy(&copy, target) || !shape_init(p, &t.next, &copy, n))
		return err_set(e, ENOMEM, "out of memory");
	keep_ports(&t);
	err = open_ports(&t, true); /* first: the others ask for the uplink's MTU */
	if (!err)
		err = open_ports(&t, false);
	if (!err)
		err = sync_devices(&t);
	v = err ? NULL : prepare_view(&t);
	if (!v) {
		undo(&t);
		return err ? err : err_set(e, ENOMEM, "out of memory");
	}
	commit(&t, v);
	return 0;
}
