/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/proxy.h"

#include <errno.h>
#include <string.h>

#include <arpa/inet.h>

#define SEPARATORS ", \t"

static const char *first_of(const char *a, const char *b)
{
	const char *value = getenv(a);

	return value && *value ? value : getenv(b);
}

/*
 * The environment's capitals are not asked for http_proxy: a CGI program gets that from strangers.
 */
static const char *from_environment(const struct url *u)
{
	const char *value =
		url_is_secure(u) ? first_of("https_proxy", "HTTPS_PROXY") : getenv("http_proxy");

	return value && *value ? value : first_of("all_proxy", "ALL_PROXY");
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned n)
{
	unsigned whole = n / 8, rest = n % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

/* An address, or with a slash a network of them. */
static bool address_fits(const char *entry, const char *host)
{
	unsigned char wanted[16], given[16];
	const char *slash = strchr(entry, '/');
	int family = strchr(host, ':') ? AF_INET6 : AF_INET;
	unsigned size = family == AF_INET6 ? 128 : 32, bits = size;
	char network[64];

	snprintf(network, sizeof(network), "%.*s", (int)strcspn(entry, "/"), entry);
	if (slash)
		bits = (unsigned)strtoul(slash + 1, NULL, 10);
	if (inet_pton(family, host, given) != 1 || inet_pton(family, network, wanted) != 1)
		return false;
	return bits > 0 && bits <= size && same_bits(wanted, given, bits);
}

static bool name_fits(const char *entry, size_t n, const char *host)
{
	size_t m = strlen(host);

	if (n > 0 && entry[0] == '.') {
		entry++;
		n--;
	}
	while (n > 0 && entry[n - 1] == '.')
		n--;
	while (m > 0 && host[m - 1] == '.')
		m--;
	if (n == 0 || n > m || strncasecmp(host + m - n, entry, n) != 0)
		return false;
	return n == m || host[m - n - 1] == '.';
}

bool proxy_is_bypassed(const char *list, const char *host)
{
	if (!list)
		return false;
	if (strcmp(list, "*") == 0)
		return true;
	for (const char *p = list + strspn(list, SEPARATORS); *p; p += strspn(p, SEPARATORS)) {
		size_t n = strcspn(p, SEPARATORS);
		char entry[300];

		snprintf(entry, sizeof(entry), "%.*s", (int)n, p);
		if (address_fits(entry, host) || name_fits(entry, strlen(entry), host))
			return true;
		p += n;
	}
	return false;
}

int proxy_find(const struct url *u, char **ret)
{
	const char *proxy = url_is_loopback(u) ? NULL : from_environment(u), *at;
	size_t n;
	char *copy;

	if (!proxy || proxy_is_bypassed(first_of("no_proxy", "NO_PROXY"), u->host))
		proxy = "";
	at = strstr(proxy, "://");
	if (at && strncasecmp(proxy, "http://", 7) != 0)
		return -EPROTONOSUPPORT;
	if (at)
		proxy = at + 3;
	n = strcspn(proxy, "/");
	copy = strndup(proxy, n);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}
