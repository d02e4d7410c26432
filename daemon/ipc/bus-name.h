/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The API's names as D-Bus has them: "messages.mark_read" is MarkRead of org.chatd.Chat1.Messages,
 * the error not_found is org.chatd.Chat1.Error.NotFound.
 */
#pragma once

#include "ipc/method.h"

#define BUS_NAME "org.chatd.Chat1" /* also the interface of what is of no noun */
#define BUS_PATH "/org/chatd/Chat1"

#define BUS_NAME_SIZE 128

/*
 * The well-known name of an account's daemon, owned: BUS_NAME, and for another than the default
 * account ".<account>" behind it. NULL when memory is short.
 */
char *bus_name_of_account(const char *account);

/* The interface and the member of a method: two strings of BUS_NAME_SIZE. */
void bus_name_of_method(const struct method *m, char *ret_interface, char *ret_member);

/* NULL when there is none; then `ret_error` says so. `interface` is of our own. */
const struct method *bus_method_find(
	const char *interface, const char *member, struct rpc_error *ret_error);

/* The name of an error, in a string of BUS_NAME_SIZE. */
void bus_name_of_error(int code, char *ret);
