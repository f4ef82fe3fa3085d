// SPDX-License-Identifier: Apache-2.0
#include "uplink.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "uplink.skel.h"

#ifndef BPF_F_XDP_DEV_BOUND_ONLY /* since Linux 6.3 */
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6)
#endif

struct uplink_bpf {
	struct uplink_skel *skel;
	int link; /* descriptor; closing it detaches the program */
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

/* ---- attaching ---- */

/* Refuse if the device has a program, which cannot be ours. */
static int refuse_foreign(int ifindex, const char *dev, struct err *e)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(ifindex);
	const struct xdp_program *prog = NULL;
	const char *name;

	if (libxdp_get_error(all))
		return 0; /* none; or it is found out in a moment */
	if (is_ours(xdp_multiprog__main_prog(all))) {
		err_set(e, EBUSY, "%s: another port has the device already", dev);
		err_hint(e, "delete that port first; or is another evbd running?");
		xdp_multiprog__close(all);
		return -e->code;
	}
	prog = xdp_multiprog__is_legacy(all) ? xdp_multiprog__main_prog(all) :
					       xdp_multiprog__next_prog(NULL, all);
	name = prog ? xdp_program__name(prog) : NULL;
	err_set(e, EBUSY, "%s: XDP program %s (id %u) is attached to the device", dev,
		name && *name ? name : "without a name", prog ? xdp_program__id(prog) : 0);
	err_hint(e, "detach it, with: ip link set %s xdp off; or choose driver packet", dev);
	xdp_multiprog__close(all);
	return -e->code;
}

static int attach_link(struct uplink_bpf *u, int ifindex, unsigned mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode);

	u->link = bpf_link_create(bpf_program__fd(u->sees_tags ? u->skel->progs.evb_uplink_tag :
								 u->skel->progs.evb_uplink),
				  ifindex, BPF_XDP, &opts);
	u->is_native = mode == XDP_FLAGS_DRV_MODE;
	return u->link < 0 ? u->link : 0;
}

/* Load one of the two programs. What asks the driver for tags belongs to the device. */
static int load(struct uplink_bpf *u, int ifindex, bool sees_tags)
{
	int err;

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
	err = uplink_skel__load(u->skel);
	return err;
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
	int err;

	if (!u)
		return err_set(e, ENOMEM, "%s: out of memory", dev);
	u->link = -1;
	uplink_bpf_remove_stale(ifindex);
	err = refuse_foreign(ifindex, dev, e);
	if (!err)
		err = attach(u, ifindex, dev, native_only, e);
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
	uplink_skel__destroy(u->skel);
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
	u->skel->bss->takes_all = all;
}
