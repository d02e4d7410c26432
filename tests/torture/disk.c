/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Loaded before the C library, this stands between one process and the files below $DISK_DIR. It
 * counts what writes them, and fails some of it as a disk does that is full; $DISK_CONTROL is a
 * file of struct control, shared with whoever tests. With $DISK_RECORD it also writes down, in
 * order, all that is written and synchronised, and what leaves through Unix sockets.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES_MAX 512 /* in which a record is written */

struct control {
	uint64_t operations; /* so far */
	uint64_t fail_from;  /* the number of the first that fails; 0: none does */
	uint64_t fail_count; /* how many fail from there on */
	uint64_t failed;     /* how many did */
};

enum kind {
	KIND_WRITE,
	KIND_TRUNCATE,
	KIND_SYNC,
	KIND_CREATE,
	KIND_RENAME,
	KIND_UNLINK,
	KIND_LINK,
	KIND_SYNC_DIRECTORY,
	KIND_SENT
};

/* Followed by `size` bytes: data, or names with a zero after each. */
struct record {
	uint64_t kind, file, offset, size;
};

static struct control *control;
static char directory[PATH_MAX];
static size_t directory_size;
static int record_fd = -1;

__attribute__((constructor)) static void begin(void)
{
	const char *dir = getenv("DISK_DIR"), *path = getenv("DISK_CONTROL");
	const char *record = getenv("DISK_RECORD");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map;

	if (!dir || fd < 0)
		return;
	map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return;
	directory_size = (size_t)snprintf(directory, sizeof(directory), "%s/", dir);
	if (record)
		record_fd = open(record, O_WRONLY | O_APPEND | O_CLOEXEC);
	control = map;
}

static bool is_ours(const char *path)
{
	return control && strncmp(path, directory, directory_size) == 0;
}

/* Regular files below the directory, and their number. */
static bool is_file_of_ours(int fd, uint64_t *ret)
{
	char link[64], path[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (!control)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	if (!is_ours(path) || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	*ret = st.st_ino;
	return true;
}

/* True when this one fails. */
static bool fails(void)
{
	uint64_t n, from = __atomic_load_n(&control->fail_from, __ATOMIC_SEQ_CST);

	n = __atomic_add_fetch(&control->operations, 1, __ATOMIC_SEQ_CST);
	if (from == 0 || n < from || n - from >= control->fail_count)
		return false;
	__atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
	errno = ENOSPC;
	return true;
}

static void record(
	enum kind kind, uint64_t file, uint64_t offset, const struct iovec *iov, int n, size_t size)
{
	struct record r = { kind, file, offset, size };
	struct iovec all[PIECES_MAX] = { { &r, sizeof(r) } };
	int saved = errno, used = 1;

	if (record_fd < 0)
		return;
	for (int i = 0; i < n && used < PIECES_MAX && size > 0; i++) {
		all[used] = iov[i];
		if (all[used].iov_len > size)
			all[used].iov_len = size;
		size -= all[used++].iov_len;
	}
	if (size > 0 || syscall(SYS_writev, record_fd, all, used) < 0)
		abort();
	errno = saved;
}

static void record_names(enum kind kind, const char *a, const char *b)
{
	struct iovec iov[] = { { (void *)a, strlen(a) + 1 }, { (void *)b, b ? strlen(b) + 1 : 0 } };
	struct stat st = { 0 };

	if (stat(b ? b : a, &st) < 0)
		st.st_ino = 0;
	record(kind, st.st_ino, 0, iov, 2, iov[0].iov_len + iov[1].iov_len);
}

/* A disk that fills up takes a part of what is written. */
static ssize_t write_at(int fd, const void *data, size_t size, off_t offset, bool positioned)
{
	struct iovec iov = { (void *)data, size };
	uint64_t file;
	ssize_t n;

	if (is_file_of_ours(fd, &file)) {
		if (!positioned)
			offset = lseek(fd, 0, SEEK_CUR);
		if (fails()) {
			if (size < 1024 || control->failed != 1)
				return -1;
			size = 512;
		}
		n = syscall(SYS_pwrite64, fd, data, size, offset);
		if (n > 0 && !positioned)
			lseek(fd, offset + n, SEEK_SET);
		if (n > 0)
			record(KIND_WRITE, file, (uint64_t)offset, &iov, 1, (size_t)n);
		return n;
	}
	return positioned ? syscall(SYS_pwrite64, fd, data, size, offset)
			  : syscall(SYS_write, fd, data, size);
}

ssize_t write(int fd, const void *data, size_t size)
{
	return write_at(fd, data, size, 0, false);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
	return write_at(fd, data, size, offset, true);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return write_at(fd, data, size, offset, true);
}

int ftruncate64(int fd, off_t size)
{
	uint64_t file;
	bool ours = is_file_of_ours(fd, &file);
	int r;

	if (ours && fails())
		return -1;
	r = (int)syscall(SYS_ftruncate, fd, size);
	if (ours && r == 0)
		record(KIND_TRUNCATE, file, (uint64_t)size, NULL, 0, 0);
	return r;
}

int ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

int fallocate64(int fd, int mode, off_t offset, off_t size)
{
	uint64_t file;

	if (is_file_of_ours(fd, &file) && (fails() || record_fd >= 0)) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
	return fallocate64(fd, mode, offset, size);
}

static int synchronise(int fd, long call)
{
	uint64_t file = 0;
	bool ours = is_file_of_ours(fd, &file);
	struct stat st;

	if (ours && fails())
		return -1;
	if (ours)
		record(KIND_SYNC, file, 0, NULL, 0, 0);
	else if (control && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		record(KIND_SYNC_DIRECTORY, 0, 0, NULL, 0, 0);
	/* Where power is only said to be lost, nothing has to wait for the disk. */
	return ours && record_fd >= 0 ? 0 : (int)syscall(call, fd);
}

int fsync(int fd)
{
	return synchronise(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return synchronise(fd, SYS_fdatasync);
}

static int open_file(int at, const char *path, int flags, mode_t mode)
{
	bool creates = (flags & O_CREAT) && is_ours(path) && access(path, F_OK) < 0;
	int fd;

	if (creates && fails())
		return -1;
	fd = (int)syscall(SYS_openat, at, path, flags, mode);
	if (creates && fd >= 0)
		record_names(KIND_CREATE, path, NULL);
	return fd;
}

static mode_t mode_of(int flags, va_list ap)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
}

int open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return open_file(AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return open_file(AT_FDCWD, path, flags, mode);
}

int rename(const char *from, const char *to)
{
	int r;

	if (is_ours(to) && fails())
		return -1;
	r = (int)syscall(SYS_rename, from, to);
	if (r == 0 && is_ours(to))
		record_names(KIND_RENAME, from, to);
	return r;
}

int link(const char *from, const char *to)
{
	int r;

	if (is_ours(to) && fails())
		return -1;
	r = (int)syscall(SYS_link, from, to);
	if (r == 0 && is_ours(to))
		record_names(KIND_LINK, from, to);
	return r;
}

int mkdir(const char *path, mode_t mode)
{
	return is_ours(path) && access(path, F_OK) < 0 && fails()
		? -1
		: (int)syscall(SYS_mkdir, path, mode);
}

int unlink(const char *path)
{
	int r = (int)syscall(SYS_unlink, path);

	if (r == 0 && is_ours(path))
		record_names(KIND_UNLINK, path, NULL);
	return r;
}

static bool is_frontend(int fd)
{
	int domain = 0;
	socklen_t size = sizeof(domain);

	return control && record_fd >= 0 &&
		getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

/* What is answered stands in order with what is written. */
ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	ssize_t n = syscall(SYS_sendmsg, fd, m, flags);

	if (n > 0 && is_frontend(fd))
		record(KIND_SENT, (uint64_t)fd, 0, m->msg_iov, (int)m->msg_iovlen, (size_t)n);
	return n;
}
