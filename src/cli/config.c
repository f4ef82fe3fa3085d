// SPDX-License-Identifier: Apache-2.0
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "grammar.h"
#include "render.h"

enum { FILE_SIZE_MAX = 16 << 20 };

/* Trouble with the file itself: nothing is wrong with its lines. */
static int file_failure(struct failure *f, const char *file, int code, const char *what)
{
	*f = (struct failure){ .exit = EXIT_REFUSED, .file = file };
	return err_set(&f->err, code, "%s: %s", what, strerror(code));
}

/* All of a stream; malloc-ed, NULL with errno set. */
static char *read_all(FILE *in, size_t *size)
{
	char *text = NULL;

	*size = 0;
	for (size_t room = 64 << 10; room <= FILE_SIZE_MAX; room *= 2) {
		char *more = realloc(text, room);

		if (more == NULL)
			break;
		text = more;
		*size += fread(text + *size, 1, room - *size, in);
		if (*size < room && !ferror(in))
			return text;
		if (ferror(in)) {
			free(text);
			return NULL;
		}
	}
	free(text);
	errno = EFBIG;
	return NULL;
}

/* The requests of a file, the caller's; NULL with `f` set. */
static json_t *read_requests(const char *file, struct failure *f)
{
	bool is_stdin = strcmp(file, "-") == 0;
	const char *name = is_stdin ? "stdin" : file;
	FILE *in = is_stdin ? stdin : fopen(file, "re");
	json_t *requests;
	size_t size;
	char *text = in != NULL ? read_all(in, &size) : NULL;

	if (text == NULL) {
		file_failure(f, name, errno, "cannot read");
		err_hint(&f->err,
			 "name a file of evb commands, one a line, or - for standard input");
	}
	if (in != NULL && !is_stdin)
		fclose(in);
	if (text == NULL)
		return NULL;
	*f = (struct failure){ .exit = EXIT_REFUSED, .file = name };
	requests = grammar_parse_file(text, size, &f->line, &f->err);
	free(text);
	return requests;
}

/* Hand the requests of a file to a method; `requests` stays the caller's. */
static int send_requests(struct client *c, const char *method, const char *file, json_t *requests,
			 struct failure *f)
{
	json_t *params = json_pack("{s:O}", "requests", requests);
	json_t *result = client_call(c, method, params, f);
	int line = f->line;

	json_decref(params);
	if (result == NULL && f->exit == EXIT_REFUSED) {
		f->file = strcmp(file, "-") == 0 ? "stdin" : file;
		f->line = line;
	}
	json_decref(result);
	return result != NULL ? 0 : -f->err.code;
}

int config_load(const struct cli *cli, const char *file)
{
	struct failure f;
	struct client c;
	json_t *requests = read_requests(file, &f);
	int err;

	if (requests == NULL)
		return cli_fail(cli, &f);
	err = client_open(&c, cli->socket, CLIENT_TIMEOUT_MS, &f);
	if (err == 0) {
		err = send_requests(&c, "config.apply", file, requests, &f);
		client_close(&c);
	}
	json_decref(requests);
	return err == 0 ? EXIT_DONE : cli_fail(cli, &f);
}

static void report_check(const struct cli *cli, const char *file, size_t n, bool has_daemon)
{
	json_t *v;

	if (!cli->json) {
		printf("%s: %zu command%s, %s\n", file, n, n == 1 ? "" : "s",
		       has_daemon ? "accepted" :
				    "well-formed; no evbd was there to say if they go together");
		return;
	}
	v = json_pack("[{s:s, s:I, s:b}]", "file", file, "commands", (json_int_t)n, "daemon",
		      has_daemon);
	if (v != NULL)
		render_json(cli, v);
	json_decref(v);
}

int config_check(const struct cli *cli, const char *file)
{
	const char *name = strcmp(file, "-") == 0 ? "stdin" : file;
	struct failure f;
	struct client c;
	json_t *requests = read_requests(file, &f);
	size_t n = json_array_size(requests);
	bool has_daemon;
	int err = 0;

	if (requests == NULL)
		return cli_fail(cli, &f);
	has_daemon = client_open(&c, cli->socket, CLIENT_TIMEOUT_MS, &f) == 0;
	if (has_daemon) {
		err = send_requests(&c, "config.check", file, requests, &f);
		client_close(&c);
	}
	json_decref(requests);
	if (err != 0)
		return cli_fail(cli, &f);
	report_check(cli, name, n, has_daemon);
	return EXIT_DONE;
}

static bool write_requests(int fd_take, const json_t *requests)
{
	FILE *out = fdopen(fd_take, "w");
	bool ok;

	if (out == NULL) {
		close(fd_take);
		return false;
	}
	fputs("# Written by: evb config save\n", out);
	render_config(requests, out);
	ok = fchmod(fd_take, 0644) == 0 && fflush(out) == 0 && fsync(fd_take) == 0;
	return fclose(out) == 0 && ok;
}

/* The directory must reach the disk too, or the new name may not survive a power cut. */
static void sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* Replace `file` by way of a new file in the same folder. 0 or -errno with `f` set. */
static int replace(const char *file, const json_t *requests, struct failure *f)
{
	char path[PATH_MAX], folder_of[PATH_MAX], name_of[PATH_MAX], tmp[PATH_MAX + 16];
	const char *folder, *name;
	int fd;

	/* A link stays a link: what it points to is replaced. */
	if (realpath(file, path) == NULL)
		snprintf(path, sizeof(path), "%s", file);
	folder = dirname(strcpy(folder_of, path));
	name = basename(strcpy(name_of, path));
	if (snprintf(tmp, sizeof(tmp), "%s/.%s.XXXXXX", folder, name) >= (int)sizeof(tmp))
		return file_failure(f, file, ENAMETOOLONG, "cannot write");
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0) {
		file_failure(f, file, errno, "cannot write");
		if (f->err.code == ENOENT)
			err_hint(&f->err, "make the folder first: mkdir -p %.200s", folder);
		return -f->err.code;
	}
	if (!write_requests(fd, requests) || rename(tmp, path) < 0) {
		file_failure(f, file, errno, "cannot write");
		unlink(tmp);
		return -f->err.code;
	}
	sync_folder(folder);
	return 0;
}

/* What the drop-in files say would be said twice: evbd reads them after the file saved here. */
static int check_drop_ins(struct failure *f)
{
	glob_t g;
	size_t n = glob(CONFIG_FOLDER "/*.conf", 0, NULL, &g) == 0 ? g.gl_pathc : 0;

	*f = (struct failure){ .exit = EXIT_REFUSED, .file = DEFAULT_CONFIG };
	if (n > 0)
		err_set(&f->err, EEXIST, "%s and %zu more would repeat what this file says",
			g.gl_pathv[0], n - 1);
	if (n == 1)
		err_set(&f->err, EEXIST, "%s would repeat what this file says", g.gl_pathv[0]);
	globfree(&g);
	if (n == 0)
		return 0;
	return err_hint(&f->err, "move what is in " CONFIG_FOLDER " away first, or name a file: "
				 "evb config save FILE");
}

static bool all_known(const json_t *requests, struct failure *f)
{
	for (size_t i = 0; i < json_array_size(requests); i++) {
		const char *method =
			json_string_value(json_object_get(json_array_get(requests, i), "method"));
		const struct command *c = schema_method(method != NULL ? method : "");

		if (c != NULL && c->verb != NULL)
			continue;
		*f = (struct failure){ .exit = EXIT_REFUSED };
		err_set(&f->err, EPROTO, "this evb does not know %.64s, which evbd has",
			method != NULL ? method : "a request");
		err_hint(&f->err, "use the evb that came with the running evbd");
		return false;
	}
	return true;
}

int config_save(const struct cli *cli, const char *file)
{
	struct failure f;
	struct client c;
	json_t *requests;
	int err;

	if (file == NULL && check_drop_ins(&f) != 0)
		return cli_fail(cli, &f);
	if (client_open(&c, cli->socket, CLIENT_TIMEOUT_MS, &f) != 0)
		return cli_fail(cli, &f);
	requests = client_call(&c, "config.show", NULL, &f);
	client_close(&c);
	if (requests == NULL)
		return cli_fail(cli, &f);
	/* The first save of a machine; if this does not work, writing the file will say why. */
	if (file == NULL)
		mkdir(CONFIG_ROOT, 0755);
	err = all_known(requests, &f) ?
		      replace(file != NULL ? file : DEFAULT_CONFIG, requests, &f) :
		      -EPROTO;
	json_decref(requests);
	return err == 0 ? EXIT_DONE : cli_fail(cli, &f);
}
