/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/paths.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

char *path_xdg(const char *variable, const char *fallback, const char *rest)
{
	const char *base = getenv(variable), *home = getenv("HOME");
	char *path = NULL;
	int r = -1;

	if (base && base[0] == '/')
		r = asprintf(&path, "%s/%s", base, rest);
	else if (fallback && home && home[0] == '/')
		r = asprintf(&path, "%s/%s/%s", home, fallback, rest);
	return r < 0 ? NULL : path;
}

int path_make_directories(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *slash = copy + 1;; slash++) {
		char end = *slash;

		if (end != '/' && end != '\0')
			continue;
		*slash = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return -errno;
		*slash = end;
		if (end == '\0')
			return 0;
	}
}
