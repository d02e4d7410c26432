/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The lists of names that the API's descriptions need, NULL-terminated. What the names are is said
 * by the model.
 */
#pragma once

extern const char *const attachment_status_names[];
extern const char *const message_status_names[];
extern const char *const session_state_names[];
extern const char *const variant_names[];
