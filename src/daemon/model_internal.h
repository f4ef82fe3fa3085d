// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the model share: one function per request, the fields of a port, the check of
 * a port against all others. Only model*.c include it. Pure; control thread.
 *
 * Functions that take `e` return 0, or -errno with `e` set; the model is then unspecified.
 */
#ifndef EVB_DAEMON_MODEL_INTERNAL_H
#define EVB_DAEMON_MODEL_INTERNAL_H

#include <jansson.h>
#include <stddef.h>

#include "err.h"
#include "model.h"

enum { NAMES_SIZE = 200 }; /* five names, "and N more" */

/* Requests. */
int model_bridge_add(struct model *m, const json_t *params, struct err *e);
int model_bridge_set(struct model *m, const json_t *params, struct err *e);
int model_bridge_del(struct model *m, const json_t *params, struct err *e);
int model_port_add(struct model *m, const json_t *params, struct err *e);
int model_port_set(struct model *m, const json_t *params, struct err *e);
int model_port_del(struct model *m, const json_t *params, struct err *e);
int model_fdb_add(struct model *m, const json_t *params, struct err *e);
int model_fdb_del(struct model *m, const json_t *params, struct err *e);
int model_vsi_add(struct model *m, const json_t *params, struct err *e);
int model_vsi_set(struct model *m, const json_t *params, struct err *e);
int model_vsi_del(struct model *m, const json_t *params, struct err *e);
int model_vsitype_add(struct model *m, const json_t *params, struct err *e);
int model_vsitype_set(struct model *m, const json_t *params, struct err *e);
int model_vsitype_del(struct model *m, const json_t *params, struct err *e);

/* A string of params: "" if it is absent. */
const char *model_string(const json_t *params, const char *key);

/* Copy a word that schema_check() has measured; cut if it was not asked. */
void model_word(char *out, size_t size, const char *word);

int model_no_memory(struct err *e);

/* Index of an object that must exist; -ENOENT with `e` saying which there are. */
int model_need_bridge(const struct model *m, const char *name, struct err *e);
int model_need_port(const struct model *m, const char *name, struct err *e);

/* "vm1, vm2 and 3 more": ports of bridge `b` (-1: of all) but its uplink. Returns how many. */
unsigned model_list_ports(const struct model *m, int b, char out[NAMES_SIZE]);

/* Take an empty slot, whose content is unspecified: its index, or -errno with `e` set. */
int model_take_bridge(struct model *m, const char *name, struct err *e);
int model_take_port(struct model *m, const char *name, struct err *e);

/* Empty a slot, together with static entries of the FDB on the port. */
void model_drop_bridge(struct model *m, bridge_id b);
void model_drop_port(struct model *m, port_id id);

/* Add an entry, remove the one at `idx`. */
int model_fdb_append(struct model *m, const struct fdb_config *entry, struct err *e);
void model_fdb_remove(struct model *m, uint32_t idx);

int model_vsitype_append(struct model *m, const struct vsitype_config *type, struct err *e);

/* A new port without a name, with every field at its default. */
struct port_config model_port_default(bridge_id b, enum fwd_role role);

/*
 * Give `p` the values of those fields in `params` that `port set` knows; null is the default.
 * Refuses fields that the role does not have. Leaves to model_check_port() what needs a look at
 * other fields or ports.
 */
int model_fields_set(struct port_config *p, const json_t *params, struct err *e);

/* Add the fields that are not at their default to `params`. False without memory. */
bool model_fields_get(const struct port_config *p, json_t *params);

/* Likewise for what only `port add` knows: the kind and its fields. */
int model_kind_set(struct port_config *p, const json_t *params, struct err *e);
bool model_kind_get(const struct port_config *p, json_t *params);

/* The driver of that name, or `initial`. */
enum device_driver model_driver(const char *word, enum device_driver initial);

/* Does its S-channel go with the other ports of its device? */
int model_check_channel(const struct model *m, port_id id, struct err *e);

/*
 * Is this port as it may be, by itself and beside all others? First it gets what its VSI type says:
 * neither that may be wrong, nor what the port has of its own, to which it returns.
 */
int model_check_port(struct model *m, port_id id, struct err *e);

/* Give a station what its VSI type says, or what it has of its own. True if that is another. */
bool model_settle_port(const struct model *m, struct port_config *p);

/* Is its VSI, if it has one? */
int model_check_vsi(const struct model *m, port_id id, struct err *e);

/* A list of addresses from and to JSON; `v` NULL: none. `name` and `key` are for the message. */
int model_macs_set(const char *name, const char *key, struct mac_list *to, const json_t *v,
		   struct err *e);
json_t *model_macs_json(const struct mac_list *list);

/* The MAC address in `word`, if a guest may have it; `name` is the port's, for the message. */
int model_mac(const char *name, const char *word, struct mac *out, struct err *e);

/* VLAN of untagged frames; VID_NONE: none. */
vid_t model_pvid(const struct port_config *p);

#endif
