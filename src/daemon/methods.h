// SPDX-License-Identifier: Apache-2.0
/*
 * The methods of the control socket (docs/control-protocol.md): check the params against the
 * schema, apply a change to a copy of the model and have the plane follow, or show what there is.
 * Called by server.c for requests and by main.c for configuration files; control thread.
 */
#ifndef EVB_DAEMON_METHODS_H
#define EVB_DAEMON_METHODS_H

#include <jansson.h>

#include "log.h"
#include "loop.h"
#include "plane.h"
#include "relay.h"
#include "rpc.h"
#include "server.h"

/* What the methods work on; all of it outlives them. */
struct methods {
	struct plane *plane;
	struct server *server;
	const struct loop *loop;
	const struct relay *relay;
	const struct log *log;
	const char *socket; /* path, for daemon.show */
	tstamp started;
};

/* A server_call; `aux` is a struct methods. */
json_t *methods_call(void *aux, struct server_client *client, const char *method,
		     const json_t *params, struct rpc_error *error);

/*
 * Apply an array of {"method", "params", "line"}, all or nothing, as config.apply does. 0 or -1
 * with `error` set, and error->line if a line is to blame. `at_boot`: see plane_apply().
 */
int methods_apply(struct plane *plane, const json_t *requests, bool at_boot,
		  struct rpc_error *error);

/* ---- methods_show.c: results of the show methods; NULL with `error` set ---- */

json_t *show_bridges(const struct methods *m, const json_t *params, struct rpc_error *error);
json_t *show_ports(const struct methods *m, const json_t *params, struct rpc_error *error);
json_t *show_mdb(const struct methods *m, const json_t *params, struct rpc_error *error);
json_t *show_fdb(const struct methods *m, const json_t *params, struct rpc_error *error);
json_t *show_drops(const struct methods *m, const json_t *params, struct rpc_error *error);

/* ---- methods_link.c ---- */

json_t *show_links(const struct methods *m, const json_t *params, struct rpc_error *error);
/* Add to a port what its VSI type says, and what is its own. False without memory. */
bool show_policy(const struct model *m, const struct port_config *c, json_t *port);
/* Add to a port on a device which driver was chosen, by whom, and why. False without memory. */
bool show_driver(const struct methods *m, port_id id, json_t *port);
json_t *set_link(const struct methods *m, const json_t *params, struct rpc_error *error);

/* ---- methods_evb.c ---- */

json_t *show_lldp(const struct methods *m, const json_t *params, struct rpc_error *error);
json_t *show_evb(const struct methods *m, const json_t *params, struct rpc_error *error);
struct counter {
	const char *key;
	uint64_t n;
};

/* Counters that are not 0, and those of PDUs and TLVs that were not taken, by reason. */
json_t *show_counters(const struct counter *c, size_t n, const uint64_t *malformed);
json_t *show_ecp_stats(const struct ecp_stats *s);

/* Append what is to be shown of one port. */
typedef void port_rows(const struct methods *m, port_id id, bool stats, json_t *list);

/* The port that has what is to be shown of `id`; PORT_NONE: none. */
typedef port_id port_instead(const struct model *m, port_id id);

/* The rows of all ports, or of the one in params, or of that `instead` (NULL: itself). */
json_t *show_of_ports(const struct methods *m, const json_t *params, port_instead *instead,
		      port_rows *add, struct rpc_error *error);

/* "vdp" and "ecp". */
json_t *show_vdp_stats(const struct evb_link *l);

/* What is amiss and what to do about it, for a person: static; NULL: nothing. */
struct why {
	const char *reason, *hint;
};

/* Why there is no peer. */
struct why show_no_peer(const struct evb_link *l);

/* ---- methods_vsi.c ---- */

json_t *show_vsis(const struct methods *m, const json_t *params, struct rpc_error *error);
json_t *show_vsitypes(const struct methods *m, const json_t *params, struct rpc_error *error);

/* ---- methods_channel.c ---- */

json_t *show_channels(const struct methods *m, const json_t *params, struct rpc_error *error);

/* ---- methods_vhost.c ---- */

/* The `vhost` object of a port; NULL without memory. */
json_t *show_vhost(const struct vhost_user_info *v);

/*
 * What the params name: id of the port or bridge under `key`, -1 if the key is absent. False with
 * `error` set if there is no such thing.
 */
bool params_port(const struct model *m, const json_t *params, const char *key, int *id,
		 struct rpc_error *error);
bool params_bridge(const struct model *m, const json_t *params, const char *key, int *id,
		   struct rpc_error *error);

#endif
