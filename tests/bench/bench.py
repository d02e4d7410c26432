#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the daemon, and beside it what a bare program needs for the same: see README.md."""

import argparse
import datetime
import os
import pathlib
import shutil
import sys
import tempfile
import time

from world import Bench, machine
from table import Table
import following
import holding
import moving
import reading
import receiving
import sending
import starting


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute's smoke: one short round of each")
    parser.add_argument("--only", default="", help="sections, separated by commas")
    parser.add_argument("--out", default="bench", help="where bench.json goes (bench)")
    parser.add_argument("--work", help="where databases are made: a real disk (the build directory)")
    return parser.parse_args()


def sections(given):
    curves = {}
    return curves, {
        "send": sending.run,
        "read": lambda b, t: reading.run(b, t, curves.setdefault("lists", {})),
        "receive": receiving.run,
        "move": moving.run,
        "fan": following.run,
        "start": starting.run,
        "memory": holding.memory,
        "idle": holding.idle,
    }


def main():
    given = options()
    build = pathlib.Path(os.environ.get("CHATD_BUILD", ".")).resolve()
    out = pathlib.Path(given.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=given.work or build))
    table, began = Table(sys.stdout), time.monotonic()
    words = {**machine(), "date": datetime.date.today().isoformat(), "quick": given.quick}
    print(", ".join(f"{k}: {v}" for k, v in words.items()))
    table.head()
    curves, all_sections = sections(given)
    try:
        bench = Bench(build, work, given.quick)
        for name, section in all_sections.items():
            if not given.only or name in given.only.split(","):
                section(bench, table)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    words["seconds"] = round(time.monotonic() - began)
    table.write(out / "bench.json", words)
    print(f"{len(table.rows)} rows in {words['seconds']} s, {len(table.missed())} short of their aim; {out}/bench.json")


if __name__ == "__main__":
    sys.exit(main())
