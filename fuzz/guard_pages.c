// SPDX-License-Identifier: Apache-2.0
/*
 * Mappings of files with pages before and behind them that nobody may touch: linked into a fuzzer
 * with --wrap=mmap64,--wrap=munmap. Otherwise the next octet would most likely be one of another
 * mapping, and no sanitizer would say anything. One thread maps and unmaps.
 */
#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

void *__real_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t size);
void *__wrap_mmap64(void *at, size_t size, ...);
int __wrap_munmap(void *at, size_t size);

enum { GUARD = 0x10000, MAPS_MAX = 2048 };

static struct {
	uint8_t *at; /* NULL: empty */
	size_t size;
} maps[MAPS_MAX];

static unsigned find(const void *at)
{
	unsigned i = 0;

	while (i < MAPS_MAX && maps[i].at != at)
		i++;
	return i;
}

/* Its arguments are those of mmap(): prot, flags, fd and offset come after the size. */
void *__wrap_mmap64(void *at, size_t size, ...)
{
	unsigned i = find(NULL);
	int prot, flags, fd;
	uint8_t *all;
	va_list args;
	off_t offset;

	va_start(args, size);
	prot = va_arg(args, int);
	flags = va_arg(args, int);
	fd = va_arg(args, int);
	offset = va_arg(args, off_t);
	va_end(args);
	if (fd < 0 || at)
		return __real_mmap64(at, size, prot, flags, fd, offset);
	assert(i < MAPS_MAX);
	if (size > SIZE_MAX - 2 * GUARD)
		return MAP_FAILED;
	all = __real_mmap64(NULL, size + 2 * GUARD, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return MAP_FAILED;
	at = __real_mmap64(all + GUARD, size, prot, flags | MAP_FIXED, fd, offset);
	if (at == MAP_FAILED) {
		__real_munmap(all, size + 2 * GUARD);
		return MAP_FAILED;
	}
	maps[i].at = at;
	maps[i].size = size;
	return at;
}

int __wrap_munmap(void *at, size_t size)
{
	unsigned i = find(at);

	if (i == MAPS_MAX)
		return __real_munmap(at, size);
	maps[i].at = NULL;
	/* To a page, since the end of the guard has to go, too. */
	size = (maps[i].size + 0xfff) & ~(size_t)0xfff;
	return __real_munmap((uint8_t *)at - GUARD, size + 2 * GUARD);
}
