// SPDX-License-Identifier: Apache-2.0
/*
 * Stations, bridges and wires in virtual time, driven by text: the scenarios of sim_test.c and the
 * lots of sim_random_test.c. Wires lose, delay, double and reorder frames, by lot or as told.
 *
 *   station NAME [KEY VALUE]...     bridge NAME [KEY VALUE]...
 *       rr 0|1, gid 0|1, manual 0|1, cap N, retries N, rte N, rwd N, rka N,
 *       dialect auto|ratified|draft,
 *       hold N, sequence N, vsis N (room),
 *       channels N,N... (station, by CDCP), pool LOW-HIGH (bridge), chancap N
 *   link NAME NAME [delay MS] [jitter MS] [loss PERCENT] [twice PERCENT]   connects and goes up
 *   set NAME KEY VALUE...           of EVB and CDCP, at run time; or of the link, by either end
 *   cut NAME, join NAME             the link of NAME goes down, up
 *   mute NAME, unmute NAME          all that NAME sends is lost
 *   drop NAME N lldp|ecp|ack        the next N frames of that kind that NAME sends are lost
 *   kill NAME, stop NAME, start NAME  LLDP says good-bye (stop), or NAME dies without a word (kill)
 *   reborn NAME                     what speaks CDCP dies without a word, and begins anew
 *   pre|prerr|assoc|deassoc NAME VSI VID      the station's client asks for VSI number 1..
 *   manager NAME accept | silent | refuse ERROR [hard] [keep]      plus: vid VID
 *   revoke NAME VSI
 *   plane NAME quick | slow         is reflection programmed at once, or by `plane NAME done`?
 *   run TIME, at TIME               TIME is 5s, 20ms or 10us
 *   count NAME                      forget what was counted, told and sent
 *   expect NAME WHAT VALUE          anything else than VALUE fails the test:
 *       rr on|off|unknown, reflect 0|1, gen ratified|draft, peer 0|1, rte|rwd|rka|retries N,
 *       vsi N none|pre|prerr|assoc|wait, vid N VID, told N LETTERS (SKERTV, see sim.c),
 *       open N 0|1 (bridge: traffic passes), plane N LETTERS, vsis N,
 *       sent KIND N, sent KIND<=N, delivered N (ECPDUs), given_up N, channel N SVID, channels N,
 *       lost N (channels),
 *       last KIND HEX (the last frame of the kind has these octets), gap>=TIME (of ECP requests)
 */
#ifndef EVB_PROTO_SIM_FIXTURE_H
#define EVB_PROTO_SIM_FIXTURE_H

#include "cdcp.h"
#include "evb_link.h"

enum { SIM_NODES = 4, SIM_VSIS = 1024, SIM_FLIGHT = 4096, SIM_LOG = 64 };

enum sim_kind { SIM_LLDP, SIM_CDCP, SIM_ECP, SIM_ACK, SIM_KINDS_N }; /* CDCP: LLDP, other scope */

struct sim;

struct sim_node {
	struct sim *sim;
	char name[8];
	int peer; /* -1: no link */
	bool alive, mute;
	struct evb_link link;
	struct vsi *slots;
	/* The agent of the wire itself: */
	bool has_cdcp;
	struct lldp wire;
	struct cdcp cdcp;
	uint16_t svid[CDCP_SCID_MAX + 1];
	unsigned n_channels, n_lost;
	/* Bridge: */
	struct vdp_decision decision;
	bool silent, plane_slow, reflects;
	uint16_t vid;
	bool open[SIM_VSIS];
	char plane[SIM_VSIS][SIM_LOG];
	/* Station: */
	char told[SIM_VSIS][SIM_LOG];
	/* Sent: */
	unsigned sent[SIM_KINDS_N], drop[SIM_KINDS_N];
	uint8_t last[SIM_KINDS_N][1514];
	size_t last_size[SIM_KINDS_N];
	tstamp last_request, least_gap;
	/* The way out: */
	tstamp delay, jitter;
	unsigned loss, twice;
};

struct sim_frame {
	tstamp at;
	uint64_t order;
	int to;
	size_t size;
	uint8_t octets[1514];
};

struct sim {
	tstamp now;
	uint64_t lots, order;
	unsigned n_nodes, n_flight;
	struct sim_node node[SIM_NODES];
	struct sim_frame flight[SIM_FLIGHT];
};

/* A new world; the old one's memory goes. */
struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *sim);

/* Carry out lines of text; `name` is what a failure is told with. */
void sim_play(struct sim *sim, const char *name, const char *text);

/* Run all machines and wires until then. */
void sim_run(struct sim *sim, tstamp until);

struct sim_node *sim_node(struct sim *sim, const char *name);
uint64_t sim_lot(struct sim *sim);

/* VSI number `x` as it would be asked for. */
struct vdp_assoc sim_vsi(enum vdp_request request, unsigned x, uint16_t vid);

#endif
