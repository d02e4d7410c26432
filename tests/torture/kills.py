#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two people write to each other as fast as they can while their daemons are killed, again and again.
In the end what was answered is everywhere once. docs/reliability.md has the figures."""

import collections
import pathlib
import random
import shutil
import sys
import tempfile
import time
import traceback

import disk
import people
import rpc
from backend import Backend
from model import Difference

AT_ONCE = 16  # requests to one daemon that wait for their answers
PATIENCE = 120


class Account(people.Account):
    """A daemon, what was asked of it, and what it told."""

    def __init__(self, directory, name, peer, figures, chance):
        directory.mkdir()
        super().__init__(directory, name, arguments=["--log-level", "info"])
        self.log = open(directory / "log", "ab")
        self.peer, self.figures, self.random = peer, figures, chance
        self.client = None
        self.waiting = {}   # by request: the message's id
        self.unanswered = []  # ids whose daemon was killed before it answered
        self.texts = {}     # of all that was asked for, by id
        self.answered = set()
        self.told = set()   # ids of messages that came up in changes
        self.seq = 0        # of the last change

    def open(self):
        self.start()
        self.client = self.connect()
        self.client.call("events.subscribe", since=self.seq, topics=["message.added"])

    def ask(self, id):
        self.waiting[self.client.start("messages.send", user_id=self.peer, message_id=id,
                                       text=self.texts[id])] = id

    def write(self):
        """Tops up what is on its way: first what was not answered, under the same ids."""
        while len(self.waiting) < AT_ONCE:
            if self.unanswered:
                self.figures["asked again"] += 1
                id = self.unanswered.pop()
            else:
                id = f"{self.name}-{len(self.texts):06}"
                self.texts[id] = f"{id} {'x' * self.random.randrange(300)}"
            self.ask(id)

    def read(self):
        try:
            self.client.receive_arrived()
        finally:
            self.take()

    def take(self):
        for request in [r for r in self.client.answers if r in self.waiting]:
            answer, id = self.client.answers.pop(request), self.waiting.pop(request)
            if "error" in answer or answer["result"]["text"] != self.texts[id]:
                raise Difference(f"{self.name}: {id}: {answer}")
            self.answered.add(id)
        while self.client.changes:
            change = self.client.changes.popleft()
            id = change["data"]["message_id"]
            if change["seq"] <= self.seq or id in self.told:
                raise Difference(f"{self.name}: {id} was told twice, or out of order, "
                                 f"after {self.seq}: {change}")
            self.seq = change["seq"]
            self.told.add(id)

    def die(self):
        self.kill()
        if self.client:
            try:
                self.read()
            except rpc.Gone:
                pass
            self.client.close()
        self.client = None
        self.unanswered += self.waiting.values()
        self.waiting = {}

    def finish(self):
        """No more than what was asked for already, all of it answered."""
        deadline = time.monotonic() + PATIENCE
        for id in self.unanswered:
            self.ask(id)
        self.unanswered = []
        while self.waiting:
            self.read()
            if time.monotonic() > deadline:
                raise Difference(f"{self.name}: no answer to {self.waiting}")

    def history(self):
        found, before = {}, {}
        chat = self.chat_with(self.peer)
        while True:
            page = self.client.call("messages.list", chat_id=chat, limit=200, **before)
            for message in page["messages"]:
                if message["message_id"] in found:
                    raise Difference(f"{self.name} has {message['message_id']} twice")
                found[message["message_id"]] = message["text"]
            if not page["more"]:
                return found
            before = {"before": page["messages"][0]["message_id"]}


def server_history(backend, user, peer):
    account = backend.login(user)
    chat, found, after = account.chat_with(peer), {}, ""
    while True:
        page = account.get(f"/chats/{chat}/messages?limit=100" + after)
        for message in page["messages"]:
            if message["id"] in found:
                raise Difference(f"the server has {message['id']} twice")
            found[message["id"]] = message["text"]
        if not page["more"]:
            return found
        after = f"&before_id={page['messages'][0]['id']}"


def compare(who, found, everything, answered):
    lost = answered - found.keys()
    if lost or found != everything:
        raise Difference(f"{who}: lost {sorted(lost)[:10]}, never asked for "
                         f"{sorted(found.keys() - everything.keys())[:10]}, not there "
                         f"{sorted(everything.keys() - found.keys())[:10]}")


def run(options, directory, figures):
    chance = random.Random(options.seed)
    with Backend(directory, users={"alice": "a", "bob": "b"}) as backend:
        accounts = [Account(directory / name, name, peer, figures, chance)
                    for name, peer in (("alice", "bob"), ("bob", "alice"))]
        try:
            torment(options, backend, accounts, chance, figures)
            for account in accounts:
                account.finish()
            check(backend, accounts, figures)
            for account in accounts:
                account.client.close()
                if (code := account.stop()) != 0:
                    raise Difference(f"{account.name} ended with {code}")
        finally:
            for account in accounts:
                if account.process and account.process.poll() is None:
                    account.kill()


def torment(options, backend, accounts, chance, figures):
    for account in accounts:
        account.open()
        account.client.call("account.login", server=backend.url, user_id=account.name,
                            password=backend.users[account.name])
        account.wait_state("LIVE")
    # One that begins without the server gets another id there, and its messages are told again.
    for account in accounts:
        account.call("chats.create", user_id=account.peer)
    # Of a chat that is not known yet only the newest page is fetched: it is known from here on.
    for account in accounts:
        account.texts["first-" + account.name] = "hello"
        account.call("messages.send", user_id=account.peer, text="hello",
                     message_id="first-" + account.name)
    for account in accounts:
        people.until(lambda: len(account.messages(account.peer)) == 2)
    for _ in range(options.kills):
        victim = chance.choice(accounts)
        deadline = time.monotonic() + chance.uniform(0, 0.12)
        while time.monotonic() < deadline:
            for account in accounts:
                account.write()
                account.read()
        victim.die()
        figures["kills"] += 1
        victim.open()


def check(backend, accounts, figures):
    everything = accounts[0].texts | accounts[1].texts
    answered = accounts[0].answered | accounts[1].answered
    deadline = time.monotonic() + PATIENCE
    for account in accounts:
        account.wait_state("LIVE")
        while account.told != everything.keys():
            account.read()
            if time.monotonic() > deadline:
                missing = everything.keys() - account.told
                raise Difference(f"{account.name} was never told of {sorted(missing)[:10]}")
        people.until(lambda: account.call("daemon.status")["outbox"]["pending"] == 0)
        compare(account.name, account.history(), everything, answered)
        if not account.call("storage.check")["ok"]:
            raise Difference(f"{account.name}'s databases are damaged")
    found = server_history(backend, "alice", "bob")
    compare("the server", found, everything, answered)
    figures["messages answered"] = len(answered)
    figures["lost"] = len(answered - found.keys())


def main():
    p = disk.parser(__doc__)
    p.add_argument("--kills", type=int, default=1000, help="so many (1,000)")
    p.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    options = p.parse_args()
    disk.find_build(options)
    directory = options.dir or pathlib.Path(tempfile.mkdtemp(prefix="kills-"))
    directory.mkdir(exist_ok=True)
    figures, began = collections.Counter(), time.monotonic()
    print(f"seed {options.seed}", flush=True)
    try:
        run(options, directory, figures)
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        print(f"FAILED after {figures['kills']} kills; everything is kept in {directory}")
        return 1
    figures["seconds"] = round(time.monotonic() - began)
    for name, value in sorted(figures.items()):
        print(f"  {name:24} {value:>9,}")
    print("passed: nothing lost, nothing twice")
    if not options.dir:
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
