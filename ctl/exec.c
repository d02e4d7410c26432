/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "exec.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "wait.h"

/* Changes held while a command runs; for more the subscription is taken up again later. */
#define QUEUE_MAX 256u

#define RETRY_BASE_MS 500
#define RETRY_CAP_MS (5 * 60 * 1000)

/* How long the last acknowledgements may take when it ends. */
#define FAREWELL_MS 5000

struct item {
	STAILQ_ENTRY(item) entry;
	struct chat_change *change;
};

struct runner {
	struct ctl *ctl;
	const char *const *topics, *const *chats;
	STAILQ_HEAD(, item) queue; /* the first one's command runs, or is next */
	size_t n_queued;
	bool subscribed;
	int64_t dealt_with; /* the last change whose command succeeded; -1: none yet */
	pid_t child;        /* 0: none */
	unsigned failures;  /* of the first one's command */
	int64_t retry_ms;   /* when it runs again */
	unsigned acks;      /* under way */
	bool ending;
	int64_t end_ms;         /* when it ends whatever is under way */
	char *socket, *account; /* of the daemon, for the commands; NULL: not told */
	int code;
	int signal_fd;
	sigset_t old_mask;
};

static void on_change(struct chat_client *client, const struct chat_error *error,
	const struct chat_change *change, void *userdata);

static void end(struct runner *r, int code)
{
	if (!r->ending)
		r->end_ms = monotonic_ms() + FAREWELL_MS;
	if (r->code == CTL_OK)
		r->code = code;
	r->ending = true;
}

static void queue_clear(struct runner *r)
{
	struct item *i;

	while ((i = STAILQ_FIRST(&r->queue))) {
		STAILQ_REMOVE_HEAD(&r->queue, entry);
		chat_change_free(i->change);
		free(i);
	}
	r->n_queued = 0;
}

static void queue_pop(struct runner *r)
{
	struct item *i = STAILQ_FIRST(&r->queue);

	STAILQ_REMOVE_HEAD(&r->queue, entry);
	r->n_queued--;
	chat_change_free(i->change);
	free(i);
}

static void subscribe(struct runner *r)
{
	const struct ctl_options *o = &r->ctl->options;
	int64_t since = r->dealt_with >= 0 ? r->dealt_with : o->since;
	int e;

	if (o->consumer)
		e = chat_client_subscribe_consumer(
			r->ctl->client, o->consumer, r->topics, r->chats, since, on_change, r);
	else
		e = chat_client_subscribe(r->ctl->client, r->topics, r->chats, since, on_change, r);
	if (e < 0)
		end(r, ctl_fail(r->ctl));
	r->subscribed = e == 0;
}

static void on_change(struct chat_client *client, const struct chat_error *error,
	const struct chat_change *change, void *userdata)
{
	struct runner *r = userdata;
	struct item *i;

	if (error) {
		r->subscribed = false;
		return end(r, ctl_fail_with(r->ctl, error));
	}
	/* A subscription that was taken up again may be told what is not acknowledged yet. */
	if (change->seq > 0 && change->seq <= r->dealt_with)
		return;
	i = must(calloc(1, sizeof(*i)));
	i->change = chat_change_ref(change);
	STAILQ_INSERT_TAIL(&r->queue, i, entry);
	if (++r->n_queued < QUEUE_MAX)
		return;
	chat_client_unsubscribe(client);
	r->subscribed = false;
}

static void on_acked(struct chat_client *client, const struct chat_error *error, void *userdata)
{
	struct runner *r = userdata;

	r->acks--;
	/* One that was lost is made up for by the next; a consumer that is gone is not. */
	if (error && error->code == CHAT_CLIENT_ERROR_NOT_FOUND)
		end(r, ctl_fail_with(r->ctl, error));
}

static void deal_with(struct runner *r, int64_t seq)
{
	const char *consumer = r->ctl->options.consumer;

	if (seq <= 0)
		return;
	r->dealt_with = seq;
	if (consumer && chat_client_ack_async(r->ctl->client, consumer, seq, on_acked, r) > 0)
		r->acks++;
}

/* "CHATCTL_NAME=value", owned; NULL for no value. */
static char *variable(const char *name, const char *value)
{
	char *s;

	if (!value)
		return NULL;
	if (asprintf(&s, CTL_VARIABLE "%s=%s", name, value) < 0)
		s = NULL;
	return must(s);
}

/* This process' environment with what the change is about; an owned array of owned strings. */
static char **make_environment(const struct runner *r, const struct chat_change *c)
{
	const struct chat_message *m = c->message;
	char seq[32];
	const char *const values[][2] = {
		{ "SOCKET", r->socket },
		{ "ACCOUNT", r->account },
		{ "SEQ", seq },
		{ "TOPIC", c->topic },
		{ "CHAT_ID", c->chat_id },
		{ "MESSAGE_ID", c->message_id },
		{ "ATTACHMENT_ID", c->attachment_id },
		{ "USER_ID", m ? m->user_id : NULL },
		{ "OUTGOING",
			!m                    ? NULL
				: m->outgoing ? "1"
					      : "0" },
		{ "STATUS", m ? chat_message_status_to_string(m->status) : NULL },
		{ "TEXT", m ? m->text : NULL },
	};
	char **variables;
	size_t n = 0;

	snprintf(seq, sizeof(seq), "%lld", (long long)c->seq);
	while (environ[n])
		n++;
	variables = must(calloc(n + ARRAY_SIZE(values) + 1, sizeof(*variables)));
	n = 0;
	for (char **e = environ; *e; e++)
		if (strncmp(*e, CTL_VARIABLE, strlen(CTL_VARIABLE)) != 0)
			variables[n++] = must(strdup(*e));
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		variables[n] = variable(values[i][0], values[i][1]);
		n += variables[n] != NULL;
	}
	return variables;
}

static void free_environment(char ***variables)
{
	for (char **v = *variables; v && *v; v++)
		free(*v);
	free(*variables);
}

/* The change as a file, so that a command that does not read it holds up nothing. */
static int make_input(const struct chat_change *change)
{
	char *json = must(chat_change_to_json(change));
	int fd = memfd_create("change", MFD_CLOEXEC);

	if (fd >= 0 && (dprintf(fd, "%s\n", json) < 0 || lseek(fd, 0, SEEK_SET) < 0)) {
		close(fd);
		fd = -1;
	}
	free(json);
	return fd;
}

static int spawn(struct runner *r, int input, char *const *environment)
{
	char shell[] = "sh", option[] = "-c";
	char *argv[] = { shell, option, (char *)(uintptr_t)r->ctl->options.exec, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int e;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attributes, &r->old_mask);
	e = posix_spawn(&r->child, "/bin/sh", &actions, &attributes, argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (e != 0)
		r->child = 0;
	return e;
}

static void start_command(struct runner *r)
{
	struct chat_change *change = STAILQ_FIRST(&r->queue)->change;
	_cleanup_(free_environment) char **environment = make_environment(r, change);
	int input = make_input(change);
	int e = input < 0 ? errno : spawn(r, input, environment);

	if (input >= 0)
		close(input);
	if (e != 0)
		end(r, ctl_say(r->ctl, CTL_ERROR, "the command cannot be run: %s", strerror(e)));
}

/* Between a half and the whole of twice as much as the time before. */
static int64_t retry_delay_ms(unsigned failures)
{
	int64_t delay = RETRY_BASE_MS;

	while (--failures > 0 && delay < RETRY_CAP_MS)
		delay *= 2;
	delay = delay < RETRY_CAP_MS ? delay : RETRY_CAP_MS;
	return delay / 2 + monotonic_ms() % (delay / 2 + 1);
}

static void describe_end(int status, char *ret, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(ret, size, "was ended by signal %d", WTERMSIG(status));
	else
		snprintf(ret, size, "exited with %d", WEXITSTATUS(status));
}

static void on_command_end(struct runner *r, int status)
{
	const struct chat_change *change = STAILQ_FIRST(&r->queue)->change;
	char what[64];
	int64_t delay;

	r->child = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		r->failures = 0;
		deal_with(r, change->seq);
		return queue_pop(r);
	}
	delay = retry_delay_ms(++r->failures);
	r->retry_ms = monotonic_ms() + delay;
	describe_end(status, what, sizeof(what));
	fprintf(stderr, "chatctl: change %lld: the command %s; %s\n", (long long)change->seq, what,
		r->ending ? "it runs again next time" : "it runs again");
}

/* The first request to end lets the command finish; the second passes it on. */
static void on_end_signal(struct runner *r, int signal)
{
	if (r->ending && r->child > 0)
		kill(r->child, signal);
	end(r, CTL_OK);
}

static void read_signals(struct runner *r)
{
	struct signalfd_siginfo info;

	while (read(r->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		int status;

		if (info.ssi_signo != SIGCHLD)
			on_end_signal(r, (int)info.ssi_signo);
		else if (r->child > 0 && waitpid(r->child, &status, WNOHANG) == r->child)
			on_command_end(r, status);
	}
}

static bool is_done(const struct runner *r)
{
	if (!r->ending || r->child > 0)
		return false;
	return r->acks == 0 || monotonic_ms() >= r->end_ms;
}

static bool may_start(const struct runner *r)
{
	return !r->ending && r->child == 0 && !STAILQ_EMPTY(&r->queue);
}

static int64_t min_timeout(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int64_t timeout_of(const struct runner *r)
{
	int64_t timeout = chat_client_get_timeout_ms(r->ctl->client), now = monotonic_ms();

	if (may_start(r))
		timeout = min_timeout(timeout, r->retry_ms > now ? r->retry_ms - now : 0);
	if (r->ending && r->child == 0)
		timeout = min_timeout(timeout, r->end_ms > now ? r->end_ms - now : 0);
	return timeout;
}

static void run(struct runner *r)
{
	while (!is_done(r)) {
		struct pollfd fds[] = {
			{ .fd = r->signal_fd, .events = POLLIN },
			{ .fd = chat_client_get_fd(r->ctl->client),
				.events = (short)chat_client_get_events(r->ctl->client) },
		};

		if (poll(fds, ARRAY_SIZE(fds), (int)timeout_of(r)) < 0 && errno != EINTR)
			return end(r, CTL_ERROR);
		read_signals(r);
		chat_client_dispatch(r->ctl->client);
		if (!r->subscribed && !r->ending && STAILQ_EMPTY(&r->queue))
			subscribe(r);
		if (may_start(r) && monotonic_ms() >= r->retry_ms)
			start_command(r);
	}
}

/* The command may work elsewhere than here. */
static char *absolute(const char *path)
{
	_cleanup_free_ char *here = *path == '/' ? NULL : getcwd(NULL, 0);
	char *whole;

	if (!here)
		return must(strdup(path));
	if (asprintf(&whole, "%s/%s", here, path) < 0)
		whole = NULL;
	return must(whole);
}

static void learn_daemon(struct runner *r)
{
	const struct chat_hello *hello = chat_client_get_hello(r->ctl->client);
	const char *socket = chat_client_get_socket_path(r->ctl->client);

	r->socket = socket ? absolute(socket) : NULL;
	r->account = hello && hello->account ? must(strdup(hello->account)) : NULL;
}

int exec_changes(struct ctl *ctl, const char *const *topics, const char *const *chats)
{
	static const char *const durable[] = { "message.added", "message.updated",
		"message.removed", "chat.updated", "chat.removed", "attachment.updated", NULL };
	struct runner r = {
		.ctl = ctl,
		.topics = topics ? topics : durable,
		.chats = chats,
		.dealt_with = -1,
	};
	sigset_t mask;

	STAILQ_INIT(&r.queue);
	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, &r.old_mask);
	r.signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r.signal_fd < 0)
		return ctl_say(ctl, CTL_ERROR, "signalfd: %s", strerror(errno));
	learn_daemon(&r);
	subscribe(&r);
	run(&r);
	queue_clear(&r);
	free(r.socket);
	free(r.account);
	close(r.signal_fd);
	return r.code;
}
