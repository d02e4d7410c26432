/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/bus-value.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ipc/json-build.h"
#include "ipc/rpc.h"

#define EXACT_MAX (INT64_C(1) << 53)

#define SIGNATURE_SIZE 256

/* Beside what a value holds: its signature and padding. */
#define VALUE_BYTES 16

/* From D-Bus. */

struct reader {
	sd_bus_message *message;
	struct rpc_error *error;
	struct fd_list *fds; /* NULL: none came */
	unsigned values;
	size_t bytes;
};

static int refuse(struct reader *r, int code, const char *why)
{
	rpc_error_set(r->error, code, "%s", why);
	return code == CHAT_ERROR_TOO_LARGE ? -E2BIG : -EINVAL;
}

/* What sd-bus says of a message that is not as its signature says, or of memory. */
static int broken(struct reader *r, int error)
{
	if (error == -ENOMEM)
		rpc_error_set(r->error, CHAT_RPC_INTERNAL_ERROR, "out of memory");
	else
		rpc_error_set(r->error, CHAT_RPC_INVALID_PARAMS, "the message cannot be read");
	return error < 0 ? error : -EBADMSG;
}

static int charge(struct reader *r, size_t bytes)
{
	r->bytes += bytes;
	if (++r->values > RPC_VALUES_MAX)
		return refuse(r, CHAT_ERROR_TOO_LARGE, "there are too many values in the message");
	if (r->bytes > CHAT_LINE_MAX)
		return refuse(r, CHAT_ERROR_TOO_LARGE, "the message is too long");
	return 0;
}

static int make_number(struct reader *r, bool exact, double value, cJSON **ret)
{
	if (!exact || !isfinite(value))
		return refuse(r, CHAT_RPC_INVALID_PARAMS,
			"integers go up to 2^53, other numbers are finite");
	*ret = cJSON_CreateNumber(value);
	return *ret ? 0 : broken(r, -ENOMEM);
}

static int make_signed(struct reader *r, int64_t n, cJSON **ret)
{
	return make_number(r, n >= -EXACT_MAX && n <= EXACT_MAX, (double)n, ret);
}

static int make_unsigned(struct reader *r, uint64_t n, cJSON **ret)
{
	return make_number(r, n <= (uint64_t)EXACT_MAX, (double)n, ret);
}

static int make_descriptor(struct reader *r, int borrowed, cJSON **ret)
{
	int fd;

	if (!r->fds)
		r->fds = fd_list_new();
	if (!r->fds)
		return broken(r, -ENOMEM);
	*ret = cJSON_CreateNumber(r->fds->n);
	if (!*ret)
		return broken(r, -ENOMEM);
	if (r->fds->n == CHAT_FDS_MAX) {
		r->fds->too_many = true;
		return 0;
	}
	fd = fcntl(borrowed, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		r->fds->lost = true;
	else
		r->fds->fds[r->fds->n++] = fd;
	return 0;
}

union basic {
	uint8_t y;
	int b, h;
	int16_t n;
	uint16_t q;
	int32_t i;
	uint32_t u;
	int64_t x;
	uint64_t t;
	double d;
	const char *s;
};

static int make_basic(struct reader *r, char type, const union basic *v, cJSON **ret)
{
	switch (type) {
	case SD_BUS_TYPE_BYTE:
		return make_unsigned(r, v->y, ret);
	case SD_BUS_TYPE_INT16:
		return make_signed(r, v->n, ret);
	case SD_BUS_TYPE_UINT16:
		return make_unsigned(r, v->q, ret);
	case SD_BUS_TYPE_INT32:
		return make_signed(r, v->i, ret);
	case SD_BUS_TYPE_UINT32:
		return make_unsigned(r, v->u, ret);
	case SD_BUS_TYPE_INT64:
		return make_signed(r, v->x, ret);
	case SD_BUS_TYPE_UINT64:
		return make_unsigned(r, v->t, ret);
	case SD_BUS_TYPE_DOUBLE:
		return make_number(r, true, v->d, ret);
	case SD_BUS_TYPE_UNIX_FD:
		return make_descriptor(r, v->h, ret);
	case SD_BUS_TYPE_BOOLEAN:
		*ret = cJSON_CreateBool(v->b);
		break;
	default:
		*ret = cJSON_CreateString(v->s);
		break;
	}
	return *ret ? 0 : broken(r, -ENOMEM);
}

static int read_basic(struct reader *r, char type, cJSON **ret)
{
	union basic v;
	int e = sd_bus_message_read_basic(r->message, type, &v);

	if (e <= 0)
		return broken(r, e);
	if (strchr("sog", type))
		e = charge(r, strlen(v.s));
	return e < 0 ? e : make_basic(r, type, &v, ret);
}

static int read_value(struct reader *r, unsigned depth, cJSON **ret);

static int enter(struct reader *r, unsigned depth, char type, const char *contents)
{
	int e;

	if (depth >= BUS_DEPTH_MAX)
		return refuse(r, CHAT_ERROR_TOO_LARGE, "the message is nested too deeply");
	e = sd_bus_message_enter_container(r->message, type, contents);
	return e > 0 ? 0 : broken(r, e);
}

static int leave(struct reader *r)
{
	int e = sd_bus_message_exit_container(r->message);

	return e < 0 ? broken(r, e) : 0;
}

static int read_variant(struct reader *r, unsigned depth, const char *contents, cJSON **ret)
{
	int e = enter(r, depth, SD_BUS_TYPE_VARIANT, contents);

	e = e < 0 ? e : read_value(r, depth + 1, ret);
	return e < 0 ? e : leave(r);
}

static int read_array(struct reader *r, unsigned depth, const char *contents, cJSON *array)
{
	int e = enter(r, depth, SD_BUS_TYPE_ARRAY, contents);

	while (e == 0 && sd_bus_message_at_end(r->message, false) == 0) {
		cJSON *item = NULL;

		e = read_value(r, depth + 1, &item);
		if (item)
			cJSON_AddItemToArray(array, item);
	}
	return e < 0 ? e : leave(r);
}

/* A dictionary's entry; enter_container has said that there is one. */
static int read_member(struct reader *r, unsigned depth, cJSON *object)
{
	const char *name;
	cJSON *item = NULL;
	int e = sd_bus_message_read_basic(r->message, SD_BUS_TYPE_STRING, &name);

	if (e <= 0)
		return broken(r, e);
	if (cJSON_GetArraySize(object) >= BUS_MEMBERS_MAX)
		return refuse(r, CHAT_ERROR_TOO_LARGE, "there are too many members in an object");
	if (cJSON_GetObjectItemCaseSensitive(object, name))
		return refuse(r, CHAT_RPC_INVALID_PARAMS, "a member comes twice");
	e = charge(r, strlen(name));
	e = e < 0 ? e : read_value(r, depth + 1, &item);
	/* The name is the message's: copied. */
	if (item && !cJSON_AddItemToObject(object, name, item)) {
		cJSON_Delete(item);
		return broken(r, -ENOMEM);
	}
	return e < 0 ? e : leave(r);
}

static int read_object(struct reader *r, unsigned depth, const char *contents, cJSON *object)
{
	char entry[SIGNATURE_SIZE];
	int e;

	/* "{sv}" to "sv". */
	snprintf(entry, sizeof(entry), "%.*s", (int)strlen(contents) - 2, contents + 1);
	if (entry[0] != SD_BUS_TYPE_STRING)
		return refuse(r, CHAT_RPC_INVALID_PARAMS, "names of members are strings");
	e = enter(r, depth, SD_BUS_TYPE_ARRAY, contents);
	while (e == 0) {
		int more =
			sd_bus_message_enter_container(r->message, SD_BUS_TYPE_DICT_ENTRY, entry);

		if (more <= 0) {
			e = more < 0 ? broken(r, more) : leave(r);
			break;
		}
		e = read_member(r, depth, object);
	}
	return e;
}

static int read_container(struct reader *r, unsigned depth, const char *contents, cJSON **ret)
{
	bool is_object = contents[0] == SD_BUS_TYPE_DICT_ENTRY_BEGIN;

	*ret = is_object ? cJSON_CreateObject() : cJSON_CreateArray();
	if (!*ret)
		return broken(r, -ENOMEM);
	return is_object ? read_object(r, depth, contents, *ret)
			 : read_array(r, depth, contents, *ret);
}

/* `ret` is set to what there is to be freed also on failure. */
static int read_value(struct reader *r, unsigned depth, cJSON **ret)
{
	char contents[SIGNATURE_SIZE] = "";
	const char *peeked;
	char type;
	int e = sd_bus_message_peek_type(r->message, &type, &peeked);

	if (e <= 0)
		return broken(r, e);
	/* What is peeked at lasts until the next look. */
	if (peeked)
		snprintf(contents, sizeof(contents), "%s", peeked);
	e = charge(r, 0);
	if (e < 0)
		return e;
	if (type == SD_BUS_TYPE_VARIANT)
		return read_variant(r, depth, contents, ret);
	if (type == SD_BUS_TYPE_ARRAY)
		return read_container(r, depth, contents, ret);
	if (strchr("ybnqiuxtdsogh", type))
		return read_basic(r, type, ret);
	return refuse(r, CHAT_RPC_INVALID_PARAMS, "structs have no place in parameters");
}

int bus_value_read(
	sd_bus_message *m, cJSON **ret, struct fd_list **ret_fds, struct rpc_error *ret_error)
{
	struct reader r = { .message = m, .error = ret_error };
	_cleanup_(cJSON_Deletep) cJSON *value = NULL;
	int e = sd_bus_message_verify_type(m, SD_BUS_TYPE_ARRAY, "{sv}");

	if (e <= 0)
		e = refuse(&r, CHAT_RPC_INVALID_PARAMS, "parameters are one a{sv}");
	else
		e = read_value(&r, 0, &value);
	if (e < 0) {
		fd_list_unref(r.fds);
		return e;
	}
	*ret = TAKE_PTR(value);
	*ret_fds = r.fds;
	return 0;
}

/* To D-Bus. */

struct writer {
	sd_bus_message *message;
	size_t bytes;
};

static int append_object(
	struct writer *w, unsigned depth, const cJSON *object, const struct schema *schema, int fd);
static int append_value(
	struct writer *w, unsigned depth, const cJSON *value, const struct schema_field *field);

/* An integer that a number holds, or that a text does which cJSON would round. */
static bool is_integer(const cJSON *value, int64_t *ret)
{
	char *end;

	if (cJSON_IsNumber(value)) {
		if (trunc(value->valuedouble) != value->valuedouble ||
			fabs(value->valuedouble) > (double)EXACT_MAX)
			return false;
		*ret = (int64_t)value->valuedouble;
		return true;
	}
	if (!cJSON_IsRaw(value))
		return false;
	errno = 0;
	*ret = strtoll(value->valuestring, &end, 10);
	return errno == 0 && end > value->valuestring && *end == '\0';
}

static bool is_double(const cJSON *value, double *ret)
{
	char *end;

	if (cJSON_IsNumber(value)) {
		*ret = value->valuedouble;
		return true;
	}
	if (!cJSON_IsRaw(value))
		return false;
	*ret = strtod(value->valuestring, &end);
	return end > value->valuestring && *end == '\0';
}

static const char *type_of(const cJSON *value)
{
	int64_t n;
	double d;

	if (cJSON_IsBool(value))
		return "b";
	if (cJSON_IsString(value))
		return "s";
	if (cJSON_IsObject(value))
		return "a{sv}";
	if (is_integer(value, &n))
		return "x";
	return is_double(value, &d) ? "d" : NULL;
}

/* Of the elements of an array, as its schema has them. */
static const char *element_type(const struct schema_field *field)
{
	if (!field || !(field->flags & SCHEMA_LIST))
		return "v";
	switch (field->kind) {
	case SCHEMA_STRING:
	case SCHEMA_ID:
	case SCHEMA_ENUM:
		return "s";
	case SCHEMA_INTEGER:
	case SCHEMA_TIME:
		return "x";
	case SCHEMA_BOOLEAN:
		return "b";
	case SCHEMA_OBJECT:
		return "a{sv}";
	}
	return "v";
}

/* The signature of a value, in a variant; NULL when it has none. */
static const char *signature_of(const cJSON *value, const struct schema_field *field)
{
	static const char *const arrays[] = { "as", "ax", "ab", "aa{sv}", "av" };

	if (!cJSON_IsArray(value))
		return type_of(value);
	for (size_t i = 0; i < ARRAY_SIZE(arrays); i++)
		if (strcmp(arrays[i] + 1, element_type(field)) == 0)
			return arrays[i];
	return NULL;
}

static int append_string(struct writer *w, const char *s)
{
	size_t n = strlen(s);

	w->bytes += n;
	return utf8_is_valid(s, n) ? sd_bus_message_append_basic(w->message, SD_BUS_TYPE_STRING, s)
				   : -EINVAL;
}

static int append_variant(
	struct writer *w, unsigned depth, const cJSON *value, const struct schema_field *field)
{
	const char *signature = signature_of(value, field);
	int r;

	if (!signature)
		return -EINVAL;
	r = sd_bus_message_open_container(w->message, SD_BUS_TYPE_VARIANT, signature);
	r = r < 0 ? r : append_value(w, depth, value, field);
	return r < 0 ? r : sd_bus_message_close_container(w->message);
}

static int append_element(struct writer *w, unsigned depth, const cJSON *item, const char *type,
	const struct schema_field *field)
{
	const char *actual = type_of(item);

	if (strcmp(type, "v") == 0)
		return append_variant(w, depth, item, NULL);
	if (!actual || strcmp(actual, type) != 0)
		return -EINVAL;
	return append_value(w, depth, item, field);
}

static int append_array(
	struct writer *w, unsigned depth, const cJSON *array, const struct schema_field *field)
{
	const char *type = element_type(field);
	const cJSON *item;
	int r = sd_bus_message_open_container(w->message, SD_BUS_TYPE_ARRAY, type);

	cJSON_ArrayForEach(item, array)
		r = r < 0 ? r : append_element(w, depth + 1, item, type, field);
	return r < 0 ? r : sd_bus_message_close_container(w->message);
}

static int append_value(
	struct writer *w, unsigned depth, const cJSON *value, const struct schema_field *field)
{
	int b = cJSON_IsTrue(value);
	int64_t x;
	double d;

	w->bytes += VALUE_BYTES;
	if (depth >= BUS_DEPTH_MAX)
		return -E2BIG;
	if (cJSON_IsArray(value))
		return append_array(w, depth, value, field);
	if (cJSON_IsObject(value))
		return append_object(w, depth, value, field ? field->object : NULL, -1);
	if (cJSON_IsString(value))
		return append_string(w, value->valuestring);
	if (cJSON_IsBool(value))
		return sd_bus_message_append_basic(w->message, SD_BUS_TYPE_BOOLEAN, &b);
	if (is_integer(value, &x))
		return sd_bus_message_append_basic(w->message, SD_BUS_TYPE_INT64, &x);
	if (is_double(value, &d))
		return sd_bus_message_append_basic(w->message, SD_BUS_TYPE_DOUBLE, &d);
	return -EINVAL;
}

static const struct schema_field *find_field(const struct schema *schema, const char *name)
{
	for (const struct schema_field *f = schema ? schema->fields : NULL; f && f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static int append_member(
	struct writer *w, unsigned depth, const cJSON *member, const struct schema *schema, int fd)
{
	int r = sd_bus_message_open_container(w->message, SD_BUS_TYPE_DICT_ENTRY, "sv");

	r = r < 0 ? r : append_string(w, member->string);
	if (r >= 0 && fd >= 0 && strcmp(member->string, "fd") == 0)
		r = sd_bus_message_append(w->message, "v", "h", fd);
	else if (r >= 0)
		r = append_variant(w, depth, member, find_field(schema, member->string));
	return r < 0 ? r : sd_bus_message_close_container(w->message);
}

static int append_object(
	struct writer *w, unsigned depth, const cJSON *object, const struct schema *schema, int fd)
{
	const cJSON *member;
	int r = sd_bus_message_open_container(w->message, SD_BUS_TYPE_ARRAY, "{sv}");

	cJSON_ArrayForEach(member, object)
		if (r >= 0 && !cJSON_IsNull(member))
			r = append_member(w, depth + 1, member, schema, fd);
	return r < 0 ? r : sd_bus_message_close_container(w->message);
}

int bus_value_append(sd_bus_message *m, const cJSON *object, const struct schema *schema, int fd,
	size_t *ret_bytes)
{
	struct writer w = { .message = m };
	int r;

	if (!cJSON_IsObject(object))
		return -EINVAL;
	r = append_object(&w, 0, object, schema, fd);
	if (r < 0)
		return r;
	if (ret_bytes)
		*ret_bytes = w.bytes;
	return 0;
}
