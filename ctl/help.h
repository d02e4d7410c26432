/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What chatctl says about itself.
 */
#pragma once

#include "ctl.h"

/* `chatctl help [VERB]`, `chatctl --help`: on standard output. Returns the exit code. */
int help_all(const struct ctl *ctl, int argc, char **argv);

void help_verb(const struct verb *verb);

/* Complaints, on standard error. */
void help_short(void);
void help_usage(const struct verb *verb);
void help_unknown(int argc, char **argv); /* with the verb that was perhaps meant */
