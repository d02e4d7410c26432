# SPDX-License-Identifier: GPL-3.0-or-later
"""The wires between devices and backend, in a network namespace of their own.

Each device reaches the backend under an address of its own, 127.1.0.N, which is routed into a TUN
device. A thread takes the packets out there, loses them, keeps them back or lets them go, for each
device and each direction, and hands them in again at the other end. So TCP sees what it sees in a
bad network: loss, latency, reordering, and cuts without a FIN. It is what `tc netem` does, for one
device at a time and on kernels that are built without it.
"""

import fcntl
import heapq
import itertools
import os
import pathlib
import random
import select
import shutil
import struct
import subprocess
import sys
import threading
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
NAME = "wire"
BACKEND, DEVICES, DEVICE_FIRST = "127.0.0.1", "127.2.0.1", "127.1.0."
INSIDE = "TORTURE_INSIDE"  # set for the program that was started again in a namespace

# What a wire does to packets towards the backend, and from it: share lost, least and most delay.
GOOD, DARK = (0, 0, 0), (1, 0, 0)
KINDS = {
    "good": (GOOD, GOOD),
    "lossy": ((0.25, 0, 0.02), (0.25, 0, 0.02)),
    "slow": ((0.02, 0.5, 1.2), (0.02, 0.8, 1.5)),
    "dark": (DARK, DARK),
    "dark_up": (DARK, GOOD),
    "dark_down": (GOOD, DARK),
}


def enter_namespace():
    """Starts this program again in a namespace, if one can be made; else says why not and goes on."""
    if os.environ.get(INSIDE):
        return None
    if not shutil.which("ip") or not shutil.which("unshare"):
        return "ip or unshare is not installed"
    for options in (["-n"], ["-rn"]):
        check = "ip link set lo up && ip tuntap add wire mode tun"
        probe = subprocess.run(["unshare", *options, "sh", "-c", check], capture_output=True)
        if probe.returncode == 0:
            sys.stdout.flush()
            os.environ[INSIDE] = "1"
            os.execvp("unshare", ["unshare", *options, sys.executable, *sys.argv])
    return "no network namespace with a TUN device can be made here"


def words(address):
    return struct.unpack("!HH", bytes(map(int, address.split("."))))


def adjust(checksum, old, new):
    """RFC 1624: the checksum after 16-bit words were exchanged."""
    total = (~checksum & 0xFFFF) + sum(~word & 0xFFFF for word in old) + sum(new)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def exchange(packet, source, target):
    """Puts other addresses into a TCP packet over IPv4."""
    header = (packet[0] & 15) * 4
    old, new = struct.unpack_from("!HHHH", packet, 12), (*source, *target)
    struct.pack_into("!HHHH", packet, 12, *new)
    for at in (10, header + 16):
        [checksum] = struct.unpack_from("!H", packet, at)
        struct.pack_into("!H", packet, at, adjust(checksum, old, new))


class Links:
    """The wires, by number from 0."""

    def __init__(self):
        self.tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.tun, TUNSETIFF, struct.pack("16sH", NAME.encode(), IFF_TUN | IFF_NO_PI))
        self.route()
        self.wires = {}
        self.lost = self.carried = 0
        self.lock = threading.Lock()
        self.late, self.numbers = [], itertools.count()
        self.wake = os.pipe2(os.O_NONBLOCK)
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    def route(self):
        for name, value in (("route_localnet", 1), ("accept_local", 1), ("rp_filter", 0)):
            pathlib.Path(f"/proc/sys/net/ipv4/conf/{NAME}/{name}").write_text(f"{value}\n")
        pathlib.Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("0\n")
        for command in ("link set lo up", f"link set {NAME} up",
                        "route del table local local 127.0.0.0/8 dev lo",
                        f"addr add {DEVICES}/32 dev {NAME}",
                        f"route add {DEVICE_FIRST}0/24 dev {NAME} src {DEVICES}"):
            subprocess.run(["ip", *command.split()], check=True)

    def address(self, number):
        return f"{DEVICE_FIRST}{number + 1}"

    def set(self, number, kind, seed):
        with self.lock:
            self.wires[number] = (*KINDS[kind], random.Random(seed))

    def close(self):
        os.write(self.wake[1], b"x")
        self.thread.join()
        for fd in (self.tun, *self.wake):
            os.close(fd)

    # The thread's.

    def carry(self):
        while True:
            wait = max(self.late[0][0] - time.monotonic(), 0) if self.late else None
            ready, _, _ = select.select([self.tun, self.wake[0]], [], [], wait)
            if self.wake[0] in ready:
                return
            if ready:
                self.take_all()
            while self.late and self.late[0][0] <= time.monotonic():
                self.let_go(heapq.heappop(self.late)[2])

    def take_all(self):
        for _ in range(64):
            try:
                packet = bytearray(os.read(self.tun, 65536))
            except BlockingIOError:
                return
            if packet[0] >> 4 == 4 and packet[9] == 6:
                self.take(packet)

    def take(self, packet):
        """One from a device goes to the backend, as if the device had the address that it asks."""
        wire, is_up = bytes(packet[16:20]), bytes(packet[12:16]) != bytes((127, 0, 0, 1))
        own = struct.unpack("!HH", wire)
        exchange(packet, own, words(BACKEND if is_up else DEVICES))
        with self.lock:
            up, down, dice = self.wires.get(wire[3] - 1, (GOOD, GOOD, random))
            loss, least, most = up if is_up else down
            if loss and dice.random() < loss:
                self.lost += 1
                return
            delay = dice.uniform(least, most) if most else 0
        self.carried += 1
        if delay:
            due = time.monotonic() + delay
            heapq.heappush(self.late, (due, next(self.numbers), packet))
        else:
            self.let_go(packet)

    def let_go(self, packet):
        try:
            os.write(self.tun, packet)
        except OSError:
            self.lost += 1
