// SPDX-License-Identifier: Apache-2.0
/*
 * One connection to evbd: sends a request, waits for its answer, reads events. Blocks the caller,
 * but never longer than the time it was given, except for events. Knows JSON-RPC and nothing of
 * what the methods mean.
 */
#ifndef EVB_CLI_CLIENT_H
#define EVB_CLI_CLIENT_H

#include <jansson.h>
#include <stddef.h>

#include "cli.h"

enum { CLIENT_TIMEOUT_MS = 30000 };

struct client {
	const char *path;
	int fd, timeout_ms;
	char *buf; /* what was read; a line ends at `used` at most */
	size_t size, used;
	size_t line_size; /* octets of the line handed out last: they go before the next read */
};

/* Connect to the socket at `path`, which must outlive the client. 0, or -errno with `f` set. */
int client_open(struct client *c, const char *path, int timeout_ms, struct failure *f);
void client_close(struct client *c);

/*
 * Call `method`; `params` may be NULL and stays the caller's. The result is the caller's; NULL with
 * `f` set: refused (exit 1) or no daemon any more (exit 3).
 */
json_t *client_call(struct client *c, const char *method, const json_t *params, struct failure *f);

/* Wait without limit for the next event: its params, the caller's. NULL with `f` set: the end. */
json_t *client_event(struct client *c, struct failure *f);

#endif
