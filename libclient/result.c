/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "result.h"

#include <errno.h>
#include <string.h>

#include "decode.h"

struct node {
	struct node *next;
	struct result *owner;
	const cJSON *json;
	_Alignas(max_align_t) char payload[];
};

struct result {
	unsigned references;
	cJSON *json;
	struct node *nodes;
	int *fds;
	size_t n_fds;
};

struct result *result_new(cJSON *json)
{
	struct result *r = calloc(1, sizeof(*r));

	if (!r) {
		cJSON_Delete(json);
		return NULL;
	}
	r->references = 1;
	r->json = json;
	return r;
}

struct result *result_ref(struct result *r)
{
	__atomic_add_fetch(&r->references, 1, __ATOMIC_RELAXED);
	return r;
}

struct result *result_unref(struct result *r)
{
	if (!r || __atomic_sub_fetch(&r->references, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	while (r->nodes) {
		struct node *next = r->nodes->next;

		free(r->nodes);
		r->nodes = next;
	}
	fds_close(r->fds, r->n_fds);
	free(r->fds);
	cJSON_Delete(r->json);
	free(r);
	return NULL;
}

const cJSON *result_json(const struct result *r)
{
	return r->json;
}

void *result_node(struct result *r, const cJSON *json, size_t size)
{
	struct node *n = calloc(1, sizeof(*n) + size);

	if (!n)
		return NULL;
	*n = (struct node){ .next = r->nodes, .owner = r, .json = json };
	r->nodes = n;
	return n->payload;
}

void *result_array(struct result *r, size_t n, size_t size)
{
	if (size > 0 && n > SIZE_MAX / 2 / size)
		return NULL;
	return result_node(r, NULL, n * size);
}

int result_set_fds(struct result *r, const int *fds, size_t n)
{
	r->fds = calloc(n ? n : 1, sizeof(int));
	if (!r->fds)
		return -ENOMEM;
	if (n > 0)
		memcpy(r->fds, fds, n * sizeof(int));
	r->n_fds = n;
	return 0;
}

int *result_fds(struct result *r, size_t *ret_n)
{
	*ret_n = r->n_fds;
	return r->fds;
}

static const struct node *node_of(const void *payload)
{
	return (const struct node *)(const void *)((const char *)payload -
		offsetof(struct node, payload));
}

struct result *result_of(const void *payload)
{
	return node_of(payload)->owner;
}

static void *payload_ref(const void *payload)
{
	result_ref(result_of(payload));
	return (void *)(uintptr_t)payload;
}

static void payload_unref(void *payload)
{
	if (payload)
		result_unref(result_of(payload));
}

static char *payload_to_json(const void *payload)
{
	return cJSON_PrintUnformatted(node_of(payload)->json);
}

#define DEFINE_REFERENCES(type)                           \
	struct type *type##_ref(const struct type *value) \
	{                                                 \
		return payload_ref(value);                \
	}                                                 \
	struct type *type##_free(struct type *value)      \
	{                                                 \
		payload_unref(value);                     \
		return NULL;                              \
	}

#define DEFINE_TO_JSON(type)                           \
	char *type##_to_json(const struct type *value) \
	{                                              \
		return payload_to_json(value);         \
	}

DEFINE_REFERENCES(chat_attachment)
DEFINE_REFERENCES(chat_message)
DEFINE_REFERENCES(chat_message_list)
DEFINE_REFERENCES(chat_info)
DEFINE_REFERENCES(chat_info_list)
DEFINE_REFERENCES(chat_search_result)
DEFINE_REFERENCES(chat_search_list)
DEFINE_REFERENCES(chat_connection)
DEFINE_REFERENCES(chat_status)
DEFINE_REFERENCES(chat_account)
DEFINE_REFERENCES(chat_file)
DEFINE_REFERENCES(chat_reply)
DEFINE_REFERENCES(chat_change)
DEFINE_REFERENCES(chat_change_list)
DEFINE_REFERENCES(chat_user)
DEFINE_REFERENCES(chat_setting)
DEFINE_REFERENCES(chat_setting_list)

DEFINE_TO_JSON(chat_attachment)
DEFINE_TO_JSON(chat_message)
DEFINE_TO_JSON(chat_info)
DEFINE_TO_JSON(chat_search_result)
DEFINE_TO_JSON(chat_connection)
DEFINE_TO_JSON(chat_status)
DEFINE_TO_JSON(chat_account)
DEFINE_TO_JSON(chat_change)
DEFINE_TO_JSON(chat_user)
DEFINE_TO_JSON(chat_setting)

int chat_file_take_fd(struct chat_file *file)
{
	size_t n;
	int *fds = result_fds(result_of(file), &n);
	int fd = file->fd;

	for (size_t i = 0; i < n; i++)
		if (fds[i] == fd)
			fds[i] = -1;
	file->fd = -1;
	return fd;
}
