/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/picture.h"
#include "ctl/save.h"
#include "ctl/terminal.h"
#include "ctl/wait.h"

#define FETCH_DEFAULT_MS 60000

struct fetch {
	struct ctl *ctl;
	struct chat_attachment *attachment; /* owned; as it was last told */
	bool done;
	int code;
};

static void fetch_clear(struct fetch *f)
{
	chat_attachment_free(f->attachment);
}

static bool is_here(const struct chat_attachment *a, bool preview)
{
	if (preview)
		return a->preview_ready;
	/* What is on its way out has its bytes here. */
	return a->status == CHAT_ATTACHMENT_READY || a->status == CHAT_ATTACHMENT_UPLOADING;
}

static int say_choice(struct ctl *ctl, const struct chat_message *m)
{
	char ids[400] = "";
	size_t used = 0;

	for (size_t i = 0; i < m->n_attachments; i++) {
		int n = snprintf(
			ids + used, sizeof(ids) - used, " %s", m->attachments[i]->attachment_id);

		if (n < 0 || (size_t)n >= sizeof(ids) - used)
			break;
		used += (size_t)n;
	}
	return ctl_say(
		ctl, CTL_USAGE, "the message has %zu photos; name one:%s", m->n_attachments, ids);
}

static int find_in_message(struct ctl *ctl, const char *id, struct chat_attachment **ret)
{
	struct chat_message *m;
	int r = chat_client_get_message(ctl->client, id, &m);

	if (r == -ENOENT)
		return ctl_say(ctl, CTL_NOT_FOUND, "there is no photo or message '%s'", id);
	if (r < 0)
		return ctl_fail(ctl);
	r = CTL_OK;
	if (m->n_attachments == 0)
		r = ctl_say(ctl, CTL_NOT_FOUND, "the message has no photo");
	else if (m->n_attachments > 1)
		r = say_choice(ctl, m);
	else
		*ret = chat_attachment_ref(m->attachments[0]);
	chat_message_free(m);
	return r;
}

static int find_photo(struct ctl *ctl, const char *id, struct chat_attachment **ret)
{
	int r = chat_client_get_attachment(ctl->client, id, ret);

	if (r == -ENOENT)
		return find_in_message(ctl, id, ret);
	return r < 0 ? ctl_fail(ctl) : CTL_OK;
}

static void show_progress(const struct chat_attachment *a)
{
	static const char full[] = "####################";
	char size[TIME_TEXT_SIZE];
	int percent, filled;

	if (a->size <= 0 || !isatty(STDERR_FILENO))
		return;
	percent = (int)(100.0 * (double)a->progress / (double)a->size);
	filled = percent * (int)(sizeof(full) - 1) / 100;
	fprintf(stderr, "\r[%-*.*s] %3d%% of %s ", (int)sizeof(full) - 1, filled, full, percent,
		size_text(a->size, size));
}

static void fetch_take(struct fetch *f, const struct chat_attachment *a)
{
	chat_attachment_free(f->attachment);
	f->attachment = chat_attachment_ref(a);
	if (!ctl_is_json(f->ctl) && !f->ctl->options.preview)
		show_progress(a);
	if (is_here(a, f->ctl->options.preview))
		f->done = true;
}

static void on_change(struct chat_client *client, const struct chat_error *error,
	const struct chat_change *change, void *userdata)
{
	struct fetch *f = userdata;

	if (error) {
		f->code = ctl_fail_with(f->ctl, error);
		f->done = true;
	} else if (change->attachment && !f->done &&
		strcmp(change->attachment->attachment_id, f->attachment->attachment_id) == 0) {
		fetch_take(f, change->attachment);
		if (change->attachment->status == CHAT_ATTACHMENT_FAILED && !f->done) {
			f->code = ctl_say(f->ctl, CTL_ERROR, "the photo could not be fetched");
			f->done = true;
		}
	}
}

/* Waits for the photo after asking for it; previews come unasked. An exit code. */
static int fetch(struct fetch *f)
{
	static const char *const topics[] = { "attachment.updated", "transfer.progress", NULL };
	struct ctl *ctl = f->ctl;
	const char *id = f->attachment->attachment_id;
	int64_t timeout = ctl->options.timeout_ms >= 0 ? ctl->options.timeout_ms : FETCH_DEFAULT_MS;
	struct chat_attachment *now;
	int r;

	/* Before asking, so that its end is not missed. */
	if (chat_client_subscribe(ctl->client, topics, NULL, -1, on_change, f) < 0)
		return ctl_fail(ctl);
	r = ctl->options.preview ? chat_client_get_attachment(ctl->client, id, &now)
				 : chat_client_download_attachment(ctl->client, id, &now);
	if (r < 0)
		return f->code ? f->code : ctl_fail(ctl);
	fetch_take(f, now);
	chat_attachment_free(now);
	if (!ctl_wait(ctl, &f->done, timeout))
		return ctl_say(ctl, CTL_TIMED_OUT, "the photo did not come in time");
	if (!ctl_is_json(ctl) && !ctl->options.preview && isatty(STDERR_FILENO))
		fputc('\n', stderr);
	return f->code;
}

static char *make_path(const struct ctl *ctl, const struct chat_attachment *a)
{
	_cleanup_free_ char *plain = NULL, *name = NULL;

	plain = a->name && *a->name ? must(strdup(a->name))
				    : save_default_name(a->attachment_id, a->mime);
	if (!ctl->options.preview)
		return save_path(ctl->options.file, plain);
	if (asprintf(&name, "preview-%s", strrchr(plain, '/') ? strrchr(plain, '/') + 1 : plain) <
		0)
		name = NULL;
	return save_path(ctl->options.file, must(name));
}

static void print_saved(const struct ctl *ctl, const struct chat_attachment *a,
	const struct chat_file *file, const char *path)
{
	cJSON *json;

	if (!ctl_is_json(ctl)) {
		puts(path);
		return;
	}
	json = must(cJSON_CreateObject());
	must(cJSON_AddStringToObject(json, "attachment_id", a->attachment_id));
	must(cJSON_AddStringToObject(json, "variant", ctl->options.preview ? "preview" : "full"));
	must(cJSON_AddStringToObject(json, "file", path));
	if (a->mime)
		must(cJSON_AddStringToObject(json, "mime", a->mime));
	must(cJSON_AddNumberToObject(json, "size", (double)file->size));
	ctl_print_json(ctl, cJSON_PrintUnformatted(json));
	cJSON_Delete(json);
}

static int save(struct ctl *ctl, const struct chat_attachment *a, const char *path)
{
	struct chat_file *file;
	int r;

	if (chat_client_open_attachment(
		    ctl->client, a->attachment_id, ctl->options.preview, &file) < 0)
		return ctl_fail(ctl);
	if (path) {
		r = save_file(ctl, file->fd, file->size, path, ctl->options.force);
		if (r == CTL_OK)
			print_saved(ctl, a, file, path);
	} else {
		r = save_copy(file->fd, file->size, STDOUT_FILENO)
			? CTL_OK
			: ctl_say(ctl, CTL_ERROR, "standard output: %s", strerror(errno));
	}
	chat_file_free(file);
	return r;
}

static int show(struct ctl *ctl, const struct chat_attachment *a)
{
	struct chat_file *file;
	int r;

	if (chat_client_open_attachment(
		    ctl->client, a->attachment_id, ctl->options.preview, &file) < 0)
		return ctl_fail(ctl);
	r = picture_draw(ctl, file->fd);
	chat_file_free(file);
	return r;
}

/* What there is of the photo is shown at once: the preview while the rest is not here. */
int verb_photo_show(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(fetch_clear) struct fetch f = { .ctl = ctl };
	int r;

	if (!terminal_is_tty())
		return ctl_say(
			ctl, CTL_USAGE, "a photo is drawn on a terminal; 'photo get' saves it");
	r = find_photo(ctl, argv[0], &f.attachment);
	if (r != CTL_OK)
		return r;
	if (!is_here(f.attachment, false) && is_here(f.attachment, true))
		ctl->options.preview = true;
	if (!is_here(f.attachment, ctl->options.preview))
		r = fetch(&f);
	return r == CTL_OK ? show(ctl, f.attachment) : r;
}

int verb_photo_get(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(fetch_clear) struct fetch f = { .ctl = ctl };
	_cleanup_free_ char *path = NULL;
	bool to_stdout = ctl->options.file && strcmp(ctl->options.file, "-") == 0;
	int r;

	if (to_stdout && terminal_is_tty())
		return ctl_say(ctl, CTL_USAGE, "a photo is not written to a terminal");
	r = find_photo(ctl, argv[0], &f.attachment);
	if (r != CTL_OK)
		return r;
	if (!to_stdout)
		path = make_path(ctl, f.attachment);
	if (path && !ctl->options.force && access(path, F_OK) == 0)
		return ctl_say(ctl, CTL_ERROR, "%s exists; --force replaces it", path);
	if (!is_here(f.attachment, ctl->options.preview))
		r = fetch(&f);
	return r == CTL_OK ? save(ctl, f.attachment, path) : r;
}
