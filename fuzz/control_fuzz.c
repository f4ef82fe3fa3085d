// SPDX-License-Identifier: Apache-2.0
/*
 * The control socket from its first octet: lines from anywhere go through the real server,
 * JSON-RPC, schema, methods and model. Only the plane is a double, which becomes like whatever it
 * is told, or refuses if a port is called "refused". Whatever the octets are:
 *
 *   every request with an id gets its answer, in order, and every error says what is wrong;
 *   what was refused has changed nothing;
 *   what was accepted comes back from `config show`, as requests and as lines of a file;
 *   a request and the line of the grammar that stands for it do the same;
 *   it makes no difference in which pieces the octets come.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "grammar.h"
#include "methods.h"
#include "netlink.h"
#include "nic.h"
#include "schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the plane's double ---- */

struct plane {
	struct model model;
	const struct events *events;
	unsigned n_applied;
};

static bool macs_equal(const struct mac_list *a, const struct mac_list *b)
{
	return a->n == b->n && memcmp(a->mac, b->mac, a->n * sizeof(a->mac[0])) == 0;
}

static bool ports_equal(const struct port_config *p, const struct port_config *q)
{
	return strcmp(p->name, q->name) == 0 && p->kind == q->kind && p->role == q->role &&
	       p->mode == q->mode && strcmp(p->dev, q->dev) == 0 &&
	       strcmp(p->netns, q->netns) == 0 && p->guest_is_vm == q->guest_is_vm &&
	       strcmp(p->owner, q->owner) == 0 && strcmp(p->group, q->group) == 0 &&
	       p->has_trunk == q->has_trunk && p->vlan == q->vlan && p->native == q->native &&
	       memcmp(&p->trunk, &q->trunk, sizeof(p->trunk)) == 0 && p->reserved == q->reserved &&
	       p->maclimit == q->maclimit && p->spoof_guard == q->spoof_guard &&
	       p->promisc == q->promisc && p->standby == q->standby && p->nodst == q->nodst &&
	       p->offload == q->offload && p->reflective_relay == q->reflective_relay &&
	       p->mtu == q->mtu && macs_equal(&p->macs, &q->macs) &&
	       macs_equal(&p->source, &q->source);
}

static bool bridges_equal(const struct bridge_config *b, const struct bridge_config *c)
{
	return strcmp(b->name, c->name) == 0 && b->is_learning == c->is_learning &&
	       b->ageing_s == c->ageing_s;
}

/* Is each port of `a` also in `b`, on the bridge of the same name? Slots may differ. */
static bool has_ports_of(const struct model *b, const struct model *a)
{
	for (uint32_t i = 0; i < a->n_ports; i++) {
		const struct port_config *p = &a->port[i];
		int id = model_find_port(b, p->name);

		if (!p->name[0])
			continue;
		if (id < 0 || !ports_equal(p, &b->port[id]) ||
		    !bridges_equal(&a->bridge[p->bridge], &b->bridge[b->port[id].bridge]))
			return false;
	}
	return true;
}

static bool has_bridges_of(const struct model *b, const struct model *a)
{
	for (uint32_t i = 0; i < a->n_bridges; i++) {
		const struct bridge_config *c = &a->bridge[i];
		int id = model_find_bridge(b, c->name);

		if (c->name[0] && (id < 0 || !bridges_equal(c, &b->bridge[id])))
			return false;
	}
	return true;
}

static bool fdb_equal(const struct model *a, const struct model *b)
{
	if (a->n_fdb != b->n_fdb)
		return false;
	for (uint32_t i = 0; i < a->n_fdb; i++) {
		const struct fdb_config *f = &a->fdb[i], *g = &b->fdb[i];

		if (f->vid != g->vid || !mac_equal(f->mac, g->mac) ||
		    strcmp(a->port[f->port].name, b->port[g->port].name) != 0)
			return false;
	}
	return true;
}

static bool models_equal(const struct model *a, const struct model *b)
{
	return has_bridges_of(a, b) && has_bridges_of(b, a) && has_ports_of(a, b) &&
	       has_ports_of(b, a) && fdb_equal(a, b);
}

static struct model copy_of(const struct model *m)
{
	struct model copy;

	model_init(&copy);
	if (!model_copy(&copy, m))
		abort();
	return copy;
}

/* The requests as text of a configuration file. */
static char *file_of(const json_t *requests, size_t *size)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, size);
	json_t *request;
	size_t i;

	assert(f);
	json_array_foreach (requests, i, request) {
		const char *method = json_string_value(json_object_get(request, "method"));
		char *line =
			grammar_format(schema_method(method), json_object_get(request, "params"));

		assert(line);
		fprintf(f, "%s\n", line);
		free(line);
	}
	fclose(f);
	return text;
}

/* What `config show` prints and what `evbd -c` reads is the same configuration. */
static void check_file(const json_t *requests)
{
	size_t size, i;
	char *text = file_of(requests, &size);
	int line;
	struct err e;
	json_t *again = grammar_parse_file(text, size, &line, &e), *r;

	assert(again && json_array_size(again) == json_array_size(requests));
	json_array_foreach (again, i, r) {
		const json_t *request = json_array_get(requests, i);

		assert(json_equal(json_object_get(r, "method"),
				  json_object_get(request, "method")));
		assert(json_equal(json_object_get(r, "params"),
				  json_object_get(request, "params")));
	}
	json_decref(again);
	free(text);
}

/* The model is what its requests make. */
static void check_model(const struct model *m)
{
	json_t *requests = model_requests(m), *request;
	struct model again;
	size_t i;

	assert(requests);
	model_init(&again);
	json_array_foreach (requests, i, request) {
		const char *method = json_string_value(json_object_get(request, "method"));
		const json_t *params = json_object_get(request, "params");
		struct err e;

		assert(schema_check(schema_method(method), params, &e) == 0);
		assert(model_apply(&again, method, params, &e) == 0);
	}
	assert(models_equal(m, &again));
	check_file(requests);
	model_free(&again);
	json_decref(requests);
}

const struct model *plane_model(const struct plane *p)
{
	return &p->model;
}

int plane_apply(struct plane *p, const struct model *target, bool at_boot, struct err *e)
{
	assert(!at_boot);
	check_model(target);
	if (model_find_port(target, "refused") >= 0) {
		err_set(e, EBUSY, "refused: the device is busy");
		return err_hint(e, "take another one");
	}
	if (!model_copy(&p->model, target))
		abort();
	p->n_applied++;
	event_bridge(p->events, "br0", "set");
	return 0;
}

void plane_fdb_flush(struct plane *p, int bridge, port_id port)
{
	assert(bridge < (int)p->model.n_bridges);
	assert(port == PORT_NONE || port < p->model.n_ports);
	event_fdb(p->events, (struct mac){ { 2 } }, "p0", 1, "flush");
}

const char *plane_operstate_name(enum plane_operstate s)
{
	assert(s == PLANE_UP);
	return "UP";
}

void plane_port_status(const struct plane *p, port_id id, struct plane_status *out)
{
	assert(p->model.port[id].name[0]);
	*out = (struct plane_status){ .operstate = PLANE_UP, .mtu = MTU_DEFAULT };
}

void plane_bridge_status(const struct plane *p, bridge_id id, struct plane_status *out)
{
	assert(p->model.bridge[id].name[0]);
	*out = (struct plane_status){ .operstate = PLANE_UP, .mtu = MTU_DEFAULT };
}

void plane_port_counters(const struct plane *p, port_id id, struct port_counters *out)
{
	assert(p->model.port[id].name[0]);
	memset(out, 0, sizeof(*out));
	out->drops[DROP_spoof] = 1;
}

bool plane_port_xdp(const struct plane *p, port_id id, struct xdp_info *out, char why[256])
{
	why[0] = '\0';
	return false;
}

bool plane_port_vhost(const struct plane *p, port_id id, struct vhost_user_info *out)
{
	*out = (struct vhost_user_info){ .features = ~UINT64_C(0), .n_rings = 4 };
	return p->model.port[id].kind == KIND_VHOST_USER;
}

uint64_t plane_bridge_moves(const struct plane *p, bridge_id id)
{
	return id;
}

/* One address was learned, on the first port. */
void plane_groups_each(const struct plane *p, plane_group_cb *cb, void *aux)
{
	struct group_entry e = { .kind = GROUP_MEMBER, .group = { { 0xff, 2, [15] = 1 } } };

	if (p->model.n_ports && p->model.port[0].name[0]) {
		cb(aux, 0, &e, NS_PER_S);
		cb(aux, 0, NULL, 0);
	}
}

void plane_learned_each(struct plane *p, plane_learned_cb *cb, void *aux)
{
	if (p->model.n_ports && p->model.port[0].name[0])
		cb(aux, &(struct plane_learned){ .mac = { { 2 } }, .vid = 1, .ages = true });
}

/* Nobody speaks to another bridge here. */
enum plane_reflection plane_bridge_reflection(const struct plane *p, bridge_id b)
{
	return PLANE_RR_UNASKED;
}

const char *plane_reflection_name(enum plane_reflection r)
{
	return "";
}

const struct agents *plane_agents(const struct plane *p)
{
	return NULL;
}

const struct lldp *agents_lldp(const struct agents *a, port_id port, enum lldp_scope scope)
{
	return NULL;
}

const struct cdcp *agents_cdcp(const struct agents *a, port_id port)
{
	return NULL;
}

const struct evb_link *agents_evb(const struct agents *a, port_id port)
{
	return NULL;
}

void plane_nic_changed(struct plane *p, const char *dev)
{
	assert(strlen(dev) < IFNAMSIZ);
}

int broker_set_hwmode(const char *dev, bool is_vepa, struct err *e)
{
	return is_vepa ? 0 : err_set(e, EOPNOTSUPP, "%s: no such switch", dev);
}

int netlink_link_get(const char *name, struct link_info *out)
{
	*out = (struct link_info){ .ifindex = 2 };
	snprintf(out->name, sizeof(out->name), "%s", name);
	return name[0] == 'e' ? 0 : -ENODEV;
}

bool link_is_running(const struct link_info *link)
{
	return true;
}

void nic_get(const struct link_info *link, struct nic *out)
{
	*out = (struct nic){ .hwmode = NIC_VEB, .xdp_mode = 2, .driver = "fuzz" };
}

const char *nic_hwmode_name(enum nic_hwmode mode)
{
	return "veb";
}

unsigned relay_n_workers(const struct relay *r)
{
	return 1;
}

/* ---- requests ---- */

struct fixture {
	struct log log;
	struct events events;
	struct loop *loop;
	struct plane plane;
	struct methods methods;
	unsigned n_calls;
};

/* The request as words does what it does as JSON. */
static void check_grammar(const struct model *m, const struct command *c, const json_t *params)
{
	struct model a = copy_of(m), b = copy_of(m);
	char *line = grammar_format(c, params);
	struct err e;
	int number, err;
	json_t *list;

	assert(line);
	list = grammar_parse_file(line, strlen(line), &number, &e);
	assert(list && json_array_size(list) == 1);
	err = model_apply(&a, c->method, params, &e);
	assert(model_apply(&b, c->method, json_object_get(json_array_get(list, 0), "params"), &e) ==
	       err);
	assert(err || models_equal(&a, &b));
	json_decref(list);
	free(line);
	model_free(&a);
	model_free(&b);
}

static bool is_code(int code)
{
	return code == RPC_REFUSED || code == RPC_METHOD || code == RPC_PARAMS ||
	       code == RPC_REQUEST;
}

static json_t *call(void *aux, struct server_client *client, const char *method,
		    const json_t *params, struct rpc_error *error)
{
	struct fixture *f = aux;
	const struct command *c = schema_method(method);
	unsigned n_applied = f->plane.n_applied;
	struct model before = copy_of(&f->plane.model);
	json_t *result;
	struct err e;

	if (c && c->changes && schema_check(c, params, &e) == 0)
		check_grammar(&before, c, params);
	f->n_calls++;
	result = methods_call(&f->methods, client, method, params, error);
	if (!result) {
		assert(is_code(error->code) && error->err.message[0]);
		assert(error->err.code > 0 && strerrorname_np(error->err.code));
		assert(f->plane.n_applied == n_applied);
	}
	assert(f->plane.n_applied != n_applied || models_equal(&before, &f->plane.model));
	model_free(&before);
	return result;
}

static void start(struct fixture *f)
{
	char dir[] = "/tmp/evb-control-fuzz-XXXXXX", path[64];
	struct err e;

	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/sock", dir);
	f->log.level = LOG_LEVEL_ERROR;
	f->loop = loop_new();
	f->plane.events = &f->events;
	f->methods = (struct methods){ .plane = &f->plane, .loop = f->loop, .socket = "sock" };
	f->methods.server = server_new(f->loop, &f->log, &f->events, path, &e);
	assert(f->methods.server);
	server_start(f->methods.server, call, f);
	unlink(path); /* nobody connects to it: clients are socket pairs */
	rmdir(dir);
}

/* ---- the peer ---- */

struct text {
	char *at;
	size_t size, max;
};

static void text_add(struct text *t, const char *octets, size_t size)
{
	if (t->size + size > t->max) {
		t->max = 2 * (t->size + size);
		t->at = realloc(t->at, t->max);
		assert(t->at);
	}
	memcpy(t->at + t->size, octets, size);
	t->size += size;
}

/* Read what there is. False at the end. */
static bool drain(int fd, struct text *out)
{
	char buf[16384];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		text_add(out, buf, (size_t)n);
	return n < 0 && errno == EAGAIN;
}

/* Say the octets, `piece` at a time, and hear what comes back. The model is empty before. */
static void converse(struct fixture *f, const uint8_t *data, size_t size, size_t piece,
		     struct text *out)
{
	size_t at = 0;
	unsigned idle = 0;
	int pair[2];

	model_free(&f->plane.model);
	f->methods.started = loop_now(f->loop);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	assert(server_adopt(f->methods.server, pair[1]));
	for (bool open = true; open && idle < 4; idle++) {
		unsigned n_calls = f->n_calls;
		size_t had = out->size, left = size - at;
		ssize_t n = send(pair[0], data + at, left < piece ? left : piece, MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		if (at == size)
			shutdown(pair[0], SHUT_WR);
		loop_turn(f->loop, 0);
		open = drain(pair[0], out);
		if (at < size || f->n_calls != n_calls || out->size != had)
			idle = 0;
	}
	assert(at == size);
	close(pair[0]);
	for (int i = 0; i < 3; i++) /* notice, close, free */
		loop_turn(f->loop, 0);
}

/* ---- the answers ---- */

static void check_error(const json_t *error)
{
	const json_t *data = json_object_get(error, "data");
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *name = json_string_value(json_object_get(data, "errno"));

	assert(json_integer_value(json_object_get(error, "code")) < 0);
	assert(message && message[0]);
	assert(json_is_string(json_object_get(data, "hint")));
	assert(name && name[0] == 'E');
}

/* The next answer, events passed over; NULL at the end. */
static json_t *next_answer(const struct text *out, size_t *at)
{
	while (*at < out->size) {
		const char *line = out->at + *at, *end = memchr(line, '\n', out->size - *at);
		json_t *answer;

		assert(end);
		answer = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
		assert(answer);
		*at += (size_t)(end - line) + 1;
		assert(strcmp(json_string_value(json_object_get(answer, "jsonrpc")), "2.0") == 0);
		if (!json_object_get(answer, "method"))
			return answer;
		json_decref(answer);
	}
	return NULL;
}

/* The answer to one line is there, if there has to be one. */
static void check_line(const char *line, size_t size, const struct text *out, size_t *at)
{
	struct rpc_request req;
	struct rpc_error error = { .code = 0 };
	int err = rpc_parse(line, size, &req, &error);
	json_t *null = json_null();

	assert(!err || error.err.message[0]);
	if (err || req.id) {
		json_t *answer = next_answer(out, at);
		const json_t *reason = json_object_get(answer, "error");

		assert(answer);
		assert(json_equal(json_object_get(answer, "id"), req.id ? req.id : null));
		assert(!reason == !!json_object_get(answer, "result"));
		assert(!err || json_integer_value(json_object_get(reason, "code")) == error.code);
		if (reason)
			check_error(reason);
		json_decref(answer);
	}
	json_decref(req.root);
}

static void check_answers(const char *data, size_t size, const struct text *out)
{
	size_t at = 0;
	const char *end = data + size;

	for (const char *line = data; line < end;) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t n = (size_t)((newline ? newline : end) - line), blank = 0;

		if (n && line[n - 1] == '\r')
			n--;
		while (blank < n && strchr(" \t\r", line[blank]) && line[blank])
			blank++;
		if (blank < n)
			check_line(line, n, out, &at);
		line = newline ? newline + 1 : end;
	}
	assert(next_answer(out, &at) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fixture f;
	struct text out = { NULL, 0, 0 }, pieces = { NULL, 0, 0 };
	struct model whole;
	size_t at = 0, n = 0, n_pieces = 0;
	json_t *answer;

	if (size > RPC_LINE_MAX)
		return 0;
	if (!f.loop)
		start(&f);
	converse(&f, data, size, size, &out);
	check_answers((const char *)data, size, &out);
	if (size % 4 == 0 && size) {
		whole = f.plane.model;
		model_init(&f.plane.model);
		converse(&f, data, size, 1 + size / 10, &pieces);
		assert(models_equal(&whole, &f.plane.model));
		model_free(&whole);
		for (; (answer = next_answer(&out, &at)); n++)
			json_decref(answer);
		for (at = 0; (answer = next_answer(&pieces, &at)); n_pieces++)
			json_decref(answer);
		assert(n == n_pieces);
	}
	free(out.at);
	free(pieces.at);
	return 0;
}
