// SPDX-License-Identifier: Apache-2.0
/*
 * Configuration files from the side of the command line: apply one, check one with or without a
 * daemon, save what the daemon has. evbd itself reads its files without this.
 */
#ifndef EVB_CLI_CONFIG_H
#define EVB_CLI_CONFIG_H

#include "cli.h"

/*
 * Each returns the exit code, and has printed why if it is not EXIT_DONE. File "-": standard input.
 */
int config_load(const struct cli *cli, const char *file);
int config_check(const struct cli *cli, const char *file);

/* `file` NULL: the default. The file is replaced whole or left as it was. */
int config_save(const struct cli *cli, const char *file);

#endif
