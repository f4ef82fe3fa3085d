// SPDX-License-Identifier: Apache-2.0
/*
 * The VSIs of one port or S-channel, at either end: found by VSI ID, each with one timer, and those
 * that have something to say in a queue, from which PDUs are packed. One array of its owner is all
 * the memory there is; place `i` of the hash table is in slot `i`. Used by vdp_station.h and
 * vdp_bridge.h, which say what a state means.
 *
 * Timers are in a few lists, each in order. The machines set them to a few times from now on, so
 * that each of those has a list to whose end it is added; a heap of thousands, with a cache miss at
 * each step, was half of what keep-alives cost.
 *
 * A VSI is known by its ID alone. Manager, type, version and filters are what it has: a request
 * that changes one of them does not make a second VSI.
 */
#ifndef EVB_PROTO_VSI_TABLE_H
#define EVB_PROTO_VSI_TABLE_H

#include <sys/queue.h>

#include "machine.h"
#include "vdp_pdu.h"

struct vsi {
	/* Of the table, together in memory: */
	LIST_HEAD(, vsi) bucket;
	LIST_ENTRY(vsi) chain; /* in its bucket, or of those that are free */
	struct vsi_id id;
	bool used, queued;
	uint8_t timers; /* which of vsi_table.timers */
	tstamp due;	/* TSTAMP_NEVER: no timer runs */
	TAILQ_ENTRY(vsi) timer, queue;
	/* Of the machine: */
	struct vdp_assoc asked; /* the last request, as it was made */
	struct vdp_assoc
		held;  /* what stands, with the VIDs that were filled in; request 0: nothing */
	uint8_t state; /* of vdp_station.c or vdp_bridge.c */
	/* Station, since when its request is with the bridge; TSTAMP_NEVER: it is not. */
	tstamp sent_at;
	/* Bridge, what is to be sent of it: */
	uint8_t out_request, out_status;
	bool out_is_held; /* the rest is that of held, not of asked */
	bool frees;	  /* and then it is over */
	uint32_t ticket;  /* counts the questions to the manager */
};

TAILQ_HEAD(vsi_queue, vsi);

enum { VSI_TIMERS_N = 4 };

struct vsi_table {
	struct vsi *slot;
	uint32_t n_slots, n_used, n_begun; /* those from n_begun on were never used */
	LIST_HEAD(, vsi) free;
	struct vsi_queue timers[VSI_TIMERS_N], queue;
	struct vsi *last_first; /* of those that were queued to go before the others, or NULL */
};

/*
 * All of `slot`, which lives as long as the table, belongs to it. It must be zero, and stays
 * untouched as far as it is not needed.
 */
void vsi_table_init(struct vsi_table *t, struct vsi *slot, uint32_t n);

/* NULL if there is none. */
struct vsi *vsi_find(const struct vsi_table *t, const struct vsi_id *id);

/* A VSI that is not there yet; NULL if the table is full. */
struct vsi *vsi_new(struct vsi_table *t, const struct vsi_id *id);

void vsi_free(struct vsi_table *t, struct vsi *v);

/* Its timer: when, or TSTAMP_NEVER. */
void vsi_timer(struct vsi_table *t, struct vsi *v, tstamp due);

/* One whose timer is due; NULL if there is none. It runs until it is set anew. */
struct vsi *vsi_due(const struct vsi_table *t, tstamp now);

tstamp vsi_deadline(const struct vsi_table *t);

/* It has something to say, with precedence or without; or no longer. */
void vsi_queue_first(struct vsi_table *t, struct vsi *v);
void vsi_queue(struct vsi_table *t, struct vsi *v);
void vsi_unqueue(struct vsi_table *t, struct vsi *v);

struct vsi_packer {
	uint32_t most; /* so many VSIs at once */
	/* What is to be sent of `v`, with that request and status. */
	const struct vdp_assoc *(*outgoing)(void *ctx, const struct vsi *v,
					    enum vdp_request *request, uint8_t *status);
	/* It is in the PDU, and was taken from the queue. May free it. */
	void (*sent)(void *ctx, tstamp now, struct vsi *v);
	void *ctx;
};

/*
 * Write a PDU of as many queued VSIs as there is room for, `most` of them; ratified, of those that
 * have the manager of the first. False if there is none.
 */
bool vsi_pack(struct vsi_table *t, tstamp now, enum evb_generation g,
	      const struct vsi_packer *packer, struct writer *w);

#endif
