// SPDX-License-Identifier: Apache-2.0
#include "broker.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard.h"
#include "host.h"
#include "memory.h"
#include "netlink.h"
#include "nic.h"
#include "packet.h"
#include "tap.h"

/* Note on devices that evbd made, so that the successor of a killed evbd knows them as its own. */
#define ALIAS "evbd"

/* ---- network namespaces ---- */

static int netns_open(const char *netns)
{
	char path[NETNS_SIZE + 16];

	snprintf(path, sizeof(path), "%s%s", strchr(netns, '/') ? "" : "/run/netns/", netns);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/*
 * Move the thread to `netns` ("": stay). Returns a descriptor for netns_leave(), -1 if it stayed,
 * or -errno - 1 on failure, with `e` set.
 */
static int netns_enter(const char *netns, struct err *e)
{
	int home, to, err;

	if (!netns[0])
		return -1;
	to = netns_open(netns);
	if (to < 0) {
		err_set(e, errno, "network namespace %s: %s", netns, strerror(errno));
		err_hint(e, "create it with: ip netns add %s", netns);
		return -e->code - 1;
	}
	home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0 || setns(to, CLONE_NEWNET) < 0) {
		err = errno;
		close(to);
		if (home >= 0)
			close(home);
		err_set(e, err, "cannot enter network namespace %s: %s", netns, strerror(err));
		err_hint(e, "run evbd as root, or with CAP_SYS_ADMIN");
		return -err - 1;
	}
	close(to);
	return home;
}

/* Back home. Staying in a foreign namespace would let evbd act on a guest's devices: give up. */
static void netns_leave(int home)
{
	if (home < 0)
		return;
	if (setns(home, CLONE_NEWNET) < 0)
		abort();
	close(home);
}

bool broker_netns_exists(const char *netns)
{
	int fd, home;
	struct err e;

	if (!netns[0])
		return true;
	fd = netns_open(netns);
	if (fd < 0)
		return false;
	close(fd);
	/* A name whose namespace was unmounted may still be there as an empty file. */
	home = netns_enter(netns, &e);
	netns_leave(home);
	return home >= 0;
}

/* ---- taps ---- */

/* Is the device one that an evbd made which can no longer remove it? */
static bool tap_is_orphan(int ifindex)
{
	char alias[LINK_ALIAS_SIZE];

	return netlink_link_get_alias(ifindex, alias) == 0 && strcmp(alias, ALIAS) == 0;
}

static int tap_check(const struct broker_tap *t, bool *is_orphan, struct err *e)
{
	struct link_info link;
	int err = netlink_link_get(t->dev, &link);

	*is_orphan = false;
	if (err == -ENODEV)
		return 0;
	if (err)
		return err_set(e, -err, "%s: cannot look at the device: %s", t->dev,
			       strerror(-err));
	if (strcmp(link.kind, "tun") != 0 || link.type != ARPHRD_ETHER) {
		err_set(e, EEXIST, "%s: a device of that name exists and is no tap", t->dev);
		return err_hint(e, "choose another device name: name NAME");
	}
	*is_orphan = tap_is_orphan(link.ifindex);
	return 0;
}

/* Settings of the device; the first error counts. */
static int tap_configure(const struct broker_tap *t, int ifindex, bool created)
{
	int err = 0;

	if (created)
		err = netlink_link_set_alias(ifindex, ALIAS);
	if (!err && (t->is_for_vmm || t->host_ifindex))
		err = netlink_link_addrgen_none(ifindex);
	if (!err && !t->is_for_vmm && !mac_is_zero(t->mac))
		err = netlink_link_set_mac(ifindex, t->mac);
	if (!err && t->mtu)
		err = netlink_link_set_mtu(ifindex, t->mtu);
	return err ? err : netlink_link_set_up(ifindex);
}

/* The port on an open tap; takes tap->fd also on failure. */
static int tap_make_port(const struct broker_tap *t, const struct tap_opened *tap,
			 unsigned n_workers, struct broker_device *out, struct err *e)
{
	int fd = tap->fd;

	if (t->is_for_vmm) {
		fd = packet_open(out->ifindex, t->dev, e);
		if (fd < 0)
			return fd;
		out->port = packet_port_new(fd, out->ifindex, t->offload, n_workers);
	} else {
		out->port = tap_port_new(fd, t->offload, n_workers);
	}
	if (out->port)
		return 0;
	close(fd);
	return err_set(e, ENOMEM, "%s: out of memory", t->dev);
}

static struct tap_spec tap_spec_of(const struct broker_tap *t)
{
	struct tap_spec spec = { .is_for_vmm = t->is_for_vmm,
				 .owner = t->owner,
				 .group = t->group,
				 .offload = t->offload };

	memcpy(spec.dev, t->dev, sizeof(spec.dev));
	return spec;
}

/*
 * Remove a tap that was left to a VMM a moment ago. One that we found stays, even if it is an
 * orphan: a VM may be using it.
 */
static void tap_unmake(const struct broker_tap *t, const struct tap_opened *tap)
{
	if (tap->created && t->is_for_vmm)
		netlink_link_delete((int)if_nametoindex(t->dev));
}

/* In the tap's namespace: set an open tap up and make a port of it. Takes tap->fd. */
static int tap_finish(const struct broker_tap *t, const struct tap_opened *tap, unsigned n_workers,
		      struct broker_device *out, struct err *e)
{
	struct link_info link = { .ifindex = 0 };
	int err = netlink_link_get(t->dev, &link);

	if (!err)
		err = tap_configure(t, link.ifindex, tap->created);
	if (!err)
		err = netlink_link_get(t->dev, &link);
	if (err) {
		err_set(e, -err, "%s: cannot configure tap: %s", t->dev, strerror(-err));
		if (tap->fd >= 0)
			close(tap->fd);
	} else {
		out->ifindex = link.ifindex;
		err = tap_make_port(t, tap, n_workers, out, e);
	}
	if (err) {
		tap_unmake(t, tap);
		return err;
	}
	out->created |= tap->created;
	out->mtu = link.mtu;
	out->address = link.mac;
	return 0;
}

/* In the tap's namespace: make it there, or take over the one that is there. */
static int tap_open_here(const struct broker_tap *t, struct tap_opened *tap,
			 struct broker_device *out, struct err *e)
{
	struct tap_spec spec = tap_spec_of(t);
	int err = tap_check(t, &out->created, e);

	return err ? err : tap_open(&spec, tap, e);
}

/*
 * At home: make a tap and move it to its namespace. The queue of a tap keeps the namespace alive
 * in which /dev/net/tun was opened; made in there, it would never go when its container does.
 */
static int tap_open_and_move(const struct broker_tap *t, struct tap_opened *tap, struct err *e)
{
	struct tap_spec spec = tap_spec_of(t);
	struct link_info link = { 0 };
	int err, netns;

	snprintf(spec.dev, sizeof(spec.dev), "evb-%d", (int)getpid());
	err = tap_open(&spec, tap, e);
	if (err)
		return err;
	netns = netns_open(t->netns);
	err = netns < 0 ? -errno : netlink_link_get(spec.dev, &link);
	if (!err)
		err = netlink_link_move(link.ifindex, netns, t->dev);
	if (netns >= 0)
		close(netns);
	if (!err)
		return 0;
	close(tap->fd);
	return err_set(e, -err, "%s: cannot move tap to network namespace %s: %s", t->dev, t->netns,
		       strerror(-err));
}

/* Is there a device of the tap's name in its namespace? -errno with `e` set. */
static int tap_exists(const struct broker_tap *t, struct err *e)
{
	struct link_info link;
	int home = netns_enter(t->netns, e), err;

	if (home < -1)
		return home + 1;
	err = netlink_link_get(t->dev, &link);
	netns_leave(home);
	if (err && err != -ENODEV)
		return err_set(e, -err, "%s: cannot look at the device: %s", t->dev,
			       strerror(-err));
	return err == 0;
}

int broker_open_tap(const struct broker_tap *t, unsigned n_workers, struct broker_device *out,
		    struct err *e)
{
	struct tap_opened tap = { .fd = -1 };
	int exists = t->netns[0] ? tap_exists(t, e) : 1, err, home;

	if (exists < 0)
		return exists;
	err = exists ? 0 : tap_open_and_move(t, &tap, e);
	if (err)
		return err;
	home = netns_enter(t->netns, e);
	if (home < -1) {
		if (tap.fd >= 0)
			close(tap.fd);
		return home + 1;
	}
	memset(out, 0, sizeof(*out));
	err = exists ? tap_open_here(t, &tap, out, e) : 0;
	if (!err)
		err = tap_finish(t, &tap, n_workers, out, e);
	netns_leave(home);
	if (err)
		return err;
	memcpy(out->dev, t->dev, sizeof(out->dev));
	memcpy(out->netns, t->netns, sizeof(out->netns));
	return 0;
}

/* ---- the host ---- */

/* The filters of a clsact qdisc on the device. Those on the tap go with it. */
static void each_filter(const struct broker_device *d,
			void (*call)(struct guard *, const struct guard_item *))
{
	struct guard_item item = { .kind = GUARD_TC,
				   .ifindex = d->host_ifindex,
				   .handle = HOST_TC_HANDLE,
				   .priority = HOST_TC_PRIORITY };

	for (int egress = 0; d->guard && egress < 2; egress++) {
		item.attach = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
		call(d->guard, &item);
	}
}

static void tell_guard(struct guard *g, const struct guard_item *item)
{
	guard_add(g, item); /* without it, they stay if evbd is killed, until its successor comes */
}

static int attach_programs(const struct broker_tap *t, struct broker_device *out)
{
	int err = host_bpf_open(t->host_ifindex, out->ifindex, HOST_TCX, &out->host);

	out->host_ifindex = t->host_ifindex;
	if (err != -EOPNOTSUPP)
		return err;
	out->guard = t->guard;
	each_filter(out, tell_guard);
	err = host_bpf_open(t->host_ifindex, out->ifindex, HOST_CLSACT, &out->host);
	if (err)
		each_filter(out, guard_forget);
	return err;
}

int broker_open_host(const struct broker_tap *t, unsigned n_workers, struct broker_device *out,
		     struct err *e)
{
	int err = broker_open_tap(t, n_workers, out, e);

	if (err)
		return err;
	err = tap_port_only_mark(out->port, HOST_MARK);
	if (!err)
		err = attach_programs(t, out);
	if (!err)
		return 0;
	broker_close(out);
	err_set(e, -err, "cannot attach programs to the device of the uplink: %s", strerror(-err));
	return err_hint(e, "it takes a kernel with BPF and CAP_BPF, or CAP_SYS_ADMIN");
}

/* ---- memory ---- */

int broker_open_memory(unsigned n_workers, struct broker_device *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	out->port = memory_port_new(OFFLOAD_ALL, n_workers);
	if (!out->port)
		return err_set(e, ENOMEM, "out of memory");
	return 0;
}

/* ---- vhost-user ---- */

static void rings_path(const char *run_dir, const char *port, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/rings%s%s", run_dir, *port ? "/" : "", port);
}

/* Let the open file have its size. -errno if it is of no use. */
static int size_rings(int fd, bool *is_new)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EEXIST;
	*is_new = st.st_size == 0;
	if (st.st_size == VHOST_USER_STATE_SIZE)
		return 0;
	return ftruncate(fd, 0) < 0 || ftruncate(fd, VHOST_USER_STATE_SIZE) < 0 ? -errno : 0;
}

int broker_open_rings(const char *run_dir, const char *port, bool *is_new, struct err *e)
{
	char path[PATH_MAX];
	int fd, err;

	rings_path(run_dir, "", path);
	mkdir(path, 0700);
	rings_path(run_dir, port, path);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	err = fd < 0 ? -errno : size_rings(fd, is_new);
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return err_set(e, -err, "cannot keep the state of rings in %s: %s", path, strerror(-err));
}

void broker_remove_rings(const char *run_dir, const char *port)
{
	char path[PATH_MAX];

	rings_path(run_dir, port, path);
	unlink(path);
}

int broker_open_vhost_user(const struct vhost_user_spec *spec, const struct unix_spec *socket,
			   unsigned n_workers, struct broker_device *out, struct err *e)
{
	int err;

	memset(out, 0, sizeof(*out));
	out->port = vhost_user_port_new(spec, n_workers);
	if (!out->port)
		return err_set(e, errno, "cannot make the port: %s", strerror(errno));
	if (!socket)
		return 0;
	out->listener = malloc(sizeof(*out->listener));
	err = out->listener ? unix_listen(out->listener, socket, e) :
			      err_set(e, ENOMEM, "out of memory");
	if (!err)
		return 0;
	free(out->listener);
	port_free(out->port);
	return err;
}

/* ---- afterwards ---- */

void broker_close(struct broker_device *d)
{
	struct err e;
	int home;

	/* A tap whose queue we hold goes with the queue; one left to a VMM stays until deleted. */
	host_bpf_close(d->host);
	if (d->host)
		each_filter(d, guard_forget);
	port_free(d->port);
	if (d->guard && !d->host)
		guard_forget(d->guard,
			     &(struct guard_item){ .kind = GUARD_XDP, .ifindex = d->ifindex });
	d->host = NULL;
	d->guard = NULL;
	d->port = NULL;
	if (d->listener)
		unix_unlisten(d->listener);
	free(d->listener);
	d->listener = NULL;
	if (!d->created)
		return;
	home = netns_enter(d->netns, &e);
	if (home < -1)
		return; /* the namespace is gone, and the device with it */
	if (tap_is_orphan(d->ifindex))
		netlink_link_delete(d->ifindex);
	netns_leave(home);
}

int broker_set_mtu(const struct broker_device *d, uint32_t mtu)
{
	struct err e;
	int home = netns_enter(d->netns, &e), err;

	if (home < -1)
		return home + 1;
	err = netlink_link_set_mtu(d->ifindex, mtu);
	netns_leave(home);
	return err;
}

int broker_set_hwmode(const char *dev, bool is_vepa, struct err *e)
{
	struct link_info link;
	struct nic nic;
	int err = netlink_link_get(dev, &link);

	if (err) {
		err_set(e, -err, "%s: there is no such device", dev);
		return err_hint(e, "`evb link show` lists those that ports stand on");
	}
	err = nic_set_hwmode(link.ifindex, is_vepa ? NIC_VEPA : NIC_VEB);
	if (!err)
		return 0;
	nic_get(&link, &nic);
	err_set(e, -err, "%s: its driver%s%s does not set the mode of a switch in the NIC: %s", dev,
		nic.driver[0] ? " " : "", nic.driver, strerror(-err));
	if (err == -EOPNOTSUPP)
		return err_hint(e, "hwmode is for the physical function of a NIC with SR-IOV, and "
				   "some drivers have it only while there are virtual functions");
	return err_hint(e, "`evb link show %s` tells the present mode", dev);
}

int broker_set_mac(const struct broker_device *d, struct mac mac)
{
	struct err e;
	int home = netns_enter(d->netns, &e), err;

	if (home < -1)
		return home + 1;
	err = netlink_link_set_mac(d->ifindex, mac);
	netns_leave(home);
	return err;
}
