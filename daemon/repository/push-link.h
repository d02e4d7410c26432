/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pushes on their way from a program of the desktop, which has them from a push service. An
 * interface: the repository says what it subscribes to, whoever knows that program calls the rest.
 * A token is a secret that nobody but that program knows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What the repository asks for. */
struct push_connector {
	/*
	 * Pushes for `token` are to come; `distributor` is who had passed them on before, or NULL.
	 * Strings are borrowed.
	 */
	void (*subscribe)(void *userdata, const char *token, const char *distributor);
	void (*unsubscribe)(void *userdata);
};

/* What it is told. Calls for another token than the present one have no effect. */
struct push_events {
	/* Somebody passes pushes on, or nobody does any more. */
	void (*connected)(void *userdata, const char *token, bool connected);
	/* Where the server is to send to, and who has made that place. */
	void (*endpoint)(void *userdata, const char *token, const char *endpoint,
		const char *distributor);
	/* The token is void. */
	void (*unregistered)(void *userdata, const char *token);
	/* Encrypted, and not trusted in anything. */
	void (*message)(void *userdata, const char *token, const void *data, size_t size);
};
