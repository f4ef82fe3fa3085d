// SPDX-License-Identifier: Apache-2.0
/*
 * The commands: one table of objects, verbs and fields, from which follow the grammar of the
 * command line and the configuration files, the check of what comes over the socket, the help and
 * the completion. A new command or field is a line in schema.c.
 *
 * A request is a JSON-RPC method ("port.add") and params, a JSON object keyed by field. Values:
 * strings for words, names, devices, paths, permissions, MAC addresses and VLAN sets; arrays of
 * strings for lists of MAC addresses; integers for numbers, rates (bits
 * a second), sizes (octets) and VIDs; true and false for on and off,
 * and for a flag that is there or not; null in a `set` for "none", which gives the field back its
 * default.
 *
 * Some rows have no words (`verb` is NULL): methods of the control socket that the command line
 * calls on its own, such as "config.apply". Some have no method: `evb` does them itself.
 */
#ifndef EVB_API_SCHEMA_H
#define EVB_API_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum field_type {
	FIELD_NAME,    /* port or bridge */
	FIELD_DEVICE,  /* network device */
	FIELD_DEVICES, /* one or more, separated by commas: a string */
	FIELD_STRING,  /* anything in one word: user, group, path */
	FIELD_WORD,    /* one of field.words */
	FIELD_INT,     /* field.min..field.max */
	FIELD_RATE,    /* bits a second with a unit, field.min..field.max */
	FIELD_SIZE,    /* octets, likewise */
	FIELD_SWITCH,  /* on, off */
	FIELD_VID,
	FIELD_VLANS,
	FIELD_MAC,
	FIELD_MACS,  /* one or more, separated by commas */
	FIELD_PATH,  /* absolute, as long as the address of a Unix socket can be */
	FIELD_PERM,  /* permissions of a file, octal */
	FIELD_FLAG,  /* a bare word that sets its key to true */
	FIELD_KIND,  /* a bare word that sets "kind" to itself; with .arg, a value follows */
	FIELD_WORDS, /* positional: any number of field.words; an array of strings */
	/*
	 * Array of {"method","params","line"}, without words. Checked for shape only: who knows
	 * what to do with the line numbers checks each with schema_check().
	 */
	FIELD_REQUESTS
};

enum {
	FIELD_POSITIONAL = 1, /* comes first, in the order of the table, without its key */
	FIELD_REQUIRED = 2,
	FIELD_NONE = 4, /* "none" is allowed, and means null */
};

struct field {
	const char *key; /* word of the grammar and key of the params */
	enum field_type type;
	unsigned flags;
	int64_t min,
		max; /* FIELD_INT, _RATE, _SIZE; FIELD_STRING: octets; FIELD_MACS: max addresses */
	const char *const *words; /* FIELD_WORD, FIELD_WORDS: NULL-terminated */
	const struct field *arg;  /* FIELD_KIND: what follows it under a key of its own, or NULL */
	const char *help;	  /* one line */
};

struct command {
	const char *object, *verb; /* "port", "add"; verb NULL: not a command of the grammar */
	const char *method;	   /* "port.add"; NULL: done by the command line itself */
	const struct field *fields;
	size_t n_fields;
	bool changes;	  /* changes the configuration: allowed in files and batches */
	const char *help; /* one line */
};

/* All commands: static table. */
const struct command *schema_commands(size_t *n);

/* The command of a method; NULL if there is none. */
const struct command *schema_method(const char *method);

/* The field of a command by its key, or NULL. */
const struct field *schema_field(const struct command *c, const char *key);

/* The objects of the grammar, in the order of the table, NULL-terminated. */
const char *const *schema_objects(void);

/*
 * Check params against the table: unknown keys, missing fields, wrong types, values out of range.
 * `params` may be NULL: none. 0 or -EINVAL with `e` set, naming field and value. The daemon calls
 * it on every request, so the code behind it needs no further check of form.
 */
int schema_check(const struct command *c, const json_t *params, struct err *e);

#endif
