/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <systemd/sd-bus.h>

#include "ipc/bus-name.h"
#include "test-ipc-fakes.h"

static void every_method_has_a_name_of_its_own(void **state)
{
	for (size_t i = 0; method_tables[i]; i++) {
		for (const struct method *m = method_tables[i]; m->name; m++) {
			char interface[BUS_NAME_SIZE], member[BUS_NAME_SIZE];
			struct rpc_error e;

			bus_name_of_method(m, interface, member);
			assert_true(sd_bus_interface_name_is_valid(interface) > 0);
			assert_true(sd_bus_member_name_is_valid(member) > 0);
			assert_ptr_equal(bus_method_find(interface, member, &e), m);
		}
	}
}

static void names_are_camel_case(void **state)
{
	char interface[BUS_NAME_SIZE], member[BUS_NAME_SIZE];
	struct rpc_error e;

	bus_name_of_method(method_find("messages.mark_read", &e), interface, member);
	assert_string_equal(interface, "org.chatd.Chat1.Messages");
	assert_string_equal(member, "MarkRead");
}

static void fails(const char *interface, const char *member)
{
	struct rpc_error e = { 0 };

	assert_null(bus_method_find(interface, member, &e));
	assert_int_equal(e.code, CHAT_RPC_METHOD_NOT_FOUND);
	assert_true(e.detail[0] != '\0');
}

static void only_exact_names_are_found(void **state)
{
	char longest[256];

	memset(longest, 'X', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	fails("org.chatd.Chat1", "Send");
	fails("org.chatd.Chat1.Messages", "Sned");
	fails("org.chatd.Chat1.messages", "Send");
	fails("org.chatd.Chat1.Messages", "send");
	fails("org.chatd.Chat1.Messages", "mark_read");
	fails("org.chatd.Chat1.Messages", "Mark_Read");
	fails("org.chatd.Chat1.Messages", longest);
	memcpy(longest, "org.chatd.Chat1.", 16);
	fails(longest, "Send");
}

static void expect_name(const char *account, const char *name)
{
	_cleanup_free_ char *made = bus_name_of_account(account);

	assert_string_equal(made, name);
	assert_true(sd_bus_service_name_is_valid(made) > 0);
}

static void accounts_have_names_of_their_own(void **state)
{
	expect_name("default", "org.chatd.Chat1");
	expect_name("work", "org.chatd.Chat1.work");
	expect_name("a-b_c", "org.chatd.Chat1.a-b_c");
	expect_name("2nd", "org.chatd.Chat1._2nd");
	expect_name("_2nd", "org.chatd.Chat1.__2nd");
}

static void errors_have_names(void **state)
{
	const struct rpc_error_code *codes;
	char name[BUS_NAME_SIZE];
	size_t n;

	bus_name_of_error(CHAT_ERROR_NOT_FOUND, name);
	assert_string_equal(name, "org.chatd.Chat1.Error.NotFound");
	codes = rpc_error_codes(&n);
	for (size_t i = 0; i < n; i++) {
		bus_name_of_error(codes[i].code, name);
		assert_true(sd_bus_interface_name_is_valid(name) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_method_has_a_name_of_its_own),
		cmocka_unit_test(names_are_camel_case),
		cmocka_unit_test(only_exact_names_are_found),
		cmocka_unit_test(accounts_have_names_of_their_own),
		cmocka_unit_test(errors_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
