// SPDX-License-Identifier: Apache-2.0
/* Addresses of guests, and lists of them. */
#include <errno.h>
#include <string.h>

#include "model_internal.h"
#include "value.h"

static int refuse_mac(const char *name, const char *word, struct mac mac, struct err *e)
{
	if (mac_is_zero(mac)) {
		err_set(e, EINVAL, "%s: MAC %s belongs to nobody", name, word);
		return err_hint(e, "give the address that the guest uses");
	}
	err_set(e, EINVAL, "%s: MAC %s is a group address", name, word);
	return err_hint(e, "the first octet of a guest's address is even; 52:54:00:... is usual");
}

int model_mac(const char *name, const char *word, struct mac *out, struct err *e)
{
	struct mac mac;

	if (!value_mac(word, &mac))
		return err_set(e, EINVAL, "%s: %.32s is not a MAC address", name, word);
	if (mac_is_zero(mac) || mac_is_group(mac))
		return refuse_mac(name, word, mac, e);
	*out = mac;
	return 0;
}

bool model_macs_have(const struct mac_list *list, struct mac mac)
{
	for (uint16_t i = 0; i < list->n; i++) {
		if (mac_equal(list->mac[i], mac))
			return true;
	}
	return false;
}

int model_macs_set(const char *name, const char *key, struct mac_list *to, const json_t *v,
		   struct err *e)
{
	struct mac_list list = { .n = 0 };
	size_t n = json_array_size(v);

	if (n > PORT_MACS_MAX) {
		err_set(e, ENOSPC, "%s: %s lists %zu addresses, and %d is the limit", name, key, n,
			PORT_MACS_MAX);
		return err_hint(e, "a guest with many addresses can have maclimit N instead");
	}
	for (size_t i = 0; i < n; i++) {
		const char *word = json_string_value(json_array_get(v, i));
		struct mac mac;
		int err = model_mac(name, word ? word : "", &mac, e);

		if (err)
			return err;
		if (model_macs_have(&list, mac)) {
			err_set(e, EINVAL, "%s: %s lists %s twice", name, key, word);
			return err_hint(e, "once is enough");
		}
		list.mac[list.n++] = mac;
	}
	*to = list;
	return 0;
}

json_t *model_macs_json(const struct mac_list *list)
{
	json_t *v = json_array();
	char text[VALUE_MAC_SIZE];

	for (uint16_t i = 0; v && i < list->n; i++) {
		value_mac_format(list->mac[i], text);
		if (json_array_append_new(v, json_string(text)) == 0)
			continue;
		json_decref(v);
		return NULL;
	}
	return v;
}
