// SPDX-License-Identifier: Apache-2.0
#include "xdp.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "mac_set.h"
#include "unfinished.h"
#include "uplink.h"
#include "xsk.h"

enum {
	XDP_QUEUES_MAX =
		32,	/* each has 12 MiB of memory; frames of further ones come by the rest */
	REST_TURNS = 8, /* while the rings are busy, every so many turns are the rest's */
	REST_DRY = 16,	/* while they are not, so many polls of them to one system call */
	TAGGED_HEADER_SIZE = ETH_HEADER_SIZE + 2 * ETH_TAG_SIZE,
};

struct xdp_port {
	struct port port;
	struct port *rest;
	struct uplink_bpf *bpf;
	int memory; /* of all sockets */
	uint32_t chunk_size;
	unsigned n_xsk;
	struct xsk *xsk; /* [n_xsk] */
	unsigned first;	 /* socket that rx() looks at first */
	unsigned turns, dry;
	struct mac_set owned; /* what the program knows of addresses */
};

static struct xdp_port *xdp_of(const struct port *p)
{
	return (struct xdp_port *)(uintptr_t)p;
}

/* The program first: without it no frame misses its socket. */
static void xdp_close(struct port *p)
{
	struct xdp_port *k = xdp_of(p);

	uplink_bpf_free(k->bpf);
	for (unsigned i = 0; i < k->n_xsk; i++)
		xsk_close(&k->xsk[i]);
	free(k->xsk);
	if (k->memory >= 0)
		close(k->memory);
	if (p->fd >= 0)
		close(p->fd);
	port_free(k->rest);
	mac_set_free(&k->owned);
}

/* ---- receive ---- */

static unsigned rx_rings(struct xdp_port *k, struct burst *b, unsigned max)
{
	struct xsk_frame got[BURST_MAX];
	bool is_from_wire = k->xsk[0].is_zero_copy;
	int64_t octets = b->octets_max;
	unsigned n = 0;

	for (unsigned i = 0; i < k->n_xsk && n < max && octets > 0; i++)
		n += xsk_rx(&k->xsk[(k->first + i) % k->n_xsk], got + n, max - n, &octets);
	k->first = k->first + 1 < k->n_xsk ? k->first + 1 : 0; /* each is first in turn */
	for (unsigned i = 0; i < n; i++) {
		struct frame *f = &b->frame[i];

		b->iov[i][0] = (struct iovec){ got[i].octets, got[i].size };
		*f = (struct frame){ .iov = b->iov[i], .n_iov = 1, .size = got[i].size };
		if (!is_from_wire) /* of a local sender, XDP does not say what it left undone */
			unfinished_csum(got[i].octets, got[i].size, &f->vnet);
	}
	b->more = n == max || octets <= 0;
	return n;
}

/*
 * To ask the rest is a system call, so it is done now and then only; before the worker sleeps,
 * xdp_arm() does.
 */
static unsigned xdp_rx(struct port *p, struct burst *b, unsigned max)
{
	struct xdp_port *k = xdp_of(p);
	bool is_rests_turn = ++k->turns % REST_TURNS == 0;
	unsigned n = is_rests_turn ? 0 : rx_rings(k, b, max);

	if (n) {
		k->dry = 0;
		return n;
	}
	if (is_rests_turn || k->dry++ % REST_DRY == 0) {
		n = k->rest->ops->rx(k->rest, b, max);
		b->more |= n > 0;
	}
	if (!n && is_rests_turn)
		n = rx_rings(k, b, max);
	for (unsigned i = 0; !n && i < k->n_xsk; i++)
		xsk_rx_wake(&k->xsk[i]);
	return n;
}

static void xdp_rx_done(struct port *p)
{
	struct xdp_port *k = xdp_of(p);

	for (unsigned i = 0; i < k->n_xsk; i++)
		xsk_rx_done(&k->xsk[i]);
}

static bool xdp_arm(struct port *p)
{
	struct xdp_port *k = xdp_of(p);
	struct pollfd rest = { .fd = k->rest->fd, .events = POLLIN };

	k->dry = 0;
	for (unsigned i = 0; i < k->n_xsk; i++)
		if (xsk_has_rx(&k->xsk[i]))
			return true;
	return poll(&rest, 1, 0) > 0;
}

/* ---- send ---- */

/* Frames of a pair of addresses go by one queue, so that they stay in order. */
static struct xsk *tx_queue(const struct xdp_port *k, const struct frame *f)
{
	const uint8_t *octets = f->iov[0].iov_base;

	return &k->xsk[k->n_xsk == 1 ? 0 : (unsigned)(octets[5] + octets[11]) % k->n_xsk];
}

static uint64_t xdp_tx(struct port *p, const struct frame *const *f, unsigned n)
{
	struct xdp_port *k = xdp_of(p);
	uint64_t taken = 0;

	for (unsigned i = 0; i < n; i++) {
		if (f[i]->size > k->chunk_size)
			p->tx_drop = DROP_mtu;
		else if (xsk_tx(tx_queue(k, f[i]), f[i]))
			taken |= UINT64_C(1) << i;
		else
			p->tx_drop = DROP_queue_full;
	}
	return taken;
}

/* That of the fullest socket: which one a frame goes to depends on its addresses. */
static void xdp_ask_queue(struct port *p)
{
	struct xdp_port *k = xdp_of(p);

	p->queue = (struct port_queue){ .size = XSK_N_TX, .per_frame = 1 };
	for (unsigned i = 0; i < k->n_xsk; i++) {
		uint32_t waiting = xsk_tx_waiting(&k->xsk[i]);

		p->queue.used = waiting > p->queue.used ? waiting : p->queue.used;
	}
}

static void xdp_flush(struct port *p)
{
	struct xdp_port *k = xdp_of(p);

	for (unsigned i = 0; i < k->n_xsk; i++)
		xsk_kick(&k->xsk[i]);
}

static const struct port_ops xdp_ops = {
	.kind = "xdp",
	.close = xdp_close,
	.rx = xdp_rx,
	.rx_done = xdp_rx_done,
	.tx = xdp_tx,
	.ask_queue = xdp_ask_queue,
	.flush = xdp_flush,
	.arm = xdp_arm,
};

/* ---- opening ---- */

/* A socket for each queue: the kernel says when there are no more. */
static int open_sockets(struct xdp_port *k, const struct xdp_spec *spec)
{
	bool is_native = uplink_bpf_is_native(k->bpf);

	k->memory = xsk_memory(k->chunk_size, XDP_QUEUES_MAX);
	if (k->memory < 0)
		return k->memory;
	for (unsigned q = 0; q < XDP_QUEUES_MAX; q++) {
		struct xsk_spec one = { .memory = k->memory,
					.part = q,
					.chunk_size = k->chunk_size,
					.ifindex = spec->ifindex,
					.queue = q,
					.copies = !is_native };
		int err = xsk_open(&k->xsk[q], &one);

		if (err == -EINVAL && q)
			break;
		if (err)
			return err;
		k->n_xsk++;
		err = uplink_bpf_set_socket(k->bpf, q, k->xsk[q].fd);
		if (err)
			return err;
	}
	return 0;
}

/* One descriptor that is readable when one of the others is. */
static int gather_descriptors(struct xdp_port *k)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int err;

	k->port.fd = epoll_create1(EPOLL_CLOEXEC);
	err = k->port.fd < 0 ? -errno : 0;
	for (unsigned i = 0; i <= k->n_xsk && !err; i++) {
		int fd = i < k->n_xsk ? k->xsk[i].fd : k->rest->fd;

		err = epoll_ctl(k->port.fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
	}
	return err;
}

static int explain(int err, const struct xdp_spec *spec, struct err *e)
{
	err_set(e, -err, "%s: cannot open an AF_XDP socket: %s", spec->dev, strerror(-err));
	if (err == -EBUSY)
		return err_hint(e,
				"another process has one on this device; or choose driver packet");
	if (err == -ENOBUFS || err == -ENOMEM)
		return err_hint(e, "the memory of AF_XDP is locked: see ulimit -l");
	return err_hint(e, "choose driver packet, which works with every device");
}

static bool is_zero_copy(const struct xdp_port *k)
{
	return k->n_xsk && k->xsk[0].is_zero_copy;
}

static int xdp_open(struct xdp_port *k, const struct xdp_spec *spec, struct err *e)
{
	int err;

	k->chunk_size = xsk_chunk_size(spec->mtu + TAGGED_HEADER_SIZE);
	if (!k->chunk_size) {
		err_set(e, EMSGSIZE, "%s: frames of MTU %u do not fit into one buffer of AF_XDP",
			spec->dev, spec->mtu);
		return err_hint(e, "with an MTU up to %d they do; or choose driver packet",
				XSK_FRAME_MAX - TAGGED_HEADER_SIZE);
	}
	err = uplink_bpf_attach(&k->bpf, spec->ifindex, spec->dev, spec->must_gain, e);
	if (err)
		return err;
	err = open_sockets(k, spec);
	if (!err)
		err = gather_descriptors(k);
	if (err)
		return explain(err, spec, e);
	if (spec->must_gain && !is_zero_copy(k))
		return err_set(e, EOPNOTSUPP, "%s: the driver has no zero copy", spec->dev);
	return 0;
}

int xdp_port_new(struct port **out, const struct xdp_spec *spec, struct port *rest_take,
		 unsigned n_workers, struct err *e)
{
	struct xdp_port *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return err_set(e, ENOMEM, "%s: out of memory", spec->dev);
	k->memory = -1;
	k->xsk = calloc(XDP_QUEUES_MAX, sizeof(*k->xsk));
	if (!port_init(&k->port, &xdp_ops, n_workers) || !k->xsk) {
		err = err_set(e, ENOMEM, "%s: out of memory", spec->dev);
	} else {
		k->rest = rest_take;
		err = xdp_open(k, spec, e);
	}
	if (!err) {
		*out = &k->port;
		return 0;
	}
	k->rest = NULL;
	port_free(&k->port);
	return err;
}

/* ---- what the device listens to ---- */

struct port *xdp_port_rest(struct port *p)
{
	return p->ops == &xdp_ops ? xdp_of(p)->rest : p;
}

static int own(void *aux, struct mac mac, bool is_in)
{
	return uplink_bpf_own(aux, mac, is_in);
}

/* In between, the rest hears what the program passes. */
int xdp_port_listen(struct port *p, const struct mac *mac, unsigned n, enum xdp_wants wants)
{
	struct xdp_port *k = xdp_of(p);
	struct port *rest = xdp_port_rest(p);
	int err = packet_port_listen(rest, mac, n, wants != XDP_WANTS_OWNED), one;

	if (rest == p)
		return err;
	one = mac_set_replace(&k->owned, mac, n, own, k->bpf);
	uplink_bpf_take_all(k->bpf, wants == XDP_WANTS_ALL);
	return err ? err : one;
}

bool xdp_port_info(const struct port *p, struct xdp_info *out)
{
	const struct xdp_port *k = xdp_of(p);

	if (p->ops != &xdp_ops)
		return false;
	*out = (struct xdp_info){ .is_native = uplink_bpf_is_native(k->bpf),
				  .is_zero_copy = is_zero_copy(k),
				  .sees_tags = uplink_bpf_sees_tags(k->bpf),
				  .n_queues = k->n_xsk,
				  .mtu_max = k->chunk_size - XSK_HEADROOM - TAGGED_HEADER_SIZE };
	for (unsigned i = 0; i < k->n_xsk; i++)
		out->dropped += xsk_dropped(&k->xsk[i]);
	return true;
}
