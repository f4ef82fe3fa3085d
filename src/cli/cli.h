// SPDX-License-Identifier: Apache-2.0
/*
 * What all of the command line shares: the options, and the way to fail. One process, one thread,
 * one command; nothing here outlives it.
 */
#ifndef EVB_CLI_CLI_H
#define EVB_CLI_CLI_H

#include <stdbool.h>

#include "err.h"

#define DEFAULT_SOCKET "/run/evb/evbd.sock"
#define CONFIG_ROOT "/etc/evb"
#define DEFAULT_CONFIG CONFIG_ROOT "/evb.conf"
#define CONFIG_FOLDER CONFIG_ROOT "/evb.conf.d"

/* Exit codes, as the manual has them. */
enum { EXIT_DONE, EXIT_REFUSED, EXIT_USAGE, EXIT_NO_DAEMON };

struct cli {
	const char *socket; /* path of the control socket */
	const char *batch;  /* file of -b, or NULL */
	bool json, pretty, stats;
};

/* Why a command was not done. */
struct failure {
	int exit;	     /* exit code */
	struct err err;	     /* message and hint; the code is used if errno_name is empty */
	char errno_name[24]; /* as evbd spelt it */
	const char *file;    /* file to blame, or NULL */
	int line;	     /* line of the file to blame; 0: none */
};

/* Print the failure on standard error, as text or JSON, and return its exit code. */
int cli_fail(const struct cli *cli, const struct failure *f);

#endif
