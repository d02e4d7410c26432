/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service/native/native.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "service/native/native-private.h"

void account_clear(struct account *a)
{
	url_clear(&a->origin);
	free(a->server);
	free(a->user_id);
	free(a->password);
	free(a->device_id);
	free(a->self_id);
	*a = (struct account){ 0 };
}

int account_set_server(struct account *a, const char *server)
{
	size_t n = strlen(server);
	int r;

	if (strpbrk(server, "?#"))
		return -EINVAL;
	r = url_parse(server, &a->origin);
	if (r < 0)
		return r;
	if (strncmp(a->origin.scheme, "http", 4) != 0)
		return -EINVAL;
	while (n > 0 && server[n - 1] == '/')
		n--;
	a->server = strndup(server, n);
	return a->server ? 0 : -ENOMEM;
}

const char *url_refused(const struct url *u)
{
	if (url_is_secure(u) || url_is_loopback(u))
		return NULL;
	return "the connection would not be encrypted: https is needed";
}

const char *account_refuses(const struct account *a, const struct url *u)
{
	if (url_is_loopback(u) && !url_is_loopback(&a->origin))
		return "the server points at this machine";
	return url_refused(u);
}

char *account_url(const struct account *a, const char *format, ...)
{
	_cleanup_free_ char *path = NULL;
	char *url;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&path, format, ap);
	va_end(ap);
	if (n < 0) {
		path = NULL;
		return NULL;
	}
	return asprintf(&url, "%s%s", a->server ? a->server : "", path) < 0 ? NULL : url;
}

static int copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to ? 0 : -ENOMEM;
}

static int account_fill(struct account *a, const struct service_credentials *c)
{
	int r;

	if (!c->server || !c->user_id || !c->device_id)
		return -EINVAL;
	r = account_set_server(a, c->server);
	if (r < 0)
		return r;
	if (copy(&a->user_id, c->user_id) < 0 || copy(&a->password, c->password) < 0 ||
		copy(&a->device_id, c->device_id) < 0 || copy(&a->self_id, c->user_id) < 0)
		return -ENOMEM;
	return 0;
}

static int set_credentials(struct service *s, const struct service_credentials *c)
{
	struct native *n = native_from(s);
	_cleanup_(account_clear) struct account a = { 0 };
	int r = c ? account_fill(&a, c) : 0;

	if (r == 0)
		r = auth_reset(n, c ? c->token : NULL);
	if (r < 0)
		return r;
	session_disconnect(s, "signed out");
	calls_disown(n);
	account_clear(&n->account);
	n->account = a;
	a = (struct account){ 0 };
	return 0;
}

void native_hold(struct native *n)
{
	n->references++;
}

static void destroy(struct native *n)
{
	ws_client_free(n->ws);
	if (n->http)
		http_client_free(n->http);
	event_loop_undefer(n->loop, &n->session.failed);
	event_loop_undefer(n->loop, &n->auth.hopeless);
	loop_timer_free(n->session.timer);
	problem_clear(&n->session.problem);
	free(n->session.connection_id);
	free(n->session.token);
	free(n->auth.token);
	account_clear(&n->account);
	free(n->ca_file);
	free(n->client);
	free(n);
}

void native_release(struct native *n)
{
	if (--n->references == 0)
		destroy(n);
}

static void native_free(struct service *s)
{
	struct native *n = native_from(s);

	session_disconnect(s, "closing");
	calls_end_all(n);
	n->auth.login = NULL;
	event_loop_undefer(n->loop, &n->auth.hopeless);
	n->service.events = NULL;
	n->freed = true;
	native_release(n);
}

static const struct session_service native_session = {
	.login = auth_check,
	.set_credentials = set_credentials,
	.connect = session_connect,
	.disconnect = session_disconnect,
	.is_parting = session_is_parting,
	.probe = session_probe,
};

static const struct service native_service = {
	.name = "native",
	.capabilities = SERVICE_CHAT_LIST | SERVICE_RECEIPTS | SERVICE_PUSH |
		SERVICE_RESUMABLE_UPLOAD | SERVICE_HISTORY_PAGING,
	.session = &native_session,
	.lobby = &native_lobby,
	.room = &native_room,
	.attachments = &native_attachments,
	.push = &native_push,
	.cancel = calls_cancel,
	.free = native_free,
};

int native_service_set_ca_file(struct service *s, const char *ca_file)
{
	struct native *n = native_from(s);
	char *fresh;
	int r = copy(&fresh, ca_file);

	r = r < 0 ? r : http_client_set_ca_file(n->http, ca_file);
	if (r == 0) {
		free(n->ca_file);
		n->ca_file = fresh;
	}
	return r;
}

struct service *native_service_new(struct event_loop *loop, const struct native_options *o)
{
	struct native *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->service = native_service;
	n->loop = loop;
	n->references = 1;
	TAILQ_INIT(&n->calls);
	n->auth.hopeless = (struct loop_deferred){ .fn = auth_on_hopeless, .userdata = n };
	n->session.failed = (struct loop_deferred){ .fn = session_on_failed, .userdata = n };
	n->session.timer = loop_timer_new(loop, session_on_greeting_timeout, n);
	n->http = http_client_new(loop, o->ca_file);
	n->ws = ws_client_new(loop, &session_events, n);
	n->client = strdup(o->client ? o->client : "chatd");
	if (!n->session.timer || !n->http || !n->ws || !n->client ||
		copy(&n->ca_file, o->ca_file) < 0) {
		destroy(n);
		return NULL;
	}
	return &n->service;
}
