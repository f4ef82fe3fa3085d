// SPDX-License-Identifier: Apache-2.0
/*
 * A light load for switches with vhost-user ports: the guests' side of two ports, in one thread on one
 * CPU, pushes frames from port A to port B as fast as the switch takes them. A frame costs little
 * here, so that the switch is the limit: one descriptor with header and frame, bursts of 64, no
 * allocation, nothing indirect. Ends with one line of JSON.
 *
 * usage: vhost_load [OPTION]... SOCKET-A SOCKET-B
 *   --server              make the sockets and wait for the switch; else connect to them
 *   --split, --packed     format of the rings (split)
 *   --ring N              descriptors of a ring (256)
 *   --size N              octets of a frame without checksum (64; 65226 with --gso)
 *   --rx-buf N            octets of a receive buffer (2048); frames that are larger need several
 *   --no-mrg              no mergeable receive buffers
 *   --gso                 frames are TCP segments to be cut up, with offloads negotiated
 *   --offload             negotiate offloads without using them
 *   --touch               write the whole frame and read all that is received
 *   --check               also verify each octet, and look for frames lost or out of order
 *   --both                B sends to A as well
 *   --huge                guest memory of 2 MiB pages
 *   --seconds N, --cpu N  (2, not pinned)
 *   --mac-a M, --mac-b M  (52:54:00:00:00:0a, 52:54:00:00:00:0b)
 *   --latency             one frame at a time, 0.2 to 2 ms apart: time from before the kick until
 *                         the wake-up by the call eventfd; --spin: until seen by polling
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "front_dev.h"

enum { BURST = 64, HEADER = 12, HEAD = 32, ETH = 14, HEADS = 54, SAMPLES_MAX = 100000 };
enum { WARM_UP_MS = 200, SEQ_AT = HEADER + HEADS };

#define HOT static inline __attribute__((always_inline))

/* Kinds of work per frame, constant in each loop. */
enum { TOUCH = 1, CHECK = 2, PACKED = 4, MERGE = 8 };

struct options {
	const char *path[2];
	uint8_t mac[2][6];
	uint32_t size, rx_buf, ring;
	bool server, no_mrg, gso, offload, both, huge, latency, spin;
	unsigned kind;
	double seconds;
	int cpu;
};

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
	uint32_t seq, seen;   /* next to send, next expected */
	uint32_t part, parts; /* several buffers: octets so far and buffers to come */
	uint64_t sent, received, octets, bad, lost, sum;
};

static struct front_dev dev[2];

static void die(const char *what, const char *why)
{
	fprintf(stderr, "vhost_load: %s: %s\n", what, why);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

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
	for (; at + 8 <= end; at += 8)
		memcpy(frame + at, &v, 8);
	for (; at < end; at++)
		frame[at] = (uint8_t)v;
	if ((kind & CHECK) && f->size >= HEADS + 4)
		memcpy(frame + SEQ_AT, &seq, 4);
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

HOT void pump(struct flow *f, const struct options *o, uint64_t end, unsigned kind)
{
	unsigned n_flows = o->both ? 2 : 1;

	do {
		for (unsigned i = 0; i < 256; i++)
			for (unsigned k = 0; k < n_flows; k++) {
				send_burst(&f[k], kind);
				receive_burst(&f[k], kind);
			}
		if (!o->both) /* what is flooded to A, or comes from before */
			receive_burst(&f[1], kind);
	} while (now_ns() < end && !(f[0].tx.order | f[0].rx.order));
}

/* One loop for each kind, so that none of them asks per frame what kind it is. */
static void __attribute__((noinline))
pump_kind(struct flow *f, const struct options *o, uint64_t end)
{
	switch (o->kind) {
#define KIND(k)                                                                                    \
	case k:                                                                                    \
		pump(f, o, end, k);                                                                \
		break;
		KIND(0)
		KIND(TOUCH)
		KIND(TOUCH | CHECK)
		KIND(PACKED)
		KIND(PACKED | TOUCH)
		KIND(PACKED | TOUCH | CHECK)
		KIND(MERGE)
		KIND(MERGE | TOUCH)
		KIND(MERGE | TOUCH | CHECK)
		KIND(MERGE | PACKED)
		KIND(MERGE | PACKED | TOUCH)
		KIND(MERGE | PACKED | TOUCH | CHECK)
#undef KIND
	}
}

/* Ethernet, IPv4 and UDP or TCP: enough for a switch that looks into frames. */
static void make_head(struct flow *f, const struct options *o, unsigned from)
{
	struct front_hdr h = { .num_buffers = 0 };
	uint8_t *e = f->head + HEADER, *ip = e + ETH;
	uint32_t sum = 0, len = o->size - ETH;

	if (o->gso)
		h = (struct front_hdr){ .flags = 1,
					.gso_type = 1,
					.hdr_len = HEADS,
					.gso_size = 1448,
					.csum_start = 34,
					.csum_offset = 16 };
	memcpy(f->head, &h, HEADER);
	memcpy(e, o->mac[!from], 6);
	memcpy(e + 6, o->mac[from], 6);
	e[12] = 8;
	memcpy(ip,
	       (uint8_t[20]){ 0x45,
			      0,
			      (uint8_t)(len >> 8),
			      (uint8_t)len,
			      0,
			      0,
			      0x40,
			      0,
			      64,
			      o->gso ? 6 : 17,
			      0,
			      0,
			      192,
			      0,
			      2,
			      (uint8_t)(1 + from),
			      192,
			      0,
			      2,
			      (uint8_t)(2 - from) },
	       20);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	ip[21] = ip[23] = 9; /* ports */
	if (o->gso)
		ip[32] = 0x50;
	else {
		ip[24] = (uint8_t)((len - 20) >> 8);
		ip[25] = (uint8_t)(len - 20);
	}
	/* num_buffers is 1 where buffers can be merged, but need not be; else it says nothing. */
	f->expect_mask = o->no_mrg || (o->kind & MERGE) ? ~UINT64_C(0xffff) : ~UINT64_C(0);
	f->expect = ((load64(f->head + 10) & ~UINT64_C(0xffff)) | 1) & f->expect_mask;
	f->size = o->size;
}

static void make_tx(struct queue *q, struct front_dev *d, const struct flow *f)
{
	uint64_t each = (HEADER + (uint64_t)f->size + 63) / 64 * 64 + FRONT_GUARD;
	uint32_t n = d->pair[0].tx.c.size;

	*q = (struct queue){ .r = &d->pair[0].tx, .stride = each, .len = HEADER + f->size };
	q->mask = n - 1;
	q->burst = n / 2 < BURST ? n / 2 : BURST;
	q->gpa = front_mem_alloc(&d->mem, each * n, 64);
	q->host = front_mem_at(&d->mem, q->gpa, each * n);
	if (!q->host)
		die("guest memory", "too small");
	for (uint32_t i = 0; i < n; i++)
		memcpy(q->host + i * each, f->head, HEADER + (f->size < HEADS ? f->size : HEADS));
}

/* The buffers that front_dev_make() posted lie one after the other. */
static void make_rx(struct queue *q, struct front_dev *d)
{
	struct front_ring *r = &d->pair[0].rx;

	*q = (struct queue){
		.r = r, .len = d->c.rx_buf, .mask = r->c.size - 1, .avail = r->c.size
	};
	q->gpa = r->slot[0].cookie;
	q->stride = r->slot[1].cookie - q->gpa;
	q->host = front_mem_at(&d->mem, q->gpa, q->stride * r->c.size);
	for (uint32_t i = 0; i < r->c.size; i++)
		if (!q->host || !r->slot[i].out || r->slot[i].cookie != q->gpa + i * q->stride)
			die("receive buffers", "not side by side");
}

static struct front_dev_config dev_config(const struct options *o)
{
	struct front_dev_config c = {
		.features = FRONT_FEATURES_LEAST,
		.protocol = FRONT_P_MQ | FRONT_P_REPLY_ACK,
		.rx_size = o->ring,
		.tx_size = o->ring,
		.rx_buf = o->rx_buf,
		.strict = true,
		.mem.huge = o->huge,
		.mem.sealed = true,
	};

	c.mem.size = (UINT64_C(16) << 20) +
		     (uint64_t)o->ring * (o->rx_buf + (uint64_t)o->size + 4 * FRONT_GUARD);
	if (!o->no_mrg)
		c.features |= FRONT_BIT(FRONT_F_MRG_RXBUF);
	if (o->kind & PACKED)
		c.features |= FRONT_BIT(FRONT_F_PACKED);
	if (o->gso || o->offload)
		c.features |= FRONT_BIT(FRONT_F_CSUM) | FRONT_BIT(FRONT_F_GUEST_CSUM) |
			      FRONT_BIT(FRONT_F_HOST_TSO4) | FRONT_BIT(FRONT_F_GUEST_TSO4);
	return c;
}

static void start(struct flow *f, const struct options *o)
{
	struct front_dev_config c = dev_config(o);

	for (unsigned i = 0; i < 2; i++) {
		front_dev_init(&dev[i], &c);
		dev[i].sock.timeout_ms = 10000;
		if (o->server && front_dev_listen(&dev[i], o->path[i]))
			die(o->path[i], dev[i].error);
	}
	for (unsigned i = 0; i < 2; i++)
		if ((o->server ? front_dev_accept(&dev[i]) :
				 front_dev_connect(&dev[i], o->path[i])) ||
		    front_dev_start(&dev[i]))
			die(o->path[i], dev[i].error);
	for (unsigned i = 0; i < 2; i++) {
		make_head(&f[i], o, i);
		make_tx(&f[i].tx, &dev[i], &f[i]);
		make_rx(&f[i].rx, &dev[!i]);
	}
}

/* Both send a few frames, until the switch knows where they are. */
static void introduce(struct flow *f, unsigned kind)
{
	for (unsigned round = 0; round < 8; round++) {
		struct flow *of = &f[round % 2];
		uint32_t burst = of->tx.burst;

		of->tx.burst = 1;
		send_burst(of, TOUCH | CHECK | kind);
		of->tx.burst = burst;
		usleep(10000);
	}
}

static void drain(struct flow *f, unsigned kind)
{
	uint64_t end = now_ns() + 50000000;

	while (now_ns() < end)
		for (unsigned k = 0; k < 2; k++)
			receive_burst(&f[k], kind);
}

static void load(struct flow *f, const struct options *o)
{
	uint64_t begin, ns, n, octets, bad, lost;

	pump_kind(f, o, now_ns() + WARM_UP_MS * UINT64_C(1000000));
	for (unsigned k = 0; k < 2; k++)
		f[k].sent = f[k].received = f[k].octets = f[k].bad = f[k].lost = 0;
	begin = now_ns();
	pump_kind(f, o, begin + (uint64_t)(o->seconds * 1e9));
	ns = now_ns() - begin;
	n = f[0].received + (o->both ? f[1].received : 0);
	octets = f[0].octets + (o->both ? f[1].octets : 0);
	drain(f, o->kind & (PACKED | MERGE));
	if (f[0].tx.order | f[0].rx.order | f[1].tx.order | f[1].rx.order)
		die("the switch", "returns buffers out of order, which this load does not follow");
	bad = f[0].bad + f[1].bad;
	lost = f[0].lost + f[1].lost;
	printf("{\"mpps\":%.3f,\"gbit_s\":%.2f,\"sent\":%llu,\"received\":%llu,\"bad\":%llu,"
	       "\"lost\":%llu,\"seconds\":%.3f,\"size\":%u,\"kicks\":%llu}\n",
	       (double)n * 1e3 / (double)ns, (double)octets * 8 / (double)ns,
	       (unsigned long long)(f[0].sent + f[1].sent), (unsigned long long)n,
	       (unsigned long long)bad, (unsigned long long)lost, (double)ns / 1e9, o->size,
	       (unsigned long long)(f[0].tx.r->n_kicks + f[1].tx.r->n_kicks));
}

/* Send one frame and wait until it is there; ns, or 0 if it does not come within a second. */
static uint64_t one_way(struct flow *f, const struct options *o)
{
	struct pollfd p = { .fd = f->rx.r->call, .events = POLLIN };
	unsigned kind = o->kind & PACKED;
	uint64_t begin, end, had = f->received;

	f->rx.r->used_idx = (uint16_t)(kind ? f->rx.used & f->rx.mask : f->rx.used);
	f->rx.r->used_wrap = !(f->rx.used & (f->rx.mask + 1));
	front_ring_calls(f->rx.r);
	front_ring_interrupts(f->rx.r, !o->spin);
	f->tx.burst = 1;
	begin = now_ns();
	send_burst(f, kind);
	if (!o->spin && poll(&p, 1, 1000) <= 0)
		return 0;
	do {
		end = now_ns();
		receive_burst(f, kind);
	} while (f->received == had && end - begin < 1000000000);
	return f->received == had ? 0 : end - begin;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void latency(struct flow *f, const struct options *o)
{
	static uint32_t sample[SAMPLES_MAX];
	uint64_t end = now_ns() + (uint64_t)(o->seconds * 1e9);
	unsigned n = 0, missing = 0, seed = 1;

	receive_burst(&f[0], o->kind & PACKED);
	while (now_ns() < end && n < SAMPLES_MAX) {
		uint64_t ns;

		usleep(200 + (unsigned)rand_r(&seed) % 1800);
		ns = one_way(&f[0], o);
		if (ns)
			sample[n++] = (uint32_t)ns;
		else
			missing++;
	}
	if (!n)
		die("latency", "no frame came through");
	qsort(sample, n, sizeof(*sample), compare);
	printf("{\"p50_us\":%.2f,\"p90_us\":%.2f,\"p99_us\":%.2f,\"max_us\":%.2f,\"n\":%u,"
	       "\"missing\":%u,\"wait\":\"%s\",\"kicks\":%llu}\n",
	       sample[n / 2] / 1e3, sample[n * 9 / 10] / 1e3, sample[n * 99 / 100] / 1e3,
	       sample[n - 1] / 1e3, n, missing, o->spin ? "spin" : "call",
	       (unsigned long long)f[0].tx.r->n_kicks);
}

static void parse_mac(uint8_t *mac, const char *text)
{
	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		   &mac[4], &mac[5]) != 6)
		die(text, "no MAC");
}

static uint32_t parse_u32(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 0);

	if (*end || !*text || v > 1 << 20)
		die(text, "no number, or too large");
	return (uint32_t)v;
}

static const struct option longs[] = {
	{ "server", 0, NULL, 'S' },  { "split", 0, NULL, 's' },
	{ "packed", 0, NULL, 'p' },  { "ring", 1, NULL, 'r' },
	{ "size", 1, NULL, 'z' },    { "rx-buf", 1, NULL, 'b' },
	{ "no-mrg", 0, NULL, 'M' },  { "gso", 0, NULL, 'g' },
	{ "offload", 0, NULL, 'o' }, { "touch", 0, NULL, 't' },
	{ "check", 0, NULL, 'c' },   { "both", 0, NULL, 'B' },
	{ "huge", 0, NULL, 'h' },    { "seconds", 1, NULL, 'n' },
	{ "cpu", 1, NULL, 'u' },     { "mac-a", 1, NULL, '0' },
	{ "mac-b", 1, NULL, '1' },   { "latency", 0, NULL, 'l' },
	{ "spin", 0, NULL, 'i' },    { 0 },
};

static void parse_one(struct options *o, int c)
{
	switch (c) {
	case 'S':
		o->server = true;
		break;
	case 's':
		o->kind &= ~(unsigned)PACKED;
		break;
	case 'p':
		o->kind |= PACKED;
		break;
	case 'r':
		o->ring = parse_u32(optarg);
		break;
	case 'z':
		o->size = parse_u32(optarg);
		break;
	case 'b':
		o->rx_buf = parse_u32(optarg);
		break;
	case 'M':
		o->no_mrg = true;
		break;
	case 'g':
		o->gso = true;
		break;
	case 'o':
		o->offload = true;
		break;
	case 't':
		o->kind |= TOUCH;
		break;
	case 'c':
		o->kind |= TOUCH | CHECK;
		break;
	case 'B':
		o->both = true;
		break;
	case 'h':
		o->huge = true;
		break;
	case 'n':
		o->seconds = atof(optarg);
		break;
	case 'u':
		o->cpu = (int)parse_u32(optarg);
		break;
	case '0':
		parse_mac(o->mac[0], optarg);
		break;
	case '1':
		parse_mac(o->mac[1], optarg);
		break;
	case 'l':
		o->latency = true;
		break;
	case 'i':
		o->spin = true;
		break;
	default:
		exit(2);
	}
}

static void parse(struct options *o, int argc, char **argv)
{
	int c;

	*o = (struct options){ .mac = { { 0x52, 0x54, 0, 0, 0, 10 }, { 0x52, 0x54, 0, 0, 0, 11 } },
			       .ring = 256,
			       .rx_buf = 2048,
			       .seconds = 2,
			       .cpu = -1 };
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		parse_one(o, c);
	if (argc - optind != 2)
		die("usage", "vhost_load [OPTION]... SOCKET-A SOCKET-B");
	o->path[0] = argv[optind];
	o->path[1] = argv[optind + 1];
	if (!o->size)
		o->size = o->gso ? 65226 : 64;
	if (o->size < 60 || o->size > 65549)
		die("--size", "from 60 to 65549");
	if (o->ring < 4 || o->ring > FRONT_RING_MAX || (o->ring & (o->ring - 1)))
		die("--ring", "a power of two from 4 to 32768");
	if (HEADER + o->size > o->rx_buf) {
		if (o->no_mrg)
			die("--no-mrg", "needs an --rx-buf for the whole frame");
		o->kind |= MERGE;
	}
}

int main(int argc, char **argv)
{
	static struct flow f[2];
	struct options o;

	parse(&o, argc, argv);
	if (o.cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(o.cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set))
			die("--cpu", strerror(errno));
	}
	start(f, &o);
	introduce(f, o.kind & PACKED);
	if (o.latency)
		latency(f, &o);
	else
		load(f, &o);
	front_dev_close(&dev[0]);
	front_dev_close(&dev[1]);
	return 0;
}
