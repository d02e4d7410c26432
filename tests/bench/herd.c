/* SPDX-License-Identifier: GPL-3.0-or-later */
/* herd: prints how clients come back after an outage, by rule, and writes the curves for plots. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "herd-model.h"

#define HORIZON_S 21600

static const char usage[] =
	"Usage: herd [OPTION]...\n"
	"Simulates clients that lost their server, by the daemon's own rule and by others.\n"
	"\n"
	"  --clients N      how many (1000000)\n"
	"  --outage SECONDS how long the server is away (600)\n"
	"  --capacity N     in a second table, sessions the server can begin a second (5000 of a\n"
	"                   million)\n"
	"  --curves DIR     write attempts and clients that are back, second by second\n"
	"  --seed N         chance (1)\n";

struct scenario {
	const char *name, *title;
	uint32_t capacity, retry_after_s;
};

static const struct option options[] = {
	{ "clients", required_argument, NULL, 'n' },
	{ "outage", required_argument, NULL, 'o' },
	{ "capacity", required_argument, NULL, 'c' },
	{ "curves", required_argument, NULL, 'd' },
	{ "seed", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int write_curve(const char *directory, const struct scenario *s,
	const struct herd_options *o, const struct herd_result *r)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s-%s.data", directory, s->name, herd_rule_name(o->rule));
	f = fopen(path, "w");
	if (!f)
		return -errno;
	fputs("# seconds since the end of the outage, attempts, clients back\n", f);
	for (uint32_t i = 0; i < r->seconds; i++)
		fprintf(f, "%lld %u %u\n", (long long)i - o->outage_s, r->arrivals[i], r->back[i]);
	return fclose(f) == 0 ? 0 : -errno;
}

static void print_row(const struct herd_options *o, const struct herd_result *r)
{
	char back[24] = "not in 6 h";

	if (r->all_but_1pct >= 0)
		snprintf(back, sizeof(back), "%lld s", (long long)r->all_but_1pct);
	printf("%-18s %12u %11.1f %12s %14.1f %14.1f\n", herd_rule_name(o->rule), r->peak,
		r->peak / herd_even_share(o), back, (double)r->in_vain / o->clients,
		(double)r->refused / o->clients);
}

static int play(const struct scenario *s, struct herd_options o, const char *curves)
{
	printf("\n%s\n%-18s %12s %11s %12s %14s %14s\n", s->title, "rule", "peak per s", "of even",
		"99 % back", "tries in vain", "refused each");
	o.capacity = s->capacity;
	o.retry_after_s = s->retry_after_s;
	for (int rule = 0; rule < HERD_RULE_COUNT; rule++) {
		struct herd_result r;
		int e;

		o.rule = (enum herd_rule)rule;
		e = herd_run(&o, &r);
		if (e < 0)
			return e;
		print_row(&o, &r);
		fflush(stdout);
		if (curves)
			e = write_curve(curves, s, &o, &r);
		herd_clear(&r);
		if (e < 0)
			return e;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct herd_options o = {
		.clients = 1000000, .outage_s = 600, .horizon_s = HORIZON_S, .seed = 1
	};
	const char *curves = NULL;
	uint32_t capacity = 0;
	int key, r = 0;

	while ((key = getopt_long(argc, argv, "", options, NULL)) >= 0)
		switch (key) {
		case 'n':
			o.clients = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'o':
			o.outage_s = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'c':
			capacity = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'd':
			curves = optarg;
			break;
		case 's':
			o.seed = strtoull(optarg, NULL, 10);
			break;
		default:
			fputs(usage, key == 'h' ? stdout : stderr);
			return key == 'h' ? 0 : 2;
		}
	if (capacity == 0)
		capacity = o.clients / 200 + 1;
	printf("%u clients, %u s without a server; even share: %.0f a second\n", o.clients,
		o.outage_s, herd_even_share(&o));

	const struct scenario scenarios[] = {
		{ "open", "The server takes all who come.", 0, 0 },
		{ "limited", "It can begin so many sessions a second, and refuses others.",
			capacity, 0 },
		{ "told", "The same, and it tells those it refuses to wait 60 s (Retry-After).",
			capacity, 60 },
	};

	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]) && r == 0; i++)
		r = play(&scenarios[i], o, curves);
	if (r < 0)
		fprintf(stderr, "herd: %s\n", strerror(-r));
	return r < 0 ? 1 : 0;
}
