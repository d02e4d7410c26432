/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/proxy.h"

static const char *const variables[] = { "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
	"all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY" };

static int clear_environment(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		unsetenv(variables[i]);
	return 0;
}

static void assert_proxy(const char *text, const char *wanted)
{
	_cleanup_url_ struct url u = { 0 };
	char *proxy;

	assert_int_equal(url_parse(text, &u), 0);
	assert_int_equal(proxy_find(&u, &proxy), 0);
	assert_string_equal(proxy, wanted);
	free(proxy);
}

static void each_scheme_has_its_own(void **state)
{
	assert_proxy("wss://chat.example/ws", "");
	setenv("all_proxy", "http://any:3", 1);
	assert_proxy("ws://chat.example/ws", "any:3");
	assert_proxy("wss://chat.example/ws", "any:3");
	setenv("http_proxy", "plain:1", 1);
	setenv("HTTPS_PROXY", "http://user:word@tls:2/", 1);
	assert_proxy("ws://chat.example/ws", "plain:1");
	assert_proxy("wss://chat.example/ws", "user:word@tls:2");
	setenv("https_proxy", "small:2", 1);
	assert_proxy("wss://chat.example/ws", "small:2");
}

static void what_strangers_can_set_is_not_asked(void **state)
{
	setenv("HTTP_PROXY", "evil:1", 1);
	assert_proxy("ws://chat.example/ws", "");
}

static void exceptions_hold_for_names_and_their_domains(void **state)
{
	setenv("all_proxy", "any:3", 1);
	setenv("no_proxy", "other.org, .example", 1);
	assert_proxy("wss://chat.example/ws", "");
	assert_proxy("wss://other.org/ws", "");
	assert_proxy("wss://chat.OTHER.org/ws", "");
	assert_proxy("wss://another.org/ws", "any:3");
	assert_proxy("wss://other.org.evil/ws", "any:3");
	assert_true(proxy_is_bypassed("*", "anything"));
	assert_false(proxy_is_bypassed("", "anything"));
	assert_false(proxy_is_bypassed(" , .", "anything"));
}

static void exceptions_hold_for_addresses_and_networks(void **state)
{
	assert_true(proxy_is_bypassed("10.0.0.0/8", "10.1.2.3"));
	assert_false(proxy_is_bypassed("10.0.0.0/8", "11.1.2.3"));
	assert_true(proxy_is_bypassed("192.168.4.128/25", "192.168.4.200"));
	assert_false(proxy_is_bypassed("192.168.4.128/25", "192.168.4.100"));
	assert_true(proxy_is_bypassed("192.0.2.7", "192.0.2.7"));
	assert_true(proxy_is_bypassed("2001:db8::/32", "2001:db8::5"));
	assert_false(proxy_is_bypassed("2001:db8::/32", "2001:db9::5"));
	assert_false(proxy_is_bypassed("10.0.0.0/99", "10.1.2.3"));
	assert_false(proxy_is_bypassed("10.0.0.0/8", "chat.example"));
}

static void loopback_has_none(void **state)
{
	setenv("all_proxy", "any:3", 1);
	assert_proxy("wss://localhost/ws", "");
	assert_proxy("wss://127.0.0.1/ws", "");
	assert_proxy("wss://[::1]/ws", "");
}

static void other_kinds_are_not_spoken(void **state)
{
	_cleanup_url_ struct url u = { 0 };
	char *proxy;

	assert_int_equal(url_parse("wss://chat.example/ws", &u), 0);
	setenv("all_proxy", "socks5://any:3", 1);
	assert_int_equal(proxy_find(&u, &proxy), -EPROTONOSUPPORT);
	setenv("no_proxy", "example", 1);
	assert_proxy("wss://chat.example/ws", "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, clear_environment, clear_environment)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_scheme_has_its_own),
		TEST(what_strangers_can_set_is_not_asked),
		TEST(exceptions_hold_for_names_and_their_domains),
		TEST(exceptions_hold_for_addresses_and_networks),
		TEST(loopback_has_none),
		TEST(other_kinds_are_not_spoken),
	};

	return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
