/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What happened since the start, for tests to look at. Shown by GET /_control/stats under the same
 * names.
 */
#pragma once

#include <stdint.h>

#define STATS(X)                   \
	X(logins)                  \
	X(logins_refused)          \
	X(requests_login)          \
	X(requests_chats)          \
	X(requests_messages)       \
	X(requests_users)          \
	X(requests_uploads)        \
	X(requests_attachments)    \
	X(requests_bytes)          \
	X(requests_cdn)            \
	X(requests_push)           \
	X(requests_ws)             \
	X(requests_other)          \
	X(requests_cdn_with_token) \
	X(requests_unauthorized)   \
	X(sessions_opened)         \
	X(sessions_replaced)       \
	X(sessions_overrun)        \
	X(sessions_left)           \
	X(frames_in)               \
	X(frames_out)              \
	X(messages)                \
	X(messages_repeated)       \
	X(messages_refused)        \
	X(pushes_sent)             \
	X(pushes_failed)           \
	X(bytes_uploaded)          \
	X(bytes_downloaded)        \
	X(commits)

struct stats {
#define X(name) uint64_t name;
	STATS(X)
#undef X
};
