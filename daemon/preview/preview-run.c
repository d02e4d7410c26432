/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "preview/preview.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "preview/preview-protocol.h"

#define FIRST_OWN_FD 16 /* above the numbers that the helper's descriptors get */
#define HASH_STEP_BYTES (1 << 20)
#define HASH_CHUNK_BYTES 16384
#define REAP_WAIT_MS 50
#define MAX_ARGUMENTS 8

/* What the helper is to find open: everything else it has is closed by the exec. */
struct descriptors {
	int image, line, full, preview;
};

struct preview {
	struct event_loop *loop;
	preview_fn fn;
	void *userdata;
	int pidfd;
	int line_fd; /* our end of the pipe */
	struct loop_io *exit_watch;
	struct loop_timer *timeout;
	struct loop_deferred hash_step;
	crypto_hash_sha256_state hash;
	int64_t hashed;
	struct preview_result result;
	bool timed_out;
};

static struct preview *preview_free(struct preview *p)
{
	if (!p)
		return NULL;
	event_loop_undefer(p->loop, &p->hash_step);
	loop_timer_free(p->timeout);
	loop_io_free(p->exit_watch);
	closep(&p->pidfd);
	closep(&p->line_fd);
	closep(&p->result.full_fd);
	closep(&p->result.preview_fd);
	free(p);
	return NULL;
}
DEFINE_CLEANUP(struct preview *, preview_free)

/* The last thing that happens to a preview. */
static void finish(struct preview *p, const enum preview_error *error)
{
	struct preview_result result = p->result;
	preview_fn fn = p->fn;
	void *userdata = p->userdata;

	p->result.full_fd = p->result.preview_fd = -1;
	preview_free(p);
	fn(userdata, error, error ? NULL : &result);
	closep(&result.full_fd);
	closep(&result.preview_fd);
}

static void fail(struct preview *p, enum preview_error error)
{
	finish(p, &error);
}

/* The output file's size is the truth; what the helper says has to agree. */
static int seal(int fd, int64_t claimed_size)
{
	static const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	struct stat st;

	if (fcntl(fd, F_ADD_SEALS, seals) < 0 || fstat(fd, &st) < 0)
		return -errno;
	return st.st_size == claimed_size && st.st_size > 0 && st.st_size <= PREVIEW_MAX_OUTPUT
		? 0
		: -EBADMSG;
}

static bool is_side(int64_t n)
{
	return n >= 1 && n <= 65535;
}

static int parse_line(const char *line, struct preview_result *ret)
{
	int n = sscanf(line,
		"ok mime=" PREVIEW_MIME " width=%5" SCNd64 " height=%5" SCNd64 " size=%10" SCNd64
		" preview_width=%5" SCNd64 " preview_height=%5" SCNd64 " preview_size=%10" SCNd64,
		&ret->width, &ret->height, &ret->full_size, &ret->preview_width,
		&ret->preview_height, &ret->preview_size);

	return n == 6 && is_side(ret->width) && is_side(ret->height) &&
			is_side(ret->preview_width) && is_side(ret->preview_height)
		? 0
		: -EBADMSG;
}

static enum preview_error parse_error(const char *line)
{
	enum preview_error error;
	char kind[32];

	if (sscanf(line, "error kind=%31s", kind) == 1 &&
		preview_error_from_string(kind, &error) == 0)
		return error;
	return PREVIEW_FAILED;
}

static enum preview_error error_of_signal(int signo)
{
	if (signo == SIGXCPU)
		return PREVIEW_TIMED_OUT;
	return signo == SIGXFSZ ? PREVIEW_TOO_LARGE : PREVIEW_FAILED;
}

/* Hashes a part of the full image each turn, so that a large one does not hold the loop up. */
static void on_hash_step(void *userdata)
{
	struct preview *p = userdata;
	unsigned char chunk[HASH_CHUNK_BYTES], digest[crypto_hash_sha256_BYTES];
	int64_t until = p->hashed + HASH_STEP_BYTES;

	while (p->hashed < p->result.full_size && p->hashed < until) {
		ssize_t n = pread(p->result.full_fd, chunk, sizeof(chunk), p->hashed);

		if (n <= 0) {
			fail(p, PREVIEW_FAILED);
			return;
		}
		crypto_hash_sha256_update(&p->hash, chunk, (size_t)n);
		p->hashed += n;
	}
	if (p->hashed < p->result.full_size) {
		event_loop_defer(p->loop, &p->hash_step);
		return;
	}
	crypto_hash_sha256_final(&p->hash, digest);
	sodium_bin2hex(p->result.sha256, sizeof(p->result.sha256), digest, sizeof(digest));
	finish(p, NULL);
}

static void take_result(struct preview *p)
{
	char line[PREVIEW_LINE_MAX];
	ssize_t n = read(p->line_fd, line, sizeof(line) - 1);

	line[n > 0 ? n : 0] = '\0';
	if (strncmp(line, "ok ", 3) != 0) {
		fail(p, parse_error(line));
		return;
	}
	if (parse_line(line, &p->result) < 0 || seal(p->result.full_fd, p->result.full_size) < 0 ||
		seal(p->result.preview_fd, p->result.preview_size) < 0) {
		fail(p, PREVIEW_FAILED);
		return;
	}
	crypto_hash_sha256_init(&p->hash);
	event_loop_defer(p->loop, &p->hash_step);
}

static void on_helper_exit(void *userdata, int fd, unsigned ready)
{
	struct preview *p = userdata;
	siginfo_t info = { 0 };

	if (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
		return;
	p->exit_watch = loop_io_free(p->exit_watch);
	p->timeout = loop_timer_free(p->timeout);
	if (p->timed_out)
		fail(p, PREVIEW_TIMED_OUT);
	else if (info.si_code != CLD_EXITED)
		fail(p, error_of_signal(info.si_status));
	else
		take_result(p);
}

static void on_timeout(void *userdata)
{
	struct preview *p = userdata;

	p->timed_out = true;
	pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
}

static int move_up(int *fd)
{
	int moved = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_OWN_FD);

	if (moved < 0)
		return -errno;
	close(*fd);
	*fd = moved;
	return 0;
}

static int make_output(const char *name, int *ret)
{
	*ret = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return *ret < 0 ? -errno : move_up(ret);
}

static int make_pipe(int *ret_ours, int *ret_theirs)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_ours = fds[0];
	*ret_theirs = fds[1];
	if (fcntl(*ret_ours, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return move_up(ret_theirs);
}

/* The helper's arguments, in storage of their own. */
struct command_line {
	char words[MAX_ARGUMENTS][64];
	char *argv[MAX_ARGUMENTS + 2];
	int n;
};

static void add_number(
	struct command_line *c, const char *option, int64_t value, int64_t default_value)
{
	char *word = c->words[c->n];

	snprintf(word, sizeof(c->words[0]), "--%s=%" PRId64, option, value ? value : default_value);
	c->argv[++c->n] = word;
}

static void make_command_line(struct command_line *c, const struct preview_options *o)
{
	static char name[] = "chatd-preview", original[] = "--original";

	*c = (struct command_line){ .argv = { name } };
	add_number(c, "max-bytes", o->max_bytes, PREVIEW_MAX_BYTES);
	add_number(c, "max-pixels", o->max_pixels, PREVIEW_MAX_PIXELS);
	add_number(c, "max-side", o->max_side, PREVIEW_MAX_SIDE);
	add_number(c, "preview-side", o->preview_side, PREVIEW_SIDE);
	add_number(c, "quality", o->quality, PREVIEW_QUALITY);
	if (o->original)
		c->argv[++c->n] = original;
}

static int set_up_descriptors(posix_spawn_file_actions_t *actions, const struct descriptors *d)
{
	int r = posix_spawn_file_actions_adddup2(actions, d->image, PREVIEW_FD_IMAGE);

	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, d->line, PREVIEW_FD_LINE);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(
			actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, d->full, PREVIEW_FD_FULL);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, d->preview, PREVIEW_FD_PREVIEW);
	return -r;
}

/* The daemon blocks and ignores signals of its own; the helper is to start with none of that. */
static int set_up_signals(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawnattr_setsigmask(attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attributes, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(
			attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return -r;
}

static int spawn(const struct preview_options *o, const struct descriptors *d, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	struct command_line command;
	char *environment[] = { NULL };
	int r;

	make_command_line(&command, o);
	if (posix_spawn_file_actions_init(&actions) != 0)
		return -ENOMEM;
	if (posix_spawnattr_init(&attributes) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return -ENOMEM;
	}
	r = set_up_descriptors(&actions, d);
	if (r == 0)
		r = set_up_signals(&attributes);
	if (r == 0)
		r = -posix_spawn(ret, o->helper, &actions, &attributes, command.argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

/* A process that cannot be watched must not be left behind. */
static int watch_process(struct preview *p, pid_t pid)
{
	int r = 0;

	p->pidfd = pidfd_open(pid, 0);
	if (p->pidfd < 0)
		r = -errno;
	if (r == 0)
		p->exit_watch = loop_io_new(p->loop, p->pidfd, LOOP_READ, on_helper_exit, p);
	if (p->exit_watch)
		return 0;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return r < 0 ? r : -ENOMEM;
}

static int start(struct preview *p, const struct preview_options *o, int image_fd)
{
	_cleanup_close_ int image = fcntl(image_fd, F_DUPFD_CLOEXEC, FIRST_OWN_FD);
	_cleanup_close_ int line = -1;
	pid_t pid;
	int r;

	if (image < 0)
		return -errno;
	r = make_pipe(&p->line_fd, &line);
	if (r == 0)
		r = make_output("chatd-full", &p->result.full_fd);
	if (r == 0)
		r = make_output("chatd-preview", &p->result.preview_fd);
	if (r == 0) {
		const struct descriptors d = { image, line, p->result.full_fd,
			p->result.preview_fd };

		r = spawn(o, &d, &pid);
	}
	return r == 0 ? watch_process(p, pid) : r;
}

int preview_start(struct event_loop *loop, const struct preview_options *o, int image_fd,
	preview_fn fn, void *userdata, struct preview **ret)
{
	_cleanup_(preview_freep) struct preview *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->loop = loop;
	p->fn = fn;
	p->userdata = userdata;
	p->pidfd = p->line_fd = p->result.full_fd = p->result.preview_fd = -1;
	p->result.mime = PREVIEW_MIME;
	p->hash_step = (struct loop_deferred){ .fn = on_hash_step, .userdata = p };
	p->timeout = loop_timer_new(loop, on_timeout, p);
	if (!p->timeout)
		return -ENOMEM;
	r = start(p, o, image_fd);
	if (r < 0)
		return r;
	loop_timer_start_us(
		p->timeout, (uint64_t)(o->timeout_ms ? o->timeout_ms : PREVIEW_TIMEOUT_MS) * 1000);
	*ret = TAKE_PTR(p);
	return 0;
}

static void on_cancelled_exit(
	void *userdata, const enum preview_error *error, struct preview_result *result)
{
}

struct preview *preview_cancel(struct preview *p)
{
	struct pollfd exited;

	if (!p)
		return NULL;
	if (p->exit_watch) {
		pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
		exited = (struct pollfd){ .fd = p->pidfd, .events = POLLIN };
		/*
		 * Killed processes end at once, but for one that waits for a file system that does
		 * not answer.
		 */
		if (poll(&exited, 1, REAP_WAIT_MS) != 1) {
			p->fn = on_cancelled_exit;
			return NULL;
		}
		waitid(P_PIDFD, (id_t)p->pidfd, &(siginfo_t){ 0 }, WEXITED);
	}
	return preview_free(p);
}
