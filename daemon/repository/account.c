/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/log.h"
#include "base/uuid.h"
#include "repository/parts.h"

/* A sign-in under way. */
struct login {
	struct repository *repository;
	struct service_call *call;
	char *server, *user_id, *password;
	char device_id[UUID_STRING_SIZE];
	repository_done_fn fn;
	void *userdata;
};

static void free_secret(char *s)
{
	if (s)
		sodium_memzero(s, strlen(s));
	free(s);
}

static struct login *login_free(struct login *l)
{
	if (!l)
		return NULL;
	free(l->server);
	free(l->user_id);
	free_secret(l->password);
	free(l);
	return NULL;
}

static int tell_service(struct repository *r, const char *token)
{
	const struct account *a = &r->account;

	return r->service->session->set_credentials(r->service,
		&(struct service_credentials){
			.server = a->server,
			.user_id = a->user_id,
			.password = a->password,
			.device_id = a->device_id,
			.token = token,
		});
}

static int adopt(void *userdata, const struct store_account *stored)
{
	struct repository *r = userdata;
	struct account *a = &r->account;
	int e = replace_string(&a->server, stored->server);

	e = e < 0 ? e : replace_string(&a->user_id, stored->user_id);
	e = e < 0 ? e : replace_string(&a->user_name, stored->user_name);
	e = e < 0 ? e : replace_string(&a->device_id, stored->device_id);
	if (e == 0) {
		free_secret(a->password);
		a->password = strdup(stored->password);
		e = a->password ? 0 : -ENOMEM;
	}
	a->refused = stored->refused;
	a->signed_in = e == 0;
	return e < 0 ? e : tell_service(r, stored->token);
}

static void end_login(struct repository *r, const struct failure *failure)
{
	struct login *l = r->account.login;

	r->account.login = NULL;
	l->fn(l->userdata, failure);
	login_free(l);
}

/* Nothing goes on in the name of a user who was not stored. */
static void on_stored(void *userdata, int error)
{
	struct repository *r = userdata;
	struct failure failure;
	int e = error < 0 ? error : store_account_get(r->store, adopt, r);

	if (e < 0) {
		failure_from_errno(&failure, e);
		end_login(r, &failure);
		return;
	}
	log_info("signed in");
	r->service->session->disconnect(r->service, "signed in again");
	session_reset(r);
	presence_wake(r);
	sync_connect(r);
	push_review(r);
	presence_review(r);
	end_login(r, NULL);
}

int account_init(struct repository *r)
{
	int e;

	r->account.stored = (struct barrier_effect){ .fn = on_stored, .userdata = r };
	e = store_account_get(r->store, adopt, r);

	return e == -ENOENT ? 0 : e;
}

void account_done(struct repository *r)
{
	struct account *a = &r->account;

	barrier_forget(r->barrier, &a->stored);
	if (a->login)
		service_call_cancel(r->service, a->login->call);
	a->login = login_free(a->login);
	free(a->server);
	free(a->user_id);
	free(a->user_name);
	free(a->device_id);
	free_secret(a->password);
	*a = (struct account){ 0 };
}

static int store_login(
	struct repository *r, const struct login *l, const struct service_identity *i)
{
	struct store_account a = {
		.server = l->server,
		.user_id = i->user.id,
		.user_name = i->user.name,
		.password = l->password,
		.device_id = l->device_id,
		.token = i->token,
		.token_expires_at = i->token_expires_at,
	};
	int e = store_begin(r->store);

	if (e < 0)
		return e;
	e = store_account_put(r->store, &a);
	e = e < 0 ? e : store_user_put(r->store, &i->user);
	store_end(r->store, e < 0);
	return e;
}

static void on_login(
	void *userdata, const struct problem *problem, struct service_identity *identity)
{
	struct login *l = userdata;
	struct repository *r = l->repository;
	struct failure failure = { 0 };
	int e = 0;

	l->call = NULL;
	if (problem) {
		failure_from_problem(&failure, problem);
		if (problem->class == PROBLEM_UNAUTHORISED)
			failure_set(&failure, FAILURE_DENIED,
				"the server does not accept this user and password");
		end_login(r, &failure);
		return;
	}
	e = store_login(r, l, identity);
	if (e < 0) {
		failure_from_errno(&failure, e);
		end_login(r, &failure);
		return;
	}
	barrier_after_commit(r->barrier, &r->account.stored);
}

static int begin(struct repository *r, struct login *l, struct failure *f)
{
	const struct account *a = &r->account;
	int e;

	if (a->login)
		return failure_set(f, FAILURE_BUSY, "a sign-in is under way");
	if (a->signed_in &&
		(strcmp(a->server, l->server) != 0 || strcmp(a->user_id, l->user_id) != 0))
		return failure_set(f, FAILURE_CONFLICT,
			"another user is signed in here; use another account name for a second "
			"one");
	if (a->device_id)
		strncpy(l->device_id, a->device_id, sizeof(l->device_id) - 1);
	else
		uuid4_generate(l->device_id);
	e = r->service->session->login(r->service,
		&(struct service_credentials){
			.server = l->server,
			.user_id = l->user_id,
			.password = l->password,
			.device_id = l->device_id,
		},
		on_login, l, &l->call);
	if (e == -EINVAL)
		return failure_set(f, FAILURE_INVALID,
			"the server must be a URL such as https://chat.example; http only for this "
			"machine");
	return e < 0 ? failure_from_errno(f, e) : 0;
}

void account_login(struct repository *r, const char *server, const char *user_id,
	const char *password, repository_done_fn fn, void *userdata)
{
	struct login *l = calloc(1, sizeof(*l));
	struct failure failure;
	int e = -ENOMEM;

	if (l) {
		*l = (struct login){ .repository = r, .fn = fn, .userdata = userdata };
		l->server = strdup(server);
		l->user_id = strdup(user_id);
		l->password = strdup(password);
		if (l->server && l->user_id && l->password)
			e = begin(r, l, &failure);
		else
			failure_from_errno(&failure, e);
	} else {
		failure_from_errno(&failure, e);
	}
	if (e == 0) {
		r->account.login = l;
		return;
	}
	login_free(l);
	fn(userdata, &failure);
}
