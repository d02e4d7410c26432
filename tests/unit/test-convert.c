/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "service/native/convert.h"
#include "service/native/problems.h"

static cJSON *parse(const char *text)
{
	cJSON *o = NULL;

	assert_int_equal(json_parse(text, strlen(text), &o), 0);
	return o;
}

/* Converts `text` into whatever it is good for and releases that; the error's text lands in `e`. */
typedef int (*try_fn)(const cJSON *o, struct json_error *e);

static int try_user(const cJSON *o, struct json_error *e)
{
	struct user u = { 0 };
	int r = convert_user(o, &u, e);

	user_clear(&u);
	return r;
}

static int try_chat(const cJSON *o, struct json_error *e)
{
	struct chat c = { 0 };
	int r = convert_chat(o, &c, e);

	chat_clear(&c);
	return r;
}

static int try_attachment(const cJSON *o, struct json_error *e)
{
	struct attachment a = { 0 };
	int r = convert_attachment(o, &a, e);

	attachment_clear(&a);
	return r;
}

static int try_message(const cJSON *o, struct json_error *e)
{
	struct attachment_set *set = NULL;
	struct message m = { 0 };
	int r = attachment_set_read(NULL, &set, e);

	assert_int_equal(r, 0);
	r = convert_message(o, set, "u1", &m, e);
	message_clear(&m);
	attachment_set_free(set);
	return r;
}

static int try_chat_page(const cJSON *o, struct json_error *e)
{
	struct chat_page p = { 0 };
	int r = convert_chat_page(o, "u1", &p, e);

	chat_page_clear(&p);
	return r;
}

static int try_message_page(const cJSON *o, struct json_error *e)
{
	struct message_page p = { 0 };
	int r = convert_message_page(o, "u1", &p, e);

	message_page_clear(&p);
	return r;
}

static int try_identity(const cJSON *o, struct json_error *e)
{
	struct service_identity i = { 0 };
	int r = convert_identity(o, &i, e);

	service_identity_clear(&i);
	return r;
}

#define USER "{\"id\":\"u1\",\"name\":\"Ann\",\"picture_url\":null}"
#define CHAT                                                                                \
	"{\"id\":\"c1\",\"user_id\":\"u2\",\"last_message_id\":null,\"last_user_id\":null," \
	"\"last_seq\":7,\"created_at\":1000,\"read_seq\":3,\"peer_read_seq\":4,"            \
	"\"peer_received_seq\":5}"
#define ATTACHMENT                                                                         \
	"{\"id\":\"a1\",\"mime\":\"image/jpeg\",\"size\":10,\"width\":4,\"height\":3,"     \
	"\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"," \
	"\"url\":\"/b/a1\",\"preview_url\":\"/b/a1/p\",\"preview_size\":2,\"name\":\"x.jpg\"}"
#define MESSAGE                                                                 \
	"{\"id\":\"m1\",\"chat_id\":\"c1\",\"user_id\":\"u1\",\"text\":\"hi\"," \
	"\"status\":\"SENT\",\"created_at\":123456789012,\"attachments\":\"\",\"seq\":1}"

static void a_user(void **state)
{
	cJSON *o = parse(
		"{\"id\":\"u1\",\"name\":\"\xc3\x84nn\",\"picture_url\":\"http://x/\",\"new\":[]}");
	struct user u;
	struct json_error e;

	assert_int_equal(convert_user(o, &u, &e), 0);
	assert_string_equal(u.id, "u1");
	assert_string_equal(u.name, "\xc3\x84nn");
	assert_string_equal(u.picture_url, "http://x/");
	user_clear(&u);
	cJSON_Delete(o);
	o = parse(USER);
	assert_int_equal(convert_user(o, &u, &e), 0);
	assert_null(u.picture_url);
	user_clear(&u);
	cJSON_Delete(o);
}

static void a_chat(void **state)
{
	cJSON *o = parse(CHAT);
	struct chat c;
	struct json_error e;

	assert_int_equal(convert_chat(o, &c, &e), 0);
	assert_string_equal(c.id, "c1");
	assert_string_equal(c.user_id, "u2");
	assert_int_equal(c.last_seq, 7);
	assert_int_equal(c.created_at, 1000);
	assert_int_equal(c.read_seq, 3);
	assert_int_equal(c.peer_read_seq, 4);
	assert_int_equal(c.peer_received_seq, 5);
	chat_clear(&c);
	cJSON_Delete(o);
}

static void an_attachment(void **state)
{
	cJSON *o = parse(ATTACHMENT);
	struct attachment a;
	struct json_error e;

	assert_int_equal(convert_attachment(o, &a, &e), 0);
	assert_string_equal(a.id, "a1");
	assert_string_equal(a.mime, "image/jpeg");
	assert_string_equal(a.name, "x.jpg");
	assert_string_equal(a.url, "/b/a1");
	assert_string_equal(a.preview_url, "/b/a1/p");
	assert_int_equal(strlen(a.sha256), 64);
	assert_int_equal(a.size, 10);
	assert_int_equal(a.preview_size, 2);
	assert_int_equal(a.width, 4);
	assert_int_equal(a.height, 3);
	assert_int_equal(a.status, ATTACHMENT_WAITING);
	assert_false(a.outgoing);
	attachment_clear(&a);
	cJSON_Delete(o);
}

static void a_message(void **state)
{
	cJSON *o = parse(MESSAGE);
	struct attachment_set *set;
	struct message m;
	struct json_error e;

	assert_int_equal(attachment_set_read(NULL, &set, &e), 0);
	assert_int_equal(convert_message(o, set, "u1", &m, &e), 0);
	assert_string_equal(m.id, "m1");
	assert_string_equal(m.chat_id, "c1");
	assert_string_equal(m.user_id, "u1");
	assert_string_equal(m.text, "hi");
	assert_int_equal(m.seq, 1);
	assert_int_equal(m.created_at, 123456789012);
	assert_int_equal(m.status, MESSAGE_SENT);
	assert_int_equal(m.n_attachments, 0);
	assert_true(m.outgoing);
	message_clear(&m);
	assert_int_equal(convert_message(o, set, "u2", &m, &e), 0);
	assert_false(m.outgoing);
	message_clear(&m);
	attachment_set_free(set);
	cJSON_Delete(o);
}

/* The list orders; repeated ids count once; an id without an object is kept; an object without an
 * id is not. */
static void attachments_are_joined(void **state)
{
	cJSON *o = parse("{\"id\":\"m1\",\"chat_id\":\"c1\",\"user_id\":\"u2\",\"text\":\"\","
			 "\"created_at\":1,\"seq\":2,\"attachments\":\"z9,a1,z9,nobody,a1\"}");
	cJSON *objects =
		parse("[" ATTACHMENT ",{\"id\":\"unasked\",\"mime\":\"image/png\",\"size\":1},"
		      "{\"id\":\"z9\",\"mime\":\"image/png\",\"size\":99},"
		      "{\"id\":\"z9\",\"mime\":\"image/gif\",\"size\":99}]");
	struct attachment_set *set;
	struct message m;
	struct json_error e;

	assert_int_equal(attachment_set_read(objects, &set, &e), 0);
	assert_int_equal(convert_message(o, set, "u1", &m, &e), 0);
	assert_int_equal(m.n_attachments, 3);
	assert_string_equal(m.attachments[0].id, "z9");
	assert_int_equal(m.attachments[0].size, 99);
	assert_string_equal(m.attachments[1].id, "a1");
	assert_string_equal(m.attachments[1].url, "/b/a1");
	assert_string_equal(m.attachments[1].message_id, "m1");
	assert_string_equal(m.attachments[1].chat_id, "c1");
	assert_string_equal(m.attachments[2].id, "nobody");
	assert_null(m.attachments[2].mime);
	assert_null(m.attachments[2].url);
	assert_int_equal(m.attachments[2].status, ATTACHMENT_WAITING);
	message_clear(&m);
	attachment_set_free(set);
	cJSON_Delete(objects);
	cJSON_Delete(o);
}

static void a_chat_page(void **state)
{
	cJSON *o = parse(
		"{\"chats\":[" CHAT "],\"users\":[" USER "," USER "],\"messages\":[" MESSAGE "],"
		"\"attachments\":[],\"removed\":[\"c9\"],\"more\":true,\"state\":\"s-1\"}");
	struct chat_page p;
	struct json_error e;

	assert_int_equal(convert_chat_page(o, "u1", &p, &e), 0);
	assert_int_equal(p.n_chats, 1);
	assert_int_equal(p.n_users, 2);
	assert_int_equal(p.n_messages, 1);
	assert_true(p.messages[0].outgoing);
	assert_true(p.more);
	assert_string_equal(p.state, "s-1");
	assert_int_equal(p.n_removed, 1);
	assert_string_equal(p.removed[0], "c9");
	chat_page_clear(&p);
	cJSON_Delete(o);
}

static void a_message_page(void **state)
{
	cJSON *o = parse("{\"messages\":[" MESSAGE "," MESSAGE "],\"more\":false}");
	struct message_page p;
	struct json_error e;

	assert_int_equal(convert_message_page(o, "u1", &p, &e), 0);
	assert_int_equal(p.n_messages, 2);
	assert_int_equal(p.n_users, 0);
	assert_false(p.more);
	message_page_clear(&p);
	cJSON_Delete(o);
}

static void an_identity(void **state)
{
	cJSON *o = parse("{\"token\":\"a.b-c_d\",\"expires_at\":5000,\"user\":" USER "}");
	struct service_identity i;
	struct json_error e;

	assert_int_equal(convert_identity(o, &i, &e), 0);
	assert_string_equal(i.token, "a.b-c_d");
	assert_int_equal(i.token_expires_at, 5000);
	assert_string_equal(i.user.name, "Ann");
	service_identity_clear(&i);
	cJSON_Delete(o);
}

#define LONG_ID "0123456789012345678901234567890123456789012345678901234567890123x"

static void what_does_not_fit_is_refused(void **state)
{
	static const struct {
		try_fn fn;
		const char *text;
		const char *named; /* by the error */
	} cases[] = {
		{ try_user, "[]", "object" },
		{ try_user, "null", "object" },
		{ try_user, "{}", "'id'" },
		{ try_user, "{\"id\":\"u1\"}", "'name'" },
		{ try_user, "{\"id\":1,\"name\":\"\"}", "'id'" },
		{ try_user, "{\"id\":\"\",\"name\":\"\"}", "'id'" },
		{ try_user, "{\"id\":\"a b\",\"name\":\"\"}", "'id'" },
		{ try_user, "{\"id\":\"" LONG_ID "\",\"name\":\"\"}", "'id'" },
		{ try_user, "{\"id\":\"u\",\"name\":null}", "'name'" },
		{ try_user, "{\"id\":\"u\",\"name\":{}}", "'name'" },
		{ try_user, "{\"id\":\"u\",\"name\":\"\",\"picture_url\":7}", "'picture_url'" },
		{ try_chat, "{\"id\":\"c\",\"user_id\":\"u\",\"created_at\":1}", "'last_seq'" },
		{ try_chat, "{\"id\":\"c\",\"user_id\":\"u\",\"last_seq\":-1,\"created_at\":1}",
			"'last_seq'" },
		{ try_chat, "{\"id\":\"c\",\"user_id\":\"u\",\"last_seq\":1.5,\"created_at\":1}",
			"'last_seq'" },
		{ try_chat, "{\"id\":\"c\",\"user_id\":\"u\",\"last_seq\":\"1\",\"created_at\":1}",
			"'last_seq'" },
		{ try_chat, "{\"id\":\"c\",\"user_id\":\"u\",\"last_seq\":1e400,\"created_at\":1}",
			"'last_seq'" },
		{ try_chat, "{\"id\":\"c\",\"user_id\":\"u\",\"last_seq\":1,\"created_at\":1e17}",
			"'created_at'" },
		{ try_chat, "{\"id\":\"c\",\"user_id\":\"u\",\"last_seq\":1,\"created_at\":true}",
			"'created_at'" },
		{ try_chat,
			"{\"id\":\"c\",\"user_id\":\"u\",\"last_seq\":1,\"created_at\":1,\"read_"
			"seq\":[]}",
			"'read_seq'" },
		{ try_attachment, "{\"id\":\"a\",\"size\":1}", "'mime'" },
		{ try_attachment, "{\"id\":\"a\",\"mime\":\"\",\"size\":1}", "'mime'" },
		{ try_attachment, "{\"id\":\"a\",\"mime\":\"i/j\"}", "'size'" },
		{ try_attachment, "{\"id\":\"a\",\"mime\":\"i/j\",\"size\":-5}", "'size'" },
		{ try_attachment, "{\"id\":\"a\",\"mime\":\"i/j\",\"size\":1,\"width\":99999999}",
			"'width'" },
		{ try_attachment, "{\"id\":\"a\",\"mime\":\"i/j\",\"size\":1,\"sha256\":\"abc\"}",
			"'sha256'" },
		{ try_attachment,
			"{\"id\":\"a\",\"mime\":\"i/j\",\"size\":1,\"sha256\":"
			"\"0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\"}",
			"'sha256'" },
		{ try_attachment, "{\"id\":\"a\",\"mime\":\"i/j\",\"size\":1,\"url\":1}", "'url'" },
		{ try_message, "{}", "'id'" },
		{ try_message,
			"{\"id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":\"\",\"created_"
			"at\":1}",
			"'seq'" },
		{ try_message,
			"{\"id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":\"\",\"created_"
			"at\":1,"
			"\"seq\":0}",
			"'seq'" },
		{ try_message,
			"{\"id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":null,\"created_"
			"at\":1,"
			"\"seq\":1}",
			"'text'" },
		{ try_message,
			"{\"id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":\"\",\"created_"
			"at\":-1,"
			"\"seq\":1}",
			"'created_at'" },
		{ try_message,
			"{\"id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":\"\",\"created_"
			"at\":1,"
			"\"seq\":1,\"attachments\":[\"a\"]}",
			"'attachments'" },
		{ try_message,
			"{\"id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":\"\",\"created_"
			"at\":1,"
			"\"seq\":1,\"attachments\":\"a,,b\"}",
			"'attachments'" },
		{ try_message,
			"{\"id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":\"\",\"created_"
			"at\":1,"
			"\"seq\":1,\"attachments\":\"a,\"}",
			"'attachments'" },
		{ try_message,
			"{\"id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":\"\",\"created_"
			"at\":1,"
			"\"seq\":1,\"attachments\":\"a, b\"}",
			"'attachments'" },
		{ try_message,
			"{\"id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":\"\",\"created_"
			"at\":1,"
			"\"seq\":1,\"attachments\":\"" LONG_ID "\"}",
			"'attachments'" },
		{ try_chat_page, "{\"more\":false,\"state\":\"s\"}", "'chats'" },
		{ try_chat_page, "{\"chats\":[],\"state\":\"s\"}", "'more'" },
		{ try_chat_page, "{\"chats\":[],\"more\":false}", "'state'" },
		{ try_chat_page, "{\"chats\":[],\"more\":1,\"state\":\"s\"}", "'more'" },
		{ try_chat_page, "{\"chats\":{},\"more\":false,\"state\":\"s\"}", "'chats'" },
		{ try_chat_page, "{\"chats\":[null],\"more\":false,\"state\":\"s\"}", "object" },
		{ try_chat_page, "{\"chats\":[" CHAT ",[]],\"more\":false,\"state\":\"s\"}",
			"object" },
		{ try_chat_page,
			"{\"chats\":[],\"users\":[" USER ",{}],\"more\":false,\"state\":\"s\"}",
			"'id'" },
		{ try_chat_page,
			"{\"chats\":[],\"messages\":[" MESSAGE
			",{}],\"more\":false,\"state\":\"s\"}",
			"'id'" },
		{ try_chat_page,
			"{\"chats\":[],\"attachments\":[" ATTACHMENT
			",7],\"more\":false,\"state\":\"s\"}",
			"object" },
		{ try_chat_page,
			"{\"chats\":[],\"removed\":[\"c1\",7],\"more\":false,\"state\":\"s\"}",
			"'removed'" },
		{ try_chat_page,
			"{\"chats\":[],\"removed\":[\"c 1\"],\"more\":false,\"state\":\"s\"}",
			"'removed'" },
		{ try_message_page, "{\"more\":false}", "'messages'" },
		{ try_message_page, "{\"messages\":[" MESSAGE "]}", "'more'" },
		{ try_message_page, "{\"messages\":[\"m1\"],\"more\":false}", "object" },
		{ try_identity, "{\"user\":" USER "}", "'token'" },
		{ try_identity, "{\"token\":\"t\"}", "'user'" },
		{ try_identity, "{\"token\":\"\",\"user\":" USER "}", "'token'" },
		{ try_identity, "{\"token\":\"a b\",\"user\":" USER "}", "'token'" },
		{ try_identity, "{\"token\":\"a\\r\\nX: y\",\"user\":" USER "}", "'token'" },
		{ try_identity, "{\"token\":\"t\",\"user\":{\"id\":\"u\"}}", "'name'" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cJSON *o = parse(cases[i].text);
		struct json_error e = { "" };
		int r = cases[i].fn(o, &e);

		if (r != -EINVAL || !strstr(e.text, cases[i].named))
			fail_msg("%s: %d, %s", cases[i].text, r, e.text);
		cJSON_Delete(o);
	}
}

static char *repeat(const char *head, const char *part, size_t n, const char *tail)
{
	struct buffer b = { 0 };

	buffer_append(&b, head, strlen(head));
	for (size_t i = 0; i < n; i++)
		buffer_append(&b, part, strlen(part));
	buffer_append(&b, tail, strlen(tail) + 1);
	return (char *)b.data;
}

static void nesting_is_bounded(void **state)
{
	_cleanup_free_ char *deep = repeat("{\"id\":\"u\",\"name\":", "[", 200000, "");
	_cleanup_free_ char *bearable = repeat("{\"id\":\"u\",\"name\":\"\",\"x\":", "[", 500, "");
	_cleanup_free_ char *whole = repeat(bearable, "]", 500, "}");
	cJSON *o = NULL;
	struct json_error e;

	assert_int_equal(json_parse(deep, strlen(deep), &o), -EBADMSG);
	o = parse(whole);
	assert_int_equal(try_user(o, &e), 0);
	cJSON_Delete(o);
}

static void numbers_of_elements_are_bounded(void **state)
{
	_cleanup_free_ char *many = repeat(
		"{\"more\":false,\"messages\":[" MESSAGE, "," MESSAGE, CONVERT_MAX_ELEMENTS, "]}");
	_cleanup_free_ char *ids =
		repeat("{\"id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":\"\","
		       "\"created_at\":1,\"seq\":1,\"attachments\":\"a",
			",a", CONVERT_MAX_ATTACHMENTS * 40, "\"}");
	struct json_error e;
	cJSON *o = parse(many);

	assert_int_equal(try_message_page(o, &e), -EINVAL);
	cJSON_Delete(o);
	o = parse(ids);
	assert_int_equal(try_message(o, &e), -EINVAL);
	cJSON_Delete(o);
}

static void different_ids_are_bounded(void **state)
{
	struct buffer b = { 0 };
	char part[16];
	struct json_error e;
	cJSON *o;

	for (int i = 0; i <= CONVERT_MAX_ATTACHMENTS; i++) {
		snprintf(part, sizeof(part), "%sa%d", i ? "," : "", i);
		buffer_append(&b, part, strlen(part));
	}
	buffer_append(&b, "", 1);
	o = parse(MESSAGE);
	cJSON_SetValuestring(cJSON_GetObjectItem(o, "attachments"), "");
	cJSON_ReplaceItemInObject(o, "attachments", cJSON_CreateString((char *)b.data));
	assert_int_equal(try_message(o, &e), -EINVAL);
	*strrchr((char *)b.data, ',') = '\0';
	cJSON_ReplaceItemInObject(o, "attachments", cJSON_CreateString((char *)b.data));
	assert_int_equal(try_message(o, &e), 0);
	cJSON_Delete(o);
	buffer_clear(&b);
}

static void text_is_bounded(void **state)
{
	_cleanup_free_ char *longest = repeat("", "x", CONVERT_MAX_TEXT, "");
	_cleanup_free_ char *longer = repeat("", "x", CONVERT_MAX_TEXT + 1, "");
	cJSON *o = parse(MESSAGE);
	struct json_error e;

	cJSON_ReplaceItemInObject(o, "text", cJSON_CreateString(longest));
	assert_int_equal(try_message(o, &e), 0);
	cJSON_ReplaceItemInObject(o, "text", cJSON_CreateString(longer));
	assert_int_equal(try_message(o, &e), -EINVAL);
	cJSON_Delete(o);
}

static void a_refused_page_leaves_the_target_alone(void **state)
{
	cJSON *o = parse("{\"messages\":[" MESSAGE ",{}],\"users\":[" USER "],\"more\":true}");
	struct message_page p = { .more = false, .n_messages = 77 };
	struct json_error e;

	assert_int_equal(convert_message_page(o, "u1", &p, &e), -EINVAL);
	assert_int_equal(p.n_messages, 77);
	assert_false(p.more);
	cJSON_Delete(o);
}

static void errors_name_no_values(void **state)
{
	cJSON *o = parse(
		"{\"id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"the secret\",\"text\":\"secret\"}");
	struct json_error e = { "" };

	assert_int_equal(try_message(o, &e), -EINVAL);
	assert_null(strstr(e.text, "secret"));
	cJSON_Delete(o);
}

static void an_outgoing_message(void **state)
{
	struct attachment attachments[] = {
		{ .id = strdup("a1"),
			.mime = strdup("image/jpeg"),
			.url = strdup("/b/a1"),
			.preview_url = strdup("/b/a1/p"),
			.sha256 = strdup("0123"),
			.size = 10,
			.preview_size = 2,
			.width = 4,
			.height = 3 },
		{ .id = strdup("a2"), .mime = strdup("image/png"), .name = strdup("two.png") },
	};
	struct message m = {
		.id = strdup("m1"),
		.chat_id = strdup("c1"),
		.user_id = strdup("u1"),
		.text = strdup("a \"quoted\" text"),
		.created_at = 123456789012,
		.attachments = attachments,
		.n_attachments = 2,
	};
	_cleanup_(cJSON_Deletep) cJSON *o = convert_outgoing(&m);
	_cleanup_free_ char *text = json_print(o);

	assert_string_equal(text,
		"{\"message\":{\"id\":\"m1\",\"chat_id\":\"c1\",\"user_id\":\"u1\","
		"\"text\":\"a \\\"quoted\\\" "
		"text\",\"status\":\"PENDING\",\"created_at\":123456789012,"
		"\"attachments\":\"a1,a2\"},\"attachments\":[{\"id\":\"a1\",\"mime\":\"image/"
		"jpeg\","
		"\"size\":10,\"width\":4,\"height\":3,\"sha256\":\"0123\",\"url\":\"/b/a1\","
		"\"preview_url\":\"/b/a1/p\",\"preview_size\":2},{\"id\":\"a2\",\"mime\":\"image/"
		"png\","
		"\"size\":0,\"width\":0,\"height\":0,\"preview_size\":0,\"name\":\"two.png\"}]}");
	attachment_clear(&attachments[0]);
	attachment_clear(&attachments[1]);
	m.n_attachments = 0;
	m.attachments = NULL;
	message_clear(&m);
}

static void classes_of_problems(void **state)
{
	static const struct {
		int status;
		const char *type;
		enum problem_class class;
	} cases[] = {
		{ 0, NULL, PROBLEM_TRANSIENT },
		{ 301, NULL, PROBLEM_PERMANENT },
		{ 400, NULL, PROBLEM_PERMANENT },
		{ 401, NULL, PROBLEM_UNAUTHORISED },
		{ 403, NULL, PROBLEM_PERMANENT },
		{ 404, NULL, PROBLEM_PERMANENT },
		{ 408, NULL, PROBLEM_TRANSIENT },
		{ 409, NULL, PROBLEM_CONFLICT },
		{ 410, NULL, PROBLEM_PERMANENT },
		{ 413, NULL, PROBLEM_PERMANENT },
		{ 422, NULL, PROBLEM_PERMANENT },
		{ 422, "malformed", PROBLEM_PERMANENT },
		{ 422, "unknown_cursor", PROBLEM_CONFLICT },
		{ 429, NULL, PROBLEM_TRANSIENT },
		{ 500, NULL, PROBLEM_TRANSIENT },
		{ 502, NULL, PROBLEM_TRANSIENT },
		{ 503, NULL, PROBLEM_TRANSIENT },
		{ 504, NULL, PROBLEM_TRANSIENT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(problem_class_of(cases[i].status, cases[i].type), cases[i].class);
}

static void from_answer(int status, const char *body, const char *retry_after, struct problem *ret)
{
	problem_from_answer(status, body, strlen(body), retry_after, NULL, ret);
}

static void problems_in_answers(void **state)
{
	struct problem p;

	from_answer(422,
		"{\"type\":\"urn:chat:unknown_cursor\",\"title\":\"T\",\"status\":400,\"detail\":"
		"\"D\"}",
		NULL, &p);
	assert_int_equal(p.class, PROBLEM_CONFLICT);
	assert_int_equal(p.status, 422);
	assert_string_equal(p.type, "unknown_cursor");
	assert_string_equal(p.title, "T");
	assert_string_equal(p.detail, "D");
	assert_int_equal(p.retry_after_ms, 0);
	problem_clear(&p);

	from_answer(429, "{\"type\":\"https://x.example/problems/slow\",\"retry_after_s\":7}", NULL,
		&p);
	assert_string_equal(p.type, "slow");
	assert_non_null(p.title);
	assert_int_equal(p.retry_after_ms, 7000);
	problem_clear(&p);

	from_answer(503, "{\"retry_after_s\":7}", "2", &p);
	assert_int_equal(p.retry_after_ms, 2000);
	problem_clear(&p);
}

static void hostile_problems(void **state)
{
	static const char *const bodies[] = { "", "<html>", "[]", "7",
		"{\"type\":7,\"title\":{},\"status\":\"x\"}",
		"{\"status\":1e400,\"retry_after_s\":-1}", "{\"title\":null,\"detail\":[]}" };
	_cleanup_free_ char *huge =
		repeat("{\"title\":\"", "x", 100000, "\",\"retry_after_s\":1e300}");
	struct problem p;

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		from_answer(500, bodies[i], NULL, &p);
		assert_int_equal(p.class, PROBLEM_TRANSIENT);
		assert_int_equal(p.status, 500);
		assert_non_null(p.title);
		assert_int_equal(p.retry_after_ms, 0);
		problem_clear(&p);
	}
	from_answer(500, huge, NULL, &p);
	assert_true(strlen(p.title) < 300);
	assert_int_equal(p.retry_after_ms, 86400000);
	problem_clear(&p);
}

static void failures(void **state)
{
	struct problem p;

	problem_from_failure("connection refused", 0, &p);
	assert_int_equal(p.class, PROBLEM_TRANSIENT);
	assert_int_equal(p.status, 0);
	assert_string_equal(p.detail, "connection refused");
	problem_clear(&p);
	problem_from_failure("TLS: expired", 1, &p);
	assert_int_equal(p.class, PROBLEM_TRANSIENT);
	assert_string_equal(p.type, "tls");
	problem_clear(&p);
}

static void retry_after(void **state)
{
	static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";

	assert_int_equal(problem_parse_retry_after(NULL, NULL), 0);
	assert_int_equal(problem_parse_retry_after("", NULL), 0);
	assert_int_equal(problem_parse_retry_after("0", NULL), 0);
	assert_int_equal(problem_parse_retry_after("17", NULL), 17000);
	assert_int_equal(problem_parse_retry_after("-5", NULL), 0);
	assert_int_equal(problem_parse_retry_after("soon", NULL), 0);
	assert_int_equal(problem_parse_retry_after("99999999999999999999", NULL), 86400000);
	assert_int_equal(problem_parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", date), 60000);
	assert_int_equal(problem_parse_retry_after("Sun, 06 Nov 1994 08:48:37 GMT", date), 0);
	assert_int_equal(problem_parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", NULL), 0);
	assert_int_equal(
		problem_parse_retry_after("Fri, 06 Nov 2099 08:50:37 GMT", NULL), 86400000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user),
		cmocka_unit_test(a_chat),
		cmocka_unit_test(an_attachment),
		cmocka_unit_test(a_message),
		cmocka_unit_test(attachments_are_joined),
		cmocka_unit_test(a_chat_page),
		cmocka_unit_test(a_message_page),
		cmocka_unit_test(an_identity),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(numbers_of_elements_are_bounded),
		cmocka_unit_test(different_ids_are_bounded),
		cmocka_unit_test(text_is_bounded),
		cmocka_unit_test(a_refused_page_leaves_the_target_alone),
		cmocka_unit_test(errors_name_no_values),
		cmocka_unit_test(an_outgoing_message),
		cmocka_unit_test(classes_of_problems),
		cmocka_unit_test(problems_in_answers),
		cmocka_unit_test(hostile_problems),
		cmocka_unit_test(failures),
		cmocka_unit_test(retry_after),
	};

	return cmocka_run_group_tests_name("convert", tests, NULL, NULL);
}
