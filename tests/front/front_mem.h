// SPDX-License-Identifier: Apache-2.0
/*
 * Guest memory of the test front-end: regions of guest-physical addresses (gpa) over memory files,
 * as a VMM lends them to a back-end, and an allocator that only goes forward. Addresses that the
 * front-end calls its own (uva) are made up and differ from where the memory is mapped here, so
 * that a back-end that mistakes one for another is found out. Belongs to one device; not
 * thread-safe.
 */
#ifndef EVB_FRONT_MEM_H
#define EVB_FRONT_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRONT_REGIONS_MAX = 64, FRONT_SEAM = 128 << 10 };
#define FRONT_NO_GPA UINT64_MAX

struct front_mem_config {
	uint64_t size;	    /* octets in all; 0: 64 MiB */
	uint64_t base;	    /* gpa of the first region */
	uint64_t hole;	    /* octets of nothing between two regions */
	unsigned n_regions; /* 0: 1 */
	bool one_file;	    /* all regions in one file, at different offsets */
	bool huge;	    /* 2 MiB pages */
	bool sealed; /* the file cannot be shrunk, as with QEMU; else front_mem_shrink works */
};

struct front_region {
	uint64_t gpa, size, uva, offset; /* as the protocol tells them */
	uint8_t *host;			 /* where it is mapped here */
	int fd;				 /* own duplicate, closed with the memory */
};

struct front_mem {
	struct front_region region[FRONT_REGIONS_MAX];
	unsigned n_regions;
	unsigned next_region; /* where the allocator is */
	uint64_t next;	      /* gpa of the next free octet */
	uint64_t seam;	      /* octets kept free on both sides of where two regions touch */
	bool huge, sealed;
};

/* Make the memory; 0 or -errno. A failed open leaves nothing behind. */
int front_mem_open(struct front_mem *m, const struct front_mem_config *c);
void front_mem_close(struct front_mem *m);

/* One more region in a file of its own (hotplug); its number or -errno. */
int front_mem_add(struct front_mem *m, uint64_t gpa, uint64_t size);
/* Forget region `i`, which must not be in use; later ones move down. */
void front_mem_remove(struct front_mem *m, unsigned i);

/* `size` octets of zeros within one region; FRONT_NO_GPA when there are none left. */
uint64_t front_mem_alloc(struct front_mem *m, uint64_t size, uint64_t align);

/* Where `before` octets of region `i` end and the rest is in region i+1 (the buffer may be used
 * again and again); FRONT_NO_GPA if the two do not touch. FRONT_SEAM octets at most on each
 * side. */
uint64_t front_mem_straddle(const struct front_mem *m, unsigned i, uint64_t before);

/* Pointer to [gpa, gpa+size), NULL unless it lies in one region. */
void *front_mem_at(const struct front_mem *m, uint64_t gpa, uint64_t size);
/* Front-end address of a gpa, as ring addresses are told; FRONT_NO_GPA if it is in no region. */
uint64_t front_mem_uva(const struct front_mem *m, uint64_t gpa);

/* Copy, also across regions that touch; false if part of it is nowhere. */
bool front_mem_write(const struct front_mem *m, uint64_t gpa, const void *data, uint64_t size);
bool front_mem_read(const struct front_mem *m, uint64_t gpa, void *data, uint64_t size);

/* First gpa above all regions. */
uint64_t front_mem_end(const struct front_mem *m);

/* Cut the file of region `i` to `size` octets behind the back-end's back; 0 or -errno. */
int front_mem_shrink(struct front_mem *m, unsigned i, uint64_t size);

#endif
