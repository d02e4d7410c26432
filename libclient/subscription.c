/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one subscription: where it stands in the order of changes, and its resuming. */
#include "client-internal.h"

#include <errno.h>
#include <string.h>

#include "decode.h"

void subscription_clear(struct chat_client *c)
{
	struct subscription *s = &c->subscription;

	cJSON_Delete(s->topics);
	cJSON_Delete(s->chats);
	free(s->consumer);
	*s = (struct subscription){ .since = -1, .seq = -1, .generation = s->generation + 1 };
}

static cJSON *subscribe_params(const struct subscription *s)
{
	_cleanup_json_ cJSON *params = cJSON_CreateObject();
	cJSON *topics = s->topics ? cJSON_Duplicate(s->topics, true) : NULL;
	cJSON *chats = s->chats ? cJSON_Duplicate(s->chats, true) : NULL;
	int64_t since = s->seq >= 0 ? s->seq : s->since;

	if (topics && !cJSON_AddItemToObject(params, "topics", topics)) {
		cJSON_Delete(topics);
		topics = NULL;
	}
	if (chats && !cJSON_AddItemToObject(params, "chats", chats)) {
		cJSON_Delete(chats);
		chats = NULL;
	}
	if (!params || !topics != !s->topics || !chats != !s->chats)
		return NULL;
	if (s->consumer && !cJSON_AddStringToObject(params, "consumer", s->consumer))
		return NULL;
	if (since >= 0 && !cJSON_AddNumberToObject(params, "since", (double)since))
		return NULL;
	return TAKE_PTR(params);
}

static int send_subscribe(struct chat_client *c, bool first)
{
	struct request_options o = {
		.method = "events.subscribe",
		.params = subscribe_params(&c->subscription),
		.kind = RESULT_SUBSCRIBED,
		.first = first,
		.userdata = (void *)c->subscription.generation,
	};

	if (!o.params)
		return client_fail(c, CHAT_CLIENT_ERROR_NO_MEMORY, "out of memory");
	return request_new(c, &o);
}

void subscription_resume(struct chat_client *c)
{
	struct error_store why;

	if (!c->subscription.wanted || send_subscribe(c, true) >= 0)
		return;
	error_copy(&why, &c->error);
	connection_lost(c, &why);
}

void subscription_on_lost(struct chat_client *c)
{
	c->subscription.established = false;
}

void subscription_on_answer(struct chat_client *c, const void *generation, const cJSON *result,
	const struct error_store *error)
{
	struct subscription *s = &c->subscription;
	const cJSON *seq = cJSON_GetObjectItemCaseSensitive(result, "seq");
	struct subscription ended = *s;

	if (!s->wanted || (uintptr_t)generation != s->generation)
		return;
	if (!error) {
		s->established = true;
		if (s->seq < 0 && cJSON_IsNumber(seq))
			s->seq = (int64_t)seq->valuedouble;
		return;
	}
	subscription_clear(c);
	if (ended.callback)
		ended.callback(c, &error->pub, NULL, ended.userdata);
}

void subscription_on_change(struct chat_client *c, cJSON *params)
{
	struct subscription *s = &c->subscription;
	_cleanup_(result_unrefp) struct result *result = NULL;
	struct error_store why;
	struct chat_change *change;
	void *value;
	int e;

	if (!s->established) {
		/* What is left of a subscription that was ended. */
		cJSON_Delete(params);
		return;
	}
	result = result_new(params);
	e = result ? decode_change(result, &value) : -ENOMEM;
	if (e < 0) {
		error_set(&why,
			e == -ENOMEM ? CHAT_CLIENT_ERROR_NO_MEMORY : CHAT_CLIENT_ERROR_PROTOCOL,
			e == -ENOMEM ? "out of memory" : "a change is not understood");
		connection_lost(c, &why);
		return;
	}
	change = value;
	if (change->seq > 0 && change->seq <= s->seq)
		return;
	if (change->seq > 0)
		s->seq = change->seq;
	if (s->callback)
		s->callback(c, NULL, change, s->userdata);
}

static int subscribe(struct chat_client *c, const char *consumer, const char *const *topics,
	const char *const *chats, int64_t since, chat_change_fn callback, void *userdata)
{
	struct subscription *s = &c->subscription;
	int e = 0;

	if (s->wanted) {
		client_fail(c, CHAT_CLIENT_ERROR_CONFLICT, "the client has a subscription already");
		return -EALREADY;
	}
	subscription_clear(c);
	if ((topics && strings_to_json(topics, &s->topics) < 0) ||
		(chats && strings_to_json(chats, &s->chats) < 0))
		e = client_fail(c, CHAT_CLIENT_ERROR_NO_MEMORY, "out of memory");
	s->consumer = consumer ? strdup(consumer) : NULL;
	if (consumer && !s->consumer)
		e = client_fail(c, CHAT_CLIENT_ERROR_NO_MEMORY, "out of memory");
	s->since = since < 0 ? -1 : since;
	s->seq = consumer ? -1 : s->since; /* a consumer's is the daemon's to say */
	s->callback = callback;
	s->userdata = userdata;
	s->wanted = e == 0;
	if (e == 0 && c->state == CHAT_CLIENT_CONNECTED)
		e = send_subscribe(c, false);
	if (e < 0)
		subscription_clear(c);
	c->reconnect_us = 0;
	return e < 0 ? e : 0;
}

int chat_client_subscribe(struct chat_client *c, const char *const *topics,
	const char *const *chats, int64_t since, chat_change_fn callback, void *userdata)
{
	return subscribe(c, NULL, topics, chats, since, callback, userdata);
}

int chat_client_subscribe_consumer(struct chat_client *c, const char *consumer,
	const char *const *topics, const char *const *chats, int64_t since, chat_change_fn callback,
	void *userdata)
{
	if (!consumer)
		return client_fail(c, CHAT_CLIENT_ERROR_INVALID, "the consumer's name is missing");
	return subscribe(c, consumer, topics, chats, since, callback, userdata);
}

void chat_client_unsubscribe(struct chat_client *c)
{
	struct request_options o = { .method = "events.unsubscribe", .kind = RESULT_DONE };

	if (!c->subscription.wanted)
		return;
	subscription_clear(c);
	/* When it cannot be sent, changes go on to come and are dropped. */
	if (c->state == CHAT_CLIENT_CONNECTED)
		request_new(c, &o);
}

int64_t chat_client_get_seq(const struct chat_client *c)
{
	return c->subscription.seq;
}
