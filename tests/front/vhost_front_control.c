// SPDX-License-Identifier: Apache-2.0
/* Commands of vhost_front that set up, tear down and tell. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "front_hostile.h"
#include "vhost_front.h"

static int need_plain(struct shell *s, unsigned n, const char *usage)
{
	return shell_plain(s, n - 1) ? 0 : shell_fail(s, "usage: %s", usage);
}

static void set_timeout(struct shell *s)
{
	s->dev.sock.timeout_ms =
		(int)shell_number(s, "timeout_ms", (uint64_t)s->dev.sock.timeout_ms);
}

static int run_connect(struct shell *s)
{
	set_timeout(s);
	return need_plain(s, 1, "connect PATH") ?
		       -EINVAL :
		       shell_dev(s, front_dev_connect(&s->dev, shell_plain(s, 0)));
}

static int run_listen(struct shell *s)
{
	return need_plain(s, 1, "listen PATH") ?
		       -EINVAL :
		       shell_dev(s, front_dev_listen(&s->dev, shell_plain(s, 0)));
}

static int run_accept(struct shell *s)
{
	set_timeout(s);
	return shell_dev(s, front_dev_accept(&s->dev));
}

static int run_fd(struct shell *s)
{
	if (need_plain(s, 1, "fd N"))
		return -EINVAL;
	front_dev_attach_take(&s->dev, atoi(shell_plain(s, 0)));
	return 0;
}

static int run_disconnect(struct shell *s)
{
	front_sock_close(&s->dev.sock);
	return 0;
}

static int run_features(struct shell *s)
{
	if (need_plain(s, 1, "features HEX|all"))
		return -EINVAL;
	if (!strcmp(shell_plain(s, 0), "all"))
		s->config.features = UINT64_MAX & ~FRONT_BIT(FRONT_F_LOG_ALL);
	else
		s->config.features = strtoull(shell_plain(s, 0), NULL, 16);
	return 0;
}

static int run_protocol(struct shell *s)
{
	if (need_plain(s, 1, "protocol HEX"))
		return -EINVAL;
	s->config.protocol = strtoull(shell_plain(s, 0), NULL, 16);
	return 0;
}

static const struct {
	const char *key;
	uint64_t bits;
} feature_keys[] = {
	{ "packed", FRONT_BIT(FRONT_F_PACKED) },
	{ "event_idx", FRONT_BIT(FRONT_F_EVENT_IDX) },
	{ "indirect", FRONT_BIT(FRONT_F_INDIRECT) },
	{ "mrg", FRONT_BIT(FRONT_F_MRG_RXBUF) },
	{ "in_order", FRONT_BIT(FRONT_F_IN_ORDER) },
	{ "offload", FRONT_FEATURES_OFFLOAD },
	{ "mq", FRONT_BIT(FRONT_F_MQ) | FRONT_BIT(FRONT_F_CTRL_VQ) },
	{ "version_1", FRONT_BIT(FRONT_F_VERSION_1) },
	{ "protocol", FRONT_BIT(FRONT_F_PROTOCOL) },
};

static const struct {
	const char *name, *order;
} orders[] = {
	{ "qemu", FRONT_ORDER_QEMU },
	{ "cloud_hypervisor", FRONT_ORDER_CLOUD_HYPERVISOR },
	{ "crosvm", FRONT_ORDER_CROSVM },
	{ "virtio_user", FRONT_ORDER_VIRTIO_USER },
};

static void set_order(struct shell *s)
{
	const char *order = shell_value(s, "order");

	if (!order)
		return;
	for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (!strcmp(orders[i].name, order))
			order = orders[i].order;
	snprintf(s->order, sizeof(s->order), "%s", order);
	s->config.order = s->order;
}

static void flag(const struct shell *s, const char *key, bool *value)
{
	*value = shell_number(s, key, *value) != 0;
}

static int configure(struct shell *s)
{
	struct front_dev_config *c = &s->config;
	uint64_t size = shell_number(s, "size", 0);

	for (unsigned i = 0; i < sizeof(feature_keys) / sizeof(feature_keys[0]); i++) {
		const char *value = shell_value(s, feature_keys[i].key);

		if (value && strcmp(value, "0") != 0)
			c->features |= feature_keys[i].bits;
		else if (value)
			c->features &= ~feature_keys[i].bits;
	}
	c->n_pairs = (unsigned)shell_number(s, "queues", c->n_pairs);
	c->rx_size = (unsigned)shell_number(s, "rx_size", size ? size : c->rx_size);
	c->tx_size = (unsigned)shell_number(s, "tx_size", size ? size : c->tx_size);
	c->rx_buf = (uint32_t)shell_number(s, "rx_buf", c->rx_buf);
	c->mem.size = shell_number(s, "mem", c->mem.size);
	c->mem.base = shell_number(s, "base", c->mem.base);
	c->mem.hole = shell_number(s, "hole", c->mem.hole);
	c->mem.n_regions = (unsigned)shell_number(s, "regions", c->mem.n_regions);
	flag(s, "one_file", &c->mem.one_file);
	flag(s, "huge", &c->mem.huge);
	flag(s, "sealed", &c->mem.sealed);
	flag(s, "need_reply", &c->need_reply);
	flag(s, "add_regions", &c->add_regions);
	flag(s, "no_call", &c->no_call);
	flag(s, "no_kick", &c->no_kick);
	flag(s, "tight", &c->tight);
	flag(s, "id_last", &c->id_last);
	flag(s, "strict", &c->strict);
	if (c->n_pairs > FRONT_PAIRS_MAX)
		return shell_fail(s, "at most %d pairs", FRONT_PAIRS_MAX);
	if (c->add_regions && !c->protocol)
		c->protocol = FRONT_PROTOCOL_USUAL | FRONT_P_CONFIGURE_MEM_SLOTS;
	if (!shell_layout(s, &c->rx_layout, shell_value(s, "rx_layout"),
			  shell_value(s, "rx_indirect")))
		return shell_fail(s, "rx_layout: octets with commas between, '*' to go on so");
	set_order(s);
	if (s->dev.pair)
		return shell_fail(s, "memory and rings are there already");
	front_dev_configure(&s->dev, c);
	return 0;
}

static void tell_features(struct shell *s)
{
	const struct front_dev *d = &s->dev;

	fprintf(s->out, ",\"offered\":\"%" PRIx64 "\",\"features\":\"%" PRIx64 "\"", d->offered,
		d->features);
	fprintf(s->out, ",\"protocol_offered\":\"%" PRIx64 "\",\"protocol\":\"%" PRIx64 "\"",
		d->protocol_offered, d->protocol);
	fprintf(s->out, ",\"queue_num\":%" PRIu64 ",\"mem_slots\":%" PRIu64 ",\"header\":%u",
		d->queue_num, d->mem_slots, d->header_size);
}

static int run_negotiate(struct shell *s)
{
	int err = configure(s);

	if (!err)
		err = shell_dev(s, front_dev_negotiate(&s->dev));
	if (!err)
		tell_features(s);
	return err;
}

static int run_setup(struct shell *s)
{
	int err = run_negotiate(s);

	return err ? err : shell_dev(s, front_dev_setup(&s->dev));
}

static int run_make(struct shell *s)
{
	return shell_dev(s, front_dev_make(&s->dev));
}

static int run_steps(struct shell *s)
{
	return need_plain(s, 1, "steps STEPS") ?
		       -EINVAL :
		       shell_dev(s, front_dev_steps(&s->dev, shell_plain(s, 0)));
}

static int need_rings(struct shell *s)
{
	return s->dev.pair ? 0 : shell_fail(s, "there are no rings yet; use setup");
}

static int run_enable(struct shell *s)
{
	if (need_plain(s, 2, "enable RING 0|1"))
		return -EINVAL;
	return shell_dev(s, front_dev_enable(&s->dev, (unsigned)atoi(shell_plain(s, 0)),
					     atoi(shell_plain(s, 1))));
}

static int run_stop(struct shell *s)
{
	int err = need_rings(s);

	if (!err)
		err = shell_dev(s, front_dev_stop(&s->dev));
	if (err)
		return err;
	fprintf(s->out, ",\"bases\":[");
	for (unsigned i = 0; i < 2 * s->dev.c.n_pairs; i++)
		fprintf(s->out, "%s%u", i ? "," : "", s->dev.pair[i / 2].base[i & 1]);
	fprintf(s->out, "]");
	return 0;
}

static enum front_resume from_of(const struct shell *s)
{
	static const char *const name[] = { "base", "used", "avail", "zero" };
	const char *from = shell_value(s, "from");

	for (unsigned i = 0; from && i < 4; i++)
		if (!strcmp(name[i], from))
			return (enum front_resume)i;
	return FRONT_FROM_BASE;
}

static int run_resume(struct shell *s)
{
	int err = need_rings(s);

	return err ? err : shell_dev(s, front_dev_resume(&s->dev, from_of(s)));
}

static int run_reconnect(struct shell *s)
{
	int err = need_rings(s);

	set_timeout(s);
	return err ? err : shell_dev(s, front_dev_reconnect(&s->dev, from_of(s)));
}

static int run_add_region(struct shell *s)
{
	struct front_dev *d = &s->dev;
	uint64_t gpa = shell_number(s, "gpa", front_mem_end(&d->mem));
	int i = front_mem_add(&d->mem, gpa, shell_number(s, "size", 2 << 20)), err;

	if (i < 0)
		return shell_fail(s, "region: %s", strerror(-i));
	err = d->c.add_regions ? front_add_region(&d->sock, &d->mem.region[i]) :
				 front_set_mem_table(&d->sock, &d->mem);
	fprintf(s->out, ",\"region\":%d,\"gpa\":%" PRIu64, i, gpa);
	return err ? shell_fail(s, "%s", d->sock.error), err : 0;
}

static int run_remove_region(struct shell *s)
{
	struct front_dev *d = &s->dev;
	unsigned i;
	int err = 0;

	if (need_plain(s, 1, "remove_region N"))
		return -EINVAL;
	i = (unsigned)atoi(shell_plain(s, 0));
	if (i >= d->mem.n_regions)
		return shell_fail(s, "there is no region %u", i);
	if (d->c.add_regions)
		err = front_remove_region(&d->sock, &d->mem.region[i]);
	front_mem_remove(&d->mem, i);
	if (!d->c.add_regions)
		err = front_set_mem_table(&d->sock, &d->mem);
	return err ? shell_fail(s, "%s", d->sock.error), err : 0;
}

static int open_file(const char *kind)
{
	if (!strcmp(kind, "event"))
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!strcmp(kind, "null"))
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	if (!strcmp(kind, "mem")) {
		int fd = memfd_create("msg", MFD_CLOEXEC);

		return fd >= 0 && ftruncate(fd, 1 << 20) ? -1 : fd;
	}
	return -1;
}

static int run_msg(struct shell *s)
{
	const char *hex = shell_value(s, "hex"), *file = shell_value(s, "file");
	struct front_dev *d = &s->dev;
	struct front_msg m = { 0 };
	bool ask = d->sock.ask_reply;
	int n = 0, err;

	if (need_plain(s, 1, "msg NAME"))
		return -EINVAL;
	m.request = front_request_id(shell_plain(s, 0));
	if (!m.request)
		m.request = (uint32_t)strtoul(shell_plain(s, 0), NULL, 0);
	if (hex)
		n = shell_octets(hex, m.u.octets, sizeof(m.u.octets));
	else if (shell_value(s, "idx") || shell_value(s, "u64"))
		n = 8;
	if (n < 0)
		return shell_fail(s, "hex: odd or too long");
	m.size = (uint32_t)n;
	if (shell_value(s, "idx"))
		m.u.state = (struct front_vring_state){ (uint32_t)shell_number(s, "idx", 0),
							(uint32_t)shell_number(s, "num", 0) };
	else if (shell_value(s, "u64"))
		m.u.u64 = shell_number(s, "u64", 0);
	if (file && (m.fds[0] = open_file(file)) >= 0)
		m.n_fds = 1;
	file = m.n_fds ? file : NULL;
	n = m.fds[0];
	d->sock.ask_reply = shell_number(s, "need_reply", ask);
	err = front_call(&d->sock, &m);
	d->sock.ask_reply = ask;
	if (file)
		close(n);
	if (err)
		return shell_fail(s, "%s", d->sock.error), err;
	if (m.flags & FRONT_REPLY) {
		fprintf(s->out, ",\"reply\":\"");
		shell_hex(s->out, m.u.octets, m.size);
		fprintf(s->out, "\",\"fds\":%u", m.n_fds);
		if (m.size == 8)
			fprintf(s->out, ",\"u64\":%" PRIu64 ",\"idx\":%u,\"num\":%u", m.u.u64,
				m.u.state.idx, m.u.state.num);
		front_msg_close_fds(&m);
	}
	return 0;
}

static int run_raw(struct shell *s)
{
	int n = shell_octets(shell_plain(s, 0), s->frame, sizeof(s->frame)), err;

	if (n < 0)
		return shell_fail(s, "usage: raw HEX");
	err = front_send_raw(&s->dev.sock, s->frame, (size_t)n, NULL, 0);
	return err ? shell_fail(s, "%s", s->dev.sock.error), err : 0;
}

static int run_log(struct shell *s)
{
	const char *what = shell_plain(s, 0);
	struct front_dev *d = &s->dev;
	int err = need_rings(s);

	if (err)
		return err;
	if (what && !strcmp(what, "start"))
		return shell_dev(s, front_dev_log_start(d));
	if (what && !strcmp(what, "stop"))
		return shell_dev(s, front_dev_log_stop(d));
	if (what && !strcmp(what, "clear"))
		front_dev_log_clear(d);
	fprintf(s->out, ",\"dirty\":%" PRIu64, front_dev_log_count(d));
	if (what && !strcmp(what, "dirty"))
		fprintf(s->out, ",\"hit\":%s",
			front_dev_log_dirty(d, shell_number(s, "gpa", 0),
					    shell_number(s, "size", 1)) ?
				"true" :
				"false");
	return 0;
}

static void tell_result(struct shell *s, const struct front_attack_result *r)
{
	fprintf(s->out, ",\"closed\":%s,\"answers\":%s,\"acked\":%s,\"refused\":%s",
		r->closed ? "true" : "false", r->answers ? "true" : "false",
		r->acked ? "true" : "false", r->refused ? "true" : "false");
	fprintf(s->out, ",\"err\":%s,\"used\":%u", r->err_signalled ? "true" : "false", r->n_used);
}

static int run_hostile(struct shell *s)
{
	struct front_attack_args args = { .idx = (unsigned)shell_number(s, "ring", 1),
					  .wait_ms = (int)shell_number(s, "wait_ms", 0),
					  .count = (unsigned)shell_number(s, "count", 0) };
	struct front_attack_result result;
	int err = need_rings(s);

	if (err || need_plain(s, 1, "hostile NAME"))
		return -EINVAL;
	err = front_attack(&s->dev, shell_plain(s, 0), &args, &result);
	if (err)
		return shell_fail(s, "%s: %s", shell_plain(s, 0), strerror(-err)), err;
	fprintf(s->out, ",\"what\":");
	shell_text(s->out, result.what);
	tell_result(s, &result);
	return 0;
}

static int run_attacks(struct shell *s)
{
	const char *name, *what;

	fprintf(s->out, ",\"attacks\":{");
	for (unsigned i = 0; (name = front_attack_name(i, &what)); i++) {
		fprintf(s->out, "%s\"%s\":", i ? "," : "", name);
		shell_text(s->out, what);
	}
	fprintf(s->out, "}");
	return 0;
}

static int run_probe(struct shell *s)
{
	struct front_attack_result result = { 0 };

	front_attack_probe(&s->dev, &result);
	tell_result(s, &result);
	return 0;
}

static int run_peek(struct shell *s)
{
	uint64_t n;

	if (need_plain(s, 2, "peek GPA N"))
		return -EINVAL;
	n = strtoull(shell_plain(s, 1), NULL, 0);
	if (n > sizeof(s->frame) ||
	    !front_mem_read(&s->dev.mem, strtoull(shell_plain(s, 0), NULL, 0), s->frame, n))
		return shell_fail(s, "not in guest memory");
	fprintf(s->out, ",\"hex\":\"");
	shell_hex(s->out, s->frame, n);
	fprintf(s->out, "\"");
	return 0;
}

static int run_poke(struct shell *s)
{
	int n = shell_octets(shell_plain(s, 1), s->frame, sizeof(s->frame));

	if (need_plain(s, 2, "poke GPA HEX") || n < 0)
		return -EINVAL;
	if (!front_mem_write(&s->dev.mem, strtoull(shell_plain(s, 0), NULL, 0), s->frame,
			     (uint64_t)n))
		return shell_fail(s, "not in guest memory");
	return 0;
}

static int run_shrink(struct shell *s)
{
	int err;

	if (need_plain(s, 2, "shrink REGION SIZE"))
		return -EINVAL;
	err = front_mem_shrink(&s->dev.mem, (unsigned)atoi(shell_plain(s, 0)),
			       strtoull(shell_plain(s, 1), NULL, 0));
	return err ? shell_fail(s, "shrink: %s", strerror(-err)), err : 0;
}

const struct command control_commands[] = {
	{ "connect", run_connect },
	{ "listen", run_listen },
	{ "accept", run_accept },
	{ "fd", run_fd },
	{ "disconnect", run_disconnect },
	{ "features", run_features },
	{ "protocol", run_protocol },
	{ "negotiate", run_negotiate },
	{ "setup", run_setup },
	{ "make", run_make },
	{ "steps", run_steps },
	{ "enable", run_enable },
	{ "stop", run_stop },
	{ "resume", run_resume },
	{ "reconnect", run_reconnect },
	{ "add_region", run_add_region },
	{ "remove_region", run_remove_region },
	{ "msg", run_msg },
	{ "raw", run_raw },
	{ "log", run_log },
	{ "hostile", run_hostile },
	{ "attacks", run_attacks },
	{ "probe", run_probe },
	{ "peek", run_peek },
	{ "poke", run_poke },
	{ "shrink", run_shrink },
	{ NULL, NULL },
};
