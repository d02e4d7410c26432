/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service/fake/fake-private.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

#define TOKEN_LIFETIME_MS 3600000

static bool is_accepted(const struct world_behaviour *b, const char *password)
{
	return !b->refuse_login &&
		(!b->password || (password && strcmp(b->password, password) == 0));
}

static int make_token(struct fake *f, char **ret)
{
	return asprintf(ret, "fake-token-%u", ++f->n_tokens) < 0 ? -ENOMEM : 0;
}

bool fake_sign_in(struct fake *f)
{
	char *token;

	if (!f->has_credentials)
		return false;
	if (f->token && !f->token_expired)
		return true;
	f->calls[FAKE_LOGIN]++;
	if (!is_accepted(&f->world.behaviour, f->password) || make_token(f, &token) < 0)
		return false;
	free(f->token);
	f->token = token;
	f->token_expired = false;
	fake_tell_token(f);
	return true;
}

static bool answer_login(struct service_call *c, const struct problem *p)
{
	struct fake *f = c->fake;
	struct service_identity identity = { 0 };
	struct problem own = { 0 };

	if (!p && !is_accepted(&f->world.behaviour, c->id))
		p = fake_unauthorised(&own);
	else if (!p &&
		(world_copy_user(&f->world.me, &identity.user) < 0 ||
			make_token(f, &identity.token) < 0))
		p = fake_no_memory(&own);
	identity.token_expires_at = clock_wall_ms() + TOKEN_LIFETIME_MS;
	c->fn.login(c->userdata, p, p ? NULL : &identity);
	service_identity_clear(&identity);
	problem_clear(&own);
	return false;
}

static int session_login(struct service *s, const struct service_credentials *credentials,
	service_login_fn fn, void *userdata, struct service_call **ret)
{
	struct service_call *c;
	int r = fake_call_new(s, FAKE_LOGIN, answer_login, credentials->password, userdata, &c);

	if (r < 0)
		return r;
	c->fn.login = fn;
	fake_call_start(c, ret);
	return 0;
}

static int session_set_credentials(struct service *s, const struct service_credentials *c)
{
	_cleanup_free_ char *password = NULL, *token = NULL;
	struct fake *f = fake_from(s);

	if (c && (fake_dup(&password, c->password) < 0 || fake_dup(&token, c->token) < 0))
		return -ENOMEM;
	free(f->password);
	free(f->token);
	f->password = TAKE_PTR(password);
	f->token = TAKE_PTR(token);
	f->token_expired = false;
	f->has_credentials = c;
	return 0;
}

static int session_connect(struct service *s)
{
	struct fake *f = fake_from(s);

	if (f->state != FAKE_CLOSED)
		return -EALREADY;
	f->calls[FAKE_CONNECT]++;
	f->state = FAKE_CONNECTING;
	fake_tell_greeted(f);
	return 0;
}

bool fake_session_open(struct fake *f, struct problem *ret)
{
	f->state = FAKE_CLOSED;
	if (fake_take_fault(f, FAKE_CONNECT, ret))
		return false;
	if (!fake_sign_in(f)) {
		fake_unauthorised(ret);
		return false;
	}
	f->state = FAKE_OPEN;
	return true;
}

void fake_session_end(struct fake *f)
{
	fake_events_forget(f);
	fake_actions_forget(f);
	f->n_in_flight = 0;
}

static void session_disconnect(struct service *s, const char *reason)
{
	struct fake *f = fake_from(s);

	fake_session_end(f);
	f->state = FAKE_CLOSED;
}

const struct session_service fake_session = {
	.login = session_login,
	.set_credentials = session_set_credentials,
	.connect = session_connect,
	.disconnect = session_disconnect,
};
