// SPDX-License-Identifier: Apache-2.0
#include "front_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, HUGE_PAGE = 2 << 20, HUGE_2MB = 21 << 26 /* log2, for memfd_create */ };

static const uint64_t UVA_BASE = UINT64_C(0x550000000000);
static const uint64_t UVA_STEP = UINT64_C(0x4000000000);

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static int file_open(uint64_t size, bool huge, bool sealed)
{
	int fd = memfd_create("front", MFD_CLOEXEC | MFD_ALLOW_SEALING |
					       (huge ? MFD_HUGETLB | HUGE_2MB : 0));

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) ||
	    (sealed && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* Map a region over its file; takes the fd also when it fails. */
static int region_map_take(struct front_mem *m, struct front_region r)
{
	void *host;

	if (m->n_regions == FRONT_REGIONS_MAX) {
		close(r.fd);
		return -ENOSPC;
	}
	host = mmap(NULL, r.size, PROT_READ | PROT_WRITE, MAP_SHARED | (m->huge ? MAP_POPULATE : 0),
		    r.fd, (off_t)r.offset);
	if (host == MAP_FAILED) {
		int err = -errno;

		close(r.fd);
		return err;
	}
	r.host = host;
	m->region[m->n_regions++] = r;
	return 0;
}

int front_mem_open(struct front_mem *m, const struct front_mem_config *c)
{
	unsigned n = c->n_regions ? c->n_regions : 1;
	uint64_t page = c->huge ? HUGE_PAGE : PAGE;
	uint64_t each = round_up((c->size ? c->size : UINT64_C(64) << 20) / n, page);
	uint64_t hole = round_up(c->hole, page);
	int shared = -1, err = 0;

	*m = (struct front_mem){ .huge = c->huge, .sealed = c->sealed, .next = c->base + PAGE };
	if (n > FRONT_REGIONS_MAX)
		return -EINVAL;
	if (n > 1 && !hole && each > 4 * FRONT_SEAM)
		m->seam = FRONT_SEAM;
	if (c->one_file && (shared = file_open(each * n, c->huge, c->sealed)) < 0)
		return shared;
	for (unsigned i = 0; !err && i < n; i++) {
		/* In uva the regions lie the other way round, and far apart. */
		struct front_region r = {
			.gpa = c->base + i * (each + hole),
			.size = each,
			.uva = UVA_BASE + (n - i) * UVA_STEP,
			.offset = c->one_file ? i * each : 0,
		};

		r.fd = c->one_file ? fcntl(shared, F_DUPFD_CLOEXEC, 0) :
				     file_open(each, c->huge, c->sealed);
		err = r.fd < 0 ? r.fd : region_map_take(m, r);
	}
	if (shared >= 0)
		close(shared);
	if (err)
		front_mem_close(m);
	return err;
}

void front_mem_close(struct front_mem *m)
{
	while (m->n_regions)
		front_mem_remove(m, m->n_regions - 1);
}

int front_mem_add(struct front_mem *m, uint64_t gpa, uint64_t size)
{
	struct front_region r = {
		.gpa = gpa,
		.size = round_up(size, m->huge ? HUGE_PAGE : PAGE),
		.uva = UVA_BASE + (FRONT_REGIONS_MAX + 1 + m->n_regions) * UVA_STEP,
	};
	int err;

	r.fd = file_open(r.size, m->huge, m->sealed);
	if (r.fd < 0)
		return r.fd;
	err = region_map_take(m, r);
	return err ? err : (int)m->n_regions - 1;
}

void front_mem_remove(struct front_mem *m, unsigned i)
{
	struct front_region *r = &m->region[i];

	munmap(r->host, r->size);
	close(r->fd);
	m->n_regions--;
	memmove(r, r + 1, (m->n_regions - i) * sizeof(*r));
}

/* The part of a region that the allocator may use. */
static void usable(const struct front_mem *m, unsigned i, uint64_t *from, uint64_t *to)
{
	const struct front_region *r = &m->region[i];

	*from = r->gpa + (i ? m->seam : PAGE);
	*to = r->gpa + r->size - (i + 1 < m->n_regions ? m->seam : 0);
}

uint64_t front_mem_alloc(struct front_mem *m, uint64_t size, uint64_t align)
{
	while (m->next_region < m->n_regions) {
		uint64_t from, to, gpa;

		usable(m, m->next_region, &from, &to);
		gpa = round_up(m->next > from ? m->next : from, align ? align : 1);
		if (gpa <= to && to - gpa >= size) {
			m->next = gpa + size;
			return gpa;
		}
		m->next_region++;
		m->next = 0;
	}
	return FRONT_NO_GPA;
}

uint64_t front_mem_straddle(const struct front_mem *m, unsigned i, uint64_t before)
{
	const struct front_region *r = &m->region[i];

	if (i + 1 >= m->n_regions || r->gpa + r->size != r[1].gpa || before > m->seam)
		return FRONT_NO_GPA;
	return r[1].gpa - before;
}

static const struct front_region *region_of(const struct front_mem *m, uint64_t gpa)
{
	for (unsigned i = 0; i < m->n_regions; i++)
		if (gpa >= m->region[i].gpa && gpa - m->region[i].gpa < m->region[i].size)
			return &m->region[i];
	return NULL;
}

void *front_mem_at(const struct front_mem *m, uint64_t gpa, uint64_t size)
{
	const struct front_region *r = region_of(m, gpa);

	if (!r || size > r->size - (gpa - r->gpa))
		return NULL;
	return r->host + (gpa - r->gpa);
}

uint64_t front_mem_uva(const struct front_mem *m, uint64_t gpa)
{
	const struct front_region *r = region_of(m, gpa);

	return r ? r->uva + (gpa - r->gpa) : FRONT_NO_GPA;
}

/* Copy to guest memory from `in`, or from it to `out`. */
static bool copy(const struct front_mem *m, uint64_t gpa, const uint8_t *in, uint8_t *out,
		 uint64_t size)
{
	while (size) {
		const struct front_region *r = region_of(m, gpa);
		uint64_t left, n;

		if (!r)
			return false;
		left = r->size - (gpa - r->gpa);
		n = size < left ? size : left;
		if (in) {
			memcpy(r->host + (gpa - r->gpa), in, n);
			in += n;
		} else {
			memcpy(out, r->host + (gpa - r->gpa), n);
			out += n;
		}
		gpa += n;
		size -= n;
	}
	return true;
}

bool front_mem_write(const struct front_mem *m, uint64_t gpa, const void *data, uint64_t size)
{
	return copy(m, gpa, data, NULL, size);
}

bool front_mem_read(const struct front_mem *m, uint64_t gpa, void *data, uint64_t size)
{
	return copy(m, gpa, NULL, data, size);
}

uint64_t front_mem_end(const struct front_mem *m)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < m->n_regions; i++)
		if (m->region[i].gpa + m->region[i].size > end)
			end = m->region[i].gpa + m->region[i].size;
	return end;
}

int front_mem_shrink(struct front_mem *m, unsigned i, uint64_t size)
{
	if (i >= m->n_regions)
		return -EINVAL;
	return ftruncate(m->region[i].fd, (off_t)size) ? -errno : 0;
}
