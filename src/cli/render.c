// SPDX-License-Identifier: Apache-2.0
#include "render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grammar.h"
#include "json_text.h"
#include "table.h"
#include "value.h"

void render_json(const struct cli *cli, const json_t *v)
{
	size_t flags = cli->pretty ? JSON_INDENT(4) : JSON_COMPACT;
	json_t *list = json_is_array(v) ? json_incref((json_t *)(uintptr_t)v) : json_pack("[O]", v);

	json_dumpf(list, stdout, flags);
	putchar('\n');
	json_decref(list);
}

/* What is amiss, and what to do about it. */
static void notes(struct table *t, const json_t *o)
{
	if (json_text(o, "reason")[0] != '\0')
		table_note(t, "%s", json_text(o, "reason"));
	if (json_text(o, "hint")[0] != '\0')
		table_note(t, "hint: %s", json_text(o, "hint"));
}

/* The active uplink, then those that wait, and in what state if they could not take over. */
static void uplink_cell(struct table *t, const json_t *b)
{
	const json_t *all = json_object_get(b, "uplinks");
	char text[128];
	size_t used;

	used = (size_t)snprintf(text, sizeof(text), "%s", json_text(b, "uplink"));
	for (size_t i = 0; i < json_array_size(all) && used < sizeof(text); i++) {
		const json_t *u = json_array_get(all, i);
		bool is_up = json_is(u, "operstate", "UP");

		if (!json_is_true(json_object_get(u, "active")))
			used += (size_t)snprintf(text + used, sizeof(text) - used, " (%s%s%s)",
						 json_text(u, "ifname"), is_up ? "" : " ",
						 is_up ? "" : json_text(u, "operstate"));
	}
	table_cell(t, "%s", text);
}

static void bridges(struct table *t, const json_t *b)
{
	char text[JSON_TEXT_SIZE];

	table_cell(t, "%s", json_text(b, "ifname"));
	table_cell(t, "%s", json_text(b, "type"));
	table_cell(t, "%s", json_text(b, "operstate"));
	table_cell(t, "%s", json_number(b, "mtu", text));
	uplink_cell(t, b);
	table_cell(t, "%s", json_number(b, "n_ports", text));
	table_cell(t, "%s", json_number(b, "n_macs", text));
	table_cell(t, "%s", json_number(b, "ageing", text));
	table_cell(t, "%s", json_text(b, "reflection"));
	notes(t, b);
}

/* Mode of a station; else what makes the port special. */
static const char *port_mode(const json_t *p)
{
	if (json_is(p, "role", "uplink"))
		return json_is_false(json_object_get(p, "active")) ? "backup" : "uplink";
	if (json_text(p, "mode")[0] != '\0')
		return json_text(p, "mode");
	return json_is_true(json_object_get(p, "reflective-relay")) ? "reflective" : "";
}

/* The first address, and how many more there are. */
static void address_cell(struct table *t, const json_t *list)
{
	const char *first = json_string_value(json_array_get(list, 0));
	size_t n = json_array_size(list);

	if (n > 1)
		table_cell(t, "%s +%zu", first != NULL ? first : "", n - 1);
	else
		table_cell(t, "%s", first != NULL ? first : "");
}

static void vlan_cell(struct table *t, const json_t *p)
{
	const char *trunk = json_text(p, "trunk");
	char vlan[JSON_TEXT_SIZE], native[JSON_TEXT_SIZE], svlan[JSON_TEXT_SIZE];

	json_number(p, "vlan", vlan);
	json_number(p, "native", native);
	json_number(p, "svlan", svlan);
	table_cell(t, "%s%s%s%s%s%s%s%s", vlan, trunk[0] != '\0' ? "trunk " : "", trunk,
		   (vlan[0] != '\0' || trunk[0] != '\0') && native[0] != '\0' ? " " : "",
		   native[0] != '\0' ? "native " : "", native, svlan[0] != '\0' ? " svlan " : "",
		   svlan);
}

static void ports(struct table *t, const json_t *p)
{
	char policy[POLICY_TEXT_SIZE];

	table_cell(t, "%s", json_text(p, "ifname"));
	table_cell(t, "%s", json_text(p, "bridge"));
	table_cell(t, "%s", json_text(p, "kind"));
	table_cell(t, "%s", port_mode(p));
	table_cell(t, "%s", json_text(p, "operstate"));
	address_cell(t, json_object_get(p, "address"));
	vlan_cell(t, p);
	if (render_policy(p, policy)[0] != '\0')
		table_note(t, "%s", policy);
	notes(t, p);
}

static void fdb(struct table *t, const json_t *entry)
{
	char text[JSON_TEXT_SIZE];
	bool any = json_object_get(entry, "vlan") == NULL;

	table_cell(t, "%s", json_text(entry, "mac"));
	table_cell(t, "%s", any ? "any" : json_number(entry, "vlan", text));
	table_cell(t, "%s", json_text(entry, "ifname"));
	table_cell(t, "%s", json_text(entry, "bridge"));
	table_cell(t, "%s", json_text(entry, "state"));
	table_cell(t, "%s", json_number(entry, "age", text));
}

static void mdb(struct table *t, const json_t *entry)
{
	const char *what = json_text(entry, "group");
	char text[JSON_TEXT_SIZE];
	bool filters = json_is_true(json_object_get(entry, "filters"));

	if (what[0] == '\0')
		what = json_text(entry, "querier");
	table_cell(t, "%s", what[0] != '\0' ? what : json_text(entry, "family"));
	table_cell(t, "%s", json_number(entry, "vlan", text));
	table_cell(t, "%s", json_text(entry, "ifname"));
	table_cell(t, "%s", json_text(entry, "bridge"));
	table_cell(t, "%s%s", json_text(entry, "type"), filters ? ", filters" : "");
	table_cell(t, "%s", json_number(entry, "timer", text));
}

static void drops(struct table *t, const json_t *port)
{
	const json_t *list = json_object_get(port, "drops");
	char text[JSON_TEXT_SIZE];

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *d = json_array_get(list, i);

		table_cell(t, "%s", json_text(port, "ifname"));
		table_cell(t, "%s", json_text(port, "bridge"));
		table_cell(t, "%s", json_number(d, "n", text));
		table_cell(t, "%s", json_text(d, "reason"));
		table_cell(t, "%s", json_text(d, "text"));
	}
}

static void links(struct table *t, const json_t *l)
{
	char text[JSON_TEXT_SIZE];
	char *ports = json_words(json_object_get(l, "ports"));
	const json_t *xdp = json_object_get(l, "xdp");

	table_cell(t, "%s", json_text(l, "ifname"));
	table_cell(t, "%s", json_text(l, json_object_get(l, "driver") ? "driver" : "kind"));
	table_cell(t, "%s", json_text(l, "operstate"));
	table_cell(t, "%s", json_number(l, "mtu", text));
	table_cell(t, "%s", json_text(l, "address"));
	table_cell(t, "%s", json_text(l, "hwmode"));
	table_cell(t, "%s", json_number(l, "num_vf", text));
	table_cell(t, "%s", xdp != NULL ? json_text(xdp, "mode") : "");
	table_cell(t, "%s", ports != NULL ? ports : "");
	notes(t, l);
	free(ports);
}

/* Counters, a line for each object that holds some. */
static void counter_notes(struct table *t, const char *name, json_t *stats)
{
	char line[512] = "";
	size_t n = 0;
	const char *key;
	json_t *v;

	json_object_foreach (stats, key, v) {
		if (json_is_object(v))
			counter_notes(t, key, v);
		else if (n < sizeof(line) && json_is_integer(v))
			n += (size_t)snprintf(line + n, sizeof(line) - n, " %s %lld", key,
					      (long long)json_integer_value(v));
		else if (n < sizeof(line) && json_is_true(v))
			n += (size_t)snprintf(line + n, sizeof(line) - n, " %s", key);
	}
	if (n)
		table_note(t, "%s:%s", name, line);
}

/* With counters: what either end says, and those. */
static void both_ends(struct table *t, const json_t *o)
{
	json_t *stats = json_object_get(o, "stats");

	if (stats == NULL)
		return;
	counter_notes(t, "local", json_object_get(o, "local"));
	counter_notes(t, "remote", json_object_get(o, "remote"));
	counter_notes(t, "counters", stats);
}

static void lldp(struct table *t, const json_t *l)
{
	const json_t *list = json_object_get(l, "neighbours");
	char text[JSON_TEXT_SIZE];
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n || i == 0; i++) {
		const json_t *o = json_array_get(list, i);

		table_cell(t, "%s", json_text(l, "ifname"));
		table_cell(t, "%s", json_text(l, "scope"));
		table_cell(t, "%s", n ? json_text(o, "system_name") : "");
		table_cell(t, "%s", n ? json_text(o, "chassis") : "");
		table_cell(t, "%s", n ? json_text(o, "port") : "");
		table_cell(t, "%s", n ? json_number(o, "left", text) : "");
	}
	if (json_is_false(json_object_get(l, "link")))
		table_note(t, "the port is not up");
	counter_notes(t, "counters", json_object_get(l, "stats"));
}

/* A value in use, and whose it is if the ends differ: "14", "20 (remote)". */
static void used_cell(struct table *t, const json_t *used, const char *key)
{
	const char *of = json_text(json_object_get(used, "of"), key);
	char text[JSON_TEXT_SIZE];

	table_cell(t, strcmp(of, "both") != 0 && of[0] ? "%s (%s)" : "%s",
		   json_number(used, key, text), of);
}

static void evbs(struct table *t, const json_t *e)
{
	const json_t *used = json_object_get(e, "used");
	char text[JSON_TEXT_SIZE];

	table_cell(t, "%s", json_text(e, "ifname"));
	table_cell(t, "%s", json_text(e, "bridge"));
	table_cell(t, "%s", json_text(e, "role"));
	table_cell(t, "%s", json_is_true(json_object_get(e, "peer")) ? "alive" : "none");
	table_cell(t, "%s", json_text(e, "generation"));
	table_cell(t, "%s", json_text(e, "reflection"));
	used_cell(t, used, "retries");
	used_cell(t, used, "rte");
	used_cell(t, used, "rwd");
	used_cell(t, used, "rka");
	table_cell(t, "%s", json_number(e, "vsis", text));
	notes(t, e);
	both_ends(t, e);
}

static void vsis(struct table *t, const json_t *v)
{
	char text[JSON_TEXT_SIZE];
	char *filters = json_words(json_object_get(v, "filters"));
	const json_t *timer = json_object_get(v, "timer"), *retry = json_object_get(v, "retry");

	table_cell(t, "%s", json_text(v, "ifname"));
	table_cell(t, "%s", json_text(v, "role"));
	table_cell(t, "%s", json_text(v, "state"));
	table_cell(t, "%s", json_text(v, "instance"));
	table_cell(t, "%s", json_text(v, "manager"));
	table_cell(t, "%s", json_number(v, "type", text));
	table_cell(t, "%s", json_number(v, "version", text));
	table_cell(t, "%s", filters != NULL ? filters : "");
	if (timer != NULL)
		table_cell(t, "%s %.1fs", json_text(v, "machine"), json_number_value(timer));
	else if (retry != NULL)
		table_cell(t, "retry %.1fs", json_number_value(retry));
	else if (json_object_get(v, "ago"))
		table_cell(t, "%.1fs ago", json_number_value(json_object_get(v, "ago")));
	else
		table_cell(t, "%s", json_text(v, "machine"));
	if (json_text(v, "link")[0])
		table_note(t, "%s: %s",
			   json_text(v, json_object_get(v, "uplink") ? "uplink" : "ifname"),
			   json_text(v, "link"));
	notes(t, v);
	counter_notes(t, "counters", json_object_get(v, "stats"));
	free(filters);
}

static void vsitypes(struct table *t, const json_t *v)
{
	static const char *const limits[] = { "rate-in", "rate-out", "pps-in", "pps-out" };
	char text[JSON_TEXT_SIZE], rate[VALUE_UNITS_SIZE];
	char *macs = json_words(json_object_get(v, "mac"));

	table_cell(t, "%s", json_number(v, "id", text));
	table_cell(t, "%s", json_object_get(v, "version") ? json_number(v, "version", text) : "0");
	table_cell(t, "%s", json_text(v, "manager")[0] ? json_text(v, "manager") : "any");
	table_cell(t, "%s", json_text(v, "vlan"));
	table_cell(t, "%s", json_number(v, "default-vlan", text));
	table_cell(t, "%s", macs != NULL ? macs : "");
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		json_int_t n = json_integer_value(json_object_get(v, limits[i]));

		if (i < 2)
			table_cell(t, "%s", n ? value_rate_format(n, rate) : "");
		else
			table_cell(t, "%s", json_number(v, limits[i], text));
	}
	table_cell(t, "%s", json_text(v, "mode"));
	table_cell(t, "%s", json_number(v, "reserved", text));
	free(macs);
}

/* The channels of one device. */
static void channels(struct table *t, const json_t *w)
{
	const json_t *list = json_object_get(w, "channels"), *c;
	char number[JSON_TEXT_SIZE], svid[JSON_TEXT_SIZE];
	size_t i;

	json_array_foreach (list, i, c) {
		table_cell(t, "%s", json_text(w, "dev"));
		table_cell(t, "%s", json_text(w, "role"));
		table_cell(t, "%s", json_is_true(json_object_get(w, "peer")) ? "alive" : "none");
		table_cell(t, "%s", json_number(c, "channel", number));
		table_cell(t, "%s", json_number(c, "svid", svid));
		table_cell(t, "%s", json_text(c, "port"));
		table_cell(t, "%s", json_text(c, "bridge"));
		table_cell(t, "%s", json_text(c, "operstate"));
		notes(t, c);
	}
	both_ends(t, w);
}

static const char *const bridge_headers[] = { "NAME",  "TYPE", "STATE",	 "MTU",	       "UPLINK",
					      "PORTS", "MACS", "AGEING", "REFLECTION", NULL };
static const char *const port_headers[] = { "NAME",  "BRIDGE",	"KIND", "MODE",
					    "STATE", "ADDRESS", "VLAN", NULL };
static const char *const fdb_headers[] = { "MAC", "VLAN", "PORT", "BRIDGE", "STATE", "AGE", NULL };
static const char *const mdb_headers[] = {
	"GROUP", "VLAN", "PORT", "BRIDGE", "TYPE", "TIMER", NULL
};
static const char *const drop_headers[] = { "PORT", "BRIDGE", "FRAMES", "REASON", "MEANING", NULL };

static const char *const link_headers[] = { "NAME",   "DRIVER", "STATE", "MTU",	  "ADDRESS",
					    "HWMODE", "VFS",	"XDP",	 "PORTS", NULL };

static const char *const lldp_headers[] = { "PORT",	"SCOPE", "NEIGHBOUR", "CHASSIS",
					    "ITS-PORT", "LEFT",	 NULL };
static const char *const evb_headers[] = { "PORT",	 "BRIDGE",     "ROLE", "PEER",
					   "GENERATION", "REFLECTION", "R",    "RTE",
					   "RWD",	 "RKA",	       "VSIS", NULL };

static const char *const vsi_headers[] = { "PORT", "ROLE",    "STATE",	 "INSTANCE", "MANAGER",
					   "TYPE", "VERSION", "FILTERS", "TIMER",    NULL };
static const char *const vsitype_headers[] = { "TYPE", "VERSION",  "MANAGER",  "VLANS",	 "DEFAULT",
					       "MACS", "RATE-IN",  "RATE-OUT", "PPS-IN", "PPS-OUT",
					       "MODE", "RESERVED", NULL };

static const char *const channel_headers[] = { "DEV",  "ROLE",	 "PEER",  "CHANNEL", "S-VLAN",
					       "PORT", "BRIDGE", "STATE", NULL };

static const struct {
	const char *method;
	const char *const *headers;
	void (*row)(struct table *t, const json_t *object);
} tables[] = {
	{ "bridge.show", bridge_headers, bridges },
	{ "port.show", port_headers, ports },
	{ "fdb.show", fdb_headers, fdb },
	{ "mdb.show", mdb_headers, mdb },
	{ "lldp.show", lldp_headers, lldp },
	{ "evb.show", evb_headers, evbs },
	{ "channel.show", channel_headers, channels },
	{ "drops.show", drop_headers, drops },
	{ "link.show", link_headers, links },
	{ "vsi.show", vsi_headers, vsis },
	{ "vsitype.show", vsitype_headers, vsitypes },
};

static bool render_table(const char *method, const json_t *list)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct table *t;

		if (strcmp(tables[i].method, method) != 0)
			continue;
		t = table_new(tables[i].headers);
		for (size_t k = 0; t != NULL && k < json_array_size(list); k++)
			tables[i].row(t, json_array_get(list, k));
		if (t != NULL)
			table_print(t, stdout);
		table_free(t);
		return true;
	}
	return false;
}

size_t render_config(const json_t *requests, FILE *out)
{
	size_t n_unknown = 0;

	for (size_t i = 0; i < json_array_size(requests); i++) {
		const json_t *r = json_array_get(requests, i);
		const char *method = json_text(r, "method");
		const struct command *c = schema_method(method);
		char *line = NULL;

		if (c != NULL && c->verb != NULL)
			line = grammar_format(c, json_object_get(r, "params"));
		if (line == NULL)
			n_unknown++;
		fprintf(out, "%s%s\n", line != NULL ? "" : "# not known to this evb: ",
			line != NULL ? line : method);
		free(line);
	}
	return n_unknown;
}

static void render_daemon(const json_t *d)
{
	json_int_t up = json_integer_value(json_object_get(d, "uptime"));

	for (void *it = json_object_iter((json_t *)(uintptr_t)d); it != NULL;
	     it = json_object_iter_next((json_t *)(uintptr_t)d, it)) {
		const char *key = json_object_iter_key(it);
		char *words = json_words(json_object_iter_value(it));

		if (strcmp(key, "uptime") == 0)
			printf("%-8s  %dd %02d:%02d:%02d\n", key, (int)(up / 86400),
			       (int)(up / 3600 % 24), (int)(up / 60 % 60), (int)(up % 60));
		else
			printf("%-8s  %s\n", key, words != NULL ? words : "");
		free(words);
	}
}

void render_result(const struct cli *cli, const struct command *c, const json_t *params,
		   const json_t *result)
{
	/* A change has nothing to say: iproute2 is as silent, with and without -j. */
	if (json_is_object(result) && json_object_size(result) == 0)
		return;
	if (cli->json)
		render_json(cli, result);
	else if (strcmp(c->method, "port.show") == 0 &&
		 (cli->stats || json_object_get(params, "ifname") != NULL ||
		  json_is_true(json_object_get(params, "stats"))))
		render_port_blocks(result);
	else if (strcmp(c->method, "config.show") == 0)
		render_config(result, stdout);
	else if (!render_table(c->method, result) && json_is_object(result))
		render_daemon(result);
}

/* A word of an event; with spaces in it, in quotes. */
static void put_word(const char *word)
{
	const char *quote = word[0] == '\0' || strchr(word, ' ') != NULL ? "\"" : "";

	printf(" %s%s%s", quote, word, quote);
}

static bool is_subject(const char *key)
{
	static const char *const keys[] = { "time", "kind", "action", "mac", "ifname" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

/* TIME KIND [ACTION] [MAC] NAME, then the rest by key. */
static void event_line(const json_t *event)
{
	json_t *o = (json_t *)(uintptr_t)event; /* jansson's iterators take no const */

	printf("%s %s", json_text(event, "time"), json_text(event, "kind"));
	if (json_object_get(event, "action") != NULL)
		put_word(json_text(event, "action"));
	if (json_object_get(event, "mac") != NULL)
		put_word(json_text(event, "mac"));
	if (json_object_get(event, "ifname") != NULL)
		put_word(json_text(event, "ifname"));
	for (void *it = json_object_iter(o); it != NULL; it = json_object_iter_next(o, it)) {
		const char *key = json_object_iter_key(it);
		char *word;

		if (is_subject(key))
			continue;
		word = json_words(json_object_iter_value(it));
		put_word(key);
		put_word(word != NULL ? word : "");
		free(word);
	}
	putchar('\n');
}

void render_event(const struct cli *cli, const json_t *event)
{
	if (cli->json) {
		json_dumpf(event, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		event_line(event);
	}
	fflush(stdout);
}
