// SPDX-License-Identifier: Apache-2.0
/*
 * The broker: every privileged open goes through here, so that one day a small privileged process
 * can do it and hand over descriptors only. Control thread.
 */
#ifndef EVB_DAEMON_BROKER_H
#define EVB_DAEMON_BROKER_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "port.h"
#include "types.h"
#include "unix_socket.h"
#include "vhost_user.h"

struct guard;
struct host_bpf;

enum { NETNS_SIZE = 108, SOCKET_PATH_SIZE = UNIX_PATH_SIZE };

/* How frames get from a device of the host and to it. */
enum device_driver {
	DRIVER_PACKET,
	DRIVER_XDP,
	DRIVER_AUTO, /* XDP if the device gains by it (bench/README.md), else packet */
};

/* A tap port to open. */
struct broker_tap {
	char dev[IFNAMSIZ];
	char netns[NETNS_SIZE]; /* name in /run/netns, or a path; "" : evbd's own */
	bool is_for_vmm;	/* the guest is a VM that opens the queue */
	uid_t owner;		/* (uid_t)-1: root */
	gid_t group;		/* (gid_t)-1: none */
	bool offload;
	uint32_t mtu;	     /* set on the device; 0: leave */
	struct mac mac;	     /* set on the device if the guest's stack is behind it; zero: leave */
	int host_ifindex;    /* of the device whose host port this is; 0: none's */
	struct guard *guard; /* removes what would stay if evbd were killed; NULL: nobody does */
};

/* A device to use as it is. */
struct broker_netdev {
	const char *dev;
	enum device_driver driver;
	struct guard *guard; /* as of a tap */
};

/* What was opened. `port` and the device belong to the caller until broker_close(). */
struct broker_device {
	struct port *port;
	int ifindex;
	char dev[IFNAMSIZ];
	char netns[NETNS_SIZE];
	bool created;			/* the device is ours: gone when closed */
	uint32_t mtu;			/* of the device */
	struct mac address;		/* of the device */
	struct host_bpf *host;		/* of a host port; else NULL */
	int host_ifindex;		/* the device it is on */
	struct guard *guard;		/* that was told of its programs; NULL: none */
	char why[256];			/* it is not XDP, or what it lacks; "": no matter */
	struct unix_listener *listener; /* of a vhost-user port that waits for VMMs; else NULL */
};

/* 0, or -errno with `e` set; nothing is left behind then. The device is set up. */
int broker_open_tap(const struct broker_tap *t, unsigned n_workers, struct broker_device *out,
		    struct err *e);

/*
 * Likewise, a host port: the tap, and programs on it and on the host's device that lead the host's
 * frames through it.
 */
int broker_open_host(const struct broker_tap *t, unsigned n_workers, struct broker_device *out,
		     struct err *e);

/*
 * Likewise, a packet or XDP port on a device of evbd's own namespace, which must exist and be
 * Ethernet.
 */
int broker_open_netdev(const struct broker_netdev *n, unsigned n_workers, struct broker_device *out,
		       struct err *e);

/* A vhost-user port, with a listening socket if `socket` is not NULL. */
int broker_open_vhost_user(const struct vhost_user_spec *spec, const struct unix_spec *socket,
			   unsigned n_workers, struct broker_device *out, struct err *e);

/*
 * The file in which a vhost-user port keeps the state of packed rings: made if need be, together
 * with its folder in `run_dir`. Descriptor, or -errno with `e` set. `is_new`: was it made?
 */
int broker_open_rings(const char *run_dir, const char *port, bool *is_new, struct err *e);
void broker_remove_rings(const char *run_dir, const char *port);

/* A memory port. */
int broker_open_memory(unsigned n_workers, struct broker_device *out, struct err *e);

/* Free the port, and remove the device or the socket if it was made here. */
void broker_close(struct broker_device *d);

/* True if the network namespace (name or path; "": own) exists. */
bool broker_netns_exists(const char *netns);

/* Set the MTU of an open tap device. 0 or -errno. */
int broker_set_mtu(const struct broker_device *d, uint32_t mtu);

/* Set the switch in the NIC of device `dev` to mode vepa, or veb. 0 or -errno with `e` set. */
int broker_set_hwmode(const char *dev, bool is_vepa, struct err *e);

/* Set its address, for the stack behind it. 0 or -errno. */
int broker_set_mac(const struct broker_device *d, struct mac mac);

#endif
