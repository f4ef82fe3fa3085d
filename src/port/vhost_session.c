// SPDX-License-Identifier: Apache-2.0
/*
 * The connection to a front-end: octets to messages, one table of them, answers. Nothing waits: a
 * message that is there by half is kept, an answer that does not fit the socket ends the connection
 * (who reads no answers wants none). Descriptors that nobody takes are closed, whatever happens.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vhost_internal.h"

enum { MESSAGES_PER_TURN = 16 };

/* ---- what is offered ---- */

static uint64_t features_offered(const struct vhost_user *v)
{
	uint64_t base = VHOST_BIT(VIRTIO_NET_F_MRG_RXBUF) | VHOST_BIT(VIRTIO_NET_F_MTU) |
			VHOST_BIT(VIRTIO_NET_F_CTRL_VQ) | VHOST_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |
			VHOST_BIT(VHOST_F_LOG_ALL) | VHOST_BIT(VIRTIO_F_ANY_LAYOUT) |
			VHOST_BIT(VIRTIO_F_INDIRECT_DESC) | VHOST_BIT(VIRTIO_F_EVENT_IDX) |
			VHOST_BIT(VHOST_F_PROTOCOL_FEATURES) | VHOST_BIT(VIRTIO_F_VERSION_1) |
			VHOST_BIT(VIRTIO_F_RING_PACKED) | VHOST_BIT(VIRTIO_F_IN_ORDER);
	uint64_t offload = VHOST_BIT(VIRTIO_NET_F_CSUM) | VHOST_BIT(VIRTIO_NET_F_GUEST_CSUM) |
			   VHOST_BIT(VIRTIO_NET_F_GSO) | VHOST_BIT(VIRTIO_NET_F_GUEST_TSO4) |
			   VHOST_BIT(VIRTIO_NET_F_GUEST_TSO6) | VHOST_BIT(VIRTIO_NET_F_GUEST_ECN) |
			   VHOST_BIT(VIRTIO_NET_F_HOST_TSO4) | VHOST_BIT(VIRTIO_NET_F_HOST_TSO6) |
			   VHOST_BIT(VIRTIO_NET_F_HOST_ECN) | VHOST_BIT(VIRTIO_NET_F_GUEST_USO4) |
			   VHOST_BIT(VIRTIO_NET_F_GUEST_USO6) | VHOST_BIT(VIRTIO_NET_F_HOST_USO);

	if (v->spec.pairs_max > 1)
		base |= VHOST_BIT(VIRTIO_NET_F_MQ);
	if (v->spec.has_config)
		base |= VHOST_BIT(VIRTIO_NET_F_MAC) | VHOST_BIT(VIRTIO_NET_F_STATUS);
	if (v->spec.settings.offload)
		base |= offload;
	/* A front-end that comes back insists on what its guest has negotiated. */
	return base | v->acked_before;
}

static uint64_t protocol_offered(const struct vhost_user *v)
{
	uint64_t p = VHOST_BIT(VHOST_P_LOG_SHMFD) | VHOST_BIT(VHOST_P_RARP) |
		     VHOST_BIT(VHOST_P_REPLY_ACK) | VHOST_BIT(VHOST_P_NET_MTU) |
		     VHOST_BIT(VHOST_P_INFLIGHT_SHMFD) | VHOST_BIT(VHOST_P_RESET_DEVICE) |
		     VHOST_BIT(VHOST_P_CONFIGURE_MEM_SLOTS) | VHOST_BIT(VHOST_P_STATUS);

	if (v->spec.pairs_max > 1)
		p |= VHOST_BIT(VHOST_P_MQ);
	if (v->spec.has_config)
		p |= VHOST_BIT(VHOST_P_CONFIG);
	return p;
}

/* ---- messages about the device as a whole ---- */

static enum vhost_result answer_u64(struct vhost_message *m, uint64_t value)
{
	m->payload->u64 = value;
	m->size = sizeof(value);
	return VHOST_ANSWER;
}

static enum vhost_result get_features(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	return answer_u64(m, features_offered(v));
}

/* What to do about a feature that is wanted and not there. */
static void refuse_features(struct vhost_user *v, uint64_t extra, struct err *e)
{
	unsigned bit = (unsigned)__builtin_ctzll(extra);
	const char *name = vhost_user_feature_name(bit);

	err_set(e, EOPNOTSUPP, "the VMM insists on feature %s (bit %u), which evbd does not have",
		name ? name : "unknown", bit);
	if (bit == VIRTIO_F_IOMMU_PLATFORM)
		err_hint(e, "leave out iommu_platform=on of -device virtio-net-pci (libvirt: "
			    "<driver iommu='on'/>)");
	else
		err_hint(e,
			 "turn it off for the VM's network device, with QEMU: -device "
			 "virtio-net-pci,%s=off",
			 name ? name : "FEATURE");
	v->refused = *e;
}

static enum vhost_result set_features(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	uint64_t wanted = m->payload->u64, log = VHOST_BIT(VHOST_F_LOG_ALL);
	uint64_t extra = wanted & ~features_offered(v);

	if (extra) {
		vhost_pause(v);
		refuse_features(v, extra, e);
		return VHOST_REFUSED;
	}
	if (v->has_features && (wanted ^ v->features) == log) { /* migration begins or ends */
		v->features = wanted;
		vhost_rings_log(v);
		return VHOST_OK;
	}
	if (v->has_features && wanted == v->features && !v->refused.code)
		return VHOST_OK;
	vhost_pause(v);
	vhost_rings_stop(v); /* where they are and what they are made of depends on them */
	v->features = wanted;
	v->has_features = true;
	v->acked_before = wanted & ~log;
	v->refused = (struct err){ 0 };
	return VHOST_OK;
}

static enum vhost_result get_protocol(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	return answer_u64(m, protocol_offered(v));
}

static enum vhost_result set_protocol(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	v->protocol = m->payload->u64 & protocol_offered(v);
	return VHOST_OK;
}

static enum vhost_result get_queue_num(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	return answer_u64(m, VHOST_QUEUE_NUM);
}

static enum vhost_result get_max_mem_slots(struct vhost_user *v, struct vhost_message *m,
					   struct err *e)
{
	return answer_u64(m, GUEST_REGIONS_MAX);
}

static enum vhost_result ignore(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	return VHOST_OK;
}

static enum vhost_result reset_device(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	vhost_pause(v);
	vhost_rings_reset(v);
	v->status = 0;
	return VHOST_OK;
}

/* QEMU 7.2 sets 0 as it stops a device, before it asks how far the rings have come. */
static enum vhost_result set_status(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	v->status = m->payload->u64;
	if (!v->status) {
		vhost_pause(v);
		vhost_rings_forget(v);
	}
	return VHOST_OK;
}

static enum vhost_result get_status(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	return answer_u64(m, v->status);
}

static enum vhost_result send_rarp(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct mac mac;

	memcpy(mac.b, &m->payload->u64, sizeof(mac.b));
	if (!mac_is_group(mac) && !mac_is_zero(mac))
		v->spec.hooks.announce(v->spec.hooks.aux, mac);
	return VHOST_OK;
}

static enum vhost_result set_mtu(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	if (m->payload->u64 <= v->spec.settings.mtu) {
		v->complaint = (struct err){ 0 };
		return VHOST_OK;
	}
	err_set(e, EMSGSIZE, "the VM is to have an MTU of %llu, and that of the port is %u",
		(unsigned long long)m->payload->u64, v->spec.settings.mtu);
	err_hint(e, "raise that of the port (evb port set NAME mtu N), or lower host_mtu of "
		    "-device virtio-net-pci");
	v->complaint = *e;
	return VHOST_REFUSED;
}

/* VIRTIO 1.2, 5.1.4. What is not known reads as zero. */
static enum vhost_result get_config(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	struct vhost_config *c = &m->payload->config;
	struct vhost_net_config own = { .status = 1, .max_pairs = v->spec.pairs_max };
	uint8_t all[VHOST_CONFIG_MAX] = { 0 };

	if (c->size > VHOST_CONFIG_MAX || c->offset > VHOST_CONFIG_MAX - c->size ||
	    m->size != 12 + c->size) {
		m->size = 0; /* vhost-user.rst: an answer without payload says that it failed */
		return VHOST_ANSWER;
	}
	memcpy(own.mac, v->spec.settings.mac.b, sizeof(own.mac));
	own.mtu = (uint16_t)v->spec.settings.mtu;
	memcpy(all, &own, sizeof(own));
	memcpy(c->octets, all + c->offset, c->size);
	return VHOST_ANSWER;
}

/* A guest may write its MAC there; whose frames it may send is not its business. */
static enum vhost_result set_config(struct vhost_user *v, struct vhost_message *m, struct err *e)
{
	return VHOST_OK;
}

/* ---- the table ---- */

struct request_row {
	vhost_handler *handle; /* NULL: not one of ours */
	uint16_t min, max;     /* octets of payload */
	uint8_t fds;	       /* descriptors at most; more are a breach */
};

#define U64 .min = sizeof(uint64_t), .max = sizeof(uint64_t)
#define STATE .min = sizeof(struct vhost_vring_state), .max = sizeof(struct vhost_vring_state)
#define EXACT(type) .min = sizeof(type), .max = sizeof(type)

static const struct request_row requests[VHOST_REQUESTS_N] = {
	[VHOST_GET_FEATURES] = { .handle = get_features },
	[VHOST_SET_FEATURES] = { .handle = set_features, U64 },
	[VHOST_SET_OWNER] = { .handle = ignore },
	[VHOST_RESET_OWNER] = { .handle = ignore },
	[VHOST_SET_MEM_TABLE] = { .handle = vhost_set_mem_table,
				  .min = 8,
				  .max = sizeof(struct vhost_mem_table),
				  .fds = VHOST_TABLE_MAX },
	[VHOST_SET_LOG_BASE] = { .handle = vhost_set_log_base,
				 EXACT(struct vhost_log_base),
				 .fds = 1 },
	[VHOST_SET_LOG_FD] = { .handle = ignore, .min = 0, .max = sizeof(uint64_t), .fds = 1 },
	[VHOST_SET_VRING_NUM] = { .handle = vhost_set_vring_num, STATE },
	[VHOST_SET_VRING_ADDR] = { .handle = vhost_set_vring_addr, EXACT(struct vhost_vring_addr) },
	[VHOST_SET_VRING_BASE] = { .handle = vhost_set_vring_base, STATE },
	[VHOST_GET_VRING_BASE] = { .handle = vhost_get_vring_base, STATE },
	[VHOST_SET_VRING_KICK] = { .handle = vhost_set_vring_kick, U64, .fds = 1 },
	[VHOST_SET_VRING_CALL] = { .handle = vhost_set_vring_call, U64, .fds = 1 },
	[VHOST_SET_VRING_ERR] = { .handle = vhost_set_vring_err, U64, .fds = 1 },
	[VHOST_GET_PROTOCOL_FEATURES] = { .handle = get_protocol },
	[VHOST_SET_PROTOCOL_FEATURES] = { .handle = set_protocol, U64 },
	[VHOST_GET_QUEUE_NUM] = { .handle = get_queue_num },
	[VHOST_SET_VRING_ENABLE] = { .handle = vhost_set_vring_enable, STATE },
	[VHOST_SEND_RARP] = { .handle = send_rarp, U64 },
	[VHOST_NET_SET_MTU] = { .handle = set_mtu, U64 },
	[VHOST_GET_CONFIG] = { .handle = get_config,
			       .min = 12,
			       .max = sizeof(struct vhost_config) },
	[VHOST_SET_CONFIG] = { .handle = set_config,
			       .min = 12,
			       .max = sizeof(struct vhost_config) },
	[VHOST_GET_INFLIGHT_FD] = { .handle = vhost_get_inflight,
				    .min = 20,
				    .max = sizeof(struct vhost_inflight) },
	[VHOST_SET_INFLIGHT_FD] = { .handle = vhost_set_inflight,
				    .min = 20,
				    .max = sizeof(struct vhost_inflight),
				    .fds = 1 },
	[VHOST_RESET_DEVICE] = { .handle = reset_device },
	[VHOST_GET_MAX_MEM_SLOTS] = { .handle = get_max_mem_slots },
	[VHOST_ADD_MEM_REG] = { .handle = vhost_add_mem_reg,
				EXACT(struct vhost_mem_reg),
				.fds = 1 },
	[VHOST_REM_MEM_REG] = { .handle = vhost_rem_mem_reg,
				EXACT(struct vhost_mem_reg),
				.fds = 1 },
	[VHOST_SET_STATUS] = { .handle = set_status, U64 },
	[VHOST_GET_STATUS] = { .handle = get_status },
};

static const struct request_row *row_of(uint32_t request)
{
	return request < VHOST_REQUESTS_N && requests[request].handle ? &requests[request] : NULL;
}

/* ---- answers ---- */

static bool session_send(struct vhost_session *s, const struct vhost_message *m, struct err *e)
{
	struct vhost_header h = { s->header.request, VHOST_VERSION | VHOST_REPLY, m->size };
	struct iovec iov[2] = { { &h, sizeof(h) }, { m->payload, m->size } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = m->size ? 2 : 1 };
	union {
		char octets[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	ssize_t n;

	if (m->reply_fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &m->reply_fd, sizeof(int));
	}
	n = sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == (ssize_t)(sizeof(h) + m->size))
		return true;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		*e = (struct err){ 0 };
	else
		err_set(e, EPROTO, "the VMM does not read our answers");
	return false;
}

static bool session_answer(struct vhost_user *v, struct vhost_message *m, enum vhost_result result,
			   struct err *e)
{
	struct vhost_session *s = &v->session;

	if (result == VHOST_BREACH)
		return false;
	if (result != VHOST_ANSWER) {
		if (!(s->header.flags & VHOST_NEED_REPLY) ||
		    !(v->protocol & VHOST_BIT(VHOST_P_REPLY_ACK)))
			return true;
		answer_u64(m, result == VHOST_REFUSED);
	}
	return session_send(s, m, e);
}

/* ---- one message ---- */

static void close_fds(struct vhost_session *s)
{
	for (unsigned i = 0; i < s->n_fds; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	s->n_fds = 0;
}

/* A whole message is here. False: the connection is over. */
static bool session_handle(struct vhost_user *v, struct err *e)
{
	struct vhost_session *s = &v->session;
	const struct request_row *row = row_of(s->header.request);
	struct vhost_message m = { .request = s->header.request,
				   .size = s->header.size,
				   .payload = &s->payload,
				   .fds = s->fds,
				   .n_fds = s->n_fds,
				   .reply_fd = -1 };
	enum vhost_result result = VHOST_REFUSED; /* of a request that we do not know */
	bool ok;

	if (row && (m.size < row->min || m.size > row->max || m.n_fds > row->fds)) {
		err_set(e, EPROTO, "the VMM sent request %u with %u octets and %u descriptors",
			m.request, m.size, m.n_fds);
		return false;
	}
	if (row)
		result = row->handle(v, &m, e);
	vhost_settle(v); /* before the answer: that says it is done */
	ok = session_answer(v, &m, result, e);
	if (m.reply_fd >= 0)
		close(m.reply_fd);
	return ok;
}

/* ---- reading ---- */

static bool keep_fd(struct vhost_session *s, const unsigned char *from)
{
	int fd;

	memcpy(&fd, from, sizeof(fd));
	if (s->n_fds < VHOST_FDS_MAX) {
		s->fds[s->n_fds++] = fd;
		return true;
	}
	close(fd);
	return false;
}

/* Keep the descriptors that came along; false if there are too many. */
static bool keep_fds(struct vhost_session *s, struct msghdr *msg)
{
	bool fits = !(msg->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++)
			fits &= keep_fd(s, CMSG_DATA(c) + i * sizeof(int));
	}
	return fits;
}

/* Read what is still missing of the header or of the payload: octets, 0 at the end, -errno. */
static ssize_t session_read(struct vhost_session *s, struct err *e)
{
	bool in_header = s->got < sizeof(s->header);
	struct iovec iov = { (char *)&s->header + s->got, sizeof(s->header) - s->got };
	union {
		char octets[CMSG_SPACE(sizeof(int) * (VHOST_FDS_MAX + 1))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n;

	if (!in_header) {
		uint32_t at = s->got - (uint32_t)sizeof(s->header);

		iov = (struct iovec){ (char *)&s->payload + at, s->header.size - at };
	}
	n = recvmsg(s->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	if (!keep_fds(s, &msg)) {
		err_set(e, EPROTO, "the VMM sent more descriptors than any message needs");
		return -EPROTO;
	}
	s->got += (uint32_t)n;
	return n;
}

static bool header_is_sane(const struct vhost_header *h, struct err *e)
{
	if ((h->flags & VHOST_VERSION_MASK) != VHOST_VERSION || h->flags & VHOST_REPLY)
		err_set(e, EPROTO, "what is connected does not speak vhost-user (version %u)",
			h->flags & VHOST_VERSION_MASK);
	else if (h->size > sizeof(union vhost_payload))
		err_set(e, EPROTO, "what is connected sent a message of %u octets", h->size);
	else
		return true;
	err_hint(e, "look what program it is; a VM needs -netdev vhost-user");
	return false;
}

/* 1: a message was handled, 0: there is none for now, -1: the connection is over. */
static int session_step(struct vhost_user *v, struct err *e)
{
	struct vhost_session *s = &v->session;
	bool ok;

	while (s->got < sizeof(s->header) || s->got < sizeof(s->header) + s->header.size) {
		ssize_t n = session_read(s, e);

		if (n == -EAGAIN || n == -EINTR)
			return 0;
		if (n <= 0) {
			if (n < 0 && n != -ECONNRESET && !e->code)
				err_set(e, (int)-n, "reading from the VMM: %s", strerror((int)-n));
			return -1;
		}
		if (s->got == sizeof(s->header) && !header_is_sane(&s->header, e))
			return -1;
	}
	ok = session_handle(v, e);
	close_fds(s);
	s->got = 0;
	memset(&s->payload, 0, sizeof(s->payload));
	return ok ? 1 : -1;
}

/* ---- connection ---- */

bool vhost_user_is_attached(const struct port *p)
{
	return ((const struct vhost_user *)p)->session.fd >= 0;
}

/* What was saved of packed rings is worth something to the same process only. */
static void check_saved(struct vhost_user *v, int fd)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);

	if (!v->saved)
		return;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	if (peer.pid <= 0 || v->saved->pid != (uint64_t)peer.pid) {
		memset(v->saved->ring, 0, sizeof(v->saved->ring));
		v->acked_before = 0;
	}
	v->saved->pid = (uint64_t)peer.pid;
}

int vhost_user_attach(struct port *p, int fd_take)
{
	struct vhost_user *v = vhost_of(p);
	int flags = fcntl(fd_take, F_GETFL);

	if (v->session.fd >= 0 || flags < 0 || fcntl(fd_take, F_SETFL, flags | O_NONBLOCK) < 0) {
		close(fd_take);
		return v->session.fd >= 0 ? -EBUSY : -EBADF;
	}
	check_saved(v, fd_take);
	v->session.fd = fd_take;
	v->session.got = 0;
	v->session.n_fds = 0;
	v->sessions++;
	return 0;
}

void vhost_user_detach(struct port *p)
{
	struct vhost_user *v = vhost_of(p);

	if (v->session.fd < 0)
		return;
	vhost_pause(v);
	vhost_rings_clear(v);
	vhost_memory_clear(v);
	close_fds(&v->session);
	close(v->session.fd);
	v->session.fd = -1;
	v->features = v->protocol = v->status = 0;
	v->has_features = false;
	v->refused = v->complaint = (struct err){ 0 };
	vhost_settle(v);
}

bool vhost_user_input(struct port *p, struct err *why)
{
	struct vhost_user *v = vhost_of(p);
	int step = 1;

	*why = (struct err){ 0 };
	for (int n = 0; n < MESSAGES_PER_TURN && step > 0; n++) {
		struct err e = { 0 };

		step = session_step(v, &e);
		if (step < 0)
			*why = e;
	}
	if (step >= 0)
		return true;
	vhost_user_detach(p);
	v->spec.hooks.changed(v->spec.hooks.aux);
	return false;
}
