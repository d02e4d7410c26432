/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Limits of requests and answers that more than one method has.
 */
#pragma once

/* Elements of a page. */
#define PAGE_MAX 200
#define PAGE_DEFAULT 50

/* Bytes of a page of messages; a page is cut before, unless a single message is larger. */
#define PAGE_BYTES_MAX (512u * 1024u)

/* Bytes that attachments.read hands out at once, before base64. */
#define READ_BYTES_MAX (512u * 1024u)

/* Chats that a subscription can be narrowed down to. */
#define SUBSCRIPTION_CHATS_MAX 64

/*
 * Requests of a connection between their arrival and their answer, and the bytes of their lines
 * with which no further one is begun. Those that write share a commit.
 */
#define CLIENT_REQUESTS_MAX 256
#define CLIENT_REQUEST_BYTES_MAX (4u << 20)

/*
 * For so long, in microseconds, one connection's requests are begun before others get their turn.
 */
#define CLIENT_TURN_US 10000

/* The same on the bus, where one more is refused. */
#define BUS_REQUESTS_MAX 64

/* Descriptors that requests in flight may hold. */
#define CLIENT_FDS_MAX 64

/*
 * Descriptors that a client may have been given without having taken them, and the bytes behind
 * these: with as many, none of its requests is started.
 */
#define CLIENT_GIVEN_FDS_MAX 16
#define CLIENT_GIVEN_BYTES_MAX (32u << 20)

/* Requests under way, of all clients that have left, with which none is begun that may wait. */
#define ORPHANS_MAX 64
