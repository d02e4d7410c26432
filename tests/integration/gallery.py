# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend behind a front, and photos whose bytes nginx serves."""

import os
import uuid

from front import Front
from others import Nginx, free_port
from people import People

NAME = "unmistakable-lake.jpg"
BYTES = r"/attachments/[^/]*/(full|preview)$"


class Fronted(People):
    """The backend behind a front."""

    def __init__(self, directory):
        port = free_port()
        self.front = Front(port)
        super().__init__(directory, port=port, origin=self.front.url)

    @property
    def url(self):
        return self.front.url

    def __exit__(self, *rest):
        super().__exit__(*rest)
        self.front.close()


def file_of(target):
    _, _, photo, variant = target.split("/")
    return f"/{photo}.{variant}"


class Gallery:
    """Photos that alice has sent, whose bytes nginx serves."""

    def __init__(self, people, directory, more=""):
        self.people = people
        self.nginx = Nginx(directory, more)
        self.alice = people.backend.login("alice")
        self.session = self.alice.connect()
        self.chat = self.alice.chat_with("bob")
        people.front.route(BYTES, self.nginx.port)
        people.front.rewrite = file_of

    def send(self, raw, preview=b"\xff\xd8 a small one \xff\xd9"):
        photo = self.alice.upload(raw, preview, str(uuid.uuid4()), name=NAME)
        (self.nginx.root / f"{photo}.full").write_bytes(raw)
        (self.nginx.root / f"{photo}.preview").write_bytes(preview)
        self.session.say(self.chat, "look", attachments=photo)
        return photo


def content(account, photo):
    with account.connect() as client:
        client.call("attachments.open", attachment_id=photo)
        with os.fdopen(client.fds.pop(), "rb") as file:
            return file.read()


def state(account, photo):
    for message in account.messages("alice"):
        for attachment in message["attachments"]:
            if attachment["attachment_id"] == photo:
                return attachment["status"]
    return None
