// SPDX-License-Identifier: Apache-2.0
/*
 * Words of guest memory that change while a queue is used: by a second thread, or by traps, without
 * chance. For the fuzzers of virtqueues; not part of evb.
 */
#ifndef EVB_FUZZ_VIRTQ_RACE_H
#define EVB_FUZZ_VIRTQ_RACE_H

#include <stdint.h>

enum { VG_RACES_MAX = 16 };

struct vg_race {
	uint8_t *p, *alias; /* the same octet, as a guest has it and as vg_alias() has it */
	uint8_t width;	    /* 1, 2, 4 or 8 */
	uint64_t flip;
};

/*
 * The same without chance: from vg_trap_on() to vg_trap_off(), each of these words is flipped
 * whenever it was read or written. Whoever reads one twice gets two answers. `round`, from 0 to 3:
 * which of them are flipped in the beginning.
 */
void vg_trap_on(const struct vg_race *r, unsigned n, unsigned round);
void vg_trap_off(void);

/* Let the other thread flip these words until vg_race_stop(), which leaves them as they were. */
void vg_race_start(const struct vg_race *r, unsigned n);
void vg_race_stop(void);

#endif
