// SPDX-License-Identifier: Apache-2.0
#include "guest_mem.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#ifndef HUGETLBFS_MAGIC
#define HUGETLBFS_MAGIC 0x958458f6
#endif

/* ---- memory that goes away ---- */

/*
 * What the SIGBUS handler knows. It is the one piece of state that belongs to the process and not
 * to an object: a signal has no argument. Slots are filled and emptied by the control thread; the
 * handler runs on whatever thread touched the memory, which was in the slot by then.
 */
enum { FAULT_SLOTS = 16384 };

struct fault_slot {
	_Atomic uintptr_t base; /* 0: empty */
	size_t size;
	_Atomic bool *is_lost;
};

static struct fault_slot fault_slot[FAULT_SLOTS];
static _Atomic int fault_slots_used; /* slots above were never in use */

/* Async-signal-safe: it reads the table, stores a flag and calls the kernel. */
static void fault_handler(int signo, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	int saved = errno, n = atomic_load(&fault_slots_used);

	for (int i = 0; i < n; i++) {
		struct fault_slot *s = &fault_slot[i];
		uintptr_t base = atomic_load(&s->base);

		if (!base || at - base >= s->size)
			continue;
		/* Zeroes from now on, so that the access ends; the port is told by the flag. */
		if (mmap((void *)base, s->size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
			 0) == MAP_FAILED)
			break;
		atomic_store(s->is_lost, true);
		errno = saved;
		return;
	}
	signal(signo, SIG_DFL); /* not ours: die of it when the access is made again */
	errno = saved;
}

int guest_fault_install(void)
{
	struct sigaction sa = { .sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO };

	sigemptyset(&sa.sa_mask);
	return sigaction(SIGBUS, &sa, NULL) < 0 ? -errno : 0;
}

static int fault_slot_take(uint8_t *base, size_t size, _Atomic bool *is_lost)
{
	int n = atomic_load(&fault_slots_used), i = 0;

	while (i < n && atomic_load(&fault_slot[i].base))
		i++;
	if (i == FAULT_SLOTS)
		return -ENOSPC;
	fault_slot[i].size = size;
	fault_slot[i].is_lost = is_lost;
	atomic_store(&fault_slot[i].base, (uintptr_t)base);
	if (i == n)
		atomic_store(&fault_slots_used, n + 1);
	return i;
}

/* ---- mappings ---- */

/*
 * Only memory: an access to a file of a slow or malicious file system (FUSE, network) would hold a
 * worker as long as that likes.
 */
static int check_file(int fd, uint64_t end)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || fstatfs(fd, &fs) < 0)
		return -EOPNOTSUPP;
	if (fs.f_type != TMPFS_MAGIC && fs.f_type != (long)HUGETLBFS_MAGIC)
		return -EOPNOTSUPP;
	return st.st_size < 0 || (uint64_t)st.st_size < end ? -EINVAL : 0;
}

int guest_map_open(struct guest_map *m, int fd, uint64_t offset, uint64_t size,
		   _Atomic bool *is_lost)
{
	struct statfs fs;
	uint64_t page, start;
	int err;

	if (!size || offset + size < size || offset + size > INT64_MAX)
		return -EINVAL;
	err = check_file(fd, offset + size);
	if (err)
		return err;
	/* Of hugetlbfs both ends have to be whole pages; f_bsize is their size. */
	page = fstatfs(fd, &fs) == 0 && fs.f_bsize > 0 ? (uint64_t)fs.f_bsize : 4096;
	start = offset / page * page;
	m->size = (size_t)((offset + size - start + page - 1) / page * page);
	m->base = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		       (off_t)start);
	if (m->base == MAP_FAILED) {
		m->base = NULL;
		return -errno;
	}
	m->data = m->base + (offset - start);
	madvise(m->base, m->size, MADV_DONTDUMP); /* guests' memory is in no core dump */
	m->slot = fault_slot_take(m->base, m->size, is_lost);
	if (m->slot < 0) {
		munmap(m->base, m->size);
		m->base = NULL;
		return m->slot;
	}
	return 0;
}

void guest_map_close(struct guest_map *m)
{
	if (!m->base)
		return;
	atomic_store(&fault_slot[m->slot].base, 0);
	munmap(m->base, m->size);
	m->base = NULL;
}

/* ---- regions ---- */

static bool ranges_meet(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static int check_spec(const struct guest_mem *m, const struct guest_region_spec *s, struct err *e)
{
	if (!s->size || s->gpa + s->size < s->gpa || s->uva + s->size < s->uva ||
	    s->offset + s->size < s->offset)
		return err_set(e, EINVAL,
			       "memory region at 0x%" PRIx64 " of 0x%" PRIx64
			       " octets is empty or wraps around",
			       s->gpa, s->size);
	if ((s->gpa | s->uva | s->offset) & ((1 << GUEST_PAGE_SHIFT) - 1))
		return err_set(e, EINVAL, "memory region at 0x%" PRIx64 " does not begin at a page",
			       s->gpa);
	for (uint32_t i = 0; i < m->n; i++) {
		const struct guest_region *r = &m->region[i];

		if (ranges_meet(r->gpa, r->size, s->gpa, s->size) ||
		    ranges_meet(r->uva, r->size, s->uva, s->size))
			return err_set(e, EEXIST,
				       "memory region at 0x%" PRIx64
				       " overlaps the one at 0x%" PRIx64,
				       s->gpa, r->gpa);
	}
	if (m->n == GUEST_REGIONS_MAX)
		return err_set(e, ENOSPC, "more than %d memory regions", GUEST_REGIONS_MAX);
	return 0;
}

static bool mem_grow(struct guest_mem *m)
{
	uint32_t max = m->max ? m->max * 2 : 8;
	struct guest_region *more;

	if (m->n < m->max)
		return true;
	more = realloc(m->region, max * sizeof(*more));
	if (!more)
		return false;
	m->region = more;
	m->max = max;
	return true;
}

static int map_error(int err, const struct guest_region_spec *s, struct err *e)
{
	if (err == -EOPNOTSUPP) {
		err_set(e, EOPNOTSUPP,
			"guest memory is not in a memory file (memfd, tmpfs or "
			"hugetlbfs)");
		return err_hint(e, "start QEMU with -object memory-backend-memfd,id=m0,size=...,"
				   "share=on -machine memory-backend=m0; libvirt: <memoryBacking>"
				   "<source type='memfd'/><access mode='shared'/>");
	}
	if (err == -EINVAL)
		return err_set(e, EINVAL,
			       "memory region at 0x%" PRIx64 " is larger than the file it is in",
			       s->gpa);
	err_set(e, -err, "cannot map 0x%" PRIx64 " octets of guest memory: %s", s->size,
		strerror(-err));
	return err_hint(e, "see the limits of evbd: address space, vm.max_map_count");
}

int guest_mem_add(struct guest_mem *m, const struct guest_region_spec *s, int fd, struct err *e)
{
	struct guest_region r = { .gpa = s->gpa, .size = s->size, .uva = s->uva };
	int err = check_spec(m, s, e);
	uint32_t at;

	if (err)
		return err;
	if (!mem_grow(m))
		return err_set(e, ENOMEM, "out of memory");
	err = guest_map_open(&r.map, fd, s->offset, s->size, &m->is_lost);
	if (err)
		return map_error(err, s, e);
	r.host = r.map.data;
	for (at = m->n; at > 0 && m->region[at - 1].gpa > s->gpa; at--)
		m->region[at] = m->region[at - 1];
	m->region[at] = r;
	m->n++;
	return 0;
}

int guest_mem_remove(struct guest_mem *m, const struct guest_region_spec *s)
{
	for (uint32_t i = 0; i < m->n; i++) {
		struct guest_region *r = &m->region[i];

		if (r->gpa != s->gpa || r->uva != s->uva || r->size != s->size)
			continue;
		guest_map_close(&r->map);
		memmove(r, r + 1, (m->n - i - 1) * sizeof(*r));
		m->n--;
		return 0;
	}
	return -ENOENT;
}

bool guest_mem_has(const struct guest_mem *m, const struct guest_region_spec *s)
{
	const struct guest_region *r = guest_mem_find(m, s->gpa);

	return r && r->gpa == s->gpa && r->uva == s->uva && r->size == s->size &&
	       !atomic_load(&m->is_lost);
}

bool guest_mem_is(const struct guest_mem *m, const struct guest_region_spec *s, uint32_t n)
{
	if (n != m->n || atomic_load(&m->is_lost))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!guest_mem_has(m, &s[i]))
			return false;
	return true;
}

void guest_mem_clear(struct guest_mem *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		guest_map_close(&m->region[i].map);
	free(m->region);
	m->region = NULL;
	m->n = m->max = 0;
	atomic_store(&m->is_lost, false);
}

uint8_t *guest_mem_at_uva(const struct guest_mem *m, uint64_t uva, uint64_t size, uint64_t *gpa)
{
	for (uint32_t i = 0; i < m->n; i++) {
		const struct guest_region *r = &m->region[i];
		uint64_t at = uva - r->uva;

		if (at >= r->size || size > r->size - at)
			continue;
		*gpa = r->gpa + at;
		return r->host + at;
	}
	return NULL;
}

const struct guest_region *guest_mem_find(const struct guest_mem *m, uint64_t gpa)
{
	uint32_t low = 0, high = m->n;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		const struct guest_region *r = &m->region[mid];

		if (gpa - r->gpa < r->size)
			return r;
		if (gpa < r->gpa)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* ---- dirty log ---- */

void guest_log_mark(const struct guest_log *l, uint64_t gpa, uint64_t size)
{
	uint64_t page = gpa >> GUEST_PAGE_SHIFT, last = (gpa + size - 1) >> GUEST_PAGE_SHIFT;

	if (!size || gpa + size < gpa)
		return;
	for (; page <= last && page / 8 < l->size; page++)
		__atomic_fetch_or(l->map.data + page / 8, (uint8_t)(1u << (page % 8)),
				  __ATOMIC_RELAXED);
}
