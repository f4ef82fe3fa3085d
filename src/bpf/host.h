// SPDX-License-Identifier: Apache-2.0
/*
 * The TC programs of a host port: they lead what the host's stack on a device and the stations of
 * the relay have to say to each other past the wire, through a tap (host.bpf.c has a drawing), and
 * leave everything else alone. Control thread only.
 */
#ifndef EVB_BPF_HOST_H
#define EVB_BPF_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "host_map.h"
#include "types.h"

/* How the programs hang on their devices. */
enum host_hook {
	HOST_TCX,    /* since Linux 6.6: by descriptors, so that they go with the process */
	HOST_CLSACT, /* filters of a clsact qdisc: they stay when evbd is killed */
};

enum { HOST_TC_HANDLE = 1, HOST_TC_PRIORITY = 0xeb }; /* of the filters on the device */

struct host_bpf;

/*
 * Load the programs and attach them to `device` and `tap`. They do nothing before host_bpf_set().
 * 0, or -errno, with nothing left behind: -EOPNOTSUPP if the kernel does not have the hook.
 */
int host_bpf_open(int device, int tap, enum host_hook hook, struct host_bpf **out);
enum host_hook host_bpf_hook(const struct host_bpf *b);
void host_bpf_close(struct host_bpf *b); /* NULL is legal */

/*
 * What is so from now on; `s->device` and `s->tap` stay. The `n` keys are sorted by the call. 0, or
 * -errno: the programs may then know only some of them, and frames for the others go by the wire.
 */
int host_bpf_set(struct host_bpf *b, const struct host_settings *s, struct host_key *key,
		 unsigned n);

#endif
