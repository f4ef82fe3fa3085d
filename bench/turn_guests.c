// SPDX-License-Identifier: Apache-2.0
#include "turn_guests.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "vhost_user.h"

static void no_hook(void *aux)
{
}

static int no_watch(void *aux, int fd)
{
	return 0;
}

static void no_unwatch(void *aux, int fd)
{
}

static void no_announce(void *aux, struct mac mac)
{
}

/* The control thread's part, run while the front-end waits for an answer. */
static void step(void *aux)
{
	struct err why;

	if (vhost_user_is_attached(aux))
		vhost_user_input(aux, &why);
}

struct mac turn_guest_mac(unsigned i)
{
	return (struct mac){ { 0x52, 0x54, 0, 0, 0, (uint8_t)(0x0a + i) } };
}

static void connect_guest(struct turn_guests *g, unsigned i, const struct front_dev_config *c)
{
	struct vhost_user_spec spec = { .pairs_max = 1,
					.state_fd = -1,
					.settings = { .mtu = 1500, .offload = true },
					.hooks = { NULL, no_hook, no_watch, no_unwatch, no_hook,
						   no_announce } };
	struct front_dev *d = &g->dev[i];
	int fd[2];

	g->port[i] = vhost_user_port_new(&spec, 1);
	if (!g->port[i] || socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0 ||
	    vhost_user_attach(g->port[i], fd[1]) < 0)
		abort();
	g->port[i]->id = (port_id)i;
	front_dev_init(d, c);
	front_dev_attach_take(d, fd[0]);
	d->sock.step = step;
	d->sock.step_arg = g->port[i];
	if (front_dev_start(d) < 0) {
		fprintf(stderr, "guest %u: %s %s\n", i, d->error, d->sock.error);
		exit(1);
	}
	front_ring_interrupts(&d->pair[0].rx, false);
	front_ring_interrupts(&d->pair[0].tx, false);
}

static struct fwd_view *make_view(struct turn_guests *g)
{
	struct view_port vp[TURN_GUESTS_MAX];
	struct owner o[TURN_GUESTS_MAX];
	bool is_learning = false;

	for (unsigned i = 0; i < g->n; i++) {
		vp[i] = (struct view_port){ .port = g->port[i],
					    .size_max = 1514,
					    .pvid = VID_DEFAULT,
					    .role = FWD_STATION,
					    .mode = FWD_BRIDGE,
					    .flags = VIEW_UP | VIEW_GUARD,
					    .offload = g->port[i]->offload };
		o[i] = (struct owner){ .mac = turn_guest_mac(i),
				       .port = (port_id)i,
				       .fid = owners_fid(0, VID_NONE),
				       .vid = VID_DEFAULT,
				       .flags = OWNER_STATIC };
	}
	return view_build(&(struct view_spec){ .generation = 1,
					       .seed = 0x243f6a8885a308d3,
					       .n_ports = g->n,
					       .n_bridges = 1,
					       .port = vp,
					       .bridge_is_learning = &is_learning,
					       .owner = o,
					       .n_owners = g->n });
}

void turn_guests_open(struct turn_guests *g, unsigned n, const struct front_dev_config *c)
{
	g->n = n;
	for (unsigned i = 0; i < n; i++)
		connect_guest(g, i, c);
	g->view = make_view(g);
	if (!g->view)
		abort();
}

void turn_guests_close(struct turn_guests *g)
{
	for (unsigned i = 0; i < g->n; i++) {
		front_dev_close(&g->dev[i]);
		port_free(g->port[i]);
	}
	view_free(g->view);
}

unsigned turn_guest_receive(struct turn_guests *g, unsigned i)
{
	static uint8_t octets[70000];
	struct front_frame f = { .data = octets, .room = sizeof(octets) };
	unsigned n = 0;

	while (front_dev_recv(&g->dev[i], 0, &f, 0) > 0)
		n++;
	return n;
}

int turn_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}
