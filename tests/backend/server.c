/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "http.h"
#include "push.h"
#include "session.h"

#define STOP_WITHIN_US (2 * LWS_USEC_PER_SEC)
#define GATHER_US 10000
#define DESCRIPTORS 65536 /* asked for; the hard limit may grant fewer */

static void stop(struct server *server);

static int signal_callback(
	struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct server *server = lws_context_user(lws_get_context(wsi));
	struct signalfd_siginfo info;
	int r;

	if (reason != LWS_CALLBACK_RAW_RX_FILE)
		return 0;
	while (read(server->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGHUP) {
			stop(server);
			continue;
		}
		r = users_load(server->users, server->config.users_file);
		if (r < 0)
			log_error("the users file was not read again: %s", strerror(-r));
	}
	return 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = "http",
		.callback = http_callback,
		.per_session_data_size = sizeof(struct exchange *) },
	{ .name = "chat.v1",
		.callback = session_callback,
		.per_session_data_size = sizeof(struct session *),
		.rx_buffer_size = 8192 },
	{ .name = "push", .callback = push_callback },
	{ .name = "signals", .callback = signal_callback },
	{ 0 },
};

static void on_lws_log(int level, const char *line)
{
	log_debug("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("the limit of descriptors stays low: %s", strerror(errno));
}

static int make_directories(const char *directory)
{
	char path[4096];

	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (snprintf(path, sizeof(path), "%s/bytes", directory) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* Bytes whose row never came to be, or is gone, are dropped. */
static int sweep_bytes(struct server *server)
{
	char path[4096];
	struct dirent *entry;
	struct upload u;
	DIR *d;

	snprintf(path, sizeof(path), "%s/bytes", server->config.data_directory);
	d = opendir(path);
	if (!d)
		return -errno;
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.' &&
			upload_find(server->store, entry->d_name, &u) == -ENOENT)
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	return 0;
}

static int open_data(struct server *server)
{
	const struct config *c = &server->config;
	int64_t epoch = 0;
	int r = make_directories(c->data_directory);

	if (r < 0)
		return r;
	server->users = users_new();
	if (!server->users)
		return -ENOMEM;
	r = users_load(server->users, c->users_file);
	if (r < 0)
		return r;
	r = store_open(c->data_directory, &server->store);
	if (r < 0)
		return r;
	r = store_get_setting(server->store, "token_epoch", &epoch);
	if (r < 0 && r != -ENOENT)
		return r;
	r = token_issuer_open(&server->tokens, c->data_directory, c->token_ttl_s, epoch);
	if (r == 0)
		r = chats_open(server->store, server->users, &server->chats);
	return r < 0 ? r : sweep_bytes(server);
}

static int watch_signals(struct server *server)
{
	lws_sock_file_fd_type fd;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd.filefd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd.filefd < 0)
		return -errno;
	server->signal_fd = fd.filefd;
	if (lws_adopt_descriptor_vhost(server->vhost, LWS_ADOPT_RAW_FILE_DESC, fd, "signals", NULL))
		return 0;
	close(fd.filefd);
	return -EIO;
}

static int add_vhost(struct server *server, const struct lws_context_creation_info *info,
	struct lws_vhost **ret, char *ret_origin, size_t size)
{
	*ret = lws_create_vhost(server->lws, info);
	if (!*ret)
		return -EADDRINUSE;
	snprintf(ret_origin, size, "http://127.0.0.1:%d", lws_get_vhost_listen_port(*ret));
	return 0;
}

static int start_listening(struct server *server)
{
	struct lws_context_creation_info info = {
		.port = server->config.port,
		.iface = "127.0.0.1",
		.protocols = protocols,
		.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DISABLE_IPV6,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
		.user = server,
		.pt_serv_buf_size = 65536,
		.max_http_header_data = 8192,
		.max_http_header_pool = 1024,
		.retry_and_idle_policy = &server->idle_policy,
		.keepalive_timeout = 60,
		.timeout_secs = 30,
	};
	int r;

	/* A client pings sooner than this; one that does not even answer is gone. */
	server->idle_policy.secs_since_valid_ping = (uint16_t)(3 * server->config.heartbeat_s);
	server->idle_policy.secs_since_valid_hangup = (uint16_t)(5 * server->config.heartbeat_s);
	lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
	server->lws = lws_create_context(&info);
	if (!server->lws)
		return -EIO;
	r = add_vhost(server, &info, &server->vhost, server->origin, sizeof(server->origin));
	if (r == 0 && server->config.cdn) {
		info.port = server->config.cdn_port;
		info.vhost_name = "cdn";
		r = add_vhost(server, &info, &server->cdn_vhost, server->cdn_origin,
			sizeof(server->cdn_origin));
	}
	return r < 0 ? r : watch_signals(server);
}

int server_open(struct server *server, const struct config *config)
{
	int r;

	*server = (struct server){ .config = *config };
	TAILQ_INIT(&server->sessions);
	TAILQ_INIT(&server->waking_sessions);
	TAILQ_INIT(&server->deliveries);
	TAILQ_INIT(&server->exchanges);
	TAILQ_INIT(&server->waking_exchanges);
	faults_init(&server->faults);
	raise_descriptor_limit();
	r = open_data(server);
	return r < 0 ? r : start_listening(server);
}

static int commit(struct server *server)
{
	uint64_t barrier = store_barrier(server->store);
	int r = chats_flush(server->chats);

	if (r == 0 && !store_committed(server->store, barrier))
		server->stats.commits++;
	return r == 0 ? store_commit(server->store) : r;
}

void server_close(struct server *server)
{
	if (server->lws) {
		lws_sul_cancel(&server->stop_timer);
		lws_context_destroy(server->lws);
		server->lws = NULL;
		push_close(server);
	}
	if (server->store && server->chats)
		(void)commit(server);
	faults_clear(&server->faults);
	server->chats = chats_free(server->chats);
	server->store = store_close(server->store);
	server->users = users_free(server->users);
}

static void on_stop_overdue(lws_sorted_usec_list_t *sul)
{
	struct server *server = lws_container_of(sul, struct server, stop_timer);

	server->stopped = true;
	lws_cancel_service(server->lws);
}

static void stop(struct server *server)
{
	struct session *s, *next;

	if (server->stopping)
		return;
	server->stopping = true;
	lws_sul_schedule(server->lws, 0, &server->stop_timer, on_stop_overdue, STOP_WITHIN_US);
	for (s = TAILQ_FIRST(&server->sessions); s; s = next) {
		next = TAILQ_NEXT(s, by_server);
		session_bye(s, "shutdown", 0);
	}
}

/* After the commit, lets go what waited for it. */
static int end_turn(struct server *server)
{
	struct session *s;
	struct exchange *x;
	int r = commit(server);

	if (r < 0)
		return r;
	while ((s = TAILQ_FIRST(&server->waking_sessions))) {
		TAILQ_REMOVE(&server->waking_sessions, s, by_waking);
		s->waking = false;
		lws_callback_on_writable(s->wsi);
	}
	while ((x = TAILQ_FIRST(&server->waking_exchanges))) {
		TAILQ_REMOVE(&server->waking_exchanges, x, by_waking);
		x->waking = false;
		exchange_wake(x);
	}
	if (server->stopping && TAILQ_EMPTY(&server->sessions))
		server->stopped = true;
	return 0;
}

/*
 * A commit costs the same for one message as for a thousand, so what is coming in anyway is taken
 * along, for a bounded time.
 */
static int gather(struct server *server)
{
	uint64_t until = clock_monotonic_us() + GATHER_US, before;

	do {
		before = server->arrivals;
		if (store_committed(server->store, store_barrier(server->store)))
			return 0;
		if (lws_service(server->lws, -1) < 0)
			return -EIO;
	} while (server->arrivals != before && clock_monotonic_us() < until);
	return 0;
}

int server_run(struct server *server)
{
	int r = 0;

	while (r == 0 && !server->stopped) {
		if (lws_service(server->lws, 0) < 0)
			return -EIO;
		r = gather(server);
		if (r == 0)
			r = end_turn(server);
	}
	return r;
}

void server_bytes_url(const struct server *server, const char *attachment, enum variant variant,
	char *ret, size_t size)
{
	char path[160], key[TOKEN_KEY_SIZE];

	snprintf(path, sizeof(path), "/attachments/%s/%s", attachment, variant_name(variant));
	if (!server->cdn_vhost) {
		snprintf(ret, size, "%s%s",
			server->config.origin ? server->config.origin : server->origin, path);
		return;
	}
	token_sign_text(&server->tokens, path, key);
	snprintf(ret, size, "%s%s?key=%s", server->cdn_origin, path, key);
}

bool server_key_is_right(const struct server *server, const char *path, const char *key)
{
	char right[TOKEN_KEY_SIZE];

	token_sign_text(&server->tokens, path, right);
	return strlen(key) == TOKEN_KEY_SIZE - 1 &&
		sodium_memcmp(key, right, TOKEN_KEY_SIZE - 1) == 0;
}
