/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the API's JSON to structs: what is there, what is not, what is wrong. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client-server.h"
#include "decode.h"

static struct result *result_from(const char *json)
{
	cJSON *tree = cJSON_Parse(json);
	struct result *r;

	assert_non_null(tree);
	r = result_new(tree);
	assert_non_null(r);
	return r;
}

#define DECODE(decode, json, ret)                      \
	({                                             \
		struct result *_r = result_from(json); \
		void *_value = NULL;                   \
		int _e = decode(_r, &_value);          \
		if (_e < 0) {                          \
			assert_null(_value);           \
			result_unref(_r);              \
		} else {                               \
			*(ret) = _value;               \
		}                                      \
		_e;                                    \
	})

static void message_has_all_its_members(void **state)
{
	struct chat_message *m = NULL;

	assert_int_equal(
		DECODE(decode_message,
			"{\"message_id\":\"m1\",\"chat_id\":\"c1\",\"user_id\":\"bob\","
			"\"text\":\"hé\",\"status\":\"FAILED\",\"outgoing\":true,"
			"\"error\":{\"title\":\"T\",\"detail\":\"D\"},"
			"\"created_at\":1700000000123,\"seq\":9007199254740991,"
			"\"attachments\":[{\"attachment_id\":\"a1\",\"mime\":\"image/png\","
			"\"name\":\"n\",\"width\":3,\"height\":4,\"size\":5000000000,"
			"\"progress\":6,\"status\":\"UPLOADING\",\"preview_ready\":true}],"
			"\"unknown\":[1]}",
			&m),
		0);
	assert_string_equal(m->message_id, "m1");
	assert_string_equal(m->chat_id, "c1");
	assert_string_equal(m->user_id, "bob");
	assert_string_equal(m->text, "hé");
	assert_int_equal(m->status, CHAT_MESSAGE_FAILED);
	assert_true(m->outgoing);
	assert_string_equal(m->error_title, "T");
	assert_string_equal(m->error_detail, "D");
	assert_true(m->created_at_ms == 1700000000123);
	assert_true(m->seq == 9007199254740991);
	assert_int_equal(m->n_attachments, 1);
	assert_string_equal(m->attachments[0]->attachment_id, "a1");
	assert_string_equal(m->attachments[0]->mime, "image/png");
	assert_string_equal(m->attachments[0]->name, "n");
	assert_int_equal(m->attachments[0]->width, 3);
	assert_int_equal(m->attachments[0]->height, 4);
	assert_true(m->attachments[0]->size == 5000000000);
	assert_int_equal(m->attachments[0]->progress, 6);
	assert_int_equal(m->attachments[0]->status, CHAT_ATTACHMENT_UPLOADING);
	assert_true(m->attachments[0]->preview_ready);
	assert_null(m->attachments[0]->message_id);
	assert_null(chat_message_free(m));
}

static void null_and_absent_are_the_same(void **state)
{
	struct chat_message *m = NULL;

	assert_int_equal(DECODE(decode_message,
				 "{\"message_id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\","
				 "\"text\":null,\"error\":null,\"attachments\":null,\"seq\":null}",
				 &m),
		0);
	assert_string_equal(m->text, "");
	assert_null(m->error_title);
	assert_int_equal(m->status, CHAT_MESSAGE_UNKNOWN);
	assert_int_equal(m->n_attachments, 0);
	assert_int_equal(m->seq, 0);
	chat_message_free(m);
}

static void what_is_wrong_is_refused(void **state)
{
	static const char *const wrong[] = {
		"[]",
		"\"m\"",
		"{\"chat_id\":\"c\",\"user_id\":\"u\"}",
		"{\"message_id\":null,\"chat_id\":\"c\",\"user_id\":\"u\"}",
		"{\"message_id\":1,\"chat_id\":\"c\",\"user_id\":\"u\"}",
		"{\"message_id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"text\":[]}",
		"{\"message_id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"outgoing\":\"yes\"}",
		"{\"message_id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"seq\":1e300}",
		"{\"message_id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"status\":3}",
		"{\"message_id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"attachments\":{}}",
		"{\"message_id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\",\"attachments\":[{}]}",
	};
	struct chat_message *m = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(DECODE(decode_message, wrong[i], &m), -EBADMSG);
	assert_null(m);
}

static void unknown_names_are_unknown_values(void **state)
{
	struct chat_message *m = NULL;

	assert_int_equal(DECODE(decode_message,
				 "{\"message_id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\","
				 "\"status\":\"SHREDDED\"}",
				 &m),
		0);
	assert_int_equal(m->status, CHAT_MESSAGE_UNKNOWN);
	chat_message_free(m);
	assert_string_equal(chat_message_status_to_string(CHAT_MESSAGE_READ), "READ");
	assert_string_equal(chat_message_status_to_string((enum chat_message_status)77), "UNKNOWN");
	assert_string_equal(chat_attachment_status_to_string(CHAT_ATTACHMENT_WAITING), "WAITING");
	assert_string_equal(
		chat_connection_state_to_string(CHAT_CONNECTION_CATCHING_UP), "CATCHING_UP");
}

static void an_element_outlives_its_list(void **state)
{
	struct chat_message_list *list = NULL;
	struct chat_message *kept;
	struct chat_attachment *photo;
	char *json;

	assert_int_equal(
		DECODE(decode_message_list,
			"{\"messages\":[{\"message_id\":\"m1\",\"chat_id\":\"c\",\"user_id\":"
			"\"u\"},{\"message_id\":\"m2\",\"chat_id\":\"c\",\"user_id\":\"u\","
			"\"attachments\":[{\"attachment_id\":\"a\",\"later\":true}]}],"
			"\"more\":true,\"as_of\":12}",
			&list),
		0);
	assert_int_equal(list->n_messages, 2);
	assert_true(list->more);
	assert_int_equal(list->as_of, 12);
	kept = chat_message_ref(list->messages[1]);
	photo = chat_attachment_ref(kept->attachments[0]);
	chat_message_list_free(list);
	assert_string_equal(kept->message_id, "m2");
	chat_message_free(kept);
	json = chat_attachment_to_json(photo);
	assert_string_equal(json, "{\"attachment_id\":\"a\",\"later\":true}");
	free(json);
	chat_attachment_free(photo);
}

static void chats_and_their_cursor(void **state)
{
	struct chat_info_list *list = NULL;

	assert_int_equal(
		DECODE(decode_info_list,
			"{\"chats\":[{\"chat_id\":\"c\",\"user_id\":\"u\",\"username\":\"N\","
			"\"last_username\":\"L\",\"last_user_profile_url\":\"http://p\","
			"\"last_message_text\":\"t\",\"last_message_timestamp\":5,"
			"\"last_message_status\":\"SENT\",\"unread_count\":7}],"
			"\"cursor\":\"next\",\"as_of\":3}",
			&list),
		0);
	assert_string_equal(list->cursor, "next");
	assert_string_equal(list->chats[0]->username, "N");
	assert_string_equal(list->chats[0]->last_username, "L");
	assert_string_equal(list->chats[0]->last_user_profile_url, "http://p");
	assert_string_equal(list->chats[0]->last_message_text, "t");
	assert_int_equal(list->chats[0]->last_message_timestamp_ms, 5);
	assert_int_equal(list->chats[0]->last_message_status, CHAT_MESSAGE_SENT);
	assert_int_equal(list->chats[0]->unread_count, 7);
	chat_info_list_free(list);
	assert_int_equal(DECODE(decode_info_list, "{\"chats\":[],\"cursor\":null}", &list), 0);
	assert_null(list->cursor);
	assert_int_equal(list->n_chats, 0);
	chat_info_list_free(list);
}

#define FOUND                                                                                  \
	"{\"message\":{\"message_id\":\"m\",\"chat_id\":\"c\",\"user_id\":\"u\"},\"snippet\":" \
	"[{\"text\":\"the \",\"match\":false},{\"text\":\"disk\",\"match\":true}]}"

static void what_was_found_has_its_snippet(void **state)
{
	struct chat_search_list *l = NULL;
	struct chat_search_result *first;
	struct chat_message *message;
	char *json;

	assert_int_equal(
		DECODE(decode_search_list, "{\"results\":[" FOUND "],\"cursor\":\"9\"}", &l), 0);
	assert_int_equal(l->n_results, 1);
	assert_string_equal(l->cursor, "9");
	first = chat_search_result_ref(l->results[0]);
	assert_null(chat_search_list_free(l));
	assert_int_equal(first->n_pieces, 2);
	assert_string_equal(first->pieces[0]->text, "the ");
	assert_false(first->pieces[0]->match);
	assert_string_equal(first->pieces[1]->text, "disk");
	assert_true(first->pieces[1]->match);
	json = chat_search_result_to_json(first);
	assert_string_equal(json, FOUND);
	free(json);
	message = chat_message_ref(first->message);
	assert_null(chat_search_result_free(first));
	assert_string_equal(message->message_id, "m");
	chat_message_free(message);

	assert_int_equal(DECODE(decode_search_list, "{\"results\":[],\"cursor\":null}", &l), 0);
	assert_int_equal(l->n_results, 0);
	assert_null(l->cursor);
	chat_search_list_free(l);
	assert_int_equal(DECODE(decode_search_list, "{\"results\":[{}]}", &l), -EBADMSG);
	assert_int_equal(
		DECODE(decode_search_list,
			"{\"results\":[{\"message\":{\"message_id\":\"m\",\"chat_id\":\"c\","
			"\"user_id\":\"u\"},\"snippet\":[{\"match\":true}]}]}",
			&l),
		-EBADMSG);
}

static void status_is_gathered_from_its_objects(void **state)
{
	struct chat_status *s = NULL;

	assert_int_equal(
		DECODE(decode_status,
			"{\"account\":{\"name\":\"n\",\"server\":\"s\",\"user_id\":\"u\","
			"\"user_name\":\"U\",\"signed_in\":true},\"connection\":{\"state\":"
			"\"BACKOFF\",\"since\":1,\"next_attempt_at\":2,\"last_error\":\"e\"},"
			"\"unread\":3,\"outbox\":{\"pending\":4,\"failed\":5},\"transfers\":"
			"{\"active\":6,\"waiting\":7},\"storage\":{\"state\":\"ok\","
			"\"bytes\":8},\"key_source\":\"file\",\"versions\":{\"daemon\":"
			"\"0.1.0\",\"api\":\"1.0\"}}",
			&s),
		0);
	assert_string_equal(s->account_name, "n");
	assert_string_equal(s->server, "s");
	assert_string_equal(s->user_id, "u");
	assert_string_equal(s->user_name, "U");
	assert_true(s->signed_in);
	assert_int_equal(s->connection->state, CHAT_CONNECTION_BACKOFF);
	assert_int_equal(s->connection->since_ms, 1);
	assert_int_equal(s->connection->next_attempt_at_ms, 2);
	assert_string_equal(s->connection->last_error, "e");
	assert_int_equal(s->unread, 3);
	assert_int_equal(s->outbox_pending, 4);
	assert_int_equal(s->outbox_failed, 5);
	assert_int_equal(s->transfers_active, 6);
	assert_int_equal(s->transfers_waiting, 7);
	assert_string_equal(s->storage_state, "ok");
	assert_int_equal(s->storage_bytes, 8);
	assert_string_equal(s->key_source, "file");
	assert_string_equal(s->daemon_version, "0.1.0");
	assert_string_equal(s->api_version, "1.0");
	assert_null(s->locked_reason);
	chat_status_free(s);
	assert_int_equal(DECODE(decode_status,
				 "{\"connection\":{\"state\":\"LOCKED\"},\"locked\":"
				 "{\"reason\":\"asked\",\"detail\":\"d\"},"
				 "\"push\":{\"state\":\"ready\",\"distributor\":\"ntfy\"},"
				 "\"storage\":{\"put_aside\":\"media.db.1\",\"salvaged\":"
				 "{\"put_aside\":\"chat.db.1\",\"chats\":1,\"messages\":5,"
				 "\"unsent\":2,\"unsent_lost\":3}}}",
				 &s),
		0);
	assert_string_equal(s->locked_reason, "asked");
	assert_string_equal(s->locked_detail, "d");
	assert_string_equal(s->storage_put_aside, "media.db.1");
	assert_string_equal(s->push_state, "ready");
	assert_string_equal(s->push_distributor, "ntfy");
	assert_string_equal(s->storage_salvaged, "chat.db.1");
	assert_int_equal(s->storage_salvaged_messages, 5);
	assert_int_equal(s->storage_salvaged_unsent, 2);
	assert_int_equal(s->storage_unsent_lost, 3);
	chat_status_free(s);
	assert_int_equal(DECODE(decode_status, "{\"unread\":1}", &s), -EBADMSG);
}

static void changes_carry_what_their_topic_says(void **state)
{
	struct chat_change *c = NULL;
	char *json;

	assert_int_equal(
		DECODE(decode_change,
			"{\"seq\":8,\"topic\":\"attachment.updated\",\"data\":"
			"{\"attachment_id\":\"a\",\"message_id\":\"m\",\"chat_id\":\"c\"}}",
			&c),
		0);
	assert_string_equal(c->attachment->message_id, "m");
	assert_string_equal(c->attachment_id, "a");
	assert_string_equal(c->chat_id, "c");
	assert_null(c->message);
	chat_change_free(c);

	assert_int_equal(
		DECODE(decode_change,
			"{\"seq\":9,\"topic\":\"message.removed\",\"data\":{\"message_id\":"
			"\"m\",\"chat_id\":\"c\"}}",
			&c),
		0);
	assert_string_equal(c->message_id, "m");
	assert_null(c->message);
	json = chat_change_to_json(c);
	assert_string_equal(json,
		"{\"seq\":9,\"topic\":\"message.removed\",\"data\":{\"message_id\":\"m\","
		"\"chat_id\":\"c\"}}");
	free(json);
	chat_change_free(c);

	assert_int_equal(DECODE(decode_change,
				 "{\"topic\":\"connection\",\"data\":{\"state\":\"LIVE\"}}", &c),
		0);
	assert_int_equal(c->connection->state, CHAT_CONNECTION_LIVE);
	assert_int_equal(c->seq, 0);
	assert_null(c->attachment_id);
	chat_change_free(c);

	assert_int_equal(DECODE(decode_change,
				 "{\"topic\":\"chat.open\",\"data\":{\"chat_id\":\"c\","
				 "\"message_id\":null,\"activation_token\":\"t\"}}",
				 &c),
		0);
	assert_string_equal(c->chat_id, "c");
	assert_string_equal(c->activation_token, "t");
	chat_change_free(c);
}

static void a_change_of_a_new_kind_is_told_untyped(void **state)
{
	struct chat_change *c = NULL;

	assert_int_equal(
		DECODE(decode_change, "{\"seq\":1,\"topic\":\"star.added\",\"data\":{}}", &c), 0);
	assert_string_equal(c->topic, "star.added");
	chat_change_free(c);
	assert_int_equal(
		DECODE(decode_change, "{\"seq\":1,\"topic\":\"chat.updated\",\"data\":7}", &c), 0);
	assert_null(c->chat);
	chat_change_free(c);
	assert_int_equal(DECODE(decode_change, "{\"seq\":1,\"data\":{}}", &c), -EBADMSG);
}

static void a_file_needs_its_descriptor(void **state)
{
	struct chat_file *f = NULL;

	assert_int_equal(DECODE(decode_file, "{\"size\":1,\"fd\":0}", &f), -EBADMSG);
	assert_int_equal(DECODE(decode_file, "{\"size\":1,\"fd\":-1}", &f), -EBADMSG);
	assert_int_equal(DECODE(decode_file, "{\"size\":1}", &f), -EBADMSG);
	assert_null(f);
}

static void freeing_nothing_is_fine(void **state)
{
	assert_null(chat_message_free(NULL));
	assert_null(chat_message_list_free(NULL));
	assert_null(chat_info_free(NULL));
	assert_null(chat_info_list_free(NULL));
	assert_null(chat_attachment_free(NULL));
	assert_null(chat_search_result_free(NULL));
	assert_null(chat_search_list_free(NULL));
	assert_null(chat_connection_free(NULL));
	assert_null(chat_status_free(NULL));
	assert_null(chat_account_free(NULL));
	assert_null(chat_file_free(NULL));
	assert_null(chat_reply_free(NULL));
	assert_null(chat_change_free(NULL));
	assert_null(chat_client_free(NULL));
}

static void utf8_is_checked(void **state)
{
	static const char *const good[] = { "", "a", "é", "€", "😀", "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80", "\xc3", "\xc0\x80", "\xed\xa0\x80",
		"\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xff", "a\xe2\x82" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(utf8_is_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(utf8_is_valid(bad[i], strlen(bad[i])));
	assert_int_equal(utf8_truncated_length("aé", 2), 1);
	assert_int_equal(utf8_truncated_length("aé", 3), 3);
}

static void ids_are_version_7_and_differ(void **state)
{
	char a[UUID_STRING_SIZE], b[UUID_STRING_SIZE];

	assert_int_equal(uuid7_generate(a), 0);
	assert_int_equal(uuid7_generate(b), 0);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(a[14], '7');
	assert_non_null(strchr("89ab", a[19]));
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_has_all_its_members),
		cmocka_unit_test(null_and_absent_are_the_same),
		cmocka_unit_test(what_is_wrong_is_refused),
		cmocka_unit_test(unknown_names_are_unknown_values),
		cmocka_unit_test(an_element_outlives_its_list),
		cmocka_unit_test(chats_and_their_cursor),
		cmocka_unit_test(what_was_found_has_its_snippet),
		cmocka_unit_test(status_is_gathered_from_its_objects),
		cmocka_unit_test(changes_carry_what_their_topic_says),
		cmocka_unit_test(a_change_of_a_new_kind_is_told_untyped),
		cmocka_unit_test(a_file_needs_its_descriptor),
		cmocka_unit_test(freeing_nothing_is_fine),
		cmocka_unit_test(utf8_is_checked),
		cmocka_unit_test(ids_are_version_7_and_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
