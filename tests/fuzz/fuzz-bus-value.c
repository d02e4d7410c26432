/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The converter between D-Bus and JSON. The bytes are steps: what a message is made of, container
 * by container. It is read, and what was read is written to another message, as is JSON of any
 * kind.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "ipc/bus-value.h"
#include "ipc/method.h"

#define STEPS_MAX 4096

static const char *const signatures[] = { "s", "b", "y", "n", "q", "i", "u", "x", "t", "d", "o",
	"g", "h", "v", "as", "ax", "av", "a{sv}", "aa{sv}", "(sx)", "aas", "ai", "a{ss}", "a(sv)" };

#define N_SIGNATURES (sizeof(signatures) / sizeof(signatures[0]))

struct input {
	const uint8_t *data;
	size_t left;
};

static uint8_t next(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->data++;
}

static void append_basic(sd_bus_message *m, struct input *in)
{
	static const char types[] = "sbynqiuxtdogh";
	char type = types[next(in) % (sizeof(types) - 1)], text[32] = "";
	union {
		uint64_t u;
		double d;
		uint32_t b;
		int fd;
	} value = { 0 };

	if (strchr("sog", type)) {
		size_t n = next(in) % (sizeof(text) - 1);

		for (size_t i = 0; i < n; i++)
			text[i] = (char)next(in);
		sd_bus_message_append_basic(m, type, text);
		return;
	}
	for (int i = 0; i < 8; i++)
		value.u = value.u << 8 | next(in);
	if (type == 'b')
		value.b &= 1;
	if (type == 'h')
		value.fd = STDOUT_FILENO;
	sd_bus_message_append_basic(m, type, &value);
}

static void step(sd_bus_message *m, struct input *in)
{
	const char *signature;
	char type;

	switch (next(in) % 4) {
	case 0:
		append_basic(m, in);
		return;
	case 1:
		sd_bus_message_close_container(m);
		return;
	case 2:
		/* As a member of an a{sv} is. */
		sd_bus_message_open_container(m, 'e', "sv");
		append_basic(m, in);
		return;
	case 3:
		type = "avre"[next(in) % 4];
		signature = signatures[next(in) % N_SIGNATURES];
		sd_bus_message_open_container(m, type, signature);
		return;
	}
}

/* A bus that has nobody on it: enough to make messages of. */
static sd_bus *open_bus(void)
{
	static sd_bus *bus;
	int fds[2];

	if (!bus) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ||
			sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fds[0], fds[0]) < 0 ||
			sd_bus_start(bus) < 0)
			abort();
	}
	return bus;
}

static sd_bus_message *new_message(void)
{
	sd_bus_message *m = NULL;

	if (sd_bus_message_new_signal(open_bus(), &m, "/a", "a.b", "C") < 0)
		abort();
	return m;
}

static void write_back(const cJSON *value)
{
	sd_bus_message *m;
	size_t bytes;

	for (size_t t = 0; method_tables[t]; t++) {
		const struct method *method = &method_tables[t][0];

		m = new_message();
		bus_value_append(m, value, t == 0 ? NULL : method->result, STDOUT_FILENO, &bytes);
		sd_bus_message_unref(m);
	}
}

static void read_and_write(sd_bus_message *m)
{
	struct fd_list *fds = NULL;
	struct rpc_error error;
	cJSON *value = NULL;

	if (sd_bus_message_seal(m, 1, 0) < 0 || sd_bus_message_rewind(m, true) < 0)
		return;
	if (bus_value_read(m, &value, &fds, &error) == 0)
		write_back(value);
	cJSON_Delete(value);
	fd_list_unref(fds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cJSON *value = cJSON_ParseWithLength((const char *)data, size);
	struct input in = { data, size };
	sd_bus_message *m = new_message();

	if (value)
		write_back(value);
	cJSON_Delete(value);
	sd_bus_message_open_container(m, 'a', "{sv}");
	for (int i = 0; i < STEPS_MAX && in.left > 0; i++)
		step(m, &in);
	while (sd_bus_message_close_container(m) >= 0)
		;
	read_and_write(m);
	sd_bus_message_unref(m);
	return 0;
}
