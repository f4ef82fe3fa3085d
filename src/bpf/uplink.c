// SPDX-License-Identifier: Apache-2.0
#include "uplink.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "uplink.skel.h"

#ifndef BPF_F_XDP_DEV_BOUND_ONLY /* since Linux 6.3 */
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6)
#endif

struct uplink_bpf {
	struct uplink_skel *skel;
	int link;		    /* descriptor; closing it detaches the program; else -1 */
	struct xdp_program *beside; /* it is one of libxdp's dispatcher; else NULL */
	int ifindex;		    /* where, then */
	int claim;		    /* a socket whose name says that somebody lives; else -1 */
	bool is_native;
	bool sees_tags;
};

/* ---- what others left ---- */

static bool is_ours(const struct xdp_program *prog)
{
	const char *name = prog ? xdp_program__name(prog) : NULL;

	return name && !strncmp(name, UPLINK_PROGRAM, strlen(UPLINK_PROGRAM));
}

/* The only program of the device. Fails if it hangs on a link, whose owner lives. */
static int detach_single(int ifindex, const struct xdp_multiprog *all)
{
	const struct xdp_program *prog = xdp_multiprog__main_prog(all);
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	unsigned mode = xdp_multiprog__attach_mode(all) == XDP_MODE_SKB ? XDP_FLAGS_SKB_MODE :
									  XDP_FLAGS_DRV_MODE;
	int err;

	if (!is_ours(prog))
		return 0;
	opts.old_prog_fd = xdp_program__fd(prog);
	err = bpf_xdp_detach(ifindex, mode | XDP_FLAGS_REPLACE, &opts);
	return err ? err : 1;
}

int uplink_bpf_remove_stale(int ifindex)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *prog = NULL, *next;
	int n = 0, err = 0;

	if (libxdp_get_error(all))
		return libxdp_get_error(all) == -ENOENT ? 0 : (int)libxdp_get_error(all);
	if (xdp_multiprog__is_legacy(all)) {
		n = detach_single(ifindex, all);
	} else {
		for (prog = xdp_multiprog__next_prog(NULL, all); prog && !err; prog = next) {
			next = xdp_multiprog__next_prog(prog, all);
			if (!is_ours(prog))
				continue;
			err = xdp_program__detach(prog, ifindex, XDP_MODE_UNSPEC, 0);
			n = err ? err : n + 1;
		}
	}
	xdp_multiprog__close(all);
	return n;
}

bool uplink_bpf_is_dispatched(int ifindex)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(ifindex);
	bool is_dispatched = !libxdp_get_error(all) && !xdp_multiprog__is_legacy(all);

	if (!libxdp_get_error(all))
		xdp_multiprog__close(all);
	return is_dispatched;
}

/* ---- what is on the device ---- */

/* A program of the dispatcher hangs on no descriptor: only this tells a living owner's. */
static int claim(struct uplink_bpf *u, int ifindex, const char *dev, struct err *e)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX }; /* abstract: of the namespace */
	int size = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "%s.%d", UPLINK_PROGRAM,
			    ifindex);

	u->claim = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (u->claim < 0)
		return err_set(e, errno, "%s: cannot open a socket: %s", dev, strerror(errno));
	if (bind(u->claim, (struct sockaddr *)&name,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size)) == 0)
		return 0;
	err_set(e, EBUSY, "%s: another port has the device already", dev);
	return err_hint(e, "delete that port first; or is another evbd running?");
}

/*
 * The only program of the device, so that there is no room for another. Without bpffs, libxdp takes
 * its own dispatcher for one.
 */
static int refuse_single(const struct xdp_program *prog, const char *dev, struct err *e)
{
	const char *name = prog ? xdp_program__name(prog) : NULL;

	if (is_ours(prog)) {
		err_set(e, EBUSY, "%s: another port has the device already", dev);
		return err_hint(e, "delete that port first; or is another evbd running?");
	}
	if (name && !strcmp(name, "xdp_dispatcher")) {
		err_set(e, EBUSY, "%s: XDP programs are dispatched, and it cannot be told which",
			dev);
		return err_hint(e, "libxdp needs the bpffs where they are pinned: mount -t bpf bpf "
				   "/sys/fs/bpf");
	}
	err_set(e, EBUSY, "%s: XDP program %s (id %u) is attached to the device", dev,
		name && *name ? name : "without a name", prog ? xdp_program__id(prog) : 0);
	return err_hint(e,
			"detach it, with: ip link set %s xdp off, and load it with xdp-loader, "
			"which leaves room for others; or choose driver packet",
			dev);
}

/*
 * Refuse if the device has a program, which cannot be ours, unless it comes by the dispatcher:
 * then `mode` is where that runs; else it is XDP_MODE_UNSPEC.
 */
static int look_for_others(int ifindex, const char *dev, enum xdp_attach_mode *mode, struct err *e)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(ifindex);
	int err = 0;

	*mode = XDP_MODE_UNSPEC;
	if (libxdp_get_error(all))
		return 0; /* none; or it is found out in a moment */
	if (xdp_multiprog__is_legacy(all))
		err = refuse_single(xdp_multiprog__main_prog(all), dev, e);
	else
		*mode = xdp_multiprog__attach_mode(all);
	xdp_multiprog__close(all);
	return err;
}

/* ---- attaching ---- */

static int attach_link(struct uplink_bpf *u, int ifindex, unsigned mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode);

	u->link = bpf_link_create(bpf_program__fd(u->sees_tags ? u->skel->progs.evb_uplink_tag :
								 u->skel->progs.evb_uplink),
				  ifindex, BPF_XDP, &opts);
	u->is_native = mode == XDP_FLAGS_DRV_MODE;
	return u->link < 0 ? u->link : 0;
}

/* Open one of the two programs. What asks the driver for tags belongs to the device. */
static int open_program(struct uplink_bpf *u, int ifindex, bool sees_tags)
{
	uplink_skel__destroy(u->skel);
	u->skel = uplink_skel__open();
	if (!u->skel)
		return -errno;
	u->sees_tags = sees_tags;
	bpf_program__set_autoload(u->skel->progs.evb_uplink_tag, sees_tags);
	bpf_program__set_autoload(u->skel->progs.evb_uplink, !sees_tags);
	if (sees_tags) {
		bpf_program__set_ifindex(u->skel->progs.evb_uplink_tag, (uint32_t)ifindex);
		bpf_program__set_flags(u->skel->progs.evb_uplink_tag, BPF_F_XDP_DEV_BOUND_ONLY);
	}
	return 0;
}

static int load(struct uplink_bpf *u, int ifindex, bool sees_tags)
{
	int err = open_program(u, ifindex, sees_tags);

	return err ? err : uplink_skel__load(u->skel);
}

/*
 * Beside programs of others. Tags cannot be asked for: the dispatcher belongs to no device. It is
 * libxdp that loads the program, since of what kind it is depends on the dispatcher.
 */
static int dispatch(struct uplink_bpf *u, int ifindex, enum xdp_attach_mode mode)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts);
	struct xdp_program *prog;
	int err = open_program(u, ifindex, false);

	if (err)
		return err;
	opts.obj = u->skel->obj;
	opts.prog_name = bpf_program__name(u->skel->progs.evb_uplink);
	prog = xdp_program__create(&opts);
	if (libxdp_get_error(prog))
		return (int)libxdp_get_error(prog);
	err = xdp_program__set_run_prio(prog, UPLINK_PRIORITY);
	if (!err)
		err = xdp_program__set_chain_call_enabled(prog, XDP_PASS, true);
	if (!err)
		err = xdp_program__attach(prog, ifindex, mode, 0);
	if (err) {
		xdp_program__close(prog);
		return err;
	}
	u->beside = prog;
	u->ifindex = ifindex;
	u->is_native = mode != XDP_MODE_SKB;
	return 0;
}

static int attach_beside(struct uplink_bpf *u, int ifindex, const char *dev,
			 enum xdp_attach_mode mode, struct err *e)
{
	int err = dispatch(u, ifindex, mode);

	if (!err)
		return 0;
	err_set(e, -err, "%s: cannot attach beside the XDP programs of others: %s", dev,
		strerror(-err));
	return err_hint(e, "see them with: xdp-loader status %s; or choose driver packet", dev);
}

static int attach(struct uplink_bpf *u, int ifindex, const char *dev, bool native_only,
		  struct err *e)
{
	int err = load(u, ifindex, true);

	if (!err)
		err = attach_link(u, ifindex, XDP_FLAGS_DRV_MODE);
	if (!err)
		return 0;
	err = load(u, ifindex, false);
	if (err) {
		err_set(e, -err, "%s: the kernel refuses the XDP program: %s", dev, strerror(-err));
		return err_hint(e, "it takes CAP_BPF or root, and a kernel with XDP");
	}
	err = attach_link(u, ifindex, XDP_FLAGS_DRV_MODE);
	if (!err)
		return 0;
	if (err == -EBUSY || err == -EEXIST)
		return err_set(e, EBUSY, "%s: another XDP program came first", dev);
	if (!native_only && attach_link(u, ifindex, XDP_FLAGS_SKB_MODE) == 0)
		return 0;
	err_set(e, -err, "%s: cannot attach an XDP program: %s", dev, strerror(-err));
	return err_hint(e, "choose driver packet, which works with every device");
}

int uplink_bpf_attach(struct uplink_bpf **out, int ifindex, const char *dev, bool native_only,
		      struct err *e)
{
	struct uplink_bpf *u = calloc(1, sizeof(*u));
	enum xdp_attach_mode others = XDP_MODE_UNSPEC;
	int err = 0;

	if (!u)
		return err_set(e, ENOMEM, "%s: out of memory", dev);
	u->link = u->claim = -1;
	if (uplink_bpf_is_dispatched(ifindex))
		err = claim(u, ifindex, dev, e);
	if (!err) {
		uplink_bpf_remove_stale(ifindex);
		err = look_for_others(ifindex, dev, &others, e);
	}
	if (!err && native_only && others == XDP_MODE_SKB)
		err = err_set(e, EOPNOTSUPP, "%s: the XDP programs of others run in the stack",
			      dev);
	if (!err)
		err = others == XDP_MODE_UNSPEC ? attach(u, ifindex, dev, native_only, e) :
						  attach_beside(u, ifindex, dev, others, e);
	if (err) {
		uplink_bpf_free(u);
		return err;
	}
	*out = u;
	return 0;
}

void uplink_bpf_free(struct uplink_bpf *u)
{
	if (!u)
		return;
	if (u->link >= 0)
		close(u->link);
	if (u->beside) {
		xdp_program__detach(u->beside, u->ifindex, XDP_MODE_UNSPEC, 0);
		xdp_program__close(u->beside);
	}
	uplink_skel__destroy(u->skel);
	if (u->claim >= 0) /* after the program */
		close(u->claim);
	free(u);
}

/* ---- telling it ---- */

bool uplink_bpf_is_native(const struct uplink_bpf *u)
{
	return u->is_native;
}

bool uplink_bpf_sees_tags(const struct uplink_bpf *u)
{
	return u->sees_tags;
}

int uplink_bpf_set_socket(struct uplink_bpf *u, unsigned queue, int fd)
{
	return bpf_map_update_elem(bpf_map__fd(u->skel->maps.sockets), &queue, &fd, BPF_ANY);
}

int uplink_bpf_own(struct uplink_bpf *u, struct mac mac, bool is_owned)
{
	int map = bpf_map__fd(u->skel->maps.owned);
	struct uplink_mac key = { .zero = { 0 } };
	uint8_t one = 1;

	memcpy(key.b, mac.b, sizeof(key.b));
	return is_owned ? bpf_map_update_elem(map, &key, &one, BPF_ANY) :
			  bpf_map_delete_elem(map, &key);
}

void uplink_bpf_take_all(struct uplink_bpf *u, bool all)
{
	uint32_t key = 0;

	/* By system call: libxdp loads it without sharing its memory with us. */
	u->skel->bss->takes_all = all;
	bpf_map_update_elem(bpf_map__fd(u->skel->maps.bss), &key, u->skel->bss, BPF_ANY);
}
