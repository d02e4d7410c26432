/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hands a target every file of a directory: $srcdir/tests/fuzz/corpus/NAME, or the arguments. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "fuzz.h"

#define FILE_MAX (4u << 20)

static int replay_file(const char *path)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	_cleanup_free_ uint8_t *bytes = malloc(FILE_MAX), *exact = NULL;
	size_t n;

	if (!file || !bytes)
		return -errno;
	n = fread(bytes, 1, FILE_MAX, file);
	/* Of just its size, so that what reads beyond is noticed. */
	exact = malloc(n ? n : 1);
	if (!exact)
		return -ENOMEM;
	memcpy(exact, bytes, n);
	LLVMFuzzerTestOneInput(exact, n);
	return 0;
}

static int replay_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int n = 0, r = 0;

	if (!directory)
		return -errno;
	while (r == 0 && (entry = readdir(directory))) {
		char file[4096 + 256 + 2];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		r = replay_file(file);
		n++;
	}
	closedir(directory);
	return r < 0 ? r : n;
}

int main(int argc, char **argv)
{
	const char *source = getenv("srcdir"), *name = strrchr(argv[0], '/');
	char path[4096];
	int n;

	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			if (replay_file(argv[i]) < 0)
				return EXIT_FAILURE;
		return EXIT_SUCCESS;
	}
	name = strstr(name ? name : argv[0], "fuzz-");
	snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", source ? source : ".",
		name ? name + strlen("fuzz-") : "");
	printf("1..1\n");
	n = replay_directory(path);
	printf("%sok 1 - %d files of %s\n", n > 0 ? "" : "not ", n, path);
	return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
