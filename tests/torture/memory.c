/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Loaded before the C library, this counts the allocations of one process and fails some of them;
 * $MEMORY_CONTROL is a file of struct control, shared with whoever tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct control {
	uint64_t operations; /* so far */
	uint64_t fail_from;  /* the number of the first that fails; 0: none does */
	uint64_t fail_count; /* how many fail from there on */
	uint64_t failed;     /* how many did */
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static struct control *control;

/* The programs that the daemon starts have memory enough. */
__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("MEMORY_CONTROL");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map;

	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	unsetenv("MEMORY_CONTROL");
	if (map != MAP_FAILED)
		control = map;
}

static bool fails(void)
{
	uint64_t n, from;

	if (!control)
		return false;
	n = __atomic_add_fetch(&control->operations, 1, __ATOMIC_SEQ_CST);
	from = __atomic_load_n(&control->fail_from, __ATOMIC_SEQ_CST);
	if (from == 0 || n < from || n - from >= control->fail_count)
		return false;
	__atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}
