/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A server for tests of network code: one thread that accepts on a loopback port and hands each
 * connection, one after the other, to a function of the test, which misbehaves as it likes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct net_server;

struct peer {
	int fd;
	void *ssl;	 /* NULL: plain */
	unsigned number; /* of the connection, from 0 */
	void *userdata;
};

typedef void (*serve_fn)(struct peer *p);

/* `certificate`: a file with certificate and key, for TLS; NULL: none. Fails the test when it
 * cannot start. */
struct net_server *net_server_start(serve_fn serve, void *userdata, const char *certificate);
unsigned net_server_port(const struct net_server *s);
unsigned net_server_connections(struct net_server *s); /* accepted so far */
void net_server_stop(struct net_server *s);	       /* cuts a connection that is still served */

/* What was read; 0 at the end; below 0 when the connection broke. */
ssize_t peer_read(struct peer *p, void *data, size_t len);
bool peer_read_full(struct peer *p, void *data, size_t len);
bool peer_write(struct peer *p, const void *data, size_t len);
/* What could be written until the socket's SO_SNDTIMEO was over; -EAGAIN, or -EPIPE at the end. */
ssize_t peer_try_write(struct peer *p, const void *data, size_t len);
bool peer_print(struct peer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Reads until the other side is gone. */
void peer_wait_for_end(struct peer *p);

/* Reads an HTTP request with its body into a string that is cut at `size`; false when there is
 * none. */
bool peer_read_request(struct peer *p, char *buf, size_t size);

/* WebSocket, by hand. */
enum {
	WS_OP_CONTINUATION = 0,
	WS_OP_TEXT = 1,
	WS_OP_BINARY = 2,
	WS_OP_CLOSE = 8,
	WS_OP_PING = 9,
	WS_OP_PONG = 10,
};
/* Reads the upgrade request and answers it; the request is copied to `buf` if given. */
bool peer_accept_websocket(struct peer *p, char *buf, size_t size);
bool peer_send_frame(struct peer *p, bool final, int opcode, const void *data, uint64_t len);
/* Only the head of a frame that claims `len` bytes. */
bool peer_send_frame_head(struct peer *p, bool final, int opcode, uint64_t len);
/* The opcode, and the payload as a string, of the next frame of at most `size` - 1 bytes; -1 at the
 * end. */
int peer_read_frame(struct peer *p, char *buf, size_t size);

/*
 * Writes a self-signed certificate with its key, valid for `name` ("DNS:…" or "IP:…") from `from_s`
 * to `to_s` seconds from now, into a new file and returns its path (to be unlinked and freed).
 */
char *make_certificate(const char *name, long from_s, long to_s);
