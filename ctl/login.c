/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/secret.h"
#include "ctl/text.h"

static bool get_password(const char *user, char *password, size_t size)
{
	_cleanup_free_ char *clean = text_clean(user, false);
	_cleanup_free_ char *prompt = NULL;

	if (asprintf(&prompt, "Password of %s: ", clean) < 0)
		prompt = NULL;
	return secret_read(must(prompt), password, size);
}

static void print_account(const struct chat_account *account, const char *server)
{
	_cleanup_free_ char *name =
		text_clean(account->user_name ? account->user_name : account->user_id, false);
	_cleanup_free_ char *id = text_clean(account->user_id, false);

	printf("Signed in at %s as %s (@%s).\n", server, name, id);
}

int verb_login(struct ctl *ctl, int argc, char **argv)
{
	struct chat_account *account;
	char password[SECRET_MAX];
	int r;

	if (!get_password(argv[1], password, sizeof(password))) {
		explicit_bzero(password, sizeof(password));
		return ctl_say(ctl, CTL_ERROR, "no password was given");
	}
	if (ctl->options.timeout_ms >= 0)
		chat_client_set_timeout(ctl->client, (int)ctl->options.timeout_ms);
	r = chat_client_login(ctl->client, argv[0], argv[1], password, &account);
	explicit_bzero(password, sizeof(password));
	if (r < 0)
		return ctl_fail(ctl);
	if (ctl_is_json(ctl))
		ctl_print_json(ctl, chat_account_to_json(account));
	else
		print_account(account, argv[0]);
	chat_account_free(account);
	return CTL_OK;
}
