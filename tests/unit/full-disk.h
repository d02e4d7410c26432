/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A disk without room: the kernel lets no file of this process grow, so that every commit fails. */
#pragma once

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

/* Returns what full_disk_end takes. */
static inline struct rlimit full_disk_begin(void)
{
	struct rlimit old, none;

	signal(SIGXFSZ, SIG_IGN);
	if (getrlimit(RLIMIT_FSIZE, &old) < 0)
		abort();
	none = (struct rlimit){ .rlim_cur = 1, .rlim_max = old.rlim_max };
	if (setrlimit(RLIMIT_FSIZE, &none) < 0)
		abort();
	return old;
}

static inline void full_disk_end(struct rlimit old)
{
	if (setrlimit(RLIMIT_FSIZE, &old) < 0)
		abort();
}
