/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/json-fields.h"

/*
 * The API's description as an OpenRPC document, from the method table; owned, NULL when memory is
 * short.
 */
cJSON *discover(void);
