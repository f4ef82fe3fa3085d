// SPDX-License-Identifier: Apache-2.0
/*
 * The event loop of the control thread: descriptors, timers and signals, each with a callback and
 * its argument. It reads the clock once a turn; callbacks use loop_now(). It knows nothing of
 * bridges. One thread: all functions are for the thread that runs the loop.
 *
 * Any callback may add, change and remove anything, itself included: what was removed is not
 * called any more, not even in the same turn.
 */
#ifndef EVB_DAEMON_LOOP_H
#define EVB_DAEMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "types.h"

struct loop;
struct loop_watch;
struct loop_timer;
struct loop_signal;

/* `events`: EPOLLIN, EPOLLOUT, ... that happened; EPOLLERR and EPOLLHUP come unasked. */
typedef void loop_fd_cb(void *aux, uint32_t events);
typedef void loop_timer_cb(void *aux);
typedef void loop_signal_cb(void *aux, int signo);

/* NULL with errno set on failure. */
struct loop *loop_new(void);

/*
 * Close the loop. Watches, timers and signals that are left are freed with it; their descriptors
 * stay open, and the signals stay blocked, so that a second SIGTERM does not kill the clean-up.
 * NULL is legal. Not from a callback.
 */
void loop_free(struct loop *l);

/* Run callbacks until loop_stop(): 0, or -errno if epoll itself failed. */
int loop_run(struct loop *l);

/* One turn: wait for at most `timeout_ms` (-1: until something happens) and run what is due. */
int loop_turn(struct loop *l, int timeout_ms);

/* Make loop_run() return at the end of this turn; before loop_run(): at once. */
void loop_stop(struct loop *l);

/* CLOCK_MONOTONIC, read once a turn, when the wait is over. */
tstamp loop_now(const struct loop *l);

/*
 * Call `cb` whenever `fd` has one of `events` (EPOLLIN | EPOLLOUT, level-triggered; 0 waits for
 * errors only). The descriptor stays the caller's, who unwatches before closing it. NULL: errno.
 */
struct loop_watch *loop_watch(struct loop *l, int fd, uint32_t events, loop_fd_cb *cb, void *aux);

/* Change what is waited for. 0 or -errno. */
int loop_watch_events(struct loop_watch *w, uint32_t events);

/* Stop and free the watch. NULL is legal. */
void loop_unwatch(struct loop_watch *w);

/* A timer, not set. NULL without memory. */
struct loop_timer *loop_timer_new(struct loop *l, loop_timer_cb *cb, void *aux);

/*
 * Fire at `when`, then every `period` ns (0: once). Replaces an earlier setting. A time that is
 * past fires in the next turn; periods that were missed altogether are left out.
 */
void loop_timer_set(struct loop_timer *t, tstamp when, tstamp period);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_is_set(const struct loop_timer *t);

/* Stop and free the timer. NULL is legal. */
void loop_timer_free(struct loop_timer *t);

/*
 * Call `cb` on a signal, which is blocked from now on in the calling thread and those it starts
 * later: call it before any thread is started. One callback a signal. NULL: errno.
 */
struct loop_signal *loop_signal(struct loop *l, int signo, loop_signal_cb *cb, void *aux);

#endif
