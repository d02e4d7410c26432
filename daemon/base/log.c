/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/text.h"

#define SD_JOURNAL_SUPPRESS_LOCATION 1
#include <systemd/sd-journal.h>

#define MAX_FIELDS 8

static struct {
	const char *program;
	_Atomic int level; /* threads log too */
	bool journal;
	char field[96]; /* of every entry */
} logger = { .program = "chatd", .level = LOG_INFO };

/*
 * systemd names the journal's stream by device and inode, so that a redirected stderr is not
 * mistaken for it.
 */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;

	if (!stream || sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_init(const char *program)
{
	logger.program = program;
	logger.journal = stderr_is_journal();
}

void log_set_level(int priority)
{
	logger.level = priority;
}

int log_level_from_string(const char *s)
{
	static const struct {
		const char *name;
		int priority;
	} levels[] = {
		{ "debug", LOG_DEBUG },
		{ "info", LOG_INFO },
		{ "notice", LOG_NOTICE },
		{ "warning", LOG_WARNING },
		{ "error", LOG_ERR },
	};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (strcmp(s, levels[i].name) == 0)
			return levels[i].priority;
	return -EINVAL;
}

void log_set_field(const char *field)
{
	snprintf(logger.field, sizeof(logger.field), "%s", field);
}

static void to_journal(int priority, const char *fields, char *text)
{
	char message[1100], level[32];
	struct iovec iov[4 + MAX_FIELDS];
	int n = 0;

	snprintf(message, sizeof(message), "MESSAGE=%s", text);
	snprintf(level, sizeof(level), "PRIORITY=%d", priority);
	iov[n++] = (struct iovec){ message, strlen(message) };
	iov[n++] = (struct iovec){ level, strlen(level) };
	if (logger.field[0])
		iov[n++] = (struct iovec){ logger.field, strlen(logger.field) };
	while (fields && *fields && n < (int)ARRAY_SIZE(iov)) {
		size_t len = strcspn(fields, "\n");

		iov[n++] = (struct iovec){ (void *)(uintptr_t)fields, len };
		fields += len;
		fields += *fields == '\n';
	}
	sd_journal_sendv(iov, n);
}

void log_full(int priority, const char *fields, const char *format, ...)
{
	int saved = errno;
	char text[1024];
	va_list ap;

	if (priority > logger.level)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	/* A line of somebody else's making must not look like one of ours. */
	text_one_line(text);
	if (logger.journal)
		to_journal(priority, fields, text);
	else
		fprintf(stderr, "%s: %s\n", logger.program, text);
	errno = saved;
}
