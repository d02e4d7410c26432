/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Whether pushes come. By the policy "push" a session is held as long as they do not. */
enum push_state {
	PUSH_OFF,            /* not asked for, by connection.policy, or the server has none */
	PUSH_NO_DISTRIBUTOR, /* nothing on this machine passes pushes on */
	PUSH_REGISTERING,    /* the distributor or the server has not answered yet */
	PUSH_READY,
};

/* By the enum's numbers, NULL-terminated. */
extern const char *const push_state_names[];
