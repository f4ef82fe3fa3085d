// SPDX-License-Identifier: Apache-2.0
#include "rpc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *rpc_fail(struct rpc_error *error, int code, int err, const char *fmt, ...)
{
	char message[sizeof(error->err.message)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	error->code = code;
	error->line = 0;
	err_set(&error->err, err, "%s", message);
	return NULL;
}

static int fail(struct rpc_error *error, int code, const char *message, const char *hint)
{
	rpc_fail(error, code, EINVAL, "%s", message);
	err_hint(&error->err, "%s", hint);
	return -1;
}

static int no_memory(struct rpc_error *error)
{
	rpc_fail(error, RPC_REFUSED, ENOMEM, "out of memory");
	return -1;
}

/* An id is a string, a number or null (JSON-RPC 2.0, section 4). */
static bool id_is_legal(const json_t *id)
{
	return json_is_string(id) || json_is_number(id) || json_is_null(id);
}

int rpc_parse(const char *line, size_t size, struct rpc_request *req, struct rpc_error *error)
{
	static const char *const example =
		"one object a line, as in {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"port.show\"}";
	json_error_t why;
	json_t *id, *version, *method;

	*req = (struct rpc_request){ .root = NULL };
	req->root = json_loadb(line, size, JSON_REJECT_DUPLICATES, &why);
	if (!req->root && !why.text[0]) /* jansson names what it finds in the text */
		return no_memory(error);
	if (!req->root) {
		rpc_fail(error, RPC_PARSE, EINVAL, "not JSON: %s", why.text);
		err_hint(&error->err, "%s", example);
		return -1;
	}
	if (!json_is_object(req->root))
		return fail(error, RPC_REQUEST, "the request is not a JSON object", example);
	id = json_object_get(req->root, "id");
	if (id && !id_is_legal(id))
		return fail(error, RPC_REQUEST, "id is neither string nor number", example);
	req->id = id;
	version = json_object_get(req->root, "jsonrpc");
	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
		return fail(error, RPC_REQUEST, "jsonrpc is not \"2.0\"", example);
	method = json_object_get(req->root, "method");
	if (!json_is_string(method))
		return fail(error, RPC_REQUEST, "method is missing or not a string", example);
	req->method = json_string_value(method);
	req->params = json_object_get(req->root, "params");
	if (!req->params) {
		req->params = json_object();
		if (!req->params || json_object_set_new(req->root, "params", req->params) < 0)
			return no_memory(error);
	}
	if (!json_is_object(req->params))
		return fail(error, RPC_PARAMS, "params is not an object",
			    "params are given by name: {\"ifname\":\"vm1\"}");
	return 0;
}

char *rpc_line(const json_t *object)
{
	size_t size = json_dumpb(object, NULL, 0, JSON_COMPACT);
	char *line;

	if (!size)
		return NULL;
	line = malloc(size + 2);
	if (!line)
		return NULL;
	if (json_dumpb(object, line, size, JSON_COMPACT) != size) {
		free(line);
		return NULL;
	}
	line[size] = '\n';
	line[size + 1] = '\0';
	return line;
}

/* Takes the value in any case; json_pack() would lose it without memory. */
static bool put(json_t *object, const char *key, json_t *value_take)
{
	return json_object_set_new(object, key, value_take) == 0;
}

/* {"jsonrpc","id",key:value} as a line; takes `value`. */
static char *answer(const json_t *id, const char *key, json_t *value_take)
{
	json_t *object = json_object();
	bool ok = put(object, "jsonrpc", json_string("2.0"));
	char *line = NULL;

	ok = put(object, key, value_take) && ok &&
	     put(object, "id", id ? json_deep_copy(id) : json_null());
	if (ok)
		line = rpc_line(object);
	json_decref(object);
	return line;
}

char *rpc_answer(const json_t *id, json_t *result_take)
{
	return result_take ? answer(id, "result", result_take) : NULL;
}

/* Messages may quote octets that a peer sent, which need not be UTF-8; JSON has to be. */
static json_t *text(const char *s)
{
	char clean[256];
	json_t *t = json_string(s);
	size_t i;

	if (t)
		return t;
	for (i = 0; i < sizeof(clean) - 1 && s[i]; i++)
		clean[i] = (unsigned char)s[i] < 0x80 ? s[i] : '?';
	clean[i] = '\0';
	return json_string(clean);
}

char *rpc_answer_error(const json_t *id, const struct rpc_error *error)
{
	const char *name = strerrorname_np(error->err.code);
	json_t *data = json_object(), *body = json_object();
	bool ok = put(data, "hint", text(error->err.hint)) &&
		  put(data, "errno", json_string(name ? name : "EINVAL")) &&
		  (!error->line || put(data, "line", json_integer(error->line))) &&
		  put(body, "code", json_integer(error->code)) &&
		  put(body, "message", text(error->err.message));

	if (put(body, "data", data) && ok)
		return answer(id, "error", body);
	json_decref(body);
	return NULL;
}
