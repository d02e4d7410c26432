/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "ctl/complete.h"
#include "ctl/ctl.h"
#include "ctl/help.h"
#include "ctl/options.h"

static const struct verb verbs[] = {
	{ "status", "", "how the daemon, its connection and its queues are", NULL, "", 0, 0,
		verb_status },
	{ "login", "SERVER USER", "sign in",
		"Asks for the password without showing it; reads it from standard input when\n"
		"that is not a terminal. SERVER is a URL.",
		"t", 2, 2, verb_login },
	{ "logout", "", "sign out and remove what is stored here",
		"Messages and photos go, also those that are not sent yet; the server keeps what\n"
		"it has. Settings, the names of consumers and the key stay. Asks first; says what\n"
		"would be lost and changes nothing when standard input is not a terminal.",
		"yt", 0, 0, verb_logout },
	{ "unlock", "", "open a locked account",
		"Asks for the passphrase where one is needed, without showing it; reads it from\n"
		"standard input when that is not a terminal. Where the key is in the desktop's\n"
		"keyring, that one opens its window.",
		"kt", 0, 0, verb_unlock },
	{ "lock", "", "close the account's databases and forget their key", NULL, "", 0, 0,
		verb_lock },
	{ "passphrase", "", "put the account's key under a passphrase",
		"The daemon then starts locked; chatctl unlock opens it.", "", 0, 0,
		verb_passphrase },
	{ "key move", "SOURCE", "move the account's key to another place",
		"SOURCE is one of:\n"
		"  credential      wrapped by chatd.key, which systemd gives the daemon\n"
		"  secret_service  wrapped by a secret in the desktop's keyring\n"
		"  passphrase      wrapped by a passphrase\n"
		"  file            as it is, in a file beside the data\n"
		"chatctl status says where it is. The data stay as they are.",
		"", 1, 1, verb_key_move },
	{ "key recovery", "", "make a recovery key and print it",
		"It opens the account (chatctl unlock --recovery) when the passphrase or keyring\n"
		"is lost, and takes the place of an earlier one.",
		"", 0, 0, verb_key_recovery },
	{ "delete", "CHAT", "take a chat off the list, on all your devices",
		"It comes back with the next message from either side.", "t", 1, 1, verb_delete },
	{ "chats", "", "the chats, newest first", NULL, "ni", 0, 0, verb_chats },
	{ "messages", "CHAT", "the messages of a chat, oldest first", NULL, "nbei", 1, 1,
		verb_messages },
	{ "send", "CHAT [TEXT...]", "send a message; prints its id",
		"TEXT - reads standard input. A CHAT that is not known is taken as a user's id.\n"
		"The daemon keeps the message once this succeeds, and delivers it when it can;\n"
		"--wait follows it on standard error, for at most 60 seconds unless --timeout\n"
		"says otherwise.",
		"awt", 1, -1, verb_send },
	{ "read", "CHAT [MESSAGE_ID]", "mark a chat as read, up to a message or all", NULL, "", 1,
		2, verb_read },
	{ "outbox", "", "what the server has not accepted, in order of sending",
		"Messages that wait (PENDING), and those that were refused (FAILED) with the\n"
		"reason, each with its id.",
		"n", 0, 0, verb_outbox },
	{ "retry", "MESSAGE_ID...", "send refused messages again", NULL, "", 1, -1, verb_retry },
	{ "cancel", "MESSAGE_ID...", "take back messages that are not sent",
		"One that the server has, or may have because it is on its way, cannot be taken\n"
		"back.",
		"", 1, -1, verb_cancel },
	{ "search", "WORD...", "find messages, newest first",
		"A message is found that has all the words, whatever their case and, with\n"
		"Latin letters, their accents. Each may be the beginning of a longer one, unless\n"
		"they are quoted together:\n"
		"  chatctl search '\"see you\" monday'.",
		"nci", 1, -1, verb_search },
	{ "watch", "", "tell changes as they happen",
		"Goes on until interrupted, also while the daemon restarts. Each change has a\n"
		"number; --since continues after one. Topics: message.added, message.updated,\n"
		"message.removed, chat.updated, chat.removed, attachment.updated, connection,\n"
		"transfer.progress, chat.open.\n"
		"\n"
		"--consumer gives this watcher a name under which the daemon keeps how far it has\n"
		"come, from --since or now on: nothing is missed while it does not run.\n"
		"\n"
		"--exec has the shell run COMMAND for each change, in order, one at a time, with\n"
		"the change as JSON on standard input, and CHATCTL_TOPIC, CHATCTL_SEQ,\n"
		"CHATCTL_CHAT_ID, CHATCTL_MESSAGE_ID, CHATCTL_ATTACHMENT_ID, CHATCTL_USER_ID,\n"
		"CHATCTL_OUTGOING (1 or 0), CHATCTL_STATUS and CHATCTL_TEXT in the environment,\n"
		"as far as they apply. What people wrote stands there and on standard input only,\n"
		"never in the words that the shell reads. CHATCTL_SOCKET and CHATCTL_ACCOUNT say\n"
		"where the change comes from: chatctl in a command speaks to the same daemon.\n"
		"A command that fails is run again after a while, which\n"
		"grows from half a second to five minutes; with --consumer also after a restart.",
		"TcsCx", 0, 0, verb_watch },
	{ "wait", "", "end when something changes",
		"Prints a line for each change: its number, its topic and the ids of the chat,\n"
		"the message and the attachment. For scripts: go on with --since and the last\n"
		"number.",
		"Tcst", 0, 0, verb_wait },
	{ "photo get", "ATTACHMENT_ID|MESSAGE_ID", "save a photo",
		"Fetches it first when that is needed, for at most 60 seconds unless --timeout\n"
		"says otherwise. Without --output the file is named as the sender named it, in\n"
		"the working directory.",
		"opft", 1, 1, verb_photo_get },
	{ "photo list", "CHAT", "the photos of a chat, oldest first", NULL, "n", 1, 1,
		verb_photo_list },
	{ "photo show", "ATTACHMENT_ID|MESSAGE_ID", "draw a photo on the terminal",
		"In pixels where the terminal has them (sixels, or the protocols of kitty and\n"
		"iTerm2), else in coloured characters. Shows the preview while the photo itself\n"
		"is not here; 'photo get' fetches it.",
		"pt", 1, 1, verb_photo_show },
	{ "settings", "[SETTING [VALUE]]", "show the settings, or change one", NULL, "d", 0, 2,
		verb_settings },
	{ "storage stats", "", "what holds how much of the disk", NULL, "", 0, 0,
		verb_storage_stats },
	{ "storage check", "", "look for damage in the databases",
		"Exits with 1 when there is some. All is read; nobody else is answered meanwhile.",
		"t", 0, 0, verb_storage_check },
	{ "storage backup", "PATH", "copy the databases into a new directory",
		"The copy is encrypted, and opened by what opens the original, but for a key\n"
		"file, which is not copied.",
		"t", 1, 1, verb_storage_backup },
	{ "storage purge", "WHAT", "remove what can be fetched again",
		"WHAT is media (the full bytes of photos) or history (all messages but each\n"
		"chat's newest, unread ones and those to be sent).",
		"t", 1, 1, verb_storage_purge },
	{ "call", "METHOD [JSON]", "call any method of the daemon's API",
		"Prints the result as JSON. JSON - reads the parameters from standard input.", "t",
		1, 2, verb_call },
	{ "completion", "SHELL", "print the completion script for bash, zsh or fish",
		"Where chatctl is installed the scripts are too, and the shell finds them.\n"
		"By hand:\n"
		"  bash: source <(chatctl completion bash)\n"
		"  zsh:  chatctl completion zsh > DIRECTORY_IN_FPATH/_chatctl\n"
		"  fish: chatctl completion fish > ~/.config/fish/completions/chatctl.fish",
		"", 1, 1, verb_completion, .needs_no_daemon = true },
	{ NULL },
};

void verb_each(void (*fn)(const struct verb *verb, void *userdata), void *userdata)
{
	for (const struct verb *v = verbs; v->name; v++)
		fn(v, userdata);
}

const struct verb *verb_find(int argc, char **argv, int *ret_words)
{
	for (const struct verb *v = verbs; v->name; v++) {
		const char *space = strchr(v->name, ' ');
		size_t first = space ? (size_t)(space - v->name) : strlen(v->name);

		if (strlen(argv[0]) != first || strncmp(v->name, argv[0], first) != 0)
			continue;
		if (space && (argc < 2 || strcmp(space + 1, argv[1]) != 0))
			continue;
		*ret_words = space ? 2 : 1;
		return v;
	}
	return NULL;
}

/* Text is UTF-8 whatever the locale says; its width is only known to a UTF-8 locale. */
static void set_locale(void)
{
	setlocale(LC_CTYPE, "");
	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
}

static int open_client(struct ctl *ctl)
{
	int r = ctl_new_client(ctl);

	if (!ctl->client)
		return ctl_say(ctl, CTL_ERROR, "cannot start: %s", strerror(-r));
	if (r < 0) {
		ctl_fail(ctl);
		return CTL_USAGE;
	}
	return chat_client_connect(ctl->client) < 0 ? ctl_fail(ctl) : CTL_OK;
}

static int run_verb(struct ctl *ctl, const struct verb *verb, int argc, char **argv)
{
	static char program[] = "chatctl";
	int first, r;

	argv[0] = program; /* getopt complains in this name */
	first = options_parse(&ctl->options, verb, argc, argv);
	if (first < 0)
		return CTL_USAGE;
	if (ctl->options.help) {
		help_verb(verb);
		return CTL_OK;
	}
	argc -= first;
	argv += first;
	if (argc < verb->min_args || (verb->max_args >= 0 && argc > verb->max_args)) {
		help_usage(verb);
		return CTL_USAGE;
	}
	r = verb->needs_no_daemon ? CTL_OK : open_client(ctl);
	return r == CTL_OK ? verb->run(ctl, argc, argv) : r;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const struct verb *verb;
	int first = options_parse(&ctl->options, NULL, argc, argv);
	int words;

	if (first < 0)
		return CTL_USAGE;
	if (ctl->options.version) {
		printf("chatctl %s\n", PACKAGE_VERSION);
		return CTL_OK;
	}
	if (first == argc || strcmp(argv[first], "help") == 0) {
		if (ctl->options.help || first < argc)
			return help_all(ctl, argc - first - 1, argv + first + 1);
		help_short();
		return CTL_USAGE;
	}
	if (strcmp(argv[first], COMPLETE_WORD) == 0)
		return complete(ctl, argc - first - 1, argv + first + 1);
	verb = verb_find(argc - first, argv + first, &words);
	if (!verb) {
		help_unknown(argc - first, argv + first);
		return CTL_USAGE;
	}
	return run_verb(ctl, verb, argc - first - words + 1, argv + first + words - 1);
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .options = { .since = -1, .timeout_ms = -1 } };
	int r;

	set_locale();
	r = run(&ctl, argc, argv);
	chat_client_free(ctl.client);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("chatctl: standard output");
		if (r == CTL_OK)
			r = CTL_ERROR;
	}
	return r;
}
