/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Strings that are kept, and text of others that goes to where a line means something. */
#pragma once

/* Replaces an owned string by a copy, or by NULL; -ENOMEM leaves it. */
int replace_string(char **to, const char *from);

/* Puts a space in the place of every control character, newlines among them. */
void text_one_line(char *s);
