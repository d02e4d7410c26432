#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a daemon under load wrote and synchronised is written down; then power is lost at random moments:
what was not synchronised is there in part, in any order. What was answered before must be there."""

import collections
import json
import pathlib
import random
import shutil
import struct
import sys
import tempfile
import time
import traceback

import disk
import people
import rpc
from backend import Backend
from model import Difference
from pictures import png

WRITE, TRUNCATE, SYNC, CREATE, RENAME, UNLINK, LINK, SYNC_DIRECTORY, SENT = range(9)
HEADER = struct.Struct("=4Q")
SECTOR = 512  # of these a disk writes each whole or not at all
AT_ONCE = 12


# What happened.

def read_records(path):
    data, at = path.read_bytes(), 0
    while at < len(data):
        kind, file, offset, size = HEADER.unpack_from(data, at)
        at += HEADER.size
        yield kind, file, offset, data[at:at + size] if kind != TRUNCATE else b""
        at += size


def drop_torn(path):
    """A kill may have come amid the writing of the last record: what it speaks of was not answered."""
    with open(path, "r+b") as file:
        total, at = path.stat().st_size, 0
        while at + HEADER.size <= total:
            file.seek(at)
            kind, _, _, size = HEADER.unpack(file.read(HEADER.size))
            end = at + HEADER.size + (size if kind != TRUNCATE else 0)
            if end > total:
                break
            at = end
        file.truncate(at)


def answers_in(records):
    """(number of the record, id) of each message that a frontend was answered or told of."""
    streams = collections.defaultdict(bytes)
    for n, (kind, fd, _, data) in enumerate(records):
        if kind != SENT:
            continue
        *lines, streams[fd] = (streams[fd] + data).split(b"\n")
        for line in lines:
            said = json.loads(line)
            result = said.get("result")
            if isinstance(result, dict) and "message_id" in result:
                yield n, result["message_id"], result["text"]
            if said.get("method") == "change" and said["params"]["topic"] == "message.added":
                yield n, said["params"]["data"]["message_id"], said["params"]["data"]["text"]


# What a disk holds.

class Disk:
    """Files as they are for sure, and what may be on its way to them."""

    def __init__(self, root):
        self.root = str(root) + "/"
        self.sure = {}       # by number: their bytes
        self.pending = collections.defaultdict(list)
        self.names = {}      # that are there for sure
        self.renaming = []   # what may be on its way

    def apply(self, record):
        kind, file, offset, data = record
        if kind in (WRITE, TRUNCATE):
            self.pending[file].append((kind, offset, data))
        elif kind == SYNC:
            for write in self.pending.pop(file, []):
                self.write(self.sure.setdefault(file, bytearray()), *write)
        elif kind == SYNC_DIRECTORY:
            for change in self.renaming:
                self.rename(self.names, *change)
            self.renaming = []
        elif kind != SENT:
            names = [n.decode().removeprefix(self.root) for n in data.split(b"\0")[:-1]]
            self.renaming.append((kind, file, names))
            if kind == CREATE:
                self.sure[file] = bytearray()
                self.pending.pop(file, None)

    @staticmethod
    def write(to, kind, offset, data):
        if kind == TRUNCATE:
            del to[offset:]
            to.extend(bytes(offset - len(to)))
        else:
            to.extend(bytes(max(offset - len(to), 0)))
            to[offset:offset + len(data)] = data

    @staticmethod
    def rename(names, kind, file, which):
        if kind in (CREATE, LINK):
            names[which[-1]] = file
        elif kind == RENAME:
            names[which[1]] = names.pop(which[0], file)
        else:
            names.pop(which[0], None)

    def lose_power(self, chance):
        """By name: what a disk might hold now. How much of what is on its way has come is chance."""
        names = dict(self.names)
        for change in self.renaming[:chance.randint(0, len(self.renaming))]:
            self.rename(names, *change)
        return {name: self.survive(file, chance) for name, file in names.items()}

    def survive(self, file, chance):
        content = bytearray(self.sure.get(file, b""))
        writes = self.pending.get(file, [])
        how = chance.choice(("none", "all", "first", "any", "sectors"))
        if how == "first":
            writes = writes[:chance.randint(0, len(writes))]
        elif how in ("any", "sectors"):
            writes = [w for w in writes if chance.random() < 0.5]
        if how == "sectors":
            writes = [piece for w in writes for piece in self.tear(w, chance)]
            chance.shuffle(writes)
        for write in writes if how != "none" else ():
            self.write(content, *write)
        return content

    @staticmethod
    def tear(write, chance):
        kind, offset, data = write
        if kind == TRUNCATE:
            return [write]
        pieces = [(WRITE, offset + at, data[at:at + SECTOR]) for at in range(0, len(data), SECTOR)]
        return [piece for piece in pieces if chance.random() < 0.7]


# The load.

class Load:
    def __init__(self, options, directory, preload, chance):
        self.directory, self.options, self.chance = directory, options, chance
        self.record = directory / "record"
        self.account = disk.Account(directory / "alice", "alice", preload, self.record)
        self.waiting, self.n, self.client = {}, 0, None

    def start(self):
        self.account.try_start()
        self.client = self.account.connect()
        self.client.call("events.subscribe", topics=["message.added"])

    def send(self):
        self.n += 1
        id = f"m-{self.n:05}"
        more = {}
        if self.n % 40 == 0:
            picture = self.directory / "photo.png"
            picture.write_bytes(png(120, 120, self.chance.randbytes))
            more["attachments"] = [{"path": str(picture)}]
        text = f"{id} " + "x" * self.chance.randrange(2000)
        self.waiting[self.client.start("messages.send", user_id="bob", message_id=id, text=text,
                                       **more)] = id

    def play(self, backend):
        self.start()
        self.client.call("account.login", server=backend.url, user_id="alice", password="a")
        self.account.wait_state("LIVE")
        bob = backend.login("bob")
        session, chat = bob.connect(), bob.chat_with("alice")
        for part in range(2):
            deadline = time.monotonic() + self.options.seconds / 2
            while time.monotonic() < deadline:
                while len(self.waiting) < AT_ONCE:
                    self.send()
                if self.chance.random() < 0.3:
                    session.say(chat, f"from bob {self.chance.random()}")
                self.client.receive_arrived()
                for request in [r for r in self.client.answers if r in self.waiting]:
                    if "error" in self.client.answers.pop(request):
                        raise Difference(f"{self.waiting[request]} was refused")
                    del self.waiting[request]
                self.client.changes.clear()
                if self.chance.random() < 0.02:
                    self.client.call("settings.set", name="retention.media_days",
                                     value=str(self.chance.randrange(1, 100)))
            if part == 0:
                self.wait_checkpoint()
                self.account.kill()
                drop_torn(self.record)
                self.client.close()
                self.waiting.clear()
                self.start()
        self.account.kill()
        drop_torn(self.record)
        self.client.close()

    def wait_checkpoint(self):
        """Left alone the daemon copies its log into the database."""
        chat = self.account.data / "chat.db"
        before = chat.stat().st_mtime_ns
        people.until(lambda: chat.stat().st_mtime_ns != before)


# What is left.

def look_for(client, expected):
    asked = [(client.start("messages.get", message_id=id), id, text) for id, text in expected]
    for request, id, text in asked:
        try:
            if client.finish(request)["text"] != text:
                raise Difference(f"{id} has another text")
        except rpc.RpcError as error:
            raise Difference(f"{id} is lost: {error}") from None


def check_copy(directory, files, expected):
    """A daemon starts over the files, without a server, and has what is expected."""
    shutil.rmtree(directory, ignore_errors=True)
    data = directory / "data"
    data.mkdir(parents=True, mode=0o700)
    for name, content in files.items():
        path = directory / name
        path.write_bytes(content)
        path.chmod(0o600)
    account = people.Account(directory, "alice")
    account.log = open(directory / "log", "wb")
    account.start()
    with account.connect() as client:
        expected = list(expected.items())
        for at in range(0, len(expected), AT_ONCE):
            look_for(client, expected[at:at + AT_ONCE])
        if not client.call("storage.check")["ok"]:
            raise Difference("the databases are damaged")
    if (code := account.stop()) != 0:
        raise Difference(f"it ended with {code}")
    account.log.close()


def moments_of(records, answers, options, chance):
    """Half of them just after an answer, the others anywhere."""
    told = sorted({n for n, _, _ in answers})
    half = options.copies // 2
    return sorted([chance.choice(told) + 1 for _ in range(half)] +
                  [chance.randrange(1, len(records) + 1) for _ in range(options.copies - half)])


def lose_power_often(options, directory, load, chance, figures):
    records = list(read_records(load.record))
    answers = list(answers_in(records))
    moments = collections.deque(moments_of(records, answers, options, chance))
    figures["writes"] = sum(kind == WRITE for kind, *_ in records)
    figures["fsyncs"] = sum(kind == SYNC for kind, *_ in records)
    figures["messages answered or told"] = len({id for _, id, _ in answers})
    state, expected, answers = Disk(directory / "alice" / "disk"), {}, collections.deque(answers)
    for n, record in enumerate(records, 1):
        state.apply(record)
        while answers and answers[0][0] < n:
            _, id, text = answers.popleft()
            expected[id] = text
        while moments and moments[0] == n:
            moments.popleft()
            figures["unsynchronised writes"] += sum(map(len, state.pending.values()))
            figures["messages looked for"] += len(expected)
            try:
                check_copy(directory / "copy", state.lose_power(chance), expected)
            except BaseException:
                print(f"power lost after record {n} of {len(records)}")
                raise
            figures["copies"] += 1


def run(options, directory, figures):
    chance = random.Random(options.seed)
    load = Load(options, directory, disk.library(disk.find_build(options), "disk.so"), chance)
    with Backend(directory, users={"alice": "a", "bob": "b"}) as backend:
        try:
            load.play(backend)
        finally:
            if load.account.process and load.account.process.poll() is None:
                load.account.kill()
    lose_power_often(options, directory, load, chance, figures)


def main():
    p = disk.parser(__doc__)
    p.add_argument("--seconds", type=float, default=10, help="of load (10)")
    p.add_argument("--copies", type=int, default=500, help="how often power is lost (500)")
    p.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    options = p.parse_args()
    directory = options.dir or pathlib.Path(tempfile.mkdtemp(prefix="power-loss-"))
    directory.mkdir(exist_ok=True)
    figures, began = collections.Counter(), time.monotonic()
    print(f"seed {options.seed}", flush=True)
    try:
        run(options, directory, figures)
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        print(f"FAILED; everything is kept in {directory}")
        return 1
    figures["seconds"] = round(time.monotonic() - began)
    for name, value in sorted(figures.items()):
        print(f"  {name:26} {value:>9,}")
    print("passed: what was answered is there")
    if not options.dir:
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
