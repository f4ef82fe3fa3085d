// SPDX-License-Identifier: Apache-2.0
#include "schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "types.h"

/* Lengths and counts that the daemon's structs can hold: model.h, broker.h. */
enum {
	NETNS_LEN_MAX = 107,
	USER_LEN_MAX = 32,
	LIST_MACS_MAX = 64,
	FILE_LEN_MAX = 4095,
	QUEUES_MAX = 16,
	PPS_MAX = 1000000000,
	VSI_TYPE_MAX = 0xffffff,
	VSI_WORD_MAX = 45,
};

/* Limits of rates, bits a second, and of bursts, octets. */
#define RATE_MIN 1000
#define RATE_MAX INT64_C(1000000000000)
#define BURST_MAX_SIZE (INT64_C(1) << 30)

static const char *const objects[] = { "bridge", "port",    "fdb",     "mdb", "drops",	 "link",
				       "lldp",	 "evb",	    "channel", "vsi", "vsitype", "daemon",
				       "config", "monitor", "help",    NULL };

static const char *const hwmodes[] = { "vepa", "veb", NULL };
static const char *const refusals[] = { "soft", "hard", NULL };
static const char *const evbs[] = { "off", "auto", "ratified", "draft", NULL };
static const char *const fallbacks[] = { "wait", "local", NULL };
static const char *const types[] = { "edge", "learning", "kernel", NULL };
static const char *const guests[] = { "vm", "netns", NULL };
static const char *const drivers[] = { "auto", "packet", "xdp", NULL };
static const char *const roles[] = { "station", "uplink", NULL };
static const char *const modes[] = { "private", "vepa", "bridge", "passthru", "source", NULL };
static const char *const vsi_requests[] = { "associate", "pre-associate", "pre-associate-rr",
					    NULL };
static const char *const vsi_filters[] = { "mac-vid", "vid", NULL };
static const char *const vsi_hints[] = { "suspend", "migrate", NULL };
static const char *const kinds[] = { "port", "bridge", "mode", "link",	  "fault", "fdb", "uplink",
				     "mdb",  "lldp",   "evb",  "channel", "vsi",   NULL };

enum { SUBJECT = FIELD_POSITIONAL | FIELD_REQUIRED };

/* A field: key, type, flags, help, then what the type needs. */
#define FIELD(k, t, fl, h, ...)                                                                    \
	{                                                                                          \
		.key = k, .type = FIELD_##t, .flags = fl, .help = h, ##__VA_ARGS__                 \
	}

/* What `port set` can change. `none` gives a field back its default. */
#define PORT_FIELDS(none)                                                                          \
	FIELD("mac", MACS, none,                                                                   \
	      "addresses of the guest; none: it owns the first source it sends",                   \
	      .max = LIST_MACS_MAX),                                                               \
		FIELD("mode", WORD, none,                                                          \
		      "where its frames go; default vepa, of a host port bridge", .words = modes), \
		FIELD("vlan", VID, none,                                                           \
		      "access port of this VLAN; default 1; replaces trunk and native"),           \
		FIELD("trunk", VLANS, none,                                                        \
		      "tagged VLANs, as in 1,10,20-30, or all; replaces vlan"),                    \
		FIELD("native", VID, FIELD_NONE,                                                   \
		      "VLAN of untagged frames on a trunk or uplink; none: refuse them"),          \
		FIELD("svlan", VID, none,                                                          \
		      "port on a wire: VLAN of the S-tag that its frames bear; default none"),     \
		FIELD("channel", INT, none,                                                        \
		      "the S-channel of the device of this index, as CDCP says; default none",     \
		      .min = 2, .max = VID_MAX),                                                   \
		FIELD("cdcp", SWITCH, none,                                                        \
		      "agree with the other end on S-channels of the device; default off"),        \
		FIELD("svid-pool", VLANS, none,                                                    \
		      "learning bridge: S-VLANs to give to channels, as in 100-200"),              \
		FIELD("reserved", INT, none, "bit n lets 01-80-C2-00-00-0n through; default 0",    \
		      .min = 0, .max = 0xffff),                                                    \
		FIELD("spoof-guard", SWITCH, none,                                                 \
		      "drop sources that the port does not own; default on"),                      \
		FIELD("priority", INT, none,                                                       \
		      "uplink: the highest that works is the active one; default 0", .min = 0,     \
		      .max = 255),                                                                 \
		FIELD("maclimit", INT, none,                                                       \
		      "further addresses learned; learning bridge: limit, 0 none", .min = 0,       \
		      .max = 4096),                                                                \
		FIELD("promisc", SWITCH, none,                                                     \
		      "copies of frames from the uplink nobody owns; default off"),                \
		FIELD("standby", SWITCH, none,                                                     \
		      "silent and without addresses until turned off; default off"),               \
		FIELD("source", MACS, none, "mode source: the sources whose frames it gets",       \
		      .max = LIST_MACS_MAX),                                                       \
		FIELD("nodst", SWITCH, none,                                                       \
		      "mode source: listed frames go nowhere else; default off"),                  \
		FIELD("mtu", INT, none, "default: of the uplink's device, or 1500", .min = 68,     \
		      .max = 65521),                                                               \
		FIELD("offload", SWITCH, none,                                                     \
		      "off: no GSO, no partial checksums to the guest; default on"),               \
		FIELD("fastleave", SWITCH, none,                                                   \
		      "snooping: who leaves a group was the last; default off"),                   \
		FIELD("reflective-relay", SWITCH, none,                                            \
		      "port of a learning bridge: send back out of it, with evb while asked; "     \
		      "default off"),                                                              \
		FIELD("evb", WORD, none,                                                           \
		      "uplink, or port of a learning bridge: speak EVB, ECP, VDP; default off",    \
		      .words = evbs),                                                              \
		FIELD("evb-retries", INT, none, "evb: how often ECP repeats; default 3", .min = 0, \
		      .max = 7),                                                                   \
		FIELD("evb-rte", INT, none,                                                        \
		      "evb: acknowledgements may take 10 us * 2^n; default 14, 164 ms", .min = 0,  \
		      .max = 31),                                                                  \
		FIELD("evb-rwd", INT, none,                                                        \
		      "evb: decisions on VSIs may take 10 us * 2^n; default 17, 1.3 s", .min = 0,  \
		      .max = 31),                                                                  \
		FIELD("evb-rka", INT, none,                                                        \
		      "evb: VSIs are kept alive each 10 us * 2^n; default 20, 10.5 s", .min = 0,   \
		      .max = 31),                                                                  \
		FIELD("evb-max", INT, none,                                                        \
		      "evb: greatest n of these that the other end may ask for; default 27, "      \
		      "22 min",                                                                    \
		      .min = 0, .max = 31),                                                        \
		FIELD("lldp-interval", INT, none,                                                  \
		      "LLDP and EVB: seconds between announcements; default 30", .min = 1,         \
		      .max = 3600),                                                                \
		FIELD("lldp-hold", INT, none,                                                      \
		      "LLDP and EVB: how many intervals they are valid; default 4", .min = 1,      \
		      .max = 100),                                                                 \
		FIELD("lldp", STRING, none,                                                        \
		      "likewise: LLDP of these scopes, as in nearest-bridge,non-tpmr; "            \
		      "default none",                                                              \
		      .max = 63),                                                                  \
		FIELD("vdp", SWITCH, none,                                                         \
		      "port of a learning bridge: only what VDP associates passes; default off"),  \
		FIELD("pcp", INT, none, "priority of its untagged frames where they leave tagged", \
		      .min = 0, .max = 7),                                                         \
		LIMIT_FIELDS(none)

/* Limits, "in" being what comes from the port. Where it is an uplink, that is the wire. */
#define LIMIT_FIELDS(none)                                                                         \
	FIELD("rate-in", RATE, none, "limit of what the guest sends; default none",                \
	      .min = RATE_MIN, .max = RATE_MAX),                                                   \
		FIELD("rate-out", RATE, none, "limit of what the guest gets; default none",        \
		      .min = RATE_MIN, .max = RATE_MAX),                                           \
		FIELD("burst-in", SIZE, none,                                                      \
		      "octets at once beyond rate-in; default: those of 250 ms, at least 15140",   \
		      .min = 1, .max = BURST_MAX_SIZE),                                            \
		FIELD("burst-out", SIZE, none, "the same for rate-out", .min = 1,                  \
		      .max = BURST_MAX_SIZE),                                                      \
		FIELD("pps-in", INT, none, "packets a second from the guest; default no limit",    \
		      .min = 1, .max = PPS_MAX),                                                   \
		FIELD("pps-out", INT, none, "packets a second to the guest; default no limit",     \
		      .min = 1, .max = PPS_MAX),                                                   \
		FIELD("storm-broadcast", INT, none, "broadcasts a second from the port", .min = 1, \
		      .max = PPS_MAX),                                                             \
		FIELD("storm-multicast", INT, none, "other group frames a second from the port",   \
		      .min = 1, .max = PPS_MAX),                                                   \
		FIELD("storm-unknown", INT, none,                                                  \
		      "frames a second to unknown destinations; learning bridges, uplinks",        \
		      .min = 1, .max = PPS_MAX)

#define UPDELAY(none)                                                                              \
	FIELD("updelay", INT, none,                                                                \
	      "ms that a better uplink must work before it takes over; default 1000", .min = 0,    \
	      .max = 600000)

#define FALLBACK(none)                                                                             \
	FIELD("vepa-fallback", WORD, none,                                                         \
	      "vepa ports while the adjacent bridge does not reflect: wait, or switch "            \
	      "locally; default wait",                                                             \
	      .words = fallbacks)

static const struct field bridge_add[] = {
	FIELD("bridge", NAME, SUBJECT, "name of the new bridge"),
	FIELD("type", WORD, 0,
	      "edge: stations, an uplink; learning: adjacent bridge; kernel: EVB for a Linux "
	      "bridge; default edge",
	      .words = types),
	FIELD("uplink", DEVICES, 0,
	      "devices of the uplink, as in eth0,eth1: adds a port of each name"),
	FIELD("driver", WORD, 0,
	      "how to use that device; auto: xdp if it does zero copy, else packet; default auto",
	      .words = drivers),
	FIELD("ageing", INT, 0, "seconds until a silent learned address is forgotten; default 300",
	      .min = 1, .max = 1000000),
	UPDELAY(0),
	FIELD("snooping", SWITCH, 0, "multicast goes to those who join: IGMP, MLD; default off"),
	FALLBACK(0),
};

static const struct field bridge_set[] = {
	FIELD("bridge", NAME, SUBJECT, "name of the bridge"),
	FIELD("ageing", INT, FIELD_NONE,
	      "seconds until a silent learned address is forgotten; default 300", .min = 1,
	      .max = 1000000),
	UPDELAY(FIELD_NONE),
	FIELD("snooping", SWITCH, FIELD_NONE,
	      "multicast goes to those who join: IGMP, MLD; default off"),
	FALLBACK(FIELD_NONE),
};

static const struct field bridge_name[] = {
	FIELD("bridge", NAME, SUBJECT, "name of the bridge"),
};

static const struct field bridge_filter[] = {
	FIELD("bridge", NAME, FIELD_POSITIONAL, "only this bridge"),
};

static const struct field dev_arg = FIELD("dev", DEVICE, 0, "device");
static const struct field path_arg = FIELD("path", PATH, 0, "path of the socket");

static const struct field port_add[] = {
	FIELD("ifname", NAME, SUBJECT, "name of the new port"),
	FIELD("bridge", NAME, FIELD_REQUIRED, "bridge it belongs to"),
	FIELD("tap", KIND, FIELD_REQUIRED, "a tap device, for a VM or in a network namespace"),
	FIELD("packet", KIND, FIELD_REQUIRED, "an existing network device, through a packet socket",
	      .arg = &dev_arg),
	FIELD("xdp", KIND, FIELD_REQUIRED, "the same, through AF_XDP sockets", .arg = &dev_arg),
	FIELD("vhost-user", KIND, FIELD_REQUIRED,
	      "the memory of a VM, whose VMM connects to this socket", .arg = &path_arg),
	FIELD("host", KIND, FIELD_REQUIRED,
	      "the host's own stack on the device of the uplink; its mode is bridge by default"),
	FIELD("memory", KIND, FIELD_REQUIRED,
	      "no device: frames come from tests and tools inside evbd"),
	FIELD("client", FLAG, 0, "vhost-user: the VMM makes the socket, and evbd connects to it"),
	FIELD("name", DEVICE, 0, "tap: name of the device; default: the name of the port"),
	FIELD("netns", STRING, 0, "tap: network namespace of the device, by name or path",
	      .max = NETNS_LEN_MAX),
	FIELD("guest", WORD, 0, "tap: who is behind it; default netns if netns is given, else vm",
	      .words = guests),
	FIELD("owner", STRING, 0, "tap, vhost-user: user who may open it", .max = USER_LEN_MAX),
	FIELD("group", STRING, 0, "tap, vhost-user: group that may open it", .max = USER_LEN_MAX),
	FIELD("perm", PERM, 0,
	      "vhost-user: mode of the socket; default 0600, with owner or group 0660"),
	FIELD("queues", INT, 0, "vhost-user: queue pairs that a guest may use; default 16",
	      .min = 1, .max = QUEUES_MAX),
	FIELD("config", SWITCH, 0,
	      "vhost-user: tell the VMM MAC and MTU; for cloud-hypervisor, crosvm; default off"),
	FIELD("driver", WORD, 0, "packet: how to use the device; default packet", .words = drivers),
	FIELD("role", WORD, 0,
	      "edge bridge: a guest, or the link to the adjacent bridge; default station",
	      .words = roles),
	PORT_FIELDS(0),
};

static const struct field port_set[] = {
	FIELD("ifname", NAME, SUBJECT, "name of the port"),
	PORT_FIELDS(FIELD_NONE),
};

static const struct field port_name[] = {
	FIELD("ifname", NAME, SUBJECT, "name of the port"),
};

static const struct field port_show[] = {
	FIELD("ifname", NAME, FIELD_POSITIONAL, "only this port"),
	FIELD("bridge", NAME, 0, "only ports of this bridge"),
	FIELD("stats", SWITCH, 0, "with counters, like evb -s; default off"),
};

static const struct field fdb_add[] = {
	FIELD("mac", MAC, SUBJECT, "address"),
	FIELD("port", NAME, FIELD_REQUIRED, "port it is on"),
	FIELD("vlan", VID, 0, "in this VLAN; default: that of the port"),
};

static const struct field fdb_del[] = {
	FIELD("mac", MAC, SUBJECT, "address"),
	FIELD("bridge", NAME, FIELD_REQUIRED, "bridge that has the entry"),
	FIELD("vlan", VID, 0, "in this VLAN; default: that of the port"),
};

static const struct field fdb_filter[] = {
	FIELD("bridge", NAME, 0, "only entries of this bridge"),
	FIELD("port", NAME, 0, "only entries of this port"),
};

static const struct field agents_show[] = {
	FIELD("port", NAME, FIELD_POSITIONAL, "only this port"),
	FIELD("stats", SWITCH, 0, "with counters, like evb -s; default off"),
};

/* What `vsi set` can change. */
#define VSI_FIELDS(none, must)                                                                     \
	FIELD("manager", STRING, none,                                                             \
	      "VSI manager: 0..255, or an IP address; default: the bridge's own",                  \
	      .max = VSI_WORD_MAX),                                                                \
		FIELD("type", INT, must, "VSI type, by which the bridge decides", .min = 0,        \
		      .max = VSI_TYPE_MAX),                                                        \
		FIELD("version", INT, none, "version of that type; default 0", .min = 0,           \
		      .max = 255),                                                                 \
		FIELD("instance", STRING, must, "ID of the VSI: a UUID, or an address",            \
		      .max = VSI_WORD_MAX),                                                        \
		FIELD("request", WORD, none,                                                       \
		      "which association; only associate lets frames pass; default associate",     \
		      .words = vsi_requests),                                                      \
		FIELD("filter", WORD, none, "of what: addresses in VLANs, or VLANs as a whole",    \
		      .words = vsi_filters),                                                       \
		FIELD("vlan", INT, none, "VLAN; 0: the bridge chooses; default: of the port",      \
		      .min = 0, .max = 4094),                                                      \
		FIELD("mac", MACS, none, "addresses; default: those of the port",                  \
		      .max = LIST_MACS_MAX),                                                       \
		FIELD("gid", INT, none, "GroupID, beside or instead of VLANs; default none",       \
		      .min = 1, .max = 0xffffffff),                                                \
		FIELD("hint", WORD, none, "migration: the VSI goes, or comes; default none",       \
		      .words = vsi_hints)

static const struct field vsi_add[] = {
	FIELD("ifname", NAME, SUBJECT, "name of the station port"),
	VSI_FIELDS(0, FIELD_REQUIRED),
};

static const struct field vsi_set[] = {
	FIELD("ifname", NAME, SUBJECT, "name of the station port"),
	VSI_FIELDS(FIELD_NONE, 0),
};

static const struct field vsi_name[] = {
	FIELD("ifname", NAME, SUBJECT, "name of the station port"),
};

static const struct field vsi_show[] = {
	FIELD("ifname", NAME, FIELD_POSITIONAL, "only those of this port"),
	FIELD("stats", SWITCH, 0, "with counters, like evb -s; default off"),
};

/* Which VSI type is meant. */
#define VSITYPE_KEY                                                                                \
	FIELD("id", INT, SUBJECT, "VSI type", .min = 0, .max = VSI_TYPE_MAX),                      \
		FIELD("version", INT, 0, "its version; default 0", .min = 0, .max = 255),          \
		FIELD("manager", STRING, 0,                                                        \
		      "the VSI manager that it is a type of; default: any, beside those named",    \
		      .max = VSI_WORD_MAX)

#define VSITYPE_FIELDS(none)                                                                       \
	FIELD("vlan", VLANS, none, "VLANs that its VSIs may be in; default all"),                  \
		FIELD("default-vlan", VID, none,                                                   \
		      "VLAN of VSIs that leave it to the bridge; default: they are refused"),      \
		FIELD("mac", MACS, none, "addresses that its VSIs may have; default all",          \
		      .max = LIST_MACS_MAX),                                                       \
		FIELD("rate-in", RATE, none, "what each VSI may send; default no limit",           \
		      .min = RATE_MIN, .max = RATE_MAX),                                           \
		FIELD("rate-out", RATE, none, "what each VSI may get; default no limit",           \
		      .min = RATE_MIN, .max = RATE_MAX),                                           \
		FIELD("pps-in", INT, none, "packets a second from each VSI; default no limit",     \
		      .min = 1, .max = PPS_MAX),                                                   \
		FIELD("pps-out", INT, none, "packets a second to each VSI; default no limit",      \
		      .min = 1, .max = PPS_MAX),                                                   \
		FIELD("refusal", WORD, none,                                                       \
		      "hard: whom it does not suit is not to ask again; default soft",             \
		      .words = refusals),                                                          \
		FIELD("mode", WORD, none,                                                          \
		      "of its stations here; private: the bridge does not reflect its frames",     \
		      .words = modes),                                                             \
		FIELD("reserved", INT, none,                                                       \
		      "of its stations here: bit n lets 01-80-C2-00-00-0n through", .min = 0,      \
		      .max = 0xffff)

static const struct field vsitype_add[] = { VSITYPE_KEY, VSITYPE_FIELDS(0) };
static const struct field vsitype_set[] = { VSITYPE_KEY, VSITYPE_FIELDS(FIELD_NONE) };
static const struct field vsitype_name[] = { VSITYPE_KEY };

static const struct field drops_show[] = {
	FIELD("port", NAME, FIELD_POSITIONAL, "only this port"),
};

static const struct field link_show[] = {
	FIELD("dev", DEVICE, FIELD_POSITIONAL, "only this device, which may be any"),
};

static const struct field link_set[] = {
	FIELD("dev", DEVICE, SUBJECT, "device: the physical function of a NIC with SR-IOV"),
	FIELD("hwmode", WORD, FIELD_REQUIRED,
	      "does the switch in the NIC send frames for its functions there, or to the wire?",
	      .words = hwmodes),
};

static const struct field config_file[] = {
	FIELD("file", STRING, SUBJECT, "one command a line; - is standard input",
	      .max = FILE_LEN_MAX),
};

static const struct field config_save[] = {
	FIELD("file", STRING, FIELD_POSITIONAL, "default /etc/evb/evb.conf", .max = FILE_LEN_MAX),
};

static const struct field config_requests[] = {
	FIELD("requests", REQUESTS, FIELD_REQUIRED, "array of {\"method\", \"params\", \"line\"}"),
};

static const struct field monitor_show[] = {
	FIELD("kinds", WORDS, FIELD_POSITIONAL, "only these events", .words = kinds),
};

static const struct field help_show[] = {
	FIELD("object", WORD, FIELD_POSITIONAL, "what to explain", .words = objects),
};

/* object, verb, method, fields, changes the configuration?, help */
#define CHANGE true
#define ASK false
#define ROW(o, v, m, f, ch, h)                                                                     \
	{                                                                                          \
		o, v, m, f, ARRAY_SIZE(f), ch, h                                                   \
	}
#define BARE(o, v, m, h)                                                                           \
	{                                                                                          \
		o, v, m, NULL, 0, false, h                                                         \
	}

/* Verbs of an object: `show` first, so that its first letter means it. */
static const struct command commands[] = {
	ROW("bridge", "show", "bridge.show", bridge_filter, ASK, "list bridges"),
	ROW("bridge", "add", "bridge.add", bridge_add, CHANGE, "make a bridge"),
	ROW("bridge", "set", "bridge.set", bridge_set, CHANGE, "change a bridge"),
	ROW("bridge", "del", "bridge.del", bridge_name, CHANGE, "remove a bridge and its uplinks"),
	ROW("port", "show", "port.show", port_show, ASK, "list ports"),
	ROW("port", "add", "port.add", port_add, CHANGE, "attach a guest or a device to a bridge"),
	ROW("port", "set", "port.set", port_set, CHANGE, "change a port while frames fly"),
	ROW("port", "del", "port.del", port_name, CHANGE, "detach a port"),
	ROW("fdb", "show", "fdb.show", fdb_filter, ASK, "list who owns which address"),
	ROW("fdb", "add", "fdb.add", fdb_add, CHANGE, "fix an address to a port"),
	ROW("fdb", "del", "fdb.del", fdb_del, CHANGE, "remove a fixed address"),
	ROW("fdb", "flush", "fdb.flush", fdb_filter, ASK, "forget what was learned"),
	ROW("mdb", "show", "mdb.show", fdb_filter, ASK, "list who wants which multicast group"),
	ROW("channel", "show", "channel.show", agents_show, ASK,
	    "S-channels of the devices of ports with cdcp on"),
	ROW("lldp", "show", "lldp.show", agents_show, ASK, "what ports say and hear by LLDP"),
	ROW("evb", "show", "evb.show", agents_show, ASK,
	    "what ports and adjacent bridges agree upon: reflection, timers"),
	ROW("drops", "show", "drops.show", drops_show, ASK, "frames that went no further, and why"),
	ROW("link", "show", "link.show", link_show, ASK, "devices that ports stand on"),
	ROW("link", "set", "link.set", link_set, ASK, "set the switch in a NIC, which keeps it"),
	ROW("vsi", "show", "vsi.show", vsi_show, ASK, "list VSIs, and why they do not stand"),
	ROW("vsi", "add", "vsi.add", vsi_add, CHANGE, "have the guest of a port associated"),
	ROW("vsi", "set", "vsi.set", vsi_set, CHANGE, "change what is asked for"),
	ROW("vsi", "del", "vsi.del", vsi_name, CHANGE, "end it; the port passes all again"),
	BARE("vsitype", "show", "vsitype.show", "list VSI types"),
	ROW("vsitype", "add", "vsitype.add", vsitype_add, CHANGE, "allow VSIs of a type"),
	ROW("vsitype", "set", "vsitype.set", vsitype_set, CHANGE,
	    "change a type, and what stands of it"),
	ROW("vsitype", "del", "vsitype.del", vsitype_name, CHANGE, "forbid VSIs of a type"),
	BARE("daemon", "show", "daemon.show", "version, socket and size of the running evbd"),
	BARE("config", "show", "config.show", "print the configuration, one command a line"),
	ROW("config", "check", NULL, config_file, ASK, "would this file be accepted?"),
	ROW("config", "save", NULL, config_save, ASK, "write the configuration to a file"),
	ROW("config", "load", NULL, config_file, ASK, "apply a file: all of it or nothing"),
	ROW("config", NULL, "config.check", config_requests, ASK,
	    "would config.apply accept this?"),
	ROW("config", NULL, "config.apply", config_requests, ASK, "apply all requests or none"),
	ROW("monitor", "show", "monitor.subscribe", monitor_show, ASK,
	    "print events as they happen"),
	ROW("help", "show", NULL, help_show, ASK, "explain the commands of an object"),
};

const struct command *schema_commands(size_t *n)
{
	*n = ARRAY_SIZE(commands);
	return commands;
}

const char *const *schema_objects(void)
{
	return objects;
}

const struct command *schema_method(const char *method)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].method != NULL && strcmp(commands[i].method, method) == 0)
			return &commands[i];
	return NULL;
}

const struct field *schema_field(const struct command *c, const char *key)
{
	for (size_t i = 0; i < c->n_fields; i++)
		if (strcmp(c->fields[i].key, key) == 0)
			return &c->fields[i];
	return NULL;
}
