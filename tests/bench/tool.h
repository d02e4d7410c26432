/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the bench's programs share. They end with a message when something fails. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Says why on stderr and exits. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* CLOCK_MONOTONIC. */
uint64_t now_ns(void);

/* A whole number from the command line, at least `min`. */
int64_t number_of(const char *text, int64_t min);

/* Times of one thing, done many times. */
struct samples {
	uint64_t *ns;
	size_t n, capacity;
};

void samples_add(struct samples *s, uint64_t ns);

/* Prints {"n", "min_us", "p50_us", "p99_us", "mean_us"} on a line and releases them. */
void samples_print(struct samples *s);

/* A Unix socket's blocking ends. */
int unix_connect(const char *path);
int unix_listen(const char *path, int backlog);

void write_all(int fd, const void *data, size_t size);

/* Reads lines. The line is valid until the next call; it ends with its newline. NULL at the end. */
struct lines {
	int fd;
	char *data;
	size_t start, end, capacity;
};

const char *lines_next(struct lines *l, size_t *ret_size);

/* The same of what is here already, without reading; NULL when no line is whole. */
const char *lines_have(struct lines *l, size_t *ret_size);

/* One read(2) into the buffer; 0 at the end of the input. */
size_t lines_fill(struct lines *l);

/* The contents of a file, owned. */
char *file_contents(const char *path, size_t *ret_size);
