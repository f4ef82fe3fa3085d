// SPDX-License-Identifier: Apache-2.0
#include "wire_kernel.h"

#include <assert.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "frame.h"
#include "xsk.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

enum { RX, TX, FILL, COMPLETION, RINGS, DEVICES = 2, SLOTS = XSK_N_FILL };

struct wire_ring {
	uint32_t producer, consumer, flags;
	uint64_t entry[SLOTS * 2]; /* an address, or a struct xdp_desc */
};

/* An AF_XDP socket as the kernel sees it. */
struct wire_xsk {
	int fd, ifindex;
	uint8_t *umem;
	uint32_t chunk_size;
	bool is_zero_copy;
	struct wire_ring ring[RINGS];
	uint32_t stale;	    /* the tx ring up to here was written in earlier runs */
	uint32_t reclaimed; /* of the fill ring's producer */
	uint32_t n_lent;    /* chunks that the port has, not the kernel: */
	bool is_lent[XSK_N_FILL];
};

static struct {
	struct wire_xsk xsk[DEVICES * WIRE_SOCKETS + 1]; /* bind() takes the last one back */
	unsigned n_xsk;
	bool has_zero_copy, is_jammed;
	wire_sent *sent;
	const struct wire_frame *frame;
	unsigned n, at;
	bool error_told;
	uint8_t *slot[WIRE_WAITING_MAX]; /* of the burst, that have poison behind the frame */
	unsigned n_slots;
} kernel;

int __wrap_socket(int domain, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *to, socklen_t size);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __wrap_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *timeout);
int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags);
int __wrap_ioctl(int fd, unsigned long what, ...);
void *__real_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t size, ...);

void wire_kernel_zero_copy(bool has)
{
	kernel.has_zero_copy = has;
}

void wire_kernel_jam(bool is_jammed)
{
	kernel.is_jammed = is_jammed;
}

void wire_kernel_sent(wire_sent *sent)
{
	kernel.sent = sent;
}

static struct wire_xsk *find(int fd)
{
	for (unsigned i = 0; i < kernel.n_xsk; i++)
		if (kernel.xsk[i].fd == fd)
			return &kernel.xsk[i];
	return NULL;
}

/* ---- opening ---- */

int __wrap_socket(int domain, int type, int protocol)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	assert(fd >= 0 && domain == AF_XDP);
	assert(kernel.n_xsk < sizeof(kernel.xsk) / sizeof(kernel.xsk[0]));
	kernel.xsk[kernel.n_xsk++] =
		(struct wire_xsk){ .fd = fd, .is_zero_copy = kernel.has_zero_copy };
	return fd;
}

int __wrap_bind(int fd, const struct sockaddr *to, socklen_t size)
{
	const struct sockaddr_xdp *a = (const struct sockaddr_xdp *)(const void *)to;
	struct wire_xsk *x = find(fd);

	assert(x && size == sizeof(*a));
	if (a->sxdp_queue_id >= WIRE_SOCKETS) { /* there is no such queue */
		kernel.n_xsk--;
		errno = EINVAL;
		return -1;
	}
	x->ifindex = (int)a->sxdp_ifindex;
	x->ring[TX].flags = x->ring[FILL].flags = XDP_RING_NEED_WAKEUP;
	return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	struct wire_xsk *x = find(fd);

	if (x && level == SOL_XDP && name == XDP_UMEM_REG) {
		struct xdp_umem_reg reg;

		assert(size >= sizeof(reg));
		memcpy(&reg, value, sizeof(reg));
		x->umem = (uint8_t *)(uintptr_t)reg.addr;
		x->chunk_size = reg.chunk_size;
	}
	return 0;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	const struct xdp_ring_offset at = { .producer = offsetof(struct wire_ring, producer),
					    .consumer = offsetof(struct wire_ring, consumer),
					    .flags = offsetof(struct wire_ring, flags),
					    .desc = offsetof(struct wire_ring, entry) };
	const struct wire_xsk *x = find(fd);

	memset(value, 0, *size);
	if (level == SOL_XDP && name == XDP_MMAP_OFFSETS)
		*(struct xdp_mmap_offsets *)value =
			(struct xdp_mmap_offsets){ .rx = at, .tx = at, .fr = at, .cr = at };
	else if (level == SOL_XDP && name == XDP_OPTIONS && x && x->is_zero_copy)
		((struct xdp_options *)value)->flags = XDP_OPTIONS_ZEROCOPY;
	else if (level == SOL_SOCKET && name == SO_ERROR)
		*(int *)value = kernel.at < kernel.n ? EINVAL : 0; /* more waits behind it */
	return 0;
}

/* Its arguments are those of mmap(): prot, flags, fd and offset come after the size. */
void *__wrap_mmap64(void *at, size_t size, ...)
{
	int prot, flags, fd;
	struct wire_xsk *x;
	va_list args;
	off_t offset;

	va_start(args, size);
	prot = va_arg(args, int);
	flags = va_arg(args, int);
	fd = va_arg(args, int);
	offset = va_arg(args, off_t);
	va_end(args);
	x = fd >= 0 ? find(fd) : NULL;
	if (!x)
		return __real_mmap64(at, size, prot, flags, fd, offset);
	assert(size <= sizeof(struct wire_ring));
	switch ((uint64_t)offset) {
	case XDP_PGOFF_RX_RING:
		return &x->ring[RX];
	case XDP_PGOFF_TX_RING:
		return &x->ring[TX];
	case XDP_UMEM_PGOFF_FILL_RING:
		return &x->ring[FILL];
	}
	return &x->ring[COMPLETION];
}

/* ---- packet sockets ---- */

void wire_kernel_queue(const struct wire_frame *f, unsigned n)
{
	kernel.frame = f;
	kernel.n = n;
	kernel.at = 0;
	kernel.error_told = false;
}

unsigned wire_kernel_left(void)
{
	return kernel.n - kernel.at;
}

static void tell_aux(const struct wire_frame *f, struct msghdr *m)
{
	const struct tpacket_auxdata aux = { .tp_status = f->status,
					     .tp_len = f->size,
					     .tp_vlan_tci = f->tci,
					     .tp_vlan_tpid = f->tpid };
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	if (!f->has_aux || !c) {
		m->msg_controllen = 0;
		return;
	}
	c->cmsg_level = SOL_PACKET;
	c->cmsg_type = PACKET_AUXDATA;
	c->cmsg_len = CMSG_LEN(sizeof(aux));
	memcpy(CMSG_DATA(c), &aux, sizeof(aux));
}

static void receive(const struct wire_frame *f, struct mmsghdr *m)
{
	uint32_t header = (uint32_t)sizeof(f->vnet) - f->cut, size = f->cut ? 0 : f->size;
	struct iovec *to = m->msg_hdr.msg_iov;
	uint8_t *slot = to[1].iov_base;

	assert(m->msg_hdr.msg_iovlen == 2 && to[0].iov_len == sizeof(f->vnet));
	memcpy(to[0].iov_base, &f->vnet, header);
	if (size > to[1].iov_len) {
		size = (uint32_t)to[1].iov_len;
		m->msg_hdr.msg_flags = MSG_TRUNC;
	}
	ASAN_UNPOISON_MEMORY_REGION(slot, to[1].iov_len);
	memcpy(slot, f->octets, size < f->size ? size : f->size);
	ASAN_POISON_MEMORY_REGION(slot + size, to[1].iov_len - size);
	if (kernel.n_slots < WIRE_WAITING_MAX)
		kernel.slot[kernel.n_slots++] = slot;
	m->msg_len = header + size;
	tell_aux(f, &m->msg_hdr);
}

int __wrap_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *timeout)
{
	unsigned i = 0;

	assert(flags & MSG_DONTWAIT);
	for (; i < n && kernel.at < kernel.n; i++) {
		const struct wire_frame *f = &kernel.frame[kernel.at];

		if (f->is_error && !kernel.error_told) {
			kernel.error_told = true;
			errno = EINVAL;
			return i ? (int)i : -1;
		}
		kernel.error_told = false;
		receive(f, &m[i]);
		kernel.at++;
	}
	errno = EAGAIN;
	return i ? (int)i : -1;
}

int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	static uint8_t octets[FRAME_SIZE_MAX + sizeof(struct vnet_hdr) + 64];

	if (kernel.is_jammed) {
		errno = ENOBUFS;
		return -1;
	}
	for (unsigned i = 0; i < n; i++) {
		const struct msghdr *h = &m[i].msg_hdr;
		uint32_t size = 0;

		for (size_t k = 0; k < h->msg_iovlen; k++) {
			assert(h->msg_iov[k].iov_len <= sizeof(octets) - size);
			memcpy(octets + size, h->msg_iov[k].iov_base, h->msg_iov[k].iov_len);
			size += (uint32_t)h->msg_iov[k].iov_len;
		}
		assert(size >= sizeof(struct vnet_hdr));
		kernel.sent(octets, size);
	}
	return (int)n;
}

int __wrap_ioctl(int fd, unsigned long what, ...)
{
	va_list args;

	va_start(args, what);
	*va_arg(args, int *) = kernel.is_jammed ? 1 << 20 : 0; /* SIOCOUTQ */
	va_end(args);
	return 0;
}

/* ---- AF_XDP ---- */

/* Chunks that the port has given back since. */
static void reclaim(struct wire_xsk *x)
{
	const struct wire_ring *fill = &x->ring[FILL];

	assert(fill->producer - fill->consumer <= XSK_N_FILL);
	if (!x->reclaimed)
		x->reclaimed = XSK_N_FILL; /* those of the beginning */
	for (; x->reclaimed != fill->producer; x->reclaimed++) {
		uint64_t address = fill->entry[x->reclaimed % XSK_N_FILL];
		uint64_t chunk = address / x->chunk_size;

		assert(address % x->chunk_size == 0 && chunk < XSK_N_FILL && x->is_lent[chunk]);
		x->is_lent[chunk] = false;
		x->n_lent--;
	}
}

bool wire_kernel_xdp(int ifindex, unsigned queue, const uint8_t *octets, uint32_t size)
{
	struct wire_xsk *x = NULL;
	struct wire_ring *rx, *fill;
	struct xdp_desc *to;
	uint64_t chunk;

	for (unsigned i = 0; i < kernel.n_xsk; i++)
		if (kernel.xsk[i].ifindex == ifindex && queue-- == 0)
			x = &kernel.xsk[i];
	assert(x);
	rx = &x->ring[RX];
	fill = &x->ring[FILL];
	reclaim(x);
	if (fill->producer == fill->consumer || rx->producer - rx->consumer >= XSK_N_RX)
		return false;
	chunk = fill->entry[fill->consumer++ % XSK_N_FILL];
	assert(!x->is_lent[chunk / x->chunk_size]);
	x->is_lent[chunk / x->chunk_size] = true;
	x->n_lent++;
	if (size > x->chunk_size - XSK_HEADROOM)
		size = x->chunk_size - XSK_HEADROOM;
	ASAN_UNPOISON_MEMORY_REGION(x->umem + chunk, x->chunk_size);
	memcpy(x->umem + chunk + XSK_HEADROOM, octets, size);
	ASAN_POISON_MEMORY_REGION(x->umem + chunk, XSK_HEADROOM);
	ASAN_POISON_MEMORY_REGION(x->umem + chunk + XSK_HEADROOM + size,
				  x->chunk_size - XSK_HEADROOM - size);
	to = &((struct xdp_desc *)(void *)rx->entry)[rx->producer++ % XSK_N_RX];
	*to = (struct xdp_desc){ .addr = chunk + XSK_HEADROOM, .len = size };
	return true;
}

static void drain(struct wire_xsk *x)
{
	struct wire_ring *tx = &x->ring[TX], *done = &x->ring[COMPLETION];

	assert(tx->producer - tx->consumer <= XSK_N_TX);
	for (; tx->consumer != tx->producer && !kernel.is_jammed; tx->consumer++) {
		const struct xdp_desc *all = (const void *)tx->entry;
		const struct xdp_desc *d = &all[tx->consumer % XSK_N_TX];
		uint64_t chunk = d->addr / x->chunk_size;

		assert(chunk >= XSK_N_FILL && chunk < XSK_N_FILL + XSK_N_TX);
		assert(d->addr % x->chunk_size == 0 && d->len <= x->chunk_size);
		assert(done->producer - done->consumer < XSK_N_TX);
		if ((int32_t)(tx->consumer - x->stale) >= 0)
			kernel.sent(x->umem + d->addr, d->len);
		done->entry[done->producer++ % XSK_N_TX] = d->addr;
	}
	x->stale = tx->producer;
}

void wire_kernel_settle(void)
{
	for (unsigned i = 0; i < kernel.n_slots; i++)
		ASAN_UNPOISON_MEMORY_REGION(kernel.slot[i], FRAME_SIZE_MAX);
	kernel.n_slots = 0;
	for (unsigned i = 0; i < kernel.n_xsk; i++) {
		struct wire_xsk *x = &kernel.xsk[i];

		reclaim(x);
		drain(x);
		assert(!x->n_lent && x->ring[RX].producer == x->ring[RX].consumer);
	}
}
