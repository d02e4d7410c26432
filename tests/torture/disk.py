# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon whose disk is ours (tests/torture/disk.c): it can be full, and what it wrote be known."""

import argparse
import mmap
import os
import pathlib
import signal
import struct
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import people  # noqa: E402
import rpc  # noqa: E402

ENOUGH = 1 << 60  # how many writes fail when all do


def parser(doc):
    """What all of these tests take."""
    p = argparse.ArgumentParser(description=doc)
    p.add_argument("--build", type=pathlib.Path, help="where chatd was built ($CHATD_BUILD)")
    p.add_argument("--dir", type=pathlib.Path, help="make everything here and keep it")
    return p


def find_build(options):
    build = options.build or os.environ.get("CHATD_BUILD") or pathlib.Path(rpc.program()).parent
    build = pathlib.Path(build).resolve()
    os.environ["CHATD_BUILD"] = str(build)
    return build


def library(build, name):
    path = build / "tests/torture/.libs" / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built: make {path.parent.parent / name[:-3]}.la")
    return path


class Control:
    """Counters that the daemon and the test share."""

    FIELDS = ("operations", "fail_from", "fail_count", "failed")

    def __init__(self, path):
        path.write_bytes(bytes(8 * len(self.FIELDS)))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    def __getattr__(self, name):
        if name not in Control.FIELDS:
            raise AttributeError(name)
        return struct.unpack_from("=Q", self.map, 8 * self.FIELDS.index(name))[0]

    def set(self, **fields):
        for name, value in fields.items():
            struct.pack_into("=Q", self.map, 8 * self.FIELDS.index(name), value)

    def make_room(self):
        self.set(fail_from=0)


class Ended(Exception):
    """The daemon has ended by itself."""


class Account(people.Account):
    """`preload`: variables of the environment that say what is loaded before the C library."""

    def __init__(self, directory, name, preload, record=None):
        directory.mkdir(exist_ok=True)
        super().__init__(directory, name, arguments=["--log-level", "info"])
        self.control = Control(directory / "control")
        self.log_file = directory / "log"
        self.log = open(self.log_file, "ab")
        asan = os.environ.get("ASAN_OPTIONS", "")
        self.environment = {
            "LD_PRELOAD": str(preload), "DISK_DIR": str(directory / "disk"),
            "DISK_CONTROL": str(directory / "control"),
            "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0"}
        if record:
            record.touch()
            self.environment["DISK_RECORD"] = str(record)
        (directory / "disk").mkdir(exist_ok=True)
        self.data = directory / "disk" / "data"

    def try_start(self, patience=people.PATIENCE):
        """Until it answers; Ended when it ends first."""
        environment = {**os.environ, "HOME": str(self.directory), "DBUS_SESSION_BUS_ADDRESS": "",
                       "DBUS_SYSTEM_BUS_ADDRESS": "", **self.environment}
        self.process = subprocess.Popen(self.command(), env=environment, stderr=self.log)
        deadline = time.monotonic() + patience
        while True:
            if self.process.poll() is not None:
                raise Ended(self.process.returncode)
            try:
                self.connect().close()
                return self
            except (OSError, rpc.Gone):
                pass
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError("the daemon does not answer")
            time.sleep(0.005)

    def end(self):
        """In order; what it returns is the status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(people.PATIENCE)

    def last_words(self):
        return self.log_file.read_text(errors="replace")[-3000:]
