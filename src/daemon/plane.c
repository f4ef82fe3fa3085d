// SPDX-License-Identifier: Apache-2.0
#include "plane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "plane_internal.h"

const char *plane_operstate_name(enum plane_operstate s)
{
	static const char *const name[] = { "UP", "DOWN", "LOWERLAYERDOWN", "STANDBY", "FAULTY" };

	return name[s];
}

static bool plane_init(struct plane *p)
{
	struct model empty;

	model_init(&empty);
	p->generation = relay_view(p->relay)->generation;
	p->last_view = view_build(&(struct view_spec){ .generation = 0 });
	if (!p->last_view || !shape_init(p, &p->shape, &empty, 0) ||
	    getrandom(&p->seed, sizeof(p->seed), 0) < 0)
		return false;
	p->learn = learn_new(MACS_MAX, p->seed);
	p->groups = groups_new(p->seed, plane_on_group, p);
	p->provisioned = owners_new(0, p->seed);
	p->view_timer = loop_timer_new(p->loop, plane_on_view_timer, p);
	p->age_timer = loop_timer_new(p->loop, plane_on_age_timer, p);
	p->retry_timer = loop_timer_new(p->loop, plane_on_retry_timer, p);
	p->announce_timer = loop_timer_new(p->loop, plane_on_announce_timer, p);
	p->watchdog_timer = loop_timer_new(p->loop, plane_on_watchdog_timer, p);
	p->wire_timer = loop_timer_new(p->loop, plane_on_wire_timer, p);
	p->sweep_timer = loop_timer_new(p->loop, plane_on_sweep_timer, p);
	p->vsi_timer = loop_timer_new(p->loop, plane_on_vsi_timer, p);
	plane_gate_init(p);
	p->group_timer = loop_timer_new(p->loop, plane_on_group_timer, p);
	p->channel_timer = loop_timer_new(p->loop, plane_on_channel_timer, p);
	p->netlink = netlink_new(plane_on_link, p);
	p->agents = plane_agents_new(p);
	if (!p->agents || !p->learn || !p->provisioned || !p->view_timer || !p->age_timer ||
	    !p->retry_timer || !p->announce_timer || !p->watchdog_timer || !p->wire_timer ||
	    !p->sweep_timer || !p->groups || !p->vsi_timer || !p->group_timer ||
	    !p->channel_timer || !p->netlink)
		return false;
	p->netlink_watch =
		loop_watch(p->loop, netlink_fd(p->netlink), EPOLLIN, plane_on_netlink, p);
	p->report_watch =
		loop_watch(p->loop, relay_report_fd(p->relay), EPOLLIN, plane_on_reports, p);
	return p->netlink_watch && p->report_watch;
}

struct plane *plane_new(struct loop *loop, struct relay *relay, const struct log *log,
			const struct events *ev, struct err *e)
{
	struct plane *p = calloc(1, sizeof(*p));

	if (!p) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	p->loop = loop;
	p->relay = relay;
	p->log = log;
	p->events = ev;
	p->inotify = -1;
	if (plane_init(p))
		return p;
	err_set(e, errno, "cannot follow network devices: %s", strerror(errno));
	plane_free(p);
	return NULL;
}

/* Take the ports away from the workers, then close them. */
static void close_ports(struct plane *p)
{
	if (!p->last_view) /* the plane was never whole: there are no ports */
		return;
	for (uint32_t i = 0; i < p->shape.n; i++)
		if (p->shape.port[i] && p->shape.port[i]->is_open)
			relay_unwatch(p->relay, p->shape.port[i]->device.port);
	p->last_view->generation = plane_next_generation(p);
	relay_set_view(p->relay, p->last_view);
	for (uint32_t i = 0; i < p->shape.n; i++)
		plane_port_free(p->shape.port[i]);
}

void plane_free(struct plane *p)
{
	if (!p)
		return;
	if (p->agents)
		plane_agents_retire(p, NULL);
	loop_unwatch(p->netlink_watch);
	loop_unwatch(p->report_watch);
	loop_timer_free(p->view_timer);
	loop_timer_free(p->age_timer);
	loop_timer_free(p->retry_timer);
	loop_timer_free(p->announce_timer);
	loop_timer_free(p->wire_timer);
	loop_timer_free(p->sweep_timer);
	free(p->sweep.list);
	loop_timer_free(p->group_timer);
	loop_timer_free(p->vsi_timer);
	free(p->orphan);
	netlink_free(p->netlink);
	close_ports(p);
	agents_free(p->agents);
	loop_timer_free(p->channel_timer); /* of a hook of agents */
	loop_timer_free(p->watchdog_timer);
	loop_unwatch(p->folder_watch);
	if (p->inotify >= 0)
		close(p->inotify);
	shape_free(&p->shape);
	learn_free(p->learn);
	groups_free(p->groups);
	gates_free(&p->gates);
	owners_free(p->provisioned);
	free(p);
}

void plane_set_run_dir(struct plane *p, const char *run_dir)
{
	p->run_dir = run_dir;
}

const struct netlink *plane_links(const struct plane *p)
{
	return p->netlink;
}

void plane_set_guard(struct plane *p, struct guard *g)
{
	p->guard = g;
}

const struct model *plane_model(const struct plane *p)
{
	return &p->shape.model;
}

void plane_port_status(const struct plane *p, port_id id, struct plane_status *out)
{
	plane_port_state(&p->shape, id, out);
}

/* A learning relay works if one of its ports does; its MTU is the smallest, as Linux has it. */
static void learning_status(const struct plane *p, bridge_id b, struct plane_status *out)
{
	struct plane_status port;

	*out = (struct plane_status){ .operstate = PLANE_DOWN };
	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		const struct port_config *c = shape_config(&p->shape, i);

		if (!c || c->bridge != b)
			continue;
		plane_port_state(&p->shape, (port_id)i, &port);
		if (port.operstate == PLANE_UP)
			out->operstate = PLANE_UP;
		if (!out->mtu || port.mtu < out->mtu)
			out->mtu = port.mtu;
	}
}

void plane_bridge_status(const struct plane *p, bridge_id id, struct plane_status *out)
{
	port_id uplink = p->shape.uplink[id];

	if (p->shape.model.bridge[id].is_learning)
		learning_status(p, id, out);
	else if (uplink != PORT_NONE)
		plane_port_state(&p->shape, uplink, out);
	else
		*out = (struct plane_status){ .operstate = PLANE_LOWERLAYERDOWN,
					      .mtu = MTU_DEFAULT };
	if ((out->operstate == PLANE_DOWN || out->operstate == PLANE_FAULTY) &&
	    !p->shape.model.bridge[id].is_learning)
		out->operstate = PLANE_LOWERLAYERDOWN; /* the relay itself still works */
}

void plane_port_counters(const struct plane *p, port_id id, struct port_counters *out)
{
	const struct plane_port *pp = p->shape.port[id];

	plane_port_count(pp, &p->shape.model.port[id], relay_n_workers(p->relay), out);
	port_counters_add(out, &pp->base);
}

bool plane_port_vhost(const struct plane *p, port_id id, struct vhost_user_info *out)
{
	const struct plane_port *pp = p->shape.port[id];

	if (p->shape.model.port[id].kind != KIND_VHOST_USER || !pp->is_open)
		return false;
	vhost_user_info(pp->device.port, out);
	return true;
}

bool plane_port_xdp(const struct plane *p, port_id id, struct xdp_info *out, char why[256])
{
	const struct plane_port *pp = p->shape.port[id];

	memcpy(why, pp->device.why, sizeof(pp->device.why));
	return pp->is_open && xdp_port_info(pp->device.port, out);
}

uint64_t plane_bridge_moves(const struct plane *p, bridge_id id)
{
	return p->moves[id];
}

void plane_learned_each(struct plane *p, plane_learned_cb *cb, void *aux)
{
	plane_learn_harvest(p);
	for (uint32_t i = 0; i < learn_size(p->learn); i++) {
		const struct learned *l = learn_at(p->learn, i);
		tstamp age = loop_now(p->loop) - l->seen;

		cb(aux, &(struct plane_learned){ .mac = l->mac,
						 .port = l->port,
						 .vid = l->vid,
						 .ages = !l->is_sticky,
						 .age = age > 0 ? age : 0 });
	}
}
