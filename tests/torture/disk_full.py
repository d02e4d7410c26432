#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session is played again and again, and each time another of its writes finds the disk full: once,
or until there is room again. docs/reliability.md says what must hold."""

import base64
import collections
import multiprocessing
import pathlib
import random
import shutil
import sys
import tempfile
import time
import traceback
import uuid

import disk
import rpc
from backend import Backend
from model import Difference
from pictures import png

PHOTO = disk.HERE.parent / "data" / "photo.jpg"
PATIENCE = 60
KEPT = 6  # messages a chat, once retention is set


class Session:
    """One account that does everything once. Whatever is refused is asked for again."""

    def __init__(self, backend, directory, name, preload, lasting):
        self.backend, self.lasting = backend, lasting
        self.account = disk.Account(directory, name, preload)
        self.control = self.account.control
        self.peer = f"{name}-peer"
        self.answered = {}  # by id: the text
        self.figures = collections.Counter()
        self.client = None
        self.passphrase = None
        self.settings = {}
        self.photo = None
        self.random = random.Random(name)

    # Asking, while it may be refused.

    def start(self):
        for _ in range(3):
            try:
                self.account.try_start()
                self.client = self.account.connect()
                return
            except disk.Ended as ended:
                if ended.args[0] < 0 or not self.control.failed:
                    raise Difference(f"it did not start: {ended}") from None
                if not self.account.last_words().strip():
                    raise Difference("it did not start and did not say why") from None
                self.figures["starts refused"] += 1
                self.control.make_room()
        raise Difference("it does not start any more")

    def call(self, method, **params):
        """Until it is answered. A disk that stays full is looked at, and then there is room."""
        for _ in range(20):
            try:
                return self.client.call(method, **params)
            except rpc.RpcError as error:
                if error.kind != "storage_full" or not self.control.failed:
                    raise Difference(f"{method}: {error}") from None
                self.figures["requests refused"] += 1
                self.look_at_full_disk()
        raise Difference(f"{method} is refused for ever")

    def look_at_full_disk(self):
        """What can be read is read, and what is refused is said to be so."""
        if not self.lasting or not self.control.fail_from:
            return
        status = self.client.call("daemon.status")
        if status["account"] and status["account"]["user_id"]:
            self.refuse_message()
            state = self.client.call("daemon.status")["storage"]["state"]
            if state != "full":
                raise Difference(f"the disk is full and daemon.status says {state}")
        for method in ("chats.list", "settings.get", "storage.stats", "outbox.list"):
            self.client.call(method)
        self.figures["full disks looked at"] += 1
        self.control.make_room()

    def refuse_message(self):
        """One that nothing may remain of."""
        try:
            self.client.call("messages.send", user_id=self.peer, text="refused",
                             message_id=f"refused-{uuid.uuid4()}")
        except rpc.RpcError as error:
            if error.kind == "storage_full":
                return
            raise Difference(f"a full disk is told as {error}") from None
        raise Difference("a message was accepted on a full disk")

    def until(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self.control.failed and self.lasting:
                self.look_at_full_disk()
            if self.account.process.poll() is not None:
                raise Difference(f"it ended with {self.account.process.returncode}")
            if time.monotonic() > deadline:
                raise Difference(f"it never came to this: {what}")
            time.sleep(0.01)

    # What it does.

    def sign_in(self):
        user = self.account.name
        self.call("account.login", server=self.backend.url, user_id=user,
                  password=self.backend.users[user])
        self.until(lambda: self.client.call("daemon.status")["connection"]["state"] == "LIVE", "LIVE")

    def send(self, text, **more):
        id = str(uuid.uuid4())
        self.call("messages.send", user_id=self.peer, text=text, message_id=id, **more)
        self.answered[id] = text

    def send_texts(self):
        for n in range(4):
            self.send(f"pear {n}")
        burst = [(str(uuid.uuid4()), f"apple {n}") for n in range(6)]
        asked = [self.client.start("messages.send", user_id=self.peer, text=text, message_id=id)
                 for id, text in burst]
        refused = []
        for request, (id, text) in zip(asked, burst):
            try:
                self.client.finish(request)
                self.answered[id] = text
            except rpc.RpcError as error:
                if error.kind != "storage_full":
                    raise
                refused.append((id, text))
        if refused:
            self.figures["requests refused"] += len(refused)
            self.look_at_full_disk()
        for id, text in refused:
            self.call("messages.send", user_id=self.peer, text=text, message_id=id)
            self.answered[id] = text

    def chat(self):
        return self.call("chats.get", user_id=self.peer)["chat_id"]

    def messages(self):
        return self.call("messages.list", chat_id=self.chat(), limit=200)["messages"]

    def send_photo(self):
        self.send("look", attachments=[{"path": str(PHOTO)}])
        self.until(lambda: self.call("daemon.status")["outbox"]["pending"] == 0, "the photo sent")

    def receive(self):
        bob = self.backend.login(self.peer)
        session, chat = bob.connect(), bob.chat_with(self.account.name)
        self.photo = png(160, 160, self.random.randbytes)
        photo = bob.upload(self.photo, png(20, 20, self.random.randbytes), name="p.png")
        for n in range(5):
            text = f"plum {n}"
            self.answered[session.say(chat, text)["message_id"]] = text
        self.answered[session.say(chat, "see", attachments=photo)["message_id"]] = "see"
        self.until(lambda: self.answered.keys() <= {m["message_id"] for m in self.messages()},
                   "what was sent to it")
        self.download(photo)
        read = self.messages()[-1]["message_id"]
        self.call("messages.mark_read", chat_id=self.chat(), message_id=read)
        session.bye()

    def download(self, photo):
        """Whatever its transfer runs into, asking again brings it."""
        def is_here():
            state = self.call("attachments.get", attachment_id=photo)["status"]
            if state in ("WAITING", "FAILED"):
                self.call("attachments.download", attachment_id=photo)
            return state == "READY"

        self.until(is_here, "the photo here")
        read = self.call("attachments.read", attachment_id=photo)
        if base64.b64decode(read["data"]) != self.photo:
            raise Difference("the photo is another one")

    def set(self, name, value):
        self.call("settings.set", name=name, value=value)
        self.settings[name] = value

    def consume(self):
        self.call("events.subscribe", consumer="bot", since=0)
        self.call("events.ack", consumer="bot", seq=3)

    def search(self):
        found = self.call("messages.search", query="pear")["results"]
        if len(found) != 4:
            raise Difference(f"the search finds {len(found)} of 4")

    def retain(self):
        self.set("retention.media_days", "1")
        self.set("retention.messages_per_chat", str(KEPT))
        self.until(lambda: self.call("storage.stats")["messages"] <= KEPT, "old messages gone")
        self.call("storage.purge", what="media")
        self.call("storage.purge", what="history")

    def back_up(self):
        self.call("account.make_recovery_key")
        path = self.account.directory / "disk" / "copy"
        self.call("storage.backup", path=str(path))
        if sorted(p.name for p in path.iterdir()) != ["chat.db", "key.check", "key.recovery",
                                                      "media.db"]:
            raise Difference(f"the copy holds {sorted(path.iterdir())}")

    def move_key(self):
        self.passphrase = "what nobody guesses"
        self.call("account.set_passphrase", passphrase=self.passphrase)
        self.call("account.lock")
        self.call("account.unlock", passphrase=self.passphrase)
        self.send("after the passphrase")
        self.call("account.set_key_source", source="file")
        self.passphrase = None

    def play(self):
        self.start()
        self.sign_in()
        self.set("auto_download", "never")
        self.send_texts()
        self.send_photo()
        self.receive()
        self.consume()
        self.search()
        self.retain()
        self.back_up()
        self.move_key()
        self.send("the last")

    # What must hold.

    def restart(self):
        code = self.account.end()
        if code != 0:
            raise Difference(f"it ended with {code}")
        self.client.close()
        self.start()

    def all_texts(self):
        """Back to the first; what has left is asked of the server."""
        texts, before = {}, {}
        while True:
            page = self.client.call("messages.list", chat_id=self.chat(), limit=100, **before)
            for message in page["messages"]:
                if message["message_id"] in texts:
                    raise Difference(f"{message['message_id']} is there twice")
                texts[message["message_id"]] = message["text"]
            if not page["more"]:
                return texts
            before = {"before": page["messages"][0]["message_id"]}

    def compare(self, what, found):
        if found != self.answered:
            raise Difference(f"{what}: missing {self.answered.keys() - found.keys()}, "
                             f"too many {found.keys() - self.answered.keys()}")

    def check(self):
        self.restart()
        self.control.make_room()
        self.until(lambda: self.client.call("daemon.status")["connection"]["state"] == "LIVE", "LIVE")
        self.until(lambda: self.client.call("daemon.status")["outbox"]["pending"] == 0, "all sent")
        self.compare("the daemon", self.all_texts())
        bob = self.backend.login(self.peer)
        page = bob.get(f"/chats/{bob.chat_with(self.account.name)}/messages?limit=100")
        texts = {m["id"]: m["text"] for m in page["messages"]}
        if len(texts) != len(page["messages"]):
            raise Difference("the server has a message twice")
        self.compare("the server", texts)
        status = self.client.call("daemon.status")
        if status["storage"]["state"] != "ok" or status["outbox"]["failed"]:
            raise Difference(f"in the end: {status}")
        checked = self.client.call("storage.check")
        if not checked["ok"]:
            raise Difference(f"damaged: {checked}")
        known = {s["name"]: s["value"] for s in self.client.call("settings.get")["settings"]}
        if any(known[name] != value for name, value in self.settings.items()):
            raise Difference(f"settings: {self.settings} are {known}")
        consumers = self.client.call("events.consumers")["consumers"]
        if consumers != [{"consumer": "bot", "seq": 3}]:
            raise Difference(f"consumers: {consumers}")
        code = self.account.end()
        if code != 0:
            raise Difference(f"it ended with {code}")


def play(job):
    """Returns (number, how it went, counters)."""
    number, lasting, directory, preload, backend = job
    name = f"{'l' if lasting else 'o'}{number}"
    session = Session(backend, directory / name, name, preload, lasting)
    if number:
        session.control.set(fail_from=number, fail_count=disk.ENOUGH if lasting else 1)
    try:
        session.play()
        session.control.make_room()
        session.figures["writes"] = session.control.operations
        session.check()
        session.figures["writes failed"] = session.control.failed
    except BaseException:
        if session.account.process and session.account.process.poll() is None:
            session.account.kill()
        return number, lasting, traceback.format_exc() + session.account.last_words(), session.figures
    shutil.rmtree(session.account.directory)
    return number, lasting, None, session.figures


def arguments():
    p = disk.parser(__doc__)
    p.add_argument("--first", type=int, default=1, help="the first write that fails (1)")
    p.add_argument("--writes", type=int, default=500, help="so many from there on (500)")
    p.add_argument("--sample", type=int, help="only so many of them, spread evenly")
    p.add_argument("--only", type=int, help="just this one")
    p.add_argument("--jobs", type=int, default=2, help="at a time (2)")
    return p.parse_args()


def numbers_of(options):
    if options.only:
        return [options.only]
    n = min(options.sample or options.writes, options.writes)
    return [options.first + i * options.writes // n for i in range(n)]


def main():
    options = arguments()
    preload = disk.library(disk.find_build(options), "disk.so")
    directory = options.dir or pathlib.Path(tempfile.mkdtemp(prefix="disk-full-"))
    directory.mkdir(exist_ok=True)
    # In a sample the two kinds take turns.
    numbers = numbers_of(options)
    jobs = [(n, lasting) for i, n in enumerate(numbers) for lasting in (False, True)
            if not options.sample or bool(i % 2) == lasting]
    if not options.sample:
        jobs.insert(0, (0, False))  # nothing fails: how many there are
    users = {f"{'l' if lasting else 'o'}{n}{suffix}": "a password" for n, lasting in jobs
             for suffix in ("", "-peer")}
    figures, failed, began = collections.Counter(), [], time.monotonic()
    with Backend(directory, users=users) as backend:
        job = [(n, lasting, directory, preload, backend) for n, lasting in jobs]
        backend.process, process = None, backend.process  # not for the pool's processes
        try:
            with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
                for number, lasting, problem, counted in pool.imap_unordered(play, job):
                    if not number:
                        counted = {"writes of the session": counted["writes"]}
                    figures.update(counted)
                    if problem:
                        failed.append(number)
                        print(f"FAILED: write {number}, {'lasting' if lasting else 'once'}\n{problem}",
                              flush=True)
        finally:
            backend.process = process
    figures["sessions"] = len(job)
    figures["seconds"] = round(time.monotonic() - began)
    for name, value in sorted(figures.items()):
        print(f"  {name:24} {value:>9,}")
    if failed:
        print(f"FAILED: {sorted(failed)}; everything is kept in {directory}")
        return 1
    print("passed: a full disk lost nothing")
    if not options.dir:
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
