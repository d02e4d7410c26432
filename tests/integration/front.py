# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's front: one origin, behind which others do the work, chosen by path. It counts the bytes that
pass, and calls out in the middle of them.

    front = Front(backend_port)
    front.route("/uploads", port)         # whatever begins so goes there instead
    front.when("up", 12345, process.kill)  # after so many more bytes of request bodies ("down": of answers)

Every request has a connection of its own to whom it is for, and ends the one that it came on.
"""

import re
import socket
import threading

PIECE = 8192


def read_head(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(PIECE)
        if not piece:
            return None, b""
        head += piece
    head, _, rest = head.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest


def header(head, name):
    found = re.search(rf"^{name}: *(.*)$", head.replace("\r", ""), re.I | re.M)
    return found.group(1).strip() if found else None


def without(head, *names):
    lines = head.split("\r\n")
    return "\r\n".join(l for l in lines if l.split(":")[0].lower() not in names)


class Front:
    def __init__(self, backend):
        self.backend = backend
        self.routes = []
        self.rewrite = lambda target: target
        self.counts = {"up": 0, "down": 0}
        self.requests = []
        self.order = None
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        self.listener.close()

    def route(self, pattern, port):
        self.routes.append((re.compile(pattern), port))

    def when(self, direction, after, call):
        """Calls `call` when `after` more bytes have gone through; the returned event tells that it has."""
        done = threading.Event()
        with self.lock:
            self.order = (direction, self.counts[direction] + after, call, done)
        return done

    def count(self, direction, n):
        """How many of `n` bytes may pass, and what is to be called behind them."""
        with self.lock:
            order, call = self.order, None
            if order and order[0] == direction and self.counts[direction] + n >= order[1]:
                n, call = max(order[1] - self.counts[direction], 0), order
                self.order = None
            self.counts[direction] += n
        return n, call

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            with client:
                self.exchange(client)
        except OSError:
            pass

    def port_for(self, path):
        for pattern, port in self.routes:
            if pattern.match(path):
                return port, True
        return self.backend, False

    def exchange(self, client):
        head, rest = read_head(client)
        if not head:
            return
        path = head.split(" ")[1]
        port, counted = self.port_for(path)
        self.requests.append(head)
        if counted:
            line, _, tail = head.partition("\r\n")
            method, target, version = line.split(" ")
            head = f"{method} {self.rewrite(target)} {version}\r\n{tail}"
        with socket.create_connection(("127.0.0.1", port)) as server:
            if header(head, "Upgrade"):
                self.tunnel(client, server, head, rest)
            else:
                self.request(client, server, head, rest, counted)

    def tunnel(self, client, server, head, rest):
        def copy(source, to):
            try:
                while piece := source.recv(65536):
                    to.sendall(piece)
            except OSError:
                pass
            for end in source, to:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

        server.sendall(head.encode("latin-1") + b"\r\n\r\n" + rest)
        back = threading.Thread(target=copy, args=(server, client), daemon=True)
        back.start()
        copy(client, server)
        back.join()

    def pass_on(self, direction, piece, to):
        """False when the one it came from or went to is gone."""
        n, order = self.count(direction, len(piece)) if direction else (len(piece), None)
        if n:
            to.sendall(piece[:n])
        if not order:
            return True
        order[2]()
        order[3].set()
        return False

    def copy_body(self, source, to, length, rest, direction):
        while length is None or length > 0:
            piece = rest or source.recv(min(PIECE, length or PIECE))
            rest = b""
            if not piece:
                return length is None
            if not self.pass_on(direction, piece, to):
                return False
            if length is not None:
                length -= len(piece)
        return True

    def request(self, client, server, head, rest, counted):
        if header(head, "Expect"):
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        plain = without(head, "connection", "expect") + "\r\nConnection: close\r\n\r\n"
        server.sendall(plain.encode("latin-1"))
        length = int(header(head, "Content-Length") or 0)
        if not self.copy_body(client, server, length, rest, "up" if counted else None):
            return
        answer, rest = read_head(server)
        if not answer:
            return
        client.sendall((without(answer, "connection") + "\r\nConnection: close\r\n\r\n").encode("latin-1"))
        length = header(answer, "Content-Length")
        if head.startswith("HEAD") or answer.split(" ")[1] in ("204", "304"):
            length = 0
        self.copy_body(server, client, None if length is None else int(length), rest,
                       "down" if counted else None)
