// SPDX-License-Identifier: Apache-2.0
#include "lldp_json.h"

#include <stdio.h>
#include <string.h>

#include "model.h"
#include "value.h"

enum { TEXT_MAX = 1500 };

json_t *lldp_text_json(const void *octets, size_t size)
{
	const uint8_t *from = octets;
	char text[4 * TEXT_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < size && i < TEXT_MAX; i++) {
		if (from[i] >= 0x20 && from[i] < 0x7f && from[i] != '\\')
			text[n++] = (char)from[i];
		else
			n += (size_t)sprintf(text + n, "\\x%02x", from[i]);
	}
	return json_stringn(text, n);
}

static json_t *hex_json(const uint8_t *octets, size_t size)
{
	char text[2 * LLDP_ID_SIZE_MAX + 1] = "";

	for (size_t i = 0; i < size && i < LLDP_ID_SIZE_MAX; i++)
		snprintf(text + 2 * i, 3, "%02x", octets[i]);
	return json_string(text);
}

json_t *lldp_id_json(const struct lldp_id *id, bool is_chassis)
{
	/* Subtypes that are texts: tables 8-2 and 8-3. */
	enum { ALIAS = 1 << 1, COMPONENT = 1 << 2, NAME = 1 << 5, LOCAL = 1 << 7, IFNAME = 1 << 6 };
	unsigned texts = is_chassis ? ALIAS | COMPONENT | IFNAME | LOCAL | 1 << 3 :
				      ALIAS | COMPONENT | NAME | LOCAL;
	char text[VALUE_MAC_SIZE];
	struct mac mac;

	if (id->subtype == (is_chassis ? LLDP_CHASSIS_MAC : LLDP_PORT_MAC) &&
	    id->size == sizeof(mac.b)) {
		memcpy(mac.b, id->octets, sizeof(mac.b));
		value_mac_format(mac, text);
		return json_string(text);
	}
	if (id->subtype < 8 && texts >> id->subtype & 1)
		return lldp_text_json(id->octets, id->size);
	return hex_json(id->octets, id->size);
}

json_t *lldp_neighbour_json(const struct lldp_neighbour *n, enum lldp_scope scope, int left)
{
	json_t *o = json_pack("{s:s, s:o*, s:o*, s:i}", "scope", model_lldp_name(scope), "chassis",
			      lldp_id_json(&n->chassis, true), "port",
			      lldp_id_json(&n->port, false), "ttl", (int)n->ttl);
	static const char *const keys[] = { "port_description", "system_name",
					    "system_description" };
	struct lldp_pdu pdu;

	if (!o || lldp_pdu_decode(cursor_of(n->octets, n->size), &pdu) != MALFORMED_none)
		return o;
	for (unsigned i = 0; i < 3; i++) {
		struct cursor text = i == 0 ? pdu.port_description :
				     i == 1 ? pdu.system_name :
					      pdu.system_description;

		if (text.left)
			json_object_set_new(o, keys[i], lldp_text_json(text.at, text.left));
	}
	if (left >= 0)
		json_object_set_new(o, "left", json_integer(left));
	return o;
}
