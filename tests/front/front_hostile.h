// SPDX-License-Identifier: Apache-2.0
/*
 * A catalogue of attacks of a guest or VMM on a back-end, each under a name: rings that lie,
 * headers that lie, memory that goes away, files that are not what they should be, messages that
 * are wrong. In a transmit ring an attack takes place at once; in a receive ring it waits for the
 * next frame, which somebody must send. A device that attacked has rings that its own side can no
 * longer follow: reset or reconnect it with FRONT_FROM_ZERO, or throw it away. An attack tells what
 * it saw; whether that is right is the caller's business. Not thread-safe.
 */
#ifndef EVB_FRONT_HOSTILE_H
#define EVB_FRONT_HOSTILE_H

#include <stdbool.h>
#include <stdint.h>

#include "front_dev.h"

struct front_attack_args {
	unsigned idx;	/* ring as on the wire: even receives, odd transmits */
	int wait_ms;	/* how long to look at what the back-end does; 0: 50 */
	unsigned count; /* how many chains to make available (transmit ring); 0: 1 */
};

struct front_attack_result {
	const char *what;    /* the attack in words */
	bool closed;	     /* the back-end closed the connection */
	bool answers;	     /* it still answers GET_FEATURES */
	bool acked, refused; /* it acknowledged the message of the attack; it said no */
	bool err_signalled;  /* by the ERR eventfd of the ring */
	unsigned n_used;     /* buffers it returned in that ring meanwhile */
};

/* Carry out the attack `name` on a device that was started. 0; -ENOENT if there is no such attack,
 * -ENOTSUP if it makes no sense in this kind of ring, or what hindered it. */
int front_attack(struct front_dev *d, const char *name, const struct front_attack_args *args,
		 struct front_attack_result *result);

/* Names by number, NULL beyond the last one. Those of rings need an idx, the others do not. */
const char *front_attack_name(unsigned i, const char **what);

/* Does the back-end still answer? Old replies are thrown away. Sets closed, answers, acked and
 * refused. */
void front_attack_probe(struct front_dev *d, struct front_attack_result *result);

/* The parts, each with its table: 0, -ENOENT if the name is not theirs, or -errno. */
int front_attack_ring(struct front_dev *d, const char *name, const struct front_attack_args *args,
		      struct front_attack_result *result);
int front_attack_message(struct front_dev *d, const char *name, struct front_attack_result *result);
int front_attack_setup(struct front_dev *d, const char *name, unsigned idx,
		       struct front_attack_result *result);
const char *front_attack_ring_name(unsigned i, const char **what);
const char *front_attack_message_name(unsigned i, const char **what);
const char *front_attack_setup_name(unsigned i, const char **what);

#endif
