/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service/native/problems.h"

#include <string.h>

#include "base/clock.h"
#include "net/http-client.h"
#include "service/native/convert.h"

#define MAX_RETRY_S 86400

enum problem_class problem_class_of(int status, const char *type)
{
	if (status == 0 || status >= 500 || status == 429 || status == 408 || status == 425)
		return PROBLEM_TRANSIENT;
	if (status == 401)
		return PROBLEM_UNAUTHORISED;
	if (status == 409 || (status == 422 && type && strcmp(type, "unknown_cursor") == 0))
		return PROBLEM_CONFLICT;
	return PROBLEM_PERMANENT;
}

uint32_t problem_retry_ms(double seconds)
{
	if (!(seconds > 0))
		return 0;
	return seconds > MAX_RETRY_S ? MAX_RETRY_S * 1000u : (uint32_t)(seconds * 1000);
}

uint32_t problem_parse_retry_after(const char *value, const char *date)
{
	size_t digits = value ? strspn(value, "0123456789") : 0;
	int64_t at, from;

	if (!value || !*value)
		return 0;
	if (value[digits] == '\0')
		return problem_retry_ms(strtod(value, NULL));
	at = http_date_parse(value);
	from = date ? http_date_parse(date) : -1;
	if (from < 0)
		from = clock_wall_ms() / 1000;
	return at > from ? problem_retry_ms((double)(at - from)) : 0;
}

static const char *default_title(int status)
{
	if (status >= 300 && status < 400)
		return "the server points elsewhere";
	if (status >= 500)
		return "the server has trouble";
	switch (status) {
	case 401:
		return "not signed in";
	case 403:
		return "not allowed";
	case 404:
		return "not there";
	case 413:
		return "too large";
	case 429:
		return "too many requests";
	default:
		return "the server refused";
	}
}

void problem_from_answer(int status, const char *body, size_t body_len, const char *retry_after,
	const char *date, struct problem *ret)
{
	_cleanup_(cJSON_Deletep) cJSON *o = NULL;
	struct problem p = { 0 };
	uint32_t retry;

	if (body_len > 0 && json_parse(body, body_len, &o) == 0)
		convert_problem(o, &p);
	p.status = status;
	p.class = problem_class_of(status, p.type);
	if (!p.title)
		p.title = strdup(default_title(status));
	retry = problem_parse_retry_after(retry_after, date);
	if (retry)
		p.retry_after_ms = retry;
	*ret = p;
}

void problem_from_failure(const char *why, int tls_failed, struct problem *ret)
{
	problem_set(ret, PROBLEM_TRANSIENT, 0,
		tls_failed ? "the server's certificate is not accepted"
			   : "the server cannot be reached",
		why);
	ret->type = tls_failed ? strdup("tls") : NULL;
}

void problem_malformed(const char *what, struct problem *ret)
{
	problem_set(ret, PROBLEM_TRANSIENT, 0, "the server's answer makes no sense", what);
	ret->type = strdup("malformed_answer");
}

void problem_no_memory(struct problem *ret)
{
	problem_set(ret, PROBLEM_TRANSIENT, 0, "memory is short", NULL);
}
