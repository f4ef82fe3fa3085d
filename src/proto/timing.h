// SPDX-License-Identifier: Apache-2.0
/*
 * How long ECP and VDP wait for what (IEEE 802.1Q-2022 41.5.5, 43.3.7), from the exponents that the
 * two ends agreed upon (evb.h). The drafts have fixed times; those here are lldpad's. Pure.
 */
#ifndef EVB_PROTO_TIMING_H
#define EVB_PROTO_TIMING_H

#include "ecp_pdu.h"
#include "machine.h"

/* Retries and exponents; a duration is 10 us * 2^exponent (D.2.12.6). */
struct evb_values {
	uint8_t retries;
	uint8_t rte, rwd, rka;
};

enum {
	EVB_RETRIES_DEFAULT = 3,
	EVB_RTE_DEFAULT = 14, /* 164 ms */
	EVB_RWD_DEFAULT = 17, /* 1.3 s: libvirt waits 10 s for an association */
	EVB_RKA_DEFAULT = 20, /* 10.5 s */
	EVB_CAP_DEFAULT = 27, /* 22 min: the greatest that bridges are known to have by default */
};

struct evb_timing {
	tstamp ack_wait;	   /* ackTimerInit */
	uint8_t transmissions;	   /* of one ECPDU, at most */
	tstamp resource_wait;	   /* resourceWaitDelay: the bridge has to decide */
	tstamp response_wait;	   /* respWaitDelay: the station has to have a response */
	tstamp keep_alive;	   /* reinitKeepAlive: the station repeats its association */
	tstamp keep_alive_timeout; /* toutKeepAlive: the bridge has to have heard of the VSI */
};

/* 10 us * 2^exponent. */
tstamp evb_delay(uint8_t exponent);

/* Those of a port that has not agreed upon anything. */
struct evb_values evb_values_default(void);
struct evb_timing evb_timing_default(void);

struct evb_timing evb_timing_of(enum evb_generation g, struct evb_values v);

#endif
