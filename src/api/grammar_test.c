// SPDX-License-Identifier: Apache-2.0
#include "grammar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "types.h"
#include "value.h"

enum { WORDS_MAX = 64 };

/* Cut `line` at its spaces, in place. */
static int split(char *line, const char *words[WORDS_MAX])
{
	int n = 0;

	for (char *save, *w = strtok_r(line, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	return n;
}

static json_t *parse(const char *line, const struct command **c, struct err *e)
{
	const char *words[WORDS_MAX];
	char *copy = strdup(line);
	json_t *params = grammar_parse(split(copy, words), words, c, e);

	free(copy);
	return params;
}

/* JSON with ' for ", so that the tables can be read. */
static json_t *json_of(const char *text)
{
	char *copy = strdup(text);
	json_t *v;

	for (char *p = copy; (p = strchr(p, '\'')) != NULL;)
		*p = '"';
	v = json_loads(copy, 0, NULL);
	free(copy);
	assert_non_null(v);
	return v;
}

static const struct {
	const char *line, *method, *params;
} good[] = {
	{ "bridge add br0 type learning ageing 10", "bridge.add",
	  "{'bridge':'br0','type':'learning','ageing':10}" },
	{ "bridge add br0 uplink eth0", "bridge.add", "{'bridge':'br0','uplink':'eth0'}" },
	{ "bridge set br0 ageing none", "bridge.set", "{'bridge':'br0','ageing':null}" },
	{ "bridge del br0", "bridge.del", "{'bridge':'br0'}" },
	{ "bridge", "bridge.show", "{}" },
	{ "bridge show br0", "bridge.show", "{'bridge':'br0'}" },
	{ "bridge show bridge br0", "bridge.show", "{'bridge':'br0'}" },
	{ "bridge show bridge bridge", "bridge.show", "{'bridge':'bridge'}" },
	{ "port add vm1 bridge br0 tap mac 52:54:00:00:00:0A,52-54-00-00-00-02 mode vepa",
	  "port.add",
	  "{'ifname':'vm1','bridge':'br0','kind':'tap',"
	  "'mac':['52:54:00:00:00:0a','52:54:00:00:00:02'],"
	  "'mode':'vepa'}" },
	{ "port add c1 bridge br0 tap netns c1 name eth0", "port.add",
	  "{'ifname':'c1','bridge':'br0','kind':'tap','netns':'c1','name':'eth0'}" },
	{ "port add p1 packet veth1 bridge sw0 reflective-relay on", "port.add",
	  "{'ifname':'p1','bridge':'sw0','kind':'packet','dev':'veth1','reflective-relay':true}" },
	{ "port add bridge bridge bridge memory", "port.add",
	  "{'ifname':'bridge','bridge':'bridge','kind':'memory'}" },
	{ "port add t bridge b tap trunk 30,1,2,3 native 2 reserved 0x4000", "port.add",
	  "{'ifname':'t','bridge':'b','kind':'tap','trunk':'1-3,30','native':2,'reserved':16384}" },
	{ "port add v1 bridge br0 vhost-user /run/evb/v1 client queues 4 config on", "port.add",
	  "{'ifname':'v1','bridge':'br0','kind':'vhost-user','path':'/run/evb/v1','client':true,"
	  "'queues':4,'config':true}" },
	{ "port add v1 bridge br0 perm 660 client vhost-user /a/b owner qemu", "port.add",
	  "{'ifname':'v1','bridge':'br0','kind':'vhost-user','path':'/a/b','client':true,"
	  "'perm':'0660','owner':'qemu'}" },
	{ "port add up bridge b packet e role uplink native none", "port.add",
	  "{'ifname':'up','bridge':'b','kind':'packet','dev':'e','role':'uplink','native':null}" },
	{ "port set vm1 mode bridge", "port.set", "{'ifname':'vm1','mode':'bridge'}" },
	{ "port set vm1 mac none trunk none spoof-guard off", "port.set",
	  "{'ifname':'vm1','mac':null,'trunk':null,'spoof-guard':false}" },
	{ "port del vm1", "port.del", "{'ifname':'vm1'}" },
	{ "p", "port.show", "{}" },
	{ "p s", "port.show", "{}" },
	{ "p s vm1", "port.show", "{'ifname':'vm1'}" },
	{ "port show bridge br0 stats on", "port.show", "{'bridge':'br0','stats':true}" },
	{ "port show vm1 bridge br0", "port.show", "{'ifname':'vm1','bridge':'br0'}" },
	{ "fdb", "fdb.show", "{}" },
	{ "fdb show bridge b port p", "fdb.show", "{'bridge':'b','port':'p'}" },
	{ "fdb add 02:00:00:00:00:01 port p vlan 5", "fdb.add",
	  "{'mac':'02:00:00:00:00:01','port':'p','vlan':5}" },
	{ "fdb del 02:00:00:00:00:01 bridge b", "fdb.del",
	  "{'mac':'02:00:00:00:00:01','bridge':'b'}" },
	{ "fdb flush", "fdb.flush", "{}" },
	{ "lldp", "lldp.show", "{}" },
	{ "lldp p1 stats on", "lldp.show", "{'port':'p1','stats':true}" },
	{ "evb show eth0", "evb.show", "{'port':'eth0'}" },
	{ "port set eth0 evb auto lldp non-tpmr,nearest-bridge", "port.set",
	  "{'ifname':'eth0','evb':'auto','lldp':'non-tpmr,nearest-bridge'}" },
	{ "port set eth0 evb none lldp none", "port.set",
	  "{'ifname':'eth0','evb':null,'lldp':null}" },
	{ "bridge set br0 vepa-fallback local", "bridge.set",
	  "{'bridge':'br0','vepa-fallback':'local'}" },
	{ "drops", "drops.show", "{}" },
	{ "drops show vm1", "drops.show", "{'port':'vm1'}" },
	{ "d vm1", "drops.show", "{'port':'vm1'}" },
	{ "drops show s", "drops.show", "{'port':'s'}" },
	{ "config", "config.show", "{}" },
	{ "config check /etc/x", NULL, "{'file':'/etc/x'}" },
	{ "config save", NULL, "{}" },
	{ "config load -", NULL, "{'file':'-'}" },
	{ "monitor", "monitor.subscribe", "{}" },
	{ "monitor link fault", "monitor.subscribe", "{'kinds':['link','fault']}" },
	{ "daemon show", "daemon.show", "{}" },
	{ "help", NULL, "{}" },
	{ "help port", NULL, "{'object':'port'}" },
	{ "port help", NULL, "{'object':'port'}" },
};

static void parse_understands(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		const struct command *c = NULL;
		struct err e = { 0 };
		json_t *want = json_of(good[i].params), *got = parse(good[i].line, &c, &e);

		if (got == NULL)
			fail_msg("%s: %s", good[i].line, e.message);
		if (!json_equal(want, got))
			fail_msg("%s: got %s", good[i].line, json_dumps(got, JSON_COMPACT));
		if (good[i].method == NULL)
			assert_null(c->method);
		else
			assert_string_equal(c->method, good[i].method);
		json_decref(want);
		json_decref(got);
	}
}

static const struct {
	const char *line, *message, *hint;
} bad[] = {
	{ "", "there is no object \"\"", "bridge, port" },
	{ "port set eth0 evb on", "\"on\" is not a value of \"evb\"", "auto" },
	{ "bridge set br0 vepa-fallback loc", "is not a value of \"vepa-fallback\"", "local" },
	{ "prot show", "there is no object \"prot\"", "did you mean \"port\"" },
	{ "xyzzy", "there is no object \"xyzzy\"", "bridge, port, fdb" },
	{ "port ad1 vm1", "port: there is no verb \"ad1\"", "did you mean \"port add\"" },
	{ "port vm1", "port: there is no verb \"vm1\"", "show, add, set or del" },
	{ "port addd vm1", "no verb \"addd\"", "did you mean \"port add\"" },
	{ "config apply x", "config: there is no verb \"apply\"", "show, check, save or load" },
	{ "bridge add", "bridge add: \"bridge\" is missing", "name of the new bridge" },
	{ "bridge add -x", "\"-x\" is not a value of \"bridge\"", "first a letter or digit" },
	{ "bridge add b type", "\"type\" needs a value", "edge, learning or kernel" },
	{ "bridge add b type egde", "\"egde\" is not a value of \"type\"",
	  "did you mean \"edge\"" },
	{ "bridge add b type hub", "\"hub\" is not a value of \"type\"",
	  "edge, learning or kernel" },
	{ "bridge add b ageing 0", "\"0\" is not a value of \"ageing\"", "from 1 to 1000000" },
	{ "bridge add b ageing none", "\"none\" is not a value of \"ageing\"", "a number" },
	{ "bridge add b ageing 1 ageing 1", "\"ageing\" is given twice", "once" },
	{ "bridge add b aging 1", "\"aging\" is not understood", "did you mean \"ageing\"" },
	{ "bridge add b bridge c", "\"bridge\" is given twice", "once" },
	{ "bridge add b zzzzzzz", "\"zzzzzzz\" is not understood", "what can follow: type" },
	{ "bridge del b c", "bridge del: \"c\" is not understood", "nothing more can follow" },
	{ "bridge add b uplink a/b", "\"a/b\" is not a value of \"uplink\"", "15 octets" },
	{ "port add vm1 bridge br0", "port add: the kind is missing",
	  "packet, xdp, vhost-user, host or memory" },
	{ "port add vm1 tap", "port add: \"bridge\" is missing", "bridge it belongs to" },
	{ "port add vm1 bridge b tap tap", "\"tap\" is given twice", "once" },
	{ "port add vm1 bridge b tap memory", "both \"tap\" and \"memory\"", "choose one" },
	{ "port add vm1 bridge b packet", "\"packet\" needs a value", "network device" },
	{ "port add vm1 bridge b vhost-user", "\"vhost-user\" needs a value", "absolute path" },
	{ "port add vm1 bridge b vhost-user vm1", "\"vm1\" is not a value of \"path\"",
	  "absolute path of at most 107" },
	{ "port add vm1 bridge b vhost-user /a client client", "\"client\" is given twice",
	  "once" },
	{ "port add vm1 bridge b vhost-user /a client on", "\"on\" is not understood",
	  "help port" },
	{ "port add vm1 bridge b vhost-user /a perm 0888", "\"0888\" is not a value",
	  "as in 0660" },
	{ "port add vm1 bridge b vhost-user /a queues 17", "\"17\" is not a value",
	  "from 1 to 16" },
	{ "port add vm1 bridge b vhost-usr /a", "\"vhost-usr\" is not", "mean \"vhost-user\"" },
	{ "port add vm1 bridge b packet a:b", "\"a:b\" is not a value of \"dev\"",
	  "network device" },
	{ "port add vm1 bridge b tap dev e", "\"dev\" is not understood", NULL },
	{ "port add vm1 bridge b tap mdoe vepa", "\"mdoe\" is not understood",
	  "did you mean \"mode\"" },
	{ "port add vm1 bridge b tap frobnicate", "\"frobnicate\" is not understood",
	  "see: evb help port" },
	{ "port set vm1 mode vpea", "\"vpea\" is not a value of \"mode\"",
	  "did you mean \"vepa\"" },
	{ "port set vm1 mode x", "\"x\" is not a value of \"mode\"",
	  "passthru or source, or none" },
	{ "port set vm1 mac 1:2", "\"1:2\" is not a value of \"mac\"", "52:54:00:00:00:01" },
	{ "port set vm1 mac 02:00:00:00:00:01,", "is not a value of \"mac\"", "MAC addresses" },
	{ "port set vm1 vlan 4095", "\"4095\" is not a value of \"vlan\"", "1 to 4094, or none" },
	{ "port set vm1 trunk 9-1", "\"9-1\" is not a value of \"trunk\"", "1,10,20-30, or all" },
	{ "port set vm1 spoof-guard yes", "\"yes\" is not a value", "on or off, or none" },
	{ "port set vm1 kind tap", "\"kind\" is not understood", NULL },
	{ "port set vm1 mode", "\"mode\" needs a value", "private, vepa" },
	{ "port set", "port set: \"ifname\" is missing", "name of the port" },
	{ "fdb add zz port p", "\"zz\" is not a value of \"mac\"", "a MAC address" },
	{ "fdb add 02:00:00:00:00:01", "\"port\" is missing", "port it is on" },
	{ "drops a b", "drops show: \"b\" is not understood", "nothing more can follow" },
	{ "monitor links", "\"links\" is not a value of \"kinds\"", "did you mean \"link\"" },
	{ "monitor link link", "\"link\" is given twice", "once" },
	{ "monitor kinds", "\"kinds\" is not a value of \"kinds\"", "port, bridge" },
	{ "help prot", "\"prot\" is not a value of \"object\"", "did you mean \"port\"" },
	{ "daemon show x", "daemon show: \"x\" is not understood", "nothing more can follow" },
	{ "config check", "config check: \"file\" is missing", "one command a line" },
};

static void parse_refuses(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct command *c;
		struct err e = { 0 };

		if (parse(bad[i].line, &c, &e) != NULL)
			fail_msg("%s: accepted", bad[i].line);
		if (strstr(e.message, bad[i].message) == NULL)
			fail_msg("%s: said \"%s\"", bad[i].line, e.message);
		if (bad[i].hint != NULL && strstr(e.hint, bad[i].hint) == NULL)
			fail_msg("%s: hinted \"%s\"", bad[i].line, e.hint);
		assert_int_not_equal(e.code, 0);
	}
}

static json_t *parse_text(const char *text, int *line, struct err *e)
{
	return grammar_parse_file(text, strlen(text), line, e);
}

static void file_reads_lines(void **state)
{
	static const char text[] = "# a comment\n"
				   "\n"
				   "bridge add br0\t uplink 'eth0'  # the wire\r\n"
				   "port add vm1 bridge br0 tap netns \"/run/my ns/#1\"\n"
				   "port add p bridge br0 tap netns a'\"'\"'\"b";
	json_t *want =
		json_of("[{'method':'bridge.add','line':3,"
			"'params':{'bridge':'br0','uplink':'eth0'}},"
			"{'method':'port.add','line':4,'params':{'ifname':'vm1','bridge':'br0',"
			"'kind':'tap','netns':'/run/my ns/#1'}},"
			"{'method':'port.add','line':5,'params':{'ifname':'p','bridge':'br0',"
			"'kind':'tap','netns':'?'}}]");
	json_t *params = json_object_get(json_array_get(want, 2), "params");
	struct err e = { 0 };
	int line = -1;
	json_t *got = parse_text(text, &line, &e);

	json_object_set_new(params, "netns", json_string("a\"'b"));
	assert_string_equal(e.message, "");
	if (!json_equal(want, got))
		fail_msg("got %s", json_dumps(got, JSON_COMPACT));
	assert_int_equal(line, -1);
	json_decref(want);
	json_decref(got);
	got = parse_text("", &line, &e);
	assert_int_equal(json_array_size(got), 0);
	assert_true(json_is_array(got));
	json_decref(got);
}

static const struct {
	const char *text;
	int line;
	const char *message, *hint;
} bad_files[] = {
	{ "bridge add b\nbridge addd c\n", 2, "no verb \"addd\"", "bridge add" },
	{ "\n\n\nport add vm1 bridge 'br0 tap\nbridge add c\n", 4, "quotation mark (')", "line" },
	{ "bridge add \"b", 1, "quotation mark (\") is never closed", "ends on the line" },
	{ "bridge add b\nport show\n", 2, "\"port show\" changes no configuration",
	  "add, set, del" },
	{ "fdb flush\n", 1, "\"fdb flush\" changes no configuration", "add, set, del" },
	{ "config load x\n", 1, "\"config load\" changes no configuration", NULL },
	{ "evb bridge add b\n", 1, "begins with \"evb\"", "leave it out" },
	{ "bridge add b\x01\n", 1, "control character", "text file" },
	{ "bridge add ''\n", 1, "\"\" is not a value of \"bridge\"", "A-Z" },
	{ "port add vm1 bridge b tap netns \xff\n", 1, "\"netns\"", "printable" },
	{ "bridge add b#c\n", 1, "\"b#c\" is not a value", "A-Z" },
};

static void file_names_the_line(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_files); i++) {
		struct err e = { 0 };
		int line = -1;

		assert_null(parse_text(bad_files[i].text, &line, &e));
		if (strstr(e.message, bad_files[i].message) == NULL)
			fail_msg("%zu: said \"%s\"", i, e.message);
		if (bad_files[i].hint != NULL && strstr(e.hint, bad_files[i].hint) == NULL)
			fail_msg("%zu: hinted \"%s\"", i, e.hint);
		assert_int_equal(line, bad_files[i].line);
	}
}

static void file_refuses_nul_and_endless_lines(void **state)
{
	char text[2 * 200];
	struct err e;
	int line = 0;

	assert_null(grammar_parse_file("bridge add b\0c", 14, &line, &e));
	assert_non_null(strstr(e.message, "control character"));
	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "a ", 2);
	assert_null(grammar_parse_file(text, 2 * 128, &line, &e));
	assert_null(strstr(e.message, "words"));
	assert_null(grammar_parse_file(text, sizeof(text), &line, &e));
	assert_non_null(strstr(e.message, "more than 128 words"));
	assert_int_equal(line, 1);
}

/* A small generator of its own, so that a failure can be had again from its seed. */
static unsigned rnd(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

static json_t *random_string(unsigned *seed)
{
	static const char alphabet[] = "ab /#'\"=.-\\,";
	char s[12];
	unsigned n = 1 + rnd(seed, sizeof(s) - 1);

	for (unsigned i = 0; i < n; i++)
		s[i] = alphabet[rnd(seed, sizeof(alphabet) - 1)];
	return json_stringn(s, n);
}

static json_t *random_mac(unsigned *seed)
{
	char text[VALUE_MAC_SIZE];
	struct mac m;

	for (int i = 0; i < 6; i++)
		m.b[i] = (uint8_t)rnd(seed, 256);
	return json_string(value_mac_format(m, text));
}

static json_t *random_vlans(unsigned *seed)
{
	static char text[VALUE_VLANS_SIZE];
	struct vlan_set s = { 0 };

	for (unsigned n = rnd(seed, 50) + 1; n > 0; n--)
		vlan_set_add(&s, (vid_t)(1 + rnd(seed, VID_MAX)));
	return json_string(value_vlans_format(&s, text));
}

static json_t *random_word(const struct field *f, unsigned *seed)
{
	unsigned n = 0;

	while (f->words[n] != NULL)
		n++;
	return json_string(f->words[rnd(seed, n)]);
}

static json_t *random_list(const struct field *f, unsigned *seed)
{
	json_t *list = json_array();

	if (f->type == FIELD_WORDS)
		json_array_append_new(list, random_word(f, seed));
	else
		for (unsigned n = 1 + rnd(seed, (unsigned)f->max); n > 0; n--)
			json_array_append_new(list, random_mac(seed));
	return list;
}

static json_t *random_value(const struct field *f, unsigned *seed)
{
	static const char *const names[] = {
		"vm1", "bridge", "port", "stats", "show", "none", "s"
	};

	if ((f->flags & FIELD_NONE) != 0 && rnd(seed, 4) == 0)
		return json_null();
	switch (f->type) {
	case FIELD_DEVICES:
		return json_sprintf("%s,%s", names[rnd(seed, 3)], names[rnd(seed, 3)]);
	case FIELD_NAME:
	case FIELD_DEVICE:
		return json_string(names[rnd(seed, ARRAY_SIZE(names))]);
	case FIELD_STRING:
		return random_string(seed);
	case FIELD_WORD:
		return random_word(f, seed);
	case FIELD_INT:
	case FIELD_RATE:
	case FIELD_SIZE:
		return json_integer(f->min + rnd(seed, (unsigned)(f->max - f->min + 1)));
	case FIELD_SWITCH:
		return json_boolean(rnd(seed, 2));
	case FIELD_VID:
		return json_integer(1 + rnd(seed, VID_MAX));
	case FIELD_VLANS:
		return random_vlans(seed);
	case FIELD_MAC:
		return random_mac(seed);
	case FIELD_MACS:
	case FIELD_WORDS:
		return random_list(f, seed);
	case FIELD_PATH:
		return json_string(rnd(seed, 2) != 0 ? "/run/a \"b\" it's" : "/run/vlan");
	case FIELD_PERM:
		return json_sprintf("%04o", rnd(seed, 0777));
	case FIELD_FLAG:
		return json_true();
	case FIELD_KIND:
	case FIELD_REQUESTS:
		break;
	}
	return NULL;
}

static json_t *random_params(const struct command *c, unsigned *seed)
{
	json_t *params = json_object();

	for (size_t i = 0; i < c->n_fields; i++) {
		const struct field *f = &c->fields[i];

		if (f->type == FIELD_KIND) {
			if (json_object_get(params, "kind") != NULL && rnd(seed, 2) == 0)
				continue;
			json_object_del(params, "dev");
			json_object_del(params, "path");
			json_object_set_new(params, "kind", json_string(f->key));
			if (f->arg != NULL)
				json_object_set_new(params, f->arg->key,
						    random_value(f->arg, seed));
		} else if ((f->flags & FIELD_REQUIRED) != 0 || rnd(seed, 2) == 0) {
			json_object_set_new(params, f->key, random_value(f, seed));
		}
	}
	return params;
}

/* params -> line -> words as the shell or a file cut them -> params. */
static void round_trip(const struct command *c, const json_t *params, unsigned seed)
{
	char *line = grammar_format(c, params);
	struct err e = { 0 };
	int number = 0;
	json_t *got, *back;

	assert_non_null(line);
	if (schema_check(c, params, &e) != 0)
		fail_msg("seed %u: %s: %s", seed, line, e.message);
	if (!c->changes) {
		const struct command *again = NULL;

		if (strpbrk(line, "'\"") != NULL) {
			free(line);
			return;
		}
		back = parse(line, &again, &e);
		assert_ptr_equal(again, c);
	} else {
		got = parse_text(line, &number, &e);
		if (got == NULL)
			fail_msg("seed %u: %s: %s", seed, line, e.message);
		back = json_incref(json_object_get(json_array_get(got, 0), "params"));
		json_decref(got);
	}
	if (!json_equal(back, params))
		fail_msg("seed %u: %s: %s", seed, line, json_dumps(back, JSON_COMPACT));
	json_decref(back);
	free(line);
}

static void format_is_the_inverse_of_parse(void **state)
{
	size_t n;
	const struct command *c = schema_commands(&n);

	for (unsigned run = 0; run < 3000; run++) {
		unsigned seed = run;
		const struct command *cmd = &c[run % n];
		json_t *params;

		if (cmd->verb == NULL)
			continue;
		params = random_params(cmd, &seed);
		round_trip(cmd, params, run);
		json_decref(params);
	}
}

static void format_writes_canonical_lines(void **state)
{
	static const char *const lines[] = {
		"bridge add br0 type learning ageing 10",
		"port add vm1 bridge br0 tap mac 52:54:00:00:00:01 mode vepa",
		"port add p1 bridge sw0 packet veth1 reflective-relay on",
		"port set vm1 mac none mode bridge",
		"fdb add 02:00:00:00:00:01 port p vlan 5",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		const struct command *c;
		struct err e;
		json_t *params = parse(lines[i], &c, &e);
		char *line = grammar_format(c, params);

		assert_string_equal(line, lines[i]);
		free(line);
		json_decref(params);
	}
}

static bool list_has(const json_t *list, const char *word)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), word) == 0)
			return true;
	return false;
}

static void complete_offers(void **state)
{
	static const struct {
		const char *line, *offers, *not_offers; /* one of each; NULL: nothing at all */
	} rows[] = {
		{ "|", "port", NULL },
		{ "p|", "port", "bridge" },
		{ "port |", "add", "vm1" },
		{ "port s|", "set", "add" },
		{ "port set |", "@port", "mode" },
		{ "port add |", NULL, NULL },
		{ "port add vm1 |", "packet", "ifname" },
		{ "port add vm1 bridge |", "@bridge", "@port" },
		{ "port add vm1 bridge b packet |", "@device", "mode" },
		{ "port add vm1 bridge b packet eth0 |", "mode", "tap" },
		{ "port add vm1 bridge b tap netns |", "@netns", "mode" },
		{ "port add vm1 bridge b vhost-user |", "@file", "client" },
		{ "port add vm1 bridge b vhost-user /a |", "client", "memory" },
		{ "port add vm1 bridge b vhost-user /a client |", "queues", "client" },
		{ "port set vm1 mode |", "vepa", "mac" },
		{ "port set vm1 mode p|", "passthru", "vepa" },
		{ "port set vm1 mode |", "none", "mac" },
		{ "port set vm1 mode vepa |", "mac", "mode" },
		{ "port set vm1 promisc |", "on", "mode" },
		{ "port set vm1 nonsense x |", NULL, NULL },
		{ "port set vm1 mode mode |", NULL, NULL },
		{ "port show |", "@port", "ifname" },
		{ "port show |", "bridge", "ifname" },
		{ "drops |", "@port", "add" },
		{ "drops |", "show", "add" },
		{ "fdb add 02:00:00:00:00:01 port |", "@port", "@bridge" },
		{ "config check |", "@file", NULL },
		{ "monitor link |", "fault", "add" },
		{ "help |", "port", "add" },
		{ "xyzzy |", NULL, NULL },
		{ "xyzzy foo |", NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *words[WORDS_MAX];
		char *line = strdup(rows[i].line), *text;
		bool is_new = strlen(line) == 1 || line[strlen(line) - 2] == ' ';
		json_t *list;
		int n;

		line[strlen(line) - 1] = '\0';
		n = split(line, words);
		if (is_new)
			words[n++] = "";
		list = grammar_complete(n, words);
		text = json_dumps(list, JSON_COMPACT);
		if (rows[i].offers == NULL && json_array_size(list) != 0)
			fail_msg("%s offers %s", rows[i].line, text);
		if (rows[i].offers != NULL && !list_has(list, rows[i].offers))
			fail_msg("%s offers %s, not %s", rows[i].line, text, rows[i].offers);
		if (rows[i].not_offers != NULL && list_has(list, rows[i].not_offers))
			fail_msg("%s offers %s with %s", rows[i].line, text, rows[i].not_offers);
		free(text);
		free(line);
		json_decref(list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_understands),
		cmocka_unit_test(parse_refuses),
		cmocka_unit_test(file_reads_lines),
		cmocka_unit_test(file_names_the_line),
		cmocka_unit_test(file_refuses_nul_and_endless_lines),
		cmocka_unit_test(format_is_the_inverse_of_parse),
		cmocka_unit_test(format_writes_canonical_lines),
		cmocka_unit_test(complete_offers),
	};

	return cmocka_run_group_tests_name("grammar", tests, NULL, NULL);
}
