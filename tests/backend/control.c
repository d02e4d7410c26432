/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control.h"

#include <errno.h>
#include <string.h>

#include "base/json-fields.h"
#include "http.h"
#include "json.h"
#include "router.h"
#include "server.h"
#include "session.h"

struct order {
	const char *verb, *user, *event_type, *method, *path, *reason, *as;
	int64_t count, skip, percent, seed, ms, bytes, status, retry_after_s;
};

#define AT(member) offsetof(struct order, member)

static const struct json_field order_fields[] = {
	{ "do", JSON_STRING, JSON_REQUIRED, offsetof(struct order, verb), 1, 32 },
	{ "user", JSON_ID, 0, AT(user) },
	{ "event_type", JSON_STRING, 0, AT(event_type), 1, 15 },
	{ "method", JSON_STRING, 0, AT(method), 1, 7 },
	{ "path", JSON_STRING, 0, AT(path), 1, 127 },
	{ "reason", JSON_STRING, 0, AT(reason), 1, 64 },
	{ "as", JSON_STRING, 0, AT(as), 1, 16 },
	{ "count", JSON_INTEGER, 0, AT(count), -1, 1000000000 },
	{ "skip", JSON_INTEGER, 0, AT(skip), 0, 1000000000 },
	{ "percent", JSON_INTEGER, 0, AT(percent), 1, 100 },
	{ "seed", JSON_INTEGER, 0, AT(seed), 1, 1000000000 },
	{ "ms", JSON_INTEGER, 0, AT(ms), 1, 3600000 },
	{ "bytes", JSON_INTEGER, 0, AT(bytes), 0, 1000000000 },
	{ "status", JSON_INTEGER, 0, AT(status), 400, 599 },
	{ "retry_after_s", JSON_INTEGER, 0, AT(retry_after_s), 1, 86400 },
	{ NULL },
};

/* Calls `fn` for each session of the user, or of everybody. Sessions may close themselves in it. */
static int64_t each_session(struct exchange *x, const struct order *o,
	void (*fn)(struct session *s, const struct order *o))
{
	struct session *s, *next;
	int64_t n = 0;

	for (s = TAILQ_FIRST(&x->server->sessions); s; s = next) {
		next = TAILQ_NEXT(s, by_server);
		if (o->user && strcmp(o->user, s->user->id) != 0)
			continue;
		fn(s, o);
		n++;
	}
	return n;
}

static void drop(struct session *s, const struct order *o)
{
	session_drop(s);
}

static void bye(struct session *s, const struct order *o)
{
	session_bye(s, o->reason ? o->reason : "asked", o->retry_after_s);
}

static void mute(struct session *s, const struct order *o)
{
	session_mute(s, true);
}

static void unmute(struct session *s, const struct order *o)
{
	session_mute(s, false);
}

static void recover(struct session *s, const struct order *o)
{
	session_release_held(s);
	session_mute(s, false);
}

static int64_t do_drop(struct exchange *x, const struct order *o)
{
	return each_session(x, o, drop);
}

static int64_t do_bye(struct exchange *x, const struct order *o)
{
	return each_session(x, o, bye);
}

static int64_t do_mute(struct exchange *x, const struct order *o)
{
	return each_session(x, o, mute);
}

static int64_t do_unmute(struct exchange *x, const struct order *o)
{
	return each_session(x, o, unmute);
}

static int64_t do_expire(struct exchange *x, const struct order *o)
{
	int r = store_set_setting(x->server->store, "token_epoch", x->server->tokens.epoch + 1);

	if (r == 0)
		x->server->tokens.epoch++;
	return r;
}

static int64_t do_change_etag(struct exchange *x, const struct order *o)
{
	return ++x->server->faults.etag_generation;
}

static int64_t do_reset(struct exchange *x, const struct order *o)
{
	struct order everybody = *o;

	everybody.user = NULL;
	faults_clear(&x->server->faults);
	return each_session(x, &everybody, recover);
}

static const struct {
	const char *verb;
	int64_t (*act)(struct exchange *x, const struct order *o);
} acts[] = {
	{ "drop", do_drop },
	{ "bye", do_bye },
	{ "mute", do_mute },
	{ "unmute", do_unmute },
	{ "expire", do_expire },
	{ "change_etag", do_change_etag },
	{ "reset", do_reset },
};

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

/* 0, or -EINVAL when the verb or the corruption is unknown. */
static int to_rule(const struct order *o, struct fault *ret)
{
	int kind = fault_kind_from_string(o->verb);
	int corruption = o->as ? corruption_from_string(o->as) : CORRUPT_TRUNCATED;

	if (kind < 0 || corruption < 0)
		return -EINVAL;
	*ret = (struct fault){
		.kind = (enum fault_kind)kind,
		.skip = o->skip,
		.count = o->count,
		.percent = o->percent,
		.random = (uint64_t)o->seed * 0x9e3779b97f4a7c15ULL,
		.ms = o->ms,
		.bytes = o->bytes,
		.status = o->status            ? o->status
			: kind == FAULT_REFUSE ? 503
					       : 422,
		.retry_after_s = o->retry_after_s,
		.corruption = (enum corruption)corruption,
	};
	copy(ret->user, sizeof(ret->user), o->user);
	copy(ret->event_type, sizeof(ret->event_type), o->event_type);
	copy(ret->method, sizeof(ret->method), o->method);
	copy(ret->path, sizeof(ret->path), o->path);
	return 0;
}

static void reply_affected(struct exchange *x, int64_t n)
{
	cJSON *o = cJSON_CreateObject();

	add_integer(o, "affected", n);
	reply_json(x, 200, o);
}

static void carry_out(struct exchange *x, const struct order *o)
{
	struct fault rule;

	for (size_t i = 0; i < ARRAY_SIZE(acts); i++)
		if (strcmp(acts[i].verb, o->verb) == 0) {
			int64_t n = acts[i].act(x, o);

			if (n < 0)
				reply_error(x, PROBLEM_INTERNAL, "It could not be done");
			else
				reply_affected(x, n);
			return;
		}
	if (to_rule(o, &rule) < 0)
		reply_error(x, PROBLEM_MALFORMED, "No such 'do', or no such 'as'");
	else if (rule.count == 0)
		reply_error(x, PROBLEM_MALFORMED, "'count' must be -1 or above 0");
	else if (faults_add(&x->server->faults, &rule) < 0)
		reply_error(x, PROBLEM_INTERNAL, "Memory is short");
	else
		reply_affected(x, 0);
}

void handle_control(struct exchange *x)
{
	_cleanup_(cJSON_Deletep) cJSON *json = http_json(x);
	struct order o = { .count = 1, .percent = 100, .seed = 1 };
	struct json_error e;

	if (json_fields_decode(order_fields, json, true, &o, &e) < 0)
		reply_error(x, PROBLEM_MALFORMED, "%s", e.text);
	else
		carry_out(x, &o);
}

static int64_t count_sessions(const struct server *server)
{
	struct session *s;
	int64_t n = 0;

	TAILQ_FOREACH(s, &server->sessions, by_server)
		n += s->greeted;
	return n;
}

void handle_control_stats(struct exchange *x)
{
	const struct server *server = x->server;
	cJSON *o = cJSON_CreateObject();
	cJSON *faults;

	add_integer(o, "sessions", count_sessions(server));
#define X(name) add_integer(o, #name, (int64_t)server->stats.name);
	STATS(X)
#undef X
	faults = cJSON_AddObjectToObject(o, "faults");
	for (int i = 0; i < FAULT_KIND_COUNT; i++)
		add_integer(faults, fault_kind_name((enum fault_kind)i),
			(int64_t)server->faults.applied[i]);
	reply_json(x, 200, o);
}
