#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two people with two devices each write to each other while everything that can break does; then
everything must agree. docs/reliability.md says what is checked."""

import argparse
import faulthandler
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import checks  # noqa: E402
import links  # noqa: E402
import rpc  # noqa: E402
from script import Script  # noqa: E402
from world import World  # noqa: E402

DEEP_EVERY = 10  # rounds after which everything is compared, not just what is new


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="what happens (any if left out; it is printed)")
    parser.add_argument("--seconds", type=int, default=60, help="rounds begin for so long (60)")
    parser.add_argument("--rounds", type=int, help="just so many rounds, however long they take")
    parser.add_argument("--operations", type=int, default=80, help="of a round (80)")
    parser.add_argument("--dir", type=pathlib.Path, help="make everything here and keep it")
    parser.add_argument("--build", type=pathlib.Path, help="where chatd was built ($CHATD_BUILD)")
    parser.add_argument("--no-network", action="store_true", help="leave the packets alone")
    parser.add_argument("--list", action="store_true", help="print the operations, do nothing")
    return parser.parse_args()


def find_build(options):
    build = options.build or os.environ.get("CHATD_BUILD") or pathlib.Path(rpc.program()).parent
    build = pathlib.Path(build).resolve()
    os.environ["CHATD_BUILD"] = str(build)
    return build


def list_operations(options):
    script = Script(options.seed, options.operations)
    for _ in range(options.rounds or 1):
        print(json.dumps(script.next_round()))


def print_figures(world, rounds):
    figures = world.model.figures
    figures["rounds"] = rounds
    figures["seconds"] = round(time.monotonic() - world.began)
    followers = [f for d in world.devices.values() for f in d.followers]
    figures["subscriptions begun"] = sum(f.connections for f in followers)
    figures["changes told"] = sum(f.told for f in followers)
    if world.links:
        figures["packets carried"] = world.links.carried
        figures["packets lost"] = world.links.lost
    for name, value in sorted(figures.items()):
        print(f"  {name:24} {value:>9,}")
    for name, value in sorted(world.model.faults.items()):
        if value:
            print(f"  fault: {name:17} {value:>9,}")


def run(world, options):
    script, deadline = Script(options.seed, options.operations), None
    world.start()
    checks.rest(world, drop=False, deep=True)
    deadline = time.monotonic() + options.seconds
    while script.round < options.rounds if options.rounds else time.monotonic() < deadline:
        round = script.next_round()
        world.note("round", script.round, round["profile"])
        started = time.monotonic()
        for operation in round["operations"]:
            world.do(operation)
        checks.rest(world, round["drop_at_rest"], deep=script.round % DEEP_EVERY == 0)
        print(f"round {script.round}: {round['profile']}, {time.monotonic() - started:.1f} s",
              flush=True)
    checks.rest(world, drop=True, deep=True)
    world.stop()
    checks.check_nothing_readable(world)
    return script.round


def report_failure(options, directory, rounds):
    print(f"\nFAILED in round {rounds}; everything is kept in {directory}: operations.log, "
          "backend.log, DEVICE/log, DEVICE/data")
    print(f"replay: {sys.argv[0]} --seed {options.seed} --rounds {rounds} "
          f"--operations {options.operations}" + " --no-network" * options.no_network)


def on_signal(number, _):
    raise KeyboardInterrupt(f"signal {number}")


def main():
    options = arguments()
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGTERM, on_signal)
    faulthandler.register(signal.SIGUSR1)
    if options.seed is None:
        options.seed = random.SystemRandom().getrandbits(32)
        sys.argv += ["--seed", str(options.seed)]
    if options.list:
        list_operations(options)
        return 0
    missing = "asked not to" if options.no_network else links.enter_namespace()
    print(f"seed {options.seed}", flush=True)
    if missing:
        print(f"packets are left alone: {missing}")
    if options.dir:
        options.dir.mkdir(parents=True)
    directory = options.dir or pathlib.Path(tempfile.mkdtemp(prefix="torture-"))
    build = find_build(options)
    wires = None if missing else links.Links()
    world = World(directory, build, wires)
    if not next(iter(world.devices.values())).has_clock:
        print("the clocks are left alone: tests/torture/wallclock.la is not built")
    try:
        rounds = run(world, options)
    except BaseException:
        world.kill_all()
        traceback.print_exc(file=sys.stdout)
        report_failure(options, directory, world.model.figures["rests"])
        return 1
    finally:
        if wires:
            wires.close()
    print_figures(world, rounds)
    print(f"passed: nothing lost, nothing twice, seed {options.seed}")
    if not options.dir:
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
