// SPDX-License-Identifier: Apache-2.0
#include "front_proto.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HEADER = 12 };

int front_fail(struct front_sock *s, int err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->error, sizeof(s->error), format, ap);
	va_end(ap);
	return err;
}

const char *front_request_name(uint32_t request)
{
	switch (request) {
#define X(id, name, reply)                                                                         \
	case id:                                                                                   \
		return #name;
		FRONT_REQUESTS(X)
#undef X
	}
	return "unknown request";
}

uint32_t front_request_id(const char *name)
{
#define X(id, word, reply)                                                                         \
	if (!strcasecmp(name, #word))                                                              \
		return id;
	FRONT_REQUESTS(X)
#undef X
	return 0;
}

bool front_has_reply(const struct front_sock *s, uint32_t request)
{
	if (request == FRONT_SET_LOG_BASE)
		return s->protocol & FRONT_P_LOG_SHMFD;
	switch (request) {
#define X(id, name, reply)                                                                         \
	case id:                                                                                   \
		return reply;
		FRONT_REQUESTS(X)
#undef X
	}
	return false;
}

int front_send(struct front_sock *s, const struct front_msg *m)
{
	const char *octets = (const char *)m + offsetof(struct front_msg, request);

	return front_send_raw(s, octets, HEADER + (size_t)m->size, m->fds, m->n_fds);
}

/* Is this the reply to `request`? Flags must be exactly version 1 and REPLY, as QEMU has it. */
static int check_reply(struct front_sock *s, const struct front_msg *m, uint32_t request)
{
	if (m->request != request)
		return front_fail(s, -EPROTO, "%s was answered as %u", front_request_name(request),
				  m->request);
	if (m->flags != (FRONT_VERSION | FRONT_REPLY))
		return front_fail(s, -EPROTO, "%s was answered with flags 0x%x, not 0x5",
				  front_request_name(request), m->flags);
	return 0;
}

int front_call(struct front_sock *s, struct front_msg *m)
{
	uint32_t request = m->request;
	bool reply = front_has_reply(s, request);
	bool ack = !reply && s->ask_reply && (s->protocol & FRONT_P_REPLY_ACK);
	int err;

	m->flags = FRONT_VERSION | (ack ? FRONT_NEED_REPLY : 0);
	err = front_send(s, m);
	m->n_fds = 0;
	if (err || !(reply || ack))
		return err;
	err = front_recv(s, m);
	if (err)
		return err;
	err = check_reply(s, m, request);
	if (!err && ack && m->size != 8)
		err = front_fail(s, -EPROTO, "acknowledgement of %s has %u octets, not 8",
				 front_request_name(request), m->size);
	if (!err && ack && m->u.u64)
		err = front_fail(s, -EREMOTEIO, "%s was refused", front_request_name(request));
	if (err)
		front_msg_close_fds(m);
	return err;
}

int front_get_u64(struct front_sock *s, enum front_request request, uint64_t *value)
{
	struct front_msg m = { .request = request };
	int err = front_call(s, &m);

	if (err)
		return err;
	front_msg_close_fds(&m);
	if (m.size != 8)
		return front_fail(s, -EPROTO, "reply to %s has %u octets, not 8",
				  front_request_name(request), m.size);
	*value = m.u.u64;
	return 0;
}

int front_set_u64(struct front_sock *s, enum front_request request, uint64_t value)
{
	struct front_msg m = { .request = request, .size = 8, .u.u64 = value };
	int err = front_call(s, &m);

	if (!err && request == FRONT_SET_PROTOCOL_FEATURES)
		s->protocol = value;
	return err;
}

int front_set_empty(struct front_sock *s, enum front_request request)
{
	struct front_msg m = { .request = request };

	return front_call(s, &m);
}

int front_set_vring(struct front_sock *s, enum front_request request, uint32_t idx, uint32_t num)
{
	struct front_msg m = { .request = request, .size = 8, .u.state = { idx, num } };

	return front_call(s, &m);
}

int front_get_base(struct front_sock *s, uint32_t idx, uint32_t *base)
{
	struct front_msg m = { .request = FRONT_GET_VRING_BASE, .size = 8, .u.state = { idx, 0 } };
	int err = front_call(s, &m);

	if (err)
		return err;
	front_msg_close_fds(&m);
	if (m.size != 8 || m.u.state.idx != idx)
		return front_fail(s, -EPROTO, "GET_VRING_BASE of ring %u: %u octets, ring %u", idx,
				  m.size, m.u.state.idx);
	*base = m.u.state.num;
	return 0;
}

int front_set_addr(struct front_sock *s, const struct front_vring_addr *addr)
{
	struct front_msg m = { .request = FRONT_SET_VRING_ADDR, .size = 40, .u.addr = *addr };

	return front_call(s, &m);
}

int front_set_fd(struct front_sock *s, enum front_request request, uint32_t idx, int fd)
{
	struct front_msg m = { .request = request, .size = 8, .u.u64 = idx };

	if (fd < 0)
		m.u.u64 |= FRONT_NO_FD;
	else
		m.fds[m.n_fds++] = fd;
	return front_call(s, &m);
}

int front_send_fd(struct front_sock *s, enum front_request request, int fd)
{
	struct front_msg m = { .request = request, .n_fds = 1, .fds = { fd } };

	return front_call(s, &m);
}

static struct front_mem_range range_of(const struct front_region *r)
{
	return (struct front_mem_range){ r->gpa, r->size, r->uva, r->offset };
}

int front_set_mem_table(struct front_sock *s, const struct front_mem *mem)
{
	struct front_msg m = { .request = FRONT_SET_MEM_TABLE, .u.table.n = mem->n_regions };

	m.size = 8 + mem->n_regions * sizeof(struct front_mem_range);
	for (unsigned i = 0; i < mem->n_regions; i++) {
		m.u.table.range[i] = range_of(&mem->region[i]);
		m.fds[m.n_fds++] = mem->region[i].fd;
	}
	return front_call(s, &m);
}

int front_add_region(struct front_sock *s, const struct front_region *r)
{
	struct front_msg m = { .request = FRONT_ADD_MEM_REG, .size = 40, .n_fds = 1 };

	m.u.slot.range = range_of(r);
	m.fds[0] = r->fd;
	return front_call(s, &m);
}

int front_remove_region(struct front_sock *s, const struct front_region *r)
{
	struct front_msg m = { .request = FRONT_REM_MEM_REG, .size = 40 };

	m.u.slot.range = range_of(r);
	m.u.slot.range.offset = 0; /* as QEMU has it */
	return front_call(s, &m);
}

int front_set_log_base(struct front_sock *s, uint64_t size, uint64_t offset, int fd)
{
	struct front_msg m = { .request = FRONT_SET_LOG_BASE, .size = 16, .n_fds = 1 };
	int err;

	m.u.log.size = size;
	m.u.log.offset = offset;
	m.fds[0] = fd;
	err = front_call(s, &m);
	if (!err)
		front_msg_close_fds(&m);
	return err;
}

int front_get_config(struct front_sock *s, uint32_t offset, uint32_t size, uint8_t *octets)
{
	struct front_msg m = { .request = FRONT_GET_CONFIG, .size = 12 + size };
	int err;

	if (size > sizeof(m.u.config.octets))
		return front_fail(s, -EINVAL, "a config space has at most 256 octets");
	m.u.config.offset = offset;
	m.u.config.size = size;
	err = front_call(s, &m);
	if (err)
		return err;
	front_msg_close_fds(&m);
	if (m.size != 12 + size || m.u.config.size != size)
		return front_fail(s, -EPROTO, "GET_CONFIG of %u octets was answered with %u", size,
				  m.size);
	memcpy(octets, m.u.config.octets, size);
	return 0;
}

int front_get_inflight(struct front_sock *s, uint16_t n_queues, uint16_t queue_size,
		       struct front_mem_range *range, int *fd)
{
	struct front_msg m = { .request = FRONT_GET_INFLIGHT_FD, .size = 20 };
	int err;

	m.u.inflight.n_queues = n_queues;
	m.u.inflight.queue_size = queue_size;
	err = front_call(s, &m);
	if (err)
		return err;
	if (m.size != 20 || m.n_fds != 1) {
		front_msg_close_fds(&m);
		return front_fail(s, -EPROTO, "GET_INFLIGHT_FD was answered with %u octets, %u fds",
				  m.size, m.n_fds);
	}
	*range = (struct front_mem_range){ .size = m.u.inflight.size,
					   .offset = m.u.inflight.offset };
	*fd = m.fds[0];
	return 0;
}
