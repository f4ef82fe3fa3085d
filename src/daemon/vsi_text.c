// SPDX-License-Identifier: Apache-2.0
#include "vsi_text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "value.h"

static const char local_prefix[] = "local:";
static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* Hex digits, with a dash behind as many octets as `dashes` has a bit for. */
static bool parse_hex(const char *word, unsigned dashes, uint8_t out[16])
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned octet;

		if (!isxdigit((unsigned char)word[0]) || !isxdigit((unsigned char)word[1]) ||
		    sscanf(word, "%2x", &octet) != 1)
			return false;
		out[i] = (uint8_t)octet;
		word += 2;
		if (dashes >> (i + 1) & 1 && *word++ != '-')
			return false;
	}
	return !*word;
}

static size_t format_hex(const uint8_t octets[16], unsigned dashes, char *out)
{
	size_t n = 0;

	for (unsigned i = 0; i < 16; i++)
		n += (size_t)sprintf(out + n, "%02x%s", octets[i],
				     dashes >> (i + 1) & 1 ? "-" : "");
	return n;
}

enum { UUID_DASHES = 1 << 4 | 1 << 6 | 1 << 8 | 1 << 10 };

/* Octets of an address, IPv4 ones mapped; false if it is none. */
static bool parse_ip(const char *word, uint8_t out[16], bool *is_ipv4)
{
	uint8_t v4[4];

	*is_ipv4 = inet_pton(AF_INET, word, v4) == 1;
	if (!*is_ipv4)
		return inet_pton(AF_INET6, word, out) == 1;
	memcpy(out, mapped, sizeof(mapped));
	memcpy(out + sizeof(mapped), v4, sizeof(v4));
	return true;
}

bool vsi_id_parse(const char *word, struct vsi_id *out)
{
	struct vsi_id id = { .format = VSI_ID_UUID };
	struct mac mac;
	bool is_ipv4;

	if (parse_hex(word, UUID_DASHES, id.octets)) {
		*out = id;
		return true;
	}
	memset(id.octets, 0, sizeof(id.octets));
	if (!strncmp(word, local_prefix, strlen(local_prefix)) &&
	    parse_hex(word + strlen(local_prefix), 0, id.octets)) {
		id.format = VSI_ID_LOCAL;
	} else if (value_mac(word, &mac)) {
		id.format = VSI_ID_MAC;
		memset(id.octets, 0, sizeof(id.octets));
		memcpy(id.octets + 10, mac.b, sizeof(mac.b));
	} else if (parse_ip(word, id.octets, &is_ipv4)) {
		id.format = is_ipv4 ? VSI_ID_IPV4 : VSI_ID_IPV6;
	} else {
		return false;
	}
	*out = id;
	return true;
}

bool vdp_manager_parse(const char *word, struct vdp_manager *out)
{
	struct vdp_manager m = { .octets = { 0 } };
	int64_t number;
	bool is_ipv4;

	if (value_int(word, 0, UINT8_MAX, &number))
		m.octets[0] = (uint8_t)number;
	else if (!parse_ip(word, m.octets, &is_ipv4))
		return false;
	*out = m;
	return true;
}

static char *format_ip(const uint8_t octets[16], char buf[VSI_TEXT_SIZE])
{
	bool is_ipv4 = !memcmp(octets, mapped, sizeof(mapped));

	inet_ntop(is_ipv4 ? AF_INET : AF_INET6, octets + (is_ipv4 ? sizeof(mapped) : 0), buf,
		  VSI_TEXT_SIZE);
	return buf;
}

char *vsi_id_format(const struct vsi_id *id, char buf[VSI_TEXT_SIZE])
{
	struct mac mac;

	switch ((enum vsi_id_format)id->format) {
	case VSI_ID_IPV4:
	case VSI_ID_IPV6:
		return format_ip(id->octets, buf);
	case VSI_ID_MAC:
		memcpy(mac.b, id->octets + 10, sizeof(mac.b));
		return value_mac_format(mac, buf);
	case VSI_ID_UUID:
		format_hex(id->octets, UUID_DASHES, buf);
		return buf;
	case VSI_ID_LOCAL:
		break;
	}
	memcpy(buf, local_prefix, strlen(local_prefix));
	format_hex(id->octets, 0, buf + strlen(local_prefix));
	return buf;
}

char *vdp_manager_format(const struct vdp_manager *m, char buf[VSI_TEXT_SIZE])
{
	static const uint8_t zeroes[15];

	if (memcmp(m->octets + 1, zeroes, sizeof(zeroes)) != 0)
		return format_ip(m->octets, buf);
	snprintf(buf, VSI_TEXT_SIZE, "%u", m->octets[0]);
	return buf;
}

const char *vdp_request_name(enum vdp_request request)
{
	static const char *const name[] = {
		[VDP_PRE_ASSOCIATE] = "pre-associate",
		[VDP_PRE_ASSOCIATE_RR] = "pre-associate-rr",
		[VDP_ASSOCIATE] = "associate",
		[VDP_DE_ASSOCIATE] = "de-associate",
	};

	return request && (size_t)request < ARRAY_SIZE(name) ? name[request] : "none";
}

const char *vdp_error_name(unsigned error)
{
	static const char *const name[] = {
		[VDP_SUCCESS] = "success",
		[VDP_INVALID_FORMAT] = "invalid-format",
		[VDP_NO_RESOURCES] = "no-resources",
		[VDP_NO_MANAGER] = "no-manager",
		[VDP_OTHER] = "refused",
		[VDP_INVALID_FILTER] = "invalid-filter",
	};

	return error < ARRAY_SIZE(name) ? name[error] : "unknown";
}
