// SPDX-License-Identifier: Apache-2.0
#include "packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "envelope.h"
#include "host.h"
#include "mac_set.h"

#ifndef PACKET_IGNORE_OUTGOING /* since Linux 4.20 */
#define PACKET_IGNORE_OUTGOING 23
#endif

enum {
	PACKET_BUFFER_SIZE = 8 << 20, /* octets the kernel may queue, each way */
	/* What a frame takes of the send buffer besides its octets: struct sk_buff and padding. */
	PACKET_OVERHEAD = 768,
	PACKET_QUEUE_MIN = 32 << 10, /* no queue is believed to be shorter */
	PACKET_BATCH = 16, /* frames per recvmmsg(): small, so that the octet budget holds */
};

/* Control message that brings the VLAN tag, which the kernel takes out of the octets. */
union packet_control {
	char octets[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct cmsghdr align;
};

struct packet_port {
	struct port port;
	int ifindex;
	bool everything, has_host;
	enum packet_stag stag;
	vid_t svid;
	struct mac_set unicast;	 /* addresses the device listens to */
	uint32_t queue_size_max; /* the send buffer; the queue of the device may be shorter */
	struct mmsghdr rx_msg[PACKET_BATCH], tx_msg[BURST_MAX];
	struct iovec rx_iov[PACKET_BATCH][2];
	struct iovec tx_iov[TX_IOVS_MAX + BURST_MAX]; /* with the offload headers */
	union packet_control rx_control[PACKET_BATCH];
};

static struct packet_port *packet_of(struct port *p)
{
	return (struct packet_port *)p;
}

static void packet_close(struct port *p)
{
	if (p->fd >= 0)
		close(p->fd);
	mac_set_free(&packet_of(p)->unicast);
}

/* ---- receive ---- */

static void packet_tag(struct frame *f, struct msghdr *m)
{
	f->tpid = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
			return;
		f->tci = aux.tp_vlan_tci;
		f->tpid =
			aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q;
		return;
	}
}

/* Receive up to `max` (<= PACKET_BATCH) frames behind the first `at` of the burst. */
static int packet_rx_batch(struct packet_port *k, struct burst *b, unsigned at, unsigned max)
{
	int n;

	for (unsigned i = 0; i < max; i++) {
		struct frame *f = &b->frame[at + i];
		struct msghdr *m = &k->rx_msg[i].msg_hdr;

		k->rx_iov[i][0] = (struct iovec){ &f->vnet, sizeof(f->vnet) };
		k->rx_iov[i][1] = (struct iovec){ burst_slot(b, at + i), FRAME_SIZE_MAX };
		*m = (struct msghdr){ .msg_iov = k->rx_iov[i],
				      .msg_iovlen = 2,
				      .msg_control = &k->rx_control[i],
				      .msg_controllen = sizeof(k->rx_control[i]) };
	}
	n = recvmmsg(k->port.fd, k->rx_msg, max, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		struct frame *f = &b->frame[at + (unsigned)i];
		uint32_t size = k->rx_msg[i].msg_len;

		/* Cut off (BIG TCP): without its offload header it is too long, and dropped so. */
		if (k->rx_msg[i].msg_hdr.msg_flags & MSG_TRUNC)
			memset(&f->vnet, 0, sizeof(f->vnet));
		/* Shorter than the offload header cannot be; were it, the frame is a runt. */
		f->size = size > sizeof(f->vnet) ? size - (uint32_t)sizeof(f->vnet) : 0;
		b->iov[at + (unsigned)i][0] =
			(struct iovec){ burst_slot(b, at + (unsigned)i), f->size };
		f->iov = b->iov[at + (unsigned)i];
		f->n_iov = 1;
		packet_tag(f, &k->rx_msg[i].msg_hdr);
	}
	return n;
}

/* Did recvmmsg() stop for an error, behind which frames may wait? It tells so afterwards only. */
static bool packet_has_error(int fd)
{
	int err = 0;
	socklen_t size = sizeof(err);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) == 0 && err;
}

/*
 * An error other than "nothing there" is that of one frame (an offload the header cannot express)
 * or of the device (ENETDOWN, told once): others may wait behind.
 */
static unsigned packet_rx(struct port *p, struct burst *b, unsigned max)
{
	struct packet_port *k = packet_of(p);
	unsigned n = 0, errors = 0;
	uint32_t octets = 0;

	b->more = true;
	while (n < max && octets < b->octets_max && errors < PACKET_BATCH) {
		unsigned want = max - n < PACKET_BATCH ? max - n : PACKET_BATCH;
		int got = packet_rx_batch(k, b, n, want);

		if (got < 0) {
			b->more = errno != EAGAIN;
			if (!b->more)
				break;
			errors++;
			continue;
		}
		for (int i = 0; i < got; i++)
			octets += b->frame[n + (unsigned)i].size;
		n += (unsigned)got;
		if ((unsigned)got < want) {
			b->more = packet_has_error(p->fd);
			if (!b->more)
				break;
			errors++;
		}
	}
	return n;
}

/* ---- send ---- */

static uint8_t packet_tx_reason(int err)
{
	switch (err) {
	case EMSGSIZE:
		return DROP_mtu;
	case ENETDOWN:
	case ENXIO:
	case ENODEV:
		return DROP_port_down;
	}
	return DROP_queue_full;
}

/* Octets that wait in the send buffer and the queue of the device. */
static uint32_t packet_queued(const struct port *p)
{
	int queued = 0;

	return ioctl(p->fd, SIOCOUTQ, &queued) < 0 || queued < 0 ? 0 : (uint32_t)queued;
}

/* Nobody says how long the device's queue is; what was learnt of it is forgotten slowly. */
static void packet_ask_queue(struct port *p)
{
	uint32_t max = packet_of(p)->queue_size_max;
	struct port_queue *q = &p->queue;

	q->used = packet_queued(p);
	q->per_frame = PACKET_OVERHEAD;
	q->per_octet = 1;
	if (q->used < q->size / 8)
		q->size += q->size / 64;
	if (!q->size || q->size > max)
		q->size = max;
}

/*
 * The queue has refused a frame: so much, and no more, fits it. If hardly anything waits, it was
 * something else, like a filter: that must not make the queue look short to all others.
 */
static void packet_queue_full(struct port *p)
{
	struct port_queue *q = &p->queue;
	uint32_t queued = packet_queued(p);

	if (queued < PACKET_QUEUE_MIN)
		return;
	if (queued < q->size)
		q->size = queued;
	q->used = q->size;
}

static uint64_t packet_tx(struct port *p, const struct frame *const *f, unsigned n)
{
	struct packet_port *k = packet_of(p);
	struct iovec *iov = k->tx_iov;
	uint64_t taken = 0;
	unsigned at = 0;

	for (unsigned i = 0; i < n; i++) {
		/* The kernel only reads through iov_base; frames are const here. */
		iov[0].iov_base = (void *)(uintptr_t)&f[i]->vnet;
		iov[0].iov_len = sizeof(f[i]->vnet);
		memcpy(iov + 1, f[i]->iov, f[i]->n_iov * sizeof(*iov));
		k->tx_msg[i].msg_hdr =
			(struct msghdr){ .msg_iov = iov, .msg_iovlen = f[i]->n_iov + 1u };
		iov += f[i]->n_iov + 1;
	}
	while (at < n) {
		int sent = sendmmsg(p->fd, k->tx_msg + at, n - at, MSG_DONTWAIT);

		if (sent < 0) { /* of the first frame: pass over it */
			p->tx_drop = packet_tx_reason(errno);
			if (errno == EAGAIN || errno == ENOBUFS) /* not what the frame is */
				packet_queue_full(p);
			at++;
			continue;
		}
		for (int i = 0; i < sent; i++)
			taken |= UINT64_C(1) << (at + (unsigned)i);
		at += (unsigned)sent;
	}
	return taken;
}

static const struct port_ops packet_ops = {
	.kind = "packet",
	.close = packet_close,
	.rx = packet_rx,
	.tx = packet_tx,
	.ask_queue = packet_ask_queue,
};

static uint32_t packet_send_buffer(int fd)
{
	int octets = 0;
	socklen_t size = sizeof(octets);

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &octets, &size) < 0 || octets < PACKET_QUEUE_MIN)
		return PACKET_QUEUE_MIN;
	return (uint32_t)octets;
}

struct port *packet_port_new(int fd_take, int ifindex, bool offload, unsigned n_workers)
{
	struct packet_port *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	if (!port_init(&k->port, &packet_ops, n_workers)) {
		free(k);
		return NULL;
	}
	k->port.fd = fd_take;
	k->port.offload = offload ? port_kernel_offload() : 0;
	k->port.tx_is_dear = true;
	k->ifindex = ifindex;
	k->queue_size_max = packet_send_buffer(fd_take);
	return &k->port;
}

/* ---- opening ---- */

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int packet_set_up(int fd, int ifindex)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = ifindex };

	if (set_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1) < 0 ||
	    set_option(fd, SOL_PACKET, PACKET_AUXDATA, 1) < 0 ||
	    set_option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) < 0)
		return -errno;
	/* Buffers: as large as allowed will do. */
	(void)set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, PACKET_BUFFER_SIZE);
	(void)set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, PACKET_BUFFER_SIZE);
	return bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

int packet_open(int ifindex, const char *dev, struct err *e)
{
	/* Protocol 0: nothing is received before the options are set and the device is bound. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd < 0) {
		err_set(e, errno, "%s: cannot open a packet socket: %s", dev, strerror(errno));
		return err_hint(e, "run evbd as root or with CAP_NET_RAW");
	}
	err = packet_set_up(fd, ifindex);
	if (err) {
		close(fd);
		return err_set(e, -err, "%s: cannot attach to the device: %s", dev, strerror(-err));
	}
	return fd;
}

/* ---- what the device listens to ---- */

static int membership(struct packet_port *k, bool join, int type, const struct mac *mac)
{
	struct packet_mreq req = { .mr_ifindex = k->ifindex, .mr_type = (unsigned short)type };

	if (mac) {
		req.mr_alen = sizeof(mac->b);
		memcpy(req.mr_address, mac->b, sizeof(mac->b));
	}
	if (setsockopt(k->port.fd, SOL_PACKET,
		       join ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP, &req,
		       sizeof(req)) < 0)
		return -errno;
	return 0;
}

/*
 * What is not received: the host's own unicast frames, which would only be copied to be dropped,
 * those that evbd itself gives to the host, and those of other S-channels. The kernel takes the
 * outermost tag out of the octets before a packet socket sees the frame.
 */
static int set_filter(struct packet_port *k)
{
	enum { TAG_HAS, TAG_TPID = 2, TAG_TCI = 4, MARK = 7, TAKE = 11, REFUSE };
	const unsigned mark = (unsigned)(SKF_AD_OFF + SKF_AD_MARK);
	const unsigned type = (unsigned)(SKF_AD_OFF + SKF_AD_PKTTYPE);
	const unsigned has_tag = (unsigned)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT);
	const unsigned tpid = (unsigned)(SKF_AD_OFF + SKF_AD_VLAN_TPID);
	const unsigned tci = (unsigned)(SKF_AD_OFF + SKF_AD_VLAN_TAG);
	const bool wants_tag = k->stag == PACKET_STAG_ONE;
/* In line `from`: go on at line `yes` or `no`. */
#define IF(from, value, yes, no)                                                                   \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, (yes) - (from)-1, (no) - (from)-1)
	struct sock_filter code[] = {
		[TAG_HAS] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, has_tag),
		IF(1, 0, wants_tag ? REFUSE : MARK, TAG_TPID),
		[TAG_TPID] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, tpid),
		IF(3, ETH_P_8021AD, wants_tag ? TAG_TCI : REFUSE, wants_tag ? REFUSE : MARK),
		[TAG_TCI] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, tci),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff),
		IF(6, k->svid, MARK, REFUSE),
		[MARK] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, mark),
		IF(8, HOST_MARK, REFUSE, 9),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, type),
		IF(10, PACKET_HOST, k->everything ? TAKE : REFUSE, TAKE),
		[TAKE] = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		[REFUSE] = BPF_STMT(BPF_RET | BPF_K, 0),
	};
	/* To 01-80-C2-00-..., of these EtherTypes. */
	struct sock_filter control[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		IF(1, 0x0180c200, 2, 7),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		IF(3, ETHERTYPE_LLDP, 6, 4),
		IF(4, ETHERTYPE_ECP, 6, 5),
		IF(5, ETHERTYPE_ECP_DRAFT, 6, 7),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
#undef IF
	struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };
	int none = 0;

	switch (k->stag) {
	case PACKET_STAG_ANY:
		if (k->everything && !k->has_host)
			return setsockopt(k->port.fd, SOL_SOCKET, SO_DETACH_FILTER, &none,
					  sizeof(none));
		prog.filter += MARK;
		prog.len -= MARK;
		break;
	case PACKET_STAG_DEAF:
		prog.filter += REFUSE;
		prog.len -= REFUSE;
		break;
	case PACKET_CONTROL:
		prog = (struct sock_fprog){ .len = ARRAY_SIZE(control), .filter = control };
		break;
	case PACKET_STAG_NONE:
	case PACKET_STAG_ONE:
		break;
	}
	return setsockopt(k->port.fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

int packet_port_set_stag(struct port *p, enum packet_stag stag, vid_t svid)
{
	struct packet_port *k = packet_of(p);

	if (k->stag == stag && k->svid == svid)
		return 0;
	k->stag = stag;
	k->svid = svid;
	return set_filter(k) < 0 ? -errno : 0;
}

int packet_port_set_host(struct port *p, bool has_host)
{
	struct packet_port *k = packet_of(p);

	if (k->has_host == has_host)
		return 0;
	if (set_option(p->fd, SOL_SOCKET, SO_MARK, has_host ? HOST_MARK : 0) < 0)
		return -errno;
	k->has_host = has_host;
	return k->unicast.mac && set_filter(k) < 0 ? -errno : 0; /* else later */
}

static int listen_unicast(void *aux, struct mac mac, bool is_in)
{
	return membership(aux, is_in, PACKET_MR_UNICAST, &mac);
}

/* Promiscuous or not; all multicast in any case. */
static int listen_mode(struct packet_port *k, bool everything)
{
	bool is_first = !k->unicast.mac;
	int err = is_first ? membership(k, true, PACKET_MR_ALLMULTI, NULL) : 0;

	if (err || (!is_first && everything == k->everything))
		return err;
	if (everything || !is_first)
		err = membership(k, everything, PACKET_MR_PROMISC, NULL);
	k->everything = everything;
	if (!everything || !is_first || k->has_host || k->stag != PACKET_STAG_ANY)
		set_filter(k);
	return err;
}

int packet_port_listen(struct port *p, const struct mac *mac, unsigned n, bool everything)
{
	struct packet_port *k = packet_of(p);
	int err = listen_mode(k, everything), one;

	one = mac_set_replace(&k->unicast, mac, n, listen_unicast, k);
	return err ? err : one;
}
