/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The databases: what holds how much, whether they are whole, copies, and room made. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/terminal.h"
#include "ctl/text.h"

#define TIMEOUT_MS 600000 /* a big database is read through */

static int call(
	struct ctl *ctl, const char *method, const char *name, const char *value, cJSON **ret)
{
	struct chat_reply *reply;
	int r;

	chat_client_set_timeout(ctl->client,
		ctl->options.timeout_ms >= 0 ? (int)ctl->options.timeout_ms : TIMEOUT_MS);
	r = ctl_call_text(ctl, method, name, value, &reply);
	if (r != CTL_OK)
		return r;
	*ret = must(cJSON_Parse(reply->result_json));
	chat_reply_free(reply);
	if (ctl_is_json(ctl))
		ctl_print_json(ctl, cJSON_PrintUnformatted(*ret));
	return CTL_OK;
}

static int64_t number(const cJSON *o, const char *name)
{
	return (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(o, name));
}

static void print_counted(const char *label, const cJSON *o, const char *count, const char *bytes)
{
	char size[TIME_TEXT_SIZE];

	printf("%-10s %" PRId64 ", %s\n", label, number(o, count),
		size_text(number(o, bytes), size));
}

static void print_database(const char *label, const cJSON *o, const char *bytes, const char *unused)
{
	char size[TIME_TEXT_SIZE], empty[TIME_TEXT_SIZE];

	printf("%-10s %s, %s of it unused\n", label, size_text(number(o, bytes), size),
		size_text(number(o, unused), empty));
}

int verb_storage_stats(struct ctl *ctl, int argc, char **argv)
{
	cJSON *o;
	int r = call(ctl, "storage.stats", NULL, NULL, &o);

	if (r != CTL_OK)
		return r;
	if (!ctl_is_json(ctl)) {
		printf("%-10s %" PRId64 " in %" PRId64 " chats\n", "Messages",
			number(o, "messages"), number(o, "chats"));
		print_counted("Photos", o, "photos", "photo_bytes");
		print_counted("Previews", o, "previews", "preview_bytes");
		print_database("chat.db", o, "chat_bytes", "chat_free_bytes");
		print_database("media.db", o, "media_bytes", "media_free_bytes");
	}
	cJSON_Delete(o);
	return CTL_OK;
}

int verb_storage_check(struct ctl *ctl, int argc, char **argv)
{
	const cJSON *problem;
	cJSON *o;
	int r = call(ctl, "storage.check", NULL, NULL, &o);

	if (r != CTL_OK)
		return r;
	r = cJSON_IsTrue(cJSON_GetObjectItem(o, "ok")) ? CTL_OK : CTL_ERROR;
	if (!ctl_is_json(ctl) && r == CTL_OK)
		puts("All is whole.");
	cJSON_ArrayForEach(problem, cJSON_GetObjectItem(o, "problems")) {
		const char *detail = cJSON_GetStringValue(cJSON_GetObjectItem(problem, "detail"));
		_cleanup_free_ char *clean = text_clean(detail, false);

		if (!ctl_is_json(ctl))
			printf("%s.db: %s\n",
				cJSON_GetStringValue(cJSON_GetObjectItem(problem, "database")),
				clean);
	}
	cJSON_Delete(o);
	return r;
}

int verb_storage_backup(struct ctl *ctl, int argc, char **argv)
{
	char path[PATH_MAX], here[PATH_MAX], size[TIME_TEXT_SIZE];
	cJSON *o;
	int r;

	if (argv[0][0] == '/')
		snprintf(path, sizeof(path), "%s", argv[0]);
	else if (!getcwd(here, sizeof(here)) ||
		snprintf(path, sizeof(path), "%s/%s", here, argv[0]) >= (int)sizeof(path))
		return ctl_say(ctl, CTL_ERROR, "the working directory has no name");
	r = call(ctl, "storage.backup", "path", path, &o);
	if (r != CTL_OK)
		return r;
	if (!ctl_is_json(ctl))
		printf("%s in %s\n", size_text(number(o, "bytes"), size), path);
	cJSON_Delete(o);
	return CTL_OK;
}

int verb_storage_purge(struct ctl *ctl, int argc, char **argv)
{
	int64_t removed;
	cJSON *o;
	int r = call(ctl, "storage.purge", "what", argv[0], &o);

	if (r != CTL_OK)
		return r;
	removed = number(o, "removed");
	if (!ctl_is_json(ctl) && removed == 0)
		puts("Nothing was there to be removed.");
	else if (!ctl_is_json(ctl))
		printf("%" PRId64 " removed; %s can be fetched again.\n", removed,
			removed == 1 ? "it" : "they");
	cJSON_Delete(o);
	return CTL_OK;
}
