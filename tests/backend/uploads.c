/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "uploads.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const variant_names[] = {
	[VARIANT_FULL] = "full",
	[VARIANT_PREVIEW] = "preview",
};

const char *variant_name(enum variant variant)
{
	return variant_names[variant];
}

int variant_from_string(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(variant_names); i++)
		if (strcmp(name, variant_names[i]) == 0)
			return (int)i;
	return -EINVAL;
}

#define COPY(to, q, column) snprintf(to, sizeof(to), "%s", column_text(q, column))

static void read_row(sqlite3_stmt *q, struct upload *u)
{
	COPY(u->id, q, 0);
	COPY(u->attachment, q, 1);
	u->variant = strcmp(column_text(q, 2), "full") == 0 ? VARIANT_FULL : VARIANT_PREVIEW;
	COPY(u->owner, q, 3);
	COPY(u->mime, q, 4);
	COPY(u->name, q, 5);
	u->width = sqlite3_column_int64(q, 6);
	u->height = sqlite3_column_int64(q, 7);
	u->length = sqlite3_column_int64(q, 8);
	u->received = sqlite3_column_int64(q, 9);
	COPY(u->sha256, q, 10);
	COPY(u->metadata, q, 11);
}

static int one_row(struct store *store, sqlite3_stmt *q, struct upload *ret)
{
	int r = store_next(store, q);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	read_row(q, ret);
	sqlite3_reset(q);
	return 0;
}

int upload_find(struct store *store, const char *id, struct upload *ret)
{
	sqlite3_stmt *q = store_query(store, QUERY_UPLOAD_BY_ID);

	bind_text(q, 1, id);
	return one_row(store, q, ret);
}

int upload_find_variant(
	struct store *store, const char *attachment, enum variant variant, struct upload *ret)
{
	sqlite3_stmt *q = store_query(store, QUERY_UPLOAD_BY_VARIANT);

	bind_text(q, 1, attachment);
	bind_text(q, 2, variant_name(variant));
	return one_row(store, q, ret);
}

static int path_of(const char *directory, const char *id, char *ret, size_t size)
{
	return snprintf(ret, size, "%s/bytes/%s", directory, id) < (int)size ? 0 : -ENAMETOOLONG;
}

int upload_open(const char *directory, const char *id, bool for_writing)
{
	char path[4096];
	int r = path_of(directory, id, path, sizeof(path));
	int fd;

	if (r < 0)
		return r;
	fd = open(path, (for_writing ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* 0 when nobody or `owner` has begun this attachment, -EEXIST when somebody else has. */
static int check_owner(struct store *store, const char *attachment, const char *owner)
{
	sqlite3_stmt *q = store_query(store, QUERY_UPLOAD_OWNER);
	int r;

	bind_text(q, 1, attachment);
	r = store_next(store, q);
	if (r <= 0)
		return r;
	r = strcmp(column_text(q, 0), owner) == 0 ? 0 : -EEXIST;
	sqlite3_reset(q);
	return r;
}

static int insert(struct store *store, const struct upload *u)
{
	sqlite3_stmt *q = store_query(store, QUERY_UPLOAD_INSERT);

	bind_text(q, 1, u->id);
	bind_text(q, 2, u->attachment);
	bind_text(q, 3, variant_name(u->variant));
	bind_text(q, 4, u->owner);
	bind_text(q, 5, u->mime);
	bind_text(q, 6, *u->name ? u->name : NULL);
	bind_int(q, 7, u->width);
	bind_int(q, 8, u->height);
	bind_int(q, 9, u->length);
	bind_text(q, 10, *u->sha256 ? u->sha256 : NULL);
	bind_text(q, 11, u->metadata);
	return store_run(store, q);
}

static void hash_of_nothing(char ret[65])
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, (const unsigned char *)"", 0);
	sodium_bin2hex(ret, 65, hash, sizeof(hash));
}

/* Makes the new file's name durable, which syncing the file itself does not promise. */
static int sync_directory(const char *directory)
{
	_cleanup_close_ int fd = -1;
	char path[4096];
	int r = path_of(directory, ".", path, sizeof(path));

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int make_anew(struct store *store, const char *directory, struct upload *u)
{
	_cleanup_close_ int fd = -1;
	int r;

	uuid4_generate(u->id);
	u->received = 0;
	u->sha256[0] = '\0';
	if (u->length == 0)
		hash_of_nothing(u->sha256);
	fd = upload_open(directory, u->id, true);
	if (fd < 0)
		return fd;
	r = sync_directory(directory);
	return r < 0 ? r : insert(store, u);
}

int upload_create(struct store *store, const char *directory, struct upload *u)
{
	struct upload old;
	char message[65];
	int64_t chat;
	int r = check_owner(store, u->attachment, u->owner);

	if (r < 0)
		return r;
	r = upload_find_variant(store, u->attachment, u->variant, &old);
	if (r == -ENOENT)
		return make_anew(store, directory, u);
	if (r < 0)
		return r;
	if (upload_is_complete(&old) && old.length == u->length) {
		*u = old;
		return 0;
	}
	r = attachment_use(store, u->attachment, &chat, message);
	if (r != -ENOENT)
		return r < 0 ? r : -EEXIST;
	r = upload_remove(store, directory, &old);
	return r < 0 ? r : make_anew(store, directory, u);
}

int upload_write(int fd, const struct upload *u, int64_t ahead, const void *data, size_t n)
{
	const char *from = data;
	off_t at = (off_t)(u->received + ahead);

	while (n > 0) {
		ssize_t written = pwrite(fd, from, n, at);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		from += written;
		at += written;
		n -= (size_t)written;
	}
	return 0;
}

static int hash_file(int fd, int64_t length, char ret[65])
{
	crypto_hash_sha256_state state;
	unsigned char hash[crypto_hash_sha256_BYTES], chunk[65536];
	off_t at = 0;

	crypto_hash_sha256_init(&state);
	while (at < length) {
		ssize_t n = pread(fd, chunk, sizeof(chunk), at);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		if (n > length - at)
			n = (ssize_t)(length - at);
		crypto_hash_sha256_update(&state, chunk, (unsigned long long)n);
		at += n;
	}
	crypto_hash_sha256_final(&state, hash);
	sodium_bin2hex(ret, 65, hash, sizeof(hash));
	return 0;
}

int upload_advance(struct store *store, int fd, struct upload *u, int64_t n)
{
	sqlite3_stmt *q = store_query(store, QUERY_UPLOAD_ADVANCE);
	char hash[65] = "";
	int r = 0;

	if (fdatasync(fd) < 0)
		return -errno;
	if (u->received + n == u->length)
		r = hash_file(fd, u->length, hash);
	if (r < 0)
		return r;
	bind_text(q, 1, u->id);
	bind_int(q, 2, u->received + n);
	bind_text(q, 3, *hash ? hash : NULL);
	r = store_run(store, q);
	if (r < 0)
		return r;
	u->received += n;
	memcpy(u->sha256, hash, sizeof(hash));
	return 0;
}

/* Only once the row is gone for good: a row without its bytes would promise what is not there. */
static void unlink_path(void *userdata, bool committed)
{
	_cleanup_free_ char *path = userdata;

	if (committed)
		(void)unlink(path);
}

int upload_remove(struct store *store, const char *directory, const struct upload *u)
{
	sqlite3_stmt *q = store_query(store, QUERY_UPLOAD_DELETE);
	_cleanup_free_ char *path = malloc(4096);
	int r = path ? path_of(directory, u->id, path, 4096) : -ENOMEM;

	if (r < 0)
		return r;
	bind_text(q, 1, u->id);
	r = store_run(store, q);
	if (r == 0)
		r = store_after_commit(store, unlink_path, path);
	if (r == 0)
		path = NULL;
	return r;
}

int attachment_find(struct store *store, const char *id, struct attachment *ret)
{
	int r = upload_find_variant(store, id, VARIANT_FULL, &ret->full);

	if (r == 0)
		r = upload_find_variant(store, id, VARIANT_PREVIEW, &ret->preview);
	if (r < 0)
		return r;
	return upload_is_complete(&ret->full) && upload_is_complete(&ret->preview) ? 0 : -ENOENT;
}

int attachment_use(struct store *store, const char *id, int64_t *ret_chat, char ret_message[65])
{
	sqlite3_stmt *q = store_query(store, QUERY_USE_GET);
	int r;

	bind_text(q, 1, id);
	r = store_next(store, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_chat = sqlite3_column_int64(q, 0);
	snprintf(ret_message, 65, "%s", column_text(q, 1));
	sqlite3_reset(q);
	return 0;
}

int attachment_set_use(struct store *store, const char *id, int64_t chat, const char *message)
{
	sqlite3_stmt *q = store_query(store, QUERY_USE_INSERT);

	bind_text(q, 1, id);
	bind_int(q, 2, chat);
	bind_text(q, 3, message);
	return store_run(store, q);
}
