/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A private directory for one test, removed with what is in it. */
#pragma once

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void temporary_make(char ret[PATH_MAX])
{
	const char *base = getenv("TMPDIR");

	snprintf(ret, PATH_MAX, "%s/chatd-test-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(ret))
		abort();
}

static inline void temporary_remove(const char *path)
{
	char inside[PATH_MAX];
	struct dirent *e;
	DIR *d = opendir(path);

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(inside, sizeof(inside), "%.3000s/%.255s", path, e->d_name);
		unlink(inside);
	}
	if (d)
		closedir(d);
	rmdir(path);
}
