/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening both databases, whatever has become of them. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "db/upkeep.h"
#include "store/damage.h"
#include "store/rows.h"
#include "store/salvage.h"
#include "store/schema.h"

#define CHAT_CACHE_KIB 2048
#define MEDIA_CACHE_KIB 512

/*
 * Numbers of a turn that was undone go back: nobody has seen them, and after a restart they would
 * be given again.
 */
static void on_commit(void *userdata, int error)
{
	struct store *s = userdata;

	s->write_state = error;
	if (error < 0) {
		s->last_change = s->committed_change;
		s->search_progress = s->committed_search_progress;
	} else {
		s->committed_change = s->last_change;
		s->committed_search_progress = s->search_progress;
	}
}

/* Negative errno: it must not be taken for 0, from which numbers would be given again. */
static int64_t newest_change(struct db *chat)
{
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = db_query(chat, &q,
		"SELECT max(ifnull((SELECT max(added) FROM message), 0),"
		" ifnull((SELECT max(change) FROM message WHERE change > added), 0),"
		" ifnull((SELECT max(change) FROM chat), 0),"
		" ifnull((SELECT max(change) FROM attachment WHERE change > 0), 0),"
		" ifnull((SELECT max(change) FROM tombstone), 0))",
		"");

	r = r < 0 ? r : db_step(q);
	return r < 0 ? r : db_column_int(q, 0);
}

static int path_in(const char *directory, const char *name, char ret[PATH_MAX])
{
	int n = directory ? snprintf(ret, PATH_MAX, "%s/%s", directory, name)
			  : snprintf(ret, PATH_MAX, ":memory:");

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int open_chat_file(const struct store_options *o, const char *name, struct db **ret)
{
	char path[PATH_MAX];
	int r = path_in(o->directory, name, path);

	return r < 0 ? r : chat_db_open(path, o->key, CHAT_CACHE_KIB, ret);
}

static int open_media_file(const struct store_options *o, struct db **ret)
{
	char path[PATH_MAX];
	int r = path_in(o->directory, "media.db", path);

	if (r < 0)
		return r;
	return db_open(
		&(struct db_options){
			.path = path,
			.key = o->key,
			.migrations = media_migrations,
			.n_migrations = n_media_migrations,
			.cache_kib = MEDIA_CACHE_KIB,
		},
		ret);
}

static void count_problem(void *userdata, const char *name, const char *detail)
{
	++*(int *)userdata;
}

/* Damage was met in it. All of it is read: which page that was is not known any more. */
static int look_if_marked(const struct store_options *o, const char *name, struct db *db)
{
	int problems = 0, r;

	if (!o->directory || !damage_is_marked(o->directory, name))
		return 0;
	r = db_check(db, count_problem, name, &problems);
	if (r < 0)
		return r;
	if (problems > 0)
		return -EUCLEAN;
	damage_unmark(o->directory, name);
	return 0;
}

/* -EUCLEAN: what can be read of it is to be carried over. */
static int open_chat(struct store *s, const struct store_options *o)
{
	int r = open_chat_file(o, "chat.db", &s->chat);

	if (r == -EKEYREJECTED && o->key_is_right)
		return -EUCLEAN;
	if (r < 0)
		return r;
	r = look_if_marked(o, "chat.db", s->chat);
	if (r == 0) {
		s->last_change = s->committed_change = newest_change(s->chat);
		r = s->last_change < 0 ? (int)s->last_change : 0;
	}
	if (r < 0)
		s->chat = db_close(s->chat);
	return r;
}

/* The key has opened the other database: it is not what is wrong. */
static int open_media(struct store *s, const struct store_options *o)
{
	int r = open_media_file(o, &s->media);

	if (r == 0)
		r = look_if_marked(o, "media.db", s->media);
	if (!o->directory || (r != -EUCLEAN && r != -EKEYREJECTED))
		return r;
	s->media = db_close(s->media);
	r = damage_put_aside(o->directory, "media.db", s->put_aside);
	return r < 0 ? r : open_media_file(o, &s->media);
}

/* What the old one is to be called; it tells, too, that the key is the right one. */
static int look_at_built(struct store *s, const struct store_options *o)
{
	_cleanup_(db_closep) struct db *built = NULL;
	_cleanup_(db_stmt_resetp) struct db_stmt *q = NULL;
	int r = open_chat_file(o, DAMAGE_BUILT, &built);

	r = r < 0 ? r
		  : db_query(built, &q,
			    "SELECT id FROM tombstone WHERE kind = ?1 ORDER BY change DESC LIMIT 1",
			    "i", (int64_t)TOMBSTONE_SALVAGED);
	r = r < 0 ? r : db_step(q);
	if (r > 0)
		snprintf(s->chat_put_aside, sizeof(s->chat_put_aside), "%s", db_column_text(q, 0));
	return r <= 0 ? (r < 0 ? r : -EUCLEAN) : 0;
}

/* 1: what can be read of chat.db is in a new one that is to take its place; 0: it is open. */
static int open_or_salvage(struct store *s, const struct store_options *o)
{
	int r = 0;

	if (!o->directory || !damage_is_built(o->directory)) {
		r = open_chat(s, o);
		if (r != -EUCLEAN || !o->directory)
			return r;
		if (o->on_salvage)
			o->on_salvage(o->userdata);
		r = damage_build(o->directory, o->key);
	}
	r = r < 0 ? r : look_at_built(s, o);
	return r < 0 ? r : 1;
}

static void note_salvaged(struct store *s)
{
	s->is_salvaged = true;
	s->salvaged.put_aside = s->chat_put_aside;
	s->salvaged.chats = db_get_int(s->chat, 0, "SELECT count(*) FROM chat", "");
	s->salvaged.messages = db_get_int(s->chat, 0, "SELECT count(*) FROM message", "");
	s->salvaged.unsent =
		db_get_int(s->chat, 0, "SELECT count(*) FROM message WHERE status IN (0, 4)", "");
	s->salvaged.unsent_lost = db_get_int(s->chat, 0,
		"SELECT CAST(chat_id AS INTEGER) FROM tombstone WHERE change = ?1 AND kind = ?2",
		"ii", s->last_change, (int64_t)TOMBSTONE_SALVAGED);
}

/*
 * Bytes whose rows are lost are found by the next sweep, which comes upon the new database only: at
 * no time is it the other way round.
 */
static int take_salvaged(struct store *s, const struct store_options *o)
{
	int r = db_write(s->media, "UPDATE blob SET linked = 0 WHERE linked = 1", "");

	if (r < 0)
		db_rollback(s->media);
	r = r < 0 ? r : db_commit(s->media);
	r = r < 0 ? r : damage_swap(o->directory, s->chat_put_aside);
	r = r < 0 ? r : open_chat(s, o);
	if (r == 0)
		note_salvaged(s);
	return r;
}

static void on_damage(struct store *s, const char *name)
{
	damage_mark(s->directory, name);
	if (s->checking || s->has_met_damage || !s->on_damage)
		return;
	s->has_met_damage = true;
	s->on_damage(s->damage_userdata, name);
}

static void on_chat_damage(void *userdata)
{
	on_damage(userdata, "chat.db");
}

static void on_media_damage(void *userdata)
{
	on_damage(userdata, "media.db");
}

/* From here on damage ends the store; before, it is dealt with at once. */
static int watch_for_damage(struct store *s, const struct store_options *o)
{
	if (!o->directory)
		return 0;
	s->directory = strdup(o->directory);
	if (!s->directory)
		return -ENOMEM;
	s->on_damage = o->on_damage;
	s->damage_userdata = o->userdata;
	db_set_damage_fn(s->chat, on_chat_damage, s);
	db_set_damage_fn(s->media, on_media_damage, s);
	return 0;
}

static int open_both(struct store *s, const struct store_options *o)
{
	int r = open_or_salvage(s, o), e;

	if (r < 0)
		return r;
	e = open_media(s, o);
	if (e == 0 && r == 1)
		e = take_salvaged(s, o);
	return e < 0 ? e : watch_for_damage(s, o);
}

bool store_has_met_damage(const struct store *s)
{
	return s->has_met_damage;
}

const char *store_put_aside(const struct store *s)
{
	return s->put_aside[0] ? s->put_aside : NULL;
}

const struct store_salvaged *store_get_salvaged(const struct store *s)
{
	return s->is_salvaged ? &s->salvaged : NULL;
}

int store_open(const struct store_options *o, struct store **ret)
{
	_cleanup_(store_closep) struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	if (o->directory && mkdir(o->directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	r = open_both(s, o);
	if (r < 0)
		return r;
	store_reserve_keep(s); /* where there is no room now there will be later */
	search_load(s);
	s->barrier = o->barrier;
	s->key = o->key;
	barrier_attach(o->barrier, s->media);
	barrier_attach(o->barrier, s->chat);
	barrier_add_listener(o->barrier, BARRIER_BEFORE_EFFECTS, on_commit, s);
	*ret = TAKE_PTR(s);
	return 0;
}

struct store *store_close(struct store *s)
{
	if (!s)
		return NULL;
	if (s->barrier) {
		barrier_detach_all(s->barrier);
		barrier_remove_listener(s->barrier, s);
	}
	db_close(s->media);
	db_close(s->chat);
	free(s->directory);
	free(s);
	return NULL;
}
