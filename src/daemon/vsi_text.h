// SPDX-License-Identifier: Apache-2.0
/*
 * What identifies VSIs and their managers, as people write it, and back: the other side of
 * wire/vdp_tlv.h. Pure.
 */
#ifndef EVB_DAEMON_VSI_TEXT_H
#define EVB_DAEMON_VSI_TEXT_H

#include "vdp_tlv.h"

enum { VSI_TEXT_SIZE = 56 };

/* A UUID, MAC address, IPv4 or IPv6 address, or local:HEX of 32 digits. False if it is none. */
bool vsi_id_parse(const char *word, struct vsi_id *out);

/* A number 0..255, as libvirt has them; an IPv4 or IPv6 address. False if it is none. */
bool vdp_manager_parse(const char *word, struct vdp_manager *out);

/* The canonical form; returns `buf`. */
char *vsi_id_format(const struct vsi_id *id, char buf[VSI_TEXT_SIZE]);
char *vdp_manager_format(const struct vdp_manager *m, char buf[VSI_TEXT_SIZE]);

/* Words of the grammar, static: "associate"; "success", "no-resources". */
const char *vdp_request_name(enum vdp_request request);
const char *vdp_error_name(unsigned error);

#endif
