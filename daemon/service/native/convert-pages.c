/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "base/uuid.h"
#include "service/native/convert.h"

/* The arrays of a page, of chats or of messages. */
struct page_data {
	const cJSON *chats, *users, *messages, *attachments, *removed;
	const char *state;
	bool more;
};

#define PAGE_ARRAY(member, flags)                                                  \
	{                                                                          \
#member, JSON_ARRAY, flags, offsetof(struct page_data, member), 0, \
			CONVERT_MAX_ELEMENTS                                       \
	}

static const struct json_field chat_page_fields[] = {
	PAGE_ARRAY(chats, JSON_REQUIRED),
	PAGE_ARRAY(users, JSON_NULLABLE),
	PAGE_ARRAY(messages, JSON_NULLABLE),
	PAGE_ARRAY(attachments, JSON_NULLABLE),
	PAGE_ARRAY(removed, JSON_NULLABLE),
	{ "state", JSON_STRING, JSON_REQUIRED, offsetof(struct page_data, state), 1, 512 },
	{ "more", JSON_BOOLEAN, JSON_REQUIRED, offsetof(struct page_data, more) },
	{ NULL },
};

static const struct json_field message_page_fields[] = {
	PAGE_ARRAY(messages, JSON_REQUIRED),
	PAGE_ARRAY(users, JSON_NULLABLE),
	PAGE_ARRAY(attachments, JSON_NULLABLE),
	{ "more", JSON_BOOLEAN, JSON_REQUIRED, offsetof(struct page_data, more) },
	{ NULL },
};

/* Room for the elements of `array`; NULL stands for an empty one too. */
static int allocate(const cJSON *array, size_t size, void *ret)
{
	void *items;

	if (!array || !array->child)
		return 0;
	items = calloc((size_t)cJSON_GetArraySize(array), size);
	if (!items)
		return -ENOMEM;
	*(void **)ret = items;
	return 0;
}

static int read_users(
	const cJSON *array, struct user **ret, size_t *ret_n, struct json_error *ret_error)
{
	const cJSON *o;
	int r = allocate(array, sizeof(**ret), ret);

	if (r < 0)
		return r;
	cJSON_ArrayForEach(o, array) {
		r = convert_user(o, &(*ret)[*ret_n], ret_error);
		if (r < 0)
			return r;
		++*ret_n;
	}
	return 0;
}

static int read_chats(
	const cJSON *array, struct chat **ret, size_t *ret_n, struct json_error *ret_error)
{
	const cJSON *o;
	int r = allocate(array, sizeof(**ret), ret);

	if (r < 0)
		return r;
	cJSON_ArrayForEach(o, array) {
		r = convert_chat(o, &(*ret)[*ret_n], ret_error);
		if (r < 0)
			return r;
		++*ret_n;
	}
	return 0;
}

static int read_messages(const struct page_data *d, const char *self_id, struct message **ret,
	size_t *ret_n, struct json_error *ret_error)
{
	_cleanup_(attachment_set_freep) struct attachment_set *set = NULL;
	const cJSON *o;
	int r = attachment_set_read(d->attachments, &set, ret_error);

	if (r == 0)
		r = allocate(d->messages, sizeof(**ret), ret);
	if (r < 0)
		return r;
	cJSON_ArrayForEach(o, d->messages) {
		r = convert_message(o, set, self_id, &(*ret)[*ret_n], ret_error);
		if (r < 0)
			return r;
		++*ret_n;
	}
	return 0;
}

static int read_ids(const cJSON *array, char ***ret, size_t *ret_n, struct json_error *ret_error)
{
	const cJSON *o;
	int r = allocate(array, sizeof(**ret), ret);

	if (r < 0)
		return r;
	cJSON_ArrayForEach(o, array) {
		const char *id = cJSON_GetStringValue(o);

		if (!id || !id_is_valid(id)) {
			snprintf(ret_error->text, sizeof(ret_error->text),
				"'removed' must hold ids");
			return -EINVAL;
		}
		(*ret)[*ret_n] = strdup(id);
		if (!(*ret)[*ret_n])
			return -ENOMEM;
		++*ret_n;
	}
	return 0;
}

int convert_chat_page(
	const cJSON *o, const char *self_id, struct chat_page *ret, struct json_error *ret_error)
{
	_cleanup_(chat_page_clear) struct chat_page p = { 0 };
	struct page_data d = { 0 };
	int r = json_fields_decode(chat_page_fields, o, false, &d, ret_error);

	if (r == 0)
		r = read_chats(d.chats, &p.chats, &p.n_chats, ret_error);
	if (r == 0)
		r = read_users(d.users, &p.users, &p.n_users, ret_error);
	if (r == 0)
		r = read_messages(&d, self_id, &p.messages, &p.n_messages, ret_error);
	if (r == 0)
		r = read_ids(d.removed, &p.removed, &p.n_removed, ret_error);
	if (r == 0)
		p.state = strdup(d.state);
	if (r == 0 && !p.state)
		r = -ENOMEM;
	if (r < 0)
		return r;
	p.more = d.more;
	*ret = p;
	p = (struct chat_page){ 0 };
	return 0;
}

int convert_message_page(
	const cJSON *o, const char *self_id, struct message_page *ret, struct json_error *ret_error)
{
	_cleanup_(message_page_clear) struct message_page p = { 0 };
	struct page_data d = { 0 };
	int r = json_fields_decode(message_page_fields, o, false, &d, ret_error);

	if (r == 0)
		r = read_users(d.users, &p.users, &p.n_users, ret_error);
	if (r == 0)
		r = read_messages(&d, self_id, &p.messages, &p.n_messages, ret_error);
	if (r < 0)
		return r;
	p.more = d.more;
	*ret = p;
	p = (struct message_page){ 0 };
	return 0;
}
