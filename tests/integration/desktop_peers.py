# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the desktop that chatd speaks to, made up: a bus name, methods, and what was called.

    with Bus(tmp_path) as bus, NotificationServer(bus) as server:
        shown = server.wait(lambda s: s.shown)
        server.act(id, "mark-read")
"""

import contextlib
import gc
import os
import select
import threading
import time

import jeepney
from jeepney.io.blocking import open_dbus_connection

from bus import environment

PATIENCE = 60


class Peer:
    """Serves calls on a thread of its own; `self.changed` guards what tests look at."""

    NAME = PATH = INTERFACE = None

    def __init__(self, bus):
        self.bus_address = bus.address
        with environment(DBUS_SESSION_BUS_ADDRESS=bus.address):
            self.connection = open_dbus_connection(enable_fds=True)
        self.changed = threading.Condition()
        self.calls = []
        self.stopping = False
        self.thread = None

    def start(self):
        self.driver("RequestName", "su", (self.NAME, 4))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def stop(self):
        """Again has no effect; the bus may be gone."""
        if not self.thread:
            return
        self.stopping = True
        with contextlib.suppress(OSError), environment(DBUS_SESSION_BUS_ADDRESS=self.bus_address):
            with open_dbus_connection() as other:
                # A message ends the wait for one.
                other.send_and_get_reply(jeepney.new_method_call(jeepney.DBusAddress(
                    "/", self.connection.unique_name, "org.freedesktop.DBus.Peer"), "Ping"))
        self.thread.join(PATIENCE)
        self.thread = None
        self.connection.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def driver(self, member, signature, body):
        address = jeepney.DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus",
                                      "org.freedesktop.DBus")
        reply = self.connection.send_and_get_reply(
            jeepney.new_method_call(address, member, signature, body))
        assert reply.header.message_type == jeepney.MessageType.method_return, reply.body

    def serve(self):
        while not self.stopping:
            try:
                message = self.connection.receive()
            except OSError:
                return
            if message.header.message_type == jeepney.MessageType.method_call:
                self.answer(message)

    def answer(self, message):
        fields = message.header.fields
        interface = fields.get(jeepney.HeaderFields.interface)
        member = fields[jeepney.HeaderFields.member]
        if interface == "org.freedesktop.DBus.Peer":
            self.connection.send(jeepney.new_method_return(message))
            return
        with self.changed:
            try:
                result = getattr(self, f"on_{member}")(*message.body)
                reply = jeepney.new_method_return(message, *result)
            except (AttributeError, KeyError):
                reply = jeepney.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod",
                                          "s", (member,))
            self.calls.append((member, message.body))
            self.connection.send(reply)
            self.changed.notify_all()

    def signal(self, member, signature, body, interface=None):
        emitter = jeepney.DBusAddress(self.PATH, interface=interface or self.INTERFACE)
        self.connection.send(jeepney.new_signal(emitter, member, signature, body))

    def wait(self, condition, patience=PATIENCE):
        """Until condition(self) is true; what it was then."""
        deadline = time.monotonic() + patience
        with self.changed:
            while not (value := condition(self)):
                assert self.changed.wait(deadline - time.monotonic()), \
                    f"waited too long; {self.calls}"
            return value


class NotificationServer(Peer):
    """org.freedesktop.Notifications, with what is on screen in `shown`, by id."""

    NAME = INTERFACE = "org.freedesktop.Notifications"
    PATH = "/org/freedesktop/Notifications"

    def __init__(self, bus, capabilities=("body", "body-markup", "actions")):
        super().__init__(bus)
        self.capabilities = list(capabilities)
        self.shown = {}
        self.told = []  # everything that was told, in order
        self.last = 0
        self.refusal = None

    def on_GetCapabilities(self):
        return "as", (self.capabilities,)

    def on_Notify(self, app, replaces, icon, summary, body, actions, hints, timeout):
        if replaces not in self.shown:
            self.last += 1
            replaces = self.last
        self.shown[replaces] = {
            "id": replaces, "app": app, "icon": icon, "summary": summary, "body": body,
            "actions": dict(zip(actions[::2], actions[1::2])),
            "hints": {name: value for name, (_, value) in hints.items()}, "timeout": timeout}
        self.told.append(self.shown[replaces])
        return "u", (replaces,)

    def on_CloseNotification(self, id):
        if self.shown.pop(id, None):
            self.signal("NotificationClosed", "uu", (id, 3))
        return None, ()

    # What a user does.

    def act(self, id, key, token=None):
        if token:
            self.signal("ActivationToken", "us", (id, token))
        self.signal("ActionInvoked", "us", (id, key))

    def reply(self, id, text):
        self.signal("NotificationReplied", "us", (id, text))

    def dismiss(self, id):
        with self.changed:
            del self.shown[id]
        self.signal("NotificationClosed", "uu", (id, 2))

    # What a test waits for.

    def one(self, **wanted):
        """The one that is on screen, once there is one like that."""
        def fits(server):
            found = [n for n in server.shown.values()
                     if all(n[key] == value for key, value in wanted.items())]
            return found[0] if len(found) == 1 == len(server.shown) else None
        return self.wait(fits)

    def none(self):
        self.wait(lambda s: not s.shown)


class NetworkManager(Peer):
    """org.freedesktop.NetworkManager, as far as anybody asks."""

    NAME = INTERFACE = "org.freedesktop.NetworkManager"
    PATH = "/org/freedesktop/NetworkManager"
    TYPES = {"Connectivity": "u", "Metered": "u", "PrimaryConnection": "o", "Version": "s",
             "ActiveConnections": "ao"}

    def __init__(self, bus, **properties):
        super().__init__(bus)
        self.properties = {"Connectivity": 4, "Metered": 4, "PrimaryConnection": f"{self.PATH}/1",
                           "Version": "1.42.4", "ActiveConnections": [f"{self.PATH}/1"],
                           **properties}

    def typed(self, names):
        return {name: (self.TYPES[name], self.properties[name]) for name in names}

    def on_GetAll(self, interface):
        return "a{sv}", (self.typed(self.properties if interface == self.INTERFACE else []),)

    def set(self, **properties):
        with self.changed:
            self.properties.update(properties)
        self.signal("PropertiesChanged", "sa{sv}as",
                    (self.INTERFACE, self.typed(properties), []),
                    interface="org.freedesktop.DBus.Properties")


class Logind(Peer):
    """org.freedesktop.login1: who holds a delay, and sleep."""

    NAME = "org.freedesktop.login1"
    PATH = "/org/freedesktop/login1"
    INTERFACE = "org.freedesktop.login1.Manager"

    def __init__(self, bus):
        super().__init__(bus)
        self.inhibitors = []  # the ends that tell when the others are closed

    def on_Inhibit(self, what, who, why, mode):
        watched, given = os.pipe()
        self.inhibitors.append({"what": what, "who": who, "why": why, "mode": mode,
                                "fd": os.fdopen(watched, "rb")})
        return "h", (os.fdopen(given, "wb"),)

    def answer(self, message):
        super().answer(message)
        gc.collect()  # the given end is the caller's alone from now on

    def prepare_for_sleep(self, begins):
        self.signal("PrepareForSleep", "b", (begins,))

    def held(self):
        """The delays that are held now."""
        return [i for i in self.inhibitors if not select.select([i["fd"]], [], [], 0)[0]]
