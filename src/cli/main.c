// SPDX-License-Identifier: Apache-2.0
/*
 * evb: one command to evbd, and what it answers. Reads options, finds out what is meant, has it
 * done, and ends with an exit code.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "client.h"
#include "complete.h"
#include "config.h"
#include "grammar.h"
#include "help.h"
#include "json_text.h"
#include "render.h"

static int monitor(const struct cli *cli, const struct command *c, const json_t *params)
{
	struct failure f;
	struct client client;
	json_t *v;

	if (client_open(&client, cli->socket, CLIENT_TIMEOUT_MS, &f) != 0)
		return cli_fail(cli, &f);
	v = client_call(&client, c->method, params, &f);
	if (v != NULL) {
		json_decref(v);
		/* Until the reader of our output or evbd goes away. */
		while (!ferror(stdout) && (v = client_event(&client, &f)) != NULL) {
			render_event(cli, v);
			json_decref(v);
		}
	}
	client_close(&client);
	return ferror(stdout) ? EXIT_DONE : cli_fail(cli, &f);
}

static int ask(const struct cli *cli, const struct command *c, const json_t *params)
{
	struct failure f;
	struct client client;
	json_t *result;

	if (client_open(&client, cli->socket, CLIENT_TIMEOUT_MS, &f) != 0)
		return cli_fail(cli, &f);
	result = client_call(&client, c->method, params, &f);
	client_close(&client);
	if (result == NULL)
		return cli_fail(cli, &f);
	render_result(cli, c, params, result);
	json_decref(result);
	return EXIT_DONE;
}

/* Commands without a method. */
static int do_here(const struct cli *cli, const struct command *c, const json_t *params)
{
	const char *file = json_string_value(json_object_get(params, "file"));

	if (strcmp(c->object, "help") == 0) {
		const char *object = json_text(params, "object");

		if (object[0] != '\0')
			help_object(object, stdout);
		else
			help_overview(stdout);
		return EXIT_DONE;
	}
	if (strcmp(c->verb, "check") == 0)
		return config_check(cli, file);
	if (strcmp(c->verb, "load") == 0)
		return config_load(cli, file);
	return config_save(cli, file);
}

static int run(const struct cli *cli, int n_words, char *const *words)
{
	struct failure f = { .exit = EXIT_USAGE };
	const struct command *c;
	json_t *params = grammar_parse(n_words, (const char *const *)words, &c, &f.err);
	int code;

	if (params == NULL)
		return cli_fail(cli, &f);
	if (cli->stats && schema_field(c, "stats") != NULL)
		json_object_set_new(params, "stats", json_true());
	if (c->method == NULL)
		code = do_here(cli, c, params);
	else if (strcmp(c->object, "monitor") == 0)
		code = monitor(cli, c, params);
	else
		code = ask(cli, c, params);
	json_decref(params);
	return code;
}

/* Exit code to end with at once, or -1 to go on. */
static int read_options(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 'S' }, { "json", no_argument, NULL, 'j' },
		{ "pretty", no_argument, NULL, 'p' },	    { "stats", no_argument, NULL, 's' },
		{ "batch", required_argument, NULL, 'b' },  { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },	    { NULL, 0, NULL, 0 },
	};

	for (int o; (o = getopt_long(argc, argv, "S:b:jpsVh", options, NULL)) != -1;) {
		switch (o) {
		case 'S':
			cli->socket = optarg;
			break;
		case 'b':
			cli->batch = optarg;
			break;
		case 'j':
			cli->json = true;
			break;
		case 'p':
			cli->pretty = true;
			break;
		case 's':
			cli->stats = true;
			break;
		case 'V':
			puts("evb " EVB_VERSION);
			return EXIT_DONE;
		case 'h':
			help_overview(stdout);
			return EXIT_DONE;
		default:
			fputs("  see: evb -h\n", stderr);
			return EXIT_USAGE;
		}
	}
	return -1;
}

static int run_words(const struct cli *cli, int n_words, char *const *words)
{
	if (cli->batch != NULL && n_words > 0) {
		struct failure f = { .exit = EXIT_USAGE };

		err_set(&f.err, EINVAL, "\"%.64s\" after -b FILE", words[0]);
		err_hint(&f.err, "either a file or a command, not both");
		return cli_fail(cli, &f);
	}
	if (cli->batch != NULL)
		return config_load(cli, cli->batch);
	if (n_words > 0)
		return run(cli, n_words, words);
	help_overview(stderr);
	return EXIT_USAGE;
}

/* A closed descriptor 0, 1 or 2 would be taken by the socket, and evbd get what is printed. */
static void fill_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			_exit(EXIT_REFUSED);
}

/* Whoever reads our output may stop when he has seen enough; a full disk is an error. */
static int finish(int code)
{
	struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (poll(&p, 1, 0) == 1 && (p.revents & POLLERR) != 0)
		return code;
	perror("evb: standard output");
	return code != EXIT_DONE ? code : EXIT_REFUSED;
}

int main(int argc, char **argv)
{
	const char *socket = getenv("EVB_SOCKET");
	struct cli cli = { .socket = socket != NULL && *socket != '\0' ? socket : DEFAULT_SOCKET };
	int code = -1;

	fill_descriptors();
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && strcmp(argv[1], "__complete") == 0) {
		complete(argc - 2, (const char *const *)argv + 2, cli.socket);
		return finish(EXIT_DONE);
	}
	code = read_options(&cli, argc, argv);
	if (code < 0)
		code = run_words(&cli, argc - optind, argv + optind);
	return finish(code);
}
