# SPDX-License-Identifier: GPL-3.0-or-later
"""A user of a machine that runs systemd: the installed chatd under its units, as `make install`
left it.

    with UserManager() as machine:
        machine.systemctl("start", "chatd.socket")
        with machine.connect() as client:
            client.call("daemon.status")

Made by the script user-manager beside this file; needs root.
"""

import atexit
import contextlib
import fcntl
import functools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

import rpc

NAME, UID = "tester", 61000
PATIENCE = 60
CONTROL_GROUPS = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")


def build_directory():
    return pathlib.Path(rpc.program()).parent


def configured(variable):
    """What configure has found for a variable, all names in it replaced."""
    out = subprocess.run(["make", "-s", "-C", build_directory(), "-f", "-", "say"], check=True,
                         input=f"include Makefile\nsay: ; @echo '$({variable})'\n", text=True,
                         capture_output=True, env={"PATH": os.environ["PATH"]})
    return out.stdout.strip()


@functools.cache
def installed():
    """What `make install` makes, once for all machines of this process."""
    destination = tempfile.mkdtemp(prefix="chatd-installed-")
    atexit.register(shutil.rmtree, destination)
    os.chmod(destination, 0o755)
    # Others may be installing from this build at the same time.
    with open(build_directory() / "config.status") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        done = subprocess.run(["make", "-s", "-C", build_directory(), "install",
                               f"DESTDIR={destination}"], env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return pathlib.Path(destination)


def is_sanitized():
    return b"__asan_init" in pathlib.Path(rpc.program()).read_bytes()


def until(condition, what, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited too long: {what}"
        time.sleep(0.02)
    return value


class UserManager:
    def __init__(self):
        if os.geteuid() != 0:
            pytest.skip("making a machine with a user of its own needs root")
        self.prefix = configured("prefix")
        self.installed = installed() / self.prefix.lstrip("/")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="chatd-machine-"))
        self.directory.chmod(0o755)
        self.home = self.directory / "home"
        self.run_directory = self.directory / "run" / "user" / str(UID)
        self.process = None

    def start(self):
        script = pathlib.Path(__file__).with_name("user-manager")
        log = open(self.directory / "log", "w")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/bash", script,
             self.directory, NAME, str(UID), self.installed, self.prefix],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        try:
            ready = self.process.stdout.readline() == "ready\n"
        except BaseException:
            self.stop()
            raise
        if not ready:
            said = " ".join((self.directory / name).read_text() for name in ("log", "manager.log")
                            if (self.directory / name).exists()).strip()
            self.stop()
            pytest.skip(f"no user manager can be run here: {said}")
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.first = children.read_text().split()[0]
        if is_sanitized():
            # The leak checker traces its process, which the unit does not allow.
            self.systemctl("set-environment", "ASAN_OPTIONS=detect_leaks=0")
        return self

    def stop(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        for root in CONTROL_GROUPS:
            group = pathlib.Path(root, self.directory.name)
            if group.exists():
                until(lambda: self.remove_group(group), "the control groups to become empty")
        shutil.rmtree(self.directory)

    @staticmethod
    def remove_group(group):
        for path, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)
        return not group.exists()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # Commands on the machine.

    def inside(self, user=True, environment=()):
        command = ["nsenter", "--mount", "--pid", "--target", self.first, "--wd=/"]
        if user:
            command += ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
        return command + ["env", "-i", f"HOME=/home/{NAME}", f"USER={NAME}", "LC_ALL=C.UTF-8",
                          f"XDG_RUNTIME_DIR=/run/user/{UID}",
                          f"PATH={self.prefix}/bin:/usr/local/bin:/usr/bin:/bin", *environment]

    def run(self, *command, user=True, check=True, input=None, environment=()):
        done = subprocess.run([*self.inside(user, environment), *command], text=True, input=input,
                              capture_output=True, timeout=PATIENCE,
                              stdin=subprocess.DEVNULL if input is None else None)
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
                                 f"{self.journal_text()}")
        return done

    def systemctl(self, *arguments, check=True):
        return self.run("systemctl", "--user", "--no-pager", *arguments, check=check)

    def chatctl(self, *arguments, check=True, input=None):
        return self.run("chatctl", *arguments, check=check, input=input)

    def show(self, property, unit="chatd.service"):
        return self.systemctl("show", "--value", "-p", property, unit).stdout.strip()

    def wait_show(self, property, condition, unit="chatd.service"):
        seen = None

        def holds():
            nonlocal seen
            seen = self.show(property, unit)
            return condition(seen)

        try:
            until(holds, f"{unit}'s {property}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {seen}\n{self.journal_text()}") from None
        return seen

    def outer_pid(self, inner):
        """The number that a process of the machine has on this side."""
        here = os.readlink(f"/proc/{self.first}/ns/pid")
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                status = (process / "status").read_text()
                numbers = status.split("NSpid:", 1)[1].split("\n", 1)[0].split()
                if os.readlink(process / "ns/pid") == here and numbers[-1] == str(inner):
                    return int(process.name)
        raise AssertionError(f"no process {inner} on that machine")

    def journal(self, *matches):
        out = self.run("journalctl", "--sync", user=False) and self.run(
            "journalctl", "--no-pager", "-o", "json", *matches, user=False)
        return [json.loads(line) for line in out.stdout.splitlines()]

    def journal_text(self):
        return subprocess.run([*self.inside(user=False), "journalctl", "--no-pager", "-n", "40"],
                              text=True, capture_output=True, timeout=PATIENCE).stdout

    def drop_in(self, unit, text):
        directory = self.home / ".config/systemd/user" / f"{unit}.d"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "test.conf").write_text(text)
        self.own(self.home)
        self.systemctl("daemon-reload")

    def own(self, path):
        for at, _, files in os.walk(path):
            os.chown(at, UID, UID)
            for file in files:
                os.chown(os.path.join(at, file), UID, UID, follow_symlinks=False)

    # The daemon's sockets.

    def socket(self, name="default"):
        return self.run_directory / "chatd" / f"{name}.sock"

    @contextlib.contextmanager
    def as_user(self):
        os.setegid(UID)
        os.seteuid(UID)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)

    def connect(self, name="default", **options):
        with self.as_user():
            return rpc.Client(self.socket(name), **options)
