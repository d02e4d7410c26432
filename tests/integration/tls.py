# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate authority of its own, and TLS in front of a plain server.

    ca = Authority(tmp_path)
    with TlsFront(backend.port, ca.issue("DNS:localhost")) as front:
        front.url
"""

import datetime
import pathlib
import socket
import ssl
import subprocess
import threading


# What `openssl ca` wants to know. Unlike `openssl x509` it issues what has expired, in all versions.
ISSUING = """
[ca]
default_ca = authority
[authority]
database = {directory}/index.txt
serial = {directory}/serial
new_certs_dir = {directory}
default_md = sha256
unique_subject = no
policy = any
x509_extensions = server
[any]
commonName = supplied
[server]
subjectAltName = {name}
"""


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def end(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Authority:
    def __init__(self, directory, name="authority"):
        self.directory = pathlib.Path(directory) / name
        self.directory.mkdir()
        self.key, self.file = self.directory / "ca.key", self.directory / "ca.pem"
        self.issued = 0
        (self.directory / "index.txt").touch()
        (self.directory / "serial").write_text("01\n")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self.key, "-out", self.file, "-subj", f"/CN={name}", "-days", 2)

    def issue(self, name, days=1):
        """A file with a key and a certificate for "DNS:…" or "IP:…"; expired with `days` below 0."""
        self.issued += 1
        base = self.directory / f"server-{self.issued}"
        key, request, certificate, configuration = (
            base.with_suffix(s) for s in (".key", ".csr", ".pem", ".cnf"))
        configuration.write_text(ISSUING.format(directory=self.directory, name=name))
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
        start = min(end, datetime.datetime.now(datetime.timezone.utc)) - datetime.timedelta(days=1)
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", key, "-out", request, "-subj", "/CN=server")
        openssl("ca", "-batch", "-notext", "-config", configuration, "-in", request,
                "-cert", self.file, "-keyfile", self.key, "-out", certificate,
                "-startdate", f"{start:%Y%m%d%H%M%SZ}", "-enddate", f"{end:%Y%m%d%H%M%SZ}")
        certificate.write_text(key.read_text() + certificate.read_text())
        return certificate


class TlsFront:
    """Speaks TLS on a port of 127.0.0.1 and hands the bytes on to another."""

    def __init__(self, port, certificate):
        self.backend_port = port
        self.use(certificate)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.open = set()
        self.handshakes_failed = 0

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def use(self, certificate):
        """For connections from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.context = context

    def cut(self):
        """Ends all connections."""
        with self.lock:
            for connection in self.open:
                end(connection)

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        try:
            secure = self.context.wrap_socket(plain, server_side=True)
        except (ssl.SSLError, OSError):
            self.handshakes_failed += 1
            plain.close()
            return
        try:
            behind = socket.create_connection(("127.0.0.1", self.backend_port))
        except OSError:
            secure.close()
            return
        with self.lock:
            self.open |= {secure, behind}
        threads = [threading.Thread(target=self.copy, args=pair, daemon=True)
                   for pair in ((secure, behind), (behind, secure))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with self.lock:
            self.open -= {secure, behind}
        secure.close()
        behind.close()

    def copy(self, source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except (OSError, ValueError):
            pass
        end(source)
        end(target)
