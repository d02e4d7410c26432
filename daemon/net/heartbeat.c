/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/heartbeat.h"

static unsigned at_most(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned at_least(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

/* A server that asks for more than the cap gets that. */
void heartbeat_forget(struct heartbeat *h)
{
	h->interval_s = h->base_s;
	h->limit_s = at_least(h->base_s, HEARTBEAT_CAP_S);
	h->proofs = 0;
}

void heartbeat_set_base(struct heartbeat *h, unsigned base_s)
{
	if (h->base_s == base_s)
		return;
	h->base_s = base_s;
	heartbeat_forget(h);
}

static unsigned longer(unsigned s, unsigned limit_s)
{
	return at_most(s + at_least(s / 2, 1), limit_s);
}

bool heartbeat_answered(struct heartbeat *h)
{
	bool at_limit = h->interval_s >= h->limit_s;

	if (h->interval_s >= HEARTBEAT_CAP_S ||
		++h->proofs < (at_limit ? HEARTBEAT_RETRY_PROOFS : HEARTBEAT_PROOFS))
		return false;
	if (at_limit)
		h->limit_s = longer(h->limit_s, HEARTBEAT_CAP_S);
	h->interval_s = longer(h->interval_s, h->limit_s);
	h->proofs = 0;
	return true;
}

void heartbeat_lost(struct heartbeat *h, unsigned silent_s)
{
	h->proofs = 0;
	if (silent_s > h->base_s)
		h->limit_s = at_least(h->base_s, at_most(h->limit_s, silent_s * 2 / 3));
	h->interval_s = h->base_s;
}
