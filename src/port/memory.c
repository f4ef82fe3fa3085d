// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <stdlib.h>

struct memory_port {
	struct port port;
	const struct frame *feed;
	unsigned n_feed, at;
	memory_sink *sink;
	void *sink_aux;
	uint8_t scratch[FRAME_SIZE_MAX];
};

static struct memory_port *memory_of(struct port *p)
{
	return (struct memory_port *)p;
}

static void memory_close(struct port *p)
{
}

static unsigned memory_rx(struct port *p, struct burst *b, unsigned max)
{
	struct memory_port *m = memory_of(p);
	unsigned n = m->n_feed - m->at;

	if (n > max)
		n = max;
	for (unsigned i = 0; i < n; i++)
		b->frame[i] = m->feed[m->at + i];
	m->at += n;
	b->more = m->at < m->n_feed;
	return n;
}

static bool memory_discard(struct memory_port *m, const struct frame *f)
{
	uint32_t at = 0;

	for (unsigned i = 0; i < f->n_iov; i++) {
		if (f->iov[i].iov_len > sizeof(m->scratch) - at)
			return false;
		memcpy(m->scratch + at, f->iov[i].iov_base, f->iov[i].iov_len);
		at += (uint32_t)f->iov[i].iov_len;
	}
	return true;
}

static uint64_t memory_tx(struct port *p, const struct frame *const *f, unsigned n)
{
	struct memory_port *m = memory_of(p);
	uint64_t taken = 0;

	for (unsigned i = 0; i < n; i++) {
		bool ok = m->sink ? m->sink(m->sink_aux, f[i]) : memory_discard(m, f[i]);

		taken |= (uint64_t)ok << i;
	}
	return taken;
}

static const struct port_ops memory_ops = {
	.kind = "memory",
	.close = memory_close,
	.rx = memory_rx,
	.tx = memory_tx,
};

struct port *memory_port_new(uint8_t offload, unsigned n_workers)
{
	struct memory_port *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	if (!port_init(&m->port, &memory_ops, n_workers)) {
		free(m);
		return NULL;
	}
	m->port.offload = offload;
	return &m->port;
}

void memory_port_feed(struct port *p, const struct frame *f, unsigned n)
{
	struct memory_port *m = memory_of(p);

	m->feed = f;
	m->n_feed = n;
	m->at = 0;
}

unsigned memory_port_left(const struct port *p)
{
	const struct memory_port *m = (const struct memory_port *)p;

	return m->n_feed - m->at;
}

void memory_port_sink(struct port *p, memory_sink *sink, void *aux)
{
	struct memory_port *m = memory_of(p);

	m->sink = sink;
	m->sink_aux = aux;
}
