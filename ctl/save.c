/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "text.h"

#define NAME_BYTES_MAX 200

/* No directories, nothing hidden, nothing that looks like an option or drives a terminal. */
static char *plain_name(const char *name)
{
	const char *slash = strrchr(name, '/');
	char *plain = text_clean(slash ? slash + 1 : name, false);

	if (strlen(plain) > NAME_BYTES_MAX) {
		size_t n = NAME_BYTES_MAX;

		while (n > 0 && ((unsigned char)plain[n] & 0xc0) == 0x80)
			n--;
		plain[n] = '\0';
	}
	if (plain[0] == '.' || plain[0] == '-')
		plain[0] = '_';
	if (!*plain) {
		free(plain);
		plain = must(strdup("photo"));
	}
	return plain;
}

char *save_path(const char *given, const char *name)
{
	_cleanup_free_ char *plain = plain_name(name);
	struct stat st;
	char *path;

	if (!given)
		return TAKE_PTR(plain);
	if (stat(given, &st) < 0 || !S_ISDIR(st.st_mode))
		return must(strdup(given));
	if (asprintf(&path, "%s/%s", given, plain) < 0)
		path = NULL;
	return must(path);
}

char *save_default_name(const char *id, const char *mime)
{
	static const char *const endings[][2] = {
		{ "image/jpeg", ".jpg" },
		{ "image/png", ".png" },
		{ "image/gif", ".gif" },
		{ "image/webp", ".webp" },
		{ "image/avif", ".avif" },
		{ "image/heic", ".heic" },
	};
	const char *ending = "";
	char *name;

	for (size_t i = 0; mime && i < ARRAY_SIZE(endings); i++)
		if (strcmp(endings[i][0], mime) == 0)
			ending = endings[i][1];
	if (asprintf(&name, "%s%s", id, ending) < 0)
		name = NULL;
	return must(name);
}

bool save_copy(int fd, int64_t size, int to)
{
	char buffer[65536];
	int64_t offset = 0;

	while (offset < size) {
		ssize_t n = pread(fd, buffer, sizeof(buffer), offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return false;
		offset += n;
		for (ssize_t done = 0; done < n;) {
			ssize_t w = write(to, buffer + done, (size_t)(n - done));

			if (w < 0 && errno != EINTR)
				return false;
			done += w > 0 ? w : 0;
		}
	}
	return true;
}

/* Moves it into place; not over another file unless `force`. */
static int move(const char *from, const char *to, bool force)
{
	if (force)
		return rename(from, to);
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* A file system without that: a link is not made over a file either. */
	if (link(from, to) < 0)
		return -1;
	unlink(from);
	return 0;
}

static int make_temporary(const char *path, char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char *name;
	mode_t mask = umask(0);
	int fd;

	umask(mask);
	if (asprintf(&name, "%.*s.chatctl-XXXXXX", slash ? (int)(slash + 1 - path) : 0, path) < 0)
		name = NULL;
	name = must(name);
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0) {
		free(name);
		return -1;
	}
	fchmod(fd, 0666 & ~mask);
	*ret_name = name;
	return fd;
}

int save_file(const struct ctl *ctl, int fd, int64_t size, const char *path, bool force)
{
	_cleanup_free_ char *temporary = NULL;
	int to = make_temporary(path, &temporary);
	bool ok;
	int e;

	if (to < 0)
		return ctl_say(ctl, CTL_ERROR, "%s: %s", path, strerror(errno));
	ok = save_copy(fd, size, to) && fsync(to) == 0;
	e = errno;
	if (close(to) < 0 && ok) {
		e = errno;
		ok = false;
	}
	if (ok && move(temporary, path, force) < 0) {
		e = errno;
		ok = false;
	}
	if (ok)
		return CTL_OK;
	unlink(temporary);
	if (e == EEXIST)
		return ctl_say(ctl, CTL_ERROR, "%s exists; --force replaces it", path);
	return ctl_say(ctl, CTL_ERROR, "%s: %s", path, strerror(e));
}
