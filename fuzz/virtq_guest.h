// SPDX-License-Identifier: Apache-2.0
/*
 * A guest for the fuzzers of virtqueues: memory of a few regions, each between pages that nobody
 * may touch, with a ring whose parts end where regions end; a picture of it as it was, with which
 * everything that happens is compared; and what a driver's descriptors mean, written down a second
 * time. Not part of evb.
 */
#ifndef EVB_FUZZ_VIRTQ_GUEST_H
#define EVB_FUZZ_VIRTQ_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "virtq.h"

enum {
	VG_REGIONS = 4,
	VG_FLAT = 0x4000 + 0x4000 + 0x4000 + 0x1000, /* octets of all regions */
	VG_SIZE_MAX = 256,			     /* entries of a ring */
	VG_LOG_SIZE = 5,			     /* covers all but the last region */
};

/* Where what is in memory: by vg_map(). */
enum { VG_NOTHING, VG_RING, VG_TABLE, VG_WRITABLE, VG_USED };

struct vg {
	bool packed;
	uint16_t size; /* of the ring */
	struct guest_region region[VG_REGIONS];
	struct guest_mem mem;
	uint8_t *alias;
	uint8_t before[VG_FLAT]; /* the picture */
	uint8_t map[VG_FLAT];
	uint64_t gpa_desc, gpa_driver, gpa_device; /* of the ring; packed: of its two events */
	struct guest_log log;
	struct virtq q;
	int call_fd;
};

/* A descriptor, whichever kind of ring it is of; `other` is next or id. */
struct vg_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, other;
};

/* A chain as the standard reads it: is_sound if a device may use it. */
struct vg_chain {
	bool is_sound;
	unsigned n;
	struct vg_desc d[VIRTQ_SEGMENTS_MAX];
	uint64_t size;
	uint16_t id;	  /* head (split), or id */
	uint16_t n_slots; /* packed */
};

/* Memory is made once and stays; a ring of `size` in it, all zero. */
void vg_open(struct vg *g, bool packed, uint16_t size);

/* Pointer to [gpa, gpa + size), or NULL. */
void *vg_at(const struct vg *g, uint64_t gpa, uint64_t size);

/* The same octet by another address; NULL: there is none. */
uint8_t *vg_alias(const struct vg *g, uint64_t gpa);

/* Start the queue at `base`, which the ring is made to agree with if it is split. */
void vg_start(struct vg *g, uint32_t base);

/* Remember what memory looks like, and forget what was logged. */
void vg_picture(struct vg *g);

/* Restore the ring as it is in the picture. */
void vg_restore_ring(struct vg *g);

/*
 * Fill `map` with what the ring in the picture lets a device write. False if that takes too long,
 * or if a device that writes there changes the ring under its own feet.
 */
bool vg_map(struct vg *g);

/* The device used this chain. False: a part of it was used before. After vg_map(). */
bool vg_use(struct vg *g, const struct vg_chain *c);

/*
 * Nothing in memory differs from the picture but what is the device's of the ring, and what `map`
 * says is writable if `data`; and all of that is in the log, if there is one.
 */
void vg_check_written(const struct vg *g, bool data);

/* The chain at slot `at` of the picture: head of a split ring, or place in a packed one. */
void vg_walk(const struct vg *g, uint16_t at, bool wrap, bool write, struct vg_chain *c);

/* Octets [from, from + n) of the chain as memory is now; returns how many there are. */
uint32_t vg_gather(const struct vg *g, const struct vg_chain *c, uint64_t from, uint8_t *to,
		   uint32_t n);

/* Does the chain touch what is the device's of the ring? */
bool vg_touches_ring(const struct vg *g, const struct vg_chain *c);

#endif
