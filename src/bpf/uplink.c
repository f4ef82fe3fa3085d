// SPDX-License-Identifier: Apache-2.0
#include "uplink.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <string.h>
#include <xdp/libxdp.h>

#include "uplink.skel.h"

struct uplink_bpf {
	struct uplink_skel *skel;
};

int uplink_bpf_load(struct uplink_bpf **out)
{
	struct uplink_bpf *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->skel = uplink_skel__open_and_load();
	if (!u->skel) {
		int error = errno ? -errno : -EINVAL;

		free(u);
		return error;
	}
	*out = u;
	return 0;
}

void uplink_bpf_free(struct uplink_bpf *u)
{
	if (!u)
		return;
	uplink_skel__destroy(u->skel);
	free(u);
}

/* ---- what others left ---- */

static bool is_ours(const struct xdp_program *prog)
{
	const char *name = prog ? xdp_program__name(prog) : NULL;

	return name && !strcmp(name, UPLINK_PROGRAM);
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
