/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text of others on its way to where a line means something: the service manager, the log.
 */
#pragma once

/* Puts a space in the place of every control character, newlines among them. */
void text_one_line(char *s);
