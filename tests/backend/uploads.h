/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Attachments and their uploads: a row for each variant, the bytes in a file of the data directory
 * named after the upload. The row's offset is the truth; bytes of the file beyond it were never
 * acknowledged.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"
#include "store.h"

struct chat;
struct user;

#define UPLOAD_MAX_BYTES (100 * 1024 * 1024)
#define UPLOAD_METADATA_MAX 1024

enum variant {
	VARIANT_FULL,
	VARIANT_PREVIEW,
};

struct upload {
	char id[UUID_STRING_SIZE];
	char attachment[65];
	enum variant variant;
	char owner[65];
	char mime[128];
	char name[256]; /* "" if not said */
	int64_t width, height;
	int64_t length, received;
	char sha256[65];                    /* hexadecimal, once complete; "" before */
	char metadata[UPLOAD_METADATA_MAX]; /* as the client sent it */
};

struct attachment {
	struct upload full, preview;
};

/* "full" or "preview"; variant_from_string() gives -EINVAL for anything else. */
const char *variant_name(enum variant variant);
int variant_from_string(const char *name);

static inline bool upload_is_complete(const struct upload *u)
{
	return u->received == u->length;
}

/* 0, -ENOENT or -EIO. */
int upload_find(struct store *store, const char *id, struct upload *ret);
int upload_find_variant(
	struct store *store, const char *attachment, enum variant variant, struct upload *ret);

/*
 * Makes an upload, or hands out again what is there when a client that lost the first answer asks
 * for the same: a complete upload of that length is returned as it is, an unfinished one starts
 * anew. `u` has everything but id, received and sha256, which are filled in. 0; -EEXIST when the
 * attachment is somebody else's or in a message already with other bytes; -EIO.
 */
int upload_create(struct store *store, const char *directory, struct upload *u);

/* Writes at u->received + `ahead`, which the row does not promise yet. 0 or negative errno. */
int upload_write(int fd, const struct upload *u, int64_t ahead, const void *data, size_t n);

/* Opens the bytes; a descriptor or negative errno. */
int upload_open(const char *directory, const char *id, bool for_writing);

/*
 * Makes `n` written bytes durable and moves the offset over them; at the end the hash is computed.
 * 0 or -errno.
 */
int upload_advance(struct store *store, int fd, struct upload *u, int64_t n);

/* Removes row and bytes. 0 or -EIO. */
int upload_remove(struct store *store, const char *directory, const struct upload *u);

/* Both variants, complete. 0; -ENOENT when the attachment is not there or not complete; -EIO. */
int attachment_find(struct store *store, const char *id, struct attachment *ret);

/* The number of the chat and the message that the attachment was sent in. 0, -ENOENT, -EIO. */
int attachment_use(struct store *store, const char *id, int64_t *ret_chat, char ret_message[65]);
int attachment_set_use(struct store *store, const char *id, int64_t chat, const char *message);
