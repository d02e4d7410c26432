# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications as a real server draws them: dunst on an X server without a screen."""

import os
import shutil
import subprocess

import pytest
from PIL import ImageChops, ImageGrab

from bus import Bus
from people import People, until

NEEDED = ["dunst", "Xvfb", "dunstctl"]
pytestmark = pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason="no dunst or Xvfb")

CONFIG = """\
[global]
    font = DejaVu Sans 12
    width = 360
    origin = top-right
    offset = 20x20
    frame_width = 2
    format = "<b>%s</b>\\n%b"
    markup = full
    icon_position = off
    mouse_left_click = do_action, close_current
[urgency_normal]
    background = "#204060"
    foreground = "#ffffff"
    frame_color = "#80a0c0"
    timeout = 0
"""


class Screen:
    """An X server, and dunst on it and on a bus."""

    def __init__(self, directory, bus):
        self.directory = directory
        self.bus = bus
        self.processes = []
        self.display = None

    def __enter__(self):
        receiving, sending = os.pipe()
        self.processes.append(subprocess.Popen(
            ["Xvfb", "-displayfd", str(sending), "-screen", "0", "800x400x24", "-nolisten", "tcp"],
            pass_fds=[sending], stderr=subprocess.DEVNULL))
        os.close(sending)
        with os.fdopen(receiving) as file:
            self.display = f":{int(file.readline())}"
        config = self.directory / "dunstrc"
        config.write_text(CONFIG)
        self.processes.append(subprocess.Popen(
            ["dunst", "-config", str(config)], stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, env=self.environment()))
        with self.bus.connect() as client:
            client.wait_name("org.freedesktop.Notifications")
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            process.wait(30)

    def environment(self):
        return {**os.environ, "DISPLAY": self.display, "HOME": str(self.directory),
                "DBUS_SESSION_BUS_ADDRESS": self.bus.address}

    def control(self, *command):
        done = subprocess.run(["dunstctl", *command], env=self.environment(), check=True,
                              capture_output=True, text=True, timeout=30)
        return done.stdout.strip()

    def picture(self):
        return ImageGrab.grab(xdisplay=self.display)

    def wait_drawn(self, before):
        """A picture that differs from an earlier one, once what is drawn stands still."""
        def steady():
            one, two = self.picture(), self.picture()
            changed = ImageChops.difference(one, before).getbbox()
            return changed and not ImageChops.difference(one, two).getbbox() and one
        return until(steady)


def test_dunst_draws_updates_and_closes(tmp_path):
    with Bus(tmp_path) as bus, Screen(tmp_path, bus) as screen, People(tmp_path) as people:
        empty = screen.picture()
        alice = people.sign_in("alice")
        bob = people.sign_in("bob", environment={"DBUS_SESSION_BUS_ADDRESS": bus.address})
        alice.call("messages.send", user_id="bob", text="1 < 2 & <b>not bold</b>")
        first = screen.wait_drawn(empty)
        assert screen.control("count", "displayed") == "1"
        message = alice.call("messages.send", user_id="bob", text="and another one")["message_id"]
        second = screen.wait_drawn(first)
        assert screen.control("count", "displayed") == "1"
        if where := os.environ.get("CHATD_PICTURES"):
            first.save(f"{where}/notification-1.png")
            second.save(f"{where}/notification-2.png")
        # A click on it, by way of dunst's own command.
        with bob.connect() as client:
            client.call("events.subscribe", topics=["chat.open"])
            screen.control("action")
            data = client.next_change()["data"]
            assert (data["message_id"], data["chat_id"]) == (message, bob.chat_with("alice"))
        alice.call("messages.send", user_id="bob", text="a third")
        screen.wait_drawn(empty)
        third = until(lambda: [m["message_id"] for m in bob.messages("alice")][2:])[0]
        bob.call("messages.mark_read", chat_id=bob.chat_with("alice"), message_id=third)
        until(lambda: not ImageChops.difference(screen.picture(), empty).getbbox())
        assert screen.control("count", "displayed") == "0"
