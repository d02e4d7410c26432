/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The loads that the bench puts on a socket, be it the daemon's or a limit's. */
#pragma once

#include <stdint.h>

#include "tool.h"

/*
 * A connection whose greeting has been read. Requests are lines in which @n@ stands for a number
 * that is never used twice in a run.
 */
struct peer {
	struct lines lines;
};

void peer_open(struct peer *p, const char *path);
void peer_close(struct peer *p);

/* The text of a request, complete with its newline; valid until the next call. */
const char *request_text(const char *template, size_t *ret_size);

void peer_send(struct peer *p, const char *template);

/* The next line, which must not be an error's answer. */
const char *peer_read(struct peer *p, size_t *ret_size);

/* One request and its answer. */
void peer_call(struct peer *p, const char *template);

/* The subcommands; arguments follow their names. */
int load_calls(int argc, char **argv);
int load_pipeline(int argc, char **argv);
int load_fanout(int argc, char **argv);
int load_receive(int argc, char **argv);
int load_hold(int argc, char **argv);
int load_start(int argc, char **argv);
int load_run(int argc, char **argv);
