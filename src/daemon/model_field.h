// SPDX-License-Identifier: Apache-2.0
/* What the files with the fields of a port share: a row of the table in model_field.c. */
#ifndef EVB_DAEMON_MODEL_FIELD_H
#define EVB_DAEMON_MODEL_FIELD_H

#include "model_internal.h"

struct field_row;

/* `v` is NULL for the default. */
typedef int field_set(const struct field_row *f, struct port_config *p, const json_t *v,
		      struct err *e);

/* NULL: the field is at its default. `*failed` is set without memory. */
typedef json_t *field_get(const struct field_row *f, const struct port_config *p, bool *failed);

struct field_row {
	const char *key;
	unsigned roles; /* HAS_*: who has the field */
	field_set *set;
	field_get *get;
	size_t offset;	  /* in struct port_config, for the generic functions */
	int64_t initial;  /* default, likewise */
	int64_t min, max; /* of numbers */
	size_t size;	  /* likewise: octets of the member, which is unsigned */
	const char
		*instead; /* hint for roles that do not have it; NULL: the list of those it has */
};

/* What schema_check() would have refused, if it had been asked. */
int field_misfit(const struct field_row *f, const struct port_config *p, struct err *e);

field_set field_set_evb;
field_get field_get_evb;
field_set field_set_lldp;
field_get field_get_lldp;
field_set field_set_pool;
field_get field_get_pool;

#endif
