// SPDX-License-Identifier: Apache-2.0
#include "vhost_sane.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#include "front_dev.h"
#include "vhost_user.h"

static void dev_start(struct front_dev *d, struct port *p, bool packed)
{
	struct front_dev_config c = { .mem = { .size = 0x80000 },
				      .rx_size = 16,
				      .tx_size = 16,
				      .features = FRONT_FEATURES_LEAST };
	int fd[2];

	if (packed)
		c.features |= FRONT_BIT(FRONT_F_PACKED);
	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	assert(vhost_user_attach(p, fd[0]) == 0);
	front_dev_init(d, &c);
	front_dev_attach_take(d, fd[1]);
}

static void from_guest(struct front_dev *d, struct port *p, struct burst *b)
{
	uint8_t octets[200], got[sizeof(octets)];
	struct front_tx tx = { .data = octets, .size = sizeof(octets) };

	memset(octets, 7, sizeof(octets));
	assert(front_dev_send(d, 0, &tx, 1000) == 0);
	b->discarded = 0;
	assert(p->ops->rx(p, b, BURST_MAX) == 1);
	assert(b->frame[0].size == sizeof(octets));
	assert(frame_head_copy(&b->frame[0], got, sizeof(got)) == sizeof(got));
	assert(!memcmp(octets, got, sizeof(got)));
	p->ops->rx_done(p);
	assert(front_dev_drain(d, 0, 1000) == 0);
}

static void to_guest(struct front_dev *d, struct port *p)
{
	uint8_t octets[100], got[2048];
	struct front_frame frame = { .data = got, .room = sizeof(got) };
	struct iovec iov = { octets, sizeof(octets) };
	struct frame f = { .iov = &iov, .n_iov = 1, .size = sizeof(octets) };
	const struct frame *list[] = { &f };

	memset(octets, 9, sizeof(octets));
	assert(p->ops->tx(p, list, 1) == 1);
	p->ops->flush(p);
	assert(front_dev_recv(d, 0, &frame, 1000) == 1);
	assert(frame.size == sizeof(octets) && !memcmp(got, octets, sizeof(octets)));
}

void vhost_sane_session(struct port *p, struct burst *b, bool packed, void (*step)(void *),
			void *arg)
{
	static struct front_dev d; /* large */
	uint64_t sync;

	dev_start(&d, p, packed);
	d.sock.step = step;
	d.sock.step_arg = arg;
	assert(front_dev_start(&d) == 0);
	assert(front_get_u64(&d.sock, FRONT_GET_FEATURES, &sync) == 0);
	from_guest(&d, p, b);
	to_guest(&d, p);
	assert(front_dev_stop(&d) == 0);
	front_dev_close(&d);
	step(arg);
}
