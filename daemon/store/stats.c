/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What holds how much, and whether it is whole. */
#include "db/upkeep.h"
#include "store/damage.h"
#include "store/rows.h"

static int64_t count(struct db *db, const char *sql)
{
	return db_get_int(db, 0, sql, "");
}

void store_get_stats(struct store *s, struct store_stats *ret)
{
	*ret = (struct store_stats){
		.chats = count(s->chat, "SELECT count(*) FROM chat"),
		.messages = count(s->chat, "SELECT count(*) FROM message"),
		.users = count(s->chat, "SELECT count(*) FROM user"),
		.photos = count(s->media, "SELECT count(*) FROM blob WHERE variant = 0"),
		.photo_bytes =
			count(s->media, "SELECT ifnull(sum(size), 0) FROM blob WHERE variant = 0"),
		.previews = count(s->media, "SELECT count(*) FROM blob WHERE variant = 1"),
		.preview_bytes =
			count(s->media, "SELECT ifnull(sum(size), 0) FROM blob WHERE variant = 1"),
		.chat_bytes = db_size(s->chat),
		.chat_free = db_free_bytes(s->chat),
		.media_bytes = db_size(s->media),
		.media_free = db_free_bytes(s->media),
	};
}

struct check {
	struct store *store;
	const char *file;
	store_problem_fn fn;
	void *userdata;
};

static void on_problem(void *userdata, const char *name, const char *detail)
{
	const struct check *c = userdata;

	if (c->store->directory)
		damage_mark(c->store->directory, c->file);
	c->fn(c->userdata, name, detail);
}

int store_check(struct store *s, store_problem_fn fn, void *userdata)
{
	struct db *const databases[] = { s->chat, s->media };
	static const char *const names[] = { "chat", "media" };
	static const char *const files[] = { "chat.db", "media.db" };
	int r = 0;

	s->checking = true;
	for (size_t i = 0; i < ARRAY_SIZE(databases) && r >= 0; i++) {
		struct check c = { s, files[i], fn, userdata };

		r = db_check(databases[i], on_problem, names[i], &c);
	}
	s->checking = false;
	return r;
}

int store_give_back(struct store *s)
{
	int a = db_give_back(s->media), b = a < 0 ? a : db_give_back(s->chat);

	return b < 0 ? b : a > 0 || b > 0;
}
