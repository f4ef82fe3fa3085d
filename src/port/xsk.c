// SPDX-License-Identifier: Apache-2.0
#include "xsk.h"

#include <assert.h>
#include <errno.h>
#include <linux/if_xdp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "types.h"

#ifndef SO_PREFER_BUSY_POLL /* since Linux 5.11 */
#define SO_PREFER_BUSY_POLL 69
#define SO_BUSY_POLL_BUDGET 70
#endif

enum {
	N_CHUNKS = XSK_N_FILL + XSK_N_TX,
	BUSY_POLL_US = 20, /* how long a system call may look at the device's queue */
	FRAME_SIZE_MIN = 60,
	KICKS_MAX = 2 * XSK_N_TX / 16, /* the kernel may send as few as 16 at once */
};

/* Before the chunks, so that a successor finds it: which of them are free to send from. */
struct xsk_free {
	uint32_t n;
	uint32_t chunk[XSK_N_TX];
};

enum { CHUNKS_AT = (sizeof(struct xsk_free) + 4095) / 4096 * 4096 };

static_assert((XSK_N_FILL & (XSK_N_FILL - 1)) == 0 && (XSK_N_TX & (XSK_N_TX - 1)) == 0,
	      "rings are powers of two");

/* ---- rings ---- */

/* Entries that we may write. */
static uint32_t ring_room(struct xsk_ring *r, uint32_t want)
{
	uint32_t size = r->mask + 1;

	if (size - (r->own - r->other) < want)
		r->other = atomic_load_explicit(r->consumer, memory_order_acquire);
	return size - (r->own - r->other);
}

/* Entries that we may read. */
static uint32_t ring_filled(struct xsk_ring *r, uint32_t want)
{
	if (r->other - r->own < want)
		r->other = atomic_load_explicit(r->producer, memory_order_acquire);
	return r->other - r->own;
}

static bool ring_needs_wakeup(const struct xsk_ring *r)
{
	return atomic_load_explicit(r->flags, memory_order_relaxed) & XDP_RING_NEED_WAKEUP;
}

static uint64_t *ring_address(const struct xsk_ring *r, uint32_t at)
{
	return (uint64_t *)r->entry + (at & r->mask);
}

static struct xdp_desc *ring_frame(const struct xsk_ring *r, uint32_t at)
{
	return (struct xdp_desc *)r->entry + (at & r->mask);
}

/* ---- receiving ---- */

/*
 * A ring outlives the process that had it, so that it may hold anything. What lies outside the
 * chunks for receiving is a frame without octets, which everybody knows how to refuse.
 */
unsigned xsk_rx(struct xsk *x, struct xsk_frame *to, unsigned max, int64_t *octets)
{
	const uint64_t end = (uint64_t)XSK_N_FILL * x->chunk_size;
	uint32_t n = ring_filled(&x->rx, max), i = 0;
	uint8_t *const umem = x->umem;

	for (; i < n && i<max && * octets> 0; i++) {
		const struct xdp_desc *d = ring_frame(&x->rx, x->rx.own + i);
		uint64_t at = d->addr;
		uint32_t size = d->len;

		if (at > end || size > end - at)
			at = size = 0;
		to[i] = (struct xsk_frame){ umem + at, size };
		*octets -= size;
	}
	x->n_lent = i;
	return i;
}

/* The descriptors are still in their ring; nobody but us reads or writes them till the end. */
void xsk_rx_done(struct xsk *x)
{
	if (!x->n_lent)
		return;
	for (uint32_t i = 0; i < x->n_lent; i++)
		*ring_address(&x->fill, x->fill.own + i) =
			ring_frame(&x->rx, x->rx.own + i)->addr & ~(uint64_t)(x->chunk_size - 1);
	x->fill.own += x->n_lent;
	x->rx.own += x->n_lent;
	x->n_lent = 0;
	atomic_store_explicit(x->rx.consumer, x->rx.own, memory_order_release);
	atomic_store_explicit(x->fill.producer, x->fill.own, memory_order_release);
	xsk_rx_wake(x);
}

bool xsk_has_rx(const struct xsk *x)
{
	return atomic_load_explicit(x->rx.producer, memory_order_acquire) != x->rx.own;
}

void xsk_rx_wake(const struct xsk *x)
{
	if (ring_needs_wakeup(&x->fill))
		(void)!recvfrom(x->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

/* ---- sending ---- */

static bool is_to_send(uint64_t chunk)
{
	return chunk >= XSK_N_FILL && chunk < N_CHUNKS;
}

static void collect(struct xsk *x)
{
	uint32_t n = ring_filled(&x->completion, XSK_N_TX);

	for (uint32_t i = 0; i < n && x->free->n < XSK_N_TX; i++) {
		uint64_t chunk =
			*ring_address(&x->completion, x->completion.own + i) / x->chunk_size;

		if (is_to_send(chunk))
			x->free->chunk[x->free->n++] = (uint32_t)chunk;
	}
	x->completion.own += n;
	atomic_store_explicit(x->completion.consumer, x->completion.own, memory_order_release);
}

bool xsk_tx(struct xsk *x, const struct frame *f)
{
	uint32_t size = f->size;
	uint64_t at;

	if (!x->free->n || !ring_room(&x->tx, 1)) {
		xsk_kick(x);
		collect(x);
		if (!x->free->n || !ring_room(&x->tx, 1))
			return false;
	}
	at = (uint64_t)x->free->chunk[--x->free->n] * x->chunk_size;
	frame_head_copy(f, x->umem + at, size);
	if (x->is_zero_copy && size < FRAME_SIZE_MIN) { /* not every device pads it */
		memset(x->umem + at + size, 0, FRAME_SIZE_MIN - size);
		size = FRAME_SIZE_MIN;
	}
	*ring_frame(&x->tx, x->tx.own) = (struct xdp_desc){ .addr = at, .len = size };
	x->tx.own++;
	x->has_unsent = true;
	return true;
}

uint32_t xsk_tx_waiting(struct xsk *x)
{
	collect(x);
	return XSK_N_TX - x->free->n;
}

/* In copy mode a call sends a batch only, and says EAGAIN while there is more. */
void xsk_kick(struct xsk *x)
{
	if (!x->has_unsent)
		return;
	x->has_unsent = false;
	atomic_store_explicit(x->tx.producer, x->tx.own, memory_order_release);
	for (unsigned i = 0; i < KICKS_MAX && ring_needs_wakeup(&x->tx); i++)
		if (sendto(x->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0 ||
		    (errno != EAGAIN && errno != EINTR))
			break;
	collect(x);
}

uint64_t xsk_dropped(const struct xsk *x)
{
	struct xdp_statistics s = { 0 };
	socklen_t size = sizeof(s);

	if (getsockopt(x->fd, SOL_XDP, XDP_STATISTICS, &s, &size) < 0)
		return 0;
	return s.rx_dropped + s.rx_ring_full; /* a fill ring that is empty counts in the first */
}

/* ---- opening ---- */

uint32_t xsk_chunk_size(uint32_t size)
{
	return size <= 2048 - XSK_HEADROOM ? 2048 : size <= XSK_FRAME_MAX ? 4096 : 0;
}

static size_t region_size(uint32_t chunk_size)
{
	return CHUNKS_AT + (size_t)N_CHUNKS * chunk_size;
}

int xsk_memory(uint32_t chunk_size, unsigned n)
{
	int fd = memfd_create("evb-umem", MFD_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)(region_size(chunk_size) * n)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int map_region(struct xsk *x, const struct xsk_spec *spec)
{
	void *at;

	*x = (struct xsk){ .fd = -1, .chunk_size = spec->chunk_size };
	x->region_size = region_size(spec->chunk_size);
	at = mmap(NULL, x->region_size, PROT_READ | PROT_WRITE, MAP_SHARED, spec->memory,
		  (off_t)(x->region_size * spec->part));
	if (at == MAP_FAILED)
		return -errno;
	x->region = at;
	x->free = at;
	x->umem = x->region + CHUNKS_AT;
	return 0;
}

/* `consumes`: the kernel writes the ring, and we read it. */
static int map_ring(int fd, struct xsk_ring *r, const struct xdp_ring_offset *o, uint64_t page,
		    bool consumes)
{
	size_t entry = page == XDP_PGOFF_RX_RING || page == XDP_PGOFF_TX_RING ?
			       sizeof(struct xdp_desc) :
			       sizeof(uint64_t);
	uint8_t *at;

	r->map_size = o->desc + (r->mask + 1) * entry;
	at = mmap(NULL, r->map_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		  (off_t)page);
	if (at == MAP_FAILED)
		return -errno;
	r->map = at;
	r->producer = (_Atomic uint32_t *)(void *)(at + o->producer);
	r->consumer = (_Atomic uint32_t *)(void *)(at + o->consumer);
	r->flags = (_Atomic uint32_t *)(void *)(at + o->flags);
	r->entry = at + o->desc;
	r->own = *(consumes ? r->consumer : r->producer);
	r->other = *(consumes ? r->producer : r->consumer);
	return 0;
}

static int map_rings(struct xsk *x)
{
	struct xdp_mmap_offsets off;
	socklen_t size = sizeof(off);
	int err;

	if (getsockopt(x->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &size) < 0)
		return -errno;
	if (size != sizeof(off))
		return -EPROTO;
	x->rx.mask = XSK_N_RX - 1;
	x->tx.mask = x->completion.mask = XSK_N_TX - 1;
	x->fill.mask = XSK_N_FILL - 1;
	err = map_ring(x->fd, &x->rx, &off.rx, XDP_PGOFF_RX_RING, true);
	if (!err)
		err = map_ring(x->fd, &x->tx, &off.tx, XDP_PGOFF_TX_RING, false);
	if (!err)
		err = map_ring(x->fd, &x->fill, &off.fr, XDP_UMEM_PGOFF_FILL_RING, false);
	return err ? err :
		     map_ring(x->fd, &x->completion, &off.cr, XDP_UMEM_PGOFF_COMPLETION_RING, true);
}

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int make_rings(struct xsk *x)
{
	struct xdp_umem_reg umem = { .addr = (uintptr_t)x->umem,
				     .len = (uint64_t)N_CHUNKS * x->chunk_size,
				     .chunk_size = x->chunk_size };
	int err = 0;

	if (setsockopt(x->fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)) < 0)
		return -errno;
	err = err ? err : set_option(x->fd, SOL_XDP, XDP_UMEM_FILL_RING, XSK_N_FILL);
	err = err ? err : set_option(x->fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, XSK_N_TX);
	err = err ? err : set_option(x->fd, SOL_XDP, XDP_RX_RING, XSK_N_RX);
	return err ? err : set_option(x->fd, SOL_XDP, XDP_TX_RING, XSK_N_TX);
}

static bool is_zero_copy(int fd)
{
	struct xdp_options o = { .flags = 0 };
	socklen_t size = sizeof(o);

	return getsockopt(fd, SOL_XDP, XDP_OPTIONS, &o, &size) == 0 &&
	       o.flags & XDP_OPTIONS_ZEROCOPY;
}

/* All chunks for receiving are the kernel's at first, and all for sending ours. */
static void deal_chunks(struct xsk *x)
{
	for (uint32_t i = 0; i < XSK_N_FILL; i++)
		*ring_address(&x->fill, i) = (uint64_t)i * x->chunk_size;
	x->fill.own = XSK_N_FILL;
	atomic_store_explicit(x->fill.producer, x->fill.own, memory_order_release);
	x->free->n = XSK_N_TX;
	for (uint32_t i = 0; i < XSK_N_TX; i++)
		x->free->chunk[i] = XSK_N_FILL + i;
}

/*
 * The driver's queue is looked at from our system calls and not from interrupts, for as long as we
 * call often enough. It gains where the driver fills the rings itself; a kernel without it does as
 * before.
 */
static void prefer_busy_poll(int fd)
{
	if (set_option(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, 1) == 0 &&
	    set_option(fd, SOL_SOCKET, SO_BUSY_POLL, BUSY_POLL_US) == 0)
		(void)set_option(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, 64);
}

static int start(struct xsk *x, const struct xsk_spec *spec)
{
	struct sockaddr_xdp to = { .sxdp_family = AF_XDP,
				   .sxdp_flags = XDP_USE_NEED_WAKEUP,
				   .sxdp_ifindex = (uint32_t)spec->ifindex,
				   .sxdp_queue_id = spec->queue };
	int err = make_rings(x);

	if (!err)
		err = map_rings(x);
	if (err)
		return err;
	deal_chunks(x);
	if (spec->copies)
		to.sxdp_flags |= XDP_COPY;
	if (bind(x->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	x->is_zero_copy = is_zero_copy(x->fd);
	if (x->is_zero_copy)
		prefer_busy_poll(x->fd);
	return 0;
}

int xsk_open(struct xsk *x, const struct xsk_spec *spec)
{
	int err = map_region(x, spec);

	if (err)
		return err;
	x->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	err = x->fd < 0 ? -errno : start(x, spec);
	if (err)
		xsk_close(x);
	return err;
}

static bool is_whole(const struct xsk_free *f)
{
	bool ok = f->n <= XSK_N_TX;

	for (uint32_t i = 0; ok && i < f->n; i++)
		ok = is_to_send(f->chunk[i]);
	return ok;
}

int xsk_adopt(struct xsk *x, int fd_take, const struct xsk_spec *spec)
{
	int err = map_region(x, spec);

	if (err) {
		close(fd_take);
		return err;
	}
	x->fd = fd_take;
	x->is_zero_copy = is_zero_copy(fd_take);
	err = is_whole(x->free) ? map_rings(x) : -EBADMSG;
	if (err)
		xsk_close(x);
	return err;
}

void xsk_close(struct xsk *x)
{
	struct xsk_ring *const rings[] = { &x->rx, &x->tx, &x->fill, &x->completion };

	for (unsigned i = 0; i < ARRAY_SIZE(rings); i++)
		if (rings[i]->map)
			munmap(rings[i]->map, rings[i]->map_size);
	if (x->fd >= 0)
		close(x->fd);
	if (x->region)
		munmap(x->region, x->region_size);
	*x = (struct xsk){ .fd = -1 };
}
