/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How results and errors leave chatctl, for people and for scripts. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/text.h"

void *must(void *allocated)
{
	if (!allocated) {
		fputs("chatctl: out of memory\n", stderr);
		exit(CTL_ERROR);
	}
	return allocated;
}

bool ctl_is_json(const struct ctl *ctl)
{
	return ctl->options.output != OUTPUT_HUMAN;
}

void ctl_print_json(const struct ctl *ctl, char *json)
{
	must(json);
	if (ctl->options.output == OUTPUT_PRETTY) {
		cJSON *tree = must(cJSON_Parse(json));

		cJSON_free(json);
		json = must(cJSON_Print(tree));
		cJSON_Delete(tree);
	}
	puts(json);
	cJSON_free(json);
	fflush(stdout); /* a script reads along */
}

static enum ctl_exit exit_code(int code)
{
	switch (code) {
	case CHAT_CLIENT_ERROR_NOT_RUNNING:
		return CTL_NOT_RUNNING;
	case CHAT_CLIENT_ERROR_LOCKED:
	case CHAT_CLIENT_ERROR_LOGIN_REQUIRED:
		return CTL_LOCKED;
	case CHAT_CLIENT_ERROR_OFFLINE:
		return CTL_OFFLINE;
	case CHAT_CLIENT_ERROR_NOT_FOUND:
		return CTL_NOT_FOUND;
	case CHAT_CLIENT_ERROR_TIMED_OUT:
		return CTL_TIMED_OUT;
	case CHAT_CLIENT_ERROR_METHOD_NOT_FOUND:
	case CHAT_CLIENT_ERROR_INVALID_PARAMS:
		return CTL_USAGE;
	}
	return CTL_ERROR;
}

static void say_json(const struct chat_error *e)
{
	cJSON *root = must(cJSON_CreateObject());
	cJSON *error = must(cJSON_AddObjectToObject(root, "error"));
	char *line;

	must(cJSON_AddNumberToObject(error, "code", e->code));
	must(cJSON_AddStringToObject(error, "kind", e->kind));
	must(cJSON_AddBoolToObject(error, "retryable", e->retryable));
	if (e->retry_after_ms >= 0)
		must(cJSON_AddNumberToObject(error, "retry_after_ms", (double)e->retry_after_ms));
	must(cJSON_AddStringToObject(error, "detail", e->detail));
	line = must(cJSON_PrintUnformatted(root));
	fprintf(stderr, "%s\n", line);
	cJSON_free(line);
	cJSON_Delete(root);
}

static void say_not_running(const struct ctl *ctl)
{
	const char *account = ctl->options.account;

	if (ctl->options.socket)
		fprintf(stderr, "chatctl: chatd is not running on %s\n", ctl->options.socket);
	else if (account && strcmp(account, "default") != 0)
		fprintf(stderr,
			"chatctl: chatd is not running for account %s; start it with 'systemctl "
			"--user start chatd@%s.socket'\n",
			account, account);
	else
		fputs("chatctl: chatd is not running; start it with 'systemctl --user start "
		      "chatd.socket'\n",
			stderr);
}

static void say_text(const struct ctl *ctl, const struct chat_error *e)
{
	_cleanup_free_ char *detail = text_clean(e->detail, false);

	if (e->code == CHAT_CLIENT_ERROR_NOT_RUNNING)
		say_not_running(ctl);
	else if (e->code == CHAT_CLIENT_ERROR_LOGIN_REQUIRED)
		fprintf(stderr, "chatctl: not signed in (%s); use 'chatctl login SERVER USER'\n",
			detail);
	else if (e->code == CHAT_CLIENT_ERROR_LOCKED)
		fprintf(stderr, "chatctl: locked: %s\n", detail);
	else if (e->code == CHAT_CLIENT_ERROR_OFFLINE)
		fprintf(stderr, "chatctl: offline: %s\n", detail);
	else
		fprintf(stderr, "chatctl: %s\n", *detail ? detail : e->kind);
}

int ctl_fail_with(const struct ctl *ctl, const struct chat_error *error)
{
	fflush(stdout);
	if (ctl->quiet)
		return (int)exit_code(error->code);
	if (ctl_is_json(ctl))
		say_json(error);
	else
		say_text(ctl, error);
	return (int)exit_code(error->code);
}

int ctl_fail(const struct ctl *ctl)
{
	return ctl_fail_with(ctl, chat_client_get_error(ctl->client));
}

/* The API's name for what chatctl itself finds wrong. */
static struct chat_error own_error(enum ctl_exit code, const char *detail)
{
	struct chat_error e = { .code = CHAT_CLIENT_ERROR_SYSTEM, .kind = "system" };

	e.retry_after_ms = -1;
	e.detail = detail;
	switch (code) {
	case CTL_USAGE:
		e.code = CHAT_CLIENT_ERROR_INVALID;
		e.kind = "invalid";
		break;
	case CTL_NOT_FOUND:
		e.code = CHAT_CLIENT_ERROR_NOT_FOUND;
		e.kind = "not_found";
		break;
	case CTL_SEND_FAILED:
		e.kind = "failed";
		break;
	case CTL_TIMED_OUT:
		e.code = CHAT_CLIENT_ERROR_TIMED_OUT;
		e.kind = "timed_out";
		break;
	case CTL_OK:
	case CTL_ERROR:
	case CTL_NOT_RUNNING:
	case CTL_LOCKED:
	case CTL_OFFLINE:
		break;
	}
	return e;
}

int ctl_say(const struct ctl *ctl, enum ctl_exit code, const char *format, ...)
{
	struct chat_error e;
	char detail[500];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	e = own_error(code, detail);
	ctl_fail_with(ctl, &e);
	return (int)code;
}
