// SPDX-License-Identifier: Apache-2.0
/*
 * A station and a bridge of 802.1Qbg with 4,000 VSIs, over a wire of 1 ms in virtual time: how long
 * it takes until 1,000 are associated (virtual), and what an hour of keep-alives costs (CPU, for
 * both ends together). No socket, no data plane: what the machines themselves need.
 *
 * usage: evb_link_bench
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "evb_link.h"

enum { VSIS = 4000, FIRST = 1000, FLIGHT = 256 };

#define WIRE_DELAY NS_PER_MS

struct flight {
	tstamp at;
	struct evb_link *to;
	size_t size;
	uint8_t octets[ENVELOPE_FRAME_MAX];
};

/* Frames of a wire whose delay is always the same arrive in the order in which they were sent. */
static struct world {
	struct evb_link station, bridge;
	struct vsi station_slots[VSIS], bridge_slots[VSIS];
	tstamp now;
	struct flight flight[FLIGHT];
	uint64_t n_sent, n_arrived, n_stand, n_failed;
} w;

static void on_send(void *ctx, const uint8_t *frame, size_t size)
{
	struct flight *f = &w.flight[w.n_sent++ % FLIGHT];

	assert(w.n_sent - w.n_arrived < FLIGHT);
	f->at = w.now + WIRE_DELAY;
	f->to = ctx == &w.station ? &w.bridge : &w.station;
	f->size = size;
	memcpy(f->octets, frame, size);
}

static void on_neighbour(void *ctx, enum lldp_event event, const struct lldp_neighbour *n)
{
}

static void on_changed(void *ctx, tstamp now)
{
}

static void on_reflect(void *ctx, tstamp now, bool on)
{
	evb_reflects(&w.bridge.evb, now, on);
}

static void on_ask(void *ctx, tstamp now, struct vdp_ticket ticket, const struct vsi *v)
{
	vdp_bridge_decide(&w.bridge.bridge, now, ticket,
			  &(struct vdp_decision){ .error = VDP_SUCCESS });
}

static bool on_apply(void *ctx, tstamp now, const struct vsi *v, const struct vdp_assoc *stands)
{
	return true;
}

static void on_outcome(void *ctx, tstamp now, enum vdp_outcome outcome, const struct vsi *v,
		       uint8_t status)
{
	if (outcome == VDP_STANDS)
		w.n_stand++;
	else
		w.n_failed++;
}

static void start(struct evb_link *link, enum evb_role role, struct vsi *slots)
{
	struct evb_link_hooks hooks = { on_send, on_neighbour, on_changed, on_reflect,
					on_ask,	 on_apply,     on_outcome, link };
	struct evb_link_config config = { .evb = evb_config_default(role),
					  .lldp = lldp_config_default(),
					  .slots = slots,
					  .n_slots = VSIS };
	uint8_t mac[6] = { 2, [5] = (uint8_t)role };

	config.lldp.self.chassis = lldp_id_of(LLDP_CHASSIS_MAC, mac, sizeof(mac));
	config.lldp.self.port = lldp_id_of(LLDP_PORT_MAC, mac, sizeof(mac));
	evb_link_init(link, &config, &hooks);
	evb_link_up(link, w.now, true);
}

static void associate(unsigned from, unsigned to)
{
	for (unsigned x = from; x < to; x++) {
		uint8_t high = (uint8_t)(x >> 8), low = (uint8_t)x;
		struct vdp_assoc a = { .request = VDP_ASSOCIATE,
				       .id = { .format = VSI_ID_UUID, .octets = { high, low } },
				       .filters = { .format = VDP_FILTER_MAC_VID } };
		struct vdp_filter f = { .mac = { { 2, 1, 0, 0, high, low } }, .vid = 200 };
		bool fits = vdp_filter_add(&a.filters, EVB_RATIFIED, f);

		if (!fits || vdp_station_request(&w.station.station, w.now, &a))
			abort();
	}
}

static void run(tstamp until)
{
	tstamp at;

	for (;;) {
		at = tstamp_earlier(evb_link_deadline(&w.station), evb_link_deadline(&w.bridge));
		if (w.n_arrived != w.n_sent)
			at = tstamp_earlier(at, w.flight[w.n_arrived % FLIGHT].at);
		if (at > until)
			break;
		w.now = at > w.now ? at : w.now;
		while (w.n_arrived != w.n_sent && w.flight[w.n_arrived % FLIGHT].at <= w.now) {
			struct flight *f = &w.flight[w.n_arrived++ % FLIGHT];

			evb_link_received(f->to, w.now, cursor_of(f->octets, f->size));
		}
		evb_link_run(&w.station, w.now);
		evb_link_run(&w.bridge, w.now);
	}
	w.now = until;
}

int main(void)
{
	tstamp began;
	clock_t cpu;

	w.now = NS_PER_S;
	start(&w.station, EVB_STATION, w.station_slots);
	start(&w.bridge, EVB_BRIDGE, w.bridge_slots);
	run(w.now + NS_PER_S);
	began = w.now;
	associate(0, FIRST);
	while (w.n_stand < FIRST)
		run(w.now + NS_PER_MS);
	printf("%d associated in %.0f ms of virtual time\n", FIRST,
	       (double)(w.now - began) / NS_PER_MS);
	associate(FIRST, VSIS);
	run(w.now + 5 * NS_PER_S);
	cpu = clock();
	run(w.now + 3600 * NS_PER_S);
	printf("%d for an hour: %.2f s of CPU for both ends, %llu keep-alives, %llu lost\n", VSIS,
	       (double)(clock() - cpu) / CLOCKS_PER_SEC,
	       (unsigned long long)w.bridge.bridge.stats.keep_alives,
	       (unsigned long long)w.n_failed);
	return w.n_failed || w.n_stand != VSIS;
}
