/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads the file that a fake network is made from. */
#include "service/fake/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"

#define MAX_FILE_BYTES (16 << 20)
#define DEFAULT_MAX_IN_FLIGHT 32

struct loader {
	struct world *world;
	const char *json_path;
	int64_t now;
	struct json_error *error;
};

struct json_world {
	const cJSON *user, *users, *chats, *behaviour;
};

static const struct json_field world_fields[] = {
	{ "user", JSON_OBJECT, JSON_REQUIRED, offsetof(struct json_world, user), 0, 0,
		"who signs in" },
	{ "users", JSON_ARRAY, 0, offsetof(struct json_world, users), 0, 0, "everybody else" },
	{ "chats", JSON_ARRAY, 0, offsetof(struct json_world, chats), 0, 0, "the user's chats" },
	{ "behaviour", JSON_OBJECT, 0, offsetof(struct json_world, behaviour), 0, 0,
		"of the network" },
	{ NULL },
};

struct json_user {
	const char *id, *name, *picture_url;
};

static const struct json_field user_fields[] = {
	{ "id", JSON_ID, JSON_REQUIRED, offsetof(struct json_user, id), 0, 0, NULL },
	{ "name", JSON_STRING, JSON_REQUIRED, offsetof(struct json_user, name), 0, 0, NULL },
	{ "picture_url", JSON_STRING, JSON_NULLABLE, offsetof(struct json_user, picture_url), 0, 0,
		NULL },
	{ NULL },
};

struct json_chat {
	const char *id, *user_id;
	int64_t unread;
	int64_t created_at;
	bool peer_read;
	const cJSON *messages;
};

static const struct json_field chat_fields[] = {
	{ "id", JSON_ID, 0, offsetof(struct json_chat, id), 0, 0, NULL },
	{ "user_id", JSON_ID, JSON_REQUIRED, offsetof(struct json_chat, user_id), 0, 0, NULL },
	{ "unread", JSON_INTEGER, 0, offsetof(struct json_chat, unread), 0, 1000000,
		"the last so many are" },
	{ "created_at", JSON_INTEGER, 0, offsetof(struct json_chat, created_at), 0, 0, NULL },
	{ "peer_read", JSON_BOOLEAN, 0, offsetof(struct json_chat, peer_read), 0, 0,
		"everything; the default" },
	{ "messages", JSON_ARRAY, 0, offsetof(struct json_chat, messages), 0, 0, "oldest first" },
	{ NULL },
};

struct json_message {
	const char *id, *from, *text;
	int64_t created_at, minutes_ago;
	const cJSON *attachments;
};

static const struct json_field message_fields[] = {
	{ "id", JSON_ID, 0, offsetof(struct json_message, id), 0, 0, "default: <chat>-<place>" },
	{ "from", JSON_ID, JSON_REQUIRED, offsetof(struct json_message, from), 0, 0, NULL },
	{ "text", JSON_STRING, 0, offsetof(struct json_message, text), 0, 0, NULL },
	{ "created_at", JSON_INTEGER, 0, offsetof(struct json_message, created_at), 0, 0, NULL },
	{ "minutes_ago", JSON_INTEGER, 0, offsetof(struct json_message, minutes_ago), 0, 0,
		"instead" },
	{ "attachments", JSON_ARRAY, 0, offsetof(struct json_message, attachments), 0, 0, NULL },
	{ NULL },
};

struct json_attachment {
	const char *id, *mime, *name, *file, *preview_file;
	int64_t width, height, generate, preview_generate;
};

#define GENERATED_MAX (256 << 20)

static const struct json_field attachment_fields[] = {
	{ "id", JSON_ID, JSON_REQUIRED, offsetof(struct json_attachment, id), 0, 0, NULL },
	{ "mime", JSON_STRING, 0, offsetof(struct json_attachment, mime), 1, 64, NULL },
	{ "name", JSON_STRING, 0, offsetof(struct json_attachment, name), 0, 0, NULL },
	{ "width", JSON_INTEGER, 0, offsetof(struct json_attachment, width), 0, 65535, NULL },
	{ "height", JSON_INTEGER, 0, offsetof(struct json_attachment, height), 0, 65535, NULL },
	{ "file", JSON_STRING, 0, offsetof(struct json_attachment, file), 1, 4096,
		"beside the JSON file" },
	{ "preview_file", JSON_STRING, 0, offsetof(struct json_attachment, preview_file), 1, 4096,
		NULL },
	{ "generate", JSON_INTEGER, 0, offsetof(struct json_attachment, generate), 0, GENERATED_MAX,
		"so many made-up bytes instead of a file" },
	{ "preview_generate", JSON_INTEGER, 0, offsetof(struct json_attachment, preview_generate),
		0, GENERATED_MAX, NULL },
	{ NULL },
};

struct json_behaviour {
	const char *login, *password;
	int64_t latency_ms, ack_ms, received_ms, read_ms, reply_ms, max_in_flight;
	const cJSON *replies;
};

#define HOUR_MS 3600000

static const struct json_field behaviour_fields[] = {
	{ "login", JSON_STRING, 0, offsetof(struct json_behaviour, login), 0, 0,
		"accept or refuse" },
	{ "password", JSON_STRING, 0, offsetof(struct json_behaviour, password), 0, 0,
		"the only one taken" },
	{ "latency_ms", JSON_INTEGER, 0, offsetof(struct json_behaviour, latency_ms), 0, HOUR_MS,
		NULL },
	{ "ack_ms", JSON_INTEGER, 0, offsetof(struct json_behaviour, ack_ms), 0, HOUR_MS, NULL },
	{ "received_ms", JSON_INTEGER, 0, offsetof(struct json_behaviour, received_ms), -1, HOUR_MS,
		"-1: never" },
	{ "read_ms", JSON_INTEGER, 0, offsetof(struct json_behaviour, read_ms), -1, HOUR_MS,
		"-1: never" },
	{ "reply_ms", JSON_INTEGER, 0, offsetof(struct json_behaviour, reply_ms), 0, HOUR_MS,
		NULL },
	{ "max_in_flight", JSON_INTEGER, 0, offsetof(struct json_behaviour, max_in_flight), 1, 1000,
		NULL },
	{ "replies", JSON_ARRAY, 0, offsetof(struct json_behaviour, replies), 0, 1000, NULL },
	{ NULL },
};

struct json_reply {
	const char *user_id, *text;
};

static const struct json_field reply_fields[] = {
	{ "user_id", JSON_ID, 0, offsetof(struct json_reply, user_id), 0, 0, NULL },
	{ "text", JSON_STRING, JSON_REQUIRED, offsetof(struct json_reply, text), 1, 10000, NULL },
	{ NULL },
};

static int complain(struct json_error *e, int error, const char *what, const char *subject)
{
	snprintf(e->text, sizeof(e->text), "%s '%.80s'", what, subject);
	return error;
}

static int read_file(const char *path, struct buffer *to, struct json_error *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *at;

	if (fd < 0 || fstat(fd, &st) < 0)
		return complain(e, -errno, "cannot open", path);
	if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE_BYTES)
		return complain(e, -EFBIG, "not a file of at most 16 MiB:", path);
	at = buffer_reserve(to, (size_t)st.st_size + 1);
	if (!at)
		return -ENOMEM;
	while (st.st_size > 0) {
		ssize_t n = read(fd, buffer_reserve(to, (size_t)st.st_size), (size_t)st.st_size);

		if (n <= 0)
			return complain(e, n < 0 ? -errno : -EIO, "cannot read", path);
		buffer_commit(to, (size_t)n);
		st.st_size -= n;
	}
	return 0;
}

static int load_variant_file(struct loader *l, struct world_attachment *a,
	enum attachment_variant variant, const char *file)
{
	const char *slash = strrchr(l->json_path, '/');
	int dir = slash ? (int)(slash + 1 - l->json_path) : 0;
	_cleanup_free_ char *path = NULL;
	struct buffer bytes = { 0 };
	int r;

	if (asprintf(&path, "%.*s%s", dir, l->json_path, file) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = read_file(path, &bytes, l->error);
	if (r == 0)
		r = world_set_bytes(a, variant, buffer_bytes(&bytes), buffer_size(&bytes));
	buffer_clear(&bytes);
	return r;
}

/* Bytes that follow from the id, so that two runs agree and every part of them differs. */
static int generate_variant(
	struct world_attachment *a, enum attachment_variant variant, int64_t size)
{
	_cleanup_free_ uint8_t *bytes = malloc((size_t)size + 1);
	uint64_t x = 0x9e3779b97f4a7c15u + variant;

	if (!bytes)
		return -ENOMEM;
	for (const char *c = a->info.id; *c; c++)
		x = (x ^ (uint8_t)*c) * 0x100000001b3u;
	for (int64_t i = 0; i < size; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		bytes[i] = (uint8_t)(x >> 56);
	}
	return world_set_bytes(a, variant, bytes, (size_t)size);
}

static int load_variant(struct loader *l, struct world_attachment *a,
	enum attachment_variant variant, const char *file, int64_t generate)
{
	return file ? load_variant_file(l, a, variant, file)
		    : generate_variant(a, variant, generate);
}

static int load_attachment(struct loader *l, struct message *m, const cJSON *json)
{
	struct json_attachment j = { .mime = "image/jpeg" };
	struct world_attachment *a;
	struct attachment *in_message;
	int r = json_fields_decode(attachment_fields, json, true, &j, l->error);

	if (r < 0)
		return r;
	if (world_find_attachment(l->world, j.id))
		return complain(l->error, -EEXIST, "a second attachment", j.id);
	a = world_add_attachment(l->world, j.id);
	if (!a)
		return -ENOMEM;
	a->info.mime = strdup(j.mime);
	a->info.name = j.name ? strdup(j.name) : NULL;
	a->info.width = j.width;
	a->info.height = j.height;
	r = load_variant(l, a, VARIANT_FULL, j.file, j.generate);
	if (r == 0)
		r = load_variant(l, a, VARIANT_PREVIEW, j.preview_file, j.preview_generate);
	if (r == 0)
		r = world_complete_attachment(a);
	if (r < 0)
		return r;
	in_message = message_add_attachment(m);
	return in_message ? attachment_copy(&a->info, in_message) : -ENOMEM;
}

static int load_attachments(struct loader *l, struct message *m, const cJSON *array)
{
	const cJSON *json;
	int r = 0;

	cJSON_ArrayForEach(json, array) {
		r = load_attachment(l, m, json);
		if (r < 0)
			break;
	}
	return r;
}

static char *make_message_id(const struct world_chat *c)
{
	char *id;

	return asprintf(&id, "%s-%zu", c->info.id, c->n_messages + 1) < 0 ? NULL : id;
}

static int load_message(struct loader *l, struct world_chat *c, const cJSON *json)
{
	struct json_message j = { .text = "", .created_at = -1 };
	struct message m = { 0 }, *placed;
	int r = json_fields_decode(message_fields, json, true, &j, l->error);

	if (r < 0)
		return r;
	if (!world_find_user(l->world, j.from))
		return complain(l->error, -EINVAL, "message from an unknown user", j.from);
	m.id = j.id ? strdup(j.id) : make_message_id(c);
	m.user_id = strdup(j.from);
	m.text = strdup(j.text);
	m.created_at = j.created_at >= 0 ? j.created_at : l->now - j.minutes_ago * 60000;
	m.outgoing = strcmp(j.from, l->world->me.id) == 0;
	m.status = m.outgoing ? MESSAGE_SENT : MESSAGE_RECEIVED;
	r = m.id && m.user_id && m.text ? load_attachments(l, &m, j.attachments) : -ENOMEM;
	if (r == 0)
		r = world_append(l->world, c, &m, &placed);
	message_clear(&m);
	return r;
}

static int load_chat(struct loader *l, const cJSON *json)
{
	struct json_chat j = { .peer_read = true };
	struct world_chat *c;
	const cJSON *message;
	int r = json_fields_decode(chat_fields, json, true, &j, l->error);

	if (r < 0)
		return r;
	if (!world_find_user(l->world, j.user_id))
		return complain(l->error, -EINVAL, "chat with an unknown user", j.user_id);
	if (world_find_chat_with(l->world, j.user_id))
		return complain(l->error, -EEXIST, "a second chat with", j.user_id);
	c = world_add_chat(l->world, j.id, j.user_id, j.created_at);
	if (!c)
		return -ENOMEM;
	cJSON_ArrayForEach(message, j.messages) {
		r = load_message(l, c, message);
		if (r < 0)
			return r;
	}
	c->received_seq = c->info.last_seq;
	c->info.read_seq = j.unread < c->info.last_seq ? c->info.last_seq - j.unread : 0;
	c->info.peer_received_seq = c->info.last_seq;
	c->info.peer_read_seq = j.peer_read ? c->info.last_seq : 0;
	return 0;
}

static int load_user(struct loader *l, const cJSON *json)
{
	struct json_user j = { 0 };
	int r = json_fields_decode(user_fields, json, true, &j, l->error);

	if (r < 0)
		return r;
	if (world_find_user(l->world, j.id))
		return complain(l->error, -EEXIST, "a second user", j.id);
	return world_add_user(l->world, j.id, j.name, j.picture_url) ? 0 : -ENOMEM;
}

static int load_me(struct loader *l, const cJSON *json)
{
	struct json_user j = { 0 };
	int r = json_fields_decode(user_fields, json, true, &j, l->error);
	struct user me = {
		.id = (char *)j.id, .name = (char *)j.name, .picture_url = (char *)j.picture_url
	};

	return r < 0 ? r : world_copy_user(&me, &l->world->me);
}

static int load_reply(struct loader *l, const cJSON *json)
{
	struct world_behaviour *b = &l->world->behaviour;
	struct json_reply j = { 0 };
	struct world_reply *grown;
	int r = json_fields_decode(reply_fields, json, true, &j, l->error);

	if (r < 0)
		return r;
	grown = reallocarray(b->replies, b->n_replies + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	b->replies = grown;
	grown[b->n_replies++] = (struct world_reply){
		.user_id = j.user_id ? strdup(j.user_id) : NULL,
		.text = strdup(j.text),
	};
	return 0;
}

static int load_each(
	struct loader *l, const cJSON *array, int (*load)(struct loader *l, const cJSON *json))
{
	const cJSON *json;

	cJSON_ArrayForEach(json, array) {
		int r = load(l, json);

		if (r < 0)
			return r;
	}
	return 0;
}

static int load_behaviour(struct loader *l, const cJSON *json)
{
	struct world_behaviour *b = &l->world->behaviour;
	struct json_behaviour j = { .login = "accept", .max_in_flight = DEFAULT_MAX_IN_FLIGHT };
	int r = json ? json_fields_decode(behaviour_fields, json, true, &j, l->error) : 0;

	if (r < 0)
		return r;
	if (strcmp(j.login, "accept") != 0 && strcmp(j.login, "refuse") != 0)
		return complain(
			l->error, -EINVAL, "'login' is neither accept nor refuse:", j.login);
	*b = (struct world_behaviour){
		.refuse_login = strcmp(j.login, "refuse") == 0,
		.password = j.password ? strdup(j.password) : NULL,
		.latency_ms = j.latency_ms,
		.ack_ms = j.ack_ms,
		.received_ms = j.received_ms,
		.read_ms = j.read_ms,
		.reply_ms = j.reply_ms,
		.max_in_flight = j.max_in_flight,
	};
	return load_each(l, j.replies, load_reply);
}

static int load_json(struct loader *l, const cJSON *json)
{
	struct json_world j = { 0 };
	int r = json_fields_decode(world_fields, json, true, &j, l->error);

	if (r == 0)
		r = load_me(l, j.user);
	if (r == 0)
		r = load_each(l, j.users, load_user);
	if (r == 0)
		r = load_each(l, j.chats, load_chat);
	if (r == 0)
		r = load_behaviour(l, j.behaviour);
	return r;
}

int world_load(struct world *w, const char *json_path, struct json_error *ret_error)
{
	struct loader l = { w, json_path, clock_wall_ms(), ret_error };
	_cleanup_(cJSON_Deletep) cJSON *json = NULL;
	struct buffer text = { 0 };
	int r;

	uuid4_generate(w->instance);
	r = read_file(json_path, &text, ret_error);
	if (r == 0)
		r = json_parse((const char *)buffer_bytes(&text), buffer_size(&text), &json);
	if (r == -EBADMSG)
		complain(ret_error, r, "not JSON:", json_path);
	buffer_clear(&text);
	if (r == 0)
		r = load_json(&l, json);
	if (r == -ENOMEM)
		complain(ret_error, r, "not enough memory for", json_path);
	if (r < 0)
		world_clear(w);
	return r;
}
