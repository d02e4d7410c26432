/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/ephemeral.h"

#include <errno.h>
#include <string.h>

void ephemeral_init(struct ephemeral *e)
{
	*e = (struct ephemeral){ 0 };
	TAILQ_INIT(&e->events);
}

static void drop(struct ephemeral *e, struct ephemeral_event *event)
{
	TAILQ_REMOVE(&e->events, event, entry);
	e->n--;
	chunk_unref(event->event.line);
	cJSON_Delete(event->data);
	free(event->subject);
	free(event->chat_id);
	free(event);
}

static struct ephemeral_event *find(struct ephemeral *e, unsigned topic, const char *subject)
{
	struct ephemeral_event *event;

	TAILQ_FOREACH(event, &e->events, entry)
		if (event->event.topic == topic && strcmp(event->subject, subject) == 0)
			return event;
	return NULL;
}

int ephemeral_put(
	struct ephemeral *e, unsigned topic, const char *subject, const char *chat_id, cJSON *data)
{
	struct ephemeral_event *old = find(e, topic, subject);
	struct ephemeral_event *event = calloc(1, sizeof(*event));

	if (event) {
		event->subject = strdup(subject);
		event->chat_id = chat_id ? strdup(chat_id) : NULL;
	}
	if (!event || !event->subject || (chat_id && !event->chat_id)) {
		if (event)
			free(event->subject);
		free(event);
		cJSON_Delete(data);
		return -ENOMEM;
	}
	if (old)
		drop(e, old);
	else if (e->n == EPHEMERAL_MAX)
		drop(e, TAILQ_FIRST(&e->events));
	event->data = data;
	event->event = (struct event){ .topic = topic, .data = data };
	event->number = ++e->last;
	TAILQ_INSERT_TAIL(&e->events, event, entry);
	e->n++;
	return 0;
}

void ephemeral_forget(struct ephemeral *e, uint64_t number)
{
	struct ephemeral_event *event;

	while ((event = TAILQ_FIRST(&e->events)) && event->number <= number)
		drop(e, event);
}
