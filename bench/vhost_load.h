// SPDX-License-Identifier: Apache-2.0
/*
 * The loops of vhost_load: bursts out of one port and into another, inlined for each kind of work
 * so that nothing is asked per frame. They write and read the rings themselves, as a guest's
 * poll-mode driver does; setting up is front_dev.h's. One thread.
 */
#ifndef EVB_BENCH_VHOST_LOAD_H
#define EVB_BENCH_VHOST_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "front_dev.h"

enum { BURST = 64, HEADER = 12, HEAD = 32, ETH = 14, HEADS = 54, SAMPLES_MAX = 100000 };
enum { WARM_UP_MS = 200, SEQ_AT = HEADER + HEADS };
enum {
	IP_ID_AT = HEADER + 18,
	IP_CSUM_AT = HEADER + 24,
	UDP_PORT_AT = HEADER + 34,
	UDP_CSUM_AT = HEADER + 40
};

#define HOT static inline __attribute__((always_inline))

/* Kinds of work per frame, constant in each loop. */
enum { TOUCH = 1, CHECK = 2, PACKED = 4, MERGE = 8 };

/* One direction of one port: ring words, and buffers that lie side by side in ring order. */
struct queue {
	struct front_ring *r;
	uint8_t *host; /* buffer i is at host + i * stride; descriptor i is always its own */
	uint64_t gpa, stride;
	uint32_t len, mask, burst;
	uint32_t avail, used; /* ever made available, ever seen used */
	uint32_t order;	      /* not 0 once the device did not return buffers in order */
};

/* What goes from one port to the other. */
struct flow {
	struct queue tx, rx;
	uint8_t head[HEADER + HEADS]; /* of each frame */
	uint64_t expect, expect_mask; /* num_buffers and destination, as octets 10 to 17 */
	uint32_t size;
	uint32_t udp;	      /* not 0: frames of so many UDP sockets in turn */
	bool sums;	      /* with their checksums */
	uint32_t seq, seen;   /* next to send, next expected */
	uint32_t part, parts; /* several buffers: octets so far and buffers to come */
	uint64_t sent, received, octets, bad, lost, sum;
};

HOT uint64_t load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Kick unless the device said that it looks by itself. */
HOT void kick(struct front_ring *r, unsigned kind)
{
	uint16_t flags;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	flags = kind & PACKED ? front_load16(&r->device->flags) : front_load16(&r->used[0]);
	if (__builtin_expect(flags != 1, 0))
		front_ring_kick_always(r);
}

/* Is packed descriptor `at` used, when the driver's count of used ones is `n`? */
HOT bool packed_used(const struct queue *q, uint32_t n)
{
	uint16_t flags = front_load16(&q->r->pdesc[n & q->mask].flags);
	uint16_t wrap = n & (q->mask + 1) ? 0 : FRONT_AVAIL | FRONT_USED;

	return (flags & (FRONT_AVAIL | FRONT_USED)) == wrap;
}

/* Make buffer i available again as number n. */
HOT void post(struct queue *q, uint32_t n, uint16_t write, unsigned kind)
{
	uint32_t i = n & q->mask;
	uint64_t addr = q->gpa + i * q->stride;

	if (kind & PACKED) {
		uint64_t flags = write | (n & (q->mask + 1) ? FRONT_USED : FRONT_AVAIL);
		uint64_t *d = (uint64_t *)(void *)&q->r->pdesc[i];

		__atomic_store_n(d, addr, __ATOMIC_RELAXED);
		__atomic_store_n(d + 1, q->len | (uint64_t)i << 32 | flags << 48, __ATOMIC_RELEASE);
	} else {
		q->r->desc[i] = (struct front_desc){ addr, q->len, write, 0 };
		q->r->avail[2 + i] = (uint16_t)i;
	}
}

HOT void publish(struct queue *q, uint32_t n, unsigned kind)
{
	q->avail += n;
	if (!(kind & PACKED))
		front_store16(front_avail_idx(q->r), (uint16_t)q->avail);
	kick(q->r, kind);
}

/* Up to `max` more used buffers, none of them beyond the end of the ring. */
HOT uint32_t count_used(struct queue *q, uint32_t max, unsigned kind)
{
	uint32_t left = q->mask + 1 - (q->used & q->mask), n = 0;

	if (left < max)
		max = left;
	if (kind & PACKED) {
		while (n < max && packed_used(q, q->used + n))
			n++;
		return n;
	}
	n = (uint16_t)(front_load16(front_used_idx(q->r)) - (uint16_t)q->used);
	return n < max ? n : max;
}

HOT uint32_t used_id(const struct queue *q, uint32_t i, unsigned kind)
{
	return kind & PACKED ? q->r->pdesc[i].id : front_used_entry(q->r, i)->id;
}

HOT uint32_t used_len(const struct queue *q, uint32_t i, unsigned kind)
{
	return kind & PACKED ? q->r->pdesc[i].len : front_used_entry(q->r, i)->len;
}

HOT void reap(struct queue *q, unsigned kind)
{
	uint32_t n = count_used(q, q->mask + 1, kind), i = q->used & q->mask, order = 0;

	for (uint32_t k = 0; k < n; k++)
		order |= used_id(q, i + k, kind) ^ (i + k);
	q->order |= order;
	q->used += n;
}

HOT void fill(const struct flow *f, uint8_t *frame, uint32_t seq, unsigned kind)
{
	uint32_t at = SEQ_AT, end = HEADER + f->size;
	uint64_t v = (seq & 0xff) * UINT64_C(0x0101010101010101);

	if (!(kind & TOUCH))
		return;
	memcpy(frame + HEAD, f->head + HEAD, sizeof(f->head) - HEAD);
	for (; at + 8 <= end; at += 8)
		memcpy(frame + at, &v, 8);
	/* The last word may overlap the one before; a frame with less payload has its octets. */
	if (end >= SEQ_AT + 8)
		memcpy(frame + end - 8, &v, 8);
	for (; end < SEQ_AT + 8 && at < end; at++)
		frame[at] = (uint8_t)v;
	if ((kind & CHECK) && f->size >= HEADS + 4)
		memcpy(frame + SEQ_AT, &seq, 4);
}

HOT void store_be16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/*
 * Frame `seq` as connected sockets of Linux send it: identifications that count up, and an IPv4
 * checksum that goes with them; the UDP checksum is left to whoever sends it on.
 */
HOT void stamp_udp(const struct flow *f, uint8_t *frame, uint32_t seq)
{
	uint32_t id = seq / f->udp & 0xffff, port = 1024 + seq % f->udp;
	uint32_t sum = (uint32_t)(f->head[IP_CSUM_AT] << 8 | f->head[IP_CSUM_AT + 1]);

	/* The checksum of the head is that of identification 0 (RFC 1624, equation 3). */
	sum = (~sum & 0xffff) + id;
	sum = ~((sum & 0xffff) + (sum >> 16));
	store_be16(frame + IP_ID_AT, id);
	store_be16(frame + IP_CSUM_AT, sum);
	store_be16(frame + UDP_PORT_AT, port);
	if (f->sums) {
		const uint8_t *udp = frame + UDP_PORT_AT;

		for (sum = 0; udp + 1 < frame + HEADER + f->size; udp += 2)
			sum += (uint32_t)(udp[0] << 8 | udp[1]); /* with the pseudo-header's */
		sum = (sum & 0xffff) + (sum >> 16);
		store_be16(frame + UDP_CSUM_AT, ~((sum & 0xffff) + (sum >> 16)));
	}
}

HOT void send_burst(struct flow *f, unsigned kind)
{
	struct queue *q = &f->tx;
	uint32_t size = q->mask + 1;

	if (size - (q->avail - q->used) < q->burst) {
		reap(q, kind);
		if (size - (q->avail - q->used) < q->burst)
			return;
	}
	/* Bursts divide the ring, so a burst never goes over its end. */
	for (uint32_t k = 0; k < q->burst; k++) {
		uint32_t n = q->avail + k;
		uint8_t *frame = q->host + (n & q->mask) * q->stride;

		memcpy(frame, f->head, HEAD);
		fill(f, frame, f->seq + k, kind);
		if (f->udp)
			stamp_udp(f, frame, f->seq + k);
		post(q, n, 0, kind);
	}
	publish(q, q->burst, kind);
	f->seq += q->burst;
	f->sent += q->burst;
}

/* Octets of a frame from `at` on, which the sender made of its number. */
static void check_octets(struct flow *f, const uint8_t *octets, uint32_t len, uint32_t at)
{
	uint32_t i = at < SEQ_AT ? SEQ_AT - at : 0;

	if (f->size < HEADS + 4)
		return;
	if (i && i + 4 <= len) {
		uint32_t seq;

		memcpy(&seq, octets + i, 4);
		f->lost += (int32_t)(seq - f->seen) > 0 ? seq - f->seen : 0;
		f->bad += (int32_t)(seq - f->seen) < 0;
		f->seen = seq + 1;
		i += 4;
	}
	for (; i < len; i++)
		if (octets[i] != (uint8_t)(f->seen - 1)) {
			f->bad++;
			return;
		}
}

HOT void look(struct flow *f, const uint8_t *octets, uint32_t len, unsigned kind)
{
	uint64_t sum = 0;

	if (kind & TOUCH)
		for (uint32_t at = 0; at + 8 <= len; at += 8)
			sum ^= load64(octets + at);
	f->sum += sum;
	if (kind & CHECK)
		check_octets(f, octets, len, kind & MERGE ? f->part : 0);
}

/* One buffer of a frame that may have several: what the frame has before it is in `part`. */
HOT void take_part(struct flow *f, const uint8_t *frame, uint32_t len, unsigned kind)
{
	if (!f->parts) {
		struct front_hdr h;

		memcpy(&h, frame, sizeof(h));
		f->parts = h.num_buffers ? h.num_buffers : 1;
		f->part = 0;
		f->bad += (load64(frame + 10) & f->expect_mask) != f->expect;
	}
	look(f, frame, len, kind);
	f->part += len;
	if (--f->parts == 0) {
		f->received++;
		f->bad += f->part != HEADER + f->size;
		f->octets += f->part - HEADER;
	}
}

HOT void receive_burst(struct flow *f, unsigned kind)
{
	struct queue *q = &f->rx;
	uint32_t n = count_used(q, BURST, kind), i = q->used & q->mask, order = 0, bad = 0;

	if (!n)
		return;
	for (uint32_t k = 0; k < n; k++) {
		const uint8_t *frame = q->host + (i + k) * q->stride;
		uint32_t len = used_len(q, i + k, kind);

		order |= used_id(q, i + k, kind) ^ (i + k);
		if (__builtin_expect(len > q->len, 0)) {
			bad++;
			len = q->len;
		}
		if (kind & MERGE) {
			take_part(f, frame, len, kind);
		} else {
			bad += (load64(frame + 10) & f->expect_mask) != f->expect;
			bad += len != HEADER + f->size;
			look(f, frame, len, kind);
		}
		post(q, q->used + q->mask + 1 + k, FRONT_WRITE, kind);
	}
	q->used += n;
	q->order |= order;
	publish(q, n, kind);
	f->bad += bad;
	if (!(kind & MERGE)) {
		f->received += n;
		f->octets += (uint64_t)n * f->size;
	}
}

#endif
