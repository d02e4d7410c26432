/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <sodium.h>

#include "ipc/encode.h"
#include "ipc/json-build.h"
#include "ipc/limits.h"
#include "ipc/names.h"
#include "ipc/request.h"

struct get_params {
	const char *attachment_id;
};

static const struct json_field get_fields[] = {
	{ "attachment_id", JSON_ID, JSON_REQUIRED, offsetof(struct get_params, attachment_id),
		.doc = "The attachment." },
	{ 0 },
};

static int take_attachment(void *userdata, const struct attachment *a)
{
	cJSON **ret = userdata;

	*ret = encode_attachment(a);
	return *ret ? 0 : -ENOMEM;
}

static void fail(struct request *rq, int r)
{
	if (r == -ENOENT)
		request_fail_with(rq, FAILURE_NOT_FOUND, "there is no such attachment here");
	else
		request_fail_errno(rq, r);
}

static void reply_attachment(struct request *rq, const char *attachment_id)
{
	cJSON *attachment = NULL;
	int r = store_attachment_get(rq->api->store, attachment_id, take_attachment, &attachment);

	if (r < 0)
		fail(rq, r);
	else
		request_reply(rq, attachment);
}

static void on_get(struct request *rq)
{
	const struct get_params *p = rq->params;

	reply_attachment(rq, p->attachment_id);
}

static void on_download(struct request *rq)
{
	const struct get_params *p = rq->params;
	struct failure failure;

	if (transfer_download(rq->api->repository, p->attachment_id, &failure) < 0)
		request_fail(rq, &failure);
	else
		reply_attachment(rq, p->attachment_id);
}

static void on_cancel(struct request *rq)
{
	const struct get_params *p = rq->params;
	struct failure failure;

	if (transfer_cancel(rq->api->repository, p->attachment_id, &failure) < 0)
		request_fail(rq, &failure);
	else
		reply_attachment(rq, p->attachment_id);
}

static const struct param_detail variant_details[] = {
	{ .name = "variant", .values = variant_names },
	{ 0 },
};

struct open_params {
	const char *attachment_id;
	const char *variant;
};

static const struct json_field open_fields[] = {
	{ "attachment_id", JSON_ID, JSON_REQUIRED, offsetof(struct open_params, attachment_id),
		.doc = "The attachment." },
	{ "variant", JSON_STRING, 0, offsetof(struct open_params, variant),
		.doc = "The photo itself, or its small preview." },
	{ 0 },
};

static const struct open_params open_defaults = { .variant = "full" };

static const struct schema_field open_result_fields[] = {
	{ "fd", SCHEMA_INTEGER,
		.doc = "0: the descriptor that comes with the answer (SCM_RIGHTS), a sealed "
		       "memfd." },
	{ "size", SCHEMA_INTEGER, .doc = "Bytes in it." },
	{ 0 },
};

static const struct schema open_result = {
	.doc = "The bytes, as a descriptor.",
	.fields = open_result_fields,
};

static void on_open(struct request *rq)
{
	const struct open_params *p = rq->params;
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	enum attachment_variant variant;
	struct failure failure;
	_cleanup_close_ int fd = -1;
	int64_t size;

	if (attachment_variant_from_string(p->variant, &variant) < 0)
		return request_fail_params(rq, "there is no such variant");
	if (transfer_open(rq->api->repository, p->attachment_id, variant, &fd, &size, &failure) < 0)
		return request_fail(rq, &failure);
	if (!o || !json_add_integer(o, "fd", 0) || !json_add_integer(o, "size", size))
		return request_reply(rq, NULL);
	request_reply_fd(rq, TAKE_PTR(o), TAKE_FD(fd));
}

struct read_params {
	const char *attachment_id;
	const char *variant;
	int64_t offset;
	int64_t length;
};

static const struct json_field read_fields[] = {
	{ "attachment_id", JSON_ID, JSON_REQUIRED, offsetof(struct read_params, attachment_id),
		.doc = "The attachment." },
	{ "variant", JSON_STRING, 0, offsetof(struct read_params, variant),
		.doc = "The photo itself, or its small preview." },
	{ "offset", JSON_INTEGER, 0, offsetof(struct read_params, offset), 0, INT64_C(1) << 53,
		"The first byte." },
	{ "length", JSON_INTEGER, 0, offsetof(struct read_params, length), 1, READ_BYTES_MAX,
		"How many bytes at most." },
	{ 0 },
};

static const struct read_params read_defaults = { .variant = "full", .length = READ_BYTES_MAX };

static const struct schema_field read_result_fields[] = {
	{ "data", SCHEMA_STRING, .doc = "Base64; empty at the end." },
	{ "offset", SCHEMA_INTEGER, .doc = "Of its first byte." },
	{ "size", SCHEMA_INTEGER, .doc = "Bytes of the whole variant." },
	{ 0 },
};

static const struct schema read_result = {
	.doc = "A piece of the bytes.",
	.fields = read_result_fields,
};

static char *to_base64(const uint8_t *data, size_t n)
{
	size_t size = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL);
	char *text = malloc(size);

	if (text)
		sodium_bin2base64(text, size, data, n, sodium_base64_VARIANT_ORIGINAL);
	return text;
}

struct variant_state {
	enum attachment_variant variant;
	bool stored;
};

static int take_state(void *userdata, const struct attachment *a)
{
	struct variant_state *s = userdata;

	s->stored = s->variant == VARIANT_FULL ? a->full_stored : a->preview_stored;
	return 0;
}

static cJSON *encode_piece(const uint8_t *bytes, size_t n, int64_t offset, int64_t size)
{
	_cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	_cleanup_free_ char *text = to_base64(bytes, n);

	if (!o || !text || !json_add_string(o, "data", text) ||
		!json_add_integer(o, "offset", offset) || !json_add_integer(o, "size", size))
		return NULL;
	return TAKE_PTR(o);
}

static void on_read(struct request *rq)
{
	const struct read_params *p = rq->params;
	struct store *store = rq->api->store;
	struct variant_state state = { 0 };
	_cleanup_free_ uint8_t *bytes = NULL;
	ssize_t n;
	int r;

	if (attachment_variant_from_string(p->variant, &state.variant) < 0)
		return request_fail_params(rq, "there is no such variant");
	r = store_attachment_get(store, p->attachment_id, take_state, &state);
	if (r < 0)
		return fail(rq, r);
	if (!state.stored)
		return request_fail_with(
			rq, FAILURE_BUSY, "not all of it is here; attachments.download brings it");
	bytes = malloc((size_t)p->length);
	if (!bytes)
		return request_reply(rq, NULL);
	n = store_media_read(
		store, p->attachment_id, state.variant, p->offset, bytes, (size_t)p->length);
	if (n < 0)
		return fail(rq, (int)n);
	if (p->offset == 0)
		transfer_note_use(rq->api->repository, p->attachment_id, state.variant);
	request_reply(rq,
		encode_piece(bytes, (size_t)n, p->offset,
			store_media_size(store, p->attachment_id, state.variant)));
}

const struct method methods_attachments[] = {
	{
		.name = "attachments.get",
		.summary = "An attachment's state and progress.",
		.params = get_fields,
		.params_size = sizeof(struct get_params),
		.result = &schema_attachment,
		.errors = 1u << FAILURE_NOT_FOUND,
		.scopes = SCOPE_READ,
		.handler = on_get,
	},
	{
		.name = "attachments.download",
		.summary = "Asks for an attachment's full bytes.",
		.doc = "Answers at once; follow attachment.updated. No effect when they are here "
		       "or coming.",
		.params = get_fields,
		.params_size = sizeof(struct get_params),
		.result = &schema_attachment,
		.errors = 1u << FAILURE_NOT_FOUND | 1u << FAILURE_CONFLICT |
			1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_READ,
		.flags = METHOD_WRITES,
		.handler = on_download,
	},
	{
		.name = "attachments.cancel",
		.summary = "Stops an attachment's transfer.",
		.doc = "A download is WAITING then, and goes on from there when it is asked for "
		       "again. An upload takes its message with it, which is FAILED. No effect "
		       "where nothing moves; the error conflict says that the photo is on the "
		       "server already.",
		.params = get_fields,
		.params_size = sizeof(struct get_params),
		.result = &schema_attachment,
		.errors = 1u << FAILURE_NOT_FOUND | 1u << FAILURE_CONFLICT |
			1u << FAILURE_STORAGE_FULL,
		.scopes = SCOPE_FULL,
		.flags = METHOD_WRITES,
		.handler = on_cancel,
	},
	{
		.name = "attachments.open",
		.summary = "The bytes of an attachment, as a sealed read-only memfd.",
		.doc = "The error busy says that not all of them are here. Not in a batch.",
		.params = open_fields,
		.params_size = sizeof(struct open_params),
		.defaults = &open_defaults,
		.details = variant_details,
		.result = &open_result,
		.errors = 1u << FAILURE_NOT_FOUND | 1u << FAILURE_UNSUPPORTED,
		.scopes = SCOPE_READ,
		.flags = METHOD_SENDS_FD,
		.handler = on_open,
	},
	{
		.name = "attachments.read",
		.summary =
			"A piece of an attachment's bytes, for those who cannot take descriptors.",
		.doc = "The error busy says that not all of them are here.",
		.params = read_fields,
		.params_size = sizeof(struct read_params),
		.defaults = &read_defaults,
		.details = variant_details,
		.result = &read_result,
		.errors = 1u << FAILURE_NOT_FOUND,
		.scopes = SCOPE_READ,
		.handler = on_read,
	},
	{ 0 },
};
