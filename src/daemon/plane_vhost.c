// SPDX-License-Identifier: Apache-2.0
/*
 * VMMs that come and go at vhost-user ports. The port itself speaks to the one that is connected
 * (port/vhost_user.h); here is who connects whom, and when to try again.
 *
 *   server   VMM ──connect──▶ listener ─▶ attach ─▶ input … end ─▶ the listener waits for the next
 *   client   socket appears (inotify), or a second has passed ─▶ connect ─▶ attach ─▶ input … end ┐
 *                 ▲                                                                               │
 *                 └───────────────────────────────────────────────────────────────────────────────┘
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plane_internal.h"
#include "value.h"

/* From the appearance of a socket until its owner has called listen() it takes a moment. */
#define PAUSE_MIN NS_PER_MS
#define PAUSE_MAX NS_PER_S

/* For as long, a connection may end for the same reason as the one before. */
#define PROBATION (2 * NS_PER_S)

#define WATCHDOG_PERIOD (50 * NS_PER_MS)

static const struct port_config *config_of(const struct plane_port *pp)
{
	return &pp->plane->shape.model.port[pp->id];
}

/* Is the port in force, and not one that is being made or closed? */
static bool is_current(const struct plane_port *pp)
{
	const struct plane_shape *s = &pp->plane->shape;

	return !pp->vhost.is_stopped && pp->is_open && pp->id < s->n && s->port[pp->id] == pp;
}

static bool is_client(const struct plane_shape *s, uint32_t id)
{
	const struct port_config *c = shape_config(s, id);

	return c && c->kind == KIND_VHOST_USER && c->is_client;
}

/* ---- what the port asks for ---- */

static void on_quiesce(void *aux)
{
	struct plane_port *pp = aux;

	relay_quiesce(pp->plane->relay);
}

static int on_kick_watch(void *aux, int fd)
{
	struct plane_port *pp = aux;

	return relay_watch_fd(pp->plane->relay, pp->id, fd);
}

static void on_kick_unwatch(void *aux, int fd)
{
	struct plane_port *pp = aux;

	relay_unwatch_fd(pp->plane->relay, pp->id, fd);
}

static void on_changed(void *aux)
{
	struct plane_port *pp = aux;

	if (!is_current(pp))
		return;
	plane_view_now(pp->plane);
	if (!pp->vhost.is_in_input)
		plane_port_tell(pp->plane, pp->id);
}

static void on_announce(void *aux, struct mac mac)
{
	struct plane_port *pp = aux;

	if (is_current(pp) && !config_of(pp)->standby)
		plane_announce_mac(pp->plane, pp->id, mac);
}

/* ---- a connection ---- */

static void pause_before_next(struct plane_port *pp)
{
	struct plane_vhost *v = &pp->vhost;

	v->pause = v->pause ? v->pause * 2 : PAUSE_MIN;
	if (v->pause > PAUSE_MAX)
		v->pause = PAUSE_MAX;
	loop_timer_set(v->timer, loop_now(pp->plane->loop) + v->pause, 0);
}

/* The connection is over; `why` may have no reason. */
static void session_ended(struct plane_port *pp, const struct err *why)
{
	const char *name = config_of(pp)->name;
	const struct log *log = pp->plane->log;
	struct plane_vhost *v = &pp->vhost;

	loop_unwatch(v->session_watch);
	v->session_watch = NULL;
	close(v->session_fd);
	v->session_fd = -1;
	if (!why->code)
		log_info(log, "%s: the VMM has closed the connection", name);
	else if (strcmp(why->message, v->why.message) != 0)
		log_warning(log, "%s: connection to the VMM ended: %s", name, why->message);
	v->why = *why;
	if (!config_of(pp)->is_client)
		return;
	/* One that is turned away at once must not come again at once. */
	if (loop_now(pp->plane->loop) - v->attached_at >= PAUSE_MAX)
		v->pause = 0;
	pause_before_next(pp);
}

static void on_session(void *aux, uint32_t events)
{
	struct plane_port *pp = aux;
	struct err why = { 0 };
	bool goes_on;

	pp->vhost.is_in_input = true;
	goes_on = vhost_user_input(pp->device.port, &why);
	pp->vhost.is_in_input = false;
	if (!goes_on)
		session_ended(pp, &why);
	plane_port_tell(pp->plane, pp->id);
}

static pid_t peer_of(int fd)
{
	struct ucred peer = { .pid = 0 };
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

/* Takes `fd` in any case. 0 or -errno. */
static int attach_fd(struct plane_port *pp, int fd_take)
{
	struct plane_vhost *v = &pp->vhost;
	struct plane *p = pp->plane;
	int err;

	v->session_fd = fcntl(fd_take, F_DUPFD_CLOEXEC, 0);
	if (v->session_fd < 0) {
		err = -errno;
		close(fd_take);
		return err;
	}
	err = vhost_user_attach(pp->device.port, fd_take);
	if (!err) {
		v->session_watch = loop_watch(p->loop, v->session_fd, EPOLLIN, on_session, pp);
		err = v->session_watch ? 0 : -errno;
		if (err)
			vhost_user_detach(pp->device.port);
	}
	if (err) {
		close(v->session_fd);
		v->session_fd = -1;
	}
	return err;
}

/* False: it cannot be had for lack of something. */
static bool attach(struct plane_port *pp, int fd_take)
{
	const char *name = config_of(pp)->name;
	struct plane *p = pp->plane;
	pid_t pid = peer_of(fd_take);
	int err = attach_fd(pp, fd_take);

	if (err) {
		err_set(&pp->vhost.why, -err, "cannot take the connection of the VMM: %s",
			strerror(-err));
		log_warning(p->log, "%s: %s", name, pp->vhost.why.message);
		plane_port_tell(p, pp->id);
		return false;
	}
	pp->vhost.attached_at = loop_now(p->loop);
	pp->vhost.has_refused = false;
	log_info(p->log, "%s: a VMM is connected, process %d", name, pid);
	if (!loop_timer_is_set(p->watchdog_timer))
		loop_timer_set(p->watchdog_timer, loop_now(p->loop) + WATCHDOG_PERIOD,
			       WATCHDOG_PERIOD);
	plane_port_tell(p, pp->id);
	return true;
}

void plane_on_watchdog_timer(void *aux)
{
	struct plane *p = aux;
	bool any = false;

	for (uint32_t i = 0; i < p->shape.n && !any; i++)
		any = p->shape.port[i] && p->shape.port[i]->vhost.session_fd >= 0;
	if (any)
		relay_watchdog(p->relay);
	else
		loop_timer_stop(p->watchdog_timer);
}

/* ---- server ---- */

/* Has the other end of the connection been closed, whatever may wait to be read? */
static bool is_closed(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

/* A VMM that is started again may be there before we saw the end of the one before. */
static bool make_room(struct plane_port *pp)
{
	const struct err why = { 0 };

	if (pp->vhost.session_fd < 0)
		return true;
	if (!is_closed(pp->vhost.session_fd))
		return false;
	pp->vhost.is_in_input = true;
	vhost_user_detach(pp->device.port);
	pp->vhost.is_in_input = false;
	session_ended(pp, &why);
	plane_view_now(pp->plane);
	plane_port_tell(pp->plane, pp->id);
	return true;
}

static void on_connect(void *aux, uint32_t events)
{
	struct plane_port *pp = aux;
	struct plane_vhost *v = &pp->vhost;
	int fd = accept4(pp->device.listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
			return;
		log_warning(pp->plane->log, "%s: cannot accept the VMM: %s", config_of(pp)->name,
			    strerror(errno));
		loop_watch_events(v->listen_watch, 0);
		loop_timer_set(v->timer, loop_now(pp->plane->loop) + PAUSE_MAX, 0);
		return;
	}
	if (make_room(pp)) {
		attach(pp, fd);
		return;
	}
	if (!v->has_refused)
		log_warning(pp->plane->log,
			    "%s: process %d is turned away: another VMM is connected, process %d",
			    config_of(pp)->name, peer_of(fd), peer_of(v->session_fd));
	v->has_refused = true;
	close(fd);
}

/* ---- client ---- */

static bool is_waiting(const struct plane_shape *s, uint32_t id)
{
	return is_client(s, id) && s->port[id] && is_current(s->port[id]) &&
	       s->port[id]->vhost.session_fd < 0;
}

static void on_folder_event(struct plane *p, const struct inotify_event *ev)
{
	bool any = false;

	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		struct plane_port *pp = p->shape.port[i];
		const char *path = p->shape.model.port[i].path;

		if (!is_waiting(&p->shape, i))
			continue;
		any = true;
		/* In which folder, the name tells well enough: a try costs little. */
		if (ev->len && strcmp(strrchr(path, '/') + 1, ev->name) != 0)
			continue;
		pp->vhost.pause = 0;
		pause_before_next(pp);
	}
	if (!any) /* whoever waits again asks again */
		inotify_rm_watch(p->inotify, ev->wd);
}

static void on_folder(void *aux, uint32_t events)
{
	struct plane *p = aux;
	_Alignas(struct inotify_event) char buf[4096];
	ssize_t n = read(p->inotify, buf, sizeof(buf));

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *ev = (const void *)(buf + at);

		on_folder_event(p, ev);
		at += (ssize_t)(sizeof(*ev) + ev->len);
	}
}

/* Hear of what appears in the folder. If that cannot be, there is still the timer. */
static void watch_folder(struct plane *p, const char *path)
{
	char folder[UNIX_PATH_SIZE];

	if (p->inotify < 0) {
		p->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		if (p->inotify < 0)
			return;
		p->folder_watch = loop_watch(p->loop, p->inotify, EPOLLIN, on_folder, p);
	}
	unix_folder(path, folder);
	inotify_add_watch(p->inotify, folder, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
}

static void try_connect(struct plane_port *pp)
{
	const char *path = config_of(pp)->path;
	struct plane *p = pp->plane;
	int fd;

	watch_folder(p, path); /* first: or the socket may appear in between */
	fd = unix_connect(path);
	if (fd >= 0 && attach(pp, fd))
		return;
	pause_before_next(pp);
	if (fd >= 0 || fd == -ENOENT || fd == -ECONNREFUSED || fd == -EAGAIN)
		return;
	err_set(&pp->vhost.why, -fd, "cannot connect to %s: %s", path, strerror(-fd));
	plane_port_tell(p, pp->id);
}

/* ---- life ---- */

/* The live port whose listening socket the port is to have, for it is just as it would be made. */
static struct plane_port *predecessor(const struct plane_shape *was, const struct port_config *c)
{
	for (uint32_t i = 0; i < was->n; i++) {
		const struct port_config *old = shape_config(was, i);

		if (old && was->port[i] && was->port[i]->device.listener &&
		    !strcmp(old->path, c->path) && !strcmp(old->owner, c->owner) &&
		    !strcmp(old->group, c->group) && old->perm == c->perm)
			return was->port[i];
	}
	return NULL;
}

void plane_vhost_inherit(struct plane *p, const struct plane_shape *was)
{
	for (uint32_t i = 0; i < p->shape.model.n_ports; i++) {
		const struct port_config *c = shape_config(&p->shape, i);
		struct plane_port *pp = c ? p->shape.port[i] : NULL, *old;

		if (!pp || !pp->is_open || c->kind != KIND_VHOST_USER || c->is_client ||
		    pp->device.listener)
			continue;
		old = predecessor(was, c);
		if (!old)
			continue;
		loop_unwatch(old->vhost.listen_watch);
		old->vhost.listen_watch = NULL;
		pp->device.listener = old->device.listener;
		old->device.listener = NULL;
	}
}

static struct vhost_user_settings settings_of(const struct plane_shape *s, port_id id)
{
	const struct port_config *c = &s->model.port[id];
	struct vhost_user_settings set = { .mtu = shape_mtu(s, id), .offload = c->offload };

	if (c->macs.n)
		set.mac = c->macs.mac[0];
	return set;
}

void plane_vhost_sync(const struct plane_shape *s, port_id id)
{
	struct vhost_user_settings set = settings_of(s, id);

	vhost_user_set(s->port[id]->device.port, &set);
}

/* The file for packed rings: without it, the port works until evbd is started again. */
static int open_rings(struct plane_port *pp, const char *name)
{
	struct err e;
	int fd;

	if (!pp->plane->run_dir)
		return -1;
	fd = broker_open_rings(pp->plane->run_dir, name, &pp->vhost.has_new_rings, &e);
	if (fd < 0)
		log_warning(pp->plane->log, "%s: %s", name, e.message);
	return fd < 0 ? -1 : fd;
}

static void on_timer(void *aux)
{
	struct plane_port *pp = aux;

	if (config_of(pp)->is_client)
		try_connect(pp);
	else
		plane_vhost_start(pp);
}

int plane_vhost_open(struct plane_port *pp, const struct plane_shape *s, struct broker_device *out,
		     struct err *e)
{
	const struct port_config *c = &s->model.port[pp->id];
	struct unix_spec socket = { .path = c->path, .elsewhere = "choose another path" };
	struct vhost_user_spec spec = { .pairs_max = c->queues,
					.has_config = c->has_config,
					.settings = settings_of(s, pp->id),
					.hooks = { .aux = pp,
						   .quiesce = on_quiesce,
						   .watch = on_kick_watch,
						   .unwatch = on_kick_unwatch,
						   .changed = on_changed,
						   .announce = on_announce } };
	bool is_listening = !c->is_client && !predecessor(&pp->plane->shape, c);
	int err = plane_port_users(c, &socket.owner, &socket.group, e);

	if (err)
		return err;
	socket.perm = model_perm(c);
	if (!pp->vhost.timer)
		pp->vhost.timer = loop_timer_new(pp->plane->loop, on_timer, pp);
	if (!pp->vhost.timer)
		return err_set(e, ENOMEM, "%s: out of memory", c->name);
	spec.state_fd = open_rings(pp, c->name);
	err = broker_open_vhost_user(&spec, is_listening ? &socket : NULL,
				     relay_n_workers(pp->plane->relay), out, e);
	if (spec.state_fd >= 0)
		close(spec.state_fd);
	if (!err)
		out->mtu = spec.settings.mtu;
	else if (pp->vhost.has_new_rings)
		broker_remove_rings(pp->plane->run_dir, c->name);
	return err;
}

void plane_vhost_start(struct plane_port *pp)
{
	struct plane_vhost *v = &pp->vhost;

	if (config_of(pp)->is_client) {
		if (v->session_fd < 0)
			pause_before_next(pp);
		return;
	}
	if (!pp->device.listener)
		return;
	if (!v->listen_watch)
		v->listen_watch = loop_watch(pp->plane->loop, pp->device.listener->fd, EPOLLIN,
					     on_connect, pp);
	else
		loop_watch_events(v->listen_watch, EPOLLIN);
	if (!v->listen_watch)
		pause_before_next(pp);
}

void plane_vhost_stop(struct plane_port *pp)
{
	struct plane_vhost *v = &pp->vhost;

	v->is_stopped = true;
	loop_timer_free(v->timer);
	loop_unwatch(v->listen_watch);
	loop_unwatch(v->session_watch);
	if (v->session_fd >= 0)
		close(v->session_fd);
	v->timer = NULL;
	v->listen_watch = v->session_watch = NULL;
	v->session_fd = -1;
}

void plane_vhost_forget(const struct plane_shape *gone, const struct plane_shape *kept,
			bool only_new)
{
	for (uint32_t i = 0; i < gone->model.n_ports; i++) {
		const struct port_config *c = shape_config(gone, i), *still;
		const struct plane_port *pp = c ? gone->port[i] : NULL;
		int id = c ? model_find_port(&kept->model, c->name) : -1;

		if (!pp || c->kind != KIND_VHOST_USER || !pp->plane->run_dir ||
		    (only_new && !pp->vhost.has_new_rings))
			continue;
		still = id < 0 ? NULL : &kept->model.port[id];
		if (!still || strcmp(still->path, c->path) != 0)
			broker_remove_rings(pp->plane->run_dir, c->name);
	}
}

/* ---- states ---- */

bool plane_vhost_is_up(const struct plane_port *pp)
{
	struct vhost_user_state st;

	vhost_user_state(pp->device.port, &st);
	return st.link == VHOST_USER_RUNS;
}

static void state_set(struct plane_status *out, enum plane_operstate state, const struct err *why)
{
	out->operstate = (uint8_t)state;
	snprintf(out->reason, sizeof(out->reason), "%s", why->message);
	snprintf(out->hint, sizeof(out->hint), "%s", why->hint);
}

static void say_unattached(const struct port_config *c, struct plane_status *out)
{
	char mac[VALUE_MAC_SIZE] = "...";

	if (c->macs.n)
		value_mac_format(c->macs.mac[0], mac);
	out->operstate = PLANE_DOWN;
	snprintf(out->reason, sizeof(out->reason),
		 c->is_client ? "no VMM listens on %s" : "no VMM is connected to %s", c->path);
	snprintf(out->hint, sizeof(out->hint),
		 "start the VM, with QEMU: -m 1G -object "
		 "memory-backend-memfd,id=m0,size=1G,share=on -machine memory-backend=m0 "
		 "-chardev socket,id=c0,path=%s,%s -netdev vhost-user,id=n0,chardev=c0 "
		 "-device virtio-net-pci,netdev=n0,mac=%s",
		 c->path, c->is_client ? "server=on" : "reconnect=1", mac);
}

void plane_vhost_state(const struct port_config *c, const struct plane_port *pp,
		       struct plane_status *out)
{
	const struct plane_vhost *v = &pp->vhost;
	struct vhost_user_state st;
	struct err waits;

	vhost_user_state(pp->device.port, &st);
	switch (st.link) {
	case VHOST_USER_UNATTACHED:
		if (v->why.code)
			state_set(out, PLANE_DOWN, &v->why);
		else
			say_unattached(c, out);
		break;
	case VHOST_USER_WAITS:
		err_set(&waits, ENOTCONN, "the guest's driver has not set up its queues");
		err_hint(&waits, "the VM is starting, or its guest lacks a driver for virtio-net");
		/* While it comes and goes, the reason is more telling than that it came. */
		if (v->why.code && loop_now(pp->plane->loop) - v->attached_at < PROBATION)
			waits = v->why;
		state_set(out, PLANE_DOWN, st.why.code ? &st.why : &waits);
		break;
	case VHOST_USER_RUNS:
		state_set(out, PLANE_UP, &st.why);
		break;
	case VHOST_USER_FAULTY:
		state_set(out, PLANE_FAULTY, &st.why);
		break;
	}
}
