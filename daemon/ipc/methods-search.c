/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "ipc/encode.h"
#include "ipc/json-build.h"
#include "ipc/limits.h"
#include "ipc/page.h"
#include "ipc/request.h"

#define QUERY_MAX 1024

/* Bytes of a snippet with its marks. */
#define SNIPPET_MAX 2048

/* What a piece of it takes beside its text. */
#define PIECE_SIZE 40

struct search_params {
	const char *query;
	const char *chat_id;
	const char *cursor;
	int64_t limit;
};

static const struct json_field search_fields[] = {
	{ "query", JSON_STRING, JSON_REQUIRED, offsetof(struct search_params, query), 1, QUERY_MAX,
		"Words, each of which must be the beginning of one in the message, whatever its "
		"case and, with Latin letters, its accents; \"words in quotes\" must stand there "
		"one after another." },
	{ "chat_id", JSON_ID, JSON_NULLABLE, offsetof(struct search_params, chat_id),
		.doc = "Only in this chat." },
	{ "limit", JSON_INTEGER, 0, offsetof(struct search_params, limit), 1, PAGE_MAX,
		"How many at most. Fewer come when they are large." },
	{ "cursor", JSON_STRING, JSON_NULLABLE, offsetof(struct search_params, cursor), 1, 64,
		"Of the page before." },
	{ 0 },
};

static const struct search_params search_defaults = { .limit = PAGE_DEFAULT };

static const struct schema_field piece_fields[] = {
	{ "text", SCHEMA_STRING, .doc = "A piece of the message's text." },
	{ "match", SCHEMA_BOOLEAN, .doc = "It is what was found." },
	{ 0 },
};

static const struct schema piece = {
	.doc = "A piece of a snippet.",
	.fields = piece_fields,
};

static const struct schema_field found_fields[] = {
	{ "message", SCHEMA_OBJECT, .object = &schema_message, .doc = "The message." },
	{ "snippet", SCHEMA_OBJECT, SCHEMA_LIST, .object = &piece,
		.doc = "A few words around what was found; the pieces together are its text." },
	{ 0 },
};

static const struct schema found = {
	.doc = "A message that was found.",
	.fields = found_fields,
};

static const struct schema_field search_result_fields[] = {
	{ "results", SCHEMA_OBJECT, SCHEMA_LIST, .object = &found, .doc = "Newest first." },
	{ "cursor", SCHEMA_STRING, SCHEMA_NULLABLE, .doc = "For the next page; null at the end." },
	{ 0 },
};

static const struct schema search_result = {
	.doc = "A page of what was found.",
	.fields = search_result_fields,
};

/* Counts into `size` what it takes as JSON. */
static bool add_piece(cJSON *snippet, char *text, bool match, size_t *size)
{
	cJSON *o;

	if (!*text)
		return true;
	*size += PIECE_SIZE + json_string_size(text);
	o = cJSON_CreateObject();
	return json_append(snippet, o) && json_add_string(o, "text", text) &&
		json_add_bool(o, "match", match);
}

/* One word may be as long as a message. */
static void shorten(char *marked)
{
	size_t n = SNIPPET_MAX;

	if (strlen(marked) <= n)
		return;
	while (n > 0 && ((unsigned char)marked[n] & 0xc0) == 0x80)
		n--;
	marked[n] = '\0';
}

/* Cuts the marked text at its marks. */
static bool add_snippet(cJSON *o, const char *marked, size_t *size)
{
	static const char marks[] = { SEARCH_MARK_START, SEARCH_MARK_END, 0 };
	_cleanup_free_ char *copy = strdup(marked ? marked : "");
	cJSON *snippet = cJSON_AddArrayToObject(o, "snippet");
	bool match = false, ok = copy && snippet;

	if (copy)
		shorten(copy);
	for (char *p = copy; ok;) {
		size_t n = strcspn(p, marks);
		char mark = p[n];

		p[n] = '\0';
		ok = add_piece(snippet, p, match, size);
		if (!mark)
			break;
		match = mark == SEARCH_MARK_START;
		p += n + 1;
	}
	return ok;
}

static int append_found(void *userdata, const struct message *m, const char *snippet)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	size_t size = encode_message_size(m);

	if (!o || !json_add_item(o, "message", encode_message(m)) ||
		!add_snippet(o, snippet, &size))
		return -ENOMEM;
	return page_append(userdata, TAKE_PTR(o), size);
}

static void reply_found(struct request *rq)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	const struct search_params *p = rq->params;
	struct page page = { .elements = o ? cJSON_AddArrayToObject(o, "results") : NULL };
	struct search_query query = {
		.text = p->query, .chat_id = p->chat_id, .cursor = p->cursor, .limit = p->limit
	};
	_cleanup_free_ char *cursor = NULL;
	int r;

	if (!page.elements)
		return request_reply(rq, NULL);
	r = store_search(rq->api->store, &query, append_found, &page, &cursor);
	if (r == -EINVAL)
		return request_fail_params(
			rq, "'query' needs a word, and at most %d of them", SEARCH_WORDS_MAX);
	if (r == -EBADMSG)
		return request_fail_params(rq, "'cursor' is none of an earlier page");
	if (r == -ENOENT)
		return request_fail_with(rq, FAILURE_NOT_FOUND, "there is no such chat here");
	if (r < 0)
		return request_fail_errno(rq, r);
	if (!json_add_string(o, "cursor", cursor))
		return request_reply(rq, NULL);
	request_reply(rq, TAKE_PTR(o));
}

static void on_indexed(void *userdata, const struct failure *failure)
{
	struct request *rq = userdata;

	if (failure)
		request_fail(rq, failure);
	else
		reply_found(rq);
}

static void on_search(struct request *rq)
{
	search_prepare(rq->api->repository, on_indexed, rq);
}

const struct method methods_search[] = {
	{
		.name = "messages.search",
		.summary = "Messages with certain words, newest first.",
		.doc = "Looks at the messages that are here; older history is fetched by "
		       "messages.list.",
		.params = search_fields,
		.params_size = sizeof(struct search_params),
		.defaults = &search_defaults,
		.result = &search_result,
		.errors = 1u << FAILURE_NOT_FOUND,
		.scopes = SCOPE_READ,
		.handler = on_search,
	},
	{ 0 },
};
