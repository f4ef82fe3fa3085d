// SPDX-License-Identifier: Apache-2.0
/*
 * The model: the desired state of a daemon, as the user configured it, and nothing else: no
 * descriptors, no devices, no clock. A request changes a copy of the model; if the copy is valid,
 * the plane (plane.h) is asked to become like it; if that works, the copy is the model. So nothing
 * is ever half-applied. Pure; control thread.
 */
#ifndef EVB_DAEMON_MODEL_H
#define EVB_DAEMON_MODEL_H

#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker.h"
#include "decide.h"
#include "err.h"
#include "meter.h"
#include "types.h"
#include "vdp_tlv.h"

enum port_kind { KIND_TAP, KIND_PACKET, KIND_MEMORY, KIND_VHOST_USER, KIND_HOST };

/* Does a port speak EVB, ECP and VDP, and of which generation? */
enum evb_speech { EVB_SPEECH_OFF, EVB_SPEECH_AUTO, EVB_SPEECH_RATIFIED, EVB_SPEECH_DRAFT };

enum {
	PORT_MACS_MAX = 64, /* provisioned MACs of a port; source-mode list likewise */
	MTU_DEFAULT = 1500,
	AGEING_DEFAULT = 300,	/* s; IEEE 802.1Q-2022 table 8-6 */
	UPDELAY_DEFAULT = 1000, /* ms: a link that flaps changes nothing while another works */
	USER_SIZE = 33,
	QUEUES_DEFAULT = 16,
	PERM_DEFAULT = 0xffff,
	CHANNEL_MAX = 4094, /* of S-channels, as CDCP_SCID_MAX; 1 is the default one */
	SVID_MIN = 2,	    /* 1 stands for the default channel, which has no S-tag */
};

struct mac_list {
	uint16_t n;
	struct mac mac[PORT_MACS_MAX];
};

enum { VSI_VLAN_OF_PORT = 0xffff };

/* What a station port asks the adjacent bridge to associate. */
struct vsi_config {
	bool is_set;
	bool by_vlan; /* filters name VLANs only, and no addresses */
	uint8_t version;
	uint8_t request; /* enum vdp_request: which kind of association */
	uint8_t hint;	 /* VDP_SUSPEND, VDP_MIGRATE, or 0 */
	uint16_t vlan;	 /* 0: the bridge is to choose; VSI_VLAN_OF_PORT: those of the port */
	uint32_t type;
	uint32_t gid; /* GroupID; 0: none */
	struct vdp_manager manager;
	struct vsi_id id;
	struct mac_list macs; /* none: those of the port */
};

/* What this bridge lets VSIs of a type do. */
struct vsitype_config {
	uint32_t id;
	uint8_t version;
	bool has_manager; /* it is the type of this manager; else of any that has none such */
	bool has_reserved;
	uint8_t mode;	   /* enum fwd_mode; FWD_MODES_N: it does not say */
	uint16_t reserved; /* if has_reserved, as of a port */
	vid_t vlan;	   /* where the bridge is to choose; VID_NONE: it must not */
	struct vdp_manager manager;
	struct vlan_set vlans;	  /* allowed */
	struct mac_list macs;	  /* allowed; none: all */
	uint64_t limit[METERS_N]; /* of each of its VSIs; 0: none */
	bool refuses_hard;	  /* who is refused is not to ask again */
};

struct port_config {
	char name[NAME_SIZE]; /* "": the slot is empty */
	bridge_id bridge;
	uint8_t kind;	    /* enum port_kind */
	uint8_t driver;	    /* enum device_driver, of a packet port */
	uint8_t role;	    /* enum fwd_role; RELAY_PORT on a learning relay */
	uint8_t mode;	    /* enum fwd_mode: that of the VSI type, or its own */
	uint8_t own_mode;   /* as configured */
	char dev[IFNAMSIZ]; /* netdev of a packet port or a tap (default: the name) */
	char netns[NETNS_SIZE];
	bool guest_is_vm;
	char owner[USER_SIZE], group[USER_SIZE]; /* "": none */
	char path[SOCKET_PATH_SIZE];		 /* vhost-user, as are the next four */
	bool is_client;				 /* the VMM listens, and we connect */
	bool has_config;			 /* the VMM may ask for MAC and MTU */
	uint16_t queues;			 /* pairs */
	uint16_t perm; /* of the socket; PERM_DEFAULT: as owner and group suggest */
	bool has_trunk;
	vid_t vlan;	  /* access VID; VID_NONE with a trunk */
	vid_t native;	  /* trunk or uplink: VLAN of untagged frames; VID_NONE: refused */
	vid_t svlan;	  /* VID of the S-tag outside all others; VID_NONE: no such tag */
	uint16_t channel; /* S-channel whose tag CDCP tells, by index; 0: the default one */
	vid_t svid_low, svid_high; /* tags that CDCP may give to the other end */
	struct vlan_set trunk;
	uint16_t reserved, own_reserved; /* likewise */
	uint16_t maclimit;
	uint16_t priority; /* of an uplink: the highest that works is the active one */
	bool spoof_guard, promisc, standby, nodst, offload, reflective_relay, fastleave;
	bool cdcp;	      /* speaks of the S-channels of the device */
	bool vdp;	      /* learning relay: only what is associated passes */
	uint8_t pcp;	      /* priority of untagged frames */
	uint16_t evb_retries; /* EVB: of ECP; and exponents, 10 us * 2^n */
	uint8_t evb_rte, evb_rwd, evb_rka;
	uint8_t evb_max; /* greatest exponent that the other end may ask for */
	uint8_t lldp_hold;
	uint16_t lldp_interval;	      /* s */
	uint8_t evb;		      /* enum evb_speech; uplink or port of a learning relay */
	uint8_t lldp;		      /* likewise: bit per enum lldp_scope */
	uint32_t mtu;		      /* 0: default */
	uint64_t limit[METERS_N];     /* bits or packets a second; 0: none */
	uint64_t burst_in, burst_out; /* octets; 0: default */
	struct mac_list macs;	/* provisioned; on a learning relay: static entries for pvid */
	struct mac_list source; /* source mode's list */
	struct vsi_config vsi;	/* of a station */
};

/* A static entry of a learning relay's FDB. */
struct fdb_config {
	bridge_id bridge;
	port_id port;
	vid_t vid;
	struct mac mac;
};

struct bridge_config {
	char name[NAME_SIZE]; /* "": the slot is empty */
	bool is_learning;
	bool is_kernel; /* a learning one, of the kernel: we speak for it and forward nothing */
	bool snooping;	/* groups go to those who want them */
	/* Edge: while the adjacent bridge does not reflect, vepa ports are switched locally. */
	bool falls_back;
	uint32_t ageing_s;
	uint32_t updelay_ms; /* how long a better uplink must work before it takes over */
};

/* Slots keep their index (port_id, bridge_id) while the object lives. */
struct model {
	uint32_t n_bridges, n_ports;				/* slots in use or passed */
	uint32_t n_fdb, n_vsitypes;				/* entries */
	uint32_t max_bridges, max_ports, max_fdb, max_vsitypes; /* allocated */
	struct bridge_config *bridge;
	struct port_config *port;
	struct fdb_config *fdb;
	struct vsitype_config *vsitype;
};

/* An empty model. Nothing to free until something is added. */
void model_init(struct model *m);
void model_free(struct model *m);

/* `to` becomes a copy of `from`; `to` is free or was initialised. False without memory. */
bool model_copy(struct model *to, const struct model *from);

/*
 * Apply a request whose form schema_check() has accepted: "bridge.add", "port.set", "fdb.add", ...
 * (only methods whose command has .changes; "fdb.flush" is not one). 0, or -errno with `e` set and
 * `m` unspecified: apply to a copy.
 */
int model_apply(struct model *m, const char *method, const json_t *params, struct err *e);

/* The requests that make this model from an empty one, in order: array of {"method","params"}. */
json_t *model_requests(const struct model *m);

/* Index by name, or -1. */
int model_find_bridge(const struct model *m, const char *name);
int model_find_port(const struct model *m, const char *name);

/* The uplink of an edge bridge after `id` (-1: the first), in the order they came; or PORT_NONE. */
port_id model_uplink(const struct model *m, bridge_id b, int id);

/* The host port of an edge bridge, or PORT_NONE. It is on the device of the first uplink. */
port_id model_host(const struct model *m, bridge_id b);

/* Do other ports have other frames of the device, or may they? Then a packet socket is needed. */
bool model_shares_device(const struct model *m, port_id id);

/* The port that speaks CDCP on the device of port `id`, perhaps itself; or PORT_NONE. */
port_id model_wire(const struct model *m, port_id id);

/* The port of channel `scid` beside the port `wire`, or PORT_NONE. */
port_id model_channel(const struct model *m, port_id wire, uint16_t scid);

/* The channels that there are ports for beside port `wire`, in order; returns how many. */
uint16_t model_channels(const struct model *m, port_id wire, uint16_t *scid, uint16_t max);

/* Mode of the socket of a vhost-user port. */
unsigned model_perm(const struct port_config *p);

/* Is the address on the list? */
bool model_macs_have(const struct mac_list *list, struct mac mac);

/* Is the port, which is no uplink, a member of the VLAN? */
bool model_port_has_vlan(const struct port_config *p, vid_t vid);

/* The field of VSI types that sets the limit; NULL: a VSI can have none such. */
const char *model_vsi_limit(enum meter_id id);

/* The filters of a port's VSI. False: they do not fit. */
bool model_vsi_filters(const struct port_config *p, struct vdp_filters *out);

/* The type that a request is of; NULL if there is none. */
const struct vsitype_config *model_vsitype(const struct model *m, const struct vdp_assoc *of);

/* The type whose mode or reserved addresses a station has in place of its own; NULL: none. */
const struct vsitype_config *model_port_vsitype(const struct model *m, const struct port_config *p);

/* The request that makes the VSI of a port, or a type; NULL without memory. */
json_t *model_vsi_params(const struct port_config *p);
json_t *model_vsitype_params(const struct vsitype_config *t);

/* The kind of a port as a word of the grammar: "xdp" is a packet port by another driver. */
const char *model_port_kind(const struct port_config *p);

/* Put the limits that a port has into `params`, with the bursts there are. False without memory. */
bool model_limits_get(const struct port_config *p, json_t *params);

/* Words of the grammar: static strings. */
const char *model_evb_name(enum evb_speech speech);
const char *model_lldp_name(unsigned scope); /* enum lldp_scope */
const char *model_driver_name(enum device_driver driver);
const char *model_mode_name(enum fwd_mode mode);

/* The mode of that name, which may be NULL; FWD_MODES_N: there is none. */
enum fwd_mode model_mode(const char *word);

#endif
