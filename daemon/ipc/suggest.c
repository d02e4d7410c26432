/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/suggest.h"

#include <string.h>

#define NAME_MAX_LEN 48

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment: insert, delete, replace or swap two neighbours, each costs one. */
static unsigned edit_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	unsigned rows[3][NAME_MAX_LEN + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= n_b; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= n_a; i++) {
		unsigned *reuse = before;

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n_b; j++) {
			row[j] = min3(
				last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = last;
		last = row;
		row = reuse;
	}
	return last[n_b];
}

void suggest_consider(struct suggestion *s, const char *wanted, const char *candidate)
{
	size_t n_wanted = strlen(wanted), n_candidate = strlen(candidate);
	unsigned distance;

	if (n_wanted > NAME_MAX_LEN || n_candidate > NAME_MAX_LEN)
		return;
	distance = edit_distance(wanted, n_wanted, candidate, n_candidate);
	if (distance > 1 + n_candidate / 4 || distance >= n_candidate)
		return;
	if (s->best && s->distance <= distance)
		return;
	s->best = candidate;
	s->distance = distance;
}

bool name_is_presentable(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if (name[i] < ' ' || name[i] > '~')
			return false;
	return n > 0 && n <= NAME_MAX_LEN;
}
