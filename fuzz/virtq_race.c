// SPDX-License-Identifier: Apache-2.0
#include "virtq_race.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

/* ---- a thread ---- */

static struct {
	pthread_t thread;
	bool is_started;
	struct vg_race race[VG_RACES_MAX];
	unsigned n;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	_Atomic bool run, is_running;
} racer = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

static void flip(const struct vg_race *r)
{
	volatile uint8_t *p = r->alias;

	switch (r->width) {
	case 1:
		*p ^= (uint8_t)r->flip;
		break;
	case 2:
		*(volatile uint16_t *)p ^= (uint16_t)r->flip;
		break;
	case 4:
		*(volatile uint32_t *)p ^= (uint32_t)r->flip;
		break;
	default:
		*(volatile uint64_t *)p ^= r->flip;
	}
}

static void *race_thread(void *unused)
{
	for (;;) {
		pthread_mutex_lock(&racer.lock);
		while (!racer.run)
			pthread_cond_wait(&racer.wake, &racer.lock);
		pthread_mutex_unlock(&racer.lock);
		racer.is_running = true;
		while (racer.run) {
			for (unsigned i = 0; i < racer.n; i++)
				flip(&racer.race[i]);
			for (unsigned i = 0; i < racer.n; i++)
				flip(&racer.race[i]);
		}
		racer.is_running = false;
	}
	return unused;
}

void vg_race_start(const struct vg_race *r, unsigned n)
{
	memcpy(racer.race, r, n * sizeof(*r));
	racer.n = n;
	if (!racer.is_started) {
		assert(pthread_create(&racer.thread, NULL, race_thread, NULL) == 0);
		racer.is_started = true;
	}
	pthread_mutex_lock(&racer.lock);
	racer.run = true;
	pthread_cond_signal(&racer.wake);
	pthread_mutex_unlock(&racer.lock);
	while (!racer.is_running)
		sched_yield();
}

void vg_race_stop(void)
{
	racer.run = false;
	while (racer.is_running)
		sched_yield();
}

/* ---- traps ---- */

enum { PAGE = 0x1000, TRAP_FLAG = 0x100, OPEN_MAX = 4 };

/*
 * Pages with words to flip cannot be touched. Who does gets SIGSEGV: the page is opened, and the
 * instruction made again, with the processor's trap flag set. Then there is SIGTRAP: the words are
 * flipped, and the page is closed.
 */
static struct {
	struct sigaction before; /* of SIGSEGV: the sanitizer's */
	bool is_installed;
	struct vg_race race[VG_RACES_MAX];
	bool is_flipped[VG_RACES_MAX];
	unsigned n;
	uintptr_t touched;
	uint32_t random;
	uintptr_t open[OPEN_MAX];
	unsigned n_open;
} trap;

static uintptr_t page_of(const void *p)
{
	return (uintptr_t)p & ~(uintptr_t)(PAGE - 1);
}

static void protect(uintptr_t page, int prot)
{
	if (mprotect((void *)page, PAGE, prot) != 0)
		abort();
}

static bool is_trapped(uintptr_t page)
{
	for (unsigned i = 0; i < trap.n; i++)
		if (page_of(trap.race[i].p) == page)
			return true;
	return false;
}

static void trap_flip(unsigned i)
{
	flip(&trap.race[i]);
	trap.is_flipped[i] = !trap.is_flipped[i];
}

static void on_segv(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	uintptr_t page = page_of(info->si_addr);

	if (!is_trapped(page) || trap.n_open == OPEN_MAX) {
		trap.before.sa_sigaction(signo, info, context);
		return;
	}
	if (!trap.n_open)
		trap.touched = (uintptr_t)info->si_addr;
	trap.open[trap.n_open++] = page;
	protect(page, PROT_READ | PROT_WRITE);
	u->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_trap(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	for (unsigned i = 0; i < trap.n; i++) {
		uintptr_t from = trap.touched - (uintptr_t)trap.race[i].p;

		/* It was read if that began in it; also, perhaps, if it began before. */
		trap.random = trap.random * 1103515245 + 12345;
		if (from < trap.race[i].width || (-from < 64 && trap.random >> 16 & 1))
			trap_flip(i);
	}
	while (trap.n_open)
		protect(trap.open[--trap.n_open], PROT_NONE);
	u->uc_mcontext.gregs[REG_EFL] &= ~(long long)TRAP_FLAG;
}

void vg_trap_on(const struct vg_race *r, unsigned n, unsigned round)
{
	struct sigaction segv = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct sigaction step = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

	if (!trap.is_installed)
		assert(sigaction(SIGSEGV, &segv, &trap.before) == 0 &&
		       sigaction(SIGTRAP, &step, NULL) == 0);
	trap.is_installed = true;
	memcpy(trap.race, r, n * sizeof(*r));
	trap.n = n;
	trap.random = round;
	for (unsigned i = 0; i < n; i++)
		if (round >> i % 2 & 1)
			trap_flip(i);
	for (unsigned i = 0; i < n; i++)
		protect(page_of(r[i].p), PROT_NONE);
}

void vg_trap_off(void)
{
	for (unsigned i = 0; i < trap.n; i++)
		protect(page_of(trap.race[i].p), PROT_READ | PROT_WRITE);
	for (unsigned i = 0; i < trap.n; i++)
		if (trap.is_flipped[i])
			trap_flip(i);
	trap.n = 0;
}
