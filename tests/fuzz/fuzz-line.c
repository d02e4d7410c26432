/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a frontend's bytes go through before a handler sees them: lines, JSON, the envelope, the
 * method table's parameters. The first byte says in pieces of which size they come.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "ipc/line-reader.h"
#include "ipc/method.h"
#include "ipc/rpc.h"

static void decode(const struct rpc_call *call)
{
	struct rpc_error error;
	const struct method *m = method_find(call->method, &error);
	void *params;

	if (!m)
		return;
	params = calloc(1, m->params_size ? m->params_size : 1);
	if (params)
		method_decode(m, call->params, params, &error);
	free(params);
}

static void open_one(cJSON *envelope)
{
	struct chunk *line = NULL;
	struct rpc_error error;
	struct rpc_call call;

	if (rpc_open(envelope, &call, &error) == 0)
		decode(&call);
	else
		line = rpc_error_line(call.id, &error);
	chunk_unref(line);
	rpc_call_clear(&call);
}

static void take_line(const struct line *line)
{
	cJSON *value = NULL, *item;
	struct rpc_error error;

	if (rpc_parse(line->data, line->len, &value, &error) < 0)
		return;
	if (cJSON_IsArray(value))
		cJSON_ArrayForEach(item, value)
			open_one(item);
	else
		open_one(value);
	cJSON_Delete(value);
}

static void take_lines(struct line_reader *r)
{
	enum line_result result;
	struct line line;

	while ((result = line_reader_next(r, &line)) != LINE_NONE) {
		if (result == LINE_TOO_LONG)
			continue;
		take_line(&line);
		fd_list_unref(line.fds);
		line_reader_done(r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct line_reader r;
	size_t step = size > 0 ? (size_t)data[0] * 16 + 1 : 1;

	line_reader_init(&r);
	for (size_t at = 1; at < size; at += step) {
		size_t n = size - at < step ? size - at : step;
		void *to = buffer_reserve(&r.buffer, n);

		if (!to)
			break;
		memcpy(to, data + at, n);
		/* Descriptors come with some of them; those are none that can be closed. */
		line_reader_commit(&r, n, n % 3 == 0 ? fd_list_new() : NULL);
		take_lines(&r);
	}
	line_reader_clear(&r);
	return 0;
}
