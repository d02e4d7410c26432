/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "users.h"

#include <errno.h>
#include <search.h>
#include <sodium.h>
#include <string.h>

#include "base/log.h"
#include "base/uuid.h"

struct users {
	void *by_id; /* a tsearch(3) tree */
};

/* What one line says, until the whole file is known to be good. */
struct line {
	char *id, *password, *name, *picture_url;
	STAILQ_ENTRY(line) entry;
};
STAILQ_HEAD(lines, line);

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct user *)a)->id, ((const struct user *)b)->id);
}

struct users *users_new(void)
{
	return calloc(1, sizeof(struct users));
}

static void user_free(void *p)
{
	struct user *u = p;

	free(u->id);
	free(u->name);
	free(u->picture_url);
	free(u->password);
	free(u);
}

struct users *users_free(struct users *users)
{
	if (!users)
		return NULL;
	tdestroy(users->by_id, user_free);
	free(users);
	return NULL;
}

struct user *users_find(const struct users *users, const char *id)
{
	struct user key = { .id = (char *)(uintptr_t)id };
	struct user *const *found = tfind(&key, &users->by_id, compare);

	return found ? *found : NULL;
}

struct user *users_find_or_add(struct users *users, const char *id)
{
	struct user *u = users_find(users, id);

	if (u)
		return u;
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->id = strdup(id);
	u->name = strdup(id);
	TAILQ_INIT(&u->by_activity);
	TAILQ_INIT(&u->by_change);
	TAILQ_INIT(&u->sessions);
	if (!u->id || !u->name || !tsearch(u, &users->by_id, compare)) {
		user_free(u);
		return NULL;
	}
	return u;
}

static void lines_clear(struct lines *lines)
{
	struct line *l;

	while ((l = STAILQ_FIRST(lines))) {
		STAILQ_REMOVE_HEAD(lines, entry);
		free(l->id);
		free(l->password);
		free(l->name);
		free(l->picture_url);
		free(l);
	}
}

/* Cuts `text` at its colons; the last field keeps those it has. */
static int parse_line(char *text, struct lines *lines)
{
	char *id = strsep(&text, ":");
	char *password = strsep(&text, ":");
	char *name = strsep(&text, ":");
	struct line *l;

	if (!id_is_valid(id) || !password || !*password || !name || !*name)
		return -EBADMSG;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	STAILQ_INSERT_TAIL(lines, l, entry);
	l->id = strdup(id);
	l->password = strdup(password);
	l->name = strdup(name);
	l->picture_url = text && *text ? strdup(text) : NULL;
	return l->id && l->password && l->name && (!text || !*text || l->picture_url) ? 0 : -ENOMEM;
}

static int read_lines(FILE *f, struct lines *lines)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int number = 0;

	while (getline(&text, &size, f) >= 0) {
		int r;

		number++;
		text[strcspn(text, "\r\n")] = '\0';
		if (text[0] == '\0' || text[0] == '#')
			continue;
		r = parse_line(text, lines);
		if (r < 0) {
			log_error("users file, line %d: 'id:password:Display Name[:picture_url]' "
				  "is expected",
				number);
			return r;
		}
	}
	return ferror(f) ? -EIO : 0;
}

static void unlist(const void *node, VISIT visit, int depth)
{
	struct user *u = *(struct user *const *)node;

	if (visit == preorder || visit == leaf)
		u->listed = false;
}

static void forget_password(const void *node, VISIT visit, int depth)
{
	struct user *u = *(struct user *const *)node;

	if ((visit == preorder || visit == leaf) && !u->listed) {
		free(u->password);
		u->password = NULL;
	}
}

static void swap(char **a, char **b)
{
	char *kept = *a;

	*a = *b;
	*b = kept;
}

static int apply(struct users *users, struct lines *lines)
{
	struct line *l;

	STAILQ_FOREACH(l, lines, entry)
	if (!users_find_or_add(users, l->id))
		return -ENOMEM;
	twalk(users->by_id, unlist);
	STAILQ_FOREACH(l, lines, entry)
	{
		struct user *u = users_find(users, l->id);

		u->listed = true;
		swap(&u->name, &l->name);
		swap(&u->password, &l->password);
		swap(&u->picture_url, &l->picture_url);
	}
	twalk(users->by_id, forget_password);
	return 0;
}

int users_load(struct users *users, const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	struct lines lines = STAILQ_HEAD_INITIALIZER(lines);
	int r;

	if (!f)
		return -errno;
	r = read_lines(f, &lines);
	if (r == 0)
		r = apply(users, &lines);
	lines_clear(&lines);
	return r;
}

struct user *users_check_password(const struct users *users, const char *id, const char *password)
{
	struct user *u = users_find(users, id);
	unsigned char given[crypto_generichash_BYTES], right[crypto_generichash_BYTES];
	const char *expected = u && u->password ? u->password : "";
	int same;

	crypto_generichash(
		given, sizeof(given), (const unsigned char *)password, strlen(password), NULL, 0);
	crypto_generichash(
		right, sizeof(right), (const unsigned char *)expected, strlen(expected), NULL, 0);
	same = sodium_memcmp(given, right, sizeof(given)) == 0;
	return same && u && u->password ? u : NULL;
}
