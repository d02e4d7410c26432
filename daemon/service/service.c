/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service/service.h"

static void free_users(struct user *users, size_t n)
{
	for (size_t i = 0; i < n; i++)
		user_clear(&users[i]);
	free(users);
}

void service_identity_clear(struct service_identity *i)
{
	user_clear(&i->user);
	free(i->token);
	*i = (struct service_identity){ 0 };
}

void chat_page_clear(struct chat_page *p)
{
	for (size_t i = 0; i < p->n_chats; i++)
		chat_clear(&p->chats[i]);
	free(p->chats);
	free_users(p->users, p->n_users);
	message_array_free(p->messages, p->n_messages);
	for (size_t i = 0; i < p->n_removed; i++)
		free(p->removed[i]);
	free(p->removed);
	free(p->state);
	*p = (struct chat_page){ 0 };
}

void message_page_clear(struct message_page *p)
{
	message_array_free(p->messages, p->n_messages);
	free_users(p->users, p->n_users);
	*p = (struct message_page){ 0 };
}

void push_content_clear(struct push_content *c)
{
	for (size_t i = 0; i < c->n_messages; i++) {
		free(c->messages[i].user_name);
		free(c->messages[i].text);
	}
	free(c->messages);
	free(c->user_id);
	*c = (struct push_content){ 0 };
}

void service_set_events(struct service *s, const struct service_events *events, void *userdata)
{
	s->events = events;
	s->userdata = userdata;
}

struct service_call *service_call_cancel(struct service *s, struct service_call *call)
{
	if (call)
		s->cancel(s, call);
	return NULL;
}

struct service *service_free(struct service *s)
{
	if (s)
		s->free(s);
	return NULL;
}
