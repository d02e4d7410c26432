/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Frames of a session, one a line. The first byte says whether the server has greeted already, in
 * which case the connection's id is "c".
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "service/native/native-private.h"

static void on_message(void *userdata, struct message *m, const struct user *author)
{
	if (!m->id || !*m->id || (author && !author->id))
		abort();
}

static void on_rejected(void *userdata, const char *message_id, const struct problem *p)
{
	if (!p->title || (p->class != PROBLEM_TRANSIENT && p->class != PROBLEM_PERMANENT))
		abort();
}

static const struct service_events events = {
	.on_message = on_message,
	.on_rejected = on_rejected,
};

static struct native *service(void)
{
	static struct native *n;
	struct event_loop *loop;

	if (n)
		return n;
	log_set_level(LOG_EMERG);
	loop = event_loop_new();
	n = loop ? native_from(native_service_new(loop, &(struct native_options){ 0 })) : NULL;
	if (!n)
		abort();
	n->service.events = &events;
	return n;
}

static void begin(struct native *n, bool greeted)
{
	free(n->session.connection_id);
	n->session.connection_id = greeted ? strdup("c") : NULL;
	n->session.state = greeted ? SESSION_OPEN : SESSION_GREETING;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct native *n = service();
	const char *at = (const char *)data + 1, *end = (const char *)data + size;

	if (size == 0)
		return 0;
	begin(n, data[0] & 1);
	while (at < end && n->session.state != SESSION_CLOSED) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end;

		frame_handle(n, at, (size_t)(stop - at));
		at = stop + 1;
	}
	return 0;
}
