// SPDX-License-Identifier: Apache-2.0
/* Ports on devices of the host: by a packet socket, or by AF_XDP. */
#include <errno.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker.h"
#include "guard.h"
#include "netlink.h"
#include "nic.h"
#include "packet.h"
#include "uplink.h"
#include "xdp.h"

static int netdev_find(const char *dev, struct link_info *link, struct err *e)
{
	if (netlink_link_get(dev, link) < 0) {
		err_set(e, ENODEV, "%s: no such network device", dev);
		return err_hint(e, "`ip link` lists the devices there are");
	}
	if (link->type != ARPHRD_ETHER) {
		err_set(e, EPROTONOSUPPORT, "%s: not an Ethernet device", dev);
		return err_hint(e, "guests need a device that carries Ethernet frames");
	}
	return 0;
}

static int open_packet(const struct link_info *link, unsigned n_workers, struct port **out,
		       struct err *e)
{
	int fd = packet_open(link->ifindex, link->name, e);

	if (fd < 0)
		return fd;
	/* `offload` only counts in the view, so that it can change any time. */
	*out = packet_port_new(fd, link->ifindex, true, n_workers);
	if (*out)
		return 0;
	close(fd);
	return err_set(e, ENOMEM, "%s: out of memory", link->name);
}

/*
 * Make the packet port of `out` the rest of an XDP port. If the choice is ours, only zero copy is
 * worth it: from a device in software, frames come with unfinished checksums, in GSO frames of 64
 * KiB, and with tags beside them, which a packet socket hands over and XDP does not.
 */
static int upgrade_to_xdp(const struct link_info *link, const struct broker_netdev *n,
			  unsigned n_workers, struct broker_device *out, struct err *e)
{
	struct guard_item item = { .kind = GUARD_XDP, .ifindex = link->ifindex };
	struct xdp_spec spec = { .ifindex = link->ifindex,
				 .dev = link->name,
				 .mtu = link->mtu,
				 .must_gain = n->driver == DRIVER_AUTO };
	int err;

	if (spec.must_gain && link->kind[0])
		return err_set(e, EOPNOTSUPP, "%s: a %s device has no zero copy", link->name,
			       link->kind);
	/* Beside programs of others it would stay if evbd were killed. */
	if (n->guard && uplink_bpf_is_dispatched(link->ifindex)) {
		err = guard_add(n->guard, &item);
		if (err)
			return err_set(e, -err, "%s: cannot start %s: %s", link->name, GUARD_NAME,
				       strerror(-err));
		out->guard = n->guard;
	}
	err = xdp_port_new(&out->port, &spec, out->port, n_workers, e);
	if (err && out->guard) {
		guard_forget(out->guard, &item);
		out->guard = NULL;
	}
	return err;
}

/* An XDP port that loses tags is told of, unless the device can be told to let them be. */
static void care_for_tags(const struct link_info *link, struct broker_device *out)
{
	struct xdp_info x;

	if (!xdp_port_info(out->port, &x) || x.sees_tags ||
	    (!link->kind[0] && nic_leave_tags(link->name) == 0))
		return;
	snprintf(out->why, sizeof(out->why),
		 "VLAN tags that %s takes out of frames are lost: for trunks, choose driver packet",
		 link->name);
}

int broker_open_netdev(const struct broker_netdev *n, unsigned n_workers, struct broker_device *out,
		       struct err *e)
{
	struct link_info link;
	struct err why = { .code = 0 };
	int err = netdev_find(n->dev, &link, e);

	memset(out, 0, sizeof(*out));
	if (!err)
		err = open_packet(&link, n_workers, &out->port, e);
	if (err)
		return err;
	if (n->driver != DRIVER_PACKET)
		err = upgrade_to_xdp(&link, n, n_workers, out, &why);
	if (err && n->driver == DRIVER_XDP) {
		port_free(out->port);
		*e = why;
		return err;
	}
	if (err)
		memcpy(out->why, why.message, sizeof(out->why));
	care_for_tags(&link, out);
	memcpy(out->dev, link.name, sizeof(out->dev));
	out->ifindex = link.ifindex;
	out->mtu = link.mtu;
	out->address = link.mac;
	return 0;
}
