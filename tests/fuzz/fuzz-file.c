/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that someone else may have written: the configuration and the wrapped key. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "db/key-box.h"
#include "settings.h"

static void configuration(char *path)
{
	static char data_dir[] = "/d", socket[] = "/s", helper[] = "/p";
	struct config c,
		given = {
			.file = path,
			.file_was_named = true,
			.data_dir = data_dir,
			.socket = socket,
			.preview_helper = helper,
		};

	if (config_resolve(&given, &c) == 0)
		config_clear(&c);
}

/* Nothing that is made up is ever unwrapped. */
static void key(char *path)
{
	static const char secret[32] = "0123456789abcdef0123456789abcde";
	struct db_key *key = NULL;
	char id[KEY_BOX_ID_SIZE];

	key_box_id(path, KEY_BOX_SECRET, id);
	key_box_id(path, KEY_BOX_PASSPHRASE, id);
	if (key_box_read(path, KEY_BOX_SECRET, secret, sizeof(secret), &key) == 0 ||
		key_box_read(path, KEY_BOX_RECOVERY, secret, sizeof(secret), &key) == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(char *) = { configuration, key };
	_cleanup_close_ int fd = memfd_create("fuzz", MFD_CLOEXEC);
	char path[64];

	if (size == 0 || fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
		return 0;
	log_set_level(LOG_EMERG);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	readers[data[0] % ARRAY_SIZE(readers)](path);
	return 0;
}
