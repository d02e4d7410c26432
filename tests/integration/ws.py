# SPDX-License-Identifier: GPL-3.0-or-later
"""A minimal WebSocket client (RFC 6455) for tests: blocking, with a deadline on every wait, and able to misbehave."""

import base64
import os
import socket
import struct
import time

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Closed(Exception):
    """The connection ended; `code` is that of a close frame, or None when TCP just ended."""

    def __init__(self, code=None):
        super().__init__(f"closed, code {code}")
        self.code = code


class Refused(Exception):
    """The upgrade was answered with something else than 101."""

    def __init__(self, status, headers, body):
        super().__init__(f"upgrade refused with {status}")
        self.status, self.headers, self.body = status, headers, body


class WebSocket:
    def __init__(self, port, path="/ws", headers=(), protocol="chat.v1", timeout=10):
        self.timeout = timeout
        self.buffer = b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer_pings = True
        self._upgrade(port, path, list(headers), protocol)

    def _upgrade(self, port, path, headers, protocol):
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
        if protocol:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        lines += [f"{name}: {value}" for name, value in headers]
        self.socket.sendall("\r\n".join(lines + ["", ""]).encode())
        deadline = time.monotonic() + self.timeout
        while b"\r\n\r\n" not in self.buffer:
            self._more(deadline)
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *rest = head.decode().split("\r\n")
        status = int(first.split(" ")[1])
        answer = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        if status != 101:
            while len(self.buffer) < int(answer.get("content-length", 0)):
                self._more(deadline)
            self.close()
            raise Refused(status, answer, self.buffer)
        self.protocol = answer.get("sec-websocket-protocol")

    def _more(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("nothing came in time")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise Closed()
        self.buffer += data

    def _take(self, n, deadline):
        while len(self.buffer) < n:
            self._more(deadline)
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def send_frame(self, opcode, payload, final=True):
        head = bytes([(0x80 if final else 0) | opcode])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        elif len(payload) < 65536:
            head += struct.pack("!BH", 0x80 | 126, len(payload))
        else:
            head += struct.pack("!BQ", 0x80 | 127, len(payload))
        mask = os.urandom(4)
        masked = (int.from_bytes(payload, "big") ^
                  int.from_bytes((mask * (len(payload) // 4 + 1))[:len(payload)], "big")) if payload else 0
        self.socket.settimeout(self.timeout)
        self.socket.sendall(head + mask + masked.to_bytes(len(payload), "big"))

    def receive_frame(self, timeout=None):
        """(opcode, payload) of the next frame, control frames included."""
        deadline = time.monotonic() + (timeout or self.timeout)
        first, second = self._take(2, deadline)
        n = second & 127
        if n == 126:
            n = struct.unpack("!H", self._take(2, deadline))[0]
        elif n == 127:
            n = struct.unpack("!Q", self._take(8, deadline))[0]
        return first & 15, self._take(n, deadline)

    def receive(self, timeout=None):
        """The next message; raises Closed when there is none any more."""
        while True:
            opcode, payload = self.receive_frame(timeout)
            if opcode == PING and self.answer_pings:
                self.send_frame(PONG, payload)
            elif opcode == CLOSE:
                raise Closed(struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else None)
            elif opcode in (TEXT, BINARY):
                return payload.decode() if opcode == TEXT else payload

    def close(self):
        self.socket.close()
