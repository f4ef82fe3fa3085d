// SPDX-License-Identifier: Apache-2.0
#include "virtq_guest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARD = 0x10000, TABLE_WORK_MAX = 1 << 11 };

static const struct {
	uint64_t gpa;
	uint32_t size;
} layout[VG_REGIONS] = {
	{ 0, 0x4000 },
	{ 0x4000, 0x4000 }, /* next to the one before, elsewhere in the process */
	{ 0x20000, 0x4000 },
	{ UINT64_MAX - 0x1fff, 0x1000 }, /* an address and a length may wrap around */
};

/* ---- memory ---- */

/* Everything is mapped a second time, where traps do not get into the way of who sets them. */
static void memory_make(struct vg *g)
{
	size_t all = VG_FLAT + (VG_REGIONS + 1) * (size_t)GUARD;
	uint8_t *p = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int fd = memfd_create("guest", MFD_CLOEXEC);
	off_t at = 0;

	assert(p != MAP_FAILED && fd >= 0 && ftruncate(fd, VG_FLAT) == 0);
	g->alias = mmap(NULL, VG_FLAT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert(g->alias != MAP_FAILED);
	for (unsigned i = 0; i < VG_REGIONS; i++) {
		p += GUARD;
		assert(mmap(p, layout[i].size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			    at) == p);
		g->region[i] = (struct guest_region){ .gpa = layout[i].gpa,
						      .size = layout[i].size,
						      .host = p };
		p += layout[i].size;
		at += layout[i].size;
	}
	close(fd);
	g->mem = (struct guest_mem){ .n = VG_REGIONS, .max = VG_REGIONS, .region = g->region };
	g->log.map.data = malloc(VG_LOG_SIZE); /* as small as can be, so that a sanitizer sees */
	assert(g->log.map.data);
	g->log.size = VG_LOG_SIZE;
}

static uint32_t region_octets(uint64_t gpa, unsigned *idx)
{
	for (unsigned i = 0; i < VG_REGIONS; i++) {
		if (gpa >= layout[i].gpa && gpa - layout[i].gpa < layout[i].size) {
			*idx = i;
			return layout[i].size - (uint32_t)(gpa - layout[i].gpa);
		}
	}
	return 0;
}

/* Index of `gpa` in pictures and maps, and how many octets follow there; 0: no memory. */
static uint32_t flat_at(uint64_t gpa, uint32_t *flat)
{
	unsigned idx;
	uint32_t room = region_octets(gpa, &idx);

	if (!room)
		return 0;
	*flat = (uint32_t)(gpa - layout[idx].gpa);
	while (idx--)
		*flat += layout[idx].size;
	return room;
}

uint8_t *vg_alias(const struct vg *g, uint64_t gpa)
{
	uint32_t flat;

	return flat_at(gpa, &flat) ? g->alias + flat : NULL;
}

void *vg_at(const struct vg *g, uint64_t gpa, uint64_t size)
{
	unsigned idx;
	uint32_t room = region_octets(gpa, &idx);

	return room && size <= room ? g->region[idx].host + (gpa - layout[idx].gpa) : NULL;
}

static uint32_t driver_size(const struct vg *g)
{
	return g->packed ? sizeof(struct virtq_event) : 4 + g->size * 2u + 2;
}

static uint32_t device_size(const struct vg *g)
{
	return g->packed ? sizeof(struct virtq_event) : 4 + g->size * 8u + 2;
}

void vg_open(struct vg *g, bool packed, uint16_t size)
{
	if (!g->region[0].host)
		memory_make(g);
	for (unsigned i = 0; i < VG_REGIONS; i++)
		memset(g->region[i].host, 0, layout[i].size);
	g->packed = packed;
	g->size = size;
	g->gpa_desc = layout[3].gpa + layout[3].size - size * sizeof(struct virtq_desc);
	g->gpa_driver = layout[1].gpa + layout[1].size - driver_size(g);
	g->gpa_device = (layout[2].gpa + layout[2].size - device_size(g)) & ~UINT64_C(3);
	virtq_init(&g->q);
	g->q.is_packed = packed;
	g->q.size = size;
	g->q.mem = &g->mem;
	g->q.desc = vg_at(g, g->gpa_desc, size * sizeof(struct virtq_desc));
	if (packed) {
		g->q.driver_event = vg_at(g, g->gpa_driver, driver_size(g));
		g->q.device_event = vg_at(g, g->gpa_device, device_size(g));
	} else {
		g->q.avail = vg_at(g, g->gpa_driver, driver_size(g));
		g->q.used = vg_at(g, g->gpa_device, device_size(g));
	}
	g->q.log_desc = g->gpa_desc;
	g->q.log_used = g->q.log_event = g->gpa_device;
}

void vg_start(struct vg *g, uint32_t base)
{
	if (!g->packed)
		g->q.used->idx = (uint16_t)base;
	virtq_start(&g->q, base);
}

void vg_picture(struct vg *g)
{
	uint8_t *to = g->before;

	for (unsigned i = 0; i < VG_REGIONS; i++) {
		memcpy(to, g->region[i].host, layout[i].size);
		to += layout[i].size;
	}
	memset(g->log.map.data, 0, VG_LOG_SIZE);
}

static void restore(struct vg *g, uint64_t gpa, uint32_t size)
{
	uint32_t flat;

	flat_at(gpa, &flat);
	memcpy(vg_at(g, gpa, size), g->before + flat, size);
}

void vg_restore_ring(struct vg *g)
{
	restore(g, g->gpa_desc, g->size * (uint32_t)sizeof(struct virtq_desc));
	restore(g, g->gpa_driver, driver_size(g));
	restore(g, g->gpa_device, device_size(g));
}

/* ---- what descriptors mean ---- */

static bool picture_read(const struct vg *g, uint64_t gpa, void *to, uint32_t n)
{
	uint32_t flat;

	if (flat_at(gpa, &flat) < n)
		return false;
	memcpy(to, g->before + flat, n);
	return true;
}

static struct vg_desc desc_parse(const struct vg *g, struct virtq_desc raw)
{
	uint16_t low = (uint16_t)(raw.rest >> 32), high = (uint16_t)(raw.rest >> 48);

	return (struct vg_desc){ .addr = raw.addr,
				 .len = (uint32_t)raw.rest,
				 .flags = g->packed ? high : low,
				 .other = g->packed ? low : high };
}

static struct vg_desc ring_desc(const struct vg *g, uint16_t slot)
{
	struct virtq_desc raw = { 0 };

	picture_read(g, g->gpa_desc + slot * sizeof(raw), &raw, sizeof(raw));
	return desc_parse(g, raw);
}

/* An entry may lie across regions, but neither half of it. */
static bool table_desc(const struct vg *g, uint64_t table, uint32_t i, struct vg_desc *d)
{
	uint64_t at = table + i * (uint64_t)sizeof(struct virtq_desc);
	struct virtq_desc raw = { 0 };

	if (!picture_read(g, at, &raw.addr, 8) || !picture_read(g, at + 8, &raw.rest, 8))
		return false;
	*d = desc_parse(g, raw);
	return true;
}

static bool chain_take(struct vg_chain *c, struct vg_desc d, bool write)
{
	uint64_t gpa = d.addr;
	uint32_t left = d.len, flat;

	if (!!(d.flags & VIRTQ_DESC_WRITE) != write)
		return false;
	do {
		uint32_t room = flat_at(gpa, &flat), part = left < room ? left : room;

		if (!room || c->n == VIRTQ_SEGMENTS_MAX)
			return false;
		c->d[c->n++] = (struct vg_desc){ .addr = gpa, .len = part };
		gpa += part;
		left -= part;
		c->size += part;
	} while (left);
	return true;
}

static bool walk_table(const struct vg *g, struct vg_desc d, bool write, struct vg_chain *c)
{
	uint32_t n = d.len / sizeof(struct virtq_desc), at = 0;
	struct vg_desc e;

	if (!n || d.len % sizeof(struct virtq_desc) || n > VIRTQ_SIZE_MAX)
		return false;
	for (uint32_t steps = 0; steps < n; steps++) {
		if (!table_desc(g, d.addr, at, &e) || e.flags & VIRTQ_DESC_INDIRECT ||
		    !chain_take(c, e, write))
			return false;
		if (!g->packed && !(e.flags & VIRTQ_DESC_NEXT))
			return true;
		at = g->packed ? at + 1 : e.other;
		if (!g->packed && at >= n)
			return false;
	}
	return g->packed;
}

static bool walk_split(const struct vg *g, uint16_t at, bool write, struct vg_chain *c)
{
	c->id = at;
	for (unsigned steps = 0; steps <= g->size; steps++) {
		struct vg_desc d;

		if (at >= g->size)
			return false;
		d = ring_desc(g, at);
		if (d.flags & VIRTQ_DESC_INDIRECT)
			return !(d.flags & VIRTQ_DESC_NEXT) && walk_table(g, d, write, c);
		if (!chain_take(c, d, write))
			return false;
		if (!(d.flags & VIRTQ_DESC_NEXT))
			return true;
		at = d.other;
	}
	return false;
}

static bool is_available(struct vg_desc d, bool wrap)
{
	return !!(d.flags & VIRTQ_DESC_AVAIL) == wrap && !!(d.flags & VIRTQ_DESC_USED) != wrap;
}

static bool walk_packed(const struct vg *g, uint16_t at, bool wrap, bool write, struct vg_chain *c)
{
	while (c->n_slots < g->size) {
		struct vg_desc d = ring_desc(g, at);

		if (!is_available(d, wrap))
			return false;
		c->n_slots++;
		c->id = d.other;
		if (d.flags & VIRTQ_DESC_INDIRECT)
			return !(d.flags & VIRTQ_DESC_NEXT) && walk_table(g, d, write, c);
		if (!chain_take(c, d, write))
			return false;
		if (!(d.flags & VIRTQ_DESC_NEXT))
			return true;
		if (++at == g->size) {
			at = 0;
			wrap = !wrap;
		}
	}
	return false;
}

void vg_walk(const struct vg *g, uint16_t at, bool wrap, bool write, struct vg_chain *c)
{
	c->n = 0;
	c->size = 0;
	c->id = c->n_slots = 0;
	c->is_sound = g->packed ? walk_packed(g, at, wrap, write, c) : walk_split(g, at, write, c);
}

uint32_t vg_gather(const struct vg *g, const struct vg_chain *c, uint64_t from, uint8_t *to,
		   uint32_t n)
{
	uint32_t done = 0;

	for (unsigned i = 0; i < c->n && done < n; i++) {
		uint32_t part = c->d[i].len, skip;

		skip = from < part ? (uint32_t)from : part;
		from -= skip;
		part -= skip;
		if (part > n - done)
			part = n - done;
		if (part)
			memcpy(to + done, vg_at(g, c->d[i].addr + skip, part), part);
		done += part;
	}
	return done;
}

static bool ranges_meet(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

bool vg_touches_ring(const struct vg *g, const struct vg_chain *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		if (ranges_meet(c->d[i].addr, c->d[i].len, g->gpa_device, device_size(g)) ||
		    ranges_meet(c->d[i].addr, c->d[i].len, g->gpa_desc,
				g->size * sizeof(struct virtq_desc)))
			return true;
	}
	return false;
}

/* ---- what may be written ---- */

/* False: somebody else than who wrote `what` has a use for a part of it. */
static bool map_range(struct vg *g, uint64_t gpa, uint32_t len, uint8_t what)
{
	bool ok = true;

	while (len) {
		uint32_t flat, room = flat_at(gpa, &flat), part = len < room ? len : room;

		if (!room)
			return ok;
		for (uint32_t i = flat; i < flat + part; i++)
			ok &= g->map[i] == VG_NOTHING || g->map[i] == what;
		memset(g->map + flat, what, part);
		gpa += part;
		len -= part;
	}
	return ok;
}

static bool map_desc(struct vg *g, struct vg_desc d, uint32_t *work)
{
	uint32_t n = d.len / sizeof(struct virtq_desc);
	struct vg_desc e;
	bool ok;

	if (!(d.flags & VIRTQ_DESC_INDIRECT)) {
		*work += d.len / 64 + 1;
		return !(d.flags & VIRTQ_DESC_WRITE) || map_range(g, d.addr, d.len, VG_WRITABLE);
	}
	ok = map_range(g, d.addr, d.len, VG_TABLE);
	for (uint32_t i = 0; i < n && table_desc(g, d.addr, i, &e); i++) {
		*work += e.len / 64 + 1;
		if (*work > TABLE_WORK_MAX)
			return false;
		if (e.flags & VIRTQ_DESC_WRITE)
			ok &= map_range(g, e.addr, e.len, VG_WRITABLE);
	}
	return ok;
}

bool vg_map(struct vg *g)
{
	uint32_t work = 0;
	bool ok;

	memset(g->map, VG_NOTHING, sizeof(g->map));
	ok = map_range(g, g->gpa_desc, g->size * (uint32_t)sizeof(struct virtq_desc), VG_RING) &&
	     map_range(g, g->gpa_driver, driver_size(g), VG_RING) &&
	     map_range(g, g->gpa_device, device_size(g), VG_RING);
	for (uint16_t i = 0; i < g->size && ok && work < TABLE_WORK_MAX; i++)
		ok = map_desc(g, ring_desc(g, i), &work);
	return ok && work < TABLE_WORK_MAX;
}

bool vg_use(struct vg *g, const struct vg_chain *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		uint32_t flat;

		flat_at(c->d[i].addr, &flat);
		if (memchr(g->map + flat, VG_USED, c->d[i].len))
			return false;
		memset(g->map + flat, VG_USED, c->d[i].len);
	}
	return true;
}

static bool is_device_part(const struct vg *g, uint64_t gpa)
{
	return (gpa >= g->gpa_device && gpa < g->gpa_device + device_size(g)) ||
	       (g->packed && gpa >= g->gpa_desc &&
		gpa < g->gpa_desc + g->size * sizeof(struct virtq_desc));
}

static void check_octet(const struct vg *g, uint64_t gpa, uint32_t flat, bool data)
{
	uint64_t page = gpa >> GUEST_PAGE_SHIFT;

	assert(is_device_part(g, gpa) || (data && g->map[flat] >= VG_WRITABLE));
	if (g->q.log && page / 8 < VG_LOG_SIZE)
		assert(g->log.map.data[page / 8] >> (page % 8) & 1);
}

void vg_check_written(const struct vg *g, bool data)
{
	uint32_t flat = 0;

	for (unsigned i = 0; i < VG_REGIONS; i++) {
		for (uint32_t at = 0; at < layout[i].size; at += 64) {
			const uint8_t *now = g->region[i].host + at, *was = g->before + flat + at;

			if (!memcmp(now, was, 64))
				continue;
			for (uint32_t k = 0; k < 64; k++)
				if (now[k] != was[k])
					check_octet(g, layout[i].gpa + at + k, flat + at + k, data);
		}
		flat += layout[i].size;
	}
}
