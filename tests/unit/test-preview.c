/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/event-loop.h"
#include "preview/image.h"
#include "preview/jpeg-strip.h"
#include "preview/preview.h"
#include "preview/sandbox.h"

#define GUARD_US 60000000 /* a test that waits so long has failed */

static void knows_formats_by_their_first_bytes(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		int format; /* -1: none */
	} cases[] = {
		{ "\xff\xd8\xff\xe0", 4, IMAGE_JPEG },
		{ "\xff\xd8", 2, -1 },
		{ "\x89PNG\r\n\x1a\n", 8, IMAGE_PNG },
		{ "\x89PNG\n\x1a\n\0", 8, -1 },
		{ "RIFF\4\0\0\0WEBP", 12, IMAGE_WEBP },
		{ "RIFF\4\0\0\0WAVE", 12, -1 },
		{ "RIFF\4\0\0\0WEB", 11, -1 },
		{ "GIF87a", 6, IMAGE_GIF },
		{ "GIF89a", 6, IMAGE_GIF },
		{ "GIF88a", 6, -1 },
		{ "\0\0\0\x18"
		  "ftypheic",
			12, IMAGE_HEIF },
		{ "\0\0\0\x18"
		  "ftypmif1",
			12, IMAGE_HEIF },
		{ "\0\0\0\x18"
		  "ftypavif",
			12, IMAGE_HEIF },
		{ "\0\0\0\x18"
		  "ftypmp42",
			12, -1 },
		{ "<svg>", 5, -1 },
		{ "%PDF-1.4", 8, -1 },
		{ "II*\0\10\0\0\0", 8, -1 },
		{ "text", 4, -1 },
		{ "", 0, -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum image_format format = IMAGE_JPEG;
		int r = image_sniff((const uint8_t *)cases[i].bytes, cases[i].size, &format);

		assert_int_equal(r, cases[i].format < 0 ? -ENOTSUP : 0);
		if (r == 0)
			assert_int_equal(format, cases[i].format);
	}
}

#define SOI "\xff\xd8"
#define EOI "\xff\xd9"
#define JFIF "\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
#define JFIF_THUMBNAIL "\xff\xe0\0\x13JFIF\0\1\1\0\0\1\0\1\1\1abc"
#define EXIF             \
	"\xff\xe1\0\x0c" \
	"Exif\0\0GPS!"
#define IPTC "\xff\xed\0\6IPTC"
#define COMMENT "\xff\xfe\0\7hello"
#define ICC "\xff\xe2\0\x12ICC_PROFILE\0\1\1pp"
#define MPF "\xff\xe2\0\7MPF\0x"
#define ADOBE            \
	"\xff\xee\0\x0e" \
	"Adobe\0d\0\0\0\0\1"
#define DQT "\xff\xdb\0\4xy"
#define SOS              \
	"\xff\xda\0\4zz" \
	"data\xff\0data\xff\xd0more\xff\xd7"
#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

static void strip_keeps_pixels_and_colours(void **state)
{
	static const char from[] = SOI JFIF_THUMBNAIL EXIF ICC MPF IPTC ADOBE COMMENT DQT
		"\xff" SOS COMMENT DQT SOS EOI "trailing" SOI EOI;
	static const char to[] = SOI JFIF ICC ADOBE DQT SOS DQT SOS EOI;
	struct buffer out = { 0 };

	assert_int_equal(jpeg_strip(BYTES(from), &out), 0);
	assert_int_equal(buffer_size(&out), sizeof(to) - 1);
	assert_memory_equal(buffer_bytes(&out), to, sizeof(to) - 1);
	buffer_clear(&out);
}

/* The end is an end behind fill bytes as well: what follows could be taken for its segment. */
static void strip_stops_at_an_end_behind_fill_bytes(void **state)
{
	static const char from[] = SOI DQT "\xff\xff" EOI "\0\6GPS!" EOI;
	static const char to[] = SOI DQT EOI;
	struct buffer out = { 0 };

	assert_int_equal(jpeg_strip(BYTES(from), &out), 0);
	assert_int_equal(buffer_size(&out), sizeof(to) - 1);
	assert_memory_equal(buffer_bytes(&out), to, sizeof(to) - 1);
	buffer_clear(&out);
}

static void strip_refuses_what_is_cut_off(void **state)
{
	static const char whole[] = SOI JFIF EXIF DQT SOS DQT SOS EOI;

	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		struct buffer out = { 0 };
		_cleanup_free_ uint8_t *cut = malloc(n + 1);

		memcpy(cut, whole, n);
		assert_int_equal(jpeg_strip(cut, n, &out), -EBADMSG);
		buffer_clear(&out);
	}
}

static void strip_refuses_lengths_that_lead_outside(void **state)
{
	static const char *const bad[] = { SOI "\xff\xdb\0\1", SOI "\xff\xdb\0",
		SOI "\xff\xdb\xff\xff" EOI, SOI DQT "garbage" EOI, SOI "\xff\xff\xff\xff",
		SOI SOI "\1\1", SOI "\xff\xd0\1\1", SOI "\xff\1\1\1" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct buffer out = { 0 };

		assert_int_equal(
			jpeg_strip((const uint8_t *)bad[i], strlen(bad[i]), &out), -EBADMSG);
		buffer_clear(&out);
	}
}

/*
 * What the sandbox is asked about in a process of its own, whose exit code is the number of the
 * first wrong answer.
 */

static void *return_argument(void *argument)
{
	return argument;
}

static bool threads_work(void)
{
	pthread_t thread;
	void *result = NULL;
	int x;

	return pthread_create(&thread, NULL, return_argument, &x) == 0 &&
		pthread_join(thread, &result) == 0 && result == &x;
}

static bool memory_works(void)
{
	volatile char *large = malloc(8 << 20);

	if (!large)
		return false;
	large[5 << 20] = 1;
	free((void *)large);
	return true;
}

static bool can_make_socket(void)
{
	int fds[2];

	return socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ||
		socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0;
}

static bool can_open(void)
{
	return open("/dev/null", O_RDONLY) >= 0 || open("/dev/null", O_WRONLY) >= 0 ||
		open("/tmp", O_RDONLY | O_DIRECTORY) >= 0 || openat(AT_FDCWD, "/", O_PATH) >= 0;
}

static bool can_gain_descriptor(void)
{
	int fds[2];

	return dup(0) >= 0 || fcntl(0, F_DUPFD, 0) >= 0 || pipe(fds) == 0 ||
		memfd_create("x", 0) >= 0;
}

static bool can_make_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0;
}

static bool can_run_program(void)
{
	execl("/bin/true", "true", NULL);
	return false; /* were it possible, the exit code would be true's */
}

static bool can_run_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
		MAP_FAILED;
}

static bool can_make_memory_runnable(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED || mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool can_raise_limits(void)
{
	struct rlimit l = { 100, 100 };

	return setrlimit(RLIMIT_NOFILE, &l) == 0;
}

static bool can_reach_others(void)
{
	return kill(getppid(), 0) == 0 || unlink("/nonexistent") == 0 || errno == ENOENT;
}

#define IS_SHUT_IN 77

static int examine_sandbox(void)
{
	static bool (*const forbidden[])(void) = { can_make_socket, can_open, can_gain_descriptor,
		can_make_process, can_run_program, can_run_memory, can_make_memory_runnable,
		can_raise_limits, can_reach_others };
	static bool (*const needed[])(void) = { threads_work, memory_works };

	if (sandbox_begin() < 0)
		return 1;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || sandbox_lock() < 0)
		return 2;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!needed[i]())
			return 10 + (int)i;
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
		if (forbidden[i]())
			return 20 + (int)i;
	return IS_SHUT_IN;
}

static void the_sandbox_shuts_in(void **state)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(examine_sandbox());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), IS_SHUT_IN);
}

/* The running of the helper. */

struct fixture {
	struct event_loop *loop;
	struct loop_timer *guard;
	char directory[PATH_MAX];
	char helper[PATH_MAX + 16];
	struct preview_options options;
	int image;
	unsigned n_called;
	bool failed;
	enum preview_error error;
	struct preview_result result;
	struct preview *preview;
};

static void on_preview(
	void *userdata, const enum preview_error *error, struct preview_result *result)
{
	struct fixture *f = userdata;

	f->n_called++;
	f->preview = NULL;
	f->failed = error;
	if (error) {
		f->error = *error;
		return;
	}
	f->result = *result;
	result->full_fd = result->preview_fd = -1;
}

static void on_guard(void *userdata)
{
	print_error("waited too long\n");
	abort();
}

static void wait_for_preview(struct fixture *f)
{
	unsigned before = f->n_called;

	loop_timer_start_us(f->guard, GUARD_US);
	while (f->n_called == before)
		event_loop_turn(f->loop, true);
	loop_timer_stop(f->guard);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	snprintf(f->directory, sizeof(f->directory), "%s/test-preview-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->helper, sizeof(f->helper), "%s/helper", f->directory);
	f->loop = event_loop_new();
	f->guard = loop_timer_new(f->loop, on_guard, f);
	f->options.helper = PREVIEW_HELPER;
	f->image = open(TEST_DATA "/wide-gamut.jpg", O_RDONLY | O_CLOEXEC);
	assert_true(f->image >= 0);
	f->result.full_fd = f->result.preview_fd = -1;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	preview_cancel(f->preview);
	closep(&f->result.full_fd);
	closep(&f->result.preview_fd);
	closep(&f->image);
	loop_timer_free(f->guard);
	event_loop_free(f->loop);
	unlink(f->helper);
	rmdir(f->directory);
	free(f);
	return 0;
}

/* Puts a shell script in the helper's place. */
static void pretend(struct fixture *f, const char *script)
{
	_cleanup_close_ int fd = open(f->helper, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "#!/bin/sh\nexport PATH=/usr/bin:/bin\n%s\n", script) > 0);
	f->options.helper = f->helper;
}

static void run(struct fixture *f, int fd)
{
	assert_int_equal(preview_start(f->loop, &f->options, fd, on_preview, f, &f->preview), 0);
	assert_int_equal(f->n_called, 0);
	wait_for_preview(f);
	assert_int_equal(f->n_called, 1);
	f->n_called = 0;
}

static void expect_error(struct fixture *f, enum preview_error error)
{
	assert_true(f->failed);
	assert_string_equal(preview_error_to_string(f->error), preview_error_to_string(error));
	assert_true(strlen(preview_error_text(error)) > 10);
}

static void check_sha256(const struct preview_result *result)
{
	unsigned char digest[crypto_hash_sha256_BYTES];
	char hex[PREVIEW_SHA256_SIZE];
	void *bytes =
		mmap(NULL, (size_t)result->full_size, PROT_READ, MAP_PRIVATE, result->full_fd, 0);

	assert_true(bytes != MAP_FAILED);
	crypto_hash_sha256(digest, bytes, (unsigned long long)result->full_size);
	sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
	assert_string_equal(result->sha256, hex);
	munmap(bytes, (size_t)result->full_size);
}

static void check_sealed(int fd)
{
	assert_int_equal(
		fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void makes_sealed_results(void **state)
{
	struct fixture *f = *state;

	lseek(f->image, 100, SEEK_SET);
	run(f, f->image);
	assert_false(f->failed);
	assert_int_equal(f->result.width, 32);
	assert_int_equal(f->result.height, 32);
	assert_int_equal(f->result.preview_width, 32);
	assert_string_equal(f->result.mime, "image/jpeg");
	check_sha256(&f->result);
	check_sealed(f->result.full_fd);
	check_sealed(f->result.preview_fd);
	assert_int_equal(lseek(f->image, 0, SEEK_CUR), 100);
	assert_int_equal(fcntl(f->image, F_GETFD), FD_CLOEXEC);
}

static void hands_its_options_on(void **state)
{
	struct fixture *f = *state;

	f->options.max_side = 20;
	f->options.preview_side = 10;
	run(f, f->image);
	assert_false(f->failed);
	assert_int_equal(f->result.width, 20);
	assert_int_equal(f->result.preview_height, 10);
	closep(&f->result.full_fd);
	closep(&f->result.preview_fd);
	f->options.max_pixels = 32 * 32 - 1;
	run(f, f->image);
	expect_error(f, PREVIEW_TOO_LARGE);
	f->options.max_pixels = 0;
	f->options.max_bytes = 1000;
	run(f, f->image);
	expect_error(f, PREVIEW_TOO_LARGE);
}

static void an_endless_input_is_too_large(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	f->options.max_bytes = 1 << 20;
	run(f, zeros);
	expect_error(f, PREVIEW_TOO_LARGE);
}

static void a_stalled_input_times_out(void **state)
{
	struct fixture *f = *state;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "\xff\xd8\xff", 3), 3);
	f->options.timeout_ms = 50;
	run(f, fds[0]);
	expect_error(f, PREVIEW_TIMED_OUT);
	close(fds[0]);
	close(fds[1]);
}

static void a_pipe_is_read_to_its_end(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[4096];
	ssize_t n = read(f->image, bytes, sizeof(bytes));
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(write(fds[1], bytes, 100), 100);
	assert_int_equal(
		preview_start(f->loop, &f->options, fds[0], on_preview, f, &f->preview), 0);
	event_loop_turn(f->loop, false);
	assert_int_equal(write(fds[1], bytes + 100, (size_t)n - 100), n - 100);
	close(fds[0]);
	close(fds[1]);
	wait_for_preview(f);
	assert_false(f->failed);
	assert_int_equal(f->result.width, 32);
}

static void directories_and_unreadable_descriptors_are_errors(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int directory = open("/", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int unreadable = open("/dev/null", O_WRONLY | O_CLOEXEC);
	_cleanup_close_ int empty = open("/dev/null", O_RDONLY | O_CLOEXEC);

	run(f, directory);
	expect_error(f, PREVIEW_UNSUPPORTED);
	run(f, unreadable);
	expect_error(f, PREVIEW_INVALID);
	run(f, empty);
	expect_error(f, PREVIEW_INVALID);
	assert_int_equal(
		preview_start(f->loop, &f->options, 999, on_preview, f, &f->preview), -EBADF);
}

static void a_helper_that_is_not_there_is_an_error_at_once(void **state)
{
	struct fixture *f = *state;

	f->options.helper = f->helper;
	assert_int_equal(
		preview_start(f->loop, &f->options, f->image, on_preview, f, &f->preview), -ENOENT);
	assert_null(f->preview);
}

/*
 * The helper looks at hostile bytes, so it may have been taken over: it is believed nothing that
 * can be checked.
 */
static void a_lying_helper_is_not_believed(void **state)
{
	static const char *const lies[] = {
		"",
		"exit 0",
		"echo nonsense",
		"echo error",
		"echo error kind=made_up text=x",
		"echo ok",
		"echo ok mime=image/jpeg width=1 height=1 size=5 preview_width=1 preview_height=1 "
		"preview_size=5",
		"printf 12345 >&3; echo ok mime=image/jpeg width=1 height=1 size=5 preview_width=1 "
		"preview_height=1 preview_size=0",
		"printf 12345 >&3; printf 12345 >&4; echo ok mime=image/jpeg width=1 height=1 "
		"size=6 "
		"preview_width=1 preview_height=1 preview_size=5",
		"printf 12345 >&3; printf 12345 >&4; echo ok mime=image/jpeg width=0 height=1 "
		"size=5 "
		"preview_width=1 preview_height=1 preview_size=5",
		"printf 12345 >&3; printf 12345 >&4; echo ok mime=image/jpeg width=99999 height=1 "
		"size=5 "
		"preview_width=1 preview_height=1 preview_size=5",
		"printf 12345 >&3; printf 12345 >&4; echo ok mime=text/html width=1 height=1 "
		"size=5 "
		"preview_width=1 preview_height=1 preview_size=5",
		"head -c 60000 /dev/zero",
		"kill -SEGV $$",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		pretend(f, lies[i]);
		run(f, f->image);
		expect_error(f, PREVIEW_FAILED);
	}
}

static void passes_the_helpers_errors_on(void **state)
{
	static const enum preview_error errors[] = { PREVIEW_UNSUPPORTED, PREVIEW_INVALID,
		PREVIEW_TOO_LARGE };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		char script[128];

		snprintf(script, sizeof(script), "echo error kind=%s text=some words; exit 1",
			preview_error_to_string(errors[i]));
		pretend(f, script);
		run(f, f->image);
		expect_error(f, errors[i]);
	}
	pretend(f, "kill -XCPU $$");
	run(f, f->image);
	expect_error(f, PREVIEW_TIMED_OUT);
	pretend(f, "kill -XFSZ $$");
	run(f, f->image);
	expect_error(f, PREVIEW_TOO_LARGE);
}

static void the_helper_finds_nothing_that_is_ours(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int ours = memfd_create("ours", MFD_CLOEXEC);

	setenv("CHATD_TEST_SECRET", "1", 1);
	assert_true(ours >= 0);
	pretend(f,
		"ls -l /proc/self/fd | grep -q ours && exit 0\n"
		"[ -z \"$CHATD_TEST_SECRET\" ] || exit 0\n"
		"echo error kind=unsupported text=clean");
	run(f, f->image);
	unsetenv("CHATD_TEST_SECRET");
	expect_error(f, PREVIEW_UNSUPPORTED);
}

static void a_large_result_is_hashed_in_parts(void **state)
{
	struct fixture *f = *state;

	pretend(f,
		"head -c 5000001 /dev/zero >&3; printf x >&4; echo ok mime=image/jpeg width=9 "
		"height=8 "
		"size=5000001 preview_width=7 preview_height=6 preview_size=1");
	run(f, f->image);
	assert_false(f->failed);
	assert_int_equal(f->result.full_size, 5000001);
	assert_int_equal(f->result.height, 8);
	assert_int_equal(f->result.preview_height, 6);
	check_sha256(&f->result);
}

static void a_cancelled_preview_is_not_called_back(void **state)
{
	struct fixture *f = *state;

	pretend(f, "exec sleep 1000");
	assert_int_equal(
		preview_start(f->loop, &f->options, f->image, on_preview, f, &f->preview), 0);
	f->preview = preview_cancel(f->preview);
	assert_null(f->preview);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	for (int i = 0; i < 5; i++)
		event_loop_turn(f->loop, false);
	assert_int_equal(f->n_called, 0);
	assert_null(preview_cancel(NULL));
}

static void several_run_at_once(void **state)
{
	struct fixture *f = *state;
	struct preview *previews[4];

	for (size_t i = 0; i < ARRAY_SIZE(previews); i++) {
		f->options.max_pixels = 1; /* an answer without descriptors to look after */
		assert_int_equal(
			preview_start(f->loop, &f->options, f->image, on_preview, f, &previews[i]),
			0);
	}
	while (f->n_called < ARRAY_SIZE(previews))
		wait_for_preview(f);
	assert_int_equal(f->n_called, ARRAY_SIZE(previews));
	expect_error(f, PREVIEW_TOO_LARGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_formats_by_their_first_bytes),
		cmocka_unit_test(strip_keeps_pixels_and_colours),
		cmocka_unit_test(strip_stops_at_an_end_behind_fill_bytes),
		cmocka_unit_test(strip_refuses_what_is_cut_off),
		cmocka_unit_test(strip_refuses_lengths_that_lead_outside),
		cmocka_unit_test(the_sandbox_shuts_in),
		TEST(makes_sealed_results),
		TEST(hands_its_options_on),
		TEST(an_endless_input_is_too_large),
		TEST(a_stalled_input_times_out),
		TEST(a_pipe_is_read_to_its_end),
		TEST(directories_and_unreadable_descriptors_are_errors),
		TEST(a_helper_that_is_not_there_is_an_error_at_once),
		TEST(a_lying_helper_is_not_believed),
		TEST(passes_the_helpers_errors_on),
		TEST(the_helper_finds_nothing_that_is_ours),
		TEST(a_large_result_is_hashed_in_parts),
		TEST(a_cancelled_preview_is_not_called_back),
		TEST(several_run_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
