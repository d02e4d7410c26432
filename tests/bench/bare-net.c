/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The limits of what comes from the network: libwebsockets and libcurl as they are. */
#include <curl/curl.h>
#include <errno.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bare-db.h"
#include "tool.h"

static const char usage[] =
	"Usage: bare-net echo PORT\n"
	"       bare-net relay PORT SOCKET DB\n"
	"       bare-net idle PORT HEARTBEAT\n"
	"       bare-net pages URL TOKEN CHATS PAGES SIZE\n"
	"       bare-net get URL TOKEN\n"
	"       bare-net patch URL TOKEN FILE\n"
	"\n"
	"echo sends each frame back. relay inserts it, commits, and writes it to the one that has\n"
	"connected to SOCKET. pages reads the messages of chats, page by page. patch is the "
	"upload\n"
	"of all bytes of a file to what was made for it.\n";

struct session {
	struct bare_db db;
	int subscriber;
	size_t queued_start, queued_end, queued_capacity;
	char *queued; /* frames to send back, each after its size */
	bool echoes, relays;
};

static void relay(struct session *s, const char *text, size_t size)
{
	bare_db_begin(&s->db);
	bare_db_insert(&s->db, text, size);
	bare_db_commit(&s->db);
	write_all(s->subscriber, text, size);
	write_all(s->subscriber, "\n", 1);
}

static void echo_later(struct session *s, const char *text, size_t size)
{
	if (s->queued_start == s->queued_end)
		s->queued_start = s->queued_end = 0;
	while (s->queued_capacity - s->queued_end < size + sizeof(size) + LWS_PRE) {
		s->queued_capacity = s->queued_capacity ? 2 * s->queued_capacity : 1 << 20;
		s->queued = realloc(s->queued, s->queued_capacity);
		if (!s->queued)
			die("memory");
	}
	memcpy(s->queued + s->queued_end, &size, sizeof(size));
	memcpy(s->queued + s->queued_end + sizeof(size) + LWS_PRE, text, size);
	s->queued_end += sizeof(size) + LWS_PRE + size;
}

static void echo_some(struct session *s, struct lws *wsi)
{
	while (s->queued_start < s->queued_end && !lws_send_pipe_choked(wsi)) {
		char *at = s->queued + s->queued_start;
		size_t size;

		memcpy(&size, at, sizeof(size));
		if (lws_write(wsi, (unsigned char *)at + sizeof(size) + LWS_PRE, size,
			    LWS_WRITE_TEXT) < 0)
			die("the connection broke");
		s->queued_start += sizeof(size) + LWS_PRE + size;
	}
	if (s->queued_start < s->queued_end)
		lws_callback_on_writable(wsi);
}

static int on_event(
	struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
	struct session *s = lws_context_user(lws_get_context(wsi));

	if (reason == LWS_CALLBACK_CLIENT_ESTABLISHED) {
		puts("ready");
		fflush(stdout);
	} else if (reason == LWS_CALLBACK_CLIENT_RECEIVE && s->relays) {
		relay(s, in, size);
	} else if (reason == LWS_CALLBACK_CLIENT_RECEIVE && s->echoes) {
		echo_later(s, in, size);
		lws_callback_on_writable(wsi);
	} else if (reason == LWS_CALLBACK_CLIENT_WRITEABLE && s->echoes) {
		echo_some(s, wsi);
	} else if (reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR) {
		errno = 0;
		die("no connection: %s", in ? (char *)in : "");
	} else if (reason == LWS_CALLBACK_CLIENT_CLOSED) {
		exit(0);
	}
	return 0;
}

static int run_session(struct session *s, const char *port, uint16_t heartbeat_s)
{
	static const struct lws_protocols protocols[] = {
		{ .name = "chat.v1", .callback = on_event, .rx_buffer_size = 65536 }, { 0 }
	};
	const lws_retry_bo_t retry = { .secs_since_valid_ping = heartbeat_s,
		.secs_since_valid_hangup = (uint16_t)(heartbeat_s + 20) };
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.user = s,
		.retry_and_idle_policy = heartbeat_s ? &retry : NULL,
	};
	struct lws_client_connect_info to = {
		.address = "127.0.0.1",
		.port = (int)number_of(port, 1),
		.path = "/ws",
		.host = "127.0.0.1",
		.origin = "127.0.0.1",
		.protocol = "chat.v1",
	};

	lws_set_log_level(0, NULL);
	to.context = lws_create_context(&info);
	if (!to.context || !lws_client_connect_via_info(&to))
		die("no connection");
	while (lws_service(to.context, 0) >= 0)
		;
	return 0;
}

static int run_relay(struct session *s, char **argv)
{
	int listener = unix_listen(argv[1], 1);
	struct lines lines = { 0 };
	size_t size;

	bare_db_open(&s->db, argv[2], NULL);
	bare_db_prepare(&s->db);
	puts("ready");
	fflush(stdout);
	lines.fd = s->subscriber = accept(listener, NULL, NULL);
	write_all(s->subscriber, "{}\n", 3);
	lines_next(&lines, &size);
	s->relays = true;
	write_all(s->subscriber, "{}\n", 3);
	return run_session(s, argv[0], 0);
}

static size_t count_bytes(char *data, size_t size, size_t n, void *userdata)
{
	*(size_t *)userdata += size * n;
	return size * n;
}

static CURL *authorised(const char *token, struct curl_slist *headers, size_t *bytes)
{
	CURL *curl = curl_easy_init();
	char line[4096];

	snprintf(line, sizeof(line), "Authorization: Bearer %s", token);
	headers = curl_slist_append(headers, line);
	headers = curl_slist_append(headers, "Expect:");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, count_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, bytes);
	return curl;
}

static void perform(CURL *curl, const char *url)
{
	CURLcode rc;

	curl_easy_setopt(curl, CURLOPT_URL, url);
	rc = curl_easy_perform(curl);
	errno = 0;
	if (rc != CURLE_OK)
		die("%s: %s", url, curl_easy_strerror(rc));
}

static int print_transfer(size_t bytes, uint64_t began)
{
	printf("{\"bytes\": %zu, \"seconds\": %.6f}\n", bytes, (double)(now_ns() - began) / 1e9);
	return 0;
}

/* Ids are as the bench made them, so that no page need be looked into. */
static int run_pages(char **argv)
{
	int64_t chats = number_of(argv[2], 1), pages = number_of(argv[3], 1);
	int64_t size = number_of(argv[4], 1);
	size_t bytes = 0;
	CURL *curl = authorised(argv[1], NULL, &bytes);
	uint64_t began = now_ns();
	char url[512];

	for (int64_t chat = 0; chat < chats; chat++)
		for (int64_t page = 0; page < pages; page++) {
			snprintf(url, sizeof(url),
				"%s/chats/chat-%lld/messages?limit=%lld&after_id=m-%lld-%lld",
				argv[0], (long long)chat, (long long)size, (long long)chat,
				(long long)(page * size + 1));
			perform(curl, url);
		}
	return print_transfer(bytes, began);
}

static int run_get(char **argv)
{
	size_t bytes = 0;
	CURL *curl = authorised(argv[1], NULL, &bytes);
	uint64_t began = now_ns();

	perform(curl, argv[0]);
	return print_transfer(bytes, began);
}

static int run_patch(char **argv)
{
	static const char *const lines[] = { "Tus-Resumable: 1.0.0", "Upload-Offset: 0",
		"Content-Type: application/offset+octet-stream" };
	struct curl_slist *headers = NULL;
	size_t size, answered = 0;
	FILE *file = fopen(argv[2], "rb");
	uint64_t began = now_ns();
	CURL *curl;

	if (!file || fseek(file, 0, SEEK_END) < 0)
		die("%s", argv[2]);
	size = (size_t)ftell(file);
	rewind(file);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		headers = curl_slist_append(headers, lines[i]);
	curl = authorised(argv[1], headers, &answered);
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PATCH");
	curl_easy_setopt(curl, CURLOPT_READDATA, file);
	curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
	perform(curl, argv[0]);
	fclose(file);
	return print_transfer(size, began);
}

int main(int argc, char **argv)
{
	struct session s = { 0 };

	curl_global_init(CURL_GLOBAL_DEFAULT);
	s.echoes = argc == 3 && strcmp(argv[1], "echo") == 0;
	if (s.echoes)
		return run_session(&s, argv[2], 0);
	if (argc == 4 && strcmp(argv[1], "idle") == 0)
		return run_session(&s, argv[2], (uint16_t)number_of(argv[3], 1));
	if (argc == 5 && strcmp(argv[1], "relay") == 0)
		return run_relay(&s, argv + 2);
	if (argc == 7 && strcmp(argv[1], "pages") == 0)
		return run_pages(argv + 2);
	if (argc == 4 && strcmp(argv[1], "get") == 0)
		return run_get(argv + 2);
	if (argc == 5 && strcmp(argv[1], "patch") == 0)
		return run_patch(argv + 2);
	fputs(usage, stderr);
	return 2;
}
