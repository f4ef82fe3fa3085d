// SPDX-License-Identifier: Apache-2.0
/* The queue of a tap or macvtap, opened as a VMM opens it. For tap_pump and tap_load. */
#ifndef EVB_BENCH_TAP_FD_H
#define EVB_BENCH_TAP_FD_H

/*
 * NETNS:DEV: the tap DEV in that namespace; DEV: in this one; both are made if they do not exist.
 * A path: the character device of a macvtap. Frames carry an offload header of 12 octets, and
 * may have any offload. Non-blocking; ends the program if it cannot.
 */
int tap_fd(char *spec);

#endif
