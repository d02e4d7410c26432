/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the service manager and the log are told stays a line, whatever the server says. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "notify.h"
#include "store/write.h"

static struct repository_status status;
static const struct repository_observer *observer;
static void *observer_data;

/* What stands below the notifier. */

void repository_get_status(struct repository *r, struct repository_status *ret)
{
	*ret = status;
}

void repository_add_observer(
	struct repository *r, const struct repository_observer *o, void *userdata)
{
	observer = o;
	observer_data = userdata;
}

void repository_remove_observer(struct repository *r, const void *userdata)
{
	observer = NULL;
}

const char *session_state_to_string(enum session_state s)
{
	return "BACKOFF";
}

int64_t store_unread_total(struct store *s)
{
	return 2;
}

int store_write_state(const struct store *s)
{
	return 0;
}

int store_probe(struct store *s)
{
	return 0;
}

int store_try_write(struct store *s)
{
	return 0;
}

struct manager_end {
	int fd;
	char told[1024]; /* the last datagram */
};

static const char *receive(struct manager_end *m)
{
	ssize_t n = recv(m->fd, m->told, sizeof(m->told) - 1, MSG_DONTWAIT);

	m->told[n > 0 ? n : 0] = '\0';
	return m->told;
}

static void open_end(struct manager_end *m)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char name[64];

	/* Abstract: nothing is left behind. */
	snprintf(name, sizeof(name), "@chatd-test-notify-%d", (int)getpid());
	memcpy(address.sun_path, name, strlen(name));
	address.sun_path[0] = '\0';
	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		bind(m->fd, (struct sockaddr *)&address,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
		0);
	setenv("NOTIFY_SOCKET", name, 1);
}

static void the_server_s_words_are_no_fields(void **state)
{
	_cleanup_(event_loop_freep) struct event_loop *loop = event_loop_new();
	_cleanup_(barrier_freep) struct barrier *barrier = barrier_new(loop);
	struct notifier_options o = { .loop = loop, .barrier = barrier };
	struct manager_end end;
	struct notifier *n;

	open_end(&end);
	status = (struct repository_status){ .connection.last_error = "no\nREADY=1\r\x1b[2J" };
	assert_int_equal(notifier_new(&o, &n), 0);
	/* Neither is looked into by what stands below here. */
	notifier_open(n, (struct store *)&end, (struct repository *)&end);
	notifier_ready(n);
	for (int i = 0; i < 3; i++)
		event_loop_turn(loop, false);
	assert_string_equal(receive(&end),
		"READY=1\nSTATUS=BACKOFF: no READY=1  [2J; not signed in, use 'chatctl login "
		"SERVER USER'");
	status.signed_in = true;
	status.user_id = "me\nMAINPID=1";
	status.server = "http://x";
	observer->on_connection(observer_data, NULL);
	event_loop_turn(loop, false);
	assert_string_equal(receive(&end),
		"STATUS=BACKOFF: no READY=1  [2J; @me MAINPID=1 at http://x; 2 unread, 0 pending, "
		"0 failed");
	notify_failed_start("the file is\nWATCHDOG=trigger");
	assert_string_equal(receive(&end), "STATUS=the file is WATCHDOG=trigger");
	notifier_close(n, NULL);
	notifier_free(n);
	unsetenv("NOTIFY_SOCKET");
	close(end.fd);
}

static void an_entry_of_the_log_is_a_line(void **state)
{
	int kept = dup(STDERR_FILENO), ends[2];
	char text[200];
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	log_init("chatd");
	dup2(ends[1], STDERR_FILENO);
	log_info("the server says: %s", "bye\n<0>chatd: all is lost\t\x1b[1m");
	dup2(kept, STDERR_FILENO);
	n = read(ends[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_string_equal(text, "chatd: the server says: bye <0>chatd: all is lost  [1m\n");
	close(kept);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_server_s_words_are_no_fields),
		cmocka_unit_test(an_entry_of_the_log_is_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
