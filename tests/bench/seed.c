/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seed: a history made by the daemon's own store, as if it had been synced and indexed. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/event-loop.h"
#include "base/uuid.h"
#include "db/barrier.h"
#include "db/key.h"
#include "store/write.h"
#include "tool.h"

#define FIRST_MS INT64_C(1700000000000)
#define PAGE 200
#define PAGES_A_COMMIT 25

static const char usage[] =
	"Usage: seed DIRECTORY MESSAGES CHATS SERVER\n"
	"Fills an account's data directory: a user alice of SERVER, with CHATS chats of which\n"
	"peer-0 to peer-N are the other side, and MESSAGES messages in them, all of them read,\n"
	"half of them in the first.\n";

static const char *const words[] = { "after", "all", "and", "bring", "coffee", "come", "evening",
	"friday", "garden", "have", "it", "later", "meet", "never", "old", "question", "rain",
	"see", "soon", "station", "that", "the", "tomorrow", "train", "walk", "we", "weather",
	"will", "window", "yes", "you", "zebra" };

struct seed {
	struct event_loop *loop;
	struct barrier *barrier;
	struct store *store;
	int64_t messages, chats, sent;
	uint32_t random;
};

static void check(int r, const char *what)
{
	if (r < 0) {
		errno = -r;
		die("%s", what);
	}
}

static uint32_t any(struct seed *s)
{
	s->random = s->random * 1664525u + 1013904223u;
	return s->random >> 8;
}

/* Some 60 to 140 bytes, as people write. */
static char *make_text(struct seed *s, char *text, size_t size)
{
	unsigned n = 10 + any(s) % 14;
	size_t at = 0;

	for (unsigned i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, size - at, "%s%s", i ? " " : "",
			words[any(s) % ARRAY_SIZE(words)]);
	return text;
}

static void put_account(struct seed *s, const char *server)
{
	struct store_account a = {
		.server = server,
		.user_id = "alice",
		.user_name = "Alice Example",
		.password = "alice-pw",
		.device_id = "bench",
	};
	struct user u = { .id = (char *)"alice", .name = (char *)"Alice Example" };

	check(store_account_put(s->store, &a), "account");
	check(store_account_set_sync_state(s->store, "0"), "account");
	check(store_user_put(s->store, &u), "user");
}

static void put_chat(struct seed *s, int64_t n, int64_t last_seq)
{
	char chat_id[32], user_id[32], name[40];
	struct user u = { .id = user_id, .name = name };
	struct chat c = {
		.id = chat_id,
		.user_id = user_id,
		.last_seq = last_seq,
		.created_at = FIRST_MS,
		.read_seq = last_seq,
		.peer_read_seq = last_seq,
		.peer_received_seq = last_seq,
	};

	snprintf(chat_id, sizeof(chat_id), "chat-%" PRId64, n);
	snprintf(user_id, sizeof(user_id), "peer-%" PRId64, n);
	snprintf(name, sizeof(name), "Peer %" PRId64 " Example", n);
	check(store_user_put(s->store, &u), "user");
	check(store_chat_put(s->store, &c), "chat");
}

static void put_page(struct seed *s, int64_t chat, int64_t first, int64_t n)
{
	static struct message page[PAGE];
	static char ids[PAGE][UUID_STRING_SIZE], texts[PAGE][512];
	char chat_id[32], user_id[32];
	struct store_put put;

	snprintf(chat_id, sizeof(chat_id), "chat-%" PRId64, chat);
	snprintf(user_id, sizeof(user_id), "peer-%" PRId64, chat);
	for (int64_t i = 0; i < n; i++) {
		bool outgoing = any(s) % 2;

		uuid7_generate(ids[i]);
		page[i] = (struct message){
			.id = ids[i],
			.chat_id = chat_id,
			.user_id = outgoing ? (char *)"alice" : user_id,
			.text = make_text(s, texts[i], sizeof(texts[i])),
			.seq = first + i,
			.created_at = FIRST_MS + s->sent++ * 1000,
			.status = MESSAGE_READ,
			.outgoing = outgoing,
		};
	}
	check(store_messages_put(s->store, chat_id, page, (size_t)n, true, &put), "messages");
}

static void commit(struct seed *s)
{
	check(barrier_commit(s->barrier), "commit");
}

/* Half of them in the first chat, the others spread evenly. */
static int64_t messages_of(const struct seed *s, int64_t chat)
{
	int64_t spread = s->messages / 2, others = s->chats - 1;

	if (others == 0)
		return s->messages;
	if (chat == 0)
		return s->messages - spread;
	return spread / others + (chat - 1 < spread % others);
}

static void put_messages(struct seed *s)
{
	int64_t pages = 0;

	for (int64_t chat = 0; chat < s->chats; chat++) {
		int64_t n = messages_of(s, chat);

		for (int64_t first = 1; first <= n; first += PAGE) {
			put_page(s, chat, first, n - first + 1 < PAGE ? n - first + 1 : PAGE);
			if (++pages % PAGES_A_COMMIT == 0)
				commit(s);
		}
	}
	commit(s);
}

static void index_all(struct seed *s)
{
	while (store_search_lag(s->store) > 0) {
		check(store_search_index(s->store, 10000), "index");
		commit(s);
	}
	store_checkpoint(s->store);
}

int main(int argc, char **argv)
{
	_cleanup_(db_key_freep) struct db_key *key = NULL;
	char path[PATH_MAX];
	struct seed s = { .random = 1 };

	if (argc != 5) {
		fputs(usage, stderr);
		return 2;
	}
	s.messages = number_of(argv[2], 0);
	s.chats = number_of(argv[3], 1);
	s.loop = event_loop_new();
	s.barrier = barrier_new(s.loop);
	if (mkdir(argv[1], 0700) < 0 && errno != EEXIST)
		die("%s", argv[1]);
	snprintf(path, sizeof(path), "%s/key", argv[1]);
	if (sodium_init() < 0 || !(key = db_key_generate()))
		die("no key");
	check(db_key_write_file(path, key), path);
	check(store_open(
		      &(struct store_options){
			      .directory = argv[1], .key = key, .barrier = s.barrier },
		      &s.store),
		argv[1]);
	put_account(&s, argv[4]);
	for (int64_t i = 0; i < s.chats; i++)
		put_chat(&s, i, messages_of(&s, i));
	commit(&s);
	put_messages(&s);
	index_all(&s);
	s.store = store_close(s.store);
	barrier_free(s.barrier);
	event_loop_free(s.loop);
	return 0;
}
