// SPDX-License-Identifier: Apache-2.0
/* Fields of ports on a wire: what they speak to the other end. */
#include "model_field.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

/* EVB and LLDP. */

static const char *const evb_names[] = { "off", "auto", "ratified", "draft", NULL };
static const char *const scope_names[] = { "nearest-bridge", "non-tpmr", "customer-bridge", NULL };

const char *model_evb_name(enum evb_speech speech)
{
	return evb_names[speech];
}

const char *model_lldp_name(unsigned scope)
{
	return scope_names[scope];
}

/* Index of the first `n` octets of `word`, or -1. */
static int word_index(const char *const *names, const char *word, size_t n)
{
	for (int i = 0; names[i]; i++) {
		if (strlen(names[i]) == n && !strncmp(names[i], word, n))
			return i;
	}
	return -1;
}

int field_set_evb(const struct field_row *f, struct port_config *p, const json_t *v, struct err *e)
{
	const char *word = v ? json_string_value(v) : evb_names[EVB_SPEECH_OFF];
	int i = word ? word_index(evb_names, word, strlen(word)) : -1;

	if (i < 0)
		return field_misfit(f, p, e);
	p->evb = (uint8_t)i;
	return 0;
}

json_t *field_get_evb(const struct field_row *f, const struct port_config *p, bool *failed)
{
	json_t *v = p->evb ? json_string(evb_names[p->evb]) : NULL;

	*failed = p->evb && !v;
	return v;
}

int field_set_lldp(const struct field_row *f, struct port_config *p, const json_t *v, struct err *e)
{
	const char *word = v ? json_string_value(v) : NULL;
	uint8_t scopes = 0;

	if (v && !word)
		return field_misfit(f, p, e);
	for (; word && *word; word += *word == ',') {
		size_t n = strcspn(word, ",");
		int i = word_index(scope_names, word, n);

		if (i < 0) {
			err_set(e, EINVAL, "%s: LLDP has no scope \"%.*s\"", p->name, (int)n, word);
			return err_hint(e, "scopes are nearest-bridge, non-tpmr, customer-bridge; "
					   "several are separated by commas");
		}
		scopes |= (uint8_t)(1 << i);
		word += n;
	}
	p->lldp = scopes;
	return 0;
}

json_t *field_get_lldp(const struct field_row *f, const struct port_config *p, bool *failed)
{
	char text[64] = "";
	json_t *v;

	if (!p->lldp)
		return NULL;
	for (unsigned i = 0; scope_names[i]; i++) {
		if (p->lldp >> i & 1)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				 *text ? "," : "", scope_names[i]);
	}
	v = json_string(text);
	*failed = !v;
	return v;
}

/* Tags for S-channels: one range of VIDs, none of which is that of the default channel. */

int field_set_pool(const struct field_row *f, struct port_config *p, const json_t *v, struct err *e)
{
	struct vlan_set set;
	vid_t low = SVID_MIN, high = VID_MAX;

	if (v && (!json_is_string(v) || !value_vlans(json_string_value(v), &set)))
		return field_misfit(f, p, e);
	for (; v && low < VID_MAX && !vlan_set_has(&set, low); low++)
		;
	for (high = low; v && high < VID_MAX && vlan_set_has(&set, high + 1); high++)
		;
	for (vid_t i = 1; v && i <= VID_MAX; i++) {
		if (vlan_set_has(&set, i) == (i >= low && i <= high))
			continue;
		err_set(e, EINVAL, "%s: svid-pool %s is not one range of 2 to %d", p->name,
			json_string_value(v), VID_MAX);
		return err_hint(e, "say it as in 100-200; S-VLAN 1 is the default channel");
	}
	p->svid_low = low;
	p->svid_high = v ? high : VID_MAX;
	return 0;
}

json_t *field_get_pool(const struct field_row *f, const struct port_config *p, bool *failed)
{
	json_t *v = NULL;

	if (p->svid_low == SVID_MIN && p->svid_high == VID_MAX)
		return NULL;
	if (p->svid_low == p->svid_high)
		v = json_sprintf("%d", p->svid_low);
	else
		v = json_sprintf("%d-%d", p->svid_low, p->svid_high);
	*failed = !v;
	return v;
}
