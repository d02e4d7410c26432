/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

enum attachment_status {
	ATTACHMENT_WAITING,	/* not here; is fetched when the user asks */
	ATTACHMENT_UPLOADING,	/* on its way to the server */
	ATTACHMENT_DOWNLOADING, /* on its way here */
	ATTACHMENT_FAILED,
	ATTACHMENT_READY, /* here and on the server */
};

/* The name of a status in the API; unique, upper case. */
const char *attachment_status_to_string(enum attachment_status status);

/* Whose turn it is among what has to be moved; the lowest goes first. */
enum attachment_priority {
	PRIORITY_ASKED, /* the user waits for it */
	PRIORITY_OUTGOING,
	PRIORITY_PREVIEW,
	PRIORITY_AUTOMATIC, /* came in just now */
	PRIORITY_BACKFILL,  /* came while this device was away */
};

/* The two forms in which a photo travels. */
enum attachment_variant {
	VARIANT_FULL,
	VARIANT_PREVIEW,
};

const char *attachment_variant_to_string(enum attachment_variant variant);

/* 0 and the variant, or -EINVAL. */
int attachment_variant_from_string(const char *s, enum attachment_variant *ret);

#define SHA256_HEX_SIZE 65

/*
 * A photo. Its bytes are elsewhere; this says what and where they are. Strings are owned and may be
 * NULL.
 */
struct attachment {
	char *id;
	char *message_id;
	char *chat_id;
	char *mime;
	char *name;
	char *sha256; /* of the full bytes, lower-case hex; empty or NULL when not known */
	char *url;    /* NULL: these bytes are not on the server yet */
	char *preview_url;
	int64_t size; /* bytes of the full variant */
	int64_t preview_size;
	int64_t width, height; /* pixels, upright */
	int64_t progress;      /* bytes acknowledged by the other side of the running transfer */
	enum attachment_status status;
	enum attachment_priority priority; /* of the full bytes; previews have their own */
	bool outgoing;
	bool full_stored;    /* the full bytes are in the media database, whole */
	bool preview_stored; /* and so the preview's */
};

/* Releases what `a` holds, not `a` itself. */
void attachment_clear(struct attachment *a);

/* A deep copy into `ret`; -ENOMEM leaves it untouched. */
int attachment_copy(const struct attachment *a, struct attachment *ret);
