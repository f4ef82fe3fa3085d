// SPDX-License-Identifier: Apache-2.0
/*
 * For the tests of turn.c and egress.c only: a bridge made of a few lines, memory ports that keep
 * copies of what they were sent, and after every turn the conservation law (what came in, and the
 * copies made of it, was delivered or counted as dropped). No threads, no clock.
 */
#ifndef EVB_RELAY_TURN_FIXTURE_H
#define EVB_RELAY_TURN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drop.h"
#include "eth.h"
#include "frame.h"
#include "memory.h"
#include "port.h"
#include "turn.h"
#include "types.h"
#include "view.h"

enum {
	FX_BRIDGES = 4,
	FX_TAGS = 3,
	FX_SLOT_SIZE = FRAME_SIZE_MAX + 256,
	FX_UNKNOWN = 0xffff,
};

/* A copy of a frame that a port was sent. */
struct fx_delivery {
	port_id port;
	uint16_t from; /* index of the frame it is made of among those sent in this run */
	uint16_t n_iov;
	uint16_t tpid; /* beside the octets, which must not be */
	struct vnet_hdr vnet;
	uint32_t size;
	uint8_t *octets;
};

struct fixture;

struct fx_sink {
	struct fixture *f;
	port_id port;
};

struct fx_tag {
	uint16_t tpid, tci;
};

struct fixture {
	struct turn *turn;
	struct fwd_view *view;
	uint64_t generation;
	tstamp now;

	/* what fx_build() makes the view of; tests change it in between */
	uint32_t n_ports, n_bridges, n_owners, n_listed, n_groups, n_any;
	struct view_port port[PORTS_MAX];
	struct mac peer[PORTS_MAX];
	struct meter_limits limit[PORTS_MAX];
	bool has_limits;
	bool is_learning[FX_BRIDGES], snoops[FX_BRIDGES];
	port_id host[FX_BRIDGES]; /* fx_bridge() says: none */
	struct owner owner[MACS_MAX + 1], listed[1024], group[64], any[16];
	uint32_t n_vsis;
	struct view_vsi vsi[64];
	port_id vsi_port[64];

	/* frames that wait to be sent */
	uint8_t *arena;
	uint32_t n_frames;
	struct frame frame[BURST_MAX];
	struct iovec iov[BURST_MAX][FRAME_IOV_MAX];

	/* what came of the last fx_run() */
	struct fx_delivery *got;
	uint32_t n_got, max_got;
	uint64_t drops[DROP_REASONS_N]; /* of all ports, in this run */
	uint64_t drops_before[DROP_REASONS_N];

	struct fx_sink sink[PORTS_MAX];
	uint32_t
		room[PORTS_MAX]; /* the sink takes room - 1 frames, then says: queue full; 0: all */
};

struct fixture *fx_new(void);
void fx_free(struct fixture *f);

/* ---- the bridge ---- */

bridge_id fx_bridge(struct fixture *f, bool is_learning);

/* Ports, up, VLAN 1 untagged, MTU 1500, guard on; to be amended before fx_build(). */
struct view_port *fx_station(struct fixture *f, port_id id, enum fwd_mode mode);
struct view_port *fx_uplink(struct fixture *f, port_id id);
struct view_port *fx_relay_port(struct fixture *f, port_id id);

void fx_offload(struct fixture *f, port_id id, uint8_t offload);
void fx_owner(struct fixture *f, port_id id, unsigned mac, vid_t vid);
void fx_listed(struct fixture *f, port_id id, unsigned mac);
void fx_group(struct fixture *f, port_id id, vid_t vid, struct mac key); /* fwd/groups.h */

/* The port comes under VDP control; in `vid`, unless that is VID_NONE, every address passes. */
void fx_vdp(struct fixture *f, port_id id, vid_t vid);

/* A limit of the port; `burst` in octets or packets, 0: default; `rate` 0: none. */
void fx_limit(struct fixture *f, port_id id, enum meter_id meter, uint64_t rate, uint64_t burst);

/* A VSI at the port, which the entries that are named are of; returns its owner_vsi(). */
unsigned fx_vsi(struct fixture *f, port_id id);
void fx_vsi_owns(struct owner *o, unsigned vsi);
void fx_vsi_limit(struct fixture *f, unsigned vsi, enum meter_id meter, uint64_t rate,
		  uint64_t burst);

/* The view of what the fixture says now; the next turns use it. */
void fx_build(struct fixture *f);

/* ---- frames ---- */

/*
 * 02:00:00:00:00:01 for 1; 0: zero; FX_GROUP + n: 01:00:5e:00:00:0n; RESERVED + n; BROADCAST;
 * FX_STREAM + n: 01:00:5e:01:01:0n.
 */
enum { FX_GROUP = 1 << 24, FX_RESERVED = 2 << 24, FX_BROADCAST = 3 << 24, FX_STREAM = 4 << 24 };
struct mac fx_mac(unsigned n);

/*
 * A frame to be sent next, of `size` octets with its tags (up to FX_TAGS, or NULL), EtherType IPv4
 * and a payload that differs from frame to frame.
 */
struct frame *fx_frame(struct fixture *f, unsigned dst, unsigned src, const struct fx_tag *tags,
		       uint32_t size);

/* One of `size` octets as they are. */
struct frame *fx_octets(struct fixture *f, const void *octets, uint32_t size);
uint8_t *fx_at(const struct frame *f); /* its octets */
void fx_split(struct fixture *f, struct frame *frame, unsigned n_iov);

/* What fx_l4_frame() is to make. */
struct fx_l4 {
	bool is_ipv6, is_udp;
	bool is_partial;   /* checksum to be completed: NEEDS_CSUM */
	uint16_t gso_size; /* 0: no GSO; else is_partial, too */
	uint32_t payload;
	uint8_t tcp_flags;
};

/* A frame with TCP or UDP, whose checksums are right or, if partial, as the header says. */
struct frame *fx_l4_frame(struct fixture *f, unsigned dst, unsigned src, const struct fx_tag *tags,
			  const struct fx_l4 *l4);

/* What fx_l4_parse() found: all lengths and checksums are right. */
struct fx_l4_parts {
	uint32_t n_tags, l3, l4, payload; /* offsets; n_tags: how many */
	uint16_t ip_id;
	uint32_t seq;
	uint8_t tcp_flags;
};

/* Take apart octets that fx_l4_frame() may have become; fails the test if anything is wrong. */
struct fx_l4_parts fx_l4_parse(const uint8_t *octets, uint32_t size);

/* Send what waits from port `id`, in bursts, and check conservation. */
void fx_run(struct fixture *f, port_id id);

/* ---- what came of it ---- */

/* Ports that got frame `idx`, as "0 3 5" in rising order; into `text`. */
const char *fx_receivers(const struct fixture *f, unsigned idx, char *text, size_t size);

/* Delivery of frame `idx` to `port`, the only one; NULL if it got none. */
const struct fx_delivery *fx_delivery(const struct fixture *f, port_id port, unsigned idx);

/* The only reason for which anything was dropped in the last run; DROP_REASONS_N: nothing was. */
enum drop_reason fx_dropped(const struct fixture *f);

struct port_counters *fx_count(const struct fixture *f, port_id id);

/* A random number from a seed that moves on: xorshift, the same on every machine. */
uint32_t fx_random(uint64_t *seed);

#endif
