// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdio.h>

#include "methods.h"

/*
 * Without memory, the functions here return NULL, or objects that json_pack() refuses to take: in
 * the end the whole is NULL.
 */

/* Names of the bits that are set; one without a name is shown as its number. */
static json_t *names_json(uint64_t bits, const char *(*name_of)(unsigned bit))
{
	json_t *list = json_array();

	for (unsigned bit = 0; bit < 64; bit++) {
		const char *name = name_of(bit);
		json_t *word;

		if (!(bits >> bit & 1))
			continue;
		word = name ? json_string(name) : json_sprintf("bit_%u", bit);
		if (json_array_append_new(list, word) == 0)
			continue;
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_t *hex_json(uint64_t bits)
{
	return json_sprintf("0x%" PRIx64, bits);
}

static json_t *ring_json(const struct vhost_user_ring_info *r)
{
	return json_pack("{s:b, s:b, s:i, s:i}", "running", r->is_running, "enabled", r->is_enabled,
			 "size", r->size, "fill", r->fill);
}

/* As the guest numbers its pairs. */
static json_t *queues_json(const struct vhost_user_info *v)
{
	json_t *list = json_array();

	for (unsigned i = 0; i + 1 < v->n_rings; i += 2) {
		json_t *pair = json_pack("{s:o, s:o}", "to_guest", ring_json(&v->ring[i]),
					 "from_guest", ring_json(&v->ring[i + 1]));

		if (json_array_append_new(list, pair) == 0)
			continue;
		json_decref(list);
		return NULL;
	}
	return list;
}

/* What came of the negotiation. */
static json_t *agreed_json(const struct vhost_user_info *v)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:b, s:b, s:{s:I, s:I}, s:o}", "features",
			 names_json(v->features, vhost_user_feature_name), "features_hex",
			 hex_json(v->features), "protocol_features",
			 names_json(v->protocol_features, vhost_user_protocol_feature_name),
			 "protocol_features_hex", hex_json(v->protocol_features), "packed",
			 v->is_packed, "logging", v->is_logging, "memory", "regions",
			 (json_int_t)v->n_regions, "bytes", (json_int_t)v->memory, "queues",
			 queues_json(v));
}

json_t *show_vhost(const struct vhost_user_info *v)
{
	json_t *o = agreed_json(v);
	json_t *counts =
		json_pack("{s:I, s:I, s:{s:I, s:I}, s:I, s:I, s:{s:I, s:I, s:I, s:I}}", "sessions",
			  (json_int_t)v->sessions, "faults", (json_int_t)v->faults, "calls", "sent",
			  (json_int_t)v->calls_sent, "suppressed", (json_int_t)v->calls_suppressed,
			  "kicks", (json_int_t)v->kicks, "gso", (json_int_t)v->tx_gso, "sizes",
			  "128", (json_int_t)v->tx_size[0], "1518", (json_int_t)v->tx_size[1],
			  "9018", (json_int_t)v->tx_size[2], "more", (json_int_t)v->tx_size[3]);
	bool ok = o && counts && json_object_update(o, counts) == 0;

	json_decref(counts);
	if (ok)
		return o;
	json_decref(o);
	return NULL;
}
