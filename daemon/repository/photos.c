/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Photos on their way into a message. Each goes through chatd-preview, one after another; what
 * comes back is stored piece by piece, and the message with the last of them: its bytes are
 * committed first. Nobody has been told of the message before.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "preview/preview.h"
#include "repository/parts.h"

#define PIECE_SIZE (1u << 20)
#define SMALL_SIDE 1600
#define SMALL_QUALITY 75

/*
 * Whoever they come from: messages whose photos are on their way, and of these, helpers that run.
 */
#define IMPORTS_MAX 64
#define HELPERS_MAX 4

struct prepared {
	int fd; /* what the frontend gave */
	char *name;
	char id[UUID_STRING_SIZE];    /* of the attachment it becomes */
	struct preview_result result; /* valid once done */
	int64_t stored[2];            /* bytes of each variant */
	bool done;
};

struct import {
	struct repository *repository;
	struct preview *preview;
	struct loop_timer *step; /* stores the next piece, in a turn of its own */
	char message_id[ID_SIZE];
	char *chat_id, *user_id, *text;
	int64_t created_at;
	struct prepared photos[ROOM_PHOTOS_MAX];
	size_t n_photos;
	size_t next;
	bool waits; /* for a helper to end */
	repository_id_fn fn;
	void *userdata;
	TAILQ_ENTRY(import) entry;
};

static void import_next(struct import *i);
static void start_waiting(struct repository *r);

static struct import *import_free(struct import *i)
{
	for (size_t n = 0; n < i->n_photos; n++) {
		struct prepared *p = &i->photos[n];

		closep(&p->fd);
		free(p->name);
		if (p->done) {
			closep(&p->result.full_fd);
			closep(&p->result.preview_fd);
		}
	}
	preview_cancel(i->preview);
	loop_timer_free(i->step);
	free(i->chat_id);
	free(i->user_id);
	free(i->text);
	free(i);
	return NULL;
}

/* What was stored of a message that will not be. */
static void drop_bytes(struct import *i)
{
	for (size_t n = 0; n < i->n_photos; n++)
		if (i->photos[n].done) {
			store_media_drop(i->repository->store, i->photos[n].id, VARIANT_FULL);
			store_media_drop(i->repository->store, i->photos[n].id, VARIANT_PREVIEW);
		}
}

static void import_end(struct import *i, const struct failure *f)
{
	struct repository *r = i->repository;

	if (f)
		drop_bytes(i);
	TAILQ_REMOVE(&r->transfers.imports, i, entry);
	i->fn(i->userdata, f, f ? NULL : i->message_id);
	import_free(i);
	start_waiting(r);
}

static bool is_stored(const struct prepared *p)
{
	return p->stored[VARIANT_FULL] == p->result.full_size &&
		p->stored[VARIANT_PREVIEW] == p->result.preview_size;
}

/* One piece of what is not stored yet of a photo. */
static int store_piece(struct store *s, struct prepared *p)
{
	enum attachment_variant v =
		p->stored[VARIANT_FULL] < p->result.full_size ? VARIANT_FULL : VARIANT_PREVIEW;
	int fd = v == VARIANT_FULL ? p->result.full_fd : p->result.preview_fd;
	_cleanup_free_ uint8_t *piece = malloc(PIECE_SIZE);
	ssize_t n;
	int r;

	if (!piece)
		return -ENOMEM;
	n = pread(fd, piece, PIECE_SIZE, p->stored[v]);
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	r = store_media_append(s, p->id, v, piece, (size_t)n, false);
	if (r == 0 && p->stored[v] == 0)
		r = store_media_set_used(s, p->id, v, clock_wall_ms() / 1000);
	p->stored[v] += n;
	return r;
}

static int add_photo(struct prepared *p, struct message *m)
{
	struct attachment *a = message_add_attachment(m);

	if (!a)
		return -ENOMEM;
	a->id = strdup(p->id);
	a->mime = strdup(p->result.mime);
	a->sha256 = strdup(p->result.sha256);
	a->name = p->name ? strdup(p->name) : NULL;
	if (!a->id || !a->mime || !a->sha256 || (p->name && !a->name))
		return -ENOMEM;
	a->size = p->result.full_size;
	a->preview_size = p->result.preview_size;
	a->width = p->result.width;
	a->height = p->result.height;
	a->status = ATTACHMENT_UPLOADING;
	a->priority = PRIORITY_OUTGOING;
	a->outgoing = a->full_stored = a->preview_stored = true;
	return 0;
}

static int store_import(struct import *i, struct failure *f)
{
	struct message m = { .created_at = i->created_at, .outgoing = true };
	int e = 0;

	for (size_t n = 0; n < i->n_photos && e == 0; n++)
		e = add_photo(&i->photos[n], &m);
	m.id = i->message_id;
	m.chat_id = i->chat_id;
	m.user_id = i->repository->account.user_id;
	m.text = i->text;
	if (e < 0)
		failure_from_errno(f, e);
	else
		e = room_store_pending(i->repository, &m, i->user_id, f);
	m.id = m.chat_id = m.user_id = m.text = NULL;
	message_clear(&m);
	return e;
}

static void describe(struct failure *f, enum preview_error error)
{
	const char *text = preview_error_text(error);

	switch (error) {
	case PREVIEW_UNSUPPORTED:
		failure_set(f, FAILURE_UNSUPPORTED, "%s", text);
		break;
	case PREVIEW_INVALID:
		failure_set(f, FAILURE_INVALID, "%s", text);
		break;
	case PREVIEW_TOO_LARGE:
		failure_set(f, FAILURE_TOO_LARGE, "%s", text);
		break;
	case PREVIEW_TIMED_OUT:
		failure_set(f, FAILURE_BUSY, "%s", text);
		break;
	case PREVIEW_FAILED:
		failure_set(f, FAILURE_INTERNAL, "%s", text);
		break;
	}
}

/*
 * A large photo takes many turns, which the rest of the daemon has its share of. Its bytes are
 * loose until the message is stored: an end of the process in between leaves nothing behind.
 */
static void on_step(void *userdata)
{
	struct import *i = userdata;
	struct prepared *p = &i->photos[i->next];
	struct failure f;
	int e = store_piece(i->repository->store, p);

	if (e < 0) {
		failure_from_errno(&f, e);
		import_end(i, &f);
	} else if (!is_stored(p)) {
		loop_timer_start_us(i->step, 0);
	} else {
		closep(&p->result.full_fd);
		closep(&p->result.preview_fd);
		p->result.full_fd = p->result.preview_fd = -1;
		i->next++;
		import_next(i);
	}
}

static void on_preview(
	void *userdata, const enum preview_error *error, struct preview_result *result)
{
	struct import *i = userdata;
	struct prepared *p = &i->photos[i->next];
	struct failure f;

	i->preview = NULL;
	if (error) {
		describe(&f, *error);
		import_end(i, &f);
		return;
	}
	p->result = *result;
	p->done = true;
	result->full_fd = result->preview_fd = -1;
	uuid7_generate(p->id);
	loop_timer_start_us(i->step, 0);
	start_waiting(i->repository);
}

static unsigned count_helpers(const struct repository *r)
{
	const struct import *i;
	unsigned n = 0;

	TAILQ_FOREACH(i, &r->transfers.imports, entry)
		n += i->preview != NULL;
	return n;
}

static struct preview_options preview_options(struct repository *r)
{
	struct preview_options o = { .helper = r->preview_helper };

	o.original = setting_is(r, "photos.quality", "original");
	if (setting_is(r, "photos.quality", "small")) {
		o.max_side = SMALL_SIDE;
		o.quality = SMALL_QUALITY;
	}
	return o;
}

static void import_next(struct import *i)
{
	struct preview_options o = preview_options(i->repository);
	struct failure f;
	int e;

	if (i->next == i->n_photos) {
		e = store_import(i, &f);
		import_end(i, e < 0 ? &f : NULL);
		return;
	}
	i->waits = count_helpers(i->repository) >= HELPERS_MAX;
	if (i->waits)
		return;
	e = preview_start(
		i->repository->loop, &o, i->photos[i->next].fd, on_preview, i, &i->preview);
	if (e < 0) {
		failure_set(&f, FAILURE_INTERNAL, "the photo cannot be prepared: %s", strerror(-e));
		import_end(i, &f);
	}
}

/* Those who came first; one whose helper cannot be started comes back here. */
static void start_waiting(struct repository *r)
{
	struct import *i;

	TAILQ_FOREACH(i, &r->transfers.imports, entry) {
		if (i->waits) {
			import_next(i);
			return;
		}
	}
}

static int take_name(const struct room_photo *photo, char **ret)
{
	const char *slash = photo->path ? strrchr(photo->path, '/') : NULL;

	if (photo->name)
		return replace_string(ret, photo->name);
	return replace_string(ret, slash ? slash + 1 : photo->path);
}

/*
 * The daemon reads a path with its own rights, which are the user's. Pipes and devices come by
 * descriptor only.
 */
static int take_photo(const struct room_photo *photo, struct prepared *p, struct failure *f)
{
	struct stat st;

	if (take_name(photo, &p->name) < 0)
		return failure_from_errno(f, -ENOMEM);
	if (photo->fd >= 0) {
		p->fd = fcntl(photo->fd, F_DUPFD_CLOEXEC, 3);
		return p->fd < 0 ? failure_from_errno(f, -ENOMEM) : 0;
	}
	p->fd = open(photo->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (p->fd < 0)
		return errno == ENOENT
			? failure_set(f, FAILURE_NOT_FOUND, "there is no file at this path")
			: failure_set(f, FAILURE_DENIED, "the file cannot be read: %s",
				  strerror(errno));
	if (fstat(p->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return failure_set(f, FAILURE_INVALID, "the path is not that of a file");
	return 0;
}

static int import_fill(struct import *i, const struct room_send *m, struct failure *f)
{
	int e;

	snprintf(i->message_id, sizeof(i->message_id), "%s", m->message_id);
	i->created_at = clock_wall_ms();
	e = replace_string(&i->chat_id, m->chat_id);
	e = e < 0 ? e : replace_string(&i->user_id, m->user_id);
	e = e < 0 ? e : replace_string(&i->text, m->text);
	if (e < 0)
		return failure_from_errno(f, e);
	for (size_t n = 0; n < m->n_photos; n++) {
		i->photos[n].fd = -1;
		i->n_photos++;
		e = take_photo(&m->photos[n], &i->photos[n], f);
		if (e < 0)
			return e;
	}
	return 0;
}

static struct import *import_new(struct repository *r, struct failure *f)
{
	struct import *i;
	unsigned n = 0;

	TAILQ_FOREACH(i, &r->transfers.imports, entry)
		n++;
	if (n >= IMPORTS_MAX) {
		failure_set(f, FAILURE_BUSY, "photos of %u messages are being prepared", n);
		return NULL;
	}
	i = calloc(1, sizeof(*i));
	if (!i)
		failure_from_errno(f, -ENOMEM);
	return i;
}

void photos_import(
	struct repository *r, const struct room_send *m, repository_id_fn fn, void *userdata)
{
	struct failure f;
	struct import *i = import_new(r, &f);

	if (!i) {
		fn(userdata, &f, NULL);
		return;
	}
	*i = (struct import){ .repository = r, .fn = fn, .userdata = userdata };
	i->step = loop_timer_new(r->loop, on_step, i);
	TAILQ_INSERT_TAIL(&r->transfers.imports, i, entry);
	if (!i->step)
		failure_from_errno(&f, -ENOMEM);
	if (!i->step || import_fill(i, m, &f) < 0)
		import_end(i, &f);
	else
		import_next(i);
}

bool photos_importing(struct repository *r, const char *message_id)
{
	const struct import *i;

	TAILQ_FOREACH(i, &r->transfers.imports, entry)
		if (strcmp(i->message_id, message_id) == 0)
			return true;
	return false;
}

/* The pieces of that turn are gone; whoever sends may begin again, which is the one safe thing. */
void photos_undone(struct repository *r, int error)
{
	struct import *i;
	struct failure f;

	failure_from_errno(&f, error);
	while ((i = TAILQ_FIRST(&r->transfers.imports)))
		import_end(i, &f);
}

void photos_done(struct repository *r)
{
	struct import *i;

	while ((i = TAILQ_FIRST(&r->transfers.imports))) {
		TAILQ_REMOVE(&r->transfers.imports, i, entry);
		import_free(i);
	}
}
