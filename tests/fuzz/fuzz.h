/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A target takes any bytes and must not crash, leak or take long. With --enable-fuzzing it is
 * linked with libFuzzer, else with replay.c, which hands it the files of its corpus.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
