// SPDX-License-Identifier: Apache-2.0
/* Attacks by memory, by tables of it, by ring addresses in it, and by headers of frames. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "front_hostile.h"

/* Header lies: the frame itself is sound, 64 octets of IPv4 and TCP. */
static const struct lie {
	const char *name, *what;
	struct front_hdr hdr;
	uint32_t size;
} lies[] = {
	{ "hdr_csum_start",
	  "the checksum starts beyond the frame",
	  { 1, 0, 0, 0, 65535, 16, 0 },
	  64 },
	{ "hdr_csum_offset",
	  "the checksum lies beyond the frame",
	  { 1, 0, 0, 0, 34, 65535, 0 },
	  64 },
	{ "hdr_csum_edge",
	  "the checksum's second octet lies beyond the frame",
	  { 1, 0, 0, 0, 34, 29, 0 },
	  64 },
	{ "hdr_csum_sum",
	  "start and offset of the checksum are 65536 together",
	  { 1, 0, 0, 0, 65520, 16, 0 },
	  64 },
	{ "hdr_len_huge", "headers of 65535 octets", { 1, 1, 65535, 1448, 34, 16, 0 }, 3000 },
	{ "hdr_len_zero", "headers of no octets", { 1, 1, 0, 1448, 34, 16, 0 }, 3000 },
	{ "hdr_gso_zero", "segments of no octets", { 1, 1, 54, 0, 34, 16, 0 }, 3000 },
	{ "hdr_gso_one", "segments of one octet", { 1, 1, 54, 1, 34, 16, 0 }, 60000 },
	{ "hdr_gso_huge", "segments of 65535 octets", { 1, 1, 54, 65535, 34, 16, 0 }, 3000 },
	{ "hdr_gso_type", "an unknown type of segments", { 1, 0x7f, 54, 1448, 34, 16, 0 }, 3000 },
	{ "hdr_gso_udp",
	  "UDP segments that were not negotiated",
	  { 1, 3, 42, 1448, 34, 6, 0 },
	  3000 },
	{ "hdr_gso_no_csum", "segments without checksum", { 0, 1, 54, 1448, 0, 0, 0 }, 3000 },
	{ "hdr_gso_short", "segments of a frame of 20 octets", { 1, 1, 54, 1448, 34, 16, 0 }, 20 },
	{ "hdr_gso_v6",
	  "segments of TCPv6 in a frame of IPv4",
	  { 1, 4, 74, 1448, 54, 16, 0 },
	  3000 },
	{ "hdr_gso_ecn", "only ECN", { 1, 0x80, 54, 1448, 34, 16, 0 }, 3000 },
	{ "hdr_flags", "all flags", { 0xff, 0, 0, 0, 34, 16, 0 }, 64 },
	{ "hdr_all", "a header of ones", { 0xff, 0xff, 65535, 65535, 65535, 65535, 65535 }, 64 },
	{ "hdr_num_buffers",
	  "num_buffers of a transmitted frame",
	  { 0, 0, 0, 0, 0, 0, 65535 },
	  64 },
	{ "frame_empty", "a frame of no octets", { 0 }, 0 },
	{ "frame_one", "a frame of one octet", { 0 }, 1 },
	{ "frame_13", "a frame of 13 octets", { 0 }, 13 },
	{ "frame_huge", "a frame of 69000 octets", { 0 }, 69000 },
};

enum { N_LIES = sizeof(lies) / sizeof(lies[0]) };

static int send_lie(struct front_dev *d, const struct lie *l, unsigned pair)
{
	static const uint8_t head[54] = {
		0x52, 0x54, 0, 0, 0,  11, 0x52, 0x54, 0,   0, 0,    10,	  8,   0, 0x45, 0, 0, 50,
		0,    0,    0, 0, 64, 6,  0,	0,    192, 0, 2,    1,	  192, 0, 2,	2, 0, 9,
		0,    9,    0, 0, 0,  1,  0,	0,    0,   0, 0x50, 0x10, 0,   1, 0,	0, 0, 0,
	};
	static uint8_t frame[70000];
	struct front_tx tx = { .hdr = l->hdr, .data = frame, .size = l->size };

	memcpy(frame, head, sizeof(head));
	return front_dev_send(d, pair, &tx, 1000);
}

/* Tables of memory: how many ranges they claim, how many files come with them, and the ranges. */
enum range {
	SAME, /* all of the first region, as it is */
	NO_SIZE,
	OVER_GPA, /* gpa and size go over 64 bits */
	OVER_UVA,
	OVER_OFFSET,
	HUGE_SIZE,   /* 2^46 octets */
	BEYOND_FILE, /* twice the file */
	ODD_OFFSET,
	OVERLAP_GPA, /* half of the first region's, other uva */
	OVERLAP_UVA,
};

static const struct table {
	const char *name, *what;
	uint32_t n;
	unsigned n_files;
	enum range range[2]; /* the first one, and all others */
	bool null_file;
} tables[] = {
	{ "table_zero_size", "a region of no octets", 1, 1, { NO_SIZE } },
	{ "table_gpa_overflow", "a region that goes over the end of gpa", 1, 1, { OVER_GPA } },
	{ "table_uva_overflow", "a region that goes over the end of uva", 1, 1, { OVER_UVA } },
	{ "table_offset_overflow", "size and offset go over 64 bits", 1, 1, { OVER_OFFSET } },
	{ "table_huge", "a region of 2^46 octets", 1, 1, { HUGE_SIZE } },
	{ "table_beyond_file", "a region twice as large as its file", 1, 1, { BEYOND_FILE } },
	{ "table_odd_offset", "a region at an odd offset", 1, 1, { ODD_OFFSET } },
	{ "table_overlap_gpa", "two regions that overlap in gpa", 2, 2, { SAME, OVERLAP_GPA } },
	{ "table_overlap_uva", "two regions that overlap in uva", 2, 2, { SAME, OVERLAP_UVA } },
	{ "table_same_twice", "the same region twice", 2, 2, { SAME, SAME } },
	{ "table_none", "no region at all", 0, 0, { SAME } },
	{ "table_no_files", "a region without file", 1, 0, { SAME } },
	{ "table_few_files", "two regions with one file", 2, 1, { SAME, OVERLAP_GPA } },
	{ "table_many_files", "one region with 9 files", 1, 9, { SAME } },
	{ "table_9", "9 regions, all the same", 9, 9, { SAME, SAME } },
	{ "table_64", "64 regions, all the same", 64, 64, { SAME, SAME } },
	{ "table_count", "4294967295 regions, of which one is there", UINT32_MAX, 1, { SAME } },
	{ "table_null", "/dev/null as memory", 1, 1, { SAME }, true },
};

enum { N_TABLES = sizeof(tables) / sizeof(tables[0]) };

static struct front_mem_range range_make(const struct front_region *r, enum range kind)
{
	struct front_mem_range v = { r->gpa, r->size, r->uva, r->offset };

	switch (kind) {
	case SAME:
		break;
	case NO_SIZE:
		v.size = 0;
		break;
	case OVER_GPA:
		v.gpa = UINT64_MAX - r->size / 2;
		break;
	case OVER_UVA:
		v.uva = UINT64_MAX - r->size / 2;
		break;
	case OVER_OFFSET:
		v.offset = UINT64_MAX - r->size + 1;
		break;
	case HUGE_SIZE:
		v.size = UINT64_C(1) << 46;
		break;
	case BEYOND_FILE:
		v.size *= 2;
		break;
	case ODD_OFFSET:
		v.offset = 17;
		break;
	case OVERLAP_GPA:
		v.gpa += r->size / 2;
		v.uva += UINT64_C(1) << 44;
		break;
	case OVERLAP_UVA:
		v.gpa += UINT64_C(1) << 40;
		v.uva += r->size / 2;
		break;
	}
	return v;
}

static int ask(struct front_dev *d, struct front_msg *m)
{
	m->flags = FRONT_VERSION | (d->protocol & FRONT_P_REPLY_ACK ? FRONT_NEED_REPLY : 0);
	return front_send(&d->sock, m);
}

static int send_table(struct front_dev *d, const struct table *t)
{
	struct front_msg m = { .request = FRONT_SET_MEM_TABLE, .u.table.n = t->n };
	uint32_t n = t->n > FRONT_REGIONS_MAX ? 1 : t->n;
	int null = t->null_file ? memfd_create("empty", MFD_CLOEXEC) : -1, err;

	m.size = 8 + n * (uint32_t)sizeof(struct front_mem_range);
	for (uint32_t i = 0; i < n; i++)
		m.u.table.range[i] = range_make(&d->mem.region[0], t->range[i > 0]);
	for (; m.n_fds < t->n_files; m.n_fds++)
		m.fds[m.n_fds] = null >= 0 ? null : d->mem.region[0].fd;
	err = ask(d, &m);
	if (null >= 0)
		close(null);
	return err;
}

static int send_slot(struct front_dev *d, uint32_t request, unsigned n_files, uint64_t shift)
{
	struct front_msg m = { .request = request, .size = 40 };

	m.u.slot.range = range_make(&d->mem.region[0], SAME);
	m.u.slot.range.gpa += shift;
	m.u.slot.range.uva += shift;
	for (; m.n_fds < n_files; m.n_fds++)
		m.fds[m.n_fds] = d->mem.region[0].fd;
	return ask(d, &m);
}

static int add_twice(struct front_dev *d, unsigned idx)
{
	return send_slot(d, FRONT_ADD_MEM_REG, 1, 0);
}

static int add_no_file(struct front_dev *d, unsigned idx)
{
	return send_slot(d, FRONT_ADD_MEM_REG, 0, UINT64_C(1) << 44);
}

static int add_two_files(struct front_dev *d, unsigned idx)
{
	return send_slot(d, FRONT_ADD_MEM_REG, 2, UINT64_C(1) << 44);
}

static int add_many(struct front_dev *d, unsigned idx)
{
	struct front_attack_result unused = { 0 };
	int err = 0;

	for (uint64_t i = 1; !err && i <= 600; i++) {
		err = send_slot(d, FRONT_ADD_MEM_REG, 1, i << 36);
		front_attack_probe(d, &unused);
	}
	return err;
}

static int remove_unknown(struct front_dev *d, unsigned idx)
{
	return send_slot(d, FRONT_REM_MEM_REG, 0, UINT64_C(1) << 44);
}

/* Takes away the memory in which rings run, with a file that has no business there. */
static int remove_live(struct front_dev *d, unsigned idx)
{
	return send_slot(d, FRONT_REM_MEM_REG, 1, 0);
}

static int shrink_to(struct front_dev *d, unsigned idx, uint64_t size)
{
	int err = front_mem_shrink(&d->mem, 0, size);

	if (!err)
		front_ring_kick_always(front_dev_ring(d, idx));
	return err;
}

static int shrunk(struct front_dev *d, unsigned idx)
{
	return shrink_to(d, idx, 0);
}

/* Rings stay, buffers go. */
static int shrunk_buffers(struct front_dev *d, unsigned idx)
{
	const struct front_ring *r = &d->pair[d->c.n_pairs - 1].tx;

	return shrink_to(d, idx,
			 (r->gpa_device - d->mem.region[0].gpa + 8192 + 8 * r->c.size) &
				 ~UINT64_C(4095));
}

static int addr_at(struct front_dev *d, unsigned idx, uint64_t desc, uint64_t shift)
{
	const struct front_ring *r = front_dev_ring(d, idx);
	struct front_msg m = { .request = FRONT_SET_VRING_ADDR, .size = 40 };

	m.u.addr = (struct front_vring_addr){
		.idx = idx,
		.desc = desc ? desc : front_mem_uva(&d->mem, r->gpa_desc) + shift,
		.used = front_mem_uva(&d->mem, r->gpa_device) + shift,
		.avail = front_mem_uva(&d->mem, r->gpa_driver) + shift,
	};
	return ask(d, &m);
}

static int addr_misaligned(struct front_dev *d, unsigned idx)
{
	return addr_at(d, idx, 0, 1);
}

/* The table begins in memory and ends outside. */
static int addr_edge(struct front_dev *d, unsigned idx)
{
	const struct front_region *r = &d->mem.region[0];

	return addr_at(d, idx, r->uva + r->size - 16, 0);
}

static int addr_log_outside(struct front_dev *d, unsigned idx)
{
	const struct front_ring *r = front_dev_ring(d, idx);
	struct front_msg m = { .request = FRONT_SET_VRING_ADDR, .size = 40 };
	int err = front_dev_log_start(d);

	m.u.addr = (struct front_vring_addr){ idx,
					      1,
					      front_mem_uva(&d->mem, r->gpa_desc),
					      front_mem_uva(&d->mem, r->gpa_device),
					      front_mem_uva(&d->mem, r->gpa_driver),
					      UINT64_MAX - 4095 };
	return err ? err : ask(d, &m);
}

/* A log too small for the memory, while everything is logged. */
static int log_small(struct front_dev *d, unsigned idx)
{
	int err = front_dev_log_start(d);

	return err ? err : front_set_log_base(&d->sock, 1, 0, d->log_fd);
}

static int log_shrunk(struct front_dev *d, unsigned idx)
{
	int err = front_dev_log_start(d);

	if (err)
		return err;
	return ftruncate(d->log_fd, 0) ? -errno : 0;
}

static const struct deed {
	const char *name, *what;
	int (*run)(struct front_dev *d, unsigned idx);
} deeds[] = {
	{ "slot_twice", "a region that is there already", add_twice },
	{ "slot_no_file", "a region without file", add_no_file },
	{ "slot_two_files", "a region with two files", add_two_files },
	{ "slot_flood", "600 regions", add_many },
	{ "slot_remove_unknown", "takes away a region that is not there", remove_unknown },
	{ "slot_remove_live", "takes away the region of the rings", remove_live },
	{ "mem_shrunk", "the file of the memory is cut to nothing", shrunk },
	{ "mem_shrunk_buffers", "the file of the memory is cut behind the rings", shrunk_buffers },
	{ "addr_misaligned", "odd ring addresses", addr_misaligned },
	{ "addr_edge", "a ring that ends outside of memory", addr_edge },
	{ "addr_log_outside", "a log address outside of the log", addr_log_outside },
	{ "log_small", "a log of one octet", log_small },
	{ "log_shrunk", "the file of the log is cut to nothing", log_shrunk },
};

enum { N_DEEDS = sizeof(deeds) / sizeof(deeds[0]) };

int front_attack_setup(struct front_dev *d, const char *name, unsigned idx,
		       struct front_attack_result *result)
{
	for (unsigned i = 0; i < N_LIES; i++)
		if (!strcmp(lies[i].name, name)) {
			result->what = lies[i].what;
			return send_lie(d, &lies[i], idx / 2);
		}
	for (unsigned i = 0; i < N_TABLES; i++)
		if (!strcmp(tables[i].name, name)) {
			result->what = tables[i].what;
			return send_table(d, &tables[i]);
		}
	for (unsigned i = 0; i < N_DEEDS; i++)
		if (!strcmp(deeds[i].name, name)) {
			result->what = deeds[i].what;
			return deeds[i].run(d, idx);
		}
	return -ENOENT;
}

const char *front_attack_setup_name(unsigned i, const char **what)
{
	if (i < N_LIES) {
		*what = lies[i].what;
		return lies[i].name;
	}
	i -= N_LIES;
	if (i < N_TABLES) {
		*what = tables[i].what;
		return tables[i].name;
	}
	i -= N_TABLES;
	if (i >= N_DEEDS)
		return NULL;
	*what = deeds[i].what;
	return deeds[i].name;
}
