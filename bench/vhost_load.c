// SPDX-License-Identifier: Apache-2.0
/*
 * A light load for switches with vhost-user ports: the guests' side of two ports, in one thread on
 * one CPU, pushes frames from port A to port B as fast as the switch takes them. A frame costs
 * little here, so that the switch is the limit: one descriptor with header and frame, bursts of 64,
 * no allocation, nothing indirect. Ends with one line of JSON.
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
 *   --udp N               frames of N UDP sockets in turn, their checksums left to the switch
 *   --sums                ... or made here, and no offloads negotiated
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

#include "vhost_load.h"

struct options {
	const char *path[2];
	uint8_t mac[2][6];
	uint32_t size, rx_buf, ring, udp;
	bool server, no_mrg, gso, offload, both, huge, latency, spin, sums;
	unsigned kind;
	double seconds;
	int cpu;
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
	if (o->udp && !o->sums)
		h = (struct front_hdr){ .flags = 1, .csum_start = 34, .csum_offset = 6 };
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
	if (o->udp) { /* the sum of the pseudo-header, not complemented */
		sum = 17 + len - 20;
		for (unsigned i = 12; i < 20; i += 2)
			sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
		store_be16(ip + 26, (sum & 0xffff) + (sum >> 16));
	}
	f->udp = o->udp;
	f->sums = o->sums;
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
	if (o->gso || o->offload || (o->udp && !o->sums))
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
	{ "udp", 1, NULL, 'U' },     { "sums", 0, NULL, 'C' },
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
	case 'U':
		o->udp = parse_u32(optarg);
		break;
	case 'C':
		o->sums = true;
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
