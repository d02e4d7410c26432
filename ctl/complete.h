/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a shell asks for when its user presses Tab. It quotes for itself: words come and go as they
 * are meant.
 */
#pragma once

#include "ctl.h"

/* The word that stands for a verb in "chatctl __complete WORD...". */
#define COMPLETE_WORD "__complete"

/*
 * The words behind "chatctl", of which the last is to be completed and may be empty. Prints each
 * word that it may become, with a tab and what it is behind it; a line that begins with a tab asks
 * for names of files. Complains about nothing. Returns the exit code.
 */
int complete(struct ctl *ctl, int argc, char **argv);
