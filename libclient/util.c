/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

uint64_t monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t deadline_after(uint64_t now_us, int64_t ms)
{
	return ms < 0 ? UINT64_MAX : now_us + (uint64_t)ms * 1000u;
}

static int random_bytes(void *data, size_t n)
{
	ssize_t r;

	do
		r = getrandom(data, n, 0);
	while (r < 0 && errno == EINTR);
	return r == (ssize_t)n ? 0 : -EIO;
}

int uuid7_generate(char ret[UUID_STRING_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	struct timespec t;
	uint64_t ms;
	uint8_t b[16];
	char *out = ret;

	if (random_bytes(b, sizeof(b)) < 0)
		return -EIO;
	clock_gettime(CLOCK_REALTIME, &t);
	ms = (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
	for (int i = 0; i < 6; i++)
		b[i] = (uint8_t)(ms >> (40 - 8 * i));
	b[6] = (uint8_t)(0x70 | (b[6] & 0x0f));
	b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = hex[b[i] >> 4];
		*out++ = hex[b[i] & 15];
	}
	*out = '\0';
	return 0;
}

uint32_t random_up_to(uint32_t limit)
{
	uint64_t n;

	if (random_bytes(&n, sizeof(n)) < 0)
		return limit;
	return (uint32_t)(n % ((uint64_t)limit + 1));
}

static size_t sequence_length(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	if (lead >= 0xf0 && lead <= 0xf4)
		return 4;
	return 0;
}

/* Overlong forms, surrogates and what is beyond U+10FFFF show in the second byte. */
static bool second_byte_fits(unsigned char lead, unsigned char second)
{
	switch (lead) {
	case 0xe0:
		return second >= 0xa0;
	case 0xed:
		return second <= 0x9f;
	case 0xf0:
		return second >= 0x90;
	case 0xf4:
		return second <= 0x8f;
	}
	return true;
}

bool utf8_is_valid(const char *data, size_t len)
{
	const unsigned char *s = (const unsigned char *)data;

	while (len > 0) {
		size_t n = sequence_length(s[0]);

		if (n == 0 || n > len || (n > 1 && !second_byte_fits(s[0], s[1])))
			return false;
		for (size_t i = 1; i < n; i++)
			if ((s[i] & 0xc0) != 0x80)
				return false;
		s += n;
		len -= n;
	}
	return true;
}

size_t utf8_truncated_length(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	if (n <= max)
		return n;
	n = max;
	while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return n;
}

int fd_dup_cloexec(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : copy;
}

void fds_close(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

int strings_to_json(const char *const *strings, cJSON **ret)
{
	_cleanup_json_ cJSON *array = cJSON_CreateArray();

	if (!array)
		return -ENOMEM;
	for (; *strings; strings++) {
		cJSON *item = cJSON_CreateString(*strings);

		if (!item || !cJSON_AddItemToArray(array, item)) {
			cJSON_Delete(item);
			return -ENOMEM;
		}
	}
	*ret = TAKE_PTR(array);
	return 0;
}
