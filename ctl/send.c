/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/resolve.h"
#include "ctl/text.h"
#include "ctl/wait.h"

#define TEXT_MAX (1024u * 1024u)
#define WAIT_DEFAULT_MS 60000

struct attachments {
	int fds[ATTACH_MAX];
	const char *names[ATTACH_MAX];
	size_t n;
};

/* Follows one message to the status that is waited for. */
struct follow {
	struct ctl *ctl;
	char *message_id;
	enum chat_message_status last;
	bool done;
	int code;
};

static void attachments_close(struct attachments *a)
{
	for (size_t i = 0; i < a->n; i++)
		close(a->fds[i]);
}

static int attachments_open(const struct ctl *ctl, struct attachments *a)
{
	for (size_t i = 0; i < ctl->options.n_attach; i++) {
		const char *path = ctl->options.attach[i];
		const char *slash = strrchr(path, '/');
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		struct stat st;

		if (fd < 0)
			return ctl_say(ctl, errno == ENOENT ? CTL_NOT_FOUND : CTL_ERROR, "%s: %s",
				path, strerror(errno));
		a->fds[a->n] = fd;
		a->names[a->n++] = slash ? slash + 1 : path;
		if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
			return ctl_say(ctl, CTL_ERROR, "%s is not a file", path);
		if (!text_is_valid(a->names[a->n - 1], strlen(a->names[a->n - 1])))
			a->names[a->n - 1] = NULL;
	}
	return CTL_OK;
}

/* The words with spaces between; "-" alone is standard input. NULL after a complaint. */
static char *make_text(const struct ctl *ctl, int argc, char **argv)
{
	if (argc == 1 && strcmp(argv[0], "-") == 0)
		return ctl_read_stdin(ctl, TEXT_MAX);
	return ctl_join_words(ctl, argc, argv);
}

static void finish(struct follow *f, int code)
{
	if (f->last != CHAT_MESSAGE_UNKNOWN && !ctl_is_json(f->ctl))
		fputc('\n', stderr);
	f->done = true;
	f->code = code;
}

/* Tells the status once it has changed, and ends when it is far enough. */
static void show_status(struct follow *f, const struct chat_message *m)
{
	const char *title = m->error_title ? m->error_title : "";
	const char *detail = m->error_detail ? m->error_detail : "";

	if (f->done || m->status == f->last)
		return;
	if (ctl_is_json(f->ctl))
		ctl_print_json(f->ctl, chat_message_to_json(m));
	else
		fprintf(stderr, "%s%s", f->last == CHAT_MESSAGE_UNKNOWN ? "" : " -> ",
			chat_message_status_to_string(m->status));
	f->last = m->status;
	if (m->status == CHAT_MESSAGE_FAILED) {
		finish(f, CTL_SEND_FAILED);
		ctl_say(f->ctl, CTL_SEND_FAILED, "the message was refused: %s%s%s", title,
			*title && *detail ? ": " : "", detail);
	} else if (m->status >= f->ctl->options.wait) {
		finish(f, CTL_OK);
	}
}

static void on_change(struct chat_client *client, const struct chat_error *error,
	const struct chat_change *change, void *userdata)
{
	struct follow *f = userdata;

	if (error) {
		if (!f->done)
			finish(f, ctl_fail_with(f->ctl, error));
		return;
	}
	if (!f->message_id || !change->message_id ||
		strcmp(change->message_id, f->message_id) != 0 || f->done)
		return;
	if (change->message) {
		show_status(f, change->message);
	} else if (strcmp(change->topic, "message.removed") == 0) {
		finish(f, CTL_SEND_FAILED);
		ctl_say(f->ctl, CTL_SEND_FAILED, "the message was withdrawn");
	}
}

static int follow(struct follow *f)
{
	struct ctl *ctl = f->ctl;
	int64_t timeout = ctl->options.timeout_ms >= 0 ? ctl->options.timeout_ms : WAIT_DEFAULT_MS;

	if (ctl_wait(ctl, &f->done, timeout))
		return f->code;
	finish(f, CTL_TIMED_OUT);
	return ctl_say(ctl, CTL_TIMED_OUT, "the message is %s; the daemon goes on with it",
		chat_message_status_to_string(f->last));
}

static int send_and_follow(struct ctl *ctl, const struct chat_outgoing *outgoing)
{
	static const char *const topics[] = { "message.added", "message.updated", "message.removed",
		NULL };
	bool wait = ctl->options.wait != CHAT_MESSAGE_UNKNOWN;
	_cleanup_free_ char *message_id = NULL;
	struct follow f = { .ctl = ctl };
	struct chat_message *m;

	/* Before the message, so that none of its changes is missed. */
	if (wait && chat_client_subscribe(ctl->client, topics, NULL, -1, on_change, &f) < 0)
		return ctl_fail(ctl);
	if (chat_client_send_message(ctl->client, outgoing, &m) < 0)
		return f.done ? f.code : ctl_fail(ctl);
	f.message_id = message_id = must(strdup(m->message_id));
	if (!ctl_is_json(ctl))
		puts(m->message_id);
	fflush(stdout);
	if (wait)
		show_status(&f, m);
	else if (ctl_is_json(ctl))
		ctl_print_json(ctl, chat_message_to_json(m));
	chat_message_free(m);
	return wait ? follow(&f) : CTL_OK;
}

int verb_send(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(attachments_close) struct attachments a = { .n = 0 };
	_cleanup_(target_clear) struct target target = { 0 };
	_cleanup_free_ char *text = NULL;
	struct chat_outgoing outgoing = { .size = sizeof(outgoing) };
	int r;

	if (argc < 2 && ctl->options.n_attach == 0)
		return ctl_say(
			ctl, CTL_USAGE, "there is nothing to send: text or --attach is missing");
	r = attachments_open(ctl, &a);
	if (r != CTL_OK)
		return r;
	text = make_text(ctl, argc - 1, argv + 1);
	if (!text)
		return CTL_USAGE;
	if (!*text && a.n == 0)
		return ctl_say(ctl, CTL_USAGE, "the text is empty");
	r = resolve_chat(ctl, argv[0], true, &target);
	if (r != CTL_OK)
		return r;
	outgoing.chat_id = target.info ? target.info->chat_id : NULL;
	outgoing.user_id = target.info ? NULL : target.user_id;
	outgoing.text = text;
	outgoing.n_attachments = a.n;
	outgoing.attachment_fds = a.fds;
	outgoing.attachment_names = a.names;
	return send_and_follow(ctl, &outgoing);
}
