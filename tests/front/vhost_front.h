// SPDX-License-Identifier: Apache-2.0
/* What the files of the program vhost_front share; see the top of vhost_front.c. */
#ifndef EVB_FRONT_VHOST_FRONT_H
#define EVB_FRONT_VHOST_FRONT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "front_dev.h"

enum { WORDS_MAX = 64, FRAME_MAX = 70000 };

struct shell {
	struct front_dev dev;
	struct front_dev_config config;
	char order[200];
	char *word[WORDS_MAX]; /* of the line: name of the command, then its words */
	unsigned n_words;
	FILE *out;	 /* members of the answer are written here, each as `,"name":value` */
	char error[400]; /* why the command failed */
	uint8_t frame[FRAME_MAX]; /* from hex, or received */
};

struct command {
	const char *name;
	int (*run)(struct shell *s); /* 0, or -errno with `error` set */
};

/* Tables end with a NULL name. */
extern const struct command control_commands[], frame_commands[];

/* Note why it failed; returns -EINVAL, or `err`. */
int shell_fail(struct shell *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
int shell_dev(struct shell *s, int err); /* takes the device's text if err < 0 */

/* Word i that is no key=value, without the command; NULL if there is none. */
const char *shell_plain(const struct shell *s, unsigned i);
/* Value of key=value, NULL if not given; as a number, `otherwise` if not given. */
const char *shell_value(const struct shell *s, const char *key);
uint64_t shell_number(const struct shell *s, const char *key, uint64_t otherwise);

/* Hex digits (colons allowed) to octets: how many, or -1. */
int shell_octets(const char *hex, uint8_t *octets, unsigned room);
void shell_hex(FILE *out, const uint8_t *octets, size_t size);
void shell_text(FILE *out, const char *text); /* as a JSON string, with quotes */

/* "12,5*" as a layout; false if it is none. indirect: "1" all, "tail". */
bool shell_layout(struct shell *s, struct front_layout *l, const char *cuts, const char *how);

#endif
