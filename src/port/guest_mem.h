// SPDX-License-Identifier: Apache-2.0
/*
 * Guest memory as a VMM shares it: a few regions of guest-physical addresses, each mapped from a
 * file. Here an address that a guest wrote becomes a pointer, or is refused; here a guest's word is
 * read once; here pages are marked for live migration. Nothing in it is ever trusted.
 *
 * The control thread adds and removes regions while no worker uses them; workers only translate.
 * Any thread may stumble over a file that was made shorter meanwhile: guest_fault_install().
 */
#ifndef EVB_PORT_GUEST_MEM_H
#define EVB_PORT_GUEST_MEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum {
	GUEST_REGIONS_MAX = 509, /* KVM has 512 slots, of which a VMM keeps some to itself */
	GUEST_PAGE_SHIFT = 12,	 /* of the dirty log; vhost-user.rst, "Migration" */
};

/* One mapping of a descriptor: memory that goes away is noticed. */
struct guest_map {
	uint8_t *data; /* the octet at `offset` */
	uint8_t *base; /* the page it is in; NULL: not mapped */
	size_t size;   /* of all pages */
	int slot;      /* in the table of the fault handler */
};

/*
 * Map `size` octets of `fd` from `offset`; the descriptor stays the caller's. `is_lost` is set when
 * an access found that the file had become shorter: zeroes are there instead, then, so that it
 * goes on. -EINVAL: the file is shorter; -EOPNOTSUPP: it is not of a kind that is memory.
 */
int guest_map_open(struct guest_map *m, int fd, uint64_t offset, uint64_t size,
		   _Atomic bool *is_lost);
void guest_map_close(struct guest_map *m);

/*
 * Have SIGBUS in a guest_map handled as said above; elsewhere it kills, as before. Once per
 * process, before threads are started. 0 or -errno.
 */
int guest_fault_install(void);

struct guest_region {
	uint64_t gpa, size; /* guest-physical */
	uint8_t *host;
	uint64_t uva; /* the front-end's address of it */
	struct guest_map map;
};

struct guest_mem {
	uint32_t n, max;
	struct guest_region *region; /* [n] sorted by gpa */
	_Atomic bool is_lost;	     /* a part of it went away */
};

/* What a front-end says of a region. */
struct guest_region_spec {
	uint64_t gpa, size, uva, offset;
};

/*
 * Map a region; `fd` stays the caller's. 0, or -errno with `e` set: overlap, overflow, size 0, no
 * memory file, shorter than said, too many regions, more than fits.
 */
int guest_mem_add(struct guest_mem *m, const struct guest_region_spec *s, int fd, struct err *e);

/* Unmap the region of that gpa, uva and size; -ENOENT if there is none. */
int guest_mem_remove(struct guest_mem *m, const struct guest_region_spec *s);

/* Is there a region of that gpa, uva and size, whose memory has not been lost? */
bool guest_mem_has(const struct guest_mem *m, const struct guest_region_spec *s);

/* Does `m` have exactly these regions? (The offset is not compared: it is not kept.) */
bool guest_mem_is(const struct guest_mem *m, const struct guest_region_spec *s, uint32_t n);

/* Unmap everything. */
void guest_mem_clear(struct guest_mem *m);

/* Where the front-end's range [uva, uva + size) is in ours, and its gpa; NULL: nowhere. */
uint8_t *guest_mem_at_uva(const struct guest_mem *m, uint64_t uva, uint64_t size, uint64_t *gpa);

/* The region that holds `gpa`, or NULL. */
const struct guest_region *guest_mem_find(const struct guest_mem *m, uint64_t gpa);

/*
 * Pointer to guest octet `gpa`; `*room` is how many follow it in the same region, itself included
 * (so never 0). NULL if there is no memory. `hint` is the region that was hit last by the caller,
 * or NULL.
 */
static inline uint8_t *guest_mem_at(const struct guest_mem *m, const struct guest_region **hint,
				    uint64_t gpa, uint64_t *room)
{
	const struct guest_region *r = *hint;

	if (!r || gpa - r->gpa >= r->size) {
		r = guest_mem_find(m, gpa);
		if (!r)
			return NULL;
		*hint = r;
	}
	*room = r->size - (gpa - r->gpa);
	return r->host + (gpa - r->gpa);
}

/* One word of a guest, read once: it may be another the next moment. */
static inline uint16_t guest_load16(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* Two halves of a descriptor; nothing says that a table of them is aligned. */
typedef volatile uint64_t __attribute__((aligned(1), may_alias)) guest_word;
typedef volatile uint16_t __attribute__((aligned(1), may_alias)) guest_half;

static inline uint64_t guest_load64(const void *p)
{
	return *(const guest_word *)p;
}

/* The same, with all that the guest wrote before it. */
static inline uint16_t guest_load16_acquire(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void guest_store16(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/* The same, after all that we wrote before it. */
static inline void guest_store16_release(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline void guest_store64(void *p, uint64_t v)
{
	*(guest_word *)p = v;
}

/*
 * The dirty log: one bit a page, page n in bit n % 8 of octet n / 8; the front-end reads and
 * clears it while we set bits.
 */
struct guest_log {
	struct guest_map map;
	uint64_t size; /* octets of bits */
	_Atomic bool is_lost;
};

/* Mark the pages of [gpa, gpa + size); what the log does not cover is left out. */
void guest_log_mark(const struct guest_log *l, uint64_t gpa, uint64_t size);

#endif
