// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's programs of uplinks and host ports (bpf/uplink.bpf.c, bpf/host.bpf.c), run by the
 * kernel on any frames with any settings and addresses (BPF_PROG_TEST_RUN), against oracles that
 * are docs/forwarding.md: where the frame goes, what mark it bears, which copies are made of it.
 * The program that puts tags back is not among them: it belongs to a device, and the kernel runs
 * such on the frames of that device only. As root; else nothing is run. In a network namespace of
 * its own.
 *
 *   offset 0   WORLD bits
 *          1   bits: VLANs 0 to 6 of which the host port is a member, and all from 64 on
 *          2   native VLAN of the host port, as vid() reads it
 *          4   how many addresses, up to 15; of each 1 octet for the MAC, 2 for the VLAN
 *              frames: 1 octet for the program and the mark, 1 for the destination, 1 for the
 *              source, 1 for tags, 1 for what follows: octets, and their number
 */
#include <assert.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "eth.h"
#include "host_map.h"
#include "uplink_map.h"
#include "xsk.h"

#include "host.skel.h"
#include "uplink.skel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	WORLD_BRIDGE = 1 << 0,
	WORLD_ANY_SOURCE = 1 << 1,
	WORLD_STATIONS = 1 << 2,
	WORLD_TAKES_ALL = 1 << 3,
	WORLD_SOCKET = 1 << 4,

	OUT = 0, /* programs */
	IN,
	TAP,
	UPLINK,
	PROGRAMS,

	ADDRESSES_MAX = 15,
	OCTETS_MAX = 512,
	HEAD_SIZE = ETH_HEADER_SIZE + 2, /* that programs of a host port look at */
	DEVICE = 1,			 /* lo */
};

static struct {
	struct host_skel *host;
	struct uplink_skel *uplink;
	int program[PROGRAMS];
	int tap; /* what is written to it is read here */
	struct xsk xsk;
} kernel;

/* What the programs are told. */
static struct {
	uint8_t bits;
	struct host_settings set;
	struct host_key key[ADDRESSES_MAX];
	unsigned n;
} world;

/* What becomes of a frame. */
struct outcome {
	uint32_t verdict, mark;
	unsigned copies;
};

/* ---- input ---- */

struct input {
	const uint8_t *at, *end;
};

static uint8_t octet(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

/* Few are likely, all are possible. */
static uint16_t vid(struct input *in)
{
	static const uint16_t likely[] = { 0, 1, 2, 3, 6, 4095, HOST_VID_HOST, 100 };
	uint8_t a = octet(in), b = octet(in);

	return a < 0xf0 ? likely[a % ARRAY_SIZE(likely)] : (uint16_t)((a & 15) << 8 | b);
}

static struct mac mac(struct input *in)
{
	static const struct mac likely[] = {
		{ { 2, 0, 0, 0, 0, 1 } },	   { { 2, 0, 0, 0, 0, 2 } },
		{ { 2, 0, 0, 0, 0, 3 } },	   { { 255, 255, 255, 255, 255, 255 } },
		{ { 1, 0, 0x5e, 0, 0, 1 } },	   { { 1, 0x80, 0xc2, 0, 0, 0 } },
		{ { 1, 0x80, 0xc2, 0, 0, 0x10 } }, { { 0 } },
	};
	uint8_t a = octet(in);
	struct mac m = likely[a & 7];

	if (a & 0x40) /* one bit is another */
		m.b[(a >> 3 & 7) % 6] ^= 1;
	else
		m.b[5] ^= a >> 3 & (a & 0x80 ? 7 : 1);
	return m;
}

static void read_world(struct input *in)
{
	uint8_t vlans;

	world.bits = octet(in);
	world.set = (struct host_settings){ .is_bridge = world.bits & WORLD_BRIDGE,
					    .any_source = !!(world.bits & WORLD_ANY_SOURCE),
					    .has_stations = !!(world.bits & WORLD_STATIONS) };
	vlans = octet(in);
	world.set.vlans[0] = vlans & 0x7f;
	for (unsigned i = 1; vlans & 0x80 && i < ARRAY_SIZE(world.set.vlans); i++)
		world.set.vlans[i] = UINT64_MAX;
	world.set.native = vid(in) & 0xfff;
	world.n = octet(in) & ADDRESSES_MAX;
	for (unsigned i = 0; i < world.n; i++) {
		struct mac m = mac(in);

		memcpy(world.key[i].mac, m.b, sizeof(m.b));
		world.key[i].vid = vid(in);
	}
}

/* ---- the kernel ---- */

static int open_tap(int *ifindex)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int ctl = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "copies", .ifr_flags = IFF_TAP | IFF_NO_PI };
	int quiet = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	bool ok = quiet < 0 || write(quiet, "1", 1) == 1;

	ok = ok && fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0;
	ifr.ifr_flags = IFF_UP;
	ok = ok && ioctl(ctl, SIOCSIFFLAGS, &ifr) == 0;
	*ifindex = (int)if_nametoindex("copies");
	close(quiet);
	close(ctl);
	return ok ? fd : -1;
}

static bool load(int tap)
{
	struct xsk_spec spec = { .chunk_size = 2048, .ifindex = DEVICE, .copies = true };

	kernel.host = host_skel__open();
	kernel.uplink = uplink_skel__open();
	if (!kernel.host || !kernel.uplink)
		return false;
	kernel.host->bss->settings.device = DEVICE;
	kernel.host->bss->settings.tap = (uint32_t)tap;
	bpf_program__set_autoload(kernel.uplink->progs.evb_uplink_tag, false);
	if (host_skel__load(kernel.host) || uplink_skel__load(kernel.uplink))
		return false;
	kernel.program[OUT] = bpf_program__fd(kernel.host->progs.evb_host_out);
	kernel.program[IN] = bpf_program__fd(kernel.host->progs.evb_host_in);
	kernel.program[TAP] = bpf_program__fd(kernel.host->progs.evb_host_tap);
	kernel.program[UPLINK] = bpf_program__fd(kernel.uplink->progs.evb_uplink);
	spec.memory = xsk_memory(spec.chunk_size, 1);
	return spec.memory >= 0 && xsk_open(&kernel.xsk, &spec) == 0;
}

/* False: not allowed here. What is allowed and fails breaks the fuzzer. */
static bool ready(void)
{
	static enum { UNTRIED, REFUSED, READY } now;
	int tap;

	if (now != UNTRIED)
		return now == READY;
	now = REFUSED;
	libbpf_set_print(NULL);
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0 ||
	    bpf_map_create(BPF_MAP_TYPE_ARRAY, NULL, 4, 4, 1, NULL) < 0) {
		fprintf(stderr, "bpf_fuzz: skipped, it takes root\n");
		return false;
	}
	now = READY;
	kernel.tap = open_tap(&tap);
	if (kernel.tap < 0 || !load(tap))
		abort();
	return true;
}

/* Take the addresses of the last world out, or put those of this one in. */
static void tell_addresses(bool add)
{
	int stations = bpf_map__fd(kernel.host->maps.addresses);
	int owned = bpf_map__fd(kernel.uplink->maps.owned);
	uint8_t one = 1;

	for (unsigned i = 0; i < world.n; i++) {
		struct uplink_mac m = { .zero = { 0 } };

		memcpy(m.b, world.key[i].mac, sizeof(m.b));
		if (add) {
			assert(bpf_map_update_elem(stations, &world.key[i], &one, BPF_ANY) == 0);
			assert(bpf_map_update_elem(owned, &m, &one, BPF_ANY) == 0);
		} else { /* some are there twice */
			bpf_map_delete_elem(stations, &world.key[i]);
			bpf_map_delete_elem(owned, &m);
		}
	}
}

static void tell_settings(void)
{
	int sockets = bpf_map__fd(kernel.uplink->maps.sockets);
	struct host_settings *s = &kernel.host->bss->settings;
	uint32_t queue = 0;

	world.set.device = s->device;
	world.set.tap = s->tap;
	*s = world.set;
	kernel.uplink->bss->takes_all = !!(world.bits & WORLD_TAKES_ALL);
	if (world.bits & WORLD_SOCKET)
		assert(bpf_map_update_elem(sockets, &queue, &kernel.xsk.fd, BPF_ANY) == 0);
	else
		bpf_map_delete_elem(sockets, &queue);
}

/* Copies are the frame, octet for octet. */
static unsigned copies_of(const uint8_t *frame, uint32_t size)
{
	uint8_t got[OCTETS_MAX + 64];
	ssize_t n;
	unsigned copies = 0;

	for (; (n = read(kernel.tap, got, sizeof(got))) > 0; copies++) {
		assert((uint32_t)n == size);
		assert(memcmp(got, frame, size) == 0);
	}
	return copies;
}

static struct outcome run(unsigned program, const uint8_t *frame, uint32_t size, uint32_t mark)
{
	uint8_t out[OCTETS_MAX + 64];
	struct __sk_buff ctx = { .mark = mark };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = size,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = 1);

	if (program != UPLINK) {
		opts.ctx_in = opts.ctx_out = &ctx;
		opts.ctx_size_in = opts.ctx_size_out = sizeof(ctx);
	}
	if (bpf_prog_test_run_opts(kernel.program[program], &opts))
		abort();
	assert(opts.data_size_out == size && memcmp(out, frame, size) == 0);
	return (struct outcome){ opts.retval, ctx.mark, copies_of(frame, size) };
}

/* ---- the oracles ---- */

/* A bridge-mode station, or the host, has the address in the VLAN. */
static bool is_at(const uint8_t *m, unsigned vlan)
{
	for (unsigned i = 0; i < world.n; i++)
		if (memcmp(world.key[i].mac, m, 6) == 0 && world.key[i].vid == vlan)
			return true;
	return false;
}

static bool is_station(const uint8_t *m, unsigned vlan)
{
	return is_at(m, vlan) || is_at(m, HOST_VID_ANY);
}

/* Untagged and with a priority tag: the native VLAN. Of a VLAN that the host has not: none. */
static unsigned vlan_of(const uint8_t *frame)
{
	unsigned v = 0, type = eth_load16(frame + 12);

	if (type == ETHERTYPE_STAG)
		return 0;
	if (type == ETHERTYPE_CTAG)
		v = eth_load16(frame + 14) & 0xfff;
	v = v ? v : world.set.native;
	return world.set.vlans[v / 64] & UINT64_C(1) << v % 64 ? v : 0;
}

/* The relay has to do with groups, but for 01-80-C2-00-00-00 to 0F. */
static bool is_relayed_group(const uint8_t *m)
{
	static const uint8_t reserved[] = { 1, 0x80, 0xc2, 0, 0 };

	return m[0] & 1 && (memcmp(m, reserved, sizeof(reserved)) != 0 || m[5] > 15);
}

/* "Edge relay: the host port", what the host sends. */
static struct outcome host_sends(const uint8_t *frame, uint32_t mark)
{
	struct outcome to_wire = { (uint32_t)TC_ACT_UNSPEC, mark, 0 };
	struct outcome to_guest = { TC_ACT_REDIRECT, HOST_MARK, 0 };
	struct outcome to_both = { (uint32_t)TC_ACT_UNSPEC, mark, 1 };
	const uint8_t *dst = frame, *src = frame + 6;
	unsigned v = vlan_of(frame);

	if (!world.set.is_bridge || !v)
		return to_wire;
	if (!world.set.any_source && !is_at(src, HOST_VID_HOST))
		return to_wire;
	if (dst[0] & 1)
		return is_relayed_group(dst) && world.set.has_stations ? to_both : to_wire;
	return is_station(dst, v) ? to_guest : to_wire;
}

/* The same, what the wire has for the host. */
static struct outcome host_receives(const uint8_t *frame, uint32_t mark)
{
	const uint8_t *dst = frame, *src = frame + 6;
	unsigned v = vlan_of(frame);
	bool has_had_it = v && is_relayed_group(dst) && is_station(src, v);

	if (has_had_it || is_at(src, HOST_VID_HOST))
		return (struct outcome){ TC_ACT_SHOT, mark, 0 };
	return (struct outcome){ (uint32_t)TC_ACT_UNSPEC, mark, 0 };
}

static struct outcome uplink_receives(const uint8_t *frame, uint32_t mark)
{
	bool is_owned = world.bits & WORLD_TAKES_ALL;

	for (unsigned i = 0; i < world.n; i++)
		is_owned |= memcmp(world.key[i].mac, frame, 6) == 0;
	is_owned = is_owned && !(frame[0] & 1) && world.bits & WORLD_SOCKET;
	return (struct outcome){ is_owned ? XDP_REDIRECT : XDP_PASS, mark, 0 };
}

static struct outcome oracle(unsigned program, const uint8_t *frame, uint32_t size, uint32_t mark)
{
	if (program == UPLINK)
		return uplink_receives(frame, mark);
	if (program == TAP)
		return (struct outcome){ TC_ACT_REDIRECT, HOST_MARK, 0 };
	if (mark == HOST_MARK) /* of evbd */
		return (struct outcome){ (uint32_t)TC_ACT_UNSPEC, 0, 0 };
	if (size < HEAD_SIZE)
		return (struct outcome){ (uint32_t)TC_ACT_UNSPEC, mark, 0 };
	return program == OUT ? host_sends(frame, mark) : host_receives(frame, mark);
}

/* ---- frames ---- */

static void put16(uint8_t *frame, uint32_t *at, unsigned v)
{
	frame[(*at)++] = (uint8_t)(v >> 8);
	frame[(*at)++] = (uint8_t)v;
}

static uint32_t read_frame(struct input *in, uint8_t *frame)
{
	static const uint16_t types[] = { ETHERTYPE_CTAG, ETHERTYPE_STAG, 0x9100, ETHERTYPE_CTAG };
	struct mac dst = mac(in), src = mac(in);
	uint8_t tags = octet(in), n = octet(in);
	uint32_t size = 12;

	memcpy(frame, dst.b, 6);
	memcpy(frame + 6, src.b, 6);
	for (unsigned i = 0; i < (tags & 3u); i++) {
		put16(frame, &size, types[tags >> (2 + 2 * i) & 3]);
		put16(frame, &size, vid(in) ^ (unsigned)tags >> 5 << 13);
	}
	put16(frame, &size, 0x88b5); /* local experimental */
	for (unsigned i = 0; i < (n & 7u); i++)
		frame[size++] = octet(in);
	return size + (n >> 3) * 8u;
}

static void one_frame(struct input *in)
{
	static const uint32_t marks[] = { 0, HOST_MARK, 7, UINT32_MAX };
	static const uint8_t likely[] = { OUT, IN, UPLINK, OUT, IN, UPLINK, OUT, TAP };
	static const char *const names[] = { "host_out", "host_in", "host_tap", "uplink" };
	uint8_t frame[OCTETS_MAX] = { 0 }, kind = octet(in);
	uint32_t mark = marks[kind & 0xc0 ? 0 : kind >> 4], size = read_frame(in, frame);
	unsigned program = likely[kind & 7];
	struct outcome want, is;

	want = oracle(program, frame, size, mark);
	is = run(program, frame, size, mark);
	if (memcmp(&want, &is, sizeof(is)) == 0)
		return;
	fprintf(stderr, "%s: verdict %d, mark %#x, copies %u; not %d, %#x, %u\n", names[program],
		(int)is.verdict, is.mark, is.copies, (int)want.verdict, want.mark, want.copies);
	for (uint32_t i = 0; i < size; i++)
		fprintf(stderr, "%02x%s", frame[i], i + 1 < size ? " " : "\n");
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };

	if (!ready())
		return 0;
	tell_addresses(false);
	read_world(&in);
	tell_addresses(true);
	tell_settings();
	while (in.at < in.end)
		one_frame(&in);
	return 0;
}
