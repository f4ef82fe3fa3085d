// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the plane share; nobody else includes this. A `shape` is a model with the live
 * ports that belong to it: plane_apply.c makes the next shape beside the present one, and either
 * swaps them or throws the next one away. Control thread.
 *
 *   plane.c           made, asked, freed            plane_view.c      shape → view
 *   plane_apply.c     one shape to the next         plane_learn.c     reports, ageing, rebuilding
 *   plane_groups.c    multicast groups
 *   plane_port.c      devices, states, faults       plane_announce.c  RARP after standby
 *   plane_link.c      what netlink says           plane_vhost.c     VMMs that come and go
 *   plane_host.c      the host's own stack
 *   plane_vsi.c       VSIs of station ports       plane_gate.c      VSIs at ports of a bridge
 *   plane_wire.c      which uplink is active
 *   plane_agents.c    LLDP, EVB, ECP, VDP   plane_channel.c   CDCP, S-channels
 */
#ifndef EVB_DAEMON_PLANE_INTERNAL_H
#define EVB_DAEMON_PLANE_INTERNAL_H

#include "agents.h"
#include "gates.h"
#include "learn.h"
#include "manager.h"
#include "netlink.h"
#include "owners.h"
#include "plane.h"
#include "view.h"

/* What a port without its device waits for. */
enum port_wait {
	WAIT_NONE,
	WAIT_LINK,  /* netlink names the device again */
	WAIT_RETRY, /* the next try, once a second */
};

enum { OPERSTATE_UNTOLD = 0xff };

/* What a vhost-user port has beside its device. */
struct plane_vhost {
	struct loop_watch *listen_watch, *session_watch;
	struct loop_timer *timer; /* the next try to connect, or to accept */
	tstamp pause;		  /* before that; grows with every failure */
	/*
	 * A duplicate of the connection: the port closes its own when the connection ends, and that
	 * number may be another's by the time we stop watching it. -1: nobody is connected.
	 */
	int session_fd;
	tstamp attached_at;
	struct err why;	  /* why the last connection ended, or none came about; code 0: no matter */
	bool is_stopped;  /* it is about to be closed */
	bool is_in_input; /* who reads messages tells of what they change */
	bool has_refused; /* a second VMM, and said so */
	bool has_new_rings;
};

enum plane_vsi_state {
	PLANE_VSI_IDLE,	  /* nobody to ask */
	PLANE_VSI_ASKED,  /* the answer is not there yet */
	PLANE_VSI_STANDS, /* as it was asked for */
	PLANE_VSI_WAITS,  /* to ask again at retry_at */
	PLANE_VSI_HARD,	  /* the bridge wants to be asked no more */
};

/* What has become of the VSI of a station port. */
struct plane_vsi {
	bool is_open;		 /* it is associated: frames pass */
	bool is_asked;		 /* the station of `uplink` knows of it */
	bool was_up;		 /* the uplink, when it was last looked at */
	bool had_peer;		 /* the uplink, a bridge that speaks EVB */
	bool is_doubtful;	 /* the bridge may not know of it: ask again */
	uint8_t state;		 /* enum plane_vsi_state */
	vid_t vid;		 /* the VLAN that the bridge chose; VID_NONE: none */
	port_id uplink;		 /* of the station; PORT_NONE: none */
	enum vdp_request stands; /* 0: nothing */
	struct vdp_filters held;
	struct vdp_assoc asked; /* last */
	tstamp retry_at, pause;
	char reason[128], hint[128]; /* why it does not stand as it should; or "" */
	const char *told;	     /* the state told last; NULL: none */
	char told_reason[128];
};

/* The active uplink that was told last. */
struct plane_wire {
	port_id id;
	char name[NAME_SIZE]; /* "": none */
};

/* Addresses of bridges whose frames have another wire now. */
struct plane_sweep {
	struct plane_address {
		port_id port;
		struct mac mac;
	} * list;
	uint32_t n, next, batch;
	uint8_t rounds_left;
	bool of_bridge[BRIDGES_MAX];
};

/* A live port. Heap memory, so that it can belong to the present and to the next shape. */
struct plane_port {
	struct plane *plane;
	port_id id;
	struct broker_device device; /* a memory port stands in while there is no device */
	bool is_open;		     /* the device is there */
	bool is_deaf;		     /* but no worker wakes up for it: tried again */
	uint8_t wait;		     /* enum port_wait */
	struct err why;		     /* while it is not open */
	struct link_info link;	     /* of the device, if shape_has_link() */
	struct mac first_address;    /* of the device when it was opened */
	uint32_t mtu_seen;	     /* last MTU of a packet port's device; 0: never seen */
	uint64_t dropped_before;     /* of a VMM's tap: what it had dropped when it was opened */
	tstamp opened_at;
	uint64_t first_view; /* generation of the first view that has it */
	uint8_t told;	     /* operstate told last, or OPERSTATE_UNTOLD */
	char told_reason[256];
	struct port_counters base; /* what earlier devices of the port counted */
	uint8_t announce_left;	   /* rounds of announcements still to send */
	bool has_sticky;	   /* it owns the first source it sent */
	bool is_capped;		   /* it was told that the other end's timers are beyond evb-max */
	bool is_hairpin_ours; /* the Linux bridge that it is in reflects by it, as we told it */
	tstamp working_since; /* of an uplink; 0: it does not work */
	uint8_t hwmode;	      /* enum nic_hwmode, of an uplink's device */
	struct mac peer;      /* whom its agents listen to; all zero: nobody */
	vid_t svid; /* S-tag that CDCP gives to the channel of the port; VID_NONE: none yet */
	struct plane_vhost vhost;	/* of a vhost-user port */
	struct plane_vsi vsi;		/* of a station with a VSI */
	tstamp reflection_logged;	/* of a bridge's port: last */
	struct plane_refused {		/* of a bridge's port: what it refused last */
		struct vdp_assoc asked; /* request 0: nothing */
		enum vdp_error error;
		tstamp at;
	} refused;
};

struct plane_shape {
	struct model model;
	uint32_t n;		  /* slots of `port` */
	struct plane_port **port; /* [n] NULL: empty */
	port_id *uplink;	  /* [model.n_bridges] the active one; PORT_NONE: none */
	/* [model.n_bridges] and [n]: all uplinks of a bridge, in order; PORT_NONE: no more */
	port_id *first_uplink, *next_uplink;
	const struct gates *gates; /* of the plane */
};

struct plane {
	struct loop *loop;
	struct relay *relay;
	const struct log *log;
	const struct events *events;
	struct netlink *netlink;
	struct loop_watch *netlink_watch, *report_watch, *folder_watch;
	struct loop_timer *view_timer, *age_timer, *retry_timer, *announce_timer, *watchdog_timer,
		*wire_timer, *sweep_timer, *group_timer, *channel_timer, *vsi_timer;
	int inotify;	     /* folders in which VMMs make their sockets; -1: none yet */
	const char *run_dir; /* NULL: none */
	struct guard *guard; /* NULL in tests */
	struct plane_shape shape;
	struct learn *learn;
	struct groups *groups;
	struct plane_orphan *orphan; /* [n_orphans] VSIs to be ended at the bridge */
	uint32_t n_orphans;
	struct gates gates;	    /* what is associated at ports under VDP control */
	bool has_other_owners;	    /* since the view was built, by association */
	struct manager manager;	    /* who decides on that */
	tstamp groups_warned;	    /* of too many of them; 0: never */
	struct owners *provisioned; /* owners that the model names: they are never learned over */
	struct fwd_view *last_view; /* an empty one, so that taking down needs no memory */
	uint64_t seed, generation;
	tstamp view_next; /* no rebuilding for the sake of learning before this */
	uint64_t moves[BRIDGES_MAX];
	struct plane_wire wire[BRIDGES_MAX];
	struct plane_sweep sweep;
	struct agents *agents;
	struct plane_told {
		uint8_t reflection; /* enum plane_reflection */
		bool is_amiss;	    /* vepa ports need another */
	} reflection_told[BRIDGES_MAX];
	plane_outcome_cb *foreign_outcome; /* of VSIs that no port has; NULL: nobody asks */
	void *foreign_aux;
	bool is_closing;
};

/* ---- plane_view.c: pure ---- */

/* `s` takes `model` and gets room for `n` ports; false without memory (the model is then freed). */
bool shape_init(const struct plane *p, struct plane_shape *s, struct model *model_take, uint32_t n);

/* Free the model and the arrays, not the ports. */
void shape_free(struct plane_shape *s);

/* Configuration of a port; NULL if the slot is empty. */
const struct port_config *shape_config(const struct plane_shape *s, uint32_t id);

/* Is it a packet socket on a device, whose link state is the state of the port? */
bool shape_has_link(const struct port_config *c);

/* Can it send and receive? */
bool shape_is_up(const struct port_config *c, const struct plane_port *pp);

/* The S-tag of its frames; VID_NONE: none, or none yet. */
vid_t shape_svid(const struct port_config *c, const struct plane_port *pp);

/* How to use its device. */
enum device_driver shape_driver(const struct plane_shape *s, port_id id);

/* The MTU in force. */
uint32_t shape_mtu(const struct plane_shape *s, port_id id);

/* VLAN of what a station owns: its access VLAN, or VID_NONE for all of a trunk. */
vid_t shape_owner_vid(const struct plane_shape *s, port_id id);

/* How many addresses the port may still learn; `n_learned` is how many it has. */
uint32_t shape_learn_room(const struct port_config *c, uint32_t n_learned);

/* What the model says of owners, those in standby left out: malloc-ed; NULL without memory. */
struct owner *shape_provisioned(const struct plane_shape *s, uint32_t *n);

/* The view of a shape, which may be the next one. NULL without memory. */
struct fwd_view *shape_view(const struct plane *p, const struct plane_shape *s,
			    uint64_t generation);

/* What is associated at its ports that are under VDP control: gates_owners(). */
void shape_gate_owners(const struct plane_shape *s, struct gates_out *out);

/* Does every address pass there by association? */
bool shape_gate_any(const struct plane_shape *s, port_id id, vid_t vid);

/* Have the devices of packet ports listen to the owners of a view. */
void shape_listen(const struct plane_shape *s, const struct fwd_view *v, const struct log *log);

/* ---- plane_learn.c ---- */

/* What plane_learn_adapt() changed. */
struct plane_adapted {
	struct learned *aside; /* addresses that contradict the next shape */
	uint32_t n;
	struct owners *before; /* provisioned ones */
};

/*
 * Make the next shape's owners the ones that learning respects, and set aside what contradicts
 * them. False without memory: nothing has changed then. Else one of the two below follows.
 */
bool plane_learn_adapt(struct plane *p, const struct plane_shape *next, struct plane_adapted *a);

/* It stays the present shape: take all back. */
void plane_learn_revert(struct plane *p, struct plane_adapted *a);

/* The next shape comes into force, but is not there yet: forget what was set aside, and say so. */
void plane_learn_settle(struct plane *p, struct plane_adapted *a);

/* Forget what a port learned, and say so. */
void plane_learn_flush(struct plane *p, port_id id);

/* Take over when learned addresses were last seen from the view that is about to go. */
void plane_learn_harvest(struct plane *p);

/* Rebuild the view now. False without memory (it is tried again later). */
bool plane_view_now(struct plane *p);

/* Rebuild it now or, if that was just done, a moment later. */
void plane_view_soon(struct plane *p);

/* Rebuild it a moment later, when more may have changed. */
void plane_view_later(struct plane *p);

/* Let a view go to work that was built with plane_next_generation(). */
void plane_view_install(struct plane *p, struct fwd_view *v_take);
uint64_t plane_next_generation(struct plane *p);

void plane_on_reports(void *aux, uint32_t events);
void plane_on_view_timer(void *aux);
void plane_on_age_timer(void *aux);

/* ---- plane_vsi.c: VDP at the station ---- */

/* Ask for what is wanted and not there, in the next turn of the loop. */
void plane_vsi_soon(struct plane *p);
void plane_on_vsi_timer(void *aux);

/* The bridge at the other end of an uplink is another, or speaks otherwise. */
void plane_vsi_kick(struct plane *p, port_id uplink);

/* For agents.h. False: the VSI is none of ours. */
bool plane_vsi_outcome(struct plane *p, port_id uplink, enum vdp_outcome outcome,
		       const struct vsi *of, uint8_t status);

/* The present shape came after `was`, whose ports are there yet. */
void plane_vsi_inherit(struct plane *p, const struct plane_shape *was);

/* ---- plane_gate.c: VDP at the bridge ---- */

void plane_gate_init(struct plane *p);

/* For agents.h: what is asked for, and what stands from now on. */
void plane_gate_ask(struct plane *p, port_id id, struct vdp_ticket ticket, const struct vsi *v);
bool plane_gate_apply(struct plane *p, port_id id, const struct vsi *v,
		      const struct vdp_assoc *stands);

/* What was associated is in the view from now on, before anybody is told so. */
void plane_gate_flush(struct plane *p);

/* The model has changed: forget ports that are gone, revoke what types do not allow any more. */
void plane_gate_recheck(struct plane *p);

/* ---- plane_groups.c ---- */

/* What `s` keeps of the groups, for its view: malloc-ed; NULL without memory. */
struct owner *plane_groups_owners(const struct plane *p, const struct plane_shape *s, uint32_t *n);

/* The next shape comes into force, but is not there yet; plane_groups_tend() follows when it is. */
void plane_groups_settle(struct plane *p, const struct plane_shape *next);

/* A worker says something; plane_groups_tend() follows. */
void plane_groups_report(struct plane *p, const struct report *r);
void plane_groups_tend(struct plane *p);

/* The guest of a port may have joined groups before it came here. */
void plane_groups_doubt(struct plane *p, port_id id);

void plane_on_group(void *aux, const struct group_entry *e, bool is_added);
void plane_on_group_timer(void *aux);

/* ---- plane_port.c ---- */

/*
 * A live port for slot `id` of `s`, opened, or waiting if `at_boot` and what it needs is not there.
 * NULL with `e` set.
 */
struct plane_port *plane_port_new(struct plane *p, const struct plane_shape *s, port_id id,
				  bool at_boot, struct err *e);

/* What the port counted on its present device. */
void plane_port_count(const struct plane_port *pp, const struct port_config *c, unsigned n_workers,
		      struct port_counters *out);

/* Close its device. No worker may use it. NULL is legal. */
void plane_port_free(struct plane_port *pp);

/* State as it is shown. */
void plane_port_state(const struct plane_shape *s, port_id id, struct plane_status *out);

/* Tell subscribers and the log if the state differs from what was told last. */
void plane_port_tell(struct plane *p, port_id id);

/* Have a worker wake up for an open port, which is in the view in force; if not now, then later. */
void plane_port_watch(struct plane *p, port_id id);

/* The device is lost: put a stand-in in its place and wait. */
void plane_port_lose(struct plane *p, port_id id, enum port_wait wait, const struct err *why);

/* Try to get the device of a waiting port. */
void plane_port_retry(struct plane *p, port_id id);

/* A worker says that the port does not work. */
void plane_port_faulted(struct plane *p, port_id id);

/*
 * Give the tap of a port the MTU in force, and a vhost-user port all that it tells a VMM: 0 or
 * -errno.
 */
int plane_port_sync_mtu(const struct plane_shape *s, port_id id);

/* Give the stack behind the tap of a port the first of its addresses: 0 or -errno. */
int plane_port_sync_mac(const struct plane_shape *s, port_id id);

/* Have the kernel offload what the configuration says: 0 or -errno. */
int plane_port_sync_offload(const struct plane_shape *s, port_id id);

void plane_on_retry_timer(void *aux);

/* User and group of a port's configuration. 0 or -errno with `e` set. */
int plane_port_users(const struct port_config *c, uid_t *owner, gid_t *group, struct err *e);

/* ---- plane_vhost.c ---- */

/* Open the device of `pp`, for its slot of `s`. Nobody can connect before the start. */
int plane_vhost_open(struct plane_port *pp, const struct plane_shape *s, struct broker_device *out,
		     struct err *e);

/* The port is in force: wait for VMMs, or connect. Also to be called if it was started. */
void plane_vhost_start(struct plane_port *pp);

/* Before it is closed. */
void plane_vhost_stop(struct plane_port *pp);

/* Let ports of the shape in force have the sockets of those they replace, which are in `was`. */
void plane_vhost_inherit(struct plane *p, const struct plane_shape *was);

/* Forget the rings of ports that are in `gone` and not in `kept`; `only_new`: those made for it. */
void plane_vhost_forget(const struct plane_shape *gone, const struct plane_shape *kept,
			bool only_new);

/* Tell the port what it tells a VMM. */
void plane_vhost_sync(const struct plane_shape *s, port_id id);

bool plane_vhost_is_up(const struct plane_port *pp);
void plane_vhost_state(const struct port_config *c, const struct plane_port *pp,
		       struct plane_status *out);

void plane_on_watchdog_timer(void *aux);

/* ---- plane_host.c ---- */

/* Open the device of `pp`, a host port, for its slot of `s`. */
int plane_host_open(struct plane_port *pp, const struct plane_shape *s, struct broker_device *out,
		    struct err *e);

/* Is it a host port whose uplink has no device? Then `why` says so. */
bool plane_host_is_missing(const struct plane_shape *s, port_id id, struct err *why);

/* The device of an uplink came, went or changed: so does the host port of its bridge, if any. */
void plane_host_follow(struct plane *p, port_id uplink);

bool plane_host_is_up(const struct plane_shape *s, port_id id);
void plane_host_state(const struct plane_shape *s, port_id id, struct plane_status *out);

/* Address of the host on the uplink's device; zero while that is not there. */
struct mac shape_host_address(const struct plane_shape *s, port_id id);

/* Tell the programs of host ports who is where, and uplinks whether they share their device. */
void shape_tell_hosts(const struct plane_shape *s, const struct fwd_view *v, const struct log *log);

/* ---- plane_link.c ---- */

void plane_on_link(void *aux, const struct link_info *link, const struct link_info *before);
void plane_on_netlink(void *aux, uint32_t events);

/* See what has become of the link of an open port, without being told. */
void plane_look(struct plane *p, port_id id);

/* After the uplink's MTU may have changed: its stations follow, where theirs is the default. */
void plane_follow_mtu(struct plane *p, bridge_id b);

/* ---- plane_wire.c ---- */

/* Choose the active uplinks of a shape whose ports are all there: the present one, or the next. */
void plane_pick_uplinks(struct plane *p, struct plane_shape *s);

/* Where another uplink is active in the view in force: announce the addresses by it, and say so. */
void plane_tell_uplinks(struct plane *p);

void plane_on_wire_timer(void *aux);

/* ---- plane_agents.c ---- */

struct agents *plane_agents_new(struct plane *p);

/* Has the port agents? */
bool shape_has_agents(const struct port_config *c);

/* Does the port of a learning relay send back what belongs behind it? */
bool shape_reflects(const struct plane_shape *s, port_id id);

/* What an edge bridge knows of its adjacent bridge. */
enum plane_reflection shape_reflection(const struct plane_shape *s, bridge_id b);

/* Does the adjacent bridge of `b` reflect, and have vepa ports what they need? If that is new. */
void plane_tell_reflection(struct plane *p, bridge_id b);

/* The mode in force: enum fwd_mode. */
uint8_t shape_mode(const struct plane_shape *s, const struct port_config *c);

/* The state of a port may have changed, or what the model says of it. */
void plane_agents_follow(struct plane *p, port_id id, const struct plane_status *status);

/* Before `next` comes into force (NULL: nothing): who is not in it as it is says good-bye. */
void plane_agents_retire(struct plane *p, const struct plane_shape *next);

/* A worker has a frame for the bridge itself. */
void plane_agents_received(struct plane *p, const struct punt *punt);

/* ---- plane_channel.c ---- */

/* What the port `wire` is to say of the S-channels of its device; the rest of `to` is zero. */
void shape_cdcp(const struct plane_shape *s, port_id wire, struct cdcp_config *to);

/* Let each port of a channel have the S-tag that there is for it by now. */
void plane_channels_settle(struct plane *p);
void plane_on_channel_timer(void *aux);

/* Why a port is not up that has a channel, but no S-tag. */
void plane_channel_state(const struct plane_shape *s, port_id id, struct plane_status *out);

/* ---- plane_announce.c ---- */

/* Announce all addresses of a bridge by its uplink. */
void plane_announce_bridge(struct plane *p, bridge_id b);
void plane_on_sweep_timer(void *aux);

/* Tell the network where the addresses of a port are now, or in a moment. */
void plane_announce(struct plane *p, port_id id);
void plane_announce_soon(struct plane *p, port_id id);

/* The same for one address, once. */
void plane_announce_mac(struct plane *p, port_id id, struct mac mac);

void plane_on_announce_timer(void *aux);

#endif
