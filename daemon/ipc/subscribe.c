/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/subscribe.h"

#include <errno.h>
#include <string.h>

#include "ipc/topics.h"

static unsigned topics_of(const cJSON *list, unsigned default_topics)
{
	const cJSON *item;
	unsigned bits = 0;

	if (!list)
		return default_topics;
	cJSON_ArrayForEach(item, list) {
		int topic = topic_from_string(item->valuestring);

		if (topic >= 0)
			bits |= 1u << topic;
	}
	return bits;
}

static int copy_chats(struct hub *h, const cJSON *list, struct subscription *s)
{
	const cJSON *item;

	if (!list)
		return 0;
	s->chats = calloc((size_t)cJSON_GetArraySize(list), sizeof(s->chats[0]));
	if (!s->chats)
		return -ENOMEM;
	cJSON_ArrayForEach(item, list) {
		s->chats[s->n_chats] = hub_resolve_chat(h, item->valuestring);
		if (!s->chats[s->n_chats++])
			return -ENOMEM;
	}
	return 0;
}

int subscription_from(struct request *rq, const cJSON *only, unsigned default_topics,
	const cJSON *chats, int64_t since, struct subscription *ret)
{
	int64_t last = store_last_change(rq->api->store);

	if (since > last) {
		request_fail_with(
			rq, FAILURE_INVALID, "'since' is ahead of the newest change; list anew");
		return -EINVAL;
	}
	ret->topics = topics_of(only, default_topics);
	ret->position = since < 0 ? last : since;
	if (copy_chats(rq->api->hub, chats, ret) < 0) {
		request_reply(rq, NULL);
		return -ENOMEM;
	}
	return 0;
}
