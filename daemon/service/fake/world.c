/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service/fake/world.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "base/clock.h"

const struct user *world_find_user(const struct world *w, const char *id)
{
	if (strcmp(w->me.id, id) == 0)
		return &w->me;
	for (size_t i = 0; i < w->n_users; i++)
		if (strcmp(w->users[i].id, id) == 0)
			return &w->users[i];
	return NULL;
}

struct world_chat *world_find_chat(const struct world *w, const char *id)
{
	for (size_t i = 0; i < w->n_chats; i++)
		if (!w->chats[i]->deleted && strcmp(w->chats[i]->info.id, id) == 0)
			return w->chats[i];
	return NULL;
}

static struct world_chat *find_any_chat_with(const struct world *w, const char *user_id)
{
	for (size_t i = 0; i < w->n_chats; i++)
		if (strcmp(w->chats[i]->info.user_id, user_id) == 0)
			return w->chats[i];
	return NULL;
}

struct world_chat *world_find_chat_with(const struct world *w, const char *user_id)
{
	struct world_chat *c = find_any_chat_with(w, user_id);

	return c && !c->deleted ? c : NULL;
}

struct world_attachment *world_find_attachment(const struct world *w, const char *id)
{
	for (size_t i = 0; i < w->n_attachments; i++)
		if (strcmp(w->attachments[i]->info.id, id) == 0)
			return w->attachments[i];
	return NULL;
}

static int copy_string(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

int world_copy_user(const struct user *u, struct user *ret)
{
	struct user copy = { 0 };

	if (copy_string(&copy.id, u->id) < 0 || copy_string(&copy.name, u->name) < 0 ||
		copy_string(&copy.picture_url, u->picture_url) < 0) {
		user_clear(&copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

int world_copy_chat(const struct chat *c, struct chat *ret)
{
	struct chat copy = *c;

	copy.id = copy.user_id = NULL;
	if (copy_string(&copy.id, c->id) < 0 || copy_string(&copy.user_id, c->user_id) < 0) {
		chat_clear(&copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

static int copy_attachments(const struct message *m, struct message *to)
{
	for (size_t i = 0; i < m->n_attachments; i++) {
		struct attachment *a = message_add_attachment(to);

		if (!a || attachment_copy(&m->attachments[i], a) < 0)
			return -ENOMEM;
	}
	return 0;
}

int world_copy_message(const struct message *m, struct message *ret)
{
	struct message copy = { .seq = m->seq,
		.created_at = m->created_at,
		.status = m->status,
		.outgoing = m->outgoing };

	if (copy_string(&copy.id, m->id) < 0 || copy_string(&copy.chat_id, m->chat_id) < 0 ||
		copy_string(&copy.user_id, m->user_id) < 0 ||
		copy_string(&copy.text, m->text) < 0 || copy_attachments(m, &copy) < 0) {
		message_clear(&copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

struct user *world_add_user(
	struct world *w, const char *id, const char *name, const char *picture_url)
{
	struct user user = {
		.id = (char *)id, .name = (char *)name, .picture_url = (char *)picture_url
	};
	struct user *grown = reallocarray(w->users, w->n_users + 1, sizeof(*grown));

	if (!grown)
		return NULL;
	w->users = grown;
	if (world_copy_user(&user, &w->users[w->n_users]) < 0)
		return NULL;
	return &w->users[w->n_users++];
}

static struct world_chat *world_chat_free(struct world_chat *c)
{
	if (!c)
		return NULL;
	chat_clear(&c->info);
	message_array_free(c->messages, c->n_messages);
	free(c);
	return NULL;
}
DEFINE_CLEANUP(struct world_chat *, world_chat_free)

struct world_chat *world_add_chat(
	struct world *w, const char *id, const char *user_id, int64_t created_at)
{
	_cleanup_(world_chat_freep) struct world_chat *c = NULL;
	struct world_chat *old = find_any_chat_with(w, user_id), **grown;
	char made[UUID_STRING_SIZE];

	if (old) {
		old->deleted = false;
		world_touch(w, old);
		return old;
	}
	uuid7_generate(made);
	c = calloc(1, sizeof(*c));
	if (!c || copy_string(&c->info.id, id ? id : made) < 0 ||
		copy_string(&c->info.user_id, user_id) < 0)
		return NULL;
	c->info.created_at = created_at;
	grown = reallocarray(w->chats, w->n_chats + 1, sizeof(struct world_chat *));
	if (!grown)
		return NULL;
	w->chats = grown;
	world_touch(w, c);
	w->chats[w->n_chats++] = c;
	return TAKE_PTR(c);
}

static struct world_attachment *world_attachment_free(struct world_attachment *a)
{
	if (!a)
		return NULL;
	attachment_clear(&a->info);
	for (size_t i = 0; i < ARRAY_SIZE(a->variants); i++)
		buffer_clear(&a->variants[i].bytes);
	free(a);
	return NULL;
}
DEFINE_CLEANUP(struct world_attachment *, world_attachment_free)

struct world_attachment *world_add_attachment(struct world *w, const char *id)
{
	_cleanup_(world_attachment_freep) struct world_attachment *a = calloc(1, sizeof(*a));
	struct world_attachment **grown;

	if (!a || copy_string(&a->info.id, id) < 0)
		return NULL;
	grown = reallocarray(
		w->attachments, w->n_attachments + 1, sizeof(struct world_attachment *));
	if (!grown)
		return NULL;
	w->attachments = grown;
	w->attachments[w->n_attachments++] = a;
	return TAKE_PTR(a);
}

void world_touch(struct world *w, struct world_chat *c)
{
	c->revision = ++w->revision;
}

struct message *world_find_message(const struct world_chat *c, const char *id)
{
	for (size_t i = c->n_messages; i > 0; i--)
		if (strcmp(c->messages[i - 1].id, id) == 0)
			return &c->messages[i - 1];
	return NULL;
}

int world_append(struct world *w, struct world_chat *c, struct message *m, struct message **ret)
{
	char *chat_id = strdup(c->info.id);
	struct message *grown = NULL;

	if (chat_id)
		grown = reallocarray(c->messages, c->n_messages + 1, sizeof(*grown));
	if (!grown) {
		free(chat_id);
		return -ENOMEM;
	}
	free(m->chat_id);
	m->chat_id = chat_id;
	c->messages = grown;
	c->messages[c->n_messages] = *m;
	*m = (struct message){ 0 };
	*ret = &c->messages[c->n_messages++];
	(*ret)->seq = c->info.last_seq = (int64_t)c->n_messages;
	world_touch(w, c);
	return 0;
}

/* A strong validator needs to tell versions apart, no more: half of the checksum does. */
static void set_etag(struct world_bytes *v)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	char hex[33];

	crypto_hash_sha256(hash, buffer_bytes(&v->bytes), buffer_size(&v->bytes));
	sodium_bin2hex(hex, sizeof(hex), hash, 16);
	snprintf(v->etag, sizeof(v->etag), "\"%s\"", hex);
}

int world_set_bytes(
	struct world_attachment *a, enum attachment_variant variant, const void *bytes, size_t size)
{
	struct world_bytes *v = &a->variants[variant];
	struct buffer fresh = { 0 };

	if (!buffer_reserve(&fresh, size + 1))
		return -ENOMEM;
	buffer_append(&fresh, bytes, size);
	buffer_clear(&v->bytes);
	v->bytes = fresh;
	set_etag(v);
	return 0;
}

bool world_attachment_is_complete(const struct world_attachment *a)
{
	return a->variants[VARIANT_FULL].etag[0] && a->variants[VARIANT_PREVIEW].etag[0];
}

static char *make_url(const struct attachment *a, enum attachment_variant variant)
{
	char *url;

	return asprintf(&url, "fake:%s/%s", a->id, attachment_variant_to_string(variant)) < 0 ? NULL
											      : url;
}

int world_complete_attachment(struct world_attachment *a)
{
	const struct buffer *full = &a->variants[VARIANT_FULL].bytes;
	unsigned char hash[crypto_hash_sha256_BYTES];
	struct attachment *i = &a->info;

	free(i->sha256);
	free(i->url);
	free(i->preview_url);
	i->url = make_url(i, VARIANT_FULL);
	i->preview_url = make_url(i, VARIANT_PREVIEW);
	i->sha256 = malloc(SHA256_HEX_SIZE);
	if (!i->sha256 || !i->url || !i->preview_url)
		return -ENOMEM;
	crypto_hash_sha256(hash, buffer_bytes(full), buffer_size(full));
	sodium_bin2hex(i->sha256, SHA256_HEX_SIZE, hash, sizeof(hash));
	i->size = (int64_t)buffer_size(full);
	i->preview_size = (int64_t)buffer_size(&a->variants[VARIANT_PREVIEW].bytes);
	return 0;
}

char *world_state(const struct world *w, uint64_t revision)
{
	char *state;

	return asprintf(&state, "%s.%" PRIu64, w->instance, revision) < 0 ? NULL : state;
}

int world_state_parse(const struct world *w, const char *state, uint64_t *ret)
{
	const size_t n = strlen(w->instance);
	char *end;
	uint64_t revision;

	if (strncmp(state, w->instance, n) != 0 || state[n] != '.')
		return -EINVAL;
	revision = strtoull(state + n + 1, &end, 10);
	if (*end || end == state + n + 1 || revision > w->revision)
		return -EINVAL;
	*ret = revision;
	return 0;
}

static void behaviour_clear(struct world_behaviour *b)
{
	for (size_t i = 0; i < b->n_replies; i++) {
		free(b->replies[i].user_id);
		free(b->replies[i].text);
	}
	free(b->replies);
	free(b->password);
}

void world_clear(struct world *w)
{
	for (size_t i = 0; i < w->n_chats; i++)
		world_chat_free(w->chats[i]);
	free(w->chats);
	for (size_t i = 0; i < w->n_attachments; i++)
		world_attachment_free(w->attachments[i]);
	free(w->attachments);
	for (size_t i = 0; i < w->n_users; i++)
		user_clear(&w->users[i]);
	free(w->users);
	user_clear(&w->me);
	behaviour_clear(&w->behaviour);
	*w = (struct world){ 0 };
}
