/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the typed calls are made with: a method's parameters stand once, for both of its forms. */
#pragma once

#include "client-internal.h"

/*
 * The options of a method that takes up to two strings; those that are NULL are left out, and
 * `params` is NULL when memory is short. It may be repeated.
 */
struct request_options method_options(const char *method, enum result_kind kind, const char *name,
	const char *value, const char *name2, const char *value2);

/* Add a member to `*object`, a string unless it is NULL. On failure the whole object is dropped. */
void method_add_string(cJSON **object, const char *name, const char *value);
void method_add_number(cJSON **object, const char *name, int64_t value);
void method_add_bool(cJSON **object, const char *name, bool value);

/* Take the options; the first blocks. A negative errno with the client's error set. */
int method_call(struct chat_client *c, struct request_options options, void *ret);
int method_start(struct chat_client *c, struct request_options options, union reply_fn callback,
	void *userdata);

#define START(c, options, member, fn, userdata) \
	method_start((c), (options), (union reply_fn){ .member = (fn) }, (userdata))

/* -EINVAL: what is wrong with the parameters. */
int method_invalid(struct chat_client *c, const char *why);
