/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A repository over a store and a made-up network that loses, repeats and refuses. */
#pragma once

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "repository/repository.h"
#include "service/fake/fake.h"

struct fixture {
	char directory[PATH_MAX];
	struct event_loop *loop;
	struct loop_timer *guard;
	struct barrier *barrier;
	struct db_key *key;
	struct store *store;
	struct service *service;
	struct repository *repository;
	struct failure failure; /* of the last call that ended */
	char id[65];
	unsigned ended, failed;
	char text[8192];
};

int set_up(void **state);

/* The same in another world, as JSON. */
int set_up_in(void **state, const char *json);
int tear_down(void **state);

/* As after a kill: another repository over what is stored, which does not sign in. */
void forget_all(struct fixture *f);

enum session_state session(struct fixture *f);
void wait_state(struct fixture *f, enum session_state wanted);
void on_done(void *userdata, const struct failure *failure);
void on_id(void *userdata, const struct failure *failure, const char *id);
void wait_ended(struct fixture *f, unsigned n);
void sign_in(struct fixture *f);
void go_live(struct fixture *f);
const char *history(struct fixture *f, const char *chat_id);
void wait_history(struct fixture *f, const char *chat_id, const char *wanted);
void wait_status(struct fixture *f, const char *id, enum message_status wanted);
void send_text(struct fixture *f, const char *chat_id, const char *user_id, const char *id,
	const char *text);
void inject(struct fixture *f, const char *id, bool silent);
struct fake_chat_view wait_view(struct fixture *f, int64_t received_seq, int64_t read_seq);
struct problem transient(int status);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
