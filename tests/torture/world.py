# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend and the devices, and how each operation of the script is carried out on them."""

import json
import os
import pathlib
import random
import select
import socket
import time

import rpc
import script
from backend import Backend
from device import Device
from model import MARK, Difference, Model, Sent, text_of
from pictures import png

HEARTBEAT_S = 5
PONG_TIMEOUT_S = 20  # of the protocol: a ping stays without an answer for so long at most
LONG_WAIT_MS = 15000  # a daemon that would wait longer than this at rest is killed instead


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class SendRequest:
    """What the answer to a messages.send means; `conflict` says that it must be refused."""

    def __init__(self, world, device, sent, conflict=False):
        self.world, self.device, self.sent, self.conflict = world, device, sent, conflict
        sent.waiting += 1

    def on_answer(self, answer):
        sent, error = self.sent, answer.get("error")
        sent.waiting -= 1
        if self.conflict:
            if not error or error["data"]["kind"] != "conflict":
                raise Difference(f"{self.device.name}: another text under the id of "
                                 f"{sent.message_id} was not refused: {answer}")
        elif error:
            raise Difference(f"{self.device.name}: {sent.message_id} was refused: {error}")
        else:
            message = answer["result"]
            if (message["message_id"], message["text"]) != (sent.message_id, sent.text):
                raise Difference(f"{self.device.name}: asked for {sent.message_id}, got {message}")
            self.world.model.accept(sent)

    def on_lost(self):
        self.sent.waiting -= 1
        if not self.conflict and self.sent.insist and not self.sent.accepted:
            self.device.again.append(self.sent)


class Then:
    """Goes on with the result; `missing` says that there may be none."""

    def __init__(self, device, go_on):
        self.device, self.go_on = device, go_on

    def on_answer(self, answer):
        if "error" not in answer:
            self.go_on(answer["result"])
        elif answer["error"]["data"]["kind"] not in ("not_found", "offline"):
            raise Difference(f"{self.device.name}: {answer['error']}")

    def on_lost(self):
        pass


class World:
    def __init__(self, directory, build, links):
        self.directory, self.links = pathlib.Path(directory), links
        self.model = Model()
        users = {user: f"{user}-secret-of-{MARK}" for user in
                 ("alice", "bob", *script.QUIET_PEERS, *script.FRESH_PEERS)}
        options = {"cdn": True, "cdn_port": free_port()} if links else {}
        self.backend = Backend(self.directory, users=users, heartbeat=HEARTBEAT_S, **options)
        self.backend.log = open(self.directory / "backend.log", "ab")
        self.log = open(self.directory / "operations.log", "w", encoding="utf-8")
        self.began = time.monotonic()
        self.devices = {}
        for name in script.DEVICES:
            (self.directory / name).mkdir()
            self.devices[name] = Device(self.directory / name, name, pathlib.Path(build))
        self.frames_were_lost = False

    def note(self, *what):
        at = round(time.monotonic() - self.began, 3)
        self.log.write(json.dumps([at, *what], ensure_ascii=False) + "\n")
        self.log.flush()

    # Beginning and end.

    def url(self, device):
        host = "127.0.0.1"
        if self.links:
            host = self.links.address(script.DEVICES.index(device.name))
        return f"http://{host}:{self.backend.port}"

    def start(self):
        self.backend.start()
        for device in self.devices.values():
            device.start()
            self.sign_in(device)
            if device.has_clock:
                self.check_clock(device)

    def sign_in(self, device):
        device.call("account.login", server=self.url(device), user_id=device.user,
                    password=self.backend.users[device.user])

    def check_clock(self, device):
        """The daemon's wall clock is the one that the operations will move."""
        device.set_clock(-86400)
        with device.connect() as client:
            sent = Sent(device.name, "carol", len(self.model.sent) + 900000, "", True)
            sent.text = text_of(sent.number, 0)
            self.model.add(sent)
            answer = client.call("messages.send", user_id="carol", text=sent.text,
                                 message_id=sent.message_id)
            self.model.accept(sent)
        device.set_clock(0)
        if abs(answer["created_at"] / 1000 - time.time() + 86400) > 60:
            raise Difference(f"{device.name}: its clock cannot be moved")

    def stop(self):
        """Everything ends in order: leaks and what the sanitizers saw are in the exit statuses."""
        codes = {d.name: d.stop() for d in self.devices.values() if d.is_up}
        self.add_stats()
        codes["backend"] = self.backend.stop()
        bad = {name: code for name, code in codes.items() if code}
        if bad:
            raise Difference(f"these ended with another status than 0: {bad}")

    def kill_all(self):
        for process in [d.process for d in self.devices.values()] + [self.backend.process]:
            if process and process.poll() is None:
                process.kill()
                process.wait()

    # While things happen.

    def pump(self, seconds):
        """Reads what the daemons say for so long."""
        deadline = time.monotonic() + seconds
        while True:
            readers = self.readers()
            poll = select.poll()
            for fd in readers:
                poll.register(fd, select.POLLIN)
            for fd, _ in poll.poll(max(deadline - time.monotonic(), 0) * 1000):
                self.read(*readers[fd])
            for device in self.devices.values():
                device.check_alive()
            if time.monotonic() >= deadline:
                return

    def readers(self):
        readers = {}
        for device in self.devices.values():
            if device.is_up:
                readers[device.client.socket.fileno()] = (device, device.read)
                for follower in device.followers:
                    if follower.client and not follower.stalled:
                        readers[follower.client.socket.fileno()] = (device, follower.read)
        return readers

    def read(self, device, read):
        try:
            read()
        except rpc.Gone:
            device.process.wait(5)
            device.check_alive()
            raise Difference(f"{device.name}: the daemon closed a connection") from None

    def do(self, operation):
        self.note(*operation)
        name, *arguments = operation
        self.model.figures["operations"] += 1
        getattr(self, f"do_{name}")(*arguments)
        self.pump(0)

    # What people do.

    def ask_send(self, device, sent, conflict=False):
        if not device.is_up:
            if sent.insist and not conflict:
                device.again.append(sent)
            return
        fds, options = [], {}
        if sent.photo:
            fd = os.memfd_create("photo")
            os.write(fd, sent.photo)
            os.lseek(fd, 0, os.SEEK_SET)
            fds, options = [fd], {"attachments": [{"fd": 0, "name": f"{MARK}.png"}]}
        self.model.figures["requests to send"] += 1
        self.model.asked.add(sent.message_id)
        device.ask("messages.send", SendRequest(self, device, sent, conflict), fds,
                   user_id=sent.peer, message_id=sent.message_id,
                   text=sent.text + "!" if conflict else sent.text, **options)
        for fd in fds:
            os.close(fd)

    def do_send(self, name, peer, number, length, insist):
        sent = Sent(name, peer, number, text_of(number, length), insist)
        self.model.add(sent)
        self.ask_send(self.devices[name], sent)

    def do_photo(self, name, peer, number, width, height, bits, insist):
        picture = png(width, height, random.Random(bits).randbytes)
        sent = Sent(name, peer, number, text_of(number, 0), insist, picture)
        self.model.add(sent)
        self.model.figures["photos"] += 1
        self.ask_send(self.devices[name], sent)

    def do_repeat(self, fraction):
        sent = self.model.nth(fraction)
        if sent and not sent.gone:
            self.model.figures["requests repeated"] += 1
            self.ask_send(self.devices[sent.device], sent)

    def do_conflict(self, fraction):
        sent = self.model.nth(fraction)
        if sent and sent.accepted and not sent.gone:
            self.ask_send(self.devices[sent.device], sent, conflict=True)

    def with_history(self, device, chat, go_on, limit=60):
        """Asks for the newest page of one of the chats, and goes on with it."""
        chats = sorted(device.followers[0].chats.values(), key=lambda c: c["user_id"])
        if not device.is_up or not chats:
            return
        main = [c for c in chats if c["user_id"] in ("alice", "bob")] or chats
        found = main[0] if chat < 0.7 else chats[int(chat * len(chats))]
        device.ask("messages.list", Then(device, lambda r: go_on(found, r["messages"])),
                   chat_id=found["chat_id"], limit=limit)

    def do_read(self, name, chat, back):
        device = self.devices[name]

        def mark(chat, messages):
            placed = [m for m in messages if "seq" in m]
            if not placed:
                return
            message = placed[int((1 - back) * (len(placed) - 1))]
            key = (device.user, chat["user_id"])
            self.model.read_tried(*key, message["seq"])
            self.model.figures["reads"] += 1
            device.ask("messages.mark_read",
                       Then(device, lambda _: self.model.read_done(*key, message["seq"])),
                       chat_id=chat["chat_id"], message_id=message["message_id"])

        self.with_history(device, chat, mark)

    def do_page(self, name, chat, back, limit):
        device = self.devices[name]

        def page(chat, messages):
            if messages:
                before = messages[int(back * len(messages))]["message_id"]
                device.ask("messages.list", Then(device, lambda _: None),
                           chat_id=chat["chat_id"], before=before, limit=limit)

        self.with_history(device, chat, page)

    def do_leave(self, name, which):
        follower = self.devices[name].pick(which)
        follower.wanted = False
        follower.disconnect()

    def do_join(self, name, which):
        device = self.devices[name]
        follower = device.pick(which)
        follower.wanted = True
        if device.is_up:
            follower.connect()

    def do_stall(self, name, which):
        follower = self.devices[name].pick(which)
        follower.stalled = follower.client is not None

    def do_resume(self, name, which):
        self.devices[name].pick(which).stalled = False

    def do_pause(self, milliseconds):
        self.pump(milliseconds / 1000)

    # What the world does.

    def do_control(self, order):
        if self.backend.process is None:
            return
        self.frames_were_lost |= order["do"] == "lose"
        # For some statuses a daemon keeps trying, but no test should rely on which.
        self.model.refusals |= order["do"] == "refuse_message"
        affected = self.backend.control(**order)
        if order["do"] in ("drop", "bye", "mute", "expire", "change_etag"):
            self.model.faults[order["do"]] += affected if order["do"] in ("drop", "bye") else 1

    def do_kill(self, name):
        device = self.devices[name]
        if not device.is_up:
            return
        for request in device.kill():
            request.on_lost()
        self.model.figures["daemons killed"] += 1

    def do_start(self, name):
        device = self.devices[name]
        if device.is_up:
            return
        device.start()
        again, device.again = device.again, []
        for sent in again:
            self.ask_send(device, sent)

    def do_kill_backend(self):
        if self.backend.process is None:
            return
        self.add_stats()
        self.backend.kill()
        self.model.figures["backends killed"] += 1

    def do_start_backend(self):
        if self.backend.process is None:
            self.backend.start()

    def add_stats(self):
        """The backend counts in memory; what it knows goes into the figures before it ends."""
        for kind, n in self.backend.stats()["faults"].items():
            self.model.faults[kind] += n

    def do_clock(self, name, seconds):
        device = self.devices[name]
        if device.has_clock:
            device.set_clock(seconds)
            self.model.faults["clock jump"] += 1

    def do_link(self, names, kind, seed):
        if not self.links:
            return
        for name in names:
            self.links.set(script.DEVICES.index(name), kind, seed)
            if kind != "good":
                self.model.faults[f"link {kind}"] += 1

    def do_outage(self, name):
        """Nothing passes any more, without a word: the daemon must find out by itself."""
        device = self.devices[name]
        if not self.links or not device.is_up or self.backend.process is None:
            return
        self.do_link([name], "dark", 0)
        deadline = time.monotonic() + HEARTBEAT_S + PONG_TIMEOUT_S + 15
        while device.call("daemon.status")["connection"]["state"] == "LIVE":
            self.pump(0.2)
            if time.monotonic() > deadline:
                raise Difference(f"{name}: LIVE for long without a server")
        self.model.faults["outage noticed"] += 1

    def do_reinstall(self, name):
        """The device is new: it has nothing, and signs in. At rest nothing is lost by that."""
        self.do_kill(name)
        device = self.devices[name]
        for sent in self.model.sent.values():
            sent.gone |= sent.device == name
        device.again = []
        device.remove_data()
        device.start()
        self.sign_in(device)
        self.model.figures["devices reinstalled"] += 1

    # Rest.

    def stop_faults(self, drop):
        self.do_start_backend()
        self.backend.control("reset")
        for name, device in self.devices.items():
            self.do_link([name], "good", 0)
            self.do_start(name)
            for follower in device.followers:
                follower.wanted, follower.stalled = True, False
                follower.connect()
        # A server that swallows frames must end the session for its client to notice.
        if drop or self.frames_were_lost:
            self.model.faults["drop"] += self.backend.control("drop")
        self.frames_were_lost = False

    def is_quiet(self, device):
        if device.requests:
            return f"no answer to {[device.client.methods[id] for id in device.requests]}"
        status = device.call("daemon.status")
        connection = status["connection"]
        if connection["state"] == "BACKOFF" and connection["next_attempt_at"] is not None:
            if connection["next_attempt_at"] - connection["since"] > LONG_WAIT_MS:
                self.note("kill at rest", device.name, connection)
                self.do_kill(device.name)
                self.do_start(device.name)
        if connection["state"] != "LIVE":
            return connection
        if status["outbox"]["pending"] or status["transfers"]["active"] or \
                status["transfers"]["waiting"]:
            return {k: status[k] for k in ("outbox", "transfers")}
        return None
