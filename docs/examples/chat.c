/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A frontend in a hundred lines: shows a chat, follows it, and sends what is typed.
 *
 *	cc chat.c $(pkg-config --cflags --libs chatclient) -o chat
 *	./chat CHAT_ID [SOCKET]
 *
 * What others wrote goes to the terminal as it is: a real frontend makes it harmless first.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <chatclient.h>

static void show(const struct chat_message *m)
{
	printf("%s: %s [%s]\n", m->outgoing ? "me" : m->user_id, m->text,
		chat_message_status_to_string(m->status));
	for (size_t i = 0; i < m->n_attachments; i++)
		printf("\tphoto %s\n", m->attachments[i]->attachment_id);
	fflush(stdout);
}

static void on_change(struct chat_client *c, const struct chat_error *error,
	const struct chat_change *change, void *userdata)
{
	if (error)
		fprintf(stderr, "no longer following: %s\n", error->detail);
	else if (change->message)
		show(change->message);
}

static void on_sent(struct chat_client *c, const struct chat_error *error,
	const struct chat_message *message, void *userdata)
{
	if (error)
		fprintf(stderr, "not sent: %s\n", error->detail);
}

/* One line of standard input is one message. Returns false at the end of input. */
static bool send_line(struct chat_client *c, const char *chat_id)
{
	char line[4096];
	struct chat_outgoing m = { .size = sizeof(m), .chat_id = chat_id, .text = line };

	if (!fgets(line, sizeof(line), stdin))
		return false;
	line[strcspn(line, "\n")] = '\0';
	if (*line && chat_client_send_message_async(c, &m, on_sent, NULL) < 0)
		fprintf(stderr, "not sent: %s\n", chat_client_get_error(c)->detail);
	return true;
}

/* Shows the newest messages, then every change after them: as_of leaves no gap between the two. */
static int open_chat(struct chat_client *c, const char *chat_id)
{
	const char *const topics[] = { "message.added", "message.updated", NULL };
	const char *const chats[] = { chat_id, NULL };
	struct chat_message_list *list;
	int r = chat_client_list_messages(c, chat_id, NULL, NULL, 20, &list);

	if (r < 0)
		return r;
	for (size_t i = 0; i < list->n_messages; i++)
		show(list->messages[i]);
	r = chat_client_subscribe(c, topics, chats, list->as_of, on_change, NULL);
	chat_message_list_free(list);
	return r;
}

/* The program's own loop, with the client in it as one descriptor and one timeout. */
static void run(struct chat_client *c, const char *chat_id)
{
	struct pollfd p[2] = { { .fd = STDIN_FILENO, .events = POLLIN } };

	setvbuf(stdin, NULL, _IONBF, 0); /* poll() sees all that is not read */
	for (;;) {
		while (chat_client_dispatch(c) > 0)
			;
		p[1].fd = chat_client_get_fd(c);
		p[1].events = (short)chat_client_get_events(c);
		if (poll(p, 2, chat_client_get_timeout_ms(c)) < 0)
			return;
		if (p[0].revents && !send_line(c, chat_id))
			p[0].fd = -1; /* goes on following */
	}
}

int main(int argc, char **argv)
{
	struct chat_client *c;
	int r = argc < 2 ? -EINVAL : chat_client_new(&c);

	if (r < 0) {
		fprintf(stderr, "usage: chat CHAT_ID [SOCKET]\n");
		return 2;
	}
	if (argc > 2)
		r = chat_client_set_socket_path(c, argv[2]);
	if (r == 0)
		r = open_chat(c, argv[1]);
	if (r == 0)
		run(c, argv[1]);
	fprintf(stderr, "%s\n", chat_client_get_error(c)->detail);
	chat_client_free(c);
	return 1;
}
