// SPDX-License-Identifier: Apache-2.0
/*
 * The model, driven by lines of the grammar: what is refused and with which words, what a change
 * makes of a port, and that a configuration shown is the configuration that was.
 */
#include "model.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grammar.h"
#include "schema.h"

/* Apply one request to a copy, as the daemon does; on success the copy is the model. */
static int apply(struct model *m, const char *method, const json_t *params, struct err *e)
{
	struct model copy;
	int err;

	*e = (struct err){ 0 };
	model_init(&copy);
	assert_true(model_copy(&copy, m));
	err = schema_check(schema_method(method), params, e);
	if (!err)
		err = model_apply(&copy, method, params, e);
	if (err) {
		model_free(&copy);
		return err;
	}
	model_free(m);
	*m = copy;
	return 0;
}

/* Apply lines of the grammar up to the first that is refused: 0, or -errno with `e` set. */
static int apply_text(struct model *m, const char *text, struct err *e)
{
	int line, err = 0;
	json_t *list = grammar_parse_file(text, strlen(text), &line, e);

	if (!list)
		fail_msg("line %d of \"%s\": %s (%s)", line, text, e->message, e->hint);
	for (size_t i = 0; !err && i < json_array_size(list); i++) {
		const json_t *request = json_array_get(list, i);

		err = apply(m, json_string_value(json_object_get(request, "method")),
			    json_object_get(request, "params"), e);
	}
	json_decref(list);
	return err;
}

static void must(struct model *m, const char *text)
{
	struct err e;

	if (apply_text(m, text, &e))
		fail_msg("\"%s\" was refused: %s (%s)", text, e.message, e.hint);
}

static char *dump(const struct model *m)
{
	json_t *list = model_requests(m);
	char *text;

	assert_non_null(list);
	text = json_dumps(list, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(list);
	return text;
}

/* Each row: what is there, what is refused, and words of the message and of the hint. */
static const struct refusal {
	const char *before, *refused;
	const char *message, *hint;
	int code;
} refusals[] = {
#define EDGE "bridge add br0 uplink eth0\n"
#define VM1 EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01\n"
#define CHANNELS                                                                                   \
	"bridge add br0 uplink eth0\nport set eth0 cdcp on\nbridge add br1\n"                      \
	"port add u1 bridge br1 packet eth0 role uplink channel 2\n"
#define SVLANS                                                                                     \
	"bridge add sw0 type learning\nport add p1 bridge sw0 packet eth1\n"                       \
	"port add c5 bridge sw0 packet eth1 svlan 5\nport add c6 bridge sw0 packet eth1 svlan 6\n"
#define HOST EDGE "port add h bridge br0 host\n"
#define SW "bridge add sw0 type learning\n"
#define P1 SW "port add p1 bridge sw0 packet eth1\n"
	/* names */
	{ EDGE, "bridge add br0", "br0: a bridge of that name exists", "evb bridge del br0",
	  EEXIST },
	{ VM1, "port add vm1 bridge br0 tap", "vm1: a port of that name exists", "evb port set vm1",
	  EEXIST },
	{ EDGE SW, "port add vm1 bridge br1 tap", "br1: there is no such bridge",
	  "there are: br0, sw0", ENOENT },
	{ "", "port add vm1 bridge br1 tap", "br1: there is no such bridge", "evb bridge add br1",
	  ENOENT },
	{ "", "bridge del br1", "br1: there is no such bridge", "none yet", ENOENT },
	{ EDGE, "bridge set br1 ageing 10", "no such bridge", "br0", ENOENT },
	{ VM1, "port set vm2 mode bridge", "vm2: there is no such port", "eth0, vm1", ENOENT },
	{ "", "port del vm2", "vm2: there is no such port", "evb port add vm2", ENOENT },
	{ EDGE "port add a bridge br0 tap\nport add b bridge br0 tap\nport add c bridge br0 tap\n"
	       "port add d bridge br0 tap\nport add e bridge br0 tap\nport add f bridge br0 tap\n",
	  "bridge del br0", "br0: it still has ports: a, b, c, d, e and 1 more", "evb port del",
	  EBUSY },
	{ EDGE, "port add a-name-beyond-a-device bridge br0 tap", "too long for a device",
	  "name DEV", EINVAL },

	/* EVB and LLDP */
	{ VM1, "port set vm1 evb auto", "vm1: evb does not apply to a station port", "an uplink",
	  EINVAL },
	{ VM1, "port set vm1 lldp non-tpmr", "vm1: lldp does not apply to a station port",
	  "an uplink", EINVAL },
	{ EDGE, "port set eth0 lldp foo", "eth0: LLDP has no scope \"foo\"", "nearest-bridge",
	  EINVAL },
	{ EDGE, "port set eth0 lldp non-tpmr,,nearest-bridge", "eth0: LLDP has no scope \"\"",
	  "commas", EINVAL },
	{ EDGE, "port set eth0 lldp non-tpmrx", "eth0: LLDP has no scope \"non-tpmrx\"", "commas",
	  EINVAL },
	{ SW, "bridge set sw0 vepa-fallback local",
	  "sw0: vepa-fallback is for the stations of an edge bridge", "leave it out", EINVAL },
	{ "", "bridge add sw0 type learning vepa-fallback wait",
	  "sw0: vepa-fallback is for the stations of an edge bridge", "leave it out", EINVAL },

/* VSIs */
#define UUID "11111111-2222-3333-4444-555555555555"
#define VSI1 VM1 "vsi add vm1 type 5 instance " UUID "\n"
	{ VSI1, "vsi add vm1 type 6 instance 1.2.3.4", "vm1: it has a VSI already",
	  "evb vsi set vm1", EEXIST },
	{ VM1, "vsi add vm1 type 5 instance 1234", "vm1: 1234 is no instance ID", "a UUID",
	  EINVAL },
	{ VM1, "vsi add vm1 type 5 manager 256 instance " UUID, "vm1: 256 is no VSI manager",
	  "0 to 255", EINVAL },
	{ VSI1 "port add vm2 bridge br0 tap mac 52:54:00:00:00:02\n",
	  "vsi add vm2 type 5 instance " UUID, "vm2: port vm1 has VSI " UUID " already", "uuidgen",
	  EEXIST },
	{ VM1
	  "port add vm2 bridge br0 tap mac 52:54:00:00:00:02\nvsi add vm2 type 5 instance " UUID,
	  "vsi add vm1 type 5 instance " UUID, "vm1: port vm2 has VSI " UUID " already", "uuidgen",
	  EEXIST },
	{ VM1, "vsi add eth0 type 5 instance " UUID, "a VSI is of a station port", "the guest",
	  EINVAL },
	{ P1, "vsi add p1 type 5 instance " UUID, "p1: a VSI is of a station port",
	  "evb port set p1 vdp on", EINVAL },
	{ HOST, "vsi add h type 5 mac 52:54:00:00:00:01 instance " UUID,
	  "h: the host's own stack is no VSI", "tap instead", EINVAL },
	{ EDGE "port add vm2 bridge br0 tap\n", "vsi add vm2 type 5 instance " UUID,
	  "vm2: a VSI needs an address", "evb port set vm2 mac", EINVAL },
	{ VSI1, "port set vm1 mac none", "vm1: a VSI needs an address", "say mac MAC", EINVAL },
	{ VSI1, "port set vm1 trunk all", "vm1: a VSI has no room", "filter vid", ENOSPC },
	{ VSI1 "vsi set vm1 vlan 0\n", "port set vm1 trunk 10,20",
	  "vm1: the bridge chooses one VLAN, and the port is a trunk", "vlan none", EINVAL },
	{ VSI1 "port set vm1 trunk 10,20\n", "vsi set vm1 vlan 0", "the port is a trunk",
	  "evb port set vm1 vlan VID", EINVAL },
	{ VM1, "vsi set vm1 type 7", "vm1: the port has no VSI", "evb vsi add vm1", ENOENT },
	{ VM1, "vsi del vm1", "vm1: the port has no VSI", "evb vsi add vm1", ENOENT },
	{ "", "vsi del vm7", "vm7: there is no such port", "evb port add", ENOENT },
	{ VM1, "port set vm1 vdp on", "vm1: vdp does not apply to a station port", "evb vsi add",
	  EINVAL },
	{ SW "port add p1 bridge sw0 memory mac 52:54:00:00:00:01\n", "port set p1 vdp on",
	  "p1: under VDP control, addresses come by association only", "vdp off", EINVAL },
	{ SW "port add p1 bridge sw0 memory vdp on\n", "fdb add 52:54:00:00:00:01 port p1",
	  "p1: under VDP control, addresses come by association only", "vdp off", EINVAL },
	{ "vsitype add 5\n", "vsitype add 5 vlan 10", "VSI type 5 version 0: there is such a type",
	  "evb vsitype set 5 version 0", EEXIST },
	{ "vsitype add 5 manager 1\n", "vsitype set 5 vlan 10",
	  "VSI type 5 version 0: there is no such type", "evb vsitype show", ENOENT },
	{ "", "vsitype del 5", "VSI type 5 version 0: there is no such type", "evb vsitype show",
	  ENOENT },
	{ "", "vsitype add 5 vlan 10 default-vlan 20", "default-vlan 20 is not one of its VLANs",
	  "add it to vlan", EINVAL },
	{ "vsitype add 5 vlan 10 default-vlan 10\n", "vsitype set 5 vlan 20",
	  "default-vlan 10 is not one of its VLANs", "choose", EINVAL },
	{ "", "vsitype add 5 manager here", "here is no VSI manager", "an IPv4", EINVAL },
	{ "", "vsitype add 5 mode passthru reserved 1",
	  "VSI type 5 version 0: reserved does not go with mode passthru", "leave it out", EINVAL },
	{ "vsitype add 5 mode passthru\n", "vsitype set 5 reserved 1",
	  "VSI type 5 version 0: reserved does not go with mode passthru", "say none", EINVAL },
	/* what a type says must suit every port that has it */
	{ VSI1 "port add vm2 bridge br0 tap\n", "vsitype add 5 mode passthru",
	  "VSI type 5 version 0: vm1: mode passthru of its VSI type wants bridge br0 for itself, "
	  "and port vm2 is on it",
	  "a bridge of its own", EBUSY },
	{ VSI1 "port add vm2 bridge br0 tap\nvsitype add 5\n", "vsitype set 5 mode passthru",
	  "vm1: mode passthru of its VSI type wants bridge br0", "delete the other ports", EBUSY },
	{ VM1 "port add vm2 bridge br0 tap\nvsitype add 5 mode passthru\n",
	  "vsi add vm1 type 5 instance " UUID,
	  "vm1: mode passthru of its VSI type wants bridge br0", "delete the other ports", EBUSY },
	{ VSI1 "port add vm2 bridge br0 tap\nvsitype add 6 mode passthru\n", "vsi set vm1 type 6",
	  "vm1: mode passthru of its VSI type wants bridge br0", "delete the other ports", EBUSY },
	{ VSI1 "vsitype add 5 mode passthru\n", "port add vm2 bridge br0 tap",
	  "vm2: port vm1 has bridge br0 for itself, in mode passthru of its VSI type",
	  "evb vsitype show", EBUSY },
	/* ... and what the port returns to must, too */
	{ EDGE
	  "port add vm1 bridge br0 tap mode passthru mac 52:54:00:00:00:01\nvsi add vm1 type 5 "
	  "instance " UUID "\nvsitype add 5 mode bridge\n",
	  "port add vm2 bridge br0 tap", "vm2: port vm1 has bridge br0 for itself",
	  "port set vm1 mode vepa", EBUSY },
	{ VSI1 "vsitype add 5 mode bridge\n", "port set vm1 mode passthru reserved 1",
	  "vm1: reserved does not go with mode passthru", "leave it out", EINVAL },
	{ VSI1 "port set vm1 reserved 1\n", "vsitype add 5 mode passthru",
	  "VSI type 5 version 0: vm1: reserved does not go with mode passthru of its VSI type",
	  "leave it out", EINVAL },
	{ VSI1 "vsitype add 5 mode passthru\n", "port set vm1 vlan 9",
	  "vm1: vlan does not go with mode passthru of its VSI type", "none for its value",
	  EINVAL },
	{ VSI1, "vsitype add 5 mode source",
	  "VSI type 5 version 0: vm1: its VSI type says mode source, and the port has no sources",
	  "port set vm1 mode source source", EINVAL },
	{ EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01 mode source source "
	       "52:54:00:00:00:09\nvsi add vm1 type 5 instance " UUID
	       "\nvsitype add 5 mode source\n",
	  "port set vm1 mode none", "vm1: its VSI type says mode source", "source MAC", EINVAL },
	{ EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01 mode source source "
	       "52:54:00:00:00:09\nvsi add vm1 type 5 instance " UUID "\nvsitype add 5 mode vepa\n",
	  "port set vm1 promisc on", "vm1: promisc does not go with mode source", "promisc off",
	  EINVAL },
	{ "", "vsitype add 5 mac 01:00:00:00:00:01", "is a group address", "even", EINVAL },

	/* uplinks */
	{ EDGE, "port add up2 bridge br0 packet eth0 role uplink",
	  "up2: device eth0 is on bridge br0 already, as port eth0", "take another device",
	  EEXIST },
	{ "", "bridge add br0 uplink eth0,eth1,eth0",
	  "eth0: a port of that name exists, on bridge br0", "packet eth0 role uplink", EEXIST },
	{ "", "bridge add br0 uplink eth0,_eth1", "_eth1 cannot lend its name", "packet _eth1",
	  EINVAL },
	{ VM1, "port set vm1 priority 5", "vm1: priority does not apply to a station port",
	  "pps-out, storm-broadcast, storm-multicast", EINVAL },
	{ SW, "bridge set sw0 updelay 5", "sw0: updelay is for the uplinks of an edge bridge",
	  "has no uplink", EINVAL },
	{ "", "bridge add sw0 type learning updelay 5", "sw0: updelay is for the uplinks",
	  "has no uplink", EINVAL },
	{ EDGE, "bridge add br1 uplink eth0", "eth0: a port of that name exists, on bridge br0",
	  "packet eth0 role uplink", EEXIST },
	{ "", "bridge add br0 driver xdp", "br0: driver is for the device of an uplink",
	  "uplink DEV driver", EINVAL },
	{ "bridge add br0", "port add u bridge br0 xdp eth0 driver auto",
	  "u: driver goes with packet eth0", "packet eth0 driver xdp", EINVAL },
	{ "bridge add br0", "port add u bridge br0 tap driver xdp",
	  "u: driver is for a packet port, and this is a tap port", "leave it out", EINVAL },
	{ "", "bridge add sw0 type learning uplink eth0", "sw0: a learning bridge has no uplink",
	  "evb port add eth0 bridge sw0 packet eth0", EINVAL },
	{ "", "bridge add br0 uplink _eth0", "_eth0 cannot lend its name",
	  "evb port add NAME bridge br0 packet _eth0 role uplink", EINVAL },
	{ SW, "port add p1 bridge sw0 packet eth1 role uplink", "p1: role is for an edge bridge",
	  "ports of a learning bridge are alike", EINVAL },
	{ EDGE, "port set eth0 mode bridge", "eth0: mode does not apply to an uplink",
	  "stations of an edge bridge", EINVAL },
	{ EDGE, "port set eth0 mac 52:54:00:00:00:01", "eth0: mac does not apply to an uplink",
	  "an uplink has: native, svlan, priority, mtu, offload", EINVAL },
	{ EDGE, "port set eth0 maclimit 3", "maclimit does not apply", "svlan, priority", EINVAL },
	{ VM1, "port set vm1 svlan 5", "svlan does not apply to a station", "trunk and native",
	  EINVAL },
	{ EDGE, "port set eth0 standby on", "standby does not apply", "native, svlan", EINVAL },
	{ EDGE, "port set eth0 vlan 3", "vlan does not apply to an uplink", "native", EINVAL },
	{ "bridge add br0", "port add u bridge br0 packet eth0 role uplink spoof-guard off",
	  "u: spoof-guard does not apply to an uplink", "native", EINVAL },
	{ EDGE, "fdb add 52:54:00:00:00:01 port eth0", "eth0: an uplink owns no addresses",
	  "behind the uplink", EINVAL },

	/* S-channels */
	{ CHANNELS, "port set u1 svlan 5", "u1: svlan does not go with channel", "svlan none",
	  EINVAL },
	{ CHANNELS, "port set eth0 svlan 5", "eth0: svlan does not go with cdcp", "svlan none",
	  EINVAL },
	{ CHANNELS, "port set u1 cdcp on", "cdcp is for the port on the default", "channel 2",
	  EINVAL },
	{ CHANNELS, "port set u1 channel none cdcp on", "u1: port eth0 has cdcp on device eth0",
	  "cdcp off", EEXIST },
	{ CHANNELS, "port add u2 bridge br0 packet eth0 role uplink channel 2",
	  "u2: channel 2 of eth0 is port u1", "another channel", EEXIST },
	{ CHANNELS, "port add u2 bridge br1 packet eth0 role uplink",
	  "u2: the default channel of eth0 is port eth0", "another channel", EEXIST },
	{ CHANNELS, "port add u2 bridge br1 packet eth0 role uplink svlan 7",
	  "fixed by svlan or given by CDCP", "either", EINVAL },
	{ CHANNELS, "port add u2 bridge br0 packet eth0 role uplink",
	  "u2: device eth0 is on bridge br0 already", "go round", EEXIST },
	{ CHANNELS, "port add u2 bridge br1 xdp eth0 role uplink channel 4",
	  "u2: channel is for packet ports, and this is an xdp", "packet DEV", EINVAL },
	{ CHANNELS, "port add m bridge br1 memory role uplink cdcp on",
	  "m: cdcp is for packet ports, and this is a memory", "packet DEV", EINVAL },
	{ CHANNELS, "port set eth0 svid-pool 5-9", "svid-pool does not apply", "other end",
	  EINVAL },
	{ CHANNELS "port set eth0 cdcp off\n", "port add h bridge br1 host",
	  "everything has that of channel 2", "channel none", EINVAL },
	{ SVLANS, "port set c6 svlan 5", "c6: device eth1 is on bridge sw0 already, as port c5",
	  "go round", EEXIST },
	{ SVLANS "bridge add sw1 type learning\n", "port add x bridge sw1 packet eth1 svlan 5",
	  "x: S-VLAN 5 of eth1 is port c5", "another", EEXIST },
	{ SVLANS, "port set c6 svlan none", "c6: device eth1 is on bridge sw0 already, as port p1",
	  "go round", EEXIST },
	{ SVLANS, "port set c6 svlan none channel 3", "fixed by svlan or given by CDCP", "either",
	  EINVAL },
	{ SVLANS, "port add x bridge sw0 xdp eth1 svlan 9", "one of them by XDP", "for both",
	  EBUSY },
	{ SVLANS, "port set p1 svid-pool 5-9,11", "svid-pool 5-9,11 is not one range", "100-200",
	  EINVAL },
	{ SVLANS, "port set p1 svid-pool 1-9", "svid-pool 1-9 is not one range", "default channel",
	  EINVAL },
	/* the host */
	{ "bridge add br0", "port add h bridge br0 host", "h: the bridge has no uplink on a device",
	  "with role uplink", EINVAL },
	{ "bridge add br0\nport add m bridge br0 memory role uplink", "port add h bridge br0 host",
	  "h: the bridge has no uplink on a device", "role uplink", EINVAL },
	{ HOST, "port add h2 bridge br0 host",
	  "h2: the host on device eth0 is port h of bridge br0", "leave it out", EEXIST },
	{ HOST "bridge add br1\nport add up bridge br1 packet eth0 role uplink\n",
	  "port add h2 bridge br1 host", "h2: the host on device eth0 is port h of bridge br0",
	  "leave it out", EEXIST },
	{ HOST, "port del eth0", "eth0: port h is the host's own stack on its device",
	  "evb port del h", EBUSY },
	{ HOST, "port set h mode passthru", "h: mode passthru is not for a host port",
	  "bridge, vepa and private", EINVAL },
	{ HOST, "port set h mode source", "h: mode source is not for a host port", "bridge, vepa",
	  EINVAL },
	{ EDGE, "port add h bridge br0 host vlan 7", "h: what the host sends untagged is of",
	  "vlan 1, or with trunk LIST native 1", EINVAL },
	{ HOST, "port set eth0 native 7", "and eth0 has another one", "vlan 7", EINVAL },
	{ HOST, "port set eth0 native none", "and eth0 has another one", "without native", EINVAL },
	{ HOST, "port set eth0 svlan 7", "h: what the host sends has no S-tag", "svlan none",
	  EINVAL },
	{ EDGE "port set eth0 svlan 7\n", "port add h bridge br0 host", "that of svlan 7",
	  "have no host port", EINVAL },
	{ "bridge add br0", "port add h bridge br0 host role uplink", "h: a host port is a station",
	  "packet DEV", EINVAL },
	{ SW, "port add h bridge sw0 host", "h: a host port is a station", "packet DEV", EINVAL },
	{ EDGE, "port add h bridge br0 host netns c1", "h: netns is for a tap",
	  "make the port a tap", EINVAL },
	{ EDGE "port add p bridge br0 tap mode passthru\n", "port add h bridge br0 host",
	  "h: port p has bridge br0 for itself", "evb port set p mode vepa", EBUSY },

	/* station or port of a learning bridge */
	{ P1, "port set p1 mode bridge", "p1: mode does not apply to a port of a learning bridge",
	  "reflective-relay", EINVAL },
	{ P1, "port set p1 source 52:54:00:00:00:01", "source does not apply", "mode source",
	  EINVAL },
	{ P1, "port set p1 nodst on", "nodst does not apply", "mode source", EINVAL },
	{ P1, "port set p1 promisc on", "promisc does not apply",
	  "a port of a learning bridge has:", EINVAL },
	{ P1, "port set p1 reserved 1", "reserved does not apply", "reflective-relay", EINVAL },
	{ P1, "port set p1 spoof-guard on", "spoof-guard does not apply", "maclimit", EINVAL },
	{ VM1, "port set vm1 reflective-relay on",
	  "vm1: reflective-relay does not apply to a station port", "type learning", EINVAL },
	{ EDGE, "port set eth0 reflective-relay on", "does not apply to an uplink",
	  "adjacent bridge", EINVAL },

	/* limits */
	{ VM1, "port set vm1 storm-unknown 5", "storm-unknown does not apply to a station port",
	  "leaves by the uplink", EINVAL },
	{ EDGE, "port set eth0 pcp 5", "pcp does not apply to an uplink", "native", EINVAL },

	/* passthru */
	{ VM1, "port add vm2 bridge br0 tap mode passthru",
	  "vm2: mode passthru wants bridge br0 for itself, and port vm1", "a bridge of its own",
	  EBUSY },
	{ VM1 "port set vm1 mode passthru\n", "port add vm2 bridge br0 tap",
	  "vm2: port vm1 has bridge br0 for itself", "evb port set vm1 mode vepa", EBUSY },
	{ VM1 "port add vm2 bridge br0 tap\n", "port set vm1 mode passthru",
	  "vm1: mode passthru wants bridge br0", "delete the other ports", EBUSY },
	{ VM1 "port set vm1 vlan 100\n", "port set vm1 mode passthru",
	  "vm1: vlan does not go with mode passthru", "none for its value", EINVAL },
	{ VM1 "port set vm1 mode passthru\n", "port set vm1 trunk 1-10",
	  "vm1: trunk does not go with mode passthru", "leave it out", EINVAL },
	{ EDGE, "port add vm1 bridge br0 tap mode passthru promisc on", "promisc does not go",
	  "promisc off", EINVAL },
	{ EDGE, "port add vm1 bridge br0 tap mode passthru maclimit 2", "maclimit does not go",
	  "none", EINVAL },
	{ EDGE, "port add vm1 bridge br0 tap mode passthru reserved 1", "reserved does not go",
	  "none", EINVAL },

	/* source mode */
	{ VM1, "port set vm1 source 52:54:00:00:00:09",
	  "vm1: source goes with mode source, and the mode is vepa", "mode source", EINVAL },
	{ VM1, "port set vm1 nodst on", "vm1: nodst goes with mode source", "mode source", EINVAL },
	{ VM1, "port set vm1 mode source promisc on", "promisc does not go with mode source",
	  "promisc off", EINVAL },
	{ VM1 "port set vm1 mode source\n", "port set vm1 mode vepa nodst on", "nodst goes with",
	  "leave it out", EINVAL },

	/* VLANs */
	{ EDGE, "port add vm1 bridge br0 tap vlan 5 trunk 1-10",
	  "vm1: vlan excludes trunk and native", "trunk LIST", EINVAL },
	{ VM1, "port set vm1 vlan 5 native 5", "vm1: vlan excludes trunk and native", "access port",
	  EINVAL },
	{ VM1, "port set vm1 native 5", "vm1: native is for a trunk", "vlan 5", EINVAL },
	{ VM1, "port set vm1 trunk 1-10 native 11", "vm1: native VLAN 11 is not one of the trunk",
	  "add 11 to trunk", EINVAL },
	{ VM1 "port set vm1 trunk 1-10 native 10\n", "port set vm1 trunk 1-9", "native VLAN 10",
	  "native none", EINVAL },
	{ P1 "port set p1 trunk 10,20\nfdb add 52:54:00:00:00:01 port p1 vlan 20\n",
	  "port set p1 trunk 10",
	  "p1: it is not a member of VLAN 20, in which it has the static "
	  "entry 52:54:00:00:00:01",
	  "evb fdb del 52:54:00:00:00:01 bridge sw0 "
	  "vlan 20",
	  EINVAL },

	/* addresses */
	{ VM1, "port add vm2 bridge br0 tap mac 52:54:00:00:00:01",
	  "vm2: MAC 52:54:00:00:00:01 is owned by port vm1",
	  "evb fdb del 52:54:00:00:00:01 bridge br0", EEXIST },
	{ VM1 "port set vm1 trunk 5-9\n",
	  "port add vm2 bridge br0 tap vlan 7 mac 52:54:00:00:00:01", "owned by port vm1",
	  "another MAC or VLAN", EEXIST },
	{ VM1 "port set vm1 trunk 5-9\n",
	  "port add vm2 bridge br0 tap trunk 9,10 mac 52:54:00:00:00:01", "owned by port vm1",
	  "another MAC or VLAN", EEXIST },
	{ VM1 "port add vm2 bridge br0 tap vlan 7 mac 52:54:00:00:00:01\n",
	  "port set vm2 vlan none", "vm2: MAC 52:54:00:00:00:01 is owned by port vm1", "VLAN",
	  EEXIST },
	{ VM1 "port add vm2 bridge br0 tap standby on mac 52:54:00:00:00:01\n",
	  "port set vm2 standby off", "vm2: MAC 52:54:00:00:00:01 is owned by port vm1", "VLAN",
	  EEXIST },
	{ VM1 "port add vm2 bridge br0 tap\n", "fdb add 52:54:00:00:00:01 port vm2",
	  "vm2: MAC 52:54:00:00:00:01 is owned by port vm1", "VLAN", EEXIST },
	{ EDGE, "port add vm1 bridge br0 tap mac 01:00:5e:00:00:01",
	  "vm1: MAC 01:00:5e:00:00:01 is a group address", "first octet", EINVAL },
	{ EDGE, "port add vm1 bridge br0 tap mac 00:00:00:00:00:00", "belongs to nobody",
	  "the guest", EINVAL },
	{ EDGE, "port add vm1 bridge br0 tap mode source source ff:ff:ff:ff:ff:ff", "group address",
	  "first octet", EINVAL },
	{ EDGE, "port add vm1 bridge br0 tap mac 52:54:00:00:00:01,52:54:00:00:00:01",
	  "vm1: mac lists 52:54:00:00:00:01 twice", "once", EINVAL },
	{ VM1, "fdb add 52:54:00:00:00:01 port vm1", "vm1: it has MAC 52:54:00:00:00:01 already",
	  "nothing", EEXIST },
	{ VM1, "fdb add 53:54:00:00:00:01 port vm1",
	  "vm1: MAC 53:54:00:00:00:01 is a group address", "first octet", EINVAL },
	{ VM1, "fdb add 52:54:00:00:00:02 port vm1 vlan 2", "counts in every VLAN",
	  "leave out vlan", EINVAL },
	{ VM1, "fdb add 52:54:00:00:00:02 port vm2", "vm2: there is no such port", "vm1", ENOENT },
	{ P1, "fdb add 52:54:00:00:00:01 port p1 vlan 2", "p1: it is not a member of VLAN 2",
	  "access port of VLAN 1", EINVAL },
	{ P1 "port set p1 trunk 10\n", "fdb add 52:54:00:00:00:01 port p1", "no default VLAN",
	  "vlan VID", EINVAL },
	{ P1 "port set p1 trunk 10\n", "fdb add 52:54:00:00:00:01 port p1 vlan 11",
	  "not a member of VLAN 11", "of its trunk", EINVAL },
	{ P1 "port set p1 trunk 10\n", "port set p1 mac 52:54:00:00:00:01",
	  "p1: mac is for the VLAN of untagged frames", "evb fdb add MAC port p1 vlan VID",
	  EINVAL },
	{ P1 "fdb add 52:54:00:00:00:01 port p1\nport add p2 bridge sw0 packet eth2\n",
	  "fdb add 52:54:00:00:00:01 port p2", "p2: MAC 52:54:00:00:00:01 is owned by port p1",
	  "take it from p1", EEXIST },
	{ P1 "fdb add 52:54:00:00:00:01 port p1\nport add p2 bridge sw0 packet eth2\n",
	  "port set p2 mac 52:54:00:00:00:01", "p2: MAC 52:54:00:00:00:01 is owned by port p1",
	  "take it from p1", EEXIST },
	{ P1 "fdb add 52:54:00:00:00:01 port p1\n", "fdb add 52:54:00:00:00:01 port p1 vlan 1",
	  "p1: it has MAC 52:54:00:00:00:01 already", "nothing", EEXIST },
	{ P1 "fdb add 52:54:00:00:00:01 port p1\n", "port set p1 mac 52:54:00:00:00:01",
	  "p1: it has MAC 52:54:00:00:00:01 already", "nothing", EEXIST },
	{ VM1, "fdb del 52:54:00:00:00:02 bridge br0", "bridge br0 has no such static address",
	  "evb fdb flush", ENOENT },
	{ VM1, "fdb del 52:54:00:00:00:01 bridge br0 vlan 2", "in that VLAN", "evb fdb show",
	  ENOENT },
	{ VM1 "port add vm2 bridge br0 tap vlan 2 mac 52:54:00:00:00:01\n",
	  "fdb del 52:54:00:00:00:01 bridge br0", "2 times on bridge br0, with ports vm1 and vm2",
	  "vlan VID", EINVAL },
	{ VM1 "port add vm2 bridge br0 tap standby on mac 52:54:00:00:00:01\n",
	  "fdb del 52:54:00:00:00:01 bridge br0 vlan 1", "2 times", "evb port set NAME mac",
	  EINVAL },

	/* kinds */
	{ EDGE, "port add p bridge br0 packet eth1 netns c1", "p: netns is for a tap",
	  "own network namespace", EINVAL },
	{ EDGE, "port add p bridge br0 packet eth1 owner qemu", "p: owner is for a tap",
	  "leave it out", EINVAL },
	{ EDGE, "port add p bridge br0 memory name x",
	  "p: name is for a tap, and this is a memory port", "make the port a tap", EINVAL },
	{ EDGE, "port add c1 bridge br0 tap netns c1 guest vm", "netns goes with guest netns",
	  "leave out netns", EINVAL },
	{ EDGE, "port add c1 bridge br0 tap netns c1 owner qemu", "owner goes with guest vm",
	  "leave it out", EINVAL },
	{ EDGE, "port add c1 bridge br0 tap guest netns group kvm", "group goes with guest vm",
	  "leave it out", EINVAL },
	{ EDGE, "port add c1 bridge br0 tap netns ../c1", "\"../c1\" cannot be a network namespace",
	  "ip netns", EINVAL },
	{ VM1, "port add vm2 bridge br0 tap name vm1", "vm2: device vm1 is the tap of port vm1",
	  "name DEV", EEXIST },
	{ EDGE "port add c1 bridge br0 tap netns c1 name eth0\n",
	  "port add c2 bridge br0 tap netns /var/run/netns/c1 name eth0",
	  "c2: device eth0 is the tap of port c1", "name DEV", EEXIST },
	{ EDGE, "port add host bridge br0 packet eth0",
	  "host: device eth0 is on bridge br0 already", "go round", EEXIST },
#define V1 EDGE "port add v1 bridge br0 vhost-user /run/evb/v1\n"
	{ V1, "port add v2 bridge br0 vhost-user /run/evb/v1",
	  "v2: socket /run/evb/v1 is that of port v1", "another path", EEXIST },
	{ V1, "port add v2 bridge br0 vhost-user /run/evb/v1 client", "is that of port v1",
	  "another path", EEXIST },
	{ EDGE, "port add v1 bridge br0 vhost-user /a client owner qemu",
	  "v1: owner does not go with client", "the VMM makes the socket", EINVAL },
	{ EDGE, "port add v1 bridge br0 vhost-user /a client perm 0666",
	  "v1: perm does not go with client", "the VMM makes the socket", EINVAL },
	{ EDGE, "port add v1 bridge br0 vhost-user /a netns c1",
	  "v1: netns is for a tap, and this is a vhost-user port", "make the port a tap", EINVAL },
	{ EDGE, "port add v1 bridge br0 tap queues 4",
	  "v1: queues is for a vhost-user port, and this is a tap port",
	  "make the port a vhost-user port", EINVAL },
	{ EDGE, "port add p bridge br0 memory group kvm", "group is for a tap or vhost-user port",
	  "leave it out", EINVAL },
};

static void test_refusals(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct refusal *r = &refusals[i];
		char *before, *after;
		struct model m;
		struct err e;

		model_init(&m);
		must(&m, r->before);
		before = dump(&m);
		if (apply_text(&m, r->refused, &e) == 0)
			fail_msg("\"%s\" was accepted", r->refused);
		if (!strstr(e.message, r->message) || !strstr(e.hint, r->hint) || e.code != r->code)
			fail_msg("\"%s\":\n%s (%s) %d\nwhere this was expected:\n%s (%s) %d",
				 r->refused, e.message, e.hint, e.code, r->message, r->hint,
				 r->code);
		after = dump(&m);
		assert_string_equal(before, after);
		free(before);
		free(after);
		model_free(&m);
	}
}

/* The configuration as lines, malloc-ed: what `evb config show` prints. */
static char *show(const struct model *m)
{
	json_t *list = model_requests(m);
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(list);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *r = json_array_get(list, i);
		const char *method = json_string_value(json_object_get(r, "method"));
		char *line = grammar_format(schema_method(method), json_object_get(r, "params"));

		assert_non_null(line);
		fprintf(f, "%s\n", line);
		free(line);
	}
	json_decref(list);
	fclose(f);
	return text;
}

/* Lines that are accepted, and what is shown afterwards (NULL: the same lines). */
static const struct acceptance {
	const char *lines, *shown;
} acceptances[] = {
	/* every field comes back */
	{ "bridge add br0 uplink eth0 ageing 60\n"
	  "port add vm1 bridge br0 tap name tap7 owner qemu group kvm mac 52:54:00:00:00:01 "
	  "mode bridge trunk 10,20-30 native 20 reserved 16384 spoof-guard off maclimit 7 "
	  "promisc on standby on mtu 9000 offload off\n",
	  NULL },
	{ "bridge add br0\nport add c1 bridge br0 tap name eth0 netns c1 mode source "
	  "source 52:54:00:00:00:09,52:54:00:00:00:0a nodst on\n"
	  "port add host bridge br0 tap guest netns vlan 7\nport add m bridge br0 memory\n",
	  NULL },
	{ "bridge add br0\nbridge add br1\nbridge add sw0 type learning\n"
	  "port add eth0 bridge br0 packet eth0 driver auto role uplink cdcp on\n"
	  "port add u1 bridge br1 packet eth0 role uplink channel 2\n"
	  "port add p1 bridge sw0 packet eth1 cdcp on svid-pool 100-200\n"
	  "port add p2 bridge sw0 packet eth1 channel 4094\n"
	  "port add p3 bridge sw0 packet eth2 svlan 7\n"
	  "port add p4 bridge sw0 packet eth2 svid-pool 9\n",
	  NULL },
	{ "bridge add sw0 type learning\n"
	  "port add p1 bridge sw0 packet eth1 cdcp on svid-pool 100-200\n"
	  "port set p1 cdcp off svid-pool none\n",
	  "bridge add sw0 type learning\nport add p1 bridge sw0 packet eth1\n" },
	{ "bridge add sw0 type learning\n"
	  "port add p1 bridge sw0 packet eth1 mac 52:54:00:00:00:01 maclimit 9 "
	  "reflective-relay on\n"
	  "port add p2 bridge sw0 packet eth2 trunk 1-4094\n"
	  "fdb add 52:54:00:00:00:02 port p1\nfdb add 52:54:00:00:00:02 port p2 vlan 7\n",
	  "bridge add sw0 type learning\n"
	  "port add p1 bridge sw0 packet eth1 mac 52:54:00:00:00:01 maclimit 9 "
	  "reflective-relay on\n"
	  "port add p2 bridge sw0 packet eth2 trunk all\n"
	  "fdb add 52:54:00:00:00:02 port p1\nfdb add 52:54:00:00:00:02 port p2 vlan 7\n" },
	{ "bridge add br0\n"
	  "port add v1 bridge br0 vhost-user /run/evb/v1 owner qemu group kvm perm 0666 queues 4 "
	  "config on mac 52:54:00:00:00:01 offload off\n"
	  "port add v2 bridge br0 vhost-user /run/evb/v2 client\n"
	  "port add v3 bridge br0 vhost-user /run/evb/v3\n",
	  NULL },
	{ EDGE "port add v1 bridge br0 perm 666 queues 16 config off vhost-user '/a b'\n",
	  EDGE "port add v1 bridge br0 vhost-user \"/a b\" perm 0666\n" },
	/* EVB and LLDP, in the order of the scopes */
	{ "bridge add br0 uplink eth0 vepa-fallback local\n"
	  "port set eth0 evb auto lldp customer-bridge,nearest-bridge,customer-bridge\n",
	  "bridge add br0 vepa-fallback local\nport add eth0 bridge br0 packet eth0 driver auto "
	  "role uplink evb auto lldp nearest-bridge,customer-bridge\n" },
	{ SW "port add p1 bridge sw0 memory reflective-relay on evb draft lldp non-tpmr\n", NULL },
	{ SW "port add p1 bridge sw0 memory evb ratified lldp non-tpmr\n"
	     "port set p1 evb none lldp none\n",
	  SW "port add p1 bridge sw0 memory\n" },
	{ EDGE "bridge set br0 vepa-fallback local\nbridge set br0 vepa-fallback none\n", EDGE },
	/* the host: after its uplink, whatever the order of the slots */
	{ HOST, NULL },
	{ HOST "port set h mode vepa\nport set h mode none\n", HOST },
	{ EDGE "port add h bridge br0 host mode vepa maclimit 4\n", NULL },
	{ "bridge add br0\nport add x bridge br0 tap\n"
	  "port add eth0 bridge br0 packet eth0 role uplink native 7\nport del x\n"
	  "port add h bridge br0 host vlan 7\n",
	  "bridge add br0\nport add eth0 bridge br0 packet eth0 role uplink native 7\n"
	  "port add h bridge br0 host vlan 7\n" },
	{ "bridge add br0\nport add eth0 bridge br0 packet eth0 role uplink native none\n"
	  "port add h bridge br0 host trunk 5-7\n",
	  NULL },
	{ HOST "port del h\nport del eth0\n", "bridge add br0\n" },
	/* uplinks: as part of the bridge if there is no more to say */
	{ "bridge add br0\nport add eth0 bridge br0 packet eth0 role uplink\n",
	  "bridge add br0 uplink eth0 driver packet\n" },
	{ "bridge add br0\nport add eth0 bridge br0 xdp eth0 role uplink\n",
	  "bridge add br0 uplink eth0 driver xdp\n" },
	{ "bridge add br0 uplink eth0 driver auto\n", "bridge add br0 uplink eth0\n" },
	{ "bridge add br0\nport add up bridge br0 packet eth0 driver auto role uplink\n", NULL },
	{ "bridge add br0\nport add up bridge br0 packet eth0 driver xdp role uplink\n",
	  "bridge add br0\nport add up bridge br0 xdp eth0 role uplink\n" },
	{ "bridge add br0 uplink eth0 driver xdp\nport set eth0 native 7\n",
	  "bridge add br0\nport add eth0 bridge br0 xdp eth0 role uplink native 7\n" },
	{ SW "port add p1 bridge sw0 xdp eth1\n", NULL },
	{ "bridge add br0 uplink eth0,eth1 driver xdp\n", NULL },
	{ "bridge add br0 uplink eth0\nport add eth1 bridge br0 xdp eth1 role uplink\n", NULL },
	{ "bridge add br0 uplink eth0\nport set eth0 mtu 9000\n",
	  "bridge add br0\n"
	  "port add eth0 bridge br0 packet eth0 driver auto role uplink mtu 9000\n" },
	{ "bridge add br0\nport add eth0 bridge br0 packet eth0 role uplink native none\n", NULL },
	{ "bridge add br0\nport add up bridge br0 packet eth0 role uplink native 7\n", NULL },
	{ "bridge add br0 uplink eth0\nport del eth0\n", "bridge add br0\n" },
	{ "bridge add br0 uplink eth0\nbridge del br0\nbridge add br0 uplink eth0\n",
	  "bridge add br0 uplink eth0\n" },
	{ "bridge add br0 uplink eth0\nbridge add br1\n"
	  "port add second bridge br1 packet eth0 role uplink\n",
	  NULL },
	/* several uplinks: they stay in their order, which decides among equals */
	{ "bridge add br0 uplink eth0,eth1,eth2 updelay 0\n", NULL },
	{ "bridge add br0\nport add eth0 bridge br0 packet eth0 role uplink\n"
	  "port add eth1 bridge br0 packet eth1 role uplink priority 7\n"
	  "port add eth2 bridge br0 packet eth2 role uplink\nport add vm1 bridge br0 tap\n",
	  "bridge add br0 uplink eth0 driver packet\n"
	  "port add eth1 bridge br0 packet eth1 role uplink priority 7\n"
	  "port add eth2 bridge br0 packet eth2 role uplink\nport add vm1 bridge br0 tap\n" },
	{ "bridge add br0 uplink eth0,eth1 updelay 7\nport set eth1 priority 9\n"
	  "port set eth1 priority none\nport del eth0\nbridge set br0 updelay none\n",
	  "bridge add br0 uplink eth1\n" },
	{ "bridge add br0 uplink eth0,eth1\nbridge del br0\n", "" },
	/* none is the default */
	{ EDGE "port add vm1 bridge br0 tap mode private reserved 1 spoof-guard off maclimit 7 "
	       "promisc on standby on mtu 9000 offload off mac 52:54:00:00:00:01 vlan 7\n"
	       "port set vm1 mode none reserved none spoof-guard none maclimit none promisc none "
	       "standby none mtu none offload none mac none vlan none\n"
	       "bridge set br0 ageing 7\nbridge set br0 ageing none\n",
	  EDGE "port add vm1 bridge br0 tap\n" },
	/* access and trunk replace each other */
	{ VM1 "port set vm1 trunk 5-7 native 5\nport set vm1 vlan 9\n",
	  EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01 vlan 9\n" },
	{ VM1 "port set vm1 vlan 9\nport set vm1 trunk 5-7\n",
	  EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01 trunk 5-7\n" },
	{ VM1 "port set vm1 trunk 5-7 native 5\nport set vm1 trunk none\n", VM1 },
	{ VM1 "port set vm1 trunk 5-7 native 5\nport set vm1 vlan none\n",
	  EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01 trunk 5-7 native 5\n" },
	{ VM1 "port set vm1 trunk 5-7 native 5\nport set vm1 vlan 9 trunk none native none\n",
	  EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01 vlan 9\n" },
	/* EVB and LLDP */
	{ SW "port add p1 bridge sw0 memory evb auto evb-max 0 lldp-interval 1 lldp-hold 1\n",
	  NULL },
	{ SW "port add p1 bridge sw0 memory evb-max 31 lldp-interval 3600 lldp-hold 100\n"
	     "port set p1 evb-max none lldp-interval none lldp-hold none\n",
	  SW "port add p1 bridge sw0 memory\n" },
	{ VM1 "port set vm1 trunk 5-7 native 5\nport set vm1 trunk 6,7 native none\n",
	  EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01 trunk 6-7\n" },
	/* VSIs */
	{ VSI1 "vsi set vm1 manager 7 version 2 vlan 0 request pre-associate hint migrate gid 9\n",
	  VM1 "vsi add vm1 manager 7 type 5 version 2 instance " UUID
	      " request pre-associate vlan 0 gid 9 hint migrate\n" },
	{ VSI1 "vsi set vm1 manager 7 version 2 vlan 0 request pre-associate hint migrate\n"
	       "vsi set vm1 manager none version none vlan none request none hint none\n",
	  VSI1 },
	{ VSI1 "vsi set vm1 filter vid\nport set vm1 trunk 1-243 mac none\n",
	  EDGE "port add vm1 bridge br0 tap trunk 1-243\n"
	       "vsi add vm1 type 5 instance " UUID " filter vid\n" },
	{ VSI1 "vsi del vm1\n", VM1 },
	{ VSI1 "port del vm1\n", EDGE },
	{ SW "port add p1 bridge sw0 memory trunk 10,20 vdp on\n"
	     "vsitype add 5 vlan 10,20 default-vlan 20\n"
	     "vsitype add 5 version 1 manager 192.0.2.1 vlan 30 mac 52:54:00:00:00:01 rate-in "
	     "100mbit rate-out 1gbit pps-in 1000 pps-out 10\n",
	  NULL },
	{ "vsitype add 5 vlan 10 rate-in 1mbit pps-out 9 mac 52:54:00:00:00:01\n"
	  "vsitype set 5 vlan none rate-in none pps-out none mac none\n",
	  "vsitype add 5 vlan all\n" },
	{ "vsitype add 5 refusal hard\nvsitype add 6 refusal hard\n"
	  "vsitype set 6 refusal soft\nvsitype set 5 vlan 7\n",
	  "vsitype add 5 vlan 7 refusal hard\nvsitype add 6 vlan all\n" },
	{ "vsitype add 5\nvsitype add 6 vlan 2\nvsitype del 5\n", "vsitype add 6 vlan 2\n" },
	{ "vsitype add 5 vlan 10 mode private reserved 0\n", NULL },
	{ "vsitype add 5 vlan all mode bridge reserved 9\nvsitype set 5 mode none reserved none\n",
	  "vsitype add 5 vlan all\n" },
	/* the port keeps what it has of its own */
	{ EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01 mode source source "
	       "52:54:00:00:00:09\nvsitype add 5 vlan all mode vepa\n"
	       "vsi add vm1 type 5 instance " UUID "\nport set vm1 mode private\n",
	  EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01 mode private\n"
	       "vsitype add 5 vlan all mode vepa\nvsi add vm1 type 5 instance " UUID "\n" },
	{ EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01 mode private reserved 2\n"
	       "vsitype add 5 vlan all mode bridge reserved 8\n"
	       "vsi add vm1 type 5 instance " UUID "\n",
	  NULL },
	{ EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01 mode source source "
	       "52:54:00:00:00:09 nodst on\nvsitype add 5 vlan all mode bridge\n"
	       "vsi add vm1 type 5 instance " UUID "\n",
	  NULL },

	/* limits: shown in the largest unit that fits; none ends them */
	{ VM1 "port set vm1 rate-in 100000kbit rate-out 2.5gbit burst-out 64kb pps-in 50000\n"
	      "port set vm1 storm-broadcast 100 storm-multicast 200 pcp 5 burst-in 1500\n",
	  EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01 pcp 5 rate-in 100mbit "
	       "rate-out 2500mbit burst-in 1500 burst-out 64k pps-in 50000 storm-broadcast 100 "
	       "storm-multicast 200\n" },
	{ VM1 "port set vm1 rate-in 1kbit pps-out 3 pcp 7 storm-broadcast 1\n"
	      "port set vm1 rate-in none pps-out none pcp none storm-broadcast none\n",
	  VM1 },
	{ EDGE "port set eth0 storm-unknown 10 rate-out 1tbit\n",
	  "bridge add br0\nport add eth0 bridge br0 packet eth0 driver auto role uplink "
	  "rate-out 1tbit storm-unknown 10\n" },
	{ P1 "port set p1 storm-unknown 10\n",
	  SW "port add p1 bridge sw0 packet eth1 storm-unknown 10\n" },
	/* leaving source mode empties its list */
	{ EDGE "port add vm1 bridge br0 tap mode source source 52:54:00:00:00:09 nodst on\n"
	       "port set vm1 mode bridge\nport set vm1 mode source\n",
	  EDGE "port add vm1 bridge br0 tap mode source\n" },
	/* the same address in another VLAN, on another bridge, or in standby */
	{ VM1 "port add vm2 bridge br0 tap mac 52:54:00:00:00:01 vlan 2\n", NULL },
	{ VM1 "port add vm2 bridge br0 tap mac 52:54:00:00:00:01 trunk 2-9\n", NULL },
	{ "bridge add br0\nbridge add br1\nport add vm1 bridge br0 tap mac 52:54:00:00:00:01\n"
	  "port add vm2 bridge br1 tap mac 52:54:00:00:00:01\n",
	  NULL },
	{ VM1 "port add vm2 bridge br0 tap mac 52:54:00:00:00:01 standby on\n", NULL },
	{ VM1 "port add vm2 bridge br0 tap mac 52:54:00:00:00:01 standby on\n"
	      "port set vm1 standby on\nport set vm2 standby off\n",
	  EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:01 standby on\n"
	       "port add vm2 bridge br0 tap mac 52:54:00:00:00:01\n" },
	{ P1 "fdb add 52:54:00:00:00:01 port p1\nport set p1 standby on\n"
	     "port add p2 bridge sw0 packet eth2\nfdb add 52:54:00:00:00:01 port p2\n",
	  SW "port add p1 bridge sw0 packet eth1 standby on\nport add p2 bridge sw0 packet eth2\n"
	     "fdb add 52:54:00:00:00:01 port p1\nfdb add 52:54:00:00:00:01 port p2\n" },
	/* addresses one by one */
	{ VM1 "fdb add 52:54:00:00:00:02 port vm1\nfdb add 52:54:00:00:00:03 port vm1 vlan 1\n"
	      "fdb del 52:54:00:00:00:01 bridge br0\n",
	  EDGE "port add vm1 bridge br0 tap mac 52:54:00:00:00:02,52:54:00:00:00:03\n" },
	{ VM1 "port add vm2 bridge br0 tap mac 52:54:00:00:00:01 vlan 2\n"
	      "fdb del 52:54:00:00:00:01 bridge br0 vlan 1\n",
	  EDGE "port add vm1 bridge br0 tap\n"
	       "port add vm2 bridge br0 tap mac 52:54:00:00:00:01 vlan 2\n" },
	{ P1
	  "port set p1 trunk 1-9\nfdb add 52:54:00:00:00:01 port p1 vlan 1\n"
	  "fdb add 52:54:00:00:00:01 port p1 vlan 2\nfdb del 52:54:00:00:00:01 bridge sw0 vlan 1\n",
	  SW "port add p1 bridge sw0 packet eth1 trunk 1-9\n"
	     "fdb add 52:54:00:00:00:01 port p1 vlan 2\n" },
	{ P1 "fdb add 52:54:00:00:00:01 port p1\nport del p1\nport add p2 bridge sw0 packet eth1\n",
	  SW "port add p2 bridge sw0 packet eth1\n" },
	/* alone again, passthru is free to come */
	{ VM1 "port add vm2 bridge br0 tap\nport del vm1\nport set vm2 mode passthru\n",
	  EDGE "port add vm2 bridge br0 tap mode passthru\n" },
	/* devices */
	{ EDGE "port add c1 bridge br0 tap name eth0 netns c1\n"
	       "port add c2 bridge br0 tap name eth0 netns c2\n",
	  NULL },
	{ EDGE SW "port add back bridge sw0 packet eth0\n", NULL },
};

static void test_accepted(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(acceptances); i++) {
		const struct acceptance *a = &acceptances[i];
		struct model m;
		char *shown;

		model_init(&m);
		must(&m, a->lines);
		shown = show(&m);
		if (strcmp(shown, a->shown ? a->shown : a->lines) != 0)
			fail_msg("after\n%sthis is shown:\n%sand not:\n%s", a->lines, shown,
				 a->shown ? a->shown : a->lines);
		free(shown);
		model_free(&m);
	}
}

/* What is in force at a port that has a VSI, after each line. */
static void test_policy_of_type(void **state)
{
	static const struct {
		const char *line;
		uint8_t mode;
		uint16_t reserved;
	} row[] = {
		{ VM1 "port set vm1 mode private reserved 2\n", FWD_PRIVATE, 2 },
		{ "vsitype add 5 mode bridge\n", FWD_PRIVATE, 2 },
		{ "vsi add vm1 type 5 instance " UUID "\n", FWD_BRIDGE, 2 },
		{ "vsitype set 5 reserved 0\n", FWD_BRIDGE, 0 },
		{ "port set vm1 mode vepa reserved 4\n", FWD_BRIDGE, 0 },
		{ "vsitype set 5 reserved 8 mode passthru vlan 10\n", FWD_BRIDGE, 0 }, /* refused */
		{ "vsitype set 5 reserved 8\n", FWD_BRIDGE, 8 },
		{ "vsitype add 5 manager 7 mode private\n", FWD_BRIDGE, 8 },
		{ "vsi set vm1 manager 7\n", FWD_PRIVATE, 4 },
		{ "vsi set vm1 manager none\n", FWD_BRIDGE, 8 },
		{ "vsi set vm1 version 1\n", FWD_VEPA, 4 },
		{ "vsitype add 5 version 1 reserved 1\n", FWD_VEPA, 1 },
		{ "vsitype del 5 version 1\n", FWD_VEPA, 4 },
		{ "vsi set vm1 version none\n", FWD_BRIDGE, 8 },
		{ "vsitype set 5 mode none\n", FWD_VEPA, 8 },
		{ "vsi del vm1\n", FWD_VEPA, 4 },
	};
	struct model m;
	struct err e;

	model_init(&m);
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		const struct port_config *p;

		apply_text(&m, row[i].line, &e);
		p = &m.port[model_find_port(&m, "vm1")];
		if (p->mode != row[i].mode || p->reserved != row[i].reserved)
			fail_msg("%s: mode %s, reserved %u", row[i].line,
				 model_mode_name((enum fwd_mode)p->mode), p->reserved);
	}
	model_free(&m);
}

/* What only a client of the socket can say, the grammar having no words for it. */
static void test_json_only(void **state)
{
	struct model m;
	struct err e;
	json_t *params;

	model_init(&m);
	must(&m, EDGE);
	params = json_pack("{s:s, s:s, s:s, s:s}", "ifname", "vm1", "bridge", "br0", "kind", "tap",
			   "dev", "tap7");
	assert_int_equal(model_apply(&m, "port.add", params, &e), -EINVAL);
	assert_non_null(strstr(e.hint, "name DEV"));
	json_decref(params);
	params = json_pack("{s:s, s:s, s:s}", "ifname", "p", "bridge", "br0", "kind", "packet");
	assert_int_equal(model_apply(&m, "port.add", params, &e), -EINVAL);
	assert_non_null(strstr(e.hint, "packet DEV"));
	json_decref(params);
	params = json_pack("{s:s, s:s}", "ifname", "p", "bridge", "br0");
	assert_int_equal(model_apply(&m, "port.add", params, &e), -EINVAL);
	assert_non_null(strstr(e.message, "no kind"));
	json_decref(params);
	params = json_pack("{s:s, s:i}", "ifname", "eth0", "mtu", 67);
	assert_int_equal(model_apply(&m, "port.set", params, &e), -ERANGE);
	assert_non_null(strstr(e.hint, "68 to 65521"));
	json_decref(params);
	assert_int_equal(model_apply(&m, "fdb.flush", NULL, &e), -EINVAL);
	assert_int_equal(model_apply(&m, "no.method", NULL, &e), -EINVAL);
	model_free(&m);
}

/* The limits: as many as are promised, and a refusal of the next one. */
static void test_limits(void **state)
{
	struct model m;
	struct err e;
	char text[128];

	model_init(&m);
	for (int i = 0; i < BRIDGES_MAX; i++) {
		snprintf(text, sizeof(text), "bridge add br%d", i);
		must(&m, text);
	}
	assert_int_equal(apply_text(&m, "bridge add one-more", &e), -ENOSPC);
	assert_non_null(strstr(e.message, "1024 bridges"));
	must(&m, "bridge del br7\nbridge add one-more");
	assert_int_equal(model_find_bridge(&m, "one-more"), 7);
	model_free(&m);
}

static json_t *port_request(int i)
{
	json_t *macs = json_array();
	char name[NAME_SIZE], mac[32];

	snprintf(name, sizeof(name), "p%d", i);
	for (int k = 0; k < MACS_MAX / PORTS_MAX; k++) {
		snprintf(mac, sizeof(mac), "52:54:00:%02x:%02x:%02x", i >> 8, i & 255, k);
		json_array_append_new(macs, json_string(mac));
	}
	return json_pack("{s:s, s:s, s:s, s:o}", "ifname", name, "bridge", "br0", "kind", "memory",
			 "mac", macs);
}

static void test_limit_of_ports(void **state)
{
	struct model m;
	struct err e = { 0 };
	json_t *params;

	model_init(&m);
	must(&m, "bridge add br0");
	for (int i = 0; i < PORTS_MAX; i++) {
		params = port_request(i);
		if (model_apply(&m, "port.add", params, &e))
			fail_msg("port %d: %s", i, e.message);
		json_decref(params);
	}
	assert_int_equal(apply_text(&m, "port add more bridge br0 memory", &e), -ENOSPC);
	assert_non_null(strstr(e.message, "4096 ports"));
	/* All addresses are in use, too. */
	assert_int_equal(apply_text(&m, "fdb add 52:54:ff:00:00:01 port p0", &e), -ENOSPC);
	assert_non_null(strstr(e.message, "16385 addresses"));
	must(&m, "port del p9\nport add more bridge br0 memory\nfdb add 52:54:ff:00:00:01 port p0");
	assert_int_equal(model_find_port(&m, "more"), 9);
	model_free(&m);
}

static void test_limit_of_macs(void **state)
{
	struct model m;
	struct err e;
	char text[64];

	model_init(&m);
	must(&m, "bridge add br0\nport add a bridge br0 memory");
	for (int i = 0; i < PORT_MACS_MAX; i++) {
		snprintf(text, sizeof(text), "fdb add 52:54:00:00:00:%02x port a", i);
		must(&m, text);
	}
	assert_int_equal(apply_text(&m, "fdb add 52:54:00:00:01:00 port a", &e), -ENOSPC);
	assert_non_null(strstr(e.hint, "maclimit"));
	model_free(&m);
}

/* Who is who on a device with channels. */
static void test_channels(void **state)
{
	struct model m;
	uint16_t scid[4];
	int wire, u1, other;

	model_init(&m);
	must(&m, CHANNELS "port add u9 bridge br0 packet eth0 role uplink channel 9\n"
			  "port add o bridge br1 packet eth1 role uplink\n");
	wire = model_find_port(&m, "eth0");
	u1 = model_find_port(&m, "u1");
	other = model_find_port(&m, "o");
	assert_int_equal(model_wire(&m, (port_id)u1), wire);
	assert_int_equal(model_wire(&m, (port_id)wire), wire);
	assert_int_equal(model_wire(&m, (port_id)other), PORT_NONE);
	assert_int_equal(model_channel(&m, (port_id)wire, 2), u1);
	assert_int_equal(model_channel(&m, (port_id)wire, 3), PORT_NONE);
	assert_int_equal(model_channels(&m, (port_id)wire, scid, 4), 2);
	assert_int_equal(scid[0] * 100 + scid[1], 209);
	assert_int_equal(model_channels(&m, (port_id)wire, scid, 1), 1);
	assert_true(model_shares_device(&m, (port_id)wire));
	assert_true(model_shares_device(&m, (port_id)u1));
	assert_false(model_shares_device(&m, (port_id)other));
	must(&m, "port del u9\nport del u1\nport set eth0 cdcp off\n");
	assert_false(model_shares_device(&m, (port_id)wire));
	must(&m, "port set eth0 svlan 5\n");
	assert_false(model_shares_device(&m, (port_id)wire)); /* alone, with a tag */
	must(&m, "port add u2 bridge br1 packet eth0 role uplink\n");
	assert_true(model_shares_device(&m, (port_id)wire));
	model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_channels),       cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_accepted),       cmocka_unit_test(test_policy_of_type),
		cmocka_unit_test(test_json_only),      cmocka_unit_test(test_limits),
		cmocka_unit_test(test_limit_of_ports), cmocka_unit_test(test_limit_of_macs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
