/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bodies of a server's answers: pages, identities, problems. The first byte says which. */
#include "fuzz.h"

#include <string.h>

#include "service/native/convert.h"
#include "service/native/problems.h"

static void chats(const cJSON *o)
{
	struct chat_page page = { 0 };
	struct json_error e;

	if (convert_chat_page(o, "me", &page, &e) == 0)
		chat_page_clear(&page);
}

static void messages(const cJSON *o)
{
	struct message_page page = { 0 };
	struct json_error e;

	if (convert_message_page(o, "me", &page, &e) == 0)
		message_page_clear(&page);
}

static void identity(const cJSON *o)
{
	struct service_identity who = { 0 };
	struct json_error e;

	if (convert_identity(o, &who, &e) == 0)
		service_identity_clear(&who);
}

static void user(const cJSON *o)
{
	struct user u = { 0 };
	struct json_error e;

	if (convert_user(o, &u, &e) == 0)
		user_clear(&u);
}

static void attachment(const cJSON *o)
{
	struct attachment a = { 0 };
	struct json_error e;

	if (convert_attachment(o, &a, &e) == 0)
		attachment_clear(&a);
}

static void problem(const uint8_t *data, size_t size)
{
	struct problem p;

	problem_from_answer(422, (const char *)data, size, NULL, NULL, &p);
	problem_clear(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(
		const cJSON *) = { chats, messages, identity, user, attachment };
	_cleanup_(cJSON_Deletep) cJSON *o = NULL;
	size_t n = ARRAY_SIZE(readers);

	if (size == 0)
		return 0;
	if (data[0] % (n + 1) == n)
		problem(data + 1, size - 1);
	else if (json_parse((const char *)data + 1, size - 1, &o) == 0)
		readers[data[0] % (n + 1)](o);
	return 0;
}
