/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "ipc/api.h"
#include "ipc/output.h"
#include "ipc/schema.h"

/* The notification with which the daemon speaks first; NULL when memory is short. */
struct chunk *hello_line(const struct api *api, unsigned scopes);

extern const struct schema schema_hello;
