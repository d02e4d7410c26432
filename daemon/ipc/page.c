/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ipc/page.h"

#include <errno.h>

#include "ipc/json-build.h"

int page_append(struct page *p, cJSON *element, size_t size)
{
	if (p->n == PAGE_MAX) {
		cJSON_Delete(element);
		return -EINVAL;
	}
	if (!json_append(p->elements, element))
		return -ENOMEM;
	p->sizes[p->n++] = size;
	p->bytes += size;
	return p->bytes > PAGE_BYTES_MAX;
}

bool page_cut(struct page *p, bool from_front)
{
	size_t first = 0;
	bool cut = false;

	while (p->bytes > PAGE_BYTES_MAX && p->n - first > 1) {
		size_t at = from_front ? first++ : --p->n;

		p->bytes -= p->sizes[at];
		cJSON_DeleteItemFromArray(p->elements, from_front ? 0 : (int)at);
		cut = true;
	}
	return cut;
}
