# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens, made from the seed alone: rounds of operations, the same for the same seed.

An operation is a tuple, its name first. It says which device, which peer, how large; where it
speaks of something that only the run knows ("a message of the history"), it gives a fraction.
"""

import random

DEVICES = ("alice-1", "alice-2", "bob-1", "bob-2")
# Those without a device: what is sent to them stays on the server. `fresh` ones have no chat at
# first, so that chats begin offline, on two devices at a time, and get their names later.
QUIET_PEERS = ("carol", "dave")
FRESH_PEERS = tuple(f"fresh-{n:02}" for n in range(40))

# The kinds of rounds: which faults they mix, by weight, beside what people do.
PROFILES = {
    "calm": {},
    "frames": {"frame": 10, "drop": 2},
    "requests": {"request": 8, "message": 3, "bytes": 4, "expire": 2, "drop": 2},
    "kills": {"kill": 8, "kill_backend": 4},
    "links": {"link": 10, "drop": 1, "kill": 1},
    "everything": {"frame": 5, "request": 3, "message": 1, "bytes": 2, "expire": 1, "drop": 2,
                   "kill": 5, "kill_backend": 2, "link": 3, "clock": 3, "mute": 1, "bye": 1},
}
PEOPLE = {"send": 50, "burst": 6, "repeat": 10, "conflict": 2, "read": 14, "photo": 5, "page": 3,
          "leave": 5, "join": 5, "stall": 3, "pause": 30}
FRAMES = ("MSG_IN", "MSG_OUT", "MSG_ACK", "MSG_RECEIVED", "MSG_READ", None)
CORRUPTIONS = ("truncated", "garbage", "binary", "oversized", "stranger")


class Script:
    def __init__(self, seed, operations=80):
        self.random = random.Random(seed)
        self.operations = operations
        self.sent = 0
        self.fresh = 0
        self.round = 0

    def next_round(self):
        """A round: its profile, its operations, and how it comes to rest."""
        profile = self.random.choices(list(PROFILES), (1, 3, 3, 3, 3, 6))[0]
        weights = {**PEOPLE, **PROFILES[profile]}
        names, shares = list(weights), list(weights.values())
        operations = []
        if self.round > 0 and self.random.random() < 0.15:
            operations.append(("reinstall", self.device()))
        while len(operations) < self.operations:
            name = self.random.choices(names, shares)[0]
            operations += getattr(self, name)()
        if profile == "links" and self.random.random() < 0.3:
            operations.append(("outage", self.device()))
        self.round += 1
        return {"profile": profile, "operations": self.bring_forward(operations),
                "drop_at_rest": self.random.random() < 0.5}

    def bring_forward(self, operations):
        """Puts what was planned for later ("after", N, operation) where it belongs."""
        planned, out = [], []
        for operation in operations:
            if operation[0] == "after":
                planned.append([operation[1], operation[2]])
                continue
            out.append(operation)
            for plan in planned:
                plan[0] -= 1
            out += [plan[1] for plan in planned if plan[0] <= 0]
            planned = [plan for plan in planned if plan[0] > 0]
        return out + [plan[1] for plan in planned]

    def device(self):
        return self.random.choice(DEVICES)

    def chance(self, percent):
        return self.random.random() * 100 < percent

    # What people do.

    def peer(self, device):
        if self.chance(75):
            return "bob" if device.startswith("alice") else "alice"
        if self.chance(70):
            return self.random.choice(QUIET_PEERS)
        if self.chance(50) and self.fresh < len(FRESH_PEERS):
            self.fresh += 1
        return FRESH_PEERS[max(self.fresh - 1, 0)]

    def one_send(self, device):
        """The number names the message: its id and its text come from it."""
        self.sent += 1
        length = self.random.choice((0, 0, 0, 20, 200, 2000, 30000 if self.chance(10) else 50))
        return ("send", device, self.peer(device), self.sent, length, self.chance(70))

    def send(self):
        return [self.one_send(self.device())]

    def burst(self):
        device = self.device()
        return [self.one_send(device) for _ in range(self.random.randint(5, 25))]

    def repeat(self):
        return [("repeat", self.random.random())]

    def conflict(self):
        return [("conflict", self.random.random())]

    def read(self):
        return [("read", self.device(), self.random.random(), self.random.choice((0, 0, 0.3, 0.9)))]

    def photo(self):
        device = self.device()
        self.sent += 1
        width, height = self.random.randint(8, 120), self.random.randint(8, 120)
        return [("photo", device, self.peer(device), self.sent, width, height,
                 self.random.getrandbits(32), self.chance(70))]

    def page(self):
        return [("page", self.device(), self.random.random(), self.random.random(),
                 self.random.randint(1, 60))]

    def leave(self):
        return [("leave", self.device(), self.random.random())]

    def join(self):
        return [("join", self.device(), self.random.random())]

    def stall(self):
        device, which = self.device(), self.random.random()
        return [("stall", device, which),
                ("after", self.random.randint(5, 40), ("resume", device, which))]

    def pause(self):
        return [("pause", self.random.choice((5, 20, 50, 100, 200, 500, 800)))]

    # What the world does.

    def frame(self):
        kind = self.random.choice(("delay", "lose", "duplicate", "reorder", "cut", "corrupt"))
        order = {"do": kind, "count": self.random.randint(1, 6), "skip": self.random.randint(0, 4)}
        if (event_type := self.random.choice(FRAMES)) is not None:
            order["event_type"] = event_type
        if self.chance(50):
            order["user"] = self.random.choice(("alice", "bob"))
        if kind == "delay":
            order["ms"] = self.random.choice((20, 200, 1500))
        if kind in ("cut", "corrupt"):
            order["count"] = 1
        if kind == "corrupt":
            order["as"] = self.random.choice(CORRUPTIONS)
        return [("control", self.dice(order))]

    def dice(self, order):
        if self.chance(30):
            order |= {"percent": self.random.randint(20, 80),
                      "seed": self.random.randint(1, 1 << 29)}
        return order

    def request(self):
        path = self.random.choice(("/chats", "/chats/", "/login", "/ws", "/uploads", "/attachments",
                                   "/users"))
        order = {"do": "refuse", "path": path, "count": self.random.randint(1, 3)}
        if self.chance(30):
            order |= {"do": "slow", "ms": self.random.choice((50, 500, 3000))}
        else:
            order["status"] = self.random.choice((429, 500, 502, 503, 504))
            if order["status"] in (429, 503) and self.chance(60):
                order["retry_after_s"] = self.random.randint(1, 2)
        return [("control", order)]

    def message(self):
        order = {"do": "refuse_message", "count": self.random.randint(1, 3),
                 "status": self.random.choice((422, 403, 429, 503, 500))}
        if order["status"] in (429, 503):
            order["retry_after_s"] = 1
        return [("control", order)]

    def bytes(self):
        kind = self.random.choice(("cut_upload", "cut_download", "redirect", "change_etag"))
        order = {"do": kind}
        if kind.startswith("cut"):
            order |= {"bytes": self.random.randint(0, 4000), "count": self.random.randint(1, 2)}
        return [("control", order)]

    def expire(self):
        return [("control", {"do": "expire"})]

    def somebody(self, order):
        if self.chance(70):
            order["user"] = self.random.choice(("alice", "bob"))
        return order

    def drop(self):
        return [("control", self.somebody({"do": "drop"}))]

    def bye(self):
        return [("control", self.somebody({"do": "bye", "reason": "asked", "retry_after_s": 1}))]

    def mute(self):
        order = self.somebody({"do": "mute"})
        return [("control", order),
                ("after", self.random.randint(5, 30), ("control", {**order, "do": "unmute"}))]

    def kill(self):
        device = self.device()
        return [("kill", device), ("after", self.random.randint(0, 20), ("start", device))]

    def kill_backend(self):
        return [("kill_backend",),
                ("after", self.random.choice((0, 2, 10, 30)), ("start_backend",))]

    def clock(self):
        hours = self.random.choice((-24 * 400, -24, -1, 1, 24, 24 * 400))
        return [("clock", self.device(), hours * 3600 + self.random.randint(-1800, 1800))]

    def link(self):
        """Packets of one device, or of all, are lost, late, or go nowhere, either way or both."""
        devices = DEVICES if self.chance(30) else (self.device(),)
        kind = self.random.choice(("lossy", "slow", "dark", "dark_up", "dark_down"))
        after = self.random.randint(5, 40)
        return [("link", devices, kind, self.random.getrandbits(32)),
                ("after", after, ("link", devices, "good", 0))]
