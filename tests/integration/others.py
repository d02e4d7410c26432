# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that others have written, for the tests of photos: nginx, and the tus authors' own."""

import os
import pathlib
import select
import shutil
import socket
import subprocess

import pytest
from people import until

HERE = pathlib.Path(__file__).parent

NGINX = """
daemon off;
worker_processes 1;
error_log {directory}/error.log;
pid {directory}/pid;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    default_type image/jpeg;
    server {{
        listen 127.0.0.1:{port};
        root {directory}/root;
        {more}
    }}
}}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Nginx:
    """Serves the files of `root`."""

    def __init__(self, directory, more=""):
        self.program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if not self.program:
            pytest.skip("nginx is not installed")
        self.directory = pathlib.Path(directory)
        self.root = self.directory / "root"
        self.root.mkdir(parents=True)
        self.port = free_port()
        self.configuration = self.directory / "nginx.conf"
        self.configure(more)
        self.process = subprocess.Popen(
            [self.program, "-c", str(self.configuration), "-p", str(self.directory),
             "-e", str(self.directory / "error.log")])
        until(self.answers)

    def configure(self, more):
        # Its workers give root's rights up, and must still read the files.
        user = "user root;\n" if os.geteuid() == 0 else ""
        self.configuration.write_text(
            user + NGINX.format(directory=self.directory, port=self.port, more=more))

    def answers(self):
        assert self.process.poll() is None, "nginx has ended"
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def install_packages(name):
    """The directory with the packages, installed on the first use; a skip where npm cannot."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm is not installed; tools/setup brings it")
    base = pathlib.Path(os.environ.get("CHATD_BUILD") or os.getcwd()) / "tests/integration" / name
    base.mkdir(parents=True, exist_ok=True)
    for file in (HERE / name).iterdir():
        if file.is_file():
            shutil.copy(file, base / file.name)
    if not (base / "node_modules/.package-lock.json").exists():
        done = subprocess.run(
            ["npm", "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=base, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            pytest.skip(f"npm cannot install what is in {name}: {done.stderr[-300:]}")
    return base


class Tus:
    def __init__(self, directory, backend_url):
        base = install_packages("tus")
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.process = subprocess.Popen(
            ["node", str(base / "server.mjs"), str(self.directory), backend_url],
            stdout=subprocess.PIPE, text=True)
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        line = self.process.stdout.readline() if ready else ""
        assert line.startswith("ready "), line
        self.port = int(line.split()[1])

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()
