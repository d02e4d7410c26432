/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * chatctl's frame: options, verbs, exit codes, and how results and errors are told.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "libclient/chatclient.h"

/* What the process exits with; --help documents them. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_ERROR = 1,
	CTL_USAGE = 2,
	CTL_NOT_RUNNING = 3,
	CTL_LOCKED = 4,
	CTL_OFFLINE = 5,
	CTL_NOT_FOUND = 6,
	CTL_SEND_FAILED = 7,
	CTL_TIMED_OUT = 8,
};

enum ctl_output {
	OUTPUT_HUMAN,
	OUTPUT_JSON,
	OUTPUT_PRETTY,
};

#define ATTACH_MAX 16

/* Stands before the names of all variables that chatctl reads and gives to commands. */
#define CTL_VARIABLE "CHATCTL_"

struct ctl_options {
	const char *account; /* NULL: the environment's, or the default one */
	const char *socket;  /* NULL: the environment's, or the account's */
	enum ctl_output output;
	bool help, version;

	unsigned limit; /* 0: the verb's own */
	const char *before, *after;
	bool ids;
	const char *attach[ATTACH_MAX];
	unsigned n_attach;
	enum chat_message_status wait; /* UNKNOWN: do not */
	int64_t timeout_ms;            /* -1: the verb's own */
	const char *topics;
	const char *chat;
	int64_t since; /* -1: from now on */
	const char *file;
	bool preview, force;
	const char *consumer, *exec;
	bool recovery;
	bool yes;
	bool to_default;
};

struct ctl {
	struct ctl_options options;
	struct chat_client *client;
	bool quiet; /* errors are not told */
};

/* One verb. `letters` names the options it takes, beside the global ones: see options.c. */
struct verb {
	const char *name; /* one word or two */
	const char *arguments;
	const char *summary;
	const char *details; /* more for its --help; may be NULL */
	const char *letters;
	int min_args, max_args;                             /* -1: any number */
	int (*run)(struct ctl *ctl, int argc, char **argv); /* returns an enum ctl_exit */
	bool needs_no_daemon;
};

int verb_status(struct ctl *ctl, int argc, char **argv);
int verb_login(struct ctl *ctl, int argc, char **argv);
int verb_logout(struct ctl *ctl, int argc, char **argv);
int verb_chats(struct ctl *ctl, int argc, char **argv);
int verb_delete(struct ctl *ctl, int argc, char **argv);
int verb_messages(struct ctl *ctl, int argc, char **argv);
int verb_send(struct ctl *ctl, int argc, char **argv);
int verb_read(struct ctl *ctl, int argc, char **argv);
int verb_outbox(struct ctl *ctl, int argc, char **argv);
int verb_retry(struct ctl *ctl, int argc, char **argv);
int verb_cancel(struct ctl *ctl, int argc, char **argv);
int verb_search(struct ctl *ctl, int argc, char **argv);
int verb_wait(struct ctl *ctl, int argc, char **argv);
int verb_watch(struct ctl *ctl, int argc, char **argv);
int verb_photo_get(struct ctl *ctl, int argc, char **argv);
int verb_photo_show(struct ctl *ctl, int argc, char **argv);
int verb_photo_list(struct ctl *ctl, int argc, char **argv);
int verb_completion(struct ctl *ctl, int argc, char **argv);
int verb_unlock(struct ctl *ctl, int argc, char **argv);
int verb_lock(struct ctl *ctl, int argc, char **argv);
int verb_passphrase(struct ctl *ctl, int argc, char **argv);
int verb_key_move(struct ctl *ctl, int argc, char **argv);
int verb_key_recovery(struct ctl *ctl, int argc, char **argv);
int verb_storage_stats(struct ctl *ctl, int argc, char **argv);
int verb_storage_check(struct ctl *ctl, int argc, char **argv);
int verb_storage_backup(struct ctl *ctl, int argc, char **argv);
int verb_storage_purge(struct ctl *ctl, int argc, char **argv);
int verb_settings(struct ctl *ctl, int argc, char **argv);
int verb_call(struct ctl *ctl, int argc, char **argv);

/* Ends the process: a tool has nothing better to do when memory is short. */
__attribute__((returns_nonnull)) void *must(void *allocated);

/*
 * Makes the client of the daemon that the options name, or else the environment, and connects
 * nothing. 0, or a negative errno, with the client where it is the client's error.
 */
int ctl_new_client(struct ctl *ctl);

/* Says why the last call on the client failed and returns the exit code that goes with it. */
int ctl_fail(const struct ctl *ctl);

/* The same for an error that a callback was given. */
int ctl_fail_with(const struct ctl *ctl, const struct chat_error *error);

/* An error of chatctl's own: tells it in the manner of ctl_fail() and returns `code`. */
int ctl_say(const struct ctl *ctl, enum ctl_exit code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Calls a method with one parameter of text, which is wiped from what is made here, or with none
 * (`name` NULL). An exit code; with CTL_OK the reply.
 */
int ctl_call_text(struct ctl *ctl, const char *method, const char *name, const char *value,
	struct chat_reply **ret);

/* Prints one JSON object, which it frees, as --json asks; NULL is short memory. */
void ctl_print_json(const struct ctl *ctl, char *json);

bool ctl_is_json(const struct ctl *ctl);

/* Finds the verb that argv begins with; sets the number of its words. NULL: none. */
const struct verb *verb_find(int argc, char **argv, int *ret_words);

/* Calls `fn` for every verb. */
void verb_each(void (*fn)(const struct verb *verb, void *userdata), void *userdata);
