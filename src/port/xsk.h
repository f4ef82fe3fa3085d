// SPDX-License-Identifier: Apache-2.0
/*
 * One AF_XDP socket on one queue of a device: four rings shared with the kernel, and the memory
 * (UMEM) that frames lie in. The memory is a part of a memory file, so that a process that gets
 * that file and the socket goes on where this one stopped: that is why libxdp's xsk.h, which cannot
 * take an open socket over, is not used.
 *
 *   fill ─▶ kernel ─▶ rx ─▶ xsk_rx() ─▶ xsk_rx_done() ─▶ fill         chunks 0 .. N_FILL - 1
 *   free ─▶ xsk_tx() ─▶ tx ─▶ kernel ─▶ completion ─▶ free            the other N_TX chunks
 *
 * It knows nothing of ports. One thread at a time receives, and one sends.
 */
#ifndef EVB_PORT_XSK_H
#define EVB_PORT_XSK_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

enum {
	XSK_N_RX = 2048, /* a burst of 1.5 ms at 1.4 million frames per second */
	/*
	 * Twice as many: while a full rx ring waits for us, the driver still has as many chunks to
	 * receive into. All chunks for receiving fit, so that giving one back cannot fail.
	 */
	XSK_N_FILL = 2 * XSK_N_RX,
	XSK_N_TX = 2048, /* likewise the completion ring */

	XSK_HEADROOM = 256, /* that the kernel leaves in a chunk before a received frame */
	XSK_FRAME_MAX = 4096 - XSK_HEADROOM,
};

/* A ring as one side sees it. */
struct xsk_ring {
	_Atomic uint32_t *producer, *consumer, *flags;
	void *entry;
	uint32_t own, other; /* our index; the kernel's as we last saw it */
	uint32_t mask;
	void *map;
	size_t map_size;
};

struct xsk {
	int fd;
	bool is_zero_copy;
	uint8_t *region; /* its part of the memory file */
	size_t region_size;
	uint8_t *umem;	       /* in the region */
	struct xsk_free *free; /* likewise: chunks to send from */
	uint32_t chunk_size;   /* 2048 or 4096 */
	uint32_t n_lent;       /* frames of xsk_rx() */
	bool has_unsent;       /* xsk_kick() has work */
	struct xsk_ring rx, tx, fill, completion;
};

/* A received frame. */
struct xsk_frame {
	uint8_t *octets;
	uint32_t size;
};

/* The chunk that a frame of `size` octets fits in, or 0: it is more than XSK_FRAME_MAX. */
uint32_t xsk_chunk_size(uint32_t size);

/* A memory file for `n` sockets; descriptor or -errno. */
int xsk_memory(uint32_t chunk_size, unsigned n);

/* What a new socket is to be. */
struct xsk_spec {
	int memory;    /* of xsk_memory() */
	unsigned part; /* of it, from 0 */
	uint32_t chunk_size;
	int ifindex;
	unsigned queue;
	bool copies; /* no zero copy, whatever the driver can */
};

/*
 * Open a socket. 0 or -errno: -EINVAL is also "there is no such queue", -EBUSY that another process
 * has a socket there. Free it with xsk_close() in the end.
 */
int xsk_open(struct xsk *x, const struct xsk_spec *spec);

/*
 * Go on with socket `fd`, which it takes, and its memory (spec.queue and ifindex do not matter).
 * Whoever had it must have stopped, with no frame lent. 0 or -errno; -EBADMSG: the memory is not
 * what one left.
 */
int xsk_adopt(struct xsk *x, int fd_take, const struct xsk_spec *spec);

void xsk_close(struct xsk *x);

/*
 * Up to `max` frames that have come, but none behind the one that makes them `*octets` in all (it
 * is counted down); lent until xsk_rx_done(), to be called before the next xsk_rx(). One that would
 * lie outside the memory has size 0.
 */
unsigned xsk_rx(struct xsk *x, struct xsk_frame *to, unsigned max, int64_t *octets);
void xsk_rx_done(struct xsk *x);

/* Does a frame wait? */
bool xsk_has_rx(const struct xsk *x);

/* Have a driver that sleeps look for frames; costs a system call only if it does. */
void xsk_rx_wake(const struct xsk *x);

/* Copy a frame of at most chunk_size octets into a chunk. False: there is none, or no room. */
bool xsk_tx(struct xsk *x, const struct frame *f);

/* Chunks that wait to be sent, of XSK_N_TX. */
uint32_t xsk_tx_waiting(struct xsk *x);

/* Have the kernel send what xsk_tx() took. */
void xsk_kick(struct xsk *x);

/* Frames that the kernel could not give us for want of chunks or room. */
uint64_t xsk_dropped(const struct xsk *x);

#endif
