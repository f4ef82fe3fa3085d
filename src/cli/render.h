// SPDX-License-Identifier: Apache-2.0
/*
 * What a person or a program sees on standard output: results as tables and blocks, or as JSON
 * (always an array), and events, one a line. Prints what the daemon said and adds nothing: a key
 * that is absent is not printed.
 */
#ifndef EVB_CLI_RENDER_H
#define EVB_CLI_RENDER_H

#include <jansson.h>
#include <stdio.h>

#include "cli.h"
#include "schema.h"

/* Print the result of a command. */
void render_result(const struct cli *cli, const struct command *c, const json_t *params,
		   const json_t *result);

enum { POLICY_TEXT_SIZE = 128 };

/* What the VSI type of a port says in place of what the port has of its own, or "". */
const char *render_policy(const json_t *port, char out[POLICY_TEXT_SIZE]);

/* Print one event and flush it. */
void render_event(const struct cli *cli, const json_t *event);

/* Print a value as -j does: as an array, on a line of its own or indented. */
void render_json(const struct cli *cli, const json_t *v);

/*
 * Write requests as the lines that make them. One that this program does not know becomes a
 * comment; returns how many did.
 */
size_t render_config(const json_t *requests, FILE *out);

/* The result of port.show as blocks with everything in it, counters as well if they are there. */
void render_port_blocks(const json_t *ports);

#endif
