// SPDX-License-Identifier: Apache-2.0
/*
 * JSON-RPC 2.0 as the control socket speaks it: one line to a request, an answer to one line. Pure;
 * called by server.c. What a method means is the business of methods.c.
 */
#ifndef EVB_DAEMON_RPC_H
#define EVB_DAEMON_RPC_H

#include <jansson.h>
#include <stddef.h>

#include "err.h"

/* Codes of JSON-RPC 2.0, section 5.1, and our own. */
enum {
	RPC_PARSE = -32700,
	RPC_REQUEST = -32600,
	RPC_METHOD = -32601,
	RPC_PARAMS = -32602,
	RPC_REFUSED = -32000,
};

enum { RPC_LINE_MAX = 1 << 20 };

/* Why a request failed. */
struct rpc_error {
	int code; /* RPC_* */
	int line; /* of a configuration, 0: none is to blame */
	struct err err;
};

struct rpc_request {
	json_t *id;	    /* NULL: a notification, which gets no answer */
	const char *method; /* lives as long as root */
	json_t *params;	    /* an object, borrowed from root */
	json_t *root;	    /* to be freed by the caller */
};

/*
 * Parse one line. 0, or -1 with `error` set; req->id then is what could be made out of it, and
 * req->root is to be freed in either case (it may be NULL).
 */
int rpc_parse(const char *line, size_t size, struct rpc_request *req, struct rpc_error *error);

/* The answer as a line with its newline, malloc-ed; NULL without memory. Takes `result`. */
char *rpc_answer(const json_t *id, json_t *result_take);
char *rpc_answer_error(const json_t *id, const struct rpc_error *error);

/* Any object as a line with its newline, malloc-ed. */
char *rpc_line(const json_t *object);

/* Set code, errno and message; returns NULL, so that methods can `return rpc_fail(...)`. */
json_t *rpc_fail(struct rpc_error *error, int code, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
