# SPDX-License-Identifier: GPL-3.0-or-later
"""A session bus of a test's own, and a client that speaks to the daemon over it.

    with Bus(tmp_path) as bus, bus.connect() as client:
        chats = client.call("chats.list")["chats"]
        client.call("events.subscribe", since=0)
        change = client.next_change(lambda c: c["topic"] == "message.added")

Values are Python's; what D-Bus has for them is seen to here. A file object goes as a descriptor.
"""

import collections
import contextlib
import os
import pathlib
import subprocess
import time

import jeepney
from jeepney.io.blocking import open_dbus_connection

from rpc import Changes

NAME = "org.chatd.Chat1"
PATH = "/org/chatd/Chat1"
DRIVER = jeepney.DBusAddress("/org/freedesktop/DBus", bus_name="org.freedesktop.DBus",
                             interface="org.freedesktop.DBus")
TIMEOUT = 30

CONFIG = """\
<busconfig>
 <type>session</type>
 <listen>unix:path={path}</listen>
 <auth>EXTERNAL</auth>
 {servicedir}
 <policy context="default">
  <allow user="*"/>
  <allow send_destination="*" eavesdrop="true"/>
  <allow eavesdrop="true"/>
  <allow own="*"/>
 </policy>
 {limits}
</busconfig>
"""


# As a session's bus has them; those of the bare program are for a system's.
LIMITS = {
    "max_incoming_bytes": 1000000000, "max_incoming_unix_fds": 250000000,
    "max_outgoing_bytes": 1000000000, "max_outgoing_unix_fds": 250000000,
    "max_message_size": 1000000000, "max_message_unix_fds": 4096, "max_completed_connections": 100000,
    "max_connections_per_user": 100000, "max_match_rules_per_connection": 50000,
    "max_replies_per_connection": 50000,
}


class BusError(Exception):
    def __init__(self, name, body):
        super().__init__(f"{name}: {body}")
        self.name = name
        self.detail = body[0] if body else ""
        self.data = plain("a{sv}", body[1]) if len(body) > 1 else {}


def camel(snake):
    return "".join(word.capitalize() for word in snake.split("_"))


def dbus_name(method):
    """The interface and the member of a method of the API."""
    noun, verb = method.split(".")
    return f"{NAME}.{camel(noun)}", camel(verb)


def plain(signature, value):
    """What came over the bus, without its types."""
    if signature == "v":
        return plain(*value)
    if signature == "h":
        return value
    if signature.startswith("a{s"):
        return {key: plain(signature[3:-1], item) for key, item in value.items()}
    if signature.startswith("a"):
        return [plain(signature[1:], item) for item in value]
    return value


def variant(value):
    if isinstance(value, bool):
        return ("b", value)
    if isinstance(value, int):
        return ("x", value)
    if isinstance(value, float):
        return ("d", value)
    if isinstance(value, str):
        return ("s", value)
    if isinstance(value, dict):
        return ("a{sv}", parameters(value))
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return ("aa{sv}", [parameters(item) for item in value])
    if isinstance(value, list):
        return ("av", [variant(item) for item in value])
    return ("h", value.fileno())


def parameters(values):
    return {key: variant(value) for key, value in values.items()}


class Client(Changes):
    def __init__(self, address, answers=True):
        with environment(DBUS_SESSION_BUS_ADDRESS=address):
            self.connection = open_dbus_connection(enable_fds=True)
        self.answers = answers  # the Pings that tell how far it has read
        self.changes = collections.deque()
        self.signals = collections.deque()
        self.replies = {}
        self.pings = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    @property
    def name(self):
        return self.connection.unique_name

    # Messages.

    def send(self, message):
        serial = next(self.connection.outgoing_serial)
        self.connection.send(message, serial=serial)
        return serial

    def sort(self, message):
        header = message.header
        fields = header.fields
        kind, field = header.message_type, jeepney.HeaderFields
        if kind in (jeepney.MessageType.method_return, jeepney.MessageType.error):
            self.replies[fields[field.reply_serial]] = message
        elif kind == jeepney.MessageType.method_call:
            self.pings.append(message)
            if self.answers:
                self.pong()
        elif (fields[field.interface], fields[field.member]) == (NAME, "Change"):
            seq, topic, data = message.body
            self.changes.append({"seq": seq, "topic": topic, "data": plain("a{sv}", data)})
        else:
            self.signals.append((fields[field.interface], fields[field.member], message.body))

    def pong(self):
        """Answers the Pings that have come."""
        for ping in self.pings:
            self.send(jeepney.new_method_return(ping))
        self.pings = []

    def receive(self, deadline):
        self.sort(self.connection.receive(timeout=max(deadline - time.monotonic(), 0)))

    def reply(self, serial, timeout=TIMEOUT):
        deadline = time.monotonic() + timeout
        while serial not in self.replies:
            self.receive(deadline)
        message = self.replies.pop(serial)
        if message.header.message_type == jeepney.MessageType.error:
            raise BusError(message.header.fields[jeepney.HeaderFields.error_name], message.body)
        return message

    def ask(self, interface, member, signature="", body=(), path=PATH, destination=NAME):
        """Any call; the reply's body."""
        address = jeepney.DBusAddress(path, bus_name=destination, interface=interface)
        message = jeepney.new_method_call(address, member, signature, body)
        return self.reply(self.send(message)).body

    # The API.

    def start(self, method, destination=NAME, **values):
        interface, member = dbus_name(method)
        address = jeepney.DBusAddress(PATH, bus_name=destination, interface=interface)
        return self.send(jeepney.new_method_call(address, member, "a{sv}", (parameters(values),)))

    def finish(self, serial):
        return plain("a{sv}", self.reply(serial).body[0])

    def call(self, method, **values):
        return self.finish(self.start(method, **values))

    def next_signal(self, condition, timeout=TIMEOUT):
        """The body of the next signal, other than Change, that fulfils the condition."""
        deadline = time.monotonic() + timeout
        while True:
            while self.signals:
                interface, member, body = self.signals.popleft()
                if condition(interface, member, body):
                    return body
            self.receive(deadline)

    def settle(self):
        """Takes in what is on its way: what the bus and the daemon sent before they answer."""
        self.ask("org.freedesktop.DBus.Peer", "Ping", path="/")

    # The bus itself.

    def driver(self, member, signature="", body=()):
        return self.reply(self.send(jeepney.new_method_call(DRIVER, member, signature, body))).body

    def match(self, **rule):
        text = ",".join(f"{key}='{value}'" for key, value in rule.items())
        self.driver("AddMatch", "s", (text,))

    def has_owner(self, name=NAME):
        return self.driver("NameHasOwner", "s", (name,))[0] == 1

    def wait_name(self, name=NAME, owner=None):
        """Until somebody has that name; `owner`: until that one has."""
        self.match(type="signal", sender="org.freedesktop.DBus", member="NameOwnerChanged",
                   arg0=name)
        while True:
            if self.has_owner(name):
                now = self.driver("GetNameOwner", "s", (name,))[0]
                if owner in (None, now):
                    return now
            self.next_signal(lambda _, member, body: member == "NameOwnerChanged")


@contextlib.contextmanager
def environment(**values):
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Bus:
    def __init__(self, directory, services=None):
        self.directory = pathlib.Path(directory)
        self.path = self.directory / "bus"
        self.address = f"unix:path={self.path}"
        self.config = self.directory / "bus.conf"
        self.config.write_text(CONFIG.format(
            path=self.path, servicedir=f"<servicedir>{services}</servicedir>" if services else "",
            limits="".join(f'<limit name="{k}">{v}</limit>' for k, v in LIMITS.items())))
        self.process = None

    def start(self):
        self.path.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self.config}", "--nofork", "--nopidfile",
             "--print-address=1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout.readline().startswith(b"unix:")
        return self

    def stop(self):
        self.process.kill()
        self.process.wait(TIMEOUT)
        self.process.stdout.close()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process:
            self.stop()

    def connect(self, **options):
        return Client(self.address, **options)

    def run(self, *command, **options):
        """A program on this bus; what it printed."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT,
                              env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": self.address},
                              check=False, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout
