/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon's end of the socket, worked by the test itself line by line, and what drives the
 * client to meet it. Nothing waits for a fixed time; what does not come within ten seconds fails
 * the test.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "chatclient.h"

struct server {
	char directory[64];
	char path[100];
	int listener; /* -1: stopped */
	int fd;       /* the connection; -1: none */
	char input[65536];
	size_t held;
	int fds[32]; /* received */
	size_t n_fds;
};

#define HELLO                                                                               \
	"{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"params\":{\"api\":\"1.0\",\"daemon\":" \
	"\"0.1.0\",\"instance_id\":\"i-1\",\"account\":\"default\",\"scope\":\"full\"}}\n"

void server_start(struct server *s);
void server_listen(struct server *s);
void server_unlisten(struct server *s);
void server_stop(struct server *s);

void server_accept(struct server *s);
void server_drop(struct server *s);
void server_send(struct server *s, const char *bytes);
void server_send_fds(struct server *s, const char *bytes, const int *fds, size_t n);

/* The next line, parsed; its descriptors are added to `fds`. The caller deletes it. */
cJSON *server_read(struct server *s);

/* The next line, whose method must be this one. Returns its id. */
int server_expect(struct server *s, const char *method);

/* The same, and checks its parameters as unformatted JSON. */
int server_expect_params(struct server *s, const char *method, const char *params);

void server_answer(struct server *s, int id, const char *result);
void server_refuse(struct server *s, int id, int code, const char *kind, const char *detail);

/* A client of that server. */
struct chat_client *client_of(struct server *s);

/* Dispatches until there is nothing to do now. */
void settle(struct chat_client *c);

/* Dispatches and waits until `*done`. */
void run_until(struct chat_client *c, const bool *done);

/* Waits, with the client running, until somebody knocks, and greets. */
void run_until_accepted(struct chat_client *c, struct server *s);

/* A client that is connected. */
struct chat_client *connected_client(struct server *s);

/* Setup and teardown for cmocka: *state is a struct server. */
int server_setup(void **state);
int server_teardown(void **state);

/* How many descriptors the process has open. */
int open_fds(void);
