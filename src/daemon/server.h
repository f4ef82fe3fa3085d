// SPDX-License-Identifier: Apache-2.0
/*
 * The control socket: listens, checks who the peer is, cuts lines, answers in order, and hands
 * events to subscribers. What a method does is the business of methods.c. Control thread.
 *
 * No client can hold up another: little is read from each at a time, output waits in a queue, a
 * client that does not read its answers is not read from, and a subscriber that does not read its
 * events is dropped.
 */
#ifndef EVB_DAEMON_SERVER_H
#define EVB_DAEMON_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "events.h"
#include "log.h"
#include "loop.h"
#include "rpc.h"

struct server;
struct server_client;

/*
 * Carry out one request: the result, which the server takes, or NULL with `error` set. `params` is
 * always an object.
 */
typedef json_t *server_call(void *aux, struct server_client *client, const char *method,
			    const json_t *params, struct rpc_error *error);

/* Could a server listen on `path`? 0, or -errno with `e` set. */
int server_check(const char *path, struct err *e);

/*
 * Listen on `path`. An orphaned socket there is replaced; a live one, or any other file, is refused
 * with `e` set (NULL). `ev` gets the server as its sink. All but `path` must outlive the server.
 */
struct server *server_new(struct loop *loop, const struct log *log, struct events *ev,
			  const char *path, struct err *e);

/* Set what carries out requests. Call it before the loop runs. */
void server_start(struct server *s, server_call *call, void *aux);

/* Say good-bye, close all clients and remove the socket. NULL is legal. */
void server_free(struct server *s);

/* Let the client have the kinds in `mask`, bit per enum event_kind, beside those it has. */
void server_subscribe(struct server *s, struct server_client *client, uint32_t mask);

/*
 * For tests: serve a connected stream socket, which the server takes, as if it had been accepted
 * and its peer found worthy. False without memory.
 */
bool server_adopt(struct server *s, int fd_take);

#endif
