// SPDX-License-Identifier: Apache-2.0
#include "value.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { DEVICE_SIZE = 16 }; /* IFNAMSIZ */

/* ASCII only, whatever the locale says. */
static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool value_mac(const char *word, struct mac *out)
{
	struct mac m;
	char sep;

	if (strlen(word) != VALUE_MAC_SIZE - 1)
		return false;
	sep = word[2];
	if (sep != ':' && sep != '-')
		return false;
	for (int i = 0; i < 6; i++) {
		int hi = digit_of(word[3 * i]), lo = digit_of(word[3 * i + 1]);

		if (hi > 15 || lo > 15 || (i < 5 && word[3 * i + 2] != sep))
			return false;
		m.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*out = m;
	return true;
}

bool value_int(const char *word, int64_t min, int64_t max, int64_t *out)
{
	int base = 10;
	int64_t v = 0;

	if (word[0] == '0' && (word[1] == 'x' || word[1] == 'X')) {
		base = 16;
		word += 2;
	}
	if (*word == '\0')
		return false;
	for (; *word != '\0'; word++) {
		int d = digit_of(*word);

		if (d >= base || v > (INT64_MAX - d) / base)
			return false;
		v = v * base + d;
	}
	if (v < min || v > max)
		return false;
	*out = v;
	return true;
}

bool value_vid(const char *word, vid_t *out)
{
	int64_t v;

	if (!value_int(word, 1, VID_MAX, &v))
		return false;
	*out = (vid_t)v;
	return true;
}

/* Decimal VID at `*p`, which moves behind it; 0 if there is none. */
static vid_t vid_take(const char **p)
{
	unsigned v = 0;

	for (int n = 0; n < 4 && **p >= '0' && **p <= '9'; n++)
		v = v * 10 + (unsigned)(*(*p)++ - '0');
	return v <= VID_MAX ? (vid_t)v : 0;
}

bool value_vlans(const char *word, struct vlan_set *out)
{
	struct vlan_set s = { 0 };
	const char *p = word;

	if (strcmp(word, "all") == 0)
		p = "1-4094";
	for (;;) {
		vid_t first = vid_take(&p), last = first;

		if (*p == '-') {
			p++;
			last = vid_take(&p);
		}
		if (first == 0 || last < first)
			return false;
		for (vid_t v = first; v <= last; v++)
			vlan_set_add(&s, v);
		if (*p == '\0')
			break;
		if (*p++ != ',')
			return false;
	}
	*out = s;
	return true;
}

bool value_switch(const char *word, bool *out)
{
	bool is_on = strcmp(word, "on") == 0;

	if (!is_on && strcmp(word, "off") != 0)
		return false;
	*out = is_on;
	return true;
}

bool value_perm(const char *word, unsigned *out)
{
	size_t n = strlen(word);
	unsigned v = 0;

	if (n < 3 || n > 4 || (n == 4 && word[0] != '0') || strspn(word, "01234567") != n)
		return false;
	for (size_t i = 0; i < n; i++)
		v = v * 8 + (unsigned)(word[i] - '0');
	*out = v;
	return true;
}

/* Units of a number, rising; the first of a scale is the one that is printed. */
struct unit {
	const char *name;
	int64_t scale;
};

static const struct unit rate_units[] = {
	{ "bit", 1 },
	{ "", 1 },
	{ "kbit", 1000 },
	{ "mbit", 1000000 },
	{ "gbit", 1000000000 },
	{ "tbit", INT64_C(1000000000000) },
	{ NULL, 0 },
};

static const struct unit size_units[] = {
	{ "", 1 },	   { "b", 1 },	     { "k", 1 << 10 },	{ "kb", 1 << 10 }, { "m", 1 << 20 },
	{ "mb", 1 << 20 }, { "g", 1 << 30 }, { "gb", 1 << 30 }, { NULL, 0 },
};

/* A decimal number with a unit behind it: 1.5gbit. */
static bool value_scaled(const char *word, const struct unit *unit, int64_t *out)
{
	int64_t v = 0, divisor = 1;
	bool has_point = false;
	const char *p = word;

	for (; digit_of(*p) < 10 || (*p == '.' && !has_point); p++) {
		if (*p == '.') {
			has_point = true;
			continue;
		}
		if (v > (INT64_MAX - digit_of(*p)) / 10 || divisor > INT64_MAX / 10)
			return false;
		v = v * 10 + digit_of(*p);
		divisor *= has_point ? 10 : 1;
	}
	if (p == word || p[-1] == '.' || *word == '.')
		return false;
	while (unit->name && strcasecmp(unit->name, p) != 0)
		unit++;
	if (!unit->name || v > INT64_MAX / unit->scale || v * unit->scale % divisor)
		return false;
	*out = v * unit->scale / divisor;
	return true;
}

bool value_rate(const char *word, int64_t *out)
{
	return value_scaled(word, rate_units, out);
}

bool value_size(const char *word, int64_t *out)
{
	return value_scaled(word, size_units, out);
}

static char *format_scaled(int64_t v, const struct unit *unit, char buf[VALUE_UNITS_SIZE])
{
	const struct unit *best = unit;

	for (; unit->name && v; unit++) {
		if (v % unit->scale == 0 && unit->scale > best->scale)
			best = unit;
	}
	snprintf(buf, VALUE_UNITS_SIZE, "%lld%s", (long long)(v / best->scale), best->name);
	return buf;
}

char *value_rate_format(int64_t rate, char buf[VALUE_UNITS_SIZE])
{
	return format_scaled(rate, rate_units, buf);
}

char *value_size_format(int64_t size, char buf[VALUE_UNITS_SIZE])
{
	return format_scaled(size, size_units, buf);
}

bool value_name(const char *word)
{
	size_t n = strlen(word);

	if (n == 0 || n >= NAME_SIZE || !is_alnum(word[0]))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!is_alnum(word[i]) && strchr("._-", word[i]) == NULL)
			return false;
	return true;
}

bool value_device(const char *word)
{
	size_t n = strlen(word);

	if (n == 0 || n >= DEVICE_SIZE || strcmp(word, ".") == 0 || strcmp(word, "..") == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)word[i];

		if (c == '/' || c == ':' || c <= ' ' || c == 0x7f)
			return false;
	}
	return true;
}

char *value_mac_format(struct mac m, char buf[VALUE_MAC_SIZE])
{
	snprintf(buf, VALUE_MAC_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", m.b[0], m.b[1], m.b[2],
		 m.b[3], m.b[4], m.b[5]);
	return buf;
}

char *value_vlans_format(const struct vlan_set *s, char buf[VALUE_VLANS_SIZE])
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned first = 1, last; first <= VID_MAX; first = last + 1) {
		last = first;
		if (!vlan_set_has(s, (vid_t)first))
			continue;
		while (last < VID_MAX && vlan_set_has(s, (vid_t)(last + 1)))
			last++;
		if (first == 1 && last == VID_MAX)
			return strcpy(buf, "all");
		len += (size_t)snprintf(buf + len, VALUE_VLANS_SIZE - len, "%s%u",
					len > 0 ? "," : "", first);
		if (last > first)
			len += (size_t)snprintf(buf + len, VALUE_VLANS_SIZE - len, "-%u", last);
	}
	return buf;
}
