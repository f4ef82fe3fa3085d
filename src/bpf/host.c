// SPDX-License-Identifier: Apache-2.0
#include "host.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.skel.h"

/* Of linux/bpf.h since Linux 6.6; Debian 12 has older headers. */
enum { TCX_INGRESS = 46, TCX_EGRESS = 47, TCX_BEFORE = 1 << 3 };

enum { N_HOOKS = 3 };

struct host_bpf {
	struct host_skel *skel;
	enum host_hook hook;
	int link[N_HOOKS]; /* of TCX; -1: none */
	unsigned n_attached;
	struct host_key *key; /* what the map has, sorted */
	unsigned n;
};

/* Where the programs go. */
struct place {
	int ifindex, program;
	bool is_egress;
};

static void places(const struct host_bpf *b, struct place p[N_HOOKS])
{
	const struct host_settings *s = &b->skel->bss->settings;

	p[0] = (struct place){ (int)s->tap, bpf_program__fd(b->skel->progs.evb_host_tap), false };
	p[1] = (struct place){ (int)s->device, bpf_program__fd(b->skel->progs.evb_host_in), false };
	p[2] = (struct place){ (int)s->device, bpf_program__fd(b->skel->progs.evb_host_out), true };
}

/*
 * On ingress before all others, which then see no mark and nothing twice; on egress behind them, so
 * that what the host's own programs forbid is not sent to a guest either.
 */
static int attach_tcx(const struct place *p, int *link)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = p->is_egress ? 0 : TCX_BEFORE);
	int attach = p->is_egress ? TCX_EGRESS : TCX_INGRESS;

	*link = bpf_link_create(p->program, p->ifindex, (enum bpf_attach_type)attach, &opts);
	if (*link >= 0)
		return 0;
	return *link == -EINVAL ? -EOPNOTSUPP : *link; /* what kernels without it say */
}

static enum bpf_tc_attach_point attach_point(const struct place *p)
{
	return p->is_egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}

/* Replaces what an evbd left that was killed together with its guard. */
static int attach_clsact(const struct place *p)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = p->ifindex, .attach_point = attach_point(p));
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = p->program, .flags = BPF_TC_F_REPLACE,
		    .handle = HOST_TC_HANDLE, .priority = HOST_TC_PRIORITY);
	int err = bpf_tc_hook_create(&hook);

	return err && err != -EEXIST ? err : bpf_tc_attach(&hook, &opts);
}

/* Not if another host port has put its own in the place of it. */
static void detach_clsact(const struct place *p)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = p->ifindex, .attach_point = attach_point(p));
	LIBBPF_OPTS(bpf_tc_opts, there, .handle = HOST_TC_HANDLE, .priority = HOST_TC_PRIORITY);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HOST_TC_HANDLE, .priority = HOST_TC_PRIORITY);
	struct bpf_prog_info ours = { 0 };
	__u32 size = sizeof(ours);

	if (bpf_tc_query(&hook, &there) == 0 &&
	    bpf_obj_get_info_by_fd(p->program, &ours, &size) == 0 && there.prog_id == ours.id)
		bpf_tc_detach(&hook, &opts);
}

static int attach(struct host_bpf *b)
{
	struct place p[N_HOOKS];
	int err = 0;

	places(b, p);
	for (unsigned i = 0; i < N_HOOKS && !err; i++) {
		if (b->hook == HOST_TCX)
			err = attach_tcx(&p[i], &b->link[i]);
		else
			err = attach_clsact(&p[i]);
		b->n_attached += !err;
	}
	return err;
}

static int load(struct host_bpf *b, int device, int tap)
{
	b->skel = host_skel__open();
	if (!b->skel)
		return errno ? -errno : -EINVAL;
	b->skel->bss->settings.device = (unsigned)device;
	b->skel->bss->settings.tap = (unsigned)tap;
	return host_skel__load(b->skel);
}

int host_bpf_open(int device, int tap, enum host_hook hook, struct host_bpf **out)
{
	struct host_bpf *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	b->hook = hook;
	for (unsigned i = 0; i < N_HOOKS; i++)
		b->link[i] = -1;
	err = load(b, device, tap);
	if (!err)
		err = attach(b);
	if (err) {
		host_bpf_close(b);
		return err;
	}
	*out = b;
	return 0;
}

enum host_hook host_bpf_hook(const struct host_bpf *b)
{
	return b->hook;
}

void host_bpf_close(struct host_bpf *b)
{
	struct place p[N_HOOKS];

	if (!b)
		return;
	if (b->n_attached && b->hook == HOST_CLSACT) {
		places(b, p);
		for (unsigned i = 0; i < b->n_attached; i++)
			detach_clsact(&p[i]);
	}
	for (unsigned i = 0; i < N_HOOKS; i++) {
		if (b->link[i] >= 0)
			close(b->link[i]);
	}
	host_skel__destroy(b->skel);
	free(b->key);
	free(b);
}

/* ---- what they know ---- */

static int key_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct host_key));
}

static bool is_among(const struct host_key *key, const struct host_key *list, unsigned n)
{
	return n && bsearch(key, list, n, sizeof(*list), key_compare);
}

/* Make the map like the list, touching only what differs. */
static int set_keys(struct host_bpf *b, const struct host_key *key, unsigned n)
{
	int map = bpf_map__fd(b->skel->maps.addresses), err = 0, one;
	const uint8_t yes = 1;

	for (unsigned i = 0; i < b->n; i++) {
		if (!is_among(&b->key[i], key, n))
			bpf_map_delete_elem(map, &b->key[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		if (is_among(&key[i], b->key, b->n))
			continue;
		one = bpf_map_update_elem(map, &key[i], &yes, BPF_ANY);
		err = err ? err : one;
	}
	return err;
}

int host_bpf_set(struct host_bpf *b, const struct host_settings *s, struct host_key *key,
		 unsigned n)
{
	struct host_settings *now = &b->skel->bss->settings, next = *s;
	struct host_key *copy = malloc((n + (size_t)1) * sizeof(*copy));
	int err;

	if (!copy)
		return -ENOMEM;
	if (n) {
		qsort(key, n, sizeof(*key), key_compare);
		memcpy(copy, key, n * sizeof(*key));
	}
	next.device = now->device;
	next.tap = now->tap;
	if (memcmp(now, &next, sizeof(next)) != 0)
		*now = next;
	err = set_keys(b, key, n);
	free(b->key);
	b->key = copy;
	b->n = n;
	return err;
}
