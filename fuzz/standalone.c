// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a fuzzer's function over files, without libFuzzer: `NAME_fuzz FILE|DIR...`. So every
 * compiler builds the fuzzers, and what they once found is a regression test.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_inputs;

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL, *exact;
	size_t size = 0, room = 0, got;

	if (!f) {
		perror(path);
		return 1;
	}
	do {
		if (size == room) {
			room = room ? room * 2 : 4096;
			data = realloc(data, room);
			if (!data)
				abort();
		}
		got = fread(data + size, 1, room - size, f);
		size += got;
	} while (got);
	fclose(f);
	exact = malloc(size ? size : 1); /* so that a sanitizer sees what is read beyond it */
	if (!exact)
		abort();
	memcpy(exact, data, size);
	free(data);
	fprintf(stderr, "%s: %zu octets\n", path, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	n_inputs++;
	return 0;
}

static int run_path(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	int failed = 0;

	if (!d)
		return run_file(path);
	while ((entry = readdir(d))) {
		char file[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		failed |= run_file(file);
	}
	closedir(d);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= run_path(argv[i]);
	printf("%u inputs\n", n_inputs);
	return failed || n_inputs == 0;
}
