/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What events.subscribe and changes.wait have in common.
 */
#pragma once

#include "ipc/hub.h"
#include "ipc/request.h"

/*
 * Fills `ret` (cleared by the caller in every case) from parameters that are checked: `only` these
 * topics, NULL means `default_topics`, since below 0 from now on. When it fails, the request has
 * been ended.
 */
int subscription_from(struct request *rq, const cJSON *only, unsigned default_topics,
	const cJSON *chats, int64_t since, struct subscription *ret);
