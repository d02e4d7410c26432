/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/url.h"

#include <errno.h>
#include <string.h>

#include <arpa/inet.h>
#include <curl/curl.h>

static const struct {
	const char *name;
	unsigned port;
	bool secure;
} schemes[] = {
	{ "http", 80, false },
	{ "https", 443, true },
	{ "ws", 80, false },
	{ "wss", 443, true },
};

DEFINE_CLEANUP(CURLU *, curl_url_cleanup)

static int from_curl(CURLUcode code)
{
	return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

/* A part as a string of malloc's own; what the URL does not have is NULL. */
static int get_part(CURLU *handle, CURLUPart what, char **ret)
{
	char *part = NULL;
	CURLUcode code = curl_url_get(handle, what, &part, 0);

	*ret = NULL;
	if (code == CURLUE_NO_QUERY || code == CURLUE_NO_PORT || code == CURLUE_NO_USER ||
		code == CURLUE_NO_PASSWORD)
		return 0;
	if (code != CURLUE_OK)
		return from_curl(code);
	*ret = strdup(part);
	curl_free(part);
	return *ret ? 0 : -ENOMEM;
}

static int get_scheme(CURLU *handle, struct url *u)
{
	int r = get_part(handle, CURLUPART_SCHEME, &u->scheme);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (strcasecmp(u->scheme, schemes[i].name) == 0) {
			strcpy(u->scheme, schemes[i].name);
			u->port = schemes[i].port;
			return 0;
		}
	}
	return -EINVAL;
}

static int get_host(CURLU *handle, struct url *u)
{
	int r = get_part(handle, CURLUPART_HOST, &u->host);
	size_t n;

	if (r < 0)
		return r;
	n = strlen(u->host);
	if (n == 0)
		return -EINVAL;
	if (u->host[0] == '[') {
		memmove(u->host, u->host + 1, n - 2);
		u->host[n - 2] = '\0';
	}
	return 0;
}

static int get_port(CURLU *handle, struct url *u)
{
	_cleanup_free_ char *port = NULL;
	int r = get_part(handle, CURLUPART_PORT, &port);

	if (r < 0)
		return r;
	if (port)
		u->port = (unsigned)strtoul(port, NULL, 10);
	return u->port ? 0 : -EINVAL;
}

static int get_target(CURLU *handle, struct url *u)
{
	_cleanup_free_ char *path = NULL, *query = NULL;
	int r;

	r = get_part(handle, CURLUPART_PATH, &path);
	if (r >= 0)
		r = get_part(handle, CURLUPART_QUERY, &query);
	if (r < 0)
		return r;
	if (asprintf(&u->target, "%s%s%s", path, query ? "?" : "", query ? query : "") < 0) {
		u->target = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int refuse_credentials(CURLU *handle)
{
	_cleanup_free_ char *user = NULL, *password = NULL;
	int r;

	r = get_part(handle, CURLUPART_USER, &user);
	if (r >= 0)
		r = get_part(handle, CURLUPART_PASSWORD, &password);
	if (r < 0)
		return r;
	return user || password ? -EINVAL : 0;
}

int url_parse(const char *text, struct url *ret)
{
	_cleanup_(curl_url_cleanupp) CURLU *handle = curl_url();
	struct url u = { 0 };
	CURLUcode code;
	int r;

	if (!handle)
		return -ENOMEM;
	code = curl_url_set(handle, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
	if (code != CURLUE_OK)
		return from_curl(code);
	r = refuse_credentials(handle);
	if (r >= 0)
		r = get_scheme(handle, &u);
	if (r >= 0)
		r = get_host(handle, &u);
	if (r >= 0)
		r = get_port(handle, &u);
	if (r >= 0)
		r = get_target(handle, &u);
	if (r < 0) {
		url_clear(&u);
		return r;
	}
	*ret = u;
	return 0;
}

void url_clear(struct url *u)
{
	free(u->scheme);
	free(u->host);
	free(u->target);
	*u = (struct url){ 0 };
}

bool url_is_secure(const struct url *u)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strcmp(u->scheme, schemes[i].name) == 0)
			return schemes[i].secure;
	return false;
}

bool url_is_loopback(const struct url *u)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, u->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, u->host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcasecmp(u->host, "localhost") == 0;
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return strcmp(a->scheme, b->scheme) == 0 && strcasecmp(a->host, b->host) == 0 &&
		a->port == b->port;
}

int url_resolve(const char *base, const char *reference, char **ret)
{
	_cleanup_(curl_url_cleanupp) CURLU *handle = curl_url();
	CURLUcode code;

	if (!handle)
		return -ENOMEM;
	code = curl_url_set(handle, CURLUPART_URL, base, 0);
	if (code == CURLUE_OK)
		code = curl_url_set(handle, CURLUPART_URL, reference, 0);
	if (code != CURLUE_OK)
		return from_curl(code);
	return get_part(handle, CURLUPART_URL, ret);
}

char *url_escape(const char *s)
{
	char *escaped = curl_easy_escape(NULL, s, 0);
	char *copy = escaped ? strdup(escaped) : NULL;

	curl_free(escaped);
	return copy;
}
