/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "router.h"

#include <stdio.h>
#include <string.h>

#define COUNTS(name) offsetof(struct stats, requests_##name)

static const struct route routes[] = {
	{ HTTP_GET, "/login", ROUTE_PUBLIC, handle_login, COUNTS(login) },
	{ HTTP_GET, "/chats", 0, handle_chats, COUNTS(chats) },
	{ HTTP_POST, "/chats", ROUTE_BODY, handle_chat_create, COUNTS(chats) },
	{ HTTP_DELETE, "/chats/{}", 0, handle_chat_delete, COUNTS(chats) },
	{ HTTP_GET, "/chats/{}/messages", 0, handle_messages, COUNTS(messages) },
	{ HTTP_GET, "/users/{}", 0, handle_user, COUNTS(users) },
	{ HTTP_OPTIONS, "/uploads", ROUTE_PUBLIC, handle_uploads_options, COUNTS(uploads) },
	{ HTTP_POST, "/uploads", 0, handle_upload_create, COUNTS(uploads) },
	{ HTTP_OPTIONS, "/uploads/{}", ROUTE_PUBLIC, handle_uploads_options, COUNTS(uploads) },
	{ HTTP_HEAD, "/uploads/{}", 0, handle_upload_head, COUNTS(uploads) },
	{ HTTP_PATCH, "/uploads/{}", 0, handle_upload_patch, COUNTS(uploads) },
	{ HTTP_DELETE, "/uploads/{}", 0, handle_upload_delete, COUNTS(uploads) },
	{ HTTP_GET, "/attachments/{}", 0, handle_attachment, COUNTS(attachments) },
	{ HTTP_GET, "/attachments/{}/{}", ROUTE_CDN, handle_bytes, COUNTS(bytes) },
	{ HTTP_HEAD, "/attachments/{}/{}", ROUTE_CDN, handle_bytes, COUNTS(bytes) },
	{ HTTP_PUT, "/push", ROUTE_BODY, handle_push_put, COUNTS(push) },
	{ HTTP_DELETE, "/push", 0, handle_push_delete, COUNTS(push) },
	{ HTTP_POST, "/_control", ROUTE_PUBLIC | ROUTE_BODY | ROUTE_CONTROL, handle_control,
		COUNTS(other) },
	{ HTTP_GET, "/_control/stats", ROUTE_PUBLIC | ROUTE_CONTROL, handle_control_stats,
		COUNTS(other) },
};

/*
 * True when `path` has the form of `pattern`; each {} takes one segment of at most 64 characters.
 */
static bool matches(const char *pattern, const char *path, char parameters[HTTP_PARAMETERS][65])
{
	int n = 0;

	while (*pattern) {
		size_t len;

		if (*pattern != '{') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		len = strcspn(path, "/");
		if (len == 0 || len > 64)
			return false;
		memcpy(parameters[n], path, len);
		parameters[n++][len] = '\0';
		path += len;
		pattern += 2;
	}
	return *path == '\0';
}

const struct route *router_find(struct exchange *x, char *ret_allowed, size_t size)
{
	size_t used = 0;

	ret_allowed[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (!matches(routes[i].pattern, x->path, x->parameters))
			continue;
		if (routes[i].method == x->method)
			return &routes[i];
		if (used < size)
			used += (size_t)snprintf(ret_allowed + used, size - used, "%s%s",
				used ? ", " : "", http_method_name(routes[i].method));
	}
	return NULL;
}
