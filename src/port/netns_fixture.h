// SPDX-License-Identifier: Apache-2.0
/*
 * For the tests of ports on real devices only: a network namespace of the test's own, devices made
 * by ip(8), and the guest's or the neighbour's side of a device as a raw packet socket.
 */
#ifndef EVB_PORT_NETNS_FIXTURE_H
#define EVB_PORT_NETNS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "frame.h"
#include "port.h"

enum { NETNS_SKIPPED = 77 }; /* exit code that meson takes for it */

/* Enter an empty namespace, without IPv6, so that it is quiet. False, with a message: not here. */
bool netns_enter(void);

/* Run a shell command; it has to succeed. */
void netns_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What a shell command prints; static, until the next call. */
const char *netns_output(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Wait until the device can send: the kernel drops frames for a while after the link is there. */
void netns_wait_up(const char *dev);

/* A raw socket on a device, with offload header if `vnet`; what it sends, the device sends. */
int raw_open(const char *dev, bool vnet);
void raw_send(int fd, const struct vnet_hdr *h, const uint8_t *octets, uint32_t size);

/* A received frame; its octets have the VLAN tag, if any, beside them. */
struct raw_frame {
	struct vnet_hdr vnet;
	uint16_t tpid, tci;
	uint32_t size;
	uint8_t octets[FRAME_SIZE_MAX];
};

/* The next frame with our EtherType or IPv4; false if none comes within `ms`. */
bool raw_get(int fd, bool vnet, struct raw_frame *f, int ms);

/* What rx() fills, of its own. */
struct burst *burst_make(void);
void burst_free(struct burst *b);

/* rx() until a frame is there, or 2 s have passed; returns how many. */
unsigned rx_wait(struct port *p, struct burst *b);

/* Frames: broadcast from 02:..:`src`, EtherType 0x88b5 (local experimental), numbered. */
enum { TEST_TYPE = 0x88b5 };
uint32_t test_frame(uint8_t *octets, uint8_t src, uint8_t number, uint32_t size);

/* A TCP frame with partial checksum and `payload` octets, to be cut at 1000; its header in `h`. */
uint32_t tcp_frame(uint8_t *octets, uint32_t payload, struct vnet_hdr *h);

/* tx() of one frame. True if it was taken. */
bool tx_one(struct port *p, const uint8_t *octets, uint32_t size, const struct vnet_hdr *h);

#endif
