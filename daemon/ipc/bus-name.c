/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/bus-name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "libclient/protocol.h"

char *bus_name_of_account(const char *account)
{
	/* No part of a name begins with a digit; what begins as an escape is escaped too. */
	const char *escape = isdigit((unsigned char)account[0]) || account[0] == '_' ? "_" : "";
	char *name = NULL;

	if (strcmp(account, CHAT_DEFAULT_ACCOUNT) == 0)
		return strdup(BUS_NAME);
	return asprintf(&name, BUS_NAME ".%s%s", escape, account) < 0 ? NULL : name;
}

/* "mark_read" to "MarkRead", up to `end`. */
static void append_camel(char *to, const char *from, const char *end)
{
	size_t n = strlen(to);
	bool begins = true;

	for (; from < end && n + 1 < BUS_NAME_SIZE; from++) {
		if (*from != '_')
			to[n++] = (char)(begins ? toupper((unsigned char)*from) : *from);
		begins = *from == '_';
	}
	to[n] = '\0';
}

/* "MarkRead" to "mark_read". */
static void append_snake(char *to, const char *from)
{
	size_t n = strlen(to);

	for (const char *c = from; *c && n + 2 < BUS_NAME_SIZE; c++) {
		if (isupper((unsigned char)*c) && c > from)
			to[n++] = '_';
		to[n++] = (char)tolower((unsigned char)*c);
	}
	to[n] = '\0';
}

void bus_name_of_method(const struct method *m, char *ret_interface, char *ret_member)
{
	const char *dot = strchr(m->name, '.');

	snprintf(ret_interface, BUS_NAME_SIZE, BUS_NAME ".");
	append_camel(ret_interface, m->name, dot);
	ret_member[0] = '\0';
	append_camel(ret_member, dot + 1, m->name + strlen(m->name));
}

const struct method *bus_method_find(
	const char *interface, const char *member, struct rpc_error *ret_error)
{
	const char *noun = interface + strlen(BUS_NAME);
	char name[BUS_NAME_SIZE] = "", exact_interface[BUS_NAME_SIZE], exact_member[BUS_NAME_SIZE];
	const struct method *m;

	append_snake(name, noun[0] == '.' ? noun + 1 : noun);
	if (strlen(name) + 2 < sizeof(name))
		strcat(name, ".");
	append_snake(name, member);
	m = method_find(name, ret_error);
	if (!m)
		return NULL;
	bus_name_of_method(m, exact_interface, exact_member);
	if (strcmp(interface, exact_interface) == 0 && strcmp(member, exact_member) == 0)
		return m;
	rpc_error_set(ret_error, CHAT_RPC_METHOD_NOT_FOUND,
		"there is no method of that name; did you mean %s.%s?", exact_interface,
		exact_member);
	return NULL;
}

void bus_name_of_error(int code, char *ret)
{
	const char *kind = rpc_error_code(code)->kind;

	snprintf(ret, BUS_NAME_SIZE, BUS_NAME ".Error.");
	append_camel(ret, kind, kind + strlen(kind));
}
