/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log: to the journal with structured fields when stderr is connected to it, else lines on
 * stderr. It is the only process-wide state. Never pass message text, tokens, passwords or names.
 */
#pragma once

#include <syslog.h>

#include "base/cleanup.h"

/* Finds out where stderr goes. `program` (borrowed, static) prefixes lines on a plain stderr. */
void log_init(const char *program);

/* Drops everything less urgent than `priority` (LOG_ERR .. LOG_DEBUG); LOG_INFO at the start. */
void log_set_level(int priority);

/* A structured field of every entry from now on, "NAME=value"; copied. */
void log_set_field(const char *field);

/* "debug", "info", "notice", "warning" or "error" to the priority; -EINVAL for anything else. */
int log_level_from_string(const char *s);

/*
 * One entry. `fields` holds structured fields for the journal as "NAME=value" strings separated by
 * newlines ("CHAT_ID=c1\nMESSAGE_ID=m1"), or is NULL. errno is preserved.
 */
void log_full(int priority, const char *fields, const char *format, ...) _printf_(3, 4);

#define log_debug(...) log_full(LOG_DEBUG, NULL, __VA_ARGS__)
#define log_info(...) log_full(LOG_INFO, NULL, __VA_ARGS__)
#define log_notice(...) log_full(LOG_NOTICE, NULL, __VA_ARGS__)
#define log_warning(...) log_full(LOG_WARNING, NULL, __VA_ARGS__)
#define log_error(...) log_full(LOG_ERR, NULL, __VA_ARGS__)
