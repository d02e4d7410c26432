/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A push as it reaches the device. By the first byte the rest is what came, or what somebody who
 * has the keys has sealed.
 */
#include "fuzz.h"

#include <sodium.h>
#include <string.h>

#include "service/native/native-private.h"
#include "tests/backend/web-push.h"

#define TEXT_MAX 3900

/* RFC 8291, appendix A. */
static const struct push_keys keys = {
	.private_key = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94",
	.p256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkN"
		  "toIAiw4",
	.auth = "BTBZMqHH6r4Tts7J_aSIgg",
};

static void open_it(const uint8_t *data, size_t size)
{
	struct push_content c = { 0 };

	if (native_push.open(&keys, data, size, &c) == 0)
		push_content_clear(&c);
}

static void seal_and_open(const uint8_t *data, size_t size)
{
	static const struct web_push_once once = { .scalar = { 1 }, .salt = { 1 } };
	uint8_t text[TEXT_MAX + 1], message[sizeof(text) + WEB_PUSH_OVERHEAD];
	uint8_t point[WEB_PUSH_POINT], auth[16];

	if (size > TEXT_MAX ||
		sodium_base642bin(point, sizeof(point), keys.p256dh, strlen(keys.p256dh), NULL,
			NULL, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
		sodium_base642bin(auth, sizeof(auth), keys.auth, strlen(keys.auth), NULL, NULL,
			NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return;
	memcpy(text, data, size);
	text[size] = 2;
	if (web_push_seal(point, auth, &once, text, size + 1, message) == 0)
		open_it(message, WEB_PUSH_HEADER + size + 1 + 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] == 's')
		seal_and_open(data + 1, size - 1);
	else if (size > 0)
		open_it(data + 1, size - 1);
	return 0;
}
