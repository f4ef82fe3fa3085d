// SPDX-License-Identifier: Apache-2.0
#include "uplink.h"

#include <errno.h>
#include <stdlib.h>

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
