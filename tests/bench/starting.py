# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a start takes, and what a program takes on the disk and from the linker."""

import os
import subprocess

from table import interleaved, least
from world import SEND, TEXT, request

HELLO = request("daemon.status")


def start_of(bench, count, *command):
    os.environ["DBUS_SESSION_BUS_ADDRESS"] = ""
    return bench.load("start", count, bench.new_path("socket"), HELLO, *command)


def daemon_command(bench, history):
    return [bench.program("chatd"), "--data-dir", history, "--config", "/dev/null", "--dbus", "no",
            "--log-level", "warning"]


def starts(bench, table):
    count = bench.scaled(20, 5)
    sizes = (0, 100_000) if bench.quick else (0, 1_000_000)
    history = {size: bench.history(size) for size in sizes}
    bare = [bench.program("bare-daemon"), history[0] / "chat.db", history[0] / "key", "-"]
    results = interleaved(
        bench.rounds,
        lambda: start_of(bench, count, *bare),
        *(lambda h=history[size]: start_of(bench, count, *daemon_command(bench, h)) for size in sizes))
    limit = least(results[0], "p50_us") / 1000
    for size, result in zip(sizes, results[1:]):
        name = f"start with {size:,} messages" if size else "start with nothing stored"
        table.add(f"{name}, exec to first answer", least(result, "p50_us") / 1000, "ms", limit, "<= 1.3 x")


def chatctl(bench, table):
    """Whole processes, each of which sends a message and prints what came back."""
    count = bench.scaled(100, 20)
    built = bench.build / ".libs"
    program = built / "chatctl" if built.joinpath("chatctl").exists() else bench.build / "chatctl"
    os.environ["LD_LIBRARY_PATH"] = str(built)
    line = SEND.replace("@n@", "1")
    with bench.daemon(bench.history(1000), copy=True) as daemon:
        ours, limits = interleaved(
            bench.rounds,
            lambda: bench.load("run", count, program, "--socket", daemon.path, "send", "chat-0", TEXT),
            lambda: bench.load("run", count, bench.program("bare-send"), daemon.path, line))
    table.add("chatctl send, whole process, p50", least(ours, "p50_us") / 1000, "ms",
              least(limits, "p50_us") / 1000, "<= 2 x")


def sizes(bench, table):
    path = bench.program("chatd")
    stripped = bench.new_path("stripped")
    subprocess.run(["strip", "-o", stripped, path], check=True)
    table.add("chatd, stripped", stripped.stat().st_size // 1024, "KiB")
    out = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    table.add("shared libraries loaded by chatd", out.count("=>"), "")


def run(bench, table):
    starts(bench, table)
    chatctl(bench, table)
    sizes(bench, table)
