/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The numbers in a server's answers' headers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * A number and nothing else; -1 when there is none (or `text` is NULL), or it has 18 digits and
 * more.
 */
int64_t header_number(const char *text);

/*
 * Content-Range (RFC 9110, 14.4): "bytes 5-9/10", where a total of "*" is -1. False when it is
 * missing (NULL) or no such range.
 */
bool header_content_range(const char *text, int64_t *ret_first, int64_t *ret_total);

/* The total of a Content-Range that names no range, "bytes * /10" without the blank; else -1. */
int64_t header_unsatisfied_range(const char *text);
