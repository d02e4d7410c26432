/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The least that a program like the daemon is: the same libraries, an open database, a socket that
 * is answered, and if asked for the session's bus and one request over TLS.
 */
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <ini.h>
#include <libwebsockets.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "bare-db.h"
#include "tool.h"

static const char usage[] =
	"Usage: bare-daemon DB KEY (SOCKET | -) [URL CA-FILE]\n"
	"With -, the socket is handed over by systemd. With URL, connects to the session's bus\n"
	"and makes one request first. Answers every line with {}.\n";

struct bare_daemon {
	struct bare_db db;
	struct event_base *base;
	sd_bus *bus;
	CURL *curl;
};

static void on_client(evutil_socket_t fd, short what, void *userdata)
{
	static struct lines lines;
	size_t size;

	lines.fd = fd;
	if (lines_fill(&lines) == 0) {
		event_free(userdata);
		close(fd);
		return;
	}
	while (lines_have(&lines, &size))
		write_all(fd, "{}\n", 3);
}

static void on_listener(evutil_socket_t listener, short what, void *userdata)
{
	struct bare_daemon *d = userdata;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct event *e =
		event_new(d->base, fd, EV_READ | EV_PERSIST, on_client, event_self_cbarg());

	if (fd < 0 || !e)
		die("accept");
	event_add(e, NULL);
	write_all(fd, "{}\n", 3);
}

static void on_terminate(evutil_socket_t signo, short what, void *userdata)
{
	event_base_loopbreak(userdata);
}

static size_t take_nothing(char *data, size_t size, size_t n, void *userdata)
{
	return size * n;
}

static void open_net(struct bare_daemon *d, const char *url, const char *ca_file)
{
	CURLcode rc;

	errno = 0;
	if (sd_bus_open_user(&d->bus) < 0)
		die("no bus");
	d->curl = curl_easy_init();
	curl_easy_setopt(d->curl, CURLOPT_URL, url);
	curl_easy_setopt(d->curl, CURLOPT_CAINFO, ca_file);
	curl_easy_setopt(d->curl, CURLOPT_WRITEFUNCTION, take_nothing);
	rc = curl_easy_perform(d->curl);
	if (rc != CURLE_OK)
		die("%s: %s", url, curl_easy_strerror(rc));
}

static void serve(struct bare_daemon *d, int listener)
{
	struct event *accepting, *ending;

	d->base = event_base_new();
	accepting = event_new(d->base, listener, EV_READ | EV_PERSIST, on_listener, d);
	ending = evsignal_new(d->base, SIGTERM, on_terminate, d->base);
	event_add(accepting, NULL);
	event_add(ending, NULL);
	if (d->curl) {
		puts("ready");
		fflush(stdout);
	}
	event_base_dispatch(d->base);
	event_free(accepting);
	event_free(ending);
	event_base_free(d->base);
}

/* What the linker loads for the daemon, it must load here: it leaves out what nobody calls. */
static void show_libraries(void)
{
	printf("%s, %s, %s, %s, %s, %p\n", lws_get_library_version(), curl_version(),
		cJSON_Version(), event_get_version(), OpenSSL_version(OPENSSL_VERSION),
		(void *)(uintptr_t)ini_parse);
}

int main(int argc, char **argv)
{
	struct bare_daemon d = { 0 };
	int listener;

	if (argc == 2 && strcmp(argv[1], "--libraries") == 0) {
		show_libraries();
		return 0;
	}
	if ((argc != 4 && argc != 6) || sodium_init() < 0) {
		fputs(usage, stderr);
		return 2;
	}
	bare_db_open(&d.db, argv[1], argv[2]);
	listener = strcmp(argv[3], "-") == 0 ? 3 : unix_listen(argv[3], 512);
	if (argc == 6)
		open_net(&d, argv[4], argv[5]);
	serve(&d, listener);
	curl_easy_cleanup(d.curl);
	sd_bus_flush_close_unref(d.bus);
	bare_db_close(&d.db);
	return 0;
}
