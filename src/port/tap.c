// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef TUN_F_USO4 /* since Linux 6.2; Debian 12 has older headers */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* ---- frames ---- */

struct tap_port {
	struct port port;
};

static void tap_close(struct port *p)
{
	if (p->fd >= 0)
		close(p->fd);
}

/*
 * One read a frame: the tap has no batched call. The offload header is read straight into the
 * frame's, the octets into a slot of the worker's arena.
 */
static unsigned tap_rx(struct port *p, struct burst *b, unsigned max)
{
	uint32_t octets = 0;
	unsigned n = 0;

	while (n < max && octets < b->octets_max) {
		struct frame *f = &b->frame[n];
		struct iovec to[2] = { { &f->vnet, sizeof(f->vnet) },
				       { burst_slot(b, n), FRAME_SIZE_MAX } };
		ssize_t size = readv(p->fd, to, 2);

		if (size < (ssize_t)sizeof(f->vnet)) {
			if (size < 0 && errno != EAGAIN && errno != EINTR)
				atomic_store_explicit(&p->fault, PORT_FAULT_GONE,
						      memory_order_relaxed);
			break;
		}
		f->size = (uint32_t)(size - (ssize_t)sizeof(f->vnet));
		f->tpid = 0;
		b->iov[n][0] = (struct iovec){ burst_slot(b, n), f->size };
		f->iov = b->iov[n];
		f->n_iov = 1;
		octets += f->size;
		n++;
	}
	b->more = n == max || octets >= b->octets_max;
	return n;
}

static bool tap_tx_one(struct port *p, const struct frame *f)
{
	struct iovec from[TX_IOV_MAX + 1]; /* the offload header takes one */
	struct vnet_hdr h = f->vnet;

	from[0] = (struct iovec){ &h, sizeof(h) };
	memcpy(from + 1, f->iov, f->n_iov * sizeof(*from));
	if (writev(p->fd, from, f->n_iov + 1) >= 0)
		return true;
	/* EIO: the guest has not set its interface up. EBADFD: the device was deleted. */
	p->tx_drop = errno == EIO || errno == EBADFD ? DROP_port_down : DROP_queue_full;
	if (errno == EBADFD)
		atomic_store_explicit(&p->fault, PORT_FAULT_GONE, memory_order_relaxed);
	return false;
}

static uint64_t tap_tx(struct port *p, const struct frame *const *f, unsigned n)
{
	uint64_t taken = 0;

	for (unsigned i = 0; i < n; i++)
		taken |= (uint64_t)tap_tx_one(p, f[i]) << i;
	return taken;
}

static const struct port_ops tap_ops = {
	.kind = "tap",
	.close = tap_close,
	.rx = tap_rx,
	.tx = tap_tx,
};

struct port *tap_port_new(int fd_take, bool offload, unsigned n_workers)
{
	struct tap_port *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	if (!port_init(&t->port, &tap_ops, n_workers)) {
		free(t);
		return NULL;
	}
	t->port.fd = fd_take;
	t->port.offload = offload ? port_kernel_offload() : 0;
	t->port.tx_is_dear = true;
	return &t->port;
}

/* ---- opening ---- */

static int tap_open_error(const struct tap_spec *s, int code, bool existed, struct err *e)
{
	switch (code) {
	case EBUSY:
		err_set(e, code, "%s: another process holds the queue of this tap", s->dev);
		return err_hint(e, "stop that process, or use `guest vm` if it is the VM's VMM");
	case EINVAL:
		err_set(e, code, "%s: %s", s->dev,
			existed ? "the device exists and is no tap that evbd can use" :
				  "not a valid name for a tap");
		return err_hint(e, "choose another device name with `name`");
	case EPERM:
		err_set(e, code, "%s: not allowed to open this tap", s->dev);
		return err_hint(e, "run evbd as root or with CAP_NET_ADMIN");
	case ENOENT:
	case ENODEV:
		err_set(e, code, "/dev/net/tun: the kernel has no tap support here");
		return err_hint(e, "load it with: modprobe tun");
	}
	return err_set(e, code, "%s: cannot open tap: %s", s->dev, strerror(code));
}

/* Attach to `s->dev`, creating it if need be. */
static int tap_attach(const struct tap_spec *s)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	memcpy(ifr.ifr_name, s->dev, IFNAMSIZ);
	if (ioctl(fd, TUNSETIFF, &ifr) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/* Leave a fresh tap to a VMM: it outlives our descriptor, and `owner` may open it. */
static int tap_leave(int fd, const struct tap_spec *s)
{
	if (s->owner != (uid_t)-1 && ioctl(fd, TUNSETOWNER, (unsigned long)s->owner) < 0)
		return -errno;
	if (s->group != (gid_t)-1 && ioctl(fd, TUNSETGROUP, (unsigned long)s->group) < 0)
		return -errno;
	if (ioctl(fd, TUNSETPERSIST, 1UL) < 0)
		return -errno;
	return 0;
}

/* Tell the kernel what the reader of the queue, the relay, takes. */
static int tap_set_offload(int fd, bool offload)
{
	unsigned long basic = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

	if (!offload)
		return ioctl(fd, TUNSETOFFLOAD, 0UL) < 0 ? -errno : 0;
	if (ioctl(fd, TUNSETOFFLOAD, basic | TUN_F_USO4 | TUN_F_USO6) == 0)
		return 0;
	return ioctl(fd, TUNSETOFFLOAD, basic) < 0 ? -errno : 0; /* before Linux 6.2: no USO */
}

int tap_port_set_offload(struct port *p, bool offload)
{
	int err = tap_set_offload(p->fd, offload);

	if (!err)
		p->offload = offload ? port_kernel_offload() : 0;
	return err;
}

int tap_port_only_mark(struct port *p, uint32_t mark)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)(SKF_AD_OFF + SKF_AD_MARK)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mark, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };

	return ioctl(p->fd, TUNATTACHFILTER, &prog) < 0 ? -errno : 0;
}

/* Is the device one end of a tap, and not something else of this name? */
static bool device_is_tap(const char *dev)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { .ifr_data = (void *)&info };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is_tap;

	if (fd < 0)
		return false;
	memcpy(ifr.ifr_name, dev, IFNAMSIZ);
	is_tap = ioctl(fd, SIOCETHTOOL, &ifr) == 0 && strcmp(info.driver, "tun") == 0 &&
		 strcmp(info.bus_info, "tap") == 0;
	close(fd);
	return is_tap;
}

int tap_open(const struct tap_spec *s, struct tap_opened *out, struct err *e)
{
	bool existed = if_nametoindex(s->dev) != 0;
	int fd, sndbuf = 0x7fffffff, header = sizeof(struct vnet_hdr), err;

	if (existed && s->is_for_vmm) { /* the VMM has its queue, or will open it */
		if (!device_is_tap(s->dev))
			return tap_open_error(s, EINVAL, existed, e);
		*out = (struct tap_opened){ .fd = -1 };
		return 0;
	}
	fd = tap_attach(s);
	if (fd < 0)
		return tap_open_error(s, -fd, existed, e);
	if (s->is_for_vmm) {
		err = tap_leave(fd, s);
		close(fd);
		fd = -1;
	} else {
		err = tap_set_offload(fd, s->offload);
		if (!err && (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
			     ioctl(fd, TUNSETSNDBUF, &sndbuf) < 0))
			err = -errno;
	}
	if (err) {
		if (fd >= 0)
			close(fd);
		return err_set(e, -err, "%s: cannot set up tap: %s", s->dev, strerror(-err));
	}
	*out = (struct tap_opened){ .fd = fd, .created = !existed };
	return 0;
}
