/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The two clocks: monotonic time drives every timer, wall time only stamps what people see.
 */
#pragma once

#include <stdint.h>

/* Microseconds since an arbitrary point, never going back (CLOCK_MONOTONIC). */
uint64_t clock_monotonic_us(void);

/* Milliseconds since 1970 UTC, as the user's clock has it; may jump. */
int64_t clock_wall_ms(void);
