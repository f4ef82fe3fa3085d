// SPDX-License-Identifier: Apache-2.0
#include "complete.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "grammar.h"
#include "json_text.h"

/* A person is waiting with a finger on the tab key. */
enum { TIMEOUT_MS = 1000 };

static void offer(const char *word, const char *prefix)
{
	if (strncmp(word, prefix, strlen(prefix)) == 0)
		puts(word);
}

/* The names a method of the daemon lists. */
static void offer_names(const char *socket, const char *method, const char *prefix)
{
	struct failure f;
	struct client c;
	json_t *list;

	if (client_open(&c, socket, TIMEOUT_MS, &f) != 0)
		return;
	list = client_call(&c, method, NULL, &f);
	for (size_t i = 0; i < json_array_size(list); i++)
		offer(json_text(json_array_get(list, i), "ifname"), prefix);
	json_decref(list);
	client_close(&c);
}

static void offer_folder(const char *folder, const char *prefix)
{
	DIR *d = opendir(folder);

	if (d == NULL)
		return;
	for (const struct dirent *e; (e = readdir(d)) != NULL;)
		if (e->d_name[0] != '.')
			offer(e->d_name, prefix);
	closedir(d);
}

/* A candidate, or the source of some. "@file" is the shell's own business. */
static void offer_candidate(const char *word, const char *prefix, const char *socket)
{
	if (strcmp(word, "@port") == 0)
		offer_names(socket, "port.show", prefix);
	else if (strcmp(word, "@bridge") == 0)
		offer_names(socket, "bridge.show", prefix);
	else if (strcmp(word, "@device") == 0)
		offer_folder("/sys/class/net", prefix);
	else if (strcmp(word, "@netns") == 0)
		offer_folder("/run/netns", prefix);
	else
		puts(word);
}

static void offer_options(const char *prefix)
{
	static const char *const options[] = { "-S", "--socket", "-j", "--json",  "-p", "--pretty",
					       "-s", "--stats",	 "-b", "--batch", "-V", "--version",
					       "-h", "--help",	 NULL };

	for (const char *const *o = options; *o != NULL; o++)
		offer(*o, prefix);
}

/* Does the option take the next word as its argument? */
static bool takes_file(const char *option)
{
	return strcmp(option, "-S") == 0 || strcmp(option, "--socket") == 0 ||
	       strcmp(option, "-b") == 0 || strcmp(option, "--batch") == 0;
}

/* Take the options out of the words before the last; false if the last is an option or its file. */
static bool strip_options(int n_words, const char *const *words, const char **kept, int *n_kept,
			  const char **socket)
{
	int i = 0;

	for (*n_kept = 0; i < n_words - 1; i++) {
		if (words[i][0] != '-') {
			kept[(*n_kept)++] = words[i];
			continue;
		}
		if (!takes_file(words[i]))
			continue;
		if (i + 1 == n_words - 1) {
			puts("@file");
			return false;
		}
		if (strchr(words[i], 'S') != NULL || strstr(words[i], "socket") != NULL)
			*socket = words[i + 1];
		i++;
	}
	kept[(*n_kept)++] = words[n_words - 1];
	if (words[n_words - 1][0] != '-')
		return true;
	offer_options(words[n_words - 1]);
	return false;
}

void complete(int n_words, const char *const *words, const char *socket)
{
	const char *empty[] = { "" };
	const char **kept;
	json_t *list;
	int n;

	if (n_words == 0) {
		words = empty;
		n_words = 1;
	}
	kept = calloc((size_t)n_words, sizeof(*kept));
	if (kept == NULL)
		return;
	if (strip_options(n_words, words, kept, &n, &socket)) {
		list = grammar_complete(n, kept);
		for (size_t i = 0; i < json_array_size(list); i++)
			offer_candidate(json_string_value(json_array_get(list, i)), kept[n - 1],
					socket);
		json_decref(list);
	}
	free(kept);
}
