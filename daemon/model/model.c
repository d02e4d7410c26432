/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "model/attachment.h"
#include "model/chat.h"
#include "model/message.h"
#include "model/problem.h"
#include "model/push.h"
#include "model/user.h"

static const char *const message_statuses[] = {
	[MESSAGE_PENDING] = "PENDING",
	[MESSAGE_SENT] = "SENT",
	[MESSAGE_RECEIVED] = "RECEIVED",
	[MESSAGE_READ] = "READ",
	[MESSAGE_FAILED] = "FAILED",
};

static const char *const attachment_statuses[] = {
	[ATTACHMENT_WAITING] = "WAITING",
	[ATTACHMENT_UPLOADING] = "UPLOADING",
	[ATTACHMENT_DOWNLOADING] = "DOWNLOADING",
	[ATTACHMENT_FAILED] = "FAILED",
	[ATTACHMENT_READY] = "READY",
};

static const char *const variants[] = {
	[VARIANT_FULL] = "full",
	[VARIANT_PREVIEW] = "preview",
};

const char *const push_state_names[] = {
	[PUSH_OFF] = "off",
	[PUSH_NO_DISTRIBUTOR] = "no_distributor",
	[PUSH_REGISTERING] = "registering",
	[PUSH_READY] = "ready",
	NULL,
};

const char *message_status_to_string(enum message_status status)
{
	return message_statuses[status];
}

const char *attachment_status_to_string(enum attachment_status status)
{
	return attachment_statuses[status];
}

const char *attachment_variant_to_string(enum attachment_variant variant)
{
	return variants[variant];
}

int attachment_variant_from_string(const char *s, enum attachment_variant *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
		if (strcmp(s, variants[i]) == 0) {
			*ret = (enum attachment_variant)i;
			return 0;
		}
	}
	return -EINVAL;
}

void user_clear(struct user *u)
{
	free(u->id);
	free(u->name);
	free(u->picture_url);
	*u = (struct user){ 0 };
}

void attachment_clear(struct attachment *a)
{
	free(a->id);
	free(a->message_id);
	free(a->chat_id);
	free(a->mime);
	free(a->name);
	free(a->sha256);
	free(a->url);
	free(a->preview_url);
	*a = (struct attachment){ 0 };
}

static int copy_string(char **to, const char *from)
{
	if (!from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : -ENOMEM;
}

int attachment_copy(const struct attachment *a, struct attachment *ret)
{
	struct attachment copy = *a;
	int r = 0;

	copy.id = copy.message_id = copy.chat_id = copy.mime = copy.name = NULL;
	copy.sha256 = copy.url = copy.preview_url = NULL;
	r |= copy_string(&copy.id, a->id);
	r |= copy_string(&copy.message_id, a->message_id);
	r |= copy_string(&copy.chat_id, a->chat_id);
	r |= copy_string(&copy.mime, a->mime);
	r |= copy_string(&copy.name, a->name);
	r |= copy_string(&copy.sha256, a->sha256);
	r |= copy_string(&copy.url, a->url);
	r |= copy_string(&copy.preview_url, a->preview_url);
	if (r) {
		attachment_clear(&copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

void message_clear(struct message *m)
{
	for (size_t i = 0; i < m->n_attachments; i++)
		attachment_clear(&m->attachments[i]);
	free(m->attachments);
	free(m->id);
	free(m->chat_id);
	free(m->user_id);
	free(m->text);
	free(m->error_title);
	free(m->error_detail);
	*m = (struct message){ 0 };
}

struct message *message_array_free(struct message *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		message_clear(&m[i]);
	free(m);
	return NULL;
}

struct attachment *message_add_attachment(struct message *m)
{
	struct attachment *a =
		reallocarray(m->attachments, m->n_attachments + 1, sizeof(m->attachments[0]));

	if (!a)
		return NULL;
	m->attachments = a;
	a += m->n_attachments++;
	*a = (struct attachment){ 0 };
	return a;
}

void chat_clear(struct chat *c)
{
	free(c->id);
	free(c->user_id);
	*c = (struct chat){ 0 };
}

void chat_info_clear(struct chat_info *c)
{
	free(c->id);
	free(c->user_id);
	free(c->username);
	free(c->last_username);
	free(c->last_user_profile_url);
	free(c->last_message_id);
	free(c->last_message_text);
	*c = (struct chat_info){ 0 };
}

void problem_clear(struct problem *p)
{
	free(p->type);
	free(p->title);
	free(p->detail);
	*p = (struct problem){ 0 };
}

void problem_set(struct problem *p, enum problem_class class, int status, const char *title,
	const char *detail)
{
	*p = (struct problem){
		.class = class,
		.status = status,
		.title = title ? strdup(title) : NULL,
		.detail = detail ? strdup(detail) : NULL,
	};
}

void problem_copy(const struct problem *from, struct problem *ret)
{
	problem_set(ret, from->class, from->status, from->title, from->detail);
	ret->type = from->type ? strdup(from->type) : NULL;
	ret->retry_after_ms = from->retry_after_ms;
}
