/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "problem.h"

#include <stdarg.h>

#include "json.h"

static const struct {
	int status;
	const char *type, *title;
} kinds[] = {
	[PROBLEM_BAD_CREDENTIALS] = { 401, "urn:chat:bad_credentials", "Wrong user or password" },
	[PROBLEM_TOKEN_MISSING] = { 401, "urn:chat:token_missing", "A token is needed" },
	[PROBLEM_TOKEN_EXPIRED] = { 401, "urn:chat:token_expired", "The token has expired" },
	[PROBLEM_TOKEN_INVALID] = { 401, "urn:chat:token_invalid", "The token is not valid" },
	[PROBLEM_FORBIDDEN] = { 403, "urn:chat:forbidden", "Not yours" },
	[PROBLEM_NOT_FOUND] = { 404, "urn:chat:not_found", "Not there" },
	[PROBLEM_METHOD_NOT_ALLOWED] = { 405, "urn:chat:method_not_allowed",
		"Not a method of this resource" },
	[PROBLEM_ID_CONFLICT] = { 409, "urn:chat:id_conflict", "The id is taken" },
	[PROBLEM_OFFSET_CONFLICT] = { 409, "urn:chat:offset_conflict",
		"The upload is at another offset" },
	[PROBLEM_LENGTH_REQUIRED] = { 411, "urn:chat:length_required", "Content-Length is needed" },
	[PROBLEM_TUS_VERSION] = { 412, "urn:chat:tus_version",
		"Not a version of tus that is spoken here" },
	[PROBLEM_TOO_LARGE] = { 413, "urn:chat:too_large", "Too large" },
	[PROBLEM_MEDIA_TYPE] = { 415, "urn:chat:media_type", "Not a media type for this request" },
	[PROBLEM_RANGE] = { 416, "urn:chat:range", "The range is outside of the bytes" },
	[PROBLEM_MALFORMED] = { 422, "urn:chat:malformed", "The request is malformed" },
	[PROBLEM_UNKNOWN_CURSOR] = { 422, "urn:chat:unknown_cursor", "The cursor is not known" },
	[PROBLEM_ATTACHMENT_INCOMPLETE] = { 422, "urn:chat:attachment_incomplete",
		"An attachment is not fully uploaded" },
	[PROBLEM_CHECKSUM_ALGORITHM] = { 400, "urn:chat:checksum_algorithm",
		"Not a known checksum algorithm" },
	[PROBLEM_CHECKSUM_MISMATCH] = { 460, "urn:chat:checksum_mismatch",
		"The bytes do not fit their checksum" },
	[PROBLEM_REFUSED] = { 503, "urn:chat:refused", "Refused" },
	[PROBLEM_INTERNAL] = { 500, "urn:chat:internal", "The server failed" },
};

void problem_set(struct problem *p, enum problem_kind kind, const char *format, ...)
{
	va_list ap;

	p->status = kinds[kind].status;
	p->type = kinds[kind].type;
	p->title = kinds[kind].title;
	p->retry_after_s = 0;
	va_start(ap, format);
	vsnprintf(p->detail, sizeof(p->detail), format, ap);
	va_end(ap);
}

cJSON *problem_to_json(const struct problem *p)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "type", p->type);
	cJSON_AddStringToObject(o, "title", p->title);
	add_integer(o, "status", p->status);
	cJSON_AddStringToObject(o, "detail", p->detail);
	if (p->retry_after_s > 0)
		add_integer(o, "retry_after_s", p->retry_after_s);
	return o;
}
