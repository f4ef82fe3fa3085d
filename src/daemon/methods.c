// SPDX-License-Identifier: Apache-2.0
#include "methods.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "schema.h"

static json_t *done(void)
{
	return json_object();
}

static json_t *refused(struct rpc_error *error, int code, const struct err *e)
{
	error->code = code;
	error->err = *e;
	return NULL;
}

/* ---- changes ---- */

/* The command of a request that changes the configuration, with its params checked; or NULL. */
static const struct command *check_change(const char *method, const json_t *params,
					  struct rpc_error *error)
{
	const struct command *c = schema_method(method);
	struct err e;

	if (!c || !c->changes) {
		rpc_fail(error, RPC_REQUEST, EINVAL, "%.64s: does not change the configuration",
			 method);
		err_hint(&error->err, "only add, set and del of bridge, port and fdb may be here");
		return NULL;
	}
	if (schema_check(c, params, &e) < 0) {
		refused(error, RPC_PARAMS, &e);
		return NULL;
	}
	return c;
}

/* Apply one element of a list of requests to a model. */
static int apply_request(struct model *m, const json_t *request, struct rpc_error *error)
{
	const char *method = json_string_value(json_object_get(request, "method"));
	const json_t *params = json_object_get(request, "params");
	json_t *none = NULL;
	struct err e;
	int err = -1;

	if (!method || (params && !json_is_object(params))) {
		rpc_fail(error, RPC_PARAMS, EINVAL, "a request has no method or bad params");
		err_hint(&error->err, "a request is {\"method\":..., \"params\":{...}}");
	} else {
		if (!params)
			params = none = json_object();
		if (check_change(method, params, error)) {
			err = model_apply(m, method, params, &e);
			if (err)
				refused(error, RPC_REFUSED, &e);
		}
	}
	if (err)
		error->line = (int)json_integer_value(json_object_get(request, "line"));
	json_decref(none);
	return err ? -1 : 0;
}

static int apply_requests(struct model *m, const json_t *requests, struct rpc_error *error)
{
	json_t *request;
	size_t i;

	if (!json_is_array(requests)) {
		rpc_fail(error, RPC_PARAMS, EINVAL, "requests is not an array");
		return -1;
	}
	json_array_foreach (requests, i, request)
		if (apply_request(m, request, error) < 0)
			return -1;
	return 0;
}

/* Is the word of `size` octets one of a list as in eth0,eth1? */
static bool list_has(const char *list, const char *word, size_t size)
{
	while (list && *list) {
		size_t n = strcspn(list, ",");

		if (n == size && !strncmp(list, word, size))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

/* The line of the request for the port whose name the message of an error starts with. */
static int line_of(const json_t *requests, const struct err *e)
{
	size_t size = strcspn(e->message, ":"), i;
	json_t *request;
	int line = 0;

	json_array_foreach (requests, i, request) {
		const json_t *params = json_object_get(request, "params");
		const char *name = json_string_value(json_object_get(params, "ifname"));

		if (!name)
			name = json_string_value(json_object_get(params, "uplink"));
		if (list_has(name, e->message, size))
			line = (int)json_integer_value(json_object_get(request, "line"));
	}
	return line;
}

int methods_apply(struct plane *plane, const json_t *requests, bool at_boot,
		  struct rpc_error *error)
{
	struct model m;
	struct err e;
	int err;

	model_init(&m);
	error->line = 0;
	if (!model_copy(&m, plane_model(plane))) {
		rpc_fail(error, RPC_REFUSED, ENOMEM, "out of memory");
		return -1;
	}
	err = apply_requests(&m, requests, error);
	if (!err && plane_apply(plane, &m, at_boot, &e) < 0) {
		refused(error, RPC_REFUSED, &e);
		error->line = line_of(requests, &e);
		err = -1;
	}
	model_free(&m);
	return err;
}

static json_t *change(const struct methods *m, const char *method, const json_t *params,
		      struct rpc_error *error)
{
	json_t *result = done(); /* first: once all is done, it must not fail */
	struct model next;
	struct err e;
	int err;

	model_init(&next);
	if (!result || !model_copy(&next, plane_model(m->plane)))
		err = err_set(&e, ENOMEM, "out of memory");
	else
		err = model_apply(&next, method, params, &e);
	if (!err)
		err = plane_apply(m->plane, &next, false, &e);
	model_free(&next);
	if (!err)
		return result;
	json_decref(result);
	return refused(error, RPC_REFUSED, &e);
}

static json_t *config_apply(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	json_t *result = done();

	if (result &&
	    methods_apply(m->plane, json_object_get(params, "requests"), false, error) == 0)
		return result;
	json_decref(result);
	return NULL;
}

static json_t *config_check(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	struct model empty;
	int err;

	model_init(&empty);
	err = apply_requests(&empty, json_object_get(params, "requests"), error);
	model_free(&empty);
	return err ? NULL : done();
}

static json_t *config_show(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	return model_requests(plane_model(m->plane));
}

static json_t *fdb_flush(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	const struct model *model = plane_model(m->plane);
	int bridge, port;

	if (!params_bridge(model, params, "bridge", &bridge, error) ||
	    !params_port(model, params, "port", &port, error))
		return NULL;
	plane_fdb_flush(m->plane, bridge, port < 0 ? PORT_NONE : (port_id)port);
	return done();
}

/* ---- the daemon ---- */

static json_t *daemon_show(const struct methods *m, const json_t *params, struct rpc_error *error)
{
	const struct model *model = plane_model(m->plane);
	json_int_t n_ports = 0, n_bridges = 0;

	for (uint32_t i = 0; i < model->n_ports; i++)
		n_ports += model->port[i].name[0] != '\0';
	for (uint32_t b = 0; b < model->n_bridges; b++)
		n_bridges += model->bridge[b].name[0] != '\0';
	return json_pack("{s:s, s:i, s:s, s:i, s:I, s:I, s:I}", "version", EVB_VERSION, "pid",
			 (int)getpid(), "socket", m->socket, "workers",
			 (int)relay_n_workers(m->relay), "ports", n_ports, "bridges", n_bridges,
			 "uptime", (json_int_t)((loop_now(m->loop) - m->started) / NS_PER_S));
}

static json_t *subscribe(const struct methods *m, struct server_client *client,
			 const json_t *params, struct rpc_error *error)
{
	const json_t *kinds = json_object_get(params, "kinds");
	uint32_t mask = kinds ? 0 : (1u << EVENT_KINDS_N) - 1;
	json_t *kind;
	size_t i;

	json_array_foreach (kinds, i, kind) {
		const char *name = json_is_string(kind) ? json_string_value(kind) : "?";
		enum event_kind k = event_kind_find(name);

		if (k == EVENT_KINDS_N) {
			rpc_fail(error, RPC_PARAMS, EINVAL, "there are no events of kind %.32s",
				 name);
			err_hint(&error->err, "kinds are: %s", event_kind_names());
			return NULL;
		}
		mask |= 1u << k;
	}
	server_subscribe(m->server, client, mask);
	return done();
}

/* ---- dispatch ---- */

typedef json_t *method_fn(const struct methods *m, const json_t *params, struct rpc_error *error);

static method_fn *method_find(const char *method)
{
	static const struct {
		const char *method;
		method_fn *fn;
	} table[] = {
		{ "bridge.show", show_bridges },   { "port.show", show_ports },
		{ "fdb.show", show_fdb },	   { "drops.show", show_drops },
		{ "mdb.show", show_mdb },	   { "lldp.show", show_lldp },
		{ "evb.show", show_evb },	   { "fdb.flush", fdb_flush },
		{ "config.apply", config_apply },  { "config.check", config_check },
		{ "config.show", config_show },	   { "daemon.show", daemon_show },
		{ "vsi.show", show_vsis },	   { "vsitype.show", show_vsitypes },
		{ "channel.show", show_channels }, { "link.show", show_links },
		{ "link.set", set_link },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(method, table[i].method))
			return table[i].fn;
	return NULL;
}

json_t *methods_call(void *aux, struct server_client *client, const char *method,
		     const json_t *params, struct rpc_error *error)
{
	const struct methods *m = aux;
	const struct command *c = schema_method(method);
	method_fn *fn = method_find(method);
	json_t *result;
	struct err e;

	if (!c) {
		rpc_fail(error, RPC_METHOD, ENOSYS, "there is no method %.64s", method);
		err_hint(&error->err, "docs/control-protocol.md lists the methods");
		return NULL;
	}
	error->line = 0;
	if (schema_check(c, params, &e) < 0)
		return refused(error, RPC_PARAMS, &e);
	error->err = (struct err){ .code = 0 };
	if (fn)
		result = fn(m, params, error);
	else if (c->changes)
		result = change(m, method, params, error);
	else
		result = subscribe(m, client, params, error);
	if (!result && !error->err.code)
		rpc_fail(error, RPC_REFUSED, ENOMEM, "out of memory");
	return result;
}
