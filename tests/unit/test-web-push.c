/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "net/web-push.h"
#include "tests/backend/web-push.h"

/* RFC 8291, section 5 and appendix A. */
#define RFC_TEXT "When I grow up, I want to be a watermelon"
#define RFC_PRIVATE "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
#define RFC_PUBLIC \
	"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
#define RFC_AUTH "BTBZMqHH6r4Tts7J_aSIgg"
#define RFC_SALT "DGv6ra1nlYgDCS1FRnbzlw"
#define RFC_SENDER "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
#define RFC_MESSAGE                                                                                \
	"DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmY" \
	"WAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexS" \
	"gSxsj_Qulcy4a-fN"

static size_t from_text(const char *text, uint8_t *ret, size_t size)
{
	size_t n;

	assert_int_equal(sodium_base642bin(ret, size, text, strlen(text), NULL, &n, NULL,
				 sodium_base64_VARIANT_URLSAFE_NO_PADDING),
		0);
	return n;
}

static struct web_push_keys rfc_keys(void)
{
	struct web_push_keys k;

	assert_int_equal(from_text(RFC_PRIVATE, k.private_key, sizeof(k.private_key)), 32);
	assert_int_equal(from_text(RFC_PUBLIC, k.public_key, sizeof(k.public_key)), 65);
	assert_int_equal(from_text(RFC_AUTH, k.auth, sizeof(k.auth)), 16);
	return k;
}

/* What comes of a message for these keys: its size, or a negative errno. */
static int open_it(
	const struct web_push_keys *k, const uint8_t *data, size_t size, uint8_t ret[WEB_PUSH_MAX])
{
	/* Of just its size, so that what reads beyond is noticed. */
	_cleanup_free_ uint8_t *exact = malloc(size ? size : 1);
	size_t n = 12345;
	int r;

	memcpy(exact, data, size);
	r = web_push_decrypt(k, exact, size, ret, &n);
	if (r < 0)
		assert_int_equal(n, 12345);
	return r < 0 ? r : (int)n;
}

static void opens_the_message_of_the_rfc(void **state)
{
	struct web_push_keys k = rfc_keys();
	uint8_t message[256], text[WEB_PUSH_MAX];
	size_t size = from_text(RFC_MESSAGE, message, sizeof(message));

	assert_int_equal(size, 144);
	assert_int_equal(open_it(&k, message, size, text), strlen(RFC_TEXT));
	assert_memory_equal(text, RFC_TEXT, strlen(RFC_TEXT));
}

static void the_backend_seals_the_message_of_the_rfc(void **state)
{
	struct web_push_keys k = rfc_keys();
	struct web_push_once once;
	uint8_t wanted[256], made[256];
	size_t size = from_text(RFC_MESSAGE, wanted, sizeof(wanted));

	from_text(RFC_SENDER, once.scalar, sizeof(once.scalar));
	from_text(RFC_SALT, once.salt, sizeof(once.salt));
	assert_int_equal(web_push_seal(k.public_key, k.auth, &once, RFC_TEXT "\2",
				 strlen(RFC_TEXT) + 1, made),
		0);
	assert_memory_equal(made, wanted, size);
}

static void no_byte_of_it_may_be_another(void **state)
{
	struct web_push_keys k = rfc_keys();
	uint8_t message[256], text[WEB_PUSH_MAX];
	size_t size = from_text(RFC_MESSAGE, message, sizeof(message));

	for (size_t i = 0; i < size; i++) {
		/* The size of a record may be any that holds this one. */
		if (i >= 16 && i < 20)
			continue;
		message[i] ^= 1;
		assert_int_equal(open_it(&k, message, size, text), -EBADMSG);
		message[i] ^= 1;
	}
}

static void no_byte_of_it_may_be_missing(void **state)
{
	struct web_push_keys k = rfc_keys();
	uint8_t message[256] = { 0 }, text[WEB_PUSH_MAX];
	size_t size = from_text(RFC_MESSAGE, message, sizeof(message));

	for (size_t n = 0; n < size; n++)
		assert_int_equal(open_it(&k, message, n, text), -EBADMSG);
	assert_int_equal(open_it(&k, message, size + 1, text), -EBADMSG);
}

static void a_record_is_as_large_as_it_says(void **state)
{
	struct web_push_keys k = rfc_keys();
	uint8_t message[256], text[WEB_PUSH_MAX];
	size_t size = from_text(RFC_MESSAGE, message, sizeof(message));

	message[18] = 0;
	message[19] = (uint8_t)(size - 86);
	assert_int_equal(open_it(&k, message, size, text), strlen(RFC_TEXT));
	message[19]--;
	assert_int_equal(open_it(&k, message, size, text), -EBADMSG);
}

/* What is sealed for new keys, opened by `k`. */
static int seal_and_open(const struct web_push_keys *to, const struct web_push_keys *k,
	const void *data, size_t size, uint8_t ret[WEB_PUSH_MAX])
{
	_cleanup_free_ uint8_t *message = malloc(WEB_PUSH_HEADER + size + 16);

	assert_int_equal(web_push_seal(to->public_key, to->auth, NULL, data, size, message), 0);
	return open_it(k, message, WEB_PUSH_HEADER + size + 16, ret);
}

static void new_keys_are_new_and_work(void **state)
{
	uint8_t text[WEB_PUSH_MAX];

	for (int i = 0; i < 50; i++) {
		struct web_push_keys one, other;

		assert_int_equal(web_push_keys_generate(&one), 0);
		assert_int_equal(web_push_keys_generate(&other), 0);
		assert_memory_not_equal(&one, &other, sizeof(one));
		assert_int_equal(seal_and_open(&one, &one, "hi\2", 3, text), 2);
		assert_memory_equal(text, "hi", 2);
		assert_int_equal(seal_and_open(&one, &other, "hi\2", 3, text), -EBADMSG);
		memcpy(other.auth, one.auth, sizeof(other.auth));
		assert_int_equal(seal_and_open(&one, &other, "hi\2", 3, text), -EBADMSG);
	}
}

static void padding_is_taken_off(void **state)
{
	struct web_push_keys k = rfc_keys();
	uint8_t text[WEB_PUSH_MAX];

	assert_int_equal(seal_and_open(&k, &k, "hi\2\0\0\0\0", 7, text), 2);
	assert_int_equal(seal_and_open(&k, &k, "\2", 1, text), 0);
	assert_int_equal(seal_and_open(&k, &k, "a\0b\2\2\0", 6, text), 4);
	assert_memory_equal(text, "a\0b\2", 4);
}

/* Well encrypted, and wrong: no delimiter, or that of a record with others after it. */
static void without_its_end_it_is_none(void **state)
{
	struct web_push_keys k = rfc_keys();
	uint8_t text[WEB_PUSH_MAX];

	assert_int_equal(seal_and_open(&k, &k, "hi", 2, text), -EBADMSG);
	assert_int_equal(seal_and_open(&k, &k, "hi\1", 3, text), -EBADMSG);
	assert_int_equal(seal_and_open(&k, &k, "\0\0\0", 3, text), -EBADMSG);
}

static void the_longest_is_4096_bytes(void **state)
{
	struct web_push_keys k = rfc_keys();
	uint8_t data[WEB_PUSH_MAX], text[WEB_PUSH_MAX];
	size_t most = WEB_PUSH_MAX - WEB_PUSH_HEADER - 16;

	memset(data, 'x', sizeof(data));
	data[most - 1] = 2;
	assert_int_equal(seal_and_open(&k, &k, data, most, text), most - 1);
	assert_memory_equal(text, data, most - 1);
	assert_int_equal(seal_and_open(&k, &k, data, most + 1, text), -EMSGSIZE);
}

static void a_point_off_the_curve_is_refused(void **state)
{
	struct web_push_keys k = rfc_keys();
	uint8_t message[256], text[WEB_PUSH_MAX];
	size_t size = from_text(RFC_MESSAGE, message, sizeof(message));

	memset(message + 22, 0xff, 64);
	assert_int_equal(open_it(&k, message, size, text), -EBADMSG);
	memset(message + 22, 0, 64);
	assert_int_equal(open_it(&k, message, size, text), -EBADMSG);
	/* The others' compressed form is another size; of this one only the first byte says so. */
	size = from_text(RFC_MESSAGE, message, sizeof(message));
	message[21] = 2;
	assert_int_equal(open_it(&k, message, size, text), -EBADMSG);
}

static void keys_that_are_none_open_nothing(void **state)
{
	struct web_push_keys k = rfc_keys();
	uint8_t message[256], text[WEB_PUSH_MAX];
	size_t size = from_text(RFC_MESSAGE, message, sizeof(message));

	memset(k.public_key + 1, 0xff, 64);
	assert_int_equal(open_it(&k, message, size, text), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_the_message_of_the_rfc),
		cmocka_unit_test(the_backend_seals_the_message_of_the_rfc),
		cmocka_unit_test(no_byte_of_it_may_be_another),
		cmocka_unit_test(no_byte_of_it_may_be_missing),
		cmocka_unit_test(a_record_is_as_large_as_it_says),
		cmocka_unit_test(new_keys_are_new_and_work),
		cmocka_unit_test(padding_is_taken_off),
		cmocka_unit_test(without_its_end_it_is_none),
		cmocka_unit_test(the_longest_is_4096_bytes),
		cmocka_unit_test(a_point_off_the_curve_is_refused),
		cmocka_unit_test(keys_that_are_none_open_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
