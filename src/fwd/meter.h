// SPDX-License-Identifier: Apache-2.0
/*
 * Meters: token buckets that say whether a frame is within a limit. Pure integer arithmetic, `now`
 * is a parameter; the worker asks (relay/turn, relay/egress). A frame beyond the limit is dropped,
 * not queued: this polices (RFC 2475), and does not shape.
 *
 * Tokens are billionths of a unit (bit or packet), since nanoseconds times units a second makes
 * just that: nothing is ever rounded, so nothing drifts. 128 bits hold them for any clock and rate.
 *
 * A frame passes while there is any token left, and takes all that it costs: the bucket may go
 * into debt, which the next frames wait for. So a GSO frame that costs more than the bucket holds
 * is not stuck for ever, large frames are refused no more often than small ones, and in no time
 * does more pass than burst + rate * time + the last frame.
 */
#ifndef EVB_FWD_METER_H
#define EVB_FWD_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "types.h"

/* What a port can be limited in. Names of fields: rate-in, pps-in, storm-broadcast, ... */
enum meter_id {
	METER_RATE_IN, /* bits a second; "in": from the guest, or from the wire of an uplink */
	METER_PPS_IN,
	METER_BROADCAST, /* packets a second from there, of this sort */
	METER_MULTICAST,
	METER_UNKNOWN,
	METER_RATE_OUT,
	METER_PPS_OUT,
	METERS_N
};

enum {
	METERS_IN = 1 << METER_RATE_IN | 1 << METER_PPS_IN,
	METERS_STORM = 1 << METER_BROADCAST | 1 << METER_MULTICAST | 1 << METER_UNKNOWN,
	METERS_OUT = 1 << METER_RATE_OUT | 1 << METER_PPS_OUT,
	METERS_BITS = 1 << METER_RATE_IN | 1 << METER_RATE_OUT, /* the others count packets */
	/* No limits of the port: there are VSIs at it that have some of their own. */
	METERS_VSI_IN = 1 << METERS_N,
	METERS_VSI_OUT = 2 << METERS_N,

	/*
	 * Default burst: what the rate lets through in a quarter of a second, and at least the
	 * first window of a TCP sender (RFC 6928: ten segments). A TCP sender that lost too much
	 * is silent for 200 ms (Linux' least retransmission timeout), in which the bucket has to
	 * go on filling, or it never gets its rate: with 100 ms it got 0.53 of it.
	 */
	METER_BURST_PER_S = 4,
	METER_BURST_PACKETS_MIN = 10,
	METER_BURST_OCTETS_MIN = METER_BURST_PACKETS_MIN * 1514,
};

/* A limit, in units and units a second; rate 0: none. */
struct meter_limit {
	uint64_t rate, burst;
};

/* A bucket; all zero: never used, that is full. */
struct meter {
	__int128 tokens;
	tstamp last; /* when it was filled */
};

/* The limits of a port or VSI; part of the view. */
struct meter_limits {
	uint32_t set; /* bit n: there is limit n; of a port: METERS_VSI_*, too */
	struct meter_limit of[METERS_N];
};

/* The buckets of a port or VSI, which live as long as it does. */
struct meters {
	struct meter of[METERS_N];
};

enum { METER_UNIT = 1000000000 }; /* tokens of one */

/* What the limit has passed since it was filled last. A clock that goes back fills nothing. */
static inline void meter_fill(struct meter *m, const struct meter_limit *l, tstamp now)
{
	__int128 full = (__int128)l->burst * METER_UNIT;

	if (!m->last)
		m->tokens = full;
	if (now > m->last) {
		m->tokens += (__int128)(now - m->last) * l->rate;
		m->last = now;
	}
	if (m->tokens > full)
		m->tokens = full;
}

/* Fill those buckets of the port that have a limit among `which` (bits); returns these. */
static inline unsigned meters_fill(struct meters *m, const struct meter_limits *l, unsigned which,
				   tstamp now)
{
	which &= l->set;
	for (unsigned left = which; left; left &= left - 1) {
		unsigned id = (unsigned)__builtin_ctz(left);

		meter_fill(&m->of[id], &l->of[id], now);
	}
	return which;
}

/* What octets or packets cost bucket `id`. */
static inline __int128 meter_cost(unsigned id, uint64_t octets, uint64_t packets)
{
	return (__int128)(METERS_BITS >> id & 1 ? octets * 8 : packets) * METER_UNIT;
}

/*
 * Would frames of so many octets in all pass one by one and leave no debt? If so they are charged.
 * If not, that says nothing of each.
 */
static inline bool meters_take_all(struct meters *m, unsigned which, uint64_t octets,
				   uint64_t packets)
{
	for (unsigned left = which; left; left &= left - 1) {
		unsigned id = (unsigned)__builtin_ctz(left);

		if (m->of[id].tokens < meter_cost(id, octets, packets))
			return false;
	}
	for (; which; which &= which - 1) {
		unsigned id = (unsigned)__builtin_ctz(which);

		m->of[id].tokens -= meter_cost(id, octets, packets);
	}
	return true;
}

/* May a frame pass all buckets of `which`? METERS_N if so; else which one refuses. */
static inline enum meter_id meters_ask(const struct meters *m, unsigned which)
{
	for (; which; which &= which - 1) {
		if (m->of[__builtin_ctz(which)].tokens <= 0)
			return (enum meter_id)__builtin_ctz(which);
	}
	return METERS_N;
}

/* Charge a frame of so many octets, or GSO frame of so many packets, to all of `which`. */
static inline void meters_charge(struct meters *m, unsigned which, uint64_t octets,
				 uint32_t packets)
{
	for (; which; which &= which - 1) {
		unsigned id = (unsigned)__builtin_ctz(which);

		m->of[id].tokens -= meter_cost(id, octets, packets);
	}
}

/* The limit `rate` (0: none) with `burst` octets or packets; 0: the default burst. */
static inline struct meter_limit meter_limit_of(enum meter_id id, uint64_t rate, uint64_t burst)
{
	uint64_t scale = METERS_BITS >> id & 1 ? 8 : 1;
	uint64_t least = METERS_BITS >> id & 1 ? METER_BURST_OCTETS_MIN : METER_BURST_PACKETS_MIN;

	burst *= scale;
	if (!burst)
		burst = rate / METER_BURST_PER_S;
	else
		least = 1;
	return (struct meter_limit){ rate, burst > least * scale ? burst : least * scale };
}

#endif
