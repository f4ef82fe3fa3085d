// SPDX-License-Identifier: Apache-2.0
/*
 * evbd: reads options and configuration files, puts the parts together, runs the loop until it is
 * told to stop, and takes everything down again.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "config_files.h"
#include "guard.h"
#include "guest_mem.h"
#include "methods.h"
#include "notify.h"
#include "virtport.h"

#define DEFAULT_SOCKET "/run/evb/evbd.sock"

enum { EXIT_REFUSED = 1, EXIT_USAGE = 2 };

enum { OPEN_FILES = 65536 };

struct options {
	const char *config; /* NULL: the default files */
	const char *socket;
	unsigned n_workers;
	const char *lldpad_file; /* NULL: libvirt is not answered */
	bool is_verbose;
};

struct evbd {
	struct options options;
	struct log log;
	struct loop *loop;
	struct relay *relay;
	struct events events;
	struct guard *guard;
	struct server *server;
	struct plane *plane;
	struct methods methods;
	struct virtport_service *virtport;
	char run_dir[UNIX_PATH_SIZE];
};

/* ---- options ---- */

static void usage(FILE *to)
{
	fprintf(to, "usage: evbd [-c FILE] [-S SOCKET] [-w N] [-L FILE] [-v] [-V] [-h]\n"
		    "  -c FILE    configuration, instead of " CONFIG_FILE " and\n"
		    "             " CONFIG_FILES "\n"
		    "  -S SOCKET  control socket, instead of $EVB_SOCKET or " DEFAULT_SOCKET "\n"
		    "  -w N       worker threads, 1..16; default 1\n"
		    "  -L FILE    answer libvirt in the place of lldpad, whose PID file this is:\n"
		    "             /run/lldpad.pid\n"
		    "  -v         log more\n"
		    "  -V         print the version\n"
		    "  -h         print this\n");
}

static int parse_workers(const char *word, unsigned *n)
{
	char *end;
	long v = strtol(word, &end, 10);

	if (end == word || *end || v < 1 || v > WORKERS_MAX)
		return -1;
	*n = (unsigned)v;
	return 0;
}

/* The exit code if the program is to end here, or -1. */
static int parse_options(int argc, char **argv, struct options *o)
{
	const char *env = getenv("EVB_SOCKET");
	int c;

	*o = (struct options){ .socket = env && *env ? env : DEFAULT_SOCKET, .n_workers = 1 };
	while ((c = getopt(argc, argv, "c:S:w:L:vVh")) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			break;
		case 'S':
			o->socket = optarg;
			break;
		case 'w':
			if (parse_workers(optarg, &o->n_workers) == 0)
				break;
			fprintf(stderr, "evbd: -w %s: not a number from 1 to %d\n", optarg,
				WORKERS_MAX);
			return EXIT_USAGE;
		case 'L':
			o->lldpad_file = optarg;
			break;
		case 'v':
			o->is_verbose = true;
			break;
		case 'V':
			puts("evbd " EVB_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "evbd: unexpected argument: %s\n", argv[optind]);
	usage(stderr);
	return EXIT_USAGE;
}

/* ---- what we need of the system ---- */

static bool has_net_admin(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return geteuid() == 0;
	return data[0].effective >> CAP_NET_ADMIN & 1;
}

/* Two descriptors or so a port, and one a client. */
static void raise_limits(const struct log *log)
{
	struct rlimit now, want = { OPEN_FILES, OPEN_FILES };

	if (getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_cur >= OPEN_FILES)
		return;
	if (now.rlim_max > OPEN_FILES)
		want.rlim_max = now.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &want) == 0)
		return;
	want.rlim_cur = want.rlim_max = now.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &want) < 0)
		log_warning(log, "cannot raise the limit of open files above %llu",
			    (unsigned long long)now.rlim_cur);
}

/* Read all files and have the plane become like them, in one transaction. */
static bool configure(struct evbd *d)
{
	struct config_files files;
	struct rpc_error error = { .line = 0 };
	bool ok = config_files_read(&files, d->options.config, &error.line, &error.err);

	if (ok && json_array_size(files.requests))
		ok = methods_apply(d->plane, files.requests, true, &error) == 0;
	if (!ok)
		config_files_complain(&files, error.line, &error.err);
	config_files_free(&files);
	return ok;
}

/* ---- life ---- */

static void on_stop(void *aux, int signo)
{
	struct evbd *d = aux;

	log_info(&d->log, "stopping: %s", strsignal(signo));
	loop_stop(d->loop);
}

static void on_hangup(void *aux, int signo)
{
	struct evbd *d = aux;

	log_info(&d->log, "SIGHUP does nothing: change the configuration with evb, "
			  "or restart evbd to read its files again");
}

/* Signals are blocked before any thread starts, so that they reach the loop alone. */
static bool watch_signals(struct evbd *d)
{
	signal(SIGPIPE, SIG_IGN);
	return loop_signal(d->loop, SIGTERM, on_stop, d) &&
	       loop_signal(d->loop, SIGINT, on_stop, d) &&
	       loop_signal(d->loop, SIGHUP, on_hangup, d);
}

static bool complain(const struct err *e)
{
	fprintf(stderr, "evbd: %s\n", e->message);
	if (e->hint[0])
		fprintf(stderr, "  %s\n", e->hint);
	return false;
}

/* Last of all: where there is a socket, there is an evbd whose ports are open. */
static bool listen_for_orders(struct evbd *d)
{
	struct err e;

	d->server = server_new(d->loop, &d->log, &d->events, d->options.socket, &e);
	if (!d->server)
		return complain(&e);
	d->methods = (struct methods){ .plane = d->plane,
				       .server = d->server,
				       .loop = d->loop,
				       .relay = d->relay,
				       .log = &d->log,
				       .socket = d->options.socket,
				       .started = loop_now(d->loop) };
	server_start(d->server, methods_call, &d->methods);
	return true;
}

static bool answer_libvirt(struct evbd *d)
{
	const struct virtport_files files = { d->options.lldpad_file, d->run_dir };
	struct err e;

	if (!d->options.lldpad_file)
		return true;
	d->virtport = virtport_new(d->loop, d->plane, &d->log, &files, &e);
	return d->virtport || complain(&e);
}

static bool start(struct evbd *d)
{
	struct err e;

	d->loop = loop_new();
	if (!d->loop || !watch_signals(d)) {
		err_set(&e, errno, "cannot start the event loop: %s", strerror(errno));
		return complain(&e);
	}
	if (guest_fault_install() < 0) {
		err_set(&e, errno, "cannot guard against guest memory that goes away");
		return complain(&e);
	}
	/* Two evbd would fight for the same devices: look before anything is opened. */
	if (server_check(d->options.socket, &e) < 0)
		return complain(&e);
	d->relay = relay_new(d->options.n_workers);
	if (!d->relay) {
		err_set(&e, errno, "cannot start workers: %s", strerror(errno));
		return complain(&e);
	}
	d->guard = guard_new(d->loop, &d->log);
	d->plane = plane_new(d->loop, d->relay, &d->log, &d->events, &e);
	if (!d->plane || !d->guard)
		return complain(&e);
	plane_set_guard(d->plane, d->guard);
	if (!strcmp(d->options.socket, DEFAULT_SOCKET))
		mkdir("/run/evb", 0755);
	unix_folder(d->options.socket, d->run_dir);
	plane_set_run_dir(d->plane, d->run_dir);
	return configure(d) && answer_libvirt(d) && listen_for_orders(d);
}

static void stop(struct evbd *d)
{
	virtport_free(d->virtport);
	plane_free(d->plane);
	server_free(d->server);
	relay_free(d->relay);
	guard_free(d->guard);
	loop_free(d->loop);
}

int main(int argc, char **argv)
{
	struct evbd d = { .loop = NULL };
	int code;

	guard_main(argv);
	libbpf_set_print(NULL); /* errors reach us as such */
	libxdp_set_print(NULL);
	code = parse_options(argc, argv, &d.options);
	if (code >= 0)
		return code;
	d.log = log_open(d.options.is_verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	if (!has_net_admin()) {
		struct err e;

		err_set(&e, EPERM, "not allowed to open network devices");
		err_hint(&e, "run evbd as root, or give it CAP_NET_ADMIN, CAP_NET_RAW and "
			     "CAP_SYS_ADMIN");
		complain(&e);
		return EXIT_REFUSED;
	}
	raise_limits(&d.log);
	code = EXIT_REFUSED;
	if (start(&d)) {
		log_info(&d.log, "evbd " EVB_VERSION " ready on %s", d.options.socket);
		notify_state("READY=1");
		code = loop_run(d.loop) < 0 ? EXIT_REFUSED : EXIT_SUCCESS;
		notify_state("STOPPING=1");
	}
	stop(&d);
	return code;
}
