/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The account's key: locked and unlocked, moved, and a way back in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/secret.h"

/* What there is to be told of what has no result: an empty object where JSON is wanted. */
static int done(const struct ctl *ctl, int r)
{
	if (r < 0)
		return ctl_fail(ctl);
	if (ctl_is_json(ctl))
		ctl_print_json(ctl, strdup("{}"));
	return CTL_OK;
}

static int call(struct ctl *ctl, const char *method, const char *name, const char *value)
{
	struct chat_reply *reply;
	int r = ctl_call_text(ctl, method, name, value, &reply);

	if (r != CTL_OK)
		return r;
	chat_reply_free(reply);
	return done(ctl, 0);
}

static bool wants_passphrase(struct ctl *ctl)
{
	struct chat_status *status;
	bool wants;

	if (chat_client_get_status(ctl->client, &status) < 0)
		return false;
	wants = status->locked_reason && strcmp(status->locked_reason, "passphrase") == 0;
	chat_status_free(status);
	return wants;
}

static int unlock_with(struct ctl *ctl, const char *prompt, bool is_recovery_key)
{
	char secret[SECRET_MAX];
	int r;

	if (secret_read(prompt, secret, sizeof(secret)))
		r = done(ctl,
			chat_client_unlock(ctl->client, is_recovery_key ? NULL : secret,
				is_recovery_key ? secret : NULL));
	else
		r = ctl_say(ctl, CTL_ERROR, "nothing was given");
	explicit_bzero(secret, sizeof(secret));
	return r;
}

int verb_unlock(struct ctl *ctl, int argc, char **argv)
{
	bool asks_for_passphrase = wants_passphrase(ctl);

	/* Deriving a key takes its time, and so does a person at the keyring's window. */
	chat_client_set_timeout(
		ctl->client, ctl->options.timeout_ms >= 0 ? (int)ctl->options.timeout_ms : 120000);
	if (ctl->options.recovery)
		return unlock_with(ctl, "Recovery key: ", true);
	if (asks_for_passphrase)
		return unlock_with(ctl, "Passphrase: ", false);
	return done(ctl, chat_client_unlock(ctl->client, NULL, NULL));
}

int verb_lock(struct ctl *ctl, int argc, char **argv)
{
	return done(ctl, chat_client_lock(ctl->client));
}

static int read_new_passphrase(const struct ctl *ctl, char *passphrase, size_t size)
{
	char again[SECRET_MAX];
	int r = CTL_OK;

	if (!secret_read("New passphrase: ", passphrase, size) || !*passphrase)
		return ctl_say(ctl, CTL_ERROR, "no passphrase was given");
	if (!secret_is_asked())
		return CTL_OK;
	if (!secret_read("The same again: ", again, sizeof(again)) ||
		strcmp(again, passphrase) != 0)
		r = ctl_say(ctl, CTL_ERROR, "the two are not the same; nothing was changed");
	explicit_bzero(again, sizeof(again));
	return r;
}

int verb_passphrase(struct ctl *ctl, int argc, char **argv)
{
	char passphrase[SECRET_MAX];
	int r = read_new_passphrase(ctl, passphrase, sizeof(passphrase));

	if (r == CTL_OK)
		r = call(ctl, "account.set_passphrase", "passphrase", passphrase);
	explicit_bzero(passphrase, sizeof(passphrase));
	return r;
}

int verb_key_move(struct ctl *ctl, int argc, char **argv)
{
	if (strcmp(argv[0], "passphrase") == 0)
		return verb_passphrase(ctl, 0, argv);
	return call(ctl, "account.set_key_source", "source", argv[0]);
}

int verb_key_recovery(struct ctl *ctl, int argc, char **argv)
{
	struct chat_reply *reply;
	cJSON *result;
	int r = ctl_call_text(ctl, "account.make_recovery_key", NULL, NULL, &reply);

	if (r != CTL_OK)
		return r;
	if (ctl_is_json(ctl)) {
		ctl_print_json(ctl, strdup(reply->result_json));
	} else {
		result = must(cJSON_Parse(reply->result_json));
		printf("%s\n", cJSON_GetStringValue(cJSON_GetObjectItem(result, "recovery_key")));
		cJSON_Delete(result);
	}
	chat_reply_free(reply);
	return CTL_OK;
}
