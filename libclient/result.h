/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory behind what callers are given: one counted result owns the JSON tree that the strings
 * lie in, the structs made from it, and the descriptors that came with it.
 */
#pragma once

#include "chatclient.h"
#include "util.h"

struct result;

/* Takes `json`, also when it fails. NULL when memory is short. */
struct result *result_new(cJSON *json);

struct result *result_ref(struct result *result);
struct result *result_unref(struct result *result); /* takes NULL; returns NULL */

static inline void result_unrefp(struct result **result)
{
	result_unref(*result);
}

const cJSON *result_json(const struct result *result);

/* Zeroed memory for a struct that shows `json`, a part of the tree; lives as long as the result. */
void *result_node(struct result *result, const cJSON *json, size_t size);

/* Zeroed memory that lives as long as the result. */
void *result_array(struct result *result, size_t n, size_t size);

/* Takes the descriptors themselves (not the array). 0, or -ENOMEM with nothing taken. */
int result_set_fds(struct result *result, const int *fds, size_t n);
int *result_fds(struct result *result, size_t *ret_n);

/* The result that a struct made by result_node() belongs to. */
struct result *result_of(const void *node);
