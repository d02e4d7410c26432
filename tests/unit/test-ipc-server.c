/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The socket in the file system, and who may come in. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "ipc/server.h"
#include "temporary.h"
#include "test-ipc-fakes.h"

static char directory[PATH_MAX], inside[PATH_MAX], path[PATH_MAX];
static struct api *api;
static struct server *server;
static struct test_client c;
static unsigned fds_before;

static int setup(void **state)
{
	fds_before = test_count_fds();
	temporary_make(directory);
	snprintf(inside, sizeof(inside), "%.3000s/chatd", directory);
	snprintf(path, sizeof(path), "%.3000s/a.sock", inside);
	fake_start();
	api = test_api_new();
	assert_int_equal(server_new(api, 3, &server), 0);
	c = (struct test_client){ .fd = -1 };
	return 0;
}

static int teardown(void **state)
{
	test_client_close(&c);
	server = server_free(server);
	api = test_api_free(api);
	fake_stop();
	temporary_remove(inside);
	temporary_remove(directory);
	assert_int_equal(test_count_fds(), fds_before);
	return 0;
}

static int connect_to(const char *at)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", at);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void open_client(void)
{
	c = (struct test_client){ .fd = connect_to(path) };
	assert_true(c.fd >= 0);
}

static mode_t mode_of(const char *at)
{
	struct stat st;

	assert_int_equal(lstat(at, &st), 0);
	return st.st_mode & 07777;
}

static void the_socket_is_the_users_alone(void **state)
{
	_cleanup_free_ char *hello = NULL;
	mode_t mask = umask(0);

	assert_int_equal(server_listen_at(server, path), 0);
	umask(mask);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(mode_of(inside), 0700);
	open_client();
	hello = test_client_read_text(&c);
	assert_non_null(strstr(hello, "\"scope\":\"full\""));
	server = server_free(server);
	assert_int_equal(access(path, F_OK), -1);
	/* The directory stays: others may have theirs in it. */
	assert_int_equal(access(inside, F_OK), 0);
}

static void a_live_daemon_keeps_its_socket(void **state)
{
	struct server *second;

	assert_int_equal(server_listen_at(server, path), 0);
	assert_int_equal(server_new(api, 3, &second), 0);
	assert_int_equal(server_listen_at(second, path), -EADDRINUSE);
	server_free(second);
	open_client();
	free(test_client_read_text(&c));
	assert_non_null(strchr(path, '/'));
}

static void a_busy_daemon_is_a_live_one(void **state)
{
	int fds[200], n = 0;
	struct server *second;

	assert_int_equal(server_listen_at(server, path), 0);
	/* Nobody accepts: the queue fills up. */
	while (n < 200 && (fds[n] = connect_to(path)) >= 0)
		n++;
	assert_in_range(n, 100, 199);
	assert_int_equal(server_new(api, 3, &second), 0);
	assert_int_equal(server_listen_at(second, path), -EADDRINUSE);
	server_free(second);
	while (n > 0)
		close(fds[--n]);
}

static void a_socket_left_behind_is_replaced(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(mkdir(inside, 0700), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	assert_int_equal(server_listen_at(server, path), 0);
	open_client();
	free(test_client_read_text(&c));
}

static void what_is_no_socket_is_left_alone(void **state)
{
	int fd;

	assert_int_equal(mkdir(inside, 0700), 0);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_true(server_listen_at(server, path) < 0);
	assert_int_equal(access(path, F_OK), 0);
}

static void a_successor_keeps_its_socket(void **state)
{
	struct server *second;

	assert_int_equal(server_listen_at(server, path), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(server_new(api, 3, &second), 0);
	assert_int_equal(server_listen_at(second, path), 0);
	server = server_free(server);
	assert_int_equal(access(path, F_OK), 0);
	server = second;
}

static void a_directory_open_to_others_is_refused(void **state)
{
	assert_int_equal(mkdir(inside, 0700), 0);
	assert_int_equal(chmod(inside, 0770), 0);
	assert_int_equal(server_listen_at(server, path), -EPERM);
	assert_int_equal(mode_of(inside), 0770);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
	char longer[PATH_MAX];

	snprintf(longer, sizeof(longer), "%.100s/%0100d", directory, 0);
	assert_int_equal(server_listen_at(server, longer), -ENAMETOOLONG);
	assert_int_equal(server_listen_at(server, "name"), -EINVAL);
}

static void one_too_many_is_told_and_let_go(void **state)
{
	_cleanup_free_ char *line = NULL;
	int fds[3];

	assert_int_equal(server_listen_at(server, path), 0);
	for (int i = 0; i < 3; i++)
		fds[i] = connect_to(path);
	fake_settle();
	open_client();
	line = test_client_read_text(&c);
	assert_non_null(strstr(line, "\"kind\":\"busy\""));
	assert_null(test_client_read_text(&c));
	assert_true(c.eof);
	/* When one goes there is room again. */
	close(fds[0]);
	fake_settle();
	test_client_close(&c);
	open_client();
	free(line);
	line = test_client_read_text(&c);
	assert_non_null(strstr(line, "hello"));
	close(fds[1]);
	close(fds[2]);
}

static void a_socket_can_have_a_scope(void **state)
{
	_cleanup_free_ char *line = NULL;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(mkdir(inside, 0700), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(server_listen_on(server, fd, SCOPE_READ), 0);
	open_client();
	line = test_client_read_text(&c);
	assert_non_null(strstr(line, "\"scope\":\"read\""));
	unlink(path);
}

/*
 * Without descriptors the daemon stops accepting for a moment instead of spinning, and then goes
 * on.
 */
static void running_out_of_descriptors_is_survived(void **state)
{
	_cleanup_free_ char *hello = NULL;
	struct rlimit limit, low;
	int hog;

	assert_int_equal(server_listen_at(server, path), 0);
	open_client();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	hog = open("/", O_RDONLY | O_CLOEXEC);
	low = limit;
	low.rlim_cur = (rlim_t)hog;
	close(hog);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	fake_settle();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (!(hello = test_client_read_text(&c)))
		event_loop_turn(fake.loop, true);
}

static void what_waits_is_written_before_the_end(void **state)
{
	_cleanup_free_ char *text = malloc(60001), *line = NULL;
	unsigned answers = 0;

	memset(text, 'x', 60000);
	text[60000] = '\0';
	fake.text = text;
	assert_int_equal(server_listen_at(server, path), 0);
	open_client();
	free(test_client_read_text(&c));
	for (int i = 0; i < 3; i++)
		test_client_line(&c,
			"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"messages.get\",\"params\":{"
			"\"message_id\":\"m1\"}}");
	fake_settle();
	server_drain(server, 500);
	server = server_free(server);
	while ((line = test_client_read_text(&c))) {
		answers++;
		free(line);
	}
	assert_int_equal(answers, 3);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_socket_is_the_users_alone),
		test(a_live_daemon_keeps_its_socket),
		test(a_busy_daemon_is_a_live_one),
		test(a_socket_left_behind_is_replaced),
		test(what_is_no_socket_is_left_alone),
		test(a_successor_keeps_its_socket),
		test(a_directory_open_to_others_is_refused),
		test(a_path_that_is_too_long_is_refused),
		test(one_too_many_is_told_and_let_go),
		test(a_socket_can_have_a_scope),
		test(running_out_of_descriptors_is_survived),
		test(what_waits_is_written_before_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
