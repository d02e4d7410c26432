# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs chatctl and the example frontends against the stand-in for the daemon."""

import codecs
import fcntl
import json
import os
import pathlib
import pty
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time

import pytest

from fake_chatd import FakeChatd

PATIENCE_S = 60


def program(name):
    for base in (os.environ.get("CHATD_BUILD"), os.getcwd(), pathlib.Path(__file__).parents[2]):
        if base and (candidate := pathlib.Path(base, name)).exists():
            return str(candidate)
    raise FileNotFoundError(f"{name} was not found: set CHATD_BUILD")


LIBRARIES = pathlib.Path(program("chatctl")).parent / ".libs"


def bare_program(name):
    """Without libtool's script around it, which takes as long as the program itself."""
    bare = LIBRARIES / name
    return str(bare) if bare.exists() else program(name)


class Result:
    def __init__(self, code, out, err):
        self.code, self.bytes, self.err = code, out, err.decode()

    @property
    def out(self):
        return self.bytes.decode()

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def json(self):
        return [json.loads(line) for line in self.lines]

    @property
    def error(self):
        """What --json says on standard error."""
        return json.loads(self.err.splitlines()[-1])["error"]

    def __repr__(self):
        return f"<exit {self.code}\n{self.bytes.decode(errors='replace')}\n{self.err}>"


class Chatctl:
    def __init__(self, directory, socket=None):
        self.directory = str(directory)
        self.socket = socket

    def command(self, *args):
        head = [bare_program("chatctl")]
        if self.socket:
            head.append(f"--socket={self.socket}")
        return head + list(args)

    def environment(self, extra=None):
        return {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "COLUMNS": "80",
                "XDG_RUNTIME_DIR": self.directory, "LD_LIBRARY_PATH": str(LIBRARIES), **(extra or {})}

    def __call__(self, *args, stdin=b"", env=None):
        done = subprocess.run(self.command(*args), input=stdin, capture_output=True, check=False,
                              cwd=self.directory, env=self.environment(env), timeout=PATIENCE_S)
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *args):
        return Running(subprocess.Popen(
            self.command(*args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=self.directory, env=self.environment()))

    def on_terminal(self, *args, width=80, env=None):
        return Terminal(self.command(*args), self.directory,
                        self.environment({"TERM": "xterm", **(env or {})}), width)


class Running:
    """A chatctl that goes on until it is stopped."""

    def __init__(self, process):
        self.process = process
        self.rest = {process.stdout: b"", process.stderr: b""}

    def line(self, stream=None):
        stream = stream or self.process.stdout
        end = time.monotonic() + PATIENCE_S
        while b"\n" not in self.rest[stream]:
            left = end - time.monotonic()
            assert left > 0 and select.select([stream], [], [], left)[0], "no line came in time"
            data = os.read(stream.fileno(), 65536)
            assert data, f"it ended instead: {self.process.stderr.read().decode()}"
            self.rest[stream] += data
        line, self.rest[stream] = self.rest[stream].split(b"\n", 1)
        return line.decode()

    def error_line(self):
        return self.line(self.process.stderr)

    def json_line(self):
        return json.loads(self.line())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=PATIENCE_S)
        assert b"Sanitizer" not in err and b"runtime error" not in err, err.decode()

    def wait(self):
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return Result(self.process.returncode, self.rest[self.process.stdout] + out, err)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


class Terminal:
    """A program on a terminal of its own, as a person would have it."""

    def __init__(self, command, directory, environment, width):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            # Whoever runs the tests in the background may ignore it.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
            os.execve(command[0], command, environment)
        self.shown = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def read_until(self, text):
        end = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.master], [], [], left)[0], self.shown
            self.shown += self.decoder.decode(os.read(self.master, 65536))

    def type(self, text):
        os.write(self.master, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def finish(self):
        """Reads to the end; returns the exit code (negative: the signal) and all that was shown."""
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            if not data:
                break
            self.shown += self.decoder.decode(data)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.master)
        return os.waitstatus_to_exitcode(status), self.shown.replace("\r\n", "\n")


@pytest.fixture
def fake():
    # A socket's path is short; the test's own directory need not be.
    with tempfile.TemporaryDirectory(prefix="chatctl-") as directory:
        daemon = FakeChatd(os.path.join(directory, "s"))
        daemon.add_chat("c-1", "bob", "Bob Martin")
        daemon.start()
        yield daemon
        daemon.stop()


@pytest.fixture
def ctl(fake, tmp_path):
    return Chatctl(tmp_path, fake.path)
