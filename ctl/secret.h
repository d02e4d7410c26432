/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Passwords and their like, as they come in. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SECRET_MAX 1024

/* True when a person is asked, who may mistype. */
bool secret_is_asked(void);

/*
 * Asks for one on the terminal, which shows nothing of it; reads a line of standard input when that
 * is not a terminal. False when none is given. The caller wipes it.
 */
bool secret_read(const char *prompt, char *ret, size_t size);
