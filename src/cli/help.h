// SPDX-License-Identifier: Apache-2.0
/*
 * The help, written from the table of commands, so that it cannot fall behind it.
 */
#ifndef EVB_CLI_HELP_H
#define EVB_CLI_HELP_H

#include <stdio.h>

/* All objects and verbs, and the options. */
void help_overview(FILE *out);

/* The verbs of an object of the grammar with all their fields. */
void help_object(const char *object, FILE *out);

#endif
