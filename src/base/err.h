// SPDX-License-Identifier: Apache-2.0
/*
 * An error a person reads: made at the border (grammar, configuration, control socket, opening a
 * device), never on the path of a frame. `message` names the thing and what is wrong with it,
 * `hint` says what to do about it.
 */
#ifndef EVB_BASE_ERR_H
#define EVB_BASE_ERR_H

struct err {
	int code;	   /* errno value that fits best; 0: no error */
	char message[256]; /* "vm1: MAC 52:54:00:00:00:01 is owned by port vm0" */
	char hint[512];	   /* "choose another MAC, or delete vm0 first"; may be empty */
};

/* Fill `e` and return -code, so that callers can `return err_set(...)`. Clears the hint. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Add the way out to an error already set; returns -e->code. */
int err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
