/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net-server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct net_server {
	serve_fn serve;
	void *userdata;
	SSL_CTX *tls;
	pthread_t thread;
	pthread_mutex_t lock;
	int listen_fd;
	int fd; /* of the connection being served; -1: none */
	unsigned connections;
	unsigned port;
	bool stopping;
};

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static void serve_connection(struct net_server *s, int fd, unsigned number)
{
	struct peer p = { .fd = fd, .number = number, .userdata = s->userdata };
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (s->tls) {
		p.ssl = SSL_new(s->tls);
		SSL_set_fd(p.ssl, fd);
	}
	if (!p.ssl || SSL_accept(p.ssl) == 1)
		s->serve(&p);
	SSL_free(p.ssl);
}

static void *server_main(void *userdata)
{
	struct net_server *s = userdata;

	for (;;) {
		int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		unsigned number;

		if (fd < 0)
			return NULL;
		pthread_mutex_lock(&s->lock);
		s->fd = fd;
		number = s->connections++;
		if (s->stopping)
			shutdown(fd, SHUT_RDWR);
		pthread_mutex_unlock(&s->lock);
		serve_connection(s, fd, number);
		pthread_mutex_lock(&s->lock);
		s->fd = -1;
		pthread_mutex_unlock(&s->lock);
		close(fd);
	}
}

static SSL_CTX *server_tls(const char *certificate)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

	check(SSL_CTX_use_certificate_file(tls, certificate, SSL_FILETYPE_PEM) == 1, "certificate");
	check(SSL_CTX_use_PrivateKey_file(tls, certificate, SSL_FILETYPE_PEM) == 1, "key");
	return tls;
}

struct net_server *net_server_start(serve_fn serve, void *userdata, const char *certificate)
{
	struct net_server *s = calloc(1, sizeof(*s));
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	signal(SIGPIPE, SIG_IGN);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->serve = serve;
	s->userdata = userdata;
	s->fd = -1;
	s->tls = certificate ? server_tls(certificate) : NULL;
	pthread_mutex_init(&s->lock, NULL);
	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(bind(s->listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	check(listen(s->listen_fd, 16) == 0, "listen");
	getsockname(s->listen_fd, (struct sockaddr *)&address, &len);
	s->port = ntohs(address.sin_port);
	check(pthread_create(&s->thread, NULL, server_main, s) == 0, "thread");
	return s;
}

unsigned net_server_port(const struct net_server *s)
{
	return s->port;
}

unsigned net_server_connections(struct net_server *s)
{
	unsigned n;

	pthread_mutex_lock(&s->lock);
	n = s->connections;
	pthread_mutex_unlock(&s->lock);
	return n;
}

void net_server_stop(struct net_server *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	if (s->fd >= 0)
		shutdown(s->fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	shutdown(s->listen_fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
	SSL_CTX_free(s->tls);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

ssize_t peer_read(struct peer *p, void *data, size_t len)
{
	return p->ssl ? SSL_read(p->ssl, data, (int)len) : recv(p->fd, data, len, 0);
}

bool peer_read_full(struct peer *p, void *data, size_t len)
{
	char *at = data;

	while (len > 0) {
		ssize_t n = peer_read(p, at, len);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

bool peer_write(struct peer *p, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = p->ssl ? SSL_write(p->ssl, at, (int)len)
				   : send(p->fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

ssize_t peer_try_write(struct peer *p, const void *data, size_t len)
{
	ssize_t n;

	if (p->ssl) {
		int r = SSL_write(p->ssl, data, (int)len);

		if (r > 0)
			return r;
		return SSL_get_error(p->ssl, r) == SSL_ERROR_WANT_WRITE ? -EAGAIN : -EPIPE;
	}
	n = send(p->fd, data, len, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? -EAGAIN : -EPIPE;
}

bool peer_print(struct peer *p, const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	bool ok;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	ok = n >= 0 && peer_write(p, text, (size_t)n);
	free(text);
	return ok;
}

void peer_wait_for_end(struct peer *p)
{
	char buf[4096];

	while (peer_read(p, buf, sizeof(buf)) > 0)
		;
}

static bool read_line_by_line(struct peer *p, char *buf, size_t size, size_t *ret_len)
{
	size_t n = 0;

	while (n + 1 < size) {
		if (peer_read(p, buf + n, 1) != 1)
			return false;
		n++;
		if (n >= 4 && memcmp(buf + n - 4, "\r\n\r\n", 4) == 0)
			break;
	}
	buf[n] = '\0';
	*ret_len = n;
	return true;
}

bool peer_read_request(struct peer *p, char *buf, size_t size)
{
	size_t n, body, fits;
	const char *length;
	char drop;

	if (!read_line_by_line(p, buf, size, &n))
		return false;
	length = strcasestr(buf, "\r\nContent-Length:");
	body = length ? strtoul(length + 17, NULL, 10) : 0;
	fits = body < size - 1 - n ? body : size - 1 - n;
	if (!peer_read_full(p, buf + n, fits))
		return false;
	buf[n + fits] = '\0';
	for (; fits < body; fits++)
		if (!peer_read_full(p, &drop, 1))
			return false;
	return true;
}

bool peer_accept_websocket(struct peer *p, char *buf, size_t size)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char digest[SHA_DIGEST_LENGTH], accept[64];
	char request[8192], key[128];
	const char *at;

	if (!peer_read_request(p, request, sizeof(request)))
		return false;
	at = strcasestr(request, "\r\nSec-WebSocket-Key:");
	if (!at || sscanf(at + 20, " %60s", key) != 1)
		return false;
	strcat(key, guid);
	SHA1((unsigned char *)key, strlen(key), digest);
	EVP_EncodeBlock(accept, digest, sizeof(digest));
	if (buf)
		snprintf(buf, size, "%s", request);
	return peer_print(p,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: chat.v1\r\n\r\n",
		accept);
}

bool peer_send_frame_head(struct peer *p, bool final, int opcode, uint64_t len)
{
	unsigned char head[10];
	size_t n = 2;

	head[0] = (unsigned char)((final ? 0x80 : 0) | opcode);
	if (len < 126) {
		head[1] = (unsigned char)len;
	} else if (len < 65536) {
		head[1] = 126;
		n = 4;
	} else {
		head[1] = 127;
		n = 10;
	}
	for (size_t i = 2; i < n; i++)
		head[i] = (unsigned char)(len >> (8 * (n - 1 - i)));
	return peer_write(p, head, n);
}

bool peer_send_frame(struct peer *p, bool final, int opcode, const void *data, uint64_t len)
{
	return peer_send_frame_head(p, final, opcode, len) && peer_write(p, data, len);
}

int peer_read_frame(struct peer *p, char *buf, size_t size)
{
	unsigned char head[2], extended[8], mask[4];
	uint64_t len;

	if (!peer_read_full(p, head, 2) || !(head[1] & 0x80))
		return -1;
	len = head[1] & 0x7f;
	if (len >= 126) {
		size_t n = len == 126 ? 2 : 8;

		if (!peer_read_full(p, extended, n))
			return -1;
		len = 0;
		for (size_t i = 0; i < n; i++)
			len = len << 8 | extended[i];
	}
	if (!peer_read_full(p, mask, 4) || len >= size || !peer_read_full(p, buf, len))
		return -1;
	for (uint64_t i = 0; i < len; i++)
		buf[i] = (char)(buf[i] ^ mask[i % 4]);
	buf[len] = '\0';
	return head[0] & 0x0f;
}

static void add_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	check(e, "certificate extension");
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

char *make_certificate(const char *name, long from_s, long to_s)
{
	char *path = strdup(P_tmpdir "/chatd-test-XXXXXX");
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	check(f && key, "certificate");
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), from_s);
	X509_gmtime_adj(X509_getm_notAfter(x), to_s);
	X509_NAME_add_entry_by_txt(
		subject, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(x, subject);
	X509_set_pubkey(x, key);
	add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(x, NID_subject_alt_name, name);
	check(X509_sign(x, key, EVP_sha256()) > 0, "sign");
	PEM_write_X509(f, x);
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(key);
	return path;
}
