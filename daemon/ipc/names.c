/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/names.h"

#include <stddef.h>

const char *const attachment_status_names[] = {
	"WAITING",
	"UPLOADING",
	"DOWNLOADING",
	"FAILED",
	"READY",
	NULL,
};

const char *const message_status_names[] = {
	"PENDING",
	"SENT",
	"RECEIVED",
	"READ",
	"FAILED",
	NULL,
};

const char *const session_state_names[] = {
	"OFFLINE",
	"CONNECTING",
	"GREETING",
	"CATCHING_UP",
	"LIVE",
	"BACKOFF",
	"LOGIN_REQUIRED",
	"LOCKED",
	"SUSPENDED",
	NULL,
};

const char *const variant_names[] = { "full", "preview", NULL };
