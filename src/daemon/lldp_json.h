// SPDX-License-Identifier: Apache-2.0
/*
 * What a neighbour says by LLDP, as JSON for people: texts of strangers with nothing in them that a
 * terminal or a JSON parser would take amiss. New objects; NULL without memory.
 */
#ifndef EVB_DAEMON_LLDP_JSON_H
#define EVB_DAEMON_LLDP_JSON_H

#include <jansson.h>

#include "lldp.h"

/* Printable ASCII as it is, all else as \xNN. */
json_t *lldp_text_json(const void *octets, size_t size);

/* Chassis ID or Port ID: a MAC address, a text, or octets in hexadecimal, by its subtype. */
json_t *lldp_id_json(const struct lldp_id *id, bool is_chassis);

/* {"scope","chassis","port","ttl","system_name",...}; `left`: seconds until it ages, or < 0. */
json_t *lldp_neighbour_json(const struct lldp_neighbour *n, enum lldp_scope scope, int left);

#endif
