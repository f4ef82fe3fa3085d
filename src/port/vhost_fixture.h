// SPDX-License-Identifier: Apache-2.0
/*
 * For the tests of vhost-user ports only: a port and, at the other end of a socket pair, a guest of
 * tests/front, both in one thread. The guest's waits run the port's control side; frames move when
 * the test says so. Whatever is opened is counted, and must be closed at the end.
 */
#ifndef EVB_PORT_VHOST_FIXTURE_H
#define EVB_PORT_VHOST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "frame.h"
#include "front_dev.h"
#include "port.h"
#include "types.h"
#include "vhost_user.h"

enum {
	VX_PATTERN = 0xa5, /* of receive buffers that were not written */
	VX_WATCHED_MAX = 64,
	VX_BUFFERS_MAX = 40000,
};

struct vx_config {
	unsigned pairs; /* served; 0: 1 */
	bool has_config, has_state, offload;
	struct mac mac;
	uint32_t mtu; /* 0: 1500 */
	struct front_dev_config dev;
};

/* A frame that the port was sent by the guest. */
struct vx_frame {
	uint32_t size, n_iov;
	struct vnet_hdr vnet;
	uint8_t *octets; /* NULL if it is longer than any frame */
};

struct vx_pool { /* receive buffers out of a ring */
	uint64_t *gpa;
	unsigned n;
};

struct vx {
	struct vx_config c;
	struct port *port;
	struct front_dev dev;
	struct burst *burst;
	int state_fd;
	bool is_up;	/* the connection */
	struct err why; /* of its end */

	/* what the hooks heard */
	unsigned n_quiesce, n_changed, n_announced;
	struct mac announced;
	int watched[VX_WATCHED_MAX];
	unsigned n_watched;
	bool deaf; /* watch() fails */

	struct vx_frame *got;
	unsigned n_got, max_got;
	uint64_t discarded;

	/* receive buffers of vx_post() */
	uint32_t post_size;
	struct front_layout post_layout;
	struct vx_pool pool[VHOST_USER_PAIRS_MAX];
	uint8_t *scratch; /* of the longest frame, and its header */
};

/* Kinds of rings that a guest may negotiate, by number; NULL beyond the last. */
struct vx_kind {
	const char *name;
	uint64_t features; /* to which a test adds */
};

const struct vx_kind *vx_kind(unsigned i);

/* cmocka's setup and teardown: as many descriptors at the end as at the beginning. */
int vx_setup(void **state);
int vx_teardown(void **state);
#define VX_TEST(f) cmocka_unit_test_setup_teardown(f, vx_setup, vx_teardown)

/* Descriptors that this process has open. */
unsigned vx_count_fds(void);

/* A port and a guest that are not connected. */
struct vx *vx_new(const struct vx_config *c);
void vx_free(struct vx *v);

/* A connection for the guest; as if it had connected just now. */
void vx_connect(struct vx *v);
/* Connect and negotiate. */
void vx_negotiate(struct vx *v);
/* And make memory and rings, which are empty. */
void vx_make(struct vx *v);
/* All: the rings run; those for receiving have no buffers. */
void vx_start(struct vx *v);

/* Disable and stop all rings, nothing else; their bases are kept. */
void vx_stop(struct vx *v);

/* evbd is killed and comes again, with the state file; the front-end sees a new connection. */
void vx_kill(struct vx *v);
/* A new connection, the same features as before, and all of the order again, from that base. */
void vx_resume(struct vx *v, enum front_resume from);

/* Handle the messages that are there. */
void vx_step(void *vx);
/* 0 asserted. */
void vx_ok(const struct vx *v, int err);

struct vhost_user_state vx_state(const struct vx *v);
bool vx_runs(const struct vx *v);
void vx_assert_faulty(const struct vx *v, const char *part_of_reason);
bool vx_is_watched(const struct vx *v, int fd);

/* ---- the port's side ---- */

/* One burst, kept in got[] behind what is there; 0 if there is none. */
unsigned vx_rx(struct vx *v, unsigned max);
void vx_rx_done(struct vx *v);
/* All that waits. */
unsigned vx_take(struct vx *v);
void vx_forget(struct vx *v);
/* One frame to the guest, not flushed; was it taken? `hdr` may be NULL. */
bool vx_tx(struct vx *v, const uint8_t *octets, uint32_t size, const struct vnet_hdr *hdr);
void vx_flush(struct vx *v);
/* Both. */
bool vx_give(struct vx *v, const uint8_t *octets, uint32_t size);

/* ---- the guest's side ---- */

/* Fill a receive ring with buffers of v->post_size octets and v->post_layout, `n` at most. */
unsigned vx_post(struct vx *v, unsigned pair, unsigned n);
/* Make one buffer at `gpa` available, visible by front_ring_publish(). */
void vx_post_at(struct vx *v, unsigned pair, uint64_t gpa);
/*
 * One frame, of `size` octets in *octets (v->scratch); false if there is none. Octets behind it
 * in its buffers must be as they were.
 */
bool vx_get(struct vx *v, unsigned pair, struct front_hdr *h, uint32_t *size);
/* Transmit a frame in one buffer of this layout (NULL: one descriptor). */
void vx_send(struct vx *v, unsigned pair, const uint8_t *octets, uint32_t size,
	     const struct front_layout *l);

/* Has the guest been interrupted, or the port been woken, since the last time? */
bool vx_called(struct vx *v, unsigned idx);
bool vx_woken(struct vx *v);
/* A frame each way on pair 0, which must be empty. */
void vx_ping(struct vx *v, const char *name);

/* ---- frames ---- */

/* Octets by `seed`, of EtherType 88b5. */
void vx_fill(uint8_t *octets, uint32_t size, uint32_t seed);
/* Is it that frame? Fails the test with `name` if not. */
void vx_check(const char *name, const uint8_t *octets, uint32_t size, uint32_t want, uint32_t seed);

#endif
