// SPDX-License-Identifier: Apache-2.0
/*
 * Words to values and back: MAC addresses, VLAN sets, numbers, switches, names. Used by the
 * grammar (command line, configuration files) and by the daemon on what comes over the socket, so
 * that all of them accept the same and print the same. Pure.
 *
 * A parser returns false and leaves `out` alone if the word is not exactly one value.
 */
#ifndef EVB_API_VALUE_H
#define EVB_API_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "types.h"

enum { VALUE_MAC_SIZE = 18, VALUE_VLANS_SIZE = 24576, VALUE_UNITS_SIZE = 28 };

bool value_mac(const char *word, struct mac *out);	  /* 52:54:00:00:00:01, also with '-' */
bool value_vid(const char *word, vid_t *out);		  /* 1..4094 */
bool value_vlans(const char *word, struct vlan_set *out); /* "all" or "1,10,20-30" */
bool value_int(const char *word, int64_t min, int64_t max, int64_t *out); /* decimal or 0x... */
bool value_switch(const char *word, bool *out);				  /* "on" or "off" */
bool value_perm(const char *word, unsigned *out); /* 3 or 4 octal digits up to 0777 */

/*
 * Bits a second, with the units of tc(8): 100mbit, 2.5gbit; bit, kbit, mbit, gbit, tbit are powers
 * of 1000, a bare number is bit. Octets: 64k; b, k or kb, m or mb, g or gb are powers of 1024.
 * Nothing is rounded: what is no whole number of bits or octets is refused.
 */
bool value_rate(const char *word, int64_t *out);
bool value_size(const char *word, int64_t *out);

/* Port or bridge: 1..31 of [A-Za-z0-9._-], first alphanumeric. */
bool value_name(const char *word);

/* Network device: 1..15 octets, no '/', ':', white space or control character, not "." or "..". */
bool value_device(const char *word);

/* Write the canonical form, NUL-terminated, and return `buf`. */
char *value_mac_format(struct mac m, char buf[VALUE_MAC_SIZE]);
char *value_rate_format(int64_t rate, char buf[VALUE_UNITS_SIZE]);
char *value_size_format(int64_t size, char buf[VALUE_UNITS_SIZE]);
char *value_vlans_format(const struct vlan_set *s, char buf[VALUE_VLANS_SIZE]);

#endif
