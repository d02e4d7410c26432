/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A page of messages being put together, so that it fits into a line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

#include "ipc/limits.h"

struct page {
	cJSON *elements; /* borrowed: an array */
	size_t sizes[PAGE_MAX];
	size_t n, bytes;
};

/*
 * Adds an element (taken; NULL: memory was short) that takes at most `size` bytes as text. 1: with
 * this one the page is full, and ends here or is cut later. -ENOMEM; -EINVAL: there are PAGE_MAX
 * already.
 */
int page_append(struct page *p, cJSON *element, size_t size);

/* Drops elements from one end until the page fits; true if it had to. */
bool page_cut(struct page *p, bool from_front);
