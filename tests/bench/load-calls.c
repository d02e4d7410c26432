/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "load.h"

/* Requests that are not measured: caches fill, statements are prepared. */
static int64_t warm_up_of(int64_t count)
{
	return count / 10 < 200 ? count / 10 + 1 : 200;
}

/* One at a time: the next one goes out when the answer is here. */
int load_calls(int argc, char **argv)
{
	int64_t count = number_of(argv[1], 1);
	struct samples samples = { 0 };
	struct peer p;

	peer_open(&p, argv[0]);
	for (int64_t i = -warm_up_of(count); i < count; i++) {
		uint64_t began = now_ns();

		peer_call(&p, argv[2]);
		if (i >= 0)
			samples_add(&samples, now_ns() - began);
	}
	peer_close(&p);
	samples_print(&samples);
	return 0;
}

static void print_rate(int64_t count, uint64_t ns)
{
	printf("{\"n\": %lld, \"seconds\": %.6f, \"per_s\": %.1f}\n", (long long)count,
		(double)ns / 1e9, (double)count * 1e9 / (double)ns);
}

static void send_some(struct peer *p, const char *template, int64_t n)
{
	static char out[1 << 20];
	size_t have = 0;

	for (int64_t i = 0; i < n; i++) {
		size_t size;
		const char *text = request_text(template, &size);

		if (have + size > sizeof(out)) {
			write_all(p->lines.fd, out, have);
			have = 0;
		}
		for (size_t k = 0; k < size; k++)
			out[have++] = text[k];
	}
	write_all(p->lines.fd, out, have);
}

/* A window of requests under way; half of it is filled up at a time, as a busy program would. */
int load_pipeline(int argc, char **argv)
{
	int64_t count = number_of(argv[1], 1), window = number_of(argv[2], 1), sent = 0, done = 0;
	uint64_t began = now_ns();
	struct peer p;
	size_t size;

	peer_open(&p, argv[0]);
	while (done < count) {
		int64_t room = window - (sent - done);

		if (room > count - sent)
			room = count - sent;
		if (room > 0 && (room >= window / 2 || sent == done || sent + room == count)) {
			send_some(&p, argv[3], room);
			sent += room;
		}
		peer_read(&p, &size);
		done++;
	}
	print_rate(count, now_ns() - began);
	peer_close(&p);
	return 0;
}
