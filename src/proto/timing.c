// SPDX-License-Identifier: Apache-2.0
#include "timing.h"

tstamp evb_delay(uint8_t exponent)
{
	return 10 * NS_PER_US << (exponent & 31);
}

/* Half as long again as everything takes if each ECPDU both ways needs all of its retries. */
static tstamp with_retries(tstamp what, const struct evb_timing *t)
{
	return (what + (2 * t->transmissions - 1) * t->ack_wait) * 3 / 2;
}

struct evb_timing evb_timing_of(enum evb_generation g, struct evb_values v)
{
	struct evb_timing t;

	if (g == EVB_DRAFT) {
		t = (struct evb_timing){ .ack_wait = 500 * NS_PER_MS,
					 .transmissions = 3,
					 .resource_wait = 2 * NS_PER_S,
					 .response_wait = 3 * NS_PER_S,
					 .keep_alive = 10 * NS_PER_S };
	} else {
		t = (struct evb_timing){ .ack_wait = evb_delay(v.rte),
					 .transmissions = (uint8_t)(1 + v.retries),
					 .resource_wait = evb_delay(v.rwd),
					 .keep_alive = evb_delay(v.rka) };
		t.response_wait = with_retries(t.resource_wait, &t);
	}
	t.keep_alive_timeout = with_retries(t.keep_alive, &t);
	return t;
}

struct evb_values evb_values_default(void)
{
	return (struct evb_values){ .retries = EVB_RETRIES_DEFAULT,
				    .rte = EVB_RTE_DEFAULT,
				    .rwd = EVB_RWD_DEFAULT,
				    .rka = EVB_RKA_DEFAULT };
}

struct evb_timing evb_timing_default(void)
{
	return evb_timing_of(EVB_RATIFIED, evb_values_default());
}
