// SPDX-License-Identifier: Apache-2.0
/*
 * What the machines of proto/ have in common. A machine is a struct that its owner holds, and
 * functions of four kinds:
 *
 *   NOUN_init(m, config, hooks)   its owner's memory, nothing else is needed
 *   NOUN_EVENT(m, now, ...)       something happened: octets came, a link went down, a command
 *   NOUN_run(m, now)              time has come: does all that is due, and sends what is to be sent
 *   NOUN_deadline(m)              when that will be, or TSTAMP_NEVER; after each of the others, ask
 *
 * It says what it has to say through hooks: frames to send, events, commands for the data plane.
 * None may be NULL. They are called from within a function of the machine, and call none of it but
 * where a header allows it. A machine reads no clock, owns no descriptor, allocates nothing and
 * draws no lots: the same calls give the same octets. One thread at a time.
 */
#ifndef EVB_PROTO_MACHINE_H
#define EVB_PROTO_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "types.h"

#define TSTAMP_NEVER INT64_MAX

static inline tstamp tstamp_earlier(tstamp a, tstamp b)
{
	return a < b ? a : b;
}

/* A frame from Ethernet header to payload, without FCS, which may be shorter than 60 octets. */
typedef void machine_send(void *ctx, const uint8_t *frame, size_t size);

#endif
