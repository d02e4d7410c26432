/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"

void text_one_line(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = ' ';
}
