// SPDX-License-Identifier: Apache-2.0
#include "schema.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "types.h"

struct row {
	const char *method, *params; /* JSON */
	const char *message, *hint;  /* parts of what is said; NULL: accepted */
};

static const struct row rows[] = {
	{ "bridge.add", "{'bridge':'br0'}", NULL, NULL },
	{ "bridge.add", "{'bridge':'br0','type':'learning','ageing':10}", NULL, NULL },
	{ "bridge.show", "{}", NULL, NULL },
	{ "daemon.show", "{}", NULL, NULL },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'tap'}", NULL, NULL },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'packet','dev':'eth0'}", NULL, NULL },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'tap','native':null}", NULL, NULL },
	{ "port.set", "{'ifname':'a','mode':null,'mac':null,'trunk':null,'mtu':null}", NULL, NULL },
	{ "port.set", "{'ifname':'a','mac':['02:00:00:00:00:01','02:00:00:00:00:02']}", NULL,
	  NULL },
	{ "port.show", "{'stats':true}", NULL, NULL },
	{ "monitor.subscribe", "{'kinds':['link','port']}", NULL, NULL },
	{ "monitor.subscribe", "{'kinds':[]}", NULL, NULL },
	{ "config.apply", "{'requests':[]}", NULL, NULL },
	{ "config.check", "{'requests':[{'method':'x','params':{},'line':1},{'method':'y'}]}", NULL,
	  NULL },

	{ "bridge.add", "[]", "bridge add: params are not an object", "evb help bridge" },
	{ "bridge.add", "{}", "\"bridge\" is missing", "name of the new bridge" },
	{ "bridge.add", "{'bridge':null}", "null is not a value of \"bridge\"", "A-Z" },
	{ "bridge.add", "{'bridge':1}", "1 is not a value of \"bridge\"", "A-Z" },
	{ "bridge.add", "{'bridge':'a b'}", "\"a b\" is not a value", "A-Z" },
	{ "bridge.add", "{'bridge':'a','type':'egde'}", "\"egde\" is not a value",
	  "edge, learning or kernel" },
	{ "bridge.add", "{'bridge':'a','ageing':0}", "0 is not a value", "from 1 to 1000000" },
	{ "bridge.add", "{'bridge':'a','ageing':1.5}", "1.5 is not a value", "a number" },
	{ "bridge.add", "{'bridge':'a','ageing':'1'}", "\"1\" is not a value", "a number" },
	{ "bridge.add", "{'bridge':'a','ageing':null}", "null is not a value", "a number" },
	{ "bridge.add", "{'bridge':'a','uplink':'a/b'}", "\"a/b\" is not", "network device" },
	{ "bridge.add", "{'bridge':'a','agein':1}", "no field \"agein\"",
	  "did you mean \"ageing\"" },
	{ "bridge.add", "{'bridge':'a','zzzzzz':1}", "no field \"zzzzzz\"", "evb help bridge" },
	{ "bridge.add", "{'bridge':'a','kind':'tap'}", "no field \"kind\"", "evb help bridge" },
	{ "bridge.set", "{'bridge':'a','type':'edge'}", "no field \"type\"", "evb help bridge" },
	{ "daemon.show", "{'x':1}", "daemon show: there is no field \"x\"", "evb help daemon" },

	{ "port.add", "{'ifname':'a','bridge':'b'}", "the kind is missing",
	  "packet, xdp, vhost-user, host or memory" },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'tab'}", "\"tab\" is not a kind",
	  "tap, " },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':7}", "is not a kind", "tap, " },
	{ "port.add", "{'ifname':'a','bridge':'b','tap':true}", "no field \"tap\"", NULL },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'packet'}", "\"packet\" needs a device",
	  "packet DEV" },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'packet','dev':'..'}",
	  "\"packet\" needs a device", "15 octets" },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'tap','dev':'eth0'}",
	  "\"dev\" does not go with tap", "packet port" },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'vhost-user','path':'/x','client':true}",
	  NULL, NULL },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'vhost-user'}",
	  "\"vhost-user\" needs a path", "vhost-user PATH: an absolute path" },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'vhost-user','path':'x'}", "needs a path",
	  "at most 107" },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'tap','path':'/x'}",
	  "\"path\" does not go with tap", "vhost-user port" },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'tap','client':1}", "\"client\"", NULL },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'tap','perm':432}", "\"perm\"",
	  "octal, as in 0660" },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'tap','perm':'1777'}", "\"perm\"",
	  "octal, as in 0660" },
	{ "port.set", "{'ifname':'a','kind':'tap'}", "no field \"kind\"", NULL },
	{ "port.set", "{'ifname':'a','dev':'eth0'}", "no field \"dev\"", NULL },
	{ "port.set", "{'ifname':'a','mac':[]}", "[] is not a value of \"mac\"", "or none" },
	{ "port.set", "{'ifname':'a','mac':'02:00:00:00:00:01'}", "not a value of \"mac\"", "MAC" },
	{ "port.set", "{'ifname':'a','mac':['2:0:0:0:0:1']}", "not a value of \"mac\"", "MAC" },
	{ "port.set", "{'ifname':'a','mac':[1]}", "[1] is not a value of \"mac\"", "MAC" },
	{ "port.set", "{'ifname':'a','vlan':4095}", "4095 is not a value", "1 to 4094" },
	{ "port.set", "{'ifname':'a','vlan':'1'}", "is not a value of \"vlan\"", "1 to 4094" },
	{ "port.set", "{'ifname':'a','trunk':'5-1'}", "is not a value of \"trunk\"", "10,20-30" },
	{ "port.set", "{'ifname':'a','promisc':'on'}", "is not a value of \"promisc\"",
	  "on or off" },
	{ "port.set", "{'ifname':'a','mtu':67}", "67 is not a value", "68 to 65521" },
	{ "port.set", "{'ifname':'a','netns':'x'}", "no field \"netns\"", NULL },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'tap','netns':'a\\nb'}", "\"netns\"",
	  "1 to 107 printable" },
	{ "port.add", "{'ifname':'a','bridge':'b','kind':'tap','owner':''}", "\"owner\"",
	  "1 to 32 printable" },
	{ "fdb.add", "{'mac':'x','port':'p'}", "\"x\" is not a value of \"mac\"", "a MAC address" },
	{ "fdb.add", "{'mac':'02:00:00:00:00:01'}", "\"port\" is missing", "port it is on" },
	{ "monitor.subscribe", "{'kinds':['lnk']}", "[\"lnk\"] is not a value", "port, bridge" },
	{ "monitor.subscribe", "{'kinds':'link'}", "\"link\" is not a value", "port, bridge" },
	{ "config.apply", "{}", "config apply: \"requests\" is missing", "array of" },
	{ "config.apply", "{'requests':{}}", "{} is not a value of \"requests\"", "array of" },
	{ "config.apply", "{'requests':[1]}", "not a value of \"requests\"", "array of" },
	{ "config.apply", "{'requests':[{'method':'a','line':'1'}]}", "\"requests\"", "array of" },
	{ "config.apply", "{'requests':[{'method':'a','params':[]}]}", "\"requests\"", "array of" },
};

/* JSON with ' for ", so that the table can be read. */
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

static void check_accepts_and_refuses(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		const struct command *c = schema_method(r->method);
		json_t *params = json_of(r->params);
		struct err e = { 0 };

		assert_non_null(c);
		if (schema_check(c, params, &e) != (r->message != NULL ? -EINVAL : 0))
			fail_msg("%s %s: \"%s\"", r->method, r->params, e.message);
		if (r->message != NULL && strstr(e.message, r->message) == NULL)
			fail_msg("%s %s: said \"%s\"", r->method, r->params, e.message);
		if (r->hint != NULL && strstr(e.hint, r->hint) == NULL)
			fail_msg("%s %s: hinted \"%s\"", r->method, r->params, e.hint);
		json_decref(params);
	}
}

static void check_takes_absent_params(void **state)
{
	struct err e;

	assert_int_equal(schema_check(schema_method("bridge.show"), NULL, &e), 0);
	assert_int_equal(schema_check(schema_method("bridge.del"), NULL, &e), -EINVAL);
	assert_string_equal(e.message, "bridge del: \"bridge\" is missing");
}

static void check_survives_long_values(void **state)
{
	char word[5000];
	json_t *params;
	struct err e;

	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	params = json_pack("{s:s}", "bridge", word);
	assert_int_equal(schema_check(schema_method("bridge.del"), params, &e), -EINVAL);
	assert_non_null(strstr(e.message, "xxx... is not a value of \"bridge\""));
	json_object_clear(params);
	json_object_set_new(params, word, json_true());
	assert_int_equal(schema_check(schema_method("bridge.del"), params, &e), -EINVAL);
	assert_non_null(strstr(e.message, "there is no field \"xxx"));
	json_decref(params);
}

static void check_field(const struct command *c, const struct field *f)
{
	assert_true(strlen(f->help) > 0 && strlen(f->help) < 100);
	assert_ptr_equal(schema_field(c, f->key), f); /* no key twice */
	if (f->type == FIELD_INT)
		assert_true(f->min < f->max);
	if (f->type == FIELD_WORD || f->type == FIELD_WORDS)
		assert_non_null(f->words);
	/* A field that is required cannot be given back its default. */
	assert_false((f->flags & FIELD_REQUIRED) != 0 && (f->flags & FIELD_NONE) != 0);
}

/* What the rest of the code takes for granted about the table. */
static void table_is_sound(void **state)
{
	size_t n;
	const struct command *c = schema_commands(&n);

	for (size_t i = 0; i < n; i++) {
		assert_true(strlen(c[i].help) > 0);
		assert_true(c[i].verb != NULL || c[i].method != NULL);
		if (c[i].method != NULL) {
			assert_ptr_equal(schema_method(c[i].method), &c[i]);
			assert_memory_equal(c[i].method, c[i].object, strlen(c[i].object));
			assert_int_equal(c[i].method[strlen(c[i].object)], '.');
		}
		if (c[i].changes)
			assert_non_null(c[i].method);
		for (size_t j = 0; j < c[i].n_fields; j++)
			check_field(&c[i], &c[i].fields[j]);
	}
	assert_null(schema_method("port.frobnicate"));
	assert_null(schema_field(schema_method("port.set"), "kind"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_accepts_and_refuses),
		cmocka_unit_test(check_takes_absent_params),
		cmocka_unit_test(check_survives_long_values),
		cmocka_unit_test(table_is_sound),
	};

	return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
