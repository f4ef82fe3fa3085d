// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nic.h"
#include "plane_internal.h"
#include "tap.h"

#define RETRY_PERIOD NS_PER_S

/* ---- opening ---- */

int plane_port_users(const struct port_config *c, uid_t *owner, gid_t *group, struct err *e)
{
	const struct passwd *user = c->owner[0] ? getpwnam(c->owner) : NULL;
	const struct group *g = c->group[0] ? getgrnam(c->group) : NULL;

	if (c->owner[0] && !user) {
		err_set(e, ENOENT, "%s: there is no user %s", c->name, c->owner);
		return err_hint(e, "`owner` is the user that runs the VMM");
	}
	if (c->group[0] && !g) {
		err_set(e, ENOENT, "%s: there is no group %s", c->name, c->group);
		return err_hint(e, "`group` is a group of the user that runs the VMM");
	}
	*owner = user ? user->pw_uid : (uid_t)-1;
	*group = g ? g->gr_gid : (gid_t)-1;
	return 0;
}

static int open_tap(const struct plane *p, const struct plane_shape *s, port_id id,
		    struct broker_device *out, struct err *e)
{
	const struct port_config *c = &s->model.port[id];
	struct broker_tap t = { .is_for_vmm = c->guest_is_vm,
				.offload = c->offload || c->guest_is_vm, /* as for a packet port */
				.mtu = shape_mtu(s, id) };
	int err = plane_port_users(c, &t.owner, &t.group, e);

	if (err)
		return err;
	memcpy(t.dev, c->dev, sizeof(t.dev));
	memcpy(t.netns, c->netns, sizeof(t.netns));
	if (c->macs.n)
		t.mac = c->macs.mac[0];
	return broker_open_tap(&t, relay_n_workers(p->relay), out, e);
}

/* The device of `pp`, as slot `pp->id` of `s` says. */
static int open_device(struct plane_port *pp, const struct plane_shape *s,
		       struct broker_device *out, struct err *e)
{
	const struct plane *p = pp->plane;
	const struct port_config *c = &s->model.port[pp->id];
	struct broker_netdev n = { .dev = c->dev,
				   .driver = shape_driver(s, pp->id),
				   .guard = p->guard };
	unsigned n_workers = relay_n_workers(p->relay);

	switch ((enum port_kind)c->kind) {
	case KIND_TAP:
		return open_tap(p, s, pp->id, out, e);
	case KIND_PACKET:
		return broker_open_netdev(&n, n_workers, out, e);
	case KIND_MEMORY:
		return broker_open_memory(n_workers, out, e);
	case KIND_VHOST_USER:
		return plane_vhost_open(pp, s, out, e);
	case KIND_HOST:
		return plane_host_open(pp, s, out, e);
	}
	return err_set(e, EINVAL, "%s: unknown kind of port", c->name);
}

/* Does a queue stand between the port and its guest that drops by itself, unseen by tx()? */
static bool has_own_queue(const struct plane_port *pp, const struct port_config *c)
{
	return pp->is_open && c->kind == KIND_TAP && c->guest_is_vm;
}

void plane_port_count(const struct plane_port *pp, const struct port_config *c, unsigned n_workers,
		      struct port_counters *out)
{
	uint64_t dropped = 0;

	port_counters_sum(pp->device.port, n_workers, out);
	if (!has_own_queue(pp, c) || netlink_link_tx_dropped(pp->device.ifindex, &dropped) < 0 ||
	    dropped < pp->dropped_before)
		return;
	dropped -= pp->dropped_before;
	if (dropped > out->tx_frames)
		dropped = out->tx_frames;
	out->tx_frames -= dropped;
	out->drops[DROP_queue_full] += dropped;
}

/* The device is there: take note of what counts of it. */
static void note_device(struct plane *p, const struct port_config *c, struct plane_port *pp,
			port_id id)
{
	pp->is_open = true;
	pp->wait = WAIT_NONE;
	pp->opened_at = loop_now(p->loop);
	pp->device.port->id = id;
	pp->first_address = pp->device.address;
	if (c->kind == KIND_PACKET)
		pp->mtu_seen = pp->device.mtu;
	memset(&pp->link, 0, sizeof(pp->link));
	if (shape_has_link(c))
		netlink_link_get_index(pp->device.ifindex, &pp->link);
	if (shape_has_link(c) && c->role == FWD_UPLINK)
		pp->hwmode = (uint8_t)nic_get_hwmode(pp->device.ifindex);
	pp->dropped_before = 0;
	if (has_own_queue(pp, c))
		netlink_link_tx_dropped(pp->device.ifindex, &pp->dropped_before);
}

/* Is what the port stands on missing altogether? Then `why` says so. */
static bool is_missing(const struct plane_shape *s, port_id id, struct err *why)
{
	const struct port_config *c = &s->model.port[id];
	char folder[UNIX_PATH_SIZE];
	struct link_info link;

	if (c->kind == KIND_PACKET && netlink_link_get(c->dev, &link) == -ENODEV) {
		err_set(why, ENODEV, "device %s does not exist", c->dev);
		err_hint(why, "the port comes up when the device does");
		return true;
	}
	if (c->kind == KIND_TAP && c->netns[0] && !broker_netns_exists(c->netns)) {
		err_set(why, ENOENT, "network namespace %s does not exist", c->netns);
		err_hint(why, "create it with: ip netns add %s", c->netns);
		return true;
	}
	if (plane_host_is_missing(s, id, why))
		return true;
	unix_folder(c->path, folder);
	if (c->kind == KIND_VHOST_USER && !c->is_client && access(folder, F_OK) < 0) {
		err_set(why, ENOENT, "folder %s does not exist", folder);
		err_hint(why, "make it with: mkdir -p %s", folder);
		return true;
	}
	return false;
}

/* What a port without its device waits for. */
static enum port_wait wait_for(const struct port_config *c)
{
	return c->kind == KIND_PACKET ? WAIT_LINK : WAIT_RETRY;
}

/* Messages of a port name the port. */
static void name_port(struct err *e, const char *name)
{
	struct err named;
	size_t size = strlen(name);

	if (strncmp(e->message, name, size) == 0 && e->message[size] == ':')
		return;
	err_set(&named, e->code, "%s: %s", name, e->message);
	memcpy(e->message, named.message, sizeof(e->message));
}

static void ensure_retry(struct plane *p)
{
	if (!loop_timer_is_set(p->retry_timer))
		loop_timer_set(p->retry_timer, loop_now(p->loop) + RETRY_PERIOD, RETRY_PERIOD);
}

struct plane_port *plane_port_new(struct plane *p, const struct plane_shape *s, port_id id,
				  bool at_boot, struct err *e)
{
	const struct port_config *c = &s->model.port[id];
	struct plane_port *pp = calloc(1, sizeof(*pp));

	if (!pp) {
		err_set(e, ENOMEM, "%s: out of memory", c->name);
		return NULL;
	}
	pp->plane = p;
	pp->id = id;
	pp->told = OPERSTATE_UNTOLD;
	pp->vhost.session_fd = -1;
	if (at_boot && is_missing(s, id, &pp->why)) {
		pp->wait = wait_for(c);
		ensure_retry(p);
		if (broker_open_memory(relay_n_workers(p->relay), &pp->device, e) == 0) {
			pp->device.port->id = id;
			return pp;
		}
	} else if (open_device(pp, s, &pp->device, e) == 0) {
		note_device(p, c, pp, id);
		return pp;
	}
	name_port(e, c->name);
	plane_vhost_stop(pp);
	free(pp);
	return NULL;
}

void plane_port_free(struct plane_port *pp)
{
	if (!pp)
		return;
	plane_vhost_stop(pp);
	broker_close(&pp->device);
	free(pp);
}

int plane_port_sync_mtu(const struct plane_shape *s, port_id id)
{
	struct plane_port *pp = s->port[id];
	uint32_t mtu = shape_mtu(s, id);
	int err;

	if (s->model.port[id].kind == KIND_VHOST_USER && pp->is_open) {
		plane_vhost_sync(s, id);
		pp->device.mtu = mtu;
		return 0;
	}
	if ((s->model.port[id].kind != KIND_TAP && s->model.port[id].kind != KIND_HOST) ||
	    !pp->is_open || pp->device.mtu == mtu)
		return 0;
	err = broker_set_mtu(&pp->device, mtu);
	pp->device.mtu = err ? 0 : mtu; /* an error may come after the deed: then it is unknown */
	return err;
}

int plane_port_sync_mac(const struct plane_shape *s, port_id id)
{
	const struct port_config *c = &s->model.port[id];
	struct plane_port *pp = s->port[id];
	struct mac mac = c->macs.n ? c->macs.mac[0] : pp->first_address;
	int err;

	if (c->kind != KIND_TAP || c->guest_is_vm || !pp->is_open ||
	    mac_equal(mac, pp->device.address))
		return 0;
	err = broker_set_mac(&pp->device, mac);
	if (err)
		memset(&mac, 0, sizeof(mac)); /* as for the MTU */
	pp->device.address = mac;
	return err;
}

int plane_port_sync_offload(const struct plane_shape *s, port_id id)
{
	const struct port_config *c = &s->model.port[id];
	struct plane_port *pp = s->port[id];

	if ((c->kind != KIND_TAP && c->kind != KIND_HOST) || c->guest_is_vm || !pp->is_open)
		return 0;
	return tap_port_set_offload(pp->device.port, c->offload);
}

/* ---- states ---- */

static void state_set(struct plane_status *out, enum plane_operstate state, const char *dev,
		      const char *reason, const char *hint)
{
	out->operstate = state;
	snprintf(out->reason, sizeof(out->reason), reason, dev);
	snprintf(out->hint, sizeof(out->hint), hint, dev);
}

static void link_state(const struct port_config *c, const struct plane_port *pp,
		       struct plane_status *out)
{
	if (!(pp->link.flags & IFF_UP))
		state_set(out, PLANE_DOWN, c->dev, "device %s is down",
			  "set it up: ip link set %s up");
	else if (link_is_running(&pp->link))
		return;
	else if (c->kind == KIND_TAP)
		state_set(out, PLANE_DOWN, c->dev, "no VMM has opened tap %s",
			  "start the VM, with QEMU: -netdev "
			  "tap,id=n0,ifname=%s,script=no,downscript=no "
			  "-device virtio-net-pci,netdev=n0,mac=...");
	else
		state_set(out, PLANE_LOWERLAYERDOWN, c->dev, "device %s has no carrier",
			  "check the cable, or what is at the other end");
}

/* The NIC switches between its own functions: is there a guest whose frames must not be? */
static void nic_state(const struct plane_shape *s, port_id id, struct plane_status *out)
{
	const struct port_config *c = &s->model.port[id];

	for (uint32_t i = 0; i < s->model.n_ports; i++) {
		const struct port_config *q = shape_config(s, i);

		if (!q || q->bridge != c->bridge || q->role != FWD_STATION ||
		    (q->mode != FWD_VEPA && q->mode != FWD_PRIVATE))
			continue;
		snprintf(out->reason, sizeof(out->reason),
			 "the switch in the NIC of %s is in mode veb: frames of %s, which is in "
			 "mode %s, may be looped before the wire",
			 c->dev, q->name, model_mode_name((enum fwd_mode)q->mode));
		snprintf(out->hint, sizeof(out->hint),
			 "let the adjacent bridge see them: evb link set %s hwmode vepa", c->dev);
		return;
	}
}

void plane_port_state(const struct plane_shape *s, port_id id, struct plane_status *out)
{
	const struct port_config *c = &s->model.port[id];
	const struct plane_port *pp = s->port[id];

	*out = (struct plane_status){
		.operstate = PLANE_UP,
		.mtu = shape_mtu(s, id),
		.is_backup = c->role == FWD_UPLINK && s->uplink[c->bridge] != id,
	};
	if (pp->is_open)
		out->address = pp->device.address;
	if (pp->is_open && c->kind == KIND_VHOST_USER)
		plane_vhost_state(c, pp, out);
	if (pp->is_open && c->kind == KIND_HOST)
		plane_host_state(s, id, out);
	if (!pp->is_open) {
		state_set(out, PLANE_DOWN, pp->why.message, "%s", "%s");
		snprintf(out->hint, sizeof(out->hint), "%s", pp->why.hint);
	} else if (pp->is_deaf) {
		state_set(out, PLANE_DOWN, c->name, "the relay cannot wait for its frames",
			  "evbd tries again; see the sysctl fs.epoll.max_user_watches");
	} else if (c->standby && out->operstate != PLANE_FAULTY) {
		state_set(out, PLANE_STANDBY, c->name, "in standby",
			  "activate it with: evb port set %s standby off");
	} else if (shape_has_link(c)) {
		link_state(c, pp, out);
		if (out->operstate == PLANE_UP && c->channel)
			plane_channel_state(s, id, out);
		if (out->operstate == PLANE_UP && pp->hwmode == NIC_VEB)
			nic_state(s, id, out);
		if (out->operstate == PLANE_UP && s->model.bridge[c->bridge].is_kernel &&
		    !pp->link.master)
			state_set(out, PLANE_UP, c->dev, "%s is no port of a Linux bridge",
				  "make it one: ip link set %s master BRIDGE");
	}
}

void plane_port_tell(struct plane *p, port_id id)
{
	struct plane_port *pp = p->shape.port[id];
	const struct port_config *c = &p->shape.model.port[id];
	const char *name;
	struct plane_status now;
	bool is_fault, is_amiss;

	plane_port_state(&p->shape, id, &now);
	plane_agents_follow(p, id, &now);
	if (pp->told == now.operstate && !strcmp(pp->told_reason, now.reason))
		return;
	name = plane_operstate_name(now.operstate);
	is_fault = !pp->is_open || now.operstate == PLANE_FAULTY;
	is_amiss = now.operstate == PLANE_UP && now.reason[0];
	log_line(p->log, is_fault || is_amiss ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s: %s%s%s",
		 c->name, name, now.reason[0] ? ": " : "", now.reason);
	event_link(p->events, c->name, name, now.reason);
	if (is_fault)
		event_fault(p->events, c->name, now.reason, now.hint);
	/* Whoever was behind a dead port of a learning relay may turn up behind another. */
	if (c->role == FWD_RELAY_PORT && pp->told == PLANE_UP) {
		plane_learn_flush(p, id);
		plane_view_soon(p);
	}
	if (now.operstate == PLANE_UP && pp->told != PLANE_UP)
		plane_groups_doubt(p, id);
	pp->told = now.operstate;
	memcpy(pp->told_reason, now.reason, sizeof(pp->told_reason));
}

/* ---- faults ---- */

void plane_port_watch(struct plane *p, port_id id)
{
	struct plane_port *pp = p->shape.port[id];
	int err = relay_watch(p->relay, pp->device.port);

	if (p->shape.model.port[id].kind == KIND_VHOST_USER)
		plane_vhost_start(pp);
	if (err && !pp->is_deaf)
		log_error(p->log, "%s: cannot wait for frames: %s", p->shape.model.port[id].name,
			  strerror(-err));
	pp->is_deaf = err != 0;
	if (err)
		ensure_retry(p);
}

/* Let `device` be that of the port, and close the one it had. False: nothing has changed. */
static bool swap_device(struct plane *p, port_id id, const struct broker_device *device,
			bool is_open)
{
	struct plane_port *pp = p->shape.port[id];
	struct plane_port before = *pp;
	struct port_counters sum;

	if (before.is_open)
		relay_unwatch(p->relay, before.device.port);
	pp->device = *device;
	pp->device.port->id = id;
	pp->is_open = is_open;
	if (is_open)
		note_device(p, &p->shape.model.port[id], pp, id);
	if (!plane_view_now(p)) {
		*pp = before;
		if (before.is_open)
			plane_port_watch(p, id);
		return false;
	}
	plane_port_count(&before, &p->shape.model.port[id], relay_n_workers(p->relay), &sum);
	port_counters_add(&pp->base, &sum);
	broker_close(&before.device);
	if (is_open)
		plane_port_watch(p, id);
	else
		pp->is_deaf = false;
	return true;
}

void plane_port_lose(struct plane *p, port_id id, enum port_wait wait, const struct err *why)
{
	struct plane_port *pp = p->shape.port[id];
	struct broker_device none;
	struct err e;

	if (pp->is_open) {
		if (broker_open_memory(relay_n_workers(p->relay), &none, &e) < 0) {
			log_error(p->log, "%s: %s", p->shape.model.port[id].name, e.message);
			return;
		}
		if (!swap_device(p, id, &none, false)) {
			broker_close(&none);
			return;
		}
	}
	pp->wait = (uint8_t)wait;
	pp->why = *why;
	ensure_retry(p);
	plane_port_tell(p, id);
	if (p->shape.model.port[id].role == FWD_UPLINK)
		plane_host_follow(p, id);
}

void plane_port_retry(struct plane *p, port_id id)
{
	const struct port_config *c = &p->shape.model.port[id];
	struct plane_port *pp = p->shape.port[id];
	struct broker_device device;
	struct err e;

	/* While nothing of it is there, the first reason stands: it may say who took it away. */
	if (is_missing(&p->shape, id, &e))
		return;
	if (open_device(pp, &p->shape, &device, &e) < 0) {
		pp->why = e;
		pp->wait = WAIT_RETRY;
		ensure_retry(p);
	} else if (!swap_device(p, id, &device, true)) {
		broker_close(&device);
	} else if (c->role == FWD_UPLINK) {
		plane_follow_mtu(p, c->bridge);
		plane_host_follow(p, id);
	}
	plane_port_tell(p, id);
}

/* What happened to a port whose device does not answer any more. */
static enum port_wait diagnose(const struct port_config *c, const struct plane_port *pp,
			       struct err *why)
{
	struct link_info link;

	if (c->kind == KIND_TAP && c->netns[0] && !broker_netns_exists(c->netns)) {
		err_set(why, ENOENT, "network namespace %s was deleted", c->netns);
		err_hint(why, "create it again with: ip netns add %s", c->netns);
		return WAIT_RETRY;
	}
	if (c->kind == KIND_PACKET &&
	    netlink_link_get_index(pp->device.ifindex, &link) == -ENODEV) {
		err_set(why, ENODEV, "device %s does not exist (it was removed)", c->dev);
		err_hint(why, "the port comes up again when the device does");
		return WAIT_LINK;
	}
	if (c->kind == KIND_TAP || c->kind == KIND_HOST)
		err_set(why, ENODEV, "device %s does not work any more (it was removed)",
			pp->device.dev);
	else
		err_set(why, EIO, "device %s does not work any more", c->dev);
	err_hint(why, "evbd tries to open it again");
	return WAIT_RETRY;
}

void plane_port_faulted(struct plane *p, port_id id)
{
	const struct port_config *c = shape_config(&p->shape, id);
	struct plane_port *pp = c ? p->shape.port[id] : NULL;
	enum port_wait wait;
	bool is_again;
	struct err why;

	if (!pp || !pp->is_open ||
	    atomic_load_explicit(&pp->device.port->fault, memory_order_relaxed) == PORT_FAULT_NONE)
		return;
	if (c->kind == KIND_VHOST_USER) { /* the port itself is well: its guest has to start anew */
		vhost_user_faulted(pp->device.port);
		plane_port_tell(p, id);
		return;
	}
	wait = diagnose(c, pp, &why);
	is_again = loop_now(p->loop) - pp->opened_at < RETRY_PERIOD;
	plane_port_lose(p, id, wait, &why);
	if (!is_again && !pp->is_open)
		plane_port_retry(p, id);
}

/* Try again what a port lacks. True if it still lacks something. */
static bool retry_port(struct plane *p, port_id id)
{
	struct plane_port *pp = p->shape.port[id];

	if (pp->is_open && pp->is_deaf) {
		plane_port_watch(p, id);
		plane_port_tell(p, id);
	} else if (!pp->is_open && pp->wait == WAIT_RETRY) {
		plane_port_retry(p, id);
	}
	return pp->is_open ? pp->is_deaf : pp->wait == WAIT_RETRY;
}

void plane_on_retry_timer(void *aux)
{
	struct plane *p = aux;
	bool is_waiting = false;

	for (uint32_t i = 0; i < p->shape.model.n_ports; i++)
		if (shape_config(&p->shape, i) && p->shape.port[i])
			is_waiting |= retry_port(p, (port_id)i);
	if (!is_waiting)
		loop_timer_stop(p->retry_timer);
}
