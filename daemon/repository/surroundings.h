/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the machine tells of its network and its sleep. An interface: whoever knows calls these, and
 * need not know whom it concerns.
 */
#pragma once

#include <stdbool.h>

struct surroundings {
	/* False: nothing can be reached, as far as is known. */
	void (*online)(void *userdata, bool online);
	/* Whether traffic costs the user. */
	void (*metered)(void *userdata, bool metered);
	/* The way to the outside is another one: what was open may be dead. */
	void (*moved)(void *userdata);
	/* The machine is about to sleep, and waits a moment for `done`, which comes once. */
	void (*sleep)(void *userdata, void (*done)(void *done_userdata), void *done_userdata);
	/* It is awake, or did not sleep after all. `done` does not come any more. */
	void (*resume)(void *userdata);
};
