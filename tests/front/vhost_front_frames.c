// SPDX-License-Identifier: Apache-2.0
/* Commands of vhost_front about frames and rings. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vhost_front.h"

static int pair_of(struct shell *s, unsigned *pair)
{
	*pair = (unsigned)shell_number(s, "pair", 0);
	if (!s->dev.pair)
		return shell_fail(s, "there are no rings yet; use setup");
	return *pair < s->dev.c.n_pairs ? 0 : shell_fail(s, "there is no pair %u", *pair);
}

static void header_of(const struct shell *s, struct front_hdr *h)
{
	const char *gso = shell_value(s, "gso");

	h->flags = (uint8_t)shell_number(s, "flags", shell_value(s, "csum_start") ? 1 : 0);
	h->gso_type = !gso		   ? 0 :
		      !strcmp(gso, "tcp4") ? 1 :
		      !strcmp(gso, "udp")  ? 3 :
		      !strcmp(gso, "tcp6") ? 4 :
					     (uint8_t)strtoul(gso, NULL, 0);
	h->gso_size = (uint16_t)shell_number(s, "gso_size", 0);
	h->hdr_len = (uint16_t)shell_number(s, "hdr_len", 0);
	h->csum_start = (uint16_t)shell_number(s, "csum_start", 0);
	h->csum_offset = (uint16_t)shell_number(s, "csum_offset", 0);
}

static int run_send(struct shell *s)
{
	int n = shell_octets(shell_plain(s, 0), s->frame, sizeof(s->frame)), err = 0;
	int timeout_ms = (int)shell_number(s, "timeout_ms", 2000);
	uint64_t count = shell_number(s, "count", 1), pad = shell_number(s, "pad", 0);
	struct front_layout layout = { 0 };
	struct front_tx tx = { .data = s->frame, .layout = &layout };
	unsigned pair;

	if (pair_of(s, &pair))
		return -EINVAL;
	if (n < 0 || pad > sizeof(s->frame))
		return shell_fail(s, "usage: send HEX");
	if (!shell_layout(s, &layout, shell_value(s, "layout"), shell_value(s, "indirect")))
		return shell_fail(s, "layout: octets with commas between, '*' to go on so");
	layout.straddle = shell_value(s, "straddle");
	layout.seam = (unsigned)shell_number(s, "straddle", 0);
	header_of(s, &tx.hdr);
	for (; (uint64_t)n < pad; n++)
		s->frame[n] = (uint8_t)n;
	tx.size = (uint32_t)n;
	for (uint64_t i = 0; !err && i < count; i++)
		err = front_dev_queue(&s->dev, pair, &tx, timeout_ms);
	if (!shell_number(s, "hold", 0))
		front_dev_flush(&s->dev, pair);
	return shell_dev(s, err);
}

static int run_flush(struct shell *s)
{
	unsigned pair;

	if (pair_of(s, &pair))
		return -EINVAL;
	front_dev_flush(&s->dev, pair);
	return 0;
}

static int run_drain(struct shell *s)
{
	unsigned pair;

	if (pair_of(s, &pair))
		return -EINVAL;
	return shell_dev(s,
			 front_dev_drain(&s->dev, pair, (int)shell_number(s, "timeout_ms", 2000)));
}

static int run_refill(struct shell *s)
{
	unsigned pair;

	return pair_of(s, &pair) ? -EINVAL : shell_dev(s, front_dev_refill(&s->dev, pair));
}

static void tell_frame(struct shell *s, const struct front_frame *f)
{
	fprintf(s->out, "{\"hex\":\"");
	shell_hex(s->out, f->data, f->size);
	fprintf(s->out,
		"\",\"size\":%u,\"buffers\":%u,\"hdr\":{\"flags\":%u,\"gso_type\":%u,"
		"\"hdr_len\":%u,\"gso_size\":%u,\"csum_start\":%u,\"csum_offset\":%u,"
		"\"num_buffers\":%u}}",
		f->size, f->n_buffers, f->hdr.flags, f->hdr.gso_type, f->hdr.hdr_len,
		f->hdr.gso_size, f->hdr.csum_start, f->hdr.csum_offset, f->hdr.num_buffers);
}

/* The first frame may take timeout_ms, the others must be there or follow within 20 ms. */
static int run_recv(struct shell *s)
{
	struct front_frame f = { .data = s->frame, .room = sizeof(s->frame) };
	uint64_t max = shell_number(s, "max", 1000), n = 0;
	int timeout = (int)shell_number(s, "timeout_ms", 1000), got = 0;
	unsigned pair;

	if (pair_of(s, &pair))
		return -EINVAL;
	fprintf(s->out, ",\"frames\":[");
	while (n < max) {
		if (shell_number(s, "refill", 1))
			got = front_dev_recv(&s->dev, pair, &f, timeout);
		else
			got = front_dev_recv_keep(&s->dev, pair, &f);
		if (got <= 0)
			break;
		if (n++)
			putc(',', s->out);
		tell_frame(s, &f);
		timeout = timeout > 20 ? 20 : timeout;
	}
	fprintf(s->out, "],\"n\":%" PRIu64, n);
	return shell_dev(s, got);
}

static int run_expect(struct shell *s)
{
	static uint8_t wanted[FRAME_MAX];
	struct front_frame f = { .data = s->frame, .room = sizeof(s->frame) };
	const char *hex = shell_plain(s, 0);
	bool none = hex && !strcmp(hex, "none");
	int n = none ? 0 : shell_octets(hex, wanted, sizeof(wanted)), got;
	unsigned pair;

	if (pair_of(s, &pair))
		return -EINVAL;
	if (!hex || n < 0)
		return shell_fail(s, "usage: expect HEX|none");
	got = front_dev_recv(&s->dev, pair, &f,
			     (int)shell_number(s, "timeout_ms", none ? 100 : 1000));
	if (got < 0)
		return shell_dev(s, got);
	if (!got)
		return none ? 0 : shell_fail(s, "no frame came");
	if (none)
		return shell_fail(s, "a frame of %u octets came", f.size);
	if (f.size < (unsigned)n || memcmp(f.data, wanted, (size_t)n) != 0)
		return shell_fail(s, "another frame came, of %u octets", f.size);
	fprintf(s->out, ",\"frame\":");
	tell_frame(s, &f);
	return 0;
}

static int run_ring(struct shell *s)
{
	const char *word = shell_plain(s, 0);
	struct front_ring *r = word ? front_dev_ring(&s->dev, (unsigned)atoi(word)) : NULL;

	if (!r)
		return shell_fail(s, "usage: ring RING");
	front_ring_calls(r);
	fprintf(s->out,
		",\"size\":%u,\"packed\":%s,\"desc\":%" PRIu64 ",\"driver\":%" PRIu64
		",\"device\":%" PRIu64,
		r->c.size, r->c.packed ? "true" : "false", r->gpa_desc, r->gpa_driver,
		r->gpa_device);
	fprintf(s->out,
		",\"avail\":%u,\"used\":%u,\"out\":%u,\"kicks\":%" PRIu64 ",\"calls\":%" PRIu64
		",\"out_of_order\":%" PRIu64,
		r->avail_idx, r->used_idx, r->n_out, r->n_kicks, r->n_calls, r->n_out_of_order);
	if (r->c.packed)
		fprintf(s->out, ",\"event\":%u,\"event_flags\":%u", r->device->position,
			r->device->flags);
	else
		fprintf(s->out, ",\"device_used\":%u,\"flags\":%u,\"avail_event\":%u",
			*front_used_idx(r), r->used[0], *front_avail_event(r));
	if (front_ring_audit(r)) {
		fprintf(s->out, ",\"audit\":");
		shell_text(s->out, r->error);
	}
	return 0;
}

static int run_stats(struct shell *s)
{
	struct front_dev *d = &s->dev;

	fprintf(s->out, ",\"pairs\":[");
	for (unsigned i = 0; d->pair && i < d->c.n_pairs; i++) {
		struct front_pair *p = &d->pair[i];

		front_ring_calls(&p->rx);
		front_ring_calls(&p->tx);
		fprintf(s->out, "%s{\"rx_frames\":%" PRIu64 ",\"tx_frames\":%" PRIu64, i ? "," : "",
			p->rx_frames, p->tx_frames);
		fprintf(s->out, ",\"rx_octets\":%" PRIu64 ",\"tx_octets\":%" PRIu64, p->rx_octets,
			p->tx_octets);
		fprintf(s->out, ",\"rx_kicks\":%" PRIu64 ",\"tx_kicks\":%" PRIu64, p->rx.n_kicks,
			p->tx.n_kicks);
		fprintf(s->out, ",\"rx_calls\":%" PRIu64 ",\"tx_calls\":%" PRIu64 "}",
			p->rx.n_calls, p->tx.n_calls);
	}
	fprintf(s->out,
		"],\"messages\":%" PRIu64 ",\"lost_calls\":%" PRIu64
		",\"bad_num_buffers\":%" PRIu64,
		d->sock.n_sent, d->n_lost_calls, d->n_num_buffers);
	return 0;
}

const struct command frame_commands[] = {
	{ "send", run_send },	  { "flush", run_flush }, { "drain", run_drain },
	{ "refill", run_refill }, { "recv", run_recv },	  { "expect", run_expect },
	{ "ring", run_ring },	  { "stats", run_stats }, { NULL, NULL },
};
